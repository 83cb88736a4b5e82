"""I have velocities and gradient stacks of two tracks over mountains. Where does it slide? I want a table for my GIS.

Simulated as a survey sees the world: a landslide on 50 km2, and things that only look like them. The model that comes
with xinsar looks for them; ``--model`` takes weights of yours, or ``fast``: a plain rule that is written here in three
lines. Writes ``13_landslides.gpkg``, ``.kml`` (opens in Google Earth) and ``.png``.
"""

import argparse

import numpy as np
from scipy.ndimage import uniform_filter

import xinsar
from xinsar import inventory, plot
from xinsar.models import Channel, wrap


def fast(windows: np.ndarray) -> np.ndarray:
    """Return 1 where a mean over three pixels is faster than 20 mm a year in a track: (window, field, y, x)."""
    smooth = uniform_filter(windows, (1, 1, 3, 3))
    return (np.abs(smooth) > 0.020).any(axis=1, keepdims=True).astype(np.float32)


parser = argparse.ArgumentParser()
parser.add_argument("--model", default="default", help="default, fast, or weights (.onnx, .safetensors)")
parser.add_argument("--size", type=int, default=1024, help="pixels of a side, 25 m each")
options = parser.parse_args()
model = options.model
if model == "fast":
    tracks = [Channel("velocity", track) for track in (0, 1)]  # metres a year; missing pixels are 0
    model = wrap(fast, inputs=tracks, name="fast", window=(256, 256), overlap=16, min_pixels=40)

made = xinsar.simulate.products(
    18, shape=(options.size, options.size), tier="medium", density="survey", draws="test", chunks=512
)
found = xinsar.detect(made.cube, model=model)
print(f"{len(found)} objects by {found.attrs['model']} on {found.attrs['inputs']}")

# What is known of each: who saw it, how fast it is, what the ground is like there.
cubes = {name: node.to_dataset() for name, node in made.cube.children.items()}
ground = xinsar.look_geometry(cubes["ascending"])
found = inventory.mask_objects(found, ground[["layover", "shadow"]])
found = inventory.attributes(found, cubes)
print(
    found.sort_values("area", ascending=False)[["id", "score", "area", "seen_by"]]
    .head(5)
    .round(2)
    .to_string(index=False)
)

# The truth is known here, as it never is: what was right, what was missed?
reference = xinsar.simulate.reference_inventory(made.truth)
scores = inventory.evaluate_inventory(found, reference)
print(scores.loc[["iou_0.3", "hit"], ["precision", "recall", "f1", "found", "truth"]].round(2).to_string())

for ending in ("gpkg", "kml"):
    print(inventory.save_inventory(found, f"13_landslides.{ending}"))
ax = plot.detections(found, cubes["ascending"].elevation, truth=reference)
ax.figure.savefig("13_landslides.png", dpi=120)
