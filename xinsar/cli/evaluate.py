"""``xinsar evaluate``: score an inventory against a known one."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from xinsar.cli.options import Parsers, add_command

_COLUMNS = ("precision", "recall", "f1", "found", "truth", "right", "recalled")


def add_evaluate(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "evaluate",
        _evaluate,
        "score an inventory against a known one",
        "Prints precision, recall and F1 by outline (IoU), by place and by area, and average precision where "
        "FOUND has scores. Of a file with several layers, FOUND takes the layer found and TRUTH the layer truth.",
    )
    parser.add_argument(
        "found", metavar="FOUND", help="inventory: .gpkg, .parquet, .geojson, .kml, .shp, COCO .json"
    )
    parser.add_argument("truth", metavar="TRUTH", help="known outlines, in any of these")
    parser.add_argument("--found-layer", metavar="NAME", help="layer of FOUND")
    parser.add_argument("--truth-layer", metavar="NAME", help="layer of TRUTH")
    parser.add_argument(
        "--iou",
        type=shares,
        default=(0.1, 0.3, 0.5),
        metavar="LIST",
        help="thresholds of the intersection over union (default 0.1,0.3,0.5)",
    )
    parser.add_argument(
        "--min-snr",
        type=float,
        default=0.5,
        metavar="SNR",
        help="ignore true objects whose column snr (or snr_TRACK) nowhere reaches it (default 0.5)",
    )
    parser.add_argument("--json", metavar="OUT", help="write the scores to this file too")


def shares(text: str) -> tuple[float, ...]:
    """Return the shares of a list such as ``0.3,0.5``.

    Examples
    --------
    >>> shares("0.3,0.5")
    (0.3, 0.5)
    """
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < number <= 1 for number in numbers):
        raise argparse.ArgumentTypeError(f"expected shares above 0 and up to 1 such as 0.3,0.5, got {text!r}")
    return numbers


def _evaluate(options: argparse.Namespace) -> None:
    from xinsar.inventory import evaluate_inventory

    found = _opened(options.found, options.found_layer, "found")
    truth = _opened(options.truth, options.truth_layer, "truth")
    scores = evaluate_inventory(found, truth, iou=options.iou, min_snr=options.min_snr)
    precision = _average_precision(found, truth, options.min_snr)
    print(_table(scores))
    if precision:
        print(
            "average precision: " + ", ".join(f"{name} {_share(value)}" for name, value in precision.items())
        )
    if options.json:
        _write(options.json, _report(options, found, truth, scores, precision))


def _opened(path: str, layer: str | None, usual: str) -> Any:
    """Return an inventory; of several layers that of the usual name, where none is chosen."""
    from xinsar.inventory import open_inventory

    if layer is None and Path(path).suffix.lower() == ".gpkg" and Path(path).is_file():
        layer = usual if usual in _layers(path) else None
    return open_inventory(path, layer=layer)


def _layers(path: str) -> list[str]:
    import pyogrio

    try:
        return [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    except pyogrio.errors.DataSourceError:
        return []  # open_inventory says what is wrong with the file


def _average_precision(found: Any, truth: Any, min_snr: float) -> dict[str, float]:
    """Return average precision where every detection has a score."""
    from xinsar.inventory import average_precision

    if "score" not in found or found["score"].isna().any() or not len(found):
        return {}
    return {str(name): value for name, value in average_precision(found, truth, min_snr=min_snr).items()}


def _table(scores: Any) -> str:
    """Return the scores as lines of text: shares with three digits, counts whole, areas in km2."""
    head = ["measure", *_COLUMNS]
    rows = [[str(name), *(_cell(str(name), c, row[c]) for c in _COLUMNS)] for name, row in scores.iterrows()]
    widths = [max(len(line[k]) for line in [head, *rows]) for k in range(len(head))]
    lines = [
        [line[0].ljust(widths[0]), *(w.rjust(n) for w, n in zip(line[1:], widths[1:], strict=True))]
        for line in [head, *rows]
    ]
    return "\n".join("  ".join(line) for line in lines)


def _cell(measure: str, column: str, value: float) -> str:
    if column in ("precision", "recall", "f1"):
        return _share(value)
    return f"{value / 1e6:.3f} km2" if measure == "area" else f"{value:.0f}"


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _report(
    options: argparse.Namespace, found: Any, truth: Any, scores: Any, precision: dict[str, float]
) -> Any:
    from xinsar import __version__

    def plain(row: Any) -> dict[str, float | None]:
        return {str(name): None if value != value else float(value) for name, value in row.items()}

    return {
        "found": {"file": options.found, "objects": len(found)},
        "truth": {"file": options.truth, "objects": len(truth)},
        "settings": {"iou": list(options.iou), "min_snr": options.min_snr},
        "scores": {str(name): plain(row) for name, row in scores.iterrows()},
        "average_precision": plain(precision),
        "xinsar": __version__,
    }


def _write(path: str, report: Any) -> None:
    """Write JSON; it appears when it is whole."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
