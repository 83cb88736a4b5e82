"""The rate of a phase gradient: the r that maximises ``J(r) = Re sum_k w_k u_k exp(-i dt_k r)``.

``u_k = d_k / |d_k|``, ``w_k = 1 / (1/q(p) + 1/q(p+1))``, ``q = c^2 / (1 - c^2)``, c the window mean of
coherence, at most
.98. J needs one complex sum of ``w u`` per distinct interval dt, so pairs are read once and memory grows
with the number
of distinct intervals, not of pairs. The maximum is searched on a grid (|r| <= pi / min dt, steps of 1 / (2 max dt)) and
polished by Newton's method.

The standard error needs the mean squared wrapped residual, which one pass cannot sum before r is known. It is taken
from the mean cosine of the residuals, J / sum w, through the exact relation of the two for wrapped normal residuals:
``pi^2/3 + 4 sum_n (-1)^n rho^(n^2) / n^2``, from 0 at full agreement to pi^2/3 for noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from xinsar.backend import Kernel, array_namespace
from xinsar.kernels import cuda
from xinsar.kernels._jit import fma, jit
from xinsar.kernels.gradient import Edges, State, count_missing, edge, mark_edges
from xinsar.kernels.phasor import (
    ANY_PHASE,
    BAD_PHASE,
    CLEAN,
    HALF,
    NAN,
    ONE,
    ZERO,
    gather,
    inside,
    legal,
    phasor,
    planes_of,
    sum_down,
    workspace,
)

_F = np.float32
TOP_COHERENCE = _F(0.98)
NEWTON_STEPS = 5
BLOCK = 512
LEAST_SQUARE = _F(1e-12)
"""Mean squared residual, rad^2, that float32 phase cannot fall below."""
RATE_TILE = 16
"""Rows held in cache while the pairs of one interval pass over them."""
EDGE_OF_ALIAS = 0.9
"""Share of the alias limit beyond which a rate is not trusted."""


@jit
def _quality_row(z: Any, slot: int, rows: Any, cols: Any, counted: int) -> None:
    """Replace the sum of coherence by the square of its mean, clipped; ``counted`` tells who knows the pixels."""
    for x in range(z.shape[2]):
        number = z[slot, 3, x] if counted != 0 else rows * cols[x]
        mean = z[slot, 2, x] / (number if number > ZERO else ONE)
        mean = TOP_COHERENCE if mean > TOP_COHERENCE else mean
        z[slot, 2, x] = mean * mean


@jit
def _weigh(re: Any, im: Any, here: Any, there: Any) -> Any:
    """Return the weight of an edge and its weighted unit phasor."""
    a = here * there
    weight = a / (here + there - (a + a))
    unit = weight / np.sqrt(fma(re, re, im * im))
    return weight, unit * re, unit * im


@jit
def _put(
    sums: Any,
    weights: Any,
    r: int,
    g: int,
    x: int,
    p: int,
    q: int,
    dt: Any,
    lever: Any,
    weight: Any,
    a: Any,
    b: Any,
) -> None:
    """Add one weighted phasor to the planes from ``p`` on, its weight to those from ``q`` on."""
    sums[r, g, p, x] += a
    sums[r, g, p + 1, x] += b
    weights[r, q, x] += weight
    weights[r, q + 1, x] += weight * (dt * dt)
    if lever is not None:
        sums[r, g, p + 2, x] += a * lever
        sums[r, g, p + 3, x] += b * lever
        sums[r, g, p + 4, x] += a * (lever * lever)
        sums[r, g, p + 5, x] += b * (lever * lever)
        weights[r, q + 2, x] += weight * (dt * lever)
        weights[r, q + 3, x] += weight * (lever * lever)


@jit
def _add_row(
    z: Any, here: int, below: int, r: int, g: int, dt: Any, lever: Any, good: Any, sums: Any, weights: Any
) -> None:
    """Add one pair's phasors of a row to the sums of its interval ``g``.

    ``good`` (2, x) tells which edges are there, None all of them. ``lever`` is the phase per metre of elevation
    error, None without that term.
    """
    width = z.shape[2]
    for x in range(width):
        re, im = edge(z[here, 0, x], z[here, 1, x], z[below, 0, x], z[below, 1, x])
        weight, a, b = _weigh(re, im, z[here, 2, x], z[below, 2, x])
        if good is not None:
            there = (good[0, x] > ZERO) & (re * re + im * im > ZERO)
            weight, a, b = weight if there else ZERO, a if there else ZERO, b if there else ZERO
        _put(sums, weights, r, g, x, 0, 0, dt, lever, weight, a, b)
    for x in range(width - 1):
        re, im = edge(z[here, 0, x], z[here, 1, x], z[here, 0, x + 1], z[here, 1, x + 1])
        weight, a, b = _weigh(re, im, z[here, 2, x], z[here, 2, x + 1])
        if good is not None:
            there = (good[1, x] > ZERO) & (re * re + im * im > ZERO)
            weight, a, b = weight if there else ZERO, a if there else ZERO, b if there else ZERO
        if lever is None:
            _put(sums, weights, r, g, x, 2, 2, dt, lever, weight, a, b)
        if lever is not None:
            _put(sums, weights, r, g, x, 6, 4, dt, lever, weight, a, b)


@jit
def _mark_dates(good: Any, r: int, first: int, second: int, dates: Any) -> None:
    """Set the bits of a pair's two dates where it has an edge."""
    for direction in range(2):
        for x in range(good.shape[1]):
            there = np.uint32(1) if good[direction, x] > ZERO else np.uint32(0)
            dates[r, direction, first // 32, x] |= np.uint32(there << np.uint32(first % 32))
            dates[r, direction, second // 32, x] |= np.uint32(there << np.uint32(second % 32))


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
    groups: Any,
    years: Any,
    levers: Any,
    firsts: Any,
    seconds: Any,
    rows: Any,
    cols: Any,
    row: Any,
    window_sums: Any,
    valid: Any,
    z: Any,
    good: Any,
    sums: Any,
    weights: Any,
    missing: Any,
    dates: Any,
    row_dates: Any,
) -> int:
    """Fold rows ``top..bottom`` of every pair into accumulators that begin at row ``start``."""
    half = len(taps) // 2
    for k in range(phase.pairs):
        if ticks[k] < 0:
            continue
        status = gather(phase, coherence, k, top, bottom + 1, taps, limit, 3, row, window_sums, valid)
        if status >= BAD_PHASE:
            return status
        planes = 3 if status == CLEAN else 4
        lever = None if levers is None else levers[k]
        sum_down(window_sums, planes, 0, taps, 0, z)
        _quality_row(z, 0, rows[top], cols, status)
        for r in range(top, bottom):
            here, below = (r - top) % 2, (r - top + 1) % 2
            sum_down(window_sums, planes, r - top + 1, taps, below, z)
            if status != CLEAN:
                mark_edges(
                    z, here, below, valid, r - top + half, rows[r], rows[r + 1], cols, min_weight, good
                )
            _quality_row(z, below, rows[r + 1], cols, status)
            if status == CLEAN:
                _add_row(z, here, below, r - start, groups[k], years[k], lever, None, sums, weights)
                row_dates[r - start, firsts[k]] = row_dates[r - start, seconds[k]] = 1
                continue
            count_missing(good, r - start, ticks[k], missing)
            _add_row(z, here, below, r - start, groups[k], years[k], lever, good, sums, weights)
            _mark_dates(good, r - start, firsts[k], seconds[k], dates)
    return CLEAN


def _fold_numpy(
    phase: Any, coherence: Any, state: tuple[Any, ...], *, fold: Rate, first: int, rows: tuple[int, int]
) -> None:
    _, height, width = phase.shape
    half = fold.window // 2
    part = slice(first, first + len(phase))
    per_pair = [None if v is None else np.asarray(v[part], t) for v, t in fold.per_pair()]
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
            _F(fold.min_weight),
            fold.part(first, len(phase)),
            *per_pair,
            inside(height, half),
            inside(width, half),
            *buffers,
            *state,
        )
        legal(status, phase, coherence)


fold_rate = Kernel("phase_gradient_stack", numpy=_fold_numpy, cupy=cuda.fold_rate)


@jit
def _search_row(
    sums: Any, r: int, plane: int, cosines: Any, sines: Any, rate: Any, block: Any, best: Any
) -> None:
    """Write the grid point with the largest J of each pixel of a row into ``rate`` (in grid steps).

    Pixels go in blocks (``block``: the sums of all intervals; ``best``: J, its even and odd part, its place) that
    stay in the first cache while the whole grid passes over them.
    """
    width = sums.shape[3]
    for start in range(0, width, BLOCK):
        number = min(BLOCK, width - start)
        for g in range(sums.shape[1]):
            block[0, g, :number] = sums[r, g, plane, start : start + number]
            block[1, g, :number] = sums[r, g, plane + 1, start : start + number]
        _search_block(block[0], block[1], cosines, sines, best[0], best[1], best[2], best[3])
        rate[start : start + number] = best[3, :number]


@jit
def _add_four(rows: Any, g: int, a: Any, b: Any, c: Any, d: Any, total: Any) -> None:
    """Add four weighted rows at once: fewer passes over ``total``."""
    for x in range(BLOCK):
        low = fma(rows[g + 1, x], b, rows[g, x] * a)
        total[x] += fma(rows[g + 3, x], d, fma(rows[g + 2, x], c, low))


@jit
def _search_block(
    re: Any, im: Any, cosines: Any, sines: Any, best: Any, even: Any, odd: Any, place: Any
) -> None:
    for x in range(BLOCK):
        best[x] = -ANY_PHASE
    for j in range(cosines.shape[1]):
        for x in range(BLOCK):
            even[x] = odd[x] = ZERO
        for g in range(0, cosines.shape[0], 4):
            _add_four(re, g, cosines[g, j], cosines[g + 1, j], cosines[g + 2, j], cosines[g + 3, j], even)
            _add_four(im, g, sines[g, j], sines[g + 1, j], sines[g + 2, j], sines[g + 3, j], odd)
        step = _F(j)
        for x in range(BLOCK):
            ahead, behind = even[x] + odd[x], even[x] - odd[x]
            here = step if ahead > best[x] else place[x]
            top = ahead if ahead > best[x] else best[x]
            place[x] = -step if behind > top else here
            best[x] = behind if behind > top else top


@jit
def _polish_row(
    sums: Any, r: int, plane: int, intervals: Any, step: Any, rate: Any, height: Any, work: Any
) -> None:
    """Bring each rate of a row to the top of its peak by Newton's method, at most half a grid step at a time.

    Where the sums carry the terms of an elevation error, ``height`` is found with it. ``work`` (6, x) ends with J.
    """
    width = sums.shape[3]
    for _ in range(NEWTON_STEPS):
        _derive_row(sums, r, plane, intervals, rate, height, work)
        for x in range(width):
            if height is None:
                move = work[1, x] / work[2, x] if work[2, x] > ZERO else ZERO
            if height is not None:
                size = work[2, x] * work[4, x] - work[5, x] * work[5, x]
                peak = (work[2, x] > ZERO) & (size > ZERO)
                move = (work[1, x] * work[4, x] - work[3, x] * work[5, x]) / size if peak else ZERO
                lift = (work[3, x] * work[2, x] - work[1, x] * work[5, x]) / size if peak else ZERO
                height[x] += lift
            move = step if move > step else move
            rate[x] += -step if move < -step else move
    _derive_row(sums, r, plane, intervals, rate, height, work)


@jit
def _derive_row(sums: Any, r: int, plane: int, intervals: Any, rate: Any, height: Any, work: Any) -> None:
    """Fill ``work``: J, dJ/dr, -d2J/dr2 and, with heights, dJ/dh, -d2J/dh2, -d2J/drdh."""
    width = sums.shape[3]
    for plane_of_work in range(work.shape[0]):
        for x in range(width):
            work[plane_of_work, x] = ZERO
    for g in range(len(intervals)):
        dt = intervals[g]
        for x in range(width):
            cosine, sine = phasor(dt * rate[x], ONE)
            re, im = sums[r, g, plane, x], sums[r, g, plane + 1, x]
            if height is not None:
                h = height[x]
                re1, im1 = sums[r, g, plane + 2, x], sums[r, g, plane + 3, x]
                re2, im2 = sums[r, g, plane + 4, x], sums[r, g, plane + 5, x]
                re, im = re + h * im1 - HALF * h * h * re2, im - h * re1 - HALF * h * h * im2
                dre, dim = im1 - h * re2, -re1 - h * im2
                work[3, x] += dre * cosine + dim * sine
                work[4, x] += re2 * cosine + im2 * sine
                work[5, x] -= dt * (dim * cosine - dre * sine)
            along, across = fma(re, cosine, im * sine), fma(im, cosine, -re * sine)
            work[0, x] += along
            work[1, x] = fma(dt, across, work[1, x])
            work[2, x] = fma(dt * dt, along, work[2, x])


@jit
def _solve(
    sums: Any,
    intervals: Any,
    cosines: Any,
    sines: Any,
    step: Any,
    with_height: Any,
    work: Any,
    block: Any,
    best: Any,
    out: Any,
) -> None:
    """Fill ``out`` (y, 2, 2, x) with rate and J for both directions."""
    for r in range(sums.shape[0]):
        for direction in range(2):
            plane = direction * (sums.shape[2] // 2)
            rate, height = out[r, direction, 0], out[r, direction, 1]
            _search_row(sums, r, plane, cosines, sines, rate, block, best)
            for x in range(sums.shape[3]):
                rate[x] *= step
                height[x] = ZERO
            if with_height is None:
                _polish_row(sums, r, plane, intervals, step * HALF, rate, None, work)
            if with_height is not None:
                _polish_row(sums, r, plane, intervals, step * HALF, rate, height, work)
            height[:] = work[0]


def search_grid(intervals: Any) -> tuple[Any, Any, float]:
    """Return cos and sin of ``dt r`` for the grid of rates r >= 0, (interval, grid), and the grid's step."""
    step = 1 / (2 * intervals.max())
    rates = np.arange(int(np.ceil(np.pi / intervals.min() / step)) + 1) * step
    turns = np.outer(intervals, rates)
    return np.cos(turns).astype(_F), np.sin(turns).astype(_F), step


def _solve_numpy(sums: Any, *, intervals: Any) -> Any:
    cosines, sines, step = search_grid(intervals)
    fours = ((0, -len(intervals) % 4), (0, 0))
    cosines, sines = np.pad(cosines, fours), np.pad(sines, fours)
    out = np.zeros((sums.shape[0], 2, 2, sums.shape[3]), _F)
    work = np.zeros((6, sums.shape[3]), _F)
    with_height = None if sums.shape[2] == 4 else True
    block, best = np.zeros((2, cosines.shape[0], BLOCK), _F), np.zeros((4, BLOCK), _F)
    _solve(sums, intervals.astype(_F), cosines, sines, _F(step), with_height, work, block, best, out)
    return out


solve_rate = Kernel("phase_gradient_stack", numpy=_solve_numpy, cupy=cuda.solve_rate)


@cache
def residual_table() -> Any:
    """Return the mean squared wrapped residual of wrapped normal residuals over its mean cosine, 0 to 1."""
    rho = np.linspace(0, 1, 8193)
    series = np.pi**2 / 3 + 4 * sum((-1) ** n * rho ** (n * n) / n**2 for n in range(1, 60))
    return np.where(rho > 0.99, -2 * np.log(np.maximum(rho, 0.5)), series).astype(_F)


@jit
def _square_loop(rho: Any, table: Any, out: Any) -> None:
    for i in range(rho.size):
        place = min(max(rho[i], ZERO), ONE) * _F(len(table) - 1)
        low = min(int(place), len(table) - 2)
        part = place - _F(low)
        out[i] = table[low] * (ONE - part) + table[low + 1] * part


def _square_numpy(rho: Any) -> Any:
    out = np.empty(rho.shape, _F)
    _square_loop(np.ascontiguousarray(rho, _F).ravel(), residual_table(), out.reshape(-1))
    return out


mean_square = Kernel("mean_square", numpy=_square_numpy, cupy=cuda.mean_square)
"""Mean squared wrapped residual, rad^2, from the mean cosine of the residuals."""


@dataclass(frozen=True)
class Rate(Edges):
    """The rate of both gradients, rad year-1 per pixel, its agreement (J over the sum of weights) and standard error.

    ``dates`` holds the indices of the two dates of each pair, ``levers`` the phase per metre of elevation error of each
    pair where that is to be found as well. A pixel is searched as if the stack held only the intervals that have weight
    there, so pairs that are missing at a pixel change nothing.
    """

    dates: tuple[tuple[int, int], ...]
    levers: tuple[float, ...] | None = None

    tile: ClassVar[int] = RATE_TILE
    kernel: ClassVar[Kernel] = fold_rate
    outputs: ClassVar[tuple[str, ...]] = (
        "gradient_y",
        "gradient_x",
        "pair_count",
        "stack_years",
        "gradient_coherence_y",
        "gradient_coherence_x",
        "gradient_sigma_y",
        "gradient_sigma_x",
    )
    dtypes: ClassVar[tuple[str, ...]] = (
        "float32",
        "float32",
        "int32",
        "float64",
        "float32",
        "float32",
        "float32",
        "float32",
    )

    @property
    def state_bytes(self) -> int:
        """Size of the state per pixel."""
        return 40 + 16 * len(self.distinct()) * (1 if self.levers is None else 3)

    def distinct(self) -> list[int]:
        """Return the distinct intervals in ticks, ascending."""
        return sorted({t for t in self.ticks if t >= 0})

    def per_pair(self) -> tuple[tuple[Any, Any], ...]:
        """Return interval index, interval in years, lever and both dates of each pair, with their dtypes."""
        index = {t: g for g, t in enumerate(self.distinct())}
        groups = [index.get(t, 0) for t in self.ticks]
        years = [self.years(t) for t in self.ticks]
        firsts, seconds = zip(*self.dates, strict=True)
        return (groups, np.int64), (years, _F), (self.levers, _F), (firsts, np.int64), (seconds, np.int64)

    def begin(self, like: Any, height: int, width: int, *, last: bool = True) -> State:
        """Return the empty state: sums per interval, weights, missing pairs, dates per pixel and per row."""
        xp = array_namespace(like)
        dates = max(max(pair) for pair in self.dates) + 1
        planes, moments = (4, 4) if self.levers is None else (12, 8)
        return State(
            xp.zeros((height, max(len(self.distinct()), 1), planes, width), _F),
            xp.zeros((height, moments, width), _F),
            xp.zeros((height, 4, width), np.int32),
            xp.zeros((height, 2, -(-dates // 32), width), np.uint32),
            xp.zeros((height, dates), np.uint8),
            last=last,
        )

    def finish(self, state: State) -> tuple[Any, ...]:
        """Return the outputs."""
        sums, weights, missing, dates, row_dates = state.look()
        xp = array_namespace(sums)
        number, _, count, years = self.counts(missing, state.last)
        rate, agreement, divisor = self._solve(sums, missing)
        moments = xp.moveaxis(weights.reshape(weights.shape[0], 2, -1, weights.shape[2]), 2, 0)
        known = (number > 0) & (moments[0] > 0)
        rate = xp.where(known, rate, NAN)
        agreement = xp.where(known, agreement / xp.where(known, moments[0], 1), NAN)
        sigma = _standard_error(number, count_dates(dates, row_dates), agreement, moments)
        trusted = known & (xp.abs(rate) <= EDGE_OF_ALIAS * np.pi / self.years(divisor))
        sigma = xp.where(trusted, sigma, NAN).astype(_F)
        return (
            *(rate[:, 0], rate[:, 1], count, years, agreement[:, 0], agreement[:, 1]),
            *(sigma[:, 0], sigma[:, 1]),
        )

    def _solve(self, sums: Any, missing: Any) -> tuple[Any, Any, Any]:
        """Return rate, J and the common divisor of the intervals in ticks, (y, 2, x)."""
        xp = array_namespace(sums)
        ticks = np.asarray(self.distinct() or [1])
        intervals = self.years(ticks.astype(np.float64))
        if not missing.any():
            rate, agreement = xp.moveaxis(solve_rate(sums, intervals=intervals), 2, 0)
            return rate, agreement, float(np.gcd.reduce(ticks))
        there = _intervals_there(sums)
        held = xp.where(there, xp.asarray(ticks)[:, None, None, None], 0)
        divisor = held[0]
        for more in held[1:]:
            divisor = xp.gcd(divisor, more)
        rate, agreement = _solve_spans(sums, intervals, there)
        return rate, agreement, xp.maximum(divisor, 1)


def _intervals_there(sums: Any) -> Any:
    """Return which intervals have weight at each edge, (interval, y, 2, x)."""
    xp = array_namespace(sums)
    planes = sums.shape[2] // 2
    both = [(sums[:, :, p] != 0) | (sums[:, :, p + 1] != 0) for p in (0, planes)]
    return xp.moveaxis(xp.stack(both, axis=2), 1, 0)


def _solve_spans(sums: Any, intervals: Any, there: Any) -> tuple[Any, Any]:
    """Solve each edge between its own shortest and longest interval."""
    xp = array_namespace(sums)
    number = len(intervals)
    first = xp.argmax(there, axis=0)
    last = number - 1 - xp.argmax(there[::-1], axis=0)
    span = first * number + last
    rate = xp.zeros(span.shape, _F)
    agreement = xp.zeros(span.shape, _F)
    for code in xp.unique(span).tolist():
        part = slice(code // number, code % number + 1)
        solved = solve_rate(xp.ascontiguousarray(sums[:, part]), intervals=intervals[part])
        rate = xp.where(span == code, solved[:, :, 0], rate)
        agreement = xp.where(span == code, solved[:, :, 1], agreement)
    return rate, agreement


def count_dates(dates: Any, row_dates: Any) -> Any:
    """Return the number of distinct dates of each edge, (y, 2, x), from its bits and from those of its whole row."""
    xp = array_namespace(dates)
    place = xp.arange(row_dates.shape[1])
    number = xp.zeros((dates.shape[0], 2, dates.shape[3]), np.int32)
    for word in range(dates.shape[2]):
        own = row_dates * xp.where(place // 32 == word, xp.left_shift(1, place % 32), 0)
        seen = dates[:, :, word] | own.sum(axis=1).astype(np.uint32)[:, None, None]
        number += _ones(seen)
    return number


def _ones(words: Any) -> Any:
    """Count the bits that are set in each uint32 word."""
    words = words - ((words >> np.uint32(1)) & np.uint32(0x55555555))
    words = (words & np.uint32(0x33333333)) + ((words >> np.uint32(2)) & np.uint32(0x33333333))
    words = (words + (words >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return ((words * np.uint32(0x01010101)) >> np.uint32(24)).astype(np.int32)


def _standard_error(number: Any, dates: Any, agreement: Any, moments: Any) -> Any:
    """Return the standard error of the rate; NaN below three dates."""
    xp = array_namespace(number)
    pairs = xp.maximum(number, 2)
    leverage = moments[1]
    if len(moments) == 4:
        leverage = leverage - moments[2] ** 2 / xp.where(moments[3] > 0, moments[3], 1)
    square = xp.maximum(mean_square(xp.where(agreement > 0, agreement, 0)), LEAST_SQUARE)
    spread = square * moments[0] / (pairs - 1)
    shared = xp.maximum(1, pairs / xp.maximum(dates, 1))
    enough = (dates >= 3) & (number >= 2) & (leverage > 0)
    return xp.where(enough, xp.sqrt(spread * shared / xp.where(enough, leverage, 1)), NAN)
