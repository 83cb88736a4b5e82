"""Anybody's InSAR products as canonical cubes: one file per product, one assembler for all of them.

A reader recognises its files and describes them as layers (:mod:`xinsar.readers.layers`); what follows is
common to all: the group that opens, alignment, missing values, signs, dates, and one lazy task per tile.
"""

from __future__ import annotations

from xinsar.readers.arrays import stack_from_arrays
from xinsar.readers.description import describe
from xinsar.readers.gacos import open_gacos
from xinsar.readers.opening import open_stack
from xinsar.readers.points import open_points

__all__ = ["describe", "open_gacos", "open_points", "open_stack", "stack_from_arrays"]
