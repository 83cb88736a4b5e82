"""ENVI and headerless complex: the two real single interferograms; stand-ins for dates, maps and damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xinsar.readers import open_stack

WAVELENGTH = 0.0554658
SHAPE = (4, 4)
AWAY = np.linspace(0.0005, 0.0060, 16).reshape(SHAPE)
"""Metres of motion away from the satellite between the first and the second date."""
PHASE = 4 * np.pi / WAVELENGTH * AWAY

CODES = {"f4": 4, "c8": 6, "i2": 2, "u1": 1, "c16": 9}


def write(
    path: Path, values: np.ndarray, *, interleave: str = "bsq", order: str = "<", more: str = ""
) -> Path:
    """A stand-in with an ENVI header; ``values`` are (band, line, sample)."""
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}[interleave]
    kind = values.dtype.str[1:]
    path.write_bytes(values.transpose(axes).astype(order + kind).tobytes())
    Path(f"{path}.hdr").write_text(
        f"ENVI\ndescription = {{a stand-in\n  of two lines}}\nsamples = {values.shape[2]}\n"
        f"lines   = {values.shape[1]}\nbands   = {values.shape[0]}\nheader offset = 0\n"
        f"file type = ENVI Standard\ndata type = {CODES[kind]}\n"
        f"interleave = {interleave}\nbyte order = {int(order == '>')}\n{more}"
    )
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_motion_away_is_positive_phase(tmp_path, order):
    """Complex with the later date first in the second file's name: flipped."""
    for name, sign in (("20200101_20200113", 1), ("20200125_20200113", -1)):
        values = np.exp(1j * sign * PHASE)[None].astype("c8")
        values[0, 0, 0] = 0
        write(tmp_path / f"{name}.int", values, order=order)
    ds = open_stack(tmp_path)
    assert ds.attrs["product"] == "envi"
    expected = PHASE.copy()
    expected[0, 0] = np.nan
    for k in range(2):
        np.testing.assert_allclose(ds.phase.values[k], expected, rtol=1e-5)
    assert [str(d)[:10] for d in ds.secondary_time.values] == ["2020-01-13", "2020-01-25"]


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_real_rasters_are_told_by_their_name(tmp_path, interleave):
    folder = tmp_path / "20200101_20200113"
    folder.mkdir()
    write(folder / "filt_fine.unw", np.array([np.full(SHAPE, 9.0), PHASE], "f4"), interleave=interleave)
    write(folder / "filt_fine.cor", np.full((1, *SHAPE), 0.5, "f4"))
    write(folder / "dem.img", np.full((1, *SHAPE), 300, "i2"), more="data ignore value = 300\n")
    ds = open_stack(tmp_path)
    np.testing.assert_allclose(ds.unwrapped_phase.values[0], PHASE, rtol=1e-6)
    np.testing.assert_allclose(ds.coherence, 0.5)
    assert np.isnan(ds.elevation.values).all()


@pytest.mark.parametrize(
    ("info", "epsg", "x", "y"),
    [
        ("Geographic Lat/Lon, 1, 1, 15.0, 38.0, 0.001, 0.001, WGS-84, units=Degrees", 4326, 15.0005, 37.9995),
        (
            "UTM, 1.5, 1.5, 500010.0, 4199990.0, 20.0, 20.0, 33, North, WGS-84, units=Meters",
            32633,
            500010,
            4199990,
        ),
    ],
)
def test_map_info(tmp_path, info, epsg, x, y):
    path = write(
        tmp_path / "20200101_20200113.unw", PHASE[None].astype("f4"), more=f"map info = {{{info}}}\n"
    )
    ds = open_stack(path)
    assert ds.rio.crs.to_epsg() == epsg
    assert (float(ds.x[0]), float(ds.y[0])) == pytest.approx((x, y))


def test_a_square_without_header_is_complex64(tmp_path):
    for order in "<>":
        path = tmp_path / "20200101_20200113.int"
        path.write_bytes(np.exp(1j * PHASE).astype(f"{order}c8").tobytes())
        np.testing.assert_allclose(open_stack(path).phase.values[0], PHASE, rtol=1e-5)


def test_without_header_any_other_size_is_refused(tmp_path):
    path = tmp_path / "a.int"
    for size in (0, 8 * 15, 8 * 16 - 3):
        path.write_bytes(bytes(size))
        with pytest.raises(OSError, match=rf"a\.int.*square complex64 image, got {size} bytes.*ENVI header"):
            open_stack(path)


def test_damaged_files_are_named(tmp_path):
    path = write(tmp_path / "a.int", np.ones((1, *SHAPE), "c8"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match=r"a\.int: the file is truncated"):
        open_stack(path)
    header = Path(f"{path}.hdr")
    header.write_text(header.read_text().replace("lines ", "rows "))
    with pytest.raises(ValueError, match=r"a\.int\.hdr: expected whole numbers 'lines' and 'samples'"):
        open_stack(path)
    header.write_text("ENVI\ndata type = 77\n")
    with pytest.raises(ValueError, match=r"expected an ENVI data type"):
        open_stack(path)


def test_an_undated_pair_has_a_pair_dim_and_no_dates(tmp_path):
    ds = open_stack(write(tmp_path / "a.int", np.exp(1j * PHASE)[None].astype("c8")))
    assert ds.phase.dims == ("pair", "y", "x")
    assert "reference_time" not in ds.coords
    dated = ds.assign_coords(
        reference_time=("pair", np.array(["2020-01-01"], "M8[ns]")),
        secondary_time=("pair", np.array(["2020-01-13"], "M8[ns]")),
    )
    np.testing.assert_allclose(dated.phase.values[0], PHASE, rtol=1e-5)


@pytest.mark.real
def test_the_envi_interferogram(real_data):
    folder = real_data("wrapped-single-ifgs")
    ds = open_stack([folder / "ifg_test1.int", folder / "coh_test1.cor"])
    raw = np.fromfile(folder / "ifg_test1.int", "<c8").reshape(100, 100)
    np.testing.assert_allclose(ds.phase.values[0], np.angle(raw), atol=1e-6)
    coherence = ds.coherence.values
    assert coherence.shape == (1, 100, 100)
    assert (coherence.min(), coherence.max(), coherence.mean()) == pytest.approx(
        (0.0005, 0.998, 0.455), abs=1e-3
    )
    assert ds.phase.notnull().all()


@pytest.mark.real
def test_the_headerless_interferogram(real_data):
    ds = open_stack(real_data("wrapped-single-ifgs") / "ifg_test2.int")
    phasor = np.exp(1j * ds.phase.values[0])
    assert phasor.shape == (600, 600)
    steps = phasor[:, 1:] * phasor[:, :-1].conj()
    left, right = abs(steps[:, :150].mean()), abs(steps[:, 450:].mean())
    assert left < 0.05  # fully decorrelated
    assert right > 0.45  # clear fringes


@pytest.mark.real
def test_two_undated_interferograms_are_refused(real_data):
    with pytest.raises(ValueError, match=r"ifg_test1\.int, ifg_test2\.int are each phase without dates"):
        open_stack(real_data("wrapped-single-ifgs"))
