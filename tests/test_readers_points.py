"""Points: EGMS files written by hand as specified, real StaMPS and DePSI exports, vector files, any CSV."""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xinsar
from tests.helpers import ComputedError, _raise
from xinsar.extras import MissingExtraError
from xinsar.readers.points import describe_points, open_points
from xinsar.readers.points.scan import scan

DATES = ("20190102", "20190108", "20190114")
LINE_OF_SIGHT = (
    "pid,mp_type,latitude,longitude,easting,northing,height,height_wgs84,line,pixel,rmse,temporal_coherence,"
    "amplitude_dispersion,incidence_angle,track_angle,los_east,los_north,los_up,mean_velocity,mean_velocity_std,"
    "acceleration,acceleration_std,seasonality,seasonality_std"
)
ORTHO = (
    "pid,easting,northing,height,rmse,mean_velocity,mean_velocity_std,acceleration,acceleration_std,seasonality,"
    "seasonality_std"
)
L2B = "EGMS_L2b_044_0240_IW2_VV_2019_2023_1.csv"


def numbers(k: int, heading: float = 347.64) -> list[str]:
    """Cells of one point along the line of sight: it sinks by ``k`` mm/year."""
    i, a = np.radians(39.0), np.radians(heading)
    look = (-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i))
    return [
        str(400 * (k % 2)), f"{45.5 + k / 1000:.6f}", f"{12.1 + k / 1000:.6f}", f"{4662111.45 + 20 * k:.2f}",
        f"{2515345.12 + 7 * k:.2f}", f"{67.4 + k:.1f}", f"{115.4 + k:.1f}", str(456 + k), str(1240 + k), "4.5", "0.54",
        "0.25", "39.00", f"{heading:.2f}", *(f"{v:.3f}" for v in look), f"{-1.0 * k:.1f}", "0.3", "-0.51", "0.42",
        "2.3", "0.4",
    ]  # fmt: skip


def line_of_sight(
    path: Path, rows: range = range(4), dates: tuple[str, ...] = DATES, heading: float = 347.64, **change: str
) -> Path:
    """Write an L2a or L2b file by hand; ``change`` renames columns."""
    names = [change.get(name, name) for name in LINE_OF_SIGHT.split(",")]
    lines = [",".join([*names, *dates])]
    for k in rows:
        series = [f"{-0.1 * k * j:.1f}" for j in range(len(dates))]
        lines.append(",".join([f"3ODTn5TN{k:02d}", *numbers(k, heading), *series]))
    return written(path, "\n".join(lines) + "\n")


def ortho(path: Path, cells: list[tuple[int, int]], sign: float = 1.0) -> Path:
    """Write an L3 file by hand: the velocity of a cell is its number times ``sign``, mm/year."""
    lines = [",".join([ORTHO, *DATES])]
    for k, (column, row) in enumerate(cells):
        place = [str(4_000_050 + 100 * column), str(2_800_050 + 100 * row)]
        more = ["67.4", "1.1", f"{sign * (column + 10 * row):.1f}", "0.2", "0.1", "0.1", "1.0", "0.2"]
        lines.append(",".join([f"2{k:08d}", *place, *more, "0.0", "0.5", f"{sign * k:.1f}"]))
    return written(path, "\n".join(lines) + "\n")


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def packed(path: Path, *files: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
        archive.writestr("header.xml", "<BURST/>")
    return path


def quiet(source, **options) -> xr.Dataset:
    """Open without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_points(source, **options)


def same_in_chunks(source, eager: xr.Dataset, sizes=(1, 2, 3, 100, "auto"), **options) -> None:
    """Assert that reading in chunks is lazy and gives the same bits, names, attributes and dtypes."""
    for size in sizes:
        with dask.config.set(scheduler=_raise):
            lazy = open_points(source, chunks=size, **options)
            for name in (*lazy.data_vars, "x", "y"):
                assert lazy[name].chunks is not None, name
        found = lazy.compute(scheduler="synchronous")
        xr.testing.assert_identical(found, eager)
        for name, variable in eager.variables.items():
            assert found[name].dtype == variable.dtype, name
            if variable.dtype.kind == "f":
                assert found[name].values.tobytes() == variable.values.tobytes(), name


# ------------------------------------------------------------------------------------------------ EGMS


def test_calibrated_in_canonical_units_and_signs(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    ds = quiet(path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert dict(ds.sizes) == {"point": 4, "time": 3, "component": 3}
    for name, column, scale in (
        ("x", "easting", 1), ("y", "northing", 1), ("longitude", "longitude", 1), ("latitude", "latitude", 1),
        ("velocity", "mean_velocity", 1e-3), ("velocity_sigma", "mean_velocity_std", 1e-3), ("elevation", "height", 1),
        ("temporal_coherence", "temporal_coherence", 1), ("rmse", "rmse", 1e-3), ("mp_type", "mp_type", 1),
        ("acceleration", "acceleration", 1e-3), ("seasonality_std", "seasonality_std", 1e-3), ("line", "line", 1),
        ("height_wgs84", "height_wgs84", 1), ("incidence_angle", "incidence_angle", 1),
    ):  # fmt: skip
        wanted = np.array([float(row[column]) * scale for row in rows]).astype(ds[name].dtype)
        np.testing.assert_array_equal(ds[name], wanted, err_msg=name)
    assert ds.x.dtype == ds.y.dtype == np.float64
    assert ds.velocity.dtype == ds.displacement.dtype == np.float32
    assert (ds.x.units, ds.y.units) == ("m", "m")
    assert (ds.velocity.units, ds.displacement.units) == ("m year-1", "m")
    assert (ds.acceleration.units, ds.rmse.units) == ("m year-2", "m")
    assert ds.id.values.tolist() == [row["pid"] for row in rows]
    for j, day in enumerate(DATES):
        np.testing.assert_array_equal(ds.displacement[j], [np.float32(float(r[day]) * 1e-3) for r in rows])
    assert np.datetime_as_string(ds.time.values, "D").tolist() == ["2019-01-02", "2019-01-08", "2019-01-14"]
    assert ds.time.dtype == "datetime64[ns]"


def test_sinking_ground_moves_away_and_the_vector_points_to_the_satellite(tmp_path):
    """Up and the vector of an ascending, right-looking orbit: the satellite stands in the west."""
    ds = quiet(line_of_sight(tmp_path / L2B))
    assert (ds.velocity.values[1:] < 0).all()
    assert "toward the satellite" in ds.velocity.long_name
    assert "toward the satellite" in ds.attrs["sign"]
    east, north, up = ds.los.values
    assert (east < 0).all()
    assert (north < 0).all()
    assert (up > 0.7).all()
    np.testing.assert_allclose((ds.los**2).sum("component"), 1, atol=2e-3)
    assert ds.component.values.tolist() == ["east", "north", "up"]


def test_attributes_of_the_track(tmp_path):
    attrs = quiet(line_of_sight(tmp_path / L2B)).attrs
    assert attrs["product"] == "egms_l2b"
    assert (attrs["sensor"], attrs["track"], attrs["orbit_direction"]) == ("Sentinel-1", 44, "ascending")
    assert attrs["heading"] == pytest.approx(347.64)
    assert attrs["wavelength"] == pytest.approx(0.0555, abs=1e-4)
    assert attrs["period"] == "2019-2023"
    assert "GNSS" in attrs["reference"]
    assert attrs["history"] == "opened from 1 egms_l2b file by open_points"


def test_crs_is_that_of_the_european_grid(tmp_path):
    ds = quiet(line_of_sight(tmp_path / L2B))
    import rioxarray  # noqa: F401

    assert ds.rio.crs.to_epsg() == 3035
    assert xinsar.grid.crs_of(ds).to_epsg() == 3035


@pytest.mark.parametrize(
    ("heading", "direction", "kept"), [(-8.28, "ascending", 351.72), (192.1, "descending", 192.1)]
)
def test_headings_of_either_direction(tmp_path, heading, direction, kept):
    """Track angles count from 0 to 360 or from -180 to 270 (table 5 of the specification)."""
    attrs = quiet(line_of_sight(tmp_path / L2B, heading=heading)).attrs
    assert attrs["orbit_direction"] == direction
    assert attrs["heading"] == pytest.approx(kept)


def test_a_vector_toward_the_ground_is_turned(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    text = (
        path.read_text().replace(",0.777,", ",-0.777,").replace("-0.615", "0.615").replace("-0.135", "0.135")
    )
    turned = quiet(written(tmp_path / "b" / L2B, text))
    xr.testing.assert_equal(turned.los, quiet(path).los)


def test_basic_of_the_first_releases(tmp_path):
    """The baseline has no years in its name; clusters came in version 1.0 of the format."""
    path = line_of_sight(tmp_path / "EGMS_L2a_088_0282_IW2_VV.csv")
    lines = path.read_text().splitlines()
    text = "\n".join(
        line.replace(",", f",{'cluster_label' if k == 0 else k},", 1) for k, line in enumerate(lines)
    )
    ds = quiet(written(path, text))
    assert ds.attrs["product"] == "egms_l2a"
    assert ds.attrs["track"] == 88
    assert "virtual" in ds.attrs["reference"]
    assert "period" not in ds.attrs
    np.testing.assert_array_equal(ds.cluster_label, [1, 2, 3, 4])


def test_columns_by_their_other_names(tmp_path):
    change = {"height": "height_ortho", "height_wgs84": "height_ellipse", "rmse": "rmse_ts"}
    ds = quiet(line_of_sight(tmp_path / L2B, **change))
    wanted = quiet(line_of_sight(tmp_path / "b" / L2B))
    xr.testing.assert_identical(ds, wanted)


def test_a_column_nobody_knows_keeps_its_name(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    lines = path.read_text().splitlines()
    ds = quiet(written(path, "\n".join(f"{x},{'new_thing' if k == 0 else k}" for k, x in enumerate(lines))))
    np.testing.assert_array_equal(ds.new_thing, [1, 2, 3, 4])
    assert "units" not in ds.new_thing.attrs


def test_without_series(tmp_path):
    ds = quiet(line_of_sight(tmp_path / L2B, dates=()))
    assert "displacement" not in ds
    assert "time" not in ds.coords


def test_vertical_alone(tmp_path):
    ds = quiet(ortho(tmp_path / "EGMS_L3_E40N28_100km_U_2018_2022_1.csv", [(0, 0), (1, 0), (3, 2)]))
    assert ds.attrs["product"] == "egms_l3"
    assert ds.velocity.dims == ("point",)
    assert str(ds.component.values) == "up"
    np.testing.assert_allclose(ds.velocity, [0, 1e-3, 23e-3], rtol=1e-6)
    assert ds.velocity.long_name == "vertical velocity, positive up"
    assert "los" not in ds
    assert not {"orbit_direction", "wavelength", "heading"} & set(ds.attrs)
    assert "positive up or east" in ds.attrs["sign"]
    np.testing.assert_array_equal(ds.x, [4_000_050, 4_000_150, 4_000_350])


CELLS = [(0, 0), (1, 0), (3, 2), (4, 2)]


def tile(folder: Path, name: str, cells=CELLS, east=None) -> list[Path]:
    return [
        ortho(folder / f"EGMS_L3_{name}_100km_U_2018_2022_1.csv", cells),
        ortho(folder / f"EGMS_L3_{name}_100km_E_2018_2022_1.csv", east or cells, -1.0),
    ]


def test_vertical_and_east_become_one(tmp_path):
    files = tile(tmp_path, "E40N28")
    ds = quiet(tmp_path)
    assert ds.velocity.dims == ("component", "point")
    assert ds.displacement.dims == ("time", "component", "point")
    assert ds.component.values.tolist() == ["east", "up"]
    for name, file in zip(("up", "east"), files, strict=True):
        alone = quiet(file)
        for variable in ("velocity", "velocity_sigma", "displacement", "rmse"):
            np.testing.assert_array_equal(ds[variable].sel(component=name), alone[variable])
    assert ds.velocity.long_name == "velocity, positive east and up"
    assert ds.elevation.dims == ("point",)
    same_in_chunks(tmp_path, ds)


def test_components_with_other_dates(tmp_path):
    """Dates of either component are kept; a component is NaN at a date it lacks."""
    _, east = tile(tmp_path, "E40N28")
    changed(east, ",20190114", ",20190115")
    ds = quiet(tmp_path)
    assert ds.sizes["time"] == 4
    assert np.isnan(ds.displacement.sel(component="up")[3]).all()
    assert np.isnan(ds.displacement.sel(component="east")[2]).all()
    np.testing.assert_array_equal(ds.displacement.sel(component="east")[3], quiet(east).displacement[2])
    same_in_chunks(tmp_path, ds, sizes=(3,))


def test_two_points_in_one_cell(tmp_path):
    tile(tmp_path, "E40N28", CELLS, east=[*CELLS, CELLS[0]])
    with pytest.raises(ValueError, match="one point per cell of the grid"):
        open_points(tmp_path)


def test_degrees_where_there_is_no_grid(tmp_path):
    path = line_of_sight(tmp_path / L2B, easting="e_", northing="n_")
    ds = quiet(path)
    assert xinsar.grid.crs_of(ds).to_epsg() == 4326
    np.testing.assert_array_equal(ds.x, [12.1, 12.101, 12.102, 12.103])
    assert ds.x.units == "degrees_east"


def test_direction_without_a_heading(tmp_path):
    """The vector tells it: the satellite of a descending, right-looking orbit stands in the east."""
    for heading, direction in ((347.64, "ascending"), (192.0, "descending")):
        attrs = quiet(line_of_sight(tmp_path / L2B, heading=heading, track_angle="a_")).attrs
        assert attrs["orbit_direction"] == direction
        assert "heading" not in attrs


def test_tiles_join_along_point(tmp_path):
    tile(tmp_path, "E40N28")
    tile(tmp_path, "E41N28", [(1000, 0), (1001, 1)])
    ds = quiet(tmp_path)
    assert ds.sizes["point"] == 6
    np.testing.assert_allclose(ds.velocity.sel(component="up")[-1], 1.011, rtol=1e-6)
    same_in_chunks(tmp_path, ds, sizes=(3, "auto"))


def test_components_on_other_points_are_matched_by_place(tmp_path):
    """A point of only one component is kept; the other one is NaN there."""
    tile(tmp_path, "E40N28", CELLS, east=[(9, 9), (3, 2), (0, 0)])
    ds = quiet(tmp_path)
    place = {(float(x), float(y)): k for k, (x, y) in enumerate(zip(ds.x, ds.y, strict=True))}
    assert ds.sizes["point"] == 5
    both = ds.velocity.values[:, place[4_000_350.0, 2_800_250.0]] * 1e3
    np.testing.assert_allclose(both, [-23, 23], rtol=1e-6)
    assert np.isnan(ds.velocity.sel(component="east")[place[4_000_150.0, 2_800_050.0]])
    assert np.isnan(ds.displacement.sel(component="up")[:, place[4_000_950.0, 2_800_950.0]]).all()
    assert np.isfinite(ds.elevation).all()
    assert "" not in ds.id.values
    with pytest.raises(ValueError, match="chunks=None, which matches points by place"):
        open_points(tmp_path, chunks=2)


def test_components_in_another_order_are_seen_when_read_in_chunks(tmp_path):
    tile(tmp_path, "E40N28", CELLS, east=CELLS[::-1])
    lazy = open_points(tmp_path, chunks=2)
    with pytest.raises(ValueError, match="same points in the same order"):
        lazy.x.compute()
    assert quiet(tmp_path).sizes["point"] == 4


def test_a_tile_without_its_other_half(tmp_path):
    tile(tmp_path, "E40N28")
    tile(tmp_path, "E41N28", [(1000, 0)])[0].unlink()
    with pytest.raises(ValueError, match=r"U and the E file of every tile, got one of them for tile E41N28"):
        open_points(tmp_path)


def test_component_that_nobody_tells(tmp_path):
    with pytest.raises(ValueError, match=r"a name that tells the component.*_U_"):
        open_points(ortho(tmp_path / "ortho.csv", CELLS))
    path = ortho(tmp_path / "ortho.csv", CELLS)
    with pytest.raises(ValueError, match="a name that tells the component"):
        open_points(path, product="egms_l3")


def test_a_renamed_file_still_opens_and_its_level_can_be_told(tmp_path):
    path = line_of_sight(tmp_path / "renamed.csv")
    ds = quiet(path)
    assert ds.attrs["product"] == "egms"
    assert "reference" not in ds.attrs
    assert quiet(path, product="egms_l2b").attrs["product"] == "egms_l2b"


def test_bursts_join_and_missing_dates_are_nan(tmp_path):
    line_of_sight(tmp_path / L2B, range(3))
    line_of_sight(tmp_path / L2B.replace("0240", "0241"), range(3, 5), (DATES[0], DATES[2], "20190120"))
    ds = quiet(tmp_path)
    assert dict(ds.sizes) == {"point": 5, "time": 4, "component": 3}
    np.testing.assert_array_equal(ds.velocity, np.float32(-1e-3) * np.arange(5, dtype=np.float32))
    found = np.isnan(ds.displacement.values)
    wanted = np.zeros((4, 5), bool)
    wanted[3, :3] = wanted[1, 3:] = True
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(ds.displacement[2, 3:] * 1e3, [-0.3, -0.4], rtol=1e-6)
    assert ds.attrs["history"] == "opened from 2 egms_l2b files by open_points"
    same_in_chunks(tmp_path, ds)


@pytest.mark.parametrize(
    ("second", "heading", "message"),
    [
        (
            L2B.replace("_044_", "_117_"),
            347.64,
            r"files of one track, got 2 \(044: .*; 117: .*open each by itself",
        ),
        (L2B.replace("0240", "0241"), 192.0, r"files of one orbit, got 2 \(ascending: .*descending: "),
        (L2B.replace("2019_2023", "2018_2022"), 347.64, r"files of one period, got 2 \(2018-2022"),
        (L2B.replace("_1.csv", "_2.csv"), 347.64, r"burst 0240 once, got .*_1\.csv and .*_2\.csv; keep one"),
        (
            L2B.replace("L2b", "L2a"),
            347.64,
            r"one product, got 2 \(product='egms_l2a': .*choose one with product=",
        ),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, second, heading, message):
    line_of_sight(tmp_path / L2B)
    line_of_sight(tmp_path / second, heading=heading)
    with pytest.raises(ValueError, match=message):
        open_points(tmp_path)


def test_a_level_can_be_chosen(tmp_path):
    line_of_sight(tmp_path / L2B)
    line_of_sight(tmp_path / L2B.replace("L2b", "L2a"))
    with pytest.warns(UserWarning, match="1 unknown files were left out: EGMS_L2a"):
        ds = open_points(tmp_path, product="egms_l2b")
    assert ds.attrs["product"] == "egms_l2b"


def test_a_copy_under_another_name(tmp_path):
    text = line_of_sight(tmp_path / L2B).read_text()
    written(tmp_path / L2B.replace("0240", "0241"), text)
    with pytest.raises(ValueError, match="every point once, got the same points in"):
        open_points(tmp_path)


def test_a_file_of_egms_without_its_columns(tmp_path):
    path = written(tmp_path / L2B, "pid,easting,northing,speed\nA,1,2,3\n")
    with pytest.raises(
        ValueError, match=r"egms_l2b needs the columns mean_velocity; the file holds pid, easting"
    ):
        open_points(path)


# ------------------------------------------------------------------------------------------------ packed files


def test_zip_as_downloaded(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    wanted = quiet(path)
    archive = (
        packed(tmp_path / "zip" / L2B.replace(".csv", ".zip"), path)
        if (tmp_path / "zip").mkdir() is None
        else 0
    )
    ds = quiet(archive)
    xr.testing.assert_identical(ds, wanted)
    with pytest.raises(
        ValueError, match=r"chunks: expected files that are not packed.*unpack it, or pass chunks=None"
    ):
        open_points(archive, chunks="auto")


def test_zip_with_several_bursts_and_gzip(tmp_path):
    files = [
        line_of_sight(tmp_path / L2B, range(2)),
        line_of_sight(tmp_path / L2B.replace("240", "241"), range(2, 4)),
    ]
    wanted = quiet(tmp_path)
    (tmp_path / "z").mkdir()
    xr.testing.assert_identical(quiet(packed(tmp_path / "z" / "all.zip", *files)), wanted)
    for file in files:
        written(tmp_path / "g" / f"{file.name}.gz", gzip.compress(file.read_bytes()))
    xr.testing.assert_identical(quiet(tmp_path / "g"), wanted)


def test_zip_beside_what_it_holds_counts_once(tmp_path):
    packed(tmp_path / L2B.replace(".csv", ".zip"), line_of_sight(tmp_path / L2B))
    assert quiet(tmp_path).sizes["point"] == 4


@pytest.mark.parametrize("suffix", [".zip", ".csv.gz"])
def test_damaged_packed_files(tmp_path, suffix):
    rng = np.random.default_rng(0)
    path = line_of_sight(tmp_path / L2B, range(40))
    rows = path.read_text() + "".join(
        ",".join(["3ODTn5TNYv", *numbers(1), *map(str, rng.integers(0, 99999, 3))]) + "\n"
        for _ in range(9000)
    )
    written(path, rows)
    if suffix == ".zip":
        raw = packed(tmp_path / "a.zip", path).read_bytes()
        damaged = raw[: len(raw) // 2]
    else:
        raw = gzip.compress(path.read_bytes())
        damaged = raw[: len(raw) - 2000]
    bad = written(tmp_path / "bad" / L2B.replace(".csv", suffix), damaged)
    with pytest.raises(OSError, match=rf"{L2B[:-4]}.*(damaged|truncated)"):
        open_points(bad)


# ------------------------------------------------------------------------------------------------ StaMPS and DePSI


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "points", "dates", "low", "high", "agreement"),
    [("Maoxian_PS.csv", 97, 41, -26.3, 3.3, 0.9998), ("Maoxian_SBAS.csv", 608, 38, -28.5, 9.7, 0.92)],
)
def test_maoxian(real_data, name, points, dates, low, high, agreement):
    """Numbers of the data's own description; the velocity agrees with the slope of the series."""
    path = real_data("maoxian-landslide-ps-stamps") / name
    ds = quiet(path)
    assert dict(ds.sizes) == {"point": points, "time": dates}
    velocity = ds.velocity.values * 1e3
    assert velocity.min() == pytest.approx(low, abs=0.05)
    assert velocity.max() == pytest.approx(high, abs=0.05)
    assert str(ds.time.values[0])[:10] == "2014-11-26"
    assert str(ds.time.values[-1])[:10] == "2017-06-19"
    years = (ds.time.values - ds.time.values[0]) / np.timedelta64(1, "D") / 365.25
    slope = np.polyfit(years, ds.displacement.values.astype(float) * 1e3, 1)[0]
    assert np.corrcoef(slope, velocity)[0, 1] == pytest.approx(
        agreement, abs=5e-3 if agreement < 0.95 else 1e-4
    )
    assert 103.655 < ds.x.min() < ds.x.max() < 103.668
    assert 32.075 < ds.y.min() < ds.y.max() < 32.084
    assert xinsar.grid.crs_of(ds).to_epsg() == 4326
    assert ds.attrs["reference"] == [103.6858, 32.0086]
    assert "toward" in ds.attrs["sign"]
    same_in_chunks(path, ds, sizes=(1000, 50, 7))


@pytest.mark.real
def test_two_processings_in_one_folder_are_not_mixed(real_data):
    with pytest.raises(ValueError, match=r"same columns and dates, got Maoxian_PS\.csv .*41 dates.*38 dates"):
        open_points(real_data("maoxian-landslide-ps-stamps"))


def stamps(path: Path, days="735928,735952") -> Path:
    return written(path, f"export_res_1,export_res_2,export_res_3,export_res_4,export_res_5\n9.1,45.2,NaN,{days}\n"
                         "9.0,45.1,-3.5,0,-2.5\n9.2,45.3,,1,NaN\n")  # fmt: skip


def test_stamps_by_hand(tmp_path):
    """The day 735928 of the file stands for 2014-11-26: MATLAB counts from year 0, the export takes one day off."""
    ds = quiet(stamps(tmp_path / "a.csv"))
    assert np.datetime_as_string(ds.time.values, "D").tolist() == ["2014-11-26", "2014-12-20"]
    np.testing.assert_array_equal(ds.velocity, np.float32([-0.0035, np.nan]))
    np.testing.assert_array_equal(ds.displacement, np.float32([[0, 0], [-0.0025, np.nan]]))
    np.testing.assert_array_equal(ds.x, [9.0, 9.2])
    assert ds.x.units == "degrees_east"
    same_in_chunks(tmp_path / "a.csv", ds)


@pytest.mark.parametrize("days", ["5,735952", "735952,735928", "735952,abc"])
def test_stamps_without_its_dates(tmp_path, days):
    with pytest.raises(ValueError, match="ascending MATLAB day numbers"):
        open_points(stamps(tmp_path / "a.csv", days))


def test_displacement_begins_at_the_first_valid_date(tmp_path):
    """Exports put their zero anywhere; the cube counts from each point's first date."""
    lines = ["lon,lat,vel,D20200101,D20200113,D20200125", "9,46,1,28,30,25", "9.1,46,1,,4,7", "9.2,46,1,,,"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    ds = quiet(tmp_path / "a.csv", product="ps_table")
    wanted = [[0, np.nan, np.nan], [0.002, 0, np.nan], [-0.003, 0.003, np.nan]]
    np.testing.assert_allclose(ds.displacement, wanted, rtol=1e-6)
    same_in_chunks(tmp_path / "a.csv", ds, product="ps_table")


@pytest.mark.real
def test_amsterdam(real_data):
    path = real_data("amsterdam-depsi-ps") / "example.csv"
    ds = quiet(path)
    assert dict(ds.sizes) == {"point": 2500, "time": 11}
    with path.open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_array_equal(ds.velocity, np.float32([float(r["pnt_linear"]) for r in rows]))
    np.testing.assert_array_equal(ds.displacement[-1], np.float32([float(r["d_20160715"]) for r in rows]))
    np.testing.assert_array_equal(ds.amplitude[3], np.float32([float(r["a_20160429"]) for r in rows]))
    np.testing.assert_array_equal(ds.h2ph[0], np.float32([float(r["h2ph_20160327"]) for r in rows]))
    np.testing.assert_array_equal(ds.elevation, np.float32([float(r["pnt_height"]) for r in rows]))
    assert float(ds.velocity.min()) == pytest.approx(-0.0168, abs=5e-5)
    assert float(ds.velocity.max()) == pytest.approx(0.0160, abs=5e-5)
    assert float(ds.velocity.mean()) == pytest.approx(-0.0006, abs=5e-5)
    assert float(ds.pnt_enscoh.min()) == pytest.approx(0.36, abs=5e-3)
    assert float(ds.pnt_enscoh.max()) == pytest.approx(0.98, abs=5e-3)
    assert set(np.unique(ds.pnt_flags)) == {11, 101, 100001}
    assert ds.id.values.tolist() == [r["pnt_id"] for r in rows]
    np.testing.assert_array_equal(ds.x, [float(r["pnt_lon"]) for r in rows])
    assert "not stated in the file" in ds.attrs["sign"]
    assert "" not in ds
    same_in_chunks(path, ds, sizes=(999,))


def test_depsi_without_its_columns(tmp_path):
    path = written(tmp_path / "a.csv", "pnt_id,pnt_lat,pnt_lon\nA,52,4\n")
    with pytest.raises(
        ValueError, match=r"depsi needs .*lacks pnt_linear and holds pnt_id, pnt_lat, pnt_lon"
    ):
        open_points(path, product="depsi")


# ------------------------------------------------------------------------------------------------ how text is written


def variant(text: str, kind: str) -> bytes:
    """Return the text of a CSV file as other programs write it."""
    lines = text.splitlines()
    if kind == "bom":
        return b"\xef\xbb\xbf" + text.encode()
    if kind == "crlf":
        return text.replace("\n", "\r\n").encode()
    if kind == "semicolon and decimal comma":
        return text.replace(",", ";").replace(".", ",").encode()
    if kind == "tab":
        return text.replace(",", "\t").encode()
    if kind == "quoted":
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
            line.split(",") for line in lines
        )
        return out.getvalue().encode()
    if kind == "comments and empty lines":
        return "\n".join(
            ["# made by hand", "", lines[0], lines[1], "", "# half", *lines[2:], "", ""]
        ).encode()
    if kind == "blanks":
        return "\n".join(line.replace(",", " , ") for line in lines).encode()
    if kind == "no end of line at the end":
        return text.rstrip("\n").encode()
    if kind == "blanks only":
        return "\n".join(line.replace(",", "   ") for line in lines).encode()
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "bom", "crlf", "semicolon and decimal comma", "tab", "quoted", "comments and empty lines", "blanks",
        "no end of line at the end", "blanks only",
    ],
)  # fmt: skip
def test_the_same_points_however_they_are_written(tmp_path, kind):
    path = line_of_sight(tmp_path / L2B, range(7))
    wanted = quiet(path)
    other = written(tmp_path / "other" / L2B, variant(path.read_text(), kind))
    xr.testing.assert_identical(quiet(other), wanted)
    same_in_chunks(other, wanted, sizes=(2, 5))


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "NA", "null", "None", "N/A"])
def test_missing_cells_are_nan(tmp_path, cell):
    path = line_of_sight(tmp_path / L2B)
    text = (
        path.read_text()
        .replace(",-2.0,0.3", f",{cell},0.3")
        .replace("\n3ODTn5TN03,400", f"\n3ODTn5TN03,{cell}")
    )
    ds = quiet(written(path, text))
    np.testing.assert_array_equal(np.isnan(ds.velocity), [False, False, True, False])
    np.testing.assert_array_equal(np.isnan(ds.mp_type), [False, False, False, True])


def test_zero_is_a_value(tmp_path):
    assert quiet(line_of_sight(tmp_path / L2B)).velocity.values[0] == 0


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    return written(path, text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",-2.0,0.3", ",abc,0.3", r"a number in column 'mean_velocity', got 'abc' in line 4"),
        (",-2.0,0.3", ",1_0,0.3", r"a number in column 'mean_velocity', got '1_0' in line 4"),
        (
            "3ODTn5TN02,",
            "3ODTn5TN02,1,2,",
            r"expected 27 cells as in the header, got 29 in line 4; correct the line",
        ),
        (
            "3ODTn5TN02,0,",
            "3ODTn5TN02,",
            r"expected 27 cells as in the header, got 26 in line 4; correct the line",
        ),
        ("3ODTn5TN03", "3ODTn5TN03xyz", r"ids of at most 10 characters.*got '3ODTn5TN03xyz'"),
    ],
)
@pytest.mark.parametrize("chunks", [None, 2])
def test_wrong_cells_are_named(tmp_path, old, new, message, chunks):
    path = line_of_sight(tmp_path / L2B, range(40))
    if "xyz" in new:
        old, new = "3ODTn5TN39", "3ODTn5TN39xyz"
        message = message.replace("03xyz", "39xyz")
    changed(path, old, new)
    with pytest.raises(ValueError, match=message):
        open_points(path, chunks=chunks).compute(scheduler="synchronous")


def test_a_wrong_cell_behind_comments_is_named_by_its_line(tmp_path):
    path = line_of_sight(tmp_path / L2B, range(40))
    lines = path.read_text().splitlines()
    lines[20:20] = ["# one", "", "# two"]
    lines[30] = lines[30].replace("0.25,39.00", "0.25,x")
    written(path, "\n".join(lines))
    with pytest.raises(ValueError, match=r"column 'incidence_angle', got 'x' in line 31"):
        open_points(path)


@pytest.mark.parametrize("chunks", [None, 2])
def test_a_truncated_file_is_refused_on_opening(tmp_path, chunks):
    path = line_of_sight(tmp_path / L2B)
    written(path, path.read_bytes()[:-30])
    with pytest.raises(
        ValueError, match=r"expected 27 cells as in the header, got 2\d in line 5; the file is truncated"
    ):
        open_points(path, chunks=chunks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"\n\n# nothing\n", "got an empty file"),
        (b"1.5,2.5,3\n1,2,3\n", "a first line with the names of 3 columns, got numbers"),
        ("lon,lat,vel\n1,2,3\n".encode("utf-16"), "got UTF-16; save it as UTF-8"),
        (b"lon,lat,vel\r1,2,3\r", "lone CR"),
        (b"PK\0\0rubbish\n\0", "got binary data"),
        (b"lon,lat,vel,vel\n1,2,3,4\n", "got 'vel' twice"),
        (b"lon,lat,20200101,2020-01-01\n1,2,3,4\n", "every date once, got 2020-01-01"),
        (b"lon,lat,20200101,20200101.1\n1,2,3,4\n", "every date once, got 2020-01-01"),
        (b"a,b,c\n1,2,3\n", r"no points among 1 files \(a\.csv\); a\.csv holds a, b, c; looked for "),
        (b"lon,lat,vel_mm_yr\n", "got column names only in a.csv"),
    ],
)
def test_files_that_are_no_tables_of_points(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        open_points(written(tmp_path / "a.csv", content))


def test_a_header_only_file_among_others_adds_nothing(tmp_path):
    line_of_sight(tmp_path / L2B)
    line_of_sight(tmp_path / L2B.replace("0240", "0241"), range(0))
    assert quiet(tmp_path).sizes["point"] == 4


def test_names_in_the_comment_above_the_numbers(tmp_path):
    path = written(tmp_path / "a.txt", "# slow ground\n# lon lat vel_mm_yr\n11.5 46.25 -3\n11.75 46.5 0.5\n")
    ds = quiet(path)
    np.testing.assert_array_equal(ds.x, [11.5, 11.75])
    np.testing.assert_array_equal(ds.velocity, np.float32([-0.003, 0.0005]))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_texts_in_either_encoding(tmp_path, encoding):
    text = "id,lon,lat,vel_mm_yr,Höhe\nKöln 1,6.9,50.9,-1,57\n Zürich,8.5,47.4,2,408\n"
    ds = quiet(written(tmp_path / "a.csv", text.encode(encoding)))
    assert ds.id.values.tolist() == ["Köln 1", "Zürich"]
    np.testing.assert_array_equal(ds["Höhe"], [57, 408])


def test_a_line_break_in_quotes_is_refused(tmp_path):
    path = written(tmp_path / "a.csv", 'id,lon,lat,vel_mm_yr\n"a\nb",1,2,3\n"c",1,2,3\n')
    with pytest.raises(ValueError, match=r"a\.csv: expected .*line"):
        open_points(path)


def test_a_file_that_changed_since_it_was_opened(tmp_path):
    path = line_of_sight(tmp_path / L2B, range(9))
    lazy = open_points(path, chunks=3)
    line_of_sight(path, range(20, 60), heading=1.5)
    with pytest.raises(ValueError, match=L2B[:8]):
        lazy.velocity.compute(scheduler="synchronous")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.tuples(
            st.floats(-180, 180),
            st.floats(-90, 90),
            st.one_of(st.none(), st.floats(-1e4, 1e4), st.integers(-(10**15), 10**15)),
        ),
        min_size=1,
        max_size=12,
    ),
    rows=st.integers(1, 13),
    blank=st.sampled_from(["", "\n", "# x\n"]),
)
def test_any_numbers_come_back_as_python_reads_them(tmp_path, cells, rows, blank):
    """Chunks and empty lines change no bit; numbers are those of ``float`` to one unit in the last place."""
    body = blank.join(f"{x!r},{y!r},{'' if v is None else repr(v)}\n" for x, y, v in cells)
    path = written(tmp_path / "a.csv", f"lon,lat,amount\n{blank}{body}")
    eager, lazy = quiet(path), quiet(path, chunks=rows).compute(scheduler="synchronous")
    xr.testing.assert_identical(eager, lazy)
    assert eager.sizes["point"] == len(cells)
    wanted = np.array([np.nan if v is None else float(v) for _, _, v in cells])
    np.testing.assert_array_max_ulp(eager.amount.values, wanted, maxulp=1)
    np.testing.assert_array_max_ulp(eager.x.values, np.array([c[0] for c in cells]), maxulp=1)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from(["a,1", "b,22", "", "# c", "\r", "longer,333"]), max_size=20),
    each=st.integers(1, 5),
    buffer=st.integers(1, 9),
    end=st.booleans(),
)
def test_blocks_tile_the_lines_with_points(lines, each, buffer, end):
    """However small the buffer: blocks hold the lines in order, ``each`` at a time, and know where they stand."""
    text = "\n".join(lines) + ("\n" if end and lines else "")
    raw = b"head\n" + text.encode()
    stream = io.BytesIO(raw)
    stream.seek(5)
    from xinsar.readers.points import scan as module

    before, module.BUFFER = module.BUFFER, buffer
    try:
        blocks, seen = scan(stream, start=5, line=2, each=each)
    finally:
        module.BUFFER = before
    wanted = [(k + 2, line) for k, line in enumerate(text.split("\n")) if line and line[0] not in "#\r"]
    assert seen.rows == sum(b.rows for b in blocks) == len(wanted)
    for k, block in enumerate(blocks):
        own = wanted[k * each : (k + 1) * each]
        held = [x for x in raw[block.start : block.stop].decode().split("\n") if x and x[0] not in "#\r"]
        assert held == [line for _, line in own]
        assert (block.first, block.line) == (k * each, own[0][0])
    assert seen.comments == any(line.startswith("#") for line in text.split("\n"))
    if wanted:
        assert seen.tail.split(b"\n")[0].decode() == wanted[-1][1]


# ------------------------------------------------------------------------------------------------ vector files, Parquet


def frame(path: Path):
    """Return the points of a text file as a GeoDataFrame, columns as they are."""
    import geopandas as gpd
    import pandas as pd

    table = pd.read_csv(path, dtype={"pid": object})
    return gpd.GeoDataFrame(
        table, geometry=gpd.points_from_xy(table.easting, table.northing), crs="EPSG:3035"
    )


def stored(table, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapefiles cut names, and say so
        (table.to_parquet if path.suffix == ".parquet" else table.to_file)(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb", ".parquet", ".geojson"])
def test_egms_converted_by_a_gis(tmp_path, suffix):
    """The same points as from the CSV, whatever GIS format they went through (names cut to ten characters too)."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    source = line_of_sight(tmp_path / "csv" / L2B, range(9))
    wanted = quiet(source)
    path = stored(frame(source), (tmp_path / "gis" / L2B).with_suffix(suffix))
    ds = quiet(path)
    assert set(ds.variables) == set(wanted.variables)
    same_in_chunks(path, ds, sizes=(2, 100, "auto"))
    ds = ds.isel(point=np.argsort(ds.id.values))  # FlatGeobuf sorts points by place
    for name in wanted.variables:
        if wanted[name].dtype.kind == "f":
            np.testing.assert_allclose(ds[name], wanted[name], rtol=1e-6, atol=1e-9, err_msg=name)
    assert ds.id.values.tolist() == wanted.id.values.tolist()
    assert xinsar.grid.crs_of(ds).to_epsg() == 3035
    assert {**ds.attrs, "heading": 0} == {**wanted.attrs, "heading": 0}


def squeesar(n: int = 6):
    import geopandas as gpd

    k = np.arange(n)
    columns = {
        "CODE": [f"A{i:05d}" for i in k], "HEIGHT": 100.0 + k, "H_STDEV": 1.5, "VEL": -1.0 * k, "V_STDEV": 0.2,
        "COHERENCE": 0.9, "EFF_AREA": 0, "D20200101": 0.0, "D20200113": -0.5 * k,
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(11 + k / 1e4, 46 + k / 1e4), crs="EPSG:4326")


@pytest.mark.parametrize("suffix", [".shp", ".gpkg"])
def test_squeesar(tmp_path, suffix):
    path = stored(squeesar(), tmp_path / f"a{suffix}")
    ds = quiet(path)
    k = np.arange(6, dtype=np.float32)
    assert ds.attrs["product"] == "squeesar"
    np.testing.assert_allclose(ds.velocity, -1e-3 * k, rtol=1e-6)
    np.testing.assert_allclose(ds.velocity_sigma, 2e-4, rtol=1e-6)
    np.testing.assert_allclose(ds.displacement[1], -5e-4 * k, rtol=1e-6)
    np.testing.assert_allclose(ds.elevation, 100 + k)
    np.testing.assert_allclose(ds.temporal_coherence, 0.9, rtol=1e-6)
    assert ds.id.values.tolist()[-1] == "A00005"
    assert ds.x.units == "degrees_east"
    same_in_chunks(path, ds, sizes=(4,))


def test_zipped_shapefile(tmp_path):
    stored(squeesar(), tmp_path / "a.shp")
    wanted = quiet(tmp_path / "a.shp")
    (tmp_path / "z").mkdir()
    archive = packed(tmp_path / "z" / "a.zip", *sorted(tmp_path.glob("a.*")))
    xr.testing.assert_identical(quiet(archive), wanted)


def plain_points(**columns):
    import geopandas as gpd

    return gpd.GeoDataFrame(
        columns, geometry=gpd.points_from_xy([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]), crs="EPSG:32633"
    )


def test_unknown_vector_file_keeps_what_it_holds(tmp_path):
    """No unit in the names: nothing is converted, the warning says so, and operations with units refuse."""
    path = stored(plain_points(velocity=[1.0, -2.0], height=[7, 8], note=["a", "b"]), tmp_path / "a.gpkg")
    with pytest.warns(UserWarning, match=r"does not tell the unit of velocity.*product='ps_table'") as said:
        ds = open_points(path)
    assert len(said) == 1
    assert "hold no numbers were left out: note" in str(said[0].message)
    assert ds.attrs["product"] == "table"
    np.testing.assert_array_equal(ds.velocity, [1.0, -2.0])
    assert ds.velocity.units == "unknown"
    assert "sign" not in ds.attrs
    np.testing.assert_array_equal(ds.elevation, [5, 6])
    np.testing.assert_array_equal(ds.height, [7, 8])
    assert ds.x.units == "m"
    assert xinsar.grid.crs_of(ds).to_epsg() == 32633


def test_the_user_can_tell_the_unit(tmp_path):
    path = stored(plain_points(VEL=[1.0, -2.0], D20200101=[0, 0.0], D20200113=[1, 2.0]), tmp_path / "a.gpkg")
    ds = quiet(path, product="ps_table")
    np.testing.assert_array_equal(ds.velocity, np.float32([1e-3, -2e-3]))
    np.testing.assert_array_equal(ds.displacement[1], np.float32([1e-3, 2e-3]))
    with pytest.warns(UserWarning, match="unit of VEL and 2 dates"):
        kept = open_points(path)
    np.testing.assert_array_equal(kept.series[1], [1, 2])
    np.testing.assert_array_equal(kept.VEL, [1, -2])


def test_units_in_the_names_are_used(tmp_path):
    columns = {
        "v_cm_yr": [1.0, -2.0],
        "vel_std_cm_yr": [0.1, 0.2],
        "D20200101_cm": [0.0, 0],
        "D20200113_cm": [1.0, 2],
    }
    ds = quiet(stored(plain_points(**columns), tmp_path / "a.gpkg"))
    np.testing.assert_array_equal(ds.velocity, np.float32([1e-2, -2e-2]))
    np.testing.assert_array_equal(ds.velocity_sigma, np.float32([1e-3, 2e-3]))
    np.testing.assert_array_equal(ds.displacement[1], np.float32([1e-2, 2e-2]))


def test_other_shapes_are_refused(tmp_path):
    import geopandas as gpd
    from shapely import LineString, MultiPoint, Point

    lines = gpd.GeoDataFrame({"vel": [1.0]}, geometry=[LineString([(0, 0), (1, 1)])], crs=4326)
    mixed = gpd.GeoDataFrame(
        {"vel": [1.0, 2]}, geometry=[Point(0, 0), MultiPoint([(0, 0), (1, 1)])], crs=4326
    )
    with pytest.raises(ValueError, match=r"a\.gpkg: expected points, got LineString; take centroids"):
        open_points(stored(lines, tmp_path / "a.gpkg"))
    with pytest.raises(ValueError, match=r"b\.geojson: expected points, got MultiPoint in row 2"):
        open_points(stored(mixed, tmp_path / "b.geojson"))
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"c\.parquet: expected points, got LineString"):
        open_points(stored(lines, tmp_path / "c.parquet"))


def test_several_layers_are_refused(tmp_path):
    stored(plain_points(vel_mm_yr=[1.0, 2]), tmp_path / "a.gpkg", layer="first")
    stored(plain_points(vel_mm_yr=[1.0, 2]), tmp_path / "a.gpkg", layer="second")
    with pytest.raises(ValueError, match=r"one layer of points, got 2: first, second; write the one meant"):
        open_points(tmp_path / "a.gpkg")


def test_missing_geometry_and_numbers_are_nan(tmp_path):
    table = plain_points(vel_mm_yr=[None, 2.0], count=[1, 2])
    table.loc[0, "geometry"] = None
    ds = quiet(stored(table, tmp_path / "a.gpkg"))
    assert np.isnan(ds.x[0])
    assert np.isnan(ds.velocity[0])
    np.testing.assert_array_equal(ds["count"], [1, 2])


def test_a_damaged_vector_file(tmp_path):
    path = stored(plain_points(vel_mm_yr=[1.0, 2]), tmp_path / "a.gpkg")
    written(path, path.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"a\.gpkg: cannot be read"):
        open_points(path)


@pytest.mark.parametrize("chunks", [None, 7])
@pytest.mark.parametrize("part", [".shp", ".shx", ".dbf", ".gpkg", ".fgb"])
def test_a_truncated_vector_file_is_never_opened(tmp_path, part, chunks, capfd):
    """Wherever it is cut: GDAL itself opens many of these, with points that have no place or no numbers."""
    path = stored(squeesar(20), tmp_path / ("a.shp" if part in (".shp", ".shx", ".dbf") else f"a{part}"))
    cut = path.with_suffix(part)
    whole = cut.read_bytes()
    for size in np.linspace(0, len(whole) - 2, 9).astype(int):
        written(cut, whole[:size])
        with pytest.raises(OSError, match=r"a\.(shp|shx|dbf|gpkg|fgb): "):
            open_points(path, chunks=chunks)
    written(cut, whole)
    assert np.isfinite(quiet(path, chunks=chunks).x).all()


def test_a_shapefile_truncated_after_it_was_opened(tmp_path, capfd):
    path = stored(squeesar(20), tmp_path / "a.shp")
    lazy = quiet(path, chunks=5)
    written(path, path.read_bytes()[:300])
    with pytest.raises(
        OSError, match=r"a\.shp: cannot be read: expected 660 bytes .*got 300; .*get it again"
    ):
        lazy.x.compute(scheduler="synchronous")


def test_a_truncated_shapefile_in_a_zip(tmp_path, capfd):
    path = stored(squeesar(20), tmp_path / "a.shp")
    written(path, path.read_bytes()[:300])
    (tmp_path / "z").mkdir()
    archive = packed(tmp_path / "z" / "b.zip", *sorted(tmp_path.glob("a.*")))
    with pytest.raises(OSError, match=r"b\.zip.a\.shp: cannot be read: expected 660 bytes"):
        open_points(archive)


def test_parts_of_two_shapefiles(tmp_path):
    path = stored(squeesar(20), tmp_path / "a.shp")
    other = stored(squeesar(21), tmp_path / "b.shp")
    written(tmp_path / "a.dbf", other.with_suffix(".dbf").read_bytes())
    with pytest.raises(OSError, match=r"a\.shp: expected as many points in \.shx as in \.dbf, got 20 and 21"):
        open_points(path)


def test_null_shapes_are_legal_where_the_index_says_so(tmp_path, capfd):
    table = squeesar(20)
    table.loc[3, "geometry"] = None
    path = stored(table, tmp_path / "a.shp")
    ds = quiet(path)
    assert np.flatnonzero(np.isnan(ds.x)).tolist() == [3]
    same_in_chunks(path, ds, sizes=(4,))
    raw = bytearray(path.read_bytes())
    raw[-28:] = bytes(28)  # the last point, as a hole in the file
    written(path, bytes(raw))
    with pytest.raises(OSError, match=r"a\.shp: .*got none for row"):
        open_points(path)


def test_parquet_row_groups_are_the_chunks(tmp_path):
    pytest.importorskip("pyarrow")
    path = stored(squeesar(11), tmp_path / "a.parquet", row_group_size=4)
    lazy = open_points(path, chunks="auto")
    assert lazy.velocity.chunks == ((4, 4, 3),)
    same_in_chunks(path, quiet(path), sizes=(1, 3, 5, 100, "auto"))


def test_parquet_without_geometry(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"lon": [1.0, 2], "lat": [3.0, 4], "vel_mm_yr": [1, None], "who": ["a", None]}).to_parquet(
        path
    )
    with pytest.warns(UserWarning, match="left out: who"):
        ds = open_points(path)
    np.testing.assert_array_equal(ds.velocity, np.float32([1e-3, np.nan]))
    assert xinsar.grid.crs_of(ds).to_epsg() == 4326


def test_parquet_without_pyarrow_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtraError, match=r"reading a\.parquet needs the package 'pyarrow'.*xinsar\[parquet\]"
    ):
        open_points(written(tmp_path / "a.parquet", b"PAR1"))


def test_a_damaged_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(OSError, match=r"a\.parquet: cannot be read"):
        open_points(written(tmp_path / "a.parquet", b"PAR1 and rubbish"))


# ------------------------------------------------------------------------------------------------ any table


def test_stamps_like_table_says_what_it_assumes(tmp_path):
    path = written(tmp_path / "a.csv", "lon,lat,vel,20200101,20200113\n11,46,-3,0,-0.1\n12,47,1,0,0.2\n")
    with pytest.warns(UserWarning, match=r"a\.csv: velocities are taken as mm/year and series as mm") as said:
        ds = open_points(path)
    assert len(said) == 1
    assert ds.attrs["product"] == "ps_table"
    np.testing.assert_array_equal(ds.velocity, np.float32([-3e-3, 1e-3]))
    xr.testing.assert_identical(quiet(path, product="ps_table"), ds)


def test_ps_table_needs_a_place_and_a_velocity(tmp_path):
    with pytest.raises(
        ValueError, match=r"ps_table needs a column of velocities.*lon, lat, height; rename yours"
    ):
        open_points(written(tmp_path / "a.csv", "lon,lat,height\n1,2,3\n"), product="ps_table")
    for product in ("ps_table", "table"):
        with pytest.raises(ValueError, match=r"expected columns that tell where the points are .*got a, vel"):
            open_points(written(tmp_path / "b.csv", "a,vel\n1,2\n"), product=product)


def test_coordinates_without_crs_open_and_operations_ask_for_it(tmp_path):
    path = written(tmp_path / "a.csv", "X,Y,vel_mm_yr\n" + "".join(f"{k},{k % 3},{k}\n" for k in range(9)))
    with pytest.warns(UserWarning, match=r"a\.csv names no CRS: write one with ds\.rio\.write_crs"):
        ds = open_points(path)
    assert "spatial_ref" not in ds.coords
    assert "units" not in ds.x.attrs
    with pytest.raises(ValueError, match="CRS"):
        xinsar.getis_ord(ds, 5)
    ds.x.attrs["units"] = "m"
    assert np.isfinite(xinsar.getis_ord(ds, 3).hot_spot).all()


@pytest.mark.parametrize(
    ("header", "x", "y"),
    [
        ("lon,lat", "lon", "lat"), ("Longitude,Latitude", "Longitude", "Latitude"), ("lat,lng", "lng", "lat"),
        ("lon [deg],lat [deg]", "lon [deg]", "lat [deg]"),
    ],
)  # fmt: skip
def test_names_of_places(tmp_path, header, x, y):
    ds = quiet(written(tmp_path / "a.csv", f"{header},vel_mm_yr\n11,46,1\n"))
    names = header.split(",")
    values = dict(zip(names, (11, 46), strict=True))
    assert (float(ds.x[0]), float(ds.y[0])) == (values[x], values[y])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("vel_mm_yr", 1e-3), ("VEL [mm/yr]", 1e-3), ("v_mm_y", 1e-3), ("velocity (mm/year)", 1e-3),
        ("mean_velocity_m_per_year", 1.0), ("velocity [m/yr]", 1.0), ("Mean Velocity [cm/a]", 1e-2),
        ("vel_mm yr-1", 1e-3),
    ],
)  # fmt: skip
def test_units_of_velocities(tmp_path, name, scale):
    ds = quiet(written(tmp_path / "a.csv", f"lon,lat,{name}\n11,46,-4\n"))
    np.testing.assert_array_equal(ds.velocity, np.float32([-4 * scale]))
    assert ds.velocity.units == "m year-1"


@pytest.mark.parametrize("name", ["summary", "anomaly", "rma", "valley", "v2", "vel_mm"])
def test_names_that_are_no_velocities(tmp_path, name):
    ds = quiet(written(tmp_path / "a.csv", f"lon,lat,{name}\n11,46,-4\n"))
    assert "velocity" not in ds
    assert float(ds[name][0]) == -4


def test_whole_numbers_name_points(tmp_path):
    rows = "".join(f"{100 - k},11,46,{k}\n" for k in range(40))
    path = written(tmp_path / "a.csv", "id,lon,lat,vel_mm_yr\n" + rows)
    ds = quiet(path)
    assert ds.id.dtype == np.int64
    np.testing.assert_array_equal(ds.id, 100 - np.arange(40))
    written(path, f"id,lon,lat,vel_mm_yr\n{rows}1.5,11,46,0\n")
    with pytest.raises(ValueError, match="whole numbers in the column 'id'"):
        open_points(path)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".parquet"])
def test_whole_numbers_name_points_in_any_format(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = stored(plain_points(id=[7, 5], vel_mm_yr=[1.0, 2]), tmp_path / f"a{suffix}")
    ds = quiet(path)
    assert ds.id.dtype == np.int64
    assert ds.id.values.tolist() == [7, 5]


def test_whole_numbers_too_long_for_a_float_name_nothing(tmp_path):
    """Two names that differ in the last of 17 digits would become one."""
    rows = "".join(f"{10**16 + k},11,46,{k}\n" for k in range(3))
    ds = quiet(written(tmp_path / "a.csv", "id,lon,lat,vel_mm_yr\n" + rows))
    assert "id" not in ds.coords
    assert "id_column" in ds


@pytest.mark.parametrize("product", ["auto", "table", "ps_table"])
def test_places_written_as_texts(tmp_path, product):
    path = written(tmp_path / "a.csv", "lon,lat,vel_mm_yr\n11E,46N,1\n12E,47N,2\n")
    with pytest.raises(
        ValueError, match=r"a\.csv: expected numbers in the columns 'lon' and 'lat'.*got '11E'"
    ):
        open_points(path, product=product)
    good = written(tmp_path / "b.csv", "lon,lat,vel_mm_yr\n11,46,1\n")
    with pytest.warns(UserWarning, match=r"1 unknown files were left out: a\.csv"):
        assert open_points(tmp_path).sizes["point"] == quiet(good).sizes["point"] == 1


def test_places_stored_as_objects(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    pd.DataFrame({"x": ["11", "12"], "y": ["1", "2"], "v_m_yr": [1.0, 2]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match=r"a\.parquet: expected numbers in the columns 'x' and 'y'.*got '11'"
    ):
        open_points(tmp_path / "a.parquet")


def test_names_that_are_taken(tmp_path):
    ds = quiet(stored(plain_points(x=[7, 8], time=[1, 2], vel_mm_yr=[1, 2]), tmp_path / "a.gpkg"))
    np.testing.assert_array_equal(ds.x, [1, 2])
    np.testing.assert_array_equal(ds.x_column, [7, 8])
    np.testing.assert_array_equal(ds.time_column, [1, 2])


def test_two_plain_files_join_only_if_alike(tmp_path):
    written(tmp_path / "a.csv", "lon,lat,vel_mm_yr\n11,46,1\n")
    written(tmp_path / "b.csv", "lon,lat,vel_mm_yr\n12,46,2\n")
    np.testing.assert_array_equal(quiet(tmp_path).x, [11, 12])
    written(tmp_path / "c.csv", "lon,lat,vel_mm_yr,more\n12,46,2,1\n")
    with pytest.raises(
        ValueError, match=r"the same columns and dates, got a\.csv \(3 columns.*c\.csv \(4 columns"
    ):
        open_points(tmp_path)


def test_files_in_two_crs(tmp_path):
    stored(plain_points(vel_mm_yr=[1, 2]), tmp_path / "a.gpkg")
    stored(plain_points(vel_mm_yr=[1, 3]).to_crs(4326), tmp_path / "b.gpkg")
    with pytest.raises(
        ValueError, match=r"files in one CRS, got WGS 84 / UTM zone 33N in a\.gpkg and WGS 84 in b\.gpkg"
    ):
        open_points(tmp_path)


# ------------------------------------------------------------------------------------------------ folders and arguments


def test_a_folder_names_what_it_passes_over_once(tmp_path):
    line_of_sight(tmp_path / "deep" / L2B)
    written(tmp_path / "table.csv", "a,b\n1,2\n")
    written(tmp_path / "cities.csv", "lon,lat,people\n1,2,3\n")
    written(tmp_path / "README.txt", "see there\n")
    written(tmp_path / "notes.md", "x")
    written(tmp_path / "deep" / L2B.replace(".csv", ".xml"), "<BURST/>")
    written(tmp_path / "deep" / L2B.replace(".csv", ".tiff"), "II")
    with pytest.warns(UserWarning, match=r"2 unknown files were left out: cities\.csv, table\.csv") as said:
        ds = open_points(tmp_path)
    assert len(said) == 1
    assert ds.attrs["product"] == "egms_l2b"


def test_a_file_pointed_at_must_hold_points(tmp_path):
    good, bad = line_of_sight(tmp_path / L2B), written(tmp_path / "table.csv", "a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"no points .*table\.csv holds a, b"):
        open_points([good, bad])


def test_glob_list_and_generator_open_the_same(tmp_path):
    files = [
        line_of_sight(tmp_path / L2B, range(2)),
        line_of_sight(tmp_path / L2B.replace("240", "241"), range(2, 4)),
    ]
    wanted = quiet(str(tmp_path / "EGMS*.csv"))
    xr.testing.assert_identical(quiet(files), wanted)
    xr.testing.assert_identical(quiet(path for path in files), wanted)


def test_two_products_in_one_folder(tmp_path):
    line_of_sight(tmp_path / L2B)
    stamps(tmp_path / "a.csv")
    with pytest.raises(
        ValueError, match=r"one product, got 2 \(product='egms_l2b': .*product='stamps': a\.csv"
    ):
        open_points(tmp_path)
    with pytest.warns(UserWarning, match="unknown files were left out: EGMS_L2b"):
        assert open_points(tmp_path, product="stamps").attrs["product"] == "stamps"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"product": "nope"}, ValueError, r"product: expected 'auto' or one of depsi, egms, .*got 'nope'"),
        ({"product": "depsi"}, ValueError, "depsi needs the columns"),
        ({"product": "stamps"}, ValueError, "stamps needs columns export_res_1"),
        ({"product": "squeesar"}, ValueError, "squeesar needs CODE, VEL, V_STDEV"),
        ({"chunks": 0}, ValueError, "chunks: expected a positive number of points"),
        ({"chunks": {"y": 3}}, TypeError, "chunks: expected None, 'auto'"),
        ({"chunks": 2.5}, TypeError, "chunks: expected None, 'auto'"),
        ({"chunks": True}, TypeError, "chunks: expected None, 'auto'"),
    ],
)
def test_arguments_out_of_range(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        open_points(line_of_sight(tmp_path / L2B), **options)


@pytest.mark.parametrize("source", [None, 3, 2.5, [None], b"a.csv"])
def test_sources_of_another_kind(source):
    with pytest.raises(TypeError, match=r"source: expected .*got (NoneType|int|float)"):
        open_points(source)


@pytest.mark.parametrize("size", [5, 12, 40, -9, None])
def test_a_gzip_file_that_is_none_or_cut_or_spoilt(tmp_path, size):
    raw = gzip.compress(b"lon,lat,vel_mm_yr\n" + b"".join(b"11.%d,46,%d\n" % (k, k * k) for k in range(90)))
    spoilt = raw[:60] + bytes([raw[60] ^ 255]) + raw[61:]
    for content in (b"lon,lat,vel_mm_yr\n11,46,1\n", spoilt if size is None else raw[:size]):
        path = written(tmp_path / "a.csv.gz", content)
        with pytest.raises(OSError, match=r"a\.csv\.gz: the packed file is damaged.*get it again, or rename"):
            open_points(path)


def test_places_that_hold_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="path does not exist"):
        open_points(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no points among 0 files"):
        open_points(tmp_path)
    written(tmp_path / "a.zarr" / "zarr.json", "{}")
    with pytest.raises(ValueError, match="Zarr store"):
        open_points(tmp_path / "a.zarr")


# ------------------------------------------------------------------------------------------------ lazily, and larger


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """200 000 simulated points, 30 MB."""
    return pytest.importorskip("benchmarks.egms_file").write(
        tmp_path_factory.mktemp("large") / L2B, 200_000, dates=0, seed=1
    )


def test_opening_in_chunks_takes_little_memory(large):
    open_points(large, chunks=20_000)
    tracemalloc.start()
    lazy = open_points(large, chunks=20_000)
    opened = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    highest = float(lazy.velocity.max().compute(scheduler="synchronous"))
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert large.stat().st_size > 25e6
    assert opened < 6e6
    assert used < 20e6
    assert lazy.velocity.chunks == ((20_000,) * 10,)
    assert 0 < highest < 0.05


def test_the_same_in_chunks_and_at_once_when_blocks_are_many(large, monkeypatch):
    from xinsar.readers.points import assemble

    wanted = open_points(large)
    lazy = open_points(large, chunks=33_333)
    xr.testing.assert_identical(lazy.compute(), wanted)
    monkeypatch.setattr(assemble, "EAGER_BYTES", 1_000_000)
    xr.testing.assert_identical(open_points(large), wanted)
    table = np.genfromtxt(large, delimiter=",", names=True, usecols=(4, 5, 18), max_rows=2000)
    np.testing.assert_array_equal(wanted.x[:2000], table["easting"])
    np.testing.assert_allclose(wanted.velocity[:2000], table["mean_velocity"] * 1e-3, rtol=1e-6)


def test_velocities_alone_do_not_parse_the_series(tmp_path, monkeypatch):
    """One task per chunk and group of columns; places and rates come without series, ids and the rest."""
    from xinsar.readers.points.text import TextTable

    asked = []
    read = TextTable.read
    monkeypatch.setattr(
        TextTable, "read", lambda self, block, columns: asked.append(columns) or read(self, block, columns)
    )
    lazy = open_points(line_of_sight(tmp_path / L2B, range(6)), chunks=3)
    found = dask.compute(lazy.x.data, lazy.y.data, lazy.velocity.data, scheduler="synchronous")
    assert [sorted(c) for c in asked] == [["easting", "mean_velocity", "mean_velocity_std", "northing"]] * 2
    assert all(len(a) == 6 for a in found)
    asked.clear()
    lazy.displacement.data.compute(scheduler="synchronous")
    assert [sorted(c) for c in asked] == [list(DATES)] * 2


def test_names_of_tasks_follow_the_file(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    first, again, other = (open_points(path, chunks=n).velocity.data.name for n in (2, 2, 3))
    assert first == again != other
    line_of_sight(path, range(4), heading=340.0)
    assert open_points(path, chunks=2).velocity.data.name != first


def test_building_computes_nothing(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    with dask.config.set(scheduler=_raise):
        lazy = open_points(path, chunks=2)
        with pytest.raises(ComputedError):
            lazy.velocity.compute()


@pytest.mark.parametrize("chunks", [None, 5])
def test_saved_as_a_cube_and_opened_again(tmp_path, chunks):
    path = line_of_sight(tmp_path / L2B, range(12))
    eager = quiet(path)
    quiet(path, chunks=chunks).insar.to_cube(tmp_path / "points.zarr", progress=False)
    found = xinsar.open_cube(tmp_path / "points.zarr")
    xr.testing.assert_identical(found.compute(), eager)


def test_components_saved_as_a_cube(tmp_path):
    tile(tmp_path / "a", "E40N28")
    up = quiet(tmp_path / "a" / "EGMS_L3_E40N28_100km_U_2018_2022_1.csv")
    for name, ds in (("both", quiet(tmp_path / "a")), ("up", up)):
        ds.insar.to_cube(tmp_path / f"{name}.zarr", progress=False)
        xr.testing.assert_identical(xinsar.open_cube(tmp_path / f"{name}.zarr").compute(), ds)


def test_hot_spots_of_chunks_are_those_of_the_whole(tmp_path):
    path = pytest.importorskip("benchmarks.egms_file").write(tmp_path / L2B, 3000, seed=2)
    whole = xinsar.getis_ord(open_points(path), 300).hot_spot
    parts = xinsar.getis_ord(open_points(path, chunks=700), 300).hot_spot
    assert parts.chunks is not None
    np.testing.assert_array_equal(parts.values, whole.values)


# ------------------------------------------------------------------------------------------------ in words


def test_description(tmp_path):
    path = line_of_sight(tmp_path / L2B)
    text = describe_points(path)
    for said in (
        "product       EGMS Calibrated (L2b)", "track         44", "orbit         ascending", "points        4",
        "series        3 dates, 2019-01-02 to 2019-01-14", "crs           EPSG:3035", "x             4662111.5 to",
        "velocity                (point)  m year-1  line-of-sight velocity, positive toward the satellite",
    ):  # fmt: skip
        assert said in text
    assert describe_points(quiet(path)) == text
    (tmp_path / "z").mkdir()
    assert describe_points(packed(tmp_path / "z" / L2B.replace(".csv", ".zip"), path)) == text
    up = describe_points(ortho(tmp_path / "b" / "EGMS_L3_E40N28_100km_U.csv", CELLS))
    assert "component     up" in up
    assert "vertical velocity, positive up" in up


def test_importing_loads_nothing_heavy():
    code = "import sys, xinsar.readers.points; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    heavy = {"dask", "pyogrio", "geopandas", "shapely", "pyproj", "rioxarray", "numba"}
    assert not heavy & set(done.stdout.split())


def test_simulated_file_is_like_a_real_one(tmp_path):
    path = pytest.importorskip("benchmarks.egms_file").write(tmp_path / L2B, 50, dates=3, seed=5)
    again = pytest.importorskip("benchmarks.egms_file").write(tmp_path / "again.csv", 50, dates=3, seed=5)
    assert path.read_bytes() == again.read_bytes()
    assert path.read_text().splitlines()[0] == ",".join((LINE_OF_SIGHT, "20190102", "20190108", "20190114"))
    ds = quiet(path)
    assert ds.attrs["orbit_direction"] == "ascending"
    assert np.isfinite(ds.velocity).all()
    assert np.unique(ds.id).size == 50
    np.testing.assert_array_equal(ds.displacement[0], 0)
    np.testing.assert_allclose((ds.los**2).sum("component"), 1, atol=5e-3)
