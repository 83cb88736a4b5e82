"""Phase gradients of pairs and their stacks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.mapping import fold_pairs, over_leading, stencil
from xinsar.operations import checks
from xinsar.operations.filtering import _coherence
from xinsar.operations.pairs import coherent_pairs, perpendicular_baselines, select_pairs, temporal_baselines

if TYPE_CHECKING:
    from xinsar.kernels.gradient import Edges

MIN_WEIGHT = 0.5
"""Share of the pixels of both windows of a gradient that must be there."""

ESTIMATORS = ("rate", "wrapped_sum", "sum")
DIRECTIONS = ("map", "range_azimuth")
LONG_BASELINE = 365.0
"""Temporal baseline in days beyond which an unselected sum of wrapped gradients is warned about."""


def phase_gradient(ds: xr.Dataset, *, window: int = 5) -> xr.Dataset:
    r"""Difference of the filtered phase of neighbouring pixels, wrapped, for every pair.

    .. math:: g(p) = \arg\left(z(p+1)\, \overline{z(p)}\right)

    with z the coherence-weighted window sum of :func:`xinsar.coherence_filter` and p+1 the next pixel along increasing
    index.

    Parameters
    ----------
    ds
        Dataset with ``phase`` (pair, y, x), rad within (-pi, pi], else ``unwrapped_phase``, rad; and if known
        ``coherence`` (pair, y, x), 0..1.
    window
        Width of the square window, an odd number of pixels; 1 does not filter.

    Returns
    -------
    xarray.Dataset
        ``gradient_y`` and ``gradient_x`` (pair, y, x), rad per pixel within (-pi, pi], float32; lazy if
        ``ds`` is. A value
        belongs to the edge between its pixel and the next one (attribute ``offset`` = 0.5). y index grows
        southward on a map; the sign goes by the index, whichever way the coordinate runs.

    Raises
    ------
    xinsar.SchemaError
        If there is no phase, or it has wrong dims, dtype or units.
    ValueError
        If ``window`` is not odd; when computed, if phase lies outside (-pi, pi] or coherence outside 0..1.

    Notes
    -----
    NaN where either pixel is missing, where the two windows hold less than half of the pixels they could
    hold inside the
    image, or where a window's coherence sums to 0; the last row of ``gradient_y`` and the last column of ``gradient_x``
    are NaN.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 4.1.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((8, 9), gradient=(0.1, 0.2), pairs=1)
    >>> round(float(xinsar.phase_gradient(ds, window=1).gradient_x[0, 3, 3]), 3)
    0.2
    """
    from xinsar.kernels.filter import phase_gradient as kernel

    window = checks.odd_window(window)
    phase = schema.find_first(ds, schema.PHASE, schema.UNWRAPPED_PHASE)
    down, across = stencil(
        kernel,
        phase,
        _coherence(ds),
        depth=window // 2 + 1,
        outputs=2,
        window=window,
        min_weight=MIN_WEIGHT,
        wrapped=phase.name == "phase",
    )
    attrs = {"units": "rad", "per": "pixel", "window": window}
    return schema.assemble(
        [schema.label(schema.GRADIENT_Y, down, **attrs), schema.label(schema.GRADIENT_X, across, **attrs)],
        ds,
        history=checks.said("phase_gradient", window=window),
    )


def phase_gradient_stack(
    ds: xr.Dataset,
    *,
    window: int = 5,
    estimator: str = "rate",
    max_temporal_baseline: float | None = None,
    max_perpendicular_baseline: float | None = None,
    months: Iterable[int] | None = None,
    min_coherence: float | None = None,
    pairs: Any = None,
    count: int | None = None,
    dem_error: bool = False,
    directions: str = "map",
    normalise: bool = False,
) -> xr.Dataset:
    r"""Stack the phase gradients of many pairs: where the ground bends, without unwrapping.

    With :math:`d_k(p) = z_k(p+1)\,\overline{z_k(p)}` of pair k (see :func:`xinsar.phase_gradient`), the ``estimator``
    gives

    ``"rate"``
        the r that maximises :math:`J(r) = \mathrm{Re} \sum_k w_k u_k e^{-i\,\Delta t_k r}`, :math:`u_k = d_k/|d_k|`,
        :math:`w_k = 1/(1/q(p) + 1/q(p+1))`, :math:`q = c^2/(1-c^2)`, c the window mean of coherence (at
        most .98), over the pixel spacing: rad m-1 year-1;
    ``"wrapped_sum"``
        :math:`W(\sum_k \arg d_k)`, rad per pixel, the stack of the paper before unwrapping;
    ``"sum"``
        :math:`\sum_k \arg d_k`, rad per pixel, without the outer wrap.

    Parameters
    ----------
    ds
        Dataset with ``phase`` (pair, y, x), rad within (-pi, pi], else ``unwrapped_phase``; if known ``coherence``
        (pair, y, x), 0..1; coordinates ``reference_time`` and ``secondary_time`` on ``pair``. ``"rate"``
        needs the pixel spacing in metres: a CRS, or ``x.attrs["units"]``.
    window
        Width of the square window of the coherence-weighted filter, an odd number of pixels; 1 does not filter.
    estimator
        ``"rate"``, ``"wrapped_sum"`` or ``"sum"``.
    max_temporal_baseline, max_perpendicular_baseline, months, pairs, count
        Which pairs to use: days; m; months 1..12 that hold both dates and all between; indices or mask;
        the first so many.
    min_coherence
        Use pairs whose mean coherence reaches this, 0..1; found when computed.
    dem_error
        Fit an elevation error with the rate (needs ``perpendicular_baseline``, and attributes ``wavelength``,
        ``incidence`` and if known ``slant_range``); only with ``"rate"``.
    directions
        ``"map"``: along the axes; ``"range_azimuth"``: rotated by the attribute ``heading``,
        ``gradient_x`` along ground
        range (away from the satellite) and ``gradient_y`` along azimuth (flight direction). Not for ``"wrapped_sum"``.
    normalise
        With ``"sum"``: scale by total over own ``stack_years`` where pairs are missing.

    Returns
    -------
    xarray.Dataset
        On (y, x), lazy if ``ds`` is: ``gradient_y``, ``gradient_x`` (float32); ``pair_count``, the pairs used;
        ``stack_years``, the sum of their temporal baselines, year. ``"rate"`` adds ``gradient_coherence_y``,
        ``gradient_coherence_x`` = J(r) / sum w, 0..1, and ``gradient_z_y``, ``gradient_z_x`` = r over its
        standard error.
        Gradients belong to the edge half a pixel further along the index (attribute ``offset``).

    Raises
    ------
    xinsar.SchemaError
        If phase, dates or a needed coordinate or attribute is absent or of the wrong form.
    ValueError
        If an option is not legal, no pair is left, or the pixel size is unknown; when computed, if phase lies outside
        (-pi, pi] or coherence outside 0..1.

    Warns
    -----
    UserWarning
        If wrapped gradients of pairs longer than a year are summed without ``max_temporal_baseline``: one
        fringe between neighbouring pixels is lost from the sum.

    Notes
    -----
    NaN rule of a pair as in :func:`xinsar.phase_gradient`; a pair that is missing at an edge is left out
    there. NaN where
    no pair is left. ``gradient_z`` is NaN below three dates and within 10 % of the alias limit pi /
    (common divisor of the intervals): there a faster rate of the other sign fits as well. Its variance is
    :math:`\sum w\,\epsilon^2 / ((K-1) \sum w\,\Delta t^2)` times pairs per date (noise is shared by the
    pairs of a date), with the mean squared residual inferred from J, see :mod:`xinsar.kernels.rate`.

    For a plane the gradient is exact up to pi / window rad per pixel and pair where both windows are
    complete; at borders,
    gaps and steps of coherence the filtered gradient is biased, down to half. Sinking ground (phase grows,
    away from the
    satellite) shows as a positive then negative couple along increasing index, ground moving toward it as the opposite.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, sections 4.1 and 6.1.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((16, 16), gradient=(0.0, 0.1), pairs=6)
    >>> stack = xinsar.phase_gradient_stack(ds, estimator="sum", window=1)
    >>> round(float(stack.gradient_x[8, 8]), 3)
    0.6
    """
    window = checks.odd_window(window)
    months = None if months is None else tuple(months)
    options = {
        "estimator": checks.one_of("estimator", estimator, ESTIMATORS),
        "max_temporal_baseline": max_temporal_baseline,
        "max_perpendicular_baseline": max_perpendicular_baseline,
        "months": months,
        "min_coherence": min_coherence,
        "pairs": None if pairs is None else np.asarray(pairs).tolist(),
        "count": count,
        "dem_error": dem_error,
        "directions": directions,
        "normalise": normalise,
    }
    _check_options(estimator, dem_error=dem_error, directions=directions, normalise=normalise)
    schema.find_first(ds, schema.PHASE, schema.UNWRAPPED_PHASE)
    schema.check_pairs(ds)
    used = select_pairs(
        ds,
        max_temporal_baseline=max_temporal_baseline,
        max_perpendicular_baseline=max_perpendicular_baseline,
        months=months,
        pairs=pairs,
        count=count,
    )
    _warn_of_aliases(used, estimator, max_temporal_baseline)
    fold = _fold(used, window, estimator, dem_error=dem_error, normalise=normalise)
    outputs = over_leading(
        lambda phase, coherence: _stack(ds, fold, phase, coherence, min_coherence, estimator, directions),
        schema.find_first(used, schema.PHASE, schema.UNWRAPPED_PHASE),
        _coherence(used),
    )
    attrs = {"estimator": estimator, "window": window, "directions": directions}
    history = checks.said("phase_gradient_stack", window=window, **{k: v or None for k, v in options.items()})
    return schema.assemble(_labelled(outputs, fold, attrs), ds, history=history)


def _stack(
    ds: xr.Dataset,
    fold: Edges,
    phase: xr.DataArray,
    coherence: xr.DataArray | None,
    min_coherence: float | None,
    estimator: str,
    directions: str,
) -> dict[str, xr.DataArray]:
    """Fold one stack (pair, y, x); return gradients in their final unit and direction, with their quality."""
    spacing = grid.pixel_spacing(ds) if estimator == "rate" else None
    turn = _rotation(ds) if directions == "range_azimuth" else None
    kept = _kept(coherence, min_coherence)
    outputs = fold_pairs(fold, phase, coherence, depth=fold.window // 2, kept=kept)
    if spacing is not None:
        outputs = _per_metre(outputs, spacing)
    if turn is not None:
        outputs = _turn(outputs, *turn)
    for d in "yx":
        sigma = outputs.pop(f"gradient_sigma_{d}", None)
        if sigma is not None:
            outputs[f"gradient_z_{d}"] = outputs[f"gradient_{d}"] / sigma
    return outputs


def _check_options(estimator: str, *, dem_error: bool, directions: str, normalise: bool) -> None:
    checks.one_of("directions", directions, DIRECTIONS)
    if dem_error and estimator != "rate":
        raise ValueError(
            f"dem_error: only estimator='rate' fits an elevation error, got estimator={estimator!r}"
        )
    if normalise and estimator != "sum":
        raise ValueError(f"normalise: only estimator='sum' can be scaled, got estimator={estimator!r}")
    if directions == "range_azimuth" and estimator == "wrapped_sum":
        raise ValueError(
            "directions: a wrapped sum cannot be rotated; use estimator='rate' or 'sum' with directions='range_azimuth'"
        )


def _warn_of_aliases(ds: xr.Dataset, estimator: str, limit: float | None) -> None:
    longest = temporal_baselines(ds).max()
    if estimator != "rate" and limit is None and longest > LONG_BASELINE:
        warnings.warn(
            f"phase_gradient_stack: pairs of up to {longest:.0f} days are summed; where neighbouring pixels "
            "differ by half a fringe in a pair, that fringe is lost: set max_temporal_baseline (36 days in Fu et al. "
            "2022) or use estimator='rate'",
            UserWarning,
            stacklevel=3,
        )


def _kept(coherence: xr.DataArray | None, min_coherence: float | None) -> xr.DataArray | None:
    """Return which pairs are coherent enough, lazily; None where nobody asked."""
    if min_coherence is None:
        return None
    if coherence is None:
        raise schema.SchemaError(
            "min_coherence: the dataset has no coherence to choose pairs by; leave it out"
        )
    return coherent_pairs(coherence, min_coherence)


def _fold(ds: xr.Dataset, window: int, estimator: str, *, dem_error: bool, normalise: bool) -> Edges:
    """Return the fold over pairs that ``estimator`` names, with everything it knows about them."""
    from xinsar.kernels.gradient import Sum, WrappedSum
    from xinsar.kernels.rate import Rate

    ticks, step = _ticks(ds)
    wrapped = "phase" in ds
    common: dict[str, Any] = {
        "window": window,
        "min_weight": MIN_WEIGHT,
        "wrapped": wrapped,
        "ticks": ticks,
        "step": step,
    }
    if estimator == "wrapped_sum":
        return WrappedSum(**common)
    if estimator == "sum":
        return Sum(**common, normalise=normalise)
    reference, secondary = schema.check_pairs(ds)
    _, index = np.unique(np.concatenate([reference, secondary]), return_inverse=True)
    dates = tuple(zip(*(part.tolist() for part in np.split(index, 2)), strict=True))
    return Rate(**common, dates=dates, levers=_levers(ds) if dem_error else None)


def _ticks(ds: xr.Dataset) -> tuple[tuple[int, ...], int]:
    """Return the intervals as whole numbers of their common divisor, and that divisor in minutes.

    Intervals within half an hour of whole days count as whole days; others go by the minute.
    """
    days = temporal_baselines(ds)
    whole = bool(np.abs(days - days.round()).max() < 1 / 48) and days.min() > 0.5
    unit = 1440 if whole else 1
    minutes = [max(round(n * 1440 / unit), 1) * unit for n in days]
    divisor = gcd(*minutes)
    return tuple(n // divisor for n in minutes), divisor


def _levers(ds: xr.Dataset) -> tuple[float, ...]:
    """Return the phase per metre of elevation error of each pair: ``-4 pi B_perp / (wavelength R sin incidence)``."""
    missing = [name for name in ("wavelength", "incidence") if name not in ds.attrs]
    if missing:
        raise schema.SchemaError(
            f"dem_error: the dataset needs the attribute {missing[0]!r}; set ds.attrs[{missing[0]!r}] "
            "(wavelength in m, incidence in degree)"
        )
    reach = float(ds.attrs.get("slant_range", 850e3)) * np.sin(np.radians(float(ds.attrs["incidence"])))
    levers = -4 * np.pi * perpendicular_baselines(ds) / (float(ds.attrs["wavelength"]) * reach)
    if not np.isfinite(levers).all():
        raise ValueError(
            "dem_error: perpendicular_baseline has missing values; choose pairs that have one with pairs="
        )
    return tuple(levers.tolist())


def _per_metre(
    outputs: dict[str, xr.DataArray], spacing: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
) -> dict[str, xr.DataArray]:
    """Divide gradients and their errors by the pixel spacing."""
    for d, size in zip("yx", spacing, strict=True):
        metres = xr.DataArray(size.astype(np.float32), dims="y")
        for name in (f"gradient_{d}", f"gradient_sigma_{d}"):
            outputs[name] = (outputs[name] / metres).transpose("y", "x")
    return outputs


def _rotation(ds: xr.Dataset) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Return cos and sin of the heading, and the signs that turn x and y index into east and north."""
    if "heading" not in ds.attrs:
        raise schema.SchemaError(
            "heading: directions='range_azimuth' needs the attribute; set ds.attrs['heading'], degree from north"
        )
    heading = np.radians(float(ds.attrs["heading"]))
    signs = (np.sign(grid.step(ds, name)) for name in "xy")
    return tuple(np.float32(v) for v in (np.cos(heading), np.sin(heading), *signs))  # type: ignore[return-value]


def _turn(
    outputs: dict[str, xr.DataArray], cosine: Any, sine: Any, to_east: Any, to_north: Any
) -> dict[str, xr.DataArray]:
    """Rotate to ground range and azimuth (right-looking); the errors of both axes count as independent."""
    east, north = to_east * outputs["gradient_x"], to_north * outputs["gradient_y"]
    turned = {"gradient_x": cosine * east - sine * north, "gradient_y": sine * east + cosine * north}
    if "gradient_sigma_x" in outputs:
        for own, other in (("x", "y"), ("y", "x")):
            part = [outputs[f"gradient_coherence_{d}"] for d in (own, other)]
            sigma = [outputs[f"gradient_sigma_{d}"] for d in (own, other)]
            turned[f"gradient_coherence_{own}"] = cosine**2 * part[0] + sine**2 * part[1]
            turned[f"gradient_sigma_{own}"] = np.sqrt((cosine * sigma[0]) ** 2 + (sine * sigma[1]) ** 2)
    return {**outputs, **turned}


def _labelled(outputs: dict[str, xr.DataArray], fold: Edges, attrs: dict[str, Any]) -> list[xr.DataArray]:
    rate = attrs["estimator"] == "rate"
    own = {"units": "rad m-1 year-1"} if rate else {"units": "rad", "per": "pixel"}
    if rate:
        own["alias_limit"] = np.pi / fold.years(gcd(*(t for t in fold.ticks if t > 0)))
        own["alias_limit_units"] = "rad year-1 per pixel"
    return [
        schema.label(
            schema.VARIABLES[name], out, **(attrs | own if name in ("gradient_y", "gradient_x") else {})
        )
        for name, out in outputs.items()
    ]
