"""How well outlines are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.evaluate import aligned, counted_ground, counted_truth
from xinsar.inventory.metric import flat_parts

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries
    from pandas import Series

Array = np.ndarray[Any, Any]

PIECE = 64
"""Steps of a border that are looked at together."""


def boundary_scores(
    found: GeoDataFrame, truth: GeoDataFrame, *, tolerance: float, min_snr: float = 0.5
) -> Series:
    r"""Return how much of the outlines agrees within a tolerance: boundary precision, recall and F.

    .. math:: P = \frac{|\partial F \cap (\partial T)_\tau|}{|\partial F|},\quad
       R = \frac{|\partial T \cap (\partial F)_\tau|}{|\partial T|},\quad F = \frac{2 P R}{P + R}

    with the borders of the found and the true ground (of their unions; those between touching objects do not
    count), their lengths, and all places within the tolerance of a border.

    Parameters
    ----------
    found, truth, min_snr
        As for :func:`evaluate_inventory`. Ground that is only in ignored true objects is left out.
    tolerance
        Metres (two pixels are usual); in degrees, on the ellipsoid.

    Returns
    -------
    pandas.Series
        ``precision``, ``recall``, ``f``, and ``found_length``, ``truth_length`` in metres; NaN where a share is
        of nothing, ``f`` only where there is neither.

    Raises
    ------
    ValueError
        ``tolerance`` is no number above 0, or only one table has a reference system.

    References
    ----------
    Csurka et al. 2013, Proc. BMVC, 32 (there on pixels; here on lines, whose round buffers have 32 segments a
    quarter, .03 % of the tolerance short).

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 1000, 1000)], crs="EPSG:32632")
    >>> found = gpd.GeoDataFrame(geometry=[box(30, 0, 1000, 1000)], crs="EPSG:32632")
    >>> float(boundary_scores(found, truth, tolerance=50)["f"])
    1.0
    """
    import geopandas as gpd
    import pandas as pd

    from xinsar.operations.checks import finite

    tolerance = finite("tolerance", tolerance)
    found, truth = aligned(found, truth)
    counted = counted_truth(truth, min_snr)
    parts = counted_ground(found, truth[counted], truth[~counted])
    own, known = (gpd.GeoSeries([part], crs=found.crs).explode(ignore_index=True) for part in parts)
    right, found_length = _agreeing(own, known, tolerance)
    recalled, truth_length = _agreeing(known, own, tolerance)
    precision = right / found_length if found_length else np.nan
    recall = recalled / truth_length if truth_length else np.nan
    nothing = 0 in (precision, recall) or np.isnan(precision) != np.isnan(recall)
    f = 0.0 if nothing else 2 * precision * recall / (precision + recall)
    return pd.Series(
        {
            "precision": precision,
            "recall": recall,
            "f": f,
            "found_length": found_length,
            "truth_length": truth_length,
        },
        dtype="f8",
    )


def _agreeing(own: GeoSeries, other: GeoSeries, tolerance: float) -> tuple[float, float]:
    """Return the metres of the borders of ``own`` near those of ``other``, and of all of them."""
    near = whole = 0.0
    for here, crs in flat_parts(own):
        borders, others = (_pieces(_in(part, crs).boundary) for part in (own.iloc[here], other))
        whole += float(borders.length.sum())
        for border in borders:
            rows = others.sindex.query(border.buffer(tolerance), predicate="intersects")
            if rows.size:
                around = others.iloc[rows].union_all().buffer(tolerance, quad_segs=32)
                near += border.intersection(around).length
    return near, whole


def _pieces(borders: GeoSeries) -> GeoSeries:
    """Return lines as pieces of at most :data:`PIECE` steps: what lies near a short line is found fast."""
    import geopandas as gpd
    import shapely

    lines = shapely.get_parts(borders[~borders.is_empty].to_numpy())
    steps = shapely.get_num_coordinates(lines) - 1
    first = np.concatenate([[0], np.cumsum(steps + 1)[:-1]]) if lines.size else np.zeros(0, int)
    starts = [f + np.arange(0, n, PIECE) for f, n in zip(first.tolist(), steps.tolist(), strict=True)]
    ends = [
        np.minimum(s + PIECE, f + n) for s, f, n in zip(starts, first.tolist(), steps.tolist(), strict=True)
    ]
    start, end = (np.concatenate([np.zeros(0, int), *parts]) for parts in (starts, ends))
    sizes = end - start + 1
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    corners = shapely.get_coordinates(lines)[np.repeat(start, sizes) + within]
    pieces = shapely.linestrings(corners, indices=np.repeat(np.arange(sizes.size), sizes))
    return gpd.GeoSeries(pieces, crs=borders.crs)


def _in(shapes: GeoSeries, crs: Any) -> GeoSeries:
    return shapes if crs == shapes.crs else shapes.to_crs(crs)
