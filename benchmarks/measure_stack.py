"""Measure the stack against its peers: equal first, then interleaved in one run. Writes results/stack-cpu.json.

Run from the top of the checkout: ``python -m benchmarks.measure_stack`` (XINSAR_BENCH_SIZE=full for the reported size).
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np

import xinsar
from benchmarks import common, peers
from benchmarks.measuring import RESULTS, cpu, wall


def stack(cube: Any, estimator: str = "wrapped_sum") -> Any:
    """Return the stack, computed."""
    return cube.insar.phase_gradient_stack(estimator=estimator, max_temporal_baseline=3650).compute()


def equality(cube: Any) -> dict[str, float]:
    """Return how far the stack lies from the float64 reference."""
    phase, coherence = cube.phase.values, cube.coherence.values
    down, across, least = peers.reference(phase, coherence)
    found = stack(cube)
    errors = []
    for got, wanted, edge in (
        (found.gradient_y.values[:-1], down, np.minimum(least[1:], least[:-1])),
        (found.gradient_x.values[:, :-1], across, np.minimum(least[:, 1:], least[:, :-1])),
    ):
        errors.append(np.abs(np.angle(np.exp(1j * (got - wanted))))[edge > 0.05])
    error = np.concatenate(errors)
    return {
        "share_within_1e-5": float((error <= 1e-5).mean()),
        "largest": float(error.max()),
        "edges": error.size,
    }


def kernels(cube: Any, few: Any) -> dict[str, float]:
    """Return CPU seconds per pair of every implementation, medians of interleaved rounds."""
    phase, coherence = few.phase.values, few.coherence.values
    calls = {
        "xinsar wrapped_sum": (lambda: stack(cube), cube.sizes["pair"]),
        "xinsar sum": (lambda: stack(cube, "sum"), cube.sizes["pair"]),
        "xinsar rate": (lambda: stack(cube, "rate"), cube.sizes["pair"]),
        "NumPy + OpenCV": (lambda: peers.numpy_opencv(phase, coherence), len(phase)),
        "SciPy textbook (ndimage.convolve)": (lambda: peers.scipy_textbook(phase, coherence), len(phase)),
        "SciPy textbook (signal.convolve2d)": (lambda: peers.scipy_signal(phase, coherence), len(phase)),
    }
    stack(few), stack(few, "sum"), stack(few, "rate")
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(common.ROUNDS):
        for name, (call, pairs) in calls.items():
            times[name].append(cpu(call) / pairs)
    return {name: statistics.median(values) for name, values in times.items()}


def threads(cube: Any) -> dict[str, float]:
    """Return wall seconds on one and on two Dask threads, medians of interleaved rounds."""
    chunked = cube.chunk({"pair": 20, "y": cube.sizes["y"] // 4, "x": -1})
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(common.ROUNDS):
        for number, found in times.items():
            with dask.config.set(scheduler="threads", num_workers=number):
                found.append(wall(lambda: stack(chunked)))
    return {"one": statistics.median(times[1]), "two": statistics.median(times[2])}


def from_zarr(cube: Any, folder: Path) -> dict[str, float]:
    """Return CPU seconds of the stack from Zarr, of decoding the same chunks, and of the kernel alone."""
    store = folder / "cube.zarr"
    xinsar.save_cube(cube, store, progress=False)
    opened = xinsar.open_cube(store)

    def decode() -> None:
        for name in ("phase", "coherence"):
            blocks = opened[name].data.to_delayed().ravel()
            for block in blocks:
                block.compute()

    calls = {"end to end": lambda: stack(opened), "decode": decode, "kernel": lambda: stack(cube)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    with dask.config.set(scheduler="threads", num_workers=2):
        for _ in range(min(common.ROUNDS, 5)):
            for name, call in calls.items():
                times[name].append(cpu(call))
    found = {name: statistics.median(values) for name, values in times.items()}
    found["ratio"] = found["end to end"] / (found["decode"] + found["kernel"])
    found["chunk_mib"] = float(np.prod([c[0] for c in opened.phase.chunks])) * 4 / 2**20
    return found


_MEMORY = """
import sys, dask, xinsar
from benchmarks import common

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

options = {"estimator": sys.argv[4], "max_temporal_baseline": 3650}
small = common.cube((4, 64, 64)).chunk({"pair": 2, "y": 32, "x": 32})
small.insar.phase_gradient_stack(**options).compute(scheduler="synchronous")
ds = xinsar.open_cube(sys.argv[1]).isel(pair=slice(0, int(sys.argv[2])))
ds.coherence[:1, :1, :1].compute(scheduler="synchronous")
before = peak()
with dask.config.set(scheduler="threads", num_workers=int(sys.argv[3])):
    out = ds.insar.phase_gradient_stack(**options).compute()
print(peak() - before, out.nbytes / 2**20)
"""


def memory(folder: Path, pairs: tuple[int, ...]) -> list[dict[str, float]]:
    """Return the peak memory that the stack from Zarr takes beside its result, in a fresh process each."""
    found = []
    for estimator in ("wrapped_sum", "rate"):
        for number in pairs:
            for workers in (1, 2):
                command = [
                    sys.executable,
                    "-c",
                    _MEMORY,
                    str(folder / "cube.zarr"),
                    str(number),
                    str(workers),
                    estimator,
                ]
                text = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                extra = float(text[0]) - float(text[1])
                found.append(
                    {
                        "estimator": estimator,
                        "pairs": number,
                        "threads": workers,
                        "extra_mib": extra,
                        "result_mib": float(text[1]),
                    }
                )
    return found


def main() -> None:
    """Measure everything and write the result."""
    few = common.cube((min(common.SHAPE[0], 4), *common.SHAPE[1:]))
    result: dict[str, Any] = {"machine": common.machine(), "shape": common.SHAPE, "rounds": common.ROUNDS}
    whole = common.cube(common.SHAPE)
    pixels = whole.sizes["y"] * whole.sizes["x"]
    result["equal"] = equality(whole)
    seconds = kernels(whole, few)
    ours = seconds["xinsar wrapped_sum"]
    result["kernel"] = {
        name: {"cpu_ms_per_pair": 1e3 * s, "mpx_per_s": pixels / s / 1e6, "times_ours": s / ours}
        for name, s in seconds.items()
    }
    result["threads"] = threads(whole)
    result["threads"]["speedup"] = result["threads"]["one"] / result["threads"]["two"]
    part = whole.isel(pair=slice(0, min(120, common.SHAPE[0])))
    with tempfile.TemporaryDirectory() as folder:
        result["from_zarr"] = from_zarr(part, Path(folder))
        result["memory"] = memory(Path(folder), (part.sizes["pair"] // 3, part.sizes["pair"]))
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = json.dumps(result, indent=2)
    print(text)
    if common.FULL:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "stack-cpu.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
