"""Inventories on disk: every format a GIS, Google Earth or a training program opens, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory import coco
from xinsar.inventory.columns import kinds, named, plain_value, restored, writable
from xinsar.inventory.kml import kml_text, read_kml
from xinsar.inventory.shapefile import short_names
from xinsar.inventory.tables import checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

FORMATS = (".gpkg", ".parquet", ".geojson", ".kml", ".shp", ".json")
"""Endings that are written: GeoPackage, GeoParquet, GeoJSON, KML, shapefile, COCO."""

_SIDES = (".dbf", ".shx", ".prj", ".cpg")
_RECORD = "xinsar"
_LIBKML = (
    "description", "timestamp", "begin", "end", "altitudeMode", "tessellate", "extrude", "visibility", "drawOrder",
    "icon", "snippet",
)  # fmt: skip


def save_inventory(
    found: GeoDataFrame,
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    grid: Any = None,
    colour_by: str | None = None,
) -> Path:
    """Write an inventory in the format that the ending of its name says.

    ============  ===========  ==========================================================================
    ending        format       what becomes of the table
    ============  ===========  ==========================================================================
    ``.gpkg``     GeoPackage   all columns; lists as JSON text. Other layers of an existing file are kept
    ``.parquet``  GeoParquet   all columns (needs pyarrow: ``pip install 'xinsar[parquet]'``)
    ``.geojson``  GeoJSON      RFC 7946: in WGS 84, to 1 cm; lists as they are
    ``.kml``      KML          in WGS 84, coloured, with a balloon of the attributes; lists and dates as text
    ``.shp``      shapefile    names of ten characters, said in a warning and kept in ``<name>.columns.json``
    ``.json``     COCO         one image, an annotation for each row; see ``grid``
    ============  ===========  ==========================================================================

    Parameters
    ----------
    found
        Outlines with any columns; none at all is fine too: columns, their kinds and the reference system are
        kept.
    path
        Local file; one that exists is replaced when the new one is whole. Folders are made.
    layer
        Name of the layer of a GeoPackage; by default the file's name.
    grid
        Cube or map whose pixels COCO counts in; by default an image of 25 m pixels around the outlines.
    colour_by
        Column that colours a KML; by default ``score``, else ``class``, where they are.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        ``found`` is no GeoDataFrame.
    ValueError
        The ending is unknown, the name is no local path, or GeoJSON and KML get a table without reference
        system.
    xinsar.MissingExtraError
        GeoParquet without pyarrow.

    Warns
    -----
    UserWarning
        Long names in a shapefile; a table without reference system.

    Notes
    -----
    Missing values stay missing. Second columns of geometries become WKT, other objects text. Nothing
    half-written is ever seen under ``path``: files are written beside it and moved. A shapefile is several
    files; its ``.shp`` is moved last.

    Examples
    --------
    >>> import tempfile, geopandas as gpd
    >>> from shapely.geometry import box
    >>> bodies = gpd.GeoDataFrame({"id": [1]}, geometry=[box(0, 0, 100, 100)], crs=32632)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     open_inventory(save_inventory(bodies, folder + "/found.gpkg")).crs.to_epsg()
    32632
    """
    path = _local(path)
    write = _writer(path)
    table = named(checked(found, "found"))
    if table.crs is None:
        if path.suffix.lower() in (".geojson", ".kml"):
            raise ValueError(
                f"found: expected a coordinate reference system, which {path.suffix} needs, got none; set it with "
                "set_crs"
            )
        warnings.warn(
            "found: the table has no coordinate reference system, so a GIS cannot place it; set it with set_crs",
            UserWarning,
            stacklevel=2,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"layer": layer or path.stem, "grid": grid, "colour_by": colour_by}
    with _unfinished(path) as folder:
        write(table, folder / path.name, options, path)
        _move(folder, path)
    return path


def open_inventory(path: str | os.PathLike[str], *, layer: str | None = None) -> GeoDataFrame:
    """Open an inventory, or any file of polygons.

    Parameters
    ----------
    path
        A file as :func:`save_inventory` writes it, whose columns come back with their names and kinds; or any
        other one of these formats, or what else GDAL reads.
    layer
        Layer of a file that holds several.

    Returns
    -------
    GeoDataFrame
        GeoJSON and KML in WGS 84. COCO in the reference system of its image, in pixels where it has none.
        Multipolygons of one part are polygons.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It holds several layers and none is named, or cannot be read; the message says why.
    """
    path = _local(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; give the name of an inventory")
    ending = path.suffix.lower()
    table = _OPENERS.get(ending, _read)(path, layer)
    return _single_parts(table)


# ---- names --------------------------------------------------------------------------------------------------------


def _local(path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise ValueError(f"path: expected a local file, got {os.fspath(path)!r}; write it here and upload it")
    return Path(path).expanduser()


Writer = Callable[["GeoDataFrame", Path, dict[str, Any], Path], None]


def _writer(path: Path) -> Writer:
    try:
        return _WRITERS[path.suffix.lower()]
    except KeyError:
        raise ValueError(
            f"path: expected a name that ends in one of {', '.join(FORMATS)}, got {path.name!r}"
        ) from None


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """Make a folder beside ``path`` for files that are not whole yet; nothing of it stays."""
    folder = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, path: Path) -> None:
    """Move the written files to their place, the one that is opened last, old ones of the same set away."""
    written = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
    if path.suffix.lower() == ".shp":
        path.unlink(missing_ok=True)
        for ending in (*_SIDES, ".columns.json"):
            path.with_suffix(ending).unlink(missing_ok=True)
    for file in written:
        os.replace(file, path.parent / file.name)


# ---- writing ------------------------------------------------------------------------------------------------------


def _gpkg(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    if before.is_file():
        shutil.copyfile(before, path)
    record = {_RECORD: json.dumps({"columns": kinds(table), "attrs": plain_value(table.attrs)})}
    own = {
        "GEOMETRY_NAME": "geometry",
        "FID": "row" if any(n.lower() == "fid" for n in table.columns) else "fid",
    }
    _ogr(writable(table), path, "GPKG", layer=options["layer"], layer_metadata=record, **own)


def _geojson(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    del options, before
    if len(table):
        flat = writable(table.to_crs("EPSG:4326"), lists=True)
        _ogr(flat, path, "GeoJSON", RFC7946="YES", WRITE_NAME="NO")
        return
    empty = {"type": "FeatureCollection", _RECORD: {"columns": kinds(table)}, "features": []}
    path.write_text(json.dumps(empty), "utf-8")


def _kml(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    del before
    wanted = options["colour_by"] or next((name for name in ("score", "class") if name in table), None)
    lines = kml_text(table.to_crs("EPSG:4326"), options["layer"], wanted)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _shapefile(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    del options, before
    names = short_names([name for name in table.columns if name != "geometry"])
    renamed = {name: short for name, short in names.items() if name != short}
    if renamed:
        said = ", ".join(f"{name} -> {short}" for name, short in renamed.items())
        warnings.warn(
            f"{path.name}: names in a shapefile have at most 10 characters: {said}; "
            f"{path.stem}.columns.json keeps the long ones",
            UserWarning,
            stacklevel=3,
        )
    _ogr(writable(table, dates=False).rename(columns=names), path, "ESRI Shapefile", ENCODING="UTF-8")
    record = {"columns": kinds(table), "names": {short: name for name, short in names.items()}}
    path.with_suffix(".columns.json").write_text(json.dumps(record), "utf-8")


def _parquet(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    from xinsar.extras import need

    del options, before
    need("pyarrow", purpose=f"writing {path.name}")
    table.to_parquet(path)


def _coco(table: GeoDataFrame, path: Path, options: dict[str, Any], before: Path) -> None:
    del before
    grid = options["grid"]
    if grid is not None:
        from xinsar.grid import crs_of

        crs = crs_of(grid)
        table = table if crs is None or table.crs is None or table.crs == crs else table.to_crs(crs)
    path.write_text(coco.coco_text(table, path.stem, grid), "utf-8")


def _ogr(table: GeoDataFrame, path: Path, driver: str, **options: Any) -> None:
    """Write by GDAL, silent about what was said already."""
    import pyogrio

    kind = {} if len(table) else {"geometry_type": "Polygon"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        try:
            pyogrio.write_dataframe(table, path, driver=driver, **kind, **options)
        except RuntimeError as error:
            raise ValueError(f"{path.name}: GDAL cannot write it: {error}") from error


_WRITERS: dict[str, Writer] = {
    ".gpkg": _gpkg,
    ".parquet": _parquet,
    ".geojson": _geojson,
    ".kml": _kml,
    ".shp": _shapefile,
    ".json": _coco,
}


# ---- reading ------------------------------------------------------------------------------------------------------


def _read(path: Path, layer: str | None) -> GeoDataFrame:
    """Return a layer by GDAL, with the columns it was written with where it says so."""
    import pyogrio

    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        if layer is None and len(layers) > 1:
            raise ValueError(f"{path}: it holds the layers {', '.join(sorted(layers))}; name one with layer=")
        if layer is not None and layer not in layers:
            raise ValueError(f"layer: expected one of {', '.join(sorted(layers))} in {path}, got {layer!r}")
        if not layers:
            raise ValueError(f"{path}: it holds no layer")
        name = layer or layers[0]
        table = _frame(pyogrio.read_dataframe(path, layer=name), path)
        record = (pyogrio.read_info(path, layer=name).get("layer_metadata") or {}).get(_RECORD)
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"{path}: GDAL cannot read it: {error}; is it whole?") from error
    if record is None:
        return table
    known = json.loads(record)
    table = restored(table, known["columns"])
    table.attrs = known.get("attrs") or {}
    return table


def _frame(table: Any, path: Path) -> GeoDataFrame:
    import geopandas as gpd

    if not isinstance(table, gpd.GeoDataFrame):
        raise ValueError(f"{path}: expected outlines, got a table without geometry")
    return table


def _read_shapefile(path: Path, layer: str | None) -> GeoDataFrame:
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or path.stat().st_size < 2 * int.from_bytes(head[24:28], "big"):
        raise ValueError(f"{path}: the file is shorter than it says; copy it again")
    table = _read(path, layer)
    side = path.with_suffix(".columns.json")
    if not side.is_file():
        return table
    record = coco.read_json(side)
    return restored(table.rename(columns=record["names"]), record["columns"])


def _read_json(path: Path, layer: str | None) -> GeoDataFrame:
    """Return COCO, or GeoJSON, whatever the ending says."""
    import geopandas as gpd

    content = coco.read_json(path)
    if coco.is_coco(content):
        return coco.coco_table(content)
    record = content.get(_RECORD) if isinstance(content, dict) else None
    if record and not content.get("features"):
        return restored(gpd.GeoDataFrame(geometry=[], crs="EPSG:4326"), record["columns"])
    table = _read(path, layer)
    lists = [n for n in table.columns if n != "geometry" and any(isinstance(v, np.ndarray) for v in table[n])]
    return restored(
        table, {n: "list" if n in lists else str(table[n].dtype) for n in table.columns if n != "geometry"}
    )


def _read_kml(path: Path, layer: str | None) -> GeoDataFrame:
    from xml.etree.ElementTree import ParseError

    try:
        table = read_kml(path)
    except ParseError as error:
        raise ValueError(f"{path}: expected KML, got something else or half of it ({error})") from error
    if table is not None:
        return table
    table = _read(path, layer)
    empty = [name for name in _LIBKML if name in table and not _says_anything(table[name])]
    return table.drop(columns=empty)


def _says_anything(values: Any) -> bool:
    return bool((values.notna() & ~values.isin([-1, 0, ""])).any())


def _read_parquet(path: Path, layer: str | None) -> GeoDataFrame:
    import geopandas as gpd

    from xinsar.extras import need

    del layer
    arrow = need("pyarrow", purpose=f"reading {path.name}")
    try:
        table = gpd.read_parquet(path)
    except (ValueError, arrow.ArrowException) as error:
        raise ValueError(f"{path}: pyarrow cannot read it: {error}; is it whole?") from error
    lists = {
        n: "list"
        for n in table.columns
        if n != "geometry" and any(isinstance(v, np.ndarray) for v in table[n])
    }
    kept = {n: lists.get(n, str(table[n].dtype)) for n in table.columns if n != "geometry"}
    return restored(table, kept) if lists else table


_OPENERS: dict[str, Callable[[Path, str | None], GeoDataFrame]] = {
    ".parquet": _read_parquet,
    ".geojson": _read_json,
    ".json": _read_json,
    ".kml": _read_kml,
    ".shp": _read_shapefile,
}


def _single_parts(table: GeoDataFrame) -> GeoDataFrame:
    """Return the table with polygons in place of multipolygons of one part (formats mix them up)."""
    import shapely

    shapes = np.asarray(table.geometry.array, object)
    alone = (shapely.get_type_id(shapes) == 6) & (shapely.get_num_geometries(shapes) == 1)
    if not alone.any():
        return table
    shapes = shapes.copy()
    shapes[alone] = shapely.get_geometry(shapes[alone], 0)
    return table.set_geometry(list(shapes), crs=table.crs)
