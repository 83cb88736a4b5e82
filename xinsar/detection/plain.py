"""The plain detection: where the stacked gradient is significant, cleaned up and outlined.

It has no training and few settings, every step can be checked by eye, and it is the baseline that trained
models must beat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import grid, schema

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

COLUMNS = ("id", "score", "class", "area", "geometry")
"""Columns of every table of detections, in order."""

_GRADIENTS = (schema.GRADIENT_Y, schema.GRADIENT_X, schema.GRADIENT_Z_Y, schema.GRADIENT_Z_X)

Array = np.ndarray[Any, Any]


def detect_threshold(
    stack: xr.Dataset,
    *,
    min_z: float = 2.0,
    min_scene_z: float = 2.0,
    closing: float = 60.0,
    min_area: float = 30_000.0,
) -> GeoDataFrame:
    r"""Outline the bodies whose phase gradient stands out of its own noise and out of the scene.

    Two figures are formed for each direction: the gradient over its standard error (``gradient_z``),
    which knows how well the pairs agree, and the gradient over its robust spread in the scene, :math:`s =
    (g - \mathrm{median}) / (1.4826\ \mathrm{MAD})`, which knows the atmosphere that all pixels share.
    With the directions combined, the strength is

    .. math:: m = \min\left(\frac{\sqrt{z_y^2 + z_x^2}}{\mathtt{min\_z}},\
              \frac{\sqrt{s_y^2 + s_x^2}}{\mathtt{min\_scene\_z}}\right).

    Pixels with :math:`m \ge 1` are kept. Gaps up to twice ``closing`` are bridged, which joins the lobes
    that a body shows on its opposite flanks; their inside is filled; parts narrower than three pixels are
    dropped. What remains connected (by sides or corners) and is at least ``min_area`` large becomes an
    object. Gradients lie on pixel edges: both are taken to the corner p + 1/2 that they share, so that
    outlines lie where the ground bends.

    Parameters
    ----------
    stack
        Result of ``phase_gradient_stack(estimator="rate")``: ``gradient_y``, ``gradient_x``,
        ``gradient_z_y``, ``gradient_z_x`` on (y, x). NaN is never part of a detection. Median and MAD are
        those of the whole dataset, so these four maps are computed and held in memory.
    min_z
        Least combined gradient over its standard error. ``gradient_z`` is conservative where noise is
        common to the pairs of a date, so that small values already mean much.
    min_scene_z
        Least combined gradient over its robust spread in the scene.
    closing
        Radius of the morphological closing, metres (by the pixel spacing of the middle row).
    min_area
        Least area of an object, square metres.

    Returns
    -------
    GeoDataFrame
        One row per object in the cube's reference system, none where nothing is found: ``id`` (from 1, by
        first row, then first column), ``score`` = m / (1 + m) of the strongest pixel, 0.5..1, ``class``
        ("moving"), ``area`` in square metres, ``geometry``. The settings are kept in ``attrs``.

    Raises
    ------
    SchemaError
        A variable is missing or malformed.
    ValueError
        ``min_z`` or ``min_scene_z`` is not above 0, or ``closing`` or ``min_area`` is below 0.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> y, x = np.arange(40, 0, -1) * 20.0, np.arange(50) * 20.0
    >>> body = np.exp(-(((x - 480) / 120) ** 2 + ((y[:, None] - 400) / 120) ** 2) ** 2)
    >>> g = {"gradient_y": np.diff(body, axis=0, append=np.nan), "gradient_x": np.diff(body, append=np.nan)}
    >>> noise = np.random.default_rng(0).normal(0, 0.01, body.shape)
    >>> stack = xr.Dataset({name: (("y", "x"), v + noise) for name, v in g.items()}, {
    ...     "y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})})
    >>> stack = stack.assign(gradient_z_y=stack.gradient_y / 0.01, gradient_z_x=stack.gradient_x / 0.01)
    >>> found = detect_threshold(stack, min_z=4, min_scene_z=4)
    >>> found["class"].tolist(), found.geometry.centroid.x.round(-1).tolist()
    (['moving'], [480.0])
    """
    settings = {"min_z": min_z, "min_scene_z": min_scene_z, "closing": closing, "min_area": min_area}
    _check_settings(settings)
    strength = _strength(*_maps(stack), min_z=min_z, min_scene_z=min_scene_z)
    spacing = _spacing(stack)
    middle = tuple(float(s[s.size // 2]) for s in spacing)
    mask = _open(_fill(_close(strength >= 1, closing, middle)))
    labels, areas = _objects(mask, spacing[0][:, None] * spacing[1][:, None], min_area)
    peaks = _peaks(strength, labels, areas.size)
    rows = {
        "id": np.arange(1, areas.size + 1, dtype="i8"),
        "score": peaks / (1 + peaks),
        "class": np.full(areas.size, "moving", dtype=object),
        "area": areas,
    }
    return _table(rows, _outlines(labels, areas.size, _affine(stack)), stack, settings)


def _check_settings(settings: dict[str, float]) -> None:
    for name in ("min_z", "min_scene_z"):
        if not settings[name] > 0:
            raise ValueError(f"{name}: expected a number above 0 (standard deviations), got {settings[name]}")
    for name, unit in (("closing", "metres"), ("min_area", "square metres")):
        if not settings[name] >= 0:
            raise ValueError(f"{name}: expected a number of at least 0 ({unit}), got {settings[name]}")


def _maps(stack: xr.Dataset) -> list[Array]:
    """Return the two gradients and their two z values as (y, x) arrays in memory."""
    if "gradient_y" in stack and "gradient_z_y" not in stack:
        raise schema.SchemaError(
            "gradient_z_y: the stack has no standard errors; make it with "
            'phase_gradient_stack(..., estimator="rate"), which returns them'
        )
    chosen = xr.Dataset({v.name: schema.find(stack, v).variable for v in _GRADIENTS})
    if set(chosen.dims) != {"y", "x"}:
        raise schema.SchemaError(
            f"stack: expected dims ('y', 'x'), got {tuple(map(str, chosen.dims))}; choose one field with isel"
        )
    chosen = chosen.compute()
    return [np.asarray(chosen[v.name].values, "f8") for v in _GRADIENTS]


def _strength(
    gradient_y: Array, gradient_x: Array, z_y: Array, z_x: Array, *, min_z: float, min_scene_z: float
) -> Array:
    """Return the lesser of the two combined significances at the corners (rows - 1, columns - 1); NaN: 0."""
    own = np.hypot(_corner(z_y, "y"), _corner(z_x, "x"))
    scene = np.hypot(_robust_z(_corner(gradient_y, "y")), _robust_z(_corner(gradient_x, "x")))
    return np.nan_to_num(np.minimum(own / min_z, scene / min_scene_z), nan=0.0)


def _corner(edge: Array, along: str) -> Array:
    """Return the mean of the two edge values that meet the corner half a row and half a column on."""
    beside = edge[:-1, 1:] if along == "y" else edge[1:, :-1]
    return np.asarray((edge[:-1, :-1] + beside) / 2)


def _robust_z(values: Array) -> Array:
    """Return values minus their median, over 1.4826 median absolute deviations (over 0: infinite)."""
    if not np.isfinite(values).any():
        return values
    away = values - np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(away))
    return np.asarray(away / spread if spread > 0 else np.where(away == 0, 0.0, np.copysign(np.inf, away)))


def _spacing(stack: xr.Dataset) -> tuple[Array, Array]:
    """Return the metres per pixel along y and x for each row of corners."""
    dy, dx = grid.pixel_spacing(stack)
    rows = max(stack.sizes["y"] - 1, 1)
    return dy[:rows], dx[:rows]


def _close(mask: Array, radius: float, spacing: tuple[float, ...]) -> Array:
    """Return the closing of ``mask`` by a disk of ``radius`` metres; the image's edge takes nothing away."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return mask
    pad = [(int(radius / s) + 2,) * 2 for s in spacing]
    grown = distance_transform_edt(~np.pad(mask, pad), sampling=spacing) <= radius
    closed = distance_transform_edt(grown, sampling=spacing) > radius
    return np.asarray(closed[tuple(slice(p[0], -p[1]) for p in pad)])


def _fill(mask: Array) -> Array:
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(mask))


def _open(mask: Array) -> Array:
    """Return the opening of ``mask`` by 3 x 3 pixels; the image's edge takes nothing away."""
    from scipy.ndimage import binary_dilation, binary_erosion

    block = np.ones((3, 3))
    return np.asarray(binary_dilation(binary_erosion(mask, block, border_value=1), block))


def _objects(mask: Array, cell_area: Array, min_area: float) -> tuple[Array, Array]:
    """Return labels 1..n (0 outside), ordered by first row then first column, and the n areas."""
    from scipy.ndimage import find_objects, label

    if not mask.any():
        return mask.astype("i4"), np.zeros(0)
    labels, count = label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), np.broadcast_to(cell_area, labels.shape).ravel(), count + 1)[1:]
    corners = [(box[0].start, box[1].start) for box in find_objects(labels)]
    kept = [k for k in sorted(range(count), key=corners.__getitem__) if areas[k] >= min_area]
    number = np.zeros(count + 1, labels.dtype)
    number[np.asarray(kept, int) + 1] = np.arange(1, len(kept) + 1)
    return number[labels], areas[kept]


def _peaks(strength: Array, labels: Array, count: int) -> Array:
    from scipy.ndimage import maximum

    return np.asarray(maximum(strength, labels, np.arange(1, count + 1)), "f8") if count else np.zeros(0)


def _affine(stack: xr.Dataset) -> Any:
    """Return the transform of the corner lattice, whose cells reach from pixel centre to pixel centre."""
    from rasterio import Affine

    first, step = {}, {}
    for dim in ("x", "y"):
        values = np.asarray(stack[dim].values, "f8")
        first[dim], step[dim] = values[0], (values[-1] - values[0]) / max(values.size - 1, 1)
    return Affine(step["x"], 0.0, first["x"], 0.0, step["y"], first["y"])


def _outlines(labels: Array, count: int, affine: Any) -> list[Any]:
    """Return the polygon of each label; cells that meet at a corner only give a MultiPolygon."""
    from rasterio.features import shapes
    from shapely import union_all
    from shapely.geometry import shape

    parts: list[list[Any]] = [[] for _ in range(count)]
    if count:
        for outline, number in shapes(labels.astype("i4"), labels > 0, transform=affine):
            parts[int(number) - 1].append(shape(outline))
    return [union_all(pieces) for pieces in parts]


def _table(
    rows: dict[str, Array], outlines: list[Any], stack: xr.Dataset, settings: dict[str, float]
) -> GeoDataFrame:
    import geopandas as gpd

    crs = grid.crs_of(stack)
    found = gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(outlines, crs=crs), crs=crs)
    found.attrs = {"method": "threshold", **settings, **schema.track_attrs(stack.attrs)}
    return found[list(COLUMNS)]
