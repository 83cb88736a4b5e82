"""What the name of a column gives away: a date, a unit, a place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

_DATE = re.compile(
    r"""(?P<prefix>|.*?[^\d])?[_\-.\ ]*
        (?P<year>(?:19|20)\d\d)(?P<sep>[-_./]?)(?P<month>\d\d)(?P=sep)(?P<day>\d\d)
        (?:[T\ _]\d\d:?\d\d(?::?\d\d)?Z?)?
        (?:[_\-\ ]*[\[(]?(?P<unit>mm|cm|m)[\])]?)?
        (?P<again>\.\d+)?$""",
    re.VERBOSE | re.IGNORECASE,
)
_RATE = re.compile(
    r"""(?P<base>.*?)[_\-\ ]*[\[(]?(?P<unit>mm|cm|m)[_\-\ ./]*(?:per)?[_\-\ ./]*(?:year|yr|y|a)(?:\^?-1)?[\])]?$""",
    re.VERBOSE | re.IGNORECASE,
)
_BRACKETS = re.compile(r"\s*[\[(].*?[\])]\s*$")

METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
"""Metres in a unit of length."""

VELOCITIES = frozenset((
    "velocity", "vel", "v", "mean_velocity", "mean_vel", "meanvel", "meanvelocity", "vel_mean", "velocity_mean",
    "avg_vel", "average_velocity", "mean_veloc", "vlos", "v_los", "vel_los", "velocity_los", "los_velocity", "los_vel",
    "linear_velocity", "rate",
))  # fmt: skip
"""Names of the velocity of a point, lower case, without unit."""

SIGMAS = frozenset((
    "velocity_std", "vel_std", "v_std", "v_stdev", "vel_stdev", "std_vel", "velocity_sigma", "vel_sigma", "v_sigma",
    "sigma_v", "sigma_vel", "mean_velocity_std", "mean_vel_std", "velocity_error", "vel_error", "vel_err",
    "velocity_uncertainty",
))  # fmt: skip
"""Names of its standard error."""

SERIES = frozenset(
    ("", "d", "x", "disp", "displacement", "dis", "def", "defo", "deformation", "ts", "cum", "los", "d_los")
)
"""What stands before the dates of displacements."""

DEGREES = (("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("lng", "lat"))
"""Names of longitude and latitude, lower case."""

PLANE = (
    ("easting", "northing"),
    ("x", "y"),
    ("utm_x", "utm_y"),
    ("x_utm", "y_utm"),
    ("coord_x", "coord_y"),
    ("x_coord", "y_coord"),
    ("xcoord", "ycoord"),
    ("east", "north"),
)
"""Names of coordinates in a plane, lower case."""

IDS = frozenset(("id", "pid", "point_id", "pointid", "ps_id", "psid", "pnt_id", "code", "name", "ident"))
"""Names of what identifies a point, lower case."""


class Dated(NamedTuple):
    """Columns of one quantity at several dates, earliest first; ``scale`` to metres where the names tell."""

    prefix: str
    dates: tuple[np.datetime64, ...]
    columns: tuple[str, ...]
    scale: float | None


def plain(name: str) -> str:
    """Return a name in lower case, words joined by ``_``, without what stands in brackets at its end.

    >>> plain("Mean Velocity [mm/yr]")
    'mean_velocity'
    """
    return re.sub(r"[\s\-.]+", "_", _BRACKETS.sub("", name).strip().lower())


def rate(name: str) -> tuple[str, float | None]:
    """Return what a rate is called, and metres per year in its unit where the name tells.

    >>> rate("VEL"), rate("v_mm_yr"), rate("velocity [m/year]")
    (('vel', None), ('v', 0.001), ('velocity', 1.0))
    """
    found = _RATE.match(name.strip())
    if found is None or not found["base"]:
        return plain(name), None
    return plain(found["base"]), METRES[found["unit"].lower()]


def dated(names: Iterable[str], *, file: object) -> tuple[Dated, ...]:
    """Return the columns whose names hold a date, by what stands before it.

    Raises ValueError where a date appears twice.

    >>> [(s.prefix, s.columns) for s in dated(["id", "D20180113", "D20180101"], file="a.shp")]
    [('d', ('D20180101', 'D20180113'))]
    """
    heaps: dict[str, dict[np.datetime64, tuple[str, str | None]]] = {}
    for name in names:
        found = _DATE.match(name.strip())
        day = _day(found) if found else None
        if found is None or day is None:
            continue
        heap = heaps.setdefault(plain(found["prefix"] or "").strip("_"), {})
        if day in heap:
            raise ValueError(
                f"{file}: expected every date once, got {str(day)[:10]} in the columns {heap[day][0]!r} and {name!r}; "
                "remove one"
            )
        heap[day] = name, found["unit"]
    return tuple(_in_order(prefix, heap) for prefix, heap in heaps.items())


def _day(found: re.Match[str]) -> np.datetime64 | None:
    try:
        return np.datetime64(date(int(found["year"]), int(found["month"]), int(found["day"])), "ns")
    except ValueError:
        return None


def _in_order(prefix: str, heap: dict[np.datetime64, tuple[str, str | None]]) -> Dated:
    days = sorted(heap)
    units = {(heap[d][1] or "").lower() for d in days}
    scale = METRES.get(units.pop()) if len(units) == 1 else None
    return Dated(prefix, tuple(days), tuple(heap[d][0] for d in days), scale)


def pair_of(columns: Sequence[str], pairs: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the columns that go by the first of ``pairs`` that is there, as they are written."""
    by_name = {plain(name): name for name in reversed(columns)}
    found = (pair for pair in pairs if pair[0] in by_name and pair[1] in by_name)
    return next(((by_name[a], by_name[b]) for a, b in found), None)
