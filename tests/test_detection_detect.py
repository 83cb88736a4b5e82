"""detect() from cube to table: the same objects whatever the chunks, the workers and the batches."""

import inspect

import dask
import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.detection_tools import CHUNKINGS, bumps, make_map, net_card, rough, same_table, write_net
from tests.helpers import _raise, make_cube, mesh, with_crs
from xinsar.models import Channel, wrap
from xinsar.models import runtime as runtimes
from xinsar.schema import SchemaError

SHAPE = (420, 370)


def fast(batch):
    """Return where the first channel is beyond 0.02."""
    return np.abs(batch[:, :1]) > 0.02


def smooth(batch):
    """Return a soft threshold of the blurred speed: a dense field whose pixels know their neighbours."""
    from scipy.ndimage import gaussian_filter

    speed = np.stack([gaussian_filter(np.abs(window[0]), 2, truncate=3) for window in batch])
    return 1 / (1 + np.exp(np.clip((0.012 - speed) / 0.002, -30, 30)))[:, None]


def plain(function=fast, **entries):
    return wrap(function, **{"window": (128, 128), "overlap": 32, **entries})


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A real convolutional net in ONNX: foreground, centre and distance."""
    path = write_net(tmp_path_factory.mktemp("net") / "net.onnx")
    net_card().write(path.with_suffix(".json"))
    return runtimes.runtime_of(path)


@pytest.fixture(scope="module")
def wanted(net):
    """What the net finds in a map in memory."""
    found = xinsar.detect(make_map(rough(SHAPE, seed=1)), model=net, progress=False)
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as made,
        distributed.Client(made, set_as_default=False) as client,
    ):
        yield client


def square(size):
    return {"y": size, "x": size}


@pytest.mark.parametrize(
    "chunks",
    [*map(square, CHUNKINGS), {"y": 100, "x": -1}, {"y": -1, "x": 90}, {"y": (1, 300, 119), "x": 370}],
)
def test_chunks_change_nothing(net, wanted, chunks):
    cube = make_map(rough(SHAPE, seed=1)).chunk(chunks)
    same_table(xinsar.detect(cube, model=net, progress=False), wanted)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_nothing(net, wanted, workers):
    cube = make_map(rough(SHAPE, seed=1)).chunk(square(100))
    with dask.config.set(scheduler="threads", num_workers=workers):
        same_table(xinsar.detect(cube, model=net, progress=False), wanted)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 16])
def test_batches_change_nothing(net, wanted, batch_size):
    cube = make_map(rough(SHAPE, seed=1)).chunk(square(200))
    same_table(xinsar.detect(cube, model=net, batch_size=batch_size, progress=False), wanted)


def test_processes_change_nothing_and_open_the_model_once(net, wanted, cluster):
    cube = make_map(rough(SHAPE, seed=1)).chunk(square(64))
    with cluster.as_current():
        same_table(xinsar.detect(cube, model=net, progress=False), wanted)
    opened = cluster.run(lambda: len(__import__("xinsar.models.runtime", fromlist=["_"])._SESSIONS))
    assert set(opened.values()) <= {0, 1}
    assert sum(opened.values()) >= 1


def test_a_callable_travels_to_processes(cluster):
    threshold = 0.015
    model = plain(lambda batch: np.abs(batch) > threshold, min_pixels=5)
    cube = make_map(rough(SHAPE, seed=2)).chunk(square(150))
    here = xinsar.detect(cube, model=model, progress=False)
    assert len(here) > 10
    with cluster.as_current():
        same_table(xinsar.detect(cube, model=model, progress=False), here)


def test_extremes_of_the_cube_change_nothing_with_chunks():
    model = plain(lambda b: b > 0.7, inputs=[Channel("velocity", transform="minmax")])
    whole = xinsar.detect(make_map(rough(SHAPE)), model=model, progress=False)
    assert len(whole) > 5
    for chunks in (square(128), {"y": 37, "x": -1}):
        same_table(xinsar.detect(make_map(rough(SHAPE)).chunk(chunks), model=model, progress=False), whole)


def pairs(seed=0, shape=(150, 130)):
    rng = np.random.default_rng(seed)
    bodies = bumps(shape, [(40, 50), (100, 90)], radius=9, height=3.0)
    phase = np.array(
        [np.angle(np.exp(1j * (bodies * (k + 1) / 2 + rng.normal(0, 0.2, shape)))) for k in range(4)]
    )
    return make_cube(phase, np.full(phase.shape, 0.8), days=mesh(4), spacing=(25.0, 25.0))


def test_pairs_are_stacked_on_the_way_whatever_the_chunks():
    model = plain(
        lambda b: np.abs(b[:, :1]) > 5e-5,
        inputs=[Channel("gradient_y"), Channel("gradient_x")],
        min_pixels=30,
    )
    cube = pairs()
    whole = cube.insar.detect(model=model, progress=False)
    assert len(whole) >= 2
    for chunks in ({"pair": 1, "y": 64, "x": 50}, {"pair": 2, "y": -1, "x": 40}):
        chunked = cube.chunk(chunks).assign_coords(cube.coords)
        same_table(chunked.insar.detect(model=model, progress=False), whole)
    assert whole.attrs["inputs"] == {"26": ["gradient_y", "gradient_x"]}


# what is found


def test_an_object_on_several_windows_is_one_polygon():
    field = np.zeros(SHAPE, np.float32)
    field[30:400, 40:330] = 0.05
    (row,) = xinsar.detect(make_map(field), model=plain(), progress=False).itertuples()
    assert row.area == 370 * 290 * 625
    assert row.geometry.geom_type == "Polygon"
    assert len(row.geometry.exterior.coords) == 5


def test_an_object_at_the_border_of_the_image_is_kept():
    field = np.zeros((200, 150), np.float32)
    field[:9, :12] = field[-5:, -8:] = 0.05
    found = xinsar.detect(make_map(field), model=plain(), progress=False)
    assert found["area"].tolist() == [9 * 12 * 625, 5 * 8 * 625]
    assert found.total_bounds.tolist() == [500_000, 5_000_000 - 200 * 25, 500_000 + 150 * 25, 5_000_000]


def test_outlines_are_where_the_pixels_are():
    """Rasterised again they give the very pixels, and vertices lie on pixel edges without rounding."""
    from rasterio import Affine
    from rasterio.features import rasterize

    field = rough(SHAPE, seed=3)
    cube = make_map(field)
    found = xinsar.detect(cube, model=plain(), progress=False)
    affine = Affine(25, 0, 500_000, 0, -25, 5_000_000)
    again = rasterize([(g, 1) for g in found.geometry], SHAPE, transform=affine)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(again.astype(bool), np.abs(field) > 0.02)
    corners = found.geometry.get_coordinates().to_numpy()
    assert ((corners - [500_000, 5_000_000]) % 25 == 0).all()


def test_ids_go_by_first_row_then_first_column():
    field = np.zeros((300, 300), np.float32)
    for top, left in ((200, 10), (40, 250), (40, 20), (130, 131)):
        field[top : top + 8, left : left + 8] = 0.05
    found = xinsar.detect(make_map(field), model=plain(), progress=False)
    assert found["id"].tolist() == [1, 2, 3, 4]
    assert found["id"].dtype == np.int64
    assert ((found.bounds.minx - 500_000) / 25).tolist() == [20, 250, 131, 10]


def test_columns_and_attributes():
    field = np.zeros((60, 60), np.float32)
    field[10:20, 10:20] = -0.04
    found = xinsar.detect(make_map(field), model=plain(name="plain"), threshold=0.8, progress=False)
    assert list(found.columns) == ["id", "score", "class", "area", "seen_by", "velocity", "geometry"]
    assert found["class"].tolist() == ["moving"]
    assert found["seen_by"].tolist() == ["26"]
    assert found["velocity"].tolist() == [pytest.approx(-0.04)]
    assert found["score"].tolist() == [1.0]
    assert found.attrs == {
        "method": "detect", "model": "plain", "version": "1", "threshold": 0.8, "inputs": {"26": ["velocity"]},
        "windows": 1, "pixel_size": [25.0, 25.0], "track": "26", "wavelength": 0.0555,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_nothing_found_is_an_empty_table_that_can_be_written(tmp_path, value):
    import geopandas as gpd

    found = xinsar.detect(make_map(np.full((60, 60), value)), model=plain(), progress=False)
    assert len(found) == 0
    assert list(found.columns) == ["id", "score", "class", "area", "seen_by", "velocity", "geometry"]
    assert found.crs == "EPSG:32633"
    assert [found[n].dtype.kind for n in ("id", "score", "area")] == ["i", "f", "f"]
    found.to_file(tmp_path / "none.gpkg")
    assert len(gpd.read_file(tmp_path / "none.gpkg")) == 0


def test_a_cube_of_nan_is_not_shown_to_the_model():
    shown = []
    model = plain(lambda b: shown.append(len(b)) or fast(b))
    xinsar.detect(make_map(np.full(SHAPE, np.nan)), model=model, progress=False)
    assert shown == []


def test_a_window_larger_than_the_image():
    field = np.zeros((30, 20), np.float32)
    field[5:25, 5:15] = 0.05
    assert len(xinsar.detect(make_map(field), model=plain(), progress=False)) == 1


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1)])
def test_single_rows_columns_and_pixels(shape):
    field = np.zeros(shape, np.float32)
    field[0, 0] = 0.05
    cube = make_map(field)
    left, top = 500_000, 5_000_000
    if shape == (1, 1):
        cube.spatial_ref.attrs["GeoTransform"] = f"{left} 25.0 0.0 {top} 0.0 -25.0"
    found = xinsar.detect(cube, model=plain(), progress=False)
    assert found["area"].tolist() == [625]
    assert found.total_bounds.tolist() == [left, top - 25, left + 25, top]


def test_nan_changes_nothing_beyond_its_reach():
    """smooth() reaches 6 pixels; the windows share more than that."""
    field = rough((260, 240), gaps=0)
    holed = field.copy()
    holed[100:104, 90:95] = np.nan
    before, after = (
        xinsar.predict_scores(make_map(f), model=plain(smooth)).score[0].values for f in (field, holed)
    )
    changed = np.argwhere(before != after)
    assert len(changed) > 0
    assert changed.min(axis=0).tolist() >= [94, 84]
    assert (changed.max(axis=0) <= [109, 100]).all()


@pytest.mark.parametrize("window", [(64, 64), (128, 96), (512, 512)])
def test_seams_do_not_show_where_windows_share_twice_the_radius(window):
    field = rough((200, 180))
    found = xinsar.predict_scores(make_map(field), model=plain(smooth, window=window, overlap=16)).score[0]
    whole = smooth(np.nan_to_num(np.pad(field, 20))[None, None])[0, 0, 20:-20, 20:-20]
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_a_flipped_raster_gives_the_same_polygons(net, wanted):
    cube = make_map(rough(SHAPE, seed=1))
    for flipped in (cube.isel(y=slice(None, None, -1)), cube.isel(x=slice(None, None, -1))):
        same_table(xinsar.detect(flipped.chunk(square(130)), model=net, progress=False), wanted)


def test_a_crop_has_the_objects_of_the_larger_cube(net, wanted):
    """All those that lie farther inside than the net sees, wherever the crop begins."""
    top, left = 61, 43
    crop = make_map(rough(SHAPE, seed=1)).isel(y=slice(top, None), x=slice(left, None))
    found = xinsar.detect(crop.assign_attrs(lattice_origin=(top, left)), model=net, progress=False)
    inner = wanted[
        (wanted.bounds.maxy <= 5_000_000 - (top + 20) * 25)
        & (wanted.bounds.minx >= 500_000 + (left + 20) * 25)
    ]
    assert len(inner) > 50
    assert set(inner.geometry.to_wkb()) <= set(found.geometry.to_wkb())


def test_tracks_and_what_each_saw():
    field = bumps((200, 180), [(50, 50), (120, 120)], radius=8)
    other = -field
    other[:90, :90] = np.nan
    tree = xr.DataTree.from_dict({"ascending": make_map(field), "descending": make_map(other)})
    inputs = [Channel("velocity", 0), Channel("velocity", 1)]
    found = tree.insar.detect(model=plain(inputs=inputs), progress=False)
    assert found["seen_by"].tolist() == ["ascending", "ascending+descending"]
    assert list(found.columns) == [
        "id", "score", "class", "area", "seen_by", "velocity_ascending", "velocity_descending", "geometry",
    ]  # fmt: skip
    assert np.isnan(found["velocity_descending"][0])
    assert found["velocity_descending"][1] == -found["velocity_ascending"][1]
    assert "track" not in found.attrs


def test_degrees_come_back_in_degrees():
    step = 0.00025
    rows, columns = np.indices((120, 160))
    field = np.where((abs(rows - 60) < 20) & (abs(columns - 80) < 30), 0.05, 0).astype(np.float32)
    ds = xr.Dataset(
        {"velocity": (("y", "x"), field, {"units": "m year-1"})},
        {"y": 46 - step * (np.arange(120) + 0.5), "x": 10 + step * (np.arange(160) + 0.5)},
    )
    cube = with_crs(ds, "EPSG:4326")
    with pytest.warns(UserWarning, match=r"the cube is in degrees .* of 25 m in WGS 84 / UTM zone 32N"):
        found = xinsar.detect(cube, model=plain(pixel_size=25.0), progress=False)
    assert found.crs == "EPSG:4326"
    (shape,) = found.geometry
    true = 39 * 59 * step**2
    assert shape.area == pytest.approx(true, rel=0.08)
    assert (shape.centroid.x, shape.centroid.y) == pytest.approx(
        (10 + 80.5 * step, 46 - 60.5 * step), abs=step
    )
    assert found["area"][0] == pytest.approx(39 * 59 * 27.8 * 19.4, rel=0.08)


def test_splits_go_by_the_centre_field(net):
    """One body with two centres is two objects; the net's fields decide, not the windows."""
    joined = xinsar.detect(
        make_map(rough(SHAPE, seed=1)),
        model=wrap_net(net, fields=("foreground", "other", "third")),
        progress=False,
    )
    split = xinsar.detect(make_map(rough(SHAPE, seed=1)), model=net, progress=False)
    assert len(split) > len(joined)


def wrap_net(net, **entries):
    """Return the net under another card."""
    return runtimes.OnnxRuntime(net.card.replace(**entries), net.source, net.digest)


@pytest.mark.real
def test_a_real_stack_in_degrees(real_data):
    """Mexico City: the edges of the basin bend; chunks change nothing on the way through UTM and back."""
    cube = xinsar.open_stack(real_data("mexico-city-s1-gamma-stack") / "unw").load()
    channels = [Channel("gradient_y"), Channel("gradient_x"), Channel("gradient_coherence")]
    model = plain(
        lambda b: (np.hypot(b[:, :1], b[:, 1:2]) > 3e-5) & (b[:, 2:3] > 0.8),
        inputs=channels, pixel_size=25.0, min_pixels=30,
    )  # fmt: skip
    tables = []
    for chunks in (None, {"pair": 7, "y": 23, "x": 100}):
        given = cube if chunks is None else cube.chunk(chunks).assign_coords(cube.coords)
        with pytest.warns(UserWarning, match="UTM zone 14N"):
            tables.append(xinsar.detect(given, model=model, progress=False))
    same_table(tables[1], tables[0])
    assert tables[0].crs == "EPSG:4326"
    assert tables[0]["area"].sum() > 1e7


# scores


def test_scores_are_lazy_and_come_in_the_chunks_of_the_cube(net):
    cube = make_map(rough((200, 180), seed=1))
    whole = xinsar.predict_scores(cube, model=net)
    assert whole.score.chunks is None
    assert whole.score.dims == ("class", "y", "x")
    assert whole["class"].values.tolist() == ["moving"]
    assert "predict_scores(model='net 1')" in whole.attrs["history"]
    for chunks in ({"y": 64, "x": 50}, {"y": -1, "x": 90}):
        with dask.config.set(scheduler=_raise):
            lazy = cube.chunk(chunks).insar.predict_scores(model=net)
        assert lazy.score.chunksizes["x"] == cube.chunk(chunks).chunksizes["x"]
        np.testing.assert_array_equal(lazy.score.values, whole.score.values)
        np.testing.assert_array_equal(lazy.x, cube.x)


def test_scores_of_a_map_in_memory_are_in_memory_even_when_it_is_resampled():
    cube = make_map(rough((60, 50), gaps=0), step=12.5)
    with pytest.warns(UserWarning, match="resampled to 30 x 25 pixels"):
        found = xinsar.predict_scores(cube, model=plain(pixel_size=25.0)).score
    assert found.chunks is None
    assert found.shape == (1, 30, 25)
    assert found.x[0] == 500_000 + 12.5


def test_scores_are_nan_where_nothing_was_seen():
    field = np.full((200, 180), np.nan, np.float32)
    field[:50, :50] = 0.0
    found = xinsar.predict_scores(make_map(field), model=plain()).score[0].values
    assert not np.isnan(found[:96, :96]).any()
    assert np.isnan(found[100:]).all()


def test_scores_of_several_classes():
    def classes(batch):
        return np.concatenate([batch > 0.02, batch < -0.02], axis=1)

    model = plain(classes, fields=("class:toward", "class:away"), classes=("toward", "away"))
    cube = make_map(rough((100, 90), gaps=0))
    scores = xinsar.predict_scores(cube, model=model).score
    np.testing.assert_array_equal(scores.sel({"class": "away"}), cube.velocity < -0.02)
    found = xinsar.detect(cube, model=model, progress=False)
    assert ((found["class"] == "toward") == (found["velocity"] > 0)).all()


# objects


def blobs(batch):
    """Return the connected patches of each window as objects: masks, boxes, and the peak as the score."""
    from scipy.ndimage import find_objects, label

    answers = []
    for window in batch:
        labels, count = label(window[0] > 0.02)
        masks = [labels == k + 1 for k in range(count)]
        where = find_objects(labels)
        answers.append(
            {
                "boxes": np.array([(b[1].start, b[0].start, b[1].stop, b[0].stop) for b in where]).reshape(
                    -1, 4
                ),
                "scores": np.array([min(float(window[0][m].max()) * 10, 1.0) for m in masks]),
                "labels": np.zeros(count, int),
                "masks": np.array(masks).reshape(count, *window.shape[1:]),
            }
        )
    return answers


def objects_of(**entries):
    made = {
        "output": "objects",
        "window": (128, 128),
        "overlap": 64,
        "threshold": 0.1,
        "min_pixels": 4,
        **entries,
    }
    return wrap(blobs, **made)


CENTRES = [
    (20, 30),
    (63, 64),
    (64, 160),
    (128, 128),
    (200, 191),
    (255, 250),
    (330, 40),
    (300, 320),
    (415, 366),
]


def test_objects_of_windows_become_one_list_whatever_the_chunks():
    field = bumps(SHAPE, CENTRES, radius=5)
    whole = xinsar.detect(make_map(field), model=objects_of(), progress=False)
    assert len(whole) == len(CENTRES)
    dense = xinsar.detect(make_map(field), model=plain(lambda b: b > 0.02), progress=False)
    assert whole.geometry.to_wkb().tolist() == dense.geometry.to_wkb().tolist()
    for chunks in (square(128), square(200), {"y": 90, "x": -1}):
        same_table(xinsar.detect(make_map(field).chunk(chunks), model=objects_of(), progress=False), whole)
    for batch_size in (1, 3):
        same_table(
            xinsar.detect(make_map(field), model=objects_of(), batch_size=batch_size, progress=False), whole
        )


@pytest.mark.parametrize("coarse", [0, 4])
def test_an_object_larger_than_a_window_is_found_whole(coarse):
    field = np.zeros(SHAPE, np.float32)
    field[60:300, 48:328] = 0.05
    field[350:360, 100:110] = 0.05
    found = xinsar.detect(make_map(field), model=objects_of(coarse=coarse), progress=False)
    assert found["area"].tolist() == [240 * 280 * 625, 100 * 625]


def test_the_coarse_pass_lies_on_the_lattice_too():
    """A crop that begins anywhere sees the same coarse blocks as the larger cube."""
    field = np.zeros(SHAPE, np.float32)
    field[61:301, 49:329] = 0.05
    whole = xinsar.detect(make_map(field), model=objects_of(coarse=4), progress=False)
    crop = make_map(field).isel(y=slice(3, None), x=slice(5, None)).assign_attrs(lattice_origin=(3, 5))
    found = xinsar.detect(crop, model=objects_of(coarse=4), progress=False)
    assert found.geometry.to_wkb().tolist() == whole.geometry.to_wkb().tolist()


def test_boxes_without_masks_are_their_own_shapes():
    def boxes_only(batch):
        return [{k: v for k, v in each.items() if k != "masks"} for each in blobs(batch)]

    field = bumps(SHAPE, CENTRES, radius=5)
    found = xinsar.detect(
        make_map(field), model=wrap(boxes_only, output="objects", window=(128, 128), overlap=64, threshold=0.1),
        progress=False,
    )  # fmt: skip
    assert len(found) == len(CENTRES)
    assert all(g.equals(g.envelope) for g in found.geometry)


def test_scores_of_an_object_model_are_refused():
    with pytest.raises(
        ValueError, match="expected a dense model, got 'blobs', which returns objects; use detect"
    ):
        xinsar.predict_scores(make_map(bumps(SHAPE, CENTRES)), model=objects_of())


# messages


def test_one_line_says_what_was_used_unless_quiet(capsys, monkeypatch):
    cube = make_map(rough((60, 60)))
    monkeypatch.delenv("XINSAR_QUIET", raising=False)
    xinsar.detect(cube, model=plain())
    line = "xinsar.detect: fast 1 on 26: velocity; 60 x 60 pixels, 1 windows\n"
    assert capsys.readouterr().err == line
    xinsar.detect(cube, model=plain(), progress=False)
    monkeypatch.setenv("XINSAR_QUIET", "1")
    xinsar.detect(cube, model=plain())
    assert capsys.readouterr().err == ""
    xinsar.detect(cube, model=plain(), progress=True)
    shown = capsys.readouterr().err
    assert shown.startswith(line)
    assert "100%" in shown


def test_weak_objects_are_left_out_unless_a_threshold_is_given():
    """A least score goes with the card's own threshold."""
    values = np.zeros((60, 60), np.float32)
    values[10:20, 10:20], values[30:40, 30:40] = 0.9, 0.6
    model = plain(np.abs, threshold=0.5, min_score=0.8)
    found = xinsar.detect(make_map(values), model=model, progress=False)
    assert found["score"].round(3).tolist() == [0.9]
    both = xinsar.detect(make_map(values), model=model, threshold=0.5, progress=False)
    assert both["score"].round(3).tolist() == [0.9, 0.6]


def test_the_default_model_needs_no_torch_and_finds_what_moves():
    """Weights come with the package: a scene in pairs, and its products, in a process that cannot import torch."""
    code = """
import sys
sys.modules["torch"] = None
import xinsar
from xinsar.simulate import products
made = products(9_999_997, tier="easy")
found = xinsar.detect(made.cube, progress=False)
truth = xinsar.simulate.reference_inventory(made.truth)
scores = xinsar.inventory.evaluate_inventory(found, truth)
print(len(found), scores.loc["hit", "f1"])
"""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, f1 = done.stdout.split()
    assert int(number) > 0
    assert float(f1) > 0.7


def test_without_default_weights_the_error_says_so(monkeypatch, tmp_path):
    import types

    monkeypatch.setattr(runtimes, "resources", types.SimpleNamespace(files=lambda _: tmp_path))
    with pytest.raises(ValueError, match="there are no default weights in this installation"):
        xinsar.detect(make_map(rough((60, 60))))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"threshold": 0}, ValueError, "threshold: expected a number above 0 and up to 1"),
        ({"threshold": 1.1}, ValueError, "threshold: expected a number within 0..1"),
        ({"threshold": "high"}, TypeError, "threshold: expected a number"),
        ({"batch_size": 0}, ValueError, "batch_size: expected a whole number, 1 or more"),
        ({"batch_size": 2.5}, TypeError, "batch_size: expected a whole number"),
        ({"model": 3}, TypeError, "model: expected a name, a path"),
        (
            {"model": "no_such_model"},
            ValueError,
            "model: expected a path of weights, a callable, or a name among",
        ),
    ],
)
def test_wrong_options_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        xinsar.detect(make_map(rough((60, 60))), **{"model": plain(), **options})


def test_a_cube_without_what_the_model_needs_is_refused():
    with pytest.raises(SchemaError, match="velocity: the model needs it"):
        xinsar.detect(pairs(), model=plain(), progress=False)


def test_an_error_of_the_model_comes_through():
    def broken(batch):
        raise RuntimeError("no memory left")

    with pytest.raises(RuntimeError, match="no memory left"):
        xinsar.detect(make_map(rough((60, 60))), model=plain(broken), progress=False)


def test_methods_have_the_signature_of_the_functions():
    from xinsar.accessor import DatasetAccessor, DataTreeAccessor

    for name in ("detect", "predict_scores"):
        function = list(inspect.signature(getattr(xinsar, name)).parameters.values())[1:]
        for accessor in (DatasetAccessor, DataTreeAccessor):
            method = list(inspect.signature(getattr(accessor, name)).parameters.values())[1:]
            assert [(p.name, p.default, p.kind) for p in method] == [
                (p.name, p.default, p.kind) for p in function
            ]
            assert getattr(accessor, name).__doc__ == getattr(xinsar, name).__doc__
