"""The ground and how a satellite sees it: slope and aspect, sensitivity, layover, shadow, foreshortening."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import crs_of, pixel_spacing, step
from xinsar.mapping import is_lazy, pointwise, same_grid, stencil
from xinsar.operations import checks
from xinsar.operations.fields import floating


def terrain(elevation: xr.DataArray | xr.Dataset) -> xr.Dataset:
    r"""Return slope and aspect of the ground, from the nine pixels around each (Horn 1981).

    .. math:: B = \arctan \sqrt{z_e^2 + z_n^2}, \qquad A = \operatorname{atan2}(-z_e, -z_n)

    with the gradient toward east and north (weights 1, 2, 1)

    .. math:: z_e = \frac{(c + 2f + i) - (a + 2d + g)}{8 \Delta x}, \qquad
       z_n = \frac{(a + 2b + c) - (g + 2h + i)}{8 \Delta y}

    of the pixels a b c (north), d e f, g h i (south).

    Parameters
    ----------
    elevation
        Elevations (..., y, x), metres, of any name; or a Dataset with ``elevation``. y may ascend or descend.

    Returns
    -------
    xarray.Dataset
        ``slope`` (0..90 degrees) and ``aspect`` (azimuth of steepest descent, clockwise from the grid's north, 0 to
        below 360 degrees; NaN on flat ground), float32. Lazy if ``elevation`` is.

    Raises
    ------
    TypeError
        If ``elevation`` is neither a DataArray nor a Dataset.
    xinsar.SchemaError
        If it does not end in y, x, holds no real numbers, or has another unit than metres.
    ValueError
        If there is neither a CRS nor a unit of x, or coordinates are not even; when computed, for elevations that no
        ground has (below -12000 m, above 9000 m, infinite) and for -9999, which stands for holes.

    Notes
    -----
    NaN: a missing pixel stays missing. Beside holes and at the image's edge the gradient is the weighted mean of
    those differences that are there (of pixels two apart, and where there is none, of neighbours), so planes are
    exact up to the border; where neither is there, NaN.

    Pixel sizes are metres, those of each row on a geographic grid. The aspect goes by the grid's north, which in a
    UTM zone is up to 3 degrees from true north.

    References
    ----------
    Horn 1981, Proc. IEEE 69:14-47.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xinsar
    >>> coords = {"y": -10.0 * np.arange(4), "x": 10.0 * np.arange(5)}
    >>> hill = xr.DataArray(100 - np.ones((4, 1)) * np.arange(5) * 10.0, dims=("y", "x"), coords=coords)
    >>> hill.x.attrs["units"] = "m"
    >>> ground = xinsar.terrain(hill)
    >>> ground.slope[1, 1].item(), ground.aspect[1, 1].item()
    (45.0, 90.0)
    """
    from xinsar.kernels.terrain import step_table
    from xinsar.kernels.terrain import terrain as kernel

    heights = _heights(elevation)
    table, kinds = step_table(*_steps(heights))
    rows = None if len(table) == 1 else _for_rows(kinds, heights)
    slope, aspect = stencil(kernel, heights, rows, depth=1, outputs=2, table=table)
    variables = [schema.label(schema.SLOPE, slope), schema.label(schema.ASPECT, aspect)]
    return schema.assemble(variables, elevation, history=checks.said("terrain"))


def _heights(elevation: Any) -> xr.DataArray:
    """Return elevations as floats after checking their form."""
    if isinstance(elevation, xr.Dataset):
        elevation = schema.find(elevation, schema.ELEVATION)
    if not isinstance(elevation, xr.DataArray):
        raise TypeError(
            f"elevation: expected an xarray.DataArray or a Dataset with 'elevation', got {type(elevation).__name__}"
        )
    schema.check(elevation, schema.ELEVATION)
    if elevation.dtype.kind in "iu" and elevation.dtype.itemsize <= 2:
        return elevation.astype("float32")
    return floating(elevation)


def _steps(heights: xr.DataArray) -> tuple[Any, Any]:
    """Return metres northward to the row before, and eastward to the next column, of every row."""
    dy, dx = pixel_spacing(heights)
    return -np.sign(step(heights, "y")) * dy, np.sign(step(heights, "x")) * dx


def _for_rows(values: Any, like: xr.DataArray) -> xr.DataArray:
    """Return a value for each row as a map with the grid and the chunks of ``like``, without holding it."""
    map_of = like[(0,) * (like.ndim - 2)]
    column = np.asarray(values)[:, None]
    if not is_lazy(map_of):
        return map_of.copy(data=np.broadcast_to(column, map_of.shape))
    import dask.array as da

    rows, columns = map_of.data.chunks
    chunked = da.from_array(column, chunks=(rows, 1))
    return map_of.copy(data=da.broadcast_to(chunked, map_of.shape, chunks=(rows, columns)))


def look_geometry(
    data: xr.Dataset, *, terrain: xr.Dataset | None = None, reach: float = 5000.0
) -> xr.Dataset:
    r"""Return how a track sees the ground: sensitivity to downslope motion, layover, shadow and foreshortening.

    .. math:: S = u \cdot l = l_e \sin A \cos B + l_n \cos A \cos B - l_u \sin B

    for slope B, aspect A and the unit vector l from the ground to the satellite. With i the incidence and r the slope
    along the look, positive where it faces the satellite,

    .. math:: \tan r = \tan B \cos(A - A_{sat}), \qquad f = \frac{\sin(i - r)}{\sin i}

    a slope lies in layover where r > i and in shadow where r < i - 90 degrees. Rays find the rest: ground at the
    height h above a pixel and the distance d from it hides it (shadow) where it lies toward the satellite and
    h > d / tan i, and is imaged together with it (layover) where it lies away from the satellite and h > d tan i, or
    toward it and h < -d tan i.

    Parameters
    ----------
    data
        A track: ``los`` (component, y, x), else the attributes ``heading`` and ``incidence`` (degrees, looking right);
        and ``elevation``, or ``slope`` and ``aspect``, or both, unless ``terrain`` holds them.
    terrain
        Dataset with ``elevation``, or ``slope`` and ``aspect``, on the grid of ``data``.
    reach
        Length of the rays on the ground, metres. 0: no rays, each slope by itself.

    Returns
    -------
    xarray.Dataset
        (..., y, x): ``sensitivity`` -1..1 (float32, positive where motion down the slope comes toward the satellite),
        ``layover`` and ``shadow`` (bool), ``foreshortening`` f (float32): 1 on flat ground, below 1 on slopes that face
        the satellite, 0 where layover begins, negative in it, above 1 on slopes that face away. ``reach`` among the
        attributes of the masks tells the length of the rays. Lazy if the ground is.

    Raises
    ------
    TypeError
        If ``data`` or ``terrain`` is no Dataset.
    xinsar.SchemaError
        If there is neither ``los`` nor heading and incidence, or neither elevation nor slope and aspect; for wrong
        forms.
    ValueError
        If the ground lies on another grid than ``data`` or has another CRS; as :func:`xinsar.terrain`; when computed,
        if ``los`` holds vectors that are not unit or point down.

    Notes
    -----
    NaN in slope, aspect or ``los``: sensitivity and foreshortening NaN. Flat ground has no direction downward: its
    sensitivity is NaN, its foreshortening 1. The masks are False where nothing is known: at pixels without elevation,
    slope or ``los``, behind holes and beyond the image's edge. Without ``elevation`` there are no rays (``reach`` 0).

    Rays are straight over a flat earth, with the look of the pixel they start from; they step from pixel to pixel and
    interpolate between two. ``reach`` bounds the relief that is found: reach / tan i for shadow, reach tan i for
    layover (5000 m: 6200 m and 4000 m at an incidence of 39 degrees). Lazy chunks borrow neighbours as far as the
    rays go.

    References
    ----------
    Kropatsch and Strobl 1990, IEEE Trans. Geosci. Remote Sens. 28:98-107 (layover and shadow); Colesanti
    and Wasowski 2006, Eng. Geol. 88:173-199 (slopes as a radar sees them).

    Examples
    --------
    >>> import xarray as xr, xinsar
    >>> slopes = xr.Dataset(
    ...     {"slope": (("y", "x"), [[25.0, 25.0]]), "aspect": (("y", "x"), [[90.0, 270.0]])},
    ...     attrs={"heading": 348.0, "incidence": 39.0},
    ... )
    >>> xinsar.look_geometry(slopes).sensitivity.values.round(3)
    array([[-0.886,  0.229]], dtype=float32)
    """
    reach = _checked_reach(reach)
    ground = _ground(data, terrain)
    look = _look(data)
    slope, aspect = _slopes(ground)
    heights = _heights(ground) if reach > 0 and "elevation" in ground else None
    variables = [
        schema.label(schema.SENSITIVITY, _sensitivity(slope, aspect, look)),
        *_masks(_local(slope, aspect, look), heights, look, reach),
    ]
    history = checks.said("look_geometry", reach=reach)
    return schema.assemble(variables, data, history=history)


def _checked_reach(reach: Any) -> float:
    return 0.0 if not isinstance(reach, bool) and reach == 0 else checks.finite("reach", reach)


def _ground(data: Any, terrain: Any) -> xr.Dataset:
    """Return the Dataset that holds the ground, on the grid of ``data``."""
    for name, given in (("data", data), ("terrain", data if terrain is None else terrain)):
        if not isinstance(given, xr.Dataset):
            raise TypeError(f"{name}: expected an xarray.Dataset, got {type(given).__name__}")
    if terrain is None:
        return data  # type: ignore[no-any-return]
    _check_crs(terrain, data)
    for axis in ("y", "x"):
        if axis in data.dims and not _same_axis(terrain, data, axis):
            raise ValueError(
                f"terrain: expected the grid of data ({_told(data, axis)}), got {_told(terrain, axis)}; bring it there "
                "first, e.g. with terrain.rio.reproject_match(data) or terrain.interp(y=data.y, x=data.x)"
            )
    return terrain  # type: ignore[no-any-return]


def _check_crs(terrain: xr.Dataset, data: xr.Dataset) -> None:
    own, other = crs_of(terrain), crs_of(data)
    if own is not None and other is not None and own != other:
        raise ValueError(
            f"terrain: expected the CRS of data ({other.name}), got {own.name}; reproject it first, e.g. with "
            "terrain.rio.reproject_match(data)"
        )


def _same_axis(a: xr.Dataset, b: xr.Dataset, axis: str) -> bool:
    if a.sizes.get(axis) != b.sizes[axis]:
        return False
    return axis not in a.coords or axis not in b.coords or np.array_equal(a[axis].values, b[axis].values)


def _told(ds: xr.Dataset, axis: str) -> str:
    """Return size and range of an axis, for a message."""
    if axis not in ds.dims:
        return f"no {axis}"
    ends = f" from {float(ds[axis][0]):.10g} to {float(ds[axis][-1]):.10g}" if axis in ds.coords else ""
    return f"{ds.sizes[axis]} {axis}{ends}"


def _slopes(ground: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return slope and aspect, those that are there or those of the elevation."""
    if "slope" not in ground and "aspect" not in ground and "elevation" in ground:
        made = terrain(ground)
        return made.slope, made.aspect
    if "slope" not in ground and "aspect" not in ground:
        raise schema.SchemaError(
            "elevation: expected 'elevation', or 'slope' and 'aspect', in data or terrain, got none of them; open a "
            "DEM on the same grid and hand it over as terrain="
        )
    return schema.find(ground, schema.SLOPE), schema.find(ground, schema.ASPECT)


Look = tuple[xr.DataArray, xr.DataArray, xr.DataArray]
"""Components east, north, up of the line of sight: maps, or single numbers."""


def _look(data: xr.Dataset) -> Look:
    """Return the line of sight, from ``los`` or from heading and incidence."""
    from xinsar.kernels.look import los_vector

    if "los" in data:
        return _components(schema.find(data, schema.LOS))
    heading, incidence = (_angle(data, name) for name in ("heading", "incidence"))
    if not 0 < incidence < 90:
        raise ValueError(
            f"incidence: expected degrees from the vertical, above 0 and below 90, got {incidence:g}"
        )
    east, north, up = (xr.DataArray(n) for n in los_vector(heading, incidence))
    return east, north, up


def _components(los: xr.DataArray) -> Look:
    names = tuple(map(str, los["component"].values)) if "component" in los.coords else schema.COMPONENTS
    if sorted(names) != sorted(schema.COMPONENTS) or los.sizes["component"] != 3:
        raise schema.SchemaError(f"los: expected the components {schema.COMPONENTS}, got {names}")
    east, north, up = (los.isel(component=names.index(n), drop=True) for n in schema.COMPONENTS)
    return east, north, up


def _angle(data: xr.Dataset, name: str) -> float:
    if name not in data.attrs:
        raise schema.SchemaError(
            f"{name}: expected 'los' (component, y, x), or the attributes heading and incidence in degrees, got no "
            f"{name}; set data.attrs[{name!r}]"
        )
    value = float(data.attrs[name])
    if not np.isfinite(value):
        raise ValueError(f"{name}: expected degrees, got {value}")
    return value


def _as_chunked(array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    return array.chunk(like.chunksizes) if is_lazy(like) else array


def _sensitivity(slope: xr.DataArray, aspect: xr.DataArray, look: Look) -> xr.DataArray:
    from xinsar.kernels.look import sensitivity

    same_grid(slope, aspect)
    return _as_chunked(pointwise(sensitivity, slope, aspect, *look, dtype=np.float32), slope)


def _local(slope: xr.DataArray, aspect: xr.DataArray, look: Look) -> tuple[xr.DataArray, ...]:
    """Return layover, shadow and foreshortening of every slope by itself."""
    from xinsar.kernels.look import facing

    along = _as_chunked(pointwise(facing, slope, aspect, *look, dtype=np.float32), slope)
    east, north, up = look
    incidence = np.arctan2(np.hypot(east, north), up)
    stretch = np.sin(incidence - along) / np.sin(incidence)
    found = (along > incidence, along < incidence - np.pi / 2, stretch.astype(np.float32))
    return tuple(
        _as_chunked(part.transpose(*slope.dims).assign_coords(slope.coords), slope) for part in found
    )


def _masks(
    local: tuple[xr.DataArray, ...], heights: xr.DataArray | None, look: Look, reach: float
) -> list[xr.DataArray]:
    """Return the labelled masks, with what rays find, and foreshortening."""
    layover, shadow, foreshortening = local
    if heights is None:
        reach = 0.0
    else:
        by_rays = _rays(heights, look, reach)
        layover, shadow = layover | by_rays[0], shadow | by_rays[1]
    return [
        schema.label(schema.LAYOVER, layover, reach=reach),
        schema.label(schema.SHADOW, shadow, reach=reach),
        schema.label(schema.FORESHORTENING, foreshortening),
    ]


def _rays(heights: xr.DataArray, look: Look, reach: float) -> tuple[xr.DataArray, ...]:
    """Return layover and shadow by rays."""
    ways, most = _ways(heights, look)
    depth = int(min(np.floor(reach * most) + 1, max(heights.sizes["y"], heights.sizes["x"])))
    one = None if any(way.ndim for way in ways) else tuple(float(way) for way in ways)
    fields = [] if one else [_map_of(way, heights) for way in ways]
    from xinsar.kernels.look import cast

    return stencil(cast, heights, *fields, depth=depth, outputs=2, dtype=bool, look=one, reach=reach)


def _ways(heights: xr.DataArray, look: Look) -> tuple[tuple[xr.DataArray, ...], float]:
    """Return rows and columns that a metre toward the satellite is, and tan i; and the most pixels in a metre."""
    dy, dx = (_one_if_even(xr.DataArray(sizes, dims="y")) for sizes in _steps(heights))
    east, north, up = look
    level: xr.DataArray = np.hypot(east, north)  # type: ignore[assignment]
    ways = -north / level / dy, east / level / dx, level / up
    if level.ndim == 0:
        return ways, float(max(abs(ways[0]).max(), abs(ways[1]).max()))
    return ways, 1 / float(min(abs(dy).min(), abs(dx).min()))


def _one_if_even(sizes: xr.DataArray) -> xr.DataArray:
    return sizes[0] if bool((sizes == sizes[0]).all()) else sizes


def _map_of(way: xr.DataArray, heights: xr.DataArray) -> xr.DataArray:
    """Return a number, a value for each row or a map, as a map of the grid of ``heights``."""
    if set(way.dims) == {"y", "x"}:
        return way.transpose("y", "x").astype(np.float32)
    return _for_rows(np.broadcast_to(way.values.astype(np.float32), heights.sizes["y"]), heights)
