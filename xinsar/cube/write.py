"""Writing cubes: one writer per shard, a journal of finished ones, a mark that says unfinished.

Order of a save: the mark (``creating``), metadata and small variables, the journal, the mark (``writing``),
shards in any order, each noted in the journal once it stands, the mark (``whole``), away with the journal.
Killed anywhere and called again, the save starts over while ``creating`` and fills in the missing shards
while ``writing``. An append does the same on the grown arrays; a shard half full of old pairs is read,
completed and replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import xarray as xr

from xinsar.cube import geozarr
from xinsar.cube.append import append
from xinsar.cube.fingerprint import differences, fingerprint
from xinsar.cube.layout import Chunks
from xinsar.cube.place import (
    MARK,
    Finding,
    Place,
    begin,
    discard_journal,
    finish,
    ignoring_debris,
    locate,
    look,
    naming,
    quiet_threads,
    remedy,
    set_mark,
    sweep,
)
from xinsar.cube.prepare import Track, prepare
from xinsar.cube.read import open_cube, open_tracks
from xinsar.cube.shards import Job, check_layout, check_values, fill, jobs_of, start_journal, with_journal

Mode = Literal["w-", "w", "a"]


def save_cube(
    obj: xr.Dataset | xr.DataTree,
    store: Any,
    *,
    mode: Mode = "w-",
    resume: bool = True,
    append_dim: str | None = None,
    chunks: Chunks = "auto",
    pack: bool = False,
    progress: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Write a cube to Zarr v3 and open it again.

    Values stream through a few shards at a time. A save that was killed, or stopped by a full disk, is
    completed by calling it again; until then the store refuses to open.

    Parameters
    ----------
    obj
        A Dataset, or a DataTree whose children are tracks.
    store
        Path, fsspec address or zarr store object, as for :func:`open_cube`.
    mode
        ``"w-"``: into a new place (or resume); ``"w"``: overwrite a Zarr store; ``"a"``: append, with
        ``append_dim``.
    resume
        Complete an interrupted save of the same data; return an equal whole cube untouched. False: never; an
        interrupted append is replaced.
    append_dim
        Grow an existing cube along this dim (``"pair"`` or ``"time"``); a new place starts a cube.
    chunks
        ``"auto"``, or sizes of the shards for some dims. An append keeps those of the store.
    pack
        Store wrapped phase and coherence as 16-bit integers (steps of 9.6e-5 rad and 1.5e-5); NaN stays NaN.
    progress
        Show a progress bar; None: when stderr is a terminal and ``XINSAR_QUIET`` is not set.
    storage_options
        For fsspec addresses.

    Returns
    -------
    xarray.Dataset or xarray.DataTree
        The cube, opened from ``store``, as ``obj`` was.

    Raises
    ------
    ValueError
        The store holds other data, the new pairs repeat old ones or lie on another grid, or a value does
        not pack.
    FileExistsError
        Something that is not a cube lies there, or ``mode="w-"`` and ``resume=False`` meet an existing cube.
    OSError
        The store failed (a full disk, say); the message names it and the save can be resumed.

    Examples
    --------
    >>> import tempfile, numpy as np, xarray as xr
    >>> ds = xr.Dataset({"velocity": (("y", "x"), np.zeros((2, 3), "f4"), {"units": "m year-1"})})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_cube(ds, f"{folder}/cube.zarr").sizes["x"]
    3
    """
    _check_arguments(mode, append_dim)
    place = locate(store, storage_options)
    quiet_threads()
    tracks = {path: prepare(ds, chunks=chunks, pack=pack) for path, ds in _tracks(obj).items()}
    found = look(place)
    with naming(place.name, "writing a cube"):
        if append_dim is not None and found.kind != "nothing" and found.state not in ("creating", "writing"):
            append(tracks, place, found, append_dim, resume=resume, progress=progress)
        else:
            _save(tracks, place, found, mode, resume=resume, explicit=chunks != "auto", progress=progress)
    return (open_tracks if isinstance(obj, xr.DataTree) else open_cube)(
        store, storage_options=storage_options
    )


def _check_arguments(mode: str, append_dim: str | None) -> None:
    if mode not in ("w-", "w", "a"):
        raise ValueError(f"mode: expected 'w-' (new), 'w' (overwrite) or 'a' (append), got {mode!r}")
    if mode == "a" and append_dim is None:
        raise ValueError("append_dim: mode='a' needs the dim to grow along; pass append_dim='pair'")
    if mode == "w" and append_dim is not None:
        raise ValueError(
            f"mode: expected 'a' together with append_dim={append_dim!r}, got 'w'; drop one of them"
        )


def _tracks(obj: Any) -> dict[str, xr.Dataset]:
    """The tracks of ``obj`` by path; a single unnamed one is the root ``""``."""
    if isinstance(obj, xr.Dataset):
        return {"": obj}
    if not isinstance(obj, xr.DataTree):
        raise TypeError(
            f"obj: expected an xarray Dataset or DataTree, got {type(obj).__name__}; use to_dataset()"
        )
    if not obj.children:
        return {"": obj.to_dataset()}
    deep = [node.path for child in obj.children.values() for node in child.children.values()]
    if deep or obj.data_vars:
        raise ValueError(
            f"obj: expected a tree with one node per track, got variables or groups at {deep or ['/']}; "
            "put every "
            "track into a child of the root"
        )
    return {str(name): child.to_dataset() for name, child in obj.children.items()}


def _save(
    tracks: dict[str, Track],
    place: Place,
    found: Finding,
    mode: str,
    *,
    resume: bool,
    explicit: bool,
    progress: bool | None,
) -> None:
    """Write ``tracks`` as a whole cube: from the start, or what is missing of it."""
    job = fingerprint(tracks)
    if not _continues(found, job, place, mode, resume=resume):
        jobs = _start(tracks, place, job)
    else:
        jobs = jobs_of(tracks, place)
        jobs = with_journal(jobs, place) if found.state == "writing" else jobs
        if explicit:
            check_layout(jobs, tracks)
        check_values(jobs)
        sweep(place)
    if found.state != "whole" or mode == "w":
        fill(jobs, progress=progress)
        finish(place)
    else:
        discard_journal(place)


def _continues(found: Finding, job: dict[str, str], place: Place, mode: str, *, resume: bool) -> bool:
    """Whether this job lies there, whole or in writing; False: start afresh."""
    if found.kind == "nothing" or (found.kind == "zarr" and mode == "w"):
        return False
    if found.kind != "cube":
        what = found.what or "a Zarr store that xinsar did not write"
        raise FileExistsError(f"store: {place.name} is {what}; choose another place")
    other = differences(found.mark["job"], job)
    if mode == "w":
        return found.state == "writing" and resume and not other
    _check_same(found, other, place, resume=resume)
    return found.state in ("writing", "whole")


def _check_same(found: Finding, other: list[str], place: Place, *, resume: bool) -> None:
    """Raise where the cube that lies there may not be completed with this data."""
    if not resume:
        raise FileExistsError(
            f"store: {place.name} holds a cube already; pass mode='w' to overwrite it, or resume=True to "
            "complete it"
        )
    if found.state in ("growing", "appending"):
        raise ValueError(f"store: {place.name} is unfinished; {remedy(found)}")
    if other:
        state = "a cube" if found.state == "whole" else "an unfinished cube"
        raise ValueError(
            f"store: {place.name} holds {state} of other data (different: {', '.join(other[:8])}); "
            "choose another "
            "place, or pass mode='w' to overwrite it"
        )


def _start(tracks: dict[str, Track], place: Place, job: dict[str, str]) -> list[Job]:
    """Create the store up to its journal; killed in here, the next call starts over."""
    order = {path: list(map(str, track.ds.data_vars)) for path, track in tracks.items()}
    mark = {"version": 1, "tracks": order, "job": job}
    begin(place, mark)
    for path, track in tracks.items():
        attrs = {} if path else {MARK: {**mark, "state": "creating"}}
        _create(track, place, path, attrs)
    jobs = start_journal(jobs_of(tracks, place), place)
    set_mark(place, state="writing")
    return jobs


def _create(track: Track, place: Place, path: str, attrs: dict[str, Any]) -> None:
    """Write metadata and small variables of one track."""
    template = track.template()
    template.attrs = {**template.attrs, **geozarr.attributes(track.ds), **attrs}
    with ignoring_debris():
        template.to_zarr(
            place.store,
            group=path or None,
            mode="a",
            zarr_format=3,
            consolidated=False,
            compute=False,
            safe_chunks=False,
        )
