"""stability_threshold: NumPy's standard deviation, maps and points, chunks, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import xinsar
from tests.helpers import built_lazily, in_chunks, same_bits, with_crs
from tests.strategies import chunkings
from xinsar.operations.stability import stability_threshold

CHUNKINGS = ({"y": -1, "x": -1}, {"y": 5, "x": 4}, {"y": 1, "x": 7}, {"y": 6, "x": 1})


def velocities(shape=(11, 13), *, gaps=0.1, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.002, 0.01, shape)
    values[rng.random(shape) < gaps] = np.nan
    ds = xr.Dataset(
        {"velocity": (("y", "x"), values.astype(dtype), {"units": "m year-1"})},
        {"y": 5_000_000 - 20.0 * np.arange(shape[0]), "x": 500_000 + 20.0 * np.arange(shape[1])},
        {"track": 26, "history": "made"},
    )
    return with_crs(ds, "EPSG:32633")


def as_points(ds):
    return ds.stack(point=("y", "x"), create_index=False)


@pytest.mark.parametrize("k", [0.5, 1.5, 2.0, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_numpy(k, dtype):
    ds = velocities(dtype=dtype)
    values = ds.velocity.values.astype(float)
    found = stability_threshold(ds, k=k)
    assert found.stability_threshold.shape == ()
    assert found.stability_threshold.dtype == np.float64
    np.testing.assert_allclose(found.stability_threshold, k * np.nanstd(values), rtol=1e-12)
    assert found.moving.dtype == bool
    for y, x in np.ndindex(values.shape):
        moves = not math.isnan(values[y, x]) and abs(values[y, x]) > k * np.nanstd(values)
        assert bool(found.moving[y, x]) == moves


def test_a_normal_field_moves_as_often_as_the_normal_distribution_says():
    values = np.random.default_rng(1).normal(0, 0.004, (300, 400))
    found = stability_threshold(xr.DataArray(values, dims=("y", "x")))
    assert float(found.stability_threshold) == pytest.approx(0.008, rel=0.01)
    assert float(found.moving.mean()) == pytest.approx(2 * norm.sf(2), rel=0.03)


def test_the_spread_is_about_the_mean_and_velocities_about_0():
    """A constant moves nowhere beyond 0 spread, and everywhere as soon as it is not 0: refer first."""
    flat = xr.DataArray(np.full((4, 5), 0.03), dims=("y", "x"))
    found = stability_threshold(flat)
    assert found.stability_threshold == 0
    assert found.moving.all()
    assert not stability_threshold(0 * flat).moving.any()
    ds = velocities(dtype=np.float64)
    lifted = stability_threshold(ds.velocity + 1)
    np.testing.assert_allclose(
        lifted.stability_threshold, stability_threshold(ds).stability_threshold, rtol=1e-9
    )
    np.testing.assert_array_equal(lifted.moving, ds.velocity.notnull())


def test_missing_does_not_move():
    nothing = stability_threshold(velocities() * np.nan)
    assert nothing.stability_threshold.isnull()
    assert not nothing.moving.any()
    one = stability_threshold(xr.DataArray([[np.nan, -0.2]], dims=("y", "x")))
    assert one.moving.values.tolist() == [[False, True]]


@pytest.mark.parametrize("options", [{}, {"k": 1.0}])
@pytest.mark.parametrize("points", [False, True])
def test_in_every_chunking(options, points):
    ds = as_points(velocities()) if points else velocities()
    wanted = stability_threshold(ds, **options)
    for chunks in ({"point": 7}, {"point": -1}) if points else CHUNKINGS:
        chunked = in_chunks(ds, chunks)
        lazy = built_lazily(lambda d: stability_threshold(d, **options), chunked)
        assert lazy.stability_threshold.chunks is not None
        assert lazy.moving.chunks == chunked.velocity.chunks
        same_bits(lazy.compute(scheduler="synchronous"), wanted)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_chunks_of_any_size_of_number(data):
    scale = 10.0 ** data.draw(st.integers(-30, 30))
    ds = velocities(seed=data.draw(st.integers(0, 99)), dtype=np.float64) * scale
    chunked = in_chunks(ds, data.draw(chunkings(ds)))
    same_bits(stability_threshold(chunked).compute(scheduler="synchronous"), stability_threshold(ds))


def test_points_are_pixels():
    ds = velocities()
    found, wanted = stability_threshold(as_points(ds)), stability_threshold(ds)
    assert found.stability_threshold == wanted.stability_threshold
    assert found.moving.dims == ("point",)
    np.testing.assert_array_equal(found.moving, wanted.moving.values.ravel())


def test_leading_dims_have_thresholds_of_their_own_or_share_one():
    one, other = velocities().velocity, 3 * velocities(seed=1).velocity
    both = xr.concat([one, other], "track").assign_coords(track=[26, 91])
    found = stability_threshold(both)
    assert found.stability_threshold.dims == ("track",)
    assert found.stability_threshold.track.values.tolist() == [26, 91]
    for i, alone in enumerate((one, other)):
        wanted = stability_threshold(alone)
        assert found.stability_threshold[i] == wanted.stability_threshold
        np.testing.assert_array_equal(found.moving[i], wanted.moving)
    shared = stability_threshold(both, over="track")
    assert shared.stability_threshold.dims == ()
    np.testing.assert_allclose(shared.stability_threshold, 2 * float(both.astype(float).std()), rtol=1e-9)
    lazy = built_lazily(lambda d: stability_threshold(d, over="track"), both.chunk({"track": 1, "y": 4}))
    same_bits(lazy.compute(scheduler="synchronous"), shared)


def test_units_and_whole_numbers():
    ds = velocities(gaps=0)
    millimetres = (1000 * ds.velocity).round().astype(np.int16).assign_attrs(units="mm year-1")
    found = stability_threshold(millimetres)
    assert found.stability_threshold.attrs["units"] == "mm year-1"
    np.testing.assert_allclose(found.stability_threshold, 2 * millimetres.values.std(), rtol=1e-12)
    assert stability_threshold(ds.velocity.drop_attrs()).stability_threshold.attrs["units"] == "m year-1"


def test_output_is_described():
    found = stability_threshold(velocities(), k=1.5)
    assert list(found) == ["stability_threshold", "moving"]
    xinsar.schema.check_cube(found)
    assert found.attrs["track"] == 26
    assert found.attrs["history"] == "made\nxinsar.stability_threshold(k=1.5)"
    assert found.stability_threshold.attrs["k"] == 1.5
    assert "spatial_ref" in found.moving.coords


def test_the_accessor_gives_the_same():
    ds = velocities()
    same_bits(ds.insar.stability_threshold(), xinsar.stability_threshold(ds))
    same_bits(ds.velocity.insar.stability_threshold(k=1), xinsar.stability_threshold(ds.velocity, k=1))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.velocity.values, {}, TypeError, "^data: "),
        (
            lambda ds: ds.rename(velocity="displacement"),
            {},
            xinsar.SchemaError,
            r"^velocity: .*holds: displacement.*velocity\(\) first",
        ),
        (lambda ds: ds.rename(velocity="rate"), {}, xinsar.SchemaError, r"^velocity: .*ds\['name'\]"),
        (lambda ds: ds.velocity.transpose("x", "y"), {}, xinsar.SchemaError, "^velocity: .*transpose"),
        (lambda ds: ds > 0, {}, xinsar.SchemaError, "^velocity: expected real numbers, got dtype bool"),
        (lambda ds: ds.isel(y=[]), {}, ValueError, "^velocity: expected values"),
        (lambda ds: ds, {"k": 0}, ValueError, "^k: "),
        (lambda ds: ds, {"k": np.inf}, ValueError, "^k: .*finite"),
        (lambda ds: ds, {"k": "two"}, TypeError, "^k: "),
        (lambda ds: ds, {"over": "track"}, ValueError, "^over: "),
    ],
)
def test_bad_input(change, options, error, words):
    with pytest.raises(error, match=words):
        stability_threshold(change(velocities()), **options)


def test_an_infinite_value_is_told_when_computed():
    ds = velocities()
    ds.velocity[3, 4] = np.inf
    lazy = built_lazily(stability_threshold, in_chunks(ds, {"y": 5}))
    with pytest.raises(ValueError, match=r"^values: .*infinite"):
        lazy.compute(scheduler="synchronous")
