"""What a network is blamed for (torch): each field of the card has its own term, and pixels may count for nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

CENTRE_WEIGHT = 10.0
"""Centres are few: a pixel counts 1 + this times its centre value."""


def loss_of(
    logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, fields: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Return the terms of the loss by name.

    Foreground and classes: binary cross entropy plus one minus the Dice coefficient of the batch. Centre: binary
    cross entropy, centres counting more. Distance: mean absolute difference, inside bodies.

    Parameters
    ----------
    logits, targets
        (batch, field, y, x); targets 0..1.
    weight
        (batch, y, x), 0 where nothing is learnt.
    fields
        Names of the fields.
    """
    terms = {}
    inside = targets[:, 0] if fields[0] == "foreground" else targets.amax(dim=1)
    for k, field in enumerate(fields):
        one, wanted = logits[:, k], targets[:, k]
        if field == "centre":
            terms[field] = _entropy(one, wanted, weight * (1 + CENTRE_WEIGHT * wanted))
        elif field == "distance":
            terms[field] = _mean(l1_loss(one.sigmoid(), wanted, reduction="none"), weight * inside)
        else:
            terms[field] = _entropy(one, wanted, weight)
            terms[f"{field}_dice"] = _dice(one.sigmoid(), wanted, weight)
    return terms


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1.0)


def _entropy(logits: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return _mean(binary_cross_entropy_with_logits(logits, wanted, reduction="none"), weight)


def _dice(found: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    common, both = (found * wanted * weight).sum(), ((found + wanted) * weight).sum()
    return 1 - (2 * common + 1) / (both + 1)
