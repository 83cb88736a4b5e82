"""Benjamini-Hochberg's threshold of a whole field by counting, without sorting it.

Of the p values p(1) <= ... <= p(n) of a field those up to p(k) are significant at the false discovery rate alpha, with
the largest k for which ``p(k) <= alpha k / n``. Positive floating-point numbers are in the order of their bits. So a
first pass counts the values by their leading bits (a bin is 0.8 % wide in float32, 1.6 % in float64). A bin is safe
where even its upper edge lies below the line ``alpha k / n`` for the k of its last value; it cannot matter where even
its lower edge lies above. What lies between the last safe bin and the last that can matter, mostly one bin, a second
pass counts value by value. Counts are integers: nothing depends on chunks or order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xinsar.backend import array_namespace, is_cupy

SAFE, BEYOND = -1.0, 2.0
"""Stand for the p values that are surely significant and surely not."""
NONE = -1.0
"""The threshold where nothing is significant."""
_SEGMENT = 2**20
_LEADING = {4: (np.uint32, 16), 8: (np.uint64, 46)}
"""For each size of a float the integer that holds its bits, and how many of them are cut off."""


@dataclass(frozen=True)
class Counts:
    """How often each of some distinct numbers, in ascending order, occurs; ``+`` joins two sets."""

    numbers: Any
    counts: Any

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both sets."""
        numbers = np.concatenate([self.numbers, other.numbers])
        order = np.argsort(numbers, kind="stable")
        return _merged(numbers[order], np.concatenate([self.counts, other.counts])[order])

    @property
    def ranks(self) -> Any:
        """For each number how many values do not exceed it."""
        return np.cumsum(self.counts)


def _merged(numbers: Any, counts: Any) -> Counts:
    """Join equal neighbours of ascending ``numbers``."""
    if not numbers.size:
        return Counts(numbers, counts)
    first = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    return Counts(numbers[first], np.add.reduceat(counts, first))


def _each_field(count: Callable[[Any], Counts], block: Any, axes: tuple[int, ...]) -> Any:
    """Return ``count`` of the values over ``axes`` of ``block``, in an object array that keeps them with length 1."""
    axes = tuple(a % block.ndim for a in axes)
    others = [a for a in range(block.ndim) if a not in axes]
    fields = block.transpose(*others, *axes).reshape(*(block.shape[a] for a in others), -1)
    out = np.empty(tuple(1 if a in axes else n for a, n in enumerate(block.shape)), object)
    flat = out.reshape(-1)
    for i, place in enumerate(np.ndindex(*fields.shape[:-1])):
        flat[i] = count(fields[place])
    return out


def count_bins(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the :class:`Counts` of the leading bits of p over ``axes``; NaN is left out."""
    return _each_field(_bins, block, axes)


def _bins(values: Any) -> Counts:
    xp = array_namespace(values)
    whole, cut = _LEADING[values.dtype.itemsize]
    length = int(np.ones((), values.dtype).view(whole) >> whole(cut)) + 1
    total = np.zeros(length, np.int64)
    for start in range(0, values.size, _SEGMENT):
        bits = xp.abs(values[start : start + _SEGMENT]).view(whole) >> whole(cut)
        total += _on_host(xp.bincount(bits.astype(np.int64), minlength=length)[:length])
    found = np.flatnonzero(total)
    return Counts(found, total[found])


def _on_host(array: Any) -> Any:
    return array.get() if is_cupy(array) else array


def bounds(states: Any, *, alpha: float, dtype: Any) -> Any:
    """Return of each state of :func:`count_bins` the p up to which all is safe, and beyond which nothing matters."""
    return _vectors(states, lambda counts: _bounds(counts, alpha, np.dtype(dtype)), 2)


def _bounds(counts: Counts, alpha: float, dtype: Any) -> tuple[float, float]:
    line = alpha * counts.ranks / max(int(counts.counts.sum()), 1)
    low, high = _edges(counts.numbers, dtype)
    safe = np.flatnonzero(high <= line)
    matter = np.flatnonzero(low <= line)
    sure = float(high[safe[-1]]) if safe.size else NONE
    return sure, float(high[matter[-1]]) if matter.size else sure


def _edges(bins: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the smallest and largest number of each bin, float64."""
    whole, cut = _LEADING[dtype.itemsize]
    first = bins.astype(whole) << whole(cut)
    last = first | whole((1 << cut) - 1)
    return first.view(dtype).astype(np.float64), last.view(dtype).astype(np.float64)


def _vectors(states: Any, function: Callable[[Counts], Any], size: int) -> Any:
    states = np.asarray(states, object)
    out = np.empty((*states.shape, size))
    for place in np.ndindex(*states.shape):
        out[place] = function(states[place])
    return out


def between(p: Any, low: Any, high: Any) -> Any:
    """Return p with SAFE up to ``low`` and BEYOND above ``high``; NaN stays."""
    xp = array_namespace(p)
    out = p.copy()
    out[p <= xp.asarray(low, p.dtype)] = SAFE
    out[p > xp.asarray(high, p.dtype)] = BEYOND
    return out


def count_values(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the :class:`Counts` of what :func:`between` gave, value by value."""
    return _each_field(_values, block, axes)


def _values(values: Any) -> Counts:
    xp = array_namespace(values)
    inner, counts = xp.unique(values[(values > SAFE) & (values < BEYOND)], return_counts=True)
    outer = [int((values == number).sum()) for number in (SAFE, BEYOND)]
    return Counts(
        np.concatenate([[SAFE], _on_host(inner), [BEYOND]]),
        np.concatenate([outer[:1], _on_host(counts), outer[1:]]).astype(np.int64),
    )


def threshold(states: Any, *, alpha: float) -> Any:
    """Return of each state of :func:`count_values` the largest value at or below the line."""
    return _vectors(states, lambda counts: _threshold(counts, alpha), 1)


def _threshold(counts: Counts, alpha: float) -> float:
    line = alpha * counts.ranks / max(int(counts.counts.sum()), 1)
    passing = np.flatnonzero((counts.numbers <= line) & (counts.counts > 0))
    return float(counts.numbers[passing[-1]]) if passing.size else NONE


def not_above(p: Any, low: Any, limit: Any) -> Any:
    """Tell where p is at most ``low`` or ``limit``; NaN is not."""
    xp = array_namespace(p)
    return p <= xp.asarray(np.maximum(_on_host(low), _on_host(limit)), p.dtype)
