"""Measure how fast ``detect`` is from Zarr, and the memory that it takes. Writes results/detection-*.json.

Run from the top of the checkout: ``python -m benchmarks.simslide_speed [speed] [memory]`` (both without names;
XINSAR_BENCH_SIZE=full for the reported sizes). XINSAR_BENCH_MODEL names another model than the default.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dask
import dask.array as da
import numpy as np
import xarray as xr

import xinsar
from benchmarks import common
from benchmarks import simslide_data as data
from benchmarks.detection import CHANNELS
from benchmarks.measuring import extra, peak_of, report
from benchmarks.simslide_models import contender
from xinsar.simulate.frame import CRS

MODEL = os.environ.get("XINSAR_BENCH_MODEL", "default")
SIDE = 4096 if common.FULL else 256
WIDE = 16384 if common.FULL else 512
THREADS = (1, 2)


def _km2(side: int) -> float:
    return (side * data.PIXEL / 1000) ** 2


def scene_on_file(folder: Path) -> xr.Dataset:
    """Return one track of a survey scene as a user keeps it: five float32 layers in Zarr."""
    made = data.Place("survey", "medium", 0, side=SIDE).make(chunks=min(SIDE, 512))
    track = made.cube["ascending"].to_dataset()[list(CHANNELS)]
    kept: xr.Dataset = xinsar.save_cube(track, folder / "scene.zarr", progress=False)
    return kept


def wide_on_file(folder: Path) -> Path:
    """Return a store of WIDE x WIDE pixels: the scene side by side with itself."""
    ds = scene_on_file(folder)
    number = WIDE // SIDE
    layers = {
        name: (("y", "x"), da.tile(ds[name].data, (number, number)), ds[name].attrs) for name in CHANNELS
    }
    steps = np.arange(WIDE)
    places = {
        "x": ("x", float(ds.x[0]) + data.PIXEL * steps, ds.x.attrs),
        "y": ("y", float(ds.y[0]) - data.PIXEL * steps, ds.y.attrs),
    }
    wide = xr.Dataset(layers, places, ds.attrs).rio.write_crs(CRS)
    store = folder / "wide.zarr"
    xinsar.save_cube(wide, store, progress=False)
    return store


def speed() -> dict[str, Any]:
    """Return km2 per second from Zarr to the table of outlines, and the share of the time inside the network."""
    mine = contender(MODEL)
    out: dict[str, Any] = {"model": mine.name, "shape": [SIDE, SIDE], "channels": list(CHANNELS)}
    with tempfile.TemporaryDirectory() as name:
        cube = xr.DataTree.from_dict({"ascending": scene_on_file(Path(name))})
        for threads in THREADS:
            out[f"{threads} threads"] = _measured(mine, cube, threads)
    return out


def _measured(mine: Any, cube: xr.DataTree, threads: int) -> dict[str, Any]:
    watched = mine.watched()
    watched.remember = False
    seconds, inside, found = [], [], 0
    with dask.config.set(scheduler="threads", num_workers=threads):
        for k in range(common.ROUNDS + 1):
            watched.seconds = 0.0
            begin = time.perf_counter()
            tables = mine.find(cube, (mine.default,))
            took = time.perf_counter() - begin
            if k:  # the first one compiles
                seconds.append(took)
                inside.append(watched.seconds / threads)
            found = len(tables[mine.default])
    middle, network = statistics.median(seconds), statistics.median(inside)
    return {
        "seconds": seconds,
        "km2_per_second": _km2(SIDE) / middle,
        "km2_per_second_model_only": _km2(SIDE) / network,
        "share_inside_the_model": network / middle,
        "found": found,
    }


def memory() -> dict[str, Any]:
    """Return by how much a process grows while it detects in a very large cube."""
    with tempfile.TemporaryDirectory() as name:
        store = wide_on_file(Path(name))
        grown = {f"{threads} threads": extra(peak, store, threads)["extra"] for threads in THREADS}
    return {"model": MODEL, "shape": [WIDE, WIDE], "bytes": grown}


def peak(store: str, threads: str) -> tuple[float, float]:
    """Return the bytes by which this process grows at most, libraries, network and compiled code included."""
    cube = xinsar.open_cube(store)
    with dask.config.set(scheduler="threads", num_workers=int(threads)):
        return peak_of(lambda: _no_bytes(xinsar.detect(cube, model=MODEL, progress=False)))


def _no_bytes(table: Any) -> None:
    del table


if __name__ == "__main__":
    report({"speed": speed, "memory": memory}, sys.argv[1:], "detection")
