"""Calls of the CUDA kernels: grids, arguments and errors. Arrays are CuPy's; CuPy is imported by whoever made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.backend import array_namespace
from xinsar.kernels.cuda.source import OPTIONS, THREADS, Program
from xinsar.kernels.phasor import ANY_PHASE, PHASE_LIMIT, legal, planes, prepare

if TYPE_CHECKING:
    from xinsar.kernels.gradient import Edges
    from xinsar.kernels.rate import Rate

_F, _I = np.float32, np.int32
FILTER_ROWS, STACK_ROWS, RATE_ROWS, HEIGHT_ROWS = 8, 7, 5, 2
"""Rows a thread walks down; where it keeps sums of them in registers, as many as fit (window 5, without spilling)."""


@dataclass(frozen=True)
class Device:
    """What a launch must know of a GPU: bytes of shared memory a block may have, and multiprocessors."""

    shared_bytes: int
    processors: int


def device() -> Device:
    """Return the current GPU."""
    import cupy

    about = cupy.cuda.Device().attributes
    return Device(about["MaxSharedMemoryPerBlockOptin"], about["MultiProcessorCount"])


@cache
def compiled(program: Program) -> Callable[..., None]:
    """Return the kernel of ``program``; CuPy compiles it once per device and keeps the result on disk."""
    import cupy

    return cupy.RawKernel(program.source(), program.name, options=OPTIONS)  # type: ignore[no-any-return]


def run(
    program: Program, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
) -> None:
    """Launch a kernel on the current stream."""
    kernel: Any = compiled(program)
    if shared_bytes:
        kernel.max_dynamic_shared_size_bytes = shared_bytes
    kernel(grid, (threads,), args, shared_mem=shared_bytes)


def fit(program: Program, most: int, gpu: Device) -> Program:
    """Return ``program`` with as many rows per thread, at most ``most``, as shared memory takes."""
    for rows in range(most, 0, -1):
        fitting = replace(program, rows=rows)
        if fitting.columns > 0 and fitting.shared_bytes <= gpu.shared_bytes:
            return fitting
    raise ValueError(
        f"window: a window of {program.window} pixels does not fit into the shared memory of this GPU "
        f"({gpu.shared_bytes} bytes a block); choose a smaller one, or bring the data to the CPU"
    )


def tile_rows(program: Program, height: int, across: int, at_once: int) -> int:
    """Return the rows of a tile that keep all multiprocessors busy to the end.

    All tiles cost alike, ``at_once`` of them run together: a last round with few tiles is wasted time.
    """

    def cost(rows: int) -> tuple[int, int]:
        rounds = -(-across * -(-height // rows) // at_once)
        return rounds * (2 * rows + program.window), -rows

    return min(range(max(program.tall // 2, 1), program.tall + 1), key=cost)


def _tiles(program: Program, height: int, width: int, gpu: Device) -> tuple[int, tuple[int, int]]:
    """Return the rows of a tile, and the tiles along x and y."""
    across = -(-width // program.columns)
    rows = tile_rows(program, height, across, program.blocks * gpu.processors)
    return rows, (across, -(-height // rows))


def fold_edges(
    phase: Any, coherence: Any, state: tuple[Any, ...], *, fold: Edges, first: int, rows: tuple[int, int]
) -> None:
    """Fold pairs into products or sums of edges, in place: the twin of gradient.py."""
    held, missing = state
    name = "wrapped_sum" if held.shape[1] == 4 else "sum"
    gpu = device()
    program = fit(Program("stack", name, fold.window, coherent=coherence is not None), STACK_ROWS, gpu)
    high, grid = _tiles(program, rows[1] - rows[0], phase.shape[2], gpu)
    xp = array_namespace(phase)
    ticks, status = xp.asarray(fold.part(first, len(phase))), xp.zeros(1, _I)
    args = (
        *_stack(phase, coherence, fold.limit),
        _F(fold.min_weight),
        _I(len(phase)),
        ticks,
        *map(_I, (*rows, high)),
        held,
        missing,
        status,
    )
    run(program, grid, THREADS, program.shared_bytes, args)
    legal(int(status[0]), phase, coherence)


def fold_rate(
    phase: Any, coherence: Any, state: tuple[Any, ...], *, fold: Rate, first: int, rows: tuple[int, int]
) -> None:
    """Fold pairs, interval after interval, into the sums of the rate, in place: the twin of rate.py."""
    sums, weights, missing, dates, _ = state
    integers, years, levers = _by_interval(fold, first, len(phase))
    if not len(integers):
        return
    gpu = device()
    program = Program(
        "rate", "rate", fold.window, coherent=coherence is not None, height=fold.levers is not None
    )
    words = dates.shape[2]
    room = replace(gpu, shared_bytes=gpu.shared_bytes - 4 * words)
    program = fit(program, HEIGHT_ROWS if program.height else RATE_ROWS, room)
    high, grid = _tiles(program, rows[1] - rows[0], phase.shape[2], gpu)
    xp = array_namespace(phase)
    status = xp.zeros(1, _I)
    args = (
        *_stack(phase, coherence, fold.limit),
        _F(fold.min_weight),
        _I(len(integers)),
        *map(xp.asarray, (integers, years, levers)),
        *map(_I, (*rows, high, sums.shape[1], words)),
        sums,
        weights,
        missing,
        dates,
        status,
    )
    run(program, grid, THREADS, program.shared_bytes + 4 * words, args)
    legal(int(status[0]), phase, coherence)


def _by_interval(fold: Rate, first: int, number: int) -> tuple[Any, Any, Any]:
    """Return place, ticks, interval and dates (pair, 5), years, and levers of the pairs used, ordered by interval."""
    groups, years, levers, firsts, seconds = (values for values, _ in fold.per_pair())
    used = [k for k in range(first, first + number) if fold.ticks[k] >= 0]
    order = sorted(used, key=lambda k: groups[k])
    integers = [(k - first, fold.ticks[k], groups[k], firsts[k], seconds[k]) for k in order]
    lever = [0.0 if levers is None else levers[k] for k in order]
    return np.array(integers, _I), np.array([years[k] for k in order], _F), np.array(lever, _F)


def _stack(phase: Any, coherence: Any, limit: Any) -> tuple[Any, ...]:
    """Return the arguments that describe a stack; the kernels do not look at a coherence that is not there."""
    height, width = phase.shape[1:]
    return phase, phase if coherence is None else coherence, _I(height), _I(width), _F(limit)


def _limit(*, wrapped: bool) -> Any:
    """Return the largest legal |phase|."""
    return PHASE_LIMIT if wrapped else ANY_PHASE


def coherence_filter(phase: Any, coherence: Any, *, window: int, fill: bool, wrapped: bool = True) -> Any:
    """Return filtered phase and consistency: the twin of filter.py."""
    shape = phase.shape
    phase, coherence = planes(prepare(phase, wrap=not wrapped)), planes(prepare(coherence))
    out = array_namespace(phase).empty((2, *phase.shape), _F)
    _every_pair("coherence_filter", phase, coherence, window, _limit(wrapped=wrapped), (), (_I(fill),), out)
    return out.reshape(2, *shape)


def phase_gradient(
    phase: Any, coherence: Any, *, window: int, min_weight: float, wrapped: bool = True
) -> Any:
    """Return the gradients along y and x: the twin of filter.py."""
    shape = phase.shape
    phase, coherence = planes(prepare(phase, wrap=not wrapped)), planes(prepare(coherence))
    out = array_namespace(phase).full((2, *phase.shape), np.nan, _F)
    _every_pair(
        "phase_gradient", phase, coherence, window, _limit(wrapped=wrapped), (_F(min_weight),), (), out
    )
    return out.reshape(2, *shape)


def _every_pair(
    name: str,
    phase: Any,
    coherence: Any,
    window: int,
    limit: Any,
    before: tuple[Any, ...],
    after: tuple[Any, ...],
    out: Any,
) -> None:
    """Run a kernel of filter.cu; ``before`` and ``after`` are what it is told before and after the number of pairs."""
    if not phase.size:
        return
    gpu = device()
    program = fit(Program("filter", name, window, coherent=coherence is not None), FILTER_ROWS, gpu)
    height, width = phase.shape[1:]
    rows, grid = _tiles(program, height, width, gpu)
    status = array_namespace(phase).zeros(1, _I)
    args = (*_stack(phase, coherence, limit), *before, _I(len(phase)), _I(rows), *after, out, status)
    run(program, (*grid, min(len(phase), 65535)), THREADS, program.shared_bytes, args)
    legal(int(status[0]), phase, coherence)


def solve_rate(sums: Any, *, intervals: Any) -> Any:
    """Return rate and J for both directions, (y, 2, 2, x): the twin of rate.py."""
    from xinsar.kernels.rate import search_grid

    xp = array_namespace(sums)
    cosines, sines, step = search_grid(intervals)
    fours = ((0, -len(intervals) % 4), (0, 0))
    tables = (xp.asarray(np.pad(table, fours)) for table in (cosines, sines))
    height, number, terms, width = sums.shape
    out = xp.zeros((height, 2, 2, width), _F)
    args = (
        sums,
        xp.asarray(intervals.astype(_F)),
        *tables,
        *map(_I, (width, number, cosines.shape[1])),
        _F(step),
        out,
    )
    if out.size:
        run(Program("solve", "solve_rate", height=terms > 4), (-(-width // 128), height, 2), 128, 0, args)
    return out


def mean_square(rho: Any) -> Any:
    """Return the mean squared wrapped residual of a mean cosine: the twin of rate.py."""
    from xinsar.kernels.rate import residual_table

    xp = array_namespace(rho)
    table = xp.asarray(residual_table())
    place = xp.clip(rho, 0, 1).astype(_F) * _F(len(table) - 1)
    low = xp.minimum(place.astype(_I), _I(len(table) - 2))
    part = place - low.astype(_F)
    return table[low] * (_F(1) - part) + table[low + 1] * part
