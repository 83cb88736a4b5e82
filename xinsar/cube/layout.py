"""How one variable lies on disk: shards, inner chunks, codec and packing.

A *shard* is one file and one dask chunk; it holds *inner chunks*, the smallest thing that is decoded. The
numbers here were chosen by ``benchmarks/chunks.py``; its table stands in ``docs/cube_storage.md``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

SHARD_BYTES = 16 * 2**20
"""Decoded size of a shard. From 32 MiB on every chunk gets fresh pages and decoding halves."""

TILE = {"y": 512, "x": 2048}
"""Largest spatial extent of a shard; wide rows suit the kernels, and edges between columns cost stacks most."""

INNER = {"y": 128, "x": 256}
"""Largest spatial extent of an inner chunk: what reading one pixel through all pairs decodes."""

Chunks = Literal["auto"] | Mapping[Hashable, int]


class Layout(NamedTuple):
    """Sizes per dim, in order: of a shard, and of the inner chunks it is cut into."""

    shard: tuple[int, ...]
    inner: tuple[int, ...]


def auto_chunks(
    shape: Sequence[int], dims: Sequence[Hashable], itemsize: int = 4, *, chunks: Chunks = "auto"
) -> Layout:
    """Shard and inner chunk sizes of an array.

    Spatial dims (``y``, ``x``; else the last one) are cut into even tiles of at most ``TILE``; leading dims
    then fill the shard up to ``SHARD_BYTES``, the last of them first. Inner chunks divide the shard
    exactly.

    Parameters
    ----------
    shape, dims
        Of the array, in the same order.
    itemsize
        Bytes per value once decoded.
    chunks
        ``"auto"``, or sizes of the shard for some dims (-1: the whole dim), the others automatic.

    Examples
    --------
    >>> auto_chunks((300, 1500, 1500), ("pair", "y", "x"))
    Layout(shard=(5, 500, 1500), inner=(5, 125, 250))
    >>> auto_chunks((30, 60, 100), ("pair", "y", "x"))
    Layout(shard=(30, 60, 100), inner=(30, 60, 100))
    """
    wanted = {} if chunks == "auto" else _checked(chunks, dims)
    sizes: dict[Hashable, tuple[int, int]] = {}
    budget = SHARD_BYTES // itemsize
    for axis in _by_priority(dims):
        dim, size = dims[axis], max(int(shape[axis]), 1)
        sizes[dim] = _cut(dim, size, spatial=axis in _spatial(dims), budget=budget, wanted=wanted.get(dim))
        budget = max(budget // sizes[dim][0], 1)
    return Layout(tuple(sizes[d][0] for d in dims), tuple(sizes[d][1] for d in dims))


def _checked(chunks: Mapping[Hashable, int], dims: Sequence[Hashable]) -> Mapping[Hashable, int]:
    if not isinstance(chunks, Mapping):
        raise TypeError(
            f"chunks: expected 'auto' or a mapping from dim to size, got {chunks!r}; pass for example "
            "chunks={'pair': 4, 'y': 512, 'x': 2048}"
        )
    wrong = {d: n for d, n in chunks.items() if d in dims and not (n == -1 or n > 0)}
    if wrong:
        raise ValueError(f"chunks: expected positive sizes, or -1 for a whole dim, got {wrong}")
    return chunks


def _spatial(dims: Sequence[Hashable]) -> tuple[int, ...]:
    named = tuple(axis for axis, dim in enumerate(dims) if dim in TILE)
    return named or (len(dims) - 1,)


def _by_priority(dims: Sequence[Hashable]) -> list[int]:
    """Spatial axes first, then the leading ones from the last to the first."""
    spatial = _spatial(dims)
    return sorted(range(len(dims)), key=lambda axis: (axis not in spatial, -axis))


def _cut(dim: Hashable, size: int, *, spatial: bool, budget: int, wanted: int | None) -> tuple[int, int]:
    """(shard, inner) size along one dim."""
    if wanted is not None:
        # Leading dims may be asked to be longer than they are: room to grow.
        return _divide(
            size if wanted == -1 else min(wanted, size) if spatial else wanted, dim, spatial=spatial
        )
    longest = min(TILE.get(str(dim), SHARD_BYTES), budget) if spatial else budget
    tiles = math.ceil(size / max(longest, 1)) if spatial else 1
    return _divide(min(math.ceil(size / tiles), max(longest, 1)), dim, spatial=spatial)


def _divide(shard: int, dim: Hashable, *, spatial: bool) -> tuple[int, int]:
    """Round ``shard`` up to whole inner chunks of nearly even size."""
    if not spatial:
        return shard, shard
    pieces = math.ceil(shard / INNER.get(str(dim), SHARD_BYTES))
    inner = math.ceil(shard / pieces)
    return inner * pieces, inner


@dataclass(frozen=True)
class Packing:
    """Integers in place of floats: stored = round(value / scale); ``missing`` stands for NaN."""

    dtype: str
    scale: float
    missing: int
    low: float
    high: float


PACKINGS = {
    "phase": Packing("int16", math.pi / 32767, -32768, -32767, 32767),
    "coherence": Packing("uint16", 1 / 65534, 65535, 0, 65534),
    "phase_consistency": Packing("uint16", 1 / 65534, 65535, 0, 65534),
    "temporal_coherence": Packing("uint16", 1 / 65534, 65535, 0, 65534),
}
"""What ``pack=True`` packs, in steps of 9.6e-5 rad and 1.5e-5: far below the noise."""


@dataclass(frozen=True)
class Plan:
    """How one variable is stored: its shape and dims, layout, and packing if any."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: Layout
    packing: Packing | None = None

    @property
    def sharded(self) -> bool:
        """Plain chunks for maps, which older GDAL reads; shards for everything with a leading dim."""
        return len(self.shape) > 2

    def encoding(self) -> dict[str, Any]:
        """Return the xarray encoding that creates the array."""
        shard, inner = self.layout
        out: dict[str, Any] = {"chunks": inner if self.sharded else shard, "compressors": codec()}
        if self.sharded:
            out["shards"] = shard
        if self.packing is not None:
            scaled = {"scale_factor": self.packing.scale, "_FillValue": self.packing.missing}
            return out | {"dtype": self.packing.dtype, "fill_value": self.packing.missing} | scaled
        return out | _fill(self.dtype)


def _fill(dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return what stands where no chunk is, nodata to GDAL: NaN, or an extreme integer; never 0.

    Without a ``_FillValue`` attribute readers pass floats through untouched: NaN needs no masking.
    """
    if dtype.kind in "fc":
        return {"_FillValue": None, "fill_value": np.nan}
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return {"fill_value": int(limits.min if dtype.kind == "i" else limits.max)}
    return {}


def plan(name: str, variable: xr.Variable, *, chunks: Chunks, pack: bool) -> Plan:
    """Decide how ``variable`` is stored."""
    if chunks == "auto" and "point" in variable.dims and variable.chunks is not None:
        chunks = {dim: sizes[0] if dim == "point" else -1 for dim, sizes in variable.chunksizes.items()}
    layout = auto_chunks(variable.shape, variable.dims, variable.dtype.itemsize, chunks=chunks)
    packing = PACKINGS.get(name) if pack and variable.dtype.kind == "f" else None
    return Plan(tuple(map(str, variable.dims)), variable.shape, variable.dtype, layout, packing)


def codec() -> tuple[Any, ...]:
    """LZ4 after a byte shuffle: the fastest to decode of the lossless codecs measured."""
    from zarr.codecs import BloscCodec

    return (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),)


def pack_block(values: np.ndarray[Any, Any], packing: Packing, *, name: str) -> np.ndarray[Any, Any]:
    """Return ``values`` as stored integers; NaN becomes the missing value.

    Raises
    ------
    ValueError
        Where a value lies outside what the integers hold.
    """
    scaled = np.rint(values.astype(np.float64) / packing.scale)
    with np.errstate(invalid="ignore"):
        outside = (scaled < packing.low) | (scaled > packing.high)
    if outside.any():
        raise ValueError(
            f"{name}: expected values within {packing.low * packing.scale:.6g} .. "
            f"{packing.high * packing.scale:.6g} "
            f"to pack, got {values[outside][0]!r}; correct the values or save with pack=False"
        )
    return np.where(np.isnan(scaled), packing.missing, scaled).astype(packing.dtype)


def unpack_block(stored: np.ndarray[Any, Any], packing: Packing) -> np.ndarray[Any, Any]:
    """Return stored integers as float32; the missing value becomes NaN."""
    values = stored.astype(np.float32)
    values *= np.float32(packing.scale)
    values[stored == packing.missing] = np.nan
    return values
