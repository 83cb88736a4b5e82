"""I have unwrapped pairs of two orbits: how fast do my slopes slide, and how far can I trust the numbers?

Simulates both tracks over one mountain area whose bodies slide at known speeds, goes from the pairs to series, to
velocities, to east and up, and down the slope, and prints how far each step is from the truth. Writes
``08_motion.png`` and ``08_motion.tif``.
"""

import matplotlib.pyplot as plt
import numpy as np
import shapely
import xarray as xr
from scipy.ndimage import gaussian_filter

import xinsar
from xinsar import plot

LOOKS = 12


def known_motion(elevation: xr.DataArray, truth) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the speed down the slope (m a year) and its components east, north, up."""
    x, y = np.meshgrid(elevation.x, elevation.y)
    bodies = zip(truth.geometry, truth.velocity, strict=True)
    speed = sum(v * shapely.contains_xy(outline, x, y) for outline, v in bodies)
    ground = np.deg2rad(xinsar.terrain(elevation).fillna(0))
    a, b = ground.aspect, ground.slope
    down = xr.concat([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)], "component")
    speed = xr.DataArray(speed, {"y": elevation.y, "x": elevation.x})
    return speed, (speed * down).assign_coords(component=["east", "north", "up"])


def unwrapped_pairs(track: xr.Dataset, motion: xr.DataArray, rng: np.random.Generator) -> xr.Dataset:
    """Return the pairs as an unwrapper leaves them: motion, weather of every date, noise of the coherence."""
    ends = [track[f"{end}_time"].values for end in ("reference", "secondary")]
    dates, index = np.unique(ends, return_inverse=True)
    first, last = index.reshape(2, -1)
    shape = track.elevation.shape
    weather = np.stack([0.15 * gaussian_filter(rng.normal(0, 1, shape), 30, mode="wrap") for _ in dates])
    years = (dates - dates[0]) / np.timedelta64(1, "D") / 365.25
    toward = (track.los * motion).sum("component").values
    moved = years[:, None, None] * toward + weather
    c = track.coherence.values.clip(0.05, 0.98)
    noise = rng.normal(size=c.shape) * np.sqrt((1 - c**2) / (2 * LOOKS * c**2))
    phase = -4 * np.pi / track.wavelength * (moved[last] - moved[first]) + noise
    return track.assign(unwrapped_phase=(track.phase.dims, phase.astype("f4"), {"units": "rad"}))


def report(what: str, found: xr.DataArray, truth: xr.DataArray, where: xr.DataArray) -> None:
    """Print the median and the root mean square of the error, in mm a year."""
    error = 1000 * (found - truth).where(where)
    rms = float(np.sqrt((error**2).mean()))
    print(f"  {what:<40} {float(error.median()):6.1f} {rms:6.1f}   {int(error.count()):6d}")


rng = np.random.default_rng(11)
scene = xinsar.simulate.scene(seed=11, shape=(192, 192), tier="medium")
tracks = {name: node.to_dataset() for name, node in scene.cube.children.items()}
elevation = tracks["ascending"].elevation
speed, truth = known_motion(elevation, scene.truth)
ground = xinsar.terrain(elevation).data_vars
slowest, fastest = 1000 * scene.truth.velocity.min(), 1000 * scene.truth.velocity.max()
print(f"{len(scene.truth)} bodies slide by {slowest:.0f} to {fastest:.0f} mm a year")

# What does not move, the same for both tracks: the most coherent place away from the bodies, and 50 m around it.
coherence = sum(track.coherence.mean("pair") for track in tracks.values())
firm = coherence.where(gaussian_filter(speed.values, 3) == 0).rolling(y=5, x=5, center=True).mean()
x, y = (float(firm.where(firm == firm.max(), drop=True)[d][0]) for d in "xy")
area = ((x - 50, y - 50), (x + 50, y + 50))

print("error in mm a year:                          median    rms   pixels")
series, velocities = {}, {}
for name, track in tracks.items():
    series[name] = unwrapped_pairs(track, truth, rng).insar.invert_network(reference=area)
    found = series[name].insar.velocity()
    look = track.insar.look_geometry()
    good = ~look.layover & ~look.shadow & (series[name].temporal_coherence > 0.7)
    velocities[name] = found.where(good).assign(los=track.los).assign(ground)
    report(f"{name}, toward the satellite", found.velocity, (track.los * truth).sum("component"), good)
ascending, descending = velocities["ascending"], velocities["descending"]
both = ascending.velocity.notnull() & descending.velocity.notnull()
sliding, still = both & (speed > 0), both & (speed == 0)

# East and up. Little is seen of north, so it is taken to be 0, or such that the ground stays in its surface.
for north in ("zero", "surface"):
    motion = xinsar.decompose_los(ascending, descending, north=north).motion
    for component in motion.component.values:
        what = f"{component}, sliding ground, north={north!r}"
        report(what, motion.sel(component=component), truth.sel(component=component), sliding)

# Down the slope: one number a pixel, of each track where it sees the slope, and of both.
for name, seen in {
    "ascending": [ascending],
    "descending": [descending],
    "both": [ascending, descending],
}.items():
    down = xinsar.to_slope(*seen)
    report(f"down the slope, sliding ground, {name}", down.slope_motion, speed, sliding)
report("down the slope, still ground, both", down.slope_motion, speed, still)

# Not of east and up with north = 0: what they lack is missing on slopes toward north and south.
motion = xinsar.decompose_los(ascending, descending)
report("down the slope, of east and up", xinsar.to_slope(motion.assign(ground)).slope_motion, speed, sliding)

motion.assign(slope_motion=down.slope_motion).insar.to_geotiff("08_motion.tif")
figure, axes = plt.subplots(2, 2, figsize=(13, 10), layout="constrained")
plot.motion(motion, elevation=elevation, ax=axes[0])
plot.slope_arrows(down.assign(ground), elevation=elevation, ax=axes[1, 0])
size = abs(descending.velocity).where(sliding)
place = size.where(size == size.max(), drop=True)
place = float(place.x[0]), float(place.y[0])
plot.series(series["descending"], *place, ax=axes[1, 1])
figure.savefig("08_motion.png", dpi=110)
