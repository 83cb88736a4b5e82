"""Tropospheric delay of each date: turbulence with two regimes, and a part that follows the terrain.

Exponents are those of the two-dimensional power spectral density (one more than the one-dimensional -5/3 and
-8/3 of Hanssen 2001, Radar Interferometry, section 4.7); breaks are wavelengths in metres.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xinsar.simulate.fields import Spectrum, lognormal, smooth_field, stream

Array = NDArray[Any]

EXPONENTS = (8 / 3, 11 / 3)
"""Exponents of the turbulence above and below :data:`BREAK`."""

BREAK = 1500.0
"""Wavelength between the two regimes, m."""

WINDOW = 10_000.0
"""Side of the square in which the rms of a date is stated, m."""


class Atmosphere(NamedTuple):
    """What all dates of a track share, and one number of each kind per date."""

    turbulence: Spectrum
    """Spectrum of the turbulence, rms 1 inside squares of 10 km."""
    rms: Array
    """Turbulence of each date, m along the line of sight."""
    profile: Array
    """Effective height above the scene's mean, m: the elevation, or a power law of it."""
    lapse: Array
    """Stratified delay of each date, m per m of :attr:`profile`."""
    lateral: Array
    """Three fields of 2-4 km that change the lapse from valley to valley."""
    mixing: Array
    """Weights of the three fields for each date."""


def atmosphere(seed: int, track: str, dates: int, elevation: Array, *, spacing: float) -> Atmosphere:
    """Draw the weather of a track.

    Turbulence: lognormal rms, median 3.5 mm, 2-8 mm. Stratified part: normal lapse per date whose standard
    deviation (2-15 mm/km) is drawn per track, half as much again or less from valley to valley; three tracks
    in ten follow (7000 m - h)**alpha, alpha about 1.4, instead of the elevation h.
    """
    rng = stream(seed, track, "atmosphere")
    sigma = 1e-6 * np.exp(rng.uniform(np.log(2.0), np.log(15.0)))
    length = rng.uniform(2000.0, 4000.0) / spacing
    shape = (elevation.shape[0], elevation.shape[1])
    return Atmosphere(
        turbulence=Spectrum(shape, spacing, exponents=EXPONENTS, breaks=(BREAK,), unit_window=WINDOW),
        rms=np.array([lognormal(rng, 3.5e-3, 0.4, 2e-3, 8e-3) for _ in range(dates)]),
        profile=_profile(rng, elevation),
        lapse=sigma * rng.standard_normal(dates),
        mixing=0.5 / np.sqrt(3) * rng.standard_normal((dates, 3)),
        lateral=_lateral(rng, shape, length),
    )


def _profile(rng: np.random.Generator, elevation: Array) -> Array:
    height = elevation.astype(float)
    powered, alpha = rng.random() < 0.3, rng.normal(1.4, 0.1)
    if powered:
        mean = 7000.0 - height.mean()
        height = -mean * (np.maximum(7000.0 - height, 0.0) / mean) ** alpha / alpha
    return np.asarray(height - height.mean(), dtype=np.float32)


def _lateral(rng: np.random.Generator, shape: tuple[int, int], length: float) -> Array:
    """Draw the three fields on every eighth pixel and interpolate them; they are smooth over 80 or more."""
    from scipy.ndimage import zoom

    coarse = (-(-shape[0] // 8) + 1, -(-shape[1] // 8) + 1)
    fields = [zoom(smooth_field(rng, coarse, length=length / 8), 8, order=1) for _ in range(3)]
    return np.stack([np.ascontiguousarray(f[: shape[0], : shape[1]]) for f in fields])


def delay(weather: Atmosphere, rng: np.random.Generator, date: int) -> Array:
    """Return the apparent displacement of one date, m toward the satellite, float32.

    rms * turbulence + lapse * (1 + lateral change) * profile.
    """
    turbulent = weather.turbulence.draw(rng) * np.float32(weather.rms[date])
    change = np.tensordot(weather.mixing[date].astype(np.float32), weather.lateral, axes=1)
    change += np.float32(1)
    change *= weather.profile
    change *= np.float32(weather.lapse[date])
    return np.asarray(turbulent + change)


def structure_function(weather: Atmosphere, distances: Array) -> Array:
    """Return the expected squared difference of one date's delay at ``distances`` (m), m2.

    Mean over the dates; turbulence from its spectrum, stratified part from the profile's own differences.
    """
    turbulent = np.mean(weather.rms**2) * weather.turbulence.structure_function(distances)
    spacing = weather.turbulence.spacing
    relief = np.array([_mean_squared_difference(weather.profile, d / spacing) for d in distances])
    return np.asarray(turbulent + np.mean(weather.lapse**2) * relief)


def _mean_squared_difference(values: Array, lag: float) -> float:
    """Mean squared difference of ``values`` over ``lag`` pixels along both axes (at most half the image)."""
    down, right = (int(np.clip(round(lag), 1, max(n // 2, 1))) for n in values.shape)
    along_y = np.mean((values[down:] - values[:-down]) ** 2)
    along_x = np.mean((values[:, right:] - values[:, :-right]) ** 2)
    return float(along_y + along_x) / 2
