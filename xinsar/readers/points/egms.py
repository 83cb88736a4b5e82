"""European Ground Motion Service: Basic (L2a), Calibrated (L2b) and Ortho (L3) points in CSV.

Columns, units and names of files: EGMS Product Description and Format Specification (European Environment Agency,
version 3.0 of 2025), tables 1 to 6 and sections 11.2, 11.3. Millimetres become metres. Displacements along the line of
sight are positive toward the satellite; ``los_east``, ``los_north``, ``los_up`` point from the ground to the satellite.
Shapefiles cut names to ten characters; the cut names are known too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
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
    own,
    placed_by_geometry,
    places,
    rest,
)
from xinsar.readers.points.names import Dated, dated
from xinsar.readers.points.tables import Table, first_number

CRS = "EPSG:3035"
WAVELENGTH = 0.0554658
"""Metres, Sentinel-1."""

_CHARACTERS = 10
"""Of the identifier of a point."""

_LINE_OF_SIGHT = re.compile(
    r"EGMS_(?P<level>L2[ab])_(?P<track>\d{3})_(?P<burst>\d{4})_(?P<swath>IW\d)_(?P<polarisation>[HV]{2})"
    r"(?:_(?P<period>\d{4}_\d{4})_(?P<version>\d+))?",
    re.IGNORECASE,
)
_ORTHO = re.compile(
    r"EGMS_(?P<level>L3)_(?P<tile>E\d+N\d+)_\w+?_(?P<component>[UE])(?:_(?P<period>\d{4}_\d{4})_(?P<version>\d+))?(?![A-Z])",
    re.IGNORECASE,
)
_LEVELS = {"egms_l2a": "L2a", "egms_l2b": "L2b", "egms_l3": "L3"}
_COMPONENTS = {"U": ("up", "vertical", "up"), "E": ("east", "eastward", "east")}
_REFERENCES = {
    "L2a": "a virtual point of the burst",
    "L2b": "the GNSS model of EGMS (ETRF2000)",
    "L3": "the GNSS model of EGMS (ETRF2000)",
}
_ALIASES = {
    "mean_velocity": ("mean_veloc",),
    "mean_velocity_std": ("mean_vel_1",),
    "height": ("height_ortho", "height_ort"),
    "height_wgs84": ("height_ellipse", "height_wgs", "height_ell"),
    "rmse": ("rmse_ts",),
    "temporal_coherence": ("temporal_c",),
    "amplitude_dispersion": ("amplitude_",),
    "incidence_angle": ("incidence_",),
    "track_angle": ("track_angl",),
    "acceleration": ("accelerati",),
    "acceleration_std": ("accelera_1",),
    "seasonality": ("seasonalit",),
    "seasonality_std": ("seasonal_1",),
    "cluster_label": ("cluster_la",),
    "gnss_velocity": ("gnss_veloc",),
}
_OWN = {
    "height_wgs84": ("height above the WGS 84 ellipsoid", "m", 1.0),
    "cluster_label": ("cluster of the burst, 0 where there is one", "1", 1.0),
    "mp_type": ("effective area of a distributed scatterer, 0 for a persistent one", "m2", 1.0),
    "line": ("line within the burst", "1", 1.0),
    "pixel": ("pixel within the burst", "1", 1.0),
    "rmse": ("root mean square residual of the series", "m", 1e-3),
    "amplitude_dispersion": ("standard deviation of the amplitude over its mean", "1", 1.0),
    "incidence_angle": ("incidence angle", "degree", 1.0),
    "track_angle": ("heading of the satellite, clockwise from north", "degree", 1.0),
    "acceleration": ("acceleration", "m year-2", 1e-3),
    "acceleration_std": ("standard error of the acceleration", "m year-2", 1e-3),
    "seasonality": ("amplitude of the yearly oscillation", "m", 1e-3),
    "seasonality_std": ("standard error of that amplitude", "m", 1e-3),
    "gnss_velocity": ("velocity of the GNSS model along the line of sight", "m year-1", 1e-3),
}
_LOS = ("los_east", "los_north", "los_up")
_MEANINGLESS_IN_ORTHO = (*_LOS, "incidence_angle", "track_angle", "line", "pixel")


def recognise(table: Table, *, named: bool, product: str) -> Layout | None:
    """Return the layout of a table with the columns of EGMS whose name tells the level of ``product``."""
    said = _said(table)
    wanted = _LEVELS.get(product)
    if said.get("level") != wanted and not (named and "level" not in said):
        return None
    held = _held(table)
    lacking = [name for name in ("pid", "mean_velocity") if name not in held]
    if not _place(table, held):
        lacking.append("easting, northing")
    if lacking:
        _refused(table, lacking, product, named=named, ours=bool(said))
        return None
    component = said.get("component")
    if wanted == "L3" or (wanted is None and not _sees(table, held)):
        component = _checked_component(table, component)
    return _layout(table, held, said, product, component)


def _refused(table: Table, lacking: list[str], product: str, *, named: bool, ours: bool) -> None:
    """Raise where a file named as EGMS names them, or of which the user says so, lacks columns."""
    held = ", ".join(table.columns[:40])
    text = f"{table.path}: {product} needs the columns {', '.join(lacking)}; the file holds {held}"
    if ours:
        raise ValueError(text)
    if named:
        raise UnlikeError(text)


def _said(table: Table) -> dict[str, str]:
    """Return what the name of the file tells, the level and component spelled as EGMS does."""
    found = _LINE_OF_SIGHT.search(table.path.name) or _ORTHO.search(table.path.name)
    if found is None:
        return {}
    said = {key: value for key, value in found.groupdict().items() if value}
    said["level"] = said["level"].upper().replace("A", "a").replace("B", "b")
    return said | ({"component": said["component"].upper()} if "component" in said else {})


def _held(table: Table) -> dict[str, str]:
    """Return the columns of the table by the names the specification gives them."""
    there = {name.lower(): name for name in table.columns}
    names = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
    found = {names.get(name, name): column for name, column in there.items()}
    return {name: there.get(name, column) for name, column in found.items()}


def _place(
    table: Table, held: Mapping[str, str]
) -> tuple[tuple[Field, Field], str | None, str | None] | None:
    """Return x and y, CRS and unit: the geometry, else EPSG:3035, else degrees."""
    if geometry := placed_by_geometry(table):
        return geometry
    if {"easting", "northing"} <= set(held):
        return places(held["easting"], held["northing"], "m"), CRS, "m"
    if {"longitude", "latitude"} <= set(held):
        return places(held["longitude"], held["latitude"], "degree"), "EPSG:4326", "degree"
    return None


def _sees(table: Table, held: Mapping[str, str]) -> bool:
    """Tell whether the table holds a line of sight (Ortho files hold none, or zeros)."""
    return all(name in held for name in _LOS) and abs(first_number(table, held["los_up"])) > 0.1


def _checked_component(table: Table, component: str | None) -> str:
    if component is None:
        raise ValueError(
            f"{table.path}: expected a name that tells the component of an Ortho file, such as "
            "EGMS_L3_E40N28_100km_U_2018_2022_1.csv (U: up, E: east); give the file its name back"
        )
    return component


def _layout(
    table: Table, held: dict[str, str], said: dict[str, str], product: str, component: str | None
) -> Layout:
    place = _place(table, held)
    assert place is not None
    xy, crs, units = place
    used = {name: c for name, c in held.items() if component is None or name not in _MEANINGLESS_IN_ORTHO}
    series = _series(table)
    fields = [*xy, *_measured(used, table, series, component), *_others(used)]
    ignored = [held[name] for name in held if name not in used or name in ("easting", "northing")]
    more, texts = rest(table, [*columns_of(fields), *ignored], [f.name for f in fields])
    return Layout(
        product,
        table,
        (*fields, *more),
        series.dates if series else (),
        crs,
        units,
        _attrs(table, held, said, product, component),
        _track(table, held, said, component),
        _part(said),
        _COMPONENTS[component][0] if component else None,
        texts,
    )


def _series(table: Table) -> Dated | None:
    """Return the columns named by a date alone (or, in a shapefile, by D and a date)."""
    found = {series.prefix: series for series in dated(table.columns, file=table.path)}
    return found.get("") or found.get("d") or found.get("x")


def _measured(
    held: Mapping[str, str], table: Table, series: Dated | None, component: str | None
) -> list[Field]:
    """Return the fields of the cube table: id, rates, displacements, elevation, coherence, line of sight."""
    out = [
        identity(held["pid"], table, longest=_CHARACTERS, text=True),
        known(
            schema.VELOCITY,
            held["mean_velocity"],
            scale=1e-3,
            group=PLACE,
            attrs=_said_of("velocity", component),
        ),
    ]
    if "mean_velocity_std" in held:
        out.append(known(schema.VELOCITY_SIGMA, held["mean_velocity_std"], scale=1e-3, group=PLACE))
    if series:
        attrs = _said_of("displacement", component)
        made = known(
            schema.DISPLACEMENT, *series.columns, dim="time", scale=1e-3, attrs=attrs, group="displacement"
        )
        out.append(made)
    if "height" in held:
        attrs = {"long_name": "height above the geoid (EGM2008)"}
        out.append(known(schema.ELEVATION, held["height"], attrs=attrs))
    if "temporal_coherence" in held:
        out.append(known(schema.TEMPORAL_COHERENCE, held["temporal_coherence"]))
    if all(name in held for name in _LOS):
        turn = math.copysign(1.0, first_number(table, held["los_up"]))
        out.append(known(schema.LOS, *(held[n] for n in _LOS), dim="component", scale=turn))
    return out


def _said_of(what: str, component: str | None) -> dict[str, str]:
    """Return what a component of motion is called; the cube table's own words hold along the line of sight."""
    if component is None:
        return {}
    _, adjective, positive = _COMPONENTS[component]
    return {"long_name": f"{adjective} {what}, positive {positive}"}


def _others(held: Mapping[str, str]) -> list[Field]:
    out = [
        own(name, held[name], long_name, units, scale=scale)
        for name, (long_name, units, scale) in _OWN.items()
        if name in held
    ]
    for name, units in (("longitude", "degrees_east"), ("latitude", "degrees_north")):
        if name in held:
            out.append(own(name, held[name], f"{name} (WGS 84)", units, dtype="float64", coordinate=True))
    return out


def _heading(table: Table, held: Mapping[str, str]) -> float | None:
    """Return the track angle of the first point within 0..360, None where the file tells none."""
    angle = first_number(table, held["track_angle"]) if "track_angle" in held else math.nan
    return angle % 360.0 if math.isfinite(angle) else None


def _direction(table: Table, held: Mapping[str, str]) -> str | None:
    """Return the direction of the orbit: from the heading, else from the side the satellite stands on."""
    heading = _heading(table, held)
    if heading is not None:
        return "ascending" if math.cos(math.radians(heading)) > 0 else "descending"
    if not all(name in held for name in _LOS):
        return None
    east = first_number(table, held["los_east"]) * math.copysign(1.0, first_number(table, held["los_up"]))
    return None if not math.isfinite(east) else "ascending" if east < 0 else "descending"


def _attrs(
    table: Table, held: Mapping[str, str], said: Mapping[str, str], product: str, component: str | None
) -> dict[str, Any]:
    """Return the attributes of the dataset; the heading is that of the first point."""
    attrs: dict[str, Any] = {"product": product, "sensor": "Sentinel-1"}
    if component is None:
        attrs |= {
            "wavelength": WAVELENGTH,
            "orbit_direction": _direction(table, held),
            "heading": _heading(table, held),
            "track": int(said["track"]) if "track" in said else None,
            "sign": TOWARD,
        }
    else:
        attrs["sign"] = "velocities and displacements are positive up or east, as component says"
    attrs["reference"] = _REFERENCES.get(said.get("level", ""))
    attrs["period"] = said["period"].replace("_", "-") if "period" in said else None
    return {name: value for name, value in attrs.items() if value is not None}


def _track(
    table: Table, held: Mapping[str, str], said: Mapping[str, str], component: str | None
) -> dict[str, Any]:
    """Return what the files of one dataset must share."""
    track = {"period": said.get("period", "").replace("_", "-") or None}
    if component is None:
        track |= {"track": said.get("track"), "orbit": _direction(table, held)}
    return {name: value for name, value in track.items() if value is not None}


def _part(said: Mapping[str, str]) -> tuple[Any, ...] | None:
    """Return the burst, or the tile and its component."""
    if "burst" in said:
        return f"burst {said['burst']}", said["swath"].upper(), said["polarisation"].upper()
    return (f"tile {said['tile'].upper()}", said["component"]) if "tile" in said else None


READERS = tuple(
    Reader(
        name,
        title,
        "a CSV (or its .zip) with pid, easting, northing, mean_velocity and one column per date, named "
        + ("EGMS_L3_..._U_... or _E_..." if level == "L3" else f"EGMS_{level or 'L2a or L2b'}_..."),
        partial(recognise, product=name),
    )
    for name, level, title in (
        ("egms_l2a", "L2a", "EGMS Basic (L2a)"),
        ("egms_l2b", "L2b", "EGMS Calibrated (L2b)"),
        ("egms_l3", "L3", "EGMS Ortho (L3)"),
        ("egms", None, "EGMS, level not told by the name of the file"),
    )
)
