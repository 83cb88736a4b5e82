"""Scores by ground: every square metre, or every pixel, is right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.evaluate import aligned, area_of, counted_ground, counted_truth
from xinsar.inventory.linking import joined
from xinsar.inventory.tables import checked, same_system

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import Series


def confusion_scores(tp: float, fp: float, fn: float, tn: float) -> Series:
    r"""Return the scores of a table of confusion: of objects, pixels or square metres.

    .. math:: P = \frac{TP}{TP + FP},\quad R = \frac{TP}{TP + FN},\quad F_1 = \frac{2 P R}{P + R},\quad
       \mathrm{IoU} = \frac{TP}{TP + FP + FN},\quad OA = \frac{TP + TN}{n},\quad
       \kappa = \frac{OA - p_e}{1 - p_e}

    with Cohen's agreement by chance :math:`p_e = [(TP + FP)(TP + FN) + (FN + TN)(FP + TN)] / n^2`.

    Parameters
    ----------
    tp, fp, fn, tn
        Right, wrong, missed, and rightly left out; 0 or more.

    Returns
    -------
    pandas.Series
        ``precision``, ``recall``, ``f1``, ``iou``, ``overall_accuracy``, ``kappa``; NaN where a share is of
        nothing.

    Raises
    ------
    ValueError
        A count is negative or not finite.

    References
    ----------
    Cohen 1960, Educ. Psychol. Meas. 20:37-46. Zhang T. et al. 2022, Remote Sens. 14:2690, print another
    agreement by chance in their eq. (11), which is not Cohen's.

    Examples
    --------
    >>> confusion_scores(40, 10, 10, 40)[["f1", "overall_accuracy", "kappa"]].round(3).tolist()
    [0.8, 0.8, 0.6]
    """
    import pandas as pd

    counts = np.asarray([tp, fp, fn, tn], "f8")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError(f"tp, fp, fn, tn: expected counts of 0 or more, got {(tp, fp, fn, tn)}")
    tp, fp, fn, tn = counts.tolist()
    n = tp + fp + fn + tn
    accuracy = _share(tp + tn, n)
    chance = _share((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn), n * n)
    return pd.Series(
        {
            "precision": _share(tp, tp + fp),
            "recall": _share(tp, tp + fn),
            "f1": _share(2 * tp, 2 * tp + fp + fn),
            "iou": _share(tp, tp + fp + fn),
            "overall_accuracy": accuracy,
            "kappa": _share(accuracy - chance, 1 - chance),
        },
        dtype="f8",
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def pixel_scores(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    *,
    extent: GeoDataFrame | None = None,
    grid: Any = None,
    min_snr: float = 0.5,
) -> Series:
    """Return precision, recall, F1, IoU, overall accuracy and kappa of the ground, by area or by pixel.

    Parameters
    ----------
    found, truth, min_snr
        As for :func:`evaluate_inventory`. Ground that is only in ignored true objects is left out.
    extent
        The mapped area: counted are square metres of it, exactly, as on an infinitely fine grid.
    grid
        Instead: a cube or map, whose pixels are counted by their centres, a strip of rows at a time.

    Returns
    -------
    pandas.Series
        ``precision``, ``recall``, ``f1``, ``iou``, ``overall_accuracy``, ``kappa`` (Cohen's), and ``tp``, ``fp``,
        ``fn``, ``tn`` in square metres or pixels.

    Raises
    ------
    TypeError
        ``extent`` or ``grid`` is of another kind.
    ValueError
        Neither or both of them, or only one table has a reference system.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> def table(*shapes):
    ...     return gpd.GeoDataFrame(geometry=[*shapes], crs=32632)
    >>> scores = pixel_scores(table(box(0, 0, 10, 8)), table(box(0, 0, 10, 10)), extent=table(box(0, 0, 100, 100)))
    >>> scores[["precision", "recall", "overall_accuracy"]].tolist()
    [1.0, 0.8, 0.998]
    """
    import pandas as pd

    if (extent is None) == (grid is None):
        raise ValueError("extent, grid: expected one of them, the mapped area or the pixels of a cube")
    found, truth = aligned(found, truth)
    counted = counted_truth(truth, min_snr)
    tables = found, truth[counted], truth[~counted]
    counts = _by_pixel(grid, *tables) if extent is None else _by_area(extent, *tables)
    return pd.concat([confusion_scores(**counts), pd.Series(counts, dtype="f8")])


def _by_area(
    extent: Any, found: GeoDataFrame, known: GeoDataFrame, ignored: GeoDataFrame
) -> dict[str, float]:
    whole = joined(same_system(checked(extent, "extent"), found, "extent").geometry)
    claimed, truth = (part.intersection(whole) for part in counted_ground(found, known, ignored))
    neither = joined(ignored.geometry).difference(truth).intersection(whole)
    tp, claimed_area, true_area, ignored_area, total = (
        area_of(shape, found.crs) for shape in (claimed.intersection(truth), claimed, truth, neither, whole)
    )
    fp, fn = max(claimed_area - tp, 0.0), max(true_area - tp, 0.0)
    return {"tp": tp, "fp": fp, "fn": fn, "tn": max(total - ignored_area - tp - fp - fn, 0.0)}


def _by_pixel(grid: Any, found: GeoDataFrame, known: GeoDataFrame, ignored: GeoDataFrame) -> dict[str, float]:
    from xinsar.operations.zonal import pixels_covered

    counts = dict.fromkeys(("tp", "fp", "fn", "tn"), 0.0)
    for claimed, true, neither in pixels_covered(grid, (found, known, ignored)):
        kept = true | ~neither
        for name, chosen in (
            ("tp", claimed & true),
            ("fp", claimed & ~true),
            ("fn", ~claimed & true),
            ("tn", ~claimed & ~true),
        ):
            counts[name] += float((chosen & kept).sum())
    return counts
