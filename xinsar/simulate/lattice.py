"""Random fields that can be made anywhere by themselves: noise on absolute lattices, added by octave.

A number belongs to a node of an unbounded lattice and is a hash of the field's key and the node's row and column, so
nothing has to be drawn before it. A field is the sum of such lattices, each twice as wide as the one before,
interpolated by cubic B-splines. Its value at a pixel depends on that pixel's row and column only: any part of any
image has the same bits whatever is asked for with it.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import fields

Array = NDArray[Any]

WIDEST = 50_000.0
"""Spacing of the widest octave of a power law, m."""

LENGTH_IN_STEPS = 1.155
"""Distance at which the correlation of one octave has fallen to 1/e, in steps of its lattice."""

_ROW, _COLUMN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key(seed: int, *name: str | int) -> int:
    """Return the key of the field called ``name`` in the scene ``seed``.

    Examples
    --------
    >>> key(1, "terrain") == key(1, "terrain") != key(2, "terrain")
    True
    """
    text = "/".join(map(str, (fields.VERSION, "lattice", seed, *name)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(bits: Array) -> Array:
    """Return the bits stirred (the finaliser of SplitMix64)."""
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def hashes(field: int, rows: Array, columns: Array) -> Array:
    """Return 64 random bits for each node, uint64 (row, column)."""
    row = _mix(np.uint64(field) ^ (np.asarray(rows).astype(np.int64).astype(np.uint64) * _ROW))
    column = np.asarray(columns).astype(np.int64).astype(np.uint64) * _COLUMN
    return _mix(row[:, None] ^ column[None, :])


@cache
def _normal_table() -> Array:
    """Return the quantiles of the normal law at 65536 even steps, of variance 1."""
    from scipy.special import ndtri

    table = ndtri((np.arange(65536) + 0.5) / 65536)
    return np.asarray(np.round(table / table.std(), 6), dtype=np.float32)


def normals(field: int, rows: Array, columns: Array) -> Array:
    """Return one normal deviate for each node, float32 (row, column); at most 4.3 from 0.

    Examples
    --------
    >>> whole = normals(5, np.arange(9), np.arange(7))
    >>> bool((normals(5, np.arange(3, 6), np.arange(2, 4)) == whole[3:6, 2:4]).all())
    True
    """
    return np.asarray(_normal_table()[(hashes(field, rows, columns) >> np.uint64(48)).astype(np.int32)])


def _taps(places: Array, spacing: float, shift: float) -> tuple[Array, Array]:
    """Return the first of four nodes around each place, and the weights (4, place) of unit variance."""
    u = np.asarray(places, dtype=np.float64) / spacing + shift
    first = np.floor(u)
    f = u - first
    g = 1 - f
    cube = g * g * g, 3 * f * f * f - 6 * f * f + 4, 3 * g * g * g - 6 * g * g + 4, f * f * f
    weights = np.stack(cube)
    weights /= np.sqrt((weights * weights).sum(axis=0))
    return first.astype(np.int64) - 1, weights.astype(np.float32)


def octave(field: int, spacing: float, rows: Array, columns: Array) -> Array:
    """Return one lattice of noise, interpolated: mean 0, variance 1, float32 (row, column).

    Parameters
    ----------
    field
        Key.
    spacing
        Step of the lattice, in pixels.
    rows, columns
        Absolute pixel indices, any integers.
    """
    shift = _mix(np.array([field, field + 1], dtype=np.uint64)) / 2.0**64
    (top, down), (left, across) = (
        _taps(places, spacing, float(s)) for places, s in zip((rows, columns), shift, strict=True)
    )
    node_rows = np.arange(top.min(), top.max() + 4)
    node_columns = np.arange(left.min(), left.max() + 4)
    nodes = normals(field, node_rows, node_columns)
    lines = sum(across[t] * nodes[:, left - node_columns[0] + t] for t in range(4))
    out = down[0][:, None] * lines[top - node_rows[0]]
    for t in range(1, 4):
        out += down[t][:, None] * lines[top - node_rows[0] + t]
    return np.asarray(out)


class Octaves(NamedTuple):
    """A field as a sum of lattices: their steps in pixels and their standard deviations."""

    steps: tuple[float, ...]
    sigmas: tuple[float, ...]

    def at(self, field: int, rows: Array, columns: Array) -> Array:
        """Return the field called by the key ``field`` at absolute rows and columns, float32."""
        out = np.zeros((len(rows), len(columns)), dtype=np.float32)
        for number, (step, sigma) in enumerate(zip(self.steps, self.sigmas, strict=True)):
            if sigma > 0:
                own = int(_mix(np.array([field ^ (number + 1)], dtype=np.uint64))[0])
                out += np.float32(sigma) * octave(own, step, rows, columns)
        return out

    def variance(self) -> float:
        """Return the variance of the field."""
        return float(np.sum(np.square(self.sigmas)))

    def structure_function(self, distances: Array) -> Array:
        """Return the expected squared difference over ``distances`` in pixels, along an axis."""
        lags = np.asarray(distances, dtype=float)[..., None] / np.asarray(self.steps)
        return np.asarray((2 * np.square(self.sigmas) * (1 - _correlation(lags))).sum(axis=-1))

    def filtered_step(self, window: int) -> float:
        """Return the expected squared difference of the means over neighbouring windows."""
        steps = np.asarray(self.steps)
        lags = np.arange(-window + 1.0, window)
        inside = (_correlation(lags[:, None] / steps) * (window - np.abs(lags))[:, None]).sum(
            axis=0
        ) / window**2
        across = 2 * (1 - _correlation(window / steps)) / window**2
        return float(np.sum(np.square(self.sigmas) * inside * across))


def smooth(length: float) -> Octaves:
    """Return a field of variance 1 whose correlation falls to 1/e at ``length`` pixels."""
    return Octaves((max(length / LENGTH_IN_STEPS, 0.5),), (1.0,))


def _correlation(lags: Array) -> Array:
    """Return the correlation of one octave over ``lags`` steps: the B-spline of degree 7."""
    from scipy.interpolate import BSpline

    spline = BSpline.basis_element(np.arange(9.0), extrapolate=False)
    return np.asarray(np.nan_to_num(spline(np.abs(lags) + 4)) / spline(4.0))


@lru_cache(maxsize=256)
def power_law(
    spacing: float,
    exponents: tuple[float, ...],
    breaks: tuple[float, ...] = (),
    unit_window: float | None = None,
) -> Octaves:
    """Return the octaves whose sum has the power spectral density of :func:`xinsar.simulate.fields.power_law`.

    The powers of the octaves are the non-negative numbers that come nearest to the density, relative to it, at
    wavelengths from twice the pixel spacing to twice the widest octave.

    Parameters
    ----------
    spacing
        Pixel spacing, m.
    exponents, breaks, unit_window
        As for :class:`xinsar.simulate.fields.Spectrum`.
    """
    from scipy.optimize import nnls

    steps = 2.0 ** np.arange(int(np.ceil(np.log2(WIDEST / spacing))) + 1)
    k = np.geomspace(1 / (2 * WIDEST), 1 / (2 * spacing), 120)
    wanted = fields.power_law(k, exponents=exponents, breaks=breaks)
    if unit_window is not None:
        wanted = wanted / fields._variance_inside(unit_window, exponents, breaks, shortest=2 * spacing)
    held = np.stack([_density(k, step * spacing) for step in steps], axis=1)
    powers, _ = nnls(held / wanted[:, None], np.ones(k.size))
    sigmas = [float(f"{sigma:.6g}") for sigma in np.sqrt(powers)]
    return Octaves(tuple(steps.tolist()), tuple(sigmas))


def _density(k: Array, step: float) -> Array:
    """Return the power spectral density of an octave, mean over directions."""
    angle = np.deg2rad(np.arange(0.0, 46.0, 5.0))[:, None]
    along, across = np.sinc(k * step * np.cos(angle)), np.sinc(k * step * np.sin(angle))
    return np.asarray(((along * across) ** 8).mean(axis=0) * step**2 / (151 / 315) ** 2)
