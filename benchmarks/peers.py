"""The same stack written by others: what xinsar is measured against, and what its numbers must equal."""

from __future__ import annotations

from typing import Any

import numpy as np


def reference(phase: Any, coherence: Any, window: int = 5) -> tuple[Any, Any, Any]:
    """Return the wrapped sums along y and x in float64, and the least |z| / sum(coherence) of any pair."""
    down = across = 0.0
    least = np.full(phase.shape[1:], np.inf)
    for k in range(len(phase)):
        c = coherence[k].astype(np.float64)
        p = phase[k].astype(np.float64)
        z = _box(c * np.cos(p), window) + 1j * _box(c * np.sin(p), window)
        least = np.minimum(least, np.abs(z) / _box(c, window))
        down = down + np.angle(z[1:] * z[:-1].conj())
        across = across + np.angle(z[:, 1:] * z[:, :-1].conj())
    return np.angle(np.exp(1j * down)), np.angle(np.exp(1j * across)), least


def _box(plane: Any, window: int) -> Any:
    """Return window sums, zeros beyond the edge, by adding shifted copies."""
    half = window // 2
    padded = np.pad(plane, half)
    height, width = plane.shape
    rows = sum(padded[i : i + height] for i in range(window))
    return sum(rows[:, i : i + width] for i in range(window))


def numpy_opencv(phase: Any, coherence: Any, window: int = 5) -> tuple[Any, Any]:
    """Return the wrapped sums as a careful user would write them: real cos and sin, box filter, unit products."""
    import cv2

    size = (window, window)
    shape = phase.shape[1:]
    down = np.ones((shape[0] - 1, shape[1]), np.complex64)
    across = np.ones((shape[0], shape[1] - 1), np.complex64)
    z = np.empty(shape, np.complex64)
    for k in range(len(phase)):
        for part, function in ((z.real, np.cos), (z.imag, np.sin)):
            plane = function(phase[k])
            plane *= coherence[k]
            part[:] = cv2.boxFilter(plane, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        for product, d in ((down, z[1:] * z[:-1].conj()), (across, z[:, 1:] * z[:, :-1].conj())):
            d /= np.abs(d)
            product *= d
    return np.angle(down), np.angle(across)


def scipy_textbook(phase: Any, coherence: Any, window: int = 5) -> tuple[Any, Any]:
    """Return the wrapped sums as a textbook shows them: complex exponentials, convolution, an angle per pair."""
    from scipy.ndimage import convolve

    kernel = np.ones((window, window))
    down = across = 0.0
    for k in range(len(phase)):
        z = coherence[k] * np.exp(1j * phase[k])
        z = convolve(z.real, kernel, mode="constant") + 1j * convolve(z.imag, kernel, mode="constant")
        down = np.angle(np.exp(1j * (down + np.angle(z[1:] * np.conj(z[:-1])))))
        across = np.angle(np.exp(1j * (across + np.angle(z[:, 1:] * np.conj(z[:, :-1])))))
    return down, across


def scipy_signal(phase: Any, coherence: Any, window: int = 5) -> tuple[Any, Any]:
    """Return the wrapped sums with the two-dimensional convolution of a complex image, as the paper words it."""
    from scipy.signal import convolve2d

    kernel = np.ones((window, window))
    down = across = 0.0
    for k in range(len(phase)):
        z = convolve2d(coherence[k] * np.exp(1j * phase[k]), kernel, mode="same")
        down = np.angle(np.exp(1j * (down + np.angle(z[1:] * np.conj(z[:-1])))))
        across = np.angle(np.exp(1j * (across + np.angle(z[:, 1:] * np.conj(z[:, :-1])))))
    return down, across
