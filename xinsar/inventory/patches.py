"""Three classes of moving patches, by brightness and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xinsar.inventory.attributes import attributes
from xinsar.inventory.tables import numbers

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame

PATCHES = ("strong", "elongated", "compact")
"""Objects 1, 2 and 3 of the paper."""


def patch_classes(
    inventory: GeoDataFrame, *, min_brightness: float = 1.0, min_elongation: float = 2.0
) -> GeoDataFrame:
    """Sort moving patches into the three classes of the paper.

    ``"strong"``
        ``brightness >= min_brightness``: more than a full turn of phase a year; strongly moving landslides
        with clear boundaries (object 1).
    ``"elongated"``
        Else, length over width of at least ``min_elongation``: along channels and banks; debris flows and bank
        collapses (object 2).
    ``"compact"``
        The rest: small, round, slow landslides (object 3).

    Parameters
    ----------
    inventory
        Table with ``brightness``, as :func:`attributes` makes it from velocities; length and width are measured.
    min_brightness
        Turns of phase a year.
    min_elongation
        Length over width, 1 or more.

    Returns
    -------
    GeoDataFrame
        With ``patch_class``, and size and shape as :func:`attributes` gives them. Where brightness is NaN, shape
        alone decides.

    Raises
    ------
    ValueError
        There is no brightness, or a threshold is not legal.

    References
    ----------
    Liu et al. 2022, Remote Sens. 14:3362, section 4.2.3: the classes come out of a network, described by number,
    perimeter, area and brightness. The paper prints no limits; these are ours.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> shapes = [box(0, 0, 300, 300), box(0, 0, 900, 100), box(0, 0, 200, 200)]
    >>> bodies = gpd.GeoDataFrame({"brightness": [2.5, 0.3, 0.2]}, geometry=shapes, crs=32632)
    >>> patch_classes(bodies)["patch_class"].tolist()
    ['strong', 'elongated', 'compact']
    """
    from xinsar.operations.checks import finite

    min_brightness = finite("min_brightness", min_brightness)
    if not 1 <= min_elongation < np.inf:
        raise ValueError(f"min_elongation: expected length over width, 1 or more, got {min_elongation}")
    table = attributes(inventory)
    bright = numbers(table, "brightness", "inventory") >= min_brightness
    elongated = np.asarray(table["length"] >= min_elongation * table["width"])
    kind = np.where(bright, PATCHES[0], np.where(elongated, PATCHES[1], PATCHES[2]))
    table = table.assign(patch_class=kind.astype(object))
    return table[[name for name in table.columns if name != "geometry"] + ["geometry"]]


def patch_statistics(inventory: GeoDataFrame) -> DataFrame:
    """Return number, perimeter, area and brightness of each patch class, as the paper tabulates them.

    Parameters
    ----------
    inventory
        Table with ``patch_class``, ``perimeter``, ``area`` and ``brightness``, as :func:`patch_classes` makes it.

    Returns
    -------
    pandas.DataFrame
        Index: the three classes. Columns: ``count``; ``perimeter`` and ``area``, sums; ``mean_perimeter`` (m) and
        ``mean_area`` (m2); ``perimeter_per_area``, the ratio of the sums (m-1), large for small and for
        elongated patches; ``mean_brightness``. Means of no object are NaN.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> bodies = gpd.GeoDataFrame({"brightness": [2.5, 0.5]}, geometry=[box(0, 0, 9, 9), box(0, 0, 2, 2)])
    >>> patch_statistics(patch_classes(bodies))["count"].to_dict()
    {'strong': 1, 'elongated': 0, 'compact': 1}
    """
    import pandas as pd

    columns = {name: numbers(inventory, name, "inventory") for name in ("perimeter", "area", "brightness")}
    if "patch_class" not in inventory:
        raise ValueError("inventory: expected a column 'patch_class', got none; make it with patch_classes")
    frame = pd.DataFrame({**columns, "patch_class": np.asarray(inventory["patch_class"], object)})
    groups = frame.groupby("patch_class")[list(columns)]
    sums, means = (part.reindex(list(PATCHES)) for part in (groups.sum(), groups.mean()))
    counts: Any = groups.size().reindex(list(PATCHES), fill_value=0)
    return pd.DataFrame(
        {
            "count": counts,
            "perimeter": sums["perimeter"].fillna(0.0),
            "area": sums["area"].fillna(0.0),
            "mean_perimeter": means["perimeter"],
            "mean_area": means["area"],
            "perimeter_per_area": sums["perimeter"] / sums["area"],
            "mean_brightness": means["brightness"],
        }
    )
