"""Results as GeoTIFF or Cloud-Optimized GeoTIFF, for every GIS: right CRS, right half-pixel, NaN as nodata.

Blocks stream from dask to a temporary file beside the target; the target appears only when it is whole.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xinsar.progress import bar
from xinsar.schema import track_attrs

_TILE = 512
_FEW = 16
_EXACT = 2**24
"""Integers up to here are exact in float32."""


def to_geotiff(
    obj: xr.Dataset | xr.DataArray,
    path: str | os.PathLike[str],
    *,
    cog: bool = True,
    progress: bool | None = None,
) -> list[Path]:
    """Write any result on (y, x) to GeoTIFF.

    A path that ends in ``.tif`` gets one file with all variables as bands; any other path becomes a folder
    with one ``<variable>.tif`` each. Leading dims become bands, in order; every band says what it is in its
    description (``phase 2018-01-06 2018-01-18``, ``los east``) and its unit. Pixels are areas, north is up.

    Parameters
    ----------
    obj
        Dataset or DataArray with trailing dims ``y``, ``x``; variables without them are left out.
    path
        Local file or folder; an existing file is replaced.
    cog
        Cloud-optimized, with overviews (nearest for wrapped phase and integers, else averages). False:
        tiled only.
    progress
        Show a progress bar; None: when stderr is a terminal and ``XINSAR_QUIET`` is not set.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the variables.

    Raises
    ------
    TypeError
        For objects or kinds of number a GeoTIFF cannot hold.
    ValueError
        Without dims ``y``, ``x``, on an uneven grid, or where integers do not fit beside floats in one file.
    OSError
        Where the file cannot be written; nothing half-written stays.

    Notes
    -----
    Computed by the threads of this process; a cluster's result goes through :func:`xinsar.save_cube` first.
    Integers that share a file with floats become float32.

    Examples
    --------
    >>> import tempfile, numpy as np, xarray as xr
    >>> coords = {"y": [1.5, 0.5], "x": [0.5, 1.5, 2.5]}
    >>> ds = xr.Dataset({"velocity": (("y", "x"), np.ones((2, 3), "f4"))}, coords=coords)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in to_geotiff(ds, folder + "/velocity.tif")]
    ['velocity.tif']
    """
    arrays = _north_up(_arrays(obj))
    target = _local(path)
    single = target.suffix.lower() in (".tif", ".tiff")
    attrs = track_attrs(obj.attrs)
    groups = {target: arrays} if single else {target / f"{a.name}.tif": [a] for a in arrays}
    files = [_File(file, its, attrs) for file, its in groups.items()]
    with ExitStack() as stack:
        open_files = [(file, stack.enter_context(_replacing(file.path))) for file in files]
        _write(open_files, cog=cog, progress=progress)
    return [file.path for file in files]


# ------------------------------------------------------------------------------------------------- what is
# written


def _arrays(obj: Any) -> list[xr.DataArray]:
    if isinstance(obj, xr.DataArray):
        named = obj if obj.name is not None else obj.rename("band")
        arrays, held = [named], f"dims {obj.dims}"
    elif isinstance(obj, xr.Dataset):
        arrays, held = list(obj.data_vars.values()), f"variables {list(obj.data_vars)}"
    else:
        raise TypeError(
            f"obj: expected an xarray Dataset or DataArray, got {type(obj).__name__}; write the tracks "
            "of a DataTree "
            "one by one"
        )
    maps = [a for a in arrays if a.dims[-2:] == ("y", "x")]
    if not maps:
        raise ValueError(f"obj: expected trailing dims ('y', 'x'), got {held}; nothing here is a raster")
    for array in maps:
        if array.dtype.kind not in "fciub":
            raise TypeError(
                f"{array.name}: expected numbers, got dtype {array.dtype}; convert it with astype"
            )
    return maps


def _north_up(arrays: list[xr.DataArray]) -> list[xr.DataArray]:
    """The arrays with x ascending and y descending, where they have coordinates."""
    flips = {
        axis: slice(None, None, -1)
        for axis, sign in (("x", 1), ("y", -1))
        if axis in arrays[0].coords
        and arrays[0][axis].size > 1
        and sign * np.diff(arrays[0][axis].values[:2])[0] < 0
    }
    return [array.isel(flips) for array in arrays]


def _local(path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise ValueError(f"path: expected a local file or folder, got {path!r}; write it here and upload it")
    return Path(path).expanduser()


@dataclass(frozen=True)
class _File:
    """One GeoTIFF to be written: its path and the arrays that become its bands."""

    path: Path
    arrays: Sequence[xr.DataArray]
    attrs: Mapping[str, Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """One type for all bands: their common one, integers beside floats as float32."""
        kinds = {a.dtype.kind for a in self.arrays}
        if kinds == {"b"}:
            return np.dtype(np.uint8)
        if "f" in kinds:
            floats = [a.dtype for a in self.arrays if a.dtype.kind == "f"]
            return np.result_type(np.float32, *floats)
        return np.result_type(
            np.uint8 if "b" in kinds else self.arrays[0].dtype, *(a.dtype for a in self.arrays)
        )

    @property
    def bands(self) -> int:
        return sum(_depth(a) for a in self.arrays)

    @property
    def nodata(self) -> float | None:
        """NaN for floats; for whole numbers what all of them declare in ``attrs["nodata"]``, if they do."""
        if self.dtype.kind == "f":
            return np.nan
        declared = {a.attrs.get("nodata") for a in self.arrays}
        return declared.pop() if len(declared) == 1 else None

    @property
    def resampling(self) -> str:
        """How overviews may be made: averages of wrapped phase or of classes mean nothing."""
        wrapped = any("wrapped" in str(a.attrs.get("long_name")) or a.name == "phase" for a in self.arrays)
        smooth = all(a.dtype.kind == "f" for a in self.arrays) and not wrapped
        return "AVERAGE" if smooth else "NEAREST"


def _depth(array: xr.DataArray) -> int:
    return int(np.prod(array.shape[:-2], dtype=int))


def _descriptions(array: xr.DataArray) -> list[str]:
    """What each band of ``array`` is."""
    leading = array.dims[:-2]
    places = np.ndindex(*array.shape[:-2])
    return [
        " ".join([str(array.name), *(_label(array, d, k) for d, k in zip(leading, at, strict=True))])
        for at in places
    ]


def _label(array: xr.DataArray, dim: Any, index: int) -> str:
    dates = [
        array[n]
        for n in ("reference_time", "secondary_time")
        if n in array.coords and array[n].dims == (dim,)
    ]
    if dates:
        return " ".join(np.datetime_as_string(d.values[index], unit="D") for d in dates)
    if dim not in array.coords:
        return f"{dim} {index}"
    value = array[dim].values[index]
    return str(np.datetime_as_string(value, unit="D")) if value.dtype.kind == "M" else str(value)


# ---------------------------------------------------------------------------------------------------- how it
# is done


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place at the end; on failure nothing stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tif")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        for leftover in path.parent.glob(f"{temporary.stem}*"):
            leftover.unlink(missing_ok=True)


def _write(files: list[tuple[_File, Path]], *, cog: bool, progress: bool | None) -> None:
    """Compute all files in one go, so that what they share is computed once."""
    import dask.array as da

    raw = [path.with_name(f"{path.stem}.raw.tif") if cog else path for _, path in files]
    with _naming(files), ExitStack() as stack:
        pairs: list[tuple[Any, _Sink]] = []
        for (file, _), path in zip(files, raw, strict=True):
            pairs += stack.enter_context(_open_sinks(file, path, final=not cog))
        with bar(progress):
            da.store(*map(list, zip(*pairs, strict=True)), lock=False, scheduler="threads")
    for (file, path), source in zip(files, raw, strict=True):
        with _naming([(file, path)]):
            _finish(file, source, path)


@contextmanager
def _naming(files: list[tuple[_File, Path]]) -> Iterator[None]:
    from rasterio.errors import RasterioError

    try:
        yield
    except (OSError, RasterioError) as error:
        names = ", ".join(str(file.path) for file, _ in files)
        raise OSError(
            f"writing {names} failed ({error}); nothing was left there: make room or choose another place"
        ) from error


@contextmanager
def _open_sinks(file: _File, path: Path, *, final: bool) -> Iterator[list[tuple[Any, _Sink]]]:
    """Open a file for writing; closed only when no thread is inside it."""
    import rasterio

    lock = threading.Lock()
    dataset = rasterio.open(path, "w", **_profile(file, final=final))
    try:
        yield _sinks(file, dataset, lock)
    finally:
        with lock:
            dataset.close()


def _profile(file: _File, *, final: bool) -> dict[str, Any]:
    """How rasterio creates the file."""
    array = file.arrays[0]
    height, width = array.shape[-2:]
    profile = {
        "driver": "GTiff",
        "dtype": file.dtype.name,
        "count": file.bands,
        "height": height,
        "width": width,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "interleave": "band",
        "bigtiff": "IF_SAFER",
        "compress": "DEFLATE" if final else "LZW",
        "predictor": {"f": 3, "c": 1}.get(file.dtype.kind, 2) if final else 1,
        **_georeference(array),
    }
    return profile | ({} if file.nodata is None else {"nodata": file.nodata})


def _georeference(array: xr.DataArray) -> dict[str, Any]:
    """CRS and transform; an array without coordinates (radar geometry) has neither."""
    from affine import Affine
    from rasterio.crs import CRS

    from xinsar.cube.geozarr import affine
    from xinsar.grid import crs_of

    crs = crs_of(array)
    out = {} if crs is None else {"crs": CRS.from_wkt(crs.to_wkt())}
    if not {"x", "y"} <= set(array.coords):
        return out
    transform = affine(array)
    if transform is None:
        raise ValueError(
            f"{array.name}: expected evenly spaced x and y, which a GeoTIFF needs; resample to a regular "
            "grid, or drop "
            "the coordinates to write pixels only"
        )
    return out | {"transform": Affine(*transform)}


@dataclass(frozen=True)
class _Sink:
    """Bands of an open file as something dask can store to."""

    dataset: Any
    first: int
    name: str
    nodata: Any
    lock: Any

    def __setitem__(self, key: tuple[slice, slice, slice], block: np.ndarray[Any, Any]) -> None:
        from rasterio.windows import Window

        band, rows, columns = key
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        indexes = list(range(self.first + band.start, self.first + band.stop))
        values = _cast(block, np.dtype(self.dataset.dtypes[0]), self.name, self.nodata)
        with self.lock:
            # After a failure elsewhere the file is closed while other threads still compute.
            if not self.dataset.closed:
                self.dataset.write(values, indexes, window=window)


def _cast(block: np.ndarray[Any, Any], dtype: np.dtype[Any], name: str, nodata: Any) -> np.ndarray[Any, Any]:
    """Return ``block`` in the type of its file; among floats, whole numbers that say nodata become NaN."""
    if (
        dtype == np.float32
        and block.dtype.kind in "iu"
        and block.size
        and np.abs(block.astype(np.float64)).max() > _EXACT
    ):
        raise ValueError(
            f"{name}: integers beyond 2**24 do not fit beside floats in one file; write one file per "
            "variable (a path "
            "without .tif)"
        )
    values = block.astype(dtype, copy=False)
    if nodata is not None and dtype.kind == "f" and block.dtype.kind in "iu":
        values[block == nodata] = np.nan
    return values


def _sinks(file: _File, dataset: Any, lock: Any) -> list[tuple[Any, _Sink]]:
    """Label the bands of an open file; return what to store where."""
    dataset.update_tags(AREA_OR_POINT="Area", **{k: str(v) for k, v in file.attrs.items()})
    out, first = [], 1
    for array in file.arrays:
        for k, description in enumerate(_descriptions(array), start=first):
            dataset.set_band_description(k, description)
            dataset.set_band_unit(k, str(array.attrs.get("units", "")))
            notes = {n: str(array.attrs[n]) for n in ("long_name", "estimator", "offset") if n in array.attrs}
            dataset.update_tags(k, **notes)
        out.append((_tiled(array), _Sink(dataset, first, str(array.name), array.attrs.get("nodata"), lock)))
        first += _depth(array)
    return out


def _tiled(array: xr.DataArray) -> Any:
    """The values as (band, y, x) in dask chunks of whole tiles, so that no tile is written twice."""
    import dask.array as da

    height, width = array.shape[-2:]
    data = (
        array.data
        if array.chunks is not None
        else da.from_array(array.data, chunks=-1, name=f"export-{uuid.uuid4().hex}")
    )
    data = data.reshape((_depth(array), height, width))
    chunks = [max(round(max(c) / _TILE), 1) * _TILE for c in data.chunks[1:]]
    return data.rechunk({1: chunks[0], 2: chunks[1]})


def _finish(file: _File, source: Path, path: Path) -> None:
    """Turn the written file into the final one, or read it through: a full disk shows only then."""
    import rasterio
    import rasterio.shutil

    if source != path:
        rasterio.shutil.copy(source, path, driver="COG", **_cog_options(file, rasterio.__gdal_version__))
        source.unlink()
    with rasterio.open(path) as written:
        for _, window in written.block_windows(1):
            written.read(written.count, window=window)


def _cog_options(file: _File, gdal: str) -> dict[str, Any]:
    """Creation options; many bands share a tile before GDAL 3.11, so their tiles are smaller."""
    options = {
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES",
        "BIGTIFF": "IF_SAFER",
        "RESAMPLING": file.resampling,
    }
    if tuple(map(int, gdal.split(".")[:2])) >= (3, 11):
        return options | {"INTERLEAVE": "BAND"}
    return options | {"BLOCKSIZE": _TILE if file.bands <= _FEW else _TILE // 4}
