"""Small samples for the tests of training: one bright body on noise, made by a seed, in a folder that `fit` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xinsar.simulate.fields import VERSION
from xinsar.training import recipe_of
from xinsar.training.fit import card_of
from xinsar.training.samples import Sample, collect, inputs_of
from xinsar.training.targets import FIELDS, targets_of

SHAPE = (64, 64)
SEEDS = {"train": (0, 6), "val": (100, 2)}
"""First seed and number of the samples of each split."""


def body(seed: int) -> Any:
    """Return a numbered body (y, x): an ellipse somewhere in the middle."""
    row, column = np.random.default_rng([1, seed]).integers(16, 48, 2)
    y, x = np.indices(SHAPE)
    return (np.hypot((y - row) / 10, (x - column) / 7) < 1).astype(int)


def sample(seed: int, card: Any) -> Sample:
    """Return a sample in which a body of the first track moves at 50 mm a year; other inputs are 1, or missing."""
    rng = np.random.default_rng([2, seed])
    labels, inputs = body(seed), inputs_of(card)
    layers = np.full((len(inputs), *SHAPE), np.nan, np.float32)
    for layer, each in zip(layers, inputs, strict=True):
        if each.name == "velocity" and not each.track:
            layer[:] = rng.normal(0, 0.002, SHAPE) + 0.05 * labels
        elif each.name == "slope":
            layer[:] = rng.uniform(0, 40, SHAPE)
    found = targets_of(labels)
    return Sample(layers, found.fields[[FIELDS.index(name) for name in card.fields]], found.weight)


def recipe(folder: Path, *, out: str = "run", model: Any = None, data: Any = None, **training: Any) -> Any:
    """Return a recipe of a tiny network whose samples are those of :func:`ready`."""
    small = {"card": {"name": "tiny", "window": [64, 64], "overlap": 32}, "options": {"widths": [4, 4, 4, 4]}}
    places = dict(zip(("seed", "scenes"), SEEDS["train"], strict=True))
    places |= dict(zip(("val_seed", "val_scenes"), SEEDS["val"], strict=True))
    own = {"crop": [64, 64], "batch": 4, "steps": 60, "every": 20, "rate": 2e-2, "average": 0.9}
    return recipe_of(
        {
            "out": str(folder / out),
            "model": {**small, **(model or {})},
            "data": {"folder": str(folder / "samples"), "shape": list(SHAPE), **places, **(data or {})},
            "training": {**own, **training},
        }
    )


def ready(made: Any) -> dict[str, Any]:
    """Put the samples of a recipe where it looks for them, as if they had been simulated; return them."""
    card = card_of(made)
    return {
        split: collect(
            [sample(seed + k, card) for k in range(number)],
            Path(made.data.folder) / split,
            card,
            number=number,
            record={
                "seed": seed,
                "tiers": list(made.data.tiers),
                "shape": list(made.data.shape),
                "simulator": VERSION,
            },
        )
        for split, (seed, number) in SEEDS.items()
    }
