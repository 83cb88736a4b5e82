"""Scores of detections that carry a score: average precision, false alarms at a recall, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xinsar.inventory.evaluate import aligned, counted_truth, overlaps
from xinsar.inventory.metric import extent_area
from xinsar.inventory.tables import by_place, numbers

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame, Series

Array = np.ndarray[Any, Any]

KINDS = ("mask", "box")
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
"""Thresholds of AP50:95."""
RECALLS = np.linspace(0, 1, 101)
"""Recalls at which precision is read."""


class Ranked(NamedTuple):
    """Detections from the highest score down, and what each is worth at every threshold."""

    scores: Array
    """(detection,)"""
    right: Array
    """Matched to a counted truth (threshold, detection)."""
    excused: Array
    """Matched to an ignored truth (threshold, detection)."""
    truths: int
    """Counted truths."""
    recalled: Array
    """Which rows of the truth are matched (threshold, truth)."""


def average_precision(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    *,
    iou: Sequence[float] = (0.3, 0.5, *COCO_IOUS),
    kind: str = "mask",
    image: str | None = None,
    classes: str | None = None,
    max_detections: int | None = None,
    min_snr: float = 0.5,
) -> Series:
    """Return average precision as COCO defines it: AP30, AP50, AP50:95 for outlines or boxes.

    Detections are taken from the highest score down, and each takes the free true object it overlaps most, if
    the intersection over union reaches the threshold. Precision, made monotone from the right, is read at 101
    recalls from 0 to 1 and averaged.

    True objects that are ignored (``snr`` below ``min_snr`` in every track, or ``ignore`` True) are COCO's
    crowds: a detection that takes no counted object but lies in one with at least the threshold of its own
    area is neither right nor wrong, and any number may.

    Parameters
    ----------
    found
        Detections with a column ``score``.
    truth
        True outlines; ``snr``, ``snr_<track>`` and ``ignore`` as for :func:`evaluate_inventory`.
    iou
        Thresholds, above 0 to 1.
    kind
        ``"mask"``: outlines; ``"box"``: bounding boxes, in the reference system of ``truth``.
    image
        Column of both tables that names the image (tile) of each object: objects of different images never
        match. None: one image.
    classes
        Column of both tables: only like is matched with like, and the result is the mean over the classes of
        the truth. None: one class.
    max_detections
        Detections that count in each image, the highest scores first (COCO: 100). None: all.
    min_snr
        As for :func:`evaluate_inventory`.

    Returns
    -------
    pandas.Series
        ``AP<threshold>`` in percent for each threshold asked for of which COCO's mean is not made, and
        ``AP50:95`` where all ten were. 0..1; NaN where there is no truth that counts.

    Raises
    ------
    ValueError
        There is no score or another named column, scores are missing, or an option is not legal.

    Notes
    -----
    Equal scores are taken by place, so that the order of rows cannot matter. At COCO's settings
    (``image``, ``max_detections=100``) the result is that of its reference program (tested).

    References
    ----------
    Lin et al. 2014, Microsoft COCO, and the detection evaluation at cocodataset.org.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10), box(50, 0, 60, 10)], crs="EPSG:32632")
    >>> found = gpd.GeoDataFrame({"score": [0.9, 0.8]}, geometry=[box(0, 0, 10, 8), box(90, 0, 99, 9)],
    ...                          crs="EPSG:32632")
    >>> average_precision(found, truth, iou=(0.5, 0.9)).round(3).to_dict()
    {'AP50': 0.505, 'AP90': 0.0}
    """
    import pandas as pd

    _check_options(iou, kind, max_detections)
    found, truth = aligned(found, truth)
    thresholds = tuple(dict.fromkeys(round(float(t), 6) for t in iou))
    counted = counted_truth(truth, min_snr)
    each = []
    for f, t in _by_class(found, truth, classes):
        ranked = rank(found.iloc[f], truth.iloc[t], counted[t], thresholds, kind, image, max_detections)
        if ranked.truths:
            each.append([_area_under(ranked, k) for k in range(len(thresholds))])
    means = np.mean(each, axis=0) if each else np.full(len(thresholds), np.nan)
    return pd.Series(_named(dict(zip(thresholds, means.tolist(), strict=True))), dtype="f8")


def false_alarms_at_recall(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    extent: Any,
    *,
    recall: float = 0.8,
    iou: float = 0.3,
    min_snr: float = 0.5,
) -> Series:
    """Return the false alarms per 1000 km2 where the score threshold is set to find a given share of the truth.

    Parameters
    ----------
    found, truth, min_snr
        As for :func:`average_precision`.
    extent
        The mapped area: square metres, or a GeoDataFrame of it.
    recall
        Share of the counted true objects that must be found, above 0 to 1.
    iou
        Threshold of the intersection over union for a match.

    Returns
    -------
    pandas.Series
        ``false_alarms_per_1000_km2``, ``false_alarms``, ``score`` (the threshold), ``recall`` and ``precision``
        there; NaN where the recall is never reached.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10)], crs="EPSG:32632")
    >>> found = gpd.GeoDataFrame({"score": [0.9, 0.8]}, geometry=[box(90, 0, 99, 9), box(0, 0, 10, 8)],
    ...                          crs="EPSG:32632")
    >>> false_alarms_at_recall(found, truth, 500e6)["false_alarms_per_1000_km2"].item()
    2.0
    """
    import pandas as pd

    _check_options((iou,), "mask", None)
    if not 0 < recall <= 1:
        raise ValueError(f"recall: expected a share above 0 and up to 1, got {recall}")
    area = extent_area(extent)
    ranked = rank_all(found, truth, iou, min_snr)
    right = np.cumsum(ranked.right[0])
    wrong = np.cumsum(~ranked.right[0] & ~ranked.excused[0])
    last = np.append(np.diff(ranked.scores) != 0, True)[: ranked.scores.size]
    enough = (
        np.flatnonzero(last & (right >= recall * ranked.truths - 1e-9)) if ranked.truths else np.zeros(0, int)
    )
    names = ("false_alarms_per_1000_km2", "false_alarms", "score", "recall", "precision")
    if not enough.size:
        return pd.Series(dict.fromkeys(names, np.nan))
    k = int(enough[0])
    values = (wrong[k] / area * 1e9, wrong[k], ranked.scores[k], right[k] / ranked.truths)
    return pd.Series(dict(zip(names, (*values, right[k] / (right[k] + wrong[k])), strict=True)), dtype="f8")


def calibration_table(
    found: GeoDataFrame, truth: GeoDataFrame, *, bins: int = 10, iou: float = 0.3, min_snr: float = 0.5
) -> DataFrame:
    """Return how often detections of each score are right: in equal bins of the score from 0 to 1.

    Parameters
    ----------
    found, truth, min_snr
        As for :func:`average_precision`; scores within 0..1.
    bins
        Number of bins; each holds its lower edge, the last one also 1.
    iou
        Threshold of the intersection over union for a right detection.

    Returns
    -------
    pandas.DataFrame
        ``low``, ``high``, ``count``, ``score`` (mean) and ``right`` (share) of each bin; NaN in empty ones.
        Detections of ignored truths are left out.
    """
    import pandas as pd

    from xinsar.operations.checks import whole

    _check_options((iou,), "mask", None)
    bins = whole("bins", bins)
    scores, counted = _shares(found, truth, iou, min_snr)
    right = counted.astype("f8")
    place = np.minimum((scores * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, values, bins) for values in (scores, right)]
    means = [np.divide(s, count, out=np.full(bins, np.nan), where=count > 0) for s in sums]
    edges = np.arange(bins + 1) / bins
    return pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], "count": count, "score": means[0], "right": means[1]}
    )


def _shares(found: GeoDataFrame, truth: GeoDataFrame, iou: float, min_snr: float) -> tuple[Array, Array]:
    """Return the scores of the detections that count, checked to lie within 0..1, and which are right."""
    ranked = rank_all(found, truth, iou, min_snr)
    if ranked.scores.size and not (ranked.scores.min() >= 0 and ranked.scores.max() <= 1):
        raise ValueError(
            f"score: expected probabilities within 0..1, got {ranked.scores.min():g}..{ranked.scores.max():g}"
        )
    kept = ~ranked.excused[0]
    return ranked.scores[kept], ranked.right[0][kept]


def calibration_error(
    found: GeoDataFrame, truth: GeoDataFrame, *, bins: int = 10, iou: float = 0.3, min_snr: float = 0.5
) -> float:
    r"""Return the expected calibration error of the scores: how far they are from the share that is right.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \left|\mathrm{right}_b - \mathrm{score}_b\right|

    over the bins of :func:`calibration_table`.

    Parameters
    ----------
    found, truth, bins, iou, min_snr
        As for :func:`calibration_table`.

    Returns
    -------
    float
        0 (scores are probabilities) to 1; NaN without detections.

    References
    ----------
    Guo et al. 2017, Proc. ICML 70:1321-1330.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10)], crs="EPSG:32632")
    >>> found = gpd.GeoDataFrame({"score": [0.75, 0.75]}, geometry=[box(0, 0, 10, 9), box(90, 0, 99, 9)],
    ...                          crs="EPSG:32632")
    >>> calibration_error(found, truth)
    0.25
    """
    table = calibration_table(found, truth, bins=bins, iou=iou, min_snr=min_snr)
    count = np.asarray(table["count"], "f8")
    if not count.sum():
        return float("nan")
    gap = np.abs(np.asarray(table["right"] - table["score"]))
    return float(np.nansum(count * gap) / count.sum())


def calibrate_scores(
    found: GeoDataFrame, truth: GeoDataFrame, *, iou: float = 0.3, min_snr: float = 0.5
) -> tuple[float, float]:
    r"""Return slope and offset that turn scores into probabilities of being right.

    .. math:: p = \frac{1}{1 + e^{-(a \ln(s / (1 - s)) + b)}}

    with the a and b of largest likelihood, for targets a little within 0 and 1 (Platt 1999), so that few detections
    make no one sure. Give them to a model's card (``calibration``), and the scores of its objects are how often such
    objects were right on these scenes.

    Parameters
    ----------
    found, truth, min_snr
        As for :func:`average_precision`; scores within 0..1. Take scenes that the model has not learnt from.
    iou
        Threshold of the intersection over union for a right detection.

    Returns
    -------
    tuple of float
        a, above 0, and b.

    Raises
    ------
    ValueError
        Where detections are all right or all wrong, where higher scores are right less often, or scores lie outside
        0..1.

    References
    ----------
    Platt 1999, in Advances in Large Margin Classifiers, 61-74; Guo et al. 2017, Proc. ICML 70:1321-1330.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> truth = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10), box(20, 0, 30, 10)], crs="EPSG:32632")
    >>> places = [box(0, 0, 10, 9), box(90, 0, 99, 9), box(20, 0, 30, 9), box(70, 0, 79, 9)]
    >>> found = gpd.GeoDataFrame({"score": [0.9, 0.8, 0.7, 0.6]}, geometry=places, crs="EPSG:32632")
    >>> slope, offset = calibrate_scores(found, truth)
    >>> round(slope, 2), round(offset, 2)
    (0.73, -0.87)
    """
    from scipy.optimize import minimize

    _check_options((iou,), "mask", None)
    scores, right = _shares(found, truth, iou, min_snr)
    if not (right.any() and not right.all()):
        raise ValueError(
            f"found: expected right and wrong detections, got {int(right.sum())} right of {right.size}; "
            "take more scenes"
        )
    share = np.clip(scores, 1e-6, 1 - 1e-6)
    odds, number = np.log(share / (1 - share)), right.sum()
    target = np.where(right, (number + 1) / (number + 2), 1 / (right.size - number + 2))

    def loss(line: Array) -> tuple[float, Array]:
        told = line[0] * odds + line[1]
        off = 1 / (1 + np.exp(np.clip(-told, -500, 500))) - target
        return float((np.logaddexp(0, told) - target * told).mean()), np.array(
            [(off * odds).mean(), off.mean()]
        )

    slope, offset = minimize(loss, [1.0, 0.0], jac=True, method="BFGS").x
    if not slope > 0:
        raise ValueError(
            f"score: expected higher scores to be right more often, got a slope of {slope:.3g}; check the scores"
        )
    return float(slope), float(offset)


# ---- ranking ------------------------------------------------------------------------------------------------------


def rank_all(found: GeoDataFrame, truth: GeoDataFrame, iou: float, min_snr: float) -> Ranked:
    """Return all detections of one image and class at one threshold, matched by outline."""
    found, truth = aligned(found, truth)
    return rank(found, truth, counted_truth(truth, min_snr), (iou,), "mask", None, None)


def rank(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    counted: Array,
    thresholds: tuple[float, ...],
    kind: str,
    image: str | None,
    most: int | None,
) -> Ranked:
    """Match detections to truths from the highest score down, image by image."""
    scores = _scores(found)
    order = by_place(found.geometry.bounds, first=[-scores])
    pairs = overlaps(_boxes(found) if kind == "box" else found, _boxes(truth) if kind == "box" else truth)
    same = np.ones(len(pairs), bool)
    if image is not None:
        names = [_column(table, image, name) for table, name in ((found, "found"), (truth, "truth"))]
        same = names[0][pairs["found"]] == names[1][pairs["truth"]]
        order = order[_first_of_each(names[0][order], most)]
    else:
        order = order[:most]
    partners = _partners(pairs[same], counted, len(found))
    right, excused, recalled = _match(order, partners, counted, thresholds)
    return Ranked(scores[order], right, excused, int(counted.sum()), recalled)


def _scores(found: GeoDataFrame) -> Array:
    scores = numbers(found, "score", "found")
    if np.isnan(scores).any():
        raise ValueError(
            f"score: expected a number for every detection, got NaN in {int(np.isnan(scores).sum())}"
        )
    return scores


def _column(table: GeoDataFrame, column: str, name: str) -> Array:
    if column not in table:
        raise ValueError(f"{name}: expected a column {column!r}, got {', '.join(map(str, table.columns))}")
    return np.asarray(table[column], object)


def _boxes(table: GeoDataFrame) -> GeoDataFrame:
    return table.set_geometry(table.geometry.envelope)


def _first_of_each(names: Array, most: int | None) -> Array:
    """Return the positions of the first ``most`` of every name, in order."""
    if most is None:
        return np.arange(names.size)
    seen: dict[Any, int] = {}
    kept = []
    for k, name in enumerate(names.tolist()):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= most:
            kept.append(k)
    return np.asarray(kept, int)


def _partners(pairs: Any, counted: Array, number: int) -> list[list[tuple[int, float]]]:
    """Return the truths each detection overlaps with their overlap: counted ones first, by rows."""
    partners: list[list[tuple[int, float]]] = [[] for _ in range(number)]
    own, truths = np.asarray(pairs["found"]), np.asarray(pairs["truth"])
    share = np.where(counted[truths], pairs["iou"], pairs["inside"])
    order = np.lexsort([truths, ~counted[truths]])
    for detection, pair in zip(
        own[order].tolist(), zip(truths[order].tolist(), share[order].tolist(), strict=True), strict=True
    ):
        partners[detection].append(pair)
    return partners


def _match(
    order: Array, partners: list[list[tuple[int, float]]], counted: Array, thresholds: tuple[float, ...]
) -> tuple[Array, Array, Array]:
    """Return right and excused (threshold, detection in order), and the truths that are taken."""
    right = np.zeros((len(thresholds), order.size), bool)
    excused, taken = np.zeros_like(right), np.zeros((len(thresholds), counted.size), bool)
    for t, least in enumerate(thresholds):
        for place, detection in enumerate(order.tolist()):
            best = _best(partners[detection], counted, taken[t], min(least, 1 - 1e-10))
            if best >= 0:
                (right if counted[best] else excused)[t, place] = True
                taken[t, best] = counted[best]
    return right, excused, taken & counted


def _best(partners: list[tuple[int, float]], counted: Array, taken: Array, least: float) -> int:
    """Return the free truth of largest overlap, an ignored one only where no counted one will do, else -1."""
    best = -1
    for truth, share in partners:
        if taken[truth]:
            continue
        if best >= 0 and counted[best] and not counted[truth]:
            break
        if share >= least:
            best, least = truth, share
    return best


def _area_under(ranked: Ranked, threshold: int) -> float:
    """Return the mean of the monotone precision at 101 recalls."""
    kept = ~ranked.excused[threshold]
    right = np.cumsum(ranked.right[threshold][kept]).astype("f8")
    precision = right / np.arange(1, right.size + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(right / ranked.truths, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, right.size)].mean())


def _by_class(found: GeoDataFrame, truth: GeoDataFrame, classes: str | None) -> list[tuple[Array, Array]]:
    """Return the rows of both tables of each class of the truth."""
    if classes is None:
        return [(np.arange(len(found)), np.arange(len(truth)))]
    own, known = (_column(table, classes, name) for table, name in ((found, "found"), (truth, "truth")))
    names = sorted(set(known.tolist()), key=str)
    return [(np.flatnonzero(own == name), np.flatnonzero(known == name)) for name in names]


def _named(values: dict[float, float]) -> dict[str, float]:
    """Return the values by name; COCO's ten as their mean, with AP50 and AP75 by themselves."""
    out = {f"AP{100 * t:g}": value for t, value in values.items()}
    if set(COCO_IOUS) <= set(values):
        own = {f"AP{100 * t:g}" for t in COCO_IOUS} - {"AP50", "AP75"}
        out = {name: value for name, value in out.items() if name not in own}
        out["AP50:95"] = float(np.mean([values[t] for t in COCO_IOUS]))
    return out


def _check_options(iou: Sequence[float], kind: str, most: int | None) -> None:
    from xinsar.operations.checks import one_of, whole

    one_of("kind", kind, KINDS)
    if not iou or not all(0 < t <= 1 for t in iou):
        raise ValueError(f"iou: expected thresholds above 0 and up to 1, got {tuple(iou)}")
    if most is not None:
        whole("max_detections", most)
