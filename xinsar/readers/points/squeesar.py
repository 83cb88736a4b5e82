"""SqueeSAR (TRE ALTAMIRA) tables, and what follows their layout, such as MintPy's export for QGIS.

Columns CODE, HEIGHT (m), H_STDEV (m), VEL (mm/year), V_STDEV (mm/year), COHERENCE (0..1), EFF_AREA and one Dyyyymmdd
(mm) per acquisition, as the producer's product page lists them; positive toward the satellite.
"""

from __future__ import annotations

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
    rest,
)
from xinsar.readers.points.names import dated
from xinsar.readers.points.plain import place_of
from xinsar.readers.points.tables import Table

_NEEDED = ("code", "vel", "v_stdev")
_OWN = {
    "h_stdev": ("standard error of the height", "m", 1.0),
    "eff_area": ("effective area of a distributed scatterer, 0 for a persistent one", "m2", 1.0),
    "acc": ("acceleration", "m year-2", 1e-3),
    "a_stdev": ("standard error of the acceleration", "m year-2", 1e-3),
    "stdev_def": ("standard deviation of the displacements", "m", 1e-3),
}


def recognise(table: Table, *, named: bool) -> Layout | None:
    """Return the layout of a SqueeSAR table."""
    held = {name.lower(): name for name in table.columns}
    place = place_of(table)
    lacking = [name.upper() for name in _NEEDED if name not in held] + (
        [] if place else ["a geometry or lon, lat"]
    )
    if lacking or place is None:
        if named:
            raise UnlikeError(
                f"{table.path}: squeesar needs CODE, VEL, V_STDEV and a place; the file lacks {', '.join(lacking)} and "
                f"holds {', '.join(table.columns[:40])}"
            )
        return None
    xy, crs, units, used = place
    series = next((s for s in dated(table.columns, file=table.path) if s.prefix == "d"), None)
    fields = [*xy, *_measured(held), identity(held["code"], table)]
    if series:
        fields.append(
            known(schema.DISPLACEMENT, *series.columns, dim="time", scale=1e-3, group="displacement")
        )
    more, texts = rest(table, [*columns_of(fields), *used], [f.name for f in fields])
    attrs = {"product": "squeesar", "sign": TOWARD}
    dates = series.dates if series else ()
    return Layout("squeesar", table, (*fields, *more), dates, crs, units, attrs, left_out=texts)


def _measured(held: dict[str, str]) -> list[Field]:
    out = [
        known(schema.VELOCITY, held["vel"], scale=1e-3, group=PLACE),
        known(schema.VELOCITY_SIGMA, held["v_stdev"], scale=1e-3, group=PLACE),
    ]
    for name, variable in (("height", schema.ELEVATION), ("coherence", schema.TEMPORAL_COHERENCE)):
        if name in held:
            out.append(known(variable, held[name]))
    out += [own(held[n], held[n], text, units, scale=s) for n, (text, units, s) in _OWN.items() if n in held]
    return out


READER = Reader(
    "squeesar",
    "SqueeSAR, or a table laid out like it",
    "columns CODE, VEL, V_STDEV and DYYYYMMDD",
    recognise,
)
