"""Pairs of drawn scenes: what the products are statistics of, sent through the operators themselves."""

from __future__ import annotations

import dataclasses

import dask
import numpy as np
import pytest
import xarray as xr

from xinsar import schema
from xinsar.simulate import ground, looks, maps, pairs, products, scene, twins, worlds

DRAWN = {"shape": (112, 112), "tier": "hard", "tracks": "ascending", "draws": "train", "distractors": True}
SEEDS = (5, 6, 38, 62, 110)


def built(seed, **changes):
    plain = worlds.Wanted(
        seed, (112, 112), "hard", ("ascending",), "train", "training", True, 0.0554658, None
    )
    return worlds.build(plain._replace(**changes))


@pytest.fixture(scope="module")
def made():
    return scene(25, **DRAWN)


@pytest.fixture(scope="module")
def compared():
    """For each seed: layers of the products, and of the operators on pairs without unwrapping errors."""
    out = []
    for seed in SEEDS:
        one = built(seed)
        track = one.tracks[0].track
        plain = dataclasses.replace(
            track, errors=0 * track.errors, smoothed=False, threshold=0.0, masked=False
        )
        world = dataclasses.replace(one.tracks[0], track=plain)
        layers = dict(zip(maps.NAMES, maps.layers(world, worlds.everything((112, 112))), strict=True))
        elevation = one.lying.elevation[4:-4, 4:-4]
        drawn = twins.drawn_track(world)
        stack = pairs.cube(drawn, elevation, one.place, None).insar.phase_gradient_stack()
        series = pairs.cube(drawn, elevation, one.place, None, unwrapped=True).insar.invert_network()
        velocity = series.insar.velocity()
        real = {name: v.values for ds in (stack, series, velocity) for name, v in ds.data_vars.items()}
        met = ground.meet(world, ground.part_of(worlds.everything((112, 112))), one.lying)
        label = np.zeros((112, 112), dtype=int)
        for number, f in enumerate(one.placed, start=1):
            label[f.body.window] += number * f.inside
        out.append((one, layers, real, label, met.lying.kind[4:-4, 4:-4], met.hidden[4:-4, 4:-4]))
    return out


def test_the_truth_is_that_of_the_products(made):
    theirs = products(25, shape=(112, 112), tier="hard", tracks="ascending")
    assert made.truth.equals(theirs.truth)
    ds, other = made.cube["ascending"].to_dataset(), theirs.cube["ascending"].to_dataset()
    np.testing.assert_array_equal(ds.elevation, other.elevation)
    np.testing.assert_array_equal(ds.los, other.los)
    for name in ("heading", "incidence", "wavelength", "slant_range"):
        assert ds.attrs[name] == other.attrs[name]


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_pairs_are_canonical(made):
    ds = made.cube["ascending"].to_dataset()
    schema.check_cube(ds)
    assert ds.phase.dtype == ds.coherence.dtype == np.float32
    assert (np.abs(ds.phase.values.astype(float)) < np.pi).all()
    assert "train seed 25" in ds.attrs["history"]


def test_chunks_change_nothing(made):
    lazy = scene(25, **DRAWN, chunks={"pair": 5, "y": 50})
    assert dask.is_dask_collection(lazy.cube["ascending"]["phase"])
    ours = lazy.cube["ascending"].to_dataset().compute(scheduler="synchronous")
    xr.testing.assert_identical(ours, made.cube["ascending"].to_dataset())


def test_unwrapped_pairs_are_the_wrapped_ones_and_whole_cycles(made):
    unwrapped = scene(25, **DRAWN, unwrapped=True).cube["ascending"].to_dataset()
    schema.check_cube(unwrapped)
    cycles = (unwrapped.unwrapped_phase.values.astype(float) - made.cube["ascending"]["phase"].values) / (
        2 * np.pi
    )
    np.testing.assert_allclose(cycles, np.round(cycles), atol=1e-4)
    np.testing.assert_array_equal(unwrapped.coherence, made.cube["ascending"]["coherence"])


def test_unwrapping_errors_are_jumps_on_patches_in_some_pairs():
    """A pair with errors minus the same pair without them: 0 or one wavelength/2 of one sign, on a pattern."""
    one = built(25, distractors=False, density=0)
    world = one.tracks[0]
    wrong = twins.drawn_track(world)
    right = dataclasses.replace(wrong, more=wrong.more._replace(errors=0 * wrong.more.errors))
    elevation = one.lying.elevation[4:-4, 4:-4]
    phase = [
        pairs.cube(t, elevation, one.place, None, unwrapped=True).unwrapped_phase.values
        for t in (wrong, right)
    ]
    cycles = np.round((phase[0] - phase[1]) / (2 * np.pi)).astype(int)
    affected = world.track.errors[:, 1] != 0
    assert 0.02 < affected.mean() < 0.6
    for k, (number, sign) in enumerate(world.track.errors):
        assert set(np.unique(cycles[k])) <= {0, -int(sign)}
        np.testing.assert_array_equal(cycles[k] != 0, wrong.more.patterns[number] & (sign != 0))


def test_patterns_end_where_the_coherence_changes():
    """Across the edge of a pattern the lasting coherence differs more than between neighbours elsewhere."""
    edge, other, share = [], [], []
    for seed in range(12):
        one = worlds.build(
            worlds.Wanted(seed, (160, 160), "hard", ("ascending",), "train", 0, False, 0.055, None)
        )
        world, part = one.tracks[0], ground.part_of(worlds.everything((160, 160)))
        floor = np.abs(np.diff(one.lying.floor.astype(float), axis=1))
        for k in range(looks.PATCHES):
            inside = ground.pattern(world, part, one.lying.order, k)
            share.append(inside.mean())
            across = inside[:, 1:] != inside[:, :-1]
            edge += floor[across].tolist()
            other.append(floor[~across].mean())
    assert np.mean(edge) > 5 * np.mean(other)
    assert 0.02 < np.mean(share) < 0.2


def test_shares_of_wrong_pairs_lie_between_five_and_thirty_percent():
    tier = worlds.network.TIERS["medium"]
    shares = [
        np.mean(
            looks.look((s, "train"), "ascending", worlds.ranges.DRAWS["train"], tier, wavelength=0.05).errors[
                :, 1
            ]
            != 0
        )
        for s in range(60)
    ]
    assert np.quantile(shares, 0.02) > 0.01
    assert np.quantile(shares, 0.98) < 0.38
    assert np.mean(shares) == pytest.approx(0.175, abs=0.04)


# ---- products against the operators on these pairs --------------------------------------------------------------


def ratio(ours, real):
    return np.log(np.nanstd(ours) / np.nanstd(real))


@pytest.mark.parametrize("name", ["gradient_y", "gradient_x"])
def test_noise_of_the_gradients_spreads_as_that_of_the_stack(compared, name):
    """On stable ground, kind by kind: within a fourth in the mean over the scenes."""
    found = [
        ratio(layers[name][here], real[name][here])
        for _, layers, real, label, kind, hidden in compared
        for k in range(3)
        if (here := (label == 0) & (kind == k) & ~hidden).sum() > 500
    ]
    assert len(found) >= 5
    assert np.mean(found) == pytest.approx(0, abs=np.log(1.25))
    assert np.abs(found).max() < np.log(1.7)


def test_agreement_and_scores_are_those_of_the_stack(compared):
    for _, layers, real, label, _, hidden in compared:
        here = (label == 0) & ~hidden
        for d in "yx":
            a, b = (np.nanmean(v[f"gradient_coherence_{d}"][here]) for v in (layers, real))
            assert a == pytest.approx(b, abs=0.02)
            a, b = (np.nanstd(v[f"gradient_z_{d}"][here]) for v in (layers, real))
            assert 0.6 < a / b < 1.67


def test_noise_of_the_velocity_spreads_as_that_of_the_inversion(compared):
    """Differences over two pixels, kind by kind: decorrelation, without the weather."""
    for _, layers, real, label, kind, hidden in compared:
        for k in range(3):
            here = (label == 0) & (kind == k) & ~hidden
            both = here[:, 2:] & here[:, :-2]
            if both.sum() > 500:
                found = [
                    np.nanstd((v["velocity"][:, 2:] - v["velocity"][:, :-2])[both]) for v in (layers, real)
                ]
                assert found[0] == pytest.approx(found[1], rel=0.25)
                coherence = [np.nanmean(v["temporal_coherence"][here]) for v in (layers, real)]
                assert coherence[0] == pytest.approx(coherence[1], abs=0.06)
        sigma = [np.nanmedian(v["velocity_sigma"][label == 0]) for v in (layers, real)]
        assert 0.6 < sigma[0] / sigma[1] < 1.67


def test_bodies_look_alike(compared):
    """Gradients inside bodies that stand out: the same signs on the same edges, and sizes within a fourth."""
    signs, sizes, offsets = [], [], []
    for one, layers, real, label, kind, _ in compared:
        for number in range(1, len(one.placed) + 1):
            inside = label == number
            noise = np.nanmedian(np.abs(real["gradient_x"][(label == 0) & (kind == np.median(kind[inside]))]))
            if inside.sum() < 150 or np.nanmedian(np.abs(real["gradient_x"][inside])) < 3 * noise:
                continue
            ours, theirs = (
                np.concatenate([v[f"gradient_{d}"][inside] for d in "yx"]) for v in (layers, real)
            )
            signs.append(np.corrcoef(ours, theirs)[0, 1])
            sizes.append(ratio(ours, theirs))
            shifted = np.concatenate(
                [np.roll(real["gradient_y"], 1, 0)[inside], np.roll(real["gradient_x"], 1, 1)[inside]]
            )
            offsets.append(np.corrcoef(ours, theirs)[0, 1] - np.corrcoef(ours, shifted)[0, 1])
    assert len(signs) >= 4
    assert np.min(signs) > 0.5
    assert np.mean(signs) > 0.7
    assert np.mean(sizes) == pytest.approx(0, abs=np.log(1.25))
    assert np.mean(offsets) > 0


# ---- what single effects do -------------------------------------------------------------------------------------


def quiet(one, **changes):
    """A track without weather, motion, tilts and moisture."""
    track = twins.drawn_track(one.tracks[0])
    calm = track.weather._replace(rms=0 * track.weather.rms, lapse=0 * track.weather.lapse)
    more = track.more._replace(ramp=0 * track.more.ramp, wet=0 * track.more.wet, fading=0 * track.more.fading)
    plain = {"weather": calm, "dem_error": 0 * track.dem_error, "motion": 0 * track.motion, "more": more}
    return dataclasses.replace(track, **(plain | changes)), track


def test_tilts_moisture_and_cuts_are_in_the_displacement():
    one = built(25)
    still, track = quiet(one)
    assert not pairs.displacement(still, 3).any()
    tilted, _ = quiet(one, more=still.more._replace(ramp=track.more.ramp))
    look = one.tracks[0].track
    moved = pairs.displacement(tilted, 3)
    assert moved[1, 0] - moved[0, 0] == pytest.approx(look.ramp[3, 0] * 25, rel=1e-4)
    assert moved[0, 1] - moved[0, 0] == pytest.approx(look.ramp[3, 1] * 25, rel=1e-4)
    wet = np.full((112, 112), 2e-3, dtype=np.float32)
    soaked, _ = quiet(one, more=still.more._replace(wet=wet))
    np.testing.assert_allclose(pairs.displacement(soaked, 3), 2e-3 * look.moisture[3], rtol=1e-5)


def test_fading_has_one_sign_and_falls_with_the_interval():
    look = built(25).tracks[0].track
    bias = look.fading_of_pairs()
    assert (bias >= 0).all()
    assert 0 <= look.fading <= 3e-3
    for n in (1, 2, 3):
        np.testing.assert_allclose(bias[look.intervals == n], look.fading * np.exp(-12 * (n - 1) / 15))
    share = ground.fading_share(
        built(25).tracks[0], ground.part_of(worlds.everything((112, 112))), built(25).lying.kind
    )
    means = [share[built(25).lying.kind == k].mean() for k in range(3)]
    assert means[1] > means[0] > means[2] >= 0


def test_baselines_and_snow_take_coherence():
    look = built(25).tracks[0].track
    apart = np.abs(np.diff(look.baselines[look.pairs], axis=1)).mean()
    expected = 1 - apart / looks.CRITICAL_BASELINE
    assert look.over_pairs(look.overlap()) == pytest.approx(expected, abs=0.006)
    months = look.dates.astype("datetime64[M]").astype(int) % 12 + 1
    np.testing.assert_array_equal(look.winter(), np.isin(months, looks.WINTER))
    one = next(
        w for s in range(60) if (w := built(s, distractors=False, density=0)).tracks[0].track.snowline < 0.6
    )
    high = ground.above_snow(one.tracks[0].track, one.lying.height[4:-4, 4:-4]) == 1
    track = twins.drawn_track(one.tracks[0])
    ds = pairs.cube(track, one.lying.elevation[4:-4, 4:-4], one.place, None)
    cold = one.tracks[0].track.winter()[track.pairs].any(axis=1)
    if high.sum() > 100 and cold.any() and not cold.all():
        warm_mean, cold_mean = (ds.coherence.values[c][:, high].mean() for c in (~cold, cold))
        assert cold_mean < 0.75 * warm_mean


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("distractors", {"distractors": True}),
        ("density", {"density": "survey"}),
        ("elevation", {"elevation": xr.DataArray(np.zeros((32, 32)), dims=("y", "x"))}),
        ("draws", {"draws": "all"}),
    ],
)
def test_what_needs_draws_says_so(argument, options):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .* got .*; "):
        scene(**({"seed": 1, "shape": (32, 32), "tier": "hard"} | options))
