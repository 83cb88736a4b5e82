"""Pixels under outlines: statistics of maps within each object of a table, read box by box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.backend import is_cupy
from xinsar.operations import checks

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries
    from pandas import DataFrame

Array = np.ndarray[Any, Any]
Spans = tuple[int, int, int, int]

WITHIN = ("outline", "box")

AT_ONCE = 8
"""Chunks that are computed together."""


def _count(values: Array) -> float:
    return float(values.size)


def _peak(values: Array) -> float:
    return float(values[np.argmax(np.abs(values))])


def _circular_mean(degrees: Array) -> float:
    angle = np.radians(degrees)
    return float(np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360)


STATISTICS: dict[str, Callable[[Array], float]] = {
    "count": _count,
    "mean": lambda values: float(values.mean()),
    "median": lambda values: float(np.median(values)),
    "std": lambda values: float(values.std()),
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
    "peak": _peak,
    "circular_mean": _circular_mean,
}
"""What can be said of the valid pixels of an object, by name."""


def zonal_statistics(
    data: xr.Dataset | xr.DataArray,
    outlines: GeoDataFrame | GeoSeries,
    measures: Mapping[str, tuple[str, str]],
    *,
    within: str = "outline",
) -> DataFrame:
    """Measure maps within outlines: one row per object, one column per measure.

    A pixel belongs to an outline that holds its centre. An outline that holds no centre takes the pixels it
    touches. Pixels of gradients (attribute ``offset``) lie on edges, half a pixel further along their axis.

    Parameters
    ----------
    data
        Maps (y, x) on an even grid; of lazy ones a few chunks are in memory at a time, each is computed once, and
        those that no outline touches not at all.
    outlines
        Polygons, in any order; brought to the reference system of ``data``.
    measures
        Column: (variable, statistic). Statistics: "count" of the valid pixels, "mean", "median", "std", "min",
        "max", "peak" (the value farthest from 0, with its sign), "circular_mean" (degrees, 0..360). The mean of
        a boolean map is the share of its True pixels.
    within
        ``"outline"``, or ``"box"``: the bounding box in the reference system of ``data``.

    Returns
    -------
    pandas.DataFrame
        float64, with the index of ``outlines``; in memory.

    Raises
    ------
    TypeError
        If ``data`` or ``outlines`` are of another kind.
    xinsar.SchemaError
        If a variable is missing or not on (y, x).
    ValueError
        If a statistic is unknown, the grid is uneven, or only one side has a reference system.

    Notes
    -----
    NaN pixels are left out. An object without a valid pixel, outside of the map or without outline, has NaN, and
    0 for "count". Overlapping outlines are measured each by itself. Results do not depend on chunks.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, xarray as xr
    >>> from shapely.geometry import box
    >>> ds = xr.Dataset({"velocity": (("y", "x"), np.arange(12.0).reshape(3, 4))},
    ...                 {"y": [2.5, 1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]})
    >>> bodies = gpd.GeoSeries([box(0, 0, 2, 2)])
    >>> zonal_statistics(ds, bodies, {"velocity": ("velocity", "mean"), "pixels": ("velocity", "count")})
       velocity  pixels
    0       6.5     4.0
    """
    import pandas as pd

    checks.one_of("within", within, WITHIN)
    data, measures = _maps(data, measures), dict(measures)
    lattice = lattice_of(data)
    shapes = _shapes(outlines, data, within)
    names = list(dict.fromkeys(variable for variable, _ in measures.values()))
    empty = [0.0 if statistic == "count" else np.nan for _, statistic in measures.values()]
    found = np.tile(np.asarray(empty, "f8"), (shapes.size, 1))
    for row, pixels in _pixels(data, names, shapes, lattice) if names else ():
        valid = {name: values[~np.isnan(values)] for name, values in pixels.items()}
        for column, (variable, statistic) in enumerate(measures.values()):
            if valid[variable].size:
                found[row, column] = STATISTICS[statistic](valid[variable])
    return pd.DataFrame(found, columns=list(measures), index=outlines.index)


# ---- what comes in ------------------------------------------------------------------------------------------------


def _maps(data: Any, measures: Mapping[str, tuple[str, str]]) -> xr.Dataset:
    """Return the variables that are measured, each a map of numbers."""
    if isinstance(data, xr.DataArray):
        data = data.to_dataset(name=data.name or "data")
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"data: expected an xarray.Dataset or DataArray, got {type(data).__name__}")
    for column, (variable, statistic) in measures.items():
        checks.one_of(f"measures[{column!r}]", statistic, tuple(STATISTICS))
        if variable not in data:
            held = ", ".join(sorted(map(str, data.data_vars))) or "no variable"
            raise schema.SchemaError(
                f"{variable}: the data has no variable of this name (it holds: {held}); rename yours"
            )
        if data[variable].dims != ("y", "x"):
            raise schema.SchemaError(
                f"{variable}: expected dims ('y', 'x'), got {tuple(map(str, data[variable].dims))}; choose one "
                "field with isel, and bring points to a grid with rasterize_points"
            )
        if data[variable].dtype.kind not in "fiub":
            raise schema.SchemaError(f"{variable}: expected real numbers, got dtype {data[variable].dtype}")
    return data.drop_vars(
        set(data.data_vars) - {variable for variable, _ in measures.values()} - {"spatial_ref"}
    )


class Lattice(NamedTuple):
    """Where pixels lie: the outer corner of the first one, signed steps, and how many there are."""

    y: float
    x: float
    dy: float
    dx: float
    rows: int
    columns: int


def lattice_of(data: xr.Dataset | xr.DataArray) -> Lattice:
    """Return where the pixels of an even grid lie."""
    if not isinstance(data, (xr.Dataset, xr.DataArray)):
        raise TypeError(f"grid: expected an xarray.Dataset or DataArray, got {type(data).__name__}")
    dy, dx = grid.step(data, "y"), grid.step(data, "x")
    if not np.isfinite([dy, dx]).all():
        raise ValueError(
            "x: the size of a single pixel is unknown; write the transform with rio.write_transform"
        )
    y, x = float(grid.axis(data, "y")[0]) - dy / 2, float(grid.axis(data, "x")[0]) - dx / 2
    return Lattice(y, x, dy, dx, data.sizes["y"], data.sizes["x"])


def _shapes(outlines: Any, data: xr.Dataset | xr.DataArray, within: str) -> Array:
    """Return the outlines, or their boxes, in the reference system of ``data``."""
    import geopandas as gpd
    import shapely

    if not isinstance(outlines, (gpd.GeoDataFrame, gpd.GeoSeries)):
        raise TypeError(f"outlines: expected a GeoDataFrame or GeoSeries, got {type(outlines).__name__}")
    crs = grid.crs_of(data)
    if (crs is None) != (outlines.crs is None):
        raise ValueError(
            "outlines: expected a coordinate reference system in both the data and the outlines, or in neither, got "
            f"{'none' if crs is None else crs.name!r} and {'none' if outlines.crs is None else outlines.crs.name!r}; "
            "write it with rio.write_crs or set_crs"
        )
    placed = outlines.geometry if crs is None or outlines.crs == crs else outlines.geometry.to_crs(crs)
    shapes = np.asarray(placed.array, object)
    return np.asarray(shapely.envelope(shapes)) if within == "box" else shapes


# ---- box by box ---------------------------------------------------------------------------------------------------


def _pixels(
    data: xr.Dataset, names: list[str], shapes: Array, lattice: Lattice
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Yield the row of each outline that meets the map, and the values of its pixels by variable."""
    shifts = {name: _shift(data[name]) for name in names}
    for k, span, arrays in _boxes(data, names, _spans(shapes, lattice)):
        masks = {shift: _inside(shapes[k], span, lattice, shift) for shift in set(shifts.values())}
        yield k, {name: arrays[name][masks[shifts[name]]] for name in names}


def _boxes(
    data: xr.Dataset, names: list[str], spans: dict[int, Spans]
) -> Iterator[tuple[int, Spans, dict[str, Array]]]:
    """Yield the box of each outline in memory, some chunks at a time; a chunk is read once, for all of them.

    A box that reaches over several chunks is put together as they come, and handed over when it is whole.
    """
    chunks = _chunks(data, spans)
    waiting = dict.fromkeys(spans, 0)
    for _, members in chunks:
        for k in members:
            waiting[k] += 1
    parts: dict[int, dict[str, Array]] = {}
    for start in range(0, len(chunks), AT_ONCE):
        some = chunks[start : start + AT_ONCE]
        for (box, members), arrays in zip(some, _read(data, names, [box for box, _ in some]), strict=True):
            for k in members:
                whole = parts.setdefault(k, _empty(names, spans[k]))
                for name in names:
                    _copy(arrays[name], box, whole[name], spans[k])
                waiting[k] -= 1
                if not waiting[k]:
                    yield k, spans[k], parts.pop(k)


def _chunks(data: xr.Dataset, spans: dict[int, Spans]) -> list[tuple[Spans, list[int]]]:
    """Return what is needed of every chunk that an outline touches, and which ones; without chunks, of all."""
    lazy = [array for array in data.data_vars.values() if array.chunks is not None]
    if not lazy:
        return [(span, [k]) for k, span in spans.items()]
    stops = [np.cumsum(lazy[0].chunksizes[dim]) for dim in ("y", "x")]
    touched: dict[tuple[int, int], list[int]] = {}
    for k, (top, bottom, left, right) in spans.items():
        first, last = ([int(np.searchsorted(s, v, "right")) for s, v in zip(stops, pair, strict=True)]
                       for pair in ((top, left), (bottom - 1, right - 1)))  # fmt: skip
        for i in range(first[0], last[0] + 1):
            for j in range(first[1], last[1] + 1):
                touched.setdefault((i, j), []).append(k)
    out = []
    for (i, j), members in sorted(touched.items()):
        chunk = [(int(s[n - 1]) if n else 0, int(s[n])) for s, n in zip(stops, (i, j), strict=True)]
        out.append((_common((*chunk[0], *chunk[1]), _around([spans[k] for k in members])), members))
    return out


def _read(data: xr.Dataset, names: list[str], boxes: list[Spans]) -> list[dict[str, Array]]:
    """Return the variables within each box; of lazy ones all boxes are computed at once."""
    cuts = [{name: data[name][box[0] : box[1], box[2] : box[3]] for name in names} for box in boxes]
    if any(data[name].chunks is not None for name in names):
        bare = {
            f"{number} {name}": array.drop_vars(list(array.coords)).rename(y=f"y {number}", x=f"x {number}")
            for number, cut in enumerate(cuts)
            for name, array in cut.items()
        }
        computed = xr.Dataset(bare).compute()
        cuts = [{name: computed[f"{number} {name}"] for name in names} for number in range(len(boxes))]
    return [{name: _on_cpu(array.data) for name, array in cut.items()} for cut in cuts]


def _empty(names: list[str], span: Spans) -> dict[str, Array]:
    size = span[1] - span[0], span[3] - span[2]
    return {name: np.full(size, np.nan) for name in names}


def _copy(source: Array, box: Spans, target: Array, span: Spans) -> None:
    """Copy what the box has of the span."""
    top, bottom, left, right = _common(box, span)
    target[top - span[0] : bottom - span[0], left - span[2] : right - span[2]] = source[
        top - box[0] : bottom - box[0], left - box[2] : right - box[2]
    ]


def _common(a: Spans, b: Spans) -> Spans:
    return max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])


def _on_cpu(array: Any) -> Array:
    return np.asarray(array.get() if is_cupy(array) else array)


def _spans(shapes: Array, lattice: Lattice) -> dict[int, Spans]:
    """Return rows and columns (start, stop, start, stop) of the box of each outline, one pixel wider, on the map."""
    import shapely

    bounds = shapely.bounds(shapes).reshape(-1, 4)
    out = {}
    for k in np.flatnonzero(np.isfinite(bounds).all(axis=1)).tolist():
        left, bottom, right, top = bounds[k]
        rows = _span((bottom - lattice.y) / lattice.dy, (top - lattice.y) / lattice.dy, lattice.rows)
        columns = _span((left - lattice.x) / lattice.dx, (right - lattice.x) / lattice.dx, lattice.columns)
        if rows[0] < rows[1] and columns[0] < columns[1]:
            out[k] = (*rows, *columns)
    return out


def _span(one: float, other: float, size: int) -> tuple[int, int]:
    low, high = sorted((one, other))
    if high < 0 or low > size:
        return 0, 0
    return max(int(np.floor(low)) - 1, 0), min(int(np.ceil(high)) + 1, size)


def _shift(array: xr.DataArray) -> tuple[float, float]:
    """Return how many pixels further along y and x the values lie."""
    offset = float(array.attrs.get("offset", 0.0))
    along = str(array.name)[-2:]
    return (offset if along == "_y" else 0.0, offset if along == "_x" else 0.0)


def _around(spans: list[Spans]) -> Spans:
    starts = [min(span[k] for span in spans) for k in (0, 2)]
    stops = [max(span[k] for span in spans) for k in (1, 3)]
    return starts[0], stops[0], starts[1], stops[1]


def _inside(shape: Any, span: Spans, lattice: Lattice, shift: tuple[float, float]) -> Array:
    """Tell which pixels of a box the outline holds: by their centres, or where it holds none, by touch."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    left = lattice.x + (span[2] + shift[1]) * lattice.dx
    top = lattice.y + (span[0] + shift[0]) * lattice.dy
    options = {
        "out_shape": (span[1] - span[0], span[3] - span[2]),
        "transform": Affine(lattice.dx, 0.0, left, 0.0, lattice.dy, top),
        "dtype": "u1",
    }
    centres = rasterize([(shape, 1)], **options)
    marked = centres if centres.any() else rasterize([(shape, 1)], all_touched=True, **options)
    return np.asarray(marked, bool)


# ---- the paper's scale of gradients -------------------------------------------------------------------------------


def summed_gradients(stack: xr.Dataset) -> xr.Dataset:
    r"""Return the gradients of a stack as unwrapped sums over its pairs, rad per pixel.

    That is the scale of the paper's thresholds. A stack of ``"sum"`` is on it; an unwrapped stack
    (``unwrapped_gradient_y``, ``unwrapped_gradient_x``) too; a stack of ``"rate"`` becomes

    .. math:: g = r\, c\, \sum_k \Delta t_k

    with the rate r, the pixel spacing c (after a rotation to range and azimuth: the mean of both spacings) and
    ``stack_years``.

    Parameters
    ----------
    stack
        Result of :func:`xinsar.phase_gradient_stack`, or of :func:`xinsar.unwrap` of its gradients.

    Returns
    -------
    xarray.Dataset
        ``gradient_y`` and ``gradient_x``, rad per pixel, as far as ``stack`` holds them; lazy if it is.

    Raises
    ------
    xinsar.SchemaError
        If there is no gradient, a rate without ``stack_years``, or a wrapped sum: wrapped, it tells nothing.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, sections 4.1 and 4.4.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((16, 16), gradient=(0.0, 0.1), pairs=6)
    >>> rate = xinsar.phase_gradient_stack(ds, window=1)
    >>> round(float(summed_gradients(rate).gradient_x[8, 8]), 3)
    0.6
    """
    if not isinstance(stack, xr.Dataset):
        raise TypeError(f"stack: expected an xarray.Dataset of gradients, got {type(stack).__name__}")
    found = [array for d in "yx" if (array := _summed(stack, d)) is not None]
    if not found:
        held = ", ".join(sorted(map(str, stack.data_vars))) or "no variable"
        raise schema.SchemaError(
            f"gradient_y, gradient_x: the stack has neither (it holds: {held}); make it with phase_gradient_stack"
        )
    return schema.assemble(found, stack, history=checks.said("summed_gradients"))


def _summed(stack: xr.Dataset, d: str) -> xr.DataArray | None:
    """Return the gradient along ``d`` as an unwrapped sum, None where the stack has none."""
    row = schema.VARIABLES[f"gradient_{d}"]
    for name in (f"unwrapped_gradient_{d}", f"gradient_{d}"):
        if name in stack:
            break
    else:
        return None
    gradient = schema.find(stack, schema.VARIABLES[name])
    estimator = gradient.attrs.get("estimator")
    if "pair" in gradient.dims:
        raise schema.SchemaError(
            f"{name}: expected a stack on (y, x), got one map a pair; use phase_gradient_stack"
        )
    if estimator == "wrapped_sum" and not name.startswith("unwrapped"):
        raise schema.SchemaError(
            f"{name}: a wrapped sum tells nothing of its size; use estimator='rate' or 'sum', or unwrap it first"
        )
    if gradient.attrs.get("units") == "rad m-1 year-1":
        gradient = _over_years(stack, gradient, d)
    return schema.label(row, gradient, units="rad", per="pixel", estimator="sum")


def _over_years(stack: xr.Dataset, rate: xr.DataArray, d: str) -> xr.DataArray:
    years = schema.find(stack, schema.STACK_YEARS)
    dy, dx = grid.pixel_spacing(stack)
    turned = rate.attrs.get("directions") == "range_azimuth"
    metres = (dy + dx) / 2 if turned else dy if d == "y" else dx
    return (rate * xr.DataArray(metres, dims="y") * years).transpose("y", "x")


# ---- whole maps ---------------------------------------------------------------------------------------------------


_STRIP = 2**22
"""Pixels that are marked at once."""


def pixels_covered(
    data: xr.Dataset | xr.DataArray, tables: tuple[GeoDataFrame, ...]
) -> Iterator[tuple[Array, ...]]:
    """Yield, strip by strip of the grid of ``data``, which pixels have their centre in the outlines of each table.

    Parameters
    ----------
    data
        Cube or map with coordinates y and x; its values are not looked at.
    tables
        Outlines, brought to the reference system of ``data``; they may overlap.

    Examples
    --------
    >>> import geopandas as gpd, xarray as xr
    >>> from shapely.geometry import box
    >>> ds = xr.Dataset(coords={"y": [2.5, 1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]})
    >>> [int(mask.sum()) for mask, in pixels_covered(ds, (gpd.GeoDataFrame(geometry=[box(0, 0, 2, 2)]),))]
    [4]
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    lattice = lattice_of(data)
    shapes = [
        [s for s in _shapes(table, data, "outline") if s is not None and not s.is_empty] for table in tables
    ]
    rows = max(_STRIP // lattice.columns, 1)
    for top in range(0, lattice.rows, rows):
        height = min(rows, lattice.rows - top)
        transform = Affine(lattice.dx, 0.0, lattice.x, 0.0, lattice.dy, lattice.y + top * lattice.dy)
        options = {"out_shape": (height, lattice.columns), "transform": transform, "dtype": "u1"}
        empty = np.zeros((height, lattice.columns), bool)
        yield tuple(
            rasterize([(s, 1) for s in own], **options).astype(bool) if own else empty for own in shapes
        )
