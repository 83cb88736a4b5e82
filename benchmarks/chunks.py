"""How a cube should lie on disk: chunks, codecs, packing and threads, measured on data like the real thing.

    python benchmarks/chunks.py [--pairs 32] [--size 1024] [--rounds 5] [--folder .] [--only threads]

prints the Markdown tables of docs/cube_storage.md. Candidates are timed in turns, round by round, and the
best round counts, so that a busy machine hurts all of them alike. "CPU" is the process's CPU time, decoding
threads included. Coherence: the real Mexico City stack where it is at hand ($XINSAR_TEST_DATA, else
shared/data beside the checkout), else a smooth random field, enlarged and given the noise of an estimate
from 30 looks; phase: the real fringes plus the phase noise that goes with that coherence. A tenth of the
image is missing.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from xinsar.cube.layout import PACKINGS, pack_block, unpack_block
from xinsar.cube.read import StoredArray

MPX = 1e6
CODECS = {
    "none": None,
    "LZ4 1, shuffle": ("lz4", 1, "shuffle"),
    "LZ4 5, shuffle": ("lz4", 5, "shuffle"),
    "LZ4 5, bitshuffle": ("lz4", 5, "bitshuffle"),
    "Zstd 1, shuffle": ("zstd", 1, "shuffle"),
    "Zstd 3, shuffle": ("zstd", 3, "shuffle"),
    "Zstd 3, bitshuffle": ("zstd", 3, "bitshuffle"),
}
LAYOUTS = [
    ((4, 512, 1024), (4, 128, 256)),
    ((8, 512, 1024), (8, 512, 1024)),
    ((8, 512, 1024), (8, 256, 256)),
    ((8, 512, 1024), (8, 128, 256)),
    ((8, 512, 1024), (8, 128, 128)),
    ((8, 512, 1024), (8, 64, 64)),
    ((16, 512, 512), (16, 128, 128)),
    ((4, 1024, 1024), (4, 128, 256)),
    ((8, 1024, 1024), (8, 128, 256)),
    ((16, 1024, 1024), (16, 128, 256)),
]


def data_folder() -> Path:
    named = os.environ.get("XINSAR_TEST_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return root / "mexico-city-s1-gamma-stack"


def fields(name: str, pairs: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Real rasters of one kind, enlarged; a smooth random field where there are none."""
    from scipy.ndimage import gaussian_filter, zoom

    files = sorted((data_folder() / name).glob("*.tif"))
    for k in range(pairs):
        if files:
            import rasterio

            with rasterio.open(files[k % len(files)]) as source:
                small = source.read(1)
        else:
            noise = gaussian_filter(rng.normal(size=(60, 100)), 5)
            small = noise / noise.std() * (0.2 if name == "cc" else 5) + (0.5 if name == "cc" else 0)
        yield zoom(small, (size / small.shape[0], size / small.shape[1]), order=1).astype("f4")


def make_stack(pairs: int, size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    coherence, phase = np.empty((2, pairs, size, size), "f4")
    for k, (c, p) in enumerate(
        zip(fields("cc", pairs, size, rng), fields("unw", pairs, size, rng), strict=True)
    ):
        spread = (1 - np.clip(c, 0, 1) ** 2) / np.sqrt(2 * 30)
        c = np.clip(c + spread * rng.normal(size=c.shape), 0.01, 0.99)
        noise = np.sqrt((1 - c**2) / (2 * 30 * c**2)) * rng.normal(size=c.shape)
        coherence[k], phase[k] = c, np.angle(np.exp(1j * (p + noise)))
    coherence[:, :, : size // 10] = phase[:, :, : size // 10] = np.nan
    return {"phase": phase, "coherence": coherence}


def stored(values: np.ndarray, folder: Path, shard: tuple, inner: tuple, codec: tuple | None) -> StoredArray:
    """Write ``values`` and return the reader of open_cube for them."""
    import zarr
    from zarr.codecs import BloscCodec

    compressors = None if codec is None else BloscCodec(cname=codec[0], clevel=codec[1], shuffle=codec[2])
    shutil.rmtree(folder, ignore_errors=True)
    array = zarr.create_array(
        str(folder),
        shape=values.shape,
        dtype=values.dtype,
        shards=shard,
        chunks=inner,
        compressors=compressors,
        fill_value=np.nan if values.dtype.kind == "f" else 0,
    )
    array[...] = values
    return StoredArray(array, xr.Variable(("pair", "y", "x"), np.empty((0, 0, 0), values.dtype)), str(folder))


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def shards(reader: StoredArray) -> list[tuple[slice, ...]]:
    grid = [range(0, n, s) for n, s in zip(reader.shape, reader.array.shards, strict=True)]
    corners = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, 3)
    ends = np.minimum(corners + reader.array.shards, reader.shape)
    return [
        tuple(slice(int(a), int(b)) for a, b in zip(c, e, strict=True))
        for c, e in zip(corners, ends, strict=True)
    ]


def read_all(read: Callable, keys: list) -> None:
    for key in keys:
        read(key)


class Clock:
    """Best time of many rounds, by name."""

    def __init__(self) -> None:
        self.cpu: dict[object, float] = {}
        self.wall: dict[object, float] = {}

    def time(self, name: object, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu[name] = min(cpu, self.cpu.get(name, np.inf))
        self.wall[name] = min(wall, self.wall.get(name, np.inf))


def table(head: str, rows: list[tuple]) -> None:
    columns = head.split("|")
    print("|" + "|".join(f" {c.strip()} " for c in columns) + "|")
    print("|" + "|".join("---" for _ in columns) + "|")
    for row in rows:
        print("|" + "|".join(f" {c} " for c in row) + "|", flush=True)
    print()


def codecs(stack: dict[str, np.ndarray], folder: Path, rounds: int) -> None:
    """Lossless codecs, and packed integers, at the default layout."""
    shard, inner = (8, 512, 1024), (8, 128, 256)
    kinds = dict(stack)
    kinds |= {
        f"{name}, packed": pack_block(values, PACKINGS[name], name=name) for name, values in stack.items()
    }
    clock, readers, sizes = Clock(), {}, {}
    for kind, values in kinds.items():
        for name, codec in CODECS.items():
            place = folder / f"{kind}-{name}"
            clock.time(
                ("write", kind, name), lambda v=values, p=place, c=codec: stored(v, p, shard, inner, c)
            )
            readers[kind, name] = stored(values, place, shard, inner, codec)
            sizes[kind, name] = size_of(place)
    for _ in range(rounds):
        for (kind, name), reader in readers.items():
            packing = PACKINGS[kind.split(",")[0]] if "packed" in kind else None
            full = (lambda k, r=reader, p=packing: unpack_block(r[k], p)) if packing else reader.__getitem__
            clock.time((kind, name), lambda f=full, r=reader: read_all(f, shards(r)))
            clock.time(("zarr", kind, name), lambda r=reader: read_all(r.array.__getitem__, shards(r)))
    print("Codecs: shard (8, 512, 1024), inner chunks (8, 128, 256).\n")
    px = stack["phase"].size / MPX
    rows = [
        (
            *key,
            f"{sizes[key] / px / MPX:.2f}",
            f"{px / clock.cpu['write', *key]:.0f}",
            f"{px / clock.cpu[key]:.0f}",
            f"{px / clock.cpu['zarr', *key]:.0f}",
        )
        for key in readers
    ]
    table(
        "values | codec | bytes per value | encode, M/s CPU | decode, M/s CPU | same by zarr's own reader",
        rows,
    )


def layouts(values: np.ndarray, folder: Path, rounds: int) -> None:
    """Shard and inner chunk sizes for phase with the default codec."""
    clock, readers = Clock(), {}
    for shard, inner in LAYOUTS:
        place = folder / f"layout-{shard}-{inner}"
        readers[shard, inner] = stored(values, place, shard, inner, CODECS["LZ4 5, shuffle"])
    middle = values.shape[1] // 2 + 3
    for _ in range(rounds):
        for key, reader in readers.items():
            clock.time(("all", key), lambda r=reader: read_all(r.__getitem__, shards(r)))
            clock.time(("zarr", key), lambda r=reader: read_all(r.array.__getitem__, shards(r)))
            clock.time(("map", key), lambda r=reader: r[3:4, :, :])
            clock.time(("time", key), lambda r=reader: r[:, middle : middle + 1, middle : middle + 1])
    print(f"Layouts: phase of shape {values.shape}, LZ4 5 with byte shuffle.\n")
    rows = []
    for key in LAYOUTS:
        whole = np.prod(key[0]) * 4 / 2**20
        rows.append(
            (
                key[0],
                f"{whole:.0f}",
                key[1],
                f"{values.size / MPX / clock.cpu['all', key]:.0f}",
                f"{values.size / MPX / clock.cpu['zarr', key]:.0f}",
                f"{clock.wall['map', key] * 1e3:.0f}",
                f"{clock.wall['time', key] * 1e3:.1f}",
            )
        )
    table(
        "shard | MiB decoded | inner chunk | decode, M/s CPU | same by zarr's own reader | one map, ms | "
        "one pixel through all pairs, ms",
        rows,
    )


def threads(stack: dict[str, np.ndarray], folder: Path, rounds: int) -> None:
    """Size of zarr's thread pool, each in a fresh process since the pool is made once."""
    import subprocess
    import sys

    values = folder / "values.npy"
    np.save(values, stack["phase"])
    program = (
        "import sys, time, shutil, numpy as np, zarr, dask.array as da, xarray as xr;"
        "n = int(sys.argv[1]); zarr.config.set({'threading.max_workers': n or None});"
        "import xinsar.cube.place as p; p.quiet_threads = lambda: None;"
        "import xinsar.cube.write as w, xinsar.cube.read as r; w.quiet_threads = r.quiet_threads = "
        "lambda: None;"
        "v = np.load(sys.argv[2]); ds = xr.Dataset({'values': (('look', 'y', 'x'), v)}).chunk(look=8, y=512);"
        "c, t = time.process_time(), time.perf_counter();"
        "out = w.save_cube(ds, sys.argv[3], mode='w', progress=False);"
        "c, t = time.process_time() - c, time.perf_counter() - t;"
        "d, u = time.process_time(), time.perf_counter(); z = zarr.open_group(sys.argv[3])['values'];"
        "da.from_array(z, chunks=z.shards).max().compute();"
        "print(c, t, time.process_time() - d, time.perf_counter() - u)"
    )
    best: dict[int, np.ndarray] = {}
    counts = sorted({0, 1, os.cpu_count() or 1, 2 * (os.cpu_count() or 1)})
    for _ in range(max(rounds // 2, 2)):
        for n in counts:
            out = subprocess.run(
                [sys.executable, "-c", program, str(n), str(values), str(folder / "t.zarr")],
                capture_output=True,
                text=True,
                check=True,
            )
            times = np.array(out.stdout.split(), float)
            best[n] = np.minimum(times, best.get(n, np.inf))
    print("Threads of zarr's pool beside dask's: writing, and reading by zarr's own reader, phase only.\n")
    rows = [(n or "zarr's default", *(f"{v:.2f}" for v in best[n])) for n in counts]
    table("threads | write, CPU s | write, s | read, CPU s | read, s", rows)


def packing(stack: dict[str, np.ndarray]) -> None:
    """What rounding to integers adds, against the noise that is there."""
    rows = []
    for name, values in stack.items():
        its = PACKINGS[name]
        error = unpack_block(pack_block(values, its, name=name), its) - values
        c = np.float64(stack["coherence"])
        noise = np.sqrt((1 - c**2) / (2 * 30 * c**2)) if name == "phase" else (1 - c**2) / np.sqrt(2 * 30)
        quiet = np.nanpercentile(noise, 1)
        rows.append(
            (
                name,
                its.dtype,
                f"{its.scale:.2e}",
                f"{np.nanstd(error):.1e}",
                f"{quiet:.1e}",
                f"{quiet / np.nanstd(error):.0f}",
            )
        )
    print(
        "Packing: standard deviation added by rounding, against the noise of the quietest 1 % of the "
        "pixels (30 looks).\n"
    )
    table("variable | integers | step | rounding | noise | noise / rounding", rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--only", choices=["codecs", "packing", "layouts", "threads"])
    args = parser.parse_args()
    import numcodecs
    import zarr

    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, "
        f"zarr {zarr.__version__}, numcodecs {numcodecs.__version__}, numpy {np.__version__}, "
        f"{time.strftime('%Y-%m-%d')}; real data: {'yes' if data_folder().is_dir() else 'no'}\n"
    )
    stack = make_stack(args.pairs, args.size)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        parts = {
            "codecs": lambda: codecs({name: v[:16] for name, v in stack.items()}, folder, args.rounds),
            "packing": lambda: packing({name: v[:8] for name, v in stack.items()}),
            "layouts": lambda: layouts(stack["phase"], folder, args.rounds),
            "threads": lambda: threads(stack, folder, args.rounds),
        }
        for part, run in parts.items():
            if args.only in (None, part):
                run()


if __name__ == "__main__":
    main()
