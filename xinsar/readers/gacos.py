"""GACOS: delay of the troposphere at each date, as the Generic Atmospheric Correction Online Service gives it.

``YYYYMMDD.ztd`` is flat little-endian float32 with a ROI_PAC-like header ``YYYYMMDD.ztd.rsc`` beside it (X_FIRST and
Y_FIRST are taken for the outer corner of the first pixel, as in ROI_PAC), ``YYYYMMDD.ztd.tif`` the same as GeoTIFF:
zenith total delay, m, degrees. ``YYYYMMDD.sltd.geo.tif``, which the LiCSAR portal offers, is delay along the line of
sight, rad of two-way phase. Other GeoTIFFs that are named after one date (``YYYYMMDD_gacos.tif``, ``YYYYMMDD.tif``)
hold metres, and do not tell in which direction. 0 is a hole everywhere. Sources: Yu, Li and Penna 2018, Remote Sens.
Environ. 204:109-121; README of the service; LiCSBAS ``LiCSAR_ztd2geotiff``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xinsar.readers import assemble, discover, raster
from xinsar.readers.binary import open_binary
from xinsar.readers.discover import SourceLike
from xinsar.readers.layers import Grid, Layer, Product
from xinsar.readers.messages import spell, spell_files
from xinsar.readers.names import day, pair_in
from xinsar.readers.roipac import read_rsc

KINDS = ("auto", "zenith", "slant")
LOOKS_FOR = "YYYYMMDD.ztd with its .rsc, YYYYMMDD.ztd.tif, YYYYMMDD.sltd.geo.tif, YYYYMMDD_gacos.tif"

_DATE = re.compile(r"(?<!\d)(\d{8}|\d{6})(?!\d)")
_WORDS = {"ztd", "sltd", "gacos"}


@dataclass(frozen=True)
class _File:
    """A file of one date, with what its name tells of it: the direction of the delay, and its unit."""

    path: Path
    date: np.datetime64
    kind: str | None
    units: str


def open_gacos(
    source: SourceLike,
    *,
    kind: str = "auto",
    dates: Iterable[Any] | None = None,
    chunks: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Open GACOS files as a lazy series of delay grids.

    Parameters
    ----------
    source
        A file, a folder (searched recursively), a glob, or a list of them: ``YYYYMMDD.ztd`` (beside its ``.rsc``),
        ``YYYYMMDD.ztd.tif``, ``YYYYMMDD.sltd.geo.tif``, or other GeoTIFFs named after one date; dates may have six
        digits. Other files are passed over.
    kind
        ``"zenith"`` or ``"slant"``: direction of the delay, where the names do not tell it (``ztd`` and ``sltd`` do).
    dates
        Open only files of these days.
    chunks
        Rows and columns of a tile, by ``y`` and ``x``; default as in :func:`xinsar.open_stack`.

    Returns
    -------
    xarray.Dataset
        ``zenith_delay`` (time, y, x), m, or ``slant_delay`` (time, y, x), rad from ``sltd`` files, else m; float32, on
        the grid of the files, NaN where they hold 0 or nodata.

    Raises
    ------
    FileNotFoundError
        The path or glob finds nothing.
    OSError
        A file is truncated or unreadable, or a ``.ztd`` has no ``.rsc``.
    ValueError
        No such file, none of these dates, a date twice, grids of several kinds, a kind that contradicts the names, or
        names that do not tell it.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    files = _chosen(_described(discover.files(source)), dates)
    direction, units = _one_kind(files, kind)
    product = Product("gacos", tuple(_layer(f, f"{direction}_delay") for f in files))
    groups = assemble.groups([product])
    if len(groups) > 1:
        each = "; ".join(spell_files(g.files, limit=2) for g in groups)
        raise ValueError(
            f"source: expected grids of one CRS and pixel size, got {len(groups)} ({each}); open each by itself"
        )
    ds = assemble.cube(groups[0], join="outer", chunks=dict(chunks or {}))
    ds[f"{direction}_delay"].attrs["units"] = units
    history = f"opened from {len(files)} GACOS file{'s' if len(files) > 1 else ''} by open_gacos"
    return ds.assign_attrs(history=history)


def _described(paths: Sequence[Path]) -> list[_File]:
    """Return the GACOS files among ``paths``."""
    found = [file for path in paths if (file := _describe(path)) is not None]
    if not found:
        raise ValueError(
            f"source: no GACOS file among {len(paths)} files ({spell_files(paths)}); looked for {LOOKS_FOR}; unpack "
            "archives first, or give the delays as a DataArray (time, y, x)"
        )
    return found


def _describe(path: Path) -> _File | None:
    """Return what the name of a file tells, None where it is not one of GACOS."""
    name = path.name.lower()
    words = set(re.split(r"[._\-]", name))
    date = next((d for m in _DATE.finditer(name) if (d := day(m[1])) is not None), None)
    rest = words - {"tif", "tiff", "geo"} - {m[1] for m in _DATE.finditer(name)}
    if date is None or pair_in(name) is not None or path.suffix.lower() not in (".ztd", ".tif", ".tiff"):
        return None
    if rest and not rest & _WORDS:
        return None
    kind = "slant" if "sltd" in words else "zenith" if "ztd" in words else None
    return _File(path, date, kind, "rad" if kind == "slant" else "m")


def _chosen(files: Sequence[_File], dates: Iterable[Any] | None) -> list[_File]:
    """Return the files of the dates asked for, each date once."""
    wanted = None if dates is None else {np.datetime64(d, "D") for d in dates}
    kept = [f for f in files if wanted is None or f.date.astype("datetime64[D]") in wanted]
    if not kept:
        held = sorted(f.date for f in files)
        asked = ", ".join(str(d) for d in sorted(wanted or ()))
        raise ValueError(
            f"source: no GACOS file of {asked}; the files there hold {spell(held[0])} to {spell(held[-1])}; "
            "fetch those dates"
        )
    seen: dict[np.datetime64, _File] = {}
    for file in kept:
        if file.date in seen:
            raise ValueError(
                f"source: expected one GACOS file of {spell(file.date)}, got two: {seen[file.date].path} and "
                f"{file.path}; name one kind with a glob such as '*.ztd.tif'"
            )
        seen[file.date] = file
    return kept


def _one_kind(files: Sequence[_File], kind: str) -> tuple[str, str]:
    """Return direction and unit of the delays of all files."""
    told = {f.kind for f in files}
    if len({(f.kind, f.units) for f in files}) > 1:
        each = "; ".join(
            spell_files([f.path for f in files if f.kind == k], limit=1) for k in sorted(map(str, told))
        )
        raise ValueError(
            f"source: expected GACOS files of one kind, got several ({each or spell_files([f.path for f in files])}); "
            "name one with a glob such as '*.ztd.tif'"
        )
    own = files[0].kind
    if own is None and kind == "auto":
        raise ValueError(
            f"kind: the names ({spell_files([f.path for f in files])}) do not tell whether the delays are straight up "
            "or along the line of sight; give kind='zenith' (what GACOS computes) or kind='slant'"
        )
    if kind not in ("auto", own or kind):
        raise ValueError(
            f"kind: expected {own!r} for {spell_files([f.path for f in files])}, got {kind!r}; leave it out"
        )
    return own or kind, files[0].units


def _layer(file: _File, variable: str) -> Layer:
    """Describe one grid, from its header alone."""
    if file.path.suffix.lower() == ".ztd":
        grid = _grid(file.path)
        source: Any = open_binary(file.path, "<f4", grid.shape)
        return Layer(variable, source, grid, date=file.date, zero_is_nodata=True)
    header = raster.header(file.path)
    source = raster.source(file.path, header)
    return Layer(
        variable,
        source,
        header.grid,
        date=file.date,
        nodata=header.nodata,
        zero_is_nodata=True,
        blocks=header.blocks,
    )


def _grid(path: Path) -> Grid:
    """Return the grid of a ``.ztd`` from its ``.rsc``."""
    rsc = path.with_name(path.name + ".rsc")
    if not rsc.is_file():
        raise OSError(f"{path}: its header {rsc.name} is missing; put it beside the file")
    entries = read_rsc(rsc)
    names = ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP", "WIDTH", "FILE_LENGTH")
    try:
        x, y, dx, dy, width, height = (float(entries[name].split()[0]) for name in names)
    except (KeyError, IndexError, ValueError):
        raise ValueError(f"{rsc}: expected numbers for {', '.join(names)}; fetch the header again") from None
    return Grid(x, y, dx, dy, int(width), int(height), "EPSG:4326")
