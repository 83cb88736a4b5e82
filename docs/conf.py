"""Sphinx configuration; builds without a network, and every warning is an error (make docs)."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import ClassDoc

import xinsar
import xinsar.accessor
from xinsar import schema
from xinsar.models.card import Channel
from xinsar.models.default import INPUTS
from xinsar.training import config

project = "xinsar"
author = "The xinsar developers"
copyright = f"2026, {author}"
version = release = xinsar.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "_generated", "_*.md", "operations/_*.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_title = f"xinsar {version}"
html_copy_source = False

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 90
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

GENERATED = Path(__file__).parent / "_generated"


def _limits(variable: schema.Variable) -> str:
    if variable.limits is None:
        return ""
    low, high = (f"{limit:.6g}".replace("3.14159", "pi") for limit in variable.limits)
    return f"{low} .. {high}"


def _dims(variable: schema.Variable) -> str:
    return ", ".join(f"({dim})" if dim in variable.optional else dim for dim in variable.dims)


def _variable_line(variable: schema.Variable) -> str:
    cells = (
        f"`{variable.name}`",
        _dims(variable),
        variable.units,
        {"f": "float", "i": "integer", "b": "bool"}[variable.kind],
        _limits(variable),
        variable.long_name,
    )
    return f"| {' | '.join(cells)} |"


def variable_table() -> str:
    """Return the table of everything a cube may hold, one line per row of the schema."""
    head = ["| variable | dims | unit | kind | range | meaning |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(_variable_line, schema.VARIABLES.values())]) + "\n"


def _method_lines(accessor: type) -> Iterator[str]:
    for name, method in inspect.getmembers(accessor, inspect.isfunction):
        if not name.startswith("_"):
            first = (method.__doc__ or " ").strip().partition("\n")[0]
            yield f"| `.insar.{name}` | {first} |"


def accessor_tables() -> str:
    """Return a table per accessor: its methods, and what they give."""
    owners = {"Dataset": "DatasetAccessor", "DataArray": "DataArrayAccessor", "DataTree": "DataTreeAccessor"}
    parts = []
    for owner, name in owners.items():
        lines = _method_lines(getattr(xinsar.accessor, name))
        parts.append("\n".join([f"**{owner}**", "", "| method | gives |", "|---|---|", *lines, ""]))
    return "\n".join(parts)


def _channel_line(number: int, channel: Channel) -> str:
    slot = "ground" if channel.track is None else f"track {channel.track + 1}"
    if channel.made:
        return f"| {number} | `{channel.name}` | {slot} | made by the pipeline |"
    unit = schema.VARIABLES[channel.name].units if channel.name in schema.VARIABLES else "1"
    unit = "m m-1 year-1" if channel.name in ("gradient_y", "gradient_x") else unit
    value = "v" if channel.scale == 1 else f"v / {channel.scale:g} {unit}"
    seen = f"arcsinh({value})" if channel.transform == "arcsinh" else value
    return f"| {number} | `{channel.name}` | {slot} | {seen} |"


def channel_table() -> str:
    """Return the table of the channels of the default model, from its card."""
    head = ["| | channel | of | what the network sees |", "|---|---|---|---|"]
    return "\n".join([*head, *(_channel_line(k, c) for k, c in enumerate(INPUTS))]) + "\n"


def _recipe_lines(part: type) -> Iterator[str]:
    defaults = {f.name: getattr(part(), f.name) for f in dataclasses.fields(part)}
    for parameter in ClassDoc(part)["Parameters"]:
        names = parameter.name.split(", ")
        kept = ", ".join(f"`{_toml(defaults[name])}`" for name in names)
        text = " ".join(parameter.desc).replace("``", "`")
        yield f"| {', '.join(f'`{name}`' for name in names)} | {kept} | {_without_roles(text)} |"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return "{}" if isinstance(value, dict) else str(value)


def _without_roles(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text)


def recipe_tables() -> str:
    """Return a table for each part of a training's recipe: entries, defaults, meaning."""
    parts = {"model": config.ModelPart, "data": config.DataPart, "training": config.TrainingPart}
    head = ["| entry | default | meaning |", "|---|---|---|"]
    made = ["\n".join([f"**[{name}]**", "", *head, *_recipe_lines(part), ""]) for name, part in parts.items()]
    return "\n".join(made)


def write_generated(_app: Any) -> None:
    """Write the pages that are made from the code."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "variables.md").write_text(variable_table())
    (GENERATED / "accessor.md").write_text(accessor_tables())
    (GENERATED / "channels.md").write_text(channel_table())
    (GENERATED / "recipe.md").write_text(recipe_tables())


def setup(app: Any) -> None:
    """Connect the generators to the build."""
    app.connect("builder-inited", write_generated)
