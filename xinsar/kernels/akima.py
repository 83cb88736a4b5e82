"""Akima's interpolation of series with gaps, pixel by pixel.

Between two knots the curve is the cubic with the values and slopes at both. With the chords ``m_i`` between knots, two
more on each side by ``m_{i-1} = 2 m_i - m_{i+1}``, the slope at a knot is

    ``t_i = m_{i-1} + (m_i - m_{i-1}) |m_{i-1} - m_{i-2}| / (|m_{i+1} - m_i| + |m_{i-1} - m_{i-2}|)``

and ``(m_{i-2} + m_{i+1}) / 2`` where that divisor is 0, or less than 1e-9 of the largest one of the series. The knots
of a pixel are its valid dates. Two knots give a line, fewer give NaN, and so does a date outside them: nothing is
extrapolated. Numbers are worked out in float64.

Source: Akima 1970, J. ACM 17:589-602; the rule for small divisors is SciPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit

PIXELS = 32
"""Pixels in a tile."""
SMALL = 1e-9
"""Share of the largest divisor of a series below which one counts as 0."""


@jit
def _load(series: Any, begin: int, tile: Any) -> bool:
    """Copy a tile of pixels, one row each; tell whether all values are finite or NaN."""
    number, wild = min(PIXELS, series.shape[1] - begin), 0
    for t in range(series.shape[0]):
        for x in range(number):
            value = np.float64(series[t, begin + x])
            wild += 1 if abs(value) == np.inf else 0
            tile[x, t] = value
    return wild == 0


@jit
def _knots(row: Any, at: Any, x: Any, y: Any) -> int:
    """Copy the valid dates of a pixel and their values; return how many there are."""
    number = 0
    for t in range(at.size):
        if row[t] == row[t]:
            x[number], y[number] = at[t], row[t]
            number += 1
    return number


@jit
def _chords(x: Any, y: Any, number: int, chord: Any) -> None:
    """Write the chords between knots from place 2 on, with two more on either side."""
    for i in range(number - 1):
        chord[i + 2] = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
    if number == 2:
        chord[0] = chord[1] = chord[3] = chord[4] = chord[2]
        return
    chord[1] = 2.0 * chord[2] - chord[3]
    chord[0] = 2.0 * chord[1] - chord[2]
    chord[number + 1] = 2.0 * chord[number] - chord[number - 1]
    chord[number + 2] = 2.0 * chord[number + 1] - chord[number]


@jit
def _slopes(chord: Any, number: int, slope: Any) -> None:
    """Write the slope at every knot."""
    largest = 0.0
    for i in range(number):
        divisor = abs(chord[i + 3] - chord[i + 2]) + abs(chord[i + 1] - chord[i])
        largest = max(largest, divisor)
    for i in range(number):
        before = abs(chord[i + 1] - chord[i])
        divisor = abs(chord[i + 3] - chord[i + 2]) + before
        if divisor > SMALL * largest:
            slope[i] = chord[i + 1] + before / divisor * (chord[i + 2] - chord[i + 1])
        else:
            slope[i] = 0.5 * (chord[i + 3] + chord[i])


@jit
def _evaluate(x: Any, y: Any, chord: Any, slope: Any, number: int, to: Any, out: Any, column: int) -> None:
    """Write the values of one pixel at the dates ``to``, ascending."""
    i = 0
    for q in range(to.size):
        if number < 2 or to[q] < x[0] or to[q] > x[number - 1]:
            out[q, column] = np.nan
            continue
        while i < number - 2 and to[q] >= x[i + 1]:
            i += 1
        width, along = x[i + 1] - x[i], to[q] - x[i]
        bend = (slope[i] + slope[i + 1] - 2.0 * chord[i + 2]) / width
        square = (chord[i + 2] - slope[i]) / width - bend
        value = y[i] + along * (slope[i] + along * (square + along * (bend / width)))
        out[q, column] = y[i + 1] if to[q] == x[i + 1] else value


@jit
def _interpolate(series: Any, at: Any, to: Any, out: Any) -> bool:
    """Interpolate every pixel of ``series`` (date, pixel); tell whether all values were finite or NaN."""
    dates = at.size
    tile, x, y = np.empty((PIXELS, dates)), np.empty(dates), np.empty(dates)
    chord, slope = np.empty(dates + 3), np.empty(dates)
    for begin in range(0, series.shape[1], PIXELS):
        if not _load(series, begin, tile):
            return False
        for p in range(min(PIXELS, series.shape[1] - begin)):
            number = _knots(tile[p], at, x, y)
            if number > 1:
                _chords(x, y, number, chord)
                _slopes(chord, number, slope)
            _evaluate(x, y, chord, slope, number, to, out, begin + p)
    return True


def _numpy(series: Any, *, at: Any, to: Any) -> Any:
    """Return ``series`` (date, ...) at the dates ``to``, in its floating dtype.

    ``at``: the dates of the series as numbers, ascending, each once; ``to``: as many as wanted, ascending. Raises
    ValueError where a value is infinite.
    """
    dtype = series.dtype.newbyteorder("=")
    floats = dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")
    flat = np.ascontiguousarray(series, floats).reshape(series.shape[0], -1)
    at, to = np.ascontiguousarray(at, float), np.ascontiguousarray(to, float)
    out = np.empty((to.size, flat.shape[1]), floats)
    if not _interpolate(flat, at, to, out):
        raise ValueError(
            "displacement: expected finite values or NaN for missing, got an infinite one; replace it, e.g. with "
            ".where(abs(ds.displacement) < 1e3)"
        )
    return out.reshape(to.size, *series.shape[1:])


akima = Kernel("akima", numpy=_numpy)
