"""phase_closure: known errors of unwrapping, references, chunks, laziness, errors."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests.helpers import CHUNKINGS, assert_same_everywhere, built_lazily, in_chunks, make_cube, same_bits
from tests.strategies import chunkings
from xinsar.operations.closure import phase_closure

PAIRS = [(i, j) for i, j in combinations(range(5), 2) if j - i < 4]
DATES = [(12 * i, 12 * j) for i, j in PAIRS]
TRIPLETS = [t for t in combinations(range(5), 3) if t[2] - t[0] < 4]


def cube(shape=(7, 9), *, gaps=0.0, noise=0.0, seed=0, coherence=False, wrap=False, dtype=np.float32):
    """Return pairs of one phase for each date, with noise of each pair and missing pixels."""
    rng = np.random.default_rng(seed)
    dates = rng.normal(0, 2, (5, *shape))
    phase = np.array([dates[j] - dates[i] for i, j in PAIRS]) + noise * rng.normal(size=(len(PAIRS), *shape))
    phase = np.angle(np.exp(1j * phase)) if wrap else phase
    phase[rng.random(phase.shape) < gaps] = np.nan
    weights = rng.uniform(0.2, 0.9, phase.shape) if coherence else None
    ds = make_cube(phase, weights, days=DATES, name="phase" if wrap else "unwrapped_phase")
    name = "phase" if wrap else "unwrapped_phase"
    return ds.assign({name: ds[name].astype(dtype)}).assign_attrs(history="made")


def at(ds, y, x):
    """Return the coordinates (x, y) of a pixel."""
    return float(ds.x[x]), float(ds.y[y])


# ---- meaning ----------------------------------------------------------------------------------------------------


def test_consistent_pairs_close():
    found = phase_closure(cube(), threshold=0)
    assert found.sizes["triplet"] == len(TRIPLETS)
    assert float(abs(found.closure).max()) < 1e-5
    assert float(found.closure_rms.max()) < 1e-5
    assert (found.triplet_count == len(TRIPLETS)).all()
    assert not found.closure_errors.any()
    assert not found.unchecked_pairs.any()
    assert not found.closure_error_share.any()
    assert found.consistent.all()


def test_closures_by_hand():
    """The same from the dates, pair by pair, with xarray alone."""
    ds = cube(noise=1.0, gaps=0.1)
    found = phase_closure(ds)
    start = ds.reference_time.values.min()
    own = {pair: ds.unwrapped_phase[k].astype(float) for k, pair in enumerate(PAIRS)}
    for t, (i, j, k) in enumerate(TRIPLETS):
        wanted = own[i, j] + own[j, k] - own[i, k]
        np.testing.assert_allclose(found.closure[t], wanted, atol=2e-6)
        times = [found[name].values[t] for name in ("first_time", "second_time", "third_time")]
        assert [(time - start) / np.timedelta64(12, "D") for time in times] == [i, j, k]
    stack = found.closure.astype(float)
    np.testing.assert_allclose(found.closure_rms, np.sqrt((stack**2).mean("triplet")), rtol=1e-5)
    np.testing.assert_array_equal(found.triplet_count, stack.notnull().sum("triplet"))
    np.testing.assert_array_equal(found.closure_errors, (abs(stack) > np.pi).sum("triplet"))


def test_an_error_of_unwrapping_is_found_in_its_pair():
    """A patch of one pair is a turn too high: its three triplets are open there, and its share is the largest."""
    ds = cube(noise=0.1)
    bad = PAIRS.index((1, 2))
    ds.unwrapped_phase[bad, 2:5, 3:8] += 2 * np.pi
    found = phase_closure(ds, threshold=0)
    own = sum((1, 2) in combinations(triplet, 2) for triplet in TRIPLETS)
    assert own == 3
    wanted = np.zeros((7, 9), int)
    wanted[2:5, 3:8] = own
    np.testing.assert_array_equal(found.closure_errors, wanted)
    np.testing.assert_array_equal(found.consistent, wanted == 0)
    assert int(found.closure_error_share.argmax("pair")) == bad
    assert float(found.closure_error_share.max()) == pytest.approx(15 / 63)
    turns = np.rint(found.closure / (2 * np.pi))
    assert set(np.unique(turns)) == {0, 1}
    assert phase_closure(ds, threshold=own / len(TRIPLETS)).consistent.all()
    kept = ds.isel(pair=(found.closure_error_share < 0.2).values)
    assert not phase_closure(kept).closure_errors.any()


def test_wrapped_closures_are_the_wrapped_ones_of_unwrapped_pairs():
    loose = cube(noise=1.0)
    tight = cube(noise=1.0, wrap=True)
    found, wanted = phase_closure(tight), phase_closure(loose)
    assert found.closure.attrs["variable"] == "phase"
    difference = np.angle(np.exp(1j * (found.closure.astype(float) - wanted.closure)))
    assert abs(difference).max() < 1e-5
    assert float(abs(found.closure).max()) <= np.float32(np.pi)
    np.testing.assert_array_equal(found.closure_errors, (abs(found.closure) > np.pi / 2).sum("triplet"))


def test_half_of_the_triplets_of_pure_noise_are_open():
    rng = np.random.default_rng(0)
    ds = make_cube(rng.uniform(-np.pi, np.pi, (len(PAIRS), 60, 60)), days=DATES)
    found = phase_closure(ds)
    assert float((found.closure_errors / found.triplet_count).mean()) == pytest.approx(0.5, abs=0.01)
    assert float(found.closure_rms.mean()) == pytest.approx(np.pi / np.sqrt(3), rel=0.03)


def test_unwrapped_phase_goes_first():
    both = cube().assign(phase=cube(wrap=True).phase)
    assert phase_closure(both).closure.attrs["variable"] == "unwrapped_phase"
    same_bits(
        phase_closure(both, variable="phase").drop_attrs(deep=False),
        phase_closure(cube(wrap=True)).drop_attrs(deep=False),
    )


def test_tolerance_and_threshold():
    ds = cube(noise=1.0)
    assert int(phase_closure(ds).closure_errors.sum()) < int(
        phase_closure(ds, tolerance=1).closure_errors.sum()
    )
    found = phase_closure(ds, tolerance=1.0, threshold=0.25)
    assert found.closure_errors.attrs["tolerance"] == 1
    share = found.closure_errors / found.triplet_count
    np.testing.assert_array_equal(found.consistent, share <= 0.25)
    assert 0 < int(found.consistent.sum()) < found.consistent.size
    assert found.consistent.dtype == bool


# ---- the reference ----------------------------------------------------------------------------------------------


def with_constants(ds, name="unwrapped_phase"):
    """Add a constant to every pair."""
    constants = xr.DataArray(np.random.default_rng(5).normal(0, 9, ds.sizes["pair"]), dims="pair")
    shifted = ds[name] + constants.astype(np.float32)
    if name == "phase":
        shifted = xr.ufuncs.arctan2(np.sin(shifted), np.cos(shifted))
    return ds.assign({name: shifted.assign_attrs(ds[name].attrs)})


@pytest.mark.parametrize("place", ["point", "area", "auto"])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_reference_takes_constants_of_pairs_out(place, wrap):
    ds = with_constants(cube(coherence=True, wrap=wrap), "phase" if wrap else "unwrapped_phase")
    assert phase_closure(ds).closure_errors.any()
    ds.coherence[:, 4, 4] = 0.95
    # Inside the area all pixels must agree in phase, or a mean of angles is no angle of the mean.
    reference = {"point": at(ds, 4, 4), "area": (at(ds, 4, 4), at(ds, 4, 4)), "auto": "auto"}[place]
    found = phase_closure(ds, reference=reference)
    assert float(abs(found.closure).max()) < 1e-4
    assert not found.closure_errors.any()
    assert found.closure.dtype == np.float32
    assert "reference" in found.attrs
    assert f"reference={found.attrs['reference']!r}" in found.attrs["history"]


def test_the_reference_is_0():
    ds = cube(noise=1.0)
    found = phase_closure(ds, reference=at(ds, 2, 3))
    assert not found.closure[:, 2, 3].any()
    area = (at(ds, 1, 2), at(ds, 3, 5))
    mean = phase_closure(ds, reference=area).closure.isel(y=slice(1, 4), x=slice(2, 6)).mean(("y", "x"))
    np.testing.assert_allclose(mean, 0, atol=1e-6)


def test_the_angle_of_an_area_is_that_of_its_mean_phasor():
    ds = cube(wrap=True, noise=0.3)
    area = (at(ds, 1, 2), at(ds, 3, 5))
    inside = ds.phase.isel(y=slice(1, 4), x=slice(2, 6)).astype(float)
    shift = np.angle(np.exp(1j * inside).mean(("y", "x")))
    referred = ds.assign(phase=ds.phase.copy(data=np.angle(np.exp(1j * (ds.phase - shift[:, None, None])))))
    found, wanted = phase_closure(ds, reference=area), phase_closure(referred)
    difference = np.angle(np.exp(1j * (found.closure.astype(float) - wanted.closure)))
    assert abs(difference).max() < 1e-5


def test_a_pair_without_a_reference_is_left_out():
    ds = cube()
    ds.unwrapped_phase[PAIRS.index((1, 2)), 4, 4] = np.nan
    found = phase_closure(ds, reference=at(ds, 4, 4))
    assert (found.triplet_count == len(TRIPLETS) - 3).all()
    assert np.isnan(found.closure_error_share[PAIRS.index((1, 2))])


# ---- missing values ---------------------------------------------------------------------------------------------


def test_missing_pairs():
    ds = cube()
    ds.unwrapped_phase[:, 0, 0] = np.nan
    ds.unwrapped_phase[PAIRS.index((0, 1)), 0, 1] = np.nan
    kept = [PAIRS.index(pair) for pair in ((0, 1), (1, 2), (2, 3), (3, 4))]
    ds.unwrapped_phase[[k for k in range(len(PAIRS)) if k not in kept], 0, 2] = np.nan
    found = phase_closure(ds, threshold=0).isel(y=0)
    assert found.triplet_count[:4].values.tolist() == [0, 5, 0, 7]
    assert found.unchecked_pairs[:4].values.tolist() == [0, 0, 4, 0]
    assert found.closure_rms[:4].isnull().values.tolist() == [True, False, True, False]
    assert found.consistent[:4].values.tolist() == [False, True, False, True]
    assert not found.closure_errors.any()


def test_a_pair_in_no_triplet_has_no_share():
    ds = cube().isel(pair=[PAIRS.index(p) for p in ((0, 1), (1, 2), (0, 2), (2, 3))])
    share = phase_closure(ds).closure_error_share
    assert share.isnull().values.tolist() == [False, False, False, True]


# ---- form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [False, True])
def test_in_every_chunking(wrap):
    found = assert_same_everywhere(
        lambda ds: phase_closure(ds, threshold=0.3), cube(gaps=0.1, noise=1.0, wrap=wrap)
    )
    assert found.closure.dtype == found.closure_rms.dtype == np.float32


@pytest.mark.parametrize("reference", ["auto", "point", "area"])
@pytest.mark.parametrize("wrap", [False, True])
def test_with_a_reference_in_every_chunking(reference, wrap):
    ds = cube(gaps=0.05, noise=1.0, coherence=True, wrap=wrap)
    given = {"auto": "auto", "point": at(ds, 2, 3), "area": (at(ds, 1, 2), at(ds, 3, 5))}[reference]
    assert_same_everywhere(lambda ds: phase_closure(ds, reference=given), ds, CHUNKINGS[1:4])


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_chunks(data):
    ds = cube(gaps=0.2, noise=1.0, seed=data.draw(st.integers(0, 99)))
    lazy = built_lazily(phase_closure, in_chunks(ds, data.draw(chunkings(ds))))
    same_bits(lazy.compute(scheduler="synchronous"), phase_closure(ds))


def test_a_triplet_needs_its_own_pairs_only():
    """All other pairs raise when they are read."""
    import dask.array as da

    ds = cube()
    wanted = phase_closure(ds).closure[0].values
    needed = {PAIRS.index(pair) for pair in combinations(TRIPLETS[0], 2)}

    def read(block, block_info=None):
        k = block_info[0]["chunk-location"][0]
        if k not in needed:
            raise AssertionError(f"pair {k} was read")
        return block

    chunked = ds.unwrapped_phase.chunk({"pair": 1}).data
    guarded = da.map_blocks(read, chunked, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    lazy = phase_closure(ds.assign(unwrapped_phase=ds.unwrapped_phase.copy(data=guarded)))
    assert lazy.closure.chunksizes["triplet"] == (1,) * len(TRIPLETS)
    np.testing.assert_array_equal(lazy.closure[0].compute(scheduler="synchronous"), wanted)
    with pytest.raises(AssertionError, match="was read"):
        lazy.closure[-1].compute(scheduler="synchronous")


def test_tasks_grow_with_chunks():
    ds = cube((8, 8))

    def tasks(chunks):
        lazy = phase_closure(in_chunks(ds, chunks))
        return len(lazy.closure_rms.__dask_graph__()), len(lazy.closure.__dask_graph__())

    few, many = tasks({"pair": 1, "y": 8, "x": 8}), tasks({"pair": 1, "y": 2, "x": 8})
    assert all(b <= 4 * a for a, b in zip(few, many, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_dtype(dtype):
    ds = cube(noise=1.0)
    ds = ds.assign(unwrapped_phase=ds.unwrapped_phase.round().astype(dtype))
    found = phase_closure(ds)
    wanted = dtype if np.issubdtype(dtype, np.floating) else np.float64
    assert found.closure.dtype == found.closure_rms.dtype == wanted
    assert found.triplet_count.dtype == found.closure_errors.dtype == found.unchecked_pairs.dtype == np.int32


def test_leading_dims():
    a, b = cube(noise=1.0, coherence=True), cube(noise=2.0, seed=1, coherence=True)
    both = xr.concat([a, b], "look", data_vars="all", coords="minimal", compat="override")
    for options in ({}, {"reference": "auto"}, {"threshold": 0.1}):
        found = phase_closure(both, **options)
        assert found.closure.dims == ("look", "triplet", "y", "x")
        assert found.closure_error_share.dims == ("look", "pair")
        for i, one in enumerate((a, b)):
            same_bits(found.isel(look=i), phase_closure(one, **options))


def test_a_single_pixel():
    found = phase_closure(cube((1, 1), noise=1.0))
    assert found.closure.shape == (len(TRIPLETS), 1, 1)
    np.testing.assert_allclose(
        found.closure_rms[0, 0], np.sqrt((found.closure.astype(float) ** 2).mean()), rtol=1e-5
    )


def test_order_of_pairs_does_not_matter():
    ds = cube(noise=1.0, gaps=0.1)
    order = np.random.default_rng(0).permutation(len(PAIRS))
    found, wanted = phase_closure(ds.isel(pair=order)), phase_closure(ds)
    same_bits(found.drop_dims("pair"), wanted.drop_dims("pair"))
    np.testing.assert_array_equal(found.closure_error_share, wanted.closure_error_share[order])


def test_output_is_described():
    ds = cube().assign_coords(perpendicular_baseline=("pair", np.arange(9.0)))
    found = phase_closure(ds, tolerance=2, threshold=0.5)
    assert list(found) == [
        "closure", "closure_rms", "triplet_count", "closure_errors", "unchecked_pairs", "closure_error_share",
        "consistent",
    ]  # fmt: skip
    xinsar.schema.check_cube(found)
    assert found.attrs["track"] == 26
    assert found.attrs["history"] == (
        "made\nxinsar.phase_closure(variable='unwrapped_phase', tolerance=2.0, threshold=0.5)"
    )
    for name in ("reference_time", "secondary_time", "perpendicular_baseline"):
        assert found[name].dims == ("pair",)
        assert name not in found.closure.coords
    assert found.closure_error_share.attrs["tolerance"] == 2
    assert found.closure.attrs["units"] == "rad"
    assert "spatial_ref" in found.closure.coords
    named = {c: found[c].attrs["long_name"] for c in ("first_time", "third_time")}
    assert named == {"first_time": "first date of the triplet", "third_time": "third date of the triplet"}


def test_the_accessor_gives_the_same():
    ds = cube(noise=1.0)
    same_bits(ds.insar.phase_closure(threshold=0.2), xinsar.phase_closure(ds, threshold=0.2))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.unwrapped_phase, {}, TypeError, "^expected an xarray.Dataset"),
        (lambda ds: ds.rename(unwrapped_phase="angle"), {}, xinsar.SchemaError, "^unwrapped_phase: .*angle"),
        (lambda ds: ds.drop_vars("reference_time"), {}, xinsar.SchemaError, "^reference_time: "),
        (lambda ds: ds.isel(pair=[0, 0, 1]), {}, xinsar.SchemaError, "^pair: .*appears 2 times"),
        (lambda ds: ds.isel(pair=0), {}, xinsar.SchemaError, "^unwrapped_phase: expected trailing dims"),
        (
            lambda ds: ds.isel(pair=[0, 3, 6]),
            {},
            ValueError,
            "^pair: expected three pairs .*got 3 pairs of 4 dates .*skip a date",
        ),
        (lambda ds: ds.isel(pair=[]), {}, ValueError, "^pair: .*got 0 pairs of 0 dates"),
        (lambda ds: ds, {"variable": "coherence"}, ValueError, "^variable: "),
        (lambda ds: ds, {"variable": "phase"}, xinsar.SchemaError, "^phase: "),
        (lambda ds: ds, {"tolerance": 0}, ValueError, "^tolerance: "),
        (lambda ds: ds, {"tolerance": "pi"}, TypeError, "^tolerance: "),
        (lambda ds: ds, {"threshold": 1.5}, ValueError, "^threshold: .*0..1"),
        (lambda ds: ds, {"reference": "west"}, ValueError, "^reference: "),
        (lambda ds: ds, {"reference": "auto"}, ValueError, "^reference: 'auto' chooses by coherence"),
        (lambda ds: ds, {"reference": (0, 0)}, ValueError, "^reference: expected y within"),
    ],
)
def test_bad_input(change, options, error, words):
    with pytest.raises(error, match=words):
        phase_closure(change(cube()), **options)


@pytest.mark.parametrize("wrap", [False, True])
def test_bad_values_are_told_when_computed(wrap):
    ds = in_chunks(cube(wrap=wrap), {"pair": 1})
    name = "phase" if wrap else "unwrapped_phase"
    wild = ds.assign({name: ds[name].where(ds.x > ds.x[2], np.inf)})
    lazy = built_lazily(phase_closure, wild)
    for one in ("closure", "closure_rms", "closure_error_share"):
        with pytest.raises(ValueError, match=f"^{name}: .*infinite"):
            lazy[one].compute(scheduler="synchronous")


@pytest.mark.parametrize("wrap", [False, True])
def test_a_reference_without_data(wrap):
    ds = cube(wrap=wrap)
    name = "phase" if wrap else "unwrapped_phase"
    ds[name][:, 4, 4] = np.nan
    with pytest.raises(ValueError, match=r"^reference: no pair has a value there"):
        phase_closure(ds, reference=at(ds, 4, 4))
