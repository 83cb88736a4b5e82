"""Sliding bodies: where they lie, how large and fast they are, how they move with time."""

from __future__ import annotations

import numpy as np
import pytest

from xinsar.simulate import deformation, terrain
from xinsar.simulate.deformation import BEHAVIOURS, Course
from xinsar.simulate.fields import stream

SPAN = 730.5


@pytest.fixture(scope="module")
def placed():
    ground = terrain.ground(3, (320, 320))
    return ground, deformation.place(3, ground)


def test_bodies_lie_inside_on_slopes_and_apart(placed):
    ground, bodies = placed
    assert len(bodies) >= 4
    cover = np.zeros(ground.elevation.shape, dtype=int)
    for body in bodies:
        cover[body.window] += body.moving
        assert 8 < body.slope < 38
        assert body.moving.sum() >= 8
    assert cover.max() == 1


def test_motion_goes_down_the_mean_slope(placed):
    ground, bodies = placed
    row, column = np.indices(ground.elevation.shape)
    for body in bodies:
        inside = [v[body.window][body.moving] for v in (row, column, ground.elevation)]
        design = np.stack([inside[1] * 25.0, -inside[0] * 25.0, np.ones(inside[0].size)], axis=1)
        east, north, _ = np.linalg.lstsq(design, inside[2].astype(float), rcond=None)[0]
        fall = np.rad2deg(np.arctan2(-east, -north))
        assert abs((fall - body.aspect + 180) % 360 - 180) < 30


def test_rotational_bodies_are_steeper_at_the_head(placed):
    _, bodies = placed
    turned = [b for b in bodies if np.ptp(b.plunge[b.moving]) > 3]
    assert turned
    for body in turned:
        row, column = np.indices(body.moving.shape)
        a = np.deg2rad(body.aspect)
        along = (column * np.sin(a) - row * np.cos(a))[body.moving]
        assert np.corrcoef(along, body.plunge[body.moving])[0, 1] < -0.8


def test_areas_of_the_forms_follow_their_distribution():
    pixels = []
    for k in range(300):
        form = deformation.draw_form(stream(0, "form", k))
        _, rate, along = deformation._stamp(form, 30.0, (0, 0), 25.0)
        assert rate.shape == along.shape
        assert 0 <= rate.min() <= rate.max() <= 1
        pixels.append((rate > 0).sum() * 625.0 / 1e6)
    assert np.median(pixels) == pytest.approx(0.2, rel=0.25)
    assert np.log(pixels).std() == pytest.approx(1.0, abs=0.15)


def test_length_lies_along_the_axis():
    form = deformation.draw_form(stream(0, "form", 1))._replace(length=1000.0, width=400.0)
    form = form._replace(lobes=(form.lobes[0]._replace(ripple=np.zeros(6)),))
    window, rate, _ = deformation._stamp(form, 90.0, (50, 60), 25.0)
    rows, columns = np.nonzero(rate > 0)
    assert np.ptp(columns) == pytest.approx(40, abs=2)
    assert np.ptp(rows) == pytest.approx(16, abs=2)
    assert np.mean(rows) + window[0].start == pytest.approx(50, abs=0.6)
    assert np.mean(columns) + window[1].start == pytest.approx(60, abs=0.6)


def test_speeds_follow_their_distribution():
    speeds = [deformation.draw_speed(stream(0, "speed", k)) for k in range(2000)]
    assert np.median(speeds) == pytest.approx(0.035, rel=0.08)
    assert min(speeds) >= 0.006
    assert max(speeds) <= 1.0


def course(name, **changes):
    plain = Course(name, bend=2.0, centre=0.4, breadth=0.06, swing=0.0, season=0.0, wet=1.0)
    return plain._replace(**changes)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_trends_reach_the_long_term_velocity(name):
    days = np.array([0.0, SPAN / 2, SPAN])
    start, middle, end = deformation.progress(course(name), days, span=SPAN)
    assert start == 0
    assert end == pytest.approx(2.0, rel=0.02)
    side = {"linear": 0, "accelerating": -1, "decelerating": 1, "step": 1}[name]
    assert np.sign(round(middle - 1.0, 2)) == side


def test_a_season_changes_the_rate_and_not_the_year():
    days = np.arange(0.0, SPAN)
    rate = np.diff(deformation.progress(course("linear", swing=0.5), days, span=SPAN)) * 365.25
    assert rate.max() == pytest.approx(1.5, abs=0.01)
    assert rate.min() == pytest.approx(0.5, abs=0.01)
    assert rate.mean() == pytest.approx(1.0, abs=0.01)
    assert np.argmax(rate[:365]) == pytest.approx(365.25 / 4, abs=3)


def test_reversing_and_wet_season_bodies():
    days = np.arange(0.0, SPAN)
    reversing = np.diff(deformation.progress(course("reversing", swing=1.2), days, span=SPAN))
    assert reversing.min() < 0 < reversing.max()
    wet = np.diff(deformation.progress(course("wet_season", season=0.25, wet=1 / 3), days, span=SPAN))
    assert np.mean(wet > 0) == pytest.approx(1 / 3, abs=0.02)
    assert wet.sum() == pytest.approx(2.0, rel=0.03)


def test_behaviours_have_their_shares():
    names = [deformation.draw_course(stream(0, "course", k), 0.4).name for k in range(3000)]
    share = {name: names.count(name) / 3000 for name in set(names)}
    for name, expected in BEHAVIOURS.items():
        assert share[name] == pytest.approx(0.87 * expected, abs=0.03)
    assert share["wet_season"] == pytest.approx(0.1, abs=0.02)
    assert share["reversing"] == pytest.approx(0.03, abs=0.012)


def test_strain_takes_coherence():
    los = np.tile(np.arange(6.0), (4, 1)) * (0.0554658 / 4) * 365.25 / 12
    options = {"wavelength": 0.0554658, "interval": 12}
    np.testing.assert_allclose(deformation.strain_factor(los, **options), 0.6, atol=1e-6)
    np.testing.assert_allclose(deformation.strain_factor(3 * los, **options), 0.0, atol=1e-6)
    np.testing.assert_allclose(deformation.strain_factor(0 * los, **options), 1.0)
