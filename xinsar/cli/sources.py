"""What kind of source a path is, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def is_cube(path: str) -> bool:
    """Tell whether ``path`` is an address or folder of a Zarr store."""
    return "://" in path or path.rstrip("/").endswith(".zarr") or (Path(path) / "zarr.json").is_file()


def is_points(path: str, product: str) -> bool:
    """Tell whether files are points: tables of points, and nothing that open_stack would read."""
    from xinsar.readers import discover
    from xinsar.readers.points import parquet, registry, vector

    if product != "auto":
        return product in registry.readers()
    tables = (".csv", ".tsv", ".zip", *vector.SUFFIXES, *parquet.SUFFIXES)
    endings = {registry.suffix(file): discover.is_side_file(file) for file in discover.files(path)}
    return any(e in tables for e in endings) and all(side or e in tables for e, side in endings.items())


def open_source(
    path: str, *, track: str | None = None, product: str = "auto", chunks: int | None = None
) -> Any:
    """Open one track of a cube, a product of rasters, or points (``chunks`` at a time), whichever ``path`` is."""
    from xinsar import open_cube, open_points, open_stack

    if is_cube(path):
        return open_cube(path, track=track)
    if track is not None:
        raise ValueError(f"--track: expected a cube that holds several tracks, got {path}; leave it out")
    if is_points(path, product):
        return open_points(path, product=product, chunks=chunks)
    return open_stack(path, product=product)
