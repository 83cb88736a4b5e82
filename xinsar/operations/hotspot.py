"""Hot spots: Getis-Ord Gi* of maps and points, and the hot spot map of Liang et al."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import Metric, metric_of, pixel_spacing
from xinsar.mapping import by_place, neighbourhood, reduce_fields, whole_points
from xinsar.operations import checks
from xinsar.operations.fields import dims_over, field_of, floating, is_points
from xinsar.operations.weights import is_matrix, matrix_of

_WEIGHTS = ("binary", "inverse_distance")


def getis_ord(
    data: xr.DataArray | xr.Dataset,
    distance: float | None = None,
    *,
    weights: Any = "binary",
    k: int | None = None,
    fdr: bool = False,
    alpha: float = 0.05,
    over: Any = None,
) -> xr.Dataset:
    r"""Find where high or low values cluster: the Getis-Ord Gi* statistic of a map or of points.

    .. math:: G_i^* = \frac{\sum_j w_{ij} x_j - \bar x W_i}{S \sqrt{(n W_{i2} - W_i^2) / (n - 1)}}, \qquad
       W_i = \sum_j w_{ij}, \quad W_{i2} = \sum_j w_{ij}^2

    A place is its own neighbour (j = i counts). n, the mean and the population standard deviation S are those of all
    valid values of the field, never of a chunk.

    Parameters
    ----------
    data
        Map (..., y, x) or points (..., point) with coordinates x(point) and y(point), of any name and unit; or a
        Dataset, of which ``velocity``, else ``displacement``, else the only map of numbers is taken. Leading dims
        (time, component, ...) are fields of their own.
    distance
        Radius of the neighbourhood, metres; whatever lies at most that far away counts.
    weights
        ``"binary"``: 1 within ``distance``. For points also ``"inverse_distance"``: 1 / max(d, 1 m) within
        ``distance``, 1 for the point itself; or ready-made weights, without ``distance``: a ``libpysal`` W or Graph, or
        a sparse matrix. Their ids are the points' index, ``id`` or number; a row that lacks the point itself gets it
        with the row's largest weight.
    k
        For points, instead of ``distance``: the point and its ``k`` nearest, weight 1.
    fdr
        Add ``significant`` (Benjamini-Hochberg at ``alpha``, over one field) and ``confidence``.
    alpha
        False discovery rate of ``significant``.
    over
        Leading dim, or several, that share n, mean and S; default none: each field has its own.

    Returns
    -------
    xarray.Dataset
        ``hot_spot`` (z score, positive where high values cluster), ``p_value`` (two-sided, of the normal distribution),
        in the dtype of the field (float64 for whole numbers); with ``fdr`` also ``significant`` (bool) and
        ``confidence`` (-3..3: cold or hot at 90, 95, 99 % by ``p_value``). Lazy if ``data`` is.

    Raises
    ------
    TypeError
        If ``data`` is neither a DataArray nor a Dataset.
    xinsar.SchemaError
        If the field does not end in y, x or point, or holds no real numbers.
    ValueError
        If ``distance`` is missing, not above 0 or smaller than a pixel; if there is neither a CRS nor a unit of x; if
        ``weights`` do not fit the points; when computed, if a value is infinite or points are fewer than ``k`` + 1.

    Notes
    -----
    NaN: a missing value has no weight and stays NaN. NaN as well where all values are equal, where the neighbourhood
    holds every valid value, and for points without a finite place. Sums are exact (values in fixed point, 40 bits
    from the mean to the farthest value), so neither chunks nor the order of points change a bit of the result.
    A p value of float32 is 0 from a z score of 14.2 on.

    Geographic grids and points go by metres on the ellipsoid; where data lie across 180 degrees, give longitudes from 0
    to 360. ``significant`` needs a second pass over lazy data. Ready-made weights and ``k`` need all points in memory,
    the distance does not.

    References
    ----------
    Getis and Ord 1992, Geogr. Anal. 24:189-206; Ord and Getis 1995, Geogr. Anal. 27:286-306. For InSAR: Lu et al. 2019,
    ISPRS J. 156:147-159; Liang et al. 2023, Remote Sens. 15, section 3.3, who print a weight of 0 for the place itself,
    which is the statistic without the star.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xinsar
    >>> coords = {"y": -10.0 * np.arange(40), "x": 10.0 * np.arange(40)}
    >>> velocity = xr.DataArray(np.zeros((40, 40)), dims=("y", "x"), coords=coords)
    >>> velocity.x.attrs["units"] = "m"
    >>> velocity[18:22, 18:22] = 0.05
    >>> hot = xinsar.getis_ord(velocity, 30)
    >>> bool(hot.hot_spot[20, 20] > 2)
    True
    """
    if not isinstance(fdr, (bool, np.bool_)):
        raise TypeError(f"fdr: expected True or False, got {fdr!r}; give the rate itself as alpha")
    field = floating(field_of(data))
    method = _method(field, distance, weights, k)
    z = schema.label(schema.HOT_SPOT, method(field, _moments(field, over)), **_attrs(distance, k, weights))
    history = checks.said(
        "getis_ord",
        distance=None if distance is None else float(distance),
        weights=_named(weights),
        k=None if k is None else int(k),
        fdr=bool(fdr) or None,
        alpha=float(alpha) if fdr else None,
        over=over,
    )
    return schema.assemble(
        _with_significance(z, over=over, fdr=bool(fdr), alpha=alpha), data, history=history
    )


def _named(weights: Any) -> str:
    return weights if isinstance(weights, str) else type(weights).__name__


def _attrs(distance: Any, k: Any, weights: Any) -> dict[str, Any]:
    """Return the attributes that tell how a hot spot was made."""
    own = {
        "distance": None if distance is None else float(distance),
        "nearest": k,
        "weights": _named(weights),
    }
    return {name: value for name, value in own.items() if value is not None}


def _moments(field: xr.DataArray, over: Any) -> xr.DataArray:
    """Return count, mean, standard deviation and largest deviation of every field, on the last dim ``moment``."""
    from xinsar.kernels import exact

    return reduce_fields(
        exact.partial_sums,
        exact.moments,
        field,
        dims=dims_over(field, over),
        name="moment",
        size=len(exact.MOMENTS),
    )


def _with_significance(z: xr.DataArray, *, over: Any, fdr: bool, alpha: float) -> list[xr.DataArray]:
    """Return z with its p value and, where asked for, what is significant."""
    from xinsar.operations.significance import benjamini_hochberg, confidence_classes, p_value_of

    alpha = checks.share("alpha", alpha)
    p = p_value_of(z)
    found = [z, schema.label(schema.P_VALUE, p)]
    if fdr:
        significant = benjamini_hochberg(p, alpha=alpha, dims=dims_over(z, over))
        found.append(schema.label(schema.SIGNIFICANT, significant, false_discovery_rate=alpha))
        found.append(schema.label(schema.CONFIDENCE, confidence_classes(z)))
    return found


def _method(field: xr.DataArray, distance: Any, weights: Any, k: Any) -> Any:
    """Return the function of (field, moments) that the arguments ask for, after checking them."""
    if is_matrix(weights):
        _alone("weights", distance=distance, k=k)
        return _by_matrix(_of_points(field, "weights"), weights)
    if not isinstance(weights, str):
        raise TypeError(
            f"weights: expected {' or '.join(map(repr, _WEIGHTS))}, a libpysal W or Graph, or a sparse matrix, got "
            f"{type(weights).__name__}"
        )
    checks.one_of("weights", weights, _WEIGHTS)
    if k is not None:
        _alone("k", distance=distance)
        return _nearest(_of_points(field, "k"), k)
    if distance is None:
        raise ValueError("distance: expected the radius of the neighbourhood in metres, got None")
    distance = checks.finite("distance", distance)
    if is_points(field):
        return _points(field, distance, weights)
    if weights != "binary":
        raise ValueError(f"weights: expected 'binary' for a map, got {weights!r}, which is for points")
    return _discs(field, distance)


def _alone(name: str, **others: Any) -> None:
    for other, value in others.items():
        if value is not None:
            raise ValueError(
                f"{other}: expected None together with {name}, got {value!r}; give one of the two"
            )


def _of_points(field: xr.DataArray, name: str) -> xr.DataArray:
    if is_points(field):
        return field
    raise ValueError(f"{name}: expected points (last dim 'point'), got a map; a map takes distance alone")


def _discs(field: xr.DataArray, distance: float) -> Any:
    """Return Gi* of maps over discs of ``distance`` metres."""
    from xinsar.kernels.disk import gi_star, half_widths

    table, rows = half_widths(distance, *_spacing(field, distance), (field.sizes["y"], field.sizes["x"]))
    depth = table.shape[1] - 1, int(table.max())
    return lambda values, moments: neighbourhood(
        gi_star, values, depth=depth, rows=rows, moments=moments, table=table
    )


def _spacing(field: xr.DataArray, distance: float) -> tuple[Any, Any]:
    """Return the pixel size of the rows; ``distance`` must reach a neighbour."""
    dy, dx = pixel_spacing(field)
    smallest = float(min(dy.min(), dx.min()))
    if distance < smallest * (1 - 1e-9):
        raise ValueError(
            f"distance: expected at least the size of a pixel, {smallest:g} m, got {distance:g} m: no pixel would have "
            "a neighbour"
        )
    return np.nan_to_num(dy, nan=distance), np.nan_to_num(dx, nan=distance)


def _points(field: xr.DataArray, distance: float, weights: str) -> Any:
    """Return Gi* of points within ``distance`` metres of each other."""
    metric = metric_of(field)
    return lambda values, moments: by_place(
        _answer,
        field["x"],
        field["y"],
        values,
        halo=distance,
        north=metric.north,
        moments=moments,
        metric=metric,
        distance=distance,
        weights=weights,
    )


def _answer(
    x: Any, y: Any, values: Any, moments: Any, own: int, *, metric: Metric, distance: float, weights: str
) -> Any:
    from xinsar.kernels.neighbours import gi_star_points

    return gi_star_points(*metric.place(x, y), values, moments, own=own, distance=distance, weights=weights)


def _nearest(field: xr.DataArray, k: Any) -> Any:
    """Return Gi* of every point and its ``k`` nearest."""
    number = checks.whole("k", k)
    metric = metric_of(field)
    return lambda values, moments: whole_points(
        _answer_nearest, field["x"], field["y"], values, moments=moments, metric=metric, k=number
    )


def _answer_nearest(x: Any, y: Any, values: Any, moments: Any, *, metric: Metric, k: int) -> Any:
    from xinsar.kernels.nearest import gi_star_nearest

    return gi_star_nearest(*metric.place(x, y), values, moments, k=k)


def _by_matrix(field: xr.DataArray, weights: Any) -> Any:
    """Return Gi* with ready-made weights."""
    matrix = matrix_of(weights, field)
    return lambda values, moments: whole_points(
        _answer_matrix, field["x"], field["y"], values, moments=moments, matrix=matrix
    )


def _answer_matrix(_: Any, __: Any, values: Any, moments: Any, *, matrix: Any) -> Any:
    from xinsar.kernels.sparse import gi_star_sparse

    return gi_star_sparse(matrix, values, moments)


def hot_spot_map(
    data: xr.DataArray | xr.Dataset, distance: float, *, radius: float | None = None, target: Any = None
) -> xr.Dataset:
    """Map hot spots: Gi* within ``distance``, then the density of its z scores within ``radius``.

    Parameters
    ----------
    data
        Map (..., y, x) or points (..., point), as in :func:`xinsar.getis_ord`: velocities, in the paper.
    distance
        Radius of the neighbourhood of Gi*, metres.
    radius
        Search radius of the density, metres; default ``distance``.
    target
        Grid of the density, as in :func:`xinsar.kernel_density`: a cube, a resolution in metres, or an extent. Default:
        the map's own grid; for points a grid over their extent.

    Returns
    -------
    xarray.Dataset
        Of a map: ``hot_spot``, ``p_value`` and ``density`` (m-2). Of points, and of a map with another grid as
        ``target``: ``density`` (..., y, x) on the target alone. Lazy if ``data`` is.

    Raises
    ------
    ValueError
        As :func:`xinsar.getis_ord` and :func:`xinsar.kernel_density`.

    Notes
    -----
    The density counts every valid pixel or point with its z score as weight, positive and negative. It is 0 where none
    lies within ``radius`` and NaN everywhere if no z score is valid (a constant field).

    References
    ----------
    Liang et al. 2023, Remote Sens. 15, section 3.3 (150 m for both).

    Examples
    --------
    >>> import numpy as np, xarray as xr, xinsar
    >>> coords = {"y": -10.0 * np.arange(20), "x": 10.0 * np.arange(20)}
    >>> values = np.random.default_rng(0).normal(size=(20, 20))
    >>> field = xr.DataArray(values, dims=("y", "x"), coords=coords)
    >>> field.x.attrs["units"] = "m"
    >>> sorted(xinsar.hot_spot_map(field, 30).data_vars)
    ['density', 'hot_spot', 'p_value']
    """
    from xinsar.operations.density import kernel_density
    from xinsar.operations.targets import same_place

    found = getis_ord(data, distance)
    radius = distance if radius is None else radius
    dense = kernel_density(found.hot_spot, radius, target=target)
    history = checks.said("hot_spot_map", distance=float(distance), radius=float(radius))
    own = not is_points(found.hot_spot) and same_place(found.hot_spot, dense.density)
    variables = [found.hot_spot, found.p_value, dense.density] if own else [dense.density]
    return schema.assemble(variables, data, history=history)
