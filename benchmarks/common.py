"""Data and sizes shared by all benchmarks."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

FULL = os.environ.get("XINSAR_BENCH_SIZE", "tiny") == "full"
"""Whether benchmarks run at the size that is reported (else they only prove that they run)."""

PAIRS = int(os.environ.get("XINSAR_BENCH_PAIRS", "300"))
SHAPE = (PAIRS, 1500, 1500) if FULL else (6, 96, 96)
ROUNDS = int(os.environ.get("XINSAR_BENCH_ROUNDS", "7" if FULL else "1"))


def stack_arrays(shape: tuple[int, int, int], *, intervals: int = 8, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return phase, coherence and intervals (in steps of 12 days) of a simulated stack: a plane, bowls and noise."""
    rng = np.random.default_rng(seed)
    pairs, height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ground = 0.02 * x + 0.01 * y + 3 * np.sin(x / 40) * np.cos(y / 55)
    steps = rng.integers(1, intervals + 1, pairs)
    coherence = np.empty(shape, np.float32)
    phase = np.empty(shape, np.float32)
    base = 0.6 + 0.3 * np.sin(x / 90 + 1) * np.sin(y / 70)
    for k in range(pairs):
        coherence[k] = np.clip(base + 0.05 * rng.standard_normal((height, width), np.float32), 0.05, 0.98)
        noise = rng.standard_normal((height, width), np.float32) * (1.0 - coherence[k])
        phase[k] = np.angle(np.exp(1j * (steps[k] / intervals * ground + noise))).astype(np.float32)
    return phase, coherence, steps


def cube(shape: tuple[int, int, int], *, intervals: int = 8, seed: int = 0) -> xr.Dataset:
    """Return the same stack as a cube in metres."""
    phase, coherence, steps = stack_arrays(shape, intervals=intervals, seed=seed)
    dates = np.datetime64("2018-01-01", "ns") + np.arange(shape[0]) * np.timedelta64(12, "D")
    dims = ("pair", "y", "x")
    coords = {
        "x": ("x", 25.0 * np.arange(shape[2]), {"units": "m"}),
        "y": ("y", -25.0 * np.arange(shape[1]), {"units": "m"}),
        "reference_time": ("pair", dates),
        "secondary_time": ("pair", dates + steps * np.timedelta64(12, "D")),
    }
    variables = {"phase": (dims, phase, {"units": "rad"}), "coherence": (dims, coherence, {"units": "1"})}
    return xr.Dataset(variables, coords, {"wavelength": 0.0555})


def machine() -> dict[str, Any]:
    """Return what a result must say about where and with what it was measured."""
    packages = {}
    for name in ("numpy", "numba", "xarray", "dask", "zarr", "scipy", "opencv-python-headless"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "absent"
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": packages,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
