"""What the columns of a table mean: variables, units, signs, dates, and what the product tells about the track."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xinsar import schema
from xinsar.readers.points.tables import GEOMETRY, Table

PLACE, VALUES, NAMES = "place", "values", "names"
"""Groups of variables that are read together: places and rates; other numbers; what identifies points."""

TOWARD = "velocities and displacements are positive toward the satellite"
"""The sign of everything measured along the line of sight."""

_AXES = {
    "m": ({"units": "m"}, {"units": "m"}),
    "degree": ({"units": "degrees_east"}, {"units": "degrees_north"}),
}


class UnlikeError(ValueError):
    """A table is not of the product the user named; the message says what it lacks."""


@dataclass(frozen=True)
class Field:
    """One variable of the dataset and the columns its values stand in.

    Parameters
    ----------
    name
        Of the variable.
    columns
        One, or as many as ``dim`` has places (None: missing values).
    dim
        The dim in front of ``point``: ``"component"`` or ``"time"``, or None.
    scale
        Multiplies the numbers.
    dtype
        Of the variable; ``object`` or ``<U..`` for texts.
    attrs
        Its attributes.
    group
        Variables of one group are read together.
    coordinate
        Whether it is a coordinate rather than a data variable.
    """

    name: str
    columns: tuple[str | None, ...]
    dim: str | None = None
    scale: float = 1.0
    dtype: str = "float32"
    attrs: Mapping[str, Any] = field(default_factory=dict)
    group: str = VALUES
    coordinate: bool = False


@dataclass(frozen=True)
class Layout:
    """One table understood.

    Parameters
    ----------
    product
        Name of the reader.
    table
        The table.
    fields
        Its variables, those named x and y first.
    dates
        Dates of the variables on ``time``.
    crs, units
        CRS of x and y; without one, their unit (``"m"``, ``"degree"`` or None).
    attrs
        Attributes of the dataset.
    track
        What files must share to be joined, in words by name.
    part
        What no two files of one track may share; None where nothing tells.
    component
        ``"east"`` or ``"up"`` where values are a component of motion rather than along the line of sight.
    left_out
        Columns of texts that are not read.
    notes
        Sentences for the warning.
    """

    product: str
    table: Table
    fields: tuple[Field, ...]
    dates: tuple[np.datetime64, ...] = ()
    crs: str | None = None
    units: str | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    track: Mapping[str, Any] = field(default_factory=dict)
    part: tuple[Any, ...] | None = None
    component: str | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """One product of points.

    Parameters
    ----------
    name
        Value of ``product=``.
    title
        What it is called.
    looks_for
        Its columns, for messages.
    recognise
        Returns the layout of a table, or None where the table is another product. ``named``: the user named this
        product, so that what tables of others lack is an :class:`UnlikeError`. Any other ValueError says what is wrong
        with a table of this product.
    fallback
        Asked only where no other reader knows a table.
    """

    name: str
    title: str
    looks_for: str
    recognise: Callable[..., Layout | None]
    fallback: bool = False


def known(variable: schema.Variable, *columns: str | None, dim: str | None = None, **options: Any) -> Field:
    """Return the field of a variable of the cube table."""
    options.setdefault("dtype", "float32")
    attrs = {"long_name": variable.long_name, "units": variable.units, **options.pop("attrs", {})}
    return Field(variable.name, columns, dim, attrs=attrs, **options)


def own(name: str, column: str, long_name: str = "", units: str | None = None, **options: Any) -> Field:
    """Return the field of a number kept under a name of its own."""
    attrs = ({"long_name": long_name} if long_name else {}) | ({"units": units} if units else {})
    return Field(name, (column,), attrs=attrs, **options)


def places(x: str, y: str, units: str | None) -> tuple[Field, Field]:
    """Return the fields of the coordinates x and y."""
    x_attrs, y_attrs = _AXES.get(str(units), ({}, {}))
    made = {"dtype": "float64", "group": PLACE, "coordinate": True}
    return (
        Field("x", (x,), attrs={"axis": "X", **x_attrs}, **made),  # type: ignore[arg-type]
        Field("y", (y,), attrs={"axis": "Y", **y_attrs}, **made),  # type: ignore[arg-type]
    )


def identity(column: str, table: Table, *, longest: int | None = None, text: bool = False) -> Field:
    """Return the field of the coordinate ``id``; ``longest``: what its texts never exceed, if they do so at first."""
    short = longest and all(len(str(cell)) <= longest for cell in table.sample.get(column, ()))
    texts = text or column in table.texts
    kind = "int64" if not texts else f"<U{longest}" if short else "object"
    attrs = {"long_name": f"point, as the column {column} names it"}
    return Field("id", (column,), dtype=kind, attrs=attrs, group=NAMES, coordinate=True)


def placed_by_geometry(table: Table) -> tuple[tuple[Field, Field], str | None, str | None] | None:
    """Return x and y, CRS and unit of a table with a geometry, or None."""
    if GEOMETRY[0] not in table.columns:
        return None
    units = unit_of(table.crs)
    return places(GEOMETRY[0], GEOMETRY[1], units), table.crs, units


def unit_of(crs: str | None) -> str | None:
    """Return ``"degree"``, ``"m"``, or None for a CRS in another unit and where there is none."""
    if crs is None:
        return None
    from pyproj import CRS

    parsed = CRS.from_user_input(crs)
    if parsed.is_geographic:
        return "degree"
    return "m" if parsed.axis_info and parsed.axis_info[0].unit_name in ("metre", "meter") else None


def rest(
    table: Table, used: Sequence[str], taken: Sequence[str]
) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """Return fields of the numbers nobody has asked for, under their own names, and the texts left out."""
    free = [name for name in table.columns if name and name not in used and name not in GEOMETRY]
    numbers = [name for name in free if name not in table.texts]
    names = {name: f"{name}_column" if name in (*taken, *_RESERVED) else name for name in numbers}
    fields = tuple(
        own(names[n], n, "as in the file, unit not told", _unknown(n), dtype="float64") for n in numbers
    )
    return fields, tuple(name for name in free if name in table.texts)


_RESERVED = ("x", "y", "id", "time", "point", "component", "spatial_ref")


def _unknown(name: str) -> str | None:
    """Return a unit that checks refuse, for a number that goes by the name of a variable of the cube table."""
    return "unknown" if name in schema.VARIABLES else None


def columns_of(fields: Sequence[Field]) -> list[str]:
    """Return the columns the fields stand in, each once."""
    return list(dict.fromkeys(c for f in fields for c in f.columns if c is not None))
