"""Where features lie already: as their windows, so that a scene of any size needs no mask of its own size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Window = tuple[slice, slice]

CELL = 256
"""Side of the cells that windows are found by, pixels."""


class Taken:
    """Pixels where nothing can be put any more.

    Parameters
    ----------
    shape
        Rows and columns of the scene.
    mask
        Pixels that are taken from the beginning; None for none.

    Examples
    --------
    >>> taken = Taken((100, 100))
    >>> taken.add((slice(5, 8), slice(5, 8)), np.eye(3, dtype=bool))
    >>> taken.meets((slice(6, 7), slice(0, 50)), np.ones((1, 50), dtype=bool)), taken.holds([5], [6])
    (True, False)
    """

    def __init__(self, shape: tuple[int, int], mask: Array | None = None) -> None:
        self.shape = shape
        self.cells: dict[tuple[int, int], list[tuple[Window, Array]]] = {}
        if mask is not None and mask.any():
            self.add((slice(0, shape[0]), slice(0, shape[1])), mask)

    def add(self, window: Window, pixels: Array) -> None:
        """Take the ``pixels`` of a window."""
        for cell in _cells(window):
            self.cells.setdefault(cell, []).append((window, pixels))

    def meets(self, window: Window, pixels: Array) -> bool:
        """Return whether any of the ``pixels`` of a window is taken."""
        seen = {
            id(mask): (other, mask) for cell in _cells(window) for other, mask in self.cells.get(cell, [])
        }
        for other, mask in seen.values():
            top, left = (max(a.start, b.start) for a, b in zip(window, other, strict=True))
            bottom, right = (min(a.stop, b.stop) for a, b in zip(window, other, strict=True))
            if top >= bottom or left >= right:
                continue
            own, theirs = (
                m[top - w[0].start : bottom - w[0].start, left - w[1].start : right - w[1].start]
                for w, m in ((window, pixels), (other, mask))
            )
            if (own & theirs).any():
                return True
        return False

    def holds(self, rows: Any, columns: Any) -> bool:
        """Return whether any of single pixels is taken."""
        one = np.ones((1, 1), dtype=bool)
        return any(
            self.meets((slice(r, r + 1), slice(c, c + 1)), one)
            for r, c in zip(np.asarray(rows).tolist(), np.asarray(columns).tolist(), strict=True)
        )


def _cells(window: Window) -> list[tuple[int, int]]:
    rows, columns = (range(w.start // CELL, (w.stop - 1) // CELL + 1) for w in window)
    return [(i, j) for i in rows for j in columns]
