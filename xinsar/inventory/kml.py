"""KML for Google Earth: coloured outlines with a balloon of their attributes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape as escape_xml
from xml.sax.saxutils import quoteattr

import numpy as np

from xinsar.inventory.columns import kinds, restored, writable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]

SPACE = "http://www.opengis.net/kml/2.2"
RECORD = "xinsar_columns"
"""Name of the document's datum that holds the kinds of columns."""

STEPS = 7
"""Colours of a column of numbers."""
_LOW, _HIGH = (255, 237, 140), (178, 10, 38)
_NAMED = ("D55E00", "0072B2", "009E73", "CC79A7", "E69F00", "56B4E9", "F0E442", "999999")
_TYPES = {"i": "int", "u": "uint", "f": "double", "b": "bool"}


def kml_text(table: GeoDataFrame, name: str, colour_by: str | None) -> Iterable[str]:
    """Yield the lines of a KML document of a table in WGS 84.

    Parameters
    ----------
    table
        As :func:`xinsar.inventory.columns.named` returns it.
    name
        Of the document.
    colour_by
        Column that colours the outlines; None: one colour.
    """
    record, plain = kinds(table), writable(table, dates=False)
    styles, of_row, said = _styles(table, colour_by)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<kml xmlns="{SPACE}"><Document id="inventory">'
    yield f"<name>{_xml(name)}</name><open>1</open><description>{_xml(said)}</description>"
    for style, colour in styles.items():
        yield _style(style, colour)
    value = f"<value>{_xml(json.dumps(record))}</value>"
    yield f"<ExtendedData><Data name={_attribute(RECORD)}>{value}</Data></ExtendedData>"
    yield _schema(plain)
    for number, (row, style) in enumerate(zip(_rows(plain), of_row, strict=True), start=1):
        yield _placemark(row, plain.geometry.iloc[number - 1], style, number)
    yield "</Document></kml>"


def _clean(text: Any) -> str:
    """Return text without the control characters that XML cannot hold."""
    return "".join(c if c in "\t\n\r" or ord(c) >= 32 else " " for c in str(text))


def _xml(text: Any) -> str:
    return escape_xml(_clean(text))


def _attribute(text: Any) -> str:
    return quoteattr(_clean(text))


def _rows(plain: GeoDataFrame) -> Iterable[dict[str, Any]]:
    """Yield the attributes of each row that are there."""
    import pandas as pd

    columns = [name for name in plain.columns if name != "geometry"]
    for values in zip(*(plain[name] for name in columns), strict=True) if columns else ((),) * len(plain):
        yield {n: v for n, v in zip(columns, values, strict=True) if not pd.isna(v)}


# ---- colours ------------------------------------------------------------------------------------------------------


def _styles(table: GeoDataFrame, colour_by: str | None) -> tuple[dict[str, str], list[str], str]:
    """Return colours (rrggbb) by style, the style of each row, and what the colours mean."""
    count = f"{len(table)} object{'s' * (len(table) != 1)}"
    if colour_by is None or not len(table):
        return {"style": _NAMED[0]}, ["style"] * len(table), count
    if colour_by not in table:
        raise ValueError(
            f"colour_by: expected a column of the table, got {colour_by!r}; it has {', '.join(table.columns)}"
        )
    if table[colour_by].dtype.kind in "fiu":
        return _ramp(np.asarray(table[colour_by], "f8"), colour_by, count)
    words = [str(value) for value in table[colour_by]]
    names = sorted(set(words))
    colours = {f"style{k}": _NAMED[k % len(_NAMED)] for k in range(len(names))}
    legend = ", ".join(f"{name}: #{colours[f'style{k}']}" for k, name in enumerate(names))
    return (
        colours,
        [f"style{names.index(word)}" for word in words],
        f"{count}. Colours by {colour_by}: {legend}",
    )


def _ramp(values: Array, name: str, count: str) -> tuple[dict[str, str], list[str], str]:
    """Return steps from yellow to red; missing values are grey."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if name == "score" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    share = (np.where(np.isfinite(values), values, low) - low) / ((high - low) or 1.0)
    place = np.minimum((share * STEPS).astype(int), STEPS - 1)
    colours = {f"style{k}": _between(k / (STEPS - 1)) for k in range(STEPS)} | {"missing": "999999"}
    rows = [f"style{k}" if ok else "missing" for k, ok in zip(place, np.isfinite(values), strict=True)]
    return colours, rows, f"{count}. Colours by {name}: yellow {low:g} to red {high:g}"


def _between(share: float) -> str:
    return "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_LOW, _HIGH, strict=True))


def _style(name: str, colour: str) -> str:
    """Return a style: the outline solid, the inside seen through; KML writes colours as aabbggrr."""
    bgr = (colour[4:] + colour[2:4] + colour[:2]).lower()
    return (
        f'<Style id="{name}"><LineStyle><color>ff{bgr}</color><width>2</width></LineStyle>'
        f"<PolyStyle><color>59{bgr}</color></PolyStyle>"
        "<BalloonStyle><text><![CDATA[<h3>$[name]</h3>$[description]]]></text></BalloonStyle></Style>"
    )


# ---- contents -----------------------------------------------------------------------------------------------------


def _schema(plain: GeoDataFrame) -> str:
    fields = (
        f'<SimpleField type="{_type(plain[name])}" name={_attribute(name)}/>'
        for name in plain.columns
        if name != "geometry"
    )
    return f'<Schema name="inventory" id="attributes">{"".join(fields)}</Schema>'


def _type(values: Any) -> str:
    """Return the kind of a field; whole numbers beyond 32 bits are text."""
    kind = _TYPES.get(values.dtype.kind, "string")
    large = kind in ("int", "uint") and len(values) and int(np.abs(np.asarray(values)).max()) >= 2**31
    return "string" if large else kind


def _placemark(row: dict[str, Any], shape: Any, style: str, number: int) -> str:
    title = f"{row.get('class', 'object')} {row.get('id', number)}"
    data = "".join(f"<SimpleData name={_attribute(n)}>{_xml(_said(v))}</SimpleData>" for n, v in row.items())
    return (
        f"<Placemark><name>{_xml(title)}</name><description>{_xml(_balloon(row))}</description>"
        f"<styleUrl>#{style}</styleUrl>"
        f'<ExtendedData><SchemaData schemaUrl="#attributes">{data}</SchemaData></ExtendedData>'
        f"{_geometry(shape)}</Placemark>"
    )


def _said(value: Any) -> str:
    """Return a value in words that it can be read back from."""
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def _balloon(row: dict[str, Any]) -> str:
    """Return the attributes as an HTML table."""
    lines = (
        f"<tr><td>{escape(name)}</td><td>{escape(_short(value))}</td></tr>" for name, value in row.items()
    )
    return f"<table>{''.join(lines)}</table>"


def _short(value: Any) -> str:
    """Return five digits of a number, other values as they are."""
    if not isinstance(value, (float, np.floating)):
        return str(value)
    return f"{value:.0f}" if abs(float(value)) >= 1e5 else f"{value:.5g}"


def _geometry(shape: Any) -> str:
    """Return a polygon, or several; nothing for an empty one."""
    if shape is None or shape.is_empty:
        return ""
    parts = [_polygon(part) for part in getattr(shape, "geoms", [shape])]
    return parts[0] if len(parts) == 1 else f"<MultiGeometry>{''.join(parts)}</MultiGeometry>"


def _polygon(polygon: Any) -> str:
    from shapely.geometry.polygon import orient

    turned = orient(polygon)
    holes = "".join(f"<innerBoundaryIs>{_ring(ring)}</innerBoundaryIs>" for ring in turned.interiors)
    outer = f"<outerBoundaryIs>{_ring(turned.exterior)}</outerBoundaryIs>"
    return f"<Polygon><tessellate>1</tessellate>{outer}{holes}</Polygon>"


def _ring(ring: Any) -> str:
    places = " ".join(f"{x:.9f},{y:.9f}" for x, y in np.asarray(ring.coords)[:, :2])
    return f"<LinearRing><coordinates>{places}</coordinates></LinearRing>"


# ---- reading ------------------------------------------------------------------------------------------------------


def read_kml(path: Path) -> GeoDataFrame | None:
    """Return the table of a KML document that was written here, None for any other."""
    from xml.etree import ElementTree

    import geopandas as gpd
    import pandas as pd

    root = ElementTree.parse(path).getroot()
    record = root.find(f".//{_tag('Data')}[@name='{RECORD}']/{_tag('value')}")
    if record is None or not record.text:
        return None
    marks = list(root.iter(_tag("Placemark")))
    rows = [{str(d.get("name")): d.text or "" for d in mark.iter(_tag("SimpleData"))} for mark in marks]
    frame = pd.DataFrame(rows, index=range(len(marks)), dtype=object)
    table = gpd.GeoDataFrame(frame, geometry=[_shape(mark) for mark in marks], crs="EPSG:4326")
    return restored(table, json.loads(record.text))


def _tag(name: str) -> str:
    return f"{{{SPACE}}}{name}"


def _shape(mark: Any) -> Any:
    """Return the polygons of a placemark."""
    from shapely import MultiPolygon, Polygon

    parts = []
    for polygon in mark.iter(_tag("Polygon")):
        outer, *holes = (
            [[float(number) for number in place.split(",")[:2]] for place in str(ring.text).split()]
            for ring in polygon.iter(_tag("coordinates"))
        )
        parts.append(Polygon(outer, holes))
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)
