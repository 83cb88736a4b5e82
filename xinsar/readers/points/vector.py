"""Tables in vector files that GDAL reads: Shapefile, GeoPackage, FlatGeobuf, GeoJSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.points.tables import GEOMETRY, Block, Columns, evenly
from xinsar.readers.points.whole import check_whole, null_shapes

SUFFIXES = (".shp", ".gpkg", ".fgb", ".geojson")
_SAMPLE = 30
_POINTS = ("Point", "Unknown")


@dataclass(frozen=True)
class VectorTable:
    """The points of one layer of a vector file; their geometry stands in the columns :data:`GEOMETRY`."""

    path: Path
    layer: str
    columns: tuple[str, ...]
    texts: frozenset[str]
    crs: str | None
    rows: int
    sample: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, compare=False)

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Path, time of change and size."""
        status = self.path.stat()
        return str(self.path), self.layer, status.st_mtime_ns, status.st_size

    def light(self, texts: frozenset[str]) -> VectorTable:
        """Return the table without its sample; ``texts`` are read as texts."""
        return replace(self, sample={}, texts=texts)

    def blocks(self, rows: int | None, *, size: int) -> tuple[Block, ...]:
        """Return blocks of ``rows`` points."""
        return evenly(self.rows, rows or max(size // (8 * len(self.columns)), 1))

    def read(self, block: Block, columns: Sequence[str]) -> Columns:
        """Return columns of one block."""
        fields = [name for name in columns if name not in GEOMETRY]
        placed = any(name in GEOMETRY for name in columns)
        import pyogrio

        check_whole(self.path)
        meta, ids, shapes, values = _gdal(
            self.path,
            pyogrio.raw.read,
            layer=self.layer,
            columns=fields,
            read_geometry=placed,
            skip_features=block.first,
            max_features=block.rows,
            return_fids=self.path.suffix.lower() == ".shp",
        )
        found = dict(zip(meta["fields"].tolist(), values, strict=True))
        out = {name: column(found[name], name, self.path, text=name in self.texts) for name in fields}
        out |= coordinates(shapes, self.path) if placed else {}
        if any(len(values) != block.rows for values in out.values()):
            raise OSError(
                f"{self.path}: expected {block.rows} points from {block.first} on; the file has changed"
            )
        if placed and ids is not None:
            _check_places(self.path, ids[np.isnan(out[GEOMETRY[0]])].tolist())
        return {name: out[name] for name in columns}

    def reads(self, blocks: Sequence[Block], columns: Sequence[str]) -> Iterator[Callable[[], Columns]]:
        """Yield the reading of each block."""
        for block in blocks:
            yield partial(self.read, block, columns)


def vector_tables(path: Path) -> list[VectorTable]:
    """Return the one layer of points in a vector file; ValueError where there is none or more than one."""
    import pyogrio

    check_whole(path)
    layers = [(str(name), str(kind)) for name, kind in _gdal(path, pyogrio.list_layers)]
    if not layers and path.suffix.lower() == ".fgb":
        raise OSError(f"{path}: cannot be read (no layer); it is truncated: get it again")
    points = [name for name, kind in layers if kind.removeprefix("2.5D ").split(" ")[0] in _POINTS]
    if not points:
        kinds = ", ".join(sorted({kind for _, kind in layers})) or "no layer"
        raise ValueError(f"{path}: expected points, got {kinds}; take centroids or sample points first")
    if len(points) > 1:
        raise ValueError(
            f"{path}: expected one layer of points, got {len(points)}: {', '.join(points)}; write the one meant to a "
            f"file of its own, e.g. geopandas.read_file({path.name!r}, layer={points[0]!r}).to_file('points.gpkg')"
        )
    return [_table(path, points[0])]


def _table(path: Path, layer: str) -> VectorTable:
    import pyogrio

    info = _gdal(path, pyogrio.read_info, layer=layer, force_feature_count=True)
    names = [str(name) for name in info["fields"]]
    texts = frozenset(
        n for n, kind in zip(names, info["dtypes"], strict=True) if np.dtype(kind).kind not in "iufb"
    )
    solid = "Z" in str(info["geometry_type"]) or "2.5D" in str(info["geometry_type"])
    shape = GEOMETRY if solid else GEOMETRY[:2]
    table = VectorTable(path, layer, (*shape, *names), texts, info["crs"], int(info["features"]))
    first = table.read(Block(0, min(_SAMPLE, table.rows)), table.columns)
    return replace(table, sample={name: tuple(values.tolist()) for name, values in first.items()})


def _gdal(path: Path, function: Callable[..., Any], **options: Any) -> Any:
    """Call pyogrio; its errors, RuntimeErrors and ValueErrors, become OSError with the name of the file."""
    try:
        return function(path, **options)
    except (RuntimeError, ValueError) as error:
        raise OSError(
            f"{path}: cannot be read ({error}); it is damaged, truncated, or lacks a part"
        ) from error


def _check_places(path: Path, rows: list[int]) -> None:
    """Raise where points of a shapefile came without a place, but its index says that they have one."""
    if not null_shapes(path, rows):
        raise OSError(
            f"{path}: expected a place for every point that its index gives one, got none for row {rows[0] + 1} or a "
            "later one; it is damaged: get it again"
        )


def column(values: np.ndarray[Any, Any], name: str, path: Path, *, text: bool) -> np.ndarray[Any, Any]:
    """Return values as a table gives them: numbers as float64, texts as objects, empty where there is none."""
    if not text:
        try:
            return values.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path}: expected numbers in the column {name!r}, got {values.dtype} ({error}); convert it"
            ) from error
    return np.array(["" if value is None else str(value) for value in values.tolist()], dtype=object)


def coordinates(shapes: Any, path: Path) -> Columns:
    """Return the coordinates of points in well-known binary, NaN for missing ones; ValueError for other shapes."""
    import shapely

    points = shapely.from_wkb(shapes)
    kinds = shapely.get_type_id(points)
    wrong = np.flatnonzero((kinds != shapely.GeometryType.POINT) & (kinds != shapely.GeometryType.MISSING))
    if wrong.size:
        raise ValueError(
            f"{path}: expected points, got {points[wrong[0]].geom_type} in row {int(wrong[0]) + 1}; take centroids, or "
            "explode multipoints, first"
        )
    values = (shapely.get_x(points), shapely.get_y(points), shapely.get_z(points))
    return dict(zip(GEOMETRY, values, strict=True))
