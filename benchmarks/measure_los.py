"""Time the solution of two looks over many epochs against NumPy: ``python -m benchmarks.measure_los``.

Peers run interleaved in one process, one thread each: the closed form in NumPy, a loop of ``numpy.linalg.solve`` on a
stated sample of pixels, and a triad that tells what the memory gives.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xinsar.kernels import los
from xinsar.kernels._jit import jit


def vector(heading: float, incidence: float) -> Any:
    a, i = np.radians([heading, incidence])
    return np.array([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def looks(side: int) -> list[Any]:
    """Vectors of two tracks whose incidence grows across the image, (3, y, x) float32."""
    made = []
    for heading in (348.0, 192.0):
        row = np.stack([vector(heading, i) for i in np.linspace(31, 45, side)], axis=-1)
        made.append(np.ascontiguousarray(np.broadcast_to(row[:, None], (3, side, side)), np.float32))
    return made


def closed_form(one: Any, two: Any, vectors: list[Any]) -> tuple[Any, Any]:
    """Return east and up by Cramer's rule, the determinant shared by all epochs."""
    (e1, _, u1), (e2, _, u2) = vectors
    determinant = e1 * u2 - e2 * u1
    return (u2 * one - u1 * two) / determinant, (e1 * two - e2 * one) / determinant


def solve_each(one: Any, two: Any, vectors: list[Any], pixels: int) -> float:
    """Seconds a pixel and epoch of numpy.linalg.solve."""
    matrices = np.stack([v.reshape(3, -1)[[0, 2], :pixels] for v in vectors]).transpose(2, 0, 1)
    right = np.stack([d[0].reshape(-1)[:pixels] for d in (one, two)], axis=1)
    start = time.perf_counter()
    for matrix, values in zip(matrices, right, strict=True):
        np.linalg.solve(matrix, values)
    return (time.perf_counter() - start) / pixels


@jit
def triad(a: Any, b: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = a[i] + np.float32(3) * b[i]


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(side: int, epochs: int, repeats: int, pixels: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((epochs, side, side), np.float32) for _ in range(2))
    vectors = looks(side)
    out = np.empty((epochs, 2, side * side), np.float32)
    a, b, c = (np.ones(2**26, np.float32) for _ in range(3))

    def ours(**options: Any) -> Any:
        return los.motion_numpy(one, [two], vectors, kind=los.EAST_UP, limit=10.0, **options)

    runs: dict[str, Callable[[], Any]] = {
        "ours": ours,
        "ours, output reused": lambda: ours(out=out),
        "closed form": lambda: closed_form(one, two, vectors),
        "triad": lambda: triad(a, b, c),
    }
    np.testing.assert_allclose(
        ours()[0][0], np.stack(closed_form(one[0], two[0], vectors)), rtol=1e-3, atol=1e-4
    )
    triad(a, b, c)
    took = {name: [] for name in runs}
    each = []
    for _ in range(repeats):
        for name, run in runs.items():
            took[name].append(seconds(run))
        each.append(solve_each(one, two, vectors, pixels) * epochs * side * side)
    best = {name: float(np.median(values)) for name, values in took.items()}
    best[f"solve, from {pixels} pixels"] = float(np.median(each))
    moved = (2 + 2) * 4 * epochs * side * side + 2 * 3 * 4 * side * side
    best["GB/s, output reused"] = moved / best["ours, output reused"] / 1e9
    best["GB/s, triad"] = 3 * 4 * c.size / best["triad"] / 1e9
    best["closed form / ours"] = best["closed form"] / best["ours"]
    best["closed form / ours, output reused"] = best["closed form"] / best["ours, output reused"]
    best["solve / ours"] = best[f"solve, from {pixels} pixels"] / best["ours"]
    best["share of triad"] = best["GB/s, output reused"] / best["GB/s, triad"]
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pixels", type=int, default=20_000)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
