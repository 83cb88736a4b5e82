"""The command line of motion: from pairs to series, to velocities, to east and up, each as the library gives it."""

import inspect

import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer

import xinsar
from xinsar import cli

TRUE = {"east": 0.03, "up": -0.02}
"""Motion of the moving block, m a year."""


def status(*words):
    return cli.main([str(word) for word in words])


@pytest.fixture(scope="module")
def scene():
    """Two tracks of unwrapped pairs over one area, in which a block moves and the north-west corner is firm."""
    found = {}
    for name, node in xinsar.simulate.scene(3, shape=(24, 32), tier="hard").cube.children.items():
        ds = node.to_dataset().isel(pair=slice(0, 18))
        los = ds.los.isel(y=0, x=0).values.astype(float)
        toward = los[0] * TRUE["east"] + los[2] * TRUE["up"]
        years = ((ds.secondary_time - ds.reference_time) / np.timedelta64(1, "D") / 365.25).values
        block = np.zeros((24, 32))
        block[8:18, 10:24] = toward
        noise = np.random.default_rng(len(found)).normal(0, 0.05, ds.phase.shape)
        phase = -4 * np.pi / ds.wavelength * years[:, None, None] * block + noise
        coherence = ds.coherence.clip(0.3, 0.9)
        ds = ds.drop_vars("phase").assign(
            unwrapped_phase=(ds.phase.dims, phase.astype("f4"), {"units": "rad"}),
            coherence=coherence.assign_attrs(ds.coherence.attrs),
        )
        found[name] = ds
    return found


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    """Cubes on disk: each track's pairs, both tracks', the series and the velocities of each and both."""
    path = tmp_path_factory.mktemp("motion")
    speeds = {}
    for name, ds in scene.items():
        xinsar.save_cube(ds, path / f"{name}.zarr", progress=False)
        place = ((float(ds.x[0]), float(ds.y[6])), (float(ds.x[6]), float(ds.y[0])))
        series = xinsar.invert_network(ds, reference=place)
        xinsar.save_cube(series.assign(los=ds.los), path / f"{name}-series.zarr", progress=False)
        speed = xinsar.velocity(series).assign(
            los=ds.los, elevation=ds.elevation, temporal_coherence=series.temporal_coherence
        )
        speeds[name] = speed
        xinsar.save_cube(speed, path / f"{name}-speed.zarr", progress=False)
    xinsar.save_cube(xr.DataTree.from_dict(scene), path / "pairs.zarr", progress=False)
    xinsar.save_cube(xr.DataTree.from_dict(speeds), path / "speeds.zarr", progress=False)
    return path


@pytest.fixture
def speeds(folder):
    return [xinsar.open_cube(folder / f"{name}-speed.zarr") for name in ("ascending", "descending")]


def same(got, wanted, names=None):
    for name in names or wanted.data_vars:
        np.testing.assert_array_equal(got[name], wanted[name], err_msg=name)


def colours(path):
    from PIL import Image

    with Image.open(path) as picture:
        assert min(picture.size) > 200
        return len(picture.convert("RGB").getcolors(10**7))


# --- words


@pytest.mark.parametrize(
    "words",
    [
        ["invert", "a.zarr"],
        ["invert", "a.zarr", "b.zarr", "--weights", "sigma"],
        ["invert", "a.zarr", "b.zarr", "--reference", "1,2,3"],
        ["invert", "a.zarr", "b.zarr", "--reference", "north"],
        ["velocity", "a.zarr"],
        ["velocity", "a.zarr", "b.zarr", "--seasonal", "weekly"],
        ["velocity", "a.zarr", "b.zarr", "--steps", "last summer"],
        ["velocity", "a.zarr", "b.zarr", "--steps", "2020-01-01,"],
        ["velocity", "a.zarr", "b.zarr", "--max-gap", "long"],
        ["decompose", "a.zarr"],
        ["decompose", "a.zarr", "b.zarr", "c.zarr", "--north", "known"],
        ["decompose", "a.zarr", "b.zarr", "c.zarr", "--weights", "uniform"],
        ["decompose", "a.zarr", "b.zarr", "c.zarr", "--resampling", "cubic"],
    ],
)
def test_misspelled_commands_leave_with_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "usage: xinsar" in capsys.readouterr().err


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n    {name}" in text for name in ("invert", "velocity", "decompose"))


@pytest.mark.parametrize("command", ["invert", "velocity", "decompose"])
def test_help_of_a_command_explains_its_options(command, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    assert "--picture FILE.png" in capsys.readouterr().out


def options_of(function):
    return {n for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}


def test_every_option_of_the_library_has_its_flag():
    commands = {"invert": [xinsar.invert_network], "velocity": [xinsar.velocity, xinsar.monthly_velocity]}
    commands["decompose"] = [xinsar.decompose_los]
    for command, functions in commands.items():
        parsed = vars(
            cli._parser().parse_args([command, "a", "b", "c"][: 4 if command == "decompose" else 3])
        )
        for function in functions:
            assert options_of(function) <= set(parsed), command


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("auto", "auto"),
        ("none", None),
        ("3,4", (3.0, 4.0)),
        ("-99.1,-19.4", (-99.1, -19.4)),
        ("-1,2,3,-4e3", ((-1.0, 2.0), (3.0, -4000.0))),
        ("-.5,1", (-0.5, 1.0)),
    ],
)
def test_a_reference_may_lie_west_and_south(text, place):
    for words in (["--reference", text], [f"--reference={text}"]):
        assert cli._parser().parse_args(["invert", "a.zarr", "b.zarr", *words]).reference == place


def test_a_forgotten_option_is_not_taken_for_a_place():
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["invert", "a.zarr", "b.zarr", "--reference", "--quiet"])


# --- invert


def test_invert_equals_the_call_and_keeps_what_decompose_needs(folder, scene, tmp_path, capsys):
    assert status("invert", folder / "ascending.zarr", tmp_path / "s.zarr", "--quiet") == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "wrote" in said.out
    assert "displacement, temporal_coherence" in said.out
    assert said.err == ""
    got = xinsar.open_cube(tmp_path / "s.zarr")
    wanted = xinsar.invert_network(xinsar.open_cube(folder / "ascending.zarr"))
    same(got, wanted)
    same(got, scene["ascending"], ("los", "elevation"))
    assert set(got.data_vars) == {*wanted.data_vars, "los", "elevation"}
    assert got.attrs["history"] == wanted.attrs["history"]


def test_every_option_of_invert_arrives(folder, scene, tmp_path):
    ds = scene["descending"]
    corners = [float(v) for v in (ds.x[0], ds.y[5], ds.x[5], ds.y[0])]
    words = ["--track", "descending", "--weights", "uniform", "--dem-error", "--quiet"]
    words += ["--reference", ",".join(map(str, corners))]
    assert status("invert", folder / "pairs.zarr", tmp_path / "s.zarr", *words) == 0
    wanted = xinsar.invert_network(
        xinsar.open_cube(folder / "descending.zarr"),
        weights="uniform",
        dem_error=True,
        reference=(tuple(corners[:2]), tuple(corners[2:])),
    )
    same(xinsar.open_cube(tmp_path / "s.zarr"), wanted)
    assert "dem_error" in wanted


def test_no_reference(folder, tmp_path):
    words = ["--reference", "none", "--quiet"]
    assert status("invert", folder / "ascending.zarr", tmp_path / "s.zarr", *words) == 0
    wanted = xinsar.invert_network(xinsar.open_cube(folder / "ascending.zarr"), reference=None)
    same(xinsar.open_cube(tmp_path / "s.zarr"), wanted)


def test_a_wavelength_is_given_where_the_product_says_none(folder, scene, tmp_path, capsys):
    bare = scene["ascending"].copy()
    known = bare.attrs.pop("wavelength")
    xinsar.save_cube(bare, tmp_path / "bare.zarr", progress=False)
    assert status("invert", tmp_path / "bare.zarr", tmp_path / "s.zarr", "--quiet") == 1
    assert "--wavelength: CUBE does not say" in capsys.readouterr().err
    words = ["--wavelength", known, "--quiet"]
    assert status("invert", tmp_path / "bare.zarr", tmp_path / "s.zarr", *words) == 0
    same(xinsar.open_cube(tmp_path / "s.zarr"), xinsar.invert_network(scene["ascending"]))
    words = ["--wavelength", "0.24", "--quiet"]
    assert status("invert", folder / "ascending.zarr", tmp_path / "t.zarr", *words) == 1
    assert "--wavelength: expected what CUBE says, 0.0554658 m, got 0.24" in capsys.readouterr().err
    for wrong in ("-0.05", "nan"):
        words = ["--wavelength", wrong, "--quiet"]
        assert status("invert", tmp_path / "bare.zarr", tmp_path / "t.zarr", *words) == 1
        assert "wavelength: expected a" in capsys.readouterr().err
    assert not (tmp_path / "t.zarr").exists()


def test_a_geotiff_has_a_band_for_every_date_and_map(folder, tmp_path):
    assert status("invert", folder / "ascending.zarr", tmp_path / "s.tif", "--quiet") == 0
    wanted = xinsar.invert_network(xinsar.open_cube(folder / "ascending.zarr")).compute()
    dates = [f"displacement {date}" for date in np.datetime_as_string(wanted.time, unit="D")]
    with rasterio.open(tmp_path / "s.tif") as file:
        assert list(file.descriptions) == [*dates, "temporal_coherence", "residual_rms", "network_parts"]
        assert file.units[: len(dates) + 1] == ("m",) * len(dates) + ("1",)
        assert file.crs.to_epsg() == 32647
        np.testing.assert_array_equal(file.read(range(1, len(dates) + 1)), wanted.displacement)


@pytest.mark.parametrize("out", ["s.zarr", "s.tif"])
def test_invert_draws_the_velocity_and_the_fastest_place(folder, tmp_path, monkeypatch, out):
    from xinsar import plot

    seen = {}
    monkeypatch.setattr(
        plot,
        "series",
        lambda ds, x, y, *, ax, real=plot.series: seen.update(at=(x, y)) or real(ds, x, y, ax=ax),
    )
    words = ["--picture", tmp_path / "new" / "s.png", "--quiet"]
    assert status("invert", folder / "ascending.zarr", tmp_path / out, *words) == 0
    assert colours(tmp_path / "new" / "s.png") > 50
    ds = xinsar.open_cube(folder / "ascending.zarr")
    column, row = (int(np.abs(ds[d].values - v).argmin()) for d, v in zip("xy", seen["at"], strict=True))
    assert 8 <= row < 18
    assert 10 <= column < 24


def test_a_picture_is_drawn_from_what_was_written(folder, tmp_path, monkeypatch):
    """Nothing is inverted twice: the bands of the file are read again, north up, whichever way the cube lies."""
    from xinsar.cli.pictures import written

    series = xinsar.open_cube(folder / "ascending-series.zarr").drop_vars("los").load()
    for number, ds in enumerate((series, series.isel(y=slice(None, None, -1), x=slice(None, None, -1)))):
        xinsar.to_geotiff(ds, tmp_path / f"{number}.tif", progress=False)
        poisoned = ds.assign(displacement=ds.displacement * np.nan)
        got = written(poisoned, str(tmp_path / f"{number}.tif"))
        for name in series.data_vars:
            np.testing.assert_allclose(got[name], series[name], err_msg=name)
        for d in ("x", "y", "time"):
            np.testing.assert_array_equal(got[d], series[d])


def test_invert_refuses_what_is_inverted_already_or_still_wrapped(folder, tmp_path, capsys):
    assert status("invert", folder / "ascending-series.zarr", tmp_path / "s.zarr", "--quiet") == 1
    assert "xinsar velocity" in capsys.readouterr().err
    wrapped = xinsar.open_cube(folder / "ascending.zarr").rename(unwrapped_phase="phase")
    xinsar.save_cube(wrapped.assign(phase=wrapped.phase % 3), tmp_path / "wrapped.zarr", progress=False)
    assert status("invert", tmp_path / "wrapped.zarr", tmp_path / "s.zarr", "--quiet") == 1
    assert "unwrap it first" in capsys.readouterr().err
    assert not (tmp_path / "s.zarr").exists()


# --- velocity


def test_velocity_equals_the_call(folder, tmp_path, capsys):
    source = folder / "ascending-series.zarr"
    assert status("velocity", source, tmp_path / "v.zarr", "--quiet") == 0
    assert "velocity, velocity_sigma, los, temporal_coherence; y 24, x 32" in capsys.readouterr().out
    got = xinsar.open_cube(tmp_path / "v.zarr")
    series = xinsar.open_cube(source)
    same(got, xinsar.velocity(series))
    same(got, series, ("los", "temporal_coherence"))


def test_seasons_and_steps_arrive(folder, tmp_path):
    source = folder / "ascending-series.zarr"
    time = xinsar.open_cube(source).time.values
    step = str(np.datetime_as_string(time[4], unit="D"))
    words = ["--seasonal", "annual", "--steps", step, "--quiet"]
    assert status("velocity", source, tmp_path / "v.zarr", *words) == 0
    wanted = xinsar.velocity(xinsar.open_cube(source), seasonal="annual", steps=step)
    same(xinsar.open_cube(tmp_path / "v.zarr"), wanted)
    assert wanted.velocity.attrs["steps"] == step


def test_months(folder, tmp_path):
    source = folder / "ascending-series.zarr"
    for more, options in (([], {}), (["--max-gap", "5"], {"max_gap": 5})):
        out = tmp_path / f"{len(more)}.tif"
        assert status("velocity", source, out, "--monthly", *more, "--quiet") == 0
        wanted = xinsar.monthly_velocity(xinsar.open_cube(source), **options).velocity
        with rasterio.open(out) as file:
            months = np.datetime_as_string(wanted.time, unit="D")
            assert list(file.descriptions) == [f"velocity {month}" for month in months]
            np.testing.assert_array_equal(file.read(), wanted)


def test_velocity_of_points(tmp_path, capsys):
    rows = "".join(f"{11 + k / 1e3},46.1,{k},{k % 7},{k % 5}\n" for k in range(30))
    source = tmp_path / "ps.csv"
    source.write_text("lon,lat,D20200101_mm,D20200113_mm,D20200125_mm\n" + rows)
    words = ["--picture", tmp_path / "v.png", "--quiet"]
    assert status("velocity", source, tmp_path / "v.zarr", *words) == 0
    same(xinsar.open_cube(tmp_path / "v.zarr"), xinsar.velocity(xinsar.open_points(source)))
    assert colours(tmp_path / "v.png") > 50
    assert status("velocity", source, tmp_path / "v.tif", "--quiet") == 1
    assert "OUT: expected a name that ends in .zarr for points" in capsys.readouterr().err
    assert not (tmp_path / "v.tif").exists()


@pytest.mark.parametrize("out", ["v.zarr", "v.tif"])
def test_velocity_draws_a_picture(folder, tmp_path, out):
    words = ["--picture", tmp_path / "v.png", "--quiet"]
    assert status("velocity", folder / "ascending-series.zarr", tmp_path / out, *words) == 0
    assert colours(tmp_path / "v.png") > 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["v.zarr", "--max-gap", "30"], "--max-gap: expected together with --monthly"),
        (["v.zarr", "--monthly", "--seasonal", "annual"], "--seasonal: belongs to one velocity"),
        (["v.zarr", "--monthly", "--steps", "2021-03-01"], "--steps: belongs to one velocity"),
        (["v.zarr", "--monthly", "--picture", "a.png"], "--picture: draws one map"),
        (["v.zarr", "--picture", "a.doc"], "--picture: expected a name that ends in .png"),
        (["v.gpkg"], "OUT: expected a name that ends in .zarr or .tif"),
        (["v.zarr", "--steps", "1999-01-01"], "steps: expected a date after"),
        (["v.zarr", "--track", "west"], "track"),
    ],
)
def test_velocity_says_what_is_wrong_and_writes_nothing(folder, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert status("velocity", folder / "ascending-series.zarr", *words, "--quiet") == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_velocity_of_pairs_names_the_command_that_comes_before(folder, scene, tmp_path, capsys):
    assert status("velocity", folder / "ascending.zarr", tmp_path / "v.zarr", "--quiet") == 1
    assert f"xinsar invert {folder / 'ascending.zarr'} series.zarr" in capsys.readouterr().err
    wrapped = scene["ascending"].rename(unwrapped_phase="phase")
    xinsar.save_cube(wrapped.assign(phase=wrapped.phase % 3), tmp_path / "wrapped.zarr", progress=False)
    assert status("velocity", tmp_path / "wrapped.zarr", tmp_path / "v.zarr", "--quiet") == 1
    assert "got wrapped pairs" in capsys.readouterr().err
    assert status("velocity", folder / "ascending-speed.zarr", tmp_path / "v.zarr", "--quiet") == 1
    assert "displacement: the dataset has no variable of this name" in capsys.readouterr().err
    assert not (tmp_path / "v.zarr").exists()


def test_a_track_of_no_cube_is_an_error(tmp_path, capsys):
    (tmp_path / "ps.csv").write_text("lon,lat,vel_mm_yr\n11,46,3\n")
    words = ["--track", "west", "--quiet"]
    assert status("velocity", tmp_path / "ps.csv", tmp_path / "v.zarr", *words) == 1
    assert "--track: expected a cube that holds several tracks" in capsys.readouterr().err


# --- decompose


def test_decompose_of_two_cubes_equals_the_call(folder, speeds, tmp_path, capsys):
    cubes = [folder / f"{name}-speed.zarr" for name in ("ascending", "descending")]
    assert status("decompose", *cubes, tmp_path / "m.zarr", "--quiet") == 0
    assert (
        "motion, motion_sigma, condition_number, residual; component 2, y 24, x 32" in capsys.readouterr().out
    )
    got = xinsar.open_cube(tmp_path / "m.zarr")
    wanted = xinsar.decompose_los(*speeds)
    same(got, wanted)
    assert list(got.component.values) == ["east", "up"]
    assert got.attrs["tracks"] == ["ascending", "descending"]
    inside = got.motion[:, 9:17, 11:23].mean(("y", "x"))
    for name, value in TRUE.items():
        assert float(inside.sel(component=name)) == pytest.approx(value, abs=0.002)


def test_decompose_of_one_cube_of_two_tracks(folder, speeds, tmp_path):
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", "--quiet") == 0
    same(xinsar.open_cube(tmp_path / "m.zarr"), xinsar.decompose_los(*speeds))
    words = ["--tracks", "descending, ascending", "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / "other.zarr", *words) == 0
    same(xinsar.open_cube(tmp_path / "other.zarr"), xinsar.decompose_los(*speeds[::-1]))


def test_decompose_to_geotiff_names_the_components(folder, speeds, tmp_path):
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.tif", "--slope", "--quiet") == 0
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.descriptions == (
            "motion east",
            "motion up",
            "motion_sigma east",
            "motion_sigma up",
            "condition_number",
            "residual",
            "slope_motion",
            "slope",
            "aspect",
        )
        assert file.units[:2] == ("m year-1", "m year-1")
        assert file.units[6:] == ("m year-1", "degree", "degree")
        np.testing.assert_array_equal(file.read([1, 2]), xinsar.decompose_los(*speeds).motion)


def test_every_option_of_decompose_arrives(folder, speeds, tmp_path):
    words = ["--variable", "velocity", "--north", "surface", "--weights", "coherence"]
    words += ["--max-condition", "7.5", "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", *words) == 0
    ground = xinsar.terrain(speeds[0]).data_vars
    wanted = xinsar.decompose_los(
        speeds[0].assign(ground),
        speeds[1],
        variable="velocity",
        north="surface",
        weights="coherence",
        max_condition=7.5,
    )
    got = xinsar.open_cube(tmp_path / "m.zarr")
    same(got, wanted)
    assert got.attrs["history"] == wanted.attrs["history"]
    assert list(got.component.values) == ["east", "north", "up"]


def test_displacements_of_equal_dates(folder, tmp_path):
    """Dims of time pass through, and become bands."""
    one = xinsar.open_cube(folder / "ascending-series.zarr").load()
    other = one.assign(los=xinsar.open_cube(folder / "descending-series.zarr").los)
    for name, ds in (("a", one), ("b", other)):
        xinsar.save_cube(ds, tmp_path / f"{name}.zarr", progress=False)
    words = [tmp_path / "a.zarr", tmp_path / "b.zarr", tmp_path / "m.tif"]
    assert status("decompose", *words, "--quiet") == 0
    with rasterio.open(tmp_path / "m.tif") as file:
        first = str(np.datetime_as_string(one.time.values[0], unit="D"))
        assert file.descriptions[:2] == (f"motion {first} east", f"motion {first} up")
    assert status("decompose", *words, "--picture", tmp_path / "m.png", "--quiet") == 1
    assert not (tmp_path / "m.png").exists()


@pytest.fixture
def elsewhere(folder, tmp_path):
    """The descending track on coarser pixels that begin elsewhere."""
    ds = xinsar.open_cube(folder / "descending-speed.zarr").load()
    y, x = ds.y.values[1:-1:2] + 6.0, ds.x.values[1:-1:2] - 4.0
    coarse = ds.interp(y=y, x=x).astype("f4")
    path = tmp_path / "elsewhere.zarr"
    xinsar.save_cube(coarse.assign(elevation=coarse.elevation.assign_attrs(units="m")), path, progress=False)
    return path


@pytest.mark.parametrize("target", ["1", "ascending", "path", "other"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_tracks_on_other_grids_are_brought_to_the_target(
    folder, elsewhere, speeds, tmp_path, target, resampling
):
    first = folder / "ascending-speed.zarr"
    named = {"path": first, "other": folder / "ascending.zarr"}.get(target, target)
    words = ["--target", named, "--resampling", resampling, "--slope", "--quiet"]
    assert status("decompose", first, elsewhere, tmp_path / "m.zarr", *words) == 0
    pair = speeds[0].assign(xinsar.terrain(speeds[0]).data_vars), xinsar.open_cube(elsewhere)
    got = xinsar.open_cube(tmp_path / "m.zarr")
    same(got, xinsar.decompose_los(*pair, target=pair[0], resampling=resampling))
    np.testing.assert_array_equal(got.x, pair[0].x)
    inside = got.slope_motion[10:16, 13:20]
    # of the two looks, as if the second had been there from the beginning
    whole = xinsar.to_slope(pair[0], speeds[1]).slope_motion[10:16, 13:20]
    np.testing.assert_allclose(inside, whole, atol=0.01)


def test_the_second_track_may_be_the_target(folder, elsewhere, tmp_path):
    words = ["--target", "2", "--resampling", "nearest", "--slope", "--quiet"]
    first = folder / "ascending-speed.zarr"
    assert status("decompose", first, elsewhere, tmp_path / "m.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "m.zarr")
    np.testing.assert_array_equal(got.x, xinsar.open_cube(elsewhere).x)
    assert got.slope_motion.shape == got.slope.shape == got.motion.shape[1:]


def test_slope_motion_is_that_of_the_looks(folder, speeds, tmp_path):
    words = ["--slope", "--min-sensitivity", "0.5", "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "m.zarr")
    ground = xinsar.terrain(speeds[0])
    wanted = xinsar.to_slope(speeds[0].assign(ground.data_vars), speeds[1], min_sensitivity=0.5)
    same(got, wanted)
    same(got, ground, ("slope", "aspect"))
    same(got, xinsar.decompose_los(*speeds))
    last = got.attrs["history"].splitlines()[-1]
    assert last.startswith("xinsar.to_slope(")
    assert "xinsar.decompose_los(" in got.attrs["history"].splitlines()[-2]


def test_a_slope_toward_the_north_is_not_multiplied(folder, scene, tmp_path):
    """A slide toward north, of which east and up with north = 0 make a third too much."""
    slope, aspect = 25.0, 0.0
    down = xinsar.simulate.geometry.downslope_vector(slope, aspect)
    for name, ds in scene.items():
        ground = {"slope": slope, "aspect": aspect, "velocity": float(ds.los[:, 0, 0].values @ down) * 0.1}
        maps = {n: (("y", "x"), np.full((24, 32), v)) for n, v in ground.items()}
        xinsar.save_cube(ds[["los"]].assign(maps), tmp_path / f"{name}.zarr", progress=False)
    cubes = [tmp_path / f"{name}.zarr" for name in scene]
    assert status("decompose", *cubes, tmp_path / "m.zarr", "--slope", "--quiet") == 0
    got = xinsar.open_cube(tmp_path / "m.zarr")
    np.testing.assert_allclose(got.slope_motion, 0.1, rtol=1e-5)
    motion = got.drop_vars(["slope_motion", "condition_number", "residual", "motion_sigma"])
    assert float(xinsar.to_slope(motion).slope_motion.mean()) > 0.125


def slope_of_20_degrees(east, north):
    """Return elevations that fall toward the azimuth 120."""
    away = np.sin(np.radians(120)) * (east - 6e5) + np.cos(np.radians(120)) * (north - 3e6)
    return (2000 - np.tan(np.radians(20)) * away).astype("f4")


def write_elevation(path, *, step=5.0, crs=32647, bands=1, unit=None):
    """Write an even slope over the tracks, in metres or degrees of latitude and longitude."""
    x0, y0, size = (599_900.0, 3_000_200.0, step)
    shape = (round(1000 / step), round(1200 / step))
    row, column = np.indices(shape) + 0.5
    if crs == 4326:
        to_degrees = Transformer.from_crs(32647, 4326, always_xy=True)
        (x0, y0), size = to_degrees.transform(x0, y0), step / 100_000
    x, y = x0 + size * column, y0 - size * row
    if crs == 4326:
        x, y = Transformer.from_crs(4326, 32647, always_xy=True).transform(x, y)
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": bands, "dtype": "float32"}
    profile |= {
        "crs": f"EPSG:{crs}",
        "transform": rasterio.Affine(size, 0, x0, 0, -size, y0),
        "nodata": -9999,
    }
    with rasterio.open(path, "w", **profile) as file:
        for band in range(1, bands + 1):
            file.write(slope_of_20_degrees(x, y), band)
        if unit:
            file.units = [unit] * bands
    return path


@pytest.mark.parametrize("step", [5.0, 25.0, 40.0])
def test_elevation_of_a_file_is_brought_to_the_track(folder, tmp_path, step):
    source = write_elevation(tmp_path / "dem.tif", step=step)
    words = ["--slope", "--elevation", source, "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "m.zarr")
    np.testing.assert_allclose(got.slope, 20, atol=0.1)
    np.testing.assert_allclose(got.aspect, 120, atol=0.3)
    assert np.isfinite(got.slope_motion).mean() > 0.9


def test_elevation_in_degrees_and_of_a_cube(folder, tmp_path):
    write_elevation(tmp_path / "degrees.tif", crs=4326)
    place = {"y": 3_000_197.5 - 5.0 * np.arange(200), "x": 599_902.5 + 5.0 * np.arange(240)}
    heights = slope_of_20_degrees(*np.meshgrid(place["x"], place["y"]))
    cube = xr.Dataset({"elevation": (("y", "x"), heights, {"units": "m"})}, place).rio.write_crs(32647)
    xinsar.save_cube(cube, tmp_path / "dem.zarr", progress=False)
    for source in ("degrees.tif", "dem.zarr"):
        words = ["--north", "aspect", "--slope", "--elevation", tmp_path / source, "--quiet"]
        out = tmp_path / f"{source}-motion.zarr"
        assert status("decompose", folder / "speeds.zarr", out, *words) == 0
        got = xinsar.open_cube(out).load()
        assert float(abs(got.slope - 20).median()) < 0.3
        assert float(abs(got.aspect - 120).median()) < 1
        assert list(got.component.values) == ["east", "north", "up"]


@pytest.mark.parametrize("out", ["m.zarr", "m.tif"])
def test_decompose_draws_the_components(folder, tmp_path, out):
    words = ["--picture", tmp_path / "m.png", "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / out, *words) == 0
    assert colours(tmp_path / "m.png") > 100


def test_the_terrain_of_a_picture_is_that_of_the_file_or_of_the_cube(folder, tmp_path, monkeypatch):
    from xinsar import plot

    seen = []
    monkeypatch.setattr(plot, "motion", lambda ds, *, elevation, ax: seen.append(elevation))
    more = {"own": [], "file": ["--slope", "--elevation", write_elevation(tmp_path / "dem.tif")]}
    for name, words in more.items():
        words = [*words, "--picture", tmp_path / "m.png", "--quiet"]
        assert status("decompose", folder / "speeds.zarr", tmp_path / f"{name}.zarr", *words) == 0
    np.testing.assert_array_equal(seen[0], xinsar.open_cube(folder / "ascending-speed.zarr").elevation)
    wanted = slope_of_20_degrees(*np.meshgrid(seen[1].x, seen[1].y))
    np.testing.assert_allclose(seen[1], wanted, atol=0.05)


def test_terrain_in_another_system_is_left_out_of_a_picture(folder):
    from xinsar.cli.pictures import terrain_below

    ds = xinsar.open_cube(folder / "ascending-speed.zarr")
    moved = ds.drop_vars("spatial_ref").rio.write_crs(32646)
    assert terrain_below(ds, moved) is None
    assert terrain_below(ds, moved, ds).identical(ds.elevation)
    assert terrain_below(ds, ds[["velocity"]]) is None


@pytest.mark.parametrize(
    ("cubes", "words", "said"),
    [
        (["speeds"], ["m.shp"], "OUT: expected a name that ends in .zarr or .tif"),
        (["speeds"], ["m.zarr", "--picture", "m.doc"], "--picture: expected a name that ends in .png"),
        (["ascending-speed"], ["m.zarr"], "tracks: expected 2 or more, for east and up, got 1"),
        (["speeds"], ["m.zarr", "--north", "solve"], "tracks: expected 3 or more"),
        (["speeds"], ["m.zarr", "--tracks", "ascending,west"], "they are 1 (ascending), 2 (descending)"),
        (["speeds"], ["m.zarr", "--variable", "speed"], "variable: expected 'speed' in every track"),
        (
            ["speeds"],
            ["m.zarr", "--target", "3"],
            "--target: expected the number or name of a track or a cube",
        ),
        (["speeds"], ["m.zarr", "--resampling", "nearest"], "target: expected the grid to resample to"),
        (
            ["speeds"],
            ["m.zarr", "--min-sensitivity", "0.2"],
            "--min-sensitivity: expected together with --slope",
        ),
        (["speeds"], ["m.zarr", "--elevation", "dem.tif"], "--elevation: expected together with --slope"),
        (
            ["speeds"],
            ["m.zarr", "--slope", "--elevation", "dem.tif"],
            "--elevation: expected a raster or a cube",
        ),
        (["speeds"], ["m.zarr", "--max-condition", "0"], "max_condition: expected a number above 0"),
        (["pairs"], ["m.zarr"], "variable: expected 'velocity' or 'displacement' in every track"),
        (
            ["ascending-series", "descending-series"],
            ["m.zarr", "--slope"],
            "holds neither slope and aspect nor",
        ),
        (
            ["ascending-series", "descending-series"],
            ["m.zarr"],
            "time: expected the same values in every track",
        ),
        (["nowhere", "speeds"], ["m.zarr"], "nowhere.zarr"),
    ],
)
def test_decompose_says_what_is_wrong_and_writes_nothing(
    folder, tmp_path, monkeypatch, capsys, cubes, words, said
):
    monkeypatch.chdir(tmp_path)
    paths = [folder / f"{name}.zarr" for name in cubes]
    assert status("decompose", *paths, *words, "--quiet") == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_grids_that_differ_are_never_resampled_silently(folder, elsewhere, tmp_path, capsys):
    first = folder / "ascending-speed.zarr"
    assert status("decompose", first, elsewhere, tmp_path / "m.zarr", "--slope", "--quiet") == 1
    assert "expected all tracks on one grid" in capsys.readouterr().err
    assert not (tmp_path / "m.zarr").exists()


def test_wrong_elevations_are_errors(folder, tmp_path, capsys):
    cases = {
        "two.tif": ({"bands": 2}, "--elevation: expected one band in metres, got 2"),
        "feet.tif": ({"unit": "ft"}, "--elevation: expected one band in metres, got 1 in 'ft'"),
        "far.tif": ({"crs": 32645}, "elevation: expected a raster that overlaps 'the first track'"),
    }
    for name, (options, said) in cases.items():
        words = ["--slope", "--elevation", write_elevation(tmp_path / name, **options), "--quiet"]
        assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", *words) == 1
        assert said in capsys.readouterr().err
    words = ["--slope", "--elevation", folder / "descending-series.zarr", "--quiet"]
    assert status("decompose", folder / "speeds.zarr", tmp_path / "m.zarr", *words) == 1
    assert "elevation: the dataset has no variable of this name" in capsys.readouterr().err
    assert not (tmp_path / "m.zarr").exists()


def test_points_are_no_tracks(folder, tmp_path, capsys):
    (tmp_path / "ps.csv").write_text("lon,lat,vel_mm_yr\n11,46,3\n")
    words = [folder / "ascending-speed.zarr", tmp_path / "ps.csv", tmp_path / "m.zarr"]
    assert status("decompose", *words, "--quiet") == 1
    assert "xinsar.rasterize_points" in capsys.readouterr().err


# --- the whole way


def test_from_pairs_to_motion_on_the_command_line(folder, scene, tmp_path):
    x, y = (scene["ascending"][d].values for d in "xy")
    place = f"{x[0]},{y[6]},{x[6]},{y[0]}"
    for track in scene:
        words = ["--track", track, "--reference", place, "--quiet"]
        assert status("invert", folder / "pairs.zarr", tmp_path / f"{track}.zarr", *words) == 0
        out = tmp_path / f"v-{track}.zarr"
        assert status("velocity", tmp_path / f"{track}.zarr", out, "--quiet") == 0
    cubes = [tmp_path / f"v-{track}.zarr" for track in scene]
    words = ["--weights", "coherence", "--slope", "--quiet"]
    assert status("decompose", *cubes, tmp_path / "m.zarr", *words) == 0
    got = xinsar.open_cube(tmp_path / "m.zarr")
    for name, value in TRUE.items():
        inside = got.motion.sel(component=name)[9:17, 11:23]
        assert float(inside.mean()) == pytest.approx(value, abs=0.002)
    assert np.isfinite(got.slope_motion).any()


@pytest.mark.real
def test_mexico_city_goes_from_pairs_to_velocity(real_data, tmp_path, capsys):
    source = real_data("mexico-city-s1-gamma-stack") / "unw"
    words = ["--reference", "-99.1838,19.4233,-99.1705,19.3960", "--picture", tmp_path / "s.png", "--quiet"]
    assert status("invert", source, tmp_path / "s.zarr", *words) == 0
    assert "time 13, y 60, x 100" in capsys.readouterr().out
    assert status("velocity", tmp_path / "s.zarr", tmp_path / "v.tif", "--quiet") == 0
    with rasterio.open(tmp_path / "v.tif") as file:
        assert file.descriptions == ("velocity", "velocity_sigma")
        rate = file.read(1)
        assert np.nanmin(rate) == pytest.approx(-0.294, abs=0.005)
        assert file.xy(*np.unravel_index(np.nanargmin(rate), rate.shape)) == pytest.approx(
            (-99.054, 19.44), abs=4e-3
        )
    assert (tmp_path / "s.png").stat().st_size > 10_000


@pytest.mark.real
def test_coso_sinks(real_data, tmp_path):
    folder = real_data("coso-ridgecrest-asc-desc")
    maps = [folder / "a064_velocity.h5", folder / "d071_velocity.h5"]
    words = ["--picture", tmp_path / "m.png", "--quiet"]
    assert status("decompose", *maps, tmp_path / "m.tif", *words) == 0
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.descriptions[:2] == ("motion east", "motion up")
        up = file.read(2)
        place = file.xy(*np.unravel_index(np.nanargmin(up), up.shape))
        assert place == pytest.approx((-117.802, 36.028), abs=0.01)
        assert np.nanmin(up) == pytest.approx(-0.0156, abs=0.001)
