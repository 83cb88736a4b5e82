"""The pairs of a drawn world: what its products are statistics of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate import atmosphere, ground, lattice, looks, noise
from xinsar.simulate.fields import Spectrum
from xinsar.simulate.ground import World
from xinsar.simulate.pairs import More, Track

Array = NDArray[Any]

_INNER = slice(ground.MARGIN, -ground.MARGIN)


def drawn_track(world: World) -> Track:
    """Return a track whose pairs have all that ``world`` has; turbulence and speckle are drawn by date."""
    look = world.track
    part = ground.part_of((slice(0, world.shape[0]), slice(0, world.shape[1])))
    lying = ground.base(world.land, world.cover, part)
    here = ground.Base(*(layer[_INNER, _INNER] for layer in lying))
    motion, label, progress = _motion(world)
    return Track(
        seed=look.seed,
        name=look.name,
        heading=look.heading,
        incidence=look.incidence,
        dates=look.dates,
        baselines=look.baselines,
        pairs=look.pairs,
        weather=_weather(world, part, here),
        law=_law(world, lying, here),
        motion=motion,
        body=label,
        progress=progress,
        dem_error=ground.dem_error(world, part)[_INNER, _INNER],
        wavelength=look.wavelength,
        draws=look.draws,
        more=_more(world, part, lying),
    )


def _motion(world: World) -> tuple[Array, Array, Array]:
    """Return the long-term velocity toward the satellite, the number of the feature, and how far each has come."""
    motion, label = np.zeros(world.shape, dtype=np.float32), np.zeros(world.shape, dtype=np.int32)
    progress = [np.zeros(world.track.dates.size)]
    for number, (feature, seen) in enumerate(zip(world.features, world.seen, strict=True), start=1):
        motion[feature.body.window] += seen.long_term
        label[feature.body.window] += number * feature.inside
        progress.append(world.track.progress(feature))
    return motion, label, np.array(progress, dtype=np.float32)


def _weather(world: World, part: ground.Part, here: ground.Base) -> atmosphere.Atmosphere:
    look, spacing = world.track, world.land.spacing
    wide = lattice.smooth(look.lateral / spacing)
    lateral = [part.of(wide, look.key("lateral", k))[_INNER, _INNER] for k in range(look.mixing.shape[1])]
    return atmosphere.Atmosphere(
        turbulence=Spectrum(
            world.shape,
            spacing,
            exponents=atmosphere.EXPONENTS,
            breaks=(atmosphere.BREAK,),
            unit_window=atmosphere.WINDOW,
        ),
        rms=look.rms,
        profile=looks.profile(look, here.elevation, world.land.level),
        lapse=look.lapse,
        lateral=np.stack(lateral),
        mixing=look.mixing,
    )


def _law(world: World, lying: ground.Base, here: ground.Base) -> noise.Decorrelation:
    """Return how the speckle forgets, without baselines and snow, at the pixel corners."""
    quality = ground.still_quality(world, lying.elevation)[0][_INNER, _INNER].copy()
    for feature, seen in zip(world.features, world.seen, strict=True):
        quality[feature.body.window] *= seen.quality
    return noise.Decorrelation(*map(noise.at_corners, (here.floor, here.memory, quality)))


def _more(world: World, part: ground.Part, lying: ground.Base) -> More:
    look = world.track
    snow = 1 - np.float32(1 - looks.SNOW) * ground.above_snow(look, lying.height)
    wet = np.zeros(world.shape, dtype=np.float32)
    for feature in world.features:
        wet[feature.body.window] += np.float32(feature.moisture) * feature.inside
    patterns = (ground.pattern(world, part, lying.order, k)[_INNER, _INNER] for k in range(looks.PATCHES))
    return More(
        overlap=look.overlap(),
        winter=look.winter(),
        snow=noise.at_corners(snow[_INNER, _INNER]),
        ramp=look.ramp * world.land.spacing,
        moisture=look.moisture,
        wet=wet,
        fading=look.fading_of_pairs(),
        share=ground.fading_share(world, part, lying.kind)[_INNER, _INNER],
        errors=look.errors,
        patterns=tuple(patterns),
        moving=tuple(
            (f.body.window, seen.long_term) for f, seen in zip(world.features, world.seen, strict=True)
        ),
    )
