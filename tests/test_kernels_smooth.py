"""Gaussian means over maps and dates against SciPy, plain loops and dense matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xinsar.kernels.regression import PIXELS, orthonormal
from xinsar.kernels.smooth import REACH, gaussian, half_widths, high_pass, low_pass

# ---- over maps --------------------------------------------------------------------------------------------------


def smoothed(values, width, sizes, rows=None):
    rows = np.zeros(values.shape[-2], int) if rows is None else rows
    return low_pass(values, rows, None, sizes=np.array(sizes, float).reshape(-1, 2), width=width)


def by_hand(plane, width, sizes, rows):
    """Return the mean of the valid pixels, weighted by distance, by loops over pixels and neighbours.

    Along y by the size of the pixel asked for, along x by that of the row the neighbour lies in.
    """
    out = np.full(plane.shape, np.nan)
    for y, x in np.ndindex(plane.shape):
        total = norm = 0.0
        for r, c in np.ndindex(plane.shape):
            down, right = (r - y) * sizes[rows[y]][0], (c - x) * sizes[rows[r]][1]
            near = max(abs(down), abs(right)) <= REACH * width * (1 + 1e-9)
            if near and not math.isnan(plane[r, c]):
                w = math.exp(-(down**2 + right**2) / (2 * width**2))
                total, norm = total + w * plane[r, c], norm + w
        out[y, x] = total / norm if norm > 0 else np.nan
    return out


@pytest.mark.parametrize("sizes", [(10.0, 10.0), (20.0, 10.0), (7.0, 30.0)])
@pytest.mark.parametrize("width", [30.0, 45.0, 200.0])
def test_equals_scipy_where_nothing_is_missing(sizes, width):
    """The same truncation; SciPy's edge of zeros, divided by that of ones."""
    plane = np.random.default_rng(0).normal(size=(31, 40))
    options = {
        "sigma": [width / size for size in sizes],
        "mode": "constant",
        "radius": [int(REACH * width * (1 + 1e-9) / size) for size in sizes],
    }
    wanted = gaussian_filter(plane, **options) / gaussian_filter(np.ones(plane.shape), **options)
    np.testing.assert_allclose(smoothed(plane, width, sizes), wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("width", [20.0, 35.0])
def test_equals_plain_loops_with_gaps_and_rows_of_their_own(gaps, width):
    rng = np.random.default_rng(1)
    plane = rng.normal(size=(13, 11))
    plane[rng.random(plane.shape) < gaps] = np.nan
    plane[4] = 1.0  # full rows of one kind, side by side and apart
    plane[5] = 2.0
    plane[9] = 3.0
    sizes = [(20.0, 10.0), (21.0, 9.0), (22.0, 8.5)]
    rows = np.array([0] * 4 + [1] * 5 + [2] * 4)
    np.testing.assert_allclose(
        smoothed(plane, width, sizes, rows), by_hand(plane, width, sizes, rows), rtol=1e-12, equal_nan=True
    )


def test_full_rows_share_their_weights_whatever_lies_between():
    rng = np.random.default_rng(2)
    whole = rng.normal(size=(20, 15))
    holed = whole.copy()
    holed[10, 7] = np.nan
    a, b = smoothed(whole, 20.0, (10.0, 10.0)), smoothed(holed, 20.0, (10.0, 10.0))
    far = abs(np.arange(20) - 10) > 6
    np.testing.assert_array_equal(a[far], b[far])
    assert (a[10] != b[10]).any()


def test_a_constant_stays_and_a_gap_is_filled():
    plane = np.full((9, 9), 2.5, np.float32)
    plane[3:5, 2:7] = np.nan
    found = smoothed(plane, 20.0, (10.0, 10.0))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(2.5))


def test_nothing_in_reach_is_missing():
    plane = np.full((3, 40), np.nan)
    plane[:, 0] = 1.0
    found = smoothed(plane, 20.0, (10.0, 10.0))
    assert np.isfinite(found[0]).tolist() == [True] * 7 + [False] * 33


def test_planes_and_dtypes():
    values = np.random.default_rng(3).integers(-9, 9, (2, 3, 8, 9))
    found = smoothed(values, 15.0, (10.0, 10.0))
    assert found.shape == values.shape
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[1, 2], smoothed(values[1, 2].astype(float), 15.0, (10.0, 10.0)))


def test_blocks_with_a_halo_have_the_bits_of_the_whole():
    values = np.random.default_rng(4).normal(size=(40, 50)).astype(np.float32)
    values[np.random.default_rng(5).random(values.shape) < 0.1] = np.nan
    sizes, rows = [(10.0, 12.0), (10.0, 11.0)], np.repeat([0, 1], 20)
    whole = smoothed(values, 25.0, sizes, rows)
    depth = half_widths(np.array(sizes), 25.0, values.shape).max(axis=0)
    assert depth.tolist() == [7, 6]
    top, left = 13 - depth[0], 17 - depth[1]
    block = smoothed(
        values[top : 30 + depth[0], left : 40 + depth[1]], 25.0, sizes, rows[top : 30 + depth[0]]
    )
    inside = block[depth[0] : -depth[0], depth[1] : -depth[1]]
    np.testing.assert_array_equal(inside, whole[13:30, 17:40])


def test_the_image_bounds_the_halo():
    assert half_widths(np.array([[10.0, 20.0]]), 1000.0, (50, 70)).tolist() == [[50, 70]]
    assert half_widths(np.array([[10.0, 20.0]]), 10.0, (50, 70)).tolist() == [[3, 1]]


def test_a_gaussian_ends_at_its_reach():
    found = gaussian(np.array([0.0, -2.0, 6.0, 6.1]), 2.0)
    np.testing.assert_allclose(found, [1, np.exp(-0.5), np.exp(-4.5), 0])


# ---- over dates -------------------------------------------------------------------------------------------------


def rough_by_hand(series, functions, weights):
    """Return one series less its model and less the mean over dates of what is left, by lstsq and a loop."""
    out = np.full(series.size, np.nan)
    known = np.isfinite(series)
    matrix = functions[:, known].T
    if known.sum() <= len(functions) or np.linalg.matrix_rank(matrix) < len(functions):
        return out
    rest = series[known] - matrix @ np.linalg.lstsq(matrix, series[known], rcond=None)[0]
    for t in np.flatnonzero(known):
        w = weights[t, known]
        out[t] = rest[np.flatnonzero(known).tolist().index(t)] - (w * rest).sum() / w.sum()
    return out


@pytest.mark.parametrize("width", [5.0, 40.0, 1e4])
@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.85])
def test_equals_least_squares_and_a_plain_mean(width, gaps):
    rng = np.random.default_rng(6)
    days = np.cumsum(rng.choice([6.0, 12.0, 36.0], 25))
    functions = np.array([np.ones(25), days - days.mean(), np.sin(days / 58), np.cos(days / 58)])
    series = rng.normal(size=(25, PIXELS + 9))
    series[rng.random(series.shape) < gaps] = np.nan
    weights = gaussian(days[:, None] - days, width)
    basis, _ = orthonormal(functions, 1)
    found = high_pass(series, basis=basis, weights=weights)
    for x in range(series.shape[1]):
        wanted = rough_by_hand(series[:, x], functions, weights)
        np.testing.assert_allclose(found[:, x], wanted, rtol=1e-7, atol=1e-9)
    assert np.isfinite(found).any()


def test_as_many_dates_as_functions_are_missing():
    days = 12.0 * np.arange(5)
    basis, _ = orthonormal(np.array([np.ones(5), days - days.mean()]), 1)
    series = np.random.default_rng(7).normal(size=(5, 4)).astype(np.float32)
    series[2:, 0] = np.nan
    series[3:, 1] = np.nan
    found = high_pass(series, basis=basis, weights=np.ones((5, 5)))
    assert found.dtype == np.float32
    assert np.isfinite(found).sum(axis=0).tolist() == [0, 3, 5, 5]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values(value):
    series = np.zeros((3, 4))
    series[1, 2] = value
    with pytest.raises(ValueError, match=r"^displacement: .*infinite"):
        high_pass(series, basis=np.ones((1, 3)), weights=np.ones((3, 3)))
