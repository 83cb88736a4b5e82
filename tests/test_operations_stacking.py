"""stack_unwrapped and stacking_curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

import xinsar
from tests import oracles, strategies
from tests.helpers import (
    assert_same_everywhere,
    built_lazily,
    days_of,
    in_chunks,
    make_cube,
    mesh,
    same_bits,
)


def unwrapped(shape=(7, 8, 9), *, gaps=0.2, seed=0):
    rng = np.random.default_rng(seed)
    phase = 20 * rng.standard_normal(shape)
    phase[rng.random(shape) < gaps] = np.nan
    return make_cube(phase, rng.random(shape), days=mesh(shape[0]), name="unwrapped_phase")


def lengths(ds):
    return [b - a for a, b in days_of(ds)]


def test_velocity_equals_plain_loops():
    ds = unwrapped(gaps=0.6)
    wanted = oracles.velocity(ds.unwrapped_phase.values, lengths(ds), 0.0555)
    found = xinsar.stack_unwrapped(ds).velocity
    assert np.isnan(wanted).any()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_sinking_ground_is_a_negative_velocity():
    """10 mm a year away from the satellite: phase grows by 4 pi/wavelength times that."""
    days = np.array([12, 36, 60, 366])
    phase = 4 * np.pi / 0.0555 * 0.01 * days / oracles.YEAR
    ds = make_cube(
        phase[:, None, None] * np.ones((1, 3, 4)), days=[(0, d) for d in days], name="unwrapped_phase"
    )
    np.testing.assert_allclose(xinsar.stack_unwrapped(ds).velocity, -0.01, rtol=1e-5)


def test_needs_no_crs():
    assert np.isfinite(xinsar.stack_unwrapped(unwrapped().drop_vars("spatial_ref")).velocity).any()


def test_same_everywhere():
    assert_same_everywhere(xinsar.stack_unwrapped, unwrapped())
    assert_same_everywhere(lambda ds: xinsar.stack_unwrapped(ds, min_coherence=0.5, count=6), unwrapped())


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_chunks_never_change_a_bit(data):
    ds = data.draw(strategies.cubes(name="unwrapped_phase"))
    lazy = built_lazily(xinsar.stack_unwrapped, in_chunks(ds, data.draw(strategies.chunkings(ds))))
    same_bits(lazy.compute(scheduler="synchronous"), xinsar.stack_unwrapped(ds))


def test_selection_is_that_of_the_gradient_stack():
    ds = unwrapped()
    for rules, index in (
        ({"max_temporal_baseline": 24}, [0, 1, 3, 4, 6]),
        ({"pairs": [1, 5]}, [1, 5]),
        ({"count": 2}, [0, 1]),
    ):
        found = xinsar.stack_unwrapped(ds, **rules)
        np.testing.assert_array_equal(found.velocity, xinsar.stack_unwrapped(ds.isel(pair=index)).velocity)
    mean = ds.coherence.mean(("y", "x")).values
    least = float(np.sort(mean)[3]) - 1e-6
    found = xinsar.stack_unwrapped(ds, min_coherence=least).velocity
    np.testing.assert_array_equal(found, xinsar.stack_unwrapped(ds.isel(pair=mean >= least)).velocity)


def test_a_pair_without_any_pixel_changes_no_bit():
    ds = unwrapped()
    more = xr.concat(
        [
            ds,
            (ds.isel(pair=[0]) * np.nan).assign_coords(
                secondary_time=ds.secondary_time[:1] + np.timedelta64(999, "D")
            ),
        ],
        "pair",
        combine_attrs="override",
    )
    np.testing.assert_array_equal(xinsar.stack_unwrapped(more).velocity, xinsar.stack_unwrapped(ds).velocity)


def test_output_is_described():
    found = xinsar.stack_unwrapped(unwrapped(), pairs=[1, 2])
    assert list(found) == ["velocity"]
    assert found.velocity.attrs["units"] == "m year-1"
    assert found.velocity.dtype == np.float32
    assert "stack_unwrapped(" in found.attrs["history"]
    assert "pairs=[1, 2]" in found.attrs["history"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.rename(unwrapped_phase="phase"), r"^unwrapped_phase: .*rename"),
        (lambda ds: ds.drop_attrs(deep=False), r"^wavelength: .*ds.attrs\['wavelength'\]"),
        (lambda ds: ds.drop_vars("secondary_time"), r"^secondary_time: "),
    ],
)
def test_bad_cubes(change, words):
    with pytest.raises(xinsar.SchemaError, match=words):
        xinsar.stack_unwrapped(change(unwrapped()))


# ---- stacking_curve -------------------------------------------------------------------------------------------


def moving(pairs=24, noise=0.8):
    """Return a cube in which the middle moves, under noise that more pairs average out."""
    rng = np.random.default_rng(5)
    rows, cols = np.indices((24, 24)) - 12
    bowl = 2.0 * np.exp(-(rows**2 + cols**2) / 50)
    phase = bowl + noise * rng.standard_normal((pairs, 24, 24))
    return make_cube(oracles.wrap(phase), np.full(phase.shape, 0.6))


def test_curve_rises_with_the_number_of_pairs():
    curve = xinsar.stacking_curve(moving(), [4, 12, 24], repeats=3).detection_strength
    assert curve.dims == ("count",)
    assert curve["count"].values.tolist() == [4, 12, 24]
    assert (np.diff(curve) > 0).all()
    assert ((curve >= 0) & (curve <= 1)).all()


def test_curve_of_all_pairs_is_the_share_of_significant_pixels():
    ds = moving()
    stack = xinsar.phase_gradient_stack(ds)
    z = np.stack([np.abs(stack.gradient_z_y.values), np.abs(stack.gradient_z_x.values)])
    dates = np.unique(np.concatenate([ds.reference_time.values, ds.secondary_time.values])).size
    for threshold in (2.0, 4.0):
        tail = 0.5 * math.erfc(threshold / math.sqrt(2))
        limit = student.isf(tail, 23) / math.sqrt(max(1, 24 / dates))
        wanted = (z > limit).any(0).sum() / np.isfinite(z).any(0).sum()
        found = xinsar.stacking_curve(ds, [24], threshold=threshold).detection_strength
        assert float(found[0]) == pytest.approx(wanted)


def test_draws_are_repeatable_and_do_not_depend_on_other_counts():
    ds = moving()
    one = xinsar.stacking_curve(ds, [6, 12], repeats=2, seed=3).detection_strength
    two = xinsar.stacking_curve(ds, [12], repeats=2, seed=3).detection_strength
    other = xinsar.stacking_curve(ds, [12], repeats=2, seed=4).detection_strength
    assert float(one[1]) == float(two[0])
    assert float(other[0]) != float(two[0])


def test_curve_is_lazy_and_does_not_depend_on_chunks():
    ds = moving(10)
    wanted = xinsar.stacking_curve(ds, [4, 10])
    lazy = built_lazily(
        lambda d: xinsar.stacking_curve(d, [4, 10]), in_chunks(ds, {"pair": 3, "y": 7, "x": 11})
    )
    assert lazy.detection_strength.chunks is not None
    same_bits(lazy.compute(), wanted)


def test_curve_is_nan_without_scores():
    assert xinsar.stacking_curve(moving(6), [1]).detection_strength.isnull().all()


def test_curve_passes_options_on_and_says_them():
    ds = moving()
    found = xinsar.stacking_curve(ds, [12], window=1, max_temporal_baseline=20)
    assert "window=1" in found.attrs["history"]
    assert float(found.detection_strength[0]) != float(xinsar.stacking_curve(ds, [12]).detection_strength[0])


@pytest.mark.parametrize(
    ("counts", "options", "error", "words"),
    [
        ([25], {}, ValueError, r"^counts: expected numbers of pairs within 1..24, got 25"),
        ([0], {}, ValueError, r"^counts: .*got 0"),
        ([], {}, ValueError, r"^counts: .*none"),
        ([2.5], {}, (TypeError, ValueError), r"^counts: "),
        ([4], {"repeats": 0}, ValueError, r"^repeats: "),
        ([4], {"repeats": 1.5}, (TypeError, ValueError), r"^repeats: "),
        ([4], {"estimator": "sum"}, ValueError, r"^estimator: .*rate"),
        ([4], {"max_temporal_baseline": 5}, ValueError, r"0 after max_temporal_baseline=5"),
        ([4], {"window": 4}, ValueError, r"^window: "),
        ([4], {"threshold": -1}, ValueError, r"^threshold: "),
        ([4], {"colour": 1}, TypeError, "colour"),
    ],
)
def test_bad_curves(counts, options, error, words):
    with pytest.raises(error, match=words):
        xinsar.stacking_curve(moving(), counts, **options)
