"""Scattered values to pixels: sort points by the pixel that holds them, then one statistic per pixel.

A pixel holds the points of its half-open cell [centre - half, centre + half) along x and along y, whichever way its
axes run. Its values are sorted before they are used, so the order of the points cannot change the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit

STATISTICS = ("mean", "median", "min", "max", "std")
"""Legal statistics; ``std`` is that of the population (divided by the number of values)."""

INFINITE = (
    "points: expected finite values or NaN, found an infinite one; mark it missing first, e.g. "
    "velocity.where(numpy.isfinite(velocity))"
)

_FEW = 24
"""Up to so many values a plain insertion sort is fastest."""


@dataclass(frozen=True)
class Lattice:
    """Columns and rows of a target grid: number of cells, centre of the first, signed step."""

    columns: int
    x: float
    dx: float
    rows: int
    y: float
    dy: float


@jit
def _edge(centre: float, step: float, i: int) -> float:
    """Return the border between cells ``i - 1`` and ``i``."""
    return centre + (i - 0.5) * step


@jit
def _cell(value: float, centre: float, step: float, number: int) -> int:
    """Return the number of the cell whose half-open interval holds ``value``; -1 where none does."""
    guess = np.floor((value - centre) / step + 0.5)
    if not -1.0 <= guess <= number:
        return -1
    i = int(guess)
    if step > 0:
        while value < _edge(centre, step, i):
            i -= 1
        while value >= _edge(centre, step, i + 1):
            i += 1
    else:
        while value >= _edge(centre, step, i):
            i -= 1
        while value < _edge(centre, step, i + 1):
            i += 1
    return i if 0 <= i < number else -1


@jit
def _cells(x: Any, y: Any, first: int, last: int, columns: Any, rows: Any, out: Any) -> None:
    """Write each point's pixel within rows [first, last) to ``out``; -1 for points elsewhere."""
    number, x0, dx = columns
    height, y0, dy = rows
    for k in range(x.size):
        row = _cell(y[k], y0, dy, height)
        column = _cell(x[k], x0, dx, number)
        inside = first <= row < last and column >= 0
        out[k] = (row - first) * number + column if inside else -1


@jit
def _end_of_run(cells: Any, first: int) -> int:
    """Return where the run of equal cells that begins at ``first`` ends."""
    last = first + 1
    while last < cells.size and cells[last] == cells[first]:
        last += 1
    return last


@jit
def _gather(values: Any, order: Any, scratch: Any) -> int:
    """Copy the values that are not missing to ``scratch``, -0 as 0; return their number, -1 if one is infinite."""
    number = 0
    infinite = False
    for k in order:
        value = np.float64(values[k])
        infinite |= abs(value) == np.inf
        if value == value:
            scratch[number] = value + 0.0
            number += 1
    return -1 if infinite else number


@jit
def _sort(values: Any) -> None:
    if values.size > _FEW:
        values.sort()
        return
    for i in range(1, values.size):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@jit
def _mean(values: Any) -> Any:
    total = 0.0
    for value in values:
        total += value
    return total / values.size


@jit
def _std(values: Any) -> Any:
    mean = _mean(values)
    total = 0.0
    for value in values:
        total += (value - mean) * (value - mean)
    return np.sqrt(total / values.size)


@jit
def _median(values: Any) -> Any:
    middle = values.size // 2
    if values.size % 2:
        return values[middle]
    return (values[middle - 1] + values[middle]) / 2


@jit
def _statistic(values: Any, which: int) -> Any:
    """Return a statistic of sorted values."""
    if which == 0:
        return _mean(values)
    if which == 1:
        return _median(values)
    if which == 2:
        return values[0]
    if which == 3:
        return values[-1]
    return _std(values)


@jit
def _fill(values: Any, order: Any, cells: Any, which: int, scratch: Any, out: Any) -> bool:
    """Write the statistic of each run of equal cells to ``out``; cells without a valid value are left as they are.

    Stop and return False at an infinite value.
    """
    first = 0
    while first < cells.size:
        last = _end_of_run(cells, first)
        number = _gather(values, order[first:last], scratch)
        if number < 0:
            return False
        if number:
            _sort(scratch[:number])
            out[cells[first]] = _statistic(scratch[:number], which)
        first = last
    return True


@jit
def _tally(cells: Any, out: Any) -> None:
    for cell in cells:
        if cell >= 0:
            out[cell] += 1


def _cells_of(x: Any, y: Any, first: int, last: int, lattice: Lattice) -> Any:
    """Return each point's pixel within rows [first, last), -1 elsewhere."""
    x, y = (np.ascontiguousarray(a, np.float64).reshape(-1) for a in (x, y))
    cells = np.empty(x.size, np.int64)
    columns, rows = (lattice.columns, lattice.x, lattice.dx), (lattice.rows, lattice.y, lattice.dy)
    _cells(x, y, first, last, columns, rows, cells)
    return cells


def _sorted_points(cells: Any) -> tuple[Any, Any]:
    """Return the numbers of the points that lie in a pixel, sorted by pixel, and these pixels."""
    order = np.argsort(cells)
    cells = cells[order]
    inside = np.searchsorted(cells, 0)
    return order[inside:], cells[inside:]


def _rasterize(
    x: Any, y: Any, values: Any, first: int, last: int, *, lattice: Lattice, statistic: str
) -> Any:
    order, cells = _sorted_points(_cells_of(x, y, first, last, lattice))
    scratch = np.empty(order.size)
    leading = values.shape[:-1]
    dtype = np.result_type(values.dtype, np.float32)
    out = np.full((*leading, (last - first) * lattice.columns), np.nan, dtype)
    for place in np.ndindex(*leading):
        line = np.ascontiguousarray(values[place])
        if not _fill(line, order, cells, STATISTICS.index(statistic), scratch, out[place]):
            raise ValueError(INFINITE)
    return out.reshape(*leading, last - first, lattice.columns)


def _count(x: Any, y: Any, _: Any, first: int, last: int, *, lattice: Lattice) -> Any:
    out = np.zeros((last - first) * lattice.columns, np.int32)
    _tally(_cells_of(x, y, first, last, lattice), out)
    return out.reshape(last - first, lattice.columns)


def _within(x: Any, y: Any, *, lattice: Lattice) -> Any:
    return (_cells_of(x, y, 0, lattice.rows, lattice) >= 0).reshape(np.shape(x))


rasterize = Kernel("rasterize_points", numpy=_rasterize)
count = Kernel("point_count", numpy=_count)
within = Kernel("points within a grid", numpy=_within)
