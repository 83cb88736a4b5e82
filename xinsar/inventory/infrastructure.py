"""What lies near roads and rivers: potential landslides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.metric import flat_parts, geodetic, is_metric
from xinsar.inventory.tables import checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

Array = np.ndarray[Any, Any]

_FIRST_SEARCH = 10_000.0
"""Metres around a tile within which lines are looked for first."""
_DEGREE = 110_000.0
"""Somewhat less than the length of any degree of latitude, metres."""


def potential_landslides(
    inventory: GeoDataFrame,
    *,
    roads: GeoDataFrame | GeoSeries | None = None,
    rivers: GeoDataFrame | GeoSeries | None = None,
    distance: float = 1000.0,
    drop: bool = True,
) -> GeoDataFrame:
    """Return the objects within ``distance`` of a road or a river: moving ground that may do harm.

    Parameters
    ----------
    inventory
        Outlines.
    roads, rivers
        Lines (or any shapes), in any reference system; one of them may be None.
    distance
        Metres from the outline, 0 where a line crosses it; in degrees on the ellipsoid.
    drop
        Leave other objects out; False: keep all, with a column ``potential_landslide``.

    Returns
    -------
    GeoDataFrame
        With ``road_distance`` and ``river_distance``, metres to the nearest one (NaN where there is none), of
        those given.

    Raises
    ------
    TypeError
        A table is of another kind.
    ValueError
        Neither roads nor rivers, a reference system on one side only, or ``distance`` is no number above 0.

    References
    ----------
    Zhang T. et al. 2022, Remote Sens. 14:2690, section 5 (1 km around roads and rivers).

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import LineString, box
    >>> bodies = gpd.GeoDataFrame(geometry=[box(0, 0, 100, 100), box(5000, 0, 5100, 100)], crs=32632)
    >>> road = gpd.GeoSeries([LineString([(400, -9000), (400, 9000)])], crs=32632)
    >>> potential_landslides(bodies, roads=road)["road_distance"].tolist()
    [300.0]
    """
    from xinsar.inventory.filters import kept_rows
    from xinsar.operations.checks import finite

    table, distance = checked(inventory, "inventory"), finite("distance", distance)
    given = {"road_distance": (roads, "roads"), "river_distance": (rivers, "rivers")}
    given = {column: pair for column, pair in given.items() if pair[0] is not None}
    if not given:
        raise ValueError("roads, rivers: expected lines of one or both, got None for both")
    near = np.zeros(len(table), bool)
    for column, (lines, name) in given.items():
        metres = distances(table, _lines(lines, table, name), distance)
        table = table.assign(**{column: metres})
        near |= metres <= distance
    return kept_rows(table, near, "potential_landslide", drop=drop)


def _lines(lines: Any, table: GeoDataFrame, name: str) -> GeoSeries:
    """Return the shapes that are there, as a series."""
    import geopandas as gpd

    if not isinstance(lines, (gpd.GeoDataFrame, gpd.GeoSeries)):
        raise TypeError(f"{name}: expected a GeoDataFrame or GeoSeries of lines, got {type(lines).__name__}")
    if (lines.crs is None) != (table.crs is None):
        without = name if lines.crs is None else "inventory"
        raise ValueError(
            f"{without}: expected a coordinate reference system as the other table has, got none; set it with set_crs"
        )
    shapes = lines.geometry
    return shapes[~(shapes.is_empty | shapes.isna())].reset_index(drop=True)


def distances(table: GeoDataFrame, lines: GeoSeries, first: float = _FIRST_SEARCH) -> Array:
    """Return the distance of every outline from the nearest line, metres; NaN without lines or outline.

    Where coordinates are no metres, tile by tile in a flat system around it, in which distances up to 150 km
    are true to 1e-4; lines are looked for in ever wider rings.
    """
    out = np.full(len(table), np.nan)
    if not len(lines):
        return out
    if is_metric(table):
        here = np.flatnonzero(~np.asarray(table.geometry.is_empty))
        out[here] = _nearest(
            table.geometry.iloc[here], lines if table.crs is None else lines.to_crs(table.crs)
        )
        return out
    places = geodetic(table.geometry)
    lines = lines.to_crs(places.crs)
    for here, crs in flat_parts(table):
        out[here] = _in_rings(places.iloc[here], lines, crs, max(2 * first, _FIRST_SEARCH))
    return out


def _nearest(shapes: GeoSeries, lines: GeoSeries) -> Array:
    """Return distances in the unit of both."""
    (rows, _), metres = lines.sindex.nearest(shapes, return_all=False, return_distance=True)
    out = np.full(len(shapes), np.nan)
    out[rows] = metres
    return out


def _in_rings(places: GeoSeries, lines: GeoSeries, crs: Any, reach: float) -> Array:
    """Return distances of places in degrees from lines in degrees, looked for within ``reach`` and then farther."""
    from shapely.geometry import box

    shapes = places.to_crs(crs)
    left, bottom, right, top = places.total_bounds
    while True:
        up = reach / _DEGREE
        aside = up / np.cos(np.radians(min(max(abs(bottom - up), abs(top + up)), 89.0)))
        ring = box(left - aside, bottom - up, right + aside, top + up)
        chosen = lines.iloc[np.sort(lines.sindex.query(ring))]
        found = _nearest(shapes, chosen.to_crs(crs)) if len(chosen) else np.full(len(shapes), np.inf)
        if len(chosen) == len(lines) or found.max() <= reach:
            return found
        reach *= 4
