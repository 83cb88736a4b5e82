"""The two gradients of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import crs_of
from xinsar.plot.axes import new_map_axes
from xinsar.plot.colours import check_percentile, colour_bar, robust_limit, unit_text
from xinsar.plot.fields import flat, thin
from xinsar.plot.image import draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DIRECTIONS = {"gradient_x": ("larger x", "the east"), "gradient_y": ("larger y", "the south")}


def gradients(
    stack: xr.Dataset, *, percentile: float = 99.0, ax: tuple[Axes, Axes] | None = None
) -> tuple[Axes, Axes]:
    """Draw the two gradients of a phase-gradient stack side by side, on one symmetric scale.

    The scale ends at a percentile of the absolute values of both, so that single wild pixels do not wash
    the picture out. A moving body shows as a couple of opposite colours along each direction. Values lie on
    the edges between pixels and are drawn there (half a pixel on, attribute ``offset``).

    Parameters
    ----------
    stack
        Dataset with ``gradient_y`` and ``gradient_x`` (y, x), along increasing index, in any unit; NaN is
        drawn grey.
    percentile
        Share of the pixels within the colour scale, above 0 to 100.
    ax
        Two axes, for x and y; by default a new figure.

    Returns
    -------
    tuple of Axes
        That of ``gradient_x``, that of ``gradient_y``.

    Raises
    ------
    SchemaError
        A gradient is missing, or still has the dimension ``pair``.
    ValueError
        ``percentile`` is out of range.
    """
    check_percentile(percentile)
    couple = [thin(flat(schema.find(stack, v))) for v in (schema.GRADIENT_X, schema.GRADIENT_Y)]
    images = xr.Dataset({str(image.name): image for image in couple}).compute()
    limit = robust_limit([images[name].values for name in images.data_vars], percentile)
    ax = ax if ax is not None else new_map_axes(couple[0], columns=2)
    for axes, (name, direction) in zip(ax, _DIRECTIONS.items(), strict=True):
        image = images[name]
        drawn = draw_map(image, axes, cmap="RdBu_r", vmin=-limit, vmax=limit)[1]
        axes.set_title(f"gradient toward {direction[_points_south(image)]}")
    ax[1].set_ylabel("")
    colour_bar(ax[1], drawn, f"phase gradient ({unit_text(images['gradient_x'].attrs.get('units'))})")
    return ax[0], ax[1]


def _points_south(image: xr.DataArray) -> bool:
    """Tell whether the axes of ``image`` run east and south, as on every map opened with north up."""
    y = image["y"].values if "y" in image.coords else np.arange(image.sizes["y"])
    along_map = image.attrs.get("directions", "map") == "map"
    return along_map and crs_of(image) is not None and (y.size < 2 or bool(y[0] > y[-1]))
