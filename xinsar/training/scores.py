"""Scores of a network while it learns: bodies found in whole scenes, by object, at several thresholds.

Objects are connected parts of the foreground, which is what detection makes of it but for bodies that touch; the
benchmark scores the real thing. An object matches the body with which it shares at least half of the union of both;
one that lies mostly where nothing is learnt counts neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MIN_IOU = 0.5


def of_scene(fields: Any, targets: Any, weight: Any, card: Any) -> Any:
    """Return right, false and missed objects, then pixels likewise, at each threshold: (threshold, 6), integers.

    Parameters
    ----------
    fields, targets
        Found and true fields (field, y, x), foreground first.
    weight
        (y, x), 0 where nothing is learnt.
    card
        Gives the least size of an object.
    """
    known = _parts(targets[0] > 0.5)
    rows = []
    for threshold in THRESHOLDS:
        found = _parts(fields[0] >= threshold, card.min_pixels)
        rows.append((*_objects(found, known, weight), *_pixels(found > 0, known > 0, weight > 0)))
    return np.array(rows, np.int64)


def _parts(mask: Any, least: int = 1) -> Any:
    """Return connected parts, by sides or corners, numbered from 1; smaller ones than ``least`` are left out."""
    from scipy.ndimage import label

    labels, number = label(mask, np.ones((3, 3)))
    size = np.bincount(labels.ravel(), minlength=number + 1)
    kept = np.flatnonzero(size[1:] >= least) + 1
    renumbered = np.zeros(number + 1, np.int64)
    renumbered[kept] = np.arange(1, kept.size + 1)
    return renumbered[labels]


def _objects(found: Any, known: Any, weight: Any) -> tuple[int, int, int]:
    """Return how many objects are right, false and missed. An overlap above half of the union is one to one."""
    number = found.max(), known.max()
    common = np.bincount(
        (found * (number[1] + 1) + known).ravel(), minlength=(number[0] + 1) * (number[1] + 1)
    )
    common = common.reshape(number[0] + 1, number[1] + 1)
    union = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True) - common
    match = (common / np.maximum(union, 1))[1:, 1:] >= MIN_IOU
    right = int(match.any(axis=1).sum())
    counted = np.bincount(found.ravel(), (weight > 0).ravel(), number[0] + 1)[1:]
    excused = (counted < 0.5 * common[1:].sum(axis=1)) & ~match.any(axis=1)
    return right, int(number[0] - right - excused.sum()), int(number[1] - match.any(axis=0).sum())


def _pixels(found: Any, known: Any, counts: Any) -> tuple[int, int, int]:
    return (
        int((found & known & counts).sum()),
        int((found & ~known & counts).sum()),
        int((~found & known & counts).sum()),
    )


def summary(scenes: Sequence[Any]) -> dict[str, float]:
    """Return precision, recall and F1 by object at the best threshold, which it names, and F1 by pixel there.

    Of thresholds with the same F1 by object that with the largest F1 by pixel is the best, then the lowest.
    """
    total = np.sum(scenes, axis=0)
    f1 = [(_f1(*row[:3]), _f1(*row[3:])) for row in total]
    best = f1.index(max(f1))
    right, false, missed = total[best, :3]
    return {
        "f1": f1[best][0],
        "precision": float(right / max(right + false, 1)),
        "recall": float(right / max(right + missed, 1)),
        "pixel_f1": f1[best][1],
        "threshold": THRESHOLDS[best],
    }


def _f1(right: int, false: int, missed: int) -> float:
    return float(2 * right / max(2 * right + false + missed, 1))
