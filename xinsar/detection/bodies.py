"""What was found, as small masks on the map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Body:
    """One object: a mask cut to its extent, and what is known of it."""

    top: int
    """First row of the image that it covers."""
    left: int
    """First column."""
    mask: Array
    """bool (y, x)."""
    score: float
    label: int
    """Index into the classes of the card."""
    seen: int
    """Bit k: the track in slot k saw it."""
    velocity: tuple[float, ...] = ()
    """Mean velocity of each track, m year-1; NaN where it has none."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    @property
    def place(self) -> tuple[Any, ...]:
        """Key that orders bodies by first row, then first column; no two different bodies share it."""
        first = int(self.mask[0].argmax())
        return self.top, self.left, first, self.mask.shape, self.label, self.mask.tobytes()


def in_order(bodies: Iterable[Body]) -> list[Body]:
    """Return bodies by first row, then first column, then shape."""
    return sorted(bodies, key=lambda body: body.place)


def cut(mask: Array, top: int, left: int) -> tuple[int, int, Array]:
    """Return a mask that lies at ``top`` and ``left``, cut to its extent, and where that lies."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return top + int(rows[0]), left + int(columns[0]), np.ascontiguousarray(inner)


def mean(values: Array) -> float:
    """Return the mean of the finite values, added one after the other; NaN without any."""
    there = np.isfinite(values)
    number = int(there.sum())
    return (
        float(np.bincount(np.zeros(number, np.intp), values[there])[0] / number) if number else float("nan")
    )


def majority(seen: Array) -> int:
    """Return the bits that at least half of the pixels have; where none does, those of any."""
    bits = [np.count_nonzero(seen >> k & 1) for k in range(8)]
    found = sum(1 << k for k, count in enumerate(bits) if 2 * count >= seen.size)
    return found or sum(1 << k for k, count in enumerate(bits) if count)
