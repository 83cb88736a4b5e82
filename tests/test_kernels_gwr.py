"""Geographically weighted regression and its bandwidth against mgwr, NumPy and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.kernels.bandwidth import aicc, best_bandwidth, least_of
from xinsar.kernels.gwr import DATES, EDGE, LANES, Points, coefficients, gwr

KM = 1000.0


def scattered(number, *, seed=0, side=50.0):
    """Return points (m) at random, with regressors x, y (50 km), sine and cosine of an aspect."""
    rng = np.random.default_rng(seed)
    place, aspect = rng.uniform(0, side, (number, 2)), rng.uniform(0, 2 * np.pi, number)
    return Points(place * KM, np.c_[place / 25 - 1, np.sin(aspect), np.cos(aspect)])


def truth(points):
    """Return values whose coefficients change from place to place."""
    x, y = points.place.T / KM
    _, _, sine, cosine = points.terms.T
    return np.sin(x / 8) + 0.02 * y + np.cos(y / 10) * sine + 0.3 * cosine


def observed(points, *, dates=1, noise=0.3, seed=0):
    """Return noisy values (point, date)."""
    rng = np.random.default_rng(seed)
    return truth(points)[:, None] * np.linspace(1, 2, dates) + noise * rng.normal(
        size=(len(points.place), dates)
    )


def by_numpy(values, control, place, terms, k):
    """Predict at one point by weighted least squares of every control point."""
    distance = np.sqrt(((control.place - place) ** 2).sum(axis=1))
    width = np.sort(distance)[k - 1] * EDGE
    weight = np.where(distance < width, (1 - (distance / width) ** 2) ** 2, 0)
    root, design = np.sqrt(weight)[:, None], np.c_[np.ones(len(values)), control.terms]
    found = np.linalg.lstsq(root * design, root * values, rcond=None)[0]
    return np.r_[1, terms] @ found, found


# ---- against mgwr -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mgwr():
    """mgwr on one thread: its thousands of tiny products only wait for each other on more."""
    found, threads = pytest.importorskip("mgwr.gwr"), pytest.importorskip("threadpoolctl")
    with threads.threadpool_limits(1):
        yield found


@pytest.mark.parametrize("k", [60, 300, 2000])
def test_equals_mgwr_on_two_thousand_points(mgwr, k):
    control, at = scattered(2000), scattered(300, seed=1)
    values = observed(control)
    model = mgwr.GWR(control.place, values, control.terms, k, fixed=False, kernel="bisquare", n_jobs=1)
    wanted, found = model.fit(), gwr(values, control, control, neighbours=k)
    np.testing.assert_allclose(found.values[0], wanted.predy.ravel(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.lever, wanted.influ.ravel(), rtol=1e-6)
    np.testing.assert_allclose(found.spread.sum(), wanted.tr_STS, rtol=1e-6)
    np.testing.assert_allclose(aicc(values, control, neighbours=k), wanted.aicc, rtol=1e-6)
    own = coefficients(values, control, control, neighbours=k)
    np.testing.assert_allclose(own[:, 0].T, wanted.params, rtol=1e-6, atol=1e-9)
    elsewhere = model.predict(at.place, at.terms).predictions.ravel()
    np.testing.assert_allclose(
        gwr(values, control, at, neighbours=k).values[0], elsewhere, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(
    ("number", "noise", "seed"), [(80, 0.3, 0), (200, 0.1, 1), (200, 3, 2), (300, 0.5, 3)]
)
def test_bandwidth_is_that_of_mgwr(mgwr, number, noise, seed):
    from mgwr.sel_bw import Sel_BW

    control = scattered(number, seed=seed)
    values = observed(control, noise=noise, seed=seed)
    wanted = Sel_BW(control.place, values, control.terms, n_jobs=1).search(criterion="AICc")
    assert best_bandwidth(values, control) == wanted


# ---- against NumPy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [8, 40, 150])
@pytest.mark.parametrize("dates", [1, 3, DATES + 5])
def test_equals_least_squares(k, dates):
    control, at = scattered(150, seed=4), scattered(LANES + 3, seed=5)
    values = observed(control, dates=dates)
    found = gwr(values, control, at, neighbours=k).values
    own = coefficients(values, control, at, neighbours=k)
    assert found.shape == (dates, LANES + 3)
    for i in range(0, LANES + 3, 7):
        wanted, every = by_numpy(values, control, at.place[i], at.terms[i], k)
        np.testing.assert_allclose(found[:, i], wanted, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(own[:, :, i], every, rtol=1e-6, atol=1e-8)


def test_places_in_space():
    """Three dims: the distance is the straight line."""
    rng = np.random.default_rng(6)
    control = Points(rng.normal(size=(90, 3)), rng.normal(size=(90, 2)))
    at, values = Points(rng.normal(size=(20, 3)), rng.normal(size=(20, 2))), rng.normal(size=(90, 1))
    found = gwr(values, control, at, neighbours=30).values[0]
    for i in range(20):
        wanted, _ = by_numpy(values, control, at.place[i], at.terms[i], 30)
        np.testing.assert_allclose(found[i], wanted, rtol=1e-8, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 60), st.lists(st.integers(1, 200), max_size=4))
def test_a_point_does_not_depend_on_its_company(seed, k, cuts):
    """Groups, the order of points and the points beside them change no bit."""
    control, at = scattered(400, seed=seed), scattered(201, seed=seed + 1)
    values = observed(control, dates=2)
    whole = gwr(values, control, at, neighbours=k)
    order = np.random.default_rng(seed).permutation(201)
    mixed = Points(at.place[order], at.terms[order])
    other = gwr(values, control, mixed, neighbours=k, ends=np.r_[sorted(set(cuts)), 201])
    np.testing.assert_array_equal(other.values, whole.values[:, order])
    np.testing.assert_array_equal(other.spread, whole.spread[order])
    alone = gwr(values[:, 1:], control, Points(at.place[7:8], at.terms[7:8]), neighbours=k)
    assert alone.values[0, 0] == whole.values[1, 7]


def test_shifts_and_units_of_regressors_cancel():
    control, at = scattered(300), scattered(80, seed=1)
    values = observed(control)
    wanted = gwr(values, control, at, neighbours=60).values
    other = [Points(p.place, p.terms * [1e6, 1e-3, 7, 1] + [5e6, 40, -3, 0]) for p in (control, at)]
    np.testing.assert_allclose(gwr(values, *other, neighbours=60).values, wanted, rtol=1e-7)


def test_a_plane_is_found_exactly():
    control, at = scattered(300), scattered(80, seed=1)
    plane = [p.terms @ [2.0, -3, 0.5, 0.25] + 7 for p in (control, at)]
    found = gwr(plane[0][:, None], control, at, neighbours=20)
    np.testing.assert_allclose(found.values[0], plane[1], rtol=1e-10)
    own = coefficients(plane[0][:, None], control, at, neighbours=20)[:, 0]
    np.testing.assert_allclose(own, np.tile([[7.0], [2], [-3], [0.5], [0.25]], 80), rtol=1e-8)


# ---- what neighbours cannot tell --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_aspects_that_are_all_alike_are_left_out(value):
    """The rest is as if there were no aspect, whatever the point's own is."""
    control, at = scattered(200), scattered(50, seed=1)
    same = Points(control.place, np.c_[control.terms[:, :2], np.full((200, 2), value)])
    bare = [Points(p.place, p.terms[:, :2]) for p in (control, at)]
    values = observed(control)
    found, wanted = gwr(values, same, at, neighbours=40), gwr(values, *bare, neighbours=40)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-9)
    assert (coefficients(values, same, at, neighbours=40)[3:] == 0).all()


def test_control_points_on_a_line():
    """What they tell is the change along the line; a point beside it gets the value at its x."""
    control = scattered(100)
    x = control.terms[:, 0]
    line = Points(np.c_[control.place[:, 0]] * [1, 1], np.c_[x, 2 * x + 1])
    at = Points(line.place[:5] + np.array([0, 4000]), line.terms[:5] + np.array([0, 0.3]))
    found = gwr((3 * x + 1)[:, None], line, at, neighbours=30)
    np.testing.assert_allclose(found.values[0], 3 * x[:5] + 1, rtol=1e-9)
    assert np.isfinite(found.spread).all()


def test_control_points_at_one_place_give_their_mean():
    one = Points(np.zeros((12, 2)), np.zeros((12, 4)))
    at = Points(np.array([[0.0, 0], [5, 5]]), np.ones((2, 4)))
    found = gwr(np.arange(12.0)[:, None], one, at, neighbours=12)
    np.testing.assert_allclose(found.values[0], 5.5)
    np.testing.assert_allclose(found.spread, 1 / 12)


def test_shorter_regressions_where_a_prediction_varies_too_much():
    """Far from all control points the plane runs away; the mean does not."""
    control = scattered(200, side=10.0)
    far = scattered(30, seed=1, side=10.0)
    far = Points(far.place + 60 * KM, np.c_[far.terms[:, :2] + 60 / 25, far.terms[:, 2:]])
    values = observed(control, noise=0.3)
    wild, tame = (gwr(values, control, far, neighbours=60, shorter=s) for s in ((), (3, 1)))
    assert (wild.spread > 1).all()
    assert (tame.spread <= 1).all()
    low, high = values.min(), values.max()
    assert ((tame.values >= low) & (tame.values <= high)).all()
    assert (np.abs(wild.values) > 2 * high).any()
    near = scattered(50, seed=2, side=10.0)
    same = [gwr(values, control, near, neighbours=60, shorter=s).values for s in ((), (3, 1))]
    np.testing.assert_array_equal(*same)


def test_the_aspect_is_dropped_before_the_plane():
    """Aspects within a degree say nothing about one on the other side."""
    rng = np.random.default_rng(0)
    control, at = scattered(200), scattered(40, seed=1)
    angle = np.radians(90 + rng.normal(size=200))
    east = Points(control.place, np.c_[control.terms[:, :2], np.sin(angle), np.cos(angle)])
    west = Points(at.place, np.c_[at.terms[:, :2], -np.ones(40), np.zeros(40)])
    bare = [Points(p.place, p.terms[:, :2]) for p in (control, at)]
    values = observed(control)
    found = gwr(values, east, west, neighbours=60, shorter=(3, 1)).values
    plane = gwr(values, *bare, neighbours=60, shorter=(1,))
    np.testing.assert_allclose(found, plane.values, rtol=1e-9)
    assert (gwr(values, east, west, neighbours=60).spread > 1).all()


# ---- the bandwidth ----------------------------------------------------------------------------------------------


def test_criterion_by_hand():
    control = scattered(120)
    values = observed(control, dates=2)
    hat = gwr(np.eye(120), control, control, neighbours=60).values.T
    np.testing.assert_allclose(np.diag(hat), gwr(values, control, control, neighbours=60).lever, rtol=1e-9)
    squares, trace = ((values - hat @ values) ** 2).sum(axis=0), np.trace(hat)
    likelihood = -60 * (np.log(squares) + 1 + np.log(np.pi / 60))
    wanted = -2 * likelihood + 2 * 120 * (trace + 1) / (120 - trace - 2)
    np.testing.assert_allclose(aicc(values, control, neighbours=60), wanted, rtol=1e-9)


def test_no_freedom_left_is_no_choice():
    control = scattered(12)
    assert aicc(observed(control), control, neighbours=8)[0] == np.inf


def test_bandwidth_of_several_dates_is_that_of_their_sum():
    control = scattered(300)
    values = np.c_[observed(control, noise=0.4), observed(control, noise=5.0, seed=1)]
    together = best_bandwidth(values, control)
    alone = [best_bandwidth(values[:, i : i + 1], control) for i in (0, 1)]
    assert alone[0] < together < alone[1]
    score = {k: aicc(values, control, neighbours=k).sum() for k in (together, *alone)}
    assert min(score, key=score.get) == together
    assert best_bandwidth(values * [1000, 0.001], control) == together


def test_dates_that_tell_nothing_do_not_count():
    control = scattered(200)
    values = observed(control)
    assert best_bandwidth(np.c_[np.zeros(200), values, np.full(200, 3.0)], control) == best_bandwidth(
        values, control
    )
    assert best_bandwidth(np.zeros((200, 2)), control) == 50


@pytest.mark.parametrize("number", [10, 49, 50])
def test_few_points_all_count(number):
    control = scattered(number)
    assert best_bandwidth(observed(control), control) == number


@pytest.mark.parametrize("least", [51, 52, 120, 233, 298, 299])
def test_search_finds_the_least_of_a_bowl(least):
    assert least_of(lambda k: (k - least) ** 2, 50, 300) == least


@pytest.mark.parametrize(("least", "found"), [(0, 51), (50, 51), (300, 299), (1000, 299)])
def test_search_stays_within_its_ends(least, found):
    """Golden sections come as near to an end as the next number, as in mgwr."""
    assert least_of(lambda k: (k - least) ** 2, 50, 300) == found


# ---- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 21])
def test_neighbours_out_of_range(k):
    control = scattered(20)
    with pytest.raises(ValueError, match=r"^neighbours: expected 1 to 20"):
        gwr(np.zeros((20, 1)), control, control, neighbours=k)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_must_be_finite(value):
    control, at = scattered(20), scattered(5)
    at.terms[2, 1] = value
    with pytest.raises(ValueError, match=r"^points: expected finite"):
        gwr(np.zeros((20, 1)), control, at, neighbours=10)


def test_no_points_give_nothing():
    control, none = scattered(20), Points(np.zeros((0, 2)), np.zeros((0, 4)))
    assert gwr(np.zeros((20, 3)), control, none, neighbours=10).values.shape == (3, 0)
