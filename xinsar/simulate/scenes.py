"""Whole scenes: the cubes of two orbits over one mountain area, and the truth about what moves there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import atmosphere, deformation, fields, geometry, network, noise, spread, terrain, worlds
from xinsar.simulate.frame import CRS, SPACING, frame
from xinsar.simulate.looks import HEADINGS, START, WAVELENGTH
from xinsar.simulate.noise import FORESHORTENED, THERMAL
from xinsar.simulate.pairs import Track, chunk_sizes, cube
from xinsar.simulate.pairs import displacement as displacement
from xinsar.simulate.pairs import wrap as wrap
from xinsar.simulate.twins import drawn_track
from xinsar.simulate.worlds import Scene, Wanted

if TYPE_CHECKING:
    import geopandas

Array = NDArray[Any]

INCIDENCES = (33.0, 44.0)
"""Range of a track's incidence, degrees."""


def scene(
    seed: int,
    *,
    shape: tuple[int, int] = (512, 512),
    tier: str = "medium",
    tracks: Sequence[str] = ("ascending", "descending"),
    chunks: int | Mapping[str, int] | None = None,
    draws: str | None = None,
    distractors: bool = False,
    density: str | float = "training",
    elevation: xr.DataArray | None = None,
    unwrapped: bool = False,
) -> Scene:
    """Simulate wrapped interferograms of a mountain area with sliding bodies, seen from one or two orbits.

    Mountains by spectral synthesis; bodies on slopes of 8-38 degrees that move down the slope in the ways
    landslides do; turbulence and stratified delay of every date; decorrelation drawn per date; an error of
    the elevation model; layover, shadow and foreshortening. The phase of a pair is -4 pi/wavelength times the
    displacement toward the satellite from the reference to the secondary date, plus noise, wrapped.

    Parameters
    ----------
    seed
        Scene. The same seed gives the same bits for every ``chunks``, in every process.
    shape
        Rows and columns, 25 m each, at least 16.
    tier
        ``"easy"`` (120 dates in 4 years), ``"medium"`` (40 in 1.5) or ``"hard"`` (15 in 0.6); each date is
        paired with the next three.
    tracks
        ``"ascending"``, ``"descending"`` or both. A track does not depend on the other being asked for.
    chunks
        None: NumPy arrays. An integer for every dim, or a mapping of dim to size: Dask arrays whose phase and
        coherence are made when computed, a few pairs at a time (the terrain and the truth are made at once).
        Dims not named are not split; ``pair`` not named has chunks of 8.
    draws
        None: a plain scene. ``"train"`` or ``"test"``: the pairs of the world that :func:`products` makes products
        of, with everything it has: wider ranges, valley floors, distractors if asked for, snow, coherence lost to
        baselines, bias of short pairs, tilts of the orbit, soil moisture and new cuts.
    distractors, density, elevation
        As for :func:`products`; only with ``draws``.
    unwrapped
        Give ``unwrapped_phase`` instead of ``phase``: not wrapped, and with ``draws`` wrong by whole cycles on
        patches in 5-30 % of the pairs and behind the fronts of bodies that are too fast for a pair.

    Returns
    -------
    Scene
        ``cube``: DataTree with a node per track: ``phase`` (pair, y, x; rad, in (-pi, pi]), ``coherence``
        (pair, y, x; 0..1, with the bias of a 12-look estimate), ``los`` (component, y, x), ``elevation`` (y,
        x; m). No value is missing: in layover and shadow the phase is noise, as in a real product. ``truth``:
        id, geometry, class, ignore, area (m2), behaviour, slope and aspect (degree), velocity (mean over body and time,
        downslope, m year-1), peak_velocity, length (m), and for each track sensitivity (1), los_velocity
        (mean, m year-1, positive toward) and snr. The latter is ``|los_velocity| / sqrt(D/2)``, D the
        structure function at the body's length of the velocity's noise: what the atmosphere leaves, 12 D_date/(N
        T**2), and what decorrelation leaves in pixels of the body, twice their mean variance.

    Raises
    ------
    TypeError
        ``seed`` is not an integer.
    ValueError
        An option is not one of the above, or needs ``draws``.

    Examples
    --------
    >>> found = scene(7, shape=(64, 64), tier="hard", tracks=["ascending"])
    >>> dict(found.cube["ascending"].sizes)
    {'pair': 39, 'y': 64, 'x': 64, 'component': 3}
    >>> found.truth.crs.to_epsg()
    32647
    """
    names = worlds.check_plain(seed, shape, tier, tracks)
    sizes = chunk_sizes(chunks)
    if draws is not None:
        wanted = Wanted(seed, shape, tier, names, draws, density, distractors, WAVELENGTH, elevation)
        worlds.check(wanted)
        return _drawn(wanted, sizes, unwrapped=unwrapped)
    _check_plain(distractors=distractors, density=density, elevation=elevation)
    ground = terrain.ground(seed, shape, spacing=SPACING)
    bodies = deformation.place(seed, ground)
    seen = [_track(seed, name, ground, bodies, network.TIERS[tier]) for name in names]
    place = frame(shape)
    cubes = {track.name: cube(track, ground.elevation, place, sizes, unwrapped=unwrapped) for track in seen}
    return Scene(xr.DataTree.from_dict(cubes), _truth(bodies, seen, network.TIERS[tier]))


def _check_plain(*, distractors: bool, density: str | float, elevation: xr.DataArray | None) -> None:
    """Refuse what only drawn scenes have."""
    given = {"distractors": distractors, "density": density != "training", "elevation": elevation is not None}
    for name, asked in given.items():
        if asked:
            raise ValueError(
                f"{name}: expected its default without draws, got another; pass draws='train' or draws='test' as well"
            )


def _drawn(wanted: Wanted, sizes: dict[str, int] | None, *, unwrapped: bool) -> Scene:
    """Return the pairs of the world that :func:`xinsar.simulate.products` makes products of."""
    built = worlds.build(wanted)
    tracks = [drawn_track(world) for world in built.tracks]
    ground = built.tracks[0].land
    elevation = ground.elevation(*(np.arange(n) for n in built.place.shape))
    cubes = {t.name: cube(t, elevation, built.place, sizes, unwrapped=unwrapped) for t in tracks}
    return Scene(xr.DataTree.from_dict(cubes), worlds.truth(built))


def _track(
    seed: int, name: str, ground: terrain.Ground, bodies: list[deformation.Body], tier: network.Tier
) -> Track:
    rng = fields.stream(seed, name, "orbit")
    heading, incidence = HEADINGS[name] + rng.uniform(-1, 1), rng.uniform(*INCIDENCES)
    start = START + np.timedelta64(int(rng.integers(network.REPEAT)), "D")
    dates = network.acquisitions(rng, tier, start=start)
    shape, span = ground.elevation.shape, tier.years * YEAR_IN_DAYS
    motion, label, factor = _paint(bodies, shape, heading, incidence)
    days = (dates - START) / np.timedelta64(1, "D")
    return Track(
        seed=int(seed),
        name=name,
        heading=float(heading),
        incidence=float(incidence),
        dates=dates,
        baselines=network.baselines(rng, dates.size),
        pairs=network.small_baseline_pairs(dates.size),
        weather=atmosphere.atmosphere(seed, name, dates.size, ground.elevation, spacing=ground.spacing),
        law=_law(seed, ground, factor, heading, incidence),
        motion=motion,
        body=label,
        progress=np.array(
            [0 * days, *(deformation.progress(b.course, days, span=span) for b in bodies)], dtype=np.float32
        ),
        dem_error=terrain.dem_error(seed, shape, spacing=ground.spacing),
    )


def _paint(
    bodies: list[deformation.Body], shape: tuple[int, int], heading: float, incidence: float
) -> tuple[Array, Array, Array]:
    """Draw the bodies on the grid: velocity toward the satellite, number, and coherence factor."""
    motion, label = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.int32)
    factor = np.ones(shape, dtype=np.float32)
    for number, body in enumerate(bodies, start=1):
        los = deformation.los_velocity(body, heading=heading, incidence=incidence)
        motion[body.window] += los
        label[body.window] += number * body.moving
        factor[body.window] *= deformation.strain_factor(los, wavelength=WAVELENGTH, interval=network.REPEAT)
    return motion, label, factor


def _law(
    seed: int, ground: terrain.Ground, factor: Array, heading: float, incidence: float
) -> noise.Decorrelation:
    """Return how the speckle forgets, with distortion and strain, at the pixel corners."""
    floor, memory = noise.cover(seed, ground.elevation, spacing=ground.spacing)
    seen = geometry.distortion(ground.slope, ground.aspect, heading, incidence)
    quality = THERMAL * factor * np.clip(seen.stretch / FORESHORTENED, 0, 1)
    quality[seen.layover | seen.shadow] = 0
    return noise.Decorrelation(*map(noise.at_corners, (floor, memory, quality)))


def _truth(bodies: list[deformation.Body], tracks: list[Track], tier: network.Tier) -> geopandas.GeoDataFrame:
    import geopandas

    columns: dict[str, Any] = {
        "id": np.arange(1, len(bodies) + 1),
        "class": np.array(["landslide"] * len(bodies), dtype=object),
        "ignore": np.zeros(len(bodies), dtype=bool),
        "area": np.array([body.moving.sum() * SPACING**2 for body in bodies], dtype=float),
        "behaviour": np.array([body.course.name for body in bodies], dtype=object),
        "slope": np.array([body.slope for body in bodies]),
        "aspect": np.array([body.aspect for body in bodies]),
        "length": np.array([body.length for body in bodies]),
        "velocity": np.array([b.velocity[b.moving].mean() for b in bodies]) * _mean_rate(tracks),
        "peak_velocity": np.array([b.velocity.max() for b in bodies]) * _mean_rate(tracks),
    }
    for track in tracks:
        columns |= _seen(bodies, track, tier)
    place = frame((tracks[0].body.shape[0], tracks[0].body.shape[1]))
    outlines = [place.outline(b.window, b.moving) for b in bodies]
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=CRS)


def _rate(track: Track) -> Array:
    """Return the mean rate of each body over a track's dates against its long-term velocity."""
    years = (track.dates[-1] - track.dates[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
    return np.asarray((track.progress[1:, -1] - track.progress[1:, 0]) / years, dtype=float)


def _mean_rate(tracks: list[Track]) -> Array:
    return np.asarray(np.mean([_rate(track) for track in tracks], axis=0))


def _seen(bodies: list[deformation.Body], track: Track, tier: network.Tier) -> dict[str, Array]:
    """Return what one track sees of each body: sensitivity, mean velocity toward it, signal over noise."""
    geometry_of = {"heading": track.heading, "incidence": track.incidence}
    los = np.array([deformation.los_velocity(b, **geometry_of)[b.moving].mean() for b in bodies]) * _rate(
        track
    )
    years = (track.dates[-1] - track.dates[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
    length = np.array([body.length for body in bodies])
    weather = atmosphere.structure_function(track.weather, length) * 12 / (track.dates.size * years**2)
    pixels = np.array([_pixel_noise(body, track, tier) for body in bodies], dtype=float)
    return {
        f"sensitivity_{track.name}": np.array(
            [geometry.sensitivity(b.slope, b.aspect, **geometry_of) for b in bodies], dtype=float
        ),
        f"los_velocity_{track.name}": los,
        f"snr_{track.name}": np.abs(los) / np.sqrt(weather / 2 + pixels),
    }


def _pixel_noise(body: deformation.Body, track: Track, tier: network.Tier) -> float:
    """Return the variance that decorrelation leaves in a pixel of the velocity, mean over a body, (m year-1)2."""
    law = (values[body.window][body.moving] for values in track.law)
    sigma = np.exp(spread.table(tier).at(*law)["velocity"]) * (track.wavelength / (4 * np.pi))
    return float(np.mean(sigma.astype(float) ** 2))
