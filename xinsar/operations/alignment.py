"""Bringing a raster onto the grid of another: a pixel gets the value of the pixel that holds its centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import grid

Array = NDArray[Any]

_HALF = np.array([-0.5, 0.5])
_CLOSE = 1e-6
"""Share of a pixel by which rounding may move a centre."""


def onto(band: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Return ``band`` (..., y, x) on the y and x of ``target``, by nearest neighbour; NaN outside ``band``.

    Grids without coordinates must have one size; a missing CRS is taken to be the other's. Lazy data stays
    lazy. Raises ValueError where the two do not overlap or a grid has no coordinates.
    """
    if _same_place(band, target):
        return band
    own, other = grid.crs_of(band), grid.crs_of(target)
    if own is None or other is None or own == other:
        return _by_axes(band, target)
    return _by_projection(band, target, own, other)


def _same_place(band: xr.DataArray, target: xr.DataArray) -> bool:
    """Tell whether both have the same pixels, as far as their coordinates and CRS say."""
    crs = [c for c in (grid.crs_of(band), grid.crs_of(target)) if c is not None]
    if len(crs) == 2 and crs[0] != crs[1]:
        return False
    return all(
        band.sizes[d] == target.sizes[d] and (d in band.coords) == (d in target.coords)
        and (d not in band.coords or np.array_equal(band[d].values, target[d].values))
        for d in ("y", "x")
    )  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """Evenly spaced pixel centres: the first, the signed step, how many."""

    first: float
    step: float
    size: int

    @classmethod
    def of(cls, array: xr.DataArray, name: str) -> Axis:
        """Return the axis ``name`` of ``array``."""
        return cls(float(grid.axis(array, name)[0]), grid.step(array, name), array.sizes[name])

    def places(self, values: Array) -> tuple[Array, Array]:
        """Return the index of the pixel that holds each value, 0 where none does, and whether one does."""
        with np.errstate(invalid="ignore"):
            index = np.floor((values - self.first) / self.step + 0.5 + _CLOSE)
            inside = (index >= 0) & (index < self.size)
        return np.where(inside, index, 0).astype(np.int64), inside


def _by_axes(band: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Pick rows and columns: both grids are parallel."""
    index, inside = {}, {}
    for axis in ("y", "x"):
        index[axis], found = Axis.of(band, axis).places(grid.axis(target, axis))
        inside[axis] = xr.DataArray(found, dims=axis, coords={axis: target[axis]})
        _overlap(found, band, target)
    taken = band.isel(index).assign_coords({axis: target[axis] for axis in ("y", "x")})
    if all(bool(found.all()) for found in inside.values()):
        return taken
    return taken.where(inside["y"] & inside["x"])


def _overlap(found: Any, band: xr.DataArray, target: xr.DataArray) -> None:
    """Raise ValueError where nothing was found."""
    if not np.any(found):
        raise ValueError(
            f"{band.name}: expected a raster that overlaps {target.name!r} ({_extent(target)}), got "
            f"{_extent(band)}; check that both show the same place"
        )


def _extent(array: xr.DataArray) -> str:
    spans = {d: grid.axis(array, d) for d in ("x", "y")}
    return ", ".join(f"{d} {values.min():g}..{values.max():g}" for d, values in spans.items())


def _boxes_meet(band: xr.DataArray, target: xr.DataArray, own: Any, other: Any) -> bool:
    """Tell whether the pixel centres of ``target`` may lie in ``band``."""
    from pyproj import Transformer

    (left, right), (bottom, top) = (np.sort(grid.axis(target, d)[[0, -1]]) for d in ("x", "y"))
    box = Transformer.from_crs(other, own, always_xy=True).transform_bounds(left, bottom, right, top)
    own_y, own_x = (
        np.sort(grid.axis(band, d)[[0, -1]]) + abs(grid.step(band, d)) * _HALF for d in ("y", "x")
    )
    return bool(box[0] <= own_x[1] and own_x[0] <= box[2] and box[1] <= own_y[1] and own_y[0] <= box[3])


def _look_up(y: Array, x: Array, band: Array, *, axes: tuple[Axis, Axis], source: str, target: str) -> Array:
    """Return the values (y, x, ...) of ``band`` (..., y, x) at centres (y, x) of another CRS; NaN outside."""
    from pyproj import Transformer

    easting, northing = Transformer.from_crs(target, source, always_xy=True).transform(x, y)
    (rows, above), (columns, beside) = axes[0].places(northing), axes[1].places(easting)
    values = np.where(above & beside, band[..., rows, columns], np.nan).astype(band.dtype)
    return np.moveaxis(values, (-2, -1), (0, 1))


def _by_projection(band: xr.DataArray, target: xr.DataArray, own: Any, other: Any) -> xr.DataArray:
    """Look every pixel centre of ``target`` up in ``band``, which has another CRS."""
    _overlap(_boxes_meet(band, target, own, other), band, target)
    axes = Axis.of(band, "y"), Axis.of(band, "x")
    leading = [d for d in band.dims if d not in ("y", "x")]
    core = [*leading, "source_y", "source_x"]
    source = band.drop_vars([c for c in band.coords if c not in leading]).rename(y="source_y", x="source_x")
    found: xr.DataArray = xr.apply_ufunc(
        _look_up,
        *_centres(target, lazy=band.chunks is not None),
        source if source.chunks is None else source.chunk(dict.fromkeys(core, -1)),
        kwargs={"axes": axes, "source": own.to_wkt(), "target": other.to_wkt()},
        input_core_dims=[[], [], core],
        output_core_dims=[leading],
        dask="parallelized",
        output_dtypes=[band.dtype],
    )
    return found.transpose(*leading, "y", "x").assign_coords(y=target["y"], x=target["x"])


def _centres(target: xr.DataArray, *, lazy: bool) -> tuple[xr.DataArray, ...]:
    """Return y and x of every pixel, lazily in the chunks of ``target`` where ``lazy`` or that is lazy."""
    axes = [xr.DataArray(grid.axis(target, d), dims=d) for d in ("y", "x")]
    if lazy or target.chunks is not None:
        axes = [a.chunk({d: target.chunksizes.get(d, -1) for d in a.dims}) for a in axes]
    return tuple(xr.broadcast(*axes))
