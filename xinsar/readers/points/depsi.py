"""DePSI (Delft): CSV with ``pnt_`` columns and, for every date, displacement, amplitude and height-to-phase factor.

Units as in the real example of TUDelftGeodesy/stmtools (Apache-2.0): metres and metres per year. The file does not
state the sign; DePSI counts displacements positive toward the satellite (factor -4 pi / wavelength to phase).
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
    placed_by_geometry,
    places,
    rest,
)
from xinsar.readers.points.names import Dated, dated
from xinsar.readers.points.tables import Table

_NEEDED = ("pnt_lat", "pnt_lon", "pnt_linear")
_OWN = {
    "pnt_flags": ("flags of DePSI", "1", "float64"),
    "pnt_line": ("line in the radar image", "1", "float32"),
    "pnt_pixel": ("pixel in the radar image", "1", "float32"),
    "pnt_demheight": ("height of the elevation model", "m", "float32"),
    "pnt_demheight_highres": ("height of the fine elevation model", "m", "float32"),
    "pnt_enscoh": ("ensemble coherence of the series with its model, 0..1", "1", "float32"),
    "pnt_ampconsist": ("amplitude consistency", "1", "float32"),
}


def recognise(table: Table, *, named: bool) -> Layout | None:
    """Return the layout of a DePSI table."""
    lacking = [name for name in _NEEDED if name not in table.columns]
    if lacking:
        if named:
            raise UnlikeError(
                f"{table.path}: depsi needs the columns {', '.join(_NEEDED)}; the file lacks {', '.join(lacking)} and "
                f"holds {', '.join(table.columns[:40])}"
            )
        return None
    xy, crs, units = placed_by_geometry(table) or (
        places("pnt_lon", "pnt_lat", "degree"),
        "EPSG:4326",
        "degree",
    )
    series = {s.prefix: s for s in dated(table.columns, file=table.path)}
    fields = [*xy, known(schema.VELOCITY, "pnt_linear", group=PLACE), *_series(series), *_others(table)]
    more, texts = rest(table, [*columns_of(fields), *_NEEDED], [f.name for f in fields])
    dates = series["d"].dates if "d" in series else ()
    attrs = {"product": "depsi", "sign": f"{TOWARD} (DePSI's convention, not stated in the file)"}
    return Layout("depsi", table, (*fields, *more), dates, crs, units, attrs, left_out=texts)


def _series(found: dict[str, Dated]) -> list[Field]:
    """Return the fields on time; amplitude and factor only where their dates are those of the displacements."""
    if "d" not in found:
        return []
    out = [known(schema.DISPLACEMENT, *found["d"].columns, dim="time", group="displacement")]
    for prefix, name, attrs in (
        ("a", "amplitude", {"long_name": "amplitude", "units": "1"}),
        ("h2ph", "h2ph", {"long_name": "phase per metre of height", "units": "rad m-1"}),
    ):
        if prefix in found and found[prefix].dates == found["d"].dates:
            out.append(Field(name, found[prefix].columns, "time", attrs=attrs, group=name))
    return out


def _others(table: Table) -> list[Field]:
    out = [
        own(name, name, long_name, units, dtype=dtype)
        for name, (long_name, units, dtype) in _OWN.items()
        if name in table.columns
    ]
    if "pnt_height" in table.columns:
        attrs = {"long_name": "estimated height of the scatterer"}
        out.append(known(schema.ELEVATION, "pnt_height", attrs=attrs))
    return [*out, *([identity("pnt_id", table)] if "pnt_id" in table.columns else [])]


READER = Reader("depsi", "DePSI", f"columns {', '.join(_NEEDED)} and d_YYYYMMDD", recognise)
