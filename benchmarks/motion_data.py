"""Data of the benchmarks of motion: two tracks, terrain, a network with gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from benchmarks import common
from xinsar.kernels.network import Network

SIDE = 2000 if common.FULL else 96
EPOCHS = 50 if common.FULL else 3
TERRAIN = 8000 if common.FULL else 200
NETWORK = 1000 if common.FULL else 32
PAIRS, DATES, FAR, MISSING = 200, 60, 5, 0.1
PATTERNS = (20, 1000, 0) if common.FULL else (20,)
"""Gap patterns among the pixels; 0: each pixel its own."""


def vector(heading: float, incidence: float) -> Any:
    a, i = np.radians([heading, incidence])
    return np.array([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def looks(side: int = SIDE) -> list[Any]:
    """Vectors of two tracks whose incidence grows across the image, (3, y, x) float32."""
    made = []
    for heading in (348.0, 192.0):
        row = np.stack([vector(heading, i) for i in np.linspace(31, 45, side)], axis=-1)
        made.append(np.ascontiguousarray(np.broadcast_to(row[:, None], (3, side, side)), np.float32))
    return made


def two_series(side: int = SIDE, epochs: int = EPOCHS) -> tuple[Any, Any]:
    """Noise that two tracks saw, (epoch, y, x) float32."""
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((epochs, side, side), np.float32) for _ in range(2))
    return one, two


def tracks(side: int = SIDE, epochs: int = EPOCHS) -> list[xr.Dataset]:
    """The same as datasets."""
    dims = ("time", "y", "x")
    place = {"x": 25.0 * np.arange(side), "y": -25.0 * np.arange(side)}
    return [
        xr.Dataset({"displacement": (dims, seen), "los": (("component", "y", "x"), look)}, place)
        for seen, look in zip(two_series(side, epochs), looks(side), strict=True)
    ]


def elevation(side: int = TERRAIN) -> xr.DataArray:
    """A rough landscape without holes, float32, pixels of 25 m."""
    rng = np.random.default_rng(0)
    heights = 0.3 * np.cumsum(rng.standard_normal((side, side), np.float32), axis=0)
    metres = {"units": "m"}
    coords = {
        "y": ("y", -25.0 * np.arange(side), metres),
        "x": ("x", 25.0 * np.arange(side), metres),
    }
    attrs = {"units": "m", "res": (25.0, 25.0)}
    return xr.DataArray(1500 + heights, coords, ("y", "x"), "elevation", attrs)


def network() -> Network:
    """Return pairs of dates up to ``FAR`` apart, all dates connected."""
    rng = np.random.default_rng(0)
    chain = [(i, i + 1) for i in range(DATES - 1)]
    rest = [(i, j) for i in range(DATES) for j in range(i + 2, min(i + FAR + 1, DATES))]
    more = [rest[i] for i in rng.permutation(len(rest))[: PAIRS - len(chain)]]
    years = np.cumsum(rng.choice([6, 12, 24], DATES)) / 365.25
    return Network(tuple(years.tolist()), tuple(sorted(chain + more)))


def pairs(pixels: int, patterns: int) -> Any:
    """Return noise (pair, pixel), float32, a tenth of it missing."""
    rng = np.random.default_rng(1)
    phase = rng.standard_normal((PAIRS, pixels), "f4")
    if not patterns:
        phase[rng.random(phase.shape, "f4") < MISSING] = np.nan
        return phase
    holes = rng.random((PAIRS, patterns)) < MISSING
    which = rng.integers(0, patterns, pixels)
    for k in range(PAIRS):
        phase[k, holes[k, which]] = np.nan
    return phase


def cube(side: int = NETWORK) -> xr.Dataset:
    """Return the network as a cube: unwrapped phase with gaps, coherence."""
    net = network()
    days = np.datetime64("2018-01-01", "ns") + np.round(np.array(net.years) * 365.25).astype(
        int
    ) * np.timedelta64(1, "D")
    first, second = (days[[pair[i] for pair in net.pairs]] for i in (0, 1))
    rng = np.random.default_rng(2)
    dims, shape = ("pair", "y", "x"), (PAIRS, side, side)
    coherence = rng.uniform(0.1, 0.95, shape).astype("f4")
    return xr.Dataset(
        {
            "unwrapped_phase": (dims, pairs(side * side, 0).reshape(shape), {"units": "rad"}),
            "coherence": (dims, coherence, {"units": "1"}),
        },
        {
            "x": ("x", 25.0 * np.arange(side), {"units": "m"}),
            "y": ("y", -25.0 * np.arange(side), {"units": "m"}),
            "reference_time": ("pair", first),
            "secondary_time": ("pair", second),
        },
        {"wavelength": 0.0555},
    )
