"""Gi* of points: sums with a given matrix of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.kernels._jit import jit
from xinsar.kernels.exact import z_score
from xinsar.kernels.fields import flat_fields, in_fixed_point


@jit
def _sparse(starts: Any, columns: Any, weights: Any, values: Any, mean: float, field: Any, out: Any) -> None:
    for i in range(values.size):
        if np.isnan(values[i]):
            continue
        x = w = w2 = 0.0
        for at in range(starts[i], starts[i + 1]):
            value = values[columns[at]]
            if not np.isnan(value):
                x += weights[at] * (value - mean)
                w += weights[at]
                w2 += weights[at] * weights[at]
        out[i] = z_score(x, w, w2, field.number, field.std)


def gi_star_sparse(matrix: Any, values: Any, moments: Any) -> Any:
    """Return Gi* of every point with the weights of row i of ``matrix``, that of the point itself included.

    Parameters
    ----------
    matrix
        scipy.sparse matrix or array (n, n). Weights of missing points do not count.
    values, moments
        As in :func:`xinsar.kernels.neighbours.gi_star_points`.
    """
    rows = matrix.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    weights = rows.data.astype(np.float64, copy=False)
    fields, all_moments = flat_fields(values, moments)
    out = np.full(fields.shape, np.nan, values.dtype)
    for field, numbers, z in zip(fields, all_moments, out, strict=True):
        _sparse(rows.indptr, rows.indices, weights, field, numbers[1], in_fixed_point(numbers)[1], z)
    return out.reshape(values.shape)
