"""A variable of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.plot.colours import check_percentile, colour_bar, robust_limit, unit_text
from xinsar.plot.disks import draw_points
from xinsar.plot.fields import fewer, field_of
from xinsar.plot.geometry import on_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def points(
    ds: xr.Dataset,
    *,
    variable: str = "velocity",
    elevation: xr.DataArray | None = None,
    percentile: float = 99.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a variable of a point data set: every point a disk, sized for their number, strongest last.

    Values of both signs get a diverging, symmetric scale (positive red, toward the satellite for velocities),
    others a sequential one; both end at a percentile. Metres are written as millimetres.

    Parameters
    ----------
    ds
        Dataset with ``variable`` (point,) and coordinates ``x``, ``y`` (point,).
    variable
        Name of what is drawn; points where it is NaN are left out.
    elevation
        Terrain height (y, x) in metres, drawn shaded below; the points are brought to its CRS.
    percentile
        Share of the values within the colour scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no such variable, or it is not on (point,).
    ValueError
        ``percentile`` is out of range.
    """
    check_percentile(percentile)
    array = field_of(ds, variable)
    if not on_points(array):
        raise schema.SchemaError(f"{variable}: expected dims ('point',), got {array.dims}; it is a raster")
    image, unit = _in_millimetres(fewer(array).compute())
    style = _scale_of(image.values, percentile)
    ax, drawn, _ = draw_points(image, ax, elevation, image, [], **style)
    colour_bar(ax, drawn, f"{_words(image)} ({unit})")
    number = int(np.isfinite(image.values).sum())
    ax.set_title(f"{number:,} point{'s' * (number != 1)}".replace(",", " "), loc="left")
    return ax


def _words(array: xr.DataArray) -> str:
    return str(array.name).replace("_", " ")


def _in_millimetres(array: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Return lengths and rates given in metres in millimetres, and the unit."""
    units = str(array.attrs.get("units", ""))
    small = array.name in ("velocity", "velocity_sigma", "displacement") and units.split(" ")[0] == "m"
    return (array * 1e3 if small else array).assign_attrs(array.attrs), unit_text("m" * small + units)


def _scale_of(values: np.ndarray[Any, Any], percentile: float) -> dict[str, Any]:
    """Return the colours for values: symmetric where both signs occur, else from one percentile to the other."""
    valid = values[np.isfinite(values)]
    if valid.size and valid.min() < 0 < valid.max():
        limit = robust_limit([valid], percentile)
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    low, high = np.percentile(valid, [100 - percentile, percentile]) if valid.size else (0.0, 1.0)
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1}
