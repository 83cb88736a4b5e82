"""``xinsar detect``: what moves in a cube, as an inventory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from xinsar.cli.options import Parsers, add_command, add_quiet, progress_of
from xinsar.cli.pictures import add_picture, check_picture, new_figure, save_picture
from xinsar.cli.results import ending_of
from xinsar.cli.sources import is_cube, open_source

_IN_DEGREES = ("geojson", "kml")
"""Endings of files that are in WGS 84 whatever the cube is in."""


def add_detect(commands: Parsers) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "detect",
        _detect,
        "find what moves in a cube, and write its outlines as an inventory",
        "The model takes what the cube has: velocity, wrapped pairs or both, of one track or of two, with or without "
        "terrain. Where nothing is found, the inventory is empty.",
    )
    parser.add_argument("cube", metavar="CUBE", help="cube of one track or several, or a product of rasters")
    parser.add_argument(
        "out",
        metavar="OUT",
        help="OUT.gpkg, .parquet, .geojson, .kml, .shp, or .json (COCO)",
    )
    parser.add_argument("--track", help="the one track to use of a cube that holds several (default: all)")
    parser.add_argument(
        "--model",
        default="default",
        metavar="NAME|PATH",
        help="name of a model that comes with xinsar, or weights (.onnx, .safetensors) with their card beside them",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="least score, above 0 to 1 (default: the model's own)"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="windows shown to the model at once, of use on a GPU"
    )
    add_picture(parser, "the outlines over the terrain, or over the velocity where no elevation is known")
    parser.add_argument("--product", default="auto", help="product to open where a folder holds several")
    add_quiet(parser)


def _detect(options: argparse.Namespace) -> None:
    from xinsar import detect
    from xinsar.inventory import save_inventory

    _check_out(options.out)
    check_picture(options.picture)
    tracks = _tracks(options)
    _check_place(tracks, options)
    found = detect(
        _data(tracks),
        model=options.model,
        threshold=options.threshold,
        batch_size=options.batch_size,
        progress=progress_of(options),
    )
    save_inventory(found, options.out, grid=next(iter(tracks.values())))
    if options.picture:
        _draw(found, list(tracks.values()), options.picture)
    print(_said(found, options.out))


def _check_out(out: str) -> None:
    """Refuse, before any work, what cannot be written."""
    from xinsar.extras import need
    from xinsar.inventory.files import FORMATS

    if f".{ending_of(out)}" not in FORMATS or "://" in out:
        raise ValueError(f"OUT: expected a local file that ends in {', '.join(FORMATS)}, got {out!r}")
    if Path(out).exists():
        raise FileExistsError(f"OUT: {out} exists already; remove it or choose another name")
    if ending_of(out) == "parquet":
        need("pyarrow", purpose=f"writing {out}")


def _tracks(options: argparse.Namespace) -> dict[str, Any]:
    """Open the track that is asked for, or all tracks, by name."""
    if options.track is None and is_cube(options.cube):
        from xinsar import open_tracks

        nodes = open_tracks(options.cube).children.items()
        return {str(name): node.to_dataset() for name, node in nodes}
    ds = open_source(options.cube, track=options.track, product=options.product)
    return {str(options.track or ds.attrs.get("track") or "track"): ds}


def _data(tracks: dict[str, Any]) -> Any:
    """Return a dataset of one track, a tree of several."""
    import xarray as xr

    return next(iter(tracks.values())) if len(tracks) == 1 else xr.DataTree.from_dict(tracks)


def _check_place(tracks: dict[str, Any], options: argparse.Namespace) -> None:
    """Refuse, before any work, a file that needs to know where on Earth it is, and a picture of nothing."""
    from xinsar import schema
    from xinsar.grid import crs_of

    if ending_of(options.out) in _IN_DEGREES and crs_of(next(iter(tracks.values()))) is None:
        raise ValueError(
            f"OUT: {options.out} needs a coordinate reference system, which the cube has not; choose a name that ends "
            "in .gpkg, or give the cube its system with .rio.write_crs"
        )
    if not options.picture:
        return
    below = _below(tracks.values())
    if below is None:
        raise ValueError(
            "--picture: expected an elevation or a velocity to draw on, got neither in the cube; leave --picture out"
        )
    for name, layer in below.items():
        schema.check(layer, schema.VARIABLES[name])


def _below(tracks: Any) -> Any:
    """Return what outlines are drawn on: the first elevation, else the first velocity, as a dataset of that track."""
    for name in ("elevation", "velocity"):
        for ds in tracks:
            if name in ds and ds[name].dims == ("y", "x"):
                return ds[[name]]
    return None


def _draw(found: Any, tracks: list[Any], path: str) -> None:
    from xinsar import plot

    figure, below = new_figure(), _below(tracks)
    if "elevation" in below:
        plot.detections(found, below["elevation"], ax=figure.subplots())
    else:
        _outline(found, plot.velocity(below, ax=figure.subplots()), below)
    save_picture(figure, path)


def _outline(found: Any, ax: Any, below: Any) -> None:
    """Draw outlines on a map, and count them above it."""
    from xinsar.grid import crs_of

    crs = crs_of(below)
    shown = found if crs is None or found.crs is None or not len(found) else found.to_crs(crs)
    for line in shown.geometry.boundary.explode(index_parts=False):
        ax.plot(*line.xy, color="white", lw=2.8, alpha=0.7)
        ax.plot(*line.xy, color="black", lw=1.3)
    ax.set_title(f"{len(found)} detection{'s' * (len(found) != 1)}", loc="left")


def _said(found: Any, out: str) -> str:
    """Return the line that tells what was found and written."""
    model = f"{found.attrs['model']} {found.attrs['version']}, threshold {found.attrs['threshold']:g}"
    if not len(found):
        return f"wrote {out}: nothing found ({model})"
    area = found["area"].sum() / 1e6
    return f"wrote {out}: {len(found)} object{'s' * (len(found) != 1)}, {area:.3g} km2 ({model})"
