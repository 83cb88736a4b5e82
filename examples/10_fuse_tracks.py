"""I have displacement series of an ascending and a descending track: how does each slope move, date by date?

The tracks came on different days, and their zeros drift apart. Fusing brings the descending track to the dates
and the level of the ascending one, by what both see of still ground; then the two can be decomposed. Both are
simulated, so the truth is known. Writes ``10_east.png``.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

import xinsar

SHAPE, EAST, UP = (100, 120), 0.04, -0.015  # the slide moves 40 mm a year east, and sinks
LOOKS = {"ascending": (348.0, 39.0), "descending": (192.0, 37.0)}  # heading and incidence, degrees

scene = xinsar.simulate.scene(seed=5, shape=SHAPE, tracks=["ascending"], chunks=64)
mountains = scene.cube["ascending"].to_dataset()
ground = xinsar.terrain(mountains).load()
row, column = np.indices(SHAPE)
slide = np.hypot((row - 55) / 16, (column - 64) / 11) < 1


def track(name: str, days: np.ndarray, tilt: float) -> xr.Dataset:
    """Return the series of one track: the slide, a zero that tilts, weather and noise."""
    rng = np.random.default_rng(len(name))
    east, _, up = xinsar.simulate.los_vector(*LOOKS[name])
    rate = (east * EAST + up * UP) * slide + tilt * (column / SHAPE[1] - 0.5)
    weather = [0.06 * gaussian_filter(rng.normal(size=SHAPE), 20) for _ in days]
    values = (days / 365.25)[:, None, None] * rate + weather + 0.002 * rng.normal(size=(days.size, *SHAPE))
    time = np.datetime64("2021-01-01", "ns") + days * np.timedelta64(1, "D")
    return xr.Dataset(
        {"displacement": (("time", "y", "x"), (values - values[0]).astype("f4"), {"units": "m"})},
        {"time": time, "y": mountains.y, "x": mountains.x, "spatial_ref": mountains.spatial_ref},
        {"heading": LOOKS[name][0], "incidence": LOOKS[name][1], "track": name},
    ).assign(aspect=ground.aspect)


ascending = track("ascending", np.arange(0, 720, 12), tilt=0.01)
descending = track("descending", np.arange(-43, 740, 14), tilt=-0.02)

fused = ascending.insar.fuse_tracks(descending)
print(f"{int(fused.control_points)} control points stand still, {int(fused.bandwidth)} count at a place")

motion = xinsar.decompose_los(ascending, fused).motion  # time, component, y, x
velocity = 1000 * motion.insar.velocity().velocity
for name, true in (("east", EAST), ("up", UP)):
    found = float(velocity.sel(component=name).where(slide).mean())
    print(f"{name:4}: {found:6.1f} mm/year on the slide, {1000 * true:6.1f} in truth")

east = velocity.sel(component="east")
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
east.plot(ax=axes[0], vmin=-45, vmax=45, cmap="RdBu_r", cbar_kwargs={"label": "mm/year toward east"})
axes[0].set(aspect="equal", title="velocity toward east", xlabel="", ylabel="", xticks=[], yticks=[])
one = 1000 * motion.isel(y=55, x=64)
for name in ("east", "up"):
    axes[1].plot(one.time, one.sel(component=name), label=name)
axes[1].set(title="one pixel of the slide", ylabel="mm")
axes[1].legend()
axes[1].tick_params(axis="x", rotation=30)
figure.savefig("10_east.png", dpi=120)
