"""Cards and names of models: what they hold, what they refuse, and that nothing heavy is loaded for them."""

import json
import subprocess
import sys
import types
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.models import CardError, Channel, ModelCard, get_model, list_models, register
from xinsar.models import registry as names

VELOCITY = Channel("velocity")


def card(**entries):
    return ModelCard(**{"name": "net", "version": "1", "inputs": (VELOCITY,), **entries})


texts = st.text(min_size=1, max_size=8)
numbers = st.floats(-1e6, 1e6)
channels = st.builds(
    Channel,
    texts,
    st.none() | st.integers(0, 3),
    st.sampled_from(["linear", "arcsinh", "minmax"]),
    numbers,
    numbers.filter(bool),
    numbers,
    st.booleans(),
)


@settings(deadline=None)
@given(
    st.lists(channels, min_size=1, max_size=5, unique_by=lambda c: c.label),
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0.01, 1),
)
def test_a_card_survives_its_json(inputs, windows, cores, threshold):
    made = card(
        inputs=tuple(inputs),
        window=(16 * (windows + cores), 16 * cores + 16 * windows),
        overlap=16 * windows,
        threshold=threshold,
        options={"width": 8},
        training={"seeds": [1, 2], "scores": {"f1": 0.8}},
        weights={"onnx": {"file": "net.onnx", "sha256": "ab"}},
        pixel_size=None,
    )
    assert ModelCard.from_json(made.to_json()) == made


@given(st.floats(0.05, 20), st.floats(-20, 20), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_calibrated_scores_keep_their_order(slope, offset, scores):
    made = card(calibration=(slope, offset))
    assert ModelCard.from_json(made.to_json()) == made
    told = [made.calibrated(s) for s in sorted(scores)]
    assert all(0 <= a <= b <= 1 for a, b in pairwise(told))
    assert [card().calibrated(s) for s in scores] == scores


def test_a_card_survives_its_file(tmp_path):
    made = card(licence="BSD-3-Clause", reference="é")
    made.write(tmp_path / "net.json")
    assert ModelCard.read(tmp_path / "net.json") == made


def test_the_text_is_readable():
    content = json.loads(card().to_json())
    assert content["format"] == "xinsar-model-card"
    assert content["format_version"] == 1
    assert content["inputs"][0]["name"] == "velocity"


def test_numbers_of_numpy_are_written():
    made = card(training={"f1": np.float64(0.5), "seeds": np.arange(2), "path": Path("x")})
    assert json.loads(made.to_json())["training"]["seeds"] == [0, 1]


def test_cores_halos_and_tracks():
    made = card(inputs=(Channel("velocity", 0), Channel("velocity", 1), Channel("slope")), overlap=96)
    assert made.core == (416, 416)
    assert made.halo == 48
    assert made.tracks == 2
    assert card().tracks == 1


def test_channels_know_who_makes_them():
    assert not VELOCITY.made
    for name in ("inside", "valid", "valid_gradient", "valid_velocity"):
        assert Channel(name).made
    assert Channel("velocity", 1).label == "velocity[1]"
    assert VELOCITY.label == "velocity"


def test_cards_are_values():
    assert card() == card()
    assert hash(card()) == hash(card())
    assert card(threshold=0.4) != card()
    assert card().replace(threshold=0.4) == card(threshold=0.4)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"name": ""}, "name: expected a text, got ''"),
        ({"version": 1}, "version: expected a text, got 1"),
        ({"inputs": ()}, "inputs: expected one or more, each once"),
        (
            {"inputs": (VELOCITY, VELOCITY)},
            "inputs: expected one or more, each once, got .'velocity', 'velocity'",
        ),
        ({"inputs": ("velocity",)}, "inputs: expected items of type Channel, got 'velocity'"),
        ({"inputs": "velocity"}, "inputs: expected a list"),
        ({"output": "boxes"}, "output: expected one of 'dense', 'objects', got 'boxes'"),
        ({"fields": ()}, "fields: expected one or more"),
        ({"fields": ("centre",)}, "fields: expected 'foreground' or fields 'class:<name>'"),
        ({"fields": ("class:a",), "classes": ("a", "b")}, "fields: expected a field 'class:<name>' for each"),
        ({"classes": ("a", "b")}, "classes: expected one, for fields without 'class:<name>'"),
        ({"window": (512,)}, "window: expected rows and columns"),
        ({"window": (512.0, 512)}, "window: expected items of type int"),
        ({"window": (500, 512)}, "window, overlap: expected windows and steps .* multiples of 16"),
        ({"overlap": 24}, "window, overlap: expected windows and steps"),
        ({"overlap": 63, "multiple": 1}, "overlap: expected an even number of pixels, got 63"),
        ({"overlap": 512}, "overlap: expected less than the window"),
        ({"overlap": -2}, "overlap: expected a whole number, 0 or more, got -2"),
        ({"multiple": 0}, "multiple: expected a whole number, 1 or more, got 0"),
        ({"threshold": 1.5}, "threshold: expected a number within 0..1, got 1.5"),
        ({"threshold": 0.0}, "threshold: expected a number above 0, got 0"),
        ({"threshold": float("nan")}, "threshold: expected a finite number, got nan"),
        (
            {"calibration": (0.0, 1.0)},
            r"calibration: expected a slope above 0 and an offset, got \(0\.0, 1\.0\)",
        ),
        ({"calibration": (1.0,)}, "calibration: expected a slope above 0"),
        ({"calibration": (1.0, "no")}, "calibration: expected items of type number, got 'no'"),
        ({"merge": "half"}, "merge: expected a finite number, got 'half'"),
        ({"min_pixels": 0}, "min_pixels: expected a whole number, 1 or more"),
        ({"radius": -1}, "radius: expected a whole number, 0 or more"),
        ({"coarse": True}, "coarse: expected a whole number"),
        ({"pixel_size": 0.0}, "pixel_size: expected metres above 0, got 0.0"),
        ({"score": "median"}, "score: expected one of 'mean', 'upper', 'max'"),
    ],
)
def test_what_a_card_refuses(entries, said):
    with pytest.raises(CardError, match=said):
        card(**entries)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"name": ""}, "channel name: expected a text"),
        ({"track": -1}, "channel 'v': track: expected a whole number, 0 or more"),
        ({"track": "asc"}, "channel 'v': track: expected a whole number"),
        ({"transform": "log"}, "channel 'v': transform: expected one of 'linear', 'arcsinh', 'minmax'"),
        ({"scale": 0.0}, "channel 'v': scale: expected a number other than 0"),
        ({"offset": float("inf")}, "channel 'v': offset: expected a finite number"),
        ({"fill": float("nan")}, "channel 'v': fill: expected a finite number"),
    ],
)
def test_what_a_channel_refuses(entries, said):
    with pytest.raises(CardError, match=said):
        Channel(**{"name": "v", **entries})


def changed(**entries):
    content = json.loads(card().to_json())
    content.update(entries)
    return json.dumps({k: v for k, v in content.items() if v != "gone"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "net.json: expected a model card in JSON, got text that is none"),
        ("[]", "net.json: expected a model card .*, got other JSON"),
        ('{"a": 1}', "net.json: expected a model card .*, got other JSON"),
        (changed(format_version=2), "version 2, this xinsar reads up to 1; install a newer xinsar"),
        (changed(format_version="1"), "format_version: expected a whole number, got '1'"),
        (changed(depth=3), "unknown entries depth; known are architecture, calibration, classes"),
        (changed(name="gone"), "expected the entries inputs, name, version, got no name"),
        (changed(inputs=3), "inputs: expected a list of channels, got 3"),
        (changed(inputs=[{"track": 0}]), "inputs: expected channels with entries among"),
        (changed(inputs=[{"name": "v", "size": 0}]), "inputs: expected channels with entries among"),
        (changed(window=[500, 512]), "net.json: window, overlap"),
    ],
)
def test_what_a_file_of_a_card_refuses(text, said):
    with pytest.raises(CardError, match=said):
        ModelCard.from_json(text, source="net.json")


def test_an_error_of_a_card_is_a_value_error():
    assert issubclass(CardError, ValueError)


# names


@pytest.fixture
def registered(monkeypatch):
    """Give the registry a builder of its own, in a module that exists for this test only."""
    module = types.ModuleType("made_for_this_test")
    module.build = lambda width=8: (types.SimpleNamespace(width=width), card())
    monkeypatch.setitem(sys.modules, "made_for_this_test", module)
    monkeypatch.setattr(names, "_BUILDERS", dict(names._BUILDERS))
    register("toy", "made_for_this_test:build")


def test_a_model_is_built_by_its_name(registered):
    assert "toy" in list_models()
    assert list_models() == sorted(list_models())
    model = get_model("toy", width=4)
    assert model.width == 4
    assert model.card.architecture == "toy"
    assert model.card.options == {"width": 4}


def test_an_unknown_name_lists_the_known_ones(registered):
    with pytest.raises(ValueError, match=r"name: expected a registered model, got 'nett'; known are .*'toy'"):
        get_model("nett")


def test_a_name_is_given_once(registered):
    register("toy", "made_for_this_test:build")
    with pytest.raises(ValueError, match="name: 'toy' stands for made_for_this_test:build already"):
        register("toy", "elsewhere:build")


@pytest.mark.parametrize("builder", ["made_for_this_test", ":build", "module:", 3])
def test_a_builder_names_module_and_function(registered, builder):
    with pytest.raises(ValueError, match="builder: expected 'module:function'"):
        register("other", builder)
    with pytest.raises(ValueError, match="name: expected a text"):
        register("", "a:b")


def test_a_missing_torch_is_named_with_its_remedy(registered, monkeypatch):
    from xinsar import MissingExtraError

    def gone(*_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(names.importlib, "import_module", gone)
    with pytest.raises(
        MissingExtraError, match=r"the model 'toy' needs the package 'torch'.*xinsar\[models\]"
    ):
        get_model("toy")


def test_another_missing_module_is_told_as_it_is(registered):
    register("odd", "no_such_module:build")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        get_model("odd")


def test_cards_and_names_load_nothing_heavy():
    code = (
        "import sys, xinsar.models; xinsar.models.list_models(); from xinsar.models.runtime import wrap; wrap(abs);"
        "heavy = {'torch', 'onnxruntime', 'dask', 'zarr', 'geopandas', 'rioxarray', 'numba', 'safetensors'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_is_an_attribute_error():
    import xinsar.models

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = xinsar.models.no_such_name
