"""Categories of emerging hot and cold spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.plot.axes import new_map_axes
from xinsar.plot.disks import draw_points
from xinsar.plot.fields import fewer, field_of
from xinsar.plot.geometry import on_points
from xinsar.plot.image import draw_map
from xinsar.plot.terrain import draw_terrain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WARM = ("#ffe04a", "#fdae33", "#f4701f", "#c4161c", "#f7a6a6", "#e8c39a", "#a0622d", "#5c0a23")
_COOL = ("#b9f0c8", "#63cfa4", "#1f9fb4", "#1c3fa8", "#a9c6ee", "#c9bfe6", "#7a6bb5", "#0b1d51")
"""Colours of the categories of emerging hot and cold spots, in the order of their codes."""
_CATEGORY_COLOURS = {
    0: "0.93",
    **dict(enumerate(_WARM, start=1)),
    **{-code: colour for code, colour in enumerate(_COOL, start=1)},
}


def emerging(ds: xr.Dataset, *, elevation: xr.DataArray | None = None, ax: Axes | None = None) -> Axes:
    """Draw the categories of emerging hot and cold spots, with a legend of those that occur.

    Hot categories are yellow to dark red, cold ones green to dark blue; what is neither is pale, missing grey.

    Parameters
    ----------
    ds
        Dataset with ``category`` on (y, x) or (point,), as :func:`xinsar.emerging_hot_spots` gives it: codes
        above 0 are hot, below 0 cold, and ``flag_values`` and ``flag_meanings`` name them.
    elevation
        Terrain height (y, x) in metres, drawn shaded below.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``category``, or it has other dims.
    ValueError
        ``elevation`` has another CRS than the raster.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap

    category = fewer(field_of(ds, "category")).compute()
    names = _flag_names(category)
    codes = sorted(names)
    image = category.astype("f8").where(category.isin(codes))
    palette = [_CATEGORY_COLOURS.get(code, "0.95") for code in codes]
    edges = [codes[0] - 0.5, *(np.add(codes[1:], codes[:-1]) / 2), codes[-1] + 0.5]
    style = {"cmap": ListedColormap(palette), "norm": BoundaryNorm(edges, len(codes))}
    if on_points(image):
        ax = draw_points(image, ax, elevation, image, [], **style)[0]
    else:
        ax = _draw_categories(image, ax, elevation, **style)
    _category_legend(ax, image.values, names)
    return ax


def _flag_names(category: xr.DataArray) -> dict[int, str]:
    """Return the name of every code from the CF flags."""
    values = np.atleast_1d(np.asarray(category.attrs.get("flag_values", []), int)).tolist()
    meanings = str(category.attrs.get("flag_meanings", "")).split()
    if not values or len(values) != len(meanings):
        raise schema.SchemaError(
            "category: expected the attributes flag_values and flag_meanings of equal length, got "
            f"{len(values)} and {len(meanings)}; take the result of emerging_hot_spots as it is"
        )
    return {code: name.replace("_", " ") for code, name in zip(values, meanings, strict=True)}


def _draw_categories(
    image: xr.DataArray, ax: Axes | None, elevation: xr.DataArray | None, **style: Any
) -> Axes:
    ax = ax if ax is not None else new_map_axes(image, beside=3.0)
    if elevation is not None:
        draw_terrain(elevation, image, ax)
        values = image.transpose("y", "x").values
        style["alpha"] = np.where(np.isfinite(values), np.where(values == 0, 0.15, 0.8), 0.0)
    return draw_map(image, ax, **style)[0]


def _category_legend(ax: Axes, values: np.ndarray[Any, Any], names: dict[int, str]) -> None:
    """List the categories that occur, hot ones first, with the share of each."""
    from matplotlib.patches import Patch

    valid = values[np.isfinite(values)]
    found = [code for code in sorted(names, reverse=True) if (valid == code).any()]
    shares = [100 * float((valid == code).mean()) for code in found]
    handles = [
        Patch(
            fc=_CATEGORY_COLOURS.get(code, "0.95"), ec="0.5", lw=0.5, label=f"{names[code]} ({share:.2g} %)"
        )
        for code, share in zip(found, shares, strict=True)
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0)
