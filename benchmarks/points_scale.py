"""Gi* of more points than one would hold: throughput and peak memory, in partitions. Writes results/points-scale.json.

    python -m benchmarks.points_scale --points 5_000_000 [--order random tiles csv] [--chunk 500_000] [--threads 2]

``random``: simulated chunk by chunk, each over the whole area; ``tiles``: each chunk a tile of it; ``csv``: an EGMS L2b
file in its own order, written first and not timed. Gi* within 150 m and its p value go to a Zarr store. Every run is
a process of its own; its points within a square are compared, bit by bit, with the same points taken at once, and
with sums over SciPy's tree. ``make`` runs it small; ``--points 100_000_000`` is for a night.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

import xinsar
from benchmarks import common
from benchmarks import hotspot_data as data
from benchmarks.measuring import RESULTS, peak_of

ORDERS = ("random", "tiles", "csv")
SQUARE = 2000.0
"""Side of the square whose points are checked, metres."""


# ---- points made chunk by chunk


def _place(index: int, count: int, total: int, chunk: int, order: str, axis: int) -> Any:
    """Return the coordinate along ``axis`` of the points of chunk ``index``."""
    side = data.side(total)
    share = np.random.default_rng((total, index, axis)).random(count)
    if order == "random":
        return share * side
    across = int(np.ceil(np.sqrt(-(-total // chunk))))
    tile = (index % across, index // across)[axis]
    return (tile + share) * np.sqrt(chunk / data.PER_SQUARE_METRE)


def _velocity(x: Any, y: Any, block_info: Any = None) -> Any:
    index = 0 if block_info is None else block_info[0]["chunk-location"][0]
    return data.velocity_at(x, y, seed=int(index))


def simulated(total: int, chunk: int, order: str) -> xr.DataArray:
    """Return a lazy field of points; no chunk needs another."""
    import dask.array as da

    counts = tuple(min(chunk, total - first) for first in range(0, total, chunk))

    def along(axis: int) -> Any:
        from dask import delayed

        make = delayed(_place)
        parts = [
            da.from_delayed(make(i, count, total, chunk, order, axis), (count,), np.float64)
            for i, count in enumerate(counts)
        ]
        return da.concatenate(parts)

    x, y = along(0), along(1)
    return data.as_points(x, y, da.map_blocks(_velocity, x, y, dtype=np.float32))


def from_file(total: int, chunk: int, folder: Path) -> xr.DataArray:
    """Return the velocities of a simulated EGMS file, which is written if it is not there yet."""
    from benchmarks import egms_file

    path = folder / f"EGMS_L2b_{total}.csv"
    if not path.exists():
        egms_file.write(path, total)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns of texts
        return xinsar.open_points(path, chunks=chunk).velocity


# ---- one run


def run(total: int, chunk: int, order: str, threads: int, folder: Path) -> dict[str, Any]:
    """Compute Gi* of all points into a store; return seconds, memory, and how the check went."""
    _warm(folder)
    field = from_file(total, chunk, folder) if order == "csv" else simulated(total, chunk, order)
    store = folder / f"{order}-{total}.zarr"
    result: dict[str, Any] = {"order": order, "points": field.size, "chunk": chunk, "threads": threads}
    with dask.config.set(
        {"scheduler": "threads", "num_workers": threads, "temporary-directory": str(folder)}
    ):
        found = xinsar.getis_ord(field, data.DISTANCE)
        result["tasks"] = len(dict(found.hot_spot.data.__dask_graph__()))
        start = time.perf_counter(), time.process_time()
        peak, _ = peak_of(lambda: _store(found, store))
        result["wall_seconds"] = time.perf_counter() - start[0]
        result["cpu_seconds"] = time.process_time() - start[1]
        result["points_per_second"] = field.size / result["wall_seconds"]
        result["peak_growth_mib"] = peak / 2**20
        result["bytes_per_point"] = peak / field.size
        result["make_seconds"] = _seconds(lambda: _read_all(field))
        result["check"] = check(field, xr.open_zarr(store, consolidated=False).hot_spot)
    return result


def _warm(folder: Path) -> None:
    small = simulated(4000, 1000, "random")
    with dask.config.set({"temporary-directory": str(folder)}):
        _store(xinsar.getis_ord(small, data.DISTANCE), folder / "warm.zarr")


def _store(found: xr.Dataset, place: Path) -> None:
    """Write the results alone: places are the caller's already."""
    bare = found.drop_vars([name for name in found.coords if name not in found.dims])
    bare.to_zarr(place, mode="w", consolidated=False)


def _seconds(call: Any) -> dict[str, float]:
    start = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1]}


def _read_all(field: xr.DataArray) -> None:
    """Make every chunk once and keep nothing of it: what reading alone costs."""
    import dask.array as da

    dask.compute(da.map_blocks(_nothing, field.x.data, field.y.data, field.data, dtype=np.float64).sum())


def _nothing(x: Any, y: Any, values: Any) -> Any:
    return np.zeros(values.shape)


# ---- the check


def check(field: xr.DataArray, found: xr.DataArray) -> dict[str, Any]:
    """Compare the points of a square with the same ones answered at once, and with a plain tree."""
    from xinsar.kernels import exact
    from xinsar.kernels.neighbours import gi_star_points

    x0, y0 = _corner(field)
    sums, parts, n, total, squares = exact.Sums(), [], 0, 0.0, 0.0
    for x, y, values, z in _chunks(field, found):
        sums += exact.sums_of(values)
        n, total = n + values.size, total + values.sum(dtype=np.longdouble)
        squares += np.square(values, dtype=np.longdouble).sum()
        halo = data.DISTANCE + 1.0
        near = (np.abs(x - x0) <= SQUARE / 2 + halo) & (np.abs(y - y0) <= SQUARE / 2 + halo)
        parts.append((x[near], y[near], values[near], z[near]))
    x, y, values, z = (np.concatenate(part) for part in zip(*parts, strict=True))
    inside = (np.abs(x - x0) <= SQUARE / 2) & (np.abs(y - y0) <= SQUARE / 2)
    order = np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside)])
    x, y, values, z = x[order], y[order], values[order], z[order]
    own = int(inside.sum())
    moments = np.array(exact.moments_of(sums))
    whole = gi_star_points(y, x, None, values, moments, own=own, distance=data.DISTANCE)
    mean = total / n
    wanted = _plain(x, y, values, own, n, float(mean), float(np.sqrt(squares / n - mean**2)))
    return {
        "points": own,
        "same_bits": bool(np.array_equal(whole[:own].view(np.int32), z[:own].view(np.int32))),
        "largest_difference_from_tree": float(np.abs(z[:own] - wanted).max()) if own else 0.0,
        "largest_z": float(np.abs(wanted).max()) if own else 0.0,
    }


def _corner(field: xr.DataArray) -> tuple[float, float]:
    """Return the middle of the square: near the far corner of the first chunk, where tiles meet."""
    first = field.isel(point=slice(0, field.data.chunks[0][0]))
    return float(np.quantile(first.x, 0.99)), float(np.quantile(first.y, 0.99))


def _chunks(field: xr.DataArray, found: xr.DataArray) -> Any:
    for place in np.cumsum((0, *field.data.chunks[0]))[:-1]:
        size = field.data.chunks[0][0]
        part = slice(int(place), int(place) + size)
        yield (*dask.compute(field.x[part].data, field.y[part].data, field[part].data), found[part].values)


def _plain(x: Any, y: Any, values: Any, own: int, n: int, mean: float, std: float) -> Any:
    from scipy.spatial import cKDTree

    places = np.column_stack([x, y])
    near = cKDTree(places).query_ball_point(places[:own], data.DISTANCE)
    apart = values.astype(np.float64) - mean
    w = np.array([len(found) for found in near], np.float64)
    total = np.array([apart[found].sum() for found in near])
    return total / (std * np.sqrt((n * w - w * w) / (n - 1)))


# ---- all


def _in_its_own_process(arguments: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.points_scale", "--one", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure as asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[5_000_000 if common.FULL else 20_000])
    parser.add_argument("--order", nargs="+", default=list(ORDERS), choices=ORDERS)
    parser.add_argument("--chunk", type=int, default=500_000 if common.FULL else 5_000)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--write", default=None, help="name of the result, in benchmarks/results")
    parser.add_argument("--one", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        arguments = json.loads(options.one)
        print(json.dumps(run(**{**arguments, "folder": Path(arguments["folder"])})))
        return
    result: dict[str, Any] = {"machine": common.machine(), "distance": data.DISTANCE, "runs": []}
    for order in options.order:
        for total in options.points:
            with tempfile.TemporaryDirectory() as folder:
                one = _in_its_own_process(
                    {
                        "total": total,
                        "chunk": options.chunk,
                        "order": order,
                        "threads": options.threads,
                        "folder": folder,
                    }
                )
            one["load"] = os.getloadavg()
            print(json.dumps(one, indent=2), flush=True)
            if not (one["check"]["same_bits"] and one["check"]["largest_difference_from_tree"] < 1e-4):
                raise AssertionError(f"the points of the square differ: {one['check']}")
            result["runs"].append(one)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / options.write).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
