"""Pieces that several networks share (torch)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


def convolution(
    channels: int,
    filters: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
    bias: bool | None = None,
) -> nn.Sequential:
    """Return a convolution of the same size, batch normalisation where ``norm``, and a rectifier.

    The convolution has a bias where no normalisation follows; ``bias`` says otherwise.
    """
    own = not norm if bias is None else bias
    layers: list[nn.Module] = [nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=own)]
    if norm:
        layers.append(nn.BatchNorm2d(filters))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def several(
    channels: int, filters: int, number: int, *, norm: bool = True, bias: bool | None = None
) -> nn.Sequential:
    """Return ``number`` convolutions of 3 x 3 in a row."""
    widths = [channels, *[filters] * number]
    return nn.Sequential(*(convolution(a, b, norm=norm, bias=bias) for a, b in pairwise(widths)))


class Residual(nn.Module):
    """A convolution of 3 x 3 whose result is added to what it was given.

    Parameters
    ----------
    filters
        Number of channels, before and after.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.change = convolution(filters, filters)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``maps`` with what the convolution adds."""
        changed: torch.Tensor = maps + self.change(maps)
        return changed


def parameters(module: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(p.numel() for p in module.parameters())
