"""U-Net (Ronneberger et al. 2015) as Liang et al. (2023) use it: a stack of feature maps in, one score out.

Five levels of two 3 x 3 convolutions, maxima of 2 x 2 on the way down, transposed convolutions on the way up, each
level joined with its counterpart. Sizes must be multiples of 16. With 5 channels and 64 to 1024 filters it has
31,038,785 parameters (31,032,897 without batch normalisation).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from xinsar.models.blocks import several
from xinsar.models.card import ModelCard
from xinsar.models.features import LIANG, feature_card


class UNet(nn.Module):
    """The network; the result are logits (batch, class, y, x).

    Parameters
    ----------
    channels
        Number of feature maps.
    classes
        Number of scores.
    width
        Filters of the first level; each further one has twice as many.
    levels
        Number of levels.
    norm
        Whether each convolution is followed by batch normalisation.
    """

    def __init__(
        self, channels: int, *, classes: int = 1, width: int = 64, levels: int = 5, norm: bool = True
    ) -> None:
        super().__init__()
        widths = [width * 2**k for k in range(levels)]
        before = [channels, *widths[:-1]]
        self.down = nn.ModuleList(several(a, b, 2, norm=norm) for a, b in zip(before, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        self.widen = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.up = nn.ModuleList(several(2 * w, w, 2, norm=norm) for w in widths[-2::-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return logits of feature maps (batch, channel, y, x)."""
        beside = []
        for level, convolve in enumerate(self.down):
            maps = convolve(maps if level == 0 else self.pool(maps))
            beside.append(maps)
        for widen, convolve, other in zip(self.widen, self.up, beside[-2::-1], strict=True):
            maps = convolve(torch.cat([other, widen(maps)], dim=1))
        out: torch.Tensor = self.head(maps)
        return out


def card(inputs: tuple[str, ...] = LIANG, **changes: Any) -> ModelCard:
    """Return the card of a U-Net on feature maps of these names."""
    return feature_card("unet", inputs, multiple=16, radius=107, **changes)


def build(
    inputs: tuple[str, ...] = LIANG, *, width: int = 64, norm: bool = True
) -> tuple[nn.Module, ModelCard]:
    """Return an untrained U-Net and its card."""
    made = card(tuple(inputs))
    return UNet(len(made.inputs), classes=len(made.fields), width=width, norm=norm), made
