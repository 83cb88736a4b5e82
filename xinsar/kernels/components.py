"""Connected pixels of a sparse table."""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit


@jit
def _root(parent: Any, i: int) -> int:
    """Return the first pixel of the set of ``i``; halve the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def _unite(parent: Any, i: int, j: int) -> None:
    """Join two sets under the earlier of their first pixels."""
    a, b = _root(parent, i), _root(parent, j)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@jit
def _label(rows: Any, columns: Any, parent: Any) -> Any:
    number = rows.size
    above = 0
    for i in range(number):
        row, column = rows[i], columns[i]
        if i > 0 and rows[i - 1] == row and columns[i - 1] == column - 1:
            _unite(parent, i, i - 1)
        while above < i and (
            rows[above] < row - 1 or (rows[above] == row - 1 and columns[above] < column - 1)
        ):
            above += 1
        near = above
        while near < i and rows[near] == row - 1 and columns[near] <= column + 1:
            _unite(parent, i, near)
            near += 1
    labels = np.empty_like(parent)
    count = 0
    for i in range(number):
        root = _root(parent, i)
        if root == i:
            labels[i] = count
            count += 1
        else:
            labels[i] = labels[root]
    return labels


def _index_type(number: int) -> Any:
    """Return the smallest kind of whole number that counts so many pixels."""
    return np.int32 if number < 2**31 else np.int64


def _numpy(rows: Any, columns: Any) -> Any:
    parent = np.arange(rows.size, dtype=_index_type(rows.size))
    return _label(np.ascontiguousarray(rows, np.int32), np.ascontiguousarray(columns, np.int32), parent)


components = Kernel("components", numpy=_numpy)
"""Number of the component of each pixel (rows, columns), from 0 in the order of first pixels.

Pixels are given once each, by row, then column. They are connected by sides or corners. The table is walked through
twice, so memory and time go with the number of pixels, not with the size of the map they lie on.
"""


@jit
def _places(labels: Any, starts: Any, order: Any) -> None:
    for i in range(labels.size):
        order[starts[labels[i]]] = i
        starts[labels[i]] += 1


def _by_component(labels: Any, sizes: Any) -> Any:
    order = np.empty(labels.size, _index_type(labels.size))
    _places(np.ascontiguousarray(labels), np.cumsum(sizes) - sizes, order)
    return order


by_component = Kernel("by_component", numpy=_by_component)
"""Places of the pixels component by component, in each in the order they had; ``sizes`` of all components."""
