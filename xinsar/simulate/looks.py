"""One track over a scene made by parts: its dates, its weather, and what all of it comes to in a velocity or a stack.

A velocity is a fixed linear combination of the displacements of the dates, and so is the rate of a gradient stack.
What differs from date to date by a factor only (terrain-bound delay, baselines, tilts, soil moisture, the course of a
body) therefore comes to one coefficient each, and the turbulence of all dates to one field whose variance is the sum of
theirs with squared weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import atmosphere, deformation, lattice, network, spread
from xinsar.simulate.draws import Draws
from xinsar.simulate.features import Feature
from xinsar.simulate.fields import lognormal, stream

Array = NDArray[Any]

WAVELENGTH = 0.0554658
"""Sentinel-1, m."""

HEADINGS = {"ascending": 348.0, "descending": 192.0}
"""Flight direction of each orbit, degrees; a scene's own lies within a degree."""

SLANT_RANGE = 850e3
"""Distance from the satellite to the ground, m."""

START = np.datetime64("2021-01-01", "ns")
"""No track begins before this day, every track within one repeat cycle of it."""

CRITICAL_BASELINE = 5000.0
"""Perpendicular baseline at which nothing of the coherence is left, m."""

FADING = 15.0
"""Days over which the bias of short pairs falls to 1/e."""

PATCHES = 4
"""Patterns of unwrapping errors in a track."""

WINTER = (12, 1, 2, 3)
"""Months of snow."""

SNOW = 0.2
"""Factor of the quality of a date with snow."""


class Pair(NamedTuple):
    """One number for the velocity, one for the rate of the stack."""

    velocity: Any
    stack: Any


class Turbulence(NamedTuple):
    """The turbulence of all dates as two independent fields a and b: velocity = a, stack = share a + rest b."""

    velocity: float
    """Standard deviation inside squares of 10 km, m year-1."""
    share: float
    rest: float


@dataclass(frozen=True)
class Look:
    """All that decides the products of one track."""

    seed: int
    draws: str
    name: str
    heading: float
    incidence: float
    wavelength: float
    tier: network.Tier
    dates: Array
    """datetime64[ns]."""
    baselines: Array
    """Perpendicular baseline of each date, m."""
    pairs: Array
    """Reference and secondary date of each pair, indices."""
    rms: Array
    """Turbulence of each date, m."""
    lapse: Array
    """Stratified delay of each date, m per m."""
    mixing: Array
    """Weights of three lateral fields for each date."""
    lateral: float
    """Length of these fields, m."""
    power: float | None
    """Exponent of the profile, None where it is the elevation."""
    ramp: Array
    """Tilt of each date toward the south and toward the east, m per m."""
    moisture: Array
    """Water in the soil at each date, standard deviations."""
    snowline: float
    """Where the snow of the winter begins, standard deviations of the terrain."""
    fading: float
    """Bias of a pair of one repeat cycle on the ground that has most of it, m."""
    errors: Array
    """For each pair the pattern of its unwrapping error and its sign, (pair, 2); sign 0 for none."""
    smoothed: bool
    """Whether the phase was filtered before unwrapping."""
    threshold: float
    """Temporal coherence below which the product has no velocity."""
    masked: bool
    """Whether the product has no velocity in layover and shadow."""
    offset: float
    """Of the reference, standard deviations."""

    @property
    def years(self) -> Array:
        """Time of each date since the first, years."""
        return np.asarray((self.dates - self.dates[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS)

    @property
    def days(self) -> Array:
        """Time of each date since the scene's start, days."""
        return np.asarray((self.dates - START) / np.timedelta64(1, "D"))

    @property
    def intervals(self) -> Array:
        """Interval of each pair in repeat cycles."""
        return np.round(
            (self.years[self.pairs[:, 1]] - self.years[self.pairs[:, 0]]) * YEAR_IN_DAYS / network.REPEAT
        )

    @property
    def view(self) -> dict[str, float]:
        """Heading and incidence, degrees."""
        return {"heading": self.heading, "incidence": self.incidence}

    def key(self, *name: str | int) -> int:
        """Return the key of a field of this track."""
        return lattice.key(self.seed, self.draws, self.name, *name)

    def by_date(self, values: Array) -> Pair:
        """Return what a number of each date comes to."""
        pair = spread.velocity_weights(self.years), spread.stack_weights(self.years, self.pairs)
        return Pair(*(np.tensordot(weights, values, axes=1) for weights in pair))

    def by_pair(self, values: Array) -> Pair:
        """Return what a number of each pair comes to."""
        network = self.network
        return Pair(*(np.tensordot(weights, values, axes=1) for weights in (network.velocity, network.stack)))

    @cached_property
    def network(self) -> spread.Network:
        """Inversion of the pairs."""
        return spread.inversion(self.years, self.pairs)

    def turbulence(self) -> Turbulence:
        """Return the turbulence of all dates together."""
        line = self.rms * spread.velocity_weights(self.years)
        stack = self.rms * spread.stack_weights(self.years, self.pairs)
        sigma = float(np.sqrt(line @ line))
        share = float(line @ stack) / sigma
        return Turbulence(sigma, share, float(np.sqrt(max(stack @ stack - share**2, 0.0))))

    def winter(self) -> Array:
        """Return which dates lie in winter."""
        return np.isin(self.dates.astype("datetime64[M]").astype(int) % 12 + 1, WINTER)

    def snowy(self) -> tuple[float, float]:
        """Return the share of the pairs with a date in winter, and the mean factor of their quality under snow."""
        date = np.where(self.winter(), SNOW, 1.0)
        factor = np.sqrt(date[self.pairs[:, 0]] * date[self.pairs[:, 1]])
        touched = factor < 1
        return float(touched.mean()), float(factor[touched].mean()) if touched.any() else 1.0

    def overlap(self) -> Array:
        """Return the factor of each date's quality that makes that of a pair 1 - |B| / B_crit on average.

        The difference of two baselines is sqrt(2) times as large as one of them.
        """
        return np.asarray(np.maximum(1 - np.sqrt(2) * np.abs(self.baselines) / CRITICAL_BASELINE, 0))

    def over_pairs(self, quality: Array) -> float:
        """Return the mean over the pairs of the root of the product of their dates' ``quality``."""
        return float(np.sqrt(quality[self.pairs[:, 0]] * quality[self.pairs[:, 1]]).mean())

    def fading_of_pairs(self) -> Array:
        """Return the bias of each pair on the ground that has most of it, m."""
        return np.asarray(self.fading * np.exp(-(self.intervals - 1) * network.REPEAT / FADING))

    def progress(self, feature: Feature) -> Array:
        """Return how far a feature has come at each date, years of its long-term velocity."""
        return deformation.progress(feature.body.course, self.days, span=self.tier.years * YEAR_IN_DAYS)


def look(
    key: tuple[int, str],
    name: str,
    draws: Draws,
    tier: network.Tier,
    *,
    wavelength: float,
) -> Look:
    """Draw a track of the scene ``key``."""
    rng = stream(*key, name, "orbit")
    heading, incidence = HEADINGS[name] + rng.uniform(-1, 1), rng.uniform(*draws.incidence)
    start = START + np.timedelta64(int(rng.integers(network.REPEAT)), "D")
    dates = network.acquisitions(rng, tier, start=start)
    baselines = network.baselines(rng, dates.size)
    pairs = network.small_baseline_pairs(dates.size)
    weather = _weather(stream(*key, name, "weather"), draws, dates.size)
    rest = _product(stream(*key, name, "product"), draws, len(pairs))
    moisture = _moisture(stream(*key, name, "moisture"), dates)
    snow = stream(*key, "snow")
    snowline = snow.uniform(0.3, 2.0) if snow.random() < 0.6 else 99.0
    return Look(
        seed=key[0],
        draws=key[1],
        name=name,
        heading=float(heading),
        incidence=float(incidence),
        wavelength=wavelength,
        tier=tier,
        dates=dates,
        baselines=baselines,
        pairs=pairs,
        moisture=moisture,
        snowline=float(snowline),
        **weather,
        **rest,
    )


def _weather(rng: np.random.Generator, draws: Draws, dates: int) -> dict[str, Any]:
    """Draw what :func:`xinsar.simulate.atmosphere.atmosphere` draws, and the tilts."""
    sigma = 1e-6 * np.exp(rng.uniform(np.log(2.0), np.log(15.0)))
    factor, tilt = rng.uniform(*draws.turbulence), rng.uniform(*draws.ramp)
    powered, alpha = rng.random() < 0.3, rng.normal(1.4, 0.1)
    return {
        "lateral": float(rng.uniform(2000.0, 4000.0)),
        "power": float(alpha) if powered else None,
        "rms": np.array([lognormal(rng, factor * 3.5e-3, 0.4, 2e-3, 8e-3) for _ in range(dates)]),
        "lapse": sigma * rng.standard_normal(dates),
        "mixing": 0.5 / np.sqrt(3) * rng.standard_normal((dates, 3)),
        "ramp": tilt * rng.standard_normal((dates, 2)),
    }


def _product(rng: np.random.Generator, draws: Draws, pairs: int) -> dict[str, Any]:
    """Draw what the processing does."""
    wrong = rng.random(pairs) < rng.uniform(*draws.unwrapping)
    pattern, sign = rng.integers(PATCHES, size=pairs), rng.choice([-1, 1], size=pairs)
    low, high = draws.fading
    return {
        "errors": np.stack([pattern, np.where(wrong, sign, 0)], axis=1),
        "fading": float(low + (high - low) * rng.random() ** 2),
        "smoothed": bool(rng.random() < 0.5),
        "threshold": float(rng.uniform(0.3, 0.7)) if rng.random() < 0.6 else 0.0,
        "masked": bool(rng.random() < 0.7),
        "offset": float(rng.standard_normal()),
    }


def _moisture(rng: np.random.Generator, dates: Array) -> Array:
    """Draw the water in the soil: a season, and rain that dries up over about a month."""
    days = (dates - dates[0]) / np.timedelta64(1, "D")
    season = np.sin(2 * np.pi * (days / YEAR_IN_DAYS - rng.random()))
    keep = np.exp(-np.diff(days, prepend=days[0] - 99) / 30)
    rain = np.zeros(days.size)
    for k, fresh in enumerate(rng.standard_normal(days.size)):
        rain[k] = keep[k] * rain[k - 1] + np.sqrt(1 - keep[k] ** 2) * fresh
    return np.asarray((season + 0.7 * rain) / np.sqrt(0.5 + 0.49))


def profile(track: Look, elevation: Array, level: float) -> Array:
    """Return the effective height that the stratified delay follows, m about the mean ``level``, float32."""
    if track.power is None:
        return np.asarray(elevation - np.float32(level))
    top = max(7000.0 - level, 500.0)
    share = np.maximum(7000.0 - elevation.astype(np.float64), 0.0) / top
    return np.asarray(top * (1 - share**track.power) / track.power, dtype=np.float32)


def turbulence(spacing: float) -> lattice.Octaves:
    """Return the turbulence of one date as octaves, rms 1 inside squares of 10 km."""
    return lattice.power_law(spacing, atmosphere.EXPONENTS, (atmosphere.BREAK,), atmosphere.WINDOW)
