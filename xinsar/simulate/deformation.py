"""Sliding bodies: where they lie, how fast they move down the slope, and how that changes with time."""

from __future__ import annotations

from collections.abc import Callable
from math import gamma, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate.fields import lognormal, stream
from xinsar.simulate.geometry import sensitivity
from xinsar.simulate.terrain import Ground, descent

Array = NDArray[Any]

PER_TILE = 5.0
"""Mean number of bodies on 256 x 256 pixels."""

SLOPES = (8.0, 38.0)
"""Slopes that carry a body, degrees."""

BEHAVIOURS = {"linear": 0.2, "accelerating": 0.1, "decelerating": 0.3, "step": 0.4}
"""Course of the motion and its share of the bodies (of 31 observed landslides, Remote Sens. 16(1):100)."""

ATTEMPTS = 60
"""Draws of one body before it is given up."""


class Lobe(NamedTuple):
    """A perturbed superellipse in the axes of a body."""

    shift: float
    """Of the centre along the axis, in half lengths of the body."""
    scale: float
    """Against the body."""
    speed: float
    """Against the body."""
    ripple: Array
    """Complex amplitudes of the outline's harmonics 2, 3, ..."""


class Form(NamedTuple):
    """Outline and profile of one body before it is put on a slope."""

    length: float
    """Along the axis, m."""
    width: float
    """Across it, m."""
    exponent: float
    """Of the superellipse."""
    turn: float
    """Of the axis against the aspect, degrees."""
    lobes: tuple[Lobe, ...]
    sharpness: float
    """p of the plug 1 - r**p; 0 for Gaussian creep."""
    weighting: float
    """Of the toe (positive) or the head (negative), per half length; 0 for none."""


class Course(NamedTuple):
    """How the velocity of one body changes with time."""

    name: str
    bend: float
    """Growth exponent of the velocity over the observed span, or the share of a step."""
    centre: float
    """Time of a step, share of the span."""
    breadth: float
    """Duration of a step, years."""
    swing: float
    """Amplitude a of the season 1 + a sin(2 pi (t - t0))."""
    season: float
    """t0, or the start of the wet season, share of the year."""
    wet: float
    """Length of the only season of motion, share of the year; 1 for all year."""


class Body(NamedTuple):
    """One sliding body on the grid."""

    window: tuple[slice, slice]
    """Rows and columns that hold it."""
    velocity: Array
    """Downslope velocity in the window, m year-1, 0 outside the body."""
    plunge: Array
    """Slope of the motion in the window, degrees; steeper at the head of a rotational body."""
    slope: float
    """Of the mean ground under it, degrees."""
    aspect: float
    """Azimuth of the motion, degrees."""
    length: float
    """Along its axis, m."""
    course: Course

    @property
    def moving(self) -> Array:
        """Pixels of the window that belong to the body."""
        return self.velocity > 0


def place(seed: int, ground: Ground) -> list[Body]:
    """Put bodies on the slopes of ``ground`` (8-38 degrees), without overlap and wholly inside.

    Their number is Poisson with mean 5 per 256 x 256 pixels, at least one is tried; a body that finds no
    place in 60 draws is left out.
    """
    rows, columns = ground.elevation.shape
    count = max(1, int(stream(seed, "bodies").poisson(PER_TILE * rows * columns / 256**2)))
    taken = np.zeros((rows, columns), dtype=bool)
    smooth = _broad_descent(ground)
    wet_start = stream(seed, "climate").random()
    bodies = (_settle(stream(seed, "body", k), ground, smooth, taken, wet_start) for k in range(count))
    return [body for body in bodies if body is not None]


def _broad_descent(ground: Ground) -> tuple[Array, Array]:
    """Return the descent (east, north) over about 200 m; east is NaN where no body can start."""
    from scipy.ndimage import gaussian_filter

    broad = gaussian_filter(ground.elevation.astype(float), 100.0 / ground.spacing)
    east, north = descent(broad, ground.spacing)
    slope = np.rad2deg(np.arctan(np.hypot(east, north)))
    steep = (slope > SLOPES[0]) & (slope < SLOPES[1])
    return np.where(steep, east, np.nan), north


def _settle(
    rng: np.random.Generator, ground: Ground, smooth: tuple[Array, Array], taken: Array, wet_start: float
) -> Body | None:
    """Draw one body until it fits, and mark its place (and two pixels around) as ``taken``."""
    from scipy.ndimage import binary_dilation

    places = np.argwhere(np.isfinite(smooth[0]))
    for _ in range(ATTEMPTS if len(places) else 0):
        row, column = (int(v) for v in places[rng.integers(len(places))])
        form, speed, rotation = draw_form(rng), draw_speed(rng), _draw_rotation(rng)
        course = draw_course(rng, wet_start)
        azimuth = np.rad2deg(np.arctan2(smooth[0][row, column], smooth[1][row, column])) + form.turn
        window, rate, along = _stamp(form, azimuth, (row, column), ground.spacing)
        lie = _lie(ground, window, rate > 0, taken)
        if lie is None:
            continue
        taken[window] |= binary_dilation(rate > 0, iterations=2)
        plunge = np.clip(lie[0] - rotation * along, 0.0, 60.0)
        return Body(window, speed * rate, plunge, *lie, form.length, course)
    return None


def _lie(
    ground: Ground, window: tuple[slice, slice], moving: Array, taken: Array
) -> tuple[float, float] | None:
    """Return slope and aspect of the mean ground under a body, or None where it cannot lie."""
    outside = any(w.start < 0 or w.stop > n for w, n in zip(window, taken.shape, strict=True))
    if outside or moving.sum() < 8 or (taken[window] & moving).any():
        return None
    east, north = (d[moving] for d in descent(ground.elevation[window].astype(float), ground.spacing))
    rise = np.hypot(east.mean(), north.mean())
    slope = float(np.rad2deg(np.arctan(rise)))
    one_slope = rise > 0.75 * np.hypot(east, north).mean()
    if not (one_slope and SLOPES[0] < slope < SLOPES[1]):
        return None
    return slope, float(np.rad2deg(np.arctan2(east.mean(), north.mean())) % 360)


def draw_form(rng: np.random.Generator) -> Form:
    """Draw area (median .2 km2), length over width (median 1.7), outline and velocity profile."""
    area = 1e6 * lognormal(rng, 0.2, 1.0, 0.01, 8.0)
    ratio = lognormal(rng, 1.7, 0.3, 1.0, 4.0)
    exponent = rng.uniform(2.0, 3.0)
    width = np.sqrt(area / ratio / _superellipse_area(exponent))
    creep, weighted = rng.random() < 0.2, rng.random() < 0.3
    return Form(
        length=float(ratio * width),
        width=float(width),
        exponent=float(exponent),
        turn=float(rng.uniform(-15.0, 15.0)),
        lobes=_draw_lobes(rng),
        sharpness=0.0 if creep else float(rng.uniform(2.0, 8.0)),
        weighting=float(rng.choice([-3.0, 3.0])) if weighted and not creep else 0.0,
    )


def _superellipse_area(exponent: float) -> float:
    """Return the area of |x|**n + |y|**n < 1 with both axes of full length 1."""
    return float(gamma(1 + 1 / exponent) ** 2 / gamma(1 + 2 / exponent))


def _draw_lobes(rng: np.random.Generator) -> tuple[Lobe, ...]:
    whole = Lobe(0.0, 1.0, 1.0, _draw_ripple(rng))
    if rng.random() >= 0.25:
        return (whole,)
    shift, scale = rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.7)
    inner = Lobe(float(shift), float(scale), 1.0, _draw_ripple(rng))
    return (whole._replace(speed=float(rng.uniform(0.3, 0.6))), inner)


def _draw_ripple(rng: np.random.Generator) -> Array:
    """Draw harmonics 2-7 whose sum changes the radius by 10-15 percent rms, weaker the finer they are."""
    harmonics = np.arange(2, 8)
    amplitude = (rng.standard_normal(6) + 1j * rng.standard_normal(6)) / harmonics
    return np.asarray(rng.uniform(0.10, 0.15) * amplitude / np.sqrt(np.sum(1 / harmonics**2.0)))


def draw_speed(rng: np.random.Generator) -> float:
    """Draw the fastest downslope velocity of a body, m year-1: lognormal, median .035, .006-1."""
    return lognormal(rng, 0.035, 0.9, 0.006, 1.0)


def _draw_rotation(rng: np.random.Generator) -> float:
    """Draw how much steeper the head moves than the middle, degrees; 0 for three bodies in five."""
    return float(rng.uniform(0.0, 20.0)) if rng.random() < 0.4 else 0.0


def _stamp(
    form: Form, azimuth: float, centre: tuple[int, int], spacing: float | tuple[float, float]
) -> tuple[tuple[slice, slice], Array, Array]:
    """Put a form on the grid: window, velocity against the fastest, place along the axis (head to toe).

    ``spacing`` is that of both axes, or of (y, x).
    """
    from scipy.ndimage import label

    dy, dx = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    half = int(1.1 * np.hypot(form.length, form.width) / min(dy, dx)) + 3
    north, east = np.mgrid[half : -half - 1 : -1, -half : half + 1]
    north, east = north * dy, east * dx
    a = np.deg2rad(azimuth)
    along = (east * np.sin(a) + north * np.cos(a)) / (form.length / 2)
    across = (east * np.cos(a) - north * np.sin(a)) / (form.width / 2)
    rate = np.max([_lobe_rate(form, lobe, along, across) for lobe in form.lobes], axis=0)
    parts, _ = label(rate > 0)
    rate[parts != parts[half, half]] = 0.0
    rows, columns = (np.flatnonzero((rate > 0).any(axis=axis)) for axis in (1, 0))
    inner = tuple(slice(max(v.min(initial=half) - 3, 0), v.max(initial=half) + 4) for v in (rows, columns))
    shift = (centre[0] - half, centre[1] - half)
    window = tuple(slice(int(s.start + o), int(s.stop + o)) for s, o in zip(inner, shift, strict=True))
    return (window[0], window[1]), rate[inner], along[inner]


def _lobe_rate(form: Form, lobe: Lobe, along: Array, across: Array) -> Array:
    """Return the velocity inside one lobe against the body's fastest, 0 outside."""
    u, v = (along - lobe.shift) / lobe.scale, across / lobe.scale
    radius = (np.abs(u) ** form.exponent + np.abs(v) ** form.exponent) ** (1 / form.exponent)
    near = radius < 1 + np.abs(lobe.ripple).sum()
    angle = np.arctan2(v[near], u[near])
    ripple = sum(np.real(c * np.exp(1j * k * angle)) for k, c in enumerate(lobe.ripple, start=2))
    own = radius[near] / np.maximum(1 + ripple, 0.3)
    rate = np.zeros(radius.shape)
    rate[near] = np.where(own < 1, lobe.speed * _profile(form, own, u[near]), 0.0)
    return rate


def _profile(form: Form, radius: Array, along: Array) -> Array:
    inside = np.minimum(radius, 1.0)
    if form.sharpness == 0.0:
        return np.asarray((np.exp(-3 * inside**2) - np.exp(-3.0)) / (1 - np.exp(-3.0)))
    weight = 1 / (1 + np.exp(-form.weighting * along)) if form.weighting else 1.0
    return np.asarray((1 - inside**form.sharpness) * weight)


def draw_course(rng: np.random.Generator, wet_start: float) -> Course:
    """Draw the behaviour of one body.

    One in ten moves in three to five wet months only, three in a hundred turn back in part of each year; the
    others follow :data:`BEHAVIOURS` with a season of amplitude 0-.8.
    """
    special = rng.random()
    name = str(rng.choice(list(BEHAVIOURS), p=list(BEHAVIOURS.values())))
    bend, swing, season = rng.uniform(1.0, 3.0), rng.uniform(0.0, 0.8), rng.random()
    centre, breadth, months = rng.uniform(0.2, 0.8), rng.uniform(0.03, 0.15), rng.uniform(3.0, 5.0)
    turned, late = rng.uniform(1.0, 1.3), rng.normal(0.0, 0.03)
    course = Course(name, float(bend), float(centre), float(breadth), float(swing), float(season), 1.0)
    if special < 0.1:
        return course._replace(
            name="wet_season", swing=0.0, season=float(wet_start + late), wet=float(months / 12)
        )
    if special < 0.13:
        return course._replace(name="reversing", swing=float(turned))
    return course


def _step(course: Course, share: Array, span: float) -> Array:
    """Return a rate of mean about 1: a third or less all the time, the rest in one bell around the centre."""
    steady = 0.2 + 0.1 * (course.bend - 1) / 2
    width = course.breadth / span
    bell = np.cosh(np.clip((share - course.centre) / width, -50, 50)) ** -2 / (2 * width)
    return np.asarray(steady + (1 - steady) * bell)


_TRENDS: dict[str, Callable[[Course, Array, float], Array]] = {
    "linear": lambda _c, s, _: np.ones_like(s),
    "accelerating": lambda c, s, _: np.exp(c.bend * s) * c.bend / np.expm1(c.bend),
    "decelerating": lambda c, s, _: np.exp(-c.bend * s) * c.bend / -np.expm1(-c.bend),
    "step": _step,
}


def progress(course: Course, days: Array, *, span: float) -> Array:
    """Return how far a body has come, in years of its long-term velocity.

    Parameters
    ----------
    course
        Behaviour.
    days
        Days since the scene's start, not negative, at most ``span`` plus a few weeks.
    span
        Observed time, days; trends are scaled so that their mean rate over it is 1.

    Returns
    -------
    numpy.ndarray
        Integral of the rate from day 0, years; float64 of the shape of ``days``.
    """
    day = np.arange(int(np.max(days, initial=span)) + 2.0)
    year = day / YEAR_IN_DAYS
    trend = _TRENDS.get(course.name, _TRENDS["linear"])(course, day / span, span / YEAR_IN_DAYS)
    phase = (year - course.season) % 1.0
    season = 1 + course.swing * np.sin(2 * pi * phase)
    if course.wet < 1:
        season = (phase < course.wet) / course.wet
    rate = trend * season
    grown = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)]) / YEAR_IN_DAYS
    return np.asarray(np.interp(days, day, grown))


def los_velocity(body: Body, *, heading: float, incidence: float) -> Array:
    """Return the body's velocity toward the satellite in its window, m year-1."""
    seen = sensitivity(body.plunge, body.aspect, heading, incidence)
    return np.asarray(body.velocity * seen)


def strain_factor(los: Array, *, wavelength: float, interval: float) -> Array:
    """Return the loss of coherence in a body: 1 where neighbours move alike, .6 at a fourth of a wavelength.

    ``los`` is the velocity toward the satellite, m year-1; the difference between neighbouring pixels is
    taken over ``interval`` days. Beyond a fourth of a wavelength, where the phase aliases, it falls on to 0.
    """
    bend = np.max([np.abs(g) for g in np.gradient(los)], axis=0) * interval / YEAR_IN_DAYS
    return np.asarray(np.clip(1 - 0.4 * bend / (wavelength / 4), 0.0, 1.0))
