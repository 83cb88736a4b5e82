"""Find slow landslides in stacks of satellite radar interferograms.

``open_stack`` reads anybody's products, ``save_cube`` and ``open_cube`` keep them as Zarr, and the ``.insar``
accessor of Datasets, DataArrays and DataTrees holds every operation. Heavy libraries load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from xinsar import accessor as _accessor
from xinsar.cube import open_cube, open_tracks, save_cube
from xinsar.detection import detect, detect_threshold, predict_scores
from xinsar.export import to_geotiff
from xinsar.extras import MissingExtraError
from xinsar.operations.atmosphere import atmosphere_filter
from xinsar.operations.closure import phase_closure
from xinsar.operations.density import kernel_density
from xinsar.operations.deramp import deramp
from xinsar.operations.emerging import emerging_hot_spots
from xinsar.operations.filtering import coherence_filter, goldstein_filter
from xinsar.operations.fusion import fuse_tracks
from xinsar.operations.gradient import phase_gradient, phase_gradient_stack
from xinsar.operations.hotspot import getis_ord, hot_spot_map
from xinsar.operations.los import decompose_los, to_slope
from xinsar.operations.masks import ndsi, snow_mask
from xinsar.operations.network import invert_network
from xinsar.operations.rasterize import rasterize_points
from xinsar.operations.rates import monthly_velocity, velocity
from xinsar.operations.reference import reference_to
from xinsar.operations.stability import stability_threshold
from xinsar.operations.stacking import stack_unwrapped, stacking_curve
from xinsar.operations.terrain import look_geometry, terrain
from xinsar.operations.troposphere import subtract_gacos
from xinsar.operations.unwrapping import unwrap
from xinsar.readers import open_gacos, open_points, open_stack, stack_from_arrays
from xinsar.schema import SchemaError

if TYPE_CHECKING:
    from xinsar import inventory, models, plot, simulate, training

_ROOMS = ("inventory", "models", "plot", "simulate", "training")
"""Packages that load when they are first asked for."""

try:
    __version__ = version("xinsar")
except PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"

_accessor.register()

__all__ = [
    "MissingExtraError",
    "SchemaError",
    "atmosphere_filter",
    "coherence_filter",
    "decompose_los",
    "deramp",
    "detect",
    "detect_threshold",
    "emerging_hot_spots",
    "fuse_tracks",
    "getis_ord",
    "goldstein_filter",
    "hot_spot_map",
    "inventory",
    "invert_network",
    "kernel_density",
    "look_geometry",
    "models",
    "monthly_velocity",
    "ndsi",
    "open_cube",
    "open_gacos",
    "open_points",
    "open_stack",
    "open_tracks",
    "phase_closure",
    "phase_gradient",
    "phase_gradient_stack",
    "plot",
    "predict_scores",
    "rasterize_points",
    "reference_to",
    "save_cube",
    "simulate",
    "snow_mask",
    "stability_threshold",
    "stack_from_arrays",
    "stack_unwrapped",
    "stacking_curve",
    "subtract_gacos",
    "terrain",
    "to_geotiff",
    "to_slope",
    "training",
    "unwrap",
    "velocity",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"xinsar.{name}")
    raise AttributeError(f"module 'xinsar' has no attribute {name!r}")
