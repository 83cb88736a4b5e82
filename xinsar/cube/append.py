"""Growing a cube along one dim: refused while half done, completed when called again.

The mark goes ``whole`` -> ``growing`` (metadata and small variables) -> ``appending`` (shards) ->
``whole``. Old values are never changed: a shard half full of old pairs is replaced by one that holds the
same old pairs and the new ones. So an append that will not be completed can be taken back by returning to
the old size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xinsar.cube.fingerprint import differences, fingerprint
from xinsar.cube.layout import PACKINGS
from xinsar.cube.place import (
    MARK,
    Finding,
    Place,
    arrays_of,
    discard_journal,
    finish,
    ignoring_debris,
    remedy,
    set_mark,
    sweep,
    writable,
)
from xinsar.cube.prepare import LABELS, Track, flags, label, names_along, prepare, unlabel
from xinsar.cube.read import opened
from xinsar.cube.shards import check_values, fill, jobs_of, start_journal, with_journal

_SAME_TRACK = ("track", "orbit_direction", "wavelength")


def append(
    tracks: dict[str, Track], place: Place, found: Finding, dim: str, *, resume: bool, progress: bool | None
) -> None:
    """Append ``tracks`` along ``dim`` to the cube at ``place``, or complete that append.

    Raises
    ------
    ValueError
        Where the grid, the variables or the track differ, dates repeat, or another append stands unfinished.
    """
    _check_cube(tracks, place, found)
    sweep(place)
    new = fingerprint(tracks)
    same = resume and not differences(found.mark.get("appended", {}), new)
    if found.state == "whole" and same:
        discard_journal(place)
        return
    if found.state != "whole" and not same:
        _roll_back(place, found, dim, resume=resume)
    if found.state != "appending" or not same:
        _begin(tracks, place, dim, new, known=same and found.state == "growing")
    _complete(tracks, place, dim, progress=progress)


def _begin(tracks: dict[str, Track], place: Place, dim: str, new: dict[str, str], *, known: bool) -> None:
    """Grow metadata and small variables; killed in here, the next call does it again."""
    before = writable(place).attrs[MARK].get("before")
    if not known:
        for path, track in tracks.items():
            _check_track(_as_stored(track, place, path), opened(place, path), dim, path)
        before = {path: opened(place, path).sizes[dim] for path in tracks}
    set_mark(place, state="growing", appended=new, before=before)
    for path, track in tracks.items():
        _grow(_as_stored(track, place, path), place, path, dim, before[path])
    jobs = jobs_of({p: _as_stored(t, place, p) for p, t in tracks.items()}, place, dim=dim, before=before)
    start_journal(jobs, place)
    set_mark(place, state="appending")


def _complete(tracks: dict[str, Track], place: Place, dim: str, *, progress: bool | None) -> None:
    """Write the shards that the journal does not note."""
    before = writable(place).attrs[MARK]["before"]
    stored = {path: _as_stored(track, place, path) for path, track in tracks.items()}
    jobs = with_journal(jobs_of(stored, place, dim=dim, before=before), place)
    check_values(jobs)
    fill(jobs, progress=progress)
    finish(place, job=_job_of(place), before=None)


def _check_cube(tracks: dict[str, Track], place: Place, found: Finding) -> None:
    if found.kind != "cube":
        what = found.what or "a Zarr store that xinsar did not write"
        raise FileExistsError(f"store: {place.name} is {what}; an append needs a cube written by save_cube")
    if unknown := sorted(set(tracks) - set(found.mark["tracks"])):
        raise ValueError(
            f"obj: {place.name} has no track {', '.join(map(repr, unknown))} to append to; it has "
            f"{', '.join(map(repr, found.mark['tracks']))}"
        )


def _roll_back(place: Place, found: Finding, dim: str, *, resume: bool) -> None:
    """Return a cube whose append was interrupted to its old size, if told to."""
    if resume:
        raise ValueError(f"store: {place.name} is unfinished with other data; {remedy(found)}")
    root = writable(place)
    for path, size in found.mark["before"].items():
        _resize(root[path] if path else root, dim, size)
    finish(place, before=None, appended=None)


def _resize(group: Any, dim: str, size: int) -> None:
    for array in arrays_of(group).values():
        names = array.metadata.dimension_names or ()
        if dim in names:
            array.resize(tuple(size if d == dim else n for d, n in zip(names, array.shape, strict=True)))


def _as_stored(track: Track, place: Place, path: str) -> Track:
    """``track`` packed and labelled as the store is."""
    root = writable(place)
    group = root[path] if path else root
    known = {name: array.attrs for name, array in arrays_of(group).items()}
    plans = {
        name: replace(its, packing=PACKINGS[name] if "scale_factor" in known.get(name, ()) else None)
        for name, its in track.plans.items()
    }
    texts = {
        name: label(unlabel(variable), known[str(name)][LABELS])
        for name, variable in track.ds.variables.items()
        if LABELS in variable.attrs and LABELS in known.get(str(name), ())
    }
    return Track(track.ds.assign(texts), plans)


def _grow(track: Track, place: Place, path: str, dim: str, before: int) -> None:
    """Resize every array along ``dim`` and write the new part of the small variables."""
    root = writable(place)
    group = root[path] if path else root
    after = before + track.ds.sizes[dim]
    _resize(group, dim, after)
    small = track.small[sorted(names_along(track.small, dim))]
    small = small.drop_vars([name for name in small.variables if dim not in small[name].dims])
    small = small.drop_indexes([dim] if dim in small.indexes else [])  # xarray leaves indexes out of regions
    if not small.variables:
        return
    for name, variable in small.variables.items():
        if LABELS in variable.attrs:
            group[str(name)].attrs.update(flags(variable.attrs[LABELS]))
    region = {dim: slice(before, after)}
    with ignoring_debris():
        small.to_zarr(
            place.store,
            group=path or None,
            mode="r+",
            region=region,
            zarr_format=3,
            consolidated=False,
            safe_chunks=False,
        )


def _job_of(place: Place) -> dict[str, str]:
    """The fingerprint of the grown cube."""
    paths = writable(place).attrs[MARK]["tracks"]
    return fingerprint({path: _as_stored(prepare(opened(place, path)), place, path) for path in paths})


# ------------------------------------------------------------------------------------------------------
# checks


def _check_track(track: Track, old: xr.Dataset, dim: str, path: str) -> None:
    """Raise where ``track`` does not continue ``old`` along ``dim``."""
    where = f"{path}: " if path else ""
    _check_variables(track.ds, old, dim, where)
    for axis in ("y", "x", "point"):
        if axis in old.indexes and not old.indexes[axis].equals(track.ds.indexes.get(axis)):
            raise ValueError(
                f"{where}{axis}: expected the coordinates of the cube, got others; align the new data with "
                "reindex_like or rio.reproject_match first"
            )
    for name in _SAME_TRACK:
        if old.attrs.get(name) != track.ds.attrs.get(name):
            raise ValueError(
                f"{where}{name}: expected {old.attrs.get(name)!r} as in the cube, got "
                f"{track.ds.attrs.get(name)!r}; "
                "another track goes into another cube"
            )
    _check_dates(track.ds, old, dim, where)


def _check_variables(new: xr.Dataset, old: xr.Dataset, dim: str, where: str) -> None:
    growing = names_along(old, dim)
    if not growing:
        raise ValueError(
            f"append_dim: {where}the cube has no dim {dim!r}; it has {', '.join(map(str, old.dims))}"
        )
    if growing != names_along(new, dim):
        raise ValueError(
            f"{where}obj: expected {', '.join(sorted(growing))} along {dim!r} as in the cube, got "
            f"{', '.join(sorted(names_along(new, dim))) or 'nothing'}"
        )
    for name in sorted(growing):
        _check_form(new[name].variable, old[name].variable, dim, where + name)


def _check_form(new: xr.Variable, old: xr.Variable, dim: str, name: str) -> None:
    sizes = [{d: n for d, n in v.sizes.items() if d != dim} for v in (new, old)]
    if new.dims != old.dims or sizes[0] != sizes[1]:
        raise ValueError(
            f"{name}: expected {dict(old.sizes)} apart from {dim!r}, got {dict(new.sizes)}; bring the new pairs to the "
            "cube's grid first, for example with reindex_like"
        )
    if LABELS not in new.attrs and new.dtype != old.dtype:
        raise ValueError(
            f"{name}: expected {old.dtype} as in the cube, got {new.dtype}; convert it with astype"
        )


def _check_dates(new: xr.Dataset, old: xr.Dataset, dim: str, where: str) -> None:
    names = [
        n for n in ("reference_time", "secondary_time", dim) if n in old.coords and old[n].dims == (dim,)
    ]
    dates = [n for n in names if n != dim] or names
    if not dates:
        return
    texts = [
        [tuple(map(str, row)) for row in zip(*(_plain(ds, n) for n in dates), strict=True)]
        for ds in (old, new)
    ]
    if repeated := sorted(set(texts[0]) & set(texts[1])):
        raise ValueError(
            f"{where}{dim}: {len(repeated)} of the new {dim}s are in the cube already, the first is "
            f"{' - '.join(repeated[0])}; append only new ones, for example with isel({dim}=...)"
        )


def _plain(ds: xr.Dataset, name: str) -> Any:
    variable = ds[name].variable
    return unlabel(variable).values if LABELS in variable.attrs else np.asarray(variable.values)
