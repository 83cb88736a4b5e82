"""The command line: ``xinsar COMMAND``, one file here for each command.

Each command is one call of the library with its options spelled as flags. Exit status 0 means done, 1
that it failed (one line on stderr says why; ``--debug`` or ``XINSAR_DEBUG=1`` shows the traceback), 2
that the command was misspelled.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from xinsar.cli.build import add_build
from xinsar.cli.decompose import add_decompose
from xinsar.cli.demo import add_demo
from xinsar.cli.detect import add_detect
from xinsar.cli.evaluate import add_evaluate
from xinsar.cli.hotspot import add_hotspot
from xinsar.cli.info import add_info
from xinsar.cli.invert import add_invert
from xinsar.cli.stack import add_stack
from xinsar.cli.train import add_train
from xinsar.cli.velocity import add_velocity


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv
        Words after ``xinsar``; by default those of the process.

    Returns
    -------
    int
        0 done, 1 failed. A misspelled command leaves with status 2 (SystemExit), as argparse does.

    Examples
    --------
    >>> main(["info", "no-such-folder"])
    1
    """
    options = _parser().parse_args(argv)
    debug = options.debug or os.environ.get("XINSAR_DEBUG", "") not in ("", "0")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("default", category=UserWarning)
            warnings.showwarning = _show_warning
            options.run(options)
    except KeyboardInterrupt:
        return _fail("interrupted")
    except BrokenPipeError:
        sys.stdout = None
        return 0
    except Exception as error:
        if debug:
            raise
        return _fail(_one_line(error))
    return 0


def _fail(message: str) -> int:
    print(f"xinsar: error: {message}", file=sys.stderr)
    return 1


def _one_line(error: Exception) -> str:
    """Return what an error says, on one line, or its kind where it says nothing."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"xinsar: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xinsar",
        description="Find slow landslides in stacks of satellite radar interferograms.",
        epilog="Documentation of each option: xinsar COMMAND --help",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    motion = add_invert, add_velocity, add_decompose
    found = add_hotspot, add_detect, add_evaluate, add_train
    for add in (add_info, add_build, add_stack, *motion, *found, add_demo):
        add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from xinsar import __version__

        print(f"xinsar {__version__}")
        parser.exit()
