"""Bias of the gradient estimators and calibration of their z score, on simulated noise that shares dates.

Speckle is drawn per date from a coherence matrix and pairs are formed as a processor forms them, so pairs
with a date in
common share its noise. Run from the repository root: ``python -m benchmarks.study_estimators``; it prints the tables of
docs/gradient_estimators.md (half a minute on one core).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

import xinsar

COHERENCES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
WINDOWS = (1, 5)
STEP = 12
"""Days between dates."""
SIDE = 96
GRADIENT = 0.35
"""Gradient of the longest pairs (36 days), rad per pixel."""


class Network(NamedTuple):
    """Dates, each paired with the next few."""

    dates: int
    neighbours: int

    def pairs(self) -> np.ndarray:
        """Return the indices (reference, secondary) of each pair."""
        last = self.dates
        return np.array(
            [(i, j) for i in range(last) for j in range(i + 1, min(i + self.neighbours + 1, last))]
        )


CHAIN = Network(12, 3)
FULL = Network(10, 9)


def speckle(shares: np.ndarray, pairs: np.ndarray, *, looks: int, rng: np.random.Generator) -> np.ndarray:
    """Return the phase of every pair, noise only; ``shares`` (date, y, x) of each date's speckle last."""
    shape = (looks, *shares.shape[1:])
    lasting = _complex(rng, shape)
    scenes = [np.sqrt(c) * lasting + np.sqrt(1 - c) * _complex(rng, shape) for c in shares]
    return np.array([np.angle(np.sum(scenes[j] * scenes[i].conj(), axis=0)) for i, j in pairs])


def _complex(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def cube(
    coherence: float | np.ndarray,
    network: Network = CHAIN,
    *,
    gradient: float = 0.0,
    looks: int = 4,
    seed: int = 0,
) -> xr.Dataset:
    """Return a cube with a gradient along x of ``gradient`` rad in 36 days, its coherence known exactly."""
    shares = np.broadcast_to(np.reshape(coherence, (-1, 1, 1)), (network.dates, SIDE, SIDE))
    pairs = network.pairs()
    phase = speckle(shares, pairs, looks=looks, rng=np.random.default_rng(seed))
    days = STEP * (pairs[:, 1] - pairs[:, 0])
    phase = phase + gradient * np.arange(SIDE) * (days / 36)[:, None, None]
    dates = np.datetime64("2020-01-01") + STEP * np.arange(network.dates) * np.timedelta64(1, "D")
    return xinsar.stack_from_arrays(
        np.angle(np.exp(1j * phase)),
        np.array([np.sqrt(shares[i] * shares[j]) for i, j in pairs]),
        dates[pairs[:, 0]],
        dates[pairs[:, 1]],
        x=np.arange(SIDE),
        y=-np.arange(SIDE),
        units="m",
    )


def inner(array: xr.DataArray) -> np.ndarray:
    """Return the values away from the borders."""
    return array.values[4:-5, 4:-5].astype(float)


def recovered(ds: xr.Dataset, *, window: int) -> dict[str, tuple[float, float, float]]:
    """Return, per estimator, median, mean and spread of the gradient along x as shares of the true one."""
    days = (ds.secondary_time - ds.reference_time) / np.timedelta64(1, "D")
    per_year = GRADIENT * xinsar.schema.YEAR_IN_DAYS / 36
    total = float(days.sum()) * GRADIENT / 36
    found = {
        "rate": inner(xinsar.phase_gradient_stack(ds, window=window).gradient_x) / per_year,
        "sum": inner(xinsar.phase_gradient_stack(ds, window=window, estimator="sum").gradient_x) / total,
    }
    return {name: (np.median(values), values.mean(), values.std()) for name, values in found.items()}


HEAD = " rate: median | mean | spread | sum: median | mean | spread |"


def _cells(share: dict[str, tuple[float, float, float]]) -> str:
    return " | ".join(f"{number:.2f}" for numbers in share.values() for number in numbers)


def bias_table() -> list[str]:
    """Return the rows: recovered share and its spread, for each coherence and window."""
    rows = ["| coherence | window |" + HEAD, "|---" * 8 + "|"]
    for window in WINDOWS:
        for n, coherence in enumerate(COHERENCES):
            share = recovered(cube(coherence, gradient=GRADIENT, seed=n), window=window)
            rows.append(f"| {coherence} | {window} | {_cells(share)} |")
    return rows


def mixed_rows() -> list[str]:
    """Return the rows for dates of good and bad coherence, which the rate weighs."""
    rows = ["| window |" + HEAD, "|---" * 7 + "|"]
    shares = np.where(np.arange(CHAIN.dates) % 3 == 0, 0.1, 0.7)
    for window in WINDOWS:
        share = recovered(cube(shares, gradient=GRADIENT, seed=50), window=window)
        rows.append(f"| {window} | {_cells(share)} |")
    return rows


def calibration_table(network: Network) -> list[str]:
    """Return the rows: spread of z where nothing moves, and the share beyond 3, by looks of a pixel."""
    head = "| coherence | looks | window 1: std z | beyond 3 | window 5: std z | beyond 3 |"
    rows = [head, "|---|---|---|---|---|---|"]
    for looks in (4, 16):
        for n, coherence in enumerate(COHERENCES):
            ds = cube(coherence, network, looks=looks, seed=100 + n)
            cells = [_spread(xinsar.phase_gradient_stack(ds, window=w)) for w in WINDOWS]
            rows.append(f"| {coherence} | {looks} | " + " | ".join(cells) + " |")
    return rows


def _spread(stack: xr.Dataset) -> str:
    z = np.concatenate([inner(stack[f"gradient_z_{d}"]).ravel() for d in "yx"])
    z = z[np.isfinite(z)]
    return f"{z.std():.2f} | {100 * np.mean(np.abs(z) > 3):.2f} %"


def main() -> None:
    """Print all tables."""
    for title, table in (
        ("Share of the true gradient", bias_table()),
        ("Dates of coherence .1 and .7", mixed_rows()),
        ("z where nothing moves: all 45 pairs of 10 dates", calibration_table(FULL)),
        ("z where nothing moves: 12 dates, each with the next 3", calibration_table(CHAIN)),
    ):
        print(f"\n{title}\n")
        print("\n".join(table))


if __name__ == "__main__":
    main()
