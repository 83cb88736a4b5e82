"""Closure of triplets of pairs, pixel by pixel: ``(phi_12 + phi_23) - phi_13`` in float64, and counts of what is open.

A triplet is three pairs between three dates, given by the numbers of its pairs: first to second date, second to third,
first to third. Its closure is NaN where one of the pairs is missing. Of wrapped phase the closure is wrapped to
(-pi, pi]. Pixels are worked out a tile at a time, each by itself, triplet after triplet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit

PIXELS = 64
"""Pixels in a tile."""
TURN = 2 * np.pi
_LIMIT = np.pi * (1 + 1e-4)
GOOD, INFINITE, NOT_WRAPPED = 0, 1, 2


@jit
def _around(one: float, two: float, across: float, turn: float) -> float:
    """Return the closure of three phases, within half a ``turn`` of 0 where that is not 0."""
    value = (one + two) - across
    if turn > 0:
        value -= turn * np.rint(value / turn)
        value = value + turn if value <= -turn / 2 else value
    return value


@jit
def _wrong(value: float, turn: float) -> int:
    """Tell what is wrong with a phase, which is wrapped where ``turn`` is not 0."""
    size = abs(value)
    if size == np.inf:
        return INFINITE
    return NOT_WRAPPED if (turn > 0) & (size > _LIMIT) else GOOD


@jit
def _close(one: Any, two: Any, across: Any, turn: float, out: Any) -> int:
    """Write the closure of every pixel; return what is wrong with the phases."""
    bad = GOOD
    for i in range(out.size):
        a, b, c = np.float64(one[i]), np.float64(two[i]), np.float64(across[i])
        bad = max(bad, _wrong(a, turn), _wrong(b, turn), _wrong(c, turn))
        out[i] = _around(a, b, c, turn)
    return bad


@jit
def _load(phase: Any, begin: int, turn: float, data: Any) -> int:
    """Copy a tile of pixels, NaN beyond the last one; return what is wrong with the phases."""
    number = min(PIXELS, phase.shape[1] - begin)
    bad = GOOD
    data[:] = np.nan
    for k in range(phase.shape[0]):
        for x in range(number):
            value = np.float64(phase[k, begin + x])
            bad = max(bad, _wrong(value, turn))
            data[k, x] = value
    return bad


@jit
def _add(
    data: Any, triplet: Any, turn: float, tolerance: float, squares: Any, counts: Any, seen: Any, pairs: Any
) -> None:
    """Add one triplet of a tile to the sums of its pixels and of its pairs."""
    a, b, c = triplet[0], triplet[1], triplet[2]
    valid, opened = 0, 0
    for x in range(PIXELS):
        value = _around(data[a, x], data[b, x], data[c, x], turn)
        there = value == value
        known = value if there else 0.0
        one, more = 1 if there else 0, 1 if abs(known) > tolerance else 0
        squares[x] += known * known
        counts[0, x] += one
        counts[1, x] += more
        seen[a, x] |= one
        seen[b, x] |= one
        seen[c, x] |= one
        valid += one
        opened += more
    for k in (a, b, c):
        pairs[0, k] += valid
        pairs[1, k] += opened


@jit
def _count(
    phase: Any, triplets: Any, turn: float, tolerance: float, rms: Any, counts: Any, pairs: Any
) -> int:
    """Write ``rms`` (pixel) and ``counts`` (3, pixel), add to ``pairs`` (2, pair); return what is wrong."""
    data, squares = np.empty((phase.shape[0], PIXELS)), np.empty(PIXELS)
    sums, seen = np.empty((2, PIXELS), np.int32), np.empty((phase.shape[0], PIXELS), np.int32)
    bad = GOOD
    for begin in range(0, phase.shape[1], PIXELS):
        bad = max(bad, _load(phase, begin, turn, data))
        squares[:] = 0.0
        sums[:] = 0
        seen[:] = 0
        for t in range(triplets.shape[0]):
            _add(data, triplets[t], turn, tolerance, squares, sums, seen, pairs)
        for x in range(min(PIXELS, phase.shape[1] - begin)):
            number = sums[0, x]
            rms[begin + x] = np.sqrt(squares[x] / number) if number > 0 else np.nan
            counts[0, begin + x], counts[1, begin + x], counts[2, begin + x] = number, sums[1, x], 0
            for k in range(phase.shape[0]):
                counts[2, begin + x] += 1 if (data[k, x] == data[k, x]) & (seen[k, x] == 0) else 0
    return bad


_MESSAGES = {
    INFINITE: "{}: expected finite values or NaN for missing, got an infinite one; replace it, e.g. with "
    ".where(abs(ds.{}) < 1e6)",
    NOT_WRAPPED: "{}: expected wrapped phase within (-pi, pi] rad, got larger values; wrap it with "
    "numpy.angle(numpy.exp(1j * {})), or name the variable unwrapped_phase if it is unwrapped",
}


def _legal(bad: int, turn: float) -> None:
    if bad != GOOD:
        name = "phase" if turn > 0 else "unwrapped_phase"
        raise ValueError(_MESSAGES[bad].format(name, name))


def _floats(array: Any) -> Any:
    """Return the contiguous values of ``array`` as native floats."""
    dtype = array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array, dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8"))


def _closure_numpy(one: Any, two: Any, across: Any, *, wrapped: bool) -> Any:
    """Return the closure of three arrays of one shape and dtype, in their floating dtype."""
    a, b, c = (_floats(phase).reshape(-1) for phase in (one, two, across))
    out, turn = np.empty(a.size, a.dtype), TURN if wrapped else 0.0
    _legal(_close(a, b, c, turn, out), turn)
    return out.reshape(one.shape)


def _statistics_numpy(phase: Any, *, triplets: Any, wrapped: bool, tolerance: float) -> Any:
    """Return what the triplets (triplet, 3) of ``phase`` (pair, ...) say of its pixels and pairs.

    Root mean square of the closures (float); int32 numbers of triplets that are valid, of those whose closure exceeds
    ``tolerance``, and of valid pairs in no valid triplet; for each pair the numbers of its valid and of its open
    closures over all pixels, int64 (2, pair).
    """
    flat, shape = _floats(phase).reshape(phase.shape[0], -1), phase.shape[1:]
    rms, counts = np.empty(flat.shape[1], flat.dtype), np.empty((3, flat.shape[1]), np.int32)
    pairs = np.zeros((2, phase.shape[0]), np.int64)
    triplets, turn = np.ascontiguousarray(triplets, np.int64), TURN if wrapped else 0.0
    _legal(_count(flat, triplets, turn, float(tolerance), rms, counts, pairs), turn)
    return rms.reshape(shape), *counts.reshape(3, *shape), pairs


phase_closure = Kernel("phase_closure", numpy=_closure_numpy)
closure_statistics = Kernel("closure_statistics", numpy=_statistics_numpy)


def triplets_of(first: Any, second: Any) -> Any:
    """Return the triplets (triplet, 3) of pairs between the dates ``first`` and ``second``, whole numbers.

    Each row holds the numbers of three pairs: from a date to a later one, from there to a still later one, and across.
    Rows are in the order of the three dates.
    """
    number = {pair: k for k, pair in enumerate(zip(first.tolist(), second.tolist(), strict=True))}
    onward: dict[int, list[int]] = {}
    for i, j in sorted(number):
        onward.setdefault(i, []).append(j)
    found = [
        (number[i, j], number[j, k], number[i, k])
        for i, j in sorted(number)
        for k in onward.get(j, ())
        if (i, k) in number
    ]
    return np.array(found, np.int64).reshape(-1, 3)
