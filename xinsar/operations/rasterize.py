"""From points to pixels: one statistic of the points in each pixel of a grid."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import axis, crs_of, metric_of, pixel_spacing, step
from xinsar.mapping import is_lazy, onto_grid, pointwise
from xinsar.operations import checks
from xinsar.operations.fields import _check_places
from xinsar.operations.targets import lie_in, moved, outside, target_grid

STATISTICS = ("median", "mean", "min", "max", "std")
"""What a pixel may keep of its values."""

_CELL_METHODS = {"min": "minimum", "max": "maximum", "std": "standard_deviation"}
_AS_FLAGS = ("flag_values", "flag_masks", "flag_meanings")


def rasterize_points(
    points: xr.Dataset | xr.DataArray, target: Any, *, statistic: str = "median"
) -> xr.Dataset:
    """Bring points to a grid: every pixel keeps one statistic of the points that lie in it.

    A pixel holds the points with x in [centre - half, centre + half) and y likewise: a point on a border belongs to the
    pixel east or north of it, whichever way the rows run.

    Parameters
    ----------
    points
        Dataset, or DataArray, with coordinates x(point) and y(point). Every variable of real numbers on (..., point) is
        brought over; flags, texts and dates are left out.
    target
        Grid: a cube (Dataset or DataArray with y and x), a resolution in metres over the extent of the points, or an
        extent with a resolution (left, bottom, right, top, metres) in the CRS of the points. Points in another CRS
        than a cube's are brought to it.
    statistic
        ``"median"`` (mean of the middle two of an even number), ``"mean"``, ``"min"``, ``"max"``, or ``"std"`` (of the
        population: 0 for one point).

    Returns
    -------
    xarray.Dataset
        The variables on (..., y, x), with their units; float32 and float64 stay, whole numbers and float16 become the
        floating-point type that holds them. ``point_count`` (y, x), int32: points in the pixel, whether their values
        are valid or not. Lazy if ``points`` is.

    Raises
    ------
    TypeError
        If ``points`` is neither a Dataset nor a DataArray, or ``target`` is no grid.
    xinsar.SchemaError
        If there is no dim ``point`` with coordinates x and y.
    ValueError
        If ``statistic`` is unknown, if ``target`` makes no grid, if one of points and target has a CRS and the other
        none, or if no point lies in the target (when computed, where coordinates are not in memory); when computed, if
        a value of a point in the target is infinite.

    Notes
    -----
    NaN: a missing value does not count for its variable. A pixel without a valid value is NaN, its ``point_count`` 0 if
    it holds no point. Points without a finite place are dropped, and so are those outside of the target.

    Values are sorted within a pixel before they are used, so neither the order of the points nor chunks change a bit of
    the result. Lazy points are read once for all variables of one type and the same leading dims; with a resolution as
    ``target`` their coordinates are read to find the extent.

    Examples
    --------
    >>> import xarray as xr, xinsar
    >>> ps = xr.Dataset({"velocity": ("point", [1.0, 2.0, 6.0, 9.0])},
    ...                 {"x": ("point", [5.0, 10.0, 15.0, 30.0]), "y": ("point", [1.0, 2.0, 3.0, 4.0])})
    >>> ps.x.attrs["units"] = "m"
    >>> maps = xinsar.rasterize_points(ps, 20)
    >>> maps.velocity.values, maps.point_count.values
    (array([[2., 9.]]), array([[3, 1]], dtype=int32))
    """
    from xinsar.kernels import rasterize as kernels

    statistic = checks.one_of("statistic", statistic, STATISTICS)
    ds = _dataset(points)
    grid = _grid(target, ds)
    place, some = _place(ds, grid)
    maps: dict[str, xr.DataArray] = {}
    for group in _alike(ds):
        values = _joined(group)
        dtype = np.result_type(values.dtype, np.float32)
        kept = onto_grid(kernels.rasterize, *place, values, dtype=dtype, statistic=statistic, **_where(grid))
        maps |= _apart(kept, group, statistic)
    count = onto_grid(kernels.count, *place, _any_lazy(ds, place[0]), dtype=np.int32, **_where(grid))
    maps = {name: maps[name] for name in _names(ds)} | {
        "point_count": schema.label(schema.POINT_COUNT, count)
    }
    maps = {name: _unless_empty(array, some, grid) for name, array in maps.items()}
    history = checks.said("rasterize_points", target=_said(target), statistic=statistic)
    return schema.assemble(maps.values(), points, history=history)


def _dataset(points: Any) -> xr.Dataset:
    """Return points as a dataset after checking that each has a place."""
    if not isinstance(points, (xr.Dataset, xr.DataArray)):
        raise TypeError(
            f"points: expected an xarray.Dataset or DataArray, got {type(points).__name__}; open files of points with "
            "xinsar.open_points"
        )
    if "point" not in points.dims:
        raise schema.SchemaError(
            f"points: expected the dim 'point', got dims {tuple(map(str, points.dims))}; rename yours, or bring "
            "a raster to another grid with .rio.reproject_match"
        )
    if not points.sizes["point"]:
        raise ValueError("points: expected at least one point, got none")
    _check_places(points["point"])
    return points if isinstance(points, xr.Dataset) else points.to_dataset(name=points.name or "value")


def _names(ds: xr.Dataset) -> list[str]:
    """Return the variables that become maps."""
    return [
        str(name)
        for name, v in ds.data_vars.items()
        if "point" in v.dims
        and v.dtype.kind in "fiu"
        and not set(_AS_FLAGS) & set(v.attrs)
        and name != "point_count"
    ]


def _alike(ds: xr.Dataset) -> Iterable[dict[str, xr.DataArray]]:
    """Group the variables that become maps by their leading dims and dtype: each group is read once."""
    groups: dict[Any, dict[str, xr.DataArray]] = {}
    for name in _names(ds):
        array = _native(ds[name].transpose(..., "point"))
        groups.setdefault((array.dims, array.dtype), {})[name] = array
    return groups.values()


def _native(array: xr.DataArray) -> xr.DataArray:
    """Return ``array`` in a type that kernels know; half and long floats and other byte orders become one."""
    if array.dtype.isnative and array.dtype != "float16" and array.dtype.itemsize <= 8:
        return array
    dtype = np.result_type(array.dtype, np.float32)
    return array.astype(dtype if dtype.itemsize <= 8 else np.float64)


def _joined(group: dict[str, xr.DataArray]) -> xr.DataArray:
    """Return variables alike as one array with a first dim of them; a single one as it is."""
    arrays = list(group.values())
    if len(arrays) == 1:
        return arrays[0]
    together: xr.DataArray = xr.Dataset({n: a.variable for n, a in group.items()}).to_dataarray("variable")
    return together.drop_vars("variable").assign_coords(arrays[0].coords)


def _apart(kept: xr.DataArray, group: dict[str, xr.DataArray], statistic: str) -> dict[str, xr.DataArray]:
    """Return the maps of a group by name, with the attributes of their variables."""
    method = f"area: {_CELL_METHODS.get(statistic, statistic)}"
    maps = {}
    for i, (name, array) in enumerate(group.items()):
        one = kept.isel(variable=i) if "variable" in kept.dims else kept
        maps[name] = one.rename(name).assign_attrs({**array.attrs, "cell_methods": method})
    return maps


def _any_lazy(ds: xr.Dataset, x: xr.DataArray) -> xr.DataArray:
    """Return ``x``, in chunks if any variable of ``ds`` is: what is made of it then is lazy as well."""
    chunks = [ds[name].variable.chunksizes["point"] for name in _names(ds) if is_lazy(ds[name])]
    return x if is_lazy(x) or not chunks else x.chunk(point=chunks[0])


def _said(target: Any) -> Any:
    """Return what the history says of a target."""
    return None if isinstance(target, (xr.Dataset, xr.DataArray)) else np.asarray(target).tolist()


# ------------------------------------------------------------------------------------------------- the grid

_ULPS = 16
"""Steps between float64 numbers that the border of a grid may be off by rounding."""


def _grid(target: Any, ds: xr.Dataset) -> xr.DataArray:
    """Return the grid of ``target``; one made around points holds them all."""
    if not isinstance(target, Real) or isinstance(target, bool):
        return target_grid(target, ds, None)
    ends = _ends(ds)
    grid = target_grid(target, _corners(ds, ends, below=0), None)
    if _within(ends["x"], ends["y"], _lattice(grid)).all():
        return grid
    return target_grid(target, _corners(ds, ends, below=_ULPS), None)


def _ends(ds: xr.Dataset) -> xr.Dataset:
    """Return the least and the greatest coordinates of points with a finite place."""
    finite = np.isfinite(ds["x"]) & np.isfinite(ds["y"])
    both = {name: ds[name].where(finite).astype("float64") for name in ("x", "y")}
    lazy = {name: xr.concat([array.min(), array.max()], "end") for name, array in both.items()}
    return xr.Dataset(lazy).compute()


def _corners(ds: xr.Dataset, ends: xr.Dataset, *, below: int) -> xr.Dataset:
    """Return two points in the CRS of ``ds``, south-west and north-east of all others by a few steps of rounding."""
    away = np.array([-below, _ULPS])
    corners = {
        name: ("point", values.values + away * np.spacing(np.abs(values.values)), ds[name].attrs)
        for name, values in ends.data_vars.items()
    }
    placed, crs = xr.Dataset(coords=corners), crs_of(ds)
    if crs is None:
        return placed
    return placed.assign_coords(spatial_ref=((), 0, {"crs_wkt": crs.to_wkt()}))


def _lattice(grid: xr.DataArray) -> Any:
    """Return the cells of a grid; the size of an only pixel must be known."""
    from xinsar.kernels.rasterize import Lattice

    steps = step(grid, "x"), step(grid, "y")
    if not np.isfinite(steps).all():
        raise ValueError(
            "target: the size of its only pixel is not known; write the CRS and transform with rioxarray, or choose "
            "smaller pixels"
        )
    x, y = (axis(grid, name) for name in ("x", "y"))
    return Lattice(x.size, float(x[0]), steps[0], y.size, float(y[0]), steps[1])


def _where(grid: xr.DataArray) -> dict[str, Any]:
    """Return what :func:`onto_grid` needs to know of a grid, with a halo of one pixel."""
    return {
        "target": grid,
        "halo": float(np.max(pixel_spacing(grid)[0])),
        "north": metric_of(grid).north,
        "lattice": _lattice(grid),
    }


# ---------------------------------------------------------------------------------------- points that lie in it


def _place(ds: xr.Dataset, grid: xr.DataArray) -> tuple[tuple[xr.DataArray, xr.DataArray], xr.DataArray]:
    """Return x and y in the CRS of the grid, and whether any point lies in it; at least one must."""
    x, y = moved(ds["x"], ds["y"], ds, grid)
    some = pointwise(_within, x, y, dtype=bool, lattice=_lattice(grid)).any()
    if not is_lazy(some) and not some:
        raise ValueError(outside(grid, lie_in(x.values, y.values)))
    return (x, y), some


def _within(x: Any, y: Any, lattice: Any) -> Any:
    from xinsar.kernels.rasterize import within

    return within(x, y, lattice=lattice)


def _unless_empty(array: xr.DataArray, some: xr.DataArray, grid: xr.DataArray) -> xr.DataArray:
    """Return ``array``; where it is lazy, computing it raises ValueError unless ``some`` is true."""
    if not is_lazy(some):
        return array
    out = pointwise(_checked, array, some, dtype=array.dtype, said=outside(grid))
    return out.assign_attrs(array.attrs).rename(array.name)


def _checked(block: Any, some: Any, *, said: str) -> Any:
    if not np.asarray(some).all():
        raise ValueError(said)
    return block
