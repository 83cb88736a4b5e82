"""What a model is fed with: what is found in a cube, what follows from it, on which grid, and what is refused."""

import warnings

import dask
import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.detection_tools import make_map, rough
from tests.helpers import _raise, make_cube, random_cube, with_crs
from xinsar.detection import regrid
from xinsar.detection.channels import Track, upright
from xinsar.detection.inputs import inputs_of, told
from xinsar.detection.regrid import Frame
from xinsar.models import Channel, ModelCard
from xinsar.schema import SchemaError


def card(*channels, **entries):
    made = {"fields": ("foreground",), "window": (64, 64), "overlap": 16, "multiple": 1, "pixel_size": None}
    return ModelCard("toy", "1", tuple(channels), **{**made, **entries})


def of_tracks(*names, tracks=2):
    return tuple(Channel(name, track) for track in range(tracks) for name in names)


DEFAULT = (
    *of_tracks(
        "velocity", "temporal_coherence", "sensitivity", "gradient_y", "gradient_x", "gradient_coherence"
    ),
    *of_tracks("valid_velocity", "valid_gradient"),
    Channel("slope", scale=45.0),
    Channel("inside"),
)


def ground(shape=(12, 15), *, seed=0):
    from scipy.ndimage import gaussian_filter

    return 100 * gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2).astype(np.float32)


def mapped(ds, name, values, units):
    return ds.assign({name: (("y", "x"), np.asarray(values, np.float32), {"units": units})})


def values_of(inputs, label):
    """Return the array of a channel, computed."""
    (plane,) = [p for p in inputs.planes if p.channel.label == label]
    return None if not plane.arrays else np.asarray(inputs.arrays[plane.arrays[0]].compute().data)


def test_a_velocity_is_taken_as_it_is():
    field = rough((12, 15))
    inputs = inputs_of(make_map(field), card(Channel("velocity")))
    np.testing.assert_array_equal(values_of(inputs, "velocity"), field)
    assert inputs.tracks == ("26",)
    assert inputs.used == {"26": ["velocity"]}
    assert inputs.motion == ((0,),)
    assert inputs.velocity == (0,)
    assert inputs.frame.shape == (12, 15)


def test_pairs_become_gradients_of_motion_lazily():
    """Rate times wavelength / 4 pi, in the unit of a strain rate; nothing is computed, nothing is inverted."""
    cube = random_cube((6, 12, 15))
    with dask.config.set(scheduler=_raise):
        inputs = inputs_of(cube.chunk(y=5, x=-1, pair=2).assign_coords(cube.coords), card(*DEFAULT))
    assert all(a.chunks is not None for a in inputs.arrays)
    stack = xinsar.phase_gradient_stack(cube)
    for name in ("gradient_y", "gradient_x"):
        wanted = stack[name].values * np.float32(0.0555 / (4 * np.pi))
        np.testing.assert_array_equal(values_of(inputs, f"{name}[0]"), wanted)
    wanted = (stack.gradient_coherence_y + stack.gradient_coherence_x) / 2
    np.testing.assert_array_equal(values_of(inputs, "gradient_coherence[0]"), wanted)
    assert values_of(inputs, "velocity[0]") is None
    assert inputs.used == {"26": ["gradient_y", "gradient_x", "gradient_coherence"]}


def test_both_are_used_when_both_are_there():
    cube = random_cube((6, 12, 15), seed=1)
    cube = mapped(cube, "velocity", rough((12, 15)), "m year-1")
    inputs = inputs_of(cube, card(*DEFAULT))
    assert inputs.used["26"][:1] == ["velocity"]
    assert "gradient_y" in inputs.used["26"]
    assert len(inputs.motion[0]) == 4


def test_a_stack_is_taken_as_it_is():
    cube = random_cube((6, 12, 15))
    stack = xinsar.phase_gradient_stack(cube)
    for data in (stack, cube):
        found = values_of(inputs_of(data, card(*DEFAULT)), "gradient_x[0]")
        np.testing.assert_array_equal(found, stack.gradient_x.values * np.float32(0.0555 / (4 * np.pi)))


def test_gradients_of_motion_are_taken_as_they_are():
    ds = mapped(make_map(rough((12, 15))), "gradient_y", rough((12, 15), seed=3), "m m-1 year-1")
    found = values_of(inputs_of(ds, card(Channel("gradient_y"))), "gradient_y")
    np.testing.assert_array_equal(found, ds.gradient_y)


def test_sensitivity_and_slope_follow_from_elevation_and_the_look():
    ds = mapped(make_map(rough((12, 15))), "elevation", ground(), "m")
    ds.attrs |= {"heading": 348.0, "incidence": 39.0}
    inputs = inputs_of(ds, card(*DEFAULT))
    look = xinsar.look_geometry(ds, reach=0)
    np.testing.assert_array_equal(values_of(inputs, "sensitivity[0]"), look.sensitivity)
    np.testing.assert_array_equal(values_of(inputs, "slope"), xinsar.terrain(ds).slope)


def test_slope_and_aspect_of_the_cube_come_first():
    ds = mapped(make_map(rough((12, 15))), "elevation", ground(), "m")
    ds = mapped(
        mapped(ds, "slope", np.full((12, 15), 10.0), "degree"), "aspect", np.full((12, 15), 90.0), "degree"
    )
    ds.attrs |= {"heading": 348.0, "incidence": 39.0}
    inputs = inputs_of(ds, card(*DEFAULT, Channel("aspect_sin"), Channel("aspect_cos")))
    assert (values_of(inputs, "slope") == 10).all()
    np.testing.assert_allclose(values_of(inputs, "aspect_sin"), 1)
    np.testing.assert_allclose(values_of(inputs, "aspect_cos"), 0, atol=1e-6)
    assert len(np.unique(values_of(inputs, "sensitivity[0]"))) == 1


@pytest.mark.parametrize("lacking", ["elevation", "heading", "incidence"])
def test_without_ground_or_look_there_is_no_sensitivity(lacking):
    ds = mapped(make_map(rough((12, 15))), "elevation", ground(), "m")
    ds.attrs |= {"heading": 348.0, "incidence": 39.0}
    ds = ds.drop_vars(lacking) if lacking in ds else ds.assign_attrs(**{lacking: None})
    ds.attrs = {k: v for k, v in ds.attrs.items() if v is not None}
    assert values_of(inputs_of(ds, card(*DEFAULT)), "sensitivity[0]") is None


def test_any_other_variable_is_a_channel():
    ds = mapped(make_map(rough((12, 15))), "red", np.ones((12, 15)), "1")
    assert values_of(inputs_of(ds, card(Channel("red"), Channel("velocity"))), "red").sum() == 180


def test_validity_channels_know_what_they_speak_of():
    cube = random_cube((6, 12, 15))
    inputs = inputs_of(cube, card(*DEFAULT, Channel("valid", 0), Channel("valid_slope")))
    named = {p.channel.label: p for p in inputs.planes}
    places = [named[f"gradient_{d}[0]"].arrays[0] for d in "yx"]
    assert named["valid_gradient[0]"].arrays == tuple(places)
    assert named["valid_velocity[0]"].arrays == ()
    assert named["valid_gradient[1]"].arrays == ()
    assert named["valid_slope"].arrays == ()
    assert named["inside"].arrays == ()
    assert set(named["valid[0]"].arrays) == set(inputs.motion[0])


def test_validity_alone_fetches_its_variable():
    inputs = inputs_of(make_map(rough((12, 15))), card(Channel("valid_velocity")))
    assert inputs.planes[0].arrays == (0,)


def test_extremes_are_those_of_the_whole_cube_whatever_the_chunks():
    field = rough((40, 30))
    field[3, 4] = np.inf
    data = make_map(field)
    wanted = field[np.isfinite(field)].min(), field[np.isfinite(field)].max()
    for chunks in (None, 7, {"y": 1, "x": -1}):
        ds = data if chunks is None else data.chunk(chunks)
        with dask.config.set(scheduler=_raise):
            (found,) = inputs_of(ds, card(Channel("velocity", transform="minmax"))).extremes
        assert tuple(found.compute().values) == wanted


# tracks


def two_tracks(*, other=None, **attrs):
    first = make_map(rough((20, 25), seed=1))
    second = make_map(rough((20, 25), seed=2)) if other is None else other
    return xr.DataTree.from_dict({"ascending": first, "descending": second.assign_attrs(**attrs)})


def test_tracks_are_the_nodes_of_a_tree():
    inputs = inputs_of(two_tracks(), card(*DEFAULT))
    assert inputs.tracks == ("ascending", "descending")
    assert inputs.used == {"ascending": ["velocity"], "descending": ["velocity"]}
    np.testing.assert_array_equal(values_of(inputs, "velocity[1]"), rough((20, 25), seed=2))
    assert inputs.velocity == (0, 1)


def test_the_ground_comes_from_the_track_that_knows_it():
    tree = two_tracks()
    slopes = np.full((20, 25), 30.0)
    tree["descending"] = xr.DataTree(mapped(tree["descending"].to_dataset(), "slope", slopes, "degree"))
    inputs = inputs_of(tree, card(*DEFAULT))
    assert (values_of(inputs, "slope") == 30).all()
    assert "slope" in inputs.used["descending"]


def test_further_tracks_are_left_out_aloud():
    tree = two_tracks().assign({})
    tree["third"] = xr.DataTree(make_map(rough((20, 25))))
    with pytest.warns(UserWarning, match=r"takes 2 track\(s\), the data hold 3: third not used"):
        inputs = inputs_of(tree, card(*DEFAULT))
    assert inputs.tracks == ("ascending", "descending")
    with pytest.warns(UserWarning, match=r"takes 1 track\(s\), the data hold 2: descending not used"):
        inputs_of(two_tracks(), card(Channel("velocity")))


def test_one_track_leaves_the_other_slot_empty():
    inputs = inputs_of(make_map(rough((12, 15))), card(*DEFAULT))
    assert values_of(inputs, "velocity[1]") is None


def test_a_track_on_another_grid_is_resampled_to_the_first_ones_aloud():
    plane = np.add.outer(np.arange(60.0), 2 * np.arange(80.0)) * 1e-4
    first = make_map(plane[:20, :25])
    second = make_map(plane)
    shifted = second.isel(y=slice(0, 30), x=slice(0, 30)).assign_coords(
        y=second.y[:30] + 10, x=second.x[:30] - 5
    )
    tree = xr.DataTree.from_dict({"a": first, "b": shifted})
    with pytest.warns(UserWarning, match="track 'b' lies on another grid and is resampled to that of 'a'"):
        inputs = inputs_of(tree, card(*DEFAULT))
    found = values_of(inputs, "velocity[1]")
    wanted = first.velocity.values + 1e-4 * (10 / 25) + 2e-4 * (5 / 25)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_tracks_that_do_not_overlap_are_refused():
    other = make_map(rough((20, 25)))
    other = other.assign_coords(x=other.x + 1e5)
    with pytest.raises(ValueError, match="velocity: expected a track that overlaps the first one"):
        inputs_of(two_tracks(other=other), card(*DEFAULT))


# orientation


def test_a_flipped_raster_is_turned():
    ds = make_map(rough((12, 15)))
    for flipped in (ds.isel(y=slice(None, None, -1)), ds.isel(x=slice(None, None, -1))):
        inputs = inputs_of(flipped, card(Channel("velocity")))
        np.testing.assert_array_equal(values_of(inputs, "velocity"), ds.velocity)
        assert inputs.frame == Frame.of(ds)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_gradients_of_a_flipped_raster_change_sign_and_edge(axis):
    field = make_map(rough((12, 15), gaps=0)).velocity.drop_vars("spatial_ref")

    def gradients(values):
        down, across = (values.shift({d: -1}) - values for d in ("y", "x"))
        return xr.Dataset({"gradient_y": down, "gradient_x": across, "gradient_coherence_y": abs(down)})

    there = gradients(field.isel({axis: slice(None, None, -1)}))
    xr.testing.assert_equal(upright(there), gradients(field))


# the grid of the model


def test_a_cube_that_fits_is_taken_as_it_is():
    for step in (21.0, 29.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            inputs = inputs_of(
                make_map(rough((12, 15)), step=step), card(Channel("velocity"), pixel_size=25.0)
            )
        assert inputs.frame.shape == (12, 15)


def test_finer_pixels_are_averaged_aloud():
    values = np.add.outer(np.arange(40.0), 3 * np.arange(60.0)).astype(np.float32)
    with pytest.warns(
        UserWarning, match=r"its pixels are 12.5 x 12.5 m, .* resampled to 20 x 30 pixels of 25 m in WGS"
    ):
        inputs = inputs_of(make_map(values, step=12.5), card(Channel("velocity"), pixel_size=25.0))
    found = values_of(inputs, "velocity")
    np.testing.assert_allclose(found, values.reshape(20, 2, 30, 2).mean(axis=(1, 3)))
    assert inputs.frame.x.step == 25
    assert inputs.frame.x.first == 500_000 + 12.5


def test_coarser_pixels_are_interpolated_aloud():
    values = np.add.outer(np.arange(20.0), 3 * np.arange(30.0)).astype(np.float32)
    with pytest.warns(UserWarning, match="resampled to 40 x 60 pixels of 25 m"):
        inputs = inputs_of(make_map(values, step=50.0), card(Channel("velocity"), pixel_size=25.0))
    found = values_of(inputs, "velocity")
    rows, columns = np.arange(40) / 2 - 0.25, np.arange(60) / 2 - 0.25
    wanted = np.add.outer(rows, 3 * columns)
    inside = np.add.outer(np.where(rows < 0, np.nan, 0), np.where((columns < 0) | (columns > 29), np.nan, 0))
    inside[rows > 19] = np.nan
    np.testing.assert_allclose(found, wanted + inside, rtol=1e-6)


def test_pixels_too_coarse_to_show_anything_are_refused():
    with pytest.raises(ValueError, match=r"expected pixels of 25 m, .* got 250 x 250 m, too coarse"):
        inputs_of(make_map(rough((12, 15)), step=250.0), card(Channel("velocity"), pixel_size=25.0))


def in_degrees(shape=(60, 80), *, step=0.00025, lon=10.0, lat=46.0, crs="EPSG:4326"):
    """A plane in degrees: the northing and easting of each pixel in its UTM zone, km."""
    from pyproj import Transformer

    y, x = lat - step * (np.arange(shape[0]) + 0.5), lon + step * (np.arange(shape[1]) + 0.5)
    zone = 32600 + int((lon + 180) // 6) + 1
    east, north = Transformer.from_crs(4326, zone, always_xy=True).transform(*np.meshgrid(x, y))
    units = {"units": "degrees_east"}
    ds = xr.Dataset(
        {
            "velocity": (
                ("y", "x"),
                ((north - north.mean() + 2 * east - 2 * east.mean()) / 1e3),
                {"units": "m year-1"},
            )
        },
        {"y": y, "x": ("x", x, units)},
    )
    return (with_crs(ds, crs) if crs else ds), (east, north)


@pytest.mark.parametrize("crs", ["EPSG:4326", None])
def test_degrees_are_brought_to_the_local_utm_zone_aloud(crs):
    ds, (east, north) = in_degrees(crs=crs)
    with pytest.warns(
        UserWarning, match=r"the cube is in degrees .* resampled to .* of 25 m in WGS 84 / UTM zone 32N"
    ):
        inputs = inputs_of(ds, card(Channel("velocity"), pixel_size=25.0))
    frame = inputs.frame
    assert (frame.x.step, frame.y.step) == (25, -25)
    assert frame.x.first % 25 == 12.5
    found = values_of(inputs, "velocity").astype(float)
    plane = np.add.outer(frame.centres("y") - north.mean(), 2 * (frame.centres("x") - east.mean())) / 1e3
    there = np.isfinite(found)
    assert there.mean() > 0.9
    np.testing.assert_allclose(found[there], plane[there], atol=2e-5)


def test_resampling_does_not_depend_on_chunks():
    ds, _ = in_degrees((90, 70))
    ds.velocity[20:30, 15:40] = np.nan
    with pytest.warns(UserWarning, match="resampled"):
        wanted = values_of(inputs_of(ds, card(Channel("velocity"), pixel_size=25.0)), "velocity")
    for chunks in ({"y": 13, "x": 70}, {"y": 1, "x": 9}, {"y": -1, "x": -1}):
        with pytest.warns(UserWarning, match="resampled"), dask.config.set(scheduler=_raise):
            inputs = inputs_of(ds.chunk(chunks), card(Channel("velocity"), pixel_size=25.0))
        np.testing.assert_array_equal(values_of(inputs, "velocity"), wanted)


def test_large_grids_are_resampled_cell_by_cell(monkeypatch):
    """With small cells the same pixels come out: no cell reads too little of the source."""
    ds, _ = in_degrees((200, 300), step=0.0005)
    frame = regrid._utm(Frame.of(ds), 25.0)
    wanted = np.asarray(regrid.onto(ds.velocity, frame).compute())
    monkeypatch.setattr(regrid, "SMALL", 37)
    np.testing.assert_array_equal(regrid.onto(ds.velocity, frame).compute(), wanted)


def test_cubes_that_no_zone_holds_are_refused():
    ds, _ = in_degrees((4, 80), step=0.2)
    with pytest.raises(ValueError, match=r"too coarse"):
        inputs_of(ds, card(Channel("velocity"), pixel_size=25.0))
    with pytest.raises(
        ValueError, match=r"one UTM zone can hold \(up to 12 degrees wide\), got 16 degrees; cut it"
    ):
        inputs_of(ds, card(Channel("velocity"), pixel_size=5000.0))


def test_southern_cubes_go_to_southern_zones():
    ds, _ = in_degrees(lat=-33.0, lon=-70.0)
    assert "zone 19S" in regrid._utm(Frame.of(ds), 25.0).crs


def test_an_aspect_is_resampled_as_an_angle():
    """Between 350 and 10 degrees lies north, not south."""
    ds = make_map(np.ones((8, 8)), step=50.0)
    aspect = np.where(np.arange(8) % 2, 350.0, 10.0) * np.ones((8, 1))
    ds = mapped(ds, "aspect", aspect, "degree")
    with pytest.warns(UserWarning, match="resampled"):
        inputs = inputs_of(ds, card(Channel("velocity"), Channel("aspect"), pixel_size=25.0))
    found = values_of(inputs, "aspect")
    found = found[np.isfinite(found)]
    assert ((found <= 10.01) | (found >= 349.99)).all()


def test_a_lattice_origin_counts_on_the_own_grid_only():
    ds = make_map(rough((12, 15))).assign_attrs(lattice_origin=(7, 9))
    assert inputs_of(ds, card(Channel("velocity"))).origin == (7, 9)
    with pytest.warns(UserWarning, match="resampled"):
        assert inputs_of(ds, card(Channel("velocity"), pixel_size=10.0)).origin == (0, 0)


# refusals


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (
            "velocity",
            r"velocity: the model needs it, and the track '26' has it not \(it holds: phase\); make it with inv",
        ),
        ("hot_spot", "hot_spot: the model needs it.*; make it with getis_ord or hot_spot_map"),
        (
            "sensitivity",
            r"sensitivity: .* assign elevation and los \(or attrs heading and incidence\).*look_geometry",
        ),
        ("slope", "slope: the model needs it.*make it with terrain"),
        ("temporal_coherence", "temporal_coherence: .*make it with invert_network"),
        ("red", r"red: .*assign it as a map \('y', 'x'\) named 'red'"),
    ],
)
def test_a_needed_channel_that_is_not_there_is_named_with_its_operation(channel, said):
    cube = random_cube((6, 12, 15), coherence=False)
    with pytest.raises(SchemaError, match=said):
        inputs_of(cube, card(Channel("gradient_x"), Channel(channel, optional=False)))


def test_a_needed_second_track_is_named():
    with pytest.raises(
        SchemaError, match="velocity: the model needs it of 2 tracks, the data hold 1; give a DataTree"
    ):
        inputs_of(
            make_map(rough((12, 15))), card(Channel("velocity", 0), Channel("velocity", 1, optional=False))
        )


def test_a_cube_without_any_motion_is_refused():
    ds = (
        make_map(ground(), name="slope")
        .drop_vars("slope")
        .assign(slope=(("y", "x"), ground(), {"units": "degree"}))
    )
    with pytest.raises(
        SchemaError, match=r"'toy' needs one or more of velocity, .*cube holds 26: slope; velocity: make"
    ):
        inputs_of(ds, card(*DEFAULT))


def test_a_gradient_that_is_no_rate_is_refused():
    cube = random_cube((6, 12, 15))
    stack = xinsar.phase_gradient_stack(cube, estimator="sum")
    with pytest.raises(SchemaError, match=r"expected the rate of phase_gradient_stack.* got units 'rad'"):
        inputs_of(stack, card(*DEFAULT))


@pytest.mark.parametrize("value", [None, "5 cm", 0, 55.0, True])
def test_a_wavelength_is_needed_for_gradients(value):
    cube = random_cube((6, 12, 15)).assign_attrs(wavelength=value)
    with pytest.raises(SchemaError, match=r"wavelength: expected metres in ds.attrs\['wavelength'\]"):
        inputs_of(cube, card(*DEFAULT))


def test_maps_with_more_dims_are_refused():
    ds = make_map(rough((12, 15))).expand_dims(time=2)
    with pytest.raises(
        SchemaError, match=r"velocity: expected a map of numbers .* choose one field with isel"
    ):
        inputs_of(ds, card(Channel("velocity")))


def test_wrong_units_are_refused():
    ds = make_map(rough((12, 15)))
    ds.velocity.attrs["units"] = "mm/yr"
    with pytest.raises(SchemaError, match="velocity: expected units 'm year-1', got 'mm/yr'"):
        inputs_of(ds, card(Channel("velocity")))


@pytest.mark.parametrize("data", [3, None, np.zeros((3, 3)), xr.DataArray(np.zeros((3, 3)), dims=("y", "x"))])
def test_other_kinds_are_refused(data):
    with pytest.raises(
        TypeError, match=r"data: expected an xarray.Dataset of one track or a DataTree of tracks"
    ):
        inputs_of(data, card(Channel("velocity")))


def test_points_and_nothing_are_refused():
    points = xr.Dataset({"velocity": ("point", np.zeros(3))})
    with pytest.raises(SchemaError, match=r"expected a cube with dims y and x, .* rasterize_points"):
        inputs_of(points, card(Channel("velocity")))
    with pytest.raises(SchemaError, match=r"got \('lat', 'lon'\) in '26'; rename its dims"):
        inputs_of(make_map(rough((12, 15))).rename(y="lat", x="lon"), card(Channel("velocity")))
    with pytest.raises(ValueError, match="expected at least one pixel"):
        inputs_of(make_map(rough((12, 15))).isel(y=slice(0, 0)), card(Channel("velocity")))


def test_a_cube_without_a_pixel_size_is_refused():
    ds = make_map(rough((12, 15)), crs=None)
    ds.x.attrs.clear()
    with pytest.raises(ValueError, match="x: the pixel size in metres is needed"):
        inputs_of(ds, card(Channel("velocity")))
    lone = make_map(np.ones((1, 1)), crs=None)
    with pytest.raises(ValueError, match="y: expected a pixel size, got a single pixel without one"):
        inputs_of(lone, card(Channel("velocity")))


def test_what_is_told():
    inputs = inputs_of(two_tracks(), card(*DEFAULT))
    line = told(inputs, card(*DEFAULT), 6)
    assert (
        line == "xinsar.detect: toy 1 on ascending: velocity; descending: velocity; 20 x 25 pixels, 6 windows"
    )


def test_a_track_gives_channels_by_name():
    cube = make_cube(np.zeros((3, 5, 6), np.float32))
    track = Track("26", cube)
    assert track.channel("velocity") is None
    assert track.channel("gradient_x").shape == (5, 6)
