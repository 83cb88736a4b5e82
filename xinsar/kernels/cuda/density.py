"""Kernel density on a GPU: calls of splat.cu and convolve.cu, the twins of density.py."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.backend import array_namespace, is_cupy
from xinsar.kernels.cuda import launch
from xinsar.kernels.cuda.launch import Device, real, run, strip_rows
from xinsar.kernels.cuda.source import THREADS, Source

if TYPE_CHECKING:
    from xinsar.kernels.density import Cells

_I, _D, _L = np.int32, np.float64, np.int64


def valid(values: Any) -> int:
    """Return how many values are not missing; raise ValueError where one is infinite."""
    from xinsar.kernels.density import INFINITE

    xp = array_namespace(values)
    if bool(xp.isinf(values).any()):
        raise ValueError(INFINITE)
    return int(values.size) - int(xp.isnan(values).sum())


def _host(array: Any) -> Any:
    """Return an array as NumPy's."""
    return array.get() if is_cupy(array) else np.asarray(array)


def splat(
    weights: Any,
    u: Any,
    v: Any,
    north: Any,
    half: Any,
    *,
    rows: Any,
    row_half: Any,
    step: float,
    narrow: float,
    reach: float,
    columns: int,
    first: int,
    last: int,
    power: int,
    scale: float,
    dtype: Any,
) -> Any:
    """Return the density of points on rows [first, last) of a grid: the CPU sorts the points."""
    from xinsar.kernels.density import cells_of

    valid(weights)
    xp = array_namespace(weights)
    out = xp.empty((*weights.shape[:-1], last - first, columns), dtype)
    if not out.size:
        return out
    down, across = reach + 1, narrow + 1
    cells = cells_of(_host(u), _host(v), (first, last, 0, columns), down, across)
    halves = None if half is None else (_host(half), _host(row_half))
    planes = prod(weights.shape[:-1])
    args = (
        *_points(cells, weights.reshape(planes, weights.shape[-1]), _host(u), _host(north), halves),
        xp.asarray(_host(rows), _D),
        xp.asarray(np.zeros(1) if halves is None else halves[1], _D),
        *map(_D, (step, down, across)),
        *map(_I, (columns, first, last, planes)),
        _D(scale),
        out,
    )
    grid = (-(-columns // 32), -(-(last - first) // (THREADS // 32)), min(planes, 65535))
    run(splat_program(real(out)[1], power, halves=halves is not None), grid, THREADS, 0, args)
    return out


def _points(cells: Cells, weights: Any, u: Any, north: Any, halves: Any) -> tuple[Any, ...]:
    """Return the points in the order of their cells, and the cells, as splat.cu takes them."""
    xp = array_namespace(weights)
    order = cells.order
    height, width = cells.starts.shape[0], cells.starts.shape[1] - 1
    return (
        xp.asarray(np.stack([u[order], north[order]], axis=-1, dtype=_D)),
        xp.ascontiguousarray(weights[:, xp.asarray(order)].astype(_D)),
        xp.asarray(np.zeros(1) if halves is None else halves[0][order], _D),
        _L(order.size),
        xp.asarray(np.ascontiguousarray(cells.starts, _L)),
        *map(_I, (cells.top, cells.left, height, width)),
    )


def splat_program(kind: str, power: int, *, halves: bool) -> Source:
    """Return the kernel of splat.cu."""
    from xinsar.kernels.density import CELL

    numbers = {"THREADS": THREADS, "POWER": power, "HALVES": int(halves)}
    cells = {"CELL_ROWS": CELL[0], "CELL_COLUMNS": CELL[1]}
    return Source("splat", "splat", (("VALUE", kind), *numbers.items(), *cells.items()))


def convolve(
    values: Any, rows: Any, number: Any, *, dy: Any, dx: Any, reach: tuple[int, int], power: int, scale: float
) -> Any:
    """Return the density of planes (..., y, x); NaN all over where ``number``, the valid values, is 0."""
    xp = array_namespace(values)
    shape, dtype = values.shape, values.dtype
    valid(values)
    values, kind = real(values)
    planes = values.reshape(prod(shape[:-2]), *shape[-2:])
    there = np.broadcast_to(_host(number), (*shape[:-2], 1)).reshape(-1) > 0
    out = xp.full_like(planes, np.nan)
    if planes.size and there.any():
        sizes = tuple(xp.asarray(_host(a), t) for a, t in ((rows, _I), (dy, _D), (dx, _D)))
        _spread(kind, power, scale, planes, xp.asarray(there.astype(_I)), sizes, reach, out)
    return out.astype(dtype, copy=False).reshape(shape)


def _spread(
    kind: str,
    power: int,
    scale: float,
    planes: Any,
    there: Any,
    sizes: tuple[Any, ...],
    reach: tuple[int, int],
    out: Any,
) -> None:
    """Run the kernel of convolve.cu on all planes."""
    gpu = launch.device()
    number, height, width = planes.shape
    program, threads, shared = convolve_program(kind, power, reach, gpu)
    across, layers = -(-width // threads), min(number, 65535)
    at_once = gpu.processors * max(min(gpu.shared_bytes // shared, 16), 1)
    high = strip_rows(height, across * layers, at_once, 2 * reach[0])
    grid = (across, -(-height // high), layers)
    slots = 2 * reach[0] + 1
    ring = np.prod(grid, dtype=_L) * slots * threads if dict(program.values)["IN_MEMORY"] else 0
    args = (
        planes,
        there,
        *sizes,
        *map(_I, (number, height, width, *reach, high)),
        _D(scale),
        array_namespace(planes).empty(int(ring), _D),
        out,
    )
    run(program, grid, threads, shared, args)


def convolve_program(kind: str, power: int, reach: tuple[int, int], gpu: Device) -> tuple[Source, int, int]:
    """Return the kernel of convolve.cu, its threads and its shared memory: as many threads as that takes."""
    slots = 2 * reach[0] + 1
    for threads, in_memory in ((128, 0), (64, 0), (32, 0), (128, 1)):
        shared = 8 * (threads + 2 * reach[1] + (0 if in_memory else slots * threads))
        if shared <= gpu.shared_bytes:
            values: dict[str, int | str] = {
                "VALUE": kind,
                "THREADS": threads,
                "POWER": power,
                "IN_MEMORY": in_memory,
            }
            return Source("convolve", "convolve", tuple(values.items())), threads, shared
    raise ValueError(
        f"radius: {reach[1]} columns on each side of a pixel do not fit into the shared memory of this GPU "
        f"({gpu.shared_bytes} bytes a block); choose a smaller radius, or bring the data to the CPU"
    )
