"""Training on Lightning: from a recipe to a model on file."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xinsar.training.config import Recipe, read_recipe, recipe_of

if TYPE_CHECKING:
    from xinsar.training.samples import Samples

Say = Callable[[str], object]
MODEL = "model"
"""Name of the trained model's files in the folder of a training, where its card has no other."""


def fit(recipe: Recipe | Mapping[str, Any] | str | Path, *, resume: bool = True, say: Say = print) -> Any:
    """Train a network by a recipe, and save it with its card, its learning curve and its record.

    Parameters
    ----------
    recipe
        Path of a TOML file, nested mappings, or a :class:`~xinsar.training.config.Recipe`.
    resume
        Go on from the last checkpoint in the folder of an equal recipe.
    say
        Takes one line of text per step.

    Returns
    -------
    torch.nn.Module
        The network with its ``card``: running mean of the weights, threshold chosen on the validation scenes.

    Raises
    ------
    ValueError
        If an entry of the recipe is unknown or illegal.
    xinsar.MissingExtraError
        If torch or Lightning are not installed.

    Notes
    -----
    Written to the recipe's ``out``: ``<name>.safetensors``, ``<name>.onnx`` and ``<name>.json`` (the card, with the
    record of the training), ``curve.png``, ``metrics.csv`` and checkpoints. The same recipe on the same machine and
    number of threads gives the same weights, as far as the libraries compute the same.
    """
    from xinsar.extras import need

    for library in ("torch", "lightning"):
        need(library, purpose="training")
    from xinsar.training.loop import train

    made = _recipe(recipe)
    folder = Path(made.out)
    folder.mkdir(parents=True, exist_ok=True)
    samples = {split: _samples(made, split, say) for split in ("train", "val")}
    begin = time.perf_counter()
    network, scores = train(made, samples, resume=resume, say=say)
    record = _record(made, samples, scores, minutes=(time.perf_counter() - begin) / 60)
    network.card = network.card.replace(training=record)
    _save(network, folder, say)
    return network


def _recipe(recipe: Any) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return recipe_of(recipe) if isinstance(recipe, Mapping) else read_recipe(recipe)


def card_of(recipe: Recipe) -> Any:
    """Return the card of the network that a recipe trains."""
    from xinsar.models.registry import get_model

    return get_model(recipe.model.name, **recipe.model.options).card.replace(**recipe.model.card)


def _samples(recipe: Recipe, split: str, say: Say) -> Samples:
    """Return the samples of a split, collected where they are not there yet."""
    from xinsar.training.samples import collect, from_cubes, simulated

    data, card = recipe.data, card_of(recipe)
    folder = Path(data.folder) / split
    if data.cubes:
        cubes, outlines = (
            (data.cubes, data.outlines) if split == "train" else (data.val_cubes, data.val_outlines)
        )
        made = from_cubes(cubes, outlines, card, shape=data.shape)
        say(f"collecting {len(made)} samples of {len(cubes)} cubes into {folder}")
        record = {"cubes": list(cubes), "outlines": list(outlines), "shape": list(data.shape)}
        return collect(made, folder, card, number=len(made), record=record)
    number, seed = (data.scenes, data.seed) if split == "train" else (data.val_scenes, data.val_seed)
    tiers, shape = data.tiers, tuple(data.shape)
    record = {"seed": seed, "tiers": list(tiers), "shape": list(shape), "simulator": _simulator()}
    say(f"collecting {number} simulated scenes into {folder}")
    jobs = [
        (seed + k, card, {"shape": shape, "tier": tiers[k % len(tiers)], "draws": "train"})
        for k in range(number)
    ]
    makers = simulated_in_parallel(jobs, simulated, recipe.training.workers)
    return collect(makers, folder, card, number=number, record=record)


def simulated_in_parallel(jobs: list[Any], make: Callable[..., Any], workers: int) -> Any:
    """Yield ``make`` of every job, in order, by so many processes (0: this one)."""
    if workers < 1:
        yield from (make(seed, card, options=options) for seed, card, options in jobs)
        return
    from multiprocessing import get_context

    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_Maker(make), jobs, chunksize=1)


class _Maker:
    """A call with its arguments in one."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, job: Any) -> Any:
        seed, card, options = job
        return self.make(seed, card, options=options)


def _simulator() -> str:
    from xinsar.simulate import fields

    return str(fields.VERSION)


def _record(
    recipe: Recipe, samples: Mapping[str, Samples], scores: Mapping[str, Any], *, minutes: float
) -> dict[str, Any]:
    """Return what the card says of the training."""
    import lightning
    import torch

    import xinsar

    data = {split: {**each.record, "number": len(each)} for split, each in samples.items()}
    for each in data.values():
        each.pop("inputs", None)
    return {
        "date": date.today().isoformat(),
        "recipe": {"model": asdict(recipe.model), "training": asdict(recipe.training)},
        "data": data,
        "simulated": not recipe.data.cubes,
        "minutes": round(minutes, 1),
        "validation": dict(scores),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"),
        "versions": {
            "xinsar": xinsar.__version__,
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "python": platform.python_version(),
        },
    }


def _save(network: Any, folder: Path, say: Say) -> None:
    """Write the weights in both forms with one card."""
    from xinsar.models.files import save_model

    name = network.card.name or MODEL
    for ending in ("safetensors", "onnx"):
        save_model(network, folder / f"{name}.{ending}")
    say(f"wrote {folder / name}.safetensors, .onnx and .json")
    say(json.dumps(network.card.training["validation"]))
