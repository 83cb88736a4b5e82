"""Tables in text files (CSV and its relatives), plain, zipped or gzipped."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from xinsar.readers.points.dialect import MISSING, Dialect, cells, decoded, dialect
from xinsar.readers.points.scan import scan
from xinsar.readers.points.tables import Block, Columns

HEAD = 2**18
"""Bytes from which a file is recognised."""

SUFFIXES = (".csv", ".txt", ".tsv", ".dat", ".asc")


@dataclass(frozen=True)
class TextTable:
    """A text file with one point per line; ``member`` names the one meant in a zip file."""

    file: Path
    member: str | None
    dialect: Dialect
    texts: frozenset[str]
    size: int

    @property
    def path(self) -> Path:
        """The file, or the member below the zip file."""
        return self.file / self.member if self.member else self.file

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Path, time of change and size."""
        status = self.file.stat()
        return str(self.path), status.st_mtime_ns, status.st_size

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the order of the file."""
        return self.dialect.columns

    @property
    def crs(self) -> str | None:
        """A text file names none."""
        return None

    @property
    def packed(self) -> bool:
        """Whether the bytes are compressed, so that no block can be reached without those before it."""
        return self.member is not None or self.file.suffix.lower() == ".gz"

    @property
    def sample(self) -> Mapping[str, tuple[Any, ...]]:
        """Cells of the first rows, decimal commas turned into points."""
        rows = self.dialect.rows
        comma = self.dialect.decimal == ","
        return {
            name: tuple(row[k].replace(",", ".") if comma else row[k] for row in rows if k < len(row))
            for k, name in enumerate(self.columns)
        }

    def light(self, texts: frozenset[str]) -> TextTable:
        """Return the table without its sample; ``texts`` are read as texts."""
        return replace(self, dialect=replace(self.dialect, rows=()), texts=texts)

    def blocks(self, rows: int | None, *, size: int) -> tuple[Block, ...]:
        """Pass once over the file and return its blocks; ValueError where its last line is cut off."""
        how = self.dialect
        each = rows or max(int(size / how.width), 1)
        with self._opened(how.start) as stream:
            found, seen = scan(stream, start=how.start, line=how.line, each=each)
        if found:
            self._check_line(decoded(seen.tail.split(b"\n")[0]).rstrip("\r"), seen.tail_line, last=True)
        return found

    def read(self, block: Block, columns: Sequence[str]) -> Columns:
        """Return columns of one block."""
        if self.packed:
            raise ValueError(
                f"{self.path}: a packed file cannot be read in blocks; unpack it, or open it with chunks=None"
            )
        with self._opened(block.start) as stream:
            return self._parse(stream.read(block.stop - block.start), block, columns)

    def reads(self, blocks: Sequence[Block], columns: Sequence[str]) -> Iterator[Callable[[], Columns]]:
        """Yield the parsing of each block; the file is read from front to back."""
        if not blocks:
            return
        with self._opened(blocks[0].start) as stream:
            for block in blocks:
                yield partial(self._parse, stream.read(block.stop - block.start), block, columns)

    @contextmanager
    def _opened(self, start: int) -> Iterator[BinaryIO]:
        with opened(self.file, self.member) as stream:
            _skip(stream, start)
            yield stream

    def _parse(self, raw: bytes, block: Block, columns: Sequence[str]) -> Columns:
        """Return columns from the bytes of a block; errors name file, line and column."""
        raw = _without_comments(raw) if block.comments else raw
        self._check_shape(raw, block)
        wanted = [self.columns.index(name) for name in columns]
        try:
            frame = self._frame(raw, wanted)
        except ValueError as error:
            wrong = self._wrong_cell(raw, block, columns)
            if wrong is not None:
                raise wrong from error
            frame = self._frame(raw, wanted, skipinitialspace=True)
        if len(frame) != block.rows:
            raise ValueError(
                f"{self.path}: expected {block.rows} points from line {block.line} on, one per line, got {len(frame)}; "
                "it was changed meanwhile, or a cell holds a line break: remove it"
            )
        texts = {name for name in columns if name in self.texts}
        out = {name: frame[k].to_numpy() for name, k in zip(columns, wanted, strict=True)}
        return {name: _texts(values) if name in texts else values for name, values in out.items()}

    def _frame(self, raw: bytes, wanted: Sequence[int], **options: Any) -> Any:
        """Return the columns as pandas reads them; blanks around numbers do no harm, those before nothing do."""
        import pandas as pd

        numbers = [k for k in wanted if self.columns[k] not in self.texts]
        return pd.read_csv(
            io.BytesIO(raw),
            sep=r"\s+" if self.dialect.delimiter == " " else self.dialect.delimiter,
            header=None,
            names=range(len(self.columns)),
            usecols=sorted(wanted),
            dtype={k: np.float64 if k in set(numbers) else object for k in wanted},
            keep_default_na=False,
            na_values={k: list(MISSING) for k in numbers},
            decimal=self.dialect.decimal,
            encoding="utf-8",
            encoding_errors="surrogateescape",
            index_col=False,
            engine="c",
            **options,
        )

    def _check_shape(self, raw: bytes, block: Block) -> None:
        """Raise where a line has more or fewer cells than the header; counting delimiters is enough without quotes."""
        delimiter = self.dialect.delimiter
        if delimiter == " " or raw.count(delimiter.encode()) == block.rows * (len(self.columns) - 1):
            return
        for number, line in _numbered(raw, block.line):
            self._check_line(line, number)

    def _check_line(self, line: str, number: int, *, last: bool = False) -> None:
        came, wanted = len(cells(line, self.dialect.delimiter)), len(self.columns)
        if came == wanted:
            return
        remedy = "the file is truncated: get it again" if last and came < wanted else "correct the line"
        raise ValueError(
            f"{self.path}: expected {wanted} cells as in the header, got {came} in line {number}; {remedy}"
        )

    def _wrong_cell(self, raw: bytes, block: Block, columns: Sequence[str]) -> ValueError | None:
        """Return an error that names the first cell that is no number, None where there is none."""
        for number, line in _numbered(raw, block.line):
            row = cells(line, self.dialect.delimiter)
            for name in columns:
                cell = row[self.columns.index(name)] if len(row) == len(self.columns) else ""
                if name not in self.texts and not _is_number(cell, self.dialect.decimal):
                    return ValueError(
                        f"{self.path}: expected a number in column {name!r}, got {cell!r} in line {number}; correct "
                        "it, or leave the cell empty where the value is missing"
                    )
        return None


def text_tables(path: Path) -> list[TextTable]:
    """Return the tables in a text file: one, or as many as a zip file has members ending in ``.csv`` or the like."""
    if path.suffix.lower() != ".zip":
        return [_table(path, None)]
    return [_table(path, name) for name in members(path, SUFFIXES)]


def members(path: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Return the names in a zip file that end in one of ``suffixes``."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = sorted(packed.namelist())
    except zipfile.BadZipFile as error:
        raise OSError(f"{path}: the zip file is damaged or truncated ({error}); get it again") from error
    return [name for name in names if name.lower().endswith(suffixes) and "__MACOSX" not in name]


def _table(path: Path, member: str | None) -> TextTable:
    with opened(path, member) as stream:
        head = stream.read(HEAD)
        whole = not stream.read(1)
    how = dialect(head, whole=whole, name=str(path / member if member else path))
    _check_names(how.columns, path)
    size = path.stat().st_size
    return TextTable(path, member, how, frozenset(_textual(how)), size)


def later(table: TextTable, columns: Sequence[str]) -> TextTable:
    """Return ``table`` with other names and without its first row of cells, which belongs to the header."""
    with opened(table.file, table.member) as stream:
        _skip(stream, table.dialect.start)
        raw = stream.readline()
    how = replace(
        table.dialect,
        columns=tuple(columns),
        start=table.dialect.start + len(raw),
        line=table.dialect.line + 1,
        rows=table.dialect.rows[1:],
    )
    return replace(table, dialect=how, texts=frozenset(_textual(how)))


@contextmanager
def opened(path: Path, member: str | None) -> Iterator[BinaryIO]:
    """Open a plain, gzipped or zipped file for reading bytes; OSError naming it where it cannot be unpacked."""
    try:
        with _unpacking(path, member) as stream:
            yield stream
    except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise OSError(
            f"{path / member if member else path}: the packed file is damaged, truncated or none ({error}); get it "
            "again, or rename it if it is not packed"
        ) from error


@contextmanager
def _unpacking(path: Path, member: str | None) -> Iterator[BinaryIO]:
    if member is not None:
        with zipfile.ZipFile(path) as packed, packed.open(member) as stream:
            yield cast(BinaryIO, stream)
    elif path.suffix.lower() == ".gz":
        with gzip.open(path) as stream:
            yield cast(BinaryIO, stream)
    else:
        with path.open("rb") as stream:
            yield stream


def _skip(stream: BinaryIO, count: int) -> None:
    stream.seek(count)


def _check_names(columns: Sequence[str], path: Path) -> None:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: expected different names of columns, got {twice[0]!r} twice; rename one")


def _textual(how: Dialect) -> set[str]:
    """Return the columns of which most of the first cells, empty ones aside, are no numbers."""
    out = set()
    for k, name in enumerate(how.columns):
        cells_ = [row[k] for row in how.rows if k < len(row) and row[k] not in MISSING]
        if sum(not _is_number(cell, how.decimal) for cell in cells_) > len(cells_) / 2:
            out.add(name)
    return out


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(",", ".") if decimal == "," else cell)
    except ValueError:
        return cell.strip() in MISSING
    return "_" not in cell


def _without_comments(raw: bytes) -> bytes:
    """Return the lines of a block, comments emptied so that lines keep their numbers."""
    return b"\n".join(b"" if line.startswith((b"#", b"%")) else line for line in raw.split(b"\n"))


def _numbered(raw: bytes, first: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold cells with their numbers."""
    for k, line in enumerate(raw.split(b"\n")):
        text = decoded(line).rstrip("\r")
        if text:
            yield first + k, text


def _texts(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return texts as objects, without outer blanks; bytes that are not UTF-8 are taken as Latin-1."""
    whole = "".join(values.tolist())
    if whole.isascii() and " " not in whole:
        return values
    return np.array([_text(value) for value in values.tolist()], dtype=object)


def _text(value: str) -> str:
    if value.isascii():
        return value.strip()
    return decoded(value.encode("utf-8", "surrogateescape")).strip()
