"""Slope and aspect of a raster of elevations, by the nine pixels of Horn (1981).

East and north components of the gradient from the weights 1, 2, 1 across three rows or columns, over 8 pixels; slope is
the arctangent of its length, aspect the azimuth against it. Differences are taken in the dtype of the elevations, all
else in float32; the arctangent is a polynomial (error below 1e-5 degrees), so that loops run in vector registers.

Edge rule: where one of the nine is missing or outside the image, a component is the weighted mean of those central
differences that are there, and where there is none, of those to one side. A missing centre stays missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels._jit import either, fma, jit, outside

HIGHEST, LOWEST = 9000.0, -12000.0
"""No ground lies beyond, metres."""
NODATA = -9999.0
"""Taken for a hole that was not declared."""

_MIDDLE, _HALF = np.float32(4000), np.float32(5000)
_LARGE = np.float32(1e30)


@jit
def _arctangent(t: Any) -> Any:
    """Return the arctangent, degrees, of float32 0..1."""
    s = t * t
    p = np.float32(0.16328077)
    p = fma(p, s, np.float32(-0.9206411))
    p = fma(p, s, np.float32(2.4460058))
    p = fma(p, s, np.float32(-4.299612))
    p = fma(p, s, np.float32(6.0967913))
    p = fma(p, s, np.float32(-8.138085))
    p = fma(p, s, np.float32(11.4549265))
    p = fma(p, s, np.float32(-19.098444))
    p = fma(p, s, np.float32(57.29578))
    return p * t


@jit
def _gradient_row(north: Any, here: Any, south: Any, kx: Any, ky: Any, east: Any, up: Any) -> Any:
    """Write the gradient eastward and northward of a row; tell whether a pixel of it needs a second look."""
    look = np.int32(0)
    for x in range(np.uint64(here.size - 2)):
        x1, x2 = x + np.uint64(1), x + np.uint64(2)
        a, b, c = north[x], north[x1], north[x2]
        d, e, f = here[x], here[x1], here[x2]
        g, h, i = south[x], south[x1], south[x2]
        gx = np.float32(((c - a) + (i - g)) + ((f - d) + (f - d))) * kx
        gy = np.float32(((a - g) + (c - i)) + ((b - h) + (b - h))) * ky
        east[x1] = gx
        up[x1] = gy
        strange = either(outside(gx + gy, _LARGE), outside(np.float32(e) - _MIDDLE, _HALF))
        look = either(look, strange)
    return look


@jit
def _slope_row(east: Any, north: Any, out: Any) -> None:
    one = np.float32(1)
    for x in range(out.size):
        g = np.sqrt(fma(east[x], east[x], north[x] * north[x]))
        steep = g > one
        angle = _arctangent((one if steep else g) / (g if steep else one))
        out[x] = np.float32(90) - angle if steep else angle


@jit
def _aspect_row(east: Any, north: Any, out: Any) -> None:
    """Write the azimuth against the gradient; 0/0 makes flat ground NaN."""
    full = np.float32(360)
    for x in range(out.size):
        a, b = abs(east[x]), abs(north[x])
        beside = a > b
        angle = _arctangent((b if beside else a) / (a if beside else b))
        angle = np.float32(90) - angle if beside else angle
        angle = np.float32(180) - angle if north[x] > 0 else angle
        angle = full - angle if east[x] > 0 else angle
        out[x] = np.float32(0) if angle >= full else angle


@jit
def _at(plane: Any, y: int, x: int) -> Any:
    """Return a pixel, NaN outside the image."""
    inside = y >= 0 and x >= 0 and y < plane.shape[0] and x < plane.shape[1]
    return np.float64(plane[y, x]) if inside else np.nan


@jit
def _component(plane: Any, y: int, x: int, dy: int, dx: int) -> Any:
    """Return the difference for a step (dy, dx), from what is there of the nine pixels around (y, x)."""
    both, both_weight, one, one_weight = 0.0, 0.0, 0.0, 0.0
    for k in range(-1, 2):
        row, col, weight = y + k * dx, x + k * dy, 2.0 - abs(k)
        before, middle, after = (
            _at(plane, row - dy, col - dx),
            _at(plane, row, col),
            _at(plane, row + dy, col + dx),
        )
        if after == after and before == before:
            both += weight * (after - before)
            both_weight += 2 * weight
        if after == after and middle == middle:
            one += weight * (after - middle)
            one_weight += weight
        if before == before and middle == middle:
            one += weight * (middle - before)
            one_weight += weight
    return both / both_weight if both_weight > 0 else one / one_weight


@jit
def _again(plane: Any, y: int, x: int, kx: Any, ky: Any, east: Any, north: Any) -> bool:
    """Look at one pixel again: write its gradient from what is there; tell whether its elevation is possible."""
    here = np.float64(plane[y, x])
    if here > HIGHEST or here < LOWEST or here == NODATA:
        return False
    gx, gy = east[x], north[x]
    if here != here:
        east[x] = north[x] = np.nan
    elif x == 0 or y == 0 or x == plane.shape[1] - 1 or y == plane.shape[0] - 1 or gx + gy != gx + gy:
        east[x] = np.float32(_component(plane, y, x, 0, 1)) * (8 * kx)
        north[x] = np.float32(_component(plane, y, x, -1, 0)) * (8 * ky)
    return True


@jit
def _row(plane: Any, y: int, kx: Any, ky: Any, east: Any, north: Any) -> bool:
    """Write the gradient of row ``y``; False if it holds an impossible elevation."""
    height, width = plane.shape
    edge = y == 0 or y == height - 1
    whole = edge
    if not edge:
        whole = _gradient_row(plane[y - 1], plane[y], plane[y + 1], kx, ky, east, north) != 0
    fine = True
    for x in range(0, width, 1 if whole or width < 2 else width - 1):
        fine &= _again(plane, y, x, kx, ky, east, north)
    return fine


@jit
def _plane(plane: Any, rows: Any, table: Any, slope: Any, aspect: Any) -> bool:
    """Write slope and aspect of an image; False if it holds an impossible elevation."""
    east, north = np.empty(plane.shape[1], np.float32), np.empty(plane.shape[1], np.float32)
    fine = True
    for y in range(plane.shape[0]):
        fine &= _row(plane, y, table[rows[y], 1], table[rows[y], 0], east, north)
        _slope_row(east, north, slope[y])
        _aspect_row(east, north, aspect[y])
    return fine


def step_table(dy: Any, dx: Any) -> tuple[Any, Any]:
    """Return the table of 1 over eight steps (north, east) of every kind of row, float32, and the kind of each row.

    ``dy`` is the way northward from a row to the one before it, ``dx`` eastward from a pixel to the next one, metres:
    negative where an axis runs the other way.
    """
    table, kinds = np.unique(np.stack([dy, dx], axis=-1), axis=0, return_inverse=True)
    return (1 / (8 * table)).astype(np.float32), kinds.reshape(-1).astype(np.int32)


def _terrain(values: Any, kinds: Any = None, *, table: Any) -> Any:
    """Return slope and aspect, (2, ..., y, x); ``kinds`` (y, x) tells which row of ``table`` each row goes by."""
    height, width = values.shape[-2:]
    rows = np.zeros(height, np.int32) if kinds is None else np.ascontiguousarray(kinds[:, 0])
    out = np.empty((2, *values.shape), np.float32)
    planes = np.ascontiguousarray(values).reshape(-1, height, width)
    for plane, slope, aspect in zip(planes, *out.reshape(2, -1, height, width), strict=True):
        if not _plane(plane, rows, table, slope, aspect):
            raise ValueError(
                f"elevation: expected metres from {LOWEST:g} to {HIGHEST:g}, got {np.nanmin(plane):g} to "
                f"{np.nanmax(plane):g}; make what stands for holes ({NODATA:g}, -32768, ...) NaN, e.g. with "
                "elevation.where(elevation > -1000), and convert feet to metres"
            )
    return out


terrain = Kernel("terrain", numpy=_terrain)
