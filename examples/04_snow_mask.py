"""I want to keep snow out of the stack: mask it by an optical image, then compare what is detected.

The reflectances are made up here; in practice they are bands 3, 8A and 11 of a Sentinel-2 image, scaled
to 0..1 and brought to the grid of the cube. Writes ``04_snow.png``.
"""

import numpy as np
import xarray as xr

import xinsar
from xinsar import plot

scene = xinsar.simulate.scene(seed=11, shape=(128, 128), tier="medium", tracks=["ascending"])
ds = scene.cube["ascending"].to_dataset()


def band(name: str, over_snow: float, elsewhere: float) -> xr.DataArray:
    """Return a reflectance (0..1) with snow on the highest tenth of the scene."""
    high = ds.elevation > float(ds.elevation.quantile(0.9))
    bare = xr.full_like(ds.elevation, elsewhere).assign_attrs(units="1", long_name=f"reflectance of {name}")
    return bare.where(~high, over_snow)


snow = xinsar.snow_mask(band("B03", 0.8, 0.08), band("B8A", 0.7, 0.3), band("B11", 0.1, 0.25)).snow
print(f"snow covers {float(snow.mean()):.0%} of the scene")

stack = ds.insar.phase_gradient_stack()
masked = stack.where(~snow)
print(f"objects without the mask: {len(stack.insar.detect_threshold())}, with it: ", end="")
print(len(masked.insar.detect_threshold()))
assert np.isnan(masked.gradient_x.values[snow.values]).all()

x_axes, _ = plot.gradients(masked)
x_axes.figure.savefig("04_snow.png", dpi=120)
