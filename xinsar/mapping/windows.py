"""Boxes of a map, read by the tasks that need them: groups of windows, and other grids.

Chunks decide nothing here. Which boxes there are, and what each one reads, is fixed by the caller in pixels of the
whole map; a task gets just those pixels, copied out of the chunks that hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar.mapping.blocks import is_lazy, on_lattice
from xinsar.mapping.halo import concatenate

SMALL = 1024
"""Side, pixels, of the pieces that maps in memory are cut into."""


class Box(NamedTuple):
    """Rows ``top`` to below ``bottom`` and columns ``left`` to below ``right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def widened(self, by: int) -> Box:
        """Return the box with ``by`` more pixels on every side."""
        return Box(self.top - by, self.bottom + by, self.left - by, self.right + by)

    def within(self, other: Box) -> Box:
        """Return the part that lies in ``other``; empty where none does."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Box(
            top, max(top, min(self.bottom, other.bottom)), left, max(left, min(self.right, other.right))
        )

    def inside(self, other: Box) -> tuple[slice, slice]:
        """Return where the box lies in an array that holds ``other``."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )


def boxes(rows: Sequence[int], columns: Sequence[int]) -> Iterator[tuple[tuple[int, int], Box]]:
    """Return place and box of every cell between the edges ``rows`` and ``columns``."""
    for i, (top, bottom) in enumerate(pairwise(rows)):
        for j, (left, right) in enumerate(pairwise(columns)):
            yield (i, j), Box(top, bottom, left, right)


def over_windows(
    function: Callable[..., Any],
    arrays: Sequence[xr.DataArray],
    *,
    rows: Sequence[int],
    columns: Sequence[int],
    halo: int,
    constants: Sequence[xr.DataArray] = (),
    join: Callable[[list[Any]], Any] = list,
    **options: Any,
) -> Any:
    """Return what ``function`` gives for each cell, as a lazy array of one object: a list of rows of cells.

    ``function(blocks, box, read, constants, **options)`` gets the pixels of every array in ``read``, which is the cell
    ``box`` and ``halo`` pixels around it as far as the map goes. ``rows`` and ``columns`` are the edges of the cells in
    pixels, from 0 to the size of the map; ``constants`` are small arrays that are computed first. A row of cells is
    handed to ``join``.

    Rows are collected one after the other, from the top: so the cells are worked on in that order, and no more of the
    map waits in memory than a row or two of chunks.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    graph, name, sources = _cells(function, arrays, rows, columns, halo, constants, {"join": join, **options})
    graph[f"{name}-join"] = _Held(join, {})
    before: Any = None
    for i in range(len(rows) - 1):
        row = [(name, i, j) for j in range(len(columns) - 1)]
        graph[f"{name}-rows", i] = (_collect, before, row, f"{name}-join")
        before = (f"{name}-rows", i)
    graph[f"{name}-all", 0] = (_wrapped, before)
    whole = HighLevelGraph.from_collections(f"{name}-all", graph, dependencies=sources)
    return da.Array(whole, f"{name}-all", ((1,),), meta=np.empty(0, object))


def fields_over_windows(
    function: Callable[..., Any],
    arrays: Sequence[xr.DataArray],
    *,
    rows: Sequence[int],
    columns: Sequence[int],
    halo: int,
    outputs: int,
    constants: Sequence[xr.DataArray] = (),
    dtype: Any = np.float32,
    **options: Any,
) -> Any:
    """Return the ``outputs`` maps that ``function`` gives for each cell, as a lazy array (output, y, x) in those cells.

    As :func:`over_windows`, for a function that returns an array (output, y, x) of its cell.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    graph, name, sources = _cells(function, arrays, rows, columns, halo, constants, options, lead=(0,))
    whole = HighLevelGraph.from_collections(name, graph, dependencies=sources)
    chunks = ((outputs,), *(tuple(map(int, np.diff(edges))) for edges in (rows, columns)))
    return da.Array(whole, name, chunks, meta=np.empty((0, 0, 0), dtype))


def over_boxes(
    function: Callable[..., Any],
    array: xr.DataArray,
    *,
    rows: Sequence[int],
    columns: Sequence[int],
    reads: Mapping[tuple[int, int], Box],
    dtype: Any,
    **options: Any,
) -> Any:
    """Return a lazy map (y, x) whose cells are made from boxes of ``array``, a map of another grid.

    ``function(block, box, read, **options)`` returns the cell ``box`` of the new map from the pixels ``read`` of
    ``array``; ``reads`` names them for each place.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    source = _as_dask(array, SMALL, SMALL)
    name = f"boxes-{tokenize(function, source, rows, columns, reads, options)}"
    graph: dict[Any, Any] = {f"{name}-options": _Held(function, options)}
    for place, box in boxes(rows, columns):
        pieces = _pieces(graph, name, source, reads[place], (0, *place))
        graph[name, *place] = (_called_once, f"{name}-options", pieces, tuple(box), tuple(reads[place]))
    whole = HighLevelGraph.from_collections(name, graph, dependencies=[source])
    chunks = tuple(tuple(map(int, np.diff(edges))) for edges in (rows, columns))
    return da.Array(whole, name, chunks, meta=np.empty((0, 0), dtype))


class _Held:
    """A function and its options: one object in the graph, however many tasks call it."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.function, self.options = function, dict(options)


def _cells(
    function: Callable[..., Any],
    arrays: Sequence[xr.DataArray],
    rows: Sequence[int],
    columns: Sequence[int],
    halo: int,
    constants: Sequence[xr.DataArray],
    options: dict[str, Any],
    lead: tuple[int, ...] = (),
) -> tuple[dict[Any, Any], str, list[Any]]:
    """Return tasks for all cells, the name they begin with, and the Dask arrays they read."""
    from dask.base import tokenize

    sources = [_as_dask(a, _longest(rows), _longest(columns)) for a in arrays]
    first = [_as_dask_vector(c) for c in constants]
    name = f"windows-{tokenize(function, sources, first, tuple(rows), tuple(columns), halo, options)}"
    options.pop("join", None)
    graph: dict[Any, Any] = {f"{name}-options": _Held(function, options)}
    image = Box(0, rows[-1], 0, columns[-1])
    numbers = [(c.name, 0) for c in first]
    for place, box in boxes(rows, columns):
        read = box.widened(halo).within(image)
        blocks = [_pieces(graph, name, s, read, (k, *place)) for k, s in enumerate(sources)]
        graph[(name, *lead, *place)] = (_called, f"{name}-options", blocks, tuple(box), tuple(read), numbers)
    return graph, name, [*sources, *first]


def _longest(edges: Sequence[int]) -> int:
    return int(max(np.diff(edges)))


def _as_dask(array: xr.DataArray, height: int, width: int) -> Any:
    """Return a map as a Dask array; one in memory in pieces of that size."""
    import dask.array as da

    if is_lazy(array):
        return array.data
    return da.from_array(array.data, chunks=(height, width), asarray=False)


def _as_dask_vector(constant: xr.DataArray) -> Any:
    import dask.array as da

    return constant.data if is_lazy(constant) else da.from_array(constant.data, chunks=-1)


def _pieces(
    graph: dict[Any, Any], name: str, source: Any, read: Box, where: tuple[int, ...]
) -> list[list[Any]]:
    """Add the tasks that copy the parts of a box out of the chunks of ``source``; return their keys in rows."""
    down, across = (_parts(c, *ends) for c, ends in zip(source.chunks, (read[:2], read[2:]), strict=True))
    keys = []
    for i, rows in down:
        keys.append([(f"{name}-cut", *where, i, j) for j, _ in across])
        for j, columns in across:
            graph[f"{name}-cut", *where, i, j] = (_cut, (source.name, i, j), rows, columns)
    return keys


def _parts(chunks: Sequence[int], start: int, stop: int) -> list[tuple[int, tuple[int, int]]]:
    """Return the chunks that meet start..stop, and which of their own pixels do."""
    ends = np.cumsum(chunks)
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    found = []
    for k in range(int(first), int(last) + 1):
        begin = int(ends[k]) - chunks[k]
        found.append((k, (max(start - begin, 0), min(stop - begin, chunks[k]))))
    return found


def _cut(block: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    """Return a copy of a part of a chunk, so that the chunk need not wait; a whole chunk as it is."""
    part = block[slice(*rows), slice(*columns)]
    return block if part.shape == block.shape else part.copy()


def _pasted(pieces: list[list[Any]]) -> Any:
    """Return a box from its parts."""
    lines = [row[0] if len(row) == 1 else concatenate(row, 1) for row in pieces]
    return lines[0] if len(lines) == 1 else concatenate(lines, 0)


def _called(held: _Held, blocks: list[Any], box: Any, read: Any, constants: list[Any]) -> Any:
    whole = [_pasted(pieces) for pieces in blocks]
    return held.function(whole, Box(*box), Box(*read), constants, **held.options)


def _collect(before: list[Any] | None, row: list[Any], held: _Held) -> list[Any]:
    """Return the rows before and one more."""
    return [*(before or []), held.function(row)]


def _wrapped(found: list[Any]) -> Any:
    """Return an array of one object."""
    out = np.empty(1, object)
    out[0] = found
    return out


def _called_once(held: _Held, pieces: list[list[Any]], box: Any, read: Any) -> Any:
    return held.function(_pasted(pieces), Box(*box), Box(*read), **held.options)


def coarsened(array: xr.DataArray, factor: int, function: Callable[[Any, int], Any]) -> xr.DataArray:
    """Return a map of blocks of ``factor`` x ``factor`` pixels, made by ``function(block, factor)``; lazy if it is.

    What is left over at the bottom and the right is dropped. Coordinates are the middles of the blocks.
    """
    rows, columns = (array.sizes[d] // factor * factor for d in ("y", "x"))
    kept = array.isel(y=slice(0, rows), x=slice(0, columns))
    coords = {d: kept[d].values.reshape(-1, factor).mean(axis=1) for d in ("y", "x") if d in kept.coords}
    if "spatial_ref" in kept.coords:
        coords["spatial_ref"] = kept["spatial_ref"].drop_vars(
            list(kept["spatial_ref"].coords), errors="ignore"
        )
    if not is_lazy(kept):
        data = function(kept.data, factor)
    else:
        import dask.array as da

        even = on_lattice(kept, factor).data
        chunks = tuple(tuple(n // factor for n in c) for c in even.chunks)
        data = da.map_blocks(function, even, factor, chunks=chunks, dtype=array.dtype, meta=even._meta)
    return xr.DataArray(data, dims=("y", "x"), coords=coords, name=array.name, attrs=array.attrs)
