"""An image at its coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from xinsar.plot.axes import name_axes, new_map_axes
from xinsar.plot.geometry import aspect, extent_of, is_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_map(image: xr.DataArray, ax: Axes | None, **style: Any) -> tuple[Axes, Any]:
    """Draw ``image`` at its coordinates with north up, and name the axes."""
    ax = ax if ax is not None else new_map_axes(image)
    image = image.transpose("y", "x")
    extent = extent_of(image)
    drawn = ax.imshow(image.values, extent=extent, origin="upper", interpolation="nearest", **style)
    ax.set_facecolor("0.75")
    ax.set_aspect(aspect(image))
    left, right = sorted(extent[:2])
    bottom, top = sorted(extent[2:])
    ax.set_xlim(left, right)
    ax.set_ylim(*((bottom, top) if is_map(image) else (top, bottom)))
    name_axes(ax, image)
    return ax, drawn
