"""GAMMA flat binaries: ``.unw`` and ``.cc`` (float), ``.diff`` and ``.int`` (complex), usually big-endian.

The width comes from the headers (``.par``, ``dem.par``, ``.dem_par``, ``.off``, ``.diff_par``) in the
file's folder or the one above: the one whose shape fits the size of the file, the file's own before the
pair's before the DEM's. Phase is positive away for the first date before the second; missing is 0.
Baselines come from ``*.base_perp`` listings, else from ``*_base.par``, ``*.base`` or ``*.baseline`` files.
Facts: GAMMA header files; pyroSAR; insarlab/MintPy, prep_gamma.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers import envi, licsbas, roipac
from xinsar.readers.binary import angle, byte_order, open_binary
from xinsar.readers.gamma_par import (
    BASELINES,
    HEADERS,
    Headers,
    Par,
    headers,
    is_baseline,
    map_grid,
    mean_of_base_perp,
    number,
    perpendicular_baseline,
    read_par,
    shape,
    shapes,
    track_attrs,
)
from xinsar.readers.layers import Grid, Layer, Pair, Product, Reader
from xinsar.readers.names import pair_in, pair_of

_KINDS = {
    ".unw": ("unwrapped_phase", "f4"),
    ".cc": ("coherence", "f4"),
    ".cor": ("coherence", "f4"),
    ".diff": ("phase", "c8"),
    ".int": ("phase", "c8"),
    ".dem": ("elevation", "f4"),
    ".hgt": ("elevation", "f4"),
}


def claim(paths: Sequence[Path]) -> list[Path]:
    """Rasters that no other format's header describes and a GAMMA header does, with the headers."""
    taken = set(licsbas.claim(paths))
    files = [path for path in paths if path.suffix in _KINDS and path not in taken and _is_bare(path)]
    described = [path for path in files if shapes(headers(path))]
    side = [path for path in paths if path.suffix in (*HEADERS, *BASELINES)] if described else []
    return described + side


def _is_bare(path: Path) -> bool:
    return roipac.header_of(path) is None and envi.header_of(path) is None


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe all rasters as one product."""
    rasters = [path for path in paths if path.suffix in _KINDS]
    if not rasters:
        return []
    by_folder = {folder: headers(folder / "_") for folder in {path.parent for path in rasters}}
    order = _byte_order(rasters)
    layers = tuple(_layer(path, by_folder[path.parent], order) for path in rasters)
    pars = {file: par for found in by_folder.values() for file, par in found.items()}
    pars |= {path: read_par(path) for path in paths if path.suffix in HEADERS and not is_baseline(path)}
    pairs = {layer.pair for layer in layers if layer.pair is not None}
    return [Product("gamma_binary", layers, _attrs(pars), _baselines(pairs, paths, pars))]


def _byte_order(paths: Iterable[Path]) -> str:
    """Byte order the first telling file shows; big-endian, GAMMA's own, where none does."""
    orders = (byte_order(path, _KINDS[path.suffix][1]) for path in paths)
    return next((order for order in orders if order is not None), ">")


def _layer(path: Path, pars: Headers, order: str) -> Layer:
    variable, kind = _KINDS[path.suffix]
    grid = _grid(path, np.dtype(kind).itemsize, pars)
    source = open_binary(path, order + kind, grid.shape)
    is_height = variable == "elevation"
    pair = None if is_height else _pair(path)
    return Layer(
        variable,
        source,
        grid,
        pair=pair,
        zero_is_nodata=not is_height,
        convert=angle if kind == "c8" else None,
    )


def _pair(path: Path) -> Pair:
    pair = pair_of(path)
    if pair is None:
        raise ValueError(
            f"{path}: expected two dates (YYYYMMDD-YYYYMMDD or YYMMDD-YYMMDD) in its name; rename it"
        )
    return pair


def _grid(path: Path, itemsize: int, pars: Headers) -> Grid:
    """Grid of the first header, nearest in name first, whose shape fits the file's size."""
    pixels = path.stat().st_size / itemsize
    for file in sorted(pars, key=lambda file: _distance(path, file, pars[file])):
        size = shape(pars[file])
        if size is not None and size[0] * size[1] == pixels:
            return map_grid(pars[file]) or Grid(0.0, 0.0, 1.0, 1.0, size[1], size[0])
    known = ", ".join(f"{rows} x {cols}" for rows, cols in sorted(set(shapes(pars))))
    raise OSError(
        f"{path}: expected {itemsize} bytes per pixel of a raster that a header beside it describes (lines x "
        f"samples: {known}), got {path.stat().st_size} bytes; the file is truncated, or its header (.par, "
        ".off) is missing"
    )


def _distance(path: Path, file: Path, par: Par) -> tuple[bool, bool, bool, str]:
    """Rank of a header: the file's own, the pair's, a DEM's, any."""
    own = file.name.startswith(path.name) or file.stem == path.stem
    same_pair = pair_in(file.name) is not None and pair_in(file.name) == pair_in(path.name)
    return not own, not same_pair, "corner_lat" not in par and "corner_north" not in par, file.name


def _attrs(pars: Headers) -> dict[str, Any]:
    image = next((par for _, par in sorted(pars.items()) if "radar_frequency" in par), {})
    return track_attrs(image)


def _baselines(pairs: Iterable[Pair], paths: Sequence[Path], pars: Headers) -> dict[Pair, float]:
    """Perpendicular baseline of each pair that has a baseline file among ``paths`` or beside them."""
    folders = {place for path in paths for place in (path.parent, path.parent.parent)}
    beside = (file for folder in folders for file in folder.glob("*") if is_baseline(file) and file.is_file())
    files = sorted(
        {*beside, *(path for path in paths if is_baseline(path))}, key=lambda p: p.suffix == ".base_perp"
    )
    by_pair = {pair_in(file.name): file for file in files}
    image = next((par for _, par in sorted(pars.items()) if number(par, "sar_to_earth_center")), {})
    found = {pair: _baseline(by_pair[pair], image) for pair in pairs if pair in by_pair}
    return {pair: value for pair, value in found.items() if value is not None}


def _baseline(path: Path, image: Par) -> float | None:
    if path.suffix == ".base_perp":
        return mean_of_base_perp(path)
    return perpendicular_baseline(read_par(path), image)


READER = Reader(
    "gamma_binary",
    claim,
    parse,
    title="GAMMA binary",
    looks_for="*.unw, *.cc, *.cor, *.diff, *.int with a GAMMA .par, .dem_par or .off beside or above",
)
