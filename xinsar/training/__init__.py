"""Training: samples from simulated scenes or from cubes with outlines, sign-correct changes, Lightning.

:func:`fit` trains a network by a recipe (a TOML file) and saves it with its card; torch and Lightning load on first
use.
"""

from __future__ import annotations

from xinsar.training.config import Recipe, read_recipe, recipe_of
from xinsar.training.fit import fit

__all__ = ["Recipe", "fit", "read_recipe", "recipe_of"]
