"""Models: cards, files, names and runtimes. Nothing heavy loads before a model is asked for.

``list_models``, ``get_model``
    names of registered networks, and a network built by name.
``load_model``, ``save_model``
    a model as a file of weights (safetensors or ONNX) with its card beside it.
``wrap``
    a card around any callable, so that :func:`xinsar.detect` can use it.
"""

from __future__ import annotations

from typing import Any

from xinsar.models.card import CardError, Channel, ModelCard
from xinsar.models.registry import get_model, list_models, register

__all__ = [
    "CardError",
    "Channel",
    "ModelCard",
    "get_model",
    "list_models",
    "load_model",
    "register",
    "save_model",
    "wrap",
]

_LAZY = {"load_model": "files", "save_model": "files", "wrap": "runtime"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
