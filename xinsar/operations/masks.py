"""Masks from optical images."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.operations import checks


def ndsi(green: xr.DataArray, swir: xr.DataArray) -> xr.Dataset:
    """Return the snow index."""
    index = (green - swir) / (green + swir)
    return schema.assemble([schema.label(schema.NDSI, index)], green, history=checks.said("ndsi"))


def snow_mask(
    green: xr.DataArray,
    nir: xr.DataArray | None,
    swir: xr.DataArray | None,
    *,
    ndsi: float = 0.4,
    green_min: float = 0.28,
    nir_min: float = 0.15,
) -> xr.Dataset:
    """Return the snow mask."""
    snow = ((green - swir) / (green + swir) > ndsi) & (green > green_min) & (nir > nir_min)
    return schema.assemble([schema.label(schema.SNOW, snow)], green, history=checks.said("snow_mask"))
