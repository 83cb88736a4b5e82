"""Real noise for the half-real scenes of SimSlide: measured data brought to 25 m, and the slides put on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import xinsar
from benchmarks import simslide_data as data
from xinsar import simulate

Open = Callable[[Path], xr.DataTree]


class Source(NamedTuple):
    """One set of measured data."""

    folder: str
    pixel: int
    """Metres of the pixels that were measured; those above 25 m are interpolated, and so smoother than real ones."""
    open: Open
    finish: Callable[[xr.Dataset], xr.Dataset]
    """What a user does with the data before looking for landslides."""


def _as_it_is(ds: xr.Dataset) -> xr.Dataset:
    return ds


def _on_grid(ds: xr.Dataset) -> xr.Dataset:
    """Return a cube in degrees on a map grid of 25 m, in between by bilinear interpolation."""
    import rioxarray  # noqa: F401  (registers .rio)
    from rasterio.enums import Resampling

    from xinsar import grid

    attrs = {name: ds[name].attrs for name in ds.data_vars}
    maps = {}
    for name in ds.data_vars:
        layer = ds[name].astype(np.float32).rio.write_crs(grid.crs_of(ds)).rio.write_nodata(np.nan)
        utm = layer.rio.estimate_utm_crs()
        moved = layer.rio.reproject(utm, resolution=data.PIXEL, resampling=Resampling.bilinear)
        maps[name] = moved.assign_attrs(attrs[name])
    out = xr.Dataset(maps)
    for axis in "xy":
        out[axis].attrs.setdefault("units", "m")
    return out.assign_attrs({k: v for k, v in ds.attrs.items() if k != "reference"})


def _kirishima(folder: Path) -> xr.DataTree:
    """ALOS-2, one track, a volcano in forest: velocity, temporal coherence, elevation."""
    ds = _on_grid(xinsar.open_stack(folder)[["velocity", "temporal_coherence", "elevation"]].load())
    return xr.DataTree.from_dict({"descending": ds.assign_attrs(incidence=39.0)})


def _bhutan(folder: Path) -> xr.DataTree:
    """ALOS, one track, a slope in the Himalaya: eight dates of displacement, elevation."""
    import rasterio

    place = xinsar.open_gacos(folder / "gacos", kind="zenith").drop_vars("zenith_delay")
    series = np.fromfile(folder / "depl_cumule", "<f4").reshape(300, 200, 8).transpose(2, 0, 1)
    with rasterio.open(folder / "DEM_UTM.tif") as file:
        height = file.read(1)
    height = np.where(height > 0, height, np.nan).astype(np.float32)
    ds = place.assign(
        displacement=(("time", "y", "x"), series / 1000, {"units": "m"}),
        elevation=(("y", "x"), height, {"units": "m"}),
    )
    ds = ds.assign_attrs(heading=346.0, incidence=34.5, wavelength=0.236, orbit_direction="ascending")
    return xr.DataTree.from_dict({"ascending": ds})


def _with_velocity(ds: xr.Dataset) -> xr.Dataset:
    made = xinsar.velocity(ds)[["velocity"]]
    return made.assign({name: ds[name] for name in ("elevation",) if name in ds}).assign_attrs(ds.attrs)


def _mexico(folder: Path) -> xr.DataTree:
    """Sentinel-1, one track, a plain and the rim of a basin: thirty unwrapped pairs (here interpolated from 150 m)."""
    ds = xinsar.open_stack(folder / "unw")[["unwrapped_phase"]].load()
    dates = {c: ("pair", ds[c].values) for c in ("reference_time", "secondary_time")}
    moved = _on_grid(ds).assign_coords(dates)
    level = moved.unwrapped_phase.median(("y", "x"))
    moved = moved.assign(unwrapped_phase=moved.unwrapped_phase.copy(data=moved.unwrapped_phase - level))
    moved = moved.assign_attrs(heading=347.7, orbit_direction="ascending")
    return xr.DataTree.from_dict({"ascending": moved})


def _inverted(ds: xr.Dataset) -> xr.Dataset:
    series = xinsar.invert_network(ds, weights="uniform", reference=None)
    made = _with_velocity(series).assign(temporal_coherence=series.temporal_coherence)
    return made.assign({name: ds[name] for name in ("elevation",) if name in ds}).assign_attrs(ds.attrs)


def _coso(folder: Path) -> xr.DataTree:
    """Sentinel-1, two tracks, the eastern slope of the Sierra Nevada: velocities (interpolated from 80 m)."""
    west, east, south, north = -118.09, -117.97, 36.08, 36.19
    views = {"ascending": ("a064_velocity.h5", 348.0, 39.5), "descending": ("d071_velocity.h5", 192.0, 41.5)}
    tracks = {}
    for name, (file, heading, incidence) in views.items():
        ds = xinsar.open_stack(folder / file)[["velocity"]]
        part = ds.sel(x=slice(west, east), y=slice(north, south)).load()
        tracks[name] = _on_grid(part).assign_attrs(
            heading=heading, incidence=incidence, orbit_direction=name, track=name
        )
    return xr.DataTree.from_dict(tracks)


SOURCES = {
    "kirishima": Source("kirishima-alos2-mintpy", 20, _kirishima, _as_it_is),
    "bhutan": Source("bhutan-alos-slope-cube", 25, _bhutan, _with_velocity),
    "coso": Source("coso-ridgecrest-asc-desc", 80, _coso, _as_it_is),
    "mexico-city": Source("mexico-city-s1-gamma-stack", 150, _mexico, _inverted),
}
"""Where noise is taken from. Mount Etna's twenty by twenty pixels hold no landslide."""


@lru_cache(maxsize=4)
def measured(name: str, folder: str) -> xr.DataTree:
    """Return one set of measured data on a grid of 25 m, opened once per process."""
    return SOURCES[name].open(Path(folder) / SOURCES[name].folder)


@dataclass(frozen=True)
class HalfReal:
    """One half-real scene, before it is made."""

    name: str
    folder: str
    number: int
    tier: str
    """Whose thresholds are used."""

    wavelength = None
    part = 0

    @property
    def split(self) -> str:
        """Name of the split."""
        return f"half-real {self.name}"

    @property
    def seed(self) -> int:
        """The seed that the bodies are drawn from."""
        return data.seed_of("half-real", data.TIERS[0], self.number)

    @property
    def side(self) -> int:
        """Pixels of its longer side."""
        first = next(iter(measured(self.name, self.folder).children.values()))
        return max(first.sizes["y"], first.sizes["x"])

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of its tracks."""
        return tuple(measured(self.name, self.folder).children)

    def cached(self, cache: str | None) -> tuple[xr.DataTree, Any]:
        """Return cube and truth, from a folder where they are there already, and kept there."""
        return data.kept(cache, f"{self.split}-{self.number}", self.make)

    def make(self) -> tuple[xr.DataTree, Any]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="half_real: no body found a slope")
            made = simulate.half_real(
                measured(self.name, self.folder), self.seed, draws=data.DRAWS["half-real"]
            )
        finish = SOURCES[self.name].finish
        nodes = {name: finish(node.to_dataset()) for name, node in made.cube.children.items()}
        return xr.DataTree.from_dict(nodes), made.truth


def scenes(folder: str, tier: str, number: int) -> tuple[dict[str, list[HalfReal]], list[str]]:
    """Return ``number`` scenes of each set of data that is in the folder, and the names of the sets that are not."""
    there = {name for name, source in SOURCES.items() if (Path(folder) / source.folder).is_dir()}
    made = {
        name: [HalfReal(name, folder, k, tier) for k in range(number)] for name in SOURCES if name in there
    }
    return made, [name for name in SOURCES if name not in there]
