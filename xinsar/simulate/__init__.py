"""Simulated interferograms with known truth: mountains, sliding bodies, weather, decorrelation, two orbits.

Start with :func:`scene`; :func:`products` makes velocity maps and gradient stacks without their pairs.
:func:`plane` and :func:`bowl` are cubes whose gradient is known in closed form; :func:`los_vector`,
:func:`sensitivity` and :func:`distortion` are the viewing geometry.
"""

from xinsar.simulate.geometry import Distortion, distortion, los_vector, sensitivity
from xinsar.simulate.parts import products
from xinsar.simulate.patterns import bowl, plane
from xinsar.simulate.real_noise import half_real
from xinsar.simulate.scenes import scene
from xinsar.simulate.worlds import Scene, reference_inventory

__all__ = [
    "Distortion",
    "Scene",
    "bowl",
    "distortion",
    "half_real",
    "los_vector",
    "plane",
    "products",
    "reference_inventory",
    "scene",
    "sensitivity",
]
