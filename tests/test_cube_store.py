"""Cubes on disk: what goes in comes out, others open it too, and what is wrong is said."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.cube import auto_chunks, open_cube, open_tracks, save_cube
from xinsar.cube.layout import PACKINGS, SHARD_BYTES, pack_block, unpack_block


def make_cube(pairs: int = 6, shape: tuple[int, int] = (7, 9), seed: int = 0, start: int = 0) -> xr.Dataset:
    """Every kind of variable a cube may hold, in memory."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    first = np.datetime64("2018-01-06T12:34:56.123456", "ns")
    days = first + np.arange(start, start + pairs) * np.timedelta64(12, "D").astype("m8[ns]")
    phase = rng.uniform(-math.pi, math.pi, (pairs, ny, nx)).astype("f4")
    phase[0, :2] = np.nan
    crs = pyproj.CRS.from_epsg(32614)
    return xr.Dataset(
        {
            "phase": (("pair", "y", "x"), phase, {"units": "rad"}),
            "coherence": (("pair", "y", "x"), rng.uniform(0, 1, phase.shape).astype("f4"), {"units": "1"}),
            "los": (("component", "y", "x"), rng.uniform(-1, 1, (3, ny, nx)).astype("f4"), {"units": "1"}),
            "elevation": (("y", "x"), rng.normal(size=shape), {"units": "m"}),
            "water": (("y", "x"), rng.random(shape) > 0.5),
            "pair_count": (("y", "x"), rng.integers(0, 5, shape).astype("i4")),
            "stack_days": ((), 12.5, {"units": "days"}),
        },
        coords={
            "x": 500_000 + 80.0 * np.arange(nx) + 40,
            "y": 4_000_000 - 80.0 * np.arange(ny) - 40,
            "component": ["east", "north", "up"],
            "reference_time": ("pair", days),
            "secondary_time": ("pair", days + np.timedelta64(12, "D")),
            "perpendicular_baseline": ("pair", rng.normal(size=pairs), {"units": "m"}),
            "span": ("pair", np.full(pairs, 12, "m8[D]").astype("m8[ns]")),
            "kind": ("pair", np.array([("short", "very long")[k % 2] for k in range(pairs)])),
            "spatial_ref": xr.Variable((), 0, crs.to_cf()),
        },
        attrs={"wavelength": np.float32(0.0555), "track": "5", "reference": (1.0, 2.0), "history": "made"},
    )


def assert_same(got: xr.Dataset, want: xr.Dataset) -> None:
    """Equal values, dtypes, dims, coordinates and, apart from what was added for others, attributes."""
    xr.testing.assert_equal(got.compute(), want.compute())
    for name, variable in want.variables.items():
        assert got[name].dtype == variable.dtype, name
        assert dict(variable.attrs).items() <= dict(got[name].attrs).items() or name == "spatial_ref", name
    assert set(got.coords) == set(want.coords)


# ---------------------------------------------------------------------------------------------------- round
# trip


@pytest.mark.parametrize("chunked", [False, True])
def test_round_trip(tmp_path: Path, chunked: bool) -> None:
    ds = make_cube()
    given_ds = ds.chunk(pair=1, y=4) if chunked else ds
    kept = given_ds.copy(deep=True)
    out = save_cube(given_ds, tmp_path / "c.zarr")
    xr.testing.assert_identical(given_ds, kept)
    assert_same(out, ds)
    assert out.attrs == {
        "wavelength": pytest.approx(0.0555),
        "track": "5",
        "reference": [1.0, 2.0],
        "history": "made",
    }
    assert_same(open_cube(str(tmp_path / "c.zarr")), ds)
    assert_same(open_cube(f"file://{tmp_path / 'c.zarr'}", chunks=None), ds)


def test_saving_what_was_opened(tmp_path: Path) -> None:
    first = save_cube(make_cube(), tmp_path / "1.zarr")
    second = save_cube(first, tmp_path / "2.zarr")
    xr.testing.assert_identical(first.compute(), second.compute())
    third = save_cube(open_cube(tmp_path / "1.zarr", chunks=None), tmp_path / "3.zarr")
    xr.testing.assert_identical(first.compute(), third.compute())


def test_an_equal_whole_cube_is_returned_untouched(tmp_path: Path) -> None:
    ds = make_cube()
    save_cube(ds, tmp_path / "c.zarr")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "c.zarr").rglob("*")}
    assert_same(save_cube(ds.chunk(y=3), tmp_path / "c.zarr"), ds)
    assert_same(save_cube(ds.assign_attrs(history="made at another time"), tmp_path / "c.zarr"), ds)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c.zarr").rglob("*")} == stamps


def test_other_data_in_a_whole_cube(tmp_path: Path) -> None:
    ds = make_cube()
    save_cube(ds, tmp_path / "c.zarr")
    changed = {
        "coherence": ds.assign(coherence=ds.coherence * 0.5),
        "attributes": ds.assign_attrs(wavelength=0.24),
        "reference_time": ds.assign_coords(reference_time=ds.reference_time - np.timedelta64(1, "D")),
        "elevation": ds.drop_vars("elevation"),
        "kind": ds.assign_coords(kind=("pair", ["short"] * 6)),
    }
    for name, other in changed.items():
        with pytest.raises(ValueError, match=rf"a cube of other data \(different: {name}\)"):
            save_cube(other, tmp_path / "c.zarr")
    with pytest.raises(ValueError, match="holds other data: 'phase' differs"):
        save_cube(ds.assign(phase=-ds.phase.chunk()), tmp_path / "c.zarr")
    with pytest.raises(ValueError, match="different: coherence, phase"):
        save_cube(ds, tmp_path / "c.zarr", pack=True)
    assert_same(open_cube(tmp_path / "c.zarr"), ds)
    other = make_cube(seed=1)
    assert_same(save_cube(other, tmp_path / "c.zarr", mode="w"), other)


def test_building_and_opening_compute_nothing(tmp_path: Path) -> None:
    save_cube(make_cube(), tmp_path / "c.zarr")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        out = open_cube(tmp_path / "c.zarr")
        assert all(out[n].chunks for n in ("phase", "coherence", "los", "elevation", "water"))
        open_tracks(tmp_path / "c.zarr")


def test_parts_read_like_wholes(tmp_path: Path) -> None:
    ds = make_cube(5, (40, 50))
    for pack in (False, True):
        place = tmp_path / f"{pack}.zarr"
        out = save_cube(ds, place, chunks={"pair": 2, "y": 16, "x": 24}, pack=pack)
        whole = out.phase.compute()
        for part in (
            np.s_[1:4, 3:30, 5:49],
            np.s_[2],
            np.s_[:, 7, 9],
            np.s_[::2, ::-1, ::3],
            np.s_[4:, 32:, 48:],
        ):
            np.testing.assert_array_equal(out.phase[part].values, whole.values[part])
        np.testing.assert_array_equal(open_cube(place, chunks={"pair": 5, "y": 7}).phase.values, whole.values)
        assert open_cube(place, chunks={"pair": 5, "y": 7}).phase.chunks == (
            (5,),
            (7,) * 5 + (5,),
            (24, 24, 2),
        )


def test_chunks_are_shards(tmp_path: Path) -> None:
    out = save_cube(make_cube(5, (40, 50)), tmp_path / "c.zarr", chunks={"pair": 2, "y": 16, "x": 24})
    assert out.phase.chunks == out.coherence.chunks == ((2, 2, 1), (16, 16, 8), (24, 24, 2))
    assert out.elevation.chunks == ((16, 16, 8), (24, 24, 2))
    stored = zarr.open_group(tmp_path / "c.zarr", mode="r")
    assert stored["phase"].shards == (2, 16, 24)
    assert stored["elevation"].shards is None  # plain chunks: older GDAL reads them
    assert len(list((tmp_path / "c.zarr/phase/c").rglob("*/*/*"))) == 27


def test_empty_shards_are_not_written(tmp_path: Path) -> None:
    ds = make_cube(4, (40, 50))
    ds["phase"][:2] = np.nan
    out = save_cube(ds, tmp_path / "c.zarr", chunks={"pair": 2})
    assert len(list((tmp_path / "c.zarr/phase/c").rglob("*/*/*"))) == 1
    assert_same(out, ds)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1)])
def test_one_pixel_images(tmp_path: Path, shape: tuple[int, int]) -> None:
    ds = make_cube(1, shape)
    ds["spatial_ref"].attrs["GeoTransform"] = "500000 80 0 4000000 0 -80"
    out = save_cube(ds, tmp_path / "c.zarr")
    assert_same(out, ds)
    attrs = zarr.open_group(tmp_path / "c.zarr", mode="r").attrs
    assert attrs["spatial:transform"] == [80, 0, 500_000, 0, -80, 4_000_000]


def test_points_and_nothing_spatial(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ds = xr.Dataset(
        {"displacement": (("time", "point"), rng.normal(size=(4, 11)).astype("f4"))},
        coords={"time": np.arange(4).astype("M8[D]").astype("M8[ns]"), "x": ("point", rng.normal(size=11))},
    )
    assert_same(save_cube(ds, tmp_path / "c.zarr"), ds)
    more = ds.assign_coords(time=ds.time + np.timedelta64(9, "D"))
    out = save_cube(more, tmp_path / "c.zarr", mode="a", append_dim="time")
    assert_same(out, xr.concat([ds, more], "time", data_vars="minimal", coords="minimal", compat="equals"))
    with pytest.raises(ValueError, match="4 of the new times are in the cube already"):
        save_cube(ds, tmp_path / "c.zarr", mode="a", append_dim="time")


def test_missing_dates_and_nanoseconds_survive(tmp_path: Path) -> None:
    time = np.array(["2018-01-01T00:00:00.000000001", "NaT"], "M8[ns]")
    ds = xr.Dataset({"a": ("k", [1, 2])}, coords={"when": ("k", time)})
    np.testing.assert_array_equal(save_cube(ds, tmp_path / "c.zarr").when.values, time)


def test_attributes_of_how_values_were_stored_elsewhere_are_dropped(tmp_path: Path) -> None:
    ds = make_cube()
    ds["phase"].attrs.update(scale_factor=2.0, add_offset=1.0, _FillValue=0.0)
    ds["phase"].encoding.update(dtype="int16", scale_factor=0.1, chunks=(1, 1, 1))
    np.testing.assert_array_equal(save_cube(ds, tmp_path / "c.zarr").phase.values, ds.phase.values)


# ------------------------------------------------------------------------------------------------------
# packing


def test_pack(tmp_path: Path) -> None:
    ds = make_cube()
    ds["phase"][1, 0, :3] = [np.float32(math.pi), np.float32(-math.pi), 0]
    ds["coherence"][1, 0, :3] = [0, 1, np.nan]
    out = save_cube(ds, tmp_path / "c.zarr", pack=True)
    assert out.phase.dtype == out.coherence.dtype == np.float32
    for name, half_step in (("phase", 4.8e-5), ("coherence", 7.7e-6)):
        np.testing.assert_array_equal(np.isnan(out[name]), np.isnan(ds[name]))
        assert float(abs(out[name] - ds[name]).max()) <= half_step
    np.testing.assert_array_equal(out.coherence[1, 0, :2], [0, 1])
    assert out.phase[1, 0, 2] == 0
    stored = zarr.open_group(tmp_path / "c.zarr", mode="r")
    assert (stored["phase"].dtype, stored["coherence"].dtype) == (np.int16, np.uint16)
    plain = xr.open_zarr(tmp_path / "c.zarr", consolidated=False, decode_timedelta=False)
    np.testing.assert_allclose(plain.phase.values, out.phase.values, atol=1e-6)
    assert_same(save_cube(out, tmp_path / "again.zarr", pack=True), out)


def test_what_does_not_pack(tmp_path: Path) -> None:
    ds = make_cube()
    ds["coherence"][0, 0, 0] = 1.5
    with pytest.raises(
        ValueError, match=r"coherence: expected values within 0 \.\. 1 to pack, got .*1\.5.*pack=False"
    ):
        save_cube(ds, tmp_path / "c.zarr", pack=True)


@given(st.sampled_from(sorted(PACKINGS)), st.lists(st.floats(0, 1, width=32) | st.just(math.nan), min_size=1))
def test_packing_there_and_back(name: str, values: list[float]) -> None:
    packing = PACKINGS[name]
    low, high = packing.low * packing.scale, packing.high * packing.scale
    array = (low + np.array(values, "f4") * (high - low)).astype("f4")
    back = unpack_block(pack_block(array, packing, name=name), packing)
    np.testing.assert_allclose(back, array, atol=packing.scale * 0.51)
    np.testing.assert_array_equal(unpack_block(pack_block(back, packing, name=name), packing), back)


# --------------------------------------------------------------------------------------------------------
# layout


@settings(max_examples=200)
@given(st.lists(st.integers(1, 5000), min_size=3, max_size=3), st.sampled_from([1, 2, 4, 8]))
def test_layouts_are_legal(shape: list[int], itemsize: int) -> None:
    shard, inner = auto_chunks(shape, ("pair", "y", "x"), itemsize)
    assert all(s % c == 0 for s, c in zip(shard, inner, strict=True))
    assert math.prod(shard) * itemsize <= SHARD_BYTES * 1.02
    assert shard[1] <= 512 + 4
    assert shard[2] <= 2048 + 4
    waste = [math.ceil(n / c) * c - n for n, c in zip(shape[1:], inner[1:], strict=True)]
    assert all(w < c for w, c in zip(waste, inner[1:], strict=True))


def test_layouts_that_were_asked_for() -> None:
    dims = ("pair", "y", "x")
    assert auto_chunks((300, 4000, 4000), dims, chunks={"pair": 30}).shard[0] == 30
    assert auto_chunks((3, 4000, 4000), dims, chunks={"pair": 8}).shard[0] == 8  # room to grow
    assert auto_chunks((300, 300, 400), dims, chunks={"y": -1, "x": -1}).shard[1:] == (300, 400)
    with pytest.raises(TypeError, match="chunks: expected 'auto' or a mapping"):
        auto_chunks((3, 4, 5), dims, chunks=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunks: expected positive sizes"):
        auto_chunks((3, 4, 5), dims, chunks={"y": 0})


# --------------------------------------------------------------------------------------------------- others
# open it


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray with affine 3
def test_rioxarray_and_plain_xarray_know_where_it_lies(tmp_path: Path) -> None:
    ds = make_cube()
    save_cube(ds, tmp_path / "c.zarr")
    plain = xr.open_zarr(tmp_path / "c.zarr", consolidated=False, decode_timedelta=False)
    for opened in (plain, open_cube(tmp_path / "c.zarr")):
        for obj in (opened, opened.phase, opened.elevation):
            assert obj.rio.crs.to_epsg() == 32614
            assert tuple(obj.rio.transform())[:6] == (80, 0, 500_000, 0, -80, 4_000_000)
            assert tuple(obj.rio.bounds()) == (500_000, 4_000_000 - 7 * 80, 500_000 + 9 * 80, 4_000_000)
    assert plain.x.attrs["standard_name"] == "projection_x_coordinate"
    assert plain.component.attrs["flag_meanings"] == "east north up"
    np.testing.assert_array_equal(plain.reference_time.values, ds.reference_time.values)


def test_geozarr_attributes(tmp_path: Path) -> None:
    save_cube(make_cube(), tmp_path / "c.zarr")
    attrs = json.loads((tmp_path / "c.zarr/zarr.json").read_text())["attributes"]
    assert attrs["proj:code"] == "EPSG:32614"
    assert pyproj.CRS.from_wkt(attrs["proj:wkt2"]).to_epsg() == 32614
    assert attrs["spatial:dimensions"] == ["y", "x"]
    assert attrs["spatial:shape"] == [7, 9]
    assert attrs["spatial:transform"] == [80, 0, 500_000, 0, -80, 4_000_000]
    assert attrs["spatial:bbox"] == [500_000, 4_000_000 - 560, 500_000 + 720, 4_000_000]
    assert attrs["spatial:registration"] == "pixel"
    assert [c["name"] for c in attrs["zarr_conventions"]] == ["proj", "spatial"]
    assert "proj:code" not in open_cube(tmp_path / "c.zarr").attrs


def test_geographic_and_unknown_grids(tmp_path: Path) -> None:
    ds = make_cube().assign_coords(
        x=-99 + 0.001 * np.arange(9),
        y=19 - 0.001 * np.arange(7),
        spatial_ref=xr.Variable((), 0, pyproj.CRS(4326).to_cf()),
    )
    save_cube(ds, tmp_path / "geo.zarr")
    attrs = zarr.open_group(tmp_path / "geo.zarr", mode="r").attrs
    assert attrs["proj:code"] == "EPSG:4326"
    np.testing.assert_allclose(
        attrs["spatial:transform"], [0.001, 0, -99.0005, 0, -0.001, 19.0005], atol=1e-12
    )
    radar = make_cube().drop_vars(["spatial_ref", "x", "y"])
    out = save_cube(radar, tmp_path / "radar.zarr")
    assert_same(out, radar)
    assert "zarr_conventions" not in zarr.open_group(tmp_path / "radar.zarr", mode="r").attrs
    uneven = make_cube().assign_coords(x=np.arange(9.0) ** 2)
    assert_same(save_cube(uneven, tmp_path / "uneven.zarr"), uneven)


@pytest.mark.skipif(
    tuple(map(int, rasterio.__gdal_version__.split(".")[:2])) < (3, 12),
    reason=f"GDAL {rasterio.__gdal_version__} does not read final Zarr v3",
)
@pytest.mark.parametrize("name", ["elevation", "pair_count"])
def test_gdal_reads_maps(tmp_path: Path, name: str) -> None:
    ds = make_cube()
    save_cube(ds, tmp_path / "c.zarr")
    with rasterio.open(f'ZARR:"{tmp_path / "c.zarr"}":/{name}') as source:
        assert source.crs.to_epsg() == 32614
        assert tuple(source.transform)[:6] == (80, 0, 500_000, 0, -80, 4_000_000)
        np.testing.assert_array_equal(source.read(1), ds[name].values)


def test_no_strings_and_no_consolidation_in_the_store(tmp_path: Path) -> None:
    save_cube(make_cube(), tmp_path / "c.zarr")
    for file in (tmp_path / "c.zarr").rglob("zarr.json"):
        metadata = json.loads(file.read_text())
        assert metadata["zarr_format"] == 3
        assert "consolidated_metadata" not in metadata
        assert metadata.get("data_type", "int8") in {"int8", "bool", "int32", "int64", "float32", "float64"}


# ---------------------------------------------------------------------------------------------------------
# tracks


def test_tracks(tmp_path: Path) -> None:
    asc, desc = make_cube(), make_cube(4, (5, 6), seed=1)
    tree = xr.DataTree.from_dict({"asc": asc, "desc": desc})
    out = save_cube(tree, tmp_path / "c.zarr")
    assert isinstance(out, xr.DataTree)
    assert sorted(out.children) == ["asc", "desc"]
    assert_same(out["desc"].to_dataset(), desc)
    assert_same(open_cube(tmp_path / "c.zarr", track="asc"), asc)
    with pytest.raises(ValueError, match=r"track: .* holds 2 tracks: 'asc', 'desc'; name one with track="):
        open_cube(tmp_path / "c.zarr")
    with pytest.raises(KeyError, match="has no track 'east'; it has 'asc', 'desc'"):
        open_cube(tmp_path / "c.zarr", track="east")
    group = zarr.open_group(tmp_path / "c.zarr", mode="r")["desc"]
    assert group.attrs["spatial:shape"] == [5, 6]
    more = xr.DataTree.from_dict({"desc": make_cube(2, (5, 6), seed=1, start=9).assign(los=desc.los)})
    grown = save_cube(more, tmp_path / "c.zarr", mode="a", append_dim="pair")
    assert (grown["desc"].sizes["pair"], grown["asc"].sizes["pair"]) == (6, 6)


def test_a_single_track_is_a_tree_of_one(tmp_path: Path) -> None:
    ds = make_cube()
    save_cube(ds, tmp_path / "c.zarr")
    tree = open_tracks(tmp_path / "c.zarr")
    assert list(tree.children) == ["5"]
    assert_same(tree["5"].to_dataset(), ds)
    assert_same(save_cube(xr.DataTree(ds), tmp_path / "d.zarr").children["5"].to_dataset(), ds)


def test_trees_that_are_not_tracks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one node per track, got variables or groups at"):
        save_cube(xr.DataTree.from_dict({"a/b": make_cube()}), tmp_path / "c.zarr")
    with pytest.raises(TypeError, match="obj: expected an xarray Dataset or DataTree, got DataArray"):
        save_cube(make_cube().phase, tmp_path / "c.zarr")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------
# append


@pytest.mark.parametrize("first", [1, 3, 4, 7])
@pytest.mark.parametrize("pack", [False, True])
def test_append(tmp_path: Path, first: int, pack: bool) -> None:
    whole = make_cube(9, (40, 30))
    chunks = {"pair": 4, "y": 16}
    out = save_cube(whole.isel(pair=slice(first)), tmp_path / "c.zarr", chunks=chunks, pack=pack)
    for k in range(first, 9, 3):
        new = whole.isel(pair=slice(k, k + 3)).chunk(pair=1)
        out = save_cube(new, tmp_path / "c.zarr", mode="a", append_dim="pair")
    xr.testing.assert_identical(
        out.compute(), save_cube(whole, tmp_path / "once.zarr", chunks=chunks, pack=pack).compute()
    )
    assert save_cube(whole, tmp_path / "c.zarr", pack=pack).sizes["pair"] == 9  # an equal whole cube


def test_append_starts_a_cube(tmp_path: Path) -> None:
    ds = make_cube()
    assert_same(save_cube(ds, tmp_path / "c.zarr", append_dim="pair"), ds)


def test_appends_that_do_not_fit(tmp_path: Path) -> None:
    save_cube(make_cube(4), tmp_path / "c.zarr")
    new = make_cube(2, start=9)

    def refused(ds: xr.Dataset, message: str, **options: object) -> None:
        arguments: dict[str, Any] = {"mode": "a", "append_dim": "pair", **options}
        with pytest.raises(ValueError, match=message):
            save_cube(ds, tmp_path / "c.zarr", **arguments)

    refused(
        make_cube(3, start=2), "pair: 2 of the new pairs are in the cube already, the first is 2018-01-30"
    )
    refused(new.assign_coords(x=new.x + 1), "x: expected the coordinates of the cube, got others")
    refused(make_cube(2, (5, 9), start=9), r"expected .* apart from 'pair', got")
    refused(new.drop_vars("coherence"), "obj: expected coherence, .* along 'pair'")
    refused(new.assign(phase=new.phase.astype("f8")), "phase: expected float32 as in the cube, got float64")
    refused(new.assign_attrs(track="6"), "track: expected '5' as in the cube, got '6'")
    refused(new, "append_dim: the cube has no dim 'time'", append_dim="time")
    refused(new, "append_dim: mode='a' needs the dim", append_dim=None)
    refused(new, "mode: expected 'a' together with append_dim", mode="w")
    refused(new, "mode: expected 'w-'", mode="x")
    tree = xr.DataTree.from_dict({"asc": new})
    refused(tree, "obj: .* has no track 'asc' to append to")  # type: ignore[arg-type]
    assert_same(open_cube(tmp_path / "c.zarr"), make_cube(4))


# ---------------------------------------------------------------------------------------------------------
# stores


def obstore_memory() -> object:
    obstore = pytest.importorskip("obstore")
    return zarr.storage.ObjectStore(obstore.store.MemoryStore())


def test_stores(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    obstore = pytest.importorskip("obstore")
    (tmp_path / "ob").mkdir()
    places = [
        "memory://xinsar-test/c.zarr",
        zarr.storage.MemoryStore(),
        obstore_memory(),
        zarr.storage.ObjectStore(obstore.store.LocalStore(tmp_path / "ob")),
    ]
    for place in places:
        with pytest.raises(FileNotFoundError, match="nothing lies there"):
            open_cube(place)
        ds = make_cube()
        assert_same(save_cube(ds.isel(pair=slice(4)), place, chunks={"pair": 3}), ds.isel(pair=slice(4)))
        assert_same(save_cube(ds.isel(pair=slice(4, 6)), place, mode="a", append_dim="pair"), ds)
        assert_same(save_cube(ds, place), ds)
        other = make_cube(2)
        assert_same(save_cube(other, place, mode="w"), other)
        assert_same(open_cube(place), other)


def test_addresses_that_do_not_work(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="storage_options: only addresses"):
        open_cube(tmp_path / "c.zarr", storage_options={"anon": True})
    with pytest.raises(TypeError, match="store: expected a path, an address"):
        open_cube(7)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from xinsar.extras import MissingExtraError

    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(
        MissingExtraError, match=r"'s3://bucket/c.zarr' needs the package 's3fs'.*xinsar\[cloud\]"
    ):
        open_cube("s3://bucket/c.zarr")


def test_computed_by_a_cluster(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    ds = make_cube(4, (40, 30))
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        assert_same(save_cube(ds.chunk(pair=1), tmp_path / "c.zarr", chunks={"pair": 2, "y": 16}), ds)
        assert float(open_cube(tmp_path / "c.zarr").elevation.sum()) == pytest.approx(
            float(ds.elevation.sum())
        )


def test_readers_and_writers_travel(tmp_path: Path) -> None:
    import pickle

    out = save_cube(make_cube(), tmp_path / "c.zarr")
    xr.testing.assert_identical(pickle.loads(pickle.dumps(out)).compute(), out.compute())


# ---------------------------------------------------------------------------------------------------------
# errors


def test_what_is_not_a_cube(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing lies there.*none\.zarr"):
        open_cube(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(FileNotFoundError, match="nothing lies there"):
        open_cube(tmp_path / "empty.zarr")
    (tmp_path / "text.zarr").write_text("hello")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr/readme.txt").write_text("hello")
    zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    zarr.create_array(tmp_path / "array.zarr", shape=(3,), dtype="f4")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr/zarr.json").write_text('{"zarr_format": 3, "node_ty')
    what = {
        "text": "a file, not a Zarr store",
        "folder": "a folder that is not a Zarr store",
        "old": "a Zarr v2 store",
        "array": "a Zarr array",
        "broken": "not a readable Zarr v3 store",
    }
    for name, message in what.items():
        with pytest.raises(ValueError, match=rf"store: .*{name}\.zarr is .*{message}"):
            open_cube(tmp_path / f"{name}.zarr")
        for mode in ("w-", "w", "a"):
            with pytest.raises(FileExistsError, match=message):
                save_cube(
                    make_cube(),
                    tmp_path / f"{name}.zarr",
                    mode=mode,
                    append_dim="pair" if mode == "a" else None,
                )
    assert (tmp_path / "folder.zarr/readme.txt").read_text() == "hello"


def test_zarr_of_others(tmp_path: Path) -> None:
    xr.Dataset({"a": ("t", [1.0])}).to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(
        ValueError, match=r"not a cube: it has no variable on \(y, x\) or \(point\); it holds a"
    ):
        open_cube(tmp_path / "a.zarr")
    ds = make_cube().drop_vars(["component", "kind", "span", "los"])
    ds.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    np.testing.assert_array_equal(open_cube(tmp_path / "b.zarr").phase.values, ds.phase.values)
    with pytest.raises(FileExistsError, match="a Zarr store that xinsar did not write"):
        save_cube(ds, tmp_path / "b.zarr")
    assert_same(save_cube(make_cube(), tmp_path / "b.zarr", mode="w"), make_cube())


@pytest.mark.parametrize("keep", [0, 10, 0.5, -3])
@pytest.mark.parametrize("name", ["phase", "elevation"])
def test_truncated_shards_are_errors(tmp_path: Path, name: str, keep: float) -> None:
    rng = np.random.default_rng(0)
    ds = make_cube(4, (64, 64))
    ds["elevation"] = ds.elevation.copy(data=rng.normal(size=(64, 64)))
    out = save_cube(ds, tmp_path / "c.zarr")
    (file,) = [p for p in (tmp_path / f"c.zarr/{name}/c").rglob("*") if p.is_file()]
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match=rf"{name!r} cannot be read at .* a shard is truncated or damaged"):
        out[name].values  # noqa: B018


def test_wrong_data_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    ds = make_cube()
    wrong = {
        "phase: expected units 'rad'": ds.assign(phase=ds.phase.assign_attrs(units="degree")),
        "phase: expected trailing dims": ds.assign(phase=ds.phase.transpose("y", "x", "pair")),
        "appears 2 times": xr.concat(
            [ds, ds], "pair", data_vars="minimal", coords="minimal", compat="equals"
        ),
        "no coordinate reference_time": ds.drop_vars("reference_time"),
    }
    for message, bad in wrong.items():
        with pytest.raises(ValueError, match=message):
            save_cube(bad, tmp_path / "c.zarr")
    with pytest.raises(
        TypeError, match=r"attribute 'model'.*expected text, numbers or lists of them, got object"
    ):
        save_cube(ds.assign_attrs(model=object()), tmp_path / "c.zarr")
    with pytest.raises(TypeError, match="expected numbers, dates or texts, got objects"):
        save_cube(ds.assign(thing=("pair", [{}] * 6)), tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()


# -------------------------------------------------------------------------------------------------------
# progress


@pytest.mark.parametrize(
    ("progress", "quiet", "terminal", "shown"),
    [
        (None, "", True, True),
        (None, "0", True, True),
        (None, "1", True, False),
        (None, "", False, False),
        (True, "1", False, True),
        (False, "", True, False),
    ],
)
def test_progress_bar(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    progress: bool | None,
    quiet: str,
    terminal: bool,
    shown: bool,
) -> None:
    from xinsar.progress import bar

    monkeypatch.setenv("XINSAR_QUIET", quiet)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with bar(progress):
        da.ones(4, chunks=2).sum().compute(scheduler="threads")
    captured = capsys.readouterr()
    assert ("Completed" in captured.err) is shown
    assert captured.out == ""


def test_importing_is_light() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); import xinsar.cube, "
        "xinsar.export;"
        "heavy = {'dask', 'zarr', 'rasterio', 'rioxarray', 'pyproj', 'numcodecs', 'fsspec'} & "
        "set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("nothing", [xr.Dataset(), xr.DataTree()])
def test_nothing_is_not_saved(tmp_path: Path, nothing: xr.Dataset | xr.DataTree) -> None:
    with pytest.raises(ValueError, match="obj: expected a dataset with at least one variable"):
        save_cube(nothing, tmp_path / "cube.zarr")
    assert not (tmp_path / "cube.zarr").exists()


@pytest.mark.parametrize("chunks", [None, {"point": 3000}])
def test_names_of_many_points(tmp_path, chunks):
    """Texts of many points lie in an array of characters; metadata stay small and nothing is computed to write them."""
    number = 10_000
    names = np.array([f"P{k:05d}é"[: 3 + k % 5] for k in range(number)])
    ds = xr.Dataset(
        {"velocity": ("point", np.arange(number, dtype="f4"))},
        {"id": ("point", names), "x": ("point", np.ones(number))},
    )
    save_cube(ds if chunks is None else ds.chunk(chunks), tmp_path / "a.zarr", progress=False)
    assert (tmp_path / "a.zarr" / "id" / "zarr.json").stat().st_size < 5000
    for how in ("auto", None):
        found = open_cube(tmp_path / "a.zarr", chunks=how)
        xr.testing.assert_identical(found.compute(), ds)
        assert found.id.dtype == names.dtype


def test_series_of_points_are_stored_in_the_chunks_they_come_in(tmp_path):
    """One shard per chunk of points: each chunk is computed once, however many dates there are."""
    import dask.array as da

    calls = []
    data = da.map_blocks(
        lambda block: calls.append(1) or block,
        da.ones((40, 9000), chunks=(40, 1000), dtype="f4"),
        dtype="f4",
        meta=np.ones((1, 1), "f4"),
    )
    ds = xr.Dataset({"displacement": (("time", "point"), data)})
    calls.clear()
    save_cube(ds, tmp_path / "a.zarr", progress=False)
    assert len(calls) == 9
    assert open_cube(tmp_path / "a.zarr").displacement.chunks == ((40,), (1000,) * 9)
