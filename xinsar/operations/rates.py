"""Rates of series: velocity with its standard error, and the velocity of every month."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.mapping import along, is_lazy
from xinsar.operations import checks
from xinsar.operations.fields import field_of, floating

SEASONS = {"annual": 1, "semiannual": 2}
"""Cycles per year of the terms of ``seasonal``."""
MAX_GAP = 45.0
"""Longest gap, days, that a monthly velocity may bridge."""
_DAY = np.timedelta64(1, "D")
_METRES = ("m", "metre", "metres", "meter", "meters")


def velocity(
    data: xr.DataArray | xr.Dataset, *, seasonal: str | Iterable[str] = (), steps: Any = ()
) -> xr.Dataset:
    r"""Fit a velocity to every displacement series, with seasons and steps where asked for, and its standard error.

    .. math:: d(t) = c + v t + \sum_f (a_f \sin 2 \pi f t + b_f \cos 2 \pi f t) + \sum_s h_s [t \ge t_s] + \epsilon

    by least squares over the valid dates of each pixel, t in years of 365.25 days, f = 1 (annual) and 2 (semiannual).

    .. math:: \sigma_v = \sqrt{\frac{\sum \epsilon^2}{n - u} \left[(A^\top A)^{-1}\right]_{vv}}

    with n valid dates, u unknowns and the design matrix A of those dates.

    Parameters
    ----------
    data
        Series (..., time, y, x) or (..., time, point) with dates (datetime64) on ``time``, in any order; or a Dataset
        with ``displacement``, m.
    seasonal
        ``"annual"``, ``"semiannual"``, or both.
    steps
        Date or dates at which the series may jump (an earthquake): each step begins with its date.

    Returns
    -------
    xarray.Dataset
        ``velocity`` and ``velocity_sigma`` (..., y, x) or (..., point), m year-1 (the unit of a DataArray of another
        unit, per year), positive toward the satellite as the displacement is; in its dtype (float64 for whole numbers),
        lazy if ``data`` is.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset, or an option is of the wrong kind.
    xinsar.SchemaError
        If there is no displacement, no dim ``time`` or no date on it.
    ValueError
        If there are fewer dates than unknowns, a season is unknown, or the dates cannot tell the terms apart (a step
        without dates on both sides, seasons seen once).

    Notes
    -----
    NaN: a missing date is left out at its pixel. Where fewer dates are valid than there are unknowns, or they cannot
    tell the terms apart, both results are NaN; where they are just as many, the standard error is. It takes the
    residuals of dates as independent: atmosphere that is correlated in time, and the first date that all others refer
    to, make the true error larger. Results do not depend on chunks.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> time = np.datetime64("2020-01-01", "ns") + 12 * np.arange(40) * np.timedelta64(1, "D")
    >>> values = 0.02 * 12 / 365.25 * np.arange(40.0)[:, None, None] * np.ones((40, 2, 3))
    >>> series = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": time}, attrs={"units": "m"})
    >>> round(float(velocity(series, seasonal="annual").velocity[0, 0]), 6)
    0.02
    """
    from xinsar.kernels.regression import regression

    seasonal, steps = _seasons(seasonal), _steps(steps)
    field = floating(_series(data))
    basis, row = _design(field["time"].values, seasonal, steps)
    value, sigma = along(regression, field, dim="time", dtypes=(field.dtype,) * 2, basis=basis, row=row)
    jumps = [str(np.datetime_as_string(s, unit="D")) for s in steps]
    own = {"units": _per_year(field), "seasonal": " ".join(seasonal), "steps": " ".join(jumps)}
    own = {name: text for name, text in own.items() if text}
    history = checks.said("velocity", seasonal=seasonal or None, steps=jumps or None)
    return schema.assemble(
        [
            schema.label(schema.VELOCITY, value, **own),
            schema.label(schema.VELOCITY_SIGMA, sigma, **own),
        ],
        data,
        history=history,
    )


def _series(data: Any) -> xr.DataArray:
    """Return the displacement series of ``data`` after checking it."""
    if isinstance(data, xr.Dataset):
        data = _of_dataset(data)
    field = field_of(data)
    if "time" not in field.dims:
        raise schema.SchemaError(
            f"{field.name or 'data'}: expected a dim 'time', got {tuple(map(str, field.dims))}; rename the dim of your "
            "dates, or make a series of pairs with invert_network first"
        )
    dates = field["time"].values if "time" in field.coords else None
    if dates is None or dates.dtype.kind != "M" or np.isnat(dates).any():
        came = "none" if dates is None else "NaT" if dates.dtype.kind == "M" else f"dtype {dates.dtype}"
        raise schema.SchemaError(
            f"time: expected a date (datetime64) for every epoch, got {came}; assign them with assign_coords"
        )
    if np.unique(dates).size < 2:
        raise ValueError(
            f"time: expected two dates or more, which a velocity needs, got {np.unique(dates).size}"
        )
    return field


def _of_dataset(ds: xr.Dataset) -> xr.DataArray:
    if "displacement" not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        remedy = (
            "make it with invert_network first"
            if "unwrapped_phase" in ds
            else "rename yours, or hand over the series itself, e.g. ds['name']"
        )
        raise schema.SchemaError(
            f"displacement: the dataset has no variable of this name (it holds: {held}); {remedy}"
        )
    unit = ds["displacement"].attrs.get("units", "m")
    if unit not in _METRES:
        raise schema.SchemaError(
            f"displacement: expected units 'm', got {unit!r}; convert the values and set attrs['units'] = 'm'"
        )
    return ds["displacement"]


def _per_year(field: xr.DataArray) -> str:
    unit = str(field.attrs.get("units", "m"))
    return "m year-1" if unit in _METRES else f"{unit} year-1"


def _seasons(seasonal: Any) -> tuple[str, ...]:
    """Return the names of the seasonal terms, each once."""
    names = (seasonal,) if isinstance(seasonal, str) else seasonal
    if not isinstance(names, Iterable):
        raise TypeError(f"seasonal: expected 'annual', 'semiannual' or both, got {seasonal!r}")
    return tuple(dict.fromkeys(checks.one_of("seasonal", name, tuple(SEASONS)) for name in names))


def _steps(steps: Any) -> tuple[np.datetime64, ...]:
    """Return the dates of steps, ascending."""
    if isinstance(steps, (str, np.datetime64)) or not isinstance(steps, Iterable):
        steps = (steps,)
    try:
        dates = np.unique(np.array([np.datetime64(s, "ns") for s in steps], "datetime64[ns]"))
    except (TypeError, ValueError):
        raise ValueError(f"steps: expected dates such as '2019-07-06', got {steps!r}") from None
    if np.isnat(dates).any():
        raise ValueError("steps: expected dates, got NaT; leave it out")
    return tuple(dates)


def years_of(dates: Any) -> Any:
    """Return the years of 365.25 days since the earliest of ``dates``."""
    return (dates - dates.min()) / _DAY / schema.YEAR_IN_DAYS


def _design(dates: Any, seasonal: tuple[str, ...], steps: tuple[np.datetime64, ...]) -> tuple[Any, Any]:
    """Return the orthonormal functions of the model at ``dates``, and what makes the slope of their weights."""
    from xinsar.kernels.regression import orthonormal

    for step in steps:
        _check_step(step, dates)
    functions = terms(dates, dates, seasonal=seasonal, steps=steps)
    _enough(dates, len(functions))
    try:
        return orthonormal(functions, 1)
    except np.linalg.LinAlgError:
        raise ValueError(
            "seasonal, steps: the dates cannot tell the terms apart (steps without a date between them, or a season "
            "sampled at one time of the year); leave terms out"
        ) from None


def terms(dates: Any, of: Any, *, seasonal: Iterable[str] = (), steps: Iterable[np.datetime64] = ()) -> Any:
    """Return the functions of the model of :func:`velocity` (function, date) at ``dates``, for a series dated ``of``.

    The first is 1, the second the years since the middle of the series: its weight is the velocity. Sines and cosines
    of ``seasonal`` and the jumps at ``steps`` follow.
    """
    t = (dates - of.min()) / _DAY / schema.YEAR_IN_DAYS
    functions = [np.ones_like(t), t - years_of(of).mean()]
    for name in seasonal:
        turns = 2 * np.pi * SEASONS[name] * t
        functions += [np.sin(turns), np.cos(turns)]
    functions += [(dates >= step).astype(float) for step in steps]
    return np.array(functions)


def _check_step(step: np.datetime64, dates: Any) -> None:
    if not dates.min() < step <= dates.max():
        first, last, own = (np.datetime_as_string(d, unit="D") for d in (dates.min(), dates.max(), step))
        raise ValueError(f"steps: expected a date after {first} and up to {last}, got {own}; leave it out")


def _enough(dates: Any, unknowns: int) -> None:
    number = np.unique(dates).size
    if number < unknowns:
        raise ValueError(
            f"time: expected at least {unknowns} dates for as many unknowns, got {number}; leave terms out"
        )


def monthly_velocity(data: xr.DataArray | xr.Dataset, *, max_gap: float = MAX_GAP) -> xr.Dataset:
    r"""Velocity of every calendar month: the series, interpolated linearly, from one month's start to the next.

    .. math:: v_m = \frac{d(t_{m+1}) - d(t_m)}{t_{m+1} - t_m}

    with t_m the first day of month m at 0 h, and years of 365.25 days.

    Parameters
    ----------
    data
        Series (..., time, y, x) or (..., time, point) with dates (datetime64) on ``time``, in any order, each once; or
        a Dataset with ``displacement``, m.
    max_gap
        Longest gap between valid dates that a month may touch, days.

    Returns
    -------
    xarray.Dataset
        ``velocity`` (..., time, y, x) or (..., time, point), m year-1 (the unit of a DataArray of another unit, per
        year), ``time`` the middles of all months that lie within the dates; lazy if ``data`` is.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset, or ``max_gap`` no number.
    xinsar.SchemaError
        If there is no displacement, no dim ``time``, no date on it, or a date twice.
    ValueError
        If the dates span no whole month, or ``max_gap`` is not above 0.

    Notes
    -----
    NaN: a missing date is left out at its pixel. A month is NaN where part of it lies before the first or after the
    last valid date, or in a gap of more than ``max_gap``. Errors of two epochs make the error of a month: 5 mm of
    atmosphere at each are 85 mm/year.

    References
    ----------
    Monthly velocities as input of a detector: Dong et al. 2026, who print no formula; this one is ours.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> time = np.datetime64("2020-01-01", "ns") + 12 * np.arange(10) * np.timedelta64(1, "D")
    >>> values = 0.02 * 12 / 365.25 * np.arange(10.0)[:, None, None] * np.ones((10, 2, 3))
    >>> series = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": time}, attrs={"units": "m"})
    >>> monthly_velocity(series).velocity[:, 0, 0].values.round(6).tolist()
    [0.02, 0.02, 0.02]
    """
    max_gap = checks.positive("max_gap", max_gap)
    field = floating(_series(data))
    dates = field["time"].values.astype("datetime64[ns]")
    if np.unique(dates).size < dates.size:
        raise schema.SchemaError("time: expected every date once, got one twice; keep one of them")
    starts = _months(dates)
    found = _by_month(field, (dates - starts[0]) / _DAY, (starts - starts[0]) / _DAY, max_gap)
    middles = starts[:-1] + np.diff(starts) // 2
    found = found.assign_coords(time=("time", middles, {"long_name": "middle of the month"}))
    labelled = schema.label(
        schema.VELOCITY,
        found,
        long_name="monthly " + schema.VELOCITY.long_name,
        units=_per_year(field),
        max_gap=max_gap,
    )
    return schema.assemble([labelled], data, history=checks.said("monthly_velocity", max_gap=max_gap))


def _months(dates: Any) -> Any:
    """Return the starts of all months that lie within the dates, and the end of the last one."""
    first, last = dates.min(), dates.max()
    start = first.astype("datetime64[M]")
    start = start if start.astype("datetime64[ns]") == first else start + np.timedelta64(1, "M")
    end = last.astype("datetime64[M]") + np.timedelta64(1, "M")
    starts = np.arange(start, end, np.timedelta64(1, "M")).astype("datetime64[ns]")
    if starts.size < 2:
        span = " to ".join(str(np.datetime_as_string(d, unit="D")) for d in (first, last))
        raise ValueError(
            f"time: expected dates that span a whole calendar month, got {span}; use velocity instead"
        )
    return starts


def _by_month(field: xr.DataArray, days: Any, starts: Any, max_gap: float) -> xr.DataArray:
    from xinsar.kernels.months import monthly_velocity as kernel

    order = np.argsort(days)
    found: xr.DataArray = xr.apply_ufunc(
        _first_axis,
        field.chunk({"time": -1}) if is_lazy(field) else field,
        input_core_dims=[["time"]],
        output_core_dims=[["month"]],
        kwargs={
            "kernel": kernel,
            "order": order,
            "days": days[order],
            "starts": starts,
            "max_gap": max_gap,
            "year": schema.YEAR_IN_DAYS,
        },
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"month": starts.size - 1}},
        output_dtypes=[field.dtype],
        keep_attrs=False,
    )
    return found.rename(month="time").transpose(*map(str, field.dims))


def _first_axis(block: Any, *, kernel: Any, order: Any, **options: Any) -> Any:
    """Hand the block to ``kernel`` with its last axis first, in the order of dates, and turn the result back."""
    series = block.transpose(-1, *range(block.ndim - 1))
    sorted_ = series if (np.diff(order) == 1).all() else series[order]
    out = kernel(sorted_, **options)
    return out.transpose(*range(1, out.ndim), 0)
