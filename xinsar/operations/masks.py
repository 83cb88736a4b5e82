"""Masks from optical images."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xinsar import schema
from xinsar.mapping import is_lazy, pointwise
from xinsar.operations import checks
from xinsar.operations.alignment import onto


def ndsi(green: xr.DataArray | None, swir: xr.DataArray | None) -> xr.Dataset:
    r"""Return the normalised difference snow index of two bands.

    .. math:: \mathrm{NDSI} = \frac{\rho_{green} - \rho_{swir}}{\rho_{green} + \rho_{swir}}

    Parameters
    ----------
    green, swir
        Reflectance (..., y, x), 0..1: Sentinel-2 bands 3 and 11. ``swir`` is brought to the grid of
        ``green``, each pixel taking the value of the pixel that holds its centre. One of them may be None:
        missing.

    Returns
    -------
    xarray.Dataset
        ``ndsi`` (..., y, x) on the grid of ``green``, -1..1, float32; lazy if a band is.

    Raises
    ------
    TypeError
        If a band is neither a DataArray nor None, or both are None.
    ValueError
        If a band does not hold floating-point numbers or overlap the other; when computed, if values are no
        reflectance: the message names the scale 1e-4 and the offset -1000 of Sentinel-2 numbers.

    Notes
    -----
    NaN where a band is missing or NaN, and where the sum of both is not above 0. Values a little above 1
    (lit snow, clouds) or below 0 (dark pixels after atmospheric correction) are let pass, up to 2 and down
    to -0.2.

    Examples
    --------
    >>> import xarray as xr, xinsar
    >>> green, swir = (xr.DataArray([[value]], dims=("y", "x")) for value in (0.6, 0.2))
    >>> round(xinsar.ndsi(green, swir).ndsi.item(), 3)
    0.5
    """
    from xinsar.kernels.snow import ndsi as kernel

    bands = _aligned(green=green, swir=swir)
    target = _first(bands)
    if green is None or swir is None:
        index = xr.full_like(target, float("nan"), dtype="float32")
    else:
        index = _on_pixels(kernel, bands, target, dtype="float32")
    return schema.assemble([schema.label(schema.NDSI, index)], target, history=checks.said("ndsi"))


def snow_mask(
    green: xr.DataArray | None,
    nir: xr.DataArray | None,
    swir: xr.DataArray | None,
    *,
    ndsi: float = 0.4,
    green_min: float = 0.28,
    nir_min: float = 0.15,
) -> xr.Dataset:
    r"""Mark snow in optical images, whose melting and drifting imitates moving ground.

    .. math:: \mathrm{snow} = \mathrm{NDSI} > 0.4 \;\wedge\; \rho_{green} > 0.28 \;\wedge\; \rho_{nir} > 0.15

    The index (:func:`xinsar.ndsi`) is high over water and dense vegetation too: water is dark in the near
    infrared, vegetation in green.

    Parameters
    ----------
    green, nir, swir
        Reflectance (..., y, x), 0..1: Sentinel-2 bands 3, 8A and 11. ``nir`` and ``swir`` are brought to the
        grid of ``green``, whatever their resolution and CRS, each pixel taking the value of the pixel that
        holds its centre. A band may be None: missing.
    ndsi, green_min, nir_min
        Thresholds.

    Returns
    -------
    xarray.Dataset
        ``snow`` (..., y, x) on the grid of ``green``, bool; lazy if a band is.

    Raises
    ------
    TypeError
        If a band is neither a DataArray nor None, or all are None.
    ValueError
        If a band does not hold floating-point numbers or overlap the others; when computed, if values are no
        reflectance: the message names the scale 1e-4 and the offset -1000 of Sentinel-2 numbers.

    Notes
    -----
    False where a band is missing or NaN. Values a little above 1 (lit snow, clouds) or below 0 (dark pixels
    after atmospheric correction) are let pass, up to 2 and down to -0.2.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 4.2 (its prose exchanges near and short-wave
    infrared).

    Examples
    --------
    >>> import xarray as xr, xinsar
    >>> snow, lake = (0.8, 0.7, 0.1), (0.1, 0.05, 0.02)
    >>> green, nir, swir = (xr.DataArray([list(band)], dims=("y", "x")) for band in zip(snow, lake))
    >>> xinsar.snow_mask(green, nir, swir).snow.values
    array([[ True, False]])
    """
    from xinsar.kernels.snow import snow_mask as kernel

    bands = _aligned(green=green, nir=nir, swir=swir)
    target = _first(bands)
    if any(band is None for band in bands.values()):
        snow = xr.zeros_like(target, dtype=bool)
    else:
        snow = _on_pixels(kernel, bands, target, dtype=bool, ndsi=ndsi, green_min=green_min, nir_min=nir_min)
    history = checks.said("snow_mask", ndsi=ndsi, green_min=green_min, nir_min=nir_min)
    return schema.assemble([schema.label(schema.SNOW, snow)], target, history=history)


def _first(bands: dict[str, xr.DataArray | None]) -> xr.DataArray:
    """Return the first band that is there: its grid is the result's."""
    found = next((band for band in bands.values() if band is not None), None)
    if found is None:
        raise TypeError(f"{', '.join(bands)}: expected at least one DataArray, got None for all")
    return found


def _aligned(**bands: xr.DataArray | None) -> dict[str, xr.DataArray | None]:
    """Return the checked bands on the grid of the first one."""
    checked = {name: _check_band(name, band) for name, band in bands.items()}
    target = _first(checked)
    return {name: None if band is None else onto(band, target) for name, band in checked.items()}


def _check_band(name: str, band: Any) -> xr.DataArray | None:
    """Return the band under the argument's name."""
    from xinsar.kernels.snow import REMEDY

    if band is None:
        return None
    if not isinstance(band, xr.DataArray):
        raise TypeError(f"{name}: expected an xarray.DataArray of reflectance, got {type(band).__name__}")
    if band.dims[-2:] != ("y", "x"):
        raise schema.SchemaError(
            f"{name}: expected trailing dims ('y', 'x'), got {band.dims}; rename or transpose them"
        )
    if band.dtype.kind != "f":
        raise schema.SchemaError(
            f"{name}: expected reflectance 0..1 as floating point, got dtype {band.dtype}; {REMEDY}"
        )
    return band.rename(name)


def _on_pixels(
    kernel: Any, bands: dict[str, xr.DataArray | None], target: xr.DataArray, *, dtype: Any, **options: Any
) -> xr.DataArray:
    """Map a kernel over the pixels of all bands; the result has the chunks of ``target``."""
    result = pointwise(kernel, *(b for b in bands.values() if b is not None), dtype=dtype, **options)
    return result.chunk(target.chunksizes) if is_lazy(target) else result
