"""Points over the terrain: disks sized for their number, significant ones on darker disks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.grid import crs_of
from xinsar.plot.axes import name_axes, new_map_axes
from xinsar.plot.geometry import aspect, extent_of
from xinsar.plot.levels import Level
from xinsar.plot.terrain import draw_terrain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_points(
    values: xr.DataArray,
    ax: Axes | None,
    elevation: xr.DataArray | None,
    strength: xr.DataArray,
    levels: Sequence[Level],
    **style: Any,
) -> tuple[Axes, Any, list[Any]]:
    """Draw points over the shaded terrain, those above a level of ``strength`` on larger, darker disks."""
    values = _moved(values, elevation)
    valid = np.isfinite(values.values) & np.isfinite(values["x"].values) & np.isfinite(values["y"].values)
    order = np.argsort(np.where(valid, np.abs(values.values), -1), kind="stable")[int((~valid).sum()) :]
    image, strength = values.isel(point=order), abs(strength.isel(point=order))
    ax = ax if ax is not None else new_map_axes(image)
    if elevation is not None:
        draw_terrain(elevation, image, ax)
    side = np.sqrt(_disk_area(order.size))
    xs, ys = image["x"].values, image["y"].values
    plain = {"linewidths": 0, "rasterized": order.size > 10_000}
    for level in levels:
        on = strength.values > level.value
        wider = side + min(1.2 + level.width, 0.35 * side)
        ax.scatter(xs[on], ys[on], s=wider**2, color=level.color, **plain)
    drawn = ax.scatter(xs, ys, c=image.values, s=side**2, **plain, **style)
    _frame(ax, image)
    return ax, drawn, [_ring(level) for level in levels]


def _ring(level: Level) -> Any:
    """Return what stands for outlined points in a legend."""
    from matplotlib.lines import Line2D

    style = {"marker": "o", "ls": "none", "ms": 7, "mfc": "white", "mec": level.color, "mew": 1.4}
    return Line2D([], [], label=level.label, **style)


def _disk_area(number: int) -> float:
    """Return the area of one of ``number`` points that leaves a map readable, in square typographic points."""
    return float(np.clip(100_000 / max(number, 1), 0.5, 34))


def _moved(points: xr.DataArray, elevation: xr.DataArray | None) -> xr.DataArray:
    """Return points with coordinates in the CRS of the terrain below them."""
    crs, own = (None if elevation is None else crs_of(elevation)), crs_of(points)
    if elevation is None or crs is None or own is None or crs == own:
        return points
    from pyproj import Transformer

    x, y = Transformer.from_crs(own, crs, always_xy=True).transform(points["x"].values, points["y"].values)
    mapping = ((), 0, {"crs_wkt": crs.to_wkt()})
    return points.assign_coords(x=("point", np.asarray(x)), y=("point", np.asarray(y)), spatial_ref=mapping)


def _frame(ax: Axes, points: xr.DataArray) -> None:
    """Give the axes the extent, the proportions and the names of a map of points."""
    left, right, bottom, top = extent_of(points)
    ax.set_facecolor("0.8")
    ax.set_aspect(aspect(points))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    name_axes(ax, points)
