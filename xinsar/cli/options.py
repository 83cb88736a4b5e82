"""What the options of several commands share: parsers, lists of numbers and of months, the progress bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Parsers = Any


def add_command(
    commands: Parsers, name: str, run: Callable[[argparse.Namespace], None], summary: str, detail: str = ""
) -> argparse.ArgumentParser:
    """Return the parser of a new command, which runs ``run``."""
    text = f"{summary[0].upper()}{summary[1:]}. {detail}".strip()
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=text)
    debug = {"action": "store_true", "default": argparse.SUPPRESS}
    parser.add_argument("--debug", help="show the traceback of an error", **debug)  # type: ignore[arg-type]
    parser.set_defaults(run=run)
    return parser


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option that all commands with a progress bar have."""
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def progress_of(options: argparse.Namespace) -> bool | None:
    """Return what the library is told of the progress bar: none where it is not wanted, else its own choice."""
    return False if options.quiet else None


def numbers(text: str) -> list[int]:
    """Return the whole numbers of a list such as ``0,3,10-12``.

    Examples
    --------
    >>> numbers("0,3,10-12")
    [0, 3, 10, 11, 12]
    """
    return [number for first, last in map(_span, text.split(",")) for number in range(first, last + 1)]


def months(text: str) -> list[int]:
    """Return the months of a list such as ``5-9``; a range may pass the end of the year.

    Examples
    --------
    >>> months("11-2,5")
    [11, 12, 1, 2, 5]
    """
    spans = [_span(part) for part in text.split(",")]
    if not all(1 <= month <= 12 for span in spans for month in span):
        raise argparse.ArgumentTypeError(f"expected months from 1 to 12, got {text!r}")
    return [(first - 1 + k) % 12 + 1 for first, last in spans for k in range((last - first) % 12 + 1)]


def _span(part: str) -> tuple[int, int]:
    """Return the ends of ``7-9`` or of ``7``."""
    first, _, last = part.strip().partition("-")
    if not first.isdigit() or not (last or first).isdigit():
        raise argparse.ArgumentTypeError(f"expected numbers and ranges such as 0,3,10-20, got {part!r}")
    return int(first), int(last or first)
