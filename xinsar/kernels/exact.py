"""Sums that no order of adding can change: the statistics of a whole field, chunk by chunk, to the last bit.

A floating-point number is a whole number times a power of two. Values are cut into slices of 40 bits on an absolute
lattice of powers of two, slices are summed as int64, and the sums of all chunks are added as Python integers. Mean and
standard deviation are rounded once, at the end, from exact numerators.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, ldexp, nan, nextafter, sqrt
from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import bits_of, float_of, fma, jit

MOMENTS = ("count", "mean", "std", "peak")
"""What :func:`moments` gives of a field: valid values, mean, population standard deviation, largest |x - mean|."""

SLICE = 40
"""Bits in a slice."""
_SLICES = 110
"""Slices that hold any float64 and any square of one."""
_ZERO = 55
"""Index of the slice whose unit is 1."""
_SEGMENT = 1024
_FLUSH = 2**21
"""Values whose slices are summed before the int64 sums go over to Python integers (2**22 would still fit)."""
_ROUND = 1.5 * 2.0**52
"""Added and taken away again it rounds a float64 below 2**51 to a whole number."""


@dataclass(frozen=True)
class Sums:
    """Exact sums of values: ``total`` in units of 2**(-40 * 55), ``squares`` in the same; ``+`` joins two sets."""

    count: int = 0
    low: float = inf
    high: float = -inf
    total: int = 0
    squares: int = 0

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of both sets of values."""
        return Sums(
            self.count + other.count,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
        )


@jit
def _load(values: Any, first: int, number: int, scratch: Any, found: Any) -> None:
    """Copy values to ``scratch`` with 0 for NaN; note count, lowest, highest (as ordered integers) and largest |x|."""
    count = 0
    low, high = found[1], found[2]
    large = 0
    for i in range(number):
        value = np.float64(values[first + i])
        valid = value == value
        kept = value if valid else 0.0
        scratch[i] = kept
        bits = bits_of(kept)
        key = bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)
        count += 1 if valid else 0
        low = min(low, key if valid else 0x7FFFFFFFFFFFFFFF)
        high = max(high, key if valid else -0x7FFFFFFFFFFFFFFF)
        large = max(large, bits & 0x7FFFFFFFFFFFFFFF)
    found[0] += count
    found[1] = low
    found[2] = high
    found[3] = large


@jit
def _top_slice(large: int) -> int:
    """Return the number of the lattice line, in slices, above the value with the bits ``large``."""
    exponent = max((large >> 52) - 1022, -960)
    return -((-exponent) // SLICE)


@jit
def _cut(rest: Any, number: int) -> tuple[int, bool]:
    """Take the whole part out of every value, scale the rest by 2**40; return the sum and whether a rest is left."""
    total = 0
    left = 0
    for i in range(number):
        shifted = rest[i] + _ROUND
        total += bits_of(shifted) - 0x4338000000000000
        remainder = (rest[i] - (shifted - _ROUND)) * 2.0**SLICE
        rest[i] = remainder
        left |= bits_of(remainder) & 0x7FFFFFFFFFFFFFFF
    return total, left != 0


@jit
def _cut_all(rest: Any, number: int, top: int, bins: Any) -> None:
    """Add all slices of the values, which lie below 2**40 in units of slice ``top``, to ``bins``."""
    left = True
    while left and top + _ZERO >= 0:
        total, left = _cut(rest, number)
        bins[top + _ZERO] += total
        top -= 1


@jit
def _scale(values: Any, number: int, factor: float) -> None:
    for i in range(number):
        values[i] *= factor


@jit
def _square(values: Any, number: int, squares: Any, rounding: Any) -> None:
    """Write squares in units of 2**40 and what rounding took from them."""
    for i in range(number):
        square = values[i] * values[i]
        rounding[i] = fma(values[i], values[i], -square) * 2.0**-SLICE
        squares[i] = square * 2.0**-SLICE


@jit
def _add_all(values: Any, double: int, total: Any, squares: Any, found: Any, scratch: Any) -> None:
    """Add ``values`` (contiguous) to the slices ``total`` and ``squares``; note count and extremes in ``found``.

    ``double``: the values are float64, whose squares need two.
    """
    for first in range(0, values.size, _SEGMENT):
        number = min(_SEGMENT, values.size - first)
        _load(values, first, number, scratch[0], found)
        if found[3] == 0:
            continue
        if found[3] >= 0x7FF0000000000000:
            found[4] = 1
            return
        top = _top_slice(found[3])
        _scale(scratch[0], number, float_of((SLICE - SLICE * top + 1023) << 52))
        _square(scratch[0], number, scratch[1], scratch[2])
        _cut_all(scratch[0], number, top - 1, total)
        _cut_all(scratch[1], number, 2 * top - 1, squares)
        if double:
            _cut_all(scratch[2], number, 2 * top - 1, squares)


def _whole(bins: Any) -> int:
    return sum(int(value) << (SLICE * i) for i, value in enumerate(bins.tolist()) if value)


def _ordered(key: int) -> float:
    """Return the float64 of an ordered integer."""
    bits = np.int64(key)
    return float((bits ^ ((bits >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64))


def sums_of(values: Any) -> Sums:
    """Return the exact sums of the valid values of an array; raise ValueError where one is infinite."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype not in (np.float32, np.float64):
        flat = flat.astype(np.float64)
    scratch = np.empty((3, _SEGMENT))
    found = np.array([0, 2**63 - 1, 1 - 2**63, 0, 0])
    total = squares = 0
    for first in range(0, flat.size, _FLUSH):
        bins = np.zeros((2, _SLICES), np.int64)
        _add_all(
            flat[first : first + _FLUSH], int(flat.dtype == np.float64), bins[0], bins[1], found, scratch
        )
        if found[4]:
            raise ValueError(INFINITE)
        total, squares = total + _whole(bins[0]), squares + _whole(bins[1])
    if found[0] == 0:
        return Sums()
    return Sums(int(found[0]), _ordered(int(found[1])), _ordered(int(found[2])), total, squares)


INFINITE = (
    "values: expected finite numbers or NaN, found an infinite one; mark it missing first, e.g. "
    "field.where(numpy.isfinite(field))"
)


def _sums_cupy(values: Any) -> Sums:
    from xinsar.kernels.cuda.launch import exact_sums

    return exact_sums(values)


_sums = Kernel("exact sums", numpy=sums_of, cupy=_sums_cupy)


def partial_sums(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the :class:`Sums` over ``axes`` of ``block``, in an object array that keeps them with length 1."""
    axes = tuple(a % block.ndim for a in axes)
    others = [a for a in range(block.ndim) if a not in axes]
    fields = block.transpose(*others, *axes).reshape(*(block.shape[a] for a in others), -1)
    out = np.empty(tuple(1 if a in axes else n for a, n in enumerate(block.shape)), object)
    places = np.ndindex(*(block.shape[a] for a in others))
    flat = out.reshape(-1)
    for i, place in enumerate(places):
        flat[i] = _sums(fields[place])
    return out


def moments_of(sums: Sums) -> tuple[float, float, float, float]:
    """Return count, mean, standard deviation (0 for a constant field) and the largest distance from the mean."""
    if sums.count == 0:
        return 0.0, nan, nan, nan
    unit = 2 ** (SLICE * _ZERO)
    mean = float(Fraction(sums.total, sums.count * unit))
    if sums.low == sums.high:
        return float(sums.count), sums.low, 0.0, 0.0
    spread = sums.count * sums.squares * unit - sums.total**2
    variance = Fraction(spread, (sums.count * unit) ** 2)
    peak = max(sums.high - mean, mean - sums.low)
    return float(sums.count), mean, _root(variance), nextafter(peak, inf)


def _root(variance: Fraction) -> float:
    """Return the square root of an exact variance, whose own value a float64 may be too small to hold."""
    half = (variance.numerator.bit_length() - variance.denominator.bit_length()) // 2
    return ldexp(sqrt(variance / Fraction(4) ** half), half)


def moments(sums: Any) -> Any:
    """Return the moments of an object array of :class:`Sums`, (..., 4)."""
    sums = np.asarray(sums, object)
    out = np.empty((*sums.shape, len(MOMENTS)))
    for place in np.ndindex(*sums.shape):
        out[place] = moments_of(sums[place])
    return out


@jit
def fixed_point(peak: float, bits: int) -> Any:
    """Return the power of two that takes ``peak`` to at most ``2**bits``; 0 where there is none.

    There is none for 0, what is not finite, and what is below 2**(bits - 1023): no spread to speak of.
    """
    exponent = (bits_of(peak) >> 52) - 1022
    if not 0.0 < peak < np.inf or bits - exponent > 1023:
        return 0.0
    return float_of((max(bits - exponent, -1022) + 1023) << 52)


@jit
def z_score(total: float, w: float, w2: float, n: float, std: float) -> Any:
    """Return Gi* from ``total`` = sum of w (x - mean), w = sum of weights, w2 = sum of their squares."""
    room = n * w2 - w * w
    sound = (room > 0.0) & (std > 0.0) & (n > 1.0)
    return total / (std * np.sqrt((room if sound else 1.0) / (n - 1.0))) if sound else np.nan
