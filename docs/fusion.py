"""Draw the picture of two fused tracks into docs/images: ``make pictures``."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from pictures import SEED, _map, _save
from scipy.ndimage import gaussian_filter

import xinsar
from xinsar import simulate
from xinsar.operations.fusion import fuse_tracks as fuse

_DAY = np.timedelta64(1, "D")
_START = np.datetime64("2020-01-01", "ns")
_LOOKS = {"ascending": (348.0, 39.0), "descending": (192.0, 37.0)}
_EAST, _UP = 0.0163, -0.006
"""Velocity of the body, m year-1."""


def _ground() -> tuple[xr.Dataset, Any]:
    """Return the terrain of a simulated scene, and a body that moves east."""
    ds = simulate.scene(SEED, shape=(96, 96), tracks=["ascending"], chunks=64).cube["ascending"].to_dataset()
    row, column = np.indices((96, 96))
    return xinsar.terrain(ds), np.hypot((row - 50) / 18, (column - 52) / 13) < 1


def _track(name: str, ground: xr.Dataset, body: Any, days: Any, tilt: float) -> xr.Dataset:
    """Return the series of a track whose zero tilts, with weather and noise."""
    rng = np.random.default_rng([SEED, len(name)])
    east, _, up = simulate.los_vector(*_LOOKS[name])
    rate = (east * _EAST + up * _UP) * body
    rate = rate + tilt * (np.linspace(-1, 1, 96) + np.linspace(0, 1, 96)[:, None])
    weather = [20 * gaussian_filter(rng.normal(size=body.shape), 20) for _ in days]
    noise = 0.003 * (np.array(weather) + 0.7 * rng.normal(size=(days.size, 96, 96)))
    values = ((days - days[0]) / 365.25)[:, None, None] * rate + noise
    return xr.Dataset(
        {"displacement": (("time", "y", "x"), values - values[0], {"units": "m"}), "aspect": ground.aspect},
        {"time": _START + days * _DAY},
        {"heading": _LOOKS[name][0], "incidence": _LOOKS[name][1]},
    )


def _east(primary: xr.Dataset, auxiliary: xr.Dataset) -> xr.DataArray:
    """Return the velocity toward east, mm/year."""
    motion = xinsar.decompose_los(primary, auxiliary).motion.sel(component="east")
    return 1000 * xinsar.velocity(motion).velocity


def _curves(ax: Any, auxiliary: xr.Dataset, fused: xr.Dataset, place: dict[str, int]) -> None:
    """Draw the series of a pixel before and after."""
    one = auxiliary.displacement.isel(place)
    ax.plot(one.time, 1000 * (one - one[7]), "o", ms=4, color="0.45", label="auxiliary, on its own dates")
    other = fused.displacement.isel(place)
    ax.plot(other.time, 1000 * other, "-", lw=1.2, color="#c0504d", label="fused, on those of the primary")
    ax.set(title="series of the body", ylabel="mm toward the satellite")
    ax.legend(fontsize=8, loc="upper left")
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def fuse_tracks() -> None:
    """Draw motion eastward as it is, and after fusions by stable ground and by all points."""
    ground, body = _ground()
    primary = _track("ascending", ground, body, 12 * np.arange(60), 0.004)
    auxiliary = _track("descending", ground, body, 14 * np.arange(60) - 100, -0.006)
    plain = auxiliary.interp(time=primary.time)
    plain["displacement"] = plain.displacement - plain.displacement[0]
    fused = fuse(primary, auxiliary)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        erased = fuse(primary, auxiliary, control="all")
    truth = xr.zeros_like(primary.displacement[0]) + 1000 * _EAST * body
    maps = {
        "true motion eastward": truth,
        "without fusion": _east(primary, plain),
        'control="stable"': _east(primary, fused),
        'control="all", as published': _east(primary, erased),
    }
    figure, axes = plt.subplots(1, 5, figsize=(19, 3.7), layout="constrained", width_ratios=(1, 1, 1, 1, 1.3))
    for ax, (title, values) in zip(axes[:4], maps.items(), strict=True):
        mean = float(values.values[body].mean())
        _map(ax, values, f"{title}: {mean:.1f}", "mm/year", cmap="RdBu_r", vmin=-20, vmax=20)
        ax.contour(values.x, values.y, body, [0.5], colors="k", linewidths=0.6)
    _curves(axes[4], auxiliary, fused, {"y": 50, "x": 52})
    _save(figure, "fuse_tracks")


def main() -> None:
    """Draw it."""
    fuse_tracks()


if __name__ == "__main__":
    main()
