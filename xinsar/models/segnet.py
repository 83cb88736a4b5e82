"""SegNet (Badrinarayanan et al. 2017) as Liang et al. (2023) use it: VGG16 down, its maxima's places up.

Thirteen 3 x 3 convolutions with batch normalisation in five levels; each maximum of 2 x 2 keeps its place, and the
way up puts values back there. Sizes must be multiples of 32. With 5 channels it has 29,444,737 parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from xinsar.models.blocks import convolution, several
from xinsar.models.card import ModelCard
from xinsar.models.features import LIANG, feature_card

NUMBERS = (2, 2, 3, 3, 3)
"""Convolutions of each level."""


class SegNet(nn.Module):
    """The network; the result are logits (batch, class, y, x).

    Parameters
    ----------
    channels
        Number of feature maps.
    classes
        Number of scores.
    width
        Filters of the first level; the next ones have 2, 4, 8 and 8 times as many.
    """

    def __init__(self, channels: int, *, classes: int = 1, width: int = 64) -> None:
        super().__init__()
        widths = [width * k for k in (1, 2, 4, 8, 8)]
        before = [channels, *widths[:-1]]
        self.down = nn.ModuleList(
            several(a, b, n, bias=True) for a, b, n in zip(before, widths, NUMBERS, strict=True)
        )
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.up = nn.ModuleList(
            nn.Sequential(*several(b, b, n - 1, bias=True), convolution(b, a, bias=True))
            for a, b, n in reversed(list(zip([widths[0], *widths[:-1]], widths, NUMBERS, strict=True))[1:])
        )
        self.last = convolution(widths[0], widths[0], bias=True)
        self.head = nn.Conv2d(widths[0], classes, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return logits of feature maps (batch, channel, y, x)."""
        places = []
        for convolve in self.down:
            maps, place = self.pool(convolve(maps))
            places.append(place)
        for convolve in self.up:
            maps = convolve(self.unpool(maps, places.pop()))
        out: torch.Tensor = self.head(self.last(self.unpool(maps, places.pop())))
        return out


def card(inputs: tuple[str, ...] = LIANG, **changes: Any) -> ModelCard:
    """Return the card of a SegNet on feature maps of these names."""
    return feature_card("segnet", inputs, multiple=32, radius=212, **changes)


def build(inputs: tuple[str, ...] = LIANG, *, width: int = 64) -> tuple[nn.Module, ModelCard]:
    """Return an untrained SegNet and its card."""
    made = card(tuple(inputs))
    return SegNet(len(made.inputs), classes=len(made.fields), width=width), made
