"""Where a raster or points lie in a picture: the ends of the axes, what a unit of them is, north."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar.grid import crs_of


def on_points(array: xr.DataArray) -> bool:
    """Tell points from rasters."""
    return "point" in array.dims


def axis_values(image: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    """Return the coordinate of ``dim``, or the numbers of rows or columns where there is none."""
    return np.asarray(image[dim].values if dim in image.coords else np.arange(image.sizes[dim]), float)


def extent_of(image: xr.DataArray) -> tuple[float, float, float, float]:
    """Return the outer edges (left, right, last row, first row), edge values moved by their ``offset``."""
    if on_points(image):
        return _extent_of_points(image)
    edges = []
    for dim in ("x", "y"):
        values = axis_values(image, dim)
        step = (values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 1.0
        moved = float(image.attrs.get("offset", 0.0)) if str(image.name).endswith(f"_{dim}") else 0.0
        edges += [values[0] + (moved - 0.5) * step, values[-1] + (moved + 0.5) * step]
    return edges[0], edges[1], edges[3], edges[2]


def _extent_of_points(points: xr.DataArray) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of the box around points, with a margin."""
    ends = []
    for dim in ("x", "y"):
        values = axis_values(points, dim)
        values = values[np.isfinite(values)]
        ends.append((values.min(), values.max()) if values.size else (0.0, 1.0))
    widest = max(high - low for low, high in ends)
    margin = 0.04 * widest if widest > 0 else 1.0
    (left, right), (bottom, top) = ends
    return left - margin, right + margin, bottom - margin, top + margin


def is_geographic(image: xr.DataArray) -> bool:
    """Tell whether the axes are degrees."""
    crs = crs_of(image)
    return bool(crs.is_geographic) if crs is not None else _axis_units(image, "x").startswith("degree")


def is_map(image: xr.DataArray) -> bool:
    """Tell maps from images in radar geometry."""
    return crs_of(image) is not None or bool(_axis_units(image, "y"))


def _axis_units(image: xr.DataArray, dim: str) -> str:
    return str(image[dim].attrs.get("units", "")) if dim in image.coords else ""


def aspect(image: xr.DataArray) -> float:
    """Return the length of a unit of y over that of x, so that distances look equal."""
    return float(1 / np.cos(np.radians(axis_values(image, "y").mean()))) if is_geographic(image) else 1.0
