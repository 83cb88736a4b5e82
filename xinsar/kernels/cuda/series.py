"""Rates of series on a GPU: calls of regression.cu and months.cu, the twins of regression.py and months.py."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from xinsar.backend import array_namespace
from xinsar.kernels.cuda.launch import real, run
from xinsar.kernels.cuda.source import Source, double

_I, _D, _L = np.int32, np.float64, np.int64
THREADS = 128


def regression(series: Any, *, basis: Any, row: Any) -> Any:
    """Return the number ``row . a`` and its standard error: the twin of regression.py."""
    shape = series.shape[1:]
    series, kind = real(series)
    xp, pixels = array_namespace(series), prod(shape)
    found = xp.empty((2, pixels), series.dtype)
    tables = (xp.asarray(np.ascontiguousarray(values, _D)) for values in (basis, row))
    args = (series, *tables, _I(len(series)), _L(pixels), found[0], found[1])
    if pixels:
        run(regression_program(kind, len(basis)), (-(-pixels // THREADS),), THREADS, 0, args)
    return tuple(found.reshape(2, *shape))


def regression_program(kind: str, number: int) -> Source:
    """Return the kernel of regression.cu for a number of functions."""
    from xinsar.kernels.regression import SINGULAR

    numbers = ("THREADS", THREADS), ("NUMBER", number), ("SINGULAR", double(SINGULAR))
    return Source("regression", "regression", (("VALUE", kind), *numbers))


def monthly_velocity(series: Any, *, days: Any, starts: Any, max_gap: float, year: float) -> Any:
    """Return velocities (month, ...) of a series: the twin of months.py."""
    shape = series.shape[1:]
    series, kind = real(series)
    xp, pixels = array_namespace(series), prod(shape)
    out = xp.empty((starts.size - 1, pixels), series.dtype)
    sides = (np.searchsorted(starts, days, side).astype(_I) for side in ("left", "right"))
    tables = (np.ascontiguousarray(days, _D), np.ascontiguousarray(starts, _D), *sides)
    sizes = (_I(len(series)), _L(pixels), _D(max_gap), _D(year))
    args = (series, *map(xp.asarray, tables), *sizes, out)
    if pixels:
        run(months_program(kind, starts.size), (-(-pixels // THREADS),), THREADS, 0, args)
    return out.reshape(starts.size - 1, *shape)


def months_program(kind: str, starts: int) -> Source:
    """Return the kernel of months.cu for a number of starts of months."""
    return Source("months", "monthly_velocity", (("VALUE", kind), ("THREADS", THREADS), ("STARTS", starts)))
