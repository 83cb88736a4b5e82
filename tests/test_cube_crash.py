"""A save killed at any moment completes when called again, and equals the one that was never killed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from xinsar.cube import open_cube, open_tracks, save_cube

CHUNKS = {"pair": 2, "y": 6, "x": 5}
EVERY = int(
    os.environ.get("XINSAR_TEST_EVERY_KILL", "0")
)  # 1: kill at every single write, which takes minutes


def make_cube(pairs: int = 3, start: int = 0, seed: int = 0) -> xr.Dataset:
    """A tiny cube of several shards, one of them empty; the same in every process."""
    rng = np.random.default_rng(seed)
    shape = (12, 9, 8)
    phase = rng.uniform(-3, 3, shape).astype("f4")
    phase[:, 6:] = np.nan
    days = np.datetime64("2018-01-06", "ns") + np.arange(shape[0]) * np.timedelta64(12, "D").astype("m8[ns]")
    ds = xr.Dataset(
        {
            "phase": (("pair", "y", "x"), da.from_array(phase, chunks=(1, 9, 8)), {"units": "rad"}),
            "coherence": (("pair", "y", "x"), rng.uniform(0, 1, shape).astype("f4"), {"units": "1"}),
            "elevation": (("y", "x"), rng.uniform(0, 9, shape[1:]).astype("f4"), {"units": "m"}),
        },
        coords={
            "reference_time": ("pair", days),
            "secondary_time": ("pair", days + np.timedelta64(12, "D")),
            "name": ("pair", [f"pair {k % 5}" for k in range(shape[0])]),
            "x": np.arange(8.0),
            "y": -np.arange(9.0),
        },
        attrs={"track": "5"},
    )
    return ds.isel(pair=slice(start, start + pairs))


CHILD = """
import asyncio, os, signal, sys
sys.path.insert(0, {root!r})
import importlib.util
import dask, numcodecs.blosc, xarray, zarr, zarr.storage, pandas, pyproj, xinsar.cube.write  # before forking
spec = importlib.util.spec_from_file_location("crash", {file!r})
crash = importlib.util.module_from_spec(spec)
spec.loader.exec_module(crash)

class Killing(zarr.storage.LocalStore):
    left = 0

    async def _count(self, key, value=None):
        Killing.left -= 1
        if Killing.left < 0:
            if value is not None:  # leave half a file behind, as zarr itself would
                path = self.root / key
                path.parent.mkdir(parents=True, exist_ok=True)
                data = value.to_bytes()
                path.with_suffix(".0123.partial").write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    async def set(self, key, value):
        await self._count(key, value)
        await super().set(key, value)

    async def set_if_not_exists(self, key, value):
        await self._count(key, value)
        await super().set_if_not_exists(key, value)

    async def delete(self, key):
        await self._count(key)
        await super().delete(key)

    async def delete_dir(self, prefix):
        files = sorted(p for p in (self.root / prefix).rglob("*") if p.is_file())
        for file in files[: len(files) // 2]:
            file.unlink()
        await self._count(prefix)
        await super().delete_dir(prefix)

folder, what, step = sys.argv[1:]
for n in range(0, 10_000, int(step)):
    pid = os.fork()
    if pid == 0:
        Killing.left = n
        with dask.config.set(scheduler="synchronous"):
            crash.ACTIONS[what](Killing(f"{{folder}}/{{n}}.zarr"))
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
print(n)
"""


WIDE = {"pair": 2, "y": 6, "x": 8}


def save_new(store: object) -> object:
    return save_cube(make_cube(3), store, chunks=WIDE, progress=False)


def overwrite(store: object) -> object:
    return save_cube(make_cube(3), store, mode="w", chunks=WIDE, progress=False)


def save_tree(store: object) -> object:
    tree = xr.DataTree.from_dict({"asc": make_cube(2), "desc": make_cube(2, seed=1)})
    return save_cube(tree, store, chunks=WIDE, progress=False)


def append(store: object) -> object:
    return save_cube(make_cube(3, start=3), store, mode="a", append_dim="pair", progress=False)


ACTIONS = {"save_new": save_new, "overwrite": overwrite, "save_tree": save_tree, "append": append}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def before(what: str, folder: Path) -> None:
    """What lies at the place before the action."""
    if what == "append":
        save_new(folder)
    if what == "overwrite":
        save_cube(make_cube(4, seed=2).drop_vars("elevation"), folder, progress=False)


def refuses_or_is_old(what: str, folder: Path, old: dict[str, bytes]) -> None:
    """Nothing opens as if whole: not there, unfinished, or (before the first key is changed) the old cube."""
    try:
        open_tracks(folder)
    except (FileNotFoundError, ValueError) as error:
        message = str(error)
    else:
        data = {k: v for k, v in files(folder).items() if not k.endswith(".partial")}
        assert old
        assert data == old
        return
    assert "unfinished" in message or "nothing lies there" in message


@pytest.mark.parametrize(
    ("what", "step"), [("save_new", 7), ("overwrite", 13), ("save_tree", 31), ("append", 9)]
)
def test_killed_at_every_write(tmp_path: Path, what: str, step: int) -> None:
    step = EVERY or step
    whole = tmp_path / "whole.zarr"
    before(what, whole)
    old = files(whole)
    for n in range(0, 200 if old else 0, step):
        shutil.copytree(whole, tmp_path / f"{n}.zarr")
    ACTIONS[what](whole)
    child = CHILD.format(root=str(Path(__file__).parents[1]), file=__file__)
    out = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path), what, str(step)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    kills = int(out.stdout)
    assert kills > 20
    finished = 0
    for n in range(0, kills, step):
        folder = tmp_path / f"{n}.zarr"
        mark = (folder / "zarr.json").read_bytes() if (folder / "zarr.json").exists() else b""
        if mark == (whole / "zarr.json").read_bytes():
            finished += 1  # killed while the journal of a whole cube was being removed
        else:
            refuses_or_is_old(what, folder, old)
        ACTIONS[what](folder)
        assert files(folder) == files(whole), f"killed at write {n}"
    assert finished <= kills / step / 2


def test_killed_by_the_clock(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); sys.path.insert(0, "
        "sys.argv[1]);"
        "import time, numpy as np, crash_child as c, xinsar.cube as k;"
        "ds = c.make_cube(8); slow = lambda a: (time.sleep(.05), a)[1];"
        "ds['phase'] = ds.phase.copy(data=ds.phase.data.map_blocks(slow, dtype='f4', "
        "meta=np.empty((0,0,0),'f4')));"
        "print('go', flush=True); k.save_cube(ds, sys.argv[2], chunks=c.CHUNKS, progress=False)"
    )
    shutil.copy(__file__, tmp_path / "crash_child.py")
    save_cube(make_cube(8), tmp_path / "whole.zarr", chunks=CHUNKS, progress=False)
    for k, pause in enumerate((0.02, 0.4)):
        folder = tmp_path / f"{k}.zarr"
        command = [sys.executable, "-c", program, str(tmp_path), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        save_cube(make_cube(8), folder, chunks=CHUNKS, progress=False)
        assert files(folder) == files(tmp_path / "whole.zarr")


class InterruptError(Exception):
    pass


def failing_after(n: int, array: xr.DataArray) -> xr.DataArray:
    """The same values, but the block that is computed after ``n`` others raises."""
    left = [n]

    def count(block: np.ndarray) -> np.ndarray:
        left[0] -= 1
        if left[0] < 0:
            raise InterruptError
        return block

    return array.copy(data=array.data.map_blocks(count, dtype=array.dtype, meta=np.empty((0, 0, 0), "f4")))


def interrupted(folder: Path, n: int = 4) -> xr.Dataset:
    """Leave an unfinished store; returns what was to be saved."""
    ds = make_cube(6)
    broken = ds.assign(phase=failing_after(n, ds.phase))
    import dask

    with dask.config.set(scheduler="synchronous"), pytest.raises(InterruptError):
        save_cube(broken, folder, chunks=CHUNKS, progress=False)
    return ds


def test_unfinished_store_is_refused_and_named(tmp_path: Path) -> None:
    interrupted(tmp_path / "c.zarr")
    for opener in (open_cube, open_tracks):
        with pytest.raises(
            ValueError, match=r"c\.zarr is unfinished \(writing\); call save_cube again .*resume"
        ):
            opener(tmp_path / "c.zarr")


def test_resume_skips_finished_shards(tmp_path: Path) -> None:
    ds = interrupted(tmp_path / "c.zarr")
    stamps = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "c.zarr").rglob("c/*/*/*") if "journal" not in str(p)
    }
    assert 0 < len(stamps) < 24
    xr.testing.assert_equal(save_cube(ds, tmp_path / "c.zarr", chunks=CHUNKS).compute(), ds.compute())
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())


def test_resume_with_other_values_in_memory(tmp_path: Path) -> None:
    ds = interrupted(tmp_path / "c.zarr")
    ds["coherence"] = ds.coherence.copy(data=ds.coherence.values * np.float32(0.5))
    with pytest.raises(ValueError, match=r"an unfinished cube of other data \(different: coherence\)"):
        save_cube(ds, tmp_path / "c.zarr", chunks=CHUNKS)


def test_resume_with_other_computed_values(tmp_path: Path) -> None:
    ds = interrupted(tmp_path / "c.zarr", n=5)
    ds["phase"] = ds.phase * np.float32(0.5)
    ds.phase.attrs["units"] = "rad"
    with pytest.raises(ValueError, match="holds other data: 'phase' differs in block"):
        save_cube(ds, tmp_path / "c.zarr", chunks=CHUNKS)


def test_resume_with_other_chunks(tmp_path: Path) -> None:
    ds = interrupted(tmp_path / "c.zarr")
    with pytest.raises(ValueError, match=r"chunks: .* in shards of \(2, 6, 5\), asked for \(1, 6, 5\)"):
        save_cube(ds, tmp_path / "c.zarr", chunks={**CHUNKS, "pair": 1})


def test_resume_false_and_overwrite(tmp_path: Path) -> None:
    ds = interrupted(tmp_path / "c.zarr")
    with pytest.raises(FileExistsError, match="pass mode='w'"):
        save_cube(ds, tmp_path / "c.zarr", resume=False)
    other = make_cube(2, seed=7)
    xr.testing.assert_equal(save_cube(other, tmp_path / "c.zarr", mode="w").compute(), other.compute())


def test_interrupted_append_is_refused_completed_or_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "c.zarr"
    save_new(folder)
    new = make_cube(3, start=3)
    broken = new.assign(phase=failing_after(1, new.phase))
    import dask

    with dask.config.set(scheduler="synchronous"), pytest.raises(InterruptError):
        save_cube(broken, folder, append_dim="pair", mode="a")
    with pytest.raises(ValueError, match="an append was interrupted"):
        open_cube(folder)
    with pytest.raises(ValueError, match="an append was interrupted"):
        save_cube(make_cube(3), folder, chunks=WIDE)
    shorter = new.isel(pair=slice(2))
    with pytest.raises(ValueError, match="unfinished with other data"):
        save_cube(shorter, folder, append_dim="pair", mode="a")
    shutil.copytree(folder, tmp_path / "copy.zarr")
    assert save_cube(new, folder, append_dim="pair", mode="a").identical(open_cube(folder))
    xr.testing.assert_equal(open_cube(folder).compute(), make_cube(6).compute())
    replaced = save_cube(shorter, tmp_path / "copy.zarr", append_dim="pair", mode="a", resume=False)
    xr.testing.assert_equal(replaced.compute(), make_cube(5).compute())


def test_the_same_append_twice_is_one(tmp_path: Path) -> None:
    save_new(tmp_path / "c.zarr")
    append(tmp_path / "c.zarr")
    whole = files(tmp_path / "c.zarr")
    append(tmp_path / "c.zarr")
    assert files(tmp_path / "c.zarr") == whole
    with pytest.raises(ValueError, match="3 of the new pairs are in the cube already"):
        save_cube(make_cube(3, start=3), tmp_path / "c.zarr", append_dim="pair", mode="a", resume=False)


def disk_full_after(n: int) -> type:
    from zarr.storage import LocalStore

    class Full(LocalStore):
        left = n

        async def set(self, key: str, value: object) -> None:
            Full.left -= 1
            if Full.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), key)
            await super().set(key, value)

    return Full


@pytest.mark.parametrize("n", [0, 3, 25, 40])
def test_disk_full(tmp_path: Path, n: int) -> None:
    folder = tmp_path / "c.zarr"
    with pytest.raises(
        OSError, match=r"c\.zarr failed: No space left.*free some space and call save_cube again"
    ) as info:
        save_cube(make_cube(6), disk_full_after(n)(folder), chunks=CHUNKS, progress=False)
    assert info.value.errno == errno.ENOSPC
    if n:
        with pytest.raises(ValueError, match="unfinished"):
            open_cube(folder)
    xr.testing.assert_equal(save_cube(make_cube(6), folder, chunks=CHUNKS).compute(), make_cube(6).compute())


def test_file_too_large_for_the_disk(tmp_path: Path) -> None:
    """A real refusal by the system, in a shard: nothing half-written stays."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "import resource, signal, numpy as np, xarray as xr, xinsar.cube as k;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "v = np.random.default_rng(0).normal(size=(100, 100)).astype('f4');"
        "k.save_cube(xr.Dataset({'elevation': (('y', 'x'), v)}), sys.argv[1], progress=False)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c.zarr")], capture_output=True, text=True, check=False
    )
    assert out.returncode == 1
    assert "writing 'elevation', block (0, 0), to" in out.stderr
    assert "File too large" in out.stderr
    assert not list((tmp_path / "c.zarr" / "elevation").rglob("*.partial"))
    with pytest.raises(ValueError, match="unfinished"):
        open_cube(tmp_path / "c.zarr")
