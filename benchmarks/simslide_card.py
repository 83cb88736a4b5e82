"""What the card of a trained model advises: its threshold, its least score, and how its scores are calibrated.

They are chosen on the validation tiles of SimSlide and written into the card, for example::

    python -m benchmarks.simslide_card default-training/default.json --tiles 400

The threshold and the least score are those of the largest F1 of objects (IoU >= .5); slope and offset of the
calibration make the score of an object the share of such objects that are right (IoU >= .3).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import simslide_data as data
from benchmarks import simslide_run as running
from benchmarks.simslide_models import THRESHOLDS, Model
from benchmarks.simslide_scores import IOU, MIN_SNR, Sheet
from xinsar import inventory
from xinsar.inventory import precision
from xinsar.models.card import ModelCard


class Advice(NamedTuple):
    """How a model is best used, and how well it then does on the validation tiles."""

    threshold: float
    score: float
    """Least score of an object, as the card has calibrated it so far."""
    f1: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Choose on validation tiles, and write the card."""
    given = _parser().parse_args(arguments)
    path = Path(given.card)
    chosen = advised(path, ModelCard.read(path), given)
    chosen.write(path)
    print(
        f"{path}: threshold {chosen.threshold:g}, least score {chosen.min_score:g}, {chosen.training['chosen']}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m benchmarks.simslide_card", description=__doc__.splitlines()[0]
    )
    out.add_argument("card", help="card (.json) with its weights beside it")
    out.add_argument("--tier", default="medium", choices=data.TIERS, help="tier of the tiles (medium)")
    out.add_argument("--tiles", type=int, default=400, help="validation tiles (400)")
    out.add_argument("--side", type=int, default=data.TILE, help=argparse.SUPPRESS)
    out.add_argument("--workers", type=int, default=2, help="processes; 0: none beside this")
    out.add_argument("--cache", metavar="DIR", help="keep the scenes here for the next run (none are kept)")
    return out


def advised(path: Path, card: ModelCard, given: Any) -> ModelCard:
    """Return the card with what the validation tiles advise."""
    sheets = _sheets(str(path), given)
    best = max((_best(threshold, sheet) for threshold, sheet in sheets.items()), key=lambda a: a.f1)
    slope, offset = inventory.calibrate_scores(*sheets[best.threshold][:2], min_snr=MIN_SNR)
    least = card.replace(calibration=(slope, offset)).calibrated(best.score)
    before = card.calibration
    line = round(slope * before[0], 4), round(slope * before[1] + offset, 4)
    said = (
        f"threshold, min_score and calibration: largest object F1 (IoU .5: {best.f1:.3f}) on {given.tiles} validation "
        f"tiles of {data.VERSION}, {given.tier}"
    )
    return card.replace(
        threshold=best.threshold,
        calibration=line,
        min_score=float(np.floor(1000 * least) / 1000),
        training={**card.training, "chosen": said},
    )


def _sheets(model: str, given: Any) -> dict[float, Sheet]:
    """Return all validation tiles side by side, detected at each threshold."""
    contender = Model(model, given="model")
    job = running.Job((contender,), (("test", running.ALL),), (THRESHOLDS,), given.cache)
    with running.Crew(given.workers) as crew:
        tables = crew.tables(data.places("val", given.tier, given.tiles, side=given.side), job)
    sheets = {t: tables.sheet("model", "test", t) for t in THRESHOLDS}
    return {t: sheet for t, sheet in sheets.items() if sheet is not None}


def _best(threshold: float, sheet: Sheet) -> Advice:
    """Return the least score of the largest F1 at a threshold: halfway to the next lower score."""
    ranked = precision.rank_all(sheet.found, sheet.truth, IOU, MIN_SNR)
    right, wrong = np.cumsum(ranked.right[0]), np.cumsum(~ranked.right[0] & ~ranked.excused[0])
    f1 = 2.0 * right / np.maximum(right + wrong + ranked.truths, 1)
    k = int(np.argmax(f1)) if f1.size else 0
    scores = np.append(ranked.scores, 0.0)
    return Advice(threshold, float(scores[k : k + 2].mean()), float(f1[k]) if f1.size else 0.0)


if __name__ == "__main__":
    sys.exit(main())
