"""Layers of a track that go with a result, so that the next command finds them."""

from __future__ import annotations

from typing import Any

from xinsar.cli.results import ending_of

LAYERS = ("los", "elevation", "slope", "aspect", "temporal_coherence", "mean_coherence")
"""Maps that ``xinsar decompose`` looks for in a track."""


def with_layers(result: Any, source: Any, out: str) -> Any:
    """Return a result with those layers of its source that OUT.zarr keeps; a GeoTIFF holds the result alone."""
    if ending_of(out) != "zarr":
        return result
    kept = [n for n in LAYERS if n in source and n not in result and _is_layer(source[n])]
    return result.assign({name: source[name] for name in kept})


def _is_layer(array: Any) -> bool:
    return array.dims in (("y", "x"), ("component", "y", "x"))
