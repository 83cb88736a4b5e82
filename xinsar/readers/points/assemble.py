"""From layouts to one dataset: files joined along ``point``, columns made variables, at once or block by block."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.readers.messages import spell_files
from xinsar.readers.points import components
from xinsar.readers.points.layout import Field, Layout, columns_of
from xinsar.readers.points.tables import Block, Columns, Table

EAGER_BYTES = 16 * 2**20
"""Bytes of a file read at once where everything is read."""

LAZY_BYTES = 64 * 2**20
"""Bytes of a file behind one chunk."""

_THREADS = 4


@dataclass(frozen=True)
class Slot:
    """How one file fills one variable.

    Parameters
    ----------
    field
        Its field, of another file where ``there`` is False: then values are missing.
    length
        Of the dim in front of ``point``; None without one.
    positions
        Where on that dim the columns of the field belong.
    """

    field: Field
    there: bool
    length: int | None
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Job:
    """One block of a table and the slots that are filled from it."""

    table: Table
    block: Block
    slots: tuple[Slot, ...]


def dataset(layouts: Sequence[Layout], *, rows: int | None, lazy: bool) -> xr.Dataset:
    """Return the dataset of one product: layouts joined along ``point``, components of motion side by side."""
    layouts = [x for x in layouts if any(x.table.sample.values())] or layouts
    _check_joinable(layouts)
    groups: dict[str | None, list[Layout]] = {}
    for layout in sorted(layouts, key=lambda x: (str(x.part), str(x.table.path))):
        groups.setdefault(layout.component, []).append(layout)
    parts = {name: _joined(group, rows, lazy=lazy) for name, group in groups.items()}
    ds = components.together(parts)
    count = len(layouts)
    product = layouts[0].product
    ds.attrs["history"] = f"opened from {count} {product} file{'s' if count > 1 else ''} by open_points"
    return _georeferenced(ds, layouts[0].crs)


# ------------------------------------------------------------------------------------------------ what may be joined


def _check_joinable(layouts: Sequence[Layout]) -> None:
    """Raise ValueError where files do not belong together."""
    _check_one_track(layouts)
    _check_parts(layouts)
    _check_same_crs(layouts)
    _check_samples(layouts)
    if not layouts[0].product.startswith("egms"):
        _check_same_variables(layouts)


def _check_one_track(layouts: Sequence[Layout]) -> None:
    for name in dict.fromkeys(key for layout in layouts for key in layout.track):
        found: dict[str, list[Layout]] = {}
        for layout in layouts:
            found.setdefault(str(layout.track.get(name, "not told")), []).append(layout)
        if len(found) > 1:
            each = "; ".join(f"{value}: {_files(group)}" for value, group in sorted(found.items()))
            raise ValueError(
                f"source: expected files of one {name}, got {len(found)} ({each}); open each by itself (a folder, glob "
                "or list of its files)"
            )


def _files(layouts: Iterable[Layout]) -> str:
    return spell_files([layout.table.path for layout in layouts], limit=2)


def _check_parts(layouts: Sequence[Layout]) -> None:
    """Raise where a burst or tile comes twice, or a tile lacks a component that others have."""
    seen: dict[Any, Layout] = {}
    for layout in layouts:
        if layout.part is not None and layout.part in seen:
            raise ValueError(
                f"source: expected {layout.part[0]} once, got {seen[layout.part].table.path} and {layout.table.path}; "
                "keep one of them"
            )
        seen[layout.part] = layout
    tiles: dict[str | None, set[str]] = {}
    for layout in layouts:
        if layout.component and layout.part:
            tiles.setdefault(layout.component, set()).add(str(layout.part[0]))
    if len(tiles) > 1 and len({frozenset(names) for names in tiles.values()}) > 1:
        odd = set.symmetric_difference(*tiles.values())
        raise ValueError(
            f"source: expected the U and the E file of every tile, got one of them for {', '.join(sorted(odd))}; add "
            "the other, or open one component only"
        )


def _check_same_crs(layouts: Sequence[Layout]) -> None:
    from pyproj import CRS

    first = layouts[0]
    for other in layouts[1:]:
        both = (first.crs, other.crs)
        same = both[0] == both[1] or (
            all(both) and CRS.from_user_input(both[0]) == CRS.from_user_input(both[1])
        )
        if not same:
            raise ValueError(
                f"source: expected files in one CRS, got {_crs_name(first.crs)} in {first.table.path.name} and "
                f"{_crs_name(other.crs)} in {other.table.path.name}; open each by itself, or reproject one"
            )


def _crs_name(crs: str | None) -> str:
    from pyproj import CRS

    return "none" if crs is None else str(CRS.from_user_input(crs).name)


def _check_samples(layouts: Sequence[Layout]) -> None:
    """Raise where two files begin with the same points of the same quantity: one is a copy of the other."""
    seen: dict[Any, Layout] = {}
    for layout in layouts:
        columns = columns_of(layout.fields)[:6]
        key = (layout.component, tuple(tuple(map(str, layout.table.sample.get(c, ()))) for c in columns))
        if any(key[1]) and key in seen:
            raise ValueError(
                f"source: expected every point once, got the same points in {seen[key].table.path} and "
                f"{layout.table.path}; keep one of them"
            )
        seen[key] = layout


def _check_same_variables(layouts: Sequence[Layout]) -> None:
    first = layouts[0]
    for other in layouts[1:]:
        if {f.name for f in other.fields} != {f.name for f in first.fields} or other.dates != first.dates:
            raise ValueError(
                f"source: expected files with the same columns and dates, got {_shape(first)} and {_shape(other)}; "
                "open each by itself"
            )


def _shape(layout: Layout) -> str:
    return f"{layout.table.path.name} ({len(layout.table.columns)} columns, {len(layout.dates)} dates)"


# ------------------------------------------------------------------------------------------------ what is to be read


def _joined(layouts: Sequence[Layout], rows: int | None, *, lazy: bool) -> xr.Dataset:
    """Return the dataset of files of one component, in their order."""
    dates = tuple(sorted({day for layout in layouts for day in layout.dates}))
    fields = _union(layouts)
    size = LAZY_BYTES if lazy else EAGER_BYTES
    jobs = []
    for layout in layouts:
        slots = tuple(_slot(field, layout, dates) for field in fields)
        light = layout.table.light(frozenset(columns_of([f for f in layout.fields if f.dtype[0] in "<o"])))
        jobs += [Job(light, block, slots) for block in layout.table.blocks(rows, size=size)]
    if not jobs:
        raise ValueError(f"source: expected points, got column names only in {_files(layouts)}")
    data = _lazy(jobs) if lazy else _read(jobs)
    return _labelled(fields, data, dates, layouts[0])


def _union(layouts: Sequence[Layout]) -> list[Field]:
    """Return the fields of all layouts, each name once."""
    return list({f.name: f for layout in reversed(layouts) for f in reversed(layout.fields)}.values())[::-1]


def _slot(field: Field, layout: Layout, dates: Sequence[np.datetime64]) -> Slot:
    """Return how ``layout`` fills ``field``."""
    own = next((f for f in layout.fields if f.name == field.name), None)
    if field.dim == "time":
        where = {day: k for k, day in enumerate(dates)}
        return Slot(own or field, own is not None, len(dates), tuple(where[d] for d in layout.dates))
    length = None if field.dim is None else len(field.columns)
    return Slot(own or field, own is not None, length, tuple(range(length or 0)))


def fill(job: Job, columns: Columns, out: Mapping[str, Any]) -> None:
    """Write the variables of a block, made from its columns, into ``out``; displacement from its first date on."""
    for slot in job.slots:
        target = out[slot.field.name]
        if not slot.there:
            target[...] = "" if target.dtype.kind in "OU" else np.nan
        elif slot.length is None:
            target[...] = _converted(columns[str(slot.field.columns[0])], slot.field, job)
        else:
            if len(slot.positions) < slot.length:
                target[...] = np.nan
            origin = None
            for place, name in sorted(zip(slot.positions, map(str, slot.field.columns), strict=True)):
                values = _converted(columns[name], slot.field, job)
                if slot.field.name == schema.DISPLACEMENT.name:
                    origin = values if origin is None else np.where(np.isnan(origin), values, origin)
                    values = values - origin
                target[place] = values


def _converted(values: Any, field: Field, job: Job) -> Any:
    """Return values of one column in the unit and dtype of the variable."""
    kind = np.dtype(field.dtype)
    if kind.kind == "U" and max(map(len, values.tolist()), default=0) * 4 > kind.itemsize:
        raise ValueError(
            f"{job.table.path}: expected ids of at most {kind.itemsize // 4} characters as in the first lines, got "
            f"{max(values.tolist(), key=len)!r}; correct it"
        )
    if kind.kind == "i" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise ValueError(
            f"{job.table.path}: expected whole numbers in the column {field.columns[0]!r} that names the points, as "
            "in the first lines, got others; correct or rename it"
        )
    return values if field.scale == 1.0 else values * field.scale


def made(job: Job) -> dict[str, np.ndarray[Any, Any]]:
    """Read one block and return its variables."""
    out = {s.field.name: np.empty(_shape_of(s, job.block.rows), s.field.dtype) for s in job.slots}
    fill(job, job.table.read(job.block, _wanted(job.slots)), out)
    return out


def _wanted(slots: Sequence[Slot]) -> list[str]:
    return columns_of([slot.field for slot in slots if slot.there])


def _shape_of(slot: Slot, rows: int) -> tuple[int, ...]:
    return (rows,) if slot.length is None else (slot.length, rows)


# ------------------------------------------------------------------------------------------------ at once


def _read(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return whole variables; blocks are parsed by a few threads while the file is read from front to back."""
    ends = list(accumulate(job.block.rows for job in jobs))
    out = {s.field.name: np.empty(_shape_of(s, ends[-1]), s.field.dtype) for s in jobs[0].slots}
    pending: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_THREADS if (os.cpu_count() or 1) >= _THREADS else 2) as pool:
        for job, end, reading in zip(jobs, ends, _readings(jobs), strict=True):
            if len(pending) > _THREADS:
                pending.popleft().result()
            target = {name: array[..., end - job.block.rows : end] for name, array in out.items()}
            pending.append(pool.submit(_into, job, reading, target))
        for waiting in pending:
            waiting.result()
    return out


def _into(job: Job, reading: Callable[[], Columns], target: Mapping[str, Any]) -> None:
    fill(job, reading(), target)


def _readings(jobs: Sequence[Job]) -> Iterable[Callable[[], Columns]]:
    """Yield the reading of every block, file by file."""
    first = 0
    while first < len(jobs):
        table = jobs[first].table
        own = [job for job in jobs[first:] if job.table is table]
        yield from table.reads([job.block for job in own], _wanted(own[0].slots))
        first += len(own)


# ------------------------------------------------------------------------------------------------ block by block


def _lazy(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return dask arrays: a task reads the variables of one group from one block, others pick theirs."""
    import operator

    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    packed = next((job.table for job in jobs if getattr(job.table, "packed", False)), None)
    if packed is not None:
        raise ValueError(
            f"chunks: expected files that are not packed, got {packed.path}; unpack it, or pass chunks=None"
        )
    sizes = tuple(job.block.rows for job in jobs)
    stamps = sorted({job.table.stamp for job in jobs})
    out = {}
    for group in dict.fromkeys(s.field.group for s in jobs[0].slots):
        own = [replace(job, slots=tuple(s for s in job.slots if s.field.group == group)) for job in jobs]
        token = tokenize(stamps, sizes, [job.slots for job in own if job.block.first == 0])
        reads = f"read-points-{group}-{token}"
        tasks = {(reads, k): (made, job) for k, job in enumerate(own)}
        layer = HighLevelGraph.from_collections(reads, tasks)
        for slot in own[0].slots:
            name = f"points-{slot.field.name}-{token}"
            lead = () if slot.length is None else (0,)
            picks = {
                (name, *lead, k): (operator.getitem, (reads, k), slot.field.name) for k in range(len(own))
            }
            graph = HighLevelGraph({**layer.layers, name: picks}, {**layer.dependencies, name: {reads}})
            chunks = (sizes,) if slot.length is None else ((slot.length,), sizes)
            out[slot.field.name] = da.Array(graph, name, chunks, dtype=np.dtype(slot.field.dtype))
    return out


# ------------------------------------------------------------------------------------------------ names and places


def _labelled(
    fields: Sequence[Field], data: Mapping[str, Any], dates: Sequence[np.datetime64], layout: Layout
) -> xr.Dataset:
    variables = {}
    for field in fields:
        dims = ("point",) if field.dim is None else (field.dim, "point")
        variables[field.name] = xr.Variable(dims, data[field.name], dict(field.attrs))
    coords: dict[str, Any] = {f.name: variables.pop(f.name) for f in fields if f.coordinate}
    if any(f.dim == "time" for f in fields):
        coords["time"] = xr.Variable("time", np.array(dates, "datetime64[ns]"))
    if any(f.dim == "component" for f in fields):
        coords["component"] = xr.Variable("component", list(schema.COMPONENTS))
    return xr.Dataset(variables, coords, dict(layout.attrs))


def _georeferenced(ds: xr.Dataset, crs: str | None) -> xr.Dataset:
    """Return ``ds`` with the scalar ``spatial_ref`` where there is a CRS."""
    if crs is None:
        return ds
    import rioxarray  # noqa: F401

    return ds.assign_coords(spatial_ref=xr.Dataset().rio.write_crs(crs).spatial_ref)
