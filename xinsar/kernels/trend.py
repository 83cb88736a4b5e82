"""Trend of a z score in time, and the space-time category of every pixel.

Mann and Kendall: over the n valid dates of a pixel, S = number of pairs of dates between which z rises, minus those
between which it falls. By chance S has the variance ``(n (n - 1) (2 n + 5) - sum t (t - 1) (2 t + 5)) / 18``, t the
sizes of groups of equal values, and ``Z = (S - sign S) / sqrt(variance)`` is nearly normal. Pairs are counted for a
tile of pixels at a time, whole numbers in floats; so no chunking changes a bit. A missing date compares with none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.normal import CURVE_32, CURVE_64, FAR_32, FAR_64, GROWTH_32, GROWTH_64, fill_p

MIN_DATES = 4
"""Fewest valid dates with a trend: tables of S begin here."""
NO_PATTERN, MISSING = 0, -128
NEW, CONSECUTIVE, INTENSIFYING, PERSISTENT, DIMINISHING, SPORADIC, OSCILLATING, HISTORICAL = range(1, 9)
"""Categories of hot spots; those of cold spots are negative."""

_PIXELS = 256
"""Pixels in a tile: what is counted for them stays in the nearest cache."""
_COUNTS = 7
"""Counts per pixel: valid, hot and cold dates, hot and cold ones in a row at the end, rises, falls."""
_TOGETHER = 4
"""Later dates that are compared at once."""


@jit
def _load(z: Any, first: int, rows: Any) -> None:
    """Copy the pixels from ``first`` on to a tile (time, pixel); what the tile has more is missing."""
    rows[:] = np.nan
    number = min(rows.shape[1], z.shape[1] - first)
    for t in range(z.shape[0]):
        rows[t, :number] = z[t, first : first + number]


@jit
def _count_pairs(rows: Any, dates: int, one: Any, zero: Any, rises: Any, falls: Any) -> None:
    """Count the pairs of dates between which each pixel rises, and falls; the rows after the last are missing."""
    rises[:] = zero
    falls[:] = zero
    for i in range(dates - 1):
        for j in range(i + 1, dates, _TOGETHER):
            for x in range(_PIXELS):
                z, a, b, c, d = rows[i, x], rows[j, x], rows[j + 1, x], rows[j + 2, x], rows[j + 3, x]
                up = (one if a > z else zero) + (one if b > z else zero)
                down = (one if a < z else zero) + (one if b < z else zero)
                up += (one if c > z else zero) + (one if d > z else zero)
                down += (one if c < z else zero) + (one if d < z else zero)
                rises[x] += up
                falls[x] += down


@jit
def _count_dates(rows: Any, p: Any, dates: int, alpha: Any, one: Any, zero: Any, seen: Any) -> None:
    """Count for each pixel valid, hot and cold dates, and the hot and the cold ones in a row at the end."""
    seen[:5] = zero
    for t in range(dates):
        for x in range(_PIXELS):
            z = rows[t, x]
            there = z == z
            sure = p[t, x] <= alpha
            hot, cold = sure & (z > zero), sure & (z < zero)
            seen[0, x] += one if there else zero
            seen[1, x] += one if hot else zero
            seen[2, x] += one if cold else zero
            seen[3, x] = (seen[3, x] + one if hot else zero) if there else seen[3, x]
            seen[4, x] = (seen[4, x] + one if cold else zero) if there else seen[4, x]


@jit
def _ties(series: Any) -> int:
    """Return the sum of t (t - 1) (2 t + 5) over groups of t equal values."""
    total = 0
    for i in range(series.size):
        equal = 0
        for j in range(series.size):
            equal += 1 if series[i] == series[j] else 0
        total += (equal - 1) * (2 * equal + 5) if equal > 1 else 0
    return total


@jit
def _score(n: int, rises: int, falls: int, series: Any) -> Any:
    """Return Z of a pixel; 0 where it rises as often as it falls."""
    if n < MIN_DATES:
        return np.nan
    s = rises - falls
    if s == 0:
        return 0.0
    ties = _ties(series) if 2 * (rises + falls) < n * (n - 1) else 0
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18.0
    return (s - 1 if s > 0 else s + 1) / np.sqrt(variance)


@jit
def _of_present(n: int, own: int, run: int, other: int, more: Any, less: Any) -> int:
    """Return the category of what is hot (or cold) at the last date."""
    if own == 1:
        return NEW
    if 10 * own >= 9 * n:
        return INTENSIFYING if more else (DIMINISHING if less else PERSISTENT)
    if run == own:
        return CONSECUTIVE
    return OSCILLATING if other > 0 else SPORADIC


@jit
def _category(n: int, hot: int, cold: int, hot_run: int, cold_run: int, rising: Any, falling: Any) -> int:
    if n < MIN_DATES:
        return MISSING
    if hot_run > 0:
        return _of_present(n, hot, hot_run, cold, rising, falling)
    if cold_run > 0:
        return -_of_present(n, cold, cold_run, hot, falling, rising)
    if 10 * hot >= 9 * n:
        return HISTORICAL
    return -HISTORICAL if 10 * cold >= 9 * n else NO_PATTERN


@jit
def _judge(trend: Any, p: Any, seen: Any, alpha: Any, category: Any) -> None:
    """Write the category of each pixel of a tile."""
    for x in range(category.size):
        n, hot, cold, hot_run, cold_run = seen[0, x], seen[1, x], seen[2, x], seen[3, x], seen[4, x]
        sure = p[x] <= alpha
        rising, falling = sure & (trend[x] > 0), sure & (trend[x] < 0)
        category[x] = _category(int(n), int(hot), int(cold), int(hot_run), int(cold_run), rising, falling)


@jit
def _emerging(
    z: Any,
    alpha: Any,
    one: Any,
    zero: Any,
    curve: Any,
    growth: Any,
    far: float,
    rows: Any,
    p: Any,
    seen: Any,
    trend: Any,
    category: Any,
) -> None:
    """Write trend and category of every pixel of ``z`` (time, pixel); rows, p and seen are a tile's."""
    dates = z.shape[0]
    for first in range(0, z.shape[1], _PIXELS):
        last = min(first + _PIXELS, z.shape[1])
        _load(z, first, rows)
        _count_pairs(rows, dates, one, zero, seen[5], seen[6])
        fill_p(rows.reshape(-1), curve, growth, far, p.reshape(-1))
        _count_dates(rows, p, dates, alpha, one, zero, seen)
        for x in range(last - first):
            trend[first + x] = _score(int(seen[0, x]), int(seen[5, x]), int(seen[6, x]), rows[:dates, x])
        fill_p(trend[first:last], curve, growth, far, p[0])
        _judge(trend[first:last], p[0], seen, alpha, category[first:last])


def _numpy(z: Any, *, alpha: float) -> Any:
    """Return trend, in the dtype of ``z`` (time, ...), and category, int8, of every pixel."""
    dtype = np.dtype(np.float32 if z.dtype.newbyteorder("=") == np.float32 else np.float64)
    series = np.ascontiguousarray(z, dtype).reshape(z.shape[0], -1)
    trend, category = np.empty(series.shape[1], dtype), np.empty(series.shape[1], np.int8)
    rows = np.empty((2, len(series) + _TOGETHER, _PIXELS), dtype)
    seen = np.empty((_COUNTS, _PIXELS), dtype)
    chosen = (CURVE_32, GROWTH_32, FAR_32) if dtype == np.float32 else (CURVE_64, GROWTH_64, FAR_64)
    numbers = (dtype.type(alpha), dtype.type(1), dtype.type(0))
    _emerging(series, *numbers, *chosen, *rows, seen, trend, category)  # type: ignore[call-arg]
    return trend.reshape(z.shape[1:]), category.reshape(z.shape[1:])


emerging_hot_spots = Kernel("emerging_hot_spots", numpy=_numpy)
