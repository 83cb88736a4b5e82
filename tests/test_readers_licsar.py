"""LiCSAR frames. No real frame is at hand: the files are stand-ins, as the producer describes them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from xinsar.readers import open_stack

FRAME = "021D_04972_131213"
SHAPE = (5, 6)
WAVELENGTH = 0.0554657647


def write_tif(path, values, *, west=14.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype}
    transform = rasterio.Affine(0.001, 0.0, west, 0.0, -0.001, 41.0)
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=transform, **profile) as file:
        file.write(values, 1)


def los(heading=-169.9, incidence=39.0):
    a, i = np.deg2rad(heading), np.deg2rad(incidence)
    return -np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)


def write_pair(frame, pair, *, metres_away=0.01, coherence=None):
    phase = np.full(SHAPE, 4 * np.pi / WAVELENGTH * metres_away, "f4")
    phase[0] = 0.0
    if coherence is None:
        coherence = np.full(SHAPE, 102, "u1")
        coherence[0] = 0
    write_tif(frame / "interferograms" / pair / f"{pair}.geo.unw.tif", phase)
    write_tif(frame / "interferograms" / pair / f"{pair}.geo.cc.tif", coherence)
    wrapped = np.angle(np.exp(1j * phase)).astype("f4")
    write_tif(frame / "interferograms" / pair / f"{pair}.geo.diff_pha.tif", wrapped)
    write_tif(frame / "interferograms" / pair / f"{pair}.geo.diff_unfiltered_pha.tif", wrapped + 0.1)


@pytest.fixture
def frame(tmp_path):
    folder = tmp_path / FRAME
    for pair in ("20200101_20200113", "20200113_20200125"):
        write_pair(folder, pair)
    for name, value in zip("ENU", los(), strict=True):
        write_tif(folder / "metadata" / f"{FRAME}.geo.{name}.tif", np.full(SHAPE, value, "f4"))
    height = np.full(SHAPE, 321.0, "f4")
    height[0] = 0.0
    write_tif(folder / "metadata" / f"{FRAME}.geo.hgt.tif", height)
    write_tif(folder / "metadata" / f"{FRAME}.geo.mli.tif", height)
    (folder / "metadata" / "metadata.txt").write_text(
        "primary=20200113\ncenter_time=05:03:01.1\nheading=-169.9\navg_incidence_angle=39.0\n"
        "centre_range_m=878000.0\n"
    )
    (folder / "metadata" / "baselines").write_text(
        "20200113 20200101 30.0 -12.0\n20200113 20200125 -20.5 12.0\n"
    )
    return folder


def test_frame(frame):
    ds = open_stack(frame)
    assert set(ds.data_vars) == {"phase", "unwrapped_phase", "coherence", "los", "elevation"}
    assert dict(ds.sizes) == {"pair": 2, "y": 5, "x": 6, "component": 3}
    assert ds.attrs["track"] == FRAME
    assert ds.attrs["orbit_direction"] == "descending"
    assert ds.attrs["heading"] == pytest.approx(-169.9)
    assert ds.attrs["incidence"] == 39.0
    assert ds.attrs["slant_range"] == 878000.0
    assert ds.attrs["wavelength"] == WAVELENGTH
    assert ds.rio.crs.to_epsg() == 4326
    assert ds.x[0] == pytest.approx(14.0005)


def test_bytes_become_coherence_and_zero_is_missing(frame):
    ds = open_stack(frame)
    np.testing.assert_allclose(ds.coherence[:, 1:], 0.4, rtol=1e-6)
    for name in ("coherence", "unwrapped_phase", "phase"):
        assert ds[name][:, 0].isnull().all()
        assert ds[name][:, 1:].notnull().all()
    assert ds.elevation[0].isnull().all()
    assert (ds.elevation[1:] == 321).all()


def test_float_coherence_of_older_frames_stays(frame):
    """A float file is 0..1 already, however small its values; a zero phase with coherence is kept."""
    coherence = np.full(SHAPE, 0.0039, "f4")
    write_pair(frame, "20200125_20200206", coherence=coherence)
    with pytest.warns(UserWarning, match="1 of 3 pairs have no perpendicular baseline"):
        ds = open_stack(frame)
    np.testing.assert_allclose(ds.coherence[2], 0.0039, rtol=1e-5)
    assert (ds.unwrapped_phase[2, 0] == 0).all()


def test_sinking_ground_is_positive_phase(frame):
    """1 cm away from the satellite in each pair; toward it is minus lambda/4pi times phase."""
    ds = open_stack(frame)
    toward = -WAVELENGTH / (4 * np.pi) * ds.unwrapped_phase[:, 1:]
    np.testing.assert_allclose(toward, -0.01, rtol=1e-5)
    east, north, up = ds.los[:, 2, 2].values
    sinking = 0.01 / up * np.array([0.0, 0.0, -1.0])
    assert sinking @ [east, north, up] == pytest.approx(float(toward[0, 1, 1]), rel=1e-4)
    assert east > 0, "a descending right-looking satellite sees the ground from the east"
    assert ds.los.component.values.tolist() == ["east", "north", "up"]
    np.testing.assert_allclose((ds.los**2).sum("component"), 1.0, rtol=1e-5)


def test_baselines_of_four_columns(frame):
    ds = open_stack(frame)
    np.testing.assert_allclose(ds.perpendicular_baseline, [-30.0, -20.5])


def test_baselines_of_nine_columns(frame):
    (frame / "metadata" / "baselines").write_text(
        "1 20200101 20200113 96.6 12.0 -12.0 0.0 34.2 130.9\n"
        "2 20200113 20200125 32.4 12.0 0.0 12.0 130.9 163.3\nbroken line\n"
    )
    np.testing.assert_allclose(open_stack(frame).perpendicular_baseline, [96.7, 32.4], atol=1e-9)


def test_reversed_pair_flips_phase_and_baseline(frame):
    write_pair(frame, "20200125_20200101")
    ds = open_stack(frame)
    assert dict(ds.sizes)["pair"] == 3
    np.testing.assert_allclose(ds.perpendicular_baseline[1], -50.5)
    np.testing.assert_allclose(ds.unwrapped_phase[1, 1:], -ds.unwrapped_phase[0, 1:].values)
    np.testing.assert_array_equal(ds.coherence[1], ds.coherence[0])


@pytest.mark.parametrize("state", ["missing", "incomplete"])
def test_baselines_missing_or_incomplete(frame, state):
    path = frame / "metadata" / "baselines"
    path.unlink()
    if state == "incomplete":
        path.write_text("20200113 20200101 30.0 -12.0\n")
    message = "no baselines file" if state == "missing" else "1 of 2 pairs have no perpendicular baseline"
    with pytest.warns(UserWarning, match=message):
        ds = open_stack(frame)
    assert ("perpendicular_baseline" in ds.coords) == (state == "incomplete")


def test_the_unfiltered_phase_stands_in_only_where_there_is_no_other(frame):
    (frame / "interferograms/20200101_20200113/20200101_20200113.geo.diff_pha.tif").unlink()
    ds = open_stack(frame)
    difference = np.angle(np.exp(1j * (ds.phase - ds.unwrapped_phase)))
    np.testing.assert_allclose(difference[0, 1:], 0.1, atol=1e-5)
    np.testing.assert_allclose(difference[1, 1:], 0.0, atol=1e-5)


def test_two_frames_are_two_tracks(frame):
    write_pair(frame.parent / "124A_04854_171313", "20200102_20200114")
    with pytest.raises(ValueError, match=r"one track, got 2 \(track 021D_04972_131213.*124A_04854_171313"):
        open_stack(frame.parent)


def test_interferograms_alone(frame):
    with pytest.warns(UserWarning, match="no baselines file"):
        ds = open_stack(str(frame / "interferograms" / "2*" / "*.unw.tif"))
    assert set(ds.data_vars) == {"unwrapped_phase"}
    assert ds.attrs["track"] == FRAME
    assert ds.unwrapped_phase[:, 0].isnull().all()
