"""Motion of the ground (asv): looks, terrain, networks, velocities, and the peers beside them."""

from __future__ import annotations

import importlib.util

import dask
import numpy as np
import xarray as xr

import xinsar
from benchmarks import motion_data as data
from benchmarks import motion_peers as peers
from xinsar.kernels import los
from xinsar.kernels.network import invert_network


class Looks:
    """East and up of two looks over many epochs, in memory."""

    params = ("xinsar", "closed_form", "normal_equations")
    param_names = ("way",)
    timeout = 900

    def setup(self, way: str) -> None:
        self.one, self.two = data.two_series()
        self.looks = data.looks()
        self.time_two_looks(way)  # compiles

    def time_two_looks(self, way: str) -> None:
        if way == "xinsar":
            los.motion_numpy(self.one, [self.two], self.looks, kind=los.EAST_UP, limit=10.0)
        else:
            getattr(peers, way)(self.one, self.two, self.looks)

    def peakmem_two_looks(self, way: str) -> None:
        self.time_two_looks(way)


class LooksThreads:
    """The same through Dask on one and two threads."""

    params = (1, 2)
    param_names = ("threads",)
    timeout = 900

    def setup(self, threads: int) -> None:
        chunk = max(data.SIDE // 4, 1)
        self.tracks = [track.chunk(time=-1, y=chunk, x=chunk) for track in data.tracks()]
        self.time_decompose_los(threads)

    def time_decompose_los(self, threads: int) -> None:
        with dask.config.set(scheduler="threads", num_workers=threads):
            xinsar.decompose_los(*self.tracks).motion.data.sum().compute()


class Terrain:
    """Slope and aspect."""

    params = ("xinsar", "xarray_spatial")
    param_names = ("way",)
    timeout = 900

    def setup(self, way: str) -> None:
        if way != "xinsar" and importlib.util.find_spec("xrspatial") is None:
            raise NotImplementedError
        self.elevation = data.elevation()
        self.time_slope_and_aspect(way)

    def time_slope_and_aspect(self, way: str) -> None:
        if way == "xinsar":
            xinsar.terrain(self.elevation)
        else:
            peers.spatial_terrain(self.elevation)

    def peakmem_slope_and_aspect(self, way: str) -> None:
        self.time_slope_and_aspect(way)


class Network:
    """A network of 200 pairs and 60 dates with gaps of each pixel's own; the peers on fewer pixels."""

    params = ("xinsar", "lstsq_per_pixel", "grouped")
    param_names = ("way",)
    timeout = 900

    def setup(self, way: str) -> None:
        self.network = data.network()
        self.matrix = peers.matrix_of(self.network)
        self.phase = data.pairs(data.NETWORK**2 if way == "xinsar" else 50, 0)
        self.time_series(way)

    def time_series(self, way: str) -> None:
        if way == "xinsar":
            invert_network(self.phase, None, np.zeros(data.PAIRS), network=self.network, scale=1.0)
        elif way == "grouped":
            peers.grouped(self.phase, self.matrix, solve="lstsq")
        else:
            peers.lstsq_per_pixel(self.phase, self.matrix)


class Cube:
    """The whole inversion of a lazy cube: reference by coherence, series, quality; then its velocities."""

    params = ("invert_network", "velocity", "monthly_velocity")
    param_names = ("operation",)
    timeout = 900

    def setup(self, operation: str) -> None:
        side = max(data.NETWORK // 4, 1)
        lazy = data.cube().chunk(pair=-1, y=side, x=side)
        lazy["unwrapped_phase"] = lazy.unwrapped_phase.fillna(0)
        self.ds = lazy if operation == "invert_network" else self._series(lazy)
        self.time_operation(operation)

    def _series(self, lazy: xr.Dataset) -> xr.Dataset:
        return xinsar.invert_network(lazy, reference=None)[["displacement"]].compute()

    def time_operation(self, operation: str) -> None:
        getattr(self.ds.insar, operation)().compute()
