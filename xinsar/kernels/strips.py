"""Points sorted by strip and easting.

The plane is cut into strips along the meridian and the points are sorted by strip, in a strip by easting. Points that
lie together so stand together, and those within some easting of one are a run of every strip. Strips are those of a
lattice through 0, whatever the points.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xinsar.kernels._jit import jit

LANES = 8
"""Points of a strip that look at another strip together."""
INSERTION = 32
"""Most points of a bucket that are sorted by insertion."""


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
def sort_keys(keys: Any, carried: Any, first: int, last: int) -> None:
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
                sort_keys(east, index, first + start, first + ends[b])
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
def settle(index: Any, north: Any, east: Any, starts: Any) -> None:
    """Sort the points of one strip and one easting by northing."""
    for s in range(starts.size - 1):
        first = starts[s]
        while first < starts[s + 1]:
            last = first + 1
            while last < starts[s + 1] and east[index[last]] == east[index[first]]:
                last += 1
            if last - first > 1:
                keys = north[index[first:last]]
                sort_keys(keys, index[first:last], 0, keys.size)
            first = last


def without_missing(index: Any, starts: Any, values: Any) -> tuple[Any, Any]:
    """Return the order and the starts of the strips without the points that have no value."""
    valid = ~np.isnan(values[index])
    if valid.all():
        return index, starts
    before = np.zeros(index.size + 1, np.int64)
    np.cumsum(valid, out=before[1:])
    return index[valid], _filled(before[starts])


def present_points(north: Any, east: Any, scale: Any, values: Any) -> Any:
    """Return which points have a place and a value in some field."""
    present = np.zeros(north.size, np.bool_)
    for field in values:
        present |= ~np.isnan(field)
    for place in (north, east) if scale is None else (north, east, scale):
        present &= np.isfinite(place)
    return present


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


def points_of(north: Any, east: Any, scale: Any, index: Any, starts: Any) -> Points:
    """Return the points in an order of :func:`sort_points`, with the extremes of their strips."""
    sorted_north = _gather(north, 1.0, index)
    low, high = _extremes(sorted_north, starts)
    half, narrow, wide = None, None, None
    if scale is not None:
        half = _gather(scale, 0.5, index)
        narrow, wide = _extremes(half, starts)
    return Points(index, sorted_north, _gather(east, 1.0, index), half, starts, low, high, narrow, wide)


@jit
def squared_distance(north: Any, east: Any, half: Any, i: int, j: int) -> Any:
    """Return the squared distance of two points."""
    dx, dy = _metres(east[i] - east[j], half, i, j), north[i] - north[j]
    return dx * dx + dy * dy


@jit
def _metres(easting: float, half: Any, i: int, j: int) -> Any:
    """Return a difference of easting between two points in metres."""
    if half is None:
        return easting
    return easting * (half[i] + half[j])
