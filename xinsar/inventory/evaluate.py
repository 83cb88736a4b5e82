"""How good an inventory is: found objects against known ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.linking import joined
from xinsar.inventory.metric import square_metres
from xinsar.inventory.tables import checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame

Array = np.ndarray[Any, Any]


def evaluate_inventory(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    *,
    iou: Sequence[float] = (0.1, 0.3, 0.5),
    min_snr: float = 0.5,
) -> DataFrame:
    """Return precision, recall and F1 of an inventory by object, by hit and by area.

    * ``iou_<t>``: found and true objects matched one to one with an intersection over union of at least t
      (:func:`match_objects`).
    * ``hit``: a found object is right when it overlaps a true one and the centroid of either lies in the
      other; a true object is recalled when some found one hits it. Not one to one: it asks whether the
      place is found, not the outline.
    * ``area``: of the unions, as pixel scores would be on an infinitely fine grid. ``found``, ``truth`` and
      the matched counts are square metres (in degrees, on the ellipsoid).

    True objects that the data cannot show are ignored: with a column ``snr``, or one ``snr_<track>`` for
    each track, in ``truth``, those nowhere at least ``min_snr`` are neither misses when absent nor false
    alarms when found (a found object counts as one of them when it hits one and matches no other; their
    area is cut from both sides). So are true objects whose column ``ignore`` is True.

    Parameters
    ----------
    found, truth
        Polygons, brought to the reference system of ``truth`` where they differ. They may overlap each other;
        those that cross themselves are repaired (``make_valid``), with a warning.
    iou
        Thresholds of the intersection over union, above 0 to 1.
    min_snr
        Least ``snr`` of a true object that counts (in the track that sees it best).

    Returns
    -------
    DataFrame
        Index: the measures above. Columns: ``precision`` = right found / found, ``recall`` = recalled truth
        / truth, ``f1`` = their harmonic mean, and ``found``, ``truth``, ``right``, ``recalled``. A share of
        nothing is NaN; F1 is NaN only where there is neither.

    Raises
    ------
    TypeError
        A table is no GeoDataFrame.
    ValueError
        A threshold is outside (0, 1], only one table has a reference system, or a table holds points or lines.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10), box(50, 0, 60, 10)], crs="EPSG:32632")
    >>> found = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 8), box(90, 0, 99, 9)], crs="EPSG:32632")
    >>> evaluate_inventory(found, truth).loc["iou_0.5", ["precision", "recall", "f1"]].tolist()
    [0.5, 0.5, 0.5]
    """
    import pandas as pd

    found, truth = aligned(found, truth)
    counted = counted_truth(truth, min_snr)
    known, ignored = truth[counted], truth[~counted]
    excused = _excused(found, ignored)
    rows = {f"iou_{t:g}": _object_row(found, known, excused, t) for t in iou}
    rows["hit"] = _hit_row(found, known, excused)
    rows["area"] = _area_row(found, known, ignored)
    return pd.DataFrame.from_dict(rows, orient="index")


def match_objects(found: GeoDataFrame, truth: GeoDataFrame, *, iou: float = 0.3) -> DataFrame:
    """Match found to true objects one to one.

    Of all ways to pair objects whose intersection over union reaches ``iou``, the one with the most pairs
    is taken, and of these the one with the largest sum of overlaps; the order of the rows cannot matter
    otherwise.

    Parameters
    ----------
    found, truth
        Polygons, brought to the reference system of ``truth`` where they differ.
    iou
        Least intersection over union of a pair, above 0 to 1.

    Returns
    -------
    DataFrame
        ``found`` and ``truth`` (row positions) and ``iou`` of each pair, sorted by ``found``.

    Raises
    ------
    ValueError
        ``iou`` is outside (0, 1], or only one table has a reference system.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> found = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10), box(1, 0, 11, 10)])
    >>> truth = gpd.GeoDataFrame(geometry=[box(1, 0, 11, 10)])
    >>> match_objects(found, truth).to_dict("records")
    [{'found': 1, 'truth': 0, 'iou': 1.0}]
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou: expected thresholds above 0 and up to 1, got {iou}")
    pairs = overlaps(*aligned(found, truth))
    pairs = pairs[pairs["iou"] >= iou]
    chosen = _assign(pairs["found"].to_numpy(), pairs["truth"].to_numpy(), pairs["iou"].to_numpy())
    chosen_pairs = pairs.iloc[chosen].sort_values("found", ignore_index=True)
    return chosen_pairs[["found", "truth", "iou"]]


def aligned(found: Any, truth: Any) -> tuple[GeoDataFrame, GeoDataFrame]:
    """Return both tables with valid outlines, ``found`` in the reference system of ``truth``."""
    found, truth = checked(found, "found"), checked(truth, "truth")
    if (found.crs is None) != (truth.crs is None):
        without = "found" if found.crs is None else "truth"
        raise ValueError(
            f"{without}: expected a coordinate reference system as the other table has, got none; "
            "set it with set_crs"
        )
    return (found if found.crs == truth.crs else found.to_crs(truth.crs)), truth


def counted_truth(truth: GeoDataFrame, min_snr: float) -> Array:
    """Return which true objects count: not those marked ``ignore``, nor those below ``min_snr`` in every track."""
    columns = [name for name in truth.columns if str(name).split("_")[0] == "snr"]
    seen = np.asarray((truth[columns] >= min_snr).any(axis=1)) if columns else np.ones(len(truth), bool)
    if "ignore" not in truth:
        return seen
    marked = np.asarray(truth["ignore"].astype("boolean").fillna(value=False), bool)
    return np.asarray(seen & ~marked)


def overlaps(found: GeoDataFrame, truth: GeoDataFrame) -> DataFrame:
    """Return one row per overlapping pair: row positions, intersection over union, and over the found one."""
    import pandas as pd
    from shapely import area, intersection

    f, t = found.geometry.sindex.query(truth.geometry, predicate="intersects")[::-1]
    a, b = found.geometry.to_numpy()[f], truth.geometry.to_numpy()[t]
    common = area(intersection(a, b))
    total = area(a) + area(b) - common
    share = np.divide(common, total, out=np.zeros(f.size), where=total > 0)
    inside = np.divide(common, area(a), out=np.zeros(f.size), where=area(a) > 0)
    return pd.DataFrame({"found": f, "truth": t, "iou": share, "inside": inside})[share > 0]


def _assign(found: Array, truth: Array, iou: Array) -> Array:
    """Return the positions of the pairs in the best assignment, solved per group of objects that overlap."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not found.size:
        return np.zeros(0, int)
    offset = found.max() + 1
    size = offset + truth.max() + 1
    graph = coo_array((np.ones(found.size), (found, truth + offset)), shape=(size, size))
    group = connected_components(graph, directed=False)[1][found]
    chosen: list[int] = []
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        f, rows = np.unique(found[members], return_inverse=True)
        t, columns = np.unique(truth[members], return_inverse=True)
        gain, source = np.zeros((f.size, t.size)), np.full((f.size, t.size), -1)
        gain[rows, columns] = iou[members] + min(f.size, t.size)
        source[rows, columns] = members
        best = source[linear_sum_assignment(gain, maximize=True)]
        chosen += best[best >= 0].tolist()
    return np.asarray(chosen, int)


def _hits(found: GeoDataFrame, truth: GeoDataFrame) -> DataFrame:
    """Return the overlapping pairs in which the centroid of either lies in the other."""
    from shapely import centroid, contains

    pairs = overlaps(found, truth)
    a = found.geometry.to_numpy()[pairs["found"]]
    b = truth.geometry.to_numpy()[pairs["truth"]]
    return pairs[contains(a, centroid(b)) | contains(b, centroid(a))]


def _excused(found: GeoDataFrame, ignored: GeoDataFrame) -> Array:
    """Return which found objects hit an ignored one."""
    return np.isin(np.arange(len(found)), _hits(found, ignored)["found"])


def _object_row(found: GeoDataFrame, known: GeoDataFrame, excused: Array, iou: float) -> dict[str, float]:
    pairs = match_objects(found, known, iou=iou)
    right = np.zeros(len(found), bool)
    right[pairs["found"]] = True
    return _row(len(pairs), int((right | ~excused).sum()), len(pairs), len(known))


def _hit_row(found: GeoDataFrame, known: GeoDataFrame, excused: Array) -> dict[str, float]:
    pairs = _hits(found, known)
    right = np.isin(np.arange(len(found)), pairs["found"])
    return _row(int(right.sum()), int((right | ~excused).sum()), pairs["truth"].nunique(), len(known))


def _area_row(found: GeoDataFrame, known: GeoDataFrame, ignored: GeoDataFrame) -> dict[str, float]:
    claimed, truth = counted_ground(found, known, ignored)
    common = area_of(claimed.intersection(truth), found.crs)
    return _row(common, area_of(claimed, found.crs), common, area_of(truth, found.crs))


def area_of(shape: Any, crs: Any) -> float:
    """Return the area of one shape in square metres."""
    import geopandas as gpd

    return 0.0 if shape.is_empty else float(square_metres(gpd.GeoSeries([shape], crs=crs))[0])


def counted_ground(found: GeoDataFrame, known: GeoDataFrame, ignored: GeoDataFrame) -> tuple[Any, Any]:
    """Return the unions of the found and of the known outlines, without ground that is only ignored."""
    truth = joined(known.geometry)
    neither = joined(ignored.geometry).difference(truth)
    return joined(found.geometry).difference(neither), truth


def _row(right: float, found: float, recalled: float, truth: float) -> dict[str, float]:
    precision = right / found if found else np.nan
    recall = recalled / truth if truth else np.nan
    f1 = 0.0 if 0 in (precision, recall) else 2 * precision * recall / (precision + recall)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "found": found,
        "truth": truth,
        "right": right,
        "recalled": recalled,
    }
