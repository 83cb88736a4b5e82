"""I want to know where the ground bends, without unwrapping a single interferogram.

Stacks the phase gradients of one simulated track in several ways: filtered or not, over all pairs or
chosen ones, as a rate or as a sum. Writes ``03_gradients.png``, ``03_phase.png`` and ``03_gradients.tif``
for a GIS.
"""

import numpy as np

import xinsar
from xinsar import plot

scene = xinsar.simulate.scene(seed=11, shape=(128, 128), tier="medium", tracks=["ascending"])
ds = scene.cube["ascending"].to_dataset()

stacks = {
    "rate, window 5": ds.insar.phase_gradient_stack(),
    "rate, window 1": ds.insar.phase_gradient_stack(window=1),
    "rate, pairs up to 24 days": ds.insar.phase_gradient_stack(max_temporal_baseline=24),
    "rate, May to October": ds.insar.phase_gradient_stack(months=range(5, 11)),
}
for name, stack in stacks.items():
    strong = float((np.hypot(stack.gradient_z_x, stack.gradient_z_y) > 3).mean())
    print(f"{name:28} {int(stack.pair_count.max()):4d} pairs, {strong:7.2%} of the pixels beyond 3 sigma")

total = ds.insar.phase_gradient_stack(estimator="sum")  # the summed gradient of all pairs, rad per pixel
years = float(total.stack_years.max())
print(f"sum: up to {float(abs(total.gradient_x).max()):.1f} rad per pixel over {years:.1f} stacked years")

stack = stacks["rate, window 5"]
plot.gradients(stack)[0].figure.savefig("03_gradients.png", dpi=120)
plot.wrapped_phase(ds, pair=4).figure.savefig("03_phase.png", dpi=120)
stack.insar.to_geotiff("03_gradients.tif")
