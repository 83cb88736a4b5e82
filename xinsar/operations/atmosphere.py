"""Atmospheric delay out of displacement series: what is smooth in space and rough in time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import pixel_spacing
from xinsar.mapping import is_lazy, neighbourhood
from xinsar.operations import checks
from xinsar.operations.fields import floating, is_points
from xinsar.operations.rates import _design, _seasons, _series, _steps

SPATIAL_WIDTH = 500.0
"""Default standard deviation of the mean over the map, metres."""
TEMPORAL_WIDTH = 60.0
"""Default standard deviation of the mean over time, days."""
_DAY = np.timedelta64(1, "D")


def atmosphere_filter(
    data: xr.DataArray | xr.Dataset,
    *,
    spatial_width: float = SPATIAL_WIDTH,
    temporal_width: float = TEMPORAL_WIDTH,
    seasonal: str | Iterable[str] = (),
    steps: Any = (),
) -> xr.Dataset:
    r"""Take the atmosphere out of displacement series: what is smooth in space and rough in time.

    .. math:: r = d - \text{model}, \qquad h = r - \langle r \rangle_T, \qquad a = \langle h \rangle_S, \qquad
       d' = (d - a) - (d - a)_{t_0}

    The model is that of :func:`xinsar.velocity`, fitted to each pixel; :math:`\langle r \rangle_T` the mean over the
    dates of the pixel with the weights :math:`e^{-\Delta t^2 / 2 T^2}`, T = ``temporal_width``;
    :math:`\langle h \rangle_S` the mean over the pixels around it with the weights
    :math:`e^{-(\Delta x^2 + \Delta y^2) / 2 S^2}`, S = ``spatial_width``. Both end at three widths.

    Parameters
    ----------
    data
        Series (..., time, y, x) with dates (datetime64) on ``time``, in any order; or a Dataset with ``displacement``,
        m.
    spatial_width
        Standard deviation of the mean over the map, metres. Ground that moves unsteadily over a larger area than this
        is taken for atmosphere.
    temporal_width
        Standard deviation of the mean over time, days. Motion that departs from the model for longer than this is kept.
    seasonal, steps
        Terms of the model, as in :func:`xinsar.velocity`: what they explain is kept.

    Returns
    -------
    xarray.Dataset
        ``displacement`` without the atmosphere, 0 at the first date, and ``atmosphere``, the apparent displacement that
        was taken for it on each date, the first one included; both (..., time, y, x), m or the unit of the DataArray,
        in its dtype (float64 for whole numbers), lazy if ``data`` is.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset, or an option is of the wrong kind.
    xinsar.SchemaError
        If there is no displacement, no dim ``time``, no date on it, or the series are those of points.
    ValueError
        If there are no more dates than unknowns, the dates cannot tell the terms apart, a width is not above 0 or
        ``spatial_width`` is smaller than a pixel; if there is neither a CRS nor a unit of x; when computed, if a value
        is infinite.

    Notes
    -----
    NaN: a missing date has no weight and stays missing. A pixel whose valid dates are no more than the unknowns, or
    cannot tell the terms apart, has no say in the atmosphere, but that of its surroundings is taken out of it too.
    Where no pixel within three widths has a say, both results are NaN. Pixels beyond the image have no weight. A series
    without the first date begins with 0 at the first date it has. The means weigh gaps, so which comes first would
    matter there: time does.

    The model is kept, so the velocity hardly changes; what becomes quieter is the series about it. A step that is not
    in ``steps`` is smeared over ``temporal_width`` where it is wider than ``spatial_width``.

    All dates of a spatial chunk are needed at once, and three ``spatial_width`` around it: thinner chunks are joined
    for that. Results do not depend on chunks.

    References
    ----------
    Ferretti et al. 2001, IEEE Trans. Geosci. Remote Sens. 39:8-20; Berardino et al. 2002, ibid. 40:2375-2383. Gaussian
    means over time and space: Hooper et al. 2007, J. Geophys. Res. 112:B07407.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> time = np.datetime64("2020-01-01", "ns") + 12 * np.arange(30) * np.timedelta64(1, "D")
    >>> delay = 0.005 * np.random.default_rng(0).normal(size=(30, 1, 1)) * np.ones((30, 8, 8))
    >>> series = xr.DataArray(
    ...     delay - delay[0], dims=("time", "y", "x"), coords={"time": time, "y": -25.0 * np.arange(8),
    ...     "x": 25.0 * np.arange(8)}, attrs={"units": "m"})
    >>> series.x.attrs["units"] = "m"
    >>> bool(atmosphere_filter(series).displacement.std() < 0.3 * series.std())
    True
    """
    field = _map_series(data)
    spatial_width = checks.finite("spatial_width", spatial_width)
    temporal_width = checks.finite("temporal_width", temporal_width)
    seasonal, steps = _seasons(seasonal), _steps(steps)
    rough = _high_passed(field, temporal_width, seasonal, steps)
    screen = _low_passed(rough, field, spatial_width)
    corrected, screen = _subtracted(field, screen)
    unit = str(field.attrs.get("units", schema.DISPLACEMENT.units))
    own = {"units": unit, "spatial_width": spatial_width, "temporal_width": temporal_width}
    jumps = [str(np.datetime_as_string(s, unit="D")) for s in steps]
    history = checks.said(
        "atmosphere_filter",
        spatial_width=spatial_width,
        temporal_width=temporal_width,
        seasonal=seasonal or None,
        steps=jumps or None,
    )
    return schema.assemble(
        [
            schema.label(schema.DISPLACEMENT, corrected, **own),
            schema.label(schema.ATMOSPHERE, screen, **own),
        ],
        data,
        history=history,
    )


def _map_series(data: Any) -> xr.DataArray:
    """Return the displacement series of a map."""
    field = _series(data)
    if is_points(field):
        raise schema.SchemaError(
            f"{field.name or 'data'}: expected a map that ends in dims ('y', 'x'), got points; bring them to a grid "
            "first, e.g. with rasterize_points"
        )
    return floating(field)


def _high_passed(
    field: xr.DataArray, width: float, seasonal: tuple[str, ...], steps: tuple[np.datetime64, ...]
) -> xr.DataArray:
    """Return what the model and a mean over ``width`` days leave of each series."""
    from xinsar.kernels.smooth import gaussian, high_pass

    dates = field["time"].values.astype("datetime64[ns]")
    basis, _ = _design(dates, seasonal, steps)
    if dates.size <= len(basis):
        raise ValueError(
            f"time: expected more than {len(basis)} dates, as many as the model has unknowns, got {dates.size}; "
            "without a residual there is nothing to filter"
        )
    days = (dates - dates.min()) / _DAY
    weights = gaussian(days[:, None] - days, width)
    (rough,) = _by_date(high_pass, field, outputs=1, basis=basis, weights=weights)
    return rough


def _by_date(function: Any, *arrays: xr.DataArray, outputs: int, **options: Any) -> list[xr.DataArray]:
    """Map ``function`` over blocks (time, ...) that hold all dates; it returns as many arrays of the same shape."""
    like = arrays[0]
    results = xr.apply_ufunc(
        _dates_first,
        *(a.chunk({"time": -1}) if is_lazy(a) else a for a in arrays),
        input_core_dims=[["time"]] * len(arrays),
        output_core_dims=[["time"]] * outputs,
        kwargs={"function": function, "options": options},
        dask="parallelized",
        output_dtypes=[like.dtype] * outputs,
        keep_attrs=False,
    )
    several = results if outputs > 1 else (results,)
    turned = [r.transpose(*like.dims) for r in several]
    turned = [r.chunk(like.chunksizes) if is_lazy(like) else r for r in turned]
    return [like.copy(data=r.data) for r in turned]


def _dates_first(*blocks: Any, function: Any, options: dict[str, Any]) -> Any:
    """Hand blocks to ``function`` with their last axis first, and turn what it returns back."""
    found = function(*(np.moveaxis(b, -1, 0) for b in blocks), **options)
    return (
        tuple(np.moveaxis(f, 0, -1) for f in found) if isinstance(found, tuple) else np.moveaxis(found, 0, -1)
    )


def _low_passed(rough: xr.DataArray, field: xr.DataArray, width: float) -> xr.DataArray:
    """Return the mean over ``width`` metres around each pixel of every date."""
    from xinsar.kernels.smooth import half_widths, low_pass

    sizes, rows = _pixel_sizes(field, width)
    depth = half_widths(sizes, width, (field.sizes["y"], field.sizes["x"])).max(axis=0)
    return neighbourhood(
        low_pass, rough, depth=(int(depth[0]), int(depth[1])), rows=rows, sizes=sizes, width=width
    )


def _pixel_sizes(field: xr.DataArray, width: float) -> tuple[Any, Any]:
    """Return the sizes of pixels along y and x of each kind of row, metres, and the kind of every row."""
    dy, dx = pixel_spacing(field)
    smallest = float(min(dy.min(), dx.min()))
    if width < smallest:
        raise ValueError(
            f"spatial_width: expected at least the size of a pixel, {smallest:g} m, got {width:g} m: nothing would be "
            "smoothed, and all that is rough in time would count as atmosphere"
        )
    alone = 10 * width  # a map of one pixel: no neighbours
    sizes = np.nan_to_num(np.stack([dy, dx], axis=-1), nan=alone)
    kinds, rows = np.unique(sizes, axis=0, return_inverse=True)
    return kinds, rows.reshape(-1)


def _subtracted(field: xr.DataArray, screen: xr.DataArray) -> list[xr.DataArray]:
    """Return the series without the atmosphere, 0 at their first dates, and the atmosphere where they are valid."""
    order = np.argsort(field["time"].values, kind="stable")
    return _by_date(_subtract, field, screen, outputs=2, order=order)


def _subtract(series: Any, screen: Any, *, order: Any) -> tuple[Any, Any]:
    screen = np.where(np.isnan(series), np.nan, screen).astype(series.dtype, copy=False)
    series = series - screen
    sorted_ = series[order]
    first = np.isfinite(sorted_).argmax(axis=0)[None]
    return series - np.take_along_axis(sorted_, first, axis=0), screen
