"""The axes of a cube: pixel centres, their units, and the CRS as CF and rioxarray write it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar.readers.layers import Grid

_UNITS = {
    "m": ({"units": "m"}, {"units": "m"}),
    "degree": ({"units": "degrees_east"}, {"units": "degrees_north"}),
}


def centres(start: float, step: float, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the pixel centres of an axis whose first pixel begins at ``start``."""
    return start + (np.arange(count, dtype=np.float64) + 0.5) * step


def axes(grid: Grid) -> dict[str, xr.Variable]:
    """Return the coordinates x and y of ``grid``."""
    x_attrs, y_attrs = _UNITS.get(str(grid.units), ({}, {}))
    return {
        "x": xr.Variable("x", centres(grid.x, grid.dx, grid.width), {"axis": "X", **x_attrs}),
        "y": xr.Variable("y", centres(grid.y, grid.dy, grid.height), {"axis": "Y", **y_attrs}),
    }


def georeferenced(ds: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return ``ds`` with the scalar ``spatial_ref`` and CF attributes of its axes; as it is without a CRS."""
    if grid.crs is None:
        return ds
    import rioxarray  # noqa: F401
    from affine import Affine

    transform = Affine(grid.dx, 0.0, grid.x, 0.0, grid.dy, grid.y)
    placed: xr.Dataset = ds.rio.write_crs(grid.crs).rio.write_transform(transform)
    return placed.rio.write_coordinate_system()  # type: ignore[no-any-return]
