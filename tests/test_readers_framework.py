"""What all readers share: finding files, groups, alignment, missing values, order of pairs, laziness."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.readers import describe, discover, lattice, open_stack, registry
from xinsar.readers.layers import Grid, Layer
from xinsar.readers.window import read_window, view


def write_tif(path, values, *, x=500000.0, y=4000000.0, step=80.0, crs="EPSG:32633", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": values.dtype, "crs": crs, "nodata": 0.0}
    profile["transform"] = rasterio.Affine(step, 0.0, x, 0.0, -step, y)
    with rasterio.open(path, "w", driver="GTiff", **(profile | options)) as file:
        file.write(values, 1)
    return path


def ramp(height=6, width=7, start=1.0):
    return (start + np.arange(height * width).reshape(height, width) / 10).astype("f4")


def folder(tmp_path, pairs=("20200101-20200113", "20200113-20200125"), **options):
    for k, pair in enumerate(pairs):
        write_tif(tmp_path / "unw" / f"{pair}_unw.tif", ramp(start=1.0 + k), **options)
    return tmp_path


def forbid(*_, **__):
    raise AssertionError("computed while building")


def test_building_reads_no_pixel_and_imports_stay_late(tmp_path):
    with dask.config.set(scheduler=forbid):
        ds = open_stack(folder(tmp_path))
        text = describe(ds)
    assert ds.unwrapped_phase.chunks is not None
    assert "away from the satellite" in text
    np.testing.assert_array_equal(ds.unwrapped_phase[1], ramp(start=2.0))


def test_cube_has_the_canonical_form(tmp_path):
    ds = open_stack(folder(tmp_path))
    assert ds.unwrapped_phase.dims == ("pair", "y", "x")
    assert ds.unwrapped_phase.dtype == np.float32
    assert ds.unwrapped_phase.attrs["units"] == "rad"
    assert ds.reference_time.dtype == ds.secondary_time.dtype == np.dtype("datetime64[ns]")
    assert (np.diff(ds.x) == 80).all()
    assert (np.diff(ds.y) == -80).all()
    assert ds.x[0] == 500040
    assert ds.y[0] == 4000000 - 40
    assert ds.rio.crs.to_epsg() == 32633
    assert ds.spatial_ref.attrs["GeoTransform"] == "500000.0 80.0 0.0 4000000.0 0.0 -80.0"


@pytest.mark.parametrize("kind", ["folder", "path", "glob", "list", "file"])
def test_sources(tmp_path, kind):
    root = folder(tmp_path)
    files = sorted(root.rglob("*.tif"))
    source = {
        "folder": str(root),
        "path": root,
        "glob": f"{root}/u*/*.tif",
        "list": files,
        "file": files[0],
    }[kind]
    assert open_stack(source).sizes["pair"] == (1 if kind == "file" else 2)


def test_pairs_are_sorted_and_reversed_ones_flipped(tmp_path):
    root = folder(tmp_path, ["20200125-20200113", "20200101-20200113"])
    ds = open_stack(root)
    assert (ds.reference_time < ds.secondary_time).all()
    assert (np.diff(ds.reference_time) > np.timedelta64(0, "ns")).all()
    np.testing.assert_array_equal(ds.unwrapped_phase[1], -ramp(start=1.0))
    np.testing.assert_array_equal(ds.unwrapped_phase[0], ramp(start=2.0))


def test_reversed_wrapped_phase_keeps_plus_pi(tmp_path):
    phase = np.full((2, 2), np.pi, "f4")
    write_tif(tmp_path / "20200113-20200101_int.tif", phase, nodata=None)
    assert (open_stack(tmp_path).phase.values > 0).all()


@pytest.mark.parametrize("other", ["20200101-20200113", "20200113-20200101"])
def test_the_same_pair_twice_names_both_files(tmp_path, other):
    write_tif(tmp_path / "a" / "20200101-20200113_unw.tif", ramp())
    write_tif(tmp_path / "b" / f"{other}_v2_unw.tif", ramp())
    with pytest.raises(ValueError, match=r"20200101_20200113.*a/2020.*b/2020.*product="):
        open_stack(tmp_path)


def test_a_pair_of_one_date_is_refused(tmp_path):
    write_tif(tmp_path / "20200101-20200101_unw.tif", ramp())
    with pytest.raises(
        ValueError, match=r"two dates.*20200101_20200101_unw|two dates, got 20200101_20200101"
    ):
        open_stack(tmp_path)


def test_the_group_with_most_pairs_opens_and_one_warning_names_the_rest(tmp_path):
    root = folder(tmp_path)
    write_tif(root / "coarse" / "20200101-20200113_unw.tif", ramp(), step=160.0)
    write_tif(root / "zone" / "20200113-20200206_unw.tif", ramp(), crs="EPSG:32634")
    (root / "stray.dat").write_bytes(b"nothing")
    (root / "notes.txt").write_text("hello")
    with pytest.warns(UserWarning, match=r"pixel 160 x 160.*EPSG:32634.*1 unknown files.*stray\.dat") as said:
        ds = open_stack(root)
    assert len(said) == 1
    assert said[0].filename == __file__
    assert "notes.txt" not in str(said[0].message)
    assert ds.sizes["pair"] == 2


def test_missing_layers_of_a_pair_are_nan_and_said(tmp_path):
    root = folder(tmp_path)
    write_tif(root / "cc" / "20200101-20200113_cc.tif", np.full((6, 7), 0.5, "f4"))
    with pytest.warns(UserWarning, match="1 of 2 pairs have no coherence"):
        ds = open_stack(root)
    assert ds.coherence[1].isnull().all()
    assert (ds.coherence[0] == 0.5).all()


@pytest.mark.parametrize(
    ("coherence", "kept"),
    [(0.0, False), (np.nan, False), (0.4, True), (None, False)],
)
def test_zero_rule(tmp_path, coherence, kept):
    phase = ramp()
    phase[2, 3] = 0.0
    write_tif(tmp_path / "20200101-20200113_unw.tif", phase)
    if coherence is not None:
        values = np.full(phase.shape, 0.4, "f4")
        values[2, 3] = coherence
        write_tif(tmp_path / "20200101-20200113_cc.tif", values)
    read = open_stack(tmp_path).unwrapped_phase.values[0]
    assert np.isnan(read[2, 3]) != kept
    assert np.isfinite(np.delete(read.ravel(), 2 * 7 + 3)).all()


def test_zero_is_a_value_where_nodata_is_another_number(tmp_path):
    phase = ramp()
    phase[0, 0], phase[1, 1] = 0.0, -9999.0
    write_tif(tmp_path / "20200101-20200113_unw.tif", phase, nodata=-9999.0)
    read = open_stack(tmp_path).unwrapped_phase.values[0]
    assert read[0, 0] == 0.0
    assert np.isnan(read[1, 1])


def shifted_folder(tmp_path):
    """Two rasters cut from one wide one, two columns and one row apart."""
    wide = ramp(8, 10)
    write_tif(tmp_path / "20200101-20200113_unw.tif", wide[:6, :7])
    write_tif(tmp_path / "20200113-20200125_unw.tif", wide[1:8, 2:10], x=500160.0, y=4000000.0 - 80)
    return wide


@pytest.mark.parametrize(("join", "shape"), [("outer", (8, 10)), ("inner", (5, 5))])
def test_extents_that_differ_are_aligned(tmp_path, join, shape):
    wide = shifted_folder(tmp_path)
    ds = open_stack(tmp_path, join=join)
    assert ds.unwrapped_phase.shape == (2, *shape)
    area = wide if join == "outer" else wide[1:6, 2:7]
    for plane in ds.unwrapped_phase.values:
        seen = np.isfinite(plane)
        np.testing.assert_array_equal(plane[seen], area[seen])
    both = np.isfinite(ds.unwrapped_phase.values).all(axis=0)
    assert both.sum() == 25
    assert ds.x[0] == (500040 if join == "outer" else 500200)


def test_exact_join_and_empty_join_are_refused(tmp_path):
    shifted_folder(tmp_path)
    with pytest.raises(ValueError, match=r"join: expected one extent.*20200101-20200113.*20200113-20200125"):
        open_stack(tmp_path, join="exact")
    write_tif(tmp_path / "20200125-20200206_unw.tif", ramp(), x=900000.0)
    with pytest.raises(ValueError, match="no common area"):
        open_stack(tmp_path, join="inner")


def test_south_up_files_are_turned(tmp_path):
    values = ramp()
    upward = rasterio.Affine(80.0, 0.0, 500000.0, 0.0, 80.0, 4000000.0 - 6 * 80)
    write_tif(tmp_path / "20200101-20200113_unw.tif", values[::-1].copy(), transform=upward)
    write_tif(tmp_path / "20200113-20200125_unw.tif", values)
    ds = open_stack(tmp_path)
    np.testing.assert_array_equal(ds.unwrapped_phase[0], values)
    np.testing.assert_array_equal(ds.unwrapped_phase[1], values)
    assert (np.diff(ds.y) < 0).all()


@settings(max_examples=30, deadline=None)
@given(
    rows=st.tuples(st.integers(-4, 9), st.integers(1, 8)),
    cols=st.tuples(st.integers(-4, 9), st.integers(1, 8)),
    turned=st.tuples(st.booleans(), st.booleans()),
    move=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_any_window_of_a_layer_equals_the_padded_array(rows, cols, turned, move):
    values = ramp(5, 6)
    dy, dx = (2.0 if turned[0] else -2.0), (-3.0 if turned[1] else 3.0)
    x, y = 30.0 + 3 * move[1], 100.0 - 2 * move[0]
    own = Grid(x + (18 if turned[1] else 0), y - (10 if turned[0] else 0), dx, dy, 6, 5, None, "m")
    stored = values[:: -1 if turned[0] else 1, :: -1 if turned[1] else 1]
    layer = Layer("elevation", Stored(stored.tobytes(), stored.shape), own)
    window = (slice(rows[0], sum(rows)), slice(cols[0], sum(cols)))
    got = read_window(view(layer, Grid(30.0, 100.0, 3.0, -2.0, 4, 4, None, "m")), *window)
    wide = np.full((60, 60), np.nan, "f4")
    wide[20 + move[0] : 25 + move[0], 20 + move[1] : 26 + move[1]] = values
    wanted = wide[20 + window[0].start : 20 + window[0].stop, 20 + window[1].start : 20 + window[1].stop]
    np.testing.assert_array_equal(got, wanted)


@dataclass(frozen=True)
class Stored:
    """A source in memory, file order."""

    data: bytes
    shape: tuple[int, int]
    path: Path = Path("memory")

    def read(self, rows, cols):
        return np.frombuffer(self.data, "f4").reshape(self.shape)[rows, cols]


def test_a_raster_off_the_lattice_is_resampled_and_said(tmp_path):
    """A plane of wrapped phase, sampled on two lattices half a pixel apart, reads the same on both."""
    rows, cols = np.mgrid[0:8, 0:9]

    def plane(shift):
        return np.angle(np.exp(1j * (0.7 * (cols + shift) + 0.5 * (rows + shift)))).astype("f4")

    for k, pair in enumerate(["20200101-20200113", "20200113-20200125"]):
        write_tif(tmp_path / f"{pair}_int.tif", plane(0.0), nodata=None, x=500000.0, y=4000000.0 + 0 * k)
    write_tif(tmp_path / "20200125-20200206_int.tif", plane(0.5), nodata=None, x=500040.0, y=4000000.0 - 40)
    with pytest.warns(UserWarning, match=r"1 files lie off.*resampled.*20200125-20200206"):
        ds = open_stack(tmp_path, join="inner")
    inside = ds.phase[:, 1:-1, 1:-1].values
    wanted, got = inside[0], inside[2]
    assert np.abs(np.angle(np.exp(1j * (got - wanted)))).max() < 1e-5


def test_off_the_lattice_anything_but_phase_takes_the_nearest_pixel(tmp_path):
    """Shifted by 0.3 pixels to the east: every pixel is the file's own neighbour, no value is invented."""
    for k, pair in enumerate(["20200101-20200113", "20200113-20200125", "20200125-20200206"]):
        write_tif(tmp_path / f"{pair}_unw.tif", ramp(), x=500000.0 + (24.0 if k == 2 else 0.0))
    with pytest.warns(UserWarning, match="resampled"):
        ds = open_stack(tmp_path)
    np.testing.assert_array_equal(ds.unwrapped_phase[2, :, :7], ramp())
    assert ds.unwrapped_phase[2, :, 7].isnull().all()


def test_zero_rule_finds_coherence_of_another_extent(tmp_path):
    phase = ramp()
    phase[2, 3] = phase[4, 5] = 0.0
    coherence = np.full((8, 9), 0.6, "f4")
    coherence[2 + 1, 3 + 2] = 0.0
    write_tif(tmp_path / "20200101-20200113_unw.tif", phase)
    write_tif(tmp_path / "20200101-20200113_cc.tif", coherence, x=500000.0 - 160, y=4000000.0 + 80)
    ds = open_stack(tmp_path, join="inner")
    assert np.isnan(ds.unwrapped_phase.values[0, 2, 3])
    assert ds.unwrapped_phase.values[0, 4, 5] == 0.0
    assert ds.unwrapped_phase.isnull().sum() == 1


@pytest.mark.parametrize("nodata", [255, -9999.0])
def test_declared_nodata_of_bytes(tmp_path, nodata):
    """A declared value outside the file's type is no pixel's."""
    own = Grid(0.0, 0.0, 1.0, -1.0, 3, 1, None, "m")
    layer = Layer("elevation", Bytes(), own, nodata=nodata)
    got = read_window(view(layer, own), slice(0, 1), slice(0, 3))
    np.testing.assert_array_equal(got, [[0.0, 7.0, np.nan if nodata == 255 else 255.0]])


@dataclass(frozen=True)
class Bytes:
    path: Path = Path("memory")

    def read(self, rows, cols):
        return np.array([[0, 7, 255]], "u1")[rows, cols]


def test_a_hundredth_of_a_pixel_is_snapped(tmp_path):
    write_tif(tmp_path / "20200101-20200113_unw.tif", ramp())
    write_tif(tmp_path / "20200113-20200125_unw.tif", ramp(), x=500000.5)
    ds = open_stack(tmp_path, join="exact")
    np.testing.assert_array_equal(ds.unwrapped_phase[0], ds.unwrapped_phase[1])


@pytest.mark.parametrize(
    ("dates", "count"),
    [
        (("2020-01-01", "2020-01-25"), 2),
        ((None, "2020-01-13"), 1),
        (("20200113", None), 2),
        (["2020-01-01", "2020-01-13", "2020-02-06"], 1),
        ([np.datetime64("2020-01-25"), "2020-02-06"], 1),
    ],
)
def test_dates(tmp_path, dates, count):
    root = folder(tmp_path, ["20200101-20200113", "20200113-20200125", "20200125-20200206"])
    assert open_stack(root, dates=dates).sizes["pair"] == count


def test_bad_options_are_named(tmp_path):
    root = folder(tmp_path)
    with pytest.raises(ValueError, match=r"dates: no pair.*20200101 to 20200125"):
        open_stack(root, dates=("2021-01-01", None))
    with pytest.raises(ValueError, match="dates: expected dates"):
        open_stack(root, dates=["spring"])
    with pytest.raises(TypeError, match="dates: expected a"):
        open_stack(root, dates="2020-01-01")
    with pytest.raises(ValueError, match="join: expected one of outer"):
        open_stack(root, join="left")
    with pytest.raises(ValueError, match="chunks: expected sizes"):
        open_stack(root, chunks={"rows": 3})
    with pytest.raises(TypeError, match="chunks: expected"):
        open_stack(root, chunks=2.5)
    with pytest.raises(ValueError, match=r"product: expected 'auto' or one of .*licsar.*'lisar'"):
        open_stack(root, product="lisar")


def test_bad_sources_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="source: the path does not exist"):
        open_stack(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="glob matches no file"):
        open_stack(f"{tmp_path}/*.tif")
    with pytest.raises(TypeError, match="source: expected a file"):
        open_stack(3)
    with pytest.raises(ValueError, match="empty list"):
        open_stack([])
    with pytest.raises(ValueError, match="open_cube"):
        open_stack("s3://bucket/track.zarr")
    (tmp_path / "cube.zarr").mkdir()
    (tmp_path / "cube.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match="Zarr store"):
        open_stack(tmp_path / "cube.zarr")


def test_no_product_says_what_was_looked_for(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(
        ValueError, match=r"no known product among 1 files \(a.txt\).*LiCSAR.*stack_from_arrays"
    ):
        open_stack(tmp_path)
    (tmp_path / "S1AA.zip").write_text("x")
    with pytest.raises(ValueError, match="unpack"):
        open_stack(tmp_path)


def test_two_products_are_named_and_product_chooses(tmp_path):
    root = folder(tmp_path)
    write_tif(
        root / "20200101_20200113" / "20200101_20200113.geo.unw.tif", ramp(), crs="EPSG:4326", step=0.001
    )
    with pytest.raises(ValueError, match=r"one product, got 2.*product='licsar'.*product='gamma_geotiff'"):
        open_stack(root)
    with pytest.warns(UserWarning, match="1 unknown files"):
        ds = open_stack(root, product="gamma_geotiff")
    assert ds.attrs["product"] == "gamma_geotiff"


def test_truncated_file_is_named_on_opening(tmp_path):
    path = write_tif(tmp_path / "20200101-20200113_unw.tif", ramp(60, 70))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(OSError, match=r"20200101-20200113_unw\.tif.*truncated"):
        open_stack(tmp_path)


def test_damaged_file_is_named(tmp_path):
    path = write_tif(tmp_path / "20200101-20200113_unw.tif", ramp(60, 70), compress="deflate")
    ds = open_stack(tmp_path)
    data = bytearray(path.read_bytes())
    data[-3000:] = b"x" * 3000
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"20200101-20200113_unw\.tif"):
        ds.unwrapped_phase.compute()
    path.write_bytes(b"no raster at all")
    with pytest.raises(OSError, match=r"20200101-20200113_unw\.tif"):
        open_stack(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("int", 7.5, r"phase: expected values in -pi..pi, got 7\.5"),
        ("cc", 200.0, r"coherence.*0\.\.1, got 200"),
    ],
)
def test_values_out_of_range_are_named_when_read(tmp_path, name, value, message):
    write_tif(tmp_path / "20200101-20200113_unw.tif", ramp())
    write_tif(tmp_path / f"20200101-20200113_{name}.tif", np.full((6, 7), value, "f4"))
    ds = open_stack(tmp_path)
    with pytest.raises(ValueError, match=message):
        ds.compute()


def test_small_overshoots_of_coherence_are_clipped(tmp_path):
    write_tif(tmp_path / "20200101-20200113_unw.tif", ramp())
    write_tif(tmp_path / "20200101-20200113_cc.tif", np.array([[1.02, -0.03, 0.5]], "f4"))
    ds = open_stack(tmp_path)
    np.testing.assert_array_equal(ds.coherence[0, 0, :3], np.array([1.0, 0.0, 0.5], "f4"))


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ("auto", ((1, 1), (6,), (7,))),
        (4, ((1, 1), (4, 2), (4, 3))),
        ({"y": 3, "x": -1, "pair": 2}, ((2,), (3, 3), (7,))),
    ],
)
def test_chunks(tmp_path, chunks, wanted):
    ds = open_stack(folder(tmp_path), chunks=chunks)
    assert ds.unwrapped_phase.chunks == wanted
    np.testing.assert_array_equal(ds.unwrapped_phase[1], ramp(start=2.0))


def test_automatic_chunks_follow_the_file(tmp_path):
    values = np.ones((600, 500), "f4")
    write_tif(tmp_path / "20200101-20200113_unw.tif", values, tiled=True, blockxsize=256, blockysize=256)
    assert open_stack(tmp_path).unwrapped_phase.chunks == ((1,), (600,), (500,))
    from xinsar.readers.assemble import _tiles

    large = Grid(0, 0, 1, -1, 5000, 9000, "EPSG:32633")
    assert _tiles(large, (512, 512), {}) == (2048, 2048)
    assert _tiles(large, (1, 5000), {}) == (838, 5000)
    assert _tiles(large, None, {"y": 100}) == (100, 5000)


def test_graph_grows_with_tiles_and_travels_small(tmp_path):
    ds = open_stack(folder(tmp_path), chunks={"y": 3})
    graph = dict(ds.unwrapped_phase.__dask_graph__())
    assert len(graph) == 2 * 2
    assert len(pickle.dumps(graph)) < 1500 * len(graph)


def test_names_of_tasks_follow_the_files(tmp_path):
    root = folder(tmp_path)
    first, again = (open_stack(root).unwrapped_phase.data.name for _ in range(2))
    assert first == again
    write_tif(root / "unw" / "20200101-20200113_unw.tif", ramp(start=5.0), compress="deflate")
    assert open_stack(root).unwrapped_phase.data.name != first


def test_radar_geometry_keeps_its_rows(tmp_path):
    identity = rasterio.Affine.identity()
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write_tif(tmp_path / "20200101-20200113_unw.tif", ramp(), crs=None, transform=identity)
    ds = open_stack(tmp_path)
    np.testing.assert_array_equal(ds.unwrapped_phase[0], ramp())
    assert (np.diff(ds.y) == 1).all()
    assert "spatial_ref" not in ds.coords
    assert "units" not in ds.x.attrs


def test_rotated_rasters_are_refused(tmp_path):
    turned = rasterio.Affine(80, 5, 500000, 5, -80, 4000000)
    write_tif(tmp_path / "20200101-20200113_unw.tif", ramp(), transform=turned)
    with pytest.raises(ValueError, match="rotated"):
        open_stack(tmp_path)


def test_one_pixel_and_all_missing_are_legal(tmp_path):
    write_tif(tmp_path / "20200101-20200113_unw.tif", np.zeros((1, 1), "f4"))
    ds = open_stack(tmp_path)
    assert ds.unwrapped_phase.isnull().all()
    assert describe(ds)


def test_lattices():
    base = Grid(0.0, 0.0, 1.0, -1.0, 10, 10, "EPSG:32633")
    moved = Grid(2.0, -3.0, 1.0, -1.0, 10, 10, "EPSG:32633")
    other = Grid(0.4, 0.0, 1.0, -1.0, 10, 10, "EPSG:32633")
    assert lattice.offset(moved, base) == (3.0, 2.0)
    assert lattice.common_lattice([other, base, moved]) == base
    assert lattice.same_group(base, moved)
    assert not lattice.same_group(base, Grid(0, 0, 1.01, -1.01, 10, 10, "EPSG:32633"))
    assert not lattice.same_group(base, Grid(0, 0, 1.0, -1.0, 10, 10, "EPSG:32634"))


def test_every_reader_has_a_name_and_says_what_it_looks_for():
    readers = registry.readers()
    assert {"hyp3_gamma", "hyp3_isce2", "licsar", "gamma_geotiff"} <= set(readers)
    assert all(reader.title and reader.looks_for for reader in readers.values())


def test_side_files_are_no_data():
    names = ["a.png", "a.tif.aux.xml", "README", "baselines", ".hidden", "x.par"]
    assert all(discover.is_side_file(Path(name)) for name in names)
    assert not any(discover.is_side_file(Path(name)) for name in ["a.tif", "b.h5", "c.unw", "d"])


def test_save_and_reopen_as_plain_netcdf_dict(tmp_path):
    """The cube's attributes are plain values."""
    ds = open_stack(folder(tmp_path))
    assert isinstance(xr.Dataset.from_dict(ds.to_dict()), xr.Dataset)
