"""Scores: average precision against COCO's own program, pixels, outlines, calibration, false alarms, recall by what."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon, box

from tests.helpers import with_crs
from xinsar.inventory import (
    average_precision,
    boundary_scores,
    calibrate_scores,
    calibration_error,
    calibration_table,
    confusion_scores,
    evaluate_inventory,
    false_alarms_at_recall,
    match_objects,
    pixel_scores,
    recall_by,
)


def table(*shapes, crs=32632, **columns):
    import geopandas as gpd

    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def square(x, y, side=10.0):
    return box(x, y, x + side, y + side)


# ---- average precision --------------------------------------------------------------------------------------------


def world(seed, *, images=4, crowds=0.15, masks=False):
    """Truth and detections on images of 64 pixels: shifted, missed, doubled, invented; scores all different."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 9)):
            x, y, w, h = rng.integers((0, 0, 3, 3), (50, 50, 14, 14))
            truth.append((image, x, y, w, h, rng.random() < crowds))
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                dx, dy, dw, dh = rng.integers(-3, 4, 4)
                found.append((image, max(x + dx, 0), max(y + dy, 0), max(w + dw, 1), max(h + dh, 1)))
        for _ in range(rng.integers(0, 4)):
            found.append((image, *rng.integers((0, 0, 2, 2), (50, 50, 14, 14))))
    scores = rng.permutation(len(found)) / max(len(found), 1) * 0.98 + 0.01
    if not masks:
        return truth, found, scores, None
    pixels = lambda x, y, w, h: np.asfortranarray(_blob(rng, x, y, w, h), "u1")  # noqa: E731
    return truth, found, scores, ([pixels(*t[1:5]) for t in truth], [pixels(*f[1:]) for f in found])


def _blob(rng, x, y, w, h):
    mask = np.zeros((64, 64))
    mask[y : y + h, x : x + w] = rng.random((min(h, 64 - y), min(w, 64 - x))) < 0.9
    return mask


def by_coco(truth, found, scores, masks, kind):
    """Mean precision of COCO's own program at its defaults: (AP50:95, AP50, AP75)."""
    from pycocotools import mask as runs
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def note(k, image, bounds, mask, **more):
        area = float(bounds[2] * bounds[3]) if mask is None else float(mask.sum())
        body = {} if mask is None else {"segmentation": runs.encode(mask)}
        return (
            {"id": k, "image_id": image, "category_id": 1, "bbox": [float(v) for v in bounds], "area": area}
            | body
            | more
        )

    own = masks or ([None] * len(truth), [None] * len(found))
    data = {
        "info": {},
        "images": [{"id": k, "width": 64, "height": 64} for k in range(4)],
        "categories": [{"id": 1, "name": "slide"}],
        "annotations": [
            note(k + 1, t[0], t[1:5], m, iscrowd=int(t[5]))
            for k, (t, m) in enumerate(zip(truth, own[0], strict=True))
        ],
    }
    results = [
        note(k + 1, f[0], f[1:], m, score=float(s), iscrowd=0)
        for k, (f, m, s) in enumerate(zip(found, own[1], scores, strict=True))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known, mine = COCO(), COCO()
        known.dataset = data
        known.createIndex()
        mine.dataset = data | {"annotations": results}
        mine.createIndex()
        judge = COCOeval(known, mine, kind)
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, 0, 2]
    return [
        float(np.mean(part[part > -1])) if (part > -1).any() else np.nan
        for part in (precision, precision[0], precision[5])
    ]


def outline(mask):
    from rasterio.features import shapes

    parts = [shapely.geometry.shape(s) for s, _ in shapes(np.ascontiguousarray(mask), mask > 0)]
    return shapely.union_all(parts) if parts else Polygon()


def tables(truth, found, scores, masks):
    def shape(k, bounds, of):
        x, y, w, h = bounds
        return box(x, y, x + w, y + h) if masks is None else outline(masks[of][k])

    known = table(
        *(shape(k, t[1:5], 0) for k, t in enumerate(truth)),
        image=[t[0] for t in truth],
        ignore=[t[5] for t in truth],
    )
    mine = table(
        *(shape(k, f[1:], 1) for k, f in enumerate(found)), image=[f[0] for f in found], score=scores
    )
    return mine, known


@pytest.mark.parametrize("seed", range(25))
def test_boxes_score_as_by_cocos_own_program(seed):
    pytest.importorskip("pycocotools")
    made = world(seed)
    mine = average_precision(*tables(*made), kind="box", image="image", max_detections=100)
    wanted = by_coco(*made, "bbox")
    np.testing.assert_allclose(mine[["AP50:95", "AP50", "AP75"]], wanted, atol=1e-12)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("seed", range(12))
def test_masks_score_as_by_cocos_own_program(seed):
    pytest.importorskip("pycocotools")
    made = world(seed, masks=True)
    mine = average_precision(*tables(*made), image="image", max_detections=100)
    np.testing.assert_allclose(mine[["AP50:95", "AP50", "AP75"]], by_coco(*made, "segm"), atol=1e-12)


def test_only_the_best_of_an_image_count():
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(0)
    truth = [(0, 10 * k % 60, 10 * (k // 6) % 60, 8, 8, False) for k in range(36)]
    found = [(0, *(np.array(t[1:5]) + rng.integers(-1, 2, 4))) for t in truth for _ in range(5)]
    found = [(0, max(x, 0), max(y, 0), w, h) for _, x, y, w, h in found]
    made = truth, found, rng.permutation(len(found)) / len(found), None
    mine, known = tables(*made)
    limited = average_precision(mine, known, kind="box", image="image", max_detections=100)
    np.testing.assert_allclose(limited["AP50:95"], by_coco(*made, "bbox")[0], atol=1e-12)
    assert len(found) == 180
    assert average_precision(mine, known, kind="box")["AP50:95"] != limited["AP50:95"]


def test_average_precision_by_hand():
    """Right, wrong, right of three truths: precision 1 up to a third, 2/3 up to two thirds, then 0."""
    truth = table(square(0, 0), square(100, 0), square(200, 0))
    found = table(square(0, 0), square(50, 0), square(100, 0), score=[0.9, 0.8, 0.7])
    values = average_precision(found, truth, iou=[0.5])
    assert values["AP50"] == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert average_precision(found, truth, iou=(0.3, 0.5)).index.tolist() == ["AP30", "AP50"]
    assert average_precision(found, truth).index.tolist() == ["AP30", "AP50", "AP75", "AP50:95"]


def test_images_and_classes_keep_apart():
    truth = table(square(0, 0), square(0, 0), image=["a", "b"], kind=["slide", "rock"])
    found = table(square(0, 0), score=[0.5], image=["b"], kind=["rock"])
    assert average_precision(found, truth, iou=[0.5], image="image")["AP50"] == pytest.approx(51 / 101)
    assert average_precision(found, truth, iou=[0.5], classes="kind")["AP50"] == pytest.approx(0.5)
    wrong = found.assign(kind="ice")
    assert average_precision(wrong, truth, iou=[0.5], classes="kind")["AP50"] == 0


def test_what_cannot_be_seen_is_excused():
    truth = table(square(0, 0), square(100, 0), snr=[3.0, 0.1])
    found = table(square(100, 0), square(0, 0), score=[0.9, 0.8])
    assert average_precision(found, truth, iou=[0.5])["AP50"] == 1
    assert average_precision(found, truth, iou=[0.5], min_snr=0)["AP50"] == 1
    assert average_precision(found.iloc[:1], truth, iou=[0.5])["AP50"] == 0
    assert np.isnan(average_precision(found, truth.iloc[1:], iou=[0.5])["AP50"])
    inside = table(square(102, 2, 5), square(0, 0), score=[0.9, 0.8])
    assert average_precision(inside, truth, iou=[0.5])["AP50"] == 1, "inside of an ignored region"


@pytest.mark.parametrize("seed", range(5))
def test_order_of_rows_changes_no_precision(seed):
    truth, found, scores, _ = world(seed)
    mine, known = tables(truth, found, np.round(scores, 1), None)
    wanted = average_precision(mine, known, image="image")
    mixed = average_precision(mine.sample(frac=1, random_state=seed), known, image="image")
    np.testing.assert_array_equal(mixed, wanted)


@pytest.mark.parametrize(
    ("found", "options", "words"),
    [
        (table(square(0, 0)), {}, "found: expected a column 'score'"),
        (
            table(square(0, 0), score=[np.nan]),
            {},
            "score: expected a number for every detection, got NaN in 1",
        ),
        (table(square(0, 0), score=["high"]), {}, "found: expected numbers in the column 'score'"),
        (table(square(0, 0), score=[1.0]), {"iou": []}, "iou: expected thresholds"),
        (table(square(0, 0), score=[1.0]), {"iou": [0.0]}, "iou: expected thresholds"),
        (table(square(0, 0), score=[1.0]), {"kind": "pixel"}, "kind: expected one of 'mask', 'box'"),
        (table(square(0, 0), score=[1.0]), {"image": "tile"}, "found: expected a column 'tile'"),
        (table(square(0, 0), score=[1.0]), {"classes": "kind"}, "found: expected a column 'kind'"),
        (table(square(0, 0), score=[1.0]), {"max_detections": 0}, "max_detections: expected a whole number"),
    ],
)
def test_precision_is_asked_for_properly(found, options, words):
    with pytest.raises(ValueError, match=words):
        average_precision(found, table(square(0, 0)), **options)


# ---- confusion ----------------------------------------------------------------------------------------------------


def printed_kappa(tp, fp, fn, tn):
    """Agreement by chance as Zhang T. et al. 2022 print it in their eq. (11)."""
    n = tp + fp + fn + tn
    chance = ((tp + tn) * (tp + fp) + (fp + fn) * (tn + fn)) / n**2
    return ((tp + tn) / n - chance) / (1 - chance)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=4, max_size=4))
def test_confusion_against_another_library(counts):
    tp, fp, fn, tn = counts
    metrics = pytest.importorskip("sklearn.metrics")
    truth = [1] * (tp + fn) + [0] * (fp + tn)
    found = [1] * tp + [0] * fn + [1] * fp + [0] * tn
    scores = confusion_scores(tp, fp, fn, tn)
    if tp + fp and tp + fn:
        wanted = (
            metrics.precision_score(truth, found),
            metrics.recall_score(truth, found),
            metrics.f1_score(truth, found),
        )
        assert scores[["precision", "recall", "f1"]].tolist() == pytest.approx(list(wanted))
        assert scores["iou"] == pytest.approx(metrics.jaccard_score(truth, found))
    if sum(counts):
        assert scores["overall_accuracy"] == pytest.approx(metrics.accuracy_score(truth, found))
    if len(set(truth)) == len(set(found)) == 2:
        assert scores["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, found))


def test_kappa_is_cohens_and_not_the_printed_one():
    """Independent answers agree by chance alone: Cohen's kappa is 0; the printed form is not."""
    counts = 8, 32, 12, 48
    assert confusion_scores(*counts)["kappa"] == pytest.approx(0)
    assert printed_kappa(*counts) == pytest.approx((0.56 - 0.488) / 0.512)
    assert confusion_scores(50, 0, 0, 50)["kappa"] == 1


def test_shares_of_nothing():
    assert confusion_scores(0, 0, 0, 0).isna().all()
    scores = confusion_scores(0, 0, 0, 9)
    assert scores["overall_accuracy"] == 1
    assert np.isnan(scores["kappa"])
    with pytest.raises(ValueError, match="expected counts of 0 or more"):
        confusion_scores(-1, 0, 0, 0)


# ---- pixels -------------------------------------------------------------------------------------------------------


def grid(rows=40, columns=50):
    coords = {"y": 400.0 - 10 * (np.arange(rows) + 0.5), "x": 10 * (np.arange(columns) + 0.5)}
    return with_crs(xr.Dataset(coords=coords), "EPSG:32632")


def discs(seed, number):
    rng = np.random.default_rng(seed)
    return [Point(*p).buffer(r) for *p, r in rng.uniform((0, 0, 15), (500, 400, 80), (number, 3))]


def test_areas_are_pixels_of_no_size():
    found, truth = table(*discs(0, 6)), table(*discs(1, 6), snr=[1, 1, 1, 1, 0.1, 0.1])
    extent = table(box(0, 0, 500, 400))
    exact = pixel_scores(found, truth, extent=extent)
    fine = with_crs(
        xr.Dataset(coords={"y": 400 - 0.5 * (np.arange(800) + 0.5), "x": 0.5 * (np.arange(1000) + 0.5)}),
        "EPSG:32632",
    )
    counted = pixel_scores(found, truth, grid=fine)
    np.testing.assert_allclose(
        counted[["tp", "fp", "fn", "tn"]] / 4, exact[["tp", "fp", "fn", "tn"]], rtol=2e-3
    )
    np.testing.assert_allclose(counted.iloc[:6], exact.iloc[:6], atol=1e-3)


def test_pixels_by_hand():
    found, truth = table(*discs(3, 5)), table(*discs(4, 5), ignore=[False, False, False, False, True])
    scores = pixel_scores(found, truth, grid=grid())
    counts = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
    claimed, known = found.union_all(), truth.iloc[:4].union_all()
    for x in grid().x.values:
        for y in grid().y.values:
            p = Point(x, y)
            if truth.geometry[4].covers(p) and not known.covers(p):
                continue
            f, t = claimed.covers(p), known.covers(p)
            counts["tp" if f and t else "fp" if f else "fn" if t else "tn"] += 1
    assert scores[list(counts)].astype(int).to_dict() == counts
    assert scores["overall_accuracy"] == pytest.approx((counts["tp"] + counts["tn"]) / sum(counts.values()))


def test_area_scores_agree_with_those_of_the_inventory():
    found, truth = table(*discs(5, 8)), table(*discs(6, 8))
    wanted = evaluate_inventory(found, truth).loc["area"]
    extent = table(box(-100, -100, 600, 500))
    scores = pixel_scores(found, truth, extent=extent)
    assert scores[["precision", "recall", "f1"]].tolist() == pytest.approx(
        wanted[["precision", "recall", "f1"]].tolist()
    )
    degrees = pixel_scores(found.to_crs(4326), truth.to_crs(4326), extent=extent)
    np.testing.assert_allclose(degrees.iloc[:6], scores.iloc[:6], atol=2e-3)


def test_pixels_need_a_place():
    with pytest.raises(ValueError, match="extent, grid: expected one of them"):
        pixel_scores(table(), table())
    with pytest.raises(ValueError, match="extent, grid: expected one of them"):
        pixel_scores(table(), table(), extent=table(), grid=grid())
    with pytest.raises(TypeError, match="grid: expected an xarray"):
        pixel_scores(table(), table(), grid=25)
    with pytest.raises(TypeError, match="extent: expected a GeoDataFrame"):
        pixel_scores(table(), table(), extent=1e6)
    scores = pixel_scores(table(), table(), grid=grid())
    assert scores[["tp", "fp", "fn", "tn"]].tolist() == [0, 0, 0, 2000]


# ---- outlines -----------------------------------------------------------------------------------------------------


def test_borders_by_hand():
    truth = table(box(0, 0, 100, 100))
    assert boundary_scores(truth, truth, tolerance=1)[["precision", "recall", "f"]].tolist() == [1, 1, 1]
    scores = boundary_scores(table(box(0, 0, 100, 140)), truth, tolerance=10)
    assert scores["precision"] == pytest.approx((100 + 2 * 110) / 480, rel=1e-3)
    assert scores["recall"] == pytest.approx((300 + 2 * 10) / 400, rel=1e-3)
    p, r = scores["precision"], scores["recall"]
    assert scores["f"] == pytest.approx(2 * p * r / (p + r))
    assert scores[["found_length", "truth_length"]].tolist() == [480, 400]


def test_borders_by_points_along_them():
    found, truth = table(*discs(7, 6)), table(*discs(8, 6))
    scores = boundary_scores(found, truth, tolerance=12)
    claimed, known = found.union_all().boundary, truth.union_all().boundary
    for name, own, other in (("precision", claimed, known), ("recall", known, claimed)):
        points = [own.interpolate(d) for d in np.linspace(0, own.length, 4000, endpoint=False)]
        share = np.mean([p.distance(other) <= 12 for p in points])
        assert scores[name] == pytest.approx(share, abs=3e-3)


def test_borders_between_touching_objects_do_not_count():
    halves = table(box(0, 0, 50, 100), box(50, 0, 100, 100))
    scores = boundary_scores(halves, table(box(0, 0, 100, 100)), tolerance=1)
    assert scores["f"] == 1
    assert scores["found_length"] == 400


def test_borders_in_degrees():
    shapes = [Point(480_000 + 900 * k, 5_200_000).buffer(200) for k in range(3)]
    truth = table(*shapes)
    found = table(*(shapely.affinity.translate(s, 30 * k, 0) for k, s in enumerate(shapes)))
    wanted = boundary_scores(found, truth, tolerance=25)
    np.testing.assert_allclose(
        boundary_scores(found.to_crs(4326), truth.to_crs(4326), tolerance=25), wanted, rtol=5e-3
    )
    assert 0.5 < wanted["f"] < 1


def test_borders_of_nothing():
    one, none = table(square(0, 0)), table()
    assert boundary_scores(none, none, tolerance=1)[["precision", "recall", "f"]].isna().all()
    assert boundary_scores(one, none, tolerance=1)["f"] == 0
    assert boundary_scores(none, one, tolerance=1)["recall"] == 0
    with pytest.raises(ValueError, match="tolerance: expected a number above 0"):
        boundary_scores(one, one, tolerance=0)


# ---- false alarms, calibration, recall ----------------------------------------------------------------------------


def ten():
    """Ten truths; six found at falling scores, with false alarms between."""
    truth = table(*(square(100 * k, 0) for k in range(10)), area=[100.0 * (k + 1) for k in range(10)])
    hits = [square(100 * k, 0) for k in range(6)]
    wrong = [square(100 * k, 500) for k in range(4)]
    found = table(*hits, *wrong, score=[0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.92, 0.65, 0.55, 0.1])
    return found, truth


def test_false_alarms_where_enough_is_found():
    found, truth = ten()
    at = false_alarms_at_recall(found, truth, 2e9, recall=0.5)
    assert at.to_dict() == pytest.approx(
        {"false_alarms_per_1000_km2": 1, "false_alarms": 2, "score": 0.6, "recall": 0.5, "precision": 5 / 7}
    )
    assert false_alarms_at_recall(found, truth, 2e9, recall=0.1)["false_alarms"] == 0
    assert false_alarms_at_recall(found, truth, 2e9).isna().all(), "eight of ten are never found"
    square_km = table(box(0, 0, 40_000, 50_000))
    assert false_alarms_at_recall(found, truth, square_km, recall=0.5)[
        "false_alarms_per_1000_km2"
    ] == pytest.approx(1)


def test_equal_scores_come_together():
    found, truth = table(square(0, 0), square(50, 50), score=[0.5, 0.5]), table(square(0, 0))
    assert false_alarms_at_recall(found, truth, 1e9)["false_alarms"] == 1


def test_ignored_truth_is_no_false_alarm():
    found, truth = ten()
    truth = truth.assign(snr=[0.1] + [5.0] * 9)
    at = false_alarms_at_recall(found, truth, 1e9, recall=4 / 9)
    assert (at["score"], at["false_alarms"]) == (0.6, 2)


def test_false_alarms_are_asked_for_properly():
    found, truth = ten()
    with pytest.raises(ValueError, match="recall: expected a share"):
        false_alarms_at_recall(found, truth, 1e9, recall=0)
    with pytest.raises(ValueError, match="extent: expected square metres above 0"):
        false_alarms_at_recall(found, truth, 0)
    with pytest.raises(TypeError, match="extent: expected square metres, or a GeoDataFrame"):
        false_alarms_at_recall(found, truth, "all")


def test_calibration_by_hand():
    found, truth = ten()
    rows = calibration_table(found, truth, bins=2)
    assert rows["count"].tolist() == [1, 9]
    assert rows["right"].tolist() == pytest.approx([0, 6 / 9])
    high = found["score"][found["score"] >= 0.5].mean()
    assert rows["score"].tolist() == pytest.approx([0.1, high])
    assert calibration_error(found, truth, bins=2) == pytest.approx((0.1 + 9 * abs(6 / 9 - high)) / 10)


def test_calibrated_scores_have_no_error():
    rng = np.random.default_rng(0)
    scores = rng.random(4000)
    right = rng.random(4000) < scores
    truth = table(*(square(20 * k, 0) for k in np.flatnonzero(right)))
    found = table(*(square(20 * k, 0) for k in range(4000)), score=scores)
    assert calibration_error(found, truth) < 0.03
    assert calibration_error(found.assign(score=scores**4), truth) > 0.2


def test_scores_become_probabilities():
    """Objects right as often as a line of their log odds says: the line is found, and no error is left."""
    rng = np.random.default_rng(0)
    odds = rng.normal(1, 2, 4000)
    scores, chance = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-(0.5 * odds - 1)))
    right = rng.random(4000) < chance
    places = [square(20 * k, 0 if there else 50) for k, there in enumerate(right)]
    found = table(*places, score=scores)
    truth = table(*(square(20 * k, 0) for k in np.flatnonzero(right)))
    slope, offset = calibrate_scores(found, truth)
    assert slope == pytest.approx(0.5, abs=0.06)
    assert offset == pytest.approx(-1, abs=0.1)
    better = 1 / (1 + np.exp(-(slope * odds + offset)))
    assert calibration_error(found, truth) > 0.2
    assert calibration_error(found.assign(score=better), truth) < 0.03


def test_scores_that_cannot_be_calibrated():
    found, truth = table(square(0, 0), square(50, 0), score=[0.2, 0.9]), table(square(0, 0))
    with pytest.raises(ValueError, match="score: expected higher scores to be right more often"):
        calibrate_scores(table(*found.geometry, *found.geometry, score=[0.2, 0.9, 0.3, 0.8]), truth)
    with pytest.raises(ValueError, match="found: expected right and wrong detections, got 0 right of 2"):
        calibrate_scores(found, table(square(900, 0)))
    with pytest.raises(ValueError, match="iou"):
        calibrate_scores(found, truth, iou=2.0)
    with pytest.raises(ValueError, match=r"score: expected probabilities within 0\.\.1, got 0\.2\.\.5"):
        calibrate_scores(found.assign(score=[5.0, 0.2]), truth)


def test_few_detections_make_no_one_sure():
    """Scores that part right from wrong without error have no line of largest likelihood; the answer stays finite."""
    found = table(square(0, 0), square(50, 0), score=[0.9, 0.2])
    slope, offset = calibrate_scores(found, table(square(0, 0)))
    told = [1 / (1 + np.exp(-(slope * np.log(s / (1 - s)) + offset))) for s in (0.9, 0.2)]
    assert told == pytest.approx([2 / 3, 1 / 3], abs=1e-3)


def test_calibration_of_nothing_and_of_no_probabilities():
    found, truth = ten()
    assert np.isnan(calibration_error(found.iloc[:0], truth))
    assert calibration_table(found.iloc[:0], truth)["score"].isna().all()
    with pytest.raises(ValueError, match=r"score: expected probabilities within 0\.\.1"):
        calibration_error(found.assign(score=found["score"] * 10), truth)
    assert calibration_table(found.assign(score=1.0), truth)["count"].tolist()[-1] == 10


def test_recall_by_area():
    found, truth = ten()
    rows = recall_by(found, truth, "area", bins=[0, 300, 700, 1000])
    assert rows["truth"].tolist() == [2, 4, 4]
    assert rows["recalled"].tolist() == [2, 4, 0]
    assert rows["recall"].tolist() == [1, 1, 0]
    assert rows["lower"][2] == pytest.approx(0, abs=1e-12)
    assert rows["upper"][2] == pytest.approx(0.4899, abs=1e-3)
    measured = recall_by(found, truth.drop(columns="area"), "area", bins=[0, 99, 101])
    assert measured["truth"].tolist() == [0, 10]
    assert np.isnan(measured["recall"][0])


def test_recall_by_what_the_best_track_sees():
    truth = table(
        square(0, 0), square(100, 0), square(200, 0),
        snr_ascending=[0.1, 3.0, 0.2], snr_descending=[0.3, 0.1, 9.0],
        sensitivity_ascending=[-0.9, 0.1, 0.3], sensitivity_descending=[0.2, -0.1, np.nan],
    )  # fmt: skip
    found = table(square(100, 0))
    rows = recall_by(found, truth, "snr")
    assert rows["truth"].tolist() == [1, 0, 0, 1, 0, 1]
    assert rows["recalled"].tolist() == [0, 0, 0, 1, 0, 0]
    rows = recall_by(found, truth, "sensitivity", min_snr=0)
    assert rows["truth"].tolist() == [1, 1, 0, 0, 1]
    with pytest.raises(ValueError, match="truth: expected a column 'slope'"):
        recall_by(found, truth, "slope", bins=[0, 1])
    with pytest.raises(ValueError, match="bins: expected edges for the column 'slope'"):
        recall_by(found, truth, "slope")
    with pytest.raises(ValueError, match="bins: expected two or more increasing edges"):
        recall_by(found, truth, "snr", bins=[1, 0])


# ---- tables that are not as they should be ------------------------------------------------------------------------


def test_overlapping_labels_are_each_an_object_and_one_ground():
    truth = table(square(0, 0), square(1, 0), square(100, 0))
    found = table(square(0, 0), score=[0.9])
    scores = evaluate_inventory(found, truth)
    assert scores.loc["iou_0.5", ["right", "truth"]].tolist() == [1, 3]
    assert scores.loc["area", "truth"] == 110 + 100
    assert pixel_scores(found, truth, extent=table(box(0, 0, 200, 200)))["fn"] == pytest.approx(110)


def test_labels_that_cross_themselves_are_repaired():
    bow = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    with pytest.warns(UserWarning, match="truth: 1 of 1 outlines cross themselves"):
        scores = evaluate_inventory(table(bow.buffer(0)), table(bow))
    assert scores.loc["area", "truth"] == pytest.approx(50)


def test_missing_outlines_match_nothing():
    truth = table(square(0, 0), Polygon())
    found = table(None, square(0, 0), score=[0.9, 0.8])
    assert match_objects(found, truth, iou=0.5)[["found", "truth"]].values.tolist() == [[1, 0]]
    assert evaluate_inventory(found, truth).loc["iou_0.5", ["found", "truth"]].tolist() == [2, 2]


def test_scores_in_another_system_and_of_many_parts():
    parts = shapely.union_all([square(0, 0), square(20, 0)])
    truth = table(shapely.affinity.translate(parts, 480_000, 5_200_000))
    assert evaluate_inventory(truth.to_crs(3857), truth).loc["iou_0.5", "f1"] == 1


def test_area_of_degrees_is_in_square_metres():
    disc = Point(480_000, 5_200_000).buffer(500)
    degrees = table(disc).to_crs(4326)
    scores = evaluate_inventory(degrees, degrees)
    assert scores.loc["area", "truth"] == pytest.approx(disc.area, rel=2e-3)
