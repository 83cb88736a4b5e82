"""Grids that points, or rasters of another grid, are brought to: a cube's, or made from a resolution or an extent."""

from __future__ import annotations

from math import ceil, floor, isfinite, nan
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from xinsar.grid import axis, crs_of, metric_of, step
from xinsar.operations import checks

PIXELS_IN_A_RADIUS = 10
"""Pixels in a radius where no resolution is given."""

_MOST = 2**40


def target_grid(target: Any, data: xr.Dataset | xr.DataArray, radius: float | None) -> xr.DataArray:
    """Return the grid that ``target`` means for ``data``: a template (y, x) without values of its own.

    Parameters
    ----------
    target
        A Dataset or DataArray with coordinates y and x: its grid, as it is. A number: pixels of so many metres, at
        multiples of their size, over the extent of ``data`` and ``radius`` around it. Four numbers (left, bottom,
        right, top), in units of the CRS: pixels of a tenth of ``radius`` over that extent, the last ones may
        reach beyond; five: the last is the size of pixels in metres. None: the grid of a raster; of points, pixels of a
        tenth of ``radius``. In degrees a pixel has its size at the middle latitude.
    data
        Raster or points with coordinates x and y; the grid gets its CRS, unless ``target`` has its own.
    radius
        Search radius, metres; None: nothing lies around the extent, and a resolution must be given.

    Raises
    ------
    TypeError
        If ``target`` is none of these.
    ValueError
        If the numbers make no grid, no point has a place, or ``data`` has neither a CRS nor a unit of x.

    Notes
    -----
    Coordinates of points that are not in memory are read where the extent depends on them.
    """
    if isinstance(target, (xr.Dataset, xr.DataArray)):
        return _of_cube(target)
    if target is None and {"y", "x"} <= set(data.dims):
        return _of_cube(data)
    if target is None or (isinstance(target, Real) and not isinstance(target, bool)):
        return _around(data, _resolution(target, radius), radius or 0.0)
    extent = _numbers(target)
    resolution = _resolution(extent[4] if len(extent) == 5 else None, radius)
    return _over(data, extent[:4], resolution)


def _numbers(target: Any) -> tuple[float, ...]:
    """Return the numbers of an extent, with or without a resolution."""
    said = (
        "a cube with y and x, a resolution in metres, or an extent (left, bottom, right, top), with or without "
        "a resolution in fifth place"
    )
    if isinstance(target, (str, bytes)) or not isinstance(target, (tuple, list, np.ndarray)):
        raise TypeError(f"target: expected {said}; got {target!r}")
    try:
        numbers = tuple(float(value) for value in target)
    except (TypeError, ValueError):
        raise TypeError(f"target: expected {said}; got {target!r}") from None
    if len(numbers) not in (4, 5) or not all(map(isfinite, numbers)):
        raise ValueError(f"target: expected {said}; got {target!r}")
    left, bottom, right, top = numbers[:4]
    if not (left < right and bottom < top):
        raise ValueError(
            f"target: expected left < right and bottom < top, got (left, bottom, right, top) = {numbers[:4]}"
        )
    return numbers


def _resolution(value: Any, radius: float | None) -> float:
    """Return the size of pixels in metres."""
    if value is not None:
        return checks.finite("target", value)
    if radius is None:
        raise ValueError(
            "target: expected a resolution in metres (or a cube, or an extent with a resolution), got none"
        )
    return radius / PIXELS_IN_A_RADIUS


def _of_cube(cube: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Return the grid of a cube: its very coordinates."""
    if not {"y", "x"} <= set(cube.dims):
        raise ValueError(
            f"target: expected a grid with dims y and x, got {tuple(map(str, cube.dims))}; rename its dims"
        )
    if not (cube.sizes["y"] and cube.sizes["x"]):
        raise ValueError(
            f"target: expected at least one pixel, got {cube.sizes['y']} x {cube.sizes['x']}; check what was selected"
        )
    for name in ("y", "x"):
        step(cube, name)
    coords: dict[str, Any] = {name: cube[name].variable for name in ("y", "x")}
    return _placed(_template(coords), crs_of(cube), cube.coords.get("spatial_ref"))


def _template(coords: dict[str, Any]) -> xr.DataArray:
    shape = tuple(coords[name].size for name in ("y", "x"))
    return xr.DataArray(np.broadcast_to(np.float32(0), shape), dims=("y", "x"), coords=coords)


def _placed(
    grid: xr.DataArray,
    crs: Any,
    known: xr.DataArray | None = None,
    *,
    steps: tuple[float, float] | None = None,
) -> xr.DataArray:
    """Return ``grid`` with the scalar ``spatial_ref`` of ``crs``.

    Without a CRS it holds no more than the affine transform, and only where one column or row does not tell its size.
    ``steps`` along x and y are those of a new grid.
    """
    if known is not None and known.attrs.get("GeoTransform" if crs is None else "crs_wkt"):
        return grid.assign_coords(spatial_ref=known.variable)
    if crs is None and (steps is None or min(grid.shape) > 1):
        return grid
    import rioxarray  # noqa: F401
    from affine import Affine

    dx, dy = steps or (step(grid, "x"), step(grid, "y"))
    corner = float(grid["x"][0]) - dx / 2, float(grid["y"][0]) - dy / 2
    transform = Affine(dx, 0.0, corner[0], 0.0, dy, corner[1])
    # coordinates alone: rioxarray copies what it writes to, and a template would become as large as its grid
    bare = xr.Dataset(coords=grid.coords)
    if crs is not None:
        bare = bare.rio.write_crs(crs).rio.write_coordinate_system()
    return grid.assign_coords(bare.rio.write_transform(transform).coords)


def _extent(data: xr.Dataset | xr.DataArray) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of all places of ``data`` that are finite."""
    x, y = data["x"], data["y"]
    x, y = (a.where(np.isfinite(x) & np.isfinite(y)) for a in (x, y)) if x.dims == y.dims else (x, y)
    ends = {"left": x.min(), "bottom": y.min(), "right": x.max(), "top": y.max()} if x.size else {}
    left, bottom, right, top = (
        (float(end) for end in xr.Dataset(ends).compute().values()) if ends else (nan,) * 4
    )
    if not isfinite(left + bottom):
        raise ValueError(
            "x: expected points with finite coordinates, got none; give target= a cube or an extent to map no point"
        )
    return left, bottom, right, top


def _per_metre(data: xr.Dataset | xr.DataArray, x: float, y: float) -> tuple[float, float]:
    """Return the units of x and of y in a metre around a place."""
    metric = metric_of(data)
    if metric.axes is None:
        return 1 / metric.unit[0], 1 / metric.unit[1]
    north, east, scale = metric.place(np.array([x, x + 1]), np.array([y - 0.005, y + 0.005]))
    return float(1 / ((east[1] - east[0]) * scale.mean())), float(0.01 / (north[1] - north[0]))


def _around(data: xr.Dataset | xr.DataArray, resolution: float, radius: float) -> xr.DataArray:
    """Return a grid over the extent of ``data`` and ``radius`` around it, pixels at multiples of their size."""
    left, bottom, right, top = _extent(data)
    per_metre = _per_metre(data, (left + right) / 2, (bottom + top) / 2)
    dx, dy = (resolution * unit for unit in per_metre)
    more_x, more_y = (radius * unit for unit in per_metre)
    columns = floor((left - more_x) / dx), ceil((right + more_x) / dx)
    rows = floor((bottom - more_y) / dy), ceil((top + more_y) / dy)
    size = max(columns[1] - columns[0], 1), max(rows[1] - rows[0], 1)
    return _made(data, (columns[0] * dx, dx, size[0]), ((rows[0] + size[1]) * dy, dy, size[1]))


def _over(data: xr.Dataset | xr.DataArray, extent: tuple[float, ...], resolution: float) -> xr.DataArray:
    """Return a grid from the left and top of ``extent`` to its right and bottom or just beyond."""
    left, bottom, right, top = extent
    dx, dy = (resolution * unit for unit in _per_metre(data, (left + right) / 2, (bottom + top) / 2))
    size = tuple(max(ceil(length - 1e-6), 1) for length in ((right - left) / dx, (top - bottom) / dy))
    return _made(data, (left, dx, size[0]), (top, dy, size[1]))


def _made(
    data: xr.Dataset | xr.DataArray, x: tuple[float, float, int], y: tuple[float, float, int]
) -> xr.DataArray:
    """Return a grid in the CRS of ``data`` from border, step and number of columns (eastward) and rows (southward)."""
    if x[2] * y[2] > _MOST:
        raise ValueError(
            f"target: expected a grid that can be held, got {y[2]} x {x[2]} pixels; choose larger pixels"
        )
    crs = crs_of(data)
    degrees = metric_of(data).axes is not None
    units = ("degrees_east", "degrees_north") if degrees else (_unit(data, crs),) * 2
    coords = {
        "x": xr.Variable("x", x[0] + (np.arange(x[2]) + 0.5) * x[1], {"axis": "X", "units": units[0]}),
        "y": xr.Variable("y", y[0] - (np.arange(y[2]) + 0.5) * y[1], {"axis": "Y", "units": units[1]}),
    }
    return _placed(_template(coords), crs, steps=(x[1], -y[1]))


def _unit(data: xr.Dataset | xr.DataArray, crs: Any) -> str:
    if crs is None or not crs.axis_info:
        return str(data["x"].attrs.get("units", "m"))
    name = crs.axis_info[0].unit_name
    return "m" if name == "metre" else str(name)


def said(target: Any) -> Any:
    """Return what the history says of a target: its numbers, or that it was a grid."""
    if target is None:
        return None
    return "grid" if isinstance(target, (xr.Dataset, xr.DataArray)) else np.asarray(target).tolist()


def outside(grid: xr.DataArray, came: str = "", *, radius: float | None = None) -> str:
    """Return that no point lies in a grid or within ``radius`` of it, and where it is."""
    edges = []
    for name in ("x", "y"):
        half, values = abs(step(grid, name)) / 2, axis(grid, name)
        edges.append(f"{name} {values.min() - half:.8g} to {values.max() + half:.8g}")
    crs = crs_of(grid)
    system = "no CRS" if crs is None else f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else crs.name
    where = "where some points lie" if radius is None else f"within {radius:g} m of some points"
    return f"target: expected a grid {where}, got {', '.join(edges)} ({system}){came}; check the CRS of both"


def lie_in(x: Any, y: Any) -> str:
    """Return where points lie that all miss a grid, in its CRS."""
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return "; none of them has a place in its CRS"
    ends = [(float(a[there].min()), float(a[there].max())) for a in (np.asarray(x), np.asarray(y))]
    (left, right), (bottom, top) = ends
    return f"; they lie in x {left:.8g} to {right:.8g}, y {bottom:.8g} to {top:.8g}"


def same_place(data: xr.DataArray, grid: xr.DataArray) -> bool:
    """Tell whether the raster ``data`` lies on ``grid``, pixel for pixel."""
    return all(np.array_equal(axis(data, name), axis(grid, name)) for name in ("y", "x")) and crs_of(
        data
    ) == crs_of(grid)


def moved(
    x: xr.DataArray, y: xr.DataArray, data: xr.Dataset | xr.DataArray, grid: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return places of ``data`` in the CRS of ``grid``; NaN where they have none there."""
    from xinsar.mapping import pointwise

    here, there = crs_of(data), crs_of(grid)
    if (here is None) != (there is None):
        bare, other = ("data", "target") if here is None else ("target", "data")
        raise ValueError(
            f"target: the {bare} has no CRS but the {other} has one; write it with .rio.write_crs('EPSG:...')"
        )
    if here == there:
        _same_units(data, grid)
        return x, y
    both = pointwise(_transform, x, y, dtype=np.complex128, here=here.to_wkt(), there=there.to_wkt())
    return both.real, both.imag


def _same_units(data: xr.Dataset | xr.DataArray, grid: xr.DataArray) -> None:
    """Raise ValueError where one of two without a CRS goes by metres, the other by degrees."""
    if crs_of(data) is None and (metric_of(data).axes is None) != (metric_of(grid).axes is None):
        raise ValueError(
            "target: one of data and target is in metres, the other in degrees, and neither has a CRS; write both with "
            ".rio.write_crs('EPSG:...')"
        )


def _transform(x: Any, y: Any, *, here: str, there: str) -> Any:
    """Return coordinates brought from one CRS to another, y as the imaginary part."""
    from pyproj import Transformer

    east, north = Transformer.from_crs(here, there, always_xy=True).transform(
        np.asarray(x, np.float64), np.asarray(y, np.float64)
    )
    lost = ~(np.isfinite(east) & np.isfinite(north))
    out = np.empty(np.shape(east), np.complex128)
    out.real, out.imag = np.where(lost, np.nan, east), np.where(lost, np.nan, north)
    return out
