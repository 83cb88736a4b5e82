"""The default model: what it looks at, how values become channels (no torch), and the trained network itself."""

from __future__ import annotations

from typing import Any

from xinsar.models.card import Channel, ModelCard

TRACKS = 2

VELOCITY_SCALE = 0.010
"""m year-1."""
GRADIENT_SCALE = 1e-4
"""m m-1 year-1."""
SIGNED = ("velocity", "gradient_y", "gradient_x")
"""Channels that have the sign of the motion toward the satellite."""


def _of_track(track: int) -> tuple[Channel, ...]:
    return (
        Channel("velocity", track, "arcsinh", scale=VELOCITY_SCALE),
        Channel("temporal_coherence", track),
        Channel("sensitivity", track),
        Channel("gradient_y", track, "arcsinh", scale=GRADIENT_SCALE),
        Channel("gradient_x", track, "arcsinh", scale=GRADIENT_SCALE),
        Channel("gradient_coherence", track),
        Channel("valid_velocity", track),
        Channel("valid_gradient", track),
    )


INPUTS = (
    *(channel for track in range(TRACKS) for channel in _of_track(track)),
    Channel("slope", scale=45.0),
    Channel("inside"),
)


def default_card(**changes: Any) -> ModelCard:
    """Return the card of the default network before training."""
    entries: dict[str, Any] = {
        "version": "0",
        "inputs": INPUTS,
        "window": (512, 512),
        "overlap": 96,
        "multiple": 16,
        "radius": 88,
        "score": "upper",
        "licence": "BSD-3-Clause",
        "reference": "xinsar; centre-distance fields and watershed of the stitched fields",
    }
    return ModelCard("default", **{**entries, **changes})


def trained(**options: Any) -> tuple[Any, ModelCard]:
    """Return the network with the weights that come with xinsar, and its card; it takes no options."""
    from importlib import resources

    from xinsar.models.files import load_model

    if options:
        raise TypeError(
            f"options: the default model is trained and takes none, got {', '.join(options)}; build a new network with "
            "get_model('centre', ...)"
        )
    with resources.as_file(resources.files("xinsar.models") / "weights") as folder:
        module = load_model(folder / "default.safetensors")
    return module, module.card
