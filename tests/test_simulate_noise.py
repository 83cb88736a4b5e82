"""Speckle against theory (phase and coherence of L looks) and against the full coherence matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma, hyp2f1

from xinsar.simulate import noise, terrain
from xinsar.simulate.fields import stream

SHAPE = (200, 200)


def law(floor, memory, quality=1.0):
    corners = (SHAPE[0] + 1, SHAPE[1] + 1)
    return noise.Decorrelation(*(np.full(corners, v, dtype=np.float32) for v in (floor, memory, quality)))


def dates(which, days, seed=1):
    """Speckle of dates ``days`` apart, drawn as a scene draws it."""
    rng = stream(seed, "test")
    corners = which.floor.shape
    lasting = noise.innovation(rng, corners)
    state = noise.innovation(rng, corners)
    out = [noise.speckle(lasting, state, noise.innovation(rng, corners), which)]
    for step in days:
        state = noise.remember(state, noise.innovation(rng, corners), which, days=step)
        out.append(noise.speckle(lasting, state, noise.innovation(rng, corners), which))
    return out


def phase_density(phase, c, looks):
    """Density of the multilooked phase (Lee et al. 1994; Hanssen 2001, equation 4.2.23)."""
    b = c * np.cos(phase)
    peak = gamma(looks + 0.5) * (1 - c**2) ** looks * b
    peak /= 2 * np.sqrt(np.pi) * gamma(looks) * (1 - b**2) ** (looks + 0.5)
    return peak + (1 - c**2) ** looks / (2 * np.pi) * hyp2f1(looks, 1, 0.5, b**2)


def coherence_density(d, c, looks):
    """Density of the estimated coherence (Touzi et al. 1999)."""
    out = 2 * (looks - 1) * (1 - c**2) ** looks * d * (1 - d**2) ** (looks - 2)
    return out * hyp2f1(looks, looks, 1, (c * d) ** 2)


@pytest.mark.parametrize("c", [0.0, 0.2, 0.5, 0.8])
def test_phase_spreads_and_coherence_is_biased_as_theory_says(c):
    first, second = dates(law(c, 1e-3), [12.0])
    phase, found = noise.interfere(first, second)
    looks = noise.LOOKS
    assert quad(phase_density, -np.pi, np.pi, args=(c, looks))[0] == pytest.approx(1.0)
    variance = quad(lambda p: p**2 * phase_density(p, c, looks), -np.pi, np.pi)[0]
    mean = quad(lambda d: d * coherence_density(d, c, looks), 0, 1)[0]
    assert phase.std() == pytest.approx(np.sqrt(variance), rel=0.03)
    assert found.mean() == pytest.approx(mean, abs=0.01)
    assert abs(phase.mean()) < 0.03
    assert 0 <= found.min() <= found.max() <= 1


def test_coherence_decays_and_never_below_its_floor():
    which = law(0.3, 20.0, 0.9)
    speckle = dates(which, [12.0, 24.0, 300.0])
    for later, days in ((1, 12.0), (2, 36.0), (3, 336.0)):
        z = (speckle[later].looks * speckle[0].looks.conj()).mean()
        expected = 0.9 * (0.7 * np.exp(-days / 20.0) + 0.3)
        assert z.real == pytest.approx(expected, abs=0.015)
        assert abs(z.imag) < 0.015
        assert noise.coherence(which, days)[0, 0] == pytest.approx(expected, rel=1e-5)


def test_pairs_that_share_dates_covary_as_under_the_full_matrix():
    """Oracle: all dates at once from the Cholesky factor of the whole coherence matrix, independent looks."""
    floor, memory, quality = 0.2, 25.0, 0.9
    days = np.array([0.0, 12.0, 36.0, 48.0])
    matrix = quality * ((1 - floor) * np.exp(-np.abs(days[:, None] - days) / memory) + floor)
    np.fill_diagonal(matrix, 1.0)
    rng = np.random.default_rng(3)
    white = rng.standard_normal((2, 4, 40_000, noise.LOOKS)) / np.sqrt(2)
    s = np.einsum("ij,jnl->inl", np.linalg.cholesky(matrix), white[0] + 1j * white[1])
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3)]
    oracle = np.array([np.angle((s[j] * s[i].conj()).sum(-1)) for i, j in pairs])
    drawn = dates(law(floor, memory, quality), np.diff(days))
    ours = np.array([noise.interfere(drawn[i], drawn[j])[0].ravel() for i, j in pairs])
    assert oracle.shape[1] == ours.shape[1]
    np.testing.assert_allclose(np.cov(ours), np.cov(oracle), atol=0.02)
    closure = [np.angle(np.exp(1j * (p[0] + p[1] - p[2]))).std() for p in (ours, oracle)]
    assert closure[0] == pytest.approx(closure[1], rel=0.05)
    assert closure[0] > 0.1


def test_noise_is_correlated_over_one_pixel_only():
    phase, _ = noise.interfere(*dates(law(0.7, 1e-3), [12.0]))
    beside = np.corrcoef(phase[:, 1:].ravel(), phase[:, :-1].ravel())[0, 1]
    beyond = np.corrcoef(phase[:, 2:].ravel(), phase[:, :-2].ravel())[0, 1]
    assert 0.35 < beside < 0.6
    assert abs(beyond) < 0.03


def test_cover_holds_three_classes_in_their_ranges():
    floor, memory = noise.cover(5, terrain.ground(5, (128, 128)).elevation, spacing=25.0)
    held = [
        (floor >= c.floor[0] - 1e-5)
        & (floor <= c.floor[1] + 1e-5)
        & (memory >= c.memory[0] - 1e-3)
        & (memory <= c.memory[1] + 1e-3)
        for c in noise.CLASSES.values()
    ]
    assert np.any(held, axis=0).all()
    assert all(h.mean() > 0.1 for h in held)


def test_corners_average_the_pixels_around_them():
    values = np.arange(6.0).reshape(2, 3)
    corners = noise.at_corners(values)
    assert corners.shape == (3, 4)
    assert corners[1, 1] == values[:2, :2].mean()
    assert corners[0, 0] == values[0, 0]
