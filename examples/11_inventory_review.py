"""I have detections from two tracks. I want one inventory with attributes, checked by eye, scored, and in every format.

Simulated: detections of two orbits become one table, weak ones and snow are left out, every object is measured on the
velocity maps, a sample is drawn for review and filled in (here by the truth), and the scores are printed. Writes
``11_landslides.gpkg``, ``.kml`` (opens in Google Earth), ``.shp`` and ``.json`` (COCO), and ``11_review.gpkg``.
"""

import warnings

import geopandas as gpd
from shapely.geometry import LineString

import xinsar
from xinsar import inventory

made = xinsar.simulate.products(21, shape=(256, 256), tier="easy")
tracks = {name: node.to_dataset() for name, node in made.cube.children.items()}
reference = xinsar.simulate.reference_inventory(made.truth)

# One inventory from two tables, with what is known of every object.
tables = {name: xinsar.detect_threshold(ds) for name, ds in tracks.items()}
found = inventory.merge_inventories(tables)
ground = xinsar.look_geometry(tracks["ascending"])
found = inventory.mask_objects(found, ground[["layover", "shadow"]])
found = inventory.attributes(found, tracks)
found = inventory.patch_classes(found)
print(f"{[len(t) for t in tables.values()]} detections of two tracks are {len(found)} objects")
print(found["seen_by"].value_counts().to_string())
print(inventory.patch_statistics(found)[["count", "mean_area", "mean_brightness"]].round(2).to_string())

# Which of them threaten a road? (A made-up one, through the middle of the scene.)
west, south, east, north = found.total_bounds
road = gpd.GeoSeries([LineString([((west + east) / 2, south), ((west + east) / 2, north)])], crs=found.crs)
found = inventory.potential_landslides(found, roads=road, distance=1000, drop=False)
print(f"{found['potential_landslide'].sum()} of them lie within a kilometre of the road")

# A sample to look at. An analyst fills in the verdicts on images; here the truth does.
sample = inventory.sample_for_review(found, 10, by="seen_by", seed=1)
inventory.save_inventory(sample, "11_review.gpkg")
landslides = made.truth[made.truth["class"] == "landslide"].union_all()
sample["verdict"] = [
    "landslide" if shape.intersects(landslides) else "something else" for shape in sample.geometry
]
alarms = inventory.false_alarm_rate(sample)
print(f"false alarms: {alarms.rate:.0%} ({alarms.lower:.0%} to {alarms.upper:.0%}; {alarms.method})")

# Scores against what is known, which only a simulation has.
scores = inventory.evaluate_inventory(found, reference)
print(scores[["precision", "recall", "f1"]].round(2).to_string())
print(inventory.average_precision(found, reference).round(2).to_dict())
print(
    inventory.recall_by(found, reference, "area", bins=[0, 1e5, 5e5, 1e7])[
        ["low", "truth", "recalled"]
    ].to_string()
)

# Hand it over; and what was written opens again.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*at most 10 characters")  # a shapefile's names, kept beside it
    for ending in ("gpkg", "kml", "shp", "json"):
        path = inventory.save_inventory(found, f"11_landslides.{ending}", grid=tracks["ascending"])
        print(f"{path}: {len(inventory.open_inventory(path))} objects")
