"""Draw the picture of an inventory into docs/images: ``make pictures``. Everything in it is simulated."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pictures import _save

import xinsar
from xinsar import inventory
from xinsar.plot.terrain import draw_terrain

SCENE = 26
_TRACKS = {"ascending": "#0072B2", "descending": "#D55E00"}
_CLASSES = {"strong": "#b2182b", "elongated": "#8073ac", "compact": "#e08214"}


def scene() -> tuple[dict[str, Any], Any]:
    """Return the velocity maps of two tracks by name, and what an inventory is scored against."""
    made = xinsar.simulate.products(SCENE, shape=(256, 256), tier="easy")
    tracks = {name: node.to_dataset() for name, node in made.cube.children.items()}
    return tracks, xinsar.simulate.reference_inventory(made.truth)


def _borders(ax: Any, shapes: Any, **style: Any) -> None:
    for line in shapes.boundary.explode(index_parts=False):
        ax.plot(*line.xy, solid_joinstyle="round", **style)


def _frame(ax: Any, ground: Any, title: str) -> None:
    draw_terrain(ground.elevation, ground.elevation, ax)
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    ax.set_title(title, fontsize=12)


def _merging(ax: Any, ground: Any, tables: dict[str, Any], found: Any) -> None:
    """Draw what each track sees, and the union of both."""
    _frame(ax, ground, "two tracks, one inventory")
    for shape in found.geometry:
        for part in getattr(shape, "geoms", [shape]):
            ax.fill(*part.exterior.xy, color="white", alpha=0.35, lw=0)
    for name, color in _TRACKS.items():
        _borders(ax, tables[name].geometry, color=color, lw=1.8)
    handles = [Line2D([], [], color=c, lw=1.8, label=f"{n} ({len(tables[n])})") for n, c in _TRACKS.items()]
    handles.append(Patch(fc="white", ec="0.5", alpha=0.8, label=f"merged ({len(found)})"))
    _legend(ax, handles)


def _legend(ax: Any, handles: list[Any]) -> None:
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=4, frameon=False, fontsize=9.5
    )


def _classes(ax: Any, ground: Any, found: Any, reference: Any) -> None:
    """Draw the objects by class, with their scores, over the truth."""
    _frame(ax, ground, "classes and scores")
    counts_for = ~reference["ignore"]
    for chosen, color in ((counts_for, "k"), (~counts_for, "0.45")):
        _borders(ax, reference[chosen].geometry, color=color, lw=1.1, ls=(0, (4, 2)))
    for kind, color in _CLASSES.items():
        own = found[found["patch_class"] == kind]
        for shape, score in zip(own.geometry, own["score"], strict=True):
            for part in getattr(shape, "geoms", [shape]):
                ax.fill(*part.exterior.xy, color=color, alpha=0.55, lw=0)
            _borders(ax, own[own.geometry == shape].geometry, color=color, lw=1.6)
            left, bottom, right, top = shape.bounds
            high = top + 400 > float(ground.y[0])
            ax.text(
                (left + right) / 2, bottom - 40 if high else top + 40, f"{score:.2f}", ha="center",
                va="top" if high else "bottom", fontsize=9, weight="bold",
                bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75},
            )  # fmt: skip
    counts = found["patch_class"].value_counts()
    handles = [Patch(color=c, alpha=0.7, label=f"{n} ({counts.get(n, 0)})") for n, c in _CLASSES.items()]
    handles.append(Line2D([], [], color="k", lw=1.1, ls=(0, (4, 2)), label=f"truth ({counts_for.sum()})"))
    _legend(ax, handles)


def _precision(ax: Any, found: Any, reference: Any) -> None:
    """Draw precision against recall as the score threshold falls, by place and by outline."""
    from xinsar.inventory.precision import rank_all

    for iou, style in ((0.3, "-"), (0.5, "--")):
        ranked = rank_all(found, reference, iou, 0.5)
        kept = ~ranked.excused[0]
        right = np.cumsum(ranked.right[0][kept])
        precision, recall = right / np.arange(1, right.size + 1), right / ranked.truths
        ax.step(
            np.r_[0, recall], np.r_[1, precision], where="post", color="0.15", ls=style, label=f"IoU {iou:g}"
        )
    values = inventory.average_precision(found, reference, iou=(0.3, 0.5))
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05), aspect="equal")
    ax.set_title(f"AP30 {values['AP30']:.2f}, AP50 {values['AP50']:.2f}", fontsize=12)
    ax.grid(visible=True, color="0.9")
    ax.legend(frameon=False, loc="lower right", fontsize=9.5)


def main() -> None:
    """Draw it."""
    tracks, reference = scene()
    tables = {name: xinsar.detect_threshold(ds) for name, ds in tracks.items()}
    found = inventory.patch_classes(inventory.attributes(inventory.merge_inventories(tables), tracks))
    ground = tracks["ascending"]
    figure, axes = plt.subplots(1, 3, figsize=(15.5, 5.4), layout="constrained", width_ratios=(1, 1, 0.85))
    _merging(axes[0], ground, tables, found)
    _classes(axes[1], ground, found, reference)
    _precision(axes[2], found, reference)
    _save(figure, "inventory")
