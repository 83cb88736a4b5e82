"""Dates, pairs and files spelled for messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xinsar.readers.layers import Pair


def spell(date: np.datetime64) -> str:
    """Return ``date`` as YYYYMMDD."""
    return str(date.astype("datetime64[D]")).replace("-", "")


def spell_pair(pair: Pair) -> str:
    """Return ``pair`` as YYYYMMDD_YYYYMMDD."""
    return f"{spell(pair[0])}_{spell(pair[1])}"


def spell_files(paths: Sequence[Path], *, limit: int = 3) -> str:
    """Return the first file names and how many more there are.

    >>> spell_files([Path("a.tif"), Path("b.tif"), Path("c.tif")], limit=1)
    'a.tif and 2 more'
    """
    names = ", ".join(p.name for p in paths[:limit])
    return f"{names} and {len(paths) - limit} more" if len(paths) > limit else names
