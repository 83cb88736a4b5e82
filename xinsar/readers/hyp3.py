"""ASF HyP3 interferograms: GAMMA scenes, ISCE2 bursts and multi-bursts, in all their names.

Unwrapped and wrapped phase in radians, positive away for reference < secondary; ``los_disp`` in metres,
positive toward (used where the unwrapped phase is missing); nodata 0. ``lv_theta`` is the elevation of the
look vector above the horizontal and ``lv_phi`` its angle from east, counter-clockwise, both in radians and
pointing to the satellite (phi may exceed pi): E = cos theta cos phi, N = cos theta sin phi, U = sin theta.

``Baseline`` of the ``.txt`` file: GAMMA prints C cos(look) - N sin(look), the cube's sign. ISCE2 signs it
with (look vector x baseline) . velocity, which is negative where the second acquisition lies to the right
and up of a right-looking satellite: the opposite, so ISCE2's is negated.

Sources: ASF product guides (InSAR GAMMA, burst InSAR), hyp3-gamma and hyp3-isce2 (how the files are written),
ISCE2 ``runComputeBaseline.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers import raster
from xinsar.readers.layers import Combined, Layer, Pair, Product, Raster, Reader
from xinsar.readers.names import day
from xinsar.readers.orbit import (
    SENTINEL1_WAVELENGTH,
    burst_orbit,
    direction_of,
    normalised_heading,
    relative_orbit,
)
from xinsar.readers.sidecar import key_values, number

_LAYERS = {
    "unw_phase": "unwrapped_phase",
    "wrapped_phase": "phase",
    "corr": "coherence",
    "dem": "elevation",
    "water_mask": "water",
}
_CLOSED = [
    "amp",
    "conncomp",
    "inc_map_ell",
    "inc_map",
    "vert_disp",
    "lat_rdr",
    "lon_rdr",
    "los_rdr",
    "wrapped_phase_rdr",
]
_SUFFIX = "|".join([*_LAYERS, "lv_theta", "lv_phi", "los_disp", *_CLOSED])
_TAIL = rf"(?:_(?P<kind>{_SUFFIX})(?:_clip\w*)?\.tiff?$|[._])"
_ISCE_TAIL = rf"(?P<d1>\d{{8}})_(?P<d2>\d{{8}})_(?:VV|HH)_INT\d{{2}}_[0-9A-F]{{4}})(?=$|[._]){_TAIL}"
_EDGE = r"[EW]\d{3}_\d_[NS]\d{2}_\d"
_GAMMA = re.compile(
    r"(?P<job>S1(?P<platform>[ABCD])[ABCD]_(?P<d1>\d{8})T(?P<time>\d{6})_(?P<d2>\d{8})T\d{6}"
    rf"_(?:VV|HH)[PRO]\d{{3}}_INT\d{{2}}_G_[uw][ec][123F]_[0-9A-F]{{4}})(?=$|[._]){_TAIL}"
)
_ISCE2 = (
    re.compile(rf"(?P<job>S1_(?P<burst>\d{{6}})_IW[123]_{_ISCE_TAIL}"),
    re.compile(rf"(?P<job>S1_(?P<track>\d{{3}})_(?:\d{{6}}s\dn\d{{2}}-?){{3}}_IW_{_ISCE_TAIL}"),
    re.compile(rf"(?P<job>S1[ABCD]?_(?P<track>\d{{3}})_{_EDGE}_{_EDGE}_{_ISCE_TAIL}"),
)
_SAME_PASS = 180
_DAY = 86400


@dataclass(frozen=True)
class _Job:
    """One interferogram: the parts of its name, its rasters by kind, its parameters."""

    name: Mapping[str, str]
    rasters: Mapping[str, Path]
    entries: Mapping[str, str]

    @property
    def pair(self) -> Pair:
        first, second = day(self.name["d1"]), day(self.name["d2"])
        if first is None or second is None:
            raise ValueError(f"{self.name['job']}: expected two dates in the name")
        return first, second


def job_of(path: Path, *patterns: re.Pattern[str]) -> re.Match[str] | None:
    """Return the match of a HyP3 product name (any, or of the given patterns) at the start of a file name."""
    return next((m for p in patterns or (_GAMMA, *_ISCE2) if (m := p.match(path.name))), None)


def east(theta: Raster, phi: Raster) -> Raster:
    """Return cos theta cos phi; NaN where theta is 0 (nodata)."""
    return _seen(theta, np.cos(theta) * np.cos(phi))


def north(theta: Raster, phi: Raster) -> Raster:
    """Return cos theta sin phi; NaN where theta is 0 (nodata)."""
    return _seen(theta, np.cos(theta) * np.sin(phi))


def up(theta: Raster, phi: Raster) -> Raster:
    """Return sin theta; NaN where theta is 0 (nodata)."""
    return _seen(theta, np.sin(theta) + 0.0 * phi)


def _seen(theta: Raster, component: Raster) -> Raster:
    return np.where(theta == 0, np.nan, component)


def is_water(land: Raster) -> Raster:
    """Return 1 over water (0 in the mask), 0 over land."""
    return np.where(land == 0, np.float32(1.0), np.float32(0.0))


def _claim(patterns: Sequence[re.Pattern[str]], files: Sequence[Path]) -> list[Path]:
    return [path for path in files if job_of(path, *patterns)]


def _parse(product: str, patterns: Sequence[re.Pattern[str]], files: Sequence[Path]) -> list[Product]:
    """Describe the interferograms, one product per track."""
    jobs = _jobs(patterns, files)
    sign = 1.0 if product == "hyp3_gamma" else -1.0
    return [
        Product(
            product=product,
            layers=tuple(layer for job in track for layer in _job_layers(job)),
            attrs=_attrs(label, track),
            baselines={
                job.pair: sign * metres
                for job in track
                if (metres := number(job.entries, "baseline")) is not None
            },
        )
        for label, track in _tracks(jobs)
    ]


def _jobs(patterns: Sequence[re.Pattern[str]], files: Sequence[Path]) -> list[_Job]:
    """Return the interferograms with at least one raster; their ``.txt`` is found beside the raster."""
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    matches: dict[tuple[Path, str], re.Match[str]] = {}
    for path in files:
        match = job_of(path, *patterns)
        if match and match["kind"]:
            key = (path.parent, match["job"])
            found.setdefault(key, {})[match["kind"]] = path
            matches[key] = match
    return [_Job(matches[key].groupdict(), rasters, _entries(*key)) for key, rasters in found.items()]


def _entries(folder: Path, job: str) -> dict[str, str]:
    path = folder / f"{job}.txt"
    return key_values(path) if path.is_file() else {}


def _tracks(jobs: Sequence[_Job]) -> list[tuple[object, list[_Job]]]:
    """Return the interferograms by track: its number where name or orbit tell it, else its time of day."""
    passes: dict[object, list[_Job]] = {}
    for job in jobs:
        passes.setdefault(_own_track(job, passes), []).append(job)
    named: dict[object, list[_Job]] = {}
    for label, members in passes.items():
        numbers = [n for n in map(_orbit_track, members) if n is not None]
        named.setdefault(numbers[0] if numbers else label, []).extend(members)
    return list(named.items())


def _own_track(job: _Job, passes: Mapping[object, list[_Job]]) -> object:
    """Return the track of a burst, or the pass (within three minutes of the day) of a scene."""
    if job.name.get("burst"):
        return burst_orbit(int(job.name["burst"]))
    if job.name.get("track"):
        return int(job.name["track"])
    for label, members in passes.items():
        apart = abs(_seconds(job) - _seconds(members[0]))
        if min(apart, _DAY - apart) < _SAME_PASS:
            return label
    return f"at {job.name['time'][:2]}:{job.name['time'][2:4]} UTC"


def _seconds(job: _Job) -> int:
    time = job.name["time"]
    return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:])


def _orbit_track(job: _Job) -> int | None:
    """Return the track from the absolute orbit of the reference scene, or None."""
    absolute = number(job.entries, "referenceorbitnumber", "orbitnumber")
    platform = job.name.get("platform")
    return relative_orbit(platform, int(absolute)) if platform and absolute else None


def _job_layers(job: _Job) -> list[Layer]:
    """Return the layers of one interferogram."""
    layers = [_layer(job, kind, name) for kind, name in _LAYERS.items() if kind in job.rasters]
    if "unw_phase" not in job.rasters and "los_disp" in job.rasters:
        layers.append(_layer(job, "los_disp", "unwrapped_phase", -4.0 * math.pi / SENTINEL1_WAVELENGTH))
    if {"lv_theta", "lv_phi"} <= set(job.rasters):
        layers += _look_vector(job)
    return layers


def _layer(job: _Job, kind: str, variable: str, scale: float = 1.0) -> Layer:
    path = job.rasters[kind]
    header = raster.header(path)
    water = variable == "water"
    return Layer(
        variable=variable,
        source=raster.source(path, header),
        grid=header.grid,
        pair=None if kind in ("dem", "water_mask") else job.pair,
        scale=scale,
        zero_is_nodata=not water,
        convert=is_water if water else None,
        blocks=header.blocks,
    )


def _look_vector(job: _Job) -> list[Layer]:
    theta, phi = (raster.header(job.rasters[kind]) for kind in ("lv_theta", "lv_phi"))
    if theta.grid != phi.grid:
        raise ValueError(
            f"{job.rasters['lv_phi']}: expected the grid of {job.rasters['lv_theta'].name}, got another; "
            "clip both alike or leave them out"
        )
    parts = (
        raster.source(job.rasters["lv_theta"], theta),
        raster.source(job.rasters["lv_phi"], phi),
    )
    return [
        Layer("los", Combined(parts, function), theta.grid, component=k, blocks=theta.blocks)
        for k, function in enumerate((east, north, up))
    ]


def _attrs(label: object, jobs: Sequence[_Job]) -> dict[str, Any]:
    """Return the attributes of a track, medians over its interferograms."""
    attrs: dict[str, Any] = {"wavelength": SENTINEL1_WAVELENGTH, "sensor": "Sentinel-1", "track": label}
    headings = [h for job in jobs if (h := number(job.entries, "heading")) is not None]
    if headings:
        attrs["heading"] = float(np.median([normalised_heading(h) for h in headings]))
        attrs["orbit_direction"] = direction_of(attrs["heading"])
    ranges = [r for job in jobs if (r := number(job.entries, "slantrangecenter")) is not None]
    incidences = [i for job in jobs if (i := _incidence(job.entries)) is not None]
    attrs |= {"slant_range": float(np.median(ranges))} if ranges else {}
    return attrs | ({"incidence": float(np.median(incidences))} if incidences else {})


def _incidence(entries: Mapping[str, str]) -> float | None:
    """Return the incidence angle at mid range (degree) from height, Earth radius and slant range, or None."""
    height, earth = number(entries, "spacecraftheight"), number(entries, "earthradiusatnadir")
    slant = number(entries, "slantrangecenter")
    if height is None or earth is None or slant is None:
        return None
    cosine = ((earth + height) ** 2 - slant**2 - earth**2) / (2.0 * slant * earth)
    return math.degrees(math.acos(cosine)) if abs(cosine) <= 1 else None


READERS = (
    Reader(
        name="hyp3_gamma",
        claim=partial(_claim, (_GAMMA,)),
        parse=partial(_parse, "hyp3_gamma", (_GAMMA,)),
        title="ASF HyP3 GAMMA",
        looks_for="S1AA_<time>_<time>_VVP012_INT80_G_ueF_XXXX_unw_phase.tif",
    ),
    Reader(
        name="hyp3_isce2",
        claim=partial(_claim, _ISCE2),
        parse=partial(_parse, "hyp3_isce2", _ISCE2),
        title="ASF HyP3 ISCE2 burst or multi-burst",
        looks_for="S1_<burst>_IW1_<date>_<date>_VV_INT80_XXXX_unw_phase.tif",
    ),
)
