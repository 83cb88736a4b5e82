"""Shards on their way to disk: who writes which, which are done, one computation that fills the rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import xarray as xr

from xinsar.cube.fingerprint import in_memory
from xinsar.cube.layout import Packing, pack_block
from xinsar.cube.place import JOURNAL, Place, discard_journal, naming, writable
from xinsar.cube.prepare import Track
from xinsar.progress import bar

Index = tuple[int, ...]


@dataclass(frozen=True)
class ShardWriter:
    """Stores blocks of one variable; called by dask with a block and its index.

    Block ``(i, j, ...)`` begins at ``starts[0][i], starts[1][j], ...`` of ``target``; once stored it is
    noted in ``journal``.
    """

    name: str
    place: str
    target: Any
    starts: tuple[Index, ...]
    packing: Packing | None
    journal: Any = None

    def __call__(self, block: Any, block_id: Index = ()) -> np.ndarray[Any, Any]:
        """Store one block and note it."""
        with naming(self.place, f"writing {self.name!r}, block {block_id},"):
            self.target[self._region(block.shape, block_id)] = self.encoded(block)
            self.journal[block_id] = 1
        return np.ones((1,) * block.ndim, bool)

    def encoded(self, block: Any) -> np.ndarray[Any, Any]:
        """Return the values as they are stored."""
        values = np.asarray(block.get() if hasattr(block, "get") else block)
        if self.packing is not None:
            return pack_block(values, self.packing, name=self.name)
        return values.astype(self.target.dtype, copy=False)

    def stored(self, shape: Index, index: Index) -> np.ndarray[Any, Any]:
        """Return what the store holds for one block."""
        return np.asarray(self.target[self._region(shape, index)])

    def _region(self, shape: Index, index: Index) -> tuple[slice, ...]:
        firsts = [starts[k] for starts, k in zip(self.starts, index, strict=True)]
        return tuple(slice(first, first + n) for first, n in zip(firsts, shape, strict=True))


@dataclass(frozen=True)
class Job:
    """One variable to store: a dask array whose chunks end where shards end, and the writer of its blocks."""

    key: str
    source: Any
    writer: ShardWriter
    computed: bool

    def blocks(self, *, done: bool) -> list[Index]:
        """Return the indices of the blocks that are finished, or that are not; without a journal all are."""
        journal = self.writer.journal
        finished = np.ones(self.source.numblocks, bool) if journal is None else journal[...] == 1
        return [tuple(map(int, index)) for index in np.argwhere(finished == done)]


def jobs_of(
    tracks: Mapping[str, Track], place: Place, *, dim: str = "", before: Mapping[str, int] | None = None
) -> list[Job]:
    """Return a job per large variable; with ``dim``, for those that have it, behind ``before`` old rows."""
    root = writable(place)
    jobs = []
    for path, track in tracks.items():
        for name, its in track.plans.items():
            if dim and dim not in its.dims:
                continue
            target = root[f"{path}/{name}" if path else name]
            variable = track.ds[name].variable
            offset = tuple((before or {}).get(path, 0) if d == dim else 0 for d in its.dims)
            source, starts = _aligned(variable, target.shards or target.chunks, offset)
            shown = f"{path}/{name}" if path else name
            writer = ShardWriter(shown, place.name, target, starts, its.packing)
            jobs.append(Job(f"{path or 'cube'}.{name}", source, writer, computed=not in_memory(variable)))
    return jobs


def _aligned(variable: xr.Variable, shard: Index, offset: Index) -> tuple[Any, tuple[Index, ...]]:
    """``variable`` in dask chunks that end where shards end, and where in the store each chunk starts."""
    import dask.array as da

    each = zip(variable.shape, shard, offset, strict=True)
    chunks = tuple(_cuts(n, size, before) for n, size, before in each)
    starts = tuple(
        tuple(accumulate(c[:-1], initial=before)) for c, before in zip(chunks, offset, strict=True)
    )
    if variable.chunks is not None:
        return variable.data.rechunk(chunks), starts
    if in_memory(variable):
        return da.from_array(variable.values, chunks=chunks, name=f"cube-source-{uuid.uuid4().hex}"), starts
    return variable.chunk(dict(zip(variable.dims, chunks, strict=True))).data, starts


def _cuts(n: int, shard: int, before: int) -> Index:
    """Sizes of the pieces of ``n`` new rows after ``before`` old ones, cut at multiples of ``shard``."""
    edges = [before, *range((before // shard + 1) * shard, before + n, shard), before + n]
    return tuple(b - a for a, b in pairwise(edges))


def start_journal(jobs: Sequence[Job], place: Place) -> list[Job]:
    """Return ``jobs`` with an empty journal: a byte per block, each in a key of its own."""
    discard_journal(place)
    journal = writable(place).create_group(JOURNAL)
    for job in jobs:
        blocks = job.source.numblocks
        journal.create_array(
            job.key, shape=blocks, chunks=(1,) * len(blocks), dtype="uint8", fill_value=0, compressors=None
        )
    return with_journal(jobs, place)


def with_journal(jobs: Iterable[Job], place: Place) -> list[Job]:
    """Return ``jobs`` with the journal that stands in the store."""
    journal = writable(place)[JOURNAL]
    return [replace(job, writer=replace(job.writer, journal=journal[job.key])) for job in jobs]


def check_layout(jobs: Iterable[Job], tracks: Mapping[str, Track]) -> None:
    """Raise where the store's shards are not those that ``tracks`` plan."""
    planned = {
        f"{p}/{n}" if p else n: its.layout.shard for p, t in tracks.items() for n, its in t.plans.items()
    }
    for job in jobs:
        name, target = job.writer.name, job.writer.target
        stored = target.shards or target.chunks
        if stored != planned[name]:
            raise ValueError(
                f"chunks: {job.writer.place} holds {name!r} in shards of {stored}, asked for "
                f"{planned[name]}; pass the "
                "same chunks as before, or mode='w' to start over"
            )


def check_values(jobs: Iterable[Job]) -> None:
    """Compute one finished block of every lazy variable anew; raise where the store differs."""
    import dask

    chosen = [(job, done[len(done) // 2]) for job in jobs if job.computed and (done := job.blocks(done=True))]
    for (job, index), block in zip(
        chosen, dask.compute(*(job.source.blocks[index] for job, index in chosen)), strict=True
    ):
        fresh, stored = job.writer.encoded(block), job.writer.stored(block.shape, index)
        if not np.array_equal(fresh, stored, equal_nan=fresh.dtype.kind in "fc"):
            raise ValueError(
                f"store: {job.writer.place} holds other data: {job.writer.name!r} differs in block "
                f"{index}; choose "
                "another place, or pass mode='w' to overwrite it"
            )


def fill(jobs: Sequence[Job], *, progress: bool | None) -> None:
    """Write every block that the journal does not note, in one computation."""
    import dask.array as da
    from dask.base import compute_as_if_collection
    from dask.highlevelgraph import HighLevelGraph

    stored = [_storing(job) for job in jobs]
    keys = [(a.name, *index) for a, job in zip(stored, jobs, strict=True) for index in job.blocks(done=False)]
    if keys:
        graph = HighLevelGraph.merge(*(array.__dask_graph__() for array in stored))
        with bar(progress):
            compute_as_if_collection(da.Array, graph, keys)


def _storing(job: Job) -> Any:
    """Return the dask array whose computation stores the blocks of ``job``."""
    ones = tuple((1,) * n for n in job.source.numblocks)
    meta = np.empty((0,) * job.source.ndim, bool)
    name = f"store-{job.key}-{uuid.uuid4().hex}"
    return job.source.map_blocks(job.writer, dtype=bool, chunks=ones, meta=meta, name=name)
