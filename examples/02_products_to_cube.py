"""I have a folder of interferograms and want one cube that opens anywhere.

Writes stand-in files named and built as ASF HyP3 does (your own folder takes their place), opens them as
one lazy dataset, saves it as Zarr, and appends a pair that came later. Writes ``02_track.zarr`` and
``02_network.png``.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio

import xinsar
from xinsar import plot

ROWS, COLUMNS = 60, 80
PLACE = {"crs": "EPSG:32647", "transform": rasterio.Affine(80, 0, 600_000, 0, -80, 3_000_000)}


def write_pair(folder: Path, first: str, last: str, *, baseline: float) -> None:
    """Write the unwrapped phase and coherence of one pair over ground that sinks 60 mm in a year."""
    job = f"S1AA_{first}T231500_{last}T231500_VVP012_INT80_G_ueF_{int(last) % 65536:04X}"
    years = (np.datetime64(iso(last)) - np.datetime64(iso(first))).astype(int) / 365.25
    row, column = np.indices((ROWS, COLUMNS))
    sinking = 0.06 * years * np.exp(-((row - 30) ** 2 + (column - 40) ** 2) / 200)
    layers = {
        "unw_phase": 0.5 + 4 * np.pi / 0.0555 * sinking,  # away from the satellite is positive
        "corr": np.full((ROWS, COLUMNS), 0.7),
    }
    (folder / job).mkdir(parents=True, exist_ok=True)
    for layer, values in layers.items():
        profile = {"driver": "GTiff", "height": ROWS, "width": COLUMNS, "count": 1, "dtype": "float32"}
        with rasterio.open(folder / job / f"{job}_{layer}.tif", "w", **profile, **PLACE, nodata=0) as file:
            file.write(values.astype("float32"), 1)
    (folder / job / f"{job}.txt").write_text(f"Baseline: {baseline}\nHeading: -12.5\n")


def iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


days = ["20210103", "20210115", "20210127", "20210208", "20210220"]
for number, (first, last) in enumerate(pairwise(days)):
    write_pair(Path("02_hyp3"), first, last, baseline=(-1) ** number * 35.0)

ds = xinsar.open_stack("02_hyp3")  # nothing but headers is read here
print(ds)

cube = ds.isel(pair=slice(0, 3)).insar.to_cube("02_track.zarr", mode="w")
print("saved", dict(cube.sizes))

cube = ds.isel(pair=slice(3, None)).insar.to_cube("02_track.zarr", mode="a", append_dim="pair")
print("grown", dict(cube.sizes))

reopened = xinsar.open_cube("02_track.zarr")
assert np.array_equal(reopened.unwrapped_phase, ds.unwrapped_phase)
plot.baseline_network(reopened).figure.savefig("02_network.png", dpi=120)
