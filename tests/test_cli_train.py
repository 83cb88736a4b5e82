"""``xinsar train``: a recipe becomes a model on file that ``xinsar detect`` takes; one line for what cannot be."""

import json
import sys

import pytest

from xinsar import cli

RECIPE = """\
out = "run"

[model]
name = "centre"
options = {{ widths = [4, 4, 4, 4] }}
card = {{ name = "tiny", window = [64, 64], overlap = 32 }}

[data]
folder = "samples"
scenes = 6
seed = 0
val_scenes = 2
val_seed = 100
shape = [64, 64]

[training]
crop = [64, 64]
batch = 2
steps = {steps}
every = 2
rate = {rate}
"""


def status(*words):
    return cli.main([str(word) for word in words])


def write(folder, *, steps=4, rate=0.01, text=RECIPE):
    (folder / "recipe.toml").write_text(text.format(steps=steps, rate=rate))
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the command ran once, on samples that lay ready."""
    pytest.importorskip("torch")
    for library in ("lightning", "onnx", "onnxscript", "safetensors"):
        pytest.importorskip(library)
    from tests.training_tools import ready
    from xinsar.training import read_recipe

    folder = tmp_path_factory.mktemp("train")
    ready(read_recipe(write(folder)))
    assert status("train", folder / "recipe.toml") == 0
    return folder


def test_a_recipe_becomes_a_model(trained):
    names = {path.name for path in (trained / "run").iterdir()}
    assert names >= {"tiny.onnx", "tiny.safetensors", "tiny.json", "curve.png"}
    card = json.loads((trained / "run" / "tiny.json").read_text())
    assert card["training"]["recipe"]["training"]["steps"] == 4


def test_detect_takes_it(trained, tmp_path, capsys):
    import numpy as np

    import xinsar
    from tests.detection_tools import make_map

    xinsar.save_cube(make_map(np.zeros((70, 40))), tmp_path / "cube.zarr", progress=False)
    words = ("detect", tmp_path / "cube.zarr", tmp_path / "found.gpkg", "--quiet")
    assert status(*words, "--model", trained / "run" / "tiny.onnx") == 0
    assert "(tiny 0, threshold" in capsys.readouterr().out


def test_the_second_time_it_goes_on_and_fresh_begins_anew(trained, monkeypatch, capsys):
    """What ended is not begun again; another recipe is refused until --fresh. (No files are written here.)"""
    monkeypatch.setattr(sys.modules["xinsar.training.fit"], "_save", lambda *_: None)
    assert status("train", trained / "recipe.toml") == 0
    assert "step" not in capsys.readouterr().out
    write(trained, rate=0.02)
    assert status("train", trained / "recipe.toml") == 1
    said = capsys.readouterr().err
    assert "training.rate was 0.01, now it is 0.02" in said
    assert "xinsar train --fresh" in said
    assert said.count("\n") == 1
    assert status("train", trained / "recipe.toml", "--fresh") == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["step 2", "step 4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[training", "expected TOML, got text that is none"),
        ("[training]\nsteps = 'many'\n", "training.steps: expected a int, got 'many'"),
        ("[model]\nname = 'resnet'\n", "model.name: expected one of centre,"),
        ("[data]\ncubes = ['a.zarr']\n", "data.outlines: expected one vector file for each"),
    ],
)
def test_recipes_that_cannot_be(tmp_path, capsys, text, said):
    assert status("train", write(tmp_path, text=text)) == 1
    error = capsys.readouterr().err
    assert error.startswith("xinsar: error: ")
    assert said in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_a_recipe_that_is_not_there(tmp_path, capsys):
    assert status("train", tmp_path / "none.toml") == 1
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("library", ["torch", "lightning"])
def test_a_missing_library_is_named_with_the_command(tmp_path, capsys, monkeypatch, library):
    for name in [name for name in sys.modules if name.split(".")[0] == "lightning"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    assert status("train", write(tmp_path)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'xinsar[train]'" in error
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


@pytest.mark.parametrize("words", [["train"], ["train", "a.toml", "b.toml"], ["train", "a.toml", "--resume"]])
def test_misspelled_commands_leave_with_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "usage: xinsar" in capsys.readouterr().err


def test_help_tells_of_the_recipe(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "CONFIG.toml" in text
    assert "--fresh" in text
