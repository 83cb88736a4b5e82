"""Checking a sample by eye: which objects to look at, and what the verdicts say of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xinsar.inventory.tables import by_place, checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame

Array = np.ndarray[Any, Any]

INTERVALS = ("clopper-pearson", "wilson")


class FalseAlarms(NamedTuple):
    """What the verdicts on a sample say of the whole inventory."""

    rate: float
    """Estimated share of false alarms in the inventory."""
    lower: float
    """Lower end of the confidence interval."""
    upper: float
    """Upper end."""
    reviewed: int
    """Objects with a verdict."""
    false_alarms: int
    """Those that are no landslide."""
    unreviewed: int
    """Objects of the sample without a verdict; they count for nothing."""
    method: str
    """Interval and confidence."""


def sample_for_review(
    inventory: GeoDataFrame, n: int, *, seed: int = 0, by: str | None = None
) -> GeoDataFrame:
    """Draw objects at random for an analyst to check, with columns to fill in.

    Parameters
    ----------
    inventory
        Outlines. Rows are told apart by ``id`` if there is one, else by place.
    n
        Number of objects; all of them where there are fewer.
    seed
        The same seed and objects give the same sample, in whatever order the rows come.
    by
        Column of classes (strata), each sampled in proportion to its size, and at least once where ``n``
        allows; numbers are cut into four groups of equal size. None: a simple random sample.

    Returns
    -------
    GeoDataFrame
        The sampled rows in the order of the inventory, with ``stratum``, ``stratum_size`` (objects of the
        inventory in it), and ``verdict`` and ``remark``, empty. Fill in ``verdict``: "landslide", or what else
        it is ("subsidence", "snow", "nothing" ...); then :func:`false_alarm_rate`.

    Raises
    ------
    ValueError
        The inventory is empty, ``n`` is not 1 or more, or there is no column ``by``.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 5.1: 100 of 3,366 objects, drawn at random and judged
    on optical images.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> bodies = gpd.GeoDataFrame({"id": range(50)}, geometry=[box(k, 0, k + 1, 1) for k in range(50)])
    >>> sample = sample_for_review(bodies, 5, seed=1)
    >>> len(sample), int(sample["verdict"].count())
    (5, 0)
    """
    from xinsar.operations.checks import whole

    table, n = checked(inventory, "inventory"), whole("n", n)
    if not len(table):
        raise ValueError("inventory: expected objects to sample, got none")
    strata = _strata(table, by)
    names, sizes = np.unique(strata, return_counts=True)
    counts = allocate(sizes, min(n, len(table)))
    rng = np.random.default_rng(seed)
    order = _order(table)
    chosen: list[int] = []
    for name, count in zip(names, counts, strict=True):
        rows = order[strata[order] == name]
        chosen += rng.permutation(rows)[:count].tolist()
    chosen = sorted(chosen)
    size = dict(zip(names, sizes.tolist(), strict=True))
    columns = {
        "stratum": strata[chosen],
        "stratum_size": [size[name] for name in strata[chosen]],
        "verdict": np.full(len(chosen), None, object),
        "remark": np.full(len(chosen), None, object),
    }
    kept = [name for name in table.columns if name != "geometry" and name not in columns]
    return table.iloc[chosen].assign(**columns)[[*kept, *columns, "geometry"]]


def false_alarm_rate(
    reviewed: DataFrame,
    *,
    verdict: str = "verdict",
    right: Sequence[Any] = ("landslide", True),
    confidence: float = 0.95,
    interval: str = "clopper-pearson",
) -> FalseAlarms:
    r"""Estimate the share of false alarms in an inventory from the verdicts on a sample.

    .. math:: \hat p = \sum_h \frac{N_h}{N} \frac{x_h}{n_h}

    over the strata h, with N_h objects in the inventory, n_h with a verdict and x_h false alarms of them. The
    interval of a simple random sample is that of ``interval``. Of a stratified one it is the same interval for
    the effective sample size of Korn and Graubard, n* = p (1 - p) / var(p), var(p) = sum (N_h/N)^2 p_h (1 -
    p_h) / (n_h - 1).

    Parameters
    ----------
    reviewed
        Sample with verdicts, as :func:`sample_for_review` draws it; without ``stratum`` and ``stratum_size`` it
        counts as simple.
    verdict
        Column of verdicts. Missing or empty ones count for nothing: leave them so only where they have nothing
        to do with the answer (not "could not be judged").
    right
        Verdicts that are no false alarm, whatever their case.
    confidence
        Of the interval, within 0..1.
    interval
        ``"clopper-pearson"``: exact, at least ``confidence`` whatever the rate; ``"wilson"``: narrower, about
        ``confidence`` on average.

    Returns
    -------
    FalseAlarms
        rate, lower, upper, reviewed, false_alarms, unreviewed, method.

    Raises
    ------
    ValueError
        There is no column or no verdict, a stratum has none, or an option is not legal.

    Notes
    -----
    The finite size of the inventory is not used: intervals are a little wide where much of it was reviewed.

    References
    ----------
    Clopper and Pearson 1934, Biometrika 26:404-413; Wilson 1927, J. Am. Stat. Assoc. 22:209-212; Korn and Graubard
    1998, Survey Methodology 24:193-201. Fu et al. 2022, section 5.1: 28 of 100 were no landslides.

    Examples
    --------
    >>> import pandas as pd
    >>> verdicts = ["landslide"] * 72 + ["mining"] * 8 + ["nothing"] * 20
    >>> found = false_alarm_rate(pd.DataFrame({"verdict": verdicts}))
    >>> round(found.rate, 2), round(found.lower, 3), round(found.upper, 3)
    (0.28, 0.195, 0.379)
    """
    from xinsar.operations.checks import one_of

    one_of("interval", interval, INTERVALS)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence}")
    false, judged = _verdicts(reviewed, verdict, right)
    sizes, counts, alarms = _by_stratum(reviewed, false, judged)
    shares = alarms / counts
    weights = sizes / sizes.sum()
    rate = float(weights @ shares)
    effective = float(counts.sum())
    if len(counts) > 1 and 0 < rate < 1:
        variance = float((weights**2 * shares * (1 - shares)) @ (1 / np.maximum(counts - 1, 1)))
        effective = min(rate * (1 - rate) / variance, effective) if variance else effective
    bounds = clopper_pearson if interval == INTERVALS[0] else wilson
    lower, upper = bounds(rate * effective, effective, 1 - confidence)
    return FalseAlarms(
        rate,
        lower,
        upper,
        int(counts.sum()),
        int(alarms.sum()),
        int((~judged).sum()),
        f"{interval}, {confidence:.0%}" + (f", {len(counts)} strata" if len(counts) > 1 else ""),
    )


def _strata(table: GeoDataFrame, by: str | None) -> Array:
    """Return the stratum of every row, as text."""
    if by is None:
        return np.full(len(table), "all", object)
    if by not in table:
        raise ValueError(
            f"by: expected a column of the inventory, got {by!r}; it has {', '.join(map(str, table.columns))}"
        )
    values = table[by]
    if values.dtype.kind != "f" and not (values.dtype.kind in "iu" and values.nunique() > 10):
        return np.asarray(values.astype(object).where(values.notna(), "missing").map(str), object)
    edges = np.unique(np.nanquantile(values, [0.25, 0.5, 0.75])) if values.notna().any() else np.zeros(0)
    group = np.searchsorted(edges, np.asarray(values, "f8"), "right")
    names = [f"{by} group {k + 1}" for k in range(edges.size + 1)]
    return np.asarray(
        ["missing" if m else names[k] for k, m in zip(group, values.isna(), strict=True)], object
    )


def allocate(sizes: Array, n: int) -> Array:
    """Return how many of ``n`` to draw from strata of these sizes: in proportion, at least one each where n allows.

    Examples
    --------
    >>> allocate(np.array([900, 90, 10]), 10).tolist()
    [8, 1, 1]
    """
    least = np.ones(len(sizes), int) if n >= len(sizes) else np.zeros(len(sizes), int)
    wanted = n * sizes / sizes.sum()
    counts = np.minimum(np.maximum(np.floor(wanted).astype(int), least), sizes)
    while counts.sum() != n:
        more = counts.sum() < n
        open_ = counts < sizes if more else counts > least
        gap = np.where(open_, wanted - counts if more else counts - wanted, -np.inf)
        counts[int(np.argmax(gap))] += 1 if more else -1
    return np.asarray(counts)


def _order(table: GeoDataFrame) -> Array:
    """Return the order of rows by ``id``, else by place."""
    ids = table.get("id", None)
    if ids is not None and ids.is_unique and ids.notna().all():
        return np.argsort(np.asarray(ids.map(str) if ids.dtype == object else ids), kind="stable")
    return by_place(table.geometry.bounds)


def _verdicts(reviewed: Any, column: str, right: Sequence[Any]) -> tuple[Array, Array]:
    """Return which rows are false alarms, and which have a verdict."""
    if column not in reviewed:
        raise ValueError(
            f"verdict: expected a column {column!r}, got {', '.join(map(str, reviewed.columns))}; name yours"
        )
    words = [_word(value) for value in reviewed[column]]
    judged = np.asarray([word != "" for word in words], bool)
    if not judged.any():
        raise ValueError(f"verdict: expected verdicts in the column {column!r}, got none; fill them in")
    accepted = {_word(value) for value in right}
    return np.asarray([word not in accepted for word in words], bool) & judged, judged


def _word(value: Any) -> str:
    """Return a verdict in small letters, empty where it is missing."""
    import pandas as pd

    return "" if value is None or value is pd.NA or value != value else str(value).strip().lower()


def _by_stratum(reviewed: Any, false: Array, judged: Array) -> tuple[Array, Array, Array]:
    """Return sizes, verdicts and false alarms of each stratum."""
    if "stratum" not in reviewed or "stratum_size" not in reviewed:
        return np.ones(1), np.asarray([judged.sum()], "f8"), np.asarray([false.sum()], "f8")
    strata, size = np.asarray(reviewed["stratum"].map(str)), np.asarray(reviewed["stratum_size"], "f8")
    rows = []
    for name in np.unique(strata):
        here = strata == name
        if not (judged & here).any():
            raise ValueError(f"verdict: expected at least one verdict in every stratum, got none in {name!r}")
        rows.append((size[here][0], (judged & here).sum(), (false & here).sum()))
    sizes, counts, alarms = np.asarray(rows, "f8").T
    return sizes, counts, alarms


def clopper_pearson(hits: float, number: float, alpha: float) -> tuple[float, float]:
    """Return the exact interval of a share: quantiles of two beta distributions."""
    from scipy.stats import beta

    lower = 0.0 if hits <= 0 else float(beta.ppf(alpha / 2, hits, number - hits + 1))
    upper = 1.0 if hits >= number else float(beta.ppf(1 - alpha / 2, hits + 1, number - hits))
    return lower, upper


def wilson(hits: float, number: float, alpha: float) -> tuple[float, float]:
    """Return the interval of a share by the score test; it holds the share itself."""
    from scipy.stats import norm

    z, share = float(norm.ppf(1 - alpha / 2)), hits / number
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * float(np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)))
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)
