"""GAMMA's text headers: image, DEM, offset and baseline files. Facts of the format, no pixel.

GAMMA names the centre of the upper left pixel in ``corner_lat``/``corner_lon`` and
``corner_north``/``corner_east`` (pyroSAR's documentation of ISP headers; LiCSBAS writes its ``EQA.dem_par``
so), so the outer corner lies half a step outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.layers import Grid
from xinsar.readers.orbit import direction_of, normalised_heading

SPEED_OF_LIGHT = 299792458.0
"""Metres per second."""

_WIDTH = ("width", "interferogram_width", "range_samples", "range_samp_1")
_LINES = ("nlines", "interferogram_azimuth_lines", "azimuth_lines", "az_samp_1")
_LONGEST_HEADER = 1 << 18

HEADERS = (".par", ".dem_par", ".off", ".diff_par")
"""Endings of files that describe an image, a map or an interferogram."""

BASELINES = (".base", ".baseline", ".base_perp")
"""Endings of baseline files, beside ``*_base.par``."""

Par = Mapping[str, list[str]]
Headers = Mapping[Path, Par]


def headers(path: Path) -> Headers:
    """Return the headers in the raster's folder and the one above, baseline files left out."""
    folders = (path.parent, path.parent.parent)
    found = [file for folder in folders for file in sorted(folder.glob("*")) if file.suffix in HEADERS]
    return {file: read_par(file) for file in found if not is_baseline(file)}


def is_baseline(path: Path) -> bool:
    """Whether the name is that of a baseline file."""
    return path.suffix in BASELINES or path.stem.endswith("base")


def shapes(pars: Headers) -> list[tuple[int, int]]:
    """Return lines and samples of every header that gives them."""
    return [size for par in pars.values() if (size := shape(par)) is not None]


def read_par(path: Path) -> Par:
    """Return ``key: words`` of a header; empty where the file is not text of that form."""
    if path.stat().st_size > _LONGEST_HEADER:
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    split = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): words.split() for key, words in split}


def number(par: Par, *names: str) -> float | None:
    """Return the first word of the first of ``names`` that is there as a number, or None."""
    for name in names:
        try:
            return float(par[name][0])
        except (KeyError, IndexError, ValueError):
            continue
    return None


def shape(par: Par) -> tuple[int, int] | None:
    """Lines and samples of the raster a header describes, or None."""
    lines, width = number(par, *_LINES), number(par, *_WIDTH)
    return None if lines is None or width is None else (int(lines), int(width))


def map_grid(par: Par) -> Grid | None:
    """Return the grid of a DEM header (``EQA`` or ``UTM``), or None where the header describes no map."""
    size = shape(par)
    axes = [
        number(par, f"{what}_{first}", f"{what}_{second}")
        for what in ("corner", "post")
        for first, second in (("lon", "east"), ("lat", "north"))
    ]
    if size is None or any(value is None for value in axes):
        return None
    x, y, dx, dy = (float(value) for value in axes if value is not None)
    return Grid(x - dx / 2, y - dy / 2, dx, dy, size[1], size[0], **_crs(par))


def _crs(par: Par) -> dict[str, str]:
    """CRS of a DEM header: geographic WGS 84, its UTM zones, else metres without a CRS."""
    zone = number(par, "projection_zone")
    if "corner_lat" in par:
        return {"crs": "EPSG:4326"}
    if zone is None or par.get("DEM_projection", ["UTM"])[0] != "UTM":
        return {"units": "m"}
    south = (number(par, "false_northing") or 0.0) > 0
    return {"crs": f"EPSG:{(32700 if south else 32600) + int(zone)}"}


def track_attrs(par: Par) -> dict[str, Any]:
    """Return wavelength, heading, orbit direction, incidence, slant range and sensor of an image header."""
    frequency, heading = number(par, "radar_frequency"), number(par, "heading")
    attrs: dict[str, Any] = {
        "wavelength": SPEED_OF_LIGHT / frequency if frequency else None,
        "heading": heading,
        "incidence": number(par, "incidence_angle"),
        "slant_range": number(par, "center_range_slc"),
        "sensor": par["sensor"][0] if par.get("sensor") else None,
    }
    if heading is not None:
        attrs |= {"heading": normalised_heading(heading), "orbit_direction": direction_of(heading)}
    return {name: value for name, value in attrs.items() if value is not None}


def perpendicular_baseline(base: Par, image: Par) -> float | None:
    """Perpendicular baseline in metres at the scene centre, from a baseline file and an image header.

    B = C cos(look) - N sin(look), where C and N are the cross-track and the nadir-pointing components from
    the first to the second acquisition and the look angle follows from orbit radius, Earth radius and
    range: positive where the second acquisition raises the look angle's sensitivity. The precise components
    are preferred to the initial ones. None where either header lacks what is needed.
    """
    components = _components(base, "precision_baseline(TCN)") or _components(base, "initial_baseline(TCN)")
    orbit = number(image, "sar_to_earth_center")
    earth = number(image, "earth_radius_below_sensor")
    reach = number(image, "center_range_slc")
    if components is None or orbit is None or earth is None or reach is None:
        return None
    cos_look = (orbit**2 + reach**2 - earth**2) / (2 * orbit * reach)
    return components[1] * cos_look - components[2] * float(np.sqrt(1 - cos_look**2))


def _components(base: Par, name: str) -> tuple[float, float, float] | None:
    """Return T, C, N of a baseline line; None where it is missing or all zero (not estimated)."""
    try:
        t, c, n = (float(word) for word in base[name][:3])
    except (KeyError, ValueError):
        return None
    return (t, c, n) if any((t, c, n)) else None


def mean_of_base_perp(path: Path) -> float | None:
    """Return the mean perpendicular baseline of a ``.base_perp`` listing, or None.

    Metres. The table follows the heading ``... bpara bperp blen``; the perpendicular baseline is the eighth
    of nine columns.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split() for line in lines]
    start = next((i + 1 for i, words in enumerate(rows) if "bperp" in words), len(rows))
    found = [float(words[7]) for words in rows[start:] if len(words) == 9 and _is_number(words[7])]
    return float(np.mean(found)) if found else None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
