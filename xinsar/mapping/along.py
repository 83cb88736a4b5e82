"""Functions of all values along one dim, mapped over chunks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import xarray as xr

from xinsar.mapping.blocks import is_lazy


def along(
    function: Callable[..., Any],
    array: xr.DataArray,
    *,
    dim: Hashable,
    dtypes: Sequence[Any],
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Map ``function(block, **options)`` over blocks (``dim``, ...) that hold all of ``dim``, which then is gone.

    The function returns two arrays or more, one for each of ``dtypes``. Other dims keep their chunks.
    """
    results = xr.apply_ufunc(
        _first,
        array.chunk({dim: -1}) if is_lazy(array) else array,
        input_core_dims=[[dim]],
        output_core_dims=[[]] * len(dtypes),
        kwargs={"function": function, "options": options},
        dask="parallelized",
        output_dtypes=list(dtypes),
        keep_attrs=False,
    )
    like = array.isel({dim: 0}, drop=True)
    return tuple(like.copy(data=result.data) for result in results)


def _first(block: Any, *, function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Hand the block to ``function`` with its last axis first."""
    return function(block.transpose(-1, *range(block.ndim - 1)), **options)
