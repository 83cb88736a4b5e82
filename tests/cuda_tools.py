"""What tests of the CUDA sources need: NVRTC without a GPU, and kernels run on the CPU by an emulator."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests import fake_cupy
from xinsar.kernels.cuda.source import Program

EMULATOR = Path(__file__).parent / "cuda_emulator.h"
KERNELS = {
    "stack": ("wrapped_sum", "sum"),
    "rate": ("rate",),
    "filter": ("coherence_filter", "phase_gradient"),
    "solve": ("solve_rate",),
    "sums": ("exact_sums",),
    "disc": ("gi_star",),
    "splat": ("splat",),
    "convolve": ("convolve",),
    "rows": ("running_sums", "gi_star_rows"),
    "los": ("motion", "estimates", "geometry"),
    "network": ("invert_network",),
    "regression": ("regression",),
    "months": ("monthly_velocity",),
}


def find_nvrtc() -> Path | None:
    """The NVRTC library of the wheel nvidia-cuda-nvrtc, or None where it is not installed."""
    spec = importlib.util.find_spec("nvidia")
    folders = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    found = sorted(lib for folder in folders for lib in folder.glob("*/lib/libnvrtc.so.*"))
    return next((lib for lib in found if "builtins" not in lib.name), None)


@dataclass(frozen=True)
class Compiled:
    """What NVRTC said, and how much it made."""

    code: int
    log: str
    bytes: int


def compile_cuda(library: Path, source: str, options: tuple[str, ...]) -> Compiled:
    """Compile a CUDA source to machine code; no GPU and no driver are needed."""
    nvrtc, program = ctypes.CDLL(str(library)), ctypes.c_void_p()
    code = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"xinsar.cu", 0, None, None)
    assert code == 0
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    try:
        code = nvrtc.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        size.value = 0
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return Compiled(code, log.value.decode(), size.value)


@dataclass
class Emulator:
    """Compiles CUDA sources as C++ and runs their kernels on NumPy arrays, one block after another."""

    compiler: str
    folder: Path
    backwards: bool = False
    libraries: dict[str, Any] = field(default_factory=dict)

    def compiled(self, program: Program) -> EmulatedKernel:
        """Stand in for ``xinsar.kernels.cuda.launch.compiled``."""
        source = program.source()
        if source not in self.libraries:
            self.libraries[source] = self._build(program.file, source)
        return EmulatedKernel(self, getattr(self.libraries[source], f"run_{program.name}"))

    def _build(self, file: str, source: str) -> ctypes.CDLL:
        path = self.folder / f"{file}{len(self.libraries)}"
        kernels = "\n".join(f"EMULATE({name})" for name in KERNELS[file])
        path.with_suffix(".cpp").write_text(f'#include "{EMULATOR}"\n{source}\n{kernels}\n', encoding="utf-8")
        options = ["-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing"]
        files = [str(path.with_suffix(".cpp")), "-o", str(path.with_suffix(".so"))]
        done = subprocess.run(
            [self.compiler, *options, "-U_FORTIFY_SOURCE", *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return ctypes.CDLL(str(path.with_suffix(".so")))


_ONE_AT_A_TIME = threading.Lock()
"""The emulator has one shared memory and one set of threads; Dask's threads take turns."""


@dataclass
class EmulatedKernel:
    """Stands in for a kernel of CuPy."""

    emulator: Emulator
    function: Any
    max_dynamic_shared_size_bytes: int = 48 * 1024

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        values = [_value(arg) for arg in args]
        places = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        sizes = (ctypes.c_int * 3)(*grid, *(1,) * (3 - len(grid)))
        with _ONE_AT_A_TIME:
            code = self.function(places, sizes, *block, shared_mem, int(self.emulator.backwards))
        assert code == 0, {1: "a block hangs", 2: "a block writes beyond its shared memory"}[code]


def _value(arg: Any) -> Any:
    """Return an argument as C sees it: arrays as pointers, scalars of a definite type by value."""
    if isinstance(arg, fake_cupy.ndarray):
        arg = arg.host
    elif isinstance(arg, np.ndarray):
        assert getattr(sys.modules.get("cupy"), "ndarray", None) is not fake_cupy.ndarray, "not on the GPU"
    if isinstance(arg, np.ndarray):
        assert arg.flags.c_contiguous
        return ctypes.c_void_p(arg.ctypes.data)
    assert isinstance(arg, np.generic), f"{arg!r} has no definite type"
    return np.ctypeslib.as_ctypes_type(arg.dtype)(arg.item())
