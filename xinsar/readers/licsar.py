"""LiCSAR frames: ``D1_D2/D1_D2.geo.{unw,cc,diff_pha}.tif`` and ``<frame>.geo.{E,N,U,hgt}.tif``.

Phase in radians, positive away for D1 < D2; ``cc`` as uint8 0..255, in older frames as float 0..1 (its type
tells); E, N, U: unit vector from the ground to the satellite; 0 is nodata in all of them. EPSG:4326.

``baselines`` holds one line per date, ``prime date baseline days``, or (older) nine columns per pair,
``number first second baseline days days1 days2 baseline1 baseline2`` with the last two relative to one
prime date. They come from GAMMA, so the baseline of a pair, second - first, has the cube's sign. The file
may be missing or lack dates. Sources: the LiCSAR portal; LiCSBAS (how the files are used).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers import raster
from xinsar.readers.layers import Layer, Product, Reader
from xinsar.readers.names import day
from xinsar.readers.orbit import SENTINEL1_WAVELENGTH, direction_of, normalised_heading
from xinsar.readers.sidecar import key_values, number

_PAIR_FILE = re.compile(r"(?P<d1>\d{8})_(?P<d2>\d{8})\.geo\.(?P<role>\w+)\.tiff?$")
_FRAME_FILE = re.compile(r"(?P<frame>\d{3}[AD]_\d{5}_\d{6})\.geo\.(?P<role>\w+)\.tiff?$")
_FRAME = re.compile(r"\d{3}[AD]_\d{5}_\d{6}")
_PAIR_ROLES = {
    "unw": "unwrapped_phase",
    "cc": "coherence",
    "diff_pha": "phase",
    "diff_unfiltered_pha": "phase",
}
_SECOND = ("diff_unfiltered_pha",)
_COMPONENTS = {"E": 0, "N": 1, "U": 2}
_BYTE = 255.0


def role_of(path: Path) -> re.Match[str] | None:
    """Return the match of a LiCSAR raster's name, with groups ``role`` and ``d1``, ``d2`` or ``frame``."""
    return _PAIR_FILE.match(path.name) or _FRAME_FILE.match(path.name)


def claim(files: Sequence[Path]) -> list[Path]:
    """Return the frame's rasters with its ``baselines`` and ``metadata.txt``."""
    rasters = [path for path in files if role_of(path)]
    return rasters + [p for p in files if rasters and p.name in ("baselines", "metadata.txt")]


def parse(files: Sequence[Path]) -> list[Product]:
    """Describe each frame as one product."""
    frames = sorted({frame for path in files if (frame := _frame_in(path))})
    only = frames[0] if len(frames) == 1 else None
    members: dict[str | None, list[Path]] = {}
    for path in files:
        members.setdefault(_frame_in(path) or only, []).append(path)
    return [_product(frame, paths) for frame, paths in members.items() if any(map(role_of, paths))]


def _frame_in(path: Path) -> str | None:
    """Return the frame in the file's name, else in the nearest folder named after one."""
    for name in (path.name, *(folder.name for folder in path.parents)):
        match = _FRAME.search(name)
        if match:
            return match.group()
    return None


def _product(frame: str | None, paths: Sequence[Path]) -> Product:
    layers = _layers(paths)
    by_date = _baselines(paths)
    pairs = {x.pair for x in layers if x.pair}
    return Product(
        product="licsar",
        layers=tuple(layers),
        attrs=_attrs(frame, paths),
        baselines={p: by_date[p[1]] - by_date[p[0]] for p in pairs if p[0] in by_date and p[1] in by_date},
        notes=() if by_date else ("the frame has no baselines file",),
    )


def _layers(paths: Sequence[Path]) -> list[Layer]:
    """Return the layers of one frame; the unfiltered phase only of pairs that have no filtered one."""
    found = [(path, match) for path in paths if (match := role_of(path))]
    filtered = {m["d1"] + m["d2"] for _, m in found if m["role"] == "diff_pha"}
    layers = []
    for path, match in found:
        role, parts = match["role"], match.groupdict()
        if "frame" in parts:
            layers += _frame_layer(path, role)
        elif role in _PAIR_ROLES and not (
            role == "diff_unfiltered_pha" and parts["d1"] + parts["d2"] in filtered
        ):
            layers.append(_pair_layer(path, role, parts))
    return layers


def _pair_layer(path: Path, role: str, parts: Mapping[str, str]) -> Layer:
    first, second = day(parts["d1"]), day(parts["d2"])
    if first is None or second is None:
        raise ValueError(f"{path}: expected two dates (YYYYMMDD_YYYYMMDD) in the name")
    header = raster.header(path)
    return Layer(
        variable=_PAIR_ROLES[role],
        source=raster.source(path, header),
        grid=header.grid,
        pair=(first, second),
        scale=1.0 / _BYTE if role == "cc" and header.dtype == np.uint8 else 1.0,
        zero_is_nodata=True,
        blocks=header.blocks,
    )


def _frame_layer(path: Path, role: str) -> list[Layer]:
    """Return the layer of a frame-wide raster: a component of the line of sight, or the elevation."""
    if role not in _COMPONENTS and role != "hgt":
        return []
    header = raster.header(path)
    return [
        Layer(
            variable="los" if role in _COMPONENTS else "elevation",
            source=raster.source(path, header),
            grid=header.grid,
            component=_COMPONENTS.get(role),
            zero_is_nodata=True,
            blocks=header.blocks,
        )
    ]


def _baselines(paths: Sequence[Path]) -> dict[np.datetime64, float]:
    """Return each date's baseline against the prime date, from lines of either form (others are skipped)."""
    found: dict[np.datetime64, float] = {}
    for path in paths:
        if path.name == "baselines":
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                found |= _dated(line.split())
    return found


def _dated(words: Sequence[str]) -> dict[np.datetime64, float]:
    columns: dict[int, list[tuple[int, float | int]]] = {4: [(1, 2)], 9: [(1, 7), (2, 8)]}
    try:
        known = {day(words[d]): float(words[int(b)]) for d, b in columns.get(len(words), [])}
    except ValueError:
        return {}
    if len(words) == 4:
        known.setdefault(day(words[0]), 0.0)
    return {date: metres for date, metres in known.items() if date is not None}


def _attrs(frame: str | None, paths: Sequence[Path]) -> dict[str, Any]:
    """Return the attributes of a frame, from its name and ``metadata.txt``."""
    attrs: dict[str, Any] = {"wavelength": SENTINEL1_WAVELENGTH, "sensor": "Sentinel-1"}
    if frame:
        attrs |= {"track": frame, "orbit_direction": "ascending" if frame[3] == "A" else "descending"}
    entries: dict[str, str] = {}
    for path in paths:
        if path.name == "metadata.txt":
            entries |= key_values(path, separator="=")
    heading, incidence = number(entries, "heading"), number(entries, "avg_incidence_angle")
    if heading is not None:
        attrs |= {"heading": normalised_heading(heading), "orbit_direction": direction_of(heading)}
    slant = number(entries, "centre_range_m", "center_range_m")
    attrs |= {} if incidence is None else {"incidence": incidence}
    return attrs | ({} if slant is None else {"slant_range": slant})


READER = Reader(
    name="licsar",
    claim=claim,
    parse=parse,
    title="COMET LiCSAR frame",
    looks_for="D1_D2.geo.{unw,cc,diff_pha}.tif, <frame>.geo.{E,N,U,hgt}.tif",
)
