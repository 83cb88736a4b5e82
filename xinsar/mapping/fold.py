"""Long stacks, folded chunk after chunk of pairs, each chunk read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from xinsar.mapping.blocks import align_chunks, as_dask, is_lazy, meta, same_grid
from xinsar.mapping.halo import concatenate

GROUP_BYTES = 128 * 2**20
"""What the states of rows of chunks that are folded together may take."""


class Fold(Protocol):
    """Accumulates a stack: ``begin``, ``add`` chunk after chunk of pairs, ``finish``; or ``run`` all at once."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs."""

    @property
    def dtypes(self) -> Sequence[str]:
        """Their dtypes."""

    @property
    def state_bytes(self) -> int:
        """Size of the state per pixel."""

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
    data = as_dask(phase.data, lazy), as_dask(None if coherence is None else coherence.data, lazy)
    caller = data[0].chunks[1:]
    stack, weight = align_chunks(data, 2 * depth + 2)
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
    return da.Array(layers, own, chunks, dtype=dtype, meta=meta(like, dtype, -1))


def _pick(results: tuple[Any, ...], index: int) -> Any:
    return results[index]


def _fold_graph(fold: Fold, stack: Any, weight: Any, depth: int, keep: Any) -> tuple[Any, str]:
    """Return the graph of a chained fold.

    Per spatial chunk and chunk of pairs one task adds the chunk to a state and copies the thin borders its neighbours
    need; so every chunk is read once and dropped at once. A state is exact except next to edges that the chunk shares.
    Pixels next to a shared edge have small states of their own, fed step by step by the borders of both sides: the
    chunks of a group of rows go hand in hand, and their borders live for a step. Between groups the borders of all
    pairs are kept and folded at the end, so that of a large image only one group holds states at a time.
    """
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = "fold-" + tokenize(
        fold, stack.name, getattr(weight, "name", None), depth, getattr(keep, "name", keep)
    )
    keep_key = keep if keep is None or isinstance(keep, np.ndarray) else (keep.name, 0)
    grid = len(stack.chunks[1]), len(stack.chunks[2])
    together = max(1, int(GROUP_BYTES / (max(stack.chunks[1]) * stack.shape[2] * fold.state_bytes)))
    tasks: dict[Any, Any] = {}
    for place in np.ndindex(*grid):
        _chain(tasks, name, fold, stack, weight, depth, keep_key, place, grid, together)
    sources = [a for a in (stack, weight, keep) if hasattr(a, "dask")]
    graph = HighLevelGraph.from_collections(f"{name}-done", tasks, dependencies=sources)
    return graph, name


def _chain(
    tasks: dict[Any, Any],
    name: str,
    fold: Fold,
    stack: Any,
    weight: Any,
    depth: int,
    keep: Any,
    place: tuple[int, ...],
    grid: tuple[int, int],
    together: int,
) -> None:
    """Add the tasks of one spatial chunk: its state and its columns next to edges, step by step, then the end.

    A step waits until the borders of the step before it were taken out, so that nothing else of it is held.
    """
    pairs = stack.chunks[0]
    starts = np.concatenate([[0], np.cumsum(pairs)]).tolist()
    shape = stack.chunks[1][place[0]], stack.chunks[2][place[1]]
    near = _neighbours(place, grid, depth)
    sides = tuple(near[step] is not None for step in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    alike = [di for di in (-1, 1) if near[di, 0] and (place[0] + di) // together == place[0] // together]
    apart = [di for di in (-1, 1) if near[di, 0] and di not in alike]
    bands = ends = None
    for k in range(len(pairs)):
        block = (stack.name, k, *place)
        other = None if weight is None else (weight.name, k, *place)
        before = None if k == 0 else (f"{name}-add", k - 1, *place)
        own = (f"{name}-add", k, *place)
        tasks[own] = (_add, fold, before, block, other, starts[k], shape, depth, sides, keep, [bands, ends])
        if not any(sides):
            continue
        tasks[f"{name}-sides", k, *place] = (_pick, own, 1)
        ends = (f"{name}-ends", k, *place)
        tasks[ends] = (_pick, own, 2)
        across = [near[0, dj] for dj in (-1, 0, 1)]
        beside = [None if chunk is None else (f"{name}-sides", k, *chunk) for chunk in across]
        lent = _lent_ends(near, alike, lambda chunk, k=k: [(f"{name}-ends", k, *chunk)])
        tasks[f"{name}-bands", k, *place] = (_add_bands, fold, bands, beside, lent, starts[k], depth, keep)
        bands = (f"{name}-bands", k, *place)
    last = (f"{name}-add", len(pairs) - 1, *place)
    tasks[f"{name}-own", *place] = (_finish, fold, last, bands, depth, keep)
    kept = _lent_ends(near, apart, lambda chunk: [(f"{name}-ends", k, *chunk) for k in range(len(pairs))])
    tasks[f"{name}-done", *place] = (_finish_ends, fold, (f"{name}-own", *place), kept, depth, keep)


def _lent_ends(near: dict[Any, Any], steps: list[int], keys: Callable[..., Any]) -> Any:
    """Return the keys of the top and bottom borders of three rows of chunks; None for rows not wanted."""
    if not steps:
        return None
    return [
        [
            None if (di and di not in steps) or near[di, dj] is None else keys(near[di, dj])
            for dj in (-1, 0, 1)
        ]
        for di in (-1, 0, 1)
    ]


def _neighbours(
    place: tuple[int, ...], grid: tuple[int, int], depth: int
) -> dict[tuple[int, int], tuple[int, int] | None]:
    """Return the chunk at each step from ``place``; None beyond the image or where no neighbour is needed."""
    near: dict[tuple[int, int], tuple[int, int] | None] = {}
    for step in ((di, dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)):
        i, j = place[0] + step[0], place[1] + step[1]
        wanted = step == (0, 0) or (depth >= 0 and 0 <= i < grid[0] and 0 <= j < grid[1])
        near[step] = (i, j) if wanted else None
    return near


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
) -> tuple[Any, list[Any], list[Any]]:
    """Add one chunk of pairs to a state; return it with the chunk's borders: left and right, top and bottom."""
    fold = _chosen(fold, keep)
    state = fold.begin(phase, *shape) if before is None else before[0]
    borders = _cut_borders(phase, coherence, depth, sides)
    return fold.add(state, phase, coherence, first), borders[_LEFT:], borders[:_LEFT]


def _add_bands(
    fold: Fold, before: Any, beside: list[Any], ends: Any, first: int, depth: int, keep: Any
) -> dict[int, tuple[Any, int]]:
    """Add one chunk of pairs to the states of what lies next to shared edges; also tell what lies ahead of it."""
    fold = _chosen(fold, keep)
    ahead = depth if beside[0] is not None else 0
    found = {}
    for side in (_TOP, _BOTTOM, _LEFT, _RIGHT):
        if side in (_TOP, _BOTTOM):
            there = ends is not None and ends[0 if side == _TOP else 2][1] is not None
        else:
            there = beside[1][side - _LEFT] is not None
        if not there or (depth == 0 and side in (_TOP, _LEFT)):
            continue
        cut = _end_band if side in (_TOP, _BOTTOM) else _side_band
        phase, coherence = (cut(ends if cut is _end_band else beside, side, depth, index) for index in (0, 1))
        state = fold.begin(phase, *phase.shape[1:]) if before is None else before[side][0]
        found[side] = fold.add(state, phase, coherence, first), ahead
    return found


def _side_band(near: list[Any], side: int, depth: int, index: int) -> Any:
    """Return the columns on both sides of one edge, (pair, y, x)."""
    own = near[1][side - _LEFT][index]
    if own is None:
        return None
    if side == _LEFT:
        other = near[0][1][index]
        return concatenate([other[..., other.shape[-1] - depth :], own], axis=2)
    return concatenate([own, near[2][0][index][..., : depth + 1]], axis=2)


def _finish(fold: Fold, state: Any, bands: Any, depth: int, keep: Any) -> tuple[Any, ...]:
    """Finish one spatial chunk: its own pixels, then columns, then rows next to an edge it shares."""
    fold = _chosen(fold, keep)
    results = fold.finish(state[0])
    results = tuple(r.copy() for r in results) if bands else results
    for side in (_LEFT, _RIGHT, _TOP, _BOTTOM):
        if side in (bands or {}):
            band, ahead = bands[side]
            _mend(results, fold.finish(band), side, depth, ahead)
    return results


def _mend(results: tuple[Any, ...], band: tuple[Any, ...], side: int, depth: int, ahead: int) -> None:
    """Write the rows or columns next to an edge from a band that saw both sides of it."""
    number = depth if side in (_TOP, _LEFT) else depth + 1
    height, width = results[0].shape
    for result, source in zip(results, band, strict=True):
        if side in (_LEFT, _RIGHT):
            target = slice(0, depth) if side == _LEFT else slice(width - number, None)
            result[:, target] = source[:, depth : depth + number]
        else:
            target = slice(0, depth) if side == _TOP else slice(height - number, None)
            result[target] = source[depth : depth + number, ahead : ahead + width]


def _finish_ends(fold: Fold, results: tuple[Any, ...], near: Any, depth: int, keep: Any) -> tuple[Any, ...]:
    """Finish the rows next to the edges a chunk shares with chunks of another group, from the borders of all pairs."""
    if near is None:
        return results
    fold = _chosen(fold, keep)
    results = tuple(r.copy() for r in results)
    ahead = depth if near[1][0] is not None else 0
    for side, other in ((_TOP, near[0][1]), (_BOTTOM, near[2][1])):
        if other is not None and (depth or side == _BOTTOM):
            band = fold.run(_end_band(near, side, depth, 0), _end_band(near, side, depth, 1))
            _mend(results, band, side, depth, ahead)
    return results


def _end_band(near: Any, side: int, depth: int, index: int) -> Any:
    """Return the rows on both sides of one edge, with what chunks to the left and right lend, (pair, y, x)."""
    steps = (0, 1) if side == _TOP else (1, 2)
    rows = []
    for i in steps:
        edge = {0: _BOTTOM, 1: side, 2: _TOP}[i]
        parts = []
        for j in range(3):
            if near[i][j] is None:
                continue
            borders = [chunk[edge][index] for chunk in near[i][j]]
            if borders[0] is None:
                return None
            whole = borders[0] if len(borders) == 1 else concatenate(borders, axis=0)
            parts.append(whole[:, _lent(whole.shape[1], depth, i), _lent(whole.shape[2], depth, j)])
        rows.append(parts[0] if len(parts) == 1 else concatenate(parts, axis=2))
    return concatenate(rows, axis=1)


def _lent(length: int, depth: int, i: int) -> slice:
    """Return what the chunk before (0), the chunk itself (1) or the one after (2) puts into a band."""
    return (slice(length - depth, length), slice(None), slice(0, depth + 1))[i]
