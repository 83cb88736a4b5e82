"""The command line: right output for right words, one honest line and the right status for wrong ones."""

import subprocess
import sys

import numpy as np
import pytest

import xinsar
from xinsar import cli


@pytest.fixture(scope="module")
def tracks():
    return xinsar.simulate.scene(3, shape=(24, 32), tier="hard")


@pytest.fixture(scope="module")
def cube(tracks, tmp_path_factory):
    """A cube of one track on disk."""
    path = tmp_path_factory.mktemp("cli") / "one.zarr"
    xinsar.save_cube(tracks.cube["ascending"].to_dataset(), path)
    return path


def write_product(folder):
    """Stand-in for two HyP3 interferograms: names and layers as the product guide says, values made up."""
    import rasterio

    rng = np.random.default_rng(0)
    first = "20210103T171500"
    for last, code in (("20210115T171500", "AAAA"), ("20210127T171500", "BBBB")):
        job = f"S1AA_{first}_{last}_VVP012_INT80_G_ueF_{code}"
        for layer, values in (("unw_phase", rng.normal(1, 1, (7, 9))), ("corr", rng.uniform(0.2, 1, (7, 9)))):
            path = folder / job / f"{job}_{layer}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            profile = {"driver": "GTiff", "height": 7, "width": 9, "count": 1, "dtype": "float32"}
            profile |= {
                "crs": "EPSG:32647",
                "transform": rasterio.Affine(80, 0, 6e5, 0, -80, 3e6),
                "nodata": 0,
            }
            with rasterio.open(path, "w", **profile) as file:
                file.write(values.astype("f4"), 1)
    return folder


def status(*words):
    return cli.main([str(word) for word in words])


# --- words


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["info"],
        ["build", "only-a-source"],
        ["stack", "a.zarr", "b.zarr", "--estimator", "median"],
        ["stack", "a.zarr", "b.zarr", "--window", "five"],
        ["stack", "a.zarr", "b.zarr", "--months", "0-3"],
        ["stack", "a.zarr", "b.zarr", "--pairs", "1,x"],
        ["build", "a", "b.zarr", "--join", "left"],
    ],
)
def test_misspelled_commands_leave_with_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "usage: xinsar" in capsys.readouterr().err


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"xinsar {xinsar.__version__}\n"


def test_help_names_the_commands_that_exist(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in ("info", "build", "stack", "demo"))


def test_the_command_starts_without_heavy_libraries():
    code = (
        "import sys; from xinsar import cli\n"
        "try: cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'numba', 'dask', 'rasterio', 'geopandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("text", "numbers"), [("4", [4]), ("0,3,5-8", [0, 3, 5, 6, 7, 8]), ("2-2", [2]), ("3-1", [])]
)
def test_lists_of_numbers(text, numbers):
    assert cli._numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "months"), [("7", [7]), ("5-9", [5, 6, 7, 8, 9]), ("11-2", [11, 12, 1, 2]), ("1,12", [1, 12])]
)
def test_lists_of_months(text, months):
    assert cli._months(text) == months


# --- failure


def test_a_failure_is_one_line_and_status_1(capsys, tmp_path):
    assert status("info", tmp_path / "nowhere") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("xinsar: error: ")
    assert "nowhere" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(tmp_path, where):
    words = ["info", str(tmp_path / "nowhere")]
    with pytest.raises(FileNotFoundError):
        cli.main(["--debug", *words] if where == "before" else [*words, "--debug"])


def test_debug_by_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XINSAR_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        status("info", tmp_path / "nowhere")


def test_errors_of_many_lines_become_one(monkeypatch, capsys):
    def fail(options):
        raise KeyError("pair: no\n  such   pair")

    monkeypatch.setattr(cli, "_info", fail)
    assert status("info", "x") == 1
    assert capsys.readouterr().err == "xinsar: error: pair: no such pair\n"


def test_an_interrupt_fails_without_traceback(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_info", stop)
    assert status("info", "x") == 1
    assert capsys.readouterr().err == "xinsar: error: interrupted\n"


# --- info


def test_info_of_a_cube_says_the_sign(cube, capsys):
    assert status("info", cube) == 0
    text = capsys.readouterr().out
    assert "positive = away from the satellite" in text
    assert "39" in text  # pairs
    assert "EPSG:32647" in text


def test_info_of_several_tracks_describes_each(tracks, tmp_path, capsys):
    xinsar.save_cube(tracks.cube, tmp_path / "both.zarr")
    assert status("info", tmp_path / "both.zarr") == 0
    text = capsys.readouterr().out
    assert text.count("pairs ") == 2
    assert "descending" in text


def test_info_of_a_product(tmp_path, capsys):
    assert status("info", write_product(tmp_path)) == 0
    text = capsys.readouterr().out
    assert "unwrapped_phase" in text
    assert "positive = away" in text


# --- build


def test_build_makes_the_cube_that_open_stack_opens(tmp_path, capsys):
    source = write_product(tmp_path / "in")
    assert status("build", source, tmp_path / "out.zarr", "--quiet") == 0
    assert "pair 2, y 7, x 9" in capsys.readouterr().out
    cube, wanted = xinsar.open_cube(tmp_path / "out.zarr"), xinsar.open_stack(source)
    for name in wanted.data_vars:
        np.testing.assert_array_equal(cube[name], wanted[name])


def test_build_takes_several_sources_and_dates(tmp_path):
    folders = sorted(write_product(tmp_path / "in").iterdir())
    assert status("build", *folders, tmp_path / "two.zarr", "--quiet") == 0
    assert xinsar.open_cube(tmp_path / "two.zarr").sizes["pair"] == 2
    assert status("build", *folders, tmp_path / "one.zarr", "--dates", "..", "2021-01-20", "--quiet") == 0
    assert xinsar.open_cube(tmp_path / "one.zarr").sizes["pair"] == 1


def test_build_says_what_it_passed_over_on_one_line(tmp_path, capsys):
    source = write_product(tmp_path / "in")
    (source / "readme.tif").write_bytes(b"not a raster")
    status("build", source, tmp_path / "out.zarr", "--quiet")
    err = capsys.readouterr().err
    assert err.startswith("xinsar: warning: ")
    assert err.count("\n") == 1
    assert "readme.tif" in err


# --- stack


def test_stack_equals_the_call(cube, tmp_path, capsys):
    assert status("stack", cube, tmp_path / "grad.zarr", "--quiet") == 0
    assert "gradient_y" in capsys.readouterr().out
    wanted = xinsar.phase_gradient_stack(xinsar.open_cube(cube))
    got = xinsar.open_cube(tmp_path / "grad.zarr")
    assert set(got.data_vars) == set(wanted.data_vars)
    for name in wanted.data_vars:
        np.testing.assert_array_equal(got[name], wanted[name])


def test_every_option_of_stack_arrives(cube, tmp_path):
    words = ["--window", "3", "--estimator", "sum", "--max-temporal-baseline", "24", "--count", "4"]
    words += ["--max-perpendicular-baseline", "500", "--months", "1-12", "--min-coherence", "0.01"]
    words += ["--pairs", "0-30", "--directions", "range_azimuth", "--normalise", "--quiet"]
    assert status("stack", cube, tmp_path / "grad.zarr", *words) == 0
    wanted = xinsar.phase_gradient_stack(
        xinsar.open_cube(cube),
        window=3,
        estimator="sum",
        max_temporal_baseline=24,
        max_perpendicular_baseline=500,
        months=range(1, 13),
        min_coherence=0.01,
        pairs=range(31),
        count=4,
        directions="range_azimuth",
        normalise=True,
    )
    np.testing.assert_array_equal(xinsar.open_cube(tmp_path / "grad.zarr").gradient_x, wanted.gradient_x)


def test_dem_error_arrives(cube, tmp_path):
    assert status("stack", cube, tmp_path / "grad.zarr", "--dem-error", "--quiet") == 0
    wanted = xinsar.phase_gradient_stack(xinsar.open_cube(cube), dem_error=True)
    np.testing.assert_array_equal(xinsar.open_cube(tmp_path / "grad.zarr").gradient_y, wanted.gradient_y)


def test_stack_options_and_library_options_are_the_same():
    """A new option of the library must get its flag."""
    import inspect

    options = set(inspect.signature(xinsar.phase_gradient_stack).parameters) - {"ds"}
    assert options == set(cli._STACK_OPTIONS)


def test_stack_to_geotiff_has_a_band_for_each_variable(cube, tmp_path):
    import rasterio

    assert status("stack", cube, tmp_path / "grad.tif", "--quiet") == 0
    wanted = xinsar.phase_gradient_stack(xinsar.open_cube(cube))
    with rasterio.open(tmp_path / "grad.tif") as file:
        assert file.count == len(wanted.data_vars)
        assert file.crs.to_epsg() == 32647
        np.testing.assert_allclose(file.read(1), wanted[next(iter(wanted.data_vars))])


def test_stack_of_one_of_several_tracks(tracks, tmp_path, capsys):
    xinsar.save_cube(tracks.cube, tmp_path / "both.zarr")
    assert status("stack", tmp_path / "both.zarr", tmp_path / "grad.zarr") == 1
    assert "track" in capsys.readouterr().err
    words = ["--track", "descending", "--quiet"]
    assert status("stack", tmp_path / "both.zarr", tmp_path / "grad.zarr", *words) == 0
    assert xinsar.open_cube(tmp_path / "grad.zarr").attrs["orbit_direction"] == "descending"


def test_unknown_ending_fails_before_any_work(tmp_path, capsys):
    assert status("stack", tmp_path / "nowhere.zarr", tmp_path / "grad.png") == 1
    assert "expected a name that ends in .zarr or .tif" in capsys.readouterr().err


# --- demo


def test_demo_passes_its_options(monkeypatch, tmp_path):
    from xinsar import demo

    seen = {}
    monkeypatch.setattr(demo, "run", lambda out, **options: seen.update(options, out=out))
    assert status("demo", "--out", tmp_path / "there", "--seed", "5", "--quiet") == 0
    assert seen == {"out": str(tmp_path / "there"), "seed": 5, "progress": False, "say": print}
    status("demo")
    assert (seen["out"], seen["seed"], seen["progress"]) == ("xinsar-demo", demo.SEED, None)


@pytest.mark.real
def test_mexico_city_goes_through_info_build_and_stack(real_data, tmp_path, capsys):
    folder = real_data("mexico-city-s1-gamma-stack")
    assert status("info", folder) == 0
    assert "positive = away" in capsys.readouterr().out
    assert status("build", folder, tmp_path / "mexico.zarr", "--quiet") == 0
    words = ["--window", "1", "--quiet"]
    assert status("stack", tmp_path / "mexico.zarr", tmp_path / "grad.tif", *words) == 0
    assert status("stack", tmp_path / "mexico.zarr", tmp_path / "grad.zarr", *words) == 0
    stack = xinsar.open_cube(tmp_path / "grad.zarr")
    assert stack.sizes == {"y": 60, "x": 100}
    assert int(stack.pair_count.max()) == 30
