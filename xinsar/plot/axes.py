"""Axes of a picture: their size, their names, kilometres or degrees on their ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from xinsar.grid import crs_of
from xinsar.plot.geometry import aspect, extent_of, is_geographic, is_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def new_axes(size: tuple[float, float]) -> Axes:
    """Return the axes of a new figure of so many inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def new_map_axes(image: xr.DataArray, *, columns: int = 1, beside: float = 2.2) -> Any:
    """Return axes of a new figure shaped like the map, with room for its labels and ``beside`` inches."""
    import matplotlib.pyplot as plt

    left, right, bottom, top = extent_of(image)
    shape = abs((top - bottom) / (right - left)) * aspect(image)
    width = min(5.4, 6.5 / max(shape, 0.2))
    size = (width * columns + beside, min(max(width * shape, 2.8), 6.5) + 0.9)
    return plt.subplots(1, columns, figsize=size, layout="compressed", sharex=True, sharey=True)[1]


def name_axes(ax: Axes, image: xr.DataArray) -> None:
    """Name the axes and write ticks in kilometres, degrees, or rows and columns."""
    if is_geographic(image):
        names, scale = ("longitude (°)", "latitude (°)"), 1.0
    elif is_map(image):
        projected = crs_of(image) is not None
        names, scale = ("easting (km)", "northing (km)") if projected else ("x (km)", "y (km)"), 1e-3
    else:
        names, scale = ("column", "row"), 1.0
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    for axis, count in ((ax.xaxis, 5), (ax.yaxis, 6)):
        axis.set_major_locator(_locator(count))
        axis.set_major_formatter(_formatter(scale))


def date_axis(ax: Axes) -> None:
    """Write acquisition dates concisely along x, with a pale grid."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlabel("acquisition date")
    ax.grid(visible=True, color="0.9", lw=0.6)
    ax.set_axisbelow(True)


def _locator(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])


def _formatter(scale: float) -> Any:
    """Return what writes ticks times ``scale``, in full and with equal digits."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    if scale == 1:
        return ScalarFormatter(useOffset=False)
    return FuncFormatter(lambda value, _: f"{value * scale:.8g}")
