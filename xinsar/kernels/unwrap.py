"""Unwrapping of whole images by SNAPHU, which runs as a program of its own on scratch files.

SNAPHU finds, for the edges between neighbouring pixels, the whole cycles that make the phase consistent and are most
likely given the coherence. What comes back here is the given phase plus whole cycles, to the last bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xinsar.backend import Kernel
from xinsar.kernels.phasor import BAD_COHERENCE, BAD_PHASE, COHERENCE_LIMIT, PHASE_LIMIT, legal

Array = NDArray[Any]

SMALLEST = 8
"""Rows and columns below which SNAPHU refuses an image; smaller ones are padded with missing pixels."""

_PROGRAM = """
import sys, numpy, snaphu
folder = sys.argv[1]
options = eval(sys.argv[2], {})
load = lambda name: numpy.load(f"{folder}/{name}.npy", mmap_mode="r")
try:
    unwrapped, _ = snaphu.unwrap(load("phasor"), load("coherence"), mask=load("mask"), scratchdir=folder, **options)
except RuntimeError as error:
    sys.exit(str(error))
numpy.save(f"{folder}/unwrapped.npy", unwrapped)
"""
"""Run by a fresh interpreter: SNAPHU talks on standard output, which only a process of its own can keep quiet."""


def _check(phase: Array, coherence: Array) -> None:
    if np.nanmax(np.abs(phase), initial=0) > PHASE_LIMIT:
        legal(BAD_PHASE, phase, coherence)
    if np.nanmax(np.abs(coherence - 0.5), initial=0) > COHERENCE_LIMIT - 0.5:
        legal(BAD_COHERENCE, phase, coherence)


def _unwrap_numpy(phase: Any, coherence: Any, **options: Any) -> Any:
    """Unwrap every (y, x) plane of ``phase``; NaN in phase or coherence is missing and stays so."""
    weight = np.ones_like(phase) if coherence is None else coherence
    weight = np.broadcast_to(weight, phase.shape)
    out = np.full(phase.shape, np.nan, np.float32)
    for plane in np.ndindex(phase.shape[:-2]):
        _check(phase[plane], weight[plane])
        valid = np.isfinite(phase[plane]) & np.isfinite(weight[plane])
        if valid.any():
            out[plane] = _unwrap_image(phase[plane], weight[plane], valid, options)
    return out


def _unwrap_image(phase: Array, coherence: Array, valid: Array, options: dict[str, Any]) -> Array:
    """Unwrap one image that has valid pixels: whole cycles from SNAPHU, the free ones of each island by its median."""
    phase = np.where(valid, phase, 0).astype(np.float64)
    rough = run_snaphu(phase, np.where(valid, coherence, 0), valid, options)
    cycles = np.round((rough - phase) / (2 * np.pi))
    cycles -= _free_cycles(phase, phase + 2 * np.pi * cycles, valid)
    return np.where(valid, phase + 2 * np.pi * cycles, np.nan).astype(np.float32)


def _free_cycles(wrapped: Array, unwrapped: Array, valid: Array) -> Array:
    """Return the cycles to take off each island of valid pixels: its median is then nearest the wrapped median."""
    from scipy.ndimage import label, labeled_comprehension

    islands, number = label(valid)
    index = np.arange(number + 1)
    medians = [labeled_comprehension(a, islands, index, np.median, float, 0.0) for a in (unwrapped, wrapped)]
    return np.asarray(np.round((medians[0] - medians[1]) / (2 * np.pi)))[islands]


def run_snaphu(phase: Array, coherence: Array, valid: Array, options: dict[str, Any]) -> Array:
    """Return what SNAPHU makes of one image without NaN; scratch files live in a folder that goes away."""
    more = [(0, max(0, SMALLEST - n)) for n in phase.shape]
    inputs = {
        "phasor": np.pad(valid * np.exp(1j * phase), more).astype(np.complex64),
        "coherence": np.pad(coherence, more).astype(np.float32),
        "mask": np.pad(valid, more),
    }
    with tempfile.TemporaryDirectory(prefix="xinsar-unwrap-") as folder:
        for name, values in inputs.items():
            np.save(Path(folder) / f"{name}.npy", values)
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, folder, repr(options)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if done.returncode:
            rows, columns = phase.shape
            raise RuntimeError(
                f"unwrap: SNAPHU failed on an image of {rows} x {columns} pixels: {done.stderr.strip()}"
            )
        unwrapped: Array = np.load(Path(folder) / "unwrapped.npy")
    return unwrapped[: phase.shape[0], : phase.shape[1]]


unwrap = Kernel("unwrap", numpy=_unwrap_numpy)
