"""StaMPS: the time series export of the StaMPS Visualizer.

Layout: manual of thho/StaMPS_Visualizer (CC BY 4.0). Columns ``export_res_1`` ...; the first line of numbers holds
longitude and latitude of the reference, NaN, and the MATLAB day number minus 1 of every date; each further line
longitude, latitude, velocity (mm/year) and displacements (mm), positive toward the satellite as StaMPS plots them.
"""

from __future__ import annotations

import math
import re

import numpy as np

from xinsar import schema
from xinsar.readers.points.layout import PLACE, TOWARD, Layout, Reader, UnlikeError, known, places
from xinsar.readers.points.tables import Table, number
from xinsar.readers.points.text import TextTable, later

_HEADER = re.compile(r"export_res_?\s*\d+$")
_UNIX_DAY = 719529
"""MATLAB day number of 1970-01-01."""

_DAY = 86_400_000_000_000


def recognise(table: Table, *, named: bool) -> Layout | None:
    """Return the layout of a StaMPS export."""
    ours = isinstance(table, TextTable) and all(_HEADER.match(name) for name in table.columns)
    if not ours or not isinstance(table, TextTable):
        if named:
            raise UnlikeError(
                f"{table.path}: stamps needs columns export_res_1, export_res_2, ...; the file holds "
                f"{', '.join(table.columns[:10])}"
            )
        return None
    reference = [number(cells[0]) if cells else math.nan for cells in table.sample.values()]
    dates = _dates(reference, table)
    names = ("lon", "lat", "velocity", *(str(day)[:10] for day in dates))
    fields = (
        *places("lon", "lat", "degree"),
        known(schema.VELOCITY, "velocity", scale=1e-3, group=PLACE),
        known(schema.DISPLACEMENT, *names[3:], dim="time", scale=1e-3, group="displacement"),
    )
    attrs = {"product": "stamps", "reference": reference[:2], "sign": TOWARD}
    return Layout("stamps", later(table, names), fields, dates, "EPSG:4326", "degree", attrs)


def _dates(first: list[float], table: Table) -> tuple[np.datetime64, ...]:
    """Return the dates in the first line of numbers."""
    days = first[3:]
    if (
        len(first) < 4
        or not all(400_000 < day < 900_000 for day in days)
        or np.diff(days).min(initial=1) <= 0
    ):
        raise ValueError(
            f"{table.path}: expected a first line of longitude, latitude, NaN and ascending MATLAB day numbers minus "
            f"1, got {first[:6]}; export it again as the StaMPS Visualizer's manual says"
        )
    return tuple(np.datetime64(round((day + 1 - _UNIX_DAY) * _DAY), "ns") for day in days)


READER = Reader(
    "stamps",
    "StaMPS Visualizer export",
    "a CSV with columns export_res_1, export_res_2, ...",
    recognise,
)
