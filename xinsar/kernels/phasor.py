"""Coherence-weighted phasors and their window sums, row by row.

Every estimator starts here: a row of ``coherence * exp(i phase)`` is summed across ``window`` columns, then rows
of sums are added down ``window`` rows, always in the same order, so that a pixel's bits do not depend on the tile,
chunk or thread that computed it. Four planes travel together: real part, imaginary part, sum of coherence, number
of valid pixels; a clean tile (nothing missing) needs only the first ones.

Edge rule: pixels outside the array count as absent, with weight 0.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from xinsar.backend import array_namespace
from xinsar.kernels._jit import either, flip_if_odd, fma, jit, not_within, outside

_F = np.float32
INV_PI = _F(1 / np.pi)
PI_HIGH = _F(np.pi)
PI_LOW = _F(np.pi - float(np.float32(np.pi)))
ROUND = _F(12582912.0)
"""1.5 * 2**23: adding it rounds a small float32 to an integer held in its low bits."""
S1, S2, S3, S4 = _F(-0.16666656732559204), _F(0.008333017118275166), _F(-0.00019806614727713168), _F(2.6e-06)
C1, C2, C3, C4 = _F(0.041666656732559204), _F(-0.0013888569083064795), _F(2.4769304e-05), _F(-2.6193811e-07)
A1, A2, A3, A4 = (
    _F(-0.3333165943622589),
    _F(0.19962702691555023),
    _F(-0.13976575434207916),
    _F(0.09794218093156815),
)
A5, A6, A7 = _F(-0.05777335166931152), _F(0.023039963096380234), _F(-0.004355357028543949)
ZERO, HALF, ONE = _F(0), _F(0.5), _F(1)
TINY = _F(1e-12)
"""Weights up to this are no weight: their products would leave the range of float32."""
PI, HALF_PI, NAN = _F(np.pi), _F(np.pi / 2), _F(np.nan)
PHASE_LIMIT = _F(np.pi * (1 + 1e-4))
ANY_PHASE = _F(3e38)
"""Limit for unwrapped phase: any finite value."""
COHERENCE_LIMIT, HALF_COHERENCE = _F(1 + 1e-4), _F(0.5 + 1e-4)

CLEAN, GAPS, BAD_PHASE, BAD_COHERENCE = 0, 1, 2, 3


@jit
def phasor(phase: Any, weight: Any) -> Any:
    """Return ``weight * (cos(phase), sin(phase))``; both to about 1e-7 for |phase| up to 1e4 rad."""
    biased = fma(phase, INV_PI, ROUND)
    turns = biased - ROUND
    rest = fma(-turns, PI_LOW, fma(-turns, PI_HIGH, phase))
    square = rest * rest
    sine = fma(fma(fma(S4, square, S3), square, S2), square, S1)
    sine = fma(sine * square, rest, rest)
    cosine = fma(fma(fma(C4, square, C3), square, C2), square, C1)
    cosine = fma(cosine * square, square, fma(-HALF, square, ONE))
    signed = flip_if_odd(weight, biased)
    return signed * cosine, signed * sine


@jit
def angle(re: Any, im: Any) -> Any:
    """Return the angle of ``re + i im`` in [-pi, pi], to about 2e-7 rad; 0 for the number 0."""
    width, height = abs(re), abs(im)
    larger = height if height > width else width
    smaller = width if height > width else height
    t = smaller / larger if larger > ZERO else ZERO
    square = t * t
    curve = fma(fma(fma(A7, square, A6), square, A5), square, A4)
    curve = fma(fma(fma(curve, square, A3), square, A2), square, A1)
    result = fma(curve * square, t, t)
    result = HALF_PI - result if height > width else result
    result = PI - result if re < ZERO else result
    return -result if im < ZERO else result


class Planes(NamedTuple):
    """Planes (pair, y, x) wherever they lie in memory, as long as each row is in one piece: nothing is copied."""

    values: Any
    pairs: int
    height: int
    width: int
    pair_step: int
    row_step: int


def planes_of(array: Any) -> Planes | None:
    """Return a float32 array (pair, y, x) as planes; None stays None."""
    if array is None:
        return None
    steps = [step // 4 for step in array.strides[:2]]
    size = (
        0 if not array.size else 1 + sum(s * (n - 1) for s, n in zip((*steps, 1), array.shape, strict=True))
    )
    values = np.lib.stride_tricks.as_strided(array, (size,), (4,), writeable=False)
    return Planes(values, *array.shape, *steps)


@jit
def line(planes: Any, k: int, r: int) -> Any:
    """Return row ``r`` of plane ``k``."""
    start = k * planes.pair_step + r * planes.row_step
    return planes.values[start : start + planes.width]


@jit
def _fill_row(phase: Any, coherence: Any, k: int, r: int, taps: Any, limit: Any, row: Any) -> Any:
    """Write the phasors of one row; return 0 if nothing in it is missing, zero-weighted or out of range."""
    values = line(phase, k, r)
    weights = values if coherence is None else line(coherence, k, r)
    pad = len(taps) // 2
    flag = np.int32(0)
    if coherence is None:
        for x in range(phase.width):
            value = values[x]
            flag = either(flag, outside(value, limit))
            row[0, pad + x], row[1, pad + x] = phasor(value, ONE)
    else:
        for x in range(phase.width):
            value, weight = values[x], weights[x]
            flag = either(flag, either(outside(value, limit), not_within(weight, TINY, COHERENCE_LIMIT)))
            row[0, pad + x], row[1, pad + x] = phasor(value, weight)
    return flag


@jit
def _copy_weight(coherence: Any, k: int, r: int, taps: Any, row: Any) -> None:
    """Write the weights of a clean row."""
    pad = len(taps) // 2
    if coherence is None:
        row[2, pad : row.shape[1] - pad] = ONE
    else:
        weights = line(coherence, k, r)
        for x in range(coherence.width):
            row[2, pad + x] = weights[x]


@jit
def _mend_row(phase: Any, coherence: Any, k: int, r: int, taps: Any, limit: Any, row: Any) -> int:
    """Give missing pixels of a row no weight, count the valid ones, and tell illegal values."""
    values = line(phase, k, r)
    weights = values if coherence is None else line(coherence, k, r)
    pad = len(taps) // 2
    far, wrong = np.int32(0), np.int32(0)
    for x in range(phase.width):
        value = values[x]
        weight = ONE if coherence is None else weights[x]
        there = (value == value) & (weight == weight)
        far = either(far, outside(value if there else ZERO, limit))
        wrong = either(wrong, outside((weight - HALF) if there else ZERO, HALF_COHERENCE))
        row[0, pad + x] = row[0, pad + x] if there else ZERO
        row[1, pad + x] = row[1, pad + x] if there else ZERO
        row[2, pad + x] = weight if there else ZERO
        row[3, pad + x] = ONE if there else ZERO
    if far != 0:
        return BAD_PHASE
    return BAD_COHERENCE if wrong != 0 else CLEAN


@jit
def _sum_across(row: Any, planes: int, r: int, taps: Any, sums: Any) -> None:
    """Sum ``len(taps)`` neighbours along x, left to right."""
    for plane in range(planes):
        for x in range(sums.shape[2]):
            total = row[plane, x]
            for k in range(1, len(taps)):
                total += row[plane, x + k]
            sums[r, plane, x] = total


@jit
def sum_down(sums: Any, planes: int, r: int, taps: Any, slot: int, z: Any) -> None:
    """Sum ``len(taps)`` rows of ``sums`` from row ``r`` on into ``z[slot]``, top to bottom."""
    for plane in range(planes):
        for x in range(z.shape[2]):
            total = sums[r, plane, x]
            for k in range(1, len(taps)):
                total += sums[r + k, plane, x]
            z[slot, plane, x] = total


@jit
def _clear(sums: Any, r: int) -> None:
    for plane in range(4):
        for x in range(sums.shape[2]):
            sums[r, plane, x] = ZERO


@jit
def gather(
    phase: Any,
    coherence: Any,
    k: int,
    top: int,
    bottom: int,
    taps: Any,
    limit: Any,
    planes: int,
    row: Any,
    sums: Any,
    valid: Any,
) -> int:
    """Fill ``sums`` with the across-sums of rows ``top - half`` to ``bottom + half`` of pair ``k``.

    ``planes`` of them where the tile is clean, all four where it has gaps; ``valid`` gets the pixels that are
    there. Returns CLEAN, GAPS, BAD_PHASE or BAD_COHERENCE.
    """
    half = len(taps) // 2
    status = CLEAN
    for r in range(top - half, bottom + half):
        slot = r - top + half
        if r < 0 or r >= phase.height:
            _clear(sums, slot)
            continue
        if _fill_row(phase, coherence, k, r, taps, limit, row) != 0:
            status = GAPS
            break
        if planes > 2:
            _copy_weight(coherence, k, r, taps, row)
        _sum_across(row, planes, slot, taps, sums)
    if status == CLEAN:
        return status
    return _gather_with_gaps(phase, coherence, k, top, bottom, taps, limit, row, sums, valid)


@jit
def _gather_with_gaps(
    phase: Any,
    coherence: Any,
    k: int,
    top: int,
    bottom: int,
    taps: Any,
    limit: Any,
    row: Any,
    sums: Any,
    valid: Any,
) -> int:
    half = len(taps) // 2
    worst = GAPS
    for r in range(top - half, bottom + half):
        slot = r - top + half
        if r < 0 or r >= phase.height:
            _clear(sums, slot)
            valid[slot] = ZERO
            continue
        _fill_row(phase, coherence, k, r, taps, limit, row)
        worst = max(worst, _mend_row(phase, coherence, k, r, taps, limit, row))
        _sum_across(row, 4, slot, taps, sums)
        for x in range(phase.width):
            valid[slot, x] = row[3, half + x]
    return worst


def legal(status: int, phase: Any, coherence: Any) -> None:
    """Raise ValueError for a ``status`` that a loop reported, naming the values that came."""
    if status == BAD_PHASE:
        raise ValueError(
            "phase: expected wrapped phase within (-pi, pi] rad, got values from "
            f"{_span(phase)}; wrap it with numpy.angle(numpy.exp(1j * phase)), "
            "or name the variable unwrapped_phase if it is unwrapped (infinite values: set them to NaN)"
        )
    if status == BAD_COHERENCE:
        raise ValueError(
            "coherence: expected values within 0..1, got values from "
            f"{_span(coherence)}; rescale it (products stored as bytes: "
            "divide by 255) or set what is not data to NaN"
        )


def _span(array: Any) -> str:
    """Return the smallest and largest value of ``array`` in words."""
    xp = array_namespace(array)
    return f"{float(xp.nanmin(array)):.6g} to {float(xp.nanmax(array)):.6g}"


def planes(array: Any) -> Any:
    """Return (..., y, x) as (pair, y, x)."""
    return None if array is None else array.reshape(-1, *array.shape[-2:])


def prepare(array: Any, *, wrap: bool = False) -> Any:
    """Return ``array`` as float32 with each row in one piece; ``wrap``: large phases are wrapped in double first."""
    if array is None:
        return None
    xp = array_namespace(array)
    if wrap and array.dtype != np.float32:
        array = xp.remainder(xp.asarray(array, dtype=np.float64) + np.pi, 2 * np.pi) - np.pi
    if xp is np and array.dtype == np.float32 and array.dtype.isnative and _rows_in_one_piece(array):
        return array
    return xp.ascontiguousarray(array, dtype=np.float32)


def _rows_in_one_piece(array: Any) -> bool:
    """Tell whether the loops can read a float32 array where it lies, such as a block cut out of a larger one."""
    steps = array.strides
    return bool(
        array.ndim == 3
        and array.flags.aligned
        and steps[-1] == 4
        and all(s > 0 and s % 4 == 0 for s in steps)
    )


BUFFERS_KEPT = 4
"""Sizes of buffers a thread keeps: those of its blocks and of the bands between them."""

_held = threading.local()


def workspace(tile: int, width: int, half: int) -> tuple[Any, ...]:
    """Return the buffers ``row``, ``sums``, ``valid``, ``z`` and ``good`` of this thread, kept for its next call.

    Only the padding of ``row`` must be zero, and nothing ever writes there; the rest is filled before it is read.
    """
    size = tile, width, half
    kept: dict[tuple[int, int, int], tuple[Any, ...]] = _held.__dict__.setdefault("buffers", {})
    if size not in kept:
        if len(kept) >= BUFFERS_KEPT:
            kept.clear()
        rows = tile + 2 * half + 1
        kept[size] = (
            np.zeros((4, width + 2 * half), np.float32),
            np.zeros((rows, 4, width), np.float32),
            np.zeros((rows, width), np.float32),
            np.zeros((2, 4, width), np.float32),
            np.zeros((2, width), np.float32),
        )
    return kept[size]


def inside(length: int, half: int) -> Any:
    """Return how many of the ``2 half + 1`` neighbours of each index lie within ``length``, one index past the end."""
    index = np.arange(length + 1)
    return (np.minimum(index + half, length - 1) - np.maximum(index - half, 0) + 1).astype(np.float32)
