"""``xinsar demo``: a simulated scene from end to end."""

from __future__ import annotations

import argparse

from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.demo import METHOD, METHODS


def add_demo(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "demo",
        _demo,
        "simulate two tracks, find what moves, and score it against the truth",
        "Writes tracks.zarr, landslides.gpkg, landslides.png and scores.json.",
    )
    parser.add_argument("--out", default="xinsar-demo", metavar="DIR", help="folder (default ./xinsar-demo)")
    parser.add_argument("--seed", type=int, default=217, help="scene to simulate (default 217)")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHOD,
        help="the model that comes with xinsar, or plain thresholds of the stacked gradients (default %(default)s)",
    )
    add_quiet(parser)


def _demo(options: argparse.Namespace) -> None:
    from xinsar.demo import run

    run(options.out, seed=options.seed, method=options.method, progress=progress_of(options), say=print)
