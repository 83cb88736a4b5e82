"""From a dataset to what is written: clean attributes, safe encodings, texts as numbers, a plan each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.cube import geozarr
from xinsar.cube.layout import Chunks, Plan, plan

LABELS = "labels"
"""Attribute that holds the texts of a variable stored as numbers."""

FLAGS = (LABELS, "flag_values", "flag_meanings")
"""Attributes of a variable stored as numbers that stand for texts."""

CHARACTERS = "characters"
"""Attribute of a variable that holds the characters (code points) of texts along its last dim."""

_MANY = 4096
"""More texts than this are stored character by character, not as flags with the texts in attributes."""

_SMALL = 2**20
"""One-dimensional variables up to this many bytes are written with the metadata."""

_ENCODED = ("_FillValue", "missing_value", "scale_factor", "add_offset", "grid_mapping", "coordinates")
"""Attributes that say how values were stored elsewhere; here they would be applied a second time."""


@dataclass(frozen=True)
class Track:
    """A track ready to be written: all its variables, and a plan for each one that is written by shards."""

    ds: xr.Dataset
    plans: dict[str, Plan]

    @property
    def small(self) -> xr.Dataset:
        """The variables that are written with the metadata."""
        return self.ds.drop_vars(list(self.plans))

    def template(self) -> xr.Dataset:
        """Return the track with zeros, never computed, for large variables: it creates the metadata."""
        import dask.array as da

        described = {}
        for name, its in self.plans.items():
            zeros = da.zeros(its.shape, dtype=its.dtype, chunks=-1)
            encoding = self.ds[name].encoding | its.encoding()
            described[name] = xr.Variable(its.dims, zeros, self.ds[name].attrs, encoding)
        return self.ds.assign(described)


def prepare(ds: xr.Dataset, *, chunks: Chunks = "auto", pack: bool = False) -> Track:
    """Return ``ds`` ready to be written; it is not changed.

    Raises
    ------
    xinsar.schema.SchemaError
        Where there is no variable, a known one has the wrong dims, dtype or units, or the pairs are not canonical.
    TypeError
        Where an attribute cannot be stored.
    """
    if not ds.data_vars:
        raise schema.SchemaError(
            "obj: expected a dataset with at least one variable to save, got none; name the dataset or track that "
            "holds the data"
        )
    if "point" not in ds.dims:
        schema.check_cube(ds)
    out = geozarr.georeference(ds.copy())
    out = out.assign({name: _as_numbers(v, name) for name, v in out.variables.items() if _is_text(v)})
    out.attrs = {str(k): storable(v, f"attribute {k!r}") for k, v in out.attrs.items()}
    mapped = "spatial_ref" in out.coords
    for name, variable in out.variables.items():
        variable.attrs = _attributes(variable, name, mapped=mapped)
        variable.encoding = _encoding(variable)
    large = [n for n, variable in out.variables.items() if n not in out.indexes and is_large(variable)]
    out = out.assign(out.drop_vars(large).compute().variables)
    return Track(out, {str(n): plan(str(n), out.variables[n], chunks=chunks, pack=pack) for n in large})


def _attributes(variable: xr.Variable, name: Hashable, *, mapped: bool) -> dict[str, Any]:
    """Attributes as JSON, and the grid mapping among them: so plain xarray restores it as a coordinate."""
    kept = {str(k): v for k, v in variable.attrs.items() if k not in _ENCODED}
    out = {k: storable(v, f"attribute {k!r} of {name!r}") for k, v in kept.items()}
    return out | ({"grid_mapping": "spatial_ref"} if mapped and {"x", "y"} <= set(variable.dims) else {})


def is_large(variable: xr.Variable) -> bool:
    """Whether a variable is written and read by shards rather than at once."""
    return variable.dtype.kind in "biufc" and (variable.ndim > 1 or variable.nbytes > _SMALL)


def _is_text(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "UST" or variable.dtype == object


def _as_numbers(variable: xr.Variable, name: Hashable) -> xr.Variable:
    """Return a variable of texts as numbers: characters of many texts on one dim, flags of a few."""
    measured = (
        variable.dtype.kind == "U" or variable.chunks is None
    )  # lazy objects do not tell how long they are
    if variable.ndim == 1 and variable.size > _MANY and measured:
        return spell(variable, f"{name}_character")
    return label(variable)


def spell(variable: xr.Variable, dim: str) -> xr.Variable:
    """Return texts as code points (uint32) along one more dim; texts still to be computed stay so."""
    data: Any = variable.data if variable.dtype.kind == "U" else np.asarray(variable.values).astype(str)
    width = max(data.dtype.itemsize // 4, 1)
    if variable.chunks is None:
        data = _code_points(data, width)
    else:
        import dask.array as da

        chunks = (*data.chunks, (width,))
        data = da.map_blocks(_code_points, data, width, dtype=np.uint32, chunks=chunks, new_axis=data.ndim)
    return xr.Variable((*variable.dims, dim), data, {**variable.attrs, CHARACTERS: width})


def _code_points(texts: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(texts.astype(f"<U{width}")).view("<u4").reshape(*texts.shape, width)


def unspell(variable: xr.Variable) -> xr.Variable:
    """Return code points as texts: the inverse of :func:`spell`."""
    attrs = {k: v for k, v in variable.attrs.items() if k != CHARACTERS}
    data = variable.data
    if variable.chunks is None:
        return xr.Variable(variable.dims[:-1], _texts(np.asarray(data)), attrs)
    import dask.array as da

    data = data.rechunk({data.ndim - 1: -1})
    kind = f"<U{variable.shape[-1]}"
    return xr.Variable(
        variable.dims[:-1], da.map_blocks(_texts, data, dtype=kind, drop_axis=data.ndim - 1), attrs
    )


def _texts(codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(codes, "<u4").view(f"<U{codes.shape[-1]}")[..., 0]


def label(variable: xr.Variable, known: list[str] | None = None) -> xr.Variable:
    """Return a variable of texts as CF flags: small integers, the texts in attributes.

    Strings have no settled Zarr v3 encoding yet. ``known`` texts keep their numbers.
    """
    values = np.asarray(variable.values)
    if not all(isinstance(text, str | bytes) for text in values.ravel().tolist()):
        raise TypeError(
            f"variable on {variable.dims}: expected numbers, dates or texts, got objects; convert them"
        )
    texts = values.astype(str)
    labels = list(known or ())
    labels += [text for text in np.unique(texts).tolist() if text not in labels]
    number = {text: k for k, text in enumerate(labels)}
    codes = np.array([number[t] for t in texts.ravel().tolist()], dtype=np.int32).reshape(texts.shape)
    return xr.Variable(variable.dims, codes, {**variable.attrs, **flags(labels)})


def flags(labels: list[str]) -> dict[str, Any]:
    """Attributes of a variable whose numbers stand for ``labels``."""
    words = [text.replace(" ", "_") or "_" for text in labels]
    return {LABELS: labels, "flag_values": list(range(len(labels))), "flag_meanings": " ".join(words)}


def unlabel(variable: xr.Variable) -> xr.Variable:
    """Return a variable of flags as texts: the inverse of :func:`label`."""
    attrs = {k: v for k, v in variable.attrs.items() if k not in FLAGS}
    texts = np.asarray(variable.attrs[LABELS], dtype=str)
    return xr.Variable(variable.dims, texts[np.asarray(variable.values, dtype=np.int64)], attrs)


def storable(value: Any, what: str) -> Any:
    """Return an attribute as JSON can hold it."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind != "M" else np.datetime_as_string(value).tolist()
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return storable(value.item(), what)
    if isinstance(value, Mapping):
        return {str(k): storable(v, what) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [storable(v, what) for v in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(
        f"{what}: expected text, numbers or lists of them, got {type(value).__name__}; convert or drop it"
    )


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    """Encoding of one variable: whole-number times, no fill values where NaN says it."""
    out: dict[str, Any] = {}
    if variable.dtype.kind == "M":
        out = {
            "units": f"{_resolution(variable)} since 1970-01-01",
            "dtype": "int64",
            "calendar": "proleptic_gregorian",
        }
    if variable.dtype.kind in "fc":
        out = {"_FillValue": None}
    return out


def _resolution(variable: xr.Variable) -> str:
    nanoseconds = variable.values.astype("datetime64[ns]").astype(np.int64)
    return "microseconds" if not (nanoseconds % 1000).any() else "nanoseconds"


def names_along(ds: xr.Dataset, dim: Hashable) -> set[str]:
    """Names of the variables that have ``dim``."""
    return {str(name) for name, variable in ds.variables.items() if dim in variable.dims}
