"""GeoTIFFs as a GIS sees them: values, place, nodata, names of bands; whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr

from xinsar.export import to_geotiff


def make_result(shape: tuple[int, int] = (7, 9)) -> xr.Dataset:
    rng = np.random.default_rng(0)
    velocity = rng.normal(size=shape).astype("f4")
    velocity[0, 0] = np.nan
    days = np.datetime64("2018-01-06", "ns") + np.arange(2) * np.timedelta64(12, "D").astype("m8[ns]")
    return xr.Dataset(
        {
            "velocity": (("y", "x"), velocity, {"units": "m year-1", "long_name": "line-of-sight velocity"}),
            "phase": (("pair", "y", "x"), rng.uniform(-3, 3, (2, *shape)).astype("f4"), {"units": "rad"}),
            "los": (("component", "y", "x"), rng.normal(size=(3, *shape)).astype("f4")),
            "pair_count": (("y", "x"), rng.integers(0, 30, shape)),
            "snow": (("y", "x"), rng.random(shape) > 0.5),
            "baseline": (("pair",), [1.0, 2.0]),
        },
        coords={
            "x": 500_000 + 80.0 * np.arange(shape[1]) + 40,
            "y": 4_000_000 - 80.0 * np.arange(shape[0]) - 40,
            "component": ["east", "north", "up"],
            "reference_time": ("pair", days),
            "secondary_time": ("pair", days + np.timedelta64(12, "D")),
            "spatial_ref": xr.Variable((), 0, pyproj.CRS.from_epsg(32614).to_cf()),
        },
        attrs={"wavelength": 0.0555, "track": "5"},
    )


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_one_map(tmp_path: Path, cog: bool, chunked: bool) -> None:
    ds = make_result((700, 1100))
    given = ds.chunk(y=123, x=456) if chunked else ds
    (file,) = to_geotiff(given[["velocity"]], tmp_path / "v.tif", cog=cog, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.tif"]
    with rasterio.open(file) as source:
        np.testing.assert_array_equal(source.read(1), ds.velocity.values)
        assert source.crs.to_epsg() == 32614
        assert tuple(source.transform)[:6] == (80, 0, 500_000, 0, -80, 4_000_000)
        assert np.isnan(source.nodata)
        assert source.dtypes == ("float32",)
        assert source.descriptions == ("velocity",)
        assert source.units == ("m year-1",)
        assert source.tags()["wavelength"] == "0.0555"
        assert source.tags()["AREA_OR_POINT"] == "Area"
        assert source.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == ("COG" if cog else None)
        assert bool(source.overviews(1)) is cog
        x, y = source.xy(0, 0)
        assert (x, y) == (ds.x.values[0], ds.y.values[0])


def test_a_tif_holds_all_variables_as_bands(tmp_path: Path) -> None:
    ds = make_result()
    (file,) = to_geotiff(ds.chunk(pair=1), tmp_path / "all.tif")
    with rasterio.open(file) as source:
        assert source.descriptions == (
            "velocity",
            "phase 2018-01-06 2018-01-18",
            "phase 2018-01-18 2018-01-30",
            "los east",
            "los north",
            "los up",
            "pair_count",
            "snow",
        )
        assert set(source.dtypes) == {"float32"}
        np.testing.assert_array_equal(source.read([2, 3]), ds.phase.values)
        np.testing.assert_array_equal(source.read(7), ds.pair_count.values)
        np.testing.assert_array_equal(source.read(8), ds.snow.values)


def test_a_folder_holds_a_file_per_variable(tmp_path: Path) -> None:
    ds = make_result()
    files = to_geotiff(ds, tmp_path / "maps")
    assert [f.name for f in files] == ["velocity.tif", "phase.tif", "los.tif", "pair_count.tif", "snow.tif"]
    kinds = {}
    for file in files:
        with rasterio.open(file) as source:
            kinds[file.stem] = (source.count, source.dtypes[0], source.nodata is None)
            np.testing.assert_array_equal(np.squeeze(source.read()), ds[file.stem].values)
    assert kinds == {
        "velocity": (1, "float32", False),
        "phase": (2, "float32", False),
        "los": (3, "float32", False),
        "pair_count": (1, "int64", True),
        "snow": (1, "uint8", True),
    }


def test_overviews_of_wrapped_phase_are_not_averages(tmp_path: Path) -> None:
    alternating = np.where(np.indices((1024, 1024)).sum(0) % 2, 3.1, -3.1).astype("f4")
    ds = make_result((1024, 1024)).isel(pair=0).assign(velocity=(("y", "x"), alternating))
    ds["phase"] = ds.velocity.assign_attrs(units="rad")
    for name in ("phase", "velocity"):
        (file,) = to_geotiff(ds[[name]], tmp_path / f"{name}.tif")
        with rasterio.open(file, overview_level=0) as source:
            assert (np.abs(source.read(1)).min() > 3) is np.bool_(name == "phase")


def test_south_up_and_mirrored_grids_are_turned(tmp_path: Path) -> None:
    ds = make_result()
    (file,) = to_geotiff(
        ds[["velocity"]].isel(y=slice(None, None, -1), x=slice(None, None, -1)), tmp_path / "v.tif"
    )
    with rasterio.open(file) as source:
        np.testing.assert_array_equal(source.read(1), ds.velocity.values)
        assert tuple(source.transform)[:6] == (80, 0, 500_000, 0, -80, 4_000_000)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_radar_geometry_is_written_as_pixels(tmp_path: Path) -> None:
    array = make_result().velocity.drop_vars(["x", "y", "spatial_ref"]).rename(None)
    (file,) = to_geotiff(array, tmp_path / "v.tif")
    with rasterio.open(file) as source:
        assert source.crs is None
        assert source.descriptions == ("band",)
        np.testing.assert_array_equal(source.read(1), array.values)


def test_variables_of_one_computation_are_computed_once(tmp_path: Path) -> None:
    calls = []

    def costly(block: np.ndarray) -> np.ndarray:
        calls.append(block.shape)
        return block

    data = da.zeros((1100, 1100), chunks=550, dtype="f4").map_blocks(
        costly, dtype="f4", meta=np.empty((0, 0), "f4")
    )
    ds = xr.Dataset(
        {"a": (("y", "x"), data), "b": (("y", "x"), data + 1)},
        coords={"y": -np.arange(1100.0), "x": np.arange(1100.0)},
    )
    to_geotiff(ds, tmp_path / "maps")
    assert calls == [(550, 550)] * 4


def test_what_is_no_raster(tmp_path: Path) -> None:
    ds = make_result()
    with pytest.raises(TypeError, match="obj: expected an xarray Dataset or DataArray, got DataTree"):
        to_geotiff(xr.DataTree(ds), tmp_path / "a.tif")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"obj: expected trailing dims \('y', 'x'\)"):
        to_geotiff(ds.baseline, tmp_path / "a.tif")
    with pytest.raises(TypeError, match="when: expected numbers, got dtype datetime64"):
        to_geotiff(ds.velocity.copy(data=np.zeros((7, 9), "M8[ns]")).rename("when"), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="velocity: expected evenly spaced x and y"):
        to_geotiff(ds.velocity.assign_coords(x=np.arange(9.0) ** 2), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="path: expected a local file or folder"):
        to_geotiff(ds, "s3://bucket/a.tif")
    with pytest.raises(ValueError, match=r"pair_count: integers beyond 2\*\*24 do not fit beside floats"):
        to_geotiff(ds.assign(pair_count=ds.pair_count + 2**30), tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


def test_a_failing_computation_leaves_what_was_there(tmp_path: Path) -> None:
    ds = make_result()
    (file,) = to_geotiff(ds[["velocity"]], tmp_path / "v.tif")
    before = file.read_bytes()

    def fail(block: np.ndarray) -> np.ndarray:
        raise ArithmeticError("no")

    bad = ds.velocity.chunk(y=3)
    bad = bad.copy(data=bad.data.map_blocks(fail, dtype="f4", meta=np.empty((0, 0), "f4")))
    with pytest.raises(ArithmeticError):
        to_geotiff(bad, tmp_path / "v.tif")
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v.tif"]


@pytest.mark.parametrize("cog", [True, False])
def test_full_disk(tmp_path: Path, cog: bool) -> None:
    """The system refuses to let the file grow: an error, and nothing half-written."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "import resource, signal, numpy as np, xarray as xr, rasterio; from xinsar.export import to_geotiff;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400000, 400000));"
        "v = np.random.default_rng(0).normal(size=(600, 600)).astype('f4');"
        f"to_geotiff(xr.DataArray(v, dims=('y', 'x'), name='v'), sys.argv[1], cog={cog})"
    )
    file = tmp_path / "v.tif"
    out = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=False
    )
    assert out.returncode == 1
    assert f"OSError: writing {file} failed" in out.stderr
    assert not list(tmp_path.iterdir())


def test_computed_by_threads_of_this_process(tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed by the wrong scheduler")

    with dask.config.set(scheduler=refuse):
        to_geotiff(make_result()[["velocity"]].chunk(y=3), tmp_path / "v.tif")
    assert (tmp_path / "v.tif").is_file()


def test_whole_numbers_declare_their_own_nodata_and_become_nan_beside_floats(tmp_path):
    coords = {"y": [25.0, 15.0, 5.0], "x": [5.0, 15.0]}
    category = xr.DataArray(
        np.array([[1, -128], [0, 3], [-8, 8]], np.int8),
        dims=("y", "x"),
        coords=coords,
        attrs={"nodata": -128},
    )
    both = xr.Dataset({"category": category, "trend_z": category.astype("float32").assign_attrs({})})
    to_geotiff(both[["category"]], tmp_path / "category.tif")
    with rasterio.open(tmp_path / "category.tif") as file:
        assert file.nodata == -128
        np.testing.assert_array_equal(file.read(1), category)
    to_geotiff(both, tmp_path / "both.tif")
    with rasterio.open(tmp_path / "both.tif") as file:
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(file.read(1), [[1, np.nan], [0, 3], [-8, 8]])
