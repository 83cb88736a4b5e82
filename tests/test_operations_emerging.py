"""Emerging hot spots: the trend of Mann and Kendall, 17 categories, and series as they come."""

from __future__ import annotations

import math
from itertools import combinations, groupby

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import xinsar
from tests.helpers import Chunks, built_lazily, in_chunks, same_bits, with_crs
from xinsar.kernels.trend import emerging_hot_spots as kernel
from xinsar.operations.emerging import emerging_hot_spots
from xinsar.operations.hotspot import getis_ord

HOT, COLD, CALM = 3.0, -3.0, 0.5
WORDS = (
    "new",
    "consecutive",
    "intensifying",
    "persistent",
    "diminishing",
    "sporadic",
    "oscillating",
    "historical",
)
CODES = {word: code for code, word in enumerate(WORDS, 1)}
MISSING = -128


def mann_kendall(series):
    """Trend of a plain list, pair by pair."""
    z = [v for v in series if not math.isnan(v)]
    n = len(z)
    if n < 4:
        return math.nan
    s = sum((b > a) - (b < a) for a, b in combinations(z, 2))
    sizes = [len(list(group)) for _, group in groupby(sorted(z))]
    ties = sum(t * (t - 1) * (2 * t + 5) for t in sizes)
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    return 0.0 if s == 0 else (s - math.copysign(1, s)) / math.sqrt(variance)


def category(series, alpha=0.05):
    """Category of a plain list, by the definitions one after another."""
    z = [v for v in series if not math.isnan(v)]
    if len(z) < 4:
        return MISSING
    trend = mann_kendall(z)
    sure = 2 * norm.sf(abs(trend)) <= alpha
    for sign in (1, -1):
        turned = [sign * v for v in z]
        hot = [v > 0 and 2 * norm.sf(v) <= alpha for v in turned]
        cold = [v < 0 and 2 * norm.sf(-v) <= alpha for v in turned]
        direction = sign * np.sign(trend) if sure else 0
        word = describe(hot, cold, direction)
        if word:
            return sign * CODES[word]
    return 0


def describe(hot, cold, direction):
    mostly = sum(hot) / len(hot) >= 0.9
    if not hot[-1]:
        return "historical" if mostly else None
    if not any(hot[:-1]):
        return "new"
    if mostly:
        return {1: "intensifying", 0: "persistent", -1: "diminishing"}[int(direction)]
    start = hot.index(True)
    if all(hot[start:]):
        return "consecutive"
    return "oscillating" if any(cold) else "sporadic"


def judged(*series, alpha=0.05, dtype=np.float64):
    trend, found = kernel(np.array(series, dtype).T, alpha=alpha)
    return trend.tolist(), found.tolist()


# ---- trend ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dates", [4, 5, 9, 10, 33])
def test_trend_equals_a_double_loop(dates, dtype):
    rng = np.random.default_rng(dates)
    z = rng.normal(size=(dates, 300)).astype(dtype)
    z[:, 100:200] = np.round(z[:, 100:200])
    z[:, 200:] += 0.1 * np.arange(dates)[:, None].astype(dtype)
    z[rng.random(z.shape) < 0.15] = np.nan
    trend, _ = kernel(z, alpha=0.05)
    wanted = [mann_kendall(column.tolist()) for column in z.T]
    assert trend.dtype == dtype
    np.testing.assert_allclose(trend, wanted, rtol=1e-6 if dtype == np.float32 else 1e-13)


def test_trend_equals_pymannkendall():
    library = pytest.importorskip("pymannkendall")
    rng = np.random.default_rng(1)
    for series in [rng.normal(size=20), np.round(rng.normal(size=30)), np.arange(12.0), np.ones(8)]:
        wanted = library.original_test(series)
        (trend,), _ = judged(series)
        assert trend == pytest.approx(wanted.z, rel=1e-12)
        assert 2 * norm.sf(abs(trend)) == pytest.approx(wanted.p, rel=1e-9)


def test_trend_is_calibrated():
    """Noise without trend has z scores of spread 1 (the correction for continuity takes a little)."""
    trend, _ = kernel(np.random.default_rng(2).normal(size=(30, 20_000)), alpha=0.05)
    assert abs(trend.mean()) < 0.03
    assert 0.95 < trend.std() < 1.01


def test_trend_of_few_dates():
    rising = [1.0, 2.0, 3.0, 4.0]
    trends, found = judged(rising, [math.nan, *rising[1:]], [math.nan] * 4)
    assert trends[0] == pytest.approx(5 / math.sqrt(26 / 3))
    assert np.isnan(trends[1:]).all()
    assert found[1:] == [MISSING, MISSING]


def test_a_series_that_never_changes_has_no_trend():
    trends, found = judged([HOT] * 12, [CALM] * 12)
    assert trends == [0, 0]
    assert found == [CODES["persistent"], 0]


# ---- categories -------------------------------------------------------------------------------------------------

GROWING = [HOT + 0.1 * k for k in range(10)]
STEADY = [HOT + 0.1 * (k % 2) for k in range(10)]
EXAMPLES = {
    "new": [CALM] * 9 + [HOT],
    "consecutive": [CALM] * 7 + [HOT] * 3,
    "intensifying": GROWING,
    "persistent": STEADY,
    "diminishing": GROWING[::-1],
    "sporadic": [HOT, CALM, HOT, HOT, CALM, CALM, HOT, CALM, HOT, HOT],
    "oscillating": [HOT, CALM, HOT, HOT, COLD, CALM, HOT, CALM, HOT, HOT],
    "historical": [*STEADY[:9], CALM],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("word", WORDS)
def test_every_category(word, dtype):
    series = EXAMPLES[word]
    _, found = judged(series, [-v for v in series], dtype=dtype)
    assert found == [CODES[word], -CODES[word]]


def test_no_pattern():
    calm = [CALM, -CALM] * 5
    _, found = judged(calm, [HOT] * 8 + [CALM] * 2, [HOT, COLD] * 4 + [CALM] * 2, [*GROWING[:5], *[CALM] * 5])
    assert found == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("series", "word"),
    [
        ([COLD, CALM] * 4 + [CALM, HOT], "new"),
        ([COLD, CALM] * 3 + [CALM, HOT, HOT, HOT], "consecutive"),
        ([CALM] + [HOT] * 9, "persistent"),
        ([CALM, CALM] + [HOT] * 8, "consecutive"),
        ([CALM, *GROWING[1:]], "intensifying"),
        ([*GROWING[:9], CALM], "historical"),
        ([HOT] * 5 + [COLD] + [HOT] * 4, "persistent"),
        ([HOT] * 4 + [COLD] * 2 + [HOT] * 4, "oscillating"),
        ([HOT] + [CALM] * 8 + [HOT], "sporadic"),
    ],
)
def test_where_definitions_meet(series, word):
    assert judged(series)[1] == [CODES[word]]


def test_missing_dates_are_left_out():
    for word, series in EXAMPLES.items():
        longer = [math.nan, *series[:4], math.nan, math.nan, *series[4:], math.nan]
        trends, found = judged(longer, *[[*s, *[math.nan] * 4] for s in (series, [-v for v in series])])
        assert found == [CODES[word], CODES[word], -CODES[word]]
        assert trends[0] == trends[1] == mann_kendall(series)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_categories_equal_the_definitions(data):
    dates = data.draw(st.integers(4, 14))
    pixels = data.draw(st.integers(1, 30))
    values = st.sampled_from([HOT, HOT, HOT + 1, COLD, COLD - 1, CALM, math.nan, 2.0, -2.0, 0.0])
    kind = st.one_of(values, st.floats(-4, 4))
    series = [data.draw(st.lists(kind, min_size=dates, max_size=dates)) for _ in range(pixels)]
    alpha = data.draw(st.sampled_from([0.01, 0.05, 0.2]))
    _, found = judged(*series, alpha=alpha)
    assert found == [category(s, alpha) for s in series]


def test_mostly_hot_series_equal_the_definitions():
    rng = np.random.default_rng(4)
    z = np.where(rng.random((20, 2000)) < 0.92, 2.5 + rng.normal(size=(20, 2000)), CALM)
    z += rng.choice([-0.1, 0, 0.1], 2000) * np.arange(20)[:, None]
    z *= rng.choice([-1, 1], 2000)
    _, found = kernel(z, alpha=0.05)
    assert found.tolist() == [category(column.tolist()) for column in z.T]
    assert set(np.abs(found).tolist()) >= {3, 4, 5, 6, 8}


def test_turned_series_turn_their_category():
    z = np.random.default_rng(5).normal(size=(15, 3000)) * 2.5
    trend, found = kernel(z, alpha=0.05)
    turned, mirrored = kernel(-z, alpha=0.05)
    np.testing.assert_array_equal(turned, -trend)
    np.testing.assert_array_equal(mirrored, -found)


@pytest.mark.parametrize("pixels", [1, 255, 256, 257, 600])
def test_pixels_do_not_know_their_neighbours(pixels):
    z = np.random.default_rng(6).normal(size=(11, 600)).astype(np.float32) * 2
    whole, part = kernel(z, alpha=0.05), kernel(z[:, -pixels:], alpha=0.05)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[-pixels:], b)


def test_shapes_of_the_kernel():
    z = np.random.default_rng(7).normal(size=(6, 3, 4, 5))
    trend, found = kernel(z, alpha=0.05)
    assert trend.shape == found.shape == (3, 4, 5)
    assert found.dtype == np.int8
    turned = kernel(np.asfortranarray(z), alpha=0.05)
    np.testing.assert_array_equal(turned[0], trend)
    assert kernel(np.empty((6, 0)), alpha=0.05)[0].shape == (0,)


# ---- the operation ----------------------------------------------------------------------------------------------


def series(dates=12, shape=(14, 16), *, dtype=np.float32, gaps=0.05, seed=0):
    """Displacement, 0 at the first date: a slide speeds up, a bowl sinks, the rest is noise that comes and goes."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    slide = np.exp(-((rows - 4) ** 2 + (cols - 4) ** 2) / 6)
    bowl = -np.exp(-((rows - 9) ** 2 + (cols - 11) ** 2) / 6)
    years = np.arange(dates)[:, None, None] / 10
    values = 0.02 * years**2 * slide + 0.02 * years * bowl + 0.002 * rng.standard_normal((dates, *shape))
    values[0] = 0
    values[:, rng.random(shape) < gaps] = np.nan
    values[rng.random(values.shape) < gaps] = np.nan
    ds = xr.Dataset(
        {"displacement": (("time", "y", "x"), values.astype(dtype), {"units": "m"})},
        {
            "time": np.datetime64("2020-01-01", "ns") + 12 * np.arange(dates) * np.timedelta64(1, "D"),
            "y": 5_000_000 - 20.0 * np.arange(shape[0]),
            "x": 500_000 + 20.0 * np.arange(shape[1]),
        },
        {"wavelength": 0.0555, "track": 26, "history": "made"},
    )
    return with_crs(ds, "EPSG:32633")


def as_points(ds):
    """Return the same series on points."""
    points = ds.stack(point=("y", "x"), create_index=False)
    return points.transpose(..., "point")


CHUNKINGS: tuple[Chunks, ...] = (
    {"time": -1, "y": -1, "x": -1},
    {"time": 1, "y": -1, "x": -1},
    {"time": 5, "y": 5, "x": 6},
    {"time": -1, "y": 1, "x": 7},
    {"time": 4, "y": 6, "x": 1},
)


@pytest.mark.parametrize("over", [None, "time"])
def test_same_in_every_chunking(over):
    ds = series()
    wanted = emerging_hot_spots(ds, 45, over=over)
    for chunks in CHUNKINGS:
        chunked = in_chunks(ds, chunks)
        lazy = built_lazily(lambda d: emerging_hot_spots(d, 45, over=over), chunked)
        for name in lazy:
            for dim in ("y", "x"):
                assert lazy[name].chunksizes[dim] == chunked.chunksizes[dim]
        same_bits(lazy.compute(scheduler="synchronous"), wanted)


@pytest.mark.parametrize("over", [None, "time"])
def test_is_gi_star_then_trend_then_category(over):
    ds = series()
    z = getis_ord(ds, 45, over=over).hot_spot
    found = emerging_hot_spots(ds, 45, over=over, alpha=0.1)
    columns = z.stack(point=("y", "x"), create_index=False).values.T.astype(float).tolist()
    np.testing.assert_allclose(
        found.trend_z.values.ravel(), [mann_kendall(column) for column in columns], rtol=1e-6
    )
    assert found.category.values.ravel().tolist() == [category(column, 0.1) for column in columns]
    np.testing.assert_allclose(found.p_value, 2 * norm.sf(abs(found.trend_z)), rtol=1e-6)
    assert len(np.unique(found.category)) > 4


def test_the_slide_and_the_bowl_are_found():
    found = emerging_hot_spots(series(gaps=0), 45)
    assert found.category[4, 4] in (CODES["consecutive"], CODES["intensifying"], CODES["sporadic"])
    assert found.trend_z[4, 4] > 2
    assert found.category[9, 11] < 0
    assert found.trend_z[9, 11] < -2


def test_points_and_pixels_agree():
    """Points on the nodes of a grid have the neighbours that pixels have."""
    ds = series()
    pixels = as_points(emerging_hot_spots(ds, 45))
    points = emerging_hot_spots(as_points(ds), 45)
    assert points.category.dims == ("point",)
    np.testing.assert_array_equal(points.category, pixels.category)
    np.testing.assert_allclose(points.trend_z, pixels.trend_z, rtol=1e-6)


def test_points_in_chunks():
    ds = as_points(series())
    wanted = emerging_hot_spots(ds, 45)
    lazy = built_lazily(lambda d: emerging_hot_spots(d, 45), in_chunks(ds, {"time": 5, "point": 50}))
    assert lazy.category.chunks is not None
    same_bits(lazy.compute(scheduler="synchronous"), wanted)


def test_first_date_of_zeros_is_left_out():
    ds = series(gaps=0)
    assert getis_ord(ds, 45).hot_spot[0].isnull().all()
    same_bits(emerging_hot_spots(ds, 45), emerging_hot_spots(ds.isel(time=slice(1, None)), 45))


def test_order_of_dates_does_not_matter():
    ds = series()
    shuffled = ds.isel(time=np.random.default_rng(1).permutation(ds.sizes["time"]))
    wanted = emerging_hot_spots(ds, 45)
    same_bits(emerging_hot_spots(shuffled, 45), wanted)
    same_bits(emerging_hot_spots(in_chunks(shuffled, {"time": 3}), 45).compute(), wanted)
    same_bits(emerging_hot_spots(ds.drop_vars("time"), 45), wanted)


def test_leading_dims_pass_through():
    ds = series()
    both = xr.concat([ds.displacement, -ds.displacement], "look")
    found = emerging_hot_spots(both, 45)
    assert found.category.dims == ("look", "y", "x")
    one = emerging_hot_spots(ds.displacement, 45)
    same = one.category.values == MISSING
    np.testing.assert_array_equal(found.category[0], one.category)
    np.testing.assert_array_equal(
        found.category[1], np.where(same, MISSING, -np.where(same, 0, one.category))
    )


def test_float64_stays_float64():
    found = emerging_hot_spots(series(dtype=np.float64), 45)
    assert found.trend_z.dtype == found.p_value.dtype == np.float64
    assert found.category.dtype == np.int8


def test_picks_the_series_of_a_dataset():
    ds = series()
    more = ds.assign(velocity=ds.displacement.isel(time=-1, drop=True), elevation=ds.displacement[0] * 0)
    same_bits(emerging_hot_spots(more, 45), emerging_hot_spots(ds, 45))
    other = ds.rename(displacement="motion")
    np.testing.assert_array_equal(emerging_hot_spots(other, 45).category, emerging_hot_spots(ds, 45).category)


def test_output_is_described():
    found = emerging_hot_spots(series(), 45)
    assert list(found) == ["category", "trend_z", "p_value"]
    assert found.attrs["track"] == 26
    assert found.attrs["history"].startswith("made\nxinsar.emerging_hot_spots(distance=45, alpha=0.05")
    assert "spatial_ref" in found.coords
    assert "time" not in found.coords
    assert "trend_z" in found.p_value.attrs["long_name"]
    attrs = found.category.attrs
    names = dict(zip(attrs["flag_values"], attrs["flag_meanings"].split(), strict=True))
    assert len(names) == 17
    assert names[0] == "no_pattern"
    for word, code in CODES.items():
        assert names[code] == f"{word}_hot_spot"
        assert names[-code] == f"{word}_cold_spot"
    assert attrs["nodata"] == MISSING
    assert attrs["valid_range"] == [-8, 8]


def test_missing_is_declared():
    ds = series()
    ds["displacement"][:, 3, 3] = np.nan
    found = emerging_hot_spots(ds, 45)
    assert found.category[3, 3] == MISSING
    assert found.trend_z[3, 3].isnull()
    assert found.p_value[3, 3].isnull()
    np.testing.assert_array_equal(found.category == MISSING, found.trend_z.isnull())


def test_a_cube_keeps_category(tmp_path):
    found = emerging_hot_spots(series(), 45)
    again = xinsar.save_cube(found, tmp_path / "emerging.zarr", progress=False).compute()
    assert again.category.dtype == np.int8
    assert again.category.attrs == found.category.attrs
    np.testing.assert_array_equal(again.category, found.category)


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda ds: ds.isel(time=0),
            xinsar.SchemaError,
            r"^data: expected a variable with a dim 'time', got: displ",
        ),
        (
            lambda ds: ds.displacement[0],
            xinsar.SchemaError,
            r"^displacement: expected a dim 'time', got \('y', 'x'\)",
        ),
        (lambda ds: ds.isel(time=[0]), ValueError, r"^time: expected at least 4 dates.*got 1"),
        (lambda ds: ds.isel(time=slice(3)), ValueError, r"^time: expected at least 4 dates.*got 3"),
        (
            lambda ds: ds.isel(time=[0, 1, 2, 3, 3]),
            xinsar.SchemaError,
            r"^time: .* every date once, got 2020-02-06.* twice",
        ),
        (
            lambda ds: ds.assign_coords(time=list("abcdefghijkl")),
            xinsar.SchemaError,
            r"^time: expected dates .*datetime64",
        ),
        (
            lambda ds: ds.assign_coords(time=ds.time.where(ds.time > ds.time[2])),
            xinsar.SchemaError,
            r"^time: expected a date for every map, got NaT",
        ),
        (lambda ds: ds.displacement.transpose("y", "x", "time"), xinsar.SchemaError, "transpose"),
        (lambda ds: ds.displacement.values, TypeError, r"^data: "),
    ],
)
def test_bad_series(change, error, words):
    with pytest.raises(error, match=words):
        emerging_hot_spots(change(series()), 45)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"distance": 5}, ValueError, "^distance: "),
        ({"distance": "far"}, (TypeError, ValueError), "^distance: "),
        ({"distance": 45, "alpha": 5}, ValueError, "^alpha: "),
        ({"distance": 45, "alpha": "5 %"}, TypeError, "^alpha: "),
        ({"distance": 45, "over": "pair"}, ValueError, "^over: "),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        emerging_hot_spots(series(), **options)


def test_infinite_values_are_an_error_when_computed():
    ds = series()
    ds["displacement"][5, 2, 2] = np.inf
    lazy = built_lazily(lambda d: emerging_hot_spots(d, 45), in_chunks(ds, {"y": 7}))
    with pytest.raises(ValueError, match="infinite"):
        lazy.compute(scheduler="synchronous")
