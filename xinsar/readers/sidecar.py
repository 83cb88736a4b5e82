"""Text files beside the rasters: ``key: value`` and ``key=value`` lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def key_values(path: Path, *, separator: str = ":") -> dict[str, str]:
    """Return the lines of a text file as a mapping; {} where it is no text. Keys: lower case, no blanks."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return {}
    lines = (line.partition(separator) for line in text.splitlines())
    return {key.strip().lower().replace(" ", ""): value.strip() for key, found, value in lines if found}


def number(entries: Mapping[str, str], *keys: str) -> float | None:
    """Return the first of ``keys`` that is there as a number (its first word), or None."""
    for key in keys:
        try:
            return float(entries[key].split()[0])
        except (KeyError, IndexError, ValueError):
            continue
    return None
