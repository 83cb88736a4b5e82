"""From what the user names to files: a file, a folder (searched recursively), a glob, or a list of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

SourceLike = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""What ``open_stack`` takes."""

_TEXTS = (
    ".txt",
    ".md",
    ".pdf",
    ".html",
    ".json",
    ".geojson",
    ".csv",
    ".log",
    ".ini",
    ".cfg",
    ".template",
    ".py",
)
_HEADERS = (".xml", ".vrt", ".hdr", ".rsc", ".par", ".off", ".dem_par", ".base", ".base_perp", ".aux", ".prj")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ras", ".eps", ".ps", ".svg", ".kml", ".kmz", ".ovr")
_TABLES = (".shp", ".shx", ".dbf", ".cpg", ".tfw", ".wld", ".gpkg", ".md5", ".zip", ".tar", ".gz", ".tgz")
_SIDE = frozenset((*_TEXTS, *_HEADERS, *_PICTURES, *_TABLES))
_PLAIN = {"readme", "licence", "license", "baselines", "makefile", "polygon", "baseline_table.dat"}


def files(source: SourceLike) -> list[Path]:
    """Return every file ``source`` names, absolute and sorted.

    Raises TypeError for another kind of argument, FileNotFoundError where a path or glob finds nothing,
    ValueError for a remote address and for a Zarr store.
    """
    if isinstance(source, (str, os.PathLike)):
        return sorted(set(_expand(source)))
    if not isinstance(source, Iterable):
        raise TypeError(
            f"source: expected a file, folder, glob or a list of them, got {type(source).__name__}"
        )
    found = {path for entry in source for path in _expand(entry)}
    if not found:
        raise ValueError("source: expected at least one file, got an empty list")
    return sorted(found)


def is_side_file(path: Path) -> bool:
    """Say whether a file goes along with data without being any: headers, pictures, tables, notes."""
    name = path.name.lower()
    return name.startswith(".") or name in _PLAIN or path.suffix.lower() in _SIDE


def _expand(entry: str | os.PathLike[str]) -> Iterator[Path]:
    if not isinstance(entry, (str, os.PathLike)):
        raise TypeError(f"source: expected str or Path entries, got {type(entry).__name__}")
    text = os.path.expanduser(os.fspath(entry))
    if "://" in text:
        raise ValueError(
            f"source: expected local product files, got {text!r}; download them, or open a cube with "
            "xinsar.open_cube"
        )
    for path in _matches(text):
        yield from _walk(path) if path.is_dir() else (Path(os.path.abspath(path)),)


def _matches(text: str) -> list[Path]:
    if os.path.exists(text):
        return [Path(text)]
    found = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []
    if not found:
        kind = "glob matches no file" if glob.has_magic(text) else "path does not exist"
        raise FileNotFoundError(f"source: the {kind}: {text!r} (seen from {os.getcwd()})")
    return [Path(match) for match in found]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder``, hidden folders left out; ValueError where it is a Zarr store."""
    if any((folder / mark).exists() for mark in ("zarr.json", ".zgroup", ".zattrs")):
        raise ValueError(
            f"source: expected product files, got the Zarr store {folder}; open it with xinsar.open_cube"
        )
    for where, folders, names in os.walk(os.path.abspath(folder)):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not f.endswith(".zarr"))
        yield from (Path(where, name) for name in names)
