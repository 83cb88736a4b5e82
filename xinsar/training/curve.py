"""The picture of a learning curve, from the metrics that Lightning writes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

PICTURE = "curve.png"


def learning_curve(folder: str | Path) -> Path | None:
    """Draw loss and object F1 against the step, from the metrics in a folder; None where there are none.

    A training that was interrupted has several files; steps that were made again are drawn as they came last.

    Parameters
    ----------
    folder
        Folder of a training with CSV logs (``log/version_*/metrics.csv``).

    Returns
    -------
    Path
        The picture, ``curve.png`` in the folder.
    """
    files = sorted(Path(folder).glob("log/version_*/metrics.csv"), key=lambda p: p.stat().st_mtime)
    if not files:
        return None
    rows = [row for file in files for row in _rows(file)]
    return _draw(rows, Path(folder) / PICTURE)


def _rows(file: Path) -> list[dict[str, float]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: float(v) for name, v in row.items() if v} for row in csv.DictReader(lines)]


def _series(rows: list[dict[str, float]], name: str) -> tuple[list[float], list[float]]:
    chosen = {row["step"]: row[name] for row in rows if name in row}
    return sorted(chosen), [chosen[step] for step in sorted(chosen)]


def _draw(rows: list[dict[str, float]], path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(8.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = sorted({n for row in rows for n in row if n.startswith("train_")})
    for name in names:
        left.plot(*_series(rows, name), lw=1, label=name.removeprefix("train_").replace("_", " "))
    left.plot(*_series(rows, "val_loss"), "k.-", label="validation, all terms")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    for name, label in (
        ("val_f1", "F1 of objects"),
        ("val_precision", "precision"),
        ("val_recall", "recall"),
    ):
        right.plot(*_series(rows, name), ".-", label=label)
    right.plot(*_series(rows, "val_pixel_f1"), ".:", label="F1 of pixels")
    right.set(xlabel="step", ylabel="on validation scenes", ylim=(0, 1.02))
    for ax in (left, right):
        ax.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    return path
