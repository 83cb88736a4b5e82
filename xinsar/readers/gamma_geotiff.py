"""GAMMA and PyRate GeoTIFFs: one file per pair, dates in the name or the tags.

``*_D1-D2_*unw.tif`` (rad, positive away for D1 < D2; PyRate keeps that sense, and may have turned it to mm),
``*_D1-D2_*cc.tif``, ``*dem.tif``, with GAMMA's parameter files (``*_mli.par``, ``*_base.par``) among the
files. Nodata is the declared value, usually 0. Sources: GAMMA's parameter files; PyRate ``constants.py``,
``ifgconstants.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers import gamma_par, hyp3, licsar, raster
from xinsar.readers.layers import Layer, Pair, Product, Reader
from xinsar.readers.messages import spell_files
from xinsar.readers.names import day, pair_in
from xinsar.readers.orbit import direction_of, normalised_heading

_TOKENS = {
    "unwrapped_phase": {"unw", "unwrapped", "ifg"},
    "coherence": {"cc", "coh", "cor", "corr", "coherence"},
    "phase": {"int", "wrapped", "wrap", "pha"},
    "elevation": {"dem", "hgt"},
}
_TYPES = {"IFG": "unwrapped_phase", "COH": "coherence", "DEM": "elevation"}
_EARTH, _ORBIT = 6371e3, 7071e3


@dataclass(frozen=True)
class _File:
    path: Path
    header: raster.Header
    variable: str | None
    pair: Pair | None


def claim(files: Sequence[Path]) -> list[Path]:
    """Return GeoTIFFs named after a pair (not HyP3's, not LiCSAR's), DEMs and parameter files."""
    return [path for path in files if _is_raster(path) or path.suffix in (".par", ".base")]


def parse(files: Sequence[Path]) -> list[Product]:
    """Describe the rasters as one product; nothing where no raster holds a pair."""
    rasters = [_describe(path) for path in files if _is_raster(path)]
    if not any(f.pair and f.variable for f in rasters):
        return []
    tags = [f.header.tags for f in rasters if f.pair]
    pars = [(path, gamma_par.read_par(path)) for path in files if path.suffix in (".par", ".base")]
    attrs = _tag_attrs(tags) | _image_attrs([par for _, par in pars if "radar_frequency" in par])
    attrs |= {k: v for k, v in _tag_attrs(tags).items() if k == "wavelength"}
    return [
        Product(
            product="gamma_geotiff",
            layers=tuple(_layer(f, attrs.get("wavelength")) for f in rasters if _opens(f)),
            attrs=attrs,
            baselines=_tag_baselines(rasters) | _par_baselines(pars, attrs.get("incidence")),
            notes=_notes([f.path for f in rasters if not _opens(f)]),
        )
    ]


def _is_raster(path: Path) -> bool:
    if path.suffix.lower() not in (".tif", ".tiff") or hyp3.job_of(path) or licsar.role_of(path):
        return False
    return pair_in(path.name) is not None or _by_name(path) == "elevation"


def _by_name(path: Path) -> str | None:
    words = set(re.split(r"[._\-]", path.stem.lower()))
    return next((variable for variable, tokens in _TOKENS.items() if words & tokens), None)


def _describe(path: Path) -> _File:
    """Read a file's header: the tag of its type decides what it is, else its name."""
    header = raster.header(path)
    kind = header.tags.get("DATA_TYPE")
    known = next((variable for word, variable in _TYPES.items() if kind and word in kind), None)
    return _File(path, header, known if kind else _by_name(path), _pair(path, header.tags))


def _pair(path: Path, tags: Mapping[str, str]) -> Pair | None:
    first, second = (day(tags.get(f"{word}_DATE", "").replace("-", "")) for word in ("FIRST", "SECOND"))
    return (first, second) if first is not None and second is not None else pair_in(path.name)


def _opens(file: _File) -> bool:
    return file.variable == "elevation" or (file.variable is not None and file.pair is not None)


def _notes(unused: Sequence[Path]) -> tuple[str, ...]:
    if not unused:
        return ()
    return (f"{len(unused)} rasters tell neither by name nor by tag what they hold: {spell_files(unused)}",)


def _layer(file: _File, wavelength: float | None) -> Layer:
    header = file.header
    return Layer(
        variable=str(file.variable),
        source=raster.source(file.path, header),
        grid=header.grid,
        pair=None if file.variable == "elevation" else file.pair,
        scale=_scale(file, wavelength),
        nodata=header.nodata,
        convert=np.angle if header.dtype.kind == "c" else None,
        blocks=header.blocks,
    )


def _scale(file: _File, wavelength: float | None) -> float:
    """Return the factor to radians: 1, or from millimetres of range, positive away, as PyRate may write."""
    if file.variable != "unwrapped_phase" or file.header.tags.get("DATA_UNITS") != "MILLIMETRES":
        return 1.0
    if wavelength is None:
        raise ValueError(f"{file.path}: in millimetres without a wavelength (tag WAVELENGTH_METRES)")
    return 4.0 * math.pi / (1000.0 * wavelength)


def _tag_attrs(tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return what the rasters' own tags tell of the track, medians over the files."""
    keys = {
        "wavelength": "WAVELENGTH_METRES",
        "incidence": "INCIDENCE_DEGREES",
        "heading": "HEADING_DEGREES",
    }
    attrs: dict[str, Any] = {
        name: float(np.median([float(t[key]) for t in tags if key in t]))
        for name, key in keys.items()
        if any(key in t for t in tags)
    }
    return attrs | _orbit(attrs)


def _image_attrs(pars: Sequence[gamma_par.Par]) -> dict[str, Any]:
    """Return what the images' parameter files tell of the track, medians over the dates."""
    each = [gamma_par.track_attrs(par) for par in pars]
    attrs: dict[str, Any] = {}
    for name in dict.fromkeys(key for one in each for key in one):
        values = [one[name] for one in each if name in one]
        attrs[name] = float(np.median(values)) if isinstance(values[0], float) else values[0]
    return attrs | _orbit(attrs)


def _orbit(attrs: Mapping[str, Any]) -> dict[str, Any]:
    if "heading" not in attrs:
        return {}
    heading = normalised_heading(attrs["heading"])
    return {"heading": heading, "orbit_direction": direction_of(heading)}


def _tag_baselines(files: Sequence[_File]) -> dict[Pair, float]:
    """Return PyRate's own baselines, C cos(look) - N sin(look) as in GAMMA: the cube's sign."""
    key = "BASELINE_PERP_METRES"
    return {f.pair: float(f.header.tags[key]) for f in files if f.pair and key in f.header.tags}


def _par_baselines(pars: Sequence[tuple[Path, gamma_par.Par]], incidence: float | None) -> dict[Pair, float]:
    """Return the perpendicular baselines of the baseline files, at the look angle of the first image.

    Without an image's parameter file the look angle is that of a satellite 700 km high at ``incidence``.
    """
    images = {_date(path, par): par for path, par in pars if "sar_to_earth_center" in par}
    typical = next(iter(images.values()), None) or _typical_image(incidence)
    found: dict[Pair, float] = {}
    for path, par in pars:
        pair = pair_in(path.name)
        if pair is not None and "initial_baseline(TCN)" in par:
            metres = gamma_par.perpendicular_baseline(par, images.get(pair[0], typical))
            found |= {} if metres is None else {pair: metres}
    return found


def _date(path: Path, par: gamma_par.Par) -> np.datetime64 | None:
    """Return the day of an image from its ``date: year month day`` entry, else from its name."""
    spelled = "".join(word.split(".")[0].zfill(2) for word in par.get("date", [])[:3])
    in_name = re.search(r"(?<!\d)\d{8}(?!\d)", path.name)
    return day(spelled) if day(spelled) is not None else (day(in_name.group()) if in_name else None)


def _typical_image(incidence: float | None) -> gamma_par.Par:
    if incidence is None:
        return {}
    i = math.radians(incidence)
    reach = math.sqrt(_ORBIT**2 - (_EARTH * math.sin(i)) ** 2) - _EARTH * math.cos(i)
    lengths = {"sar_to_earth_center": _ORBIT, "earth_radius_below_sensor": _EARTH, "center_range_slc": reach}
    return {key: [str(length)] for key, length in lengths.items()}


READER = Reader(
    name="gamma_geotiff",
    claim=claim,
    parse=parse,
    title="GAMMA or PyRate GeoTIFF",
    looks_for="*_YYYYMMDD-YYYYMMDD_*{unw,ifg,cc,coh}.tif",
)
