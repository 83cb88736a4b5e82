"""Snow index and mask: the formula, missing bands, unequal grids, wrong scales, real Sentinel-2 clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import xinsar

Array = NDArray[Any]


def wkt(epsg: int) -> str:
    from pyproj import CRS

    return CRS.from_epsg(epsg).to_wkt()


def band(
    values: Any, *, left: float = 0.0, top: float = 1200.0, pixel: float = 20.0, epsg: int | None = 32632
) -> xr.DataArray:
    """Return a band (..., y, x) whose first pixel's upper left corner is at (left, top)."""
    values = np.asarray(values, np.float32)
    *_, height, width = values.shape
    coords: dict[str, Any] = {
        "y": top - pixel * (np.arange(height) + 0.5),
        "x": left + pixel * (np.arange(width) + 0.5),
    }
    if epsg is not None:
        coords["spatial_ref"] = ((), 0, {"crs_wkt": wkt(epsg)})
    return xr.DataArray(values, coords=coords, dims=("time", "y", "x")[-values.ndim :])


def reflectances(shape: tuple[int, int] = (12, 14), seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    green, nir, swir = (rng.uniform(0, 1, shape).astype(np.float32) for _ in range(3))
    return green, nir, swir


def plain_snow(green: Array, nir: Array, swir: Array) -> Array:
    out = np.zeros(green.shape, bool)
    for place in np.ndindex(green.shape):
        g, n, s = (float(b[place]) for b in (green, nir, swir))
        if not np.isnan([g, n, s]).any() and g + s > 0:
            out[place] = (g - s) / (g + s) > 0.4 and g > 0.28 and n > 0.15
    return out


def test_formula() -> None:
    green, nir, swir = reflectances()
    green[2, 3], nir[4, 5], swir[6, 7] = np.nan, np.nan, np.nan
    found = xinsar.snow_mask(band(green), band(nir), band(swir))
    assert list(found.data_vars) == ["snow"]
    assert found.snow.dtype == bool
    assert found.spatial_ref.attrs["crs_wkt"] == wkt(32632)
    np.testing.assert_array_equal(found.snow, plain_snow(green, nir, swir))
    assert found.snow.any()
    index = xinsar.ndsi(band(green), band(swir)).ndsi
    assert index.dtype == np.float32
    np.testing.assert_allclose(index, (green - swir) / (green + swir), rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(index), np.isnan(green) | np.isnan(swir))


@pytest.mark.parametrize(
    ("what", "green", "nir", "swir", "expected"),
    [
        ("fresh snow", 0.85, 0.8, 0.12, True),
        ("lit snow above 1", 1.15, 1.1, 0.1, True),
        ("lake, high index, dark in near infrared", 0.06, 0.01, 0.01, False),
        ("bright turbid water", 0.3, 0.1, 0.05, False),
        ("dense forest, dark in green", 0.05, 0.4, 0.02, False),
        ("cloud, bright in short-wave infrared", 0.7, 0.7, 0.5, False),
        ("index on the threshold", 0.7, 0.5, 0.3, False),
        ("green on the threshold", 0.28, 0.5, 0.05, False),
        ("near infrared on the threshold", 0.8, 0.15, 0.05, False),
        ("black", 0.0, 0.0, 0.0, False),
    ],
)
def test_surfaces(what: str, green: float, nir: float, swir: float, expected: bool) -> None:
    bands = (xr.DataArray(np.array([[v]]), dims=("y", "x")) for v in (green, nir, swir))
    assert xinsar.snow_mask(*bands).snow.item() is expected, what


def test_thresholds_are_options() -> None:
    bands = [band(b) for b in reflectances()]
    none = xinsar.snow_mask(*bands, ndsi=1.0)
    some = xinsar.snow_mask(*bands, ndsi=0.0, green_min=0.0, nir_min=0.0)
    assert not none.snow.any()
    np.testing.assert_array_equal(some.snow, (bands[0] > bands[2]).values)
    assert "ndsi=0.0" in some.attrs["history"]


def test_where_the_index_has_no_value() -> None:
    """0/0, and negative leftovers of the atmospheric correction."""
    green, swir = band([[0.0, -0.01, 0.02]]), band([[0.0, 0.005, -0.01]])
    np.testing.assert_array_equal(np.isnan(xinsar.ndsi(green, swir).ndsi[0]), [True, True, False])


def test_missing_bands() -> None:
    green, nir, swir = (band(b) for b in reflectances())
    for bands in ((None, nir, swir), (green, None, swir), (green, nir, None)):
        found = xinsar.snow_mask(*bands).snow
        assert found.shape == (12, 14)
        assert found.dtype == bool
        assert not found.any()
    for pair in ((None, swir), (green, None)):
        found = xinsar.ndsi(*pair).ndsi
        assert found.dtype == np.float32
        assert np.isnan(found).all()
    with pytest.raises(TypeError, match="green, swir: expected at least one DataArray"):
        xinsar.ndsi(None, None)


def test_coarser_bands_take_the_pixel_around_each_centre() -> None:
    fine, _, _ = reflectances((12, 16))
    _, nir, swir = reflectances((6, 8), seed=1)
    found = xinsar.snow_mask(band(fine, pixel=10), band(nir), band(swir))
    nir, swir = (np.repeat(np.repeat(b, 2, 0), 2, 1) for b in (nir, swir))
    np.testing.assert_array_equal(found.snow, plain_snow(fine, nir, swir))
    np.testing.assert_array_equal(found.y, band(fine, pixel=10).y)


def plain_nearest(source: xr.DataArray, target: xr.DataArray) -> Array:
    """Look every pixel centre up, one by one."""
    height, width = source.shape
    dy, dx = (float(source[d][1] - source[d][0]) for d in ("y", "x"))
    out = np.full(target.shape, np.nan, np.float32)
    for i, y in enumerate(target.y.values):
        for j, x in enumerate(target.x.values):
            r, c = (y - source.y.values[0]) / dy, (x - source.x.values[0]) / dx
            if -0.5 <= r < height - 0.5 and -0.5 <= c < width - 0.5:
                out[i, j] = source.values[int(np.floor(r + 0.5)), int(np.floor(c + 0.5))]
    return out


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("pixel", "left", "top"), [(33.0, 7.0, 1190.0), (7.0, -20.0, 1230.0), (20.0, 50.0, 1130.0)]
)
def test_grids_that_do_not_nest(pixel: float, left: float, top: float, flip: bool) -> None:
    green, _, _ = reflectances((11, 13))
    _, _, swir = reflectances((9, 10), seed=2)
    target, other = band(green), band(swir, pixel=pixel, left=left, top=top)
    other = other.isel(y=slice(None, None, -1)) if flip else other
    found = xinsar.ndsi(target, other).ndsi
    near = plain_nearest(other, target)
    assert np.isfinite(near).any()
    np.testing.assert_allclose(found, (green - near) / (green + near), rtol=1e-6)
    lazy = xinsar.ndsi(target.chunk(y=4, x=5), other.chunk(y=2, x=3)).ndsi
    np.testing.assert_array_equal(lazy, found)


def test_coordinates_that_differ_by_rounding_are_one_grid() -> None:
    green, _, swir = reflectances()
    other = band(swir, left=1e-7)
    expected = xinsar.ndsi(band(green), band(swir)).ndsi
    np.testing.assert_array_equal(xinsar.ndsi(band(green), other).ndsi, expected)


def test_another_crs() -> None:
    """A band in degrees: every pixel centre is projected and looked up."""
    from pyproj import Transformer

    green, _, _ = reflectances((10, 12))
    target = band(green, left=500_000, top=5_000_000)
    swir = np.random.default_rng(3).uniform(0, 1, (9, 14)).astype(np.float32)
    other = band(swir, left=8.9998, top=45.1535, pixel=0.0004, epsg=4326)
    found = xinsar.ndsi(target, other).ndsi
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    expected = np.full(target.shape, np.nan, np.float32)
    for i, y in enumerate(target.y.values):
        for j, x in enumerate(target.x.values):
            lon, lat = to_degrees.transform(x, y)
            r, c = int((45.1535 - lat) // 0.0004), int((lon - 8.9998) // 0.0004)
            if 0 <= r < 9 and 0 <= c < 14:
                expected[i, j] = (green[i, j] - swir[r, c]) / (green[i, j] + swir[r, c])
    assert np.isfinite(expected).mean() > 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for chunks in ({"y": 3, "x": 5}, {"y": 10, "x": 1}):
        lazy = xinsar.ndsi(target.chunk(chunks), other.chunk(y=2)).ndsi
        np.testing.assert_array_equal(lazy, found)
    np.testing.assert_array_equal(xinsar.ndsi(target, other.chunk(y=2)).ndsi, found)


def test_bands_of_several_dates() -> None:
    rng = np.random.default_rng(0)
    green = rng.uniform(0, 1, (3, 8, 10)).astype(np.float32)
    nir, swir = rng.uniform(0, 1, (2, 3, 4, 5)).astype(np.float32)
    found = xinsar.snow_mask(band(green, pixel=10), band(nir), band(swir)).snow
    assert found.dims == ("time", "y", "x")
    nir, swir = (np.repeat(np.repeat(b, 2, 1), 2, 2) for b in (nir, swir))
    np.testing.assert_array_equal(found, plain_snow(green, nir, swir))


def test_several_dates_in_another_crs() -> None:
    rng = np.random.default_rng(4)
    green = band(rng.uniform(0, 1, (3, 10, 12)), left=500_000, top=5_000_000)
    swir = band(rng.uniform(0, 1, (3, 9, 14)), left=8.9998, top=45.1535, pixel=0.0004, epsg=4326)
    found = xinsar.ndsi(green, swir).ndsi
    assert found.dims == ("time", "y", "x")
    for k in range(3):
        np.testing.assert_array_equal(found[k], xinsar.ndsi(green[k], swir[k]).ndsi)
    lazy = xinsar.ndsi(green.chunk(time=1, y=4), swir.chunk(time=2)).ndsi
    np.testing.assert_array_equal(lazy, found)


def test_places_that_do_not_meet() -> None:
    green, nir, swir = reflectances()
    with pytest.raises(ValueError, match=r"swir: expected a raster that overlaps 'green' .*same place"):
        xinsar.ndsi(band(green), band(swir, left=5000))
    with pytest.raises(ValueError, match=r"nir: expected a raster that overlaps"):
        xinsar.snow_mask(band(green), band(nir, left=40.0, top=10.0, pixel=0.001, epsg=4326), band(swir))
    plain = [xr.DataArray(b, dims=("y", "x")) for b in (green, swir[:5])]
    with pytest.raises(ValueError, match=r"y: expected a coordinate of pixel centres"):
        xinsar.ndsi(*plain)


def test_lazy_in_the_chunks_of_green() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("computed while building")

    green, nir, swir = (band(b) for b in reflectances((20, 24)))
    whole = xinsar.snow_mask(green, nir, swir)
    lazy = [green.chunk(y=(3, 9, 8), x=24), nir.chunk(y=7, x=5), swir.chunk(y=20, x=11)]
    with dask.config.set(scheduler=refuse):
        found = lazy[0].insar.snow_mask(lazy[1], lazy[2])
        empty = xinsar.snow_mask(lazy[0], None, lazy[2])
    assert found.snow.chunksizes == lazy[0].chunksizes == empty.snow.chunksizes
    xr.testing.assert_identical(found.compute(), whole)


def test_numbers_that_are_no_reflectance() -> None:
    """The message tells the scale and the offset; lazy data tells when computed."""
    green, nir, swir = (band(b) for b in reflectances())
    words = r"nir: expected reflectance 0..1, got values from .* to .*1e-4.*-1000"
    with pytest.raises(ValueError, match=words):
        xinsar.snow_mask(green, nir * 10_000, swir)
    lazy = xinsar.snow_mask(green.chunk(y=5), (nir * 10_000).chunk(y=5), swir)
    with pytest.raises(ValueError, match=words):
        lazy.compute()
    with pytest.raises(ValueError, match=r"green: .* floating point, got dtype uint16; .*1e-4"):
        xinsar.ndsi((green * 10_000).astype(np.uint16), swir)
    with pytest.raises(ValueError, match=r"swir: expected reflectance 0..1, got values from -9999"):
        xinsar.ndsi(green, swir.where(swir > 0.1, -9999))
    with pytest.raises(ValueError, match=r"green: expected reflectance 0..1, got values from .* to inf"):
        xinsar.ndsi(green.where(green > 0.1, np.inf), swir)


def test_kinds_that_are_no_band() -> None:
    green, _, swir = reflectances()
    with pytest.raises(TypeError, match=r"green: expected an xarray.DataArray of reflectance, got ndarray"):
        xinsar.ndsi(green, band(swir))
    with pytest.raises(
        xinsar.SchemaError, match=r"swir: expected trailing dims \('y', 'x'\), got \('x', 'y'\)"
    ):
        xinsar.ndsi(band(green), band(swir).transpose())


def read(path: Path, number: int = 1) -> xr.DataArray:
    """Return one band of a Sentinel-2 clip as reflectance; these products have no offset."""
    import rasterio

    with rasterio.open(path) as source:
        numbers = source.read(number).astype(np.float32)
        numbers[numbers == source.nodata] = np.nan
        bounds, epsg = source.bounds, source.crs.to_epsg()
        return band(numbers * 1e-4, left=bounds.left, top=bounds.top, pixel=source.res[0], epsg=epsg)


@pytest.mark.real
def test_real_clips_without_snow(real_data: Any) -> None:
    """Three places: at 20 m the index lies within -0.90..0.20; nothing is snow, at 10 m neither."""
    extremes = []
    for folder in sorted((real_data("sentinel2-clips") / "bigearthnet").iterdir()):
        green, nir, swir = (read(folder / f"{folder.name}_{name}.tif") for name in ("B03", "B8A", "B11"))
        assert (green.shape, nir.shape, swir.shape) == ((120, 120), (60, 60), (60, 60))
        coarse = green.coarsen(y=2, x=2).mean().assign_coords(spatial_ref=green.spatial_ref)
        index = xinsar.ndsi(coarse, swir).ndsi
        extremes += [float(index.min()), float(index.max())]
        for given in (green, coarse):
            found = xinsar.snow_mask(given, nir, swir).snow
            assert found.shape == given.shape
            assert not found.any()
    assert round(min(extremes), 2) == -0.90
    assert round(max(extremes), 2) == 0.20


@pytest.mark.real
def test_real_lake_is_no_snow(real_data: Any) -> None:
    """The index alone takes an alpine lake for snow (18 % of the clip); the near infrared does not."""
    path = real_data("sentinel2-clips") / "barbellino" / "S2A2A_20190723_022_Barbellino_BOA_10.tif"
    green, nir, vapour, swir = (read(path, number) for number in (3, 8, 9, 10))
    share = float((xinsar.ndsi(green, swir).ndsi > 0.4).mean())
    assert share == pytest.approx(0.18, abs=0.005)
    for infrared, expected in ((vapour, 0.02), (nir, 0.0)):
        found = xinsar.snow_mask(green, infrared, swir, green_min=0.0, nir_min=0.11).snow
        assert float(found.mean()) == pytest.approx(expected, abs=0.002)
    assert not xinsar.snow_mask(green, nir, swir).snow.any()
