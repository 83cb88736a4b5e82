"""How many neighbours a geographically weighted regression should have: the corrected Akaike criterion, minimised.

    ``AICc = n log(sum e^2) + n (1 + log(2 pi / n)) + 2 n (t + 1) / (n - t - 2)``

with the residuals e of n control points and the trace t of the hat matrix, as ``mgwr`` counts it. Golden sections of
the whole numbers from 40 + 2 unknowns to n are searched, with its steps and its end, so the two agree.

Source: Hurvich, Simonoff and Tsai 1998, J. R. Stat. Soc. B 60:271-293; Fotheringham et al. 2002, as for
:mod:`xinsar.kernels.gwr`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xinsar.kernels.gwr import Points, gwr

GOLDEN = 0.38197
"""Share of a section at which it is cut, rounded as ``mgwr`` does."""
_END, _MOST = 1e-6, 200
"""Difference of scores that ends a search, and most steps of one."""


def aicc(values: Any, control: Points, *, neighbours: int) -> Any:
    """Return the criterion for each right side of ``values`` (control point, right side)."""
    number = values.shape[0]
    found = gwr(values, control, control, neighbours=neighbours)
    squares = ((values.T - found.values) ** 2).sum(axis=1)
    trace = found.lever.sum()
    free = number - trace - 2
    if free <= 0:
        return np.full(values.shape[1], np.inf)
    with np.errstate(divide="ignore"):
        return (
            number * np.log(squares)
            + number * (1 + np.log(2 * np.pi / number))
            + 2 * number * (trace + 1) / free
        )


def least_of(score: Callable[[int], float], low: int, high: int) -> int:
    """Return the whole number in ``low`` to ``high`` where ``score`` is least, by golden sections."""
    known: dict[int, float] = {}

    def of(place: float) -> float:
        if (number := int(place)) not in known:
            known[number] = score(number)
        return known[number]

    left, right = float(low), float(high)
    first, second = left + GOLDEN * (right - left), right - GOLDEN * (right - left)
    best = first
    for _ in range(_MOST):
        first, second = np.round(first), np.round(second)
        if of(first) <= of(second):
            best, right = first, second
            ends = of(first), of(second)
            first, second = left + GOLDEN * abs(right - left), first
        else:
            best, left = second, first
            ends = of(first), of(second)
            first, second = second, right - GOLDEN * abs(right - left)
        if not abs(ends[0] - ends[1]) > _END:
            break
    return int(best)


def best_bandwidth(values: Any, control: Points) -> int:
    """Return the number of neighbours with the least sum of the criterion over all right sides.

    Right sides that are the same at all points tell nothing and are left out. With no more control points than the
    search begins with, all of them.
    """
    number, least = values.shape[0], 40 + 2 * (control.terms.shape[1] + 1)
    told = np.ascontiguousarray(values[:, np.ptp(values, axis=0) > 0], np.float64)
    if number <= least or not told.shape[1]:
        return int(min(number, least))
    return least_of(lambda k: float(aicc(told, control, neighbours=k).sum()), least, int(number))
