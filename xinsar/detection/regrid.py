"""The grid that a model works on: the cube's own where it fits, else one of the model's pixel size."""

from __future__ import annotations

import warnings
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import grid
from xinsar.kernels.coarsen import block_mean
from xinsar.mapping import coarsened, over_boxes
from xinsar.mapping.windows import SMALL, Box, boxes
from xinsar.operations.alignment import Axis

EVEN = 0.2
"""How far, as a share, the pixel size may be off that of the model."""
MOST = 8.0
"""How many times coarser than the model's the pixels may be: beyond, there is nothing left to see."""
WIDEST = 12.0
"""Degrees of longitude up to which a cube in degrees is brought to one UTM zone."""

_SAMPLES = 17
_MARGIN = 3
"""Source pixels read beyond those that a cell's samples fall on."""


class Frame(NamedTuple):
    """A grid: its axes and its CRS (WKT), None where it has none."""

    y: Axis
    x: Axis
    crs: str | None

    @classmethod
    def of(cls, array: xr.DataArray | xr.Dataset) -> Frame:
        """Return the frame of an object with coordinates y and x."""
        y, x = (Axis(float(grid.axis(array, d)[0]), _step(array, d), array.sizes[d]) for d in ("y", "x"))
        crs = _crs(array)
        return cls(y, x, None if crs is None else crs.to_wkt())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.size, self.x.size

    def centres(self, axis: str) -> Any:
        """Return the pixel centres along one axis."""
        own = self.y if axis == "y" else self.x
        return own.first + own.step * np.arange(own.size)

    def template(self) -> xr.Dataset:
        """Return a Dataset with nothing but the coordinates and the CRS."""
        units = {} if self.crs else {"units": "m"}
        coords: dict[str, Any] = {d: (d, self.centres(d), units) for d in ("y", "x")}
        if self.crs or 1 in self.shape:
            left, top = self.x.first - self.x.step / 2, self.y.first - self.y.step / 2
            affine = f"{left} {self.x.step} 0.0 {top} 0.0 {self.y.step}"
            known = {"crs_wkt": self.crs} if self.crs else {}
            coords["spatial_ref"] = ((), 0, {**known, "GeoTransform": affine})
        return xr.Dataset(coords=coords)


def _crs(obj: xr.DataArray | xr.Dataset) -> Any:
    """Return the CRS of an object; WGS 84 where it has none and its coordinates are degrees."""
    from pyproj import CRS

    crs = grid.crs_of(obj)
    if crs is None and str(obj["x"].attrs.get("units", "")).startswith("deg"):
        return CRS.from_epsg(4326)
    return crs


def _step(array: xr.DataArray | xr.Dataset, axis: str) -> float:
    step = grid.step(array, axis)
    if not np.isfinite(step):
        raise ValueError(
            f"{axis}: expected a pixel size, got a single pixel without one; write the affine transform with "
            ".rio.write_transform, or give more pixels"
        )
    return step


def frame_for(ds: xr.Dataset, pixel_size: float | None) -> Frame:
    """Return the grid to work on: that of ``ds``, or where it does not fit the model, one of its pixel size.

    A UserWarning tells where another grid is used. ValueError where the pixels are too coarse, or the cube too wide.
    """
    own = Frame.of(ds)
    dy, dx = (float(np.median(sizes)) for sizes in grid.pixel_spacing(ds))
    if pixel_size is None:
        return own
    if not max(dy, dx) <= MOST * pixel_size:
        raise ValueError(
            f"data: expected pixels of {pixel_size:g} m, as the model was trained for, got {dy:.4g} x {dx:.4g} m, too "
            "coarse to be resampled; use a model that was trained for such pixels"
        )
    crs = _crs(ds)
    if crs is not None and crs.is_geographic:
        made = _utm(own, pixel_size)
        _say(f"the cube is in degrees (pixels of {dy:.4g} x {dx:.4g} m)", made, pixel_size)
        return made
    if all(abs(size / pixel_size - 1) <= EVEN for size in (dy, dx)):
        return own
    made = Frame(_resized(own.y, pixel_size / dy), _resized(own.x, pixel_size / dx), own.crs)
    _say(f"its pixels are {dy:.4g} x {dx:.4g} m", made, pixel_size)
    return made


def _say(why: str, made: Frame, pixel_size: float) -> None:
    from pyproj import CRS

    where = "" if made.crs is None else f" in {CRS.from_wkt(made.crs).name}"
    warnings.warn(
        f"detect: {why}, the model was trained for {pixel_size:g} m: resampled to {made.y.size} x {made.x.size} pixels "
        f"of {pixel_size:g} m{where}",
        UserWarning,
        stacklevel=5,
    )


def _resized(axis: Axis, factor: float) -> Axis:
    """Return an axis of pixels ``factor`` times as large from the same edge."""
    step = axis.step * factor
    edge = axis.first - axis.step / 2
    return Axis(edge + step / 2, step, max(round(axis.size / factor), 1))


def _utm(own: Frame, pixel_size: float) -> Frame:
    """Return a grid in the local UTM zone over a grid in degrees, pixels at multiples of their size."""
    from pyproj import CRS, Transformer

    (west, east), (south, north) = (_ends(a) for a in (own.x, own.y))
    if not east - west <= WIDEST:
        raise ValueError(
            f"data: expected a cube in degrees that one UTM zone can hold (up to {WIDEST:g} degrees wide), got "
            f"{east - west:.3g} degrees; cut it into parts with isel, or reproject it with .rio.reproject"
        )
    middle = ((west + east) / 2 + 180) % 360 - 180
    latitude = (south + north) / 2
    zone = min(int((middle + 180) // 6) + 1, 60)
    crs = CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)
    to_metres = Transformer.from_crs(own.crs or 4326, crs, always_xy=True)
    left, bottom, right, top = to_metres.transform_bounds(west, south, east, north, densify_pts=101)
    columns = floor(left / pixel_size), ceil(right / pixel_size)
    rows = floor(bottom / pixel_size), ceil(top / pixel_size)
    return Frame(
        Axis((rows[1] - 0.5) * pixel_size, -pixel_size, rows[1] - rows[0]),
        Axis((columns[0] + 0.5) * pixel_size, pixel_size, columns[1] - columns[0]),
        crs.to_wkt(),
    )


def _ends(axis: Axis) -> tuple[float, float]:
    ends = axis.first - axis.step / 2, axis.first + axis.step * (axis.size - 0.5)
    return min(ends), max(ends)


def same(one: Frame, other: Frame) -> bool:
    """Tell whether two grids have the same pixels, but for a thousandth of one."""
    from pyproj import CRS

    if one.shape != other.shape:
        return False
    if None not in (one.crs, other.crs) and CRS.from_wkt(one.crs) != CRS.from_wkt(other.crs):
        return False
    pairs = (one.y, other.y), (one.x, other.x)
    return all(
        abs(a.first - b.first) < 1e-3 * abs(b.step) and abs(a.step - b.step) * b.size < 1e-3 * abs(b.step)
        for a, b in pairs
    )


def onto(array: xr.DataArray, target: Frame) -> xr.DataArray:
    """Return a map on another grid, linear between pixel centres; pixels half its size or smaller are averaged first.

    NaN outside and where one of the pixels that count is NaN. Lazy, in cells that do not depend on chunks.
    """
    factor = _finer(Frame.of(array), target)
    source = coarsened(array, factor, block_mean) if factor > 1 else array
    own = Frame.of(source)
    edges = [[*range(0, n, SMALL), n] for n in target.shape]
    reads = {place: _read(box, own, target) for place, box in boxes(*edges)}
    if all(read is None for read in reads.values()):
        raise ValueError(
            f"{array.name}: expected a track that overlaps the first one ({_extent(target)}), got {_extent(own)}; "
            "check that both show the same place"
        )
    data = over_boxes(
        _interpolate,
        source,
        rows=edges[0],
        columns=edges[1],
        reads={place: read or Box(0, 1, 0, 1) for place, read in reads.items()},
        dtype=array.dtype,
        source=own,
        target=target,
    )
    return xr.DataArray(data, dims=("y", "x"), name=array.name, attrs=array.attrs)


def _extent(frame: Frame) -> str:
    ends = {d: _ends(a) for d, a in (("x", frame.x), ("y", frame.y))}
    return ", ".join(f"{d} {low:.8g}..{high:.8g}" for d, (low, high) in ends.items())


def _finer(own: Frame, target: Frame) -> int:
    """Return how many pixels of ``own`` a pixel of ``target`` is long, at least 1."""
    sizes = [[float(np.median(s)) for s in grid.pixel_spacing(f.template())] for f in (own, target)]
    ratio = min(wanted / size for size, wanted in zip(*sizes, strict=True))
    return int(max(min(floor(ratio + 1e-6), *own.shape), 1))


def _places(box: Box, own: Frame, target: Frame, samples: int | None = None) -> tuple[Any, Any]:
    """Return rows and columns, in pixels of ``own``, of the centres of a box of ``target``, or of samples of them."""
    ends = ((box.top, box.bottom), (box.left, box.right))
    rows, columns = (
        np.arange(*e, dtype=float) if samples is None else np.linspace(e[0], e[1] - 1, samples) for e in ends
    )
    y = (target.y.first + target.y.step * rows)[:, None]
    x = (target.x.first + target.x.step * columns)[None]
    if target.crs is not None and own.crs is not None and target.crs != own.crs:
        from pyproj import Transformer

        x, y = Transformer.from_crs(target.crs, own.crs, always_xy=True).transform(
            *map(np.ascontiguousarray, np.broadcast_arrays(x, y))
        )
    return (y - own.y.first) / own.y.step, (x - own.x.first) / own.x.step


def _read(box: Box, own: Frame, target: Frame) -> Box | None:
    """Return the pixels of ``own`` that a box of ``target`` may need, None where there are none."""
    down, across = _places(box, own, target, _SAMPLES)
    spans = []
    for places in (down, across):
        there = places[np.isfinite(places)]
        if not there.size:
            return None
        bend = _MARGIN + ceil((there.max() - there.min()) / _SAMPLES / 4)
        spans += [floor(there.min()) - bend, ceil(there.max()) + bend + 1]
    read = Box(*map(int, spans)).within(Box(0, own.y.size, 0, own.x.size))
    return None if 0 in read.shape else read


def _interpolate(block: Any, box: Box, read: Box, *, source: Frame, target: Frame) -> Any:
    """Return the cell ``box`` of the target from the pixels ``read`` of the source."""
    down, across = np.broadcast_arrays(*_places(box, source, target))
    found = np.zeros(box.shape)
    inside = np.ones(box.shape, bool)
    near = []
    for places, size, start, stop in ((down, source.y.size, *read[:2]), (across, source.x.size, *read[2:])):
        close = np.round(places)
        places = np.where(np.abs(places - close) < 1e-6, close, places)
        with np.errstate(invalid="ignore"):
            inside &= (places >= 0) & (places <= size - 1)
        before = np.clip(np.floor(np.nan_to_num(places)), start, stop - 1).astype(np.int64)
        near.append(
            (before - start, np.minimum(before + 1, stop - 1) - start, np.nan_to_num(places) - before)
        )
    (top, bottom, low), (left, right, far) = near
    for rows, up in ((top, 1 - low), (bottom, low)):
        for columns, side in ((left, 1 - far), (right, far)):
            weight = up * side
            found += np.where(weight == 0, 0, weight * block[rows, columns])
    return np.where(inside, found, np.nan).astype(block.dtype)
