"""The command line: ``xinsar info | build | stack | demo``.

Each command is one call of the library with its options spelled as flags. Exit status 0 means done, 1
that it failed (one line on stderr says why; ``--debug`` or ``XINSAR_DEBUG=1`` shows the traceback), 2
that the command was misspelled.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Parsers = Any


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
    for add in (_add_info, _add_build, _add_stack, _add_demo):
        add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from . import __version__

        print(f"xinsar {__version__}")
        parser.exit()


def _add(
    commands: Parsers, name: str, run: Callable[[argparse.Namespace], None], summary: str, detail: str = ""
) -> argparse.ArgumentParser:
    text = f"{summary[0].upper()}{summary[1:]}. {detail}".strip()
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=text)
    debug = {"action": "store_true", "default": argparse.SUPPRESS}
    parser.add_argument("--debug", help="show the traceback of an error", **debug)  # type: ignore[arg-type]
    parser.set_defaults(run=run)
    return parser


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def _progress(options: argparse.Namespace) -> bool | None:
    return False if options.quiet else None


# --- info


def _add_info(commands: Parsers) -> None:
    parser = _add(commands, "info", _info, "say what a product or a cube is, and which way is positive")
    parser.add_argument("path", metavar="PATH", help="file, folder or glob of a product, or a cube (.zarr)")
    parser.add_argument("--product", default="auto", help="product to look for where a folder holds several")


def _info(options: argparse.Namespace) -> None:
    from .readers import describe

    if not _is_cube(options.path):
        print(describe(options.path, product=options.product))
        return
    from .cube import open_tracks

    tracks = open_tracks(options.path).children
    print("\n\n".join(describe(node.to_dataset()) for node in tracks.values()))


def _is_cube(path: str) -> bool:
    """Tell whether ``path`` is an address or folder of a Zarr store."""
    return "://" in path or path.rstrip("/").endswith(".zarr") or (Path(path) / "zarr.json").is_file()


# --- build


def _add_build(commands: Parsers) -> None:
    parser = _add(
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
    _add_quiet(parser)


def _build(options: argparse.Namespace) -> None:
    from .cube import save_cube
    from .readers import open_stack

    source = options.source[0] if len(options.source) == 1 else options.source
    dates = tuple(None if d == ".." else d for d in options.dates) if options.dates else None
    ds = open_stack(source, product=options.product, join=options.join, dates=dates)
    save_cube(ds, options.out, pack=options.pack, progress=_progress(options))
    print(f"wrote {options.out}: {_sizes(ds)}")


def _sizes(ds: Any) -> str:
    return ", ".join(f"{dim} {size}" for dim, size in ds.sizes.items())


# --- stack


def _add_stack(commands: Parsers) -> None:
    parser = _add(
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
    _add_quiet(parser)


def _add_selection(group: Any) -> None:
    group.add_argument("--max-temporal-baseline", type=float, metavar="DAYS", help="longest interval")
    group.add_argument("--max-perpendicular-baseline", type=float, metavar="M", help="longest baseline")
    group.add_argument("--months", type=_months, metavar="LIST", help="months such as 5-9 or 11-2")
    group.add_argument(
        "--min-coherence", type=float, metavar="C", help="least mean coherence of a pair, 0..1"
    )
    group.add_argument("--pairs", type=_numbers, metavar="LIST", help="pair numbers such as 0,3,10-20")
    group.add_argument("--count", type=int, metavar="N", help="how many of the remaining pairs")


def _numbers(text: str) -> list[int]:
    """Return the whole numbers of a list such as ``0,3,10-12``.

    Examples
    --------
    >>> _numbers("0,3,10-12")
    [0, 3, 10, 11, 12]
    """
    return [number for first, last in map(_span, text.split(",")) for number in range(first, last + 1)]


def _months(text: str) -> list[int]:
    """Return the months of a list such as ``5-9``; a range may pass the end of the year.

    Examples
    --------
    >>> _months("11-2,5")
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


def _stack(options: argparse.Namespace) -> None:
    from . import open_cube, phase_gradient_stack

    write = _writer(options.out)
    ds = open_cube(options.cube, track=options.track)
    stack = phase_gradient_stack(ds, **{name: getattr(options, name) for name in _STACK_OPTIONS})
    write(stack, options.out, progress=_progress(options))
    print(f"wrote {options.out}: {', '.join(map(str, stack.data_vars))}; {_sizes(stack)}")


def _writer(out: str) -> Callable[..., object]:
    """Return what writes a dataset to ``out``, by its ending."""
    ending = out.rstrip("/").rpartition(".")[2].lower()
    if ending == "zarr":
        return _write_zarr
    if ending in ("tif", "tiff"):
        return _write_tif
    raise ValueError(f"OUT: expected a name that ends in .zarr or .tif, got {out!r}")


def _write_zarr(ds: Any, out: str, *, progress: bool | None) -> None:
    from .cube import save_cube

    save_cube(ds, out, progress=progress)


def _write_tif(ds: Any, out: str, *, progress: bool | None) -> None:
    from .export import to_geotiff

    to_geotiff(ds, out, progress=progress)


# --- demo


def _add_demo(commands: Parsers) -> None:
    parser = _add(
        commands,
        "demo",
        _demo,
        "simulate two tracks, find what moves, and score it against the truth",
        "Writes tracks.zarr, landslides.gpkg, landslides.png and scores.json.",
    )
    parser.add_argument("--out", default="xinsar-demo", metavar="DIR", help="folder (default ./xinsar-demo)")
    parser.add_argument("--seed", type=int, default=217, help="scene to simulate (default 217)")
    _add_quiet(parser)


def _demo(options: argparse.Namespace) -> None:
    from .demo import run

    run(options.out, seed=options.seed, progress=_progress(options), say=print)
