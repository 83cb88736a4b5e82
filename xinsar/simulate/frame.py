"""Where a simulated scene lies: its pixels on the map, and outlines of what lies on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[Any]

SPACING = 25.0
"""Pixel spacing, m."""

CRS = "EPSG:32647"
"""Coordinate reference system of every simulated scene (UTM)."""

CORNER = (600_000.0, 3_000_000.0)
"""West and north edge of every simulated scene, m."""


@dataclass(frozen=True)
class Frame:
    """A map grid: x rises, y falls."""

    x: Array
    """Pixel centres, in the units of the CRS."""
    y: Array
    crs: Any
    spacing: tuple[float, float]
    """Along y and x, m."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.size, self.x.size

    @property
    def pixel_area(self) -> float:
        """Area of a pixel, m2."""
        return self.spacing[0] * self.spacing[1]

    def affine(self, row: int = 0, column: int = 0) -> Any:
        """Return the affine from pixel corners, counted from (row, column), to the map."""
        from affine import Affine

        dx, dy = float(self.x[1] - self.x[0]), float(self.y[1] - self.y[0])
        return Affine(dx, 0.0, self.x[0] + (column - 0.5) * dx, 0.0, dy, self.y[0] + (row - 0.5) * dy)

    def axes(self) -> dict[str, Any]:
        """Return the coordinates x and y."""
        values = {"x": self.x, "y": self.y}
        return {d: (d, v, {"standard_name": f"projection_{d}_coordinate", "units": "m", "axis": d.upper()})
                for d, v in values.items()}  # fmt: skip

    def on_map(self, ds: xr.Dataset) -> xr.Dataset:
        """Add the CF grid mapping (made on an empty frame: rioxarray copies every pixel it is shown)."""
        import rioxarray  # noqa: F401  (registers .rio)

        empty = xr.Dataset(coords={"x": ds.x, "y": ds.y}).rio.write_crs(self.crs)
        empty = empty.rio.write_transform(self.affine())
        out = ds.assign_coords(spatial_ref=empty.spatial_ref)
        for variable in out.data_vars.values():
            variable.encoding["grid_mapping"] = "spatial_ref"
        return out

    def outline(self, window: tuple[slice, slice], inside: Array) -> Any:
        """Return the outer edge of the pixels ``inside`` a window as a polygon on the map; the largest part."""
        from rasterio.features import shapes
        from shapely.geometry import shape as to_polygon

        pixels = inside.astype(np.uint8)
        place = self.affine(window[0].start, window[1].start)
        outlines = shapes(pixels, mask=inside.astype(bool), transform=place)
        return max((to_polygon(outline) for outline, _ in outlines), key=lambda polygon: polygon.area)


def frame(shape: tuple[int, int], spacing: float = SPACING) -> Frame:
    """Return the grid of a simulated scene."""
    x = CORNER[0] + spacing * (np.arange(shape[1]) + 0.5)
    y = CORNER[1] - spacing * (np.arange(shape[0]) + 0.5)
    return Frame(x, y, CRS, (spacing, spacing))
