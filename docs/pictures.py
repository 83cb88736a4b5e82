"""Draw the pictures of the documentation into docs/images: ``make pictures``.

Everything comes from a simulated scene with a fixed seed, but for the real clips, which are drawn only where
the folder of real data is (beside the checkout, or in $XINSAR_TEST_DATA) and otherwise left as they are.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

import xinsar
from xinsar import plot, simulate

IMAGES = Path(__file__).parent / "images"
SEED, PAIR = 2, 2
_FILL = {"data": "#dbe9f6", "room": "#f4f1ea", "side": "#e8efe2"}
_DATA_FLOW, _IMPORTS = "#1f5f99", "#8a5a2b"


def _save(figure: Any, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90)
    plt.close(figure)
    # A palette keeps pictures of noise small enough for a repository.
    Image.open(buffer).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE).save(
        IMAGES / f"{name}.png", optimize=True
    )


def _box(
    ax: Any, at: tuple[float, float], text: str, note: str = "", *, kind: str = "room", width: float = 2.0
) -> None:
    x, y = at
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.34), width, 0.68, boxstyle="round,pad=0.02,rounding_size=0.1",
            fc=_FILL[kind], ec="0.35", lw=0.9,
        )
    )  # fmt: skip
    ax.text(x, y + (0.12 if note else 0), text, ha="center", va="center", fontsize=10, weight="bold")
    if note:
        ax.text(x, y - 0.16, note, ha="center", va="center", fontsize=7.5, color="0.25")


def _arrow(ax: Any, start: tuple[float, float], end: tuple[float, float], color: str, **style: Any) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=color,
            lw=1.4,
            shrinkA=1,
            shrinkB=1,
            **style,
        )
    )


def _flow(ax: Any) -> None:
    """Draw the way of the data, left to right, and the loop of one operation below it."""
    stations = [
        ("products", "anybody's files", "data"),
        ("readers", "signs, units, dates", "room"),
        ("cube", "Zarr v3, resumable", "data"),
        ("operations", "what it means", "room"),
        ("detection", "maps to objects", "room"),
        ("inventory", "tables for a GIS", "data"),
    ]
    for i, (name, note, kind) in enumerate(stations):
        _box(ax, (1.2 + 2.5 * i, 6.6), name, note, kind=kind)
        if i:
            _arrow(ax, (2.5 * i - 0.3, 6.6), (0.18 + 2.5 * i, 6.6), _DATA_FLOW)
    _box(ax, (3.7, 7.75), "simulate", "worlds with known truth", width=2.3)
    _arrow(ax, (4.6, 7.4), (5.5, 6.97), _DATA_FLOW)
    ax.text(0.2, 8.35, "Data run one way", fontsize=12, weight="bold", color=_DATA_FLOW)


def _stack(ax: Any) -> None:
    """Draw the rooms in the order of their imports."""
    ax.text(0.2, 5.55, "Imports run one way", fontsize=12, weight="bold", color=_IMPORTS)
    _box(ax, (8.7, 5.15), "cli, plot", "sit on top")
    _box(ax, (8.7, 4.15), "accessor", "ds.insar.x() is one call")
    _box(ax, (8.7, 3.0), "operations", "find, compute, label")
    _box(ax, (5.0, 1.95), "schema", "names, dims, units", kind="side")
    _box(ax, (8.7, 1.95), "mapping", "chunks, halos, folds", kind="side")
    _box(ax, (12.4, 1.95), "grid", "metres per pixel", kind="side")
    _box(ax, (8.7, 0.9), "kernels", "loops over arrays")
    _box(ax, (12.4, 0.9), "backend", "NumPy or CuPy twin")
    for start, end in [
        ((8.7, 4.8), (8.7, 4.5)),
        ((8.7, 3.8), (8.7, 3.35)),
        ((7.65, 2.85), (5.9, 2.3)),
        ((8.7, 2.65), (8.7, 2.3)),
        ((9.75, 2.85), (11.5, 2.3)),
        ((9.73, 0.9), (11.37, 0.9)),
    ]:
        _arrow(ax, start, end, _IMPORTS)
    _arrow(ax, (0.3, 1.25), (1.1, 1.25), _IMPORTS)
    ax.text(1.25, 1.25, "imports", va="center", fontsize=9)
    _arrow(ax, (0.3, 0.75), (1.1, 0.75), _DATA_FLOW)
    ax.text(1.25, 0.75, "hands data over (dashed: inside a task)", va="center", fontsize=9)
    _arrow(ax, (9.73, 2.75), (9.73, 1.05), _IMPORTS, connectionstyle="arc3,rad=-0.55")
    _arrow(ax, (8.7, 1.6), (8.7, 1.25), _DATA_FLOW, ls="--")
    ax.text(8.55, 1.425, "blocks", ha="right", va="center", fontsize=7.5, color=_DATA_FLOW)


def rooms() -> None:
    """Draw the rooms of the package, the way of imports and the way of data."""
    figure, ax = plt.subplots(figsize=(11, 6.4), layout="constrained")
    ax.set(xlim=(0, 15), ylim=(0.3, 8.7))
    ax.axis("off")
    _flow(ax)
    _stack(ax)
    _save(figure, "rooms")


def scene() -> Any:
    """Return the simulated area of all pictures."""
    return simulate.scene(SEED, shape=(256, 256), tier="medium")


def _panels(count: int, *, height: float = 3.9) -> tuple[Any, Any]:
    figure, axes = plt.subplots(1, count, figsize=(4.9 * count, height), layout="constrained")
    return figure, axes


def _map(ax: Any, array: xr.DataArray, title: str, bar: str, **style: Any) -> None:
    """Draw a map with its own colour bar and no axis names."""
    half = abs(float(array.x[1] - array.x[0])) / 2
    extent = (
        float(array.x[0]) - half,
        float(array.x[-1]) + half,
        float(array.y[-1]) - half,
        float(array.y[0]) + half,
    )
    drawn = ax.imshow(array.values, extent=extent, interpolation="nearest", **style)
    ax.set_title(title)
    ax.set_facecolor("0.75")
    ax.set(xticks=[], yticks=[])
    ax.figure.colorbar(drawn, ax=ax, shrink=0.9, label=bar)


_CYCLIC = {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi}
_SHARE = {"cmap": "viridis", "vmin": 0, "vmax": 1}


def _couple(limit: float) -> dict[str, Any]:
    return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}


def story(track: xr.Dataset, truth: Any) -> None:
    """Draw one pair, the stack of all, and what the plain detection finds in it."""
    from xinsar.detection import detect_threshold

    stack = track.insar.phase_gradient_stack().compute()
    figure, axes = _panels(3)
    _map(axes[0], track.phase[PAIR], "one interferogram of many", "phase (rad)", **_CYCLIC)
    strength = np.hypot(stack.gradient_z_x, stack.gradient_z_y)
    _map(axes[1], strength, "all pairs, stacked", "gradient / its error", cmap="magma", vmin=0, vmax=6)
    plot.detections(detect_threshold(stack), track.elevation, truth=truth, ax=axes[2])
    axes[2].set_title("", loc="left")
    axes[2].set(xticks=[], yticks=[], xlabel="", ylabel="")
    _save(figure, "story")


def coherence_filter(track: xr.Dataset) -> None:
    """Draw a pair before and after the filter."""
    filtered = track.insar.coherence_filter()
    figure, axes = _panels(3)
    _map(axes[0], track.phase[PAIR], "phase", "rad", **_CYCLIC)
    _map(axes[1], filtered.phase[PAIR], "filtered, 5 x 5", "rad", **_CYCLIC)
    _map(axes[2], filtered.phase_consistency[PAIR], "phase consistency", "1", **_SHARE)
    _save(figure, "coherence_filter")


def goldstein_filter(track: xr.Dataset) -> None:
    """Draw a pair before and after the filter."""
    one = track.isel(pair=[PAIR])
    figure, axes = _panels(2)
    _map(axes[0], one.phase[0], "phase", "rad", **_CYCLIC)
    _map(axes[1], one.insar.goldstein_filter().phase[0], "Goldstein filter", "rad", **_CYCLIC)
    _save(figure, "goldstein_filter")


def phase_gradient(track: xr.Dataset) -> None:
    """Draw the gradients of one pair."""
    gradient = track.isel(pair=[PAIR]).insar.phase_gradient()
    figure, axes = _panels(2)
    _map(axes[0], gradient.gradient_x[0], "toward the east, one pair", "rad per pixel", **_couple(0.8))
    _map(axes[1], gradient.gradient_y[0], "toward the south, one pair", "rad per pixel", **_couple(0.8))
    _save(figure, "phase_gradient")


def phase_gradient_stack(track: xr.Dataset) -> None:
    """Draw the rates of both directions and the significance."""
    stack = track.insar.phase_gradient_stack().compute()
    limit = float(np.nanpercentile(np.abs(stack.gradient_x), 99.5))
    figure, axes = _panels(3)
    _map(
        axes[0], stack.gradient_x, "toward the east, all pairs", "rad m$^{-1}$ year$^{-1}$", **_couple(limit)
    )
    _map(
        axes[1], stack.gradient_y, "toward the south, all pairs", "rad m$^{-1}$ year$^{-1}$", **_couple(limit)
    )
    _map(axes[2], stack.gradient_z_x, "east: rate over its error", "1", **_couple(5))
    _save(figure, "phase_gradient_stack")


def stacking_curve(track: xr.Dataset) -> None:
    """Draw the detection strength against the number of pairs, around one moving slope."""
    around = track.isel(y=slice(160, 230), x=slice(180, 256))
    counts = [8, 12, 20, 30, 45, 70, track.sizes["pair"]]
    curve = around.insar.stacking_curve(counts, repeats=8)
    figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    ax.plot(curve["count"], curve.detection_strength, marker="o", color="#0072B2")
    ax.set(xlabel="pairs in the stack", ylabel="detection strength", ylim=(0, None))
    ax.grid(visible=True, color="0.9")
    _save(figure, "stacking_curve")


def unwrap(track: xr.Dataset) -> None:
    """Draw a wrapped and an unwrapped pair, filtered before."""
    one = track.isel(pair=[PAIR])
    filtered = one.assign(phase=one.insar.coherence_filter().phase)
    unwrapped = filtered.insar.unwrap().unwrapped_phase
    figure, axes = _panels(2)
    _map(axes[0], filtered.phase[0], "wrapped, filtered", "rad", **_CYCLIC)
    _map(axes[1], unwrapped[0], "unwrapped", "rad", cmap="viridis")
    _save(figure, "unwrap")


def products(track: xr.Dataset) -> None:
    """Draw what xinsar.plot draws by itself: the network, and the mean coherence."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(1.6, 1))
    plot.baseline_network(track, ax=axes[0])
    plot.coherence(track, ax=axes[1])
    _save(figure, "cube")


def _reflectances(clip: Path) -> list[Any]:
    """Return the pixels of green and short-wave infrared of one clip at 20 m."""
    import rioxarray

    green, swir = (
        rioxarray.open_rasterio(next(clip.glob(f"*_{band}.tif"))).values[0] / 1e4 for band in ("B03", "B11")
    )
    rows, columns = swir.shape
    return [green.reshape(rows, 2, columns, 2).mean(axis=(1, 3)).ravel(), swir.ravel()]


def snow_mask(folder: Path | None) -> None:
    """Draw which reflectances count as snow, and where the pixels of snow-free real clips lie."""
    green, swir = np.meshgrid(np.linspace(0, 1, 401), np.linspace(0, 0.6, 241))
    bands = [xr.DataArray(band, dims=("y", "x"), attrs={"units": "1"}) for band in (green, green, swir)]
    snow = xinsar.snow_mask(*bands).snow
    figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
    ax.contourf(green, swir, snow, levels=[0.5, 1.5], colors=["#a6cee3"])
    ax.text(0.72, 0.1, "snow", fontsize=12)
    for clip in sorted((folder / "bigearthnet").glob("S2*")) if folder else []:
        ax.plot(*_reflectances(clip), ".", ms=2, color="#6b8e23", alpha=0.3)
    ax.set(
        xlabel="green (B3), near infrared alike",
        ylabel="short-wave infrared (B11)",
        xlim=(0, 1),
        ylim=(0, 0.6),
    )
    ax.set_title("what counts as snow; dots: three real clips without any", fontsize=10)
    _save(figure, "snow_mask")


def stack_unwrapped(folder: Path) -> None:
    """Draw the velocity of a sinking city, relative to its firm west."""
    ds = xinsar.open_stack(folder / "unw")
    area = {"y": slice(20, 40), "x": slice(5, 15)}
    ds["unwrapped_phase"] = ds.unwrapped_phase - ds.unwrapped_phase.isel(area).median(["y", "x"])
    ds.unwrapped_phase.attrs["units"] = "rad"
    velocity = ds.insar.stack_unwrapped().velocity.compute() * 1000
    figure, ax = plt.subplots(figsize=(7, 3.9), layout="constrained")
    _map(
        ax,
        velocity,
        "Mexico City, 2018: stack of 30 unwrapped pairs",
        "mm/year toward the satellite",
        cmap="viridis",
    )
    _save(figure, "stack_unwrapped")


def _real(name: str) -> Path | None:
    named = os.environ.get("XINSAR_TEST_DATA")
    base = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return base / name if (base / name).is_dir() else None


def main() -> None:
    """Draw all of them."""
    area = scene()
    track = area.cube["ascending"].to_dataset()
    rooms()
    story(track, area.truth)
    for draw in (
        coherence_filter,
        goldstein_filter,
        phase_gradient,
        phase_gradient_stack,
        stacking_curve,
        unwrap,
        products,
    ):
        draw(track)
    snow_mask(_real("sentinel2-clips"))
    if folder := _real("mexico-city-s1-gamma-stack"):
        stack_unwrapped(folder)
    import hotspots

    hotspots.main()


if __name__ == "__main__":
    main()
