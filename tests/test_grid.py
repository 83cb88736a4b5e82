"""grid: CRS and pixel sizes, against pyproj's geodesics."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Geod, Transformer

from tests.helpers import with_crs
from xinsar.grid import axis, crs_of, pixel_spacing, step


def cube(x, y, code=None, units=None):
    ds = xr.Dataset(
        {"phase": (("pair", "y", "x"), np.zeros((1, len(y), len(x)), np.float32))},
        {"x": np.asarray(x, float), "y": np.asarray(y, float)},
    )
    if units:
        ds.x.attrs["units"] = units
    return ds if code is None else with_crs(ds, code)


def test_projected_metres_as_they_are():
    dy, dx = pixel_spacing(cube(500_000 + 10.0 * np.arange(5), 5e6 - 20.0 * np.arange(4), "EPSG:32633"))
    np.testing.assert_array_equal(dy, np.full(4, 20.0))
    np.testing.assert_array_equal(dx, np.full(4, 10.0))


def test_direction_of_axes_does_not_matter():
    a = pixel_spacing(cube(10.0 * np.arange(5), -20.0 * np.arange(4), units="m"))
    b = pixel_spacing(cube(-10.0 * np.arange(5), 20.0 * np.arange(4), units="m"))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("latitude", [-70.0, -33.3, 0.0, 19.4, 45.0, 60.0, 84.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_degrees_go_by_the_ellipsoid(latitude, sign):
    step = 1 / 720
    y = latitude - sign * step * np.arange(6)
    ds = cube(-99 + step * np.arange(3), y, "EPSG:4326")
    dy, dx = pixel_spacing(ds)
    geod = Geod(ellps="WGS84")
    across = [geod.inv(-99, v, -99 + step, v)[2] for v in y]
    down = [geod.inv(-99, v - step / 2, -99, v + step / 2)[2] for v in y]
    np.testing.assert_allclose(dx, across, rtol=1e-6)
    np.testing.assert_allclose(dy, down, rtol=1e-6)


def test_other_ellipsoids_count():
    y = 50 - 0.001 * np.arange(3)
    found = pixel_spacing(cube(10 + 0.001 * np.arange(3), y, "EPSG:4314"))  # DHDN, Bessel 1841
    geod = Geod(ellps="bessel")
    assert found[1][0] == pytest.approx(geod.inv(10, 50, 10.001, 50)[2], rel=1e-6)


@pytest.mark.parametrize("units", ["degrees_east", "degree", "degrees", "deg"])
def test_degrees_without_crs_are_on_wgs84(units):
    x, y = 10 + 0.001 * np.arange(3), 60 - 0.001 * np.arange(4)
    found, wanted = pixel_spacing(cube(x, y, units=units)), pixel_spacing(cube(x, y, "EPSG:4326"))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("units", ["m", "metre", "metres", "meter", "meters"])
def test_metres_without_crs(units):
    np.testing.assert_array_equal(pixel_spacing(cube([0, 7], [9, 0], units=units)), [[9, 9], [7, 7]])


@pytest.mark.parametrize("units", [None, "pixel", "km"])
def test_without_crs_and_units_there_is_no_size(units):
    with pytest.raises(ValueError, match=r"^x: .*metres.*no CRS and x.attrs\['units'\].*write_crs"):
        pixel_spacing(cube([0, 7], [9, 0], units=units))


@pytest.mark.parametrize("latitude", [0.0, 30.0, 60.0, 75.0])
def test_mercator_uses_the_local_scale(latitude):
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(15.0, latitude)
    ds = cube(x + 100.0 * np.arange(-2, 3), y - 100.0 * np.arange(-2, 3), "EPSG:3857")
    dy, dx = pixel_spacing(ds)
    to_degrees = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True).transform
    geod = Geod(ellps="WGS84")
    across = geod.inv(*to_degrees(x - 50, y), *to_degrees(x + 50, y))[2]
    down = geod.inv(*to_degrees(x, y - 50), *to_degrees(x, y + 50))[2]
    np.testing.assert_allclose(dx, across, rtol=0.011 if latitude == 0 else 2e-3)
    np.testing.assert_allclose(dy, down, rtol=0.011 if latitude == 0 else 2e-3)


def test_polar_stereographic_far_from_its_true_scale():
    ds = cube(3e6 + 500.0 * np.arange(3), 2e6 - 500.0 * np.arange(3), "EPSG:3031")
    dy, dx = pixel_spacing(ds)
    to_degrees = Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True).transform
    across = Geod(ellps="WGS84").inv(*to_degrees(3e6, 2e6), *to_degrees(3e6 + 500, 2e6))[2]
    assert abs(across / 500 - 1) > 0.01
    np.testing.assert_allclose([dy[0], dx[0]], across, rtol=2e-3)


def test_feet_are_turned_into_metres():
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:2263", always_xy=True).transform(-74.0, 40.7)
    dy, dx = pixel_spacing(cube(x + 100.0 * np.arange(3), y - 100.0 * np.arange(3), "EPSG:2263"))
    np.testing.assert_allclose([dy[0], dx[0]], 100 * 1200 / 3937, rtol=1e-4)


def test_local_engineering_crs_is_taken_as_it_is():
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]')
    ds = cube(5.0 * np.arange(3), -6.0 * np.arange(3), units="m").assign_coords(
        spatial_ref=((), 0, {"crs_wkt": local.to_wkt()})
    )
    np.testing.assert_allclose(pixel_spacing(ds), [[6, 6, 6], [5, 5, 5]])


def test_crs_is_found_on_datasets_arrays_and_under_other_names():
    ds = cube(np.arange(3.0), -np.arange(3.0), "EPSG:32633")
    assert crs_of(ds).to_epsg() == 32633
    assert crs_of(ds.phase).to_epsg() == 32633
    renamed = ds.rename(spatial_ref="crs")
    assert crs_of(renamed) is None
    renamed.phase.attrs["grid_mapping"] = "crs"
    assert crs_of(renamed).to_epsg() == 32633
    assert crs_of(renamed.phase).to_epsg() == 32633
    renamed.phase.attrs.pop("grid_mapping")
    renamed.phase.encoding["grid_mapping"] = "crs"
    assert crs_of(renamed).to_epsg() == 32633


def test_crs_from_cf_parameters_without_wkt():
    attrs = CRS.from_epsg(32633).to_cf()
    attrs.pop("crs_wkt")
    ds = cube(np.arange(3.0), -np.arange(3.0)).assign_coords(spatial_ref=((), 0, attrs))
    assert crs_of(ds).is_projected
    assert crs_of(ds).coordinate_operation.params[1].value == 15  # central meridian of zone 33


def test_crs_as_rioxarray_writes_it():
    rioxarray = pytest.importorskip("rioxarray")
    assert rioxarray
    ds = cube(np.arange(3.0), -np.arange(3.0)).rio.write_crs("EPSG:32719")
    assert crs_of(ds).to_epsg() == 32719


def test_grid_mapping_without_a_crs_is_none():
    ds = cube([0, 5], [5, 0], units="m").assign_coords(spatial_ref=((), 0, {"GeoTransform": "0 5 0 5 0 -5"}))
    assert crs_of(ds) is None
    np.testing.assert_array_equal(pixel_spacing(ds), [[5, 5], [5, 5]])
    assert crs_of(cube([0], [0])) is None


@pytest.mark.parametrize(("x", "y", "wanted"), [([3.0], [9.0, 2.0], (7, 7)), ([3.0, 7.0], [9.0], (4, 4))])
def test_one_column_or_row_is_as_wide_as_the_other_step(x, y, wanted):
    dy, dx = pixel_spacing(cube(x, y, units="m"))
    assert (dy[0], dx[0]) == wanted
    assert step(cube(x, y), "x") > 0
    assert step(cube(x, y), "y") < 0


def test_one_pixel_goes_by_its_transform_else_nan():
    ds = cube([3.0], [9.0], "EPSG:32633")
    dy, dx = pixel_spacing(ds)
    assert (dy[0], dx[0]) == (20, 10)
    assert np.isnan(pixel_spacing(cube([3.0], [9.0], units="m"))).all()


def test_uneven_axes_are_refused():
    with pytest.raises(ValueError, match=r"^x: expected evenly spaced.*1 to 3.*resample"):
        step(cube([0, 1, 4], [0, 1]), "x")
    with pytest.raises(ValueError, match=r"^y: expected evenly spaced"):
        pixel_spacing(cube([0, 1], [0, 1, 4], units="m"))
    with pytest.raises(ValueError, match=r"^x: expected evenly spaced"):
        step(cube([2, 2, 2], [0, 1]), "x")
    with pytest.raises(ValueError, match=r"^x: expected evenly spaced"):
        step(cube([0, np.nan, 2], [0, 1]), "x")


def test_float32_degrees_are_even_enough():
    x = (-99.19 + np.arange(2000) / 720).astype(np.float32)
    assert step(cube(x, [1, 0]), "x") == pytest.approx(1 / 720, rel=1e-4)


def test_missing_axis_is_named():
    with pytest.raises(ValueError, match=r"^x: expected a coordinate of pixel centres.*assign_coords"):
        axis(cube([0, 1], [1, 0]).drop_vars("x"), "x")
