"""Recipes: read, completed, refused."""

from __future__ import annotations

import pytest

from xinsar.training import read_recipe, recipe_of


def test_an_empty_recipe_is_complete():
    recipe = recipe_of({})
    assert recipe.model.name == "centre"
    assert recipe.training.batch == 16


def test_paths_count_from_the_file(tmp_path):
    (tmp_path / "r.toml").write_text('out = "run"\n[data]\nfolder = "s"\nscenes = 10\n[training]\nrate = 1\n')
    recipe = read_recipe(tmp_path / "r.toml")
    assert recipe.out == str(tmp_path / "run")
    assert recipe.data.folder == str(tmp_path / "s")
    assert recipe.training.rate == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"modle": {}}, "the recipe: unknown entries modle; known are out, model, data, training"),
        ({"model": {"name": "resnet"}}, "model.name: expected one of centre, .*got 'resnet'"),
        ({"training": {"batch": "8"}}, "training.batch: expected a int, got '8'"),
        ({"training": {"batch": True}}, "training.batch: expected a int, got True"),
        ({"training": {"steps": 0}}, "training.steps: expected 1 or more, got 0"),
        ({"training": {"crop": [1.5, 2]}}, r"training.crop: expected a list like \[128, 128\]"),
        ({"training": 3}, r"\[training\]: expected a table of entries, got 3"),
        ({"model": {"options": 3}}, "model.options: expected a table of entries"),
        ({"data": {"scenes": 0}}, "data.scenes: expected 1 or more, got 0"),
        (
            {"data": {"seed": 5, "scenes": 10, "val_seed": 8}},
            "data.val_seed: expected seeds that no training scene",
        ),
        (
            {"data": {"cubes": ["a.zarr"]}},
            "data.outlines: expected one vector file for each of 1 cubes, got 0",
        ),
        ({"data": {"cubes": ["a"], "outlines": ["b"]}}, "data.val_cubes: expected cubes for training and"),
        ({"out": ""}, "out: expected a text, got ''"),
    ],
)
def test_recipes_that_cannot_be(content, words):
    with pytest.raises(ValueError, match=words):
        recipe_of(content)


def test_what_is_no_toml(tmp_path):
    (tmp_path / "r.toml").write_text("out = [")
    with pytest.raises(ValueError, match="expected TOML, got text that is none"):
        read_recipe(tmp_path / "r.toml")
    with pytest.raises(FileNotFoundError):
        read_recipe(tmp_path / "absent.toml")
