"""A raster over the terrain, with contours of what is significant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.plot.axes import new_map_axes
from xinsar.plot.geometry import axis_values
from xinsar.plot.image import draw_map
from xinsar.plot.levels import Level
from xinsar.plot.terrain import draw_terrain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_raster(
    image: xr.DataArray,
    ax: Axes | None,
    elevation: xr.DataArray | None,
    strength: xr.DataArray,
    levels: Sequence[Level],
    **style: Any,
) -> tuple[Axes, Any, list[Any]]:
    """Draw a raster over the shaded terrain, with contours of ``strength``."""
    ax = ax if ax is not None else new_map_axes(image)
    if elevation is not None:
        draw_terrain(elevation, image, ax)
        style["alpha"] = _opacity(image.transpose("y", "x").values, style["vmax"])
    drawn = draw_map(image, ax, **style)[1]
    handles = [_contour(ax, strength.transpose("y", "x"), level) for level in levels]
    return ax, _opaque(drawn), handles


def _opaque(drawn: Any) -> Any:
    """Return what a colour bar can show: the colours without the transparency of single pixels."""
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(drawn.norm, drawn.cmap)


def _opacity(values: np.ndarray[Any, Any], limit: float) -> np.ndarray[Any, Any]:
    """Return how much of the terrain a value hides: little where it is near 0, nothing where it is missing."""
    strength = np.minimum(np.abs(values) / (0.5 * limit), 1.0)
    return np.where(np.isfinite(values), 0.15 + 0.65 * strength, 0.0)


def _contour(ax: Axes, strength: xr.DataArray, level: Level) -> Any:
    """Draw lines where ``strength`` passes a level on either side of 0; return what stands for it in a legend."""
    from matplotlib.lines import Line2D

    values = np.ma.masked_invalid(_without_specks(strength.values.astype("f8")))
    both = [v for v in (-level.value, level.value) if values.count() and values.min() < v < values.max()]
    style = {"linestyles": "solid", "linewidths": level.width, "colors": level.color}
    if both and min(values.shape) > 1:
        ax.contour(axis_values(strength, "x"), axis_values(strength, "y"), values, levels=both, **style)
    return Line2D([], [], color=level.color, lw=level.width, label=level.label)


def _without_specks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Fill gaps up to four pixels wide with the nearest values, so that they cut no line."""
    from scipy.ndimage import binary_closing, distance_transform_edt

    valid = np.isfinite(values)
    if valid.all() or not valid.any():
        return values
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    kept = valid | binary_closing(valid, np.ones((3, 3)), iterations=2)
    return np.where(kept, values[tuple(nearest)], np.nan)
