"""Which way is positive, told by an earthquake: published phase gradients of Ridgecrest 2019 against ours."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import xinsar

pytestmark = pytest.mark.real
WAVELENGTH = 0.0554658
STEP = 0.0005
REACH = 20
"""Pixels to either side over which the interpolated gradient is averaged: the spacing of the points."""
WEST, EAST, SOUTH, NORTH = -117.75, -117.35, 35.55, 35.9
TRACKS = {"asc": "t64_asc_edit", "dec": "t71_des"}


@lru_cache
def interferogram(path: Any) -> xr.Dataset:
    """Return the wrapped phase that a displacement toward the satellite (lon, lat, ..., mm) leaves, north up."""
    from scipy.interpolate import LinearNDInterpolator

    points = np.loadtxt(path)
    x = np.arange(WEST, EAST, STEP)
    y = np.arange(NORTH, SOUTH, -STEP)
    toward = LinearNDInterpolator(points[:, :2], points[:, 6] / 1000)(*np.meshgrid(x, y))
    phase = np.angle(np.exp(-4j * np.pi / WAVELENGTH * toward)).astype(np.float32)
    return xr.Dataset(
        {"phase": (("pair", "y", "x"), phase[None], {"units": "rad"})},
        {"x": ("x", x, {"units": "degrees_east"}), "y": ("y", y, {"units": "degrees_north"})},
        {"wavelength": WAVELENGTH},
    )


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("component", ["x", "y"])
def test_gradients_of_an_earthquake(real_data: Any, track: str, component: str) -> None:
    """The published gradients (x eastward, y northward) grow with the displacement toward the satellite: their

    values follow its gradient in per cent. Phase grows away, and its y index southward, so ours have the opposite
    sign in x and the same in y. The interpolation between about 2,000 points smooths: a fifth of the size is lost.
    """
    folder = real_data("coso-ridgecrest-asc-desc") / "ridgecrest_coseismic"
    ds = interferogram(folder / f"{TRACKS[track]}.lltnde")
    found = xinsar.phase_gradient(ds, window=1)[f"gradient_{component}"].isel(pair=0)
    found = found.rolling({component: 2 * REACH + 1}, center=True).mean()
    published = np.loadtxt(folder / f"Rc_ph_grd{component}_{track}_masked.lltnde")
    lon, lat = published[:, 0], published[:, 1]
    inside = (lon > WEST + 0.01) & (lon < EAST - 0.01) & (lat > SOUTH + 0.01) & (lat < NORTH - 0.01)
    at = {name: xr.DataArray(v[inside], dims="point") for name, v in (("x", lon), ("y", lat))}
    ours = found.sel(at, method="nearest").values
    metres = np.radians(STEP) * 6371e3 * (np.cos(np.radians(lat[inside])) if component == "x" else 1)
    per_cent = -100 * ours / metres * WAVELENGTH / (4 * np.pi) * (1 if component == "x" else -1)
    known = np.isfinite(per_cent)
    assert known.sum() > 300
    theirs = published[inside, 6]
    order = [np.argsort(np.argsort(v[known])) for v in (per_cent, theirs)]
    assert np.corrcoef(*order)[0, 1] > 0.85
    slope = np.polyfit(per_cent[known], theirs[known], 1)[0]
    assert 0.6 < slope < 1.1
