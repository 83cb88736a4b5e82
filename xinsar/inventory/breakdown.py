"""What is found and what is missed: recall by size, sensitivity or visibility."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.evaluate import aligned, counted_truth, match_objects
from xinsar.inventory.metric import square_metres
from xinsar.inventory.review import wilson
from xinsar.inventory.tables import numbers

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame

Array = np.ndarray[Any, Any]

BINS = {
    "area": (0, 3e4, 1e5, 3e5, 1e6, np.inf),
    "sensitivity": (0, 0.2, 0.4, 0.6, 0.8, 1),
    "snr": (0, 0.5, 1, 2, 4, 8, np.inf),
}
"""Edges of the bins that are used where none are given."""


def recall_by(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    column: str,
    *,
    bins: Sequence[float] | None = None,
    iou: float = 0.3,
    min_snr: float = 0.5,
) -> DataFrame:
    """Return the share of true objects that is found, in bins of what is known of them.

    Parameters
    ----------
    found, truth
        As for :func:`evaluate_inventory`.
    column
        ``"area"`` (m2, measured where the truth has no such column), ``"sensitivity"`` (largest magnitude over
        the columns ``sensitivity``, ``sensitivity_<track>``), ``"snr"`` (largest over those of the tracks), or
        any column of numbers of the truth.
    bins
        Edges, increasing; a bin holds its lower edge, the last one also its upper. Those of the first three
        have defaults.
    iou
        Threshold of the intersection over union; matched one to one, as by :func:`match_objects`.
    min_snr
        True objects below it are ignored, as are those marked ``ignore``; by ``"snr"`` only the latter.

    Returns
    -------
    pandas.DataFrame
        ``low``, ``high``, ``truth``, ``recalled``, ``recall``, and ``lower``, ``upper``: its 95 % interval
        (Wilson). NaN in bins without truth.

    Raises
    ------
    ValueError
        There is no such column, or no bins for it, or they do not increase.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 100, 100), box(500, 0, 900, 400)], crs="EPSG:32632")
    >>> recall_by(truth[1:], truth, "area")[["truth", "recalled"]].head(3).values.tolist()
    [[1, 0], [0, 0], [1, 1]]
    """
    import pandas as pd

    edges = _edges(column, bins)
    found, truth = aligned(found, truth)
    known = truth[counted_truth(truth, 0.0 if column == "snr" else min_snr)]
    values = _values(known, column)
    hit = np.zeros(len(known), bool)
    hit[match_objects(found, known, iou=iou)["truth"]] = True
    place = np.searchsorted(edges, values, "right") - 1
    place[values == edges[-1]] = edges.size - 2
    rows = []
    for k in range(edges.size - 1):
        here = place == k
        truths, recalled = int(here.sum()), int((here & hit).sum())
        lower, upper = wilson(recalled, truths, 0.05) if truths else (np.nan, np.nan)
        share = recalled / truths if truths else np.nan
        rows.append((edges[k], edges[k + 1], truths, recalled, share, lower, upper))
    return pd.DataFrame(rows, columns=["low", "high", "truth", "recalled", "recall", "lower", "upper"])


def _values(truth: GeoDataFrame, column: str) -> Array:
    """Return what the bins are of."""
    if column == "area" and "area" not in truth:
        return square_metres(truth)
    if column in ("sensitivity", "snr"):
        own = [str(name) for name in truth.columns if str(name).split("_")[0] == column]
        if own:
            sizes = np.abs(np.stack([numbers(truth, name, "truth") for name in own]))
            return np.asarray(np.where(np.isnan(sizes), -np.inf, sizes).max(axis=0))
    return numbers(truth, column, "truth")


def _edges(column: str, bins: Sequence[float] | None) -> Array:
    if bins is None and column not in BINS:
        raise ValueError(f"bins: expected edges for the column {column!r}, got None")
    edges = np.asarray(BINS[column] if bins is None else bins, "f8")
    if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins: expected two or more increasing edges, got {bins}")
    return edges
