"""Mountains by spectral synthesis, their slopes, and the error of the elevation model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate.fields import Spectrum, smooth_field, stream

Array = NDArray[Any]

EXPONENTS = (0.0, 3.9, 4.6)
"""Exponents of the two-dimensional power spectral density: beyond, between and below :data:`BREAKS`."""

BREAKS = (12_000.0, 300.0)
"""Wavelengths between the exponents, m. Beyond the first the power is level, so relief stays finite."""

MEAN_SLOPE = (14.0, 30.0)
"""Range of the mean slope of a scene, degrees."""


class Ground(NamedTuple):
    """The shape of the ground on a grid."""

    elevation: Array
    """Metres, float32, row 0 in the north."""
    slope: Array
    """Degrees."""
    aspect: Array
    """Azimuth of steepest descent, degrees clockwise from north; NaN where flat."""
    spacing: float
    """Pixel spacing, m."""


def ground(seed: int, shape: tuple[int, int], *, spacing: float = 25.0) -> Ground:
    """Return the mountains of the scene ``seed``.

    Parameters
    ----------
    seed
        Scene.
    shape
        Rows and columns.
    spacing
        Pixel spacing, m.

    Returns
    -------
    Ground
        Elevation from 200-2000 m upward, with a mean slope drawn from :data:`MEAN_SLOPE`.
    """
    rng = stream(seed, "terrain")
    mean_slope = rng.uniform(*MEAN_SLOPE)
    lowest = rng.uniform(200.0, 2000.0)
    relief = Spectrum(shape, spacing, exponents=EXPONENTS, breaks=BREAKS).draw(rng).astype(float)
    relief *= _steepness(relief, spacing, mean_slope)
    elevation = (relief - relief.min() + lowest).astype(np.float32)
    return Ground(elevation, *slope_and_aspect(elevation, spacing), spacing)


def _steepness(relief: Array, spacing: float, mean_slope: float) -> float:
    """Return the factor that gives ``relief`` the mean slope (degrees), by bisection on its logarithm."""
    rise = np.hypot(*descent(relief, spacing))
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        steep = np.rad2deg(np.arctan(np.exp(middle) * rise)).mean() > mean_slope
        low, high = (low, middle) if steep else (middle, high)
    return float(np.exp((low + high) / 2))


def descent(elevation: Array, spacing: float | tuple[float, float]) -> tuple[Array, Array]:
    """Return the fall of the ground toward east and toward north, m per m (central differences).

    ``spacing`` is that of both axes, or of (y, x).
    """
    along = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    down_rows, down_columns = np.gradient(elevation, *along)
    return -down_columns, down_rows


def slope_and_aspect(elevation: Array, spacing: float) -> tuple[Array, Array]:
    """Return slope and azimuth of steepest descent, degrees; the azimuth of flat ground is NaN.

    Examples
    --------
    >>> falls_east = np.array([[3.0, 2.0, 1.0]] * 3)
    >>> slope, aspect = slope_and_aspect(falls_east, 1.0)
    >>> float(slope[1, 1].round(6)), float(aspect[1, 1])
    (45.0, 90.0)
    """
    east, north = descent(elevation, spacing)
    rise = np.hypot(east, north)
    aspect = np.rad2deg(np.arctan2(east, north)) % 360
    return np.rad2deg(np.arctan(rise)), np.where(rise > 0, aspect, np.nan)


def dem_error(seed: int, shape: tuple[int, int], *, spacing: float = 25.0) -> Array:
    """Return true elevation minus the elevation model, m, float32.

    Standard deviation 5-10 m, correlated over 40-80 m (both drawn per scene).
    """
    rng = stream(seed, "dem error")
    sigma, length = rng.uniform(5.0, 10.0), rng.uniform(40.0, 80.0)
    return np.asarray(sigma * smooth_field(rng, shape, length=length / spacing), dtype=np.float32)
