"""Coherence-weighted filter and phase gradient of every pair.

``z(p)`` = sum over the window of ``coherence exp(i phase)``; the filtered phase is ``arg z``, its consistency
``|z| / sum(coherence)``. The gradient is ``arg(z(p+1) conj(z(p)))``, with the rules for gaps of gradient.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels import cuda
from xinsar.kernels._jit import fma, jit
from xinsar.kernels.gradient import TILE, edge, mark_edges
from xinsar.kernels.phasor import (
    ANY_PHASE,
    BAD_PHASE,
    CLEAN,
    NAN,
    ONE,
    PHASE_LIMIT,
    TINY,
    ZERO,
    angle,
    gather,
    inside,
    legal,
    planes,
    planes_of,
    prepare,
    sum_down,
    workspace,
)


@jit
def _filter(
    phase: Any,
    coherence: Any,
    taps: Any,
    tile: int,
    limit: Any,
    fill: Any,
    row: Any,
    sums: Any,
    valid: Any,
    z: Any,
    out: Any,
) -> int:
    """Fill ``out`` (2, pair, y, x) with filtered phase and consistency; ``fill`` gives missing centres a value."""
    half = len(taps) // 2
    for k in range(phase.pairs):
        for top in range(0, phase.height, tile):
            bottom = min(top + tile, phase.height)
            status = gather(phase, coherence, k, top, bottom, taps, limit, 3, row, sums, valid)
            if status >= BAD_PHASE:
                return status
            for r in range(top, bottom):
                sum_down(sums, 3, r - top, taps, 0, z)
                for x in range(phase.width):
                    re, im, weight = z[0, 0, x], z[0, 1, x], z[0, 2, x]
                    there = ONE if status == CLEAN else valid[r - top + half, x]
                    known = (weight > TINY) & ((there > ZERO) | fill)
                    length = np.sqrt(fma(re, re, im * im))
                    ratio = length / (weight if known else ONE)
                    out[0, k, r, x] = angle(re, im) if known else NAN
                    out[1, k, r, x] = (ratio if ratio < ONE else ONE) if known else NAN
    return CLEAN


@jit
def _gradient(
    phase: Any,
    coherence: Any,
    taps: Any,
    tile: int,
    limit: Any,
    min_weight: Any,
    rows: Any,
    cols: Any,
    row: Any,
    sums: Any,
    valid: Any,
    z: Any,
    good: Any,
    out: Any,
) -> int:
    """Fill ``out`` (2, pair, y, x) with the gradients along y and x."""
    half = len(taps) // 2
    width = phase.width
    for k in range(phase.pairs):
        for top in range(0, phase.height, tile):
            bottom = min(top + tile, phase.height)
            status = gather(phase, coherence, k, top, bottom + 1, taps, limit, 2, row, sums, valid)
            if status >= BAD_PHASE:
                return status
            planes = 2 if status == CLEAN else 4
            sum_down(sums, planes, 0, taps, 0, z)
            good[:] = ONE
            for r in range(top, bottom):
                here, below = (r - top) % 2, (r - top + 1) % 2
                sum_down(sums, planes, r - top + 1, taps, below, z)
                if status != CLEAN:
                    mark_edges(
                        z, here, below, valid, r - top + half, rows[r], rows[r + 1], cols, min_weight, good
                    )
                for x in range(width):
                    re, im = edge(z[here, 0, x], z[here, 1, x], z[below, 0, x], z[below, 1, x])
                    out[0, k, r, x] = angle(re, im) if good[0, x] > ZERO else NAN
                for x in range(width - 1):
                    re, im = edge(z[here, 0, x], z[here, 1, x], z[here, 0, x + 1], z[here, 1, x + 1])
                    out[1, k, r, x] = angle(re, im) if good[1, x] > ZERO else NAN
        out[0, k, phase.height - 1] = NAN
        out[1, k, :, width - 1] = NAN
    return CLEAN


def _filter_numpy(phase: Any, coherence: Any, *, window: int, fill: bool, wrapped: bool = True) -> Any:
    shape = phase.shape
    phase, coherence = prepare(planes(phase), wrap=not wrapped), prepare(planes(coherence))
    out = np.empty((2, *phase.shape), np.float32)
    row, sums, valid, z, _ = workspace(TILE, shape[-1], window // 2)
    limit = PHASE_LIMIT if wrapped else ANY_PHASE
    status = _filter(
        planes_of(phase), planes_of(coherence), (0,) * window, TILE, limit, fill, row, sums, valid, z, out
    )
    legal(status, phase, coherence)
    return out.reshape(2, *shape)


def _gradient_numpy(
    phase: Any, coherence: Any, *, window: int, min_weight: float, wrapped: bool = True
) -> Any:
    shape = phase.shape
    phase, coherence = prepare(planes(phase), wrap=not wrapped), prepare(planes(coherence))
    out = np.empty((2, *phase.shape), np.float32)
    _, height, width = phase.shape
    status = _gradient(  # type: ignore[call-arg]
        planes_of(phase),
        planes_of(coherence),
        (0,) * window,
        TILE,
        PHASE_LIMIT if wrapped else ANY_PHASE,
        np.float32(min_weight),
        inside(height, window // 2),
        inside(width, window // 2),
        *workspace(TILE, width, window // 2),
        out,
    )
    legal(status, phase, coherence)
    return out.reshape(2, *shape)


coherence_filter = Kernel("coherence_filter", numpy=_filter_numpy, cupy=cuda.coherence_filter)
phase_gradient = Kernel("phase_gradient", numpy=_gradient_numpy, cupy=cuda.phase_gradient)
