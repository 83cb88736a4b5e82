"""Which pairs a stack uses: every rule alone, together, and when nothing is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests import oracles
from tests.helpers import make_cube, random_cube, same_bits
from xinsar.operations.pairs import coherent_pairs, perpendicular_baselines, select_pairs, temporal_baselines


def cube(days, *, baselines=None):
    ds = make_cube(np.arange(len(days))[:, None, None] * np.full((1, 2, 2), 0.1), days=days)
    return (
        ds
        if baselines is None
        else ds.assign_coords(perpendicular_baseline=("pair", np.asarray(baselines, float)))
    )


DAYS = [(0, 12), (0, 36), (12, 60), (36, 72), (100, 160), (150, 186), (150, 400)]


def chosen(ds, **rules):
    """Return the indices of the pairs that are left, read back from their phase."""
    return np.rint(select_pairs(ds, **rules).phase.values[:, 0, 0] / 0.1).astype(int).tolist()


def test_without_rules_all_pairs_are_kept():
    ds = cube(DAYS)
    assert select_pairs(ds) is ds


def test_temporal_baselines_in_days():
    np.testing.assert_array_equal(temporal_baselines(cube(DAYS)), [b - a for a, b in DAYS])


def test_max_temporal_baseline_includes_its_limit():
    assert chosen(cube(DAYS), max_temporal_baseline=36) == [0, 1, 3, 5]
    assert chosen(cube(DAYS), max_temporal_baseline=35.9) == [0]


def test_max_perpendicular_baseline_takes_either_sign_and_leaves_out_unknown():
    ds = cube(DAYS, baselines=[-50, 50, 50.1, -60, np.nan, 0, 10])
    assert chosen(ds, max_perpendicular_baseline=50) == [0, 1, 5, 6]
    np.testing.assert_array_equal(perpendicular_baselines(ds)[:2], [-50, 50])


def test_perpendicular_baseline_may_be_a_variable_or_is_asked_for():
    ds = cube(DAYS, baselines=np.zeros(7)).reset_coords("perpendicular_baseline")
    assert len(chosen(ds, max_perpendicular_baseline=1)) == 7
    with pytest.raises(xinsar.SchemaError, match=r"^perpendicular_baseline: .*assign_coords"):
        select_pairs(cube(DAYS), max_perpendicular_baseline=1)


@pytest.mark.parametrize(
    ("days", "months", "kept"),
    [
        ((0, 30), [1], True),  # 1 to 31 January
        ((0, 31), [1], False),  # to 1 February
        ((31, 59), [2], True),  # 1 to 29 February
        ((152, 244), [6, 7, 8, 9], True),  # 1 June to 1 September
        ((152, 244), [6, 7, 9], False),  # August is between
        ((152, 244), [6, 9], False),
        ((335, 390), [12, 1], True),  # over the turn of the year
        ((335, 760), [12, 1], False),  # both dates in the set, a year between them
        ((152, 152 + 365), [6], False),
        ((0, 700), range(1, 13), True),
    ],
)
def test_months_hold_both_dates_and_all_between(days, months, kept):
    if kept:
        assert chosen(cube([days]), months=months) == [0]
    else:
        with pytest.raises(ValueError, match="0 after months="):
            select_pairs(cube([days]), months=months)


@given(
    days=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300)), min_size=1, max_size=6, unique=True),
    months=st.sets(st.integers(1, 12), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_months_equal_a_walk_day_by_day(days, months):
    days = [(a, a + n) for a, n in days]
    ds = cube(days)
    wanted = [
        k
        for k, (a, b) in enumerate(zip(ds.reference_time.values, ds.secondary_time.values, strict=True))
        if oracles.in_season(a, b, months)
    ]
    if wanted:
        assert chosen(ds, months=months) == wanted
    else:
        with pytest.raises(ValueError, match="months"):
            select_pairs(ds, months=months)


def test_months_of_any_iterable():
    ds = cube(DAYS)
    wanted = chosen(ds, months=[1, 2])
    assert wanted == [0, 1]
    for months in ((1, 2), {2, 1}, range(1, 3), iter([1, 2]), np.array([1, 2])):
        assert chosen(ds, months=months) == wanted


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([0, 3], [0, 3]),
        ([3, 0], [0, 3]),
        ([-1], [6]),
        (4, [4]),
        (np.array([1, 2]), [1, 2]),
        (range(2), [0, 1]),
        ([True, False, False, True, False, False, False], [0, 3]),
    ],
)
def test_pairs_by_hand(pairs, wanted):
    assert chosen(cube(DAYS), pairs=pairs) == wanted


def test_rules_combine_and_count_takes_the_first_left():
    ds = cube(DAYS, baselines=[0, 200, 0, 0, 0, 0, 0])
    rules = {"max_temporal_baseline": 60, "max_perpendicular_baseline": 100, "pairs": [0, 1, 2, 3, 4, 6]}
    assert chosen(ds, **rules) == [0, 2, 3, 4]
    assert chosen(ds, **rules, count=2) == [0, 2]
    assert chosen(ds, count=np.int64(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("rules", "error", "words"),
    [
        (
            {"max_temporal_baseline": 0},
            ValueError,
            r"^max_temporal_baseline: expected a number above 0, got 0",
        ),
        ({"max_temporal_baseline": float("nan")}, ValueError, r"^max_temporal_baseline: "),
        ({"max_temporal_baseline": "36"}, TypeError, r"^max_temporal_baseline: expected a number, got '36'"),
        ({"max_temporal_baseline": np.timedelta64(12, "D")}, TypeError, r"^max_temporal_baseline: "),
        ({"max_temporal_baseline": [12, 24]}, TypeError, r"^max_temporal_baseline: "),
        ({"max_temporal_baseline": True}, TypeError, r"^max_temporal_baseline: "),
        (
            {"max_temporal_baseline": 11},
            ValueError,
            r"^pairs: .*0 of|^pairs: .*0 after max_temporal_baseline=11",
        ),
        ({"months": [7]}, ValueError, r"0 after months=\[7\].*relax"),
        ({"months": []}, ValueError, r"^months: expected months 1..12, got \[\]"),
        ({"months": [0, 13]}, ValueError, r"^months: expected months 1..12"),
        ({"months": 7}, TypeError, r"^months: expected months such as"),
        ({"months": "june"}, TypeError, r"^months: "),
        ({"months": ["jun"]}, TypeError, r"^months: expected whole numbers"),
        ({"months": [6.5]}, TypeError, r"^months: expected whole numbers"),
        ({"pairs": [7]}, ValueError, r"^pairs: expected indices of 7 pairs, got 7"),
        ({"pairs": [-8]}, ValueError, r"^pairs: .*got -8"),
        ({"pairs": [1, 1]}, ValueError, r"^pairs: .*twice.*once"),
        ({"pairs": [1, -6]}, ValueError, r"^pairs: .*twice"),
        ({"pairs": [0.5]}, TypeError, r"^pairs: expected indices or a boolean mask, got dtype float64"),
        (
            {"pairs": [True, False]},
            ValueError,
            r"^pairs: expected a mask over 7 pairs, got one of shape \(2,\)",
        ),
        ({"pairs": [[0, 1]]}, ValueError, r"^pairs: .*shape \(1, 2\)"),
        ({"pairs": []}, ValueError, r"^pairs: expected at least 1 .*relax"),
        ({"pairs": [False] * 7}, ValueError, r"^pairs: expected at least 1"),
        ({"count": 0}, ValueError, r"^count: .*1 or more, got 0"),
        ({"count": 2.0}, TypeError, r"^count: expected a whole number"),
        ({"count": True}, TypeError, r"^count: "),
        ({"count": 8}, ValueError, r"^count: expected at least 8 .*leaves 7 \(7 of 7 pairs\)"),
        ({"count": 5, "max_temporal_baseline": 36}, ValueError, r"^count: .*leaves 4 .*4 after max_temporal"),
    ],
)
def test_bad_rules(rules, error, words):
    with pytest.raises(error, match=words):
        select_pairs(cube(DAYS), **rules)


def test_the_stack_of_chosen_pairs_is_the_stack_of_a_cube_that_holds_only_them():
    ds = random_cube((8, 7, 8)).assign_coords(perpendicular_baseline=("pair", np.linspace(-100, 100, 8)))
    for rules, index in (
        ({"max_temporal_baseline": 24}, [0, 1, 3, 4, 6, 7]),
        ({"pairs": [2, 5, 7]}, [2, 5, 7]),
        ({"count": 3}, [0, 1, 2]),
        ({"max_perpendicular_baseline": 50}, [2, 3, 4, 5]),
    ):
        for estimator in ("rate", "wrapped_sum", "sum"):
            found = xinsar.phase_gradient_stack(ds, estimator=estimator, **rules)
            wanted = xinsar.phase_gradient_stack(ds.isel(pair=index), estimator=estimator)
            same_bits(found.drop_attrs(), wanted.drop_attrs())


# ---- by mean coherence ----------------------------------------------------------------------------------------


def coherences(means, *, missing=()):
    values = np.broadcast_to(np.asarray(means, np.float32)[:, None, None], (len(means), 5, 6)).copy()
    for k in missing:
        values[k] = np.nan
    return make_cube(np.zeros(values.shape), values)


def test_min_coherence_includes_its_limit_and_refuses_what_has_none():
    ds = coherences([0.1, 0.3, 0.5, 0.7, 0.9], missing=[3])
    np.testing.assert_array_equal(coherent_pairs(ds.coherence, 0.3), [False, True, True, False, True])


@pytest.mark.parametrize("least", [0.1, 0.2, 0.3, 0.7, 0.9])
def test_min_coherence_of_equal_values_is_not_lost_to_rounding(least):
    assert coherent_pairs(coherences([least]).coherence, least).all()


def test_mean_goes_over_valid_pixels():
    ds = coherences([0.4, 0.6])
    ds.coherence[0, :3] = np.nan
    ds.coherence[1, :3] = 0.1
    np.testing.assert_array_equal(coherent_pairs(ds.coherence, 0.4), [True, False])


def test_mean_does_not_depend_on_chunks():
    rng = np.random.default_rng(0)
    values = rng.random((4, 37, 41)).astype(np.float32)
    ds = make_cube(np.zeros(values.shape), values)
    exact = values.astype(np.float64).mean((1, 2))
    for chunk in (3, 7, 41):
        for k in range(4):
            for shift, wanted in ((-1e-7, True), (1e-7, False)):
                least = exact[k] + shift
                found = coherent_pairs(ds.coherence.chunk({"y": chunk, "x": chunk}), least)
                assert bool(found[k].compute()) == wanted


def test_stack_of_coherent_pairs_is_the_stack_of_a_cube_that_holds_only_them():
    ds = random_cube((8, 7, 8))
    ds["coherence"] = ds.coherence * (np.arange(8) / 8).astype(np.float32)[:, None, None]
    mean = ds.coherence.mean(("y", "x"))
    index = np.flatnonzero(mean >= 0.25)
    assert 1 < index.size < 7
    for estimator in ("rate", "wrapped_sum", "sum"):
        found = xinsar.phase_gradient_stack(ds, estimator=estimator, min_coherence=0.25)
        wanted = xinsar.phase_gradient_stack(ds.isel(pair=index), estimator=estimator)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name], err_msg=f"{estimator} {name}")


def test_no_pair_coherent_enough_is_all_nan_for_it_is_only_known_when_computed():
    for cube in (random_cube(), random_cube().chunk({"pair": 2, "y": 4})):
        found = xinsar.phase_gradient_stack(cube, min_coherence=1.0).compute()
        assert found.gradient_x.isnull().all()
        assert (found.pair_count == 0).all()
