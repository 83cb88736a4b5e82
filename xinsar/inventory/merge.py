"""One inventory from several: what more than one track sees becomes one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

Array = np.ndarray[Any, Any]


def merge_inventories(tables: Mapping[str, GeoDataFrame], *, min_overlap: float = 0.1) -> GeoDataFrame:
    """Merge the detections of several tracks: overlapping objects become their union, and say who saw them.

    Two objects belong together when their common area is at least ``min_overlap`` of the smaller one. From
    the largest object down, each one not yet taken gathers all untaken ones that belong to *it*. So a chain
    of objects that each touch only the next cannot swallow a valley: two members are never more than one
    common neighbour apart.

    Parameters
    ----------
    tables
        Tables of detections (``score``, ``class``, polygons) by name of the track; all are brought to the
        reference system of the first.
    min_overlap
        Least share of the smaller object that must be common, above 0 to 1.

    Returns
    -------
    GeoDataFrame
        ``id`` (from 1, north to south, then west to east), ``score`` (largest of the members), ``class``
        (of that member), ``area`` (square metres), ``seen_by`` (names joined by "+", in the order of
        ``tables``), ``geometry``. The order of the tables' rows cannot change it.

    Raises
    ------
    ValueError
        No table, a reference system in only some of them, or ``min_overlap`` outside (0, 1].

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> def table(*shapes):
    ...     return gpd.GeoDataFrame(geometry=[*shapes], crs=32632).assign(score=0.6, **{"class": "moving"})
    >>> both = merge_inventories({"ascending": table(box(0, 0, 100, 100)),
    ...                           "descending": table(box(50, 0, 150, 100), box(500, 0, 600, 100))})
    >>> both[["area", "seen_by"]].values.tolist()
    [[15000.0, 'ascending+descending'], [10000.0, 'descending']]
    """
    import geopandas as gpd
    import pandas as pd

    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap: expected a share above 0 and up to 1, got {min_overlap}")
    names = list(tables)
    every = _one_system([tables[name] for name in names])
    members = pd.concat([t.assign(track=number) for number, t in enumerate(every)], ignore_index=True)
    members = _ordered(gpd.GeoDataFrame(members, geometry="geometry", crs=every[0].crs))
    groups = _groups(members.geometry, min_overlap)
    rows = [_merged(members.iloc[group], names) for group in groups]
    columns = ["score", "class", "seen_by", "geometry"]
    table = gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=every[0].crs)
    return _finish(table.astype({"score": "f8"}))


def _one_system(tables: Sequence[GeoDataFrame]) -> list[GeoDataFrame]:
    """Return the wanted columns of all tables in the reference system of the first."""
    if not tables:
        raise ValueError("tables: expected at least one table of detections by track name, got none")
    if len({t.crs is None for t in tables}) > 1:
        raise ValueError(
            "tables: expected a coordinate reference system in all of them, got some without; "
            "set it with set_crs"
        )
    crs = tables[0].crs
    same = [t if t.crs == crs else t.to_crs(crs) for t in tables]
    named = [t if t.geometry.name == "geometry" else t.rename_geometry("geometry") for t in same]
    return [t[["score", "class", "geometry"]] for t in named]


def _ordered(members: GeoDataFrame) -> GeoDataFrame:
    """Sort by area, largest first; ties by place, so that the order of rows cannot matter."""
    from shapely import area

    bounds = members.geometry.bounds
    size = area(members.geometry.to_numpy())
    keys = [bounds["maxx"], members["track"], bounds["minx"], -bounds["maxy"], -size]
    return members.iloc[np.lexsort(keys)].reset_index(drop=True)


def _groups(shapes: GeoSeries, min_overlap: float) -> list[list[int]]:
    """Return the row positions of each group: the first untaken object and its untaken partners."""
    partners = _partners(shapes, min_overlap)
    taken: set[int] = set()
    groups = []
    for first in range(len(shapes)):
        if first not in taken:
            group = [first, *(p for p in partners[first] if p not in taken)]
            taken.update(group)
            groups.append(group)
    return groups


def _partners(shapes: GeoSeries, min_overlap: float) -> list[list[int]]:
    """Return, for each object, the later ones whose common area is large enough, in order."""
    from shapely import area, intersection

    left, right = shapes.sindex.query(shapes, predicate="intersects")
    left, right = left[left < right], right[left < right]
    outlines = shapes.to_numpy()
    common = area(intersection(outlines[left], outlines[right]))
    enough = common >= min_overlap * np.minimum(area(outlines[left]), area(outlines[right]))
    partners: list[list[int]] = [[] for _ in outlines]
    for first, other in sorted(zip(left[enough], right[enough], strict=True)):
        partners[first].append(int(other))
    return partners


def _merged(group: GeoDataFrame, names: list[str]) -> dict[str, Any]:
    best = group.iloc[int(np.argmax(group["score"]))]
    return {
        "score": float(best["score"]),
        "class": best["class"],
        "seen_by": "+".join(names[track] for track in sorted(set(group["track"]))),
        "geometry": group.geometry.union_all(),
    }


def _finish(table: GeoDataFrame) -> GeoDataFrame:
    """Return the objects numbered from north-west to south-east and measured."""
    bounds = table.geometry.bounds
    table = table.iloc[np.lexsort([bounds["minx"], -bounds["maxy"]])].reset_index(drop=True)
    table.insert(0, "id", np.arange(1, len(table) + 1, dtype="i8"))
    table.insert(3, "area", _square_metres(table))
    return table


def _square_metres(table: GeoDataFrame) -> Array:
    """Return areas in square metres; in degrees, on the ellipsoid."""
    if table.crs is None or not table.crs.is_geographic:
        return np.asarray(table.geometry.area, "f8")
    geod = table.crs.get_geod()
    return np.asarray([abs(geod.geometry_area_perimeter(shape)[0]) for shape in table.geometry], "f8")
