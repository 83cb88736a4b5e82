"""Neighbours across the edges of chunks, lent as copies of thin strips so that no whole chunk waits for another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_TOP, _BOTTOM, _LEFT, _RIGHT = range(4)


def lend(data: Any, depth: tuple[int, int]) -> Any:
    """Return the Dask array ``data`` with ``depth`` rows and columns of the neighbours around each chunk.

    Nothing is added at the edge of the image. No chunk may be thinner than ``depth``, unless it is the only one.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    rows, cols = (d if len(c) > 1 else 0 for d, c in zip(depth, data.chunks[-2:], strict=True))
    depth = rows, cols
    if not any(depth):
        return data
    name = f"lend-{tokenize(data, depth)}"
    graph: dict[Any, Any] = {}
    for place in np.ndindex(*data.numblocks):
        graph[f"{name}-borders", *place] = (_borders, (data.name, *place), depth)
        near = _near(f"{name}-borders", place, data.numblocks, depth)
        graph[name, *place] = (_join, (data.name, *place), near, depth)
    chunks = (*data.chunks[:-2], *(_widened(c, d) for c, d in zip(data.chunks[-2:], depth, strict=True)))
    whole = HighLevelGraph.from_collections(name, graph, dependencies=[data])
    return da.Array(whole, name, chunks, meta=data._meta)


def _widened(chunks: Sequence[int], depth: int) -> tuple[int, ...]:
    last = len(chunks) - 1
    return tuple(n + depth * ((i > 0) + (i < last)) for i, n in enumerate(chunks))


def _near(
    name: str, place: tuple[int, ...], blocks: tuple[int, ...], depth: tuple[int, int]
) -> list[list[Any]]:
    """Return the keys of the borders of the eight chunks around one, None where there is none or none is needed."""
    lead, i, j = place[:-2], place[-2], place[-1]

    def key(di: int, dj: int) -> Any:
        row, col = i + di, j + dj
        wanted = (di or dj) and (not di or depth[0]) and (not dj or depth[1])
        there = 0 <= row < blocks[-2] and 0 <= col < blocks[-1]
        return (name, *lead, row, col) if wanted and there else None

    return [[key(di, dj) for dj in (-1, 0, 1)] for di in (-1, 0, 1)]


def _borders(block: Any, depth: tuple[int, int]) -> list[Any]:
    """Return copies of the top, bottom, left and right of a chunk."""
    rows, cols = depth
    height, width = block.shape[-2:]
    cuts = (
        np.s_[..., :rows, :],
        np.s_[..., height - rows :, :],
        np.s_[..., :cols],
        np.s_[..., width - cols :],
    )
    return [block[cut].copy() for cut in cuts]


def _join(block: Any, near: list[list[Any]], depth: tuple[int, int]) -> Any:
    """Put a chunk between what its neighbours lend."""
    rows = []
    for i in range(3):
        pieces = [block if i == j == 1 else _piece(near[i][j], i, j, depth[1]) for j in range(3)]
        there = [piece for piece in pieces if piece is not None]
        if there:
            rows.append(there[0] if len(there) == 1 else concatenate(there, -1))
    return rows[0] if len(rows) == 1 else concatenate(rows, -2)


def _piece(borders: Any, i: int, j: int, cols: int) -> Any:
    """Return what the chunk at row ``i`` and column ``j`` of the three by three lends to the middle one."""
    if borders is None:
        return None
    if i == 1:
        return borders[_RIGHT if j == 0 else _LEFT]
    strip = borders[_BOTTOM if i == 0 else _TOP]
    return (strip[..., strip.shape[-1] - cols :], strip, strip[..., :cols])[j]


def concatenate(parts: list[Any], axis: int) -> Any:
    """Join arrays of NumPy or CuPy along ``axis``."""
    cupy = sys.modules.get("cupy")
    module = cupy if cupy is not None and isinstance(parts[0], cupy.ndarray) else np
    return module.concatenate(parts, axis=axis)
