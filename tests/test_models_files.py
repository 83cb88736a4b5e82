"""Models as files and runtimes: what is written comes back, and what is damaged or foreign is refused."""

import json
import pickle
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tests.detection_tools import net_card, write_net
from xinsar.models import CardError, Channel, ModelCard, load_model, register, save_model, wrap
from xinsar.models import registry as names
from xinsar.models import runtime as runtimes

BATCH = np.random.default_rng(0).normal(size=(5, 3, 128, 128)).astype(np.float32)


@pytest.fixture
def net(tmp_path):
    """Return the path of an ONNX net with its card beside it."""
    path = write_net(tmp_path / "net.onnx")
    net_card().write(tmp_path / "net.json")
    return path


def test_an_onnx_model_is_opened_with_its_card(net):
    model = load_model(net)
    assert model.card == net_card()
    found = model(BATCH)
    assert found.shape == (5, 3, 128, 128)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("place", ["net.json", "."])
def test_a_card_or_a_folder_stands_for_its_weights(net, place):
    assert load_model(net.parent / place).source == str(net)


def test_no_window_changes_another(net):
    model = load_model(net)
    whole = model(BATCH)
    for size in (1, 2, 3, 4):
        np.testing.assert_array_equal(model(BATCH[:size]), whole[:size])
    np.testing.assert_array_equal(model(BATCH[::-1]), whole[::-1])


def test_threads_of_onnxruntime_would_change_nothing_either(net):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(net), options, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"channels": BATCH})[0], load_model(net)(BATCH))


def test_a_runtime_travels_without_its_session(net, monkeypatch):
    model = load_model(net)
    wanted = model(BATCH[:1])
    packed = pickle.dumps(model)
    assert len(packed) < 20_000
    monkeypatch.setattr(runtimes, "_SESSIONS", {})
    np.testing.assert_array_equal(pickle.loads(packed)(BATCH[:1]), wanted)


def test_a_process_opens_a_model_once(net, monkeypatch):
    import onnxruntime

    opened = []
    real = onnxruntime.InferenceSession

    def counted(*args, **kwargs):
        opened.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(runtimes, "_SESSIONS", {})
    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    for _ in range(3):
        load_model(net)(BATCH[:1])
    assert len(opened) == 1


def test_a_copy_is_the_same_model_with_the_digest_on_its_card(net, tmp_path):
    file = save_model(load_model(net), tmp_path / "copies" / "again.onnx")
    again = load_model(file)
    assert file.read_bytes() == net.read_bytes()
    assert again.card.weights["onnx"] == {"file": "again.onnx", "sha256": again.digest}
    assert again.card.replace(weights={}) == net_card()
    assert sorted(p.name for p in file.parent.iterdir()) == ["again.json", "again.onnx"]


def test_a_suffix_is_added(net, tmp_path):
    assert save_model(load_model(net), tmp_path / "plain").name == "plain.onnx"


def test_an_altered_or_truncated_file_is_refused(net, tmp_path):
    file = save_model(load_model(net), tmp_path / "copy.onnx")
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(
        ValueError, match=r"copy.onnx: the file is truncated, altered, or of another model: its SHA-256"
    ):
        load_model(file)


def test_a_truncated_file_without_a_digest_is_refused(net):
    net.write_bytes(net.read_bytes()[:-700])
    with pytest.raises(ValueError, match=r"net.onnx: expected a whole ONNX model, got \d+ bytes"):
        load_model(net)


def test_weights_of_another_network_are_refused(net):
    net_card(inputs=(Channel("velocity"),)).write(net.with_suffix(".json"))
    with pytest.raises(
        ValueError, match=r"expected a network for 1 float channels .* the weights are of another"
    ):
        load_model(net)
    net_card(fields=("foreground",)).write(net.with_suffix(".json"))
    with pytest.raises(ValueError, match=r"with 1 fields, as its card says, got fields .*of another network"):
        load_model(net)


def test_a_dense_net_is_no_model_of_objects(net):
    net_card(output="objects").write(net.with_suffix(".json"))
    with pytest.raises(
        ValueError, match="expected outputs boxes, scores and labels, got no boxes, labels, scores"
    ):
        load_model(net)


def test_a_newer_card_is_refused(net):
    content = json.loads(net.with_suffix(".json").read_text())
    net.with_suffix(".json").write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(CardError, match="version 99, this xinsar reads up to 1"):
        load_model(net)


def test_files_that_are_not_there(net, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_model(tmp_path / "other.onnx")
    net.with_suffix(".json").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"expected the model's card net.json beside .* xinsar.models.wrap"
    ):
        load_model(net)
    with pytest.raises(FileNotFoundError, match=r"expected a folder with one card \(.json\), got 0"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match=r"path: expected name.onnx, name.safetensors"):
        load_model(tmp_path / "net.pt")
    net_card().write(tmp_path / "bare.json")
    with pytest.raises(FileNotFoundError, match=r"expected weights \(.onnx or .safetensors\) beside"):
        load_model(tmp_path / "bare.json")


def test_a_file_that_vanishes_or_changes_while_it_is_used(net, monkeypatch):
    model = load_model(net)
    monkeypatch.setattr(runtimes, "_SESSIONS", {})
    content = net.read_bytes()
    net.write_bytes(content + b"0")
    with pytest.raises(ValueError, match="the file is not the one that was opened at first"):
        model(BATCH)
    net.unlink()
    with pytest.raises(FileNotFoundError, match="workers on other machines need it at the same path"):
        model(BATCH)


def test_what_cannot_be_saved(net, tmp_path):
    with pytest.raises(TypeError, match="model: expected a torch module with a ModelCard"):
        save_model(wrap(np.abs), tmp_path / "x.onnx")
    with pytest.raises(ValueError, match=r"expected a name that ends in .onnx, for a model in ONNX"):
        save_model(load_model(net), tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"expected a name that ends in .safetensors or .onnx"):
        save_model(load_model(net), tmp_path / "x.pt")


# callables


def test_a_callable_gets_a_card():
    model = wrap(np.abs, inputs=["velocity", Channel("slope", scale=45.0)], threshold=0.3)
    assert [c.name for c in model.card.inputs] == ["velocity", "slope"]
    assert not model.card.inputs[0].optional
    assert model.card.inputs[1].optional
    assert model.card.name == "absolute"
    assert model.card.threshold == 0.3
    assert model.card.pixel_size is None
    assert runtimes.runtime_of(model) is model


def test_an_onnx_file_without_a_card_gets_one(tmp_path):
    path = write_net(tmp_path / "bare.onnx", channels=1, fields=1)
    model = wrap(path, window=(128, 128), overlap=32)
    assert model.card.name == "bare"
    assert model(BATCH[:2, :1]).shape == (2, 1, 128, 128)


def test_what_wrap_refuses():
    with pytest.raises(TypeError, match="model: expected a callable or the path of an ONNX file, got int"):
        wrap(3)
    with pytest.raises(CardError, match="threshold"):
        wrap(abs, threshold=2.0)


def test_runtime_of_other_things():
    with pytest.raises(
        TypeError, match="model: expected a name, a path of weights, a torch module or a callable"
    ):
        runtimes.runtime_of(3)
    assert runtimes.runtime_of(np.abs).card.inputs[0].name == "velocity"


def test_unknown_names_and_names_without_weights(monkeypatch):
    monkeypatch.setattr(names, "_BUILDERS", {"toy": "a:b"})
    with pytest.raises(ValueError, match="or a name among 'toy', got 'defualt'"):
        runtimes.runtime_of("defualt")
    with pytest.raises(ValueError, match="'toy' is an architecture without weights in this installation"):
        runtimes.runtime_of("toy")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        runtimes.runtime_of("folder/of/net.onnx")


def package_of(folder, monkeypatch):
    """Let ``folder`` stand for the package's own folder of models."""
    monkeypatch.setattr(runtimes, "resources", types.SimpleNamespace(files=lambda _: folder))
    return folder / "weights"


def test_there_are_no_default_weights_yet_says_so(tmp_path, monkeypatch):
    package_of(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="there are no default weights in this installation"):
        runtimes.runtime_of("default")


def test_weights_in_the_package_are_found_by_name(tmp_path, monkeypatch):
    weights = package_of(tmp_path, monkeypatch)
    weights.mkdir()
    write_net(weights / "default.onnx")
    net_card().write(weights / "default.json")
    model = runtimes.runtime_of("default")
    assert model.source == "package:default.onnx"
    np.testing.assert_array_equal(model(BATCH[:1]), load_model(weights)(BATCH[:1]))


def test_objects_in_onnx_come_window_by_window(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    fixed = {
        "boxes": np.array([[1, 2, 5, 6]], np.float32),
        "scores": np.array([0.5], np.float32),
        "labels": np.array([0], np.int64),
    }
    kinds = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT, "labels": TensorProto.INT64}
    nodes = [
        helper.make_node("Constant", [], [k], value=numpy_helper.from_array(v)) for k, v in fixed.items()
    ]
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, 1, 64, 64])],
        [helper.make_tensor_value_info(k, kinds[k], list(v.shape)) for k, v in fixed.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "boxes.onnx"
    onnx.save(model, path)
    found = wrap(path, output="objects", window=(64, 64), overlap=32)(BATCH[:2, :1, :64, :64])
    assert len(found) == 2
    assert found[0]["boxes"].tolist() == [[1, 2, 5, 6]]


# torch


@pytest.fixture
def toy(monkeypatch):
    """Register a network of two layers, and return it."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")

    class Toy(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first = torch.nn.Conv2d(3, width, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(width)
            self.last = torch.nn.Conv2d(width, 3, 1)

        def forward(self, maps):
            return self.last(self.norm(self.first(maps)))

    module = types.ModuleType("toy_for_this_test")
    module.build = lambda width=4: (Toy(width), net_card())
    monkeypatch.setitem(sys.modules, "toy_for_this_test", module)
    monkeypatch.setattr(names, "_BUILDERS", {})
    register("toy", "toy_for_this_test:build")
    torch.manual_seed(0)
    return names.get_model("toy", width=6)


def test_weights_of_a_torch_module_come_back(toy, tmp_path):
    import torch

    file = save_model(toy, tmp_path / "toy")
    assert file.name == "toy.safetensors"
    again = load_model(file)
    assert not again.training
    assert again.card.architecture == "toy"
    assert again.card.options == {"width": 6}
    assert again.card.weights["safetensors"]["file"] == "toy.safetensors"
    for name, value in toy.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_truncated_weights_are_refused(toy, tmp_path):
    file = save_model(toy, tmp_path / "toy.safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"toy.safetensors: the file is truncated, altered"):
        load_model(file)
    card = ModelCard.read(file.with_suffix(".json"))
    card.replace(weights={}).write(file.with_suffix(".json"))
    with pytest.raises(ValueError, match="expected whole weights in safetensors, got"):
        load_model(file)


def test_weights_that_do_not_fit_the_architecture_are_refused(toy, tmp_path):
    file = save_model(toy, tmp_path / "toy.safetensors")
    card = ModelCard.read(file.with_suffix(".json"))
    card.replace(options={"width": 5}).write(file.with_suffix(".json"))
    with pytest.raises(
        ValueError, match=r"first.bias \(6,\) for \(5,\)\); the weights are of another network"
    ):
        load_model(file)
    import safetensors.numpy

    safetensors.numpy.save_file({"other": np.zeros(3, np.float32)}, file)
    card.replace(weights={}).write(file.with_suffix(".json"))
    with pytest.raises(ValueError, match=r"got 1 \(no first.bias; other, which the network has not\)"):
        load_model(file)


def test_a_card_without_an_architecture_cannot_be_built(toy, tmp_path):
    toy.card = net_card()
    with pytest.raises(CardError, match="the card names no architecture to build"):
        load_model(save_model(toy, tmp_path / "toy.safetensors"))


def test_a_module_without_a_card_is_refused(toy, tmp_path):
    del toy.card
    with pytest.raises(TypeError, match=r"set module.card"):
        save_model(toy, tmp_path / "toy.safetensors")
    with pytest.raises(TypeError, match=r"set module.card"):
        runtimes.runtime_of(toy)


def test_a_missing_safetensors_is_named_with_its_remedy(toy, tmp_path, monkeypatch):
    from xinsar import MissingExtraError

    file = save_model(toy, tmp_path / "toy.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MissingExtraError, match=r"reading weights in safetensors needs .*xinsar\[models\]"):
        load_model(file)


def test_both_kinds_of_weights_lie_under_one_card(toy, tmp_path):
    """Weights in ONNX are taken where both are there: they need no torch."""
    save_model(toy, tmp_path / "toy.safetensors")
    write_net(tmp_path / "other.onnx")
    toy.card.write(tmp_path / "other.json")
    save_model(load_model(tmp_path / "other.onnx"), tmp_path / "toy.onnx")
    card = ModelCard.read(tmp_path / "toy.json")
    assert set(card.weights) == {"onnx", "safetensors"}
    assert load_model(tmp_path / "toy.json").source == str(tmp_path / "toy.onnx")


def test_opening_onnx_needs_no_torch(net):
    code = (
        f"import sys; from xinsar.models import load_model; load_model({str(net)!r});"
        "print(sorted({'torch', 'dask', 'zarr', 'geopandas', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_paths_may_be_text_or_path(net):
    assert load_model(str(net)).digest == load_model(Path(net)).digest
