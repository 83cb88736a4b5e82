"""Functions of pixels that hold vectors or many values of aligned maps, mapped over chunks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from xinsar.mapping.blocks import is_lazy

_IN, _OUT = "component", "result"


def vectors(
    function: Callable[..., Any],
    *groups: Sequence[xr.DataArray],
    outputs: Sequence[int | None],
    dtype: Any,
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Map ``function(*groups of blocks, **options)`` over aligned pixels.

    Arrays end in y, x, with ``component`` before them or not; leading dims come with the first array. The function
    gets blocks (..., y, x) or (component, y, x) and returns an array for each of ``outputs``: (..., n, y, x) for a
    number n, (..., y, x) for None. Results come in the chunks of the first array; the vector's dim is ``component``.
    """
    arrays = [a for group in groups for a in group]
    like = next((a for a in arrays if is_lazy(a)), None)
    given = [a if like is None else _as_chunked(a, like) for a in arrays]
    first = arrays[0].isel({_IN: 0}, drop=True) if _IN in arrays[0].dims else arrays[0]
    sizes = {f"{_OUT}{i}": n for i, n in enumerate(outputs) if n is not None}
    results = xr.apply_ufunc(
        _call,
        *(a.variable for a in given),
        input_core_dims=[[_IN] if _IN in a.dims else [] for a in given],
        output_core_dims=[[] if n is None else [f"{_OUT}{i}"] for i, n in enumerate(outputs)],
        kwargs={
            "function": function,
            "counts": [len(group) for group in groups],
            "vectors": [_IN in a.dims for a in given],
            "outputs": tuple(outputs),
            "options": options,
        },
        dask="parallelized",
        output_dtypes=[dtype] * len(outputs),
        dask_gufunc_kwargs={"output_sizes": sizes} if sizes else None,
    )
    several = results if len(outputs) > 1 else (results,)
    return tuple(_placed(r, first, f"{_OUT}{i}") for i, r in enumerate(several))


def _placed(result: Any, first: xr.DataArray, own: Hashable) -> xr.DataArray:
    """Return a result with its own dim before y and x, as ``component``, and the coordinates of ``first``."""
    vector = own in result.dims
    order = [*first.dims[:-2], *([own] if vector else []), *first.dims[-2:]]
    variable = result.transpose(*order)
    dims = [_IN if d == own else d for d in order]
    return xr.DataArray(variable.data, dims=dims, coords=first.coords)


def _as_chunked(array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return ``array`` in the chunks of ``like`` along shared dims, components together."""
    chunks = {d: like.chunksizes[d] for d in array.dims if d in like.dims and d != _IN}
    return array.chunk({**chunks, **({_IN: -1} if _IN in array.dims else {})})


def _call(
    *blocks: Any,
    function: Callable[..., Any],
    counts: Sequence[int],
    vectors: Sequence[bool],
    outputs: Sequence[int | None],
    options: dict[str, Any],
) -> Any:
    """Hand groups of blocks to ``function``, components before the pixels, and put them last again."""
    shaped = [np.moveaxis(_plane(b), -1, 0) if v else b for b, v in zip(blocks, vectors, strict=True)]
    ends = np.cumsum([0, *counts])
    groups = [shaped[a:b] for a, b in pairwise(ends)]
    results = function(*groups, **options)
    moved = [r if n is None else np.moveaxis(r, -3, -1) for r, n in zip(results, outputs, strict=True)]
    return tuple(moved) if len(moved) > 1 else moved[0]


def _plane(block: Any) -> Any:
    """Return a block of vectors without leading axes of length 1."""
    return block.reshape(block.shape[-3:])


def everywhere(vector: np.ndarray[Any, Any], like: xr.DataArray) -> xr.DataArray:
    """Return one vector at every pixel of ``like`` (..., y, x), as (component, y, x), without taking its memory."""
    plane = like.isel(dict.fromkeys(like.dims[:-2], 0), drop=True)
    shape = (len(vector), *plane.shape)
    column = np.asarray(vector)[:, None, None]
    if not is_lazy(like):
        return xr.DataArray(np.broadcast_to(column, shape), dims=(_IN, *plane.dims))
    import dask.array as da

    column = np.asarray(column, like=like.data._meta)  # on a GPU where those chunks are
    spread = da.broadcast_to(da.from_array(column), shape, chunks=((len(vector),), *(plane.chunks or ())))
    return xr.DataArray(spread, dims=(_IN, *plane.dims))
