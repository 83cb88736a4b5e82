"""Samples: what is learnt from numbered bodies, what is seen of a scene, and folders of samples."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from pyproj import CRS
from shapely.geometry import box

import xinsar
from xinsar.models import Channel, ModelCard
from xinsar.training import samples
from xinsar.training.augment import Input
from xinsar.training.channels import channels_of
from xinsar.training.targets import targets_of

CARD = ModelCard(
    "test",
    "1",
    (
        Channel("velocity", 0, "arcsinh", scale=0.01),
        Channel("gradient_y", 0, scale=2.0, fill=-1.0),
        Channel("gradient_x", 0, offset=1.0),
        Channel("velocity", 1, "arcsinh", scale=0.01),
        Channel("slope", transform="minmax"),
        Channel("valid_velocity", 0),
        Channel("valid_gradient", 0),
        Channel("valid", 1),
        Channel("inside"),
    ),
    window=(32, 32),
    overlap=0,
)


def grid(**maps):
    x, y = 12.5 + 25.0 * np.arange(8), 187.5 - 25.0 * np.arange(8)
    shape = (8, 8)
    variables = {name: (("y", "x"), np.full(shape, v, "f4")) for name, v in maps.items()}
    return xr.Dataset(
        variables,
        {"x": ("x", x, {"units": "m"}), "y": ("y", y, {"units": "m"})},
        {"track": "one"},
    )


def test_fields_of_a_body():
    labels = np.zeros((20, 30), int)
    labels[5:12, 8:19] = 1
    labels[14:16, 2:5] = 2
    found = targets_of(labels, min_pixels=8)
    foreground, centre, distance = found.fields
    np.testing.assert_array_equal(foreground > 0, labels == 1)
    assert centre[8, 13] == 1 == centre.max()
    assert distance[8, 13] == 1
    assert (distance[labels != 1] == 0).all()
    assert distance[5, 13] == pytest.approx(1 / 4)
    np.testing.assert_array_equal(found.weight == 0, labels == 2)


def test_centres_lie_within_bodies():
    """A horseshoe's middle is ground; its centre is where it is thickest."""
    labels = np.zeros((15, 15), int)
    labels[2:13, 2:13] = 1
    labels[2:9, 5:10] = 0
    centre = targets_of(labels).fields[1]
    y, x = np.unravel_index(centre.argmax(), centre.shape)
    assert labels[y, x] == 1


def test_pixels_to_be_ignored():
    labels = np.zeros((8, 8), int)
    labels[:4] = 1
    ignore = labels == 0
    found = targets_of(labels, ignore)
    np.testing.assert_array_equal(found.weight, labels == 1)


def test_outlines_become_numbers():
    truth = gpd.GeoDataFrame(
        {"ignore": [False, True, False], "snr_one": [3.0, 3.0, 0.1]},
        geometry=[box(0, 100, 100, 200), box(100, 0, 200, 100), box(150, 150, 200, 200)],
    )
    labels, ignore = samples.numbered(truth, grid(velocity=0.0))
    np.testing.assert_array_equal(labels[:4, :4], 1)
    assert (labels > 0).sum() == 16
    np.testing.assert_array_equal(ignore[4:, 4:], np.ones((4, 4)))
    assert ignore[:2, 6:].all()
    assert ignore.sum() == 20


def test_outlines_in_another_reference_system():
    like = grid(velocity=0.0)
    like = like.assign_coords(x=like.x + 6e5, y=like.y + 3e6, spatial_ref=0)
    like.spatial_ref.attrs["crs_wkt"] = CRS(32647).to_wkt()
    truth = gpd.GeoDataFrame(geometry=[box(6e5, 3e6 + 100, 6e5 + 100, 3e6 + 200)], crs=32647)
    wanted = samples.numbered(truth, like)[0]
    np.testing.assert_array_equal(samples.numbered(truth.to_crs(4326), like)[0], wanted)
    assert wanted.sum() == 16


def test_layers_and_channels_of_tracks():
    ds = grid(velocity=0.02, gradient_y=0.5, gradient_x=0.25, slope=20.0)
    for name in ("gradient_y", "gradient_x"):
        ds[name].attrs = {"units": "m m-1 year-1"}
    ds["velocity"][0, 0] = np.nan
    ds["gradient_x"][:, -1] = np.nan
    layers = samples.layers_of([ds], CARD)
    inputs = samples.inputs_of(CARD)
    assert inputs == (
        Input("velocity", 0),
        Input("gradient_y", 0),
        Input("gradient_x", 0),
        Input("velocity", 1),
        Input("slope"),
    )
    assert np.isnan(layers[3]).all()
    channels = channels_of(layers, inputs, CARD, {Input("slope"): (10.0, 30.0)})
    assert channels.dtype == np.float32
    assert channels[0, 1, 1] == pytest.approx(np.arcsinh(2.0))
    assert channels[0, 0, 0] == 0
    assert channels[1, 0, 0] == 0.25
    assert channels[2, 0, 0] == pytest.approx(-0.75)
    assert channels[4, 0, 0] == 0.5
    assert channels[5].sum() == 63
    assert channels[6].sum() == 56
    assert channels[7].sum() == 0
    assert (channels[8] == 1).all()


def test_channels_are_those_of_detection(tmp_path):
    """Training and detection make the same channels of the same cube, padding included, to the last bit."""
    rng = np.random.default_rng(0)
    ds = grid(velocity=0.0, gradient_y=0.0, gradient_x=0.0, slope=0.0)
    for name, scale in (("velocity", 0.02), ("gradient_y", 1.0), ("gradient_x", 1.0), ("slope", 40.0)):
        values = (scale * rng.normal(size=(8, 8))).astype("f4")
        values[rng.random((8, 8)) < 0.2] = np.nan
        attrs = {"units": "m m-1 year-1"} if name.startswith("gradient") else {}
        ds[name] = (("y", "x"), values, attrs)
    shown = []

    def model(batch):
        shown.append(batch.copy())
        return np.zeros((len(batch), 3, *batch.shape[2:]), "f4")

    model.card = CARD
    assert len(xinsar.detect(ds, model=model, progress=False)) == 0
    inputs = samples.inputs_of(CARD)
    extremes = {Input("slope"): (float(ds.slope.min()), float(ds.slope.max()))}
    layers = samples.layers_of([ds], CARD)
    np.testing.assert_array_equal(shown[0][0][:, :8, :8], channels_of(layers, inputs, CARD, extremes))
    one = samples.Sample(layers, np.zeros((3, 8, 8), "f4"), np.ones((8, 8), "f4"))
    kept = samples.collect([one], tmp_path, CARD, number=1, record={})
    part = kept.crop(0, (0, 0), CARD.window).layers
    padded = channels_of(part, inputs, CARD, extremes, inside=kept.inside((0, 0), CARD.window))
    np.testing.assert_array_equal(shown[0][0], padded)


def sample(seed):
    rng = np.random.default_rng(seed)
    layers = rng.normal(size=(5, 6, 7)).astype("f4")
    layers[0, 0, 0] = np.nan
    return samples.Sample(layers, rng.random((3, 6, 7)).astype("f2"), np.ones((6, 7), "f4"))


def test_a_folder_of_samples(tmp_path):
    made = samples.collect(
        [lambda k=k: sample(k) for k in range(3)], tmp_path, CARD, number=3, record={"seed": 1}
    )
    assert len(made) == 3
    assert made.shape == (6, 7)
    for k in range(3):
        for got, wanted in zip(made[k], sample(k), strict=True):
            np.testing.assert_array_equal(got, wanted)
    part = made.crop(1, (2, 3), (4, 2))
    np.testing.assert_array_equal(part.layers, sample(1).layers[:, 2:, 3:5])


def test_crops_beyond_a_sample(tmp_path):
    kept = samples.collect([sample(0)], tmp_path, CARD, number=1, record={})
    part, inside = kept.crop(0, (-3, 2), (8, 8)), kept.inside((-3, 2), (8, 8))
    np.testing.assert_array_equal(inside, np.pad(np.ones((5, 5)), ((3, 0), (0, 3))))
    assert np.isnan(part.layers[:, inside == 0]).all()
    np.testing.assert_array_equal(part.layers[:, 3:, :5], sample(0).layers[:, :5, 2:])
    np.testing.assert_array_equal(part.fields[:, 3:, :5], sample(0).fields[:, :5, 2:])
    np.testing.assert_array_equal(part.weight, inside)
    gone = kept.crop(0, (20, -40), (8, 8))
    assert np.isnan(gone.layers).all()
    assert not gone.weight.any()
    assert not kept.inside((20, -40), (8, 8)).any()


def test_equal_samples_are_not_made_again(tmp_path):
    samples.collect([sample(0)], tmp_path, CARD, number=1, record={"seed": 1})

    def fail():
        raise AssertionError("made again")

    assert len(samples.collect([fail], tmp_path, CARD, number=1, record={"seed": 1})) == 1
    other = samples.collect([sample(5)], tmp_path, CARD, number=1, record={"seed": 2})
    np.testing.assert_array_equal(other[0].layers, sample(5).layers)


def test_an_interrupted_collection_is_not_opened(tmp_path):
    def broken():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        samples.collect([lambda: sample(0), broken], tmp_path, CARD, number=2, record={})
    with pytest.raises(FileNotFoundError, match=r"no samples\.json"):
        samples.Samples(tmp_path)


def test_the_index_is_readable(tmp_path):
    samples.collect([sample(0)], tmp_path, CARD, number=1, record={"seed": 1})
    index = json.loads((tmp_path / samples.INDEX).read_text())
    assert index["inputs"][0] == ["velocity", 0]
    assert index["seed"] == 1
