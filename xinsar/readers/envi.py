"""ENVI rasters (``.hdr``) and headerless complex interferograms.

Complex values are interferograms (phase = angle). Real ones are told by their name: ``.unw`` unwrapped
phase (last band), ``.cor``/``.cc``/``coh`` coherence, ``.int``/``phase`` wrapped phase, ``.hgt``/``.dem``
heights. A ``.int`` without any header is complex64 and must be square; otherwise write an ENVI ``.hdr``
beside it. Phase is taken as positive away; a complex 0 is missing.

Dates come from two dates in the name or the folder's name. Without dates there is one pair and no
``reference_time``/``secondary_time``: filters and gradients work, stacks ask for the dates, which
``ds.assign_coords(reference_time=("pair", [...]), secondary_time=("pair", [...]))`` gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers import gamma_par, roipac
from xinsar.readers.binary import BinarySource, angle, byte_order, open_binary
from xinsar.readers.layers import Grid, Layer, Product, Reader
from xinsar.readers.names import pair_of

_TYPES = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_NAMES = {
    "unwrapped_phase": r"\.unw$|unw",
    "coherence": r"\.cor$|\.cc$|\.coh$|coh|corr",
    "phase": r"\.int$|phase|wrapped",
    "elevation": r"\.hgt$|\.dem$|hgt|dem|height",
}
_FIELD = re.compile(r"^\s*([\w ]+?)\s*=\s*(\{[^}]*\}|[^\n]*)", re.MULTILINE)

Header = Mapping[str, str]


def read_hdr(path: Path) -> Header:
    """Return the ``name = value`` fields of an ENVI header, names in lower case."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.startswith("ENVI"):
        raise ValueError(f"{path}: expected an ENVI header beginning with 'ENVI', got {text[:20]!r}")
    return {name.lower(): value.strip(" {}\r\n") for name, value in _FIELD.findall(text)}


def header_of(path: Path) -> Path | None:
    """Return the ENVI header of a raster: ``name.ext.hdr`` or ``name.hdr``; None where there is none."""
    if path.suffix == ".hdr":
        return None
    places = (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr"))
    return next((place for place in places if place.is_file() and _is_envi(place)), None)


def _is_envi(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"ENVI"


def claim(paths: Sequence[Path]) -> list[Path]:
    """Rasters with an ENVI header that tells what they are, headerless ``.int`` files, and the headers."""
    rasters = [path for path in paths if _is_described(path) or _is_headerless(path)]
    used = {header_of(path) for path in rasters}
    return rasters + [path for path in paths if path in used]


def _is_described(path: Path) -> bool:
    if path.suffix in (".hdr", ".tif", ".tiff") or roipac.header_of(path) is not None:
        return False
    hdr = header_of(path)
    return hdr is not None and _variable(path, _dtype(hdr, read_hdr(hdr))) is not None


def _is_headerless(path: Path) -> bool:
    """Whether only its size tells the shape of a ``.int``."""
    if path.suffix != ".int" or roipac.header_of(path) is not None or header_of(path) is not None:
        return False
    return not gamma_par.shapes(gamma_par.headers(path))


def _variable(path: Path, dtype: str) -> str | None:
    if np.dtype(dtype).kind == "c":
        return "phase"
    return next((name for name, pattern in _NAMES.items() if re.search(pattern, path.name.lower())), None)


def _dtype(path: Path, header: Header) -> str:
    code = int(header.get("data type", "0"))
    if code not in _TYPES:
        raise ValueError(
            f"{path}: expected an ENVI data type of {sorted(_TYPES)}, got {code}; correct the header"
        )
    return ("<" if header.get("byte order", "0") == "0" else ">") + _TYPES[code]


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe the rasters: dated ones as one product, undated ones as one per grid."""
    layers = [_layer(path) for path in paths if path.suffix != ".hdr"]
    dated = [layer for layer in layers if layer.pair is not None]
    rest = [layer for layer in layers if layer.pair is None]
    if dated:
        return [Product("envi", (*dated, *(layer for layer in rest if layer.variable == "elevation")))]
    _check_single(rest)
    return [Product("envi", tuple(rest))] if rest else []


def _check_single(layers: Sequence[Layer]) -> None:
    """Without dates nothing tells two interferograms, or two places, apart."""
    ordered = sorted(layers, key=lambda layer: layer.variable)
    for variable, group in groupby(ordered, key=lambda layer: layer.variable):
        files = [layer.path.name for layer in group]
        if len(files) > 1:
            raise ValueError(
                f"source: {', '.join(files)} are each {variable} without dates in their names, nothing "
                "tells which belongs where; open one at a time, or put two dates into their names"
            )


def _layer(path: Path) -> Layer:
    hdr = header_of(path)
    header = {} if hdr is None else read_hdr(hdr)
    source = _headerless(path) if hdr is None else _described(path, hdr, header)
    variable = _variable(path, source.dtype) or "phase"
    ignored = header.get("data ignore value")
    is_complex = np.dtype(source.dtype).kind == "c"
    return Layer(
        variable,
        source,
        _grid(header, source.shape),
        pair=None if variable == "elevation" else pair_of(path),
        nodata=None if ignored is None or is_complex else float(ignored),
        zero_is_nodata=is_complex,
        convert=angle if is_complex else None,
    )


def _described(path: Path, hdr: Path, header: Header) -> BinarySource:
    try:
        lines, samples = int(header["lines"]), int(header["samples"])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{hdr}: expected whole numbers 'lines' and 'samples'; the header is incomplete"
        ) from error
    bands = int(header.get("bands", "1"))
    interleave = header.get("interleave", "bsq").lower()
    offset = int(header.get("header offset", "0"))
    return open_binary(
        path,
        _dtype(hdr, header),
        (lines, samples),
        bands=bands,
        band=bands - 1,
        interleave=interleave,
        offset=offset,
    )


def _headerless(path: Path) -> BinarySource:
    """Complex64 of a square image."""
    pixels, rest = divmod(path.stat().st_size, 8)
    side = math.isqrt(pixels)
    if rest or side * side != pixels or not pixels:
        raise OSError(
            f"{path}: a .int without header is taken for a square complex64 image, got "
            f"{path.stat().st_size} bytes; it is truncated, or needs an ENVI header beside it"
        )
    return open_binary(path, (byte_order(path, "c8") or "<") + "c8", (side, side))


def _grid(header: Header, shape: tuple[int, int]) -> Grid:
    """Grid from ``map info``: (1, 1) is the outer corner of the first pixel."""
    words = [word.strip() for word in header.get("map info", "").split(",")]
    if len(words) < 7 or words[0].lower() == "arbitrary":
        return Grid(0.0, 0.0, 1.0, 1.0, shape[1], shape[0])
    col, row, x, y, dx, dy = (float(word) for word in words[1:7])
    return Grid(x - (col - 1) * dx, y + (row - 1) * dy, dx, -dy, shape[1], shape[0], **_crs(header, words))


def _crs(header: Header, words: Sequence[str]) -> dict[str, Any]:
    if "coordinate system string" in header:
        return {"crs": header["coordinate system string"]}
    if words[0].lower().startswith("geographic"):
        return {"crs": "EPSG:4326"}
    if words[0].upper() == "UTM" and len(words) > 8:
        base = 32700 if words[8].lower().startswith("s") else 32600
        return {"crs": f"EPSG:{base + int(words[7])}"}
    return {"units": "m"}


READER = Reader(
    "envi",
    claim,
    parse,
    title="ENVI or headerless complex",
    looks_for="complex rasters, *.unw, *.cor, *.int with an ENVI .hdr; square complex64 *.int without header",
)
