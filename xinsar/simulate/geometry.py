"""Viewing geometry in closed form: line of sight, sensitivity to downslope motion, layover and shadow.

Plain arrays in and out; angles in degrees. The satellite looks to the right of its heading.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def los_vector(heading: ArrayLike, incidence: ArrayLike) -> Array:
    """Return the unit vector from the ground to a right-looking satellite.

    l = (-sin i cos a, sin i sin a, cos i) for heading a and incidence i.

    Parameters
    ----------
    heading
        Flight direction, degrees clockwise from north; any shape.
    incidence
        Angle between the ellipsoid's vertical and the look direction, degrees; broadcasts with ``heading``.

    Returns
    -------
    numpy.ndarray
        Components east, north, up along a new first axis, float64. NaN in gives NaN out.

    Examples
    --------
    >>> los_vector(348.0, 39.0).round(3)
    array([-0.616, -0.131,  0.777])
    """
    a, i = np.broadcast_arrays(np.deg2rad(heading), np.deg2rad(incidence))
    return np.stack([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def downslope_vector(slope: ArrayLike, aspect: ArrayLike) -> Array:
    """Return the unit vector down the steepest descent.

    u = (sin A cos B, cos A cos B, -sin B).

    Parameters
    ----------
    slope
        Slope B, degrees; any shape.
    aspect
        Azimuth A of the descent, degrees clockwise from north.

    Returns
    -------
    numpy.ndarray
        Components east, north, up along a new first axis. NaN in gives NaN out.

    Examples
    --------
    >>> downslope_vector(0.0, 90.0).round(3) + 0.0
    array([1., 0., 0.])
    """
    b, a = np.broadcast_arrays(np.deg2rad(slope), np.deg2rad(aspect))
    return np.stack([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])


def sensitivity(slope: ArrayLike, aspect: ArrayLike, heading: ArrayLike, incidence: ArrayLike) -> Array:
    """Return the share of downslope motion seen along the line of sight, positive toward the satellite.

    S = u.l = sin i cos B sin(a - A) - cos i sin B for slope B, aspect A, heading a and
    incidence i, all in degrees.

    Parameters
    ----------
    slope, aspect
        Slope and azimuth of the descent, degrees; any shapes that broadcast.
    heading, incidence
        As in :func:`los_vector`.

    Returns
    -------
    numpy.ndarray
        Values in -1..1. NaN in gives NaN out.

    Examples
    --------
    >>> sensitivity(25.0, [90.0, 270.0], heading=348.0, incidence=39.0).round(3)
    array([-0.886,  0.229])
    """
    b, a = np.deg2rad(slope), np.deg2rad(aspect)
    h, i = np.deg2rad(heading), np.deg2rad(incidence)
    return np.asarray(np.sin(i) * np.cos(b) * np.sin(h - a) - np.cos(i) * np.sin(b))


class Distortion(NamedTuple):
    """What the slant range does to a slope: two masks and the stretch of the ground in range."""

    layover: Array
    """True where the slope faces the radar and is steeper than the incidence."""
    shadow: Array
    """True where the slope faces away and is steeper than 90 degrees minus the incidence."""
    stretch: Array
    """sin(i - r)/sin i with r the slope along the look: 1 on the flat, 0 at layover, more on far slopes."""


def distortion(slope: ArrayLike, aspect: ArrayLike, heading: ArrayLike, incidence: ArrayLike) -> Distortion:
    """Return layover, shadow and foreshortening of each slope by itself (active only).

    tan r = tan B cos(A - (a - 90)), positive where the slope faces the radar. What lies in the layover or
    shadow of other ground needs a ray and is not marked.

    Parameters
    ----------
    slope, aspect, heading, incidence
        As in :func:`sensitivity`. Flat ground may have a missing aspect.

    Returns
    -------
    Distortion
        layover, shadow (bool) and stretch. Where the slope is missing both masks are False and stretch is
        NaN.

    Examples
    --------
    >>> found = distortion(45.0, [258.0, 78.0], heading=348.0, incidence=39.0)
    >>> found.layover, found.shadow
    (array([ True, False]), array([False, False]))
    """
    toward = np.cos(np.deg2rad(np.nan_to_num(aspect)) - np.deg2rad(np.subtract(heading, 90.0)))
    facing = np.arctan(np.tan(np.deg2rad(slope)) * toward)
    i = np.deg2rad(incidence)
    return Distortion(facing > i, facing < i - np.pi / 2, np.sin(i - facing) / np.sin(i))
