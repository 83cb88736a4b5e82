"""How every measurement is taken and kept: interleaved rounds, seconds, memory of a fresh process, results on file."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common

RESULTS = Path(__file__).parent / "results"


def cpu(function: Callable[[], Any]) -> float:
    """Return the CPU seconds of all threads that a call takes."""
    start = time.process_time()
    function()
    return time.process_time() - start


def wall(function: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def rounds(calls: dict[str, Callable[[], Any]], number: int = common.ROUNDS) -> dict[str, dict[str, Any]]:
    """Return CPU seconds of every call, each called once before: median, least and all of interleaved rounds."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(number):
        for name, call in calls.items():
            gc.collect()
            times[name].append(cpu(call))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "least": min(values), "all": values}


def against(times: dict[str, dict[str, Any]], ours: str) -> dict[str, float]:
    """Return every median as a multiple of that of ``ours``."""
    return {name: found["median"] / times[ours]["median"] for name, found in times.items() if name != ours}


def apart(found: Any, wanted: Any) -> dict[str, float]:
    """Return how far two arrays lie apart, and that the same places are missing."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    missing = np.isnan(wanted)
    difference = np.abs(found - wanted)[~missing]
    return {
        "largest": float(difference.max()),
        "largest_relative": float((difference / np.maximum(np.abs(wanted[~missing]), 1)).max()),
        "missing_alike": bool((np.isnan(found) == missing).all()),
    }


def touch_memory(gibibytes: float) -> None:
    """Use memory once and give it back, so that no round pays for pages the machine had never handed out."""
    np.ones(int(gibibytes * 2**27))


_MEMORY = """
import sys
from importlib import import_module
print(*getattr(import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:]))
"""


def _status(name: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024.0


def peak_of(call: Callable[[], Any]) -> tuple[float, float]:
    """Return by how many bytes the process grows at most during a call (Linux), and the bytes of its result."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew from what is held now
    before = _status("VmRSS")
    result = call()
    peak = _status("VmHWM") - before
    return peak, 0.0 if result is None else float(result.nbytes)


def extra(function: Callable[..., Any], *arguments: Any) -> dict[str, float]:
    """Run a function of a module in a fresh process; return its peak beyond its input and its result."""
    module = function.__module__
    if module == "__main__":
        module = "benchmarks." + Path(sys.argv[0]).stem
    command = [sys.executable, "-c", _MEMORY, module, function.__name__, *(str(a) for a in arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    return {"extra": float(text[0]) - float(text[1]), "result": float(text[1])}


def report(parts: dict[str, Callable[[], dict[str, Any]]], asked: list[str], topic: str) -> None:
    """Measure the parts that were asked for (all without a name), print them, and keep them at the full size."""
    for name in asked or parts:
        result = {"machine": common.machine(), "rounds": common.ROUNDS, "load_before": os.getloadavg()}
        result |= parts[name]()
        result["load_after"] = os.getloadavg()
        text = json.dumps(result, indent=2)
        print(text)
        if common.FULL:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{topic}-{name}.json").write_text(text + "\n")
