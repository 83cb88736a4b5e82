"""Levels of significance that are outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import xarray as xr

_SHADES = ("0.55", "0.3", "black")


@dataclass(frozen=True)
class Level:
    """A line around what exceeds ``value`` or falls below ``-value``."""

    value: float
    label: str
    color: str
    width: float


def z_scores_of(confidence: Sequence[float]) -> list[float]:
    """Return the z scores that two-sided levels of confidence, in percent, ask for, ascending."""
    wrong = [level for level in confidence if not 0 < level < 100]
    if wrong or not len(confidence):
        raise ValueError(f"confidence: expected percentages between 0 and 100, got {wrong or 'none'}")
    return [NormalDist().inv_cdf(0.5 + level / 200) for level in sorted(confidence)]


def significance(shown: xr.Dataset, z_levels: Sequence[float]) -> tuple[xr.DataArray, list[Level]]:
    """Return the field to be outlined and at which levels: z scores, or the sign where ``significant`` is given."""
    hot = shown["hot_spot"]
    if "significant" in shown:
        return hot.copy(data=np.sign(hot.values) * shown["significant"].values), [
            Level(0.5, "significant", "black", 1.2)
        ]
    shares = [NormalDist().cdf(z) * 200 - 100 for z in z_levels]
    shades = _SHADES[-len(shares) :] if len(shares) <= len(_SHADES) else _SHADES[-1:] * len(shares)
    widths = np.linspace(0.5, 1.0, len(shares)) if len(shares) > 1 else [1.0]
    rows = zip(z_levels, shares, shades, widths, strict=True)
    return hot, [Level(z, f"{share:.4g} %", shade, float(width)) for z, share, shade, width in rows]
