"""Two tracks made one: the series of the auxiliary at the dates of the primary, on the level of the primary."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.mapping import over_leading
from xinsar.mapping.controls import collect, inform
from xinsar.operations import checks, controls
from xinsar.operations import tracks as several
from xinsar.operations.controls import Choice, Dates, Fit, Ground
from xinsar.operations.los import _fields
from xinsar.operations.tracks import Field

_CONTROLS = ("stable", "all")
_DAY = np.timedelta64(1, "D")
_SHORTER = (3, 1)
"""Unknowns of a regression without aspect, and of a mean."""
_TILE, _BLOCK, _SLAB = 8, 64, 2**16
"""Pixels, along a side, that are worked out together, that share a sieve; pixels worked out in one go."""


def fuse_tracks(
    primary: xr.Dataset | xr.DataTree,
    auxiliary: xr.Dataset | None = None,
    *,
    control: str | xr.DataArray = "stable",
    bandwidth: str | int = "aicc",
    threshold: float | None = None,
    max_points: int = 20_000,
    primary_track: str | None = None,
    target: Any = None,
    resampling: str | None = None,
) -> xr.Dataset:
    r"""Bring the series of one track to the dates of another, and on its level, so that the two go together.

    .. math:: \Delta(p, t) = \frac{d_P(p, t)}{\cos i_P} - \frac{\tilde d_A(p, t)}{\cos i_A}, \qquad
       d(p, t) = \tilde d_A(p, t) + \cos i_A \, \hat \Delta(p, t)

    The displacement of the auxiliary track A is interpolated to the dates t of the primary P (Akima's curve through the
    valid dates of each pixel) and counted from the first of them: :math:`\tilde d_A`. Its difference from the primary
    at control points is regressed at every date by geographically weighted regression,
    :math:`\Delta = b_0 + b_1 x + b_2 y + b_3 \sin \alpha + b_4 \cos \alpha` with :math:`\alpha` the aspect and
    coefficients of every place from the control points around it, and the estimate :math:`\hat \Delta` is added.

    Parameters
    ----------
    primary, auxiliary
        A Dataset for each track, or one DataTree of two (the first is the primary). Each holds ``displacement``
        (..., time, y, x), m, 0 at the first date, and ``los`` (component, y, x) or attributes ``heading`` and
        ``incidence``. One of them, the primary first, holds ``aspect`` (y, x; degree).
    control
        Where the difference is fitted. ``"stable"``: where neither track moves, see ``threshold``. A boolean
        DataArray (y, x) on the grid of the result, such as ``~stability_threshold(vel).moving``: where it is True.
        ``"all"``: everywhere, as published; removes most of the motion toward east and west, and warns.
    bandwidth
        How many control points, the nearest, count at a place: a whole number from 10 on, or ``"aicc"``: chosen by the
        corrected Akaike criterion, summed over the dates.
    threshold
        Largest velocity of stable ground in either track, m year-1, by a line through the series. None: 2 standard
        deviations from the median, by the median absolute deviation, in each track.
    max_points
        Most control points. Where there are more, an even choice that no chunking changes; without ``threshold``
        velocities are judged within such a choice.
    primary_track
        Node of a DataTree that is the primary.
    target, resampling
        A track or cube whose grid the result has, and ``"nearest"`` or ``"bilinear"``. Needed where tracks lie on
        different grids. The aspect is always taken from the nearest pixel.

    Returns
    -------
    xarray.Dataset
        Of the auxiliary track, with its attributes (``reference`` is the primary's), on the dates of the primary; lazy
        if a track is:

        ``displacement`` (..., time, y, x)
            m, along the line of sight of the auxiliary, positive toward the satellite, in the dtype of the auxiliary.
        ``bandwidth``, ``control_points``
            How many control points counted at a place, and how many there were.
        ``los`` (component, y, x)
            Where the auxiliary holds it.

    Raises
    ------
    TypeError
        If a track is no Dataset or DataTree, or an option is of the wrong kind.
    xinsar.SchemaError
        If a track lacks the series, its dates or its geometry, or both lack ``aspect``.
    ValueError
        If fewer than two dates of the primary lie within those of the auxiliary, grids differ without ``target`` and
        ``resampling``, an option is not legal, or there is neither a CRS nor a unit of x; when computed, if there are
        fewer than 10 control points or than ``bandwidth``, or displacement is infinite.

    Warns
    -----
    UserWarning
        With ``control="all"``; and where the auxiliary begins later than the primary, whose motion until then the
        result does not hold.

    Notes
    -----
    NaN: a missing date of the auxiliary is bridged; nothing is extrapolated, so dates outside the valid ones of a pixel
    are NaN, and a pixel with fewer than two valid dates is. Where the aspect is NaN, as on flat ground, its sine and
    cosine are 0. Control points have values in both tracks up to the first common date and from the last one on; gaps
    between are bridged.

    The result is 0 at the first date of each pixel. One that begins late counts from there, as those of
    :func:`xinsar.invert_network` do: keep pixels with a value on the first date where that matters.

    The difference of two tracks that look from either side is that of their references, of orbits and of atmosphere,
    and, where ground moves, -2 tan i cos a times the motion eastward (heading a of the primary). So it is fitted where
    the ground is still. What the control points around a place do not tell (aspects that are all alike) is left out;
    where they lie so that a prediction would vary more than a single one of them (all to one side), it is made without
    the aspect, and where that does not help, by their weighted mean.

    The bandwidth is searched, as ``mgwr`` does it, among 5000 control points at most, spread evenly; where there are
    more it is scaled up, to the same share of them. Where that makes more than 2000, points are left out instead, down
    to those 5000. Lazy data is read twice, and a task holds a spatial chunk of all dates. Results do not depend on
    chunks.

    References
    ----------
    Zhang et al. 2022, Remote Sens. 14:2690, section 2.2, who fit all points that both tracks share. Akima 1970, J. ACM
    17:589-602. Fotheringham et al. 2002, Geographically Weighted Regression, Wiley.

    Examples
    --------
    Two tracks whose zeros differ by a tilt see ground that stands still; afterwards both say so.

    >>> import numpy as np, xarray as xr
    >>> from xinsar.operations.fusion import fuse_tracks
    >>> time = np.datetime64("2020-01-01", "ns") + 12 * np.arange(5) * np.timedelta64(1, "D")
    >>> x, y = 20.0 * np.arange(12), -20.0 * np.arange(12)
    >>> aspect = ("y", "x"), np.arange(144.0).reshape(12, 12) * 2.5
    >>> still = ("time", "y", "x"), np.zeros((5, 12, 12))
    >>> tilt = ("time", "y", "x"), 1e-6 * np.arange(5)[:, None, None] * (x + y[:, None])
    >>> coords = {"time": time, "x": ("x", x, {"units": "m"}), "y": y}
    >>> ascending = xr.Dataset({"displacement": still, "aspect": aspect}, coords, {"heading": 348.0, "incidence": 39.0})
    >>> descending = xr.Dataset({"displacement": tilt}, coords, {"heading": 192.0, "incidence": 39.0})
    >>> fused = fuse_tracks(ascending, descending, threshold=0.01)
    >>> bool(abs(fused.displacement).max() < 1e-12), int(fused.control_points)
    (True, 144)
    """
    choice = _choice(control, bandwidth, threshold, max_points)
    tracks = _tracks(primary, auxiliary, primary_track)
    series = [_series(ds, who) for ds, who in zip(tracks, ("primary", "auxiliary"), strict=True)]
    dates = _dates(*series)
    maps = several.on_one_grid(_maps(tracks, series), target, resampling)
    ground = Ground.of(maps[0]["plane"])
    where = _mask(control, maps[0]["plane"])
    found = over_leading(
        lambda p, a: _fused(p, a, maps, where, dates, ground, choice),
        *(m["data"].sortby("time") for m in maps),
    )
    out = _assembled(found, maps[1], tracks[1], series[0]["time"], choice, resampling)
    return _referred(out, tracks[0])


def _choice(control: Any, bandwidth: Any, threshold: Any, max_points: Any) -> Choice:
    """Return the options of the control points, checked."""
    if isinstance(control, str):
        checks.one_of("control", control, _CONTROLS)
    elif not isinstance(control, xr.DataArray):
        raise TypeError(
            f"control: expected 'stable', 'all' or a boolean DataArray (y, x), got {type(control).__name__}"
        )
    said = control if isinstance(control, str) else "given"
    if threshold is not None and said != "stable":
        raise ValueError(
            f"threshold: it tells stable ground for control='stable', got control={said!r}; leave it out"
        )
    if said == "all":
        _warn(
            "control='all' takes motion toward east and west for a difference between the tracks and removes most of "
            "it (16.3 mm/year became 1.6 in a trial); use control='stable' or a mask of stable ground unless you "
            "reproduce published results"
        )
    if isinstance(bandwidth, str):
        checks.one_of("bandwidth", bandwidth, ("aicc",))
    return Choice(
        said,
        None if isinstance(bandwidth, str) else checks.whole("bandwidth", bandwidth, least=controls.LEAST),
        None if threshold is None else checks.positive("threshold", threshold),
        checks.whole("max_points", max_points, least=controls.LEAST),
    )


def _warn(words: str) -> None:
    """Warn where :func:`fuse_tracks` was called."""
    warnings.warn(f"fuse_tracks: {words}", UserWarning, stacklevel=4)


# ---- what comes in ------------------------------------------------------------------------------------------------


def _tracks(primary: Any, auxiliary: Any, primary_track: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the primary and the auxiliary track."""
    if isinstance(primary, xr.DataTree):
        return _of_tree(primary, auxiliary, primary_track)
    if primary_track is not None:
        raise ValueError(
            f"primary_track: it names a node of a DataTree, got {primary_track!r} with Datasets; give the primary first"
        )
    for name, ds in (("primary", primary), ("auxiliary", auxiliary)):
        if not isinstance(ds, xr.Dataset):
            raise TypeError(
                f"{name}: expected an xarray.Dataset of a track, got {type(ds).__name__}; give two Datasets, or one "
                "DataTree of two tracks"
            )
    return primary, auxiliary


def _of_tree(tree: xr.DataTree, auxiliary: Any, primary_track: Any) -> tuple[xr.Dataset, xr.Dataset]:
    if auxiliary is not None:
        raise TypeError(
            f"auxiliary: expected none beside a DataTree, which holds both tracks, got {type(auxiliary).__name__}"
        )
    names = [str(node.name) for node in tree.leaves]
    if len(names) != 2:
        raise ValueError(
            f"primary: expected a DataTree of two tracks, got {len(names)}: {', '.join(names)}; give two Datasets, "
            "e.g. tree['name'].to_dataset()"
        )
    if primary_track not in (None, *names):
        raise ValueError(f"primary_track: expected {names[0]!r} or {names[1]!r}, got {primary_track!r}")
    first = 0 if primary_track is None else names.index(primary_track)
    tracks = [node.to_dataset() for node in tree.leaves]
    return tracks[first], tracks[1 - first]


def _series(ds: xr.Dataset, who: str) -> xr.DataArray:
    """Return the displacement series of a track after checking it."""
    if "displacement" not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        raise schema.SchemaError(
            f"{who}: expected a track with displacement (time, y, x), which holds a series, got: {held}; make it with "
            "invert_network first"
        )
    data = several.field(ds, "displacement")
    if "time" not in data.dims:
        raise schema.SchemaError(
            f"{who}: expected displacement with a dim 'time', got {tuple(map(str, data.dims))}; rename the dim of your "
            "dates"
        )
    dates = data["time"].values if "time" in data.coords else np.zeros(0)
    if not dates.size or dates.dtype.kind != "M" or np.isnat(dates).any():
        came = "NaT" if dates.dtype.kind == "M" else f"dtype {dates.dtype}"
        raise schema.SchemaError(
            f"{who}: expected a date (datetime64) on time for every epoch, got {came if dates.size else 'none'}; "
            "assign them with assign_coords"
        )
    if np.unique(dates).size < dates.size:
        raise schema.SchemaError(f"{who}: expected every date once, got one twice; keep one of them")
    return data


def _maps(tracks: tuple[xr.Dataset, ...], series: list[xr.DataArray]) -> list[Field]:
    """Return what each track gives: a plane of it, its series, its vectors, and the aspect with the first."""
    if series[0].dims != series[1].dims:
        raise ValueError(
            f"displacement: expected the same dims in both tracks, got {series[0].dims} and {series[1].dims}; pick "
            "what is to be fused with isel"
        )
    for d in series[0].dims[:-3]:
        if not series[0][d].equals(series[1][d]):
            raise ValueError(
                f"{d}: expected the same values in both tracks, got {series[0].sizes[d]} and {series[1].sizes[d]} that "
                "differ; pick one with isel"
            )
    found: list[Field] = []
    for ds, data in zip(tracks, series, strict=True):
        plane = data.isel(dict.fromkeys(data.dims[:-2], 0), drop=True)
        found.append({"plane": plane, **_fields(ds, "displacement", None)})
    holder = 1 if "aspect" not in tracks[0] and "aspect" in tracks[1] else 0
    found[holder] |= several.ground(tracks[holder], ("aspect",), "the regression of the difference")
    return found


def _mask(control: Any, plane: xr.DataArray) -> list[xr.DataArray]:
    """Return the mask of control points, if there is one, after checking it."""
    if isinstance(control, str):
        return []
    if control.dtype.kind != "b" or control.dims != ("y", "x"):
        raise schema.SchemaError(
            f"control: expected a boolean mask with dims ('y', 'x'), got dtype {control.dtype} and dims "
            f"{tuple(map(str, control.dims))}; compare to make one, e.g. abs(velocity) < 0.005"
        )
    if (why := several._differs(control, plane)) is not None:
        raise ValueError(
            f"control: expected a mask on the grid of the result, got {why}; bring it there, e.g. with "
            ".interp_like(other, method='nearest')"
        )
    return [control]


def _dates(primary: xr.DataArray, auxiliary: xr.DataArray) -> Dates:
    """Return the dates of two series, after checking that some are shared."""
    own, other = (np.sort(s["time"].values.astype("datetime64[ns]")) for s in (primary, auxiliary))
    spans = [" to ".join(np.datetime_as_string(d[[0, -1]], unit="D")) for d in (own, other)]
    shared = (own >= other[0]) & (own <= other[-1])
    if shared.sum() < 2:
        raise ValueError(
            f"auxiliary: expected two dates or more of the primary ({spans[0]}) within those of the auxiliary "
            f"({spans[1]}), got {shared.sum()}; nothing is extrapolated in time"
        )
    if not shared[0]:
        first = own[shared][0]
        place = int(np.flatnonzero(primary["time"].values.astype(own.dtype) == first)[0])
        _warn(
            f"the auxiliary ({spans[1]}) begins after the primary ({spans[0]}), so the result counts from "
            f"{np.datetime_as_string(first, unit='D')}; before decompose_los count the primary from there too: "
            f"displacement - displacement.isel(time={place})"
        )
    return Dates((own - other[0]) / _DAY, (other - other[0]) / _DAY, shared)


# ---- together -----------------------------------------------------------------------------------------------------


def _together(rows: Any, columns: Any) -> tuple[Any, Any]:
    """Return pixels in an order in which neighbours lie together, and where groups of them end."""
    side = int(max(rows.max(initial=0), columns.max(initial=0))) + 1
    block, tile = (rows // n * side + columns // n for n in (_BLOCK, _TILE))
    order = np.lexsort((tile, block))
    return order, np.append(np.flatnonzero(np.diff(block[order])) + 1, order.size)


def _goes(ends: Any) -> Iterator[tuple[int, Any]]:
    """Yield where each go begins, and where the groups of pixels in it end."""
    begin = first = 0
    while begin < ends[-1]:
        last = max(int(np.searchsorted(ends, begin + _SLAB, "right")), first + 1)
        yield begin, ends[first:last]
        begin, first = int(ends[last - 1]), last


def _corrected(
    fit: Fit,
    rows: Any,
    columns: Any,
    auxiliary: Any,
    los: Any,
    aspect: Any,
    *,
    dates: Dates,
    ground: Ground,
) -> Any:
    """Return the series (date, y, x) of a block at the primary's dates, with the difference added."""
    from xinsar.kernels.akima import akima
    from xinsar.kernels.gwr import gwr

    up = controls.upward(los)
    series = akima(auxiliary, at=dates.auxiliary, to=dates.primary)
    r, c = np.nonzero(np.isfinite(series).any(axis=0) & ~np.isnan(up))
    out = np.full_like(series, np.nan)
    order, ends = _together(r, c)
    shared = np.flatnonzero(dates.shared)[:, None]
    for begin, own in _goes(ends):
        part = order[begin : own[-1]]
        y, x = r[part], c[part]
        points = ground.points(rows[y], columns[x], aspect[y, x])
        found = gwr(
            fit.values, fit.control, points, neighbours=fit.neighbours, ends=own - begin, shorter=_SHORTER
        )
        total = series[shared, y, x] + found.values * up[y, x]
        first = np.isfinite(total).argmax(axis=0)[None]
        out[shared, y, x] = total - np.take_along_axis(total, first, axis=0)
    return out


def _fused(
    primary: xr.DataArray,
    auxiliary: xr.DataArray,
    maps: list[Field],
    where: list[xr.DataArray],
    dates: Dates,
    ground: Ground,
    choice: Choice,
) -> dict[str, xr.DataArray]:
    """Fuse two series (time, y, x) in the order of their dates."""
    los = [m["los"] for m in maps]
    aspect = next(m["aspect"] for m in maps if "aspect" in m)
    whole = collect(
        controls.candidates,
        partial(controls.fit, choice=choice, ground=ground),
        [primary, auxiliary, *los, aspect, *where],
        dates=dates,
        choice=choice,
        shape=(ground.y.size, ground.x.size),
    )
    found = inform(
        _corrected,
        whole,
        [auxiliary, los[1], aspect],
        dim="time",
        size=dates.primary.size,
        dtype=auxiliary.dtype,
        dates=dates,
        ground=ground,
    )
    return {
        "displacement": found,
        "bandwidth": _told(_neighbours, whole),
        "control_points": _told(_number, whole),
    }


def _neighbours(fit: Fit) -> int:
    return fit.neighbours


def _number(fit: Fit) -> int:
    return len(fit.values)


def _told(function: Any, whole: xr.DataArray) -> xr.DataArray:
    """Return a number of the fit."""
    found: xr.DataArray = xr.apply_ufunc(
        function, whole, vectorize=True, dask="parallelized", output_dtypes=[np.int64]
    )
    return found


def _assembled(
    found: dict[str, xr.DataArray],
    maps: Field,
    auxiliary: xr.Dataset,
    time: xr.DataArray,
    choice: Choice,
    resampling: str | None,
) -> xr.Dataset:
    """Return labelled results, with the dates in the order of the primary."""
    moved = found["displacement"].assign_coords(time=np.sort(time.values)).sel(time=time.values)
    labelled = [
        schema.label(schema.DISPLACEMENT, moved.assign_coords(time=time), control=choice.control),
        schema.label(schema.BANDWIDTH, found["bandwidth"]),
        schema.label(schema.CONTROL_POINTS, found["control_points"]),
    ]
    if "los" in auxiliary:
        labelled.append(
            schema.label(schema.LOS, maps["los"].assign_coords(component=list(schema.COMPONENTS)))
        )
    history = checks.said(
        "fuse_tracks",
        control=choice.control,
        bandwidth=choice.bandwidth or "aicc",
        threshold=choice.threshold,
        max_points=choice.max_points,
        resampling=resampling,
    )
    return schema.assemble(labelled, auxiliary, history=history)


def _referred(fused: xr.Dataset, primary: xr.Dataset) -> xr.Dataset:
    """Return the result with the reference of the primary, on whose level it lies."""
    attrs = {name: value for name, value in fused.attrs.items() if name != "reference"}
    own = {"reference": primary.attrs["reference"]} if "reference" in primary.attrs else {}
    return fused.drop_attrs(deep=False).assign_attrs({**attrs, **own})
