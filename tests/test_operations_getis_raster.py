"""Gi* of maps: PySAL and two nested loops as oracles, any chunks, and what must go wrong."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests.helpers import assert_same_everywhere
from xinsar.grid import pixel_spacing

CHUNKINGS = ({"y": -1, "x": -1}, {"y": 7, "x": 5}, {"y": 1, "x": 11}, {"time": 1, "y": 4, "x": 1})


def field(values, *, step=(10.0, 10.0), origin=(500_000.0, 5_000_000.0), units="m", name="velocity"):
    values = np.asarray(values)
    dims = ("time", "y", "x")[-values.ndim :]
    coords = {
        "y": origin[1] - step[0] * np.arange(values.shape[-2]),
        "x": origin[0] + step[1] * np.arange(values.shape[-1]),
    }
    array = xr.DataArray(values, dims=dims, coords=coords, name=name)
    if units:
        array["x"].attrs["units"] = array["y"].attrs["units"] = units
    return array


def gappy(shape, seed=0, share=0.3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape).astype(dtype)
    values[rng.random(shape) < share] = np.nan
    return values


def plain(values, distance, dy, dx):
    """Gi* with nested loops: ``dy`` and ``dx`` are the pixel sizes of every row."""
    out = np.full(values.shape, np.nan)
    valid = values[~np.isnan(values)]
    n, mean, std = valid.size, valid.mean(), valid.std()
    rows, cols = np.indices(values.shape)
    for y, x in zip(*np.nonzero(~np.isnan(values)), strict=True):
        apart = np.hypot((rows - y) * dy[y], (cols - x) * dx[y])
        near = values[(apart <= distance * (1 + 1e-9)) & ~np.isnan(values)]
        w = near.size
        room = (n * w - w * w) / (n - 1)
        if room > 0 and std > 0:
            out[y, x] = (near.sum() - mean * w) / (std * np.sqrt(room))
    return out


@pytest.mark.parametrize("distance", [10.0, 25.0, 47.0, 100.0])
@pytest.mark.parametrize("step", [(10.0, 10.0), (7.0, 12.5)])
def test_nested_loops(distance, step):
    values = gappy((17, 23)) + 2
    if distance < min(step):
        pytest.skip("less than a pixel")
    found = xinsar.getis_ord(field(values, step=step), distance).hot_spot.values
    wanted = plain(values, distance, np.full(17, step[0]), np.full(17, step[1]))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["random", "clustered", "gappy"])
@pytest.mark.parametrize("reach", [1.5, 3.0, 5.0])
def test_pysal(kind, reach):
    """The data's mean is positive: esda flips the sign of every z where it is negative."""
    esda, weights = pytest.importorskip("esda"), pytest.importorskip("libpysal.weights")
    rng = np.random.default_rng(5)
    values = rng.normal(size=(20, 24)) + 10
    if kind == "clustered":
        values[4:9, 5:12] += 3
    if kind == "gappy":
        values[rng.random(values.shape) < 0.3] = np.nan
    found = xinsar.getis_ord(field(values), 10 * reach).hot_spot.values
    there = ~np.isnan(values)
    places = np.argwhere(there).astype(float)
    w = weights.DistanceBand(places, reach, binary=True, silence_warnings=True)
    oracle = esda.G_Local(values[there], w, star=True, transform="B", permutations=0)
    np.testing.assert_allclose(found[there], oracle.Zs, rtol=1e-6, atol=1e-6)
    assert np.isnan(found[~there]).all()


def test_a_shift_changes_nothing_where_pysal_flips_the_sign():
    esda, weights = pytest.importorskip("esda"), pytest.importorskip("libpysal.weights")
    values = np.random.default_rng(1).normal(size=(12, 12))
    ours = [xinsar.getis_ord(field(values + shift), 20).hot_spot.values for shift in (-8, 0, 8)]
    np.testing.assert_allclose(ours[0], ours[1], atol=1e-9)
    np.testing.assert_allclose(ours[2], ours[1], atol=1e-9)
    w = weights.DistanceBand(np.argwhere(values < np.inf).astype(float), 2, binary=True)
    low, high = (
        esda.G_Local(values.ravel() + shift, w, star=True, transform="B", permutations=0).Zs
        for shift in (-8, 8)
    )
    np.testing.assert_allclose(high, ours[1].ravel(), atol=1e-6)
    np.testing.assert_allclose(low, -high, atol=1e-6)


@pytest.mark.parametrize("over", [None, "time"])
def test_any_chunks_give_the_same_bits_and_nothing_is_computed_early(over):
    cube = field(gappy((3, 19, 23), dtype=np.float32)).to_dataset()
    assert_same_everywhere(lambda ds: xinsar.getis_ord(ds.velocity, 35, fdr=True, over=over), cube, CHUNKINGS)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_random_chunks(data):
    shape = data.draw(st.tuples(st.integers(2, 40), st.integers(2, 40)))
    reach = data.draw(st.floats(10, 300))
    values = gappy(
        shape, data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.0, 0.3, 0.9])), np.float32
    )
    whole = field(values)

    def cuts(n):
        borders = data.draw(st.sets(st.integers(1, n - 1), max_size=6)) | {0, n}
        return tuple(np.diff(sorted(borders)).tolist())

    wanted = xinsar.getis_ord(whole, reach)
    found = xinsar.getis_ord(whole.chunk({"y": cuts(shape[0]), "x": cuts(shape[1])}), reach)
    np.testing.assert_array_equal(found.hot_spot.values, wanted.hot_spot.values)
    np.testing.assert_array_equal(found.p_value.values, wanted.p_value.values)


def test_leading_dims_are_fields_of_their_own_unless_over():
    values = gappy((3, 15, 16)) * np.array([1, 5, 20])[:, None, None]
    both = xinsar.getis_ord(field(values), 30).hot_spot
    for k in range(3):
        alone = xinsar.getis_ord(field(values[k]), 30).hot_spot
        np.testing.assert_array_equal(both[k], alone)
    together = xinsar.getis_ord(field(values), 30, over="time").hot_spot
    n, mean, std = np.isfinite(values).sum(), np.nanmean(values), np.nanstd(values)
    y, x = np.argwhere(~np.isnan(values[1]))[40]
    rows, cols = np.indices(values.shape[1:])
    near = values[1][np.hypot(rows - y, cols - x) <= 3]
    w = np.isfinite(near).sum()
    wanted = (np.nansum(near) - mean * w) / (std * np.sqrt((n * w - w * w) / (n - 1)))
    assert together[1, y, x] == pytest.approx(wanted, rel=1e-9)


def test_large_windows_count_apart_and_still_agree_with_loops():
    values = gappy((90, 40), share=0.1)
    found = xinsar.getis_ord(field(values, step=(0.5, 0.5)), 30).hot_spot.values
    np.testing.assert_allclose(found, plain(values, 30, np.full(90, 0.5), np.full(90, 0.5)), atol=1e-8)


def test_degrees_go_by_the_ellipsoid_row_by_row():
    values = gappy((60, 20))
    grid = field(values, step=(0.02, 0.002), origin=(7.0, 70.0), units="degrees_east")
    dy, dx = pixel_spacing(grid)
    assert dx[0] < 0.95 * dx[-1]
    found = xinsar.getis_ord(grid, 5000).hot_spot
    np.testing.assert_allclose(found.values, plain(values, 5000, dy, dx), atol=1e-8)
    chunked = xinsar.getis_ord(grid.chunk({"y": 11, "x": 6}), 5000).hot_spot
    np.testing.assert_array_equal(chunked.values, found.values)


def test_values_far_from_zero_and_outliers_keep_their_precision():
    values = gappy((30, 30), share=0.0)
    plainly = xinsar.getis_ord(field(values), 25).hot_spot.values
    far = xinsar.getis_ord(field(values + 2.0**30), 25).hot_spot.values
    np.testing.assert_allclose(far, plainly, atol=1e-5)
    values[3, 4] = 1e9
    found = xinsar.getis_ord(field(values), 25).hot_spot.values
    np.testing.assert_allclose(found, plain(values, 25, np.full(30, 10.0), np.full(30, 10.0)), atol=1e-6)


def test_the_largest_single_outlier_of_a_big_field():
    """The worst case of fixed point: one value decides the scale, all others are a millionth of it."""
    values = gappy((400, 500), share=0.0) * 1e-6
    values[200, 250] = 1.0
    found = xinsar.getis_ord(field(values), 40).hot_spot.values
    n, mean, std = values.size, values.mean(), values.std()
    rows, cols = np.indices(values.shape)
    for y, x in ((10, 10), (100, 300), (199, 250)):
        near = values[np.hypot(rows - y, cols - x) <= 4]
        w = near.size
        wanted = (near - mean).sum() / (std * np.sqrt((n * w - w * w) / (n - 1)))
        assert found[y, x] == pytest.approx(wanted, abs=1e-6)


def test_what_has_no_answer_is_nan():
    constant = field(np.full((8, 8), 0.1))
    assert np.isnan(xinsar.getis_ord(constant, 20).hot_spot).all()
    one = field(np.where(np.arange(64).reshape(8, 8) == 9, 1.0, np.nan))
    assert np.isnan(xinsar.getis_ord(one, 20).hot_spot).all()
    nothing = xinsar.getis_ord(field(np.full((8, 8), np.nan)), 20, fdr=True)
    assert np.isnan(nothing.hot_spot).all()
    assert np.isnan(nothing.p_value).all()
    assert np.isnan(nothing.confidence).all()
    assert not nothing.significant.any()
    everything = xinsar.getis_ord(field(gappy((8, 8))), 1e6)
    assert np.isnan(everything.hot_spot).all()


def test_a_distance_beyond_the_image_in_one_direction_only():
    values = gappy((4, 40))
    found = xinsar.getis_ord(field(values), 150).hot_spot.values
    np.testing.assert_allclose(found, plain(values, 150, np.full(4, 10.0), np.full(4, 10.0)), atol=1e-9)
    chunked = xinsar.getis_ord(field(values).chunk({"y": 1, "x": 3}), 150).hot_spot.values
    np.testing.assert_array_equal(chunked, found)


def test_a_dataset_gives_its_velocity_and_names_what_it_lacks():
    values = gappy((9, 9))
    ds = xr.Dataset({"other": field(values + 5), "velocity": field(values)})
    wanted = xinsar.getis_ord(field(values), 20)
    np.testing.assert_array_equal(ds.insar.getis_ord(20).hot_spot, wanted.hot_spot)
    np.testing.assert_array_equal(ds.velocity.insar.getis_ord(distance=20).hot_spot, wanted.hot_spot)
    only = xr.Dataset({"other": field(values)})
    np.testing.assert_array_equal(only.insar.getis_ord(20).hot_spot, wanted.hot_spot)
    with pytest.raises(xinsar.SchemaError, match="a, b"):
        xinsar.getis_ord(xr.Dataset({"a": field(values), "b": field(values)}), 20)


def test_a_spread_that_no_fixed_point_holds_is_no_spread():
    assert np.isnan(xinsar.getis_ord(field(gappy((9, 9)) * 1e-310), 20).hot_spot).all()
    small = xinsar.getis_ord(field(gappy((9, 9)) * 1e-290), 20).hot_spot
    np.testing.assert_allclose(small, xinsar.getis_ord(field(gappy((9, 9))), 20).hot_spot, atol=1e-9)


def test_a_single_map_of_whole_numbers_is_taken():
    ds = xr.Dataset({"n": field(np.arange(81).reshape(9, 9))})
    assert ds.insar.getis_ord(20).hot_spot.dtype == np.float64


def test_every_map_tells_its_crs_to_a_gis():
    grid = field(gappy((12, 12))).rio.write_crs("EPSG:32633")
    for out in (xinsar.getis_ord(grid, 20, fdr=True), xinsar.hot_spot_map(grid, 20)):
        for name in out:
            assert out[name].encoding["grid_mapping"] == "spatial_ref", name


def test_the_hot_spot_map_on_its_own_grid_keeps_all():
    grid = field(gappy((12, 12))).rio.write_crs("EPSG:32633")
    own = xinsar.hot_spot_map(grid, 30)
    assert list(own) == ["hot_spot", "p_value", "density"]
    again = xinsar.hot_spot_map(grid, 30, target=grid)
    assert list(again) == list(own)
    np.testing.assert_array_equal(again.density, own.density)
    assert list(xinsar.hot_spot_map(grid, 30, target=5.0)) == ["density"]


def test_labels():
    out = xinsar.getis_ord(field(gappy((9, 9), dtype=np.float32)), 20, fdr=True)
    assert list(out) == ["hot_spot", "p_value", "significant", "confidence"]
    assert out.hot_spot.dtype == out.p_value.dtype == np.float32
    assert out.significant.dtype == bool
    assert out.hot_spot.attrs["units"] == "1"
    assert out.hot_spot.attrs["distance"] == 20
    assert "getis_ord(distance=20.0, weights='binary', fdr=True, alpha=0.05)" in out.attrs["history"]
    assert list(xinsar.getis_ord(field(gappy((9, 9))), 20)) == ["hot_spot", "p_value"]
    assert xinsar.getis_ord(field(np.arange(81).reshape(9, 9)), 20).hot_spot.dtype == np.float64


def test_p_value_confidence_and_significance_of_a_planted_spot():
    stats, special = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.special")
    values = np.random.default_rng(2).normal(size=(60, 60))
    values[20:30, 20:30] += 2
    values[40:50, 5:15] -= 2
    out = xinsar.getis_ord(field(values), 30, fdr=True)
    z, p = out.hot_spot.values, out.p_value.values
    np.testing.assert_allclose(p, special.erfc(np.abs(z) / np.sqrt(2)), rtol=1e-12)
    np.testing.assert_array_equal(
        out.significant, stats.false_discovery_control(p.ravel()).reshape(p.shape) <= 0.05
    )
    assert out.confidence[25, 25] == 3
    assert out.confidence[45, 10] == -3
    classes = np.sign(z) * ((p <= 0.1).astype(int) + (p <= 0.05) + (p <= 0.01))
    np.testing.assert_array_equal(out.confidence, classes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"distance": None}, ValueError, "distance: expected the radius"),
        ({"distance": 0}, ValueError, "distance: expected a number above 0"),
        ({"distance": -5.0}, ValueError, "distance"),
        ({"distance": "far"}, TypeError, "distance"),
        ({"distance": np.nan}, ValueError, "distance"),
        ({"distance": np.inf}, ValueError, "distance"),
        ({"distance": 9.0}, ValueError, "size of a pixel, 10 m, got 9 m"),
        ({"weights": "inverse_distance"}, ValueError, "expected 'binary' for a map"),
        ({"weights": "rook"}, ValueError, "weights: expected one of"),
        ({"weights": None}, TypeError, "weights: expected .* got NoneType"),
        ({"fdr": 0.01}, TypeError, "fdr: expected True or False"),
        ({"k": 4, "distance": None}, ValueError, "k: expected points"),
        ({"k": 4}, ValueError, "distance: expected None together with k"),
        ({"weights": np.eye(3)}, TypeError, "weights: expected .* got ndarray"),
        ({"alpha": 2.0}, ValueError, "alpha"),
        ({"over": "time"}, ValueError, "over: expected None"),
        ({"over": 3}, TypeError, "over"),
    ],
)
def test_wrong_arguments(change, error, words):
    options = {"distance": 30, **change}
    with pytest.raises(error, match=words):
        xinsar.getis_ord(field(gappy((9, 9))), **options)


def test_wrong_data():
    with pytest.raises(TypeError, match="expected an xarray"):
        xinsar.getis_ord(np.zeros((4, 4)), 20)
    with pytest.raises(xinsar.SchemaError, match="transpose"):
        xinsar.getis_ord(field(gappy((9, 9))).transpose("x", "y"), 20)
    with pytest.raises(xinsar.SchemaError, match="real numbers"):
        xinsar.getis_ord(field(gappy((9, 9))).astype(complex), 20)
    with pytest.raises(xinsar.SchemaError, match="real numbers"):
        xinsar.getis_ord(field(gappy((9, 9))) > 0, 20)
    with pytest.raises(ValueError, match="no CRS and x"):
        xinsar.getis_ord(field(gappy((9, 9)), units=None), 20)
    with pytest.raises(ValueError, match=r"expected latitudes within -90\.\.90"):
        xinsar.getis_ord(field(gappy((9, 9)), units="degrees_east"), 20)
    with pytest.raises(ValueError, match="expected values, got none"):
        xinsar.getis_ord(field(gappy((9, 9)))[:0], 20)
    with pytest.raises(ValueError, match="over: expected one of 'time'"):
        xinsar.getis_ord(field(gappy((2, 9, 9))), 20, over="pair")


@pytest.mark.parametrize("chunks", [None, 4])
def test_an_infinite_value_is_an_error_when_computed(chunks):
    values = gappy((9, 9))
    values[4, 4] = np.inf
    array = field(values) if chunks is None else field(values).chunk(chunks)
    with pytest.raises(ValueError, match=r"infinite one; mark it missing"):
        xinsar.getis_ord(array, 20).compute()


def test_a_big_lazy_field_is_not_held_in_memory():
    """Blocks are made when asked for and dropped: the peak stays below half of the field's 128 MB."""
    import tracemalloc

    import dask

    def block(block_info=None):
        place = block_info[None]["array-location"]
        rng = np.random.default_rng(place[0][0] * 7 + place[1][0])
        return rng.normal(size=tuple(b - a for a, b in place)).astype(np.float32)

    data = da.map_blocks(
        block, chunks=((512,) * 8, (512,) * 16), dtype=np.float32, meta=np.empty((0, 0), "f4")
    )
    array = xr.DataArray(
        data, dims=("y", "x"), coords={"y": -10.0 * np.arange(4096), "x": 10.0 * np.arange(8192)}
    )
    array["x"].attrs["units"] = "m"
    z = xinsar.getis_ord(array, 80).hot_spot
    tracemalloc.start()
    with dask.config.set(scheduler="synchronous"):
        z.data.map_blocks(lambda b: b[:1, :1].copy(), chunks=((1,) * 8, (1,) * 16)).compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6
