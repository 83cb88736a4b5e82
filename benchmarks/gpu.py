"""Measure the CUDA twins of stacks, hot spots, motion and networks: equal to the CPU first, then timed against a copy.

Run from the top of the checkout: ``python -m benchmarks.gpu`` (``make bench-gpu``), on a machine with a CUDA device;
XINSAR_BENCH_SIZE=full for the reported size. Writes results/stack-gpu-full-DATE.json and prints it. Of the package's
libraries it needs CuPy, numba and xarray only.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common, motion_data
from xinsar.kernels.gradient import Sum, WrappedSum
from xinsar.kernels.rate import Rate

RESULTS = Path(__file__).parent / "results"
WINDOW, INTERVALS = 5, 8
GOAL = 0.6
"""Share of the copy bandwidth that the stack should reach, counting phase and coherence once."""
TOLERANCE = 1e-5
RADIUS, MOST_COPIES = 8, 3.0
"""Radius of the discs of Gi* in pixels; the time it may take, in copies (one read, one write) of the raster."""
CALLS = 5
"""Calls that are timed together, so that the device need not wait for Python."""
POINTS, REACH = 930_000, (7.5, 25.0)
"""Points of a density, and its radii in pixels."""
TRACKS = (348.0, 39.0), (192.0, 37.0), (75.0, 30.0)
"""Heading and incidence of looks."""
MOTION_GOAL = 0.8
"""Share of the copy bandwidth that two looks should reach, what they saw read once and the motion written once."""


def folds(pairs: int) -> dict[str, Any]:
    """The estimators, for pairs of one to eight steps of 12 days."""
    ticks = tuple(1 + k % INTERVALS for k in range(pairs))
    known = {"window": WINDOW, "min_weight": 0.5, "wrapped": True, "ticks": ticks, "step": 12 * 1440}
    dates = tuple((k, k + t) for k, t in enumerate(ticks))
    return {"wrapped_sum": WrappedSum(**known), "sum": Sum(**known), "rate": Rate(**known, dates=dates)}


def data(cupy: Any, shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Phase and coherence of a ramp with noise, made on the device, pair after pair."""
    phase, coherence = cupy.empty(shape, np.float32), cupy.empty(shape, np.float32)
    rows, cols = cupy.indices(shape[1:], np.float32)
    for k in range(shape[0]):
        coherence[k] = cupy.random.uniform(0.3, 0.98, shape[1:], np.float32)
        noise = cupy.random.standard_normal(shape[1:], np.float32) * (1 - coherence[k])
        turned = 0.02 * cols + 0.01 * rows + noise
        phase[k] = cupy.arctan2(cupy.sin(turned), cupy.cos(turned))
    return phase, coherence


def distance(found: Any, wanted: Any, *, angle: bool) -> float:
    """Largest difference, relative to the value or to the field's median size."""
    difference = np.asarray(found, np.float64) - wanted
    if angle:
        difference = np.angle(np.exp(1j * difference))
    size = np.maximum(np.abs(wanted), np.nanmedian(np.abs(wanted)))
    return float(np.nanmax(np.abs(difference) / size))


def equality(cupy: Any, name: str, fold: Any, phase: Any, coherence: Any) -> dict[str, Any]:
    """How far the GPU lies from the CPU on a corner of the image, with and without gaps."""
    worst = {}
    for gaps in (False, True):
        part = phase[:, :60, :150].copy(), coherence[:, :60, :150].copy()
        if gaps:
            part[0][cupy.random.uniform(size=part[0].shape) < 0.02] = np.nan
        found = [cupy.asnumpy(a) for a in fold.run(*part)]
        wanted = fold.run(*map(cupy.asnumpy, part))
        for output, a, b in zip(fold.outputs, found, wanted, strict=True):
            if (np.isnan(a) != np.isnan(b)).any() or (b.dtype.kind == "i" and (a != b).any()):
                raise SystemExit(
                    f"{name}: {output} of the GPU is missing elsewhere, or counts otherwise, than the CPU's"
                )
            angle = name == "wrapped_sum" and output.startswith("gradient")
            worst[output] = max(worst.get(output, 0.0), distance(a, b, angle=angle))
    bad = {o: d for o, d in worst.items() if d > TOLERANCE and "sigma" not in o}
    if bad:
        raise SystemExit(f"{name}: the GPU differs from the CPU by more than {TOLERANCE:g}: {bad}")
    return worst


def seconds(cupy: Any, function: Callable[[], Any]) -> float:
    """Seconds of the device between the events around a call."""
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    function()
    stop.record()
    stop.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, stop)) / 1000


def fold_all(fold: Any, phase: Any, coherence: Any) -> Callable[[], Any]:
    """Return the call that is timed: all pairs folded into a new state."""
    return lambda: fold.add(fold.begin(phase, *phase.shape[1:]), phase, coherence, 0)


def timings(cupy: Any, shape: tuple[int, int, int], phase: Any, coherence: Any) -> dict[str, list[float]]:
    """Times of a copy of the phase and of every estimator, in turns."""
    to = cupy.empty_like(phase)
    calls: dict[str, Callable[[], Any]] = {"copy": lambda: cupy.copyto(to, phase)}
    for name, fold in folds(shape[0]).items():
        calls[name] = fold_all(fold, phase, coherence)
        calls[f"{name}, with results"] = lambda fold=fold: fold.run(phase, coherence)
    return in_turns(cupy, calls)


def in_turns(cupy: Any, calls: dict[str, Callable[[], Any]], each: int = 1) -> dict[str, list[float]]:
    """Times of calls, in turns, ``each`` of them together, after one that does not count."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(max(common.ROUNDS, 3)):
        for name, call in calls.items():
            found[name].append(seconds(cupy, lambda call=call: [call() for _ in range(each)]) / each)
    return found


def measure(cupy: Any, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Everything about one size."""
    phase, coherence = data(cupy, shape)
    equal = {name: equality(cupy, name, fold, phase, coherence) for name, fold in folds(shape[0]).items()}
    times = timings(cupy, shape, phase, coherence)
    median = {name: statistics.median(values) for name, values in times.items()}
    pixels = phase.size
    copy = 2 * phase.nbytes / median["copy"]
    rates = {name: 2 * phase.nbytes / t / copy for name, t in median.items() if name != "copy"}
    return {
        "pairs, y, x": list(shape),
        "largest difference from the CPU": equal,
        "copy bandwidth, GB/s": copy / 1e9,
        "median seconds": median,
        "all seconds": times,
        "Gpixel-pairs per second": {name: pixels / t / 1e9 for name, t in median.items()},
        "share of the copy bandwidth (phase and coherence read once)": rates,
        "goal met": rates["wrapped_sum"] >= GOAL,
    }


def raster(cupy: Any, size: int, gaps: float) -> Any:
    """Noise on a slope, float32, some of it missing."""
    values = cupy.random.standard_normal((size, size), np.float32)
    values += cupy.arange(size, dtype=np.float32) * np.float32(1e-3)
    values[cupy.random.uniform(size=values.shape, dtype=np.float32) < gaps] = np.nan
    return values


def same_hot_spots(cupy: Any, values: Any, table: Any, gi_star: Any, sums: Any) -> None:
    """Stop unless sums and Gi* of a corner have the bits of the CPU."""
    from xinsar.kernels import disk, exact

    part = values[:300, :700].copy()
    there = cupy.asnumpy(part)
    if sums(part) != exact.sums_of(there):
        raise SystemExit("exact sums: the GPU differs from the CPU")
    rows, numbers = np.zeros(len(there), np.int32), np.array([exact.moments_of(exact.sums_of(there))])[0]
    found = cupy.asnumpy(gi_star(part, rows, numbers, table=table))
    if not np.array_equal(found, disk.gi_star_numpy(there, rows, numbers, table=table), equal_nan=True):
        raise SystemExit("getis_ord: the GPU differs from the CPU")


def disc_calls(cupy: Any, values: Any) -> dict[str, Callable[[], Any]]:
    """What is timed of Gi*: a copy, the sums of the field, Gi* over discs in its own kernel and row by row."""
    from xinsar.kernels import disk, exact
    from xinsar.kernels.cuda.launch import exact_sums, gi_star

    ones = np.ones(values.shape[0])
    table, rows = disk.half_widths(RADIUS, ones, ones, values.shape)
    same_hot_spots(cupy, values, table, gi_star, exact_sums)
    two = np.stack([table[0], table[0]])
    two[1, -1] = -1
    kinds = (np.arange(len(rows)) // 512 % 2).astype(np.int32)
    numbers, to = np.array(exact.moments_of(exact_sums(values))), cupy.empty_like(values)
    return {
        "copy": lambda: cupy.copyto(to, values),
        "exact sums": lambda: exact_sums(values),
        f"getis_ord, {RADIUS} pixels": lambda: gi_star(values, rows, numbers, table=table),
        f"getis_ord, {RADIUS} pixels, two kinds of rows": lambda: gi_star(values, kinds, numbers, table=two),
    }


def density_calls(cupy: Any, values: Any) -> dict[str, Callable[[], Any]]:
    """What is timed of densities: points onto a grid of 4000 x 4000, and the pixels of the raster."""
    from xinsar.kernels import density
    from xinsar.kernels.cuda.density import convolve, splat

    weights = cupy.random.standard_normal(POINTS)
    size = min(4000, len(values))
    u, v = np.random.default_rng(0).uniform(0, size, (2, POINTS))
    calls: dict[str, Callable[[], Any]] = {}
    for radius in REACH:
        grid = {"rows": np.arange(size) / radius, "row_half": None, "columns": size, "first": 0, "last": size}
        near = {
            "step": 1 / radius,
            "narrow": radius,
            "reach": radius,
            "power": 2,
            "scale": density.peak(radius),
        }
        options = {**grid, **near, "dtype": np.float64}
        calls[f"density of {POINTS} points, {radius:g} pixels"] = lambda r=radius, o=options: splat(
            weights, u, v, v / r, None, **o
        )
    ones = np.full(len(values), 1 / RADIUS)
    reach = (density.reach_of(ones, 10**9),) * 2
    rows = np.arange(len(values))
    calls[f"density of pixels, {RADIUS} pixels"] = lambda: convolve(
        values, rows, np.ones(1), dy=ones, dx=ones, reach=reach, power=2, scale=density.peak(RADIUS)
    )
    return calls


def measure_hot_spots(cupy: Any, size: int, gaps: float) -> dict[str, Any]:
    """Times of hot spots on a square raster, in turns, and in copies of it."""
    values = raster(cupy, size, gaps)
    times = in_turns(cupy, {**disc_calls(cupy, values), **density_calls(cupy, values)}, CALLS)
    median = {name: statistics.median(found) for name, found in times.items()}
    copies = {name: t / median["copy"] for name, t in median.items()}
    return {
        "y, x": [size, size],
        "missing": gaps,
        "median seconds": median,
        "all seconds": times,
        "copies of the raster (one read, one write)": copies,
        "goal met": copies[f"getis_ord, {RADIUS} pixels"] <= MOST_COPIES,
    }


def series_of_looks(cupy: Any, number: int, side: int, epochs: int) -> tuple[list[Any], list[Any]]:
    """What looks saw (epoch, y, x), noise, and their vectors (3, y, x), float32."""
    seen = [cupy.random.standard_normal((epochs, side, side), np.float32) for _ in range(number)]
    ones = cupy.ones((3, side, side), np.float32)
    vectors = [cupy.asarray(motion_data.vector(*track).astype(np.float32)) for track in TRACKS[:number]]
    return seen, [ones * vector[:, None, None] for vector in vectors]


def same(cupy: Any, name: str, found: tuple[Any, ...], wanted: tuple[Any, ...]) -> float:
    """Stop unless results are those of the CPU; the largest difference, relative to the value or its median size."""
    worst = 0.0
    for a, b in zip(map(cupy.asnumpy, found), wanted, strict=True):
        if (np.isnan(a) != np.isnan(b)).any() or (b.dtype.kind == "i" and (a != b).any()):
            raise SystemExit(f"{name}: the GPU differs from the CPU in what is missing, or in a count")
        worst = max(worst, distance(a, b, angle=False))
    if worst > TOLERANCE:
        raise SystemExit(f"{name}: the GPU differs from the CPU by {worst:g}, more than {TOLERANCE:g}")
    return worst


def with_gaps(cupy: Any, values: Any) -> Any:
    """A copy of the first rows of an array, a tenth of it missing."""
    part = values[:, :40, :60].copy()
    part[cupy.random.uniform(size=part.shape) < 0.1] = np.nan
    return part


def compare_with_copy(
    cupy: Any, values: Any, calls: dict[str, Callable[[], Any]], moved: dict[str, int]
) -> dict[str, Any]:
    """Times of calls beside those of a copy of ``values``, and their share of its bandwidth for the bytes they move."""
    to = cupy.empty_like(values)
    times = in_turns(cupy, {"copy": lambda: cupy.copyto(to, values), **calls})
    median = {name: statistics.median(found) for name, found in times.items()}
    bandwidth = 2 * values.nbytes / median["copy"]
    return {
        "copy bandwidth, GB/s": bandwidth / 1e9,
        "median seconds": median,
        "all seconds": times,
        "GB moved (everything read and written once)": {name: size / 1e9 for name, size in moved.items()},
        "share of the copy bandwidth": {n: size / median[n] / bandwidth for n, size in moved.items()},
    }


def same_motion(cupy: Any, name: str, seen: list[Any], vectors: list[Any], *, gaps: bool) -> float:
    """Stop unless the motion of a corner is the CPU's; the largest difference."""
    from xinsar.kernels import los

    own = [v[:, :40, :60] for v in vectors]
    first, *others = (with_gaps(cupy, v) if gaps else v[:, :40, :60] for v in seen)
    found = los.motion(first, others, own, kind=los.EAST_UP, limit=10.0)
    host = [list(map(cupy.asnumpy, arrays)) for arrays in ((first, *others), own)]
    wanted = los.motion_numpy(host[0][0], host[0][1:], host[1], kind=los.EAST_UP, limit=10.0)
    return same(cupy, name, found, wanted)


def measure_looks(cupy: Any, side: int, epochs: int) -> dict[str, Any]:
    """Times of the motion from two looks and from three."""
    from xinsar.kernels import los

    equal, calls, moved = {}, {}, {}
    for number in (2, 3):
        name = f"decompose_los, {number} looks"
        seen, vectors = series_of_looks(cupy, number, side, epochs)
        equal[name] = max(same_motion(cupy, name, seen, vectors, gaps=gaps) for gaps in (False, True))
        calls[name] = lambda s=seen, v=vectors: los.motion(s[0], s[1:], v, kind=los.EAST_UP, limit=10.0)
        written = sum(a.nbytes for a in calls[name]())
        moved[name] = sum(a.nbytes for a in (*seen, *vectors)) + written
    result = compare_with_copy(cupy, seen[0], calls, moved)
    met = result["share of the copy bandwidth"]["decompose_los, 2 looks"] >= MOTION_GOAL
    return {
        "epochs, y, x": [epochs, side, side],
        "largest difference from the CPU": equal,
        **result,
        "goal met": met,
    }


def measure_network(cupy: Any, side: int) -> dict[str, Any]:
    """Times of the inversion of a network, without gaps and with a tenth of the pairs missing at each pixel."""
    from xinsar.kernels.network import _numpy, invert_network

    net = motion_data.network()
    options = {"network": net, "scale": -0.0044}
    shape, shift = (len(net.pairs), side, side), np.zeros(len(net.pairs))
    phase = 5 * cupy.random.standard_normal(shape, np.float32)
    coherence = cupy.random.uniform(0.2, 0.98, shape, np.float32)
    equal, calls, moved = {}, {}, {}
    for name in ("invert_network", "invert_network, a tenth missing"):
        if calls:
            phase = phase.copy()
            for plane in phase:
                plane[cupy.random.uniform(size=plane.shape, dtype=np.float32) < motion_data.MISSING] = np.nan
        parts = phase[:, :40, :60], coherence[:, :40, :60]
        found = invert_network(*parts, shift, **options)
        equal[name] = same(cupy, name, found, _numpy(*map(cupy.asnumpy, parts), shift, **options))
        calls[name] = lambda p=phase: invert_network(p, coherence, shift, **options)
        moved[name] = 2 * phase.nbytes + sum(a.nbytes for a in calls[name]())
    return {
        "pairs, dates, y, x": [len(net.pairs), len(net.years), side, side],
        "largest difference from the CPU": equal,
        **compare_with_copy(cupy, phase, calls, moved),
    }


def device(cupy: Any) -> dict[str, Any]:
    """Return what the result must say about the GPU."""
    about = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return {
        "name": about["name"].decode(),
        "multiprocessors": about["multiProcessorCount"],
        "memory, GB": about["totalGlobalMem"] / 1e9,
        "cupy": cupy.__version__,
        "cuda runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "driver": cupy.cuda.runtime.driverGetVersion(),
    }


def main() -> None:
    """Measure, print and keep."""
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        sys.exit(f"benchmarks.gpu needs CuPy and a CUDA device ({error}); pip install 'xinsar[gpu]'")
    about = common.machine()
    sizes = [common.SHAPE, (100, 4096, 4096)] if common.FULL else [(24, 512, 512)]
    result = {**about, "gpu": device(cupy), "window": WINDOW, "intervals": INTERVALS}
    result["sizes"] = [measure(cupy, size) for size in sizes]
    raster_size = 16384 if common.FULL else 1024
    result["hot spots"] = [measure_hot_spots(cupy, raster_size, gaps) for gaps in (0.0, 0.3)]
    result["motion"] = measure_looks(cupy, *((2000, 50) if common.FULL else (200, 6)))
    result["network"] = measure_network(cupy, 1000 if common.FULL else 100)
    text = json.dumps(result, indent=1)
    path = RESULTS / f"stack-gpu-{'full' if common.FULL else 'tiny'}-{about['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
