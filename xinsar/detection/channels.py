"""What a model is fed with, found in one track: variables that are there, and those that follow from them lazily."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from xinsar import grid, schema
from xinsar.models.card import GROUND
from xinsar.operations.gradient import phase_gradient_stack
from xinsar.operations.terrain import look_geometry, terrain

GRADIENTS = ("gradient_y", "gradient_x")
GRADIENT_COHERENCES = ("gradient_coherence_y", "gradient_coherence_x")
STRAIN = "m m-1 year-1"
"""Unit of gradients as channels: the rate of the stack times wavelength / 4 pi, positive away as the phase is."""

_OF_ASPECT = {"aspect_sin": np.sin, "aspect_cos": np.cos}
_RATE = "rad m-1 year-1"
_STRAINS = (STRAIN, "year-1", "1/year")
_STACKED = "expected pairs (phase, reference_time, secondary_time) or the result of phase_gradient_stack"
REMEDY = {
    "velocity": "make it with invert_network and velocity (networks are never inverted silently)",
    "displacement": "make it with invert_network",
    "temporal_coherence": "make it with invert_network",
    "hot_spot": "make it with getis_ord or hot_spot_map and assign it",
    "density": "make it with kernel_density",
    "elevation": "open a terrain model on the grid of the cube and assign it",
    "slope": "assign elevation, or make it with terrain",
    "aspect": "assign elevation, or make it with terrain",
    "aspect_sin": "assign elevation, or make aspect with terrain",
    "aspect_cos": "assign elevation, or make aspect with terrain",
    "sensitivity": "assign elevation and los (or attrs heading and incidence), or make it with look_geometry",
    "snow": "make it with snow_mask",
    "category": "make it with emerging_hot_spots",
    **dict.fromkeys(
        (*GRADIENTS, *GRADIENT_COHERENCES, "gradient_coherence", "gradient_z_y", "gradient_z_x"),
        "make it with phase_gradient_stack, from pairs",
    ),
}
"""Which operation makes a variable that a model needs."""


def is_motion(name: str) -> bool:
    """Tell whether a variable was measured by radar, rather than being known of the place."""
    return name not in GROUND


class Track:
    """One track of a cube, y descending and x ascending.

    Parameters
    ----------
    name
        For messages and results.
    ds
        The track as it came.
    """

    def __init__(self, name: str, ds: xr.Dataset) -> None:
        if not {"y", "x"} <= set(ds.dims):
            remedy = (
                "bring points to a grid with rasterize_points" if "point" in ds.dims else "rename its dims"
            )
            raise schema.SchemaError(
                f"data: expected a cube with dims y and x, got {tuple(map(str, ds.dims)) or 'none'} in {name!r}; "
                f"{remedy}"
            )
        if not (ds.sizes["y"] and ds.sizes["x"]):
            raise ValueError(f"data: expected at least one pixel, got {dict(ds.sizes)} in {name!r}")
        self.name, self.ds = name, upright(ds)

    def channel(self, name: str) -> xr.DataArray | None:
        """Return a map (y, x) by its name, lazily made from others where it follows from them; None: it does not."""
        if name == "gradient_coherence":
            return self._gradient_coherence()
        if name in _OF_ASPECT:
            return self._of_aspect(_OF_ASPECT[name])
        if name in GRADIENTS:
            return self._gradient(name)
        for source in (self.ds, self._derived(name)):
            if source is not None and name in source:
                return _map(source, name)
        return None

    def _derived(self, name: str) -> xr.Dataset | None:
        if name in ("slope", "aspect"):
            return self._terrain
        if name == "sensitivity":
            return self._look
        if name.startswith("gradient_"):
            return self._stack
        return None

    @cached_property
    def _terrain(self) -> xr.Dataset | None:
        return terrain(self.ds) if "elevation" in self.ds else None

    @cached_property
    def _look(self) -> xr.Dataset | None:
        """Return how the track sees the slopes, where ground and line of sight are known."""
        looks = "los" in self.ds or {"heading", "incidence"} <= set(self.ds.attrs)
        slopes = self.ds if {"slope", "aspect"} <= set(self.ds) else self._terrain
        if slopes is None or not looks:
            return None
        given = self.ds.drop_vars([n for n in ("slope", "aspect", "elevation") if n in self.ds])
        return look_geometry(given, terrain=slopes[["slope", "aspect"]], reach=0)

    @cached_property
    def _stack(self) -> xr.Dataset | None:
        """Return the gradient stack: that of the cube, else one made from its pairs; None without either."""
        if "gradient_y" in self.ds or "gradient_x" in self.ds:
            return self.ds
        if "pair" in self.ds.dims and ("phase" in self.ds or "unwrapped_phase" in self.ds):
            return phase_gradient_stack(self.ds)
        return None

    def _gradient(self, name: str) -> xr.DataArray | None:
        stack = self._stack
        if stack is None or name not in stack:
            return None
        field = _map(stack, name)
        unit = field.attrs.get("units")
        if unit in _STRAINS:
            return field
        if unit != _RATE or field.attrs.get("estimator", "rate") != "rate":
            raise schema.SchemaError(
                f"{name}: expected the rate of phase_gradient_stack(estimator='rate'), {_RATE}, got units {unit!r} and "
                f"estimator {field.attrs.get('estimator')!r}; stack the pairs with estimator='rate'"
            )
        return field * np.float32(_wavelength(self.ds) / (4 * np.pi))

    def _gradient_coherence(self) -> xr.DataArray | None:
        stack = self._stack
        if stack is None or not set(GRADIENT_COHERENCES) <= set(stack):
            return None
        down, across = (_map(stack, name) for name in GRADIENT_COHERENCES)
        return (down + across) / 2

    def _of_aspect(self, function: Any) -> xr.DataArray | None:
        aspect = self.channel("aspect")
        return None if aspect is None else aspect.copy(data=function(np.deg2rad(aspect.data)))


def _wavelength(ds: xr.Dataset) -> float:
    value = ds.attrs.get("wavelength")
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 10:
        raise schema.SchemaError(
            f"wavelength: expected metres in ds.attrs['wavelength'], which turn gradients of phase into gradients of "
            f"motion, got {value!r}; set it (Sentinel-1: 0.0555)"
        )
    return float(value)


def _map(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return one variable after checking that it is a map of numbers."""
    if name in schema.VARIABLES:
        schema.check(ds[name], schema.VARIABLES[name])
    if ds[name].dims != ("y", "x") or ds[name].dtype.kind not in "fiub":
        raise schema.SchemaError(
            f"{name}: expected a map of numbers with dims ('y', 'x'), got dtype {ds[name].dtype} and dims "
            f"{tuple(map(str, ds[name].dims))}; choose one field with isel, or make a map of it"
        )
    return ds[name]


def upright(ds: xr.Dataset) -> xr.Dataset:
    """Return a cube with x ascending and y descending; gradients along a turned axis change sign and edge."""
    for axis, sign in (("y", -1), ("x", 1)):
        if ds.sizes[axis] > 1 and np.sign(grid.step(ds, axis)) == -sign:
            ds = _turned(ds, axis)
    return ds


def _turned(ds: xr.Dataset, axis: str) -> xr.Dataset:
    """Return ``ds`` with one axis the other way round."""
    back = ds.isel({axis: slice(None, None, -1)})
    along = [n for n in back.data_vars if str(n).endswith(f"_{axis}") and "gradient" in str(n)]
    changed = {}
    for name in along:
        moved = back[name].shift({axis: -1})  # the edge after a pixel was the edge before it
        changed[name] = moved if "coherence" in str(name) else moved.copy(data=-moved.data)
    return back.assign(changed)
