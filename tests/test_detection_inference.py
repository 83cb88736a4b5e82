"""What one task does: channels, batches, skipped windows, kept cores."""

import numpy as np
import pytest

from tests.detection_tools import make_map, rough
from xinsar.detection.inference import Work, dense_table, joined, no_pixels, object_list, run
from xinsar.detection.inputs import inputs_of
from xinsar.mapping.windows import Box
from xinsar.models import Channel, wrap


def recorded(function=None, **entries):
    """Return a model that keeps the batches it was shown."""
    seen = []

    def model(batch):
        seen.append(batch.copy())
        return (
            np.zeros((len(batch), 1, *batch.shape[2:]), np.float32) if function is None else function(batch)
        )

    made = {"window": (32, 32), "overlap": 8, "inputs": (Channel("velocity"),), **entries}
    runtime = wrap(model, **made)
    return runtime, seen


def ran(ds, runtime, *, batch=4, threshold=0.5, box=None):
    """Run the model over the whole map in one task."""
    inputs = inputs_of(ds, runtime.card)
    work = Work.of(inputs, runtime, threshold, batch)
    image = work.lattice.image
    constants = [np.asarray(e.compute().data) for e in inputs.extremes]
    blocks = [np.asarray(a.compute().data) for a in inputs.arrays]
    return work, list(run(blocks, box or image, image, constants, work)), blocks


def test_windows_see_the_map_and_padding_around_it():
    field = rough((40, 30), gaps=0)
    channels = (
        Channel("velocity", fill=-1.0),
        Channel("valid_velocity"),
        Channel("inside"),
        Channel("slope", fill=7.0),
    )
    runtime, seen = recorded(inputs=channels)
    work, found, _ = ran(make_map(field), runtime)
    (batch,) = seen
    assert batch.dtype == np.float32
    assert batch.shape == (4, 4, 32, 32)
    for (window, _), channel in zip(found, batch, strict=True):
        inside = window.read.within(work.lattice.image)
        where = inside.inside(window.read)
        np.testing.assert_array_equal(channel[0][where], field[inside.inside(work.lattice.image)])
        outside = np.ones((32, 32), bool)
        outside[where] = False
        assert (channel[0][outside] == -1).all()
        assert not channel[1][outside].any()
        assert not channel[2][outside].any()
        assert (channel[1][where] == 1).all()
        assert (channel[2][where] == 1).all()
        assert (channel[3] == 7).all()


@pytest.mark.parametrize(
    ("channel", "wanted"),
    [
        (Channel("velocity", offset=0.01, scale=0.02), lambda v: (v - 0.01) / 0.02),
        (Channel("velocity", transform="arcsinh", scale=0.01), lambda v: np.arcsinh(v / 0.01)),
        (
            Channel("velocity", transform="minmax"),
            lambda v: (v - np.nanmin(v)) / (np.nanmax(v) - np.nanmin(v)),
        ),
    ],
)
def test_values_are_normalised_as_the_card_says(channel, wanted):
    field = rough((20, 20))
    runtime, seen = recorded(inputs=(channel,), window=(24, 24), overlap=4)
    _, ((window, _),), _ = ran(make_map(field), runtime)
    shown = seen[0][0, 0][Box(0, 20, 0, 20).inside(window.read)]
    expected = wanted(field.astype(float))
    np.testing.assert_allclose(shown, np.nan_to_num(expected, nan=0), atol=1e-6)


def test_min_and_max_are_those_of_the_cube_not_of_the_window():
    field = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (30, 1))
    runtime, seen = recorded(inputs=(Channel("velocity", transform="minmax"),))
    ran(make_map(field), runtime)
    assert seen[0][0].max() < 0.5
    assert max(b.max() for b in seen) == 1


def test_a_constant_field_is_0_between_its_extremes():
    runtime, seen = recorded(inputs=(Channel("velocity", transform="minmax"),))
    ran(make_map(np.full((20, 20), 3.0)), runtime)
    assert not seen[0].any()


def test_missing_pixels_are_filled_and_marked():
    field = rough((20, 20), gaps=0)
    field[3, 4], field[5, 6] = np.nan, np.inf
    runtime, seen = recorded(inputs=(Channel("velocity", fill=9.0), Channel("valid_velocity")))
    _, ((window, _),), _ = ran(make_map(field), runtime)
    shown = seen[0][0][(slice(None), *Box(0, 20, 0, 20).inside(window.read))]
    assert shown[0, 3, 4] == shown[0, 5, 6] == 9
    assert (shown[1] == np.isfinite(field)).all()


def test_batches_are_filled_across_windows_and_padded_to_one_size():
    runtime, seen = recorded()
    _, found, _ = ran(make_map(rough((60, 80), gaps=0)), runtime, batch=5)
    assert len(found) == 12
    assert [len(b) for b in seen] == [5, 5, 5]
    assert not seen[-1][2:].any()


def test_a_runtime_that_works_window_by_window_gets_no_padding():
    runtime, seen = recorded()

    class Alone:
        card, alone = runtime.card, True

        def __call__(self, batch):
            return runtime(batch)

    ran(make_map(rough((60, 80), gaps=0)), Alone(), batch=5)
    assert [len(b) for b in seen] == [5, 5, 2]


def test_a_runtime_may_know_its_batch():
    runtime, seen = recorded()

    class Large:
        card, batch_size = runtime.card, 7

        def __call__(self, batch):
            return runtime(batch)

    ran(make_map(rough((60, 80), gaps=0)), Large(), batch=None)
    assert [len(b) for b in seen] == [7, 7]


def test_windows_in_which_nothing_was_seen_are_not_shown():
    field = np.full((60, 80), np.nan, np.float32)
    field[2, 3] = 1.0
    ds = make_map(field).assign(slope=(("y", "x"), np.ones((60, 80), np.float32), {"units": "degree"}))
    runtime, seen = recorded(inputs=(Channel("velocity"), Channel("slope"), Channel("inside")))
    _, found, _ = ran(ds, runtime)
    assert [w.core for w, _ in found] == [Box(0, 24, 0, 24)]
    assert len(seen) == 1


def test_a_window_with_one_pixel_in_its_halo_is_shown():
    field = np.full((60, 80), np.nan, np.float32)
    field[2, 25] = 1.0
    runtime, _ = recorded()
    _, found, _ = ran(make_map(field), runtime)
    assert [w.core for w, _ in found] == [Box(0, 24, 0, 24), Box(0, 24, 24, 48)]


def test_nothing_is_shown_of_a_cube_of_nan():
    runtime, seen = recorded()
    work, found, blocks = ran(make_map(np.full((60, 80), np.nan)), runtime)
    assert found == seen == []
    table = dense_table(blocks, work.lattice.image, work.lattice.image, [], work=work)
    assert all(len(column) == 0 for column in table.values())


def moving(batch):
    return (np.abs(batch[:, :1]) > 0.02).astype(np.float32) * 0.75


def test_a_table_holds_the_pixels_of_the_foreground_once():
    field = rough((60, 80))
    runtime, _ = recorded(moving)
    work, _, blocks = ran(make_map(field), runtime)
    table = dense_table(blocks, work.lattice.image, work.lattice.image, [], work=work)
    found = np.zeros(field.shape, int)
    np.add.at(found, (table["row"], table["column"]), 1)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, np.abs(field) > 0.02)
    assert set(table) == {"row", "column", "foreground", "seen", "velocity0"}
    assert (table["foreground"] == 0.75).all()
    assert (table["seen"] == 1).all()
    np.testing.assert_array_equal(table["velocity0"], field[table["row"], table["column"]])
    assert {name: column.dtype for name, column in table.items()} == {
        name: column.dtype for name, column in no_pixels(work).items()
    }


def test_tables_are_joined_below_each_other():
    tables = [{"a": np.arange(2)}, {"a": np.arange(0)}, {"a": np.arange(3)}]
    assert joined(tables)["a"].tolist() == [0, 1, 0, 1, 2]


def test_class_fields_stand_for_a_missing_foreground():
    def classes(batch):
        value = batch[:, 0]
        return np.stack([(value > 0.02) * 0.9, (value < -0.02) * 0.8], axis=1)

    field = rough((60, 80))
    runtime, _ = recorded(classes, fields=("class:toward", "class:away"), classes=("toward", "away"))
    work, _, blocks = ran(make_map(field), runtime)
    table = dense_table(blocks, work.lattice.image, work.lattice.image, [], work=work)
    speed = field[table["row"], table["column"]]
    np.testing.assert_allclose(table["foreground"], np.where(speed > 0, 0.9, 0.8), rtol=1e-6)
    assert set(table) == {"row", "column", "foreground", "seen", "velocity0", "class:toward", "class:away"}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda b: b[:, :, ::2],
            r"expected 'model' to return numbers \(window, field, y, x\) of shape \(4, 1, 32, 32\)",
        ),
        (lambda b: b[:2], "to return numbers"),
        (lambda b: np.full((len(b), 1, 32, 32), "a"), "to return numbers .* got <U1"),
        (lambda b: b[:, :1] * 0 + 3, "to return fields within 0..1, got 3 to 3; apply a sigmoid"),
        (lambda b: b[:, :1] * 0 - 3, "to return fields within 0..1, got -3 to -3"),
        (lambda b: b[:, :1] * np.nan, "fields within 0..1, got nan to nan"),
    ],
)
def test_what_a_model_may_not_return(function, said):
    runtime, _ = recorded(function)
    inputs = inputs_of(make_map(rough((20, 20))), runtime.card)
    work = Work.of(inputs, runtime, 0.5, 4)
    blocks = [a.values for a in inputs.arrays]
    with pytest.raises(ValueError, match=said):
        dense_table(blocks, work.lattice.image, work.lattice.image, [], work=work)


def test_a_field_may_come_without_its_axis_and_as_truth_values():
    runtime, _ = recorded(lambda b: b[:, 0] > 0.02)
    work, _, blocks = ran(make_map(rough((20, 20))), runtime)
    table = dense_table(blocks, work.lattice.image, work.lattice.image, [], work=work)
    assert (table["foreground"] == 1).all()


# objects


def boxes_of(*boxes, scores=None, labels=None, masks=None):
    """Return a model that sees the same objects in every window."""

    def model(batch):
        each = {
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "scores": np.array(scores or [0.9] * len(boxes)),
            "labels": np.array(labels or [0] * len(boxes)),
        }
        if masks is not None:
            each["masks"] = masks
        return [each] * len(batch)

    return recorded(model, output="objects")[0]


def objects_in(runtime, shape=(60, 80), **options):
    work, _, blocks = ran(make_map(rough(shape, gaps=0)), runtime)
    return object_list(blocks, work.lattice.image, work.lattice.image, [], work=work, **options)


def test_objects_know_where_they_lie_and_who_owns_them():
    """The windows begin at -4, 20, 44, ...; each sees an object in rows 10..16 and columns 8..20 of its own."""
    found = objects_in(boxes_of((8, 10, 20, 16)))
    assert len(found) == 12
    first, second = found[:2]
    assert (first.top, first.left, first.mask.shape) == (6, 4, (6, 12))
    assert (second.top, second.left) == (6, 28)
    assert all(c.whole and c.owned for c in found[:3])
    assert first.window == 0
    assert first.seen == 1
    np.testing.assert_allclose(first.velocity, [rough((60, 80), gaps=0)[6:12, 4:16].mean()], rtol=1e-5)


def test_an_object_outside_the_core_belongs_to_another():
    found = objects_in(boxes_of((27, 10, 30, 16)))
    assert [c.owned for c in found[:3]] == [False] * 3
    assert all(c.whole for c in found[:3])


def test_an_object_at_the_border_of_its_window_is_a_part_but_not_at_that_of_the_image():
    found = objects_in(boxes_of((0, 10, 12, 16)))
    assert [c.left for c in found[:3]] == [0, 20, 44]
    assert [c.whole for c in found[:3]] == [True, False, False]


def test_objects_below_the_threshold_or_too_small_are_left_out():
    runtime = boxes_of((8, 10, 20, 16), (2, 2, 4, 4), scores=[0.4, 0.6])
    found = objects_in(runtime)
    assert {c.score for c in found} == {0.6}
    assert objects_in(boxes_of((8, 10, 8.2, 10.2))) == []


def test_of_a_coarse_pass_only_whole_objects_count():
    found = objects_in(boxes_of((0, 10, 12, 16)), coarse=True)
    assert all(c.whole for c in found)
    assert 0 < len(found) < 12


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_masks_are_taken_where_they_are_given(kind):
    masks = np.zeros((1, 32, 32), kind)
    masks[0, 10:16, 8:20] = 1
    masks[0, 10, 8] = 0
    found = objects_in(boxes_of((0, 0, 32, 32), masks=masks))
    assert found[0].mask.sum() == 71
    assert (found[0].top, found[0].left) == (6, 4)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda b: b, "to return a list with a mapping for each of 4 windows, got ndarray of 4"),
        (lambda b: [], "to return a list with a mapping for each of 4 windows, got list of 0"),
        (lambda b: [{"boxes": np.zeros((0, 4))}] * len(b), "of each window, got no labels, scores"),
        (
            lambda b: [{"boxes": np.zeros((1, 4)), "scores": np.ones(2), "labels": np.zeros(2)}] * len(b),
            r"expected as many boxes and labels as scores \(2\), got 1 and 2",
        ),
        (
            lambda b: [{"boxes": np.zeros((1, 4)), "scores": np.ones(1), "labels": np.ones(1)}] * len(b),
            r"labels from 0 to 0, the index into the classes .*, got labels 1..1",
        ),
    ],
)
def test_what_a_model_of_objects_may_not_return(answer, said):
    runtime, _ = recorded(answer, output="objects")
    with pytest.raises(ValueError, match=said):
        objects_in(runtime)
