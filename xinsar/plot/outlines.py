"""What was found, and the truth, as outlines over the terrain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from xinsar import schema
from xinsar.grid import crs_of
from xinsar.plot.axes import new_map_axes
from xinsar.plot.colours import BLUE, RED
from xinsar.plot.fields import flat, thin
from xinsar.plot.image import draw_map
from xinsar.plot.terrain import hillshade

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes


def detections(
    found: GeoDataFrame,
    elevation: xr.DataArray,
    *,
    truth: GeoDataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the outlines of what was found, and of the truth where it is known, over the shaded terrain.

    Parameters
    ----------
    found
        Polygons with a coordinate reference system; brought to that of ``elevation`` where it differs.
    elevation
        Terrain height (y, x) in metres; NaN is drawn grey.
    truth
        Polygons known to move, drawn dashed.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        ``elevation`` is not a (y, x) raster in metres.
    """
    schema.check(elevation, schema.ELEVATION)
    shaded = hillshade(thin(flat(elevation)).compute())
    ax = ax if ax is not None else new_map_axes(shaded, beside=0.9)
    draw_map(shaded, ax, cmap="gray", vmin=-0.25, vmax=1.1)
    handles = [
        _outlines(ax, table, shaded, label=label, color=color, ls=style)
        for table, label, color, style in (
            (truth, "truth", BLUE, (0, (4, 2))),
            (found, "found", RED, "-"),
        )
        if table is not None
    ]
    ax.legend(handles=handles[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    ax.set_title(f"{len(found)} detection{'s' * (len(found) != 1)}", loc="left")
    return ax


def _outlines(ax: Axes, table: GeoDataFrame, image: xr.DataArray, *, label: str, **style: Any) -> Any:
    """Draw the borders of the polygons of ``table`` and return what stands for them in a legend."""
    from matplotlib.lines import Line2D

    crs = crs_of(image)
    if crs is not None and table.crs is not None and len(table):
        table = table.to_crs(crs)
    for line in table.geometry.boundary.explode(index_parts=False):
        xs, ys = line.xy
        ax.plot(xs, ys, color="white", lw=2.8, alpha=0.6, zorder=2)
        ax.plot(xs, ys, lw=1.5, zorder=3, **style)
    return Line2D([], [], lw=1.5, label=f"{label} ({len(table)})", **style)
