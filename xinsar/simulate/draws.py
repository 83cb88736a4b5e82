"""Ranges that scenes are drawn from: one set to train on, another, shifted, to be tested on."""

from __future__ import annotations

from typing import NamedTuple

Range = tuple[float, float]


class Draws(NamedTuple):
    """Ranges of what differs between scenes; every number is drawn evenly over its range."""

    incidence: Range
    """Of a track, degrees."""
    mean_slope: Range
    """Of the mountains, degrees."""
    exponent: Range
    """Of the terrain's two-dimensional power spectral density above 300 m; .7 more below."""
    floor: Range
    """Factor of the lasting coherence of every kind of ground."""
    memory: Range
    """Factor of the memory of every kind of ground."""
    turbulence: Range
    """Factor of the turbulence of every date."""
    unwrapping: Range
    """Share of the pairs that hold unwrapping errors."""
    ramp: Range
    """Standard deviation of a date's tilt, m per m."""
    fading: Range
    """Bias of the shortest pairs over the ground that has most of it, m."""


DRAWS = {
    "train": Draws(
        incidence=(30.0, 45.0),
        mean_slope=(13.0, 29.0),
        exponent=(3.6, 4.1),
        floor=(0.7, 1.3),
        memory=(0.7, 1.4),
        turbulence=(0.7, 1.0),
        unwrapping=(0.05, 0.30),
        ramp=(0.0, 1.5e-7),
        fading=(0.0, 3e-3),
    ),
    "test": Draws(
        incidence=(33.0, 47.0),
        mean_slope=(15.0, 31.0),
        exponent=(3.8, 4.3),
        floor=(0.6, 1.15),
        memory=(0.6, 1.2),
        turbulence=(0.8, 1.05),
        unwrapping=(0.05, 0.30),
        ramp=(0.0, 1.5e-7),
        fading=(0.0, 3e-3),
    ),
}
"""Sets of ranges by name. The name is part of the key of every stream, so scene 5 of one set has nothing in common
with scene 5 of the other."""

TILE = 40.96
"""Area of 256 x 256 pixels of 25 m, km2."""

TRAINING = (4.0, 6.0)
"""Mean number of bodies on 256 x 256 pixels of a scene to train on, drawn evenly."""

EMPTY = 0.15
"""Share of the scenes to train on that hold no landslide."""

SURVEY = 0.02
"""Landslides per km2 of a survey scene (Fu et al. 2022)."""
