"""Draw the pictures of detection into docs/images: ``make pictures``. All fields are simulated."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from pictures import SEED, _save
from scipy.ndimage import gaussian_filter

import xinsar
from xinsar.detection.instances import instances
from xinsar.detection.outlines import in_pixels
from xinsar.detection.windows import Lattice
from xinsar.models import Channel, ModelCard, wrap

_CORE, _HALO, _CHUNK, _BODY = "#1f5f99", "#D55E00", "0.45", "#c0504d"
_LATTICE = Lattice((230, 310), (112, 112), 32)


def _rectangle(ax: Any, box: Any, **style: Any) -> None:
    ax.add_patch(Rectangle((box.left, box.top), box.right - box.left, box.bottom - box.top, **style))


def _frame(ax: Any, title: str, beyond: int = 2) -> None:
    ax.set(xlim=(-beyond, 310 + beyond), ylim=(230 + beyond, -beyond), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, fontsize=12)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _lattice(ax: Any) -> None:
    """Draw cores, one window inside and one at the corner, and chunks that lie elsewhere."""
    windows = _LATTICE.plan()
    for window in windows:
        _rectangle(ax, window.core, fill=False, ec=_CORE, lw=1)
    for place in (100, 200, 300):
        ax.plot([place, place], [0, 230], ":", color=_CHUNK, lw=1.2)
    for place in (90, 180):
        ax.plot([0, 310], [place, place], ":", color=_CHUNK, lw=1.2)
    inner, corner = windows[5], windows[-1]
    for window in (inner, corner):
        _rectangle(ax, window.read, fc=_HALO, ec=_HALO, alpha=0.15, lw=0)
        _rectangle(ax, window.read, fill=False, ec=_HALO, ls="--", lw=1.4)
    _rectangle(ax, inner.core, fc=_CORE, alpha=0.25, lw=0)
    _rectangle(ax, corner.core, fc=_CORE, alpha=0.25, lw=0)
    _rectangle(ax, _LATTICE.image, fill=False, ec="k", lw=1.8)
    ax.text(120, 120, "core", ha="center", va="center", fontsize=12, color=_CORE, weight="bold")
    ax.text(120, 186, "halo", ha="center", va="top", fontsize=12, color=_HALO)
    ax.text(330, 246, "padding", ha="right", va="center", fontsize=11, color=_HALO)
    ax.text(5, -6, "image", fontsize=12, weight="bold")
    ax.text(200, -6, "chunks", fontsize=12, color=_CHUNK, ha="center")
    _frame(ax, "windows on the lattice of the image", beyond=36)


def _fields() -> tuple[Any, Any, Any]:
    """Return foreground, centre and distance of two bodies that touch, and a third, as a net would give them."""
    rows, columns = np.indices(_LATTICE.shape)
    bodies = [(78, 70, 52, 34), (138, 128, 58, 40), (70, 236, 44, 56)]
    ways = [np.hypot((rows - r) / h, (columns - c) / w) for r, c, h, w in bodies]
    rough = gaussian_filter(np.random.default_rng(SEED).normal(size=rows.shape), 5)
    near = np.minimum.reduce(ways) + 0.8 * rough
    centre = np.maximum.reduce([np.exp(-3 * d**2) for d in ways])
    return np.clip(1.5 - near, 0, 1), centre, np.clip(1 - near, 0, 1)


def _owned(ax: Any, front: Any) -> None:
    """Draw the pixels of the foreground in the colour of the window that owns them."""
    owner = np.full(front.shape, np.nan)
    for window in _LATTICE.plan():
        where = window.core.inside(_LATTICE.image)
        i, j = window.core.top // 80, window.core.left // 80
        owner[where] = np.where(front[where] >= 0.5, (i * 2 + j * 3) % 5, np.nan)
    colours = ListedColormap(["#4477AA", "#66CCEE", "#228833", "#CCBB44", "#AA3377"])
    ax.imshow(owner, cmap=colours, extent=(0, 310, 230, 0), interpolation="nearest", vmin=0, vmax=4)
    for window in _LATTICE.plan():
        _rectangle(ax, window.core, fill=False, ec="0.7", lw=0.8)
    _rectangle(ax, _LATTICE.image, fill=False, ec="k", lw=1.8)
    _frame(ax, "every pixel has one owner")


def _objects(ax: Any, front: Any, centre: Any, distance: Any) -> None:
    """Draw the objects that all pixels together make, and the peaks that split them."""
    at = np.nonzero(front >= 0.5)
    fields = {"foreground": front, "centre": centre, "distance": distance}
    table = {name: field[at].astype(np.float32) for name, field in fields.items()}
    table |= {
        "row": at[0].astype(np.int32),
        "column": at[1].astype(np.int32),
        "seen": np.ones(at[0].size, np.uint8),
    }
    card = ModelCard("drawn", "1", (Channel("velocity"),), min_pixels=20)
    ax.imshow(
        np.where(front >= 0.5, centre, np.nan), cmap="YlOrRd", extent=(0, 310, 230, 0), vmin=0, vmax=1.3
    )
    for body in instances(table, card):
        x, y = in_pixels(body).exterior.xy
        ax.plot(x, y, color=_BODY, lw=1.6)
        peak = np.where(
            body.mask, centre[body.top :, body.left :][: body.mask.shape[0], : body.mask.shape[1]], 0
        )
        row, column = np.unravel_index(peak.argmax(), peak.shape)
        ax.plot(body.left + column + 0.5, body.top + row + 0.5, "+", color="k", ms=9)
    _rectangle(ax, _LATTICE.image, fill=False, ec="k", lw=1.8)
    _frame(ax, "objects of all pixels, split at their peaks")


def windows() -> None:
    """Draw how windows lie, who owns a pixel, and what becomes of an object that lies on several windows."""
    figure, axes = plt.subplots(
        1, 3, figsize=(14.4, 4.1), gridspec_kw={"width_ratios": [1.22, 1, 1]}, layout="constrained"
    )
    front, centre, distance = _fields()
    _lattice(axes[0])
    _owned(axes[1], front)
    _objects(axes[2], front, centre, distance)
    _save(figure, "detection_windows")


def _velocity() -> xr.Dataset:
    """Return a simulated velocity map, 25 m: three bodies in turbulence and noise."""
    rng = np.random.default_rng(SEED)
    rows, columns = np.indices((260, 340))
    field = 0.004 * gaussian_filter(rng.normal(size=rows.shape), 25) * 44
    field += 0.004 * gaussian_filter(rng.normal(size=rows.shape), 1) * 3.5
    for row, column, h, w, speed in (
        (70, 80, 14, 22, -0.06),
        (170, 120, 22, 12, 0.05),
        (150, 260, 18, 18, -0.045),
    ):
        field += speed * np.exp(-((((rows - row) / h) ** 2 + ((columns - column) / w) ** 2) ** 2))
    field[200:235, 200:240] = np.nan
    return xr.Dataset(
        {"velocity": (("y", "x"), field.astype("f4"), {"units": "m year-1"})},
        {
            "y": ("y", -25.0 * np.arange(260), {"units": "m"}),
            "x": ("x", 25.0 * np.arange(340), {"units": "m"}),
        },
    )


def _model(batch: Any) -> Any:
    """Return a soft threshold of the smoothed speed, 0..1."""
    speed = np.stack([np.abs(gaussian_filter(window[0], 2.5)) for window in batch])
    return 1 / (1 + np.exp((0.018 - speed) / 0.003))[:, None]


def detect() -> None:
    """Draw a velocity, the scores of a callable model, and the outlines it leads to."""
    cube = _velocity()
    model = wrap(_model, window=(128, 128), overlap=32, min_pixels=20, name="soft threshold")
    scores = xinsar.predict_scores(cube, model=model).score[0]
    found = xinsar.detect(cube, model=model, progress=False)
    extent = (-0.0125, 8.4875, -6.4875, 0.0125)
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.6), layout="constrained", sharey=True)
    images = [
        axes[0].imshow(1000 * cube.velocity, cmap="RdBu", vmin=-60, vmax=60, extent=extent),
        axes[1].imshow(scores, cmap="viridis", vmin=0, vmax=1, extent=extent),
    ]
    for ax, image, title, unit in zip(axes, images, ("velocity", "score"), ("mm/year", None), strict=False):
        ax.set_title(title, fontsize=10)
        figure.colorbar(image, ax=ax, shrink=0.85, label=unit)
    axes[2].imshow(1000 * cube.velocity, cmap="RdBu", vmin=-60, vmax=60, extent=extent, alpha=0.45)
    axes[2].set_title("outlines with their id and score", fontsize=10)
    for row in found.itertuples():
        x, y = row.geometry.exterior.xy
        axes[2].plot(np.array(x) / 1000, np.array(y) / 1000, color="k", lw=1.6)
        east, top = row.geometry.centroid.x / 1000, row.geometry.bounds[3] / 1000
        axes[2].text(east, top + 0.08, f"{row.id}: {row.score:.2f}", ha="center", fontsize=11)
    for ax in axes:
        ax.set(xlabel="east, km", facecolor="0.8")
    axes[0].set_ylabel("north, km")
    _save(figure, "detect")


def main() -> None:
    """Draw all of them."""
    windows()
    detect()


if __name__ == "__main__":
    main()
