"""The displacement series of one place, with the model fitted to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.operations import rates
from xinsar.plot.axes import date_axis, new_axes
from xinsar.plot.colours import BLUE, unit_text
from xinsar.plot.fields import field_of
from xinsar.plot.geometry import axis_values, extent_of, is_geographic, on_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
_DAY = np.timedelta64(1, "D")


def series(
    ds: xr.Dataset,
    x: float | None = None,
    y: float | None = None,
    *,
    point: int | None = None,
    fit: xr.Dataset | Literal[False] | None = None,
    seasonal: str | Iterable[str] = (),
    steps: Any = (),
    color: str = BLUE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the displacement of one place as dots, in millimetres, with the line of its model and its velocity.

    A missing date has no dot. The model is that of :func:`xinsar.velocity`: a line, with seasons and steps where asked
    for; the legend tells its velocity and standard error.

    Parameters
    ----------
    ds
        Dataset with ``displacement`` (time, y, x) or (time, point), m, and dates on ``time``.
    x, y
        Place in coordinates of the dataset: the pixel that holds it, or the nearest point.
    point
        Number of a point instead, from the end when negative.
    fit
        None: the model is fitted to this place. A Dataset of :func:`xinsar.velocity` on the same grid or points: its
        seasons and steps are taken, and its velocity and error; the rest is fitted to this place. False: dots alone.
    seasonal, steps
        Terms of the model as in :func:`xinsar.velocity`, where ``fit`` is None.
    color
        Colour of dots and line.
    ax
        Axes to draw on; by default a new figure. Several places may share them.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        ``fit`` is none of these.
    SchemaError
        There is no ``displacement``, it has other dims, or ``time`` has no dates.
    ValueError
        The place lies outside, is not said or said twice, or the series is too short for the model.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> time = np.datetime64("2020-01-01", "ns") + 12 * np.arange(40) * np.timedelta64(1, "D")
    >>> values = (0.02 * 12 / 365.25 * np.arange(40.0))[:, None] * np.ones(2)
    >>> ds = xr.Dataset({"displacement": (("time", "point"), values, {"units": "m"})},
    ...                 {"time": time, "x": ("point", [0.0, 10.0]), "y": ("point", [0.0, 5.0])})
    >>> series(ds, point=1).get_legend().get_texts()[0].get_text()
    '20.0 ± 0.0 mm year⁻¹'
    """
    place = _place(_displacement(ds), x, y, point)
    one = ds[["displacement"]].isel(place).compute().sortby("time")
    dates = one["time"].values.astype("M8[ns]")
    values = 1e3 * one["displacement"].values.astype("f8").ravel()
    there = np.isfinite(values)
    ax = ax if ax is not None else new_axes((7.0, 3.8))
    ax.plot(dates[there], values[there], "o", ms=4, color=color, alpha=0.7, mew=0)
    if not there.any():
        ax.text(0.5, 0.5, "no value here", ha="center", va="center", transform=ax.transAxes)
    elif (found := _rates(one, fit, place, seasonal, steps)) is not None:
        _draw_model(ax, dates, values, found, color)
    date_axis(ax)
    _show_all(ax, dates, values[there])
    ax.set_ylabel("displacement toward the satellite (mm)")
    ax.set_title(_said(ds, place), loc="left")
    return ax


def _displacement(ds: xr.Dataset) -> xr.DataArray:
    """Return the series of ``ds`` after checking its form."""
    if "displacement" not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        raise schema.SchemaError(
            f"displacement: the dataset has no variable of this name (it holds: {held}); make a series of pairs with "
            "xinsar.invert_network"
        )
    array = ds["displacement"]
    dims = ("time", "point") if on_points(array) else ("time", "y", "x")
    schema.check(array, schema.Variable("displacement", dims, "m", "series"))
    if array.dims != dims:
        raise schema.SchemaError(
            f"displacement: expected dims {dims}, got {tuple(map(str, array.dims))}; choose one index of the others "
            "with isel"
        )
    if "time" not in array.coords or array["time"].dtype.kind != "M":
        raise schema.SchemaError(
            "time: expected a date (datetime64) for every epoch; assign them with assign_coords(time=dates)"
        )
    return array


def _place(array: xr.DataArray, x: float | None, y: float | None, point: int | None) -> dict[str, list[int]]:
    """Return the index of the place along the dims other than time."""
    points = on_points(array)
    if point is not None and not points:
        raise ValueError("point: expected x and y of a pixel, for displacement lies on (y, x), got a number")
    if (x is None) != (y is None) or (point is None) == (x is None):
        ways = "either x and y or point" if points else "x and y"
        raise ValueError(f"x, y: expected {ways}, got x={x}, y={y}, point={point}")
    if point is not None:
        return {"point": [_number(point, array.sizes["point"])]}
    _check_inside(array, float(x), float(y))  # type: ignore[arg-type]
    if not points:
        return {d: [int(np.abs(axis_values(array, d) - v).argmin())] for d, v in (("y", y), ("x", x))}
    east = np.cos(np.radians(y)) if is_geographic(array) else 1.0  # type: ignore[arg-type]
    away = np.hypot((axis_values(array, "x") - x) * east, axis_values(array, "y") - y)
    return {"point": [int(np.nanargmin(away))]}


def _number(point: int, count: int) -> int:
    if not -count <= point < count:
        raise ValueError(f"point: expected an integer from {-count} to {count - 1}, got {point}")
    return point % count


def _check_inside(array: xr.DataArray, x: float, y: float) -> None:
    """Raise ValueError for a place that lies outside."""
    left, right, one, other = extent_of(array)
    for name, value, ends in (("x", x, (left, right)), ("y", y, (one, other))):
        if not min(ends) <= value <= max(ends):
            raise ValueError(
                f"{name}: expected a place within {min(ends):.8g}..{max(ends):.8g}, where the dataset lies, got "
                f"{value:.8g}; give it in the coordinates of the dataset, x first"
            )


def _rates(one: xr.Dataset, fit: Any, place: dict[str, list[int]], seasonal: Any, steps: Any) -> Any:
    """Return the velocity of the place with its error and terms; None where none is wanted."""
    if fit is False:
        return None
    if fit is None:
        return rates.velocity(one, seasonal=seasonal, steps=steps)
    if not isinstance(fit, xr.Dataset):
        raise TypeError(f"fit: expected a Dataset of xinsar.velocity, None or False, got {fit!r}")
    found = field_of(fit, "velocity")
    if any(fit.sizes.get(d, 0) <= index[0] for d, index in place.items()):
        raise ValueError(
            f"fit: expected the grid or the points of the series, got sizes {dict(found.sizes)}; fit the velocity to "
            "the same dataset"
        )
    return fit.isel(place).compute()


def _draw_model(ax: Axes, dates: Array, values: Array, found: xr.Dataset, color: str) -> None:
    """Draw the line of the model, broken at its steps, and tell its velocity."""
    rate = 1e3 * found["velocity"].values.item()
    if not np.isfinite(rate):
        return
    attrs = found["velocity"].attrs
    seasons, jumps = (str(attrs.get(name, "")).split() for name in ("seasonal", "steps"))
    breaks = np.array(jumps, "M8[ns]")
    there = np.isfinite(values)
    days = np.arange(dates[there].min(), dates[there].max() + _DAY, _DAY)
    at, line = (
        rates.terms(d, dates, seasonal=seasons, steps=breaks) for d in (dates[there], days.astype("M8[ns]"))
    )
    rest = values[there] - rate * at[1]
    weights = np.linalg.lstsq(np.delete(at, 1, axis=0).T, rest, rcond=None)[0]
    model = rate * line[1] + weights @ np.delete(line, 1, axis=0)
    model[np.searchsorted(days, breaks)[np.searchsorted(days, breaks) < days.size]] = np.nan
    label = _said_of_rate(rate, found, [*seasons, *(f"step {jump}" for jump in jumps)])
    ax.plot(days, model, color=color, lw=1.5, label=label)
    ax.legend(frameon=False)


def _said_of_rate(rate: float, found: xr.Dataset, terms: list[str]) -> str:
    """Return velocity, standard error and terms of a model in words."""
    sigma = 1e3 * found["velocity_sigma"].values.item() if "velocity_sigma" in found else np.nan
    error = f" ± {sigma:.1f}" if np.isfinite(sigma) else ""
    with_ = f" ({', '.join(terms)})" if terms else ""
    return f"{rate:.1f}".replace("-", "−") + error + f" {unit_text('mm year-1')}" + with_


def _show_all(ax: Axes, dates: Array, values: Array) -> None:
    """Let the axes reach over all dates, those without a value too."""
    from matplotlib.dates import date2num

    middle = values.mean() if values.size else 0.0
    ax.update_datalim([(date, middle) for date in date2num([dates.min(), dates.max()])])
    ax.autoscale_view()


def _said(ds: xr.Dataset, place: dict[str, list[int]]) -> str:
    """Return which place is drawn."""
    if "point" in place:
        name = ds["id"].values[place["point"][0]] if "id" in ds.variables else place["point"][0]
        return f"point {name}"
    at = {d: float(axis_values(ds["displacement"], d)[index[0]]) for d, index in place.items()}
    names = {d: d if d in ds.coords else {"y": "row", "x": "column"}[d] for d in at}
    return ", ".join(f"{names[d]} {at[d]:.8g}" for d in ("x", "y"))
