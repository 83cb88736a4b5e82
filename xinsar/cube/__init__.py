"""Cubes on disk: Zarr v3 stores that any tool opens, that resume after a crash and that grow by pairs.

``save_cube`` writes, ``open_cube`` and ``open_tracks`` read. The room has five corners:
:mod:`~xinsar.cube.place` (addresses of stores, the mark that tells whole from unfinished),
:mod:`~xinsar.cube.layout` (chunks, codec, packing), :mod:`~xinsar.cube.geozarr` (CRS and half-pixel as
others read them), :mod:`~xinsar.cube.write` and :mod:`~xinsar.cube.read`.
"""

from __future__ import annotations

from xinsar.cube.layout import auto_chunks
from xinsar.cube.read import open_cube, open_tracks
from xinsar.cube.write import save_cube

__all__ = ["auto_chunks", "open_cube", "open_tracks", "save_cube"]
