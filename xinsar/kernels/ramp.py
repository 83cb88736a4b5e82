"""Ramps of whole fields: exact normal equations of a fit on functions of place, and fields less what was fitted.

The functions are 1; x and y (``PLANE``); their squares and product besides (``QUADRATIC``); the elevation
(``ELEVATION``). With f their values at a pixel, w its weight and v its value, the products w f_i f_j and w f_i v are
formed pixel by pixel in float64 and added up exactly, as in :mod:`xinsar.kernels.exact`, so no order of adding, and no
chunking, changes a bit of a coefficient. Functions are centred by integer arithmetic before anything is rounded.
A pixel whose value, weight or elevation is NaN, or whose weight is not above 0, is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import bits_of, float_of, jit
from xinsar.kernels.exact import _SLICES, INFINITE, SLICE, _cut_all, _scale, _top_slice, _whole

PLANE, QUADRATIC, ELEVATION = "plane", "quadratic", "elevation"
FITTED, TOO_FEW, ALIKE = 0, 1, 2
"""What became of a fit: done, fewer pixels than functions, or pixels that cannot tell the functions apart."""
HEIGHT_UNIT = 2.0**-10
"""Elevations are scaled by a power of two, which rounds nothing."""

_SEGMENT = 1024
_SLAB = 1 << 15
"""Pixels that are copied together before they are summed."""
_FLUSH = 1 << 21
"""Pixels whose slices fit an int64."""
_SAME = 1e-13
"""Variance of a function over its mean square below which it is a constant."""
_SINGULAR = 1e-10
"""Least eigenvalue of the correlations of functions that can be told apart."""


@dataclass(frozen=True)
class Normal:
    """Pixels used, and exact sums of products, row after row of the upper triangle, then those with the values."""

    count: int
    totals: tuple[int, ...]

    def __add__(self, other: Normal) -> Normal:
        """Return the sums over both sets of pixels."""
        return Normal(
            self.count + other.count, tuple(a + b for a, b in zip(self.totals, other.totals, strict=True))
        )


def number_of(terms: Sequence[str]) -> int:
    """Return the number of functions of ``terms``, the constant among them."""
    return 1 + (5 if QUADRATIC in terms else 2 if PLANE in terms else 0) + (1 if ELEVATION in terms else 0)


@jit
def _fill(y: Any, x: Any, h: Any, first: int, number: int, order: int, functions: Any) -> None:
    """Write the functions at some pixels; ``order`` 0, 1 or 2 of the surface in x and y."""
    for i in range(number):
        functions[0, i] = 1.0
    k = 1
    if order > 0:
        for i in range(number):
            functions[1, i] = x[first + i]
            functions[2, i] = y[first + i]
        k = 3
    if order > 1:
        for i in range(number):
            functions[3, i] = x[first + i] * x[first + i]
            functions[4, i] = x[first + i] * y[first + i]
            functions[5, i] = y[first + i] * y[first + i]
        k = 6
    if k < functions.shape[0]:
        for i in range(number):
            functions[k, i] = h[first + i] * HEIGHT_UNIT


@jit
def _screen(
    value: Any, weight: Any, first: int, number: int, functions: Any, weighted: Any, known: Any
) -> int:
    """Write value and weight of some pixels, and 0 for all that belongs to one that is not used; count the others."""
    for i in range(number):
        v, w = value[first + i], weight[first + i]
        known[i] = v if v == v else 0.0
        weighted[i] = w if (v == v) & (w > 0) else 0.0
    for k in range(functions.shape[0]):
        for i in range(number):
            f = functions[k, i]
            functions[k, i] = f if f == f else 0.0
            weighted[i] = weighted[i] if f == f else 0.0
    count = 0
    for i in range(number):
        count += 1 if weighted[i] > 0 else 0
    return count


@jit
def _add_exactly(products: Any, number: int, bins: Any) -> bool:
    """Add products to their slices; tell whether all were finite."""
    large = 0
    for i in range(number):
        large = max(large, bits_of(products[i]) & 0x7FFFFFFFFFFFFFFF)
    if large == 0:
        return True
    if large >= 0x7FF0000000000000:
        return False
    top = _top_slice(large)
    _scale(products, number, float_of((SLICE - SLICE * top + 1023) << 52))
    _cut_all(products, number, top - 1, bins)
    return True


@jit
def _accumulate(value: Any, weight: Any, y: Any, x: Any, h: Any, order: int, scratch: Any, bins: Any) -> int:
    """Add all products of some pixels to ``bins`` (product, slice); return the pixels used, -1 for an infinite one."""
    functions, weighted, known, products = scratch[:-3], scratch[-3], scratch[-2], scratch[-1]
    terms, count = functions.shape[0], 0
    for first in range(0, value.size, _SEGMENT):
        number = min(_SEGMENT, value.size - first)
        _fill(y, x, h, first, number, order, functions)
        count += _screen(value, weight, first, number, functions, weighted, known)
        place = 0
        for i in range(terms):
            for j in range(i, terms + 1):
                other = known if j == terms else functions[j]
                for p in range(number):
                    products[p] = weighted[p] * functions[i, p] * other[p]
                k = terms * (terms + 1) // 2 + i if j == terms else place
                if not _add_exactly(products, number, bins[k]):
                    return -1
                place += 0 if j == terms else 1
    return count


@jit
def _subtract(
    value: Any, y: Any, x: Any, h: Any, order: int, coefficients: Any, functions: Any, out: Any
) -> None:
    """Write values less the fitted sum of functions."""
    for first in range(0, value.size, _SEGMENT):
        number = min(_SEGMENT, value.size - first)
        _fill(y, x, h, first, number, order, functions)
        for i in range(number):
            fitted = 0.0
            for k in range(coefficients.size):
                fitted += coefficients[k] * functions[k, i]
            out[first + i] = value[first + i] - fitted


def _slabs(shape: tuple[int, ...], dims: int) -> list[Any]:
    """Return the parts of a field, (y, x) or (point), that are copied together."""
    own = shape[len(shape) - dims :]
    step = max(1, _SLAB // max(prod(own[1:]), 1))
    return [slice(first, first + step) for first in range(0, own[0], step)]


def _flat(array: Any, part: Any) -> Any:
    """Return one part of a field as contiguous float64."""
    return np.ascontiguousarray(array[part], np.float64).reshape(-1)


def _order(terms: Sequence[str]) -> int:
    return 2 if QUADRATIC in terms else 1 if PLANE in terms else 0


def _normal_of(planes: Sequence[Any], terms: Sequence[str], slabs: Sequence[Any]) -> Normal:
    """Return the exact sums over one field: its values, weights, y, x and elevation."""
    number = number_of(terms)
    scratch = np.empty((number + 3, _SEGMENT))
    totals, count, filled = [0] * (number * (number + 3) // 2), 0, 0
    bins = np.zeros((len(totals), _SLICES), np.int64)
    for part in slabs:
        flat = [_flat(plane, part) for plane in planes]
        used = _accumulate(*flat, _order(terms), scratch, bins)  # type: ignore[call-arg]
        if used < 0:
            raise ValueError(INFINITE)
        count, filled = count + used, filled + flat[0].size
        if filled > _FLUSH - _SLAB:
            totals, filled = _flushed(totals, bins), 0
    return Normal(count, tuple(_flushed(totals, bins)))


def _flushed(totals: list[int], bins: Any) -> list[int]:
    """Return totals with what the bins hold, which are emptied."""
    found = [total + _whole(row) for total, row in zip(totals, bins, strict=True)]
    bins[:] = 0
    return found


def _normals(values: Any, axes: tuple[int, ...], *beside: Any, terms: Sequence[str]) -> Any:
    leading = values.shape[: values.ndim - len(axes)]
    weight, y, x, h = (np.broadcast_to(a, values.shape) for a in beside)
    slabs = _slabs(values.shape, len(axes))
    out = np.empty((*leading, *(1,) * len(axes)), object)
    for place in np.ndindex(leading):
        planes = [a[place] for a in (values, weight, y, x, h)]
        out[place] = _normal_of(planes, terms, slabs)
    return out


_normals_kernel = Kernel("deramp", numpy=_normals)


def normals(block: Any, axes: tuple[int, ...], *beside: Any, terms: Sequence[str]) -> Any:
    """Return the :class:`Normal` of each field of ``block`` over its last ``axes``, which stay with length 1.

    ``beside``: weight, y, x and elevation, each broadcast to the block; ``terms``: which functions are fitted.
    """
    return _normals_kernel(block, axes, *beside, terms=terms)


def _numpy(values: Any, coefficients: Any, y: Any, x: Any, h: Any, *, terms: Sequence[str], dims: int) -> Any:
    leading = values.shape[: values.ndim - dims]
    y, x, h = (np.broadcast_to(a, values.shape) for a in (y, x, h))
    numbers = np.broadcast_to(coefficients, (*leading, coefficients.shape[-1]))
    functions, order = np.empty((number_of(terms), _SEGMENT)), _order(terms)
    out = np.empty(values.shape, values.dtype)
    for place in np.ndindex(leading):
        for part in _slabs(values.shape, dims):
            planes = [_flat(a[place], part) for a in (values, y, x, h)]
            rest = np.empty(planes[0].size)
            fitted = np.ascontiguousarray(numbers[place][: len(functions)])
            _subtract(*planes, order, fitted, functions, rest)  # type: ignore[call-arg]
            out[place][part] = rest.reshape(out[place][part].shape)
    return out


without_ramp = Kernel("deramp", numpy=_numpy)
"""``without_ramp(values, coefficients, y, x, elevation, terms=, dims=)``: fields less what was fitted, in their dtype.

Fields are the last ``dims`` axes; ``coefficients`` (..., number) has one vector for each.
"""


def solve(normal: Normal, number: int) -> tuple[list[float], int]:
    """Return the coefficients of ``number`` functions, NaN where they cannot be told, and what became of the fit."""
    none = [np.nan] * number
    if normal.count < number:
        return none, TOO_FEW
    table = _triangle(normal.totals, number)
    weight, right = table[0][0], normal.totals[number * (number + 1) // 2 :]
    unit = weight * weight
    spread = [
        [(table[i][j] * weight - table[0][i] * table[0][j]) / unit for j in range(1, number)]
        for i in range(1, number)
    ]
    square = [table[i][i] / weight for i in range(1, number)]
    if any(not spread[i][i] > _SAME * square[i] for i in range(number - 1)):
        return none, ALIKE
    size = np.array([sqrt(spread[i][i]) for i in range(number - 1)])
    alike = np.array(spread).reshape(number - 1, number - 1) / np.outer(size, size)
    if number > 1 and np.linalg.eigvalsh(alike)[0] < _SINGULAR:
        return none, ALIKE
    aside = np.array([(right[i] * weight - table[0][i] * right[0]) / unit for i in range(1, number)])
    slopes = np.linalg.solve(alike, aside / size) / size if number > 1 else aside
    means = [table[0][i] / weight for i in range(1, number)]
    level = right[0] / weight - sum(float(s) * m for s, m in zip(slopes, means, strict=True))
    return [level, *(float(s) for s in slopes)], FITTED


def _triangle(totals: Sequence[int], number: int) -> list[list[int]]:
    """Return the whole matrix from its upper triangle."""
    table = [[0] * number for _ in range(number)]
    place = 0
    for i in range(number):
        for j in range(i, number):
            table[i][j] = table[j][i] = totals[place]
            place += 1
    return table


def solutions(found: Any, *, terms: Sequence[str]) -> Any:
    """Return, for an object array of :class:`Normal`, coefficients, pixels used and what became of the fit."""
    number = number_of(terms)
    out = np.empty((*found.shape, number + 2))
    for place in np.ndindex(*found.shape):
        coefficients, verdict = solve(found[place], number)
        out[place] = [*coefficients, found[place].count, verdict]
    return out
