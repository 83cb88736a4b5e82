"""Layers of the products of one track: velocity, its error, temporal coherence, and the gradients of the stack."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import lattice, looks, noise, stacked
from xinsar.simulate.features import overlaps
from xinsar.simulate.ground import (
    MARGIN,
    Base,
    Ground,
    Part,
    World,
    base,
    corner_noise,
    fading_share,
    meet,
    part_of,
    pattern,
    statistics,
)

Array = NDArray[Any]

WEIGHTS = 2 / np.sqrt(2 * noise.LOOKS)
"""Relative spread of a weight c**2/(1 - c**2), times the coherence c: that of c is (1 - c**2)/sqrt(2 L)."""

LEAST_MEASURED = 0.25
"""Coherence that noise alone is measured to have."""

NAMES = (
    "velocity",
    "velocity_sigma",
    "temporal_coherence",
    "gradient_y",
    "gradient_x",
    "gradient_coherence_y",
    "gradient_coherence_x",
    "gradient_z_y",
    "gradient_z_x",
    "elevation",
)
"""Layers of :func:`layers`, in order."""


def layers(world: World, window: tuple[slice, slice], lying: Base | None = None) -> Array:
    """Return the layers :data:`NAMES` of a window, float32 (layer, y, x).

    ``lying`` is what lies there with its margin, where it has been made already.
    """
    part = part_of(window)
    ground = meet(world, part, lying or base(world.land, world.cover, part))
    found = statistics(world, ground)
    shared = corner_noise(part, world.track.key("speckle"))
    smooth, stack = _slow(world, part, ground)
    made = _velocity(world, part, ground, found, smooth, shared)
    made |= stacked.gradients(world, part, ground, found, stack, shared)
    made["elevation"] = ground.lying.elevation
    _cut_last(made, part, world.shape)
    return np.stack([made[name][MARGIN:-MARGIN, MARGIN:-MARGIN] for name in NAMES])


def _cut_last(made: dict[str, Array], part: Part, shape: tuple[int, int]) -> None:
    """Take the edges beyond the last row and column away."""
    for name, layer in made.items():
        if name.startswith("gradient"):
            layer[part.rows == shape[0] - 1, :] = (
                np.nan if name.endswith("_y") else layer[part.rows == shape[0] - 1]
            )
            if name.endswith("_x"):
                layer[:, part.columns == shape[1] - 1] = np.nan


def _slow(world: World, part: Part, ground: Ground) -> tuple[Array, Array]:
    """Return what is there but decorrelation, m year-1 toward: in the velocity, and in the pairs of the stack."""
    track, spacing = world.track, world.land.spacing
    spectrum = looks.turbulence(spacing)
    one, other = (part.of(spectrum, track.key("turbulence", k)) for k in range(2))
    mix = track.turbulence()
    velocity = np.float32(mix.velocity) * one
    stack = np.float32(mix.share) * one + np.float32(mix.rest) * other
    fields = _by_coefficient(world, part, ground)
    for field, pair in fields:
        velocity += np.float32(pair.velocity) * field
        stack += np.float32(pair.stack) * field
    for feature, seen in world.near(part):
        for there, own in overlaps(feature.body.window, part.rows, part.columns):
            velocity[there] += seen.velocity[own]
            stack[there] += seen.stack[own]
    return velocity, stack


def _by_coefficient(world: World, part: Part, ground: Ground) -> list[tuple[Array, looks.Pair]]:
    """Return the fields that all dates or pairs share, with what they come to."""
    track, spacing = world.track, world.land.spacing
    profile = looks.profile(track, ground.lying.elevation, world.land.level)
    out = [(profile, track.by_date(track.lapse))]
    wide = lattice.smooth(track.lateral / spacing)
    for k in range(track.mixing.shape[1]):
        field = part.of(wide, track.key("lateral", k)) * profile
        out.append((field, track.by_date(track.lapse * track.mixing[:, k])))
    view = looks.SLANT_RANGE * np.sin(np.deg2rad(track.incidence))
    out.append((ground.error, track.by_date(track.baselines / view)))
    tilt = track.by_date(track.ramp)
    down = (part.rows * spacing).astype(np.float32)[:, None] + np.zeros(part.shape, np.float32)
    right = (part.columns * spacing).astype(np.float32)[None, :] + np.zeros(part.shape, np.float32)
    out += [(field, looks.Pair(tilt.velocity[k], tilt.stack[k])) for k, field in enumerate((down, right))]
    out.append((fading_share(world, part, ground.lying.kind), track.by_pair(track.fading_of_pairs())))
    return out


def _velocity(
    world: World, part: Part, ground: Ground, found: dict[str, Array], smooth: Array, shared: Array
) -> dict[str, Array]:
    """Return velocity, its standard error and temporal coherence."""
    track = world.track
    metres = np.float32(track.wavelength / (4 * np.pi))
    error = np.exp(found["velocity"]) * shared
    velocity = smooth + metres * (_binomial(error) if track.smoothed else error)
    coherence = found["temporal"].copy()
    wrong = _unwrapping_errors(world, part, ground)
    unsteady = corner_noise(part, track.key("unwrapping noise"))
    unsteady /= np.maximum(_mean_coherence(found), np.float32(LEAST_MEASURED))
    for error_here in wrong:
        velocity += (
            np.float32(error_here.step) + np.float32(error_here.jitter) * unsteady
        ) * error_here.inside
        coherence *= np.where(error_here.inside, np.float32(error_here.coherence), np.float32(1))
    velocity += np.float32(track.offset * track.turbulence().velocity)
    flicker = corner_noise(part, track.key("flicker"))
    coherence = np.clip(coherence + np.float32(0.015) * flicker, 0, 1)
    sigma = _standard_error(world, part, ground, np.exp(found["date"]) * metres, flicker, wrong)
    lost = coherence < np.float32(track.threshold)
    if track.masked:
        lost |= ground.hidden
    velocity[lost] = np.nan
    sigma[lost] = np.nan
    return {"velocity": velocity, "velocity_sigma": sigma, "temporal_coherence": coherence}


def _binomial(values: Array) -> Array:
    """Return 3 x 3 binomial means; the outermost pixels keep half of theirs."""
    rows = np.pad(values, 1)
    rows = (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / np.float32(4)
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(4))


class Wrong(NamedTuple):
    """One pattern of unwrapping errors."""

    step: float
    """In the velocity, m year-1."""
    coherence: float
    """Factor of the temporal coherence."""
    bend: float
    """Root mean square of the dates about a line, m."""
    jitter: float
    """Spread of the velocity where the coherence is 1, by the spread of the weights, m year-1."""
    inside: Array


def _unwrapping_errors(world: World, part: Part, ground: Ground) -> list[Wrong]:
    """Return what the unwrapping errors of all pairs come to, pattern by pattern."""
    track, out = world.track, []
    half, solved = track.wavelength / 2, track.network
    for k in range(looks.PATCHES):
        cycles = np.where(track.errors[:, 0] == k, track.errors[:, 1], 0)
        if cycles.any():
            bend = half * solved.about_the_line(cycles, track.years)
            jitter = half * WEIGHTS * float(np.sqrt(np.sum((solved.velocity * (solved.left @ cycles)) ** 2)))
            step, inside = half * float(solved.velocity @ cycles), pattern(world, part, ground.lying.order, k)
            out.append(Wrong(step, solved.coherence(cycles), bend, jitter, inside))
    return out


def _mean_coherence(found: dict[str, Array]) -> Array:
    """Return the mean coherence over one to three repeat cycles."""
    return np.asarray((found["first"] + found["second"] + found["third"]) / np.float32(3))


def _standard_error(
    world: World, part: Part, ground: Ground, date: Array, flicker: Array, wrong: list[Wrong]
) -> Array:
    """Return the standard error of the line through the dates, m year-1."""
    track = world.track
    profile = looks.profile(track, ground.lying.elevation, world.land.level)
    square = date**2 + np.float32(np.mean(track.rms**2))
    square += np.float32(np.mean(track.lapse**2)) * profile**2
    for feature, seen in world.near(part):
        for there, own in overlaps(feature.body.window, part.rows, part.columns):
            square[there] += (np.float32(seen.bend) * seen.long_term[own]) ** 2
    for error in wrong:
        square += np.float32(error.bend**2) * error.inside
    years = track.years
    root = np.sqrt(square) / np.float32(np.sqrt(np.sum((years - years.mean()) ** 2)))
    return np.asarray(root * (1 + flicker / np.float32(np.sqrt(2 * (years.size - 2)))))
