"""What lies on the ground of a scene made by parts: landslides, and what is mistaken for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import deformation
from xinsar.simulate.deformation import Body, Course, Form, Lobe
from xinsar.simulate.fields import lognormal, stream
from xinsar.simulate.land import GivenLand, Land
from xinsar.simulate.taken import Taken
from xinsar.simulate.terrain import descent

Array = NDArray[Any]

ATTEMPTS = 120
"""Places that are tried for one feature before it is given up."""

VALID = 0.7
"""Least share of a feature's pixels that have data, where the data are given."""

ARM = 4
"""Half width of the patch whose mean slope decides whether a feature can begin at a pixel."""


class Kind(NamedTuple):
    """One class of what lies on the ground."""

    ignore: bool
    """Neither a miss nor a false alarm: ground that does move down a slope, but is no landslide."""
    slopes: tuple[float, float]
    """Slopes that it lies on, degrees."""
    heights: tuple[float, float]
    """Elevations that it lies at, standard deviations of the terrain."""
    share: float
    """Mean number on 256 x 256 pixels."""


KINDS = {
    "landslide": Kind(ignore=False, slopes=deformation.SLOPES, heights=(-9.0, 9.0), share=5.0),
    "subsidence": Kind(ignore=False, slopes=(0.0, 10.0), heights=(-9.0, 9.0), share=0.8),
    "mine": Kind(ignore=True, slopes=(0.0, 25.0), heights=(-9.0, 1.5), share=0.3),
    "glacier": Kind(ignore=True, slopes=(4.0, 30.0), heights=(0.7, 9.0), share=0.5),
    "snow": Kind(ignore=False, slopes=(0.0, 45.0), heights=(0.6, 9.0), share=0.5),
    "water": Kind(ignore=False, slopes=(0.0, 9.0), heights=(-9.0, 0.5), share=0.4),
    "soil_moisture": Kind(ignore=False, slopes=(0.0, 15.0), heights=(-9.0, 0.8), share=0.8),
}
"""Classes of the truth. The last six are the distractors."""


class Feature(NamedTuple):
    """One feature on the grid."""

    kind: str
    body: Body
    """Its motion; plunge 90 degrees where it sinks."""
    inside: Array
    """Pixels of the window that belong to it."""
    quality: float | Array
    """Factor of every coherence inside."""
    height: float
    """Change of the elevation since the terrain model, m."""
    moisture: float
    """Apparent displacement for moisture one standard deviation above its mean, m."""


class Place(NamedTuple):
    """Where a feature begins."""

    row: int
    column: int
    azimuth: float
    """Of the descent, degrees."""


def put(key: tuple[int, str], site: Site, counts: dict[str, int]) -> list[Feature]:
    """Put features on the ground without overlap, landslides first; one that finds no place is left out.

    Parameters
    ----------
    key
        Seed and name of the draws.
    site
        Ground; what is taken is marked in it.
    counts
        How many of each kind are tried.
    """
    wet_start = stream(*key, "climate").random()
    found = (
        _settle(stream(*key, kind, k), kind, site, wet_start)
        for kind in KINDS
        for k in range(counts.get(kind, 0))
    )
    return [feature for feature in found if feature is not None]


class Site(NamedTuple):
    """The ground of a scene while features are put on it."""

    land: Land | GivenLand
    spacing: tuple[float, float]
    """Along y and x, m."""
    taken: Taken
    """Where nothing can be put any more."""
    held: Array | None = None
    """The elevation of the whole scene, where it is there already."""
    valid: Array | None = None
    """Pixels that have data; None for all."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.taken.shape

    def elevation(self, window: tuple[slice, slice]) -> Array:
        """Return the elevation of a window inside the scene."""
        if self.held is not None:
            return np.asarray(self.held[window])
        return self.land.elevation(*(np.arange(w.start, w.stop) for w in window))

    def heights(self, rows: Array, columns: Array) -> Array:
        """Return the elevation of single pixels inside the scene."""
        if self.held is not None:
            return np.asarray(self.held[rows, columns])
        return self.land.elevation(rows, columns).diagonal()

    def inside(self, window: tuple[slice, slice]) -> bool:
        """Return whether a window lies in the scene."""
        return all(w.start >= 0 and w.stop <= n for w, n in zip(window, self.shape, strict=True))


def _settle(rng: np.random.Generator, kind: str, site: Site, wet_start: float) -> Feature | None:
    """Draw one feature, then places until it fits, and mark its place (and two pixels around) as taken."""
    from scipy.ndimage import binary_dilation

    lay = MAKERS[kind](rng, wet_start)
    for _ in range(ATTEMPTS):
        found = _begin(rng, kind, site)
        made = None if found is None else lay(found, site)
        if made is not None and _free(made, site):
            site.taken.add(made.body.window, binary_dilation(made.inside, iterations=2))
            return made
    return None


def _begin(rng: np.random.Generator, kind: str, site: Site) -> Place | None:
    """Draw a pixel; None where slope or elevation do not suit."""
    rows, columns = site.shape
    row, column = int(rng.integers(ARM, rows - ARM)), int(rng.integers(ARM, columns - ARM))
    if site.taken.holds([row], [column]):
        return None
    arm = np.arange(-ARM, ARM + 1)
    patch = site.elevation((slice(row - ARM, row + ARM + 1), slice(column - ARM, column + ARM + 1)))
    scale = float(np.sum(arm**2)) * arm.size
    east = -float(np.sum(patch.astype(float) * arm)) / (scale * site.spacing[1])
    north = float(np.sum(patch.astype(float) * arm[:, None])) / (scale * site.spacing[0])
    slope = np.rad2deg(np.arctan(np.hypot(east, north)))
    height = (float(patch.mean()) - site.land.level) / site.land.spread
    allowed = KINDS[kind]
    suits = allowed.slopes[0] < slope < allowed.slopes[1] and allowed.heights[0] < height < allowed.heights[1]
    return Place(row, column, float(np.rad2deg(np.arctan2(east, north)))) if suits else None


def _free(made: Feature, site: Site) -> bool:
    """Return whether a feature has eight pixels or more, meets no other, and hardly any gap of the data."""
    window, inside = made.body.window, made.inside
    if inside.sum() < 8 or site.taken.meets(window, inside):
        return False
    return site.valid is None or bool(site.valid[window][inside].mean() >= VALID)


def _stamped(form: Form, azimuth: float, at: Place, site: Site) -> tuple[Any, Array, Array] | None:
    """Put a form on the grid; None where it leaves the scene or its axis meets another feature."""
    if _axis(form, azimuth, at, site) is None:
        return None
    window, rate, along = deformation._stamp(form, azimuth, (at.row, at.column), site.spacing)
    return (window, rate, along) if site.inside(window) else None


def _axis(form: Form, azimuth: float, at: Place, site: Site) -> tuple[Array, Array] | None:
    """Return pixels along the axis of a form, head to toe; None where they leave the scene or are taken."""
    along = np.array([-0.35, 0.0, 0.35]) * form.length
    a = np.deg2rad(azimuth)
    rows = at.row - np.round(along * np.cos(a) / site.spacing[0]).astype(int)
    columns = at.column + np.round(along * np.sin(a) / site.spacing[1]).astype(int)
    if min(rows.min(), columns.min()) < 0 or rows.max() >= site.shape[0] or columns.max() >= site.shape[1]:
        return None
    return None if site.taken.holds(rows, columns) else (rows, columns)


def _falls(form: Form, azimuth: float, at: Place, site: Site, limits: tuple[float, float]) -> bool:
    """Return whether the ground falls along the axis of a form, as one slope within about ``limits`` (degrees)."""
    axis = _axis(form, azimuth, at, site)
    if axis is None:
        return False
    drop = -np.diff(site.heights(*axis)) / (0.35 * form.length)
    slope = np.rad2deg(np.arctan(drop.mean()))
    return bool(drop.min() > 0 and 0.7 * limits[0] < slope < limits[1] + 5)


Lay = Callable[[Place, Site], Feature | None]
"""Puts one drawn feature at a place; None where it cannot lie there."""


def _landslide(rng: np.random.Generator, wet_start: float) -> Lay:
    form, speed = deformation.draw_form(rng), deformation.draw_speed(rng)
    rotation, course = deformation._draw_rotation(rng), deformation.draw_course(rng, wet_start)

    def lay(at: Place, site: Site) -> Feature | None:
        azimuth = at.azimuth + form.turn
        if not _falls(form, azimuth, at, site, deformation.SLOPES):
            return None
        put = _stamped(form, azimuth, at, site)
        lie = None if put is None else lying(site.elevation(put[0]), put[1] > 0, site.spacing)
        if put is None or lie is None:
            return None
        window, rate, along = put
        plunge = np.clip(lie[0] - rotation * along, 0.0, 60.0)
        body = Body(window, speed * rate, plunge, *lie, form.length, course)
        return Feature("landslide", body, rate > 0, 1.0, 0.0, 0.0)

    return lay


def lying(
    elevation: Array,
    moving: Array,
    spacing: tuple[float, float],
    limits: tuple[float, float] = deformation.SLOPES,
) -> tuple[float, float] | None:
    """Return slope and aspect of the mean ground under a body, or None where it is not one slope within limits."""
    if moving.sum() < 8:
        return None
    east, north = (d[moving] for d in descent(elevation.astype(float), spacing))
    rise = np.hypot(east.mean(), north.mean())
    slope = float(np.rad2deg(np.arctan(rise)))
    if not (rise > 0.75 * np.hypot(east, north).mean() and limits[0] < slope < limits[1]):
        return None
    return slope, float(np.rad2deg(np.arctan2(east.mean(), north.mean())) % 360)


def _blob(rng: np.random.Generator, area: float, ratio: float, *, sharpness: float) -> Form:
    """Return a rounded form of ``area`` (m2) with an uneven outline."""
    width = float(np.sqrt(area / ratio / (np.pi / 4)))
    lobe = Lobe(0.0, 1.0, 1.0, deformation._draw_ripple(rng))
    return Form(ratio * width, width, 2.0, float(rng.uniform(-20, 20)), (lobe,), sharpness, 0.0)


_STEADY = Course("linear", 1.0, 0.5, 0.1, 0.0, 0.0, 1.0)


class Effect(NamedTuple):
    """What a feature that sinks or lies still does beside its motion."""

    quality: float = 1.0
    height: float = 0.0
    moisture: float = 0.0


def _sinking(kind: str, rng: np.random.Generator, form: Form, speed: float, effect: Effect) -> Lay:
    """Return what lays a feature that goes straight down, or lies still where ``speed`` is 0."""
    azimuth, swing, season = float(rng.uniform(0, 360)), float(rng.uniform(0.0, 0.5)), float(rng.random())
    course = _STEADY._replace(swing=swing, season=season) if speed else _STEADY._replace(name="still")

    def lay(at: Place, site: Site) -> Feature | None:
        put = _stamped(form, azimuth, at, site)
        if put is None:
            return None
        window, rate, _ = put
        down = np.full(rate.shape, 90.0)
        slope, aspect = under(site.elevation(window), rate > 0, site.spacing)
        if slope >= KINDS[kind].slopes[1]:
            return None
        body = Body(window, speed * rate, down, slope, aspect, form.length, course)
        return Feature(kind, body, rate > 0, *effect)

    return lay


def under(elevation: Array, inside: Array, spacing: tuple[float, float]) -> tuple[float, float]:
    """Return slope and aspect of the mean ground under a feature, degrees."""
    if not inside.any():
        return 0.0, 0.0
    east, north = (float(d[inside].mean()) for d in descent(elevation.astype(float), spacing))
    return float(np.rad2deg(np.arctan(np.hypot(east, north)))), float(
        np.rad2deg(np.arctan2(east, north)) % 360
    )


def _subsidence(rng: np.random.Generator, _wet_start: float) -> Lay:
    """Draw a bowl, 5-150 mm/year at its centre."""
    form = _blob(rng, 1e6 * lognormal(rng, 0.5, 0.8, 0.05, 4.0), float(rng.uniform(1.0, 1.6)), sharpness=0.0)
    return _sinking("subsidence", rng, form, lognormal(rng, 0.03, 0.8, 0.005, 0.15), Effect())


def _mine(rng: np.random.Generator, _wet_start: float) -> Lay:
    """Draw a pit: it sinks fast, loses coherence, and is deeper or higher than the terrain model."""
    form = _blob(rng, 1e6 * lognormal(rng, 0.15, 0.7, 0.02, 1.5), float(rng.uniform(1.0, 2.0)), sharpness=3.0)
    speed = lognormal(rng, 0.06, 0.9, 0.01, 0.4)
    height = float(rng.choice([-1, 1]) * rng.uniform(8, 40))
    return _sinking("mine", rng, form, speed, Effect(quality=float(rng.uniform(0.3, 0.8)), height=height))


def _glacier(rng: np.random.Generator, _wet_start: float) -> Lay:
    """Draw a tongue that flows down the slope: a rock glacier, or ice, which loses coherence."""
    ice = rng.random() < 0.4
    area = 1e6 * lognormal(rng, 0.6 if ice else 0.15, 0.7, 0.03, 3.0)
    form = _blob(rng, area, float(rng.uniform(2.0, 4.5)), sharpness=2.0)
    speed = lognormal(rng, 1.5, 0.8, 0.3, 20.0) if ice else lognormal(rng, 0.25, 0.7, 0.05, 1.5)
    quality = float(rng.uniform(0.05, 0.4)) if ice else float(rng.uniform(0.6, 1.0))
    course = _STEADY._replace(name="ice" if ice else "rock_glacier", swing=float(rng.uniform(0, 0.4)))

    def lay(at: Place, site: Site) -> Feature | None:
        slopes = KINDS["glacier"].slopes
        if not _falls(form, at.azimuth, at, site, slopes):
            return None
        put = _stamped(form, at.azimuth, at, site)
        lie = None if put is None else lying(site.elevation(put[0]), put[1] > 0, site.spacing, slopes)
        if put is None or lie is None:
            return None
        window, rate, _ = put
        body = Body(window, speed * rate, np.full(rate.shape, lie[0]), *lie, form.length, course)
        return Feature("glacier", body, rate > 0, quality, 0.0, 0.0)

    return lay


def _snow(rng: np.random.Generator, _wet_start: float) -> Lay:
    form = _blob(rng, 1e6 * lognormal(rng, 1.0, 0.8, 0.1, 6.0), float(rng.uniform(1.0, 2.5)), sharpness=2.0)
    return _sinking("snow", rng, form, 0.0, Effect(quality=float(rng.uniform(0.1, 0.5))))


def _water(rng: np.random.Generator, _wet_start: float) -> Lay:
    form = _blob(rng, 1e6 * lognormal(rng, 0.3, 0.9, 0.03, 4.0), float(rng.uniform(1.0, 4.0)), sharpness=2.0)
    return _sinking("water", rng, form, 0.0, Effect(quality=0.0))


def _soil_moisture(rng: np.random.Generator, _wet_start: float) -> Lay:
    """Draw fields whose phase follows the water in the soil: 1-6 mm for a standard deviation of it."""
    form = _blob(rng, 1e6 * lognormal(rng, 0.3, 0.8, 0.03, 3.0), float(rng.uniform(1.0, 2.0)), sharpness=8.0)
    amount = float(rng.choice([-1, 1]) * rng.uniform(1e-3, 6e-3))
    return _sinking("soil_moisture", rng, form, 0.0, Effect(quality=0.9, moisture=amount))


MAKERS: dict[str, Callable[[np.random.Generator, float], Lay]] = {
    "landslide": _landslide,
    "subsidence": _subsidence,
    "mine": _mine,
    "glacier": _glacier,
    "snow": _snow,
    "water": _water,
    "soil_moisture": _soil_moisture,
}


def overlaps(
    window: tuple[slice, slice], rows: Array, columns: Array
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield where ``window`` meets consecutive ``rows`` and ``columns``: its place there, and the part of it."""
    there, part = [], []
    for w, places in zip(window, (rows, columns), strict=True):
        first, last = max(w.start, int(places[0])), min(w.stop, int(places[-1]) + 1)
        if first >= last:
            return
        there.append(slice(first - int(places[0]), last - int(places[0])))
        part.append(slice(first - w.start, last - w.start))
    yield (there[0], there[1]), (part[0], part[1])
