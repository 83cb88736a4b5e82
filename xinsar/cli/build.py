"""``xinsar build``: product files into a cube."""

from __future__ import annotations

import argparse

from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.results import sizes


def add_build(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "build",
        _build,
        "turn product files into a cube",
        "A build that was killed is completed by the same command.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="+", help="files, folders or globs of one product")
    parser.add_argument("out", metavar="OUT.zarr", help="cube to write")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    parser.add_argument(
        "--join",
        choices=("outer", "inner", "exact"),
        default="outer",
        help="extent of the cube where rasters differ: their union, intersection, or an error",
    )
    parser.add_argument(
        "--dates",
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="keep pairs between two dates such as 2020-01-01 (.. leaves an end open)",
    )
    parser.add_argument("--pack", action="store_true", help="store phase and coherence as 16-bit integers")
    add_quiet(parser)


def _build(options: argparse.Namespace) -> None:
    from xinsar.cube import save_cube
    from xinsar.readers import open_stack

    source = options.source[0] if len(options.source) == 1 else options.source
    dates = tuple(None if d == ".." else d for d in options.dates) if options.dates else None
    ds = open_stack(source, product=options.product, join=options.join, dates=dates)
    save_cube(ds, options.out, pack=options.pack, progress=progress_of(options))
    print(f"wrote {options.out}: {sizes(ds)}")
