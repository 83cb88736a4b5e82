# ruff: noqa: ARG001  (numba dictates the signatures of intrinsics)
r"""Two-sided p of a z score under the standard normal distribution.

``p = erfc(|z| / sqrt 2) = exp(-z**2 / 2) h(z)``, where h falls slowly from 1. With ``q = 1 / (z + 4)`` and
``t = 1 - 8 q`` the product ``h(z) / q`` is a polynomial in t, fitted for the least relative error (Remez) to values of
60 digits: degree 18 and 4e-15 for float64, degree 9 and 1e-8 for float32, which is computed in float64 too.
The exponential is that of ``z**2 / 4``, which cannot underflow, squared; what rounding takes from z**2 is put back.

Every step is an addition, a product or a fused product of one element, so a p-value's bits depend on nothing but its z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic

from xinsar.backend import Kernel
from xinsar.kernels._jit import bits_of, float_of, fma, jit

CURVE_64 = (
    *(-7.917260301345453e-08, -2.1020989478537502e-07, 4.39684958889652e-07, 1.8998453452816669e-06),
    *(-1.1927793360900284e-06, -1.1728401514155647e-05, 1.407721228153515e-06, 7.023708664087705e-05),
    *(-3.810464904643039e-06, -0.00046217499596746473, 0.0002666877243756268, 0.0032616344119152808),
    *(-0.006959384646104831, -0.01508037770418462, 0.12079314977609101, -0.37304371592886415),
    *(0.774274801484615, -1.2157932839436683, 1.510570260831502),
)
CURVE_32 = (
    *(-0.0002761531184695832, 0.0003334570773009614, 0.0031326857161405766, -0.007011679279821316),
    *(-0.015043910542395325, 0.12080551725702827, -0.37304805493824894, 0.7742739126579936),
    *(-1.2157931294434892, 1.5105702697159644),
)
"""h(z) (z + 4) as a polynomial in t, highest power first."""

GROWTH_64 = (
    *(2.4994276896149847e-08, 2.7632308098881576e-07, 2.7557622703711737e-06, 2.4801486481657562e-05),
    *(0.0001984126943237563, 0.0013888888951260805, 0.00833333333355948, 0.04166666666649263),
    *(0.1666666666666617, 0.5000000000000018, 1.0, 1.0),
)
GROWTH_32 = (
    *(0.0013836834174227842, 0.00837482409064921, 0.04166822623904864, 0.16666420071856994),
    *(0.49999992074703714, 1.0000000363446124, 1.0000000005546412),
)
"""exp(x) for ``|x| <= ln 2 / 2`` as a polynomial, highest power first; relative errors 3e-18 and 2e-9."""

FAR_64, FAR_32 = 40.0, 16.0
"""From here on p is 0 in the dtype."""

_LOG2E, _LN2, _LN2_REST = 1.4426950408889634, 0.6931471805599453, 2.3190468138462996e-17
_ROUND = 1.5 * 2.0**52
"""Added and taken away again it rounds a float64 to a whole number, held in its low bits in between."""


@intrinsic  # type: ignore[untyped-decorator]
def polynomial(typingctx: Any, x: Any, coefficients: Any) -> Any:
    """Return a polynomial of float64 ``x`` from a tuple of coefficients, highest power first, by fused products.

    A loop over so long a tuple would not be unrolled, and what holds a loop is not vectorised.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.extract_value(args[1], 0)
        for k in range(1, coefficients.count):
            value = builder.fma(value, args[0], builder.extract_value(args[1], k))
        return value

    return x(x, coefficients), generate


@jit
def fill_p(values: Any, curve: Any, growth: Any, far: float, out: Any) -> None:
    """Write p of every z, both contiguous and 1-D; ``out`` may be longer."""
    for i in range(values.size):
        given = np.float64(values[i])
        size = abs(given)
        z = size if size < far else far
        square = z * z
        quarter = -0.25 * square
        rest = -0.25 * fma(z, z, -square)
        biased = fma(quarter, _LOG2E, _ROUND)
        turns = biased - _ROUND
        small = fma(-turns, _LN2_REST, fma(-turns, _LN2, quarter)) + rest
        root = polynomial(small, growth) * float_of((bits_of(biased) + 1023) << 52)
        q = 1.0 / (z + 4.0)
        p = (q * polynomial(fma(-8.0, q, 1.0), curve) * root) * root
        p = p if p < 1.0 else 1.0
        out[i] = p if given == given else np.nan


def _numpy(z: Any) -> Any:
    """Return p of any array of z, float32 for float32 and float64 for every other dtype."""
    single = z.dtype.newbyteorder("=") == np.float32
    values = np.ascontiguousarray(z, np.float32 if single else np.float64)
    out = np.empty_like(values)
    chosen = (CURVE_32, GROWTH_32, FAR_32) if single else (CURVE_64, GROWTH_64, FAR_64)
    fill_p(values.reshape(-1), *chosen, out.reshape(-1))  # type: ignore[call-arg]
    return out.reshape(z.shape)


CUDA = "p = 2 * normcdf(-fabs(z))"
"""The twin: CUDA's distribution function keeps its relative accuracy in the tail."""


def _cupy(z: Any) -> Any:
    import cupy

    kernel = cupy.ElementwiseKernel("T z", "T p", CUDA, "two_sided_p")
    return kernel(z if z.dtype == np.float32 else z.astype(np.float64))


two_sided_p = Kernel("two_sided_p", numpy=_numpy, cupy=_cupy)
"""p = erfc(|z| / sqrt 2) of an array of z scores, in its dtype (float32 or float64): NaN gives NaN, infinity 0.

Relative error up to 7.2e-8 (float32) and 4.3e-15 (float64) down to the smallest normal number, reached at |z| = 13.0
and 37.5; below it p is rounded to a subnormal and, from |z| = 14.2 and 38.6 on, to 0.
"""
