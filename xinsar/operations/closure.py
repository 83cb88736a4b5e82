"""Closure of triplets of pairs: where three interferograms of three dates contradict each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.mapping import is_lazy, over_leading, reduce_fields, same_grid
from xinsar.operations import checks
from xinsar.operations.filtering import _coherence
from xinsar.operations.network import _floats, _of_pairs, _on_map, _place, _shift

TOLERANCE = {"unwrapped_phase": np.pi, "phase": np.pi / 2}
"""Largest closure, rad, of a triplet that closes: beyond pi an unwrapped one is nearer to another multiple of 2 pi."""
TIMES = ("first_time", "second_time", "third_time")
"""Coordinates of a triplet."""
_MAPS = ("closure_rms", "triplet_count", "closure_errors", "unchecked_pairs")


def phase_closure(
    ds: xr.Dataset,
    *,
    variable: str | None = None,
    reference: Any = None,
    tolerance: float | None = None,
    threshold: float | None = None,
) -> xr.Dataset:
    r"""Add the phase around every triplet of dates, and count where the pairs contradict each other.

    .. math:: C_{ijk} = \varphi_{ij} + \varphi_{jk} - \varphi_{ik}, \qquad i < j < k

    over all dates whose three pairs exist; of wrapped phase W(C). Without errors of unwrapping C is 0 but for noise and
    what multilooking leaves; an error of one pair adds a multiple of :math:`2 \pi` to all its triplets. A triplet
    closes at a pixel where :math:`|C| \le` ``tolerance``.

    Parameters
    ----------
    ds
        Dataset with ``unwrapped_phase`` or ``phase`` (pair, y, x), rad, and the dates of the pairs.
    variable
        ``"unwrapped_phase"`` or ``"phase"``; default the first of them that the dataset holds.
    reference
        What is taken as 0 in each pair: a point (x, y) or an area ((x0, y0), (x1, y1)) in coordinates of the cube (the
        mean of its valid pixels), or a boolean mask (y, x) on its grid; ``"auto"``: the pixel of highest mean coherence
        among those with all pairs; None: the pairs are referred already. Pairs with a constant of their own do not
        close anywhere without it.
    tolerance
        Largest :math:`|C|` of a triplet that closes, rad. Default pi for unwrapped phase: what exceeds it is an error
        of unwrapping, a multiple of 2 pi other than 0; pi/2 for wrapped phase, which half of pure noise exceeds.
    threshold
        Add ``consistent``: at most this share of the triplets of a pixel does not close, 0..1.

    Returns
    -------
    xarray.Dataset
        Lazy if ``ds`` is, floats in the dtype of the phase:

        ``closure`` (triplet, y, x)
            C, rad, with coordinates ``first_time``, ``second_time``, ``third_time`` on ``triplet``, in their order.
        ``closure_rms`` (y, x)
            Root mean square of C over the valid triplets, rad.
        ``triplet_count`` (y, x)
            Number of triplets whose pairs are all valid.
        ``closure_errors`` (y, x)
            How many of them do not close.
        ``unchecked_pairs`` (y, x)
            Number of valid pairs that belong to no valid triplet: nothing is known of their errors.
        ``closure_error_share`` (pair)
            Share of a pair's valid triplets, over all pixels, that do not close, float64: 1 for a pair that is wrong
            everywhere, a part of it for good pairs that share its triplets.
        ``consistent`` (y, x)
            With ``threshold``; False without a triplet.

    Raises
    ------
    xinsar.SchemaError
        If there is no phase, or it or the dates are of the wrong form.
    ValueError
        If no three pairs make a triplet, an option is not legal, ``reference`` lies outside or cannot be chosen; when
        computed, if phase is infinite or wrapped phase outside (-pi, pi].

    Notes
    -----
    NaN: a triplet is missing at a pixel where one of its pairs is. ``closure_rms`` is NaN without a triplet, the counts
    are 0; ``closure_error_share`` is NaN for a pair without a valid triplet. A pair without value at the reference is
    missing everywhere.

    Statistics run over the triplets one by one, and a task holds a spatial chunk of all pairs. The stack ``closure``
    has as many triplets to a chunk as the phase has pairs: of lazy data nothing of it is made unless it is asked for.
    ``closure_error_share`` reads the data by itself. Results do not depend on chunks.

    References
    ----------
    Triplets and errors of unwrapping: Biggs et al. 2007, Geophys. J. Int. 170:1165-1179; counts of them as a mask:
    Yunjun et al. 2019, Comput. Geosci. 133:104331; bad pairs by their loops: Morishita et al. 2020, Remote Sens.
    12:424. Closure of wrapped phase: De Zan et al. 2015, IEEE Trans. Geosci. Remote Sens. 53:6608-6616.

    Examples
    --------
    >>> import numpy as np, xinsar
    >>> ds = xinsar.simulate.plane((4, 4), pairs=3).rename(phase="unwrapped_phase")
    >>> ds = ds.assign_coords(
    ...     reference_time=("pair", ds.reference_time.values[[0, 1, 0]]),
    ...     secondary_time=("pair", ds.secondary_time.values[[0, 1, 1]]),
    ... )
    >>> ds["unwrapped_phase"][2] = ds.unwrapped_phase[0] + ds.unwrapped_phase[1]
    >>> ds["unwrapped_phase"][2, 0, 0] += 2 * np.pi
    >>> found = phase_closure(ds)
    >>> int(found.closure_errors.sum()), round(float(found.closure[0, 0, 0]), 3)
    (1, -6.283)
    """
    name = _variable(ds, variable)
    given = None if tolerance is None else checks.finite("tolerance", tolerance)
    tolerance = TOLERANCE[name] if given is None else given
    threshold = None if threshold is None else checks.share("threshold", threshold)
    phase = schema.find(ds, schema.VARIABLES[name])
    coherence = _coherence(ds)
    triplets, times = _triplets(ds)
    place = _place(ds, coherence, reference)
    options = {"triplets": triplets, "wrapped": name == "phase", "tolerance": tolerance}
    outputs = over_leading(
        lambda phase, coherence: _closed(phase, coherence, place, options),
        phase,
        coherence,
    )
    labelled = [_labelled(key, out, name, tolerance) for key, out in outputs.items()]
    labelled[0] = labelled[0].assign_coords(times)
    labelled[-1] = labelled[-1].assign_coords({c: ds[c] for c in _of_pairs(phase)})
    if threshold is not None:
        number = outputs["triplet_count"]
        share = outputs["closure_errors"] / number.where(number > 0)
        labelled.append(schema.label(schema.CONSISTENT, share <= threshold, threshold=threshold))
    history = checks.said(
        "phase_closure",
        variable=name,
        reference=place.said if place else None,
        tolerance=given,
        threshold=threshold,
    )
    found = schema.assemble(labelled, ds, history=history)
    return found if place is None else found.assign_attrs(reference=place.said)


def _variable(ds: Any, variable: Any) -> str:
    """Return the name of the phase to close."""
    if variable is not None:
        return checks.one_of("variable", variable, tuple(TOLERANCE))
    return str(schema.find_first(ds, schema.UNWRAPPED_PHASE, schema.PHASE).name)


def _labelled(key: str, out: xr.DataArray, name: str, tolerance: float) -> xr.DataArray:
    """Return a result with its name and attributes."""
    own = {"tolerance": tolerance} if "error" in key else {}
    return schema.label(schema.VARIABLES[key], out, **own).assign_attrs(variable=name)


def _triplets(ds: xr.Dataset) -> tuple[Any, dict[str, Any]]:
    """Return the pairs (triplet, 3) of every triplet, and the coordinates of its dates."""
    from xinsar.kernels.closure import triplets_of

    first, second = schema.check_pairs(ds)
    found = triplets_of(first.astype(np.int64), second.astype(np.int64))
    if not len(found):
        number = np.unique([first, second]).size
        raise ValueError(
            f"pair: expected three pairs that close a triplet of dates (first to second, second to third, first to "
            f"third), got {first.size} pairs of {number} dates without any; add pairs that skip a date"
        )
    dates = first[found[:, 0]], second[found[:, 0]], second[found[:, 1]]
    return found, {
        name: ("triplet", values, {"long_name": f"{name.split('_')[0]} date of the triplet"})
        for name, values in zip(TIMES, dates, strict=True)
    }


def _closed(
    phase: xr.DataArray, coherence: xr.DataArray | None, place: Any, options: dict[str, Any]
) -> dict[str, xr.DataArray]:
    """Return all results of one cube (pair, y, x)."""
    dtype = _floats(phase.dtype)
    phase = _referred(phase.drop_vars(_of_pairs(phase)), coherence, place)
    found = {"closure": _stack(phase, dtype, options), **_maps(phase, dtype, options)}
    found = {name: out.assign_coords(_on_map(phase)) for name, out in found.items()}
    return {**found, "closure_error_share": _shares(phase, options)}


def _referred(phase: xr.DataArray, coherence: xr.DataArray | None, place: Any) -> xr.DataArray:
    """Return the phase less that of the reference, in double precision; the phase itself without a reference."""
    if place is None:
        return phase
    same_grid(phase, None if coherence is None else coherence.drop_vars(_of_pairs(coherence)))
    referred = phase.astype(np.float64) - _shift(phase, coherence, place)
    return np.pi - (np.pi - referred) % (2 * np.pi) if phase.name == "phase" else referred


# ---- the results ------------------------------------------------------------------------------------------------


def _stack(phase: xr.DataArray, dtype: Any, options: dict[str, Any]) -> xr.DataArray:
    """Return the closure of every triplet, (triplet, y, x), made triplet by triplet."""
    triplets, own = options["triplets"], {"wrapped": options["wrapped"], "dtype": dtype}
    if not is_lazy(phase):
        out = np.empty((len(triplets), *phase.shape[1:]), dtype)
        for t, pairs in enumerate(triplets):
            out[t] = _closure_block(*(phase.data[k] for k in pairs), **own)
        return xr.DataArray(out, dims=("triplet", *phase.dims[1:]))
    closure: xr.DataArray = xr.apply_ufunc(
        _closure_block,
        *(phase.isel(pair=xr.DataArray(column, dims="triplet")) for column in triplets.T),
        kwargs=own,
        dask="parallelized",
        output_dtypes=[dtype],
        keep_attrs=False,
    )
    return closure


def _closure_block(*phases: Any, wrapped: bool, dtype: Any) -> Any:
    from xinsar.kernels.closure import phase_closure as kernel

    return kernel(*phases, wrapped=wrapped).astype(dtype, copy=False)


def _maps(phase: xr.DataArray, dtype: Any, options: dict[str, Any]) -> dict[str, xr.DataArray]:
    """Return the statistics of every pixel."""
    results = xr.apply_ufunc(
        _maps_block,
        phase.chunk({"pair": -1}) if is_lazy(phase) else phase,
        input_core_dims=[["pair"]],
        output_core_dims=[[]] * len(_MAPS),
        kwargs={"dtype": dtype, "options": options},
        dask="parallelized",
        output_dtypes=[dtype, *[np.int32] * (len(_MAPS) - 1)],
        keep_attrs=False,
    )
    return dict(zip(_MAPS, results, strict=True))


def _maps_block(block: Any, *, dtype: Any, options: dict[str, Any]) -> Any:
    from xinsar.kernels.closure import closure_statistics

    rms, *counts, _ = closure_statistics(np.moveaxis(block, -1, 0), **options)
    return rms.astype(dtype, copy=False), *counts


class _Counts:
    """Numbers of valid and of open closures of each pair; ``+`` adds two sets of pixels."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(self.numbers + other.numbers)


def _shares(phase: xr.DataArray, options: dict[str, Any]) -> xr.DataArray:
    """Return the share of open closures of each pair."""
    found = reduce_fields(
        partial(_counts_of_block, options=options),
        _share,
        phase.chunk({"pair": -1}) if is_lazy(phase) else phase,
        dims=("pair", "y", "x"),
        name="pair",
        size=phase.sizes["pair"],
    )
    return xr.DataArray(found.data, dims="pair")


def _counts_of_block(block: Any, axes: tuple[int, ...], *, options: dict[str, Any]) -> Any:
    from xinsar.kernels.closure import closure_statistics

    out = np.empty((1,) * len(axes), object)
    out[(0,) * len(axes)] = _Counts(closure_statistics(block, **options)[-1])
    return out


def _share(counts: Any) -> Any:
    valid, opened = counts[()].numbers
    return np.where(valid > 0, opened / np.maximum(valid, 1), np.nan)
