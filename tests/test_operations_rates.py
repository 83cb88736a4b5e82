"""velocity and monthly_velocity: other libraries' fits, known series, gaps, chunks, errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from scipy.stats import linregress

import xinsar
from tests.helpers import Chunks, built_lazily, in_chunks, same_bits, with_crs
from xinsar.operations.rates import monthly_velocity, velocity

START, DAY = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "D")
CHUNKINGS: tuple[Chunks, ...] = (
    {"time": -1, "y": -1, "x": -1},
    {"time": 1, "y": -1, "x": -1},
    {"time": 5, "y": 5, "x": 6},
    {"time": -1, "y": 1, "x": 7},
)


def series(days=tuple(range(0, 720, 12)), shape=(7, 9), *, gaps=0.1, dtype=np.float64, seed=0, values=None):
    """Return displacement (time, y, x) of noise on a line, 0 at the first date, with missing dates."""
    rng = np.random.default_rng(seed)
    years = np.array(days)[:, None, None] / 365.25
    if values is None:
        values = years * rng.normal(0, 0.03, shape) + 0.004 * rng.normal(size=(len(days), *shape))
        values[0] = 0
    values = np.broadcast_to(values, (len(days), *shape)).copy()
    values[rng.random(values.shape) < gaps] = np.nan
    ds = xr.Dataset(
        {"displacement": (("time", "y", "x"), values.astype(dtype), {"units": "m"})},
        {
            "time": START + np.array(days) * DAY,
            "y": 5_000_000 - 20.0 * np.arange(shape[0]),
            "x": 500_000 + 20.0 * np.arange(shape[1]),
        },
        {"wavelength": 0.0555, "track": 26, "history": "made"},
    )
    return with_crs(ds, "EPSG:32633")


def as_points(ds):
    return ds.stack(point=("y", "x"), create_index=False).transpose(..., "point")


def design(days, seasonal=(), steps=()):
    """Columns of the model, written plainly."""
    years = np.array(days) / 365.25
    columns = [np.ones(years.size), years]
    for name in seasonal:
        for wave in (np.sin, np.cos):
            columns.append(wave(2 * np.pi * {"annual": 1, "semiannual": 2}[name] * years))
    columns += [(np.array(days) >= step).astype(float) for step in steps]
    return np.array(columns).T


# ---- velocity ---------------------------------------------------------------------------------------------------


def test_equals_linear_regression():
    ds = series()
    found = velocity(ds)
    for y, x in np.ndindex(7, 9):
        one = ds.displacement[:, y, x].values
        known = np.isfinite(one)
        wanted = linregress(np.arange(0, 720, 12)[known] / 365.25, one[known])
        np.testing.assert_allclose(found.velocity[y, x], wanted.slope, rtol=1e-10)
        np.testing.assert_allclose(found.velocity_sigma[y, x], wanted.stderr, rtol=1e-10)


@pytest.mark.parametrize("seasonal", [(), ("annual",), ("annual", "semiannual")])
@pytest.mark.parametrize("steps", [(), (300,), (150, 451)])
def test_equals_least_squares(seasonal, steps):
    ds = series(gaps=0.2)
    found = velocity(ds, seasonal=seasonal, steps=[START + step * DAY for step in steps])
    days = np.arange(0, 720, 12)
    for y, x in np.ndindex(7, 9):
        one = ds.displacement[:, y, x].values
        known = np.isfinite(one)
        matrix = design(days[known], seasonal, steps)
        weights, (squares,), *_ = np.linalg.lstsq(matrix, one[known], rcond=None)
        covariance = np.linalg.inv(matrix.T @ matrix) * squares / (known.sum() - matrix.shape[1])
        np.testing.assert_allclose(found.velocity[y, x], weights[1], rtol=1e-8)
        np.testing.assert_allclose(found.velocity_sigma[y, x], np.sqrt(covariance[1, 1]), rtol=1e-8)


def test_what_is_modelled_does_not_enter_the_velocity():
    days = np.arange(0, 900, 12)
    years = days / 365.25
    whole = 0.02 * years + 0.01 * np.sin(2 * np.pi * years + 1) + 0.004 * np.cos(4 * np.pi * years)
    whole += np.where(days >= 480, 0.05, 0)
    ds = series(days, values=whole[:, None, None])
    found = velocity(ds, seasonal=("annual", "semiannual"), steps="2021-04-25")
    np.testing.assert_allclose(found.velocity, 0.02, rtol=1e-9)
    assert float(found.velocity_sigma.max()) < 1e-9
    assert abs(float(velocity(ds).velocity[0, 0]) - 0.02) > 0.005
    assert found.velocity.attrs["seasonal"] == "annual semiannual"
    assert found.velocity.attrs["steps"] == "2021-04-25"


def test_a_step_begins_with_its_date():
    ds = series((0, 12, 24, 36), values=np.array([0, 0, 1, 1.0])[:, None, None], gaps=0)
    np.testing.assert_allclose(velocity(ds, steps="2020-01-25").velocity, 0, atol=1e-12)
    assert float(velocity(ds, steps="2020-01-26").velocity[0, 0]) > 1


@pytest.mark.parametrize("options", [{}, {"seasonal": "annual", "steps": "2020-09-01"}])
def test_velocity_in_every_chunking(options):
    ds = series(dtype=np.float32)
    wanted = velocity(ds, **options)
    assert wanted.velocity.dtype == wanted.velocity_sigma.dtype == np.float32
    for chunks in CHUNKINGS:
        chunked = in_chunks(ds, chunks)
        lazy = built_lazily(lambda d: velocity(d, **options), chunked)
        for name in lazy:
            for dim in ("y", "x"):
                assert lazy[name].chunksizes[dim] == chunked.chunksizes[dim]
        same_bits(lazy.compute(scheduler="synchronous"), wanted)


def test_too_few_dates_are_missing():
    ds = series(gaps=0)
    ds.displacement[1:, 0, 0] = np.nan
    ds.displacement[2:, 0, 1] = np.nan
    ds.displacement[3:, 0, 2] = np.nan
    ds.displacement[:, 0, 3] = np.nan
    found = velocity(ds).isel(y=0)
    assert found.velocity[:4].isnull().values.tolist() == [True, False, False, True]
    assert found.velocity_sigma[:4].isnull().values.tolist() == [True, True, False, True]
    np.testing.assert_allclose(found.velocity[1], ds.displacement[1, 0, 1] * 365.25 / 12)


def test_a_step_in_a_gap_is_missing():
    """All valid dates of a pixel lie on one side of the step: height and slope are there, the step is not."""
    ds = series(gaps=0)
    ds.displacement[30:, 2, 2] = np.nan
    found = velocity(ds, steps=START + 400 * DAY)
    assert found.velocity[2, 2].isnull()
    assert found.velocity.isnull().sum() == 1


def test_order_of_dates_and_place_of_zero_do_not_matter():
    ds = series()
    shuffled = ds.isel(time=np.random.default_rng(1).permutation(60))
    np.testing.assert_allclose(velocity(shuffled).velocity, velocity(ds).velocity, rtol=1e-9)
    np.testing.assert_allclose(velocity(ds + 5).velocity, velocity(ds).velocity, rtol=1e-9)


@pytest.mark.parametrize("function", [velocity, monthly_velocity])
def test_points_and_leading_dims(function):
    ds = series(gaps=0.02)
    pixels, points = function(ds), function(as_points(ds))
    assert points.velocity.dims[-1] == "point"
    same_bits(points, as_points(pixels))
    both = xr.concat([ds.displacement, -ds.displacement], "look")
    found = function(both).velocity
    assert found.dims == ("look", *pixels.velocity.dims)
    np.testing.assert_array_equal(found[1], -pixels.velocity)


@pytest.mark.parametrize("function", [velocity, monthly_velocity])
def test_units(function):
    ds = series(gaps=0)
    assert function(ds).velocity.attrs["units"] == "m year-1"
    millimetres = (1000 * ds.displacement).assign_attrs(units="mm")
    assert function(millimetres).velocity.attrs["units"] == "mm year-1"
    bare = ds.displacement.drop_attrs()
    assert function(bare).velocity.attrs["units"] == "m year-1"
    whole = function(millimetres.round().astype(np.int32))
    assert whole.velocity.dtype == np.float64


def test_output_is_described():
    found = velocity(series(), seasonal="annual", steps=["2020-09-01", "2020-05-01"])
    assert list(found) == ["velocity", "velocity_sigma"]
    assert found.attrs["track"] == 26
    assert found.attrs["history"] == (
        "made\nxinsar.velocity(seasonal=('annual',), steps=['2020-05-01', '2020-09-01'])"
    )
    assert "time" not in found.coords
    assert "spatial_ref" in found.coords
    xinsar.schema.check_cube(found)


def test_noise_has_the_error_it_says():
    values = np.random.default_rng(0).normal(size=(30, 60, 60))
    ds = series(tuple(range(0, 360, 12)), (60, 60), values=values)
    found = velocity(ds, seasonal="annual")
    assert float((found.velocity / found.velocity_sigma).std()) == pytest.approx(1.04, abs=0.04)


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.displacement.values, {}, TypeError, "^data: "),
        (lambda ds: ds.rename(displacement="shift"), {}, xinsar.SchemaError, "^displacement: .*holds: shift"),
        (
            lambda ds: ds.rename(displacement="unwrapped_phase"),
            {},
            xinsar.SchemaError,
            "^displacement: .*invert_network",
        ),
        (lambda ds: ds.isel(time=0), {}, xinsar.SchemaError, "^displacement: expected a dim 'time'"),
        (lambda ds: ds.drop_vars("time"), {}, xinsar.SchemaError, "^time: .* got none"),
        (lambda ds: ds.assign_coords(time=np.arange(60)), {}, xinsar.SchemaError, "^time: .*int64"),
        (lambda ds: ds.assign_coords(time=ds.time.where(ds.time > START)), {}, xinsar.SchemaError, "NaT"),
        (lambda ds: ds.isel(time=[0]), {}, ValueError, "^time: expected two dates or more.*got 1"),
        (lambda ds: ds.isel(time=[0, 0]), {}, ValueError, "^time: expected two dates or more.*got 1"),
        (lambda ds: ds.displacement.transpose("y", "x", "time"), {}, xinsar.SchemaError, "transpose"),
        (
            lambda ds: ds.assign(displacement=ds.displacement.assign_attrs(units="mm")),
            {},
            xinsar.SchemaError,
            "^displacement: expected units 'm', got 'mm'",
        ),
        (lambda ds: ds.isel(time=slice(3)), {"seasonal": "annual"}, ValueError, "^time: .*4 dates .*got 3"),
        (lambda ds: ds, {"seasonal": "monthly"}, ValueError, "^seasonal: .*'annual', 'semiannual'"),
        (lambda ds: ds, {"seasonal": 1}, TypeError, "^seasonal: "),
        (lambda ds: ds, {"steps": "soon"}, ValueError, "^steps: expected dates"),
        (lambda ds: ds, {"steps": "NaT"}, ValueError, "^steps: .*NaT"),
        (
            lambda ds: ds,
            {"steps": "2019-01-01"},
            ValueError,
            "^steps: .*after 2020-01-01 and up to .*2019-01-01",
        ),
        (lambda ds: ds, {"steps": "2020-01-01"}, ValueError, "^steps: expected a date after"),
        (lambda ds: ds, {"steps": ["2020-03-02", "2020-03-03"]}, ValueError, "^seasonal, steps: .*tell"),
    ],
)
def test_bad_input(change, options, error, words):
    with pytest.raises(error, match=words):
        velocity(change(series()), **options)


# ---- monthly velocity -------------------------------------------------------------------------------------------


def by_hand(days, values, max_gap=45.0):
    """Monthly velocities of one series from numpy.interp, month by month."""
    known = np.isfinite(values)
    days, values = np.array(days, float)[known], values[known]
    months = np.arange(np.datetime64("2020-01"), np.datetime64("2023-01"))
    edges = (months.astype("datetime64[D]") - np.datetime64("2020-01-01")).astype(float)
    out = []
    for begin, end in pairwise(edges):
        inside = days.size > 1 and days[0] <= begin and end <= days[-1]
        gaps = [b - a for a, b in pairwise(days) if a < end and b > begin]
        good = inside and max(gaps) <= max_gap
        out.append(
            np.diff(np.interp([begin, end], days, values))[0] / (end - begin) * 365.25 if good else np.nan
        )
    return np.array(out)


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("max_gap", [20.0, 45.0, 400.0])
def test_months_equal_interpolation(gaps, max_gap):
    days = tuple(np.cumsum(np.random.default_rng(3).choice([6, 12, 12, 31], 40)).tolist())
    ds = series(days, gaps=gaps)
    found = monthly_velocity(ds, max_gap=max_gap).velocity
    first = int(
        np.flatnonzero(
            np.arange("2020-01", "2023-01", dtype="datetime64[M]")
            == found.time.values[0].astype("datetime64[M]")
        )[0]
    )
    for y, x in np.ndindex(7, 9):
        wanted = by_hand(days, ds.displacement[:, y, x].values, max_gap)
        np.testing.assert_allclose(
            found[:, y, x], wanted[first : first + found.sizes["time"]], rtol=1e-9, atol=1e-12
        )
        assert np.isnan(wanted[:first]).all()
        assert np.isnan(wanted[first + found.sizes["time"] :]).all()


def test_months_are_those_within_the_dates():
    found = monthly_velocity(series(tuple(range(0, 100, 12)), gaps=0)).velocity
    assert found.time.values.astype("datetime64[M]").astype(str).tolist() == ["2020-01", "2020-02", "2020-03"]
    assert str(found.time.values[1])[:13] == "2020-02-15T12"
    later = monthly_velocity(series(tuple(range(1, 101, 12)), gaps=0)).velocity
    assert later.time.values.astype("datetime64[M]").astype(str).tolist() == ["2020-02", "2020-03"]


def test_steady_motion_has_one_velocity():
    days = np.arange(0, 700, 12)
    found = monthly_velocity(series(days, values=(0.03 * days / 365.25)[:, None, None], gaps=0.3))
    known = found.velocity.notnull()
    assert 0.6 < float(known.mean()) <= 1
    np.testing.assert_allclose(found.velocity.values[known.values], 0.03, rtol=1e-9)


def test_months_in_every_chunking_and_order():
    ds = series(dtype=np.float32)
    wanted = monthly_velocity(ds)
    assert wanted.velocity.dtype == np.float32
    for chunks in CHUNKINGS:
        chunked = in_chunks(ds, chunks)
        lazy = built_lazily(monthly_velocity, chunked)
        assert lazy.velocity.chunksizes["y"] == chunked.chunksizes["y"]
        same_bits(lazy.compute(scheduler="synchronous"), wanted)
    same_bits(monthly_velocity(ds.isel(time=np.random.default_rng(1).permutation(60))), wanted)


def test_months_add_up_to_the_motion():
    ds = series(gaps=0)
    found = monthly_velocity(ds, max_gap=13).velocity
    starts = np.arange("2020-01", "2022-01", dtype="datetime64[M]").astype("datetime64[ns]")
    years = np.diff(starts) / DAY / 365.25
    whole = ds.displacement.interp(time=starts[[0, -1]].astype("datetime64[ns]")).diff("time")[0]
    np.testing.assert_allclose((found.values * years[:, None, None]).sum(0), whole, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (
            lambda ds: ds.isel(time=slice(2)),
            {},
            ValueError,
            "^time: .*whole calendar month, got 2020-01-01 to",
        ),
        (lambda ds: ds.isel(time=[0, 1, 2, 2, 9]), {}, xinsar.SchemaError, "^time: .*every date once"),
        (lambda ds: ds, {"max_gap": 0}, ValueError, "^max_gap: "),
        (lambda ds: ds, {"max_gap": "long"}, TypeError, "^max_gap: "),
        (lambda ds: ds.drop_vars("time"), {}, xinsar.SchemaError, "^time: "),
    ],
)
def test_bad_months(change, options, error, words):
    with pytest.raises(error, match=words):
        monthly_velocity(change(series()), **options)
