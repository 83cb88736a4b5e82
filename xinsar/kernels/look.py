"""How a satellite sees slopes: sensitivity to downslope motion, foreshortening, layover and shadow.

``l`` = (east, north, up) is the unit vector from the ground to the satellite; u = (sin A cos B, cos A cos B, -sin B)
points down a slope B of aspect A, degrees. :data:`cast` walks from every pixel toward the satellite and away from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel, array_namespace
from xinsar.kernels._jit import jit

UNIT = 0.01
"""How far the length of a line of sight may lie from 1."""


def los_vector(heading: Any, incidence: Any) -> tuple[Any, Any, Any]:
    """Return l of a right-looking satellite: (-sin i cos a, sin i sin a, cos i)."""
    a, i = np.deg2rad(heading), np.deg2rad(incidence)
    return -np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)


def check_unit(east: Any, north: Any, up: Any) -> None:
    """Raise ValueError where l is no unit vector to the sky; NaN is missing."""
    xp = array_namespace(up)
    length = xp.sqrt(east * east + north * north + up * up)
    if bool((xp.abs(length - 1) > UNIT).any()):
        raise ValueError(
            f"los: expected unit vectors from the ground to the satellite, got lengths from "
            f"{float(xp.nanmin(length)):g} to {float(xp.nanmax(length)):g}; divide by the length, and make missing "
            "ones NaN"
        )
    if bool((up <= 0).any()):
        raise ValueError(
            f"los: expected vectors from the ground to the satellite, got up = {float(xp.nanmin(up)):g}, which points "
            "into the ground; turn the sign of all three components"
        )


def _sensitivity(slope: Any, aspect: Any, east: Any, north: Any, up: Any) -> Any:
    """Return u.l."""
    check_unit(east, north, up)
    xp = array_namespace(slope)
    b, a = xp.deg2rad(slope), xp.deg2rad(aspect)
    level = xp.cos(b) * (xp.sin(a) * east + xp.cos(a) * north)
    return (level - xp.sin(b) * up).astype(np.float32)


def _facing(slope: Any, aspect: Any, east: Any, north: Any, up: Any) -> Any:
    """Return the slope along the look, radians, positive where it faces the satellite: flat ground needs no aspect.

    tan r = tan B cos(A - A_sat), with A_sat the azimuth of the satellite.
    """
    check_unit(east, north, up)
    xp = array_namespace(slope)
    a = xp.deg2rad(aspect)
    level = xp.sqrt(east * east + north * north)
    toward = (xp.sin(a) * east + xp.cos(a) * north) / level
    along = xp.arctan(xp.tan(xp.deg2rad(slope)) * toward)
    return xp.where(slope == 0, 0 * level, along).astype(np.float32)


sensitivity = Kernel("sensitivity", numpy=_sensitivity, cupy=_sensitivity)
facing = Kernel("slope along the look", numpy=_facing, cupy=_facing)


_CLOSE = 1e-4
"""Share of a pixel that rounding may add along a ray: nearer than this, a sample is the pixel itself."""


@jit
def _sample(plane: Any, y: int, x: int, down: float, right: float) -> Any:
    """Return the elevation ``down`` rows and ``right`` columns from (y, x), one of them whole; else NaN.

    Between two pixels it lies on a line.
    """
    row, col = np.floor(down + _CLOSE), np.floor(right + _CLOSE)
    i, j = y + int(row), x + int(col)
    if i < 0 or j < 0 or i >= plane.shape[0] or j >= plane.shape[1]:
        return np.nan
    here = np.float64(plane[i, j])
    below, beside = down - row > _CLOSE, right - col > _CLOSE
    if not (below or beside):
        return here
    share = down - row if below else right - col
    i, j = i + int(below), j + int(beside)
    if i >= plane.shape[0] or j >= plane.shape[1]:
        return np.nan
    return here + share * (np.float64(plane[i, j]) - here)


@jit
def _toward(
    plane: Any, y: int, x: int, down: float, right: float, step: float, tangent: float, reach: float,
    low: float, high: float,
) -> tuple[bool, bool]:  # fmt: skip
    """Walk toward the satellite; return (layover, shadow): whether ground there is as far off, or hides the pixel."""
    here = np.float64(plane[y, x])
    layover, shadow = False, False
    k = 1
    while k * step <= reach:
        away = k * step
        may_hide, may_lie = high - here > away / tangent, here - low > away * tangent
        if not ((may_hide and not shadow) or (may_lie and not layover)):
            break
        rise = _sample(plane, y, x, k * down, k * right) - here
        shadow = shadow or bool(rise > away / tangent)
        layover = layover or bool(rise < -away * tangent)
        k += 1
    return layover, shadow


@jit
def _behind(
    plane: Any,
    y: int,
    x: int,
    down: float,
    right: float,
    step: float,
    tangent: float,
    reach: float,
    high: float,
) -> bool:
    """Walk away from the satellite: whether ground there leans over the pixel."""
    here = np.float64(plane[y, x])
    k = 1
    while k * step <= reach and high - here > k * step * tangent:
        if _sample(plane, y, x, -k * down, -k * right) - here > k * step * tangent:
            return True
        k += 1
    return False


@jit
def _cast_plane(
    plane: Any,
    rows: Any,
    columns: Any,
    tangents: Any,
    reach: float,
    low: float,
    high: float,
    layover: Any,
    shadow: Any,
) -> None:
    """Walk the rays of every pixel; ``low`` and ``high`` enclose all elevations."""
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            down, right, tangent = (
                np.float64(rows[y, x]),
                np.float64(columns[y, x]),
                np.float64(tangents[y, x]),
            )
            longest = max(abs(down), abs(right))
            if not (plane[y, x] == plane[y, x] and longest > 0 and tangent > 0):
                continue
            down, right, step = down / longest, right / longest, 1 / longest
            over, hidden = _toward(plane, y, x, down, right, step, tangent, reach, low, high)
            over = over or _behind(plane, y, x, down, right, step, tangent, reach, high)
            layover[y, x] |= over
            shadow[y, x] |= hidden


@jit
def _extremes(plane: Any) -> tuple[float, float]:
    """Return the lowest and the highest elevation; NaN does not count."""
    low, high = np.inf, -np.inf
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            value = np.float64(plane[y, x])
            low, high = value if value < low else low, value if value > high else high
    return low, high


_MARGIN = 1.0
"""Metres beyond the extremes of a block, so that no rounding of a sample can pass them."""


def _cast(
    elevation: Any,
    rows: Any = None,
    columns: Any = None,
    tangents: Any = None,
    *,
    look: Any = None,
    reach: float,
) -> Any:
    """Return layover and shadow by rays, (2, ..., y, x).

    ``rows`` and ``columns`` are the pixels that a metre toward the satellite is, and ``tangents`` those of the
    incidence: (y, x), or together one triple ``look`` for all pixels. A ray steps from row to row or from column to
    column, whichever are more, between two pixels by a line. It ends at the image's edge and passes over holes.
    """
    out = np.zeros((2, *elevation.shape), np.bool_)
    shape = elevation.shape[-2:]
    looks = [np.broadcast_to(a, shape) for a in (look or (rows, columns, tangents))]
    planes = np.ascontiguousarray(elevation).reshape(-1, *shape)
    for plane, layover, shadow in zip(planes, *out.reshape(2, -1, *shape), strict=True):
        low, high = _extremes(plane)
        _cast_plane(
            plane,
            looks[0],
            looks[1],
            looks[2],
            float(reach),
            low - _MARGIN,
            high + _MARGIN,
            layover,
            shadow,
        )
    return out


cast = Kernel("layover and shadow", numpy=_cast)
