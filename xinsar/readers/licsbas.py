"""LiCSBAS: flat result grids, the time series ``cum.h5``, and the interferograms of a ``GEOCml`` folder.

Flat files are little-endian; ``EQA.dem_par`` gives the grid, its corner being a pixel centre. Velocities
are in mm/year and displacements in mm, positive toward the satellite; unwrapped phase (rad) is positive
away. Missing values are NaN, and 0 in the interferograms. Facts: yumorishita/LiCSBAS, headers of
bin/LiCSBAS02_ml_prep.py, LiCSBAS13_sb_inv.py and LiCSBAS16_filt_ts.py.

Where several versions of the velocity are there, the cube holds the unfiltered one under the quality mask:
``vel.mskd``, else ``vel`` where ``mask`` is 1, else ``vel``; the space-time filtered ones (``vel.filt*``)
open when they are given alone. ``cum.h5`` goes before ``cum_filt.h5`` for the same reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.binary import open_binary
from xinsar.readers.gamma_par import SPEED_OF_LIGHT, map_grid, number, read_par
from xinsar.readers.hdf5 import Contents, HDF5Source, contents, is_hdf5, text, values
from xinsar.readers.layers import Combined, Grid, Layer, Pair, Product, Raster, Reader, Source
from xinsar.readers.names import day, pair_in

_MILLIMETRE = 1e-3
_VELOCITIES = ("vel.mskd", "vel", "vel.filt.mskd", "vel.filt")
_MAPS = {
    "vstd": ("velocity_sigma", _MILLIMETRE),
    "coh_avg": ("mean_coherence", 1.0),
    "hgt": ("elevation", 1.0),
}
_LOOK = ("E.geo", "N.geo", "U.geo")
_NOT_OPENED = (
    "mask", "vintercept", "vintercept.mskd", "vintercept.filt", "vintercept.filt.mskd", "resid_rms",
    "n_unw", "n_gap", "n_ifg_noloop", "n_loop_err", "n_loop_err_rat", "n_gap_rat", "maxTlen", "stc",
    "slc.mli", "slope", "cum",
)  # fmt: skip
_GRIDS = {*_VELOCITIES, *_MAPS, *_LOOK, *_NOT_OPENED}
_SIDE_FILES = {"EQA.dem_par", "slc.mli.par", "baselines"}
_SERIES = ("cum.h5", "cum_filt.h5")
_FRAME = re.compile(r"(\d{3})([AD])_\d{5}_\d{6}")


def claim(paths: Sequence[Path]) -> list[Path]:
    """Return result grids and interferograms under an ``EQA.dem_par``, time series, and their text files."""
    series = [path for path in paths if is_hdf5(path) and _is_series(contents(path))]
    headers: dict[Path, Path | None] = {}
    flat = [path for path in paths if _is_flat(path) and _header(path, headers) is not None]
    folders = {_root(path) for path in (*series, *flat)}
    found = {*series, *flat}
    side = [p for p in paths if p not in found and _is_side_file(p) and _root(p) in folders]
    return [*series, *flat, *side] if found else []


def _is_series(file: Contents) -> bool:
    return "cum" in file.shapes and "imdates" in file.shapes


def _is_flat(path: Path) -> bool:
    return path.name in _GRIDS or _is_interferogram(path)


def _is_interferogram(path: Path) -> bool:
    pair = path.suffix in (".unw", ".cc") and pair_in(path.stem)
    return bool(pair) and path.parent.name == path.stem


def _is_side_file(path: Path) -> bool:
    return path.name in _SIDE_FILES or (path.parent.name == "info" and path.suffix in (".txt", ".kml", ""))


def _header(path: Path, known: dict[Path, Path | None]) -> Path | None:
    """``EQA.dem_par`` of a flat file: in its folder, the one above, or the ``info`` beside either."""
    folder = path.parent
    if folder not in known:
        places = [
            p for up in (folder, folder.parent) for p in (up / "EQA.dem_par", up / "info" / "EQA.dem_par")
        ]
        known[folder] = next((place for place in places if place.is_file()), None)
    return known[folder]


def _root(path: Path) -> Path:
    """Folder of one run: ``GEOCml1`` and ``TS_GEOCml1`` belong together."""
    folder = path.parent
    if folder.name in ("results", "info") or pair_in(folder.name) is not None:
        folder = folder.parent
    return folder.parent / folder.name.removeprefix("TS_")


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe one product per processing folder."""
    ordered = sorted(paths, key=_root)
    products = [_product(root, list(group)) for root, group in groupby(ordered, key=_root)]
    return [product for product in products if product.layers]


def _product(root: Path, paths: Sequence[Path]) -> Product:
    headers: dict[Path, Path | None] = {}
    flat = {p: h for p in paths if _is_flat(p) and (h := _header(p, headers)) is not None}
    grids: dict[str, Path] = {}
    for path in sorted(flat, key=lambda p: p.parent.name != "results"):
        grids.setdefault(path.name, path)
    series = _series([path for path in paths if is_hdf5(path)])
    layers = [*_flat_maps(grids, flat), *_interferograms(flat)]
    there = {layer.variable for layer in layers}
    layers += [layer for layer in _series_layers(series) if layer.variable not in there]
    attrs = {**_attrs(root, paths), **_reference(root, layers, series)}
    baselines = _baselines(root, [layer.pair for layer in layers if layer.pair is not None])
    return Product("licsbas", tuple(layers), attrs, baselines)


def _flat_maps(grids: Mapping[str, Path], headers: Mapping[Path, Path]) -> Iterator[Layer]:
    """Layers of the result grids."""

    def opened(name: str) -> tuple[Source, Grid]:
        return _flat_source(grids[name], headers[grids[name]])

    velocity = next((name for name in _VELOCITIES if name in grids), None)
    if velocity == "vel" and "mask" in grids:
        source, grid = opened("vel")
        yield Layer("velocity", Combined((source, opened("mask")[0]), masked), grid, scale=_MILLIMETRE)
    elif velocity is not None:
        yield Layer("velocity", *opened(velocity), scale=_MILLIMETRE)
    for name, (variable, scale) in _MAPS.items():
        if name in grids:
            yield Layer(variable, *opened(name), scale=scale)
    for component, name in enumerate(_LOOK):
        if name in grids:
            yield Layer("los", *opened(name), component=component, zero_is_nodata=True)


def masked(field: Raster, mask: Raster) -> Raster:
    """Return ``field`` where the LiCSBAS ``mask`` is 1, NaN elsewhere."""
    return np.where(mask == 1, field, np.nan).astype(field.dtype)


def _flat_source(path: Path, header: Path, dtype: str = "<f4") -> tuple[Source, Grid]:
    grid = map_grid(read_par(header))
    if grid is None:
        raise ValueError(
            f"{header}: expected width, nlines, corner_lat/lon and post_lat/lon; the file is incomplete"
        )
    return open_binary(path, dtype, grid.shape), grid


def _interferograms(headers: Mapping[Path, Path]) -> Iterator[Layer]:
    """Layers of ``D1_D2/D1_D2.unw`` and ``.cc``; coherence is one byte per pixel, or float in old runs."""
    for path, header in headers.items():
        pair = pair_in(path.stem)
        if not _is_interferogram(path):
            continue
        if path.suffix == ".unw":
            yield Layer("unwrapped_phase", *_flat_source(path, header), pair=pair, zero_is_nodata=True)
        elif _is_bytes(path, header):
            source, grid = _flat_source(path, header, "u1")
            yield Layer("coherence", source, grid, pair=pair, zero_is_nodata=True, scale=1 / 255)
        else:
            yield Layer("coherence", *_flat_source(path, header), pair=pair, zero_is_nodata=True)


def _is_bytes(path: Path, header: Path) -> bool:
    grid = map_grid(read_par(header))
    return grid is not None and path.stat().st_size < 4 * grid.width * grid.height


def _series(paths: Iterable[Path]) -> Contents | None:
    """Return the time series to open: ``cum.h5``, else the filtered one, else any."""
    found = sorted(paths, key=lambda p: (_SERIES.index(p.name) if p.name in _SERIES else len(_SERIES), p))
    return contents(found[0]) if found else None


def _series_layers(series: Contents | None) -> Iterator[Layer]:
    """Layers of a ``cum*.h5``."""
    if series is None:
        return
    grid = _series_grid(series)
    maps = {"vel": ("velocity", _MILLIMETRE), **_MAPS}
    for k, date in enumerate(_series_dates(series)):
        source = HDF5Source(series.path, "cum", (k,))
        yield Layer("displacement", source, grid, date=date, scale=_MILLIMETRE, blocks=series.blocks("cum"))
    for name, (variable, scale) in maps.items():
        if name in series.shapes:
            yield Layer(
                variable, HDF5Source(series.path, name), grid, scale=scale, blocks=series.blocks(name)
            )
    for component, name in enumerate(_LOOK):
        if name in series.shapes:
            source = HDF5Source(series.path, name)
            yield Layer(
                "los", source, grid, component=component, zero_is_nodata=True, blocks=series.blocks(name)
            )


def _series_dates(series: Contents) -> list[np.datetime64]:
    words = [str(int(date)) for date in values(series.path, "imdates")]
    dates = [day(word) for word in words]
    if any(date is None for date in dates):
        raise ValueError(f"{series.path}: expected imdates as YYYYMMDD, got {words[dates.index(None)]}")
    return [date for date in dates if date is not None]


def _series_grid(series: Contents) -> Grid:
    """Return the grid of ``corner_*`` (centre of the first pixel) and ``post_*``, else of radar geometry."""
    height, width = series.shapes["cum"][-2:]
    if "corner_lat" not in series.shapes:
        return Grid(0.0, 0.0, 1.0, 1.0, width, height)
    x, y, dx, dy = (
        float(values(series.path, name)) for name in ("corner_lon", "corner_lat", "post_lon", "post_lat")
    )
    return Grid(x - dx / 2, y - dy / 2, dx, dy, width, height, "EPSG:4326")


def _attrs(root: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Wavelength from the parameter files; track and orbit direction from the frame's name in the path."""
    attrs: dict[str, Any] = {}
    folders = _folders(root, paths)
    for folder in folders:
        par = _read_if_there(folder / "13parameters.txt")
        frequency = number(_read_if_there(folder / "slc.mli.par"), "radar_frequency")
        wavelength = number(par, "wavelength") or (SPEED_OF_LIGHT / frequency if frequency else None)
        if wavelength:
            attrs.setdefault("wavelength", wavelength)
    frame = next((match for part in reversed(root.absolute().parts) if (match := _FRAME.search(part))), None)
    if frame is not None:
        attrs["track"] = frame[0]
        attrs["orbit_direction"] = "ascending" if frame[2] == "A" else "descending"
    return attrs


def _folders(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Folders that may hold parameter files of a run."""
    homes = {path.parent for path in paths} | {root, root.parent / f"TS_{root.name}"}
    return sorted({place for home in homes for place in (home, home / "info", home.parent / "info")})


def _read_if_there(path: Path) -> Mapping[str, list[str]]:
    return read_par(path) if path.is_file() else {}


def _reference(root: Path, layers: Sequence[Layer], series: Contents | None) -> dict[str, list[float]]:
    """Return the reference area of the opened motion: [west, south, east, north] of the cube."""
    motion = next((layer for layer in layers if layer.variable in ("velocity", "displacement")), None)
    if motion is None:
        return {}
    if is_hdf5(motion.path) and series is not None and "refarea" in series.shapes:
        word = str(text(values(series.path, "refarea")))
    else:
        word = _reference_word(_folders(root, [motion.path]), filtered=".filt" in motion.path.name)
    bounds = re.fullmatch(r"(\d+):(\d+)/(\d+):(\d+)", word)
    if bounds is None:
        return {}
    grid = motion.grid
    x1, x2, y1, y2 = (int(group) for group in bounds.groups())
    xs = sorted(grid.x + grid.dx * col for col in (x1, x2))
    ys = sorted(grid.y + grid.dy * row for row in (y1, y2))
    return {"reference": [xs[0], ys[0], xs[1], ys[1]]}


def _reference_word(folders: Sequence[Path], *, filtered: bool) -> str:
    """``x1:x2/y1:y2`` of the step that wrote the velocity: 16 for the filtered one, 13 otherwise."""
    step = "16ref.txt" if filtered else "13ref.txt"
    for folder in folders:
        if (folder / step).is_file():
            return (folder / step).read_text().strip()
    if filtered:
        return ""
    pars = (_read_if_there(folder / "13parameters.txt") for folder in folders)
    return next((" ".join(par["ref_area"]) for par in pars if "ref_area" in par), "")


def _baselines(root: Path, pairs: Iterable[Pair]) -> dict[Pair, float]:
    """Perpendicular baselines of the pairs from the ``baselines`` file of the run, where it is complete.

    LiCSBAS writes random numbers within 1 m where it has none; such a file is ignored.
    """
    wanted = list(pairs)
    path = root / "baselines"
    if not wanted or not path.is_file():
        return {}
    by_date = _read_baselines(path)
    if not by_date or max(abs(b) for b in by_date.values()) <= 1:
        return {}
    return {(a, b): by_date[b] - by_date[a] for a, b in wanted if a in by_date and b in by_date}


def _read_baselines(path: Path) -> dict[np.datetime64, float]:
    """Baseline of each date against the common prime date, from the four- or nine-column form."""
    found: dict[np.datetime64, float] = {}
    for words in (line.split() for line in path.read_text().splitlines()):
        entries = [(words[0], "0"), (words[1], words[2])] if len(words) == 4 else []
        if len(words) == 9:
            entries = [(words[1], words[-2]), (words[2], words[-1])]
        for word, value in entries:
            date = day(word)
            if date is not None:
                found.setdefault(date, float(value))
    return found


READER = Reader(
    "licsbas",
    claim,
    parse,
    title="LiCSBAS",
    looks_for="vel*, vstd, hgt, coh_avg under an EQA.dem_par; cum*.h5; D1_D2/D1_D2.unw under an EQA.dem_par",
)
