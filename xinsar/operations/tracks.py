"""Several tracks that look at one ground: their common variable, grid, lines of sight and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.grid import crs_of
from xinsar.mapping.vectors import everywhere
from xinsar.operations import checks
from xinsar.operations.fields import floating

Field = dict[str, xr.DataArray]

_SAME = 1e-3
"""Share of a pixel by which coordinates of one grid may differ: float32 and rounding."""
_RESAMPLING = ("nearest", "bilinear")
_ANGLES = ("slope", "aspect")
_COHERENCES = ("temporal_coherence", "mean_coherence", "coherence")
_MOST_COHERENT = 0.98


def datasets(tracks: Sequence[Any]) -> list[xr.Dataset]:
    """Return a Dataset for each track: the arguments, or the leaves of a DataTree."""
    found: list[xr.Dataset] = []
    for track in tracks:
        if isinstance(track, xr.DataTree):
            found += [node.to_dataset() for node in track.leaves]
        elif isinstance(track, xr.Dataset):
            found.append(track)
        else:
            raise TypeError(
                f"tracks: expected an xarray.Dataset for each track or one DataTree of tracks, got "
                f"{type(track).__name__}; open tracks with xinsar.open_stack, open_cube or open_tracks"
            )
    return found


def at_least(number: int, tracks: Sequence[Any], why: str) -> None:
    """Raise ValueError unless there are ``number`` tracks."""
    if len(tracks) < number:
        raise ValueError(
            f"tracks: expected {number} or more, for {why}, got {len(tracks)}; add a track that looks from elsewhere"
        )


def variable_of(tracks: Sequence[xr.Dataset], variable: Any) -> str:
    """Return the name of the variable to use: as given, else ``velocity`` or ``displacement``, whichever all hold."""
    if variable is not None and not isinstance(variable, str):
        raise TypeError(f"variable: expected the name of a variable, got {variable!r}")
    for name in (variable,) if variable else ("velocity", "displacement"):
        if all(name in ds for ds in tracks):
            return str(name)
    wanted = repr(variable) if variable else "'velocity' or 'displacement'"
    held = "; ".join(", ".join(sorted(map(str, ds.data_vars))) or "no variable" for ds in tracks)
    raise schema.SchemaError(
        f"variable: expected {wanted} in every track, got: {held}; rename yours, or name another with variable="
    )


def field(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return one variable (..., y, x) of real numbers, checked, as float32 or float64."""
    if name in schema.VARIABLES:
        schema.check(ds[name], schema.VARIABLES[name])
    array = ds[name]
    if array.dims[-2:] != ("y", "x") or array.dtype.kind not in "fiu":
        raise schema.SchemaError(
            f"{name}: expected real numbers with trailing dims ('y', 'x'), got dtype {array.dtype} and dims "
            f"{tuple(map(str, array.dims))}; transpose or convert it"
        )
    return floating(array)


def unit_of(fields: Sequence[xr.DataArray]) -> str:
    """Return the unit that all tracks share."""
    name = str(fields[0].name)
    if name in schema.VARIABLES:
        return schema.VARIABLES[name].units
    units = [str(a.attrs.get("units", "")) for a in fields]
    if len(set(units)) > 1:
        raise schema.SchemaError(f"{name}: expected one unit in all tracks, got {units}; convert the values")
    return units[0]


def los_of(ds: xr.Dataset, like: xr.DataArray) -> xr.DataArray:
    """Return the unit vectors (component, y, x) from the ground to the satellite, of ``los`` or of two attributes."""
    if "los" in ds:
        return _los_map(ds)
    missing = [name for name in ("heading", "incidence") if name not in ds.attrs]
    if missing:
        raise schema.SchemaError(
            f"los: the track has neither the variable los(component, y, x) nor attrs {' and '.join(missing)}; add "
            "attrs['heading'] (degrees clockwise from north) and attrs['incidence'] (degrees), or the vectors"
        )
    return everywhere(_vector(ds.attrs["heading"], ds.attrs["incidence"]), like)


def _los_map(ds: xr.Dataset) -> xr.DataArray:
    los = schema.find(ds, schema.LOS)
    if los.dims != schema.LOS.dims or los.sizes["component"] != 3:
        raise schema.SchemaError(
            f"los: expected dims {schema.LOS.dims} with three components, got {dict(los.sizes)}; pick one with isel"
        )
    if "component" in los.coords and tuple(map(str, los["component"].values)) != schema.COMPONENTS:
        raise schema.SchemaError(
            f"los: expected the components {schema.COMPONENTS} in this order, got "
            f"{tuple(map(str, los['component'].values))}; reorder with los.sel(component=['east', 'north', 'up'])"
        )
    return los.drop_vars("component", errors="ignore")


def _vector(heading: Any, incidence: Any) -> np.ndarray[Any, Any]:
    """Return l = (-sin i cos a, sin i sin a, cos i) of a right-looking satellite."""
    a, i = (_degrees(n, v) for n, v in (("heading", heading), ("incidence", incidence)))
    if not 0 < i < 90:
        raise schema.SchemaError(f"incidence: expected degrees between 0 and 90, got {i:g}")
    a, i = np.radians(a), np.radians(i)
    return np.array([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def _degrees(name: str, value: Any) -> float:
    number = np.asarray(value)
    if number.dtype.kind not in "fiu" or number.size != 1 or not np.isfinite(number).all():
        raise schema.SchemaError(f"{name}: expected attrs[{name!r}] as a number of degrees, got {value!r}")
    return float(number.ravel()[0])


def weight_fields(ds: xr.Dataset, weights: str | None) -> Field:
    """Return the map that the weights of one track come from, as ``weight``; empty without weights."""
    if weights is None:
        return {}
    if weights == "sigma":
        return {"weight": _flat(ds, ("velocity_sigma",), weights)}
    return {"weight": _flat(ds, _COHERENCES, weights)}


def _flat(ds: xr.Dataset, names: Iterable[str], weights: str) -> xr.DataArray:
    """Return the first map (y, x) among ``names``."""
    for name in names:
        if name in ds and ds[name].dims == ("y", "x"):
            schema.check(ds[name], schema.VARIABLES[name]) if name != "coherence" else None
            return floating(ds[name])
    raise schema.SchemaError(
        f"weights: expected a map {' or '.join(names)} (y, x) in every track for weights={weights!r}, got "
        f"{', '.join(sorted(map(str, ds.data_vars)))}; add it, or use weights=None"
    )


def as_weight(array: xr.DataArray, weights: str) -> xr.DataArray:
    """Return the weight of a look: 1 / sigma^2, or c^2 / (1 - c^2) of the coherence c, at most .98."""
    if weights == "sigma":
        return 1 / (array.where(array > 0) ** 2)
    squared = array.clip(0, _MOST_COHERENT) ** 2
    return squared / (1 - squared)


def ground(ds: xr.Dataset, names: Sequence[str], why: str) -> Field:
    """Return slope or aspect (y, x) of the first track or of a motion."""
    for name in names:
        if name not in ds:
            raise schema.SchemaError(
                f"{name}: {why} needs {' and '.join(names)} in the first dataset, which holds: "
                f"{', '.join(sorted(map(str, ds.data_vars)))}; make them with xinsar.terrain and assign them to it"
            )
        schema.check(ds[name], schema.VARIABLES[name])
        if ds[name].dims != ("y", "x"):
            raise schema.SchemaError(
                f"{name}: expected dims ('y', 'x'), got {tuple(map(str, ds[name].dims))}"
            )
    return {name: ds[name] for name in names}


def on_one_grid(tracks: Sequence[Field], target: Any, resampling: Any) -> list[Field]:
    """Return the maps of all tracks on one grid: their common one, or that of ``target`` by ``resampling``.

    The first map of each track tells its leading dims, which must be equal. Slope and aspect, an angle that jumps at
    north, are always brought over by nearest neighbour.
    """
    if resampling is not None:
        checks.one_of("resampling", resampling, _RESAMPLING)
        if target is None:
            raise ValueError(
                "target: expected the grid to resample to (a track or cube with y and x), got None; give target="
            )
    wanted = next(iter(tracks[0].values())) if target is None else _grid_of(target, tracks[0])
    _same_leading(tracks)
    return [{n: _brought(n, a, wanted, resampling) for n, a in track.items()} for track in tracks]


def _grid_of(target: Any, track: Field) -> xr.DataArray:
    from xinsar.operations.targets import target_grid

    if not isinstance(target, (xr.Dataset, xr.DataArray)):
        raise TypeError(f"target: expected an xarray Dataset or DataArray with y and x, got {target!r}")
    first = next(iter(track.values()))
    template = target_grid(target, first, None)
    if first.chunks is None:
        return template
    return template.chunk({d: target.chunksizes.get(d, max(first.chunksizes[d])) for d in ("y", "x")})


def _brought(name: str, array: xr.DataArray, wanted: xr.DataArray, resampling: str | None) -> xr.DataArray:
    """Return ``array`` on the grid ``wanted``, which keeps its coordinates."""
    from xinsar.operations.alignment import onto
    from xinsar.operations.interpolation import bilinear

    if (why := _differs(array, wanted)) is not None:
        if resampling is None:
            raise ValueError(
                f"{array.name}: expected all tracks on one grid, got {why}; give target= one of the tracks (or a cube) "
                "and resampling='nearest' or 'bilinear'"
            )
        nearest = resampling == "nearest" or name in _ANGLES
        array = (onto if nearest else bilinear)(array, wanted).rename(array.name)
    leading = {d: array[d] for d in array.dims[:-2] if d in array.coords}
    place = {n: wanted[n] for n in ("y", "x", "spatial_ref") if n in wanted.coords}
    return array.drop_vars(list(array.coords)).assign_coords({**leading, **place})


def _differs(array: xr.DataArray, wanted: xr.DataArray) -> str | None:
    """Return how the grids differ, None where they do not."""
    crs = crs_of(array), crs_of(wanted)
    if None not in crs and crs[0] != crs[1]:
        return f"the CRS {crs[0].name} and {crs[1].name}"
    for d in ("y", "x"):
        if array.sizes[d] != wanted.sizes[d]:
            return f"{array.sizes[d]} and {wanted.sizes[d]} pixels along {d}"
        if (d in array.coords) != (d in wanted.coords):
            return f"coordinates {d} in one of them only"
        if d in array.coords and not _close(array[d].values, wanted[d].values):
            return f"other coordinates along {d} (first {array[d].values[0]} and {wanted[d].values[0]})"
    return None


def _close(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> bool:
    """Tell whether two axes are the same but for rounding."""
    if one.size < 2 or np.array_equal(one, two):
        return np.array_equal(one, two)
    return bool(np.abs(one - two).max() <= _SAME * abs(float(two[1]) - float(two[0])))


def _same_leading(tracks: Sequence[Field]) -> None:
    """Raise ValueError unless the first maps of all tracks have equal leading dims and dates."""
    first, *others = (next(iter(track.values())) for track in tracks)
    for other in others:
        if other.dims != first.dims:
            raise ValueError(
                f"{first.name}: expected the same dims in every track, got {first.dims} and {other.dims}; pick one "
                "epoch with isel, or take the velocity"
            )
        for d in first.dims[:-2]:
            if first.sizes[d] != other.sizes[d] or not first[d].equals(other[d]):
                raise ValueError(
                    f"{d}: expected the same values in every track, got {first.sizes[d]} and {other.sizes[d]} that "
                    f"differ; bring the series to common dates first, e.g. with fuse_tracks or .interp({d}=...), or "
                    "take the velocity"
                )


def names_of(tracks: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return the names of the tracks, where all of them have one."""
    found = [getattr(ds, "attrs", {}).get("track") for ds in tracks]
    return [str(name) for name in found] if all(name is not None for name in found) else []
