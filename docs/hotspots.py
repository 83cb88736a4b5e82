"""Draw the pictures of hot spots into docs/images and measure docs/_hot_spots.md: ``make pictures``.

Simulated pictures come from the scene of the others. The real ones, and the page, are made only where the folder of
real data is (beside the checkout, or in $XINSAR_TEST_DATA) and otherwise left as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from pictures import SEED, _real, _save
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter

import xinsar
from xinsar import plot, simulate

PAGE = Path(__file__).parent / "_hot_spots.md"
SPACING = 25.0
TOWARD = "mm/year toward the satellite"


# ---- simulated

SCENE = 13
"""A scene with bodies that move either way."""


def scene() -> Any:
    """Return the simulated area of the pictures of hot spots."""
    return simulate.scene(SCENE, shape=(256, 256), tracks=["ascending"], chunks=64)


def moving_ground(area: Any, noise: float = 0.005) -> xr.Dataset:
    """Return the velocity (y, x) of the bodies of a scene toward the satellite, with noise of every pixel."""
    track, rng = area.cube["ascending"].to_dataset(), np.random.default_rng(SEED)
    shape = track.sizes["y"], track.sizes["x"]
    moving = gaussian_filter(body_map(area, area.truth.los_velocity_ascending), 1.5)
    velocity = (moving + rng.normal(0, noise, shape)).astype("f4")
    ds = track[["elevation"]].assign(velocity=(("y", "x"), velocity, {"units": "m year-1"}))
    ds["velocity"] = ds.velocity.where(gaussian_filter(rng.normal(size=shape), 3) < 0.13)
    return ds


def body_map(area: Any, values: Any) -> Any:
    """Return ``values`` of the bodies of a scene on its pixels, 0 elsewhere."""
    track = area.cube["ascending"].to_dataset()
    shapes = list(zip(area.truth.geometry, np.asarray(values, float), strict=True))
    return rasterize(
        shapes, out_shape=track.elevation.shape, transform=track.rio.transform(), dtype="float64"
    )


def scattered(ds: xr.Dataset, number: int, *, seed: int = SEED) -> xr.Dataset:
    """Return a velocity map at random places, with noise of its own for every point."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(ds.sizes[dim], size=number) for dim in ("y", "x"))
    down, across = rng.uniform(-0.5, 0.5, (2, number)) * SPACING
    velocity = ds.velocity.fillna(0).values[rows, columns] + rng.normal(0, 0.001, number)
    places = {"x": ("point", ds.x.values[columns] + across), "y": ("point", ds.y.values[rows] + down)}
    points = xr.Dataset({"velocity": ("point", velocity, {"units": "m year-1"})}, places)
    return points.assign_coords(spatial_ref=ds.spatial_ref)


COURSES = {
    "speeds up": lambda t: 0.3 + 1.4 * t,
    "slows down": lambda t: 0.4 + 1.4 * np.exp(-3 * t),
    "steady": lambda t: np.ones_like(t),
    "begins late": lambda t: 1.5 * (t > 0.7),
    "just stopped": lambda t: 1.0 * (t < 0.98),
    "comes and goes": lambda t: 2.0 * ((3 * t) % 1 > 0.6),
}
"""Speeds of the bodies of a simulated series over the time 0..1, times their mean."""


def moving_series(area: Any, dates: int = 36) -> tuple[xr.DataArray, Any]:
    """Return monthly velocities (time, y, x) of a scene whose bodies move each in its own way, and the ways."""
    ds, rng = moving_ground(area), np.random.default_rng(SEED)
    time = np.linspace(0, 1, dates)
    largest_first = np.argsort(np.argsort(-area.truth["area"].values))
    ways = [list(COURSES)[i % len(COURSES)] for i in largest_first]
    speeds = np.array([COURSES[way](time) for way in ways]).T * np.sign(
        area.truth.los_velocity_ascending.values
    )
    months = [gaussian_filter(0.02 * body_map(area, speed), 1.5) for speed in speeds]
    noise = rng.normal(0, 0.008, (dates, *months[0].shape))
    days = np.datetime64("2021-01-15", "ns") + (time * 3 * 365).astype("m8[D]")
    coords = {"time": days, **ds.velocity.coords}
    series = xr.DataArray(np.add(months, noise).astype("f4"), coords, ("time", "y", "x"), "velocity")
    return series.assign_attrs(units="m year-1"), ways


def outline_truth(ax: Any, area: Any) -> None:
    """Draw what really moves, dashed."""
    area.truth.boundary.plot(ax=ax, color="black", lw=1.0, ls="--")
    bare(ax)


def title(ax: Any, text: str) -> None:
    """Write a short title, beside which a legend has room."""
    ax.set_title(text, loc="left")


def bare(*axes: Any) -> None:
    """Take names and ticks from maps."""
    for ax in axes:
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")


def maps(count: int, *, height: float = 4.6, width: float = 5.9) -> tuple[Any, Any]:
    """Return a figure with maps side by side, with room for the colour bar of each."""
    figure, axes = plt.subplots(1, count, figsize=(width * count, height))
    figure.subplots_adjust(left=0.01, right=1 - 0.16 / count, bottom=0.03, top=0.92, wspace=0.32)
    return figure, axes


def getis_ord(area: Any) -> None:
    """Draw a velocity map and its hot spots over the terrain."""
    ds = moving_ground(area)
    figure, axes = maps(2)
    velocity(ds, axes[0])
    plot.hot_spots(ds.insar.getis_ord(75, fdr=True), elevation=ds.elevation, ax=axes[1])
    title(axes[1], "hot spots")
    for ax in axes:
        outline_truth(ax, area)
    _save(figure, "getis_ord")


def velocity(ds: xr.Dataset, ax: Any, limit: float = 30) -> None:
    """Draw a velocity map."""
    field_map(ds.velocity * 1e3, ax, TOWARD, cmap="RdBu_r", vmin=-limit, vmax=limit)
    title(ax, "velocity")


def field_map(array: xr.DataArray, ax: Any, label: str, **style: Any) -> None:
    """Draw a map with its colour bar, missing pixels grey, without ticks."""
    drawn = array.plot.imshow(ax=ax, add_colorbar=False, interpolation="nearest", **style)
    ax.set_title("")
    ax.set_facecolor("0.75")
    ax.set_aspect(1 / np.cos(np.radians(float(array.y.mean()))) if abs(array.y).max() <= 90 else 1)
    ax.figure.colorbar(drawn, cax=ax.inset_axes([1.04, 0, 0.045, 1]), label=label)
    bare(ax)


def hot_spot_map(area: Any) -> None:
    """Draw points, their z scores and the density of these."""
    points = scattered(moving_ground(area, 0.002), 6000)
    target = area.cube["ascending"].to_dataset().elevation
    figure, axes = maps(3)
    plot.points(points, ax=axes[0])
    plot.hot_spots(xinsar.getis_ord(points, 150), ax=axes[1])
    plot.density(xinsar.hot_spot_map(points, 150, target=target), ax=axes[2])
    for ax, name in zip(axes, ("points: velocity", "Gi*", "density of Gi*: the hot-spot map"), strict=True):
        outline_truth(ax, area)
        title(ax, name)
    _save(figure, "hot_spot_map")


def kernel_density() -> None:
    """Draw both kernels, what each holds within a distance, and the density of points."""
    d = np.linspace(0, 1.15, 400)
    room = np.maximum(1 - d**2, 0)
    curves = {
        "quartic": (3 / np.pi * room**2, 1 - room**3, "#0072B2"),
        "printed": (3 / np.pi * room, 1.5 * (1 - room**2), "#D55E00"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(14, 4), width_ratios=(1, 1, 1.25), layout="constrained")
    for name, (height, inside, color) in curves.items():
        axes[0].plot(d, height, color=color, label=name, lw=2)
        axes[1].plot(d, inside, color=color, label=name, lw=2)
    axes[0].set(xlabel="distance / radius", ylabel="kernel x radius²", ylim=(0, 1.05))
    axes[1].set(xlabel="distance / radius", ylabel="held within the distance", ylim=(0, 1.6))
    axes[1].set_yticks([0, 0.5, 1, 1.5])
    for ax in axes[:2]:
        ax.grid(visible=True, color="0.9")
        ax.legend(frameon=False, loc="lower left" if ax is axes[0] else "lower right")
    points = villages(900)
    plot.density(xinsar.kernel_density(points, 250, target=(-200, -200, 4200, 3200, 20)), ax=axes[2])
    axes[2].plot(points.x, points.y, ".", ms=1.5, color="black", alpha=0.5, scalex=False, scaley=False)
    axes[2].set_title("900 points, radius 250 m", loc="left")
    bare(axes[2])
    _save(figure, "kernel_density")


def villages(number: int) -> xr.Dataset:
    """Return points, most of them around a few places."""
    rng = np.random.default_rng(SEED)
    home = rng.uniform((600, 500), (3400, 2500), (6, 2))[rng.integers(6, size=number)]
    spread = rng.choice([60, 200, 700], size=(number, 1), p=(0.3, 0.4, 0.3))
    x, y = (home + spread * rng.normal(size=(number, 2))).T
    points = xr.Dataset(coords={"x": ("point", x), "y": ("point", y)})
    points.x.attrs["units"] = points.y.attrs["units"] = "m"
    return points


def emerging_hot_spots(area: Any) -> None:
    """Draw the categories of a series, and how each body moves."""
    series, ways = moving_series(area)
    found = xinsar.emerging_hot_spots(series, 100)
    figure, ax = plt.subplots(figsize=(9, 5.4))
    figure.subplots_adjust(left=0.01, right=0.66, bottom=0.02, top=0.98)
    plot.emerging(found, elevation=area.cube["ascending"].to_dataset().elevation, ax=ax)
    outline_truth(ax, area)
    for way, place in zip(ways, area.truth.geometry, strict=True):
        left, bottom, right, _ = place.bounds
        ax.annotate(way, ((left + right) / 2, bottom - 60), ha="center", va="top", fontsize=9, bbox=_PAPER)
    _save(figure, "emerging_hot_spots")


_PAPER = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}


def rasterize_points(area: Any) -> None:
    """Draw points, the median and the number of those in each pixel."""
    points = scattered(moving_ground(area, 0.002), 6000)
    made = xinsar.rasterize_points(points, 100)
    figure, axes = maps(3)
    plot.points(points, ax=axes[0])
    velocity(made, axes[1], 10)
    for ax, name in zip(axes, ("6000 points", "median in pixels of 100 m", "number of points"), strict=True):
        title(ax, name)
    field_map(made.point_count.where(made.point_count > 0), axes[2], "points in a pixel", vmin=0)
    bare(*axes)
    _save(figure, "rasterize_points")


# ---- real

MAOXIAN, AMSTERDAM = "maoxian-landslide-ps-stamps", "amsterdam-depsi-ps"
KIRISHIMA, CAMPI_FLEGREI = "kirishima-alos2-mintpy", "campi-flegrei-licsbas"


def stands_out(z: xr.DataArray, times: float = 5) -> xr.DataArray:
    """Return -1, 0 or 1: where z lies farther from its median than ``times`` the spread that is usual."""
    apart = z - z.median()
    spread = 1.4826 * abs(apart).median()
    return xr.where(abs(apart) > times * spread, np.sign(apart), 0)


def hot_spots_kirishima(folder: Path) -> None:
    """Draw the two places where the volcanoes move."""
    ds = xinsar.open_stack(folder).compute()
    hot = ds.insar.getis_ord(100)
    figure, axes = maps(2, height=5.1)
    velocity(ds, axes[0], 15)
    outlined = hot.assign(significant=stands_out(hot.hot_spot) != 0)
    plot.hot_spots(outlined, elevation=ds.elevation, ax=axes[1])
    axes[1].get_legend().remove()
    title(axes[1], "hot spots, outlined beyond five spreads")
    bare(axes[1])
    for name, (row, column) in {"Iwo-yama": (181, 179), "Shinmoe-dake": (370, 346)}.items():
        place = ds.x.values[column], ds.y.values[row]
        for ax in axes:
            ax.annotate(name, place, (0, 34), textcoords="offset points", ha="center", bbox=_PAPER)
    _save(figure, "hot_spots_kirishima")


def hot_spots_campi_flegrei(folder: Path) -> None:
    """Draw the bowl of uplift at Pozzuoli."""
    ds = xinsar.open_stack(folder).compute()
    hot = ds.insar.getis_ord(300)
    figure, axes = maps(2, height=4.2)
    shown = ds.assign(velocity=ds.velocity - ds.velocity.median())
    velocity(shown, axes[0], 60)
    title(axes[0], "velocity less its median")
    outlined = hot.assign(significant=stands_out(hot.hot_spot) != 0)
    plot.hot_spots(outlined, elevation=ds.elevation, ax=axes[1])
    axes[1].get_legend().remove()
    title(axes[1], "hot spots, outlined beyond five spreads")
    bare(axes[1])
    for ax in axes:
        ax.annotate("Pozzuoli", (14.1225, 40.8236), (-38, -30), textcoords="offset points", ha="center",
                    bbox=_PAPER, arrowprops={"arrowstyle": "-"})  # fmt: skip
    _save(figure, "hot_spots_campi_flegrei")


def hot_spots_maoxian(folder: Path) -> None:
    """Draw the points above Xinmo with the outline of the landslide, whole and at its head."""
    import geopandas

    points = xinsar.open_points(folder / "Maoxian_PS.csv")
    outline = geopandas.read_file(folder / "Maoxian_polygon.geojson")
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.4))
    figure.subplots_adjust(left=0.06, right=0.91, bottom=0.1, top=0.92, wspace=0.42)
    plot.points(points, ax=axes[0])
    plot.hot_spots(points.insar.getis_ord(100, fdr=True), ax=axes[1])
    left, bottom, right, top = outline.total_bounds
    axes[0].set(xlim=(left - 0.001, right + 0.003), ylim=(bottom - 0.001, top + 0.003))
    axes[1].set(xlim=(103.6585, 103.6685), ylim=(32.0752, 32.0836))
    for ax, name in zip(axes, ("velocity before the failure", "hot spots at the head"), strict=True):
        title(ax, name)
        ax.set_facecolor("0.88")
        outline.boundary.plot(ax=ax, color="black", lw=1.2, aspect=None)
    _save(figure, "hot_spots_maoxian")


def open_points(folder: Path) -> None:
    """Draw the points above Xinmo, and the series of some."""
    points = xinsar.open_points(folder / "Maoxian_PS.csv")
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(1, 1.25))
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.12, top=0.92, wspace=0.5)
    plot.points(points, ax=axes[0])
    speed = points.velocity.argsort().values
    for name, some, color in (("fastest seven", speed[:7], "#0072B2"), ("slowest seven", speed[-7:], "0.6")):
        series = points.displacement.isel(point=some) * 1000
        axes[1].plot(points.time, series, color=color, lw=0.8, alpha=0.8)
        axes[1].plot(points.time, series.median("point"), color=color, lw=2.4, label=name)
    axes[1].set(ylabel="mm toward the satellite")
    axes[1].xaxis.set_major_formatter(ConciseDateFormatter(axes[1].xaxis.get_major_locator()))
    axes[1].legend(frameon=False, loc="lower left")
    axes[1].grid(visible=True, color="0.9")
    title(axes[1], "displacement, Xinmo")
    _save(figure, "open_points")


TEXT = """\
| data | within | valid | hot, cold by `significant` | largest, smallest z | hot, cold beyond five spreads |
|---|---|---|---|---|---|
{rows}

Much of the maps and of Amsterdam is "significant", because neighbours share their noise: the warning above, in
numbers. Beyond five spreads there are, on Kirishima, two places and nothing else: Iwo-yama (largest z {iwo:.0f} m
from the pixel that rises fastest) and the crater of Shinmoe-dake with its rims. On Campi Flegrei it is one body, the
bowl of uplift at Pozzuoli (largest z {pozzuoli:.1f} km east of the town, as is to be expected where the east side
also moves outward, toward a satellite in the east). Above Xinmo it is {cold} points at the head of the slope that
failed in 2017, in Amsterdam nothing. With the velocities of Amsterdam dealt out anew at random, {shuffled:.1f} % are
significant.
"""


def measure(name: str, ds: xr.Dataset, distance: float) -> tuple[str, xr.Dataset]:
    """Return the line of a data set in the table, and its hot spots."""
    hot = ds.insar.getis_ord(distance, fdr=True).compute()
    z, valid = hot.hot_spot, int(hot.hot_spot.notnull().sum())
    beyond = stands_out(z)
    cells = [
        name,
        f"{distance:g} m",
        f"{valid}",
        ", ".join(f"{100 * int((hot.significant & (s * z > 0)).sum()) / valid:.3g} %" for s in (1, -1)),
        f"{float(z.max()):.1f}, {float(z.min()):.1f}",
        ", ".join(f"{100 * int((beyond == s).sum()) / valid:.2g} %" for s in (1, -1)),
    ]
    return f"| {' | '.join(cells)} |", hot


def apart(hot: xr.Dataset, place: tuple[float, float]) -> float:
    """Return how far the largest z lies from a longitude and latitude, metres."""
    from pyproj import Geod

    best = hot.hot_spot.isel(hot.hot_spot.argmax(...))
    return float(Geod(ellps="WGS84").inv(float(best.x), float(best.y), *place)[2])


def page(folders: dict[str, Path]) -> str:
    """Return what is measured on the real data."""
    kirishima, campi = (xinsar.open_stack(folders[n]).compute() for n in (KIRISHIMA, CAMPI_FLEGREI))
    xinmo = xinsar.open_points(folders[MAOXIAN] / "Maoxian_PS.csv")
    amsterdam = xinsar.open_points(folders[AMSTERDAM])
    rows, hots = zip(
        measure("Kirishima, map of ALOS-2", kirishima, 100),
        measure("Campi Flegrei, map of Sentinel-1", campi, 300),
        measure("Xinmo, points of Sentinel-1", xinmo, 100),
        measure("Amsterdam, points, little motion", amsterdam, 10),
        strict=True,
    )
    shuffled = amsterdam.velocity.copy(data=np.random.default_rng(0).permutation(amsterdam.velocity.values))
    iwo = float(kirishima.x[179]), float(kirishima.y[181])
    return TEXT.format(
        rows="\n".join(rows),
        iwo=apart(hots[0], iwo),
        pozzuoli=apart(hots[1], (14.1225, 40.8236)) / 1000,
        cold=int((stands_out(hots[2].hot_spot) < 0).sum()),
        shuffled=100 * float(xinsar.getis_ord(shuffled, 10, fdr=True).significant.mean()),
    )


def main() -> None:
    """Draw all of them, and write the page."""
    area = scene()
    for draw in (getis_ord, hot_spot_map, emerging_hot_spots, rasterize_points):
        draw(area)
    kernel_density()
    folders = {name: _real(name) for name in (KIRISHIMA, CAMPI_FLEGREI, MAOXIAN, AMSTERDAM)}
    found = {name: folder for name, folder in folders.items() if folder is not None}
    pictures = {
        KIRISHIMA: hot_spots_kirishima,
        CAMPI_FLEGREI: hot_spots_campi_flegrei,
        MAOXIAN: hot_spots_maoxian,
    }
    for name in set(pictures) & set(found):
        pictures[name](found[name])
    if MAOXIAN in found:
        open_points(found[MAOXIAN])
    if len(found) == len(folders):
        PAGE.write_text(page(found))


if __name__ == "__main__":
    main()
