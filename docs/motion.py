"""Draw the way from pairs to motion into docs/images: ``make pictures``. The data are those of the example."""

from __future__ import annotations

import contextlib
import runpy
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from pictures import SEED, _save

import xinsar
from xinsar import plot

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "08_motion_two_orbits.py"


def _example() -> dict[str, Any]:
    """Run the example in a folder of its own and return what it found."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return runpy.run_path(str(EXAMPLE))


def motion() -> None:
    """Draw east and up, motion down the slope, and the series of the fastest place."""
    found = _example()
    part = {"y": slice(70, 192), "x": slice(18, 140)}
    elevation = found["elevation"].isel(part)
    figure, axes = plt.subplots(1, 4, figsize=(17.5, 4.2), layout="constrained", width_ratios=(1, 1, 1, 1.25))
    plot.motion(found["motion"].isel(part), elevation=elevation, limit=80, ax=axes[:2])
    plot.slope_arrows(
        found["down"].assign(found["ground"]).isel(part), elevation=elevation, spacing=125, ax=axes[2]
    )
    axes[2].set_ylabel("")
    plot.series(found["series"]["descending"], *found["place"], ax=axes[3])
    axes[0].plot(*found["place"], "o", ms=9, mfc="none", mec="black", mew=1.5)
    axes[3].set_title("the circled place, descending", loc="left")
    _save(figure, "motion")


def plot_series() -> None:
    """Draw a simulated series with a season, a step and a gap, and its model."""
    days = np.arange(0, 1096, 12)
    t = days / 365.25
    course = -0.018 * t + 0.006 * np.sin(2 * np.pi * t) + np.where(days >= 500, 0.03, 0)
    course += np.random.default_rng(SEED).normal(0, 0.002, days.size)
    course[(days > 700) & (days < 830)] = np.nan
    time = np.datetime64("2020-01-01", "ns") + days * np.timedelta64(1, "D").astype("m8[ns]")
    ds = xr.Dataset(
        {"displacement": (("time", "y", "x"), course[:, None, None], {"units": "m"})}, {"time": time}
    )
    found = xinsar.velocity(ds, seasonal="annual", steps="2021-05-15")
    figure, ax = plt.subplots(figsize=(8.4, 3.6), layout="constrained")
    plot.series(ds, 0, 0, fit=found, ax=ax)
    ax.set_title("a place that sinks by 18 mm a year", loc="left")
    _save(figure, "plot_series")


def main() -> None:
    """Draw all of them."""
    motion()
    plot_series()


if __name__ == "__main__":
    main()
