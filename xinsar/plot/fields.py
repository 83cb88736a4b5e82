"""What is drawn of a dataset: one field, thinned to the size of a picture."""

from __future__ import annotations

import xarray as xr

from xinsar import schema
from xinsar.plot.geometry import on_points

_LARGEST = 2000
"""Pixels per side above which a raster is thinned before it is drawn."""
_MOST_POINTS = 500_000
"""Number above which only every n-th point is drawn."""


def field_of(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return the variable ``name``, on (y, x) or on (point,)."""
    if name not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        raise schema.SchemaError(f"{name}: the dataset has no variable of this name (it holds: {held})")
    array = ds[name]
    if set(array.dims) not in ({"y", "x"}, {"point"}):
        raise schema.SchemaError(
            f"{name}: expected dims ('y', 'x') or ('point',), got {tuple(map(str, array.dims))}; choose one "
            "index of the others with isel"
        )
    return array


def flat(array: xr.DataArray) -> xr.DataArray:
    """Return a raster on (y, x) as it is; refuse others."""
    if set(array.dims) != {"y", "x"}:
        raise schema.SchemaError(
            f"{array.name}: expected dims ('y', 'x'), got {tuple(map(str, array.dims))}; stack the pairs "
            "with phase_gradient_stack, or choose one with isel"
        )
    return array


def thin(array: xr.DataArray) -> xr.DataArray:
    """Return every n-th pixel so that neither side exceeds the picture's size."""
    step = max(-(-max(array.sizes["y"], array.sizes["x"]) // _LARGEST), 1)
    return array.isel(y=slice(None, None, step), x=slice(None, None, step))


def fewer(array: xr.DataArray) -> xr.DataArray:
    """Return what is drawn of a raster or of points."""
    if not on_points(array):
        return thin(array)
    step = max(-(-array.sizes["point"] // _MOST_POINTS), 1)
    return array.isel(point=slice(None, None, step))
