"""``xinsar evaluate``: the table, the file of scores, layers, and wrong words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shapely.geometry import box

from xinsar import cli
from xinsar.inventory import average_precision, evaluate_inventory, save_inventory


def status(*words):
    return cli.main([str(word) for word in words])


def table(*shapes, **columns):
    import geopandas as gpd

    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=32632)


def square(x, y, side=100.0):
    return box(480_000 + x, 5_200_000 + y, 480_000 + x + side, 5_200_000 + y + side)


def found():
    return table(square(0, 0), square(1010, 0), square(5000, 0), score=[0.9, 0.8, 0.7])


def truth():
    return table(square(0, 0), square(1000, 0), square(2000, 0), square(5000, 0), snr=[3.0, 2.0, 1.0, 0.1])


@pytest.fixture
def files(tmp_path):
    return save_inventory(found(), tmp_path / "mine.gpkg"), save_inventory(
        truth(), tmp_path / "known.geojson"
    )


def test_prints_a_table(files, capsys):
    assert status("evaluate", *files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["measure", "precision", "recall", "f1", "found", "truth", "right", "recalled"]
    assert lines[3].split() == ["iou_0.5", "1.000", "0.667", "0.800", "2", "3", "2", "2"]
    assert lines[4].split()[:4] == ["hit", "1.000", "0.667", "0.800"]
    assert lines[5].startswith("area")
    assert "0.020 km2" in lines[5]
    assert lines[6].startswith("average precision: AP30 0.663, AP50 0.663")


def test_writes_what_the_library_says(files, tmp_path, capsys):
    out = tmp_path / "deep" / "scores.json"
    assert status("evaluate", *files, "--iou", "0.2,0.9", "--min-snr", "0", "--json", out) == 0
    kept = json.loads(out.read_text())
    wanted = evaluate_inventory(found(), truth(), iou=(0.2, 0.9), min_snr=0)
    assert list(kept["scores"]) == list(wanted.index)
    for name, row in wanted.iterrows():
        for column, value in row.items():
            assert kept["scores"][name][column] == pytest.approx(value, rel=2e-3), (name, column)
    precision = average_precision(found(), truth(), min_snr=0)
    assert kept["average_precision"] == pytest.approx(precision.to_dict())
    assert kept["found"]["objects"] == 3
    assert kept["settings"] == {"iou": [0.2, 0.9], "min_snr": 0}
    assert not list(tmp_path.glob("**/.*"))
    assert "iou_0.9" in capsys.readouterr().out


def test_shares_of_nothing_are_null(tmp_path, capsys):
    paths = [save_inventory(t.iloc[:0], tmp_path / f"{n}.gpkg") for n, t in (("a", found()), ("b", truth()))]
    assert status("evaluate", *paths, "--json", tmp_path / "s.json") == 0
    kept = json.loads((tmp_path / "s.json").read_text())
    assert kept["scores"]["hit"]["f1"] is None
    assert kept["average_precision"] == {}
    assert " - " in capsys.readouterr().out


def test_layers_of_one_file(tmp_path, capsys):
    path = tmp_path / "both.gpkg"
    save_inventory(found(), path, layer="found")
    save_inventory(truth(), path, layer="truth")
    save_inventory(found().iloc[:1], path, layer="other")
    assert status("evaluate", path, path) == 0
    usual = capsys.readouterr().out
    assert status("evaluate", path, path, "--found-layer", "other", "--truth-layer", "truth") == 0
    assert capsys.readouterr().out != usual
    assert status("evaluate", path, path, "--found-layer", "none") == 1
    assert "layer: expected one of found, other, truth" in capsys.readouterr().err


def test_detections_without_scores(tmp_path, files, capsys):
    bare = save_inventory(found().drop(columns="score"), tmp_path / "bare.gpkg")
    assert status("evaluate", bare, files[1]) == 0
    assert "average precision" not in capsys.readouterr().out
    holed = save_inventory(found().assign(score=[0.9, np.nan, 0.7]), tmp_path / "holed.gpkg")
    assert status("evaluate", holed, files[1]) == 0


def test_files_that_cannot_be_used(tmp_path, files, capsys):
    assert status("evaluate", tmp_path / "none.gpkg", files[1]) == 1
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "half.gpkg").write_bytes(files[0].read_bytes()[:3000])
    assert status("evaluate", tmp_path / "half.gpkg", files[1]) == 1
    error = capsys.readouterr().err
    assert error.startswith("xinsar: error: ")
    assert "half.gpkg" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["--iou", "0"], ["--iou", "half"], ["--iou", ""], ["--min-snr", "low"], ["--what"]]
)
def test_misspelled_options(files, words, capsys):
    with pytest.raises(SystemExit) as left:
        status("evaluate", *files, *words)
    assert left.value.code == 2
    assert "usage: xinsar" in capsys.readouterr().err


def test_both_files_are_needed(files, capsys):
    with pytest.raises(SystemExit) as left:
        status("evaluate", files[0])
    assert left.value.code == 2
