"""Worlds drawn from wide ranges: ground, features and tracks of a scene, shared by its pairs and its products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar.simulate import draws as ranges
from xinsar.simulate import features, geometry, ground, looks, network
from xinsar.simulate.deformation import los_velocity
from xinsar.simulate.features import Feature
from xinsar.simulate.fields import stream
from xinsar.simulate.frame import SPACING, Frame, frame
from xinsar.simulate.land import Cover, GivenLand, Land, cover, land
from xinsar.simulate.looks import HEADINGS, Look
from xinsar.simulate.seen import seen as seen_by
from xinsar.simulate.taken import Taken

if TYPE_CHECKING:
    import geopandas

Array = NDArray[Any]

HELD = 1024 * 1024
"""Pixels up to which the ground of a whole scene is made at once, to put features on it."""

FEWER = 0.3
"""Share of the distractors of a scene to train on that other scenes have."""

_INNER = slice(ground.MARGIN, -ground.MARGIN)


class Scene(NamedTuple):
    """A simulated area."""

    cube: xr.DataTree
    """One canonical dataset per track, in nodes named as the orbit direction."""
    truth: geopandas.GeoDataFrame
    """What moves, and what is mistaken for it: one row each."""


class Wanted(NamedTuple):
    """What a scene shall be."""

    seed: int
    shape: tuple[int, int]
    tier: str
    tracks: tuple[str, ...]
    draws: str
    density: str | float
    distractors: bool
    wavelength: float
    elevation: xr.DataArray | None


class Built(NamedTuple):
    """A world, ready to make pixels of."""

    place: Frame
    placed: list[Feature]
    tracks: list[ground.World]
    lying: ground.Base | None
    """The ground of the whole scene with its margin, where it is small enough to be held."""


def build(wanted: Wanted) -> Built:
    """Draw a world: its ground, what lies on it, and the tracks that look at it."""
    key = (int(wanted.seed), wanted.draws)
    chosen = ranges.DRAWS[wanted.draws]
    place, rising = _land(wanted)
    spacing = rising.spacing
    growing = cover(*key, chosen, spacing)
    lying = None
    if place.shape[0] * place.shape[1] <= HELD:
        lying = ground.base(rising, growing, ground.part_of(everything(place.shape)))
    held = None if lying is None else lying.elevation[_INNER, _INNER]
    site = features.Site(rising, place.spacing, Taken(place.shape), held)
    placed = features.put(key, site, counts(key, place, wanted.density, distractors=wanted.distractors))
    tracks = [_world(wanted, name, place, (rising, growing), placed) for name in wanted.tracks]
    return Built(place, placed, tracks, lying)


def everything(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the window of a whole scene."""
    return slice(0, shape[0]), slice(0, shape[1])


def _land(wanted: Wanted) -> tuple[Frame, Land | GivenLand]:
    if wanted.elevation is None:
        key = (int(wanted.seed), wanted.draws)
        return frame(wanted.shape), land(*key, ranges.DRAWS[wanted.draws], SPACING)
    place = frame_of(wanted.elevation)
    return place, GivenLand.of(wanted.elevation.values, place.spacing[0])


def frame_of(elevation: xr.DataArray) -> Frame:
    """Return the grid of a terrain model that the user gives."""
    from xinsar import grid

    if not isinstance(elevation, xr.DataArray):
        raise TypeError(
            f"elevation: expected an xarray.DataArray (y, x) in metres, got {type(elevation).__name__}; "
            "pass for example ds.elevation"
        )
    if elevation.dims != ("y", "x") or min(elevation.shape) < 16:
        raise ValueError(
            f"elevation: expected dims ('y', 'x') of at least 16 each, got {dict(elevation.sizes)}; "
            "select one layer"
        )
    if not bool(np.isfinite(elevation.values).all()):
        raise ValueError(
            "elevation: expected a value everywhere, got missing ones; fill them with interpolate_na"
        )
    crs = grid.crs_of(elevation)
    if crs is None or not crs.is_projected:
        raise ValueError(
            f"elevation: expected a projected CRS, got {'none' if crs is None else crs.name}; write it with "
            "rio.write_crs, or bring the terrain to one with rio.reproject"
        )
    place = Frame(grid.axis(elevation, "x"), grid.axis(elevation, "y"), crs, (1.0, 1.0))
    if grid.step(elevation, "x") < 0 or grid.step(elevation, "y") > 0:
        raise ValueError(
            "elevation: expected x to rise and y to fall, got another order; sort it with sortby"
        )
    dy, dx = (float(np.mean(s)) for s in grid.pixel_spacing(elevation.to_dataset(name="elevation")))
    if abs(dy / dx - 1) > 0.01:
        raise ValueError(
            f"elevation: expected square pixels, got {dy:.4g} m along y and {dx:.4g} m along x; resample it "
            "(rio.reproject)"
        )
    return replace(place, spacing=(dy, dx))


def check(wanted: Wanted) -> None:
    """Check what is asked for."""
    check_plain(wanted.seed, wanted.shape, wanted.tier, wanted.tracks)
    check_draws(wanted.draws)
    check_density(wanted.density)
    if not (np.isfinite(wanted.wavelength) and 0.01 <= wanted.wavelength <= 1.0):
        raise ValueError(
            f"wavelength: expected metres within .01..1, got {wanted.wavelength}; pass for example 0.236 for L-band"
        )


def check_draws(name: str) -> None:
    """Check the name of a set of ranges."""
    if name not in ranges.DRAWS:
        raise ValueError(
            f"draws: expected one of {', '.join(ranges.DRAWS)}, got {name!r}; choose one of these"
        )


def check_density(density: str | float) -> None:
    """Check how many landslides are asked for."""
    if isinstance(density, str):
        legal = density in ("training", "survey")
    else:
        legal = not isinstance(density, bool) and bool(np.isfinite(density) and density >= 0)
    if not legal:
        raise ValueError(
            f"density: expected 'training', 'survey' or landslides per km2, not negative, got {density!r}; "
            "pass for example 0.02"
        )


def check_seed(seed: int) -> None:
    """Check the number of a scene."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: expected an integer, got {type(seed).__name__}; pass a number such as 1")


def check_plain(seed: int, shape: tuple[int, int], tier: str, tracks: Sequence[str]) -> tuple[str, ...]:
    """Check what every scene needs; return the names of the tracks."""
    check_seed(seed)
    if len(shape) != 2 or any(n != int(n) or n < 16 for n in shape):
        raise ValueError(f"shape: expected (rows, columns) of at least 16 each, got {shape}; enlarge it")
    if tier not in network.TIERS:
        raise ValueError(
            f"tier: expected one of {', '.join(network.TIERS)}, got {tier!r}; choose one of these"
        )
    names = (tracks,) if isinstance(tracks, str) else tuple(tracks)
    if not names or len(set(names)) < len(names) or not set(names) <= set(HEADINGS):
        raise ValueError(
            f"tracks: expected {' and/or '.join(HEADINGS)}, each once, got {tracks!r}; choose among these"
        )
    return names


def counts(key: tuple[int, str], place: Frame, density: str | float, *, distractors: bool) -> dict[str, int]:
    """Draw how many features of each kind are tried."""
    rng = stream(*key, "counts")
    km2 = place.shape[0] * place.shape[1] * place.pixel_area / 1e6
    tiles = km2 / ranges.TILE
    per_tile, empty, share = rng.uniform(*ranges.TRAINING), rng.random() < ranges.EMPTY, 1.0
    if density != "training":
        per_km2 = ranges.SURVEY if isinstance(density, str) else float(density)
        per_tile, empty, share = per_km2 * ranges.TILE, False, FEWER
    own = 0 if empty else int(rng.poisson(per_tile * tiles))
    kinds = [kind for kind in features.KINDS if kind != "landslide"]
    others = {kind: int(rng.poisson(share * features.KINDS[kind].share * tiles)) for kind in kinds}
    return {"landslide": own, **(others if distractors else {})}


def _world(
    wanted: Wanted, name: str, place: Frame, grounds: tuple[Land | GivenLand, Cover], placed: list[Feature]
) -> ground.World:
    key = (int(wanted.seed), wanted.draws)
    chosen = ranges.DRAWS[wanted.draws]
    track = looks.look(key, name, chosen, network.TIERS[wanted.tier], wavelength=wanted.wavelength)
    rng = stream(*key, "heights")
    cut = rng.choice([-1, 1]) * rng.uniform(20.0, 50.0) if rng.random() < 0.5 else 0.0
    heights = (float(rng.uniform(5.0, 10.0)), float(rng.uniform(40.0, 80.0)), float(cut))
    seen = tuple(seen_by(track, feature) for feature in placed)
    return ground.World(place.shape, *grounds, heights, tuple(placed), track, seen)


# ---- the truth --------------------------------------------------------------------------------------------------


def truth(built: Built) -> geopandas.GeoDataFrame:
    """Return the features as a table."""
    import geopandas

    placed = built.placed
    rates = np.mean([[_rate(w.track, f) for f in placed] for w in built.tracks], axis=0)
    columns = ground_truth(placed, built.place, rates)
    for world in built.tracks:
        columns |= _seen(built, world)
    outlines = [built.place.outline(f.body.window, f.inside) for f in placed]
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=built.place.crs)


def ground_truth(placed: list[Feature], place: Frame, rates: Array) -> dict[str, Any]:
    """Return the columns of the truth that no track decides; ``rates`` are those of the courses as observed."""
    bodies = [feature.body for feature in placed]
    kinds = [feature.kind for feature in placed]
    return {
        "id": np.arange(1, len(bodies) + 1),
        "class": np.array(kinds, dtype=object),
        "ignore": np.array([features.KINDS[kind].ignore for kind in kinds], dtype=bool),
        "area": np.array([f.inside.sum() * place.pixel_area for f in placed], dtype=float),
        "behaviour": np.array([body.course.name for body in bodies], dtype=object),
        "slope": np.array([body.slope for body in bodies], dtype=float),
        "aspect": np.array([body.aspect for body in bodies], dtype=float),
        "length": np.array([body.length for body in bodies], dtype=float),
        "velocity": np.array([f.body.velocity[f.inside].mean() for f in placed], dtype=float) * rates,
        "peak_velocity": np.array([b.velocity.max() for b in bodies], dtype=float) * rates,
    }


def _rate(track: Look, feature: Feature) -> float:
    """Return the mean rate of a feature over a track's dates against its long-term velocity."""
    progress = track.progress(feature)
    return float((progress[-1] - progress[0]) / (track.years[-1] - track.years[0]))


def _seen(built: Built, world: ground.World) -> dict[str, Array]:
    """Return what one track sees of each feature: sensitivity, mean velocity toward it, signal over noise."""
    track, placed = world.track, built.placed
    los = np.array(
        [los_velocity(f.body, **track.view)[f.inside].mean() * _rate(track, f) for f in placed], dtype=float
    )
    length = np.array([f.body.length for f in placed], dtype=float)
    sensitivity = [geometry.sensitivity(f.body.slope, f.body.aspect, **track.view) for f in placed]
    noise = noise_structure(world, length) / 2 + np.array([_pixel_noise(built, world, f) for f in placed])
    return {
        f"sensitivity_{track.name}": np.array(sensitivity, dtype=float),
        f"los_velocity_{track.name}": los,
        f"snr_{track.name}": np.abs(los) / np.sqrt(noise),
    }


def _pixel_noise(built: Built, world: ground.World, feature: Feature) -> float:
    """Return the variance that decorrelation leaves in a pixel of the velocity, mean over a feature, (m year-1)2."""
    part = ground.part_of(feature.body.window)
    if built.lying is None:
        here = ground.base(world.land, world.cover, part)
    else:
        edge = ground.MARGIN
        held = tuple(slice(int(v[0]) + edge, int(v[-1]) + edge + 1) for v in (part.rows, part.columns))
        here = ground.Base(*(layer[held] for layer in built.lying))
    sigma = ground.pixel_spread(world, part, here)[_INNER, _INNER][feature.inside]
    return float(np.mean(sigma.astype(float) ** 2))


def noise_structure(world: ground.World, distances: Array) -> Array:
    """Return the expected squared difference of the velocity's slow noise over ``distances`` (m), (m year-1)2."""
    track, spacing = world.track, world.land.spacing
    spectrum = looks.turbulence(spacing)
    lags = np.asarray(distances) / spacing
    profile = track.by_date(track.lapse).velocity ** 2
    profile += np.sum(track.by_date(track.lapse[:, None] * track.mixing).velocity ** 2)
    weather = track.turbulence().velocity ** 2 * spectrum.structure_function(lags)
    return np.asarray(weather + profile * world.land.structure_function(lags))


def reference_inventory(truth: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Return the rows of a scene's truth that an inventory of landslides is scored against.

    Landslides, and what is to be ignored (glaciers and mines: ground that does move down a slope).
    The other distractors are left out, so finding one counts as a false alarm.

    Parameters
    ----------
    truth
        Of a scene.

    Returns
    -------
    geopandas.GeoDataFrame
        Rows whose class is ``"landslide"`` or whose ``ignore`` is True, with all columns;
        :func:`xinsar.inventory.evaluate_inventory` understands ``ignore``.

    Examples
    --------
    >>> import xinsar
    >>> made = xinsar.simulate.products(6, shape=(64, 64), tier="hard")
    >>> kinds = set(reference_inventory(made.truth)["class"])
    >>> kinds <= {"landslide", "glacier", "mine"}
    True
    """
    return truth[(truth["class"] == "landslide") | truth["ignore"]]
