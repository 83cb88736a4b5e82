"""Noise on lattices: the same bits in any window, the laws it states, and the bounds measured on real pairs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.simulate import draws, fields, lattice, looks, network

TURBULENCE = looks.turbulence(25.0)
ORIGIN = st.integers(-(2**40), 2**40)


def difference(field, lag):
    """Mean squared difference over a lag, mean of both axes."""
    along_y = np.mean((field[lag:].astype(float) - field[:-lag]) ** 2)
    along_x = np.mean((field[:, lag:].astype(float) - field[:, :-lag]) ** 2)
    return (along_y + along_x) / 2


@settings(max_examples=40, deadline=None)
@given(key=st.integers(0, 2**64 - 1), top=ORIGIN, left=ORIGIN, cut=st.tuples(*[st.integers(0, 20)] * 4))
def test_any_window_has_the_same_bits(key, top, left, cut):
    rows, columns = top + np.arange(24), left + np.arange(21)
    whole = TURBULENCE.at(key, rows, columns)
    y, x = slice(min(cut[:2]), max(cut[:2]) + 1), slice(min(cut[2:]), max(cut[2:]) + 1)
    np.testing.assert_array_equal(TURBULENCE.at(key, rows[y], columns[x]), whole[y, x])
    np.testing.assert_array_equal(TURBULENCE.at(key, rows[::3], columns[::2]), whole[::3, ::2])


PROGRAM = """
import hashlib
import numpy as np
from xinsar.simulate import lattice, looks
field = looks.turbulence(25.0).at(lattice.key(3, "test"), np.arange(5, 70), np.arange(-9, 80))
print(hashlib.sha256(field.tobytes()).hexdigest())
"""


def test_another_process_makes_the_same_bits():
    field = TURBULENCE.at(lattice.key(3, "test"), np.arange(5, 70), np.arange(-9, 80))
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256(field.tobytes()).hexdigest()


def test_nodes_are_normal_and_independent():
    draws = [lattice.normals(key, np.arange(300), np.arange(300)).astype(float) for key in (0, 1, 2**63)]
    for values in draws:
        assert values.mean() == pytest.approx(0, abs=0.01)
        assert values.std() == pytest.approx(1, abs=0.01)
        assert np.mean(values**4) == pytest.approx(3, abs=0.06)
        assert np.abs(values).max() < 4.4
        for other in (values[1:, :] * values[:-1], values[:, 1:] * values[:, :-1], values * values.T):
            off = other[~np.eye(*other.shape, dtype=bool)] if other.shape[0] == other.shape[1] else other
            assert abs(off.mean()) < 0.015
    assert abs(np.mean(draws[0] * draws[1])) < 0.015
    assert abs(np.mean(draws[0] * draws[2])) < 0.015


def test_names_and_seeds_have_their_own_keys():
    keys = {
        lattice.key(seed, *name) for seed in range(20) for name in (("a",), ("a", 1), ("b",), ("train", "a"))
    }
    assert len(keys) == 80


@pytest.mark.parametrize("length", [2.0, 6.0, 40.0])
def test_smooth_fields_have_variance_one_and_their_length(length):
    size = 300
    stack = [lattice.smooth(length).at(k, np.arange(size), np.arange(size)) for k in range(30)]
    assert np.mean(np.square(stack)) == pytest.approx(1.0, abs=0.08)
    lag = round(length)
    beside = np.mean([np.mean(f[:, lag:] * f[:, :-lag]) for f in stack])
    assert beside == pytest.approx(np.exp(-1), abs=0.06)


@pytest.mark.parametrize(
    ("exponents", "breaks", "window"),
    [
        ((8 / 3, 11 / 3), (1500.0,), 1e4),
        ((0.0, 3.9, 4.6), (12_000.0, 300.0), None),
        ((0.0, 3.6, 4.3), (12_000.0, 300.0), None),
    ],
)
def test_power_laws_differ_over_a_distance_as_their_spectrum_says(exponents, breaks, window):
    """Oracle: the structure function of the same law on a Fourier grid."""
    distances = np.array([50.0, 150.0, 600.0, 1200.0, 3000.0])
    made = lattice.power_law(25.0, exponents, breaks, window)
    wide = fields.Spectrum((1024, 1024), 25.0, exponents=exponents, breaks=breaks, unit_window=window)
    expected = np.sqrt(wide.structure_function(distances))
    np.testing.assert_allclose(np.sqrt(made.structure_function(distances / 25.0)), expected, rtol=0.12)


def test_draws_differ_as_their_octaves_say():
    size, lags = 192, np.array([1, 4, 12, 40])
    squares = np.mean(
        [
            [difference(TURBULENCE.at(k, np.arange(size), np.arange(size)), lag) for lag in lags]
            for k in range(24)
        ],
        axis=0,
    )
    np.testing.assert_allclose(squares, TURBULENCE.structure_function(lags), rtol=0.15)


def test_the_spectrum_has_no_steps():
    """Power in bands of an octave falls as the law does: from 2.6 to 3.7 in two dimensions, within a fifth."""
    size = 512
    taper = np.hanning(size)[:, None] * np.hanning(size)
    k = np.hypot(np.fft.fftfreq(size, 25.0)[:, None], np.fft.fftfreq(size, 25.0))
    power = np.zeros((size, size))
    for key in range(8):
        field = TURBULENCE.at(key, np.arange(size), np.arange(size)).astype(float)
        power += np.abs(np.fft.fft2((field - field.mean()) * taper)) ** 2
    edges = 1 / np.array([3200.0, 1600.0, 800.0, 400.0, 200.0, 100.0])
    band = np.array([power[(k >= a) & (k < b)].mean() for a, b in pairwise(edges)])
    slope = -np.diff(np.log2(band))
    assert slope[0] == pytest.approx(3.2, abs=0.7)
    np.testing.assert_allclose(slope[1:], 11 / 3, atol=0.6)


@pytest.mark.parametrize("name", draws.DRAWS)
def test_pairs_differ_as_real_pairs_do(name):
    """Root of the structure function of a 12-day pair: .3-1.5, 1.5-7 and 3-15 mm at .15, 1.2 and 5 km.

    That is, the median and four pairs of five; at .15 km the roughest tenth exceeds 1.5 mm, not 1.8.
    """
    lags, roots = np.array([150.0, 1200.0, 5000.0]) / 25.0, []
    for seed in range(40):
        key, ranges = (seed, name), draws.DRAWS[name]
        track = looks.look(key, "ascending", ranges, network.TIERS["hard"], wavelength=0.0555)
        assert track.rms.min() >= 2e-3
        assert track.rms.max() <= 8e-3
        pair = track.rms[1:] ** 2 + track.rms[:-1] ** 2
        roots += list(1e3 * np.sqrt(pair[:, None] * TURBULENCE.structure_function(lags)))
    low, high = np.quantile(roots, [0.1, 0.9], axis=0)
    assert (low > [0.3, 1.5, 3.0]).all()
    assert (np.median(roots, axis=0) < [1.5, 7.0, 15.0]).all()
    assert (high < [1.8, 7.0, 15.0]).all()


@pytest.mark.parametrize("field", [TURBULENCE, lattice.smooth(2.4)])
def test_filtered_steps_have_the_variance_stated(field):
    """Oracle: means over windows of drawn fields."""
    from scipy.ndimage import uniform_filter

    squares = []
    for key in range(30):
        mean = uniform_filter(field.at(key, np.arange(120), np.arange(120)).astype(float), 5)[3:-3, 3:-3]
        squares += [np.mean(np.diff(mean, axis=0) ** 2), np.mean(np.diff(mean, axis=1) ** 2)]
    assert field.filtered_step(5) == pytest.approx(np.mean(squares), rel=0.15)
