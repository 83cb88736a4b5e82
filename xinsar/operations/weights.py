"""Spatial weights made elsewhere, brought to the order of the points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr


def is_matrix(weights: Any) -> bool:
    """Tell whether ``weights`` are ready-made: a W or Graph of libpysal, or a sparse matrix."""
    return hasattr(weights, "sparse") or hasattr(weights, "tocsr")


def matrix_of(weights: Any, field: xr.DataArray) -> Any:
    """Return ``weights`` as a CSR matrix in the order of the points of ``field``, every point its own neighbour.

    A row without a weight for the point itself gets its largest one (1 where it has no neighbours): Gi* counts the
    point among its neighbours.
    """
    import scipy.sparse as sp

    matrix = weights.sparse if hasattr(weights, "sparse") else weights
    if matrix.dtype.kind not in "fiub":
        raise TypeError(
            f"weights: expected real numbers, got dtype {matrix.dtype}; convert it with astype(float)"
        )
    matrix = sp.csr_array(matrix, dtype=np.float64)
    number = field.sizes["point"]
    if matrix.shape != (number, number):
        raise ValueError(
            f"weights: expected weights among {number} points, got {matrix.shape[0]} x {matrix.shape[1]}; build them "
            "from the same points"
        )
    order = _order(_ids_of(weights), field)
    matrix = matrix if order is None else matrix[order][:, order]
    if not np.isfinite(matrix.data).all():
        raise ValueError(
            "weights: expected finite numbers, found NaN or infinite ones; drop those links first"
        )
    return _with_self(matrix.tocsr())


def _ids_of(weights: Any) -> Sequence[Any] | None:
    """Return the ids of ready-made weights in the order of their matrix; None where they have none."""
    for name in ("unique_ids", "id_order"):
        if getattr(weights, name, None) is not None:
            return list(getattr(weights, name))
    return None


def _order(ids: Sequence[Any] | None, field: xr.DataArray) -> Any:
    """Return where each point of ``field`` stands among ``ids``; None where it is its own place."""
    if ids is None:
        return None
    where = {id_: i for i, id_ in enumerate(ids)}
    for wanted in _names_of(field):
        if all(name in where for name in wanted):
            order = np.array([where[name] for name in wanted])
            if np.unique(order).size < order.size:
                continue
            return None if (order == np.arange(order.size)).all() else order
    known = next(iter(_names_of(field)))
    lacking = [name for name in known if name not in where]
    if not lacking:
        raise ValueError(
            f"weights: expected every point to have an id of its own, got {len(known) - len(set(known))} points that "
            "repeat one; give the points an index with assign_coords(point=ids)"
        )
    raise ValueError(
        f"weights: their ids do not match the points: {len(lacking)} of {len(known)} points are not among them, e.g. "
        f"{lacking[0]!r}, while they hold e.g. {ids[0]!r}; build them with these ids, or give the points an index "
        "with assign_coords(point=ids)"
    )


def _names_of(field: xr.DataArray) -> Iterable[list[Any]]:
    """Return the names the points may go by: their index, their ``id``, their number."""
    for name in ("point", "id"):
        if name in field.coords and field[name].dims == ("point",):
            yield field[name].values.tolist()
    if "point" not in field.coords:
        yield list(range(field.sizes["point"]))


def _with_self(matrix: Any) -> Any:
    import scipy.sparse as sp

    own = matrix.diagonal()
    largest = np.asarray(matrix.max(axis=1).todense()).reshape(-1)
    added = np.where(own == 0, np.where(largest > 0, largest, 1.0), 0.0)
    return (matrix + sp.diags_array(added)).tocsr()
