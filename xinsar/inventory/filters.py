"""Objects that do not hold: too weak a gradient, snow, water, layover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar.inventory.tables import checked

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Array = np.ndarray[Any, Any]


def gradient_filter(
    inventory: GeoDataFrame,
    stack: Any,
    *,
    min_gradient: float = 1.2,
    min_share: float = 0.1,
    within: str = "box",
    drop: bool = True,
) -> GeoDataFrame:
    """Keep the objects with a strong stacked gradient in enough of their pixels, in either direction.

    Kept is where ``|gradient| >= min_gradient`` in at least ``min_share`` of the valid pixels of the object's
    box, along y or along x, in any track. Gradients count as the unwrapped sum over all pairs, rad per pixel,
    the scale of the paper; stacks of ``"rate"`` are brought to it (rate x spacing x stacked years).

    Parameters
    ----------
    inventory
        Boxes or outlines.
    stack
        Result of :func:`xinsar.phase_gradient_stack` (``"rate"`` or ``"sum"``; ``"wrapped_sum"`` once it is
        unwrapped); for several tracks a dict of them by name, or a DataTree. Lazy ones are read box by box.
    min_gradient
        rad per pixel.
    min_share
        Share of the valid pixels, 0..1.
    within
        ``"box"`` as in the paper, or ``"outline"``.
    drop
        Leave weak objects out; False: keep all, with a column ``strong_gradient``.

    Returns
    -------
    GeoDataFrame
        With ``gradient_share``, the largest share of strong pixels over directions and tracks; NaN, and not
        strong, where no pixel is valid.

    Raises
    ------
    SchemaError
        The stack has no gradients, or a wrapped sum: wrapped, it tells nothing.
    ValueError
        A threshold is not legal, or only one side has a reference system.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 4.4.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, xarray as xr
    >>> from shapely.geometry import box
    >>> slope = np.zeros((20, 20)); slope[5:10, 5:10] = 2.0
    >>> edge = {"units": "rad", "estimator": "sum"}
    >>> stack = xr.Dataset({"gradient_x": (("y", "x"), slope, edge)},
    ...                    {"y": np.arange(19.5, 0, -1), "x": np.arange(0.5, 20)})
    >>> boxes = gpd.GeoDataFrame(geometry=[box(4, 8, 12, 16), box(12, 0, 20, 8)])
    >>> gradient_filter(boxes, stack)["gradient_share"].round(2).tolist()
    [0.39]
    """
    from xinsar.operations.checks import finite, share

    table = checked(inventory, "inventory")
    min_gradient, min_share = finite("min_gradient", min_gradient), share("min_share", min_share)
    shares = [_strong_shares(table, one, min_gradient, within) for one in tracks_of(stack, "stack").values()]
    largest = _largest(np.concatenate(shares, axis=1))
    table = table.assign(gradient_share=largest)
    return kept_rows(table, largest >= min_share, "strong_gradient", drop=drop)


def mask_objects(
    inventory: GeoDataFrame,
    *masks: Any,
    max_share: float | Mapping[str, float] = 0.5,
    drop: bool = True,
) -> GeoDataFrame:
    """Leave out the objects that lie in snow, water, layover or any other mask.

    Parameters
    ----------
    inventory
        Outlines.
    *masks
        Datasets with boolean maps (y, x) such as ``snow``, ``water``, ``layover``, ``shadow``, or single maps;
        other variables of a Dataset are not looked at. Each may have a grid of its own; lazy ones are read box
        by box. Where several have a variable of the same name (layover of two tracks), the least share counts:
        what one look sees is seen.
    max_share
        Largest share of an object's pixels that may be masked, 0..1; or one for each name, others not limited.
    drop
        Leave masked objects out; False: keep all, with a column ``masked``.

    Returns
    -------
    GeoDataFrame
        With ``<name>_share`` for each mask: share of the object's pixels, NaN outside of the map (not masked).

    Raises
    ------
    TypeError
        A mask is neither a Dataset nor a DataArray.
    ValueError
        No mask, no boolean map in one, or ``max_share`` is not legal.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, xarray as xr
    >>> from shapely.geometry import box
    >>> lake = xr.Dataset({"water": (("y", "x"), np.tile([True, False], (4, 1)).repeat(2, 1))},
    ...                   {"y": [3.5, 2.5, 1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]})
    >>> bodies = gpd.GeoDataFrame(geometry=[box(0, 0, 3, 3), box(2, 0, 4, 4)])
    >>> mask_objects(bodies, lake)["water_share"].tolist()
    [0.0]
    """
    from xinsar.operations.zonal import zonal_statistics

    table = checked(inventory, "inventory")
    shares: dict[str, Array] = {}
    for mask in _masks(masks):
        measures = {str(name): (str(name), "mean") for name in mask.data_vars}
        for name, column in zonal_statistics(mask, table, measures).items():
            shares[str(name)] = np.fmin(shares.get(str(name), np.nan), np.asarray(column))
    limits = _limits(max_share, list(shares))
    hidden = np.zeros(len(table), bool)
    for name, limit in limits.items():
        hidden |= shares[name] > limit
    table = table.assign(**{f"{name}_share": values for name, values in shares.items()})
    return kept_rows(table, ~hidden, "masked", drop=drop, says=False)


def tracks_of(data: Any, name: str) -> dict[str, xr.Dataset]:
    """Return the datasets of ``data`` by track: of a DataTree, of a mapping, or one alone under ``""``."""
    if isinstance(data, xr.DataTree):
        data = {str(key): node.to_dataset() for key, node in data.children.items()} or data.to_dataset()
    if isinstance(data, xr.Dataset):
        return {"": data}
    if isinstance(data, Mapping) and data and all(isinstance(ds, xr.Dataset) for ds in data.values()):
        return {str(key): ds for key, ds in data.items()}
    raise TypeError(
        f"{name}: expected a Dataset, a dict of Datasets by track or a DataTree, got {type(data).__name__}"
    )


def _strong_shares(table: GeoDataFrame, stack: xr.Dataset, min_gradient: float, within: str) -> Array:
    """Return the share of strong pixels along each direction (object, direction)."""
    from xinsar.operations.zonal import summed_gradients, zonal_statistics

    summed = summed_gradients(stack)
    strong = summed.map(
        lambda g: (abs(g) >= min_gradient).astype("f4").where(g.notnull()).assign_attrs(g.attrs)
    )
    measures = {str(name): (str(name), "mean") for name in strong.data_vars}
    return np.asarray(zonal_statistics(strong, table, measures, within=within))


def _largest(shares: Array) -> Array:
    """Return the largest of each row, NaN where all are."""
    filled = np.where(np.isnan(shares), -1, shares).max(axis=1, initial=-1)
    return np.where(filled < 0, np.nan, filled)


def kept_rows(
    table: GeoDataFrame, kept: Array, column: str, *, drop: bool, says: bool = True
) -> GeoDataFrame:
    """Return the rows that are kept, or all with a column that says which (or, without ``says``, which not)."""
    table = table if drop else table.assign(**{column: kept == says})
    table = table[kept] if drop else table
    return table[[name for name in table.columns if name != "geometry"] + ["geometry"]]


def _masks(masks: tuple[Any, ...]) -> list[xr.Dataset]:
    """Return the boolean maps of every mask."""
    if not masks:
        raise ValueError(
            "masks: expected at least one Dataset with snow, water, layover or another mask, got none"
        )
    out = []
    for mask in masks:
        if isinstance(mask, xr.DataArray):
            mask = mask.to_dataset(name=mask.name or "mask")
        if not isinstance(mask, xr.Dataset):
            raise TypeError(f"masks: expected xarray Datasets or DataArrays, got {type(mask).__name__}")
        wanted = [name for name, array in mask.data_vars.items() if array.dtype == bool]
        if not wanted:
            held = (
                ", ".join(f"{name} ({array.dtype})" for name, array in mask.data_vars.items())
                or "no variable"
            )
            raise ValueError(
                f"masks: expected boolean maps, got {held}; compare or convert with astype(bool)"
            )
        out.append(mask[wanted])
    return out


def _limits(max_share: Any, names: list[str]) -> dict[str, float]:
    from xinsar.operations.checks import share

    if not isinstance(max_share, Mapping):
        return dict.fromkeys(names, share("max_share", max_share))
    unknown = [name for name in max_share if name not in names]
    if unknown:
        raise ValueError(f"max_share: expected names of masks ({', '.join(names)}), got {unknown[0]!r}")
    return {name: share(f"max_share[{name!r}]", value) for name, value in max_share.items()}
