"""Draw the pictures of closure, atmosphere and the stability threshold into docs/images: ``make pictures``.

Everything is simulated: turbulence of every date, slopes that slide, and pairs with planted errors of unwrapping.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from pictures import SEED, _couple, _map, _save

from xinsar.operations.atmosphere import atmosphere_filter as without_atmosphere
from xinsar.operations.closure import phase_closure as close
from xinsar.operations.rates import velocity
from xinsar.operations.stability import stability_threshold as threshold_of
from xinsar.simulate import atmosphere as weather
from xinsar.simulate.fields import stream

_SHAPE, _SPACING, _DATES = (140, 180), 25.0, 48
_DAY = np.timedelta64(1, "D")
_LINE, _DOTS, _OTHER = "#1f5f99", "0.6", "#c0504d"
_BODIES = ((45, 60, 150, -0.030), (95, 130, 200, -0.020), (105, 45, 90, 0.025), (35, 140, 110, -0.015))
"""Row, column, standard deviation (m) and velocity (m/year) of what slides."""


def _delays() -> Any:
    """Return the delay of every date, m toward the satellite."""
    track = weather.atmosphere(SEED, "residuals", _DATES, np.zeros(_SHAPE, np.float32), spacing=_SPACING)
    draws = [stream(SEED, "residuals", "turbulence", d) for d in range(_DATES)]
    return np.array([weather.delay(track, rng, d) for d, rng in enumerate(draws)], float)


def _motion(days: Any) -> Any:
    """Return the motion of every date; the first body speeds up in its second year."""
    row, column = np.indices(_SHAPE)
    years = (days / 365.25)[:, None, None]
    total = np.zeros((days.size, *_SHAPE))
    for number, (y, x, size, rate) in enumerate(_BODIES):
        shape = np.exp(-((row - y) ** 2 + (column - x) ** 2) / 2 / (size / _SPACING) ** 2)
        course = years + (1.5 * np.maximum(years - 0.9, 0) if number == 0 else 0)
        total += rate * course * shape
    return total


def _series() -> tuple[xr.DataArray, Any]:
    """Return displacement with delays and noise, and the motion alone."""
    days = 12 * np.arange(_DATES)
    motion = _motion(days)
    noise = 0.0015 * np.random.default_rng(SEED).normal(size=motion.shape)
    values = motion + _delays() + noise
    coords = {
        "time": np.datetime64("2021-01-01", "ns") + days * _DAY,
        "y": -_SPACING * np.arange(_SHAPE[0]),
        "x": _SPACING * np.arange(_SHAPE[1]),
    }
    series = xr.DataArray(values - values[0], coords, ("time", "y", "x"), attrs={"units": "m"})
    series.x.attrs["units"] = "m"
    return series, motion


def _pairs() -> xr.Dataset:
    """Return unwrapped pairs of seven dates; two of them hold a patch that is a turn off."""
    pairs = [(i, j) for i, j in combinations(range(7), 2) if j - i < 4]
    delays = -4 * np.pi / 0.0555 * _delays()[:7]
    rng = np.random.default_rng(SEED)
    phase = np.array([delays[j] - delays[i] for i, j in pairs]) + 0.25 * rng.normal(
        size=(len(pairs), *_SHAPE)
    )
    row, column = np.indices(_SHAPE)
    phase[pairs.index((1, 3)), (row - 85) ** 2 + (column - 85) ** 2 < 40**2] += 2 * np.pi
    phase[pairs.index((4, 5)), (row < 70) & (column < 50 + 0.6 * row)] -= 2 * np.pi
    first, second = np.array(pairs).T
    start = np.datetime64("2021-01-01", "ns")
    return xr.Dataset(
        {"unwrapped_phase": (("pair", "y", "x"), phase.astype(np.float32), {"units": "rad"})},
        {
            "y": -_SPACING * np.arange(_SHAPE[0]),
            "x": _SPACING * np.arange(_SHAPE[1]),
            "reference_time": ("pair", start + 12 * first * _DAY),
            "secondary_time": ("pair", start + 12 * second * _DAY),
        },
    )


def _arcs(ax: Any, ds: xr.Dataset, share: xr.DataArray) -> None:
    """Draw every pair as an arc between its dates, in the colour of its share of open closures."""
    part, top = np.linspace(0, 1, 30), float(share.max())
    for first, last, value in zip(
        ds.reference_time.values, ds.secondary_time.values, share.values, strict=True
    ):
        height, color = (last - first) / _DAY, plt.get_cmap("plasma_r")(0.1 + 0.9 * value / top)
        arc = first + (last - first) * part, 4 * height * part * (1 - part)
        ax.plot(*arc, color=color, lw=1.5 + 3 * value / top, solid_capstyle="round")
    dates = np.unique([ds.reference_time.values, ds.secondary_time.values])
    ax.plot(dates, np.zeros(dates.size), "o", color="k", ms=5, zorder=3)
    scale = plt.cm.ScalarMappable(plt.Normalize(0, 100 * top), "plasma_r")
    ax.figure.colorbar(scale, ax=ax, shrink=0.9, label="open closures, %")
    ax.set(title="each pair: closure_error_share", ylabel="days between the dates of a pair")
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def phase_closure() -> None:
    """Draw the closure of one triplet, the number of open ones, and the pairs they belong to."""
    ds = _pairs()
    found = close(ds)
    figure, axes = plt.subplots(1, 3, figsize=(15, 3.9), layout="constrained")
    days = [(found[f"{n}_time"] - ds.reference_time.min()) / _DAY for n in ("first", "second", "third")]
    number = int(np.flatnonzero((days[0] == 12) & (days[2] == 36))[0])
    _map(axes[0], found.closure[number], "closure of three dates", "rad", **_couple(7))
    levels = {"cmap": plt.get_cmap("magma_r", 7), "vmin": -0.5, "vmax": 6.5}
    _map(axes[1], found.closure_errors, "closure_errors", "triplets that do not close", **levels)
    _arcs(axes[2], ds, found.closure_error_share)
    _save(figure, "phase_closure")


def atmosphere_filter() -> None:
    """Draw one date before and after, the atmosphere found, and the series of a slope that speeds up."""
    series, motion = _series()
    found = without_atmosphere(series)
    figure, axes = plt.subplots(1, 4, figsize=(19, 3.6), layout="constrained", width_ratios=(1, 1, 1, 1.25))
    change = found.atmosphere - found.atmosphere[0]
    date, style = int((change**2).mean(("y", "x")).argmax("time")), _couple(25)
    _map(axes[0], 1000 * series[date], "one date", "mm toward the satellite", **style)
    _map(axes[1], 1000 * change[date], "its atmosphere, less the first date's", "mm", **style)
    _map(axes[2], 1000 * found.displacement[date], "without it", "mm toward the satellite", **style)
    y, x = _BODIES[0][:2]
    for ax in axes[:3:2]:
        ax.plot(x * _SPACING, -y * _SPACING, "o", mfc="none", mec="k", ms=9)
    axes[3].plot(series.time, 1000 * series[:, y, x], "o-", color=_DOTS, ms=3, lw=0.8, label="before")
    axes[3].plot(
        series.time, 1000 * found.displacement[:, y, x], "o-", color=_LINE, ms=3, lw=1.2, label="after"
    )
    axes[3].plot(series.time, 1000 * motion[:, y, x], color=_OTHER, lw=1.5, label="true motion")
    axes[3].set(title="the slope in the circle", ylabel="mm toward the satellite")
    axes[3].xaxis.set_major_formatter(ConciseDateFormatter(axes[3].xaxis.get_major_locator()))
    axes[3].legend(frameon=False)
    _save(figure, "atmosphere_filter")


def stability_threshold() -> None:
    """Draw how velocities are spread, and where they exceed the threshold."""
    rates = velocity(_series()[0]).velocity
    found = threshold_of(rates)
    limit = 1000 * float(found.stability_threshold)
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained", width_ratios=(1.2, 1))
    axes[0].hist(1000 * rates.values.ravel(), bins=120, color="0.7", log=True)
    for side in (-limit, limit):
        axes[0].axvline(side, color=_OTHER, lw=1.5, ls="--")
    axes[0].set(
        xlabel="velocity, mm/year", ylabel="pixels", title=f"two standard deviations: {limit:.1f} mm/year"
    )
    _map(axes[1], 1000 * rates, "velocity; outlined: moving", "mm/year toward the satellite", **_couple(20))
    axes[1].contour(rates.x, rates.y, found.moving, levels=[0.5], colors="k", linewidths=1.2)
    _save(figure, "stability_threshold")


def main() -> None:
    """Draw all of them."""
    phase_closure()
    atmosphere_filter()
    stability_threshold()


if __name__ == "__main__":
    main()
