"""Motion from several looks on a GPU: calls of los.cu, the twins of los.py."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, prod
from typing import Any

import numpy as np

from xinsar.backend import array_namespace, beside, is_cupy
from xinsar.kernels.cuda import launch
from xinsar.kernels.cuda.launch import run
from xinsar.kernels.cuda.source import Source, double

_F, _I, _D, _L = np.float32, np.int32, np.float64, np.int64
THREADS = 128
MOST_LOOKS = 32
"""Looks that a thread has room for."""
_BATCH, _VALUES = 4, 12
"""Epochs that are read at once, and values that may wait in registers then."""
_ROUNDS = 8
"""Blocks that a multiprocessor should get; where pixels are few, epochs are shared among blocks."""


def motion(
    first: Any,
    others: Sequence[Any],
    looks: Sequence[Any],
    *,
    weights: Sequence[Any] = (),
    variances: Sequence[Any] = (),
    terrain: Sequence[Any] = (),
    kind: int,
    limit: float = np.inf,
    least: float = 0.0,
    checked: bool = True,
    out: Any = None,
) -> tuple[Any, ...]:
    """Solve every pixel and epoch: the twin of motion_numpy in los.py."""
    from xinsar.kernels.los import COMPONENTS, UNKNOWNS

    xp, data = array_namespace(first), (first, *others)
    dtype = np.dtype(_F if all(a.dtype == _F for a in data) else _D)
    lead, plane, components = first.shape[:-2], first.shape[-2:], COMPONENTS[kind]
    epochs, pixels = prod(lead), prod(plane)
    vectors = _flat(looks, first, dtype, 3)
    tables = _tables(first, pixels, weights, variances, terrain)
    found = [xp.empty((epochs, components, pixels), dtype) if out is None else out]
    exact = len(data) <= UNKNOWNS[kind]
    shapes = [(components, *plane)]
    if exact:
        tables = [tables[0], tables[2]]
    else:
        found += [xp.empty_like(found[0]), *(xp.empty((epochs, pixels), dtype) for _ in range(2))]
        shapes += [(components, *plane), plane, plane]
    program = los_program(
        "motion" if exact else "estimates",
        dtype,
        len(data),
        kind,
        weighted=bool(weights),
        known=bool(variances),
        checked=checked,
    )
    across, parts, each = _shares(pixels, epochs)
    seen = _flat(data, first, dtype, epochs)
    sizes = (_L(pixels), _I(epochs), _I(each), _D(limit), _D(least))
    _launch(program, (across, parts), (*seen, *vectors, *tables, *sizes, *found), vectors)
    return tuple(a.reshape(*lead, *shape) for a, shape in zip(found, shapes, strict=True))


def geometry(
    first: Any,
    others: Sequence[Any],
    *,
    weights: Sequence[Any] = (),
    variances: Sequence[Any] = (),
    terrain: Sequence[Any] = (),
    kind: int,
    limit: float,
    dtype: Any,
) -> tuple[Any, Any]:
    """Return standard error and condition number of looks: the twin of geometry_numpy in los.py."""
    from xinsar.kernels.los import COMPONENTS

    xp, plane = array_namespace(first), first.shape[-2:]
    pixels, dtype = prod(plane), np.dtype(dtype)
    vectors = _flat((first, *others), first, dtype, 3)
    sigma, condition = xp.empty((COMPONENTS[kind], pixels), dtype), xp.empty(pixels, dtype)
    known = {"weighted": bool(weights), "known": bool(variances), "checked": True}
    program = los_program("geometry", dtype, len(vectors), kind, **known)
    tables = _tables(first, pixels, weights, variances, terrain)
    across = -(-pixels // THREADS)
    _launch(program, (across,), (*vectors, *tables, _L(pixels), _D(limit), sigma, condition), vectors)
    return sigma.reshape(COMPONENTS[kind], *plane), condition.reshape(plane)


def _flat(arrays: Sequence[Any], like: Any, dtype: Any, lead: int) -> list[Any]:
    """Return arrays (..., y, x) as contiguous (lead, pixel) beside ``like``."""
    xp = array_namespace(like)
    there = (beside(a, like) for a in arrays)
    return [xp.ascontiguousarray(a, dtype).reshape(lead, prod(a.shape[-2:])) for a in there]


def _tables(like: Any, pixels: int, *groups: Sequence[Any]) -> list[Any]:
    """Return each group of maps (y, x) as float64 (map, pixel); a group without maps is never read."""
    xp = array_namespace(like)
    found = []
    for maps in groups:
        table = xp.empty((max(len(maps), 1), pixels if maps else 1), _D)
        for row, values in zip(table, maps, strict=False):
            row[:] = beside(values, like).reshape(-1)
        found.append(table)
    return found


def _shares(pixels: int, epochs: int) -> tuple[int, int, int]:
    """Return blocks along the pixels, blocks along the epochs, and the epochs of each."""
    across = -(-pixels // THREADS)
    wanted = _ROUNDS * launch.device().processors // max(across, 1)
    parts = max(min(wanted, -(-epochs // (4 * _BATCH))), 1)
    each = max(-(-epochs // parts), 1)
    return across, -(-epochs // each), each


def _launch(program: Source, grid: tuple[int, ...], args: tuple[Any, ...], vectors: list[Any]) -> None:
    """Run a kernel of los.cu; where a vector may be wrong the CPU decides, and says so."""
    from xinsar.kernels.los import _check_vectors

    if not prod(grid):
        return
    status = array_namespace(vectors[0]).zeros(1, _I)
    run(program, grid, THREADS, 0, (*args, status))
    if dict(program.values)["CHECKED"] and int(status[0]):
        for look in vectors:
            _check_vectors(look.get() if is_cupy(look) else look)


def los_program(
    name: str, dtype: Any, number: int, kind: int, *, weighted: bool, known: bool, checked: bool
) -> Source:
    """Return a kernel of los.cu for ``number`` looks."""
    from xinsar.kernels import los

    if number > MOST_LOOKS:
        raise ValueError(
            f"tracks: expected {MOST_LOOKS} or fewer on a GPU, got {number}; choose some of them, or bring the data to "
            "the CPU"
        )
    kinds = ("EAST_UP", "EVERY", "ALONG_ASPECT", "ALONG_SURFACE", "DOWNSLOPE")
    values: dict[str, int | str] = {
        "VALUE": "float" if np.dtype(dtype) == _F else "double",
        "THREADS": THREADS,
        "BATCH": max(min(_BATCH, _VALUES // number), 1),
        "NUMBER": number,
        "UNKNOWNS": los.UNKNOWNS[kind],
        "COMPONENTS": los.COMPONENTS[kind],
        "KIND": kind,
        **{each: getattr(los, each) for each in kinds},
        "WEIGHTED": int(weighted),
        "KNOWN": int(known),
        "CHECKED": int(checked),
        "SINGULAR": double(los._SINGULAR),
        "SUSPICIOUS": double(1.9 * los.NOT_UNIT),
        "RADIAN": double(pi / 180),
        "THIRD_OF_TURN": double(2.0 * pi / 3.0),
        **_pointers("DATA", "DATA_ARGUMENTS", "data_", number),
        **_pointers("VECTORS", "VECTOR_ARGUMENTS", "vectors_", number),
    }
    return Source("los", name, tuple(values.items()))


def _pointers(names: str, arguments: str, stem: str, number: int) -> dict[str, int | str]:
    """Return a list of pointers, and the same as arguments of a kernel."""
    found = [f"{stem}{k}" for k in range(number)]
    return {
        names: ", ".join(found),
        arguments: ", ".join(f"const VALUE* __restrict__ {name}" for name in found),
    }
