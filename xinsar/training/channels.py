"""From layers to channels: what the pipeline of detection does with arrays, for samples in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xinsar.models.card import Channel, ModelCard
from xinsar.training.augment import Input

_PARTS = {"gradient": ("gradient_y", "gradient_x")}


def channels_of(
    layers: Any,
    inputs: Sequence[Input],
    card: ModelCard,
    extremes: Mapping[Input, tuple[float, float]] | None = None,
    *,
    inside: Any = 1,
) -> Any:
    """Return the channels of a card, float32 (channel, y, x), of layers (layer, y, x) with NaN where missing.

    Parameters
    ----------
    layers, inputs
        Values as a cube holds them, and which input each layer is.
    card
        Says how each channel is normalised and filled.
    extremes
        Least and largest value of inputs that are normalised by them.
    inside
        1 on the image, 0 in the padding around it, (y, x) or one number for all.
    """
    place = {each: k for k, each in enumerate(inputs)}
    finite = np.isfinite(layers)
    out = np.empty((len(card.inputs), *layers.shape[1:]), np.float32)
    for channel, plane in zip(card.inputs, out, strict=True):
        if channel.made:
            plane[:] = inside if channel.name == "inside" else _made(channel, finite, place)
            continue
        each = Input(channel.name, channel.track)
        known = finite[place[each]]
        values = _normal(layers[place[each]], channel, (extremes or {}).get(each))
        plane[:] = np.where(known, values, np.float32(channel.fill))
    return out


def _made(channel: Channel, finite: Any, place: Mapping[Input, int]) -> Any:
    """Return a channel that tells where others are there."""
    of_track = {each.name: k for each, k in place.items() if each.track == channel.track}
    if channel.name == "valid":
        return finite[list(of_track.values())].any(axis=0)
    name = channel.name.removeprefix("valid_")
    return finite[[of_track[part] for part in _PARTS.get(name, (name,))]].all(axis=0)


def _normal(values: Any, channel: Channel, extremes: tuple[float, float] | None) -> Any:
    """Return values in the unit of a channel."""
    offset, scale = channel.offset, channel.scale
    if channel.transform == "minmax":
        least, most = extremes or (0.0, 0.0)
        offset, scale = (least, most - least) if most > least else (0.0, np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        normal = (values - np.float32(offset)) * np.float32(1 / scale)
        return np.arcsinh(normal) if channel.transform == "arcsinh" else normal
