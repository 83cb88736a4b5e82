"""``xinsar invert``: unwrapped pairs to a displacement series."""

from __future__ import annotations

import argparse
import re
from typing import Any

from xinsar.cli.layers import with_layers
from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.pictures import add_picture, check_picture, new_figure, save_picture, terrain_below, written
from xinsar.cli.results import sizes, writer_of
from xinsar.cli.sources import open_source

_INVERT_OPTIONS = ("weights", "reference", "dem_error")
_SURE = 0.7
"""Temporal coherence from which a place is drawn as the fastest."""


def add_invert(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "invert",
        _invert,
        "turn unwrapped pairs into a displacement series (SBAS)",
        "OUT.zarr holds the series, how sure it is, and the track's los and elevation; OUT.tif one band for each "
        "date and map.",
    )
    parser.add_argument("cube", metavar="CUBE", help="cube made by xinsar build, or product files")
    parser.add_argument("out", metavar="OUT", help="OUT.zarr or OUT.tif")
    parser.add_argument("--track", help="track of a cube that holds several")
    parser.add_argument(
        "--weights",
        choices=("coherence", "uniform"),
        default="coherence",
        help="how much a pair counts: by its coherence (default), or all the same",
    )
    parser.add_argument(
        "--reference",
        type=reference,
        default="auto",
        metavar="PLACE",
        help="what does not move, in coordinates of the cube: X,Y or X0,Y0,X1,Y1; auto: the most coherent pixel "
        "(default); none: the pairs are referred already",
    )
    parser.add_argument("--dem-error", action="store_true", help="take the error of the elevation model out")
    parser.add_argument(
        "--wavelength",
        type=float,
        metavar="M",
        help="of the radar, metres, where the product does not say it",
    )
    add_picture(parser, "the velocity of the series and its fastest place")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    add_quiet(parser)
    # By itself argparse takes a place in the west or south, such as -99.1,19.4, for an option.
    parser._negative_number_matcher = re.compile(r"^-\d|^-\.\d")


def reference(text: str) -> Any:
    """Return a reference as the library takes it.

    Examples
    --------
    >>> reference("-99.1,19.4"), reference("0,0,30,40"), reference("none")
    ((-99.1, 19.4), ((0.0, 0.0), (30.0, 40.0)), None)
    """
    if text in ("auto", "none"):
        return text if text == "auto" else None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (2, 4):
        raise argparse.ArgumentTypeError(f"expected auto, none, X,Y or X0,Y0,X1,Y1, got {text!r}")
    return numbers if len(numbers) == 2 else (numbers[:2], numbers[2:])


def _invert(options: argparse.Namespace) -> None:
    from xinsar import invert_network

    write = writer_of(options.out)
    check_picture(options.picture)
    ds = open_source(options.cube, track=options.track, product=options.product)
    _check_pairs(ds)
    ds = _with_wavelength(ds, options.wavelength)
    series = invert_network(ds, **{name: getattr(options, name) for name in _INVERT_OPTIONS})
    result = with_layers(series, ds, options.out)
    write(result, options.out, progress=progress_of(options))
    if options.picture:
        _draw(written(result, options.out), terrain_below(result, ds), options.picture)
    print(f"wrote {options.out}: {', '.join(map(str, result.data_vars))}; {sizes(series.displacement)}")


def _check_pairs(ds: Any) -> None:
    if "displacement" in ds and "unwrapped_phase" not in ds:
        raise ValueError(
            "CUBE: expected unwrapped pairs, got a displacement series, which needs no inversion; go on with xinsar "
            "velocity"
        )


def _with_wavelength(ds: Any, wavelength: float | None) -> Any:
    """Return the pairs with the wavelength they say, or that is given where they say none."""
    known = ds.attrs.get("wavelength")
    if known is None and wavelength is None and "unwrapped_phase" in ds:
        raise ValueError(
            "--wavelength: CUBE does not say that of the radar; give it in metres, such as --wavelength 0.0555"
        )
    if known is not None and wavelength is not None and abs(known - wavelength) > 0.01 * known:
        raise ValueError(
            f"--wavelength: expected what CUBE says, {known:g} m, got {wavelength:g}; leave the option out"
        )
    return ds if known is not None or wavelength is None else ds.assign_attrs(wavelength=wavelength)


def _draw(ds: Any, elevation: Any, path: str) -> None:
    """Draw the velocity of a series, and the series of the place that is fastest among those that are sure."""
    from xinsar import plot, velocity
    from xinsar.plot.fields import thin

    few = ds[["displacement", "temporal_coherence"]].map(thin, keep_attrs=True)
    rate = velocity(few[["displacement"]]).compute()
    figure = new_figure(2)
    axes = figure.subplots(1, 2)
    plot.velocity(rate, elevation=elevation, ax=axes[0])
    x, y = _fastest(rate.velocity, few.temporal_coherence.compute())
    plot.series(few, x, y, ax=axes[1])
    for color, width in (("white", 3.5), ("black", 1.5)):
        axes[0].plot(x, y, "o", ms=9, mfc="none", mec=color, mew=width)
    save_picture(figure, path)


def _fastest(rate: Any, sure: Any) -> tuple[float, float]:
    """Return x and y of the largest velocity where the pairs agree with the series, else of the largest."""
    import numpy as np

    from xinsar.plot.geometry import axis_values

    size = abs(rate.transpose("y", "x").values)
    trusted = np.where(sure.transpose("y", "x").values >= _SURE, size, np.nan)
    best = np.nan_to_num(trusted if np.isfinite(trusted).any() else size, nan=-1.0)
    row, column = np.unravel_index(best.argmax(), best.shape)
    return float(axis_values(rate, "x")[column]), float(axis_values(rate, "y")[row])
