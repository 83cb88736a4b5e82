"""I have real pairs, and real velocities of two orbits: what do series and motion look like, and is it what is known?

With folders as arguments: ``mexico-city-s1-gamma-stack`` (``tests/test_data/cropA/geotiffs`` of
github.com/GeoscienceAustralia/PyRate, Apache-2.0: 30 unwrapped pairs and their coherence) and
``coso-ridgecrest-asc-desc`` (two MintPy velocities of github.com/parosen/Geo-SInC). Without them it says so and stops.
Writes ``09_mexico.png``, ``09_mexico.tif``, ``09_coso.png`` and ``09_coso.tif``.
"""

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xinsar
from xinsar import plot

PLACES = {"east": (-99.0543, 19.4395), "centre": (-99.1335, 19.4330), "west": (-99.1750, 19.4100)}


def at(values: xr.DataArray, x: float, y: float) -> float:
    """Return millimetres at a place."""
    return 1000 * float(values.sel(x=x, y=y, method="nearest"))


def mexico_city(folder: Path) -> None:
    """From pairs to series, velocities and months: the city sinks by up to 0.3 m a year."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names a file of another pixel size
        ds = xinsar.open_stack(folder)
    west = ds.isel(y=slice(20, 40), x=slice(5, 15))  # firm ground; every pair has a constant of its own
    area = tuple((float(west.x[i]), float(west.y[i])) for i in (0, -1))
    series = ds.insar.invert_network(reference=area).compute()
    dates = np.datetime_as_string(series.time.values[[0, -1]], unit="D")
    print(f"Mexico City: {ds.sizes['pair']} pairs of {series.sizes['time']} dates, {dates[0]} to {dates[1]}")
    print(f"  temporal coherence {float(series.temporal_coherence.median()):.2f} in the median")

    found = series.insar.velocity()
    months = series.insar.monthly_velocity().velocity
    rate = 1000 * found.velocity
    x, y = (float(rate.where(rate == rate.min(), drop=True)[d][0]) for d in "xy")
    print(f"  fastest: {at(found.velocity, x, y):.0f} ± {at(found.velocity_sigma, x, y):.0f} mm a year "
          f"at {x:.3f}, {y:.3f}")  # fmt: skip
    for month in months.time.values:
        print(f"    {str(month)[:7]}: {at(months.sel(time=month), x, y):5.0f} mm a year")

    # The plain stack of the same pairs, each weighted by its interval, as an independent answer.
    referred = ds.unwrapped_phase - west.unwrapped_phase.mean(("y", "x"))
    stack = ds.assign(unwrapped_phase=referred.assign_attrs(units="rad")).insar.stack_unwrapped().velocity
    both = (stack.notnull() & found.velocity.notnull()).values
    alike = np.corrcoef(stack.values[both], found.velocity.values[both])[0, 1]
    print(f"  velocities and the stack of the pairs: correlation {alike:.3f}")

    series.insar.to_geotiff("09_mexico.tif")
    figure, axes = plt.subplots(1, 2, figsize=(14, 4.6), layout="constrained")
    plot.velocity(found, ax=axes[0])
    for place, color in zip(PLACES.values(), ("#D55E00", "#009E73", "#0072B2"), strict=True):
        plot.series(series, *place, color=color, ax=axes[1])
        axes[0].plot(*place, "o", ms=9, mfc="none", mec=color, mew=2)
    axes[1].set_title(", ".join(PLACES), loc="left")
    figure.savefig("09_mexico.png", dpi=120)


def coso(folder: Path) -> None:
    """From two velocities to east and up: the geothermal field sinks, and its borders move inward."""
    tracks = [xinsar.open_stack(folder / name) for name in ("a064_velocity.h5", "d071_velocity.h5")]
    motion = xinsar.decompose_los(*tracks).compute()
    near = motion.motion.sel(x=slice(-117.98, -117.62), y=slice(36.2, 35.87))
    east, up = (1000 * near.sel(component=name) for name in ("east", "up"))
    lowest = up.where(up == up.min(), drop=True)
    print(
        f"Coso: sinks by {-float(up.min()):.1f} mm a year at {float(lowest.x[0]):.3f}, {float(lowest.y[0]):.3f}"
    )
    for name, end in (("eastward", east.max()), ("westward", east.min())):
        where = east.where(east == end, drop=True)
        print(
            f"  fastest {name}: {abs(float(end)):.1f} mm a year at {float(where.x[0]):.3f}, {float(where.y[0]):.3f}"
        )
    motion.insar.to_geotiff("09_coso.tif")
    axes = plot.motion(motion.sel(x=near.x, y=near.y), limit=16)
    axes[0].figure.savefig("09_coso.png", dpi=120)


folders = [Path(argument) for argument in sys.argv[1:]]
for folder in folders:
    if not folder.is_dir():
        print(f"{folder} is not there: skipped")
    elif (folder / "a064_velocity.h5").is_file():
        coso(folder)
    else:
        mexico_city(folder)
if not folders:
    print("Nothing to do: name the folders of the real data, see the first lines of this file.")
