"""Grids to bring points to: cubes as they are, resolutions, extents, and places in another CRS."""

from __future__ import annotations

import tracemalloc

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from pyproj import Geod, Transformer

import xinsar
from tests.helpers import with_crs
from xinsar.grid import crs_of, pixel_spacing
from xinsar.operations.targets import moved, same_place, target_grid


def points(x=(103.0, 208.0, 155.0), y=(51.0, 12.0, 33.0), *, code=None, units="m"):
    ds = xr.Dataset(coords={"x": ("point", np.array(x, float)), "y": ("point", np.array(y, float))})
    ds["x"].attrs["units"] = ds["y"].attrs["units"] = units
    if code:
        from pyproj import CRS

        ds = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_user_input(code).to_wkt()}))
    return ds


def cube(code="EPSG:32633", shape=(5, 7), step=(20.0, 10.0)):
    coords = {"y": 5_000_000 - step[0] * np.arange(shape[0]), "x": 500_000 + step[1] * np.arange(shape[1])}
    ds = xr.Dataset({"v": (("y", "x"), np.zeros(shape, np.float32))}, coords)
    ds["x"].attrs["units"] = "m"
    return with_crs(ds, code) if code else ds


def refused(kind, match, *args):
    with pytest.raises(kind, match=match):
        target_grid(*args)


def test_a_cube_gives_its_very_coordinates():
    ds = cube()
    grid = target_grid(ds, points(), 50.0)
    assert grid.dims == ("y", "x")
    for name in ("x", "y", "spatial_ref"):
        assert grid[name].identical(ds[name].drop_vars(set(ds[name].coords) - set(grid[name].coords)))
    xr.testing.assert_identical(grid, target_grid(ds.v, points(), 50.0))
    assert same_place(ds.v, grid)
    assert not same_place(ds.v.isel(x=slice(1, None)), grid)
    assert not same_place(cube("EPSG:32632").v, grid)


def test_a_raster_without_target_keeps_its_grid():
    ds = cube()
    assert same_place(ds.v, target_grid(None, ds.v, 50.0))


def test_a_resolution_covers_the_points_and_the_radius():
    grid = target_grid(10, points(), 25.0)
    left, right = grid.x.values[0] - 5, grid.x.values[-1] + 5
    top, bottom = grid.y.values[0] + 5, grid.y.values[-1] - 5
    assert (left, right, bottom, top) == (70.0, 240.0, -20.0, 80.0)
    assert left <= 103 - 25 < left + 10
    assert right - 10 < 208 + 25 <= right
    np.testing.assert_array_equal(np.diff(grid.x), 10)
    np.testing.assert_array_equal(np.diff(grid.y), -10)
    assert grid.x.attrs["units"] == "m"
    xr.testing.assert_identical(target_grid(np.float32(10), points(), 25.0), grid)


def test_points_without_target_get_a_tenth_of_the_radius():
    xr.testing.assert_identical(target_grid(None, points(), 50.0), target_grid(5.0, points(), 50.0))


def test_an_extent():
    grid = target_grid((100, 10, 130, 40), points(), 40.0)
    assert grid.shape == (8, 8)
    assert (grid.x.values[0], grid.y.values[0]) == (102.0, 38.0)
    finer = target_grid([100, 10, 130, 40, 3], points(), None)
    assert finer.shape == (10, 10)
    longer = target_grid(np.array([100.0, 10, 130, 40, 7]), points(), 40.0)
    assert longer.shape == (5, 5)
    assert longer.x.values[-1] + 3.5 >= 130
    assert longer.y.values[-1] - 3.5 <= 10


def test_a_single_point_makes_a_grid_around_it():
    grid = target_grid(10.0, points([3.0], [4.0]), 20.0)
    assert grid.shape == (5, 5)
    assert abs(grid.x.values - 3).min() <= 5


def test_crs_is_written_as_rioxarray_does():
    grid = target_grid(10.0, points(code="EPSG:32633"), 20.0)
    assert crs_of(grid).to_epsg() == 32633
    assert grid.spatial_ref.attrs["GeoTransform"] == "80.0 10.0 0.0 80.0 0.0 -10.0"
    assert (grid.x.values[0] - 5, grid.y.values[0] + 5) == (80.0, 80.0)
    assert grid.y.attrs["standard_name"] == "projection_y_coordinate"
    assert "spatial_ref" not in target_grid(10.0, points(), 20.0).coords


@pytest.mark.parametrize("code", ["EPSG:32633", None])
@pytest.mark.parametrize("target", ["resolution", "extent"])
def test_a_grid_of_any_size_costs_no_more_than_its_coordinates(code, target):
    ds = points([0.0, 20_000.0], [0.0, 20_000.0], code=code)
    given_ = 10.0 if target == "resolution" else (0, 0, 20_000, 20_000, 10)
    target_grid(given_, ds, 500.0)  # what the first call loads does not count
    tracemalloc.start()
    try:
        grid = target_grid(given_, ds, 500.0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert grid.size >= 4e6
    assert grid.variable.data.strides == (0, 0)
    assert most < grid.size / 4


@pytest.mark.parametrize("units", ["m", "degrees_east"])
@pytest.mark.parametrize("extent", [(10.0, 50.0, 10.001, 50.001), (10.0, 50.0, 10.0005, 50.01)])
def test_one_pixel_or_column_of_a_given_size_needs_no_crs(units, extent):
    ds = points([10.0], [50.0], units=units)
    resolution = 100.0 if units != "m" else 0.001
    grid = target_grid((*extent, resolution), ds, None)
    assert grid.shape[1] == 1
    assert crs_of(grid) is None
    dy, dx = pixel_spacing(grid)
    assert float(dy[0]) == pytest.approx(resolution, rel=1e-3)
    assert float(dx[0]) == pytest.approx(resolution, rel=1e-3)
    xr.testing.assert_identical(target_grid(grid, ds, None), grid)


def test_degrees_by_metres_at_the_middle_latitude():
    ds = points([13.0, 13.02], [60.0, 60.01], code="EPSG:4326", units="degrees_east")
    grid = target_grid(30.0, ds, 100.0)
    geod = Geod(ellps="WGS84")
    x, y = grid.x.values, grid.y.values
    middle = y[y.size // 2]
    assert geod.inv(x[0], middle, x[1], middle)[2] == pytest.approx(30, rel=1e-4)
    assert geod.inv(x[0], y[0], x[0], y[1])[2] == pytest.approx(30, rel=1e-4)
    edge = y[-1] - (y[0] - y[1]) / 2
    assert geod.inv(13.0, 60.0, 13.0, edge)[2] == pytest.approx(115, abs=16)
    assert edge < 60
    assert grid.x.attrs["units"] == "degrees_east"
    assert grid.y.attrs["units"] == "degrees_north"


def test_feet():
    """EPSG:2263 counts in US survey feet: a pixel of 30 m is 98.4 of them."""
    ds = points([980_000.0, 981_000.0], [200_000.0, 201_000.0], code="EPSG:2263", units="US survey foot")
    grid = target_grid(30.0, ds, 100.0)
    np.testing.assert_allclose(np.diff(grid.x), 30 * 3937 / 1200, rtol=1e-6)
    assert "metre" in grid.x.attrs["units"]
    assert grid.x.attrs["units"] != "metre"


def test_places_that_are_not_finite_do_not_widen_the_grid():
    some = points([103.0, np.nan, 208.0, np.inf, 155.0], [51.0, 1e9, 12.0, 5.0, np.nan])
    grid = target_grid(10.0, some, 25.0)
    assert (grid.x.values[0] - 5, grid.x.values[-1] + 5) == (70.0, 240.0)


def test_lazy_places_give_the_same_grid():
    ds = points()
    lazy = ds.assign_coords(
        {n: ("point", da.from_array(ds[n].values, chunks=2), ds[n].attrs) for n in ("x", "y")}
    )
    xr.testing.assert_identical(target_grid(10.0, lazy, 25.0), target_grid(10.0, ds, 25.0))


@pytest.mark.parametrize(
    ("kind", "match", "target", "radius"),
    [
        (TypeError, "a cube with y and x, a resolution", "10 m", 20.0),
        (TypeError, "a cube with y and x, a resolution", {"x": 1}, 20.0),
        (TypeError, "expected a", True, 20.0),
        (TypeError, "a cube", (1, 2, 3, "a", "b"), 20.0),
        (ValueError, "above 0", 0, 20.0),
        (ValueError, "above 0", -3.0, 20.0),
        (ValueError, "above 0", float("nan"), 20.0),
        (ValueError, "finite", float("inf"), 20.0),
        (ValueError, "an extent", (1, 2, 3), 20.0),
        (ValueError, "an extent", (1, 2, 3, np.nan), 20.0),
        (ValueError, "left < right", (3, 2, 1, 4), 20.0),
        (ValueError, "bottom < top", (1, 4, 3, 2), 20.0),
        (ValueError, "resolution in metres", None, None),
        (ValueError, "resolution in metres", (0, 0, 1, 1), None),
        (ValueError, "larger pixels", 1e-6, 20.0),
        (ValueError, "dims y and x", xr.Dataset({"v": ("time", [1.0])}), 20.0),
    ],
)
def test_what_makes_no_grid(kind, match, target, radius):
    refused(kind, match, target, points(), radius)


def test_other_ways_to_make_no_grid():
    refused(ValueError, "finite coordinates", None, points([np.nan], [1.0]), 20.0)
    refused(ValueError, "CRS", 5.0, points(units="pixels"), 20.0)
    uneven = cube().assign_coords(x=[0.0, 1, 2, 3, 9, 10, 11])
    refused(ValueError, "x: expected evenly spaced", uneven, points(), 20.0)
    refused(ValueError, "at least one pixel, got 5 x 0", cube().isel(x=slice(0)), points(), 20.0)


def test_places_move_between_crs():
    grid = target_grid(cube("EPSG:32633"), points(), 20.0)
    ds = points([15.0, 15.001, np.nan], [45.1, 45.2, 45.0], code="EPSG:4326", units="degrees_east")
    x, y = moved(ds.x, ds.y, ds, grid)
    east, north = Transformer.from_crs(4326, 32633, always_xy=True).transform([15.0, 15.001], [45.1, 45.2])
    np.testing.assert_allclose(x.values[:2], east)
    np.testing.assert_allclose(y.values[:2], north)
    assert np.isnan(x.values[2])
    assert np.isnan(y.values[2])
    same = points(code="EPSG:32633")
    xr.testing.assert_identical(moved(same.x, same.y, same, grid)[0], same.x)
    assert crs_of(grid).to_epsg() == 32633


def test_a_crs_on_one_side_only_is_refused():
    with pytest.raises(ValueError, match="the data has no CRS but the target has one"):
        moved(points().x, points().y, points(), target_grid(cube(), points(), 1.0))
    ds = points(code="EPSG:32633")
    with pytest.raises(ValueError, match="the target has no CRS but the data has one"):
        moved(ds.x, ds.y, ds, target_grid(cube(None), ds, 1.0))
    ds = points(units="degrees_east")
    with pytest.raises(ValueError, match="the other in degrees"):
        moved(ds.x, ds.y, ds, target_grid(cube(None), ds, 1.0))


def test_kernel_density_uses_it():
    ds = points(code="EPSG:32633")
    found = xinsar.kernel_density(ds, 30.0, target=10)
    assert same_place(found.density, target_grid(10, ds, 30.0))
