"""The command line: ``xinsar info | build | stack | hotspot | demo``.

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
    for add in (_add_info, _add_build, _add_stack, _add_hotspot, _add_demo):
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
    from .readers.points import describe_points

    if _is_cube(options.path):
        from .cube import open_tracks

        tracks = [node.to_dataset() for node in open_tracks(options.path).children.values()]
        print("\n\n".join((describe_points if "point" in ds.dims else describe)(ds) for ds in tracks))
    elif _is_points(options.path, options.product):
        print(describe_points(options.path, product=options.product))
    else:
        print(describe(options.path, product=options.product))


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


# --- hotspot

_TABLES = ("gpkg", "parquet", "csv")


def _add_hotspot(commands: Parsers) -> None:
    parser = _add(
        commands,
        "hotspot",
        _hotspot,
        "find hot and cold spots: Gi* of a map or of points, and the density of its z scores",
        "OUT.zarr and OUT.tif hold hot_spot, p_value and density of a map, or the density of points on a grid; "
        "OUT.gpkg, OUT.parquet and OUT.csv hold the points with hot_spot and p_value.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="cube (.zarr), product of rasters, or points (.csv, .gpkg, ...)"
    )
    parser.add_argument("out", metavar="OUT", help="OUT.zarr, OUT.tif, OUT.gpkg, OUT.parquet or OUT.csv")
    reach = parser.add_mutually_exclusive_group(required=True)
    reach.add_argument("--distance", type=float, metavar="M", help="radius of the neighbourhood, metres")
    reach.add_argument("--k", type=int, metavar="K", help="of points: that many nearest neighbours instead")
    parser.add_argument(
        "--radius", type=float, metavar="M", help="radius of the density (default: --distance)"
    )
    parser.add_argument("--target", metavar="RES|CUBE", help="grid of the density: metres, or that of a cube")
    parser.add_argument(
        "--variable", metavar="NAME", help="default velocity, else displacement, else the only one"
    )
    parser.add_argument(
        "--weights",
        choices=("binary", "inverse_distance"),
        default="binary",
        help="weights within the distance (inverse_distance: points only)",
    )
    parser.add_argument("--fdr", action="store_true", help="add what is significant among many")
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="false discovery rate of --fdr (default 0.05)"
    )
    parser.add_argument("--picture", metavar="FILE.png", help="draw the hot spots, or the density of points")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    parser.add_argument("--track", help="track of a cube that holds several")
    parser.add_argument(
        "--chunks", type=int, metavar="N", help="read N points at a time, where they are too many for memory"
    )
    _add_quiet(parser)


def _hotspot(options: argparse.Namespace) -> None:
    from . import getis_ord

    _check_out(options)
    ds = _only(_open_field(options), options.variable)
    names = ("distance", "k", "weights", "fdr", "alpha")
    found = getis_ord(ds, **{name: getattr(options, name) for name in names})
    _check_kind(options, points="point" in found.dims)
    result = _point_table(ds, found) if _ending(options.out) in _TABLES else _on_grid(found, options)
    if options.picture:
        _check_picture(result)
    shown = _write_hot_spots(result, options)
    if options.picture:
        _draw(shown, ds.get("elevation"), options.picture)
    first = next(iter(result.data_vars.values()))
    print(f"wrote {options.out}: {', '.join(map(str, result.data_vars))}; {_sizes(first)}")


def _ending(path: str) -> str:
    return path.rstrip("/").rpartition(".")[2].lower()


def _check_out(options: argparse.Namespace) -> None:
    """Refuse, before any work, what cannot be written."""
    ending = _ending(options.out)
    if ending not in (*_TABLES, "zarr", "tif", "tiff"):
        raise ValueError(
            f"OUT: expected a name that ends in .zarr, .tif, .gpkg, .parquet or .csv, got {options.out!r}"
        )
    if ending in _TABLES and Path(options.out).exists():
        raise FileExistsError(f"OUT: {options.out} exists already; remove it or choose another name")
    if options.picture and _ending(options.picture) not in ("png", "pdf", "svg", "jpg"):
        raise ValueError(
            f"--picture: expected a name that ends in .png, .pdf, .svg or .jpg, got {options.picture!r}"
        )
    given = [f"--{name}" for name in ("radius", "target") if getattr(options, name) is not None]
    if ending in _TABLES and given:
        raise ValueError(
            f"{given[0]}: a table of points holds no density; choose an OUT that ends in .zarr or .tif"
        )
    if ending not in _TABLES and options.distance is None and options.radius is None:
        raise ValueError("--radius: expected the radius of the density in metres together with --k, got none")


def _check_kind(options: argparse.Namespace, *, points: bool) -> None:
    if _ending(options.out) in _TABLES and not points:
        raise ValueError(f"OUT: expected a name that ends in .zarr or .tif for a map, got {options.out!r}")


def _open_field(options: argparse.Namespace) -> Any:
    """Open SOURCE, whichever kind it is."""
    from . import open_cube, open_stack

    if _is_cube(options.source):
        return open_cube(options.source, track=options.track)
    if _is_points(options.source, options.product):
        from .readers.points import open_points

        return open_points(options.source, product=options.product, chunks=options.chunks)
    return open_stack(options.source, product=options.product)


def _is_points(path: str, product: str) -> bool:
    """Tell whether files are points: tables of points, and nothing that open_stack would read."""
    from .readers import discover
    from .readers.points import parquet, registry, vector

    if product != "auto":
        return product in registry.readers()
    tables = (".csv", ".tsv", ".zip", *vector.SUFFIXES, *parquet.SUFFIXES)
    endings = {registry.suffix(file): discover.is_side_file(file) for file in discover.files(path)}
    return any(e in tables for e in endings) and all(side or e in tables for e, side in endings.items())


def _only(ds: Any, variable: str | None) -> Any:
    """Return a dataset with the variable asked for, or as it is."""
    if variable is None:
        return ds
    if variable not in ds.data_vars:
        raise KeyError(
            f"--variable: there is no {variable!r}; SOURCE holds {', '.join(map(str, ds.data_vars))}"
        )
    return ds[[variable]]


def _on_grid(found: Any, options: argparse.Namespace) -> Any:
    """Return what a raster OUT holds: the density, of a map on its own grid together with its hot spots."""
    from .operations.density import kernel_density

    radius = options.distance if options.radius is None else options.radius
    dense = kernel_density(found.hot_spot, radius, target=_target(options.target))
    if "point" in found.dims or options.target is not None:
        return dense.assign_attrs(history=f"{found.attrs['history']}\n{dense.attrs['history']}")
    return found.assign(density=dense.density)


def _target(text: str | None) -> Any:
    """Return a resolution in metres, or the cube of that name."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        from . import open_cube

        return open_cube(text)


def _point_table(ds: Any, found: Any) -> Any:
    """Return the points with all that is known of each, and what was found."""
    if found.hot_spot.dims != ("point",):
        raise ValueError(
            f"OUT: a table holds one value a point, but hot_spot has dims {found.hot_spot.dims}; choose one with "
            "--variable, or an OUT that ends in .zarr"
        )
    left = ("point", "x", "y", *found.data_vars)
    own = [str(n) for n, v in ds.variables.items() if v.dims == ("point",) and n not in left]
    whole = ds[own].reset_coords([n for n in own if n in ds.coords])
    return whole.assign(found.data_vars).assign_attrs(found.attrs)


def _write_hot_spots(result: Any, options: argparse.Namespace) -> Any:
    """Write OUT; return what a picture of it is drawn from."""
    from .progress import bar

    progress = _progress(options)
    if _ending(options.out) in _TABLES:
        with bar(progress):
            result = result.compute()
        _write_table(result, Path(options.out))
        return result
    _writer(options.out)(result, options.out, progress=progress)
    if _ending(options.out) != "zarr":
        return result
    from .cube import open_cube

    return open_cube(options.out)


def _write_table(points: Any, path: Path) -> None:
    """Write points as a table; it appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        _to_file(_frame(points), unfinished, layer=path.stem)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _frame(points: Any) -> Any:
    """Return a GeoDataFrame with a column for each variable of points; names tell the units of velocities."""
    import geopandas

    from .grid import crs_of

    columns = {str(n): v for n, v in points.variables.items() if v.dims == ("point",)}
    place = geopandas.points_from_xy(columns.pop("x").values, columns.pop("y").values, crs=crs_of(points))
    rates = {n: f"{n}_m_yr" for n, v in columns.items() if v.attrs.get("units") == "m year-1"}
    values = {
        rates.get(n, n): v.values.astype("u1") if v.dtype == bool else v.values for n, v in columns.items()
    }
    return geopandas.GeoDataFrame(values, geometry=place)


def _to_file(table: Any, path: Path, *, layer: str) -> None:
    ending = _ending(path.name)
    if ending == "gpkg":
        table.to_file(path, driver="GPKG", layer=layer)
    elif ending == "parquet":
        from .extras import need

        need("pyarrow", purpose=f"writing {layer}.parquet")
        table.to_parquet(path)
    else:
        names = ("lon", "lat") if table.crs is not None and table.crs.is_geographic else ("x", "y")
        place = {names[0]: table.geometry.x, names[1]: table.geometry.y}
        columns = [*names, *table.columns.drop("geometry")]
        table.assign(**place)[columns].to_csv(path, index=False)


def _check_picture(result: Any) -> None:
    """Refuse, before any work, to draw several maps at once."""
    drawn = result["hot_spot" if "hot_spot" in result else "density"]
    if drawn.dims not in (("y", "x"), ("point",)):
        raise ValueError(
            f"--picture: expected a single map, but {drawn.name} has dims {drawn.dims}; choose a variable without the "
            "others with --variable, or leave --picture out"
        )


def _draw(ds: Any, elevation: Any, path: str) -> None:
    """Draw hot spots, or the density where there is no more, over the terrain where it is known."""
    from matplotlib.figure import Figure

    from . import plot

    terrain = elevation if elevation is not None and elevation.dims == ("y", "x") else None
    figure = Figure(figsize=(8.0, 7.0), layout="compressed")
    draw = plot.hot_spots if "hot_spot" in ds else plot.density
    draw(ds, elevation=terrain, ax=figure.subplots())
    figure.savefig(path, dpi=150, bbox_inches="tight")


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
