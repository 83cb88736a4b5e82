"""Functions of pixels and their neighbours, mapped over chunks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar.mapping.halo import lend


def is_lazy(array: xr.DataArray) -> bool:
    """Tell whether the data is a Dask array."""
    return array.chunks is not None


def same_grid(*arrays: xr.DataArray | None) -> None:
    """Raise ValueError unless all arrays share dims, shape and coordinates."""
    given = [a for a in arrays if a is not None]
    try:
        xr.align(*given, join="exact", copy=False)
    except ValueError as error:
        names = " and ".join(repr(str(a.name)) for a in given)
        raise ValueError(
            f"{names} lie on different grids ({error}); bring them to one grid first, e.g. with .interp_like()"
        ) from error


def _merge(chunks: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Join neighbouring chunks until each is at least ``least`` long."""
    merged: list[int] = []
    for size in chunks:
        if merged and (merged[-1] < least or size < least):
            merged[-1] += size
        else:
            merged.append(size)
    return tuple(merged)


def align_chunks(arrays: Sequence[Any], least: int) -> list[Any]:
    """Give all Dask arrays the chunks of the first, none thinner than ``least`` along y and x."""
    first = arrays[0]
    chunks = tuple(_merge(c, least) for c in first.chunks[-2:])
    wanted = (*first.chunks[:-2], *chunks)
    return [None if a is None else a.rechunk(wanted[-a.ndim :]) for a in arrays]


def as_dask(array: Any, like: Any) -> Any:
    """Return ``array`` as a Dask array chunked as ``like``."""
    import dask.array as da

    if array is None or isinstance(array, da.Array):
        return array
    return da.from_array(array, chunks=like.chunks[-array.ndim :], asarray=False)


def stencil(
    function: Callable[..., Any],
    *arrays: xr.DataArray | None,
    depth: int,
    outputs: int = 1,
    dtype: Any = np.float32,
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Map ``function(*blocks, **options)`` over blocks with ``depth`` neighbours on each side of y and x.

    The function returns ``outputs`` stacked arrays of its first block's shape, (outputs, ..., y, x). The last arrays
    may be None.
    """
    like = arrays[0]
    if like is None:
        raise TypeError("the first array of a stencil cannot be None")
    same_grid(*arrays)
    data = [None if a is None else a.data for a in arrays]
    if not any(a is not None and is_lazy(a) for a in arrays):
        results = function(*data, **options)
        return tuple(like.copy(data=results[i]) for i in range(outputs))
    return tuple(like.copy(data=out) for out in _stencil_dask(function, data, depth, outputs, dtype, options))


def _stencil_dask(
    function: Callable[..., Any],
    data: list[Any],
    depth: int,
    outputs: int,
    dtype: Any,
    options: Mapping[str, Any],
) -> list[Any]:
    import dask.array as da

    lazy = next(d for d in data if isinstance(d, da.Array))
    data = [as_dask(d, lazy) for d in data]
    caller = data[0].chunks
    given = [d for d in align_chunks(data, max(depth, 1)) if d is not None]
    places = [i for i, d in enumerate(data) if d is not None]

    ndim = given[0].ndim
    halo = {ndim - 2 + axis: depth if len(given[0].chunks[ndim - 2 + axis]) > 1 else 0 for axis in (0, 1)}
    lent = [lend(g, (depth, depth)) for g in given]
    together = da.map_blocks(
        _call,
        *lent,
        function=function,
        places=places,
        number=len(data),
        options=dict(options),
        new_axis=0,
        chunks=((outputs,), *lent[0].chunks),
        dtype=dtype,
        meta=meta(lent[0], dtype, 1),
    )
    trim = {axis + 1: width for axis, width in halo.items()}
    together = da.overlap.trim_internal(together, trim, boundary="none")
    return [together[i].rechunk(caller) for i in range(outputs)]


def _call(
    *blocks: Any, function: Callable[..., Any], places: Sequence[int], number: int, options: Mapping[str, Any]
) -> Any:
    """Hand the blocks to ``function`` in their places, None elsewhere."""
    full: list[Any] = [None] * number
    for place, block in zip(places, blocks, strict=True):
        full[place] = block
    return function(*full, **options)


def meta(array: Any, dtype: Any, more: int) -> Any:
    """Return an empty array of the kind the tasks will return."""
    return array._meta.reshape((0,) * (array.ndim + more)).astype(dtype)


def pointwise(
    function: Callable[..., Any], *arrays: xr.DataArray, dtype: Any, **options: Any
) -> xr.DataArray:
    """Map ``function(*blocks, **options)`` over aligned pixels; the grids must be the same."""
    same_grid(*arrays)
    places = range(len(arrays))
    result: xr.DataArray = xr.apply_ufunc(
        _call,
        *arrays,
        kwargs={"function": function, "places": places, "number": len(arrays), "options": options},
        dask="parallelized",
        output_dtypes=[dtype],
        join="exact",
        keep_attrs=False,
    )
    return result.assign_coords(arrays[0].coords)


def over_leading(
    function: Callable[..., dict[str, xr.DataArray]], *arrays: xr.DataArray | None, core: int = 3
) -> dict[str, xr.DataArray]:
    """Call ``function`` once per index of the leading dims of ``arrays`` and join the results along them.

    The last ``core`` dims are the function's own; arrays may be None.
    """
    leading = [str(d) for a in arrays if a is not None for d in a.dims[:-core]]
    if not leading:
        return function(*arrays)
    dim = leading[0]
    number = next(a.sizes[dim] for a in arrays if a is not None and dim in a.dims)
    parts = [
        over_leading(
            function, *(a if a is None or dim not in a.dims else a.isel({dim: i}) for a in arrays), core=core
        )
        for i in range(number)
    ]
    return {name: xr.concat([part[name] for part in parts], dim) for name in parts[0]}


def on_lattice(array: xr.DataArray, step: int) -> xr.DataArray:
    """Return ``array`` with chunks that begin at multiples of ``step`` pixels from the image's corner.

    With a ``depth`` that is a multiple of ``step`` too, every block of a :func:`stencil` begins on that lattice, so a
    function that works in patches needs not know where its block lies. Data that is not lazy is returned as it is.
    """
    if not is_lazy(array):
        return array
    chunks = {dim: _snap(array.chunksizes[dim], step) for dim in array.dims[-2:]}
    return array.chunk(chunks)


def _snap(chunks: tuple[int, ...], step: int) -> tuple[int, ...]:
    """Move the inner borders of ``chunks`` to the nearest multiples of ``step``."""
    ends = np.cumsum(chunks)
    inner = {step * round(int(end) / step) for end in ends[:-1]}
    borders = sorted(b for b in inner if 0 < b < ends[-1])
    return tuple(int(n) for n in np.diff([0, *borders, int(ends[-1])]))


def whole_images(
    function: Callable[..., Any], *arrays: xr.DataArray | None, dtype: Any = np.float32, **options: Any
) -> xr.DataArray:
    """Map ``function(*images, **options)`` over whole images, one task for each (y, x) plane of the first array.

    The function gets arrays (..., y, x) and returns one of its first argument's shape; further arrays may have fewer
    leading dims, or be None. The result comes back in the caller's chunks.
    """
    like = arrays[0]
    if like is None:
        raise TypeError("the first array of whole images cannot be None")
    same_grid(*arrays)
    places = [i for i, a in enumerate(arrays) if a is not None]
    plane = list(like.dims[-2:])
    lazy = any(a is not None and is_lazy(a) for a in arrays)
    given = [_by_plane(a, plane) if lazy else a for a in arrays if a is not None]
    result = xr.apply_ufunc(
        _call,
        *given,
        input_core_dims=[plane] * len(given),
        output_core_dims=[plane],
        kwargs={"function": function, "places": places, "number": len(arrays), "options": options},
        dask="parallelized",
        output_dtypes=[dtype],
        join="exact",
    )
    result = result.chunk(like.chunksizes) if is_lazy(like) else result
    return like.copy(data=result.data)


def _by_plane(array: xr.DataArray, plane: Sequence[Hashable]) -> xr.DataArray:
    """Return ``array`` as a Dask array with a chunk for each plane."""
    return array.chunk({dim: -1 if dim in plane else 1 for dim in array.dims})
