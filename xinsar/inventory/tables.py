"""What a table of outlines must be: checked and repaired at the door of every function of the inventory."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]

_POLYGONS = (3, 6)
_COLLECTION = 7


def checked(table: Any, name: str) -> GeoDataFrame:
    """Return ``table`` with valid polygons in a column ``geometry``; the caller's table stays as it is.

    Outlines that cross themselves are repaired by ``make_valid``, of which the polygons are kept, with a
    warning that counts them. A missing outline becomes an empty polygon. Rows keep their order and index.

    Parameters
    ----------
    table
        GeoDataFrame of polygons and multipolygons.
    name
        Name of the argument, for messages.

    Raises
    ------
    TypeError
        ``table`` is no GeoDataFrame.
    ValueError
        It has no geometry, or holds points or lines.
    """
    table = _named(table, name)
    shapes = _polygons(np.asarray(table.geometry.array, object), name)
    unchanged = all(a is b for a, b in zip(shapes, table.geometry.array, strict=True))
    return table if unchanged else table.set_geometry(list(shapes), crs=table.crs)


def _named(table: Any, name: str) -> GeoDataFrame:
    """Return the GeoDataFrame with its geometry in the column ``geometry``."""
    import geopandas as gpd

    if not isinstance(table, gpd.GeoDataFrame):
        raise TypeError(
            f"{name}: expected a GeoDataFrame of outlines, got {type(table).__name__}; open files with "
            "xinsar.inventory.open_inventory"
        )
    if table.active_geometry_name is None:
        raise ValueError(f"{name}: expected a column of outlines, got none; choose it with set_geometry")
    if table.active_geometry_name == "geometry":
        return table
    return table.drop(columns="geometry", errors="ignore").rename_geometry("geometry")


def _polygons(shapes: Array, name: str) -> Array:
    """Return polygons and multipolygons, repaired where they are not valid, empty where they are missing."""
    import shapely

    kinds = shapely.get_type_id(shapes)
    foreign = ~np.isin(kinds, (*_POLYGONS, _COLLECTION, -1)) & ~shapely.is_empty(shapes)
    if foreign.any():
        raise ValueError(
            f"{name}: expected polygons, got {shapes[foreign][0].geom_type} in {foreign.sum()} of {shapes.size} "
            "rows; leave them out, or give points a size with buffer"
        )
    broken = ~shapely.is_valid(shapes) & (kinds != -1)
    if broken.any():
        warnings.warn(
            f"{name}: {broken.sum()} of {shapes.size} outlines cross themselves; repaired with make_valid",
            UserWarning,
            stacklevel=4,
        )
    out = shapes.copy()
    for k in np.flatnonzero(broken | ~np.isin(kinds, _POLYGONS)):
        out[k] = _areas_of(shapes[k])
    return out


def _areas_of(shape: Any) -> Any:
    """Return the polygons of a valid version of ``shape``, joined."""
    import shapely

    if shape is None:
        return shapely.Polygon()
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shape)))
    return shapely.union_all(parts[np.isin(shapely.get_type_id(parts), _POLYGONS)])


def filled(table: GeoDataFrame, name: str) -> GeoDataFrame:
    """Return the rows that have an outline; say how many have none."""
    empty = np.asarray(table.geometry.is_empty)
    if empty.any():
        warnings.warn(
            f"{name}: {empty.sum()} of {len(table)} rows have no outline and are left out",
            UserWarning,
            stacklevel=3,
        )
    return table[~empty]


def same_system(table: GeoDataFrame, other: GeoDataFrame, name: str) -> GeoDataFrame:
    """Return ``table`` in the reference system of ``other``; both must have one, or neither."""
    if (table.crs is None) != (other.crs is None):
        raise ValueError(
            f"{name}: expected a coordinate reference system in both tables or in none, got "
            f"{'none' if table.crs is None else table.crs.name!r} here and "
            f"{'none' if other.crs is None else other.crs.name!r} in the other; set it with set_crs"
        )
    return table if table.crs == other.crs else table.to_crs(other.crs)


def numbers(table: GeoDataFrame, column: str, name: str) -> Array:
    """Return the numbers of a column that must be there."""
    if column not in table:
        raise ValueError(
            f"{name}: expected a column {column!r}, got {', '.join(map(str, table.columns))}; add it, or choose "
            "another one"
        )
    try:
        return np.asarray(table[column], "f8")
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}: expected numbers in the column {column!r}, got {table[column].dtype}; convert them"
        ) from None


def by_place(bounds: Any, *, first: Sequence[Array] = ()) -> Array:
    """Return the order of rows by ``first``, then from north to south and from west to east."""
    keys = [bounds["miny"], bounds["maxx"], bounds["minx"], -bounds["maxy"], *first[::-1]]
    return np.lexsort([np.asarray(key) for key in keys])
