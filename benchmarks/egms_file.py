"""Large simulated EGMS L2b files for benchmarks: the columns of the product, clustered points, bowls of subsidence.

    python -m benchmarks.egms_file points.csv --points 5000000 --dates 0

writes in constant memory, block by block; the same seed gives the same bytes whatever the number of points behind them.
"""

from __future__ import annotations

import argparse
import os
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 100_000
COLUMNS = (
    "pid", "mp_type", "latitude", "longitude", "easting", "northing", "height", "height_wgs84", "line", "pixel", "rmse",
    "temporal_coherence", "amplitude_dispersion", "incidence_angle", "track_angle", "los_east", "los_north", "los_up",
    "mean_velocity", "mean_velocity_std", "acceleration", "acceleration_std", "seasonality", "seasonality_std",
)  # fmt: skip
_DECIMALS = (0, 6, 6, 2, 2, 1, 1, 0, 0, 1, 2, 2, 2, 2, 3, 3, 3, 1, 1, 2, 2, 1, 1)
"""Digits behind the point of every column but the first."""

_DIGITS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
_ORIGIN = (4_300_000.0, 2_900_000.0)
DENSITY = 264.0
"""Points per square kilometre, as in the points of Liang et al. 2023."""


def write(path: str | os.PathLike[str], points: int, *, dates: int = 0, seed: int = 0) -> Path:
    """Write ``points`` simulated measurement points with a series of ``dates`` displacements; return the file."""
    path = Path(path)
    first = date(2019, 1, 2)
    days = [(first + timedelta(days=6 * k)).strftime("%Y%m%d") for k in range(dates)]
    side = float(np.sqrt(max(points, 1) / DENSITY) * 1000)
    with path.open("wb") as file:
        file.write((",".join((*COLUMNS, *days)) + "\n").encode())
        for start in range(0, points, block := max(BLOCK // (1 + dates // 8), 1)):
            count = min(block, points - start)
            rng = np.random.default_rng((seed, start))
            numbers = zip(_columns(rng, count, side), _DECIMALS, strict=True)
            cells = [_names(start, count), *(_written(np.asarray(v), d) for v, d in numbers)]
            moved = _written(_series(rng, count, dates), 1).reshape(count, -1)
            lines = np.concatenate([*cells, moved, np.full((count, 1), ord("\n"), np.uint8)], axis=1).ravel()
            file.write(lines[lines != 0].tobytes())
    return path


def _names(start: int, count: int) -> Any:
    """Return identifiers of ten characters, numbers written to base 62, one row of bytes each."""
    numbers = np.arange(start, start + count, dtype=np.int64) + 62**9
    places = 62 ** np.arange(9, -1, -1, dtype=np.int64)
    return _DIGITS[numbers[:, None] // places % 62]


def _written(values: Any, decimals: int) -> Any:
    """Return a comma and the decimal text of every number as a row of bytes, 0 where the text is shorter.

    Numbers are cut into thousands and the rest, whose texts stand in tables: that is ten times faster than formatting.
    """
    whole = np.rint(np.asarray(values, float) * 10**decimals).astype(np.int64)
    high, low = np.divmod(np.abs(whole), 1000)
    head = _texts(int(high.max(initial=0)).bit_length(), max(decimals - 3, 0), leading=True)
    rest = _texts(0, decimals if decimals <= 3 else 0, leading=False)
    signs = np.where(whole < 0, ord("-"), 0).astype(np.uint8)[..., None]
    commas = np.full(signs.shape, ord(","), np.uint8)
    return np.concatenate([commas, signs, head[high], rest[low + 1000 * (high == 0)]], axis=-1)


@cache
def _texts(bits: int, decimals: int, *, leading: bool) -> Any:
    """Return the texts of whole numbers below a power of two as rows of bytes; or of 0..999, padded and then not."""
    if leading:
        texts = ["", *(_point(str(n), decimals) for n in range(1, 2**bits))]
    else:
        texts = [_point(f"{n:03d}", decimals) for n in range(1000)]
        texts += [_point(f"{n:0{decimals + 1}d}", decimals) for n in range(1000)]
    table = np.array([text.encode() for text in texts])
    return table.view(np.uint8).reshape(len(texts), -1)


def _point(digits: str, decimals: int) -> str:
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _columns(rng: np.random.Generator, count: int, side: float) -> list[Any]:
    """Return the numbers of ``count`` points within a square of ``side`` metres; half of them lie in clusters."""
    centres = rng.uniform(0, side, (max(count // 500, 1), 2))
    spread = centres[rng.integers(0, len(centres), count)] + rng.normal(0, 120, (count, 2))
    place = np.where(rng.random((count, 1)) < 0.5, spread, rng.uniform(0, side, (count, 2)))
    x, y = place[:, 0], place[:, 1]
    bowls = -18 * np.exp(-(((x / 2500) % 1 - 0.5) ** 2 + ((y / 2500) % 1 - 0.5) ** 2) / 0.01)
    velocity = bowls + rng.normal(0, 1.5, count)
    height = 300 + 80 * np.sin(x / 1500) + rng.normal(0, 2, count)
    incidence, heading = rng.uniform(36, 39, count), rng.uniform(348.0, 348.6, count)
    i, a = np.radians(incidence), np.radians(heading)
    look = (-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i))
    coherence = rng.uniform(0.4, 0.99, count)
    return [
        rng.choice([0, 0, 0, 400, 1200], count),
        48.0 + y / 111e3,
        9.7 + x / 74e3,
        _ORIGIN[0] + x,
        _ORIGIN[1] + y,
        height,
        height + 48.1,
        rng.integers(0, 1500, count),
        rng.integers(0, 24000, count),
        rng.uniform(1, 6, count),
        coherence,
        rng.uniform(0.1, 0.6, count),
        incidence,
        heading,
        *look,
        velocity,
        rng.uniform(0.1, 0.5, count),
        rng.normal(0, 0.5, count),
        rng.uniform(0.1, 0.4, count),
        rng.uniform(0, 4, count),
        rng.uniform(0.1, 0.6, count),
    ]


def _series(rng: np.random.Generator, count: int, dates: int) -> Any:
    """Return displacements in tenths of a millimetre."""
    steps = rng.normal(0, 12, (count, dates)).cumsum(axis=1)
    return np.rint(steps - steps[:, :1]) / 10 if dates else steps


def main() -> None:
    """Write a file as asked on the command line."""
    parser = argparse.ArgumentParser(description="Write a simulated EGMS L2b file.")
    parser.add_argument("path")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--dates", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = write(options.path, options.points, dates=options.dates, seed=options.seed)
    print(f"{path}: {options.points} points, {options.dates} dates, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
