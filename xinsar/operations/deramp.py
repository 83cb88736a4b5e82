"""Ramps that orbits, wide atmosphere and the height of the ground leave in a field: fitted and taken out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.mapping import is_lazy, reduce_fields
from xinsar.operations import checks
from xinsar.operations.fields import floating, is_points, own_dims
from xinsar.operations.reference import fields_to_refer, labelled, mask_on, on_grid_of, together

RAMPED = ("unwrapped_phase", "displacement", "velocity")
"""Variables that ramps are taken out of."""
TERMS = ("plane", "quadratic", "elevation")
WEIGHTS = ("uniform", "coherence")
Terms = tuple[str, ...]
REFERENCE = "mean of the pixels that the ramp was fitted to"
"""What the attribute ``reference`` says."""


def deramp(
    data: xr.Dataset | xr.DataArray,
    *,
    terms: str | Iterable[str] = ("plane",),
    mask: xr.DataArray | None = None,
    points: Any = None,
    elevation: xr.DataArray | None = None,
    weights: str = "uniform",
) -> xr.Dataset:
    r"""Fit a ramp to every pair, date or map, and take it out.

    .. math:: v'(p) = v(p) - \hat c - \hat a\, x - \hat b\, y - \hat k\, h(p), \qquad
       \min_{c, a, b, k} \sum_q w_q \left(v(q) - c - a\, x_q - b\, y_q - k\, h_q\right)^2

    over the valid pixels q of the field that are used, x and y the column and the row, h the elevation.

    Parameters
    ----------
    data
        Dataset with ``unwrapped_phase`` (pair, y, x), rad, ``displacement`` (time, y, x), m, or ``velocity`` (y, x), m
        year-1, one or more of them; or points, (..., point) with coordinates x(point) and y(point). Or one DataArray
        (..., y, x) or (..., point) of any name and unit.
    terms
        ``"plane"``: x and y. ``"quadratic"``: x, y, their squares and their product. ``"elevation"``: proportional to
        the elevation, as stratified air is. One or several; a constant is always fitted and taken out as well.
    mask
        Boolean DataArray (y, x) or (point), True where the fit may look: ground that is known to stand still. The ramp
        is taken out everywhere.
    points
        Instead of a mask, control points: a GeoDataFrame of points, or an array (number, 2) of x and y in coordinates
        of the data. The fit looks only at the pixels that hold them; those outside are left out.
    elevation
        Elevation (y, x) or (point), m, on the grid of the data; default: the variable ``elevation``.
    weights
        ``"uniform"``, or ``"coherence"``: :math:`w = c^2 / (1 - c^2)`, c at most .98; pairs go by ``coherence``, other
        fields by ``temporal_coherence``, else ``mean_coherence``.

    Returns
    -------
    xarray.Dataset
        ``data`` with the ramp taken out of those variables, in their dtype (float64 for whole numbers), lazy where they
        are; other variables, wrapped phase among them, as they were. Each tells its ``ramp``; the attribute
        ``reference`` says what is 0 now: the (weighted) mean over the pixels of the fit.

    Raises
    ------
    TypeError
        If ``data`` is neither a Dataset nor a DataArray, or an option is of the wrong kind.
    xinsar.SchemaError
        If there is none of these variables, no elevation or coherence where it is needed, or one of the wrong form.
    ValueError
        If an option is not legal, mask or elevation lie on another grid, or the image is too small; when computed, if
        mask or control points, and the elevation, hold too few pixels for the terms or cannot tell them apart (control
        points on one line, flat ground), a single field cannot be fitted, or a value is infinite.

    Notes
    -----
    NaN: missing pixels stay missing and are not used. With ``"elevation"`` a pixel without elevation becomes NaN. A
    pair or date whose own valid pixels are too few, or cannot tell the terms apart, is NaN.

    Where motion is not masked out, the ramp takes part of it away: a bowl is made shallower, and a slope that moves as
    a whole may vanish into the elevation term.

    Sums run over whole fields and are exact, so results do not depend on chunks. Lazy data is read twice.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> coords = {"y": 10.0 * np.arange(20)[::-1], "x": 10.0 * np.arange(30)}
    >>> tilt = 0.2 * np.arange(30) - 0.1 * np.arange(20)[:, None] + 7
    >>> pair = xr.DataArray(tilt, coords, ("y", "x"), "unwrapped_phase", {"units": "rad"}).expand_dims("pair")
    >>> float(abs(deramp(pair).unwrapped_phase).max().round(12))
    0.0
    """
    chosen = _terms(terms)
    checks.one_of("weights", weights, WEIGHTS)
    fields = _fields(data)
    used = _used(fields[0], mask, points)
    ground = _elevation(data, fields[0], elevation) if "elevation" in chosen else None
    said = " ".join(chosen)
    found = [
        labelled(f, _without(f, _weight(data, f, weights, used), used, ground, chosen), ramp=said)
        for f in fields
    ]
    history = checks.said(
        "deramp",
        terms=chosen,
        mask="mask" if mask is not None else None,
        points=None if points is None else len(points),
        weights=weights,
    )
    return together(data, found, history=history, reference=REFERENCE)


def _fields(data: Any) -> list[xr.DataArray]:
    """Return what ramps are taken out of, checked, as floats."""
    remedy = "unwrap wrapped phase first, with xinsar.unwrap"
    fields = fields_to_refer(data, RAMPED, remedy)
    if fields[0].name == "phase":
        raise schema.SchemaError(
            f"data: expected a field without jumps, got wrapped phase; {remedy}, or rename what is no wrapped phase"
        )
    return fields


def _terms(terms: Any) -> Terms:
    """Return the names of the terms, each once, in their usual order."""
    names = (terms,) if isinstance(terms, str) else terms
    if not isinstance(names, Iterable):
        raise TypeError(f"terms: expected one or several of {', '.join(map(repr, TERMS))}, got {terms!r}")
    given = {checks.one_of("terms", name, TERMS) for name in names}
    if not given:
        raise ValueError(
            f"terms: expected one or several of {', '.join(map(repr, TERMS))}, got none; to take out a constant alone "
            "use reference_to"
        )
    return tuple(name for name in TERMS if name in given)


# ---- which pixels -----------------------------------------------------------------------------------------------


def _used(field: xr.DataArray, mask: Any, points: Any) -> xr.DataArray | None:
    """Return which pixels the fit may look at, None for all."""
    if mask is not None and points is not None:
        raise ValueError("points: expected either mask= or points=, got both; combine them to one mask")
    if points is not None:
        return _holding(field, points)
    return None if mask is None else mask_on(field, mask, "mask")


def _holding(field: xr.DataArray, points: Any) -> xr.DataArray:
    """Return which pixels hold a control point."""
    from xinsar.operations.alignment import Axis

    if is_points(field):
        raise ValueError("points: expected a grid (y, x) to look points up in, got points; use mask= instead")
    x, y = _places(field, points)
    (row, here), (column, there) = (Axis.of(field, d).places(v) for d, v in (("y", y), ("x", x)))
    inside = here & there
    if not inside.any():
        edges = ", ".join(
            f"{d} {grid.axis(field, d).min():g}..{grid.axis(field, d).max():g}" for d in ("x", "y")
        )
        raise ValueError(
            f"points: expected control points within the grid ({edges}), got none of {x.size}; give them in the "
            "coordinates of the data, x first"
        )
    held = np.zeros((field.sizes["y"], field.sizes["x"]), bool)
    held[row[inside], column[inside]] = True
    return xr.DataArray(held, dims=("y", "x"))


def _places(field: xr.DataArray, points: Any) -> tuple[Any, Any]:
    """Return x and y of control points in the CRS of ``field``."""
    if hasattr(points, "geometry"):
        return _of_table(field, points)
    try:
        places = np.asarray(points, float)
    except (TypeError, ValueError):
        places = np.zeros(0)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places) or not np.isfinite(places).all():
        raise ValueError(
            f"points: expected a GeoDataFrame of points or an array (number, 2) of x and y, got {points!r}"
        )
    return places[:, 0], places[:, 1]


def _of_table(field: xr.DataArray, table: Any) -> tuple[Any, Any]:
    """Return x and y of the points of a GeoDataFrame, brought to the CRS of ``field``."""
    kinds = sorted(set(table.geometry.geom_type.dropna()))
    if kinds != ["Point"]:
        raise ValueError(
            f"points: expected a GeoDataFrame of points, got {', '.join(kinds) or 'no geometry'}; take e.g. "
            ".representative_point()"
        )
    crs = grid.crs_of(field)
    if (crs is None) != (table.crs is None):
        bare = "data" if crs is None else "points"
        raise ValueError(f"points: the {bare} have no CRS but the other side has one; write it to them first")
    places = table.geometry if crs is None else table.geometry.to_crs(crs)
    return places.x.to_numpy(), places.y.to_numpy()


def _weight(data: Any, field: xr.DataArray, weights: str, used: xr.DataArray | None) -> xr.DataArray:
    """Return the weight of every pixel in the fit, 0 where it is not used."""
    if weights == "uniform":
        whole = xr.DataArray(np.float64(1))
        return whole if used is None else used.astype(np.float64)
    weight = _by_coherence(data, field)
    return weight if used is None else weight.where(_like(used, weight), 0)


def _like(mask: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    return mask.chunk({d: other.chunksizes[d] for d in mask.dims}) if is_lazy(other) else mask


def _by_coherence(data: Any, field: xr.DataArray) -> xr.DataArray:
    from xinsar.operations.tracks import as_weight

    names = ("coherence",) if "pair" in field.dims else ("temporal_coherence", "mean_coherence")
    held = data if isinstance(data, xr.Dataset) else {}
    for name in names:
        if name in held and set(held[name].dims) <= set(field.dims):
            coherence = floating(held[name])
            return as_weight(coherence.drop_vars(list(coherence.coords)), "coherence")
    raise schema.SchemaError(
        f"weights: expected {' or '.join(names)} in the dataset for weights='coherence' of {field.name}, got "
        f"{', '.join(sorted(map(str, held))) or 'no dataset'}; add it, or use weights='uniform'"
    )


# ---- the ground -------------------------------------------------------------------------------------------------


def _elevation(data: Any, field: xr.DataArray, elevation: Any) -> xr.DataArray:
    """Return the elevation of every pixel of ``field``, bare of coordinates."""
    if elevation is None:
        if not isinstance(data, xr.Dataset) or "elevation" not in data:
            raise schema.SchemaError(
                "elevation: the term 'elevation' needs the elevation of every pixel, which the data does not hold; "
                "give elevation=, or assign it to the dataset"
            )
        elevation = data["elevation"]
    if not isinstance(elevation, xr.DataArray):
        raise TypeError(f"elevation: expected an xarray.DataArray, got {type(elevation).__name__}")
    schema.check(elevation, replace(schema.ELEVATION, dims=own_dims(field)))
    return floating(on_grid_of(field, elevation, "elevation"))


# ---- fit and remove ---------------------------------------------------------------------------------------------


def _positions(field: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return y and x of the fit, within -1..1: of pixels their row and column, of points their coordinates."""
    if is_points(field):
        return _scaled(grid.axis(field, "y")), _scaled(grid.axis(field, "x"))
    rows, columns = (xr.DataArray(_steps(field.sizes[d]), dims=d) for d in ("y", "x"))
    return rows, columns


def _steps(number: int) -> Any:
    """Return -1..1 or less in even steps, a multiple of a power of two each: their products are exact."""
    return (2 * np.arange(number) - (number - 1)) / 2.0 ** int(number).bit_length()


def _scaled(values: Any) -> xr.DataArray:
    low, high = np.nanmin(values), np.nanmax(values)
    half = (high - low) / 2
    return xr.DataArray((values - (low + high) / 2) / (half if half > 0 else 1.0), dims="point")


def _without(
    field: xr.DataArray,
    weight: xr.DataArray,
    used: xr.DataArray | None,
    ground: xr.DataArray | None,
    terms: Terms,
) -> xr.DataArray:
    """Return ``field`` less the ramp fitted to it."""
    bare = field.drop_vars(list(field.coords))
    one = bare.isel(dict.fromkeys(bare.dims[: -len(own_dims(field))], 0))
    y, x = _positions(field)
    h = xr.DataArray(np.float64(0)) if ground is None else ground
    fit = _fitted(bare, weight, y, x, h, terms)
    if used is None and ground is None and not is_points(field):
        _check_size(one, terms)
        fit = _checked(fit, fit if one.dims == bare.dims else None)
    else:
        whole = xr.DataArray(np.float64(1)) if used is None else used.astype(np.float64)
        fit = _checked(fit, _fitted(xr.zeros_like(one), whole, y, x, h, terms))
        fit = _checked(fit, fit if one.dims == bare.dims else None)
    return _removed(bare, fit, y, x, h, terms).assign_coords(field.coords)


def _fitted(
    field: xr.DataArray, weight: xr.DataArray, y: xr.DataArray, x: xr.DataArray, h: xr.DataArray, terms: Terms
) -> xr.DataArray:
    """Return the coefficients of every field, the number of pixels used, and what became of the fit."""
    from xinsar.kernels.ramp import normals, number_of, solutions

    return reduce_fields(
        partial(normals, terms=terms),
        partial(solutions, terms=terms),
        field,
        weight,
        y,
        x,
        h,
        dims=own_dims(field),
        name="coefficient",
        size=number_of(terms) + 2,
    )


def _check_size(one: xr.DataArray, terms: Terms) -> None:
    """Raise ValueError where an image is too small for the terms, whatever it holds."""
    least = 3 if "quadratic" in terms else 2
    if min(one.shape) < least:
        raise ValueError(
            f"terms: expected {least} rows and columns or more for {' and '.join(map(repr, terms))}, got "
            f"{one.sizes['y']} x {one.sizes['x']}; leave terms out"
        )


def _checked(fit: xr.DataArray, judge: xr.DataArray | None) -> xr.DataArray:
    """Return the fits; when computed, raise ValueError where the one of ``judge`` could not be done."""
    if judge is None:
        return fit
    found: xr.DataArray = xr.apply_ufunc(
        _judged,
        fit,
        judge,
        input_core_dims=[["coefficient"], ["coefficient"]],
        output_core_dims=[["coefficient"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )
    return found


def _judged(fit: Any, judge: Any) -> Any:
    """Return the fits where the one fit of ``judge`` was done."""
    from xinsar.kernels.ramp import FITTED, TOO_FEW

    count, verdict = judge.reshape(-1)[-2:]
    number = fit.shape[-1] - 2
    if verdict == FITTED:
        return fit
    if verdict == TOO_FEW:
        raise ValueError(
            f"deramp: expected {number} pixels or more for as many coefficients, got {int(count)} that are valid and "
            "may be used; widen mask= or points=, or leave terms out"
        )
    raise ValueError(
        f"terms: the {int(count)} pixels that may be used cannot tell the terms apart: they lie on one line, or at one "
        "elevation; widen mask= or points=, or leave terms out"
    )


def _removed(
    field: xr.DataArray,
    fit: xr.DataArray,
    y: xr.DataArray,
    x: xr.DataArray,
    h: xr.DataArray,
    terms: Terms,
) -> xr.DataArray:
    own = own_dims(field)
    parts = [_like(a, field) for a in (y, x, h)]
    if not is_lazy(field) and is_lazy(fit):
        field = field.chunk()
    result: xr.DataArray = xr.apply_ufunc(
        _remove,
        field,
        fit,
        *parts,
        input_core_dims=[[], ["coefficient"], [], [], []],
        kwargs={"terms": terms, "dims": len(own)},
        dask="parallelized",
        output_dtypes=[field.dtype],
        keep_attrs=False,
    )
    return result


def _remove(values: Any, fit: Any, y: Any, x: Any, h: Any, *, terms: Terms, dims: int) -> Any:
    """Take the ramp out of a block (..., y, x) or (..., point); ``fit`` has length 1 along y, x or point."""
    from xinsar.kernels.ramp import without_ramp

    if fit.ndim > 1:
        fit = fit.reshape(*fit.shape[: fit.ndim - 1 - dims], fit.shape[-1])
    return without_ramp(values, fit, y, x, h, terms=terms, dims=dims)
