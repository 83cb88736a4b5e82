"""One inventory from several: what more than one track, direction, burst or scale sees becomes one object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.linking import complete_link
from xinsar.inventory.metric import neighbours, square_metres
from xinsar.inventory.tables import by_place, checked, filled, same_system

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]

SEEN = ("seen_by", "direction", "burst", "scale")
"""Columns that may say which tables an object comes from."""

PART = 0.5
"""Share of an object inside a larger one from which it counts as a part of that one."""

_OUTLINES = ("union", "envelope")


def merge_inventories(
    tables: Mapping[str, GeoDataFrame], *, min_overlap: float = 0.1, by: str = "seen_by"
) -> GeoDataFrame:
    """Merge the detections of several tracks: overlapping objects become their union, and say who saw them.

    An object at least half inside a larger one (and ``min_overlap``, where that is more) is a part of it: so
    a body that one track sees whole and another in pieces is one. Of what remains, two objects are linked
    where their common area is at least ``min_overlap`` of the smaller one, and groups are made by complete
    linkage: every two members are linked. So a chain of objects that each touch only the next cannot swallow
    a valley.

    Parameters
    ----------
    tables
        Tables of detections (polygons; ``score`` and ``class`` if known) by name of the track; all are
        brought to the reference system of the first. Objects of one table merge too (overlapping bursts),
        unless it has the column ``by``: then it comes from a merge, which compared them already.
    min_overlap
        Least share of the smaller object that must be common, above 0 to 1.
    by
        Column that says which tables an object comes from: ``"seen_by"`` for tracks, ``"direction"`` for
        gradient directions, ``"burst"`` or ``"scale"``. Those that earlier merges wrote are kept.

    Returns
    -------
    GeoDataFrame
        ``id`` (from 1, north to south, then west to east), ``score`` (largest of the members), ``class``
        (of that member), ``area`` (square metres), ``seen_by`` (names joined by "+", in the order of
        ``tables``), ``geometry``. The order of the tables' rows cannot change it, and merging it again
        returns it.

    Raises
    ------
    TypeError
        A table is no GeoDataFrame.
    ValueError
        No table, a reference system in only some of them, points or lines, or ``min_overlap`` outside
        (0, 1].

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
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap: expected a share above 0 and up to 1, got {min_overlap}")
    members = _members(tables, by)
    first, second, share, _ = _overlaps(members)
    groups = _with_parts(len(members), first, second, share, min_overlap)
    return _table(members, groups, by, "union")


def merge_boxes(
    tables: Mapping[str, GeoDataFrame],
    *,
    distance: float = 500.0,
    by: str = "seen_by",
    outline: str = "union",
) -> GeoDataFrame:
    r"""Merge detected boxes across gradient directions, tracks and overlapping bursts, as the paper does.

    Two boxes are linked where

    .. math:: \mathrm{GIoU} = \frac{|A \cap B|}{|A \cup B|} - \frac{|E| - |A \cup B|}{|E|} > 0,

    E the smallest box around both, or where their centres lie within ``distance``. Groups are made by
    complete linkage from the largest GIoU down: every two members are linked, so that chains cannot swallow
    a valley.

    Parameters
    ----------
    tables
        Tables of boxes by name of the track (or direction, or burst); of other polygons, the bounding box
        counts. Merged are objects of different tables and of one, unless it has the column ``by``: then it
        comes from a merge, which compared them already.
    distance
        Metres between centres; in degrees along the geodesic. 0: only GIoU counts.
    by
        Column that says which tables an object comes from, as for :func:`merge_inventories`.
    outline
        ``"union"`` of the members, or ``"envelope"``: the common box, which the paper keeps.

    Returns
    -------
    GeoDataFrame
        As :func:`merge_inventories`.

    Raises
    ------
    TypeError
        A table is no GeoDataFrame.
    ValueError
        No table, a reference system in only some of them, or an option that is not legal.

    Notes
    -----
    Merge step by step where both are wanted: first the directions of each track (``by="direction"``), then
    the tracks; the result keeps both columns.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, sections 4.3 and 5.1. GIoU: Rezatofighi et al. 2019.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> def table(*shapes):
    ...     return gpd.GeoDataFrame(geometry=[*shapes], crs=32632).assign(score=0.6, **{"class": "moving"})
    >>> both = merge_boxes({"range": table(box(0, 0, 300, 300)), "azimuth": table(box(400, 0, 700, 300))},
    ...                    by="direction", outline="envelope")
    >>> both[["direction", "area"]].values.tolist()
    [['range+azimuth', 210000.0]]
    """
    if not 0 <= distance < np.inf:
        raise ValueError(f"distance: expected metres, 0 or more, got {distance}")
    if outline not in _OUTLINES:
        raise ValueError(f"outline: expected one of {', '.join(map(repr, _OUTLINES))}, got {outline!r}")
    members = _members(tables, by)
    links = _box_links(members, distance)
    return _table(members, complete_link(len(members), *links), by, outline)


def merge_scales(fine: GeoDataFrame, coarse: GeoDataFrame, *, min_inside: float = 0.5) -> GeoDataFrame:
    """Merge a fine and a coarse pass: large bodies whole, from the coarse one, and outlines as fine as can be.

    A fine object with at least ``min_inside`` of its area in a coarse one belongs to it (to that which holds
    most of it). Where the only one belonging to a coarse object also covers at least half of their union, both
    are the same object and the fine outline is kept; else the fine ones are fragments and become one with the
    coarse one. What only one pass sees is kept. A fine object belongs to one coarse object at most, so there are
    no chains.

    Parameters
    ----------
    fine, coarse
        Tables of detections, brought to the reference system of ``fine``.
    min_inside
        Least share of a fine object inside the coarse one, above 0 to 1.

    Returns
    -------
    GeoDataFrame
        As :func:`merge_inventories`, with ``scale``: "fine", "coarse" or "fine+coarse".

    Raises
    ------
    TypeError, ValueError
        As :func:`merge_inventories`.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> def table(*shapes):
    ...     return gpd.GeoDataFrame(geometry=[*shapes], crs=32632).assign(score=0.6, **{"class": "moving"})
    >>> pieces = table(box(0, 0, 900, 900), box(2100, 0, 3000, 900), box(9000, 0, 9300, 300))
    >>> merge_scales(pieces, table(box(0, 0, 3000, 1000)))[["area", "scale"]].values.tolist()
    [[3000000.0, 'fine+coarse'], [90000.0, 'fine']]
    """
    if not 0 < min_inside <= 1:
        raise ValueError(f"min_inside: expected a share above 0 and up to 1, got {min_inside}")
    members = _members({"fine": fine, "coarse": coarse}, "scale")
    groups = _of_coarse(members, min_inside)
    return _table(members, groups, "scale", "union", shape_of=_finest)


# ---- members ------------------------------------------------------------------------------------------------------


def _members(tables: Mapping[str, GeoDataFrame], by: str) -> GeoDataFrame:
    """Return the objects of all tables in the system of the first, from the largest to the smallest.

    ``table`` is the number of an object's table, ``whole`` tells those that come from a merge by ``by``.
    """
    import geopandas as gpd
    import pandas as pd

    if by not in SEEN:
        raise ValueError(f"by: expected one of {', '.join(map(repr, SEEN))}, got {by!r}")
    if not isinstance(tables, Mapping) or not tables:
        came = "none" if isinstance(tables, Mapping) else type(tables).__name__
        raise ValueError(
            f"tables: expected at least one table of detections by track name, got {came}; hand over a dict"
        )
    if any("+" in str(name) for name in tables):
        raise ValueError(f"tables: expected names without '+', which joins them, got {list(tables)}")
    every = [
        filled(checked(table, f"tables[{name!r}]"), f"tables[{name!r}]") for name, table in tables.items()
    ]
    if len({t.crs is None for t in every}) > 1:
        raise ValueError(
            "tables: expected a coordinate reference system in all of them, got some without; "
            "set it with set_crs"
        )
    rows = [
        _wanted(same_system(table, every[0], f"tables[{name!r}]"), str(name), number, by)
        for number, (name, table) in enumerate(zip(tables, every, strict=True))
    ]
    members = gpd.GeoDataFrame(pd.concat(rows, ignore_index=True), geometry="geometry", crs=every[0].crs)
    members.attrs = {"order": [str(name) for name in tables]}
    return _ordered(members)


def _wanted(table: GeoDataFrame, name: str, number: int, by: str) -> GeoDataFrame:
    """Return score, class, outline and where they come from."""
    kept = {"score": np.nan, "class": None}
    out = table[["geometry"]].assign(**{column: table.get(column, value) for column, value in kept.items()})
    out["score"], out["class"] = out["score"].astype("f8"), out["class"].astype(object)
    for column in SEEN:
        out[column] = table[column].astype(object) if column in table else None
    return out.assign(table=number, whole=by in table, **({} if by in table else {by: name}))


def _ordered(members: GeoDataFrame) -> GeoDataFrame:
    """Sort by area, largest first; ties by table and place, so that the order of rows cannot matter."""
    from shapely import area

    size = area(np.asarray(members.geometry.array, object))
    order = by_place(members.geometry.bounds, first=[-size, np.asarray(members["table"])])
    return members.iloc[order].reset_index(drop=True)


def _compared(members: GeoDataFrame, first: Array, second: Array) -> Array:
    """Tell which pairs may merge: those of different tables, and those of one that no merge has compared."""
    table, whole = np.asarray(members["table"]), np.asarray(members["whole"], bool)
    return np.asarray((table[first] != table[second]) | ~whole[first])


# ---- links --------------------------------------------------------------------------------------------------------


def _touching(members: GeoDataFrame, predicate: str | None = "intersects") -> tuple[Array, Array]:
    """Return the pairs (first < second) whose outlines (or boxes, without predicate) meet."""
    first, second = members.sindex.query(members.geometry, predicate=predicate)
    kept = first < second
    first, second = first[kept], second[kept]
    kept = _compared(members, first, second)
    return first[kept], second[kept]


def _overlaps(members: GeoDataFrame) -> tuple[Array, Array, Array, Array]:
    """Return pairs with a common area, its share of the smaller one and of both."""
    from shapely import area, intersection

    first, second = _touching(members)
    shapes = np.asarray(members.geometry.array, object)
    common = area(intersection(shapes[first], shapes[second]))
    sizes = np.stack([area(shapes[first]), area(shapes[second])])
    return first, second, common / sizes.min(0), common / (sizes.sum(0) - common)


def _with_parts(count: int, first: Array, second: Array, share: Array, least: float) -> list[list[int]]:
    """Return groups by complete linkage of the objects that are no parts, each with its parts."""
    host = _hosts(count, first, second, share, max(least, PART))
    free = (host[first] == first) & (host[second] == second) & (share >= least)
    groups = complete_link(count, first[free], second[free], share[free])
    parts: dict[int, list[int]] = {}
    for k in np.flatnonzero(host != np.arange(count)).tolist():
        parts.setdefault(int(host[k]), []).append(k)
    whole = [group for group in groups if host[group[0]] == group[0]]
    return [sorted(group + [part for k in group for part in parts.get(k, [])]) for group in whole]


def _hosts(count: int, first: Array, second: Array, share: Array, least: float) -> Array:
    """Return for each object the larger one (no part itself) that holds most of it, or itself."""
    host = np.arange(count)
    inside = np.flatnonzero(share >= least)
    for k in inside[np.lexsort([first[inside], -share[inside], second[inside]])].tolist():
        small, large = second[k], first[k]
        if host[large] == large and host[small] == small:
            host[small] = large
    return host


def _box_links(members: GeoDataFrame, distance: float) -> tuple[Array, Array, Array]:
    """Return the pairs of boxes with GIoU above 0 or near centres, and their GIoU."""
    import geopandas as gpd

    bounds = np.asarray(members.geometry.bounds).reshape(-1, 4)
    boxes = gpd.GeoDataFrame(members[["table", "whole"]], geometry=members.geometry.envelope)
    first, second = _touching(boxes, predicate=None)
    overlapping = generalised_iou(bounds[first], bounds[second]) > 0
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    near = np.stack(neighbours(centres, members.crs, distance)[:2])
    near = near[:, _compared(members, *near)]
    pairs = np.concatenate([np.stack([first, second])[:, overlapping], np.sort(near, axis=0)], axis=1)
    first, second = np.unique(pairs, axis=1)
    return first, second, generalised_iou(bounds[first], bounds[second])


def generalised_iou(a: Array, b: Array) -> Array:
    """Return the generalised intersection over union of boxes (left, bottom, right, top), -1..1.

    Examples
    --------
    >>> generalised_iou(np.array([[0, 0, 2, 1]]), np.array([[1, 0, 3, 1]])).round(3).tolist()
    [0.333]
    """
    a, b = np.atleast_2d(a).astype("f8"), np.atleast_2d(b).astype("f8")
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    union = sum(np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b)) - common
    around = np.prod(np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2]), axis=1)
    return np.asarray(common / union - (around - union) / around)


def _of_coarse(members: GeoDataFrame, min_inside: float) -> list[list[int]]:
    """Return each coarse object with the fine ones that belong to it, and the fine ones that belong to none."""
    from shapely import area, intersection

    fine = np.asarray(members["table"]) == 0
    one, other = _touching(members)
    across = fine[one] != fine[other]
    small = np.where(fine[one], one, other)[across]
    large = np.where(fine[one], other, one)[across]
    shapes = np.asarray(members.geometry.array, object)
    share = area(intersection(shapes[small], shapes[large])) / area(shapes[small])
    inside = np.flatnonzero(share >= min_inside)
    owner: dict[int, int] = {}
    for k in inside[np.lexsort([large[inside], -share[inside]])].tolist():
        owner.setdefault(int(small[k]), int(large[k]))
    groups = {k: [k] for k in range(len(members)) if k not in owner}
    for k, host in owner.items():
        groups[host].append(k)
    return [sorted(group) for group in groups.values()]


# ---- results ------------------------------------------------------------------------------------------------------


def _table(
    members: GeoDataFrame, groups: list[list[int]], by: str, outline: str, shape_of: Any = None
) -> GeoDataFrame:
    """Return one row per group, numbered from north-west to south-east and measured."""
    import geopandas as gpd

    shapes, tables = np.asarray(members.geometry.array, object), np.asarray(members["table"])
    joined = [(shape_of or _joined)(shapes[group], tables[group]) for group in groups]
    if outline == "envelope":
        joined = [shape.envelope for shape in joined]
    best = _best(np.asarray(members["score"]), groups)
    columns = {
        "score": np.asarray(members["score"])[best],
        "class": np.asarray(members["class"], object)[best],
    }
    order = members.attrs["order"]
    for column in SEEN:
        said = np.asarray(members[column], object)
        if column == by or members[column].notna().any():
            columns[column] = np.asarray([_names(said[group], order) for group in groups], object)
    table = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(joined, crs=members.crs), crs=members.crs)
    table = table.astype({name: object for name in columns if name != "score"})
    table = table.iloc[by_place(table.geometry.bounds)].reset_index(drop=True)
    table.insert(0, "id", np.arange(1, len(table) + 1, dtype="i8"))
    table.insert(3, "area", square_metres(table))
    return table


def _best(scores: Array, groups: list[list[int]]) -> Array:
    """Return the member of each group with the largest score; the first of equals."""
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    return np.asarray([group[int(np.argmax(ranked[group]))] for group in groups], int)


def _names(values: Any, order: list[str]) -> str | None:
    """Return the names that the members say, each once: those of the tables in their order, then others."""
    names = {name for value in values if isinstance(value, str) for name in value.split("+")}
    known = [name for name in order if name in names]
    return "+".join([*known, *sorted(names - set(known))]) or None


def _joined(shapes: Array, tables: Array) -> Any:
    """Return the union of the outlines; a single one as it is."""
    from shapely import union_all

    del tables
    return shapes[0] if len(shapes) == 1 else union_all(shapes)


def _finest(shapes: Array, tables: Array) -> Any:
    """Return the fine outline where it and the coarse one are the same object, else the union."""
    if len(shapes) == 2:
        fine, coarse = shapes[np.argsort(tables)]
        common = fine.intersection(coarse).area
        if 2 * common >= fine.area + coarse.area - common:
            return fine
    return _joined(shapes, tables)
