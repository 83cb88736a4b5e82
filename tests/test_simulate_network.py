"""Dates, pairs and baselines of a simulated track."""

from __future__ import annotations

import numpy as np
import pytest

from xinsar.simulate import network
from xinsar.simulate.fields import stream


@pytest.mark.parametrize("tier", network.TIERS)
def test_dates_fill_the_span_in_steps_of_twelve_days(tier):
    wanted = network.TIERS[tier]
    dates = network.acquisitions(stream(1, tier), wanted, start="2021-01-05")
    days = np.diff(dates) / np.timedelta64(1, "D")
    assert dates.dtype == "datetime64[ns]"
    assert dates.size == wanted.dates
    assert (days > 0).all()
    assert (days % 12 == 0).all()
    assert days.sum() / 365.25 == pytest.approx(wanted.years, abs=0.02)


@pytest.mark.parametrize(("dates", "neighbours"), [(40, 3), (15, 1), (2, 3), (1, 3)])
def test_each_date_meets_the_next_ones(dates, neighbours):
    pairs = network.small_baseline_pairs(dates, neighbours=neighbours)
    expected = {(i, j) for i in range(dates) for j in range(dates) if 0 < j - i <= neighbours}
    assert {tuple(p) for p in pairs.tolist()} == expected
    assert len(pairs) == len(expected)
    assert (np.diff(pairs[:, 0]) >= 0).all()


def test_baselines_have_sixty_metres():
    assert network.baselines(stream(0, "b"), 4000).std() == pytest.approx(60.0, rel=0.04)
