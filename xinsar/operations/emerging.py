"""Where hot spots emerge: the trend of Gi* in time and the space-time category of every place."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.mapping import along
from xinsar.operations import checks
from xinsar.operations.fields import field_of
from xinsar.operations.significance import p_value_of


def emerging_hot_spots(
    data: xr.DataArray | xr.Dataset, distance: float, *, alpha: float = 0.05, over: Any = None
) -> xr.Dataset:
    r"""Tell where hot and cold spots are new, growing, lasting or gone: the emerging hot spots of a series in time.

    Gi* (:func:`xinsar.getis_ord`) is computed for every date. A place is hot at a date where z > 0 and its two-sided p
    is at most ``alpha``, cold where z < 0 and so. The trend of its z in time is that of Mann and Kendall,

    .. math:: Z = \frac{S - \mathrm{sign} S}{\sqrt{\mathrm{var}\,S}}, \qquad S = \sum_{i<j} \mathrm{sign}(z_j - z_i),
       \qquad \mathrm{var}\,S = \frac{n (n-1) (2n+5) - \sum_t t (t-1) (2t+5)}{18}

    with the n dates at which z is valid and the sizes t of groups of equal z. Together they give one of 17 categories.

    Parameters
    ----------
    data
        Series (..., time, y, x) or (..., time, point) with coordinates x(point) and y(point), of any name and unit; or
        a Dataset, of which ``velocity``, else ``displacement``, else the only map of numbers that has the dim ``time``
        is taken. Dates are put in order.
    distance
        Radius of the neighbourhood, metres.
    alpha
        p value up to which a date is hot or cold, and the trend significant.
    over
        Leading dim, or several, that share n, mean and S of Gi*; ``"time"`` compares every date with the whole series.
        Default none: each date is compared with its own field.

    Returns
    -------
    xarray.Dataset
        On (..., y, x) or (..., point), lazy if ``data`` is:

        ``category``
            int8, 1 to 8 for hot spots, -1 to -8 for cold ones likewise, 0 no pattern, -128 missing. Hot at the last
            date and at 90 % of the dates: 3 intensifying (z rises significantly), 5 diminishing (it falls) or 4
            persistent. Hot at the last date and at fewer: 1 new (for the first time), 2 consecutive (for two dates or
            more, never before), 7 oscillating (also before, and cold at times), 6 sporadic (also before, never cold).
            Not hot at the last date, but at 90 % of the dates: 8 historical.
        ``trend_z``
            Z, positive where Gi* grows, in the dtype of Gi*.
        ``p_value``
            Two-sided p of ``trend_z``.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset, or ``distance`` or ``alpha`` no number.
    xinsar.SchemaError
        If there is no dim ``time``, or its coordinate holds neither dates nor numbers, or one twice.
    ValueError
        If there are fewer than 4 dates, ``alpha`` is not within 0..1, or as :func:`xinsar.getis_ord`.

    Notes
    -----
    A date at which z is NaN is left out at that pixel (the whole first date of a displacement series, which is 0
    everywhere). With fewer than 4 valid dates trend and p are NaN and the category is missing: tables of S begin at 4.
    The normal approximation of Z is good from about 10 dates on; with 4 no trend reaches p = 0.05. z that never changes
    has the trend 0.

    Lazy data is read twice. While a row of spatial chunks is worked on, about three times its size is held, all dates
    together: choose low chunks for long series. Results are the same to the last bit for any chunks.

    References
    ----------
    Mann 1945, Econometrica 13:245-259; Kendall 1975, Rank Correlation Methods. Categories: Esri, How Emerging Hot Spot
    Analysis works (documentation of ArcGIS Pro); Harris et al. 2017, Environ. Res. Lett. 12:024012.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> values = np.random.default_rng(0).normal(size=(12, 20, 20))
    >>> values[:, 8:12, 8:12] += np.arange(3, 15)[:, None, None]
    >>> coords = {"y": -10.0 * np.arange(20), "x": 10.0 * np.arange(20)}
    >>> series = xr.DataArray(values, dims=("time", "y", "x"), coords=coords)
    >>> series.x.attrs["units"] = "m"
    >>> int(emerging_hot_spots(series, 20).category[10, 10])  # intensifying
    3
    """
    from xinsar.kernels.trend import emerging_hot_spots as kernel
    from xinsar.operations.hotspot import getis_ord

    alpha = checks.share("alpha", alpha)
    z = getis_ord(_series_of(data), distance, over=over).hot_spot
    trend, category = along(kernel, z, dim="time", dtypes=(z.dtype, np.int8), alpha=alpha)
    trend = schema.label(schema.TREND_Z, trend)
    own = {"distance": float(distance), "alpha": alpha}
    variables = [
        schema.label(schema.CATEGORY, category, **own),
        trend,
        schema.label(
            schema.P_VALUE, p_value_of(trend), long_name="two-sided probability of trend_z by chance"
        ),
    ]
    history = checks.said("emerging_hot_spots", distance=distance, alpha=alpha, over=over)
    return schema.assemble(variables, data, history=history)


def _series_of(data: Any) -> xr.DataArray:
    """Return the series of ``data`` with its dates in order."""
    from xinsar.kernels.trend import MIN_DATES

    field = field_of(_with_time(data) if isinstance(data, xr.Dataset) else data)
    if "time" not in field.dims:
        raise schema.SchemaError(
            f"{field.name or 'data'}: expected a dim 'time', got {tuple(map(str, field.dims))}; rename the dim of your "
            "dates, or compute a series first"
        )
    if field.sizes["time"] < MIN_DATES:
        raise ValueError(
            f"time: expected at least {MIN_DATES} dates, which a trend needs, got {field.sizes['time']}; for a single "
            "map use getis_ord"
        )
    return _in_order(field)


def _with_time(ds: xr.Dataset) -> xr.Dataset:
    """Return the variables of ``ds`` that are series."""
    names = [name for name, variable in ds.data_vars.items() if "time" in variable.dims]
    if names:
        return ds[names]
    held = ", ".join(f"{name}{tuple(map(str, v.dims))}" for name, v in sorted(ds.data_vars.items(), key=str))
    raise schema.SchemaError(
        f"data: expected a variable with a dim 'time', got: {held or 'no variable'}; rename the dim of your dates, or "
        "compute a series first"
    )


def _in_order(field: xr.DataArray) -> xr.DataArray:
    """Return ``field`` with ascending dates; without a coordinate their order is taken as it is."""
    if "time" not in field.coords:
        return field
    dates = field["time"].values
    if dates.dtype.kind not in "Mmiuf":
        raise schema.SchemaError(
            f"time: expected dates (datetime64) or numbers, got dtype {dates.dtype}; convert them, e.g. with "
            "pandas.to_datetime"
        )
    steps = np.diff(np.sort(dates)).astype(float)
    if dates.dtype.kind in "Mm" and np.isnat(dates).any():
        raise schema.SchemaError("time: expected a date for every map, got NaT; drop it or assign its date")
    if not (steps > 0).all():
        twice = np.sort(dates)[:-1][~(steps > 0)][0]
        raise schema.SchemaError(f"time: expected every date once, got {twice} twice; keep one of them")
    return field if (np.diff(dates).astype(float) > 0).all() else field.sortby("time")
