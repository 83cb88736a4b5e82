"""``xinsar stack``: the phase gradients of a cube."""

from __future__ import annotations

import argparse
from typing import Any

from xinsar.cli.options import Parsers, add_command, add_quiet, months, numbers, progress_of
from xinsar.cli.results import sizes, writer_of

_STACK_OPTIONS = (
    "window",
    "estimator",
    "directions",
    "dem_error",
    "normalise",
    "max_temporal_baseline",
    "max_perpendicular_baseline",
    "months",
    "min_coherence",
    "pairs",
    "count",
)


def add_stack(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "stack",
        _stack,
        "stack the phase gradients of a cube",
        "OUT.zarr holds every variable; OUT.tif one band for each.",
    )
    parser.add_argument("cube", metavar="CUBE", help="cube made by xinsar build")
    parser.add_argument("out", metavar="OUT", help="OUT.zarr or OUT.tif")
    parser.add_argument("--track", help="track of a cube that holds several")
    parser.add_argument("--window", type=int, default=5, help="side of the filter, odd (default 5; 1: none)")
    parser.add_argument(
        "--estimator",
        choices=("rate", "wrapped_sum", "sum"),
        default="rate",
        help="rate: rad per metre and year (default); sums: rad per pixel",
    )
    parser.add_argument(
        "--directions",
        choices=("map", "range_azimuth"),
        default="map",
        help="axes of the gradient (default map)",
    )
    parser.add_argument(
        "--dem-error", action="store_true", help="fit the error of the elevation model as well"
    )
    parser.add_argument("--normalise", action="store_true", help="scale a sum up where pairs are missing")
    _add_selection(parser.add_argument_group("which pairs"))
    add_quiet(parser)


def _add_selection(group: Any) -> None:
    group.add_argument("--max-temporal-baseline", type=float, metavar="DAYS", help="longest interval")
    group.add_argument("--max-perpendicular-baseline", type=float, metavar="M", help="longest baseline")
    group.add_argument("--months", type=months, metavar="LIST", help="months such as 5-9 or 11-2")
    group.add_argument(
        "--min-coherence", type=float, metavar="C", help="least mean coherence of a pair, 0..1"
    )
    group.add_argument("--pairs", type=numbers, metavar="LIST", help="pair numbers such as 0,3,10-20")
    group.add_argument("--count", type=int, metavar="N", help="how many of the remaining pairs")


def _stack(options: argparse.Namespace) -> None:
    from xinsar import open_cube, phase_gradient_stack

    write = writer_of(options.out)
    ds = open_cube(options.cube, track=options.track)
    stack = phase_gradient_stack(ds, **{name: getattr(options, name) for name in _STACK_OPTIONS})
    write(stack, options.out, progress=progress_of(options))
    print(f"wrote {options.out}: {', '.join(map(str, stack.data_vars))}; {sizes(stack)}")
