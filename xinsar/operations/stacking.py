"""Stacks for comparison: of unwrapped pairs, and of growing numbers of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.mapping import fold_pairs, over_leading
from xinsar.operations import checks
from xinsar.operations.filtering import _coherence
from xinsar.operations.gradient import _kept, phase_gradient_stack
from xinsar.operations.pairs import select_pairs, temporal_baselines


def stack_unwrapped(
    ds: xr.Dataset,
    *,
    max_temporal_baseline: float | None = None,
    max_perpendicular_baseline: float | None = None,
    months: Iterable[int] | None = None,
    min_coherence: float | None = None,
    pairs: Any = None,
    count: int | None = None,
) -> xr.Dataset:
    r"""Stack unwrapped pairs to a line-of-sight velocity, each weighted by its temporal baseline.

    .. math:: v = -\frac{\lambda}{4\pi} \, \frac{\sum_k \varphi_k \Delta t_k}{\sum_k \Delta t_k^2}

    over the pairs that are valid at a pixel: what phase-gradient stacks are compared with.

    Parameters
    ----------
    ds
        Dataset with ``unwrapped_phase`` (pair, y, x), rad, the dates of the pairs, and the attribute
        ``wavelength``, m. Every
        pair should be referenced alike: the constant of a pair goes into the result as it is.
    max_temporal_baseline, max_perpendicular_baseline, months, min_coherence, pairs, count
        As in :func:`xinsar.phase_gradient_stack`.

    Returns
    -------
    xarray.Dataset
        ``velocity`` (y, x), m year-1, positive toward the satellite, float32; lazy if ``ds`` is. NaN where
        no pair is valid.

    Raises
    ------
    xinsar.SchemaError
        If ``unwrapped_phase``, the dates or ``wavelength`` are absent or of the wrong form.
    ValueError
        If no pair is left.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 5.4.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((4, 4), pairs=3).rename(phase="unwrapped_phase")
    >>> xinsar.stack_unwrapped(ds).velocity.attrs["units"]
    'm year-1'
    """
    from xinsar.kernels.weighted import WeightedRate

    months = None if months is None else tuple(months)
    schema.find(ds, schema.UNWRAPPED_PHASE)
    if "wavelength" not in ds.attrs:
        raise schema.SchemaError(
            "wavelength: the dataset needs the attribute; set ds.attrs['wavelength'] in m"
        )
    used = select_pairs(
        ds,
        max_temporal_baseline=max_temporal_baseline,
        max_perpendicular_baseline=max_perpendicular_baseline,
        months=months,
        pairs=pairs,
        count=count,
    )
    fold = WeightedRate(tuple((temporal_baselines(used) / schema.YEAR_IN_DAYS).tolist()))
    rate = over_leading(
        lambda phase, coherence: fold_pairs(
            fold, phase, None, depth=-1, kept=_kept(coherence, min_coherence)
        ),
        schema.find(used, schema.UNWRAPPED_PHASE),
        _coherence(used),
    )["rate"]
    velocity = rate * np.float32(-float(ds.attrs["wavelength"]) / (4 * np.pi))
    history = checks.said(
        "stack_unwrapped",
        max_temporal_baseline=max_temporal_baseline,
        max_perpendicular_baseline=max_perpendicular_baseline,
        months=None if months is None else sorted(months),
        min_coherence=min_coherence,
        pairs=None if pairs is None else np.asarray(pairs).tolist(),
        count=count,
    )
    return schema.assemble([schema.label(schema.VELOCITY, velocity)], ds, history=history)


def stacking_curve(
    ds: xr.Dataset,
    counts: Sequence[int],
    *,
    repeats: int = 1,
    seed: int = 0,
    threshold: float = 4.0,
    max_temporal_baseline: float | None = None,
    max_perpendicular_baseline: float | None = None,
    months: Iterable[int] | None = None,
    pairs: Any = None,
    **options: Any,
) -> xr.Dataset:
    """How strongly motion stands out of the stack, against the number of pairs stacked.

    For each count, that many pairs are drawn at random and stacked; the strength is the share of pixels whose
    ``|gradient_z|``, along either axis, stands out as a normal deviate of ``threshold`` would, averaged
    over the repeats.
    So that counts compare, the limit follows the heavier tails of few pairs (Student's t) and leaves out the factor for
    dates that pairs share. The strength rises while more pairs lift signals out of the noise, and levels off when they
    do not.

    Parameters
    ----------
    ds
        As for :func:`xinsar.phase_gradient_stack`.
    counts
        Numbers of pairs, each at most as many as the selection leaves.
    repeats
        Draws per count.
    seed
        Seed of the draws: one for each (seed, count, repeat), whatever the other counts.
    threshold
        z score above which a pixel counts.
    max_temporal_baseline, max_perpendicular_baseline, months, pairs
        Which pairs to draw from, as in :func:`xinsar.phase_gradient_stack`.
    **options
        Further options of :func:`xinsar.phase_gradient_stack` (``window``, ``dem_error``, ...); the estimator is
        ``"rate"``.

    Returns
    -------
    xarray.Dataset
        ``detection_strength`` (count), 0..1, with the coordinate ``count``; lazy if ``ds`` is. NaN where
        no pixel has a z score (fewer than three dates).

    Raises
    ------
    ValueError
        If a count is below 1 or above the number of pairs, ``repeats`` is below 1, or an option is not legal.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 6.1, who count the landslides detected with 50 to 250 pairs.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.bowl((32, 32), pairs=8)
    >>> xinsar.stacking_curve(ds, [4, 8]).detection_strength.dims
    ('count',)
    """
    if options.pop("estimator", "rate") != "rate":
        raise ValueError("estimator: the curve needs z scores, which only estimator='rate' gives")
    used = select_pairs(
        ds,
        max_temporal_baseline=max_temporal_baseline,
        max_perpendicular_baseline=max_perpendicular_baseline,
        months=months,
        pairs=pairs,
    )
    numbers = _counts(counts, used.sizes["pair"])
    repeats = checks.whole("repeats", repeats)
    threshold = checks.positive("threshold", threshold)
    strength = [
        xr.concat(
            [_strength(used, n, (seed, n, r), threshold, options) for r in range(repeats)], "repeat"
        ).mean("repeat")
        for n in numbers
    ]
    curve = xr.concat(strength, xr.DataArray(numbers, dims="count", name="count")).rename(
        "detection_strength"
    )
    curve.attrs = {
        "long_name": f"share of pixels with |z| above {threshold:g}",
        "units": "1",
        "repeats": repeats,
    }
    history = checks.said("stacking_curve", counts=numbers, repeats=repeats, seed=seed, **options)
    return schema.assemble([curve], ds, history=history)


def _counts(counts: Sequence[int], available: int) -> list[int]:
    numbers = [checks.whole("counts", n, least=0) for n in np.atleast_1d(np.asarray(counts)).tolist()]
    wrong = [n for n in numbers if not 1 <= n <= available]
    if wrong or not numbers:
        came = wrong[0] if wrong else "none"
        raise ValueError(f"counts: expected numbers of pairs within 1..{available}, got {came}")
    return numbers


def _strength(
    ds: xr.Dataset, number: int, key: tuple[int, ...], threshold: float, options: dict[str, Any]
) -> xr.DataArray:
    """Return the share of pixels above ``threshold`` for one draw of pairs; counts are exact in any chunking."""
    drawn = np.random.default_rng(key).choice(ds.sizes["pair"], number, replace=False)
    stack = phase_gradient_stack(ds, pairs=np.sort(drawn), **options)
    score = [abs(stack["gradient_z_y"]), abs(stack["gradient_z_x"])]
    limit = _limit(ds.isel(pair=np.sort(drawn)), threshold)
    above = ((score[0] > limit) | (score[1] > limit)).sum(("y", "x"))
    known = (score[0].notnull() | score[1].notnull()).sum(("y", "x"))
    return (above / known.where(known > 0)).drop_vars("spatial_ref", errors="ignore")


def _limit(ds: xr.Dataset, threshold: float) -> float:
    """Return the z score that noise exceeds as often as a normal deviate exceeds ``threshold``, for these pairs.

    With K pairs the score has the tails of Student's t with K - 1 degrees of freedom; the factor for
    shared dates, which grows with the number of pairs, is taken out again.
    """
    from scipy.stats import norm, t

    number = ds.sizes["pair"]
    dates = np.unique(np.concatenate(schema.check_pairs(ds))).size
    heavy = t.isf(norm.sf(threshold), max(number - 1, 1))
    return float(heavy / np.sqrt(max(1.0, number / dates)))
