"""NSBAS HDF5: the real Etna stack, and stand-ins written with the same datasets for what it does not show."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest

from xinsar.readers import open_stack

DAYS = ("2005-01-01", "2005-02-05", "2005-03-12")
SHAPE = (4, 6)
RATE = np.linspace(1.0, 5.0, 24).reshape(SHAPE)
"""Phase in rad per 35 days, growing: motion away."""


def write(path: Path, rows: list[list[int]], **other: np.ndarray) -> Path:
    """A stand-in: interferogram k = sum of Jmat[k, j] phi_j with phi_j = j RATE."""
    ordinals = np.array([date.fromisoformat(day).toordinal() for day in DAYS])
    matrix = np.array(rows, float)
    phi = np.arange(len(DAYS))[:, None, None] * RATE
    with h5py.File(path, "w") as file:
        file["igram"] = np.tensordot(matrix, phi, axes=1).astype("f4")
        file["Jmat"] = matrix
        file["bperp"] = matrix @ np.array([0.0, 100.0, -40.0])
        file["dates"] = other.get("dates", ordinals)
        file["tims"] = (ordinals - ordinals[0]) / 365.25
    return path


@pytest.mark.parametrize(
    "rows", [[[-1, 1, 0], [0, -1, 1]], [[1, -1, 0], [0, 1, -1]], [[1, -1, 0], [0, -1, 1]]]
)
def test_growing_phase_is_positive_whatever_the_order_of_the_dates(tmp_path, rows):
    ds = open_stack(write(tmp_path / "stack.h5", rows))
    assert ds.attrs["product"] == "nsbas"
    assert [str(d)[:10] for d in ds.reference_time.values] == list(DAYS[:2])
    assert [str(d)[:10] for d in ds.secondary_time.values] == list(DAYS[1:])
    for k in range(2):
        np.testing.assert_allclose(ds.unwrapped_phase.values[k], RATE, rtol=1e-6)
    np.testing.assert_allclose(ds.perpendicular_baseline, [100.0, -140.0])


def test_zero_is_a_value_and_nan_is_missing(tmp_path):
    path = write(tmp_path / "stack.h5", [[-1, 1, 0]])
    with h5py.File(path, "r+") as file:
        file["igram"][0, 0, :2] = (0, np.nan)
    values = open_stack(path).unwrapped_phase.values[0]
    assert values[0, 0] == 0
    assert np.isnan(values).sum() == 1


def test_decimal_years_count_on_by_tims(tmp_path):
    ds = open_stack(
        write(tmp_path / "stack.h5", [[-1, 1, 0], [0, -1, 1]], dates=np.array([2005.0, 2005.1, 2005.2]))
    )
    assert [str(d)[:10] for d in ds.secondary_time.values] == list(DAYS[1:])


def test_regular_coordinates_become_a_map(tmp_path):
    path = write(tmp_path / "stack.h5", [[-1, 1, 0]])
    lat, lon = np.meshgrid(37.0 + 0.001 * np.arange(4), 15.0 + 0.002 * np.arange(6), indexing="ij")
    lat.astype("<f4").tofile(tmp_path / "lat.flt")
    lon.astype("<f4").tofile(tmp_path / "lon.flt")
    ds = open_stack(path)
    assert ds.rio.crs.to_epsg() == 4326
    np.testing.assert_allclose(ds.y, lat[::-1, 0], atol=1e-5)
    np.testing.assert_allclose(ds.x, lon[0], atol=1e-5)
    np.testing.assert_allclose(ds.unwrapped_phase.values[0], RATE[::-1], rtol=1e-6)


def test_a_broken_incidence_matrix_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"stack\.h5: expected one -1 and one \+1 in every row of Jmat.*in row 1"
    ):
        open_stack(write(tmp_path / "stack.h5", [[-1, 1, 0], [0, 1, 0]]))


def test_truncated_coordinates_are_named(tmp_path):
    path = write(tmp_path / "stack.h5", [[-1, 1, 0]])
    (tmp_path / "lat.flt").write_bytes(bytes(90))
    (tmp_path / "lon.flt").write_bytes(bytes(96))
    with pytest.raises(OSError, match=r"lat\.flt.*truncated"):
        open_stack(path)


@pytest.mark.real
def test_etna(real_data):
    folder = real_data("etna-envisat-nsbas-h5")
    ds = open_stack(folder / "Etna_sample.h5")
    phase = ds.unwrapped_phase.values
    assert phase.shape == (214, 20, 20)
    assert np.isfinite(phase).mean() == pytest.approx(0.971, abs=5e-4)
    dates = np.unique(np.concatenate([ds.reference_time.values, ds.secondary_time.values]))
    assert (len(dates), str(dates[0])[:10], str(dates[-1])[:10]) == (61, "2003-01-22", "2010-06-09")
    assert (ds.reference_time < ds.secondary_time).all()
    assert "x" in ds.coords
    assert "spatial_ref" not in ds.coords
    latitude, longitude = ds.latitude.values, ds.longitude.values
    assert latitude.min() == pytest.approx(37.496, abs=1e-3)
    assert latitude.max() == pytest.approx(37.513, abs=1e-3)
    assert longitude.min() == pytest.approx(15.023, abs=1e-3)
    assert longitude.max() == pytest.approx(15.043, abs=1e-3)


@pytest.mark.real
def test_etna_agrees_with_its_file(real_data):
    """Every interferogram against a plain reading: the later date minus the earlier one."""
    path = real_data("etna-envisat-nsbas-h5") / "Etna_sample.h5"
    ds = open_stack(path)
    phase, baselines = ds.unwrapped_phase.values, ds.perpendicular_baseline.values
    with h5py.File(path) as file:
        raw, matrix, bperp, ordinals = (file[name][()] for name in ("igram", "Jmat", "bperp", "dates"))
    assert (np.nanmin(raw), np.nanmax(raw)) == pytest.approx((-23.4, 27.6), abs=0.05)
    rows = {}
    for k, row in enumerate(matrix):
        first, second = sorted(np.flatnonzero(row))
        rows[ordinals[first], ordinals[second]] = (k, row[second])
    for n, (a, b) in enumerate(zip(ds.reference_time.values, ds.secondary_time.values, strict=True)):
        key = tuple(date.fromisoformat(str(day)[:10]).toordinal() for day in (a, b))
        k, sign = rows[key]
        np.testing.assert_array_equal(phase[n], sign * raw[k])
        assert baselines[n] == sign * bperp[k]


@pytest.mark.real
def test_etna_triplets_close(real_data):
    """The closures PROVENANCE.md lists hold with the signs and dates of the cube."""
    ds = open_stack(real_data("etna-envisat-nsbas-h5") / "Etna_sample.h5")
    phase = dict(
        zip(
            zip(ds.reference_time.values, ds.secondary_time.values, strict=True),
            ds.unwrapped_phase.values,
            strict=True,
        )
    )
    closures = [
        abs(np.nanmedian(phase[a, b] + phase[b, c] - phase[a, c]))
        for a, b in phase for b2, c in phase if b2 == b and (a, c) in phase
    ]  # fmt: skip
    assert len(closures) == 265
    p50, p90 = np.percentile(closures, [50, 90])
    assert (p50, p90, max(closures)) == pytest.approx((0.32, 0.98, 2.4), abs=0.05)


@pytest.mark.real
def test_etna_update_and_folder(real_data):
    folder = real_data("etna-envisat-nsbas-h5")
    new = open_stack(folder / "Etna_sample_new.h5")
    assert new.unwrapped_phase.shape == (8, 20, 20)
    assert np.isfinite(new.unwrapped_phase.values).mean() == pytest.approx(0.749, abs=5e-4)
    assert str(new.secondary_time.values.max())[:10] == "2010-09-22"
    assert open_stack(folder).sizes["pair"] == 222
