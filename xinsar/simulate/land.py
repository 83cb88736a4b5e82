"""The ground of a scene that is made by parts: its elevation and what grows on it, at any rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import fields, lattice, noise, terrain
from xinsar.simulate.draws import Draws
from xinsar.simulate.lattice import Octaves

Array = NDArray[Any]

FINER = 0.7
"""What the terrain's exponent grows by below 300 m."""

FILLED = 0.5
"""Share of the scenes whose valleys have a floor."""

BANK = 12.0
"""Height over which a valley's floor passes into its slopes, m."""

COARSE, FINE, WITHIN = 1000.0, 150.0, 600.0
"""Lengths of the patches of the ground's cover, and of its changes inside a class, m."""

_PATCHINESS = np.sqrt(1 + 1.5**2 + 0.5**2)


@dataclass(frozen=True)
class Land:
    """Mountains as a sum of lattices, with or without valley floors."""

    field: int
    """Key."""
    octaves: Octaves
    level: float
    """Mean elevation before the valleys are filled, m."""
    floor: float | None
    """Elevation of the valley floors, m; None without any."""
    spacing: float
    """Pixel spacing, m."""

    @property
    def spread(self) -> float:
        """Standard deviation of the elevation, m."""
        return float(np.sqrt(self.octaves.variance()))

    def raw(self, rows: Array, columns: Array) -> Array:
        """Return the elevation before the valleys are filled, m, float32."""
        return self.octaves.at(self.field, rows, columns) + np.float32(self.level)

    def filled(self, raw: Array) -> Array:
        """Return the elevation, m: floor + bank * log(1 + exp((raw - floor) / bank))."""
        if self.floor is None:
            return raw
        above = (raw.astype(np.float64) - self.floor) / BANK
        return np.asarray(self.floor + BANK * np.logaddexp(0.0, above), dtype=np.float32)

    def elevation(self, rows: Array, columns: Array) -> Array:
        """Return the elevation at absolute rows and columns, m, float32."""
        return self.filled(self.raw(rows, columns))

    def structure_function(self, lags: Array) -> Array:
        """Return the expected squared difference of the elevation over ``lags`` in pixels, m2."""
        return self.octaves.structure_function(lags)


@dataclass(frozen=True)
class GivenLand:
    """A terrain model that the user gives; beyond its edge the nearest pixel holds."""

    values: Array
    """Elevation, m, float32 (y, x)."""
    level: float
    """Mean, m."""
    spread: float
    """Standard deviation, m."""
    spacing: float
    """Pixel spacing, m."""

    @classmethod
    def of(cls, values: Array, spacing: float) -> GivenLand:
        """Return the land of an array of elevations without gaps."""
        own = np.ascontiguousarray(values, dtype=np.float32)
        level, spread = float(own.mean(dtype=float)), float(own.std(dtype=float))
        return cls(own, level, max(spread, 1.0), spacing)

    def raw(self, rows: Array, columns: Array) -> Array:
        """Return the elevation at absolute rows and columns, m."""
        inside = [np.clip(v, 0, n - 1) for v, n in zip((rows, columns), self.values.shape, strict=True)]
        return np.asarray(self.values[inside[0]][:, inside[1]])

    def filled(self, raw: Array) -> Array:
        """Return the elevation as it is."""
        return raw

    def elevation(self, rows: Array, columns: Array) -> Array:
        """Return the elevation at absolute rows and columns, m."""
        return self.raw(rows, columns)

    def structure_function(self, lags: Array) -> Array:
        """Return the mean squared difference of the elevation over ``lags`` in pixels, m2."""
        from xinsar.simulate.atmosphere import _mean_squared_difference

        return np.array([_mean_squared_difference(self.values, float(lag)) for lag in np.ravel(lags)])


def land(seed: int, name: str, draws: Draws, spacing: float) -> Land:
    """Draw the mountains of a scene."""
    rng = fields.stream(seed, name, "land")
    exponent, slope = rng.uniform(*draws.exponent), rng.uniform(*draws.mean_slope)
    lowest, floored, depth = rng.uniform(200.0, 2000.0), rng.random() < FILLED, rng.uniform(0.5, 1.3)
    shape = lattice.power_law(spacing, (0.0, round(exponent, 2), round(exponent + FINER, 2)), terrain.BREAKS)
    unit = float(shape.structure_function(np.array(2.0))) / (2 * spacing) ** 2
    factor = _component(round(slope, 1)) / np.sqrt(unit)
    octaves = Octaves(shape.steps, tuple(float(factor * s) for s in shape.sigmas))
    level = lowest + 2.5 * np.sqrt(octaves.variance())
    floor = level - depth * np.sqrt(octaves.variance()) if floored else None
    return Land(lattice.key(seed, name, "land"), octaves, float(level), floor, spacing)


@lru_cache(maxsize=512)
def _component(mean_slope: float) -> float:
    """Return the standard deviation of the fall along an axis that gives a mean slope (degrees), by bisection.

    The fall is a vector of two normal components, so the tangent of the slope follows Rayleigh's law.
    """
    share = (np.arange(400) + 0.5) / 400
    rayleigh = np.sqrt(-2 * np.log(share))
    low, high = 1e-4, 10.0
    for _ in range(50):
        middle = np.sqrt(low * high)
        steep = np.rad2deg(np.arctan(middle * rayleigh)).mean() > mean_slope
        low, high = (low, middle) if steep else (middle, high)
    return float(np.sqrt(low * high))


@dataclass(frozen=True)
class Cover:
    """Forest in the valleys, grass, and rock on the heights, as patches of about a kilometre."""

    fields: tuple[int, int, int, int]
    """Keys of the coarse and the fine patches, and of the change of both numbers inside a class."""
    limits: tuple[float, float]
    """Between the classes, in standard deviations of the order."""
    floor: float
    """Factor of the lasting coherence."""
    memory: float
    """Factor of the memory."""
    spacing: float

    def order(self, height: Array, rows: Array, columns: Array) -> Array:
        """Return what the classes are cut from, standard deviation 1: ``height`` (of variance 1) and patches."""
        coarse, fine = (
            lattice.smooth(length / self.spacing).at(key, rows, columns)
            for key, length in zip(self.fields[:2], (COARSE, FINE), strict=True)
        )
        return np.asarray((height + 1.5 * coarse + 0.5 * fine) / np.float32(_PATCHINESS), dtype=np.float32)

    def at(self, order: Array, rows: Array, columns: Array) -> tuple[Array, Array, Array]:
        """Return lasting coherence, memory (days) and class (0 forest, 1 grass, 2 rock) of the pixels."""
        from scipy.special import ndtr

        kind = np.digitize(order, self.limits)
        wide = lattice.smooth(WITHIN / self.spacing)
        share = [ndtr(wide.at(key, rows, columns)).astype(np.float32) for key in self.fields[2:]]
        floor = np.minimum(
            noise.within_class(kind, share[0], "floor") * np.float32(self.floor), np.float32(0.9)
        )
        return floor, noise.within_class(kind, share[1], "memory") * np.float32(self.memory), kind


def cover(seed: int, name: str, draws: Draws, spacing: float) -> Cover:
    """Draw the ground's cover of a scene."""
    from scipy.special import ndtri

    rng = fields.stream(seed, name, "cover")
    shares = rng.uniform(0.15, 0.35), rng.uniform(0.55, 0.75)
    keys = [lattice.key(seed, name, "cover", k) for k in range(4)]
    return Cover(
        fields=(keys[0], keys[1], keys[2], keys[3]),
        limits=(float(ndtri(shares[0])), float(ndtri(shares[1]))),
        floor=float(rng.uniform(*draws.floor)),
        memory=float(rng.uniform(*draws.memory)),
        spacing=spacing,
    )
