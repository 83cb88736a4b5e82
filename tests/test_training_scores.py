"""What a network is blamed for and how it is scored while it learns: hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from xinsar.models import Channel, ModelCard
from xinsar.training import scores

CARD = ModelCard("s", "1", (Channel("velocity"),), window=(16, 16), overlap=0, min_pixels=4)


def field(*boxes, value=1.0, shape=(16, 16)):
    """Return a field that is ``value`` in boxes (top, bottom, left, right)."""
    out = np.zeros((1, *shape), np.float32)
    for top, bottom, left, right in boxes:
        out[0, top:bottom, left:right] = value
    return out


def at(rows, threshold):
    return rows[scores.THRESHOLDS.index(threshold)].tolist()


def test_objects_and_pixels_of_a_scene():
    """One body found with three quarters of its union, one missed, one false; a speck is too small to count."""
    known = field((0, 4, 0, 4), (10, 14, 10, 14))
    found = field((0, 4, 0, 3), (0, 4, 10, 14), value=0.55) + field((8, 9, 0, 3), value=0.9)
    rows = scores.of_scene(found, known, np.ones((16, 16)), CARD)
    assert rows.shape == (len(scores.THRESHOLDS), 6)
    assert at(rows, 0.5) == [1, 1, 1, 12, 16, 4 + 16]
    assert at(rows, 0.6) == [0, 0, 2, 0, 0, 32]


def test_half_of_the_union_is_needed():
    known = field((0, 4, 0, 6))
    just = field((0, 4, 3, 6)), field((0, 4, 4, 6))
    assert [at(scores.of_scene(f, known, np.ones((16, 16)), CARD), 0.5)[:3] for f in just] == [
        [1, 0, 0],
        [0, 1, 1],
    ]


def test_what_lies_where_nothing_is_learnt_counts_neither_way():
    weight = np.ones((16, 16))
    weight[:, 8:] = 0
    found = field((0, 4, 9, 14), (8, 12, 6, 11), (12, 16, 0, 4))
    assert at(scores.of_scene(found, field(), weight, CARD), 0.5) == [0, 1, 0, 0, 8 + 16, 0]


def test_corners_connect():
    known = field((0, 3, 0, 3), (3, 6, 3, 6))
    assert at(scores.of_scene(known, known, np.ones((16, 16)), CARD), 0.5)[:3] == [1, 0, 0]


def test_nothing_found_and_nothing_there():
    rows = scores.of_scene(field(), field(), np.ones((16, 16)), CARD)
    assert not rows.any()
    assert scores.summary([rows])["f1"] == 0


def test_summary_adds_scenes_and_takes_the_best_threshold():
    rows = np.zeros((len(scores.THRESHOLDS), 6), int)
    rows[1] = [6, 2, 2, 80, 20, 20]
    rows[2] = [8, 2, 6, 70, 10, 30]
    rows[3] = [2, 0, 10, 10, 0, 90]
    found = scores.summary([rows, rows])
    assert found == {
        "f1": pytest.approx(0.75),
        "precision": pytest.approx(0.75),
        "recall": pytest.approx(0.75),
        "pixel_f1": pytest.approx(0.8),
        "threshold": scores.THRESHOLDS[1],
    }


def test_of_equal_thresholds_pixels_decide():
    rows = np.zeros((len(scores.THRESHOLDS), 6), int)
    rows[:] = [5, 0, 0, 50, 50, 0]
    rows[2, 3:] = rows[3, 3:] = [50, 10, 10]
    assert scores.summary([rows])["threshold"] == scores.THRESHOLDS[2]


# ---- losses

FIELDS = ("foreground", "centre", "distance")


@pytest.fixture(scope="module")
def losses():
    pytest.importorskip("torch")
    from xinsar.training import losses

    return losses


def batch(seed=0):
    import torch

    rng = np.random.default_rng(seed)
    targets = np.zeros((2, 3, 8, 8), np.float32)
    targets[:, 0, 2:6, 2:6] = 1
    targets[:, 1, 3:5, 3:5] = [[1, 0.5], [0.5, 0.2]]
    targets[:, 2, 2:6, 2:6] = rng.uniform(0, 1, (2, 4, 4))
    weight = (rng.random((2, 8, 8)) < 0.8).astype(np.float32)
    logits = rng.normal(size=(2, 3, 8, 8)).astype(np.float32)
    return torch.from_numpy(logits), torch.from_numpy(targets), torch.from_numpy(weight)


def entropy(logits, wanted, weight):
    p = 1 / (1 + np.exp(-logits.astype(float)))
    return (-(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)) * weight).sum() / weight.sum()


def test_losses_are_what_they_say(losses):
    given = batch()
    terms = {name: float(v) for name, v in losses.loss_of(*given, FIELDS).items()}
    logits, targets, weight = (t.numpy() for t in given)
    p, inside = 1 / (1 + np.exp(-logits)), targets[:, 0]
    both = ((p[:, 0] + inside) * weight).sum()
    assert terms == {
        "foreground": pytest.approx(entropy(logits[:, 0], inside, weight), rel=1e-5),
        "foreground_dice": pytest.approx(
            1 - (2 * (p[:, 0] * inside * weight).sum() + 1) / (both + 1), rel=1e-5
        ),
        "centre": pytest.approx(
            entropy(logits[:, 1], targets[:, 1], weight * (1 + 10 * targets[:, 1])), rel=1e-5
        ),
        "distance": pytest.approx(
            (np.abs(p[:, 2] - targets[:, 2]) * weight * inside).sum() / (weight * inside).sum(), rel=1e-5
        ),
    }


def test_pixels_that_are_left_out_change_nothing(losses):
    logits, targets, weight = batch()
    wanted = losses.loss_of(logits, targets, weight, FIELDS)
    other = logits.clone(), targets.clone()
    for tensor in other:
        tensor.permute(0, 2, 3, 1)[weight == 0] = 0.9
    got = losses.loss_of(*other, weight, FIELDS)
    assert {name: float(v) for name, v in got.items()} == pytest.approx(
        {n: float(v) for n, v in wanted.items()}
    )


def test_the_right_answer_costs_nothing(losses):
    _, targets, weight = batch()
    sure = targets.clamp(1e-6, 1 - 1e-6).logit()
    terms = losses.loss_of(sure, targets.round(), weight, FIELDS)
    assert float(terms["foreground"]) < 1e-4
    assert float(terms["foreground_dice"]) < 1e-4
    exact = losses.loss_of(sure, targets, weight, FIELDS)
    assert float(exact["distance"]) < 1e-5


def test_nothing_to_learn_is_no_loss_and_no_nan(losses):
    import torch

    logits, targets, weight = batch()
    logits.requires_grad_()
    total = sum(losses.loss_of(logits, targets, torch.zeros_like(weight), FIELDS).values())
    assert float(total.detach()) == 0
    total.backward()
    assert not logits.grad.any()


def test_empty_scenes_ask_for_silence(losses):
    """Where there is no body, less foreground is less loss, in both of its terms."""
    import torch

    _, targets, weight = batch()
    nothing = torch.zeros_like(targets)
    low, high = (losses.loss_of(torch.full_like(targets, v), nothing, weight, FIELDS) for v in (-6.0, 0.0))
    assert all(low[name] < high[name] for name in ("foreground", "foreground_dice", "centre"))
    assert float(low["distance"]) == 0


def test_a_single_field(losses):
    logits, targets, weight = batch()
    one = losses.loss_of(logits[:, :1], targets[:, :1], weight, ("foreground",))
    assert set(one) == {"foreground", "foreground_dice"}
