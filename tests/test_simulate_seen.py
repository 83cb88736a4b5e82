"""What a track sees of one feature, against the operators on pairs that hold nothing but its motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from xinsar.simulate import draws, features, geometry, looks, network, pairs, seen
from xinsar.simulate.deformation import Body, Course
from xinsar.simulate.features import Feature

TRACK = looks.look(
    (3, "train"), "descending", draws.DRAWS["train"], network.TIERS["hard"], wavelength=0.0554658
)
PLAIN = Course("linear", bend=2.0, centre=0.4, breadth=0.06, swing=0.0, season=0.3, wet=1.0)
COURSES = {
    "even": PLAIN,
    "seasonal": PLAIN._replace(swing=0.7),
    "step": PLAIN._replace(name="step"),
    "wet season": PLAIN._replace(wet=0.35, season=0.1),
    "decelerating": PLAIN._replace(name="decelerating"),
}


def feature(speed, course=PLAIN, size=36, sharp=4.0, **effect):
    """Round plug of 12 pixels' radius that moves west, down a slope of 20 degrees."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    radius = np.hypot(y, x) / 12
    rate = np.clip(1 - radius**sharp, 0, 1)
    window = (slice(40, 40 + size), slice(10, 10 + size))
    body = Body(window, speed * rate, np.full(rate.shape, 20.0), 20.0, 270.0, 600.0, course)
    options = {"quality": 1.0, "height": 0.0, "moisture": 0.0} | effect
    return Feature("landslide", body, rate > 0, **options)


def passed(made):
    progress = TRACK.progress(made)
    return progress[TRACK.pairs[:, 1]] - progress[TRACK.pairs[:, 0]]


def cube(made, *, unwrapped=False):
    """Pairs of nothing but the feature's motion."""
    moved = passed(made)[:, None, None] * seen.seen(TRACK, made).long_term
    if unwrapped:
        lost = seen.cycles_lost(seen.seen(TRACK, made).long_term, passed(made), TRACK.wavelength)
        moved = moved - TRACK.wavelength / 2 * lost[:, None, None] * seen.behind(
            seen.seen(TRACK, made).long_term
        )
    phase = (-4 * np.pi / TRACK.wavelength * moved).astype(np.float32)
    return pairs.canonical(
        phase if unwrapped else pairs.wrap(phase),
        np.full_like(phase, 0.8),
        dates=(TRACK.dates[TRACK.pairs[:, 0]], TRACK.dates[TRACK.pairs[:, 1]]),
        baselines=np.zeros(len(phase)),
        los=geometry.los_vector(**TRACK.view).astype(np.float32),
        elevation=np.zeros(phase.shape[1:], np.float32),
        spacing=25.0,
    )


def test_motion_down_a_western_slope_goes_away_from_a_descending_track():
    """Looking west from the east: what moves west and down moves away."""
    made = feature(0.02)
    assert seen.seen(TRACK, made).velocity.min() < 0
    assert seen.seen(TRACK, made).velocity.max() <= 0
    expected = geometry.sensitivity(20.0, 270.0, **TRACK.view) * 0.02
    assert seen.seen(TRACK, made).long_term.min() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("speed", [0.01, 0.04, 0.15, 0.5])
@pytest.mark.parametrize("course", COURSES)
def test_gradients_are_those_of_the_operator(speed, course):
    """Same sign, edge, size and agreement, wherever the pairs agree on a rate at all."""
    made = feature(speed, COURSES[course])
    track = seen.seen(TRACK, made)
    stack = cube(made).insar.phase_gradient_stack()
    inner = slice(3, -4)
    rate = TRACK.by_date(TRACK.progress(made)).stack
    steps = seen._steps(seen.box_mean(track.long_term * (-4 * np.pi / TRACK.wavelength)))
    for axis, name in enumerate("yx"):
        real = stack[f"gradient_{name}"].values[inner, inner] * 25
        agreed = stack[f"gradient_coherence_{name}"].values[inner, inner]
        own = rate * steps[axis] if track.edges.rate is None else track.edges.rate[axis]
        ours, kept = own[inner, inner], track.edges.kept[axis][inner, inner]
        clear = agreed > 0.75
        assert clear.mean() > 0.85
        assert np.corrcoef(real[clear], ours[clear])[0, 1] > 0.97
        size = np.sqrt(np.mean(real[clear] ** 2))
        assert np.sqrt(np.mean(ours[clear] ** 2)) == pytest.approx(size, rel=0.15)
        assert kept.mean() == pytest.approx(agreed.mean(), abs=0.01)


def test_gradient_lies_on_the_edge_toward_the_next_pixel():
    """A sinking bowl: positive before its middle, negative behind, and antisymmetric about the edge before it."""
    made = feature(0.01)
    track = seen.seen(TRACK, made)
    assert track.edges.rate is None
    step = seen._steps(seen.box_mean(track.long_term * (-4 * np.pi / TRACK.wavelength)))[1]
    middle = step[18]
    assert middle[8] > 0 > middle[27]
    np.testing.assert_allclose(middle[:-1], -middle[:-1][::-1], atol=1e-4)


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("speed", [0.02, 0.3, 1.0])
def test_velocity_is_that_of_an_inversion(speed, course):
    """Oracle: unwrapped pairs of the same motion, inverted with even weights, and the line through the dates."""
    made = feature(speed, COURSES[course])
    series = (
        cube(made, unwrapped=True)
        .rename(phase="unwrapped_phase")
        .insar.invert_network(weights="uniform", reference=None)
    )
    velocity = series.insar.velocity().velocity.values
    np.testing.assert_allclose(velocity, seen.seen(TRACK, made).velocity, atol=2e-4 + 2e-3 * speed)


def test_fast_fronts_lose_whole_cycles():
    slow, fast = feature(0.05, sharp=20.0), feature(1.0, sharp=20.0)
    assert not seen.cycles_lost(seen.seen(TRACK, slow).long_term, passed(slow), 0.0554658).any()
    lost = seen.cycles_lost(seen.seen(TRACK, fast).long_term, passed(fast), 0.0554658)
    assert (np.abs(lost) >= 1).all()
    np.testing.assert_array_equal(lost, np.round(lost))
    left, true = (
        np.abs(v).mean() for v in (seen.seen(TRACK, fast).velocity, seen.seen(TRACK, fast).long_term)
    )
    assert left < 0.3 * true
    wide = dataclasses.replace(TRACK, wavelength=0.24)
    assert left < np.abs(seen.seen(wide, fast).velocity).mean() < true


def test_moisture_and_quality_are_kept_to_the_feature():
    made = feature(0.0, moisture=4e-3, quality=0.5)
    track = seen.seen(TRACK, made)
    np.testing.assert_array_equal(track.velocity != 0, made.inside)
    expected = 4e-3 * TRACK.by_date(TRACK.moisture).velocity
    np.testing.assert_allclose(track.velocity[made.inside], expected, rtol=1e-5)
    np.testing.assert_allclose(track.quality, np.where(made.inside, 0.5, 1.0))
    assert track.edges is None


def test_windows_meet_parts():
    window = (slice(3, 9), slice(-2, 5))
    ((there, own),) = features.overlaps(window, np.arange(5, 20), np.arange(0, 3))
    assert there == (slice(0, 4), slice(0, 3))
    assert own == (slice(2, 6), slice(2, 5))
    assert list(features.overlaps(window, np.arange(9, 20), np.arange(0, 3))) == []
