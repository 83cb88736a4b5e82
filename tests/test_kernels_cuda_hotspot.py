"""CUDA twins of the hot spots: compiled, and equal to the CPU to the last bit, in the emulator and on a GPU.

Sums of whole numbers are equal whatever the order; density adds in the order of the CPU, so it is equal too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.cuda_tools import Emulator, compile_cuda, find_nvrtc
from tests.helpers import has_gpu
from xinsar.backend import Kernel
from xinsar.kernels import density, disk, exact
from xinsar.kernels.cuda import density as dense
from xinsar.kernels.cuda import launch
from xinsar.kernels.cuda.source import OPTIONS, Disc, Source

GPU = launch.Device(shared_bytes=232_448, processors=3)
SMALL = launch.Device(shared_bytes=20_000, processors=1)
ROUND_8 = (8, 7, 7, 7, 6, 6, 5, 3, 0)


# ---- sources compile


def programs() -> list[Source | Disc]:
    kinds = ("float", "double")
    sums = [launch._sums_program(kind) for kind in kinds]
    discs = [Disc(ROUND_8, 8, kind, even=even) for kind in kinds for even in (False, True)]
    largest = [Disc((16,) * 17, 11, "float", even=True), Disc((24, 20, 9), 7, "float", even=True)]
    rows = [launch.rows_program(kind, "gi_star_rows") for kind in kinds]
    points = [dense.splat_program(k, power, halves=power == 2) for k in kinds for power in (1, 2)]
    pixels = [dense.convolve_program(k, 2, reach, GPU)[0] for k in kinds for reach in ((8, 9), (900, 900))]
    return [*sums, *discs, *largest, *rows, *points, *pixels]


@pytest.mark.parametrize("program", programs(), ids=lambda p: p.file)
def test_compiles_without_a_gpu(program):
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    for target in ("sm_80", "sm_90"):
        made = compile_cuda(library, program.source(), (*OPTIONS, f"-arch={target}"))
        assert made.code == 0, made.log
        assert "warning" not in made.log
        assert made.bytes > 1000


def test_sums_in_registers_do_not_spill():
    """The speed of a disc of eight pixels rests on its sums staying in registers."""
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    options = (*OPTIONS, "-arch=sm_90", "--ptxas-options=-v")
    log = compile_cuda(library, Disc(ROUND_8, 8, "float", even=True).source(), options).log
    spilled = int(log.split(" bytes spill stores")[0].split()[-1])
    assert spilled <= 64, log


# ---- machines


@dataclass
class Machine:
    """Where twins run: how arrays get there and back."""

    there: Callable[[Any], Any]
    back: Callable[[Any], Any]

    def call(self, function: Callable[..., Any], array: Any, *args: Any, **options: Any) -> Any:
        result = function(self.there(array), *args, **options)
        return result if isinstance(result, exact.Sums | int) else self.back(result)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: the CUDA sources cannot be run by the emulator")
    return Emulator(compiler, tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def emulated(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(launch, "compiled", emulator.compiled)
    monkeypatch.setattr(launch, "device", lambda: GPU)
    return Machine(np.array, np.asarray)


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "emulated":
        return request.getfixturevalue("emulated")  # type: ignore[no-any-return]
    if not has_gpu():
        pytest.skip("no CUDA device, or CuPy is not installed")
    import cupy

    return Machine(cupy.asarray, cupy.asnumpy)


# ---- data


def field(shape: tuple[int, ...], dtype: Any = np.float32, *, gaps: float = 0.3, seed: int = 0) -> Any:
    """Noise on a slope far from zero; with gaps: scattered, and a block of them."""
    rng = np.random.default_rng(seed)
    values = (5 + rng.normal(0, 2, shape) + 0.01 * np.arange(shape[-1])).astype(dtype)
    values[rng.random(shape) < gaps] = np.nan
    if gaps:
        values[..., shape[-2] // 3 : shape[-2] // 2, : shape[-1] // 4] = np.nan
    return values


def moments_of(values: Any) -> Any:
    """The moments of each plane, (..., 4)."""
    return exact.moments(exact.partial_sums(values, (-2, -1)))[..., 0, 0, :]


def discs(radius: float, shape: tuple[int, ...], *, dy: Any = 1.0, dx: Any = 1.0) -> tuple[Any, Any]:
    ones = np.ones(shape[-2])
    return disk.half_widths(radius, dy * ones, dx * ones, shape[-2:])


def compare(machine: Machine, values: Any, table: Any, rows: Any, moments: Any = None) -> Any:
    """Assert that Gi* has the bits of the CPU, and return it."""
    moments = moments_of(values) if moments is None else moments
    wanted = disk.gi_star_numpy(values, rows, moments, table=table)
    found = machine.call(launch.gi_star, values, rows, moments, table=table)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    return wanted


# ---- exact sums


SAMPLES = {
    "noise": field((37, 301), seed=1),
    "whole": np.arange(-4000.0, 4000).reshape(40, 200),
    "constant": np.full((3, 70), 0.1),
    "missing": np.full((3, 70), np.nan),
    "nothing": np.empty((0, 5), np.float32),
    "one": np.array([[np.nan, -0.3]]),
    "zeros": np.array([[0.0, -0.0, 0.0]]),
    "tiny": np.array([[5e-324, -3e-310, 2e-300, 1e-320]]),
    "huge": np.array([[1.7e308, -1.2e308, 3e307]]),
    "extremes of float32": np.array([[3.4e38, 1e-45, -2e-40, -3e38, 1.0]], np.float32),
    "integers": np.arange(20, dtype=np.int16).reshape(4, 5),
    "wide range": np.exp(np.random.default_rng(2).normal(0, 30, (20, 333))),
    "wide range of float32": np.exp(np.random.default_rng(3).normal(0, 12, (20, 333))).astype(np.float32),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_sums_are_equal(machine, name):
    values = SAMPLES[name]
    assert machine.call(launch.exact_sums, values) == exact.sums_of(values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_many_segments(machine, dtype):
    values = field((130, 517), dtype, seed=4)[:, ::3]
    assert machine.call(launch.exact_sums, values) == exact.sums_of(values)


def test_sums_are_cut_up_into_blocks_that_cannot_overflow(machine, monkeypatch):
    monkeypatch.setattr(exact, "_FLUSH", 1000)
    values = field((50, 400), seed=5)
    assert machine.call(launch.exact_sums, values) == exact.sums_of(values)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_infinite_value_is_refused(machine, value, dtype):
    values = field((9, 90), dtype)
    values[7, 3] = value
    with pytest.raises(ValueError, match="found an infinite one"):
        machine.call(launch.exact_sums, values)


# ---- Gi*


ALIKE = [
    (1, (9, 40), np.float32),
    (2.3, (33, 300), np.float64),
    (4, (40, 257), np.float32),
    (8, (70, 531), np.float32),
    (8, (70, 532), np.float64),
    (8, (5, 7), np.float32),
    (16, (40, 70), np.float32),
    (17, (50, 41), np.float32),
]


@pytest.mark.parametrize(("radius", "shape", "dtype"), ALIKE)
def test_discs_that_are_the_same_in_all_rows(machine, radius, shape, dtype):
    values = field(shape, dtype, seed=int(radius))
    compare(machine, values, *discs(radius, shape))


@pytest.mark.parametrize(("dy", "dx"), [(0.5, 0.21), (0.2, 0.5), (1.1, 0.06)])
def test_pixels_that_are_not_square(machine, dy, dx):
    values = field((60, 90), seed=3)
    compare(machine, values, *discs(2, values.shape, dy=dy, dx=dx))


def test_small_discs_get_a_kernel_of_their_own():
    def alone(radius: float, **options: Any) -> Any:
        return launch.Discs.of(*discs(radius, (99, 99), **options), 99, 99).alone()

    assert alone(8) == ROUND_8
    assert alone(17) is None
    assert alone(8, dx=1 + 0.002 * np.arange(99)) is None
    assert alone(60) is None


def geographic(shape: tuple[int, int]) -> dict[str, Any]:
    """Sizes of pixels in degrees, on rows that change much on their way north."""
    latitude = np.linspace(60, 20, shape[0])
    return {"dy": 1.1 + 0.004 * np.sin(np.radians(latitude)), "dx": np.cos(np.radians(latitude))}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("radius", [1.2, 5.0, 13.0])
def test_discs_that_change_from_row_to_row(machine, radius, dtype):
    values = field((47, 131), dtype, seed=8)
    table, rows = discs(radius, values.shape, **geographic(values.shape))
    assert len(table) > 3 or radius < 2
    compare(machine, values, table, rows)


def test_rows_of_one_kind_in_a_table_of_many(machine):
    """A block of a geographic image: its numbers are packed as those of the whole image."""
    values = field((90, 60), seed=9)
    table, rows = discs(6, values.shape, **geographic(values.shape))
    kind = np.argmax(np.bincount(rows))
    own = np.flatnonzero(rows == kind)
    assert np.all(np.diff(own) == 1)
    compare(machine, values[own], table, rows[own], moments_of(values))


@pytest.mark.parametrize(("radius", "shape"), [(55, (120, 125)), (400, (30, 41)), (400, (41, 30))])
def test_windows_of_many_pixels_and_wider_than_the_image(machine, radius, shape):
    values = field(shape, seed=10)
    compare(machine, values, *discs(radius, shape))


@pytest.mark.parametrize("radius", [20, 55])
def test_strips_of_running_sums(machine, monkeypatch, radius):
    monkeypatch.setattr(launch, "RUNNING_BYTES", 1)
    shape = (260, 110) if radius == 55 else (170, 40)
    values = field(shape, seed=11)
    compare(machine, values, *discs(radius, shape))


def test_leading_dims_have_moments_of_their_own(machine):
    values = field((3, 2, 20, 30), seed=12)
    values[1, 0] = 0.25
    values[2, 1] = np.nan
    values[0, 1] *= 1e-3
    for radius in (3, 40):
        found = compare(machine, values, *discs(radius, values.shape))
        assert np.isnan(found[1, 0]).all()
        assert np.isfinite(found[0, 1]).any() == (radius == 3)
    shared = exact.moments(exact.partial_sums(values, (0, 1, 2, 3)))[0, 0, 0, 0]
    compare(machine, values, *discs(3, values.shape), shared)


@pytest.mark.parametrize("scale", [1e-140, 1e-40, 1e140])
def test_sizes_of_numbers_do_not_matter(machine, scale):
    values = field((12, 30), np.float64, seed=13) * scale
    assert np.isfinite(compare(machine, values, *discs(2, values.shape))).any()


def test_an_image_without_pixels(machine):
    values = np.empty((0, 4, 5), np.float32)
    found = machine.call(launch.gi_star, values, np.zeros(4, int), np.empty((0, 4)), table=np.array([[1, 0]]))
    assert found.shape == values.shape


# ---- the whole call


def hot_spots(values: Any, distance: float) -> xr.DataArray:
    coords = {"y": -10.0 * np.arange(values.shape[-2]), "x": 10.0 * np.arange(values.shape[-1])}
    array = xr.DataArray(values, dims=("time", "y", "x"), coords=coords)
    array["x"].attrs["units"] = "m"
    return xinsar.getis_ord(array, distance).hot_spot


@pytest.mark.parametrize("distance", [40, 250])
def test_getis_ord_from_beginning_to_end(emulated, monkeypatch, distance):
    values = field((2, 40, 60), seed=14)
    wanted = hot_spots(values, distance)
    monkeypatch.setattr(exact, "_sums", Kernel("emulated", numpy=launch.exact_sums))
    monkeypatch.setattr(disk, "gi_star", Kernel("emulated", numpy=launch.gi_star))
    np.testing.assert_array_equal(hot_spots(values, distance), wanted)
    chunks = {"dim_0": 1, "dim_1": 7, "dim_2": 25}
    lazy = hot_spots(xr.DataArray(values).chunk(chunks).data, distance)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("distance", [40, 250])
def test_getis_ord_on_a_gpu(distance):
    if not has_gpu():
        pytest.skip("no CUDA device, or CuPy is not installed")
    import cupy

    values = field((2, 40, 60), seed=14)
    found = hot_spots(cupy.asarray(values), distance)
    np.testing.assert_array_equal(cupy.asnumpy(found.data), hot_spots(values, distance).values)


# ---- density


def onto_grid(
    radius: float, *, halves: bool, power: int, dtype: Any, points: int = 400
) -> tuple[Any, Any, Any]:
    """Weights, places and options of points in and around a grid, some missing, some at one place."""
    rng = np.random.default_rng(int(10 * radius))
    shape = 61, 75
    weights = rng.normal(size=(2, points)).astype(dtype)
    weights[rng.random(weights.shape) < 0.1] = np.nan
    u, v = (rng.uniform(-10, n + 10, points) for n in reversed(shape))
    u[: points // 9], v[: points // 9] = 30.25, 20.5
    step, rows = 0.9 / radius, np.arange(shape[0]) / radius
    half = 0.5 + 0.001 * v if halves else None
    row_half = 0.5 + 0.001 * np.arange(shape[0]) if halves else None
    narrow = 1 / (step * (0.95 if halves else 1))
    options = {"rows": rows, "row_half": row_half, "step": step, "narrow": narrow, "reach": radius}
    options |= {"columns": shape[1], "first": 5, "last": 58, "power": power}
    return weights, (u, v, v / radius, half), {**options, "scale": density.peak(radius), "dtype": dtype}


SPLATS = [
    (1.5, 2, False, np.float32),
    (7.3, 2, False, np.float32),
    (7.3, 1, True, np.float64),
    (7.3, 2, True, np.float64),
    (40, 2, True, np.float64),
]


@pytest.mark.parametrize(("radius", "power", "halves", "dtype"), SPLATS)
def test_density_of_points(machine, radius, power, halves, dtype):
    weights, places, options = onto_grid(radius, halves=halves, power=power, dtype=dtype)
    wanted = density.splat_numpy(weights, *places, **options)
    found = machine.call(dense.splat, weights, *places, **options)
    assert found.dtype == wanted.dtype
    assert (wanted != 0).any()
    np.testing.assert_array_equal(found, wanted)


def test_density_of_no_points(machine):
    weights, places, options = onto_grid(3, halves=False, power=2, dtype=np.float32, points=0)
    found = machine.call(dense.splat, weights, *places, **options)
    assert found.shape == (2, 53, 75)
    assert not found.any()


SPREADS = [
    (0.7, 2, np.float32),
    (1.5, 2, np.float64),
    (7.3, 2, np.float32),
    (7.3, 1, np.float32),
    (90, 2, np.float32),
]


@pytest.mark.parametrize(("radius", "power", "dtype"), SPREADS)
def test_density_of_pixels(machine, radius, power, dtype):
    values = field((2, 50, 141), dtype, seed=15)
    dy, dx = np.full(60, 1 / radius), np.linspace(0.8, 1.1, 60) / radius
    reach = density.reach_of(dy, 60), density.reach_of(dx, 141)
    options = {"dy": dy, "dx": dx, "reach": reach, "power": power, "scale": density.peak(radius)}
    rows, number = np.arange(6, 56), np.array([[50.0], [0.0]])
    wanted = density.convolve_numpy(values, rows, number, **options)
    found = machine.call(dense.convolve, values, rows, number, **options)
    assert found.dtype == wanted.dtype
    assert np.isnan(wanted[1]).all()
    np.testing.assert_array_equal(found, wanted)


def test_density_where_shared_memory_is_short(emulated, monkeypatch):
    values = field((40, 141), seed=16)
    options = {"dy": np.full(40, 0.03), "dx": np.full(40, 0.03), "reach": (33, 33), "power": 2, "scale": 1.0}
    wanted = density.convolve_numpy(values, np.arange(40), np.ones(1), **options)
    for shared_bytes in (60_000, 40_000, 15_000):
        gpu = launch.Device(shared_bytes, 2)
        monkeypatch.setattr(launch, "device", lambda gpu=gpu: gpu)
        np.testing.assert_array_equal(dense.convolve(values, np.arange(40), np.ones(1), **options), wanted)
    assert dict(dense.convolve_program("float", 2, (33, 33), gpu)[0].values)["IN_MEMORY"]
    with pytest.raises(ValueError, match=r"radius: 9000 columns.*choose a smaller radius"):
        dense.convolve_program("float", 2, (9000, 9000), SMALL)


def test_valid_values_are_counted_and_infinite_ones_refused(machine):
    values = field((30, 40), seed=17)
    assert machine.call(dense.valid, values) == density.valid(values)
    values[3, 3] = np.inf
    with pytest.raises(ValueError, match=r"weights: .*infinite"):
        machine.call(dense.valid, values)


def test_kernel_density_from_beginning_to_end(emulated, monkeypatch):
    values = field((2, 30, 40), np.float64, seed=20)
    coords = {"y": -10.0 * np.arange(30), "x": 10.0 * np.arange(40)}
    array = xr.DataArray(values, dims=("time", "y", "x"), coords=coords)
    array["x"].attrs["units"] = "m"
    calls = [lambda a: xinsar.kernel_density(a, 45), lambda a: xinsar.kernel_density(a, 45, target=17)]
    wanted = [call(array).density for call in calls]
    for name in ("splat", "convolve"):
        monkeypatch.setattr(density, name, Kernel("emulated", numpy=getattr(dense, name)))
    monkeypatch.setattr(density, "valid", dense.valid)
    for call, whole in zip(calls, wanted, strict=True):
        np.testing.assert_array_equal(call(array).density, whole)
        np.testing.assert_array_equal(call(array.chunk(y=11, x=13)).density, whole)


# ---- what the emulator alone can tell


@pytest.mark.parametrize("twin", ["exact_sums", "small", "large", "convolve"])
def test_order_of_threads_does_not_matter(emulator, emulated, monkeypatch, twin):
    values = field((70, 300), seed=18)
    sizes = {"dy": np.full(70, 0.2), "dx": np.full(70, 0.2), "reach": (4, 4), "power": 2, "scale": 1.0}

    def run() -> Any:
        if twin == "exact_sums":
            return launch.exact_sums(values)
        if twin == "convolve":
            return dense.convolve(values, np.arange(70), np.ones(1), **sizes)
        table, rows = discs({"small": 5, "large": 20}[twin], values.shape)
        return launch.gi_star(values, rows, moments_of(values), table=table)

    forwards = run()
    monkeypatch.setattr(emulator, "backwards", True)
    np.testing.assert_array_equal(run(), forwards)


BARRIERS = {
    "disc": (8, "        pixels.keep(shared.words[1 - turn], mean, unit);\n            __syncthreads();"),
    "rows": (20, "shared.sums[warp] = sum;\n    __syncthreads();"),
}


@pytest.mark.parametrize("file", BARRIERS)
def test_a_missing_barrier_is_noticed(emulator, emulated, monkeypatch, file):
    """The emulator is worth something only if it fails a kernel that is wrong."""
    radius, line = BARRIERS[file]
    whole = Source.source
    assert line in whole(Source(file, "", ()))
    without = line.replace("__syncthreads();", "")
    monkeypatch.setattr(Source, "source", lambda self: whole(self).replace(line, without))
    monkeypatch.setattr(emulator, "backwards", True)
    values = field((70, 300), seed=19)
    with pytest.raises(AssertionError):
        compare(emulated, values, *discs(radius, values.shape))


# ---- launches


def test_strips_keep_all_multiprocessors_busy():
    rows = launch.strip_rows(16384, 64, 3 * 132, 20)
    assert 64 * -(-16384 // rows) <= 3 * 132
    assert launch.strip_rows(20, 1, 396, 20) == 20
    assert launch.strip_rows(4000, 16, 396, 20) < 200
