"""SimSlide: splits that share no seed, sheets of scenes, choices, scores, records and tables."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gpd = pytest.importorskip("geopandas")
box = pytest.importorskip("shapely.geometry").box
simslide = pytest.importorskip("benchmarks.simslide", reason="the benchmarks are not part of the wheel")

import xinsar.models  # noqa: E402
from benchmarks import simslide_card  # noqa: E402
from benchmarks import simslide_data as data  # noqa: E402
from benchmarks import simslide_models as models  # noqa: E402
from benchmarks import simslide_noise as noise  # noqa: E402
from benchmarks import simslide_results as results  # noqa: E402
from benchmarks import simslide_run as running  # noqa: E402
from benchmarks import simslide_scores as scores  # noqa: E402
from xinsar.inventory import evaluate_inventory  # noqa: E402
from xinsar.models.card import ModelCard  # noqa: E402

CRS = "EPSG:32647"


def table(*shapes: Any, **columns: Any) -> Any:
    """Return outlines in metres with columns."""
    return gpd.GeoDataFrame(columns, geometry=[*shapes], crs=CRS)


@pytest.fixture(scope="module")
def scene() -> Any:
    """One small scene of the test split."""
    return data.Place("test", "medium", 3, side=96).cached(None)


# ---- splits


def test_no_two_scenes_share_a_seed() -> None:
    seeds = [
        place.seed
        for split in data.SEEDS
        for tier in data.TIERS
        for part in range(data.SETS)
        for place in data.places(split, tier, 500, part=part)
    ]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) == 9_000_000  # training stays below


def test_seeds_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="number, part: expected fewer than 100000 scenes"):
        data.seed_of("test", "easy", 100_000)


def test_thresholds_are_chosen_on_other_draws_than_the_test() -> None:
    assert data.DRAWS["val"] == "train"
    assert data.DRAWS["test"] == data.DRAWS["survey"] == "test"


def test_the_same_scene_comes_from_the_cache(tmp_path: Any, scene: Any) -> None:
    place = data.Place("test", "medium", 3, side=96)
    for _ in range(2):
        cube, truth = place.cached(str(tmp_path))
        assert cube.identical(scene[0])
        assert truth.equals(scene[1])
    assert len(list(tmp_path.rglob("*.pickle"))) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_fingerprint_stays() -> None:
    assert data.fingerprint() == data.fingerprint()
    assert len(data.fingerprint()) == 12


@pytest.mark.parametrize(
    ("name", "tracks", "there", "gone"),
    [
        ("test", 2, ("velocity", "gradient_y", "elevation", "los"), ()),
        ("velocity", 2, ("velocity", "temporal_coherence", "elevation"), ("gradient_y", "gradient_z_x")),
        ("gradients", 2, ("gradient_y", "gradient_coherence_x"), ("velocity", "temporal_coherence")),
        ("ascending", 1, ("velocity", "gradient_y"), ()),
        ("velocity without terrain", 2, ("velocity",), ("elevation", "los", "gradient_x")),
    ],
)
def test_what_a_model_is_given(
    scene: Any, name: str, tracks: int, there: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    cube = data.INPUTS[name].of(scene[0])
    assert len(cube.children) == tracks
    for node in cube.children.values():
        assert set(there) <= set(node.data_vars)
        assert not set(gone) & set(node.data_vars)
        assert ("heading" in node.attrs) == (name != "velocity without terrain")


def test_the_truth_of_one_track_knows_nothing_of_the_other(scene: Any) -> None:
    truth = data.INPUTS["ascending"].truth(scene[1])
    assert "snr_ascending" in truth
    assert not [name for name in truth if "descending" in name]


def test_a_careless_reference_lacks_some_and_is_off_by_two_pixels_at_most() -> None:
    shapes = [box(0, 3000 * k, 1000, 3000 * k + 1000) for k in range(2000)]
    truth = table(*shapes, ignore=[k % 2 == 0 for k in range(2000)], id=range(2000))
    found = data.careless(truth, seed=5)
    assert found.equals(data.careless(truth, seed=5))
    assert found.loc[found["ignore"], "id"].tolist() == list(range(0, 2000, 2))
    np.testing.assert_allclose(found.geometry.area[found["ignore"]], 1e6)
    own = found[~found["ignore"]]
    assert 0.92 < len(own) / 1000 < 0.98
    away = (own.geometry.bounds["maxx"] - 1000).abs()
    assert away.max() <= 50
    assert away.max() > 45


@pytest.mark.parametrize(("side", "number"), [(256, 400), (4096, 8)])
def test_scenes_on_a_sheet_do_not_touch_and_metres_stay_true(side: int, number: int) -> None:
    from xinsar.inventory.metric import is_metric

    edge = side * data.PIXEL
    one = table(box(600_000, 3_000_000 - edge, 600_000 + edge, 3_000_000))
    sheet = [data.shifted(one, k, side=side).geometry.iloc[0] for k in range(number)]
    every = table(*sheet)
    assert len(every.sindex.query(every.geometry, predicate="intersects")[0]) == number
    assert is_metric(every)


# ---- models


def test_a_watched_runtime_remembers_and_counts() -> None:
    from xinsar.models import wrap

    calls = []

    def look(batch: Any) -> Any:
        calls.append(batch.shape)
        return np.abs(batch)

    watched = models.Watched(wrap(look, name="look"))
    batch = np.full((1, 1, 4, 4), 0.5, np.float32)
    np.testing.assert_array_equal(watched(batch), watched(batch.copy()))
    assert len(calls) == 1
    assert watched.seconds > 0
    watched.remember = False
    watched(batch)
    assert len(calls) == 2
    assert watched.card.name == "look"


def test_a_watched_rule_can_be_sent_to_a_process() -> None:
    watched = pickle.loads(pickle.dumps(models.Watched(models._HOT)))
    assert watched.card.name == "gi_star"


def test_the_velocity_rule_says_moving_from_20_mm_a_year() -> None:
    window = np.zeros((1, 4, 20, 20), np.float32)
    window[:, [1, 3]] = 1
    window[:, 2] = -0.02
    np.testing.assert_allclose(models.fast(window), 0.5, rtol=1e-5)
    window[:, 3, :, :10] = 0  # missing, and filled with 0
    window[:, 2, :, :10] = 0
    out = models.fast(window)[0, 0]
    np.testing.assert_allclose(out[:, 10:], 0.5, rtol=1e-5)  # what is there is not diluted
    assert (out[:, :10] == 0).all()


def test_the_hot_spot_rule_says_hot_from_3() -> None:
    window = np.array([[[[3.0]], [[-1.0]]]], np.float32)
    assert models.hot(window).item() == 0.5


@pytest.mark.parametrize("rule", models.BASELINES, ids=lambda rule: rule.name)
def test_rules_find_something_and_know_when_they_cannot(scene: Any, rule: Any) -> None:
    found = rule.find(scene[0], (0.5,))[0.5]
    assert {"score", "geometry"} <= set(found)
    assert (found["score"] >= 0.5).all()
    blind = "gradients" if rule.needs == "velocity" else "velocity"
    assert rule.find(data.INPUTS[blind].of(scene[0]), (0.5,)) is None


def test_rules_are_meant_by_name_and_models_by_anything_else() -> None:
    assert models.contender("gi_star").baseline
    assert models.contender("some.onnx") == models.Model("some.onnx")


# ---- scores


def sheet(*found: Any, truth: Any, score: list[float]) -> Any:
    return scores.Sheet(table(*found, score=score), truth, table(box(-1000, -1000, 50_000, 50_000)))


def squares(number: int, side: float = 500.0) -> list[Any]:
    return [box(2000 * k, 0, 2000 * k + side, side) for k in range(number)]


def truths(number: int) -> Any:
    # one of them nobody can see
    snr = [0.1] + [5.0] * (number - 1)
    return table(
        *squares(number), ignore=[False] * number, snr_ascending=snr, sensitivity_ascending=[-0.5] * number
    )


def test_a_perfect_model_has_perfect_scores() -> None:
    truth = truths(6)
    found = scores.report(sheet(*squares(6), truth=truth, score=[0.9] * 6), 0.5, seed=1)
    assert found["objects"]["iou_0.5"] == dict.fromkeys(("precision", "recall", "f1"), 1) | dict.fromkeys(
        ("found", "truth", "right"), 5
    )
    assert found["average_precision"]["box"] == {"AP30": 1, "AP50": 1, "AP50:95": 1}
    assert found["pixels"]["iou"] == pytest.approx(1)
    assert found["boundary"]["f"] == pytest.approx(1)
    assert found["false_alarms"]["per_1000_km2_at_recall"] == found["false_alarms"]["per_1000_km2"] == 0
    assert found["calibration_error"] == pytest.approx(0.1)
    assert set(found["careless_reference"]) == {"f1_iou_0.3", "f1_iou_0.5", "AP50"}
    assert [row["truth"] for row in found["recall_by"]["snr"]] == [1, 0, 0, 0, 5, 0]


def test_a_blind_model_has_none() -> None:
    found = scores.report(sheet(truth=truths(4), score=[]), 0.5, seed=1)
    assert found["objects"]["iou_0.5"]["f1"] == 0
    assert found["average_precision"]["mask"]["AP50"] == 0
    assert np.isnan(found["false_alarms"]["per_1000_km2_at_recall"])
    assert found["false_alarms"]["per_1000_km2"] == 0


def test_false_alarms_are_those_per_1000_km2() -> None:
    far = [box(0, 10_000 * (k + 1), 400, 10_000 * (k + 1) + 400) for k in range(3)]
    found = scores.report(
        sheet(*squares(4), *far, truth=truths(4), score=[0.9] * 4 + [0.7, 0.4, 0.3]), 0.5, seed=1
    )
    alarms = found["false_alarms"]
    assert alarms["thousand_km2"] == pytest.approx(51**2 / 1000)
    assert alarms["per_1000_km2_at_recall"] == 0
    assert alarms["per_1000_km2"] == pytest.approx(1 / (51**2 / 1000))


def test_the_best_threshold_and_cut_are_chosen() -> None:
    truth = truths(6)
    poor = sheet(*squares(6, 250), truth=truth, score=[0.9] * 6)
    far = [box(0, 10_000, 400, 10_400), box(0, 20_000, 400, 20_400)]
    good = sheet(*squares(6), *far, truth=truth, score=[0.8] * 6 + [0.6, 0.5])
    choice = scores.chosen({0.3: poor, 0.5: good})
    assert choice.threshold == 0.5
    assert 0.6 < choice.cut <= 0.8


def test_f1_by_cut_is_that_of_the_inventory() -> None:
    rng = np.random.default_rng(4)
    truth = truths(30)
    moved = [box(x, 0, x + 500, 500) for x in 2000 * rng.permutation(45)[:35] + rng.uniform(-400, 400, 35)]
    made = sheet(*moved, truth=truth, score=rng.uniform(0.1, 1, 35).tolist())
    for k in (0, 10, 25, 40, 49):
        kept = made.found[made.found["score"] >= scores.CUTS[k]]
        wanted = evaluate_inventory(kept, truth, iou=(0.5,)).loc["iou_0.5", "f1"]
        assert scores.f1_by_cut(made)[k] == pytest.approx(wanted)


# ---- the whole


def test_a_quick_run_writes_records_and_a_table(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "out.jsonl"
    common = ["--quick", "--workers", "0", "--out", str(path), "--model", "velocity_threshold"]
    options = ["--tiles", "1", "--val", "1", "--side", "64", "--survey-side", "160"]
    assert simslide.main([*common, *options, "--survey", "1", "--inputs", "--shift"]) == 0
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert {r["model"] for r in records} == {rule.name for rule in models.BASELINES}
    assert {r["split"] for r in records} == {"test", "ascending", *data.SHIFTS, "survey"}
    first = records[0]
    assert first["benchmark"] == data.VERSION
    assert first["seeds"] == [10_300_000, 10_300_000]
    assert first["card"] is None
    assert {"processor", "cores", "python"} <= set(first["machine"])
    assert "as_it_comes" in first["scores"]
    (survey,) = [r for r in records if r["split"] == "survey" and r["model"] == "gi_star"]
    assert survey["scores"]["speed"]["km2_per_second"] > 0
    capsys.readouterr()
    assert simslide.main(["--table", "--out", str(path)]) == 0
    text = capsys.readouterr().out
    for title in (
        "### Medium tier",
        "### Other inputs",
        "### Survey scenes",
        "### Recall in the medium tier",
    ):
        assert title in text


def test_a_model_is_scored_as_users_run_it() -> None:
    from xinsar.models import wrap

    model = wrap(models.fast, inputs=models._MOVING, name="mine", min_pixels=8)
    mine = models.Model(model, thresholds=(0.4, 0.5))
    assert mine.tried == (0.4, 0.5)
    plan = running.Plan(tiles=2, val=2, side=96)
    with running.Crew(0) as crew:
        choices = running.choose([mine], "medium", plan, crew, lambda _: None)
        mine_only = {"mine": scores.Choice(0.5, 0.0)}
        (ours,) = running.run_tiles([mine], "medium", mine_only, plan, crew, lambda _: None)
        rule = models.contender("velocity_threshold")
        same = {rule.name: scores.Choice(0.5, 0.0)}
        (other,) = running.run_tiles([rule], "medium", same, plan, crew, lambda _: None)
    assert choices["mine"].threshold in mine.tried
    assert json.dumps(results.plain(ours["scores"])) == json.dumps(results.plain(other["scores"]))
    assert results.origin(mine)["card"]["name"] == "mine"


def test_an_unknown_model_is_an_error() -> None:
    with pytest.raises(ValueError, match="no_such_model"):
        simslide.main(["--quick", "--workers", "0", "--model", "no_such_model"])


# ---- records


def test_the_last_record_of_a_kind_counts(tmp_path: Any) -> None:
    path = tmp_path / "r.jsonl"
    key = {"benchmark": data.VERSION, "model": "m", "tier": "easy", "split": "test", "set": 0}
    for value in (1, 2):
        results.append(path, {**key, "value": value})
    results.append(path, {**key, "benchmark": "SimSlide-0", "value": 3})
    assert [r["value"] for r in results.read(path)] == [2]
    assert results.read(tmp_path / "none.jsonl") == []


def test_numbers_are_short_and_what_is_none_is_null() -> None:
    made = results.plain({"a": np.float64(1 / 3), "b": float("nan"), "c": (np.int64(3), np.inf), 4: "x"})
    assert made == {"a": 0.3333, "b": None, "c": [3, None], "4": "x"}


def test_sets_are_averaged_in_a_table() -> None:
    assert results._cell([0.5, 0.6, None]) == "0.550 ± 0.050"
    assert results._cell([None]) == "–"
    assert results._cell([312.4]) == "312"


def test_a_table_takes_its_place_in_a_page(tmp_path: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{results.MARKS[0]}\nold\n{results.MARKS[1]}\nafter\n")
    results.write_table("new", page)
    results.write_table("newer", page)
    assert page.read_text() == f"before\n{results.MARKS[0]}\n\nnewer\n\n{results.MARKS[1]}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md: expected the lines"):
        results.write_table("new", page)


def test_no_results_make_no_table() -> None:
    assert results.table([]) == "No results yet."


# ---- real noise


def test_real_data_that_are_absent_are_named_and_left_out(tmp_path: Any, capsys: Any) -> None:
    made, absent = noise.scenes(str(tmp_path), "medium", 3)
    assert made == {}
    assert absent == list(noise.SOURCES)
    options = ["--quick", "--workers", "0", "--tiles", "0", "--threshold", "0.5"]
    assert simslide.main([*options, "--half-real", str(tmp_path)]) == 0
    assert "no real data of kirishima, bhutan, coso, mexico-city" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's
@pytest.mark.parametrize("name", ["kirishima", "bhutan", "coso", "mexico-city"])
def test_slides_lie_on_real_noise_of_25_m(real_data: Any, name: str) -> None:
    folder = real_data(noise.SOURCES[name].folder).parent
    place = noise.HalfReal(name, str(folder), 0, "medium")
    cube, truth = place.cached(None)
    bare = noise.SOURCES[name]
    for track, node in cube.children.items():
        assert node.velocity.dims == ("y", "x")
        assert "elevation" in node
        steps = [abs(float(np.diff(node[d].values).mean())) for d in "yx"]
        np.testing.assert_allclose(steps, 25.0)
        before = bare.finish(noise.measured(name, str(folder))[track].to_dataset()).velocity
        moved = np.abs(node.velocity - before) > 1e-4
        assert bool(moved.any()) == bool((truth["class"] == "landslide").any())
        np.testing.assert_array_equal(np.isnan(node.velocity), np.isnan(before))
    assert place.tracks == tuple(cube.children)
    assert max(cube[place.tracks[0]].velocity.shape) == place.side


def test_a_card_gets_advice_from_validation_tiles(tmp_path: Any) -> None:
    """The advice is that of the largest F1; detections used as the card says score just that."""
    weights = Path(xinsar.models.__file__).with_name("weights")
    for name in ("default.json", "default.onnx"):
        shutil.copy(weights / name, tmp_path)
    path = tmp_path / "default.json"
    before = ModelCard.read(path)
    before.replace(calibration=(1.0, 0.0), min_score=0.0, threshold=0.9).write(path)
    assert simslide_card.main([str(path), "--tiles", "6", "--workers", "0", "--cache", str(tmp_path)]) == 0
    card = ModelCard.read(path)
    assert card.threshold in models.THRESHOLDS
    assert 0 < card.min_score < 1
    assert card.calibration != (1.0, 0.0)
    assert card.weights == before.weights
    said = float(card.training["chosen"].split("IoU .5: ")[1].split(")")[0])
    model = models.Model(str(tmp_path / "default.onnx"))
    job = running.Job((model,), (("test", running.ALL),), ((card.threshold,),), str(tmp_path))
    sheet = (
        running.Crew(0).tables(data.places("val", "medium", 6), job).sheet(model.name, "test", card.threshold)
    )
    kept = sheet.found[sheet.found["score"] >= card.min_score].reset_index(drop=True)
    rows = evaluate_inventory(kept, sheet.truth, iou=(0.5,), min_snr=scores.MIN_SNR)
    assert rows.loc["iou_0.5", "f1"] == pytest.approx(said, abs=6e-4)
