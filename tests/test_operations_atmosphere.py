"""atmosphere_filter: NumPy and SciPy step by step, simulated weather, steps, gaps, chunks, errors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import xinsar
from tests.helpers import Chunks, built_lazily, in_chunks, same_bits, with_crs
from tests.strategies import chunkings
from xinsar.operations.atmosphere import atmosphere_filter
from xinsar.operations.rates import monthly_velocity, velocity
from xinsar.simulate import atmosphere as weather
from xinsar.simulate.fields import stream

START, DAY = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "D")
DAYS = tuple(range(0, 360, 12))
SMALL = {"spatial_width": 45.0, "temporal_width": 40.0}
CHUNKINGS: tuple[Chunks, ...] = (
    {"time": -1, "y": -1, "x": -1},
    {"time": 1, "y": -1, "x": -1},
    {"time": 7, "y": 9, "x": 10},
    {"time": -1, "y": 1, "x": 7},
)


def dataset(values, days=DAYS, *, spacing=20.0, dtype=np.float64):
    ds = xr.Dataset(
        {"displacement": (("time", "y", "x"), np.asarray(values).astype(dtype), {"units": "m"})},
        {
            "time": START + np.array(days) * DAY,
            "y": 5_000_000 - spacing * np.arange(np.shape(values)[1]),
            "x": 500_000 + spacing * np.arange(np.shape(values)[2]),
        },
        {"wavelength": 0.0555, "track": 26, "history": "made"},
    )
    return with_crs(ds, "EPSG:32633")


def series(shape=(21, 24), *, gaps=0.0, dtype=np.float64, seed=0):
    """Return motion and noise of every date, rough in time, smooth and rough in space, 0 at the first date."""
    rng = np.random.default_rng(seed)
    years = np.array(DAYS)[:, None, None] / 365.25
    screens = gaussian_filter(rng.normal(size=(len(DAYS), *shape)), (0, 3, 3)) * 0.05
    values = years * rng.normal(0, 0.03, shape) + screens + 0.002 * rng.normal(size=screens.shape)
    values -= values[0]
    values[rng.random(values.shape) < gaps] = np.nan
    return dataset(values, dtype=dtype)


def plainly(values, days, width, sigma, *, spacing=20.0):
    """Return corrected series and atmosphere of data without gaps: lstsq, a matrix over dates, SciPy over the map."""
    days = np.array(days, float)
    flat = values.reshape(len(days), -1)
    matrix = np.stack([np.ones(days.size), days], axis=1)
    rest = flat - matrix @ np.linalg.lstsq(matrix, flat, rcond=None)[0]
    lag = abs(days[:, None] - days) / sigma
    weights = np.where(lag <= 3, np.exp(-(lag**2) / 2), 0)
    rough = (rest - weights @ rest / weights.sum(axis=1)[:, None]).reshape(values.shape)
    options = {"sigma": width / spacing, "mode": "constant", "radius": int(3 * width / spacing)}
    ones = gaussian_filter(np.ones(values.shape[1:]), **options)
    screen = np.array([gaussian_filter(plane, **options) / ones for plane in rough])
    found = values - screen
    return found - found[0], screen


# ---- meaning ----------------------------------------------------------------------------------------------------


def test_equals_its_steps_in_numpy_and_scipy():
    ds = series()
    found = atmosphere_filter(ds, **SMALL)
    corrected, screen = plainly(ds.displacement.values, DAYS, 45.0, 40.0)
    np.testing.assert_allclose(found.displacement, corrected, atol=1e-12)
    np.testing.assert_allclose(found.atmosphere, screen, atol=1e-12)


def test_what_is_alike_everywhere_and_rough_in_time_goes():
    """A field without relief: the model and the mean over time stay, the rest goes."""
    rng = np.random.default_rng(0)
    motion = 0.02 * np.array(DAYS) / 365.25
    screens = 0.01 * rng.normal(size=len(DAYS))
    values = (motion + screens - screens[0])[:, None, None] * np.ones((8, 9))
    found = atmosphere_filter(dataset(values), temporal_width=1e7)
    line = velocity(dataset(values)).velocity.values[0, 0] * np.array(DAYS) / 365.25
    np.testing.assert_allclose(found.displacement[:, 3, 4], line, atol=1e-12)
    rise = found.atmosphere[:, 3, 4] - found.atmosphere[0, 3, 4]
    np.testing.assert_allclose(rise, values[:, 0, 0] - line, atol=1e-12)
    np.testing.assert_allclose(found.atmosphere[:, 3, 4].mean(), 0, atol=1e-12)


def test_what_the_model_explains_is_kept():
    days = np.arange(0, 1000, 12)
    years = days / 365.25
    course = -0.03 * years + 0.01 * np.sin(2 * np.pi * years) + np.where(days >= 480, 0.05, 0)
    ds = dataset((course - course[0])[:, None, None] * np.ones((6, 6)), days)
    found = atmosphere_filter(ds, seasonal="annual", steps=START + 480 * DAY)
    np.testing.assert_allclose(found.displacement, ds.displacement, atol=1e-12)
    np.testing.assert_allclose(found.atmosphere, 0, atol=1e-12)
    bare = atmosphere_filter(ds)
    assert float(abs(bare.displacement - ds.displacement).max()) > 0.005


@pytest.mark.parametrize(("body", "left"), [(80, 0.96), (150, 0.87), (300, 0.61), (1e5, 0.08)])
def test_a_step_is_smeared_as_far_as_it_is_wide(body, left):
    """What is left of a jump between two dates, not told to the filter, at the middle of a Gaussian body (m)."""
    days = np.arange(0, 720, 12)
    y, x = np.indices((61, 61)) - 30
    shape = np.exp(-(y**2 + x**2) / 2 / (body / 20) ** 2)
    jump = np.where(days >= 360, 0.02, 0.0)[:, None, None]
    found = atmosphere_filter(dataset(jump * shape, days)).displacement[:, 30, 30]
    assert float(found[30] - found[29]) == pytest.approx(left * 0.02, abs=2e-4)
    assert float(found[-1] - found[0]) == pytest.approx(0.02, rel=0.2)
    told = atmosphere_filter(dataset(jump * shape, days), steps=START + 360 * DAY).displacement[:, 30, 30]
    np.testing.assert_allclose(told, jump[:, 0, 0], atol=1e-12)


def world(seed, shape=(128, 128), dates=48):
    """Return a steady landslide under simulated turbulence, its motion, and where it moves fastest."""
    spacing = 25.0
    track = weather.atmosphere(seed, "t", dates, np.zeros(shape, np.float32), spacing=spacing)
    delays = [weather.delay(track, stream(seed, "t", "turbulence", d), d) for d in range(dates)]
    days = 12 * np.arange(dates)
    y, x = (i - n / 2 for i, n in zip(np.indices(shape), shape, strict=True))
    body = np.exp(-(y**2 + x**2) / 2 / (150 / spacing) ** 2)
    motion = -0.03 * days[:, None, None] / 365.25 * body
    values = motion + np.array(delays, float)
    return dataset(values - values[0], days, spacing=spacing), motion, body > 0.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_simulated_turbulence_falls_and_the_landslide_stays(seed):
    """Measured on five seeds: what the weather leaves about the lines falls to .50-.56, the errors of monthly

    velocities to .51-.56; no velocity moves by more than .24 mm/year, that of the landslide (22 mm/year) by .10.
    """
    ds, motion, body = world(seed)
    found = atmosphere_filter(ds)

    def left(values):
        t = np.arange(len(values)) - (len(values) - 1) / 2
        rest = (values - motion).reshape(len(values), -1)
        rest = rest - rest.mean(axis=0) - np.outer(t, t @ rest) / (t @ t)
        return rest.std()

    assert left(found.displacement.values) < 0.6 * left(ds.displacement.values)
    truth = monthly_velocity(ds.displacement.copy(data=motion)).velocity
    months = [(monthly_velocity(one).velocity - truth).std() for one in (ds, found)]
    assert float(months[1]) < 0.57 * float(months[0])
    before, after = (velocity(one).velocity.values for one in (ds, found))
    assert abs(after - before).max() < 3e-4
    assert abs(after[body].mean() - before[body].mean()) < 1.5e-4
    assert after[body].mean() == pytest.approx(-0.022, abs=0.001)
    sigma = [float(velocity(one).velocity_sigma.median()) for one in (ds, found)]
    assert sigma[1] < 0.6 * sigma[0]


def test_the_atmosphere_is_found_not_only_removed():
    """The screens of the filter look like those that were simulated, without their mean over the image."""
    ds, motion, _ = world(4)
    delays = ds.displacement.values - motion
    found = atmosphere_filter(ds).atmosphere.values

    def bare(values):
        values = values - values.mean(axis=0)
        return (values - values.mean(axis=(1, 2), keepdims=True)).ravel()

    assert np.corrcoef(bare(found), bare(delays))[0, 1] > 0.8


# ---- missing values ---------------------------------------------------------------------------------------------


def test_gaps_stay():
    ds = series(gaps=0.2)
    found = atmosphere_filter(ds, **SMALL)
    for name in found:
        np.testing.assert_array_equal(found[name].isnull(), ds.displacement.isnull())


def test_a_pixel_of_two_dates_has_no_say_but_is_corrected():
    ds = series()
    ds.displacement[2:, 10, 10] = np.nan
    without = ds.copy(deep=True)
    without.displacement[:, 10, 10] = np.nan
    found, wanted = (atmosphere_filter(one, **SMALL) for one in (ds, without))
    there = without.displacement.notnull()
    same_bits(found.where(there).drop_attrs(), wanted.where(there).drop_attrs())
    assert found.atmosphere[:3, 10, 10].notnull().values.tolist() == [True, True, False]
    steps = found.atmosphere[1, 10, 10] - found.atmosphere[0, 10, 10]
    np.testing.assert_allclose(found.displacement[1, 10, 10], ds.displacement[1, 10, 10] - steps, atol=1e-15)


def test_gaps_by_plain_loops():
    """Every step for every pixel and date, over what is there."""
    ds = series((5, 6), gaps=0.25, seed=3)
    values, days = ds.displacement.values, np.array(DAYS, float)
    rough = np.full(values.shape, np.nan)
    for y, x in np.ndindex(5, 6):
        known = np.flatnonzero(np.isfinite(values[:, y, x]))
        line = np.polyval(np.polyfit(days[known], values[known, y, x], 1), days)
        rest = values[:, y, x] - line
        for t in known:
            near = [s for s in known if abs(days[s] - days[t]) <= 120]
            w = [np.exp(-((days[s] - days[t]) ** 2) / (2 * 40**2)) for s in near]
            rough[t, y, x] = rest[t] - np.average(rest[near], weights=w)
    wanted = np.full(values.shape, np.nan)
    for t, y, x in np.ndindex(values.shape):
        if np.isfinite(values[t, y, x]):
            near = [p for p in np.ndindex(5, 6) if np.isfinite(rough[(t, *p)])]
            w = [np.exp(-(20**2) * ((p[0] - y) ** 2 + (p[1] - x) ** 2) / (2 * 45**2)) for p in near]
            wanted[t, y, x] = np.average([rough[(t, *p)] for p in near], weights=w)
    found = atmosphere_filter(ds, **SMALL)
    np.testing.assert_allclose(found.atmosphere, wanted, atol=1e-12)
    corrected = values - wanted
    first = np.isfinite(corrected).argmax(axis=0)
    corrected -= np.take_along_axis(corrected, first[None], axis=0)
    np.testing.assert_allclose(found.displacement, corrected, atol=1e-12)


def test_a_series_begins_with_0_at_the_first_date_it_has():
    ds = series()
    ds.displacement[:4, 5, 5] = np.nan
    found = atmosphere_filter(ds, **SMALL).displacement
    assert found[:4, 5, 5].isnull().all()
    assert found[4, 5, 5] == 0
    assert (found[0].where(found[0].notnull(), 0) == 0).all()


def test_nothing_in_reach_is_missing():
    """A pixel too short for the model, far from any other."""
    ds = series((3, 40))
    ds.displacement[:, :, 5:] = np.nan
    ds.displacement[:2, 1, 39] = 0.0
    found = atmosphere_filter(ds, spatial_width=40.0)
    assert found.displacement[:, 1, 39].isnull().all()
    assert found.atmosphere[:, 1, 39].isnull().all()
    assert found.displacement[:, 1, 3].notnull().all()


def test_all_missing():
    ds = series()
    found = atmosphere_filter(ds.assign(displacement=ds.displacement.where(False)), **SMALL)
    assert found.displacement.isnull().all()
    assert found.atmosphere.isnull().all()


# ---- form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"seasonal": "annual", "steps": "2020-06-01"}])
def test_in_every_chunking(options):
    """Halos of 6 pixels; chunks thinner than that among them."""
    ds = series(gaps=0.1, dtype=np.float32)
    wanted = atmosphere_filter(ds, **SMALL, **options)
    assert wanted.displacement.dtype == wanted.atmosphere.dtype == np.float32
    for chunks in CHUNKINGS:
        chunked = in_chunks(ds, chunks)
        lazy = built_lazily(lambda d: atmosphere_filter(d, **SMALL, **options), chunked)
        for name in lazy:
            assert lazy[name].chunksizes == chunked.displacement.chunksizes
        same_bits(lazy.compute(scheduler="synchronous"), wanted)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_chunks(data):
    ds = series(gaps=0.1, seed=data.draw(st.integers(0, 99)))
    width = data.draw(st.sampled_from((20.0, 45.0, 1000.0)))
    lazy = built_lazily(
        lambda d: atmosphere_filter(d, spatial_width=width), in_chunks(ds, data.draw(chunkings(ds)))
    )
    same_bits(lazy.compute(scheduler="synchronous"), atmosphere_filter(ds, spatial_width=width))


def test_degrees_go_by_metres_of_each_row():
    """At 60 degrees north a degree of longitude is half as long as one of latitude."""
    ds = series()
    degrees = ds.drop_vars("spatial_ref").assign_coords(
        y=60 - 20 / 111_412 * np.arange(21), x=10 + 20 / 55_800 * np.arange(24)
    )
    degrees = with_crs(degrees, "EPSG:4326")
    found, wanted = atmosphere_filter(degrees, **SMALL), atmosphere_filter(ds, **SMALL)
    np.testing.assert_allclose(found.atmosphere, wanted.atmosphere, atol=2e-6)
    assert (found.atmosphere.values != wanted.atmosphere.values).any()
    lazy = built_lazily(
        lambda d: atmosphere_filter(d, **SMALL), in_chunks(degrees, {"time": 7, "y": 9, "x": 10})
    )
    same_bits(lazy.compute(scheduler="synchronous"), found)


def test_a_unit_of_x_serves_without_a_crs():
    ds = series().drop_vars("spatial_ref")
    with pytest.raises(ValueError, match=r"^x: the pixel size in metres is needed"):
        atmosphere_filter(ds, **SMALL)
    ds.x.attrs["units"] = "m"
    np.testing.assert_array_equal(
        atmosphere_filter(ds, **SMALL).displacement, atmosphere_filter(series(), **SMALL).displacement
    )


def test_order_of_dates_does_not_matter():
    ds = series(gaps=0.1)
    order = np.random.default_rng(1).permutation(len(DAYS))
    found = atmosphere_filter(ds.isel(time=order), **SMALL).sortby("time")
    wanted = atmosphere_filter(ds, **SMALL)
    np.testing.assert_allclose(found.displacement, wanted.displacement, atol=1e-12)
    np.testing.assert_allclose(found.atmosphere, wanted.atmosphere, atol=1e-12)


def test_the_level_of_the_input_does_not_matter():
    ds = series()
    lifted = atmosphere_filter(ds.displacement + 5, **SMALL)
    np.testing.assert_allclose(lifted.displacement, atmosphere_filter(ds, **SMALL).displacement, atol=1e-12)


def test_leading_dims():
    ds = series(gaps=0.1)
    both = xr.concat([ds.displacement, -ds.displacement], "look")
    found, wanted = atmosphere_filter(both, **SMALL), atmosphere_filter(ds, **SMALL)
    assert found.displacement.dims == ("look", "time", "y", "x")
    np.testing.assert_array_equal(found.displacement[0], wanted.displacement)
    np.testing.assert_array_equal(found.atmosphere[1], -wanted.atmosphere)
    chunked = both.chunk({"look": 1, "time": 5, "y": 9, "x": 9})
    lazy = built_lazily(lambda d: atmosphere_filter(d, **SMALL), chunked)
    same_bits(lazy.compute(scheduler="synchronous"), found)


def test_one_pixel_is_its_own_surroundings():
    ds = series((1, 1))
    found = atmosphere_filter(ds, **SMALL)
    values = ds.displacement.values
    np.testing.assert_allclose(found.displacement, plainly(values, DAYS, 1e-6, 40.0)[0], atol=1e-12)
    bare = ds.drop_vars("spatial_ref")
    bare.x.attrs["units"] = "m"
    same_bits(atmosphere_filter(bare, **SMALL).drop_attrs(), found.drop_vars("spatial_ref").drop_attrs())


def test_units_and_dtypes():
    ds = series()
    millimetres = (1000 * ds.displacement).assign_attrs(units="mm")
    found = atmosphere_filter(millimetres, **SMALL)
    assert found.displacement.attrs["units"] == found.atmosphere.attrs["units"] == "mm"
    assert atmosphere_filter(millimetres.round().astype(np.int16), **SMALL).displacement.dtype == np.float64
    bare = ds.displacement.assign_attrs(units=None).drop_attrs(deep=False)
    assert atmosphere_filter(bare, **SMALL).displacement.attrs["units"] == "m"


def test_output_is_described():
    found = atmosphere_filter(series(), **SMALL, seasonal="annual", steps=["2020-06-01"])
    assert list(found) == ["displacement", "atmosphere"]
    xinsar.schema.check_cube(found)
    assert found.attrs["track"] == 26
    assert found.attrs["history"] == (
        "made\nxinsar.atmosphere_filter(spatial_width=45.0, temporal_width=40.0, seasonal=('annual',), "
        "steps=['2020-06-01'])"
    )
    assert found.atmosphere.attrs["spatial_width"] == 45
    assert "spatial_ref" in found.coords
    velocity(found)


def test_the_accessor_gives_the_same():
    ds = series()
    same_bits(ds.insar.atmosphere_filter(**SMALL), xinsar.atmosphere_filter(ds, **SMALL))
    same_bits(ds.insar.atmosphere_filter(), xinsar.atmosphere_filter(ds))
    same_bits(ds.displacement.insar.atmosphere_filter(), xinsar.atmosphere_filter(ds.displacement))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.displacement.values, {}, TypeError, "^data: "),
        (lambda ds: ds.rename(displacement="shift"), {}, xinsar.SchemaError, "^displacement: .*holds: shift"),
        (lambda ds: ds.isel(time=0), {}, xinsar.SchemaError, "^displacement: expected a dim 'time'"),
        (lambda ds: ds.drop_vars("time"), {}, xinsar.SchemaError, "^time: "),
        (
            lambda ds: ds.stack(point=("y", "x"), create_index=False).transpose(..., "point"),
            {},
            xinsar.SchemaError,
            "^displacement: expected a map .*got points; .*rasterize_points",
        ),
        (lambda ds: ds.isel(time=slice(2)), {}, ValueError, "^time: expected more than 2 dates.*got 2"),
        (lambda ds: ds, {"spatial_width": 0}, ValueError, "^spatial_width: "),
        (lambda ds: ds, {"spatial_width": "wide"}, TypeError, "^spatial_width: "),
        (
            lambda ds: ds,
            {"spatial_width": 10},
            ValueError,
            "^spatial_width: expected at least the size of a pixel, 20 m, got 10 m",
        ),
        (lambda ds: ds, {"temporal_width": -3}, ValueError, "^temporal_width: "),
        (lambda ds: ds, {"temporal_width": np.inf}, ValueError, "^temporal_width: .*finite"),
        (lambda ds: ds, {"seasonal": "monthly"}, ValueError, "^seasonal: "),
        (lambda ds: ds, {"steps": "2019-01-01"}, ValueError, "^steps: expected a date after"),
    ],
)
def test_bad_input(change, options, error, words):
    with pytest.raises(error, match=words):
        atmosphere_filter(change(series()), **options)


def test_an_infinite_value_is_told_when_computed():
    ds = series()
    ds.displacement[3, 4, 5] = np.inf
    lazy = built_lazily(atmosphere_filter, in_chunks(ds, {"time": 5}))
    with pytest.raises(ValueError, match=r"^displacement: .*infinite"):
        lazy.compute(scheduler="synchronous")
