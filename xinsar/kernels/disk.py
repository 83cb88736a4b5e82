"""Gi* over discs on a grid: exact window sums at a cost that hardly grows with the radius.

Values are whole numbers (fixed point), so sums by differences of running sums are exact whatever they start from. A
disc is a rectangle, rows above and below it, and columns beside it: four corners of a summed-area table, two ends of a
running sum along the row for each row, and two along the column for each column.

``table[t, i]`` is the half-width of the disc, in pixels, i rows from its centre, -1 beyond it; ``t`` is picked by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import bits_of, jit
from xinsar.kernels.exact import fixed_point, z_score

_TILE = 512
_ROUND = 1.5 * 2.0**52
_ROUND_BITS = 0x4338000000000000
_BITS = 40
"""Bits of the fixed-point values, where the number of pixels in a window allows."""
_FEW = 13
"""Windows of less than 2**13 pixels carry their count in the low bits of their sum."""


def half_widths(distance: float, dy: Any, dx: Any, limit: tuple[int, int]) -> tuple[Any, Any]:
    """Return the table of half-widths (disc, row offset) of every kind of row, and the kind of each row.

    ``dy`` and ``dx`` are the pixel sizes of the rows in metres; a pixel belongs to the disc when its centre lies within
    ``distance`` (to one part in 1e9, the rounding of coordinates) of the disc's centre. No disc need reach farther than
    ``limit``, the rows and columns of the image.
    """
    sizes, kinds = np.unique(np.stack([dy, dx], axis=-1), axis=0, return_inverse=True)
    reach = distance * (1 + 1e-9)
    height = int(min(np.floor(reach / sizes[:, 0].min()), limit[0]))
    offset = np.arange(height + 1) * sizes[:, :1]
    room = reach**2 - offset**2
    widths = np.where(
        room >= 0, np.minimum(np.floor(np.sqrt(np.maximum(room, 0)) / sizes[:, 1:]), limit[1]), -1
    )
    table, same = np.unique(widths.astype(np.int64), axis=0, return_inverse=True)
    return table, same.reshape(-1)[kinds.reshape(-1)].astype(np.int32)


def pixels(row: Any) -> int:
    """Return how many pixels a disc holds."""
    inside = row[row >= 0]
    return int(2 * (2 * inside + 1).sum() - (2 * inside[0] + 1))


def split(row: Any) -> int:
    """Return the last row of the rectangle inside a disc that makes the sum of the whole disc cheapest."""
    inside = row[row >= 0]
    rows = np.arange(inside.size)
    return int(np.argmin((inside.size - 1 - rows) + (inside[0] - inside)))


def heights(row: Any, inner: int) -> Any:
    """Return the half-heights of the columns beside the rectangle, from its edge outward."""
    inside = row[: inner + 1]
    return np.array(
        [np.flatnonzero(inside >= j)[-1] for j in range(inside[inner] + 1, inside[0] + 1)], np.int64
    )


BOTH, COUNT, TOTAL = 0, 1, 2
"""What running sums hold: sum and count together, the count, the sum."""


@jit
def _pack(
    values: Any,
    row: int,
    first: int,
    number: int,
    lead: int,
    mean: Any,
    unit: Any,
    shift: int,
    what: int,
    packed: Any,
) -> None:
    """Write a row of fixed-point values to ``packed`` from ``lead`` on, missing ones as 0."""
    for j in range(number):
        value = np.float64(values[row, first + j])
        whole = bits_of((value - mean) * unit + _ROUND) - _ROUND_BITS
        word = (whole << shift) + 1 if what == BOTH else (1 if what == COUNT else whole)
        packed[lead + j] = word if value == value else 0


@jit
def _advance(packed: Any, number: int, new: int, old: int, along: Any, area: Any, down: Any) -> None:
    """Append a row to the running sums: along the row, of the area, down the columns."""
    total = np.int64(0)
    along[np.uint64(new)] = 0
    area[np.uint64(new)] = area[np.uint64(old)]
    for j in range(number):
        total += packed[j]
        along[np.uint64(new + 1 + j)] = total
    for j in range(number):
        area[np.uint64(new + 1 + j)] = area[np.uint64(old + 1 + j)] + along[np.uint64(new + 1 + j)]
    for j in range(number):
        down[np.uint64(new + j)] = down[np.uint64(old + j)] + packed[j]


@jit
def _add(sums: Any, number: int, plus: int, minus: int, plus2: int, minus2: int, total: Any) -> None:
    """Add two differences of running sums to ``total``."""
    a, b, c, d = np.uint64(plus), np.uint64(minus), np.uint64(plus2), np.uint64(minus2)
    for x in range(np.uint64(number)):
        total[x] += (sums[a + x] - sums[b + x]) + (sums[c + x] - sums[d + x])


@jit
def _window(
    row: int,
    number: int,
    depth: int,
    slots: int,
    stride: int,
    widths: Any,
    inner: int,
    tall: Any,
    along: Any,
    area: Any,
    down: Any,
    total: Any,
) -> None:
    """Sum the discs around a row of pixels."""
    total[:number] = 0
    near, far = depth - widths[inner], depth + widths[inner] + 1
    bottom, top = ((row + inner) % slots) * stride, ((row - inner - 1) % slots) * stride
    _add(area, number, bottom + far, bottom + near, top + near, top + far, total)
    for i in range(inner + 1, len(widths)):
        if widths[i] < 0:
            break
        near, far = depth - widths[i], depth + widths[i] + 1
        above, below = ((row - i) % slots) * stride, ((row + i) % slots) * stride
        _add(along, number, above + far, above + near, below + far, below + near, total)
    for j in range(widths[inner] + 1, widths[0] + 1):
        height = tall[j]
        bottom, top = ((row + height) % slots) * stride, ((row - height - 1) % slots) * stride
        _add(down, number, bottom + depth - j, top + depth - j, bottom + depth + j, top + depth + j, total)


@jit
def _score(
    values: Any,
    row: int,
    first: int,
    number: int,
    total: Any,
    shift: int,
    unit: Any,
    n: Any,
    std: Any,
    out: Any,
) -> None:
    """Turn packed sums into Gi*; the count lies in the lowest ``shift`` bits."""
    low = (1 << shift) - 1
    for x in range(number):
        count = total[x] & low
        whole = (total[x] - count) >> shift
        weight = np.float64(count)
        z = z_score(np.float64(whole) * unit, weight, weight, n, std)
        value = values[row, first + x]
        out[row, first + x] = z if value == value else np.nan


@jit
def _plane(
    values: Any,
    kinds: Any,
    table: Any,
    inner: Any,
    tall: Any,
    shift: int,
    what: int,
    moments: Any,
    bits: int,
    tile: int,
    packed: Any,
    along: Any,
    area: Any,
    down: Any,
    total: Any,
    counts: Any,
    out: Any,
) -> None:
    """Fill ``out`` (y, x) with Gi*, or ``counts`` with the number of valid pixels in each window."""
    height, width = values.shape
    reach = table.shape[1] - 1
    depth = table[:, 0].max()
    slots = 2 * reach + 2
    stride = tile + 2 * depth + 1
    n, mean, std = moments[0], moments[1], moments[2]
    unit = fixed_point(moments[3], bits)
    back = 1.0 / unit if unit > 0.0 else np.nan
    for first in range(0, width, tile):
        number = min(tile, width - first)
        left, right = max(first - depth, 0), min(first + number + depth, width)
        along[:] = 0
        area[:] = 0
        down[:] = 0
        packed[:] = 0
        for y in range(-reach, height):
            new, old = ((y + reach) % slots) * stride, ((y + reach - 1) % slots) * stride
            if y + reach < height:
                _pack(
                    values,
                    y + reach,
                    left,
                    right - left,
                    left - first + depth,
                    mean,
                    unit,
                    shift,
                    what,
                    packed,
                )
            else:
                packed[:] = 0
            _advance(packed, number + 2 * depth, new, old, along, area, down)
            if y < 0:
                continue
            kind = kinds[y]
            _window(
                y,
                number,
                depth,
                slots,
                stride,
                table[kind],
                inner[kind],
                tall[kind],
                along,
                area,
                down,
                total,
            )
            if what == BOTH:
                _score(values, y, first, number, total, shift, back, n, std, out)
            elif what == COUNT:
                for x in range(number):
                    counts[y, first + x] = total[x]
            else:
                for x in range(number):
                    weight = np.float64(counts[y, first + x])
                    z = z_score(np.float64(total[x]) * back, weight, weight, n, std)
                    value = values[y, first + x]
                    out[y, first + x] = z if value == value else np.nan


def gi_star_numpy(values: Any, rows: Any, moments: Any, *, table: Any) -> Any:
    """Return Gi* of planes (..., y, x); ``rows`` is the kind of disc of each row, ``moments`` (..., 4)."""
    shape = values.shape
    moments = np.broadcast_to(moments, (*shape[:-2], moments.shape[-1])).reshape(-1, moments.shape[-1])
    planes = np.ascontiguousarray(values).reshape(-1, *shape[-2:])
    out = np.empty_like(planes)
    table, inner, tall = _clipped(table, shape[-2], shape[-1])
    for plane, numbers, result in zip(planes, moments, out, strict=True):
        _fill(plane, rows, table, inner, tall, numbers, result)
    return out.reshape(shape)


def _clipped(table: Any, height: int, width: int) -> tuple[Any, Any, Any]:
    """Return the table cut to the size of the image, with the split of each disc and the heights beside it."""
    table = np.minimum(table[:, : max(height, 1)], width)
    inner = np.array([split(row) for row in table])
    tall = np.zeros((len(table), int(table.max()) + 1), np.int64)
    for row, end, into in zip(table, inner, tall, strict=True):
        into[row[end] + 1 : row[0] + 1] = heights(row, int(end))
    return np.ascontiguousarray(table), inner, tall


def _fill(plane: Any, rows: Any, table: Any, inner: Any, tall: Any, moments: Any, out: Any) -> None:
    number = max(pixels(row) for row in table).bit_length()
    reach, depth = table.shape[1] - 1, int(table[:, 0].max())
    stride = _TILE + 2 * depth + 1
    packed, total = np.zeros(stride, np.int64), np.empty(_TILE, np.int64)
    sums = np.zeros((3, (2 * reach + 2) * stride), np.int64)
    few = number <= _FEW
    counts = np.empty((0, 0) if few else plane.shape, np.int32)
    for what in (BOTH,) if few else (COUNT, TOTAL):
        shift = number if few else 0
        bits = min(_BITS, 62 - shift - number)
        _plane(
            plane,
            rows,
            table,
            inner,
            tall,
            shift,
            what,
            moments,
            bits,
            _TILE,
            packed,
            sums[0],
            sums[1],
            sums[2],
            total,
            counts,
            out,
        )


def _gi_star_cupy(values: Any, rows: Any, moments: Any, *, table: Any) -> Any:
    from xinsar.kernels.cuda.launch import gi_star

    return gi_star(values, rows, moments, table=table)


gi_star = Kernel("getis_ord", numpy=gi_star_numpy, cupy=_gi_star_cupy)
