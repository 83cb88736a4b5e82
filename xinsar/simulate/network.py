"""When a track is observed and which dates are paired."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS

Array = NDArray[Any]

REPEAT = 12
"""Days between two passes."""

BASELINE_SIGMA = 60.0
"""Standard deviation of a date's perpendicular baseline, m."""


class Tier(NamedTuple):
    """How long a scene is watched, and how often."""

    dates: int
    years: float


TIERS = {"easy": Tier(120, 4.0), "medium": Tier(40, 1.5), "hard": Tier(15, 0.6)}
"""Difficulty by number of dates and years."""


def acquisitions(rng: np.random.Generator, tier: Tier, *, start: str | np.datetime64) -> Array:
    """Return the dates of a track, ``datetime64[ns]``, rising.

    Passes are 12 days apart and fill ``tier.years``; as many as are too many are left out at random, never
    the first or the last, so every interval is a multiple of 12 days.

    Examples
    --------
    >>> acquisitions(np.random.default_rng(1), Tier(3, 0.1), start="2021-01-01").astype("datetime64[D]")
    array(['2021-01-01', '2021-01-13', '2021-02-06'], dtype='datetime64[D]')
    """
    slots = max(round(tier.years * YEAR_IN_DAYS / REPEAT) + 1, tier.dates)
    inner = rng.choice(np.arange(1, slots - 1), tier.dates - 2, replace=False)
    days = REPEAT * np.sort(np.concatenate([[0, slots - 1], inner]))
    return np.asarray(np.array(start, "datetime64[ns]") + days.astype("timedelta64[D]"))


def small_baseline_pairs(dates: int, *, neighbours: int = 3) -> Array:
    """Return the pairs (reference, secondary) that join each date to the next ``neighbours``, sorted.

    Examples
    --------
    >>> small_baseline_pairs(3, neighbours=2).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    pairs = [(i, j) for i in range(dates) for j in range(i + 1, min(i + neighbours + 1, dates))]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def baselines(rng: np.random.Generator, dates: int) -> Array:
    """Return the perpendicular baseline of each date, m; that of a pair is the difference."""
    return np.asarray(BASELINE_SIGMA * rng.standard_normal(dates))
