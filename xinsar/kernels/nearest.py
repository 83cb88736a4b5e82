"""Gi* of points: sums over the nearest neighbours.

A tree in straight lines finds candidates; distances as the user knows them decide. Sums add whole numbers (fixed
point), and of points equally far away places and values decide, so the order of the input cannot change a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.kernels._jit import jit
from xinsar.kernels.exact import z_score
from xinsar.kernels.fields import differences_of, flat_fields, in_fixed_point
from xinsar.kernels.strips import points_of, present_points, settle, sort_points, squared_distance

ROWS = 1 << 21
"""Candidates looked at together in a search for the nearest."""
SLOP = 1e-9
"""Relative error of a distance from the tree in a plane."""
SPARE = 4
"""Candidates more than are asked for, at least."""
SLOP_GLOBE = 5e-3
"""The same on a globe, beside the square of the angle, for the tree knows one ellipsoid only."""


def _tree_places(north: Any, east: Any, scale: Any) -> Any:
    """Return places (n, 2) in the plane or (n, 3) on the ellipsoid, whose straight distance is no longer than ours.

    A parallel is a circle with radius ``scale``. The height over the equator follows from the length of the meridian
    by the series for the rectifying latitude (WGS84; third flattening n, Snyder 1987, equations 3-24 and 3-26).
    """
    if scale is None:
        return np.stack([north, east], -1)
    a, n, squared = 6378137.0, 0.0016792203863837, 0.0066943799901413
    rectifying = north / (a * (1 - n) * (1 - n**2) * (1 + 9 / 4 * n**2))
    latitude = rectifying + 3 / 2 * n * np.sin(2 * rectifying) + 21 / 16 * n**2 * np.sin(4 * rectifying)
    sine = np.sin(latitude)
    up = (1 - squared) * a * sine / np.sqrt(1 - squared * sine**2)
    return np.stack([scale * np.cos(east), scale * np.sin(east), up], -1)


@jit
def _precedes(north: Any, east: Any, q: Any, i: int, j: int) -> Any:
    """Tell whether point ``i`` comes before ``j`` where both are equally far: southern, western, lower ones first."""
    if north[i] != north[j]:
        return north[i] < north[j]
    return east[i] < east[j] if east[i] != east[j] else q[i] < q[j]


@jit
def _nearest_of(
    north: Any, east: Any, half: Any, q: Any, point: int, found: Any, row: int, squares: Any, order: Any
) -> None:
    """Write the candidates of a point but itself into ``order``, nearest first, and their squared distances."""
    number = 0
    for c in range(found.shape[1]):
        j = found[row, c]
        if j == point:
            continue
        square = squared_distance(north, east, half, point, j)
        at = number
        while at > 0 and (
            square < squares[at - 1]
            or (square == squares[at - 1] and _precedes(north, east, q, j, order[at - 1]))
        ):
            squares[at], order[at] = squares[at - 1], order[at - 1]
            at -= 1
        squares[at], order[at] = square, j
        number += 1


@jit
def _sum_nearest(
    north: Any, east: Any, half: Any, q: Any, rows: Any, found: Any, k: int, total: Any, reach: Any
) -> None:
    """Write the sum over every row's point and the ``k`` nearest of its candidates, and the distance of the last."""
    squares, order = np.empty(found.shape[1]), np.empty(found.shape[1], np.int64)
    for r in range(rows.size):
        _nearest_of(north, east, half, q, rows[r], found, r, squares, order)
        whole = q[rows[r]]
        for c in range(k):
            whole += q[order[c]]
        total[r] = whole
        reach[r] = np.sqrt(squares[k - 1])


def _sure(reach: Any, tree_reach: Any, scale: Any) -> Any:
    """Tell where no point beyond ``tree_reach`` of the tree can be nearer than ``reach``."""
    slop = SLOP if scale is None else SLOP_GLOBE + (reach / np.maximum(scale, 1.0)) ** 2
    return reach * (1 + slop) < tree_reach


def _search(points: Any, q: Any, members: Any, waiting: Any, k: int, total: Any) -> None:
    """Write for the points ``waiting`` the sum of ``q`` over themselves and their ``k`` nearest among ``members``.

    The tree gives more candidates than asked for; where the last of them is not clearly further away than the k-th
    neighbour (ties, places that the tree sees a little differently), the search is repeated with twice as many.
    """
    from scipy.spatial import cKDTree

    scale = None if points.half is None else points.half[: q.size] * 2
    places = _tree_places(points.north[: q.size], points.east[: q.size], scale)
    tree = cKDTree(places[members])
    number = k + 1 + max(SPARE, k // 16)
    while waiting.size:
        number = min(number, members.size)
        left = []
        for rows in np.array_split(waiting, -(-waiting.size * number // ROWS)):
            tree_reach, found = tree.query(places[rows], number)
            sums, reach = np.empty(rows.size, np.int64), np.empty(rows.size)
            _sum_nearest(points.north, points.east, points.half, q, rows, members[found], k, sums, reach)
            total[rows] = sums
            left.append(rows[~_sure(reach, tree_reach[:, -1], None if scale is None else scale[rows])])
        waiting = np.concatenate(left) if number < members.size else waiting[:0]
        number *= 2


def _crowds(points: Any, number: int) -> tuple[Any, Any]:
    """Return for every point where those at its place begin, and how many they are."""
    first = np.ones(number, np.bool_)
    first[1:] = (points.north[1:number] != points.north[: number - 1]) | (
        points.east[1:number] != points.east[: number - 1]
    )
    begins = np.flatnonzero(first)
    sizes = np.diff(begins, append=number)
    return np.repeat(begins, sizes), np.repeat(sizes, sizes)


def _sums_of_nearest(points: Any, q: Any, k: int) -> Any:
    """Return for every point the sum of ``q`` over itself and its ``k`` nearest.

    Points at one place stand next to each other, the lowest first. Only the first k + 1 of them can be among the
    nearest of a point elsewhere, and where they are more than k they are their own nearest.
    """
    begin, size = _crowds(points, q.size)
    rank = np.arange(q.size) - begin
    total = np.empty(q.size, np.int64)
    before = np.concatenate([[0], np.cumsum(q)])
    crowded = np.flatnonzero(size > k)
    start, among = begin[crowded], rank[crowded] <= k
    total[crowded] = before[start + k + among] - before[start] + np.where(among, 0, q[crowded])
    _search(points, q, np.flatnonzero(rank <= k), np.flatnonzero(size <= k), k, total)
    return total


@jit
def _score_all(index: Any, total: Any, w: float, field: Any, out: Any) -> None:
    for i in range(index.size):
        out[index[i]] = z_score(total[i] * field.unit, w, w, field.number, field.std)


def _nearest_field(
    north: Any, east: Any, scale: Any, values: Any, present: Any, moments: Any, k: int, out: Any
) -> None:
    """Write Gi* of one field; points are sorted, for the tree answers neighbours faster one after the other."""
    height = np.ptp(north[present]) / np.sqrt(north.size) or 1.0
    index, starts = sort_points(north, east, present, height)
    settle(index, north, east, starts)
    points = points_of(north, east, scale, index, starts)
    factor, field = in_fixed_point(moments)
    q = np.rint(differences_of(values, points, moments[1]) * factor).astype(np.int64)
    _score_all(index, _sums_of_nearest(points, q, k), k + 1.0, field, out)


def gi_star_nearest(north: Any, east: Any, scale: Any, values: Any, moments: Any, *, k: int) -> Any:
    """Return Gi* of every point with weight 1 for itself and its ``k`` nearest valid points.

    Of points equally far away those further south come first, then those further west, then those of lower value, so
    the order of the input does not count. Other parameters, and the distance, as in
    :func:`xinsar.kernels.neighbours.gi_star_points`.

    Raises
    ------
    ValueError
        A field has valid points, but fewer than ``k`` others beside each.
    """
    fields, all_moments = flat_fields(values, moments)
    out = np.full(fields.shape, np.nan, values.dtype)
    for field, numbers, z in zip(fields, all_moments, out, strict=True):
        present = present_points(north, east, scale, field[None])
        valid = np.count_nonzero(present)
        if 0 < valid <= k:
            raise ValueError(
                f"k: expected fewer neighbours than there are valid points, got k={k} and {valid} valid points; "
                "choose a smaller k or more points"
            )
        if valid:
            _nearest_field(north, east, scale, field, present, numbers, k, z)
    return out.reshape(values.shape)
