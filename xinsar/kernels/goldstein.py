"""Adaptive filter of the local spectrum (Goldstein and Werner 1998).

In every patch, with Z the Fourier transform of the phasors ``exp(i phase)`` (0 where missing or outside the
image),

    Z' = Z * (S / max S)**alpha,    S = mean of |Z| over smoothing x smoothing frequencies (the spectrum is
    periodic).

Patches begin at every ``step`` pixels, from the first that touches the array to the last; their inverse
transforms are weighted by a pyramid and summed, and the angle of the sum is the result. Dividing by max S
changes nothing within a patch, but lets neighbouring patches count alike.

A pixel's bits depend on its patches only: sums run in the order of places inside the patch, and transforms
are made in batches whose size is a multiple of every vector width, so that none falls to the scalar
remainder of a loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xinsar.backend import Kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.phasor import (
    BAD_COHERENCE,
    BAD_PHASE,
    CLEAN,
    COHERENCE_LIMIT,
    NAN,
    ONE,
    PHASE_LIMIT,
    ZERO,
    angle,
    legal,
    phasor,
    prepare,
)

Array = NDArray[Any]

BATCH = 16
"""Patches are transformed in multiples of this many."""


@jit
def _phasors(phase: Any, coherence: Any, k: int, limit: Any, before: int, z: Any, weight: Any) -> int:
    """Write the phasors of image ``k`` into ``z`` (y, x, 2), their coherence and count into ``weight``."""
    for r in range(phase.shape[1]):
        for x in range(phase.shape[2]):
            value = phase[k, r, x]
            quality = ONE if coherence is None else coherence[k, r, x]
            if np.isnan(value) or np.isnan(quality):
                continue
            if not abs(value) <= limit:
                return BAD_PHASE
            if not (quality >= ZERO and quality <= COHERENCE_LIMIT):
                return BAD_COHERENCE
            z[before + r, before + x, 0], z[before + r, before + x, 1] = phasor(value, ONE)
            weight[before + r, before + x, 0] = quality
            weight[before + r, before + x, 1] = ONE
    return CLEAN


@jit
def _angles(total: Any, weight: Any, before: int, out: Any) -> None:
    """Write the angle of ``total`` (y, x, 2) where a pixel is there, NaN elsewhere."""
    for r in range(out.shape[0]):
        for x in range(out.shape[1]):
            there = weight[before + r, before + x, 1] > ZERO
            re, im = total[before + r, before + x, 0], total[before + r, before + x, 1]
            out[r, x] = angle(re, im) if there else NAN


def pyramid(patch: int) -> Array:
    """Return the weights of a patch: they fall linearly from its centre and are above 0 everywhere."""
    ramp = np.minimum(np.arange(1, patch + 1), np.arange(patch, 0, -1)).astype(np.float32)
    return ramp[:, None] * ramp


def _patches(strip: Array, step: int) -> Array:
    """Return the patches of a strip (patch, x, ...) as (n, patch, patch, ...), n a multiple of BATCH."""
    patch = strip.shape[0]
    number = (strip.shape[1] - patch) // step + 1
    out = np.zeros((-(-number // BATCH) * BATCH, patch, patch, *strip.shape[2:]), strip.dtype)
    for i in range(number):
        out[i] = strip[:, i * step : i * step + patch]
    return out


def _smooth(spectrum: Array, width: int) -> Array:
    """Return sums over ``width`` x ``width`` neighbours of periodic spectra (n, y, x), in a fixed order."""
    for axis in (-2, -1):
        spectrum = sum(
            (np.roll(spectrum, shift, axis) for shift in range(width // 2, -(width // 2) - 1, -1)),
            start=np.zeros_like(spectrum),
        )
    return spectrum


def _alphas(weights: Array) -> Array:
    """Return 1 - mean coherence (n, 1, 1) of patches of coherence and count (n, patch, patch, 2)."""
    sums = np.ascontiguousarray(np.moveaxis(weights, -1, 0)).reshape(2, len(weights), -1).sum(axis=-1)
    mean = sums[0] / np.maximum(sums[1], ONE)
    return np.asarray(np.clip(ONE - mean, ZERO, ONE))[:, None, None]


def _filtered(patches: Array, alpha: Any, smoothing: int) -> Array:
    """Return the patches (n, y, x), complex64, after weighting their spectra."""
    from scipy.fft import fft2, ifft2

    spectrum = fft2(patches, overwrite_x=True)
    strength = _smooth(np.abs(spectrum), smoothing)
    peak = strength.max(axis=(-2, -1), keepdims=True)
    strength /= np.where(peak > ZERO, peak, ONE)
    spectrum *= np.power(strength, alpha, dtype=np.float32)
    filtered: Array = ifft2(spectrum, overwrite_x=True)
    return filtered


def _add_patches(patches: Array, step: int, total: Array) -> None:
    """Add overlapping patches (n, patch, patch) to the strip ``total`` (patch, x), cell by cell."""
    patch = total.shape[0]
    cells = total.reshape(patch, -1, step)
    number = (total.shape[1] - patch) // step + 1
    for i in range(patch // step):
        cells[:, i : i + number] += patches[:number, :, i * step : (i + 1) * step].swapaxes(0, 1)


def _filter_image(
    z: Array, weight: Array, alpha: float | None, patch: int, step: int, smoothing: int
) -> Array:
    """Return the sum of the filtered patches of padded phasors ``z`` (y, x), complex64."""
    total = np.zeros_like(z)
    taper = pyramid(patch)
    for top in range(0, z.shape[0] - patch + 1, step):
        rows = slice(top, top + patch)
        if not weight[rows, :, 1].any():
            continue
        power = np.float32(alpha) if alpha is not None else _alphas(_patches(weight[rows], step))
        patches = _filtered(_patches(z[rows], step), power, smoothing)
        _add_patches(patches * taper, step, total[rows])
    return total


def _goldstein_numpy(
    phase: Any, coherence: Any, *, alpha: float | None, patch: int, step: int, smoothing: int
) -> Any:
    """Filter (..., y, x), whose first pixel lies on the lattice; ``alpha`` None: 1 - mean coherence."""
    shape = phase.shape
    phase = prepare(phase).reshape(-1, *shape[-2:])
    coherence = None if coherence is None else prepare(coherence).reshape(phase.shape)
    before = patch - step
    padded = [-(-n // step) * step + 2 * before for n in shape[-2:]]
    out = np.empty(phase.shape, np.float32)
    for k in range(len(phase)):
        z, weight = np.zeros((*padded, 2), np.float32), np.zeros((*padded, 2), np.float32)
        legal(_phasors(phase, coherence, k, PHASE_LIMIT, before, z, weight), phase, coherence)
        total = _filter_image(z.view(np.complex64)[..., 0], weight, alpha, patch, step, smoothing)
        _angles(total.view(np.float32).reshape(*padded, 2), weight, before, out[k])
    return out.reshape(1, *shape)


goldstein_filter = Kernel("goldstein_filter", numpy=_goldstein_numpy)
