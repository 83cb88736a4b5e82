"""How a result is written, by the ending of its name, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def writer_of(out: str) -> Callable[..., object]:
    """Return what writes a dataset to ``out``, by its ending."""
    ending = ending_of(out)
    if ending == "zarr":
        return _write_zarr
    if ending in ("tif", "tiff"):
        return _write_tif
    raise ValueError(f"OUT: expected a name that ends in .zarr or .tif, got {out!r}")


def _write_zarr(ds: Any, out: str, *, progress: bool | None) -> None:
    from xinsar.cube import save_cube

    save_cube(ds, out, progress=progress)


def _write_tif(ds: Any, out: str, *, progress: bool | None) -> None:
    from xinsar.export import to_geotiff

    to_geotiff(ds, out, progress=progress)


def ending_of(path: str) -> str:
    """Return the ending of a name, in small letters."""
    return path.rstrip("/").rpartition(".")[2].lower()


def sizes(ds: Any) -> str:
    """Return the dims of a result and their sizes in words."""
    return ", ".join(f"{dim} {size}" for dim, size in ds.sizes.items())
