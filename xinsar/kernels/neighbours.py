# ruff: noqa: ARG001  (numba dictates the signatures of intrinsics)
"""Gi* of points: sums over the neighbours within a distance, the nearest ones, or a given matrix of weights.

Points within a distance. The plane is cut into strips along the meridian and the points are sorted by strip, in a
strip by easting. ``LANES`` points next to each other look at another strip together. Two bounds on the difference of
northing, taken from the extremes of both strips, cut that strip into a middle part that lies within the distance of
all of them, two parts whose points have to be tested one by one, and the rest. Prefix sums give the middle part in one
subtraction; the four cuts only ever move east. The denser the points, the thinner the strips, and the less is tested.

Binary weights add whole numbers (fixed point), so neither the strips nor the order of the points can change a bit.
Inverse distances are added in the order of strips on an absolute lattice, then easting, northing and value, which
neither the order of the input nor points beyond the distance can change.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xinsar.kernels._jit import jit
from xinsar.kernels.exact import fixed_point, z_score

LANES = 8
"""Points of a strip that look at another strip together."""
SLACK = 1e-12
"""Relative width, in squared distance, of the belts around the two bounds whose points are tested all the same."""
FINEST = 64
"""Most strips to a distance."""
DENSE = 125.0
"""Mean number of neighbours for which strips as high as the distance cost least (measured); m * m times as many for m
strips to a distance."""
INSERTION = 32
"""Most points of a bucket that are sorted by insertion."""
CELLS = 1 << 16
"""Cells, and at most so many points, from which the mean number of neighbours is estimated."""
ROWS = 1 << 21
"""Candidates looked at together in a search for the nearest."""


class Points(NamedTuple):
    """Points in the order of their strips; the arrays of points are ``LANES`` longer than there are points."""

    index: Any
    """Where a point stands in the input."""
    north: Any
    east: Any
    half: Any
    """Half the scale, or None where eastings are metres."""
    starts: Any
    """First point of every strip, and the number of points."""
    low: Any
    """Least and largest northing of every strip."""
    high: Any
    narrow: Any
    """Least and largest ``half`` of every strip, or None."""
    wide: Any


class Field(NamedTuple):
    """What z needs to know of a field beside its values: ``unit`` is what the number 1 stands for in fixed point."""

    unit: float
    number: float
    std: float


# Points sorted by strip and easting


@jit
def _rows(north: Any, present: Any, height: float) -> tuple[float, float]:
    """Return the southernmost and the northernmost strip that holds a point."""
    least, most = np.inf, -np.inf
    for i in range(north.size):
        if present[i]:
            row = np.floor(north[i] / height)
            least = min(least, row)
            most = max(most, row)
    return least, most


@jit
def _number_rows(north: Any, present: Any, height: float, least: float, strip: Any) -> None:
    for i in range(north.size):
        strip[i] = np.int32(np.floor(north[i] / height) - least) if present[i] else -1


def _strip_numbers(north: Any, present: Any, height: float) -> tuple[Any, int]:
    """Return the strip of every point (-1: missing), counted from the south, and the number of strips.

    Strips are those of the lattice through 0. Where it is much longer than the list of points, empty strips are left
    out: only the order of the numbers counts.
    """
    strip = np.full(north.size, -1, np.int32)
    least, most = _rows(north, present, height)
    if most - least < 2 * north.size + 1024:
        _number_rows(north, present, height, least, strip)
        return strip, int(most - least) + 1
    kept, numbers = np.unique(np.floor(north[present] / height), return_inverse=True)
    strip[present] = numbers
    return strip, kept.size


@jit
def _count(strip: Any, starts: Any) -> None:
    """Write the place of the first point of every strip."""
    for i in range(strip.size):
        if strip[i] >= 0:
            starts[strip[i] + 1] += 1
    for s in range(starts.size - 1):
        starts[s + 1] += starts[s]


@jit
def _deal(strip: Any, source: Any, place: Any, index: Any, east: Any) -> None:
    """Put every point into its strip, in the order of the input."""
    for i in range(strip.size):
        s = strip[i]
        if s >= 0:
            at = place[s]
            place[s] = at + 1
            index[at] = i
            east[at] = source[i]


@jit
def _insert(keys: Any, carried: Any, first: int, last: int) -> None:
    """Sort a few keys, and what they carry."""
    for i in range(first + 1, last):
        key, load = keys[i], carried[i]
        at = i
        while at > first and keys[at - 1] > key:
            keys[at], carried[at] = keys[at - 1], carried[at - 1]
            at -= 1
        keys[at], carried[at] = key, load


@jit
def _sift(keys: Any, carried: Any, first: int, root: int, number: int) -> None:
    """Let the key at ``root`` of a heap that starts at ``first`` sink to its place."""
    key, load = keys[first + root], carried[first + root]
    child = 2 * root + 1
    while child < number:
        if child + 1 < number and keys[first + child] < keys[first + child + 1]:
            child += 1
        if not key < keys[first + child]:
            break
        keys[first + root], carried[first + root] = keys[first + child], carried[first + child]
        root, child = child, 2 * child + 1
    keys[first + root], carried[first + root] = key, load


@jit
def _sort(keys: Any, carried: Any, first: int, last: int) -> None:
    """Sort keys, and what they carry: by insertion, or many of them in a heap."""
    number = last - first
    if number <= INSERTION:
        _insert(keys, carried, first, last)
        return
    for root in range(number // 2 - 1, -1, -1):
        _sift(keys, carried, first, root, number)
    for end in range(number - 1, 0, -1):
        key, load = keys[first], carried[first]
        keys[first], carried[first] = keys[first + end], carried[first + end]
        keys[first + end], carried[first + end] = key, load
        _sift(keys, carried, first, 0, end)


@jit
def _fill_buckets(
    east: Any, index: Any, first: int, last: int, keys: Any, carried: Any, bucket: Any, ends: Any
) -> None:
    """Deal the points of a strip to as many buckets along the strip; ``ends`` says where each bucket ends."""
    number = last - first
    least, most = east[first:last].min(), east[first:last].max()
    factor = (number - 1) / (most - least) if most > least else 0.0
    factor = factor if factor < np.inf else 0.0
    ends[: number + 1] = 0
    for i in range(number):
        keys[i], carried[i] = east[first + i], index[first + i]
        bucket[i] = np.int32(min((keys[i] - least) * factor, number - 1.0))
        ends[bucket[i] + 1] += 1
    for b in range(number):
        ends[b + 1] += ends[b]
    for i in range(number):
        at = ends[bucket[i]]
        ends[bucket[i]] = at + 1
        east[first + at], index[first + at] = keys[i], carried[i]


@jit
def _sort_strips(east: Any, index: Any, starts: Any) -> None:
    """Sort the points of every strip by easting."""
    widest = (starts[1:] - starts[:-1]).max()
    keys, carried = np.empty(widest, east.dtype), np.empty(widest, index.dtype)
    bucket, ends = np.empty(widest, np.int32), np.empty(widest + 1, np.int32)
    for s in range(starts.size - 1):
        first, number = starts[s], starts[s + 1] - starts[s]
        if number < 2:
            continue
        _fill_buckets(east, index, first, first + number, keys, carried, bucket, ends)
        start = 0
        for b in range(number):
            if ends[b] - start > 1:
                _sort(east, index, first + start, first + ends[b])
            start = ends[b]


def _filled(starts: Any) -> Any:
    """Return the starts of the strips that hold a point, and the number of points."""
    kept = np.ones(starts.size, np.bool_)
    np.greater(starts[1:], starts[:-1], out=kept[1:])
    return starts[kept]


def sort_points(north: Any, east: Any, present: Any, height: float) -> tuple[Any, Any]:
    """Return the points that are present, by strips ``height`` metres high and by easting, and where strips start."""
    if north.size >= 2**31:
        raise ValueError(
            f"points: expected fewer than 2**31 in one call, got {north.size}; give them as Dask chunks"
        )
    strip, number = _strip_numbers(north, present, height)
    starts = np.zeros(number + 1, np.int64)
    _count(strip, starts)
    index, keys = np.empty(starts[-1], np.int32), np.empty(starts[-1])
    _deal(strip, east, starts[:-1].copy(), index, keys)
    starts = _filled(starts)
    _sort_strips(keys, index, starts)
    return index, starts


@jit
def _gather(source: Any, factor: float, index: Any) -> Any:
    """Return ``source[index] * factor``, and NaN for the lanes beyond."""
    target = np.empty(index.size + LANES)
    for i in range(index.size):
        target[i] = source[index[i]] * factor
    target[index.size :] = np.nan
    return target


@jit
def _extremes(values: Any, starts: Any) -> Any:
    """Return the least and the largest value of every strip."""
    bounds = np.empty((2, starts.size - 1))
    for s in range(starts.size - 1):
        least, most = np.inf, -np.inf
        for i in range(starts[s], starts[s + 1]):
            least = min(least, values[i])
            most = max(most, values[i])
        bounds[0, s], bounds[1, s] = least, most
    return bounds


def _points(north: Any, east: Any, scale: Any, index: Any, starts: Any) -> Points:
    sorted_north = _gather(north, 1.0, index)
    low, high = _extremes(sorted_north, starts)
    half, narrow, wide = None, None, None
    if scale is not None:
        half = _gather(scale, 0.5, index)
        narrow, wide = _extremes(half, starts)
    return Points(index, sorted_north, _gather(east, 1.0, index), half, starts, low, high, narrow, wide)


# Binary weights


@jit
def _prefix_sums(values: Any, index: Any, mean: float, factor: float) -> Any:
    """Return the sums of the fixed-point values before every point."""
    prefix = np.empty(index.size + 1, np.int64)
    total = np.int64(0)
    prefix[0] = 0
    for i in range(index.size):
        total += np.int64(np.rint((values[index[i]] - mean) * factor))
        prefix[i + 1] = total
    return prefix


_REALS = ir.VectorType(ir.DoubleType(), LANES)
_WHOLES = ir.VectorType(ir.IntType(64), LANES)


def _spread(builder: Any, value: Any, lanes: Any) -> Any:
    """Return a vector that holds ``value`` in every lane."""
    nothing, first = ir.Constant(lanes, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(nothing, value, first), nothing, zeros)


@intrinsic  # type: ignore[untyped-decorator]
def _scan(
    typingctx: Any,
    points: Any,
    prefix: Any,
    group: Any,
    low: Any,
    high: Any,
    limit: Any,
    total: Any,
    count: Any,
    at: Any,
) -> Any:
    """Test the points ``low`` to ``high`` against the lanes at ``group``; add those within the distance at ``at``.

    A vector holds the lanes, whatever the machine: compiled from a plain loop the sums would go through memory at
    every point.
    """
    scaled = points.types[points.fields.index("half")] != types.none

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(array: Any, kind: Any, offset: Any) -> Any:
            return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])

        def place(name: str, offset: Any) -> Any:
            number = points.fields.index(name)
            return pointer(builder.extract_value(args[0], number), points.types[number], offset)

        def here(name: str) -> Any:
            return builder.load(builder.bitcast(place(name, args[2]), _REALS.as_pointer()), align=8)

        def there(name: str, j: Any) -> Any:
            return _spread(builder, builder.load(place(name, j)), _REALS)

        def square(j: Any) -> Any:
            dy, dx = builder.fsub(north, there("north", j)), builder.fsub(east, there("east", j))
            if scaled:
                dx = builder.fmul(dx, builder.fadd(half, there("half", j)))
            return builder.fadd(builder.fmul(dx, dx), builder.fmul(dy, dy))

        def value(j: Any) -> Any:
            after, before = (builder.load(pointer(args[1], prefix, i)) for i in (builder.add(j, one), j))
            return _spread(builder, builder.sub(after, before), _WHOLES)

        bound, one = _spread(builder, args[5], _REALS), ir.Constant(args[3].type, 1)
        north, east, half = here("north"), here("east"), here("half") if scaled else None
        kept = [pointer(args[i], signature.args[i], args[8]) for i in (6, 7)]
        kept = [builder.bitcast(start, _WHOLES.as_pointer()) for start in kept]
        sums = [cgutils.alloca_once_value(builder, builder.load(start, align=8)) for start in kept]
        with cgutils.for_range_slice(builder, args[3], args[4], one) as (j, _):
            within = builder.fcmp_ordered("<=", square(j), bound)
            added = builder.select(within, value(j), ir.Constant(_WHOLES, [0] * LANES))
            builder.store(builder.add(builder.load(sums[0]), added), sums[0])
            builder.store(builder.sub(builder.load(sums[1]), builder.sext(within, _WHOLES)), sums[1])
        for start, lanes in zip(kept, sums, strict=True):
            builder.store(builder.load(lanes), start, align=8)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(points, prefix, whole, whole, whole, types.float64, total, count, whole), generate


@jit
def _sweep_near(
    points: Any, prefix: Any, s: int, t: int, outer: float, limit: float, total: Any, count: Any
) -> None:
    """Test the points of strip ``t`` not further away in easting than ``outer`` from the groups of strip ``s``."""
    east, start, last, high = points.east, points.starts[s], points.starts[s + 1], points.starts[t + 1]
    a = d = points.starts[t]
    for group in range(start, last, LANES):
        west, far = east[group], east[min(group + LANES, last) - 1]
        while a < high and west - east[a] > outer:
            a += 1
        while d < high and east[d] - far <= outer:
            d += 1
        _scan(points, prefix, group, a, d, limit, total, count, group - start)


@jit
def _sweep(
    points: Any, prefix: Any, s: int, t: int, outer: float, inner: float, limit: float, total: Any, count: Any
) -> None:
    """Do the same where points not further away in easting than ``inner`` lie within the distance, untested."""
    east, start, last, high = points.east, points.starts[s], points.starts[s + 1], points.starts[t + 1]
    a = b = c = d = points.starts[t]
    for group in range(start, last, LANES):
        west, far = east[group], east[min(group + LANES, last) - 1]
        while a < high and west - east[a] > outer:
            a += 1
        while b < high and far - east[b] > inner:
            b += 1
        while c < high and east[c] - west <= inner:
            c += 1
        while d < high and east[d] - far <= outer:
            d += 1
        first, stop = (b, c) if b < c else (d, d)
        _scan(points, prefix, group, a, first, limit, total, count, group - start)
        _scan(points, prefix, group, stop, d, limit, total, count, group - start)
        for lane in range(group - start, group - start + LANES):
            total[lane] += prefix[stop] - prefix[first]
            count[lane] += stop - first


@jit
def _easting(metres: float, half: Any, s: int, t: int) -> Any:
    """Return metres between two strips or points as a difference of easting."""
    if half is None:
        return metres
    return metres / (half[s] + half[t])


@jit
def _square(north: Any, east: Any, half: Any, i: int, j: int) -> Any:
    """Return the squared distance of two points."""
    dx, dy = _metres(east[i] - east[j], half, i, j), north[i] - north[j]
    return dx * dx + dy * dy


@jit
def _metres(easting: float, half: Any, i: int, j: int) -> Any:
    """Return a difference of easting between two points in metres."""
    if half is None:
        return easting
    return easting * (half[i] + half[j])


@jit
def _bounds(points: Any, s: int, t: int, distance: float) -> tuple[float, float]:
    """Return two differences of easting between points of strips ``s`` and ``t``.

    Beyond the first no two points lie within the distance, up to the second all do (negative: none need to).
    """
    near = max(points.low[t] - points.high[s], points.low[s] - points.high[t], 0.0)
    far = max(points.high[t] - points.low[s], points.high[s] - points.low[t])
    square = distance * distance
    outer = np.sqrt(max(square * (1 + SLACK) - near * near, 0.0))
    room = square * (1 - SLACK) - far * far
    inner = np.sqrt(room) if room > 0 else -1.0
    return _easting(outer, points.narrow, s, t), _easting(inner, points.wide, s, t)


@jit
def _asked(points: Any, s: int, own: int) -> bool:
    """Tell whether strip ``s`` holds a point that is to be answered."""
    asked = False
    for i in range(points.starts[s], points.starts[s + 1]):
        asked |= points.index[i] < own
    return asked


@jit
def _window(points: Any, s: int, south: int, north: int, distance: float) -> tuple[int, int]:
    """Move ``south`` and ``north`` to the first strip that can hold neighbours of strip ``s``, and past the last."""
    reach = distance * (1 + SLACK)
    while points.low[s] - points.high[south] > reach:
        south += 1
    while north < points.low.size and not points.low[north] - points.high[s] > reach:
        north += 1
    return south, north


@jit
def _binary(points: Any, prefix: Any, distance: float, field: Any, own: int, out: Any) -> None:
    """Write Gi* of the points to be answered, strips from south to north."""
    starts, index = points.starts, points.index
    widest = (starts[1:] - starts[:-1]).max()
    total, count = np.empty(widest + LANES, np.int64), np.empty(widest + LANES, np.int64)
    south = north = 0
    for s in range(starts.size - 1):
        if not _asked(points, s, own):
            continue
        total[: starts[s + 1] - starts[s] + LANES] = 0
        count[: starts[s + 1] - starts[s] + LANES] = 0
        south, north = _window(points, s, south, north, distance)
        for t in range(south, north):
            outer, inner = _bounds(points, s, t, distance)
            if inner < 0:
                _sweep_near(points, prefix, s, t, outer, distance * distance, total, count)
            else:
                _sweep(points, prefix, s, t, outer, inner, distance * distance, total, count)
        for i in range(starts[s], starts[s + 1]):
            if index[i] < own:
                w, x = np.float64(count[i - starts[s]]), total[i - starts[s]] * field.unit
                out[index[i]] = z_score(x, w, w, field.number, field.std)


@jit
def _sample_cells(
    north: Any, east: Any, scale: Any, present: Any, distance: float, step: int, cells: Any
) -> int:
    """Count every ``step``-th point into a table of hashed cells, ``distance`` wide; return their number."""
    number = 0
    middle = -1
    for i in range(0, north.size, step):
        if not present[i]:
            continue
        middle = i if middle < 0 else middle
        metres = (east[i] - east[middle]) * (1.0 if scale is None else scale[i])
        row, column = np.floor(north[i] / distance), np.floor(metres / distance)
        mixed = np.uint64(np.int64(row)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(np.int64(column))
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        cells[np.int64(mixed >> np.uint64(48))] += 1
        number += 1
    return number


def _mean_neighbours(north: Any, east: Any, scale: Any, present: Any, distance: float) -> float:
    """Estimate the mean number of neighbours of a point from pairs in one cell, less those that share a hash."""
    step = -(-north.size // CELLS)
    cells = np.zeros(CELLS, np.int64)
    number = _sample_cells(north, east, scale, present, distance, step, cells)
    pairs = float((cells * (cells - 1)).sum()) / max(number, 1) - number / CELLS
    return float(max(pairs, 0.0) * np.pi * step)


def _fineness(mean: float) -> int:
    """Return how many strips to a distance cost least with so many neighbours."""
    return int(min(max(np.rint(np.sqrt(mean / DENSE)), 1.0), FINEST))


# Weights that fall with distance


@jit
def _settle(index: Any, north: Any, east: Any, starts: Any) -> None:
    """Sort the points of one strip and one easting by northing."""
    for s in range(starts.size - 1):
        first = starts[s]
        while first < starts[s + 1]:
            last = first + 1
            while last < starts[s + 1] and east[index[last]] == east[index[first]]:
                last += 1
            if last - first > 1:
                keys = north[index[first:last]]
                _sort(keys, index[first:last], 0, keys.size)
            first = last


@jit
def _differences(values: Any, points: Any, mean: float) -> Any:
    """Return the values less their mean; points at one place are brought into ascending order of them."""
    index, north, east = points.index, points.north, points.east
    differences = np.empty(index.size)
    for i in range(index.size):
        differences[i] = values[index[i]] - mean
    first = 0
    while first < index.size:
        last = first + 1
        while last < index.size and east[last] == east[first] and north[last] == north[first]:
            last += 1
        if last - first > 1:
            _sort(differences, index, first, last)
        first = last
    return differences


@jit
def _add_inverse(
    points: Any, differences: Any, group: int, low: int, high: int, limit: float, sums: Any
) -> None:
    """Add ``w x``, ``w`` and ``w w`` of the points ``low`` to ``high`` that lie within the distance of the lanes."""
    for j in range(low, high):
        for lane in range(LANES):
            square = _square(points.north, points.east, points.half, group + lane, j)
            w = 1.0 / np.sqrt(max(square, 1.0)) if square <= limit else 0.0
            sums[0, lane] += w * differences[j]
            sums[1, lane] += w
            sums[2, lane] += w * w


@jit
def _inverse_group(
    points: Any,
    differences: Any,
    s: int,
    group: int,
    distance: float,
    south: int,
    north: int,
    cuts: Any,
    sums: Any,
) -> None:
    """Sum what the points of the strips ``south`` to ``north`` give to a group of strip ``s``."""
    east, starts = points.east, points.starts
    far = east[min(group + LANES, starts[s + 1]) - 1]
    sums[:] = 0.0
    for t in range(south, north):
        outer, _ = _bounds(points, s, t, distance)
        a = cuts[t - south]
        while a < starts[t + 1] and east[group] - east[a] > outer:
            a += 1
        cuts[t - south] = a
        d = a
        while d < starts[t + 1] and east[d] - far <= outer:
            d += 1
        _add_inverse(points, differences, group, a, d, distance * distance, sums)


@jit
def _inverse(points: Any, differences: Any, distance: float, field: Any, own: int, out: Any) -> None:
    """Write Gi* with weights 1/distance of the points to be answered."""
    starts, index = points.starts, points.index
    sums = np.empty((3, LANES))
    south = north = 0
    for s in range(starts.size - 1):
        if not _asked(points, s, own):
            continue
        south, north = _window(points, s, south, north, distance)
        cuts = starts[south:north].copy()
        for group in range(starts[s], starts[s + 1], LANES):
            _inverse_group(points, differences, s, group, distance, south, north, cuts, sums)
            for i in range(group, min(group + LANES, starts[s + 1])):
                if index[i] < own:
                    x, w, w2 = sums[0, i - group], sums[1, i - group], sums[2, i - group]
                    out[index[i]] = z_score(x, w, w2, field.number, field.std)


def _present(north: Any, east: Any, scale: Any, values: Any) -> Any:
    """Return which points have a place and a value in some field."""
    present = np.zeros(north.size, np.bool_)
    for field in values:
        present |= ~np.isnan(field)
    for place in (north, east) if scale is None else (north, east, scale):
        present &= np.isfinite(place)
    return present


def _flat(values: Any, moments: Any) -> tuple[Any, Any]:
    """Return fields (f, n) and their moments (f, 4)."""
    leading = values.shape[:-1]
    fields = np.ascontiguousarray(values).reshape(prod(leading), values.shape[-1])
    return fields, np.broadcast_to(moments, (*leading, 4)).reshape(len(fields), 4)


def _without_missing(index: Any, starts: Any, values: Any) -> tuple[Any, Any]:
    """Return the order and the starts of the strips without the points that have no value."""
    valid = ~np.isnan(values[index])
    if valid.all():
        return index, starts
    before = np.zeros(index.size + 1, np.int64)
    np.cumsum(valid, out=before[1:])
    return index[valid], _filled(before[starts])


def _fixed(moments: Any) -> tuple[float, Field]:
    """Return the factor to fixed point, which depends on the whole field alone, and the field's numbers.

    Sums of as many values as the field holds fit an int64.
    """
    count, _, std, peak = (float(v) for v in moments)
    factor = fixed_point(peak, min(40, 62 - int(count).bit_length()))
    return factor, Field(1 / factor if factor > 0 else 0.0, count, std)


def gi_star_points(
    north: Any,
    east: Any,
    scale: Any,
    values: Any,
    moments: Any,
    *,
    own: int,
    distance: float,
    weights: str = "binary",
    strips: int | None = None,
) -> Any:
    """Return Gi* of the first ``own`` points.

    Parameters
    ----------
    north, east
        Places (n,), float64, metres; with ``scale`` ``east`` is the longitude in radians. A point with a place that
        is not finite is missing.
    scale
        Metres per radian of longitude (n,), or None. The distance of two points is the hypotenuse of the difference
        of ``north`` and of the difference of ``east`` times the mean of both scales.
    values
        Fields (..., n), float32 or float64; NaN is missing: no weight, and NaN as answer.
    moments
        Count, mean, standard deviation and peak of every whole field (..., 4), see :mod:`xinsar.kernels.exact`.
    own
        Points to be answered; the others are neighbours only.
    distance
        Metres; points at just this distance count.
    weights
        "binary", or "inverse_distance": 1/max(distance, 1 metre), 1 for the point itself.
    strips
        Strips to a distance of the binary search, by default after the density of the points. Changes no bit.

    Returns
    -------
    array
        z (..., own) in the dtype of ``values``; NaN where the value is missing or z is not defined.
    """
    fields, all_moments = _flat(values, moments)
    out = np.full((len(fields), own), np.nan, values.dtype)
    distance = float(distance)
    present = _present(north, east, scale, fields)
    if present.any():
        if strips is None:
            strips = _fineness(_mean_neighbours(north, east, scale, present, distance))
        height = distance / (strips if weights == "binary" else 2)
        index, starts = sort_points(north, east, present, height)
        if weights != "binary":
            _settle(index, north, east, starts)
        _answer(north, east, scale, fields, all_moments, index, starts, distance, weights, out)
    return out.reshape(*values.shape[:-1], own)


def _answer(
    north: Any,
    east: Any,
    scale: Any,
    fields: Any,
    moments: Any,
    index: Any,
    starts: Any,
    distance: float,
    weights: str,
    out: Any,
) -> None:
    """Write Gi* of every field; fields without gaps share the sorted places."""
    points = None
    for values, numbers, z in zip(fields, moments, out, strict=True):
        kept, begins = _without_missing(index, starts, values)
        if points is None or points.index is not kept:
            points = _points(north, east, scale, kept, begins)
        factor, field = _fixed(numbers)
        if kept.size == 0:
            continue
        if weights == "binary":
            prefix = _prefix_sums(values, kept, numbers[1], factor)
            _binary(points, prefix, distance, field, z.size, z)
        else:
            _inverse(points, _differences(values, points, numbers[1]), distance, field, z.size, z)


# The nearest neighbours


SLOP = 1e-9
"""Relative error of a distance from the tree in a plane."""
SPARE = 4
"""Candidates more than are asked for, at least."""
SLOP_GLOBE = 5e-3
"""The same on a globe, beside the square of the angle, for the tree knows one ellipsoid only."""


def _tree_places(north: Any, east: Any, scale: Any) -> Any:
    """Return places (n, 2) in the plane or (n, 3) on the ellipsoid, whose straight distance is no longer than ours.

    A parallel is a circle with radius ``scale``. The height over the equator follows from the length of the meridian
    by the series for the rectifying latitude (WGS84; third flattening n, Snyder 1987, equations 3-24 and 3-26).
    """
    if scale is None:
        return np.stack([north, east], -1)
    a, n, squared = 6378137.0, 0.0016792203863837, 0.0066943799901413
    rectifying = north / (a * (1 - n) * (1 - n**2) * (1 + 9 / 4 * n**2))
    latitude = rectifying + 3 / 2 * n * np.sin(2 * rectifying) + 21 / 16 * n**2 * np.sin(4 * rectifying)
    sine = np.sin(latitude)
    up = (1 - squared) * a * sine / np.sqrt(1 - squared * sine**2)
    return np.stack([scale * np.cos(east), scale * np.sin(east), up], -1)


@jit
def _precedes(north: Any, east: Any, q: Any, i: int, j: int) -> Any:
    """Tell whether point ``i`` comes before ``j`` where both are equally far: southern, western, lower ones first."""
    if north[i] != north[j]:
        return north[i] < north[j]
    return east[i] < east[j] if east[i] != east[j] else q[i] < q[j]


@jit
def _nearest_of(
    north: Any, east: Any, half: Any, q: Any, point: int, found: Any, row: int, squares: Any, order: Any
) -> None:
    """Write the candidates of a point but itself into ``order``, nearest first, and their squared distances."""
    number = 0
    for c in range(found.shape[1]):
        j = found[row, c]
        if j == point:
            continue
        square = _square(north, east, half, point, j)
        at = number
        while at > 0 and (
            square < squares[at - 1]
            or (square == squares[at - 1] and _precedes(north, east, q, j, order[at - 1]))
        ):
            squares[at], order[at] = squares[at - 1], order[at - 1]
            at -= 1
        squares[at], order[at] = square, j
        number += 1


@jit
def _sum_nearest(
    north: Any, east: Any, half: Any, q: Any, rows: Any, found: Any, k: int, total: Any, reach: Any
) -> None:
    """Write the sum over every row's point and the ``k`` nearest of its candidates, and the distance of the last."""
    squares, order = np.empty(found.shape[1]), np.empty(found.shape[1], np.int64)
    for r in range(rows.size):
        _nearest_of(north, east, half, q, rows[r], found, r, squares, order)
        whole = q[rows[r]]
        for c in range(k):
            whole += q[order[c]]
        total[r] = whole
        reach[r] = np.sqrt(squares[k - 1])


def _sure(reach: Any, tree_reach: Any, scale: Any) -> Any:
    """Tell where no point beyond ``tree_reach`` of the tree can be nearer than ``reach``."""
    slop = SLOP if scale is None else SLOP_GLOBE + (reach / np.maximum(scale, 1.0)) ** 2
    return reach * (1 + slop) < tree_reach


def _search(points: Any, q: Any, members: Any, waiting: Any, k: int, total: Any) -> None:
    """Write for the points ``waiting`` the sum of ``q`` over themselves and their ``k`` nearest among ``members``.

    The tree gives more candidates than asked for; where the last of them is not clearly further away than the k-th
    neighbour (ties, places that the tree sees a little differently), the search is repeated with twice as many.
    """
    from scipy.spatial import cKDTree

    scale = None if points.half is None else points.half[: q.size] * 2
    places = _tree_places(points.north[: q.size], points.east[: q.size], scale)
    tree = cKDTree(places[members])
    number = k + 1 + max(SPARE, k // 16)
    while waiting.size:
        number = min(number, members.size)
        left = []
        for rows in np.array_split(waiting, -(-waiting.size * number // ROWS)):
            tree_reach, found = tree.query(places[rows], number)
            sums, reach = np.empty(rows.size, np.int64), np.empty(rows.size)
            _sum_nearest(points.north, points.east, points.half, q, rows, members[found], k, sums, reach)
            total[rows] = sums
            left.append(rows[~_sure(reach, tree_reach[:, -1], None if scale is None else scale[rows])])
        waiting = np.concatenate(left) if number < members.size else waiting[:0]
        number *= 2


def _crowds(points: Any, number: int) -> tuple[Any, Any]:
    """Return for every point where those at its place begin, and how many they are."""
    first = np.ones(number, np.bool_)
    first[1:] = (points.north[1:number] != points.north[: number - 1]) | (
        points.east[1:number] != points.east[: number - 1]
    )
    begins = np.flatnonzero(first)
    sizes = np.diff(begins, append=number)
    return np.repeat(begins, sizes), np.repeat(sizes, sizes)


def _sums_of_nearest(points: Any, q: Any, k: int) -> Any:
    """Return for every point the sum of ``q`` over itself and its ``k`` nearest.

    Points at one place stand next to each other, the lowest first. Only the first k + 1 of them can be among the
    nearest of a point elsewhere, and where they are more than k they are their own nearest.
    """
    begin, size = _crowds(points, q.size)
    rank = np.arange(q.size) - begin
    total = np.empty(q.size, np.int64)
    before = np.concatenate([[0], np.cumsum(q)])
    crowded = np.flatnonzero(size > k)
    start, among = begin[crowded], rank[crowded] <= k
    total[crowded] = before[start + k + among] - before[start] + np.where(among, 0, q[crowded])
    _search(points, q, np.flatnonzero(rank <= k), np.flatnonzero(size <= k), k, total)
    return total


@jit
def _score_all(index: Any, total: Any, w: float, field: Any, out: Any) -> None:
    for i in range(index.size):
        out[index[i]] = z_score(total[i] * field.unit, w, w, field.number, field.std)


def _nearest_field(
    north: Any, east: Any, scale: Any, values: Any, present: Any, moments: Any, k: int, out: Any
) -> None:
    """Write Gi* of one field; points are sorted, for the tree answers neighbours faster one after the other."""
    height = np.ptp(north[present]) / np.sqrt(north.size) or 1.0
    index, starts = sort_points(north, east, present, height)
    _settle(index, north, east, starts)
    points = _points(north, east, scale, index, starts)
    factor, field = _fixed(moments)
    q = np.rint(_differences(values, points, moments[1]) * factor).astype(np.int64)
    _score_all(index, _sums_of_nearest(points, q, k), k + 1.0, field, out)


def gi_star_nearest(north: Any, east: Any, scale: Any, values: Any, moments: Any, *, k: int) -> Any:
    """Return Gi* of every point with weight 1 for itself and its ``k`` nearest valid points.

    Of points equally far away those further south come first, then those further west, then those of lower value, so
    the order of the input does not count. Other parameters, and the distance, as in :func:`gi_star_points`.

    Raises
    ------
    ValueError
        A field has valid points, but fewer than ``k`` others beside each.
    """
    fields, all_moments = _flat(values, moments)
    out = np.full(fields.shape, np.nan, values.dtype)
    for field, numbers, z in zip(fields, all_moments, out, strict=True):
        present = _present(north, east, scale, field[None])
        valid = np.count_nonzero(present)
        if 0 < valid <= k:
            raise ValueError(
                f"k: expected fewer neighbours than there are valid points, got k={k} and {valid} valid points; "
                "choose a smaller k or more points"
            )
        if valid:
            _nearest_field(north, east, scale, field, present, numbers, k, z)
    return out.reshape(values.shape)


# A given matrix of weights


@jit
def _sparse(starts: Any, columns: Any, weights: Any, values: Any, mean: float, field: Any, out: Any) -> None:
    for i in range(values.size):
        if np.isnan(values[i]):
            continue
        x = w = w2 = 0.0
        for at in range(starts[i], starts[i + 1]):
            value = values[columns[at]]
            if not np.isnan(value):
                x += weights[at] * (value - mean)
                w += weights[at]
                w2 += weights[at] * weights[at]
        out[i] = z_score(x, w, w2, field.number, field.std)


def gi_star_sparse(matrix: Any, values: Any, moments: Any) -> Any:
    """Return Gi* of every point with the weights of row i of ``matrix``, that of the point itself included.

    Parameters
    ----------
    matrix
        scipy.sparse matrix or array (n, n). Weights of missing points do not count.
    values, moments
        As in :func:`gi_star_points`.
    """
    rows = matrix.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    weights = rows.data.astype(np.float64, copy=False)
    fields, all_moments = _flat(values, moments)
    out = np.full(fields.shape, np.nan, values.dtype)
    for field, numbers, z in zip(fields, all_moments, out, strict=True):
        _sparse(rows.indptr, rows.indices, weights, field, numbers[1], _fixed(numbers)[1], z)
    return out.reshape(values.shape)
