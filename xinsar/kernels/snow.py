"""Snow index and snow mask of reflectances, pixel by pixel.

NDSI = (green - swir) / (green + swir); snow where NDSI, green and near infrared all exceed their thresholds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xinsar.backend import Kernel, array_namespace

BRIGHTEST = 2.0
"""Reflectance that no surface reaches; lit slopes of fresh snow and cloud tops exceed 1 a little."""
DARKEST = -0.2
"""Atmospheric correction leaves dark pixels a little below 0, never here."""


def check_reflectance(name: str, band: Any) -> None:
    """Raise ValueError where a reflectance is impossible; NaN is missing."""
    xp = array_namespace(band)
    if not ((band > BRIGHTEST) | (band < DARKEST)).any():
        return
    least, most = float(xp.nanmin(band)), float(xp.nanmax(band))
    came = f"values from {least:g} to {most:g}"
    raise ValueError(f"{name}: expected reflectance 0..1, got {came}; {REMEDY}")


REMEDY = (
    "Sentinel-2 numbers become reflectance by the scale 1e-4, in processing baseline 04.00 (January "
    "2022) and newer after adding the offset -1000: (number - 1000) * 1e-4; set nodata to NaN first"
)
"""How numbers become reflectance."""


def _index(green: Any, swir: Any) -> Any:
    """Return NDSI; NaN where the sum is not above 0, which no surface gives."""
    xp = array_namespace(green)
    total = green + swir
    return (green - swir) / xp.where(total > 0, total, np.nan)


def _ndsi(green: Any, swir: Any) -> Any:
    for name, band in (("green", green), ("swir", swir)):
        check_reflectance(name, band)
    return _index(green, swir).astype(np.float32)


def _snow_mask(green: Any, nir: Any, swir: Any, *, ndsi: float, green_min: float, nir_min: float) -> Any:
    for name, band in (("green", green), ("nir", nir), ("swir", swir)):
        check_reflectance(name, band)
    return (_index(green, swir) > ndsi) & (green > green_min) & (nir > nir_min)


ndsi = Kernel("ndsi", numpy=_ndsi, cupy=_ndsi)
snow_mask = Kernel("snow_mask", numpy=_snow_mask, cupy=_snow_mask)
