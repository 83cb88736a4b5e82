"""LiCSBAS: the real Campi Flegrei grids; stand-ins written as LiCSBAS does for what they do not show."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from xinsar.readers import open_stack
from xinsar.readers.binary import BinarySource

WAVELENGTH = 299792458 / 5.405e9
SHAPE = (4, 6)
UP = np.linspace(1.0, 30.0, 24).reshape(SHAPE)
"""Motion toward the satellite in mm per year (or per date)."""

DEM_PAR = """Gamma DIFF&GEO DEM/MAP parameter file
title: DEM
DEM_projection:     EQA
data_format:        REAL*4
width: 6
nlines: 4
corner_lat: 40.9  decimal degrees
corner_lon: 14.0  decimal degrees
post_lat: -0.001 decimal degrees
post_lon: 0.001 decimal degrees
"""
MLI_PAR = "range_samples: 6\nazimuth_lines: 4\nradar_frequency: 5405000000.0 Hz\n"


def flat(path: Path, values: np.ndarray, dtype: str = "<f4") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.asarray(values).astype(dtype).tobytes())


def results(root: Path) -> Path:
    """Stand-in of a TS_GEOCml folder: velocity, its error, the mask and the reference."""
    mask = np.ones(SHAPE)
    mask[0] = 0
    velocity = np.where(mask == 1, UP, UP + 100)
    velocity[3, 5] = np.nan
    flat(root / "results" / "vel", velocity)
    flat(root / "results" / "vel.mskd", np.where(mask == 1, velocity, np.nan))
    flat(root / "results" / "vel.filt.mskd", np.where(mask == 1, velocity + 7, np.nan))
    flat(root / "results" / "vstd", np.full(SHAPE, 0.5))
    flat(root / "results" / "coh_avg", np.full(SHAPE, 0.6))
    flat(root / "results" / "hgt", np.arange(24))
    flat(root / "results" / "mask", mask)
    flat(root / "results" / "n_unw", np.full(SHAPE, 500))
    (root / "info").mkdir()
    (root / "info" / "EQA.dem_par").write_text(DEM_PAR)
    (root / "info" / "13parameters.txt").write_text("wavelength:     0.0554\nref_area:       2:3/1:2\n")
    (root / "info" / "16ref.txt").write_text("4:5/2:3\n")
    return root


def expected() -> np.ndarray:
    out = UP.copy()
    out[0] = out[3, 5] = np.nan
    return out


def series(path: Path, *, mapped: bool = True) -> Path:
    """Stand-in of a cum.h5: cumulative displacement in mm, first date zero."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["imdates"] = np.array([20200101, 20200113, 20200125], "i4")
        cum = np.arange(3)[:, None, None] * UP
        cum[:, 3, 5] = np.nan
        file["cum"] = cum.astype("f4")
        file["vel"] = UP.astype("f4")
        file["hgt"] = np.arange(24.0, dtype="f4").reshape(SHAPE)
        for name, value in zip("ENU", (0.6, -0.1, 0.79), strict=True):
            file[f"{name}.geo"] = np.full(SHAPE, value, "f4")
        file["slc.mli"] = np.ones(SHAPE, "f4")
        file["refarea"] = "2:3/1:2"
        if mapped:
            for name, value in (("lat", 40.9), ("lon", 14.0)):
                file[f"corner_{name}"] = value
                file[f"post_{name}"] = -0.001 if name == "lat" else 0.001
    return path


def interferograms(root: Path, coherence: str) -> Path:
    """Stand-in of a GEOCml folder: ground rising toward the satellite, so that phase falls."""
    phase = -4 * np.pi / WAVELENGTH * UP * 1e-3
    phase[0, 0] = 0
    for name, sign in (("20200101_20200113", 1), ("20200113_20200125", 1)):
        flat(root / name / f"{name}.unw", sign * phase)
        cc = np.where(phase == 0, 0, 0.6)
        flat(root / name / f"{name}.cc", *((cc * 255, "u1") if coherence == "u1" else (cc, "<f4")))
    for name, value in zip("ENU", (0.6, -0.1, 0.79), strict=True):
        flat(root / f"{name}.geo", np.full(SHAPE, value))
    flat(root / "hgt", np.arange(24))
    (root / "EQA.dem_par").write_text(DEM_PAR)
    (root / "slc.mli.par").write_text(MLI_PAR)
    (root / "baselines").write_text("20200101 20200113 50.0 12.0\n20200101 20200125 20.0 24.0\n")
    return root


def test_uplift_is_positive_velocity(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = open_stack(results(tmp_path / "TS_GEOCml1"))
    assert ds.attrs["product"] == "licsbas"
    np.testing.assert_allclose(ds.velocity, expected() * 1e-3, rtol=1e-6)
    assert np.nanmin(ds.velocity.values) > 0
    np.testing.assert_allclose(ds.velocity_sigma, 0.5e-3, rtol=1e-6)
    np.testing.assert_allclose(ds.mean_coherence, 0.6, rtol=1e-6)
    np.testing.assert_array_equal(ds.elevation, np.arange(24).reshape(SHAPE))


def test_the_mask_stands_in_for_the_masked_velocity(tmp_path):
    root = results(tmp_path)
    (root / "results" / "vel.mskd").unlink()
    np.testing.assert_allclose(open_stack(root).velocity, expected() * 1e-3, rtol=1e-6)


def test_any_velocity_opens_alone_with_its_own_reference(tmp_path):
    root = results(tmp_path)
    filtered = open_stack(root / "results" / "vel.filt.mskd")
    np.testing.assert_allclose(filtered.velocity, (expected() + 7) * 1e-3, rtol=1e-6)
    plain = open_stack(root / "results" / "vel")
    assert float(plain.velocity[0, 0]) == pytest.approx(0.101)
    corner = np.array([13.9995, 40.9005])
    for ds, (col, row) in ((plain, (2, 1)), (filtered, (4, 2))):
        west, south, east, north = ds.attrs["reference"]
        np.testing.assert_allclose([west, north], corner + np.array([0.001 * col, -0.001 * row]))
        np.testing.assert_allclose([east - west, north - south], 0.001)


def test_the_corner_of_the_header_is_a_pixel_centre(tmp_path):
    ds = open_stack(results(tmp_path))
    np.testing.assert_allclose(ds.x, 14.0 + 0.001 * np.arange(6))
    np.testing.assert_allclose(ds.y, 40.9 - 0.001 * np.arange(4))
    assert ds.rio.crs.to_epsg() == 4326
    assert ds.attrs["wavelength"] == 0.0554


def test_series_is_positive_toward(tmp_path):
    ds = open_stack(series(tmp_path / "021D_04972_131213" / "cum.h5"))
    want = UP.copy()
    want[3, 5] = np.nan
    for k in range(3):
        np.testing.assert_allclose(ds.displacement.values[k], k * want * 1e-3, rtol=1e-6)
    np.testing.assert_allclose(ds.velocity, UP * 1e-3, rtol=1e-6)
    np.testing.assert_allclose(ds.los.values[:, 0, 0], [0.6, -0.1, 0.79], rtol=1e-6)
    np.testing.assert_allclose(ds.x, 14.0 + 0.001 * np.arange(6))
    assert [str(d)[:10] for d in ds.time.values] == ["2020-01-01", "2020-01-13", "2020-01-25"]
    assert ds.attrs["track"] == "021D_04972_131213"
    assert ds.attrs["orbit_direction"] == "descending"
    np.testing.assert_allclose(ds.attrs["reference"], [14.0015, 40.8985, 14.0025, 40.8995])


def test_series_in_radar_geometry_and_damaged_dates(tmp_path):
    path = series(tmp_path / "cum.h5", mapped=False)
    assert "spatial_ref" not in open_stack(path).coords
    with h5py.File(path, "r+") as file:
        file["imdates"][1] = 20201399
    with pytest.raises(ValueError, match=r"cum\.h5: expected imdates as YYYYMMDD, got 20201399"):
        open_stack(path)


def test_the_unfiltered_series_goes_first(tmp_path):
    series(tmp_path / "cum.h5")
    with h5py.File(series(tmp_path / "cum_filt.h5"), "r+") as file:
        file["cum"][:] += 1
    assert float(open_stack(tmp_path).displacement[0, 0, 0]) == 0
    assert float(open_stack(tmp_path / "cum_filt.h5").displacement[0, 0, 0]) == pytest.approx(1e-3)


@pytest.mark.parametrize("coherence", ["u1", "<f4"])
def test_interferograms_are_positive_away(tmp_path, coherence):
    ds = open_stack(interferograms(tmp_path / "GEOCml1", coherence))
    toward = -ds.attrs["wavelength"] / (4 * np.pi) * ds.unwrapped_phase.values
    want = UP * 1e-3
    want[0, 0] = np.nan
    np.testing.assert_allclose(toward[0], want, rtol=1e-5)
    np.testing.assert_allclose(ds.coherence.values[1, 1:], 0.6, atol=1 / 255)
    np.testing.assert_allclose(ds.perpendicular_baseline, [50.0, -30.0])
    np.testing.assert_allclose(ds.los.values[:, 0, 0], [0.6, -0.1, 0.79], rtol=1e-6)


def test_invented_baselines_are_left_out(tmp_path):
    root = interferograms(tmp_path / "GEOCml1", "u1")
    (root / "baselines").write_text(
        "  0 20200101 20200113  0.71   12 0   12 0  0.71\n  1 20200101 20200125 -0.80   24 0   24 0 -0.80\n"
    )
    assert "perpendicular_baseline" not in open_stack(root).coords


def test_a_whole_run_opens_as_one_cube(tmp_path):
    interferograms(tmp_path / "GEOCml1", "u1")
    series(results(tmp_path / "TS_GEOCml1") / "cum.h5")
    ds = open_stack(tmp_path)
    assert {"unwrapped_phase", "coherence", "displacement", "velocity", "los", "elevation"} <= set(
        ds.data_vars
    )
    np.testing.assert_allclose(ds.velocity, expected() * 1e-3, rtol=1e-6)
    assert dict(ds.sizes) == {"pair": 2, "time": 3, "component": 3, "y": 4, "x": 6}


def test_damaged_files_are_named(tmp_path):
    root = results(tmp_path)
    path = root / "results" / "vstd"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(OSError, match=r"vstd: the file is truncated: expected 96 bytes.*got 92"):
        open_stack(root)
    (root / "info" / "EQA.dem_par").write_text("width: 6\n")
    with pytest.raises(ValueError, match=r"EQA\.dem_par: expected width, nlines"):
        open_stack(root)


def test_opening_reads_no_pixel(tmp_path, monkeypatch):
    results(tmp_path)
    monkeypatch.setattr(BinarySource, "read", lambda *_: pytest.fail("a pixel was read"))
    assert open_stack(tmp_path).velocity.shape == SHAPE


@pytest.mark.real
def test_campi_flegrei(real_data):
    folder = real_data("campi-flegrei-licsbas")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = open_stack(folder)
    assert set(ds.data_vars) == {"velocity", "velocity_sigma", "mean_coherence", "elevation"}
    velocity = ds.velocity.values * 1e3
    assert velocity.shape == (121, 191)
    assert np.isfinite(velocity).mean() == pytest.approx(0.675, abs=5e-4)
    np.testing.assert_allclose(np.nanpercentile(velocity, [1, 50, 99]), [-35, -23, 35], atol=0.5)
    assert 35 < np.nanmax(velocity) < 51
    raw = np.fromfile(folder / "results" / "vel.mskd", "<f4").reshape(121, 191)
    np.testing.assert_allclose(velocity, raw, rtol=1e-6)
    row, col = np.unravel_index(np.nanargmax(velocity), velocity.shape)
    assert (float(ds.x[col]), float(ds.y[row])) == pytest.approx((14.14, 40.82), abs=0.01)  # Pozzuoli
    assert ds.attrs["wavelength"] == pytest.approx(0.0554657647)


@pytest.mark.real
def test_campi_flegrei_reference_is_still(real_data):
    ds = open_stack(real_data("campi-flegrei-licsbas"))
    west, south, east, north = ds.attrs["reference"]
    area = ds.velocity.sel(x=slice(west, east), y=slice(north, south))
    assert area.shape == (1, 1)
    assert float(area[0, 0]) == 0.0
    assert float(ds.x[0]) == pytest.approx(14.02994, abs=1e-5)
    assert float(ds.y[0]) == pytest.approx(40.89967, abs=1e-5)
