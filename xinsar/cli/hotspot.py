"""``xinsar hotspot``: hot and cold spots of a map or of points."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.results import ending_of, sizes, writer_of
from xinsar.cli.sources import open_source
from xinsar.cli.tables import TABLES, point_table, write_table


def add_hotspot(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
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
    add_quiet(parser)


def _hotspot(options: argparse.Namespace) -> None:
    from xinsar import getis_ord

    _check_out(options)
    source = open_source(options.source, track=options.track, product=options.product, chunks=options.chunks)
    ds = _only(source, options.variable)
    _check_kind(options, points="point" in ds.dims)
    target = _target(options.target)
    names = ("distance", "k", "weights", "fdr", "alpha")
    found = getis_ord(ds, **{name: getattr(options, name) for name in names})
    result = point_table(ds, found) if ending_of(options.out) in TABLES else _on_grid(found, options, target)
    if options.picture:
        _check_picture(result)
    shown = _write_hot_spots(result, options)
    if options.picture:
        _draw(shown, ds.get("elevation"), options.picture)
    first = next(iter(result.data_vars.values()))
    print(f"wrote {options.out}: {', '.join(map(str, result.data_vars))}; {sizes(first)}")


def _check_out(options: argparse.Namespace) -> None:
    """Refuse, before any work, what cannot be written."""
    ending = ending_of(options.out)
    if ending not in (*TABLES, "zarr", "tif", "tiff"):
        raise ValueError(
            f"OUT: expected a name that ends in .zarr, .tif, .gpkg, .parquet or .csv, got {options.out!r}"
        )
    if ending in TABLES and Path(options.out).exists():
        raise FileExistsError(f"OUT: {options.out} exists already; remove it or choose another name")
    if options.picture and ending_of(options.picture) not in ("png", "pdf", "svg", "jpg"):
        raise ValueError(
            f"--picture: expected a name that ends in .png, .pdf, .svg or .jpg, got {options.picture!r}"
        )
    given = [f"--{name}" for name in ("radius", "target") if getattr(options, name) is not None]
    if ending in TABLES and given:
        raise ValueError(
            f"{given[0]}: a table of points holds no density; choose an OUT that ends in .zarr or .tif"
        )
    if ending not in TABLES and options.distance is None and options.radius is None:
        raise ValueError("--radius: expected the radius of the density in metres together with --k, got none")


def _check_kind(options: argparse.Namespace, *, points: bool) -> None:
    if ending_of(options.out) in TABLES and not points:
        raise ValueError(f"OUT: expected a name that ends in .zarr or .tif for a map, got {options.out!r}")
    if points and ending_of(options.out) not in TABLES:
        _check_fdr(options, "points")


def _check_fdr(options: argparse.Namespace, what: str) -> None:
    """Refuse what would be passed over: a density alone does not say what is significant."""
    if options.fdr:
        raise ValueError(
            f"--fdr: {options.out} would hold the density of {what} alone, not what is significant; leave --fdr out, "
            "or choose an OUT that holds the hot spots themselves"
        )


def _check_picture(result: Any) -> None:
    """Refuse, before any work, to draw several maps at once."""
    drawn = result["hot_spot" if "hot_spot" in result else "density"]
    if drawn.dims not in (("y", "x"), ("point",)):
        raise ValueError(
            f"--picture: expected a single map, but {drawn.name} has dims {drawn.dims}; choose a variable without the "
            "others with --variable, or leave --picture out"
        )


def _only(ds: Any, variable: str | None) -> Any:
    """Return a dataset with the variable asked for, or as it is."""
    if variable is None:
        return ds
    if variable not in ds.data_vars:
        raise KeyError(
            f"--variable: there is no {variable!r}; SOURCE holds {', '.join(map(str, ds.data_vars))}"
        )
    return ds[[variable]]


def _on_grid(found: Any, options: argparse.Namespace, target: Any) -> Any:
    """Return what a raster OUT holds: the density, of a map on its own grid together with its hot spots."""
    from xinsar.operations.density import kernel_density
    from xinsar.operations.targets import same_place

    radius = options.distance if options.radius is None else options.radius
    dense = kernel_density(found.hot_spot, radius, target=target)
    if "point" in found.dims or not same_place(found.hot_spot, dense.density):
        _check_fdr(options, "a map on the grid of --target")
        return dense.assign_attrs(history=f"{found.attrs['history']}\n{dense.attrs['history']}")
    return found.assign(density=dense.density)


def _target(text: str | None) -> Any:
    """Return a resolution in metres, or the cube of that name."""
    from xinsar import open_cube

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return open_cube(text)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"--target: expected a resolution in metres or a cube that exists, got {text!r}"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--target: expected a resolution in metres or a cube, got {text!r} ({error})"
        ) from error


def _write_hot_spots(result: Any, options: argparse.Namespace) -> Any:
    """Write OUT; return what a picture of it is drawn from."""
    from xinsar.progress import bar

    progress = progress_of(options)
    if ending_of(options.out) in TABLES:
        with bar(progress):
            result = result.compute()
        write_table(result, Path(options.out))
        return result
    writer_of(options.out)(result, options.out, progress=progress)
    if ending_of(options.out) != "zarr":
        return result
    from xinsar.cube import open_cube

    return open_cube(options.out)


def _draw(ds: Any, elevation: Any, path: str) -> None:
    """Draw hot spots, or the density where there is no more, over the terrain where it is known."""
    from matplotlib.figure import Figure

    from xinsar import plot

    terrain = elevation if elevation is not None and elevation.dims == ("y", "x") else None
    figure = Figure(figsize=(8.0, 7.0), layout="compressed")
    draw = plot.hot_spots if "hot_spot" in ds else plot.density
    draw(ds, elevation=terrain, ax=figure.subplots())
    figure.savefig(path, dpi=150, bbox_inches="tight")
