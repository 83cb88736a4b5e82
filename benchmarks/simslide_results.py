"""Results of SimSlide on file: one line of JSON for each model, tier, split and set; and the table made of them."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks import simslide_data as data

FILE = Path(__file__).parent / "results" / "simslide.jsonl"
MARKS = (
    "<!-- simslide: results, made by python -m benchmarks.simslide --table -->",
    "<!-- simslide: end -->",
)
_PACKAGES = ("xinsar", "numpy", "scipy", "xarray", "dask", "geopandas", "shapely", "onnxruntime", "torch")


def origin(contender: Any) -> dict[str, Any]:
    """Return where and with what a result was measured, and what the model says of its training."""
    return {
        "benchmark": data.VERSION,
        "scenes_digest": data.fingerprint(),
        "date": date.today().isoformat(),
        "machine": {
            "processor": common.machine()["processor"],
            "cores": common.machine()["cores"],
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in _PACKAGES},
        "card": _card(contender.card),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _card(card: Any) -> dict[str, Any] | None:
    """Return what identifies a model and what its training cost."""
    if card is None:
        return None
    training = {key: value for key, value in dict(card.training).items() if key not in ("curve", "log")}
    return {
        "name": card.name,
        "version": card.version,
        "weights": {kind: entry.get("sha256", "")[:12] for kind, entry in dict(card.weights).items()},
        "training": training,
    }


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as the last line of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(plain(record), allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: four digits, and nothing for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file, the last of each model, tier, split and set."""
    if not path.is_file():
        return []
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            record = json.loads(line)
            key = tuple(record[name] for name in ("benchmark", "model", "tier", "split", "set"))
            last.pop(key, None)
            last[key] = record
    return [record for record in last.values() if record["benchmark"] == data.VERSION]


# ---- tables

_Row = tuple[str, tuple[str, ...]]
TILES: tuple[_Row, ...] = (
    ("F1", ("objects", "iou_0.5", "f1")),
    ("precision", ("objects", "iou_0.5", "precision")),
    ("recall", ("objects", "iou_0.5", "recall")),
    ("F1, IoU ≥ .3", ("objects", "iou_0.3", "f1")),
    ("AP30", ("average_precision", "mask", "AP30")),
    ("AP50", ("average_precision", "mask", "AP50")),
    ("AP50:95", ("average_precision", "mask", "AP50:95")),
    ("false alarms at recall .8", ("false_alarms", "per_1000_km2_at_recall")),
    ("pixel F1", ("pixels", "f1")),
    ("boundary F", ("boundary", "f")),
    ("calibration", ("calibration_error",)),
    ("F1, careless reference", ("careless_reference", "f1_iou_0.5")),
)
SURVEY: tuple[_Row, ...] = (
    ("F1", ("objects", "iou_0.5", "f1")),
    ("AP50", ("average_precision", "mask", "AP50")),
    ("false alarms at recall .8", ("false_alarms", "per_1000_km2_at_recall")),
    ("false alarms as used", ("false_alarms", "per_1000_km2")),
    ("recall as used", ("false_alarms", "recall")),
    ("km²/s", ("speed", "km2_per_second")),
    ("km²/s, model alone", ("speed", "km2_per_second_model_only")),
)


def table(records: Iterable[Mapping[str, Any]]) -> str:
    """Return all results as Markdown."""
    records = list(records)
    half = [r for r in records if r["split"].startswith("half-real")]
    tiles = [r for r in records if r not in half and r["split"] != "survey"]
    parts = [
        _section(
            f"{tier.capitalize()} tier",
            [r for r in tiles if r["tier"] == tier and r["split"] == "test"],
            TILES,
        )
        for tier in data.TIERS
    ]
    others = [r for r in tiles if r["split"] != "test"]
    parts.append(_section("Other inputs, other track, other wavelengths", others, TILES[:10], split=True))
    parts.append(
        _section("Survey scenes", [r for r in records if r["split"] == "survey"], SURVEY, split=True)
    )
    parts.append(_section("Half-real scenes", half, TILES[:10], split=True))
    parts += [
        _recalls(tier, [r for r in tiles if r["tier"] == tier and r["split"] == "test"])
        for tier in data.TIERS
    ]
    return "\n\n".join(part for part in parts if part) or "No results yet."


def _section(
    title: str, records: Sequence[Mapping[str, Any]], rows: Sequence[_Row], *, split: bool = False
) -> str:
    """Return one table: a line for each model (and tier and split), the mean over sets and their range."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        where = (record["tier"], record["split"]) if split else ()
        groups.setdefault((*where, record["model"]), []).append(record)
    if not groups:
        return ""
    named = ("tier", "split", "model") if split else ("model",)
    head = [*named, "scenes", *(name for name, _ in rows)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key in sorted(groups, key=lambda key: (*key[:-1], groups[key][0]["baseline"], key[-1])):
        scenes = sum(record["scenes"] for record in groups[key])
        cells = [_cell([_at(record["scores"], path) for record in groups[key]]) for _, path in rows]
        lines.append("| " + " | ".join([*key, str(scenes), *cells]) + " |")
    return f"### {title}\n\n" + "\n".join(lines)


_KINDS = {
    "area": ("area, km²", 1e-6),
    "sensitivity": ("largest sensitivity, either sign", 1.0),
    "snr": ("largest signal over noise", 1.0),
}


def _recalls(tier: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return what share of the landslides each model finds, by size, sensitivity and visibility."""
    models = sorted({(r["baseline"], r["model"]) for r in records})
    if not models:
        return ""
    head = ["", "", "landslides", *(name for _, name in models)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind, (title, unit) in _KINDS.items():
        tables = [
            [r["scores"]["recall_by"][kind] for r in records if r["model"] == name] for _, name in models
        ]
        for k, edge in enumerate(tables[0][0]):
            counts = [
                (sum(t[k]["truth"] for t in each), sum(t[k]["recalled"] for t in each)) for each in tables
            ]
            shares = ["–" if not truth else f"{found / truth:.2f}" for truth, found in counts]
            high = "" if edge["high"] is None else f"{edge['high'] * unit:g}"
            lines.append(
                f"| {title} | {edge['low'] * unit:g}–{high} | {counts[0][0]} | " + " | ".join(shares) + " |"
            )
            title = ""
    return f"### Recall in the {tier} tier\n\n" + "\n".join(lines)


def _at(scores: Any, path: Sequence[str]) -> float | None:
    for name in path:
        scores = scores.get(name) if scores else None
    return scores  # type: ignore[no-any-return]


def _cell(values: Sequence[float | None]) -> str:
    """Return the mean of the sets, with half their range where there are several."""
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    mean = sum(known) / len(known)
    digits = 0 if mean >= 10 else 3
    text = f"{mean:.{digits}f}"
    return text if len(known) == 1 else f"{text} ± {(max(known) - min(known)) / 2:.{digits}f}"


def write_table(text: str, page: Path) -> None:
    """Put the tables between the two marks of a page."""
    content = page.read_text(encoding="utf-8")
    if any(content.count(mark) != 1 for mark in MARKS):
        raise ValueError(f"{page}: expected the lines {MARKS[0]!r} and {MARKS[1]!r} once each; add them")
    before, rest = content.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", encoding="utf-8")
