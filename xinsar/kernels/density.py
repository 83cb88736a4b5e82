"""Kernel density: of pixels on their own grid, and of points onto a grid.

    density(p) = 3 / (pi r^2) sum over d < r of w (1 - (d / r)^2)^power

with d the distance of p from what has the weight w, and power 2 (quartic, integrates to 1) or 1 (as printed in a
paper, integrates to 1.5). Missing weights count as absent. In what follows lengths are in units of the radius r.

``convolve``
    pixels, row after row: three sums along each row serve all rows it is added to.
``convolve_fft``
    pixels, in tiles that begin at multiples of one number from the image's corner.
``splat``
    points, one after the other, onto every pixel around them.
``bin_points``
    points onto their four nearest pixels, for ``convolve_fft``.

Sums are float64 and run in an order that no chunk can change: a pixel gets its neighbours by offset, points by the cell
of a lattice they lie in and then by their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xinsar.backend import Kernel
from xinsar.kernels._jit import fma, jit

POWERS = {"quartic": 2, "printed": 1}
"""Exponent of the bracket of each kernel."""

INFINITE = (
    "weights: expected finite numbers or NaN, found an infinite one; mark it missing first, e.g. "
    "weights.where(numpy.isfinite(weights))"
)

LANES = 8
"""Pixels of a row that a point is added to at once."""
ROWS = 4
"""Rows that a point is added to at once."""
TILE = (64, 1024)
"""Rows and columns that points are added to together: they fit the second-level cache."""
CELL = (16, 32)
"""Rows and columns whose points follow each other: what they are added to fits the first-level cache."""
SEGMENT = 1024
"""Columns that are convolved at once."""
TILES = tuple(2**n for n in range(7, 31))
"""Widths of the tiles of a transform."""


def peak(radius: float) -> float:
    """Return the density of a weight of 1 at its place, m-2."""
    return 3.0 / (pi * radius * radius)


# ---- counts


@jit
def _valid(values: Any) -> int:
    """Return the number of values that are not missing; -1 if one is infinite."""
    number = 0
    infinite = False
    for value in values:
        number += 1 if value == value else 0
        infinite |= abs(value) == np.inf
    return -1 if infinite else number


def valid_numpy(values: Any) -> int:
    """Return how many values are not missing; raise ValueError where one is infinite."""
    number = int(_valid(np.ascontiguousarray(values).reshape(-1)))
    if number < 0:
        raise ValueError(INFINITE)
    return number


def _valid_cupy(values: Any) -> int:
    from xinsar.kernels.cuda.density import valid as twin

    return twin(values)


valid = Kernel("kernel_density", numpy=valid_numpy, cupy=_valid_cupy)


def partial_counts(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the number of valid values over ``axes`` of ``block``, an object array that keeps them with length 1."""
    axes = tuple(a % block.ndim for a in axes)
    others = [a for a in range(block.ndim) if a not in axes]
    out = np.empty([1 if a in axes else n for a, n in enumerate(block.shape)], object)
    flat = out.reshape(-1)
    fields = block.transpose(*others, *axes)
    for i, place in enumerate(np.ndindex(*(block.shape[a] for a in others))):
        flat[i] = valid(fields[place])
    return out


def counts(parts: Any) -> Any:
    """Return an object array of numbers as float64, (..., 1)."""
    return parts.astype(np.float64)[..., None]


# ---- points, exact


def _splat(builder: Any, value: Any) -> Any:
    """Return a vector that holds ``value`` in every lane."""
    vector = ir.VectorType(value.type, LANES)
    whole = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(whole, value, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, whole, order)


@intrinsic  # type: ignore[untyped-decorator]
def _add_chords(
    typingctx: Any,  # noqa: ARG001  (numba dictates it)
    total: Any,
    start: Any,
    stride: Any,
    blocks: Any,
    column: Any,
    step: Any,
    shift: Any,
    room: Any,
    weight: Any,
    power: Any,
) -> Any:
    """Add ``weight max(room_i - (column step_i + shift_i)^2, 0)^power`` to ROWS rows of ``total``.

    Row i begins at ``start + i stride``; ``blocks`` times LANES columns follow each other from number ``column`` on.
    ``step`` and ``shift`` are one number, or one a row; ``power`` is the length of a tuple.
    """
    number = types.float64
    even = step == number
    vector = ir.VectorType(ir.DoubleType(), LANES)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f64"
        )
        values = dict(
            zip(
                ("total", "start", "stride", "blocks", "column", "step", "shift", "room", "weight"),
                args,
                strict=False,
            )
        )
        data = context.make_array(signature.args[0])(context, builder, values["total"]).data

        def rows_of(name: str) -> list[Any]:
            value = values[name]
            if not isinstance(value.type, ir.ArrayType):
                return [_splat(builder, value)]
            return [_splat(builder, builder.extract_value(value, i)) for i in range(ROWS)]

        steps, shifts, rooms = (rows_of(name) for name in ("step", "shift", "room"))
        weights = _splat(builder, values["weight"])
        zero = ir.Constant(vector, [0.0] * LANES)
        here = builder.fadd(
            _splat(builder, values["column"]), ir.Constant(vector, [float(k) for k in range(LANES)])
        )
        columns = cgutils.alloca_once_value(builder, here)
        with cgutils.for_range(builder, values["blocks"]) as loop:
            here = builder.load(columns)
            apart = [builder.call(call, [here, f, g]) for f, g in zip(steps, shifts, strict=True)]
            squares = [builder.fmul(t, t) for t in apart]
            place = builder.add(values["start"], builder.mul(loop.index, ir.Constant(ir.IntType(64), LANES)))
            for i in range(ROWS):
                left = builder.fsub(rooms[i], squares[0 if even else i])
                left = builder.select(builder.fcmp_ordered(">", left, zero), left, zero)
                term = builder.fmul(weights, left) if power.count == 2 else weights
                cells = builder.bitcast(builder.gep(data, [place]), vector.as_pointer())
                before = builder.load(cells)
                before.align = LANES
                after = builder.store(builder.call(call, [term, left, before]), cells)
                after.align = LANES
                place = builder.add(place, values["stride"])
            builder.store(builder.fadd(here, ir.Constant(vector, [float(LANES)] * LANES)), columns)
        return context.get_dummy_value()

    return types.void(total, start, stride, blocks, column, step, shift, room, weight, power), generate


@jit
def _room(rows: Any, j: int, north: float) -> float:
    """Return 1 - (how far row j lies from ``north``)^2."""
    apart = rows[j] - north
    return float(fma(-apart, apart, 1.0))


@jit
def _rooms(rows: Any, j: int, north: float) -> tuple[float, float, float, float]:
    """Return the room of ROWS rows."""
    return (
        _room(rows, j, north),
        _room(rows, j + 1, north),
        _room(rows, j + 2, north),
        _room(rows, j + 3, north),
    )


@jit
def _chords(
    u: float, north: float, rows: Any, narrow: float, first: int, last: int, box: Any, chords: Any
) -> None:
    """Write where the chords of a point begin in the groups of rows [first, last], and how long they are, in LANES.

    All of them before any is used: so the processor knows the length of its next loop in time, worth a third of it all.
    """
    top, _, left, right = box
    west, east = np.float64(left), np.float64(right - 1)
    for group in range(first, last + 1):
        room = _rooms(rows, top + group * ROWS, north)
        most = max(max(room[0], room[1]), max(room[2], room[3]))
        width = np.sqrt(most if most > 0.0 else 0.0) * narrow
        near, far = max(u - width, west), min(u + width, east)
        begin = (int(near) - left) // LANES
        i = np.uint64(group - first)
        chords[i, 0] = begin
        chords[i, 1] = (int(np.ceil(far)) - left) // LANES + 1 - begin if near <= far else 0


@jit
def _add_point(
    u: float,
    v: float,
    north: float,
    half: Any,
    weight: float,
    rows: Any,
    row_half: Any,
    step: float,
    narrow: float,
    reach: float,
    box: Any,
    power: Any,
    chords: Any,
    stride: int,
    total: Any,
) -> None:
    """Add one point to the pixels of a tile: rows [top, bottom), columns [left, right)."""
    top, bottom, left, _ = box
    first = (max(int(np.floor(v - reach)), top) - top) // ROWS
    last = (min(int(np.ceil(v + reach)), bottom - 1) - top) // ROWS
    _chords(u, north, rows, narrow, first, last, box, chords)
    for group in range(first, last + 1):
        j, i = top + group * ROWS, np.uint64(group - first)
        begin, blocks = chords[i, 0] * LANES, chords[i, 1]
        room = _rooms(rows, j, north)
        start = group * ROWS * stride + begin
        column = np.float64(left + begin)
        if half is None:
            _add_chords(total, start, stride, blocks, column, step, -u * step, room, weight, power)
        else:
            steps = (
                step * (half + row_half[j]),
                step * (half + row_half[j + 1]),
                step * (half + row_half[j + 2]),
                step * (half + row_half[j + 3]),
            )
            shifts = (-u * steps[0], -u * steps[1], -u * steps[2], -u * steps[3])
            _add_chords(total, start, stride, blocks, column, steps, shifts, room, weight, power)


@jit
def _add_points(
    points: Any,
    halves: Any,
    starts: Any,
    cells: Any,
    rows: Any,
    row_half: Any,
    step: float,
    narrow: float,
    reach: float,
    box: Any,
    power: Any,
    chords: Any,
    total: Any,
) -> None:
    """Add the points of all cells (top, bottom, left, right) to a tile; ``points`` holds u, v, north and weight."""
    flat, stride = total.reshape(-1), total.shape[1]
    for i in range(cells[0], cells[1]):
        for p in range(starts[i, cells[2]], starts[i, cells[3]]):
            u, v, north, weight = points[0, p], points[1, p], points[2, p], points[3, p]
            if weight == weight:
                half = None if halves is None else halves[p]
                _add_point(
                    u,
                    v,
                    north,
                    half,
                    weight,
                    rows,
                    row_half,
                    step,
                    narrow,
                    reach,
                    box,
                    power,
                    chords,
                    stride,
                    flat,
                )


@jit
def _store(total: Any, scale: float, out: Any) -> None:
    """Write ``scale`` times the part of ``total`` that fits to ``out``."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = total[y, x] * scale


@jit
def _number(u: Any, v: Any, bounds: Any, first: int, before: int, width: int, cells: Any) -> None:
    """Write the number of each point's cell, -1 for points that are not between ``bounds``."""
    top, bottom, left, right = bounds
    for p in range(u.size):
        cells[p] = -1
        if top < v[p] < bottom and left < u[p] < right:
            row, column = int(np.floor(v[p] / CELL[0])) - first, int(np.floor(u[p] / CELL[1])) - before
            cells[p] = row * width + column


@jit
def _by_cell(cells: Any, starts: Any) -> Any:
    """Return the numbers of the points sorted by cell, those of a cell in their own order; fill ``starts``."""
    starts[:] = 0
    for cell in cells:
        if cell >= 0:
            starts[cell + 1] += 1
    for cell in range(starts.size - 1):
        starts[cell + 1] += starts[cell]
    free = starts.copy()
    order = np.empty(starts[-1], np.int64)
    for p in range(cells.size):
        if cells[p] >= 0:
            order[free[cells[p]]] = p
            free[cells[p]] += 1
    return order


@jit
def _gather(order: Any, a: Any, b: Any, c: Any, out: Any) -> None:
    """Write ``a``, ``b`` and ``c`` in the order of points to the first rows of ``out``."""
    for i in range(order.size):
        p = order[i]
        out[0, i], out[1, i], out[2, i] = a[p], b[p], c[p]


@dataclass(frozen=True)
class Cells:
    """Points by the cell of an absolute lattice they lie in.

    Parameters
    ----------
    top, left
        Row and column of the first cell.
    starts
        Where each cell's points begin in ``order``, (rows of cells, columns of cells + 1).
    order
        Numbers of the points, sorted by cell.
    """

    top: int
    left: int
    starts: Any
    order: Any

    def around(self, box: tuple[int, int, int, int], down: float, across: float) -> tuple[int, int, int, int]:
        """Return the cells, (top, bottom, left, right), whose points may reach a box of pixels."""
        top, bottom, left, right = box
        low, high = _cell(top - down, CELL[0]) - self.top, _cell(bottom + down, CELL[0]) - self.top + 1
        near, far = _cell(left - across, CELL[1]) - self.left, _cell(right + across, CELL[1]) - self.left + 1
        height, width = self.starts.shape[0], self.starts.shape[1] - 1
        return max(low, 0), min(high, height), min(max(near, 0), width), min(max(far, 0), width)


def _cell(place: float, size: int) -> int:
    return int(np.floor(place / size))


def cells_of(u: Any, v: Any, box: tuple[int, int, int, int], down: float, across: float) -> Cells:
    """Return the points that may reach a box of pixels by their cells; the others are left out."""
    top, bottom, left, right = box
    bounds = (top - down, bottom + down, left - across, right + across)
    first, before = _cell(bounds[0], CELL[0]), _cell(bounds[2], CELL[1])
    height, width = _cell(bounds[1], CELL[0]) - first + 1, _cell(bounds[3], CELL[1]) - before + 1
    cells, starts = np.empty(u.size, np.int64), np.empty(height * width + 1, np.int64)
    _number(u, v, bounds, first, before, width, cells)
    order = _by_cell(cells, starts)
    ends = np.append(starts[:-1].reshape(height, width), starts[width::width, None], axis=1)
    return Cells(first, before, ends, order)


def splat_numpy(
    weights: Any,
    u: Any,
    v: Any,
    north: Any,
    half: Any,
    *,
    rows: Any,
    row_half: Any,
    step: float,
    narrow: float,
    reach: float,
    columns: int,
    first: int,
    last: int,
    power: int,
    scale: float,
    dtype: Any,
) -> Any:
    """Return the density of points on rows [first, last) of a grid, (..., last - first, columns).

    ``weights`` (..., n); ``u``, ``v`` (n,): column and row of each point, fractions included. Along y, a point lies at
    ``north``, row j at ``rows[j]``. Along x, a column is ``step`` wide; with ``half`` and ``row_half`` not None it is
    ``step (half + row_half[j])`` wide. ``narrow``: columns in a radius, at most; ``reach``: rows in one. The sum is
    multiplied by ``scale``.
    """
    cells = cells_of(u, v, (first, last, 0, columns), reach + 1, narrow + 1)
    points = np.empty((4, cells.order.size))
    _gather(cells.order, u, v, north, points)
    half = None if half is None else half[cells.order]
    rows = np.append(rows, np.full(ROWS, np.inf))
    row_half = None if row_half is None else np.append(row_half, np.zeros(ROWS))
    out = np.empty((*weights.shape[:-1], last - first, columns), dtype)
    for place in np.ndindex(*weights.shape[:-1]):
        valid(weights[place])
        points[3] = weights[place][cells.order]
        _fill(points, half, cells, (rows, row_half, step, narrow, reach), power, scale, first, out[place])
    return out


def _stride(columns: int) -> int:
    """Return the length of rows for ``columns``: an odd number of cache lines, so that rows share no cache set."""
    return (-(-columns // LANES) | 1) * LANES


def _aligned(shape: tuple[int, int]) -> Any:
    """Return an empty float64 array whose rows of LANES columns begin on cache lines."""
    size, line = shape[0] * shape[1], 8 * LANES
    raw = np.empty(size + LANES)
    start = -raw.ctypes.data % line // 8
    return raw[start : start + size].reshape(shape)


def _boxes(first: int, last: int, columns: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the tiles of rows [first, last): top, bottom, left, right."""
    for left in range(0, columns, TILE[1]):
        for top in range(first, last, TILE[0]):
            yield top, min(top + TILE[0], last), left, min(left + TILE[1], columns)


def _fill(
    points: Any, half: Any, cells: Cells, options: Any, power: int, scale: float, first: int, out: Any
) -> None:
    """Write the density of points, sorted by cell, to ``out``, rows from ``first`` on."""
    _, _, _, narrow, reach = options
    height, columns = out.shape
    total = _aligned((TILE[0], _stride(min(TILE[1], columns))))
    chords = np.empty((TILE[0] // ROWS, 2), np.int64)
    for box in _boxes(first, first + height, columns):
        top, bottom, left, right = box
        total[:] = 0
        near = cells.around(box, reach + 1, narrow + 1)
        options_of_tile = (*options, box, (0,) * power, chords, total)
        _add_points(points, half, cells.starts, near, *options_of_tile)
        _store(total, scale, out[top - first : bottom - first, left:right])


def _splat_cupy(weights: Any, *places: Any, **options: Any) -> Any:
    from xinsar.kernels.cuda.density import splat as twin

    return twin(weights, *places, **options)


splat = Kernel("kernel_density", numpy=splat_numpy, cupy=_splat_cupy)


# ---- pixels, exact


@jit
def _load(line: Any, left: int, out: Any) -> None:
    """Copy a row of pixels from column ``left`` on to ``out``; 0 where missing or outside."""
    begin, end = max(-left, 0), min(line.size - left, out.size)
    out[:begin] = 0.0
    out[max(end, 0) :] = 0.0
    for x in range(begin, end):
        value = np.float64(line[left + x])
        out[x] = value if value == value else 0.0


@jit
def _load_tile(plane: Any, top: int, left: int, out: Any) -> bool:
    """Copy the pixels from row ``top`` and column ``left`` on to ``out``; tell whether any is neither missing nor 0."""
    found = False
    for i in range(out.shape[0]):
        y = top + i
        inside = 0 <= y < plane.shape[0]
        _load(plane[y if inside else 0, : plane.shape[1] if inside else 0], left, out[i])
        for x in range(out.shape[1]):
            found |= out[i, x] != 0.0
    return found


@jit
def _add_columns(line: Any, middle: int, d: int, square: float, once: Any, twice: Any, thrice: Any) -> None:
    """Add the pixels ``d`` columns to the left and right to three sums of a row: ``square`` 0, 1 and 2 times."""
    a, b = np.uint64(middle - d), np.uint64(middle + d)
    for x in range(np.uint64(once.size)):
        both = line[a + x] + line[b + x]
        term = square * both
        once[x] += both
        twice[x] += term
        thrice[x] = fma(square, term, thrice[x])


@jit
def _add_rows(
    once: Any, twice: Any, thrice: Any, c0: float, c1: float, c2: float, above: int, below: int, total: Any
) -> None:
    """Add the weighted sums of a row to the rows above and below it, which are one where it is the row itself."""
    a, b = np.uint64(above), np.uint64(below)
    if above == below:
        for x in range(np.uint64(once.size)):
            total[a + x] += fma(c0, once[x], fma(c1, twice[x], c2 * thrice[x]))
        return
    for x in range(np.uint64(once.size)):
        term = fma(c0, once[x], fma(c1, twice[x], c2 * thrice[x]))
        total[a + x] += term
        total[b + x] += term


@jit
def _spread_row(
    line: Any,
    middle: int,
    y: int,
    reach: int,
    dy: float,
    dx: float,
    power: int,
    sums: Any,
    stride: int,
    total: Any,
) -> None:
    """Add a row of pixels of ``dy`` by ``dx`` to the rows up to ``reach`` above and below.

    With a = 1 - (k dy)^2 and b = (d dx)^2 a pixel's weight k rows and d columns away is a^2 - 2 a b + b^2, or a - b: so
    three sums over d serve all k, each as far as its chord.
    """
    slots = 2 * reach + 1
    once, twice, thrice = sums[0], sums[1], sums[2]
    once[:] = line[middle : middle + once.size]
    twice[:] = 0.0
    thrice[:] = 0.0
    d = 0
    for k in range(reach, -1, -1):
        room = 1.0 - (k * dy) * (k * dy)
        if room <= 0.0:
            continue
        while d < middle and room - ((d + 1) * dx) * ((d + 1) * dx) > 0.0:
            d += 1
            _add_columns(line, middle, d, (d * dx) * (d * dx), once, twice, thrice)
        c0, c1, c2 = (room * room, -2.0 * room, 1.0) if power == 2 else (room, -1.0, 0.0)
        above, below = (y - k) % slots * stride, (y + k) % slots * stride
        _add_rows(once, twice, thrice, c0, c1, c2, above, below, total)


@jit
def _convolve(
    values: Any,
    rows: Any,
    dy: Any,
    dx: Any,
    reach: int,
    power: int,
    scale: float,
    line: Any,
    sums: Any,
    stride: int,
    total: Any,
    out: Any,
) -> None:
    """Write the density of a plane to ``out``; row i of it has the size of row ``rows[i]`` of the image."""
    height, width = values.shape
    segment, slots = sums.shape[1], 2 * reach + 1
    across = (line.size - segment) // 2
    for left in range(0, width, segment):
        number = min(segment, width - left)
        total[:] = 0.0
        for y in range(height + reach):
            if y < height:
                _load(values[y], left - across, line)
                _spread_row(line, across, y, reach, dy[rows[y]], dx[rows[y]], power, sums, stride, total)
            done, start = y - reach, (y - reach) % slots * stride
            if done >= 0:
                for x in range(number):
                    out[done, left + x] = total[start + x] * scale
            total[start : start + segment] = 0.0


def reach_of(sizes: Any, limit: int) -> int:
    """Return how many pixels of the smallest of ``sizes`` (in radii) lie within a radius, at most ``limit`` - 1."""
    return int(min(np.ceil(1.0 / np.min(sizes)) - 1, limit - 1))


def convolve_numpy(
    values: Any, rows: Any, number: Any, *, dy: Any, dx: Any, reach: tuple[int, int], power: int, scale: float
) -> Any:
    """Return the density of planes (..., y, x); NaN all over where ``number`` (..., 1), the valid values, is 0.

    ``rows`` numbers the rows of the image that the planes hold; ``dy`` and ``dx`` are the sizes of the image's rows:
    each row is spread by its own. No weight goes farther than ``reach`` rows and columns.
    """
    segment = min(SEGMENT, values.shape[-1])
    stride = _stride(segment)
    line, sums = np.empty(segment + 2 * reach[1]), np.empty((3, segment))
    total = np.empty((2 * reach[0] + 1) * stride)
    out = np.empty_like(values)
    for plane, there, result in _planes(values, number, out):
        valid(plane)
        if there:
            _convolve(plane, rows, dy, dx, reach[0], power, scale, line, sums, stride, total, result)
        else:
            result[:] = np.nan
    return out


def _planes(values: Any, number: Any, out: Any) -> Iterator[tuple[Any, bool, Any]]:
    """Yield every plane (y, x) of ``values``, whether its field has valid values, and its place in ``out``."""
    leading = values.shape[:-2]
    there = np.broadcast_to(number, (*leading, 1))[..., 0] > 0
    for place in np.ndindex(*leading):
        yield np.ascontiguousarray(values[place]), bool(there[place]), out[place]


def _convolve_cupy(values: Any, rows: Any, number: Any, **options: Any) -> Any:
    from xinsar.kernels.cuda.density import convolve as twin

    return twin(values, rows, number, **options)


convolve = Kernel("kernel_density", numpy=convolve_numpy, cupy=_convolve_cupy)


# ---- transforms


@jit
def _bin(weights: Any, u: Any, v: Any, first: int, out: Any) -> None:
    """Share each weight among the four pixels around it, rows from ``first`` on."""
    height, width = out.shape
    for p in range(u.size):
        weight = np.float64(weights[p])
        if not (weight == weight and first - 1 < v[p] < first + height and -1 < u[p] < width):
            continue
        row, column = int(np.floor(v[p])), int(np.floor(u[p]))
        down, across = v[p] - row, u[p] - column
        for i in range(2):
            part = weight * (down if i else 1.0 - down)
            j = row + i - first
            if 0 <= j < height:
                if column >= 0:
                    out[j, column] += part * (1.0 - across)
                if column + 1 < width:
                    out[j, column + 1] += part * across


def bin_points_numpy(weights: Any, u: Any, v: Any, *, columns: int, first: int, last: int) -> Any:
    """Return the weights (..., n) of points shared among the four pixels around them, (..., last - first, columns).

    ``u`` and ``v`` (n,) are column and row of each point, fractions included; a pixel gets its points in their order.
    """
    out = np.zeros((*weights.shape[:-1], last - first, columns))
    for place in np.ndindex(*weights.shape[:-1]):
        valid(weights[place])
        _bin(weights[place], u, v, first, out[place])
    return out


bin_points = Kernel("kernel_density", numpy=bin_points_numpy)


def tiles(reach: int, length: int) -> tuple[int, int]:
    """Return the width of the tiles to transform and of the part of each that is right, for an axis of ``length``.

    The whole axis is one tile where it is not longer than the tile that ``reach`` asks for.
    """
    from scipy.fft import next_fast_len

    tile = next(width for width in TILES if width > 4 * reach)
    tile = tile if tile > 8 * reach else 2 * tile
    whole = next_fast_len(length + reach, real=True)
    return (whole, length) if whole <= tile else (tile, tile - 2 * reach)


def _spectrum(
    size: tuple[float, float], reach: tuple[int, int], tile: tuple[int, int], power: int, scale: float
) -> Any:
    """Return the transform of the weights, their centre at the tile's corner."""
    from scipy.fft import rfft2

    weights = np.zeros(tile)
    j, i = (np.arange(-n, n + 1) for n in reach)
    left = 1.0 - ((j[:, None] * size[0]) ** 2 + (i * size[1]) ** 2)
    weights[np.ix_(j, i)] = scale * np.maximum(left, 0.0) ** power
    return rfft2(weights)


def convolve_fft_numpy(
    values: Any,
    rows: Any,
    number: Any,
    *,
    height: int,
    size: tuple[float, float],
    reach: tuple[int, int],
    power: int,
    scale: float,
) -> Any:
    """Return the density of planes (..., y, x), as :func:`convolve_numpy`, by transforms of tiles.

    The tiles begin at multiples of what :func:`tiles` tells from the corner of the image, which is ``height`` rows
    tall. The planes hold whole rows, ``rows``; unless they end at a border of the image they begin and end ``reach``
    rows outside a row of tiles. ``size`` is that of every pixel.
    """
    shape, part = zip(tiles(reach[0], height), tiles(reach[1], values.shape[-1]), strict=True)
    spectrum = _spectrum(size, reach, shape, power, scale)
    first = 0 if rows[0] == 0 else reach[0]
    last = len(rows) if rows[-1] == height - 1 else len(rows) - reach[0]
    out = np.zeros_like(values)
    for plane, there, result in _planes(values, number, out):
        valid(plane)
        if there:
            _by_tiles(plane, spectrum, shape, part, reach, (first, last), result)
        else:
            result[:] = np.nan
    return out


def _by_tiles(
    plane: Any,
    spectrum: Any,
    shape: tuple[int, int],
    part: tuple[int, int],
    reach: tuple[int, int],
    rows: tuple[int, int],
    out: Any,
) -> None:
    """Write rows of a plane's density to ``out``, tile after tile; what touches no weight stays 0."""
    from scipy.fft import irfft2, rfft2

    tile = np.empty(shape)
    for top in range(*rows, part[0]):
        for left in range(0, plane.shape[1], part[1]):
            if _load_tile(plane, top - reach[0], left - reach[1], tile):
                into = out[top : min(top + part[0], rows[1]), left : left + part[1]]
                found = rfft2(tile)
                found *= spectrum
                found = irfft2(found, shape, overwrite_x=True)[reach[0] :, reach[1] :]
                into[:] = found[: into.shape[0], : into.shape[1]]


convolve_fft = Kernel("kernel_density", numpy=convolve_fft_numpy)


# ---- errors and work


def binning_error(size: tuple[float, float], power: int) -> float:
    """Return how far linear interpolation between pixels of ``size`` (radii) may lie from the kernel, in peaks.

    Quartic: second derivatives are at most 8 peaks a squared radius, so c^2 / 8 times that along each axis. Printed: 2,
    and at the rim the slope jumps by 2 peaks a radius, which adds a quarter of the jump times c.
    """
    if power == 2:
        return float(sum(c * c for c in size))
    return float(sum(c * c / 4 + c / 2 for c in size))


def spacing_error(uneven: float, power: int) -> float:
    """Return how far a kernel may lie from one whose distances are wrong by the share ``uneven``, in peaks."""
    return (1.01 if power == 2 else 2.02) * uneven


def rounding_error(reach: tuple[int, int]) -> float:
    """Return what the rounding of transforms may add for a weight of 1 anywhere in a tile, in peaks.

    The error of a transform is a few roundings for each of its log2 steps; it grows with the sum of the kernel's
    weights, at most one peak a pixel.
    """
    taps = (2 * reach[0] + 1) * (2 * reach[1] + 1)
    steps = np.log2(64 * max(reach[0], 16) * max(reach[1], 16))
    return float(8 * 2.0**-53 * steps * taps)


def work_of_sums(points: int, radius: float) -> float:
    """Return the work of adding points over ``radius`` pixels, in nanoseconds of one machine."""
    return points * (30 + 5 * radius + 0.17 * radius**2)


def work_of_transforms(points: int, pixels: int) -> float:
    """Return the work of sharing points among pixels and transforming those, in nanoseconds of one machine."""
    return 40.0 * points + 20.0 * pixels
