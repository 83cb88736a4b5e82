"""``xinsar demo`` on a small scene: every file is there, and says what it should."""

import json

import numpy as np
import pytest

import xinsar
from xinsar import demo


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    said = []
    report = demo.run(folder, seed=4, shape=(128, 128), tier="hard", progress=False, say=said.append)
    return folder, report, said


def test_the_four_results_are_there(made):
    folder, _, _ = made
    names = {path.name for path in folder.iterdir()}
    assert names == {"tracks.zarr", "landslides.gpkg", "landslides.png", "scores.json"}


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
    settings = {"shape": (48, 48), "tier": "hard", "progress": False, "say": lambda line: None}
    demo.run(tmp_path, seed=1, **settings)
    second = demo.run(tmp_path, seed=2, **settings)
    assert json.loads((tmp_path / "scores.json").read_text())["scene"]["seed"] == 2
    assert second["truth"] == len(xinsar.simulate.scene(2, shape=(48, 48), tier="hard").truth)


def test_bars_are_shown_when_asked_for(tmp_path, capsys):
    settings = {"shape": (32, 32), "tier": "hard", "say": lambda line: None}
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
