"""Tables of points, and the files they are written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from xinsar.cli.results import ending_of

TABLES = ("gpkg", "parquet", "csv")
"""Endings of files that hold a table."""


def point_table(ds: Any, found: Any) -> Any:
    """Return the points with all that is known of each, and what was found."""
    if found.hot_spot.dims != ("point",):
        raise ValueError(
            f"OUT: a table holds one value a point, but hot_spot has dims {found.hot_spot.dims}; choose one with "
            "--variable, or an OUT that ends in .zarr"
        )
    left = ("point", "x", "y", *found.data_vars)
    own = [str(n) for n, v in ds.variables.items() if v.dims == ("point",) and n not in left]
    whole = ds[own].reset_coords([n for n in own if n in ds.coords])
    return whole.assign({n: v.variable for n, v in found.data_vars.items()}).assign_attrs(found.attrs)


def write_table(points: Any, path: Path) -> None:
    """Write points as a table; it appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        _to_file(_frame(points), unfinished, layer=path.stem)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _frame(points: Any) -> Any:
    """Return a GeoDataFrame with a column for each variable of points; names tell the units of velocities."""
    import geopandas

    from xinsar.grid import crs_of

    columns = {str(n): v for n, v in points.variables.items() if v.dims == ("point",)}
    place = geopandas.points_from_xy(columns.pop("x").values, columns.pop("y").values, crs=crs_of(points))
    rates = {n: f"{n}_m_yr" for n, v in columns.items() if v.attrs.get("units") == "m year-1"}
    values = {
        rates.get(n, n): v.values.astype("u1") if v.dtype == bool else v.values for n, v in columns.items()
    }
    return geopandas.GeoDataFrame(values, geometry=place)


def _to_file(table: Any, path: Path, *, layer: str) -> None:
    ending = ending_of(path.name)
    if ending == "gpkg":
        table.to_file(path, driver="GPKG", layer=layer)
    elif ending == "parquet":
        from xinsar.extras import need

        need("pyarrow", purpose=f"writing {layer}.parquet")
        table.to_parquet(path)
    else:
        names = ("lon", "lat") if table.crs is not None and table.crs.is_geographic else ("x", "y")
        place = {names[0]: table.geometry.x, names[1]: table.geometry.y}
        columns = [*names, *table.columns.drop("geometry")]
        table.assign(**place)[columns].to_csv(path, index=False)
