"""What kind of source a path is."""

from __future__ import annotations

from pathlib import Path


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
