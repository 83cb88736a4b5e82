"""One feature as one track sees it: in the velocity, in the pairs of the stack, and in their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import deformation, network, spread
from xinsar.simulate.features import Feature
from xinsar.simulate.looks import Look

Array = NDArray[Any]

SMALL = 0.5
"""Largest change of phase between neighbouring windows in any pair, rad, that counts as small."""

WIDTH, GROUPS = 0.7, 24
"""Change of phase that pairs of one group may differ by, rad, unless that makes more groups of an interval."""


STARTS = 6
"""Groups whose own rates are tried for the rate that all agree on, the largest first."""


class Edges(NamedTuple):
    """What a feature does to the gradients along y and x of a stack, in its window."""

    rate: tuple[Array, Array] | None
    """Rate that the pairs agree on, rad year-1 per pixel; None where it is that of the mean motion."""
    kept: tuple[Array, Array]
    """Agreement of the pairs."""


class Seen(NamedTuple):
    """One feature as a track sees it, in the feature's window."""

    velocity: Array
    """What the velocity map shows of it, m year-1 toward the satellite."""
    stack: Array
    """Mean over the pairs of the stack, m year-1 toward; without what :attr:`edges` has a rate for."""
    long_term: Array
    """Its long-term velocity, m year-1 toward."""
    quality: Array
    """Factor of every coherence."""
    bend: float
    """Root mean square of its course about a straight line, years of its long-term velocity."""
    edges: Edges | None
    """None where nothing moves."""


def seen(track: Look, feature: Feature) -> Seen:
    """Return what ``track`` sees of a feature, unwrapping errors of fast ones included."""
    body, progress = feature.body, track.progress(feature)
    los = deformation.los_velocity(body, **track.view)
    rate, moisture = track.by_date(progress), track.by_date(track.moisture)
    passed = progress[track.pairs[:, 1]] - progress[track.pairs[:, 0]]
    lost = track.network.velocity @ cycles_lost(los, passed, track.wavelength) * track.wavelength / 2
    strain = deformation.strain_factor(los, wavelength=track.wavelength, interval=network.REPEAT)
    line = np.polyval(np.polyfit(track.years, progress, 1), track.years)
    wet = feature.moisture * feature.inside
    edges = _edges(track, los, passed, float(rate.stack))
    even = edges is None or edges.rate is None
    return Seen(
        velocity=(los * rate.velocity - lost * behind(los) + moisture.velocity * wet).astype(np.float32),
        stack=(even * los * rate.stack + moisture.stack * wet).astype(np.float32),
        long_term=los.astype(np.float32),
        quality=np.where(feature.inside, strain * feature.quality, 1.0).astype(np.float32),
        bend=float(np.std(progress - line)),
        edges=edges,
    )


def cycles_lost(los: Array, passed: Array, wavelength: float) -> Array:
    """Return how many half wavelengths unwrapping loses of each pair.

    Where neighbouring pixels differ by more than a fourth of a wavelength, the front of a body cannot be followed,
    and what lies behind it (:func:`behind`) comes out as many half wavelengths short as fit into its motion.

    Parameters
    ----------
    los
        Velocity toward the satellite in the window of the body.
    passed
        How far the body came in each pair, in units of time of ``los``.
    wavelength
        In the unit of ``los * passed``.
    """
    steepest = max(float(np.abs(np.diff(los, axis=axis)).max(initial=0)) for axis in (0, 1))
    fastest = float(los.flat[np.argmax(np.abs(los))]) if los.size else 0.0
    lost = np.round(fastest * passed / (wavelength / 2))
    return np.asarray(np.where(steepest * np.abs(passed) > wavelength / 4, lost, 0.0))


def behind(los: Array) -> Array:
    """Return which pixels lie behind the front of a body: those that move at half of its fastest rate or more."""
    return np.asarray(np.abs(los) > np.abs(los).max(initial=0) / 2)


def _edges(track: Look, los: Array, passed: Array, rate: float) -> Edges | None:
    """Return what a feature does to the gradients of the stack; None where nothing moves.

    Pairs are put into groups of one interval t in which the feature came about as far, p. Small changes of phase add
    up linearly; where one is large, the phasors of each group are averaged over the filter's windows as those of the
    pairs are, and the rate is found that most pairs agree on.
    """
    if not np.any(los):
        return None
    phase = los * (-4 * np.pi / track.wavelength)
    span, came, count = _groups(track, passed, float(np.abs(phase).max()))
    steps = _steps(box_mean(phase))
    largest = max(float(np.abs(np.diff(phase, axis=axis)).max(initial=0)) for axis in (0, 1))
    if largest * np.abs(came).max() < SMALL:
        uneven = np.mean(
            (passed - rate * (track.years[track.pairs[:, 1]] - track.years[track.pairs[:, 0]])) ** 2
        )
        kept = [np.exp(-0.5 * uneven * step**2).astype(np.float32) for step in steps]
        return Edges(None, (kept[0], kept[1]))
    turned = box_mean(np.exp(1j * came[:, None, None] * phase))
    found = [_agreed(angle, span, count) for angle in _angles(turned)]
    return Edges((found[0][0], found[1][0]), (found[0][1], found[1][1]))


def _groups(track: Look, passed: Array, largest: float) -> tuple[Array, Array, Array]:
    """Return interval (years), mean way and number of the pairs of each group; ``largest`` is rad per unit of way."""
    cycles = track.intervals
    width = max(WIDTH / largest, float(np.ptp(passed)) / GROUPS)
    bins = np.round(passed / width)
    _, group = np.unique(np.stack([cycles, bins]), axis=1, return_inverse=True)
    group = group.ravel()
    count = np.bincount(group)
    years = np.bincount(group, cycles) / count * network.REPEAT / YEAR_IN_DAYS
    return years, np.bincount(group, passed) / count, count


def _steps(values: Array) -> tuple[Array, Array]:
    """Return the next value minus this one along y and x; 0 at the last."""
    y, x = np.zeros_like(values), np.zeros_like(values)
    y[..., :-1, :], x[..., :-1] = np.diff(values, axis=-2), np.diff(values, axis=-1)
    return y, x


def _angles(turned: Array) -> tuple[Array, Array]:
    """Return the angle from each window to the next along y and x; 0 at the last."""
    y, x = np.zeros(turned.shape), np.zeros(turned.shape)
    y[:, :-1] = np.angle(turned[:, 1:] * turned[:, :-1].conj())
    x[..., :-1] = np.angle(turned[..., 1:] * turned[..., :-1].conj())
    return y, x


def _starts(angle: Array, span: Array, count: Array) -> Iterator[Array]:
    """Yield rates that single groups have, the largest groups first, on every branch up to the alias limit."""
    shortest = span.min()
    for group in np.argsort(-count, kind="stable")[:STARTS]:
        turns = int(span[group] / shortest) // 2
        for turn in range(-turns, turns + 1):
            yield (angle[group] + 2 * np.pi * turn) / span[group]


def _agreed(angle: Array, span: Array, count: Array) -> tuple[Array, Array]:
    """Return the r of largest J(r) = sum n cos(angle - r t) / sum n, and J: from the best group by Newton's method."""
    t, n = span[:, None, None], (count / count.sum())[:, None, None]
    rate, best = np.zeros(angle.shape[1:]), np.full(angle.shape[1:], -2.0)
    for start in _starts(angle, span, count):
        height = (n * np.cos(angle - start * t)).sum(axis=0)
        rate, best = np.where(height > best, start, rate), np.maximum(height, best)
    least = 0.3 * (n * t**2).sum()
    for _ in range(4):
        left = angle - rate * t
        rate = rate + (n * t * np.sin(left)).sum(axis=0) / np.maximum(
            (n * t**2 * np.cos(left)).sum(axis=0), least
        )
    height = (n * np.cos(angle - rate * t)).sum(axis=0)
    return rate.astype(np.float32), np.clip(height, 0, 1).astype(np.float32)


def box_mean(values: Array) -> Array:
    """Return means over the filter's window along the last two axes; beyond the array the edge holds."""
    half = spread.WINDOW // 2
    for axis in (-2, -1):
        border = [(half, half) if a == values.ndim + axis else (0, 0) for a in range(values.ndim)]
        padded = np.pad(values, border, "edge")
        size = values.shape[axis]
        parts = [np.take(padded, np.arange(k, k + size), axis=axis) for k in range(spread.WINDOW)]
        values = np.sum(parts, axis=0) / spread.WINDOW
    return np.asarray(values)
