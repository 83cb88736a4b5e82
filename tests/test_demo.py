"""``xinsar demo`` on a small scene: every file is there, and says what it should."""

import json

import numpy as np
import pytest

import xinsar
from xinsar import demo
from xinsar.models import Channel, wrap

NAMES = {"tracks.zarr", "landslides.gpkg", "landslides.png", "scores.json"}
SCENE = {"seed": 4, "shape": (128, 128), "tier": "hard", "progress": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    said = []
    report = demo.run(folder, method="threshold", say=said.append, **SCENE)
    return folder, report, said


def bending(batch):
    """Mark where the ground bends in both tracks: sides of three pixels at least, so that noise alone is less."""
    from scipy.ndimage import uniform_filter

    strong = np.hypot(batch[:, ::2], batch[:, 1::2]).mean(axis=1)
    return (uniform_filter(strong, (1, 5, 5)) > 1).astype("f4")[:, None]


def bender():
    """Return a model that looks at the gradients of two tracks."""
    names = [(name, track) for track in (0, 1) for name in ("gradient_y", "gradient_x")]
    inputs = [Channel(name, track, scale=1.5e-4) for name, track in names]
    return wrap(bending, inputs=inputs, name="bender", window=(64, 64), overlap=16, min_pixels=9)


@pytest.fixture(scope="module")
def by_model(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("demo-model") / "out", []
    report = demo.run(folder, method="model", model=bender(), say=said.append, **SCENE)
    return folder, report, said


def test_the_four_results_are_there(made):
    folder, _, _ = made
    assert {path.name for path in folder.iterdir()} == NAMES


def test_the_cube_holds_both_tracks(made):
    tracks = xinsar.open_tracks(made[0] / "tracks.zarr")
    assert set(tracks.children) == {"ascending", "descending"}
    assert tracks["ascending"]["phase"].shape[1:] == (128, 128)


def test_scores_say_that_they_are_simulated_and_how_they_came(made):
    folder, report, _ = made
    scores = json.loads((folder / "scores.json").read_text())
    assert scores == report
    assert scores["simulated"] is True
    assert scores["scene"] == {"seed": 4, "shape": [128, 128], "tier": "hard"}
    assert set(scores["scores"]) == {"iou_0.1", "iou_0.3", "iou_0.5", "hit", "area"}
    assert set(scores["scores"]["hit"]) >= {"precision", "recall", "f1"}
    assert set(scores["settings"]["detection"]) == {"min_z", "min_scene_z", "closing", "min_area"}
    assert scores["versions"]["xinsar"] == xinsar.__version__
    assert scores["seconds"]["total"] > 0


def test_scores_equal_those_of_the_tables(made):
    import geopandas as gpd

    from xinsar.inventory import evaluate_inventory

    folder, report, _ = made
    found = gpd.read_file(folder / "landslides.gpkg", layer="found")
    truth = gpd.read_file(folder / "landslides.gpkg", layer="truth")
    assert (len(found), len(truth)) == (report["found"], report["truth"])
    again = evaluate_inventory(found, truth)
    for name, row in again.iterrows():
        for column, value in row.items():
            kept = report["scores"][name][column]
            assert np.isnan(value) if kept is None else kept == pytest.approx(value, abs=1e-4)


def test_found_objects_know_their_tracks(made):
    import geopandas as gpd

    found = gpd.read_file(made[0] / "landslides.gpkg", layer="found")
    assert {"id", "score", "class", "area", "seen_by"} <= set(found.columns)
    assert set(found["seen_by"]) <= {"ascending", "descending", "ascending+descending"}
    assert found.crs.to_epsg() == 32647


def test_the_picture_is_one(made):
    from matplotlib.image import imread

    picture = imread(made[0] / "landslides.png")
    assert picture.shape[0] > 400
    assert picture.shape[1] > 1200
    assert picture[..., :3].std() > 0.1


def test_it_says_what_it_does(made):
    said = made[2]
    assert said[0].startswith("simulating two tracks")
    assert said[-1].startswith("simulated truth: ")


def test_the_report_is_plain_json(made):
    text = (made[0] / "scores.json").read_text()
    assert "NaN" not in text


def test_a_second_run_replaces_the_first(made, tmp_path):
    settings = {
        "shape": (48, 48),
        "tier": "hard",
        "method": "threshold",
        "progress": False,
        "say": lambda line: None,
    }
    demo.run(tmp_path, seed=1, **settings)
    second = demo.run(tmp_path, seed=2, **settings)
    assert json.loads((tmp_path / "scores.json").read_text())["scene"]["seed"] == 2
    assert second["truth"] == len(xinsar.simulate.scene(2, shape=(48, 48), tier="hard").truth)


def test_bars_are_shown_when_asked_for(tmp_path, capsys):
    settings = {"shape": (32, 32), "tier": "hard", "method": "threshold", "say": lambda line: None}
    demo.run(tmp_path / "quiet", progress=False, **settings)
    assert capsys.readouterr().err == ""
    demo.run(tmp_path / "loud", progress=True, **settings)
    assert "100%" in capsys.readouterr().err


def test_settings_in_the_report_are_the_defaults(made):
    from inspect import signature

    from xinsar.detection import detect_threshold

    options = signature(detect_threshold).parameters
    for name, value in made[1]["settings"]["detection"].items():
        assert options[name].default == value


def test_the_method_is_a_choice():
    from inspect import signature

    assert signature(demo.run).parameters["method"].default == demo.METHOD
    assert demo.METHOD in demo.METHODS


def test_a_model_writes_the_same_files(by_model):
    from matplotlib.image import imread

    folder, report, said = by_model
    assert {path.name for path in folder.iterdir()} == NAMES
    assert json.loads((folder / "scores.json").read_text()) == report
    assert imread(folder / "landslides.png")[..., :3].std() > 0.1
    assert any("detecting (model bender 1)" in line for line in said)
    assert said[-1].startswith("simulated truth: ")


def test_a_model_sees_both_tracks_at_once(by_model):
    import geopandas as gpd

    folder, report, _ = by_model
    found = gpd.read_file(folder / "landslides.gpkg", layer="found")
    tracks = xinsar.open_tracks(folder / "tracks.zarr")
    wanted = xinsar.detect(tracks, model=bender(), progress=False)
    assert len(found) == len(wanted) == report["found"] > 0
    assert found.geometry.to_wkb().tolist() == wanted.geometry.to_wkb().tolist()
    assert set(found["seen_by"]) == {"ascending+descending"}
    settings = report["settings"]
    assert settings["method"] == "model"
    assert settings["detection"]["model"] == "bender"
    assert settings["detection"]["inputs"] == {
        name: ["gradient_y", "gradient_x"] for name in ("ascending", "descending")
    }


def test_both_methods_look_at_the_same_scene(made, by_model):
    assert made[1]["scene"] == by_model[1]["scene"]
    assert made[1]["truth"] == by_model[1]["truth"]
    assert made[1]["settings"]["method"] == "threshold"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "luck"}, "method: expected one of model, threshold, got 'luck'"),
        (
            {"method": "model", "model": "none-such"},
            "model: expected a path of weights, a callable, or a name",
        ),
    ],
)
def test_what_cannot_detect_is_refused_before_anything_is_simulated(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        demo.run(tmp_path / "out", say=lambda line: None, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", demo.METHODS)
def test_the_command_passes_the_method(monkeypatch, tmp_path, method):
    from xinsar import cli

    seen = {}
    monkeypatch.setattr(demo, "run", lambda out, **options: seen.update(options))
    assert cli.main(["demo", "--out", str(tmp_path), "--method", method]) == 0
    assert seen["method"] == method
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    assert seen["method"] == demo.METHOD
