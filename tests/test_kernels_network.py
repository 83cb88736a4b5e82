"""Inversion of networks against the pseudo-inverse of the matrix of velocities, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.kernels.network import LEAST, MOST, PIXELS, Network, invert_network, plan_of


def network(dates, pairs, seed=0):
    """Return a network of neighbours in time, with more pairs drawn at random."""
    rng = np.random.default_rng(seed)
    chain = [(i, i + 1) for i in range(dates - 1)]
    rest = [(i, j) for i in range(dates) for j in range(i + 2, dates)]
    more = rng.permutation(len(rest))[: max(pairs - len(chain), 0)]
    years = np.cumsum(rng.choice([6, 12, 24], dates)) / 365.25
    return Network(tuple(years.tolist()), tuple(sorted(chain + [rest[i] for i in more])))


def minimum_norm(net, phases, weights):
    """Solve one pixel by the pseudo-inverse: velocities between the dates that its pairs touch, summed up."""
    used = [k for k, w in enumerate(weights) if w > 0 and not math.isnan(phases[k])]
    dates = sorted({date for k in used for date in net.pairs[k]})
    out = np.full(len(net.years), np.nan)
    if not used:
        return out, np.nan, np.nan
    gaps = np.diff([net.years[date] for date in dates])
    matrix = np.zeros((len(used), len(gaps)))
    for row, k in enumerate(used):
        first, second = (dates.index(date) for date in net.pairs[k])
        matrix[row, first:second] = gaps[first:second]
    root = np.sqrt([weights[k] for k in used])
    velocity = np.linalg.pinv(root[:, None] * matrix, rcond=1e-9) @ (root * [phases[k] for k in used])
    out[dates] = np.concatenate([[0], np.cumsum(velocity * gaps)])
    rest = np.array([phases[k] - out[net.pairs[k][1]] + out[net.pairs[k][0]] for k in used])
    return out, abs(np.exp(1j * rest).mean()), np.sqrt((rest**2).mean())


def weights_of(coherence):
    c = np.clip(coherence, LEAST, MOST)
    return np.where(np.nan_to_num(coherence) > 0, c**2 / (1 - c**2), 0.0)


def agrees(net, phase, coherence, *, rtol=1e-8):
    found = invert_network(phase, coherence, np.zeros(len(phase)), network=net, scale=1.0)
    weights = np.ones(phase.shape) if coherence is None else weights_of(coherence)
    for i in range(phase.shape[1]):
        series, length, rms = minimum_norm(net, phase[:, i].tolist(), weights[:, i])
        np.testing.assert_allclose(found[0][:, i], series, rtol=rtol, atol=rtol * 10)
        np.testing.assert_allclose(found[1][i], length, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(found[2][i], rms, rtol=1e-7, atol=1e-9)
    return found


def noise(pairs, pixels, *, gaps=0.0, seed=0):
    rng = np.random.default_rng(seed)
    phase, coherence = 5 * rng.normal(size=(pairs, pixels)), rng.uniform(0, 1, (pairs, pixels))
    phase[rng.random(phase.shape) < gaps] = np.nan
    coherence[rng.random(phase.shape) < gaps / 3] = np.nan
    coherence[rng.random(phase.shape) < gaps / 3] = 0
    return phase, coherence


@pytest.mark.parametrize("gaps", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("weighted", [True, False])
def test_equals_the_pseudo_inverse(gaps, weighted):
    net = network(11, 22)
    phase, coherence = noise(22, 3 * PIXELS + 5, gaps=gaps)
    agrees(net, phase, coherence if weighted else None)


def test_ordinary_least_squares_where_all_is_connected():
    net = network(30, 80)
    phase, coherence = noise(80, 20)
    matrix = np.zeros((80, 30))
    for k, (a, b) in enumerate(net.pairs):
        matrix[k, a], matrix[k, b] = -1, 1
    found = invert_network(phase, coherence, np.zeros(80), network=net, scale=1.0)
    for i, root in enumerate(np.sqrt(weights_of(coherence)).T):
        wanted = np.linalg.lstsq(root[:, None] * matrix[:, 1:], root * phase[:, i], rcond=None)[0]
        np.testing.assert_allclose(found[0][1:, i], wanted, rtol=1e-9, atol=1e-9)
    assert (found[3] == 1).all()
    assert (found[0][0] == 0).all()
    assert not np.signbit(found[0][0]).any()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_network_equals_the_pseudo_inverse(data):
    dates = data.draw(st.integers(2, 9))
    every = [(i, j) for i in range(dates) for j in range(i + 1, dates)]
    pairs = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=14, unique=True))
    days = data.draw(st.lists(st.integers(6, 60), min_size=dates, max_size=dates))
    net = Network(tuple((np.cumsum(days) / 365.25).tolist()), tuple(pairs))
    gaps = data.draw(st.sampled_from([0.0, 0.3, 0.7]))
    phase, coherence = noise(len(pairs), 5, gaps=gaps, seed=data.draw(st.integers(0, 99)))
    agrees(net, phase, coherence, rtol=1e-6)


def test_weights_of_any_size_lose_nothing():
    """Coherence from .05 to .98 makes weights that differ 10,000-fold; a chain of weak pairs holds strong ones."""
    net = network(40, 60)
    phase, _ = noise(60, 40)
    coherence = np.where(np.random.default_rng(3).random(phase.shape) < 0.5, 0.01, 0.999)
    agrees(net, phase, coherence, rtol=1e-7)


def test_parts_are_counted():
    net = Network((0.0, 0.1, 0.2, 0.3, 0.4, 0.5), ((0, 1), (1, 2), (3, 4), (4, 5), (2, 3)))
    phase = np.ones((5, 4))
    phase[4, 1] = np.nan
    phase[:, 2] = np.nan
    phase[[1, 2, 4], 3] = np.nan
    series, coherence, rms, parts = agrees(net, phase, None)
    assert parts.tolist() == [1, 2, 0, 2]
    assert parts.dtype == np.int16
    np.testing.assert_allclose(series[:, 0], range(6))
    np.testing.assert_allclose(series[:, 1], [0, 1, 2, 2, 3, 4], atol=1e-12)  # no motion across the gap
    assert np.isnan(series[:, 2]).all()
    assert np.isnan(coherence[2])
    assert np.isnan(rms[2])
    assert np.isnan(series[[2, 3], 3]).all()
    np.testing.assert_allclose(series[[0, 1, 4, 5], 3], [0, 1, 1, 2], atol=1e-12)


def test_interleaved_parts_follow_one_another():
    """Even and odd dates that no pair connects move alike: the shift between them is found."""
    years = tuple(np.arange(13) / 10)
    net = Network(years, tuple((i, i + 2) for i in range(11)))
    truth = 3 * np.array(years)
    phase = np.array([[truth[b] - truth[a]] for a, b in net.pairs])
    series, *_, parts = agrees(net, phase, None)
    np.testing.assert_allclose(series[:, 0], truth, rtol=1e-9)
    assert parts == 2


def test_shift_and_scale():
    net = network(6, 9)
    phase, coherence = noise(9, 40, gaps=0.2)
    shift = np.random.default_rng(5).normal(size=9)
    shift[3] = np.nan
    found = invert_network(phase, coherence, shift, network=net, scale=-2.0)
    moved = phase - shift[:, None]
    wanted = invert_network(moved, coherence, np.zeros(9), network=net, scale=1.0)
    np.testing.assert_allclose(found[0], -2 * wanted[0], rtol=1e-12)
    np.testing.assert_array_equal(found[3], wanted[3])


def test_kinds_of_numbers_and_shapes():
    net = network(6, 9)
    phase, coherence = noise(9, 60, gaps=0.2)
    exact = invert_network(phase, coherence, np.zeros(9), network=net, scale=1.0)
    for change in (lambda a: a.astype("f4"), lambda a: a.astype(">f4")):
        single = invert_network(change(phase), change(coherence), np.zeros(9), network=net, scale=1.0)
        assert single[0].dtype == single[1].dtype == np.float32
        np.testing.assert_allclose(single[0], exact[0], rtol=1e-4, atol=1e-4)
    shaped = invert_network(
        phase.reshape(9, 6, 10), coherence.reshape(9, 6, 10), np.zeros(9), network=net, scale=1.0
    )
    np.testing.assert_array_equal(shaped[0], exact[0].reshape(6, 6, 10))
    turned = invert_network(
        np.asfortranarray(phase), np.asfortranarray(coherence), np.zeros(9), network=net, scale=1.0
    )
    np.testing.assert_array_equal(turned[0], exact[0])
    assert invert_network(phase[:, :0], None, np.zeros(9), network=net, scale=1.0)[0].shape == (6, 0)


@pytest.mark.parametrize("pixels", [1, PIXELS - 1, PIXELS, PIXELS + 1, 90])
def test_pixels_do_not_know_their_neighbours(pixels):
    net = network(8, 16)
    phase, coherence = noise(16, 100, gaps=0.3)
    whole = invert_network(phase, coherence, np.zeros(16), network=net, scale=0.3)
    part = invert_network(phase[:, -pixels:], coherence[:, -pixels:], np.zeros(16), network=net, scale=0.3)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[..., -pixels:], b)


@pytest.mark.parametrize(
    ("values", "coherence", "words"),
    [
        (np.inf, 0.5, "unwrapped_phase: .*infinite"),
        (1.0, 1.5, "coherence: .*0..1"),
        (1.0, -0.1, "coherence: "),
    ],
)
def test_values_out_of_range(values, coherence, words):
    net = network(4, 3)
    phase, weights = np.ones((3, 70)), np.full((3, 70), 0.5)
    phase[1, 66], weights[1, 66] = values, coherence
    with pytest.raises(ValueError, match=words):
        invert_network(phase, weights, np.zeros(3), network=net, scale=1.0)


def test_a_band_stays_a_band():
    """Pairs of near dates fill in little, whatever the number of dates."""
    near = tuple((i, j) for i in range(300) for j in range(i + 1, min(i + 4, 300)))
    plan = plan_of(Network(tuple(np.arange(300) / 30), near))
    assert plan.later.size < 4 * 300
    assert sorted(plan.place.tolist()) == list(range(300))
