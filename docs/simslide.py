"""Draw what SimSlide shows a model and what the model finds into docs/images: ``python docs/simslide.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from pictures import _save

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the benchmarks are no part of the package

import xinsar.inventory
from benchmarks import simslide_data as data
from benchmarks.simslide_models import contender
from xinsar.plot.colours import BLUE, RED
from xinsar.plot.terrain import hillshade

TILES = (("easy", 2), ("medium", 2), ("hard", 2))


def simslide(model: str = "default") -> None:
    """Draw a test tile of each tier: velocities of both tracks, truth and detections."""
    finder = contender(model)
    figure, axes = plt.subplots(len(TILES), 3, figsize=(9.2, 9.5), layout="constrained")
    image = None
    for row, (tier, number) in zip(axes, TILES, strict=True):
        cube, truth = data.Place("test", tier, number).cached(None)
        for ax, name in zip(row, ("ascending", "descending"), strict=False):
            velocity = 1000 * cube[name].velocity
            image = _panel(ax, velocity, cmap="RdBu_r", vmin=-40, vmax=40)
            ax.set_title(f"{tier}, {name}", fontsize=10)
        _panel(row[2], hillshade(cube["ascending"].to_dataset().elevation), cmap="gray", vmin=-0.25, vmax=1.1)
        found = finder.find(cube, (finder.default,))[finder.default]
        _bodies(row[2], found[found["score"] >= finder.least], truth)
    figure.colorbar(image, ax=axes[:, :2], location="bottom", shrink=0.5, aspect=40, pad=0.01).set_label(
        "velocity, mm/year toward the satellite"
    )
    _legend(axes[-1, 2])
    _save(figure, "simslide")


def survey() -> None:
    """Draw what the default model finds in a survey scene of 1024 x 1024 pixels, its scores, and the truth."""
    made = xinsar.simulate.products(
        18, shape=(1024, 1024), tier="medium", density="survey", draws="test", chunks=512
    )
    found = xinsar.detect(made.cube, progress=False)
    reference = xinsar.simulate.reference_inventory(made.truth)
    ax = xinsar.plot.detections(found, made.cube["ascending"].elevation, truth=reference)
    _save(ax.figure, "survey")


def _panel(ax: Any, layer: Any, **style: Any) -> Any:
    x, y = layer.x.values, layer.y.values
    half = data.PIXEL / 2
    ax.set_facecolor("0.8")
    ax.set(xticks=[], yticks=[])
    extent = (x[0] - half, x[-1] + half, y[-1] - half, y[0] + half)
    return ax.imshow(layer.values, extent=extent, interpolation="nearest", **style)


def _bodies(ax: Any, found: Any, truth: Any) -> None:
    counted = data.counted(truth)
    snr = counted[[name for name in counted if name.startswith("snr_")]].max(axis=1)
    plain = ~counted["ignore"] & (snr >= 0.5)
    traps = truth[(truth["class"] != "landslide") & ~truth["ignore"]]
    for table, color, style in (
        (traps, "0.15", ":"),
        (counted[~plain], BLUE, ":"),
        (counted[plain], BLUE, (0, (4, 2))),
        (found, RED, "-"),
    ):
        for line in table.geometry.boundary.explode(index_parts=False):
            ax.plot(*line.xy, color="white", lw=2.4, alpha=0.6)
            ax.plot(*line.xy, color=color, lw=1.3, ls=style)
    for score, shape in zip(found["score"], found.geometry, strict=True):
        left, _, _, top = shape.bounds
        ax.annotate(f"{score:.2f}", (left, top), fontsize=6.5, color="k", va="bottom",
                    bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.4})  # fmt: skip
    hits = xinsar.inventory.evaluate_inventory(found, counted, iou=(0.5,)).loc["iou_0.5"]
    ax.set_title(
        f"{len(found)} found, {hits['right']:.0f} of {hits['truth']:.0f} landslides (IoU ≥ .5)", fontsize=10
    )


def _legend(ax: Any) -> None:
    from matplotlib.lines import Line2D

    rows = (
        ("found", RED, "-"),
        ("landslide", BLUE, (0, (4, 2))),
        ("not counted", BLUE, ":"),
        ("trap", "0.15", ":"),
    )
    handles = [Line2D([], [], color=color, ls=style, lw=1.3, label=label) for label, color, style in rows]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=4, frameon=False, fontsize=8,
              handlelength=1.8, columnspacing=1.0)  # fmt: skip


if __name__ == "__main__":
    simslide(*sys.argv[1:2])
    survey()
