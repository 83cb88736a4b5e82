"""Components of motion side by side: the east and the up file of one tile as one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

_SHARED = ("x", "y", "id", "elevation", "longitude", "latitude", "height_wgs84", "mp_type")
_DIGITS = {"m": 3}
"""Decimal digits in which places of one point agree, by unit; 7 in degrees."""


def together(parts: Mapping[str | None, xr.Dataset]) -> xr.Dataset:
    """Return the only part, named by a scalar ``component`` if it is one; or two parts joined along ``component``."""
    if len(parts) == 1:
        component, only = next(iter(parts.items()))
        return only if component is None else only.assign_coords(component=component)
    east, up = parts["east"], parts["up"]
    if "time" in east.dims and "time" in up.dims and not np.array_equal(east.time, up.time):
        dates = np.union1d(east.time.values, up.time.values)
        east, up = east.reindex(time=dates), up.reindex(time=dates)
    if east.x.chunks is None:
        east, up = _matched(east, up)
    else:
        east, up = _checked(east, up)
    return _stacked(east, up)


def _matched(east: xr.Dataset, up: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return both parts on the points of either, in the order of the first; NaN where a part lacks a point."""
    digits = _digits(east)
    if east.sizes == up.sizes and all(_same(east[a].values, up[a].values, digits) for a in ("x", "y")):
        return east, up
    import pandas as pd

    places = [
        pd.MultiIndex.from_arrays([np.round(p[a].values, digits) for a in ("x", "y")]) for p in (east, up)
    ]
    for part, index in zip((east, up), places, strict=True):
        if not index.is_unique:
            raise ValueError(
                "source: expected one point per cell of the grid in each file of a component, got two at x, y = "
                f"{index[index.duplicated()][0]} (product {part.attrs.get('product')}); remove one"
            )
    every = places[0].append(places[1][~places[1].isin(places[0])])
    rows = [index.get_indexer(every) for index in places]
    first, second = _taken(east, rows[0]), _taken(up, rows[1])
    lacking = rows[0] < 0
    for name in _SHARED:
        if name in first.variables and name in second.variables:
            first[name] = first[name].copy(data=np.where(lacking, second[name].values, first[name].values))
    return first, second


def _taken(part: xr.Dataset, rows: np.ndarray[Any, Any]) -> xr.Dataset:
    """Return the points ``rows`` of a part; NaN (an empty text) for -1."""
    out = part.isel(point=np.maximum(rows, 0)).copy()
    for name, variable in out.variables.items():
        if variable.dims[-1:] == ("point",):
            missing: Any = "" if variable.dtype.kind in "OU" else np.nan
            out[name] = variable.dims, np.where(rows < 0, missing, variable.values), variable.attrs
    return out


def _digits(part: xr.Dataset) -> int:
    return _DIGITS.get(str(part.x.attrs.get("units")), 7)


def _same(a: Any, b: Any, digits: int) -> bool:
    return bool(np.allclose(a, b, rtol=0, atol=10.0**-digits, equal_nan=True))


def _checked(east: xr.Dataset, up: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return both parts in the same chunks; whether their points agree is seen when places are computed."""
    import dask.array as da

    if east.sizes["point"] != up.sizes["point"]:
        raise ValueError(
            f"source: expected the same points in the E and U files, got {east.sizes['point']} and "
            f"{up.sizes['point']}; open them with chunks=None, which matches points by place"
        )
    up = up.chunk(point=east.x.chunks[0]) if up.x.chunks != east.x.chunks else up
    places = {
        name: da.map_blocks(_agreed, east[name].data, up[name].data, digits=_digits(east), meta=np.empty(0))
        for name in ("x", "y")
    }
    return east.assign_coords({name: ("point", data, east[name].attrs) for name, data in places.items()}), up


def _agreed(a: Any, b: Any, digits: int) -> Any:
    if not _same(a, b, digits):
        raise ValueError(
            "source: expected the E and U files to hold the same points in the same order, got others; open them with "
            "chunks=None, which matches points by place"
        )
    return a


def _stacked(east: xr.Dataset, up: xr.Dataset) -> xr.Dataset:
    """Return both parts with the dim ``component`` in front of ``point``."""
    out = east.drop_vars([name for name in east.data_vars if name not in _SHARED])
    for name, first in east.data_vars.items():
        if name in _SHARED or name not in up:
            continue
        dims = (*first.dims[:-1], "component", "point")
        data = _side_by_side(first.data, up[name].data)
        attrs = {**first.attrs, "long_name": _both(str(first.attrs.get("long_name", name)))}
        out[name] = xr.Variable(dims, data, attrs)
    return out.assign_coords(component=["east", "up"])


def _side_by_side(east: Any, up: Any) -> Any:
    """Return (..., 2, point) of two arrays (..., point)."""
    if isinstance(east, np.ndarray):
        return np.stack([east, up], axis=-2)
    import dask.array as da

    return da.stack([east, up], axis=-2).rechunk({-2: -1})


def _both(long_name: str) -> str:
    """Return what a variable of one component is called, said of both.

    >>> _both("eastward velocity, positive east")
    'velocity, positive east and up'
    """
    return long_name.replace("eastward ", "").replace("positive east", "positive east and up")
