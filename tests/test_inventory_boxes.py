"""Merging of boxes and of scales: GIoU, distances on the ground, chains, order, repetition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box

from xinsar.inventory import merge_boxes, merge_inventories, merge_scales
from xinsar.inventory.linking import complete_link
from xinsar.inventory.merge import generalised_iou


def table(*shapes, crs=32632, score=0.6, **columns):
    import geopandas as gpd

    scores = np.broadcast_to(np.asarray(score, float), len(shapes))
    rows = {"score": scores, "class": np.full(len(shapes), "moving", object), **columns}
    return gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def square(x, y, side=300.0):
    return box(x, y, x + side, y + side)


def giou_by_hand(a, b):
    around = box(
        min(a.bounds[0], b.bounds[0]),
        min(a.bounds[1], b.bounds[1]),
        max(a.bounds[2], b.bounds[2]),
        max(a.bounds[3], b.bounds[3]),
    )
    union = a.union(b).area
    return a.intersection(b).area / union - (around.area - union) / around.area


def same(a, b):
    assert a.drop(columns="geometry").equals(b.drop(columns="geometry"))
    assert all(p.equals_exact(q, 0) for p, q in zip(a.geometry, b.geometry, strict=True))


# ---- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_generalised_iou(seed):
    rng = np.random.default_rng(seed)
    boxes = [box(x, y, x + w, y + h) for x, y, w, h in rng.uniform((0, 0, 1, 1), (9, 9, 9, 9), (12, 4))]
    bounds = np.array([b.bounds for b in boxes])
    for i, j in combinations(range(12), 2):
        assert generalised_iou(bounds[i], bounds[j])[0] == pytest.approx(giou_by_hand(boxes[i], boxes[j]))


def linked_by_hand(count, pairs, strengths):
    """Complete linkage, one link after another, every group looked through each time."""
    groups = [{k} for k in range(count)]
    known = {frozenset(p) for p in pairs}
    order = sorted(range(len(pairs)), key=lambda k: -strengths[k])
    for k in order:
        a, b = (next(g for g in groups if end in g) for end in pairs[k])
        if a is not b and all(frozenset((p, q)) in known for p in a for q in b):
            groups.remove(a)
            groups.remove(b)
            groups.append(a | b)
    return sorted(sorted(g) for g in groups)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 9), st.floats(0, 1))
def test_complete_linkage_by_hand(seed, count, density):
    rng = np.random.default_rng(seed)
    pairs = [p for p in combinations(range(count), 2) if rng.random() < density]
    strengths = rng.permutation(len(pairs)).astype(float)
    first, second = np.array(pairs, int).reshape(-1, 2).T
    groups = complete_link(count, first, second, strengths)
    assert groups == linked_by_hand(count, pairs, strengths)
    for group in groups:
        assert {frozenset(p) for p in combinations(group, 2)} <= {frozenset(p) for p in pairs}


# ---- boxes --------------------------------------------------------------------------------------------------------


def test_boxes_that_overlap_enough_become_one():
    merged = merge_boxes(
        {"ascending": table(square(0, 0), score=0.7), "descending": table(square(100, 0), score=0.9)},
        distance=0,
    )
    assert merged["seen_by"].tolist() == ["ascending+descending"]
    assert merged["score"].tolist() == [0.9]
    assert merged["area"].tolist() == [400 * 300]


def test_boxes_that_touch_at_a_corner_only_do_not_by_giou():
    tables = {"a": table(square(0, 0)), "b": table(square(280, 280))}
    assert giou_by_hand(square(0, 0), square(280, 280)) < 0
    assert len(merge_boxes(tables, distance=0)) == 2
    assert len(merge_boxes(tables)) == 1, "their centres are 396 m from each other"


def test_near_centres_merge_and_the_envelope_is_kept():
    tables = {"azimuth": table(box(0, 0, 100, 100)), "range": table(box(400, 0, 500, 200))}
    union = merge_boxes(tables, by="direction")
    assert union["direction"].tolist() == ["azimuth+range"]
    assert union["area"].tolist() == [100 * 100 + 100 * 200]
    envelope = merge_boxes(tables, by="direction", outline="envelope")
    assert envelope.geometry[0].equals(box(0, 0, 500, 200))
    assert envelope["area"].tolist() == [500 * 200]
    assert len(merge_boxes(tables, distance=402)) == 2


def test_overlapping_bursts_of_one_track():
    merged = merge_boxes({"26": table(square(0, 0), square(50, 20), square(5000, 0))})
    assert merged["seen_by"].tolist() == ["26", "26"]
    assert len(merged) == 2


def test_directions_first_then_tracks():
    tracks = {}
    for name, shift in (("ascending", 0), ("descending", 150)):
        parts = {
            "range": table(square(shift, 0)),
            "azimuth": table(square(shift + 60, 0), square(9000, shift * 20)),
        }
        tracks[name] = merge_boxes(parts, by="direction")
    merged = merge_boxes(tracks)
    assert list(merged.columns) == ["id", "score", "class", "area", "seen_by", "direction", "geometry"]
    found = {tuple(row) for row in merged[["seen_by", "direction"]].values.tolist()}
    assert found == {
        ("ascending+descending", "azimuth+range"),
        ("ascending", "azimuth"),
        ("descending", "azimuth"),
    }


@pytest.mark.parametrize("merge", [merge_boxes, merge_inventories])
def test_a_chain_of_twenty_is_no_valley(merge):
    chain = [square(200 * k, 0) for k in range(20)]
    merged = merge({"a": table(*chain[::2]), "b": table(*chain[1::2])})
    assert len(merged) >= 7
    widths = merged.bounds["maxx"] - merged.bounds["minx"]
    assert widths.max() <= 300 + 2 * 200, "members are linked to each other, not through a third"
    assert merged.union_all().area == pytest.approx(300 * 300 + 19 * 200 * 300)


@pytest.mark.parametrize("merge", [merge_boxes, merge_inventories])
def test_what_is_merged_is_not_merged_again(merge):
    """Unions of a chain touch each other; merging them would let the chain grow link by link."""
    chain = [square(200 * k, 0) for k in range(20)]
    once = merge({"a": table(*chain[::2]), "b": table(*chain[1::2])})
    same(merge({"all": once}), once)
    same(merge({"all": merge({"again": once})}), once)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([merge_boxes, merge_inventories]))
def test_order_changes_nothing_and_once_is_enough(seed, merge):
    rng = np.random.default_rng(seed)
    shapes = [
        box(x, y, x + w, y + h) for x, y, w, h in rng.uniform((0, 0, 50, 50), (4000, 4000, 900, 900), (24, 4))
    ]
    scores = rng.random(24)
    tables = {"a": table(*shapes[:9], score=scores[:9]), "b": table(*shapes[9:], score=scores[9:])}
    once = merge(tables)
    mixed = {k: t.sample(frac=1, random_state=seed) for k, t in tables.items()}
    same(merge(mixed), once)
    same(merge({"x": once.sample(frac=1, random_state=seed)}), once)
    assert once.union_all().area == pytest.approx(table(*shapes).union_all().area)


def test_a_new_track_joins_what_is_merged():
    once = merge_boxes({"a": table(square(0, 0)), "b": table(square(50, 0))})
    merged = merge_boxes({"before": once, "c": table(square(20, 30), square(9000, 0))})
    assert merged["seen_by"].tolist() == ["c+a+b", "c"]


def test_distances_are_metres_in_degrees():
    """At 60 degrees north half a kilometre is .009 degrees of longitude and .0045 of latitude."""

    def pair(dx, dy):
        def place(x, y):
            return box(10 + x - 5e-4, 60 + y - 5e-4, 10 + x + 5e-4, 60 + y + 5e-4)

        return {"a": table(place(0, 0), crs=4326), "b": table(place(dx, dy), crs=4326)}

    assert len(merge_boxes(pair(0.0089, 0))) == 1
    assert len(merge_boxes(pair(0.0091, 0))) == 2
    assert len(merge_boxes(pair(0, 0.0044))) == 1
    assert len(merge_boxes(pair(0, 0.0046))) == 2


def test_degrees_and_metres_agree():
    rng = np.random.default_rng(5)
    shapes = [
        box(x, y, x + 200, y + 200) for x, y in rng.uniform(0, 6000, (60, 2)) + np.array([480_000, 5_200_000])
    ]
    metric = {"a": table(*shapes[:30]), "b": table(*shapes[30:])}
    flat = merge_boxes(metric)
    round_ = merge_boxes({k: t.to_crs(4326) for k, t in metric.items()})
    assert len(round_) == len(flat)
    assert sorted(round_["area"].round(-3)) == pytest.approx(sorted(flat["area"].round(-3)), rel=0.03)


def test_metres_on_a_map_that_is_not_true():
    """Web Mercator stretches twofold at 60 degrees: 700 of its metres are 350 on the ground."""
    shapes = [box(x, 8_399_738, x + 100, 8_399_838) for x in (1e6, 1e6 + 700, 1e6 + 5000, 1e6 + 6100)]
    merged = merge_boxes({"a": table(*shapes, crs=3857)})
    assert len(merged) == 3
    assert merged["area"].max() == pytest.approx(2 * 100 * 100 / 4, rel=0.02)


def test_boxes_of_leaning_outlines_decide():
    lean = Point(0, 0).buffer(100).union(Point(800, 800).buffer(100)).convex_hull
    assert len(merge_boxes({"a": table(lean), "b": table(square(550, 0, 300))}, distance=0)) == 1
    assert len(merge_inventories({"a": table(lean), "b": table(square(550, 0, 300))})) == 2


@pytest.mark.parametrize(
    ("tables", "options", "error", "words"),
    [
        ({}, {}, ValueError, "tables: expected at least one table"),
        ([], {}, ValueError, "tables: .*got list"),
        ({"a": table()}, {"distance": -1}, ValueError, "distance: expected metres"),
        ({"a": table()}, {"distance": np.nan}, ValueError, "distance: expected metres"),
        ({"a": table()}, {"outline": "hull"}, ValueError, "outline: expected one of 'union', 'envelope'"),
        ({"a": table()}, {"by": "track"}, ValueError, "by: expected one of 'seen_by', 'direction'"),
        ({"a+b": table()}, {}, ValueError, "tables: expected names without"),
        ({"a": table(Point(0, 0))}, {}, ValueError, r"tables\['a'\]: expected polygons, got Point"),
        ({"a": 3}, {}, TypeError, r"tables\['a'\]: expected a GeoDataFrame"),
        (
            {"a": table(), "b": table(crs=None)},
            {},
            ValueError,
            "tables: expected a coordinate reference system",
        ),
    ],
)
def test_bad_input(tables, options, error, words):
    with pytest.raises(error, match=words):
        merge_boxes(tables, **options)


def test_nothing_gives_nothing():
    for merge in (merge_boxes, merge_inventories):
        merged = merge({"a": table(), "b": table()})
        assert list(merged.columns) == ["id", "score", "class", "area", "seen_by", "geometry"]
        assert (len(merged), merged.crs.to_epsg()) == (0, 32632)


def test_tables_without_score_or_class():
    bare = table(square(0, 0)).drop(columns=["score", "class"])
    merged = merge_boxes({"a": bare, "b": table(square(50, 0), score=0.4)})
    assert merged[["score", "class"]].values.tolist() == [[0.4, "moving"]]
    alone = merge_boxes({"a": bare})
    assert np.isnan(alone["score"][0])
    assert alone["class"][0] is None


def test_rows_without_outline_are_left_out_aloud():
    from shapely.geometry import Polygon

    with pytest.warns(UserWarning, match=r"tables\['a'\]: 1 of 2 rows have no outline"):
        assert len(merge_boxes({"a": table(square(0, 0), Polygon())})) == 1


# ---- scales -------------------------------------------------------------------------------------------------------


def test_fragments_become_the_large_body():
    fine = table(box(0, 0, 900, 900), box(1100, 50, 2000, 950), box(2100, 0, 3050, 900), score=0.7)
    merged = merge_scales(fine, table(box(0, 0, 3000, 1000), score=0.6))
    assert merged["scale"].tolist() == ["fine+coarse"]
    assert merged["area"].tolist() == [3000 * 1000 + 50 * 900]
    assert merged["score"].tolist() == [0.7]


def test_the_same_object_keeps_its_fine_outline():
    fine = Point(500, 500).buffer(400)
    merged = merge_scales(table(fine), table(box(0, 0, 1000, 1000)))
    assert merged["scale"].tolist() == ["fine+coarse"]
    assert merged.geometry[0].equals(fine)


def test_what_one_pass_sees_is_kept():
    merged = merge_scales(table(square(0, 0)), table(square(9000, 0), square(280, 280)))
    assert sorted(merged["scale"]) == ["coarse", "coarse", "fine"]


def test_a_fine_object_belongs_to_one_coarse_one():
    """Else two large bodies side by side would be joined by a small one on their border."""
    bridge = box(900, 400, 1100, 600)
    merged = merge_scales(
        table(bridge), table(box(0, 0, 1010, 1000), box(1000, 0, 2000, 1000)), min_inside=0.4
    )
    assert len(merged) == 2
    assert sorted(merged["scale"]) == ["coarse", "fine+coarse"]


def test_scales_of_nothing():
    assert merge_scales(table(), table(square(0, 0)))["scale"].tolist() == ["coarse"]
    assert list(merge_scales(table(), table()).columns) == [
        "id",
        "score",
        "class",
        "area",
        "scale",
        "geometry",
    ]
    with pytest.raises(ValueError, match="min_inside: expected a share"):
        merge_scales(table(), table(), min_inside=0)
