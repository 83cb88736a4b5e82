"""The mean direction of angles, summed exactly: no order of adding, and so no chunking, changes a bit of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, nan
from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.exact import _ZERO, SLICE, Sums, partial_sums
from xinsar.kernels.phasor import ONE, phasor


@dataclass(frozen=True)
class Resultant:
    """Sums of the cosines and the sines of angles; ``+`` joins two sets."""

    cosines: Sums
    sines: Sums

    def __add__(self, other: Resultant) -> Resultant:
        """Return the sums of both sets of angles."""
        return Resultant(self.cosines + other.cosines, self.sines + other.sines)

    @property
    def direction(self) -> float:
        """Angle of the summed phasors, NaN without any."""
        unit = 2 ** (SLICE * _ZERO)
        return atan2(self.sines.total / unit, self.cosines.total / unit) if self.cosines.count else nan


@jit
def _phasors(angles: Any, cosines: Any, sines: Any) -> None:
    for i in range(angles.size):
        cosines[i], sines[i] = phasor(angles[i], ONE)


def _numpy(angles: Any) -> tuple[Any, Any]:
    """Return cosines and sines, float32, to about 1e-7; NaN where the angle is."""
    flat = np.ascontiguousarray(angles, np.float32).reshape(-1)
    cosines, sines = np.empty((2, flat.size), np.float32)
    _phasors(flat, cosines, sines)
    return cosines.reshape(angles.shape), sines.reshape(angles.shape)


phasors = Kernel("phasors", numpy=_numpy)


def partial_resultants(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the :class:`Resultant` over ``axes`` of ``block``, in an object array that keeps them with length 1."""
    cosines, sines = (partial_sums(part, axes) for part in phasors(block))
    out = np.empty(cosines.shape, object)
    for place in np.ndindex(out.shape):
        out[place] = Resultant(cosines[place], sines[place])
    return out


def directions(resultants: Any) -> Any:
    """Return the directions of an object array of :class:`Resultant`, (..., 1)."""
    out = np.empty((*resultants.shape, 1))
    for place in np.ndindex(*resultants.shape):
        out[place] = resultants[place].direction
    return out


def wrap(angles: Any, dtype: Any) -> Any:
    """Return angles, float64, within (-pi, pi] as ``dtype`` sees it."""
    turn, top = 2 * np.pi, np.dtype(dtype).type(np.pi)
    wrapped = (angles - turn * np.ceil(angles / turn - 0.5)).astype(dtype)
    return np.where(wrapped <= -top, top, np.minimum(wrapped, top))
