"""``xinsar info``: say what a product or a cube is."""

from __future__ import annotations

import argparse

from xinsar.cli.options import Parsers, add_command
from xinsar.cli.sources import is_cube, is_points


def add_info(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "info", _info, "say what a product or a cube is, and which way is positive"
    )
    parser.add_argument("path", metavar="PATH", help="file, folder or glob of a product, or a cube (.zarr)")
    parser.add_argument("--product", default="auto", help="product to look for where a folder holds several")


def _info(options: argparse.Namespace) -> None:
    from xinsar.readers import describe
    from xinsar.readers.points import describe_points

    if is_cube(options.path):
        from xinsar.cube import open_tracks

        tracks = [node.to_dataset() for node in open_tracks(options.path).children.values()]
        print("\n\n".join((describe_points if "point" in ds.dims else describe)(ds) for ds in tracks))
    elif is_points(options.path, options.product):
        print(describe_points(options.path, product=options.product))
    else:
        print(describe(options.path, product=options.product))
