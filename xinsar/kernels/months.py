"""Velocity of every month of a series with gaps, pixel by pixel.

The series is a line from valid date to valid date; the velocity of a month is the difference of the line between the
start of the month and that of the next one, over that time. A month that a segment longer than ``max_gap`` touches, or
one that reaches beyond the valid dates, is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels import cuda
from xinsar.kernels._jit import jit


@jit
def _segment(
    begin: float, end: float, first: float, last: float, a: int, b: int, starts: Any, at: Any, longest: Any
) -> None:
    """Enter one segment of the line, from value ``first`` to ``last``.

    ``a``: how many starts of months lie before it, ``b``: how many up to its end.
    """
    for m in range(a, b):
        share = (starts[m] - begin) / (end - begin)
        at[m] = first * (1 - share) + last * share
    held = a - 1 if a == starts.size or starts[a] > begin else a
    for m in range(max(held, 0), min(b, longest.size)):
        if starts[m] < end:
            longest[m] = max(longest[m], end - begin)


@jit
def _pixel(
    series: Any, x: int, days: Any, starts: Any, before: Any, up_to: Any, at: Any, longest: Any
) -> None:
    """Interpolate one pixel at the starts of months; find the longest segment that touches each month."""
    at[:] = np.nan
    longest[:] = 0.0
    last = -1
    for t in range(days.size):
        value = np.float64(series[t, x])
        if value == value:
            if last >= 0:
                old = np.float64(series[last, x])
                _segment(days[last], days[t], old, value, before[last], up_to[t], starts, at, longest)
            last = t


@jit
def _every(
    series: Any, days: Any, starts: Any, before: Any, up_to: Any, max_gap: float, year: float, out: Any
) -> None:
    """Write the velocities of all pixels of ``series`` (date, pixel)."""
    at, longest = np.empty(starts.size), np.empty(starts.size - 1)
    for x in range(series.shape[1]):
        _pixel(series, x, days, starts, before, up_to, at, longest)
        for m in range(longest.size):
            rate = (at[m + 1] - at[m]) / (starts[m + 1] - starts[m]) * year
            out[m, x] = rate if longest[m] <= max_gap else np.nan


def _numpy(series: Any, *, days: Any, starts: Any, max_gap: float, year: float) -> Any:
    """Return velocities (month, ...) of ``series`` (date, ...) at ``days``, ascending; months begin at ``starts``."""
    dtype = series.dtype.newbyteorder("=")
    floats = dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")
    flat = np.ascontiguousarray(series, floats).reshape(series.shape[0], -1)
    out = np.empty((starts.size - 1, flat.shape[1]), floats)
    before, up_to = np.searchsorted(starts, days, "left"), np.searchsorted(starts, days, "right")
    _every(flat, days, starts, before, up_to, float(max_gap), float(year), out)
    return out.reshape(starts.size - 1, *series.shape[1:])


monthly_velocity = Kernel("monthly_velocity", numpy=_numpy, cupy=cuda.monthly_velocity)
