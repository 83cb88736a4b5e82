"""Splitting one connected patch: seeds where a field peaks, and a flood from them over another field.

Both walk through the pixels from the highest value down. Equal values go by row, then column, so there is one answer,
and moving the patch does not change it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.components import _root


@jit
def _peaks(values: Any, mask: Any, order: Any, least: float, prominence: float) -> Any:
    """Join pixels from the highest down; a peak that meets a higher one is a seed if it stands out by then."""
    height, width = mask.shape
    parent = np.full(height * width, -1)  # the root of a set is its peak
    rank = np.zeros(height * width, np.int64)
    seeds = np.zeros((height, width), np.int32)
    number = 0
    for k in range(order.size):
        place = order[k]
        parent[place], rank[place] = place, k
        row, column = place // width, place % width
        value = values[row, column]
        for i in range(max(row - 1, 0), min(row + 2, height)):
            for j in range(max(column - 1, 0), min(column + 2, width)):
                other = i * width + j
                if parent[other] < 0 or other == place:
                    continue
                a, b = _root(parent, place), _root(parent, other)
                if a == b:
                    continue
                if rank[b] < rank[a]:
                    a, b = b, a
                low = values[b // width, b % width]
                if low >= least and low - value >= prominence and b != place:
                    number += 1
                    seeds[b // width, b % width] = number
                parent[b] = a
    return seeds, number


@jit
def _top(order: Any, seeds: Any, number: int) -> None:
    """Make the highest pixel a seed, and number all seeds by row and column."""
    height, width = seeds.shape
    if order.size:
        seeds[order[0] // width, order[0] % width] = number + 1
    count = 0
    for row in range(height):
        for column in range(width):
            if seeds[row, column] > 0:
                count += 1
                seeds[row, column] = count


def _falling(values: Any, mask: Any) -> Any:
    """Return the places of the pixels of ``mask`` by falling value, then row, then column."""
    places = np.flatnonzero(mask)
    return places[np.argsort(-values.ravel()[places], kind="stable")]


def _seeds(values: Any, mask: Any, *, least: float, prominence: float) -> Any:
    values = np.ascontiguousarray(values, np.float32)
    mask = np.ascontiguousarray(mask, np.bool_)
    order = _falling(values, mask)
    found, number = _peaks(values, mask, order, least, prominence)
    _top(order, found, number)
    return found


seeds = Kernel("seeds", numpy=_seeds)
"""Numbers 1.. by row and column at the peaks of ``values`` (y, x) in the connected ``mask``, 0 elsewhere; int32.

A peak counts that reaches ``least`` and rises by ``prominence`` above the saddle to a higher one (its persistence); the
highest pixel always does. ``values`` are finite in the mask.
"""


@jit
def _before(values: Any, a: int, b: int) -> bool:
    """Tell whether place ``a`` is flooded before ``b``: the higher one, then by row and column."""
    return values[a] > values[b] or (values[a] == values[b] and a < b)


@jit
def _push(heap: Any, size: int, values: Any, place: int) -> int:
    i = size
    heap[i] = place
    while i > 0 and _before(values, heap[i], heap[(i - 1) // 2]):
        heap[i], heap[(i - 1) // 2] = heap[(i - 1) // 2], heap[i]
        i = (i - 1) // 2
    return size + 1


@jit
def _pop(heap: Any, size: int, values: Any) -> int:
    """Take the first place out; it is left behind the end of the heap."""
    size -= 1
    heap[0], heap[size] = heap[size], heap[0]
    i = 0
    while True:
        first = i
        for child in (2 * i + 1, 2 * i + 2):
            if child < size and _before(values, heap[child], heap[first]):
                first = child
        if first == i:
            return size
        heap[i], heap[first] = heap[first], heap[i]
        i = first


@jit
def _flood(values: Any, mask: Any, labels: Any) -> None:
    height, width = mask.shape
    flat = values.ravel()
    heap = np.empty(height * width, np.int64)
    size = 0
    for place in range(height * width):
        if labels[place // width, place % width] > 0:
            size = _push(heap, size, flat, place)
    while size > 0:
        size = _pop(heap, size, flat)
        row, column = heap[size] // width, heap[size] % width
        for i in range(max(row - 1, 0), min(row + 2, height)):
            for j in range(max(column - 1, 0), min(column + 2, width)):
                if mask[i, j] and labels[i, j] == 0:
                    labels[i, j] = labels[row, column]
                    size = _push(heap, size, flat, i * width + j)


def _watershed(values: Any, markers: Any, mask: Any) -> Any:
    mask = np.ascontiguousarray(mask, np.bool_)
    labels = np.where(mask, markers, 0).astype(np.int32)
    _flood(np.ascontiguousarray(values, np.float32), mask, labels)
    return labels


watershed = Kernel("watershed", numpy=_watershed)
"""Labels of ``mask`` (y, x) grown from ``markers`` down the field ``values``, int32; 0 where no marker leads.

The pixel on the brink with the highest value is flooded first and hands its label to its neighbours, by sides and
corners. ``values`` are finite in the mask.
"""
