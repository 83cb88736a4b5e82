"""MintPy HDF5: the real Kirishima and Coso maps; stand-ins after MintPy's documentation for the rest."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xinsar.readers import open_stack
from xinsar.readers.hdf5 import HDF5Source

WAVELENGTH = 0.0554658
DAYS = ("20200101", "20200113", "20200125")
SHAPE = (5, 7)
AWAY = np.linspace(0.001, 0.020, 35).reshape(SHAPE)
"""Metres per 12 days of motion away from the satellite."""

ATTRS = {
    "WAVELENGTH": str(WAVELENGTH), "HEADING": "-12.5", "ORBIT_DIRECTION": "ASCENDING", "PLATFORM": "Sen",
    "LENGTH": "5", "WIDTH": "7", "X_FIRST": "-118.0", "Y_FIRST": "36.0", "X_STEP": "0.001",
    "Y_STEP": "-0.001", "X_UNIT": "degrees", "Y_UNIT": "degrees", "REF_Y": "1", "REF_X": "2",
    "CENTER_LINE_UTC": "6634.0",
    "startRange": "800000.0", "endRange": "950000.0",
}  # fmt: skip


def write(path: Path, kind: str, attrs: dict[str, str] | None = None, **datasets: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update({**ATTRS, **(attrs or {}), "FILE_TYPE": kind})
        for name, values in datasets.items():
            file[name] = values
    return path


def stack(folder: Path, **attrs: str) -> Path:
    """Three pairs; the last one is dropped. The first column was not measured: zero everywhere."""
    pairs = [(0, 1), (1, 2), (0, 2)]
    phase = np.array([(j - i) * 4 * np.pi / WAVELENGTH * AWAY for i, j in pairs], "f4")
    coherence = np.full(phase.shape, 0.8, "f4")
    phase[:, :, 0] = coherence[:, :, 0] = 0
    phase[0, 1, 2] = 0  # the reference pixel: measured, and exactly 0
    return write(
        folder / "ifgramStack.h5",
        "ifgramStack",
        attrs,
        date=np.array([[DAYS[i], DAYS[j]] for i, j in pairs], "S8"),
        bperp=np.array([30.0, -10.0, 20.0], "f4"),
        dropIfgram=np.array([True, True, False]),
        unwrapPhase=phase,
        wrapPhase=np.angle(np.exp(1j * phase)).astype("f4"),
        coherence=coherence,
        connectComponent=np.ones(phase.shape, "i2"),
    )


def series(folder: Path, name: str = "timeseries.h5", reference: int = 1) -> Path:
    """Displacement of a sinking ground (away: negative), zero at MintPy's reference date."""
    steps = np.arange(3) - reference
    values = (-steps[:, None, None] * AWAY).astype("f4")
    values[:, :, 0] = 0
    return write(
        folder / name,
        "timeseries",
        {"REF_DATE": DAYS[reference]},
        date=np.array(DAYS, "S8"),
        bperp=np.zeros(3, "f4"),
        timeseries=values,
    )


def measured(values: np.ndarray) -> np.ndarray:
    out = np.array(values, "f4")
    out[..., 0] = np.nan
    return out


def test_motion_away_is_positive_phase(tmp_path):
    ds = open_stack(stack(tmp_path))
    assert ds.attrs["product"] == "mintpy"
    expected = measured(4 * np.pi / WAVELENGTH * AWAY)
    expected_first = expected.copy()
    expected_first[1, 2] = 0
    np.testing.assert_allclose(ds.unwrapped_phase.values[0], expected_first, rtol=1e-6)
    np.testing.assert_allclose(ds.unwrapped_phase.values[1], expected, rtol=1e-6)
    np.testing.assert_allclose(np.exp(1j * ds.phase.values[1]), np.exp(1j * expected), atol=1e-5)


def test_dropifgram_true_is_kept(tmp_path):
    path = stack(tmp_path)
    ds = open_stack(path)
    assert ds.sizes["pair"] == 2
    assert [str(d)[:10] for d in ds.secondary_time.values] == ["2020-01-13", "2020-01-25"]
    np.testing.assert_allclose(ds.perpendicular_baseline, [30, -10])
    with h5py.File(path, "r+") as file:
        file["dropIfgram"][:] = False
    with pytest.raises(ValueError, match=r"ifgramStack\.h5: dropIfgram is False for all 3 pairs"):
        open_stack(path)


@pytest.mark.parametrize("reference", [0, 1, 2])
def test_motion_away_is_negative_displacement_from_the_first_date_on(tmp_path, reference):
    ds = open_stack(series(tmp_path, reference=reference))
    assert ds.displacement.dims == ("time", "y", "x")
    assert [str(d)[:10] for d in ds.time.values] == ["2020-01-01", "2020-01-13", "2020-01-25"]
    for k in range(3):
        np.testing.assert_allclose(ds.displacement.values[k], measured(-k * AWAY), atol=1e-8)


def test_phase_and_displacement_agree(tmp_path):
    one, two = open_stack(stack(tmp_path / "a")), open_stack(series(tmp_path / "b"))
    toward = -one.attrs["wavelength"] / (4 * np.pi) * one.unwrapped_phase.values[1]
    np.testing.assert_allclose(toward, (two.displacement[2] - two.displacement[1]).values, rtol=1e-4)


def test_velocity_and_its_error(tmp_path):
    rate = -AWAY / 12 * 365.25
    path = write(
        tmp_path / "velocity.h5", "velocity", velocity=rate.astype("f4"), velocityStd=np.full(SHAPE, 1e-3)
    )
    ds = open_stack(path)
    np.testing.assert_allclose(ds.velocity, rate, rtol=1e-6)
    assert (ds.velocity.values < 0).all()
    assert ds.velocity.attrs["units"] == "m year-1"
    np.testing.assert_allclose(ds.velocity_sigma, 1e-3, rtol=1e-6)


@pytest.mark.parametrize("heading", [-12.5, -167.0])
def test_look_vector_points_from_the_ground_to_the_satellite(tmp_path, heading):
    """MintPy's azimuth of a right-looking satellite is 90 - heading; compared with the heading's vector."""
    incidence = np.linspace(30, 45, 35).reshape(SHAPE)
    azimuth = np.full(SHAPE, 90 - heading)
    incidence[0, 0] = azimuth[0, 0] = 0
    path = write(
        tmp_path / "geometryGeo.h5",
        "geometry",
        incidenceAngle=incidence,
        azimuthAngle=azimuth,
        height=np.ones(SHAPE),
    )
    ds = open_stack(path)
    i, a = np.deg2rad(incidence), np.deg2rad(heading)
    expected = np.array([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])
    expected[:, 0, 0] = np.nan
    np.testing.assert_allclose(ds.los, expected, atol=1e-6)
    assert list(ds.component.values) == ["east", "north", "up"]
    assert (np.sign(ds.los.values[0, 1, 1]) < 0) == (abs(heading) < 90)


def test_grid_reference_and_track(tmp_path):
    ds = open_stack(stack(tmp_path, trackNumber="64"))
    np.testing.assert_allclose(ds.x, -118.0 + 0.001 * (np.arange(7) + 0.5))
    np.testing.assert_allclose(ds.y, 36.0 - 0.001 * (np.arange(5) + 0.5))
    assert ds.rio.crs.to_epsg() == 4326
    np.testing.assert_allclose(ds.attrs["reference"], [float(ds.x[2]), float(ds.y[1])])
    assert ds.attrs["slant_range"] == 875000.0
    assert (ds.attrs["track"], ds.attrs["orbit_direction"], ds.attrs["heading"]) == (64, "ascending", -12.5)


@pytest.mark.parametrize(
    ("attrs", "epsg"), [({"EPSG": "32611"}, 32611), ({"UTM_ZONE": "33S"}, 32733), ({}, None)]
)
def test_metric_grids(tmp_path, attrs, epsg):
    metric = {"X_UNIT": "meters", "X_FIRST": "400000", "Y_FIRST": "4000000", "X_STEP": "30", "Y_STEP": "-30"}
    ds = open_stack(stack(tmp_path, **metric, **attrs))
    if epsg is None:
        assert ds.x.attrs["units"] == "m"
        assert "spatial_ref" not in ds.coords
    else:
        assert ds.rio.crs.to_epsg() == epsg


def test_radar_geometry(tmp_path):
    path = stack(tmp_path / "inputs")
    geometry = write(tmp_path / "inputs" / "geometryRadar.h5", "geometry", latitude=np.full(SHAPE, 36.0),
                     longitude=np.full(SHAPE, -118.0), height=np.ones(SHAPE))  # fmt: skip
    for name in (path, geometry):
        with h5py.File(name, "r+") as file:
            for key in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP", "X_UNIT", "Y_UNIT"):
                del file.attrs[key]
    ds = open_stack(tmp_path)
    assert {"latitude", "longitude"} <= set(ds.coords)
    assert "elevation" in ds
    assert "spatial_ref" not in ds.coords


def test_the_most_corrected_series_opens_and_is_named(tmp_path):
    for name in ("timeseries.h5", "timeseries_ERA5_demErr.h5", "timeseriesResidual.h5"):
        series(tmp_path, name)
    with pytest.warns(UserWarning, match=r"displacement was read from timeseries_ERA5_demErr\.h5, not from"):
        ds = open_stack(tmp_path)
    assert ds.sizes["time"] == 3


def test_a_processing_folder_opens_as_one_cube(tmp_path):
    stack(tmp_path / "inputs")
    series(tmp_path)
    write(tmp_path / "velocity.h5", "velocity", velocity=AWAY, velocityStd=AWAY)
    write(tmp_path / "temporalCoherence.h5", "temporalCoherence", temporalCoherence=np.full(SHAPE, 0.9))
    write(tmp_path / "avgSpatialCoh.h5", "coherence", coherence=np.full(SHAPE, 0.7))
    write(tmp_path / "maskTempCoh.h5", "mask", mask=np.ones(SHAPE, bool))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = open_stack(tmp_path)
    assert set(ds.data_vars) == {
        "unwrapped_phase", "phase", "coherence", "displacement", "velocity", "velocity_sigma",
        "temporal_coherence", "mean_coherence",
    }  # fmt: skip


def test_opening_reads_no_pixel(tmp_path, monkeypatch):
    stack(tmp_path)
    series(tmp_path)
    monkeypatch.setattr(HDF5Source, "read", lambda *_: pytest.fail("a pixel was read"))
    assert open_stack(tmp_path).sizes["pair"] == 2


def test_damaged_files_are_named(tmp_path):
    path = stack(tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(OSError, match=r"ifgramStack\.h5: not a readable HDF5 file"):
        open_stack(tmp_path)


@pytest.mark.real
def test_kirishima(real_data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = open_stack(real_data("kirishima-alos2-mintpy"))
    assert set(ds.data_vars) == {"velocity", "velocity_sigma", "temporal_coherence", "elevation"}
    assert dict(ds.sizes) == {"y": 541, "x": 541}
    velocity = ds.velocity.values
    assert np.isfinite(velocity).mean() == pytest.approx(0.996, abs=1e-3)
    np.testing.assert_allclose(np.nanpercentile(velocity, [1, 50, 99]) * 1e3, [-5.6, 0.3, 10.0], atol=0.05)
    assert (np.nanmin(velocity) * 1e3, np.nanmax(velocity) * 1e3) == pytest.approx((-56, 52), abs=0.5)
    assert velocity[181, 179] * 1e3 == pytest.approx(47, abs=0.5)
    crater = velocity[364:377, 338:353]
    assert (np.nanmin(crater), np.nanmax(crater)) == (np.nanmin(velocity), np.nanmax(velocity))
    elevation = ds.elevation.values
    assert (np.nanmin(elevation), np.nanmax(elevation)) == pytest.approx((414, 1730), abs=0.6)
    assert 0 < np.nanmin(ds.temporal_coherence.values) <= np.nanmax(ds.temporal_coherence.values) <= 1


@pytest.mark.real
def test_kirishima_place_and_track(real_data):
    ds = open_stack(real_data("kirishima-alos2-mintpy"))
    assert float(ds.x[0]) - 0.000185185 / 2 == pytest.approx(130.8199, abs=5e-5)
    assert float(ds.y[0]) + 0.000185185 / 2 == pytest.approx(31.9801, abs=5e-5)
    assert ds.rio.crs.to_epsg() == 4326
    assert ds.attrs["wavelength"] == 0.2384035
    assert ds.attrs["orbit_direction"] == "descending"
    assert ds.attrs["heading"] == pytest.approx(-169.6, abs=0.05)
    assert ds.attrs["track"] == 23
    np.testing.assert_allclose(ds.attrs["reference"], [130.85, 31.91593], atol=1e-5)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "valid", "orbit"), [("a064", 0.983, "ascending"), ("d071", 0.995, "descending")]
)
def test_coso_tracks_open_alone(real_data, name, valid, orbit):
    ds = open_stack(real_data("coso-ridgecrest-asc-desc") / f"{name}_velocity.h5")
    assert ds.velocity.shape == (541, 841)
    assert np.isfinite(ds.velocity.values).mean() == pytest.approx(valid, abs=1e-3)
    assert float(ds.x[0]) == pytest.approx(-118.10125 + 0.000833333 / 2)
    assert float(ds.y[0]) == pytest.approx(36.25125 - 0.000833333 / 2)
    assert ds.attrs["orbit_direction"] == orbit
    np.testing.assert_allclose(ds.attrs["reference"], [-117.765, 35.80833], atol=1e-5)
    sinking = ds.velocity.sel(x=-117.802, y=36.028, method="nearest")
    assert float(sinking) < -0.008


@pytest.mark.real
def test_coso_sinks_seen_from_both_sides(real_data):
    """East and up from the two tracks with the look vectors of PROVENANCE.md: the known sinking comes out."""
    folder = real_data("coso-ridgecrest-asc-desc")
    place = {"x": -117.802, "y": 36.028, "method": "nearest"}
    seen = [float(open_stack(folder / f"{n}_velocity.h5").velocity.sel(**place)) for n in ("a064", "d071")]
    east, up = np.linalg.solve([[-0.626, 0.772], [0.653, 0.749]], seen) * 1e3
    assert up == pytest.approx(-15.6, abs=0.5)
    assert abs(east) < 4.5


@pytest.mark.real
def test_coso_folder_holds_two_tracks(real_data):
    with pytest.raises(ValueError, match=r"a064_velocity\.h5.*d071_velocity\.h5.*product="):
        open_stack(real_data("coso-ridgecrest-asc-desc"))
