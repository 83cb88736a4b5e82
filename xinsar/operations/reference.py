"""The place that everything refers to: where it lies, what a field has there, and fields less that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.mapping import is_lazy, pointwise, reduce_fields
from xinsar.operations import checks
from xinsar.operations.fields import field_of, floating, own_dims

REFERRED = ("phase", "unwrapped_phase", "displacement", "velocity")
"""Variables with a constant of their own in every pair, date or map."""
STATISTICS = ("mean", "median")
_PLACES = "a point (x, y), an area ((x0, y0), (x1, y1))"


class Place(NamedTuple):
    """Pixels or points that others refer to: a window of the dims of one field, a mask over it, and how to say it."""

    window: Mapping[str, slice] = {}
    mask: xr.DataArray | None = None
    said: Any = None


def reference_to(data: xr.Dataset | xr.DataArray, place: Any, *, statistic: str = "mean") -> xr.Dataset:
    r"""Refer phase, displacement and velocity to a place that is taken to stand still.

    .. math:: v'(p) = v(p) - \frac{1}{n} \sum_{q \in \mathrm{place}} v(q), \qquad
       \varphi'(p) = W\left(\varphi(p) - \arg \sum_{q \in \mathrm{place}} e^{i \varphi(q)}\right)

    for every pair, date and map by itself; the second form for wrapped phase.

    Parameters
    ----------
    data
        Dataset with ``phase``, ``unwrapped_phase`` (pair, y, x), rad, ``displacement`` (time, y, x), m, or ``velocity``
        (y, x), m year-1, one or more of them; or points, (..., point) with coordinates x(point) and y(point). Or one
        DataArray (..., y, x) or (..., point) of any name and unit; the name ``phase`` tells wrapped phase.
    place
        A point (x, y): the pixel that holds it, or the nearest of points. An area ((x0, y0), (x1, y1)): the pixels
        whose centres, or the points which, lie within, its border included. Both in coordinates of ``data``, x first.
        Or a boolean DataArray (y, x) or (point) on the grid of ``data``, True where the ground stands still.
    statistic
        ``"mean"`` or ``"median"`` of the valid values there. The median of wrapped phase is that of its differences
        from the mean direction, added to it.

    Returns
    -------
    xarray.Dataset
        ``data`` with those variables referred, in their dtype (float64 for whole numbers), lazy where they are; other
        variables as they were. The attribute ``reference`` tells the place.

    Raises
    ------
    TypeError
        If ``data`` is neither a Dataset nor a DataArray, or a mask is not boolean.
    xinsar.SchemaError
        If the dataset has none of these variables, or one of the wrong form.
    ValueError
        If the place lies outside, holds no pixel, or is a mask on another grid; when computed, if no pair or date has a
        value at the point or in the area, the only field none under the mask, or a value is infinite.

    Notes
    -----
    NaN: missing pixels stay missing and add nothing. A pair or date without a valid value at the place is NaN
    everywhere. Standard errors and all else that has no constant of its own pass through.

    The mean is summed exactly, so it does not depend on chunks. The place is read once more: a point or an area from
    all pairs and dates before the first result, a mask from each when it is its turn. The median holds the place of a
    pair in memory.

    Examples
    --------
    >>> import xarray as xr
    >>> coords = {"y": [30.0, 20.0, 10.0], "x": [0.0, 10.0]}
    >>> rates = xr.DataArray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], coords, ("y", "x"), "velocity")
    >>> found = reference_to(rates, ((0, 15), (10, 35)))
    >>> found.velocity.values.tolist(), found.attrs["reference"]
    ([[-1.5, -0.5], [0.5, 1.5], [2.5, 3.5]], [0.0, 15.0, 10.0, 35.0])
    """
    checks.one_of("statistic", statistic, STATISTICS)
    fields = fields_to_refer(data, REFERRED)
    where = place_in(fields[0], place)
    referred = [labelled(f, _less(f, _level(f, where, statistic))) for f in fields]
    history = checks.said("reference_to", place=where.said, statistic=statistic)
    return together(data, referred, history=history, reference=where.said)


# ---- what is referred -------------------------------------------------------------------------------------------


def fields_to_refer(data: Any, names: tuple[str, ...], remedy: str = "") -> list[xr.DataArray]:
    """Return the fields of ``data`` among ``names``, or the one DataArray, as floats after checking them."""
    if not isinstance(data, xr.Dataset):
        field = floating(field_of(data))
        _check_unit(field)
        return [field if field.name else field.rename("value")]
    held = [name for name in names if name in data]
    if not held:
        raise schema.SchemaError(
            f"data: expected a Dataset with {', '.join(names[:-1])} or {names[-1]}, got: "
            f"{', '.join(sorted(map(str, data.data_vars))) or 'no variable'}; {remedy or 'rename yours'}, or hand over "
            "the variable itself, e.g. ds['name']"
        )
    fields = [floating(field_of(data[name])) for name in held]
    for field in fields:
        _check_unit(field)
    return fields


def _check_unit(field: xr.DataArray) -> None:
    """Check a variable of the schema; on points it has their dim instead of y and x, and one field is enough."""
    known = schema.VARIABLES.get(str(field.name))
    if known is not None:
        leading = tuple(d for d in known.dims if d not in ("y", "x"))
        schema.check(field, replace(known, dims=(*leading, *own_dims(field)), optional=leading))


def labelled(field: xr.DataArray, values: xr.DataArray, **attrs: Any) -> xr.DataArray:
    """Return new ``values`` of a field with its name, coordinates and attributes, and ``attrs``."""
    known = schema.VARIABLES.get(str(field.name))
    own = {**field.attrs, **attrs}
    if known is not None:
        return schema.label(known, values, **own)
    out = values.rename(field.name)
    out.attrs = own
    return out


def together(
    data: xr.Dataset | xr.DataArray, fields: list[xr.DataArray], *, history: str, **attrs: Any
) -> xr.Dataset:
    """Return the dataset with changed fields, or one made of the field of a DataArray."""
    if isinstance(data, xr.Dataset):
        return schema.amend(data, fields, history=history, **attrs)
    return schema.assemble(fields, data, history=history).assign_attrs(**attrs)


def _less(field: xr.DataArray, level: xr.DataArray) -> xr.DataArray:
    """Return ``field`` less its level."""
    return pointwise(_subtract, field, level, dtype=field.dtype, wrapped=is_wrapped(field))


def is_wrapped(field: xr.DataArray) -> bool:
    """Tell whether ``field`` is wrapped phase."""
    return bool(field.name == "phase")


def _subtract(values: Any, level: Any, *, wrapped: bool) -> Any:
    """Return ``values - level`` in the dtype of ``values``, rounded once."""
    from xinsar.kernels.circular import wrap

    rest = np.subtract(values, level, dtype=np.float64)
    return wrap(rest, values.dtype) if wrapped else rest.astype(values.dtype)


# ---- where it lies ----------------------------------------------------------------------------------------------


def place_in(field: xr.DataArray | xr.Dataset, place: Any, *, name: str = "place", legal: str = "") -> Place:
    """Return where ``place`` lies on the grid or among the points of ``field``.

    ``name`` is the argument's in messages, ``legal`` what it may be besides.
    """
    if isinstance(place, xr.DataArray):
        return _masked(field, place, name)
    corners = _corners(place, name, legal)
    said = corners[0].tolist() if len(corners) == 1 else corners.ravel().tolist()
    if "point" in field.dims:
        return Place(mask=_points_within(field, corners, name), said=said)
    rows, columns = (_within(field, dim, corners[:, i], name) for i, dim in ((1, "y"), (0, "x")))
    return Place({"y": rows, "x": columns}, None, said)


def _corners(place: Any, name: str, legal: str) -> Any:
    """Return a point as [[x, y]], an area as [[x0, y0], [x1, y1]]."""
    try:
        corners = np.asarray(place, float)
    except (TypeError, ValueError):
        corners = np.zeros(0)
    if corners.shape not in ((2,), (2, 2)) or not np.isfinite(corners).all():
        raise ValueError(f"{name}: expected {legal}{_PLACES} or a boolean DataArray, got {place!r}")
    return corners.reshape(-1, 2)


def _within(field: xr.DataArray | xr.Dataset, dim: str, ends: Any, name: str) -> slice:
    """Return the pixels whose centres lie within ``ends``; of one end the pixel that holds it."""
    values, low, high = grid.axis(field, dim), ends.min(), ends.max()
    if len(ends) == 1:
        half = abs(grid.step(field, dim)) / 2
        half = half if half > 0 else np.inf
        nearest = int(np.abs(values - low).argmin())
        index = np.array([nearest])[np.abs(values[[nearest]] - low) <= half * (1 + 1e-6)]
    else:
        index = np.flatnonzero((values >= low) & (values <= high))
    if not index.size:
        raise ValueError(
            f"{name}: expected {dim} within {values.min():g}..{values.max():g}, where the cube lies, got "
            f"{' to '.join(f'{end:g}' for end in ends)}; give it in the coordinates of the cube, x first"
        )
    return slice(int(index.min()), int(index.max()) + 1)


def _points_within(field: xr.DataArray | xr.Dataset, corners: Any, name: str) -> xr.DataArray:
    """Return which points lie in an area, or the one nearest to a place among them."""
    x, y = (grid.axis(field, axis) for axis in ("x", "y"))
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    if len(corners) == 1:
        within = np.nanmin(x) <= left <= np.nanmax(x) and np.nanmin(y) <= top <= np.nanmax(y)
        inside = np.arange(x.size) == (_nearest(field, x - left, y - top) if within else -1)
    if not inside.any():
        raise ValueError(
            f"{name}: expected a place where points lie (x {np.nanmin(x):g}..{np.nanmax(x):g}, y "
            f"{np.nanmin(y):g}..{np.nanmax(y):g}), got {corners.ravel().tolist()}, which holds none; give it in their "
            "coordinates, x first"
        )
    return xr.DataArray(inside, dims="point")


def _nearest(field: xr.DataArray | xr.Dataset, east: Any, north: Any) -> int:
    """Return the index of the point nearest to a place; a degree of longitude counts as short as it is."""
    crs = grid.crs_of(field)
    degrees = crs is not None and crs.is_geographic
    shorter = np.cos(np.radians(np.nanmean(grid.axis(field, "y")))) if degrees else 1.0
    return int(np.nanargmin(np.hypot(east * shorter, north)))


def _masked(field: xr.DataArray | xr.Dataset, mask: xr.DataArray, name: str) -> Place:
    """Return the place of a mask, with the window that holds all of it where it is in memory."""
    mask = mask_on(field, mask, name)
    if is_lazy(mask):
        return Place(mask=mask, said="mask")
    index = [np.flatnonzero(mask.any([d for d in mask.dims if d != dim]).values) for dim in mask.dims]
    if not index[0].size:
        raise ValueError(
            f"{name}: expected a mask that is True somewhere among {_extent(field)}, got none; True marks what stands "
            "still"
        )
    window = {str(dim): slice(int(i[0]), int(i[-1]) + 1) for dim, i in zip(mask.dims, index, strict=True)}
    return Place(window, mask, f"mask of {int(mask.sum())} {'points' if 'point' in mask.dims else 'pixels'}")


def mask_on(field: xr.DataArray | xr.Dataset, mask: Any, name: str) -> xr.DataArray:
    """Return a boolean mask over the pixels or points of ``field`` after checking it, bare of coordinates."""
    own = ("point",) if "point" in field.dims else ("y", "x")
    if not isinstance(mask, xr.DataArray) or mask.dtype != bool:
        came = f"dtype {mask.dtype}" if isinstance(mask, xr.DataArray) else type(mask).__name__
        raise TypeError(
            f"{name}: expected a boolean DataArray {own}, got {came}; make one by a comparison, e.g. "
            "ds.temporal_coherence > 0.8"
        )
    return on_grid_of(field, mask, name)


def on_grid_of(field: xr.DataArray | xr.Dataset, other: xr.DataArray, name: str) -> xr.DataArray:
    """Return ``other``, bare of coordinates, after checking that it has the pixels or points of ``field``."""
    own = ("point",) if "point" in field.dims else ("y", "x")
    if set(other.dims) != set(own):
        raise ValueError(
            f"{name}: expected dims {own}, got {tuple(map(str, other.dims))}; pick one with isel, or rename them"
        )
    for dim in own:
        _same_axis(field, other, dim, name)
    crs = grid.crs_of(field), grid.crs_of(other)
    if None not in crs and crs[0] != crs[1]:
        raise ValueError(
            f"{name}: expected the CRS of the data, {crs[0].name}, got {crs[1].name}; bring it to the grid of the data "
            "first, e.g. with .rio.reproject_match()"
        )
    return other.drop_vars(list(other.coords)).transpose(*own).rename(None)


def _same_axis(field: xr.DataArray | xr.Dataset, other: xr.DataArray, dim: str, name: str) -> None:
    """Raise ValueError unless ``other`` has the pixels or points of ``field`` along ``dim``."""
    came = f"{other.sizes[dim]} along {dim}"
    same = field.sizes[dim] == other.sizes[dim]
    if same and dim in field.coords and dim in other.coords:
        own, its = field[dim].values, other[dim].values
        close = 1e-3 * abs(own[1] - own[0]) if own.dtype.kind == "f" and own.size > 1 else 0
        same = bool(np.array_equal(own, its)) or (close > 0 and bool(np.abs(own - its).max() <= close))
        came = f"other coordinates along {dim} (first {its[0]:g}, not {own[0]:g})"
    if not same:
        raise ValueError(
            f"{name}: expected the grid of the data, {field.sizes[dim]} along {dim}, got {came}; bring it to that grid "
            "first, e.g. with .reindex_like() or .rio.reproject_match()"
        )


def _extent(field: xr.DataArray | xr.Dataset) -> str:
    if "point" in field.dims:
        return f"{field.sizes['point']} points"
    return f"{field.sizes['y']} x {field.sizes['x']} pixels"


# ---- what is there ----------------------------------------------------------------------------------------------


def _level(field: xr.DataArray, place: Place, statistic: str) -> xr.DataArray:
    """Return the level of every pair, date or map; a mask may be as large as the image, so each is looked at alone."""
    several = len(field.dims) > len(own_dims(field))
    alone = several and place.mask is not None and "point" not in field.dims
    return level_of(field, place, statistic=statistic, name="place", alone=alone)


def level_of(
    field: xr.DataArray,
    place: Place,
    *,
    statistic: str = "mean",
    name: str = "reference",
    alone: bool = False,
) -> xr.DataArray:
    """Return the level of every pair, date or map at a place, float64, NaN where it has no value there.

    When computed, ValueError where none of them has one; ``alone``: none is asked for the others.
    """
    there = field.isel(place.window)
    if place.mask is not None:
        mask = place.mask.isel(place.window)
        there = there.where(_as_chunked(mask, there))
    there = there.drop_vars(list(there.coords))
    level = _mean(there) if statistic == "mean" else _median(there)
    return level if alone else _known(level, _of_what(field), name)


def _as_chunked(mask: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    return mask.chunk({d: like.chunksizes[d] for d in mask.dims}) if is_lazy(like) else mask


def _mean(there: xr.DataArray) -> xr.DataArray:
    from xinsar.kernels import circular, exact

    dims = own_dims(there)
    if is_wrapped(there):
        ways: tuple[Any, Any] = circular.partial_resultants, circular.directions
    else:
        ways = exact.partial_sums, _means
    return reduce_fields(*ways, there, dims=dims, name="level", size=1).isel(level=0)


def _means(sums: Any) -> Any:
    from xinsar.kernels.exact import MOMENTS, moments

    return moments(sums)[..., [MOMENTS.index("mean")]]


def _median(there: xr.DataArray) -> xr.DataArray:
    dims = own_dims(there)
    if is_wrapped(there):
        mean = _mean(there)
        return mean + _median(_less(there, mean).rename("difference"))
    found: xr.DataArray = xr.apply_ufunc(
        _middle,
        there.chunk(dict.fromkeys(dims, -1)) if is_lazy(there) else there,
        input_core_dims=[list(dims)],
        dask="parallelized",
        output_dtypes=[np.float64],
        kwargs={"axes": len(dims)},
        keep_attrs=False,
    )
    return found


def _middle(values: Any, *, axes: int) -> Any:
    """Return the median of the valid values over the last ``axes`` axes."""
    from xinsar.kernels.exact import INFINITE

    flat = np.sort(values.reshape(*values.shape[:-axes], -1).astype(np.float64), axis=-1)
    if np.isinf(flat).any():
        raise ValueError(INFINITE)
    count = np.sum(~np.isnan(flat), axis=-1, keepdims=True)
    ends = [np.take_along_axis(flat, np.maximum(i, 0), axis=-1) for i in ((count - 1) // 2, count // 2)]
    return np.where(count > 0, (ends[0] + ends[1]) / 2, np.nan)[..., 0]


def _of_what(field: xr.DataArray) -> str:
    return "pair" if "pair" in field.dims else "date" if "time" in field.dims else "field"


def _known(level: xr.DataArray, what: str, name: str) -> xr.DataArray:
    """Return the levels; when computed, raise ValueError where none of them is known."""
    whole = level.chunk(dict.fromkeys(level.dims, -1)) if is_lazy(level) else level
    checked: xr.DataArray = xr.apply_ufunc(
        _one_at_least,
        whole,
        kwargs={"what": what, "name": name},
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )
    return checked


def _one_at_least(levels: Any, *, what: str, name: str) -> Any:
    if levels.size and np.isnan(levels).all():
        raise ValueError(f"{name}: no {what} has a value there; choose a place with data")
    return levels
