"""Least squares of series with gaps on a few shared functions of time, pixel by pixel.

The functions (rows of ``basis``, one value a date) are orthonormal over all dates; their normal matrix at a pixel sums
over its valid dates only and is factored as L D L'. Numbers are worked out for a tile of pixels at a time, each pixel
by itself, in float64. A pixel with fewer valid dates than functions, or whose dates cannot tell them apart, is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels import cuda
from xinsar.kernels._jit import jit

PIXELS = 32
"""Pixels in a tile."""
SINGULAR = 1e-9
"""Share of its own diagonal below which a pivot counts as 0."""


@jit
def _load(series: Any, begin: int, data: Any, there: Any, count: Any) -> None:
    """Copy a tile of pixels, 0 where a date is missing, with what is there."""
    number = min(PIXELS, series.shape[1] - begin)
    data[:] = 0.0
    there[:] = 0.0
    count[:] = 0.0
    for t in range(series.shape[0]):
        for x in range(number):
            value = np.float64(series[t, begin + x])
            valid = value == value
            data[t, x] = value if valid else 0.0
            there[t, x] = 1.0 if valid else 0.0
            count[x] += there[t, x]


@jit
def _accumulate(basis: Any, data: Any, there: Any, normal: Any, right: Any) -> None:
    """Sum the lower half of the normal matrix and the right side over dates."""
    normal[:] = 0.0
    right[:] = 0.0
    for t in range(data.shape[0]):
        for i in range(basis.shape[0]):
            for x in range(PIXELS):
                right[i, x] += basis[i, t] * data[t, x]
            for j in range(i + 1):
                product = basis[i, t] * basis[j, t]
                for x in range(PIXELS):
                    normal[i, j, x] += product * there[t, x]


@jit
def _factor(normal: Any, good: Any) -> None:
    """Factor in place: D on the diagonal, L below it; ``good`` tells which pixels are not singular."""
    number = normal.shape[0]
    for x in range(PIXELS):
        own = True
        for i in range(number):
            whole = normal[i, i, x]
            for j in range(i):
                value = normal[i, j, x]
                for k in range(j):
                    value -= normal[i, k, x] * normal[j, k, x] * normal[k, k, x]
                normal[i, j, x] = value / normal[j, j, x] if normal[j, j, x] > 0 else 0.0
                normal[i, i, x] -= normal[i, j, x] * value
            own = own & (normal[i, i, x] > SINGULAR * whole)
        good[x] = own


@jit
def _solve(normal: Any, x: int, right: Any) -> None:
    """Solve for one pixel in place."""
    number = normal.shape[0]
    for i in range(number):
        for j in range(i):
            right[i, x] -= normal[i, j, x] * right[j, x]
    for i in range(number):
        right[i, x] /= normal[i, i, x]
    for i in range(number - 1, -1, -1):
        for j in range(i + 1, number):
            right[i, x] -= normal[j, i, x] * right[j, x]


@jit
def _leave(basis: Any, data: Any, there: Any, weights: Any, squares: Any) -> None:
    """Sum the squared residuals over dates."""
    squares[:] = 0.0
    rest = np.empty(PIXELS)
    for t in range(data.shape[0]):
        for x in range(PIXELS):
            rest[x] = data[t, x]
        for i in range(basis.shape[0]):
            for x in range(PIXELS):
                rest[x] -= basis[i, t] * weights[i, x]
        for x in range(PIXELS):
            squares[x] += there[t, x] * rest[x] * rest[x]


@jit
def _regress(series: Any, basis: Any, row: Any, value: Any, sigma: Any) -> None:
    """Write ``row . a`` and its standard error for every pixel of ``series`` (date, pixel); a: the weights found."""
    number, dates = basis.shape
    data, there, count = np.empty((dates, PIXELS)), np.empty((dates, PIXELS)), np.empty(PIXELS)
    normal, right = np.empty((number, number, PIXELS)), np.empty((number, PIXELS))
    lever, squares, good = np.empty((number, PIXELS)), np.empty(PIXELS), np.empty(PIXELS, np.bool_)
    for begin in range(0, series.shape[1], PIXELS):
        _load(series, begin, data, there, count)
        _accumulate(basis, data, there, normal, right)
        _factor(normal, good)
        for i in range(number):
            lever[i] = row[i]
        for x in range(PIXELS):
            if good[x]:
                _solve(normal, x, right)
                _solve(normal, x, lever)
        _leave(basis, data, there, right, squares)
        for x in range(min(PIXELS, series.shape[1] - begin)):
            known = good[x] & (count[x] >= number)
            found, spread = 0.0, 0.0
            for i in range(number):
                found += row[i] * right[i, x]
                spread += row[i] * lever[i, x]
            free = count[x] - number
            value[begin + x] = found if known else np.nan
            sigma[begin + x] = np.sqrt(squares[x] / free * spread) if known & (free > 0) else np.nan


def _numpy(series: Any, *, basis: Any, row: Any) -> Any:
    """Return the number ``row . a`` and its standard error for ``series`` (date, ...), in its floating dtype."""
    dtype = series.dtype.newbyteorder("=")
    floats = dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")
    flat = np.ascontiguousarray(series, floats).reshape(series.shape[0], -1)
    found = np.empty((2, flat.shape[1]), floats)
    _regress(flat, np.ascontiguousarray(basis, float), np.ascontiguousarray(row, float), found[0], found[1])
    return tuple(found.reshape(2, *series.shape[1:]))


regression = Kernel("regression", numpy=_numpy, cupy=cuda.regression)


def orthonormal(functions: Any, wanted: int) -> tuple[Any, Any]:
    """Return (basis, row) for ``functions`` (number, date) and the weight of function ``wanted``.

    Raises numpy.linalg.LinAlgError where one of the functions is a sum of others at these dates.
    """
    size = np.sqrt((functions**2).sum(axis=1))
    if not (size > 0).all():
        raise np.linalg.LinAlgError
    basis, upper = np.linalg.qr((functions / size[:, None]).T)
    if functions.shape[0] > functions.shape[1] or np.abs(np.diag(upper)).min() < 1e-6:
        raise np.linalg.LinAlgError
    row = np.linalg.inv(upper)[wanted] / size[wanted]
    return np.ascontiguousarray(basis.T), row
