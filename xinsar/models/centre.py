"""The default network: a small U-Net that tells bodies from the ground, and where each body has its centre.

What a track sees of a body moving down its slope has the sign of the sensitivity, so the network is given the products
of both beside the channels themselves: in them all tracks agree. The first convolution halves the resolution, so most
work is done on a quarter of the pixels; three more levels follow, the middle ones deeper by a residual convolution. The
way up joins each level with its counterpart, and the last convolution holds four values for every pixel of half
resolution, one for each of the four it stands for. Batch normalisation only, whose statistics are fixed: a value
depends on nothing beyond its receptive radius.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from xinsar.models.blocks import Residual, convolution, several
from xinsar.models.card import ModelCard
from xinsar.models.default import SIGNED, default_card

WIDTHS = (32, 64, 112, 176)
DEPTHS = (1, 1, 0)
"""Residual convolutions of the levels below the first."""


class CentreNet(nn.Module):
    """The network; the result are logits (batch, field, y, x).

    Parameters
    ----------
    channels
        Number of input channels.
    fields
        Number of output fields.
    widths
        Filters of the levels, from half to a sixteenth of the resolution.
    depths
        Residual convolutions of the levels below the first.
    products
        Pairs of input channels whose products are looked at as well.
    """

    def __init__(
        self,
        channels: int,
        fields: int = 3,
        *,
        widths: tuple[int, ...] = WIDTHS,
        depths: tuple[int, ...] = DEPTHS,
        products: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        if len(widths) < 2 or len(depths) != len(widths) - 1:
            raise ValueError(
                f"depths: expected one number for each level below the first of widths {widths}, got {depths}"
            )
        first, *deeper = widths
        self.products = [list(side) for side in zip(*products, strict=True)]
        self.stem = nn.Sequential(
            convolution(channels + len(products), first, stride=2), convolution(first, first)
        )
        self.down = nn.ModuleList(
            nn.Sequential(convolution(a, b, stride=2), convolution(b, b), *(Residual(b) for _ in range(n)))
            for a, b, n in zip(widths[:-1], deeper, depths, strict=True)
        )
        self.narrow = nn.ModuleList(
            convolution(b, a, kernel=1) for a, b in reversed(list(zip(widths, deeper, strict=False)))
        )
        self.up = nn.ModuleList(several(2 * a, a, 1) for a in reversed(widths[:-1]))
        self.widen = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(first, 4 * fields, 3, padding=1)
        self.spread = nn.PixelShuffle(2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return logits of input channels (batch, channel, y, x); sides are multiples of 16."""
        if self.products:
            signed, sign = self.products
            maps = torch.cat([maps, maps[:, signed] * maps[:, sign]], dim=1)
        maps = self.stem(maps)
        beside = [maps]
        for convolve in self.down:
            maps = convolve(maps)
            beside.append(maps)
        for narrow, convolve, other in zip(self.narrow, self.up, beside[-2::-1], strict=True):
            maps = convolve(torch.cat([self.widen(narrow(maps)), other], dim=1))
        out: torch.Tensor = self.spread(self.head(maps))
        return out


def products_of(card: ModelCard) -> list[tuple[int, int]]:
    """Return the numbers of the channels that have the sign of a track's motion, each with its sensitivity."""
    place = {(channel.name, channel.track): k for k, channel in enumerate(card.inputs)}
    return [
        (k, place["sensitivity", track])
        for (name, track), k in place.items()
        if name in SIGNED and ("sensitivity", track) in place
    ]


def build(
    *, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS
) -> tuple[nn.Module, ModelCard]:
    """Return the network with fresh weights and its card."""
    card = default_card()
    network = CentreNet(
        len(card.inputs),
        len(card.fields),
        widths=tuple(widths),
        depths=tuple(depths),
        products=products_of(card),
    )
    return network, card
