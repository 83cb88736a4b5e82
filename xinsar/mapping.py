"""Everything that knows Dask, chunks and halos. Imports nothing of ours.

``stencil``
    maps a function that looks at neighbours over chunks; results come back in the caller's chunks.
``pointwise``
    maps a function of aligned pixels.
``whole_images``
    maps a function that must see all of an image, one task an image.
``fold_pairs``
    runs a long stack through an accumulator, chunk after chunk, each chunk read once.

Data that is not lazy is handed to the function as it is. The function alone decides what happens at an image edge;
Dask only lends neighbours, so whole and chunked results agree to the last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr


class Fold(Protocol):
    """Accumulates a stack: ``begin``, ``add`` chunk after chunk of pairs, ``finish``; or ``run`` all at once."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs."""

    @property
    def dtypes(self) -> Sequence[str]:
        """Their dtypes."""

    def begin(self, like: Any, height: int, width: int) -> Any:
        """Return the empty state."""

    def add(self, state: Any, phase: Any, coherence: Any, first: int) -> Any:
        """Return the state after more pairs."""

    def finish(self, state: Any) -> tuple[Any, ...]:
        """Return the outputs."""

    def run(self, phase: Any, coherence: Any) -> tuple[Any, ...]:
        """Return the outputs of arrays in memory."""

    def keep(self, kept: Any) -> Any:
        """Return the fold restricted to some of the pairs."""


def is_lazy(array: xr.DataArray) -> bool:
    """Tell whether the data is a Dask array."""
    return array.chunks is not None


def same_grid(*arrays: xr.DataArray | None) -> None:
    """Raise ValueError unless all arrays share dims, shape and coordinates."""
    given = [a for a in arrays if a is not None]
    try:
        xr.align(*given, join="exact", copy=False)
    except ValueError as error:
        names = " and ".join(repr(str(a.name)) for a in given)
        raise ValueError(
            f"{names} lie on different grids ({error}); bring them to one grid first, e.g. with .interp_like()"
        ) from error


def _merge(chunks: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Join neighbouring chunks until each is at least ``least`` long."""
    merged: list[int] = []
    for size in chunks:
        if merged and (merged[-1] < least or size < least):
            merged[-1] += size
        else:
            merged.append(size)
    return tuple(merged)


def _align_chunks(arrays: Sequence[Any], least: int) -> list[Any]:
    """Give all Dask arrays the chunks of the first, none thinner than ``least`` along y and x."""
    first = arrays[0]
    chunks = tuple(_merge(c, least) for c in first.chunks[-2:])
    wanted = (*first.chunks[:-2], *chunks)
    return [None if a is None else a.rechunk(wanted[-a.ndim :]) for a in arrays]


def _as_dask(array: Any, like: Any) -> Any:
    """Return ``array`` as a Dask array chunked as ``like``."""
    import dask.array as da

    if array is None or isinstance(array, da.Array):
        return array
    return da.from_array(array, chunks=like.chunks[-array.ndim :], asarray=False)


def stencil(
    function: Callable[..., Any],
    *arrays: xr.DataArray | None,
    depth: int,
    outputs: int = 1,
    dtype: Any = np.float32,
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Map ``function(*blocks, **options)`` over blocks with ``depth`` neighbours on each side of y and x.

    The function returns ``outputs`` stacked arrays of its first block's shape, (outputs, ..., y, x). The last arrays
    may be None.
    """
    like = arrays[0]
    if like is None:
        raise TypeError("the first array of a stencil cannot be None")
    same_grid(*arrays)
    data = [None if a is None else a.data for a in arrays]
    if not any(a is not None and is_lazy(a) for a in arrays):
        results = function(*data, **options)
        return tuple(like.copy(data=results[i]) for i in range(outputs))
    return tuple(like.copy(data=out) for out in _stencil_dask(function, data, depth, outputs, dtype, options))


def _stencil_dask(
    function: Callable[..., Any],
    data: list[Any],
    depth: int,
    outputs: int,
    dtype: Any,
    options: Mapping[str, Any],
) -> list[Any]:
    import dask.array as da

    lazy = next(d for d in data if isinstance(d, da.Array))
    data = [_as_dask(d, lazy) for d in data]
    caller = data[0].chunks
    given = [d for d in _align_chunks(data, max(depth, 1)) if d is not None]
    places = [i for i, d in enumerate(data) if d is not None]

    ndim = given[0].ndim
    halo = {ndim - 2 + axis: depth if len(given[0].chunks[ndim - 2 + axis]) > 1 else 0 for axis in (0, 1)}
    lent = [
        da.overlap.overlap(g, depth={a - ndim + g.ndim: d for a, d in halo.items()}, boundary="none")
        for g in given
    ]
    together = da.map_blocks(
        _call,
        *lent,
        function=function,
        places=places,
        number=len(data),
        options=dict(options),
        new_axis=0,
        chunks=((outputs,), *lent[0].chunks),
        dtype=dtype,
        meta=_meta(lent[0], dtype, 1),
    )
    trim = {axis + 1: width for axis, width in halo.items()}
    together = da.overlap.trim_internal(together, trim, boundary="none")
    return [together[i].rechunk(caller) for i in range(outputs)]


def _call(
    *blocks: Any, function: Callable[..., Any], places: Sequence[int], number: int, options: Mapping[str, Any]
) -> Any:
    """Hand the blocks to ``function`` in their places, None elsewhere."""
    full: list[Any] = [None] * number
    for place, block in zip(places, blocks, strict=True):
        full[place] = block
    return function(*full, **options)


def _meta(array: Any, dtype: Any, more: int) -> Any:
    """Return an empty array of the kind the tasks will return."""
    return array._meta.reshape((0,) * (array.ndim + more)).astype(dtype)


def pointwise(
    function: Callable[..., Any], *arrays: xr.DataArray, dtype: Any, **options: Any
) -> xr.DataArray:
    """Map ``function(*blocks, **options)`` over aligned pixels; the grids must be the same."""
    same_grid(*arrays)
    places = range(len(arrays))
    result: xr.DataArray = xr.apply_ufunc(
        _call,
        *arrays,
        kwargs={"function": function, "places": places, "number": len(arrays), "options": options},
        dask="parallelized",
        output_dtypes=[dtype],
        join="exact",
        keep_attrs=False,
    )
    return result.assign_coords(arrays[0].coords)


def over_leading(
    function: Callable[..., dict[str, xr.DataArray]], *arrays: xr.DataArray | None, core: int = 3
) -> dict[str, xr.DataArray]:
    """Call ``function`` once per index of the leading dims of ``arrays`` and join the results along them.

    The last ``core`` dims are the function's own; arrays may be None.
    """
    leading = [str(d) for a in arrays if a is not None for d in a.dims[:-core]]
    if not leading:
        return function(*arrays)
    dim = leading[0]
    number = next(a.sizes[dim] for a in arrays if a is not None and dim in a.dims)
    parts = [
        over_leading(
            function, *(a if a is None or dim not in a.dims else a.isel({dim: i}) for a in arrays), core=core
        )
        for i in range(number)
    ]
    return {name: xr.concat([part[name] for part in parts], dim) for name in parts[0]}


def fold_pairs(
    fold: Fold,
    phase: xr.DataArray,
    coherence: xr.DataArray | None,
    *,
    depth: int,
    kept: xr.DataArray | None = None,
) -> dict[str, xr.DataArray]:
    """Fold the first dim of ``phase`` (pair, y, x) away; return the outputs of ``fold`` on (y, x).

    ``depth`` rows and columns are needed before each pixel and one more after it; -1: none at all.
    ``kept`` (pair) restricts the pairs by values that are only known when computed.
    """
    same_grid(phase, coherence)
    like = phase.isel({phase.dims[0]: 0}, drop=True)
    lazy = any(a is not None and is_lazy(a) for a in (phase, coherence))
    if lazy:
        results: Sequence[Any] = _fold_dask(fold, phase, coherence, depth, kept)
    else:
        chosen = fold if kept is None else fold.keep(kept.values)
        results = chosen.run(phase.data, None if coherence is None else coherence.data)
    return {name: like.copy(data=data) for name, data in zip(fold.outputs, results, strict=True)}


def _fold_dask(
    fold: Fold, phase: xr.DataArray, coherence: xr.DataArray | None, depth: int, kept: xr.DataArray | None
) -> list[Any]:
    import dask.array as da

    lazy = phase.data if is_lazy(phase) else coherence.data  # type: ignore[union-attr]
    data = _as_dask(phase.data, lazy), _as_dask(None if coherence is None else coherence.data, lazy)
    caller = data[0].chunks[1:]
    stack, weight = _align_chunks(data, 2 * depth + 2)
    keep = None if kept is None else (kept.data if is_lazy(kept) else np.asarray(kept.data))
    if isinstance(keep, da.Array):
        keep = keep.rechunk(-1)
    graph, name = _fold_graph(fold, stack, weight, depth, keep)
    chunks = stack.chunks[1:]
    together = [_output(graph, name, i, chunks, stack, dtype) for i, dtype in enumerate(fold.dtypes)]
    return [out.rechunk(caller) for out in together]


def _output(graph: Any, name: str, index: int, chunks: Any, like: Any, dtype: str) -> Any:
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    own = f"{name}-{index}"
    picks = {
        (own, i, j): (_pick, (f"{name}-done", i, j), index)
        for i in range(len(chunks[0]))
        for j in range(len(chunks[1]))
    }
    layers = HighLevelGraph.merge(graph, HighLevelGraph({own: picks}, {own: {f"{name}-done"}}))
    return da.Array(layers, own, chunks, dtype=dtype, meta=_meta(like, dtype, -1))


def _pick(results: tuple[Any, ...], index: int) -> Any:
    return results[index]


def _fold_graph(fold: Fold, stack: Any, weight: Any, depth: int, keep: Any) -> tuple[Any, str]:
    """Return the graph of a chained fold.

    Per spatial chunk and chunk of pairs one task adds the chunk to a state and copies the thin borders its neighbours
    need; so every chunk is read once and dropped at once. A state is exact except next to edges that the chunk shares:
    those rows and columns have small states of their own, fed by the borders of both sides. A chunk waits until the
    borders of its previous step have been used, so no chunk runs ahead and no border outlives a few steps.
    """
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = "fold-" + tokenize(
        fold, stack.name, getattr(weight, "name", None), depth, getattr(keep, "name", keep)
    )
    rows, cols = len(stack.chunks[1]), len(stack.chunks[2])
    keep_key = keep if keep is None or isinstance(keep, np.ndarray) else (keep.name, 0)
    tasks: dict[Any, Any] = {}
    for i in range(rows):
        for j in range(cols):
            near = _neighbours(i, j, rows, cols, depth)
            _chain(tasks, name, fold, stack, weight, depth, keep_key, (i, j), near)
    sources = [a for a in (stack, weight, keep) if hasattr(a, "dask")]
    graph = HighLevelGraph.from_collections(f"{name}-done", tasks, dependencies=sources)
    return graph, name


def _neighbours(i: int, j: int, rows: int, cols: int, depth: int) -> list[tuple[int, int] | None]:
    """Return the nine chunks around and at (i, j), None beyond the image or where no neighbour is needed."""
    return [
        (i + di, j + dj)
        if (di == dj == 0) or (depth >= 0 and 0 <= i + di < rows and 0 <= j + dj < cols)
        else None
        for di in (-1, 0, 1)
        for dj in (-1, 0, 1)
    ]


def _chain(
    tasks: dict[Any, Any],
    name: str,
    fold: Fold,
    stack: Any,
    weight: Any,
    depth: int,
    keep: Any,
    place: tuple[int, int],
    near: list[tuple[int, int] | None],
) -> None:
    """Add the tasks of one spatial chunk: per chunk of pairs its state, its borders and what lies next to its edges."""
    pairs = stack.chunks[0]
    starts = np.concatenate([[0], np.cumsum(pairs)]).tolist()
    shape = stack.chunks[1][place[0]], stack.chunks[2][place[1]]
    sides = tuple(near[n] is not None for n in (1, 7, 3, 5))
    bands = None
    for k in range(len(pairs)):
        block = (stack.name, k, *place)
        other = None if weight is None else (weight.name, k, *place)
        before = None if k == 0 else (f"{name}-add", k - 1, *place)
        tasks[f"{name}-add", k, *place] = (
            _add,
            fold,
            before,
            block,
            other,
            starts[k],
            shape,
            depth,
            sides,
            keep,
            bands,
        )
        if any(sides):
            tasks[f"{name}-borders", k, *place] = (_pick, (f"{name}-add", k, *place), 1)
            lent = [None if n is None else (f"{name}-borders", k, *n) for n in near]
            tasks[f"{name}-bands", k, *place] = (_add_bands, fold, bands, lent, starts[k], depth, keep)
            bands = (f"{name}-bands", k, *place)
    tasks[f"{name}-done", *place] = (
        _finish,
        fold,
        (f"{name}-add", len(pairs) - 1, *place),
        bands,
        depth,
        keep,
    )


def _chosen(fold: Fold, keep: Any) -> Any:
    return fold if keep is None else fold.keep(keep)


_TOP, _BOTTOM, _LEFT, _RIGHT = range(4)


def _cut_borders(phase: Any, coherence: Any, depth: int, sides: tuple[bool, ...]) -> list[Any]:
    """Return copies of the top, bottom, left and right borders of a chunk, None where nothing lies beyond."""
    width = 2 * depth + 1
    cuts = (np.s_[:, :width], np.s_[:, -width:], np.s_[..., :width], np.s_[..., -width:])
    return [
        [None if a is None else a[cut].copy() for a in (phase, coherence)] if side else None
        for side, cut in zip(sides, cuts, strict=True)
    ]


def _add(
    fold: Fold,
    before: Any,
    phase: Any,
    coherence: Any,
    first: int,
    shape: tuple[int, int],
    depth: int,
    sides: tuple[bool, ...],
    keep: Any,
    _: Any,
) -> tuple[Any, list[Any]]:
    """Add one chunk of pairs to a state; return it with the chunk's borders."""
    fold = _chosen(fold, keep)
    state = fold.begin(phase, *shape) if before is None else before[0]
    return fold.add(state, phase, coherence, first), _cut_borders(phase, coherence, depth, sides)


def _add_bands(fold: Fold, before: Any, near: list[Any], first: int, depth: int, keep: Any) -> dict[int, Any]:
    """Add one chunk of pairs to the states of the rows and columns next to shared edges."""
    fold = _chosen(fold, keep)
    found = {}
    for side in _shared(near[4], depth):
        phase, coherence = _band(near, depth, side, 0), _band(near, depth, side, 1)
        ahead = depth if near[1 if side in (_LEFT, _RIGHT) else 3] is not None else 0
        state = fold.begin(phase, *phase.shape[1:]) if before is None else before[side][0]
        found[side] = fold.add(state, phase, coherence, first), ahead
    return found


def _shared(own: list[Any], depth: int) -> list[int]:
    """Return the sides whose next rows or columns need a neighbour."""
    sides = [side for side in (_TOP, _BOTTOM, _LEFT, _RIGHT) if own[side] is not None]
    return sides if depth > 0 else [side for side in sides if side in (_BOTTOM, _RIGHT)]


def _finish(fold: Fold, state: Any, bands: Any, depth: int, keep: Any) -> tuple[Any, ...]:
    """Finish one spatial chunk: its own pixels, then those next to an edge it shares."""
    fold = _chosen(fold, keep)
    results = fold.finish(state[0])
    results = tuple(r.copy() for r in results) if bands else results
    for side, (band, ahead) in (bands or {}).items():
        _mend_side(results, fold.finish(band), depth, side, ahead)
    return results


def _mend_side(results: tuple[Any, ...], band: tuple[Any, ...], depth: int, side: int, ahead: int) -> None:
    """Write the rows (columns) next to one shared edge from a band that saw what they need on both sides.

    ``ahead`` rows (columns) of a neighbour lie before this chunk's own along the band.
    """
    number = depth if side in (_TOP, _LEFT) else depth + 1
    height, width = results[0].shape
    for result, source in zip(results, band, strict=True):
        if side in (_TOP, _BOTTOM):
            target = slice(0, depth) if side == _TOP else slice(height - number, height)
            result[target] = source[depth : depth + number, ahead : ahead + width]
        else:
            target = slice(0, depth) if side == _LEFT else slice(width - number, width)
            result[:, target] = source[ahead : ahead + height, depth : depth + number]


def _band(near: Any, depth: int, side: int, index: int) -> Any:
    """Return the band along one shared edge, (pair, y, x), joined from the borders of up to six chunks.

    It holds ``depth`` rows (columns) before the wanted ones and ``depth + 1`` after them, and at its ends the same
    from the neighbours there, if any.
    """
    if near[4][side][index] is None:
        return None
    across: tuple[int, ...]
    along: tuple[int, ...]
    if side in (_TOP, _BOTTOM):
        across, along = (-1, 0) if side == _TOP else (0, 1), (-1, 0, 1)
    else:
        across, along = (-1, 0, 1), (-1, 0) if side == _LEFT else (0, 1)
    rows = [
        _concatenate(
            [_piece(near, depth, side, index, di, dj) for dj in along if near[3 * di + dj + 4]], axis=2
        )
        for di in across
        if near[3 * di + 4]
    ]
    return rows[0] if len(rows) == 1 else _concatenate(rows, axis=1)


def _piece(near: Any, depth: int, side: int, index: int, di: int, dj: int) -> Any:
    """Return what the chunk ``(di, dj)`` away lends to a band."""
    edge = {-1: _BOTTOM, 1: _TOP}.get(di, {-1: _RIGHT, 1: _LEFT}.get(dj, side))
    whole = near[3 * di + dj + 4][edge][index]
    own = 2 * depth + 1
    rows = _lent(whole.shape[1], depth, di, (_TOP, _BOTTOM), side, own)
    cols = _lent(whole.shape[2], depth, dj, (_LEFT, _RIGHT), side, own)
    return whole[:, rows, cols]


def _lent(length: int, depth: int, step: int, sides: tuple[int, int], side: int, own: int) -> slice:
    """Return which indices of a border are lent along one axis."""
    if step == -1:
        return slice(length - depth, length)
    if step == 1:
        return slice(0, depth + 1)
    if side == sides[0]:
        return slice(0, own)
    return slice(length - own, length) if side == sides[1] else slice(None)


def _concatenate(parts: list[Any], axis: int) -> Any:
    cupy = sys.modules.get("cupy")
    module = cupy if cupy is not None and isinstance(parts[0], cupy.ndarray) else np
    return module.concatenate(parts, axis=axis)


def on_lattice(array: xr.DataArray, step: int) -> xr.DataArray:
    """Return ``array`` with chunks that begin at multiples of ``step`` pixels from the image's corner.

    With a ``depth`` that is a multiple of ``step`` too, every block of a :func:`stencil` begins on that lattice, so a
    function that works in patches needs not know where its block lies. Data that is not lazy is returned as it is.
    """
    if not is_lazy(array):
        return array
    chunks = {dim: _snap(array.chunksizes[dim], step) for dim in array.dims[-2:]}
    return array.chunk(chunks)


def _snap(chunks: tuple[int, ...], step: int) -> tuple[int, ...]:
    """Move the inner borders of ``chunks`` to the nearest multiples of ``step``."""
    ends = np.cumsum(chunks)
    inner = {step * round(int(end) / step) for end in ends[:-1]}
    borders = sorted(b for b in inner if 0 < b < ends[-1])
    return tuple(int(n) for n in np.diff([0, *borders, int(ends[-1])]))


def whole_images(
    function: Callable[..., Any], *arrays: xr.DataArray | None, dtype: Any = np.float32, **options: Any
) -> xr.DataArray:
    """Map ``function(*images, **options)`` over whole images, one task for each (y, x) plane of the first array.

    The function gets arrays (..., y, x) and returns one of its first argument's shape; further arrays may have fewer
    leading dims, or be None. The result comes back in the caller's chunks.
    """
    like = arrays[0]
    if like is None:
        raise TypeError("the first array of whole images cannot be None")
    same_grid(*arrays)
    places = [i for i, a in enumerate(arrays) if a is not None]
    plane = list(like.dims[-2:])
    lazy = any(a is not None and is_lazy(a) for a in arrays)
    given = [_by_plane(a, plane) if lazy else a for a in arrays if a is not None]
    result = xr.apply_ufunc(
        _call,
        *given,
        input_core_dims=[plane] * len(given),
        output_core_dims=[plane],
        kwargs={"function": function, "places": places, "number": len(arrays), "options": options},
        dask="parallelized",
        output_dtypes=[dtype],
        join="exact",
    )
    result = result.chunk(like.chunksizes) if is_lazy(like) else result
    return like.copy(data=result.data)


def _by_plane(array: xr.DataArray, plane: Sequence[Hashable]) -> xr.DataArray:
    """Return ``array`` as a Dask array with a chunk for each plane."""
    return array.chunk({dim: -1 if dim in plane else 1 for dim in array.dims})
