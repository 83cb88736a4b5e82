"""The shaded terrain below a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import crs_of
from xinsar.plot.fields import flat, thin
from xinsar.plot.geometry import axis_values, is_geographic
from xinsar.plot.image import draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_terrain(elevation: xr.DataArray, over: xr.DataArray, ax: Axes) -> None:
    """Draw the shaded terrain below ``over``, which must lie in the same reference system."""
    schema.check(elevation, schema.ELEVATION)
    own, other = crs_of(elevation), crs_of(over)
    if own is not None and other is not None and own != other:
        raise ValueError(
            f"elevation: expected the CRS of {over.name!r}, {other.name}, got {own.name}; bring it there with "
            "elevation.rio.reproject_match"
        )
    draw_map(hillshade(thin(flat(elevation)).compute()), ax, cmap="gray", vmin=-0.25, vmax=1.1)


def hillshade(elevation: xr.DataArray) -> xr.DataArray:
    """Return the brightness (0..1) of terrain lit from the north-west, steepened to be readable."""
    rise_y, rise_x = (_rise(elevation, dim) for dim in ("y", "x"))
    steepness = np.sqrt(np.nanmean(rise_x**2 + rise_y**2)) if np.isfinite(rise_x + rise_y).any() else 0.0
    factor = 0.6 / max(float(steepness), 0.05)
    rise_x, rise_y = rise_x * factor, rise_y * factor
    light = (rise_x - rise_y + np.sqrt(2)) / 2 / np.sqrt(1 + rise_x**2 + rise_y**2)
    return elevation.copy(data=np.clip(light, 0, 1)).rename("hillshade")


def _rise(elevation: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    """Return metres upward per metre eastward (``x``) or northward (``y``)."""
    values = elevation.values.astype("f8")
    if elevation.sizes[dim] < 2:
        return np.zeros_like(values)
    step = np.gradient(_metres(elevation, dim))
    slope = np.gradient(values, axis=elevation.get_axis_num(dim))
    return np.asarray(slope / (step[:, None] if dim == "y" else step))


def _metres(image: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    """Return the coordinate in metres, near enough for shading (degrees: at the middle latitude)."""
    values, geographic = axis_values(image, dim), is_geographic(image)
    if not geographic:
        return values
    return values * 111_320.0 * (np.cos(np.radians(axis_values(image, "y").mean())) if dim == "x" else 1.0)
