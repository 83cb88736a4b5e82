"""Slope and aspect: planes, SciPy and plain loops as oracles, xarray-spatial beside, holes, edges, degrees, errors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import assert_same_everywhere, with_crs
from xinsar import SchemaError
from xinsar.grid import pixel_spacing
from xinsar.operations.terrain import terrain

CHUNKINGS = ({"y": -1, "x": -1}, {"y": 7, "x": 5}, {"y": 1, "x": 11}, {"y": 4, "x": 1})


def dem(values, *, step=(-20.0, 10.0), units="m", origin=(500_000.0, 5_000_000.0)):
    """Return elevations on a grid with signed steps of y and x."""
    values = np.asarray(values)
    y = origin[1] + step[0] * np.arange(values.shape[-2])
    x = origin[0] + step[1] * np.arange(values.shape[-1])
    dims = ("time", "y", "x")[-values.ndim :]
    array = xr.DataArray(values, dims=dims, coords={"y": y, "x": x}, name="elevation", attrs={"units": "m"})
    array["x"].attrs["units"] = array["y"].attrs["units"] = units
    return array


def plane(slope, aspect, shape=(7, 9), step=(-20.0, 10.0)):
    """Return a tilted plane that descends toward ``aspect``."""
    flat = dem(np.zeros(shape), step=step)
    a = np.deg2rad(aspect)
    east, north = flat.x - flat.x[0], flat.y - flat.y[0]
    z = 500 - np.tan(np.deg2rad(slope)) * (np.sin(a) * east + np.cos(a) * north)
    return flat.copy(data=z.transpose("y", "x").values)


def hills(shape=(23, 31), seed=0, gaps=0.0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=shape).cumsum(-1).cumsum(-2) + 1000
    z[rng.random(shape) < gaps] = np.nan
    return z.astype(dtype)


def angle_between(a, b):
    return np.abs((np.asarray(a, float) - b + 180) % 360 - 180)


def plain(z, dy, dx):
    """Slope and aspect in float64, pixel by pixel, with the rule at holes; ``dy`` northward to the row before."""
    out = np.full((2, *z.shape), np.nan)
    wide = np.pad(z.astype(float), 1, constant_values=np.nan)
    for y, x in zip(*np.nonzero(~np.isnan(z)), strict=True):
        near = wide[y : y + 3, x : x + 3]
        east = _component(near) / dx[y]
        north = _component(near.T[:, ::-1]) / dy[y]
        if np.isnan(east) or np.isnan(north):
            continue
        out[0, y, x] = np.degrees(np.arctan(np.hypot(east, north)))
        if east or north:
            out[1, y, x] = np.degrees(np.arctan2(-east, -north)) % 360
    return out


def _component(near):
    """Difference along the columns of a 3 x 3: pairs two apart, else neighbours; weights 1, 2, 1."""
    weights = np.array([1.0, 2.0, 1.0])
    apart = (near[:, 2] - near[:, 0]) / 2
    if np.isfinite(apart).any():
        there = np.isfinite(apart)
        return np.average(apart[there], weights=weights[there])
    beside = np.diff(near, axis=1)
    there = np.isfinite(beside)
    both = np.broadcast_to(weights[:, None], (3, 2))
    return np.average(beside[there], weights=both[there]) if there.any() else np.nan


@pytest.mark.parametrize("aspect", [0.0, 30.0, 90.0, 135.0, 180.0, 200.0, 270.0, 345.0])
@pytest.mark.parametrize("slope", [0.5, 25.0, 45.0, 80.0])
@pytest.mark.parametrize("step", [(-20.0, 10.0), (20.0, 10.0), (-5.0, -7.0)])
def test_planes_up_to_the_border_whatever_way_the_axes_run(slope, aspect, step):
    found = terrain(plane(slope, aspect, step=step))
    np.testing.assert_allclose(found.slope, slope, atol=2e-5)
    assert angle_between(found.aspect, aspect).max() < 1e-4
    assert ((found.aspect >= 0) & (found.aspect < 360)).all()


def test_scipy():
    """Sobel's kernel of SciPy is Horn's, away from the border."""
    from scipy import ndimage

    z = hills(dtype=np.float64)
    east = ndimage.sobel(z, axis=1) / (8 * 10.0)
    north = -ndimage.sobel(z, axis=0) / (8 * 20.0)
    found = terrain(dem(z))
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(
        found.slope.values[inner], np.degrees(np.arctan(np.hypot(east, north)))[inner], atol=3e-5
    )
    aspect = np.degrees(np.arctan2(-east, -north))
    assert angle_between(found.aspect.values, aspect)[inner].max() < 1e-4


@pytest.mark.parametrize("gaps", [0.0, 0.1, 0.5, 0.9])
def test_plain_loops_with_holes_and_edges(gaps):
    z = hills(gaps=gaps, seed=3)
    wanted = plain(z, np.full(23, 20.0), np.full(23, 10.0))
    found = terrain(dem(z))
    np.testing.assert_array_equal(np.isnan(found.slope), np.isnan(wanted[0]))
    np.testing.assert_array_equal(np.isnan(found.aspect), np.isnan(wanted[1]))
    np.testing.assert_allclose(found.slope, wanted[0], atol=1e-4)
    assert np.nanmax(angle_between(found.aspect.values, wanted[1])) < 1e-2


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2)])
def test_thin_images(shape):
    found = terrain(with_crs(dem(hills(shape)).to_dataset(), "EPSG:32633"))
    assert bool(found.slope.notnull().all()) == (min(shape) > 1)


def test_flat_ground_has_no_aspect():
    found = terrain(dem(np.full((4, 5), 12.5)))
    assert (found.slope == 0).all()
    assert np.isnan(found.aspect).all()


def test_a_hole_costs_its_own_pixel_only():
    tilted = plane(25, 200)
    tilted[3, 4] = np.nan
    found = terrain(tilted)
    assert int(np.isnan(found.slope).sum()) == 1
    np.testing.assert_allclose(found.slope.values[~np.isnan(tilted.values)], 25, atol=2e-5)


def test_metres_of_every_row_in_degrees():
    z = hills((40, 12), dtype=np.float64)
    grid = dem(z, step=(-0.25, 0.001), units="degrees_east", origin=(10.0, 70.0))
    sizes = pixel_spacing(grid)
    assert sizes[1].max() > 1.4 * sizes[1].min()
    found = terrain(grid)
    np.testing.assert_allclose(found.slope, plain(z, *sizes)[0], atol=1e-4)


def test_xarray_spatial():
    """The same slope inside; its aspect forgets the size of pixels, calls flat ground -1 and the border NaN."""
    xrspatial = pytest.importorskip("xrspatial")
    square, oblong = (dem(hills(), step=step) for step in ((-10.0, 10.0), (-20.0, 10.0)))
    square.attrs["res"], oblong.attrs["res"] = (10.0, 10.0), (10.0, 20.0)
    inner = np.s_[1:-1, 1:-1]
    for grid in (square, oblong):
        theirs = xrspatial.slope(grid).values
        np.testing.assert_allclose(terrain(grid).slope.values[inner], theirs[inner], atol=1e-4)
        assert np.isnan(theirs[0]).all()
    apart = [
        angle_between(terrain(grid).aspect.values, xrspatial.aspect(grid).values)[inner].max()
        for grid in (square, oblong)
    ]
    assert apart[0] < 1e-2
    assert apart[1] > 10
    assert (xrspatial.aspect(dem(np.zeros((5, 5)))).values[inner] == -1).all()


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize("units", ["m", "degrees_east"])
def test_any_chunks_give_the_same_bits_and_nothing_is_computed_early(gaps, units):
    step, origin = ((-20.0, 10.0), (5e5, 5e6)) if units == "m" else ((-0.01, 0.02), (10.0, 60.0))
    cube = dem(hills(gaps=gaps), step=step, units=units, origin=origin).to_dataset()
    found = assert_same_everywhere(terrain, cube, CHUNKINGS)
    assert found.slope.dtype == found.aspect.dtype == np.float32
    assert found.slope.attrs["units"] == "degree"
    assert found.attrs["history"] == "xinsar.terrain()"


@given(
    shape=st.tuples(st.integers(2, 70), st.integers(2, 70)),
    chunks=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_random_chunks(shape, chunks, seed):
    grid = dem(hills(shape, seed, gaps=0.1))
    wanted = terrain(grid)
    found = terrain(grid.chunk(dict(zip("yx", chunks, strict=True))))
    xr.testing.assert_identical(found.compute(scheduler="synchronous"), wanted)


def test_turning_the_ground_turns_the_aspect():
    z = hills((20, 20), dtype=np.float64)
    grid = dem(z, step=(-10.0, 10.0))
    found = terrain(grid)
    turned = terrain(grid.copy(data=np.rot90(z)))
    np.testing.assert_allclose(turned.slope, np.rot90(found.slope), atol=2e-5)
    assert np.nanmax(angle_between(turned.aspect.values, np.rot90(found.aspect.values) - 90)) < 1e-3


def test_leading_dims_and_whole_numbers():
    z = np.stack([hills(seed=s) for s in range(2)]).round()
    both = terrain(dem(z))
    assert both.slope.dims == ("time", "y", "x")
    for number, dtype in ((0, np.int16), (1, np.int32)):
        one = terrain(dem(z[number].astype(dtype)))
        np.testing.assert_array_equal(one.slope, both.slope[number])
        np.testing.assert_array_equal(one.aspect, both.aspect[number])


@pytest.mark.parametrize("wrong", [-9999.0, -32768.0, 32767.0, 29029.0, np.inf, -np.inf, 3.4e38])
@pytest.mark.parametrize("place", [(0, 0), (3, 4), (6, 8)])
def test_what_is_no_elevation(wrong, place):
    tilted = plane(25, 200).astype("float32")
    tilted[place] = wrong
    with pytest.raises(ValueError, match=r"(?s)elevation: expected metres .*holes .* NaN.* feet"):
        terrain(tilted)
    with pytest.raises(ValueError, match="elevation: expected metres"):
        terrain(tilted.chunk(x=4)).compute()


def test_errors_at_the_door():
    good = plane(25, 200)
    with pytest.raises(TypeError, match=r"elevation: expected an xarray.DataArray or a Dataset"):
        terrain(good.values)
    with pytest.raises(SchemaError, match="elevation: the dataset has no variable"):
        terrain(good.to_dataset(name="height"))
    with pytest.raises(SchemaError, match="elevation: expected units 'm', got 'feet'"):
        terrain(good.assign_attrs(units="feet"))
    with pytest.raises(SchemaError, match="transpose"):
        terrain(good.T)
    with pytest.raises(SchemaError, match="elevation: expected a floating"):
        terrain(good > 0)
    nowhere = good.copy()
    nowhere["x"] = good.x.drop_attrs()
    with pytest.raises(ValueError, match="x: the pixel size in metres is needed"):
        terrain(nowhere)


def test_deep_water_is_an_elevation():
    assert np.isfinite(terrain(plane(10, 90) - 6000).slope).all()


def open_dem(path):
    """Return a GeoTIFF of elevations or slopes, 0 and NaN outside."""
    import rasterio

    with rasterio.open(path) as opened:
        z = dem(opened.read(1).astype("float32"), step=(opened.transform.e, opened.transform.a))
    return z.where(z != 0)


@pytest.mark.real
def test_a_real_mountain(real_data):
    """Steep ground in Bhutan, beside central differences over two pixels."""
    z = open_dem(real_data("bhutan-alos-slope-cube") / "DEM_UTM.tif")
    found = terrain(z)
    assert 15 < float(found.slope.median()) < 25
    east, north = (z.differentiate(d, edge_order=1) for d in ("x", "y"))
    steep = np.degrees(np.arctan(np.hypot(east, north)))
    assert float(abs(found.slope - steep).median()) < 2
    aspect = np.degrees(np.arctan2(-east, -north))
    assert np.nanmedian(angle_between(found.aspect.values, aspect.values)) < 4
