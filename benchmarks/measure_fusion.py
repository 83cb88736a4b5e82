"""Measure the fusion of tracks against mgwr and SciPy: equal first, then interleaved in one run.

Run from the top of the checkout: ``python -m benchmarks.measure_fusion [--out FILE]`` (XINSAR_BENCH_SIZE=full for the
reported sizes). Seconds are CPU seconds but where they are called wall. mgwr regresses one date at a time; what it
would need for a series is its time for one date, multiplied.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dask
import numpy as np
import xarray as xr
from scipy.interpolate import Akima1DInterpolator

import xinsar
from benchmarks import common
from benchmarks.measuring import against, apart, rounds
from xinsar.kernels.akima import akima
from xinsar.kernels.bandwidth import aicc, best_bandwidth
from xinsar.kernels.gwr import Points, coefficients, gwr
from xinsar.mapping.controls import along_curve

POINTS, NEIGHBOURS, DATES = (2000, 200, 50) if common.FULL else (120, 60, 3)
SIDE, CONTROLS = (1000, 100_000) if common.FULL else (64, 300)
CHUNK, SAMPLE = (250, 2000) if common.FULL else (32, 20)
SPACING = 30.0


def scattered(number: int, dates: int) -> tuple[Points, Any]:
    """Return points with coefficients that change from place to place, and noisy values (point, date).

    Points come in the order of :func:`xinsar.fuse_tracks`, neighbours together.
    """
    rng = np.random.default_rng(0)
    place, aspect = rng.uniform(0, 50, (number, 2)), rng.uniform(0, 2 * np.pi, number)
    place = place[np.argsort(along_curve(*(20 * place.T).astype(int), (1000, 1000)), kind="stable")]
    terms = np.c_[place / 25 - 1, np.sin(aspect), np.cos(aspect)]
    truth = np.sin(place[:, 0] / 8) + 0.02 * place[:, 1] + np.cos(place[:, 1] / 10) * terms[:, 2]
    noise = 0.3 * rng.normal(size=(number, dates))
    return Points(1000 * place, terms), truth[:, None] * np.linspace(1, 2, dates) + noise


def regression() -> dict[str, Any]:
    """One date at the size of mgwr: the fit at a bandwidth, and the search for the best."""
    from mgwr.gwr import GWR
    from mgwr.sel_bw import Sel_BW

    control, series = scattered(POINTS, DATES)
    one = np.ascontiguousarray(series[:, :1])

    def fit() -> Any:
        return GWR(control.place, one, control.terms, NEIGHBOURS, n_jobs=1).fit()

    def search() -> int:
        return int(Sel_BW(control.place, one, control.terms, n_jobs=1).search(criterion="AICc"))

    theirs, ours = fit(), gwr(one, control, control, neighbours=NEIGHBOURS)
    equal = {
        "predictions": apart(ours.values[0], theirs.predy.ravel()),
        "coefficients": apart(
            coefficients(one, control, control, neighbours=NEIGHBOURS)[:, 0].T, theirs.params
        ),
        "aicc": [float(aicc(one, control, neighbours=NEIGHBOURS)[0]), float(theirs.aicc)],
        "bandwidth": [best_bandwidth(one, control), search()],
    }
    fits = rounds(
        {
            "xinsar": lambda: gwr(one, control, control, neighbours=NEIGHBOURS),
            f"xinsar, {DATES} dates": lambda: gwr(series, control, control, neighbours=NEIGHBOURS),
            "mgwr": fit,
            "mgwr, lite": lambda: GWR(control.place, one, control.terms, NEIGHBOURS, n_jobs=1).fit(lite=True),
        }
    )
    searches = rounds(
        {
            "xinsar": lambda: best_bandwidth(one, control),
            f"xinsar, {DATES} dates": lambda: best_bandwidth(series, control),
            "mgwr": search,
        },
        1,
    )
    return {
        "points": POINTS,
        "neighbours": NEIGHBOURS,
        "dates": DATES,
        "equal": equal,
        "fit_seconds": fits,
        "fit_times_ours": against(fits, "xinsar"),
        "search_seconds": searches,
        "search_times_ours": against(searches, "xinsar"),
        "times_ours_for_all_dates": {
            "fit": DATES * fits["mgwr, lite"]["median"] / fits[f"xinsar, {DATES} dates"]["median"],
            "search": DATES * searches["mgwr"]["median"] / searches[f"xinsar, {DATES} dates"]["median"],
        },
    }


def interpolation() -> dict[str, Any]:
    """Akima's curve of series with gaps, pixel by pixel, and of whole ones, all at once."""
    rng = np.random.default_rng(1)
    at, to = 12.0 * np.arange(60), 12.0 * np.arange(55) + 7
    whole = rng.normal(size=(60, SIDE * SIDE // 10))
    gaps = np.where(rng.random(whole.shape) < 0.1, np.nan, whole)
    few = np.ascontiguousarray(gaps[:, :SAMPLE])

    def per_pixel() -> Any:
        out = np.full((to.size, SAMPLE), np.nan)
        for i in range(SAMPLE):
            known = np.isfinite(few[:, i])
            out[:, i] = Akima1DInterpolator(at[known], few[known, i])(to)
        return out

    times = rounds(
        {
            "xinsar, gaps": lambda: akima(gaps, at=at, to=to),
            "xinsar, whole": lambda: akima(whole, at=at, to=to),
            f"SciPy, gaps, {SAMPLE} pixels": per_pixel,
            "SciPy, whole": lambda: Akima1DInterpolator(at, whole)(to),
        }
    )
    pixels = {name: SAMPLE if "pixels" in name else whole.shape[1] for name in times}
    return {
        "equal": {
            "gaps": apart(akima(few, at=at, to=to), per_pixel()),
            "whole": apart(akima(whole, at=at, to=to), Akima1DInterpolator(at, whole)(to)),
        },
        "microseconds_a_pixel": {n: 1e6 * t["median"] / pixels[n] for n, t in times.items()},
    }


def tracks(controls: int) -> tuple[xr.Dataset, xr.Dataset, xr.DataArray]:
    """Return two tracks of noise over ``SIDE`` x ``SIDE`` pixels, float32 in chunks, and a mask of control points."""
    rng = np.random.default_rng(2)
    axis = SPACING * np.arange(SIDE)
    coords = {"y": -axis, "x": ("x", axis, {"units": "m"})}
    aspect = rng.uniform(0, 360, (SIDE, SIDE)).astype("f4")
    mask = np.zeros(SIDE * SIDE, bool)
    mask[rng.choice(mask.size, controls, replace=False)] = True
    made = []
    for heading, first in ((348.0, 0), (192.0, -5)):
        time = np.datetime64("2020-01-01", "ns") + (first + 12 * np.arange(DATES)) * np.timedelta64(1, "D")
        values = rng.standard_normal((DATES, SIDE, SIDE), np.float32) * np.float32(0.003)
        values -= values[0]
        ds = xr.Dataset(
            {"displacement": (("time", "y", "x"), values, {"units": "m"}), "aspect": (("y", "x"), aspect)},
            {"time": time, **coords},
            {"heading": heading, "incidence": 39.0},
        )
        made.append(ds.chunk({"y": CHUNK, "x": CHUNK}))
    return *made, xr.DataArray(mask.reshape(SIDE, SIDE), coords, ("y", "x"))


def scale() -> dict[str, Any]:
    """Predict for every pixel of a map, and fuse two tracks of it with one thread and two.

    Noise alone asks for the widest bandwidth, so the defaults are at their slowest.
    """
    primary, auxiliary, mask = tracks(CONTROLS)
    few = min(NEIGHBOURS, CONTROLS)
    runs = []
    for options in ({"bandwidth": few, "max_points": CONTROLS}, {}):
        lazy = xinsar.fuse_tracks(primary, auxiliary, control=mask, **options)
        lazy.isel(y=slice(8), x=slice(8)).compute()
        for threads in (1, 2):
            with dask.config.set(scheduler="threads", num_workers=threads):
                start = time.process_time(), time.perf_counter()
                done = lazy.compute()
                took = time.process_time() - start[0], time.perf_counter() - start[1]
            runs.append(
                {
                    "options": options or "defaults",
                    "control_points": int(done.control_points),
                    "bandwidth": int(done.bandwidth),
                    "threads": threads,
                    "cpu_seconds": took[0],
                    "wall_seconds": took[1],
                }
            )
    return {
        "pixels": SIDE * SIDE,
        "dates": DATES,
        "fuse_tracks": runs,
        "kernel_microseconds_a_pixel": kernel(few),
    }


def kernel(neighbours: int) -> dict[str, float]:
    """Return CPU microseconds a pixel of the prediction alone, by dates."""
    rng = np.random.default_rng(3)
    rows, columns = np.divmod(np.sort(rng.choice(SIDE * SIDE, CONTROLS, replace=False)), SIDE)
    angle = rng.uniform(0, 2 * np.pi, CONTROLS)
    place = SPACING * np.c_[columns, rows]
    control = Points(place, np.c_[place, np.sin(angle), np.cos(angle)])
    side = min(SIDE // 2, 256)
    tile, inner = np.divmod(np.arange(side * side), 64)
    row, column = tile // (side // 8) * 8 + inner // 8, tile % (side // 8) * 8 + inner % 8
    other = SPACING * np.c_[column + SIDE // 4, row + SIDE // 4]
    turned = rng.uniform(0, 2 * np.pi, side * side)
    at = Points(other, np.c_[other, np.sin(turned), np.cos(turned)])
    calls = {
        f"{dates} dates": partial(gwr, rng.normal(size=(CONTROLS, dates)), control, at, neighbours=neighbours)
        for dates in (1, DATES)
    }
    return {name: 1e6 * t["median"] / side**2 for name, t in rounds(calls, 3).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file for the results")
    out = parser.parse_args().out
    result: dict[str, Any] = {"machine": common.machine(), "load_before": os.getloadavg()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for part in (regression, interpolation, scale):
            result[part.__name__] = part()
    result["load_after"] = os.getloadavg()
    text = json.dumps(result, indent=2)
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
