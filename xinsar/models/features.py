"""Feature stacks as Liang et al. (2023) feed them: hot spots, an optical image and terrain in any combination.

Windows of 256 pixels that overlap by about 20 %, every channel scaled to 0..1 between its least and largest value
of the whole cube.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from xinsar.models.card import Channel, ModelCard

OPTICAL = ("red", "green", "blue")
TERRAIN = ("slope", "aspect", "elevation")

LIANG = (*OPTICAL, "hot_spot", "aspect")
"""The combination that served them best: an optical image, the hot-spot map, aspect."""

COMBINATIONS = tuple(
    (*OPTICAL, deformation, *terrain)
    for deformation, most in (("velocity", 0), ("hot_spot", len(TERRAIN)))
    for number in range(most + 1)
    for terrain in combinations(TERRAIN, number)
)
"""All combinations of their tables 1 and 2: nine, each tried with SegNet and U-Net."""

REFERENCE = "Liang et al. 2023, Remote Sens. 15:5262"

WINDOW = 256
OVERLAP = 0.2


def feature_card(
    name: str, inputs: tuple[str, ...], *, multiple: int, radius: int, **changes: Any
) -> ModelCard:
    """Return the card of a network that turns feature maps into one score.

    Parameters
    ----------
    name
        Of the network.
    inputs
        Names of variables of the cube, in the order of the network's channels.
    multiple
        Total stride of the network; the overlap is the next multiple to a fifth of the window.
    radius
        How far an output pixel looks.
    **changes
        Other entries of the card.
    """
    overlap = multiple * max(round(OVERLAP * WINDOW / multiple), 1)
    entries: dict[str, Any] = {
        "version": "1",
        "inputs": tuple(Channel(each, transform="minmax", optional=False) for each in inputs),
        "fields": ("foreground",),
        "window": (WINDOW, WINDOW),
        "overlap": overlap,
        "multiple": multiple,
        "radius": radius,
        "reference": REFERENCE,
    }
    return ModelCard(name, **{**entries, **changes})
