"""Maps and points that the hot-spot benchmarks are measured on."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from benchmarks import common

PIXEL = 20.0
"""Size of a pixel of the maps, metres."""
PER_SQUARE_METRE = 264e-6
"""Points: as dense as those of Liang et al. 2023."""
DISTANCE = 150.0
"""Radius of Gi* of points, metres, as in the paper."""

MAP = 4000 if common.FULL else 96
POINTS = 930_000 if common.FULL else 3000
RADII = (4, 8, 25)
"""Radii of Gi* of maps, pixels."""


def velocity_map(size: int = MAP, *, missing: float = 0.3, seed: int = 0) -> xr.DataArray:
    """Return a map of velocities: waves, two moving slopes, noise, and a share of pixels missing at random."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0:size, 0:size].astype(np.float32)
    values = 0.004 * np.sin(column / 60) * np.cos(row / 85) - 0.003
    for y, x, width, speed in ((0.3, 0.4, 0.01, 0.05), (0.7, 0.6, 0.03, -0.03)):
        apart = ((row / size - y) ** 2 + (column / size - x) ** 2) / width**2
        values += np.float32(speed) * np.exp(-apart)
    values += 0.005 * rng.standard_normal((size, size), np.float32)
    values[rng.random((size, size), np.float32) < missing] = np.nan
    coords = {
        "y": ("y", -PIXEL * np.arange(size), {"units": "m"}),
        "x": ("x", PIXEL * np.arange(size), {"units": "m"}),
    }
    return xr.DataArray(values.astype(np.float32), coords, ("y", "x"), "velocity", {"units": "m year-1"})


def side(number: int) -> float:
    """Return the side of the square that ``number`` points fill, metres."""
    return float(np.sqrt(number / PER_SQUARE_METRE))


def uniform_places(number: int, *, seed: int = 0) -> tuple[Any, Any]:
    """Return x and y of points that lie anywhere in the square alike."""
    rng = np.random.default_rng(seed)
    return rng.random(number) * side(number), rng.random(number) * side(number)


def clustered_places(number: int, *, seed: int = 0, share: float = 0.5) -> tuple[Any, Any]:
    """Return x and y of points of which a ``share`` lies in towns (one per 3100 points, 300 m wide)."""
    rng = np.random.default_rng(seed)
    x, y = uniform_places(number, seed=seed)
    towns = rng.random((max(1, number // 3100), 2)) * side(number)
    inside = np.flatnonzero(rng.random(number) < share)
    centre = towns[rng.integers(0, len(towns), inside.size)]
    place = centre + 300.0 * rng.standard_normal((inside.size, 2))
    x[inside], y[inside] = np.clip(place, 0.0, side(number)).T
    return x, y


def velocity_at(x: Any, y: Any, *, seed: int = 1) -> Any:
    """Return velocities at places: waves, a fast slope every 7 km, noise; float32."""
    rng = np.random.default_rng(seed)
    waves = 0.004 * np.sin(x / 900) * np.cos(y / 700) - 0.003
    apart = np.hypot((x + 3500) % 7000 - 3500, (y + 3500) % 7000 - 3500)
    moving = 0.03 * np.exp(-((apart / 400) ** 2))
    return (waves + moving + 0.004 * rng.standard_normal(np.shape(x))).astype(np.float32)


def as_points(x: Any, y: Any, values: Any) -> xr.DataArray:
    """Return a field of points in metres."""
    coords = {"x": ("point", x, {"units": "m"}), "y": ("point", y, {"units": "m"})}
    return xr.DataArray(values, coords, ("point",), "velocity", {"units": "m year-1"})


def velocity_points(number: int = POINTS, *, clustered: bool = False, seed: int = 0) -> xr.DataArray:
    """Return a field of velocities at points."""
    x, y = (clustered_places if clustered else uniform_places)(number, seed=seed)
    return as_points(x, y, velocity_at(x, y))


def target_grid(number: int = POINTS, size: int = MAP) -> xr.DataArray:
    """Return an empty map of ``size`` x ``size`` pixels over the square of the points."""
    pixel = side(number) / size
    centre = pixel * (np.arange(size) + 0.5)
    coords = {"y": ("y", centre[::-1], {"units": "m"}), "x": ("x", centre, {"units": "m"})}
    return xr.DataArray(np.zeros((size, size), np.float32), coords, ("y", "x"))
