"""A file of points as rows and named columns, whatever it is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

GEOMETRY = ("geometry x", "geometry y", "geometry z")
"""Names of the columns that stand for the geometry of a vector file."""

Columns = dict[str, np.ndarray[Any, Any]]
"""What reading gives: float64 for numbers (NaN where a cell is empty), objects for texts."""


@dataclass(frozen=True)
class Block:
    """Rows of a table that are read at once.

    Parameters
    ----------
    first, rows
        Number of the first row (from 0) and how many there are.
    start, stop
        Bytes of a text file they lie in.
    line
        Line of a text file where the first one stands (from 1).
    comments
        Whether a text file has comments among its lines.
    """

    first: int
    rows: int
    start: int = 0
    stop: int = 0
    line: int = 0
    comments: bool = False


class Table(Protocol):
    """One file (or one member of a packed one); small, picklable, opening its file only to read."""

    @property
    def path(self) -> Path:
        """The file; for a member of a packed file, its name below that of the file."""

    @property
    def stamp(self) -> tuple[Any, ...]:
        """What changes when the file does."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, those of :data:`GEOMETRY` among them where there is a geometry."""

    @property
    def texts(self) -> frozenset[str]:
        """Those that hold no numbers."""

    @property
    def crs(self) -> str | None:
        """CRS of the geometry, or None."""

    @property
    def sample(self) -> Mapping[str, tuple[Any, ...]]:
        """Cells of the first rows as they are written; None or an empty text where one is empty."""

    def light(self, texts: frozenset[str]) -> Table:
        """Return the table as it goes into tasks: without its sample, only ``texts`` read as texts."""

    def blocks(self, rows: int | None, *, size: int) -> tuple[Block, ...]:
        """Return blocks of ``rows`` points each (None: of about ``size`` bytes, or as the file itself is divided)."""

    def read(self, block: Block, columns: Sequence[str]) -> Columns:
        """Return columns of one block; raises ValueError or OSError naming the file where it is damaged."""

    def reads(self, blocks: Sequence[Block], columns: Sequence[str]) -> Iterator[Callable[[], Columns]]:
        """Yield the reading of each block, from the first to the last, to be done in any thread."""


def evenly(total: int, rows: int) -> tuple[Block, ...]:
    """Return blocks of ``rows`` rows that make up ``total``, the last one shorter.

    >>> [block.rows for block in evenly(5, 2)]
    [2, 2, 1]
    """
    return tuple(Block(first, min(rows, total - first)) for first in range(0, total, rows))


def number(cell: Any) -> float:
    """Return a cell of a sample as a number, NaN where it is empty or none.

    >>> number("4.5"), number(""), number(None)
    (4.5, nan, nan)
    """
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")


def first_number(table: Table, column: str) -> float:
    """Return the first number of a column among the first rows, NaN where there is none."""
    found = (number(cell) for cell in table.sample.get(column, ()))
    return next((value for value in found if np.isfinite(value)), float("nan"))
