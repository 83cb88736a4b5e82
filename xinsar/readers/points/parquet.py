"""Tables in Parquet files, with a geometry (GeoParquet 1.0 and 1.1) or without; needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.extras import need
from xinsar.readers.points.tables import GEOMETRY, Block, Columns, evenly
from xinsar.readers.points.vector import column, coordinates

SUFFIXES = (".parquet", ".geoparquet", ".pq")
_SAMPLE = 30
_BATCH = 2**16
_UNSTATED = "OGC:CRS84"
"""CRS of a GeoParquet geometry that names none."""


@dataclass(frozen=True)
class ParquetTable:
    """The rows of a Parquet file; ``geometry`` names the column of points in well-known binary, if there is one."""

    path: Path
    columns: tuple[str, ...]
    texts: frozenset[str]
    crs: str | None
    geometry: str | None
    groups: tuple[int, ...]
    sample: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, compare=False)

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Path, time of change and size."""
        status = self.path.stat()
        return str(self.path), status.st_mtime_ns, status.st_size

    def light(self, texts: frozenset[str]) -> ParquetTable:
        """Return the table without its sample; ``texts`` are read as texts."""
        return replace(self, sample={}, texts=texts)

    def blocks(self, rows: int | None, *, size: int) -> tuple[Block, ...]:  # noqa: ARG002
        """Return blocks of ``rows`` points, by default the row groups of the file."""
        if rows is not None:
            return evenly(sum(self.groups), rows)
        ends = np.cumsum((0, *self.groups)).tolist()
        return tuple(Block(first, count) for first, count in zip(ends, self.groups, strict=False) if count)

    def read(self, block: Block, columns: Sequence[str]) -> Columns:
        """Return columns of one block, from the row groups it touches."""
        placed = self.geometry is not None and any(name in GEOMETRY for name in columns)
        stored = [name for name in columns if name not in GEOMETRY] + ([self.geometry] if placed else [])
        found = self._slices(block, [str(name) for name in stored])
        out = {
            name: column(values, name, self.path, text=name in self.texts)
            for name, values in found.items()
            if name != self.geometry
        }
        out |= coordinates(found[str(self.geometry)], self.path) if placed else {}
        return {name: out[name] for name in columns}

    def _slices(self, block: Block, names: Sequence[str]) -> Columns:
        """Return the rows of a block; batch by batch, so that a large row group is never whole in memory."""
        ends = np.cumsum((0, *self.groups))
        touched = [
            k for k, end in enumerate(ends[1:]) if end > block.first and ends[k] < block.first + block.rows
        ]
        position = int(ends[touched[0]]) if touched else 0
        pieces: dict[str, list[Any]] = {name: [] for name in names}
        with _opened(self.path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, row_groups=touched, columns=list(names)):
                low, high = block.first - position, block.first + block.rows - position
                position += batch.num_rows
                if high <= 0:
                    break
                for name in names if position > block.first else ():
                    part = batch.column(name).slice(max(low, 0), min(high, batch.num_rows) - max(low, 0))
                    pieces[name].append(part.to_numpy(zero_copy_only=False))
        return {
            name: np.concatenate(parts) if parts else np.empty(0, object) for name, parts in pieces.items()
        }

    def reads(self, blocks: Sequence[Block], columns: Sequence[str]) -> Iterator[Callable[[], Columns]]:
        """Yield the reading of each block."""
        for block in blocks:
            yield partial(self.read, block, columns)


def parquet_tables(path: Path) -> list[ParquetTable]:
    """Return the table in a Parquet file; ValueError where its geometry is none of points."""
    types = need("pyarrow", purpose=f"reading {path.name}").types
    with _opened(path) as file:
        meta, schema = file.metadata, file.schema_arrow
    geometry, crs, solid = _geometry(path, (schema.metadata or {}).get(b"geo"))
    numbers = [f.name for f in schema if _is_number(types, f.type)]
    texts = [f.name for f in schema if _is_text(types, f.type)]
    names = [name for name in schema.names if name in (*numbers, *texts)]
    shape = () if geometry is None else GEOMETRY if solid else GEOMETRY[:2]
    groups = tuple(meta.row_group(k).num_rows for k in range(meta.num_row_groups))
    table = ParquetTable(path, (*shape, *names), frozenset(texts), crs, geometry, groups)
    first = table.read(Block(0, min(_SAMPLE, sum(groups))), table.columns)
    return [replace(table, sample={name: tuple(values.tolist()) for name, values in first.items()})]


def _opened(path: Path) -> Any:
    pyarrow = need("pyarrow", purpose=f"reading {path.name}")
    parquet = need("pyarrow.parquet", purpose=f"reading {path.name}")
    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise OSError(f"{path}: cannot be read ({error}); it is damaged or truncated") from error


def _is_number(types: Any, kind: Any) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_text(types: Any, kind: Any) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _geometry(path: Path, meta: bytes | None) -> tuple[str | None, str | None, bool]:
    """Return the column of the geometry, its CRS and whether it has heights, from the metadata of GeoParquet."""
    if meta is None:
        return None, None, False
    told = json.loads(meta)
    name = told["primary_column"]
    about = told["columns"][name]
    kinds = about.get("geometry_types", [])
    if about.get("encoding") != "WKB":
        raise ValueError(f"{path}: expected a geometry in WKB, got {about.get('encoding')}; write it as WKB")
    if not set(kinds) <= {"Point", "Point Z"}:
        raise ValueError(
            f"{path}: expected points, got {', '.join(kinds)}; take centroids or sample points first"
        )
    crs = about.get("crs", _UNSTATED)
    return name, json.dumps(crs) if isinstance(crs, dict) else crs, "Point Z" in kinds
