"""ROI_PAC. The files are stand-ins written as ROI_PAC does (two-band BIL, .rsc each), no real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xinsar.readers import open_stack
from xinsar.readers.binary import BinarySource

WAVELENGTH = 0.0562356424
SHAPE = (5, 8)
AWAY = np.linspace(0.002, 0.040, 40).reshape(SHAPE)
"""Metres of motion away from the satellite between the earlier and the later date."""
PHASE = 4 * np.pi / WAVELENGTH * AWAY

RSC = f"""WIDTH                                    8
FILE_LENGTH                              5
XMIN                                     0
WAVELENGTH                               {WAVELENGTH}
HEADING_DEG                              190.5
PLATFORM                                 Envisat
"""
GEO = """X_FIRST                                  -116.0
Y_FIRST                                  33.0
X_STEP                                   0.002
Y_STEP                                   -0.002
X_UNIT                                   degrees
Y_UNIT                                   degrees
"""


def write(path: Path, values: np.ndarray, rsc: str = RSC + GEO) -> None:
    path.write_bytes(values.tobytes())
    Path(f"{path}.rsc").write_text(rsc)


def two_bands(amplitude: float, values: np.ndarray) -> np.ndarray:
    """Amplitude and value in alternate lines, little-endian."""
    lines = [line for row in values for line in (np.full(SHAPE[1], amplitude), row)]
    return np.array(lines, "<f4")


@pytest.fixture
def stack(tmp_path) -> Path:
    gap = np.ones(SHAPE)
    gap[2, 3] = 0
    for name, sign in (("100105-100209", 1), ("100316-100209", -1)):
        write(tmp_path / f"geo_{name}.unw", two_bands(900.0, sign * PHASE * gap))
        write(tmp_path / f"geo_{name}.cor", two_bands(900.0, 0.6 * gap))
        write(tmp_path / f"geo_{name}.int", (700 * gap * np.exp(1j * sign * PHASE)).astype("<c8"))
    write(tmp_path / "geo_dem.dem", np.arange(40, dtype="<i2").reshape(SHAPE))
    (tmp_path / "100105_100209_baseline.rsc").write_text(
        "P_BASELINE_TOP_HDR 100.0\nP_BASELINE_BOTTOM_HDR 104.0\n"
    )
    (tmp_path / "100316_100209_baseline.rsc").write_text(
        "P_BASELINE_TOP_HDR -60.0\nP_BASELINE_BOTTOM_HDR -64.0\n"
    )
    return tmp_path


def test_motion_away_is_positive_phase(stack):
    ds = open_stack(stack)
    assert ds.attrs["product"] == "roipac"
    expected = PHASE.astype("f4")
    expected[2, 3] = np.nan
    for k in range(2):
        np.testing.assert_allclose(ds.unwrapped_phase.values[k], expected, rtol=1e-6)
        np.testing.assert_allclose(np.exp(1j * ds.phase.values[k]), np.exp(1j * expected), atol=1e-5)
    toward = -ds.attrs["wavelength"] / (4 * np.pi) * ds.unwrapped_phase.values[0]
    np.testing.assert_allclose(toward[3:], -AWAY[3:], rtol=1e-5)


def test_what_else_the_files_hold(stack):
    ds = open_stack(stack)
    days = [str(d)[:10] for d in (*ds.reference_time.values, *ds.secondary_time.values)]
    assert days == ["2010-01-05", "2010-02-09", "2010-02-09", "2010-03-16"]
    np.testing.assert_allclose(ds.perpendicular_baseline, [102.0, 62.0])
    assert float(ds.coherence.max()) == pytest.approx(0.6)
    np.testing.assert_array_equal(ds.elevation, np.arange(40).reshape(SHAPE))
    np.testing.assert_allclose(ds.x, -116.0 + 0.002 * (np.arange(8) + 0.5))
    np.testing.assert_allclose(ds.y, 33.0 - 0.002 * (np.arange(5) + 0.5))
    assert ds.attrs["wavelength"] == WAVELENGTH
    assert ds.attrs["heading"] == pytest.approx(-169.5)
    assert (ds.attrs["orbit_direction"], ds.attrs["sensor"]) == ("descending", "Envisat")


def test_radar_geometry_and_eight_digit_dates(tmp_path):
    write(tmp_path / "filt_20100105-20100209.unw", two_bands(1.0, PHASE), RSC)
    ds = open_stack(tmp_path)
    assert "spatial_ref" not in ds.coords
    assert str(ds.secondary_time.values[0])[:10] == "2010-02-09"
    np.testing.assert_allclose(ds.unwrapped_phase.values[0], PHASE, rtol=1e-6)


def test_dates_of_the_header_and_a_single_band(tmp_path):
    write(
        tmp_path / "filt.cor",
        np.full(SHAPE, 0.4, "<f4"),
        RSC + "DATE12 100105-100209\nP_BASELINE_TOP_HDR 7\nP_BASELINE_BOTTOM_HDR 9\n",
    )
    ds = open_stack(tmp_path)
    assert ds.perpendicular_baseline.values.tolist() == [8.0]
    np.testing.assert_allclose(ds.coherence.values[0], 0.4, rtol=1e-6)


def test_utm_zones(tmp_path):
    geo = GEO.replace("degrees", "meters").replace("-116.0", "400000").replace("33.0", "3700000")
    geo = geo.replace("0.002", "20")
    write(tmp_path / "100105-100209.unw", two_bands(1.0, PHASE), RSC + geo + "PROJECTION UTM11\n")
    assert open_stack(tmp_path).rio.crs.to_epsg() == 32611


def test_damaged_files_are_named(stack):
    path = stack / "geo_100105-100209.unw"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OSError, match=rf"{path.name}.*truncated.*expected 320 bytes.*got 280"):
        open_stack(stack)
    Path(f"{path}.rsc").write_text("WIDTH 8\n")
    with pytest.raises(ValueError, match=rf"{path.name}\.rsc: expected WIDTH and FILE_LENGTH"):
        open_stack(stack)


def test_a_file_without_dates_is_named(tmp_path):
    write(tmp_path / "mean.unw", two_bands(1.0, PHASE))
    with pytest.raises(ValueError, match=r"mean\.unw: expected two dates.*DATE12"):
        open_stack(tmp_path)


def test_the_same_pair_twice_is_refused(stack):
    write(stack / "filt_100105-100209.unw", two_bands(1.0, PHASE))
    with pytest.raises(ValueError, match=r"expected one unwrapped_phase.*filt_100105-100209\.unw"):
        open_stack(stack)


def test_opening_reads_no_pixel(stack, monkeypatch):
    monkeypatch.setattr(BinarySource, "read", lambda *_: pytest.fail("a pixel was read"))
    assert open_stack(stack).sizes["pair"] == 2
