"""The one field an operation works on: a map or a set of points, taken from what the caller hands over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import xarray as xr

from xinsar import schema

_FIRST = ("velocity", "displacement")


def field_of(data: Any) -> xr.DataArray:
    """Return the field of ``data``: a DataArray itself; of a Dataset ``velocity``, ``displacement`` or its only number.

    The field ends in the dims y, x, or in point with coordinates x(point) and y(point), and holds real numbers.
    """
    if isinstance(data, xr.Dataset):
        data = _of_dataset(data)
    if not isinstance(data, xr.DataArray):
        raise TypeError(
            f"data: expected an xarray.DataArray or Dataset, got {type(data).__name__}; open rasters with "
            "xinsar.open_stack and points with xinsar.open_points"
        )
    _check(data)
    return data


def _of_dataset(ds: xr.Dataset) -> xr.DataArray:
    for name in _FIRST:
        if name in ds:
            return ds[name]
    numbers = [name for name, v in ds.data_vars.items() if v.dtype.kind in "fiu" and _placed(v)]
    numbers = [name for name in numbers if ds[name].dtype.kind == "f"] or numbers
    if len(numbers) == 1:
        return ds[numbers[0]]
    held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
    raise schema.SchemaError(
        f"data: expected a Dataset with velocity, displacement or a single map of numbers, got: {held}; "
        "pick the variable yourself, e.g. ds['name']"
    )


def is_points(field: xr.DataArray) -> bool:
    """Tell whether ``field`` lies on points rather than on a grid."""
    return bool(field.dims) and field.dims[-1] == "point"


def _placed(field: xr.DataArray) -> bool:
    return is_points(field) or tuple(field.dims[-2:]) == ("y", "x")


def _check(field: xr.DataArray) -> None:
    name = field.name or "data"
    if not _placed(field):
        remedy = "rename its dims"
        for dims in (("y", "x"), ("point",)):
            if set(dims) <= set(field.dims):
                remedy = f"reorder with transpose(..., {', '.join(map(repr, dims))})"
        raise schema.SchemaError(
            f"{name}: expected trailing dims ('y', 'x') or ('point',), got {tuple(map(str, field.dims))}; {remedy}"
        )
    if field.dtype.kind not in "fiu":
        raise schema.SchemaError(
            f"{name}: expected real numbers, got dtype {field.dtype}; convert it, e.g. with .astype('float32')"
        )
    if not field.size:
        raise ValueError(
            f"{name}: expected values, got none: sizes {dict(field.sizes)}; check what was selected"
        )
    if is_points(field):
        _check_places(field)


def _check_places(field: xr.DataArray) -> None:
    for axis in ("x", "y"):
        if axis not in field.coords or field[axis].dims != ("point",):
            raise schema.SchemaError(
                f"{axis}: expected a coordinate {axis}(point) with the place of every point, got "
                f"{tuple(map(str, field[axis].dims)) if axis in field.coords else 'none'}; assign it with "
                f"assign_coords({axis}=('point', values))"
            )
        if field[axis].dtype.kind not in "fiu":
            raise schema.SchemaError(
                f"{axis}: expected real numbers, got dtype {field[axis].dtype}; convert it with astype(float)"
            )


def floating(field: xr.DataArray) -> xr.DataArray:
    """Return ``field`` as float32 or float64: whole numbers become float64."""
    return field if field.dtype in ("float32", "float64") else field.astype("float64")


def own_dims(field: xr.DataArray) -> tuple[str, ...]:
    """Return the dims of one field: y, x or point."""
    return ("point",) if is_points(field) else ("y", "x")


def dims_over(field: xr.DataArray, over: Any) -> tuple[str, ...]:
    """Return the dims that share statistics: those of one field and the leading ones named in ``over``."""
    names = () if over is None else (over,) if isinstance(over, str) else over
    if not isinstance(names, Iterable):
        raise TypeError(f"over: expected a dim or several, got {over!r}")
    leading = tuple(map(str, field.dims[: -len(own_dims(field))]))
    for name in (names := tuple(map(str, names))):
        if name not in leading:
            said = f"one of {', '.join(map(repr, leading))}" if leading else "None: there is no leading dim"
            raise ValueError(f"over: expected {said}, got {name!r}")
    return (*names, *own_dims(field))
