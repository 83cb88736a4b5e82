"""Velocities toward the satellite, and the components of a motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.operations import checks
from xinsar.plot.axes import new_map_axes
from xinsar.plot.colours import check_percentile, colour_bar, robust_limit, unit_text
from xinsar.plot.fields import field_of, flat, thin
from xinsar.plot.geometry import on_points
from xinsar.plot.raster import draw_raster

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def velocity(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    limit: float | None = None,
    percentile: float = 99.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a velocity map in millimetres a year, red toward the satellite, blue away, on a symmetric scale.

    Parameters
    ----------
    ds
        Dataset with ``velocity`` (y, x), m year-1, as :func:`xinsar.velocity` gives it; NaN is drawn grey, or shows the
        terrain. Points are drawn by :func:`points`.
    elevation
        Terrain height (y, x) in metres in the same CRS: drawn shaded below, and the more the slower the ground.
    limit
        End of the scale, mm year-1; None: where ``percentile`` lies.
    percentile
        Share of the absolute values within the scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``velocity``, or it is not on (y, x).
    ValueError
        ``limit`` or ``percentile`` is out of range, or ``elevation`` has another CRS.
    """
    if on_points(field_of(ds, "velocity")):
        raise schema.SchemaError(
            "velocity: expected dims ('y', 'x'), got ('point',); draw points with plot.points"
        )
    image, unit = millimetres(thin(flat(schema.find(ds, schema.VELOCITY))).compute())
    end = end_of_scale([image.values], limit, percentile)
    ax, drawn, _ = draw_raster(image, ax, elevation, image, [], cmap="RdBu_r", vmin=-end, vmax=end)
    colour_bar(ax, drawn, f"velocity toward the satellite ({unit})")
    return ax


def motion(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    limit: float | None = None,
    percentile: float = 99.0,
    ax: Axes | Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Draw the components of a motion side by side, in millimetres (a year), on one symmetric scale.

    Red is motion toward the name of the panel (east, north, up), blue the opposite.

    Parameters
    ----------
    ds
        Dataset with ``motion`` (component, y, x), m or m year-1, as :func:`xinsar.decompose_los` gives it; NaN is drawn
        grey, or shows the terrain.
    elevation
        Terrain height (y, x) in metres in the same CRS: drawn shaded below, and the more the slower the ground.
    limit
        End of the scale, mm or mm year-1; None: where ``percentile`` lies.
    percentile
        Share of the absolute values of all components within the scale, above 0 to 100.
    ax
        As many axes as there are components; by default a new figure.

    Returns
    -------
    tuple of Axes
        One for each component.

    Raises
    ------
    SchemaError
        There is no ``motion``, or it has other dims than (component, y, x).
    ValueError
        ``limit`` or ``percentile`` is out of range, axes are too few or too many, or ``elevation`` has another CRS.
    """
    images, unit = millimetres(_components(ds))
    end = end_of_scale([images.values], limit, percentile)
    names = [str(name) for name in images["component"].values]
    axes = _panels(images[0], len(names), ax)
    for panel, image, name in zip(axes, images, names, strict=True):
        drawn = draw_raster(image, panel, elevation, image, [], cmap="RdBu_r", vmin=-end, vmax=end)[1]
        panel.set_title(name)
    for panel in axes[1:]:
        panel.set_ylabel("")
    colour_bar(axes[-1], drawn, f"motion toward {_listed(names)} ({unit})")
    return axes


def _components(ds: xr.Dataset) -> xr.DataArray:
    """Return the components of ``ds`` as they are drawn, in memory."""
    field = schema.find(ds, schema.MOTION)
    if field.dims != schema.MOTION.dims:
        raise schema.SchemaError(
            f"motion: expected dims {schema.MOTION.dims}, got {tuple(map(str, field.dims))}; choose one index of the "
            "others with isel"
        )
    if not field.sizes["component"] or "component" not in field.coords:
        raise schema.SchemaError(
            "motion: expected the names of its components (east, north, up), got none; assign them with "
            "assign_coords(component=['east', 'up'])"
        )
    return thin(field).compute()


def _panels(image: xr.DataArray, number: int, ax: Any) -> tuple[Axes, ...]:
    """Return the axes that were given, or those of a new figure."""
    axes = new_map_axes(image, columns=number, beside=1.2 + number) if ax is None else ax
    panels = tuple(np.atleast_1d(np.asarray(axes, object)).ravel())
    if len(panels) != number:
        raise ValueError(f"ax: expected {number} axes, one for each component, got {len(panels)}")
    return panels


def _listed(names: Sequence[str]) -> str:
    """Return names as a list in words.

    Examples
    --------
    >>> _listed(["east", "north", "up"])
    'east, north and up'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def millimetres(array: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Return lengths and rates given in metres in millimetres, and the unit as it is written."""
    lengths = ("", "m", "metre", "metres", "meter", "meters")
    rate = array.name == "velocity" or str(array.attrs.get("units", "")).strip().lower() not in lengths
    return array.copy(data=array.values * 1e3), unit_text("mm year-1" if rate else "mm")


def end_of_scale(values: list[np.ndarray[Any, Any]], limit: float | None, percentile: float = 100.0) -> float:
    """Return where a scale of millimetres ends: as given, or at a percentile."""
    check_percentile(percentile)
    return robust_limit(values, percentile) if limit is None else checks.finite("limit", limit)
