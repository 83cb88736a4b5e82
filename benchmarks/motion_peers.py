"""What others would write for the motion of the ground, on the same arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def closed_form(one: Any, two: Any, vectors: list[Any]) -> tuple[Any, Any]:
    """Return east and up by Cramer's rule, the determinant shared by all epochs: the least NumPy can do."""
    (e1, _, u1), (e2, _, u2) = vectors
    determinant = e1 * u2 - e2 * u1
    return (u2 * one - u1 * two) / determinant, (e1 * two - e2 * one) / determinant


def normal_equations(one: Any, two: Any, vectors: list[Any]) -> tuple[Any, Any]:
    """Return east and up by the normal equations of least squares in closed form, epoch after epoch."""
    (e1, _, u1), (e2, _, u2) = vectors
    a, b, c = e1 * e1 + e2 * e2, e1 * u1 + e2 * u2, u1 * u1 + u2 * u2
    determinant = a * c - b * b
    east, up = np.empty_like(one), np.empty_like(one)
    for epoch in range(len(one)):
        first, second = e1 * one[epoch] + e2 * two[epoch], u1 * one[epoch] + u2 * two[epoch]
        east[epoch] = (c * first - b * second) / determinant
        up[epoch] = (a * second - b * first) / determinant
    return east, up


def solve_each(one: Any, two: Any, vectors: list[Any], pixels: int) -> Any:
    """Return east and up of the first epoch, pixel by pixel with numpy.linalg.solve."""
    matrices = np.stack([v.reshape(3, -1)[[0, 2], :pixels] for v in vectors]).transpose(2, 0, 1)
    right = np.stack([d[0].reshape(-1)[:pixels] for d in (one, two)], axis=1)
    found = [np.linalg.solve(matrix, values) for matrix, values in zip(matrices, right, strict=True)]
    return np.transpose(found)


def spatial_terrain(elevation: Any) -> tuple[Any, Any]:
    """Return slope and aspect of xarray-spatial."""
    import xrspatial

    return xrspatial.slope(elevation), xrspatial.aspect(elevation)


def matrix_of(network: Any) -> Any:
    """Return the design matrix of a network without its first date."""
    matrix = np.zeros((len(network.pairs), len(network.years)))
    for k, (a, b) in enumerate(network.pairs):
        matrix[k, a], matrix[k, b] = -1, 1
    return matrix[:, 1:]


def lstsq_per_pixel(phase: Any, matrix: Any) -> Any:
    """Return the series of every pixel by numpy.linalg.lstsq."""
    out = np.zeros((matrix.shape[1] + 1, phase.shape[1]), "f4")
    for i, column in enumerate(phase.T.astype(float)):
        known = np.isfinite(column)
        out[1:, i] = np.linalg.lstsq(matrix[known], column[known], rcond=None)[0]
    return out


def grouped(phase: Any, matrix: Any, *, solve: str) -> Any:
    """Solve the pixels of each gap pattern together: by lstsq, or by a pseudo-inverse and one product."""
    keys = np.packbits(np.isfinite(phase), axis=0).T.copy()
    _, index = np.unique(keys.view([("", keys.dtype)] * keys.shape[1]).ravel(), return_inverse=True)
    order = np.argsort(index, kind="stable")
    out = np.zeros((matrix.shape[1] + 1, phase.shape[1]), "f4")
    for group in np.split(order, np.flatnonzero(np.diff(index[order])) + 1):
        known = np.isfinite(phase[:, group[0]])
        own, right = matrix[known], phase[np.ix_(known, group)]
        if solve == "lstsq":
            out[1:, group] = np.linalg.lstsq(own, right, rcond=None)[0]
        else:
            out[1:, group] = np.linalg.pinv(own).astype("f4") @ right
    return out
