"""Checkpoints of a training (torch): the last one, from which it goes on, and that of the best look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from xinsar.training.config import Recipe, TrainingPart

LAST = "last.ckpt"
BEST = "best-*.ckpt"
_FREE = ("data", "folder"), ("training", "minutes"), ("training", "workers"), ("training", "threads")


def deciding(recipe: Recipe) -> dict[str, Any]:
    """Return what decides the weights of a recipe: not its folders, nor how long, by how many processes and threads."""
    parts = {name: asdict(getattr(recipe, name)) for name in ("model", "data", "training")}
    for part, name in _FREE:
        del parts[part][name]
    plain: dict[str, Any] = json.loads(json.dumps(parts))
    return plain


def last_of(recipe: Recipe, *, resume: bool) -> dict[str, Any] | None:
    """Return the last checkpoint of a recipe, None where there is none or all shall begin anew.

    Raises
    ------
    ValueError
        If the checkpoint cannot be read, or is of another recipe.
    """
    file = Path(recipe.out) / LAST
    if not resume or not file.is_file():
        return None
    again = "give another out, or begin anew with fit(..., resume=False) or xinsar train --fresh"
    try:
        found: dict[str, Any] = torch.load(file, weights_only=False, map_location="cpu")
        before = found["recipe"]
    except Exception as error:  # half a file, another kind of file, or a checkpoint that is not ours
        raise ValueError(f"out: {file} is no checkpoint to go on from ({error}); {again}") from error
    for part, entries in deciding(recipe).items():
        for name, value in entries.items():
            if before[part].get(name) != value:
                raise ValueError(
                    f"out: {file} is of another recipe: {part}.{name} was {before[part].get(name)!r}, now it is "
                    f"{value!r}; {again}"
                )
    return found


def clear(folder: Path) -> None:
    """Remove what an earlier training left: checkpoints and logs."""
    for file in (*folder.glob(LAST), *folder.glob(BEST), *folder.glob("log/version_*/metrics.csv")):
        file.unlink()


def is_done(last: Mapping[str, Any], own: TrainingPart) -> bool:
    """Tell whether a checkpoint is that of the last step, or of the look after which patience was at its end."""
    waited = [s["wait_count"] for name, s in last["callbacks"].items() if name.startswith("EarlyStopping")]
    return bool(last["global_step"] >= own.steps or max(waited, default=0) >= own.patience)


def best_of(folder: Path) -> Any:
    """Return the checkpoint of the best look, which the last one names."""
    last = torch.load(folder / LAST, weights_only=False, map_location="cpu")
    (best,) = [s for s in last["callbacks"].values() if s.get("monitor") and "best_model_path" in s]
    return torch.load(folder / Path(best["best_model_path"]).name, weights_only=False, map_location="cpu")
