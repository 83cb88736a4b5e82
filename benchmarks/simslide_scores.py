"""What SimSlide reports of one table of detections: every figure comes from ``xinsar.inventory``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks import simslide_data as data
from xinsar import inventory
from xinsar.inventory import precision

IOU = 0.5
"""Least overlap at which a threshold is chosen, and the first F1 that is reported."""
LOOSE = 0.3
"""Least overlap for recall by size, false alarms and calibration."""
MIN_SNR = 0.5
"""Landslides that no given track shows at least so well are ignored."""
TOLERANCE = 2 * data.PIXEL
"""Metres by which outlines may differ for the boundary scores."""
RECALL = 0.8
"""At which false alarms are counted."""
CUTS = np.arange(0.0, 1.0, 0.02)
"""Least scores of an object that are tried on the validation tiles."""


class Sheet(NamedTuple):
    """All scenes of a split side by side."""

    found: Any
    truth: Any
    extent: Any


class Choice(NamedTuple):
    """How a model is used: least foreground of a pixel, and least score of an object."""

    threshold: float
    cut: float


def chosen(sheets: Mapping[float, Sheet]) -> Choice:
    """Return the threshold and the cut of the largest F1; of equal ones, the first threshold and the least cut."""
    best = (-1.0, Choice(next(iter(sheets)), 0.0))
    for threshold, sheet in sheets.items():
        values = f1_by_cut(sheet)
        k = int(np.argmax(values))
        if values[k] > best[0]:
            best = (float(values[k]), Choice(threshold, float(CUTS[k])))
    return best[1]


def f1_by_cut(sheet: Sheet) -> Any:
    """Return F1 at :data:`IOU` when only detections of at least each score count."""
    ranked = precision.rank_all(sheet.found, sheet.truth, IOU, MIN_SNR)
    falling = -ranked.scores
    right, wrong = np.cumsum(ranked.right[0]), np.cumsum(~ranked.right[0] & ~ranked.excused[0])
    number = np.searchsorted(falling, -CUTS, side="right")
    tp, fp = (np.concatenate([[0], sums])[number] for sums in (right, wrong))
    whole = tp + fp + ranked.truths
    return np.divide(2.0 * tp, whole, out=np.zeros(CUTS.size), where=whole > 0)


def report(sheet: Sheet, cut: float, *, seed: int, boundary: bool = True) -> dict[str, Any]:
    """Return all scores of a split: ranked ones of all detections, the others of those scoring at least ``cut``.

    Boundary scores take very long where a rule calls half a survey scene one object.
    """
    found, truth, extent = sheet
    kept = found[found["score"] >= cut].reset_index(drop=True)
    objects = inventory.evaluate_inventory(kept, truth, iou=(LOOSE, IOU), min_snr=MIN_SNR)
    rows: Any = objects[["precision", "recall", "f1", "found", "truth", "right"]].to_dict("index")
    return {
        "objects": {name: row for name, row in rows.items() if name != "area"},
        "average_precision": {
            kind: inventory.average_precision(found, truth, kind=kind, min_snr=MIN_SNR)[
                ["AP30", "AP50", "AP50:95"]
            ].to_dict()
            for kind in ("mask", "box")
        },
        "pixels": _pixels(kept, truth, extent),
        "boundary": _boundary(kept, truth) if boundary else None,
        "false_alarms": _false_alarms(found, truth, extent, rows[f"iou_{LOOSE:g}"]),
        "recall_by": {name: _recall(kept, truth, name) for name in ("area", "sensitivity", "snr")},
        "calibration_error": inventory.calibration_error(found, truth, iou=LOOSE, min_snr=MIN_SNR),
        "careless_reference": _careless(found, kept, truth, seed),
    }


def objects_only(sheet: Sheet, least: float = 0.0) -> dict[str, Any]:
    """Return the object scores of the detections as they come: those that score at least ``least``."""
    kept = sheet.found[sheet.found["score"] >= least].reset_index(drop=True)
    rows: Any = inventory.evaluate_inventory(kept, sheet.truth, iou=(LOOSE, IOU), min_snr=MIN_SNR)
    return {
        name: row
        for name, row in rows[["precision", "recall", "f1"]].to_dict("index").items()
        if name != "area"
    }


def _pixels(kept: Any, truth: Any, extent: Any) -> dict[str, float]:
    found: Any = inventory.pixel_scores(kept, truth, extent=extent, min_snr=MIN_SNR)
    return found[["precision", "recall", "f1", "iou"]].to_dict()  # type: ignore[no-any-return]


def _boundary(kept: Any, truth: Any) -> dict[str, float]:
    found: Any = inventory.boundary_scores(kept, truth, tolerance=TOLERANCE, min_snr=MIN_SNR)
    return found[["precision", "recall", "f"]].to_dict()  # type: ignore[no-any-return]


def _false_alarms(found: Any, truth: Any, extent: Any, row: dict[str, float]) -> dict[str, float]:
    """Return false alarms per 1000 km2 at the recall asked for, and as the model is used (its object scores)."""
    at = inventory.false_alarms_at_recall(found, truth, extent, recall=RECALL, iou=LOOSE, min_snr=MIN_SNR)
    area = float(extent.area.sum()) / 1e9
    return {
        "per_1000_km2_at_recall": float(at["false_alarms_per_1000_km2"]),
        "score_at_recall": float(at["score"]),
        "per_1000_km2": float(row["found"] - row["right"]) / area,
        "recall": float(row["recall"]),
        "thousand_km2": area,
    }


def _recall(kept: Any, truth: Any, column: str) -> list[dict[str, float]]:
    table = inventory.recall_by(kept, truth, column, iou=LOOSE, min_snr=MIN_SNR)
    rows: Any = table[["low", "high", "truth", "recalled", "recall"]].to_dict("records")
    return rows  # type: ignore[no-any-return]


def _careless(found: Any, kept: Any, truth: Any, seed: int) -> dict[str, float]:
    """Return the scores against a reference as people draw it."""
    truth = data.careless(truth, seed)
    rows = inventory.evaluate_inventory(kept, truth, iou=(LOOSE, IOU), min_snr=MIN_SNR)
    ap = inventory.average_precision(found, truth, iou=(0.5,), min_snr=MIN_SNR)
    return {f"f1_iou_{t:g}": float(rows["f1"].loc[f"iou_{t:g}"]) for t in (LOOSE, IOU)} | {
        "AP50": float(ap["AP50"])
    }


def headline(scores: Mapping[str, Any]) -> str:
    """Return the scores in a line."""
    row, ap = scores["objects"][f"iou_{IOU:g}"], scores["average_precision"]["mask"]
    return (
        f"F1 {row['f1']:.3f} (P {row['precision']:.3f} R {row['recall']:.3f}; "
        f"IoU .3: {scores['objects'][f'iou_{LOOSE:g}']['f1']:.3f}), AP30 {ap['AP30']:.3f} AP50 {ap['AP50']:.3f} "
        f"AP50:95 {ap['AP50:95']:.3f}, pixel F1 {scores['pixels']['f1']:.3f}"
        + (f", boundary F {scores['boundary']['f']:.3f}" if scores["boundary"] else "")
    )
