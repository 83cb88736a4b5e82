"""Kernel density of rasters and of points, on any grid."""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.backend import array_namespace, is_cupy
from xinsar.mapping import is_lazy, neighbourhood, onto_grid, pointwise, reduce_fields, same_grid
from xinsar.operations import checks
from xinsar.operations.fields import field_of, floating, is_points, own_dims
from xinsar.operations.targets import lie_in, moved, outside, said, same_place, target_grid

KERNELS = ("quartic", "printed")
METHODS = ("auto", "exact", "fft")

MOST_UNEVEN = 1e-3
"""How far the size of rows may lie from their mean, as a share of it, where one transform serves all."""
LONG_RADIUS = 48
"""Radius in pixels from which transforms beat sums on a raster's own grid."""
FAINT_ERROR = 1e-3
"""Largest error of sharing points among pixels, as a share of the kernel's peak, that ``"auto"`` accepts."""
MUCH_FASTER = 2.0
"""How many times faster binning must be before ``"auto"`` prefers it to exact sums over points."""
_BLOCK = 2**24
_METRES_IN_A_DEGREE = 110_000.0
"""Somewhat less than the length of any degree of latitude."""


class Search(NamedTuple):
    """What is asked for: radius in metres, exponent of the kernel's bracket, method."""

    radius: float
    power: int
    method: str


def kernel_density(
    data: xr.DataArray | xr.Dataset,
    radius: float,
    *,
    weights: Any = None,
    target: Any = None,
    kernel: str = "quartic",
    method: str = "auto",
) -> xr.Dataset:
    r"""Density of weights within a radius: of the pixels of a raster, or of points, on any grid.

    .. math:: \mathrm{density}(p) = \frac{1}{r^2} \sum_{d_i < r} \frac{3}{\pi}\, w_i
       \left(1 - \left(\frac{d_i}{r}\right)^2\right)^2

    with d the distance of the centre of pixel p from the pixel or point that has the weight w.

    Parameters
    ----------
    data
        Raster (..., y, x) or points (..., point) with coordinates x(point) and y(point). A DataArray's values are the
        weights. Of a Dataset on y and x it is ``velocity``, else ``displacement``, else its only map of numbers; of a
        Dataset of points each point counts as 1. Leading dims (time, ...) are fields of their own.
    radius
        Search radius r, metres.
    weights
        Weights in place of those: the name of a variable of ``data``, a DataArray, or an array of its shape. NaN: as if
        the pixel or point were not there.
    target
        Grid of the result: a cube, whose coordinates and CRS it takes (points are brought to that CRS); a resolution in
        metres, for a grid over the extent of ``data`` and ``radius`` around it; an extent (left, bottom, right, top) in
        units of the CRS, with the resolution in fifth place or else radius / 10. Default: a raster's own grid; for
        points a resolution of radius / 10.
    kernel
        ``"quartic"``, which integrates to 1; or ``"printed"``: the bracket without its outer square, as a paper prints
        it, which integrates to 1.5.
    method
        ``"exact"``: every weight counts by its own distance. ``"fft"``: by Fourier transforms; points are first shared
        among the four pixels around them. ``"auto"``: which of the two, by the number of points, the size of the grid
        and the radius in pixels (see Notes). The result says it in the attribute ``method``.

    Returns
    -------
    xarray.Dataset
        ``density`` (..., y, x), m-2 times the unit of the weights; float32 for float32 weights, else float64. Lazy if
        ``data`` is.

    Raises
    ------
    TypeError
        If ``data``, ``weights`` or ``target`` are of another kind.
    xinsar.SchemaError
        If the field does not end in y, x or point, or holds no real numbers.
    ValueError
        If ``radius`` is not above 0 or smaller than a pixel of the result; if ``target`` makes no grid; if there is
        neither a CRS nor a unit of x, or a CRS on one side only; if no point lies in the target or within ``radius``
        of it (where coordinates are in memory); if ``weights`` lie at other places than ``data``; if ``method="fft"``
        and rows differ in size by more than 0.1 % from their mean; when computed, if a weight is infinite.
    KeyError
        If ``data`` has no variable ``weights``.

    Notes
    -----
    0 where nothing lies within r: a target that lies nowhere near points whose coordinates are not in memory, or near
    a lazy raster in another CRS, is 0 everywhere. A field without any valid weight gives NaN everywhere.

    Metres: a projected CRS as it is, a geographic one by the ellipsoid. On its own grid each pixel of a raster is
    spread by the size that pixels have in its row. Other grids get the pixels of a raster as points.

    Errors. ``"exact"`` is exact but for the rounding of float64 sums. The attribute ``error_bound`` (m-2) of ``"fft"``
    times a sum of absolute weights bounds how far a result may lie from it. For points, whose kernel is interpolated
    linearly between pixels of c_y by c_x metres, it is K (c_y^2 + c_x^2) / r^2 (``"printed"``: K (c_y + c_x) / (2 r) +
    K (c_y^2 + c_x^2) / (4 r^2)), K = 3 / (pi r^2), because no second derivative exceeds 8 K / r^2; the sum runs over
    points within r and a pixel's diagonal. Rows of uneven size add 1.01 K times (``"printed"``: 2.02 K) their largest
    relative distance from the mean. The rounding of transforms adds less than 1e-9 K times the sum of all absolute
    weights (it also leaves values of that size where the density is 0); on a raster's own grid that is all.
    ``"auto"`` takes transforms on a raster's own grid from a radius of 48 pixels, and for points where they save half
    of the work and the bound stays below K / 1000; elsewhere, on a GPU, and where rows are uneven, sums.

    Longitudes are plain numbers: nothing reaches across the antimeridian.

    Neither chunks nor strips change a bit of either method. For points without ``target`` coordinates that are not in
    memory are read at once, for the extent.

    References
    ----------
    Silverman 1986, Density estimation for statistics and data analysis, eq. 4.5 (the quartic kernel). Liang et al.
    2023, Remote Sens. 15, section 3.3: prints the kernel without its square.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xinsar
    >>> place = {"x": ("point", [55.0, 65.0]), "y": ("point", [55.0, 55.0])}
    >>> points = xr.Dataset(coords=place)
    >>> points.x.attrs["units"] = "m"
    >>> found = xinsar.kernel_density(points, 50, target=5)
    >>> found.density.shape
    (20, 22)
    >>> round(float(found.density.sum()) * 25, 2)
    2.0
    """
    from xinsar.kernels.density import POWERS

    search = Search(
        checks.finite("radius", radius),
        POWERS[checks.one_of("kernel", kernel, KERNELS)],
        checks.one_of("method", method, METHODS),
    )
    field = floating(_weights(data, weights))
    density = density_of(field, search, target=target)
    history = checks.said(
        "kernel_density",
        radius=search.radius,
        weights=weights if weights is None or isinstance(weights, str) else "array",
        target=said(target),
        kernel=kernel,
        method=method,
    )
    named = schema.label(
        schema.DENSITY,
        density,
        **{**density.attrs, "units": _units(field), "kernel": kernel, "radius": search.radius},
    )
    return schema.assemble([named], data, history=history)


def _units(field: xr.DataArray) -> str:
    own = str(field.attrs.get("units", "1")).strip()
    return schema.DENSITY.units if own in ("", "1") else f"{own} {schema.DENSITY.units}"


# ---- weights


def _weights(data: Any, weights: Any) -> xr.DataArray:
    """Return the weights of pixels or points, with their coordinates."""
    if weights is None:
        return _ones(data) if _is_point_set(data) else field_of(data)
    if isinstance(weights, str):
        if not isinstance(data, xr.Dataset) or weights not in data:
            held = (
                ", ".join(sorted(map(str, data.data_vars))) if isinstance(data, xr.Dataset) else "a DataArray"
            )
            raise KeyError(f"weights: no variable {weights!r} in data (it holds: {held})")
        return field_of(data[weights])
    like = _like(data)
    if isinstance(weights, xr.DataArray):
        return _field_like(weights, like)
    return _array_like(weights, like)


def _is_point_set(data: Any) -> bool:
    return isinstance(data, xr.Dataset) and "point" in data.dims and not {"y", "x"} <= set(data.dims)


def _ones(data: xr.Dataset) -> xr.DataArray:
    """Return a weight of 1 for every point of ``data``, lazy if its places are."""
    like = _like(data)
    ones = xr.ones_like(like["x"].drop_vars(list(like.coords)), dtype=np.float64)
    return field_of(ones.assign_coords(like.coords).assign_attrs(units="1").rename("weights"))


def _like(data: Any) -> xr.DataArray:
    """Return an array with the coordinates of pixels or points of ``data``."""
    if isinstance(data, xr.DataArray):
        return field_of(data)
    if _is_point_set(data):
        missing = [name for name in ("x", "y") if name not in data.coords]
        if missing:
            raise schema.SchemaError(
                f"{missing[0]}: expected a coordinate {missing[0]}(point) with the place of every point, got none; "
                f"assign it with assign_coords({missing[0]}=('point', values))"
            )
        like: xr.DataArray = data["x"].drop_attrs(deep=False)
        return like
    if isinstance(data, xr.Dataset) and {"y", "x"} <= set(data.dims):
        shape = data.sizes["y"], data.sizes["x"]
        coords = {n: c for n, c in data.coords.items() if set(c.dims) <= {"y", "x"}}
        return xr.DataArray(np.broadcast_to(np.float32(0), shape), dims=("y", "x"), coords=coords)
    return field_of(data)


def _field_like(weights: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return ``weights`` with the coordinates of ``like``, whose pixels or points they must be."""
    dims = own_dims(like)
    if tuple(weights.dims[-len(dims) :]) != dims:
        raise schema.SchemaError(
            f"weights: expected trailing dims {dims}, got {tuple(map(str, weights.dims))}"
        )
    plain = like.isel(dict.fromkeys(like.dims[: -len(dims)], 0), drop=True).rename("data")
    if weights.shape[-len(dims) :] != plain.shape:
        raise ValueError(f"weights: expected {plain.shape} {dims}, got shape {weights.shape}")
    same_grid(plain, weights.rename("weights"))
    if is_points(like):
        _same_places(plain, weights)
    own = {n: c for n, c in plain.coords.items() if n not in weights.coords or n in ("x", "y")}
    return field_of(weights.assign_coords(own))


def _same_places(data: xr.DataArray, weights: xr.DataArray) -> None:
    """Raise ValueError where weights of points lie elsewhere than the data, as far as both are in memory."""
    for name in ("x", "y"):
        own, other = data[name], weights.coords.get(name, data[name])
        if not (is_lazy(own) or is_lazy(other)) and not np.array_equal(own, other, equal_nan=True):
            raise ValueError(
                f"weights: expected the points of the data, but their {name} is another; select the same points, or "
                "drop the coordinates of the weights with .drop_vars(['x', 'y'])"
            )


def _array_like(weights: Any, like: xr.DataArray) -> xr.DataArray:
    """Return a plain array of weights with the coordinates of ``like``."""
    if isinstance(weights, (bytes, dict, xr.Dataset)) or weights is None:
        raise TypeError(
            f"weights: expected the name of a variable, a DataArray or an array, got {type(weights).__name__}"
        )
    array = weights if hasattr(weights, "shape") else np.asarray(weights)
    dims = like.dims[max(like.ndim - array.ndim, 0) :] if array.ndim >= len(own_dims(like)) else ()
    wanted = tuple(like.sizes[d] for d in dims)
    if not dims or array.shape != wanted:
        raise ValueError(
            f"weights: expected the shape of the data, {like.shape} {tuple(map(str, like.dims))}, got {array.shape}"
        )
    coords = {n: c for n, c in like.coords.items() if set(c.dims) <= set(dims)}
    return field_of(xr.DataArray(array, dims=dims, coords=coords, name="weights"))


# ---- the sentence


def density_of(
    field: xr.DataArray, search: Search, *, target: Any = None, counts: xr.DataArray | None = None
) -> xr.DataArray:
    """Return the density of floating weights, with attributes ``method`` and ``error_bound``.

    ``counts`` (..., 1): how many weights of each field are valid, where the caller knows it; else they are counted,
    which reads lazy data a second time.
    """
    template = target_grid(target, field, search.radius)
    _reaches_a_pixel(template, search.radius)
    if not is_points(field) and same_place(field, template):
        return _raster(field, search, counts)
    if not all(np.isfinite(grid.step(template, name)) for name in ("y", "x")):
        raise ValueError(
            "target: the size of its only pixel is unknown; write an affine transform with .rio.write_transform(), or "
            "give two rows and columns"
        )
    x, y, values = _points(field)
    x, y = moved(x, y, field, template)
    _reaches_a_point(template, x, y, field, search.radius)
    return _onto(template, x, y, values, search, counts)


def _reaches_a_pixel(template: xr.DataArray, radius: float) -> None:
    """Raise ValueError where ``radius`` is smaller than a pixel."""
    dy, dx = grid.pixel_spacing(template)
    smallest = float(np.nan_to_num(min(dy.min(), dx.min())))
    if radius < smallest * (1 - 1e-9):
        raise ValueError(
            f"radius: expected at least the size of a pixel, {float(dy.max()):g} x {float(dx.max()):g} m (y, x), got "
            f"{radius:g} m: what lies between pixel centres would be lost; choose a larger radius or a finer target"
        )


def _reaches_a_point(
    template: xr.DataArray, x: xr.DataArray, y: xr.DataArray, field: xr.DataArray, radius: float
) -> None:
    """Raise ValueError where all places, as far as they are in memory, lie farther than ``radius`` from the grid."""
    around = [grid.axis(_padded(template, radius), name) for name in ("x", "y")]
    places = [x.values, y.values] if not is_lazy(x) and not is_lazy(y) else _few(field, template, around)
    if places is None:
        return
    inside = np.logical_and(*(_between(*both) for both in zip(places, around, strict=True)))
    if inside.any() or not (np.isfinite(field["x"]) & np.isfinite(field["y"])).any():
        return
    raise ValueError(outside(template, lie_in(*places), radius=radius))


def _few(field: xr.DataArray, template: xr.DataArray, around: list[Any]) -> list[Any] | None:
    """Return x and y of three pixels of a raster: two corners, and the one next to the middle of ``around``.

    None of points, and where the two have different CRS.
    """
    if is_points(field) or grid.crs_of(field) != grid.crs_of(template):
        return None
    few = []
    for name, borders in zip(("x", "y"), around, strict=True):
        values, middle = grid.axis(field, name), (borders.min() + borders.max()) / 2
        few.append(np.array([values.min(), values[np.abs(values - middle).argmin()], values.max()]))
    return few


def _between(values: Any, borders: Any) -> Any:
    return (values >= borders.min()) & (values <= borders.max())


def _counts(field: xr.DataArray, counts: xr.DataArray | None) -> xr.DataArray:
    """Return how many weights of each field are valid, (..., 1)."""
    from xinsar.kernels import density as kernels

    if counts is not None:
        return counts
    dims = own_dims(field)
    return reduce_fields(kernels.partial_counts, kernels.counts, field, dims=dims, name="count", size=1)


def _noted(density: xr.DataArray, method: str, error_bound: float | None) -> xr.DataArray:
    attrs = {"method": method} if error_bound is None else {"method": method, "error_bound": error_bound}
    out = density.copy(deep=False)
    out.attrs = attrs
    return out


# ---- rasters on their own grid


def _raster(field: xr.DataArray, search: Search, counts: xr.DataArray | None) -> xr.DataArray:
    from xinsar.kernels import density as kernels

    sizes = Sizes.of(field, search.radius)
    if _raster_method(_on_gpu(search, field).method, sizes) == "fft":
        bound = kernels.rounding_error(sizes.reach) + kernels.spacing_error(sizes.uneven, search.power)
        found = _transformed(field, search, sizes, _counts(field, counts))
        return _noted(found, "fft", bound * kernels.peak(search.radius))
    found = neighbourhood(
        kernels.convolve,
        field,
        depth=sizes.reach,
        rows=np.arange(field.sizes["y"]),
        moments=_counts(field, counts),
        dy=sizes.dy,
        dx=sizes.dx,
        reach=sizes.reach,
        power=search.power,
        scale=kernels.peak(search.radius),
    )
    return _noted(found, "exact", None)


class Sizes(NamedTuple):
    """Sizes of the rows of a grid in radii, how many rows and columns lie in a radius, and how uneven rows are."""

    dy: Any
    dx: Any
    reach: tuple[int, int]
    uneven: float

    @classmethod
    def of(cls, field: xr.DataArray, radius: float) -> Sizes:
        """Return the sizes of the grid of ``field``; an axis of one pixel without a size counts as a radius wide."""
        from xinsar.kernels.density import reach_of

        dy, dx = (np.nan_to_num(size, nan=radius) / radius for size in grid.pixel_spacing(field))
        reach = reach_of(dy, field.sizes["y"]), reach_of(dx, field.sizes["x"])
        uneven = max(float((size.max() - size.min()) / (size.max() + size.min())) for size in (dy, dx))
        return cls(dy, dx, reach, uneven)

    @property
    def mean(self) -> tuple[float, float]:
        """Size of a pixel that no row differs from by more than ``uneven``."""
        return tuple(float((size.max() + size.min()) / 2) for size in (self.dy, self.dx))  # type: ignore[return-value]


def _even(uneven: float) -> None:
    """Raise ValueError where rows differ too much for one transform."""
    if uneven > MOST_UNEVEN:
        raise ValueError(
            f"method: 'fft' needs rows of one size, but theirs lie up to {100 * uneven:.2g} % from their mean; use "
            "method='exact', or bring the data to a projected CRS first"
        )


def _on_gpu(search: Search, field: xr.DataArray) -> Search:
    """Return ``search``; on a GPU ``"auto"`` means exact sums."""
    there = search.method == "auto" and is_cupy(getattr(field.data, "_meta", field.data))
    return search._replace(method="exact") if there else search


def _raster_method(method: str, sizes: Sizes) -> str:
    if method == "fft":
        _even(sizes.uneven)
    if method != "auto":
        return method
    return "fft" if max(sizes.reach) >= LONG_RADIUS and sizes.uneven < 1e-12 else "exact"


def _transformed(field: xr.DataArray, search: Search, sizes: Sizes, counts: xr.DataArray) -> xr.DataArray:
    """Return the density by transforms of tiles; lazy data goes through blocks of whole rows of tiles."""
    from xinsar.kernels import density as kernels

    height, width = field.sizes["y"], field.sizes["x"]
    blocks = field
    if is_lazy(field):
        step = kernels.tiles(sizes.reach[0], height)[1]
        blocks = field.chunk({"y": step * max(1, _BLOCK // (width * step)), "x": -1})
    found = neighbourhood(
        kernels.convolve_fft,
        blocks,
        depth=(sizes.reach[0], 0),
        rows=np.arange(height),
        moments=counts,
        height=height,
        size=sizes.mean,
        reach=sizes.reach,
        power=search.power,
        scale=kernels.peak(search.radius),
    )
    return found.chunk(field.chunksizes) if is_lazy(field) else found


# ---- points, and rasters as points, onto a grid


def _points(field: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return x, y (point) and weights (..., point)."""
    if is_points(field):
        bare = field.drop_vars([n for n, c in field.coords.items() if "point" in c.dims])
        x, y = (field[n].drop_vars(list(field[n].coords)) for n in ("x", "y"))
        return x, y, bare
    x, y = (xr.DataArray(grid.axis(field, name), dims=name) for name in ("x", "y"))
    bare = field.drop_vars([n for n, c in field.coords.items() if {"y", "x"} & set(c.dims)])
    if is_lazy(field):
        bare = bare.chunk({"x": -1})
        x, y = x.chunk(), y.chunk({"y": bare.chunksizes["y"]})
    x, y = (a.transpose("y", "x") for a in xr.broadcast(x, y))
    return _flat(x), _flat(y), _flat(bare)


def _flat(array: xr.DataArray) -> xr.DataArray:
    """Return ``array`` with y and x joined to point."""
    leading = array.dims[:-2]
    shape = (*array.shape[:-2], array.shape[-2] * array.shape[-1])
    kept = {n: c for n, c in array.coords.items() if not {"y", "x"} & set(c.dims)}
    return xr.DataArray(array.data.reshape(shape), dims=(*leading, "point"), coords=kept, attrs=array.attrs)


class Plan(NamedTuple):
    """How points get onto a grid: its coordinates, the metric of its CRS, steps in units of the CRS, and the search."""

    x: Any
    y: Any
    steps: tuple[float, float]
    metric: grid.Metric
    radius: float
    power: int

    @classmethod
    def of(cls, template: xr.DataArray, search: Search) -> Plan:
        """Return the plan for a grid."""
        x, y = (grid.axis(template, name) for name in ("x", "y"))
        steps = grid.step(template, "x"), grid.step(template, "y")
        return cls(x, y, steps, grid.metric_of(template), search.radius, search.power)

    def pixels(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return column and row of places, fractions included."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return (x - self.x[0]) / self.steps[0], (y - self.y[0]) / self.steps[1]

    def least_row(self) -> float:
        """Return the distance of neighbouring rows where it is least, metres, one row beyond the grid included."""
        beyond = self.y[0] - self.steps[1], self.y[-1] + self.steps[1]
        places = self.metric.north(np.concatenate([beyond[:1], self.y, beyond[1:]]))
        return float(np.abs(np.diff(places)).min())

    def least_scale(self) -> float:
        """Return the least metres in a unit eastward within ``radius`` of the grid; 1 where they do not vary."""
        more = np.array([-1, 1]) * self.radius / _METRES_IN_A_DEGREE
        ends = np.clip(np.array([self.y.min(), self.y.max()]) + more, -90, 90)
        scale = self.metric.place(np.zeros(2), ends)[2]
        return 1.0 if scale is None else float(scale.min())


def _onto(
    template: xr.DataArray,
    x: xr.DataArray,
    y: xr.DataArray,
    values: xr.DataArray,
    search: Search,
    counts: xr.DataArray | None,
) -> xr.DataArray:
    """Return the density of points on a grid."""
    from xinsar.kernels import density as kernels

    values = pointwise(_placed, values, x, y, dtype=values.dtype).assign_attrs(values.attrs)
    padded = _padded(template, search.radius)
    sizes = Sizes.of(padded, search.radius)
    method = _point_method(_on_gpu(search, values), sizes, values.sizes["point"], padded)
    counts = _counts(values, counts)
    if method == "exact":
        found = _summed(template, x, y, values, search)
        return _noted(pointwise(_blank, found, counts.isel(count=0), dtype=values.dtype), "exact", None)
    found = _binned(template, padded, x, y, values, search, sizes, counts)
    bound = (
        kernels.binning_error(sizes.mean, search.power)
        + kernels.spacing_error(sizes.uneven, search.power)
        + kernels.rounding_error(sizes.reach)
    )
    return _noted(found, "fft", bound * kernels.peak(search.radius))


def _padded(template: xr.DataArray, radius: float) -> xr.DataArray:
    """Return ``template`` with as many rows and columns on each side as lie within ``radius``, and one more."""
    dy, dx = grid.pixel_spacing(template)
    more = {"y": ceil(radius / dy.min()) + 1, "x": ceil(radius / dx.min()) + 1}
    coords = {}
    for name, number in more.items():
        index = np.arange(-number, template.sizes[name] + number)
        values = float(template[name][0]) + index * grid.step(template, name)
        values[number : number + template.sizes[name]] = template[name].values
        coords[name] = xr.Variable(name, values, template[name].attrs)
    shape = tuple(coords[name].size for name in ("y", "x"))
    out = xr.DataArray(np.broadcast_to(np.float32(0), shape), dims=("y", "x"), coords=coords)
    return out.assign_coords(spatial_ref=template["spatial_ref"]) if "spatial_ref" in template.coords else out


def _point_method(search: Search, sizes: Sizes, number: int, padded: xr.DataArray) -> str:
    """Return the method for ``number`` points, from sizes of the whole alone."""
    from xinsar.kernels import density as kernels

    if search.method == "fft":
        _even(sizes.uneven)
    if search.method != "auto":
        return search.method
    if sizes.uneven > 1e-12 or kernels.binning_error(sizes.mean, search.power) > FAINT_ERROR:
        return "exact"
    summed = kernels.work_of_sums(number, 1 / min(sizes.mean))
    return "fft" if summed > MUCH_FASTER * kernels.work_of_transforms(number, padded.size) else "exact"


def _summed(
    template: xr.DataArray, x: xr.DataArray, y: xr.DataArray, values: xr.DataArray, search: Search
) -> xr.DataArray:
    """Return the exact density of points on a grid."""
    plan = Plan.of(template, search)
    return onto_grid(
        _exact,
        x,
        y,
        values,
        target=template,
        halo=search.radius,
        north=plan.metric.north,
        dtype=values.dtype,
        plan=plan,
    )


def _exact(x: Any, y: Any, values: Any, first: int, last: int, *, plan: Plan) -> Any:
    from xinsar.kernels import density as kernels

    radius, place = plan.radius, plan.metric.place
    north, _, scale = place(x, y)
    rows, _, row_scale = place(np.zeros_like(plan.y), plan.y)
    _, east, _ = place(np.array([0.0, plan.steps[0]]), np.zeros(2))
    step = abs(float(east[1] - east[0])) / radius
    return kernels.splat(
        values,
        *plan.pixels(x, y),
        (north - rows[0]) / radius,
        None if scale is None else scale / 2,
        rows=(rows - rows[0]) / radius,
        row_half=None if scale is None else row_scale / 2,
        step=step,
        narrow=1 / (step * plan.least_scale()),
        reach=radius / plan.least_row() * 1.001,
        columns=plan.x.size,
        first=first,
        last=last,
        power=plan.power,
        scale=kernels.peak(radius),
        dtype=values.dtype,
    )


def _blank(density: Any, count: Any) -> Any:
    """Return ``density``, NaN where the field had no valid weight."""
    return _kept(density, count > 0)


def _placed(values: Any, x: Any, y: Any) -> Any:
    """Return ``values``, NaN for points without a finite place."""
    return _kept(values, np.isfinite(x) & np.isfinite(y))


def _kept(values: Any, there: Any) -> Any:
    """Return ``values`` where ``there``, NaN elsewhere."""
    if there.all():
        return values
    xp = array_namespace(values)
    return xp.where(xp.asarray(there), values, values.dtype.type(np.nan))


def _binned(
    template: xr.DataArray,
    padded: xr.DataArray,
    x: xr.DataArray,
    y: xr.DataArray,
    values: xr.DataArray,
    search: Search,
    sizes: Sizes,
    counts: xr.DataArray,
) -> xr.DataArray:
    """Return the density of points on a grid by sharing them among pixels and transforms."""
    plan = Plan.of(padded, search)
    bins = onto_grid(
        _bins,
        x,
        y,
        values,
        target=padded,
        halo=1.01 * float(sizes.dy.max()) * search.radius,
        north=plan.metric.north,
        dtype=np.float64,
        plan=plan,
    )
    found = _transformed(bins, search, sizes, counts)
    more = {name: (padded.sizes[name] - template.sizes[name]) // 2 for name in ("y", "x")}
    inner = {name: slice(number, -number) for name, number in more.items()}
    return found.isel(inner).astype(values.dtype).assign_coords(template.coords)


def _bins(x: Any, y: Any, values: Any, first: int, last: int, *, plan: Plan) -> Any:
    from xinsar.kernels import density as kernels

    u, v = plan.pixels(x, y)
    return kernels.bin_points(values, u, v, columns=plan.x.size, first=first, last=last)
