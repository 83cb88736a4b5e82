"""What files of points are, in words: product, track, dates, place, variables and which way is positive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from xinsar.readers.discover import SourceLike
from xinsar.readers.points.opening import open_points

_TRACK = {
    "sensor": "",
    "track": "",
    "orbit_direction": "",
    "heading": " degrees",
    "wavelength": " m",
    "reference": "",
    "period": "",
}


def describe_points(source: SourceLike | xr.Dataset, *, product: str = "auto") -> str:
    """Return what ``source`` is, as a few lines of text.

    Parameters
    ----------
    source
        What :func:`xinsar.open_points` takes, or a dataset of points that is open already.
    product
        As for :func:`xinsar.open_points`.

    Returns
    -------
    str
        Product, track, number of points and dates, place, and the variables with their signs and units. Positions are
        read, series are not.
    """
    ds = source if isinstance(source, xr.Dataset) else _opened(source, product)
    return "\n".join([*_title(ds), *_track(ds), *_series(ds), *_place(ds), *_variables(ds)])


def _opened(source: SourceLike, product: str) -> xr.Dataset:
    """Open in chunks where that is possible: packed files are read whole."""
    try:
        return open_points(source, product=product, chunks="auto")
    except ValueError as error:
        if not str(error).startswith("chunks:"):
            raise
    return open_points(source, product=product)


def _line(name: str, text: str) -> str:
    return f"{name:<14}{text}"


def _title(ds: xr.Dataset) -> Iterator[str]:
    from xinsar.readers.points.registry import readers

    name = str(ds.attrs.get("product", ""))
    reader = readers().get(name)
    yield _line("product", reader.title if reader else name or "points")


def _track(ds: xr.Dataset) -> Iterator[str]:
    for name, unit in _TRACK.items():
        value = ds.attrs.get(name)
        if value is not None:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            yield _line(name.removesuffix("_direction"), text + unit)
    if "component" in ds.coords and ds.component.ndim == 0:
        yield _line("component", str(ds.component.values))


def _series(ds: xr.Dataset) -> Iterator[str]:
    yield _line("points", f"{ds.sizes['point']}")
    if "time" in ds.dims:
        times = ds.time.values.astype("datetime64[D]")
        yield _line("series", f"{times.size} dates, {times.min()} to {times.max()}")


def _place(ds: xr.Dataset) -> Iterator[str]:
    if "spatial_ref" in ds.coords:
        from pyproj import CRS

        crs = CRS.from_wkt(ds.spatial_ref.attrs["crs_wkt"])
        yield _line("crs", f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else crs.name)
    both = xr.Dataset({name: ds[name].variable for name in ("x", "y")}).compute()
    for name, values in both.data_vars.items():
        low, high = np.nanmin(values), np.nanmax(values)
        yield _line(str(name), f"{low:.8g} to {high:.8g} {ds[name].attrs.get('units', '')}".rstrip())


def _variables(ds: xr.Dataset) -> Iterator[str]:
    yield "variables"
    for name, array in ds.data_vars.items():
        dims = ", ".join(map(str, array.dims))
        yield f"  {name!s:<24}({dims})  {array.attrs.get('units', '')}  {array.attrs.get('long_name', '')}".rstrip()
