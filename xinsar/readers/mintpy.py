"""MintPy HDF5: interferogram stack, time series, velocity, coherence and geometry of one track.

Phase is positive away, time series and velocity positive toward the satellite. ``dropIfgram`` is True for
pairs that are kept. 0 stands for missing values. ``X_FIRST``/``Y_FIRST`` are the outer corner of the first
pixel. Facts: insarlab/MintPy, docs/api/data_structure.md and dir_structure.md.

Of several versions of one thing the stack opens the time series with the longest name (the most corrected),
and the velocity with the shortest (``velocity.h5`` before ``velocityERA5.h5``, which is that of the delay);
the choice is said aloud, and any file opens by itself when it is given alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.hdf5 import Contents, HDF5Source, contents, is_hdf5, text, values
from xinsar.readers.layers import Combined, Grid, Layer, Pair, Product, Raster, Reader
from xinsar.readers.names import day
from xinsar.readers.orbit import normalised_heading
from xinsar.readers.raster import header, source

_MAPS = {
    "velocity": "velocity",
    "velocityStd": "velocity_sigma",
    "temporalCoherence": "temporal_coherence",
    "coherence": "mean_coherence",
    "height": "elevation",
    "latitude": "latitude",
    "longitude": "longitude",
}  # latitude and longitude are there in radar geometry only
_STACKS = {"unwrapPhase": "unwrapped_phase", "wrapPhase": "phase", "coherence": "coherence"}
_ANGLES = ("incidenceAngle", "azimuthAngle")
_ELEVATION_FILES = ("height.tif", "hgt.tif", "dem.tif")


@dataclass(frozen=True)
class DisplacementSource:
    """One date of a MintPy time series, counted from the series' first date.

    MintPy writes 0 for missing values, and 0 everywhere at its own reference date; missing there is what is
    0 at the ``witness`` date as well.

    Parameters
    ----------
    path
        The time series file.
    date, first
        Indices of the date to read and of the first date.
    reference
        Index of MintPy's reference date.
    witness
        Index of a date other than the reference.
    """

    path: Path
    date: int
    first: int
    reference: int
    witness: int

    def read(self, rows: slice, cols: slice) -> Raster:
        """Return displacement in metres, positive toward the satellite, NaN where missing."""
        return self._measured(self.date, rows, cols) - self._measured(self.first, rows, cols)

    def _measured(self, date: int, rows: slice, cols: slice) -> Raster:
        series = HDF5Source(self.path, "timeseries", (date,)).read(rows, cols)
        seen = series
        if date == self.reference:
            seen = HDF5Source(self.path, "timeseries", (self.witness,)).read(rows, cols)
        return np.where(seen == 0, np.nan, series)


def los_east(incidence: Raster, azimuth: Raster) -> Raster:
    """East component -sin(incidence) sin(azimuth) of the unit vector from the ground to the satellite.

    Incidence is measured from the vertical, azimuth from north counter-clockwise, target to platform;
    degrees. NaN where the incidence is 0, MintPy's missing value.
    """
    return -np.sin(_incidence(incidence)) * np.sin(np.deg2rad(azimuth))


def los_north(incidence: Raster, azimuth: Raster) -> Raster:
    """North component sin(incidence) cos(azimuth); see :func:`los_east`."""
    return np.asarray(np.sin(_incidence(incidence)) * np.cos(np.deg2rad(azimuth)))


def los_up(incidence: Raster, azimuth: Raster) -> Raster:
    """Up component cos(incidence); see :func:`los_east`."""
    return np.asarray(np.cos(_incidence(incidence)) + 0 * azimuth)


def _incidence(incidence: Raster) -> Raster:
    return np.deg2rad(np.where(incidence == 0, np.nan, incidence))


_LOS: tuple[Callable[..., Raster], ...] = (los_east, los_north, los_up)


def claim(paths: Sequence[Path]) -> list[Path]:
    """MintPy's HDF5 files and the height raster beside them."""
    found = [path for path in paths if is_hdf5(path) and _is_mintpy(contents(path))]
    folders = {path.parent for path in found}
    heights = [path for path in paths if path.name in _ELEVATION_FILES and path.parent in folders]
    return found + heights


def _is_mintpy(file: Contents) -> bool:
    return "FILE_TYPE" in file.attrs and "LENGTH" in file.attrs


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe one product per track."""
    files = [contents(path) for path in paths if is_hdf5(path)]
    tracks = _tracks(files)
    several = len(tracks) > 1
    products = [_product(track, paths, named=several) for track in tracks]
    return [product for product in products if product.layers]


def _tracks(files: Iterable[Contents]) -> list[list[Contents]]:
    """Group the files whose orbit, platform and acquisition time do not contradict each other."""
    tracks: list[list[Contents]] = []
    for file in files:
        home = next((t for t in tracks if all(_same_track(file, other) for other in t)), None)
        if home is None:
            tracks.append([file])
        else:
            home.append(file)
    return tracks


def _same_track(one: Contents, two: Contents) -> bool:
    keys = ("ORBIT_DIRECTION", "PLATFORM", "CENTER_LINE_UTC", "trackNumber")
    known = ((one.attrs.get(key), two.attrs.get(key)) for key in keys)
    return all(a is None or b is None or str(a).lower() == str(b).lower() for a, b in known)


def _product(files: Sequence[Contents], paths: Sequence[Path], *, named: bool) -> Product:
    layers, notes = _chosen([layer for file in files for layer in _layers(file)])
    layers += _height_raster(layers, paths)
    opened = {layer.path for layer in layers}
    attrs = _attrs(next((file for file in files if file.path in opened), files[0]))
    if named and "track" not in attrs:
        attrs["track"] = files[0].path.stem
    baselines = {pair: b for file in files if file.path in opened for pair, b in _baselines(file).items()}
    return Product("mintpy", tuple(layers), attrs, baselines, notes=notes)


def _layers(file: Contents) -> list[Layer]:
    if "timeseries" in file.shapes and "date" in file.shapes:
        return list(_series(file))
    if "date" in file.shapes and any(len(file.shapes.get(name, ())) == 3 for name in _STACKS):
        return list(_stack(file))
    return [_map(file, name) for name in _MAPS if len(file.shapes.get(name, ())) == 2] + _look(file)


def _map(file: Contents, name: str) -> Layer:
    """Layer of one two-dimensional dataset; 0 is a height like any other."""
    grid = _grid(file, name)
    return Layer(
        _MAPS[name],
        HDF5Source(file.path, name),
        grid,
        zero_is_nodata=name != "height",
        blocks=file.blocks(name),
    )


def _stack(file: Contents) -> Iterator[Layer]:
    """Layers of the kept pairs of an ``ifgramStack.h5``."""
    kept = _kept(file)
    for name, variable in _STACKS.items():
        if len(file.shapes.get(name, ())) != 3:
            continue
        grid, blocks = _grid(file, name), file.blocks(name)
        for k, pair in kept.items():
            one = HDF5Source(file.path, name, (k,))
            yield Layer(variable, one, grid, pair=pair, zero_is_nodata=True, blocks=blocks)


def _kept(file: Contents) -> dict[int, Pair]:
    """Return index and dates of the pairs whose ``dropIfgram`` is True (all where there is none)."""
    dates = [tuple(_date(file.path, word) for word in row) for row in values(file.path, "date")]
    keep = values(file.path, "dropIfgram") if "dropIfgram" in file.shapes else np.ones(len(dates), bool)
    if not np.any(keep):
        raise ValueError(
            f"{file.path}: dropIfgram is False for all {len(dates)} pairs, so that no pair is kept; "
            "run MintPy's modify_network.py --reset"
        )
    return {k: (first, second) for k, (first, second) in enumerate(dates) if keep[k]}


def _baselines(file: Contents) -> dict[Pair, float]:
    if "bperp" not in file.shapes or len(file.shapes.get("date", ())) != 2:
        return {}
    bperp = values(file.path, "bperp")
    return {pair: float(bperp[k]) for k, pair in _kept(file).items() if np.isfinite(bperp[k])}


def _series(file: Contents) -> Iterator[Layer]:
    """Displacement layers of a time series file, in metres from its first date on."""
    dates = [_date(file.path, word) for word in values(file.path, "date")]
    named = day(str(file.attrs.get("REF_DATE", "")))
    first = int(np.argmin(np.array(dates)))
    reference = dates.index(named) if named in dates else first
    witness = next((k for k in range(len(dates)) if k != reference), reference)
    grid, blocks = _grid(file, "timeseries"), file.blocks("timeseries")
    for k, date in enumerate(dates):
        one = DisplacementSource(file.path, k, first, reference, witness)
        yield Layer("displacement", one, grid, date=date, blocks=blocks)


def _look(file: Contents) -> list[Layer]:
    if not all(name in file.shapes for name in _ANGLES):
        return []
    angles = tuple(HDF5Source(file.path, name) for name in _ANGLES)
    grid, blocks = _grid(file, _ANGLES[0]), file.blocks(_ANGLES[0])
    return [
        Layer("los", Combined(angles, function), grid, component=k, blocks=blocks)
        for k, function in enumerate(_LOS)
    ]


def _date(path: Path, word: Any) -> np.datetime64:
    found = day(str(text(word)))
    if found is None:
        raise ValueError(f"{path}: expected dates as YYYYMMDD in dataset 'date', got {text(word)!r}")
    return found


def _chosen(layers: Sequence[Layer]) -> tuple[list[Layer], tuple[str, ...]]:
    """Keep one file per variable and grid; say which."""
    out: list[Layer] = []
    notes = []
    ordered = sorted(layers, key=_kind)
    for (variable, *_), group in groupby(ordered, key=_kind):
        rivals = list(group)
        files = sorted({layer.path for layer in rivals}, key=_preference(variable))
        out += [layer for layer in rivals if layer.path == files[0]]
        if len(files) > 1:
            others = ", ".join(path.name for path in files[1:])
            notes.append(
                f"{variable} was read from {files[0].name}, not from {others}; give a file alone to open it"
            )
    return out, tuple(dict.fromkeys(notes))


def _kind(layer: Layer) -> tuple[str, str, str]:
    return layer.variable, str(layer.grid.crs), repr(layer.grid)


def _preference(variable: str) -> Callable[[Path], tuple[Any, ...]]:
    def rank(path: Path) -> tuple[Any, ...]:
        stem = path.stem.removeprefix("geo_")
        if variable == "displacement":
            return not stem.startswith("timeseries"), "esidual" in stem, -len(stem), stem
        return not stem.startswith(("velocity", "ifgram", "geometry")), len(stem), stem

    return rank


def _grid_is_map(file: Contents) -> bool:
    return "X_FIRST" in file.attrs


def _grid(file: Contents, dataset: str) -> Grid:
    height, width = file.shapes[dataset][-2:]
    if not _grid_is_map(file):
        return Grid(0.0, 0.0, 1.0, 1.0, width, height)
    x, y, dx, dy = (float(file.attrs[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
    crs = _crs(file)
    return Grid(x, y, dx, dy, width, height, crs, None if crs else "m")


def _crs(file: Contents) -> str | None:
    """CRS from ``EPSG``, ``UTM_ZONE``, ``X_UNIT``; None where a metric grid names none."""
    epsg, zone = str(file.attrs.get("EPSG", "")), str(file.attrs.get("UTM_ZONE", ""))
    if epsg.isdigit():
        return f"EPSG:{epsg}"
    if zone[:-1].isdigit():
        return f"EPSG:{(32600 if zone[-1].upper() == 'N' else 32700) + int(zone[:-1])}"
    return "EPSG:4326" if str(file.attrs.get("X_UNIT", "degrees")).lower().startswith("deg") else None


def _attrs(file: Contents) -> dict[str, Any]:
    """Return the track's attributes; unknown ones are left out."""
    heading, track = _number(file, "HEADING"), str(file.attrs.get("trackNumber", ""))
    attrs = {
        "wavelength": _number(file, "WAVELENGTH"),
        "heading": None if heading is None else normalised_heading(heading),
        "incidence": _number(file, "incidenceAngle"),
        "slant_range": _slant_range(file),
        "orbit_direction": str(file.attrs.get("ORBIT_DIRECTION", "")).lower() or None,
        "sensor": file.attrs.get("PLATFORM"),
        "track": int(track) if track.isdigit() else None,
        "reference": _reference(file),
    }
    return {name: value for name, value in attrs.items() if value is not None}


def _number(file: Contents, name: str) -> float | None:
    try:
        return float(file.attrs[name])
    except (KeyError, ValueError):
        return None


def _slant_range(file: Contents) -> float | None:
    """Slant range of the scene centre, where near and far range are known."""
    near, far = _number(file, "startRange"), _number(file, "endRange")
    if near is not None and far is not None:
        return (near + far) / 2
    near, size, width = (_number(file, name) for name in ("STARTING_RANGE", "RANGE_PIXEL_SIZE", "WIDTH"))
    if near is None or size is None or width is None or _grid_is_map(file):
        return None
    return near + size * width / 2


def _reference(file: Contents) -> list[float] | None:
    """Centre of the reference pixel as [x, y] in the cube's coordinates."""
    col, row = _number(file, "REF_X"), _number(file, "REF_Y")
    if col is None or row is None:
        return None
    if not _grid_is_map(file):
        return [col + 0.5, row + 0.5]
    x, y, dx, dy = (float(file.attrs[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
    return [x + (col + 0.5) * dx, y + (row + 0.5) * dy]


def _height_raster(layers: Sequence[Layer], paths: Sequence[Path]) -> list[Layer]:
    """Elevation from a GeoTIFF beside the opened files and of their size, where no geometry file gives it."""
    if any(layer.variable == "elevation" for layer in layers):
        return []
    homes = {(layer.path.parent, layer.grid.shape) for layer in layers if layer.grid.crs is not None}
    for path in paths:
        if path.name in _ELEVATION_FILES:
            head = header(path)
            if (path.parent, head.grid.shape) in homes:
                return [
                    Layer("elevation", source(path, head), head.grid, nodata=head.nodata, blocks=head.blocks)
                ]
    return []


READER = Reader(
    "mintpy",
    claim,
    parse,
    title="MintPy HDF5",
    looks_for="*.h5 with MintPy attributes (ifgramStack, timeseries*, velocity, geometry*, ...)",
)
