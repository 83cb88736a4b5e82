"""Training, on tiny samples of one bright body: it learns, is repeatable, goes on, stops, hands over whole files."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for library in ("lightning", "onnx", "onnxscript", "safetensors"):
    pytest.importorskip(library)

import xinsar  # noqa: E402
from tests.training_tools import SHAPE, body, ready, recipe, sample  # noqa: E402
from xinsar.models import get_model, load_model  # noqa: E402
from xinsar.models.runtime import runtime_of  # noqa: E402
from xinsar.training import checkpoints, fit, loop  # noqa: E402
from xinsar.training.channels import channels_of  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def quiet(line):
    """Say nothing."""


def weights(network):
    return [value.numpy() for value in network.state_dict().values()]


def same_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def last_step(folder):
    return torch.load(folder / checkpoints.LAST, weights_only=False)["global_step"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A whole training: the folder, the recipe, the network and what was said."""
    folder, said = tmp_path_factory.mktemp("fit"), []
    made = recipe(folder)
    ready(made)
    return folder, made, fit(made, say=said.append), said


@pytest.fixture
def train(tmp_path):
    """Return a function that trains by a recipe and writes no model, on samples that lie ready."""

    def run(made, *, resume=True, say=quiet):
        return loop.train(made, ready(made), resume=resume, say=say)

    return run, tmp_path


# ---- what a training gives


def metrics(folder):
    rows = []
    for file in sorted(folder.glob("run/log/version_*/metrics.csv")):
        with file.open(newline="") as lines:
            rows += list(csv.DictReader(lines))
    return rows


def test_the_loss_falls_and_bodies_are_found(done):
    folder, _, network, _ = done
    rows = metrics(folder)
    losses = {
        name: [float(row[name]) for row in rows if row.get(name)]
        for name in ("train_foreground", "train_foreground_dice", "train_centre", "val_loss")
    }
    assert [len(values) for values in losses.values()] == [3] * 4
    for name in ("train_foreground_dice", "val_loss"):
        assert losses[name][-1] < losses[name][0], name
    assert network.card.training["validation"]["f1"] > 0.5
    assert 0 < network.card.threshold < 1


def test_the_files_are_there(done):
    folder, _, _, _ = done
    names = {path.name for path in (folder / "run").iterdir()}
    assert names >= {"tiny.safetensors", "tiny.onnx", "tiny.json", "curve.png", "last.ckpt", "log"}
    assert not [name for name in names if name.endswith(".part")]


def test_both_files_and_the_network_agree(done):
    folder, _, network, _ = done
    torch_model, onnx_model = (
        runtime_of(load_model(folder / "run" / f"tiny.{e}")) for e in ("safetensors", "onnx")
    )
    shown = np.random.default_rng(0).normal(size=(3, len(network.card.inputs), *SHAPE)).astype("f4")
    wanted = runtime_of(network)(shown)
    same_weights(load_model(folder / "run" / "tiny.safetensors"), network)
    for model in (torch_model, onnx_model):
        np.testing.assert_allclose(model(shown), wanted, atol=1e-4, rtol=0)
    assert torch_model.card == onnx_model.card
    assert torch_model.card.replace(weights={}).to_json() == network.card.to_json()


def test_the_model_finds_a_body_it_has_not_seen(done):
    folder, _, network, _ = done
    values = sample(777, network.card).layers[0]
    import xarray as xr

    ds = xr.Dataset(
        {"velocity": (("y", "x"), values, {"units": "m year-1"})},
        {
            d: (d, s * 25.0 * np.arange(n), {"units": "m"})
            for d, n, s in zip("yx", SHAPE, (-1, 1), strict=True)
        },
    )
    found = xinsar.detect(ds, model=folder / "run" / "tiny.onnx", progress=False)
    from rasterio.features import rasterize

    drawn = rasterize(found.geometry, SHAPE, transform=(25, 0, -12.5, 0, -25, 12.5)) > 0
    moving = body(777) > 0
    assert (drawn & moving).sum() / (drawn | moving).sum() > 0.5


def test_the_record_on_the_card_is_complete(done):
    folder, made, _, _ = done
    card = json.loads((folder / "run" / "tiny.json").read_text())
    record = card["training"]
    assert set(record) == {
        "date",
        "recipe",
        "data",
        "simulated",
        "steps",
        "minutes",
        "validation",
        "machine",
        "versions",
    }
    assert record["recipe"]["training"]["rate"] == made.training.rate
    assert record["recipe"]["model"]["options"] == {"widths": [4, 4, 4, 4]}
    assert record["data"]["train"]["number"] == 6
    assert record["data"]["val"]["seed"] == 100
    assert record["simulated"] is True
    assert record["steps"] in (20, 40, 60)
    assert set(record["validation"]) == {"f1", "precision", "recall", "pixel_f1", "threshold"}
    assert set(record["versions"]) == {"xinsar", "torch", "lightning", "python"}
    assert card["architecture"] == "centre"
    assert set(card["weights"]) == {"onnx", "safetensors"}


def test_the_learning_curve_is_drawn(done):
    from PIL import Image

    with Image.open(done[0] / "run" / "curve.png") as picture:
        assert picture.size[0] > picture.size[1] > 300
        assert len(picture.convert("RGB").getcolors(10**6)) > 50


def test_every_look_is_told(done):
    said = done[3]
    assert [line.partition(":")[0] for line in said[:3]] == ["step 20", "step 40", "step 60"]
    assert "f1 " in said[0]
    assert said[3].startswith(f"wrote {done[0] / 'run' / 'tiny'}.safetensors")


def test_a_training_that_ended_is_not_begun_again(done):
    folder, made, network, _ = done
    before, said = metrics(folder), []
    again = loop.train(made, ready(made), resume=True, say=said.append)
    same_weights(again.network, network)
    record = network.card.training
    assert (again.steps, round(again.minutes, 1)) == (record["steps"], record["minutes"])
    assert again.scores == record["validation"]
    assert said == []
    assert metrics(folder) == before


# ---- again, further, anew


def test_the_same_recipe_gives_the_same_weights_interrupted_or_not(train):
    run, folder = train
    one, two, three = (recipe(folder, out=out, steps=12, every=4) for out in ("a", "b", "c"))
    whole = run(one)
    same_weights(run(two).network, whole.network)

    def leave(line):
        if line.startswith("step 8"):
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError, match="the power fails"):
        run(three, say=leave)
    assert last_step(folder / "c") == 4
    said = []
    resumed = run(three, say=said.append)
    assert said[0] == "going on after step 4 of 12"
    assert [line.partition(":")[0] for line in said[1:]] == ["step 8", "step 12"]
    same_weights(resumed.network, whole.network)
    assert resumed.scores == whole.scores
    assert resumed.steps == whole.steps


def test_another_seed_gives_other_weights(train):
    run, folder = train
    one, two = (run(recipe(folder, out=f"{seed}", steps=2, every=2, seed=seed)).network for seed in (0, 1))
    assert any((a != b).any() for a, b in zip(weights(one), weights(two), strict=True))


def test_another_recipe_does_not_go_on(train):
    run, folder = train
    run(recipe(folder, steps=2))
    other = recipe(folder, steps=2, rate=1e-3)
    with pytest.raises(ValueError, match=r"training\.rate was 0\.02, now it is 0\.001; .*--fresh"):
        fit(other, say=quiet)
    with pytest.raises(ValueError, match=r"model\.options was"):
        fit(recipe(folder, steps=2, model={"options": {"widths": [4, 4, 4, 8]}}), say=quiet)
    run(recipe(folder, steps=2, minutes=5.0, workers=0))


def test_a_fresh_training_forgets_the_old_one(train):
    run, folder = train
    run(recipe(folder, steps=4, every=2))
    old = set((folder / "run").glob("best*"))
    fresh = run(recipe(folder, steps=3, rate=1e-3), resume=False)
    assert fresh.steps == 3
    assert last_step(folder / "run") == 3
    assert not old & set((folder / "run").glob("*.ckpt"))
    assert len(list((folder / "run").glob("*.ckpt"))) == 2
    assert {row["step"] for row in metrics(folder)} == {"2"}
    assert run(recipe(folder, steps=3, rate=1e-3)).steps == 3


def test_a_damaged_checkpoint(train):
    run, folder = train
    run(recipe(folder, steps=2))
    file = folder / "run" / checkpoints.LAST
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"is no checkpoint to go on from .*--fresh"):
        run(recipe(folder, steps=2))


# ---- when it ends


def test_it_stops_without_progress(train):
    run, folder = train
    made = recipe(folder, steps=40, every=3, rate=1e-12, average=0.0, patience=2)
    found = run(made)
    assert last_step(folder / "run") == 9
    assert found.steps == 3
    said = []
    assert run(made, say=said.append).steps == 3
    assert said == []


def test_it_stops_when_time_is_up_and_goes_on_when_asked(train):
    run, folder = train
    assert run(recipe(folder, steps=4, every=4, minutes=1e-9)).steps == 1
    assert last_step(folder / "run") == 1
    run(recipe(folder, steps=4, every=4))
    assert last_step(folder / "run") == 4


def test_the_last_step_is_looked_at(train):
    run, folder = train
    said = []
    run(recipe(folder, steps=5, every=3), say=said.append)
    assert [line.partition(":")[0] for line in said] == ["step 3", "step 5"]


# ---- other networks and numbers


def test_a_network_on_feature_maps(train):
    """Least and largest values are those of all samples; what the card needs never goes missing."""
    run, folder = train
    model = {"name": "unet", "options": {"inputs": ["velocity", "slope"], "width": 4}, "card": {"name": "u"}}
    made = recipe(folder, model=model, steps=2, every=2)
    network = run(made).network
    assert network.card.fields == ("foreground",)
    crops = loop.Crops(ready(made)["train"], network.card, crop=(32, 32), number=8, seed=0)
    assert {each.name for each in crops.needed} == {"velocity", "slope"}
    least, most = crops.extremes[("slope", None)]
    assert 0 <= least < 1
    assert 39 < most <= 40
    for k in range(8):
        channels, targets, weight = crops[k]
        assert channels.shape == (2, 32, 32)
        assert (targets.shape, weight.shape) == ((1, 32, 32), (32, 32))
        assert 0 <= channels.min() <= channels.max() <= 1
        assert channels[1].max() > 0.5


def test_mixed_precision(train):
    run, folder = train
    found = run(recipe(folder, steps=2, every=2, precision="bf16-mixed"))
    assert all(value.dtype != torch.bfloat16 for value in found.network.state_dict().values())


def test_crops_are_the_same_in_any_order(train):
    _, folder = train
    made = recipe(folder)
    crops = loop.Crops(
        ready(made)["train"], sample_card(made), crop=made.training.crop, number=5, seed=made.training.seed
    )
    late = crops[4]
    for a, b in zip([crops[k] for k in range(5)][4], late, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(crops[3], late, strict=True))


def sample_card(made):
    from xinsar.training.fit import card_of

    return card_of(made)


def test_whole_scenes_are_shown_in_their_padding(train):
    _, folder = train
    made = recipe(folder)
    samples, card = ready(made)["val"], sample_card(made)
    channels, targets, weight = loop.Whole(samples, card, {})[1]
    wanted, halo = sample(101, card), card.halo
    scene = np.s_[..., halo:-halo, halo:-halo]
    assert weight.shape == (SHAPE[0] + 2 * halo, SHAPE[1] + 2 * halo)
    np.testing.assert_array_equal(channels[scene], channels_of(wanted.layers, samples.inputs, card))
    np.testing.assert_allclose(targets[scene], wanted.fields, atol=1e-3)
    np.testing.assert_array_equal(weight, np.pad(wanted.weight, halo))
    np.testing.assert_array_equal(channels[-1], np.pad(np.ones(SHAPE), halo))
    assert not channels[:, :halo].any()


def test_the_running_mean_forgets_the_first_weights_fast():
    """The first weights are random: after ten steps at .998 they would still be nine tenths of a plain mean."""
    mean, value = torch.zeros(1), torch.ones(1)
    move = loop.running_mean(0.998)
    for seen in range(1, 11):
        move([mean], [value], torch.tensor(seen))
    assert 0.9 < float(mean) < 1
    count = torch.tensor(3)
    move([count], [torch.tensor(5)], torch.tensor(1))
    assert int(count) == 5


# ---- what cannot be


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"crop": [60, 64]},
            r"training\.crop: expected multiples of 16, the stride of 'tiny', got \(60, 64\)",
        ),
        ({"data": {"shape": [100, 64]}}, r"data\.shape: expected multiples of 16"),
        ({"model": {"options": {"depth": 3}}}, r"model\.options: the builder of 'centre' does not take them"),
        ({"model": {"card": {"colour": 3}}}, r"model\.card: expected entries of a ModelCard"),
        ({"model": {"card": {"overlap": 3}}}, "overlap: expected an even number"),
        ({"model": {"card": {"fields": ["centre", "foreground"]}}}, "dense network with foreground first"),
        (
            {"model": {"card": {"fields": ["foreground", "class:a"], "classes": ["a"]}}},
            "and fields among foreground, centre, distance",
        ),
    ],
)
def test_networks_that_cannot_be_trained(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        fit(recipe(tmp_path, **changes), say=quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["lightning", "onnxscript"])
def test_what_is_not_installed_is_said_before_any_work(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(xinsar.MissingExtraError, match=rf"{library}.*pip install 'xinsar\[train\]'"):
        fit(recipe(tmp_path), say=quiet)
    assert not list(tmp_path.iterdir())


def test_tensorboard_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["xinsar.training.fit"], "find_spec", lambda name: None)
    with pytest.raises(xinsar.MissingExtraError, match="pip install tensorboard, or choose 'csv'"):
        fit(recipe(tmp_path, logger="tensorboard"), say=quiet)


def test_a_recipe_object_is_checked_too(tmp_path):
    from dataclasses import replace

    made = recipe(tmp_path)
    with pytest.raises(ValueError, match=r"training\.steps: expected 1 or more"):
        fit(replace(made, training=replace(made.training, steps=0)), say=quiet)


def test_on_from_the_weights_that_come_with_xinsar(tmp_path):
    """A few small steps change them a little; what was advised for them holds no more."""
    own = {"name": "default", "options": {}, "card": {"name": "tuned", "window": [64, 64], "overlap": 32}}
    made = recipe(tmp_path, model=own, steps=2, every=2, batch=2, rate=1e-4)
    ready(made)
    tuned, before = fit(made, say=quiet), get_model("default")
    far = [np.abs(a - b).max() for a, b in zip(weights(tuned), weights(before), strict=True) if a.ndim > 1]
    assert 0 < max(far) < 0.01
    assert before.card.min_score > 0
    assert (tuned.card.min_score, tuned.card.calibration) == (0, (1, 0))
    assert (tuned.card.architecture, tuned.card.name) == ("centre", "tuned")
    same_weights(load_model(tmp_path / "run" / "tuned.safetensors"), tuned)
