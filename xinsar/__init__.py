"""Find slow landslides in stacks of satellite radar interferograms.

``open_stack`` reads anybody's products, ``save_cube`` and ``open_cube`` keep them as Zarr, and the ``.insar``
accessor of Datasets, DataArrays and DataTrees holds every operation. Heavy libraries load when they are first used.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from xinsar import accessor as _accessor
from xinsar import simulate
from xinsar.cube import open_cube, open_tracks, save_cube
from xinsar.detection import detect_threshold
from xinsar.export import to_geotiff
from xinsar.extras import MissingExtraError
from xinsar.operations.density import kernel_density
from xinsar.operations.emerging import emerging_hot_spots
from xinsar.operations.filtering import coherence_filter, goldstein_filter
from xinsar.operations.gradient import phase_gradient, phase_gradient_stack
from xinsar.operations.hotspot import getis_ord, hot_spot_map
from xinsar.operations.los import decompose_los, to_slope
from xinsar.operations.masks import ndsi, snow_mask
from xinsar.operations.network import invert_network
from xinsar.operations.rasterize import rasterize_points
from xinsar.operations.rates import monthly_velocity, velocity
from xinsar.operations.stacking import stack_unwrapped, stacking_curve
from xinsar.operations.terrain import look_geometry, terrain
from xinsar.operations.unwrapping import unwrap
from xinsar.readers import open_points, open_stack, stack_from_arrays
from xinsar.schema import SchemaError

try:
    __version__ = version("xinsar")
except PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"

_accessor.register()

__all__ = [
    "MissingExtraError",
    "SchemaError",
    "coherence_filter",
    "decompose_los",
    "detect_threshold",
    "emerging_hot_spots",
    "getis_ord",
    "goldstein_filter",
    "hot_spot_map",
    "invert_network",
    "kernel_density",
    "look_geometry",
    "monthly_velocity",
    "ndsi",
    "open_cube",
    "open_points",
    "open_stack",
    "open_tracks",
    "phase_gradient",
    "phase_gradient_stack",
    "rasterize_points",
    "save_cube",
    "simulate",
    "snow_mask",
    "stack_from_arrays",
    "stack_unwrapped",
    "stacking_curve",
    "terrain",
    "to_geotiff",
    "to_slope",
    "unwrap",
    "velocity",
]
