"""CUDA twins of motion and series: compiled, and equal to the CPU to the last bit in the emulator; close on a GPU.

The emulator runs them on NumPy arrays, and through the public calls on a stand-in for CuPy.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.namedarray import pycompat

import xinsar
from tests import fake_cupy
from tests.cuda_tools import Emulator, compile_cuda, find_nvrtc
from tests.helpers import close_to, has_gpu, make_cube
from xinsar.backend import beside
from xinsar.kernels import cuda, los, months, network, regression
from xinsar.kernels.cuda import launch, series
from xinsar.kernels.cuda import los as looks_there
from xinsar.kernels.cuda import network as pairs_there
from xinsar.kernels.cuda.source import OPTIONS, Source
from xinsar.kernels.network import Network

LARGE = launch.Device(shared_bytes=232_448, processors=3)
SMALL = launch.Device(shared_bytes=12_000, processors=2)
KINDS = (los.EAST_UP, los.EVERY, los.ALONG_ASPECT, los.ALONG_SURFACE, los.DOWNSLOPE)

# ---- sources compile


def band(dates: int, far: int) -> Network:
    """Pairs of dates up to ``far`` apart."""
    pairs = [(i, j) for i in range(dates) for j in range(i + 1, min(i + far + 1, dates))]
    return Network(tuple((np.arange(dates) / 30).tolist()), tuple(pairs))


def inversion(kind: str, net: Network, gpu: launch.Device = LARGE, *, weighted: bool, again: bool) -> Source:
    values = {"VALUE": kind, "COHERENCE": "float", "WEIGHTED": int(weighted)}
    tables, dates = pairs_there.tables_of(net, 12), len(net.years)
    return pairs_there.network_program(values, tables, dates, gpu, again=again)[0]


def motion(kind: int, number: int, dtype: str) -> Source:
    return looks_there.los_program("motion", dtype, number, kind, weighted=True, known=True, checked=True)


PROGRAMS: dict[str, Callable[[], Source]] = {
    "two looks": lambda: motion(los.EAST_UP, 2, "f4"),
    "three looks": lambda: motion(los.EAST_UP, 3, "f8"),
    "four looks": lambda: motion(los.EVERY, 4, "f4"),
    "along the aspect": lambda: motion(los.ALONG_ASPECT, 2, "f8"),
    "along the surface": lambda: motion(los.ALONG_SURFACE, 3, "f4"),
    "down the slope": lambda: motion(los.DOWNSLOPE, 1, "f4"),
    "most looks": lambda: motion(los.EVERY, looks_there.MOST_LOOKS, "f4"),
    "network": lambda: inversion("float", band(60, 4), weighted=True, again=False),
    "network, float64": lambda: inversion("double", band(60, 4), weighted=False, again=False),
    "network, again": lambda: inversion("float", band(60, 4), weighted=True, again=True),
    "wide network": lambda: inversion("float", band(120, 60), weighted=True, again=False),
    "velocity": lambda: series.regression_program("float", 2),
    "velocity, seasons": lambda: series.regression_program("double", 6),
    "velocity, steps": lambda: series.regression_program("float", 20),
    "months": lambda: series.months_program("double", 61),
}


@pytest.fixture(scope="module")
def nvrtc() -> Any:
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    return library


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiles_without_a_gpu(nvrtc, name):
    for target in ("sm_80", "sm_90"):
        made = compile_cuda(nvrtc, PROGRAMS[name]().source(), (*OPTIONS, f"-arch={target}"))
        assert made.code == 0, made.log
        assert "warning" not in made.log
        assert made.bytes > 1000


@pytest.mark.parametrize("name", ["two looks", "three looks", "four looks", "velocity"])
def test_operators_stay_in_registers(nvrtc, name):
    options = (*OPTIONS, "-arch=sm_90", "--ptxas-options=-v")
    log = compile_cuda(nvrtc, PROGRAMS[name]().source(), options).log
    assert log.count(" 0 bytes spill stores") == log.count(" bytes spill stores") > 0, log


def test_a_network_of_many_edges_has_its_state_in_memory():
    wide, narrow = (dict(PROGRAMS[name]().values) for name in ("wide network", "network"))
    assert (wide["IN_MEMORY"], narrow["IN_MEMORY"]) == (1, 0)


def test_rows_beyond_65535_are_counted_too(emulated, monkeypatch):
    monkeypatch.setattr(pairs_there, "_ROWS", 70_000)
    assert pairs_there.tables_of(band(5, 2), 70_000).updates.dtype == np.int32
    net = band(5, 2)
    compare_network(emulated, net, *unwrapped(net, (20,), gaps=0.5))


# ---- machines


@dataclass
class Machine:
    """Where twins run: how arrays get there and back, and how results are compared with the CPU's."""

    there: Callable[[Any], Any]
    back: Callable[[Any], Any]
    exact: bool

    def compare(self, found: Any, wanted: Any) -> None:
        """Assert equal bits in the emulator, the tolerance between processors on a GPU."""
        found, wanted = (r if isinstance(r, tuple) else (r,) for r in (found, wanted))
        for a, b in zip(map(self.back, found), wanted, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            if self.exact:
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(np.signbit(a), np.signbit(b))
            else:
                close_to(a, b, angle=False)

    def all_there(self, arrays: Any) -> list[Any]:
        return [self.there(a) for a in arrays]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: the CUDA sources cannot be run by the emulator")
    return Emulator(compiler, tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def emulated(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(launch, "compiled", emulator.compiled)
    monkeypatch.setattr(launch, "device", lambda: LARGE)
    return Machine(np.array, np.asarray, exact=True)


def on_gpu() -> Machine:
    if not has_gpu():
        pytest.skip("no CUDA device, or CuPy is not installed")
    import cupy

    return Machine(cupy.asarray, cupy.asnumpy, exact=False)


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def machine(request: pytest.FixtureRequest) -> Machine:
    return request.getfixturevalue("emulated") if request.param == "emulated" else on_gpu()


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def with_cupy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with CuPy arrays, for the public calls."""
    if request.param == "gpu":
        return on_gpu()
    request.getfixturevalue("emulated")
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module())
    monkeypatch.setattr(pycompat, "_cached_duck_array_modules", {}, raising=False)
    return Machine(fake_cupy.ndarray, lambda a: a.get(), exact=True)


# ---- looks

ANGLES = ((348.0, 39.0), (192.0, 37.0), (75.0, 30.0), (260.0, 45.0))


def vectors(look: tuple[float, float], shape: tuple[int, int], rng: Any) -> Any:
    """Unit vectors (3, y, x) whose heading and incidence change from pixel to pixel."""
    a, i = np.radians(np.array(look)[:, None, None] + rng.uniform(-3, 3, (2, *shape)))
    return np.stack([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def looks(
    number: int, shape: tuple[int, ...], dtype: Any = np.float32, *, gaps: float = 0.2
) -> dict[str, Any]:
    """What looks saw, with gaps and unusable vectors and weights, as motion_numpy takes it."""
    rng = np.random.default_rng(number)
    plane = shape[-2:]
    data = [rng.normal(0, 0.02, shape).astype(dtype) for _ in range(number)]
    for values in data:
        values[rng.random(shape) < gaps] = np.nan
    seen = [vectors(ANGLES[k % 4], plane, rng).astype(dtype) for k in range(number)]
    weights = [rng.uniform(0.1, 9, plane) for _ in range(number)]
    seen[0][:, :1, :1] = np.nan
    for column, value in enumerate((0.0, -1.0, np.inf, np.nan), start=1):
        weights[-1][:1, column : column + 1] = value
    terrain = [rng.uniform(0, 45, plane).astype(np.float32), rng.uniform(0, 360, plane).astype(np.float32)]
    terrain[1][-1:, -1:] = np.nan
    variances = [rng.uniform(1e-6, 1e-4, plane) for _ in range(number)]
    return {"data": data, "looks": seen, "weights": weights, "variances": variances, "terrain": terrain}


def compare_looks(machine: Machine, given: dict[str, Any], **options: Any) -> Any:
    """Assert that motion and geometry are those of the CPU, and return its motion."""
    data, seen = given["data"], given["looks"]
    tables = {name: given.get(name, ()) for name in ("weights", "variances", "terrain")}
    there = {name: machine.all_there(maps) for name, maps in tables.items()}
    first, *others = machine.all_there(data)
    wanted = los.motion_numpy(data[0], data[1:], seen, **tables, **options)
    machine.compare(cuda.motion(first, others, machine.all_there(seen), **there, **options), wanted)
    options = {k: v for k, v in options.items() if k in ("kind", "limit")} | {"dtype": data[0].dtype}
    first, *others = machine.all_there(seen)
    found = cuda.geometry(first, others, **there, **options)
    machine.compare(found, los.geometry_numpy(seen[0], seen[1:], **tables, **options))
    return wanted


CASES = [
    (0, "f4", ()),
    (1, "f8", ()),
    (1, "f4", ("weights", "variances")),
    (2, "f4", ("weights",)),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("more", "dtype", "extras"), CASES)
def test_looks_of_every_kind(machine, kind, more, dtype, extras):
    number = los.UNKNOWNS[kind] + more
    given = looks(number, (3, 6, 30), dtype)
    given = {n: v for n, v in given.items() if n in ("data", "looks", "terrain", *extras)}
    least = 0.3 if kind == los.DOWNSLOPE else 0.0
    motion = compare_looks(machine, given, kind=kind, limit=8.0, least=least)[0]
    assert 0.1 < np.isfinite(motion).mean() < 1


def test_variances_without_weights(machine):
    given = looks(3, (2, 5, 7))
    compare_looks(machine, {n: v for n, v in given.items() if n != "weights"}, kind=los.EAST_UP, limit=10.0)


def test_nine_looks(machine):
    """More than fit into registers."""
    compare_looks(machine, looks(9, (4, 3, 5)), kind=los.EVERY, limit=10.0)


def test_float32_beside_float64(machine):
    given = looks(3, (2, 4, 6))
    given["data"][1] = given["data"][1].astype(np.float64)
    compare_looks(machine, given, kind=los.EAST_UP, limit=10.0)


@pytest.mark.parametrize("shape", [(1, 1), (40, 1, 1), (2, 3, 5, 7), (0, 4, 5), (9, 20, 33)])
@pytest.mark.parametrize("number", [2, 3])
def test_shapes_of_looks(machine, shape, number):
    compare_looks(machine, looks(number, shape), kind=los.EAST_UP, limit=10.0)


def test_looks_without_pixels(machine):
    given = looks(3, (4, 0, 5))
    first, *others = machine.all_there(given["data"])
    found = cuda.motion(first, others, machine.all_there(given["looks"]), kind=los.EAST_UP)
    assert [a.shape for a in found] == [(4, 2, 0, 5), (4, 2, 0, 5), (4, 0, 5), (4, 0, 5)]


def test_epochs_are_shared_where_pixels_are_few(emulated, monkeypatch):
    monkeypatch.setattr(launch, "device", lambda: launch.Device(LARGE.shared_bytes, 132))
    assert looks_there._shares(30, 50) == (1, 4, 13)
    assert looks_there._shares(4_000_000, 50)[1:] == (1, 50)
    for number in (2, 3):
        compare_looks(emulated, looks(number, (50, 3, 10)), kind=los.EAST_UP, limit=10.0)


def test_memory_for_the_motion_is_used(machine):
    given = looks(2, (5, 4, 6))
    first, second = machine.all_there(given["data"])
    out = machine.there(np.zeros((5, 2, 24), np.float32))
    (found,) = cuda.motion(first, [second], machine.all_there(given["looks"]), kind=los.EAST_UP, out=out)
    machine.compare(out.reshape(found.shape), machine.back(found))


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v * 0.9, r"los: expected unit vectors.*length 0.9"),
        (lambda v: -v, r"los: .*up component of -0"),
    ],
    ids=["short", "down"],
)
def test_vectors_that_are_not_unit_or_point_down(machine, number, change, message):
    given = looks(number, (2, 20, 30))
    given["looks"][1][:, 17, 3] = change(given["looks"][1][:, 17, 3])
    first, *others = machine.all_there(given["data"])
    vectors_there = machine.all_there(given["looks"])
    with pytest.raises(ValueError, match=message):
        cuda.motion(first, others, vectors_there, kind=los.EAST_UP)
    with pytest.raises(ValueError, match=message):
        cuda.geometry(vectors_there[0], vectors_there[1:], kind=los.EAST_UP, limit=10.0, dtype=np.float32)
    cuda.motion(first, others, vectors_there, kind=los.EAST_UP, checked=False)


def test_vectors_that_are_nearly_unit_pass(machine):
    given = looks(2, (2, 5, 6))
    given["looks"][1] *= np.float32(0.9903)
    compare_looks(machine, given, kind=los.EAST_UP, limit=10.0)


def test_too_many_looks_for_a_gpu():
    one = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match=r"tracks: expected 32 or fewer on a GPU, got 33; choose some"):
        cuda.motion(one, [one] * 32, [np.zeros((3, 1, 1), np.float32)] * 33, kind=los.EAST_UP)


# ---- networks


def meshed(dates: int, pairs: int) -> Network:
    """Neighbours in time, and pairs drawn at random: many edges arise."""
    rng = np.random.default_rng(dates)
    rest = [(i, j) for i in range(dates) for j in range(i + 2, dates)]
    more = [rest[i] for i in rng.permutation(len(rest))[: pairs - dates + 1]]
    years = np.cumsum(rng.choice([6, 12, 24], dates)) / 365.25
    return Network(tuple(years.tolist()), tuple([(i, i + 1) for i in range(dates - 1)] + more))


def unwrapped(net: Network, shape: tuple[int, ...], dtype: Any = np.float32, *, gaps: float = 0.2) -> Any:
    """Phase and coherence of pairs with gaps, and the phase of each pair at the reference."""
    rng = np.random.default_rng(len(net.pairs))
    shape = len(net.pairs), *shape
    phase, coherence = rng.normal(0, 5, shape).astype(dtype), rng.uniform(0, 1, shape).astype(dtype)
    phase[rng.random(shape) < gaps] = np.nan
    coherence[rng.random(shape) < gaps / 3] = np.nan
    coherence[rng.random(shape) < gaps / 3] = 0
    return phase, coherence, rng.normal(size=shape[0])


def compare_network(machine: Machine, net: Network, phase: Any, coherence: Any, shift: Any) -> Any:
    options = {"network": net, "scale": -0.004}
    wanted = network._numpy(phase, coherence, shift, **options)
    given = (machine.there(phase), None if coherence is None else machine.there(coherence), shift)
    machine.compare(cuda.invert_network(*given, **options), wanted)
    return wanted


NETWORKS = [
    (meshed(11, 22), (133,), 0.0),
    (meshed(11, 22), (9, 15), 0.5),
    (meshed(11, 22), (70,), 0.85),
    (meshed(60, 200), (33,), 0.1),
    (band(40, 4), (3, 21), 0.6),
    (band(2, 1), (5,), 0.2),
    (band(3, 1), (1,), 0.0),
]


@pytest.mark.parametrize(("net", "shape", "gaps"), NETWORKS)
@pytest.mark.parametrize("weighted", [True, False])
def test_networks(machine, net, shape, gaps, weighted):
    phase, coherence, shift = unwrapped(net, shape, gaps=gaps)
    parts = compare_network(machine, net, phase, coherence if weighted else None, shift)[3]
    assert (parts.max() > 1) == (gaps > 0.2)


def test_kinds_of_numbers(machine):
    net = meshed(11, 22)
    phase, coherence, shift = unwrapped(net, (40,), np.float64)
    shift[4] = np.nan
    compare_network(machine, net, phase, coherence, shift)
    compare_network(machine, net, phase.astype("f4"), coherence, shift)
    compare_network(machine, net, np.round(np.nan_to_num(phase)).astype("i2"), coherence, shift)
    turned = np.asfortranarray(phase.reshape(22, 8, 5))
    compare_network(machine, net, turned, None, np.zeros(22))
    compare_network(machine, net, phase[:, :0], None, np.zeros(22))


def test_weights_of_any_size(machine):
    net = band(40, 3)
    phase, coherence, shift = unwrapped(net, (50,), gaps=0.0)
    compare_network(
        machine, net, phase, np.where(coherence < 0.5, np.float32(0.01), np.float32(0.999)), shift
    )


def test_a_pair_twice(machine):
    """Both feed one edge, in their order."""
    net = Network((0.0, 0.1, 0.3), ((0, 1), (1, 2), (0, 1), (0, 1)))
    compare_network(machine, net, *unwrapped(net, (20,)))


def scattered() -> tuple[Network, Any]:
    """A network of twelve parts and more, pixel by pixel others."""
    couples = [(2 * i, 2 * i + 1) for i in range(13)]
    net = Network(tuple(np.arange(26) / 10), (*couples, (1, 2), (7, 12)))
    phase, _, _ = unwrapped(net, (5, 9), gaps=0.0)
    phase[:, np.random.default_rng(0).random(phase.shape[1:]) < 0.2] = np.nan
    phase[:13][np.random.default_rng(1).random((13, 5, 9)) < 0.2] = np.nan
    phase[:, 2, 2:5] = np.nan
    phase[:3, 2, 2:4] = 1.5
    return net, phase


def test_more_parts_than_there_is_room_for(machine):
    net, phase = scattered()
    parts = compare_network(machine, net, phase, None, np.zeros(15))[3]
    assert {0, 3} < set(parts.ravel().tolist())
    assert parts.max() > 8


@pytest.mark.parametrize("case", ["edges", "parts"])
def test_state_in_memory(emulated, monkeypatch, case):
    """As on the whole GPU where shared memory is short."""
    monkeypatch.setattr(launch, "device", lambda: SMALL)
    monkeypatch.setattr(pairs_there, "STATE_BYTES", 1)
    if case == "parts":
        net, phase = scattered()
        compare_network(emulated, net, phase, None, np.zeros(15))
    else:
        net = meshed(30, 90)
        assert dict(inversion("float", net, SMALL, weighted=True, again=False).values)["IN_MEMORY"]
        compare_network(emulated, net, *unwrapped(net, (50,), gaps=0.4))


def test_more_dates_than_the_stage_has_room_for(machine):
    net = band(150, 1)
    compare_network(machine, net, *unwrapped(net, (20,), gaps=0.02))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([(0, 7, 60, np.inf)], "unwrapped_phase: .*infinite"),
        ([(1, 7, 60, 1.5)], "coherence: .*0..1"),
        ([(1, 7, 60, -0.1)], "coherence: "),
        ([(1, 7, 60, 2.0), (0, 20, 61, np.inf)], "unwrapped_phase: "),
        ([(0, 7, 60, np.inf), (1, 20, 61, 2.0)], "coherence: "),
        ([(0, 7, 60, -np.inf), (1, 20, 3, 2.0)], "coherence: "),
        ([(0, 7, 3, np.inf), (1, 20, 60, 2.0)], "unwrapped_phase: "),
        ([(1, 7, 60, 2.0), (0, 7, 60, np.inf)], "unwrapped_phase: "),
    ],
)
def test_illegal_values_are_named_as_on_the_cpu(machine, wrong, message, weighted):
    net = meshed(11, 22)
    data = unwrapped(net, (70,), gaps=0.1)
    for which, pair, pixel, value in wrong:
        data[which][pair, pixel] = value
    phase, coherence, shift = data[0], data[1] if weighted else None, data[2]
    if not weighted and not np.isinf(phase).any():
        compare_network(machine, net, phase, coherence, shift)
        return
    message = message if weighted else "unwrapped_phase: "
    given = (machine.there(phase), None if coherence is None else machine.there(coherence), shift)
    for run, arrays in ((network._numpy, (phase, coherence, shift)), (cuda.invert_network, given)):
        with pytest.raises(ValueError, match=message):
            run(*arrays, network=net, scale=1.0)


# ---- rates


@pytest.mark.parametrize("functions", [2, 5, 11])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regression(machine, functions, dtype):
    rng = np.random.default_rng(functions)
    t = np.sort(rng.uniform(0, 4, 40))
    columns = [np.ones(40), t, *(f(2 * np.pi * k * t) for k in range(1, 6) for f in (np.sin, np.cos))]
    basis, row = regression.orthonormal(np.array(columns[:functions]), 1)
    data = rng.normal(size=(40, 3, 50)).astype(dtype)
    data[rng.random(data.shape) < 0.4] = np.nan
    data[functions:, 0, :5], data[functions - 1 :, 0, 5:9], data[:, 0, 9] = np.nan, np.nan, np.nan
    wanted = regression._numpy(data, basis=basis, row=row)
    machine.compare(cuda.regression(machine.there(data), basis=basis, row=row), wanted)
    assert np.isfinite(wanted[0]).any()
    assert np.isnan(wanted[1][0, :10]).all()
    empty = cuda.regression(machine.there(data[:, :, :0]), basis=basis, row=row)
    assert empty[0].shape == (3, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_monthly_velocity(machine, dtype):
    rng = np.random.default_rng(3)
    starts = np.arange(15.0, 1190, 30.5)
    days = np.sort(rng.choice(1200, 90, replace=False)).astype(float)
    days[7] = starts[2]
    data = rng.normal(size=(90, 2, 70)).astype(dtype)
    data[rng.random(data.shape) < 0.3] = np.nan
    data[:, 0, 3], data[1:, 0, 4], data[10:, 0, 5] = np.nan, np.nan, np.nan
    options = {"days": np.sort(days), "starts": starts, "max_gap": 45.0, "year": 365.25}
    wanted = months._numpy(data, **options)
    machine.compare(cuda.monthly_velocity(machine.there(data), **options), wanted)
    assert 0.2 < np.isfinite(wanted).mean() < 0.9


# ---- the public calls on CuPy arrays

SHAPE = (5, 7)
NORTH = ("zero", "solve", "aspect", "surface", "given")


def track(look: tuple[float, float], *, seed: int, epochs: int = 0, per_pixel: bool = True) -> xr.Dataset:
    """A track of random motion, velocity or series, with gaps; vectors for each pixel, or attributes."""
    rng = np.random.default_rng(seed)
    shape = (epochs, *SHAPE) if epochs else SHAPE
    values = rng.normal(0, 0.02, shape).astype(np.float32)
    values[rng.random(shape) < 0.2] = np.nan
    name, dims = ("displacement", ("time", "y", "x")) if epochs else ("velocity", ("y", "x"))
    ds = xr.Dataset({name: (dims, values, {"units": "m" if epochs else "m year-1"})})
    ds["temporal_coherence"] = ("y", "x"), rng.uniform(0.2, 1, SHAPE).astype(np.float32)
    ds["slope"] = ("y", "x"), rng.uniform(5, 45, SHAPE).astype(np.float32), {"units": "degree"}
    ds["aspect"] = ("y", "x"), rng.uniform(0, 360, SHAPE).astype(np.float32), {"units": "degree"}
    if epochs:
        ds["time"] = np.datetime64("2020-01-01", "ns") + 12 * np.arange(epochs) * np.timedelta64(1, "D")
    else:
        ds["velocity_sigma"] = ("y", "x"), rng.uniform(0.001, 0.01, SHAPE).astype(np.float32)
    if per_pixel:
        ds["los"] = ("component", "y", "x"), vectors(look, SHAPE, rng).astype(np.float32), {"units": "1"}
        return ds
    return ds.assign_attrs(heading=look[0], incidence=look[1])


def send(machine: Machine, ds: Any) -> Any:
    """Return the same data on the machine."""
    if isinstance(ds, xr.DataArray):
        return ds.copy(data=machine.there(ds.values))
    return ds.copy(data={name: machine.there(v.values) for name, v in ds.data_vars.items()})


def compare_call(
    machine: Machine, call: Callable[..., xr.Dataset], *given: Any, chunks: dict[str, int] | None = None
) -> None:
    """Assert that a call gives on CuPy arrays, or on chunks of them, what it gives on NumPy's, on the machine."""
    there = [send(machine, ds) for ds in given]
    wanted, found = call(*given), call(*(ds.chunk(chunks) if chunks else ds for ds in there))
    found = found.compute(scheduler="synchronous")
    assert list(found) == list(wanted)
    assert found.attrs == wanted.attrs
    for name in wanted:
        assert (found[name].dims, found[name].attrs) == (wanted[name].dims, wanted[name].attrs)
        assert not isinstance(found[name].data, np.ndarray), f"{name} came back to the CPU"
        machine.compare(found[name].data, wanted[name].values)


@pytest.mark.parametrize("north", NORTH)
@pytest.mark.parametrize(("epochs", "number"), [(0, 2), (4, 3)])
@pytest.mark.parametrize("per_pixel", [True, False])
def test_decompose_los(with_cupy, north, epochs, number, per_pixel):
    number += north == "solve"
    tracks = [track(a, seed=k, epochs=epochs, per_pixel=per_pixel) for k, a in enumerate(ANGLES[:number])]
    if north != "given":
        compare_call(with_cupy, lambda *t: xinsar.decompose_los(*t, north=north), *tracks)
        return
    name = "displacement" if epochs else "velocity"
    given = tracks[0][name] * 0.5
    given.attrs["units"] = tracks[0][name].attrs["units"]
    compare_call(with_cupy, lambda g, *t: xinsar.decompose_los(*t, north=g), given, *tracks)


@pytest.mark.parametrize("weights", ["sigma", "coherence"])
def test_decompose_los_with_weights(with_cupy, weights):
    tracks = [track(a, seed=k) for k, a in enumerate(ANGLES[:3])]
    compare_call(with_cupy, lambda *t: xinsar.decompose_los(*t, weights=weights), *tracks)


def test_vectors_of_pixels_may_lie_on_the_cpu(with_cupy):
    tracks = [track(a, seed=k) for k, a in enumerate(ANGLES[:2])]
    found = xinsar.decompose_los(*(send(with_cupy, t).assign(los=t.los) for t in tracks))
    wanted = xinsar.decompose_los(*tracks)
    for name in wanted:
        with_cupy.compare(found[name].data, wanted[name].values)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("per_pixel", [True, False])
def test_to_slope(with_cupy, number, per_pixel):
    tracks = [track(a, seed=k, per_pixel=per_pixel) for k, a in enumerate(ANGLES[:number])]
    compare_call(with_cupy, xinsar.to_slope, *tracks)
    if number > 1:
        compare_call(with_cupy, lambda *t: xinsar.to_slope(*t, method="published"), *tracks)
        motion = xinsar.decompose_los(*tracks)[["motion"]].assign(tracks[0][["slope", "aspect"]])
        compare_call(with_cupy, xinsar.to_slope, motion)


def test_arrays_are_brought_beside_another(with_cupy):
    there = with_cupy.there(np.zeros(3))
    repeated = np.broadcast_to(np.array([1.0, 2.0])[:, None, None], (2, 4, 5))
    found = beside(repeated, there)
    assert type(found) is type(there)
    with_cupy.compare(found, repeated)
    assert found.strides[1:] == (0, 0), "sent once"
    assert beside(there, there) is there
    assert beside(repeated, np.zeros(3)) is repeated


def pairs_of_a_cube() -> xr.Dataset:
    rng = np.random.default_rng(5)
    days = [(12 * i, 12 * j) for i in range(9) for j in range(i + 1, min(i + 4, 9))]
    phase, coherence = rng.normal(0, 4, (len(days), *SHAPE)), rng.uniform(0.2, 1, (len(days), *SHAPE))
    phase[:, :3][rng.random((len(days), 3, SHAPE[1])) < 0.3] = np.nan
    cube = make_cube(phase, coherence, days=days, name="unwrapped_phase")
    levers = rng.normal(0, 100, 9)
    baselines = [levers[j // 12] - levers[i // 12] for i, j in days]
    return cube.assign_coords(perpendicular_baseline=("pair", baselines, {"units": "m"}))


@pytest.mark.parametrize("weights", ["coherence", "uniform"])
@pytest.mark.parametrize("dem_error", [True, False])
def test_invert_network(with_cupy, weights, dem_error):
    def call(ds: xr.Dataset) -> xr.Dataset:
        return xinsar.invert_network(ds, weights=weights, reference=None, dem_error=dem_error)

    compare_call(with_cupy, call, pairs_of_a_cube())


@pytest.mark.parametrize("reference", ["auto", "point", "area"])
def test_invert_network_from_a_reference(with_cupy, reference):
    cube = pairs_of_a_cube()
    point = float(cube.x[3]), float(cube.y[4])
    places = {"auto": "auto", "point": point, "area": (point, (float(cube.x[5]), float(cube.y[3])))}
    compare_call(with_cupy, lambda ds: xinsar.invert_network(ds, reference=places[reference]), cube)


def test_rates_of_series(with_cupy):
    ds = track(ANGLES[0], seed=7, epochs=60)[["displacement"]]
    compare_call(with_cupy, xinsar.velocity, ds)
    compare_call(with_cupy, lambda d: xinsar.velocity(d, seasonal="annual", steps="2020-09-01"), ds)
    compare_call(with_cupy, xinsar.monthly_velocity, ds)


@pytest.mark.parametrize("per_pixel", [True, False])
def test_chunks_on_a_gpu(with_cupy, per_pixel):
    tracks = [track(a, seed=k, epochs=3, per_pixel=per_pixel) for k, a in enumerate(ANGLES[:2])]
    compare_call(with_cupy, xinsar.decompose_los, *tracks, chunks={"y": 2})
    given = (tracks[0].displacement * 0.5).assign_attrs(units="m")
    call = lambda g, *t: xinsar.decompose_los(*t, north=g)  # noqa: E731
    compare_call(with_cupy, call, given, *tracks, chunks={"y": 2})
    if per_pixel:
        compare_call(with_cupy, xinsar.invert_network, pairs_of_a_cube(), chunks={"y": 2, "x": 3})
        compare_call(with_cupy, xinsar.velocity, tracks[0][["displacement"]], chunks={"y": 2})


# ---- what the emulator alone can tell


def test_order_of_threads_does_not_matter(emulator, emulated, monkeypatch):
    monkeypatch.setattr(emulator, "backwards", True)
    net = meshed(11, 22)
    compare_network(emulated, net, *unwrapped(net, (33,), gaps=0.5))
    net, phase = scattered()
    compare_network(emulated, net, phase, None, np.zeros(15))


BARRIERS = {
    "pairs of a turn": "weight * data;\n        __syncthreads();",
    "a date that is eliminated": "p++) {\n        __syncthreads();",
    "a tile that is solved": "origin(tile, plan);\n        }\n        __syncthreads();",
    "rests of a turn": "= sine;\n            __syncthreads();",
    "sums of a pixel": "* scale + 0.0);\n        __syncthreads();",
}


@pytest.mark.parametrize("which", BARRIERS)
def test_a_missing_barrier_is_noticed(emulator, emulated, monkeypatch, which):
    """The emulator is worth something only if it fails a kernel that is wrong."""
    whole, line = Source.source, BARRIERS[which]
    assert line in whole(Source("network", "", ()))
    monkeypatch.setattr(
        Source, "source", lambda self: whole(self).replace(line, line.replace("__syncthreads();", ""))
    )
    net = meshed(11, 40)
    data = unwrapped(net, (33,), gaps=0.5)
    caught = 0
    for backwards in (False, True):
        monkeypatch.setattr(emulator, "backwards", backwards)
        try:
            compare_network(emulated, net, *data)
        except AssertionError:
            caught += 1
    assert caught
