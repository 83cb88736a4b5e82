"""NSBAS and KFTS-InSAR stacks in HDF5: interferograms with an incidence matrix.

Datasets: ``igram`` or ``figram`` (pair, y, x), ``Jmat`` (pair, date), ``bperp`` (pair) m, ``dates``
(ordinal days, 1 = 1 January of year 1) and ``tims`` (years of 365.25 d). Interferogram k is the sum over
dates j of Jmat[k, j] phi_j: its first date is the one with -1, its second the one with +1, whichever is
later; reversed ones are flipped on opening. The unit is not stated in the files: values are taken as
radians, positive away from the satellite, as they are. Missing values are NaN; 0 is a value. Facts:
ManonDls/KFTS-InSAR, docs fmt.rst.

``lat.flt`` and ``lon.flt`` (float32, little-endian, pixel centres) beside the file give the map: a regular
grid where they are regular, else coordinates ``latitude`` and ``longitude`` on (y, x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.binary import BinarySource, open_binary
from xinsar.readers.hdf5 import Contents, HDF5Source, contents, is_hdf5, values
from xinsar.readers.layers import Grid, Layer, Pair, Product, Reader

_STACKS = ("igram", "figram")
_COORDINATES = {"latitude": "lat.flt", "longitude": "lon.flt"}
_FIRST_ORDINAL = 500_000
_YEAR = 365.25
_REGULAR = 0.01

Numbers = np.ndarray[Any, np.dtype[Any]]


def claim(paths: Sequence[Path]) -> list[Path]:
    """Stacks with an incidence matrix, and the coordinates beside them."""
    stacks = [path for path in paths if is_hdf5(path) and _is_stack(contents(path))]
    folders = {path.parent for path in stacks}
    return stacks + [p for p in paths if p.name in _COORDINATES.values() and p.parent in folders]


def _is_stack(file: Contents) -> bool:
    return "Jmat" in file.shapes and any(len(file.shapes.get(name, ())) == 3 for name in _STACKS)


def parse(paths: Sequence[Path]) -> list[Product]:
    """Describe all stacks as one product."""
    layers: list[Layer] = []
    baselines: dict[Pair, float] = {}
    for path in paths:
        if is_hdf5(path):
            file = contents(path)
            pairs = _pairs(file)
            layers += _layers(file, pairs)
            baselines |= _baselines(file, pairs)
    places = {layer.source: layer for layer in layers if layer.pair is None}
    return [Product("nsbas", (*(m for m in layers if m.pair is not None), *places.values()), {}, baselines)]


def _layers(file: Contents, pairs: Sequence[Pair]) -> Iterator[Layer]:
    name = next(name for name in _STACKS if name in file.shapes)
    grid, coordinates = _place(file.path, file.shapes[name][-2:])
    for k, pair in enumerate(pairs):
        source = HDF5Source(file.path, name, (k,))
        yield Layer("unwrapped_phase", source, grid, pair=pair, blocks=file.blocks(name))
    for variable, coordinate in coordinates.items():
        yield Layer(variable, coordinate, grid)


def _pairs(file: Contents) -> list[Pair]:
    """Return (date with -1, date with +1) of each row of the incidence matrix."""
    matrix, dates = values(file.path, "Jmat"), _dates(file)
    good = (
        ((matrix == 1).sum(axis=1) == 1)
        & ((matrix == -1).sum(axis=1) == 1)
        & ((matrix != 0).sum(axis=1) == 2)
    )
    if not good.all():
        raise ValueError(
            f"{file.path}: expected one -1 and one +1 in every row of Jmat, got {matrix[~good][0]} in row "
            f"{int(np.flatnonzero(~good)[0])}; remove that interferogram"
        )
    return [
        (dates[first], dates[second])
        for first, second in zip(matrix.argmin(1), matrix.argmax(1), strict=True)
    ]


def _dates(file: Contents) -> list[np.datetime64]:
    """Return the acquisition days.

    ``dates`` are used where they are ordinal days; where they are decimal years only the first one is, and
    ``tims`` counts on from it.
    """
    days = np.asarray(values(file.path, "dates"), float)
    if days.min() < _FIRST_ORDINAL:
        years = np.asarray(values(file.path, "tims"), float)
        days = _ordinal(float(days[0])) + np.round((years - years[0]) * _YEAR)
    return [np.datetime64(date.fromordinal(int(day)).isoformat(), "ns") for day in days]


def _ordinal(year: float) -> int:
    """Ordinal day of a decimal year."""
    start = date(int(year), 1, 1).toordinal()
    length = date(int(year) + 1, 1, 1).toordinal() - start
    return start + round((year - int(year)) * length)


def _baselines(file: Contents, pairs: Sequence[Pair]) -> dict[Pair, float]:
    if "bperp" not in file.shapes:
        return {}
    bperp = values(file.path, "bperp")
    return {pair: float(b) for pair, b in zip(pairs, bperp, strict=True) if np.isfinite(b)}


def _place(path: Path, shape: tuple[int, ...]) -> tuple[Grid, dict[str, BinarySource]]:
    """Return the grid, and the coordinate rasters where the grid is not regular."""
    height, width = shape
    plain = Grid(0.0, 0.0, 1.0, 1.0, width, height)
    files = {variable: path.parent / name for variable, name in _COORDINATES.items()}
    if not all(file.is_file() for file in files.values()):
        return plain, {}
    sources = {variable: open_binary(file, "<f4", (height, width)) for variable, file in files.items()}
    regular = _regular(sources["latitude"], sources["longitude"], plain)
    return (plain, sources) if regular is None else (regular, {})


def _regular(latitude: BinarySource, longitude: BinarySource, plain: Grid) -> Grid | None:
    """Return the geographic grid that first, middle and last rows and columns agree on, or None."""
    along_y = [_axis(line) for line in _lines(latitude, plain.width, column=True)]
    along_x = [_axis(line) for line in _lines(longitude, plain.height, column=False)]
    if not (_agree(along_y) and _agree(along_x)):
        return None
    (y, dy), (x, dx) = along_y[0] or (0.0, 0.0), along_x[0] or (0.0, 0.0)
    return Grid(x - dx / 2, y - dy / 2, dx, dy, plain.width, plain.height, "EPSG:4326")


def _lines(source: BinarySource, count: int, *, column: bool) -> list[Numbers]:
    """First, middle and last column (or row) of a coordinate raster."""
    whole = slice(None)
    places = [slice(k, k + 1) for k in (0, count // 2, count - 1)]
    return [(source.read(whole, k) if column else source.read(k, whole)).ravel() for k in places]


def _axis(line: Numbers) -> tuple[float, float] | None:
    """First value and step of evenly spaced numbers, or None where they are not."""
    start, step = float(line[0]), (float(line[-1]) - float(line[0])) / max(line.size - 1, 1)
    even = start + step * np.arange(line.size)
    allowed = max(_REGULAR * abs(step), float(np.spacing(np.abs(line).max())))
    return (start, step) if step and np.abs(line - even).max() <= allowed else None


def _agree(axes: Sequence[tuple[float, float] | None]) -> bool:
    first = axes[0]
    return first is not None and all(
        axis is not None and abs(axis[0] - first[0]) + abs(axis[1] - first[1]) < _REGULAR * abs(first[1])
        for axis in axes
    )


READER = Reader(
    "nsbas", claim, parse, title="NSBAS HDF5", looks_for="*.h5 with datasets igram (or figram) and Jmat"
)
