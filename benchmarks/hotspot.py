"""Hot spots (asv): Gi* of maps and points, densities, trends of Gi*, and the peers beside them."""

from __future__ import annotations

import importlib.util

import dask
import numpy as np
import xarray as xr

import xinsar
from benchmarks import hotspot_data as data
from benchmarks import hotspot_peers as peers


def _need(*modules: str) -> None:
    """Skip a benchmark whose peer is not installed."""
    if any(importlib.util.find_spec(name) is None for name in modules):
        raise NotImplementedError


class Maps:
    """Gi* of a map with holes, and its p value; radius in pixels."""

    params = data.RADII
    param_names = ("radius",)
    timeout = 900

    def setup(self, radius: int) -> None:
        self.field = data.velocity_map()
        self.time_getis_ord(radius)  # compiles

    def time_getis_ord(self, radius: int) -> None:
        xinsar.getis_ord(self.field, radius * data.PIXEL)

    def peakmem_getis_ord(self, radius: int) -> None:
        xinsar.getis_ord(self.field, radius * data.PIXEL)


class MapThreads:
    """The same through Dask on one and two threads, and what is significant."""

    params = ((1, 2), ("p_value", "significant"))
    param_names = ("threads", "result")
    timeout = 900

    def setup(self, threads: int, result: str) -> None:
        chunk = data.MAP // 4
        self.field = data.velocity_map().chunk(y=chunk, x=chunk)
        self.time_getis_ord(threads, result)

    def time_getis_ord(self, threads: int, result: str) -> None:
        with dask.config.set(scheduler="threads", num_workers=threads):
            xinsar.getis_ord(self.field, 8 * data.PIXEL, fdr=result == "significant").compute()


class MapPeers:
    """What others would write, on the same map."""

    params = (("gi_opencv", "gi_xarray_spatial", "xarray_spatial_hotspots"), (4, 8))
    param_names = ("peer", "radius")
    timeout = 900

    def setup(self, peer: str, radius: int) -> None:
        _need("cv2" if peer == "gi_opencv" else "xrspatial")
        field = data.velocity_map(min(data.MAP, 2000))
        self.field = field.values if peer == "gi_opencv" else field
        self.time_gi(peer, radius)

    def time_gi(self, peer: str, radius: int) -> None:
        getattr(peers, peer)(self.field, radius)


class Points:
    """Gi* of points within 150 m, by the lie of the points and the weights."""

    params = (("uniform", "clustered"), ("binary", "inverse_distance"))
    param_names = ("places", "weights")
    timeout = 900

    def setup(self, places: str, weights: str) -> None:
        self.field = data.velocity_points(clustered=places == "clustered")
        self.time_getis_ord(places, weights)

    def time_getis_ord(self, places: str, weights: str) -> None:
        xinsar.getis_ord(self.field, data.DISTANCE, weights=weights)

    def peakmem_getis_ord(self, places: str, weights: str) -> None:
        xinsar.getis_ord(self.field, data.DISTANCE, weights=weights)


class Nearest:
    """Gi* of points and their sixteen nearest."""

    timeout = 900

    def setup(self) -> None:
        self.field = data.velocity_points()
        self.time_getis_ord()

    def time_getis_ord(self) -> None:
        xinsar.getis_ord(self.field, k=16)


class PointThreads:
    """The same in eight chunks on one and two threads."""

    params = (1, 2)
    param_names = ("threads",)
    timeout = 900

    def setup(self, threads: int) -> None:
        field = data.velocity_points()
        size = field.sizes["point"] // 8
        lazy = {name: field[name].chunk(point=size) for name in ("x", "y")}
        self.field = field.chunk(point=size).assign_coords(lazy)
        self.time_getis_ord(threads)

    def time_getis_ord(self, threads: int) -> None:
        with dask.config.set(scheduler="threads", num_workers=threads):
            xinsar.getis_ord(self.field, data.DISTANCE).compute()


class PointPeers:
    """What others would write, on the same points (PySAL: at most 20 000 of them)."""

    params = ("gi_pairs", "gi_esda")
    param_names = ("peer",)
    timeout = 900

    def setup(self, peer: str) -> None:
        if peer == "gi_esda":
            _need("esda", "libpysal")
        field = data.velocity_points(data.POINTS if peer == "gi_pairs" else min(data.POINTS, 20_000))
        self.arguments = field.x.values, field.y.values, field.values + 1.0, data.DISTANCE
        self.time_gi(peer)

    def time_gi(self, peer: str) -> None:
        getattr(peers, peer)(*self.arguments)


class Density:
    """Density of weighted points on a grid; radius in metres."""

    params = ((150.0, 500.0), ("exact", "fft"))
    param_names = ("radius", "method")
    timeout = 900

    def setup(self, radius: float, method: str) -> None:
        self.field, self.target = data.velocity_points(), data.target_grid()
        self.time_kernel_density(radius, method)

    def time_kernel_density(self, radius: float, method: str) -> None:
        xinsar.kernel_density(self.field, radius, target=self.target, method=method)

    def peakmem_kernel_density(self, radius: float, method: str) -> None:
        xinsar.kernel_density(self.field, radius, target=self.target, method=method)


class DensityOfMaps:
    """Density of a map on its own grid; radius in pixels."""

    params = (8, 24)
    param_names = ("radius",)
    timeout = 900

    def setup(self, radius: int) -> None:
        self.field = data.velocity_map()
        self.time_kernel_density(radius)

    def time_kernel_density(self, radius: int) -> None:
        xinsar.kernel_density(self.field, radius * data.PIXEL)


class DensityPeers:
    """What others would write, on the same points."""

    params = (("density_fft", "density_kdepy"), (150.0, 500.0))
    param_names = ("peer", "radius")
    timeout = 900

    def setup(self, peer: str, radius: float) -> None:
        if peer == "density_kdepy":
            _need("KDEpy")
        field = data.velocity_points()
        weights = np.abs(field.values.astype(np.float64)) + 0.001
        self.arguments = field.x.values, field.y.values, weights, data.target_grid(), radius

    def time_density(self, peer: str, radius: float) -> None:
        getattr(peers, peer)(*self.arguments)


class Emerging:
    """Trends of Gi* over twenty dates."""

    timeout = 900

    def setup(self) -> None:
        field = data.velocity_map(min(data.MAP, 1000))
        dates = np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(12, "D")
        steps = xr.DataArray(np.linspace(0, 1, 20, dtype=np.float32), {"time": dates}, ("time",))
        self.field = (
            (field * steps + 0.002 * np.sin(40 * steps)).transpose("time", "y", "x").rename("displacement")
        )
        self.time_emerging_hot_spots()

    def time_emerging_hot_spots(self) -> None:
        xinsar.emerging_hot_spots(self.field, 8 * data.PIXEL)
