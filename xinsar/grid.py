"""Where pixels lie: the CRS of an object and the size of its pixels in metres."""

from __future__ import annotations

from dataclasses import dataclass
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
    if obj[name].dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: expected real numbers, got dtype {obj[name].dtype}; convert it with astype(float)"
        )
    return np.asarray(obj[name].values, np.float64)


def check_latitudes(y: Any, spare: float = 0.0) -> None:
    """Raise ValueError where a finite ``y`` lies more than ``spare`` beyond 90 degrees."""
    values = np.asarray(y)
    beyond = values[np.abs(values) > 90 + spare]
    beyond = beyond[np.isfinite(beyond)]
    if beyond.size:
        raise ValueError(
            f"y: expected latitudes within -90..90 degrees, got values up to {beyond[np.abs(beyond).argmax()]:g}; the "
            "coordinates are no degrees: write the CRS they are in, or set x.attrs['units'] to 'm'"
        )


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
        check_latitudes(axis(obj, "y"), dy)
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


def _middle(obj: xr.Dataset | xr.DataArray, name: str) -> float:
    """Return the middle of the range of the coordinate ``name``."""
    if obj[name].dtype.kind not in "fiu" or not obj[name].size:
        raise ValueError(
            f"{name}: expected real numbers, one or more, got {obj[name].size} of dtype {obj[name].dtype}"
        )
    values = obj[name].where(np.isfinite(obj[name]))
    return (float(values.min()) + float(values.max())) / 2


def _local_scale(obj: xr.Dataset | xr.DataArray, crs: Any, unit: float) -> tuple[float, float]:
    """Return lengths on the map over lengths on the ellipsoid, along y and x at the grid's centre; 1 within 1 %."""
    from pyproj import Transformer

    x, y, half = _middle(obj, "x"), _middle(obj, "y"), 50 / unit
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


@dataclass(frozen=True)
class Metric:
    """How coordinates become metres.

    Parameters
    ----------
    unit
        Metres a unit of x and y, (x, y), of a projected CRS.
    axes
        Semi-major and semi-minor axis of the ellipsoid, metres, of a geographic CRS; None for a projected one.
    """

    unit: tuple[float, float] = (1.0, 1.0)
    axes: tuple[float, float] | None = None

    def north(self, y: Any) -> Any:
        """Return metres northward of ``y``: along the meridian from the equator where ``y`` is a latitude."""
        if self.axes is None:
            return np.asarray(y, np.float64) * self.unit[1]
        check_latitudes(y)
        return _meridian(np.asarray(y, np.float64), *self.axes)

    def place(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """Return (north, east, scale): metres, units eastward, and metres in a unit eastward (None: 1 everywhere).

        The distance between i and j is hypot(north_i - north_j, (east_i - east_j) (scale_i + scale_j) / 2): on the
        ellipsoid within 1e-6 of it for distances up to 10 km, below 80 degrees of latitude.
        """
        if self.axes is None:
            return self.north(y), np.asarray(x, np.float64) * self.unit[0], None
        a, b = self.axes
        latitude = np.radians(np.asarray(y, np.float64))
        normal = a / np.sqrt(1 - (1 - (b / a) ** 2) * np.sin(latitude) ** 2)
        return self.north(y), np.radians(np.asarray(x, np.float64)), normal * np.cos(latitude)


def _meridian(latitude: Any, a: float, b: float) -> Any:
    """Return the length of the meridian from the equator, metres, by the series in the third flattening.

    F. R. Helmert 1880; terms up to n^4 are good to a tenth of a millimetre.
    """
    n = (a - b) / (a + b)
    lat = np.radians(latitude)
    terms = (
        (1 + n**2 / 4 + n**4 / 64) * lat
        - 3 / 2 * (n - n**3 / 8) * np.sin(2 * lat)
        + 15 / 16 * (n**2 - n**4 / 4) * np.sin(4 * lat)
        - 35 / 48 * n**3 * np.sin(6 * lat)
        + 315 / 512 * n**4 * np.sin(8 * lat)
    )
    return a / (1 + n) * terms


def metric_of(obj: xr.Dataset | xr.DataArray) -> Metric:
    """Return the metric of the coordinates x and y of ``obj``, by the rules of :func:`pixel_spacing`.

    Coordinates that are not in memory are read where the CRS may be off by more than 1 %: their middle decides.
    """
    crs = crs_of(obj)
    if crs is None and _units(obj) == "m":
        return Metric()
    if crs is None or crs.is_geographic:
        ellipsoid = None if crs is None else crs.ellipsoid
        if ellipsoid is None:
            return Metric(axes=(6378137.0, 6356752.314245179))
        return Metric(axes=(ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre))
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if _conformal_zone(crs):
        return Metric((unit, unit))
    scale = _local_scale(obj, crs, unit)
    return Metric((unit / scale[1], unit / scale[0]))


def _conformal_zone(crs: Any) -> bool:
    """Tell whether ``crs`` is a zone of a transverse Mercator projection, true to 1 % wherever it is used."""
    operation = crs.coordinate_operation
    if operation is None or operation.method_name != "Transverse Mercator":
        return False
    scales = [p.value for p in operation.params if "scale factor" in p.name.lower()]
    return all(abs(s - 1) < 0.001 for s in scales)
