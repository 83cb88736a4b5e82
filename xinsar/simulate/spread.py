"""What decorrelation leaves in velocities and gradient stacks: the spread of both, without drawing a pair.

For a network of dates and one kind of ground the errors of all pairs have a covariance in closed form, and the
velocity and the rate of the gradient are fixed linear combinations of them. Worked out once for a grid of lasting
coherence, memory and quality, it is interpolated for every pixel.

With G the coherence of all dates, pairs k = (i, j) and l = (m, n), and V the variance of the phase of a pair::

    corr(k, l) = (G_im G_jn - G_in G_jm) / sqrt((1 - G_ij^2)(1 - G_mn^2))

(Guarnieri and Tebaldini 2008, IEEE Trans. Geosci. Remote Sens. 46, written as a correlation so that it holds where
the phase of a pair is no longer small).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import fields, network, noise

Array = NDArray[Any]

FLOORS = np.array([0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.92])
MEMORIES = np.array([4.0, 8.0, 14.0, 30.0, 80.0, 300.0])
QUALITIES = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.96])
"""Grid of the table: lasting coherence, memory in days, quality."""

ITEMS = (
    "velocity",
    "date",
    "gradient",
    "unit",
    "temporal",
    "agreement",
    "agreement_spread",
    "first",
    "second",
    "third",
)
"""Columns of the table: log of the spread of the velocity (rad year-1) and of a date about the line (rad), log of the
spread of the gradient's rate (rad year-1 per pixel), log of the standard error for a residual of 1 rad, temporal
coherence, agreement of the gradient's pairs and its spread, coherence over one, two and three repeat cycles."""

LOGARITHMS = ("velocity", "date", "gradient", "unit")
"""Items that are logarithms of spreads."""

WINDOW = 5
"""Side of the filter before the gradient, pixels."""

WEIGHED = 0.8
"""What weights by coherence leave of the phase variance of pure noise, as the operator shows."""

SHARED_DATES = 2.0
"""How much more the agreement of the pairs spreads than that of independent ones would, as the operator shows."""

_SMALL = 1e-4


class Table(NamedTuple):
    """The statistics of one network."""

    values: Array
    """(floor, memory, quality, item), float32."""
    shared: float
    """Correlation of the errors of velocity and gradient at a pixel, before the filter."""

    def at(self, floor: Array, memory: Array, quality: Array) -> dict[str, Array]:
        """Return the statistics of each pixel, by trilinear interpolation (memory in its logarithm)."""
        axes = (FLOORS, floor), (np.log(MEMORIES), np.log(memory.astype(np.float64))), (QUALITIES, quality)
        low, part = zip(*(_place(nodes, values) for nodes, values in axes), strict=True)
        flat = self.values.reshape(-1, len(ITEMS))
        out = np.zeros((*floor.shape, len(ITEMS)), dtype=np.float32)
        for corner in np.ndindex(2, 2, 2):
            index, weight = np.zeros(floor.shape, dtype=np.int64), np.ones(floor.shape, dtype=np.float32)
            for axis, bit in enumerate(corner):
                index = index * self.values.shape[axis] + low[axis] + bit
                weight = weight * (part[axis] if bit else 1 - part[axis])
            out += weight[..., None] * flat[index]
        return {name: np.ascontiguousarray(out[..., k]) for k, name in enumerate(ITEMS)}


def _place(nodes: Array, values: Array) -> tuple[Array, Array]:
    """Return the node below each value and how far on it lies, 0..1."""
    low = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    part = (values - nodes[low]) / np.diff(nodes)[low]
    return low, np.clip(part, 0, 1).astype(np.float32)


@lru_cache(maxsize=8)
def table(tier: network.Tier) -> Table:
    """Return the statistics of a track of ``tier``: its number of dates, drawn once for all scenes."""
    dates = network.acquisitions(fields.stream(0, "spread", tier.dates), tier, start="2021-01-01")
    days = (dates - dates[0]) / np.timedelta64(1, "D")
    pairs = network.small_baseline_pairs(days.size)
    shape = (FLOORS.size, MEMORIES.size, QUALITIES.size)
    values, shared = np.zeros((*shape, len(ITEMS))), np.zeros(shape)
    for index in np.ndindex(shape):
        ground = float(FLOORS[index[0]]), float(MEMORIES[index[1]]), float(QUALITIES[index[2]])
        values[index], shared[index] = _statistics(days, pairs, ground)
    return Table(np.round(values, 4).astype(np.float32), float(np.round(np.median(shared), 3)))


def _statistics(days: Array, pairs: Array, ground: tuple[float, float, float]) -> tuple[list[float], float]:
    """Return one row of the table, and the correlation of the errors of velocity and gradient."""
    floor, memory, quality = ground
    lag = np.abs(days[:, None] - days)
    dates = quality * ((1 - floor) * np.exp(-lag / memory) + floor)
    np.fill_diagonal(dates, 1.0)
    found = dates[pairs[:, 0], pairs[:, 1]]
    years = days / YEAR_IN_DAYS
    spans = years[pairs[:, 1]] - years[pairs[:, 0]]
    phase, resultant, quadrature, measured = _pixel(found)
    design = _design(pairs, days.size)
    ratio = np.clip(measured, 0.05, 0.98) ** 2
    weights = ratio / (1 - ratio)
    solve = np.linalg.solve(design.T @ (weights[:, None] * design), design.T * weights)
    line = velocity_weights(years)
    relation = _relation(dates, pairs, found)
    rate = weights * spans / np.sum(weights * spans**2)
    edge = _edge_variance(resultant, quadrature)
    covariance = relation * np.sqrt(phase[:, None] * phase)
    velocity = line[1:] @ solve
    sigma = np.sqrt(velocity @ covariance @ velocity)
    pixel_rate = np.sqrt(rate @ covariance @ rate)
    gradient = np.sqrt(rate @ (relation * np.sqrt(edge[:, None] * edge)) @ rate)
    cosine = np.exp(-edge / 2)
    unit = weights.sum() / ((found.size - 1) * np.sum(weights * spans**2)) * max(1.0, found.size / days.size)
    row = [
        np.log(sigma),
        np.log(_about_the_line(solve @ covariance @ solve.T, years)),
        np.log(gradient),
        0.5 * np.log(unit),
        _temporal(design, solve, covariance),
        np.average(cosine, weights=weights),
        SHARED_DATES * np.sqrt(np.sum(weights**2 * (1 - np.exp(-edge)) ** 2 / 2)) / weights.sum(),
        *(quality * ((1 - floor) * np.exp(-n * network.REPEAT / memory) + floor) for n in (1, 2, 3)),
    ]
    return row, float(velocity @ covariance @ rate / (sigma * pixel_rate))


def velocity_weights(years: Array) -> Array:
    """Return what each date adds to the slope of the line through all of them, year-1."""
    centred = years - years.mean()
    return np.asarray(centred / np.sum(centred**2))


def stack_weights(years: Array, pairs: Array) -> Array:
    """Return what each date adds to the rate of a stack whose pairs weigh as the square of their interval."""
    spans = years[pairs[:, 1]] - years[pairs[:, 0]]
    share = spans / np.sum(spans**2)
    out = np.zeros(years.size)
    np.add.at(out, pairs[:, 1], share)
    np.subtract.at(out, pairs[:, 0], share)
    return out


class Network(NamedTuple):
    """An inversion with even weights."""

    velocity: Array
    """What each pair adds to the velocity, year-1."""
    stack: Array
    """What each pair adds to the rate of a stack, year-1."""
    dates: Array
    """What each pair adds to each date, (date, pair)."""
    left: Array
    """What is left of each pair, (pair, pair)."""

    def coherence(self, cycles: Array) -> float:
        """Return the temporal coherence when pairs are wrong by whole ``cycles``."""
        return float(np.abs(np.exp(2j * np.pi * (self.left @ cycles)).mean()))

    def about_the_line(self, values: Array, years: Array) -> float:
        """Return the root mean square of the dates about a line when pairs are wrong by ``values``."""
        found = self.dates @ values
        return float(np.std(found - np.polyval(np.polyfit(years, found, 1), years)))


def inversion(years: Array, pairs: Array) -> Network:
    """Return the linear maps of an inversion of ``pairs`` with even weights."""
    design = _design(pairs, years.size)
    spans = years[pairs[:, 1]] - years[pairs[:, 0]]
    solve = np.linalg.solve(design.T @ design, design.T)
    return Network(
        velocity=velocity_weights(years)[1:] @ solve,
        stack=spans / np.sum(spans**2),
        dates=np.pad(solve, ((1, 0), (0, 0))),
        left=np.eye(len(pairs)) - design @ solve,
    )


def _design(pairs: Array, dates: int) -> Array:
    """Return which dates make a pair, (pair, date) without the first date."""
    out = np.zeros((len(pairs), dates))
    out[np.arange(len(pairs)), pairs[:, 1]] = 1
    out[np.arange(len(pairs)), pairs[:, 0]] = -1
    return out[:, 1:]


def _relation(dates: Array, pairs: Array, found: Array) -> Array:
    """Return the correlation of the errors of all pairs."""
    i, j = pairs.T
    own = np.sqrt(1 - found**2)
    joint = dates[i][:, i] * dates[j][:, j] - dates[i][:, j] * dates[j][:, i]
    return np.asarray(joint / (own[:, None] * own))


def _about_the_line(covariance: Array, years: Array) -> float:
    """Return the expected root mean square of the dates about the line through them, N - 2 degrees of freedom."""
    full = np.pad(covariance, ((1, 0), (1, 0)))
    basis, _ = np.linalg.qr(np.stack([np.ones(years.size), years], axis=1))
    left = np.trace(full) - np.trace(basis.T @ full @ basis)
    return float(np.sqrt(max(left, 0) / (years.size - 2)) + _SMALL)


def _temporal(design: Array, solve: Array, covariance: Array) -> float:
    """Return the expected temporal coherence of an inversion, from the variance of each pair's residual."""
    part = slice(0, min(len(design), 120))
    left = np.eye(len(design))[part] - design[part] @ solve
    variance = np.einsum("kl,kl->k", left @ covariance, left)
    return float(np.exp(-variance / 2).mean())


def _edge_variance(resultant: Array, quadrature: Array) -> Array:
    """Return the variance of the phase between two neighbouring windows.

    The mean of a window is the resultant plus deviations whose part across it, the ``quadrature``, turns the phase;
    neighbouring windows share all but one line of pixels. Small deviations come from that, pure noise from the phase
    of one look, and what lies between joins them by 1/V = 1/V_small + 1/V_noise.
    """
    alone, apart = _window_factors()
    small = apart * quadrature / np.maximum(resultant**2, 1e-12)
    return np.asarray(1 / (1 / small + 1 / (WEIGHED * _noise_variance(1 - apart / alone / 2))))


def _window_factors() -> tuple[float, float]:
    """Return the variance of a window's mean, and of the difference of neighbouring ones, for pixels of variance 1.

    Neighbouring pixels share half of their looks along each axis (:data:`xinsar.simulate.noise.LOOKS`).
    """
    n = WINDOW
    along = (n + (n - 1)) / n**2
    ends = 2 / n**2
    return along * along, along * ends


def _noise_variance(coherence: float) -> float:
    """Return the variance of the phase of one look (Hanssen 2001, equation 4.2.27)."""
    turn = np.arcsin(coherence)
    k = np.arange(1, 400)
    dilogarithm = np.sum(coherence ** (2.0 * k) / k**2)
    return float(np.pi**2 / 3 - np.pi * turn + turn**2 - dilogarithm / 2)


def _pixel(coherence: Array) -> tuple[Array, Array, Array, Array]:
    """Return the variance of a pixel's phase, its mean cosine and mean squared sine, and its measured coherence."""
    nodes, *columns = _looked()
    return tuple(np.interp(coherence, nodes, column) for column in columns)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _looked() -> tuple[Array, ...]:
    """Return a grid of coherence, and for each the columns of :func:`_pixel`.

    By quadrature over the densities of :data:`xinsar.simulate.noise.LOOKS` looks: Lee et al. 1994, and
    Touzi et al. 1999.
    """
    from scipy.special import gamma, hyp2f1

    looks = noise.LOOKS
    nodes = np.linspace(0, 0.99, 67)
    phase, d = np.linspace(-np.pi, np.pi, 1441)[:, None], np.linspace(0, 1, 2001)[:, None]
    b = nodes * np.cos(phase)
    density = gamma(looks + 0.5) * (1 - nodes**2) ** looks * b
    density = density / (2 * np.sqrt(np.pi) * gamma(looks) * (1 - b**2) ** (looks + 0.5))
    density = density + (1 - nodes**2) ** looks / (2 * np.pi) * hyp2f1(looks, 1, 0.5, b**2)
    density /= np.trapezoid(density, phase, axis=0)
    length = (
        (1 - nodes**2) ** looks * d * (1 - d**2) ** (looks - 2) * hyp2f1(looks, looks, 1, (nodes * d) ** 2)
    )
    length = np.nan_to_num(length)
    measured = np.trapezoid(length * d, d, axis=0) / np.trapezoid(length, d, axis=0)
    variance = np.trapezoid(phase**2 * density, phase, axis=0)
    cosine, square = (np.trapezoid(f * density, phase, axis=0) for f in (np.cos(phase), np.sin(phase) ** 2))
    return nodes, variance, cosine, square, measured
