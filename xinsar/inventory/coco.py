"""COCO JSON: outlines in pixels of an image, as data sets for training are kept; with the image's place on the map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xinsar.inventory.columns import kinds, plain_value, restored, writable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]

PIXEL = 25.0
"""Metres of a pixel where no grid is given."""
_DEGREE = 111_320.0
_UNNAMED = "landslide"
"""Category of what has no class."""


class Image(NamedTuple):
    """Where the pixels of an image lie: outer corner of the first one, signed steps, rows and columns."""

    x: float
    y: float
    dx: float
    dy: float
    rows: int
    columns: int


def image_of(table: GeoDataFrame, grid: Any) -> Image:
    """Return the image of a cube, or one of 25 m pixels around the table."""
    from xinsar.operations.zonal import lattice_of

    if grid is not None:
        found = lattice_of(grid)
        return Image(found.x, found.y, found.dx, found.dy, found.rows, found.columns)
    size = PIXEL / _DEGREE if table.crs is not None and table.crs.is_geographic else PIXEL
    left, bottom, right, top = table.total_bounds if len(table) else (0.0, 0.0, size, size)
    x, y = np.floor(left / size) * size, np.ceil(top / size) * size
    columns, rows = (max(round(np.ceil(span / size)), 1) for span in (right - x, y - bottom))
    return Image(float(x), float(y), size, -size, int(rows), int(columns))


# ---- writing ------------------------------------------------------------------------------------------------------


def coco_text(table: GeoDataFrame, name: str, grid: Any) -> str:
    """Return the JSON of a table: one image, a category for each class, an annotation for each row.

    Outlines are polygons in pixels (x right, y down, 0 at the outer corner of the first pixel). Those with holes,
    which COCO's polygons cannot hold, are run-length masks.
    """
    image = image_of(table, grid)
    words = [_word(value) for value in table["class"]] if "class" in table else [_UNNAMED] * len(table)
    categories = sorted(set(words)) or [_UNNAMED]
    rows = writable(table, lists=True, dates=False).drop(columns="geometry").to_dict("records")
    annotations = [
        _annotation(row, shape, number, image, categories.index(word) + 1)
        for number, (row, shape, word) in enumerate(zip(rows, table.geometry, words, strict=True), start=1)
    ]
    content = {
        "info": {"description": name, "columns": kinds(table)},
        "images": [_image(image, name, table.crs)],
        "categories": [{"id": k, "name": word} for k, word in enumerate(categories, start=1)],
        "annotations": annotations,
    }
    return json.dumps(content, allow_nan=False)


def _word(value: Any) -> str:
    import pandas as pd

    return _UNNAMED if pd.isna(value) else str(value)


def _image(image: Image, name: str, crs: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "file_name": f"{name}.tif",
        "width": image.columns,
        "height": image.rows,
        "transform": [image.dx, 0.0, image.x, 0.0, image.dy, image.y],
        "crs": None if crs is None else crs.to_wkt(),
    }


def _annotation(
    row: Mapping[str, Any], shape: Any, number: int, image: Image, category: int
) -> dict[str, Any]:
    pixels = _in_pixels(shape, image)
    left, top, right, bottom = (float(v) for v in pixels.bounds) if not pixels.is_empty else (0.0,) * 4
    score = plain_value(row.get("score"))
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "segmentation": _segmentation(pixels, image),
        "area": float(pixels.area),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
        **({} if score is None else {"score": score}),
        "attributes": {key: plain_value(value) for key, value in row.items()},
    }


def _in_pixels(shape: Any, image: Image) -> Any:
    import shapely

    if shape is None:
        return shapely.Polygon()
    corner, steps = np.array([image.x, image.y]), np.array([image.dx, image.dy])
    return shapely.transform(shape, lambda places: (places - corner) / steps)


def _segmentation(pixels: Any, image: Image) -> Any:
    parts = [part for part in getattr(pixels, "geoms", [pixels]) if not part.is_empty]
    if any(len(part.interiors) for part in parts):
        return _runs(pixels, image)
    return [np.asarray(part.exterior.coords)[:-1, :2].ravel().tolist() for part in parts]


def _runs(pixels: Any, image: Image) -> dict[str, Any]:
    """Return lengths of runs of 0 and 1, column after column, of the pixels whose centres lie inside."""
    from rasterio.features import rasterize

    left, top, right, bottom = pixels.bounds
    x0, x1 = (int(np.clip(f(v), 0, image.columns)) for f, v in ((np.floor, left), (np.ceil, right)))
    y0, y1 = (int(np.clip(f(v), 0, image.rows)) for f, v in ((np.floor, top), (np.ceil, bottom)))
    size, total = image.rows, image.rows * image.columns
    ones = np.zeros(0, np.int64)
    if x0 < x1 and y0 < y1:
        from rasterio.transform import Affine

        mask = rasterize([(pixels, 1)], (y1 - y0, x1 - x0), transform=Affine(1, 0, x0, 0, 1, y0), dtype="u1")
        columns, rows = np.nonzero(mask.T)
        ones = (columns.astype(np.int64) + x0) * size + rows + y0
    breaks = np.flatnonzero(np.diff(ones) > 1)
    starts, stops = (np.append(ones[:1], ones[breaks + 1]), np.append(ones[breaks], ones[-1:]) + 1)
    edges = np.stack([starts, stops], 1).ravel()
    return {"size": [size, image.columns], "counts": np.diff(np.concatenate([[0], edges, [total]])).tolist()}


# ---- reading ------------------------------------------------------------------------------------------------------


def is_coco(content: Any) -> bool:
    """Tell whether JSON content is a COCO data set."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


def coco_table(content: Mapping[str, Any]) -> GeoDataFrame:
    """Return the annotations of a COCO data set as a table.

    With the place of its image on the map (``transform`` and ``crs``, as they are written here) outlines are in
    that reference system; else in pixels, y down. Boxes stand in where there is no segmentation.
    """
    import geopandas as gpd
    import pandas as pd

    images = {image["id"]: image for image in content["images"]}
    names = {category["id"]: category["name"] for category in content.get("categories", [])}
    record = content.get("info", {}).get("columns")
    crs = _common_crs(list(images.values()))
    rows, shapes = [], []
    for annotation in content["annotations"]:
        image = images.get(annotation["image_id"])
        if image is None:
            raise ValueError(
                f"annotation {annotation.get('id')}: its image {annotation['image_id']!r} is not in the file"
            )
        rows.append(_row_of(annotation, image, names, own=record is not None, several=len(images) > 1))
        shapes.append(_outline(annotation, image))
    frame = pd.DataFrame(rows, index=range(len(rows)), dtype=object)
    table = gpd.GeoDataFrame(frame.infer_objects(), geometry=gpd.GeoSeries(shapes, crs=crs), crs=crs)
    return restored(table, record)


def _common_crs(images: list[Any]) -> Any:
    from pyproj import CRS

    texts = {image.get("crs") for image in images}
    if len(texts) > 1:
        raise ValueError(f"images: expected one coordinate reference system in a file, got {len(texts)}")
    text = texts.pop() if texts else None
    return None if text is None else CRS.from_user_input(text)


def _row_of(
    annotation: Mapping[str, Any],
    image: Mapping[str, Any],
    names: Mapping[Any, str],
    *,
    own: bool,
    several: bool,
) -> dict[str, Any]:
    """Return the attributes of an annotation: those it was written with, else what COCO knows."""
    attributes = dict(annotation.get("attributes") or {})
    if own:
        return attributes
    known = {
        "id": annotation.get("id"),
        "class": names.get(annotation.get("category_id")),
        "score": annotation.get("score"),
        "ignore": bool(annotation.get("iscrowd", 0)),
        "image": image.get("file_name", image["id"]) if several else None,
    }
    left_out = ("score", "image") if own or annotation.get("score") is None else ("image",)
    return {k: v for k, v in known.items() if v is not None or k not in left_out} | attributes


def _outline(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> Any:
    """Return the outline on the map, or in pixels where the image has no place on it."""
    import shapely

    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        shape = _of_runs(segmentation)
    elif segmentation:
        rings = [np.asarray(ring, "f8").reshape(-1, 2) for ring in segmentation]
        parts = [shapely.Polygon(ring) for ring in rings if len(ring) > 2]
        whole = [part if part.is_valid else shapely.make_valid(part) for part in parts]
        shape = whole[0] if len(whole) == 1 else shapely.union_all(whole)
    elif annotation.get("bbox") and annotation["bbox"][2] > 0:
        x, y, width, height = annotation["bbox"]
        shape = shapely.box(x, y, x + width, y + height)
    else:
        return shapely.Polygon()
    if not (transform := image.get("transform")):
        return shape
    a, b, c, d, e, f = transform
    return shapely.transform(
        shape, lambda p: np.stack([a * p[:, 0] + b * p[:, 1] + c, d * p[:, 0] + e * p[:, 1] + f], 1)
    )


def _of_runs(segmentation: Mapping[str, Any]) -> Any:
    """Return the outline of a run-length mask, along the edges of its pixels."""
    import shapely
    from rasterio.features import shapes
    from rasterio.transform import Affine

    rows, columns = segmentation["size"]
    counts = segmentation["counts"]
    runs = np.asarray(decoded(counts) if isinstance(counts, str) else counts, np.int64)
    edges = np.cumsum(runs)
    if edges.size == 0 or edges[-1] != rows * columns:
        raise ValueError(
            f"segmentation: expected runs of {rows * columns} pixels in all, got {int(runs.sum())}"
        )
    starts, stops = edges[:-1:2], edges[1::2]
    if not starts.size:
        return shapely.Polygon()
    x0, x1 = int(starts.min() // rows), int((stops.max() - 1) // rows) + 1
    mask = np.zeros((x1 - x0) * rows, "u1")
    for start, stop in zip(starts - x0 * rows, stops - x0 * rows, strict=True):
        mask[start:stop] = 1
    image = np.ascontiguousarray(mask.reshape(x1 - x0, rows).T)
    found = shapes(image, image > 0, transform=Affine(1, 0, x0, 0, 1, 0))
    return shapely.union_all([shapely.geometry.shape(outline) for outline, _ in found])


def decoded(text: str) -> list[int]:
    """Return the runs of COCO's compressed text: six bits a letter, low ones first, differences after the second.

    Examples
    --------
    >>> decoded("52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got something else or half of it ({error})") from error
