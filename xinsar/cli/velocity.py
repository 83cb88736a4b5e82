"""``xinsar velocity``: the velocity of a displacement series."""

from __future__ import annotations

import argparse
from typing import Any

from xinsar.cli.layers import with_layers
from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.pictures import add_picture, check_picture, new_figure, save_picture, terrain_below, written
from xinsar.cli.results import ending_of, sizes, writer_of
from xinsar.cli.sources import open_source

_SEASONS = ("annual", "semiannual")


def add_velocity(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "velocity",
        _velocity,
        "fit a velocity and its error to a displacement series",
        "OUT.zarr also keeps the track's los, elevation and coherence, which xinsar decompose uses.",
    )
    parser.add_argument(
        "cube",
        metavar="CUBE",
        help="cube with displacement, as xinsar invert makes it, or a product with series",
    )
    parser.add_argument("out", metavar="OUT", help="OUT.zarr or OUT.tif (points: OUT.zarr)")
    parser.add_argument("--track", help="track of a cube that holds several")
    parser.add_argument(
        "--seasonal",
        type=seasons,
        default=(),
        metavar="LIST",
        help="fit seasons: annual, or annual,semiannual",
    )
    parser.add_argument(
        "--steps",
        type=dates,
        default=(),
        metavar="DATES",
        help="fit jumps at dates such as 2019-07-06,2021-05-15",
    )
    parser.add_argument("--monthly", action="store_true", help="one velocity a month instead")
    parser.add_argument(
        "--max-gap",
        type=float,
        metavar="DAYS",
        help="of --monthly: longest gap a month may touch (default 45)",
    )
    add_picture(parser, "the velocity over the terrain")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    add_quiet(parser)


def seasons(text: str) -> tuple[str, ...]:
    """Return the names of seasonal terms.

    Examples
    --------
    >>> seasons("annual,semiannual")
    ('annual', 'semiannual')
    """
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(_SEASONS):
        raise argparse.ArgumentTypeError(f"expected annual, semiannual or annual,semiannual, got {text!r}")
    return names


def dates(text: str) -> tuple[str, ...]:
    """Return the dates of a list; the library checks them against the series.

    Examples
    --------
    >>> dates("2019-07-06,2021-05-15")
    ('2019-07-06', '2021-05-15')
    """
    import numpy as np

    words = tuple(word.strip() for word in text.split(","))
    try:
        known = [not np.isnat(np.datetime64(word, "ns")) for word in words]
    except ValueError:
        known = [False]
    if not all(known):
        raise argparse.ArgumentTypeError(f"expected dates such as 2019-07-06,2021-05-15, got {text!r}")
    return words


def _velocity(options: argparse.Namespace) -> None:
    write = writer_of(options.out)
    check_picture(options.picture)
    _check_options(options)
    ds = open_source(options.cube, track=options.track, product=options.product)
    _check_series(ds, options)
    found = _fitted(ds, options)
    result = with_layers(found, ds, options.out)
    write(result, options.out, progress=progress_of(options))
    if options.picture:
        _draw(written(result, options.out), terrain_below(result, ds), options.picture)
    print(f"wrote {options.out}: {', '.join(map(str, result.data_vars))}; {sizes(found.velocity)}")


def _check_options(options: argparse.Namespace) -> None:
    """Refuse, before any work, options that do not go together."""
    given = [f"--{name}" for name in ("seasonal", "steps", "picture") if getattr(options, name)]
    if options.monthly and given:
        why = {"--picture": "draws one map, and there is one a month"}.get(
            given[0], "belongs to one velocity for all dates"
        )
        raise ValueError(f"{given[0]}: {why}; leave it or --monthly out")
    if options.max_gap is not None and not options.monthly:
        raise ValueError("--max-gap: expected together with --monthly; add that, or leave it out")


def _check_series(ds: Any, options: argparse.Namespace) -> None:
    """Say what comes before, where the cube holds pairs; and what can hold points."""
    if "displacement" not in ds and "unwrapped_phase" in ds:
        raise ValueError(
            "CUBE: expected a displacement series, got unwrapped pairs; invert them first: xinsar invert "
            f"{options.cube} series.zarr"
        )
    if "displacement" not in ds and "phase" in ds:
        raise ValueError(
            "CUBE: expected a displacement series, got wrapped pairs; unwrap them (xinsar.unwrap) and use xinsar "
            "invert, or use xinsar stack, which needs no unwrapping"
        )
    if "point" in ds.dims and ending_of(options.out) != "zarr":
        raise ValueError(f"OUT: expected a name that ends in .zarr for points, got {options.out!r}")


def _fitted(ds: Any, options: argparse.Namespace) -> Any:
    from xinsar import monthly_velocity, velocity

    if not options.monthly:
        return velocity(ds, seasonal=options.seasonal, steps=options.steps)
    return monthly_velocity(ds, **({} if options.max_gap is None else {"max_gap": options.max_gap}))


def _draw(ds: Any, elevation: Any, path: str) -> None:
    from xinsar import plot

    figure = new_figure()
    draw = plot.points if "point" in ds.dims else plot.velocity
    draw(ds, elevation=elevation, ax=figure.subplots())
    save_picture(figure, path)
