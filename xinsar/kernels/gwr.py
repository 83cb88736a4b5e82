"""Geographically weighted regression: a local plane of the regressors at every point, many right sides at once.

At a point i, with k nearest of n control points (itself included where it is one), of distances d and regressors z,

    ``min_b sum_j w_j (y_j - b_0 - sum_m b_m (z_jm - z_im))^2``,  ``w = (1 - (d / h)^2)^2`` for d < h, else 0,

h the distance of the k-th nearest times 1.0000001: the adaptive bisquare kernel as ``mgwr`` defines it. Regressors
count from those of the point, so b_0 is the prediction there: a row ``l_j = w_j e_0' A^-1 (1, z_j - z_i)`` of the hat
matrix, worked out once and then multiplied with every right side. Shifts and units of regressors cancel. A is factored
as L D L' in the order 1, z_1, z_2, ...; a regressor that is a sum of the ones before it (a pivot below 1e-9 of its own
diagonal), because its values among the neighbours are all alike or lie on a line, is left out: its coefficient is 0.

Neighbours are found in two steps. All k nearest of a point lie within ``d_k(c) + 2 r`` of the centre c of a group of
points of radius r, so control points are sieved for groups of some thousand points, and of what is left for groups of
``LANES`` points, which are then worked out side by side. Sums run over control points in their own order, so what a
point gets depends on neither its group nor the chunk it lies in.

Source: Fotheringham, Brunsdon and Charlton 2002, Geographically Weighted Regression, Wiley.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit

LANES = 64
"""Points worked out side by side; they should lie together."""
GROUP = 4096
"""Points that share the first sieve where nothing else is said."""
DATES = 32
"""Right sides that are multiplied at a time."""
EDGE = 1.0000001
"""Bandwidth over the distance of the farthest neighbour."""
SINGULAR = 1e-9
"""Share of its own diagonal below which a pivot counts as 0."""
_SLACK = 1 + 1e-6
"""Widens a sieve by more than rounding and ``EDGE`` can move a point."""


class Points(NamedTuple):
    """Where points lie, (number, dims) in metres, and their regressors (number, regressors)."""

    place: Any
    terms: Any


@jit
def _kth(values: Any, number: int, k: int) -> Any:
    """Return the k-th smallest, from 1 on, of the first ``number`` values, which are put in another order."""
    low, high, wanted = 0, number - 1, k - 1
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return values[wanted]


@jit
def _middle(points: Any, begin: int, end: int, centre: Any) -> float:
    """Write the middle of points ``begin`` to ``end``; return how far the farthest lies from it."""
    for axis in range(points.shape[1]):
        low = high = points[begin, axis]
        for p in range(begin + 1, end):
            low, high = min(low, points[p, axis]), max(high, points[p, axis])
        centre[axis] = 0.5 * (low + high)
    farthest = 0.0
    for p in range(begin, end):
        square = 0.0
        for axis in range(points.shape[1]):
            square += (points[p, axis] - centre[axis]) ** 2
        farthest = max(farthest, square)
    return np.sqrt(farthest)  # type: ignore[no-any-return]


@jit
def _sieve(
    place: Any, among: Any, number: int, k: int, centre: Any, radius: float, work: Any, found: Any
) -> int:
    """Write which of ``among`` may be neighbours of points within ``radius`` of ``centre``; return how many.

    ``work[1, k - 1]`` is then the squared distance of the k-th nearest from the centre.
    """
    for i in range(number):
        square = 0.0
        for axis in range(place.shape[1]):
            square += (place[among[i], axis] - centre[axis]) ** 2
        work[0, i] = work[1, i] = square
    reach = (np.sqrt(_kth(work[1], number, k)) + 2 * radius) * _SLACK
    limit, count = reach * reach, 0
    for i in range(number):
        if work[0, i] <= limit:
            found[count] = among[i]
            count += 1
    return count


@jit
def _distances(place: Any, near: Any, number: int, own: Any, square: Any) -> None:
    """Write squared distances (candidate, lane)."""
    for j in range(number):
        for x in range(LANES):
            square[j, x] = 0.0
        for axis in range(place.shape[1]):
            other = place[near[j], axis]
            for x in range(LANES):
                apart = other - own[axis, x]
                square[j, x] += apart * apart


@jit
def _weigh(square: Any, number: int, k: int, sure: float, column: Any) -> None:
    """Turn squared distances into weights; fewer than k of a lane's lie below ``sure``."""
    inverse = np.empty(LANES)
    for x in range(LANES):
        inside = unsure = 0
        for j in range(number):
            column[unsure] = square[j, x]
            inside += 1 if square[j, x] < sure else 0
            unsure += 1 if square[j, x] >= sure else 0
        inverse[x] = 1.0 / max(_kth(column, unsure, k - inside) * (EDGE * EDGE), 1e-300)
    for j in range(number):
        for x in range(LANES):
            left = 1.0 - square[j, x] * inverse[x]
            square[j, x] = left * left if left > 0 else 0.0


@jit
def _sum_up(terms: Any, near: Any, number: int, own: Any, weight: Any, normal: Any) -> None:
    """Sum the lower half of the normal matrix (row, column, lane) over candidates."""
    unknowns = normal.shape[0]
    apart = np.ones((unknowns, LANES))
    part = np.empty(LANES)
    normal[:] = 0.0
    for j in range(number):
        for m in range(1, unknowns):
            other = terms[near[j], m - 1]
            for x in range(LANES):
                apart[m, x] = other - own[m - 1, x]
        for m in range(unknowns):
            for x in range(LANES):
                part[x] = weight[j, x] * apart[m, x]
            for n in range(m + 1):
                for x in range(LANES):
                    normal[m, n, x] += part[x] * apart[n, x]


@jit
def _factor(normal: Any, x: int) -> None:
    """Factor the matrix of one lane in place: D on the diagonal, 0 for what is left out, and L below it."""
    for i in range(normal.shape[0]):
        whole = normal[i, i, x]
        for j in range(i):
            value = normal[i, j, x]
            for m in range(j):
                value -= normal[i, m, x] * normal[j, m, x] * normal[m, m, x]
            known = normal[j, j, x] > 0
            normal[i, j, x] = value / normal[j, j, x] if known else 0.0
            normal[i, i, x] -= normal[i, j, x] * value if known else 0.0
        normal[i, i, x] = normal[i, i, x] if normal[i, i, x] > SINGULAR * whole else 0.0


@jit
def _solve(normal: Any, x: int, unknowns: int, wanted: int, row: Any) -> None:
    """Write ``A^-1 e_wanted`` of one lane, with the first ``unknowns`` alone."""
    for i in range(normal.shape[0]):
        row[i, x] = 1.0 if i == wanted and i < unknowns else 0.0
    for i in range(unknowns):
        for j in range(i):
            row[i, x] -= normal[i, j, x] * row[j, x]
    for i in range(unknowns):
        row[i, x] = row[i, x] / normal[i, i, x] if normal[i, i, x] > 0 else 0.0
    for i in range(unknowns - 1, -1, -1):
        for j in range(i + 1, unknowns):
            row[i, x] -= normal[j, i, x] * row[j, x]


@jit
def _times(terms: Any, j: int, own: Any, row: Any, part: Any) -> None:
    """Write the product of a row with the regressors of control point j, for every lane."""
    for x in range(LANES):
        part[x] = row[0, x]
    for m in range(1, row.shape[0]):
        other = terms[j, m - 1]
        for x in range(LANES):
            part[x] += row[m, x] * (other - own[m - 1, x])


@jit
def _sum_squares(terms: Any, near: Any, number: int, own: Any, row: Any, weight: Any, squares: Any) -> None:
    """Sum up the squares of the rows of the hat matrix."""
    part = np.empty(LANES)
    squares[:] = 0.0
    for j in range(number):
        _times(terms, near[j], own, row, part)
        for x in range(LANES):
            squares[x] += (weight[j, x] * part[x]) ** 2


@jit
def _to_rows(terms: Any, near: Any, number: int, own: Any, row: Any, weight: Any) -> None:
    """Turn weights into rows of the hat matrix."""
    part = np.empty(LANES)
    for j in range(number):
        _times(terms, near[j], own, row, part)
        for x in range(LANES):
            weight[j, x] *= part[x]


@jit
def _settle(
    terms: Any,
    near: Any,
    count: int,
    own: Any,
    weight: Any,
    normal: Any,
    wanted: int,
    shorter: Any,
    row: Any,
    squares: Any,
) -> None:
    """Solve all lanes; those whose prediction varies more than a control point, again with fewer unknowns."""
    for x in range(LANES):
        _factor(normal, x)
        _solve(normal, x, normal.shape[0], wanted, row)
    _sum_squares(terms, near, count, own, row, weight, squares)
    for unknowns in shorter:
        wild = 0
        for x in range(LANES):
            if squares[x] > 1:
                _solve(normal, x, unknowns, wanted, row)
                wild += 1
        if wild:
            _sum_squares(terms, near, count, own, row, weight, squares)


@jit
def _multiply(values: Any, near: Any, number: int, weight: Any, first: int, last: int, out: Any) -> None:
    """Multiply the rows with right sides ``first`` to ``last``; ``number`` is a multiple of 4."""
    for t in range(last - first):
        for x in range(LANES):
            out[t, x] = 0.0
    for j in range(0, number, 4):
        for t in range(first, last):
            a, b = values[near[j], t], values[near[j + 1], t]
            c, d = values[near[j + 2], t], values[near[j + 3], t]
            for x in range(LANES):
                total = out[t - first, x] + weight[j, x] * a
                total += weight[j + 1, x] * b
                total += weight[j + 2, x] * c
                out[t - first, x] = total + weight[j + 3, x] * d


@jit
def _lanes(points: Any, begin: int, end: int, out: Any) -> None:
    """Copy points ``begin`` to ``end`` to lanes; the last one fills those that are left."""
    for x in range(LANES):
        for axis in range(points.shape[1]):
            out[axis, x] = points[min(begin + x, end - 1), axis]


@jit
def _predict(
    control: Any,
    values: Any,
    at: Any,
    ends: Any,
    k: int,
    wanted: int,
    shorter: Any,
    out: Any,
    lever: Any,
    spread: Any,
) -> None:
    """Write what every point gets of all right sides (right side, point), its own lever and the sum of squares."""
    number, unknowns = control.place.shape[0], control.terms.shape[1] + 1
    everything, work = np.arange(number), np.empty((2, number))
    block, near, centre = (
        np.empty(number, np.int64),
        np.empty(number + 3, np.int64),
        np.empty(at.place.shape[1]),
    )
    place, terms = np.empty((at.place.shape[1], LANES)), np.empty((unknowns - 1, LANES))
    normal, row = np.empty((unknowns, unknowns, LANES)), np.empty((unknowns, LANES))
    weight, squares, result = np.empty((4, LANES)), np.empty(LANES), np.empty((DATES, LANES))
    begin = 0
    for end in ends:
        radius = _middle(at.place, begin, end, centre)
        size = _sieve(control.place, everything, number, k, centre, radius, work, block)
        for first in range(begin, end, LANES):
            last = min(first + LANES, end)
            radius = _middle(at.place, first, last, centre)
            count = _sieve(control.place, block, size, k, centre, radius, work, near)
            full = (count + 3) // 4 * 4
            if full > weight.shape[0]:
                weight = np.empty((2 * full, LANES))
            _lanes(at.place, first, last, place)
            _lanes(at.terms, first, last, terms)
            _distances(control.place, near, count, place, weight)
            sure = max(np.sqrt(work[1, k - 1]) / _SLACK - radius, 0.0)
            _weigh(weight, count, k, sure * sure / _SLACK, work[0])
            _sum_up(control.terms, near, count, terms, weight, normal)
            _settle(control.terms, near, count, terms, weight, normal, wanted, shorter, row, squares)
            _to_rows(control.terms, near, count, terms, row, weight)
            weight[count:full], near[count:full] = 0.0, near[0]
            lever[first:last], spread[first:last] = row[0, : last - first], squares[: last - first]
            for date in range(0, values.shape[1], DATES):
                until = min(date + DATES, values.shape[1])
                _multiply(values, near, full, weight, date, until, result)
                out[date:until, first:last] = result[: until - date, : last - first]
        begin = end


def _plain(points: Points) -> Points:
    """Return contiguous float64 arrays after checking them."""
    place, terms = (np.ascontiguousarray(a, np.float64) for a in points)
    if not (np.isfinite(place).all() and np.isfinite(terms).all()):
        raise ValueError("points: expected finite places and regressors, got others; leave those points out")
    return Points(place, terms)


class Prediction(NamedTuple):
    """What a regression gives at points: ``values`` (right side, point), ``lever`` and ``spread`` (point).

    ``lever`` is the weight of a control point in its own prediction, ``spread`` the sum of squares of all weights: the
    variance of a prediction over that of a control point.
    """

    values: Any
    lever: Any
    spread: Any


def _numpy(
    values: Any,
    control: Points,
    at: Points,
    *,
    neighbours: int,
    ends: Any = None,
    wanted: int = 0,
    shorter: Any = (),
) -> Prediction:
    """Return the prediction at points ``at`` from ``values`` (control point, right side).

    ``ends``: where groups of points end that lie together; it changes nothing but the speed. ``wanted``: 0 for the
    prediction, m for the coefficient of regressor m. ``shorter``: numbers of unknowns, the first ones, to be tried in
    turn where a prediction varies more than a control point does; 1, their weighted mean, never does.
    """
    control, at = _plain(control), _plain(at)
    number = at.place.shape[0]
    if not 1 <= neighbours <= control.place.shape[0]:
        raise ValueError(
            f"neighbours: expected 1 to {control.place.shape[0]}, the number of control points, got {neighbours}"
        )
    if ends is None:
        ends = np.append(np.arange(GROUP, number, GROUP), number) if number else np.zeros(0)
    values = np.ascontiguousarray(values, np.float64)
    found = Prediction(np.empty((values.shape[1], number)), np.empty(number), np.empty(number))
    ends, shorter = (np.asarray(a, np.int64) for a in (ends, shorter))
    _predict(control, values, at, ends, int(neighbours), int(wanted), shorter, *found)
    return found


gwr = Kernel("gwr", numpy=_numpy)


def coefficients(values: Any, control: Points, at: Points, *, neighbours: int) -> Any:
    """Return the local coefficients (unknown, right side, point): the constant, then one of each regressor."""
    parts = [
        gwr(values, control, at, neighbours=neighbours, wanted=m).values for m in range(at.terms.shape[1] + 1)
    ]
    parts[0] = parts[0] - sum(b * np.asarray(z) for b, z in zip(parts[1:], at.terms.T, strict=True))
    return np.array(parts)
