"""Flat binaries and HDF5: every window equals a plain NumPy reading, every damaged file is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xinsar.readers.binary import BinarySource, angle, byte_order, open_binary
from xinsar.readers.hdf5 import HDF5Source, contents

SHAPE = (7, 5)
BANDS = 3


def cube(dtype: str) -> np.ndarray:
    """Numbers (band, line, sample), all different."""
    values = np.arange(1, 1 + BANDS * SHAPE[0] * SHAPE[1]).reshape(BANDS, *SHAPE)
    return (values * (1 + 2j)).astype(dtype) if np.dtype(dtype).kind == "c" else values.astype(dtype)


def written(path: Path, values: np.ndarray, interleave: str, offset: int) -> Path:
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}[interleave]
    path.write_bytes(b"\7" * offset + values.transpose(axes).tobytes())
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(["<f4", ">f4", "<c8", ">c8", "u1", ">i2", "<f8", ">c16"]),
    interleave=st.sampled_from(["bsq", "bil", "bip"]),
    offset=st.sampled_from([0, 3, 512]),
    band=st.integers(0, BANDS - 1),
    box=st.tuples(st.integers(0, 6), st.integers(1, 7), st.integers(0, 4), st.integers(1, 5)),
)
def test_every_window_of_every_layout(tmp_path, dtype, interleave, offset, band, box):
    values = cube(dtype)
    path = written(tmp_path / "raster.bin", values, interleave, offset)
    source = open_binary(path, dtype, SHAPE, bands=BANDS, band=band, interleave=interleave, offset=offset)
    rows, cols = slice(box[0], box[0] + box[1]), slice(box[2], box[2] + box[3])
    window = pickle.loads(pickle.dumps(source)).read(rows, cols)
    assert window.dtype.isnative
    assert type(window) is np.ndarray
    np.testing.assert_array_equal(window, values[band][rows, cols])


@pytest.mark.parametrize(("size", "verdict"), [(-1, "truncated"), (-140, "truncated"), (4, "longer")])
def test_a_file_of_the_wrong_size_is_named(tmp_path, size, verdict):
    path = tmp_path / "20200101_20200113.unw"
    path.write_bytes(bytes(7 * 5 * 4 + size))
    with pytest.raises(OSError, match=rf"{path.name}.*{verdict}.*expected 140 bytes.*got {140 + size}"):
        open_binary(path, "<f4", SHAPE)
    with pytest.raises(OSError, match=verdict):
        BinarySource(path, "<f4", SHAPE).read(slice(0, 1), slice(0, 1))


def test_layouts_that_make_no_sense(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(140))
    with pytest.raises(ValueError, match="interleave"):
        open_binary(path, "<f4", SHAPE, interleave="tiles")
    with pytest.raises(ValueError, match="band below 1, got 1"):
        open_binary(path, "<f4", SHAPE, band=1)
    with pytest.raises(FileNotFoundError):
        open_binary(tmp_path / "none.bin", "<f4", SHAPE)


@pytest.mark.parametrize("kind", ["f4", "c8", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_is_seen_in_the_values(tmp_path, kind, order):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 5, (40, 40))
    values[:25] = 0
    (tmp_path / "a").write_bytes(values.astype(order + kind).tobytes())
    assert byte_order(tmp_path / "a", kind) == order


def test_byte_order_of_nothing_is_unknown(tmp_path):
    (tmp_path / "zero").write_bytes(bytes(400))
    (tmp_path / "empty").write_bytes(b"")
    assert byte_order(tmp_path / "zero") is None
    assert byte_order(tmp_path / "empty") is None


def test_angle_is_never_minus_pi():
    values = np.array([complex(-1, -0.0), complex(-1, 0.0), 1j, -1j], "c8")
    np.testing.assert_array_equal(angle(values), np.array([np.pi, np.pi, np.pi / 2, -np.pi / 2], "f4"))
    assert angle(values).dtype == np.float32


def test_hdf5_windows(tmp_path):
    path = tmp_path / "a.h5"
    values = np.arange(2 * 6 * 4, dtype="f4").reshape(2, 6, 4)
    with h5py.File(path, "w") as file:
        file.create_dataset("stack", data=values, chunks=(1, 3, 2))
        file["map"] = values[0]
        file.attrs["NAME"] = np.bytes_(b"x")
    source = pickle.loads(pickle.dumps(HDF5Source(path, "stack", (1,))))
    np.testing.assert_array_equal(source.read(slice(1, 5), slice(2, 4)), values[1, 1:5, 2:4])
    np.testing.assert_array_equal(HDF5Source(path, "map").read(slice(0, 6), slice(0, 1)), values[0, :, :1])
    found = contents(path)
    assert found.shapes == {"stack": (2, 6, 4), "map": (6, 4)}
    assert (found.blocks("stack"), found.blocks("map"), found.attrs) == ((3, 2), None, {"NAME": "x"})


def test_a_damaged_hdf5_file_is_named(tmp_path):
    whole = tmp_path / "velocity.h5"
    with h5py.File(whole, "w") as file:
        file.create_dataset(
            "velocity", data=np.random.default_rng(1).normal(size=(200, 200)), chunks=(50, 50)
        )
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:-5000])
    pointer = tmp_path / "pointer.h5"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    for path in (cut, pointer):
        with pytest.raises(OSError, match=rf"{path.name}.*not a readable HDF5 file"):
            contents(path)
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        contents(tmp_path / "none.h5")
