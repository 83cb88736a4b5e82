"""GAMMA binaries. The files are stand-ins written as GAMMA does (big-endian, text headers), no real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xinsar.readers import gamma_par, open_stack
from xinsar.readers.binary import BinarySource

WAVELENGTH = 0.0555041577
SHAPE = (6, 9)
AWAY = np.linspace(0.001, 0.030, 54).reshape(SHAPE)
"""Metres of motion away from the satellite between the first and the second date."""

DEM_PAR = """Gamma DIFF&GEO DEM/MAP parameter file
title: dem
DEM_projection:     EQA
data_format:        REAL*4
width:                9
nlines:               6
corner_lat:     19.45  decimal degrees
corner_lon:    -99.19  decimal degrees
post_lat:   -0.001  decimal degrees
post_lon:    0.001  decimal degrees
"""

MLI_PAR = """Gamma Interferometric SAR Processor (ISP) - Image Parameter File

title:     stand-in
sensor:    S1A IW IW1 VV
date:      2018 01 06
range_samples:                  8514
azimuth_lines:                  4541
heading:                 -12.2742586   degrees
near_range_slc:           798988.2904  m
center_range_slc:         878314.5356  m
incidence_angle:             39.7036   degrees
radar_frequency:        5.4012620e+09  Hz
sar_to_earth_center:             7073899.1954   m
earth_radius_below_sensor:       6375868.9414   m
"""

BASE_PAR = """initial_baseline(TCN):         -0.1536945       {c}        {n}   m   m   m
initial_baseline_rate:          0.0000000        0.0636107        0.0126167   m/s m/s m/s
precision_baseline(TCN):        0.0000000        0.0000000        0.0000000   m   m   m
unwrap_phase_constant:           -0.00001     radians
"""

BASE_PERP = """ISP Baseline listing of a stand-in

 line   col    slant_range   ...   bpara       bperp       blen

    0     0    798988.290   30.1   34.2   0.0   -1.5   120.0   120.1
    0  8000    957640.780   38.1   43.0   0.0   -2.5   110.0   110.1
"""


def phase() -> np.ndarray:
    return 4 * np.pi / WAVELENGTH * AWAY


@pytest.fixture
def stack(tmp_path) -> Path:
    """Two pairs in map geometry, the second one written later date first."""
    for name, sign in (("20180106-20180118", 1), ("20180130-20180118", -1)):
        values = sign * phase()
        values[0, 0] = 0
        coherence = np.full(SHAPE, 0.7)
        coherence[0, 0] = 0
        wrapped = np.exp(1j * values) * (values != 0)
        (tmp_path / f"{name}_VV_8rlks_eqa.unw").write_bytes(values.astype(">f4").tobytes())
        (tmp_path / f"{name}_VV_8rlks_eqa.cc").write_bytes(coherence.astype(">f4").tobytes())
        (tmp_path / f"{name}_VV_8rlks_eqa.diff").write_bytes(wrapped.astype(">c8").tobytes())
    (tmp_path / "r20180106_VV_8rlks_mli.par").write_text(MLI_PAR)
    (tmp_path / "20180106_VV_8rlks_eqa_dem.par").write_text(DEM_PAR)
    (tmp_path / "20180106-20180118_VV_8rlks_base.par").write_text(BASE_PAR.format(c=40.0, n=4.5))
    (tmp_path / "20180130-20180118.base_perp").write_text(BASE_PERP)
    return tmp_path


def test_motion_away_is_positive_phase(stack):
    ds = open_stack(stack)
    assert ds.attrs["product"] == "gamma_binary"
    expected = phase().astype("f4")
    expected[0, 0] = np.nan
    for k in range(2):
        np.testing.assert_allclose(ds.unwrapped_phase.values[k], expected, rtol=1e-6)
        np.testing.assert_allclose(np.exp(1j * ds.phase.values[k]), np.exp(1j * expected), atol=1e-5)
    toward = -ds.attrs["wavelength"] / (4 * np.pi) * ds.unwrapped_phase.values[0]
    np.testing.assert_allclose(toward[1:], -AWAY[1:], rtol=1e-5)
    assert float(ds.coherence.max()) == pytest.approx(0.7)


def test_dates_baselines_grid_and_track(stack):
    ds = open_stack(stack)
    days = [str(d)[:10] for d in (*ds.reference_time.values, *ds.secondary_time.values)]
    assert days == ["2018-01-06", "2018-01-18", "2018-01-18", "2018-01-30"]
    look = np.arcsin(6375868.9414 / 7073899.1954 * np.sin(np.deg2rad(39.7036)))
    assert ds.perpendicular_baseline.values[0] == pytest.approx(
        40 * np.cos(look) - 4.5 * np.sin(look), rel=2e-3
    )
    assert ds.perpendicular_baseline.values[1] == pytest.approx(-115.0)
    assert ds.rio.crs.to_epsg() == 4326
    np.testing.assert_allclose(ds.x, -99.19 + 0.001 * np.arange(9))
    np.testing.assert_allclose(ds.y, 19.45 - 0.001 * np.arange(6))
    assert ds.attrs["orbit_direction"] == "ascending"
    assert ds.attrs["wavelength"] == pytest.approx(WAVELENGTH, rel=1e-6)
    assert (ds.attrs["incidence"], ds.attrs["slant_range"]) == (39.7036, 878314.5356)


def test_radar_geometry_by_the_pair_s_own_header(tmp_path):
    (tmp_path / "20180106-20180118.off").write_text(
        "title: x\ninterferogram_width: 9\ninterferogram_azimuth_lines: 6\n"
    )
    (tmp_path / "20180106-20180118.unw").write_bytes(phase().astype(">f4").tobytes())
    ds = open_stack(tmp_path / "20180106-20180118.unw")
    np.testing.assert_allclose(ds.unwrapped_phase.values[0], phase(), rtol=1e-6)
    assert "spatial_ref" not in ds.coords


def test_little_endian_files_are_seen(stack):
    for path in stack.glob("*.unw"):
        path.write_bytes(np.fromfile(path, ">f4").astype("<f4").tobytes())
    for path in (*stack.glob("*.cc"), *stack.glob("*.diff")):
        path.unlink()
    assert float(open_stack(stack).unwrapped_phase.max()) == pytest.approx(phase().max(), rel=1e-6)


def test_a_truncated_file_is_named(stack):
    path = stack / "20180106-20180118_VV_8rlks_eqa.unw"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(OSError, match=rf"{path.name}.*lines x samples: 6 x 9.*got 208 bytes.*truncated"):
        open_stack(stack)


def test_a_file_without_dates_is_named(stack):
    (stack / "mean.unw").write_bytes(phase().astype(">f4").tobytes())
    with pytest.raises(ValueError, match=r"mean\.unw: expected two dates"):
        open_stack(stack)


@pytest.mark.parametrize(("c", "n"), [(40.0, 4.5), (-40.0, 4.5), (3.0, 60.0), (-90.0, -20.0)])
def test_baseline_sign_by_geometry(c, n):
    """A target raised by h shows phase -4 pi B h / (wavelength R sin i): ranges computed in the plane."""
    orbit, earth, reach, height = 7073899.1954, 6375868.9414, 878314.5356, 1.0
    base = {"initial_baseline(TCN)": ["0.0", str(c), str(n)]}
    image = {
        "sar_to_earth_center": [str(orbit)],
        "earth_radius_below_sensor": [str(earth)],
        "center_range_slc": [str(reach)],
    }
    first = np.array([0.0, orbit])
    second = first + np.array([c, -n])  # cross-track to the right, normal toward the ground

    def target(radius: float) -> np.ndarray:
        """Point at the given distance from the Earth's centre and the same range from the first satellite."""
        up = (radius**2 + orbit**2 - reach**2) / (2 * orbit)
        return np.array([np.sqrt(radius**2 - up**2), up])

    def difference(point: np.ndarray) -> float:
        return float(np.linalg.norm(second - point) - np.linalg.norm(first - point))

    seen = 4 * np.pi / WAVELENGTH * (difference(target(earth + height)) - difference(target(earth)))
    incidence = np.arccos((orbit**2 - reach**2 - earth**2) / (2 * reach * earth))
    found = gamma_par.perpendicular_baseline(base, image)
    expected = -4 * np.pi / WAVELENGTH * found * height / (reach * np.sin(incidence))
    assert seen == pytest.approx(expected, rel=2e-3)


def test_precise_baseline_goes_first_and_nothing_is_invented(tmp_path):
    path = tmp_path / "a_base.par"
    path.write_text(
        BASE_PAR.format(c=40.0, n=4.5).replace("0.0000000        0.0000000   m", "50.0   4.5   m")
    )
    image = gamma_par.read_par(_written(tmp_path / "mli.par", MLI_PAR))
    precise = gamma_par.perpendicular_baseline(gamma_par.read_par(path), image)
    initial = gamma_par.perpendicular_baseline({"initial_baseline(TCN)": ["0", "50.0", "4.5"]}, image)
    assert precise == initial
    assert precise == pytest.approx(38.3, abs=0.1)
    assert gamma_par.perpendicular_baseline({}, image) is None
    assert gamma_par.perpendicular_baseline(gamma_par.read_par(path), {}) is None
    assert gamma_par.mean_of_base_perp(_written(tmp_path / "x.base_perp", "nothing\n")) is None


def test_utm_header(tmp_path):
    text = (
        "DEM_projection: UTM\nwidth: 4\nnlines: 3\ncorner_north: 4100000.0 m\ncorner_east: 400000.0 m\n"
        "post_north: -20.0 m\npost_east: 20.0 m\nprojection_zone: 11\nfalse_northing: 0.000 m\n"
    )
    grid = gamma_par.map_grid(gamma_par.read_par(_written(tmp_path / "dem_seg.par", text)))
    assert grid is not None
    assert (grid.x, grid.y, grid.dx, grid.dy, grid.crs) == (399990.0, 4100010.0, 20.0, -20.0, "EPSG:32611")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_opening_reads_no_pixel(stack, monkeypatch):
    monkeypatch.setattr(BinarySource, "read", lambda *_: pytest.fail("a pixel was read"))
    assert open_stack(stack).sizes["pair"] == 2
