"""Pictures of cubes and of what is found in them.

Every function draws on the axes it is given, or on its own, and returns them. Only what is drawn is
computed: large rasters are thinned to the picture's size first. Maps keep the coordinates of their
reference system (so further layers can be drawn on top of them) with north up and kilometres or degrees on
the ticks; all colours can be told apart by colour-blind readers. matplotlib is loaded on the first call.
"""

from __future__ import annotations

from xinsar.plot.arrows import slope_arrows
from xinsar.plot.categories import emerging
from xinsar.plot.gradient import gradients
from xinsar.plot.hotspots import density, hot_spots
from xinsar.plot.interferogram import coherence, wrapped_phase
from xinsar.plot.motion import motion, velocity
from xinsar.plot.network import baseline_network
from xinsar.plot.outlines import detections
from xinsar.plot.scatter import points
from xinsar.plot.series import series

__all__ = [
    "baseline_network",
    "coherence",
    "density",
    "detections",
    "emerging",
    "gradients",
    "hot_spots",
    "motion",
    "points",
    "series",
    "slope_arrows",
    "velocity",
    "wrapped_phase",
]
