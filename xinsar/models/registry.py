"""Models by name: a name stands for ``"module:builder"``, which is imported when somebody asks for it.

A builder is a function of keywords (the options of the network, all with defaults) that returns a torch module and its
:class:`~xinsar.models.card.ModelCard`: an untrained one, or one whose card names the architecture that it was made of.
"""

from __future__ import annotations

import importlib
from typing import Any

_BUILDERS: dict[str, str] = {
    "centre": "xinsar.models.centre:build",
    "default": "xinsar.models.default:trained",
    "segnet": "xinsar.models.segnet:build",
    "unet": "xinsar.models.unet:build",
}
"""Builders of all models, by name: ``"module:builder"``."""


def register(name: str, builder: str) -> None:
    """Let ``name`` stand for ``builder``.

    Parameters
    ----------
    name
        What :func:`get_model` will know the model by.
    builder
        ``"module:function"``; the module is imported when the model is asked for.

    Raises
    ------
    ValueError
        If the name is taken by another builder, or ``builder`` is not of that form.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name: expected a text, got {name!r}")
    module, _, function = str(builder).partition(":")
    if not module or not function:
        raise ValueError(f"builder: expected 'module:function', got {builder!r}")
    if _BUILDERS.get(name, builder) != builder:
        raise ValueError(f"name: {name!r} stands for {_BUILDERS[name]} already; choose another name")
    _BUILDERS[name] = builder


def list_models() -> list[str]:
    """Return the names of all registered models, in alphabetical order."""
    return sorted(_BUILDERS)


def get_model(name: str, **options: Any) -> Any:
    """Build a registered model: with fresh weights, but for ``"default"``, which has those that come with xinsar.

    Parameters
    ----------
    name
        One of :func:`list_models`.
    **options
        Keywords of its builder, such as its channels or widths.

    Returns
    -------
    torch.nn.Module
        With the attribute ``card``, which names its architecture and options.

    Raises
    ------
    ValueError
        If no model has this name; the message lists those that do.
    xinsar.MissingExtraError
        If torch is not installed.
    """
    module, card = builder_of(name)(**options)
    module.card = card if card.architecture else card.replace(architecture=name, options=options)
    return module


def builder_of(name: str) -> Any:
    """Return the builder that ``name`` stands for, imported."""
    if name not in _BUILDERS:
        known = ", ".join(map(repr, list_models())) or "none yet"
        raise ValueError(f"name: expected a registered model, got {name!r}; known are {known}")
    module, _, function = _BUILDERS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "safetensors"):
            raise
        from xinsar.extras import need

        return need(error.name, purpose=f"the model {name!r}")
