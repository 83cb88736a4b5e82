"""Stacks of wrapped phase gradients, folded pair after pair.

For pair k, ``d = z(p+1) conj(z(p))`` along y and along x, z the coherence-weighted window sum of phasor.py. A wrapped
sum of angles is the angle of a product, so `WrappedSum` multiplies and takes one arctangent at the end; `Sum` takes
one a pair. Both count what is missing: an edge has a value in a pair where both centre pixels are there, the two
windows together hold at least ``min_weight`` of the pixels they could hold inside the array, and neither has weight 0.

A fold is three steps, ``begin -> add -> ... -> finish``. The last row has no
gradient along y, the last column none along x.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from xinsar.backend import Kernel, array_namespace
from xinsar.kernels import cuda
from xinsar.kernels._jit import fma, inverse_power_of_two, jit
from xinsar.kernels.phasor import (
    ANY_PHASE,
    BAD_PHASE,
    CLEAN,
    NAN,
    PHASE_LIMIT,
    TINY,
    ZERO,
    angle,
    gather,
    inside,
    legal,
    planes_of,
    prepare,
    sum_down,
    workspace,
)

MINUTES_A_YEAR = 365.25 * 1440
TILE = 48
"""Rows held in cache while all pairs pass over them."""


@jit
def edge(re: Any, im: Any, next_re: Any, next_im: Any) -> Any:
    """Return ``next conj(here)``."""
    return fma(im, next_im, re * next_re), fma(-im, next_re, re * next_im)


@jit
def _times(pr: Any, pi: Any, dr: Any, di: Any) -> Any:
    """Return ``p * d`` brought back to a length near one by an exact power of two."""
    re = fma(-pi, di, pr * dr)
    im = fma(pi, dr, pr * di)
    scale = inverse_power_of_two(abs(re) + abs(im))
    return re * scale, im * scale


@jit
def _multiply_row(z: Any, here: int, below: int, r: int, product: Any) -> None:
    """Multiply the products of a row without gaps by the phasors of its edges."""
    last = z.shape[2] - 1
    for x in range(last):
        re, im = z[here, 0, x], z[here, 1, x]
        dr, di = edge(re, im, z[below, 0, x], z[below, 1, x])
        product[r, 0, x], product[r, 1, x] = _times(product[r, 0, x], product[r, 1, x], dr, di)
        dr, di = edge(re, im, z[here, 0, x + 1], z[here, 1, x + 1])
        product[r, 2, x], product[r, 3, x] = _times(product[r, 2, x], product[r, 3, x], dr, di)
    dr, di = edge(z[here, 0, last], z[here, 1, last], z[below, 0, last], z[below, 1, last])
    product[r, 0, last], product[r, 1, last] = _times(product[r, 0, last], product[r, 1, last], dr, di)


@jit
def _add_row(z: Any, here: int, below: int, r: int, total: Any) -> None:
    """Add the angles of the edges of a row without gaps."""
    last = z.shape[2] - 1
    for x in range(last):
        re, im = z[here, 0, x], z[here, 1, x]
        dr, di = edge(re, im, z[below, 0, x], z[below, 1, x])
        total[r, 0, x] += angle(dr, di)
        dr, di = edge(re, im, z[here, 0, x + 1], z[here, 1, x + 1])
        total[r, 1, x] += angle(dr, di)
    dr, di = edge(z[here, 0, last], z[here, 1, last], z[below, 0, last], z[below, 1, last])
    total[r, 0, last] += angle(dr, di)


@jit
def mark_edges(
    z: Any,
    here: int,
    below: int,
    valid: Any,
    v: int,
    rows_here: Any,
    rows_below: Any,
    cols: Any,
    min_weight: Any,
    good: Any,
) -> None:
    """Write 1 into ``good`` (2, x) where the edge along y, along x has a value in this pair, else 0."""
    width = z.shape[2]
    for x in range(width):
        both = valid[v, x] * valid[v + 1, x]
        enough = z[here, 3, x] + z[below, 3, x] >= min_weight * ((rows_here + rows_below) * cols[x])
        something = (z[here, 2, x] > TINY) & (z[below, 2, x] > TINY)
        good[0, x] = both if enough & something else ZERO
    for x in range(width - 1):
        both = valid[v, x] * valid[v, x + 1]
        enough = z[here, 3, x] + z[here, 3, x + 1] >= min_weight * (rows_here * (cols[x] + cols[x + 1]))
        something = (z[here, 2, x] > TINY) & (z[here, 2, x + 1] > TINY)
        good[1, x] = both if enough & something else ZERO


@jit
def count_missing(good: Any, r: int, ticks: Any, missing: Any) -> None:
    """Count the edges of row ``r`` that this pair does not have."""
    for x in range(good.shape[1]):
        lost = np.int32(good[0, x] == ZERO)
        missing[r, 0, x] += lost
        missing[r, 1, x] += lost * ticks
    for x in range(good.shape[1] - 1):
        lost = np.int32(good[1, x] == ZERO)
        missing[r, 2, x] += lost
        missing[r, 3, x] += lost * ticks


@jit
def _multiply_good(z: Any, here: int, below: int, r: int, good: Any, product: Any) -> None:
    """Multiply the products of a row by the phasors of the edges that are there."""
    width = z.shape[2]
    for x in range(width):
        dr, di = edge(z[here, 0, x], z[here, 1, x], z[below, 0, x], z[below, 1, x])
        re, im = _times(product[r, 0, x], product[r, 1, x], dr, di)
        product[r, 0, x] = re if good[0, x] > ZERO else product[r, 0, x]
        product[r, 1, x] = im if good[0, x] > ZERO else product[r, 1, x]
    for x in range(width - 1):
        dr, di = edge(z[here, 0, x], z[here, 1, x], z[here, 0, x + 1], z[here, 1, x + 1])
        re, im = _times(product[r, 2, x], product[r, 3, x], dr, di)
        product[r, 2, x] = re if good[1, x] > ZERO else product[r, 2, x]
        product[r, 3, x] = im if good[1, x] > ZERO else product[r, 3, x]


@jit
def _add_good(z: Any, here: int, below: int, r: int, good: Any, total: Any) -> None:
    """Add the angles of the edges of a row that are there."""
    width = z.shape[2]
    for x in range(width):
        dr, di = edge(z[here, 0, x], z[here, 1, x], z[below, 0, x], z[below, 1, x])
        total[r, 0, x] += angle(dr, di) * good[0, x]
    for x in range(width - 1):
        dr, di = edge(z[here, 0, x], z[here, 1, x], z[here, 0, x + 1], z[here, 1, x + 1])
        total[r, 1, x] += angle(dr, di) * good[1, x]


@jit
def _fold_tile(
    phase: Any,
    coherence: Any,
    taps: Any,
    top: int,
    bottom: int,
    start: int,
    limit: Any,
    min_weight: Any,
    ticks: Any,
    rows: Any,
    cols: Any,
    row: Any,
    sums: Any,
    valid: Any,
    z: Any,
    good: Any,
    product: Any,
    total: Any,
    missing: Any,
) -> int:
    """Fold rows ``top..bottom`` of every pair into ``product`` (or, where that is None, the ``total`` of angles).

    The accumulators begin at row ``start`` of the array.
    """
    half = len(taps) // 2
    for k in range(phase.pairs):
        if ticks[k] < 0:
            continue
        status = gather(phase, coherence, k, top, bottom + 1, taps, limit, 2, row, sums, valid)
        if status >= BAD_PHASE:
            return status
        planes = 2 if status == CLEAN else 4
        sum_down(sums, planes, 0, taps, 0, z)
        for r in range(top, bottom):
            here, below = (r - top) % 2, (r - top + 1) % 2
            sum_down(sums, planes, r - top + 1, taps, below, z)
            if status == CLEAN:
                if product is not None:
                    _multiply_row(z, here, below, r - start, product)
                if total is not None:
                    _add_row(z, here, below, r - start, total)
                continue
            mark_edges(z, here, below, valid, r - top + half, rows[r], rows[r + 1], cols, min_weight, good)
            count_missing(good, r - start, ticks[k], missing)
            if product is not None:
                _multiply_good(z, here, below, r - start, good, product)
            if total is not None:
                _add_good(z, here, below, r - start, good, total)
    return CLEAN


def _fold_numpy(
    phase: Any, coherence: Any, state: tuple[Any, ...], *, fold: WrappedSum, first: int, rows: tuple[int, int]
) -> None:
    _, height, width = phase.shape
    half = fold.window // 2
    total, missing = state
    sinks = (total, None) if total.shape[1] == 4 else (None, total)
    buffers = workspace(fold.tile, width, half)
    for top in range(*rows, fold.tile):
        status = _fold_tile(  # type: ignore[call-arg]
            planes_of(phase),
            planes_of(coherence),
            (0,) * fold.window,
            top,
            min(top + fold.tile, rows[1]),
            rows[0],
            fold.limit,
            np.float32(fold.min_weight),
            fold.part(first, len(phase)),
            inside(height, half),
            inside(width, half),
            *buffers,
            *sinks,
            missing,
        )
        legal(status, phase, coherence)


fold_edges = Kernel("phase_gradient_stack", numpy=_fold_numpy, cupy=cuda.fold_edges)


class State:
    """Accumulators on their way along a chain of pairs: each ``add`` takes them over from the one before.

    Handing over instead of copying keeps a long chain cheap; a state that was taken once cannot be taken again, so
    a chain that is run twice by mistake fails instead of counting pairs twice. ``last`` tells that no row lies below.
    """

    def __init__(self, *arrays: Any, last: bool = True) -> None:
        self._arrays: tuple[Any, ...] | None = arrays
        self.last = last

    def take(self) -> tuple[Any, ...]:
        """Return the arrays and give them up."""
        arrays, self._arrays = self.look(), None
        return arrays

    def look(self) -> tuple[Any, ...]:
        """Return the arrays to read them."""
        if self._arrays is None:
            raise RuntimeError(
                "the state of this stack was used already; compute the stack again from its start"
            )
        return self._arrays


@dataclass(frozen=True)
class Edges(ABC):
    """What every fold over edges knows.

    ``ticks`` holds the interval of each pair in steps of ``step`` minutes, -1 for a pair to leave out; ``wrapped``
    tells wrapped from unwrapped phase.
    """

    window: int
    min_weight: float
    wrapped: bool
    ticks: tuple[int, ...]
    step: int

    tile: ClassVar[int] = TILE
    kernel: ClassVar[Kernel] = fold_edges
    outputs: ClassVar[tuple[str, ...]] = ()
    dtypes: ClassVar[tuple[str, ...]] = ()

    def keep(self, kept: Any) -> Edges:
        """Return the fold without the pairs that ``kept`` refuses."""
        return replace(self, ticks=tuple(t if k else -1 for t, k in zip(self.ticks, kept, strict=True)))

    @property
    def state_bytes(self) -> int:
        """Size of the state per pixel."""
        return 32

    @property
    def limit(self) -> Any:
        """Largest legal |phase|."""
        return PHASE_LIMIT if self.wrapped else ANY_PHASE

    def used(self) -> tuple[int, int]:
        """Return how many pairs are used and their ticks together."""
        kept = [t for t in self.ticks if t >= 0]
        return len(kept), sum(kept)

    def part(self, first: int, number: int) -> Any:
        """Return the ticks of ``number`` pairs from ``first`` on."""
        return np.asarray(self.ticks[first : first + number], np.int32)

    def years(self, ticks: Any) -> Any:
        """Return ticks as years; rounded once, so that another ``step`` gives the same bits."""
        return ticks * self.step / MINUTES_A_YEAR

    def counts(self, missing: Any, last: bool) -> tuple[Any, Any, Any, Any]:  # noqa: FBT001
        """Return pairs and years per direction, (y, 2, x), and the larger of both."""
        xp = array_namespace(missing)
        pairs, ticks = self.used()
        if missing.any():
            number, own = pairs - missing[:, 0::2], ticks - missing[:, 1::2]
        else:
            number, own = (xp.full_like(missing[:, 0::2], value) for value in (pairs, ticks))
        number[:, 1, -1:] = 0
        if last:
            number[-1:, 0] = 0
        own *= number > 0
        years = self.years(own.astype(np.float64))
        return number, years, xp.maximum(number[:, 0], number[:, 1]), xp.maximum(years[:, 0], years[:, 1])

    @abstractmethod
    def begin(self, like: Any, height: int, width: int, *, last: bool = True) -> State:
        """Return the empty state for an image of ``height`` rows; ``last`` tells that nothing lies below it."""

    @abstractmethod
    def finish(self, state: State) -> tuple[Any, ...]:
        """Return the outputs, arrays of (y, x)."""

    def add(
        self, state: State, phase: Any, coherence: Any, first: int, rows: tuple[int, int] | None = None
    ) -> State:
        """Return the state after the pairs ``first, first + 1, ...`` that ``phase`` and ``coherence`` hold."""
        arrays = state.take()
        phase, coherence = prepare(phase, wrap=not self.wrapped), prepare(coherence)
        if phase.size:
            self.kernel(phase, coherence, arrays, fold=self, first=first, rows=rows or (0, phase.shape[1]))
        return State(*arrays, last=state.last)

    def run(self, phase: Any, coherence: Any) -> tuple[Any, ...]:
        """Return the outputs of a whole stack in memory, tile after tile."""
        phase, coherence = prepare(phase, wrap=not self.wrapped), prepare(coherence)
        height, width = phase.shape[1:]
        tile = self.tile if isinstance(phase, np.ndarray) else height
        parts = []
        for top in range(0, height, tile):
            rows = top, min(top + tile, height)
            state = self.begin(phase, rows[1] - top, width, last=rows[1] == height)
            parts.append(self.finish(self.add(state, phase, coherence, 0, rows)))
        return tuple(array_namespace(phase).concatenate(out) for out in zip(*parts, strict=True))


@dataclass(frozen=True)
class WrappedSum(Edges):
    """``W(sum_k arg d_k)``: the paper's stack, rad per pixel."""

    outputs: ClassVar[tuple[str, ...]] = ("gradient_y", "gradient_x", "pair_count", "stack_years")
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float32", "int32", "float64")

    def begin(self, like: Any, height: int, width: int, *, last: bool = True) -> State:
        """Return the empty state: the products of both directions, and what is missing."""
        xp = array_namespace(like)
        product = xp.zeros((height, 4, width), np.float32)
        product[:, 0::2] = 1
        return State(product, xp.zeros((height, 4, width), np.int32), last=last)

    def finish(self, state: State) -> tuple[Any, ...]:
        """Return the outputs."""
        product, missing = state.look()
        xp = array_namespace(product)
        number, _, count, years = self.counts(missing, state.last)
        turned = xp.arctan2(product[:, 1::2], product[:, 0::2])
        known = (number > 0) & ((product[:, 0::2] != 0) | (product[:, 1::2] != 0))
        turned = xp.where(known, turned, NAN)
        return turned[:, 0], turned[:, 1], count, years


@dataclass(frozen=True)
class Sum(Edges):
    """``sum_k arg d_k`` without the outer wrap, rad per pixel; ``normalise`` scales up where pairs are missing."""

    normalise: bool = False

    outputs: ClassVar[tuple[str, ...]] = WrappedSum.outputs
    dtypes: ClassVar[tuple[str, ...]] = WrappedSum.dtypes

    def begin(self, like: Any, height: int, width: int, *, last: bool = True) -> State:
        """Return the empty state: the sums of both directions, and what is missing."""
        xp = array_namespace(like)
        total = xp.zeros((height, 2, width), np.float64)
        return State(total, xp.zeros((height, 4, width), np.int32), last=last)

    def finish(self, state: State) -> tuple[Any, ...]:
        """Return the outputs."""
        total, missing = state.look()
        xp = array_namespace(total)
        number, years, count, most = self.counts(missing, state.last)
        if self.normalise:
            total = total * (self.years(self.used()[1]) / xp.where(years > 0, years, 1))
        total = xp.where(number > 0, total, NAN).astype(np.float32)
        return total[:, 0], total[:, 1], count, most
