"""Points that lie together, brought together: answers point by point, or onto the rows of a grid.

Chunks of points come in any order. Each is read once and sent in parts to north-south strips; a strip also gets the
points within a halo of it. Parts go through memory, or through a temporary folder where they are many.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xinsar.mapping.blocks import is_lazy

IN_MEMORY_BYTES = 512 * 2**20
"""Parts of more points than this go through a temporary folder."""
STRIP_PIXELS = 4_000_000
"""Pixels of a target grid that one task fills."""
_QUANTILES = 257


def by_place(
    function: Callable[..., Any],
    x: xr.DataArray,
    y: xr.DataArray,
    values: xr.DataArray,
    *,
    halo: float,
    north: Callable[[Any], Any],
    moments: xr.DataArray,
    dtype: Any = None,
    **options: Any,
) -> xr.DataArray:
    """Answer every point: ``function(x, y, values, moments, own, **options)`` returns (..., own).

    The first ``own`` points are to be answered, the others lie within ``halo`` metres of them. ``north(y)`` gives
    metres northward. ``values`` is (..., point), ``moments`` some of its leading dims and one of its own.
    """
    if not any(is_lazy(a) for a in (x, y, values)):
        numbers = _spread(np.asarray(moments.data), moments, values)
        return values.copy(data=function(x.data, y.data, values.data, numbers, values.shape[-1], **options))
    data = _by_place_dask(function, x, y, values, halo, north, moments, dtype or values.dtype, options)
    return values.copy(data=data)


def onto_grid(
    function: Callable[..., Any],
    x: xr.DataArray,
    y: xr.DataArray,
    values: xr.DataArray,
    *,
    target: xr.DataArray,
    halo: float,
    north: Callable[[Any], Any],
    dtype: Any,
    **options: Any,
) -> xr.DataArray:
    """Bring points onto ``target`` (y, x) by ``function(x, y, values, first, last, **options)``.

    The function returns the rows [first, last), (..., last - first, x). It gets at least the points within ``halo``
    metres of those rows, in their original order; ``x`` and ``y`` are in the CRS of ``target``.
    """
    dims = (*values.dims[:-1], *target.dims)
    coords = {**{d: values[d] for d in values.dims[:-1] if d in values.coords}, **target.coords}
    if not any(is_lazy(a) for a in (x, y, values)):
        data = function(x.data, y.data, values.data, 0, target.sizes["y"], **options)
    else:
        data = _onto_grid_dask(function, x, y, values, target, halo, north, dtype, options)
    return xr.DataArray(data, dims=dims, coords=coords).rename(values.name)


def whole_points(
    function: Callable[..., Any],
    x: xr.DataArray,
    y: xr.DataArray,
    values: xr.DataArray,
    *,
    moments: xr.DataArray,
    dtype: Any = None,
    **options: Any,
) -> xr.DataArray:
    """Map ``function(x, y, values, moments, **options)`` over all points at once, one task; it returns (..., point)."""

    def answer(xs: Any, ys: Any, vs: Any, numbers: Any) -> Any:
        return function(xs, ys, vs, _spread(numbers, moments, values), **options)

    arrays = (x, y, values, moments)
    lazy = any(is_lazy(a) for a in arrays)
    dims = [list(a.dims) for a in arrays]
    result = xr.apply_ufunc(
        answer,
        *((a.drop_vars(list(a.coords)).chunk(-1) if lazy else a.drop_vars(list(a.coords))) for a in arrays),
        input_core_dims=dims,
        output_core_dims=[dims[2]],
        dask="parallelized",
        output_dtypes=[dtype or values.dtype],
    )
    result = result.chunk(values.chunksizes) if is_lazy(values) else result
    return values.copy(data=result.data)


def _spread(numbers: Any, moments: xr.DataArray, values: xr.DataArray) -> Any:
    """Give ``numbers`` an axis of length 1 for every leading dim of ``values`` that ``moments`` lacks."""
    lacking = [i for i, dim in enumerate(values.dims[:-1]) if dim not in moments.dims]
    return np.expand_dims(numbers, tuple(lacking)) if lacking else numbers


class Store:
    """Where parts wait: in memory, or in a temporary folder that goes when the last part has been used."""

    def __init__(self, *, on_disk: bool) -> None:
        self.folder: Path | None = None
        if on_disk and not _on_a_cluster():
            import dask

            self.folder = Path(
                tempfile.mkdtemp(prefix="xinsar-", dir=dask.config.get("temporary-directory", None))
            )
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def keep(self, name: str, parts: list[dict[str, Any]]) -> Any:
        """Keep a list of parts; return what :meth:`part` needs to give one back."""
        if self.folder is None:
            return parts
        path = self.folder / name
        places = []
        with path.open("wb") as file:
            for part in parts:
                places.append({key: _write(file, array) for key, array in part.items()})
        return path, places

    def part(self, kept: Any, index: int, *keys: str) -> list[Any]:
        """Return the arrays ``keys`` of one part of a list."""
        if isinstance(kept, list):
            return [kept[index][key] for key in keys]
        path, places = kept
        with path.open("rb") as file:
            return [_read(file, *places[index][key]) for key in keys]


def _write(file: Any, array: Any) -> tuple[int, str, tuple[int, ...]]:
    place = file.tell()
    file.write(np.ascontiguousarray(array).tobytes())
    return place, array.dtype.str, array.shape


def _read(file: Any, place: int, dtype: str, shape: tuple[int, ...]) -> Any:
    file.seek(place)
    count = int(np.prod(shape))
    return np.frombuffer(file.read(count * np.dtype(dtype).itemsize), dtype).reshape(shape)


def _on_a_cluster() -> bool:
    """Tell whether this task runs on a worker that may not share a disk with the others."""
    try:
        from distributed import get_worker

        get_worker()
    except (ImportError, ValueError):
        return False
    return True


def _chunked(x: Any, y: Any, values: Any) -> tuple[Any, Any, Any]:
    """Return all three as Dask arrays with the same chunks of points, and no others."""
    import dask.array as da

    first = next(a for a in (values, x, y) if is_lazy(a))
    points = first.data.chunks[-1]
    out = []
    for array in (x, y, values):
        chunks = (*((n,) for n in array.shape[:-1]), points)
        out.append(array.data.rechunk(chunks) if is_lazy(array) else da.from_array(array.data, chunks=chunks))
    return out[0], out[1], out[2]


def _blocks(array: Any) -> list[Any]:
    """Return the keys of the chunks of points of an array whose other dims are whole."""
    lead = (0,) * (array.ndim - 1)
    return [(array.name, *lead, i) for i in range(array.numblocks[-1])]


def _layers(graph: dict[Any, Any], name: str, *arrays: Any) -> Any:
    from dask.highlevelgraph import HighLevelGraph

    return HighLevelGraph.from_collections(name, graph, dependencies=arrays)


def _bytes(values: Any) -> int:
    lead = int(np.prod(values.shape[:-1]))
    return int(values.shape[-1] * (16 + 2 * lead * values.dtype.itemsize))


def _by_place_dask(
    function: Any,
    x: Any,
    y: Any,
    values: Any,
    halo: float,
    north: Any,
    moments: xr.DataArray,
    dtype: Any,
    options: Any,
) -> Any:
    import dask.array as da
    from dask.base import tokenize

    xs, ys, vs = _chunked(x, y, values)
    numbers = moments.data if is_lazy(moments) else da.from_array(np.asarray(moments.data), chunks=-1)
    numbers = numbers.rechunk(-1)
    name = "by-place-" + tokenize(function, xs, ys, vs, halo, numbers, sorted(options.items()))
    lacking = tuple(i for i, dim in enumerate(values.dims[:-1]) if dim not in moments.dims)
    chunks = range(xs.numblocks[0])
    lead = vs.shape[:-1]
    plan = f"{name}-plan"
    looks, sends, answers = ([(f"{name}-{step}", i) for i in chunks] for step in ("look", "send", "answer"))
    moment = (numbers.name, *(0,) * numbers.ndim)
    graph: dict[Any, Any] = {plan: (_plan, looks, _bytes(vs) > IN_MEMORY_BYTES)}
    for i, (bx, by, bv) in enumerate(zip(_blocks(xs), _blocks(ys), _blocks(vs), strict=True)):
        shape = (*lead, vs.chunks[-1][i])
        graph[looks[i]] = (_look, by, north)
        graph[sends[i]] = (_send, plan, i, bx, by, bv, halo, north)
        graph[answers[i]] = (_answer, plan, i, sends, moment, lacking, function, dtype, options)
        graph[(name, *(0,) * len(lead), i)] = (_bring_back, plan, i, answers, sends[i], shape, dtype)
    whole = da.Array(
        _layers(graph, name, xs, ys, vs, numbers), name, (*((n,) for n in lead), vs.chunks[-1]), dtype=dtype
    )
    return whole.rechunk(values.data.chunks) if is_lazy(values) else whole


def _look(y: Any, north: Any) -> Any:
    """Return the number of points of a chunk and some quantiles of their place."""
    place = north(np.asarray(y))
    place = np.sort(place[np.isfinite(place)])
    steps = np.linspace(0, max(place.size - 1, 0), min(_QUANTILES, place.size)).astype(int)
    return place.size, place[steps]


def _plan(looks: list[Any], on_disk: bool) -> tuple[Any, Store]:  # noqa: FBT001 (a task)
    """Return the borders of as many strips as there are chunks, with about as many points in each, and the store."""
    places = np.concatenate([places for _, places in looks])
    weights = np.concatenate([np.full(places.size, count / max(places.size, 1)) for count, places in looks])
    order = np.argsort(places, kind="stable")
    total = np.cumsum(weights[order])
    shares = np.arange(1, len(looks)) / len(looks) * (total[-1] if total.size else 0)
    inner = places[order][np.searchsorted(total, shares)] if total.size else np.zeros(len(looks) - 1)
    return np.concatenate([[-np.inf], inner, [np.inf]]), Store(on_disk=on_disk)


def _send(plan: Any, i: int, x: Any, y: Any, values: Any, halo: float, north: Any) -> Any:
    """Cut a chunk of points into its parts for every strip."""
    borders, store = plan
    x, y, values = np.asarray(x), np.asarray(y), np.asarray(values)
    place = north(y)
    margin = halo * (1 + 1e-9) + 1e-6
    parts = []
    for low, high in itertools.pairwise(borders):
        own = np.flatnonzero((place >= low) & (place < high))
        near = (place >= low - margin) & (place < high + margin)
        near[own] = False
        others = np.flatnonzero(near)
        both = np.concatenate([own, others])
        parts.append({"own": own, "x": x[both], "y": y[both], "values": values[..., both]})
    return store.keep(f"sent-{i}", parts)


def _answer(
    plan: Any,
    t: int,
    sends: list[Any],
    moments: Any,
    lacking: tuple[int, ...],
    function: Any,
    dtype: Any,
    options: Any,
) -> Any:
    """Answer the points of one strip; return the answers apart for every chunk they came from."""
    _, store = plan
    x, y, values, counts = _gather(store, sends, t)
    numbers = np.expand_dims(moments, lacking) if lacking else moments
    answered = function(x, y, values, numbers, sum(counts), **options).astype(dtype, copy=False)
    pieces = np.split(answered, np.cumsum(counts)[:-1], axis=-1)
    return store.keep(f"answered-{t}", [{"answer": piece} for piece in pieces])


def _gather(store: Store, sends: list[Any], t: int) -> tuple[Any, Any, Any, list[int]]:
    """Return x, y, values of the points of a strip, its own points first, and how many of them each chunk sent."""
    parts = [store.part(sent, t, "own", "x", "y", "values") for sent in sends]
    counts = [part[0].size for part in parts]
    x, y, values = (_own_first([part[k] for part in parts], counts) for k in (1, 2, 3))
    return x, y, values, counts


def _own_first(arrays: list[Any], counts: list[int]) -> Any:
    """Join arrays whose first ``counts`` points are their strip's own: all own points first, then the halo."""
    own = [array[..., :count] for array, count in zip(arrays, counts, strict=True)]
    others = [array[..., count:] for array, count in zip(arrays, counts, strict=True)]
    return np.concatenate(own + others, axis=-1)


def _bring_back(plan: Any, i: int, answers: list[Any], sent: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the answers of one chunk of points in its order; NaN for points without a place."""
    store = plan[1]
    out = np.full(shape, np.nan, dtype)
    for t, answer in enumerate(answers):
        (own,) = store.part(sent, t, "own")
        (out[..., own],) = store.part(answer, i, "answer")
    return out


def _onto_grid_dask(
    function: Any, x: Any, y: Any, values: Any, target: Any, halo: float, north: Any, dtype: Any, options: Any
) -> Any:
    import dask.array as da
    from dask.base import tokenize

    xs, ys, vs = _chunked(x, y, values)
    rows = _rows(target)
    reach = _reach(target, rows, halo, north)
    name = "onto-grid-" + tokenize(function, xs, ys, vs, target.shape, reach, sorted(options.items()))
    store = f"{name}-store"
    sends = [(f"{name}-send", i) for i in range(xs.numblocks[0])]
    graph: dict[Any, Any] = {store: (_open_store, _bytes(vs) > IN_MEMORY_BYTES)}
    for i, (bx, by, bv) in enumerate(zip(_blocks(xs), _blocks(ys), _blocks(vs), strict=True)):
        graph[sends[i]] = (_send_to_rows, store, i, bx, by, bv, reach, north)
    first = 0
    for t, number in enumerate(rows):
        place = (*(0,) * (vs.ndim - 1), t, 0)
        graph[(name, *place)] = (_fill, store, t, sends, first, first + number, function, dtype, options)
        first += number
    chunks = (*((n,) for n in vs.shape[:-1]), rows, (target.sizes["x"],))
    return da.Array(_layers(graph, name, xs, ys, vs), name, chunks, dtype=dtype)


def _open_store(on_disk: bool) -> Store:  # noqa: FBT001 (a task)
    return Store(on_disk=on_disk)


def _rows(target: xr.DataArray) -> tuple[int, ...]:
    """Return the numbers of rows of the strips of a grid: its chunks if it has any."""
    if is_lazy(target):
        return tuple(target.chunksizes["y"])
    height, width = target.sizes["y"], max(target.sizes["x"], 1)
    each = max(1, STRIP_PIXELS // width)
    return (each,) * (height // each) + ((height % each,) if height % each else ())


def _reach(target: xr.DataArray, rows: tuple[int, ...], halo: float, north: Any) -> list[tuple[float, float]]:
    """Return how far south and north the points of each strip may lie, metres."""
    place = north(np.asarray(target["y"].values, np.float64))
    margin = halo * (1 + 1e-9) + 1e-6
    ends = np.cumsum((0, *rows))
    pieces = [place[a:b] for a, b in itertools.pairwise(ends)]
    return [(float(piece.min()) - margin, float(piece.max()) + margin) for piece in pieces]


def _send_to_rows(
    store: Store, i: int, x: Any, y: Any, values: Any, reach: list[tuple[float, float]], north: Any
) -> Any:
    """Cut a chunk of points into its parts for every strip of rows."""
    x, y, values = np.asarray(x), np.asarray(y), np.asarray(values)
    place = north(y)
    near = [np.flatnonzero((place >= low) & (place <= high)) for low, high in reach]
    return store.keep(f"sent-{i}", [{"x": x[n], "y": y[n], "values": values[..., n]} for n in near])


def _fill(
    store: Store, t: int, sends: list[Any], first: int, last: int, function: Any, dtype: Any, options: Any
) -> Any:
    """Fill the rows [first, last) from the points that were sent there."""
    parts = [store.part(sent, t, "x", "y", "values") for sent in sends]
    x, y, values = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    del parts
    return function(x, y, values, first, last, **options).astype(dtype, copy=False)
