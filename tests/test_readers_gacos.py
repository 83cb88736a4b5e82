"""GACOS: files written as the service and the LiCSAR portal write them (stand-ins), and a real folder of GeoTIFFs."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

import xinsar
from tests.helpers import built_lazily
from xinsar.readers import open_gacos

X, Y, STEP = 10.0, 45.0, 0.01


def delays(seed=0, shape=(5, 7), level=2.3):
    values = level + 0.1 * np.random.default_rng(seed).random(shape)
    values[1, 2] = 0
    return values.astype("f4")


def write_ztd(folder, date, values, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}.ztd"
    values.astype("<f4").tofile(path)
    entries = {
        "WIDTH": values.shape[1],
        "FILE_LENGTH": values.shape[0],
        "XMIN": 0,
        "X_FIRST": X,
        "Y_FIRST": Y,
        "X_STEP": STEP,
        "Y_STEP": -STEP,
        "X_UNIT": "degres",
        "PROJECTION": "LATLON",
        "DATUM": "WGS84",
    } | changes
    lines = (f"{key:<20}{value}" for key, value in entries.items() if value is not None)
    (folder / f"{date}.ztd.rsc").write_text("\n".join(lines) + "\n")
    return path


def write_tif(folder, name, values, *, step=STEP, **options):
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": "float32"}
    profile |= {"crs": "EPSG:4326", "transform": rasterio.Affine(step, 0, X, 0, -step, Y)}
    with rasterio.open(folder / name, "w", driver="GTiff", **(profile | options)) as file:
        file.write(values, 1)
    return folder / name


def holed(values):
    return np.where(values == 0, np.nan, values)


def test_flat_binaries(tmp_path):
    first, second = delays(0), delays(1)
    write_ztd(tmp_path, "20180118", second)
    write_ztd(tmp_path, "20180106", first)
    ds = open_gacos(tmp_path)
    assert list(ds) == ["zenith_delay"]
    assert ds.zenith_delay.attrs["units"] == "m"
    assert ds.zenith_delay.dims == ("time", "y", "x")
    assert ds.zenith_delay.dtype == np.float32
    assert np.datetime_as_string(ds.time.values, unit="D").tolist() == ["2018-01-06", "2018-01-18"]
    np.testing.assert_array_equal(ds.zenith_delay, holed(np.array([first, second])))
    np.testing.assert_allclose(ds.x, X + STEP * (np.arange(7) + 0.5))
    np.testing.assert_allclose(ds.y, Y - STEP * (np.arange(5) + 0.5))
    assert ds.rio.crs.to_epsg() == 4326
    assert ds.attrs["product"] == "gacos"
    assert ds.attrs["history"] == "opened from 2 GACOS files by open_gacos"
    xinsar.schema.check_cube(ds)


@pytest.mark.parametrize(
    ("name", "kind", "variable", "units"),
    [
        ("20180106.ztd.tif", "auto", "zenith_delay", "m"),
        ("20180106.ZTD.TIF", "auto", "zenith_delay", "m"),
        ("20180106.ztd.geo.tif", "zenith", "zenith_delay", "m"),
        ("20180106.sltd.geo.tif", "auto", "slant_delay", "rad"),
        ("20180106_gacos.tif", "zenith", "zenith_delay", "m"),
        ("20180106_gacos.tif", "slant", "slant_delay", "m"),
        ("20180106.tif", "zenith", "zenith_delay", "m"),
        ("180106.ztd.tif", "auto", "zenith_delay", "m"),
    ],
)
def test_rasters_by_their_names(tmp_path, name, kind, variable, units):
    values = delays()
    write_tif(tmp_path / "20180106", name, values)
    ds = open_gacos(tmp_path, kind=kind)
    assert list(ds) == [variable]
    assert ds[variable].attrs["units"] == units
    assert str(ds.time.values[0])[:10] == "2018-01-06"
    np.testing.assert_array_equal(ds[variable][0], holed(values))


def test_six_digits_of_the_last_century(tmp_path):
    write_ztd(tmp_path, "960423", delays())
    assert str(open_gacos(tmp_path).time.values[0])[:10] == "1996-04-23"


def test_south_up_files_are_turned(tmp_path):
    values = delays()
    write_ztd(tmp_path, "20180106", values[::-1], Y_FIRST=Y - 5 * STEP, Y_STEP=STEP)
    np.testing.assert_array_equal(open_gacos(tmp_path).zenith_delay[0], holed(values))


def test_declared_nodata_is_missing(tmp_path):
    values = delays()
    values[0, 0] = -9999
    write_tif(tmp_path, "20180106.ztd.tif", values, nodata=-9999.0)
    found = open_gacos(tmp_path).zenith_delay[0]
    assert np.argwhere(found.isnull().values).tolist() == [[0, 0], [1, 2]]


def test_nothing_is_read_on_opening(tmp_path):
    path = write_tif(tmp_path, "20180106.ztd.tif", delays(shape=(40, 30)))
    ds = built_lazily(lambda p: open_gacos(p, chunks={"y": 16, "x": 30}), tmp_path)
    assert ds.zenith_delay.chunks == ((1,), (16, 16, 8), (30,))
    path.unlink()
    with pytest.raises(OSError, match=r"20180106\.ztd\.tif"):
        ds.compute(scheduler="synchronous")


def test_dates_choose_files_before_their_headers_are_read(tmp_path):
    write_ztd(tmp_path, "20180106", delays(0))
    write_ztd(tmp_path, "20180118", delays(1), WIDTH=None)
    ds = open_gacos(tmp_path, dates=["2018-01-06", np.datetime64("2019-01-01")])
    assert ds.sizes["time"] == 1


def test_other_files_are_passed_over(tmp_path):
    values = delays()
    write_tif(tmp_path, "20180106.ztd.tif", values)
    write_tif(tmp_path, "20180106_20180118.geo.unw.tif", values)
    write_tif(tmp_path, "20180106_dem.tif", values)
    write_tif(tmp_path, "slope.tif", values)
    (tmp_path / "20180106.txt").write_text("note")
    (tmp_path / "20180106.ztd.png").write_bytes(b"")
    assert open_gacos(tmp_path).sizes["time"] == 1


def test_extents_that_differ_by_whole_pixels_are_joined(tmp_path):
    write_ztd(tmp_path, "20180106", delays(0))
    write_ztd(tmp_path, "20180118", delays(1, shape=(5, 8)), X_FIRST=X - STEP)
    ds = open_gacos(tmp_path)
    assert ds.sizes == {"time": 2, "y": 5, "x": 8}
    assert ds.zenith_delay[0, :, 0].isnull().all()


def mixed(folder):
    write_tif(folder, "20180106.ztd.tif", delays())
    write_tif(folder, "20180118.sltd.geo.tif", delays())


def twice(folder):
    write_ztd(folder, "20180106", delays())
    write_tif(folder, "20180106.ztd.tif", delays())


def two_grids(folder):
    write_tif(folder, "20180106.ztd.tif", delays())
    write_tif(folder, "20180118.ztd.tif", delays(), step=0.02)


def truncated(folder):
    path = write_ztd(folder, "20180106", delays())
    path.write_bytes(path.read_bytes()[:-4])


def bare(folder):
    write_ztd(folder, "20180106", delays()).with_name("20180106.ztd.rsc").unlink()


@pytest.mark.parametrize(
    ("write", "options", "error", "words"),
    [
        (lambda f: write_ztd(f, "20180106", delays()), {"kind": "wet"}, ValueError, "^kind: expected one of"),
        (
            lambda f: write_tif(f, "20180106_gacos.tif", delays()),
            {},
            ValueError,
            "^kind: the names .*give kind=",
        ),
        (
            lambda f: write_ztd(f, "20180106", delays()),
            {"kind": "slant"},
            ValueError,
            "^kind: expected 'zenith'",
        ),
        (
            lambda f: write_tif(f, "20180106.sltd.geo.tif", delays()),
            {"kind": "zenith"},
            ValueError,
            "^kind: expected 'slant'",
        ),
        (
            lambda f: write_tif(f, "20180106_dem.tif", delays()),
            {},
            ValueError,
            r"^source: no GACOS file .*\.ztd",
        ),
        (mixed, {}, ValueError, r"^source: expected GACOS files of one kind, got several \(2018.*glob"),
        (twice, {}, ValueError, "^source: expected one GACOS file of 20180106, got two: .*glob"),
        (two_grids, {}, ValueError, "^source: expected grids of one CRS and pixel size, got 2"),
        (
            lambda f: write_ztd(f, "20180106", delays()),
            {"dates": ["2019-01-01"]},
            ValueError,
            "^source: no GACOS file of 2019-01-01; the files there hold 20180106 to 20180106",
        ),
        (truncated, {}, OSError, r"20180106\.ztd: the file is truncated"),
        (bare, {}, OSError, r"20180106\.ztd: its header 20180106\.ztd\.rsc is missing"),
        (
            lambda f: write_ztd(f, "20180106", delays(), X_STEP="?"),
            {},
            ValueError,
            r"\.rsc: expected numbers for X_F",
        ),
    ],
)
def test_bad_folders(tmp_path, write, options, error, words):
    write(tmp_path)
    with pytest.raises(error, match=words):
        open_gacos(tmp_path, **options)


def test_no_file_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^source: "):
        open_gacos(tmp_path / "nothing")
    with pytest.raises(TypeError, match=r"^source: "):
        open_gacos(3)


def test_beside_interferograms_they_change_nothing(tmp_path):
    """They stay unknown files to open_stack, which names them, as it did before there was a reader for them."""
    values = np.random.default_rng(0).normal(size=(5, 7)).astype("f4")
    pair = "20180106_20180118"
    write_tif(tmp_path / pair, f"{pair}.geo.unw.tif", values, nodata=0.0)
    with pytest.warns(UserWarning, match="no baselines file"):
        alone = xinsar.open_stack(tmp_path)
    write_ztd(tmp_path / "GACOS", "20180106", delays())
    write_tif(tmp_path / "GACOS", "20180118.ztd.tif", delays())
    with pytest.warns(
        UserWarning, match=r"2 unknown files were left out: 20180106\.ztd, 20180118\.ztd\.tif"
    ) as said:
        both = xinsar.open_stack(tmp_path)
    assert len(said) == 1
    np.testing.assert_array_equal(both.unwrapped_phase, alone.unwrapped_phase)


@pytest.mark.real
def test_bhutan(real_data):
    folder = real_data("bhutan-alos-slope-cube") / "gacos"
    ds = open_gacos(folder, kind="zenith")
    assert dict(ds.sizes) == {"time": 8, "y": 300, "x": 200}
    assert ds.rio.crs.to_epsg() == 32645
    assert float(ds.x[0]) == 714887 + 12.5
    with rasterio.open(folder / "20080708_gacos.tif") as file:
        np.testing.assert_array_equal(ds.zenith_delay.sel(time="2008-07-08"), file.read(1))
