"""Changes of a sample that keep it true: mirrors, turns, the sign of a track's motion, inputs that are missing.

They work on values as a cube holds them, NaN where missing, before any normalisation. Scalars (velocity,
sensitivity, slope, coherence, Gi*) keep their values wherever they go. Gradients are vectors on edges: the value
at p belongs to p + 1/2, so a mirror along its own axis negates a gradient and moves it by one pixel, and a
turn by 90 degrees swaps the two components. Aspects are azimuths and turn with the ground.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

SIGNED = ("velocity", "sensitivity", "gradient_y", "gradient_x", "hot_spot")
"""Inputs that change their sign together when a track would look from the other side."""

KINDS = {
    "velocity": ("velocity", "temporal_coherence", "hot_spot"),
    "gradient": ("gradient_y", "gradient_x", "gradient_coherence"),
    "terrain": ("sensitivity", "slope", "elevation", "aspect", "aspect_sin", "aspect_cos"),
}
"""Inputs that are there or missing together."""

NO_TRACK, NO_KIND, NO_TERRAIN = 0.3, 0.25, 0.1
"""Share of samples in which one of two tracks is missing, in which the gradients or the velocities are, and in which
the terrain is."""


class Input(NamedTuple):
    """Which input a layer of a sample holds: its name, and the slot of its track (None: of the ground)."""

    name: str
    track: int | None = None


def _of(inputs: Sequence[Input], name: str) -> list[int]:
    return [i for i, each in enumerate(inputs) if each.name == name]


def mirror(layers: Any, inputs: Sequence[Input], axis: str) -> Any:
    """Return layers (layer, y, x) mirrored along ``axis``, ``"y"`` or ``"x"``."""
    number = {"y": 1, "x": 2}[axis]
    out = np.flip(layers, number).copy()
    for i in _of(inputs, f"gradient_{axis}"):
        moved = np.roll(out[i], -1, number - 1)
        moved[(-1,) if axis == "y" else (slice(None), -1)] = np.nan
        out[i] = -moved
    for i in _of(inputs, "aspect_cos" if axis == "y" else "aspect_sin"):
        out[i] = -out[i]
    for i in _of(inputs, "aspect"):
        out[i] = ((180 if axis == "y" else 360) - out[i]) % 360
    return out


def transpose(layers: Any, inputs: Sequence[Input]) -> Any:
    """Return layers (layer, y, x) with rows and columns exchanged: mirrored along the falling diagonal."""
    out = np.swapaxes(layers, 1, 2).copy()
    for one, two, sign in (("gradient_y", "gradient_x", 1), ("aspect_sin", "aspect_cos", -1)):
        for i, j in zip(_of(inputs, one), _of(inputs, two), strict=True):
            out[[i, j]] = sign * out[[j, i]]
    for i in _of(inputs, "aspect"):
        out[i] = (270 - out[i]) % 360
    return out


def reverse(layers: Any, inputs: Sequence[Input], track: int) -> Any:
    """Return layers with the sign of all that a track sees of the motion reversed."""
    out = layers.copy()
    for i, each in enumerate(inputs):
        if each.track == track and each.name in SIGNED:
            out[i] = -out[i]
    return out


def exchange(layers: Any, inputs: Sequence[Input]) -> Any:
    """Return layers with the two tracks in each other's slot."""
    out = layers.copy()
    for i, each in enumerate(inputs):
        if each.track is not None:
            out[i] = layers[inputs.index(Input(each.name, 1 - each.track))]
    return out


def drop(layers: Any, inputs: Sequence[Input], *, kind: str | None = None, track: int | None = None) -> Any:
    """Return layers without a kind of inputs (see :data:`KINDS`), without a track, or without one kind of one track."""
    out = layers.copy()
    names = KINDS[kind] if kind is not None else None
    for i, each in enumerate(inputs):
        if (names is None or each.name in names) and (track is None or each.track == track):
            out[i] = np.nan
    return out


def draw(
    rng: np.random.Generator,
    layers: Any,
    inputs: Sequence[Input],
    targets: Any,
    *,
    needed: Collection[Input] = (),
) -> tuple[Any, Any]:
    """Return a sample after random changes: layers (layer, y, x) and targets (field, y, x).

    All eight mirrors and turns; each track's sign reversed in half of the samples; tracks exchanged in half; what is
    missing how often say :data:`NO_TRACK`, :data:`NO_KIND` and :data:`NO_TERRAIN`. Inputs that are ``needed`` never
    go missing.
    """
    for axis, number in (("y", 1), ("x", 2)):
        if rng.random() < 0.5:
            layers, targets = mirror(layers, inputs, axis), np.flip(targets, number)
    if rng.random() < 0.5:
        layers, targets = transpose(layers, inputs), np.swapaxes(targets, 1, 2)
    tracks = sorted({each.track for each in inputs if each.track is not None})
    for track in tracks:
        if rng.random() < 0.5:
            layers = reverse(layers, inputs, track)
    if len(tracks) == 2 and rng.random() < 0.5:
        layers = exchange(layers, inputs)
    found = _with_gaps(rng, layers, inputs, tracks)
    if found is not layers:
        kept = [i for i, each in enumerate(inputs) if each in needed]
        found[kept] = layers[kept]
    return found, np.ascontiguousarray(targets)


def _with_gaps(rng: np.random.Generator, layers: Any, inputs: Sequence[Input], tracks: Sequence[int]) -> Any:
    """Return layers with a track, a kind of inputs or the terrain missing; something to see is always left."""
    if len(tracks) == 2 and rng.random() < NO_TRACK:
        layers = drop(layers, inputs, track=int(rng.integers(2)))
    lacking = rng.random()
    if lacking < NO_KIND and {"velocity", "gradient_y"} <= {each.name for each in inputs}:
        layers = drop(layers, inputs, kind="gradient" if lacking < NO_KIND / 2 else "velocity")
    if rng.random() < NO_TERRAIN:
        layers = drop(layers, inputs, kind="terrain")
    return layers
