"""Measure motion against its peers: equal first, then interleaved in one run. Writes results/motion-*.json.

Run from the top of the checkout: ``python -m benchmarks.measure_motion [los] [terrain] [network]`` (all without names;
XINSAR_BENCH_SIZE=full for the reported sizes). One thread each, but where threads are named.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dask
import numpy as np
import xarray as xr

import xinsar
from benchmarks import common
from benchmarks import motion_data as data
from benchmarks import motion_peers as peers
from benchmarks.measuring import against, apart, extra, peak_of, report, rounds, touch_memory, wall
from xinsar.kernels import los as los_kernel
from xinsar.kernels import terrain as terrain_kernel
from xinsar.kernels._jit import jit
from xinsar.kernels.network import invert_network

GIBIBYTES = 8 if common.FULL else 0.1
SAMPLE = {"solve": 20_000, "per pixel": 300, "grouped": 2000} if common.FULL else dict.fromkeys(
    ("solve", "per pixel", "grouped"), 50
)  # fmt: skip


# ---- two looks


@jit
def triad(a: Any, b: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = a[i] + np.float32(3) * b[i]


def los() -> dict[str, Any]:
    """Two looks over many epochs against NumPy in closed form and a loop of solve; share of a triad's bandwidth."""
    one, two = data.two_series()
    vectors = data.looks()
    out = np.empty((data.EPOCHS, 2, data.SIDE**2), np.float32)
    a, b, c = (np.ones(2**26 if common.FULL else 2**16, np.float32) for _ in range(3))

    def ours(**options: Any) -> Any:
        return los_kernel.motion_numpy(one, [two], vectors, kind=los_kernel.EAST_UP, limit=10.0, **options)[0]

    result: dict[str, Any] = {"shape": one.shape, "equal": _los_equality(ours(), one, two, vectors)}
    touch_memory(GIBIBYTES)
    calls: dict[str, Callable[[], Any]] = {
        "xinsar": ours,
        "xinsar, output reused": lambda: ours(out=out),
        "NumPy, Cramer": lambda: peers.closed_form(one, two, vectors),
        "NumPy, normal equations": lambda: peers.normal_equations(one, two, vectors),
        f"numpy.linalg.solve, {SAMPLE['solve']} pixels": lambda: peers.solve_each(
            one, two, vectors, SAMPLE["solve"]
        ),
        "triad": lambda: triad(a, b, c),
    }
    times = rounds(calls)
    result["cpu_seconds"] = times
    result["times_ours"] = against(times, "xinsar")
    result["times_ours_output_reused"] = against(times, "xinsar, output reused")
    solve = next(v for n, v in result["times_ours"].items() if n.startswith("numpy.linalg.solve"))
    result["times_ours_solve_all_pixels"] = solve * one.size / SAMPLE["solve"]
    moved = 4 * one.nbytes + sum(v.nbytes for v in vectors)
    speed = moved / times["xinsar, output reused"]["median"], 3 * c.nbytes / times["triad"]["median"]
    result["bytes_per_second"] = dict(zip(("xinsar, output reused", "triad"), speed, strict=True))
    result["share_of_triad"] = speed[0] / speed[1]
    result["threads"] = _los_threads()
    return result


def _los_equality(found: Any, one: Any, two: Any, vectors: list[Any]) -> dict[str, Any]:
    epochs = slice(0, 2)
    exact = [v.astype(float) for v in vectors]
    wanted = np.stack(peers.closed_form(one[epochs].astype(float), two[epochs].astype(float), exact), axis=1)
    same = {
        "xinsar": apart(found[epochs], wanted),
        "NumPy, Cramer": apart(
            np.stack(peers.closed_form(one[epochs], two[epochs], vectors), axis=1), wanted
        ),
        "NumPy, normal equations": apart(
            np.stack(peers.normal_equations(one[epochs], two[epochs], vectors), axis=1), wanted
        ),
    }
    for name, far in same.items():
        if not (far["missing_alike"] and far["largest_relative"] < 1e-4):
            raise AssertionError(f"{name} is not equal to float64: {far}")
    return same


def _los_threads() -> dict[str, float]:
    """Return wall seconds of decompose_los through Dask, spatial chunks, one and two threads."""
    chunk = max(data.SIDE // 4, 1)
    lazy = [track.chunk(time=-1, y=chunk, x=chunk) for track in data.tracks()]
    seconds = {}
    for threads in (1, 2):
        with dask.config.set(scheduler="threads", num_workers=threads):

            def run() -> Any:
                return xinsar.decompose_los(*lazy).motion.data.sum().compute()

            run()
            seconds[f"{threads} threads"] = min(wall(run) for _ in range(3))
    seconds["one over two"] = seconds["1 threads"] / seconds["2 threads"]
    return seconds


# ---- terrain


def terrain() -> dict[str, Any]:
    """Slope and aspect against xarray-spatial."""
    elevation = data.elevation()
    inner = {d: slice(1, -1) for d in ("y", "x")}
    ours, theirs = xinsar.terrain(elevation), peers.spatial_terrain(elevation)
    slope = apart(ours.slope.isel(inner), theirs[0].isel(inner))
    turn = (ours.aspect.isel(inner) - theirs[1].isel(inner)).values
    away = float(np.nanmax(np.abs((turn + 180) % 360 - 180)))
    if not (slope["largest"] < 0.01 and away < 0.5):
        raise AssertionError(f"not equal: slope {slope}, aspect {away} degrees")
    values, out = elevation.values, np.empty((2, *elevation.shape), np.float32)
    table, rows = terrain_kernel.step_table(*(np.full(len(values), 25.0) for _ in range(2)))
    touch_memory(GIBIBYTES)
    times = rounds(
        {
            "xinsar": lambda: xinsar.terrain(elevation),
            "xinsar's kernel, output reused": lambda: terrain_kernel._plane(values, rows, table, *out),
            "xarray-spatial": lambda: peers.spatial_terrain(elevation),
        }
    )
    np.testing.assert_array_equal(out, [ours.slope, ours.aspect])
    return {
        "shape": elevation.shape,
        "equal": {"slope": slope, "aspect, largest, degrees": away},
        "cpu_seconds": times,
        "times_ours": against(times, "xinsar"),
        "times_ours_output_reused": against(times, "xinsar's kernel, output reused"),
    }


# ---- network


def network() -> dict[str, Any]:
    """Series of a network with gaps against numpy.linalg, per pixel and grouped by gap pattern; memory."""
    net, pixels = data.network(), data.NETWORK**2
    matrix, zero = peers.matrix_of(net), np.zeros(data.PAIRS)
    coherence = np.random.default_rng(2).uniform(0.1, 0.95, (data.PAIRS, pixels)).astype("f4")
    result: dict[str, Any] = {
        "pairs": data.PAIRS,
        "dates": data.DATES,
        "pixels": pixels,
        "pixels_of_slow_peers": SAMPLE,
    }
    for patterns in data.PATTERNS:
        phase = data.pairs(pixels, patterns)
        few = np.ascontiguousarray(phase[:, : SAMPLE["per pixel"]])
        some = phase if patterns else np.ascontiguousarray(phase[:, : SAMPLE["grouped"]])
        calls: dict[str, tuple[int, Callable[[], Any]]] = {
            "xinsar": (pixels, lambda p=phase: invert_network(p, None, zero, network=net, scale=1.0)),
            "xinsar, by coherence": (
                pixels,
                lambda p=phase: invert_network(p, coherence, zero, network=net, scale=1.0),
            ),
            "lstsq per pixel": (few.shape[1], lambda p=few: peers.lstsq_per_pixel(p, matrix)),
            "lstsq grouped": (some.shape[1], lambda p=some: peers.grouped(p, matrix, solve="lstsq")),
            "pinv grouped": (some.shape[1], lambda p=some: peers.grouped(p, matrix, solve="pinv")),
        }
        name = f"{patterns} gap patterns" if patterns else "each pixel its own gaps"
        result[name] = _network_case(calls)
    result["memory_in_chunks"] = _network_memory()
    return result


def _network_case(calls: dict[str, tuple[int, Callable[[], Any]]]) -> dict[str, Any]:
    found = {name: call() for name, (_, call) in calls.items()}
    wanted = found["lstsq per pixel"]
    series, *_, parts = found["xinsar"]
    whole = (parts == 1) & np.isfinite(series).all(axis=0)  # elsewhere lstsq makes up what no pair tells
    whole = whole[: wanted.shape[1]]
    same = {"pixels": int(whole.sum())}
    for name in ("xinsar", "lstsq grouped", "pinv grouped"):
        own = series if name == "xinsar" else found[name]
        same[name] = apart(own[:, : whole.size][:, whole], wanted[:, whole])
        if not same[name]["largest"] < 1e-3:
            raise AssertionError(f"{name} is not equal to lstsq: {same[name]}")
    del found
    times = rounds({name: call for name, (_, call) in calls.items()}, max(common.ROUNDS // 2, 1))
    each = {name: {"median": 1e6 * times[name]["median"] / number} for name, (number, _) in calls.items()}
    return {
        "equal": same,
        "cpu_microseconds_per_pixel": {name: value["median"] for name, value in each.items()},
        "times_ours": against(each, "xinsar"),
    }


def _network_memory() -> dict[str, float]:
    """Return peak memory beyond the result of an inversion from and to Zarr, in chunks of phase and coherence."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "pairs.zarr")
        side = max(data.NETWORK // 4, 1)
        whole = data.cube().chunk(pair=-1, y=side, x=side)
        whole.to_zarr(store, mode="w", consolidated=False, zarr_format=3)
        chunk = 2 * 4 * data.PAIRS * side**2
        return {
            f"{threads} threads": extra(network_memory, threads, store)["extra"] / chunk / threads
            for threads in (1, 2)
        }


def network_memory(threads: str, store: str) -> tuple[float, float]:
    """Measure the inversion of a stored cube into another store."""
    _inverted(data.cube(16).chunk(y=8), f"{store}.warm")
    stored = xr.open_zarr(store, consolidated=False)
    with dask.config.set(scheduler="threads", num_workers=int(threads)):
        return peak_of(lambda: _inverted(stored, f"{store}.out{threads}"))


def _inverted(ds: Any, store: str) -> None:
    series = xinsar.invert_network(ds, reference=None)
    series.drop_encoding().to_zarr(store, mode="w", consolidated=False)


# ---- series


def velocity() -> dict[str, Any]:
    """Lines through series with gaps, with their error, against numpy.polyfit where nothing is missing."""
    rng = np.random.default_rng(0)
    side = data.NETWORK
    values = rng.standard_normal((data.DATES, side, side), "f4")
    time = np.datetime64("2018-01-01", "ns") + 12 * np.arange(data.DATES) * np.timedelta64(1, "D")
    series = xr.DataArray(values, {"time": time}, ("time", "y", "x"), attrs={"units": "m"})
    years = np.arange(data.DATES) * 12 / 365.25
    flat = values.reshape(data.DATES, -1)
    wanted = np.polyfit(years, flat.astype(float), 1)[0].reshape(side, side)
    same = apart(xinsar.velocity(series).velocity, wanted)
    if not same["largest_relative"] < 1e-4:
        raise AssertionError(f"not equal to numpy.polyfit: {same}")
    gaps = series.where(rng.random(values.shape, "f4") > data.MISSING)
    times = rounds(
        {
            "xinsar": lambda: xinsar.velocity(series),
            "xinsar, a tenth missing": lambda: xinsar.velocity(gaps),
            "xinsar, with seasons": lambda: xinsar.velocity(gaps, seasonal=("annual", "semiannual")),
            "numpy.polyfit, nothing missing, no error": lambda: np.polyfit(years, flat, 1),
            "xarray.polyfit, nothing missing": lambda: series.polyfit("time", 1),
        }
    )
    return {
        "shape": values.shape,
        "equal": same,
        "cpu_seconds": times,
        "times_ours": against(times, "xinsar"),
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "los": los,
    "terrain": terrain,
    "network": network,
    "velocity": velocity,
}


if __name__ == "__main__":
    report(PARTS, sys.argv[1:], "motion")
