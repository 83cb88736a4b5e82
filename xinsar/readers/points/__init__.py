"""Files of points (persistent and distributed scatterers) as one dataset on ``point``.

A file, whatever it is written in, is a table (:mod:`xinsar.readers.points.tables`); a product says what its columns
mean (:mod:`xinsar.readers.points.layout`). Joining files, units, signs, and reading at once or block by block are
common to all.
"""

from __future__ import annotations

from xinsar.readers.points.description import describe_points
from xinsar.readers.points.opening import open_points

__all__ = ["describe_points", "open_points"]
