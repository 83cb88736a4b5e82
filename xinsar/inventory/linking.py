"""Groups of objects that are one, without chains: every member is linked to every other."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def joined(shapes: Any) -> Any:
    """Return the union of polygons: what touches is joined, the rest stays as it is (far faster for many).

    Parameters
    ----------
    shapes
        GeoSeries or GeometryArray of valid polygons; empty ones count for nothing.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> joined(gpd.GeoSeries([box(0, 0, 2, 2), box(1, 0, 3, 2), box(9, 0, 10, 1)])).area
    7.0
    """
    import shapely
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    outlines = np.asarray(shapes, object)
    outlines = outlines[~shapely.is_empty(outlines) & ~shapely.is_missing(outlines)]
    if not outlines.size:
        return shapely.Polygon()
    tree = shapely.STRtree(outlines)
    first, second = tree.query(outlines, predicate="intersects")
    graph = coo_array((np.ones(first.size, bool), (first, second)), shape=(outlines.size,) * 2)
    number, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    parts = np.split(outlines[order], np.cumsum(np.bincount(group, minlength=number))[:-1])
    whole = [part[0] if part.size == 1 else shapely.union_all(part) for part in parts]
    polygons = shapely.get_parts(np.asarray(whole, object))
    return polygons[0] if polygons.size == 1 else shapely.multipolygons(polygons)


def complete_link(count: int, first: Array, second: Array, strength: Array) -> list[list[int]]:
    """Return groups of ``count`` objects in which every two are linked (complete linkage).

    Links are taken from the strongest to the weakest, ties by the positions; a link joins the two groups of
    its ends where every member of the one is linked to every member of the other. So a chain of objects
    that each touch only the next never becomes one group.

    Parameters
    ----------
    count
        Number of objects; those without a link stay alone.
    first, second
        Positions of the two ends of each link.
    strength
        The larger, the earlier.

    Returns
    -------
    list of list of int
        Members of each group, ascending; groups by their first member.

    Examples
    --------
    >>> complete_link(4, np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.5, 0.9, 0.4]))
    [[0], [1, 2], [3]]
    """
    low, high = np.minimum(first, second), np.maximum(first, second)
    linked = set(zip(low.tolist(), high.tolist(), strict=True))
    group = list(range(count))
    members = {k: [k] for k in group}
    for k in np.lexsort([high, low, -np.asarray(strength)]).tolist():
        a, b = sorted((group[low[k]], group[high[k]]))
        if a == b or not all((min(p, q), max(p, q)) in linked for p in members[a] for q in members[b]):
            continue
        members[a] = sorted(members[a] + members.pop(b))
        for p in members[a]:
            group[p] = a
    return sorted(members.values())
