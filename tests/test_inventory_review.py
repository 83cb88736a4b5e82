"""Samples for review and what verdicts say: chance, strata, intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from shapely.geometry import box

from xinsar.inventory import false_alarm_rate, open_inventory, sample_for_review, save_inventory
from xinsar.inventory.review import allocate


def table(number=200, **columns):
    import geopandas as gpd

    shapes = [
        box(300 * (k % 20), 300 * (k // 20), 300 * (k % 20) + 100, 300 * (k // 20) + 100)
        for k in range(number)
    ]
    return gpd.GeoDataFrame({"id": np.arange(1, number + 1), **columns}, geometry=shapes, crs=32632)


def judged(*words, **columns):
    return pd.DataFrame({"verdict": list(words), **columns})


# ---- sampling -----------------------------------------------------------------------------------------------------


def test_a_sample_is_ready_to_fill_in():
    found = sample_for_review(table(), 30)
    assert len(found) == 30
    assert found["id"].is_unique
    assert found["id"].is_monotonic_increasing
    assert found["verdict"].isna().all()
    assert found["stratum_size"].tolist() == [200] * 30
    assert found.crs.to_epsg() == 32632
    assert list(found.columns) == ["id", "stratum", "stratum_size", "verdict", "remark", "geometry"]


def test_the_seed_decides_and_the_order_does_not():
    inventory = table()
    first = sample_for_review(inventory, 30, seed=4)
    assert sample_for_review(inventory, 30, seed=4)["id"].tolist() == first["id"].tolist()
    assert set(sample_for_review(inventory, 30, seed=5)["id"]) != set(first["id"])
    mixed = inventory.sample(frac=1, random_state=1)
    assert set(sample_for_review(mixed, 30, seed=4)["id"]) == set(first["id"])
    without = sample_for_review(mixed.drop(columns="id"), 30, seed=4)
    again = sample_for_review(inventory.drop(columns="id"), 30, seed=4)
    assert {g.wkt for g in without.geometry} == {g.wkt for g in again.geometry}


def test_every_object_is_as_likely():
    inventory = table(40)
    counts = np.zeros(41)
    for seed in range(600):
        counts[sample_for_review(inventory, 10, seed=seed)["id"]] += 1
    spread = (counts[1:] - 150) / np.sqrt(600 * 0.25 * 0.75)
    assert abs(spread).max() < 4
    assert 0.7 < spread.std() < 1.3


def test_strata_are_sampled_in_proportion():
    kinds = ["slide"] * 150 + ["bank"] * 45 + ["rare"] * 4 + [None]
    found = sample_for_review(table(kind=np.array(kinds, object)), 20, by="kind")
    counts = found["stratum"].value_counts()
    assert counts.sum() == 20
    assert counts[["rare", "missing"]].tolist() == [1, 1]
    assert abs(counts["slide"] - 15) <= 2
    assert found.groupby("stratum")["stratum_size"].first().to_dict() == {
        "slide": 150,
        "bank": 45,
        "rare": 4,
        "missing": 1,
    }


def test_numbers_are_cut_into_four():
    found = sample_for_review(table(score=np.linspace(0, 1, 200)), 40, by="score")
    assert found["stratum"].value_counts().to_dict() == {f"score group {k}": 10 for k in range(1, 5)}
    assert found.groupby("stratum")["score"].max().is_monotonic_increasing
    same = sample_for_review(table(score=np.full(200, 0.5)), 40, by="score")
    assert same["stratum"].nunique() == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.data())
def test_allocation(sizes, data):
    sizes = np.array(sizes)
    n = data.draw(st.integers(1, int(sizes.sum())))
    counts = allocate(sizes, n)
    assert counts.sum() == n
    assert (counts <= sizes).all()
    if n >= sizes.size:
        assert (counts >= 1).all()
        free = counts > 1
        assert (abs(counts - n * sizes / sizes.sum())[free] < sizes.size + 1).all()


def test_a_small_inventory_is_all_of_it():
    assert sample_for_review(table(7), 100)["id"].tolist() == list(range(1, 8))


@pytest.mark.parametrize(
    ("inventory", "n", "options", "error", "words"),
    [
        (table(0), 5, {}, ValueError, "inventory: expected objects to sample"),
        (table(5), 0, {}, ValueError, "n: expected a whole number, 1 or more"),
        (table(5), 2.5, {}, TypeError, "n: expected a whole number"),
        (table(5), 2, {"by": "kind"}, ValueError, "by: expected a column of the inventory, got 'kind'"),
    ],
)
def test_samples_are_asked_for_properly(inventory, n, options, error, words):
    with pytest.raises(error, match=words):
        sample_for_review(inventory, n, **options)


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson"])
def test_a_sample_travels_to_the_analyst_and_back(tmp_path, ending):
    sample = sample_for_review(table(), 12, by="id")
    path = tmp_path / f"sample.{ending}"
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        save_inventory(sample, path)
    back = open_inventory(path)
    assert back["verdict"].isna().all()
    back["verdict"] = ["landslide"] * 9 + ["mining"] * 3
    assert false_alarm_rate(back)[3:5] == (12, 3)


# ---- the rate -----------------------------------------------------------------------------------------------------


def test_the_papers_hundred():
    """Fu et al. 2022: 72 landslides, 8 deforming areas of another kind, 20 not judged to be any."""
    found = false_alarm_rate(judged(*["landslide"] * 72, *["mining"] * 8, *["nothing"] * 20))
    assert (found.rate, found.reviewed, found.false_alarms, found.unreviewed) == (0.28, 100, 28, 0)
    assert (round(found.lower, 3), round(found.upper, 3)) == (0.195, 0.379)
    assert found.method == "clopper-pearson, 95%"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_are_those_of_scipy(number, share, confidence):
    hits = round(share * number)
    verdicts = judged(*["no"] * hits, *["landslide"] * (number - hits))
    for interval, name in (("clopper-pearson", "exact"), ("wilson", "wilson")):
        found = false_alarm_rate(verdicts, confidence=confidence, interval=interval)
        wanted = binomtest(hits, number).proportion_ci(confidence, name)
        assert (found.lower, found.upper) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
        assert found.lower <= found.rate <= found.upper


def test_verdicts_in_any_words():
    words = judged("Landslide ", "LANDSLIDE", "rock glacier", "", None, np.nan)
    found = false_alarm_rate(words)
    assert found[3:6] == (3, 1, 3)
    assert false_alarm_rate(words, right=["landslide", "rock glacier"]).rate == 0
    assert false_alarm_rate(pd.DataFrame({"ok": [True, False, True, True]}), verdict="ok").rate == 0.25


def test_strata_weigh_by_their_size():
    """A tenth of the inventory is sampled as often as the rest; its verdicts count a tenth."""
    frame = judged(
        *["landslide"] * 10,
        *["no"] * 10,
        stratum=["large"] * 10 + ["small"] * 10,
        stratum_size=[900] * 10 + [100] * 10,
    )
    found = false_alarm_rate(frame)
    assert found.rate == pytest.approx(0.1)
    assert found.false_alarms == 10
    assert found.method.endswith("2 strata")


@pytest.mark.parametrize("interval", ["clopper-pearson", "wilson"])
def test_stratified_intervals_hold_what_they_promise(interval):
    """Over many samples from a known inventory, the true rate lies inside about as often as said."""
    rng = np.random.default_rng(0)
    sizes, shares, counts = np.array([600, 300, 100]), np.array([0.1, 0.35, 0.8]), [30, 15, 15]
    truth = float((sizes * shares).sum() / sizes.sum())
    stratum = np.repeat(["a", "b", "c"], counts)
    size = np.repeat(sizes, counts)
    inside = 0
    for _ in range(400):
        false = np.concatenate([rng.random(n) < p for n, p in zip(counts, shares, strict=True)])
        frame = judged(*np.where(false, "no", "landslide"), stratum=stratum, stratum_size=size)
        found = false_alarm_rate(frame, interval=interval)
        inside += found.lower <= truth <= found.upper
    assert inside / 400 > (0.94 if interval == "clopper-pearson" else 0.91)


def test_a_row_of_one_per_stratum():
    frame = judged("landslide", "no", stratum=["a", "b"], stratum_size=[5, 5])
    found = false_alarm_rate(frame)
    assert found.rate == 0.5
    assert 0 <= found.lower < 0.5 < found.upper <= 1


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (pd.DataFrame({"id": [1]}), {}, "verdict: expected a column 'verdict', got id"),
        (judged(None, ""), {}, "verdict: expected verdicts in the column 'verdict', got none"),
        (judged("no"), {"interval": "wald"}, "interval: expected one of 'clopper-pearson', 'wilson'"),
        (judged("no"), {"confidence": 95}, "confidence: expected a number between 0 and 1"),
        (
            judged("no", None, stratum=["a", "b"], stratum_size=[5, 5]),
            {},
            "verdict: expected at least one verdict in every stratum, got none in 'b'",
        ),
    ],
)
def test_verdicts_are_checked(frame, options, words):
    with pytest.raises(ValueError, match=words):
        false_alarm_rate(frame, **options)
