"""Simulated interferograms with known truth: mountains, sliding bodies, weather, decorrelation, two orbits.

Start with :func:`scene`. :func:`plane` and :func:`bowl` are cubes whose gradient is known in closed form;
:func:`los_vector`, :func:`sensitivity` and :func:`distortion` are the viewing geometry.
"""

from xinsar.simulate.geometry import Distortion, distortion, los_vector, sensitivity
from xinsar.simulate.patterns import bowl, plane
from xinsar.simulate.scenes import Scene, scene

__all__ = ["Distortion", "Scene", "bowl", "distortion", "los_vector", "plane", "scene", "sensitivity"]
