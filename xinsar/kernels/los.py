"""Motion from several lines of sight: one small weighted least squares for every pixel and epoch.

Look k along the unit vector l_k saw d_k. With the columns of B as the directions that motion may take, x minimises

    sum_k w_k (d_k - (B' l_k)' x)^2,    x = (G' W G)^-1 G' W d,    G_k = B' l_k.

G, and with it the operator that turns looks into motion, depends on the place alone; it is made for a run of pixels at
once, in float64, and used for all their epochs. A look without a value, a vector or a weight above 0 is left out. NaN
where fewer looks than unknowns are left, where the condition number of G (of the looks that are used, unweighted)
exceeds its limit, and where its smallest singular value lies below ``least``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from xinsar.backend import Kernel
from xinsar.kernels import cuda
from xinsar.kernels._jit import fma, items_before_line, jit, order_stores, store_products

EAST_UP, EVERY, ALONG_ASPECT, ALONG_SURFACE, DOWNSLOPE = range(5)
"""The directions that motion may take: east and up; any; horizontally along the aspect, and up; within the surface;
down the slope."""

UNKNOWNS = {EAST_UP: 2, EVERY: 3, ALONG_ASPECT: 2, ALONG_SURFACE: 2, DOWNSLOPE: 1}
"""Number of directions."""

_COUNTS = tuple(UNKNOWNS[kind] for kind in range(len(UNKNOWNS)))

COMPONENTS = {EAST_UP: 2, EVERY: 3, ALONG_ASPECT: 3, ALONG_SURFACE: 3, DOWNSLOPE: 1}
"""Components of the result: those of the motion, or the unknowns themselves where they are the motion's."""

NOT_UNIT = 0.01
"""How far the length of a unit vector may be from 1: packed integers and interpolation cost less."""

_SINGULAR = 1e7
"""Condition number from which the normal equations, whose condition is its square, hold nothing but rounding."""

_RUN, _LONG_RUN = 4096, 16384
"""Pixels whose operator is made at once and stays in the cache over all epochs: with all results, and motion alone."""


@jit
def _worst(vectors: Any) -> tuple[float, float]:
    """Return the squared length farthest from 1, and the least up component, of vectors (3, pixel)."""
    worst, lowest = 1.0, 1.0
    for p in range(vectors.shape[1]):
        e, n, u = vectors[0, p], vectors[1, p], vectors[2, p]
        squared = e * e + n * n + u * u
        if abs(squared - 1.0) > abs(worst - 1.0):
            worst = squared
        if u < lowest:
            lowest = u
    return worst, lowest


@jit
def _are_wrong(vectors: Any) -> bool:
    """Tell whether a vector of (3, pixel) has another length than 1 or does not point up."""
    wrong = 0
    low, high = np.float32((1 - NOT_UNIT) ** 2), np.float32((1 + NOT_UNIT) ** 2)
    east, north, up = vectors[0], vectors[1], vectors[2]
    for p in range(vectors.shape[1]):
        squared = east[p] * east[p] + north[p] * north[p] + up[p] * up[p]
        wrong += (squared < low) | (squared > high) | (up[p] <= 0)
    return wrong > 0


def _check_vectors(vectors: Any) -> None:
    """Raise ValueError unless all vectors have length 1 and point up; NaN is missing."""
    if not _are_wrong(vectors):
        return
    worst, lowest = _worst(vectors)
    if not abs(np.sqrt(worst) - 1) <= NOT_UNIT:
        raise ValueError(
            f"los: expected unit vectors from the ground to the satellite, got a vector of length {np.sqrt(worst):g}; "
            "divide them by their length, and set missing ones to NaN"
        )
    if lowest <= 0:
        raise ValueError(
            f"los: expected vectors from the ground up to the satellite, got an up component of {lowest:g}; "
            "multiply them by -1 where they point from the satellite to the ground"
        )


@jit
def _directions(kind: int, terrain: Any, start: int, size: int, basis: Any) -> None:
    """Fill ``basis`` (direction, component, pixel); ``terrain`` holds slope and aspect (2, pixel), degrees."""
    basis[:] = 0.0
    for i in range(size):
        slope, aspect = np.radians(terrain[0, start + i]), np.radians(terrain[1, start + i])
        east, north = np.sin(aspect), np.cos(aspect)
        if kind == ALONG_ASPECT:
            basis[0, 0, i], basis[0, 1, i], basis[1, 2, i] = east, north, 1.0
        elif kind == ALONG_SURFACE:
            basis[0, 0, i], basis[0, 2, i] = 1.0, -np.tan(slope) * east
            basis[1, 1, i], basis[1, 2, i] = 1.0, -np.tan(slope) * north
        else:
            basis[0, 0, i], basis[0, 1, i] = east * np.cos(slope), north * np.cos(slope)
            basis[0, 2, i] = -np.sin(slope)


@jit
def _seen(looks: Any, basis: Any, start: int, size: int, design: Any) -> None:
    """Fill one look's row of the design matrix, (direction, pixel)."""
    design[:] = 0.0
    for j in range(design.shape[0]):
        row = design[j]
        for c in range(3):
            along, look = basis[j, c], looks[c, start : start + size]
            for i in range(size):
                row[i] += look[i] * along[i]


@jit
def _taken(looks: Any, kind: int, start: int, size: int, design: Any) -> None:
    """Fill one look's row where the directions are components: those of the vector."""
    for j in range(design.shape[0]):
        c = 2 if kind == EAST_UP and j == 1 else j
        row, look = design[j], looks[c, start : start + size]
        for i in range(size):
            row[i] = look[i]


@jit
def _usable(design: Any, size: int, weights: Any) -> None:
    """Set the weight of looks that cannot be used to 0, and their design to 0."""
    for k in range(design.shape[0]):
        w = weights[k]
        for i in range(size):
            w[i] = w[i] if w[i] > 0.0 and w[i] < np.inf else 0.0
        for j in range(design.shape[1]):
            row = design[k, j]
            for i in range(size):
                w[i] = w[i] if row[i] == row[i] else 0.0
        for j in range(design.shape[1]):
            row = design[k, j]
            for i in range(size):
                row[i] = row[i] if w[i] > 0.0 else 0.0


@jit
def _normal(design: Any, weights: Any, size: int, normal: Any) -> None:
    """Fill the upper triangle of G' W G, column after column, (entry, pixel)."""
    normal[:] = 0.0
    for k in range(design.shape[0]):
        w = weights[k]
        for j in range(design.shape[1]):
            for m in range(j + 1):
                one, two, into = design[k, m], design[k, j], normal[j * (j + 1) // 2 + m]
                for i in range(size):
                    into[i] += w[i] * one[i] * two[i]


@jit
def _invert_two(normal: Any, size: int) -> None:
    a, b, c = normal[0], normal[1], normal[2]
    for i in range(size):
        over = 1.0 / (a[i] * c[i] - b[i] * b[i])
        a[i], b[i], c[i] = c[i] * over, -b[i] * over, a[i] * over


@jit
def _invert_three(normal: Any, size: int) -> None:
    for i in range(size):
        a, b, c = normal[0, i], normal[1, i], normal[2, i]
        d, e, f = normal[3, i], normal[4, i], normal[5, i]
        first, second, third = c * f - e * e, d * e - b * f, b * e - c * d
        over = 1.0 / (a * first + b * second + d * third)
        normal[0, i], normal[1, i], normal[3, i] = first * over, second * over, third * over
        normal[2, i], normal[4, i] = (a * f - d * d) * over, (b * d - a * e) * over
        normal[5, i] = (a * c - b * b) * over


@jit
def _invert(normal: Any, unknowns: int, size: int) -> None:
    """Invert symmetric matrices in place; singular ones give infinities or NaN."""
    if unknowns == 1:
        for i in range(size):
            normal[0, i] = 1.0 / normal[0, i]
    elif unknowns == 2:
        _invert_two(normal, size)
    else:
        _invert_three(normal, size)


@jit
def _extremes_of_three(normal: Any, i: int) -> tuple[float, float]:
    """Return the smallest and largest eigenvalue of a symmetric 3 x 3 matrix (Smith 1961, Comm. ACM 4:168)."""
    a, b, c = normal[0, i], normal[1, i], normal[2, i]
    d, e, f = normal[3, i], normal[4, i], normal[5, i]
    mean = (a + c + f) / 3.0
    x, y, z = a - mean, c - mean, f - mean
    spread = np.sqrt((x * x + y * y + z * z + 2.0 * (b * b + d * d + e * e)) / 6.0)
    if not spread > 0.0:
        return mean, mean
    determinant = x * (y * z - e * e) - b * (b * z - e * d) + d * (b * e - y * d)
    turn = np.arccos(min(1.0, max(-1.0, determinant / (2.0 * spread**3)))) / 3.0
    return mean + 2.0 * spread * np.cos(turn + 2.0 * np.pi / 3.0), mean + 2.0 * spread * np.cos(turn)


@jit
def _extremes_of_two(a: float, b: float, c: float) -> tuple[float, float]:
    """Return the smallest and largest eigenvalue of the matrix (a b; b c)."""
    most = 0.5 * (a + c) + np.sqrt(0.25 * (a - c) * (a - c) + b * b)
    return (a * c - b * b) / most if most > 0.0 else 0.0, most


@jit
def _condition(normal: Any, weights: Any, unknowns: int, size: int, condition: Any, weakest: Any) -> None:
    """Fill ratio of the largest to the smallest singular value of G, and the smallest; NaN where looks are too few."""
    for i in range(size):
        least = most = normal[0, i]
        if unknowns == 2:
            least, most = _extremes_of_two(normal[0, i], normal[1, i], normal[2, i])
        elif unknowns == 3:
            least, most = _extremes_of_three(normal, i)
        used = 0
        for k in range(weights.shape[0]):
            used += weights[k, i] > 0.0
        weakest[i] = np.sqrt(max(least, 0.0)) if used >= unknowns else np.nan
        condition[i] = np.sqrt(most) / weakest[i]


@jit
def _fill_operator(design: Any, weights: Any, inverse: Any, size: int, operator: Any) -> None:
    """Fill (G' W G)^-1 G' W, (direction, look, pixel)."""
    for k in range(design.shape[0]):
        w = weights[k]
        for j in range(design.shape[1]):
            into = operator[j, k]
            into[:] = 0.0
            for m in range(design.shape[1]):
                low, high = min(j, m), max(j, m)
                factor, row = inverse[high * (high + 1) // 2 + low], design[k, m]
                for i in range(size):
                    into[i] += w[i] * factor[i] * row[i]


@jit
def _forbid(condition: Any, weakest: Any, limit: float, least: float, size: int, operator: Any) -> None:
    """Make the operator NaN where the condition exceeds ``limit`` or the looks hardly see the motion."""
    for i in range(size):
        if not (condition[i] <= limit and condition[i] < _SINGULAR and weakest[i] >= least):
            for j in range(operator.shape[0]):
                for k in range(operator.shape[1]):
                    operator[j, k, i] = np.nan


@jit
def _turn(operator: Any, basis: Any, size: int, turned: Any) -> None:
    """Fill the operator of the components from that of the directions."""
    turned[:] = 0.0
    for c in range(3):
        for j in range(operator.shape[0]):
            for k in range(operator.shape[1]):
                for i in range(size):
                    turned[c, k, i] += basis[j, c, i] * operator[j, k, i]


@jit
def _determinant(
    design: Any, weights: Any, limit: float, least: float, size: int, condition: Any, over: Any
) -> None:
    """Fill the condition number of two looks at two unknowns, and 1 / det G, NaN where it is not allowed."""
    a, b, c, d = design[0, 0], design[0, 1], design[1, 0], design[1, 1]
    for i in range(size):
        one, both, two = a[i] * a[i] + c[i] * c[i], a[i] * b[i] + c[i] * d[i], b[i] * b[i] + d[i] * d[i]
        most = 0.5 * (one + two) + np.sqrt(0.25 * (one - two) * (one - two) + both * both)
        determinant = a[i] * d[i] - b[i] * c[i]
        ratio = most / abs(determinant)
        there = weights[0, i] * weights[1, i] > 0.0
        allowed = ratio <= limit and ratio < _SINGULAR and abs(determinant) >= least * np.sqrt(most)
        condition[i] = ratio if there else np.nan
        over[i] = 1.0 / determinant if there and allowed else np.nan


@jit
def _scaled(values: Any, factor: float, over: Any, size: int, out: Any) -> None:
    for i in range(size):
        out[i] = factor * values[i] * over[i]


@jit
def _solve_two(
    design: Any, weights: Any, limit: float, least: float, size: int, condition: Any, operator: Any
) -> None:
    """Fill condition number and operator where G is 2 x 2: its inverse, whatever the weights."""
    over = np.empty(size)
    _determinant(design, weights, limit, least, size, condition, over)
    _scaled(design[1, 1], 1.0, over, size, operator[0, 0])
    _scaled(design[0, 1], -1.0, over, size, operator[0, 1])
    _scaled(design[1, 0], -1.0, over, size, operator[1, 0])
    _scaled(design[0, 0], 1.0, over, size, operator[1, 1])


@jit
def _solve_directions(
    design: Any, weights: Any, limit: float, least: float, size: int, condition: Any, operator: Any
) -> None:
    """Fill the condition number and the operator (direction, look, pixel) of one run of pixels."""
    unknowns = design.shape[1]
    if unknowns == 2 and design.shape[0] == 2:
        _solve_two(design, weights, limit, least, size, condition, operator)
        return
    normal, weakest = np.empty((6, size)), np.empty(size)
    _normal(design, (weights > 0.0) * 1.0, size, normal)
    _condition(normal, weights, unknowns, size, condition, weakest)
    _normal(design, weights, size, normal)
    _invert(normal, unknowns, size)
    _fill_operator(design, weights, normal, size, operator)
    _forbid(condition, weakest, limit, least, size, operator)


@jit
def _solve(
    design: Any,
    weights: Any,
    basis: Any,
    limit: float,
    least: float,
    size: int,
    condition: Any,
    operator: Any,
) -> None:
    """Fill the condition number and the operator (component, look, pixel) of one run of pixels."""
    if operator.shape[0] == design.shape[1]:
        _solve_directions(design, weights, limit, least, size, condition, operator)
        return
    own = np.empty((design.shape[1], design.shape[0], size))
    _solve_directions(design, weights, limit, least, size, condition, own)
    _turn(own, basis, size, operator)


@jit
def _design(looks: Any, terrain: Any, kind: int, start: int, size: int, basis: Any, design: Any) -> None:
    """Fill the directions and the design matrix (look, direction, pixel) of a run of pixels."""
    if kind < ALONG_ASPECT:
        for k in range(len(looks)):
            _taken(looks[k], kind, start, size, design[k])
        return
    _directions(kind, terrain, start, size, basis)
    for k in range(len(looks)):
        _seen(looks[k], basis, start, size, design[k])


@jit
def _weights(given: Any, start: int, size: int, weights: Any) -> None:
    weights[:] = 1.0
    if given.shape[1]:
        weights[:, :size] = given[:, start : start + size]


@jit
def _errors(operator: Any, variances: Any, start: int, size: int, sigma: Any, into: int) -> None:
    """Fill the standard error of the components, (component, pixel), from the variances of the looks."""
    for c in range(operator.shape[0]):
        for i in range(size):
            total = 0.0
            for k in range(operator.shape[1]):
                if operator[c, k, i] != 0.0:
                    total += operator[c, k, i] * operator[c, k, i] * variances[k, start + i]
            sigma[c, into + i] = np.sqrt(total)


@jit
def _add_products(factors: Any, values: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = fma(factors[i], values[i], out[i])


@jit
def _products(factors: Any, values: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = factors[i] * values[i]


@jit
def _two_products(one: Any, first: Any, two: Any, second: Any, out: Any) -> None:
    """Fill what is only written with the sum of two products, lines of it past the cache."""
    lanes, begin = 64 // out.itemsize, items_before_line(out)
    end = begin + (out.size - begin) // lanes * lanes
    for i in range(begin):
        out[i] = fma(two[i], second[i], one[i] * first[i])
    for i in range(begin, end, lanes):
        store_products(one, first, two, second, out, i)
    for i in range(end, out.size):
        out[i] = fma(two[i], second[i], one[i] * first[i])


@jit
def _apply(operator: Any, data: Any, epoch: int, start: int, size: int, out: Any) -> None:
    """Fill the components (component, pixel) of one epoch; a missing look makes NaN."""
    end = start + size
    for c in range(operator.shape[0]):
        own, into, values = operator[c], out[c, start:end], data[0][epoch, start:end]
        if len(data) == 2:
            _two_products(own[0, :size], values, own[1, :size], data[1][epoch, start:end], into)
            continue
        _products(own[0, :size], values, into)
        for k in range(1, len(data)):
            _add_products(own[k, :size], data[k][epoch, start:end], into)


@jit
def _motion(
    data: Any, looks: Any, given: Any, terrain: Any, kind: int, limit: float, least: float, out: Any
) -> None:
    """Fill ``out`` (epoch, component, pixel) where looks are as many as unknowns: no look can be left out."""
    number, pixels, components = len(data), data[0].shape[1], out.shape[1]
    unknowns = _COUNTS[kind]
    basis, design = np.empty((unknowns, 3, _LONG_RUN)), np.empty((number, unknowns, _LONG_RUN))
    weights, condition = np.empty((number, _LONG_RUN)), np.empty(_LONG_RUN)
    exact = np.empty((components, number, _LONG_RUN))
    operator = np.empty((components, number, _LONG_RUN), out.dtype)
    for start in range(0, pixels, _LONG_RUN):
        size = min(_LONG_RUN, pixels - start)
        _design(looks, terrain, kind, start, size, basis, design)
        _weights(given, start, size, weights)
        _usable(design, size, weights)
        _solve(design, weights, basis, limit, least, size, condition, exact)
        operator[:] = exact
        for epoch in range(out.shape[0]):
            _apply(operator, data, epoch, start, size, out[epoch])
    order_stores()


@jit
def _geometry(
    looks: Any,
    given: Any,
    variances: Any,
    terrain: Any,
    kind: int,
    limit: float,
    least: float,
    sigma: Any,
    found: Any,
) -> None:
    """Fill ``found`` (pixel), the condition number, and ``sigma`` (component, pixel) of all looks."""
    number, pixels, components = len(looks), found.size, sigma.shape[0]
    unknowns = _COUNTS[kind]
    basis, design = np.empty((unknowns, 3, _RUN)), np.empty((number, unknowns, _RUN))
    weights, condition = np.empty((number, _RUN)), np.empty(_RUN)
    operator = np.empty((components, number, _RUN))
    for start in range(0, pixels, _RUN):
        size = min(_RUN, pixels - start)
        _design(looks, terrain, kind, start, size, basis, design)
        _weights(given, start, size, weights)
        _usable(design, size, weights)
        _solve(design, weights, basis, limit, least, size, condition, operator)
        found[start : start + size] = condition[:size]
        if variances.shape[1]:
            _errors(operator, variances, start, size, sigma, start)
    if not variances.shape[1]:
        sigma[:] = np.nan


@jit
def _present(values: Any, weights: Any, size: int, used: Any) -> bool:
    """Give looks with a value their weight, others 0; tell whether any changed."""
    changed = False
    for i in range(size):
        now = weights[i] if values[i] == values[i] else 0.0
        changed |= now != used[i]
        used[i] = now
    return changed


@jit
def _misfit(values: Any, rows: Any, used: Any, found: Any, i: int) -> tuple[float, float, int]:
    """Return the weighted sum of squared residuals, the sum of weights, and the number of looks."""
    total, weight, number = 0.0, 0.0, 0
    for k in range(used.shape[0]):
        if used[k, i] > 0.0:
            left = values[k, i]
            for c in range(rows.shape[1]):
                left -= rows[k, c, i] * found[c, i]
            total += used[k, i] * left * left
            weight += used[k, i]
            number += 1
    return total, weight, number


@jit
def _components(operator: Any, values: Any, used: Any, size: int, out: Any) -> None:
    """Fill the components of one epoch from the looks that are there."""
    for c in range(operator.shape[0]):
        into = out[c]
        for i in range(size):
            into[i] = 0.0
        for k in range(operator.shape[1]):
            factor, value, weight = operator[c, k], values[k], used[k]
            for i in range(size):
                into[i] += factor[i] * (value[i] if weight[i] > 0.0 else 0.0)


@jit
def _spread(
    found: Any,
    values: Any,
    rows: Any,
    used: Any,
    unknowns: int,
    known: int,
    size: int,
    residual: Any,
    sigma: Any,
) -> None:
    """Fill the residual (pixel); scale ``sigma`` by it where the looks' own errors are not known."""
    for i in range(size):
        total, weight, number = _misfit(values, rows, used, found, i)
        residual[i] = np.sqrt(total / weight) if number >= unknowns else np.nan
        if known == 0:
            factor = np.sqrt(total / (number - unknowns)) if number > unknowns else np.nan
            for c in range(sigma.shape[0]):
                sigma[c, i] *= factor


@jit
def _rows(looks: Any, design: Any, start: int, size: int, rows: Any) -> None:
    """Fill what each look sees of the components (look, component, pixel)."""
    for k in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            for i in range(size):
                if rows.shape[1] == design.shape[1]:
                    rows[k, c, i] = design[k, c, i]
                else:
                    rows[k, c, i] = looks[k][c, start + i]


@jit
def _estimates(
    data: Any,
    looks: Any,
    given: Any,
    variances: Any,
    terrain: Any,
    kind: int,
    limit: float,
    least: float,
    motion: Any,
    sigma: Any,
    condition: Any,
    residual: Any,
) -> None:
    """Fill all results (epoch, ..., pixel) where looks are more than unknowns; one that is missing is left out."""
    number, pixels, components = len(data), data[0].shape[1], motion.shape[1]
    unknowns, known = _COUNTS[kind], variances.shape[1]
    basis, design = np.empty((unknowns, 3, _RUN)), np.empty((number, unknowns, _RUN))
    weights, used, here = np.empty((number, _RUN)), np.empty((number, _RUN)), np.empty((number, _RUN))
    rows = np.empty((number, components, _RUN))
    ratio, operator = np.empty(_RUN), np.empty((components, number, _RUN))
    solved, errors, error = (
        np.empty((components, _RUN)),
        np.empty((components, _RUN)),
        np.empty((components, _RUN)),
    )
    left = np.empty(_RUN)
    for start in range(0, pixels, _RUN):
        size = min(_RUN, pixels - start)
        end = start + size
        _design(looks, terrain, kind, start, size, basis, design)
        _weights(given, start, size, weights)
        _usable(design, size, weights)
        _rows(looks, design, start, size, rows)
        used[:] = -1.0
        for epoch in range(motion.shape[0]):
            changed = False
            for k in range(number):
                here[k, :size] = data[k][epoch, start:end]
                changed |= _present(here[k], weights[k], size, used[k])
            if changed:
                _solve(design, used, basis, limit, least, size, ratio, operator)
                _root_of_variance(operator, used, variances, start, size, errors)
            _components(operator, here, used, size, solved)
            error[:] = errors
            _spread(solved, here, rows, used, unknowns, known, size, left, error)
            motion[epoch, :, start:end] = solved[:, :size]
            sigma[epoch, :, start:end] = error[:, :size]
            condition[epoch, start:end] = ratio[:size]
            residual[epoch, start:end] = left[:size]


@jit
def _root_of_variance(operator: Any, used: Any, variances: Any, start: int, size: int, errors: Any) -> None:
    """Fill the standard errors (component, pixel): of known variances, or of variances 1 / weight."""
    if variances.shape[1]:
        _errors(operator, variances, start, size, errors, 0)
        return
    for c in range(operator.shape[0]):
        for i in range(size):
            total = 0.0
            for k in range(operator.shape[1]):
                if used[k, i] > 0.0:
                    total += operator[c, k, i] * operator[c, k, i] / used[k, i]
            errors[c, i] = np.sqrt(total)


def _flat(arrays: Sequence[Any], dtype: Any, lead: int) -> tuple[Any, ...]:
    """Return arrays (..., y, x) as contiguous (lead, pixel)."""
    return tuple(np.ascontiguousarray(a, dtype).reshape(lead, prod(a.shape[-2:])) for a in arrays)


def _table(arrays: Sequence[Any], number: int) -> Any:
    """Return maps (y, x) as float64 (map, pixel); without pixels where there are no maps."""
    if not arrays:
        return np.empty((number, 0))
    return np.ascontiguousarray([np.ravel(a) for a in arrays], np.float64)


def _own_looks(looks: Sequence[Any], dtype: Any, *, checked: bool) -> tuple[Any, ...]:
    vectors = _flat(looks, dtype, 3)
    for look in vectors if checked else ():
        _check_vectors(look)
    return vectors


def motion_numpy(
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
    """Solve every pixel and epoch.

    Parameters
    ----------
    first, others
        What the looks saw, (..., y, x) each, of one shape, float32 or float64.
    looks
        Unit vectors (3, y, x), one array a look.
    weights, variances
        Maps (y, x), one a look, or none.
    terrain
        Slope and aspect (y, x), degrees, where ``kind`` needs them.
    kind
        One of the directions above.
    limit, least
        Largest condition number; smallest singular value.
    checked
        Whether ``looks`` must be unit vectors that point up.
    out
        Memory for the motion (epoch, component, pixel), used again instead of new.

    Returns
    -------
    tuple
        Motion (..., component, y, x); where looks are more than unknowns also its standard error of the same shape,
        condition number and residual (..., y, x).
    """
    data = (first, *others)
    dtype, lead, plane = np.result_type(*data), first.shape[:-2], first.shape[-2:]
    epochs, pixels, components = prod(lead), prod(plane), COMPONENTS[kind]
    seen, vectors = _flat(data, dtype, epochs), _own_looks(looks, dtype, checked=checked)
    ground = _table(terrain, 2)
    motion = np.empty((epochs, components, pixels), dtype) if out is None else out
    own = _table(weights, len(data))
    if len(data) <= UNKNOWNS[kind]:
        _motion(seen, vectors, own, ground, kind, float(limit), float(least), motion)
        return (motion.reshape(*lead, components, *plane),)
    sigma, condition, residual = (
        np.empty_like(motion),
        *(np.empty((epochs, pixels), dtype) for _ in range(2)),
    )
    _estimates(
        seen,
        vectors,
        own,
        _table(variances, len(data)),
        ground,
        kind,
        float(limit),
        float(least),
        motion,
        sigma,
        condition,
        residual,
    )
    shapes = ((components, *plane),) * 2 + (plane,) * 2
    return tuple(
        a.reshape(*lead, *s) for a, s in zip((motion, sigma, condition, residual), shapes, strict=True)
    )


def geometry_numpy(
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
    """Return standard error (component, y, x) and condition number (y, x) of looks (3, y, x), without any data."""
    plane = first.shape[-2:]
    vectors = _own_looks((first, *others), dtype, checked=True)
    sigma = np.empty((COMPONENTS[kind], prod(plane)), dtype)
    condition = np.empty(prod(plane), dtype)
    tables = (_table(weights, len(vectors)), _table(variances, len(vectors)), _table(terrain, 2))
    _geometry(vectors, *tables, kind, float(limit), 0.0, sigma, condition)
    return sigma.reshape(COMPONENTS[kind], *plane), condition.reshape(plane)


motion = Kernel("decompose_los", numpy=motion_numpy, cupy=cuda.motion)
geometry = Kernel("decompose_los", numpy=geometry_numpy, cupy=cuda.geometry)
