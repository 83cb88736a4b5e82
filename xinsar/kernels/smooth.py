"""Gaussian means of what is valid, over dates and over maps, in float64.

Over dates: least squares takes a model out of each series, and the Gaussian mean over time out of what is left. Over
maps: the mean of the valid pixels around a pixel, weighted by ``exp(-d^2 / (2 width^2))`` with the distances along y
and x up to ``REACH`` widths, first across the columns of every row, then down the rows. Sums run over neighbours in
ascending index whatever the chunk; pixels outside the image have no weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.regression import PIXELS, _accumulate, _factor, _load, _solve

REACH = 3.0
"""Standard deviations after which a Gaussian ends."""

INFINITE = (
    "displacement: expected finite values or NaN for missing, got an infinite one; mark it missing first, e.g. with "
    ".where(numpy.isfinite(ds.displacement))"
)


def gaussian(distance: Any, width: float) -> Any:
    """Return ``exp(-distance^2 / (2 width^2))``, 0 beyond ``REACH`` widths (to the rounding of coordinates)."""
    scaled = np.abs(distance) / width
    return np.where(scaled <= REACH * (1 + 1e-9), np.exp(-0.5 * scaled**2), 0.0)


# ---- over dates -------------------------------------------------------------------------------------------------


@jit
def _leave(basis: Any, weights: Any, there: Any, known: Any, data: Any) -> None:
    """Take the model out of the data of a tile; what is not known becomes 0, and is not there."""
    for t in range(data.shape[0]):
        for i in range(basis.shape[0]):
            for x in range(PIXELS):
                data[t, x] -= basis[i, t] * weights[i, x]
        for x in range(PIXELS):
            there[t, x] = there[t, x] if known[x] else 0.0
            data[t, x] = data[t, x] if there[t, x] > 0 else 0.0


@jit
def _subtract_mean(
    data: Any, there: Any, weights: Any, starts: Any, stops: Any, total: Any, norm: Any, begin: int, out: Any
) -> None:
    """Write the data of a tile less their weighted mean over dates, NaN where they are not there."""
    number = min(PIXELS, out.shape[1] - begin)
    for t in range(data.shape[0]):
        total[:] = 0.0
        norm[:] = 0.0
        for s in range(starts[t], stops[t]):
            w = weights[t, s]
            for x in range(PIXELS):
                total[x] += w * data[s, x]
                norm[x] += w * there[s, x]
        for x in range(number):
            out[t, begin + x] = data[t, x] - total[x] / norm[x] if there[t, x] > 0 else np.nan


@jit
def _high_pass(series: Any, basis: Any, weights: Any, starts: Any, stops: Any, out: Any) -> None:
    number, dates = basis.shape
    data, there, count = np.empty((dates, PIXELS)), np.empty((dates, PIXELS)), np.empty(PIXELS)
    normal, right = np.empty((number, number, PIXELS)), np.empty((number, PIXELS))
    total, norm, known = np.empty(PIXELS), np.empty(PIXELS), np.empty(PIXELS, np.bool_)
    for begin in range(0, series.shape[1], PIXELS):
        _load(series, begin, data, there, count)
        _accumulate(basis, data, there, normal, right)
        _factor(normal, known)
        for x in range(PIXELS):
            known[x] &= count[x] > number
            if known[x]:
                _solve(normal, x, right)
        _leave(basis, right, there, known, data)
        _subtract_mean(data, there, weights, starts, stops, total, norm, begin, out)


def _floats(array: Any) -> Any:
    """Return the native floating dtype for the results of ``array``."""
    dtype = array.dtype.newbyteorder("=")
    return dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")


def _high_pass_numpy(series: Any, *, basis: Any, weights: Any) -> Any:
    """Return what neither the model nor the mean over time explains of ``series`` (date, ...), in its floating dtype.

    The functions of the model are the rows of ``basis`` (function, date), orthonormal; row t of ``weights`` (date,
    date) makes the mean for date t. NaN where the series is, and everywhere in a series whose valid dates are no more
    than the functions, or cannot tell them apart.
    """
    flat = np.ascontiguousarray(series, _floats(series)).reshape(series.shape[0], -1)
    if np.isinf(flat).any():
        raise ValueError(INFINITE)
    out = np.empty(flat.shape, flat.dtype)
    used = weights > 0
    starts, stops = used.argmax(axis=1), len(weights) - used[:, ::-1].argmax(axis=1)
    basis, weights = (np.ascontiguousarray(a, np.float64) for a in (basis, weights))
    _high_pass(flat, basis, weights, starts, stops, out)
    return out.reshape(series.shape)


high_pass = Kernel("high_pass", numpy=_high_pass_numpy)


# ---- over maps --------------------------------------------------------------------------------------------------


@jit
def _blur_row(values: Any, weights: Any, half: int, out: Any) -> None:
    """Write the weighted sum of each value and its neighbours along a row."""
    width = values.size
    out[:] = 0.0
    for k in range(-half, half + 1):
        w = weights[abs(k)]
        for x in range(max(0, -k), min(width, width - k)):
            out[x] += w * values[x + k]


@jit
def _fill_row(plane: Any, r: int, values: Any, there: Any) -> bool:
    """Copy a row, 0 where it is missing, with what is there; tell whether nothing is missing."""
    missing = 0
    for x in range(plane.shape[1]):
        value = np.float64(plane[r, x])
        valid = value == value
        values[x] = value if valid else 0.0
        there[x] = 1.0 if valid else 0.0
        missing += 0 if valid else 1
    return missing == 0


@jit
def _across(
    plane: Any, rows: Any, weights: Any, halves: Any, row: Any, there: Any, whole: Any, total: Any, norm: Any
) -> None:
    """Sum values and weights across the columns of every row; the weights of full rows of one kind are the same."""
    kind = -1
    for r in range(plane.shape[0]):
        full = _fill_row(plane, r, row, there)
        own = rows[r]
        _blur_row(row, weights[own], halves[own], total[r])
        if full and own == kind:
            norm[r] = whole
            continue
        _blur_row(there, weights[own], halves[own], norm[r])
        if full:
            kind = own
            whole[:] = norm[r]


@jit
def _down(
    rows: Any, weights: Any, halves: Any, total: Any, norm: Any, sums: Any, counts: Any, out: Any
) -> None:
    """Sum down the rows and write the means, NaN where nothing is in reach."""
    height, width = total.shape
    for r in range(height):
        half = halves[rows[r]]
        sums[:] = 0.0
        counts[:] = 0.0
        for s in range(max(0, r - half), min(height, r + half + 1)):
            w = weights[rows[r], abs(s - r)]
            for x in range(width):
                sums[x] += w * total[s, x]
                counts[x] += w * norm[s, x]
        for x in range(width):
            out[r, x] = sums[x] / counts[x] if counts[x] > 0 else np.nan


@jit
def _low_pass(
    planes: Any, rows: Any, down: Any, down_half: Any, across: Any, across_half: Any, out: Any
) -> None:
    height, width = planes.shape[1:]
    total, norm = np.empty((height, width)), np.empty((height, width))
    a, b, c = np.empty(width), np.empty(width), np.empty(width)
    for k in range(planes.shape[0]):
        _across(planes[k], rows, across, across_half, a, b, c, total, norm)
        _down(rows, down, down_half, total, norm, a, b, out[k])


def half_widths(sizes: Any, width: float, limit: tuple[int, int]) -> Any:
    """Return how many pixels a Gaussian of ``width`` metres reaches along y and x, (kind, 2), no more than ``limit``.

    ``sizes`` (kind, 2) are the sizes of the pixels of each kind of row along y and x, metres.
    """
    reach = np.floor(REACH * width * (1 + 1e-9) / sizes)
    return np.minimum(reach, np.array(limit)).astype(np.int64)


def _low_pass_numpy(values: Any, rows: Any, _: Any = None, *, sizes: Any, width: float) -> Any:
    """Return the Gaussian mean of the valid pixels around each pixel of ``values`` (..., y, x), in its floating dtype.

    ``rows`` (y) holds the kind of each row, ``sizes`` (kind, 2) the size of the pixels of each kind along y and x,
    metres, ``width`` the standard deviation, metres. A missing pixel gets a mean too; NaN where none is in reach.
    """
    height, wide = values.shape[-2:]
    planes = np.ascontiguousarray(values, _floats(values)).reshape(-1, height, wide)
    out = np.empty(planes.shape, planes.dtype)
    kinds, own = np.unique(rows, return_inverse=True)
    halves = half_widths(sizes[kinds], width, (height, wide))
    tables = [
        gaussian(np.arange(h.max() + 1) * size[:, None], width)
        for h, size in zip(halves.T, sizes[kinds].T, strict=True)
    ]
    down_half, across_half = (np.ascontiguousarray(h) for h in halves.T)
    _low_pass(planes, own.astype(np.int64), tables[0], down_half, tables[1], across_half, out)
    return out.reshape(values.shape)


low_pass = Kernel("low_pass", numpy=_low_pass_numpy)
