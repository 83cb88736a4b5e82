"""Small noise-free cubes whose answer is known in closed form, for tests and documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar.simulate.geometry import los_vector
from xinsar.simulate.looks import START, WAVELENGTH
from xinsar.simulate.pairs import canonical, wrap

Array = NDArray[Any]

HEADING, INCIDENCE = 348.0, 39.0


def plane(
    shape: tuple[int, int] = (32, 32),
    *,
    gradient: tuple[float, float] = (0.1, 0.2),
    pairs: int = 3,
    interval: int = 12,
    coherence: float = 0.8,
    spacing: float = 25.0,
) -> xr.Dataset:
    """Return pairs whose phase is the same tilted plane.

    phase = W(gradient_y * row + gradient_x * column); the gradient is constant, the sum over the pairs
    ``pairs`` times as large.

    Parameters
    ----------
    shape
        Rows and columns.
    gradient
        Change per pixel along increasing y and x index, rad.
    pairs
        Number of pairs, each from one date to the next.
    interval
        Days between dates.
    coherence
        Of every pixel, 0..1.
    spacing
        Pixel spacing, m.

    Returns
    -------
    xarray.Dataset
        Canonical cube: phase, coherence, los, elevation (all 0), without missing values.

    Examples
    --------
    >>> ds = plane((4, 5), gradient=(0.0, 0.5), pairs=2)
    >>> ds.phase.diff("x").values.round(3).min().item()
    0.5
    """
    row, column = np.indices(shape)
    phase = gradient[0] * row + gradient[1] * column
    return _known(phase, pairs=pairs, interval=interval, coherence=coherence, spacing=spacing)


def bowl(
    shape: tuple[int, int] = (64, 64),
    *,
    sinking: float = 0.01,
    radius: float = 8.0,
    pairs: int = 3,
    interval: int = 12,
    coherence: float = 0.8,
    spacing: float = 25.0,
) -> xr.Dataset:
    """Return pairs over ground that sinks in a Gaussian bowl at the centre.

    The ground goes down by d = sinking * exp(-r**2 / (2 radius**2)) in each pair, away from the satellite, so
    phase = W(4 pi/wavelength * cos(incidence) * d) grows toward the centre: the gradient along increasing
    index is positive before the centre and negative behind it. Negative ``sinking`` is uplift.

    Parameters
    ----------
    shape
        Rows and columns.
    sinking
        Subsidence at the centre in each pair, m.
    radius
        Standard deviation of the bowl, pixels.
    pairs, interval, coherence, spacing
        As in :func:`plane`.

    Returns
    -------
    xarray.Dataset
        As :func:`plane`.

    Examples
    --------
    >>> ds = bowl((9, 9), radius=2.0, pairs=1)
    >>> row = ds.phase[0, 4].diff("x").values
    >>> bool((row[:4] > 0).all() and (row[4:] < 0).all())
    True
    """
    row, column = (i - (n - 1) / 2 for i, n in zip(np.indices(shape), shape, strict=True))
    down = sinking * np.exp(-(row**2 + column**2) / (2 * radius**2))
    phase = 4 * np.pi / WAVELENGTH * np.cos(np.deg2rad(INCIDENCE)) * down
    return _known(phase, pairs=pairs, interval=interval, coherence=coherence, spacing=spacing)


def _known(phase: Array, *, pairs: int, interval: int, coherence: float, spacing: float) -> xr.Dataset:
    """Return a cube of ``pairs`` consecutive pairs, each with ``phase`` (y, x) before wrapping."""
    dates = START + interval * np.arange(pairs + 1) * np.timedelta64(1, "D")
    stack = np.repeat(wrap(phase.astype(np.float32))[None], pairs, axis=0)
    ds = canonical(
        stack,
        np.full_like(stack, coherence),
        dates=(dates[:-1], dates[1:]),
        baselines=np.zeros(pairs),
        los=los_vector(HEADING, INCIDENCE),
        elevation=np.zeros(phase.shape),
        spacing=spacing,
    )
    ds.attrs |= {
        "orbit_direction": "ascending",
        "heading": HEADING,
        "incidence": INCIDENCE,
        "track": "ascending",
        "history": "xinsar.simulate: known answer",
    }
    return ds
