"""From masks to a table of outlines on the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar import grid
from xinsar.detection.bodies import Body
from xinsar.detection.inputs import Inputs
from xinsar.models.card import ModelCard

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]

FIRST = ("id", "score", "class", "area", "seen_by")
"""Columns of every table that :func:`xinsar.detect` returns, in order; velocities and the geometry follow."""


def table_of(bodies: Sequence[Body], inputs: Inputs, card: ModelCard) -> GeoDataFrame:
    """Return bodies as a table in the CRS of the cube, in their order, numbered from 1."""
    import geopandas as gpd

    area = _areas(bodies, inputs)
    rows: dict[str, Any] = {
        "id": np.arange(1, len(bodies) + 1, dtype=np.int64),
        "score": np.array([b.score for b in bodies], np.float64),
        "class": np.array([card.classes[b.label] for b in bodies], object),
        "area": area,
        "seen_by": np.array([_names(b.seen, inputs.tracks) for b in bodies], object),
    }
    slots = [slot for slot, place in enumerate(inputs.velocity) if place is not None]
    for k, slot in enumerate(slots):
        name = "velocity" if len(inputs.tracks) == 1 else f"velocity_{inputs.tracks[slot]}"
        rows[name] = np.array([b.velocity[k] for b in bodies], np.float64)
    outlines = gpd.GeoSeries([_outline(b, inputs) for b in bodies], crs=inputs.frame.crs)
    found = gpd.GeoDataFrame(rows, geometry=outlines, crs=inputs.frame.crs)
    own = grid.crs_of(inputs.cube)
    if own is not None and inputs.frame.crs is not None and found.crs != own:
        found = found.to_crs(own)
    return found


def _names(seen: int, tracks: Sequence[str]) -> str:
    """Return the names of the tracks that saw a body, joined by a plus sign."""
    return "+".join(name for slot, name in enumerate(tracks) if seen >> slot & 1)


def _areas(bodies: Sequence[Body], inputs: Inputs) -> Array:
    """Return areas in square metres: pixels times their size in each row."""
    dy, dx = grid.pixel_spacing(inputs.frame.template())
    size = dy * dx
    return np.array(
        [float(b.mask.sum(axis=1) @ size[b.top : b.top + b.mask.shape[0]]) for b in bodies], np.float64
    )


def _outline(body: Body, inputs: Inputs) -> Any:
    """Return the outline of a body along the edges of its pixels, in the CRS of the frame."""
    from shapely import transform

    y, x = inputs.frame.y, inputs.frame.x
    origin = np.array([x.first - x.step / 2, y.first - y.step / 2])
    return transform(in_pixels(body), lambda places: origin + places * np.array([x.step, y.step]))


def in_pixels(body: Body) -> Any:
    """Return the outline of a body in columns and rows; parts that meet at corners only are a MultiPolygon."""
    from rasterio import Affine
    from rasterio.features import shapes
    from shapely import union_all
    from shapely.geometry import shape

    affine = Affine.translation(body.left, body.top)
    parts = [shape(s) for s, _ in shapes(body.mask.astype(np.uint8), body.mask, transform=affine)]
    return parts[0] if len(parts) == 1 else union_all(parts)
