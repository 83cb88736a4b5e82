"""What a cube holds: every variable's name, dims, unit and range, written once.

Checks, output attributes and the table in the docs are all made from :data:`VARIABLES`. This module imports
nothing of ours and computes nothing: values are checked later, inside the tasks that touch them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

YEAR_IN_DAYS = 365.25
"""Length of the year in every rate, days."""

COMPONENTS = ("east", "north", "up")
"""Values of the ``component`` coordinate of vectors."""


class SchemaError(ValueError):
    """A dataset does not have the form the operation needs; the message says what came and the remedy."""


@dataclass(frozen=True)
class Variable:
    """One row of the cube table.

    Parameters
    ----------
    name, long_name, units
        As written to the attributes; ``units`` in CF spelling, ``"1"`` for pure numbers.
    dims
        Trailing dims; leading ones pass through every operation. A dim in ``optional`` may be absent.
    kind
        Kind of number: ``"f"`` floating, ``"i"`` integer, ``"b"`` boolean.
    limits
        Closed range of legal values, or None. Checked where values are read.
    attrs
        Further attributes that always accompany the variable.
    """

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    kind: str = "f"
    optional: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


_MAP = ("y", "x")
_PAIR = ("pair", "y", "x")
_VECTOR = ("component", "y", "x")
_EDGE = {"offset": 0.5}


def _row(*args: Any, **kwargs: Any) -> Variable:
    variable = Variable(*args, **kwargs)
    VARIABLES[variable.name] = variable
    return variable


VARIABLES: dict[str, Variable] = {}
"""Every variable a cube may hold, by name."""

PHASE = _row("phase", _PAIR, "rad", "wrapped phase, positive away from the satellite", limits=(-np.pi, np.pi))
UNWRAPPED_PHASE = _row("unwrapped_phase", _PAIR, "rad", "unwrapped phase, positive away from the satellite")
COHERENCE = _row("coherence", _PAIR, "1", "interferometric coherence", limits=(0.0, 1.0))
PHASE_CONSISTENCY = _row(
    "phase_consistency",
    _PAIR,
    "1",
    "length of the coherence-weighted mean phasor",
    limits=(0.0, 1.0),
)
DISPLACEMENT = _row(
    "displacement",
    ("time", "y", "x"),
    "m",
    "line-of-sight displacement, positive toward the satellite",
    optional=("time",),
)
VELOCITY = _row("velocity", _MAP, "m year-1", "line-of-sight velocity, positive toward the satellite")
VELOCITY_SIGMA = _row("velocity_sigma", _MAP, "m year-1", "standard error of the velocity")
LOS = _row("los", _VECTOR, "1", "unit vector from the ground to the satellite", limits=(-1.0, 1.0))
GRADIENT_Y = _row(
    "gradient_y",
    _PAIR,
    "rad",
    "phase gradient along increasing y index",
    optional=("pair",),
    attrs=_EDGE,
)
GRADIENT_X = _row(
    "gradient_x",
    _PAIR,
    "rad",
    "phase gradient along increasing x index",
    optional=("pair",),
    attrs=_EDGE,
)
UNWRAPPED_GRADIENT_Y = _row(
    "unwrapped_gradient_y",
    _PAIR,
    "rad",
    "unwrapped phase gradient along increasing y index",
    optional=("pair",),
    attrs=_EDGE,
)
UNWRAPPED_GRADIENT_X = _row(
    "unwrapped_gradient_x",
    _PAIR,
    "rad",
    "unwrapped phase gradient along increasing x index",
    optional=("pair",),
    attrs=_EDGE,
)
GRADIENT_COHERENCE_Y = _row(
    "gradient_coherence_y",
    _MAP,
    "1",
    "agreement of the pairs with the rate of gradient_y",
    attrs=_EDGE,
)
GRADIENT_COHERENCE_X = _row(
    "gradient_coherence_x",
    _MAP,
    "1",
    "agreement of the pairs with the rate of gradient_x",
    attrs=_EDGE,
)
GRADIENT_Z_Y = _row("gradient_z_y", _MAP, "1", "gradient_y over its standard error", attrs=_EDGE)
GRADIENT_Z_X = _row("gradient_z_x", _MAP, "1", "gradient_x over its standard error", attrs=_EDGE)
PAIR_COUNT = _row("pair_count", _MAP, "1", "number of pairs used", kind="i")
STACK_YEARS = _row("stack_years", _MAP, "year", "sum of the temporal baselines used")
HOT_SPOT = _row("hot_spot", _MAP, "1", "z score of Getis-Ord Gi*, positive where high values cluster")
P_VALUE = _row("p_value", _MAP, "1", "two-sided probability of the z score by chance", limits=(0.0, 1.0))
SIGNIFICANT = _row(
    "significant", _MAP, "1", "significant at a false discovery rate (Benjamini-Hochberg)", kind="b"
)
CONFIDENCE = _row(
    "confidence",
    _MAP,
    "1",
    "hot (positive) or cold (negative) spot at 90 (1), 95 (2) or 99 % (3) confidence; 0: neither",
    limits=(-3.0, 3.0),
)
_SPOTS = (
    "new",
    "consecutive",
    "intensifying",
    "persistent",
    "diminishing",
    "sporadic",
    "oscillating",
    "historical",
)
CATEGORY = _row(
    "category",
    _MAP,
    "1",
    "space-time category of a hot (positive) or cold (negative) spot",
    kind="i",
    attrs={
        "flag_values": list(range(-8, 9)),
        "flag_meanings": " ".join(
            [
                *(f"{word}_cold_spot" for word in _SPOTS[::-1]),
                "no_pattern",
                *(f"{word}_hot_spot" for word in _SPOTS),
            ]
        ),
        "valid_range": [-8, 8],
        "nodata": -128,
    },
)
TREND_Z = _row(
    "trend_z", _MAP, "1", "z score of the Mann-Kendall trend of hot_spot in time, positive where it grows"
)
DENSITY = _row("density", _MAP, "m-2", "kernel density, per square metre times the unit of the weights")
POINT_COUNT = _row("point_count", _MAP, "1", "number of points in the pixel", kind="i")
TEMPORAL_COHERENCE = _row("temporal_coherence", _MAP, "1", "temporal coherence", limits=(0.0, 1.0))
RESIDUAL_RMS = _row("residual_rms", _MAP, "rad", "root mean square of what the inversion leaves of the pairs")
NETWORK_PARTS = _row(
    "network_parts",
    _MAP,
    "1",
    "parts that the pairs of a pixel connect its dates to, 0 without pairs",
    kind="i",
)
DEM_ERROR = _row("dem_error", _MAP, "m", "true elevation minus that of the terrain model")
CLOSURE = _row(
    "closure", ("triplet", "y", "x"), "rad", "closure phase of three dates, 0 where their pairs agree"
)
CLOSURE_RMS = _row("closure_rms", _MAP, "rad", "root mean square of the closures of a pixel")
TRIPLET_COUNT = _row("triplet_count", _MAP, "1", "number of triplets that are valid", kind="i")
CLOSURE_ERRORS = _row("closure_errors", _MAP, "1", "number of triplets that do not close", kind="i")
UNCHECKED_PAIRS = _row("unchecked_pairs", _MAP, "1", "valid pairs that no valid triplet checks", kind="i")
CLOSURE_ERROR_SHARE = _row(
    "closure_error_share",
    ("pair",),
    "1",
    "share of the closures of a pair, over all pixels, that do not close",
    limits=(0.0, 1.0),
)
CONSISTENT = _row("consistent", _MAP, "1", "pairs agree around their triplets", kind="b")
ATMOSPHERE = _row(
    "atmosphere",
    ("time", "y", "x"),
    "m",
    "apparent displacement by atmospheric delay, positive toward the satellite",
)
STABILITY_THRESHOLD = _row(
    "stability_threshold", (), "m year-1", "velocity above which ground counts as moving"
)
MOVING = _row("moving", _MAP, "1", "faster than the stability threshold", kind="b")
MEAN_COHERENCE = _row("mean_coherence", _MAP, "1", "coherence averaged over the pairs", limits=(0.0, 1.0))
SCORE = _row("score", ("class", "y", "x"), "1", "score of a model", limits=(0.0, 1.0))
LATITUDE = _row("latitude", _MAP, "degrees_north", "latitude of the pixel centre")
LONGITUDE = _row("longitude", _MAP, "degrees_east", "longitude of the pixel centre")
ELEVATION = _row("elevation", _MAP, "m", "terrain elevation")
SLOPE = _row("slope", _MAP, "degree", "terrain slope")
ASPECT = _row("aspect", _MAP, "degree", "azimuth of steepest descent, clockwise from north")
SENSITIVITY = _row("sensitivity", _MAP, "1", "share of downslope motion seen along the line of sight")
SLOPE_MOTION = _row("slope_motion", _MAP, "m or m year-1", "motion down the slope, positive downhill")
MOTION = _row("motion", _VECTOR, "m or m year-1", "motion of the ground, positive east, north, up")
MOTION_SIGMA = _row("motion_sigma", _VECTOR, "m or m year-1", "standard error of the motion")
CONDITION_NUMBER = _row("condition_number", _MAP, "1", "condition number of the looks that were used")
RESIDUAL = _row("residual", _MAP, "m or m year-1", "root mean square of what the motion leaves of the looks")
BANDWIDTH = _row("bandwidth", (), "1", "control points that count at a place", kind="i")
CONTROL_POINTS = _row("control_points", (), "1", "control points of a regression", kind="i")
ZENITH_DELAY = _row("zenith_delay", ("time", "y", "x"), "m", "delay of the troposphere straight up")
SLANT_DELAY = _row(
    "slant_delay", ("time", "y", "x"), "m or rad", "delay of the troposphere along the line of sight"
)
SNOW = _row("snow", _MAP, "1", "snow", kind="b")
NDSI = _row("ndsi", _MAP, "1", "normalised difference snow index")
WATER = _row("water", _MAP, "1", "water", kind="b")
LAYOVER = _row("layover", _MAP, "1", "layover", kind="b")
SHADOW = _row("shadow", _MAP, "1", "radar shadow", kind="b")
FORESHORTENING = _row(
    "foreshortening", _MAP, "1", "length in slant range over that of flat ground: below 1 where compressed"
)
PERPENDICULAR_BASELINE = _row(
    "perpendicular_baseline",
    ("pair",),
    "m",
    "perpendicular baseline, positive where it raises the look angle's sensitivity",
)

_METRES = {"m", "metre", "metres", "meter", "meters"}
_METRES_A_YEAR = {"m year-1", "m/year", "m/yr", "m yr-1", "m a-1"}
_SYNONYMS = {
    "rad": {"rad", "radian", "radians"},
    "1": {"1", "", "dimensionless", "none"},
    "m": _METRES,
    "m year-1": _METRES_A_YEAR,
    "m or m year-1": _METRES | _METRES_A_YEAR,
    "m or rad": _METRES | {"rad", "radian", "radians"},
    "degree": {"degree", "degrees", "deg"},
}
_KINDS = {"f": "a floating-point type", "i": "an integer type", "b": "bool"}
_LEGAL_KINDS = {"f": "fiu", "i": "iuf", "b": "b"}


def find(ds: xr.Dataset, variable: Variable) -> xr.DataArray:
    """Return ``variable`` of ``ds`` after checking its form; raise :class:`SchemaError` otherwise."""
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"expected an xarray.Dataset holding {variable.name!r}, got {type(ds).__name__}")
    if variable.name not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        raise SchemaError(
            f"{variable.name}: the dataset has no variable of this name (it holds: {held}); rename yours to "
            f"{variable.name!r} or open the product with xinsar.open_stack"
        )
    check(ds[variable.name], variable)
    return ds[variable.name]


def find_first(ds: xr.Dataset, *variables: Variable) -> xr.DataArray:
    """Return the first of ``variables`` that ``ds`` holds, checked."""
    for variable in variables:
        if isinstance(ds, xr.Dataset) and variable.name in ds:
            return find(ds, variable)
    return find(ds, variables[0])


def check(array: xr.DataArray, variable: Variable) -> None:
    """Check dims, dtype and units of ``array`` against ``variable`` (values are checked when computed)."""
    _check_dims(array, variable)
    _check_dtype(array, variable)
    _check_units(array, variable)


def _check_dims(array: xr.DataArray, variable: Variable) -> None:
    dims = tuple(map(str, array.dims))
    wanted = tuple(d for d in variable.dims if d in dims or d not in variable.optional)
    if dims[len(dims) - len(wanted) :] == wanted:
        return
    missing = [d for d in wanted if d not in dims]
    remedy = (
        f"add a {missing[0]} dimension with expand_dims({missing[0]!r})"
        if missing
        else f"reorder with transpose(..., {', '.join(map(repr, wanted))})"
    )
    raise SchemaError(f"{variable.name}: expected trailing dims {wanted}, got {dims}; {remedy}")


def _check_dtype(array: xr.DataArray, variable: Variable) -> None:
    if array.dtype.kind in _LEGAL_KINDS[variable.kind]:
        return
    remedy = (
        "take its angle with numpy.angle"
        if array.dtype.kind == "c"
        else f"convert it with astype to {_KINDS[variable.kind]}"
    )
    raise SchemaError(f"{variable.name}: expected {_KINDS[variable.kind]}, got dtype {array.dtype}; {remedy}")


def _check_units(array: xr.DataArray, variable: Variable) -> None:
    came = array.attrs.get("units")
    legal = _SYNONYMS.get(variable.units, {variable.units})
    if came is None or variable.name.startswith("gradient_") or str(came).strip().lower() in legal:
        return
    raise SchemaError(
        f"{variable.name}: expected units {variable.units!r}, got {came!r}; convert the values and set "
        f"attrs['units'] = {variable.units!r}"
    )


def label(variable: Variable, array: xr.DataArray, **attrs: Any) -> xr.DataArray:
    """Return ``array`` named and attributed as ``variable``; ``attrs`` are added or replace."""
    out = array.copy(deep=False).rename(variable.name)
    if "spatial_ref" in out.coords and {"y", "x"} <= set(out.dims):
        out.encoding["grid_mapping"] = "spatial_ref"
    out.attrs = {
        "long_name": variable.long_name,
        "units": variable.units,
        **variable.attrs,
        **attrs,
    }
    return out


_CARRIED = (
    "wavelength",
    "orbit_direction",
    "heading",
    "incidence",
    "slant_range",
    "track",
    "sensor",
    "product",
    "reference",
    "troposphere",
)


def assemble(
    variables: Iterable[xr.DataArray], source: xr.Dataset | xr.DataArray, *, history: str
) -> xr.Dataset:
    """Join labelled ``variables`` into a dataset with the track attributes of ``source`` and one more history line."""
    out = xr.Dataset({str(v.name): v for v in variables})
    out.attrs = {name: source.attrs[name] for name in _CARRIED if name in source.attrs}
    before = source.attrs.get("history")
    out.attrs["history"] = f"{before}\n{history}" if before else history
    return out


def amend(ds: xr.Dataset, variables: Iterable[xr.DataArray], *, history: str, **attrs: Any) -> xr.Dataset:
    """Return ``ds`` with labelled ``variables`` in place of its own, ``attrs``, and one more history line."""
    out = ds.assign({str(v.name): v for v in variables})
    before = ds.attrs.get("history")
    return out.assign_attrs(**attrs, history=f"{before}\n{history}" if before else history)


def track_attrs(attrs: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return the attributes that describe the track rather than one variable."""
    return {name: attrs[name] for name in _CARRIED if name in attrs}


def check_cube(ds: xr.Dataset) -> None:
    """Check every known variable of ``ds`` and the dates of its pairs, if it has any; computes no pixel."""
    for name in ds.data_vars:
        if name in VARIABLES:
            check(ds[name], VARIABLES[str(name)])
    dated = "reference_time" in ds.coords or "secondary_time" in ds.coords
    if "pair" in ds.dims and dated:
        check_pairs(ds)


def check_pairs(ds: xr.Dataset | xr.DataArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return (reference, secondary) dates of the pairs as ``datetime64[ns]`` after checking them."""
    dates = []
    for name in ("reference_time", "secondary_time"):
        if name not in ds.coords:
            raise SchemaError(
                f"{name}: the dataset has no coordinate {name}(pair); assign it with "
                f"assign_coords({name}=('pair', dates)) as datetime64"
            )
        values = np.asarray(ds.coords[name].values)
        if values.dtype.kind != "M" or ds.coords[name].dims != ("pair",):
            raise SchemaError(
                f"{name}: expected datetime64 on dim 'pair', got {values.dtype} on {ds.coords[name].dims}"
            )
        dates.append(values.astype("datetime64[ns]"))
    _check_pair_order(dates[0], dates[1])
    return dates[0], dates[1]


def _check_pair_order(reference: np.ndarray[Any, Any], secondary: np.ndarray[Any, Any]) -> None:
    wrong = np.flatnonzero(~(reference < secondary))
    if wrong.size:
        k = int(wrong[0])
        raise SchemaError(
            f"reference_time: expected every pair to have reference_time < secondary_time, got "
            f"{reference[k]} and {secondary[k]} at pair {k}; flip the pair's phase and dates "
            "(xinsar.stack_from_arrays does)"
        )
    pairs = np.stack([reference, secondary])
    _, index, count = np.unique(pairs, axis=1, return_index=True, return_counts=True)
    if (count > 1).any():
        k = int(index[count > 1][0])
        first, second = (np.datetime_as_string(d, unit="D") for d in (reference[k], secondary[k]))
        raise SchemaError(
            f"pair: the pair {first} - {second} appears {int(count.max())} times; keep one of them"
        )
