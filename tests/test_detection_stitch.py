"""The merge of objects of many windows: no order matters, nothing is lost, nothing counted twice."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.detection.stitch import JOINED, Candidate, common, merged
from xinsar.mapping.windows import Box

FAR = Box(0, 1000, 0, 1000)


def seen(top, left, height, width, *, window=0, score=0.9, label=0, mask=None, **entries):
    shape = np.ones((height, width), bool) if mask is None else np.asarray(mask, bool)
    made = {"view": FAR, "velocity": (0.1,), **entries}
    return Candidate(top=top, left=left, mask=shape, score=score, label=label, seen=1, window=window, **made)


def told(candidates):
    """Return all that is known of candidates, in their order."""
    return [
        (c.top, c.left, c.mask.tolist(), c.score, c.label, c.seen, c.window, c.whole, c.owned, c.velocity)
        for c in candidates
    ]


def test_nothing_gives_nothing():
    assert merged([], share=0.5) == []


def test_two_windows_that_see_one_object_give_one():
    a, b = seen(10, 10, 20, 20, score=0.8), seen(11, 10, 20, 20, window=1, score=0.9)
    assert merged([a, b], share=0.5) == [b]
    assert merged([b, a], share=0.5) == [b]


def test_the_window_that_owns_it_comes_first():
    a = seen(10, 10, 20, 20, score=0.8)
    b = seen(11, 10, 20, 20, window=1, score=0.9, owned=False)
    assert merged([a, b], share=0.5) == [a]


def test_an_object_that_no_window_claims_is_not_lost():
    """Each of two windows puts the centre into the core of the other."""
    a, b = (seen(10, 10 + k, 20, 20, window=k, owned=False) for k in (0, 1))
    assert merged([a, b], share=0.5) == [a]


def test_equal_scores_go_by_place():
    a, b = seen(10, 10, 20, 20, window=5), seen(9, 10, 20, 20, window=1)
    assert merged([a, b], share=0.5) == [b]


def test_objects_of_one_window_are_two_as_the_model_says():
    a, b = seen(10, 10, 20, 20), seen(12, 10, 20, 20, score=0.5)
    assert set(merged([a, b], share=0.5)) == {a, b}


def test_a_small_object_on_a_large_one_is_not_swallowed():
    large, small = seen(0, 0, 100, 100), seen(40, 40, 10, 10, window=1)
    assert set(merged([large, small], share=0.5)) == {large, small}


def test_objects_of_two_classes_are_two():
    a, b = seen(10, 10, 20, 20), seen(10, 10, 20, 20, window=1, label=1)
    assert set(merged([a, b], share=0.5)) == {a, b}


def test_masks_count_not_boxes():
    """Two slides side by side on one slope: their boxes overlap, their masks do not."""
    down = np.tri(20, dtype=bool)
    a, b = seen(0, 0, 20, 20, mask=down), seen(0, 0, 20, 20, window=1, mask=~down)
    assert common(a, b, FAR) == 0
    assert set(merged([a, b], share=0.5)) == {a, b}


def test_a_part_is_dropped_for_the_window_that_sees_the_whole():
    whole = seen(10, 10, 20, 40, window=1, score=0.6)
    part = seen(10, 10, 20, 15, whole=False, score=0.99)
    assert merged([part, whole], share=0.5) == [whole]


def test_parts_of_an_object_that_no_window_holds_become_one():
    """An object of columns 0..200 across three windows that share columns 60..80 and 120..140."""
    views = [Box(0, 100, 0, 80), Box(0, 100, 60, 140), Box(0, 100, 120, 200)]
    parts = [
        seen(
            10, v.left, 20, v.right - v.left, window=k, whole=False, owned=k == 1, view=v, score=0.5 + k / 10
        )
        for k, v in enumerate(views)
    ]
    (found,) = merged(parts, share=0.5)
    assert found.box == Box(10, 30, 0, 200)
    assert found.mask.all()
    assert found.score == 0.7
    assert found.window == JOINED
    assert found.velocity == (pytest.approx(0.1),)


def test_parts_that_do_not_agree_stay_apart():
    views = [Box(0, 100, 0, 80), Box(0, 100, 60, 140)]
    upper = seen(0, 40, 20, 40, whole=False, view=views[0])
    lower = seen(30, 60, 20, 40, window=1, whole=False, view=views[1])
    found = merged([upper, lower], share=0.5)
    assert [c.box for c in found] == [upper.box, lower.box]
    assert all(c.whole for c in found)


def test_a_part_at_a_border_that_nobody_else_sees_counts_only_for_its_owner():
    part = seen(10, 10, 20, 15, whole=False)
    assert [c.box for c in merged([part], share=0.5)] == [part.box]
    assert merged([dataclasses.replace(part, owned=False)], share=0.5) == []


def test_a_finer_pass_comes_before_a_coarser_one():
    fine, coarse = seen(10, 10, 20, 20, score=0.6), seen(10, 10, 20, 20, window=JOINED - 1, score=0.9)
    assert merged([coarse, fine], share=0.5) == [fine]


def test_the_coarse_pass_sees_what_windows_cut():
    large = seen(0, 0, 100, 300, window=JOINED - 1)
    parts = [
        seen(0, 64 * k, 100, 70, window=k, whole=False, view=Box(0, 128, 64 * k, 64 * k + 70))
        for k in range(4)
    ]
    assert merged([*parts, large], share=0.5) == [large]


def test_a_chain_of_twenty_objects_is_not_one():
    """Each covers 45 % of the next: union-find over such pairs would swallow the valley."""
    chain = [seen(0, 55 * k, 20, 100, window=k) for k in range(20)]
    found = merged(chain, share=0.4)
    assert len(found) == 10
    assert max(c.mask.shape[1] for c in found) == 100


candidates = st.lists(
    st.builds(
        lambda top, left, height, width, window, score, whole, owned, label: seen(
            top,
            left,
            height,
            width,
            window=window,
            score=score / 4,
            whole=whole,
            owned=owned,
            label=label,
            view=Box(0, 40, 12 * window - 6, 12 * window + 18),
        ),
        st.integers(0, 20),
        st.integers(0, 30),
        st.integers(1, 12),
        st.integers(1, 12),
        st.integers(0, 3),
        st.integers(1, 4),
        st.booleans(),
        st.booleans(),
        st.integers(0, 1),
    ),
    max_size=9,
)


@settings(deadline=None)
@given(candidates, st.randoms(use_true_random=False), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_merge_is_free_of_order_and_of_repetition(given_ones, random, share):
    found = merged(given_ones, share=share)
    shuffled = list(given_ones)
    random.shuffle(shuffled)
    assert told(merged(shuffled, share=share)) == told(found)
    assert told(merged(found, share=share)) == told(found)
    assert all(c.whole for c in found)


@settings(deadline=None)
@given(candidates, st.sampled_from([0.3, 0.5]))
def test_no_whole_object_is_left_without_one_that_stands_for_it(given_ones, share):
    """Each object seen whole is there, or one like it is."""
    found = merged(given_ones, share=share)
    for one in (c for c in given_ones if c.whole):
        assert any(
            c.label == one.label and common(one, c, FAR) >= share * min(one.pixels, c.pixels) for c in found
        )
