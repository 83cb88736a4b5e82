"""The velocity above which ground counts as moving, from the spread of all velocities."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xinsar import schema
from xinsar.mapping import reduce_fields
from xinsar.operations import checks
from xinsar.operations.fields import dims_over, field_of, floating

STD = 2
"""Place of the standard deviation among the moments of a field."""


def stability_threshold(data: xr.DataArray | xr.Dataset, *, k: float = 2.0, over: Any = None) -> xr.Dataset:
    r"""Tell moving ground from stable: velocities beyond k standard deviations of all velocities.

    .. math:: T = k \sqrt{\frac{1}{n} \sum_i (v_i - \bar v)^2}, \qquad \text{moving:} \quad |v| > T

    over all n valid velocities of the whole region, never of a chunk.

    Parameters
    ----------
    data
        Map (..., y, x) or points (..., point) with coordinates x(point) and y(point), of any name and unit; or a
        Dataset with ``velocity``. Leading dims (track, component, ...) are regions of their own.
    k
        Standard deviations of the threshold.
    over
        Leading dim, or several, that share a threshold; default none: each field has its own.

    Returns
    -------
    xarray.Dataset
        ``stability_threshold`` (one number for each field), m year-1 or the unit of the DataArray, float64; ``moving``
        (..., y, x) or (..., point), bool. Lazy if ``data`` is.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset, or ``k`` no number.
    xinsar.SchemaError
        If there is no velocity, or the field does not end in y, x or point, or holds no real numbers.
    ValueError
        If ``k`` is not above 0 and finite; when computed, if a value is infinite.

    Notes
    -----
    NaN: a missing velocity does not count and is not moving. Without any valid velocity the threshold is NaN and
    nothing moves. A velocity is compared with 0, as it is: refer velocities to stable ground first. Moving ground
    widens the spread, so the threshold of a region that moves in large parts is too high. Sums are exact: no chunking
    changes a bit. Lazy data is read twice.

    References
    ----------
    Liang et al. 2023, Remote Sens. 15:5262, section 4.1.1: from the spread of all velocities of the region they arrive
    at 10 mm/year either way and print no k. The 2 is ours: of a normal distribution 4.6 % lie beyond.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> values = np.zeros((10, 10))
    >>> values[4, 5] = -0.05
    >>> found = stability_threshold(xr.DataArray(values, dims=("y", "x")))
    >>> round(float(found.stability_threshold), 6), int(found.moving.sum())
    (0.00995, 1)
    """
    from xinsar.kernels import exact

    k = checks.finite("k", k)
    field = floating(field_of(_velocity(data)))
    moments = reduce_fields(
        exact.partial_sums,
        exact.moments,
        field,
        dims=dims_over(field, over),
        name="moment",
        size=len(exact.MOMENTS),
    )
    threshold = k * moments.isel(moment=STD)
    kept = [dim for dim in field.dims if dim in threshold.dims]
    threshold = threshold.assign_coords({n: c for n, c in field.coords.items() if set(c.dims) <= set(kept)})
    unit = str(field.attrs.get("units", schema.VELOCITY.units))
    return schema.assemble(
        [
            schema.label(schema.STABILITY_THRESHOLD, threshold, units=unit, k=k),
            schema.label(schema.MOVING, abs(field) > threshold),
        ],
        data,
        history=checks.said("stability_threshold", k=k, over=over),
    )


def _velocity(data: Any) -> Any:
    """Return the velocity of a Dataset; anything else as it came."""
    if not isinstance(data, xr.Dataset):
        return data
    if "velocity" not in data:
        held = ", ".join(sorted(map(str, data.data_vars))) or "no variable"
        remedy = "make it with velocity() first" if "displacement" in data else "hand over ds['name'] itself"
        raise schema.SchemaError(
            f"velocity: the dataset has no variable of this name (it holds: {held}); {remedy}"
        )
    return data["velocity"]
