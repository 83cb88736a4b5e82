"""Merging tracks: unions, who saw them, and the guard against chains."""

import numpy as np
import pytest
from shapely.geometry import Point, box

from xinsar.inventory import merge_inventories


def table(*shapes, crs=32632, score=0.6):
    import geopandas as gpd

    scores = np.broadcast_to(np.asarray(score, float), len(shapes))
    rows = {"score": scores, "class": np.full(len(shapes), "moving", object)}
    return gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def test_overlap_becomes_the_union_seen_by_both():
    merged = merge_inventories(
        {
            "ascending": table(box(0, 0, 100, 100), score=0.7),
            "descending": table(box(60, 0, 160, 100), box(500, 0, 600, 100), score=[0.9, 0.6]),
        }
    )
    assert list(merged.columns) == ["id", "score", "class", "area", "seen_by", "geometry"]
    assert merged["seen_by"].tolist() == ["ascending+descending", "descending"]
    assert merged["score"].tolist() == [0.9, 0.6]
    assert merged["area"].tolist() == [16_000, 10_000]
    assert merged.geometry[0].equals(box(0, 0, 160, 100))


def test_a_sliver_of_overlap_is_not_enough():
    tables = {"a": table(box(0, 0, 100, 100)), "b": table(box(95, 0, 195, 100))}
    assert len(merge_inventories(tables)) == 2
    assert len(merge_inventories(tables, min_overlap=0.05)) == 1


def test_a_small_object_inside_a_large_one_is_swallowed():
    tables = {"a": table(box(0, 0, 1000, 1000)), "b": table(box(10, 10, 20, 20))}
    assert merge_inventories(tables)["area"].tolist() == [1e6]


def test_one_body_that_the_other_track_sees_in_two_parts():
    tables = {"a": table(box(0, 0, 300, 100)), "b": table(box(0, 0, 100, 90), box(200, 0, 320, 90))}
    merged = merge_inventories(tables)
    assert merged["seen_by"].tolist() == ["a+b"]
    assert merged["area"].tolist() == [300 * 100 + 20 * 90]


def test_a_chain_of_twenty_cannot_swallow_the_valley():
    chain = [Point(70.0 * k, 0).buffer(50) for k in range(20)]
    merged = merge_inventories({"a": table(*chain[::2]), "b": table(*chain[1::2])})
    assert len(merged) > 5
    width = merged.bounds["maxx"] - merged.bounds["minx"]
    assert width.max() <= 100 + 2 * 70 + 1e-6  # a body and its direct neighbours
    assert merged.union_all().area == pytest.approx(table(*chain).union_all().area)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_rows_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    shapes = [Point(*p).buffer(r) for *p, r in rng.uniform((0, 0, 20), (900, 900, 90), (40, 3))]
    a, b = table(*shapes[:20]), table(*shapes[20:])
    one = merge_inventories({"a": a, "b": b})
    mixed = {k: t.sample(frac=1, random_state=seed) for k, t in (("a", a), ("b", b))}
    other = merge_inventories(mixed)
    assert one.drop(columns=["geometry", "area"]).equals(other.drop(columns=["geometry", "area"]))
    for left, right in zip(one.geometry, other.geometry, strict=True):
        assert left.equals(right)


def test_merging_what_is_merged_changes_nothing():
    first = merge_inventories(
        {"a": table(box(0, 0, 100, 100)), "b": table(box(60, 0, 160, 100), box(500, 0, 600, 100))}
    )
    again = merge_inventories({"all": first})
    assert again["area"].tolist() == first["area"].tolist()
    assert again["id"].tolist() == first["id"].tolist()


def test_ids_run_from_north_west():
    merged = merge_inventories({"a": table(box(0, 0, 1, 1), box(50, 90, 51, 91), box(9, 90, 10, 91))})
    assert merged.geometry.bounds["minx"].tolist() == [9, 50, 0]
    assert merged["id"].tolist() == [1, 2, 3]


def test_systems_are_brought_to_the_first_and_degrees_measured_on_the_ellipsoid():
    shape = Point(480_000, 5_200_000).buffer(200)
    metric = table(shape)
    merged = merge_inventories({"a": metric.to_crs(4326), "b": metric})
    assert merged.crs == "EPSG:4326"
    assert len(merged) == 1
    assert merged["area"][0] == pytest.approx(shape.area, rel=2e-3)


def test_empty_tables_give_an_empty_table(tmp_path):
    merged = merge_inventories({"a": table(), "b": table()})
    assert len(merged) == 0
    assert list(merged.columns) == ["id", "score", "class", "area", "seen_by", "geometry"]
    assert merged.crs == "EPSG:32632"
    merged.to_file(tmp_path / "none.gpkg")


def test_another_name_of_the_geometry_is_fine():
    renamed = table(box(0, 0, 1, 1)).rename_geometry("outline")
    assert merge_inventories({"a": renamed})["area"].tolist() == [1]


@pytest.mark.parametrize(
    ("tables", "settings", "message"),
    [
        ({}, {}, "tables: expected at least one"),
        ({"a": table(), "b": table(crs=None)}, {}, "tables: expected a coordinate reference system"),
        ({"a": table()}, {"min_overlap": 0}, "min_overlap: expected a share"),
    ],
)
def test_bad_input_is_named(tables, settings, message):
    with pytest.raises(ValueError, match=message):
        merge_inventories(tables, **settings)
