"""Measure hot spots against their peers: equal first, then interleaved in one run. Writes results/hotspot-*.json.

Run from the top of the checkout: ``python -m benchmarks.measure_hotspot [maps] [points] [density]`` (all without names;
XINSAR_BENCH_SIZE=full for the reported sizes, which also runs esda once: minutes).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import numpy as np

import xinsar
from benchmarks import common, hotspot_peers
from benchmarks import hotspot_data as data
from benchmarks.measuring import against, apart, cpu, extra, peak_of, report, rounds, summary, wall


def z_of(field: Any, distance: float) -> Any:
    """Return Gi* alone, computed: what getis_ord does before the p value."""
    from xinsar.operations.hotspot import _method, _moments

    method = _method(field, distance, "binary", None)
    return method(field, _moments(field, None)).compute()


def both(field: Any, distance: float) -> Any:
    """Return Gi* and its p value, computed."""
    return xinsar.getis_ord(field, distance).compute()


# ---- memory


def map_memory(kind: str, what: str, threads: str, radius: str, store: str) -> tuple[float, float]:
    """Measure a map in memory ("numpy", "dask") or in a store ("zarr"; "to_zarr": the result goes to one too)."""
    import xarray as xr

    _warm(data.velocity_map(64), data.PIXEL * 4)
    field = xr.open_zarr(store).velocity if "zarr" in kind else data.velocity_map()
    field = field.chunk(y=_chunk(), x=_chunk()) if kind == "dask" else field
    distance = float(radius) * data.PIXEL
    with dask.config.set(scheduler="threads", num_workers=int(threads)):
        if kind == "to_zarr":
            return peak_of(lambda: _store(xinsar.getis_ord(field, distance), f"{store}.out"))
        return peak_of(lambda: both(field, distance) if what == "both" else _one(field, distance))


def _one(field: Any, distance: float) -> Any:
    return xinsar.getis_ord(field, distance).hot_spot.compute()


def _warm(field: Any, distance: float) -> None:
    """Compile, and load what Dask needs."""
    both(field, distance)
    with dask.config.set(scheduler="threads", num_workers=2):
        both(field.chunk(), distance)


def _store(found: Any, place: str) -> None:
    found.to_zarr(place, mode="w", consolidated=False)


def _chunk() -> int:
    return max(data.MAP // 4, 1)


def point_memory(kind: str, threads: str) -> tuple[float, float]:
    """Measure points in memory, whole ("numpy") or in eight chunks ("dask")."""
    _warm(data.velocity_points(2000), data.DISTANCE)
    field = data.velocity_points().astype(np.float64)
    field = in_chunks(field) if kind == "dask" else field
    with dask.config.set(scheduler="threads", num_workers=int(threads)):
        return peak_of(lambda: both(field, data.DISTANCE))


def density_memory(radius: str) -> tuple[float, float]:
    """Measure the density of points on a grid."""
    xinsar.kernel_density(data.velocity_points(2000), 500.0, target=data.target_grid(2000, 64))
    points, target = weights(), data.target_grid()
    return peak_of(lambda: xinsar.kernel_density(points, float(radius), target=target).density)


def in_chunks(field: Any, number: int = 8) -> Any:
    """Return points in chunks, places and all."""
    size = -(-field.sizes["point"] // number)
    lazy = field.chunk(point=size)
    return lazy.assign_coords({name: field[name].chunk(point=size) for name in ("x", "y")})


# ---- maps


def maps() -> dict[str, Any]:
    """Gi* of a map with holes against OpenCV and xarray-spatial, and its memory."""
    field = data.velocity_map()
    result: dict[str, Any] = {"shape": field.shape, "missing": float(field.isnull().mean())}
    result["equal"] = {f"r = {r}": _map_equality(field, r) for r in data.RADII}
    times = rounds(_map_calls(field))
    pixels = field.size
    result["cpu_seconds"] = times
    result["ns_per_pixel"] = {name: 1e9 * found["median"] / pixels for name, found in times.items()}
    result["times_ours"] = {
        f"r = {r}": against(_only(times, f"r = {r}: "), "xinsar z alone") for r in data.RADII
    }
    result["times_ours_with_p_value"] = {
        f"r = {r}": against(_only(times, f"r = {r}: "), "xinsar z and p value") for r in data.RADII
    }
    far, near = (times[f"r = {r}: xinsar z and p value"]["median"] for r in (25, 4))
    alone_far, alone_near = (times[f"r = {r}: xinsar z alone"]["median"] for r in (25, 4))
    result["r25_over_r4"] = {"with p value": far / near, "z alone": alone_far / alone_near}
    result["threads"] = two_threads(
        field.chunk(y=_chunk(), x=_chunk()), lambda lazy: both(lazy, 8 * data.PIXEL)
    )
    result["memory_in_rasters"] = map_memories(field)
    return result


def _map_calls(field: Any) -> dict[str, Callable[[], Any]]:
    values = field.values
    calls: dict[str, Callable[[], Any]] = {}
    for r in data.RADII:
        calls[f"r = {r}: xinsar z alone"] = lambda r=r: z_of(field, r * data.PIXEL)
        calls[f"r = {r}: xinsar z and p value"] = lambda r=r: both(field, r * data.PIXEL)
        calls[f"r = {r}: OpenCV"] = lambda r=r: hotspot_peers.gi_opencv(values, r)
        if r < 25:
            calls[f"r = {r}: xarray-spatial convolution"] = lambda r=r: hotspot_peers.gi_xarray_spatial(
                field, r
            )
            calls[f"r = {r}: xarray-spatial hotspots (classes)"] = lambda r=r: (
                hotspot_peers.xarray_spatial_hotspots(field, r)
            )
    return calls


def _only(times: dict[str, Any], start: str) -> dict[str, Any]:
    return {name.removeprefix(start): found for name, found in times.items() if name.startswith(start)}


def _map_equality(field: Any, radius: int) -> dict[str, Any]:
    wanted = hotspot_peers.gi_reference(field.values, radius)
    found = {
        "xinsar": apart(both(field, radius * data.PIXEL).hot_spot, wanted),
        "OpenCV": apart(hotspot_peers.gi_opencv(field.values, radius), wanted),
    }
    if radius < 25:
        found["xarray-spatial"] = apart(hotspot_peers.gi_xarray_spatial(field, radius), wanted)
    for name, far in found.items():
        if not (far["missing_alike"] and far["largest_relative"] < 1e-4):
            raise AssertionError(f"{name} is not equal to the reference at r = {radius}: {far}")
    return found


def map_memories(field: Any) -> dict[str, float]:
    """Return the peak beyond input and result, in multiples of the raster's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "map.zarr")
        _store(field.chunk(y=_chunk(), x=_chunk()).to_dataset(name="velocity"), store)
        cases = [("numpy", "both", 1, 8), ("numpy", "both", 1, 25), ("zarr", "both", 2, 8)]
        if common.FULL:
            cases += [
                (kind, what, n, 8) for kind in ("dask", "zarr") for what in ("one", "both") for n in (1, 2)
            ]
            cases += [("to_zarr", "both", n, r) for n in (1, 2) for r in (8, 25)]
        return {_named(*case): extra(map_memory, *case, store)["extra"] / field.nbytes for case in cases}


def _named(kind: str, what: str, threads: int, radius: int) -> str:
    results = "hot_spot" if what == "one" else "hot_spot and p_value"
    return f"{kind}, {results}, {threads} threads, r = {radius}"


# ---- points


def points() -> dict[str, Any]:
    """Gi* of points against a tree and PySAL, clustered points, threads and memory."""
    field = data.velocity_points()
    x, y, values = field.x.values, field.y.values, field.values
    result: dict[str, Any] = {"points": field.size, "distance": data.DISTANCE}
    result["equal"] = {
        "SciPy tree": _point_equality(field, hotspot_peers.gi_pairs(x, y, values, data.DISTANCE))
    }
    crowds = {
        "half in towns": data.velocity_points(clustered=True),
        "all in towns": data.as_points(*data.clustered_places(field.size, share=1.0), values),
    }
    calls = {
        "xinsar z and p value": lambda: both(field, data.DISTANCE),
        "xinsar z alone": lambda: z_of(field, data.DISTANCE),
        "SciPy tree": lambda: hotspot_peers.gi_pairs(x, y, values, data.DISTANCE),
        **{f"xinsar, {name}": lambda f=crowd: both(f, data.DISTANCE) for name, crowd in crowds.items()},
    }
    times = rounds(calls)
    result["cpu_seconds"] = times
    result["ns_per_point"] = {name: 1e9 * found["median"] / field.size for name, found in times.items()}
    result["times_ours"] = against(times, "xinsar z and p value")
    result["equal"]["esda"], times["esda"] = _esda(field)
    result["times_ours"]["esda"] = times["esda"]["median"] / times["xinsar z and p value"]["median"]
    result["threads"] = two_threads(in_chunks(field), lambda lazy: both(lazy, data.DISTANCE))
    result["bytes_per_point"] = {
        f"{kind}, {n} threads": extra(point_memory, kind, n)["extra"] / field.size
        for kind, n in (("numpy", 1), ("dask", 1), ("dask", 2))
    }
    return result


def _point_equality(field: Any, wanted: Any) -> dict[str, float]:
    far = apart(both(field.astype(np.float64), data.DISTANCE).hot_spot, wanted)
    if not (far["missing_alike"] and far["largest_relative"] < 1e-6):
        raise AssertionError(f"not equal to the peer: {far}")
    return far


def _esda(field: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """Run PySAL once, on values whose mean is positive; return how far it is from ours, and its CPU seconds."""
    field = field.astype(np.float64)
    shifted = field - float(field.min()) + 1.0
    kept: list[Any] = []
    seconds = cpu(
        lambda: kept.append(
            hotspot_peers.gi_esda(field.x.values, field.y.values, shifted.values, data.DISTANCE)
        )
    )
    return _point_equality(shifted, kept[0]), summary([seconds])


def two_threads(lazy: Any, call: Callable[[Any], Any]) -> dict[str, Any]:
    """Return seconds on one and on two Dask threads, medians of interleaved rounds.

    ``speedup`` is by the clock, over rounds in which two cores are free: before and after, two threads of plain
    arithmetic must be 1.8 to 2.1 times as fast as one. ``speedup_by_cpu`` needs no quiet machine: CPU seconds of the
    scheduler and its busiest worker, one worker against two, over all rounds; it does not see threads that wait.
    """
    call(lazy)
    rows: list[dict[str, float]] = []
    end = time.monotonic() + 120
    while sum(row["free"] for row in rows) < common.ROUNDS and time.monotonic() < end:
        free = not common.FULL or _cores_are_free()
        one, two = (_on_threads(number, lazy, call) for number in (1, 2))
        free = free and (not common.FULL or _cores_are_free())
        rows.append(
            {"free": free, "wall": one[0] / two[0], "cpu": one[1] / two[1], "one": one[0], "two": two[0]}
        )
        time.sleep(0.1)
    quiet = [row for row in rows if row["free"]]
    found = {"speedup_by_cpu": statistics.median(row["cpu"] for row in rows), "quiet_rounds": len(quiet)}
    if quiet:
        found |= {name: statistics.median(row[name] for row in quiet) for name in ("one", "two")}
        found["speedup"] = statistics.median(row["wall"] for row in quiet)
    return found


def _on_threads(number: int, lazy: Any, call: Callable[[Any], Any]) -> tuple[float, float]:
    """Return seconds by the clock, and CPU seconds of this thread and the busiest worker."""
    together = threading.Barrier(number)

    def spent(_: int) -> float:
        together.wait()
        return time.thread_time()

    with ThreadPoolExecutor(number) as pool, dask.config.set(scheduler="threads", pool=pool):
        here = time.thread_time()
        seconds = wall(lambda: call(lazy))
        here = time.thread_time() - here
        return seconds, here + max(pool.map(spent, range(number)))


def _cores_are_free() -> bool:
    """Tell whether two threads of plain arithmetic are about twice as fast as one, now."""
    numbers = np.ones(20_000)

    def work(_: int) -> None:
        for _ in range(400):
            np.exp(numbers)

    work(0)
    with ThreadPoolExecutor(2) as pool:
        one = wall(lambda: (work(0), work(0)))
        return 1.8 <= one / wall(lambda: list(pool.map(work, range(2)))) <= 2.1


# ---- density


def weights() -> Any:
    """Return points whose values are weights above 0 (KDEpy takes no others)."""
    field = data.velocity_points().astype(np.float64)
    return np.abs(field) + 0.001


def density() -> dict[str, Any]:
    """Weighted points onto a grid, against binning + FFT and KDEpy."""
    field, target = weights(), data.target_grid()
    result: dict[str, Any] = {
        "points": field.size,
        "shape": target.shape,
        "pixel": float(target.x[1] - target.x[0]),
    }
    x, y, w = field.x.values, field.y.values, field.values
    calls: dict[str, Callable[[], Any]] = {}
    for h in (500.0, 150.0):
        for method in ("auto", "exact", "fft"):
            calls[f"h = {h:g} m: xinsar {method}"] = lambda h=h, method=method: (
                xinsar.kernel_density(field, h, target=target, method=method).density
            )
        calls[f"h = {h:g} m: binning + FFT, float64"] = lambda h=h: hotspot_peers.density_fft(
            x, y, w, target, h
        )
        calls[f"h = {h:g} m: binning + FFT, float32"] = lambda h=h: hotspot_peers.density_fft(
            x, y, w, target, h, np.float32
        )
        calls[f"h = {h:g} m: KDEpy"] = lambda h=h: hotspot_peers.density_kdepy(x, y, w, target, h)
    result["largest_error_over_peak"] = _density_errors(calls, x, y, w, target)
    times = rounds(calls)
    result["cpu_seconds"] = times
    result["times_ours"] = {
        f"h = {h} m": against(_only(times, f"h = {h} m: "), "xinsar auto") for h in (500, 150)
    }
    result["bytes_per_pixel"] = {
        f"h = {h} m": extra(density_memory, h)["extra"] / target.size for h in (500, 150)
    }
    return result


def _density_errors(
    calls: dict[str, Callable[[], Any]], x: Any, y: Any, w: Any, target: Any
) -> dict[str, float]:
    """Return the largest error at 500 pixels, over the largest density among them; ours must keep its own bound."""
    rows, columns = np.random.default_rng(3).integers(0, target.sizes["x"], (2, 500))
    places = np.column_stack([target.x.values[columns], target.y.values[rows]])
    diagonal = np.hypot(*(float(target[name].diff(name)[0]) for name in ("y", "x")))
    found = {}
    for name, call in calls.items():
        radius = float(name.split()[2])
        wanted = hotspot_peers.density_at(x, y, w, places, radius)
        density = call()
        error = np.abs(np.asarray(density)[rows, columns] - wanted)
        found[name] = float(error.max() / wanted.max())
        near = hotspot_peers.weights_within(x, y, w, places, radius + diagonal)
        allowed = density.attrs.get("error_bound", 0.0) * near if "xinsar" in name else 0.2 * wanted.max()
        if not (error <= allowed + 1e-9 * wanted.max()).all():
            raise AssertionError(f"{name}: {found[name]} of the peak away from the sum point by point")
    return found


# ---- all


PARTS: dict[str, Callable[[], dict[str, Any]]] = {"maps": maps, "points": points, "density": density}


if __name__ == "__main__":
    report(PARTS, sys.argv[1:], "hotspot")
