"""CRS and half-pixel on disk: CF grid mapping for everybody, GeoZarr attributes for those who read it.

The dataset speaks of pixel centres (``x``, ``y``); an affine transform speaks of the outer corner of the
first pixel. This module owns the step between the two. Conventions:
https://github.com/zarr-conventions/proj and https://github.com/zarr-conventions/spatial, both version 0.1;
CF-1.11 section 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

Affine = tuple[float, float, float, float, float, float]

_CONVENTION = {
    "proj": (
        "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "Coordinate reference system information for geospatial data",
    ),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
}


def affine(ds: xr.Dataset | xr.DataArray) -> Affine | None:
    """Affine transform (a, b, c, d, e, f) from corners of pixels to coordinates; None without an even grid.

    ``x = a column + c``, ``y = e row + f``; (c, f) is the outer corner of the first pixel, half a pixel
    before its centre.
    """
    from xinsar.grid import step

    if not {"x", "y"} <= set(ds.coords) or ds["x"].dims != ("x",) or ds["y"].dims != ("y",):
        return None
    try:
        dx, dy = step(ds, "x"), step(ds, "y")
    except ValueError:
        return None
    return dx, 0.0, float(ds["x"].values[0]) - dx / 2, 0.0, dy, float(ds["y"].values[0]) - dy / 2


def georeference(ds: xr.Dataset) -> xr.Dataset:
    """Return ``ds`` with a CF grid mapping and CF attributes on ``x`` and ``y``, where it has a CRS."""
    crs = projection(ds)
    if crs is None or not {"x", "y"} <= set(ds.dims):
        return ds
    attrs = {**crs.to_cf(), "spatial_ref": crs.to_wkt()}
    if (transform := affine(ds)) is not None:
        a, b, c, d, e, f = transform
        attrs["GeoTransform"] = " ".join(repr(v) for v in (c, a, b, f, d, e))
    out = ds.assign_coords(spatial_ref=xr.Variable((), np.int64(0), attrs))
    for described in crs.cs_to_cf():
        axis = str(described.get("axis", "")).lower()
        if axis in out.coords:
            out[axis].attrs = {**described, **out[axis].attrs}
    return out


def projection(ds: xr.Dataset | xr.DataArray) -> Any:
    """Return the CRS as a ``pyproj.CRS``, or None."""
    from pyproj import CRS

    from xinsar.grid import crs_of

    crs = crs_of(ds)
    return None if crs is None else CRS.from_user_input(crs)


def attributes(ds: xr.Dataset) -> dict[str, Any]:
    """Return the GeoZarr attributes of the group that holds ``ds``; empty where it has no grid."""
    out = _proj(ds) | _spatial(ds)
    names = [name for name in _CONVENTION if any(key.startswith(f"{name}:") for key in out)]
    return out | ({"zarr_conventions": [_registered(name) for name in names]} if names else {})


def _proj(ds: xr.Dataset) -> dict[str, Any]:
    crs = projection(ds) if {"x", "y"} <= set(ds.dims) else None
    if crs is None:
        return {}
    authority = crs.to_authority(min_confidence=100)
    return {"proj:wkt2": crs.to_wkt()} | ({"proj:code": ":".join(authority)} if authority else {})


def _spatial(ds: xr.Dataset) -> dict[str, Any]:
    transform = affine(ds)
    if transform is None:
        return {}
    height, width = ds.sizes["y"], ds.sizes["x"]
    a, _, c, _, e, f = transform
    xs, ys = sorted((c, c + a * width)), sorted((f, f + e * height))
    return {
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [height, width],
        "spatial:transform_type": "affine",
        "spatial:transform": list(transform),
        "spatial:bbox": [xs[0], ys[0], xs[1], ys[1]],
        "spatial:registration": "pixel",
    }


def _registered(name: str) -> dict[str, str]:
    uuid, description = _CONVENTION[name]
    return {
        "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{name}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/zarr-conventions/{name}/blob/v0.1/README.md",
        "uuid": uuid,
        "name": name,
        "description": description,
    }


def without(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return ``attrs`` less what this module wrote."""
    mine = ("proj:", "spatial:", "zarr_conventions")
    return {key: value for key, value in attrs.items() if not str(key).startswith(mine)}
