"""Where rasters lie among each other: groups of one CRS and pixel size, and the one grid a cube gets.

A map is turned so that x ascends and y descends. Rasters of a group whose origins differ by whole pixels
(within 1 % of a pixel) share a lattice and are cropped or padded onto it; the others are shifted on
reading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from xinsar.readers.layers import Grid

SNAP = 0.01
"""Misalignment, in pixels, below which two rasters share a lattice."""

_SAME_STEP = 1e-6


def is_map(grid: Grid) -> bool:
    """Say whether x and y are positions (turned north up) rather than pixel indices (kept as they are)."""
    return grid.crs is not None or grid.units is not None


def flips(grid: Grid) -> tuple[bool, bool]:
    """Return whether (rows, columns) of the file run against the cube's."""
    return is_map(grid) and grid.dy > 0, is_map(grid) and grid.dx < 0


def north_up(grid: Grid) -> Grid:
    """Return the same pixels counted from the north-west corner."""
    flip_y, flip_x = flips(grid)
    if flip_y:
        grid = replace(grid, y=grid.y + grid.dy * grid.height, dy=-grid.dy)
    return replace(grid, x=grid.x + grid.dx * grid.width, dx=-grid.dx) if flip_x else grid


@lru_cache(maxsize=256)
def _canonical(crs: str) -> str:
    from pyproj import CRS

    parsed = CRS.from_user_input(crs)
    code = parsed.to_epsg()
    return f"EPSG:{code}" if code else str(parsed.to_wkt())


def same_group(a: Grid, b: Grid) -> bool:
    """Say whether two grids have one CRS and pixel size (without coordinates: one shape)."""
    if (a.crs is None) != (b.crs is None) or a.units != b.units:
        return False
    if a.crs is not None and b.crs is not None and _canonical(a.crs) != _canonical(b.crs):
        return False
    if not is_map(a) and a.shape != b.shape:
        return False
    steps = ((a.dx, b.dx), (a.dy, b.dy))
    return all(math.isclose(abs(p), abs(q), rel_tol=_SAME_STEP) for p, q in steps)


def offset(grid: Grid, base: Grid) -> tuple[float, float]:
    """Return (row, column) of the first pixel of ``grid`` in ``base`` (north up); whole where they align."""
    place = ((grid.y - base.y) / base.dy, (grid.x - base.x) / base.dx)
    return _snapped(place[0]), _snapped(place[1])


def _snapped(value: float) -> float:
    return float(round(value)) if abs(value - round(value)) < SNAP else value


def aligned(grid: Grid, base: Grid) -> bool:
    """Say whether two grids share a lattice."""
    return all(value.is_integer() for value in offset(grid, base))


def common_lattice(grids: Sequence[Grid]) -> Grid:
    """Return a grid (north up) of the lattice most of ``grids`` lie on; the first one wins a tie."""
    first = north_up(grids[0])
    phases = [tuple(round(v % 1.0, 2) % 1.0 for v in offset(north_up(g), first)) for g in grids]
    winner = Counter(phases).most_common(1)[0][0]
    return north_up(grids[phases.index(winner)])


def extent(grids: Sequence[Grid], *, join: str, names: Sequence[Any]) -> Grid:
    """Return the cube's grid: the common lattice over the union, intersection or single extent of ``grids``.

    Raises ValueError where ``join="inner"`` leaves nothing or ``join="exact"`` finds two extents; ``names``
    are what the grids are called then.
    """
    base = common_lattice(grids)
    boxes = [_box(north_up(grid), base) for grid in grids]
    if join == "exact":
        _check_equal(boxes, names)
    pick = (max, min) if join == "inner" else (min, max)
    top, left = (pick[0](box[k] for box in boxes) for k in (0, 1))
    bottom, right = (pick[1](box[k] for box in boxes) for k in (2, 3))
    if bottom <= top or right <= left:
        raise ValueError(
            'join: the rasters have no common area for join="inner"; use join="outer" or open fewer files'
        )
    x, y = base.x + left * base.dx, base.y + top * base.dy
    return replace(base, x=x, y=y, width=right - left, height=bottom - top)


def _box(grid: Grid, base: Grid) -> tuple[int, int, int, int]:
    row, col = offset(grid, base)
    return math.floor(row), math.floor(col), math.ceil(row) + grid.height, math.ceil(col) + grid.width


def _check_equal(boxes: Sequence[tuple[int, int, int, int]], names: Sequence[Any]) -> None:
    other = next((k for k, box in enumerate(boxes) if box != boxes[0]), None)
    if other is not None:
        raise ValueError(
            f'join: expected one extent for join="exact", got two: {names[0]} and {names[other]} differ; '
            'use join="outer" (missing parts NaN) or join="inner"'
        )
