"""Simulated landslides on measured noise: on stand-ins whose answer is known, and on the real data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import xinsar
from xinsar.simulate import half_real, real_noise, reference_inventory, sensitivity


def measured(shape=(140, 120), *, spacing=25.0, noise=1e-3, **attrs):
    """Velocity noise over a slope that falls west, with gaps and one area that moves really."""
    rng = np.random.default_rng(4)
    x, y = 5e5 + spacing * np.arange(shape[1]), 4e6 - spacing * np.arange(shape[0])
    velocity = (noise * rng.standard_normal(shape)).astype(np.float32)
    velocity[10:22, 12:30] += 0.05
    velocity[60:64, :] = np.nan
    height = 1000 + 0.36 * (x - x[0])[None, :] + 20 * np.sin((y - y[0]) / 300)[:, None]
    ds = xr.Dataset(
        {"velocity": (("y", "x"), velocity, {"units": "m year-1"}), "elevation": (("y", "x"), height)},
        {"x": x, "y": y},
        {"heading": 192.0, "incidence": 39.0, "orbit_direction": "descending", "wavelength": 0.0555} | attrs,
    )
    return ds.rio.write_crs("EPSG:32633")


@pytest.fixture(scope="module", autouse=True)
def rio():
    import rioxarray  # noqa: F401


@pytest.fixture(scope="module")
def made(rio):
    return half_real(measured(), 3, density=2.0)


def slides(truth):
    return truth[truth["class"] == "landslide"]


def test_motion_is_added_where_the_truth_says(made):
    from affine import Affine
    from rasterio.features import rasterize

    before, after = measured().velocity.values, made.cube["descending"]["velocity"].values
    assert len(slides(made.truth)) >= 4
    transform = Affine(25.0, 0.0, 5e5 - 12.5, 0.0, -25.0, 4e6 + 12.5)
    moved = np.zeros(before.shape, dtype=bool)
    for row in slides(made.truth).itertuples():
        inside = rasterize([row.geometry], out_shape=before.shape, transform=transform).astype(bool)
        added = (after - before)[inside & np.isfinite(before)]
        assert added.mean() == pytest.approx(row.los_velocity_descending, rel=0.2)
        assert np.isfinite(before)[inside].mean() >= 0.7
        moved |= inside
    np.testing.assert_array_equal(after[~moved], before[~moved])
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))


def test_bodies_lie_on_the_slopes_of_the_data(made):
    found = slides(made.truth)
    assert (np.abs((found.aspect - 270 + 180) % 360 - 180) < 40).all()
    assert ((found.slope > 8) & (found.slope < 38)).all()
    near = sensitivity(found.slope, found.aspect, 192.0, 39.0)
    np.testing.assert_allclose(found.sensitivity_descending, near, atol=0.25)


def test_what_moves_really_is_marked_and_left_alone(made):
    real = made.truth[made.truth["class"] == "real_motion"]
    assert len(real) == 1
    assert real["ignore"].all()
    assert np.isnan(real.snr_descending).all()
    assert real.geometry.iloc[0].area == pytest.approx(real["area"].iloc[0])
    west, _, _, north = real.geometry.iloc[0].bounds
    assert (west, north) == pytest.approx((5e5 + 9.5 * 25, 4e6 - 7.5 * 25), abs=30)
    assert not slides(made.truth).intersects(real.geometry.iloc[0]).any()
    assert len(reference_inventory(made.truth)) == len(made.truth)
    assert made.truth["id"].tolist() == list(range(1, len(made.truth) + 1))


def test_snr_is_over_the_noise_at_the_length_of_the_object(made):
    """Oracle: two plain loops over all pairs of pixels that far apart along an axis."""
    values = measured().velocity.values.astype(float)
    values[8:24, 10:32] = np.nan
    for row in list(slides(made.truth).itertuples())[:3]:
        lag = round(row.length / 25.0)
        down = [values[i + lag, j] - values[i, j] for i in range(140 - lag) for j in range(120)]
        right = [values[i, j + lag] - values[i, j] for i in range(140) for j in range(120 - lag)]
        square = (np.nanmean(np.square(down)) + np.nanmean(np.square(right))) / 2
        expected = abs(row.los_velocity_descending) / np.sqrt(square / 2)
        assert row.snr_descending == pytest.approx(expected, rel=0.02)


def test_seeds_and_draws_are_others_and_the_same_is_the_same(made):
    again = half_real(measured(), 3, density=2.0)
    assert again.truth.equals(made.truth)
    xr.testing.assert_identical(again.cube["descending"].to_dataset(), made.cube["descending"].to_dataset())
    for other in (half_real(measured(), 4, density=2.0), half_real(measured(), 3, density=2.0, draws="test")):
        assert not other.truth.equals(made.truth)


def test_the_data_are_not_changed_and_history_grows(made):
    ds = measured(history="read")
    before = ds.copy(deep=True)
    out = half_real(ds, 3, density=2.0).cube["descending"]
    xr.testing.assert_identical(ds, before)
    assert out.attrs["history"].startswith("read\nxinsar.simulate.half_real")
    assert "simulated" in out.attrs["history"]
    np.testing.assert_array_equal(out["elevation"], ds.elevation)


def series():
    ds = measured()
    time = np.datetime64("2021-01-01", "ns") + np.arange(0, 500, 36).astype("timedelta64[D]")
    years = (time - time[0]) / np.timedelta64(1, "D") / 365.25
    moved = (ds.velocity.values * years[:, None, None]).astype(np.float32)
    out = ds.drop_vars("velocity").assign(displacement=(("time", "y", "x"), moved, {"units": "m"}))
    return out.assign_coords(time=time)


def test_series_move_by_the_course_of_each_body():
    before = series()
    out = half_real(before, 3, density=2.0)
    added = out.cube["descending"]["displacement"] - before.displacement
    assert float(np.abs(added.isel(time=0)).max()) == 0
    velocity = out.cube["descending"].to_dataset().insar.velocity().velocity.values
    raw = before.insar.velocity().velocity.values
    from affine import Affine
    from rasterio.features import rasterize

    steady = slides(out.truth)[slides(out.truth).behaviour == "linear"]
    for row in steady.itertuples():
        transform = Affine(25.0, 0.0, 5e5 - 12.5, 0.0, -25.0, 4e6 + 12.5)
        inside = rasterize([row.geometry], out_shape=raw.shape, transform=transform).astype(bool)
        assert np.nanmean((velocity - raw)[inside]) == pytest.approx(row.los_velocity_descending, rel=0.5)
    assert (out.truth["class"] == "real_motion").sum() == 1


@pytest.mark.parametrize("name", ["unwrapped_phase", "phase"])
def test_pairs_move_away_where_the_ground_does(name):
    ds = series()
    first, second = np.arange(0, 12), np.arange(2, 14)
    moved = ds.displacement.values[second] - ds.displacement.values[first]
    phase = (-4 * np.pi / 0.0555 * moved).astype(np.float32)
    before = ds.drop_vars(["displacement", "time"]).assign(
        {name: (("pair", "y", "x"), phase if name == "unwrapped_phase" else np.angle(np.exp(1j * phase)))}
    )
    before = before.assign_coords(
        reference_time=("pair", ds.time.values[first]), secondary_time=("pair", ds.time.values[second])
    )
    out = half_real(before, 3, density=2.0)
    added = np.angle(np.exp(1j * (out.cube["descending"][name] - before[name]).values))
    same = half_real(ds, 3, density=2.0)
    expected = (same.cube["descending"]["displacement"] - ds.displacement).values
    expected = -4 * np.pi / 0.0555 * (expected[second] - expected[first])
    difference = np.angle(np.exp(1j * (added - expected)))
    assert np.nanmax(np.abs(difference)) < 1e-2
    if name == "phase":
        values = out.cube["descending"]["phase"].values.astype(float)
        assert np.nanmax(np.abs(values)) < np.pi


def test_two_tracks_share_their_bodies():
    tracks = {"a": measured(), "b": measured(heading=348.0, orbit_direction="ascending")}
    out = half_real(xr.DataTree.from_dict(tracks), 3, density=2.0)
    assert list(out.cube.children) == ["a", "b"]
    found = slides(out.truth)
    assert {"snr_a", "snr_b", "los_velocity_a", "los_velocity_b"} <= set(found.columns)
    assert (found.los_velocity_a < 0).all()
    assert (np.sign(found.los_velocity_b) == np.sign(found.sensitivity_b)).all()
    assert (found.sensitivity_a < found.sensitivity_b).all()


def test_a_vector_of_sight_wins_over_heading_and_incidence():
    ds = measured()
    up = np.zeros((3, *ds.velocity.shape), dtype=np.float32)
    up[2] = 1
    out = half_real(ds.assign(los=(("component", "y", "x"), up)), 3, density=2.0)
    found = slides(out.truth)
    assert (found.los_velocity_descending < 0).all()
    np.testing.assert_allclose(found.sensitivity_descending, -np.sin(np.deg2rad(found.slope)), atol=0.2)


def test_flat_ground_gets_simulated_mountains():
    flat = measured().assign(elevation=(("y", "x"), np.full((140, 120), 20.0)))
    out = half_real(flat, 3, density=2.0)
    assert len(slides(out.truth)) >= 2
    assert float(out.cube["descending"]["elevation"].std()) > 30
    without = half_real(measured().drop_vars("elevation"), 3, density=2.0)
    assert without.truth.equals(out.truth)
    with pytest.warns(UserWarning, match="no body found a slope"):
        nothing = half_real(flat, 3, density=2.0, terrain="given")
    assert (nothing.truth["class"] == "real_motion").all()
    assert len(nothing.truth) == 1


def test_gaps_of_the_elevation_are_filled_for_the_slopes():
    ds = measured()
    ds["elevation"] = ds.elevation.where(np.random.default_rng(1).random(ds.elevation.shape) > 0.1)
    assert len(slides(half_real(ds, 3, density=2.0, terrain="given").truth)) >= 3


def test_arrays_and_unknown_views_are_taken_with_a_word():
    array = measured().velocity
    with pytest.warns(UserWarning, match="heading 348 and incidence 39"):
        out = half_real(array, 3, density=2.0)
    assert list(out.cube.children) == ["track"]
    assert "snr_track" in out.truth


def test_lazy_data_are_computed():
    out = half_real(measured().chunk({"y": 40}), 3, density=2.0)
    assert out.cube["descending"]["velocity"].chunks is None


def test_all_missing_gives_nothing():
    empty = measured()
    empty["velocity"] = empty.velocity * np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = half_real(empty, 3)
    assert len(out.truth) == 0


@pytest.mark.parametrize(
    ("error", "argument", "change", "options"),
    [
        (TypeError, "noise", lambda ds: ds.velocity.values, {}),
        (TypeError, "seed", lambda ds: ds, {"seed": 2.5}),
        (ValueError, "noise", lambda ds: ds.rename(velocity="speed"), {}),
        (ValueError, "terrain", lambda ds: ds, {"terrain": "real"}),
        (ValueError, "terrain", lambda ds: ds.drop_vars("elevation"), {"terrain": "given"}),
        (ValueError, "limit", lambda ds: ds, {"limit": 0.0}),
        (ValueError, "density", lambda ds: ds, {"density": -3}),
        (ValueError, "draws", lambda ds: ds, {"draws": "real"}),
        (
            ValueError,
            "noise",
            lambda ds: xr.DataTree.from_dict({"a": ds, "b": ds.isel(x=slice(5, None))}),
            {},
        ),
    ],
)
def test_wrong_input_is_named(error, argument, change, options):
    with pytest.raises(error, match=rf"^{argument}: expected .* got .*; "):
        half_real(change(measured()), **({"seed": 1} | options))


def test_pairs_without_a_wavelength_say_so():
    ds = series().rename(displacement="unwrapped_phase", time="pair").drop_vars("pair")
    del ds.attrs["wavelength"]
    with pytest.raises(xinsar.SchemaError, match=r"^wavelength: "):
        half_real(ds, 1)


# ---- real data --------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_kirishima_keeps_its_two_craters_as_real_motion(real_data):
    folder = real_data("kirishima-alos2-mintpy")
    ds = xinsar.open_stack(folder / "velocity.h5").load()
    with pytest.warns(UserWarning, match="incidence 39"):
        out = half_real(ds, 1)
    from shapely.geometry import Point

    real = out.truth[out.truth["class"] == "real_motion"]
    for row, column in ((181, 179), (370, 346)):
        assert real.contains(Point(float(ds.x[column]), float(ds.y[row]))).any()
    found = slides(out.truth)
    assert len(found) >= 5
    assert found.crs.to_epsg() == 4326
    assert found["area"].between(5e3, 9e6).all()
    assert (found.snr_descending > 0).all()
    assert np.median(found.snr_descending) > 1
    after = out.cube["descending"]["velocity"].values
    assert np.nanmean(after != ds.velocity.values) < 0.15


@pytest.mark.real
def test_mexico_city_hides_small_bodies_in_its_own_subsidence(real_data):
    folder = real_data("mexico-city-s1-gamma-stack")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ds = xinsar.open_stack(folder).load()
    out = half_real(ds, 1)
    found = slides(out.truth)
    assert len(found) >= 5
    assert found["area"].min() > 8 * 140 * 150
    assert found.snr_ascending.median() < 1
    assert float(out.cube["ascending"]["elevation"].std()) > float(ds.elevation.std())
    added = (out.cube["ascending"]["unwrapped_phase"] - ds.unwrapped_phase).values
    assert np.nanmax(np.abs(added)) > 0.1
    assert (np.isnan(added) == np.isnan(ds.unwrapped_phase.values)).all()


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_bhutan_takes_bodies_on_its_own_slopes(real_data):
    import rioxarray

    folder = real_data("bhutan-alos-slope-cube")
    height = rioxarray.open_rasterio(folder / "DEM_UTM.tif", masked=True).squeeze("band", drop=True)
    values = np.fromfile(folder / "depl_cumule", "<f4").reshape(300, 200, 8).transpose(2, 0, 1) / 1000
    days = [
        "2007-02-18",
        "2007-07-06",
        "2007-10-06",
        "2008-01-06",
        "2008-02-21",
        "2008-04-07",
        "2008-07-08",
        "2009-01-08",
    ]
    ds = xr.Dataset({"displacement": (("time", "y", "x"), values), "elevation": height.where(height > 0)})
    ds = ds.assign_coords(time=np.array(days, "datetime64[ns]")).assign_attrs(
        heading=-14.0, incidence=34.5, orbit_direction="ascending"
    )
    out = half_real(ds, 2, terrain="given")
    found = slides(out.truth)
    assert len(found) >= 2
    assert found.slope.between(8, 38).all()
    added = (out.cube["ascending"]["displacement"] - ds.displacement).values
    assert (added[0][np.isfinite(added[0])] == 0).all()
    assert np.nanmax(np.abs(added)) > 1e-3
    assert np.isfinite(found.snr_ascending).all()


@pytest.mark.real
def test_etna_takes_a_body_once_its_pixel_size_is_known(real_data):
    """20 x 20 pixels of about 90 m, without wavelength, view or map grid: hardly room for a body."""
    ds = xinsar.open_stack(real_data("etna-envisat-nsbas-h5") / "Etna_sample.h5").load()
    with pytest.raises(ValueError, match=r"^wavelength: the dataset needs the attribute"):
        half_real(ds, 1)
    ds = ds.assign_attrs(wavelength=0.0562, heading=192.0, incidence=23.0)
    ds["x"].attrs["units"] = ds["y"].attrs["units"] = "m"
    out = half_real(ds.assign_coords(x=90.0 * ds.x, y=-90.0 * ds.y), 1, density=5.0)
    assert 1 <= len(slides(out.truth)) <= 16
    added = (out.cube["track"]["unwrapped_phase"] - ds.unwrapped_phase.values).values
    assert np.nanmax(np.abs(added)) > 0.1


def test_structure_function_of_a_plane():
    values = np.add.outer(3.0 * np.arange(30), 1.0 * np.arange(20))
    assert real_noise.structure_function(values, (2, 3)) == pytest.approx((36 + 9) / 2)
    values[5, 5] = np.nan
    assert real_noise.structure_function(values, (2, 3)) == pytest.approx((36 + 9) / 2)
