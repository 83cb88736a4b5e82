"""Points chosen from whole maps, and functions of every block that need all of them.

A choice must not depend on chunks, and must not need to know how many points there are: every pixel has a rank of its
own, and those of the lowest ranks are kept. Ranks run through ever finer lattices (the bits of row and column, the
lowest first), so the pixels below any rank lie evenly over the map.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar.mapping.again import SUMS, again
from xinsar.mapping.blocks import is_lazy

_Y, _X, _NEW = 0, 1, 2
_LEADING = 10


def ranks(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Return the rank of each pixel of a map of ``shape``: those below any number lie evenly over it."""
    return _interleaved(rows, columns, shape, lowest_first=True)


def along_curve(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Return numbers that are near for pixels that lie together (Z order)."""
    return _interleaved(rows, columns, shape, lowest_first=False)


def _interleaved(rows: Any, columns: Any, shape: tuple[int, int], *, lowest_first: bool) -> Any:
    """Return the bits of row and column in turn, as one whole number."""
    bits = max(int(max(shape)) - 1, 1).bit_length()
    rows, columns = (np.asarray(a, np.int64) for a in (rows, columns))
    out = np.zeros(rows.shape, np.int64)
    for i in range(bits):
        row, column = (rows >> i) & 1, (columns >> i) & 1
        place = 2 * (bits - 1 - i if lowest_first else i)
        out |= ((row ^ column if lowest_first else row) << (place + 1)) | (column << place)
    return out


def collect(
    partial: Callable[..., Any],
    finish: Callable[[Any], Any],
    arrays: Sequence[xr.DataArray],
    **options: Any,
) -> xr.DataArray:
    """Return one object, of no dim, made of whole maps.

    ``partial(rows, columns, *blocks, **options)`` returns an object for a block of the map: ``rows`` and ``columns``
    are its pixels' numbers, blocks (..., y, x) hold all of their leading dim. Objects are joined with ``+``, and
    ``finish`` makes the result. Lazy data is read by tasks of its own, as :func:`xinsar.mapping.reduce_fields` does.
    """
    like = _like(arrays)
    if like is None:
        rows, columns = (np.arange(n) for n in arrays[0].shape[-2:])
        return xr.DataArray(_boxed(finish(partial(rows, columns, *(a.data for a in arrays), **options))))
    import dask.array as da
    from dask.base import tokenize

    data = [again(a) for a in _chunked(arrays, like)]
    parts = da.blockwise(
        _part,
        (_Y, _X),
        *_arguments(data),
        function=partial,
        options=options,
        concatenate=True,
        adjust_chunks={_Y: _one, _X: _one},
        dtype=object,
        meta=np.empty((0, 0), object),
    )
    whole = da.reduction(
        parts,
        chunk=_as_they_are,
        combine=_joined,
        aggregate=_joined,
        axis=(0, 1),
        keepdims=True,
        dtype=object,
        meta=np.empty((0, 0), object),
        concatenate=True,
    )
    name = SUMS + tokenize(whole.name, finish)
    found = da.map_blocks(
        _finished,
        whole,
        name=name,
        finish=finish,
        drop_axis=(0, 1),
        dtype=object,
        meta=np.array(None, object),
    )
    return xr.DataArray(found)


def inform(
    function: Callable[..., Any],
    whole: xr.DataArray,
    arrays: Sequence[xr.DataArray],
    *,
    dim: Hashable,
    size: int,
    dtype: Any,
    **options: Any,
) -> xr.DataArray:
    """Map ``function(whole, rows, columns, *blocks, **options)`` over blocks as :func:`collect` gives them.

    ``whole`` is what that returned. The function returns (``size``, y, x), the leading dim of which is ``dim``.
    """
    like, first = _like(arrays), arrays[0]
    dims = (dim, *first.dims[-2:])
    coords = {n: c for n, c in first.coords.items() if set(c.dims) <= set(dims[1:])}
    if like is None and not is_lazy(whole):
        rows, columns = (np.arange(n) for n in first.shape[-2:])
        data = function(whole.data[()], rows, columns, *(a.data for a in arrays), **options)
        return xr.DataArray(data, coords, dims)
    import dask.array as da

    given = _arguments(_chunked(arrays, first if like is None else like))
    data = da.blockwise(
        _whole_first,
        (_NEW, _Y, _X),
        *given,
        da.asarray(whole.data),
        (),
        new_axes={_NEW: size},
        function=function,
        options=options,
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype),
    )
    return xr.DataArray(data, coords, dims).rename(None)


def _like(arrays: Sequence[xr.DataArray]) -> xr.DataArray | None:
    return next((a for a in arrays if is_lazy(a)), None)


def _chunked(arrays: Sequence[xr.DataArray], like: xr.DataArray) -> list[Any]:
    """Return Dask arrays in the chunks of ``like`` along y and x, leading dims whole."""
    chunks = {d: like.chunksizes[d] for d in like.dims[-2:]}
    return [a.chunk({**dict.fromkeys(a.dims[:-2], -1), **chunks}).data for a in arrays]


def _arguments(data: Sequence[Any]) -> list[Any]:
    """Return rows, columns and arrays, each followed by its axes, as blockwise wants them."""
    import dask.array as da

    chunks = data[0].chunks[-2:]
    rows, columns = (da.from_array(np.arange(sum(c)), chunks=(c,)) for c in chunks)
    out: list[Any] = [rows, (_Y,), columns, (_X,)]
    for i, a in enumerate(data):
        out += [a, (*((_LEADING + i,) * (a.ndim - 2)), _Y, _X)]
    return out


def _one(_: Any) -> int:
    return 1


def _boxed(thing: Any, ndim: int = 0) -> Any:
    """Return an array of one object."""
    out = np.empty((1,) * ndim, object)
    out[(0,) * ndim] = thing
    return out


def _part(rows: Any, columns: Any, *blocks: Any, function: Callable[..., Any], options: Any) -> Any:
    return _boxed(function(rows, columns, *blocks, **options), 2)


def _as_they_are(parts: Any, axis: Any, keepdims: bool) -> Any:  # noqa: ARG001, FBT001 (dask's)
    return parts


def _joined(parts: Any, axis: Any, keepdims: bool) -> Any:  # noqa: ARG001, FBT001 (dask's)
    first, *others = parts.ravel()
    return _boxed(sum(others, first), 2)


def _finished(whole: Any, finish: Callable[[Any], Any]) -> Any:
    return _boxed(finish(whole[0, 0]))


def _whole_first(
    rows: Any, columns: Any, *others: Any, function: Callable[..., Any], options: dict[str, Any]
) -> Any:
    *blocks, whole = others
    return function(whole[()], rows, columns, *blocks, **options)
