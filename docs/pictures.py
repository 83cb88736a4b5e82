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
    """Draw one pair, the stack of all, and what the default model finds."""
    stack = track.insar.phase_gradient_stack().compute()
    figure, axes = _panels(3)
    _map(axes[0], track.phase[PAIR], "one interferogram of many", "phase (rad)", **_CYCLIC)
    strength = np.hypot(stack.gradient_z_x, stack.gradient_z_y)
    _map(axes[1], strength, "all pairs, stacked", "gradient / its error", cmap="magma", vmin=0, vmax=6)
    found = track.insar.detect(progress=False)
    plot.detections(found, track.elevation, truth=truth, ax=axes[2])
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


def _ground_of_pictures() -> xr.Dataset:
    """Return the elevations of a simulated mountain area, with the angles of its ascending track."""
    track = simulate.scene(SEED, shape=(200, 200)).cube["ascending"].to_dataset()
    return track[["elevation"]]


def terrain() -> None:
    """Draw elevation, slope and aspect, with arrows down the slope."""
    from xinsar.operations.terrain import terrain as slopes_of

    area = _ground_of_pictures()
    ground = slopes_of(area)
    figure, axes = _panels(3)
    _map(axes[0], area.elevation, "elevation", "m", cmap="gist_earth")
    few = ground.isel(y=slice(6, None, 12), x=slice(6, None, 12))
    a = np.deg2rad(few.aspect)
    axes[0].quiver(few.x, few.y, np.sin(a), np.cos(a), scale=26, width=0.005)
    _map(axes[1], ground.slope, "slope", "degrees", cmap="viridis", vmin=0)
    azimuth = {"cmap": "twilight", "vmin": 0, "vmax": 360}
    _map(axes[2], ground.aspect, "aspect: where it descends to", "degrees clockwise from north", **azimuth)
    _save(figure, "terrain")


def _section(ax: Any) -> None:
    """Draw a mountain in the plane of the look, what is hidden and what falls together."""
    incidence = np.deg2rad(39)
    x = np.arange(0, 6000.0, 5)
    z = 1500 * np.exp(-(((x - 2900) / 620) ** 2)) + 250 * np.exp(-(((x - 700) / 450) ** 2))
    wide = xr.DataArray(np.tile(z, (3, 1)), dims=("y", "x"), coords={"y": [10.0, 5.0, 0.0], "x": x})
    wide.x.attrs["units"] = "m"
    track = wide.to_dataset(name="elevation").assign_attrs(heading=0.0, incidence=39.0)
    from xinsar.operations.terrain import look_geometry as geometry_of

    found = geometry_of(track).isel(y=1)
    ax.fill_between(x, z, -150, color="0.88")
    ax.plot(x, z, color="0.3", lw=1)
    for name, color in (("layover", "#D55E00"), ("shadow", "#0072B2")):
        ax.plot(x, np.where(found[name], z, np.nan), color=color, lw=4, label=name)
    shadow, layover = (np.flatnonzero(found[n].values) for n in ("shadow", "layover"))
    along = np.array([-np.sin(incidence), np.cos(incidence)])
    end = np.array([x[shadow[-1]], z[shadow[-1]]])
    ax.plot(*np.stack([end, end + 2900 * along]).T, color="#0072B2", lw=1, ls="--")
    across = np.array([np.cos(incidence), np.sin(incidence)])
    start = np.array([x[layover[0]], z[layover[0]]])
    ax.plot(*np.stack([start, start + 2400 * across]).T, color="#D55E00", lw=1, ls="--")
    ax.annotate(
        "to the satellite", end + 2900 * along, (-4, 2), textcoords="offset points", ha="right", fontsize=9
    )
    ax.annotate("equally far from it", start + 2400 * across, (4, 0), textcoords="offset points", fontsize=9)
    foot = np.array([700.0, 2100.0])
    ax.annotate("", foot + 700 * along, foot, arrowprops={"arrowstyle": "-|>"})
    ax.plot([foot[0]] * 2, [foot[1], foot[1] + 700], color="0.3", lw=0.8)
    ax.text(foot[0] - 130, foot[1] + 430, "i", fontsize=11)
    ax.text(*(foot + 700 * along + (-90, 60)), "l", fontsize=11, weight="bold", ha="right")
    ax.set(
        aspect="equal", xlim=(0, 6000), ylim=(-150, 3000), xlabel="distance along the look (m)", ylabel="m"
    )
    ax.legend(loc="upper right", frameon=False)


def look_geometry() -> None:
    """Draw layover and shadow in a section, and maps of what two tracks see."""
    from xinsar.operations.terrain import look_geometry as geometry_of

    area = _ground_of_pictures()
    figure = plt.figure(figsize=(13.5, 7.6), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.15, 1))
    _section(figure.add_subplot(grid[0, :]))
    ascending = geometry_of(area)
    descending = geometry_of(area.assign_attrs(heading=192.0))
    axes = [figure.add_subplot(grid[1, k]) for k in range(3)]
    _map(axes[0], ascending.sensitivity, "sensitivity, ascending", "1", **_couple(1))
    _map(axes[1], descending.sensitivity, "sensitivity, descending", "1", **_couple(1))
    _map(axes[2], ascending.foreshortening, "foreshortening, ascending", "1", cmap="RdGy", vmin=0, vmax=2)
    for name, color in (("layover", "#D55E00"), ("shadow", "#0072B2")):
        mask = ascending[name]
        axes[2].contourf(mask.x, mask.y, mask, levels=[0.5, 1.5], colors=[color])
    axes[2].set_title("foreshortening, layover, shadow")
    _save(figure, "look_geometry")


def _coso(folder: Path) -> list[xr.Dataset]:
    """Return two tracks over the Coso field with their vectors: planes through published ones of the same tracks."""
    tracks = []
    for velocity, name in (("a064_velocity.h5", "t64_asc_edit"), ("d071_velocity.h5", "t71_des")):
        ds = xinsar.open_stack(folder / velocity).sel(x=slice(-117.98, -117.62), y=slice(36.2, 35.87)).load()
        points = np.loadtxt(folder / "ridgecrest_coseismic" / f"{name}.lltnde")
        design = np.column_stack([points[:, :2], np.ones(len(points))])
        plane = np.linalg.lstsq(design, points[:, 3:6], rcond=None)[0]
        x, y = np.meshgrid(ds.x, ds.y)
        vectors = np.stack([x, y, np.ones_like(x)], -1) @ plane
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        tracks.append(ds.assign(los=(("component", "y", "x"), vectors.transpose(2, 0, 1))))
    return tracks


def _ray(ax: Any, end: tuple[float, float], color: str, text: str, at: tuple[float, float]) -> None:
    ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.8})
    ax.text(*at, text, color=color, ha="center", fontsize=9)


def _two_looks(ax: Any) -> None:
    """Draw the plane of east and up: two satellites, and what each sees of one motion."""
    east, up = np.sin(np.radians(39)), np.cos(np.radians(39))
    moved = np.array([0.22, -0.58])
    ax.plot([-1, 1], [0, 0], color="0.6", lw=1)
    for side, name, color in ((-1, "ascending", "#0072B2"), (1, "descending", "#D55E00")):
        look = np.array([side * east, up])
        _ray(ax, tuple(look), color, name, (side * 0.75, 0.85))
        foot = (moved @ look) * look
        ax.plot(*zip(moved, foot, strict=True), color=color, lw=0.9, ls=":")
        ax.plot(*zip((0, 0), foot, strict=True), color=color, lw=3.5, alpha=0.6)
    _ray(ax, tuple(moved), "0.1", "motion", (0.42, -0.62))
    ax.set(
        xlim=(-1.05, 1.05),
        ylim=(-0.75, 1.0),
        aspect="equal",
        xlabel="east",
        ylabel="up",
        xticks=[],
        yticks=[],
    )
    ax.set_title("each track sees a shadow of the motion")


def decompose_los(folder: Path) -> None:
    """Draw two looks at one motion, and the tracks, east and up of the Coso geothermal field."""
    from xinsar.operations.los import decompose_los as decompose

    tracks = _coso(folder)
    motion = decompose(*tracks).motion * 1000
    figure, axes = plt.subplots(1, 5, figsize=(19, 3.7), layout="constrained", width_ratios=(1.1, 1, 1, 1, 1))
    _two_looks(axes[0])
    style = {"cmap": "RdBu_r", "vmin": -16, "vmax": 16}
    for ax, ds, name in zip(axes[1:], tracks, ("ascending", "descending"), strict=False):
        _map(ax, ds.velocity * 1000, f"{name}, toward the satellite", "mm/year", **style)
    for ax, name in zip(axes[3:], ("east", "up"), strict=True):
        _map(ax, motion.sel(component=name), name, "mm/year", **style)
    _save(figure, "decompose_los")


def to_slope() -> None:
    """Draw the sensitivity to downslope motion against the aspect, for each track and both."""
    aspect = np.arange(361.0)
    seen = [simulate.geometry.sensitivity(25.0, aspect, heading, 39.0) for heading in (348.0, 192.0)]
    figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    ax.axhspan(-0.3, 0.3, color="0.92")
    for values, name, color in zip(seen, ("ascending", "descending"), ("#0072B2", "#D55E00"), strict=True):
        ax.plot(aspect, values, color=color, label=name)
    ax.plot(aspect, np.hypot(*seen), color="0.1", ls="--", label="both: root of the sum of squares")
    ax.set(
        xlabel="aspect (degrees; the slope falls toward north, east, south, west)",
        ylabel="sensitivity S",
        xlim=(0, 360),
        ylim=(-1, 1.2),
        xticks=np.arange(0, 361, 45),
    )
    ax.set_title("share of downslope motion seen, slope 25 degrees; gray: left out by itself", fontsize=10)
    ax.legend(frameon=False, ncols=3, fontsize=8, loc="upper center")
    _save(figure, "to_slope")


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
    terrain()
    look_geometry()
    snow_mask(_real("sentinel2-clips"))
    if folder := _real("mexico-city-s1-gamma-stack"):
        stack_unwrapped(folder)
    to_slope()
    if folder := _real("coso-ridgecrest-asc-desc"):
        decompose_los(folder)
    import corrections
    import detections
    import fusion
    import geometry_drawings
    import hotspots
    import inventories
    import motion
    import residuals
    import series
    import simslide
    import simulation

    corrections.main()
    detections.main()
    fusion.main()
    hotspots.main()
    inventories.main()
    residuals.main()
    series.main()
    simslide.simslide()
    simslide.survey()
    simulation.main()
    geometry_drawings.main()
    motion.main()


if __name__ == "__main__":
    main()
