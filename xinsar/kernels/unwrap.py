"""Unwrapping of whole images by SNAPHU, which runs as a program of its own on scratch files.

SNAPHU finds, for the edges between neighbouring pixels, the whole cycles that make the phase consistent and
are most likely given the coherence. What comes back here is the given phase plus whole cycles, to the last
bit.
"""

from __future__ import annotations

import json
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
import json, sys, numpy, snaphu
folder, options = sys.argv[1], json.loads(sys.argv[2])
load = lambda name: numpy.load(f"{folder}/{name}.npy", mmap_mode="r")
try:
    unwrapped, _ = snaphu.unwrap(load("phasor"), load("coherence"), mask=load("mask"), scratchdir=folder,
    **options)
except RuntimeError as error:
    sys.exit(str(error))
numpy.save(f"{folder}/unwrapped.npy", unwrapped)
"""
"""For a fresh interpreter: SNAPHU talks on standard output, which only a process of its own can hush."""


def _check(phase: Array, coherence: Array) -> None:
    """Raise ValueError for phase that is not wrapped, or coherence outside 0..1."""
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
    """Unwrap one image that has valid pixels: cycles from SNAPHU, the free ones of each island by medians."""
    phase = np.where(valid, phase, 0).astype(np.float64)
    rough = run_snaphu(phase, np.where(valid, coherence, 0), valid, options)
    cycles = np.round((rough - phase) / (2 * np.pi))
    cycles -= _free_cycles(phase, phase + 2 * np.pi * cycles, valid)
    return np.where(valid, phase + 2 * np.pi * cycles, np.nan).astype(np.float32)


def _free_cycles(wrapped: Array, unwrapped: Array, valid: Array) -> Array:
    """Return the cycles to take off islands of valid pixels: their medians are then nearest the wrapped."""
    from scipy.ndimage import label, labeled_comprehension

    islands, number = label(valid)
    index = np.arange(number + 1)
    medians = [labeled_comprehension(a, islands, index, np.median, float, 0.0) for a in (unwrapped, wrapped)]
    free: Array = np.round((medians[0] - medians[1]) / (2 * np.pi))
    return np.asarray(free[islands])


def run_snaphu(phase: Array, coherence: Array, valid: Array, options: dict[str, Any]) -> Array:
    """Return what SNAPHU makes of one image without NaN; scratch files live in a folder that goes away."""
    more = [(0, max(0, SMALLEST - n)) for n in phase.shape]
    inputs = {
        "phasor": np.pad(valid * np.exp(1j * phase), more).astype(np.complex64),
        "coherence": np.pad(np.minimum(coherence, 1), more).astype(np.float32),
        "mask": np.pad(valid, more),
    }
    with tempfile.TemporaryDirectory(prefix="xinsar-unwrap-") as folder:
        for name, values in inputs.items():
            np.save(Path(folder) / f"{name}.npy", values)
        message = _run_program(folder, options)
        if message is not None:
            rows, columns = phase.shape
            raise RuntimeError(f"unwrap: SNAPHU failed on an image of {rows} x {columns} pixels: {message}")
        unwrapped: Array = np.load(Path(folder) / "unwrapped.npy")
    return unwrapped[: phase.shape[0], : phase.shape[1]]


def _run_program(folder: str, options: dict[str, Any]) -> str | None:
    """Run SNAPHU on the files of ``folder``; return what it complains about, None where it is content."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, folder, json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return None if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


unwrap = Kernel("unwrap", numpy=_unwrap_numpy)
