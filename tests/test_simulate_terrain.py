"""Random fields and mountains: spectra, slopes, and streams that stand alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xinsar.simulate import terrain
from xinsar.simulate.fields import Spectrum, smooth_field, stream, uniform_field


def exponent(field, spacing, longest, shortest):
    """Slope of the radially averaged power spectrum between two wavelengths, under a Hann taper."""
    n, m = field.shape
    taper = np.hanning(n)[:, None] * np.hanning(m)
    power = np.abs(np.fft.fft2((field - field.mean()) * taper)) ** 2
    k = np.hypot(np.fft.fftfreq(n, spacing)[:, None], np.fft.fftfreq(m, spacing))
    edges = np.geomspace(1 / longest, 1 / shortest, 12)
    mean = [power[(k >= a) & (k < b)].mean() for a, b in pairwise(edges)]
    return -np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(mean), 1)[0]


def test_terrain_has_the_exponents_of_mountains():
    grounds = [terrain.ground(seed, (256, 256)).elevation.astype(float) for seed in range(6)]
    assert np.mean([exponent(g, 25.0, 2000.0, 350.0) for g in grounds]) == pytest.approx(3.9, abs=0.25)
    assert np.mean([exponent(g, 25.0, 280.0, 60.0) for g in grounds]) == pytest.approx(4.6, abs=0.25)


@pytest.mark.parametrize("seed", range(5))
def test_mean_slope_and_lowest_point(seed):
    ground = terrain.ground(seed, (96, 64))
    assert 13.9 <= ground.slope.mean() <= 30.1
    assert 199 <= ground.elevation.min() <= 2001
    assert ground.elevation.dtype == np.float32


def test_mean_slopes_differ_between_scenes():
    slopes = [terrain.ground(seed, (48, 48)).slope.mean() for seed in range(12)]
    assert np.ptp(slopes) > 6


@pytest.mark.parametrize("aspect", [0.0, 60.0, 135.0, 250.0])
def test_slope_and_aspect_of_a_plane(aspect):
    row, column = np.indices((5, 6))
    a = np.deg2rad(aspect)
    plane = -0.4 * 30.0 * (column * np.sin(a) - row * np.cos(a))
    slope, found = terrain.slope_and_aspect(plane, 30.0)
    np.testing.assert_allclose(slope, np.rad2deg(np.arctan(0.4)), rtol=1e-9)
    np.testing.assert_allclose((found - aspect + 180) % 360, 180.0, atol=1e-6)


def test_flat_ground_has_no_aspect():
    slope, aspect = terrain.slope_and_aspect(np.zeros((4, 4)), 25.0)
    assert (slope == 0).all()
    assert np.isnan(aspect).all()


def test_dem_error_has_metres_and_a_short_memory():
    fields = [terrain.dem_error(seed, (128, 128)) for seed in range(8)]
    sigma = [f.std() for f in fields]
    assert min(sigma) > 4.5
    assert max(sigma) < 10.5
    for f in fields:
        beside = [np.mean(f[:, lag:] * f[:, :-lag]) / f.var() for lag in (1, 4)]
        assert beside[0] > np.exp(-((25 / 35) ** 2))
        assert beside[1] < np.exp(-((100 / 85) ** 2)) + 0.06


def test_smooth_field_has_unit_variance_and_its_length():
    field = smooth_field(stream(1, "test"), (400, 400), length=6.0)
    assert field.std() == pytest.approx(1.0, abs=0.06)
    assert np.mean(field[:, 6:] * field[:, :-6]) == pytest.approx(np.exp(-1), abs=0.06)


def test_uniform_field_is_even():
    values = np.concatenate([uniform_field(stream(s, "u"), (60, 60), length=3.0).ravel() for s in range(10)])
    assert np.quantile(values, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


@pytest.mark.parametrize("shape", [(40, 40), (41, 60)])
def test_spectrum_draws_the_variance_and_structure_it_states(shape):
    spectrum = Spectrum(shape, 25.0, exponents=(8 / 3, 11 / 3), breaks=(300.0,))
    rng = stream(3, "test")
    draws = np.array([spectrum.draw(rng) for _ in range(1500)], dtype=float)
    for lag in (1, 5, 15):
        along_x = np.mean((draws[:, :, lag:] - draws[:, :, :-lag]) ** 2)
        along_y = np.mean((draws[:, lag:] - draws[:, :-lag]) ** 2)
        expected = spectrum.structure_function(np.array([lag * 25.0]))[0]
        assert (along_x + along_y) / 2 == pytest.approx(expected, rel=0.05)


def test_power_is_the_same_on_grids_of_different_size():
    small, large = (
        Spectrum((n, n), 25.0, exponents=(8 / 3,), unit_window=1000.0).structure_function(
            np.array([50.0, 100.0])
        )
        for n in (64, 256)
    )
    np.testing.assert_allclose(small, large, rtol=0.1)


def test_streams_stand_alone():
    first = stream(5, "noise", 3).standard_normal(4)
    stream(5, "noise", 2).standard_normal(100)
    np.testing.assert_array_equal(first, stream(5, "noise", 3).standard_normal(4))
    others = [stream(5, "noise", 4), stream(6, "noise", 3), stream(5, "noises", 3)]
    assert all((first != other.standard_normal(4)).all() for other in others)


def test_window_is_the_square_of_unit_variance():
    """Oracle: mean squared difference of random pairs of points in the square, halved."""
    spectrum = Spectrum((400, 400), 25.0, exponents=(8 / 3,), unit_window=500.0)
    points = stream(0, "points").uniform(0, 500.0, (2, 4000, 2))
    distance = np.hypot(*(points[0] - points[1]).T)
    assert spectrum.structure_function(distance).mean() / 2 == pytest.approx(1.0, rel=0.06)
