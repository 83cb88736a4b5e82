"""What lies in a part of a scene: its ground, and what a track meets there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import geometry, lattice, noise, spread, terrain
from xinsar.simulate.features import Feature, overlaps
from xinsar.simulate.land import Cover, GivenLand, Land
from xinsar.simulate.lattice import Octaves
from xinsar.simulate.looks import Look
from xinsar.simulate.seen import Seen

Array = NDArray[Any]

MARGIN = 4
"""Pixels around a part that its products need: two of the filter, one of the edge, one of the slope."""

SMOOTHED = 0.625
"""What 3 x 3 binomial means leave of the spread of :func:`corner_noise`: 20/32 of its variance along each axis."""

FADING = np.array([0.5, 1.0, 0.1], dtype=np.float32)
"""Share of the bias of short pairs on forest, grass and rock."""

WIDE, CHOSEN = 3000.0, 0.7
"""Length (m) of the field that chooses the islands of a pattern of unwrapping errors, and its limit: a fourth."""

CUTS = 2.4
"""Standard deviations above which a field of 120 m marks ground that was dug away or piled up."""


@dataclass(frozen=True)
class World:
    """All that decides the pixels of a scene made by parts, for one track."""

    shape: tuple[int, int]
    land: Land | GivenLand
    cover: Cover
    heights: tuple[float, float, float]
    """Standard deviation (m) and length (m) of the terrain model's error, and height of new cuts (m)."""
    features: tuple[Feature, ...]
    track: Look
    seen: tuple[Seen, ...]

    @cached_property
    def bounds(self) -> Array:
        """First row, row after the last, and the same of the columns, of the window of each feature (feature, 4)."""
        windows = (feature.body.window for feature in self.features)
        return np.array([(y.start, y.stop, x.start, x.stop) for y, x in windows], dtype=np.int64).reshape(
            -1, 4
        )

    def near(self, part: Part) -> Iterator[tuple[Feature, Seen]]:
        """Yield the features whose windows meet a part, in their order."""
        top, bottom, left, right = self.bounds.T
        (first, last), (west, east) = ((int(v[0]), int(v[-1])) for v in (part.rows, part.columns))
        for k in np.flatnonzero((top <= last) & (bottom > first) & (left <= east) & (right > west)).tolist():
            yield self.features[k], self.seen[k]


@dataclass(frozen=True)
class Part:
    """A part of the scene with its margin: absolute rows and columns."""

    rows: Array
    columns: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.size, self.columns.size

    def of(self, octaves: Octaves, key: int) -> Array:
        """Return a field here."""
        return octaves.at(key, self.rows, self.columns)


def part_of(window: tuple[slice, slice]) -> Part:
    """Return a window of the scene with its margin."""
    rows, columns = (np.arange(w.start - MARGIN, w.stop + MARGIN) for w in window)
    return Part(rows, columns)


class Base(NamedTuple):
    """What lies in a part whoever looks at it."""

    elevation: Array
    height: Array
    """Elevation before the valleys were filled, standard deviations about its mean."""
    order: Array
    floor: Array
    memory: Array
    kind: Array


def base(land: Land | GivenLand, cover: Cover, part: Part) -> Base:
    """Make the ground and its cover in a part."""
    raw = land.raw(part.rows, part.columns)
    height = (raw - np.float32(land.level)) / np.float32(land.spread)
    order = cover.order(height, part.rows, part.columns)
    return Base(land.filled(raw), height, order, *cover.at(order, part.rows, part.columns))


class Ground(NamedTuple):
    """What a track meets in a part."""

    lying: Base
    quality: Array
    """Factor of every coherence, without the snow of the winter."""
    snow: Array
    """How much lies under that snow, 0..1."""
    hidden: Array
    """Layover or shadow."""
    error: Array
    """True elevation minus that of the cube, m."""


def meet(world: World, part: Part, lying: Base) -> Ground:
    """Return what the track of ``world`` meets in a part."""
    quality, hidden = still_quality(world, lying.elevation)
    quality *= np.float32(world.track.over_pairs(world.track.overlap()))
    for feature, seen in world.near(part):
        for there, own in overlaps(feature.body.window, part.rows, part.columns):
            quality[there] *= seen.quality[own]
    return Ground(lying, quality, above_snow(world.track, lying.height), hidden, dem_error(world, part))


def still_quality(world: World, elevation: Array) -> tuple[Array, Array]:
    """Return the quality that receiver and slopes leave, and what lies in layover or shadow."""
    slope, aspect = terrain.slope_and_aspect(elevation.astype(np.float64), world.land.spacing)
    found = geometry.distortion(slope, aspect, **world.track.view)
    hidden = found.layover | found.shadow
    quality = noise.THERMAL * np.clip(found.stretch / noise.FORESHORTENED, 0, 1).astype(np.float32)
    quality[hidden] = 0
    return np.asarray(quality, dtype=np.float32), hidden


def above_snow(track: Look, height: Array) -> Array:
    """Return how much of a pixel lies under snow in winter, 0..1."""
    return np.asarray(
        np.clip((height - np.float32(track.snowline)) / np.float32(0.3) + np.float32(0.5), 0, 1)
    )


def dem_error(world: World, part: Part) -> Array:
    """Return true elevation minus that of the cube in a part, m."""
    sigma, length, cut = world.heights
    key = lattice.key(world.track.seed, world.track.draws, "height")
    spacing = world.land.spacing
    out = np.float32(sigma) * part.of(lattice.smooth(length / spacing), key)
    if cut != 0:
        dug = part.of(lattice.smooth(120.0 / spacing), key + 1)
        out += (
            np.float32(cut) * np.clip((np.abs(dug) - np.float32(CUTS)) / np.float32(0.3), 0, 1) * np.sign(dug)
        )
    for feature, _ in world.near(part):
        for there, own in overlaps(feature.body.window, part.rows, part.columns):
            out[there] += np.float32(feature.height) * feature.inside[own]
    return np.asarray(out)


def statistics(world: World, ground: Ground) -> dict[str, Array]:
    """Return what decorrelation leaves at each pixel (:data:`xinsar.simulate.spread.ITEMS`).

    Under the snow of the winter the pairs that it touches have another quality: variances and shares are means over
    both kinds of pairs.
    """
    table, track = spread.table(world.track.tier), world.track
    cover = ground.lying.floor, ground.lying.memory
    free = table.at(*cover, ground.quality)
    touched, left = track.snowy()
    weight = np.float32(touched) * ground.snow
    if not weight.any():
        return free
    covered = table.at(*cover, ground.quality * np.float32(left))
    return {
        name: np.where(weight > 0, _mixed(name, free[name], covered[name], weight), free[name])
        for name in free
    }


def _mixed(name: str, free: Array, covered: Array, weight: Array) -> Array:
    """Return the mean of both; of the squares where an item is the logarithm of a spread."""
    if name not in spread.LOGARITHMS:
        return np.asarray(free + weight * (covered - free))
    return np.asarray(np.log((1 - weight) * np.exp(2 * free) + weight * np.exp(2 * covered)) / 2)


def pixel_spread(world: World, part: Part, lying: Base) -> Array:
    """Return the standard deviation of the velocity that decorrelation leaves in each pixel of a part, m year-1."""
    found = statistics(world, meet(world, part, lying))
    kept = SMOOTHED if world.track.smoothed else 1.0
    return np.asarray(np.exp(found["velocity"]) * np.float32(kept * world.track.wavelength / (4 * np.pi)))


def corner_noise(part: Part, key: int) -> Array:
    """Return noise of variance 1 that neighbouring pixels share as they share looks."""
    rows, columns = (np.append(v, v[-1] + 1) for v in (part.rows, part.columns))
    return noise._four(lattice.normals(key, rows, columns)) / np.float32(2)


def fading_share(world: World, part: Part, kind: Array) -> Array:
    """Return the share of the bias of short pairs, by what grows there."""
    within = part.of(lattice.smooth(500.0 / world.land.spacing), world.track.key("fading"))
    return np.asarray(FADING[kind] * (1 + np.float32(0.3) * within))


def pattern(world: World, part: Part, order: Array, number: int) -> Array:
    """Return where one pattern of unwrapping errors lies: islands of rock, or of forest, that a wide field chooses.

    Their borders are those of the cover, where coherence changes.
    """
    field = part.of(lattice.smooth(WIDE / world.land.spacing), world.track.key("unwrapping", number))
    low, high = (np.float32(limit) for limit in world.cover.limits)
    island = order > high if number % 2 else order < low
    return np.asarray(island & (field > np.float32(CHOSEN)))
