"""What a product or cube is, in words: pairs, dates, grid, and which way is positive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from xinsar.readers.discover import SourceLike
from xinsar.readers.opening import open_stack
from xinsar.readers.registry import readers

_SIGNS = {
    "phase": "positive = away from the satellite (range increase)",
    "unwrapped_phase": "positive = away from the satellite (range increase)",
    "displacement": "positive = toward the satellite",
    "velocity": "positive = toward the satellite",
    "los": "unit vector from the ground to the satellite (east, north, up)",
}
_TRACK = {
    "sensor": "",
    "track": "",
    "orbit_direction": "",
    "heading": " degrees",
    "incidence": " degrees",
    "wavelength": " m",
}


def describe(source: SourceLike | xr.Dataset, *, product: str = "auto") -> str:
    """Return what ``source`` is, as a few lines of text; reads headers only.

    Parameters
    ----------
    source
        What :func:`xinsar.open_stack` takes, or a cube that is open already.
    product
        As for :func:`xinsar.open_stack`.

    Returns
    -------
    str
        Product, track, variables with their signs and units, pairs, dates and grid.
    """
    ds = source if isinstance(source, xr.Dataset) else open_stack(source, product=product)
    return "\n".join([_title(ds), *_track(ds), *_times(ds), *_place(ds), *_variables(ds)])


def _line(name: str, text: str) -> str:
    return f"{name:<14}{text}"


def _title(ds: xr.Dataset) -> str:
    name = str(ds.attrs.get("product", ""))
    reader = readers().get(name)
    return _line("product", reader.title or name if reader else name or "cube")


def _track(ds: xr.Dataset) -> Iterator[str]:
    for name, unit in _TRACK.items():
        value = ds.attrs.get(name)
        if value is not None:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            yield _line(name.removesuffix("_direction"), text + unit)


def _times(ds: xr.Dataset) -> Iterator[str]:
    if "reference_time" in ds.coords:
        ends = ds.reference_time.values, ds.secondary_time.values
        days = (ends[1] - ends[0]) / np.timedelta64(1, "D")
        dates = np.unique(np.concatenate(ends)).astype("datetime64[D]")
        yield _line("pairs", f"{ds.sizes['pair']}, {days.min():.0f} to {days.max():.0f} days apart")
        yield _line("dates", f"{dates.size}, {dates[0]} to {dates[-1]}")
    if "time" in ds.dims:
        times = ds.time.values.astype("datetime64[D]")
        yield _line("series", f"{times.size} dates, {times.min()} to {times.max()}")
    if "perpendicular_baseline" in ds.coords:
        baseline = ds.perpendicular_baseline.values
        if np.isfinite(baseline).any():
            yield _line(
                "baselines", f"{np.nanmin(baseline):.0f} to {np.nanmax(baseline):.0f} m perpendicular"
            )


def _place(ds: xr.Dataset) -> Iterator[str]:
    steps = [abs(float(ds[a][1] - ds[a][0])) if ds.sizes[a] > 1 else np.nan for a in ("y", "x")]
    unit = ds.x.attrs.get("units", "")
    size = f"{ds.sizes['y']} rows x {ds.sizes['x']} columns"
    yield _line("grid", f"{size}, {steps[0]:.6g} x {steps[1]:.6g} {unit}")
    if "spatial_ref" in ds.coords:
        import rioxarray  # noqa: F401

        crs = ds.rio.crs
        yield _line("crs", f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else crs.to_wkt())
    for axis in ("x", "y"):
        yield _line(axis, f"{float(ds[axis].min()):.6g} to {float(ds[axis].max()):.6g}")


def _variables(ds: xr.Dataset) -> Iterator[str]:
    yield "variables"
    for name, array in ds.data_vars.items():
        sign = _SIGNS.get(str(name), array.attrs.get("long_name", ""))
        yield f"  {name!s:<24}({', '.join(map(str, array.dims))})  {array.attrs.get('units', '')}  {sign}"
