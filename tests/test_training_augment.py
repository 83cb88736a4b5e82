"""Mirrored and turned samples are those of a mirrored and turned world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xinsar.training import augment
from xinsar.training.augment import Input
from xinsar.training.targets import targets_of

SEEN = ("velocity", "gradient_y", "gradient_x", "sensitivity")
GROUND = ("aspect_sin", "aspect_cos", "slope")
INPUTS = (*(Input(name, track) for track in (0, 1) for name in SEEN), *map(Input, GROUND))


def world(height: Any) -> Any:
    """Return layers of two tracks over ground that moves as ``height`` says, slope and aspect its own shape."""
    south, east = np.full_like(height, np.nan), np.full_like(height, np.nan)
    south[:-1], east[:, :-1] = np.diff(height, axis=0), np.diff(height, axis=1)
    track = [height, south, east, np.sign(height)]
    dy, dx = np.gradient(height)
    length = np.hypot(dx, dy)
    aspect = [-dx / length, dy / length]
    return np.array([*track, *(2 * layer for layer in track), *aspect, length])


@pytest.fixture
def height() -> Any:
    return np.random.default_rng(0).normal(size=(7, 9))


@pytest.mark.parametrize("axis", ["y", "x"])
def test_a_mirrored_world(height: Any, axis: str) -> None:
    flipped = np.flip(height, {"y": 0, "x": 1}[axis])
    np.testing.assert_allclose(augment.mirror(world(height), INPUTS, axis), world(flipped))


def test_a_turned_world(height: Any) -> None:
    np.testing.assert_allclose(augment.transpose(world(height), INPUTS), world(height.T))


def test_a_look_from_the_other_side(height: Any) -> None:
    found = augment.reverse(world(height), INPUTS, 1)
    np.testing.assert_array_equal(found[:4], world(height)[:4])
    np.testing.assert_array_equal(found[4:8], -world(height)[4:8])
    np.testing.assert_array_equal(found[8:], world(height)[8:])


def test_exchanged_tracks(height: Any) -> None:
    layers = world(height)
    found = augment.exchange(layers, INPUTS)
    np.testing.assert_array_equal(found[:4], layers[4:8])
    np.testing.assert_array_equal(found[4:8], layers[:4])
    np.testing.assert_array_equal(augment.exchange(found, INPUTS), layers)


def test_what_is_dropped(height: Any) -> None:
    layers = world(height)
    assert np.isnan(augment.drop(layers, INPUTS, track=0)[:4]).all()
    np.testing.assert_array_equal(augment.drop(layers, INPUTS, track=0)[4:], layers[4:])
    gone = np.isnan(augment.drop(layers, INPUTS, kind="gradient")).all(axis=(1, 2))
    assert gone.tolist() == [each.name.startswith("gradient") for each in INPUTS]
    gone = np.isnan(augment.drop(layers, INPUTS, kind="terrain")).all(axis=(1, 2))
    assert [each.name for each, lost in zip(INPUTS, gone, strict=True) if lost] == [
        "sensitivity",
        "sensitivity",
        "aspect_sin",
        "aspect_cos",
        "slope",
    ]


def test_drawn_samples_keep_bodies_under_their_motion() -> None:
    """Wherever a body goes, its velocity goes with it; some samples lack a track, never all that shows motion."""
    labels = np.zeros((24, 24), int)
    labels[3:9, 10:20] = 1
    layers = world(np.where(labels, 5.0, 0.1) + np.linspace(0, 0.1, 24) ** 2)
    targets = targets_of(labels).fields
    lacking = 0
    for seed in range(200):
        found, fields = augment.draw(np.random.default_rng(seed), layers, INPUTS, targets)
        shown = np.isfinite(found[[0, 4]]).all(axis=(1, 2))
        edges = np.isfinite(found[[1, 2, 5, 6]]).any()
        assert shown.any() or edges
        lacking += not shown.all()
        for velocity in found[[0, 4]][shown]:
            np.testing.assert_array_equal(np.abs(velocity) > 1, fields[0] > 0)
    assert 50 < lacking < 150
    same = [augment.draw(np.random.default_rng(7), layers, INPUTS, targets)[0] for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_aspects_turn_with_the_ground(height: Any) -> None:
    """An azimuth goes where its sine and cosine go."""

    def azimuth(layers: Any) -> Any:
        return np.rad2deg(np.arctan2(layers[-3], layers[-2]))[None] % 360

    layers, inputs = world(height), [Input("aspect")]
    for axis in ("y", "x"):
        wanted = azimuth(augment.mirror(layers, INPUTS, axis))
        np.testing.assert_allclose(augment.mirror(azimuth(layers), inputs, axis), wanted)
    wanted = azimuth(augment.transpose(layers, INPUTS))
    np.testing.assert_allclose(augment.transpose(azimuth(layers), inputs), wanted)
    assert np.isnan(augment.drop(azimuth(layers), inputs, kind="terrain")).all()


def test_what_is_needed_never_goes_missing(height: Any) -> None:
    layers, needed = world(height), {Input("slope"), Input("velocity", 0)}
    lacking = np.zeros(len(INPUTS), int)
    for seed in range(60):
        found, _ = augment.draw(np.random.default_rng(seed), layers, INPUTS, layers[:1], needed=needed)
        lacking += np.isnan(found).all(axis=(1, 2))
    assert {each for each, lost in zip(INPUTS, lacking, strict=True) if not lost} == needed
