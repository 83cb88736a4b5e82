"""The recipe of a training: a TOML file, checked and completed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from xinsar.models.registry import list_models

LOGGERS = ("csv", "tensorboard")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class ModelPart:
    """Which network is trained.

    Parameters
    ----------
    name
        One of :func:`xinsar.models.list_models`; ``"default"`` goes on from the weights that come with xinsar.
    options
        Keywords of its builder.
    card
        Entries of its card that are to differ, e.g. ``name`` and ``version``.
    """

    name: str = "centre"
    options: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataPart:
    """What it learns from: simulated scenes, or cubes with outlines.

    Parameters
    ----------
    folder
        Where samples are collected; kept, and used again where the recipe is the same.
    scenes, val_scenes
        Numbers of simulated scenes.
    seed, val_seed
        First seed of each; they must not overlap.
    shape
        Rows and columns of a scene.
    tiers
        Tiers of the simulator that scenes take in turn.
    cubes, outlines, val_cubes, val_outlines
        Paths of cubes, and of vector files with what moves in each; instead of simulated scenes.
    """

    folder: str = "samples"
    scenes: int = 1000
    val_scenes: int = 60
    seed: int = 1_000_000
    val_seed: int = 2_000_000
    shape: tuple[int, int] = (256, 256)
    tiers: tuple[str, ...] = ("medium", "hard", "easy")
    cubes: tuple[str, ...] = ()
    outlines: tuple[str, ...] = ()
    val_cubes: tuple[str, ...] = ()
    val_outlines: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingPart:
    """How it learns.

    Parameters
    ----------
    crop
        Rows and columns of what is shown at once; multiples of the network's stride.
    margin
        Pixels by which crops may reach beyond the edge of a scene, as windows do beyond the edge of an image.
    batch
        Crops in a batch.
    steps
        Batches in all.
    minutes
        Stop after so many minutes even so; 0: never.
    rate
        Largest learning rate; it rises over the first twentieth of the steps and falls as a cosine.
    decay
        Weight decay of AdamW.
    average
        Decay of the running mean of the weights, which is what is kept in the end.
    every
        Steps between two looks at the validation scenes.
    patience
        Stop after so many looks without progress.
    precision
        Of Lightning: ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"``.
    workers
        Processes that prepare samples.
    threads
        Threads of torch on the CPU; 0: as it likes. The same number is needed for the same bits.
    seed
        Of weights, crops and changes.
    logger
        ``"csv"`` or ``"tensorboard"``.
    """

    crop: tuple[int, int] = (128, 128)
    margin: int = 0
    batch: int = 16
    steps: int = 6000
    minutes: float = 0.0
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    every: int = 500
    patience: int = 10
    precision: str = "32-true"
    workers: int = 0
    threads: int = 0
    seed: int = 0
    logger: str = "csv"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training.

    Parameters
    ----------
    out
        Folder of checkpoints, logs, the picture of the learning curve and the trained model.
    model, data, training
        See the parts.
    """

    out: str = "training"
    model: ModelPart = field(default_factory=ModelPart)
    data: DataPart = field(default_factory=DataPart)
    training: TrainingPart = field(default_factory=TrainingPart)


_PARTS: dict[str, type] = {"model": ModelPart, "data": DataPart, "training": TrainingPart}


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file; relative paths in it count from its folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, or an entry is unknown or of the wrong kind; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"recipe: there is no file {path}; give the path of a TOML file")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: expected TOML, got text that is none ({error})") from None
    return recipe_of(content, where=path.parent)


def recipe_of(content: Mapping[str, Any], *, where: Path | None = None) -> Recipe:
    """Return the recipe of nested mappings, completed by defaults and checked."""
    _known("the recipe", content, ("out", *_PARTS))
    parts = {name: _part(name, kind, content.get(name, {})) for name, kind in _PARTS.items()}
    recipe = Recipe(out=_text("out", content.get("out", "training")), **parts)
    _check(recipe)
    return recipe if where is None else _placed(recipe, where)


def _known(part: str, content: Any, names: tuple[str, ...]) -> None:
    if not isinstance(content, Mapping):
        raise ValueError(f"{part}: expected a table of entries, got {content!r}")
    if strange := sorted(set(content) - set(names)):
        raise ValueError(f"{part}: unknown entries {', '.join(strange)}; known are {', '.join(names)}")


def _part(name: str, kind: type, content: Any) -> Any:
    """Return one part of the recipe, each entry of the kind of its default."""
    plain = kind()
    _known(f"[{name}]", content, tuple(f.name for f in fields(kind)))
    given = {key: _like(f"{name}.{key}", value, getattr(plain, key)) for key, value in content.items()}
    return kind(**given)


def _like(name: str, value: Any, default: Any) -> Any:
    """Return ``value`` as the kind of ``default``."""
    if isinstance(default, tuple):
        kind = type(default[0]) if default else str
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, kind) for v in value):
            like = f"like {list(default)}" if default else "of texts"
            raise ValueError(f"{name}: expected a list {like}, got {value!r}")
        return tuple(value)
    if isinstance(default, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{name}: expected a table of entries, got {value!r}")
        return dict(value)
    wanted = (int, float) if isinstance(default, float) else type(default)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ValueError(f"{name}: expected a {type(default).__name__}, got {value!r}")
    return type(default)(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: expected a text, got {value!r}")
    return value


def _check(recipe: Recipe) -> None:
    """Raise ValueError where entries cannot be."""
    if recipe.model.name not in list_models():
        raise ValueError(f"model.name: expected one of {', '.join(list_models())}, got {recipe.model.name!r}")
    data, training = recipe.data, recipe.training
    for split, cubes, outlines in (
        ("", data.cubes, data.outlines),
        ("val_", data.val_cubes, data.val_outlines),
    ):
        if len(cubes) != len(outlines):
            raise ValueError(
                f"data.{split}outlines: expected one vector file for each of {len(cubes)} cubes, got {len(outlines)}"
            )
    if bool(data.cubes) != bool(data.val_cubes):
        raise ValueError(
            "data.val_cubes: expected cubes for training and for validation, got those of one of them only"
        )
    _check_training(training)
    if training.crop and training.margin >= min(training.crop):
        raise ValueError(
            f"training.margin: expected less than the sides of a crop {list(training.crop)}, got {training.margin}: "
            "such crops would show nothing"
        )
    for name, size in (("data.shape", data.shape), ("training.crop", training.crop)):
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"{name}: expected rows and columns, got {list(size)}")
    if not data.tiers:
        raise ValueError("data.tiers: expected one or more, got none")
    if not data.cubes:
        _check_seeds(data)


def _check_training(training: TrainingPart) -> None:
    """Raise ValueError where numbers or words of the part are none that can be."""
    for name in ("batch", "steps", "every", "patience"):
        if getattr(training, name) < 1:
            raise ValueError(f"training.{name}: expected 1 or more, got {getattr(training, name)}")
    for name in ("minutes", "decay", "workers", "threads", "margin"):
        if not getattr(training, name) >= 0:
            raise ValueError(f"training.{name}: expected 0 or more, got {getattr(training, name)}")
    for name, legal in (("logger", LOGGERS), ("precision", PRECISIONS)):
        if getattr(training, name) not in legal:
            raise ValueError(
                f"training.{name}: expected one of {', '.join(legal)}, got {getattr(training, name)!r}"
            )
    if not training.rate > 0:
        raise ValueError(f"training.rate: expected a number above 0, got {training.rate}")
    if not 0 <= training.average < 1:
        raise ValueError(f"training.average: expected a number from 0 to below 1, got {training.average}")


def _check_seeds(data: DataPart) -> None:
    for name in ("scenes", "val_scenes"):
        if getattr(data, name) < 1:
            raise ValueError(f"data.{name}: expected 1 or more, got {getattr(data, name)}")
    first, second = sorted([(data.seed, data.scenes), (data.val_seed, data.val_scenes)])
    if first[0] + first[1] > second[0]:
        raise ValueError(
            f"data.val_seed: expected seeds that no training scene has, got {data.val_seed} beside {data.seed} to "
            f"{data.seed + data.scenes - 1}"
        )


def _placed(recipe: Recipe, where: Path) -> Recipe:
    """Return the recipe with paths that count from ``where``."""
    from dataclasses import replace

    data = recipe.data
    paths: dict[str, Any] = {
        name: tuple(p if "://" in p else str(where / p) for p in getattr(data, name))
        for name in ("cubes", "outlines", "val_cubes", "val_outlines")
    }
    data = replace(data, folder=str(where / data.folder), **paths)
    return replace(recipe, out=str(where / recipe.out), data=data)
