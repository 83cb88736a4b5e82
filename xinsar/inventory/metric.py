"""Metres, in whatever reference system a table lies: areas, outlines, neighbours, and local flat systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

Array = np.ndarray[Any, Any]

TILE = 1.0
"""Side of the tiles that share a local system, degrees of latitude."""

_TRUE = 0.01
"""How far the scale of a projected system may be off before metres on the map are no metres."""


def is_metric(table: GeoDataFrame | GeoSeries) -> bool:
    """Tell whether coordinates are metres, true to 1 %, where the table lies.

    A table without reference system counts as metres.
    """
    crs = table.crs
    if crs is None:
        return True
    if not crs.is_projected or any(a.unit_conversion_factor != 1 for a in crs.axis_info[:2]):
        return False
    return len(table) == 0 or _true_scale(table)


def _true_scale(table: GeoDataFrame | GeoSeries) -> bool:
    """Tell whether 100 m on the map are 100 m on the ellipsoid at the corners and the middle of the table."""
    from pyproj import Transformer

    crs = table.crs
    left, bottom, right, top = table.total_bounds
    if not np.isfinite([left, bottom, right, top]).all():
        return True
    x, y = (part.ravel() for part in np.meshgrid([left, (left + right) / 2, right], [bottom, top]))
    try:
        to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform
        here = to_degrees(x, y)
        lengths = [crs.get_geod().inv(*here, *to_degrees(x + a, y + b))[2] for a, b in ((100, 0), (0, 100))]
    except Exception:  # a local engineering system has no way to the ellipsoid: its metres are metres
        return True
    off = np.abs(100 / np.asarray(lengths) - 1)
    return bool(np.isfinite(off).all() and off.max() <= _TRUE)


def geodetic(table: Any) -> Any:
    """Return the table in degrees on the ellipsoid of its own system."""
    return table if table.crs.is_geographic else table.to_crs(table.crs.geodetic_crs)


def square_metres(table: GeoDataFrame | GeoSeries) -> Array:
    """Return areas in square metres; on the ellipsoid where coordinates are no metres."""
    if is_metric(table):
        return np.asarray(table.geometry.area, "f8")
    return _on_ellipsoid(table)[:, 0]


def outline_lengths(table: GeoDataFrame | GeoSeries) -> Array:
    """Return perimeters (with those of holes) in metres; on the ellipsoid where coordinates are no metres."""
    if is_metric(table):
        return np.asarray(table.geometry.length, "f8")
    return _on_ellipsoid(table)[:, 1]


def _on_ellipsoid(table: Any) -> Array:
    """Return areas and perimeters (row, 2)."""
    import shapely

    shapes = geodetic(table).geometry
    geod = shapes.crs.get_geod()
    measured = [
        (abs(geod.geometry_area_perimeter(s)[0]), geod.geometry_length(shapely.boundary(s))) for s in shapes
    ]
    return np.asarray(measured, "f8").reshape(-1, 2)


def flat_parts(table: GeoDataFrame | GeoSeries) -> Iterator[tuple[Array, Any]]:
    """Yield row positions and the reference system in which the metres around these rows are true.

    Metric tables are one part in their own system. Others are cut into tiles of about a degree; each gets an
    azimuthal equidistant system around its centre, whose distances are true to 1e-4 within 150 km of it.
    Rows without outline are in no part.
    """
    here = np.flatnonzero(~np.asarray(table.geometry.is_empty | table.geometry.isna()))
    if not here.size:
        return
    if is_metric(table):
        yield here, table.crs
        return
    places = geodetic(table)
    bounds = np.asarray(places.geometry.bounds)[here]
    x, y = (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
    row = np.floor(y / TILE)
    width = TILE / np.cos(np.radians(np.clip((row + 0.5) * TILE, -80, 80)))
    column = np.floor(x / width)
    tiles, member = np.unique(np.stack([row, column], 1), axis=0, return_inverse=True)
    for number in range(len(tiles)):
        chosen = np.flatnonzero(member.ravel() == number)
        centre = (column[chosen[0]] + 0.5) * width[chosen[0]], (row[chosen[0]] + 0.5) * TILE
        yield here[chosen], _flat(places.crs, *centre)


def _flat(crs: Any, longitude: float, latitude: float) -> Any:
    """Return the azimuthal equidistant system around a place, on the datum of ``crs``."""
    from pyproj import CRS
    from pyproj.crs import ProjectedCRS
    from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion

    operation = AzimuthalEquidistantConversion(latitude, longitude)
    return CRS(ProjectedCRS(operation, geodetic_crs=crs))


def neighbours(centres: Array, crs: Any, distance: float) -> tuple[Array, Array, Array]:
    """Return which pairs of points lie within ``distance`` metres: two lists of positions and the metres.

    In degrees, along the geodesic; without a reference system, and where it is metric, in the plane.

    Parameters
    ----------
    centres
        Coordinates (point, 2), x and y.
    crs
        Their reference system, or None.
    """
    import geopandas as gpd
    from scipy.spatial import cKDTree

    points = gpd.GeoSeries(gpd.points_from_xy(*centres.T), crs=crs)
    if len(points) < 2 or distance <= 0:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    if is_metric(points):
        pairs = cKDTree(centres).query_pairs(distance, output_type="ndarray")
        first, second = pairs.T
        return first, second, np.hypot(*(centres[first] - centres[second]).T)
    places = geodetic(points)
    x, y = np.asarray(places.x), np.asarray(places.y)
    first, second = cKDTree(_in_space(x, y)).query_pairs(distance * 1.01, output_type="ndarray").T
    metres = np.asarray(places.crs.get_geod().inv(x[first], y[first], x[second], y[second])[2])
    near = metres <= distance
    return first[near], second[near], metres[near]


def _in_space(longitude: Array, latitude: Array) -> Array:
    """Return places on the ellipsoid (WGS 84 is near enough to find neighbours) as x, y, z in metres."""
    a, squared = 6378137.0, 0.00669437999014
    lon, lat = np.radians(longitude), np.radians(latitude)
    normal = a / np.sqrt(1 - squared * np.sin(lat) ** 2)
    flat = normal * np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), normal * (1 - squared) * np.sin(lat)], 1)


def extent_area(extent: Any, name: str = "extent") -> float:
    """Return square metres of a mapped area: a number, or a table or series of polygons (their union)."""
    import geopandas as gpd

    if isinstance(extent, (int, float, np.number)) and not isinstance(extent, bool):
        if not (np.isfinite(extent) and extent > 0):
            raise ValueError(f"{name}: expected square metres above 0, got {extent}")
        return float(extent)
    if not isinstance(extent, (gpd.GeoDataFrame, gpd.GeoSeries)):
        raise TypeError(
            f"{name}: expected square metres, or a GeoDataFrame of the mapped area, got {type(extent).__name__}"
        )
    whole = gpd.GeoSeries([extent.geometry.union_all()], crs=extent.crs)
    return float(square_metres(whole)[0])
