"""Which pairs of a stack are used: by baseline, season, coherence or by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.operations import checks

_DAY = np.timedelta64(1, "D")


def temporal_baselines(ds: xr.Dataset) -> np.ndarray[Any, Any]:
    """Return the temporal baseline of each pair in days."""
    reference, secondary = schema.check_pairs(ds)
    return np.asarray((secondary - reference) / _DAY, np.float64)


def select_pairs(
    ds: xr.Dataset,
    *,
    max_temporal_baseline: float | None = None,
    max_perpendicular_baseline: float | None = None,
    months: Iterable[int] | None = None,
    pairs: Any = None,
    count: int | None = None,
) -> xr.Dataset:
    """Return ``ds`` with the pairs that pass every given rule, in their order.

    Parameters
    ----------
    ds
        Cube with ``reference_time`` and ``secondary_time`` on ``pair``.
    max_temporal_baseline
        Longest temporal baseline, days.
    max_perpendicular_baseline
        Largest absolute perpendicular baseline, m; pairs whose baseline is NaN are left out.
    months
        Months 1..12: both dates of a pair lie in the set, and no month between them lies outside it.
    pairs
        Indices of pairs, or a boolean mask over all of them.
    count
        Use only the first ``count`` of the pairs that are left.

    Raises
    ------
    ValueError
        If no pair is left, or fewer than ``count``; the message tells how many each rule left.
    """
    kept = np.zeros(ds.sizes["pair"], bool)
    kept[_by_hand(pairs, kept.size)] = True
    story = [f"{int(kept.sum())} of {kept.size} pairs"]
    for name, value, rule in (
        ("max_temporal_baseline", max_temporal_baseline, _short),
        ("max_perpendicular_baseline", max_perpendicular_baseline, _near),
        ("months", months, _in_season),
    ):
        if value is not None:
            kept &= rule(ds, value)
            story.append(f"{int(kept.sum())} after {name}={value!r}")
    index = np.flatnonzero(kept)
    least = 1 if count is None else _count(count)
    if index.size < least:
        raise ValueError(
            f"{'pairs' if count is None else 'count'}: expected at least {least} pair(s) for the stack, but the "
            f"selection leaves {index.size} ({', '.join(story)}); relax the selection"
        )
    index = index[:count]
    return ds if index.size == kept.size else ds.isel(pair=index)


def _count(count: Any) -> int:
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"count: expected a whole number of pairs, got {count!r}")
    if count < 1:
        raise ValueError(f"count: expected a whole number of pairs, 1 or more, got {count!r}")
    return int(count)


def _by_hand(pairs: Any, number: int) -> np.ndarray[Any, Any]:
    """Return the indices that ``pairs`` (None, indices or mask) names, ascending."""
    if pairs is None:
        return np.arange(number)
    chosen = np.atleast_1d(np.asarray(pairs))
    if chosen.dtype.kind == "b":
        if chosen.shape != (number,):
            raise ValueError(f"pairs: expected a mask over {number} pairs, got one of shape {chosen.shape}")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1:
        raise ValueError(f"pairs: expected one list of indices, got an array of shape {chosen.shape}")
    if chosen.dtype.kind not in "iu" and chosen.size:
        raise TypeError(f"pairs: expected indices or a boolean mask, got dtype {chosen.dtype}")
    wrong = chosen[(chosen < -number) | (chosen >= number)]
    if wrong.size:
        raise ValueError(f"pairs: expected indices of {number} pairs, got {int(wrong[0])}")
    index = np.unique(chosen.astype(np.int64) % number)
    if index.size != chosen.size:
        raise ValueError("pairs: the same pair is named twice; name each once")
    return index


def _short(ds: xr.Dataset, days: Any) -> np.ndarray[Any, Any]:
    return temporal_baselines(ds) <= checks.positive("max_temporal_baseline", days)


def _near(ds: xr.Dataset, metres: Any) -> np.ndarray[Any, Any]:
    baselines: np.ndarray[Any, Any] = np.abs(perpendicular_baselines(ds))
    return baselines <= checks.positive("max_perpendicular_baseline", metres)


def perpendicular_baselines(ds: xr.Dataset) -> np.ndarray[Any, Any]:
    """Return the perpendicular baseline of each pair, m."""
    if "perpendicular_baseline" not in ds.coords and "perpendicular_baseline" not in ds:
        raise schema.SchemaError(
            "perpendicular_baseline: the dataset has no coordinate perpendicular_baseline(pair); assign it with "
            "assign_coords(perpendicular_baseline=('pair', metres))"
        )
    return np.asarray(ds["perpendicular_baseline"].values, np.float64)


def _in_season(ds: xr.Dataset, months: Any) -> np.ndarray[Any, Any]:
    wanted = _months(months)
    first, last = (d.astype("datetime64[M]").astype(np.int64) for d in schema.check_pairs(ds))
    return np.array(
        [all(m % 12 + 1 in wanted for m in range(a, b + 1)) for a, b in zip(first, last, strict=True)], bool
    )


def _months(months: Any) -> set[int]:
    """Return the months 1..12 as a set."""
    if isinstance(months, str) or not isinstance(months, Iterable):
        raise TypeError(f"months: expected months such as [6, 7, 8], got {months!r}")
    given = list(months)
    if not all(hasattr(m, "__index__") and not isinstance(m, bool) for m in given):
        raise TypeError(f"months: expected whole numbers 1..12, got {given!r}")
    wanted = {int(m) for m in given}
    if not wanted or not wanted <= set(range(1, 13)):
        raise ValueError(f"months: expected months 1..12, got {sorted(wanted)}")
    return wanted


def coherent_pairs(coherence: xr.DataArray, least: float) -> xr.DataArray:
    """Return, per pair and lazily, whether its mean coherence reaches ``least``; a pair without any does not.

    The mean is taken over an exact integer sum, so it does not depend on chunking.
    """
    unit = np.float32(2.0**30)
    number = coherence.notnull().sum(("y", "x"))
    scaled = (coherence.fillna(0.0).astype(np.float32) * unit).round().astype(np.int64)
    threshold = int(np.float32(checks.share("min_coherence", least)) * unit)
    return (scaled.sum(("y", "x")) >= threshold * number) & (number > 0)
