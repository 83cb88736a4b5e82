"""Checks of plain arguments at the door of public functions."""

from __future__ import annotations

from typing import Any


def odd_window(window: Any, name: str = "window") -> int:
    """Return ``window`` as int; it must be an odd number of pixels, 1 or more."""
    if isinstance(window, bool) or not hasattr(window, "__index__"):
        raise TypeError(f"{name}: expected an odd whole number of pixels, got {window!r}")
    number = int(window.__index__())
    if number < 1 or number % 2 == 0:
        near = "1" if number < 1 else f"{number - 1} or {number + 1}"
        raise ValueError(f"{name}: expected an odd number of pixels (1, 3, 5, ...), got {number}; use {near}")
    return number


def positive(name: str, value: Any) -> float:
    """Return ``value`` as float; it must be a number above 0."""
    number = _number(name, value)
    if not number > 0:
        raise ValueError(f"{name}: expected a number above 0, got {value!r}")
    return number


def finite(name: str, value: Any) -> float:
    """Return ``value`` as float; it must be a finite number above 0."""
    number = positive(name, value)
    if number == float("inf"):
        raise ValueError(f"{name}: expected a finite number above 0, got {value!r}")
    return number


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Return ``value`` as int; it must be a whole number, ``least`` or more."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    number = int(value.__index__())
    if number < least:
        raise ValueError(f"{name}: expected a whole number, {least} or more, got {number}")
    return number


def share(name: str, value: Any) -> float:
    """Return ``value`` as float; it must lie within 0..1."""
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name}: expected a number within 0..1, got {value!r}")
    return number


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        return float(value)
    except TypeError:
        raise TypeError(f"{name}: expected a number, got {value!r}") from None


def one_of(name: str, value: Any, legal: tuple[str, ...]) -> str:
    """Return ``value``; it must be one of the words in ``legal``."""
    if value not in legal:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, legal))}, got {value!r}")
    return str(value)


def said(function: str, **options: Any) -> str:
    """Return the history line of a call: the options that were given, None left out."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
    return f"xinsar.{function}({given})"
