"""Samples of cubes and outlines: labels in another reference system, overlaps, gaps, edges; and what does not fit."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import Point, box

import xinsar
from tests.detection_tools import make_map
from xinsar.inventory import save_inventory
from xinsar.models import Channel, ModelCard
from xinsar.training import samples

CARD = ModelCard(
    "cubes",
    "1",
    (
        Channel("velocity", 0),
        Channel("velocity", 1),
        Channel("slope"),
        Channel("valid_velocity", 0),
        Channel("inside"),
    ),
    window=(32, 32),
    overlap=0,
    min_pixels=2,
)
ROWS, COLUMNS = 40, 50
LEFT, TOP, STEP = 500_000, 5_000_000, 25.0


def pixels(top, bottom, left, right):
    """Return the outline of a box of pixels."""
    return box(LEFT + STEP * left, TOP - STEP * bottom, LEFT + STEP * right, TOP - STEP * top)


@pytest.fixture
def cube(tmp_path):
    """Two tracks whose velocities number the pixels; the first has a gap that the second covers half of."""
    numbers = np.arange(ROWS * COLUMNS, dtype="f4").reshape(ROWS, COLUMNS)
    first, second = numbers.copy(), -numbers
    first[30:, 40:], second[30:35, 40:] = np.nan, np.nan
    height = make_map(10 * numbers % 17, name="elevation").elevation.assign_attrs(units="m")
    tree = {"asc": make_map(first).assign(elevation=height), "desc": make_map(second)}
    xinsar.save_cube(xr.DataTree.from_dict(tree), tmp_path / "cube.zarr", progress=False)
    return str(tmp_path / "cube.zarr")


def truth():
    """A body over the border of two windows, a smaller one in its corner, one to ignore, and a speck."""
    shapes = [pixels(10, 20, 25, 40), pixels(10, 14, 25, 29), pixels(2, 6, 2, 6), pixels(25, 26, 5, 6)]
    return gpd.GeoDataFrame({"ignore": [False, False, True, False]}, geometry=shapes, crs=32633)


def written(folder, table, name="truth.gpkg"):
    return str(save_inventory(table, folder / name))


def windows(cube, file, shape=(32, 32), card=CARD):
    return [maker() for maker in samples.from_cubes([cube], [file], card, shape=shape)]


def mosaic(parts, name, fill=0):
    """Return the field of windows side by side, cut to the cube."""
    a, b, c, d = (getattr(part, name) for part in parts)
    whole = np.concatenate([np.concatenate([a, b], -1), np.concatenate([c, d], -1)], -2)
    assert np.isin(whole[..., ROWS:, :], [fill]).all() or np.isnan(whole[..., ROWS:, :]).all()
    return whole[..., :ROWS, :COLUMNS]


def test_windows_hold_the_cube(cube, tmp_path):
    parts = windows(cube, written(tmp_path, truth()))
    assert len(parts) == 4
    assert all(part.weight.shape == (32, 32) for part in parts)
    layers = mosaic(parts, "layers", fill=np.nan)
    tracks = xinsar.open_tracks(cube)
    np.testing.assert_array_equal(layers[0], tracks["asc"].velocity)
    np.testing.assert_array_equal(layers[1], tracks["desc"].velocity)
    np.testing.assert_array_equal(layers[2], xinsar.terrain(tracks["asc"].to_dataset()).slope)


def test_labels_and_where_they_count(cube, tmp_path):
    parts = windows(cube, written(tmp_path, truth()))
    foreground, weight = mosaic(parts, "fields")[0], mosaic(parts, "weight")
    wanted = np.zeros((ROWS, COLUMNS))
    wanted[10:20, 25:40] = 1
    np.testing.assert_array_equal(foreground, wanted)
    counts = np.ones((ROWS, COLUMNS))
    counts[2:6, 2:6] = counts[25, 5] = 0
    counts[30:35, 40:] = 0
    np.testing.assert_array_equal(weight, counts)


def test_the_smaller_of_overlapping_outlines_has_the_pixel(cube, tmp_path):
    whole = windows(cube, written(tmp_path, truth()), shape=(48, 64))[0]
    distance = whole.fields[2]
    inner, outer = distance[10:14, 25:29], distance[10:20, 29:40]
    assert inner.max() == outer.max() == 1
    assert (inner > 0).all()
    centres = np.argwhere(whole.fields[1] == 1)
    assert len(centres) == 2


@pytest.mark.parametrize(
    ("crs", "name"), [(4326, "truth.gpkg"), (32634, "truth.shp"), (4326, "truth.geojson")]
)
def test_labels_in_another_reference_system(cube, tmp_path, crs, name):
    wanted = windows(cube, written(tmp_path, truth()))
    got = windows(cube, written(tmp_path, truth().to_crs(crs), name))
    for a, b in zip(got, wanted, strict=True):
        assert (a.fields[0] != b.fields[0]).mean() < 0.01
        assert a.fields[0].sum() == pytest.approx(b.fields[0].sum(), rel=0.1, abs=2)


def test_a_cube_without_landslides(cube, tmp_path):
    parts = windows(cube, written(tmp_path, truth().iloc[:0]))
    assert not any(part.fields.any() for part in parts)
    assert parts[0].weight.all()


def test_several_cubes(cube, tmp_path):
    file = written(tmp_path, truth())
    assert len(samples.from_cubes([cube, cube], [file, file], CARD, shape=(32, 32))) == 8


def test_windows_see_beyond_themselves(cube, tmp_path):
    """Slopes at the edge of a window come from the ground beyond it, as they do in detection."""
    file = written(tmp_path, truth())
    small = samples.from_cubes([cube], [file], CARD, shape=(16, 16))[0]()
    whole = windows(cube, file, shape=(48, 64))[0]
    np.testing.assert_array_equal(small.layers[2], whole.layers[2][:16, :16])


def test_pixels_of_another_size_are_brought_to_those_of_the_card(tmp_path):
    coarse = make_map(np.arange(400.0).reshape(20, 20), step=50.0)
    xinsar.save_cube(coarse, tmp_path / "c.zarr", progress=False)
    table = gpd.GeoDataFrame(geometry=[pixels(8, 16, 8, 16)], crs=32633)
    with pytest.warns(UserWarning, match="resampled to 40 x 40 pixels of 25 m"):
        (part,) = windows(str(tmp_path / "c.zarr"), written(tmp_path, table), shape=(40, 40))
    wanted = np.zeros((40, 40))
    wanted[8:16, 8:16] = 1
    np.testing.assert_array_equal(part.fields[0], wanted)


def test_what_does_not_fit(cube, tmp_path):
    file = written(tmp_path, truth())
    with pytest.raises(FileNotFoundError, match=r"none\.gpkg"):
        windows(cube, str(tmp_path / "none.gpkg"))
    with pytest.raises(FileNotFoundError, match=r"none\.zarr"):
        windows(str(tmp_path / "none.zarr"), file)
    with pytest.raises(ValueError, match=r"expected some of the 4 outlines of .* got none there"):
        windows(cube, written(tmp_path, truth().translate(1e5).to_frame("geometry"), "far.gpkg"))
    points = gpd.GeoDataFrame(geometry=[Point(LEFT + 100, TOP - 100)], crs=32633)
    points.to_file(tmp_path / "points.gpkg")
    with pytest.raises(ValueError, match=r"outlines .*points\.gpkg"):
        windows(cube, str(tmp_path / "points.gpkg"))
    needed = CARD.replace(inputs=(Channel("velocity", 0), Channel("hot_spot", 1, optional=False)))
    with pytest.raises(xinsar.SchemaError, match=r"hot_spot: the model needs it.*getis_ord"):
        windows(cube, file, card=needed)


def test_what_tells_samples_from_others(cube, tmp_path):
    """Outlines that were edited, in a shapefile's table too, and a cube that was made anew, are other samples."""
    file = written(tmp_path, truth(), "truth.shp")
    before = samples.record_of([cube], [file])
    assert samples.record_of([cube], [file]) == before
    written(tmp_path, truth().assign(ignore=False), "truth.shp")
    edited = samples.record_of([cube], [file])
    assert edited["outlines"] != before["outlines"]
    assert edited["held"] == before["held"]
    tree = xinsar.open_tracks(cube)
    tree["asc"].attrs["history"] = "xinsar.velocity(seasonal=annual)"
    xinsar.save_cube(tree, tmp_path / "other.zarr", progress=False)
    other = samples.record_of([str(tmp_path / "other.zarr")], [file])
    assert list(other["held"].values()) != list(edited["held"].values())
