"""ROI_PAC: two-band ``.unw`` and ``.cor``, complex ``.int``, heights; one ``.rsc`` beside each.

``.unw``, ``.cor`` and ``.hgt`` hold amplitude and the value in alternate lines (BIL), ``.int`` is
complex64, ``.dem`` 16-bit integer; little-endian unless the values say otherwise. Phase is positive away
for the first date before the second; missing is 0. Dates are two of six (YYMMDD) or eight digits in the
name, else ``DATE12``. ``X_FIRST``/``Y_FIRST`` are the outer corner of the first pixel. The perpendicular
baseline is the mean of ``P_BASELINE_TOP_HDR`` and ``P_BASELINE_BOTTOM_HDR`` in ``D1_D2_baseline.rsc``, else
in the file's own ``.rsc``. Facts: ROI_PAC's file formats; insarlab/MintPy, prep_roipac.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xinsar.readers.binary import angle, byte_order, open_binary
from xinsar.readers.layers import Grid, Layer, Pair, Product, Reader
from xinsar.readers.names import pair_in, pair_of
from xinsar.readers.orbit import direction_of, normalised_heading

_VARIABLES = {
    ".unw": "unwrapped_phase",
    ".cor": "coherence",
    ".int": "phase",
    ".hgt": "elevation",
    ".dem": "elevation",
}
_NOT_OPENED = (".amp", ".mag", ".slc", ".raw", ".msk", ".trans", ".conncomp", ".byt")
_PER_PAIR = ("unwrapped_phase", "coherence", "phase")

Rsc = Mapping[str, str]


def read_rsc(path: Path) -> Rsc:
    """Return the ``KEY value`` lines of a ``.rsc``."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = (line.split(None, 1) for line in lines)
    return {pair[0]: pair[1].strip() for pair in words if len(pair) == 2}


def header_of(path: Path) -> Path | None:
    """Return the ``.rsc`` of a ROI_PAC raster, or None where there is none (or it is GAMMA's)."""
    rsc = path.with_name(path.name + ".rsc")
    if not rsc.is_file() or read_rsc(rsc).get("PROCESSOR", "roipac").lower() == "gamma":
        return None
    return rsc


def claim(paths: Sequence[Path]) -> list[Path]:
    """Rasters with a ``.rsc``, and the ``.rsc`` files."""
    rasters = [p for p in paths if p.suffix in (*_VARIABLES, *_NOT_OPENED) and header_of(p) is not None]
    return [*rasters, *(path for path in paths if path.suffix == ".rsc")] if rasters else []


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe all rasters as one product."""
    rasters = [path for path in paths if path.suffix in _VARIABLES]
    headers = {path: read_rsc(rsc) for path in rasters if (rsc := header_of(path)) is not None}
    if not headers:
        return []
    layers = tuple(_layer(path, rsc) for path, rsc in headers.items())
    return [Product("roipac", layers, _attrs(headers.values()), _baselines(layers, headers))]


def _layer(path: Path, rsc: Rsc) -> Layer:
    variable = _VARIABLES[path.suffix]
    pair = _pair(path, rsc) if variable in _PER_PAIR else None
    grid = _grid(path, rsc)
    kind = {".int": "c8", ".dem": "i2"}.get(path.suffix, "f4")
    order = "<" if kind == "i2" else byte_order(path, kind) or "<"
    bands = _bands(path, grid) if kind == "f4" else 1
    source = open_binary(path, order + kind, grid.shape, bands=bands, band=bands - 1, interleave="bil")
    is_phase = variable == "phase"
    zero = variable != "elevation"
    return Layer(variable, source, grid, pair=pair, zero_is_nodata=zero, convert=angle if is_phase else None)


def _bands(path: Path, grid: Grid) -> int:
    """Two bands, as ROI_PAC writes them, or one where the size says so (coherence of some later tools)."""
    return 1 if path.stat().st_size == 4 * grid.width * grid.height else 2


def _pair(path: Path, rsc: Rsc) -> Pair:
    pair = pair_in(path.name) or pair_in(rsc.get("DATE12", "")) or pair_of(path)
    if pair is None:
        raise ValueError(
            f"{path}: expected two dates of 6 or 8 digits in its name or DATE12 in its .rsc, got neither; "
            "add a line 'DATE12 YYMMDD-YYMMDD' to the .rsc"
        )
    return pair


def _grid(path: Path, rsc: Rsc) -> Grid:
    width, height = (_number(rsc, name) for name in ("WIDTH", "FILE_LENGTH"))
    if width is None or height is None:
        raise ValueError(
            f"{path}.rsc: expected WIDTH and FILE_LENGTH; the header is incomplete: copy it again"
        )
    if "X_FIRST" not in rsc:
        return Grid(0.0, 0.0, 1.0, 1.0, int(width), int(height))
    x, y, dx, dy = (float(rsc[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
    return Grid(x, y, dx, dy, int(width), int(height), **_crs(rsc))


def _crs(rsc: Rsc) -> dict[str, str]:
    """CRS: geographic, a UTM zone, an EPSG code, else metres without a CRS."""
    projection = rsc.get("PROJECTION", "").upper()
    zone = projection.removeprefix("UTM").strip()
    if rsc.get("X_UNIT", "degrees").lower().startswith("deg") and not projection.startswith("UTM"):
        return {"crs": "EPSG:4326"}
    if rsc.get("EPSG", "").isdigit():
        return {"crs": f"EPSG:{rsc['EPSG']}"}
    if zone.rstrip("NS").isdigit():
        return {"crs": f"EPSG:{(32700 if zone.endswith('S') else 32600) + int(zone.rstrip('NS'))}"}
    return {"units": "m"}


def _number(rsc: Rsc, *names: str) -> float | None:
    for name in names:
        try:
            return float(rsc[name].split()[0])
        except (KeyError, IndexError, ValueError):
            continue
    return None


def _attrs(headers: Iterable[Rsc]) -> dict[str, Any]:
    """Return wavelength, heading, orbit direction and sensor from the first header that has each."""
    attrs: dict[str, Any] = {}
    for rsc in headers:
        heading = _number(rsc, "HEADING", "HEADING_DEG")
        found = {
            "wavelength": _number(rsc, "WAVELENGTH"),
            "heading": None if heading is None else normalised_heading(heading),
            "sensor": rsc.get("PLATFORM"),
            "orbit_direction": _direction(rsc, heading),
        }
        attrs = {**{name: value for name, value in found.items() if value is not None}, **attrs}
    return attrs


def _direction(rsc: Rsc, heading: float | None) -> str | None:
    named = rsc.get("ORBIT_DIRECTION", "").lower()
    return named or (None if heading is None else direction_of(heading))


def _baselines(layers: Iterable[Layer], headers: Mapping[Path, Rsc]) -> dict[Pair, float]:
    """Perpendicular baseline of each pair."""
    found: dict[Pair, float] = {}
    for layer in layers:
        if layer.pair is not None and layer.pair not in found:
            mean = _mean_baseline(_baseline_header(layer.path)) or _mean_baseline(headers[layer.path])
            if mean is not None:
                found[layer.pair] = mean
    return found


def _baseline_header(path: Path) -> Rsc:
    """Return the ``D1_D2_baseline.rsc`` in the raster's folder or above it, else an empty one."""
    wanted = pair_of(path)
    for folder in (path.parent, path.parent.parent):
        for candidate in sorted(folder.glob("*_baseline.rsc")):
            if wanted is not None and pair_in(candidate.name) == wanted:
                return read_rsc(candidate)
    return {}


def _mean_baseline(rsc: Rsc) -> float | None:
    top, bottom = _number(rsc, "P_BASELINE_TOP_HDR"), _number(rsc, "P_BASELINE_BOTTOM_HDR")
    return None if top is None or bottom is None else (top + bottom) / 2


READER = Reader(
    "roipac",
    claim,
    parse,
    title="ROI_PAC",
    looks_for="*.unw, *.cor, *.int, *.hgt, *.dem with a .rsc beside each",
)
