"""How a text file is written: encoding, delimiter, decimal sign, and where its names and its points stand."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

_DELIMITERS = (",", ";", "\t", "|")
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_COMMA = re.compile(r"[+-]?\d+,\d+$")
_SAMPLE = 30

MISSING = (
    "",
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "-NaN",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "null",
    "NULL",
    "None",
    "--",
)
"""Cells that stand for a missing number."""


@dataclass(frozen=True)
class Dialect:
    """How the lines of a text file are to be read."""

    delimiter: str
    decimal: str
    columns: tuple[str, ...]
    start: int
    line: int
    rows: tuple[tuple[str, ...], ...]
    width: float


def decoded(raw: bytes) -> str:
    r"""Return text written in UTF-8, else in Latin-1.

    >>> decoded(b"H\xc3\xb6he"), decoded(b"H\xf6he")
    ('Höhe', 'Höhe')
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line, without quotes and outer blanks; a blank as delimiter stands for any number.

    >>> cells('"a;b"; 2 ;', ";")
    ['a;b', '2', '']
    """
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def dialect(head: bytes, *, whole: bool, name: str) -> Dialect:
    """Recognise the dialect from the first bytes of a file (``whole``: they are all of it)."""
    _check_text(head, name)
    lines = _lines(head, whole=whole)
    where = next((k for k, (_, _, text) in enumerate(lines) if text and text[0] not in "#%"), None)
    if where is None:
        raise ValueError(f"{name}: expected a line of column names and lines of points, got an empty file")
    number, end, header = lines[where]
    delimiter = _delimiter(header)
    columns = cells(header, delimiter)
    if all(_numeric(cell) for cell in columns):
        columns = _from_comment(lines[:where], delimiter, columns, name)
        end, number = lines[where - 1][1], number - 1
    body = [text for k, _, text in lines if k > number and text and text[0] not in "#%"]
    rows = tuple(tuple(cells(text, delimiter)) for text in body[:_SAMPLE])
    comma = delimiter != "," and any(_COMMA.match(cell) for row in rows for cell in row)
    width = sum(len(text) + 1 for text in body) / len(body) if body else 1.0
    return Dialect(delimiter, "," if comma else ".", tuple(columns), end, number + 1, rows, width)


def _check_text(head: bytes, name: str) -> None:
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            raise ValueError(f"{name}: expected UTF-8 or Latin-1 text, got {encoding}; save it as UTF-8")
    if b"\0" in head:
        raise ValueError(f"{name}: expected text, got binary data; it is damaged or no table of points")
    if b"\r" in head and b"\n" not in head:
        raise ValueError(
            f"{name}: expected lines that end in LF or CRLF, got lone CR; save it with LF line ends"
        )


def _lines(head: bytes, *, whole: bool) -> list[tuple[int, int, str]]:
    """Return (number, byte behind it, text) of each whole line; a byte order mark is left out."""
    out, position = [], 0
    pieces = head.split(b"\n")
    last = len(pieces) - (0 if whole else 1)
    for number, piece in enumerate(pieces[:last], start=1):
        position += len(piece) + 1
        out.append(
            (number, min(position, len(head)), decoded(piece.removeprefix(b"\xef\xbb\xbf")).strip("\r "))
        )
    return out


def _delimiter(header: str) -> str:
    """Return the delimiter that occurs most outside quotes; blanks where none of the usual ones does."""
    bare = re.sub(r'"[^"]*"', "", header)
    best = max(_DELIMITERS, key=bare.count)
    return best if bare.count(best) else " "


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in MISSING
    return True


def _from_comment(
    before: Sequence[tuple[int, int, str]], delimiter: str, cells_: Sequence[str], name: str
) -> list[str]:
    """Return names that stand in the comment right above the first line of numbers."""
    comment = before[-1][2].lstrip("#% ") if before else ""
    names = cells(comment, delimiter) if comment else []
    if len(names) != len(cells_) or all(_numeric(n) for n in names):
        raise ValueError(
            f"{name}: expected a first line with the names of {len(cells_)} columns, got numbers; write one, such as "
            "lon,lat,vel_mm_yr"
        )
    return names
