"""Control points: where two tracks are compared, and the regression of their difference from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.mapping.controls import along_curve, ranks

if TYPE_CHECKING:
    from xinsar.kernels.gwr import Points

LEAST = 10
"""Fewest control points, and fewest neighbours, of a regression with five unknowns."""
SEARCHED = 5_000
"""Control points, at most, among which the bandwidth is searched."""
WIDE = 2_000
"""Neighbours above which the scaled bandwidth of fewer control points does as well."""
SPREADS = 2.0
"""Spreads from the median velocity within which ground counts as stable where no threshold is given."""
_SIGMA = 1.4826
"""Standard deviation over the median absolute deviation, of a normal distribution."""


class Dates(NamedTuple):
    """Dates of both tracks in days since the auxiliary's first, ascending.

    ``shared`` tells which of the primary's lie within those of the auxiliary.
    """

    primary: Any
    auxiliary: Any
    shared: Any


class Choice(NamedTuple):
    """How control points are chosen: ``control`` is stable, all or given (a mask); ``bandwidth`` None: by AICc."""

    control: str
    bandwidth: int | None
    threshold: float | None
    max_points: int


class Ground(NamedTuple):
    """Coordinates of rows and columns, and what makes places in metres of them.

    On a projection ``north`` and ``east`` are metres. On an ellipsoid places lie in space: ``north`` is the distance
    from the plane of the equator, ``radius`` that from the axis, ``east`` holds the cosine and sine of the longitude.
    """

    y: Any
    x: Any
    north: Any
    east: Any
    radius: Any = None

    @classmethod
    def of(cls, plane: xr.DataArray) -> Ground:
        """Return the ground of a map (y, x)."""
        metric = grid.metric_of(plane)
        y, x = grid.axis(plane, "y"), grid.axis(plane, "x")
        if not (np.isfinite(y).all() and np.isfinite(x).all()):
            raise ValueError(
                "x, y: expected finite coordinates of pixel centres, got others; assign them anew"
            )
        if metric.axes is None:
            return cls(y, x, y * metric.unit[1], x * metric.unit[0])
        grid.check_latitudes(y)
        a, b = metric.axes
        latitude, longitude = np.radians(y), np.radians(x)
        squared = 1 - (b / a) ** 2
        normal = a / np.sqrt(1 - squared * np.sin(latitude) ** 2)
        north, radius = normal * (1 - squared) * np.sin(latitude), normal * np.cos(latitude)
        return cls(y, x, north, np.array([np.cos(longitude), np.sin(longitude)]), radius)

    def points(self, rows: Any, columns: Any, aspect: Any) -> Points:
        """Return places and regressors of pixels; a missing aspect has no direction."""
        from xinsar.kernels.gwr import Points

        if self.radius is None:
            place = np.stack([self.east[columns], self.north[rows]], axis=1)
        else:
            place = np.stack([*(self.east[:, columns] * self.radius[rows]), self.north[rows]], axis=1)
        angle = np.radians(np.ascontiguousarray(aspect, np.float64))
        flat = np.isnan(angle)
        angle[flat] = 0.0
        sine, cosine = np.where(flat, 0.0, np.sin(angle)), np.where(flat, 0.0, np.cos(angle))
        return Points(place, np.stack([self.x[columns], self.y[rows], sine, cosine], axis=1))


class Sample:
    """Pixels that may be control points, one row each: of two samples together the lowest ranks are kept."""

    def __init__(self, limit: int, rank: Any, *columns: Any) -> None:
        kept = _lowest(rank, limit)
        self.limit, self.rank, self.columns = limit, rank[kept], tuple(c[kept] for c in columns)

    def __add__(self, other: Sample) -> Sample:
        joined = (np.concatenate(pair) for pair in zip(self.columns, other.columns, strict=True))
        return Sample(self.limit, np.concatenate([self.rank, other.rank]), *joined)


class Fit(NamedTuple):
    """Control points with their differences (point, date), and how many of them count at a place."""

    control: Points
    values: Any
    neighbours: int


def upward(los: Any) -> Any:
    """Return the upward component of vectors (component, y, x): the cosine of the incidence."""
    up = los[2]
    if (up <= 0).any():
        raise ValueError(
            f"los: expected vectors from the ground up to the satellite, got an up component of {np.nanmin(up):g}; "
            "multiply them by -1 where they point from the satellite to the ground"
        )
    return up


def candidates(
    rows: Any,
    columns: Any,
    primary: Any,
    auxiliary: Any,
    primary_los: Any,
    auxiliary_los: Any,
    aspect: Any,
    *where: Any,
    dates: Dates,
    choice: Choice,
    shape: tuple[int, int],
) -> Sample:
    """Return the pixels of a block that may be control points, with aspect, velocities and differences."""
    both, days = (primary, auxiliary), (dates.primary, dates.auxiliary)
    ups = [upward(los) for los in (primary_los, auxiliary_los)]
    useful = ~np.isnan(ups[0]) & ~np.isnan(ups[1]) & (where[0] if where else True)
    for series, at in zip(both, days, strict=True):
        useful &= _reaches(series, at, dates.primary[dates.shared])
    if choice.threshold is not None:
        rates = [abs(_velocity(s[:, useful], at)) for s, at in zip(both, days, strict=True)]
        useful[useful] = np.maximum(*rates) <= choice.threshold
    r, c = np.nonzero(useful)
    rank = ranks(rows[r], columns[c], shape)
    kept = _lowest(rank, choice.max_points)
    r, c = r[kept], c[kept]
    chosen = [series[:, r, c] for series in both]
    velocities = np.stack([_velocity(s, at) for s, at in zip(chosen, days, strict=True)], axis=1)
    difference = _difference(chosen, [up[r, c] for up in ups], dates)
    places = rows[r], columns[c], aspect[r, c].astype(np.float64)
    return Sample(choice.max_points, rank[kept], *places, velocities, difference.T)


def _reaches(series: Any, days: Any, shared: Any) -> Any:
    """Tell which pixels have a valid date up to the first of ``shared`` and one from the last on."""
    early, late = (~np.isnan(series[part]).all(axis=0) for part in (days <= shared[0], days >= shared[-1]))
    return early & late


def _velocity(series: Any, days: Any) -> Any:
    """Return the velocity of each series (date, pixel), m year-1, by a line."""
    from xinsar.kernels.regression import orthonormal, regression

    years = days / schema.YEAR_IN_DAYS
    basis, row = orthonormal(np.array([np.ones_like(years), years - years.mean()]), 1)
    return regression(series, basis=basis, row=row)[0]


def _difference(series: Any, ups: Any, dates: Dates) -> Any:
    """Return what the regression is fitted to, (date, pixel), at the dates that are shared."""
    from xinsar.kernels.akima import akima

    days = dates.primary[dates.shared]
    primary, auxiliary = (
        akima(one.astype(np.float64), at=at, to=days)
        for one, at in zip(series, (dates.primary, dates.auxiliary), strict=True)
    )
    return primary / ups[0] - (auxiliary - auxiliary[0]) / ups[1]


def _lowest(rank: Any, number: int) -> Any:
    """Return the places of the ``number`` lowest ranks, in their order."""
    if rank.size <= number:
        return np.arange(rank.size)
    return np.sort(np.argpartition(rank, number)[:number])


def fit(sample: Sample, *, choice: Choice, ground: Ground) -> Fit:
    """Return the control points of a sample, and how many of them count at a place."""
    rows, columns, aspect, velocities, difference = sample.columns
    kept = np.isfinite(difference).all(axis=1)
    if choice.control == "stable" and choice.threshold is None:
        kept &= _usual(velocities)
    _enough(int(kept.sum()), choice)
    own = np.flatnonzero(kept)
    own = own[np.argsort(along_curve(rows[own], columns[own], (ground.y.size, ground.x.size)))]
    found = Fit(ground.points(rows[own], columns[own], aspect[own]), difference[own], choice.bandwidth or 0)
    return found if choice.bandwidth else _searched(found, sample.rank[own])


def _usual(velocities: Any) -> Any:
    """Tell which points move no more than is usual, in both tracks, of velocities (point, track)."""
    if not velocities.size:
        return np.zeros(len(velocities), bool)
    apart = abs(velocities - np.median(velocities, axis=0))
    return (apart <= SPREADS * _SIGMA * np.median(apart, axis=0)).all(axis=1)


def _enough(number: int, choice: Choice) -> None:
    """Raise ValueError unless there are enough control points."""
    least = choice.bandwidth or LEAST
    if number < least:
        remedy = {
            "all": "check that the tracks overlap",
            "given": "enlarge the mask",
            "stable": "raise threshold, or give a mask of stable ground as control",
        }[choice.control]
        remedy += ", or lower bandwidth" if number >= LEAST else ""
        raise ValueError(
            f"control: expected {least} control points or more, with values in both tracks up to the first common date "
            f"and from the last one on, got {number}; {remedy}"
        )


def _searched(every: Fit, rank: Any) -> Fit:
    """Return the bandwidth with the least criterion, among an even choice of the points, scaled to all of them.

    Where that makes more than ``WIDE``, points are left out instead, evenly, down to those that were searched.
    """
    from xinsar.kernels.bandwidth import best_bandwidth

    few = _chosen(every, _lowest(rank, SEARCHED))
    best, searched = best_bandwidth(few.values, few.control), len(few.values)
    number = min(rank.size, max(searched, WIDE * searched // best))
    return _chosen(every, _lowest(rank, number))._replace(neighbours=round(best * number / searched))


def _chosen(fit: Fit, which: Any) -> Fit:
    """Return some of the control points."""
    control = type(fit.control)(*(part[which] for part in fit.control))
    return fit._replace(control=control, values=fit.values[which])
