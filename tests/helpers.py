"""What every test of an operation asserts: the same numbers everywhere, and nothing computed while building."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dask
import numpy as np
import xarray as xr

Chunks = Mapping[str, Any]

CHUNKINGS: tuple[Chunks, ...] = (
    {"pair": -1, "y": -1, "x": -1},
    {"pair": 1, "y": -1, "x": -1},
    {"pair": 2, "y": 5, "x": 4},
    {"pair": -1, "y": 1, "x": 7},
    {"pair": 3, "y": 6, "x": 1},
)
"""Whole, by pairs, small blocks with pair chunks, single rows, single columns."""


class ComputedError(AssertionError):
    """Something was computed while a graph was being built."""


def _raise(*args: Any, **kwargs: Any) -> Any:
    raise ComputedError("a Dask graph was computed while the operation was built")


def built_lazily(function: Callable[[xr.Dataset], xr.Dataset], cube: xr.Dataset) -> xr.Dataset:
    """Return the result of ``function``, built under a scheduler that raises and from chunks that cannot load."""
    with dask.config.set(scheduler=_raise):
        return function(cube)


def in_chunks(cube: xr.Dataset, chunks: Chunks) -> xr.Dataset:
    """Return ``cube`` with chunks of data, its coordinates in memory (xarray would chunk the dates too)."""
    return cube.chunk({d: c for d, c in chunks.items() if d in cube.dims}).assign_coords(cube.coords)


def same_bits(found: xr.Dataset, wanted: xr.Dataset) -> None:
    """Assert the same variables, dims, dtypes, attributes, and the same bits (every NaN alike)."""
    assert list(found) == list(wanted)
    assert found.attrs == wanted.attrs
    for name in wanted:
        a, b = found[name], wanted[name]
        assert a.dims == b.dims, name
        assert a.dtype == b.dtype, name
        assert a.attrs == b.attrs, name
        np.testing.assert_array_equal(a.values, b.values, err_msg=str(name))
        np.testing.assert_array_equal(np.signbit(a.values), np.signbit(b.values), err_msg=f"sign of {name}")


def assert_same_everywhere(
    function: Callable[[xr.Dataset], xr.Dataset],
    cube: xr.Dataset,
    chunkings: Iterable[Chunks] = CHUNKINGS,
) -> xr.Dataset:
    """Assert that ``function`` gives one answer for NumPy, every chunking and CuPy; return that of NumPy.

    Chunked results must be lazy, be built without computing anything, come back in the caller's chunks, and equal the
    NumPy result to the last bit. CuPy is compared where there is a device, with the tolerance of another processor.
    """
    wanted = function(cube)
    for name in wanted:
        assert wanted[name].chunks is None, f"{name}: NumPy went in, Dask came out"
    for chunks in chunkings:
        chunked = in_chunks(cube, chunks)
        lazy = built_lazily(function, chunked)
        for name in lazy:
            assert lazy[name].chunks is not None, f"{name}: Dask went in, NumPy came out"
            for dim in set(lazy[name].dims) & {"y", "x"}:
                assert lazy[name].chunksizes[dim] == chunked.chunksizes[dim], f"{name}: chunks along {dim}"
        same_bits(lazy.compute(scheduler="synchronous"), wanted)
    assert_close_on_gpu(function, cube, wanted)
    return wanted


def assert_close_on_gpu(
    function: Callable[[xr.Dataset], xr.Dataset], cube: xr.Dataset, wanted: xr.Dataset
) -> None:
    """Compare with CuPy where there is a device: integers equal, floats within 1e-5, angles by W(difference)."""
    if not has_gpu():
        return
    import cupy

    on_gpu = cube.copy(data={n: cupy.asarray(v.values) for n, v in cube.data_vars.items()})
    found = function(on_gpu).map(lambda a: a.copy(data=cupy.asnumpy(a.data)))
    for name in wanted:
        close_to(found[name].values, wanted[name].values, angle=wanted[name].attrs.get("units") == "rad")


def close_to(found: Any, wanted: Any, *, angle: bool, tolerance: float = 1e-5) -> None:
    """Assert the tolerance between processors: relative to the value or to the field's median size."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    if wanted.dtype.kind in "iub":
        np.testing.assert_array_equal(found, wanted)
        return
    if not np.isfinite(wanted).any():
        return
    difference = found.astype(float) - wanted
    if angle:
        difference = np.angle(np.exp(1j * difference))
    size = np.maximum(np.abs(wanted), np.nanmedian(np.abs(wanted)))
    assert np.nanmax(np.abs(difference) / np.maximum(size, tolerance)) < tolerance


def has_gpu() -> bool:
    """Tell whether CuPy is installed and sees a device."""
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except Exception:
        return False


def make_cube(
    phase: Any,
    coherence: Any = None,
    *,
    days: Iterable[tuple[int, int]] | None = None,
    spacing: tuple[float, float] = (20.0, 10.0),
    name: str = "phase",
    **attrs: Any,
) -> xr.Dataset:
    """Return a canonical cube (EPSG:32633, y descending) around arrays, with dates ``days`` after 2020-01-01."""
    phase = np.asarray(phase, np.float32)
    number, height, width = phase.shape
    pairs = np.array(list(days) if days is not None else [(12 * k, 12 * k + 12) for k in range(number)])
    start = np.datetime64("2020-01-01", "ns")
    ds = xr.Dataset(
        {name: (("pair", "y", "x"), phase, {"units": "rad"})},
        {
            "x": 500_000 + spacing[1] * np.arange(width),
            "y": 5_000_000 - spacing[0] * np.arange(height),
            "reference_time": ("pair", start + pairs[:, 0].astype("timedelta64[D]")),
            "secondary_time": ("pair", start + pairs[:, 1].astype("timedelta64[D]")),
        },
        {
            "wavelength": 0.0555,
            "heading": 348.0,
            "incidence": 39.0,
            "slant_range": 850e3,
            "track": 26,
            **attrs,
        },
    )
    if coherence is not None:
        ds["coherence"] = ("pair", "y", "x"), np.asarray(coherence, np.float32), {"units": "1"}
    return with_crs(ds, "EPSG:32633")


def with_crs(ds: xr.Dataset, code: str) -> xr.Dataset:
    """Return ``ds`` with a CF grid mapping and the affine transform of its axes."""
    from pyproj import CRS

    attrs = {"crs_wkt": CRS.from_user_input(code).to_wkt()}
    if ds.sizes["x"] > 1 or ds.sizes["y"] > 1:
        dx = float(ds.x[1] - ds.x[0]) if ds.sizes["x"] > 1 else -float(ds.y[1] - ds.y[0])
        dy = float(ds.y[1] - ds.y[0]) if ds.sizes["y"] > 1 else -dx
    else:
        dx, dy = 10.0, -20.0
    left, top = float(ds.x[0]) - dx / 2, float(ds.y[0]) - dy / 2
    attrs["GeoTransform"] = f"{left} {dx} 0.0 {top} 0.0 {dy}"
    return ds.assign_coords(spatial_ref=((), 0, attrs))


def random_cube(
    shape: tuple[int, int, int] = (6, 11, 13),
    *,
    seed: int = 0,
    gaps: float = 0.1,
    coherence: bool = True,
    intervals: Iterable[int] = (12, 24, 36),
) -> xr.Dataset:
    """Return a cube of noise with missing pixels, zero coherence here and there, and a mesh of pairs."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(-np.pi, np.pi, shape)
    phase[rng.random(shape) < gaps] = np.nan
    weights = rng.uniform(0.05, 0.95, shape)
    weights[rng.random(shape) < gaps / 2] = np.nan
    weights[rng.random(shape) < gaps / 2] = 0
    return make_cube(phase, weights if coherence else None, days=mesh(shape[0], intervals))


def mesh(number: int, intervals: Iterable[int] = (12, 24, 36)) -> list[tuple[int, int]]:
    """Return ``number`` pairs of days, each from a date to later ones by ``intervals`` in turn."""
    intervals = list(intervals)
    return [
        (12 * (k // len(intervals)), 12 * (k // len(intervals)) + intervals[k % len(intervals)])
        for k in range(number)
    ]


def days_of(ds: xr.Dataset) -> list[tuple[float, float]]:
    """Return (reference, secondary) of each pair in days since 2020-01-01."""
    start, day = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "D")
    first, last = ((ds[n].values - start) / day for n in ("reference_time", "secondary_time"))
    return list(zip(first.tolist(), last.tolist(), strict=True))
