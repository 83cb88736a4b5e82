"""Motion down the slope as arrows over the terrain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import pixel_spacing
from xinsar.operations import checks
from xinsar.plot.axes import new_map_axes
from xinsar.plot.colours import colour_bar
from xinsar.plot.fields import flat, thin
from xinsar.plot.geometry import axis_values
from xinsar.plot.image import draw_map
from xinsar.plot.motion import end_of_scale, millimetres
from xinsar.plot.terrain import draw_terrain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

_ACROSS = 40
"""Cells along the longer side of the map where no spacing is given."""
_LONGEST = 1.5
"""Length of the longest arrow, cells."""
_FILLED = 0.25
"""Share of a cell's pixels that must have a value."""
_AGREEING = 0.5
"""Length of the mean direction of a cell's pixels, 0..1, below which they point anywhere."""


def slope_arrows(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    spacing: float | None = None,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw motion along the slope as arrows, in millimetres (a year): downhill, or uphill where it is negative.

    The map is divided into square cells. An arrow shows the median motion of its cell along the median direction
    of its pixels. No arrow stands where less than a quarter of them has a value, or where they face all ways.

    Parameters
    ----------
    ds
        Dataset with ``slope_motion`` (y, x), m or m year-1, positive downhill, as :func:`xinsar.to_slope` gives it, and
        ``aspect`` (y, x), degrees, azimuth of steepest descent, of :func:`xinsar.terrain`.
    elevation
        Terrain height (y, x) in metres in the same CRS: drawn shaded below.
    spacing
        Side of a cell, metres; None: a 40th of the longer side of the map.
    limit
        Speed of the longest arrow and end of the colour scale, mm or mm year-1; faster ones are drawn as long. None:
        that of the fastest arrow.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        ``slope_motion`` or ``aspect`` is missing or not on (y, x).
    ValueError
        ``spacing`` or ``limit`` is no number above 0, the map has neither a CRS nor a unit of x, or ``elevation`` has
        another CRS.
    """
    shown = xr.Dataset(
        {v.name: thin(flat(schema.find(ds, v))) for v in (schema.SLOPE_MOTION, schema.ASPECT)}
    ).compute()
    motion, unit = millimetres(shown["slope_motion"])
    size = _cell_size(motion, spacing)
    speed, direction = _of_cells(motion.transpose("y", "x"), shown["aspect"].transpose("y", "x"), size)
    end = end_of_scale([speed], limit)
    ax = ax if ax is not None else new_map_axes(motion)
    if elevation is not None:
        draw_terrain(elevation, motion, ax)
    draw_map(motion * np.nan, ax, vmin=0, vmax=1)  # nothing, but the frame of the map
    ax.set_facecolor("0.75" if elevation is not None else "0.93")
    places = [_middles(axis_values(motion, d), n) for d, n in zip(("x", "y"), size[::-1], strict=True)]
    drawn = _draw(ax, places, speed, direction, end, size[1] * _step(motion))
    colour_bar(ax, drawn, f"speed along the slope ({unit})")
    key = _round_below(end)
    ax.quiverkey(drawn, 0.95, 1.035, key, f"{key:g} {unit}", labelpos="W", color="black")
    return ax


def _cell_size(image: xr.DataArray, spacing: float | None) -> tuple[int, int]:
    """Return how many pixels along y and x make a cell of ``spacing`` metres."""
    dy, dx = (float(np.median(size)) for size in pixel_spacing(image))
    longer = max(dy * image.sizes["y"], dx * image.sizes["x"])
    side = longer / _ACROSS if spacing is None else checks.finite("spacing", spacing)
    return max(round(side / dy), 1) if dy == dy else 1, max(round(side / dx), 1) if dx == dx else 1


def _of_cells(motion: xr.DataArray, aspect: xr.DataArray, size: tuple[int, int]) -> tuple[Array, Array]:
    """Return the median motion of every cell and the azimuth of its pixels (radians), NaN where nothing is drawn."""
    angle = np.radians(aspect.values.astype("f8"))
    valid = np.isfinite(motion.values) & np.isfinite(angle)
    parts = [motion.values.astype("f8"), np.sin(angle), np.cos(angle)]
    cells = [_cells(np.where(valid, part, np.nan), size) for part in parts]
    filled = np.isfinite(cells[0]).mean(axis=-1) >= _FILLED
    speed, east, north = (np.nanmedian(np.where(filled[..., None], c, 0), axis=-1) for c in cells)
    means = [np.nanmean(np.where(filled[..., None], c, 0), axis=-1) for c in cells[1:]]
    drawn = filled & (np.hypot(*means) >= _AGREEING) & (np.hypot(east, north) > 0)
    return np.where(drawn, speed, np.nan), np.where(drawn, np.arctan2(east, north), np.nan)


def _cells(values: Array, size: tuple[int, int]) -> Array:
    """Return the pixels of every cell (cell along y, along x, pixel); those beyond the edge are NaN."""
    rows, columns = (-(-n // s) for n, s in zip(values.shape, size, strict=True))
    padded = np.full((rows * size[0], columns * size[1]), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows, size[0], columns, size[1]).transpose(0, 2, 1, 3)
    return blocks.reshape(rows, columns, -1)


def _middles(values: Array, size: int) -> Array:
    """Return the middle of the coordinates of every cell along one axis."""
    starts = np.arange(0, values.size, size)
    return np.add.reduceat(values, starts) / np.diff([*starts, values.size])


def _step(image: xr.DataArray) -> float:
    """Return the size of a pixel along x in units of x."""
    values = axis_values(image, "x")
    return abs(float(values[-1] - values[0])) / (values.size - 1) if values.size > 1 else 1.0


def _draw(ax: Axes, places: list[Array], speed: Array, direction: Array, end: float, cell: float) -> Any:
    """Draw the arrows, the fastest last; colours tell the speed, whichever way it goes."""
    x, y = np.meshgrid(*places)
    order = np.argsort(np.abs(speed), axis=None)
    order = order[: int(np.isfinite(speed).sum())]
    x, y, v, way = (np.asarray(a).ravel()[order] for a in (x, y, speed, direction))
    length = np.clip(v, -end, end)
    return ax.quiver(
        x,
        y,
        length * np.sin(way),
        length * np.cos(way),
        np.abs(v),
        angles="uv",
        scale_units="x",
        scale=end / (_LONGEST * cell),
        cmap="plasma_r",
        clim=(0, end),
        pivot="middle",
        units="inches",
        width=0.02,
        minlength=0.3,
    )


def _round_below(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the largest up to ``value``.

    Examples
    --------
    >>> [_round_below(value) for value in (73.0, 20.0, 0.013)]
    [50.0, 20.0, 0.01]
    """
    power = 10.0 ** np.floor(np.log10(value) + 1e-9)
    return float(max(n for n in (1, 2, 5) if n * power <= value * (1 + 1e-9)) * power)
