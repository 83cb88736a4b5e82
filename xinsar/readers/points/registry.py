"""Every product of points, and what was recognised among files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xinsar.readers.discover import is_side_file
from xinsar.readers.messages import spell_files
from xinsar.readers.points import parquet, text, vector
from xinsar.readers.points.layout import Layout, Reader, UnlikeError
from xinsar.readers.points.tables import Table

_ASIDE = (
    ".tif", ".tiff", ".nc", ".h5", ".sbn", ".sbx", ".qix", ".qmd", ".qpj", ".qgz", ".qgs", ".gpkg-wal", ".gpkg-shm",
)  # fmt: skip
_NOTES = (".txt", ".dat", ".asc", ".geojson")
"""Suffixes of tables that are more often something else: where they are none, they are passed over in silence."""


@dataclass(frozen=True)
class Recognised:
    """What was found among files: layouts of one product, and tables nobody knows."""

    layouts: tuple[Layout, ...]
    unknown: tuple[Path, ...]


@cache
def readers() -> dict[str, Reader]:
    """Return every reader by name."""
    from xinsar.readers.points import depsi, egms, plain, squeesar, stamps

    every = (*egms.READERS, stamps.READER, depsi.READER, squeesar.READER, plain.PS_TABLE, plain.READER)
    return {reader.name: reader for reader in every}


def chosen(product: str) -> list[Reader]:
    """Return the readers to ask: all for ``"auto"``, else the one named; ValueError for an unknown name."""
    known = readers()
    if product == "auto":
        return list(known.values())
    if product not in known:
        raise ValueError(f"product: expected 'auto' or one of {', '.join(sorted(known))}; got {product!r}")
    return [known[product]]


def recognise(files: Sequence[Path], product: str, *, pointed_at: Collection[Path] = ()) -> Recognised:
    """Return the one product among ``files``; ValueError where there is none, or two.

    Files in ``pointed_at`` were named one by one: where one of them cannot be used, that is an error.
    """
    asked = chosen(product)
    files = _unpacked(files)
    able = [path for path in files if suffix(path) in _SUFFIXES]
    layouts: list[Layout] = []
    refused: list[ValueError] = []
    for path in able:
        try:
            found = tables(path)
        except ValueError as error:
            if path in pointed_at:
                raise
            refused.append(error)
        else:
            layouts += _layouts(found, asked, named=product != "auto", must=path in pointed_at)
    layouts = _without_fallbacks(layouts)
    if not layouts:
        raise refused[0] if refused else ValueError(_nothing(able, files, asked, product))
    if len({x.product for x in layouts}) > 1:
        raise ValueError(_several(layouts))
    used = {_file_of(x.table) for x in layouts}
    return Recognised(tuple(layouts), tuple(p for p in files if p not in used and not _silent(p)))


def _layouts(found: Sequence[Table], asked: Sequence[Reader], *, named: bool, must: bool) -> list[Layout]:
    """Return the layouts of the tables of one file; a file that must be one of points complains where it is not."""
    known = []
    for table in found:
        try:
            layout = _layout(table, asked, named=named)
        except UnlikeError:
            if must:
                raise
            continue
        known += [layout] if layout is not None else []
    if must and not known:
        raise ValueError(
            _nothing([_file_of(t) for t in found[:1]], [_file_of(t) for t in found], asked, "auto")
        )
    return known


def tables(path: Path) -> Sequence[Table]:
    """Return the tables in a file."""
    if suffix(path) in vector.SUFFIXES:
        return vector.vector_tables(path)
    if suffix(path) in parquet.SUFFIXES:
        return parquet.parquet_tables(path)
    if path.suffix.lower() == ".zip" and text.members(path, vector.SUFFIXES):
        return vector.vector_tables(path)
    return text.text_tables(path)


def suffix(path: Path) -> str:
    """Return the suffix in lower case, without the ``.gz`` of a packed file.

    >>> suffix(Path("points.CSV.gz"))
    '.csv'
    """
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return bare.suffix.lower()


_SUFFIXES = (*text.SUFFIXES, ".zip", *vector.SUFFIXES, *parquet.SUFFIXES)


def _layout(table: Table, asked: Sequence[Reader], *, named: bool) -> Layout | None:
    """Return the layout of the first reader that knows a table; those that take anything come last."""
    for reader in asked:
        layout = reader.recognise(table, named=named)
        if layout is not None:
            return layout
    return None


def _without_fallbacks(layouts: Sequence[Layout]) -> list[Layout]:
    """Return the layouts of known products; those of plain tables only where there is none."""
    known = [x for x in layouts if not readers()[x.product].fallback]
    return known or list(layouts)


def _unpacked(files: Sequence[Path]) -> list[Path]:
    """Return the files without archives that lie beside what they hold."""
    there = {path.stem.lower() for path in files if path.suffix.lower() in text.SUFFIXES}
    return [p for p in files if not (p.suffix.lower() == ".zip" and p.stem.lower() in there)]


def _file_of(table: Table) -> Path:
    return getattr(table, "file", table.path)


def _silent(path: Path) -> bool:
    """Tell whether a file nobody read goes without saying: it belongs to another, or is no table."""
    own = suffix(path)
    if own in _SUFFIXES and own not in _NOTES:
        return False
    return is_side_file(path) or own in _ASIDE or own in _NOTES


def _nothing(able: Sequence[Path], files: Sequence[Path], asked: Sequence[Reader], product: str) -> str:
    looked = "; ".join(f"{reader.title}: {reader.looks_for}" for reader in asked)
    held = ""
    if able:
        first = tables(able[0])
        held = f"; {able[0].name} holds {', '.join(first[0].columns[:40])}" if first else ""
    return (
        f"source: no {'points' if product == 'auto' else product} among {len(files)} files "
        f"({spell_files(able or files)}){held}; looked for {looked}"
    )


def _several(found: Sequence[Layout]) -> str:
    by_name: dict[str, list[Path]] = {}
    for layout in found:
        by_name.setdefault(layout.product, []).append(layout.table.path)
    each = "; ".join(f"product={name!r}: {spell_files(paths, limit=2)}" for name, paths in by_name.items())
    return f"source: expected one product, got {len(by_name)} ({each}); choose one with product="
