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


def needs_parquet(ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")


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
        ["hotspot", "a.zarr", "b.zarr"],
        ["hotspot", "a.zarr", "b.zarr", "--distance", "far"],
        ["hotspot", "a.zarr", "b.zarr", "--distance", "50", "--k", "4"],
        ["hotspot", "a.zarr", "b.zarr", "--distance", "50", "--weights", "gaussian"],
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
    assert all(f"\n    {name} " in text for name in ("info", "build", "stack", "hotspot", "demo"))


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
    assert cli.options.numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "months"), [("7", [7]), ("5-9", [5, 6, 7, 8, 9]), ("11-2", [11, 12, 1, 2]), ("1,12", [1, 12])]
)
def test_lists_of_months(text, months):
    assert cli.options.months(text) == months


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

    monkeypatch.setattr(cli.info, "_info", fail)
    assert status("info", "x") == 1
    assert capsys.readouterr().err == "xinsar: error: pair: no such pair\n"


def test_an_interrupt_fails_without_traceback(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.info, "_info", stop)
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
    assert options == set(cli.stack._STACK_OPTIONS)


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


# --- hotspot


@pytest.fixture(scope="module")
def velocity(tmp_path_factory):
    """A cube that holds a velocity with a fast block, on disk."""
    import xarray as xr

    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.005, (20, 24)).astype("f4")
    values[5:10, 6:12] -= 0.03
    ds = xr.Dataset(
        {"velocity": (("y", "x"), values, {"units": "m year-1"})},
        {"y": 3e6 - 20.0 * np.arange(20), "x": 6e5 + 20.0 * np.arange(24)},
    )
    ds["other"] = ds.velocity * 2
    path = tmp_path_factory.mktemp("hot") / "velocity.zarr"
    xinsar.save_cube(ds.rio.write_crs(32647), path)
    return path


@pytest.fixture(scope="module")
def scatterers(tmp_path_factory):
    """A CSV of points with a fast cluster."""
    rng = np.random.default_rng(2)
    lon, lat = 100 + rng.uniform(0, 0.01, 300), 27 + rng.uniform(0, 0.01, 300)
    near = np.hypot(lon - 100.003, lat - 27.004) < 0.002
    speed = rng.normal(0, 3, 300) - 20 * near
    path = tmp_path_factory.mktemp("points") / "ps.csv"
    rows = [f"{x:.7f},{y:.7f},{v:.4f}\n" for x, y, v in zip(lon, lat, speed, strict=True)]
    path.write_text("lon,lat,vel_mm_yr\n" + "".join(rows))
    return path


def test_hotspot_of_a_map_equals_the_calls(velocity, tmp_path, capsys):
    assert status("hotspot", velocity, tmp_path / "hot.zarr", "--distance", "60", "--quiet") == 0
    assert "hot_spot, p_value, density; y 20, x 24" in capsys.readouterr().out
    got = xinsar.open_cube(tmp_path / "hot.zarr")
    wanted = xinsar.hot_spot_map(xinsar.open_cube(velocity).velocity, 60)
    for name in ("hot_spot", "p_value", "density"):
        np.testing.assert_array_equal(got[name], wanted[name])
    assert "getis_ord(distance=60.0" in got.attrs["history"]


def test_every_option_of_hotspot_arrives(velocity, tmp_path):
    words = [
        "--distance",
        "60",
        "--radius",
        "90",
        "--variable",
        "other",
        "--fdr",
        "--alpha",
        "0.2",
        "--quiet",
    ]
    assert status("hotspot", velocity, tmp_path / "hot.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "hot.zarr")
    field = xinsar.open_cube(velocity).other
    wanted = xinsar.getis_ord(field, 60, fdr=True, alpha=0.2)
    for name in wanted.data_vars:
        np.testing.assert_array_equal(got[name], wanted[name])
    density = xinsar.kernel_density(wanted.hot_spot, 90).density
    np.testing.assert_array_equal(got.density, density)


def test_hotspot_of_a_map_to_geotiff(velocity, tmp_path):
    import rasterio

    assert status("hotspot", velocity, tmp_path / "hot.tif", "--distance", "60", "--quiet") == 0
    with rasterio.open(tmp_path / "hot.tif") as file:
        assert file.descriptions == ("hot_spot", "p_value", "density")
        assert file.crs.to_epsg() == 32647


def test_hotspot_of_a_product(tmp_path, capsys):
    source = write_product(tmp_path / "in")
    words = ["--distance", "200", "--variable", "coherence", "--quiet"]
    assert status("hotspot", source, tmp_path / "hot.zarr", *words) == 0
    assert xinsar.open_cube(tmp_path / "hot.zarr").hot_spot.dims == ("pair", "y", "x")


@pytest.mark.parametrize("target", ["50", "cube"])
def test_hotspot_of_points_is_a_density_on_a_grid(scatterers, velocity, tmp_path, target):
    if target == "cube":
        target = tmp_path / "grid.zarr"
        grid = xinsar.rasterize_points(xinsar.open_points(scatterers), 40.0)
        xinsar.save_cube(grid, target)
    words = ["--distance", "150", "--radius", "200", "--target", target, "--quiet"]
    assert status("hotspot", scatterers, tmp_path / "hot.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "hot.zarr")
    assert list(got.data_vars) == ["density"]
    assert float(got.density.min()) < 0  # the fast cluster moves away
    if target != "50":
        np.testing.assert_array_equal(got.x, grid.x)


@pytest.mark.parametrize("chunks", [[], ["--chunks", "90"]])
@pytest.mark.parametrize("ending", ["gpkg", "parquet", "csv"])
@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_points_keep_their_ids_in_a_table(scatterers, tmp_path, kind, ending, chunks):
    needs_parquet(ending)
    name = (lambda k: f"{900 - k}") if kind == "numbers" else (lambda k: f"L{k:04d}P")
    header, *rows = scatterers.read_text().splitlines()
    lines = [f"id,{header}", *(f"{name(k)},{row}" for k, row in enumerate(rows))]
    (tmp_path / "ps.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / f"hot.{ending}"
    assert status("hotspot", tmp_path / "ps.csv", out, "--distance", "150", "--quiet", *chunks) == 0
    got = xinsar.open_points(out)
    assert [str(i) for i in got.id.values] == [name(k) for k in range(300)]
    wanted = xinsar.getis_ord(xinsar.open_points(scatterers), 150)
    np.testing.assert_allclose(got.hot_spot, wanted.hot_spot, rtol=2e-6)


@pytest.mark.parametrize("ending", ["gpkg", "parquet", "csv"])
def test_hotspot_of_egms_is_a_table(tmp_path, ending):
    needs_parquet(ending)
    egms_file = pytest.importorskip("benchmarks.egms_file")

    source = egms_file.write(tmp_path / "EGMS_L2b_044_0240_IW2_VV_2019_2023_1.csv", 200, dates=3, seed=4)
    out = tmp_path / f"hot.{ending}"
    words = ["--distance", "5000", "--variable", "velocity", "--quiet"]
    assert status("hotspot", source, out, *words) == 0
    points, got = xinsar.open_points(source), xinsar.open_points(out)
    assert got.id.values.tolist() == points.id.values.tolist()
    wanted = xinsar.getis_ord(points[["velocity"]], 5000)
    np.testing.assert_allclose(got.hot_spot, wanted.hot_spot, rtol=2e-6)
    np.testing.assert_allclose(got.velocity, points.velocity, rtol=2e-6)


@pytest.mark.parametrize("ending", ["gpkg", "parquet", "csv"])
def test_hotspot_of_points_is_a_table(scatterers, tmp_path, ending, capsys):
    needs_parquet(ending)
    out = tmp_path / f"hot.{ending}"
    assert status("hotspot", scatterers, out, "--distance", "150", "--fdr", "--quiet") == 0
    assert "point 300" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == [out.name]
    wanted = xinsar.getis_ord(xinsar.open_points(scatterers), 150, fdr=True)
    got = xinsar.open_points(out)  # our own tables are read again, with place and unit
    assert got.velocity.attrs["units"] == "m year-1"
    for name in ("x", "y", "hot_spot", "p_value", "significant", "confidence"):
        np.testing.assert_allclose(got[name], wanted[name], rtol=2e-6, err_msg=name)
    assert xinsar.grid.crs_of(got).to_epsg() == 4326


def test_points_in_chunks_give_the_same_table(scatterers, tmp_path):
    words = ["--distance", "150", "--quiet"]
    assert status("hotspot", scatterers, tmp_path / "whole.csv", *words) == 0
    assert status("hotspot", scatterers, tmp_path / "parts.csv", *words, "--chunks", "70") == 0
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "parts.csv").read_text()


def test_nearest_neighbours_and_inverse_distance(scatterers, tmp_path):
    import pandas as pd

    points = xinsar.open_points(scatterers)
    words = {"k": (["--k", "8"], {"k": 8}), "idw": (["--distance", "150"], {"distance": 150})}
    words["idw"] = (
        [*words["idw"][0], "--weights", "inverse_distance"],
        words["idw"][1] | {"weights": "inverse_distance"},
    )
    for name, (flags, options) in words.items():
        assert status("hotspot", scatterers, tmp_path / f"{name}.csv", *flags, "--quiet") == 0
        got = pd.read_csv(tmp_path / f"{name}.csv").hot_spot
        np.testing.assert_allclose(got, xinsar.getis_ord(points, **options).hot_spot, rtol=2e-6)


@pytest.mark.parametrize("out", ["hot.zarr", "hot.tif"])
def test_hotspot_draws_a_picture(velocity, scatterers, tmp_path, out):
    from PIL import Image

    for source, name in ((velocity, "map"), (scatterers, "points")):
        words = ["--distance", "150", "--picture", tmp_path / f"{name}.png", "--quiet"]
        assert status("hotspot", source, tmp_path / f"{name}-{out}", *words) == 0
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(10**7)) > 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hot.png", "--distance", "60"], "OUT: expected a name that ends in .zarr, .tif, .gpkg"),
        (["hot.csv", "--distance", "60"], "OUT: expected a name that ends in .zarr or .tif for a map"),
        (["hot.csv", "--distance", "60", "--radius", "9"], "--radius: a table of points holds no density"),
        (
            ["hot.zarr", "--distance", "60", "--variable", "speed"],
            "there is no 'speed'; SOURCE holds velocity",
        ),
        (
            ["hot.zarr", "--distance", "60", "--picture", "a.doc"],
            "--picture: expected a name that ends in .png",
        ),
        (["hot.zarr", "--distance", "6"], "distance: expected at least the size of a pixel"),
        (["hot.zarr", "--k", "6"], "--radius: expected the radius of the density"),
        (["hot.zarr", "--k", "6", "--radius", "60"], "k: expected points"),
    ],
)
def test_hotspot_says_what_is_wrong_and_writes_nothing(velocity, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert status("hotspot", velocity, *words, "--quiet") == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_hotspot_names_a_target_that_is_no_grid(velocity, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes").write_text("x")
    for target in ("nowhere.zarr", "50m", "folder"):
        words = ["--distance", "60", "--target", tmp_path / target, "--quiet"]
        assert status("hotspot", velocity, tmp_path / "hot.zarr", *words) == 1
        err = capsys.readouterr().err
        assert "--target: expected a resolution in metres or a cube" in err
        assert target in err
        assert err.count("\n") == 1
    assert not (tmp_path / "hot.zarr").exists()


def test_fdr_of_a_density_alone_is_refused(scatterers, velocity, tmp_path, capsys):
    for source, more in ((scatterers, []), (velocity, ["--target", "50"])):
        words = ["--distance", "150", "--fdr", *more, "--quiet"]
        assert status("hotspot", source, tmp_path / "hot.tif", *words) == 1
        assert "--fdr: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_the_grid_of_the_map_keeps_its_hot_spots(velocity, tmp_path):
    for name, more in (("own", []), ("same", ["--target", velocity])):
        words = ["--distance", "60", "--fdr", *more, "--quiet"]
        assert status("hotspot", velocity, tmp_path / f"{name}.zarr", *words) == 0
    own, same = (xinsar.open_cube(tmp_path / f"{name}.zarr") for name in ("own", "same"))
    assert set(own.data_vars) == set(same.data_vars) > {"hot_spot", "significant", "density"}
    np.testing.assert_array_equal(own.density, same.density)


def test_hotspot_refuses_to_overwrite(velocity, scatterers, tmp_path, capsys):
    words = ["--distance", "60", "--quiet"]
    assert status("hotspot", scatterers, tmp_path / "hot.csv", *words) == 0
    before = (tmp_path / "hot.csv").read_bytes()
    assert status("hotspot", scatterers, tmp_path / "hot.csv", "--distance", "90", "--quiet") == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "hot.csv").read_bytes() == before
    assert status("hotspot", velocity, tmp_path / "hot.zarr", *words) == 0
    assert status("hotspot", velocity, tmp_path / "hot.zarr", "--distance", "90", "--quiet") == 1


def test_a_series_of_points_is_no_table(tmp_path, capsys):
    rows = "".join(f"{11 + k / 1e3},46.1,{k},{k % 7}\n" for k in range(30))
    (tmp_path / "ps.csv").write_text("lon,lat,D20200101_mm,D20200113_mm\n" + rows)
    words = ["--distance", "150", "--quiet"]
    assert status("hotspot", tmp_path / "ps.csv", tmp_path / "hot.gpkg", *words) == 1
    assert "a table holds one value a point" in capsys.readouterr().err
    picture = ["--picture", tmp_path / "hot.png"]
    assert status("hotspot", tmp_path / "ps.csv", tmp_path / "hot.zarr", *words, *picture) == 1
    assert "--picture: expected a single map" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["ps.csv"]


def test_info_of_points(scatterers, tmp_path, capsys):
    assert status("info", scatterers) == 0
    text = capsys.readouterr().out
    assert "300" in text
    assert "positive toward the satellite" in text
    xinsar.save_cube(xinsar.open_points(scatterers), tmp_path / "points.zarr")
    assert status("info", tmp_path / "points.zarr") == 0
    assert "300" in capsys.readouterr().out


# --- demo


def test_demo_passes_its_options(monkeypatch, tmp_path):
    from xinsar import demo

    seen = {}
    monkeypatch.setattr(demo, "run", lambda out, **options: seen.update(options, out=out))
    assert status("demo", "--out", tmp_path / "there", "--seed", "5", "--quiet") == 0
    wanted = {
        "out": str(tmp_path / "there"),
        "seed": 5,
        "progress": False,
        "say": print,
        "method": demo.METHOD,
    }
    assert seen == wanted
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


@pytest.mark.real
def test_maoxian_goes_through_info_and_hotspot(real_data, tmp_path, capsys):
    import geopandas

    source = real_data("maoxian-landslide-ps-stamps") / "Maoxian_SBAS.csv"
    assert status("info", source) == 0
    assert "608" in capsys.readouterr().out
    picture = ["--picture", tmp_path / "hot.png"]
    assert (
        status("hotspot", source, tmp_path / "hot.gpkg", "--distance", "60", "--fdr", *picture, "--quiet")
        == 0
    )
    hot = geopandas.read_file(tmp_path / "hot.gpkg")
    coldest = hot.loc[hot.hot_spot.idxmin()]  # the fast cluster moves away from the satellite
    assert coldest.significant == 1
    assert (coldest.geometry.x, coldest.geometry.y) == pytest.approx((103.662, 32.0806), abs=5e-4)
    assert (tmp_path / "hot.png").stat().st_size > 10_000


@pytest.mark.real
def test_amsterdam_goes_through_hotspot(real_data, tmp_path):
    import geopandas

    source = real_data("amsterdam-depsi-ps") / "example.csv"
    words = ["--k", "8", "--variable", "velocity", "--quiet"]
    assert status("hotspot", source, tmp_path / "hot.gpkg", *words) == 0
    hot = geopandas.read_file(tmp_path / "hot.gpkg")
    points = xinsar.open_points(source)
    assert hot.id.tolist() == points.id.values.tolist()
    wanted = xinsar.getis_ord(points[["velocity"]], k=8).hot_spot
    np.testing.assert_allclose(hot.hot_spot, wanted, rtol=2e-6)
