"""How sure a z score is: its p value, what is significant among many, and classes of confidence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.backend import array_namespace
from xinsar.mapping import pointwise, reduce_fields
from xinsar.operations import checks
from xinsar.operations.fields import floating

LEVELS = (0.10, 0.05, 0.01)
"""p values at or below which a z score is in class 1, 2 and 3: 90, 95 and 99 % confidence."""


def p_value_of(hot_spot: xr.DataArray) -> xr.DataArray:
    r"""Return the two-sided p value of z scores under the standard normal distribution.

    .. math:: p = \mathrm{erfc}(|z| / \sqrt 2)

    Parameters
    ----------
    hot_spot
        z scores of any dims.

    Returns
    -------
    xarray.DataArray
        ``p_value``, 0..1, in the dtype of ``hot_spot`` (float64 for whole numbers); lazy if it is. NaN stays NaN.

    Examples
    --------
    >>> import xarray as xr
    >>> p_value_of(xr.DataArray([0.0, -1.96])).values.round(3)
    array([1.  , 0.05])
    """
    from xinsar.kernels.normal import two_sided_p

    dtype = np.float32 if hot_spot.dtype.newbyteorder("=") == np.float32 else np.float64
    return schema.label(schema.P_VALUE, pointwise(two_sided_p, hot_spot, dtype=dtype))


def benjamini_hochberg(p: xr.DataArray, *, alpha: float, dims: Sequence[str]) -> xr.DataArray:
    r"""Tell which p values of a field are significant when there are many: the step-up rule of Benjamini and Hochberg.

    .. math:: p \le p_{(k)}, \qquad k = \max\{j : p_{(j)} \le \alpha \, j / n\}

    where :math:`p_{(1)} \le \dots \le p_{(n)}` are the valid values of the field in order. Of the places so marked a
    share ``alpha`` is expected to be marked by chance, if p values are independent or positively dependent.

    Parameters
    ----------
    p
        p values, 0..1.
    alpha
        False discovery rate, 0..1.
    dims
        Dims of one field: ("y", "x") or ("point",), with those that share a threshold. Others have their own.

    Returns
    -------
    xarray.DataArray
        bool, shaped as ``p``; lazy if ``p`` is. False where p is NaN; NaN does not count in n.

    Raises
    ------
    TypeError, ValueError
        If ``alpha`` is no number within 0..1.

    Notes
    -----
    Exact, in whatever chunks: ranks are counted, first by the leading bits of p, then value by value in the one bin (at
    times a few) in which the threshold lies. Building computes nothing. Lazy p is looked at three times, twice before
    the threshold is known and once after, and made anew each time: only counts are held in between, never the field.

    References
    ----------
    Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57:289-300; for maps: Caldas de Castro and Singer 2006, Geogr. Anal.
    38:180-208.

    Examples
    --------
    >>> import xarray as xr
    >>> p = xr.DataArray([0.01, 0.04, 0.03, 0.9], dims="point")
    >>> benjamini_hochberg(p, alpha=0.05, dims=("point",)).values
    array([ True, False, False, False])
    """
    from xinsar.kernels import discovery

    alpha, p = checks.share("alpha", alpha), floating(p)
    finish = partial(discovery.bounds, alpha=alpha, dtype=p.dtype)
    bounds = reduce_fields(discovery.count_bins, finish, p, dims=dims, name="bound", size=2)
    low, high = bounds.isel(bound=0), bounds.isel(bound=1)
    rest = pointwise(discovery.between, p, low, high, dtype=p.dtype)
    finish = partial(discovery.threshold, alpha=alpha)
    limit = reduce_fields(discovery.count_values, finish, rest, dims=dims, name="bound", size=1)
    return pointwise(discovery.not_above, p, low, limit.isel(bound=0), dtype=bool)


def confidence_classes(z: xr.DataArray) -> xr.DataArray:
    """Sort z scores into seven classes of confidence, each by its own p value.

    Parameters
    ----------
    z
        z scores of any dims.

    Returns
    -------
    xarray.DataArray
        float32, shaped as ``z``, lazy if it is: 3, 2, 1 where high values cluster with p at most 0.01, 0.05, 0.10; -3,
        -2, -1 the same for low ones; 0 where neither; NaN where z is.

    Examples
    --------
    >>> import xarray as xr
    >>> confidence_classes(xr.DataArray([-2.6, -1.7, 0.0, 2.0])).values
    array([-3., -1.,  0.,  2.], dtype=float32)
    """
    return pointwise(_classes, z, dtype=np.float32)


def _classes(z: Any) -> Any:
    from xinsar.kernels.normal import two_sided_p

    xp = array_namespace(z)
    p = two_sided_p(z)
    level = sum((p <= limit).astype(np.int8) for limit in LEVELS)
    signed = xp.where(z < 0, -level, level).astype(np.float32)
    signed[xp.isnan(z)] = np.nan
    return signed
