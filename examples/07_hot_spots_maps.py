"""I have a velocity map: which places stand out, and can I believe the p values?

With folders as arguments, real maps whose spots are known: ALOS-2 over the Kirishima volcanoes (``velocity.h5`` and
``height.tif`` of github.com/radar-science/Yang-2024-TropoTexCorr, Apache-2.0) and Sentinel-1 over Campi Flegrei (the
LiCSBAS results of github.com/matthew-gaddes/ICASAR, BSD). Without, a simulated map of a bowl and a slide in noise that
neighbours share. Writes ``07_<name>.png`` and ``07_<name>.tif``.
"""

import sys
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401  (ds.rio knows the reference system)
import xarray as xr
from pyproj import Geod
from scipy.ndimage import gaussian_filter, label

import xinsar
from xinsar import plot

KNOWN = {
    "Iwo-yama": (130.8532, 31.9465),
    "the crater of Shinmoe-dake": (130.8841, 31.9115),
    "Pozzuoli": (14.1225, 40.8236),
}
"""Places known to move, longitude and latitude."""


def simulated() -> xr.Dataset:
    """Return velocities with a bowl that rises and a body that slides, each 30 mm a year at most."""
    rng = np.random.default_rng(7)
    row, column = np.indices((240, 320))
    noise = sum(5 * scale * gaussian_filter(rng.normal(size=row.shape), scale) for scale in (1, 6))
    bowl = 30 * np.exp(-((row - 70) ** 2 + (column - 90) ** 2) / 160)
    slide = -30 * (np.hypot((row - 160) / 14, (column - 230) / 8) < 1)
    velocity = xr.DataArray(
        (1e-3 * (noise + bowl + slide)).astype("f4"),
        {"y": 3_500_000 - 20.0 * row[:, 0], "x": 660_000 + 20.0 * column[0]},
        ("y", "x"),
        "velocity",
        {"units": "m year-1"},
    )
    return velocity.to_dataset().rio.write_crs("EPSG:32652")


def spots(z: np.ndarray) -> list[tuple[float, int, int]]:
    """Return the strongest z, its row and its column, of every body beyond five usual spreads."""
    apart = z - np.nanmedian(z)
    usual = 1.4826 * np.nanmedian(np.abs(apart))
    found = []
    for sign in (1, -1):
        bodies, number = label(sign * apart > 5 * usual, np.ones((3, 3)))
        for body in range(1, number + 1):
            best = np.nanargmax(np.where(bodies == body, sign * z, np.nan))
            row, column = np.unravel_index(best, z.shape)
            found.append((float(z[row, column]), int(row), int(column)))
    return sorted(found, key=lambda spot: -abs(spot[0]))


def nearest_known(x: float, y: float) -> str:
    """Return the nearest known place within 5 km of a longitude and latitude, and how far it is."""
    if abs(y) > 90:
        return ""
    apart = {name: Geod(ellps="WGS84").inv(x, y, *place)[2] for name, place in KNOWN.items()}
    name = min(apart, key=apart.get)
    return f", {apart[name]:.0f} m from {name}" if apart[name] < 5000 else ", no known place"


def report(name: str, ds: xr.Dataset, distance: float) -> None:
    hot = ds.insar.hot_spot_map(distance).compute()
    judged = ds.insar.getis_ord(distance, fdr=True).compute()
    valid = int(hot.hot_spot.notnull().sum())
    print(f"{name}: {valid} pixels, Gi* within {distance} m")
    print(f"  significant by false discovery rate: {int(judged.significant.sum()) / valid:.0%} of them")
    for z, row, column in spots(hot.hot_spot.values):
        x, y = float(ds.x[column]), float(ds.y[row])
        print(
            f"  stands out: z = {z:6.1f} at row {row}, column {column} ({x:.8g}, {y:.8g}){nearest_known(x, y)}"
        )
    hot.insar.to_geotiff(f"07_{name}.tif")
    ax = plot.hot_spots(hot, elevation=ds.get("elevation"), confidence=(99,))
    ax.figure.savefig(f"07_{name}.png", dpi=120)


folders = [Path(argument) for argument in sys.argv[1:]]
for folder in folders:
    ds = xinsar.open_stack(folder)
    pixel = float(abs(ds.y[1] - ds.y[0])) * 111_000
    report(folder.name, ds, distance=100 if pixel < 50 else 300)
if not folders:
    report("simulated", simulated(), distance=100)

print(
    "Much is significant: p values take neighbours for independent, and the noise of a velocity map is not. What lies "
    "beyond five times the usual spread of z is a short list; look there first."
)
