"""Pictures that commands draw of what they wrote."""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xinsar.cli.results import ending_of

_ENDINGS = ("png", "pdf", "svg", "jpg")


def add_picture(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option that draws a picture."""
    parser.add_argument("--picture", metavar="FILE.png", help=f"draw {what}")


def check_picture(path: str | None) -> None:
    """Refuse, before any work, a picture that cannot be written."""
    if path and ending_of(path) not in _ENDINGS:
        raise ValueError(f"--picture: expected a name that ends in .png, .pdf, .svg or .jpg, got {path!r}")


def new_figure(columns: float = 1.0) -> Any:
    """Return a figure for so many maps side by side."""
    from matplotlib.figure import Figure

    return Figure(figsize=(5.2 * columns + 2.2, 6.2), layout="compressed")


def save_picture(figure: Any, path: str) -> None:
    """Write a picture; it appears when it is whole."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending_of(path), dpi=150, bbox_inches="tight")
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(buffer.getvalue())


def terrain_below(result: Any, *sources: Any) -> Any:
    """Return the first elevation (y, x) of the sources in the CRS of the result, None where there is none."""
    from xinsar.grid import crs_of

    found = [ds["elevation"] for ds in sources if "elevation" in ds and ds["elevation"].dims == ("y", "x")]
    return next((elevation for elevation in found if crs_of(elevation) == crs_of(result)), None)


def written(result: Any, out: str) -> Any:
    """Return what was written as it is read again, so that a picture computes nothing twice."""
    if ending_of(out) == "zarr":
        from xinsar.cube import open_cube

        return open_cube(out)
    return _from_bands(result, out)


def _from_bands(result: Any, out: str) -> Any:
    """Return the variables of ``result`` with the values of the bands of a GeoTIFF, whose north is up."""
    import xarray as xr

    found, first = {}, 1
    for name, v in result.data_vars.items():
        if v.dims[-2:] == ("y", "x"):
            depth = math.prod(v.shape[:-2])
            found[name] = (v.dims, _bands(out, range(first, first + depth)).reshape(v.shape), v.attrs)
            first += depth
    coords = dict(result.coords)
    for d, descends in (("x", False), ("y", True)):
        if d in coords:
            coords[d] = (d, sorted(coords[d].values.tolist(), reverse=descends), coords[d].attrs)
    return xr.Dataset(found, coords, result.attrs)


def _bands(out: str, numbers: Iterable[int]) -> Any:
    """Return some bands of a GeoTIFF, lazily."""
    from xinsar.readers import assemble, lattice, raster
    from xinsar.readers.layers import Layer
    from xinsar.readers.window import view

    path = Path(out)
    header = raster.header(path)
    layers = [Layer("band", raster.source(path, header, number), header.grid) for number in numbers]
    views = [(view(layer, lattice.north_up(header.grid)),) for layer in layers]
    return assemble.lazy("bands", views, header.grid.shape, (assemble.TILE, assemble.TILE))
