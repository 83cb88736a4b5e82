"""The card of a model: what goes in, what comes out, and how it was made, readable without the model.

A card is a JSON file beside the weights. It holds everything that detection must know of a network: its channels by
the schema's names with their normalisation, its window, its fields and its thresholds. Nothing heavy is imported.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "xinsar-model-card"
FORMAT_VERSION = 1
"""Version of the card's layout that this code writes, and the newest it reads."""

TRANSFORMS = ("linear", "arcsinh", "minmax")
OUTPUTS = ("dense", "objects")
SCORES = ("mean", "upper", "max")

GROUND = ("slope", "elevation", "aspect", "aspect_sin", "aspect_cos", "sensitivity")
"""Channels that tell the place, not its motion: where only these are there, nothing was measured."""

_SURE = 1e-6
"""Scores nearer to 0 or 1 are calibrated as if they were this far away."""

CLASS_FIELD = "class:"
"""Fields of a dense model that begin so hold the share of one class, e.g. ``class:rock_glacier``."""


class CardError(ValueError):
    """A card is malformed, or of a newer version than this code reads; the message says what and the remedy."""


@dataclass(frozen=True)
class Channel:
    """One input plane of a model.

    Parameters
    ----------
    name
        Name in the schema (``velocity``, ``temporal_coherence``, ``sensitivity``, ``slope``, ``gradient_y``, ...), any
        other variable of the cube, or one that is derived: ``gradient_coherence`` (mean of both directions),
        ``aspect_sin``, ``aspect_cos``. Made by the pipeline: ``valid_<name>``, 1 where that variable of the same track
        came in finite (``valid_gradient``: both directions); ``valid``, 1 where any channel of the same track did;
        ``inside``, 1 on the image and 0 in the padding around it.
    track
        0, 1, ...: slot of the track; None: of the ground, or of the only track.
    transform
        ``"linear"``: (v - offset) / scale; ``"arcsinh"``: arcsinh((v - offset) / scale); ``"minmax"``: 0..1 between
        the least and the largest value of the whole cube.
    offset, scale
        In the unit of the variable.
    fill
        Value, after the transform, where the variable is missing.
    optional
        False: the cube must have it.
    """

    name: str
    track: int | None = None
    transform: str = "linear"
    offset: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    optional: bool = True

    def __post_init__(self) -> None:
        where = f"channel {self.name!r}"
        _text("channel name", self.name)
        if self.track is not None:
            _whole(f"{where}: track", self.track, least=0)
        _one_of(f"{where}: transform", self.transform, TRANSFORMS)
        for name in ("offset", "scale", "fill"):
            _number(f"{where}: {name}", getattr(self, name))
        if self.scale == 0:
            raise CardError(f"{where}: scale: expected a number other than 0, got 0")

    @property
    def made(self) -> bool:
        """Whether the pipeline makes this channel rather than the cube."""
        return self.name in ("inside", "valid") or self.name.startswith("valid_")

    @property
    def label(self) -> str:
        """Name with the track's slot, e.g. ``velocity[0]``."""
        return self.name if self.track is None else f"{self.name}[{self.track}]"


@dataclass(frozen=True)
class ModelCard:
    """Everything detection must know of a model.

    Parameters
    ----------
    name, version
        What the model is called, and which of its versions this is.
    inputs
        Channels in the order of the network's input.
    output
        ``"dense"``: fields of the window's size; ``"objects"``: boxes or masks, see :mod:`xinsar.models.runtime`.
    fields
        Output planes of a dense model, all 0..1: ``foreground``; ``centre``, highest in the middle of an object;
        ``distance``, 0 at the outline and 1 inside; ``class:<name>`` for several classes. Others are ignored. Without
        ``foreground``, the largest class field stands for it.
    classes
        What objects can be.
    window
        Rows and columns of the network's input, pixels.
    overlap
        Pixels that neighbouring windows share: each keeps its core, the window less half the overlap on every side.
    multiple
        Windows and their steps are multiples of this, the total stride of the network.
    radius
        How far an output pixel looks, pixels; an overlap of twice the radius leaves no seam.
    pixel_size
        Pixel size it was trained for, metres; None: any.
    threshold
        Least foreground of a pixel (dense) or least score of an object (objects).
    min_pixels
        Least size of an object, pixels.
    min_score
        Least score of an object, which goes with ``threshold``: where the caller gives another threshold, it is not
        used.
    min_centre, prominence
        An object of a dense model is split at the maxima of ``centre`` that reach ``min_centre`` and rise by
        ``prominence`` above the saddle to a higher one.
    score
        Score of an object of a dense model, of its foreground: ``"mean"``; ``"upper"``, the mean of the half of the
        pixels that have most; ``"max"``.
    calibration
        Slope and offset (a, b) that make a probability of that score s, ``1 / (1 + exp(-(a log(s / (1 - s)) + b)))``;
        :func:`xinsar.inventory.calibrate_scores` finds them. (1, 0) leaves it as it is.
    merge
        Objects of an object model are one where they share at least this part of the smaller.
    coarse
        0, or by how much a second pass is coarser, which finds objects larger than a window's core (4 is usual).
    licence, reference
        Terms of the weights; where the method is described.
    architecture, options
        Registered name that builds the network, and the keywords it is built with; empty where only the file knows.
    training
        Record of the training: recipe, seeds, data, scores, date, machine.
    weights
        By kind (``"onnx"``, ``"safetensors"``): ``{"file": name, "sha256": digest}``.

    Examples
    --------
    >>> inputs = (Channel("velocity", scale=0.01),)
    >>> card = ModelCard("blur", "1", inputs, fields=("foreground",), window=(64, 64), overlap=32)
    >>> card.core, ModelCard.from_json(card.to_json()) == card
    ((32, 32), True)
    """

    name: str
    version: str
    inputs: tuple[Channel, ...]
    output: str = "dense"
    fields: tuple[str, ...] = ("foreground", "centre", "distance")
    classes: tuple[str, ...] = ("moving",)
    window: tuple[int, int] = (512, 512)
    overlap: int = 64
    multiple: int = 16
    radius: int = 0
    pixel_size: float | None = 25.0
    threshold: float = 0.5
    min_pixels: int = 8
    min_score: float = 0.0
    min_centre: float = 0.3
    prominence: float = 0.1
    score: str = "mean"
    calibration: tuple[float, float] = (1.0, 0.0)
    merge: float = 0.5
    coarse: int = 0
    licence: str = ""
    reference: str = ""
    architecture: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, kind in _LISTS.items():
            object.__setattr__(self, name, _tuple(name, getattr(self, name), kind))
        _check(self)

    @property
    def core(self) -> tuple[int, int]:
        """Rows and columns that a window owns; also the step of the lattice."""
        return self.window[0] - self.overlap, self.window[1] - self.overlap

    @property
    def halo(self) -> int:
        """Pixels a window reads beyond its core on every side."""
        return self.overlap // 2

    def calibrated(self, score: float) -> float:
        """Return the score of an object as a probability, 0..1, by :attr:`calibration`; a higher one stays higher."""
        slope, offset = self.calibration
        if (slope, offset) == (1, 0):
            return score
        share = min(max(score, _SURE), 1 - _SURE)
        odds = slope * math.log(share / (1 - share)) + offset
        return 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0)))

    @property
    def tracks(self) -> int:
        """Number of track slots."""
        return 1 + max((c.track for c in self.inputs if c.track is not None), default=0)

    def replace(self, **changes: Any) -> ModelCard:
        """Return the card with ``changes``."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """Return the card as JSON text."""
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "card") -> ModelCard:
        """Read a card from JSON text; ``source`` names it in errors, which are :class:`CardError`."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise CardError(
                f"{source}: expected a model card in JSON, got text that is none ({error})"
            ) from None
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise CardError(f'{source}: expected a model card ("format": "{FORMAT}"), got other JSON')
        _check_version(content.pop("format_version", None), source)
        known = {f.name for f in dataclasses.fields(cls)}
        needed = {f.name for f in dataclasses.fields(cls)} & {"name", "version", "inputs"}
        if strange := sorted(set(content) - known):
            raise CardError(
                f"{source}: unknown entries {', '.join(strange)}; known are {', '.join(sorted(known))}"
            )
        if missing := sorted(needed - set(content)):
            raise CardError(
                f"{source}: expected the entries {', '.join(sorted(needed))}, got no {', '.join(missing)}"
            )
        try:
            return cls(**{**content, "inputs": _channels(content["inputs"])})
        except CardError as error:
            raise CardError(f"{source}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> ModelCard:
        """Read a card from a file."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"), source=str(path))

    def write(self, path: str | Path) -> None:
        """Write the card to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")


_LISTS: dict[str, Any] = {
    "inputs": Channel,
    "fields": str,
    "classes": str,
    "window": int,
    "calibration": (int, float),
}
"""Entries that are lists, with the kind of their items."""


def _plain(value: Any) -> Any:
    """Return what JSON cannot hold as what it can: mappings, numbers of NumPy, paths."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _check_version(version: Any, source: str) -> None:
    if not isinstance(version, int) or isinstance(version, bool):
        raise CardError(f"{source}: format_version: expected a whole number, got {version!r}")
    if version > FORMAT_VERSION:
        raise CardError(
            f"{source}: the card is of version {version}, this xinsar reads up to {FORMAT_VERSION}; install a newer "
            "xinsar"
        )


def _channels(entries: Any) -> tuple[Channel, ...]:
    if not isinstance(entries, (list, tuple)):
        raise CardError(f"inputs: expected a list of channels, got {entries!r}")
    known = {f.name for f in dataclasses.fields(Channel)}
    for entry in entries:
        if not isinstance(entry, dict) or "name" not in entry or set(entry) - known:
            raise CardError(
                f"inputs: expected channels with entries among {', '.join(sorted(known))}, got {entry!r}"
            )
    return tuple(Channel(**entry) for entry in entries)


def _check(card: ModelCard) -> None:
    """Raise CardError unless every entry is of its kind and they agree."""
    _text("name", card.name)
    _text("version", card.version)
    _one_of("output", card.output, OUTPUTS)
    _one_of("score", card.score, SCORES)
    for name in ("inputs", "classes", *(("fields",) if card.output == "dense" else ())):
        _several(name, getattr(card, name))
    _check_fields(card)
    _check_window(card)
    for name in ("threshold", "min_score", "min_centre", "prominence", "merge"):
        _share(name, getattr(card, name))
    if card.threshold == 0:
        raise CardError("threshold: expected a number above 0, got 0: everything would be found")
    if (
        len(card.calibration) != 2
        or not all(map(math.isfinite, card.calibration))
        or card.calibration[0] <= 0
    ):
        raise CardError(
            f"calibration: expected a slope above 0 and an offset, got {card.calibration}; (1, 0) changes nothing"
        )
    for name, least in (("min_pixels", 1), ("radius", 0), ("coarse", 0)):
        _whole(name, getattr(card, name), least=least)
    if card.pixel_size is not None and not _number("pixel_size", card.pixel_size) > 0:
        raise CardError(f"pixel_size: expected metres above 0, got {card.pixel_size!r}")


def _check_fields(card: ModelCard) -> None:
    if card.output != "dense":
        return
    own = [f.removeprefix(CLASS_FIELD) for f in card.fields if f.startswith(CLASS_FIELD)]
    if own and sorted(own) != sorted(card.classes):
        raise CardError(
            f"fields: expected a field 'class:<name>' for each of the classes {card.classes}, got {own}"
        )
    if not own and "foreground" not in card.fields:
        raise CardError(f"fields: expected 'foreground' or fields 'class:<name>', got {card.fields}")
    if not own and len(card.classes) > 1:
        raise CardError(f"classes: expected one, for fields without 'class:<name>', got {card.classes}")


def _check_window(card: ModelCard) -> None:
    if len(card.window) != 2:
        raise CardError(f"window: expected rows and columns, got {card.window}")
    _whole("multiple", card.multiple)
    _whole("overlap", card.overlap, least=0)
    if card.overlap % 2:
        raise CardError(f"overlap: expected an even number of pixels, got {card.overlap}")
    for size, core in zip(card.window, card.core, strict=True):
        if core < 1:
            raise CardError(f"overlap: expected less than the window {card.window}, got {card.overlap}")
        if size % card.multiple or core % card.multiple:
            raise CardError(
                f"window, overlap: expected windows and steps (window - overlap) that are multiples of "
                f"{card.multiple}, got {card.window} and steps {card.core}"
            )


def _tuple(name: str, value: Any, kind: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise CardError(f"{name}: expected a list, got {value!r}")
    for item in value:
        if not isinstance(item, kind) or isinstance(item, bool):
            wanted = getattr(kind, "__name__", "number")
            raise CardError(f"{name}: expected items of type {wanted}, got {item!r}")
    return tuple(value)


def _several(name: str, items: tuple[Any, ...]) -> None:
    """Raise CardError unless there are items, each once."""
    names = [getattr(item, "label", item) for item in items]
    if not names or len(set(names)) < len(names):
        raise CardError(f"{name}: expected one or more, each once, got {names}")


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise CardError(f"{name}: expected a text, got {value!r}")


def _one_of(name: str, value: Any, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise CardError(f"{name}: expected one of {', '.join(map(repr, legal))}, got {value!r}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise CardError(f"{name}: expected a finite number, got {value!r}")
    return float(value)


def _share(name: str, value: Any) -> None:
    if not 0 <= _number(name, value) <= 1:
        raise CardError(f"{name}: expected a number within 0..1, got {value!r}")


def _whole(name: str, value: Any, *, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CardError(f"{name}: expected a whole number, {least} or more, got {value!r}")
