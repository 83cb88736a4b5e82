"""What is known of each object: size, shape, motion and the ground it lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.inventory.filters import tracks_of
from xinsar.inventory.metric import flat_parts, outline_lengths, square_metres
from xinsar.inventory.tables import checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries
    from pandas import DataFrame

Array = np.ndarray[Any, Any]

FRINGE = 0.028
"""Metres of motion that turn the phase once: half a C-band wavelength."""

_OF_TRACK = {
    "velocity": ("velocity", "mean"),
    "peak_velocity": ("velocity", "peak"),
    "brightness": ("speed", "mean"),
    "temporal_coherence": ("temporal_coherence", "mean"),
    "sensitivity": ("sensitivity", "mean"),
}
_OF_GROUND = {
    "slope": ("slope", "mean"),
    "aspect": ("aspect", "circular_mean"),
    "elevation_min": ("elevation", "min"),
    "elevation_max": ("elevation", "max"),
}


def attributes(inventory: GeoDataFrame, data: Any = None, *, fringe: float = FRINGE) -> GeoDataFrame:
    r"""Add size, shape, motion and terrain to every object.

    Parameters
    ----------
    inventory
        Outlines.
    data
        Maps to measure: a Dataset, or for several tracks a dict of them by name, or a DataTree. Used is what
        is there of ``velocity``, ``temporal_coherence``, ``sensitivity``, ``elevation``, ``slope`` and
        ``aspect`` (the latter two are made from ``elevation`` where they are missing). Lazy maps are read box
        by box. None: size and shape only.
    fringe
        Motion of a full turn of phase, m.

    Returns
    -------
    GeoDataFrame
        The table with these columns before ``geometry``, those of the same name replaced:

        ``area``, ``perimeter``
            m2 and m, holes taken into account; in degrees on the ellipsoid.
        ``length``, ``width``, ``orientation``
            Sides of the smallest rectangle around the outline, m, and the azimuth of the longer one, degrees
            clockwise from grid north, 0..180.
        ``velocity``, ``peak_velocity``
            Mean, and the value farthest from 0, m year-1, positive toward the satellite.
        ``brightness``
            Mean of \|velocity\| over ``fringe``: turns of phase a year. 1 is where a map of one cycle of
            colours is filled by the patch.
        ``temporal_coherence``, ``sensitivity``, ``slope``, ``aspect``
            Means; that of the aspect is circular, degrees.
        ``elevation_min``, ``elevation_max``, ``elevation_range``
            m.

        With several tracks each has ``velocity_<track>`` and so on; the plain columns are those of the track
        that sees the largest mean motion; terrain is taken from the first track that has it.

    Raises
    ------
    TypeError
        ``inventory`` or ``data`` is of another kind.
    SchemaError
        A map is not on (y, x).
    ValueError
        Only one side has a reference system, or ``fringe`` is no number above 0.

    Notes
    -----
    NaN where an object has no valid pixel, and everywhere without outline.

    References
    ----------
    Perimeter, area and patch brightness: Liu et al. 2022, Remote Sens. 14:3362, section 4.2.3. The paper takes
    brightness from the colours of its map and prints no scale; ours is physical.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> bodies = gpd.GeoDataFrame(geometry=[box(0, 0, 300, 100)], crs=32632)
    >>> attributes(bodies).drop(columns="geometry").round(1).to_dict("records")
    [{'area': 30000.0, 'perimeter': 800.0, 'length': 300.0, 'width': 100.0, 'orientation': 90.0}]
    """
    from xinsar.operations.checks import finite

    table, fringe = checked(inventory, "inventory"), finite("fringe", fringe)
    columns = _shape_columns(table)
    if data is not None:
        tracks = tracks_of(data, "data")
        columns |= _motion_columns(table, tracks, fringe) | _ground_columns(table, tracks)
    kept = [name for name in table.columns if name != "geometry" and name not in columns]
    return table.assign(**columns)[[*kept, *columns, "geometry"]]


def _shape_columns(table: GeoDataFrame) -> dict[str, Array]:
    shapes = table.geometry
    missing = np.asarray(shapes.is_empty)
    sides = np.full((len(table), 3), np.nan)
    for here, crs in flat_parts(table):
        sides[here] = rectangle_sides(
            shapes.iloc[here] if crs == table.crs else shapes.iloc[here].to_crs(crs)
        )
    return {
        "area": np.where(missing, np.nan, square_metres(table)),
        "perimeter": np.where(missing, np.nan, outline_lengths(table)),
        **dict(zip(("length", "width", "orientation"), sides.T, strict=True)),
    }


def rectangle_sides(shapes: GeoSeries) -> Array:
    """Return length, width and azimuth of the length (degrees, 0..180) of the smallest rectangle around each."""
    import shapely

    around = shapely.oriented_envelope(np.asarray(shapes.array, object))
    corners = np.stack([shapely.get_coordinates(shapely.boundary(shape))[:3] for shape in around])
    sides = np.diff(corners, axis=1)
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    longer = np.take_along_axis(sides, lengths.argmax(axis=1)[:, None, None], axis=1)[:, 0]
    azimuth = np.degrees(np.arctan2(longer[:, 0], longer[:, 1])) % 180
    return np.stack([lengths.max(axis=1), lengths.min(axis=1), azimuth], axis=1)


def _measured(table: GeoDataFrame, ds: xr.Dataset, wanted: dict[str, tuple[str, str]]) -> DataFrame:
    """Return those of the wanted measures whose map is there."""
    from xinsar.operations.zonal import zonal_statistics

    here = {column: measure for column, measure in wanted.items() if measure[0] in ds}
    return zonal_statistics(ds, table, here)


def _motion_columns(table: GeoDataFrame, tracks: dict[str, xr.Dataset], fringe: float) -> dict[str, Array]:
    """Return the columns of each track, and those of the track that sees most without its name."""
    measured = {}
    for name, ds in tracks.items():
        if "velocity" in ds:
            ds = ds.assign(speed=abs(ds["velocity"]))
        frame = _measured(table, ds, _OF_TRACK)
        if "brightness" in frame:
            frame["brightness"] /= fringe
        measured[name] = frame
    if list(measured) == [""]:
        return {str(name): np.asarray(values) for name, values in measured[""].items()}
    out = {
        f"{column}_{name}": np.asarray(frame[column])
        for column in _OF_TRACK
        for name, frame in measured.items()
        if column in frame
    }
    seen = {name: frame for name, frame in measured.items() if "velocity" in frame}
    return (_of_best(list(seen.values())) if seen else {}) | out


def _of_best(frames: list[DataFrame]) -> dict[str, Array]:
    """Return velocity, peak and brightness of the track with the largest mean motion, object by object."""
    names = ("velocity", "peak_velocity", "brightness")
    stacked = {name: np.stack([np.asarray(frame[name]) for frame in frames]) for name in names}
    size = np.abs(stacked["velocity"])
    best = np.where(np.isnan(size), -1.0, size).argmax(axis=0)
    return {name: np.take_along_axis(values, best[None], axis=0)[0] for name, values in stacked.items()}


def _ground_columns(table: GeoDataFrame, tracks: dict[str, xr.Dataset]) -> dict[str, Array]:
    """Return terrain attributes from the first track that has any."""
    from xinsar.operations.terrain import terrain

    for ds in tracks.values():
        if "elevation" not in ds and "slope" not in ds:
            continue
        if "slope" not in ds or "aspect" not in ds:
            ds = ds.assign(terrain(ds).data_vars) if "elevation" in ds else ds
        frame = _measured(table, ds, _OF_GROUND)
        if "elevation" in ds:
            frame["elevation_range"] = frame["elevation_max"] - frame["elevation_min"]
        return {str(name): np.asarray(values) for name, values in frame.items()}
    return {}
