"""``xinsar detect``: the library's table in every format, one line of what was found, and wrong words."""

import inspect
import json
import sys

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.detection_tools import bumps, make_map, net_card, write_net
from xinsar import cli
from xinsar.inventory import open_inventory
from xinsar.inventory.files import FORMATS

SHAPE = (96, 120)
CENTRES = ((20, 30), (60, 90), (75, 25))


def status(*words):
    return cli.main([str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A net with its card, and cubes of one track, of two, and of two without anything to see."""
    path = tmp_path_factory.mktemp("detect")
    write_net(path / "net.onnx")
    net_card(threshold=0.5).write(path / "net.json")
    one = make_map(bumps(SHAPE, CENTRES))
    xinsar.save_cube(one, path / "one.zarr", progress=False)
    ground = make_map(np.add.outer(np.arange(96.0), np.arange(120.0)), name="elevation")
    rising = one.assign(elevation=ground.elevation.assign_attrs(units="m"))
    both = xr.DataTree.from_dict({"ascending": rising, "descending": make_map(bumps(SHAPE, CENTRES[:1]))})
    xinsar.save_cube(both, path / "both.zarr", progress=False)
    xinsar.save_cube(make_map(np.zeros(SHAPE)), path / "still.zarr", progress=False)
    return path


@pytest.fixture
def detect(folder, tmp_path):
    """Return what runs the command on a cube with the net, and the folder it writes to."""

    def run(cube, out, *words):
        return status("detect", folder / cube, tmp_path / out, "--model", folder / "net.onnx", *words)

    return run, tmp_path


def wanted(folder, **options):
    ds = xinsar.open_cube(folder / "one.zarr")
    return xinsar.detect(ds, model=str(folder / "net.onnx"), progress=False, **options)


def test_writes_the_table_of_the_library(folder, detect, capsys):
    run, out = detect
    assert run("one.zarr", "found.gpkg", "--quiet") == 0
    said = capsys.readouterr()
    found, same = open_inventory(out / "found.gpkg"), wanted(folder)
    assert len(found) == len(CENTRES)
    assert found.crs == same.crs
    assert found.geometry.to_wkb().tolist() == same.geometry.to_wkb().tolist()
    np.testing.assert_allclose(found["score"], same["score"])
    assert said.err == ""
    area = same["area"].sum() / 1e6
    line = f"wrote {out / 'found.gpkg'}: 3 objects, {area:.3g} km2 (net 1, threshold 0.5)\n"
    assert said.out == line


def test_the_inputs_are_told_unless_quiet(detect, capsys):
    run, _ = detect
    assert run("one.zarr", "found.gpkg") == 0
    assert "xinsar.detect: net 1 on 26: velocity; 96 x 120 pixels" in capsys.readouterr().err


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format(detect, capsys, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    run, out = detect
    assert run("one.zarr", f"found{ending}", "--quiet") == 0
    assert len(open_inventory(out / f"found{ending}")) == len(CENTRES)
    assert "3 objects" in capsys.readouterr().out
    assert not list(out.glob(".*"))


def test_coco_counts_in_pixels_of_the_cube(detect):
    run, out = detect
    assert run("one.zarr", "found.json", "--quiet") == 0
    image = json.loads((out / "found.json").read_text())["images"][0]
    assert (image["height"], image["width"]) == SHAPE


@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_found_is_an_empty_inventory(detect, capsys, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    run, out = detect
    assert run("still.zarr", f"none{ending}", "--quiet") == 0
    assert len(open_inventory(out / f"none{ending}")) == 0
    assert "nothing found (net 1, threshold 0.5)" in capsys.readouterr().out


def test_options_reach_the_library(folder, detect, capsys):
    run, out = detect
    assert run("one.zarr", "strict.gpkg", "--threshold", "0.9", "--batch-size", "2", "--quiet") == 0
    found, same = open_inventory(out / "strict.gpkg"), wanted(folder, threshold=0.9)
    assert found.geometry.to_wkb().tolist() == same.geometry.to_wkb().tolist()
    assert "threshold 0.9" in capsys.readouterr().out
    assert found["area"].sum() < wanted(folder)["area"].sum()


def test_every_option_of_the_library_has_its_flag():
    parameters = inspect.signature(xinsar.detect).parameters.values()
    names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"progress"}
    assert names <= set(vars(cli._parser().parse_args(["detect", "a.zarr", "b.gpkg"])))


def test_tracks_of_a_cube(detect, capsys):
    """A card without slots takes the first track and says so; --track chooses another."""
    run, out = detect
    assert run("both.zarr", "first.gpkg", "--quiet") == 0
    assert "descending not used" in capsys.readouterr().err
    assert len(open_inventory(out / "first.gpkg")) == 3
    assert run("both.zarr", "second.gpkg", "--track", "descending", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert len(open_inventory(out / "second.gpkg")) == 1


@pytest.mark.parametrize("cube", ["both.zarr", "one.zarr", "still.zarr"])
def test_pictures(detect, cube):
    """Over the terrain, over the velocity, and of nothing found."""
    from PIL import Image

    run, out = detect
    with_warning = ("--track", "ascending") if cube == "both.zarr" else ()
    assert run(cube, "found.gpkg", "--picture", out / "found.png", "--quiet", *with_warning) == 0
    with Image.open(out / "found.png") as picture:
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(10**7)) > 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one.zarr", "found.csv"), "OUT: expected a local file that ends in .gpkg, .parquet"),
        (("one.zarr", "found"), "OUT: expected a local file that ends in"),
        (("none.zarr", "found.gpkg"), "none.zarr"),
        (("both.zarr", "found.gpkg", "--track", "north"), "no track 'north'"),
        (("one.zarr", "found.gpkg", "--threshold", "2"), "threshold: expected"),
        (("one.zarr", "found.gpkg", "--threshold", "0"), "everything would be found"),
        (("one.zarr", "found.gpkg", "--batch-size", "0"), "batch_size: expected"),
        (("one.zarr", "found.gpkg", "--model", "nosuch"), "or a name among 'centre', 'default'"),
        (("one.zarr", "found.gpkg", "--model", "nosuch.onnx"), "there is no file nosuch.onnx"),
        (
            ("one.zarr", "found.gpkg", "--picture", "found.txt"),
            "--picture: expected a name that ends in .png",
        ),
    ],
)
def test_what_fails_is_said_and_leaves_nothing(detect, capsys, words, said):
    run, out = detect
    assert run(*words, "--quiet") == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(out.iterdir())


def test_a_file_that_exists_is_kept(detect, capsys):
    run, out = detect
    (out / "found.gpkg").write_text("mine")
    assert run("one.zarr", "found.gpkg") == 1
    assert "exists already; remove it or choose another name" in capsys.readouterr().err
    assert (out / "found.gpkg").read_text() == "mine"


def test_a_cube_of_nowhere(folder, detect, tmp_path_factory, capsys):
    """Without a reference system a GeoPackage is written, with a warning; a KML is refused before any work."""
    run, _ = detect
    cube = tmp_path_factory.mktemp("nowhere") / "cube.zarr"
    xinsar.save_cube(make_map(bumps(SHAPE, CENTRES), crs=None), cube, progress=False)
    assert run(cube, "found.kml") == 1
    said = capsys.readouterr().err
    assert "OUT: " in said
    assert "needs a coordinate reference system" in said
    assert "xinsar.detect" not in said
    assert run(cube, "found.gpkg", "--quiet") == 0
    assert "a GIS cannot place it" in capsys.readouterr().err


def test_a_picture_of_pairs_alone(detect, tmp_path_factory, capsys):
    run, out = detect
    cube = tmp_path_factory.mktemp("pairs") / "cube.zarr"
    xinsar.save_cube(make_map(bumps(SHAPE, CENTRES), name="temporal_coherence"), cube, progress=False)
    assert run(cube, "found.gpkg", "--picture", out / "found.png") == 1
    assert "--picture: expected an elevation or a velocity to draw on" in capsys.readouterr().err
    assert not list(out.iterdir())


def test_parquet_is_asked_for_before_any_work(detect, capsys, monkeypatch):
    run, _ = detect
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run("one.zarr", "found.parquet") == 1
    said = capsys.readouterr().err
    assert "pip install 'xinsar[parquet]'" in said
    assert "xinsar.detect" not in said


def test_points_are_refused_with_the_remedy(tmp_path, folder, capsys):
    (tmp_path / "points.csv").write_text("x,y,velocity\n500000,5000000,1.0\n500100,5000100,2.0\n")
    words = ("--model", folder / "net.onnx", "--product", "table")
    assert status("detect", tmp_path / "points.csv", tmp_path / "found.gpkg", *words) == 1
    assert not (tmp_path / "found.gpkg").exists()
    assert "bring points to a grid with rasterize_points" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["detect"],
        ["detect", "a.zarr"],
        ["detect", "a.zarr", "b.gpkg", "--threshold", "high"],
        ["detect", "a.zarr", "b.gpkg", "--batch-size", "1.5"],
        ["detect", "a.zarr", "b.gpkg", "c.gpkg"],
    ],
)
def test_misspelled_commands_leave_with_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "usage: xinsar" in capsys.readouterr().err


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    assert "\n    detect " in capsys.readouterr().out
