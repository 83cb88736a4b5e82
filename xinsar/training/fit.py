"""Training on Lightning: from a recipe to a model on file."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xinsar.training.config import Recipe, read_recipe, recipe_of

if TYPE_CHECKING:
    from xinsar.models.card import ModelCard
    from xinsar.training.loop import Trained
    from xinsar.training.samples import Samples

Say = Callable[[str], object]
MODEL = "model"
"""Name of the trained model's files in the folder of a training, where its card has no other."""
LIBRARIES = ("lightning", "torch", "safetensors", "onnx", "onnxscript")
"""What a training needs, all in one extra; Lightning first, whose extra brings the others."""


def fit(recipe: Recipe | Mapping[str, Any] | str | Path, *, resume: bool = True, say: Say = print) -> Any:
    """Train a network by a recipe, and save it with its card, its learning curve and its record.

    Parameters
    ----------
    recipe
        Path of a TOML file, nested mappings, or a :class:`~xinsar.training.config.Recipe`.
    resume
        Go on from the last checkpoint in the recipe's ``out``, where there is one; a training that ended is not begun
        again. False: begin anew, and remove the checkpoints and logs that lie there.
    say
        Takes one line of text per look at the validation scenes.

    Returns
    -------
    torch.nn.Module
        The network with its ``card``: running mean of the weights, threshold chosen on the validation scenes.

    Raises
    ------
    FileNotFoundError
        If there is no such recipe, cube or vector file.
    ValueError
        If an entry of the recipe is unknown or illegal, cubes or outlines do not fit, or the checkpoint in ``out`` is
        of another recipe.
    xinsar.MissingExtraError
        If torch, Lightning or what writes the files is not installed.

    Notes
    -----
    Written to the recipe's ``out``: ``<name>.safetensors``, ``<name>.onnx`` and ``<name>.json`` (the card, with the
    record of the training), ``curve.png``, ``log/version_<n>/metrics.csv`` and checkpoints. The same recipe on the
    same machine and number of threads gives the same weights, whether it was interrupted or not, as far as the
    libraries compute the same.
    """
    made = _recipe(recipe)
    _need_libraries(made)
    from xinsar.training.checkpoints import last_of
    from xinsar.training.loop import train

    card = card_of(made)
    _check_card(card, made)
    last_of(made, resume=resume)
    folder = Path(made.out)
    folder.mkdir(parents=True, exist_ok=True)
    samples = {split: _samples(made, card, split, say) for split in ("train", "val")}
    done = train(made, samples, resume=resume, say=say)
    network = done.network
    network.card = network.card.replace(training=_record(made, samples, done))
    _save(network, folder, say)
    return network


def _need_libraries(recipe: Recipe) -> None:
    """Raise MissingExtraError for what is not installed, before any work rather than at its end."""
    from xinsar.extras import MissingExtraError, need

    for library in LIBRARIES:
        need(library, purpose="training")
    if recipe.training.logger == "tensorboard" and find_spec("tensorboard") is None:
        raise MissingExtraError(
            "training.logger: 'tensorboard' needs the package 'tensorboard', which is not installed; install it with: "
            "pip install tensorboard, or choose 'csv'"
        )


def _recipe(recipe: Any) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe_of(asdict(recipe))
    return recipe_of(recipe) if isinstance(recipe, Mapping) else read_recipe(recipe)


def card_of(recipe: Recipe) -> ModelCard:
    """Return the card of the network that a recipe trains."""
    from xinsar.models.registry import get_model

    own = recipe.model
    try:
        card: ModelCard = get_model(own.name, **own.options).card
    except TypeError as error:
        raise ValueError(f"model.options: the builder of {own.name!r} does not take them: {error}") from error
    try:
        return card.replace(**own.card)
    except TypeError as error:
        raise ValueError(f"model.card: expected entries of a ModelCard, got others: {error}") from error


def _check_card(card: ModelCard, recipe: Recipe) -> None:
    """Raise ValueError where a card's network cannot be trained on the samples of the recipe."""
    from xinsar.training.targets import FIELDS

    if card.output != "dense" or card.fields[0] != "foreground" or not set(card.fields) <= set(FIELDS):
        raise ValueError(
            f"model: expected a dense network with foreground first and fields among {', '.join(FIELDS)}, got "
            f"{card.output} with {', '.join(card.fields)}"
        )
    sizes = {"data.shape": recipe.data.shape, "training.crop": recipe.training.crop}
    for name, size in sizes.items():
        if any(n < 1 or n % card.multiple for n in size):
            raise ValueError(
                f"{name}: expected multiples of {card.multiple}, the stride of {card.name!r}, got {tuple(size)}"
            )


def _samples(recipe: Recipe, card: ModelCard, split: str, say: Say) -> Samples:
    """Return the samples of a split, collected where they are not there yet."""
    from xinsar.training.samples import from_cubes, record_of, simulated

    data, train = recipe.data, split == "train"
    if data.cubes:
        cubes, outlines = (data.cubes, data.outlines) if train else (data.val_cubes, data.val_outlines)
        made: Any = from_cubes(cubes, outlines, card, shape=data.shape)
        decided = {"shape": list(data.shape), "pixel_size": card.pixel_size, "min_pixels": card.min_pixels}
        record = {**record_of(cubes, outlines), **decided}
        return _collected(made, recipe, split, card, len(made), record, say)
    number, seed = (data.scenes, data.seed) if train else (data.val_scenes, data.val_seed)
    tiers, shape = data.tiers, data.shape
    record = {"seed": seed, "tiers": list(tiers), "shape": list(shape), "simulator": _simulator()}
    jobs = [
        (seed + k, card, {"shape": shape, "tier": tiers[k % len(tiers)], "draws": "train"})
        for k in range(number)
    ]
    made = simulated_in_parallel(jobs, simulated, recipe.training.workers)
    return _collected(made, recipe, split, card, number, record, say)


def _collected(
    made: Any, recipe: Recipe, split: str, card: ModelCard, number: int, record: dict[str, Any], say: Say
) -> Samples:
    """Return samples in their folder, and say how far their collection is."""
    from xinsar.training.samples import collect

    folder = Path(recipe.data.folder) / split
    told = max(number // 10, 1)

    def progress(done: int) -> None:
        if done % told == 0 or done == number:
            say(f"collected {done} of {number} samples into {folder}")

    return collect(made, folder, card, number=number, record=record, progress=progress)


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


def _record(recipe: Recipe, samples: Mapping[str, Samples], done: Trained) -> dict[str, Any]:
    """Return what the card says of the training."""
    import lightning
    import torch

    import xinsar

    data = {split: {**each.record, "number": len(each)} for split, each in samples.items()}
    for each in data.values():
        for name in ("inputs", "held"):
            each.pop(name, None)
    return {
        "date": date.today().isoformat(),
        "recipe": {"model": asdict(recipe.model), "training": asdict(recipe.training)},
        "data": data,
        "simulated": not recipe.data.cubes,
        "steps": done.steps,
        "minutes": round(done.minutes, 1),
        "validation": dict(done.scores),
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
