"""What a task does: read one window of one layer as the cube sees it.

Missing values, the zero rule, conversion, sign and unit, the place on the cube's grid and, for a raster off
the lattice, the shift by a part of a pixel: all of it happens here, on one tile, when it is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xinsar.readers import lattice
from xinsar.readers.layers import Grid, Layer, Raster, Source

_TURN = math.pi + 1e-3
_OVERSHOOT = 0.1


@dataclass(frozen=True)
class View:
    """A layer as seen from a grid: pixel (row, col) of that grid is the layer's first one, north up.

    A row or col that is not whole means the layer is off the grid's lattice and is shifted on reading.
    """

    variable: str
    source: Source
    shape: tuple[int, int]
    row: float
    col: float
    flips: tuple[bool, bool]
    scale: float
    nodata: float | None
    zero_is_nodata: bool
    convert: Callable[[Raster], Raster] | None
    guard: View | None = None

    @property
    def path(self) -> Path:
        """The file, for messages."""
        return self.source.path


def view(layer: Layer, grid: Grid, *, guard: Layer | None = None, sign: float = 1.0) -> View:
    """Return ``layer`` as seen from ``grid`` (north up); ``guard`` is the coherence of the zero rule."""
    own = lattice.north_up(layer.grid)
    row, col = lattice.offset(own, grid)
    zero = layer.zero_is_nodata or layer.nodata == 0.0
    return View(
        variable=layer.variable,
        source=layer.source,
        shape=layer.grid.shape,
        row=row,
        col=col,
        flips=lattice.flips(layer.grid),
        scale=layer.scale * sign,
        nodata=None if layer.nodata == 0.0 else layer.nodata,
        zero_is_nodata=zero,
        convert=layer.convert,
        guard=view(guard, own) if zero and guard is not None else None,
    )


def read_tile(views: Sequence[View], rows: slice, cols: slice) -> Raster:
    """Return one (1, y, x) float32 tile: the first of ``views``, its gaps filled from the next ones."""
    out = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
    for one in views:
        gaps = np.isnan(out)
        if not gaps.any():
            break
        np.copyto(out, read_window(one, rows, cols), where=gaps)
    return out[np.newaxis]


def read_window(view: View, rows: slice, cols: slice) -> Raster:
    """Return the window of the grid (it may stick out of the layer) as float32, NaN where missing."""
    if not (float(view.row).is_integer() and float(view.col).is_integer()):
        return _shifted(view, rows, cols)
    out = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
    into_y, from_y = _overlap(rows, int(view.row), view.shape[0])
    into_x, from_x = _overlap(cols, int(view.col), view.shape[1])
    if from_y.stop > from_y.start and from_x.stop > from_x.start:
        out[into_y, into_x] = _values(view, from_y, from_x)
    return out


def _overlap(wanted: slice, start: int, length: int) -> tuple[slice, slice]:
    """Return the shared part of ``wanted`` and a layer of ``length`` at ``start``: as slices of both."""
    low, high = max(wanted.start, start), min(wanted.stop, start + length)
    high = max(low, high)
    return slice(low - wanted.start, high - wanted.start), slice(low - start, high - start)


def _values(view: View, rows: slice, cols: slice) -> Raster:
    """Return a window that lies inside the layer, in the cube's unit and sign."""
    raw = _raw(view, rows, cols)
    missing = _missing(view, raw, rows, cols)
    values = raw if view.convert is None else view.convert(raw)
    out = np.array(values, np.float32, order="C")
    if view.scale != 1.0:
        out *= np.float32(view.scale)
    out[missing] = np.nan
    return _checked(view, out)


def _raw(view: View, rows: slice, cols: slice) -> Raster:
    """Read the window from the file and turn it north up."""
    flip_y, flip_x = view.flips
    height, width = view.shape
    file_rows = slice(height - rows.stop, height - rows.start) if flip_y else rows
    file_cols = slice(width - cols.stop, width - cols.start) if flip_x else cols
    raw = view.source.read(file_rows, file_cols)
    wanted = (rows.stop - rows.start, cols.stop - cols.start)
    if raw.shape != wanted:
        raise OSError(f"{view.path}: expected a window of {wanted} pixels, got {raw.shape}; it is truncated")
    return raw[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _missing(view: View, raw: Raster, rows: slice, cols: slice) -> Raster:
    missing = np.isnan(raw) if raw.dtype.kind in "fc" else np.zeros(raw.shape, bool)
    if view.nodata is not None:
        missing |= raw == view.nodata
    if not view.zero_is_nodata:
        return missing
    zero = raw == 0
    if view.guard is not None and zero.any():
        zero &= ~(read_window(view.guard, rows, cols) > 0)
    return np.asarray(missing | zero)


def _checked(view: View, values: Raster) -> Raster:
    """Check the range of phase and coherence; geocoding's small overshoots of coherence are clipped."""
    if view.variable == "phase":
        top = np.float32(np.pi)
        _check_range(view, values, -_TURN, _TURN, "it holds unwrapped phase, or another unit")
        return np.where(values <= -top, top, np.minimum(values, top)) if view.scale < 0 else values
    if view.variable == "coherence":
        _check_range(view, values, -_OVERSHOOT, 1.0 + _OVERSHOOT, "scale it to 0..1, or name its product=")
        return np.clip(values, 0.0, 1.0, out=values)
    return values


def _check_range(view: View, values: Raster, low: float, high: float, remedy: str) -> None:
    wrong = (values < low) | (values > high)
    if wrong.any():
        value = values[np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
        limits = "-pi..pi" if view.variable == "phase" else "0..1"
        raise ValueError(
            f"{view.variable}: expected values in {limits}, got {value:.6g} in {view.path}; {remedy}"
        )


def _shifted(view: View, rows: slice, cols: slice) -> Raster:
    """Shift by a part of a pixel: phase bilinearly through phasors, anything else to the nearest pixel."""
    whole_y, part_y = _split(-view.row)
    whole_x, part_x = _split(-view.col)
    on_lattice = replace(view, row=0.0, col=0.0)
    more_rows = slice(rows.start + whole_y, rows.stop + whole_y + 1)
    more_cols = slice(cols.start + whole_x, cols.stop + whole_x + 1)
    values = read_window(on_lattice, more_rows, more_cols)
    if view.variable == "phase":
        return _bilinear_phase(values, part_y, part_x)
    down, right = round(part_y), round(part_x)
    return values[down : values.shape[0] - 1 + down, right : values.shape[1] - 1 + right]


def _split(value: float) -> tuple[int, float]:
    whole = math.floor(value)
    return whole, value - whole


def _bilinear_phase(values: Raster, part_y: float, part_x: float) -> Raster:
    """Return the angle of the weighted mean phasor of the four neighbours; NaN where the nearest one is."""
    phasor = np.exp(1j * np.nan_to_num(values)) * ~np.isnan(values)
    weights_y, weights_x = (1 - part_y, part_y), (1 - part_x, part_x)
    height, width = values.shape[0] - 1, values.shape[1] - 1
    total = sum(
        wy * wx * phasor[i : i + height, j : j + width]
        for i, wy in enumerate(weights_y)
        for j, wx in enumerate(weights_x)
    )
    down, right = round(part_y), round(part_x)
    nearest = values[down : down + height, right : right + width]
    return np.where(np.isnan(nearest), np.float32(np.nan), np.angle(np.asarray(total)).astype(np.float32))
