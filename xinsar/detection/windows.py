"""Where windows lie: whole numbers only.

Cores tile an absolute lattice that begins at the cube's first pixel, or where ``lattice_origin`` says if the cube is
part of a larger one. A window is its core and the halo around it; at the edges of the image it reaches beyond and is
padded, never shifted. Windows go in groups of a fixed number of cores on the same lattice, whatever the chunks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isqrt
from typing import Any, NamedTuple

from xinsar.mapping.windows import Box

LEAST = 768
"""Pixels that a group of windows spans at least, so that there are not more tasks than is worth it."""


class Window(NamedTuple):
    """One window: what it is fed with, what it owns, and its number on the lattice of the cube."""

    read: Box
    """May reach beyond the image."""
    core: Box
    """The part of the image that only this window answers for."""
    number: int


@dataclass(frozen=True)
class Lattice:
    """The windows of one image.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    window
        Rows and columns of a window.
    overlap
        Pixels that neighbouring windows share, an even number; a core is the window less half of it on every side.
    origin
        Row and column, on the lattice, of the image's first pixel.
    """

    shape: tuple[int, int]
    window: tuple[int, int]
    overlap: int
    origin: tuple[int, int] = (0, 0)

    @property
    def core(self) -> tuple[int, int]:
        """Rows and columns of a core: the step of the lattice."""
        return self.window[0] - self.overlap, self.window[1] - self.overlap

    @property
    def halo(self) -> int:
        """Pixels that a window reads beyond its core."""
        return self.overlap // 2

    @property
    def image(self) -> Box:
        """All pixels."""
        return Box(0, self.shape[0], 0, self.shape[1])

    def edges(self, axis: int, cores: int = 1) -> list[int]:
        """Return where groups of ``cores`` cores begin and end along rows (0) or columns (1), from 0 to the size."""
        step, size = self.core[axis] * cores, self.shape[axis]
        first = step - self.origin[axis] % step
        return [0, *range(first, size, step), size] if size else [0]

    def count(self) -> int:
        """Return the number of windows."""
        return (len(self.edges(0)) - 1) * (len(self.edges(1)) - 1)

    def plan(self, within: Box | None = None) -> list[Window]:
        """Return all windows, or those that own pixels of ``within``, by row, then column."""
        box = self.image if within is None else within.within(self.image)
        if 0 in box.shape:
            return []
        ends = ((box.top, box.bottom), (box.left, box.right))
        rows, columns = (self._cells(a, *ends[a]) for a in (0, 1))
        return [self._window(i, j) for i in rows for j in columns]

    def _cells(self, axis: int, start: int, stop: int) -> range:
        """Return the numbers of the cores that hold the pixels start..stop."""
        step, first = self.core[axis], self.origin[axis]
        return range(floor((start + first) / step), ceil((stop + first) / step))

    def _window(self, i: int, j: int) -> Window:
        (height, width), (row, column) = self.core, self.origin
        top, left = i * height - row, j * width - column
        core = Box(top, top + height, left, left + width)
        across = ceil((self.shape[1] + column) / width)
        return Window(core.widened(self.halo), core.within(self.image), i * across + j)


def group(core: Sequence[int], batch: int) -> tuple[int, int]:
    """Return how many cores a group has down and across: whole batches, and not less than it is worth.

    It depends on the model and the size of its batches alone.
    """
    down = next(n for n in range(isqrt(batch), 0, -1) if batch % n == 0)
    across = batch // down
    return down * ceil(LEAST / (down * core[0])), across * ceil(LEAST / (across * core[1]))


def origin_of(attrs: Any) -> tuple[int, int]:
    """Return the attribute ``lattice_origin``: row and column of the cube's first pixel on the lattice."""
    value = attrs.get("lattice_origin", (0, 0))
    try:
        row, column = (int(v) for v in value)
        whole = [row, column] == [float(v) for v in value]
    except (TypeError, ValueError):
        whole = False
    if not whole or min(row, column) < 0:
        raise ValueError(
            f"lattice_origin: expected row and column of the first pixel in the larger cube, two whole numbers from 0, "
            f"got {value!r}"
        )
    return row, column
