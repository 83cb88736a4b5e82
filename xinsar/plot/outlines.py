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

MOST = 40
"""Objects whose scores are written beside them unless it is asked for."""


def detections(
    found: GeoDataFrame,
    elevation: xr.DataArray,
    *,
    truth: GeoDataFrame | None = None,
    scores: bool | None = None,
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
    scores
        Write the ``score`` beside each outline; None: where there are no more than 40.
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
    if (len(found) <= MOST) if scores is None else scores:
        _scores(ax, found, shaded)
    ax.legend(handles=handles[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    ax.set_title(f"{len(found)} detection{'s' * (len(found) != 1)}", loc="left")
    return ax


def _scores(ax: Axes, found: GeoDataFrame, image: xr.DataArray) -> None:
    """Write the score of each object, if it has one, at the upper left of its outline."""
    if "score" not in found:
        return
    for score, shape in zip(found["score"], _on(found, image).geometry, strict=True):
        left, _, _, top = shape.bounds
        box = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5}
        ax.annotate(f"{score:.2f}", (left, top), fontsize=7, va="bottom", bbox=box, zorder=4)


def _on(table: GeoDataFrame, image: xr.DataArray) -> GeoDataFrame:
    """Return a table in the reference system of an image, as it is where either has none."""
    crs = crs_of(image)
    return table.to_crs(crs) if crs is not None and table.crs is not None and len(table) else table


def _outlines(ax: Axes, table: GeoDataFrame, image: xr.DataArray, *, label: str, **style: Any) -> Any:
    """Draw the borders of the polygons of ``table`` and return what stands for them in a legend."""
    from matplotlib.lines import Line2D

    for line in _on(table, image).geometry.boundary.explode(index_parts=False):
        xs, ys = line.xy
        ax.plot(xs, ys, color="white", lw=2.8, alpha=0.6, zorder=2)
        ax.plot(xs, ys, lw=1.5, zorder=3, **style)
    return Line2D([], [], lw=1.5, label=f"{label} ({len(table)})", **style)
