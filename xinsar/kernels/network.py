"""Unwrapped pairs to phases of dates: weighted least squares over a network, pixel by pixel.

The normal equations of ``phi_k = x_second - x_first`` with weights ``w_k`` are those of a net of conductances: date v
is a node, pair k a conductance w_k, ``w_k phi_k`` a current. A date is eliminated by giving its neighbours a and b the
conductance ``g_va g_vb / G_v`` and shares ``g_va / G_v`` of its current, ``G_v`` the sum over its neighbours: sums and
products of positive numbers, so nothing cancels whatever the weights, and G is exactly 0 at the last date of a
connected part and nowhere else. A missing pair is a conductance of 0. Which dates are neighbours in turn (the fill) is
found once for a network; numbers are then worked out for a tile of pixels at a time, each pixel by itself, in float64.

Parts of a pixel's dates that no pair connects are joined by the shifts that make the velocities between consecutive
dates smallest, ``sum ((x_{j+1} - x_j) / dt_j)^2``: the solution of minimum norm of Berardino et al. (2002). A date
without a pair at a pixel is NaN there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels import cuda
from xinsar.kernels._jit import jit
from xinsar.kernels.phasor import phasor

PIXELS = 32
"""Pixels in a tile."""
LEAST, MOST = 0.05, 0.98
"""Coherence is clipped to this range before it is turned into a weight."""
GOOD, BAD_PHASE, BAD_COHERENCE = 0, 1, 2
_LIMIT = 1 + 1e-4
_ONE, _NONE = np.float32(1), np.float32(0)

_COHERENCE = "coherence: expected values within 0..1, got others; scale them (products of bytes hold 0..255)"


class Network(NamedTuple):
    """Dates and pairs of a stack: ``years`` of the dates, ascending, and the index of both dates of each pair."""

    years: tuple[float, ...]
    pairs: tuple[tuple[int, int], ...]


class Plan(NamedTuple):
    """The elimination of a network: places are positions in the order of elimination.

    ``place`` of each date; of each pair ``first``, ``second`` (places) and ``edge``; ``starts`` and ``later``: for each
    place its neighbours that come later; ``table``: number of the edge between two places, the earlier one first.
    """

    place: Any
    first: Any
    second: Any
    edge: Any
    starts: Any
    later: Any
    table: Any


@lru_cache(maxsize=8)
def plan_of(network: Network) -> Plan:
    """Return the order in which dates are eliminated, fewest neighbours first, and the edges that arise."""
    number = len(network.years)
    pairs = np.array(network.pairs, np.int64).reshape(-1, 2)
    order, neighbours = _eliminated(number, pairs)
    place = np.empty(number, np.int64)
    place[order] = np.arange(number)
    later = [np.sort(place[dates]) for dates in neighbours]
    starts = np.concatenate([[0], np.cumsum([part.size for part in later])]).astype(np.int64)
    table = np.zeros((number, number), np.int64)
    for p, part in enumerate(later):
        table[p, part] = np.arange(starts[p], starts[p + 1])
    first, second = place[pairs[:, 0]], place[pairs[:, 1]]
    edge = table[np.minimum(first, second), np.maximum(first, second)]
    return Plan(place, first, second, edge, starts, np.concatenate([*later, np.zeros(0, np.int64)]), table)


def _eliminated(number: int, pairs: Any) -> tuple[Any, list[Any]]:
    """Return the dates in the order of elimination, and the neighbours that each one has then."""
    near = np.zeros((number, number), bool)
    near[pairs[:, 0], pairs[:, 1]] = near[pairs[:, 1], pairs[:, 0]] = True
    order, neighbours = [], []
    left = np.ones(number, bool)
    for _ in range(number):
        degree = np.where(left, near.sum(axis=1), number + 1)
        date = int(degree.argmin())
        dates = np.flatnonzero(near[date])
        near[np.ix_(dates, dates)] = True
        near[dates, dates] = False
        near[date] = near[:, date] = left[date] = False
        order.append(date)
        neighbours.append(dates)
    return np.array(order, np.int64), neighbours


@jit
def _load(phase: Any, coherence: Any, shift: Any, begin: int, data: Any, weight: Any) -> int:
    """Copy a tile of pixels less the shift of each pair, with weights: 0 where a pair is missing; tell what is bad."""
    number = min(PIXELS, phase.shape[1] - begin)
    bad = GOOD
    for k in range(phase.shape[0]):
        wild, false = 0, 0
        for x in range(number):
            value = np.float64(phase[k, begin + x]) - shift[k]
            w = 1.0
            if coherence is not None:
                c = np.float64(coherence[k, begin + x])
                false += 1 if (c < 0) | (c > _LIMIT) else 0
                inside = min(max(c, LEAST), MOST)
                w = inside * inside / (1 - inside * inside) if c > 0 else 0.0
            there = value == value
            wild += 1 if there & (abs(value) == np.inf) else 0
            data[k, x] = value if there else 0.0
            weight[k, x] = w if there else 0.0
        for x in range(number, PIXELS):
            data[k, x] = weight[k, x] = 0.0
        bad = BAD_PHASE if wild else (BAD_COHERENCE if false else bad)
    return bad


@jit
def _assemble(plan: Any, data: Any, weight: Any, net: Any, current: Any) -> None:
    """Write conductances and currents of a tile."""
    net[:] = 0.0
    current[:] = 0.0
    for k in range(data.shape[0]):
        edge, first, second = plan.edge[k], plan.first[k], plan.second[k]
        for x in range(PIXELS):
            w = weight[k, x]
            flow = w * data[k, x]
            net[edge, x] += w
            current[first, x] -= flow
            current[second, x] += flow


@jit
def _eliminate(plan: Any, net: Any, current: Any, share: Any, inverse: Any, roots: Any) -> None:
    """Eliminate date after date; ``net`` then holds shares; count the last dates of parts."""
    roots[:] = 0
    for p in range(plan.starts.size - 1):
        begin, end = plan.starts[p], plan.starts[p + 1]
        inverse[:] = 0.0
        for e in range(begin, end):
            for x in range(PIXELS):
                inverse[x] += net[e, x]
        for x in range(PIXELS):
            total = inverse[x]
            roots[x] += 0 if total > 0 else 1
            inverse[x] = 1 / total if total > 0 else 0.0
        for e in range(begin, end):
            a = plan.later[e]
            for x in range(PIXELS):
                share[x] = net[e, x] * inverse[x]
                current[a, x] += share[x] * current[p, x]
            for f in range(e + 1, end):
                target = plan.table[a, plan.later[f]]
                for x in range(PIXELS):
                    net[target, x] += share[x] * net[f, x]
            for x in range(PIXELS):
                net[e, x] = share[x]
        for x in range(PIXELS):
            current[p, x] *= inverse[x]


@jit
def _substitute(plan: Any, net: Any, current: Any) -> None:
    """Turn currents into the phases of dates, 0 at the last date of each part."""
    for p in range(plan.starts.size - 2, -1, -1):
        for e in range(plan.starts[p], plan.starts[p + 1]):
            a = plan.later[e]
            for x in range(PIXELS):
                current[p, x] += net[e, x] * current[a, x]


@jit
def _label_parts(plan: Any, net: Any, x: int, part: Any) -> int:
    """Number the parts of a pixel's dates from 0 on, by place; -1 for a date without a pair. Return how many."""
    dates = part.size
    size = np.zeros(dates, np.int64)
    for p in range(dates - 1, -1, -1):
        part[p] = p
        for e in range(plan.starts[p], plan.starts[p + 1]):
            if net[e, x] > 0:
                part[p] = part[plan.later[e]]
                break
        size[part[p]] += 1
    number = 0
    for p in range(dates):
        if size[p] > 1:
            size[p] = dates + number
            number += 1
    for p in range(dates):
        part[p] = size[part[p]] - dates if size[part[p]] >= dates else -1
    return number


@jit
def _join_parts(plan: Any, years: Any, current: Any, x: int, part: Any, number: int) -> None:
    """Shift the parts of a pixel so that the velocities between its consecutive dates are smallest."""
    net, flow = np.zeros((number, number)), np.zeros(number)
    before = -1
    for t in range(years.size):
        p = plan.place[t]
        if part[p] < 0:
            continue
        if before >= 0:
            q = plan.place[before]
            a, b = part[q], part[p]
            w = 1 / (years[t] - years[before]) ** 2
            if a != b:
                net[a, b] += w
                net[b, a] += w
                flow[a] += w * (current[p, x] - current[q, x])
                flow[b] -= w * (current[p, x] - current[q, x])
        before = t
    _solve_dense(net, flow)
    for p in range(part.size):
        if part[p] >= 0:
            current[p, x] += flow[part[p]]


@jit
def _solve_dense(net: Any, flow: Any) -> None:
    """Turn the currents of a connected net into potentials, 0 at the last node."""
    number = flow.size
    for p in range(number - 1):
        total = 0.0
        for a in range(p + 1, number):
            total += net[p, a]
        for a in range(p + 1, number):
            net[p, a] /= total
            flow[a] += net[p, a] * flow[p]
            for b in range(p + 1, number):
                if b != a:
                    net[a, b] += net[p, a] * net[b, p]
        flow[p] /= total
    flow[number - 1] = 0.0
    for p in range(number - 2, -1, -1):
        for a in range(p + 1, number):
            flow[p] += net[p, a] * flow[a]


@jit
def _settle(plan: Any, years: Any, net: Any, current: Any, x: int, part: Any) -> int:
    """Join the parts of a pixel and write NaN where it has no date; return the number of parts."""
    number = _label_parts(plan, net, x, part)
    if number > 1:
        _join_parts(plan, years, current, x, part, number)
    for p in range(part.size):
        if part[p] < 0:
            current[p, x] = np.nan
    return number


@jit
def _origin(plan: Any, current: Any, x: int) -> Any:
    """Return the phase of a pixel's first date, NaN where it has none."""
    for t in range(current.shape[0]):
        value = current[plan.place[t], x]
        if value == value:
            return value
    return np.nan


@jit
def _judge(plan: Any, data: Any, weight: Any, current: Any, sums: Any, wave: Any) -> None:
    """Sum up number, squared residuals (``sums``), cosines and sines of residuals (``wave``) over pairs."""
    sums[:] = 0.0
    wave[:] = _NONE
    for k in range(data.shape[0]):
        first, second = plan.first[k], plan.second[k]
        for x in range(PIXELS):
            there = weight[k, x] > 0
            rest = data[k, x] - (current[second, x] - current[first, x])
            rest = rest if there else 0.0
            sums[0, x] += 1.0 if there else 0.0
            sums[1, x] += rest * rest
            cosine, sine = phasor(np.float32(rest), _ONE if there else _NONE)
            wave[0, x] += cosine
            wave[1, x] += sine


@jit
def _write(sums: Any, wave: Any, begin: int, quality: Any) -> None:
    """Write temporal coherence and rms of the residuals of a tile."""
    for x in range(min(PIXELS, quality.shape[1] - begin)):
        pairs = sums[0, x]
        length = np.sqrt(np.float64(wave[0, x]) ** 2 + np.float64(wave[1, x]) ** 2)
        quality[0, begin + x] = min(length / pairs, 1.0) if pairs > 0 else np.nan
        quality[1, begin + x] = np.sqrt(sums[1, x] / pairs) if pairs > 0 else np.nan


@jit
def _invert(
    phase: Any,
    coherence: Any,
    shift: Any,
    plan: Any,
    years: Any,
    scale: float,
    out: Any,
    quality: Any,
    parts: Any,
) -> int:
    """Invert every pixel of ``phase`` (pair, pixel); return what was wrong with the values."""
    dates, pairs = years.size, phase.shape[0]
    data, weight = np.empty((pairs, PIXELS)), np.empty((pairs, PIXELS))
    net, current = np.empty((max(plan.later.size, 1), PIXELS)), np.empty((dates, PIXELS))
    share, inverse, origin = np.empty(PIXELS), np.empty(PIXELS), np.empty(PIXELS)
    roots, part = np.empty(PIXELS, np.int64), np.empty(dates, np.int64)
    sums, wave = np.empty((2, PIXELS)), np.empty((2, PIXELS), np.float32)
    for begin in range(0, phase.shape[1], PIXELS):
        bad = _load(phase, coherence, shift, begin, data, weight)
        if bad != GOOD:
            return bad
        number = min(PIXELS, phase.shape[1] - begin)
        _assemble(plan, data, weight, net, current)
        _eliminate(plan, net, current, share, inverse, roots)
        _substitute(plan, net, current)
        for x in range(number):
            parts[begin + x] = 1 if roots[x] == 1 else _settle(plan, years, net, current, x, part)
            origin[x] = _origin(plan, current, x)
        _judge(plan, data, weight, current, sums, wave)
        _write(sums, wave, begin, quality)
        for t in range(dates):
            p = plan.place[t]
            for x in range(number):
                out[t, begin + x] = (current[p, x] - origin[x]) * scale + 0.0
    return GOOD


def check(bad: int) -> None:
    """Raise ValueError for what was wrong with the values."""
    if bad == BAD_PHASE:
        raise ValueError(
            "unwrapped_phase: expected finite values or NaN for missing, got an infinite one; replace it, e.g. with "
            ".where(abs(ds.unwrapped_phase) < 1e6)"
        )
    if bad == BAD_COHERENCE:
        raise ValueError(_COHERENCE)


def check_coherence(coherence: Any) -> None:
    """Raise ValueError where coherence lies outside 0..1."""
    if ((coherence < 0) | (coherence > _LIMIT)).any():
        raise ValueError(_COHERENCE)


def _plain(array: Any) -> Any:
    """Return an array (pair, ...) as contiguous floats (pair, pixel)."""
    if array is None:
        return None
    dtype = array.dtype.newbyteorder("=")
    floats = dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")
    return np.ascontiguousarray(array, floats).reshape(array.shape[0], -1)


def _numpy(phase: Any, coherence: Any, shift: Any, *, network: Network, scale: float) -> Any:
    """Return series (date, ...), temporal coherence, residual rms (float), and number of parts (int16).

    ``phase`` (pair, ...) less ``shift`` (pair; NaN leaves the pair out) is inverted and the result multiplied by
    ``scale``; ``coherence`` None gives every pair the weight 1.
    """
    flat, dates, shape = _plain(phase), len(network.years), phase.shape[1:]
    dtype = flat.dtype
    out = np.empty((dates, flat.shape[1]), dtype)
    quality, parts = np.empty((2, flat.shape[1]), dtype), np.empty(flat.shape[1], np.int16)
    years, shift = np.array(network.years), np.asarray(shift, np.float64)
    bad = _invert(flat, _plain(coherence), shift, plan_of(network), years, float(scale), out, quality, parts)
    check(bad)
    return out.reshape(dates, *shape), *quality.reshape(2, *shape), parts.reshape(shape)


invert_network = Kernel("invert_network", numpy=_numpy, cupy=cuda.invert_network)
