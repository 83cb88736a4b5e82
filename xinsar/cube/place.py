"""Where a cube lies and whether it is whole: addresses of stores, the mark in their root.

Every store of ours carries a mark in its root attributes from the first key written to the last. Its
``state`` goes ``creating`` -> ``writing`` -> ``whole``; a growing cube goes ``whole`` -> ``growing`` ->
``appending`` -> ``whole``, an overwritten one starts with ``clearing``. Only ``whole`` opens.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xinsar.extras import need

MARK = "xinsar_cube"
"""Root attribute that holds the mark."""

JOURNAL = "xinsar_journal"
"""Group that counts finished shards while a store is unfinished."""

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Place:
    """A Zarr store and the name its user gave it."""

    store: Any
    name: str

    @property
    def folder(self) -> Path | None:
        """The folder of a local store, else None."""
        return Path(self.store.root) if is_local(self.store) else None


def is_local(store: Any) -> bool:
    """Whether ``store`` is a folder, whose files zarr replaces whole."""
    from zarr.storage import LocalStore

    return isinstance(store, LocalStore)


def locate(store: Any, storage_options: Mapping[str, Any] | None = None) -> Place:
    """Return the place that ``store`` names: a path, an fsspec address, or a Zarr store object.

    Raises
    ------
    TypeError
        For anything else, or options for a store that takes none.
    xinsar.MissingExtraError
        Where the address needs a package that is not installed.
    """
    from zarr.abc.store import Store

    if isinstance(store, str) and "://" in store and not store.startswith(("file://", "local://")):
        return Place(_remote(store, storage_options), store)
    if storage_options:
        raise TypeError(
            "storage_options: only addresses such as s3://bucket/cube.zarr take options, got the store "
            f"{store!r}; "
            "drop them, or configure the store object itself"
        )
    if isinstance(store, Store):
        return Place(store, str(store))
    if isinstance(store, str | os.PathLike):
        return _local(os.fspath(store))
    raise TypeError(
        f"store: expected a path, an address such as s3://bucket/cube.zarr or a zarr store, got "
        f"{type(store).__name__}; an obstore goes in as zarr.storage.ObjectStore(store)"
    )


def _local(path: str) -> Place:
    from zarr.storage import LocalStore

    # A file:// address becomes a local store as well: its files are replaced whole, fsspec's are not.
    folder = Path(path.removeprefix("file://").removeprefix("local://")).expanduser()
    return Place(LocalStore(folder), path)


def _remote(url: str, storage_options: Mapping[str, Any] | None) -> Any:
    purpose = f"the address {url!r}"
    need("fsspec", purpose=purpose)
    if package := _PACKAGES.get(url.split("://")[0]):
        need(package, purpose=purpose)
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(url, storage_options=dict(storage_options or {}))


Kind = Literal["nothing", "cube", "zarr", "other"]


@dataclass(frozen=True)
class Finding:
    """What lies at a place: ``kind``, the root group if it is Zarr v3, and what to call it."""

    kind: Kind
    root: Any = None
    what: str = ""

    @property
    def mark(self) -> dict[str, Any]:
        """The mark in the root, empty where there is none."""
        return dict(self.root.attrs.get(MARK, {})) if self.root is not None else {}

    @property
    def state(self) -> str:
        """State of the mark."""
        return str(self.mark.get("state", ""))


def look(place: Place) -> Finding:
    """Return what lies at ``place``; reads its root only."""
    import zarr
    from zarr.errors import ContainsArrayError

    try:
        root = zarr.open_group(place.store, mode="r", zarr_format=3)
    except FileNotFoundError:
        return _not_a_group(place)
    except NotADirectoryError:
        return Finding("other", what="a file, not a Zarr store")
    except ContainsArrayError:
        return Finding("other", what="a Zarr array, not a group")
    except Exception as error:
        return Finding("other", what=f"not a readable Zarr v3 store ({type(error).__name__}: {error})")
    return Finding("cube" if MARK in root.attrs else "zarr", root)


def _not_a_group(place: Place) -> Finding:
    folder = place.folder
    if folder is not None and folder.is_file():
        return Finding("other", what="a file, not a Zarr store")
    for name, what in ((".zgroup", "a Zarr v2 store"), (".zarray", "a Zarr v2 array")):
        if folder is not None and (folder / name).exists():
            return Finding("other", what=what)
    if folder is not None and folder.is_dir() and any(p.suffix != ".partial" for p in folder.iterdir()):
        return Finding("other", what="a folder that is not a Zarr store")
    return Finding("nothing")


def require_cube(place: Place) -> Any:
    """Return the root group of the whole cube at ``place``.

    Raises
    ------
    FileNotFoundError
        Where nothing lies there.
    ValueError
        Where it is not a Zarr v3 group, or an unfinished cube.
    """
    found = look(place)
    if found.kind == "nothing":
        raise FileNotFoundError(
            errno.ENOENT, f"store: nothing lies there; write a cube with xinsar.save_cube: {place.name}"
        )
    if found.kind == "other":
        raise ValueError(
            f"store: {place.name} is {found.what}; expected a Zarr v3 cube as xinsar.save_cube writes it"
        )
    if found.kind == "cube" and found.state != "whole":
        raise ValueError(f"store: {place.name} is unfinished ({found.state}); {remedy(found)}")
    return found.root


def remedy(found: Finding) -> str:
    """Say how an unfinished store becomes whole."""
    if found.state in ("growing", "appending"):
        return (
            "an append was interrupted: call save_cube again with the same new data, append_dim and "
            "resume=True to "
            "complete it, or with resume=False to replace the interrupted append"
        )
    return (
        "call save_cube again with the same data and resume=True to complete it, "
        "or with mode='w' to start over"
    )


@contextmanager
def ignoring_debris() -> Iterator[None]:
    """Silence zarr about half-written files of a killed writer and folders that some stores leave empty."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Object at .* is not recognized")
        yield


def arrays_of(group: Any) -> dict[str, Any]:
    """Return the arrays of a group by name."""
    with ignoring_debris():
        return dict(group.arrays())


def writable(place: Place) -> Any:
    """Return the root group for writing."""
    import zarr

    return zarr.open_group(place.store, mode="r+", zarr_format=3)


def set_mark(place: Place, **changes: Any) -> None:
    """Change the mark in one write of the root's metadata; None removes an entry."""
    root = writable(place)
    mark = {**root.attrs.get(MARK, {}), **changes}
    root.attrs.update({MARK: {key: value for key, value in mark.items() if value is not None}})


def begin(place: Place, mark: dict[str, Any]) -> None:
    """Leave nothing at ``place`` but a root marked ``creating``, whatever kill may come between.

    What lay there is first marked ``clearing`` and then removed child by child, the root last of all.
    """
    import zarr

    sweep(place)
    root = zarr.open_group(
        place.store, mode="a", zarr_format=3, attributes={MARK: {**mark, "state": "creating"}}
    )
    root.attrs.put({MARK: {**mark, "state": "clearing"}})
    _delete_children(place)
    root.attrs.put({MARK: {**mark, "state": "creating"}})


def _delete_children(place: Place) -> None:
    """Delete all but the root's metadata; half-deleted nodes too, which zarr does not list as members."""
    from zarr.core.sync import sync

    async def delete() -> None:
        names = [name async for name in place.store.list_dir("")]
        for name in names:
            if name != "zarr.json":
                await place.store.delete_dir(name)

    sync(delete())


def finish(place: Place, **changes: Any) -> None:
    """Mark the cube whole, then remove the journal."""
    set_mark(place, state="whole", **changes)
    discard_journal(place)


def discard_journal(place: Place) -> None:
    """Remove the journal if there is one, a half-deleted one too."""
    from zarr.core.sync import sync

    sync(place.store.delete_dir(JOURNAL))


def sweep(place: Place) -> None:
    """Remove what a killed writer left of files it had not finished."""
    if place.folder is not None and place.folder.is_dir():
        for leftover in place.folder.rglob("*.partial"):
            leftover.unlink(missing_ok=True)


@contextmanager
def naming(place: str, doing: str) -> Iterator[None]:
    """Turn failures of the store into an OSError that says what was written where, and what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) or place in str(error.strerror):
            raise
        room = "free some space" if error.errno in _NO_ROOM else "mend the store"
        raise OSError(
            error.errno,
            f"{doing} to {place} failed: {error.strerror or error}; the store stays marked unfinished: "
            f"{room} and call save_cube again with resume=True",
        ) from error


def quiet_threads() -> None:
    """Let zarr's pool have one thread per core unless the user chose: dask's threads run beside it."""
    import zarr

    if zarr.config.get("threading.max_workers", None) is None:
        zarr.config.set({"threading.max_workers": os.cpu_count()})
