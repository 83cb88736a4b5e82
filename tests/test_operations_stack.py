"""phase_gradient_stack: every estimator against the plain loops, known answers, statistics, chunks, bad input."""

from __future__ import annotations

import tracemalloc
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests import oracles, strategies
from tests.helpers import (
    assert_same_everywhere,
    built_lazily,
    days_of,
    in_chunks,
    make_cube,
    mesh,
    random_cube,
    same_bits,
)

wrap = oracles.wrap
stack = xinsar.phase_gradient_stack
ESTIMATORS = ("rate", "wrapped_sum", "sum")
SPACING = {"y": 20.0, "x": 10.0}


def arrays(ds):
    return ds.phase.values, ds.coherence.values if "coherence" in ds else None


def both(found, name="gradient"):
    return np.stack([found[f"{name}_{d}"].values for d in "yx"]).astype(float)


def per_pixel(found):
    """Return the gradients of a rate in rad year-1 per pixel."""
    return np.stack([found[f"gradient_{d}"].values * SPACING[d] for d in "yx"]).astype(float)


def lengths(ds):
    return [b - a for a, b in days_of(ds)]


def ramp(per_year, shape=(9, 12, 13), *, days=None, coherence=0.8, noise=0.0, seed=0, **options):
    """Return pairs of a plane that tilts with time: (y, x) rad per pixel and year."""
    days = days or mesh(shape[0])
    rows, cols = np.indices(shape[1:])
    years = np.array([(b - a) / oracles.YEAR for a, b in days])[:, None, None]
    phase = years * (per_year[0] * rows + per_year[1] * cols)
    phase = phase + noise * np.random.default_rng(seed).standard_normal(shape)
    return make_cube(wrap(phase), np.full(shape, coherence), days=days, **options)


# ---- against the plain loops ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "coherence"), [(1, True), (5, True), (3, False)])
@pytest.mark.parametrize("estimator", ["wrapped_sum", "sum"])
def test_sums_equal_plain_loops(window, coherence, estimator):
    ds = random_cube((6, 9, 10), seed=window, gaps=0.15, coherence=coherence)
    wanted = oracles.summed(*arrays(ds), lengths(ds), window=window, wrapped=estimator == "wrapped_sum")
    found = stack(ds, window=window, estimator=estimator)
    np.testing.assert_array_equal(np.isnan(both(found)), np.isnan(wanted))
    difference = both(found) - wanted
    assert np.nanmax(np.abs(difference if estimator == "sum" else wrap(difference))) < 5e-5


@pytest.mark.parametrize(("window", "coherence"), [(1, True), (5, True), (3, False)])
def test_counts_equal_plain_loops(window, coherence):
    ds = random_cube((6, 9, 10), seed=window, gaps=0.4, coherence=coherence)
    count, years = oracles.counted(*arrays(ds), lengths(ds), window=window)
    for estimator in ESTIMATORS:
        found = stack(ds, window=window, estimator=estimator)
        np.testing.assert_array_equal(found.pair_count, count)
        np.testing.assert_allclose(found.stack_years, years, atol=1e-6)
        assert found.pair_count.dtype.kind == "i"


def test_normalised_sum_equals_plain_loops():
    ds = random_cube((6, 9, 10), gaps=0.3)
    wanted = oracles.summed(*arrays(ds), lengths(ds), window=5, wrapped=False, normalise=True)
    found = both(stack(ds, estimator="sum", normalise=True))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(("window", "coherence"), [(1, True), (5, True), (3, False)])
def test_rate_equals_search_and_brent(window, coherence):
    """Signal with noise and gaps: one clear peak, so the rate must agree everywhere."""
    ds = ramp((9.0, -6.0), (8, 9, 10), noise=0.3, seed=window)
    rng = np.random.default_rng(window)
    ds["coherence"] = ds.coherence.copy(data=rng.uniform(0.2, 1, ds.phase.shape).astype(np.float32))
    ds["phase"] = ds.phase.where(xr.DataArray(rng.random(ds.phase.shape) > 0.1, dims=ds.phase.dims))
    ds = ds if coherence else ds.drop_vars("coherence")
    rate, agreement, z = oracles.rate(*arrays(ds), days_of(ds), window=window)
    found = stack(ds, window=window)
    np.testing.assert_array_equal(np.isnan(per_pixel(found)), np.isnan(rate))
    clear = agreement > 0.6
    assert clear.sum() > 100
    np.testing.assert_allclose(per_pixel(found)[clear], rate[clear], atol=2e-4)
    np.testing.assert_allclose(both(found, "gradient_coherence"), agreement, atol=2e-3)
    ratio = (both(found, "gradient_z") / z)[clear & np.isfinite(z)]
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    assert np.quantile(ratio, 0.05) > 0.85
    assert np.quantile(ratio, 0.95) < 1.25


def test_rate_of_noise_reaches_the_highest_agreement():
    ds = random_cube((6, 9, 10), seed=4)
    years = np.array(lengths(ds)) / oracles.YEAR
    found = per_pixel(stack(ds, window=1))
    for (direction, y, x), seen in oracles.observations(*arrays(ds), 1).items():
        best = oracles.best_rate(seen, years)
        reached = oracles.agreement(found[direction, y, x], seen, years)
        top = oracles.agreement(best, seen, years)
        assert reached >= top - (1 - np.cos(0.25)) * seen.weights.sum()


def test_weights_follow_the_coherence_of_each_pair():
    """Two pairs that disagree: the rate lies where the better one, weighed by q = c^2/(1-c^2), puts it."""
    columns = np.arange(6) * np.ones((1, 5, 1))
    phase = np.concatenate([0.10 * columns, 0.30 * columns])
    coherence = np.concatenate([np.full((1, 5, 6), 0.9), np.full((1, 5, 6), 0.3)])
    ds = make_cube(phase, coherence, days=[(0, 12), (12, 24)])
    q = np.array([0.9, 0.3]) ** 2 / (1 - np.array([0.9, 0.3]) ** 2)
    expected = np.angle((q * np.exp(1j * np.array([0.1, 0.3]))).sum()) / (12 / oracles.YEAR)
    assert per_pixel(stack(ds, window=1))[1, 2, 2] == pytest.approx(expected, rel=1e-4)


def test_coherence_of_one_counts_as_098():
    columns = np.arange(6) * np.ones((1, 5, 1))
    ds = make_cube(
        np.concatenate([0.10 * columns, 0.30 * columns]),
        np.concatenate([np.full((1, 5, 6), 1.0), np.full((1, 5, 6), 0.98)]),
        days=[(0, 12), (12, 24)],
    )
    assert per_pixel(stack(ds, window=1))[1, 2, 2] == pytest.approx(0.2 / (12 / oracles.YEAR), rel=1e-4)


def test_length_of_the_window_sum_is_no_weight():
    """A pair whose windows are noisy (short sums) but whose coherence is the same weighs the same."""
    rng = np.random.default_rng(3)
    clean = 0.2 * np.arange(40) * np.ones((2, 40, 1))
    clean[1] += rng.uniform(-2, 2, (40, 40))
    ds = make_cube(wrap(clean), np.full(clean.shape, 0.5), days=[(0, 12), (12, 24)])
    gradient = xinsar.phase_gradient(ds).gradient_x.values[:, 5:-5, 5:-5].astype(float)
    wanted = np.angle(np.exp(1j * gradient).sum(0)) / (12 / oracles.YEAR)
    found = per_pixel(stack(ds))[1, 5:-5, 5:-5]
    assert np.quantile(np.abs(found - wanted), 0.95) < 1e-3


# ---- known answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 5])
def test_plane_has_constant_rate(window):
    rate = (0.9 * np.pi / window * oracles.YEAR / 36, -0.5 * np.pi / window * oracles.YEAR / 36)
    ds = ramp(rate, noise=1e-3)
    half = window // 2
    inner = np.s_[half : 12 - half - 1, half : 13 - half - 1]
    found = per_pixel(stack(ds, window=window))
    np.testing.assert_allclose(found[0][inner], rate[0], rtol=2e-3)
    np.testing.assert_allclose(found[1][inner], rate[1], rtol=4e-3)
    total = sum(lengths(ds)) / oracles.YEAR
    sums = both(stack(ds, window=window, estimator="sum"))
    np.testing.assert_allclose(sums[0][inner], rate[0] * total, rtol=2e-3)
    wrapped = both(stack(ds, window=window, estimator="wrapped_sum"))
    np.testing.assert_allclose(wrap(wrapped - sums)[:, *inner], 0, atol=1e-4)
    assert np.nanmax(np.abs(wrapped)) <= np.pi + 1e-6


def test_noise_free_slope_has_a_huge_z_and_warns_of_nothing():
    for window in (1, 5):
        found = stack(ramp((0.0, 5.0)), window=window)
        assert (found.gradient_z_x.values[3:-4, 3:-4] > 1e3).all()
        assert not (np.abs(found.gradient_z_y.values[3:-4, 3:-4]) > 3).any()


def test_constant_phase_has_no_gradient():
    found = stack(make_cube(np.full((4, 6, 7), 1.0), np.full((4, 6, 7), 0.5)))
    np.testing.assert_allclose(found.gradient_x.values[:, :-1], 0, atol=1e-5)
    np.testing.assert_allclose(found.gradient_y.values[:-1], 0, atol=1e-5)
    np.testing.assert_allclose(found.gradient_coherence_x.values[:, :-1], 1, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("sign", [1, -1])
def test_sinking_bowl_is_positive_then_negative(estimator, sign):
    rows, cols = np.indices((21, 21)) - 10
    bowl = 0.5 * sign * np.exp(-(rows**2 + cols**2) / 32)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((4, 21, 21))
    found = sign * both(stack(make_cube(bowl + noise), estimator=estimator, window=3))
    assert (found[0, 4:9, 10] > 0).all()
    assert (found[0, 11:16, 10] < 0).all()
    assert (found[1, 10, 4:9] > 0).all()
    assert (found[1, 10, 11:16] < 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_direction_of_coordinates_changes_no_bit(estimator):
    ds = random_cube()
    turned = ds.assign_coords(x=ds.x[::-1].values, y=ds.y[::-1].values)
    found, wanted = stack(turned, estimator=estimator), stack(ds, estimator=estimator)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_rotating_the_scene_swaps_gradients():
    ds = ramp((4.0, 9.0), noise=0.2)
    turned = make_cube(*(np.rot90(ds[n].values, axes=(1, 2)) for n in ("phase", "coherence")), days=mesh(9))
    for estimator in ESTIMATORS:
        scale = per_pixel if estimator == "rate" else both
        before, after = scale(stack(ds, estimator=estimator)), scale(stack(turned, estimator=estimator))
        np.testing.assert_allclose(after[1], np.rot90(before[0]), atol=2e-3)
        np.testing.assert_allclose(after[0][:-1], -np.rot90(before[1])[1:], atol=2e-3)


# ---- what must change nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_whole_turns_change_nothing(estimator):
    ds = ramp((5.0, 3.0), noise=0.2)
    turns = 2 * np.pi * np.array([1, -2, 3, 0, -1, 5, 2, 9, -7])[:, None, None]
    wrapped = ds.assign(phase=ds.phase.copy(data=wrap(ds.phase.values + turns).astype(np.float32)))
    same_bits(stack(wrapped, estimator=estimator), stack(ds, estimator=estimator))
    loose = ds.rename(phase="unwrapped_phase")
    shifted = loose.assign(unwrapped_phase=loose.unwrapped_phase + turns.astype(np.float32))
    difference = both(stack(shifted, estimator=estimator)) - both(stack(loose, estimator=estimator))
    assert np.nanmax(np.abs(difference)) < 1e-3
    same = both(stack(loose, estimator=estimator)) - both(stack(ds, estimator=estimator))
    assert np.nanmax(np.abs(same)) < 1e-4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_constant_per_pair_changes_nothing(estimator):
    ds = ramp((5.0, 3.0), noise=0.2)
    shift = np.linspace(-3, 3, 9)[:, None, None]
    moved = ds.assign(phase=ds.phase.copy(data=wrap(ds.phase.values + shift).astype(np.float32)))
    difference = both(stack(moved, estimator=estimator)) - both(stack(ds, estimator=estimator))
    assert np.nanmax(np.abs(difference)) < 1e-3


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("days", [(24, 36), (0, 6), (0, 60), (0, 7)])
def test_a_pair_without_any_pixel_changes_no_bit(estimator, days):
    """Neither one of an interval that other pairs have, nor a shorter, longer or odd one."""
    ds = random_cube()
    more = make_cube(
        np.concatenate([np.full((1, 11, 13), np.nan), ds.phase.values]),
        np.concatenate([np.full((1, 11, 13), 0.5), ds.coherence.values]),
        days=[days, *((int(a), int(b)) for a, b in days_of(ds))],
    )
    wanted, found = stack(ds, estimator=estimator), stack(more, estimator=estimator)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def test_pairs_missing_in_part_of_the_image():
    """Where the 6-day pair is missing, the rate is that of the other pairs: no alias of theirs may be taken."""
    ds = ramp(
        (0.0, 8.0), (6, 10, 20), noise=0.3, days=[(0, 6), (0, 12), (12, 24), (24, 36), (12, 36), (0, 24)]
    )
    ds.phase[0, :, 10:] = np.nan
    found, others = per_pixel(stack(ds)), per_pixel(stack(ds, pairs=[1, 2, 3, 4, 5]))
    np.testing.assert_allclose(found[1, :, 13:-1], others[1, :, 13:-1], rtol=1e-4)


def test_missing_pixels_of_a_pair_do_not_poison_others():
    ds = ramp((5.0, 3.0), noise=0.1)
    holed = ds.copy(deep=True)
    holed.phase[3, 4:8, 4:8] = np.nan
    found, wanted = per_pixel(stack(holed, window=1)), per_pixel(stack(ds, window=1))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert int(stack(holed, window=1).pair_count[5, 5]) == 8


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("value", [0.0, 1e-12, 1e-30])
def test_a_pair_of_almost_no_coherence_is_left_out_not_contagious(estimator, value):
    ds = ramp((5.0, 3.0), noise=0.1)
    ds.coherence[4] = value
    found = stack(ds, estimator=estimator)
    assert found.gradient_x.values[:, :-1].size == np.isfinite(found.gradient_x.values[:, :-1]).sum()
    if estimator == "rate":
        others = per_pixel(stack(ds, pairs=[0, 1, 2, 3, 5, 6, 7, 8]))
        np.testing.assert_allclose(per_pixel(found)[1, :, :-1], others[1, :, :-1], rtol=1e-3)


# ---- chunks, laziness, size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_same_everywhere(estimator):
    for window in (1, 5):
        assert_same_everywhere(
            lambda ds, w=window: stack(ds, window=w, estimator=estimator), random_cube((7, 11, 13))
        )


def test_same_everywhere_with_options():
    ds = random_cube((7, 11, 13)).assign_coords(perpendicular_baseline=("pair", np.linspace(-90, 80, 7)))
    assert_same_everywhere(lambda d: stack(d, dem_error=True), ds)
    assert_same_everywhere(lambda d: stack(d, directions="range_azimuth"), ds)
    assert_same_everywhere(lambda d: stack(d, estimator="sum", min_coherence=0.45), ds)
    assert_same_everywhere(lambda d: stack(d, min_coherence=0.45), ds)
    assert_same_everywhere(lambda d: stack(d, pairs=[6, 0, 3], estimator="wrapped_sum"), ds)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("estimator", ["rate", "wrapped_sum"])
def test_chunks_never_change_a_bit(estimator, data):
    ds = data.draw(strategies.cubes())
    window = data.draw(strategies.windows(ds))
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    lazy = built_lazily(lambda d: stack(d, window=window, estimator=estimator), chunked)
    same_bits(lazy.compute(scheduler="synchronous"), stack(ds, window=window, estimator=estimator))


def test_threads_give_the_same_bits():
    ds = random_cube((9, 40, 50), gaps=0.02)
    wanted = stack(ds)
    for _ in range(5):
        same_bits(stack(ds.chunk({"pair": 2, "y": 13, "x": 17})).compute(scheduler="threads"), wanted)


def test_computing_twice_gives_the_same():
    lazy = stack(random_cube().chunk({"pair": 2, "y": 5, "x": 6}))
    same_bits(lazy.compute(scheduler="synchronous"), lazy.compute(scheduler="synchronous"))
    one = lazy.gradient_x.compute()
    np.testing.assert_array_equal(one, lazy.compute().gradient_x)


def generated(pairs, *, side=192, chunk=96, pair_chunk=10):
    """Return a cube of noise whose chunks are made when they are asked for."""
    chunks = ((pair_chunk,) * (pairs // pair_chunk), (chunk,) * (side // chunk), (chunk,) * (side // chunk))

    def block(block_info=None, scale=1.0):
        place = block_info[None]["array-location"]
        seed = [int(a) for a, _ in place]
        shape = [int(b - a) for a, b in place]
        return (scale * np.random.default_rng(seed).random(shape, np.float32)).astype(np.float32)

    ds = make_cube(np.zeros((pairs, 1, 1)), days=mesh(pairs)).isel(x=0, y=0, drop=True).drop_vars("phase")
    for name, scale in (("phase", 3.0), ("coherence", 1.0)):
        data = da.map_blocks(
            block, scale=scale, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), "f4")
        )
        ds[name] = ("pair", "y", "x"), data
    return ds.assign_coords(x=("x", 10.0 * np.arange(side), {"units": "m"}), y=-10.0 * np.arange(side))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_tasks_grow_with_chunks_only(estimator):
    """Per spatial chunk: a constant, and a constant per pair chunk; never per pair."""

    def tasks(pairs, **options):
        return len(dict(stack(generated(pairs, **options), estimator=estimator).__dask_graph__()))

    per_chunk = tasks(80, pair_chunk=10) - tasks(40, pair_chunk=10)
    assert per_chunk <= 4 * 4 * 8
    assert tasks(400, pair_chunk=100) == tasks(40, pair_chunk=10)
    assert tasks(40, pair_chunk=40) <= 4 * 40


def peak_bytes(ds, estimator):
    """Return the peak of memory that computing the stack of ``ds`` takes, one task at a time."""
    lazy = stack(ds, estimator=estimator)
    tracemalloc.start()
    try:
        lazy.compute(scheduler="synchronous")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("estimator", ["rate", "wrapped_sum"])
def test_memory_does_not_grow_with_the_number_of_pairs(estimator):
    """Eight times the pairs: only the rate's two bits per date and pixel and the graph itself may grow."""
    stack(generated(20), estimator=estimator).compute(scheduler="synchronous")
    size = {"side": 320, "chunk": 160}
    short, long = (peak_bytes(generated(n, **size), estimator) for n in (40, 320))
    assert long < 1.4 * short


def test_memory_beside_the_results_is_states_of_one_group():
    """Beyond the results (20 bytes a pixel) a larger image adds states and borders of chunks that go together."""
    stack(generated(20), estimator="wrapped_sum").compute(scheduler="synchronous")
    small, large = (peak_bytes(generated(80, side=s), "wrapped_sum") for s in (192, 576))
    pixels = 576**2 - 192**2
    assert large - 20 * pixels < 2 * small + 64 * pixels


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("group_bytes", [1, 2 * 9 * 23 * 32])
def test_groups_of_rows_change_no_bit(estimator, group_bytes, monkeypatch):
    """Whether rows of chunks go hand in hand or one after another, the result is the same."""
    ds = random_cube()
    whole = stack(ds, estimator=estimator)
    monkeypatch.setattr("xinsar.mapping.fold.GROUP_BYTES", group_bytes)
    parts = stack(ds.chunk({"pair": 2, "y": 6, "x": 7}), estimator=estimator).compute()
    xr.testing.assert_identical(whole, parts)


# ---- outputs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_output_is_described_and_input_untouched(estimator):
    ds = random_cube().assign_attrs(history="made")
    before = ds.copy(deep=True)
    found = stack(ds, estimator=estimator)
    xr.testing.assert_identical(ds, before)
    more = {"gradient_coherence_y", "gradient_coherence_x", "gradient_z_y", "gradient_z_x"}
    wanted = {"gradient_y", "gradient_x", "pair_count", "stack_years"} | (
        more if estimator == "rate" else set()
    )
    assert set(found) == wanted
    for name in found:
        assert found[name].dims == ("y", "x")
        assert found[name].attrs["units"]
        assert found[name].attrs["long_name"]
        if name.startswith("gradient"):
            assert found[name].attrs["offset"] == 0.5
            assert found[name].dtype == np.float32
    assert found.gradient_x.attrs["units"] == ("rad m-1 year-1" if estimator == "rate" else "rad")
    assert found.gradient_x.attrs["estimator"] == estimator
    assert found.attrs["history"].startswith("made\nxinsar.phase_gradient_stack(")
    assert found.attrs["track"] == 26
    assert "spatial_ref" in found.coords
    assert "pair" not in found.dims
    xr.testing.assert_equal(found.x, ds.x)


def test_defaults_are_rate_and_window_five():
    ds = random_cube()
    a, b = stack(ds), stack(ds, window=5, estimator="rate", dem_error=False, directions="map")
    same_bits(a, b)


def test_rate_is_per_metre_of_each_axis():
    ds = ramp((4.0, 4.0), noise=1e-3)
    found = stack(ds)
    assert float(found.gradient_y[5, 5]) == pytest.approx(4.0 / 20, rel=1e-2)
    assert float(found.gradient_x[5, 5]) == pytest.approx(4.0 / 10, rel=1e-2)


def test_rate_in_degrees_goes_by_the_ellipsoid():
    from pyproj import Geod

    from tests.helpers import with_crs

    step = 1e-3
    ds = ramp((4.0, 4.0), noise=1e-3).drop_vars("spatial_ref")
    ds = ds.assign_coords(x=10 + step * np.arange(13), y=60 - step * np.arange(12))
    geographic = with_crs(ds, "EPSG:4326")
    units = ds.copy()
    units.x.attrs["units"] = "degrees_east"
    across = Geod(ellps="WGS84").inv(10, 60 - 5 * step, 10 + step, 60 - 5 * step)[2]
    down = Geod(ellps="WGS84").inv(10, 60 - 4.5 * step, 10, 60 - 5.5 * step)[2]
    for cube in (geographic, units):
        found = stack(cube)
        assert float(found.gradient_x[5, 5]) == pytest.approx(4.0 / across, rel=1e-2)
        assert float(found.gradient_y[5, 5]) == pytest.approx(4.0 / down, rel=1e-2)
    same = stack(geographic).gradient_x.values / stack(ramp((4.0, 4.0), noise=1e-3)).gradient_x.values
    np.testing.assert_allclose(same[5, :-1], 10 / across, rtol=1e-5)


def test_without_crs_metres_may_come_from_units_else_only_the_sums_work():
    bare = random_cube().drop_vars("spatial_ref")
    for estimator in ("wrapped_sum", "sum"):
        assert np.isfinite(stack(bare, estimator=estimator).gradient_x).any()
    with pytest.raises(ValueError, match=r"^x: .*no CRS.*x.attrs\['units'\].*write_crs"):
        stack(bare)
    with pytest.raises(ValueError, match=r"^x: .*no CRS"):
        built_lazily(stack, in_chunks(bare, {"pair": -1}))
    metres = bare.copy()
    metres.x.attrs["units"] = "m"
    np.testing.assert_array_equal(stack(metres).gradient_x, stack(random_cube()).gradient_x)


# ---- small, empty, odd ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 1, 9), (3, 9, 1), (1, 1, 1), (1, 6, 7)])
def test_small_images_and_single_pairs(estimator, shape):
    ds = random_cube(shape, gaps=0)
    found = stack(ds, estimator=estimator)
    assert np.isfinite(found.gradient_y).sum() == (shape[1] - 1) * shape[2]
    assert np.isfinite(found.gradient_x).sum() == shape[1] * (shape[2] - 1)
    lazy = stack(ds.chunk({"pair": 1, "y": 1, "x": 1}), estimator=estimator)
    same_bits(lazy.compute(), found)


def test_one_pixel_without_a_transform_is_nan():
    ds = xinsar.stack_from_arrays(
        np.zeros((2, 1, 1)),
        None,
        ["2020-01-01", "2020-02-01"],
        ["2020-02-01", "2020-03-01"],
        [0.0],
        [0.0],
        units="m",
    )
    assert stack(ds).gradient_x.isnull().all()


def test_single_pair_gives_its_gradient_and_no_z():
    ds = random_cube((1, 6, 7), gaps=0)
    found = stack(ds)
    gradient = xinsar.phase_gradient(ds).isel(pair=0)
    turn = per_pixel(found)[1] * 12 / oracles.YEAR
    np.testing.assert_allclose(wrap(turn - gradient.gradient_x)[:, :-1], 0, atol=1e-4)
    assert found.gradient_z_x.isnull().all()
    assert (found.gradient_coherence_x[:, :-1] > 0.999).all()
    for name in ("gradient_x", "gradient_y"):
        np.testing.assert_allclose(stack(ds, estimator="sum")[name], gradient[name], atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_all_nan(estimator):
    ds = random_cube()
    ds["phase"] = ds.phase * np.nan
    found = stack(ds, estimator=estimator)
    assert found.gradient_x.isnull().all()
    assert (found.pair_count == 0).all()
    assert (found.stack_years == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_all_nan_tile(estimator):
    ds = random_cube((5, 16, 16), gaps=0.05)
    ds.phase[:, :8, :8] = np.nan
    found = stack(ds.chunk({"y": 8, "x": 8, "pair": 2}), estimator=estimator).compute()
    assert found.gradient_x[:8, :8].isnull().all()
    assert (found.pair_count[:8, :8] == 0).all()
    assert found.gradient_x[9:, 9:-1].notnull().mean() > 0.9
    same_bits(found, stack(ds, estimator=estimator))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_leading_dims_pass_through(estimator):
    one, two = random_cube((4, 6, 7)), random_cube((4, 6, 7), seed=1)
    looks = xr.Dataset({n: xr.concat([one[n], two[n]], "look") for n in ("phase", "coherence")}, one.coords)
    for cube in (looks, in_chunks(looks, {"look": 1, "pair": 2, "y": 3})):
        found = stack(cube, estimator=estimator).compute()
        assert found.gradient_x.dims == ("look", "y", "x")
        for n, single in enumerate((one, two)):
            wanted = stack(single, estimator=estimator)
            for name in wanted:
                np.testing.assert_array_equal(found[name].isel(look=n), wanted[name])


# ---- statistics -----------------------------------------------------------------------------------------------


def speckled(coherence, *, looks=4, side=64, dates=10, neighbours=9, seed=0, per_year=0.0):
    """Return a cube whose noise is drawn per date: pairs s_j conj(s_i), averaged over ``looks``.

    ``coherence`` is one number or one for each date; ``per_year`` is a gradient along x in rad per pixel.
    """
    rng = np.random.default_rng(seed)
    shares = np.broadcast_to(coherence, dates).astype(float)

    def draw():
        return (
            rng.standard_normal((looks, side, side)) + 1j * rng.standard_normal((looks, side, side))
        ) / np.sqrt(2)

    lasting = draw()
    scenes = [np.sqrt(c) * lasting + np.sqrt(1 - c) * draw() for c in shares]
    pairs = [(i, j) for i in range(dates) for j in range(i + 1, min(i + neighbours + 1, dates))]
    noise = np.array([np.angle((scenes[j] * scenes[i].conj()).sum(0)) for i, j in pairs])
    years = np.array([12 * (j - i) / oracles.YEAR for i, j in pairs])[:, None, None]
    given = np.array([np.full((side, side), np.sqrt(shares[i] * shares[j])) for i, j in pairs])
    phase = wrap(noise + years * per_year * np.arange(side))
    return make_cube(phase, given, days=[(12 * i, 12 * j) for i, j in pairs])


def scores(ds, window):
    found = stack(ds, window=window)
    z = np.concatenate([found[f"gradient_z_{d}"].values[4:-5, 4:-5].ravel() for d in "yx"])
    return z[np.isfinite(z)]


@pytest.mark.parametrize(
    ("coherence", "looks", "window"), [(0.5, 4, 5), (0.6, 4, 5), (0.5, 16, 1), (0.8, 4, 1)]
)
def test_z_is_calibrated_where_nothing_moves(coherence, looks, window):
    """All pairs of ten dates: the network for which the correction for shared dates is exact."""
    z = scores(speckled(coherence, looks=looks), window)
    assert 0.8 < z.std() < 1.2
    assert abs(z.mean()) < 0.1


def test_z_is_conservative_on_a_chain_of_short_pairs():
    for coherence in (0.3, 0.7):
        z = scores(speckled(coherence, dates=14, neighbours=3), 5)
        assert 0.4 < z.std() < 1.2
        assert (np.abs(z) > 4).mean() < 1e-3


def test_z_grows_with_what_moves():
    still, moving = (scores(speckled(0.5, per_year=g), 5) for g in (0.0, 1.0))
    assert np.abs(moving).max() > np.abs(still).max()


@pytest.mark.parametrize(("coherence", "low"), [(0.25, 0.93), (0.4, 0.97), (0.7, 0.99)])
def test_window_five_is_nearly_unbiased(coherence, low):
    truth = 0.3 * oracles.YEAR / 36
    ds = speckled(coherence, dates=14, neighbours=3, per_year=truth, seed=1)
    rate = per_pixel(stack(ds))[1, 4:-5, 4:-5].mean() / truth
    total = both(stack(ds, estimator="sum"))[1, 4:-5, 4:-5].mean()
    total /= truth * sum(lengths(ds)) / oracles.YEAR
    assert low < rate < 1.03
    assert low < total < 1.03


def test_with_window_one_the_rate_keeps_what_the_sums_lose():
    truth = 0.3 * oracles.YEAR / 36
    ds = speckled(0.3, looks=6, dates=14, neighbours=9, per_year=truth, seed=1)
    rate = per_pixel(stack(ds, window=1))[1, 1:-1, 1:-2] / truth
    total = both(stack(ds, window=1, estimator="sum"))[1, 1:-1, 1:-2]
    total = total.mean() / (truth * sum(lengths(ds)) / oracles.YEAR)
    assert np.median(rate) == pytest.approx(1, abs=0.05)
    assert total < 0.9


def test_rate_gains_where_coherence_varies_between_pairs():
    truth = 0.3 * oracles.YEAR / 36
    shares = np.where(np.arange(14) % 3 == 0, 0.1, 0.7)
    ds = speckled(shares, dates=14, neighbours=3, per_year=truth, seed=2)
    rate = per_pixel(stack(ds))[1, 4:-5, 4:-5] / truth
    total = both(stack(ds, estimator="sum"))[1, 4:-5, 4:-5] / (truth * sum(lengths(ds)) / oracles.YEAR)
    assert rate.std() < 0.5 * total.std()


def test_gradient_coherence_is_a_share():
    noise = random_cube((12, 20, 20), seed=8, gaps=0)
    signal = ramp((3.0, 3.0), (12, 20, 20), noise=0.05)
    values = both(stack(noise, window=1), "gradient_coherence")
    assert np.nanmin(values) >= 0
    assert np.nanmax(values) <= 1 + 1e-6
    assert np.nanmedian(values) < 0.85
    assert np.nanmin(both(stack(signal), "gradient_coherence")) > 0.95


# ---- aliases, dates, elevation --------------------------------------------------------------------------------


def test_z_is_nan_near_the_alias_limit():
    limit = np.pi / (12 / oracles.YEAR)
    for share, known in ((0.85, True), (0.95, False)):
        found = stack(ramp((0.0, share * limit), noise=0.02), window=1)
        np.testing.assert_allclose(per_pixel(found)[1, :, :-1], share * limit, rtol=0.02)
        assert (found.gradient_z_x[:, :-1].notnull() == known).all()


def test_a_rate_beyond_the_limit_comes_back_aliased():
    limit = np.pi / (12 / oracles.YEAR)
    found = per_pixel(stack(ramp((0.0, 1.3 * limit), noise=0.02), window=1))[1, :, :-1]
    np.testing.assert_allclose(found, -0.7 * limit, rtol=0.02)


def test_alias_limit_goes_by_the_common_divisor():
    """Pairs of 24 and 36 days share a divisor of 12: rates up to pi/24d are told apart from their alias."""
    limit = np.pi / (24 / oracles.YEAR)
    days = [(0, 24), (12, 48), (24, 48), (36, 72), (48, 72), (60, 96)]
    found = stack(ramp((0.0, 0.95 * limit), (6, 5, 6), days=days, noise=0.02), window=1)
    np.testing.assert_allclose(per_pixel(found)[1, :, :-1], 0.95 * limit, rtol=0.02)
    assert found.gradient_z_x[:, :-1].notnull().all()


def test_alias_limit_is_that_of_the_pairs_kept():
    """Six-day pairs refused by min_coherence no longer hold the limit up."""
    days = [(0, 6), (6, 12), *((12 * k, 12 * k + 12) for k in range(6))]
    limit = np.pi / (12 / oracles.YEAR)
    ds = ramp((0.0, 0.95 * limit), (8, 5, 6), days=days, noise=0.02)
    ds.coherence[:2] = 0.1
    assert stack(ds, window=1, min_coherence=0.5).gradient_z_x.isnull().all()


def test_z_needs_three_dates():
    two = ramp((0.0, 3.0), (2, 5, 6), noise=0.1, days=[(0, 12), (12, 24)])
    assert stack(two).gradient_z_x[:, :-1].notnull().all()
    two.phase[1] = np.nan
    assert stack(two).gradient_z_x.isnull().all()


def test_intervals_need_not_be_multiples():
    days = [(0, 11), (0, 24), (11, 35), (24, 70), (35, 71)]
    found = per_pixel(stack(ramp((2.0, 12.0), (5, 8, 9), days=days, noise=0.02), window=1))
    np.testing.assert_allclose(found[1, :, :-1], 12, rtol=0.05)


def test_dates_with_times_of_day():
    ds = ramp((2.0, 12.0), noise=0.02)
    late = ds.assign_coords(
        reference_time=ds.reference_time + np.timedelta64(13 * 3600, "s"),
        secondary_time=ds.secondary_time + np.timedelta64(13 * 3600 + 5, "s"),
    )
    np.testing.assert_allclose(per_pixel(stack(late)), per_pixel(stack(ds)), rtol=1e-3, atol=1e-3)


def with_elevation_error(height, *, shape=(24, 12, 13), seed=0, noise=0.05):
    """Return pairs of a slope of elevation errors ``height`` m per pixel along x, and a rate of 3 along x."""
    rng = np.random.default_rng(seed)
    ds = ramp((0.0, 3.0), shape, noise=noise, seed=seed)
    baselines = rng.uniform(-150, 150, shape[0])
    lever = -4 * np.pi * baselines / (0.0555 * 850e3 * np.sin(np.radians(39)))
    phase = ds.phase.values + lever[:, None, None] * height * np.arange(shape[2])
    ds["phase"] = ds.phase.copy(data=wrap(phase).astype(np.float32))
    return ds.assign_coords(perpendicular_baseline=("pair", baselines)), lever


def test_dem_error_is_fitted_with_the_rate():
    ds, lever = with_elevation_error(5.0, noise=0.01)
    assert np.abs(5 * lever).max() < 0.5
    plain, fitted = (per_pixel(stack(ds, window=1, dem_error=f))[1, :, :-1] for f in (False, True))
    assert np.abs(fitted - 3).mean() < 0.3 * np.abs(plain - 3).mean()
    assert abs(fitted.mean() - 3) < 0.02


def test_dem_error_equals_the_exact_fit():
    ds, lever = with_elevation_error(5.0, shape=(16, 5, 6), noise=0.05)
    years = np.array(lengths(ds)) / oracles.YEAR
    found = per_pixel(stack(ds, window=1, dem_error=True))
    for place, seen in oracles.observations(*arrays(ds), 1).items():
        rate, height = oracles.rate_with_elevation(seen, years, lever)
        if np.abs(height * lever).max() < 0.35:
            assert found[place] == pytest.approx(rate, abs=0.03)


def test_dem_error_without_an_error_changes_little():
    ds, _ = with_elevation_error(0.0)
    plain, fitted = (per_pixel(stack(ds, dem_error=f))[1, :, :-1] for f in (False, True))
    np.testing.assert_allclose(fitted, plain, atol=0.15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.drop_vars("perpendicular_baseline"), r"perpendicular_baseline: .*assign_coords"),
        (lambda ds: ds.drop_attrs(deep=False), r"wavelength"),
        (
            lambda ds: ds.assign_coords(perpendicular_baseline=ds.perpendicular_baseline * np.nan),
            "missing values",
        ),
    ],
)
def test_dem_error_says_what_it_needs(change, words):
    ds, _ = with_elevation_error(1.0, shape=(4, 5, 6))
    with pytest.raises(ValueError, match=words):
        stack(change(ds), dem_error=True)


# ---- directions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", [0.0, 90.0, 348.0, 192.0])
def test_range_and_azimuth(heading):
    """A phase that grows eastward: its range part is cos(heading), its azimuth part sin(heading)."""
    ds = ramp((0.0, 4.0), noise=0.01, heading=heading)
    found = stack(ds, directions="range_azimuth").isel(x=slice(3, -4), y=slice(3, -4))
    np.testing.assert_allclose(found.gradient_x, 0.4 * np.cos(np.radians(heading)), atol=0.02)
    np.testing.assert_allclose(found.gradient_y, 0.4 * np.sin(np.radians(heading)), atol=0.02)
    north = ramp((-4.0, 0.0), noise=0.01, heading=heading)
    found = stack(north, directions="range_azimuth").isel(x=slice(3, -4), y=slice(3, -4))
    np.testing.assert_allclose(found.gradient_x, -0.2 * np.sin(np.radians(heading)), atol=0.02)
    np.testing.assert_allclose(found.gradient_y, 0.2 * np.cos(np.radians(heading)), atol=0.02)


def test_z_of_turned_axes():
    ds = ramp((0.0, 4.0), noise=0.3, heading=0.0)
    turned, plain = stack(ds, directions="range_azimuth"), stack(ds)
    inner = {"x": slice(0, -1), "y": slice(0, -1)}
    np.testing.assert_allclose(turned.gradient_z_x.isel(inner), plain.gradient_z_x.isel(inner), rtol=1e-3)
    np.testing.assert_allclose(turned.gradient_z_y.isel(inner), -plain.gradient_z_y.isel(inner), rtol=1e-3)


def test_directions_need_a_heading_and_no_wrapped_sum():
    ds = random_cube()
    with pytest.raises(xinsar.SchemaError, match="heading"):
        stack(ds.drop_attrs(deep=False), directions="range_azimuth")
    with pytest.raises(ValueError, match=r"^directions: .*'rate' or 'sum'"):
        stack(ds, directions="range_azimuth", estimator="wrapped_sum")


# ---- bad input and warnings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"estimator": "mean"},
            ValueError,
            r"^estimator: expected one of 'rate', 'wrapped_sum', 'sum', got 'mean'",
        ),
        ({"directions": "radar"}, ValueError, r"^directions: expected one of 'map', 'range_azimuth'"),
        ({"window": 2}, ValueError, r"^window: .*use 1 or 3"),
        ({"window": "5"}, TypeError, r"^window: "),
        ({"normalise": True}, ValueError, r"^normalise: only estimator='sum'"),
        ({"dem_error": True, "estimator": "sum"}, ValueError, r"^dem_error: only estimator='rate'"),
        ({"min_coherence": 1.5}, ValueError, r"^min_coherence: expected a number within 0..1, got 1.5"),
        ({"min_coherence": "high"}, TypeError, r"^min_coherence: "),
        ({"max_temporal_baseline": -1}, ValueError, r"^max_temporal_baseline: expected a number above 0"),
        ({"max_temporal_baseline": 5}, ValueError, r"^pairs: .*0 after max_temporal_baseline=5.*relax"),
        ({"count": 7}, ValueError, r"^count: expected at least 7 .*leaves 6"),
    ],
)
def test_bad_options(options, error, words):
    ds = random_cube()
    for cube in (ds, in_chunks(ds, {"pair": 2})):
        with pytest.raises(error, match=words):
            built_lazily(lambda d: stack(d, **options), cube)


def test_options_are_keywords_only():
    with pytest.raises(TypeError):
        stack(random_cube(), 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.drop_vars("phase"), r"^phase: .*rename"),
        (lambda ds: ds.isel(pair=0), r"^phase: expected trailing dims .*expand_dims"),
        (lambda ds: ds.drop_vars("reference_time"), r"^reference_time: .*assign_coords"),
        (
            lambda ds: ds.assign_coords(reference_time=ds.secondary_time, secondary_time=ds.reference_time),
            "flip",
        ),
        (lambda ds: ds.assign_coords(reference_time=("pair", np.arange(6))), "datetime64"),
        (lambda ds: ds.isel(pair=[0, 1, 1]), r"^pair: .*appears 2 times.*keep one"),
        (lambda ds: ds.assign(phase=ds.phase.assign_attrs(units="degree")), r"^phase: expected units 'rad'"),
        (lambda ds: ds.drop_vars("coherence"), r"coherence: .*the dataset has no"),
    ],
)
def test_wrong_cubes(change, words):
    with pytest.raises(xinsar.SchemaError, match=words):
        stack(change(random_cube()), min_coherence=0.1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_out_of_range_are_told_when_computed(estimator):
    for name, value, words in (("phase", 9.0, r"^phase: .*wrap it"), ("coherence", 255.0, r"divide by 255")):
        ds = random_cube(gaps=0)
        ds[name][4, 10, 12] = value
        lazy = built_lazily(
            lambda d: stack(d, estimator=estimator), in_chunks(ds, {"pair": 2, "y": 6, "x": 6})
        )
        for compute in (lambda d=ds: stack(d, estimator=estimator), lazy.compute):
            with pytest.raises(ValueError, match=words), dask.config.set(scheduler="synchronous"):
                compute()


def test_sums_of_long_pairs_warn_and_rates_do_not():
    ds = random_cube(intervals=(12, 24, 480))
    for estimator in ("wrapped_sum", "sum"):
        with pytest.warns(UserWarning, match=r"480 days.*max_temporal_baseline"):
            stack(ds, estimator=estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack(ds)
        stack(ds, estimator="sum", max_temporal_baseline=36)
        stack(ds, estimator="sum", max_temporal_baseline=1000)
