"""Exact sums: held against fractions, and against any way of cutting the values up."""

from __future__ import annotations

from fractions import Fraction
from math import isnan, ldexp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xinsar.kernels.exact import Sums, fixed_point, moments_of, partial_sums, sums_of, z_score

NUMBERS = st.just(np.nan) | st.floats(-1e30, 1e30)
FINE = st.just(np.nan) | st.floats(-(2.0**100), 2.0**100, width=32)


def plain(values):
    """Count, mean and standard deviation by rational arithmetic."""
    exact = [Fraction(float(v)) for v in np.ravel(values) if not np.isnan(v)]
    if not exact:
        return 0, np.nan, np.nan
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / len(exact)
    if variance < Fraction(2) ** -500:  # its own value may be too small for a float
        return len(exact), float(mean), ldexp(sqrt(variance * 2**1400), -700)
    return len(exact), float(mean), sqrt(variance)


def agree(values):
    count, mean, std, peak = moments_of(sums_of(values))
    wanted = plain(values)
    assert count == wanted[0]
    if not count:
        assert isnan(mean)
        assert isnan(std)
        return
    assert mean == wanted[1]
    assert std == wanted[2]
    assert peak >= np.nanmax(np.abs(values.astype(float) - mean))


@given(values=arrays.arrays(np.float64, st.integers(0, 40), elements=NUMBERS))
@settings(max_examples=200, deadline=None)
def test_moments_are_those_of_rational_arithmetic(values):
    agree(values)


@given(values=arrays.arrays(np.float32, st.integers(0, 40), elements=FINE))
@settings(max_examples=200, deadline=None)
def test_moments_of_float32_are_exact_too(values):
    agree(values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cut_and_any_order_gives_the_same_sums(dtype):
    rng = np.random.default_rng(3)
    values = (np.exp(12 * rng.normal(size=5000)) * rng.choice([-1, 1], 5000)).astype(dtype)
    values[rng.random(5000) < 0.2] = np.nan
    whole = sums_of(values)
    for _ in range(5):
        cuts = np.sort(rng.integers(0, 5000, 7))
        parts = [sums_of(part) for part in np.split(rng.permutation(values), cuts)]
        assert sum(parts, Sums()) == whole
    assert sums_of(values[::-1]) == whole


def test_a_field_far_from_zero_keeps_its_spread():
    noise = np.random.default_rng(0).normal(size=4000)
    _, _, std, _ = moments_of(sums_of(noise + 1e9))
    assert std == pytest.approx(plain(noise + 1e9)[2], rel=1e-15)


def test_a_constant_field_has_no_spread_at_all():
    for value in (0.1, -3e7, 5e-324):
        count, mean, std, peak = moments_of(sums_of(np.full(1000, value)))
        assert (count, mean, std, peak) == (1000, value, 0, 0)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_spreads_whose_square_no_float_holds(size):
    count, mean, std, _ = moments_of(sums_of(size * np.array([1.0, 3.0, 5.0, 7.0])))
    assert (count, mean) == (4, pytest.approx(4 * size, rel=1e-15))
    assert std == pytest.approx(sqrt(5) * size, rel=1e-14)


def test_integers_are_taken_as_numbers():
    assert moments_of(sums_of(np.array([1, 2, 3])))[:2] == (3, 2)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_an_error_that_names_the_remedy(value):
    with pytest.raises(ValueError, match="infinite one; mark it missing"):
        sums_of(np.array([1.0, value, 2.0]))


def test_partial_sums_keep_the_reduced_axes():
    block = np.arange(24.0).reshape(2, 3, 4)
    parts = partial_sums(block, (-2, -1))
    assert parts.shape == (2, 1, 1)
    assert [p.count for p in parts.ravel()] == [12, 12]
    assert moments_of(parts[1, 0, 0])[1] == block[1].mean()
    over = partial_sums(block, (0, 2))
    assert over.shape == (1, 3, 1)
    assert moments_of(over[0, 1, 0])[1] == block[:, 1].mean()


@pytest.mark.parametrize("peak", [1e-280, 0.037, 1.0, 3.0, 1e12])
@pytest.mark.parametrize("bits", [28, 40])
def test_fixed_point_fills_its_bits(peak, bits):
    unit = fixed_point(peak, bits)
    assert np.frexp(unit)[0] == 0.5
    assert peak * unit <= 2.0**bits
    assert peak * unit * 2 > 2.0 ** (bits - 1)


@pytest.mark.parametrize("peak", [0.0, 1e-300, np.nan, np.inf])
def test_fixed_point_of_no_spread_is_zero(peak):
    assert fixed_point(peak, 40) == 0


def test_z_score_is_the_formula_and_nan_where_it_has_no_value():
    assert z_score(3.0, 4.0, 4.0, 10.0, 2.0) == pytest.approx(3 / (2 * sqrt((10 * 4 - 16) / 9)), rel=1e-15)
    for w, n, std in ((10.0, 10.0, 2.0), (1.0, 1.0, 2.0), (3.0, 10.0, 0.0), (0.0, 10.0, 1.0)):
        assert isnan(z_score(1.0, w, w, n, std)), (w, n, std)
