"""p values, Benjamini-Hochberg by counting, and classes of confidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import false_discovery_control, norm

from tests.helpers import built_lazily
from xinsar.operations.significance import benjamini_hochberg, confidence_classes, p_value_of

DTYPES = (np.float32, np.float64)


def step_up(p, alpha):
    """The rule as it is written: sort, find the last rank below the line, take what is not above."""
    ordered = sorted(float(v) for v in np.ravel(p) if not math.isnan(v))
    limit = -1.0
    for k, value in enumerate(ordered, 1):
        if value <= alpha * k / len(ordered):
            limit = value
    return np.asarray(p, float) <= limit


def points(p):
    return xr.DataArray(p, dims="point")


def found(p, alpha):
    return benjamini_hochberg(points(p), alpha=alpha, dims=("point",)).values


def with_gaps(p, rng, share=0.1):
    p[rng.random(p.shape) < share] = np.nan
    return p


# ---- p values -------------------------------------------------------------------------------------------------


def test_p_values_are_those_of_the_normal_distribution():
    z = xr.DataArray(np.linspace(-8, 8, 101).reshape(1, 101), dims=("y", "x"), attrs={"units": "m"})
    p = p_value_of(z)
    np.testing.assert_allclose(p, 2 * norm.sf(abs(z)), rtol=1e-13)
    assert p.name == "p_value"
    assert p.attrs["units"] == "1"


@pytest.mark.parametrize("dtype", DTYPES)
def test_p_values_keep_the_dtype_and_are_lazy(dtype):
    z = points(np.array([0, 1.5, np.nan, -3], dtype))
    lazy = built_lazily(p_value_of, z.chunk(point=3))
    assert lazy.dtype == dtype
    assert lazy.chunks == ((3, 1),)
    wanted = p_value_of(z)
    assert wanted.dtype == dtype
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), wanted)


# ---- Benjamini-Hochberg -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3, 1.0])
def test_equals_sorting(dtype, alpha):
    rng = np.random.default_rng(1)
    for power in (1, 2, 5, 20):
        p = with_gaps((rng.random(3000) ** power).astype(dtype), rng)
        np.testing.assert_array_equal(found(p, alpha), step_up(p, alpha))


def test_equals_scipy():
    rng = np.random.default_rng(2)
    p = rng.random(5000) ** 4
    for alpha in (0.01, 0.05, 0.2):
        np.testing.assert_array_equal(found(p, alpha), false_discovery_control(p) <= alpha)


@given(
    p=hnp.arrays(
        st.sampled_from(DTYPES),
        st.integers(1, 40),
        elements=st.one_of(
            st.floats(0, 1, width=32),
            st.sampled_from([0.0, 1.0, 0.0125, 0.025, 0.05, 1e-30, 1e-42, math.nan]),
        ),
    ),
    alpha=st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]),
)
@settings(max_examples=300, deadline=None)
def test_equals_sorting_with_ties_and_extremes(p, alpha):
    np.testing.assert_array_equal(found(p, alpha), step_up(p, alpha))


@pytest.mark.parametrize("factor", [0.999, 1.0, 1.001])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_along_the_line(factor, dtype):
    """Where p(k) runs along alpha k / n every bin is in doubt."""
    n = 2000
    p = (factor * 0.05 * np.arange(1, n + 1) / n).astype(dtype)
    rng = np.random.default_rng(3)
    p = (p * rng.uniform(0.999, 1.001, n)).astype(dtype)
    rng.shuffle(p)
    np.testing.assert_array_equal(found(p, 0.05), step_up(p, 0.05))


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        ([0.05], [True]),
        ([0.0500001], [False]),
        ([0.0, 1.0, 1.0, 1.0], [True, False, False, False]),
        ([1.0, 1.0, 1.0], [False, False, False]),
        ([0.04, 0.04, 0.04], [True, True, True]),
        ([0.02, 0.06, 0.04], [False, False, False]),
        ([0.03, 0.05, 0.04], [True, True, True]),
        ([math.nan, 0.05], [False, True]),
        ([math.nan, math.nan], [False, False]),
        ([], []),
    ],
)
def test_by_hand(p, wanted):
    assert found(np.array(p, float), 0.05).tolist() == wanted


def test_a_missing_value_does_not_count():
    p = np.array([0.03, 0.9])
    assert found(p, 0.05).tolist() == [False, False]
    assert found(np.array([0.03, np.nan]), 0.05).tolist() == [True, False]


@pytest.mark.parametrize("dims", [("y", "x"), ("time", "y", "x")])
@pytest.mark.parametrize(
    "chunks",
    [
        {"time": 1, "y": 7, "x": 5},
        {"time": 3, "y": 11, "x": 13},
        {"time": 2, "y": 1, "x": 13},
        {"time": 3, "y": 4, "x": 1},
    ],
)
def test_chunks_never_change_a_flag(dims, chunks):
    rng = np.random.default_rng(4)
    scale = np.array([0.5, 2, 9])[:, None, None]
    p = with_gaps((rng.random((3, 11, 13)) ** scale).astype(np.float32), rng)
    array = xr.DataArray(
        p, dims=("time", "y", "x"), coords={"y": np.arange(11.0), "time": [1, 2, 3]}, name="p_value"
    )
    parts = p if dims == ("y", "x") else [p]
    wanted = np.stack([step_up(part, 0.05) for part in parts]).reshape(p.shape)
    assert 0 < wanted.mean() < 1
    whole = benjamini_hochberg(array, alpha=0.05, dims=dims)
    lazy = built_lazily(lambda a: benjamini_hochberg(a, alpha=0.05, dims=dims), array.chunk(chunks))
    assert lazy.dtype == bool
    assert lazy.dims == array.dims
    assert lazy.chunks == array.chunk(chunks).chunks
    for result in (whole, lazy.compute(scheduler="synchronous")):
        np.testing.assert_array_equal(result, wanted)
        xr.testing.assert_identical(result.y, array.y)


def test_each_leading_index_has_its_own_threshold():
    p = np.array([[0.04, 0.04], [0.04, 0.9]])
    array = xr.DataArray(p, dims=("time", "point"))
    own = benjamini_hochberg(array, alpha=0.05, dims=("point",))
    assert own.values.tolist() == [[True, True], [False, False]]
    shared = benjamini_hochberg(array, alpha=0.05, dims=("time", "point"))
    assert not shared.any()
    array[1, 1] = 0.05
    assert benjamini_hochberg(array, alpha=0.05, dims=("time", "point")).all()


def test_false_discoveries_are_as_rare_as_promised():
    """Of the flags on a mixture of noise and signal about alpha times the share of noise are false."""
    rng = np.random.default_rng(5)
    noise = rng.random(60_000)
    p = np.concatenate([noise, rng.random(20_000) ** 20])
    flags = found(p, 0.1)
    rate = flags[: noise.size].sum() / flags.sum()
    assert 0.05 < rate < 0.1


def test_argument_is_not_changed():
    p = np.array([0.5, 1e-9, np.nan])
    before = p.copy()
    found(p, 0.05)
    np.testing.assert_array_equal(p, before)


@pytest.mark.parametrize(
    ("alpha", "error"), [("5 %", TypeError), (None, TypeError), (5, ValueError), (-0.1, ValueError)]
)
def test_bad_alpha(alpha, error):
    with pytest.raises(error, match=r"^alpha: expected a number"):
        benjamini_hochberg(points(np.ones(3)), alpha=alpha, dims=("point",))


# ---- classes ----------------------------------------------------------------------------------------------------


def test_classes_follow_the_quantiles():
    for p, level in ((0.10, 1), (0.05, 2), (0.01, 3)):
        limit = norm.isf(p / 2)
        z = points(np.array([limit - 1e-6, limit + 1e-6, -limit + 1e-6, -limit - 1e-6]))
        assert confidence_classes(z).values.tolist() == [level - 1, level, 1 - level, -level]


@pytest.mark.parametrize("dtype", DTYPES)
def test_classes_of_special_values(dtype):
    z = points(np.array([0, -0.0, np.nan, np.inf, -np.inf], dtype))
    classes = confidence_classes(z)
    assert classes.dtype == np.float32
    np.testing.assert_array_equal(classes, [0, 0, np.nan, 3, -3])
    assert not np.signbit(classes.values[:2]).any()


def test_classes_agree_with_p_values_and_are_lazy():
    z = points((3 * np.random.default_rng(6).standard_normal(500)).astype(np.float32))
    p = p_value_of(z)
    wanted = np.sign(z) * ((p <= 0.1).astype(int) + (p <= 0.05) + (p <= 0.01))
    np.testing.assert_array_equal(confidence_classes(z), wanted)
    lazy = built_lazily(confidence_classes, z.chunk(point=77))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), wanted)
