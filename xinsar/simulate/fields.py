"""Random numbers and random fields: streams addressed by name, and spectral synthesis.

Every stream is a counter-based generator whose key is a digest of the benchmark's version, the seed and the
name of what is drawn. A stream therefore depends on nothing that was drawn before it: any date, body or track
can be made alone, in any order and in any process, with the same bits.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VERSION = "SimSlide-1"
"""Version of the benchmark; part of the key of every stream."""


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return the generator of the numbers called ``name`` in the scene ``seed``.

    Examples
    --------
    >>> bool(stream(1, "noise", 4).random() == stream(1, "noise", 4).random())
    True
    """
    text = "/".join(map(str, (VERSION, seed, *name)))
    key = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return circular complex Gaussian numbers with mean power 1, complex64."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32)
    parts *= np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)[..., 0]


def lognormal(rng: np.random.Generator, median: float, sigma: float, low: float, high: float) -> float:
    """Return one lognormal number of the given median and log standard deviation, clipped."""
    return float(np.clip(median * np.exp(sigma * rng.standard_normal()), low, high))


class Spectrum:
    """A power law with breaks, ready to draw fields of one grid.

    The field is made on a grid at least twice as large and cropped, because a field made by FFT is periodic.

    Parameters
    ----------
    shape
        Rows and columns of the fields.
    spacing
        Pixel spacing, m.
    exponents
        Exponents e of the two-dimensional power spectral density k**-e, from the longest wavelengths to the
        shortest.
    breaks
        Wavelengths between two exponents, m, falling; one fewer than ``exponents``.
    unit_window
        Side of a square in m inside which the variance about its mean is 1; None for no particular unit.
        Fields of two grids then have the same power at the wavelengths that both hold.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        spacing: float,
        *,
        exponents: tuple[float, ...],
        breaks: tuple[float, ...] = (),
        unit_window: float | None = None,
    ) -> None:
        from scipy.fft import next_fast_len

        self.shape, self.spacing = shape, spacing
        self.padded = tuple(next_fast_len(2 * n, real=True) for n in shape)
        ky = np.fft.fftfreq(self.padded[0], spacing)[:, None]
        kx = np.fft.rfftfreq(self.padded[1], spacing)[None, :]
        density = power_law(np.hypot(ky, kx), exponents=exponents, breaks=breaks)
        if unit_window is not None:
            density /= _variance_inside(unit_window, exponents, breaks, shortest=2 * spacing)
        cell = 1.0 / (self.padded[0] * self.padded[1] * spacing**2)
        self.power = density * cell

    def draw(self, rng: np.random.Generator) -> Array:
        """Return one real field, float32, of mean zero over the padded grid."""
        from scipy.fft import irfft2

        modes = complex_normal(rng, self.power.shape)
        modes *= self._amplitude()
        field = irfft2(modes, s=self.padded, norm="forward", overwrite_x=True)
        return np.array(field[: self.shape[0], : self.shape[1]], dtype=np.float32)

    def _amplitude(self) -> Array:
        amplitude: Array = np.sqrt(self.power).astype(np.float32)
        # The transform keeps the real part of these columns only, half of their power.
        amplitude[:, 0] *= np.sqrt(2.0)
        if self.padded[1] % 2 == 0:
            amplitude[:, -1] *= np.sqrt(2.0)
        return amplitude

    def structure_function(self, distances: Array) -> Array:
        """Return the expected mean squared difference of a field at ``distances`` (m), mean of both axes."""
        from scipy.fft import irfft2

        covariance = irfft2(self.power.astype(complex), s=self.padded, norm="forward")
        out = np.zeros(np.shape(distances))
        for line in (covariance[0, : self.padded[1] // 2], covariance[: self.padded[0] // 2, 0]):
            lags = np.arange(line.size) * self.spacing
            out += np.interp(distances, lags, line[0] - line)
        return out


def power_law(wavenumber: Array, *, exponents: tuple[float, ...], breaks: tuple[float, ...]) -> Array:
    """Return the continuous broken power law of ``wavenumber`` (cycles per metre); 0 at wavenumber 0."""
    k = np.where(wavenumber > 0, wavenumber, 1.0)
    density = k ** -exponents[0]
    for before, after, wavelength in zip(exponents, exponents[1:], breaks, strict=False):
        density *= np.where(k * wavelength > 1, (k * wavelength) ** (before - after), 1.0)
    return np.where(wavenumber > 0, density, 0.0)


def _variance_inside(
    side: float, exponents: tuple[float, ...], breaks: tuple[float, ...], *, shortest: float
) -> float:
    """Return the variance about the mean of a square.

    Integral of the density times 1 - sinc(kx side)**2 sinc(ky side)**2. Trapezoid rule over the wavenumber's
    logarithm and the angle.
    """
    k = np.geomspace(1e-4 / side, 1 / shortest, 2000)[:, None]
    angle = np.linspace(0, np.pi / 2, 91)
    mean_removed = 1 - (np.sinc(k * side * np.cos(angle)) * np.sinc(k * side * np.sin(angle))) ** 2
    ring = power_law(k[:, 0], exponents=exponents, breaks=breaks) * 2 * np.pi * k[:, 0] ** 2
    return float(np.trapezoid(ring * mean_removed.mean(axis=1), np.log(k[:, 0])))


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], *, length: float) -> Array:
    """Return a Gaussian field of mean 0 and variance 1 whose correlation falls to 1/e at ``length`` pixels.

    White noise convolved with a Gaussian of standard deviation length/2; edges are not mirrored, the noise is
    drawn beyond them.
    """
    from scipy.ndimage import gaussian_filter

    sigma = length / 2
    pad = int(4 * sigma) + 1
    noise = rng.standard_normal((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=np.float32)
    field = gaussian_filter(noise, sigma, truncate=4.0)[pad:-pad, pad:-pad]
    line = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    line /= line.sum()
    return np.asarray(field / np.sum(line**2), dtype=np.float32)


def uniform_field(rng: np.random.Generator, shape: tuple[int, int], *, length: float) -> Array:
    """Return a smooth field whose values are spread evenly over 0..1."""
    from scipy.special import ndtr

    return np.asarray(ndtr(smooth_field(rng, shape, length=length)), dtype=np.float32)
