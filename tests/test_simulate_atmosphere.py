"""Weather against the bounds measured on real pairs, and against its own expectation."""

from __future__ import annotations

import numpy as np
import pytest

from xinsar.simulate import terrain
from xinsar.simulate.atmosphere import atmosphere, delay, structure_function
from xinsar.simulate.fields import stream

DISTANCES = np.array([150.0, 1200.0, 5000.0])


def mean_squared_difference(field, distance):
    lag = round(distance / 25.0)
    return ((field[lag:] - field[:-lag]) ** 2).mean() / 2 + (
        (field[:, lag:] - field[:, :-lag]) ** 2
    ).mean() / 2


def test_pairs_differ_as_real_pairs_do():
    """Root of the structure function of a 12-day pair: .3-1.5, 1.5-7 and 3-15 mm at .15, 1.2 and 5 km."""
    flat = np.zeros((256, 256))
    roots = []
    for seed in range(12):
        weather = atmosphere(seed, "ascending", 2, flat, spacing=25.0)
        pair = np.subtract(*(delay(weather, stream(seed, "test", i), i) for i in range(2)))
        roots.append([1e3 * np.sqrt(mean_squared_difference(pair, d)) for d in DISTANCES])
    median = np.median(roots, axis=0)
    assert 0.3 < median[0] < 1.5
    assert 1.5 < median[1] < 7
    assert 3 < median[2] < 15
    assert (np.diff(roots, axis=1) > 0).all()


def test_structure_function_is_that_of_the_draws():
    elevation = terrain.ground(4, (96, 96)).elevation
    weather = atmosphere(4, "descending", 300, elevation, spacing=25.0)
    distances = np.array([100.0, 400.0, 1000.0])
    rng = stream(4, "test")
    draws = [delay(weather._replace(mixing=0 * weather.mixing), rng, i) for i in range(300)]
    measured = [np.mean([mean_squared_difference(d, s) for d in draws]) for s in distances]
    np.testing.assert_allclose(structure_function(weather, distances), measured, rtol=0.1)


def test_rms_and_lapse_lie_in_their_ranges():
    elevation = terrain.ground(1, (64, 64)).elevation
    tracks = [atmosphere(seed, "ascending", 60, elevation, spacing=25.0) for seed in range(10)]
    rms = np.concatenate([t.rms for t in tracks])
    assert 2e-3 <= rms.min() <= rms.max() <= 8e-3
    assert np.median(rms) == pytest.approx(3.5e-3, rel=0.1)
    lapse = np.array([t.lapse.std() for t in tracks])
    assert (lapse > 1.5e-6).all()
    assert (lapse < 19e-6).all()


def test_stratified_delay_follows_the_terrain():
    elevation = terrain.ground(2, (64, 64)).elevation
    weather = atmosphere(2, "ascending", 3, elevation, spacing=25.0)
    calm = weather._replace(rms=0 * weather.rms, mixing=0 * weather.mixing)
    lapse = float(weather.lapse[1])
    fit = np.polyfit(elevation.ravel() - elevation.mean(), delay(calm, stream(2, "t"), 1).ravel(), 1)[0]
    assert fit == pytest.approx(lapse, rel=0.1)
    changed = delay(weather._replace(rms=0 * weather.rms), stream(2, "t"), 1)
    assert not np.allclose(changed, delay(calm, stream(2, "t"), 1), rtol=1e-3)


def test_some_profiles_bend_with_height():
    elevation = terrain.ground(2, (48, 48)).elevation
    bent = 0
    for seed in range(60):
        profile = atmosphere(seed, "ascending", 1, elevation, spacing=25.0).profile
        bent += np.abs(profile - (elevation - elevation.mean())).max() > 1.0
    assert 8 <= bent <= 30
