"""Calls of the CUDA kernels: grids, arguments and errors. Arrays are CuPy's; CuPy is imported by whoever made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.backend import array_namespace
from xinsar.kernels.cuda.source import OPTIONS, THREADS, Disc, Program, Source
from xinsar.kernels.phasor import ANY_PHASE, PHASE_LIMIT, legal, planes, prepare

if TYPE_CHECKING:
    from xinsar.kernels.exact import Sums
    from xinsar.kernels.gradient import Edges
    from xinsar.kernels.rate import Rate

_F, _I, _D, _L = np.float32, np.int32, np.float64, np.int64
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
def compiled(program: Program | Source | Disc) -> Callable[..., None]:
    """Return the kernel of ``program``; CuPy compiles it once per device and keeps the result on disk."""
    import cupy

    return cupy.RawKernel(program.source(), program.name, options=OPTIONS)  # type: ignore[no-any-return]


def run(
    program: Program | Source | Disc,
    grid: tuple[int, ...],
    threads: int,
    shared_bytes: int,
    args: tuple[Any, ...],
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


# ---- sums of fields and Gi*


def real(values: Any) -> tuple[Any, str]:
    """Return a contiguous array of floating numbers, and what C calls their type."""
    values = array_namespace(values).ascontiguousarray(values)
    if values.dtype not in (_F, _D):
        values = values.astype(_D)
    return values, "float" if values.dtype == _F else "double"


def exact_sums(values: Any) -> Sums:
    """Return the exact sums of the valid values of an array: the twin of exact.py, equal to it."""
    from xinsar.kernels import exact

    values, kind = real(values)
    if not values.size:
        return exact.Sums()
    program = _sums_program(kind)
    limits = np.iinfo(_L)
    found = np.zeros(4 + 4 * exact._SLICES, _L)
    found[2:4] = limits.max, -limits.max
    found = array_namespace(values).asarray(found)
    blocks = min(-(-values.size // (8 * THREADS)), 8 * device().processors)
    blocks = max(blocks, -(-values.size // exact._FLUSH))
    run(program, (blocks,), THREADS, 16 * exact._SLICES, (values, _L(values.size), found))
    count, infinite, low, high, *parts = found.tolist()
    if infinite:
        raise ValueError(exact.INFINITE)
    if not count:
        return exact.Sums()
    total, squares = (_whole(parts[k : k + 2 * exact._SLICES]) for k in (0, 2 * exact._SLICES))
    return exact.Sums(count, exact._ordered(low), exact._ordered(high), total, squares)


def _sums_program(kind: str) -> Source:
    from xinsar.kernels import exact

    numbers = {
        "THREADS": THREADS,
        "EACH": 8,
        "SLICE": exact.SLICE,
        "ZERO": exact._ZERO,
        "SLICES": exact._SLICES,
    }
    return Source(
        "sums", "exact_sums", (("VALUE", kind), ("DOUBLE", int(kind == "double")), *numbers.items())
    )


def _whole(halves: list[int]) -> int:
    """Return the number whose slices are given in two parts: their low 32 bits, and the rest."""
    from xinsar.kernels.exact import SLICE

    number = len(halves) // 2
    pairs = zip(halves[:number], halves[number:], strict=True)
    return sum((low + (high << 32)) << (SLICE * i) for i, (low, high) in enumerate(pairs) if low or high)


def gi_star(values: Any, rows: Any, moments: Any, *, table: Any) -> Any:
    """Return Gi* of planes (..., y, x): the twin of disk.py, equal to it.

    A disc that is the same in all rows, and small, gets a kernel of its own; others are summed up row by row.
    """
    shape = values.shape
    values, kind = real(values)
    planes = values.reshape(prod(shape[:-2]), *shape[-2:])
    moments = np.broadcast_to(moments, (*shape[:-2], 4)).reshape(len(planes), 4)
    out = array_namespace(values).empty_like(planes)
    if not planes.size:
        return out.reshape(shape)
    discs = Discs.of(table, rows, *shape[-2:])
    alone = discs.alone()
    if alone is not None:
        program = Disc(alone, discs.shift, kind, even=shape[-1] % 2 == 0)
        _walk_down(program, discs, planes, moments, out)
    else:
        for plane, numbers, result in zip(planes, moments, out, strict=True):
            _row_by_row(discs, kind, plane, numbers, result)
    return out.reshape(shape)


@dataclass(frozen=True)
class Discs:
    """The discs of an image: ``table`` (kind, row offset), the kind of each row, and how numbers are packed."""

    table: Any
    rows: Any
    shift: int
    bits: int

    @classmethod
    def of(cls, table: Any, rows: Any, height: int, width: int) -> Discs:
        """Return the discs as the CPU takes them: no larger than the image."""
        from xinsar.kernels.disk import _BITS, _FEW, _clipped, pixels

        table = _clipped(table, height, width)[0]
        number = max(pixels(row) for row in table).bit_length()
        shift = number if number <= _FEW else 0
        return cls(table.astype(_I), np.asarray(rows, _I), shift, min(_BITS, 62 - shift - number))

    def alone(self) -> tuple[int, ...] | None:
        """Return the half-widths of the only disc, if there is but one and it is small."""
        kind = self.rows[0]
        widths = tuple(int(w) for w in self.table[kind] if w >= 0)
        small = len(widths) - 1 <= Disc.MOST[0] and widths[0] <= Disc.MOST[1]
        return widths if self.shift and small and (self.rows == kind).all() else None


def _units(discs: Discs, moments: Any) -> Any:
    """Return the power of two that takes the values of each plane to whole numbers."""
    from xinsar.kernels.exact import fixed_point

    return np.array([fixed_point(numbers[3], discs.bits) for numbers in moments])


def roots(pixels: int, moments: Any, units: Any) -> Any:
    """Return what sums of whole numbers are divided by to give z, and one divided by that: (plane, pixels + 1, 2).

    NaN where there is no z: the numbers of pixels at hand run from 0 to ``pixels``.
    """
    n, std = moments[:, :1], moments[:, 2:3]
    count = np.arange(pixels + 1.0)
    room = n * count - count * count
    sound = (room > 0) & (std > 0) & (n > 1)
    with np.errstate(all="ignore"):
        size = std * np.sqrt(np.where(sound, room, 1.0) / (n - 1.0)) * units[:, None]
        size[~sound] = np.nan
        return np.stack([size, 1 / size], axis=-1)


def _walk_down(program: Disc, discs: Discs, planes: Any, moments: Any, out: Any) -> None:
    """Run the kernel of one disc on all planes."""
    xp = array_namespace(planes)
    units = _units(discs, moments)
    scales = np.stack([moments[:, 1], units], axis=-1)
    number, height, width = planes.shape
    layers, across = min(number, 65535), -(-width // program.columns)
    at_once = program.blocks * device().processors
    high = strip_rows(height, across * layers, at_once, 2 * program.reach + program.ROWS)
    args = (
        planes,
        xp.asarray(scales),
        xp.asarray(roots(program.pixels, moments, units)),
        *map(_I, (number, height, width, high)),
        out,
    )
    grid = (across, -(-height // high), layers)
    run(program, grid, program.THREADS, program.shared_bytes, args)


def strip_rows(height: int, across: int, at_once: int, halo: int) -> int:
    """Return the rows of a strip that keep all multiprocessors busy; each strip reads ``halo`` rows more.

    ``across`` strips lie beside each other, ``at_once`` of them run together.
    """

    def cost(pieces: int) -> tuple[int, int]:
        return -(-across * pieces // at_once) * (-(-height // pieces) + halo), pieces

    return -(-height // min(range(1, max(height // 32, 1) + 1), key=cost))


RUNNING_BYTES = 2**29
"""Memory that running sums take at once, where windows are not larger than that."""


def _row_by_row(discs: Discs, kind: str, plane: Any, numbers: Any, out: Any) -> None:
    """Sum up discs of any size in one plane, strip after strip: first their pixels, where they do not fit beside."""
    from xinsar.kernels.disk import BOTH, COUNT, TOTAL

    xp = array_namespace(plane)
    height, width = plane.shape
    reach = discs.table.shape[1] - 1
    rows = max(RUNNING_BYTES // (8 * (width + 1)) - 2 * reach, 2 * reach, 32)
    kinds, table = xp.asarray(discs.rows), xp.asarray(discs.table)
    for begin in range(0, height, rows):
        end = min(begin + rows, height)
        counts = xp.empty((0 if discs.shift else end - begin, width), _I)
        for what in (BOTH,) if discs.shift else (COUNT, TOTAL):
            _strip(discs, what, kind, plane, numbers, (begin, end), (kinds, table, counts), out)


def _strip(
    discs: Discs,
    what: int,
    kind: str,
    plane: Any,
    numbers: Any,
    rows: tuple[int, int],
    arrays: tuple[Any, ...],
    out: Any,
) -> None:
    """Make the running sums that a strip of rows needs, and sum up its discs."""
    kinds, table, counts = arrays
    height, width = plane.shape
    reach = discs.table.shape[1] - 1
    start, stop = max(rows[0] - reach, 0), min(rows[1] + reach, height)
    along = array_namespace(plane).empty((stop - start, width + 1), np.uint64)
    n, mean, std, _ = map(_D, numbers)
    (unit,) = _units(discs, numbers[None])
    packed = (_I(what), _I(discs.shift))
    program = rows_program(kind, "running_sums")
    args = (plane, _I(width), _I(start), *packed, mean, _D(unit), along)
    run(program, (stop - start,), THREADS, 8 * THREADS // 32, args)
    back = _D(1 / unit if unit > 0 else np.nan)
    args = (plane, along, kinds, table, *map(_I, (reach, width, *rows, start, stop)), *packed, back, n, std)
    grid = (-(-width // 32), -(-(rows[1] - rows[0]) // 32))
    run(rows_program(kind, "gi_star_rows"), grid, THREADS, 0, (*args, counts, out))


def rows_program(kind: str, name: str) -> Source:
    """Return a kernel of rows.cu."""
    from xinsar.kernels.disk import BOTH, COUNT, TOTAL

    numbers = {"THREADS": THREADS, "EACH": 4, "BOTH": BOTH, "COUNT": COUNT, "TOTAL": TOTAL}
    return Source("rows", name, (("VALUE", kind), *numbers.items()))
