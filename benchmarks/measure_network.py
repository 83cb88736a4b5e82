"""Time the inversion of a network against numpy.linalg.lstsq, per pixel and grouped by gap pattern, in one run.

``python -m benchmarks.measure_network [side] [rounds]``: 200 pairs, 60 dates, side x side pixels, a tenth of the pairs
missing at each pixel. Peers are asked for the series alone; ours also gives temporal coherence and residuals. The slow
peers run on a stated sample of the pixels. One thread for everything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from xinsar.kernels.network import Network, invert_network

PAIRS, DATES, FAR, MISSING = 200, 60, 5, 0.1
PATTERNS = (20, 1000, 0)
"""Gap patterns among the pixels; 0: each pixel its own."""
SAMPLE = {"per pixel": 300, "grouped": 2_000}


def network() -> Network:
    """Return pairs of dates up to ``FAR`` apart, all dates connected."""
    rng = np.random.default_rng(0)
    chain = [(i, i + 1) for i in range(DATES - 1)]
    rest = [(i, j) for i in range(DATES) for j in range(i + 2, min(i + FAR + 1, DATES))]
    more = [rest[i] for i in rng.permutation(len(rest))[: PAIRS - len(chain)]]
    years = np.cumsum(rng.choice([6, 12, 24], DATES)) / 365.25
    return Network(tuple(years.tolist()), tuple(sorted(chain + more)))


def matrix_of(net: Network) -> Any:
    matrix = np.zeros((PAIRS, DATES))
    for k, (a, b) in enumerate(net.pairs):
        matrix[k, a], matrix[k, b] = -1, 1
    return matrix[:, 1:]


def stack(pixels: int, patterns: int) -> Any:
    """Return noise (pair, pixel), float32, with gaps."""
    rng = np.random.default_rng(1)
    phase = rng.standard_normal((PAIRS, pixels), "f4")
    if not patterns:
        phase[rng.random(phase.shape, "f4") < MISSING] = np.nan
        return phase
    holes = rng.random((PAIRS, patterns)) < MISSING
    which = rng.integers(0, patterns, pixels)
    for k in range(PAIRS):
        phase[k, holes[k, which]] = np.nan
    return phase


def ours(phase: Any, net: Network, coherence: Any = None) -> Any:
    return invert_network(phase, coherence, np.zeros(PAIRS), network=net, scale=1.0)[0]


def per_pixel(phase: Any, matrix: Any) -> Any:
    out = np.zeros((DATES, phase.shape[1]), "f4")
    for i, column in enumerate(phase.T.astype(float)):
        known = np.isfinite(column)
        out[1:, i] = np.linalg.lstsq(matrix[known], column[known], rcond=None)[0]
    return out


def grouped(phase: Any, matrix: Any, *, solve: str) -> Any:
    """Solve the pixels of each gap pattern together: by lstsq, or by a pseudo-inverse and one product."""
    keys = np.packbits(np.isfinite(phase), axis=0).T.copy()
    _, index = np.unique(keys.view([("", keys.dtype)] * keys.shape[1]).ravel(), return_inverse=True)
    order = np.argsort(index, kind="stable")
    out = np.zeros((DATES, phase.shape[1]), "f4")
    for group in np.split(order, np.flatnonzero(np.diff(index[order])) + 1):
        known = np.isfinite(phase[:, group[0]])
        own, right = matrix[known], phase[np.ix_(known, group)]
        if solve == "lstsq":
            out[1:, group] = np.linalg.lstsq(own, right, rcond=None)[0]
        else:
            out[1:, group] = np.linalg.pinv(own).astype("f4") @ right
    return out


def clock(function: Any, *args: Any, **options: Any) -> float:
    """Return microseconds a pixel."""
    begin = time.perf_counter()
    function(*args, **options)
    return (time.perf_counter() - begin) / args[0].shape[1] * 1e6


def measure(pixels: int, rounds: int) -> dict[str, Any]:
    """Return the median time of each, microseconds a pixel, for each number of patterns."""
    net = network()
    matrix = matrix_of(net)
    ours(stack(64, 1), net), ours(stack(64, 1), net, np.full((PAIRS, 64), 0.5, "f4"))
    coherence = np.random.default_rng(2).uniform(0.1, 0.95, (PAIRS, pixels)).astype("f4")
    results = {}
    for patterns in PATTERNS:
        phase = stack(pixels, patterns)
        few = np.ascontiguousarray(phase[:, : SAMPLE["per pixel"]])
        some = phase if patterns else np.ascontiguousarray(phase[:, : SAMPLE["grouped"]])
        turns = [
            {
                "ours": clock(ours, phase, net),
                "ours, by coherence": clock(ours, phase, net, coherence),
                "lstsq per pixel": clock(per_pixel, few, matrix),
                "lstsq grouped": clock(grouped, some, matrix, solve="lstsq"),
                "pinv grouped": clock(grouped, some, matrix, solve="pinv"),
            }
            for _ in range(rounds)
        ]
        results[str(patterns or "each its own")] = {
            name: float(np.median([turn[name] for turn in turns])) for name in turns[0]
        }
    return results


if __name__ == "__main__":
    side, rounds = (int(n) for n in [*sys.argv[1:], *("1000", "3")[len(sys.argv) - 1 :]])
    print(json.dumps({"pixels": side * side, "microseconds a pixel": measure(side * side, rounds)}, indent=1))
