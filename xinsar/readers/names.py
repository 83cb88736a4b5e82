"""Dates as interferogram files carry them in their names."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import numpy as np

from xinsar.readers.layers import Pair

_PAIR = re.compile(r"(?<!\d)(\d{8}|\d{6})[-_](\d{8}|\d{6})(?!\d)")
_FIRST_SHORT_YEAR = 70


def day(text: str) -> np.datetime64 | None:
    """Return the day written as ``YYYYMMDD`` or ``YYMMDD``, or None where ``text`` is no date.

    Two-digit years from 70 on belong to the last century.

    Examples
    --------
    >>> str(day("960423").astype("M8[D]")), day("20181340")
    ('1996-04-23', None)
    """
    try:
        if len(text) == 8:
            found = datetime.strptime(text, "%Y%m%d").date()
        elif len(text) == 6:
            century = 1900 if int(text[:2]) >= _FIRST_SHORT_YEAR else 2000
            found = date(century + int(text[:2]), int(text[2:4]), int(text[4:]))
        else:
            return None
    except ValueError:
        return None
    return np.datetime64(found.isoformat(), "ns")


def pair_in(text: str) -> Pair | None:
    """Return the first two dates joined by ``-`` or ``_`` in ``text``, in the order written, or None.

    Examples
    --------
    >>> first, second = pair_in("diff_filt_130118-130129_4rlks.unw")
    >>> print(first.astype("M8[D]"), second.astype("M8[D]"))
    2013-01-18 2013-01-29
    """
    for match in _PAIR.finditer(text):
        first, second = (day(group) for group in match.groups())
        if first is not None and second is not None and len(match[1]) == len(match[2]):
            return first, second
    return None


def pair_of(path: Path) -> Pair | None:
    """Return the pair in the file's name, else in the nearest of the two folders above it, or None."""
    for text in (path.name, *(folder.name for folder in list(path.parents)[:2])):
        found = pair_in(text)
        if found is not None:
            return found
    return None
