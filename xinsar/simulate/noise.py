"""Decorrelation: complex speckle that loses its memory from date to date, and what multilooking makes of it.

The coherence of two dates dt days apart is quality * ((1 - rho) exp(-dt/tau) + rho). Such speckle needs no
matrix per pixel: a part that never changes (rho), one that forgets exponentially (first-order autoregressive,
the Cholesky factor of that matrix written as a recursion), and fresh noise (1 - quality) add up to exactly
this matrix for any dates. Pairs are then formed as a processor forms them, by averaging s_j conj(s_i) over
the looks, so the spread of the phase, the bias of the coherence, the errors shared by pairs with a common
date and the closure phase all come out of the same numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate.fields import complex_normal, smooth_field, stream, uniform_field

Array = NDArray[Any]

CELL_LOOKS = 3
"""Independent looks drawn at each corner of the pixels."""

LOOKS = 4 * CELL_LOOKS
"""Looks of a pixel: those of its four corners, so the noise is correlated over one pixel."""


THERMAL = 0.95
"""Coherence left by the receiver's noise."""

FORESHORTENED = 0.3
"""Where the ground's range resolution falls below this share of flat ground's, coherence falls with it."""


class CoverClass(NamedTuple):
    """Ranges of the lasting coherence and of the memory (days) of one kind of ground."""

    floor: tuple[float, float]
    memory: tuple[float, float]


CLASSES = {
    "forest": CoverClass((0.05, 0.15), (6.0, 12.0)),
    "grass": CoverClass((0.1, 0.3), (15.0, 40.0)),
    "rock": CoverClass((0.4, 0.8), (60.0, 200.0)),
}
"""Kinds of ground, from the one that decorrelates fastest."""


class Decorrelation(NamedTuple):
    """How the speckle of each pixel, or of each pixel corner, forgets."""

    floor: Array
    """Lasting coherence rho, 0..1."""
    memory: Array
    """Decay time tau, days."""
    quality: Array
    """Factor of every coherence, 0..1: thermal noise, distortion, strain."""


def coherence(law: Decorrelation, days: float) -> Array:
    """Return the coherence of two dates ``days`` apart, quality * ((1 - rho) exp(-days/tau) + rho).

    Examples
    --------
    >>> law = Decorrelation(np.array([0.2]), np.array([10.0]), np.array([1.0]))
    >>> coherence(law, 10.0).round(3)
    array([0.494])
    """
    return np.asarray(law.quality * ((1 - law.floor) * np.exp(-days / law.memory) + law.floor))


def cover(seed: int, elevation: Array, *, spacing: float) -> tuple[Array, Array]:
    """Draw the ground of a scene: its lasting coherence and memory (days), float32.

    Forest keeps to the valleys and rock to the heights, with patches of about a kilometre; inside a class
    both numbers vary smoothly over its whole range.
    """
    rng = stream(seed, "cover")
    shape = (elevation.shape[0], elevation.shape[1])
    height = (elevation - elevation.mean()) / max(float(elevation.std()), 1e-6)
    order = height + 1.5 * smooth_field(rng, shape, length=1000.0 / spacing)
    order = order + 0.5 * smooth_field(rng, shape, length=150.0 / spacing)
    shares = rng.uniform(0.15, 0.35), rng.uniform(0.55, 0.75)
    kind = np.digitize(order, np.quantile(order, shares))
    within = [uniform_field(rng, shape, length=600.0 / spacing) for _ in range(2)]
    return within_class(kind, within[0], "floor"), within_class(kind, within[1], "memory")


def within_class(kind: Array, within: Array, what: str) -> Array:
    """Return ``what`` of each pixel's class, at the share ``within`` (0..1) of its range."""
    low, high = np.array([getattr(c, what) for c in CLASSES.values()], dtype=np.float32).T
    return np.asarray(low[kind] + within * (high - low)[kind])


def at_corners(values: Array) -> Array:
    """Return the mean of the pixels around each corner, one row and one column more than ``values``."""
    padded = np.pad(values.astype(np.float32), 1, mode="edge")
    return _four(padded) / np.float32(4)


def _four(corners: Array) -> Array:
    """Sum the four corners of each pixel."""
    rows = corners[..., 1:, :] + corners[..., :-1, :]
    return np.asarray(rows[..., 1:] + rows[..., :-1])


def innovation(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return fresh looks for corners of ``shape``: complex64 (look, y, x)."""
    return complex_normal(rng, (CELL_LOOKS, *shape))


def remember(state: Array, fresh: Array, law: Decorrelation, *, days: float) -> Array:
    """Return the forgetful part of the speckle ``days`` later: phi * state + sqrt(1 - phi**2) * fresh."""
    phi = np.exp(-days / law.memory).astype(np.float32)
    return np.asarray(phi * state + np.sqrt(1 - phi**2) * fresh)


class Speckle(NamedTuple):
    """One date as the radar sees it, without its phase."""

    looks: Array
    """Complex looks at the corners, (look, y, x)."""
    power: Array
    """Sum of their squared lengths over the looks of each pixel, (y, x)."""


def speckle(lasting: Array, state: Array, fresh: Array, law: Decorrelation) -> Speckle:
    """Mix the lasting, the forgetful and the fresh part of one date."""
    looks = np.sqrt(law.quality * law.floor) * lasting
    looks += np.sqrt(law.quality * (1 - law.floor)) * state
    looks += np.sqrt(1 - law.quality) * fresh
    power = (looks.real**2 + looks.imag**2).sum(axis=0)
    return Speckle(looks, _four(power))


def interfere(reference: Speckle, secondary: Speckle) -> tuple[Array, Array]:
    """Multilook one pair.

    With z = sum over the looks of s_secondary conj(s_reference): phase arg z, and coherence |z| over the root
    of the product of the powers, the estimator products use (biased upward: noise alone gives about sqrt(pi /
    (4 L)) for L looks).

    Returns
    -------
    tuple of numpy.ndarray
        Phase (rad) and coherence (0..1), float32 (y, x).
    """
    z = _four((secondary.looks * reference.looks.conj()).sum(axis=0))
    length = np.sqrt(z.real**2 + z.imag**2)
    ratio = length / np.sqrt(reference.power * secondary.power)
    return np.arctan2(z.imag, z.real), np.minimum(ratio, np.float32(1))
