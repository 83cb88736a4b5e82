"""GeoTIFF (any raster GDAL reads): its header on opening, its pixels inside the tasks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.layers import Grid, Raster


@dataclass(frozen=True)
class RasterSource:
    """One band of a raster file; opened anew by every read, so that it travels to any worker."""

    path: Path
    band: int = 1
    referenced: bool = True

    def read(self, rows: slice, cols: slice) -> Raster:
        """Return the window as it stands in the file; OSError naming the file where it cannot be read."""
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        window = Window.from_slices(rows, cols)
        try:
            with _open(self.path, referenced=self.referenced) as file:
                return np.asarray(file.read(self.band, window=window))
        except RasterioError as error:
            raise unreadable(self.path, error) from error


@dataclass(frozen=True)
class Header:
    """What a raster file says of itself."""

    grid: Grid
    dtype: np.dtype[Any]
    nodata: float | None
    blocks: tuple[int, int]
    tags: Mapping[str, str]
    count: int
    referenced: bool


def unreadable(path: Path, error: object) -> OSError:
    """Return the error for a file that GDAL cannot read."""
    return OSError(
        f"{path}: cannot be read as a raster, it is truncated or damaged ({error}); fetch it again"
    )


def source(path: Path, header: Header, band: int = 1) -> RasterSource:
    """Return the source of one band of a file whose header is known."""
    return RasterSource(path, band, header.referenced)


@lru_cache(maxsize=4096)
def _header(path: Path, _modified: int) -> Header:
    from rasterio.errors import RasterioError

    try:
        with _open(path, referenced=False) as file:
            _check_last_block(file, path)
            nodata = file.nodata
            grid = _grid(file, path)
            return Header(
                grid=grid,
                dtype=np.dtype(file.dtypes[0]),
                nodata=None if nodata is None or np.isnan(nodata) else float(nodata),
                blocks=tuple(file.block_shapes[0]),
                tags=dict(file.tags()),
                count=file.count,
                referenced=not file.transform.is_identity,
            )
    except RasterioError as error:
        raise unreadable(path, error) from error


def header(path: Path) -> Header:
    """Read the header of ``path``; OSError naming it where it is damaged or shorter than its header says."""
    return _header(path, path.stat().st_mtime_ns)


def _open(path: Path, *, referenced: bool) -> Any:
    """Open a raster; one without georeference is radar geometry, which is nothing to warn about."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    if referenced:
        return rasterio.open(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _check_last_block(file: Any, path: Path) -> None:
    """Raise where the file ends before its last block does."""
    rows, cols = file.block_shapes[0]
    last = f"{(file.width - 1) // cols}_{(file.height - 1) // rows}"
    place = [file.get_tag_item(f"BLOCK_{word}_{last}", "TIFF", bidx=1) for word in ("OFFSET", "SIZE")]
    if None not in place:
        end, size = sum(map(int, place)), path.stat().st_size
        if end > size:
            raise unreadable(path, f"its header asks for {end} bytes, it has {size}")


def _grid(file: Any, path: Path) -> Grid:
    transform = file.transform
    if transform.b or transform.d:
        raise ValueError(
            f"{path}: expected rows and columns along y and x, got a rotated raster; warp it first (gdalwarp)"
        )
    crs = None if file.crs is None or transform.is_identity else _spell_crs(file.crs)
    return Grid(transform.c, transform.f, transform.a, transform.e, file.width, file.height, crs)


def _spell_crs(crs: Any) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt())
