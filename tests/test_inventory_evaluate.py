"""Scores of inventories, against counts made by hand and against brute force."""

import itertools

import numpy as np
import pytest
from shapely.geometry import Point, box

from xinsar.inventory import evaluate_inventory, match_objects


def table(*shapes, crs=32632, **columns):
    import geopandas as gpd

    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def square(x, y, side=10.0):
    return box(x, y, x + side, y + side)


def test_scores_of_a_hand_counted_case():
    truth = table(square(0, 0), square(100, 0), square(200, 0), square(300, 0))
    found = table(
        square(0, 0),  # exact
        box(100, 0, 110, 4),  # IoU .4
        box(202, 2, 222, 22),  # IoU 64 / 436 = .147, holds the centroid
        square(500, 500),  # nothing there
        box(306, 6, 316, 16),  # IoU 16 / 184 = .087, and no centroid in the other
    )
    scores = evaluate_inventory(found, truth)
    assert scores.index.tolist() == ["iou_0.1", "iou_0.3", "iou_0.5", "hit", "area"]
    assert scores["right"].tolist()[:4] == [3, 2, 1, 3]
    assert scores["precision"].tolist()[:4] == [3 / 5, 2 / 5, 1 / 5, 3 / 5]
    assert scores["recall"].tolist()[:4] == [3 / 4, 2 / 4, 1 / 4, 3 / 4]
    assert scores.loc["iou_0.3", "f1"] == pytest.approx(2 * 2 / (5 + 4))
    area = scores.loc["area"]
    assert area["right"] == pytest.approx(100 + 40 + 64 + 16)
    assert area["precision"] == pytest.approx(220 / (100 + 40 + 400 + 100 + 100))
    assert area["recall"] == pytest.approx(220 / 400)


def test_one_truth_is_matched_once_but_hit_by_all():
    truth = table(box(0, 0, 20, 10))
    found = table(square(0, 0), square(10, 0))
    scores = evaluate_inventory(found, truth)
    assert scores.loc["iou_0.3", ["right", "recalled", "found"]].tolist() == [1, 1, 2]
    assert scores.loc["hit", ["right", "recalled"]].tolist() == [2, 1]


def test_one_found_object_over_two_truths_recalls_one_by_match_and_both_by_hit():
    scores = evaluate_inventory(table(box(0, 0, 20, 10)), table(square(0, 0), square(10, 0)))
    assert scores.loc["iou_0.3", ["right", "recalled"]].tolist() == [1, 1]
    assert scores.loc["hit", ["right", "recalled"]].tolist() == [1, 2]


def test_ignored_truth_is_neither_missed_nor_a_false_alarm():
    truth = table(square(0, 0), square(100, 0), square(200, 0), snr=[3.0, 0.2, 0.4])
    found = table(square(0, 0), square(100, 0), square(300, 0))
    scores = evaluate_inventory(found, truth)
    assert scores.loc["iou_0.5", ["right", "found", "truth"]].tolist() == [1, 2, 1]
    assert scores.loc["hit", ["right", "found", "truth"]].tolist() == [1, 2, 1]
    assert scores.loc["area", ["right", "found", "truth"]].tolist() == [100, 200, 100]
    counted = evaluate_inventory(found, truth, min_snr=0.0)
    assert counted.loc["iou_0.5", ["right", "found", "truth"]].tolist() == [2, 3, 3]


def test_the_track_that_sees_best_decides_what_is_ignored():
    truth = table(square(0, 0), square(100, 0), snr_ascending=[0.1, 0.1], snr_descending=[0.9, 0.2])
    assert evaluate_inventory(table(), truth)["truth"].tolist()[:4] == [1] * 4


def test_an_object_on_a_counted_and_an_ignored_truth_counts():
    truth = table(square(0, 0), square(8, 0), snr=[3.0, 0.1])
    scores = evaluate_inventory(table(square(1, 0)), truth)
    assert scores.loc["iou_0.5", ["right", "found", "truth"]].tolist() == [1, 1, 1]


def test_nothing_found_and_nothing_true():
    none, one = table(), table(square(0, 0))
    missed = evaluate_inventory(none, one)
    assert missed["recall"].tolist() == [0] * 5
    assert missed["precision"].isna().all()
    assert missed["f1"].tolist() == [0] * 5
    false = evaluate_inventory(one, none)
    assert false["precision"].tolist() == [0] * 5
    assert false["recall"].isna().all()
    assert evaluate_inventory(none, none)[["precision", "recall", "f1"]].isna().all(axis=None)


def brute_force(overlap, least):
    """Return the most pairs and the largest sum of overlaps over all one-to-one choices."""
    pairs = [tuple(p) for p in np.argwhere(overlap >= least)]
    best = (0, 0.0)
    for size in range(1, min(overlap.shape) + 1):
        for choice in itertools.combinations(pairs, size):
            if len({f for f, _ in choice}) == len({t for _, t in choice}) == size:
                best = max(best, (size, sum(overlap[p] for p in choice)))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_matching_is_the_best_of_all_choices(seed):
    rng = np.random.default_rng(seed)
    found = [Point(*p).buffer(r) for *p, r in rng.uniform((0, 0, 3), (14, 14, 6), (4, 3))]
    truth = [Point(*p).buffer(r) for *p, r in rng.uniform((0, 0, 3), (14, 14, 6), (5, 3))]
    overlap = np.array([[f.intersection(t).area / f.union(t).area for t in truth] for f in found])
    pairs = match_objects(table(*found), table(*truth), iou=0.1)
    assert pairs["found"].is_unique
    assert pairs["truth"].is_unique
    np.testing.assert_allclose(pairs["iou"], overlap[pairs["found"], pairs["truth"]], rtol=1e-9)
    count, total = brute_force(overlap, 0.1)
    assert len(pairs) == count
    assert pairs["iou"].sum() == pytest.approx(total)


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    shapes = [Point(*p).buffer(5) for p in rng.uniform(0, 60, (30, 2))]
    found, truth = table(*shapes[:14]), table(*shapes[14:])
    one = evaluate_inventory(found, truth)
    other = evaluate_inventory(found.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2))
    np.testing.assert_allclose(one.to_numpy(), other.to_numpy())


def test_tables_in_different_systems_are_brought_together():
    shapes = [Point(480_000 + 500 * k, 5_200_000).buffer(100) for k in range(3)]
    truth = table(*shapes)
    scores = evaluate_inventory(truth.to_crs(4326), truth)
    assert scores.loc["iou_0.5", "f1"] == 1
    assert scores.loc["area", "f1"] == pytest.approx(1, abs=1e-6)


def test_a_table_without_system_is_named():
    with pytest.raises(ValueError, match="found: expected a coordinate reference system"):
        evaluate_inventory(table(square(0, 0), crs=None), table(square(0, 0)))


@pytest.mark.parametrize("iou", [0, -0.1, 1.2, np.nan])
def test_thresholds_are_checked(iou):
    with pytest.raises(ValueError, match="iou: expected thresholds above 0"):
        evaluate_inventory(table(), table(), iou=(iou,))
