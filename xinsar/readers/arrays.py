"""``stack_from_arrays``: a canonical cube from arrays, for products nobody reads yet."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.readers.georeference import georeferenced
from xinsar.readers.layers import Grid

Dates = Sequence[str | datetime.date | np.datetime64] | np.ndarray[Any, Any]
_FLIPPED = ("phase", "unwrapped_phase")
_EVEN = 1e-3


def stack_from_arrays(
    phase: Any,
    coherence: Any,
    reference_time: Dates,
    secondary_time: Dates,
    x: Any,
    y: Any,
    crs: Any = None,
    *,
    unwrapped_phase: Any = None,
    perpendicular_baseline: Any = None,
    los: Any = None,
    elevation: Any = None,
    units: str | None = None,
    wavelength: float | None = None,
    heading: float | None = None,
    incidence: float | None = None,
    orbit_direction: str | None = None,
    slant_range: float | None = None,
    track: str | int | None = None,
    sensor: str | None = None,
) -> xr.Dataset:
    """Return the canonical cube of pairs held as arrays (NumPy or Dask; Dask stays lazy).

    Parameters
    ----------
    phase
        Wrapped phase (pair, y, x), rad within -pi..pi, positive away from the satellite where the secondary
        date is the later one; NaN where missing. None where only ``unwrapped_phase`` is given.
    coherence
        Coherence (pair, y, x), 0..1, or None.
    reference_time, secondary_time
        Dates of each pair. A pair whose reference is the later date is flipped: dates swapped, phases and
        ``perpendicular_baseline`` negated.
    x, y
        Pixel centres of columns and rows, evenly spaced. Rows given south to north (and columns east to
        west) are turned, so that x ascends and y descends.
    crs
        Anything :meth:`pyproj.CRS.from_user_input` takes, or None.
    unwrapped_phase
        Unwrapped phase (pair, y, x), rad, same sign.
    perpendicular_baseline
        Metres per pair, positive where the secondary acquisition raises the look angle's sensitivity.
    los
        Unit vector from the ground to the satellite (3, y, x): east, north, up.
    elevation
        Terrain elevation (y, x), m.
    units
        Unit of x and y where there is no CRS: ``"m"`` or ``"degree"``. Without either, the rows stay in the
        order they come (radar geometry) and operations that need distances refuse the cube.
    wavelength, heading, incidence, orbit_direction, slant_range, track, sensor
        Attributes of the track: m, degree clockwise from north, degree, ``"ascending"`` or
        ``"descending"``, m.

    Returns
    -------
    xarray.Dataset
        ``phase``, ``unwrapped_phase``, ``coherence`` as far as given, pairs sorted by their dates, float32.

    Raises
    ------
    TypeError
        ``phase`` and ``unwrapped_phase`` are both None; complex or non-numeric arrays.
    ValueError
        Shapes or lengths that do not match, dates that are equal, missing or given twice, uneven x or y,
        values out of range (those of NumPy arrays are looked at here, those of Dask arrays where they are
        used).

    Examples
    --------
    >>> import numpy as np
    >>> ds = stack_from_arrays(
    ...     np.zeros((1, 2, 3)), None, ["2020-01-13"], ["2020-01-01"], [0, 30, 60], [0, 30], "EPSG:32633"
    ... )
    >>> print(ds.reference_time.values.astype("M8[D]")[0], ds.y.values)
    2020-01-01 [30.  0.]
    """
    cubes = {"phase": phase, "unwrapped_phase": unwrapped_phase, "coherence": coherence}
    arrays = {name: _array(name, value) for name, value in cubes.items() if value is not None}
    if not set(arrays) & set(_FLIPPED):
        raise TypeError("phase: expected an array, got None; give phase, or unwrapped_phase=")
    dates = _both_dates(reference_time, secondary_time)
    grid = _grid(_axis("x", x), _axis("y", y), crs, units)
    shape = (dates.shape[1], *grid.shape)
    _check_shapes(arrays, shape)
    variables: dict[str, xr.DataArray] = {
        name: _labelled(name, value, ("pair", "y", "x")) for name, value in arrays.items()
    }
    if los is not None:
        variables["los"] = _labelled("los", _shaped("los", los, (3, *shape[1:])), ("component", "y", "x"))
    if elevation is not None:
        variables["elevation"] = _labelled(
            "elevation", _shaped("elevation", elevation, shape[1:]), ("y", "x")
        )
    coords = _coords(dates, perpendicular_baseline, x, y)
    if los is not None:
        coords["component"] = xr.Variable("component", list(schema.COMPONENTS))
    ds = _ordered(xr.Dataset(variables, coords), grid)
    schema.check_pairs(ds)
    ds.attrs = _attrs(
        wavelength=wavelength,
        orbit_direction=orbit_direction,
        heading=heading,
        incidence=incidence,
        slant_range=slant_range,
        track=track,
        sensor=sensor,
    )
    return ds


def _array(name: str, value: Any) -> Any:
    """Return ``value`` as a real array with a shape, Dask kept; values of NumPy arrays are checked."""
    array = value.data if isinstance(value, xr.DataArray) else value
    if not hasattr(array, "__array_function__"):
        array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        remedy = "; take its angle with numpy.angle" if array.dtype.kind == "c" else ""
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}{remedy}")
    limits = schema.VARIABLES[name].limits
    if limits is not None and isinstance(array, np.ndarray) and array.size:
        _check_limits(name, array, limits)
    return array.astype(np.float32)


def _check_limits(name: str, array: np.ndarray[Any, Any], limits: tuple[float, float]) -> None:
    low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    if low < limits[0] - 1e-3 or high > limits[1] + 1e-3:
        remedy = "give unwrapped phase as unwrapped_phase=" if name == "phase" else "scale it first"
        raise schema.SchemaError(
            f"{name}: expected values in {limits[0]:.4g}..{limits[1]:.4g}, got {low:.4g} to {high:.4g}; "
            f"{remedy}"
        )


def _shaped(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    array = _array(name, value)
    if tuple(array.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape} (as the phase's y and x), got {tuple(array.shape)}")
    return array


def _check_shapes(arrays: Mapping[str, Any], shape: tuple[int, int, int]) -> None:
    for name, array in arrays.items():
        if tuple(array.shape) != shape:
            raise ValueError(
                f"{name}: expected shape {shape} (pairs of reference_time, rows of y, columns of x), got "
                f"{tuple(array.shape)}"
            )


def _both_dates(reference: Dates, secondary: Dates) -> np.ndarray[Any, Any]:
    """Return (2, pairs): both dates of each pair."""
    first, second = _dates("reference_time", reference), _dates("secondary_time", secondary)
    if first.size != second.size:
        raise ValueError(
            f"secondary_time: expected {first.size} dates as in reference_time, got {second.size}"
        )
    return np.stack([first, second])


def _dates(name: str, values: Dates) -> np.ndarray[Any, Any]:
    try:
        dates = np.asarray(values).astype("datetime64[ns]")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: expected dates such as '2020-01-13', got {values!r}") from error
    if dates.ndim != 1 or not dates.size or np.isnat(dates).any():
        raise ValueError(f"{name}: expected one date per pair without gaps, got {values!r}")
    return dates


def _axis(name: str, values: Any) -> np.ndarray[Any, Any]:
    """Return evenly spaced pixel centres; ValueError otherwise."""
    axis = np.asarray(values, dtype=np.float64)
    steps = np.diff(axis)
    if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all():
        raise ValueError(
            f"{name}: expected the pixel centres of one axis, got an array of shape {axis.shape}"
        )
    if steps.size and (steps[0] == 0 or np.abs(steps - steps.mean()).max() > _EVEN * abs(steps.mean())):
        raise ValueError(
            f"{name}: expected even steps, got {steps.min():.6g} to {steps.max():.6g}; resample first"
        )
    return axis


def _grid(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], crs: Any, units: str | None) -> Grid:
    """Return the grid, a map north up; a single column or row is as wide as the other axis' step."""
    units = {"metre": "m", "metres": "m", "degrees": "degree"}.get(str(units), units)
    if units not in (None, "m", "degree"):
        raise ValueError(f"units: expected 'm', 'degree' or None, got {units!r}")
    is_map = crs is not None or units is not None
    dx, dy = _step(x), _step(y)
    dx, dy = dx or abs(dy or 1.0), dy or (-abs(dx or 1.0) if is_map else abs(dx or 1.0))
    dx, dy = (abs(dx), -abs(dy)) if is_map else (dx, dy)
    left, top = (x.min(), y.max()) if is_map else (x[0], y[0])
    text = None if crs is None else _crs_text(crs)
    return Grid(left - dx / 2, top - dy / 2, dx, dy, x.size, y.size, text, None if text else units)


def _step(axis: np.ndarray[Any, Any]) -> float | None:
    return float(np.diff(axis).mean()) if axis.size > 1 else None


def _crs_text(crs: Any) -> str:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return str(CRS.from_user_input(crs).to_wkt())
    except CRSError as error:
        raise ValueError(f"crs: expected an EPSG code, WKT or pyproj CRS, got {crs!r} ({error})") from error


def _labelled(name: str, array: Any, dims: tuple[str, ...]) -> xr.DataArray:
    return schema.label(schema.VARIABLES[name], xr.DataArray(array, dims=dims))


def _coords(dates: np.ndarray[Any, Any], baseline: Any, x: Any, y: Any) -> dict[str, xr.Variable]:
    coords = {
        "x": xr.Variable("x", _axis("x", x)),
        "y": xr.Variable("y", _axis("y", y)),
        "reference_time": xr.Variable("pair", dates[0]),
        "secondary_time": xr.Variable("pair", dates[1]),
    }
    if baseline is not None:
        values = np.asarray(baseline, dtype=np.float64)
        if values.shape != (dates.shape[1],):
            raise ValueError(
                f"perpendicular_baseline: expected {dates.shape[1]} values, one per pair, got {values.shape}"
            )
        array = xr.DataArray(values, dims="pair")
        coords["perpendicular_baseline"] = schema.label(schema.PERPENDICULAR_BASELINE, array).variable
    return coords


def _ordered(ds: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Flip reversed pairs, sort by dates, turn the map north up and write its georeference."""
    from xinsar.readers import georeference, lattice

    ds = _flipped(ds)
    ds = ds.isel(pair=np.lexsort((ds.secondary_time.values, ds.reference_time.values)))
    if lattice.is_map(grid):
        ds = ds.isel(
            y=slice(None, None, 1 if ds.y[0] >= ds.y[-1] else -1),
            x=slice(None, None, 1 if ds.x[0] <= ds.x[-1] else -1),
        )
    return georeferenced(ds.assign_coords(georeference.axes(grid)), grid)


def _flipped(ds: xr.Dataset) -> xr.Dataset:
    """Return ``ds`` with the earlier date of each pair first."""
    late = ds.reference_time.values > ds.secondary_time.values
    if not late.any():
        return ds
    sign = xr.DataArray(np.where(late, -1.0, 1.0).astype(np.float32), dims="pair")
    changed: dict[str, Any] = {
        name: (ds[name] * sign).assign_attrs(ds[name].attrs) for name in _FLIPPED if name in ds
    }
    if "perpendicular_baseline" in ds.coords:
        baseline = ds.perpendicular_baseline
        changed["perpendicular_baseline"] = (baseline * sign).assign_attrs(baseline.attrs).astype(np.float64)
    first = np.minimum(ds.reference_time.values, ds.secondary_time.values)
    second = np.maximum(ds.reference_time.values, ds.secondary_time.values)
    changed |= {"reference_time": ("pair", first), "secondary_time": ("pair", second)}
    return ds.assign({k: v for k, v in changed.items() if k in ds.data_vars}).assign_coords(
        {k: v for k, v in changed.items() if k not in ds.data_vars}
    )


def _attrs(**given: Any) -> dict[str, Any]:
    direction = given["orbit_direction"]
    if direction not in (None, "ascending", "descending"):
        raise ValueError(f"orbit_direction: expected 'ascending' or 'descending', got {direction!r}")
    if given["wavelength"] is not None and not 0.001 < given["wavelength"] < 10:
        raise ValueError(f"wavelength: expected metres (0.0555 for C band), got {given['wavelength']!r}")
    known = {name: value for name, value in given.items() if value is not None}
    return {**known, "product": "arrays", "history": "made by stack_from_arrays"}
