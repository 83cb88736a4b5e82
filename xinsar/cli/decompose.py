"""``xinsar decompose``: looks from several orbits to the motion of the ground."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.pictures import add_picture, check_picture, new_figure, save_picture, terrain_below, written
from xinsar.cli.results import sizes, writer_of
from xinsar.cli.sources import is_cube, is_points, open_source
from xinsar.readers.layers import Layer, Product

_DECOMPOSE_OPTIONS = ("variable", "north", "weights", "resampling", "max_condition")
_ON_TERRAIN = ("aspect", "surface")


def add_decompose(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "decompose",
        _decompose,
        "turn the looks of two or more tracks into the motion of the ground: east, (north,) up",
        "Each CUBE holds a velocity or displacement of one track or several, with los or heading and incidence. "
        "OUT.zarr holds every variable; OUT.tif one band for each component.",
    )
    parser.add_argument(
        "cubes",
        metavar="CUBE",
        nargs="+",
        help="cubes or products of the tracks, or one cube of several tracks",
    )
    parser.add_argument("out", metavar="OUT", help="OUT.zarr or OUT.tif")
    parser.add_argument(
        "--tracks",
        metavar="NAMES",
        help="names of the tracks to use, such as ascending,descending (default: all)",
    )
    parser.add_argument(
        "--variable", metavar="NAME", help="default velocity, else displacement, of all tracks"
    )
    parser.add_argument(
        "--north",
        choices=("zero", "solve", *_ON_TERRAIN),
        default="zero",
        help="what is known of northward motion: none (default), solved for from three looks or more, horizontal "
        "motion along the aspect, or all motion within the surface",
    )
    parser.add_argument(
        "--weights", choices=("sigma", "coherence"), help="how much a look counts (default: the same)"
    )
    parser.add_argument(
        "--target", metavar="TRACK", help="grid of the result: number or name of a track, or another cube"
    )
    parser.add_argument(
        "--resampling", choices=("nearest", "bilinear"), help="how tracks are brought to the grid of --target"
    )
    parser.add_argument(
        "--max-condition", type=float, default=10, metavar="N", help="largest condition number (default 10)"
    )
    _add_slope(parser.add_argument_group("the ground"))
    add_picture(parser, "the components of the motion")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    add_quiet(parser)


def _add_slope(group: Any) -> None:
    group.add_argument(
        "--slope",
        action="store_true",
        help="add the motion down the slope that the looks show, slope and aspect",
    )
    group.add_argument(
        "--min-sensitivity",
        type=float,
        metavar="S",
        help="of --slope: least share of it that is seen (default .3)",
    )
    group.add_argument(
        "--elevation",
        metavar="FILE",
        help="elevation model (GeoTIFF, metres) or cube; default: the first track's own",
    )


class _Track(NamedTuple):
    """One track: the path it came from, the name it goes by, what it holds."""

    path: str
    name: str
    ds: Any


def _decompose(options: argparse.Namespace) -> None:
    from xinsar import decompose_los

    write = writer_of(options.out)
    check_picture(options.picture)
    _check_options(options)
    found = _tracks(options)
    tracks = [track.ds for track in found]
    target = _target(options.target, found)
    ground = _ground(tracks[0], options) if options.slope or options.north in _ON_TERRAIN else None
    if ground is not None:
        tracks[0] = tracks[0].assign(ground)
    given = {name: getattr(options, name) for name in _DECOMPOSE_OPTIONS}
    result = decompose_los(*tracks, target=target, **given)
    if options.slope:
        result = _with_slope(result, tracks, target, options)
    if options.picture and result.motion.ndim != 3:
        raise ValueError(
            f"--picture: expected a single map of each component, but motion has dims {result.motion.dims}; use "
            "velocities, or leave --picture out"
        )
    write(result, options.out, progress=progress_of(options))
    if options.picture:
        _draw(written(result, options.out), terrain_below(result, *tracks), options.picture)
    print(f"wrote {options.out}: {', '.join(map(str, result.data_vars))}; {sizes(result.motion)}")


def _check_options(options: argparse.Namespace) -> None:
    """Refuse, before any work, options that do not go together."""
    if options.min_sensitivity is not None and not options.slope:
        raise ValueError("--min-sensitivity: expected together with --slope; add that, or leave it out")
    if options.elevation and not options.slope and options.north not in _ON_TERRAIN:
        raise ValueError(
            "--elevation: expected together with --slope, --north aspect or --north surface, which need the ground; "
            "add one of them, or leave it out"
        )


def _tracks(options: argparse.Namespace) -> list[_Track]:
    """Open all tracks of all cubes, or those that are asked for, in the order they are asked for."""
    found = [track for path in options.cubes for track in _of_path(path, options.product)]
    if options.tracks is None:
        return found
    chosen = []
    for name in options.tracks.split(","):
        fitting = [track for track in found if track.name == name.strip()]
        if len(fitting) != 1:
            raise ValueError(
                f"--tracks: expected the names of tracks, got {name.strip()!r}; they are {_named(found)}"
            )
        chosen += fitting
    return chosen


def _of_path(path: str, product: str) -> list[_Track]:
    """Return the tracks of one cube, or the one of a product."""
    if is_cube(path):
        from xinsar import open_tracks

        nodes = open_tracks(path).children
        return [_Track(path, str(name), node.to_dataset()) for name, node in nodes.items()]
    if is_points(path, product):
        raise ValueError(
            f"CUBE: expected rasters, got points in {path}; bring all tracks to one grid with xinsar.rasterize_points"
        )
    ds = open_source(path, product=product)
    return [_Track(path, str(ds.attrs.get("track", path)), ds)]


def _named(tracks: list[_Track]) -> str:
    return ", ".join(f"{number} ({track.name})" for number, track in enumerate(tracks, start=1))


def _target(text: str | None, tracks: list[_Track]) -> Any:
    """Return the track or cube whose grid the result has."""
    from xinsar import open_cube

    if text is None:
        return None
    if text.isdigit() and 1 <= int(text) <= len(tracks):
        return tracks[int(text) - 1].ds
    fitting = [track.ds for track in tracks if text in (track.name, track.path)]
    if len(fitting) == 1:
        return fitting[0]
    try:
        return open_cube(text)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--target: expected the number or name of a track or a cube, got {text!r} ({error}); the tracks are "
            f"{_named(tracks)}"
        ) from error


def _ground(ds: Any, options: argparse.Namespace) -> Any:
    """Return what a track lacks of elevation, slope and aspect on its grid: of the file given, else of its own."""
    from xinsar import terrain

    if options.elevation:
        heights = _elevation(options.elevation, ds)
        return {"elevation": heights, **terrain(heights).data_vars}
    if {"slope", "aspect"} <= set(ds.data_vars):
        return {}
    if "elevation" not in ds:
        raise ValueError(
            "--elevation: expected an elevation model, for the first track holds neither slope and aspect nor "
            "elevation; give one with --elevation FILE"
        )
    return terrain(ds).data_vars


def _elevation(path: str, like: Any) -> Any:
    """Return the elevations of a file or cube on the grid of a track: averaged where they are finer, then bilinear."""
    from xinsar.grid import pixel_spacing
    from xinsar.operations.alignment import onto
    from xinsar.operations.interpolation import bilinear
    from xinsar.operations.targets import target_grid

    heights = _heights(path)
    grid = target_grid(like, heights, None)
    fine, wanted = pixel_spacing(heights), pixel_spacing(grid)
    blocks = {
        d: min(max(round(w.mean() / f.mean()), 1), heights.sizes[d])
        for d, f, w in zip(("y", "x"), fine, wanted, strict=True)
    }
    coarse = heights.coarsen(blocks, boundary="trim").mean()
    onto(coarse, grid.rename("the first track"))  # raises where the two do not meet
    return bilinear(coarse, grid).rename("elevation").assign_attrs(units="m")


def _heights(path: str) -> Any:
    """Return the elevations of a file or cube on their own grid."""
    from xinsar import open_cube, schema

    if is_cube(path):
        return schema.find(open_cube(path), schema.ELEVATION)
    from rasterio.errors import RasterioError

    from xinsar.readers import assemble

    try:
        layer = _layer(Path(path))
    except (OSError, RasterioError) as error:
        raise OSError(f"--elevation: expected a raster or a cube, got {path!r} ({error})") from error
    group = assemble.Group((layer,), (Product("elevation", (layer,)),))
    return assemble.cube(group, join="outer", chunks={}).elevation


def _layer(path: Path) -> Layer:
    """Return the single band of an elevation model, in metres."""
    import rasterio

    from xinsar.readers import raster

    header = raster.header(path)
    with rasterio.open(path) as file:
        unit = str(file.units[0] or "m")
    if header.count != 1 or unit.lower() not in ("m", "metre", "metres", "meter", "meters"):
        raise ValueError(
            f"--elevation: expected one band in metres, got {header.count} in {unit!r} in {path}; convert it first"
        )
    source = raster.source(path, header)
    return Layer("elevation", source, header.grid, nodata=header.nodata, blocks=header.blocks)


def _with_slope(result: Any, tracks: list[Any], target: Any, options: argparse.Namespace) -> Any:
    """Add the motion down the slope, as the looks show it, to the result.

    It comes from the looks, not from east and up: those hold a share of the motion northward, which a slope that faces
    north or south would multiply.
    """
    from xinsar import to_slope

    looks = _looks(tracks, target, options)
    chosen = {} if options.min_sensitivity is None else {"min_sensitivity": options.min_sensitivity}
    down = to_slope(*looks, **chosen)
    history = f"{result.attrs['history']}\n{down.attrs['history'].splitlines()[-1]}"
    ground = {name: looks[0][name] for name in ("slope", "aspect")}
    return result.assign(slope_motion=down.slope_motion, **ground).assign_attrs(history=history)


def _looks(tracks: list[Any], target: Any, options: argparse.Namespace) -> list[Any]:
    """Return what ``to_slope`` needs of each track, on the grid of the result."""
    from xinsar.operations.tracks import variable_of

    name = variable_of(tracks, options.variable)
    lengths = ("m", "metre", "metres", "meter", "meters")
    known = "displacement" if tracks[0][name].attrs.get("units") in lengths else "velocity"
    looks = [ds[[n for n in (name, "los", "slope", "aspect") if n in ds]] for ds in tracks]
    if target is not None:
        looks = [_brought(ds, target, options.resampling) for ds in looks]
    return [ds.rename({name: known}) if name != known else ds for ds in looks]


def _brought(ds: Any, target: Any, resampling: str | None) -> Any:
    """Return a track on the grid of the result, as ``decompose_los`` brings it there."""
    from xinsar.operations.alignment import onto
    from xinsar.operations.interpolation import bilinear
    from xinsar.operations.targets import target_grid

    grid = target_grid(target, ds, None)
    ways = {
        name: onto if resampling != "bilinear" or name in ("slope", "aspect") else bilinear for name in ds
    }
    return ds.drop_dims(("y", "x")).assign({name: way(ds[name], grid) for name, way in ways.items()})


def _draw(ds: Any, elevation: Any, path: str) -> None:
    from xinsar import plot

    number = ds.sizes["component"]
    figure = new_figure(number)
    axes = figure.subplots(1, number, sharex=True, sharey=True)
    plot.motion(ds, elevation=elevation, ax=axes)
    save_picture(figure, path)
