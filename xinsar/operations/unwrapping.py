"""Unwrapping of phase and of wrapped gradient stacks."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xinsar import extras, schema
from xinsar.mapping import whole_images
from xinsar.operations import checks
from xinsar.operations.filtering import _coherence

COSTS = ("smooth", "defo")

_RESULT = {
    "phase": schema.UNWRAPPED_PHASE,
    "gradient_y": schema.UNWRAPPED_GRADIENT_Y,
    "gradient_x": schema.UNWRAPPED_GRADIENT_X,
}


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
    extras.need("snaphu", purpose="unwrap")
    from xinsar.kernels.unwrap import unwrap as kernel

    wrapped = _wrapped(ds, variable)
    weight = _weight(ds, wrapped, coherence)
    options = _options(cost, looks, tiles, overlap)
    unwrapped = whole_images(kernel, wrapped, weight, **options)
    own = {k: v for k, v in wrapped.attrs.items() if k not in ("long_name", "units")}
    return schema.assemble(
        [schema.label(_RESULT[variable], unwrapped, **own)],
        ds,
        history=checks.said("unwrap", variable=variable, cost=cost, looks=looks),
    )


def _wrapped(ds: xr.Dataset, variable: str) -> xr.DataArray:
    """Return the checked variable; its values must be wrapped."""
    if variable not in _RESULT:
        raise KeyError(f"variable: expected one of {', '.join(map(repr, _RESULT))}, got {variable!r}")
    found = schema.find(ds, schema.VARIABLES[variable])
    estimator = found.attrs.get("estimator", "wrapped_sum")
    if estimator != "wrapped_sum":
        raise ValueError(
            f"variable: {variable!r} comes from estimator={estimator!r} and is not wrapped; unwrap the stack of "
            "phase_gradient_stack(estimator='wrapped_sum')"
        )
    return found


def _weight(ds: xr.Dataset, wrapped: xr.DataArray, coherence: xr.DataArray | None) -> xr.DataArray | None:
    return _coherence(ds) if coherence is None else coherence


def _options(cost: str, looks: float, tiles: tuple[int, int], overlap: int) -> dict[str, Any]:
    return {"cost": checks.one_of("cost", cost, COSTS), "nlooks": float(looks), "ntiles": tiles, "tile_overlap": overlap}
