"""Windows of HDF5 datasets, opened inside the task that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.layers import Raster

SUFFIXES = (".h5", ".hdf5", ".he5")
"""Endings of file names taken for HDF5."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open ``path`` for reading; an unreadable file raises ``OSError`` naming it."""
    import h5py

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OSError(
            f"{path}: not a readable HDF5 file ({error}); it may be truncated or a Git LFS "
            "pointer: fetch it again"
        ) from error
    with file:
        yield file


def is_hdf5(path: Path) -> bool:
    """Whether the name says HDF5."""
    return path.suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class HDF5Source:
    """One two-dimensional slice of an HDF5 dataset; a :class:`~xinsar.readers.layers.Source`.

    Parameters
    ----------
    path, dataset
        The file and the dataset's full name in it.
    index
        Leading indices before rows and columns; empty for a two-dimensional dataset.
    """

    path: Path
    dataset: str
    index: tuple[int, ...] = ()

    def read(self, rows: slice, cols: slice) -> Raster:
        """Return the window ``rows, cols``."""
        with open_hdf5(self.path) as file:
            try:
                return np.asarray(file[self.dataset][(*self.index, rows, cols)])
            except OSError as error:
                raise OSError(
                    f"{self.path}: dataset {self.dataset!r} cannot be read ({error}); the file may be "
                    "truncated: fetch it again"
                ) from error


@dataclass(frozen=True)
class Contents:
    """What the root of an HDF5 file holds.

    Parameters
    ----------
    path
        The file.
    attrs
        Root attributes; byte strings decoded.
    shapes, chunks
        Of every dataset at the root, by name; ``chunks`` is None for a contiguous dataset.
    """

    path: Path
    attrs: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    chunks: dict[str, tuple[int, ...] | None]

    def blocks(self, dataset: str) -> tuple[int, int] | None:
        """Rows and columns of one chunk of ``dataset``."""
        chunks = self.chunks[dataset]
        return (int(chunks[-2]), int(chunks[-1])) if chunks is not None and len(chunks) >= 2 else None


def contents(path: Path) -> Contents:
    """List the root of an HDF5 file; reads no data."""
    import h5py

    with open_hdf5(path) as file:
        sets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        return Contents(
            path,
            {name: text(value) for name, value in file.attrs.items()},
            {name: tuple(item.shape) for name, item in sets.items()},
            {name: item.chunks for name, item in sets.items()},
        )


def values(path: Path, dataset: str) -> Any:
    """Read one small dataset whole."""
    with open_hdf5(path) as file:
        return file[dataset][()]


def text(value: Any) -> Any:
    """Return byte strings as text, all else as it is."""
    return value.decode() if isinstance(value, bytes) else value
