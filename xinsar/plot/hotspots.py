"""Hot and cold spots, and their density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.plot.colours import check_percentile, colour_bar, robust_limit, unit_text
from xinsar.plot.disks import draw_points
from xinsar.plot.fields import fewer, field_of, flat, thin
from xinsar.plot.geometry import on_points
from xinsar.plot.levels import Level, significance, z_scores_of
from xinsar.plot.raster import draw_raster

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TIGHT = {"columnspacing": 1.0, "handlelength": 1.4, "handletextpad": 0.5, "borderaxespad": 0.2}


def hot_spots(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    confidence: Sequence[float] = (90, 95, 99),
    percentile: float = 99.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw hot and cold spots in red and blue on a symmetric scale, with outlines of what is significant.

    The scale ends at a percentile of the absolute z scores, but not below 2.58, so that noise stays pale.
    Rasters get contours; points are drawn strongest last, sized for their number, and the significant ones
    stand on darker disks, which outline single points and clusters alike.

    Parameters
    ----------
    ds
        Dataset with ``hot_spot`` on (y, x) or (point,), as :func:`xinsar.getis_ord` gives it. Where it holds
        ``significant`` (false discovery rate), that is outlined, else the levels of ``confidence``.
    elevation
        Terrain height (y, x) in metres: drawn shaded below, and the more the weaker the hot spot.
    confidence
        Levels to outline, percent, two-sided: 95 outlines where z exceeds 1.96 or falls below -1.96.
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
        There is no ``hot_spot``, or it has dims beyond (y, x) or (point,).
    ValueError
        ``confidence`` or ``percentile`` is out of range, or ``elevation`` has another CRS than the raster.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> ds = xr.Dataset({"hot_spot": ("point", [-0.5, 0.3, 3.1, 2.8])},
    ...                 {"x": ("point", [0.0, 50, 90, 95]), "y": ("point", [0.0, 10, 80, 85])})
    >>> hot_spots(ds).get_title(loc="left")
    '50 % hot, 0 % cold (99 %)'
    """
    check_percentile(percentile)
    z_levels = z_scores_of(confidence)
    fields = [field_of(ds, name) for name in ("hot_spot", "significant") if name == "hot_spot" or name in ds]
    shown = xr.Dataset({str(f.name): f for f in map(fewer, fields)}).compute()
    hot = shown["hot_spot"]
    limit = max(robust_limit([hot.values], percentile), z_scores_of([99])[0])
    strength, levels = significance(shown, z_levels)
    style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    draw = draw_points if on_points(hot) else draw_raster
    ax, drawn, handles = draw(hot, ax, elevation, strength, levels, **style)
    bar = colour_bar(ax, drawn, "Gi* z score (standard deviations)")
    for level in levels if "significant" not in shown else []:
        for sign in (-1, 1):
            bar.ax.axhline(sign * level.value, color=level.color, lw=level.width)
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, **_TIGHT)
    ax.set_title(_shares(hot.values, strength.values, levels[-1]), loc="left")
    return ax


def _shares(hot: np.ndarray[Any, Any], strength: np.ndarray[Any, Any], level: Level) -> str:
    """Return how much of what is drawn is hot, and cold, at a level."""
    valid = max(int(np.isfinite(hot).sum()), 1)
    above, below = (100 * int((sign * strength > level.value).sum()) / valid for sign in (1, -1))
    return f"{above:.3g} % hot, {below:.3g} % cold ({level.label})"


def density(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    percentile: float = 99.9,
    ax: Axes | None = None,
) -> Axes:
    """Draw a kernel density, per square kilometre; weighted by signs on a diverging, symmetric scale.

    Parameters
    ----------
    ds
        Dataset with ``density`` (y, x), as :func:`xinsar.kernel_density` or :func:`xinsar.hot_spot_map` give it.
    elevation
        Terrain height (y, x) in metres in the same CRS: drawn shaded below, hidden where the density is high.
    percentile
        Share of the values other than 0 within the colour scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``density``, or it is not on (y, x).
    ValueError
        ``percentile`` is out of range, or ``elevation`` has another CRS.
    """
    check_percentile(percentile)
    image = thin(flat(field_of(ds, "density"))).compute()
    units = str(image.attrs.get("units", "m-2"))
    per_area = units.split(" ")[0] == "m-2"
    image = image.copy(data=image.values * (1e6 if per_area else 1.0))
    values = image.values[np.isfinite(image.values) & (image.values != 0)]
    limit = robust_limit([values], percentile)
    both = values.size > 0 and bool(values.min() < 0)
    style = {"cmap": "RdBu_r" if both else "magma_r", "vmin": -limit if both else 0, "vmax": limit}
    ax, drawn, _ = draw_raster(image, ax, elevation, image, [], **style)
    colour_bar(ax, drawn, f"density ({unit_text('k' + units if per_area else units)})")
    return ax
