"""Who takes part in SimSlide: trained models as ``detect`` runs them, and plain rules as baselines."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import xarray as xr

import xinsar
from xinsar.models import Channel, wrap
from xinsar.models.runtime import runtime_of

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Least foreground of a pixel, tried on the validation tiles."""
LEAST_SCORE = 0.05
"""Of an object, for models that return objects."""

FAST = 0.020
"""m year-1: what the velocity rule calls moving."""
SMOOTH = 1.5
"""Pixels: standard deviation of the Gaussian before it."""
HOT = 3.0
"""Standard deviations: what the Gi* rule calls a hot or cold spot."""
REACH = 100.0
"""Metres: radius of its neighbourhood."""

_TRACKS = (0, 1)


class Watched:
    """A runtime that remembers its last answers and counts the seconds they took."""

    kept = 4

    def __init__(self, runtime: Any) -> None:
        self.runtime, self.card = runtime, runtime.card
        self.alone = getattr(runtime, "alone", False)
        self.batch_size = getattr(runtime, "batch_size", None)
        self.remember = True
        self.seconds = 0.0
        self._answers: dict[bytes, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, batch: Any) -> Any:
        key = blake2b(np.ascontiguousarray(batch), digest_size=16).digest() if self.remember else b""
        if key and key in self._answers:
            return self._answers[key]
        begin = time.perf_counter()
        found = self.runtime(batch)
        with self._lock:
            self.seconds += time.perf_counter() - begin
            if key:
                self._answers[key] = found
                while len(self._answers) > self.kept:
                    self._answers.pop(next(iter(self._answers)))
        return found

    def __reduce__(self) -> Any:
        return Watched, (self.runtime,)


@dataclass(frozen=True)
class Model:
    """A model as ``xinsar.detect`` takes it."""

    source: Any
    thresholds: tuple[float, ...] = THRESHOLDS
    given: str = ""

    baseline = False

    @property
    def name(self) -> str:
        """Name in the results."""
        return self.given or str(self.card.name)

    @property
    def card(self) -> Any:
        """The card of the model."""
        return _opened(self.source).card

    @property
    def default(self) -> float:
        """Threshold of those who set none."""
        return float(self.card.threshold)

    @property
    def least(self) -> float:
        """Least score of an object, likewise."""
        return float(self.card.min_score)

    @property
    def tried(self) -> tuple[float, ...]:
        """Thresholds that are tried on the validation tiles."""
        if self.card.output != "dense":
            return (min(LEAST_SCORE, self.default),)
        return tuple(sorted({*self.thresholds, self.default}))

    def watched(self) -> Watched:
        """Return the runtime, opened once per process."""
        return _opened(self.source)

    def find(self, cube: xr.DataTree, thresholds: tuple[float, ...]) -> dict[float, Any] | None:
        """Return the table of detections at each threshold; None where the cube has nothing that it can use."""
        runtime = self.watched()
        return {t: xinsar.detect(cube, model=runtime, threshold=t, progress=False) for t in thresholds}


@lru_cache(maxsize=8)
def _opened(source: Any) -> Watched:
    return Watched(runtime_of(source))


@dataclass(frozen=True)
class Rule:
    """A baseline: no training, one threshold."""

    name: str
    needs: str

    baseline = True
    default = 0.5
    least = 0.0
    tried = (0.5,)
    card = None

    def find(self, cube: xr.DataTree, thresholds: tuple[float, ...]) -> dict[float, Any] | None:
        """Return the table of detections; None where the cube lacks what the rule looks at."""
        if any(self.needs not in node for node in cube.children.values()):
            return None
        table = RULES[self.name](cube)
        return dict.fromkeys(thresholds, table)


def fast(batch: Any) -> Any:
    """Return |v| / (|v| + 20 mm/yr) of velocities smoothed over what is there; the largest of the tracks."""
    from scipy.ndimage import gaussian_filter

    out = np.zeros((len(batch), 1, *batch.shape[2:]), np.float32)
    for window, field in zip(batch, out, strict=True):
        for velocity, there in (window[0:2], window[2:4]):
            weight = gaussian_filter(there, SMOOTH)
            size = np.abs(gaussian_filter(velocity, SMOOTH)) / np.maximum(weight, 1e-3)
            np.maximum(field[0], np.where(there > 0, size / (size + FAST), 0), out=field[0])
    return out


def hot(batch: Any) -> Any:
    """Return |z| / (|z| + 3), the largest of the tracks."""
    size = np.abs(batch).max(axis=1, keepdims=True)
    return size / (size + np.float32(HOT))


_MOVING = [c for t in _TRACKS for c in (Channel("velocity", t), Channel("valid_velocity", t))]
_SPOTS = [Channel("hot_spot", t) for t in _TRACKS]
_FAST = wrap(fast, inputs=_MOVING, name="velocity_threshold", min_pixels=8)
_HOT = wrap(hot, inputs=_SPOTS, name="gi_star", min_pixels=8)


def by_velocity(cube: xr.DataTree) -> Any:
    """Return where a smoothed velocity is larger than 20 mm/yr in any track."""
    return xinsar.detect(cube, model=_FAST, progress=False)


def by_hot_spots(cube: xr.DataTree) -> Any:
    """Return where |Gi*| of the velocity is larger than 3 in any track."""
    spots = {
        name: node.to_dataset().assign(
            hot_spot=xinsar.getis_ord(node.to_dataset()[["velocity"]], REACH).hot_spot
        )
        for name, node in cube.children.items()
    }
    return xinsar.detect(xr.DataTree.from_dict(spots), model=_HOT, progress=False)


def by_gradients(cube: xr.DataTree) -> Any:
    """Return what ``detect_threshold`` finds in the gradients of each track, merged."""
    from xinsar.detection import detect_threshold
    from xinsar.inventory import merge_inventories

    return merge_inventories(
        {name: detect_threshold(node.to_dataset()) for name, node in cube.children.items()}
    )


RULES = {"velocity_threshold": by_velocity, "gi_star": by_hot_spots, "gradient_threshold": by_gradients}
BASELINES = (
    Rule("velocity_threshold", "velocity"),
    Rule("gi_star", "velocity"),
    Rule("gradient_threshold", "gradient_y"),
)


def contender(name: Any) -> Model | Rule:
    """Return who is meant: a baseline by its name, else a model as ``detect`` takes it."""
    for rule in BASELINES:
        if rule.name == name:
            return rule
    return Model(name)
