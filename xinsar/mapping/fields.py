"""Whole fields: their sums, and functions of neighbours that also need those sums."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar.mapping.again import SUMS, again
from xinsar.mapping.blocks import align_chunks, is_lazy, meta
from xinsar.mapping.halo import lend


def reduce_fields(
    partial: Callable[[Any, tuple[int, ...]], Any],
    finish: Callable[[Any], Any],
    array: xr.DataArray,
    *others: xr.DataArray,
    dims: Sequence[Hashable],
    name: str,
    size: int,
) -> xr.DataArray:
    """Sum ``array`` up over ``dims``: for each field a float64 vector of ``size`` numbers, on the last dim ``name``.

    Lazy data is read by tasks of its own, not those that serve other uses: the sums must be known before anything that
    needs them, and chunks that waited for them would fill the memory.

    ``partial(block, axes)`` returns an object array with ``axes`` kept at length 1; its elements are joined with
    ``+``. ``finish`` turns an object array into float64 with one more axis. ``others`` have some of the dims of
    ``array`` and the same pixels; ``partial`` gets their parts after ``axes``, of length 1 along dims they lack.
    """
    axes = tuple(array.get_axis_num(dim) for dim in dims)
    left = [dim for dim in array.dims if dim not in dims]
    lazy = next((a for a in (array, *others) if is_lazy(a)), None)
    beside = [_beside(other, array) for other in others]
    if lazy is None:
        data = finish(_join(partial(array.data, axes, *beside), axes))
    else:
        whole = array if is_lazy(array) else array.chunk(lazy.chunksizes)
        data = _reduce_dask(partial, finish, whole.data, axes, size, beside)
    return xr.DataArray(data, dims=(*left, name), name=name)


def _beside(other: xr.DataArray, array: xr.DataArray) -> Any:
    """Return the data of ``other`` with an axis for every dim of ``array``, of length 1 where it has none."""
    own = other.transpose(*(dim for dim in array.dims if dim in other.dims))
    return own.data[tuple(slice(None) if dim in own.dims else None for dim in array.dims)]


def _join(parts: Any, axes: tuple[int, ...], *_: Any, **__: Any) -> Any:
    """Add the elements of an object array over ``axes``."""
    kept = tuple(n for a, n in enumerate(parts.shape) if a not in axes)
    last = np.moveaxis(parts, axes, range(parts.ndim - len(axes), parts.ndim)).reshape(*kept, -1)
    out = np.empty(kept, object)
    for place in np.ndindex(*kept):
        first, *others = last[place]
        out[place] = sum(others, first)
    return out


def _join_keeping(parts: Any, axis: tuple[int, ...], keepdims: bool) -> Any:  # noqa: ARG001, FBT001 (dask's)
    joined = _join(parts, tuple(axis))
    return np.expand_dims(joined, tuple(axis))


def _reduce_dask(
    partial: Any, finish: Any, data: Any, axes: tuple[int, ...], size: int, beside: Sequence[Any] = ()
) -> Any:
    import dask.array as da
    from dask.base import tokenize

    data = again(data)
    ones = tuple((1,) * len(c) if a in axes else c for a, c in enumerate(data.chunks))
    empty = np.empty((0,) * data.ndim, object)
    others = [_chunked_as(other, data) for other in beside]
    parts = da.map_blocks(
        _partial, data, *others, partial=partial, axes=axes, chunks=ones, dtype=object, meta=empty
    )
    whole = da.reduction(
        parts,
        chunk=_as_they_are,
        combine=_join_keeping,
        aggregate=_join_keeping,
        axis=axes,
        keepdims=True,
        dtype=object,
        meta=empty,
        concatenate=True,
    )
    left = tuple(c for a, c in enumerate(whole.chunks) if a not in axes)
    return da.map_blocks(
        _finish,
        whole,
        name=SUMS + tokenize(whole.name, finish, axes),
        finish=finish,
        axes=axes,
        drop_axis=axes,
        new_axis=len(left),
        chunks=(*left, (size,)),
        dtype=np.float64,
        meta=np.empty((0,) * (len(left) + 1)),
    )


def _chunked_as(other: Any, data: Any) -> Any:
    """Return ``other`` in the chunks of ``data``, one of length 1 where it has that length; made anew where lazy."""
    import dask.array as da

    chunks = tuple(c if n > 1 else (1,) for n, c in zip(other.shape, data.chunks, strict=True))
    if isinstance(other, da.Array):
        return again(other.rechunk(chunks))
    return da.from_array(other, chunks=chunks, asarray=False)


def _partial(block: Any, *beside: Any, partial: Any, axes: tuple[int, ...]) -> Any:
    return partial(block, axes, *beside)


def _finish(whole: Any, finish: Any, axes: tuple[int, ...]) -> Any:
    kept = tuple(n for a, n in enumerate(whole.shape) if a not in axes)
    return finish(whole.reshape(kept))


def _as_they_are(parts: Any, axis: Any, keepdims: bool) -> Any:  # noqa: ARG001, FBT001 (dask's)
    return parts


def neighbourhood(
    function: Callable[..., Any],
    values: xr.DataArray,
    *,
    depth: int | tuple[int, int],
    rows: np.ndarray[Any, Any] | None = None,
    moments: xr.DataArray | None = None,
    dtype: Any = None,
    **options: Any,
) -> xr.DataArray:
    """Map ``function(block, rows, moments, **options)`` over blocks with ``depth`` neighbours along y and x.

    ``rows`` holds a whole number for each row of the image, ``moments`` a vector for each field (some leading dims of
    ``values``, then one of its own): the function gets those of its block, or None. It returns its block's shape.
    """
    if not is_lazy(values):
        numbers = None if moments is None else _spread(np.asarray(moments.data), moments, values)
        return values.copy(data=function(values.data, rows, numbers, **options))
    depths = (depth, depth) if isinstance(depth, int) else depth
    result = _neighbourhood_dask(function, values, depths, rows, moments, dtype or values.dtype, options)
    return values.copy(data=result)


def _spread(numbers: Any, moments: xr.DataArray, values: xr.DataArray) -> Any:
    """Give ``numbers`` an axis of length 1 for every leading dim of ``values`` that ``moments`` lacks."""
    lacking = [i for i, dim in enumerate(values.dims[:-2]) if dim not in moments.dims]
    return np.expand_dims(numbers, tuple(lacking)) if lacking else numbers


def _neighbourhood_dask(
    function: Any,
    values: xr.DataArray,
    depths: tuple[int, int],
    rows: Any,
    moments: Any,
    dtype: Any,
    options: Any,
) -> Any:
    import dask.array as da

    (data,) = align_chunks([values.data], max(*depths, 1))
    ndim = data.ndim
    depth = {ndim - 2 + a: d if len(data.chunks[ndim - 2 + a]) > 1 else 0 for a, d in enumerate(depths)}
    lent = lend(data, depths)
    letters = tuple(range(ndim))
    arguments: list[Any] = [lent, letters]
    if rows is not None:
        chunked = da.from_array(np.asarray(rows), chunks=(data.chunks[-2],))
        arguments += [da.overlap.overlap(chunked, depth={0: depth[ndim - 2]}, boundary="none"), (ndim - 2,)]
    if moments is not None:
        named = dict(zip(values.dims, letters, strict=True))
        arguments += [_as_chunked(moments, data, named), (*(named[d] for d in moments.dims[:-1]), ndim)]
    lacking = (
        () if moments is None else tuple(i for i, d in enumerate(values.dims[:-2]) if d not in moments.dims)
    )
    done = da.blockwise(
        _call_neighbourhood,
        letters,
        *arguments,
        function=function,
        given=(rows is not None, moments is not None),
        lacking=lacking,
        options=options,
        concatenate=True,
        align_arrays=False,
        dtype=dtype,
        meta=meta(lent, dtype, 0),
    )
    return da.overlap.trim_internal(done, depth, boundary="none").rechunk(values.data.chunks)


def _as_chunked(moments: xr.DataArray, data: Any, named: dict[Hashable, int]) -> Any:
    """Return ``moments`` as a Dask array with the chunks of ``data`` along the dims they share."""
    import dask.array as da

    chunks = (*(data.chunks[named[d]] for d in moments.dims[:-1]), (moments.shape[-1],))
    if is_lazy(moments):
        return moments.data.rechunk(chunks)
    return da.from_array(np.asarray(moments.data), chunks=chunks)


def _call_neighbourhood(
    block: Any, *others: Any, function: Any, given: tuple[bool, bool], lacking: tuple[int, ...], options: Any
) -> Any:
    rest = list(others)
    rows = rest.pop(0) if given[0] else None
    moments = rest.pop(0) if given[1] else None
    if moments is not None and lacking:
        moments = np.expand_dims(moments, lacking)
    return function(block, rows, moments, **options)
