"""Means of square blocks of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel, array_namespace

MIN_SHARE = 0.5
"""Share of the pixels of a block that must be there."""


def _mean(values: Any, factor: int) -> Any:
    """Sum the pixels of all blocks in one order, row by row, whatever the size of the array."""
    xp = array_namespace(values)
    height, width = (n // factor for n in values.shape)
    total = xp.zeros((height, width), np.float64)
    count = xp.zeros((height, width), np.int32)
    for i in range(factor):
        for j in range(factor):
            part = values[i : height * factor : factor, j : width * factor : factor]
            there = xp.isfinite(part)
            total += xp.where(there, part, 0)
            count += there
    enough = count >= MIN_SHARE * factor**2
    return xp.where(enough, total / xp.maximum(count, 1), np.nan).astype(values.dtype)


block_mean = Kernel("block_mean", numpy=_mean, cupy=_mean)
"""Mean of the finite pixels of every block of ``factor`` x ``factor`` pixels (y, x); NaN where fewer than half are."""
