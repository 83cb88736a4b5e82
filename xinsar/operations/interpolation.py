"""Bringing a raster onto the grid of another by bilinear interpolation of the four pixels around every centre."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import grid
from xinsar.mapping import is_lazy
from xinsar.operations.alignment import Axis

Array = NDArray[Any]

_CLOSE = 1e-6
"""Share of a pixel by which rounding may move a centre."""


def bilinear(band: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Return ``band`` (..., y, x) on the y and x of ``target``, linear between pixel centres.

    NaN outside the centres of ``band`` and where one of the pixels that count is NaN. A missing CRS is taken to be
    the other's. Lazy data stays lazy. Raises ValueError where a grid has no even coordinates or the two do not overlap.
    """
    own, other = grid.crs_of(band), grid.crs_of(target)
    if own is None or other is None or own == other:
        return _by_axes(band, target)
    return _by_projection(band, target, own.to_wkt(), other.to_wkt())


def _places(axis: Axis, values: Array) -> tuple[Array, Array]:
    """Return the index of the pixel before each value and the share of the next one, NaN outside."""
    places = (values - axis.first) / axis.step
    near = np.round(places)
    places = np.where(np.abs(places - near) < _CLOSE, near, places)
    with np.errstate(invalid="ignore"):
        inside = (places >= 0) & (places <= axis.size - 1)
    before = np.where(inside, np.floor(places), 0).astype(np.int64)
    return before, np.where(inside, places - before, np.nan)


def _by_axes(band: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Interpolate rows, then columns: both grids are parallel."""
    own = band
    for name in ("y", "x"):
        before, share = _places(Axis.of(band, name), grid.axis(target, name))
        if not np.isfinite(share).any():
            raise _apart(own, target)
        after = np.minimum(before + 1, band.sizes[name] - 1)
        weight = xr.DataArray(share.astype(band.dtype), dims=name)
        first, second = (band.isel({name: i}).drop_vars(name) for i in (before, after))
        beside = (second * weight).where(weight != 0, 0)
        band = (first * (1 - weight)).where(weight != 1, 0) + beside
    return band.assign_coords(y=target["y"], x=target["x"])


def _apart(band: xr.DataArray, target: xr.DataArray) -> ValueError:
    spans = [
        ", ".join(f"{d} {grid.axis(a, d).min():g}..{grid.axis(a, d).max():g}" for d in ("x", "y"))
        for a in (target, band)
    ]
    return ValueError(
        f"{band.name}: expected a raster that overlaps the target ({spans[0]}), got {spans[1]}; check that both show "
        "the same place"
    )


def _by_projection(band: xr.DataArray, target: xr.DataArray, source: str, wanted: str) -> xr.DataArray:
    """Interpolate at every pixel centre of ``target``, which has another CRS."""
    leading = [d for d in band.dims if d not in ("y", "x")]
    core = [*leading, "source_y", "source_x"]
    own = band.drop_vars([c for c in band.coords if c not in leading]).rename(y="source_y", x="source_x")
    lazy = is_lazy(band) or is_lazy(target)
    found: xr.DataArray = xr.apply_ufunc(
        _look_up,
        *_centres(target, lazy=lazy),
        own.chunk(dict.fromkeys(core, -1)) if is_lazy(own) else own,
        kwargs={"axes": (Axis.of(band, "y"), Axis.of(band, "x")), "source": source, "target": wanted},
        input_core_dims=[[], [], core],
        output_core_dims=[leading],
        dask="parallelized",
        output_dtypes=[band.dtype],
    )
    coords = {d: target[d] for d in ("y", "x")}
    if "spatial_ref" in target.coords:
        coords["spatial_ref"] = target["spatial_ref"]
    return found.transpose(*leading, "y", "x").assign_coords(coords).rename(band.name)


def _centres(target: xr.DataArray, *, lazy: bool) -> tuple[xr.DataArray, ...]:
    """Return y and x of every pixel, lazily where asked for."""
    axes = [xr.DataArray(grid.axis(target, d), dims=d) for d in ("y", "x")]
    if lazy:
        axes = [a.chunk({d: target.chunksizes.get(d, -1) for d in a.dims}) for a in axes]
    return tuple(xr.broadcast(*axes))


def _look_up(y: Array, x: Array, band: Array, *, axes: tuple[Axis, Axis], source: str, target: str) -> Array:
    """Return the values (y, x, ...) of ``band`` (..., y, x) at centres (y, x) of another CRS."""
    from pyproj import Transformer

    easting, northing = Transformer.from_crs(target, source, always_xy=True).transform(x, y)
    (row, down), (column, right) = _places(axes[0], northing), _places(axes[1], easting)
    found = np.zeros((*band.shape[:-2], *row.shape), np.float64)
    for rows, far in ((row, down), (np.minimum(row + 1, axes[0].size - 1), 1 - down)):
        for columns, away in ((column, right), (np.minimum(column + 1, axes[1].size - 1), 1 - right)):
            weight = (1 - far) * (1 - away)
            found += np.where(weight == 0, 0, weight * band[..., rows, columns])
    return np.moveaxis(found.astype(band.dtype), (-2, -1), (0, 1))
