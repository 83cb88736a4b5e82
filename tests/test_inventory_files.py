"""Inventories on disk: round trips read back here and by GDAL, zero rows, lists, dates, names, half-written files."""

from __future__ import annotations

import json
import os
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyogrio
import pytest
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon, box

from xinsar.inventory import open_inventory, save_inventory
from xinsar.inventory.shapefile import short_names

ENDINGS = ("gpkg", "parquet", "geojson", "kml", "shp", "json")
DRIVERS = {"gpkg": "GPKG", "geojson": "GeoJSON", "kml": "LIBKML", "shp": "ESRI Shapefile"}
WEST, SOUTH = 480_000.0, 5_200_000.0


def shapes():
    """A box, two bodies in one, one with a hole, a leaning one."""
    hole = [(150, 150), (250, 150), (250, 250), (150, 250)]
    made = [
        box(0, 0, 300, 200),
        MultiPolygon([box(1000, 0, 1100, 100), box(1200, 0, 1400, 100)]),
        Polygon([(100, 100), (400, 100), (400, 400), (100, 400)], [hole]),
        Polygon([(2000, 0), (2300, 50), (2250, 400), (1950, 300)]),
    ]
    return [shapely.transform(s, lambda p: p + np.array([WEST, SOUTH])) for s in made]


def table(**columns):
    import geopandas as gpd

    rows = {
        "id": np.arange(1, 5, dtype="i8"),
        "score": [0.91, np.nan, 0.5, 0.123456789],
        "class": np.array(["moving", None, 'a < b & "é"', "moving"], object),
        "seen_by": np.array(["ascending+descending", "ascending", "descending", "ascending"], object),
        "potential_landslide": [True, False, True, True],
        "peak_velocity_ascending": [-0.1, 0.2, 0.3, -0.4],
        "peak_velocity_descending": np.array([0.1, 0.2, np.nan, 0.4], "f4"),
        "pixels": np.arange(4, dtype="i4"),
        "first_seen": np.array(["2020-01-01", "2021-05-06T10:11:12.345", "NaT", "2022-02-02"], "M8[ms]"),
        **columns,
    }
    return gpd.GeoDataFrame(rows, geometry=shapes(), crs="EPSG:32632")


def saved(found, path, **options):
    """Save without the words about short names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*at most 10 characters", UserWarning)
        return save_inventory(found, path, **options)


def same_columns(back, wanted):
    assert list(back.columns) == list(wanted.columns)
    for name in wanted.columns.drop("geometry"):
        assert str(back[name].dtype) == str(wanted[name].dtype), name
        for a, b in zip(back[name], wanted[name], strict=True):
            missing = b is None or b != b
            assert (a is None or a != a) if missing else a == b or a == pytest.approx(b, rel=1e-12), name


def same_outlines(back, wanted, tolerance):
    """Every outline within ``tolerance`` metres of the one that was written."""
    for a, b in zip(back.to_crs(wanted.crs).geometry, wanted.geometry, strict=True):
        assert a.geom_type == b.geom_type
        assert len(shapely.get_coordinates(a)) == len(shapely.get_coordinates(b))
        assert a.hausdorff_distance(b) < tolerance
        assert a.is_valid


@pytest.mark.parametrize(
    ("ending", "tolerance"),
    [("gpkg", 1e-9), ("parquet", 1e-9), ("geojson", 0.02), ("kml", 1e-3), ("shp", 1e-9), ("json", 1e-6)],
)
def test_round_trip(tmp_path, ending, tolerance):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    found = table(dates=[["2020-01-01", "2020-02-01"], [], None, ["2021-01-01"]])
    path = saved(found, tmp_path / f"found.{ending}")
    back = open_inventory(path)
    if ending == "geojson":  # GDAL tells numbers of JSON by their look
        back = back.astype({"id": "i8", "peak_velocity_descending": "f4"})
    same_columns(back, found)
    assert back["dates"].tolist() == [["2020-01-01", "2020-02-01"], [], None, ["2021-01-01"]]
    assert back.crs.to_epsg() == (4326 if ending in ("geojson", "kml") else 32632)
    same_outlines(back, found, tolerance)


@pytest.mark.parametrize("ending", DRIVERS)
def test_gdal_reads_what_was_written(tmp_path, ending):
    found = table()
    path = saved(found, tmp_path / f"found.{ending}")
    info = pyogrio.read_info(path)
    assert info["driver"] == DRIVERS[ending]
    assert info["features"] == 4
    back = pyogrio.read_dataframe(path)
    names = short_names(found.columns.drop("geometry")) if ending == "shp" else {}
    for name in ("score", "peak_velocity_ascending"):
        np.testing.assert_allclose(back[names.get(name, name)].astype(float), found[name], rtol=1e-9)
    assert back[names.get("seen_by", "seen_by")].tolist() == found["seen_by"].tolist()
    assert back.to_crs(32632).geometry.area.to_numpy() == pytest.approx(
        found.geometry.area.to_numpy(), rel=1e-3
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows_keep_columns_and_system(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    found = table()
    path = saved(found.iloc[:0], tmp_path / f"none.{ending}")
    back = open_inventory(path)
    assert len(back) == 0
    same_columns(back, found.iloc[:0])
    assert back.crs.to_epsg() == (4326 if ending in ("geojson", "kml") else 32632)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_geometry_alone(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    found = table()[["geometry"]]
    back = open_inventory(saved(found, tmp_path / f"bare.{ending}"))
    assert len(back) == 4
    same_outlines(back, found, 0.02)


def test_layers_of_a_geopackage_live_side_by_side(tmp_path):
    path = tmp_path / "both.gpkg"
    save_inventory(table(), path, layer="found")
    save_inventory(table().iloc[:2], path, layer="truth")
    save_inventory(table().iloc[:3], path, layer="found")
    assert sorted(pyogrio.list_layers(path)[:, 0]) == ["found", "truth"]
    assert len(open_inventory(path, layer="found")) == 3
    assert len(open_inventory(path, layer="truth")) == 2
    with pytest.raises(ValueError, match="holds the layers found, truth; name one"):
        open_inventory(path)
    with pytest.raises(ValueError, match="layer: expected one of found, truth"):
        open_inventory(path, layer="lost")


def test_settings_travel_with_a_geopackage(tmp_path):
    found = table()
    found.attrs = {"method": "threshold", "min_z": 2.0, "tracks": ("a", "b")}
    back = open_inventory(save_inventory(found, tmp_path / "found.gpkg"))
    assert back.attrs == {"method": "threshold", "min_z": 2.0, "tracks": ["a", "b"]}


# ---- formats by their rules ---------------------------------------------------------------------------------------


def test_geojson_follows_its_rfc(tmp_path):
    content = json.loads(saved(table(), tmp_path / "found.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert "crs" not in content
    outer, hole = content["features"][2]["geometry"]["coordinates"]
    assert shapely.LinearRing(outer).is_ccw
    assert not shapely.LinearRing(hole).is_ccw
    assert all(abs(x - 8.7) < 0.1 and abs(y - 46.95) < 0.1 for x, y in outer)
    assert "NaN" not in json.dumps(content)


def kml(path):
    return ElementTree.parse(path).getroot(), "{http://www.opengis.net/kml/2.2}"


def test_kml_is_styled_and_says_its_attributes(tmp_path):
    root, tag = kml(save_inventory(table(), tmp_path / "found.kml"))
    marks = list(root.iter(f"{tag}Placemark"))
    styles = {style.get("id"): style for style in root.iter(f"{tag}Style")}
    assert [mark.find(f"{tag}name").text for mark in marks] == [
        "moving 1",
        "object 2",
        'a < b & "é" 3',
        "moving 4",
    ]
    used = [mark.find(f"{tag}styleUrl").text[1:] for mark in marks]
    assert set(used) <= set(styles)
    assert used[1] == "missing"
    assert used[0] != used[3]
    colour = styles[used[0]].find(f"{tag}LineStyle/{tag}color").text
    assert (len(colour), colour[:2]) == (8, "ff")
    assert int(colour[6:8], 16) > int(colour[2:4], 16), "a high score is red: aabbggrr"
    assert styles[used[0]].find(f"{tag}PolyStyle/{tag}color").text.startswith("59")
    balloon = marks[2].find(f"{tag}description").text
    assert "<td>class</td><td>a &lt; b &amp; &quot;é&quot;</td>" in balloon
    assert "score 0.5" not in balloon
    of_document = list(dict.fromkeys(child.tag.removeprefix(tag) for child in root[0]))
    assert of_document == ["name", "open", "description", "Style", "ExtendedData", "Schema", "Placemark"]
    order = [child.tag.removeprefix(tag) for child in marks[1]]
    assert order == ["name", "description", "styleUrl", "ExtendedData", "MultiGeometry"]
    assert [len(list(mark.iter(f"{tag}innerBoundaryIs"))) for mark in marks] == [0, 0, 1, 0]


def test_kml_colours_by_class_and_by_any_number(tmp_path):
    root, tag = kml(save_inventory(table(), tmp_path / "a.kml", colour_by="seen_by"))
    used = [mark.find(f"{tag}styleUrl").text for mark in root.iter(f"{tag}Placemark")]
    assert used[1] == used[3]
    assert len(set(used)) == 3
    assert "ascending+descending: #" in root.find(f"{tag}Document/{tag}description").text
    root, tag = kml(save_inventory(table(), tmp_path / "b.kml", colour_by="peak_velocity_ascending"))
    assert "yellow -0.4 to red 0.3" in root.find(f"{tag}Document/{tag}description").text
    with pytest.raises(ValueError, match="colour_by: expected a column"):
        save_inventory(table(), tmp_path / "c.kml", colour_by="colour")


def test_kml_survives_control_characters(tmp_path):
    found = table(note=["a\x00b", "c\x1fd", "<![CDATA[x]]>", "]]>"])
    assert open_inventory(save_inventory(found, tmp_path / "x.kml"))["note"].tolist() == [
        "a b",
        "c d",
        "<![CDATA[x]]>",
        "]]>",
    ]


def test_kml_of_others_opens_without_its_empty_columns(tmp_path):
    pyogrio.write_dataframe(
        table()[["score", "geometry"]].to_crs(4326), tmp_path / "other.kml", driver="LIBKML"
    )
    back = open_inventory(tmp_path / "other.kml")
    assert "score" in back
    assert not {"timestamp", "drawOrder", "tessellate", "icon"} & set(back.columns)


def test_shapefile_says_its_names_and_keeps_the_long_ones(tmp_path):
    with pytest.warns(
        UserWarning, match="at most 10 characters: potential_landslide -> .*peak_velocity_ascending"
    ):
        path = save_inventory(table(), tmp_path / "found.shp")
    assert {p.suffix for p in tmp_path.iterdir()} == {".shp", ".shx", ".dbf", ".prj", ".cpg", ".json"}
    fields = pyogrio.read_info(path)["fields"].tolist()
    assert len(set(fields)) == len(fields)
    assert max(map(len, fields)) <= 10


def test_short_names_never_collide():
    names = [
        f"{a}_{b}_{c}"
        for a in ("mean", "peak")
        for b in ("velocity", "sensitivity")
        for c in ("one", "two", "three")
    ]
    names += ["velocity", "Velocity", "élévation", "a" * 30, "a" * 31, "", "x" * 10, "x" * 10 + "y"]
    short = short_names(names)
    assert list(short) == names
    assert (
        len({s.lower() for s in short.values()}) == len(names) - 1
    )  # velocity and Velocity are short enough
    assert max(len(s.encode()) for s in short.values()) <= 10
    assert all(s for name, s in short.items() if name)


def test_a_new_shapefile_leaves_nothing_of_the_old_one(tmp_path):
    saved(table(), tmp_path / "found.shp")
    with pytest.warns(UserWarning, match="no coordinate reference system"):
        save_inventory(table()[["id", "geometry"]].set_crs(None, allow_override=True), tmp_path / "found.shp")
    assert not (tmp_path / "found.prj").exists()
    assert open_inventory(tmp_path / "found.shp").crs is None


# ---- COCO ---------------------------------------------------------------------------------------------------------


def cube(rows=60, columns=130, step=25.0):
    import xarray as xr

    from tests.helpers import with_crs

    top = SOUTH + 1000.0
    coords = {"y": top - step * (np.arange(rows) + 0.5), "x": WEST + step * (np.arange(columns) + 0.5)}
    return with_crs(xr.Dataset(coords=coords), "EPSG:32632")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_what_its_own_program_reads(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    path = save_inventory(table(), tmp_path / "found.json", grid=cube())
    data = coco.COCO(str(path))
    capsys.readouterr()
    assert len(data.anns) == 4
    assert [c["name"] for c in data.cats.values()] == ['a < b & "é"', "landslide", "moving"]
    image = data.imgs[1]
    assert (image["width"], image["height"]) == (130, 60)
    for annotation, shape in zip(data.anns.values(), shapes(), strict=True):
        mask = data.annToMask(annotation)
        assert mask.shape == (60, 130)
        assert mask.sum() * 625 == pytest.approx(shape.area, rel=0.2)
        assert annotation["area"] * 625 == pytest.approx(shape.area)
        left, top, width, height = annotation["bbox"]
        assert (WEST + 25 * left, SOUTH + 1000 - 25 * top) == pytest.approx(
            (shape.bounds[0], shape.bounds[3])
        )
        assert (25 * width, 25 * height) == pytest.approx(
            (shape.bounds[2] - shape.bounds[0], shape.bounds[3] - shape.bounds[1])
        )


def test_masks_of_coco_are_those_of_its_own_program(tmp_path):
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(2)
    for shape in ((17, 23), (5, 40), (1, 9), (30, 1)):
        mask = np.asfortranarray(rng.random(shape) < 0.4, "u1")
        runs = masks.encode(mask)
        content = {
            "images": [{"id": 7, "width": shape[1], "height": shape[0], "file_name": "a.tif"}],
            "categories": [{"id": 3, "name": "slide"}],
            "annotations": [
                {
                    "id": 5,
                    "image_id": 7,
                    "category_id": 3,
                    "iscrowd": 1,
                    "segmentation": {"size": list(runs["size"]), "counts": runs["counts"].decode()},
                }
            ],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        back = open_inventory(tmp_path / "a.json")
        assert back.crs is None
        assert back.geometry[0].area == mask.sum()
        y, x = np.nonzero(mask)
        assert shapely.contains_xy(back.geometry[0], x + 0.5, y + 0.5).all()
        assert back.drop(columns="geometry").to_dict("records") == [
            {"id": 5, "class": "slide", "ignore": True}
        ]


def test_coco_of_others_in_pixels(tmp_path):
    square = [10.0, 5.0, 20.0, 5.0, 20.0, 15.0, 10.0, 15.0]
    notes = [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": [square],
            "bbox": [10, 5, 10, 10],
            "area": 100,
        },
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"id": 3, "image_id": 2, "category_id": 1},
    ]
    images = [{"id": k, "width": 64, "height": 64, "file_name": f"{k}.png"} for k in (1, 2)]
    content = {"images": images, "categories": [{"id": 1, "name": "slide"}], "annotations": notes}
    (tmp_path / "a.json").write_text(json.dumps(content))
    back = open_inventory(tmp_path / "a.json")
    assert back.geometry[0].equals(box(10, 5, 20, 15))
    assert back.geometry[1].equals(box(1, 2, 4, 6))
    assert back.geometry[2].is_empty
    assert back["image"].tolist() == ["1.png", "2.png", "2.png"]
    content["annotations"] = [notes[0] | {"image_id": 9}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="image 9 is not in the file"):
        open_inventory(tmp_path / "a.json")


def test_coco_brings_a_table_to_the_system_of_its_grid(tmp_path):
    found = table().to_crs(4326)
    back = open_inventory(save_inventory(found, tmp_path / "found.json", grid=cube()))
    assert back.crs.to_epsg() == 32632
    same_outlines(back, table(), 25.0)


def test_coco_without_grid_in_degrees(tmp_path):
    found = table().to_crs(4326)
    back = open_inventory(save_inventory(found, tmp_path / "found.json"))
    assert back.crs.to_epsg() == 4326
    assert back.geometry[0].hausdorff_distance(found.geometry[0]) < 1e-9


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_half_written_is_seen(tmp_path, ending, monkeypatch):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = saved(table(), tmp_path / f"found.{ending}")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def stop(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", stop)
    if ending != "shp":  # its old files go first, so that old and new never mix
        with pytest.raises(OSError, match="disk full"):
            saved(table().iloc[:1], path)
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    else:
        with pytest.raises(OSError, match="disk full"):
            saved(table().iloc[:1], path)
        assert not path.exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_half_a_file_is_refused(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = saved(table(), tmp_path / f"found.{ending}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ValueError, match=f"found.{ending}"):
        open_inventory(path)


def test_names_and_tables_are_checked(tmp_path):
    import geopandas as gpd

    with pytest.raises(ValueError, match=r"path: expected a name that ends in one of \.gpkg"):
        save_inventory(table(), tmp_path / "found.xlsx")
    with pytest.raises(ValueError, match="path: expected a local file"):
        save_inventory(table(), "s3://bucket/found.gpkg")
    with pytest.raises(TypeError, match="found: expected a GeoDataFrame"):
        save_inventory(table().drop(columns="geometry"), tmp_path / "found.gpkg")
    with pytest.raises(ValueError, match="expected polygons, got Point in 1 of 1"):
        save_inventory(gpd.GeoDataFrame(geometry=[Point(0, 0)], crs=32632), tmp_path / "found.gpkg")
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_inventory(tmp_path / "none.gpkg")
    doubled = table().rename(columns={"pixels": "id"})
    with pytest.raises(ValueError, match="got 'id' more than once"):
        save_inventory(doubled, tmp_path / "found.gpkg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_without_system(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    found = table()[["id", "geometry"]].set_crs(None, allow_override=True)
    if ending in ("geojson", "kml"):
        with pytest.raises(ValueError, match=f"coordinate reference system, which .{ending} needs"):
            save_inventory(found, tmp_path / f"found.{ending}")
        return
    with pytest.warns(UserWarning, match="no coordinate reference system"):
        path = save_inventory(found, tmp_path / f"found.{ending}")
    assert open_inventory(path).crs is None


def test_outlines_that_cross_themselves_are_repaired_before(tmp_path):
    import geopandas as gpd

    bow = gpd.GeoDataFrame(geometry=[Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])], crs=32632)
    with pytest.warns(UserWarning, match="1 of 1 outlines cross themselves"):
        path = save_inventory(bow, tmp_path / "bow.gpkg")
    assert open_inventory(path).geometry[0].area == pytest.approx(50)


def test_missing_outlines_stay_rows(tmp_path):
    found = table()
    found.loc[1, "geometry"] = None
    for ending in ENDINGS:
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        back = open_inventory(saved(found, tmp_path / f"gap.{ending}"))
        assert len(back) == 4
        assert back.geometry[1] is None or back.geometry[1].is_empty
        assert back.geometry[3].area > 0


def test_second_geometries_become_text_where_there_is_one_only(tmp_path):
    found = table()
    found["envelope"] = found.geometry.envelope
    back = open_inventory(saved(found, tmp_path / "found.gpkg"))
    assert shapely.from_wkt(back["envelope"][0]).equals(found["envelope"][0])


def test_an_odd_column_becomes_text(tmp_path):
    found = table(span=np.array([1, 2, 3, 4], "m8[D]"), mixed=[1, "a", None, 2.5])
    back = open_inventory(saved(found, tmp_path / "found.gpkg"))
    assert back["mixed"].tolist() == ["1", "a", None, "2.5"]
    assert back["span"][0].startswith("1 days")


def test_dates_with_zones(tmp_path):
    import pandas as pd

    found = table(at=pd.to_datetime(["2020-01-01 12:00"] * 4, utc=True).tz_convert("Europe/Rome"))
    for ending in ("gpkg", "kml", "shp"):
        back = open_inventory(saved(found, tmp_path / f"found.{ending}"))
        assert (back["at"] == found["at"]).all(), ending


def test_names_that_a_geopackage_has_for_itself(tmp_path):
    found = table(fid=[0.5, 0.5, 2, 3], geom=["a", "b", "c", "d"], row=[1, 1, 1, 1])
    back = open_inventory(save_inventory(found.drop(columns="row"), tmp_path / "found.gpkg"))
    assert back["fid"].tolist() == [0.5, 0.5, 2, 3]
    assert back["geom"].tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match=r"found\.gpkg: GDAL cannot write it"):
        save_inventory(found.rename(columns={"geom": "Score"}), tmp_path / "found.gpkg")
    assert open_inventory(tmp_path / "found.gpkg")["fid"].tolist() == [0.5, 0.5, 2, 3]


def test_geoparquet_says_its_system_and_version(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = save_inventory(table(), tmp_path / "found.parquet")
    about = json.loads(parquet.read_metadata(path).metadata[b"geo"])
    assert about["version"].startswith("1.")
    assert about["columns"]["geometry"]["encoding"] == "WKB"
    assert about["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 32632}
