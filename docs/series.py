"""Draw the pictures of series and velocities into docs/images: ``make pictures``.

The inversion is drawn from real data, only where their folder is (beside the checkout, or in $XINSAR_TEST_DATA).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from pictures import SEED, _map, _real, _save

import xinsar
from xinsar.operations.network import invert_network as invert
from xinsar.operations.rates import monthly_velocity as monthly
from xinsar.operations.rates import velocity as fit

_YEAR = np.timedelta64(31_557_600_000_000_000, "ns")
_DAY = np.timedelta64(1, "D")
_LINE, _DOTS, _OTHER = "#1f5f99", "0.35", "#c0504d"


def _dates(ax: Any) -> None:
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def _pairs(ax: Any, ds: xr.Dataset) -> None:
    """Draw every pair as an arc between its dates."""
    share = np.linspace(0, 1, 30)
    for first, last in zip(ds.reference_time.values, ds.secondary_time.values, strict=True):
        height = (last - first) / _DAY
        ax.plot(first + (last - first) * share, 4 * height * share * (1 - share), color=_LINE, lw=0.8)
    dates = np.unique([ds.reference_time.values, ds.secondary_time.values])
    ax.plot(dates, np.zeros(dates.size), "o", color="k", ms=4)
    ax.set(title=f"{ds.sizes['pair']} pairs of {dates.size} dates", ylabel="days between the dates of a pair")
    _dates(ax)


def invert_network(folder: Path) -> None:
    """Draw the pairs of the Mexico City stack, its last date, and the series of three places."""
    ds = xinsar.open_stack(folder / "unw").load()
    west = ds.isel(y=slice(20, 40), x=slice(5, 15))
    area = tuple((float(west.x[i]), float(west.y[i])) for i in (0, -1))
    moved = 1000 * invert(ds, reference=area).displacement
    figure, axes = plt.subplots(1, 3, figsize=(14.7, 3.9), layout="constrained")
    _pairs(axes[0], ds)
    _map(axes[1], moved[-1], "displacement on the last date", "mm toward the satellite", cmap="viridis")
    for (x, y), mark in (((-99.054, 19.440), "o"), ((-99.10, 19.42), "s"), ((-99.175, 19.41), "^")):
        one = moved.sel(x=x, y=y, method="nearest")
        axes[2].plot(one.time, one, f"-{mark}", ms=4, label=f"{x:.3f}, {y:.3f}")
        axes[1].plot(x, y, mark, mfc="none", mec="w", ms=7)
    axes[2].set(title="three places", ylabel="mm toward the satellite")
    axes[2].legend(fontsize=8, loc="lower left")
    _dates(axes[2])
    _save(figure, "invert_network")


def _simulated(days: Any, values: Any, noise: float = 0.003) -> xr.DataArray:
    rng = np.random.default_rng(SEED)
    time = np.datetime64("2020-01-01", "ns") + days * _DAY
    noisy = values + noise * rng.standard_normal(days.size)
    return xr.DataArray(
        (noisy - noisy[0])[:, None, None],
        dims=("time", "y", "x"),
        coords={"time": time},
        attrs={"units": "m"},
    )


def velocity() -> None:
    """Draw a series with seasons and a step, and what a line alone and the whole model make of it."""
    days = np.arange(0, 820, 12)
    t = days / 365.25
    course = -0.02 * t + 0.01 * np.sin(2 * np.pi * t) + np.where(days >= 500, 0.035, 0)
    series = _simulated(days, course)
    plain, full = fit(series), fit(series, seasonal="annual", steps="2021-05-15")
    figure, ax = plt.subplots(figsize=(8.4, 3.9), layout="constrained")
    ax.plot(series.time, 1000 * series[:, 0, 0], "o", color=_DOTS, ms=4)
    ax.axvline(np.datetime64("2021-05-15"), color="0.7", lw=1, ls=":")
    middle = 1000 * float(series.mean())
    for found, color, name in ((plain, _OTHER, "line alone"), (full, _LINE, "with annual term and step")):
        rate, error = (1000 * float(found[v][0, 0]) for v in ("velocity", "velocity_sigma"))
        ax.plot(
            series.time,
            middle + rate * (t - t.mean()),
            color=color,
            label=f"{name}: {rate:.1f} ± {error:.1f} mm/year",
        )
    ax.set(ylabel="displacement, mm", title="a place that sinks by 20 mm/year", ylim=(-34, 28))
    ax.legend(fontsize=9, loc="upper left")
    _dates(ax)
    _save(figure, "velocity")


def monthly_velocity() -> None:
    """Draw a series with a gap and the velocity of its months."""
    days = np.arange(0, 730, 12)
    days = days[(days < 380) | (days > 460)]
    series = _simulated(days, -0.03 * np.maximum(days / 365.25 - 0.6, 0) ** 2 * 2, noise=0.001)
    found = monthly(series).velocity[:, 0, 0]
    figure, axes = plt.subplots(2, 1, figsize=(8.4, 4.8), layout="constrained", sharex=True)
    axes[0].plot(series.time, 1000 * series[:, 0, 0], "-o", color=_DOTS, ms=4, lw=0.8)
    axes[0].set(ylabel="displacement, mm")
    starts = found.time.values.astype("datetime64[M]")
    for start, value in zip(starts, 1000 * found.values, strict=True):
        ends = np.array([start, start + 1]).astype("datetime64[ns]")
        if np.isnan(value):
            for ax in axes:
                ax.axvspan(*ends, color="0.9")
        else:
            axes[1].fill_between(ends, 0, value, color=_LINE, ec="w", lw=0.5)
    axes[1].set(ylabel="mm/year", title="velocity of every month; grey: months in the gap")
    _dates(axes[1])
    _save(figure, "monthly_velocity")


def main() -> None:
    """Draw all of them."""
    velocity()
    monthly_velocity()
    if folder := _real("mexico-city-s1-gamma-stack"):
        invert_network(folder)


if __name__ == "__main__":
    main()
