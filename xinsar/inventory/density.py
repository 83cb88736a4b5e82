"""Where landslides crowd: the density of an inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.inventory.tables import checked, numbers

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def landslide_density(
    inventory: GeoDataFrame, radius: float, *, weights: str | None = None, target: Any = None
) -> xr.Dataset:
    """Map the density of landslides: a kernel density of the centroids.

    Parameters
    ----------
    inventory
        Outlines.
    radius
        Search radius, metres.
    weights
        Column that weighs the objects (``"area"``: share of the ground that moves); None: each counts as 1.
    target
        Grid of the map, as for :func:`xinsar.kernel_density`: a cube, a resolution in metres, or an extent;
        None: a resolution of radius / 10 around the objects.

    Returns
    -------
    xarray.Dataset
        ``density`` (y, x), m-2 times the unit of the weights; times 1e6 it is landslides per km2. 0 everywhere
        for an empty inventory.

    Raises
    ------
    ValueError
        As :func:`xinsar.kernel_density`, or the inventory is empty and ``target`` no cube.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 5.2, whose dense counties exceed 0.1 per km2.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> bodies = gpd.GeoDataFrame(geometry=[box(0, 0, 100, 100), box(300, 0, 400, 100)], crs=32632)
    >>> density = landslide_density(bodies, 1000, target=100).density
    >>> round(float(density.sum()) * 100 * 100, 2)
    2.0
    """
    from xinsar.operations.density import kernel_density

    table = checked(inventory, "inventory")
    table = table[~np.asarray(table.geometry.is_empty)]
    if not len(table):
        return _nowhere(target)
    values = None if weights is None else numbers(table, weights, "inventory")
    points = _points(table)
    chosen = None if values is None else xr.DataArray(values, dims="point", coords=points.coords)
    return kernel_density(points, radius, weights=chosen, target=target)


def _points(table: GeoDataFrame) -> xr.Dataset:
    """Return the centroids as a Dataset on ``point``."""
    import shapely

    x, y = shapely.get_coordinates(shapely.centroid(np.asarray(table.geometry.array, object))).T
    unit = {"units": "m"} if table.crs is None else {}
    points = xr.Dataset(coords={"x": ("point", x, unit), "y": ("point", y, unit)})
    if table.crs is None:
        return points
    return points.assign_coords(spatial_ref=((), 0, {"crs_wkt": table.crs.to_wkt()}))


def _nowhere(target: Any) -> xr.Dataset:
    """Return a density of 0 on the grid of a cube."""
    from xinsar import schema

    if not isinstance(target, (xr.Dataset, xr.DataArray)):
        raise ValueError(
            "inventory: expected objects, which give the map its extent, got none; give a cube as target"
        )
    coords = {name: c for name, c in target.coords.items() if set(c.dims) <= {"y", "x"}}
    zeros = xr.DataArray(np.zeros((target.sizes["y"], target.sizes["x"])), dims=("y", "x"), coords=coords)
    return schema.assemble([schema.label(schema.DENSITY, zeros)], target, history="xinsar.kernel_density()")
