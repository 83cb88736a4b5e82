# ruff: noqa: ARG001  (numba dictates the signatures of intrinsics)
"""Gi* of points: sums over the neighbours within a distance.

``LANES`` points next to each other in a strip look at another strip together. Two bounds on the difference of
northing, taken from the extremes of both strips, cut that strip into a middle part that lies within the distance of
all of them, two parts whose points have to be tested one by one, and the rest. Prefix sums give the middle part in one
subtraction; the four cuts only ever move east. The denser the points, the thinner the strips, and the less is tested.

Binary weights add whole numbers (fixed point), so neither the strips nor the order of the points can change a bit.
Inverse distances are added in the order of strips on an absolute lattice, then easting, northing and value, which
neither the order of the input nor points beyond the distance can change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xinsar.kernels._jit import jit
from xinsar.kernels.exact import z_score
from xinsar.kernels.fields import differences_of, flat_fields, in_fixed_point
from xinsar.kernels.strips import (
    LANES,
    points_of,
    present_points,
    settle,
    sort_points,
    squared_distance,
    without_missing,
)

SLACK = 1e-12
"""Relative width, in squared distance, of the belts around the two bounds whose points are tested all the same."""
FINEST = 64
"""Most strips to a distance."""
DENSE = 125.0
"""Mean number of neighbours for which strips as high as the distance cost least (measured); m * m times as many for m
strips to a distance."""
CELLS = 1 << 16
"""Cells, and at most so many points, from which the mean number of neighbours is estimated."""


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
def _add_inverse(
    points: Any, differences: Any, group: int, low: int, high: int, limit: float, sums: Any
) -> None:
    """Add ``w x``, ``w`` and ``w w`` of the points ``low`` to ``high`` that lie within the distance of the lanes."""
    for j in range(low, high):
        for lane in range(LANES):
            square = squared_distance(points.north, points.east, points.half, group + lane, j)
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
    fields, all_moments = flat_fields(values, moments)
    out = np.full((len(fields), own), np.nan, values.dtype)
    distance = float(distance)
    present = present_points(north, east, scale, fields)
    if present.any():
        if strips is None:
            strips = _fineness(_mean_neighbours(north, east, scale, present, distance))
        height = distance / (strips if weights == "binary" else 2)
        index, starts = sort_points(north, east, present, height)
        if weights != "binary":
            settle(index, north, east, starts)
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
        kept, begins = without_missing(index, starts, values)
        if points is None or points.index is not kept:
            points = points_of(north, east, scale, kept, begins)
        factor, field = in_fixed_point(numbers)
        if kept.size == 0:
            continue
        if weights == "binary":
            prefix = _prefix_sums(values, kept, numbers[1], factor)
            _binary(points, prefix, distance, field, z.size, z)
        else:
            _inverse(points, differences_of(values, points, numbers[1]), distance, field, z.size, z)
