"""Tables of no known product: what their names tell is used, what they do not tell is not made up.

A velocity or a series whose unit stands in its name (``vel_mm_yr``, ``D20180101_mm``) becomes ``velocity`` and
``displacement``. Everything else is kept as it is. The product ``ps_table`` is the user's word that velocities are in
mm/year, series in mm, and both positive toward the satellite, as StaMPS and most PS software export them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xinsar import schema
from xinsar.readers.points.layout import (
    PLACE,
    TOWARD,
    Field,
    Layout,
    Reader,
    UnlikeError,
    columns_of,
    identity,
    known,
    placed_by_geometry,
    places,
    rest,
)
from xinsar.readers.points.names import (
    DEGREES,
    IDS,
    PLANE,
    SERIES,
    SIGMAS,
    VELOCITIES,
    Dated,
    dated,
    pair_of,
    plain,
    rate,
)
from xinsar.readers.points.tables import GEOMETRY, Table
from xinsar.readers.points.text import TextTable

Place = tuple[tuple[Field, Field], str | None, str | None, tuple[str, ...]]
"""Fields of x and y, CRS, unit, and the columns they stand in."""


def place_of(table: Table) -> Place | None:
    """Return where the points are: the geometry, else columns of degrees, else columns of a plane."""
    if geometry := placed_by_geometry(table):
        return (*geometry, ())
    if pair := _numbers(table, DEGREES):
        return places(*pair, "degree"), "EPSG:4326", "degree", pair
    if pair := _numbers(table, PLANE):
        return places(*pair, None), None, None, pair
    return None


def _numbers(table: Table, pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the columns of the first pair of names that is there."""
    return pair_of([name for name in table.columns if name not in table.texts], pairs)


def recognise(table: Table, *, named: bool) -> Layout | None:
    """Return the layout of any table with places."""
    place = place_of(table)
    if place is None:
        if named or _worded(table):
            raise UnlikeError(_unplaced(table))
        return None
    return _layout(table, place, product="table")


def recognise_ps(table: Table, *, named: bool) -> Layout | None:
    """Return the layout of a table in mm/year and mm: the user says so, or it looks like StaMPS' own."""
    place = place_of(table)
    if named and place is None:
        raise UnlikeError(_unplaced(table))
    if place is None or not (named or _looks_like_stamps(table)):
        return None
    layout = _layout(table, place, product="ps_table")
    if "velocity" not in {f.name for f in layout.fields}:
        if named:
            raise UnlikeError(
                f"{table.path}: ps_table needs a column of velocities, called vel, velocity, v_mm_yr or the like; the "
                f"file holds {', '.join(table.columns[:40])}; rename yours"
            )
        return None
    if named:
        return layout
    note = (
        f"{table.path.name}: velocities are taken as mm/year and series as mm, positive toward the satellite, as "
        "StaMPS writes them (product='ps_table' says so and ends this warning; names such as vel_m_yr say otherwise)"
    )
    return replace(layout, notes=(*layout.notes, note))


def _worded(table: Table) -> tuple[str, str] | None:
    """Return the columns that are named like places but hold texts."""
    return pair_of(table.columns, DEGREES) or pair_of(table.columns, PLANE)


def _unplaced(table: Table) -> str:
    if pair := _worded(table):
        name = next((n for n in pair if n in table.texts), pair[0])
        return (
            f"{table.path}: expected numbers in the columns {pair[0]!r} and {pair[1]!r} that tell where the points "
            f"are, got {next(iter(table.sample.get(name, ())), '')!r} in {name!r}; write them as decimal numbers"
        )
    return (
        f"{table.path}: expected columns that tell where the points are (lon and lat, easting and northing, or x "
        f"and y), got {', '.join(table.columns[:40])}; rename yours"
    )


def _looks_like_stamps(table: Table) -> bool:
    """Tell whether a text file holds lon, lat, a velocity without unit and bare dates, and hardly anything else."""
    if not isinstance(table, TextTable) or _numbers(table, DEGREES) is None:
        return False
    series = dated(table.columns, file=table.path)
    velocities = [n for n in table.columns if plain(n) in VELOCITIES and rate(n)[1] is None]
    bare = [s for s in series if s.prefix in ("", "d", "x") and s.scale is None and len(s.dates) > 1]
    if len(velocities) != 1 or len(bare) != 1 or len(series) != 1:
        return False
    return len(table.columns) - len(bare[0].columns) <= 8


def _layout(table: Table, place: Place, *, product: str) -> Layout:
    xy, crs, units, used = place
    millimetres = 1e-3 if product == "ps_table" else None
    fields = [*xy, *_rates(table, used, millimetres)]
    series = _best_series(dated(table.columns, file=table.path))
    if series is not None:
        fields.append(_series_field(series, series.scale or millimetres))
    if GEOMETRY[2] in table.columns:
        fields.append(known(schema.ELEVATION, GEOMETRY[2], attrs={"long_name": "height of the geometry"}))
    fields += _ids(table, used)
    more, texts = rest(table, [*columns_of(fields), *used], [f.name for f in fields])
    in_metres = {"velocity", "displacement"} & {f.name for f in fields}
    attrs = {"product": product} | ({"sign": TOWARD} if in_metres else {})
    layout = Layout(product, table, (*fields, *more), left_out=texts, crs=crs, units=units, attrs=attrs)
    layout = replace(layout, dates=series.dates if series else ())
    return replace(layout, notes=tuple(_notes(layout)))


def _rates(table: Table, used: Sequence[str], scale: float | None) -> list[Field]:
    """Return velocity and its error, where their names tell the unit or ``scale`` does."""
    out: list[Field] = []
    for names, variable in ((VELOCITIES, schema.VELOCITY), (SIGMAS, schema.VELOCITY_SIGMA)):
        for column in table.columns:
            base, unit = rate(column)
            metres = unit if unit is not None else scale
            if base in names and metres is not None and column not in (*table.texts, *used):
                out.append(known(variable, column, scale=metres, group=PLACE))
                break
    return out


def _best_series(found: Sequence[Dated]) -> Dated | None:
    """Return the longest series of what may be displacements, None where there is none of two dates or more."""
    able = [s for s in found if s.prefix in SERIES and len(s.dates) > 1]
    return max(able, key=lambda s: len(s.dates), default=None)


def _series_field(series: Dated, scale: float | None) -> Field:
    if scale is not None:
        return known(schema.DISPLACEMENT, *series.columns, dim="time", scale=scale, group="displacement")
    attrs = {"long_name": "series as in the file, unit not told"}
    return Field("series", series.columns, "time", dtype="float64", attrs=attrs, group="displacement")


def _ids(table: Table, used: Sequence[str]) -> list[Field]:
    column = next((n for n in table.columns if plain(n) in IDS and n not in used), None)
    if column is None or (column not in table.texts and not _whole(table, column)):
        return []
    return [identity(column, table)]


def _whole(table: Table, column: str) -> bool:
    """Tell whether the first cells of a column are whole numbers."""
    cells = table.sample.get(column, ())
    return bool(cells) and all(map(_is_whole, cells))


def _is_whole(cell: Any) -> bool:
    """Tell whether a cell is a whole number that a float64, as which it is read, holds exactly."""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    digits = text.lstrip("+-")
    return digits.isdecimal() and int(digits) < 2**53


def _notes(layout: Layout) -> list[str]:
    """Return what the names of the columns do not tell, and how to tell it."""
    name, notes = layout.table.path.name, []
    if layout.crs is None and layout.units is None:
        notes.append(
            f"{name} names no CRS: write one with ds.rio.write_crs('EPSG:...'), or set ds.x.attrs['units']"
        )
    numbers = [c for c in layout.table.columns if c not in layout.table.texts]
    mute = [c for c in numbers if plain(c) in VELOCITIES and rate(c)[1] is None]
    if layout.product == "ps_table":
        return notes
    if any(f.name == "series" for f in layout.fields) or mute:
        notes.append(
            f"{name} does not tell the unit of {' and '.join([*mute[:1], *_dates_said(layout)])}: kept as in the file; "
            "name the columns with their unit (vel_mm_yr, D20180101_mm), or pass product='ps_table' if it is mm/year "
            "and mm"
        )
    return notes


def _dates_said(layout: Layout) -> list[str]:
    return [f"{len(f.columns)} dates" for f in layout.fields if f.name == "series"]


READER = Reader(
    "table",
    "table of points",
    "columns lon and lat, easting and northing, or x and y; or a geometry of points",
    recognise,
    fallback=True,
)
PS_TABLE = Reader(
    "ps_table",
    "table of points in mm/year and mm",
    "columns lon, lat, vel and one per date",
    recognise_ps,
    fallback=True,
)
