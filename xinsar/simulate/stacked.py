"""Gradients of a stack from the mean rate of its pairs: what the operator makes of signal and noise.

The rate of the phase is filtered as the pairs are, by phasors over one, two and three repeat cycles, and its change
to the next window found from all three. The noise is added with the spread that :mod:`xinsar.simulate.spread` states
for the ground, correlated as the filter correlates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import lattice, looks, network, spread
from xinsar.simulate.features import overlaps
from xinsar.simulate.ground import Ground, Part, World, corner_noise
from xinsar.simulate.looks import Look

Array = NDArray[Any]


def gradients(
    world: World, part: Part, ground: Ground, statistics: dict[str, Array], stack: Array, shared: Array
) -> dict[str, Array]:
    """Return rate, coherence and z score of both gradients, on the edges toward the next row and column."""
    track, shown = world.track, spread.table(world.track.tier).shared
    rate = stack * np.float32(-4 * np.pi / track.wavelength)
    filtered = _filtered(track, rate, statistics)
    calm = _calm(world, ground)
    own = corner_noise(part, track.key("stack speckle"))
    pixel = np.float32(shown) * shared + np.float32(np.sqrt(1 - shown**2)) * own
    speckle = _box(pixel) / np.float32(spread.WINDOW**2 * np.sqrt(spread._window_factors()[1]))
    out: dict[str, Array] = {}
    for axis, name in enumerate("yx"):
        flicker = lattice.normals(track.key("agreement", name), part.rows, part.columns)
        uneven = _uneven(world, part, axis)
        here = {
            **statistics,
            "agreement": statistics["agreement"] * calm[axis] * uneven[1],
            "uneven": uneven[0],
        }
        made = _gradient(track, axis, filtered, here, _step(speckle, axis), flicker)
        out[f"gradient_{name}"] = made[0] / np.float32(world.land.spacing)
        out[f"gradient_coherence_{name}"], out[f"gradient_z_{name}"] = made[1:]
    return out


def _calm(world: World, ground: Ground) -> tuple[Array, Array]:
    """Return the mean cosine that weather and baselines of single pairs leave of both gradients.

    exp(-V/2), V the variance of a pair's gradient: turbulence and the terrain model's error from their spectra,
    the stratified delay from the profile's own step.
    """
    track, spacing = world.track, world.land.spacing
    first, second = track.pairs.T
    view = looks.SLANT_RANGE * np.sin(np.deg2rad(track.incidence))
    lever = np.mean((track.baselines[second] - track.baselines[first]) ** 2) / view**2
    sigma, length, _ = world.heights
    weather = np.mean(track.rms[first] ** 2 + track.rms[second] ** 2)
    even = weather * looks.turbulence(spacing).filtered_step(spread.WINDOW)
    even += lever * sigma**2 * lattice.smooth(length / spacing).filtered_step(spread.WINDOW)
    lapse = np.float32(np.mean((track.lapse[second] - track.lapse[first]) ** 2))
    profile = _box(looks.profile(track, ground.lying.elevation, world.land.level)) / np.float32(
        spread.WINDOW**2
    )
    scale = np.float32(0.5 * (4 * np.pi / track.wavelength) ** 2)
    y, x = (np.exp(-scale * (np.float32(even) + lapse * _step(profile, axis) ** 2)) for axis in (0, 1))
    return np.asarray(y), np.asarray(x)


def _uneven(world: World, part: Part, axis: int) -> tuple[Array, Array]:
    """Return what fast features add to the rate along an axis, rad year-1 per pixel, and the agreement they leave."""
    more, kept = np.zeros(part.shape, dtype=np.float32), np.ones(part.shape, dtype=np.float32)
    for feature, seen in world.near(part):
        if seen.edges is None:
            continue
        for there, own in overlaps(feature.body.window, part.rows, part.columns):
            if seen.edges.rate is not None:
                more[there] += seen.edges.rate[axis][own]
            kept[there] *= np.maximum(seen.edges.kept[axis][own], np.float32(0.05))
    return more, kept


class Filtered(NamedTuple):
    """Window sums of the pairs of one interval."""

    years: float
    number: float
    """Number of pairs."""
    real: Array
    imaginary: Array
    coherence: Array


def _filtered(track: Look, rate: Array, statistics: dict[str, Array]) -> list[Filtered]:
    """Return for one, two and three repeat cycles: years, number of pairs, window sums of the phasor and coherence."""
    out = []
    cycles = np.clip(track.intervals, 1, 3)
    for n, name in enumerate(("first", "second", "third"), start=1):
        years = n * network.REPEAT / YEAR_IN_DAYS
        coherence = np.maximum(statistics[name], np.float32(0.1))
        phase = (rate * np.float32(years)).astype(np.float64)
        real, imaginary = (coherence * f(phase).astype(np.float32) for f in (np.cos, np.sin))
        count = float(np.sum(cycles == n))
        out.append(Filtered(years, count, _box(real), _box(imaginary), _box(coherence)))
    return out


def _box(values: Array) -> Array:
    """Return sums over the filter's window; those that reach beyond the array leave out what is not there."""
    half = spread.WINDOW // 2
    out = values
    for axis in (0, 1):
        padded = np.pad(out, [(half, half) if a == axis else (0, 0) for a in (0, 1)])
        size = out.shape[axis]
        parts = [padded[k : k + size] if axis == 0 else padded[:, k : k + size] for k in range(spread.WINDOW)]
        out = parts[0] + parts[1]
        for more in parts[2:]:
            out = out + more
    return np.asarray(out)


def _step(values: Array, axis: int) -> Array:
    """Return the next value minus this one along an axis; 0 at the last."""
    out = np.zeros_like(values)
    first, last = ((slice(None, -1), slice(1, None)), (slice(None), slice(None)))
    here = (first[0], last[0]) if axis == 0 else (last[0], first[0])
    there = (first[1], last[0]) if axis == 0 else (last[0], first[1])
    out[here] = values[there] - values[here]
    return out


def _next(values: Array, axis: int) -> Array:
    """Return the next value along an axis; the last is its own next."""
    return np.asarray(values + _step(values, axis))


def _gradient(
    track: Look,
    axis: int,
    filtered: list[Filtered],
    statistics: dict[str, Array],
    speckle: Array,
    flicker: Array,
) -> tuple[Array, Array, Array]:
    """Return the rate (rad year-1 per pixel), its coherence and its z score along an axis."""
    angles, weights, kept = zip(*(_of_interval(f, axis) for f in filtered), strict=True)
    count = np.float32(sum(f.number for f in filtered))
    left = np.clip(
        sum(np.float32(f.number) * k for f, k in zip(filtered, kept, strict=True)) / count, 0.02, 1
    )
    rate, loss = _joined(angles, weights, [np.float32(f.years) for f in filtered])
    rate = rate + statistics["uneven"] + _spread(track, axis, statistics["gradient"], left) * speckle
    limit = np.float32(np.pi / filtered[0].years)
    rate = rate - 2 * limit * np.ceil(rate / (2 * limit) - np.float32(0.5))
    agreement = _flickering(
        _between(statistics["agreement"], axis) * loss, statistics["agreement_spread"], flicker
    )
    sigma = np.sqrt(_residual(agreement)) * np.exp(statistics["unit"])
    score = rate / np.maximum(sigma, np.float32(1e-6))
    score[np.abs(rate) > np.float32(0.9) * limit] = np.nan
    return rate, agreement, score


def _of_interval(pairs: Filtered, axis: int) -> tuple[Array, Array, Array]:
    """Return the angle to the next window, its weight in the stack, and what is left of the phasors' length."""
    re, im = (_next(v, axis) for v in (pairs.real, pairs.imaginary))
    across, along = im * pairs.real - re * pairs.imaginary, re * pairs.real + im * pairs.imaginary
    angle = np.arctan2(across.astype(np.float64), along.astype(np.float64)).astype(np.float32)
    mean = _between(pairs.coherence, axis) / np.float32(spread.WINDOW**2)
    square = np.minimum(mean, np.float32(0.98)) ** 2
    weight = np.float32(pairs.number) * square / (1 - square)
    length = np.sqrt((pairs.real**2 + pairs.imaginary**2) * (re**2 + im**2))
    return angle, weight, length / np.maximum(pairs.coherence, np.float32(1e-3)) ** 2


def _spread(track: Look, axis: int, logarithm: Array, left: Array) -> Array:
    """Return the spread of the rate: more where phasors cancel, at most that of pure noise."""
    here = _between(logarithm, axis)
    most = np.float32(spread.table(track.tier).values[0, 0, 0, spread.ITEMS.index("gradient")])
    return np.exp(np.minimum(here - np.float32(0.5) * np.log(left), np.maximum(most, here)))


def _flickering(agreement: Array, deviation: Array, flicker: Array) -> Array:
    """Return the agreement as drawn: what it lacks of 1 varies by its spread."""
    lack = np.maximum(1 - agreement, np.float32(1e-5))
    relative = np.minimum(deviation / lack, np.float32(0.4))
    return np.asarray(np.clip(1 - lack * np.maximum(1 + relative * flicker, np.float32(0.3)), 0, 1))


def _between(values: Array, axis: int) -> Array:
    """Return the mean of each value and the next along an axis."""
    return np.asarray((values + _next(values, axis)) / 2)


def _joined(angles: Sequence[Array], weights: Sequence[Array], years: list[Any]) -> tuple[Array, Array]:
    """Return the rate that the intervals agree on, found from the shortest, and the mean cosine they leave."""
    rate = angles[0] / years[0]
    turn, lever = np.zeros_like(rate), np.zeros_like(rate)
    full = np.float32(2 * np.pi)
    for angle, weight, span in zip(angles, weights, years, strict=True):
        left = angle - span * rate
        left = left - full * np.ceil(left / full - np.float32(0.5))
        turn += weight * span * left
        lever += weight * span**2
    rate = rate + turn / lever
    loss, total = np.zeros_like(rate), np.zeros_like(rate)
    for angle, weight, span in zip(angles, weights, years, strict=True):
        loss += weight * np.cos((angle - span * rate).astype(np.float64)).astype(np.float32)
        total += weight
    return rate, loss / total


@cache
def _residual_table() -> Array:
    """Return the mean squared wrapped residual of wrapped normal residuals over their mean cosine, 0 to 1."""
    rho = np.linspace(0, 1, 2049)
    series = np.pi**2 / 3 + 4 * sum((-1) ** n * rho ** (n * n) / n**2 for n in range(1, 60))
    return np.asarray(np.where(rho > 0.99, -2 * np.log(np.maximum(rho, 0.5)), series), dtype=np.float32)


def _residual(agreement: Array) -> Array:
    """Return the mean squared residual, rad2, from the mean cosine."""
    table = _residual_table()
    place = agreement * np.float32(table.size - 1)
    low = np.minimum(place.astype(np.int64), table.size - 2)
    part = place - low.astype(np.float32)
    return np.asarray(np.maximum(table[low] * (1 - part) + table[low + 1] * part, np.float32(1e-6)))
