"""Measure the simulator: seconds of a scene, of a chunk of a large one, and memory. Writes results/simulate-*.json.

Run from the top of the checkout: ``python -m benchmarks.measure_simulate [scenes] [large]`` (both without names;
XINSAR_BENCH_SIZE=full for the reported sizes).
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dask
import numpy as np

from benchmarks import common
from benchmarks.measuring import cpu, extra, peak_of, report, summary
from xinsar import simulate
from xinsar.simulate import network, spread

SCENES = range(100, 130) if common.FULL else range(100, 102)
SIDE = 256 if common.FULL else 96
LARGE = (2048, 4096, 8192) if common.FULL else (256, 512)
CHUNK = 512 if common.FULL else 128


def scenes() -> dict[str, Any]:
    """Products of scenes to train on, per tier: both tracks and one, against the pairs of one."""
    result: dict[str, Any] = {"shape": [SIDE, SIDE], "scenes": len(SCENES), "cpu_seconds": {}}
    for tier in network.TIERS:
        first = cpu(partial(spread.table, network.TIERS[tier]))
        times = {
            tracks: summary([cpu(partial(_products, s, tracks, tier)) for s in SCENES])
            for tracks in ("ascending", "both")
        }
        result["cpu_seconds"][tier] = {
            "statistics, once in a process": first,
            "products, one track": _short(times["ascending"]),
            "products, two tracks": _short(times["both"]),
        }
    pairs = cpu(lambda: simulate.scene(100, shape=(SIDE, SIDE), draws="train", tracks="ascending"))
    result["cpu_seconds"]["medium"]["pairs, one track"] = pairs
    return result


def _short(found: dict[str, Any]) -> dict[str, float]:
    return {"median": found["median"], "least": found["least"], "most": max(found["all"])}


def _products(seed: int, tracks: str, tier: str) -> None:
    names = ("ascending", "descending") if tracks == "both" else (tracks,)
    simulate.products(seed, shape=(SIDE, SIDE), tracks=names, tier=tier)


def large() -> dict[str, Any]:
    """Survey scenes: seconds until the truth is there, seconds and memory of computing one layer by chunks."""
    spread.table(network.TIERS["medium"])
    sizes: dict[str, Any] = {}
    for side in LARGE:
        made: list[Any] = []
        seconds = cpu(partial(_into, made, side))
        some = made[0].cube["ascending"]["velocity"][: 2 * CHUNK, : 2 * CHUNK]
        sizes[str(side)] = {
            "features": len(made[0].truth),
            "landslides": int((made[0].truth["class"] == "landslide").sum()),
            "cpu_seconds_until_truth": seconds,
            "cpu_seconds_per_chunk": cpu(partial(some.compute, scheduler="synchronous")) / 4,
            "peak_bytes": extra(computed, side),
        }
    return {"chunk": CHUNK, "sides": sizes}


def _survey(side: int) -> Any:
    return simulate.products(3, shape=(side, side), tracks="ascending", density="survey", chunks=CHUNK)


def _into(made: list[Any], side: int) -> None:
    made.append(_survey(side))


def computed(side: str) -> tuple[float, float]:
    """Return the peak of making a scene and the sum of its velocities, two threads, and no result."""

    def call() -> None:
        velocity = _survey(int(side)).cube["ascending"]["velocity"].data
        with dask.config.set(scheduler="threads", num_workers=2):
            dask.compute(np.nansum(velocity))

    return peak_of(call)


if __name__ == "__main__":
    report({"scenes": scenes, "large": large}, sys.argv[1:], "simulate")
