"""reference_to: plain means and medians, phasors, masks, points, what passes through, chunks, errors."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests.helpers import (
    assert_same_everywhere,
    built_lazily,
    in_chunks,
    make_cube,
    random_cube,
    same_bits,
    with_crs,
)
from xinsar.operations.network import invert_network
from xinsar.operations.reference import reference_to

AREA = ((500_020.0, 4_999_880.0), (500_060.0, 4_999_960.0))
"""Rows 2..6, columns 2..6 of the cubes of the helpers."""
ROWS, COLUMNS = slice(2, 7), slice(2, 7)


def wrapped(angle):
    return np.angle(np.exp(1j * np.asarray(angle)))


def cube(**options):
    """Return a cube with every variable that is referred, and some that are not."""
    rng = np.random.default_rng(5)
    ds = random_cube(**options)
    ds["unwrapped_phase"] = (ds.phase * 4 + 30).assign_attrs(units="rad")
    ds = ds.assign_coords(time=ds.reference_time.values[0] + np.arange(3) * np.timedelta64(12, "D"))
    series = np.cumsum(rng.normal(size=(3, ds.sizes["y"], ds.sizes["x"])), axis=0).astype("f4")
    series[:, rng.random(series.shape[1:]) < 0.1] = np.nan
    ds["displacement"] = ("time", "y", "x"), series - series[:1], {"units": "m"}
    ds["velocity"] = ("y", "x"), series[2] - 0.5, {"units": "m year-1", "seasonal": "annual"}
    ds["velocity_sigma"] = ("y", "x"), np.abs(series[1]), {"units": "m year-1"}
    return ds


def points(number=60):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4, number))
    values[rng.random(values.shape) < 0.1] = np.nan
    return xr.Dataset(
        {"displacement": (("time", "point"), values, {"units": "m"})},
        {
            "time": np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(12, "D"),
            "x": ("point", rng.uniform(0, 1000, number)),
            "y": ("point", rng.uniform(0, 500, number)),
        },
    )


# ---- what comes out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("statistic", "plain"), [("mean", np.nanmean), ("median", np.nanmedian)])
def test_an_area_is_a_plain_mean_or_median(statistic, plain):
    ds = cube()
    found = reference_to(ds, AREA, statistic=statistic)
    for name in ("unwrapped_phase", "displacement", "velocity"):
        there = ds[name][..., ROWS, COLUMNS].values.astype(float)
        level = plain(there, axis=(-2, -1), keepdims=True)
        np.testing.assert_allclose(found[name], ds[name].values - level, atol=4e-6)
        assert found[name].dtype == np.float32


def test_a_point_is_the_pixel_that_holds_it():
    ds = cube()
    x, y = float(ds.x[4]), float(ds.y[3])
    ds.velocity[3, 4] = 7.5
    found = reference_to(ds, (x + 4.9, y - 9.9)).velocity
    np.testing.assert_array_equal(found, ds.velocity - np.float32(7.5))
    assert float(found[3, 4]) == 0


def test_corners_of_an_area_in_any_order():
    ds = cube()
    (left, bottom), (right, top) = AREA
    same = reference_to(ds, ((right, top), (left, bottom)))
    np.testing.assert_array_equal(same.velocity, reference_to(ds, AREA).velocity)


def test_wrapped_phase_goes_through_phasors():
    ds = cube()
    found = reference_to(ds, AREA).phase
    there = ds.phase[:, ROWS, COLUMNS].values.astype(float)
    level = np.angle(np.nanmean(np.exp(1j * there), axis=(1, 2)))
    difference = wrapped(found.values - (ds.phase.values - level[:, None, None]))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(ds.phase))
    assert np.nanmax(abs(difference)) < 2e-6
    assert float(found.max()) <= np.float32(np.pi)
    assert float(found.min()) > -np.float32(np.pi)


def test_fringes_across_the_cut_do_not_cancel():
    """Phases near pi and -pi are neighbours: their plain mean is 0, their direction pi."""
    phase = np.where(np.indices((4, 5)).sum(0) % 2, np.pi - 0.1, -np.pi + 0.1)
    found = reference_to(make_cube(phase[None]), ((0, 0), (1e6, 1e7))).phase
    np.testing.assert_allclose(abs(found), 0.1, atol=1e-6)


def test_median_of_wrapped_phase_withstands_outliers():
    phase = np.full((1, 5, 5), 3.1)
    phase[0, 0] = -3.1
    phase[0, 1, :3] = 1.0
    found = reference_to(make_cube(phase), ((0, 0), (1e6, 1e7)), statistic="median").phase
    np.testing.assert_allclose(found[0, 2:], 0, atol=1e-6)
    np.testing.assert_allclose(found[0, 0], 2 * np.pi - 6.2, atol=1e-6)
    mean = reference_to(make_cube(phase), ((0, 0), (1e6, 1e7))).phase
    assert abs(float(mean[0, 4, 4])) > 0.05


def test_the_rest_passes_through():
    ds = cube()
    found = reference_to(ds, AREA)
    assert list(found) == list(ds)
    for name in ("coherence", "velocity_sigma"):
        xr.testing.assert_identical(found[name], ds[name])
    assert found.velocity.attrs["seasonal"] == "annual"
    assert found.attrs == {**ds.attrs, "reference": found.reference, "history": found.history}
    assert found.reference == [500_020.0, 4_999_880.0, 500_060.0, 4_999_960.0]
    assert found.history.endswith(f"xinsar.reference_to(place={found.reference}, statistic='mean')")
    xinsar.schema.check_cube(found)
    xr.testing.assert_identical(ds, cube())


def test_the_first_date_of_a_series_stays_zero():
    ds = cube()
    found = reference_to(ds, AREA).displacement
    assert set(np.unique(found[0].values[ds.displacement[0].notnull().values])) == {0.0}
    series = found[:, ROWS, COLUMNS].mean(("y", "x"))
    np.testing.assert_allclose(series, 0, atol=1e-6)


def test_one_array_of_any_name():
    ds = cube()
    named = reference_to(ds.velocity.rename("rate").assign_attrs(units="mm year-1"), AREA)
    assert list(named) == ["rate"]
    assert named.rate.attrs["units"] == "mm year-1"
    np.testing.assert_array_equal(named.rate, reference_to(ds, AREA).velocity)
    assert list(reference_to(ds.velocity.rename(None), AREA)) == ["value"]
    whole = reference_to((ds.velocity * 100).fillna(0).astype(int), AREA)
    assert whole.velocity.dtype == np.float64


@given(
    constant=st.lists(st.floats(-500, 500), min_size=6, max_size=6),
    turns=st.lists(st.integers(-3, 3), min_size=6, max_size=6),
)
@settings(max_examples=25, deadline=None)
def test_constants_of_the_pairs_do_not_matter(constant, turns):
    ds = random_cube(gaps=0.2, coherence=False)
    level = xr.DataArray(np.array(constant) + 2 * np.pi * np.array(turns), dims="pair")
    unwrapped = ds.rename(phase="unwrapped_phase").astype(float)
    found = reference_to(unwrapped + level, AREA).unwrapped_phase
    np.testing.assert_allclose(found, reference_to(unwrapped, AREA).unwrapped_phase, atol=1e-9)
    shifted = ds.phase.copy(data=wrapped(ds.phase.values + level.values[:, None, None]).astype("f4"))
    both = [reference_to(a, AREA).phase.values for a in (shifted, ds.phase)]
    assert np.nanmax(abs(wrapped(both[0] - both[1]))) < 1e-5


def test_twice_is_once():
    ds = cube().astype(float)
    once = reference_to(ds, AREA)
    twice = reference_to(once, AREA)
    for name in ("unwrapped_phase", "displacement", "velocity"):
        np.testing.assert_allclose(twice[name], once[name], atol=1e-12)


# ---- masks and points -------------------------------------------------------------------------------------------


def test_a_mask_is_the_pixels_where_it_is_true():
    ds = cube()
    mask = xr.zeros_like(ds.velocity, bool)
    mask[ROWS, COLUMNS] = True
    area = reference_to(ds, AREA)
    found = reference_to(ds, mask)
    same_bits(found.drop_attrs(deep=False), area.drop_attrs(deep=False))
    assert found.reference == "mask of 25 pixels"
    mask[3, 3] = False
    mask[9, 9] = True
    scattered = reference_to(ds, mask).velocity
    np.testing.assert_allclose(scattered, ds.velocity - ds.velocity.where(mask).mean(dtype=float), atol=1e-6)


def test_a_bare_or_turned_mask():
    ds = cube()
    mask = xr.DataArray(np.random.default_rng(1).random((11, 13)) < 0.3, dims=("y", "x"))
    found = reference_to(ds, mask)
    same_bits(reference_to(ds, mask.assign_coords(x=ds.x, y=ds.y).transpose()), found)


def test_a_lazy_mask():
    ds = in_chunks(cube(), {"pair": 2, "y": 4, "x": 5})
    mask = (ds.coherence.mean("pair") > 0.4).chunk({"y": 3, "x": -1})
    lazy = built_lazily(lambda d: reference_to(d, mask), ds)
    wanted = reference_to(cube(), mask.compute())
    assert lazy.reference == "mask"
    for name in ("phase", "unwrapped_phase", "displacement", "velocity"):
        np.testing.assert_array_equal(lazy[name], wanted[name])


def test_points_within_an_area():
    ds = points()
    found = reference_to(ds, ((100, 100), (600, 400)))
    inside = ((ds.x >= 100) & (ds.x <= 600) & (ds.y >= 100) & (ds.y <= 400)).values
    level = np.nanmean(ds.displacement.values[:, inside], axis=1)
    assert 5 < inside.sum() < 50
    np.testing.assert_allclose(found.displacement, ds.displacement - level[:, None], atol=1e-12)
    masked = reference_to(ds, xr.DataArray(inside, dims="point"))
    np.testing.assert_array_equal(masked.displacement, found.displacement)
    assert masked.reference == f"mask of {inside.sum()} points"


def test_the_nearest_point():
    ds = points()
    ds.displacement[:, 7] = [1, 2, 3, 4]
    found = reference_to(ds, (float(ds.x[7]) + 0.01, float(ds.y[7]))).displacement
    np.testing.assert_allclose(found, ds.displacement - np.array([[1], [2], [3], [4]]))


def test_a_degree_of_longitude_is_short_in_the_north():
    """At 70 degrees 0.1 of longitude are 3.8 km, 0.05 of latitude 5.6 km."""
    from pyproj import CRS

    places = {"x": ("point", [0.0, 0.1, 1.0]), "y": ("point", [70.05, 70.0, 71.0])}
    ds = xr.Dataset({"velocity": ("point", [1.0, 2.0, 3.0])}, places)
    ds = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_epsg(4326).to_wkt()}))
    assert float(reference_to(ds, (0.0, 70.0)).velocity[1]) == 0
    assert float(reference_to(ds.drop_vars("spatial_ref"), (0.0, 70.0)).velocity[0]) == 0


def test_points_in_chunks():
    ds = points(200)
    for place in (((100, 100), (600, 400)), (500.0, 250.0)):
        wanted = reference_to(ds, place)
        for chunks in ({"time": 1, "point": 33}, {"point": 1}, {"time": 2}):
            lazy = built_lazily(lambda d, p=place: reference_to(d, p), in_chunks(ds, chunks))
            same_bits(lazy.compute(scheduler="synchronous"), wanted)


# ---- gaps, chunks, laziness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_every_chunking_gives_the_same(statistic):
    ds = random_cube(gaps=0.3)
    ds["unwrapped_phase"] = (ds.phase * 1e3).assign_attrs(units="rad")
    ds["velocity"] = ds.unwrapped_phase[0].drop_vars(["reference_time", "secondary_time"]).drop_attrs()
    mask = xr.DataArray(np.random.default_rng(0).random((11, 13)) < 0.6, dims=("y", "x"))
    for place in (AREA, (500_050.0, 4_999_900.0), mask):
        assert_same_everywhere(lambda d, p=place: reference_to(d, p, statistic=statistic), ds)


def test_a_pair_without_the_place_is_missing():
    ds = random_cube(gaps=0)
    ds["unwrapped_phase"] = ds.phase * 3
    ds.phase[2, ROWS, COLUMNS] = np.nan
    ds.unwrapped_phase[4, ROWS, COLUMNS] = np.nan
    for statistic in ("mean", "median"):
        found = reference_to(ds, AREA, statistic=statistic)
        assert found.phase.isnull().all(("y", "x")).values.tolist() == [False, False, True, *[False] * 3]
        assert found.unwrapped_phase.isnull().all(("y", "x")).values.tolist() == [*[False] * 4, True, False]


def test_no_pair_at_all_has_the_place():
    ds = random_cube(gaps=0)
    ds.phase[:, ROWS, COLUMNS] = np.nan
    lazy = built_lazily(lambda d: reference_to(d, AREA), in_chunks(ds, {"pair": 2, "y": 5}))
    for result in (lambda: reference_to(ds, AREA), lambda: lazy.compute(scheduler="synchronous")):
        with pytest.raises(ValueError, match=r"^place: no pair has a value there; choose a place with data"):
            result()


def test_under_a_mask_each_pair_is_looked_at_alone():
    """A mask may be as large as the image: one pair is then made without reading the others."""
    reads = set()

    def read(block, block_info=None):
        reads.add(block_info[0]["chunk-location"][0])
        return block

    ds = random_cube(gaps=0)
    mask = ds.coherence[0].drop_vars(["reference_time", "secondary_time"]) > 0.5
    data = da.from_array(ds.phase.values, chunks=(1, 6, 7)).map_blocks(
        read, dtype="f4", meta=np.empty((0, 0, 0))
    )
    lazy = ds.assign(phase=(("pair", "y", "x"), data))
    reads.clear()
    reference_to(lazy, mask).phase[3].compute(scheduler="synchronous")
    assert reads == {3}
    nowhere = ds.phase.where(~mask)
    assert reference_to(nowhere, mask).phase.isnull().all()
    with pytest.raises(ValueError, match=r"^place: no field has a value there"):
        reference_to(nowhere[0], mask)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_infinite_values_are_told(statistic):
    ds = cube()
    ds.velocity[3, 3] = np.inf
    with pytest.raises(ValueError, match=r"^values: expected finite"):
        reference_to(ds.velocity, AREA, statistic=statistic)


def test_leading_dims_pass_through():
    ds = random_cube(gaps=0.2).rename(phase="unwrapped_phase")[["unwrapped_phase"]]
    both = xr.concat([ds, 2 * ds + 5], "look")
    found = reference_to(both, AREA)
    assert found.unwrapped_phase.dims == ("look", "pair", "y", "x")
    np.testing.assert_array_equal(found.unwrapped_phase[0], reference_to(ds, AREA).unwrapped_phase)


def test_only_the_place_is_read_twice():
    reads = []

    def read(block, block_info=None):
        reads.append(tuple(block_info[0]["chunk-location"]))
        return block

    ds = random_cube(gaps=0)
    data = da.from_array(ds.phase.values, chunks=(3, 6, 7)).map_blocks(
        read, dtype="f4", meta=np.empty((0, 0, 0))
    )
    lazy = ds.assign(phase=(("pair", "y", "x"), data)).drop_vars("coherence")
    reads.clear()
    reference_to(lazy, ((500_020.0, 4_999_920.0), (500_060.0, 4_999_960.0))).compute(scheduler="synchronous")
    assert sorted(reads) == sorted([*np.ndindex(2, 2, 2), (0, 0, 0), (1, 0, 0)])


def test_one_pair_alone():
    ds = cube(gaps=0)
    whole = reference_to(ds, AREA)
    np.testing.assert_array_equal(reference_to(ds.phase[2], AREA).phase, whole.phase[2])
    np.testing.assert_array_equal(
        reference_to(ds.isel(pair=2), AREA).unwrapped_phase, whole.unwrapped_phase[2]
    )


def test_a_single_pixel():
    ds = make_cube(np.full((2, 1, 1), 1.5))
    found = reference_to(ds, (float(ds.x[0]), float(ds.y[0])))
    np.testing.assert_allclose(found.phase, 0, atol=1e-6)


# ---- the same place elsewhere -----------------------------------------------------------------------------------


def test_the_inversion_takes_a_mask_too():
    rng = np.random.default_rng(0)
    days = [(0, 12), (12, 24), (0, 24)]
    ds = make_cube(rng.normal(size=(3, 11, 13)), rng.uniform(0.3, 0.9, (3, 11, 13)), days=days)
    ds = ds.rename(phase="unwrapped_phase")
    mask = xr.zeros_like(ds.unwrapped_phase[0], bool).drop_vars(["reference_time", "secondary_time"])
    mask[ROWS, COLUMNS] = True
    found, wanted = invert_network(ds, reference=mask), invert_network(ds, reference=AREA)
    np.testing.assert_array_equal(found.displacement, wanted.displacement)
    referred = invert_network(reference_to(ds, AREA), reference=None)
    np.testing.assert_allclose(referred.displacement, wanted.displacement, atol=1e-7)
    assert referred.reference == wanted.reference


def test_the_reference_goes_with_the_cube(tmp_path):
    found = reference_to(cube()[["velocity"]], AREA)
    assert found.insar.to_cube(tmp_path / "a.zarr").attrs["reference"] == found.reference


# ---- errors -----------------------------------------------------------------------------------------------------


def other_grid(ds):
    return (ds.velocity > 0).assign_coords(x=ds.x + 5)


@pytest.mark.parametrize(
    ("change", "place", "options", "error", "words"),
    [
        (lambda ds: ds.velocity.values, AREA, {}, TypeError, "^data: "),
        (lambda ds: ds[["coherence"]], AREA, {}, xinsar.SchemaError, "^data: expected .*got: coherence"),
        (lambda ds: ds.velocity.T, AREA, {}, xinsar.SchemaError, "^velocity: .*transpose"),
        (
            lambda ds: ds.assign(velocity=ds.velocity.assign_attrs(units="mm")),
            AREA,
            {},
            xinsar.SchemaError,
            "^velocity: expected units 'm year-1'",
        ),
        (lambda ds: ds, AREA, {"statistic": "mode"}, ValueError, "^statistic: .*'mean', 'median'"),
        (lambda ds: ds, "auto", {}, ValueError, r"^place: expected a point \(x, y\).*boolean"),
        (lambda ds: ds, (1, 2, 3), {}, ValueError, "^place: expected a point"),
        (lambda ds: ds, (np.nan, 1), {}, ValueError, "^place: expected a point"),
        (
            lambda ds: ds,
            (0.0, 0.0),
            {},
            ValueError,
            r"^place: expected y within 4\.9998e\+06\.\.5e\+06, where the cube lies, got 0; .*x first",
        ),
        (lambda ds: ds, ((500_041, 4_999_900), (500_049, 5e6)), {}, ValueError, "^place: expected x within"),
        (lambda ds: ds.drop_vars("x"), AREA, {}, ValueError, "^x: expected a coordinate"),
        (
            lambda ds: ds,
            lambda ds: ds.velocity,
            {},
            TypeError,
            "^place: expected a boolean DataArray .*float32",
        ),
        (
            lambda ds: ds,
            other_grid,
            {},
            ValueError,
            "^place: expected the grid of the data, 13 along x, got other",
        ),
        (
            lambda ds: ds,
            lambda ds: ds.velocity[:5] > 0,
            {},
            ValueError,
            "^place: .*11 along y, got 5 along y",
        ),
        (lambda ds: ds, lambda ds: ds.displacement > 0, {}, ValueError, "^place: expected dims"),
        (
            lambda ds: ds,
            lambda ds: ds.velocity > 1e9,
            {},
            ValueError,
            "^place: expected a mask that is True somewhere among 11 x 13 pixels",
        ),
        (
            lambda _: points(),
            (5000.0, 0.0),
            {},
            ValueError,
            r"^place: .*points lie \(x .*got \[5000.0, 0.0\]",
        ),
        (
            lambda _: points(),
            ((-9, -9), (-1, -1)),
            {},
            ValueError,
            "^place: expected a place where points lie",
        ),
        (lambda _: points().drop_vars("x"), AREA, {}, xinsar.SchemaError, "^x: expected a coordinate"),
    ],
)
def test_bad_input(change, place, options, error, words):
    ds = cube()
    place = place(ds) if callable(place) else place
    with pytest.raises(error, match=words):
        reference_to(change(ds), place, **options)


def test_a_mask_in_another_crs():
    ds = cube()
    mask = with_crs((ds.velocity > 0).to_dataset(name="mask"), "EPSG:32634").mask
    with pytest.raises(ValueError, match=r"^place: expected the CRS of the data, WGS 84 / UTM zone 33N"):
        reference_to(ds, mask)
