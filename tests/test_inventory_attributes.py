"""Attributes, patch classes, filters, masks, distances and densities of an inventory."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import xarray as xr
from shapely.geometry import LineString, Point, Polygon, box

import xinsar
from tests.helpers import with_crs
from xinsar.inventory import (
    attributes,
    gradient_filter,
    landslide_density,
    mask_objects,
    patch_classes,
    patch_statistics,
    potential_landslides,
)
from xinsar.inventory.attributes import rectangle_sides
from xinsar.inventory.metric import flat_parts, is_metric, outline_lengths, square_metres
from xinsar.inventory.tables import checked

WEST, NORTH, STEP = 480_000.0, 5_201_000.0, 20.0


def table(*shapes, crs=32632, **columns):
    import geopandas as gpd

    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def at(x, y, width=200.0, height=200.0):
    """A box on the map below, metres east and south of its corner."""
    return box(WEST + x, NORTH - y - height, WEST + x + width, NORTH - y)


def maps(**variables):
    """Maps of 50 rows and 60 columns of 20 m."""
    shape = 50, 60
    coords = {"y": NORTH - STEP * (np.arange(50) + 0.5), "x": WEST + STEP * (np.arange(60) + 0.5)}
    ds = xr.Dataset({n: (("y", "x"), np.broadcast_to(v, shape).copy()) for n, v in variables.items()}, coords)
    return with_crs(ds, "EPSG:32632")


# ---- size and shape -----------------------------------------------------------------------------------------------


def test_size_and_shape():
    leaning = shapely.affinity.rotate(box(0, 0, 100, 400), -30, origin=(0, 0))  # long axis toward 30 degrees
    holed = box(0, 0, 300, 200).difference(box(100, 50, 150, 100))
    found = attributes(table(leaning, holed))
    assert found["area"].tolist() == pytest.approx([40_000, 57_500])
    assert found["perimeter"].tolist() == pytest.approx([1000, 1200])
    assert found["length"].tolist() == pytest.approx([400, 300])
    assert found["width"].tolist() == pytest.approx([100, 200])
    assert found["orientation"].tolist() == pytest.approx([30, 90])
    assert list(found.columns)[-1] == "geometry"


def test_sides_are_those_of_the_smallest_rectangle():
    """Against all rectangles along an edge of the hull, one of which is the smallest."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        hull = shapely.MultiPoint(rng.normal(size=(12, 2)) * (3, 1)).convex_hull
        corners = np.array(hull.exterior.coords)
        sizes = []
        for side in np.diff(corners, axis=0):
            u = side / np.hypot(*side)
            along, across = corners @ u, corners @ (-u[1], u[0])
            sizes.append((np.ptp(along), np.ptp(across)))
        best = min(sizes, key=np.prod)
        length, width, _ = rectangle_sides(table(hull).geometry)[0]
        assert (length, width) == pytest.approx((max(best), min(best)))


@pytest.mark.parametrize("crs", [4326, 3857, 32632])
def test_degrees_and_untrue_maps_are_measured_on_the_ground(crs):
    shapes = [Point(480_000, 5_200_000).buffer(300), box(500_000, 5_210_000, 500_800, 5_210_200)]
    wanted = attributes(table(*shapes))
    found = attributes(table(*shapes).to_crs(crs))
    for name in ("area", "perimeter", "length", "width"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=3e-3, err_msg=name)
    turned = abs(found["orientation"][1] - wanted["orientation"][1])
    assert min(turned, 180 - turned) < 1


def test_no_outline_no_size():
    found = attributes(table(Polygon(), at(0, 0)))
    assert found[["area", "perimeter", "length", "width", "orientation"]].isna().all(axis=1).tolist() == [
        True,
        False,
    ]
    assert len(attributes(table())) == 0


def test_areas_and_lengths_on_the_ellipsoid():
    from pyproj import Geod

    degree = table(box(10, 60, 11, 61), crs=4326)
    area, length = Geod(ellps="WGS84").geometry_area_perimeter(box(10, 60, 11, 61))
    assert square_metres(degree)[0] == pytest.approx(abs(area))
    assert outline_lengths(degree)[0] == pytest.approx(length)


def test_which_systems_are_metric():
    near = Point(480_000, 5_200_000).buffer(100)
    assert is_metric(table(near))
    assert is_metric(table(near, crs=None))
    assert is_metric(table(near, crs=32632).iloc[:0])
    assert not is_metric(table(near).to_crs(4326))
    assert not is_metric(table(near).to_crs(3857))
    assert not is_metric(table(near).to_crs("EPSG:2263")), "feet"
    assert is_metric(table(near).to_crs("EPSG:3035"))


def test_local_systems_are_true_around_their_objects():
    from pyproj import Geod

    rng = np.random.default_rng(1)
    places = rng.uniform((-180, -85), (180, 85), (30, 2))
    shapes = [LineString([(x, y), (x + 0.01, y + 0.005)]).buffer(1e-9) for x, y in places]
    world = table(*shapes, crs=4326)
    seen = []
    for here, crs in flat_parts(world):
        seen += here.tolist()
        flat = world.geometry.iloc[here].to_crs(crs)
        for k, shape in zip(here, flat, strict=True):
            x, y = places[k]
            metres = Geod(ellps="WGS84").inv(x, y, x + 0.01, y + 0.005)[2]
            assert shape.length / 2 == pytest.approx(metres, rel=1e-3)
    assert sorted(seen) == list(range(30))


# ---- motion and ground --------------------------------------------------------------------------------------------


def test_motion_and_terrain():
    x = np.arange(60)
    ds = maps(velocity=0.0, temporal_coherence=0.8, sensitivity=-0.5, elevation=1000 + 10.0 * x)
    ds.velocity[:10, :10] = -0.04
    ds.velocity[3, 3] = -0.1
    ds.velocity[5, 5] = np.nan
    found = attributes(table(at(0, 0), at(600, 600)), ds.assign_attrs(wavelength=0.0555))
    assert found["velocity"].tolist() == pytest.approx([(-0.04 * 98 - 0.1) / 99, 0])
    assert found["peak_velocity"].tolist() == pytest.approx([-0.1, 0])
    assert found["brightness"][0] == pytest.approx((0.04 * 98 + 0.1) / 99 / 0.028)
    assert found["sensitivity"].tolist() == [-0.5, -0.5]
    assert found["temporal_coherence"].tolist() == pytest.approx([0.8, 0.8])
    assert found["elevation_range"].tolist() == [90, 90]
    assert found["elevation_min"].tolist() == [1000, 1300]
    assert found["slope"][1] == pytest.approx(np.degrees(np.arctan(0.5)))
    assert found["aspect"][1] == pytest.approx(270)


def test_terrain_that_is_there_is_taken():
    ds = maps(slope=20.0, aspect=350.0)
    ds.aspect[:, :5] = 20.0
    found = attributes(table(at(0, 0)), ds)
    assert found["slope"].tolist() == [20]
    assert found["aspect"][0] == pytest.approx(5, abs=0.3)
    assert "elevation_range" not in found
    assert "velocity" not in found


def test_each_track_and_the_one_that_sees_most():
    ascending, descending = maps(velocity=0.01, elevation=5.0), maps(velocity=-0.03)
    descending.velocity[:10, :10] = np.nan
    bodies = table(at(0, 0), at(600, 600))
    for data in (
        {"ascending": ascending, "descending": descending},
        xr.DataTree.from_dict({"ascending": ascending, "descending": descending}),
    ):
        found = attributes(bodies, data)
        assert found["velocity_ascending"].tolist() == pytest.approx([0.01, 0.01])
        assert found["velocity"].tolist() == pytest.approx([0.01, -0.03])
        assert found["brightness"].tolist() == pytest.approx([0.01 / 0.028, 0.03 / 0.028])
        assert found["elevation_range"].tolist() == [0, 0]


def test_lazy_maps_give_the_same():
    rng = np.random.default_rng(0)
    ds = maps(velocity=rng.normal(size=(50, 60)), elevation=rng.normal(size=(50, 60)).cumsum(0))
    bodies = table(*(at(*p) for p in rng.uniform(0, 900, (20, 2))))
    wanted = attributes(bodies, ds)
    assert (
        attributes(bodies, ds.chunk(y=7, x=9))
        .drop(columns="geometry")
        .equals(wanted.drop(columns="geometry"))
    )


def test_columns_are_replaced_and_others_kept():
    bodies = table(at(0, 0), id=[7], area=[1.0], remark=["old"])
    found = attributes(bodies)
    assert list(found.columns) == [
        "id",
        "remark",
        "area",
        "perimeter",
        "length",
        "width",
        "orientation",
        "geometry",
    ]
    assert found["area"].tolist() == [40_000]
    assert bodies["area"].tolist() == [1.0]


def test_wrong_data_is_named():
    with pytest.raises(TypeError, match="data: expected a Dataset, a dict of Datasets"):
        attributes(table(at(0, 0)), [1])
    with pytest.raises(ValueError, match="fringe: expected a number above 0"):
        attributes(table(at(0, 0)), maps(velocity=1.0), fringe=0)
    with pytest.raises(ValueError, match="outlines: expected a coordinate reference system in both"):
        attributes(table(at(0, 0), crs=None), maps(velocity=1.0))


# ---- patches ------------------------------------------------------------------------------------------------------


def test_three_classes():
    bodies = table(
        at(0, 0, 800, 100),
        at(0, 0, 800, 100),
        at(0, 0),
        at(0, 0, 390, 200),
        brightness=[1.0, 0.99, 0.1, np.nan],
    )
    found = patch_classes(bodies)
    assert found["patch_class"].tolist() == ["strong", "elongated", "compact", "compact"]
    assert patch_classes(bodies, min_elongation=1.9)["patch_class"].tolist()[3] == "elongated"
    assert patch_classes(bodies, min_brightness=0.05)["patch_class"].tolist()[2] == "strong"


def test_statistics_of_the_classes():
    bodies = table(at(0, 0), at(0, 0, 400, 400), at(0, 0, 100, 100), brightness=[2.0, 4.0, 0.5])
    found = patch_statistics(patch_classes(bodies))
    assert found.index.tolist() == ["strong", "elongated", "compact"]
    assert found["count"].tolist() == [2, 0, 1]
    assert found["area"].tolist() == [200_000, 0, 10_000]
    assert found["mean_perimeter"].tolist()[0] == 1200
    assert found["perimeter_per_area"][["strong", "compact"]].tolist() == pytest.approx(
        [2400 / 200_000, 0.04]
    )
    assert found["mean_brightness"]["strong"] == 3
    assert found.loc["elongated", ["mean_area", "perimeter_per_area", "mean_brightness"]].isna().all()


def test_patches_need_brightness():
    with pytest.raises(ValueError, match="inventory: expected a column 'brightness'"):
        patch_classes(table(at(0, 0)))
    with pytest.raises(ValueError, match="min_elongation: expected length over width"):
        patch_classes(table(at(0, 0), brightness=[1.0]), min_elongation=0.5)
    with pytest.raises(ValueError, match="expected a column 'patch_class'"):
        patch_statistics(attributes(table(at(0, 0), brightness=[1.0])))


# ---- gradients ----------------------------------------------------------------------------------------------------


def stack(**gradients):
    ds = maps(**gradients)
    for name in gradients:
        ds[name].attrs = {"units": "rad", "estimator": "sum", "offset": 0.5}
    return ds


def test_one_direction_is_enough():
    ds = stack(gradient_y=0.0, gradient_x=0.0)
    ds.gradient_y[1:3, 1:7] = -1.3  # 12 of 100 pixels of the first box
    ds.gradient_x[31:33, 31:35] = 5.0  # 8 of 100 of the second
    bodies = table(at(0, 0), at(600, 600), at(400, 400))
    kept = gradient_filter(bodies, ds)
    assert kept.index.tolist() == [0]
    every = gradient_filter(bodies, ds, drop=False)
    assert every["strong_gradient"].tolist() == [True, False, False]
    assert every["gradient_share"].round(2).tolist() == [0.12, 0.08, 0.0]
    assert len(gradient_filter(bodies, ds, min_share=0.08)) == 2
    assert len(gradient_filter(bodies, ds, min_gradient=1.31)) == 0


def test_share_is_of_the_valid_pixels():
    ds = stack(gradient_x=np.nan)
    ds.gradient_x[:10, 0] = 1.2
    ds.gradient_x[:10, 1:9] = 0.1
    found = gradient_filter(table(at(0, 0), at(600, 600)), ds, drop=False)
    assert found["gradient_share"][0] == pytest.approx(1 / 9, abs=0.02)
    assert np.isnan(found["gradient_share"][1])
    assert found["strong_gradient"].tolist() == [True, False]


def test_box_or_outline():
    ds = stack(gradient_x=0.0)
    ds.gradient_x[:3, :10] = 2.0
    lower = Polygon(
        [(WEST, NORTH - 200), (WEST + 200, NORTH - 200), (WEST + 100, NORTH - 100), (WEST + 90, NORTH)]
    )
    assert len(gradient_filter(table(lower), ds)) == 1
    assert len(gradient_filter(table(lower), ds, within="outline")) == 0


def test_any_track_is_enough():
    weak, strong = stack(gradient_x=0.1), stack(gradient_x=1.5)
    assert len(gradient_filter(table(at(0, 0)), {"a": weak, "b": strong})) == 1
    assert len(gradient_filter(table(at(0, 0)), {"a": weak})) == 0


def test_rates_count_on_the_scale_of_sums():
    ds = maps(gradient_x=0.01, stack_years=5.0)  # .01 rad m-1 year-1 times 20 m times 5 years: 1 rad
    ds.gradient_x.attrs = {"units": "rad m-1 year-1", "estimator": "rate", "offset": 0.5}
    ds.stack_years.attrs = {"units": "year"}
    assert len(gradient_filter(table(at(0, 0)), ds, min_gradient=0.99)) == 1
    assert len(gradient_filter(table(at(0, 0)), ds, min_gradient=1.01)) == 0


def test_a_lazy_stack_from_pairs():
    scene = xinsar.simulate.scene(
        3, shape=(64, 64), tier="hard", tracks=["ascending"], chunks={"y": 32, "x": 32}
    )
    lazy = scene.cube["ascending"].to_dataset().insar.phase_gradient_stack()
    wanted = gradient_filter(scene.truth, lazy.compute(), min_gradient=0.5, drop=False)
    found = gradient_filter(scene.truth, lazy, min_gradient=0.5, drop=False)
    assert found["gradient_share"].equals(wanted["gradient_share"])


# ---- masks --------------------------------------------------------------------------------------------------------


def test_masks_leave_out_what_they_hide():
    snow = np.zeros((50, 60), bool)
    snow[:6, :10] = True
    bodies = table(at(0, 0), at(0, 100), at(600, 600), at(-2000, 0))
    found = mask_objects(bodies, maps(snow=snow, water=False, velocity=1.0), drop=False)
    assert found["snow_share"].tolist()[:3] == pytest.approx([0.6, 0.1, 0])
    assert np.isnan(found["snow_share"][3])
    assert found["masked"].tolist() == [True, False, False, False]
    assert "velocity_share" not in found
    assert mask_objects(bodies, maps(snow=snow)).index.tolist() == [1, 2, 3]
    assert mask_objects(bodies, maps(snow=snow), max_share={"snow": 0.05}).index.tolist() == [2, 3]


def test_what_one_look_sees_is_seen():
    bodies = table(at(0, 0))
    assert len(mask_objects(bodies, maps(layover=True), maps(layover=False))) == 1
    assert len(mask_objects(bodies, maps(layover=True), maps(layover=True))) == 0
    assert len(mask_objects(bodies, maps(layover=True).layover)) == 0


def test_masks_are_checked():
    with pytest.raises(ValueError, match="masks: expected at least one Dataset"):
        mask_objects(table(at(0, 0)))
    with pytest.raises(TypeError, match="masks: expected xarray"):
        mask_objects(table(at(0, 0)), 5)
    with pytest.raises(ValueError, match=r"boolean maps, got snow \(float64\)"):
        mask_objects(table(at(0, 0)), maps(snow=1.0))
    with pytest.raises(ValueError, match="max_share: expected names of masks"):
        mask_objects(table(at(0, 0)), maps(snow=True), max_share={"ice": 0.5})
    with pytest.raises(ValueError, match=r"max_share: expected a number within 0\.\.1"):
        mask_objects(table(at(0, 0)), maps(snow=True), max_share=50)


# ---- roads and rivers ---------------------------------------------------------------------------------------------


def lines(*coordinates, crs=32632):
    import geopandas as gpd

    return gpd.GeoDataFrame(geometry=[LineString(c) for c in coordinates], crs=crs)


def test_near_a_road_or_a_river():
    bodies = table(at(0, 0), at(5000, 0), at(9000, 0))
    road = lines([(WEST + 1000, NORTH - 90_000), (WEST + 1000, NORTH + 90_000)])
    river = lines([(WEST + 5100, NORTH - 900), (WEST + 5100, NORTH + 900)])
    found = potential_landslides(bodies, roads=road, rivers=river)
    assert found.index.tolist() == [0, 1]
    assert found["road_distance"].tolist() == [800, 4000]
    assert found["river_distance"].tolist() == [4900, 0]
    every = potential_landslides(bodies, roads=road, rivers=river, drop=False)
    assert every["potential_landslide"].tolist() == [True, True, False]
    assert potential_landslides(bodies, rivers=river, distance=3700).index.tolist() == [1]
    assert potential_landslides(bodies, rivers=river, distance=3700.1).index.tolist() == [1]
    assert potential_landslides(bodies, roads=road, distance=800).index.tolist() == [0]


def test_distances_in_degrees_are_those_on_the_ground():
    rng = np.random.default_rng(2)
    bodies = table(*(at(x, y) for x, y in rng.uniform(-60_000, 60_000, (40, 2))))
    road = lines(rng.uniform(0, 1, (9, 2)) * (90_000, 90_000) + (WEST - 40_000, NORTH - 40_000))
    wanted = potential_landslides(bodies, roads=road, drop=False)
    for crs in (4326, 3857):
        found = potential_landslides(bodies.to_crs(crs), roads=road.to_crs(4326), drop=False)
        np.testing.assert_allclose(found["road_distance"], wanted["road_distance"], rtol=2e-3, atol=2)


def test_a_far_road_is_found_in_the_end():
    from pyproj import Geod

    bodies = table(Point(100.0, 30.0).buffer(0.001), crs=4326)
    road = lines([(105, 30), (105, 31)], [(90, -40), (95, -40)], crs=4326)
    found = potential_landslides(bodies, roads=road, drop=False)["road_distance"][0]
    assert found == pytest.approx(Geod(ellps="WGS84").inv(100.001, 30, 105, 30)[2], rel=2e-3)


def test_no_road_at_all():
    bodies = table(at(0, 0), Polygon())
    assert len(potential_landslides(bodies, roads=lines())) == 0
    found = potential_landslides(bodies, roads=lines(), drop=False)
    assert found["road_distance"].isna().all()
    assert found["potential_landslide"].tolist() == [False, False]
    near = lines([(WEST, NORTH), (WEST + 1, NORTH)])
    assert potential_landslides(bodies, roads=near, drop=False)["road_distance"].isna().tolist() == [
        False,
        True,
    ]


def test_lines_are_checked():
    bodies = table(at(0, 0))
    with pytest.raises(ValueError, match="roads, rivers: expected lines of one or both"):
        potential_landslides(bodies)
    with pytest.raises(TypeError, match="roads: expected a GeoDataFrame"):
        potential_landslides(bodies, roads=[1])
    with pytest.raises(ValueError, match="rivers: expected a coordinate reference system"):
        potential_landslides(bodies, rivers=lines([(0, 0), (1, 1)], crs=None))
    with pytest.raises(ValueError, match="distance: expected a number above 0"):
        potential_landslides(bodies, roads=lines(), distance=0)


# ---- density ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", [32632, 4326])
def test_density_holds_every_landslide(crs):
    bodies = table(at(0, 0), at(3000, 0), at(3100, 100)).to_crs(crs)
    density = landslide_density(bodies, 1500, target=100).density
    dy, dx = xinsar.grid.pixel_spacing(density)
    total = float((density * xr.DataArray(dy * dx, dims="y")).sum())
    assert total == pytest.approx(3, rel=1e-3)
    peak = density.argmax(["y", "x"])
    where = (
        table(Point(float(density.x[peak["x"]]), float(density.y[peak["y"]])), crs=crs)
        .to_crs(32632)
        .geometry[0]
    )
    assert where.distance(Point(WEST + 3150, NORTH - 150)) < 150


def test_density_equals_that_of_its_centroids():
    bodies = table(at(0, 0), at(900, 300), size=[2.0, 5.0])
    target = maps(velocity=0.0)
    found = landslide_density(bodies, 700, weights="size", target=target).density
    wanted = np.zeros((50, 60))
    for shape, weight in zip(bodies.geometry, bodies["size"], strict=True):
        d = np.hypot(target.x.values - shape.centroid.x, (target.y.values - shape.centroid.y)[:, None])
        wanted += np.where(d < 700, weight * 3 / np.pi / 700**2 * (1 - (d / 700) ** 2) ** 2, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-18)


def test_density_of_nothing():
    target = maps(velocity=0.0)
    found = landslide_density(table(), 500, target=target).density
    assert found.shape == (50, 60)
    assert (found == 0).all()
    assert found.attrs["units"] == "m-2"
    with pytest.raises(ValueError, match="inventory: expected objects, which give the map its extent"):
        landslide_density(table(), 500)
    with pytest.raises(ValueError, match="expected a column 'weight'"):
        landslide_density(table(at(0, 0)), 500, weights="weight")


# ---- tables at the door -------------------------------------------------------------------------------------------


def test_outlines_are_repaired_aloud_and_the_caller_keeps_his():
    bow = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    mine = table(bow, at(0, 0), id=[1, 2])
    with pytest.warns(UserWarning, match="inventory: 1 of 2 outlines cross themselves"):
        found = attributes(mine)
    assert found["area"].tolist() == pytest.approx([50, 40_000])
    assert not mine.geometry[0].is_valid


def test_collections_keep_their_polygons():
    from shapely.geometry import GeometryCollection

    mixed = GeometryCollection([box(0, 0, 1, 1), LineString([(0, 0), (9, 9)]), box(5, 5, 6, 6)])
    shape = checked(table(mixed), "found").geometry[0]
    assert shape.geom_type == "MultiPolygon"
    assert shape.area == 2


def test_tables_of_another_kind():
    import geopandas as gpd
    import pandas as pd

    with pytest.raises(TypeError, match="inventory: expected a GeoDataFrame of outlines, got DataFrame"):
        attributes(pd.DataFrame({"id": [1]}))
    with pytest.raises(ValueError, match="inventory: expected a column of outlines, got none"):
        attributes(gpd.GeoDataFrame({"id": [1]}))
    with pytest.raises(ValueError, match="expected polygons, got LineString in 1 of 2 rows"):
        attributes(table(at(0, 0), LineString([(0, 0), (1, 1)])))
    renamed = table(at(0, 0)).rename_geometry("outline")
    assert attributes(renamed)["area"].tolist() == [40_000]
