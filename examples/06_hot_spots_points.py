"""I have points of persistent scatterers over a slope: does the body that slides light up, and inside its outline?

With a folder as argument, the slope above Xinmo (Maoxian, Sichuan) before it failed on 24 June 2017: the files
``Maoxian_PS.csv`` and ``Maoxian_polygon.geojson`` of github.com/thho/StaMPS_Visualizer (T. Hoeser, CC BY 4.0). Without,
simulated points of such a slope. Writes ``06_hot_spots.png``, ``06_hot_spots.gpkg`` and ``06_density.tif``.
"""

import sys
from pathlib import Path

import geopandas
import numpy as np
import rioxarray  # noqa: F401  (points.rio knows the reference system)
import xarray as xr

import xinsar
from xinsar import plot

DISTANCE = 100  # metres: less than the moving part, more than the gaps between points


def real(folder: Path) -> tuple[xr.Dataset, geopandas.GeoDataFrame]:
    return xinsar.open_points(folder / "Maoxian_PS.csv"), geopandas.read_file(
        folder / "Maoxian_polygon.geojson"
    )


def simulated() -> tuple[xr.Dataset, geopandas.GeoDataFrame]:
    """Return 400 points over 41 dates, and the outline: its upper part slides faster and faster."""
    rng = np.random.default_rng(6)
    x, y = 468_000 + rng.uniform(0, 1500, 400), 3_550_000 + rng.uniform(0, 1200, 400)
    outline = geopandas.GeoSeries.from_wkt(["POINT (468700 3550700)"], crs="EPSG:32648").buffer(350)
    moving = np.hypot(x - 468_700, y - 3_550_850) < 150
    time = np.datetime64("2014-11-26", "ns") + np.timedelta64(24, "D") * np.arange(41)
    years = np.arange(41)[:, None] * 24 / 365.25
    series = -0.008 * moving * years**2 + rng.normal(0, 0.002, (41, 400))
    slope = np.polyfit(years[:, 0], series, 1)[0]
    points = xr.Dataset(
        {
            "velocity": ("point", slope, {"units": "m year-1"}),
            "displacement": (("time", "point"), series, {"units": "m"}),
        },
        {"x": ("point", x), "y": ("point", y), "time": time},
    )
    return points.rio.write_crs("EPSG:32648"), outline.to_frame("geometry")


points, outline = real(Path(sys.argv[1])) if len(sys.argv) > 1 else simulated()
places = geopandas.points_from_xy(points.x, points.y, crs=points.rio.crs)
inside = places.within(outline.to_crs(points.rio.crs).geometry.union_all())
print(f"{len(places)} points, {inside.sum()} of them in the outline")

hot = points.insar.getis_ord(DISTANCE, fdr=True)
z, significant = hot.hot_spot.values, hot.significant.values
for name, found in (
    ("cold (away from the satellite)", significant & (z < 0)),
    ("hot (toward it)", significant & (z > 0)),
):
    shares = f"{found[inside].mean():.0%} of those inside, {found[~inside].mean():.0%} of those outside"
    print(f"significantly {name}: {found.sum()} points, {shares}")

for name, i in (("coldest", int(np.nanargmin(z))), ("hottest", int(np.nanargmax(z)))):
    where = f"{'inside' if inside[i] else 'outside'}, at {float(points.x[i]):.8g}, {float(points.y[i]):.8g}"
    print(f"{name} point: z = {z[i]:.1f}, {1000 * float(points.velocity[i]):.1f} mm a year, {where}")

# p values take neighbours for independent; held against the usual spread of z, fewer points remain.
apart = z - np.median(z)
beyond = apart < -5 * 1.4826 * np.median(abs(apart))
print(f"beyond five usual spreads: {beyond.sum()} points, {(beyond & inside).sum()} of them inside")

getting_worse = points.insar.emerging_hot_spots(DISTANCE).category
names = dict(zip(getting_worse.flag_values, getting_worse.flag_meanings.split(), strict=True))
for code, number in zip(*np.unique(getting_worse.values[beyond], return_counts=True), strict=True):
    print(f"  {number} of them: {names[int(code)]}")

density = points.insar.hot_spot_map(DISTANCE, target=10)
density.insar.to_geotiff("06_density.tif")
table = geopandas.GeoDataFrame({"hot_spot": z, "significant": significant}, geometry=places)
table.to_file("06_hot_spots.gpkg")

ax = plot.hot_spots(hot)
outline.to_crs(points.rio.crs).boundary.plot(ax=ax, color="black", aspect=None)
ax.figure.savefig("06_hot_spots.png", dpi=120)
