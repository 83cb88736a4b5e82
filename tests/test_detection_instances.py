"""From pixels to objects: components, splits, scores, classes, order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detection_tools import net_card
from xinsar.detection.bodies import Body, cut, in_order
from xinsar.detection.instances import instances, majority, mean

CARD = net_card(fields=("foreground",), min_pixels=1)
SPLIT = net_card(min_pixels=1, min_centre=0.3, prominence=0.1)


def table_of(mask, *, front=None, seen=1, **fields):
    rows, columns = np.nonzero(mask)
    table = {
        "row": rows.astype(np.int32),
        "column": columns.astype(np.int32),
        "foreground": np.full(rows.size, 0.5, np.float32) if front is None else front[rows, columns],
        "seen": np.full(rows.size, seen, np.uint8),
    }
    return table | {name: np.asarray(field, np.float32)[rows, columns] for name, field in fields.items()}


def drawn(bodies, shape):
    """Return a map of the numbers of bodies, from 1, and assert that none overlap."""
    found = np.zeros(shape, int)
    for number, body in enumerate(bodies, 1):
        where = found[body.top : body.top + body.mask.shape[0], body.left : body.left + body.mask.shape[1]]
        assert not where[body.mask].any()
        where[body.mask] = number
    return found


@settings(deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_objects_are_the_components_whatever_the_order_of_rows(seed, random):
    measure = pytest.importorskip("skimage.measure")
    mask = np.random.default_rng(seed).random((13, 17)) < 0.35
    table = table_of(mask)
    order = list(range(len(table["row"])))
    random.shuffle(order)
    shuffled = {name: column[order] for name, column in table.items()}
    found = drawn(in_order(instances(shuffled, CARD)), mask.shape)
    wanted = measure.label(mask, connectivity=2)
    assert len(np.unique(found)) == len(np.unique(wanted))
    assert len({(a, b) for a, b in zip(found.ravel(), wanted.ravel(), strict=True)}) == len(np.unique(wanted))


def test_no_pixels_make_no_objects():
    assert instances(table_of(np.zeros((3, 3), bool)), CARD) == []
    assert instances(table_of(np.zeros((3, 3), bool), centre=np.zeros((3, 3))), SPLIT) == []


def test_small_components_are_left_out():
    mask = np.zeros((10, 10), bool)
    mask[0, :3] = mask[5, :4] = True
    (body,) = instances(table_of(mask), CARD.replace(min_pixels=4))
    assert (body.top, body.pixels) == (5, 4)


def two_slides():
    """Two bodies that touch, with centres and distances as a net would give them."""
    rows, columns = np.indices((21, 41))
    parts = [np.hypot(rows - 10, columns - c) for c in (10, 29)]
    mask = np.minimum(*parts) <= 10.5
    centre = np.maximum(*(np.exp(-(d**2) / 50) for d in parts))
    distance = np.maximum(*(np.clip(1 - d / 11, 0, 1) for d in parts))
    return mask, centre, distance


def test_two_bodies_that_touch_are_split_at_their_waist():
    mask, centre, distance = two_slides()
    bodies = instances(table_of(mask, centre=centre, distance=distance), SPLIT)
    assert len(bodies) == 2
    found = drawn(in_order(bodies), mask.shape)
    np.testing.assert_array_equal(found > 0, mask)
    assert set(found[:, :19].ravel()) == {0, 1}
    assert set(found[:, 21:].ravel()) == {0, 2}


def test_without_a_distance_the_centre_is_flooded():
    mask, centre, _ = two_slides()
    bodies = instances(table_of(mask, centre=centre), SPLIT)
    assert len(bodies) == 2
    assert drawn(in_order(bodies), mask.shape).astype(bool).sum() == mask.sum()


@pytest.mark.parametrize("entries", [{"prominence": 1.0}, {"min_centre": 1.0, "prominence": 0.0}])
def test_peaks_that_do_not_count_do_not_split(entries):
    mask, centre, distance = two_slides()
    centre = np.where(np.arange(41) > 20, 0.9 * centre, centre * 0.99)
    assert len(instances(table_of(mask, centre=centre, distance=distance), SPLIT.replace(**entries))) == 1


def test_splinters_of_a_split_are_left_out():
    mask = np.ones((1, 12), bool)
    centre = np.array([[0.9] * 9 + [0.1, 0.1, 0.8]])
    found = instances(table_of(mask, centre=centre), SPLIT.replace(min_pixels=4))
    assert [b.pixels for b in found] == [10]


def test_moving_the_map_moves_the_objects():
    mask, centre, distance = two_slides()
    rng = np.random.default_rng(0)
    centre = np.round(4 * centre + rng.random(mask.shape)) / 5  # plateaus and ties
    table = table_of(mask, centre=centre, distance=np.round(distance * 4) / 4)
    moved = {**table, "row": table["row"] + 1000, "column": table["column"] + 77}
    here, there = (in_order(instances(t, SPLIT)) for t in (table, moved))
    assert [(b.top + 1000, b.left + 77, b.mask.tobytes()) for b in here] == [
        (b.top, b.left, b.mask.tobytes()) for b in there
    ]


def test_scores_sum_the_foreground_up():
    mask = np.ones((1, 4), bool)
    front = np.array([[0.5, 0.6, 0.7, 1.0]], np.float32)
    assert instances(table_of(mask, front=front), CARD)[0].score == pytest.approx(0.7)
    assert instances(table_of(mask, front=front), CARD.replace(score="max"))[0].score == 1.0
    upper = CARD.replace(score="upper")
    assert instances(table_of(mask, front=front), upper)[0].score == pytest.approx(0.85)
    odd = instances(table_of(mask[:, :3], front=front[:, :3]), upper)
    assert odd[0].score == pytest.approx((0.6 + 0.7) / 2)
    told = instances(table_of(mask, front=front), CARD.replace(calibration=(2.0, -1.0)))[0].score
    assert told == pytest.approx(1 / (1 + np.exp(-(2 * np.log(0.7 / 0.3) - 1))))


def test_the_class_is_the_one_that_most_pixels_speak_for():
    card = net_card(fields=("class:slide", "class:ice"), classes=("slide", "ice"), min_pixels=1)
    mask = np.ones((1, 4), bool)
    fields = {"class:slide": [[0.9, 0.1, 0.1, 0.1]], "class:ice": [[0.1, 0.6, 0.6, 0.6]]}
    assert instances(table_of(mask, **fields), card)[0].label == 1


def test_velocities_are_means_of_what_is_there():
    mask = np.ones((1, 4), bool)
    found = instances(table_of(mask, velocity0=[[1, np.nan, 3, np.nan]], velocity1=[[np.nan] * 4]), CARD)
    assert found[0].velocity[0] == 2
    assert np.isnan(found[0].velocity[1])


def test_a_mean_does_not_depend_on_what_lies_beside():
    values = np.random.default_rng(0).normal(size=999).astype(np.float32)
    total = 0.0
    for value in values.astype(float):
        total += value
    assert mean(values) == total / 999
    assert mean(values[1::2].copy()) == mean(values[1::2])
    assert np.isnan(mean(np.array([np.nan])))


def test_tracks_count_that_saw_half_of_an_object():
    assert majority(np.array([1, 1, 3, 3], np.uint8)) == 3
    assert majority(np.array([1, 1, 1, 3], np.uint8)) == 1
    assert majority(np.array([0, 0, 0, 2], np.uint8)) == 2
    assert majority(np.array([0, 0], np.uint8)) == 0


def test_masks_are_cut_to_their_extent():
    mask = np.zeros((5, 6), bool)
    mask[2, 3] = mask[3, 4] = True
    top, left, inner = cut(mask, 10, 20)
    assert (top, left, inner.tolist()) == (12, 23, [[True, False], [False, True]])


def test_order_is_by_first_row_then_first_column_then_first_pixel():
    def body(top, left, mask):
        return Body(top, left, np.array(mask, bool), 0.5, 0, 1)

    corner = body(0, 0, [[0, 1], [1, 0]])
    other = body(0, 0, [[1, 0], [1, 0]])
    bodies = [body(1, 0, [[1]]), corner, body(0, 5, [[1]]), other]
    assert in_order(bodies) == [other, corner, bodies[2], bodies[0]]
    assert in_order(reversed(bodies)) == in_order(bodies)
