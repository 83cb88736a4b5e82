"""What columns hold, kept beside formats that cannot say it: lists, dates, numbers of a size, long names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import Series

LIST = "list"
"""Kind of a column of lists."""
SHAPE = "geometry"
"""Kind of a second column of geometries."""


def kinds(table: GeoDataFrame) -> dict[str, str]:
    """Return the kind of each column but the outlines: its dtype, ``"list"``, or ``"geometry"``.

    Examples
    --------
    >>> import geopandas as gpd
    >>> kinds(gpd.GeoDataFrame({"id": [1], "dates": [["2020-01-01"]]}, geometry=[None]))
    {'id': 'int64', 'dates': 'list'}
    """
    return {name: _kind(table[name]) for name in table.columns if name != "geometry"}


def _kind(values: Series) -> str:
    kind = str(values.dtype)
    if kind == SHAPE:
        return SHAPE
    known = values.dropna() if kind == "object" else values[:0]
    return LIST if len(known) and all(_is_list(value) for value in known) else kind


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict, np.ndarray))


def named(table: GeoDataFrame) -> GeoDataFrame:
    """Return the table with column names that are text, each once, and a plain index."""
    names = [str(name) for name in table.columns]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"found: expected every column once, got {doubled[0]!r} more than once; rename one")
    out = table.reset_index(drop=True)
    out.columns = names
    return out


def writable(table: GeoDataFrame, *, lists: bool = False, dates: bool = True) -> GeoDataFrame:
    """Return the table in what every format holds: lists as JSON, second geometries as WKT, the rest as text.

    Parameters
    ----------
    table
        As :func:`named` returns it.
    lists, dates
        The format holds lists, or dates, by itself.
    """
    out = table.copy()
    for name, kind in kinds(table).items():
        values = table[name]
        if kind == LIST:
            out[name] = _each(values, lambda v: _plain(v) if lists else json.dumps(_plain(v)))
        elif kind == SHAPE:
            out[name] = _each(values, lambda v: v.wkt)
        elif kind.startswith("datetime64") and not dates:
            out[name] = _each(values, lambda v: v.isoformat())
        elif kind.startswith("datetime64") and "," in kind:
            out[name] = values.dt.tz_convert("UTC")
        elif not _is_simple(kind):
            out[name] = _each(values, str)
    return out


def _is_simple(kind: str) -> bool:
    """Tell whether a column of this dtype holds numbers, truth values or dates."""
    numeric = kind.lower().rstrip("0123456789") in ("int", "uint", "float", "bool", "boolean")
    return numeric or kind.startswith("datetime64")


def _each(values: Series, change: Any) -> Series:
    """Return an object column of changed values, None where they are missing."""
    import pandas as pd

    changed = [None if not _is_list(v) and pd.isna(v) else change(v) for v in values]
    return pd.Series(changed, index=values.index, dtype=object)


def _plain(value: Any) -> Any:
    """Return lists, dicts and numbers as JSON knows them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value)


plain_value = _plain


def restored(table: GeoDataFrame, record: Mapping[str, str] | None) -> GeoDataFrame:
    """Return a table that was read with the columns of ``record``, in its order and of its kinds."""
    if not record:
        return table
    columns = {name: _as(_column(table, name), kind) for name, kind in record.items()}
    others = [name for name in table.columns if name not in record and name != "geometry"]
    out = table[["geometry"]].assign(**columns, **{name: table[name] for name in others})
    return out[[*record, *others, "geometry"]]


def _column(table: GeoDataFrame, name: str) -> Series:
    import pandas as pd

    return table[name] if name in table else pd.Series([None] * len(table), index=table.index, dtype=object)


def _as(values: Series, kind: str) -> Series:
    """Return the values as ``kind``; as they are where they do not fit."""
    import pandas as pd

    if kind == LIST:
        return _each(values, lambda v: json.loads(v) if isinstance(v, str) else _plain(v))
    if kind == SHAPE or not _is_simple(kind):
        text = values.astype(object)
        text = text.where(text.notna(), None)
        return text.astype("str") if kind == "str" == str(pd.Series(["a"]).dtype) else text
    if kind.startswith("datetime64"):
        unit = kind[len("datetime64[") : -1].split(",")[0]
        dates = pd.to_datetime(values, format="ISO8601", utc="," in kind)
        zone = kind[:-1].split(",")[1].strip() if "," in kind else None
        return (dates.dt.tz_convert(zone) if zone else dates).dt.as_unit(unit)
    try:
        return values.map(_truth).astype(kind) if kind.lower().startswith("bool") else values.astype(kind)
    except (TypeError, ValueError):
        return values


def _truth(value: Any) -> Any:
    """Return a truth value that was written as a word or a number."""
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower(), value)
