"""The delay of the troposphere taken out of phase and displacement, from grids of GACOS or any other model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.mapping import is_lazy, pointwise
from xinsar.operations import checks
from xinsar.operations.fields import field_of, floating, is_points
from xinsar.operations.reference import labelled

KINDS = ("auto", "zenith", "slant")
MISSING = ("raise", "nan")
CORRECTED = ("phase", "unwrapped_phase", "displacement")
"""Variables that delays are taken out of."""
_MARGIN = 3
"""Pixels of the delays around the cube that are read: interpolation needs one."""
_METRES = ("m", "metre", "metres", "meter", "meters")
_RADIANS = ("rad", "radian", "radians")


def subtract_gacos(ds: xr.Dataset, source: Any, *, kind: str = "auto", missing: str = "raise") -> xr.Dataset:
    r"""Take the delay of the troposphere out of every pair or date, by grids of GACOS.

    .. math:: \varphi' = \varphi - \frac{4 \pi}{\lambda} (s_\mathrm{secondary} - s_\mathrm{reference}), \qquad
       d'(t) = d(t) + s(t) - s(t_0), \qquad s = \frac{z}{\cos\theta}

    with the zenith delay z, the slant delay s (m) and the incidence :math:`\theta`. A delay lengthens the way, as
    motion away from the satellite does, so it raises phase and lowers displacement.

    Parameters
    ----------
    ds
        Dataset on a map with ``phase`` or ``unwrapped_phase`` (pair, y, x), rad, with the dates of the pairs, or
        ``displacement`` (time, y, x), m, with dates on ``time``; one or more of them. Besides the attribute
        ``wavelength``, m (not for displacement and delays in metres), and for zenith delays the vectors ``los``
        (component, y, x), whose up component is :math:`\cos\theta`, or the attribute ``incidence``, degrees.
    source
        GACOS files, as :func:`xinsar.open_gacos` takes them: a folder, a glob, a file or a list; or a DataArray
        (time, y, x), m or rad, or a Dataset with ``zenith_delay`` or ``slant_delay``. It may lie on another grid and
        another CRS: it is interpolated bilinearly, as delays are smooth.
    kind
        ``"zenith"`` or ``"slant"``, where names of files, or name and unit of the array, do not tell.
    missing
        Where a date of the cube has no grid: ``"raise"``, or ``"nan"``: its pairs, and the date itself, become NaN.

    Returns
    -------
    xarray.Dataset
        ``ds`` with those variables corrected, in their dtype (float64 for whole numbers), lazy where they are; phase
        wrapped again; other variables as they were. The attribute ``troposphere`` says so; ``reference`` is gone.

    Raises
    ------
    TypeError
        If ``ds`` is no Dataset, or ``source`` is of another kind.
    xinsar.SchemaError
        If there is none of these variables, no map, no date, or no attribute that is needed.
    ValueError
        If dates have no grid, the grids lie elsewhere, the cube was corrected before, ``kind`` does not tell the
        direction, or another option is not legal; when computed, if ``los`` points down.
    OSError
        If a file is unreadable.

    Warns
    -----
    UserWarning
        If the dataset also holds a velocity, which is not corrected: make it anew from the series.

    Notes
    -----
    NaN: where a delay is NaN at one of the dates (holes, which are 0 in the files; outside the grids), or ``los`` is. A
    series is 0 again at the first date that a pixel has.

    Refer phase and displacement with :func:`xinsar.reference_to` after the correction: the place they were referred
    to has a delay of its own. The order does not matter for the result then.

    References
    ----------
    Yu, Li and Penna 2018, Remote Sens. Environ. 204:109-121. Yu et al. 2018, J. Geophys. Res. 123:9202-9222.

    Examples
    --------
    The air over a place holds 10 mm more on the second date, along a look of 39 degrees:

    >>> import numpy as np, xarray as xr
    >>> time = np.array(["2021-01-01", "2021-01-13"], "datetime64[ns]")
    >>> coords = {"time": time, "y": [10.0, 0.0], "x": [0.0, 10.0]}
    >>> delay = xr.DataArray(np.full((2, 2, 2), 2.30), coords, name="zenith_delay")
    >>> delay[1] += 0.010
    >>> series = xr.Dataset({"displacement": xr.zeros_like(delay)}, attrs={"incidence": 39.0})
    >>> subtract_gacos(series, delay).displacement[:, 0, 0].values.round(4).tolist()
    [0.0, 0.0129]
    """
    checks.one_of("kind", kind, KINDS)
    checks.one_of("missing", missing, MISSING)
    fields = _fields(ds)
    days = [_days(f, ds) for f in fields]
    wanted = np.unique(np.concatenate([d.ravel() for d in days]))
    delay, direction = _delay(source, kind, wanted, missing)
    delay = _onto(delay, next((f for f in fields if is_lazy(f)), fields[0]))
    up = _up(ds, fields[0]) if direction == "zenith" else xr.DataArray(np.float64(1))
    found = [
        labelled(f, _corrected(f, delay, up, np.searchsorted(wanted, d), _factor(ds, f, delay)))
        for f, d in zip(fields, days, strict=True)
    ]
    _warn_of_velocity(ds)
    history = checks.said("subtract_gacos", source=_said(source), kind=kind, missing=missing)
    out = schema.amend(ds, found, history=history, troposphere=f"{direction} delays")
    out.attrs.pop("reference", None)
    return out


# ---- the cube ---------------------------------------------------------------------------------------------------


def _fields(ds: Any) -> list[xr.DataArray]:
    """Return what is corrected, checked, as floats."""
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"ds: expected an xarray.Dataset with phase or displacement, got {type(ds).__name__}")
    if "troposphere" in ds.attrs:
        raise ValueError(
            f"ds: was corrected before (attrs['troposphere'] = {ds.attrs['troposphere']!r}); delete the attribute "
            "where that is not so"
        )
    fields = [floating(field_of(ds[name])) for name in CORRECTED if name in ds]
    if not fields:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        more = "; a velocity cannot be corrected, its series can" if "velocity" in ds else ""
        raise schema.SchemaError(
            f"ds: expected {', '.join(CORRECTED[:-1])} or {CORRECTED[-1]}, got: {held}{more}"
        )
    for field in fields:
        if is_points(field):
            raise schema.SchemaError(
                f"{field.name}: expected a grid (y, x), got points; bring them onto one with rasterize_points first"
            )
        schema.check(field, schema.VARIABLES[str(field.name)])
    return fields


def _days(field: xr.DataArray, ds: xr.Dataset) -> Any:
    """Return the days of the pairs, (2, pair), or of the dates, (time)."""
    if "pair" in field.dims:
        return np.array(schema.check_pairs(ds)).astype("datetime64[D]")
    if "time" not in field.dims:
        raise schema.SchemaError(
            "displacement: expected a dim 'time' with the dates whose delays are taken out, got "
            f"{tuple(map(str, field.dims))}; correct the series it comes from"
        )
    return _dated(field, "displacement")


def _dated(array: xr.DataArray, name: str) -> Any:
    """Return the days on ``time``, each once."""
    dates = array["time"].values if "time" in array.coords else None
    if dates is None or dates.dtype.kind != "M" or np.isnat(dates).any():
        came = "none" if dates is None else "NaT" if dates.dtype.kind == "M" else f"dtype {dates.dtype}"
        raise schema.SchemaError(
            f"time: expected a date (datetime64) for every epoch of {name}, got {came}; assign them with assign_coords"
        )
    days = dates.astype("datetime64[D]")
    if np.unique(days).size < days.size:
        raise schema.SchemaError(f"time: expected every day of {name} once, got one twice; keep one of them")
    return days


def _up(ds: xr.Dataset, field: xr.DataArray) -> xr.DataArray:
    """Return the cosine of the incidence: of ``los`` (y, x), or of the attribute."""
    if "los" in ds:
        from xinsar.operations.tracks import los_of

        los = los_of(ds, field).isel(component=2)
        return los.drop_vars(list(los.coords))
    if "incidence" not in ds.attrs:
        raise schema.SchemaError(
            "los: zenith delays are turned into slant ones by the vectors los(component, y, x) or attrs['incidence'] "
            "(degrees), and the dataset has neither; add one of them"
        )
    incidence = checks.finite("incidence", ds.attrs["incidence"])
    if incidence >= 90:
        raise schema.SchemaError(f"incidence: expected degrees between 0 and 90, got {incidence:g}")
    return xr.DataArray(np.cos(np.radians(incidence)))


def _factor(ds: xr.Dataset, field: xr.DataArray, delay: xr.DataArray) -> float:
    """Return what turns delays into the unit of ``field``."""
    radians, in_radians = field.name != "displacement", delay.attrs["units"] in _RADIANS
    if radians == in_radians:
        return 1.0
    if "wavelength" not in ds.attrs:
        raise schema.SchemaError(
            "wavelength: the dataset needs the attribute to turn metres into radians; set ds.attrs['wavelength'] in m"
        )
    turns = 4 * np.pi / checks.finite("wavelength", ds.attrs["wavelength"])
    return float(turns if radians else 1 / turns)


def _warn_of_velocity(ds: xr.Dataset) -> None:
    if "velocity" in ds:
        warnings.warn(
            "subtract_gacos: velocity is left as it was; make it anew from the corrected series with xinsar.velocity",
            UserWarning,
            stacklevel=3,
        )


# ---- the delays -------------------------------------------------------------------------------------------------


def _delay(source: Any, kind: str, wanted: Any, missing: str) -> tuple[xr.DataArray, str]:
    """Return the delays of the days ``wanted``, in their order, NaN where there is none; and their direction."""
    if isinstance(source, (xr.DataArray, xr.Dataset)):
        delay, direction = _of_array(source, kind)
    else:
        delay, direction = _of_files(source, kind, wanted)
    days = _dated(delay, "the delays")
    absent = [str(d) for d in wanted if d not in days]
    if absent and (missing == "raise" or len(absent) == len(wanted)):
        spelled = ", ".join(absent[:12]) + (f" and {len(absent) - 12} more" if len(absent) > 12 else "")
        raise ValueError(
            f"source: {len(absent)} of {len(wanted)} dates have no delay: {spelled}; fetch them, leave their pairs or "
            "dates out, or give missing='nan'"
        )
    delay = delay.assign_coords(time=days.astype("datetime64[ns]"))
    return delay.reindex(time=wanted.astype("datetime64[ns]")), direction


def _of_files(source: Any, kind: str, wanted: Any) -> tuple[xr.DataArray, str]:
    from xinsar.readers.gacos import open_gacos

    if not isinstance(source, (str, os.PathLike)) and not isinstance(source, Iterable):
        raise TypeError(
            "source: expected GACOS files (a folder, glob, file or list), a DataArray (time, y, x) or a Dataset, got "
            f"{type(source).__name__}"
        )
    return _of_array(open_gacos(source, kind=kind, dates=wanted), "auto")


def _of_array(source: xr.DataArray | xr.Dataset, kind: str) -> tuple[xr.DataArray, str]:
    """Return the delays of an array or a dataset, as floats with a known unit, and their direction."""
    if isinstance(source, xr.Dataset):
        held = [name for name in ("zenith_delay", "slant_delay") if name in source]
        if len(held) != 1:
            raise schema.SchemaError(
                "source: expected a Dataset with zenith_delay or slant_delay, one of them, got: "
                f"{', '.join(sorted(map(str, source.data_vars))) or 'no variable'}; hand over the variable itself"
            )
        source = source[held[0]]
    if source.dims != ("time", "y", "x") or source.dtype.kind not in "fiu":
        raise schema.SchemaError(
            f"source: expected real numbers with dims ('time', 'y', 'x'), got dtype {source.dtype} and dims "
            f"{tuple(map(str, source.dims))}; transpose or convert it"
        )
    units = str(source.attrs.get("units", "m"))
    if units not in (*_METRES, *_RADIANS):
        raise schema.SchemaError(
            f"source: expected units 'm' or 'rad', got {units!r}; convert the values and set attrs['units']"
        )
    direction = _direction(source, units, kind)
    return floating(source).assign_attrs(units=units), direction


def _direction(source: xr.DataArray, units: str, kind: str) -> str:
    name = str(source.name)
    told = name.removesuffix("_delay") if name in ("zenith_delay", "slant_delay") else None
    told = told or ("slant" if units in _RADIANS else None)
    if kind == "auto" and told is None:
        raise ValueError(
            f"kind: neither the name ({source.name!r}) nor the unit of the delays tells whether they are straight up "
            "or along the line of sight; give kind='zenith' or kind='slant'"
        )
    if told and kind not in ("auto", told):
        raise ValueError(f"kind: expected {told!r} for delays named {source.name!r} in {units}, got {kind!r}")
    return told or kind


def _onto(delay: xr.DataArray, field: xr.DataArray) -> xr.DataArray:
    """Return the delays on the grid of ``field``, in its chunks or in memory, bare of coordinates."""
    from xinsar.operations.tracks import _brought

    delay = _around(delay, field)
    delay = (delay if is_lazy(field) else delay.compute()).rename(delay.name or "source")
    dates = [_brought("delay", delay.isel(time=i), field, "bilinear") for i in range(delay.sizes["time"])]
    bare = [d.drop_vars(list(d.coords)) for d in dates]
    found = xr.concat(bare, "time").assign_attrs(units=delay.attrs["units"])
    if not is_lazy(field):
        return found
    return found.chunk({"time": 1, **{d: field.chunksizes[d] for d in ("y", "x")}})


def _around(delay: xr.DataArray, field: xr.DataArray) -> xr.DataArray:
    """Return the part of the delays where ``field`` lies and a margin; ValueError where they lie elsewhere."""
    if not all(d in a.coords for a in (delay, field) for d in ("y", "x")):
        return delay
    here, there = _box(field), _box(delay)
    own, other = grid.crs_of(delay), grid.crs_of(field)
    if own is not None and other is not None and own != other:
        from pyproj import Transformer

        here = Transformer.from_crs(other, own, always_xy=True).transform_bounds(*here)
    if here[0] > there[2] or here[2] < there[0] or here[1] > there[3] or here[3] < there[1]:
        spans = [f"x {b[0]:g}..{b[2]:g}, y {b[1]:g}..{b[3]:g}" for b in (here, there)]
        system = "" if own is None else f" in {own.name}"
        raise ValueError(
            f"source: expected delays where the cube lies ({spans[0]}{system}), got {spans[1]}; fetch those of the "
            "place, or geocode the cube"
        )
    return delay.isel({d: _window(delay, d, here[i], here[i + 2]) for i, d in enumerate(("x", "y"))})


def _box(array: xr.DataArray) -> tuple[float, ...]:
    """Return left, bottom, right, top of the pixel centres."""
    x, y = grid.axis(array, "x"), grid.axis(array, "y")
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _window(delay: xr.DataArray, dim: str, low: float, high: float) -> slice:
    """Return the pixels of ``delay`` from ``low`` to ``high`` along ``dim``, and some around them."""
    margin = _MARGIN * abs(grid.step(delay, dim)) if delay.sizes[dim] > 1 else np.inf
    values = grid.axis(delay, dim)
    index = np.flatnonzero((values >= low - margin) & (values <= high + margin))
    return slice(int(index.min()), int(index.max()) + 1)


def _said(source: Any) -> str:
    """Return what the history says of a source."""
    if isinstance(source, (xr.DataArray, xr.Dataset)):
        return "array"
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else "files"


# ---- the correction ---------------------------------------------------------------------------------------------


def _corrected(
    field: xr.DataArray, delay: xr.DataArray, up: xr.DataArray, index: Any, factor: float
) -> xr.DataArray:
    """Return pairs or a series without delay; ``index`` tells the delay of each date."""
    bare = field.drop_vars(list(field.coords))
    whole = up.chunk({d: bare.chunksizes[d] for d in up.dims}) if is_lazy(bare) else up
    found = (_pairs if "pair" in field.dims else _series)(bare, delay, whole, index, factor)
    return found.assign_coords(field.coords)


def _pairs(
    field: xr.DataArray, delay: xr.DataArray, up: xr.DataArray, index: Any, factor: float
) -> xr.DataArray:
    """Return phase less the difference of the delays of its dates."""
    first, second = (delay.isel(time=i).rename(time="pair") for i in index)
    if is_lazy(field):
        first, second = (a.chunk({"pair": field.chunksizes["pair"]}) for a in (first, second))
    wrapped = field.name == "phase"
    return pointwise(_less_delay, field, first, second, up, dtype=field.dtype, factor=factor, wrapped=wrapped)


def _less_delay(phase: Any, first: Any, second: Any, up: Any, *, factor: float, wrapped: bool) -> Any:
    from xinsar.kernels.circular import wrap

    delay = np.subtract(second, first, dtype=np.float64) * (factor / _checked(up))
    rest = phase - delay
    return wrap(rest, phase.dtype) if wrapped else rest.astype(phase.dtype)


def _checked(up: Any) -> Any:
    """Return the cosine of the incidence after checking that looks point up."""
    if ((up <= 0) | (up > 1.01)).any():
        raise ValueError(
            "los: expected unit vectors from the ground to the satellite, up within 0..1, got others; turn them "
            "around, or correct them"
        )
    return up


def _series(
    field: xr.DataArray, delay: xr.DataArray, up: xr.DataArray, index: Any, factor: float
) -> xr.DataArray:
    """Return displacement plus delay, 0 at the first date of each pixel."""
    own = delay.isel(time=index)
    if is_lazy(field):
        whole, own = field.chunk({"time": -1}), own.chunk({"time": -1})
    else:
        whole = field
    found: xr.DataArray = xr.apply_ufunc(
        _plus_delay,
        whole,
        own,
        up,
        input_core_dims=[["time"], ["time"], []],
        output_core_dims=[["time"]],
        kwargs={"order": np.argsort(index), "factor": factor},
        dask="parallelized",
        output_dtypes=[field.dtype],
        keep_attrs=False,
    )
    found = found.transpose(*field.dims)
    return found.chunk(field.chunksizes) if is_lazy(field) else found


def _plus_delay(series: Any, delay: Any, up: Any, *, order: Any, factor: float) -> Any:
    """Return series (..., time) plus delay, less its value at the first date that has both."""
    whole = series + np.asarray(delay, np.float64) * (factor / _checked(up))[..., None]
    first = order[np.isfinite(whole[..., order]).argmax(axis=-1)]
    start = np.take_along_axis(whole, first[..., None], axis=-1)
    return (whole - start).astype(series.dtype)
