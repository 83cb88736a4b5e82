"""Least and largest value of a field, whichever way it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xinsar.backend import array_namespace


@dataclass(frozen=True)
class Extremes:
    """Least and largest finite value of a part; parts are joined with ``+``, in any order."""

    least: float = np.inf
    most: float = -np.inf

    def __add__(self, other: Extremes) -> Extremes:
        return Extremes(min(self.least, other.least), max(self.most, other.most))


def extremes(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the extremes of a block (y, x) in an object array with ``axes`` kept at length 1."""
    xp = array_namespace(block)
    there = xp.isfinite(block)
    out = np.empty([1 if a in axes else n for a, n in enumerate(block.shape)], object)
    out.flat[0] = Extremes()
    if bool(there.any()):
        least, most = (xp.where(there, block, fill) for fill in (np.inf, -np.inf))
        out.flat[0] = Extremes(float(least.min()), float(most.max()))
    return out


def as_numbers(whole: Any) -> Any:
    """Return joined extremes as float64 with a last axis of two: least and largest."""
    out = np.empty((*whole.shape, 2))
    for place in np.ndindex(whole.shape):
        out[place] = whole[place].least, whole[place].most
    return out
