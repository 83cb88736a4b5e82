"""Closures and their counts against plain loops over dates and pixels."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinsar.kernels.closure import PIXELS, closure_statistics, phase_closure, triplets_of


def three_dates(pairs):
    """Return the triplets of pairs by looking at every three dates."""
    number = {pair: k for k, pair in enumerate(pairs)}
    dates = sorted({date for pair in pairs for date in pair})
    return [
        [number[i, j], number[j, k], number[i, k]]
        for i, j, k in combinations(dates, 3)
        if {(i, j), (j, k), (i, k)} <= set(number)
    ]


def found_triplets(pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return triplets_of(first, second)


def closure_of(one, two, across, *, wrapped):
    """Return the closure of three floats, wrapped by their phasor."""
    value = one + two - across
    return math.atan2(math.sin(value), math.cos(value)) if wrapped and not math.isnan(value) else value


def by_hand(phase, triplets, *, wrapped, tolerance):
    """Return rms, counts (3) and pair counts by loops over pixels and triplets."""
    pairs, pixels = phase.shape
    rms, counts = np.full(pixels, np.nan), np.zeros((3, pixels), int)
    of_pairs = np.zeros((2, pairs), int)
    for x in range(pixels):
        closures, checked = [], set()
        for triplet in triplets:
            value = closure_of(*(float(phase[k, x]) for k in triplet), wrapped=wrapped)
            if math.isnan(value):
                continue
            closures.append(value)
            checked |= set(triplet)
            for k in triplet:
                of_pairs[0, k] += 1
                of_pairs[1, k] += abs(value) > tolerance
        valid = {k for k in range(pairs) if not math.isnan(phase[k, x])}
        counts[:, x] = (
            len(closures),
            sum(abs(value) > tolerance for value in closures),
            len(valid - checked),
        )
        if closures:
            rms[x] = math.sqrt(sum(value**2 for value in closures) / len(closures))
    return rms, counts, of_pairs


@st.composite
def networks(draw):
    """Draw pairs of dates in any order."""
    pairs = st.tuples(st.integers(0, 7), st.integers(1, 5)).map(lambda p: (p[0], p[0] + p[1]))
    return draw(st.lists(pairs, min_size=1, max_size=20, unique=True))


@given(networks())
def test_triplets_are_all_of_them_in_the_order_of_dates(pairs):
    found = found_triplets(pairs)
    assert found.dtype == np.int64
    assert found.tolist() == three_dates(pairs)


def test_known_triplets():
    assert found_triplets([(0, 1), (0, 2), (1, 2)]).tolist() == [[0, 2, 1]]
    assert found_triplets([(0, 1), (1, 2), (2, 3)]).shape == (0, 3)
    everything = list(combinations(range(9), 2))
    assert len(found_triplets(everything)) == math.comb(9, 3)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gaps", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("pixels", [1, PIXELS, PIXELS + 5])
def test_statistics_equal_plain_loops(wrapped, dtype, gaps, pixels):
    rng = np.random.default_rng(pixels)
    pairs = [(i, i + d) for i in range(6) for d in (1, 2, 3)]
    triplets = found_triplets(pairs)
    shape = len(pairs), pixels
    phase = (rng.uniform(-np.pi, np.pi, shape) if wrapped else 3 * rng.normal(size=shape)).astype(dtype)
    phase[rng.random(shape) < gaps] = np.nan
    rms, *counts, of_pairs = closure_statistics(phase, triplets=triplets, wrapped=wrapped, tolerance=1.5)
    wanted = by_hand(phase, triplets, wrapped=wrapped, tolerance=1.5)
    assert rms.dtype == dtype
    np.testing.assert_allclose(rms, wanted[0], rtol=1e-6 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(counts, wanted[1])
    np.testing.assert_array_equal(of_pairs, wanted[2])
    assert all(c.dtype == np.int32 for c in counts)


@pytest.mark.parametrize("wrapped", [False, True])
def test_closures_equal_plain_arithmetic(wrapped):
    rng = np.random.default_rng(0)
    three = rng.uniform(-np.pi, np.pi, (3, 4, 5))
    three[1, 2, 3] = np.nan
    found = phase_closure(*three, wrapped=wrapped)
    for place in np.ndindex(4, 5):
        wanted = closure_of(*three[(slice(None), *place)], wrapped=wrapped)
        np.testing.assert_allclose(found[place], wanted, atol=1e-12)
    assert phase_closure(*three.astype(np.float32), wrapped=wrapped).dtype == np.float32
    assert phase_closure(*np.zeros((3, 2, 2), int), wrapped=wrapped).dtype == np.float64


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_wrapped_pairs_close_as_their_unwrapped_ones_do(unwrapped):
    """W(W(a) + W(b) - W(c)) = W(a + b - c)."""
    phase = np.array(unwrapped)[:, None]
    loose = phase_closure(*phase, wrapped=False)
    found = phase_closure(*np.angle(np.exp(1j * phase)), wrapped=True)
    assert abs(np.angle(np.exp(1j * (loose - found)))) < 1e-9


def test_half_a_turn_is_positive():
    phase = np.array([[-np.pi], [np.pi / 2], [np.pi / 2]])
    assert phase_closure(*phase, wrapped=True)[0] == np.pi
    assert phase_closure(*phase, wrapped=False)[0] == -np.pi


def test_the_tolerance_itself_closes():
    phase = np.array([[1.0, 1.0], [0.5, 0.5], [0.0, np.nextafter(0, -1) - 1e-9]])
    triplets = np.array([[0, 1, 2]])
    _, count, errors, _, _ = closure_statistics(phase, triplets=triplets, wrapped=False, tolerance=1.5)
    assert count.tolist() == [1, 1]
    assert errors.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("value", "wrapped", "words"),
    [
        (np.inf, False, "^unwrapped_phase: .*infinite"),
        (-np.inf, True, "^phase: .*infinite"),
        (3.2, True, "^phase: .*within"),
    ],
)
def test_illegal_values(value, wrapped, words):
    phase = np.zeros((3, 4))
    phase[1, 2] = value
    with pytest.raises(ValueError, match=words):
        phase_closure(*phase, wrapped=wrapped)
    with pytest.raises(ValueError, match=words):
        closure_statistics(phase, triplets=np.array([[0, 1, 2]]), wrapped=wrapped, tolerance=1.0)
