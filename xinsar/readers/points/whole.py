"""Whether a vector file is whole: its size against what its own header promises.

GDAL opens a shapefile or GeoPackage that was cut off and returns points without a place or without numbers. Headers:
ESRI Shapefile Technical Description (1998), pages 4, 5 and 24; dBASE III; SQLite database file format, section 1.3.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

_HEAD = 100
"""Bytes of the header of .shp, .shx and SQLite; more than that of the fixed part of .dbf."""

_SHAPEFILE = (".shp", ".shx", ".dbf")


def check_whole(path: Path) -> None:
    """Raise OSError naming the file where a shapefile (bare or zipped) or GeoPackage is shorter than it says."""
    suffix = path.suffix.lower()
    if suffix == ".shp":
        _check_shapefile(_siblings(path), None)
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            names = [Path(name) for name in packed.namelist() if "__MACOSX" not in name]
            for shp in [name for name in names if name.suffix.lower() == ".shp"]:
                own = [name for name in names if name.with_suffix("") == shp.with_suffix("")]
                _check_shapefile({p.suffix.lower(): p for p in own}, packed)
    elif suffix == ".gpkg":
        _check_geopackage(path)


def null_shapes(path: Path, rows: Sequence[int]) -> bool:
    """Tell whether the index of a bare shapefile says that all of these rows (from 0) are null shapes."""
    index = _siblings(path).get(".shx")
    if not rows or index is None:
        return True
    with index.open("rb") as stream:
        for row in rows:
            stream.seek(_HEAD + 8 * row + 4)
            if stream.read(4) != b"\0\0\0\2":  # content of 2 words: the shape type alone
                return False
    return True


def _siblings(path: Path) -> dict[str, Path]:
    """Return the parts of a shapefile by their suffix in small letters."""
    endings = (ending for suffix in _SHAPEFILE for ending in (suffix, suffix.upper()))
    return {p.suffix.lower(): p for p in map(path.with_suffix, endings) if p.is_file()} | {".shp": path}


def _check_shapefile(parts: dict[str, Path], packed: zipfile.ZipFile | None) -> None:
    """Raise where a part is too short, or index and table hold another number of points."""
    counts = {}
    for suffix in _SHAPEFILE:
        if suffix not in parts:
            continue
        part = parts[suffix]
        name = part if packed is None else Path(str(packed.filename)) / part
        head, size = _head(part, packed)
        promised, counts[suffix] = _promised(head, suffix)
        _check_size(name, size, promised)
    if ".shx" in counts and counts[".shx"] != counts.get(".dbf", counts[".shx"]):
        raise OSError(
            f"{parts['.shp'] if packed is None else packed.filename}: expected as many points in .shx as in .dbf, got "
            f"{counts['.shx']} and {counts['.dbf']}; it is damaged or its parts are of two files: get it again"
        )


def _head(part: Path, packed: zipfile.ZipFile | None) -> tuple[bytes, int]:
    """Return the first bytes of a file and its size."""
    if packed is None:
        with part.open("rb") as stream:
            return stream.read(_HEAD), part.stat().st_size
    with packed.open(part.as_posix()) as member:
        return member.read(_HEAD), packed.getinfo(part.as_posix()).file_size


def _promised(head: bytes, suffix: str) -> tuple[int, int]:
    """Return the size that a part of a shapefile promises, and the number of its points (.shp: 0)."""
    if suffix == ".dbf":
        if len(head) < 12:
            return 32, 0
        rows, start, width = struct.unpack("<IHH", head[4:12])
        return start + rows * width, rows
    if len(head) < _HEAD:
        return _HEAD, 0
    size = 2 * struct.unpack(">I", head[24:28])[0]
    return size, (size - _HEAD) // 8 if suffix == ".shx" else 0


def _check_geopackage(path: Path) -> None:
    """Raise where pages are missing; with a write-ahead log beside it only SQLite knows."""
    head, size = _head(path, None)
    log = path.with_name(path.name + "-wal")
    if not head.startswith(b"SQLite format 3\0") or len(head) < _HEAD or log.exists():
        return
    page, pages = struct.unpack(">H", head[16:18])[0], struct.unpack(">I", head[28:32])[0]
    if (
        head[24:28] == head[92:96]
    ):  # otherwise the number of pages was written by a SQLite that did not keep it
        _check_size(path, size, (65536 if page == 1 else page) * pages)


def _check_size(path: Path, size: int, promised: int) -> None:
    if size < promised:
        raise OSError(
            f"{path}: cannot be read: expected {promised} bytes as its header says, got {size}; it is truncated: get "
            "it again"
        )
