"""Unwrapping of phase and of wrapped gradient stacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xinsar import extras, schema
from xinsar.mapping import whole_images
from xinsar.operations import checks

COSTS = ("smooth", "defo")

_RESULT = {
    "phase": schema.UNWRAPPED_PHASE,
    "gradient_y": schema.UNWRAPPED_GRADIENT_Y,
    "gradient_x": schema.UNWRAPPED_GRADIENT_X,
}
_EXACT = 2.0**24


def unwrap(
    ds: xr.Dataset,
    *,
    variable: str = "phase",
    coherence: xr.DataArray | None = None,
    cost: str = "smooth",
    looks: float = 10.0,
    tiles: tuple[int, int] = (1, 1),
    overlap: int = 0,
) -> xr.Dataset:
    r"""Unwrap phase, or a wrapped stack of gradients, with SNAPHU.

    .. math:: \varphi_{unwrapped} = \varphi + 2 \pi n, \qquad n \text{ whole}

    with the n that SNAPHU finds most likely for the whole image, given the coherence.

    Parameters
    ----------
    ds
        Dataset with ``variable`` and, if known, ``coherence`` (pair, y, x), 0..1, its weight; else
        ``mean_coherence``; without any all weights are 1.
    variable
        ``"phase"`` (pair, y, x), rad within (-pi, pi]; or ``"gradient_y"`` or ``"gradient_x"``, rad per
        pixel, of :func:`xinsar.phase_gradient` or of a stack with ``estimator="wrapped_sum"``.
    coherence
        Weight, 0..1, on the grid of ``variable``, instead of what ``ds`` holds; averaged over the dims
        ``variable`` does not have. A stack of gradients takes the coherence of the cube it was made from.
    cost
        Statistics of the phase: ``"smooth"``, or ``"defo"`` where it may really jump (a rupture, a sharp
        edge).
    looks
        Equivalent number of independent looks of the coherence, 1 or more: how far low values can be trusted.
    tiles
        Rows and columns of tiles that SNAPHU unwraps one by one and joins, for images that are too large at
        once.
    overlap
        Pixels that neighbouring tiles share.

    Returns
    -------
    xarray.Dataset
        ``unwrapped_phase`` (pair, y, x), or ``unwrapped_gradient_y`` or ``unwrapped_gradient_x`` with the
        dims and attributes of the gradient; rad, float32; lazy if the input is, one task an image. It
        differs from the input by whole cycles only.

    Raises
    ------
    xinsar.MissingExtraError
        If the package ``snaphu`` is not installed.
    KeyError
        If ``variable`` is none of the three.
    xinsar.SchemaError
        If ``ds`` does not hold ``variable``, or it has wrong dims, dtype or units.
    ValueError
        If the gradient comes from another estimator and is not wrapped, ``coherence`` lies on another grid,
        or an option is not legal; when computed, if phase lies outside (-pi, pi] or coherence outside 0..1.
    RuntimeError
        When computed, if SNAPHU gives up; the message holds what it said.

    Notes
    -----
    A pixel whose phase or coherence is NaN is missing: SNAPHU gets it with no weight and masked, and it is
    NaN again in the result. Zero phase is a value like any other. An image without a valid pixel stays NaN.
    Unwrapping leaves one whole number of cycles open in every island, that is every group of valid pixels
    connected along rows and columns: it is set so that the island's median lies nearest to the median of its
    wrapped values. Cycles between islands mean nothing.

    SNAPHU needs about 400 bytes of memory a pixel; each image is one task. Its licence restricts some
    commercial use.

    References
    ----------
    Chen and Zebker 2001, J. Opt. Soc. Am. A 18:338-351; Fu et al. 2022, Front. Environ. Sci. 10:963322,
    section 4.1.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((16, 16), gradient=(0.0, 1.0), pairs=1)
    >>> unwrapped = xinsar.unwrap(ds).unwrapped_phase  # doctest: +SKIP
    >>> float((unwrapped[0, 8, 15] - unwrapped[0, 8, 0]).round(3))  # doctest: +SKIP
    15.0
    """
    extras.need("snaphu", purpose="unwrap")
    from xinsar.kernels.unwrap import unwrap as kernel

    wrapped = _wrapped(ds, variable)
    weight = _weight(ds, wrapped, coherence)
    options = _options(cost, looks, tiles, overlap)
    unwrapped = whole_images(kernel, wrapped, weight, **options)
    kept = {name: value for name, value in wrapped.attrs.items() if name not in ("long_name", "units")}
    history = checks.said("unwrap", variable=variable, cost=cost, looks=looks, tiles=tiles, overlap=overlap)
    return schema.assemble([schema.label(_RESULT[variable], unwrapped, **kept)], ds, history=history)


def _wrapped(ds: xr.Dataset, variable: str) -> xr.DataArray:
    """Return the checked variable; its values must be wrapped."""
    if variable not in _RESULT:
        raise KeyError(f"variable: expected one of {', '.join(map(repr, _RESULT))}, got {variable!r}")
    found = schema.find(ds, schema.VARIABLES[variable])
    estimator = found.attrs.get("estimator", "wrapped_sum")
    if estimator != "wrapped_sum":
        raise ValueError(
            f"variable: {variable!r} comes from estimator={estimator!r} and is not wrapped; unwrap that of "
            "phase_gradient_stack(estimator='wrapped_sum')"
        )
    return found


def _weight(ds: xr.Dataset, wrapped: xr.DataArray, coherence: xr.DataArray | None) -> xr.DataArray | None:
    """Return the weight on the dims of the wrapped variable, averaged over others; None if there is none."""
    if coherence is None:
        coherence = next((ds[name] for name in ("coherence", "mean_coherence") if name in ds), None)
    if coherence is None:
        return None
    if not isinstance(coherence, xr.DataArray):
        raise TypeError(f"coherence: expected an xarray.DataArray, got {type(coherence).__name__}")
    schema.check(coherence, schema.MEAN_COHERENCE)
    more = [dim for dim in coherence.dims if dim not in wrapped.dims]
    return (_mean(coherence, more) if more else coherence).rename("coherence")


def _mean(coherence: xr.DataArray, dims: list[Any]) -> xr.DataArray:
    """Return the mean of what is not missing, over exact integer sums: it does not depend on chunking."""
    scaled = (coherence.fillna(0.0) * _EXACT).round().astype(np.int64)
    number = coherence.notnull().sum(dims)
    return (scaled.sum(dims) / number.where(number > 0) / _EXACT).astype(np.float32)


def _options(cost: str, looks: Any, tiles: Any, overlap: Any) -> dict[str, Any]:
    """Return the checked options by SNAPHU's names."""
    if checks.positive("looks", looks) < 1:
        raise ValueError(f"looks: expected 1 or more, got {looks!r}")
    if np.shape(tiles) != (2,) or not all(isinstance(n, int) and n >= 1 for n in tiles):
        raise ValueError(f"tiles: expected two whole numbers (rows, columns), 1 or more, got {tiles!r}")
    if not isinstance(overlap, int) or overlap < 0:
        raise ValueError(f"overlap: expected a whole number of pixels, 0 or more, got {overlap!r}")
    checks.one_of("cost", cost, COSTS)
    return {"cost": cost, "nlooks": float(looks), "ntiles": list(tiles), "tile_overlap": overlap}
