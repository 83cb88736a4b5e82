"""Inversion of networks on a GPU: calls of network.cu, the twin of network.py."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xinsar.backend import array_namespace, beside
from xinsar.kernels.cuda import launch
from xinsar.kernels.cuda.launch import Device, real, run
from xinsar.kernels.cuda.source import Source, double, phasor_numbers

if TYPE_CHECKING:
    from xinsar.kernels.network import Network

_I, _D, _L = np.int32, np.float64, np.int64
THREADS, PIXELS = 128, 8
"""Threads of a block; pixels of its tile, which are one sector of 32 bytes in memory."""
_GROUPS = THREADS // PIXELS
_BLOCKS = 16
"""Blocks that a multiprocessor may hold: 2048 threads."""
_ROWS = 12
"""Rows of the state at least, for the net of three parts."""
_RESERVED = 1024
"""Bytes of shared memory that the system takes of each block."""
STATE_BYTES = 2**30
"""Memory that states outside of shared memory take at once, where one of them is not larger than that."""


class Tables(NamedTuple):
    """A plan as network.cu takes it: rows of currents come after ``rows`` rows of edges."""

    rows: int
    pairs: Any
    updates: Any
    starts: Any
    ends: Any
    later: Any
    place: Any


@lru_cache(maxsize=8)
def tables_of(network: Network, least: int) -> Tables:
    """Return the plan of a network with at least ``least`` rows before the currents.

    An update says that a row gets the product of two others: an edge that ends at a date that comes later, or the
    current of that date.
    """
    from xinsar.kernels.network import plan_of

    plan = plan_of(network)
    edges, dates = plan.later.size, len(network.years)
    rows = max(edges, least)
    updates = [_updates(plan, p, rows) for p in range(dates)]
    ends = np.cumsum([0, *map(len, updates)])
    kind = np.uint16 if rows + dates <= np.iinfo(np.uint16).max else _I
    none = np.zeros_like(plan.edge)
    return Tables(
        rows,
        np.stack([rows + plan.first, rows + plan.second, plan.edge, none], axis=-1).astype(_I),
        np.concatenate(updates).astype(kind),
        plan.starts.astype(_I),
        ends.astype(_I),
        plan.later.astype(_I),
        plan.place.astype(_I),
    )


def _updates(plan: Any, p: int, rows: int) -> Any:
    """Return what the elimination of the date at place ``p`` does: (update, 4) of to, factor, from, none."""
    edges = np.arange(plan.starts[p], plan.starts[p + 1])
    dates = plan.later[edges]
    one, two = np.triu_indices(edges.size, 1)
    currents = rows + dates, edges, np.full_like(edges, rows + p)
    fill = plan.table[dates[one], dates[two]], edges[one], edges[two]
    to, factor, source = (np.concatenate(both) for both in zip(currents, fill, strict=True))
    return np.stack([to, factor, source, np.zeros_like(to)], axis=-1)


def invert_network(phase: Any, coherence: Any, shift: Any, *, network: Network, scale: float) -> Any:
    """Return series, temporal coherence, residual rms and number of parts: the twin of network.py."""
    from xinsar.kernels.network import check

    shape = phase.shape[1:]
    pixels, dates = prod(shape), len(network.years)
    phase, kind = real(phase)
    weights, weight_kind = (phase, kind) if coherence is None else real(coherence)
    xp = array_namespace(phase)
    series, quality = xp.empty((dates, pixels), phase.dtype), xp.empty((2, pixels), phase.dtype)
    parts = xp.empty(pixels, np.int16)
    known = beside(np.asarray(network.years, _D), phase), xp.asarray(beside(shift, phase), _D)
    values: dict[str, int | str] = {
        "VALUE": kind,
        "COHERENCE": weight_kind,
        "WEIGHTED": int(coherence is not None),
    }
    rows = _ROWS
    while rows and pixels:
        again = rows > _ROWS
        status = xp.asarray(np.array([np.iinfo(_L).max, 0]))
        _run(
            values,
            (phase, weights),
            known,
            tables_of(network, rows),
            scale,
            (series, quality, parts),
            status,
            again=again,
        )
        flaw, rows = status.tolist()
        check(flaw & 3 if flaw < np.iinfo(_L).max else 0)
    return series.reshape(dates, *shape), *quality.reshape(2, *shape), parts.reshape(shape)


def _run(
    values: dict[str, int | str],
    data: tuple[Any, Any],
    known: tuple[Any, Any],
    tables: Tables,
    scale: float,
    results: tuple[Any, ...],
    status: Any,
    *,
    again: bool,
) -> None:
    """Run the kernel on all pixels, or on those that were left out."""
    xp, gpu = array_namespace(status), launch.device()
    dates, pixels = results[0].shape
    program, stage, shared = network_program(values, tables, dates, gpu, again=again)
    in_memory = dict(program.values)["IN_MEMORY"]
    at_once = gpu.processors * max(min(gpu.shared_bytes // (shared + _RESERVED), _BLOCKS), 1)
    if in_memory:
        at_once = max(min(at_once, STATE_BYTES // (8 * PIXELS * (tables.rows + dates))), 1)
    blocks = min(-(-pixels // PIXELS), at_once)
    state = xp.empty((blocks, tables.rows + dates, PIXELS) if in_memory else 1, _D)
    plan = (tables.pairs, tables.updates, tables.starts, tables.ends, tables.later, tables.place)
    sizes = (*map(_I, (len(tables.pairs), dates, tables.rows, stage)), _L(pixels), _D(scale))
    args = (*data, *map(xp.asarray, plan), *known, *sizes, state, *results, status)
    run(program, (blocks,), THREADS, shared, args)


def network_program(
    values: dict[str, int | str], tables: Tables, dates: int, gpu: Device, *, again: bool
) -> tuple[Source, int, int]:
    """Return the kernel of network.cu, the bytes of its stage and of its shared memory.

    The state lies in shared memory where it fits; pixels that are done again, few of them, have it in global memory.
    """
    from xinsar.kernels import network

    least = 192 + 4 * _GROUPS * PIXELS * 8
    stage = max(least, 192 + 4 * PIXELS * dates)
    stage += -stage % 64
    shared = stage + 8 * PIXELS * (tables.rows + dates)
    in_memory = again or shared > gpu.shared_bytes
    numbers: dict[str, int | str] = {
        **values,
        "INDEX": "unsigned short" if tables.updates.dtype == np.uint16 else "int",
        "THREADS": THREADS,
        "PIXELS": PIXELS,
        "TILE": network.PIXELS,
        "IN_MEMORY": int(in_memory),
        "AGAIN": int(again),
        "STAGE_BYTES": least,
        "INFINITE": "__longlong_as_double(0x7ff0000000000000LL)",
        "BAD_PHASE": network.BAD_PHASE,
        "BAD_COHERENCE": network.BAD_COHERENCE,
        "LEAST": double(network.LEAST),
        "MOST": double(network.MOST),
        "LIMIT": double(network._LIMIT),
        **phasor_numbers(),
    }
    source = Source("network", "invert_network", tuple(numbers.items()), before=("angles",))
    return source, stage, stage if in_memory else shared
