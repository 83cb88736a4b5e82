"""Opening cubes: lazy, one dask chunk per shard, decoded in dask's own threads where the store is local."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import xarray as xr

from xinsar.cube import geozarr
from xinsar.cube.layout import Packing, unpack_block
from xinsar.cube.place import (
    JOURNAL,
    MARK,
    Place,
    arrays_of,
    ignoring_debris,
    is_local,
    locate,
    quiet_threads,
    require_cube,
)
from xinsar.cube.prepare import CHARACTERS, LABELS, is_large, unlabel, unspell

Chunks = Literal["auto"] | Mapping[Hashable, int] | None

_EMPTY = np.uint64(2**64 - 1)


def open_cube(
    store: Any,
    *,
    chunks: Chunks = "auto",
    track: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open one track of a cube, lazily.

    Parameters
    ----------
    store
        Path, fsspec address (``s3://bucket/cube.zarr``, ``memory://cube.zarr``) or zarr store object (an
        obstore as ``zarr.storage.ObjectStore(store)``).
    chunks
        ``"auto"``: dask chunks are the shards of the store. A mapping from dim to size: other dask chunks,
        the dims it leaves out as shards. None: no dask, values are read when touched.
    track
        Name of the track where the store holds several.
    storage_options
        For fsspec addresses.

    Returns
    -------
    xarray.Dataset
        As it was given to :func:`save_cube`; NaN is missing.

    Raises
    ------
    FileNotFoundError
        Nothing lies there.
    ValueError
        The store is unfinished, is not a cube, or holds several tracks and ``track`` names none.
    KeyError
        No track of this name.
    """
    place = locate(store, storage_options)
    root = require_cube(place)
    paths = _track_paths(root, place)
    return opened(place, _choose(paths, track, place), chunks)


def open_tracks(
    store: Any, *, chunks: Chunks = "auto", storage_options: Mapping[str, Any] | None = None
) -> xr.DataTree:
    """Open all tracks of a cube, lazily: a tree with one node per track.

    A cube of one unnamed track gives one node, named by the ``track`` attribute, else ``"track"``.
    Parameters and errors as :func:`open_cube`.
    """
    place = locate(store, storage_options)
    root = require_cube(place)
    tracks = {path: opened(place, path, chunks) for path in _track_paths(root, place)}
    return xr.DataTree.from_dict({path or _node_name(ds): ds for path, ds in tracks.items()})


def _node_name(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("track", "track")).replace("/", "-").strip() or "track"


def _track_paths(root: Any, place: Place) -> list[str]:
    """Groups that hold a track; the root itself is ``""``."""
    if MARK in root.attrs:
        return list(root.attrs[MARK]["tracks"])
    paths = [p for p, g in (("", root), *root.groups()) if p != JOURNAL and _has_grid(g)]
    if not paths:
        raise ValueError(
            f"store: {place.name} is a Zarr store but not a cube: it has no variable on (y, x) or "
            "(point); it holds "
            f"{', '.join(sorted(root.keys())) or 'nothing'}"
        )
    return paths


def _has_grid(group: Any) -> bool:
    dims = [set(array.metadata.dimension_names or ()) for array in arrays_of(group).values()]
    return any({"y", "x"} <= d or "point" in d for d in dims)


def _choose(paths: list[str], track: str | None, place: Place) -> str:
    named = ", ".join(map(repr, paths))
    if track is not None:
        if track in paths:
            return track
        raise KeyError(
            f"track: {place.name} has no track {track!r}; it has {named if paths != [''] else 'one, unnamed'}"
        )
    if len(paths) == 1:
        return paths[0]
    raise ValueError(
        f"track: {place.name} holds {len(paths)} tracks: {named}; name one with track=, or open all with "
        "xinsar.open_tracks"
    )


def opened(place: Place, path: str, chunks: Chunks = "auto") -> xr.Dataset:
    """Return one track as it stands, whatever the mark says."""
    import zarr

    quiet_threads()
    root: Any = zarr.open_group(place.store, mode="r", zarr_format=3)
    ds = _decoded(place, path)
    arrays = arrays_of(root[path] if path else root)
    for name in list(ds.variables):
        variable, array = ds.variables[name], arrays[str(name)]
        if LABELS in variable.attrs:
            ds = ds.assign({name: unlabel(variable)})
        elif chunks is not None and name not in ds.indexes and is_large(variable):
            ds = ds.assign({name: _lazy(variable, array, chunks, place)})
        if CHARACTERS in variable.attrs:
            ds = ds.assign({name: unspell(ds.variables[name])})
    ds.attrs = {key: value for key, value in geozarr.without(ds.attrs).items() if key != MARK}
    return _clean(_ordered(ds, path, root))


def _ordered(ds: xr.Dataset, path: str, root: Any) -> xr.Dataset:
    """Return the data variables in the order they were saved in, not the one they happen to be listed in."""
    saved = root.attrs.get(MARK, {}).get("tracks", {}).get(path, [])
    names = sorted(ds.data_vars, key=lambda name: saved.index(name) if name in saved else len(saved))
    return ds.drop_vars(names).assign({name: ds.variables[name] for name in names})


def _decoded(place: Place, path: str) -> xr.Dataset:
    """Return the track as xarray decodes it, without dask and without guessing time spans from units."""
    with ignoring_debris():
        decoded: xr.Dataset = xr.open_zarr(
            place.store,
            group=path or None,
            zarr_format=3,
            consolidated=False,
            chunks=None,
            decode_timedelta=xr.coders.CFTimedeltaCoder(decode_via_units=False),
        )
        return decoded


def _clean(ds: xr.Dataset) -> xr.Dataset:
    """Forget how variables were encoded, except for the grid mapping, where rioxarray looks for it."""
    for variable in ds.variables.values():
        mapping = variable.attrs.pop("grid_mapping", None) or variable.encoding.get("grid_mapping")
        variable.encoding = {"grid_mapping": mapping} if mapping else {}
    return ds


def _lazy(
    variable: xr.Variable, array: Any, chunks: Mapping[Hashable, int] | Literal["auto"], place: Place
) -> Any:
    """``variable`` over dask chunks that are the shards of ``array``."""
    import dask.array as da

    stored = array.shards or array.chunks
    wanted = {} if chunks == "auto" else chunks
    sizes = tuple(wanted.get(dim, size) for dim, size in zip(variable.dims, stored, strict=True))
    reader = StoredArray(array, variable, place.name)
    name = f"cube-{array.basename}-{uuid.uuid4().hex}"
    data = da.from_array(
        reader, chunks=sizes, name=name, asarray=False, meta=np.empty((0,) * array.ndim, reader.dtype)
    )
    return xr.Variable(variable.dims, data, variable.attrs, variable.encoding)


class StoredArray:
    """A variable on disk as dask reads it: whole shards the short way, parts through zarr.

    The short way decodes the inner chunks of a local shard straight into the result, in the calling thread.
    zarr's own way copies every value twice more, hands each inner chunk between threads and passes all
    copies through one.
    """

    def __init__(self, array: Any, variable: xr.Variable, place: str) -> None:
        self.array = array
        self.place = place
        self.shape: tuple[int, ...] = array.shape
        self.ndim = len(self.shape)
        self.packing = _packing(variable)
        self.dtype = np.dtype(np.float32) if self.packing else variable.dtype

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        stored = self._stored(key)
        if self.packing is not None:
            return unpack_block(stored, self.packing)
        return stored.astype(self.dtype, copy=False)

    def _stored(self, key: Any) -> np.ndarray[Any, Any]:
        try:
            index = self._whole_shard(key)
            fast = None if index is None else self.reader.read(index)
            return np.asarray(self.array[key] if fast is None else fast)
        except (OSError, ValueError, RuntimeError, EOFError) as error:
            raise ValueError(
                f"store: {self.place}: {self.array.basename!r} cannot be read at {key} "
                f"({type(error).__name__}: {error}); a shard is truncated or damaged: restore it or "
                "build the cube again"
            ) from error

    @cached_property
    def reader(self) -> ShardReader:
        """The short way into this array."""
        return ShardReader(self.array)

    def _whole_shard(self, key: Any) -> tuple[int, ...] | None:
        """Index of the shard that ``key`` covers exactly, or None."""
        if not self.reader.able or not isinstance(key, tuple) or len(key) != self.ndim:
            return None
        index = []
        for part, shard, size in zip(key, self.reader.shard, self.shape, strict=True):
            if not isinstance(part, slice) or part.step not in (None, 1):
                return None
            start, stop, _ = part.indices(size)
            if start % shard or stop != min(start + shard, size) or stop <= start:
                return None
            index.append(start // shard)
        return tuple(index)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "reader"}


def _packing(variable: xr.Variable) -> Packing | None:
    """The packing of a variable as its encoding describes it."""
    encoding = variable.encoding
    if not {"scale_factor", "_FillValue"} <= set(encoding) or encoding.get("add_offset"):
        return None
    return Packing(str(encoding["dtype"]), float(encoding["scale_factor"]), int(encoding["_FillValue"]), 0, 0)


class ShardReader:
    """Decodes whole shards of a local array; ``able`` says whether it knows the array's codecs."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shard: tuple[int, ...] = array.shards or array.chunks
        self.inner: tuple[int, ...] = array.chunks
        self.grid = tuple(s // c for s, c in zip(self.shard, self.inner, strict=True))
        self.able = is_local(array.store) and self._known_codecs()

    def _known_codecs(self) -> bool:
        codecs = [c.to_dict() for c in self.array.metadata.codecs]
        if self.array.shards:
            outer = codecs[0].get("configuration", {})
            plain_index = [c["name"] for c in outer.get("index_codecs", ())] == ["bytes", "crc32c"]
            if len(codecs) != 1 or outer.get("index_location", "end") != "end" or not plain_index:
                return False
            codecs = list(outer["codecs"])
        little = codecs[0].get("configuration", {}).get("endian", "little") == "little"
        return [c["name"] for c in codecs] == ["bytes", "blosc"] and little

    def read(self, index: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
        """Values of one shard, cut to the array's shape; None where no such file is."""
        path = self.array.store.root / self.array.path / self.array.metadata.encode_chunk_key(index)
        try:
            raw = memoryview(path.read_bytes())
        except FileNotFoundError:
            return None
        out = np.empty(self._extent(index), self.array.dtype)
        if not self.array.shards:
            return self._decode_into(out, (slice(None),) * out.ndim, raw)
        for where, (offset, size) in self._chunks(raw):
            piece = tuple(slice(i * c, (i + 1) * c) for i, c in zip(where, self.inner, strict=True))
            if any(p.start >= n for p, n in zip(piece, out.shape, strict=True)):
                continue
            if offset == _EMPTY:
                out[piece] = self.array.fill_value
            else:
                self._decode_into(out, piece, raw[int(offset) : int(offset) + int(size)])
        return out

    def _extent(self, index: tuple[int, ...]) -> tuple[int, ...]:
        each = zip(index, self.shard, self.array.shape, strict=True)
        return tuple(min((i + 1) * s, n) - i * s for i, s, n in each)

    def _chunks(self, raw: memoryview) -> Any:
        """(place in the shard, (offset, size)) of every inner chunk, from the index at the shard's end."""
        from google_crc32c import value as crc32c

        length = 16 * int(np.prod(self.grid))
        index, checksum = bytes(raw[-(length + 4) : -4]), int.from_bytes(raw[-4:], "little")
        if len(index) != length or crc32c(index) != checksum:
            raise ValueError("the index at the end of the shard does not match its checksum")
        return zip(np.ndindex(*self.grid), np.frombuffer(index, "<u8").reshape(-1, 2), strict=True)

    def _decode_into(self, out: np.ndarray[Any, Any], piece: Any, raw: memoryview) -> np.ndarray[Any, Any]:
        from numcodecs import blosc  # type: ignore[import-untyped]

        if len(raw) < 16 or int.from_bytes(raw[12:16], "little") != len(raw):
            raise ValueError("a compressed chunk is shorter or longer than it says")
        chunk = np.empty(self.inner, out.dtype)
        blosc.decompress(raw, chunk)
        target = out[piece]
        target[...] = chunk[tuple(slice(n) for n in target.shape)]
        return out
