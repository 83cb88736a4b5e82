"""coherence_filter: against the plain loops, and what it promises about gaps, edges and chunks."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests import oracles, strategies
from tests.helpers import assert_same_everywhere, built_lazily, in_chunks, make_cube, random_cube, same_bits

wrap = oracles.wrap


def parts(ds):
    return ds.phase.values, ds.coherence.values if "coherence" in ds else None


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize(("window", "coherence"), [(1, True), (5, True), (3, False)])
def test_equals_plain_loops(window, fill, coherence):
    ds = random_cube((2, 8, 9), seed=window, gaps=0.3, coherence=coherence)
    phase, consistency = oracles.coherence_filter(*parts(ds), window=window, fill=fill)
    found = xinsar.coherence_filter(ds, window=window, fill=fill)
    np.testing.assert_array_equal(np.isnan(found.phase), np.isnan(phase))
    np.testing.assert_array_equal(np.isnan(found.phase_consistency), np.isnan(consistency))
    sure = consistency > 0.05
    assert np.abs(wrap(found.phase.values - phase))[sure].max() < 1e-5
    np.testing.assert_allclose(found.phase_consistency, consistency, atol=1e-6)


def test_default_window_is_five():
    ds = random_cube()
    same_bits(
        xinsar.coherence_filter(ds).drop_attrs(),
        xinsar.coherence_filter(ds, window=5, fill=False).drop_attrs(),
    )


def test_window_of_one_keeps_the_phase():
    ds = random_cube().fillna({"coherence": 0.5})
    ds["coherence"] = ds.coherence.clip(0.1, 1)
    found = xinsar.coherence_filter(ds, window=1)
    np.testing.assert_allclose(found.phase, ds.phase, atol=5e-7)
    np.testing.assert_allclose(found.phase_consistency.values[~np.isnan(ds.phase)], 1, atol=1e-6)


@pytest.mark.parametrize(("window", "expected"), [(5, 0.886 / 5), (1, 1.0)])
def test_consistency_of_noise(window, expected):
    phase = np.random.default_rng(1).uniform(-np.pi, np.pi, (1, 200, 200))
    cube = make_cube(phase, np.full_like(phase, 0.5))
    found = xinsar.coherence_filter(cube, window=window).phase_consistency
    half = window // 2
    inner = found.isel(y=slice(half, -half or None), x=slice(half, -half or None))
    assert float(inner.mean()) == pytest.approx(expected, rel=0.03)


def test_missing_centre_stays_missing_unless_filled():
    ds = make_cube(np.full((1, 5, 5), 0.7), np.full((1, 5, 5), 0.5))
    ds.phase[0, 2, 2] = np.nan
    kept, filled = (
        xinsar.coherence_filter(ds, window=5, fill=f).phase.values[0, 2, 2] for f in (False, True)
    )
    assert np.isnan(kept)
    assert filled == pytest.approx(0.7, abs=1e-6)


def test_missing_coherence_is_a_missing_pixel():
    ds = make_cube(np.full((1, 5, 5), 0.7), np.full((1, 5, 5), 0.5))
    ds.coherence[0, 2, 2] = np.nan
    found = xinsar.coherence_filter(ds, window=5).phase
    assert np.isnan(found.values[0, 2, 2])
    assert int(found.isnull().sum()) == 1


def test_zero_coherence_everywhere_gives_nan_not_zero():
    ds = make_cube(np.full((1, 4, 4), 0.7), np.zeros((1, 4, 4)))
    found = xinsar.coherence_filter(ds, window=5, fill=True)
    assert found.phase.isnull().all()
    assert found.phase_consistency.isnull().all()


def test_zero_coherence_at_the_centre_is_there():
    coherence = np.full((1, 3, 3), 0.5)
    coherence[0, 1, 1] = 0
    assert (
        xinsar.coherence_filter(make_cube(np.full((1, 3, 3), 0.7), coherence), window=5).phase.notnull().all()
    )


def test_scale_of_coherence_does_not_matter():
    ds = random_cube(gaps=0)
    half = ds.assign(coherence=ds.coherence * np.float32(0.5))
    a, b = xinsar.coherence_filter(ds), xinsar.coherence_filter(half)
    np.testing.assert_array_equal(a.phase, b.phase)


def test_tiny_coherence_is_a_weight_like_any_other():
    ds = random_cube((2, 6, 7), gaps=0)
    tiny = ds.assign(coherence=ds.coherence * np.float32(1e-12))
    a, b = xinsar.coherence_filter(ds), xinsar.coherence_filter(tiny)
    assert np.abs(wrap(a.phase.values - b.phase.values)).max() < 1e-4


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (2, 9, 1), (1, 2, 2)])
def test_small_images(shape):
    ds = random_cube(shape, gaps=0)
    found = xinsar.coherence_filter(ds)
    phase, _ = oracles.coherence_filter(*parts(ds), window=5)
    assert np.abs(wrap(found.phase.values - phase)).max() < 1e-5


def test_same_everywhere():
    for window in (1, 5):
        assert_same_everywhere(lambda ds, w=window: xinsar.coherence_filter(ds, window=w), random_cube())
    assert_same_everywhere(
        lambda ds: xinsar.coherence_filter(ds, window=3, fill=True), random_cube(coherence=False)
    )


@given(data=st.data(), fill=st.booleans())
@settings(max_examples=30, deadline=None)
def test_chunks_never_change_a_bit(data, fill):
    ds = data.draw(strategies.cubes())
    window = data.draw(strategies.windows(ds))
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    lazy = built_lazily(lambda d: xinsar.coherence_filter(d, window=window, fill=fill), chunked)
    same_bits(lazy.compute(scheduler="synchronous"), xinsar.coherence_filter(ds, window=window, fill=fill))


def test_only_phase_or_only_coherence_in_chunks():
    ds = random_cube()
    wanted = xinsar.coherence_filter(ds)
    for name in ("phase", "coherence"):
        mixed = ds.assign({name: ds[name].chunk({"pair": 2, "y": 4, "x": 5})})
        same_bits(xinsar.coherence_filter(mixed).compute(), wanted)
    different = ds.assign(phase=ds.phase.chunk({"y": 3}), coherence=ds.coherence.chunk({"x": 5}))
    same_bits(xinsar.coherence_filter(different).compute(), wanted)


def test_leading_dims_pass_through():
    ds = random_cube((3, 6, 7))
    stacked = xr.concat([ds, ds.isel(y=slice(None, None, -1)).assign_coords(y=ds.y)], "track")
    found = xinsar.coherence_filter(stacked[["phase", "coherence"]].transpose("track", "pair", "y", "x"))
    assert found.phase.dims == ("track", "pair", "y", "x")
    np.testing.assert_array_equal(found.phase[0], xinsar.coherence_filter(ds).phase)


def test_output_is_described_and_input_untouched():
    ds = random_cube().assign_attrs(history="made")
    before = ds.copy(deep=True)
    found = xinsar.coherence_filter(ds, window=5)
    xr.testing.assert_identical(ds, before)
    assert list(found) == ["phase", "phase_consistency"]
    assert found.phase.attrs["units"] == "rad"
    assert found.phase.dtype == found.phase_consistency.dtype == np.float32
    assert found.attrs["track"] == 26
    assert found.attrs["history"].splitlines() == ["made", "xinsar.coherence_filter(window=5, fill=False)"]
    assert "spatial_ref" in found.coords


@pytest.mark.parametrize(
    ("window", "error", "words"),
    [
        (4, ValueError, "use 3 or 5"),
        (0, ValueError, "use 1$"),
        (-3, ValueError, "use 1$"),
        (2.5, TypeError, "2.5"),
    ],
)
def test_bad_windows(window, error, words):
    with pytest.raises(error, match=rf"^window: expected an odd .*{words}"):
        xinsar.coherence_filter(random_cube(), window=window)


def test_window_may_be_a_numpy_integer_but_not_a_bool():
    xinsar.coherence_filter(random_cube(), window=np.int64(5))
    with pytest.raises(TypeError, match="window"):
        xinsar.coherence_filter(random_cube(), window=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.drop_vars("phase"), r"phase: .*coherence.*open_stack"),
        (lambda ds: ds.isel(pair=0), r"phase: expected trailing dims .*expand_dims\('pair'\)"),
        (lambda ds: ds.transpose("y", "x", "pair"), r"phase: .*transpose"),
        (lambda ds: ds.assign(phase=ds.phase.astype(complex)), r"phase: .*complex.*numpy.angle"),
        (
            lambda ds: ds.assign(phase=ds.phase.assign_attrs(units="m")),
            r"phase: expected units 'rad', got 'm'",
        ),
        (lambda ds: ds.assign(coherence=ds.coherence.isel(pair=0, drop=True)), r"coherence: .*expand_dims"),
        (lambda ds: ds.assign(coherence=ds.coherence.assign_attrs(units="m")), r"coherence: .*units"),
    ],
)
def test_wrong_form_is_a_schema_error(change, words):
    with pytest.raises(xinsar.SchemaError, match=words):
        xinsar.coherence_filter(change(random_cube()))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("phase", 4.0, r"^phase: expected .*\(-pi, pi\] .*wrap it"),
        ("phase", np.inf, r"^phase: expected .*NaN"),
        ("coherence", 1.5, r"^coherence: expected values within 0..1, got values from .*1.5.*divide by 255"),
        ("coherence", -0.2, r"^coherence: expected values within 0..1"),
        ("coherence", np.inf, r"^coherence: expected values within 0..1"),
    ],
)
def test_values_out_of_range_are_told_when_computed(name, value, words):
    ds = random_cube(gaps=0.1)
    ds[name][3, 7, 2] = value
    ds[{"phase": "coherence", "coherence": "phase"}[name]][3, 7, 2] = 0.5
    with pytest.raises(ValueError, match=words):
        xinsar.coherence_filter(ds)
    lazy = built_lazily(xinsar.coherence_filter, in_chunks(ds, {"y": 4, "x": 4, "pair": 2}))
    with pytest.raises(ValueError, match=words), dask.config.set(scheduler="synchronous"):
        lazy.compute()


def test_not_a_dataset():
    with pytest.raises(TypeError, match="Dataset"):
        xinsar.coherence_filter(random_cube().phase)
