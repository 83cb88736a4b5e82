"""invert_network: known motion comes back, references, parts, elevation errors, chunks, errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.helpers import assert_same_everywhere, built_lazily, in_chunks, make_cube, random_cube, same_bits
from xinsar.operations.network import CHOSEN, invert_network

SCALE = -0.0555 / (4 * np.pi)
DAYS = [(a, b) for a in range(0, 120, 12) for b in (a + 12, a + 24, a + 36) if b <= 120]


def known(shape=(9, 11), *, days=DAYS, noise=0.0, gaps=0.0, seed=0, name="unwrapped_phase"):
    """Return a cube of unwrapped pairs with a constant each, and the displacement of its dates, 0 at (4, 5)."""
    rng = np.random.default_rng(seed)
    dates = np.unique(days)
    truth = np.cumsum(rng.normal(size=(dates.size, *shape)), axis=0) * 0.003
    truth -= truth[:1]
    truth -= truth[:, 4:5, 5:6]
    place = {day: i for i, day in enumerate(dates.tolist())}
    pairs = np.array([truth[place[b]] - truth[place[a]] for a, b in days]) / SCALE
    pairs += rng.uniform(-20, 20, (len(days), 1, 1)) + noise * rng.normal(size=pairs.shape)
    coherence = rng.uniform(0.2, 0.9, pairs.shape)
    coherence[:, 4, 5] = 0.95
    missing = rng.random(pairs.shape) < gaps
    missing[:, 4, 5] = False
    pairs[missing] = np.nan
    return make_cube(pairs, coherence, days=days, name=name), truth


def at(ds, row, column):
    return float(ds.x[column]), float(ds.y[row])


def test_known_motion_comes_back():
    ds, truth = known()
    found = invert_network(ds)
    assert list(found) == ["displacement", "temporal_coherence", "residual_rms", "network_parts"]
    np.testing.assert_allclose(found.displacement, truth, atol=2e-7)
    np.testing.assert_allclose(found.temporal_coherence, 1, atol=1e-6)
    assert float(found.residual_rms.max()) < 1e-4
    assert (found.network_parts == 1).all()
    assert found.displacement.dtype == np.float32
    dates = np.datetime64("2020-01-01", "ns") + np.unique(DAYS) * np.timedelta64(1, "D")
    np.testing.assert_array_equal(found.time, dates)


def test_gaps_are_bridged_by_other_pairs():
    ds, truth = known(gaps=0.15)
    found = invert_network(ds)
    whole = (found.network_parts == 1).values & found.displacement.notnull().all("time").values
    assert whole.sum() > 50
    np.testing.assert_allclose(found.displacement.values[:, whole], truth[:, whole], atol=2e-7)


def test_positive_phase_is_motion_away():
    ds, _ = known(days=[(0, 12), (12, 24), (24, 36)])
    rising = ds.assign(unwrapped_phase=xr.ones_like(ds.unwrapped_phase))
    np.testing.assert_allclose(
        invert_network(rising, reference=None).displacement[:, 2, 3], SCALE * np.arange(4), rtol=1e-6
    )


def test_every_chunking_gives_the_same():
    ds = random_cube((12, 11, 13), gaps=0.25).rename(phase="unwrapped_phase")
    ds.unwrapped_phase[:, 4, 5], ds.coherence[:, 4, 5] = 0.3, 0.99
    ds = ds.assign_coords(perpendicular_baseline=("pair", np.random.default_rng(1).normal(0, 60, 12)))
    for options in (
        {},
        {"reference": None, "weights": "uniform"},
        {"reference": at(ds, 4, 5)},
        {"reference": ((500_000, 4_999_800), (500_090, 5_000_000)), "dem_error": True},
    ):
        found = assert_same_everywhere(lambda d, o=options: invert_network(d, **o), ds)
        assert found.displacement.notnull().any()


def test_equal_coherence_everywhere_is_the_same_in_every_chunking():
    ds, _ = known()
    ds.coherence[:] = 0.7
    found = assert_same_everywhere(invert_network, ds)
    assert (abs(found.displacement).max("time") == 0).sum() == 1


def test_works_in_float64():
    ds, _ = known()
    found = invert_network(ds.astype(float))
    assert found.displacement.dtype == found.residual_rms.dtype == np.float64


def test_leading_dims_pass_through():
    ds, _ = known(noise=0.3)
    other, _ = known(noise=0.3, seed=3)
    both = xr.concat([ds, other], "look")
    found = invert_network(both, reference=at(ds, 0, 0))
    assert found.displacement.dims == ("look", "time", "y", "x")
    same_bits(found.isel(look=1), invert_network(other, reference=at(ds, 0, 0)))


# ---- weights ----------------------------------------------------------------------------------------------------


def test_weights_prefer_coherent_pairs():
    ds, truth = known()
    rng = np.random.default_rng(2)
    coherent = rng.choice([0.1, 0.97], ds.coherence.shape)
    phase = (ds.unwrapped_phase - ds.unwrapped_phase[:, 4, 5]).values
    phase += np.where(coherent < 0.5, rng.normal(size=phase.shape), 0)
    mixed = ds.assign(
        coherence=ds.coherence.copy(data=coherent), unwrapped_phase=ds.unwrapped_phase.copy(data=phase)
    )
    errors = [
        np.abs(invert_network(mixed, weights=w, reference=None).displacement.values - truth).mean()
        for w in ("coherence", "uniform")
    ]
    assert errors[0] < 0.3 * errors[1]
    plain = mixed.drop_vars("coherence")
    alike = invert_network(plain, reference=None)
    assert alike.displacement.attrs["weights"] == "uniform"
    np.testing.assert_array_equal(
        alike.displacement, invert_network(mixed, weights="uniform", reference=None).displacement
    )


def test_no_coherence_is_no_weight():
    ds, truth = known()
    ds.coherence[0, 2, 3], ds.coherence[1, 2, 3] = 0, np.nan
    ds.unwrapped_phase[:2, 2, 3] += 50
    np.testing.assert_allclose(invert_network(ds).displacement, truth, atol=2e-7)
    used = invert_network(ds, weights="uniform")
    assert abs(used.displacement.values - truth)[:, 2, 3].max() > 0.01


# ---- the reference ----------------------------------------------------------------------------------------------


def test_the_reference_does_not_move():
    ds, truth = known()
    moved = invert_network(ds, reference=at(ds, 2, 3)).displacement
    np.testing.assert_allclose(moved, truth - truth[:, 2:3, 3:4], atol=3e-7)
    area = invert_network(ds, reference=(at(ds, 7, 8), at(ds, 5, 6))).displacement
    np.testing.assert_allclose(area, truth - truth[:, 5:8, 6:9].mean((1, 2), keepdims=True), atol=3e-7)


def test_near_a_pixel_is_that_pixel():
    ds, _ = known()
    x, y = at(ds, 2, 3)
    exact = invert_network(ds, reference=(x, y)).displacement
    np.testing.assert_array_equal(invert_network(ds, reference=(x + 4.9, y - 9.9)).displacement, exact)


def test_automatic_choice_is_the_most_coherent_pixel_with_all_pairs():
    ds, _ = known(gaps=0.02)
    ds.coherence[:, 0, 0] = 0.99
    ds.unwrapped_phase[3, 0, 0] = np.nan
    found = invert_network(ds)
    assert (found.displacement[:, 4, 5] == 0).all()
    assert found.attrs["reference"] == CHOSEN
    ds.coherence[:, 1, 1] = 0.97
    ds.unwrapped_phase[:, 1, 1] = 1.0
    assert (invert_network(ds).displacement[:, 1, 1] == 0).all()


def test_reference_is_told():
    ds, _ = known()
    ds.attrs["reference"] = "before"
    assert invert_network(ds, reference=at(ds, 2, 3)).attrs["reference"] == list(at(ds, 2, 3))
    assert invert_network(ds, reference=None).attrs["reference"] == "before"


def test_a_pair_without_the_reference_is_left_out():
    ds, _ = known()
    ds.unwrapped_phase[4, 2, 3] = np.nan
    found = invert_network(ds, reference=at(ds, 2, 3))
    same_bits(
        found, invert_network(ds.isel(pair=[k for k in range(len(DAYS)) if k != 4]), reference=at(ds, 2, 3))
    )


# ---- parts and dates --------------------------------------------------------------------------------------------

APART = [(0, 12), (12, 24), (48, 60), (60, 72)]


def test_parts_of_the_network_are_named():
    ds, _ = known(days=APART)
    with pytest.warns(UserWarning, match=r"2 parts .*2020-01-01, 2020-01-13, 2020-01-25; 2020-02-18.*guess"):
        found = invert_network(ds)
    assert found.displacement.attrs["network_parts"].startswith("2020-01-01, 2020-01-13, 2020-01-25; ")
    assert (found.network_parts == 2).all()
    np.testing.assert_allclose(found.displacement[3], found.displacement[2], atol=1e-7)


def test_a_connected_network_does_not_warn():
    ds, _ = known()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "network_parts" not in invert_network(ds).displacement.attrs


def test_a_date_without_data_is_missing():
    ds, truth = known()
    touching = [k for k, pair in enumerate(DAYS) if 48 in pair]
    ds.unwrapped_phase[touching, 2:4] = np.nan
    found = invert_network(ds)
    day = np.unique(DAYS).tolist().index(48)
    assert found.displacement[day, 2:4].isnull().all()
    assert found.displacement[:, 2:4].isnull().sum() == 2 * ds.sizes["x"]
    left = np.arange(len(truth)) != day
    np.testing.assert_allclose(found.displacement[left, 2:4], truth[left, 2:4], atol=2e-7)


def test_without_its_first_date_a_series_begins_later():
    ds, truth = known()
    ds.unwrapped_phase[[k for k, pair in enumerate(DAYS) if 0 in pair], 0, 0] = np.nan
    found = invert_network(ds).displacement[:, 0, 0]
    assert np.isnan(found[0])
    assert found[1] == 0
    np.testing.assert_allclose(found[1:], truth[1:, 0, 0] - truth[1, 0, 0], atol=2e-7)


def test_a_pixel_without_pairs_is_missing():
    ds, _ = known()
    ds.unwrapped_phase[:, 7, 7] = np.nan
    found = invert_network(ds).isel(y=7, x=7)
    assert found.displacement.isnull().all()
    assert found.temporal_coherence.isnull()
    assert found.residual_rms.isnull()
    assert found.network_parts == 0


def test_one_pair():
    ds, truth = known(days=[(0, 12)])
    found = invert_network(ds)
    np.testing.assert_allclose(found.displacement, truth, atol=2e-7)


def test_residuals_tell_errors_of_unwrapping():
    ds, _ = known()
    ds.unwrapped_phase[5, 2, 3] += 2 * np.pi
    found = invert_network(ds, weights="uniform")
    assert int(found.residual_rms.values.argmax()) == 2 * ds.sizes["x"] + 3
    assert float(found.temporal_coherence[2, 3]) < 0.99


# ---- errors of the terrain model --------------------------------------------------------------------------------


def with_terrain_error(height=12.0, **options):
    days = [(a, b) for a in range(0, 240, 12) for b in (a + 12, a + 24) if b <= 240]
    ds, truth = known(days=days, **options)
    baselines = dict(zip(np.unique(days).tolist(), np.random.default_rng(4).normal(0, 60, 21), strict=True))
    lever = 1 / (850e3 * np.sin(np.radians(39.0)))
    own = np.array([baselines[b] - baselines[a] for a, b in days])
    ds = ds.assign_coords(perpendicular_baseline=("pair", own))
    years = np.unique(days)[:, None, None] / 365.25
    truth = (0.02 * years + 0.01 * years**2) * np.indices(ds.coherence.shape[1:])[1] / 10
    place = {day: i for i, day in enumerate(np.unique(days).tolist())}
    heights = height * np.indices(ds.coherence.shape[1:])[0] / 8
    pairs = [truth[place[b]] - truth[place[a]] for a, b in days]
    phase = (np.array(pairs) + own[:, None, None] * heights * lever) / SCALE
    return ds.assign(unwrapped_phase=ds.unwrapped_phase.copy(data=phase.astype("f4"))), truth, heights


def test_an_error_of_the_terrain_model_is_found_and_taken_out():
    ds, truth, heights = with_terrain_error()
    found = invert_network(ds, reference=None, dem_error=True)
    np.testing.assert_allclose(found.dem_error, heights, atol=0.01)
    np.testing.assert_allclose(found.displacement, truth, atol=2e-6)
    kept = invert_network(ds, reference=None)
    assert "dem_error" not in kept
    assert float(abs(kept.displacement - found.displacement).max()) > 0.001


def test_too_few_dates_for_the_terrain():
    ds, _, _ = with_terrain_error()
    ds.unwrapped_phase[4:, 3, 3] = np.nan
    found = invert_network(ds, reference=None, dem_error=True)
    assert found.dem_error[3, 3].isnull()
    assert found.displacement[:, 3, 3].isnull().all()
    assert found.dem_error.isnull().sum() == 1


# ---- laziness and errors ----------------------------------------------------------------------------------------


def test_nothing_is_computed_before_its_time():
    ds, _ = known()
    broken = ds.assign(unwrapped_phase=ds.unwrapped_phase.where(ds.x != ds.x[7], np.inf))
    lazy = built_lazily(invert_network, in_chunks(broken, {"y": 4}))
    with pytest.raises(ValueError, match="unwrapped_phase: expected finite"):
        lazy.compute(scheduler="synchronous")


def no_coherence_anywhere(ds):
    ds = ds.copy(deep=True)
    ds.unwrapped_phase[0] = np.nan
    return ds


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.rename(unwrapped_phase="phase"), {}, xinsar.SchemaError, "^unwrapped_phase: .*unwrap"),
        (
            lambda ds: ds.drop_vars("unwrapped_phase"),
            {},
            xinsar.SchemaError,
            "^unwrapped_phase: .*no variable",
        ),
        (lambda ds: ds.unwrapped_phase, {}, TypeError, "xarray.Dataset"),
        (lambda ds: ds.isel(pair=slice(0)), {}, ValueError, "^pair: expected at least one pair"),
        (lambda ds: ds.drop_vars("reference_time"), {}, xinsar.SchemaError, "^reference_time: "),
        (lambda ds: ds.drop_attrs(deep=False), {}, xinsar.SchemaError, "^wavelength: .*attrs"),
        (lambda ds: ds.assign_attrs(wavelength=-1), {}, ValueError, "^wavelength: "),
        (lambda ds: ds, {"weights": "best"}, ValueError, "^weights: .*'coherence', 'uniform'"),
        (lambda ds: ds, {"reference": "middle"}, ValueError, "^reference: .*'auto'"),
        (lambda ds: ds, {"reference": 3}, ValueError, r"^reference: .*\(x, y\)"),
        (lambda ds: ds, {"reference": (1, np.nan)}, ValueError, "^reference: "),
        (lambda ds: ds, {"reference": (0.0, 0.0)}, ValueError, "^reference: expected y within .*x first"),
        (lambda ds: ds, {"reference": ((0, 0), (1, 1))}, ValueError, "^reference: expected y within"),
        (lambda ds: ds.drop_vars("coherence"), {}, ValueError, "^reference: 'auto' chooses by coherence"),
        (no_coherence_anywhere, {}, ValueError, "^reference: 'auto' needs a pixel .*all pairs"),
        (
            lambda ds: ds.assign(coherence=ds.coherence * 255),
            {},
            ValueError,
            "^coherence: expected values within 0..1",
        ),
        (lambda ds: ds, {"dem_error": True}, xinsar.SchemaError, "^perpendicular_baseline: "),
        (
            lambda ds: ds.assign_coords(perpendicular_baseline=("pair", np.zeros(ds.sizes["pair"]))),
            {"dem_error": True},
            ValueError,
            "^dem_error: .*0 m",
        ),
        (
            lambda ds: ds.assign_coords(perpendicular_baseline=("pair", np.full(ds.sizes["pair"], np.nan))),
            {"dem_error": True},
            ValueError,
            "^dem_error: .*missing",
        ),
    ],
)
def test_bad_input(change, options, error, words):
    ds, _ = known()
    with pytest.raises(error, match=words):
        invert_network(change(ds), **options)


def test_a_reference_without_data():
    ds, _ = known()
    ds.unwrapped_phase[:, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"^reference: no pair has a value there"):
        invert_network(ds, reference=at(ds, 2, 3))


@pytest.mark.filterwarnings("ignore:invert_network. the pairs leave:UserWarning")
def test_terrain_errors_need_one_network():
    ds, _ = known(days=APART)
    ds = ds.assign_coords(perpendicular_baseline=("pair", [10.0, 20.0, -30.0, 5.0]))
    with pytest.raises(ValueError, match=r"^dem_error: .*parts"):
        invert_network(ds, dem_error=True)


def test_layers_on_other_grids():
    ds, _ = known()
    shifted = ds.coherence.isel(x=slice(1, None))
    with pytest.raises(ValueError, match=r"grid|conflict|align"):
        invert_network(
            xr.Dataset({"unwrapped_phase": ds.unwrapped_phase}, attrs=ds.attrs).merge(
                {"coherence": shifted}, join="exact"
            )
        )
