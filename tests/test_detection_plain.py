"""The plain detection: what is outlined, where exactly, in which order, and what is refused."""

import numpy as np
import pytest
import xarray as xr

from xinsar import detection
from xinsar.schema import SchemaError

STEP = 20.0
NOISE = 0.01


def detect_threshold(stack, *, threshold=4.0, closing=100.0, min_area=20_000.0):
    """Detect with one threshold for both significances: the stacks of this file are plain white noise."""
    return detection.detect_threshold(
        stack, min_z=threshold, min_scene_z=threshold, closing=closing, min_area=min_area
    )


def make_stack(body, *, crs=32632, step=STEP, seed=0, noise=NOISE):
    """Return the gradient stack of a field given on pixel centres, with white noise of known spread."""
    import rioxarray  # noqa: F401
    from rasterio import Affine

    rng = np.random.default_rng(seed)
    rows, columns = body.shape
    edges = {"y": np.diff(body, axis=0, append=np.nan), "x": np.diff(body, axis=1, append=np.nan)}
    data = {}
    for name, values in edges.items():
        noisy = values + rng.normal(0, noise, body.shape)
        attrs = {"units": "rad m-1 year-1", "offset": 0.5}
        data[f"gradient_{name}"] = (("y", "x"), noisy.astype("f4"), attrs)
        data[f"gradient_z_{name}"] = (("y", "x"), (noisy / max(noise, 1e-9)).astype("f4"), {"offset": 0.5})
    y, x = 5_200_000 - step * np.arange(rows), 480_000 + step * np.arange(columns)
    if crs == 4326:
        y, x = 46 - step * np.arange(rows), 8 + step * np.arange(columns)
    ds = xr.Dataset(data, {"y": y, "x": x}, {"track": "26", "orbit_direction": "ascending"})
    return ds.rio.write_crs(crs).rio.write_transform(Affine(step, 0, x[0], 0, -step, y[0])) if crs else ds


def plug(shape=(50, 60), centre=(25, 30), radius=(8, 6), height=1.0):
    rows, columns = np.indices(shape)
    distance = ((rows - centre[0]) / radius[0]) ** 2 + ((columns - centre[1]) / radius[1]) ** 2
    return height * np.exp(-(distance**2))


def place(stack, row, column):
    """Return the map coordinates of a place given in (fractional) pixels."""
    return float(stack.x[0]) + column * STEP, float(stack.y[0]) - row * STEP


def test_a_body_becomes_one_object_at_its_place():
    stack = make_stack(plug())
    found = detect_threshold(stack, closing=60)
    assert list(found.columns) == ["id", "score", "class", "area", "geometry"]
    assert found["id"].tolist() == [1]
    assert found["class"].tolist() == ["moving"]
    centre = found.geometry.centroid[0]
    assert (centre.x, centre.y) == pytest.approx(place(stack, 25, 30), abs=STEP / 2)
    assert found.crs == "EPSG:32632"


def test_outline_is_half_a_pixel_on_from_the_gradient():
    """A ramp from column 9 to column 13 (rows 0..19) marks just what lies between these pixel centres."""
    body = np.zeros((20, 40))
    body[:, 9:14] = np.arange(5.0)
    body[:, 14:] = 4.0
    stack = make_stack(body, noise=1e-3)
    found = detect_threshold(stack, threshold=50, closing=0, min_area=0)
    left, top = place(stack, 0, 9)
    right, bottom = place(stack, 19, 13)
    assert found.total_bounds.tolist() == [left, bottom, right, top]
    assert found.area.tolist() == [pytest.approx(4 * 19 * STEP**2)]


def test_two_lobes_of_one_body_are_joined_by_the_closing_radius():
    body = plug((60, 60), (30, 30), (14, 14))
    lobes = make_stack(body).assign(gradient_z_y=lambda d: d.gradient_z_y * 0)
    apart = detect_threshold(lobes, closing=0, min_area=20 * STEP**2)
    joined = detect_threshold(lobes, closing=160, min_area=20 * STEP**2)
    assert (len(apart), len(joined)) == (2, 1)
    assert joined.area[0] > apart.area.sum()


def test_the_inside_of_a_rim_is_filled():
    found = detect_threshold(make_stack(plug((60, 60), (30, 30), (14, 14))), closing=40)
    assert len(found) == 1
    assert not found.geometry[0].interiors


def test_closing_at_the_image_border_keeps_the_body():
    found = detect_threshold(make_stack(plug(centre=(0, 30))), closing=200)
    assert len(found) == 1
    assert found.total_bounds[3] == pytest.approx(place(make_stack(plug()), 0, 0)[1])


def test_ids_follow_first_row_then_first_column():
    body = plug(centre=(30, 10), radius=(4, 4)) + plug(centre=(14, 50), radius=(4, 4))
    body += plug(centre=(14, 20), radius=(4, 4))
    stack = make_stack(body, noise=1e-3)
    found = detect_threshold(stack, threshold=8, closing=40)
    assert found["id"].tolist() == [1, 2, 3]
    columns = ((found.geometry.centroid.x - 480_000) / STEP).round(-1).tolist()
    assert columns == [20, 50, 10]


def test_min_area_drops_small_objects_only():
    body = plug(centre=(15, 15), radius=(8, 8)) + plug(centre=(38, 45), radius=(3, 3))
    stack = make_stack(body)
    areas = detect_threshold(stack, closing=40, min_area=1000)["area"]
    assert len(areas) == 2
    assert len(detect_threshold(stack, closing=40, min_area=float(areas.mean()))) == 1


def test_score_follows_the_peak_strength():
    body = plug(centre=(15, 15), height=0.3) + plug(centre=(35, 45), height=1.0)
    found = detect_threshold(make_stack(body), closing=60)
    weak, strong = found["score"]
    assert 0.5 <= weak < strong < 1


def test_scene_wide_noise_is_no_detection_even_if_every_pair_agrees():
    """Rough atmosphere that all pairs share: |z| is large everywhere, but nothing stands out of the scene."""
    stack = make_stack(np.zeros((60, 60)))
    shouting = stack.assign(gradient_z_y=stack.gradient_z_y * 50, gradient_z_x=stack.gradient_z_x * 50)
    assert len(detect_threshold(shouting, threshold=5)) == 0


def test_scene_outlier_that_the_pairs_do_not_support_is_no_detection():
    stack = make_stack(plug())
    doubtful = stack.assign(gradient_z_y=stack.gradient_z_y * 0.01, gradient_z_x=stack.gradient_z_x * 0.01)
    assert len(detect_threshold(doubtful)) == 0


def test_nothing_found_is_an_empty_table_with_columns_and_system():
    found = detect_threshold(make_stack(np.zeros((30, 30)), noise=0))
    assert len(found) == 0
    assert list(found.columns) == ["id", "score", "class", "area", "geometry"]
    assert found.crs == "EPSG:32632"
    assert found["id"].dtype == "int64"
    assert found["area"].dtype == "float64"


def test_an_empty_table_goes_to_a_geopackage(tmp_path):
    import geopandas as gpd

    found = detect_threshold(make_stack(np.zeros((30, 30)), noise=0))
    found.to_file(tmp_path / "none.gpkg")
    back = gpd.read_file(tmp_path / "none.gpkg")
    assert len(back) == 0
    assert back.crs == found.crs


def test_a_perfectly_still_scene_still_shows_a_body():
    found = detect_threshold(make_stack(np.where(plug() > 0.1, plug(), 0), noise=0).fillna(0), closing=60)
    assert len(found) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 12), (12, 1), (2, 2)])
def test_tiny_images_hold_nothing(shape):
    assert len(detect_threshold(make_stack(np.zeros(shape)), min_area=0, threshold=50)) == 0


def test_missing_pixels_are_never_found_and_do_not_disturb():
    stack = make_stack(plug())
    holed = stack.copy(deep=True)
    for name in holed.data_vars:
        holed[name][:6] = np.nan
    one, other = detect_threshold(stack, closing=60), detect_threshold(holed, closing=60)
    assert one.geometry[0].symmetric_difference(other.geometry[0]).area < 0.1 * one.area[0]
    assert len(detect_threshold(stack * np.nan)) == 0


@pytest.mark.parametrize("chunks", [{"y": 7, "x": 13}, {"y": 1, "x": -1}, {"y": 50, "x": 11}])
def test_chunks_change_nothing(chunks):
    stack = make_stack(plug())
    one, other = detect_threshold(stack), detect_threshold(stack.chunk(chunks))
    assert one.geometry.to_wkb().tolist() == other.geometry.to_wkb().tolist()
    assert one.drop(columns="geometry").equals(other.drop(columns="geometry"))


def test_area_in_degrees_is_square_metres():
    from pyproj import Geod

    stack = make_stack(plug(), crs=4326, step=0.0002)
    found = detect_threshold(stack, closing=60)
    exact = abs(Geod(ellps="WGS84").geometry_area_perimeter(found.geometry[0])[0])
    assert found["area"][0] == pytest.approx(exact, rel=1e-3)


def test_parts_narrower_than_three_pixels_are_dropped():
    body = np.zeros((20, 40))
    body[:, 11:] = np.minimum(np.arange(29.0), 2)
    assert len(detect_threshold(make_stack(body, noise=1e-3), threshold=50, closing=0, min_area=0)) == 0


def test_objects_that_touch_at_a_corner_are_one():
    stack = make_stack(np.zeros((12, 12)), noise=0).fillna(0)
    for name in ("gradient_x", "gradient_z_x"):
        stack[name][1:5, 1:4] = 9.0
        stack[name][4:8, 4:7] = 9.0
    found = detect_threshold(stack, threshold=6, closing=0, min_area=0)
    assert len(found) == 1
    assert found.is_valid.all()


def test_settings_and_track_are_kept():
    attrs = detect_threshold(make_stack(plug()), threshold=5).attrs
    assert attrs["min_z"] == 5
    assert attrs["track"] == "26"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_z": 0}, "min_z: expected a number above 0"),
        ({"min_scene_z": np.nan}, "min_scene_z: expected a number above 0"),
        ({"closing": -1}, "closing: expected a number of at least 0"),
        ({"min_area": -1}, "min_area: expected a number of at least 0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        detection.detect_threshold(make_stack(plug()), **settings)


def test_a_stack_without_significance_names_the_estimator():
    with pytest.raises(SchemaError, match='estimator="rate"'):
        detect_threshold(make_stack(plug()).drop_vars(["gradient_z_y", "gradient_z_x"]))


def test_a_stack_of_several_fields_is_refused():
    with pytest.raises(SchemaError, match="isel"):
        detect_threshold(make_stack(plug()).expand_dims(season=2))
