"""Recipes: read, completed, refused."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

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
        ({"training": {"logger": "paper"}}, "training.logger: expected one of csv, tensorboard, got 'paper'"),
        (
            {"training": {"precision": "64"}},
            "training.precision: expected one of 32-true, bf16-mixed, 16-mixed",
        ),
        ({"training": {"minutes": -1}}, "training.minutes: expected 0 or more, got -1"),
        ({"training": {"threads": -1}}, "training.threads: expected 0 or more, got -1"),
        ({"training": {"margin": -1}}, "training.margin: expected 0 or more, got -1"),
        (
            {"training": {"margin": 64, "crop": [128, 64]}},
            r"training.margin: expected less than the sides of a crop \[128, 64\], got 64",
        ),
        ({"training": {"rate": 0.0}}, "training.rate: expected a number above 0, got 0.0"),
        ({"training": {"average": 1.0}}, "training.average: expected a number from 0 to below 1, got 1.0"),
        ({"training": {"crop": [64]}}, r"training.crop: expected rows and columns, got \[64\]"),
        ({"data": {"shape": [64, 0]}}, r"data.shape: expected rows and columns, got \[64, 0\]"),
        ({"data": {"tiers": []}}, "data.tiers: expected one or more, got none"),
        ({"data": {"cubes": [1]}}, r"data.cubes: expected a list of texts, got \[1\]"),
    ],
)
def test_recipes_that_cannot_be(content, words):
    with pytest.raises(ValueError, match=words):
        recipe_of(content)


def test_what_is_no_toml(tmp_path):
    (tmp_path / "r.toml").write_text("out = [")
    with pytest.raises(ValueError, match="expected TOML, got text that is none"):
        read_recipe(tmp_path / "r.toml")
    with pytest.raises(FileNotFoundError, match="recipe: there is no file"):
        read_recipe(tmp_path / "absent.toml")


def test_addresses_do_not_count_from_the_file(tmp_path):
    text = 'cubes = ["s3://b/a.zarr"]\noutlines = ["a.gpkg"]\nval_cubes = ["v.zarr"]\nval_outlines = ["v.gpkg"]\n'
    (tmp_path / "r.toml").write_text(f"[data]\n{text}")
    data = read_recipe(tmp_path / "r.toml").data
    assert data.cubes == ("s3://b/a.zarr",)
    assert data.outlines == (str(tmp_path / "a.gpkg"),)


def test_the_recipe_in_the_documentation_is_whole(tmp_path):
    """Every entry stands there, and those of data and training with their defaults."""
    page = Path(__file__).resolve().parents[1] / "docs" / "training.md"
    if not page.is_file():
        pytest.skip("needs a checkout, not only the wheel")
    text = re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)[1]
    (tmp_path / "r.toml").write_text(text)
    told, plain = read_recipe(tmp_path / "r.toml"), recipe_of({})
    assert told.training == plain.training
    assert told.data == replace(plain.data, folder=str(tmp_path / "samples"))
    written = tomllib.loads(text)
    assert set(written["training"]) == {f.name for f in fields(plain.training)}
    assert set(written["model"]) == {f.name for f in fields(plain.model)}
