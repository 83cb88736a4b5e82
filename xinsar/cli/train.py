"""``xinsar train``: a network by a recipe."""

from __future__ import annotations

import argparse

from xinsar.cli.options import Parsers, add_command


def add_train(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "train",
        _train,
        "train a network by a recipe, and save it with its card",
        "CONFIG.toml tells the network, the data (simulated scenes, or cubes with outlines) and how it learns; what it "
        "leaves out has defaults. An interrupted training goes on where it was when the command is given again. Needs "
        "the extra 'train'.",
    )
    parser.add_argument(
        "config", metavar="CONFIG.toml", help="the recipe; relative paths count from its folder"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="begin anew: remove the checkpoints of an earlier training"
    )


def _train(options: argparse.Namespace) -> None:
    from xinsar.training import fit

    fit(options.config, resume=not options.fresh, say=_say)


def _say(line: str) -> None:
    """Print a line at once: a training takes its time, and may be piped into a file."""
    print(line, flush=True)
