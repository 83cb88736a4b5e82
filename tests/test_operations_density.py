"""Kernel density: nested loops as oracle, integrals, any chunks, the bound of the fast method, and bad input."""

from __future__ import annotations

import re
from math import pi

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

import xinsar
from tests.helpers import assert_same_everywhere, built_lazily, same_bits, with_crs
from xinsar.kernels import density as kernels
from xinsar.operations import density as operations

RADIUS = 100.0
POWER = {"quartic": 2, "printed": 1}
CHUNKINGS = (
    {"y": -1, "x": -1},
    {"y": 7, "x": 5},
    {"y": 1, "x": 11},
    {"time": 1, "y": 4, "x": 1},
    {"y": (3, 30, 7), "x": 9},
)


def raster(values, *, step=(10.0, 10.0), origin=(500_000.0, 5_000_000.0), units="m", code=None):
    values = np.asarray(values)
    coords = {
        "y": origin[1] - step[0] * np.arange(values.shape[-2]),
        "x": origin[0] + step[1] * np.arange(values.shape[-1]),
    }
    array = xr.DataArray(values, dims=("time", "y", "x")[-values.ndim :], coords=coords, name="velocity")
    if units:
        array["x"].attrs["units"] = array["y"].attrs["units"] = units
    return with_crs(array, code) if code else array


def gappy(shape, seed=0, share=0.3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape).astype(dtype)
    values[rng.random(shape) < share] = np.nan
    return values


def points(number=60, *, seed=0, size=(600.0, 400.0), lead=(), dtype=np.float64, code=None, degrees=False):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, size[0], number), rng.uniform(0, size[1], number)
    if degrees:
        x, y, code = 13 + x / 55_800, 60 + y / 111_400, code or "EPSG:4326"
    dims = (*("time",)[: len(lead)], "point")
    weights = xr.DataArray(
        rng.normal(size=(*lead, number)).astype(dtype), dims=dims, attrs={"units": "m year-1"}
    )
    ds = xr.Dataset({"velocity": weights}, {"x": ("point", x), "y": ("point", y)})
    ds["x"].attrs["units"] = "degrees_east" if degrees else "m"
    if code:
        ds = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_user_input(code).to_wkt()}))
    return ds


def cut(ds, chunks):
    """Chunks of values and of places."""
    lazy = ds.chunk(point=chunks)
    return lazy.assign_coords(
        {k: ("point", lazy[k].variable.chunk({"point": chunks}).data, ds[k].attrs) for k in "xy"}
    )


def euclid(x, y, px, py):
    return np.hypot(x - px, y - py)


def on_ellipsoid(x, y, px, py):
    full = np.broadcast_to
    shape = np.shape(x)
    return Geod(ellps="WGS84").inv(x, y, full(px, shape), full(py, shape))[2].reshape(shape)


def plain(x, y, px, py, weights, radius=RADIUS, kernel="quartic", distance=euclid):
    """Two nested loops: over pixels, and over what has a weight there."""
    out = np.zeros((np.size(y), np.size(x)))
    for row, col in np.ndindex(out.shape):
        apart = distance(np.asarray(px, float), np.asarray(py, float), x[col], y[row])
        for d, weight in zip(apart, weights, strict=True):
            if d < radius and not np.isnan(weight):
                out[row, col] += 3 / pi / radius**2 * weight * (1 - (d / radius) ** 2) ** POWER[kernel]
    return out


def of_raster(array, **options):
    y, x = np.meshgrid(array.y, array.x, indexing="ij")
    return plain(array.x.values, array.y.values, x.ravel(), y.ravel(), array.values.ravel(), **options)


def of_points(ds, found, weights, **options):
    return plain(found.x.values, found.y.values, ds.x.values, ds.y.values, weights, **options)


def close(found, wanted, share=1e-12):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=share * max(np.abs(wanted).max(), 1e-30))


# ---- rasters


@pytest.mark.parametrize("kernel", ["quartic", "printed"])
@pytest.mark.parametrize("radius", [10.0, 15.0, 40.0, 99.9, 1000.0])
@pytest.mark.parametrize("step", [(10.0, 10.0), (7.0, 12.5)])
def test_a_raster_by_nested_loops(kernel, radius, step):
    array = raster(gappy((12, 15)), step=step)
    if radius < min(step):
        return
    found = xinsar.kernel_density(array, radius, kernel=kernel).density
    wanted = of_raster(array, radius=radius, kernel=kernel)
    close(found.values, wanted)
    assert found.attrs["method"] == "exact"
    assert found.attrs["kernel"] == kernel
    assert "error_bound" not in found.attrs


def test_a_raster_wider_than_a_segment_and_taller_than_its_radius():
    rng = np.random.default_rng(3)
    values = np.full((9, 2 * kernels.SEGMENT + 77), np.nan)
    rows, columns = rng.integers(0, 9, 40), rng.integers(0, values.shape[1], 40)
    columns[:6] = [
        0,
        values.shape[1] - 1,
        kernels.SEGMENT - 1,
        kernels.SEGMENT,
        kernels.SEGMENT + 1,
        2 * kernels.SEGMENT,
    ]
    values[rows, columns] = rng.normal(size=40)
    array = raster(values)
    there = np.argwhere(~np.isnan(values))
    found = xinsar.kernel_density(array, 53.0).density.values
    y, x = array.y.values[there[:, 0]], array.x.values[there[:, 1]]
    weights = values[there[:, 0], there[:, 1]]
    near = np.unique(np.clip(there[:, 1][:, None] + np.arange(-7, 8), 0, values.shape[1] - 1))
    close(found[:, near], plain(array.x.values[near], array.y.values, x, y, weights, radius=53.0))
    far = np.setdiff1d(np.arange(values.shape[1]), near)
    assert not found[:, far].any()


def test_a_raster_in_degrees_goes_by_the_ellipsoid():
    array = raster(gappy((14, 13)), step=(0.0009, 0.0018), origin=(13.0, 60.0), units=None, code="EPSG:4326")
    wanted = of_raster(array, radius=450.0, distance=on_ellipsoid)
    found = xinsar.kernel_density(array, 450.0).density
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())
    flat = xinsar.kernel_density(array.assign_coords(y=array.y - 20), 450.0).density
    assert np.abs(flat.values - found.values).max() > 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize(("kernel", "whole"), [("quartic", 1.0), ("printed", 1.5)])
@pytest.mark.parametrize("method", ["exact", "fft"])
def test_integral(kernel, whole, method):
    values = np.full((81, 81), np.nan)
    values[40, 40] = 2.0
    found = xinsar.kernel_density(raster(values), 300.0, kernel=kernel, method=method).density
    assert float(found.sum()) * 100 == pytest.approx(2 * whole, rel=2e-3)
    ds = points(25, seed=4)
    found = xinsar.kernel_density(ds, 80.0, kernel=kernel, method=method, target=2.0).density
    assert float(found.sum()) * 4 == pytest.approx(25 * whole, rel=2e-3)


def test_each_row_in_degrees_keeps_its_mass():
    values = np.full((61, 61), np.nan)
    values[30, 30] = 1.0
    array = raster(values, step=(0.0001, 0.0001), origin=(13.0, 60.0), units=None, code="EPSG:4326")
    dy, dx = xinsar.grid.pixel_spacing(array)
    found = xinsar.kernel_density(array, 100.0).density
    assert float((found * (dy * dx)[:, None]).sum()) == pytest.approx(1, rel=5e-3)


def test_nothing_within_the_radius_is_zero_and_missing_pixels_get_a_density():
    values = np.full((21, 21), np.nan)
    values[10, 10] = 1.0
    found = xinsar.kernel_density(raster(values), 35.0).density.values
    apart = np.hypot(*(np.indices(found.shape) - 10)) * 10
    assert (found[apart < 35] > 0).all()
    assert (found[apart >= 35] == 0).all()
    assert found[10, 10] == pytest.approx(3 / pi / 35**2)


@pytest.mark.parametrize("method", ["exact", "fft"])
def test_a_field_without_a_valid_weight_is_missing(method):
    values = gappy((3, 12, 13))
    values[1] = np.nan
    for array in (raster(values), raster(values).chunk(time=1, y=5, x=6)):
        found = xinsar.kernel_density(array, 30.0, method=method).density
        assert np.isnan(found[1]).all()
        assert not np.isnan(found[[0, 2]]).any()
        same_bits(
            xinsar.kernel_density(array[2], 30.0, method=method)[["density"]].compute().drop_attrs(),
            found[2].to_dataset().compute().drop_attrs(),
        )
    ds = points(lead=(3,))
    ds["velocity"][1] = np.nan
    for some in (ds, cut(ds, 13)):
        found = xinsar.kernel_density(some.velocity, RADIUS, target=12, method=method).density
        assert np.isnan(found[1]).all()
        assert not np.isnan(found[[0, 2]]).any()


# ---- points


@pytest.mark.parametrize("kernel", ["quartic", "printed"])
@pytest.mark.parametrize("target", [11.0, (-50, -30, 700, 300, 25), (200, 100, 260, 170), None])
def test_points_by_nested_loops(kernel, target):
    ds = points()
    found = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=target, kernel=kernel).density
    close(found.values, of_points(ds, found, ds.velocity.values, kernel=kernel))
    counted = xinsar.kernel_density(ds, RADIUS, target=target, kernel=kernel).density
    close(counted.values, of_points(ds, counted, np.ones(60), kernel=kernel))
    assert counted.attrs["units"] == "m-2"
    assert found.attrs["units"] == "m year-1 m-2"


def test_points_on_a_grid_of_several_tiles_and_far_outside():
    ds = points(300, size=(12_000.0, 2_000.0), seed=2)
    ds["x"][:4] = [-1e7, 1e7, -9.99, 12_009.99]
    found = xinsar.kernel_density(ds.velocity, 130.0, target=(0, 0, 12_000, 2_000, 10)).density
    assert found.shape[0] > kernels.TILE[0]
    assert found.shape[1] > kernels.TILE[1]
    rng = np.random.default_rng(0)
    rows, columns = np.sort(rng.integers(0, 200, 15)), np.sort(rng.integers(0, 1200, 30))
    part = found[rows, columns]
    close(part.values, of_points(ds, part, ds.velocity.values, radius=130.0))


@pytest.mark.parametrize("kernel", ["quartic", "printed"])
def test_points_in_degrees_go_by_the_ellipsoid(kernel):
    ds = points(degrees=True)
    found = xinsar.kernel_density(ds.velocity, RADIUS, target=25.0, kernel=kernel).density
    wanted = of_points(ds, found, ds.velocity.values, kernel=kernel, distance=on_ellipsoid)
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(wanted).max())


def test_points_in_another_crs_are_reprojected():
    ds = points(degrees=True)
    x, y = Transformer.from_crs(4326, 32633, always_xy=True).transform(ds.x.values, ds.y.values)
    origin = x.min() - 33, y.max() + 44
    template = raster(np.zeros((25, 31), np.float32), step=(20, 20), origin=origin, code="EPSG:32633")
    found = xinsar.kernel_density(ds.velocity, RADIUS, target=template.to_dataset(name="any")).density
    for name in ("x", "y"):
        np.testing.assert_array_equal(found[name], template[name])
    assert found.spatial_ref.attrs == template.spatial_ref.attrs
    close(found.values, plain(found.x.values, found.y.values, x, y, ds.velocity.values))
    same_bits(
        xinsar.kernel_density(cut(ds, 17).velocity, RADIUS, target=template).compute(),
        xinsar.kernel_density(ds.velocity, RADIUS, target=template),
    )


def test_a_target_that_is_snapped_to():
    ds = points()
    for y in (np.arange(0.0, 400, 20), np.arange(400.0, 0, -20)):
        template = xr.Dataset(coords={"y": y, "x": np.arange(3.0, 600, 15)})
        template["x"].attrs["units"] = "m"
        found = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=template).density
        np.testing.assert_array_equal(found.y, y)
        close(found.values, of_points(ds, found, ds.velocity.values))
    east = template.isel(x=slice(None, None, -1))
    turned = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=east).density
    close(turned.values[:, ::-1], found.values)


def test_one_point_duplicates_and_missing_ones():
    one = points(1)
    found = xinsar.kernel_density(one, RADIUS).density
    assert float(found.max()) == pytest.approx(3 / pi / RADIUS**2, rel=0.02)
    twice = xr.concat([one, one, one], "point")
    np.testing.assert_allclose(xinsar.kernel_density(twice, RADIUS).density, 3 * found, rtol=1e-14)
    some = points(30)
    some["velocity"][3:9] = np.nan
    some["x"][10], some["y"][11], some["x"][12] = np.nan, np.nan, np.inf
    kept = some.isel(point=[i for i in range(30) if i not in (*range(3, 9), 10, 11, 12)])
    target = (0, 0, 600, 400, 20)
    for method in ("exact", "fft"):
        a, b = (
            xinsar.kernel_density(ds.velocity, RADIUS, target=target, method=method).density
            for ds in (some, kept)
        )
        np.testing.assert_array_equal(a, b)
    assert round(float(xinsar.kernel_density(some, RADIUS, target=5).density.sum()) * 25) == 27


def test_far_and_lost_points_do_not_disturb_those_in_degrees():
    ds = points(40, degrees=True)
    extent = (12.999, 59.999, 13.012, 60.005)
    wanted = xinsar.kernel_density(ds.velocity, RADIUS, target=extent).density
    assert np.abs(wanted).max() > 0
    more = points(44, seed=1, degrees=True)
    more["velocity"][:40] = ds.velocity.values
    for name, lost in (("x", [13.0, 13.0, np.nan, -170.0]), ("y", [np.nan, 89.9999, 60.0, 60.0])):
        more[name][:40] = ds[name].values
        more[name][40:] = lost
    np.testing.assert_array_equal(xinsar.kernel_density(more.velocity, RADIUS, target=extent).density, wanted)


def test_no_points_are_an_error_and_those_without_a_place_give_nan_on_a_given_grid():
    target = (0, 0, 100, 100, 10)
    with pytest.raises(ValueError, match="got none"):
        xinsar.kernel_density(points(5).isel(point=slice(0)), RADIUS, target=target)
    lost = points(5).assign_coords(x=("point", np.full(5, np.nan), {"units": "m"}))
    assert np.isnan(xinsar.kernel_density(lost, RADIUS, target=target).density).all()
    with pytest.raises(ValueError, match="finite coordinates"):
        xinsar.kernel_density(lost, RADIUS)


@pytest.mark.parametrize("method", ["exact", "fft"])
def test_a_target_that_no_point_reaches_is_an_error(method):
    ds = points(code="EPSG:32633")
    ends = [float(f(ds[n])) for n in "xy" for f in (np.min, np.max)]
    far = (10_000.0, 0.0, 10_100.0, 100.0, 10.0)
    said = r"target: .* within 100 m of some points, got x 10000 to 10100, y 0 to 100 \(EPSG:32633\); they lie in "
    said += re.escape("x {:.8g} to {:.8g}, y {:.8g} to {:.8g}".format(*ends)) + "; check the CRS of both"
    for data in (ds, ds.velocity, ds.velocity.chunk(point=13).assign_coords(ds.coords)):
        refused(ValueError, said, data, RADIUS, target=far, method=method)
    lazy = built_lazily(
        lambda d: xinsar.kernel_density(d.velocity, RADIUS, target=far, method=method), cut(ds, 13)
    )
    assert (lazy.density.compute() == 0).all()


@pytest.mark.parametrize(("away", "found"), [(90.0, True), (125.0, False)])
@pytest.mark.parametrize("side", ["east", "west", "north", "south"])
def test_a_point_counts_as_near_up_to_the_radius(side, away, found):
    there = {
        "east": (50 + away, 0),
        "west": (-50 - away, 0),
        "north": (0, 50 + away),
        "south": (0, -50 - away),
    }
    x, y = there[side]
    ds = points(1).assign_coords(x=("point", [x], {"units": "m"}), y=("point", [float(y)]))
    target = (-50, -50, 50, 50, 10)
    if found:
        assert xinsar.kernel_density(ds, 100.0, target=target).density.max() > 0
    else:
        refused(ValueError, "within 100 m of some points", ds, 100.0, target=target)


def test_a_target_that_no_pixel_reaches_is_an_error():
    array = raster(gappy((11, 9)), code="EPSG:32633")
    for data in (array, array.chunk(y=4, x=5)):
        refused(
            ValueError,
            r"they lie in x 500000 to 500080, y 4999900 to 5000000",
            data,
            35.0,
            target=(600_000, 4_999_901, 600_083, 5_000_003, 7),
        )
        inner = xinsar.kernel_density(data, 35.0, target=(500_040, 4_999_950, 500_050, 4_999_960, 5))
        assert np.abs(inner.density).compute().max() > 0


def test_points_without_a_place_in_the_crs_of_the_target():
    ds = points(degrees=True).assign_coords(x=("point", np.full(60, 500_000.0)))
    target = raster(np.zeros((5, 5)), code="EPSG:32633")
    refused(ValueError, "none of them has a place in its CRS", ds, RADIUS, target=target)


def test_a_raster_onto_another_grid_counts_its_pixels_as_points():
    array = raster(gappy((2, 11, 9)), code="EPSG:32633")
    target = (500_003, 4_999_901, 500_083, 5_000_003, 7)
    found = xinsar.kernel_density(array, 35.0, target=target).density
    y, x = (a.ravel() for a in np.meshgrid(array.y, array.x, indexing="ij"))
    for t in range(2):
        close(
            found[t].values, plain(found.x.values, found.y.values, x, y, array[t].values.ravel(), radius=35.0)
        )
    lazy = built_lazily(
        lambda a: xinsar.kernel_density(a, 35.0, target=target), array.chunk(time=1, y=4, x=5)
    )
    same_bits(lazy.compute(), found.to_dataset().assign_attrs(lazy.attrs))
    around = xinsar.kernel_density(array, 35.0, target=7.0).density
    assert float(around.x[0]) < 500_000 - 30
    assert float(around.y[-1]) < 5_000_000 - 100 - 30
    own = xinsar.kernel_density(array, 35.0, target=array).density
    xr.testing.assert_identical(own, xinsar.kernel_density(array, 35.0).density)


# ---- the fast method


@pytest.mark.parametrize("kernel", ["quartic", "printed"])
@pytest.mark.parametrize("radius", [20.0, 47.0, 133.0])
def test_fft_of_points_stays_within_its_bound(kernel, radius):
    ds = points(200, seed=7)
    for weights in (None, "velocity"):
        options = {"weights": weights, "kernel": kernel, "target": (20, 30, 580, 370, 10)}
        exact = xinsar.kernel_density(ds, radius, method="exact", **options).density
        fast = xinsar.kernel_density(ds, radius, method="fft", **options).density
        bound = fast.attrs["error_bound"]
        size = np.abs(ds.velocity.values) if weights else np.ones(200)
        x, y = np.meshgrid(exact.x.values, exact.y.values)
        near = np.zeros(exact.shape)
        for px, py, weight in zip(ds.x.values, ds.y.values, size, strict=True):
            near += weight * (np.hypot(x - px, y - py) < radius + np.hypot(10, 10))
        rounding = 1e-9 * kernels.peak(radius) * size.sum()
        off = np.abs(fast - exact).values
        assert (off <= bound * near + rounding).all()
        assert off.max() > 0.05 * bound, "the bound says nothing"
    assert fast.attrs["method"] == "fft"


def test_the_bound_of_points_by_its_formula():
    found = xinsar.kernel_density(points(), 50.0, method="fft", target=10).density
    wanted = 3 / pi / 50**2 * 2 * (10 / 50) ** 2
    assert found.attrs["error_bound"] == pytest.approx(wanted, rel=1e-6)
    printed = xinsar.kernel_density(points(), 50.0, method="fft", target=10, kernel="printed").density
    wanted = 3 / pi / 50**2 * (2 * 10 / (2 * 50) + 2 * (10 / 50) ** 2 / 4)
    assert printed.attrs["error_bound"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("kernel", ["quartic", "printed"])
@pytest.mark.parametrize("shape", [(40, 50), (300, 170)])
@pytest.mark.parametrize("radius", [10.0, 73.0, 2000.0])
def test_fft_of_a_raster_only_rounds(kernel, shape, radius):
    array = raster(gappy(shape))
    exact = xinsar.kernel_density(array, radius, kernel=kernel, method="exact").density
    fast = xinsar.kernel_density(array, radius, kernel=kernel, method="fft").density
    bound = fast.attrs["error_bound"] * float(np.abs(array).sum())
    assert np.abs(fast - exact).max() <= bound
    assert fast.attrs["error_bound"] < 1e-7 * kernels.peak(radius)
    assert np.abs(fast - exact).max() < 1e-13 * np.abs(exact).max() + 1e-12 * kernels.peak(radius)


def test_fft_of_uneven_rows():
    little = raster(gappy((30, 30)), step=(1e-4, 2e-4), origin=(13.0, 60.0), units=None, code="EPSG:4326")
    exact = xinsar.kernel_density(little, 60.0).density
    fast = xinsar.kernel_density(little, 60.0, method="fft").density
    off = np.abs(fast - exact).values
    assert 0 < off.max() <= fast.attrs["error_bound"] * float(np.abs(little).sum())
    tall = raster(gappy((60, 9)), step=(1e-2, 2e-2), origin=(13.0, 60.0), units=None, code="EPSG:4326")
    with pytest.raises(ValueError, match="rows of one size"):
        xinsar.kernel_density(tall, 5000.0, method="fft")
    with pytest.raises(ValueError, match="rows of one size"):
        xinsar.kernel_density(points(degrees=True), 1e5, method="fft", target=1e4)
    assert xinsar.kernel_density(tall, 5000.0).density.attrs["method"] == "exact"


def test_auto_goes_by_sizes_alone(monkeypatch):
    wide = raster(np.zeros((150, 150), np.float32))
    assert xinsar.kernel_density(wide, 470.0).density.attrs["method"] == "exact"
    assert xinsar.kernel_density(wide, 500.0).density.attrs["method"] == "fft"
    many = points(4000)
    near = xinsar.kernel_density(many, 100.0, target=2.0).density
    assert near.attrs["method"] == "exact"
    monkeypatch.setattr(kernels, "work_of_transforms", lambda points, pixels: 0.0)
    assert xinsar.kernel_density(many, 100.0, target=2.0).density.attrs["method"] == "fft"
    assert xinsar.kernel_density(cut(many, 999), 100.0, target=2.0).density.attrs["method"] == "fft"
    assert xinsar.kernel_density(many, 100.0, target=4.0).density.attrs["method"] == "exact", (
        "the bound is too wide"
    )


def test_the_work_of_methods_crosses_where_points_are_many():
    assert kernels.work_of_sums(1000, 100) < kernels.work_of_transforms(1000, 4000**2)
    assert kernels.work_of_sums(10**6, 100) > 2 * kernels.work_of_transforms(10**6, 4000**2)


# ---- chunks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["exact", "fft"])
def test_any_chunks_of_a_raster_give_the_same_bits_and_nothing_is_computed_early(method, dtype):
    cube = raster(gappy((2, 40, 23), dtype=dtype)).to_dataset()
    found = assert_same_everywhere(
        lambda ds: xinsar.kernel_density(ds.velocity, 85, method=method), cube, CHUNKINGS
    )
    assert found.density.dtype == dtype


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_random_chunks_of_a_raster(data):
    shape = data.draw(st.tuples(st.integers(2, 60), st.integers(2, 60)))
    radius, method = data.draw(st.floats(10, 300)), data.draw(st.sampled_from(["exact", "fft"]))
    share = data.draw(st.sampled_from([0.0, 0.3, 0.99]))
    whole = raster(gappy(shape, data.draw(st.integers(0, 99)), share, np.float32))

    def cuts(n):
        borders = data.draw(st.sets(st.integers(1, n - 1), max_size=6)) | {0, n}
        return tuple(np.diff(sorted(borders)).tolist())

    wanted = xinsar.kernel_density(whole, radius, method=method)
    chunked = whole.chunk(y=cuts(shape[0]), x=cuts(shape[1]))
    same_bits(xinsar.kernel_density(chunked, radius, method=method).compute(), wanted)


def test_chunks_that_cross_tiles_of_transforms(monkeypatch):
    monkeypatch.setattr(operations, "_BLOCK", 1)
    whole = raster(gappy((700, 300), dtype=np.float32))
    wanted = xinsar.kernel_density(whole, 90.0, method="fft")
    assert kernels.tiles(8, 700)[1] < 350
    for chunks in ({"y": 97, "x": 41}, {"y": (8, 690, 2), "x": 300}, {"y": 350, "x": 299}):
        same_bits(xinsar.kernel_density(whole.chunk(chunks), 90.0, method="fft").compute(), wanted)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_random_chunks_and_strips_of_points(data):
    from xinsar.mapping import points as strips

    number = data.draw(st.integers(2, 150))
    lead = data.draw(st.sampled_from([(), (2,)]))
    method = data.draw(st.sampled_from(["exact", "fft"]))
    degrees = data.draw(st.booleans())
    ds = points(number, seed=data.draw(st.integers(0, 99)), lead=lead, dtype=np.float32, degrees=degrees)
    ds["velocity"] = ds.velocity.where(np.random.default_rng(1).random(ds.velocity.shape) > 0.2)
    radius, size = data.draw(st.floats(20, 300)), data.draw(st.floats(10, 20))
    borders = data.draw(st.sets(st.integers(1, number - 1), max_size=6)) | {0, number}
    wanted = xinsar.kernel_density(ds.velocity, radius, target=size, method=method)
    before, strips.STRIP_PIXELS = strips.STRIP_PIXELS, data.draw(st.integers(1, 3000))
    try:
        lazy = xinsar.kernel_density(
            cut(ds, tuple(np.diff(sorted(borders)).tolist())).velocity, radius, target=size, method=method
        )
        same_bits(lazy.compute(), wanted)
    finally:
        strips.STRIP_PIXELS = before


@pytest.mark.parametrize("method", ["exact", "fft"])
def test_points_stay_lazy(method):
    ds = points(lead=(2,), dtype=np.float32)
    target = (0, 0, 500, 300, 10)
    lazy = built_lazily(
        lambda d: xinsar.kernel_density(d.velocity, RADIUS, target=target, method=method), cut(ds, 13)
    )
    assert lazy.density.chunks is not None
    assert lazy.density.dtype == np.float32
    same_bits(lazy.compute(), xinsar.kernel_density(ds.velocity, RADIUS, target=target, method=method))
    counted = built_lazily(
        lambda d: xinsar.kernel_density(d, RADIUS, target=target, method=method), cut(ds, 13)
    )
    assert counted.density.chunks is not None
    same_bits(counted.compute(), xinsar.kernel_density(ds, RADIUS, target=target, method=method))


# ---- weights, names, labels


def test_leading_dims_are_fields_of_their_own():
    array = raster(gappy((3, 12, 14)))
    found = xinsar.kernel_density(array, 45.0).density
    ds = points(lead=(3,))
    dense = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=15).density
    assert dense.dims == ("time", "y", "x")
    for t in range(3):
        np.testing.assert_array_equal(found[t], xinsar.kernel_density(array[t], 45.0).density)
        alone = xinsar.kernel_density(ds.velocity[t], RADIUS, target=15).density
        np.testing.assert_array_equal(dense[t], alone)


def test_ways_to_give_weights():
    array = raster(gappy((12, 13)))
    weights = np.random.default_rng(9).random((12, 13))
    ds = xr.Dataset({"a": array, "b": array.copy(data=weights)})
    wanted = xinsar.kernel_density(ds.b, 35.0).density.values
    for data, given_ in ((ds, "b"), (ds, ds.b), (array, ds.b), (ds, weights), (array, weights)):
        np.testing.assert_array_equal(xinsar.kernel_density(data, 35.0, weights=given_).density, wanted)
    series = ds.b.expand_dims(time=2)
    assert xinsar.kernel_density(ds, 35.0, weights=series).density.dims == ("time", "y", "x")

    some = points()
    some["other"] = "point", np.arange(60)
    wanted = xinsar.kernel_density(some.other.astype(float), RADIUS).density.values
    ways = ("other", some.other, some.other.drop_vars(["x", "y"]), some.other.values, list(range(60)))
    for given_ in ways:
        found = xinsar.kernel_density(some, RADIUS, weights=given_).density
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == np.float64


@pytest.mark.parametrize("name", ["x", "y"])
def test_weights_at_other_places_are_refused(name):
    ds = points()
    other = ds.velocity.assign_coords({name: ds[name] + 5000})
    for data in (ds, ds.velocity):
        refused(ValueError, f"weights: .* their {name} is another", data, RADIUS, weights=other, target=20)
    lost = ds.assign_coords({name: ds[name].where(ds[name] > 50)})
    wanted = xinsar.kernel_density(lost.velocity, RADIUS, target=20)
    again = xinsar.kernel_density(lost, RADIUS, weights=lost.velocity.copy(), target=20)
    np.testing.assert_array_equal(again.density, wanted.density)


def test_weights_that_are_not_in_memory_lie_at_the_places_of_the_data():
    ds = points()
    wanted = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=20).density
    off = cut(ds.assign_coords(x=ds.x + 5000), 13).velocity
    found = xinsar.kernel_density(ds, RADIUS, weights=off, target=20).density
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda v: xr.DataArray(v, dims="point")])
def test_the_history_tells_the_kind_of_weights_and_the_numbers_of_a_target(kind):
    weights = kind([1.0] * 60)
    for target, word in ((np.float64(20), "20.0"), (np.array([0, 0, 90, 80]), "[0, 0, 90, 80]")):
        found = xinsar.kernel_density(points(), RADIUS, weights=weights, target=target)
        said = f"radius=100.0, weights='array', target={word}, kernel='quartic', method='auto'"
        assert found.attrs["history"] == f"xinsar.kernel_density({said})"
    cube = raster(np.zeros((9, 9)), origin=(0.0, 90.0))
    assert "target='grid'" in xinsar.kernel_density(points(), RADIUS, target=cube).attrs["history"]


def test_labels():
    ds = points(dtype=np.float32, code="EPSG:32633").assign_attrs(track=26, history="before")
    found = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=20)
    assert found.density.dtype == np.float32
    assert found.attrs["track"] == 26
    said = "before\nxinsar.kernel_density(radius=100.0, weights='velocity', target=20, kernel='quartic', method='auto')"
    assert found.attrs["history"] == said
    assert found.density.attrs["radius"] == RADIUS
    assert CRS.from_wkt(found.spatial_ref.attrs["crs_wkt"]).to_epsg() == 32633
    assert not set(found.coords) - {"x", "y", "spatial_ref"}
    counted = xinsar.kernel_density(ds, RADIUS, target=20)
    assert counted.density.dtype == np.float64


def test_kernels_next_to_each_other():
    """The printed kernel is 1.5 times too large as a whole and wider."""
    values = np.full((41, 41), np.nan)
    values[20, 20] = 1.0
    a, b = (
        xinsar.kernel_density(raster(values), 150.0, kernel=k).density.values for k in ("quartic", "printed")
    )
    assert a[20, 20] == b[20, 20]
    ring = np.hypot(*(np.indices(a.shape) - 20)) * 10
    inside = (ring > 0) & (ring < 150)
    assert (b[inside] > a[inside]).all()


# ---- bad input


@pytest.mark.parametrize("method", ["exact", "fft"])
@pytest.mark.parametrize("lazy", [False, True])
def test_an_infinite_weight_is_an_error_when_computed(method, lazy):
    values = gappy((12, 13))
    values[3, 4] = np.inf
    ds = points()
    ds["velocity"][7] = -np.inf
    for data, options in ((raster(values), {}), (ds.velocity, {"target": (0, 0, 20, 20, 10)})):
        given_ = (data.chunk(y=4) if "y" in data.dims else data.chunk(point=9)) if lazy else data
        with pytest.raises(ValueError, match="infinite one; mark it missing"):
            xinsar.kernel_density(given_, 30.0, method=method, **options).density.compute()


@pytest.mark.parametrize("radius", [0, -3.0, np.nan, np.inf])
def test_radius_must_be_above_zero(radius):
    for data in (raster(gappy((4, 5))), points()):
        with pytest.raises(ValueError, match="radius: expected a"):
            xinsar.kernel_density(data, radius)


def test_radius_smaller_than_a_pixel():
    with pytest.raises(ValueError, match=r"radius: .* 20 x 10 m .* got 9 m"):
        xinsar.kernel_density(raster(gappy((4, 5)), step=(20.0, 10.0)), 9.0)
    with pytest.raises(ValueError, match=r"radius: .* 200 x 200 m"):
        xinsar.kernel_density(points(), 150.0, target=200.0)
    assert xinsar.kernel_density(raster(gappy((4, 5)), step=(20.0, 10.0)), 10.0).density.shape == (4, 5)


def refused(kind, match, data, *args, **options):
    with pytest.raises(kind, match=match):
        xinsar.kernel_density(data, *args, **options)


def test_bad_arguments():
    array, ds = raster(gappy((6, 7))), points()
    refused(ValueError, "kernel: expected one of 'quartic', 'printed'", array, 30.0, kernel="gaussian")
    refused(ValueError, "method: expected one of", array, 30.0, method="binned")
    refused(TypeError, "radius: expected a number", array, "30 m")
    refused(TypeError, "data: expected an xarray", array.values, 30.0)
    refused(KeyError, "no variable 'z' in data", ds, 30.0, weights="z")
    refused(KeyError, "a DataArray", array, 30.0, weights="z")
    refused(ValueError, "weights: expected the shape of the data", ds, 30.0, weights=np.ones(59))
    refused(ValueError, "weights: expected the shape of the data", ds, 30.0, weights=3.0)
    refused(
        ValueError,
        "weights: expected the shape of the data",
        array.to_dataset(),
        30.0,
        weights=np.ones((2, 6, 7)),
    )
    refused(TypeError, "weights: expected the name", ds, 30.0, weights={"a": 1})
    refused(ValueError, "weights", ds, 30.0, weights=xr.DataArray(np.ones(59), dims="point"))
    refused(
        xinsar.SchemaError, "trailing dims", ds, 30.0, weights=xr.DataArray(np.ones((6, 7)), dims=("y", "x"))
    )
    refused(ValueError, "different grids", array, 30.0, weights=array.assign_coords(x=array.x + 1))
    refused(xinsar.SchemaError, "real numbers", ds.assign(name=("point", ["a"] * 60)), 30.0, weights="name")
    refused(xinsar.SchemaError, "expected a coordinate y", ds.drop_vars("y"), 30.0)
    refused(ValueError, "CRS", raster(gappy((6, 7)), units=None), 30.0)
    refused(ValueError, "has no CRS", ds, 30.0, target=raster(np.zeros((3, 3)), code="EPSG:32633"))


def test_maps_and_targets_without_a_pixel():
    array = raster(gappy((2, 6, 7)))
    for empty in (array[:, :0], array[..., :0], array[:0]):
        refused(ValueError, "expected values, got none", empty, 30.0)
        refused(ValueError, "expected values, got none", empty.chunk(), 30.0)
    refused(ValueError, "target: expected at least one pixel, got 0 x 7", points(), 30.0, target=array[0, :0])


def test_half_floats_become_float64():
    array = raster(gappy((6, 7), dtype=np.float16))
    wanted = xinsar.kernel_density(array.astype("f8"), 30.0)
    same_bits(xinsar.kernel_density(array, 30.0), wanted)


def test_one_pixel_of_a_given_size_needs_no_crs():
    ds = points()
    found = xinsar.kernel_density(ds, RADIUS, weights="velocity", target=(100, 100, 150, 150, 50)).density
    assert found.shape == (1, 1)
    close(found.values, of_points(ds, found, ds.velocity.values))


def test_a_single_pixel():
    one = raster(np.array([[2.0]]))
    found = xinsar.kernel_density(one, 30.0).density
    assert float(found[0, 0]) == pytest.approx(2 * 3 / pi / 900)
    refused(ValueError, "only pixel is unknown", points(), 30.0, target=one)
