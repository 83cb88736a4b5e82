"""Where pixels lie: the CRS of an object and the size of its pixels in metres."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

EVENNESS = 0.02
"""How far, in pixels, a coordinate may lie from an even grid: degrees in float32 need 0.005."""

_METRES = {"m", "metre", "metres", "meter", "meters"}
_DEGREES = {"degree", "degrees", "deg", "degrees_east", "degrees_north", "degree_east", "degree_north"}


def crs_of(obj: xr.Dataset | xr.DataArray) -> Any:
    """Return the ``pyproj.CRS`` of ``obj``, or None where it has none."""
    from pyproj import CRS

    for name in ("spatial_ref", *(str(v) for v in _grid_mappings(obj))):
        if name in obj.coords or (isinstance(obj, xr.Dataset) and name in obj):
            attrs = obj[name].attrs
            text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
            if text or "grid_mapping_name" in attrs:
                return CRS.from_wkt(text) if text else CRS.from_cf(attrs)
    return None


def _grid_mappings(obj: xr.Dataset | xr.DataArray) -> list[Any]:
    arrays = obj.data_vars.values() if isinstance(obj, xr.Dataset) else [obj]
    found = [a.encoding.get("grid_mapping", a.attrs.get("grid_mapping")) for a in arrays]
    return [name for name in found if name]


def axis(obj: xr.Dataset | xr.DataArray, name: str) -> np.ndarray[Any, Any]:
    """Return the coordinate ``name`` (``x`` or ``y``) as float64."""
    if name not in obj.coords:
        raise ValueError(
            f"{name}: expected a coordinate of pixel centres, got none; assign it with assign_coords({name}=...)"
        )
    return np.asarray(obj[name].values, np.float64)


def step(obj: xr.Dataset | xr.DataArray, name: str) -> float:
    """Return the signed distance between neighbours along ``name``, which must be regular."""
    values = axis(obj, name)
    if values.size < 2:
        return _step_of_one(obj, name)
    mean = float(values[-1] - values[0]) / (values.size - 1)
    even = values[0] + mean * np.arange(values.size)
    if mean == 0 or not np.abs(values - even).max() <= EVENNESS * abs(mean):
        steps = np.diff(values)
        raise ValueError(
            f"{name}: expected evenly spaced coordinates, got steps from {steps.min():g} to {steps.max():g}; "
            "resample to a regular grid first"
        )
    return mean


def _step_of_one(obj: xr.Dataset | xr.DataArray, name: str) -> float:
    """Return the step of an axis of one pixel from the affine transform, else as the other axis', else NaN."""
    if "spatial_ref" in obj.coords and "GeoTransform" in obj["spatial_ref"].attrs:
        numbers = [float(v) for v in str(obj["spatial_ref"].attrs["GeoTransform"]).split()]
        return numbers[1] if name == "x" else numbers[5]
    other = "y" if name == "x" else "x"
    if other in obj.coords and obj[other].size > 1:
        return abs(step(obj, other)) * (-1 if name == "y" else 1)
    return float("nan")


def pixel_spacing(obj: xr.Dataset | xr.DataArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the size of pixels along y and along x in metres, both positive, one value per row.

    A projected CRS is taken as it is, unless its scale is off by more than 1 % at the grid's centre: then by the
    local scale. A geographic CRS goes by the ellipsoid at each row's latitude. Without a CRS, ``attrs["units"]`` of
    ``x`` tells metres or degrees (on WGS 84); without that too there is no size, and ValueError. A single pixel
    without an affine transform has the size NaN.
    """
    crs = crs_of(obj)
    rows = obj.sizes["y"]
    dy, dx = abs(step(obj, "y")), abs(step(obj, "x"))
    if crs is None and _units(obj) == "m":
        return np.full(rows, dy), np.full(rows, dx)
    if crs is None or crs.is_geographic:
        return _on_ellipsoid(axis(obj, "y"), dy, dx, crs)
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    scale = _local_scale(obj, crs, unit)
    return np.full(rows, dy * unit / scale[0]), np.full(rows, dx * unit / scale[1])


def _units(obj: xr.Dataset | xr.DataArray) -> str:
    """Return ``m`` or ``degree`` from the units of ``x``."""
    came = obj["x"].attrs.get("units") if "x" in obj.coords else None
    if came in _METRES:
        return "m"
    if came in _DEGREES:
        return "degree"
    raise ValueError(
        f"x: the pixel size in metres is needed, but the data has no CRS and x.attrs['units'] is {came!r}; "
        "write a CRS with .rio.write_crs('EPSG:...') or set x.attrs['units'] to 'm' or 'degrees_east'"
    )


def _on_ellipsoid(
    latitude: np.ndarray[Any, Any], dy: float, dx: float, crs: Any
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the lengths of degrees of latitude and longitude times ``dy`` and ``dx``."""
    ellipsoid = None if crs is None else crs.ellipsoid
    a = 6378137.0 if ellipsoid is None else ellipsoid.semi_major_metre
    b = 6356752.314245179 if ellipsoid is None else ellipsoid.semi_minor_metre
    squared = 1 - (b / a) ** 2
    sine = np.sin(np.radians(latitude))
    root = np.sqrt(1 - squared * sine**2)
    meridian = a * (1 - squared) / root**3
    normal = a / root
    return np.radians(dy) * meridian, np.radians(dx) * normal * np.cos(np.radians(latitude))


def _local_scale(obj: xr.Dataset | xr.DataArray, crs: Any, unit: float) -> tuple[float, float]:
    """Return lengths on the map over lengths on the ellipsoid, along y and x at the grid's centre; 1 within 1 %."""
    from pyproj import Transformer

    x, y, half = float(axis(obj, "x").mean()), float(axis(obj, "y").mean()), 50 / unit
    try:
        to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform
        ends = [
            [to_degrees(x, y - half), to_degrees(x, y + half)],
            [to_degrees(x - half, y), to_degrees(x + half, y)],
        ]
        lengths = [crs.get_geod().inv(*start, *end)[2] for start, end in ends]
    except Exception:  # a local engineering CRS has no way to the ellipsoid: its metres are metres
        return 1.0, 1.0
    scale = 100 / lengths[0], 100 / lengths[1]
    if not all(np.isfinite(scale)) or max(abs(s - 1) for s in scale) <= 0.01:
        return 1.0, 1.0
    return scale
