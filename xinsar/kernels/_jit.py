# ruff: noqa: ARG001  (numba dictates the signatures of intrinsics)
"""The one place where numba is configured.

``jit`` compiles without the GIL and caches on disk. numba notices a changed file but not a changed callee in
another file, so the cache folder is keyed on the version and on a digest of every kernel source. Fast-math is off:
fused multiply-adds are written out with :func:`fma`, so vector body and scalar remainder of a loop round alike and
results cannot depend on where a chunk starts.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def _user_cache() -> Path:
    named = os.environ.get("XINSAR_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "xinsar"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "xinsar"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "xinsar"


@cache
def _cache_folder() -> str | None:
    """Folder for compiled kernels of exactly these sources, or None where nothing can be written."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    try:
        folder = _user_cache() / "kernels" / digest
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def jit(function: F) -> F:
    """Compile ``function`` with the options every kernel shares."""
    folder = _cache_folder()
    if folder is None:
        return numba.njit(nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = before


@intrinsic  # type: ignore[untyped-decorator]
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c`` rounded once, for float32 or float64 scalars of one type."""
    if a not in (types.float32, types.float64) or a != b or a != c:
        raise TypeError(f"fma needs three floats of one type, got {a}, {b}, {c}")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, b, c), generate


def _int32(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


@intrinsic  # type: ignore[untyped-decorator]
def either(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``a | b`` of two int32 without widening them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.or_(*args)

    return types.int32(types.int32, types.int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def flip_if_odd(typingctx: Any, value: Any, biased: Any) -> Any:
    """Return float32 ``value``, negated where the integer held in the low bits of ``biased`` is odd."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        sign = builder.shl(builder.bitcast(args[1], i32), _int32(31))
        return builder.bitcast(builder.xor(builder.bitcast(args[0], i32), sign), ir.FloatType())

    return types.float32(types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def outside(typingctx: Any, value: Any, limit: Any) -> Any:
    """Return 1 where ``abs(value) > limit`` or ``value`` is NaN, else 0 (float32 in, int32 out)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        magnitude = builder.and_(builder.bitcast(args[0], i32), _int32(0x7FFFFFFF))
        beyond = builder.icmp_signed(">", magnitude, builder.bitcast(args[1], i32))
        return builder.zext(beyond, i32)

    return types.int32(types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def not_within(typingctx: Any, value: Any, least: Any, limit: Any) -> Any:
    """Return 1 unless ``least <= value < limit``, all positive (float32 in, int32 out; NaN gives 1)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        number, low, high = (builder.bitcast(arg, i32) for arg in args)
        beyond = builder.icmp_unsigned(">=", builder.sub(number, low), builder.sub(high, low))
        return builder.zext(beyond, i32)

    return types.int32(types.float32, types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def inverse_power_of_two(typingctx: Any, value: Any) -> Any:
    """Return the power of two that brings positive float32 ``value`` into [1, 2), exactly."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        exponent = builder.and_(builder.bitcast(args[0], i32), _int32(0x7F800000))
        return builder.bitcast(builder.sub(_int32(0x7F000000), exponent), ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def bits_of(typingctx: Any, value: Any) -> Any:
    """Return the bits of a float64 as an int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def float_of(typingctx: Any, bits: Any) -> Any:
    """Return the float64 with the bits of an int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


_LINE = 64
"""Bytes of a cache line, and of the vectors that :func:`store_products` writes."""


@intrinsic  # type: ignore[untyped-decorator]
def store_products(typingctx: Any, a: Any, x: Any, b: Any, y: Any, out: Any, start: Any) -> Any:
    """Write ``fma(b, y, a * x)`` to one line of ``out`` from ``start``, past the cache.

    All arrays are contiguous and of one float type; ``start`` is where a line begins (see :func:`items_before_line`).
    A plain store of a line that is not in the cache reads it first; this one does not. Call :func:`order_stores` when
    all is written.
    """
    bits = out.dtype.bitwidth
    lanes = 8 * _LINE // bits

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line = ir.VectorType(ir.FloatType() if bits == 32 else ir.DoubleType(), lanes)

        def place(kind: Any, value: Any) -> Any:
            data = context.make_array(kind)(context, builder, value=value).data
            return builder.bitcast(builder.gep(data, [args[5]]), line.as_pointer())

        places = [place(kind, value) for kind, value in zip(signature.args[:5], args[:5], strict=True)]
        one, first, two, second = (builder.load(p, align=bits // 8) for p in places[:4])
        kind = ir.FunctionType(line, [line] * 3)
        together = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{lanes}f{bits}")
        total = builder.call(together, [two, second, builder.fmul(one, first)])
        stored = builder.store(total, places[4], align=_LINE)
        stored.set_metadata("nontemporal", builder.module.add_metadata([_int32(1)]))
        return context.get_dummy_value()

    return types.void(a, x, b, y, out, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def order_stores(typingctx: Any) -> Any:
    """Let everything written past the cache be seen before anything that follows."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@jit
def items_before_line(out: Any) -> Any:
    """Return how many items of a contiguous array lie before the first line that begins in it."""
    lanes = _LINE // out.itemsize
    return min(out.size, (lanes - out.ctypes.data % _LINE // out.itemsize) % lanes)
