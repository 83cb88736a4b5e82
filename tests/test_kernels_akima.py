"""Akima's curve against SciPy's, pixel by pixel, with gaps; what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator

from xinsar.kernels.akima import PIXELS, akima


def dates(number, seed=0):
    return np.cumsum(np.random.default_rng(seed).choice([6.0, 12, 24, 60], number))


def between(at, seed=1):
    """Return dates on, between and beyond those of ``at``, ascending."""
    return np.sort(np.r_[at, np.random.default_rng(seed).uniform(at[0] - 20, at[-1] + 20, 40)])


def by_scipy(series, at, to):
    """Interpolate the valid dates of each pixel; fewer than two are none."""
    out = np.full((to.size, series.shape[1]), np.nan)
    for i, one in enumerate(series.T.astype(float)):
        known = np.isfinite(one)
        if known.sum() > 1:
            out[:, i] = Akima1DInterpolator(at[known], one[known], method="akima")(to)
    return out


def agrees(series, at, to):
    found, wanted = akima(series, at=at, to=to), by_scipy(series, at, to)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    size = np.nanmax(np.abs(series), axis=0, initial=1e-300)
    assert np.nanmax(np.abs(found - wanted) / size, initial=0) < 1e-12
    return found


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 7, 30, 61])
def test_equals_scipy(number):
    at = dates(number)
    values = np.random.default_rng(number).normal(size=(number, PIXELS + 7))
    agrees(values, at, between(at))


@pytest.mark.parametrize("gaps", [0.1, 0.5, 0.9])
def test_equals_scipy_with_gaps(gaps):
    at, rng = dates(25), np.random.default_rng(2)
    values = rng.normal(size=(25, 300))
    values[rng.random(values.shape) < gaps] = np.nan
    found = agrees(values, at, between(at))
    assert np.isnan(found).any()
    assert np.isfinite(found).any()


@pytest.mark.parametrize(
    "values",
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 5, 7, 9, 11],
        [0, 0, 0, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 1, 0, 1, 0, 1],
        [0, 0, 0, 0, 1e-12, 2e-12, 1, 1],
    ],
)
def test_equals_scipy_where_chords_are_alike(values):
    """Where chords on both sides are alike, the formula is 0 / 0."""
    at = 12.0 * np.arange(8)
    agrees(np.array(values, float)[:, None], at, between(at))


def test_two_corners_share_the_turn():
    """A corner between two straight parts: the slope there is the mean of theirs."""
    values = np.array([0, 0, 0, 0, 1, 2, 3.0])[:, None]
    step = 1e-6
    found = akima(values, at=np.arange(7.0), to=np.array([3 - step, 3, 3 + step]))[:, 0]
    np.testing.assert_allclose(np.diff(found) / step, 0.5, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=12),
    st.lists(st.sampled_from([6.0, 12.0, 24.0]), min_size=12, max_size=12),
)
def test_whole_numbers_equal_scipy(values, steps):
    at = np.cumsum(steps)[: len(values)]
    agrees(np.array(values, float)[:, None], at, between(at))


def test_dates_of_the_series_keep_their_values():
    at = dates(20)
    values = np.random.default_rng(3).normal(size=(20, 50))
    np.testing.assert_array_equal(akima(values, at=at, to=at), values)


def test_nothing_is_extrapolated():
    at = np.array([0.0, 12, 24, 36])
    values = np.array([[np.nan, 1], [1, 2], [2, 3], [3, np.nan]])
    found = akima(values, at=at, to=np.array([-1.0, 0, 11, 12, 30, 36, 37]))
    assert np.isnan(found[:, 0]).tolist() == [True, True, True, False, False, False, True]
    assert np.isnan(found[:, 1]).tolist() == [True, False, False, False, True, True, True]


@pytest.mark.parametrize("valid", [[], [2]])
def test_fewer_than_two_dates_are_missing(valid):
    values = np.full((4, 1), np.nan)
    values[valid] = 5
    assert np.isnan(akima(values, at=np.arange(4.0), to=np.arange(4.0))).all()


def test_shape_and_dtype():
    at = dates(9)
    to = at[1] + np.array([0.0, 5, 11])
    values = np.random.default_rng(4).normal(size=(9, 4, 5))
    whole = akima(values, at=at, to=to)
    assert whole.shape == (3, 4, 5)
    np.testing.assert_array_equal(akima(values[:, 2:3, 1:4], at=at, to=to), whole[:, 2:3, 1:4])
    single = akima(values.astype(np.float32), at=at, to=to)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(akima(values.astype(">f8"), at=at, to=to), whole)
    assert akima(np.round(values).astype(np.int16), at=at, to=to).dtype == np.float64


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused(value):
    values = np.zeros((5, 40))
    values[3, 33] = value
    with pytest.raises(ValueError, match=r"^displacement: .*infinite.*where"):
        akima(values, at=np.arange(5.0), to=np.arange(5.0))
