"""Products of scenes: form, the same bits however they are made, what is drawn, and what the truth says of it."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import dask
import numpy as np
import pytest
import xarray as xr

import xinsar
from xinsar import schema
from xinsar.simulate import features, ground, looks, maps, products, reference_inventory, sensitivity, worlds
from xinsar.simulate.draws import DRAWS

SMALL = {"shape": (72, 60), "tier": "hard"}
LAYERS = [*maps.NAMES, "los", "pair_count", "stack_years"]


def wanted(seed, shape=(256, 256), **changes):
    plain = worlds.Wanted(seed, shape, "hard", ("ascending",), "train", "training", True, 0.0554658, None)
    return plain._replace(**changes)


@pytest.fixture(scope="module")
def small():
    return products(6, **SMALL)


@pytest.fixture(scope="module")
def wide():
    return products(25, tier="hard")


@pytest.fixture(scope="module")
def many():
    """Worlds of sixty scenes, without their pixels."""
    return [worlds.build(wanted(seed)) for seed in range(50)]


# ---- form -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_nodes_are_canonical(small):
    assert list(small.cube.children) == ["ascending", "descending"]
    for name, node in small.cube.children.items():
        ds = node.to_dataset()
        schema.check_cube(ds)
        assert sorted(ds.data_vars) == sorted(LAYERS)
        assert all(ds[v].dtype == np.float32 for v in ds if v != "pair_count")
        assert ds.attrs["orbit_direction"] == ds.attrs["track"] == name
        assert {"wavelength", "heading", "incidence", "slant_range", "history"} <= set(ds.attrs)
        assert "train seed 6" in ds.attrs["history"]
        assert ds.rio.crs.to_epsg() == 32647
        assert ds.rio.transform().c == ds.x[0] - 12.5
        for v in ("temporal_coherence", "gradient_coherence_y", "gradient_coherence_x"):
            assert 0 <= float(ds[v].min()) <= float(ds[v].max()) <= 1
        assert float(ds.velocity_sigma.min()) > 0
        np.testing.assert_allclose((ds.los**2).sum("component"), 1.0, rtol=1e-6)


def test_a_stack_of_the_same_pairs_has_used_as_many(small):
    """Gradients of products go where those of a stack go, e.g. through the filter of an inventory."""
    made = xinsar.simulate.scene(6, draws="train", distractors=True, **SMALL)
    for name, node in made.cube.children.items():
        stack = xinsar.phase_gradient_stack(node.to_dataset())
        for count in ("pair_count", "stack_years"):
            ours, theirs = (ds[count].values.ravel()[:-1] for ds in (small.cube[name], stack))
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # the last pixel has no edge
        kept = xinsar.inventory.gradient_filter(
            reference_inventory(small.truth), small.cube[name].to_dataset()
        )
        assert len(kept) <= len(small.truth)


def test_gradients_are_labelled_as_a_stack_labels_them(small):
    stack = xinsar.simulate.plane((16, 16), pairs=6).insar.phase_gradient_stack()
    ds = small.cube["ascending"].to_dataset()
    for name in ds:
        if name.startswith("gradient"):
            theirs = {k: v for k, v in stack[name].attrs.items() if k != "alias_limit"}
            assert {k: v for k, v in ds[name].attrs.items() if k != "alias_limit"} == theirs
    assert ds.gradient_x.attrs["alias_limit"] == pytest.approx(stack.gradient_x.attrs["alias_limit"])


def test_edges_beyond_the_last_pixel_are_missing(small):
    for node in small.cube.children.values():
        for v in ("gradient", "gradient_coherence", "gradient_z"):
            assert node[f"{v}_y"].isel(y=-1).isnull().all()
            assert node[f"{v}_x"].isel(x=-1).isnull().all()
        for v in ("gradient", "gradient_coherence"):
            assert node[f"{v}_y"].isel(y=slice(-1)).notnull().all()
            assert node[f"{v}_x"].isel(x=slice(-1)).notnull().all()
        assert node["temporal_coherence"].notnull().all()
        assert (node["velocity"].isnull() == node["velocity_sigma"].isnull()).all()


def test_tracks_that_mask_have_no_velocity_where_they_are_blind():
    masked, threshold = 0, 0
    for seed in range(12):
        built = worlds.build(wanted(seed, (96, 96)))
        track = built.tracks[0].track
        ds = dict(zip(maps.NAMES, maps.layers(built.tracks[0], worlds.everything((96, 96))), strict=True))
        low = ds["temporal_coherence"] < np.float32(track.threshold)
        assert np.isnan(ds["velocity"][low]).all()
        met = ground.meet(built.tracks[0], ground.part_of(worlds.everything((96, 96))), built.lying)
        hidden = met.hidden[4:-4, 4:-4]
        assert np.isnan(ds["velocity"])[~low & ~hidden].sum() == 0
        assert np.isnan(ds["velocity"][hidden]).all() or not track.masked
        masked += track.masked
        threshold += track.threshold > 0
    assert 4 <= masked <= 12
    assert 3 <= threshold <= 11


# ---- the same bits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [20, (1, 60), (72, 7), (33, 41), 500])
def test_chunks_change_nothing_but_the_chunks(small, chunks):
    lazy = products(6, **SMALL, chunks=chunks)
    for name in small.cube.children:
        ours, theirs = lazy.cube[name].to_dataset(), small.cube[name].to_dataset()
        assert dask.is_dask_collection(ours)
        rows = chunks if isinstance(chunks, int) else chunks[0]
        assert ours.velocity.chunksizes["y"][0] == min(rows, 72)
        xr.testing.assert_identical(ours.compute(scheduler="synchronous"), theirs)
    assert lazy.truth.equals(small.truth)


def test_a_part_computed_alone_has_the_same_bits(small):
    lazy = products(6, **SMALL, chunks=9)
    part = lazy.cube["descending"]["gradient_z_x"][20:31, 5:19].compute()
    np.testing.assert_array_equal(part, small.cube["descending"]["gradient_z_x"][20:31, 5:19])


def test_building_lazily_computes_no_layer():
    def refuse(*args, **kwargs):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=refuse):
        cube = products(1, **SMALL, chunks=30).cube
        with pytest.raises(AssertionError, match="while building"):
            cube["ascending"]["velocity"].compute()


def test_tasks_grow_with_chunks_and_have_lasting_names():
    sizes = []
    for chunks in (36, 18):
        layer = products(6, **SMALL, chunks=chunks).cube["ascending"]["velocity"].data
        sizes.append(len(dict(layer.__dask_graph__())) / layer.npartitions)
        assert layer.name == products(6, **SMALL, chunks=chunks).cube["ascending"]["velocity"].data.name
        assert layer.name != products(7, **SMALL, chunks=chunks).cube["ascending"]["velocity"].data.name
    assert max(sizes) < 6


PROGRAM = """
import hashlib
from xinsar.simulate import products
made = products(6, shape=(72, 60), tier="hard")
digest = hashlib.sha256()
for node in made.cube.children.values():
    for name in sorted(node.data_vars):
        digest.update(node[name].values.tobytes())
digest.update(made.truth.to_json().encode())
print(digest.hexdigest())
"""


def test_another_process_makes_the_same_bits(small):
    digest = hashlib.sha256()
    for node in small.cube.children.values():
        for name in sorted(node.data_vars):
            digest.update(node[name].values.tobytes())
    digest.update(small.truth.to_json().encode())
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest.hexdigest()


def test_a_track_does_not_depend_on_the_others(small):
    alone = products(6, **SMALL, tracks="descending")
    xr.testing.assert_identical(alone.cube["descending"].to_dataset(), small.cube["descending"].to_dataset())
    np.testing.assert_array_equal(alone.truth.snr_descending, small.truth.snr_descending)
    assert "snr_ascending" not in alone.truth


def test_ground_is_shared_and_noise_is_not(small):
    one, other = (small.cube[name] for name in ("ascending", "descending"))
    np.testing.assert_array_equal(one["elevation"], other["elevation"])
    both = np.isfinite(one["velocity"].values) & np.isfinite(other["velocity"].values)
    assert (
        abs(np.corrcoef(np.diff(one["velocity"].values[both]), np.diff(other["velocity"].values[both]))[0, 1])
        < 0.5
    )


def test_sets_of_draws_are_disjoint():
    train, test = (products(6, **SMALL, draws=name) for name in DRAWS)
    for name in ("velocity", "elevation", "gradient_x"):
        a, b = (made.cube["ascending"][name].values for made in (train, test))
        assert np.mean(a == b) < 0.01
    for low, high in (("incidence", "incidence"), ("exponent", "exponent")):
        assert getattr(DRAWS["train"], low)[0] < getattr(DRAWS["test"], low)[0]
        assert getattr(DRAWS["train"], high)[1] < getattr(DRAWS["test"], high)[1]
    assert DRAWS["train"].floor[1] > DRAWS["test"].floor[1]
    tier = worlds.network.TIERS["hard"]
    tracks = [looks.look((s, "test"), "ascending", DRAWS["test"], tier, wavelength=0.05) for s in range(30)]
    incidence = [track.incidence for track in tracks]
    assert 33 <= min(incidence) < max(incidence) <= 47


def test_worlds_can_be_sent_to_workers():
    built = worlds.build(wanted(3, (64, 64)))
    again = pickle.loads(pickle.dumps(built.tracks[0]))
    window = (slice(10, 30), slice(0, 64))
    np.testing.assert_array_equal(maps.layers(again, window), maps.layers(built.tracks[0], window))


# ---- what is drawn ----------------------------------------------------------------------------------------------


def test_numbers_of_landslides(many):
    count = np.array([sum(f.kind == "landslide" for f in built.placed) for built in many])
    assert 0.08 <= np.mean(count == 0) <= 0.28
    assert 4.0 <= count[count > 0].mean() <= 6.5


def test_all_classes_are_drawn(many):
    kinds = [f.kind for built in many for f in built.placed]
    for kind in features.KINDS:
        assert kinds.count(kind) >= 8, kind


def test_areas_and_velocities_follow_their_distributions(many):
    slides = [f for built in many for f in built.placed if f.kind == "landslide"]
    area = np.array([f.inside.sum() for f in slides]) * 625e-6
    speed = np.array([f.body.velocity.max() for f in slides])
    assert np.median(area) == pytest.approx(0.2, rel=0.2)
    assert np.log(area).std() == pytest.approx(0.95, abs=0.2)
    assert np.median(speed) == pytest.approx(0.032, rel=0.25)
    assert all(8 < f.body.slope < 38 for f in slides)


def test_features_lie_inside_and_apart(many):
    for built in many[:20]:
        cover = np.zeros((256, 256), dtype=int)
        for f in built.placed:
            cover[f.body.window] += f.inside
            assert f.inside.sum() >= 8
        assert cover.max(initial=0) <= 1


def test_distractors_lie_where_they_belong(many):
    for built in many:
        land = built.tracks[0].land
        for f in built.placed:
            height = built.lying.height[4:-4, 4:-4][f.body.window][f.inside].mean()
            if f.kind in ("subsidence", "water"):
                assert f.body.slope < 10
            if f.kind in ("glacier", "snow"):
                assert height > 0
            if f.kind in ("subsidence", "mine"):
                assert (f.body.plunge == 90).all()
                assert f.body.velocity.max() > 0
            if f.kind in ("snow", "water", "soil_moisture"):
                assert f.body.velocity.max() == 0
            assert (f.height != 0) == (f.kind == "mine")
            assert (f.moisture != 0) == (f.kind == "soil_moisture")
        assert land.spacing == 25


def test_the_terrain_has_the_slope_and_exponent_it_was_drawn_with(many):
    slopes, expected = [], []
    for built in many[:30]:
        elevation = built.lying.elevation.astype(float)
        y, x = np.gradient(elevation, 25.0)
        raw = built.lying.height.astype(float) * built.tracks[0].land.spread
        ry, rx = np.gradient(raw, 25.0)
        slopes.append(np.rad2deg(np.arctan(np.hypot(rx, ry))).mean())
        expected.append(np.rad2deg(np.arctan(np.hypot(y, x))).mean())
    assert 12 < np.mean(slopes) < 30
    assert np.std(slopes) > 3
    assert (np.array(expected) <= np.array(slopes) + 1e-6).all()
    floored = np.mean([built.tracks[0].land.floor is not None for built in many])
    assert 0.3 < floored < 0.7


def test_density_is_what_was_asked_for():
    shape, km2 = (512, 512), 512**2 * 625e-6
    for density, expected in (("survey", 0.02), (0.1, 0.1), (0, 0.0)):
        found = [worlds.build(wanted(s, shape, density=density, distractors=False)).placed for s in range(6)]
        assert np.mean([len(f) for f in found]) / km2 == pytest.approx(expected, rel=0.4, abs=1e-9)
        assert all(f.kind == "landslide" for one in found for f in one)


# ---- what the layers show ---------------------------------------------------------------------------------------


def test_subsidence_goes_away_and_bends_the_phase_into_a_couple(many):
    """Sinking: velocity negative; phase grows toward the middle, so the gradient is positive, then negative."""
    seen = 0
    for built in many:
        world = built.tracks[0]
        for f, view in zip(built.placed, world.seen, strict=True):
            if f.kind != "subsidence" or not 0.02 < np.abs(view.velocity).max() < 0.1 or f.inside.sum() < 400:
                continue
            made = dict(zip(maps.NAMES, maps.layers(world, f.body.window), strict=True))
            x = np.indices(f.inside.shape)[1]
            left = f.inside & (x < np.average(x[f.inside]))
            right = f.inside & ~left
            assert view.velocity.min() < 0 <= view.velocity.max() + 1e-9
            assert np.nanmean(made["gradient_x"][left]) > 0 > np.nanmean(made["gradient_x"][right])
            seen += 1
    assert seen >= 3


def test_velocity_of_clear_slides_is_that_of_the_truth(many):
    for built in many[:25]:
        world = built.tracks[0]
        truth = worlds.truth(built)
        for f, row in zip(built.placed, truth.itertuples(), strict=True):
            slow = f.kind == "landslide" and f.body.course.name == "linear" and row.peak_velocity < 0.12
            if not slow or row.snr_ascending < 15 or f.body.course.swing > 0.3:
                continue
            window = tuple(slice(max(s.start - 12, 0), s.stop + 12) for s in f.body.window)
            velocity = maps.layers(world, window)[0]
            inside = np.zeros(velocity.shape, bool)
            rows, columns = (
                np.arange(s.start, s.start + n) for s, n in zip(window, velocity.shape, strict=True)
            )
            for there, own in features.overlaps(f.body.window, rows, columns):
                inside[there] = f.inside[own]
            contrast = np.nanmean(velocity[inside]) - np.nanmedian(velocity[~inside])
            if np.isfinite(contrast) and np.isfinite(velocity[inside]).mean() > 0.8:
                assert np.sign(contrast) == np.sign(row.los_velocity_ascending)


def test_wavelength_scales_the_noise_and_not_the_motion():
    short, long = (worlds.build(wanted(5, (96, 96), wavelength=w)).tracks[0] for w in (0.0554658, 0.236))
    for one, other in zip(short.seen, long.seen, strict=True):
        np.testing.assert_array_equal(one.long_term, other.long_term)
    rough = [
        np.nanstd(np.diff(maps.layers(w, worlds.everything((96, 96)))[0], axis=1)) for w in (short, long)
    ]
    assert rough[1] > 2 * rough[0]


def test_an_easy_scene_is_quieter_than_a_hard_one():
    rough = []
    for tier in ("medium", "hard"):
        built = worlds.build(wanted(9, (96, 96), tier=tier, distractors=False, density=0))
        made = maps.layers(built.tracks[0], worlds.everything((96, 96)))
        rough.append([np.nanmedian(made[1]), np.nanstd(made[3])])
    assert (np.array(rough[0]) < np.array(rough[1])).all()


# ---- truth ------------------------------------------------------------------------------------------------------


def test_truth_covers_the_features_and_no_other_pixels(wide):
    from affine import Affine
    from rasterio.features import rasterize

    built = worlds.build(wanted(25, tracks=("ascending", "descending")))
    assert len(wide.truth) == len(built.placed) >= 8
    ds = wide.cube["ascending"]
    transform = Affine(25.0, 0.0, float(ds.x[0]) - 12.5, 0.0, -25.0, float(ds.y[0]) + 12.5)
    for geometry, f in zip(wide.truth.geometry, built.placed, strict=True):
        inside = np.zeros((256, 256), dtype=bool)
        inside[f.body.window] = f.inside
        drawn = rasterize([geometry], out_shape=inside.shape, transform=transform).astype(bool)
        np.testing.assert_array_equal(drawn, inside)
        assert geometry.area == pytest.approx(inside.sum() * 625)


def test_truth_has_its_columns_and_classes(wide):
    truth = wide.truth
    assert truth["id"].tolist() == list(range(1, len(truth) + 1))
    assert truth.crs.to_epsg() == 32647
    assert set(truth["class"]) <= set(features.KINDS)
    assert truth["ignore"].dtype == bool
    assert (truth["ignore"] == truth["class"].isin(["glacier", "mine"])).all()
    slides = truth[truth["class"] == "landslide"]
    for name, node in wide.cube.children.items():
        expected = sensitivity(slides.slope, slides.aspect, node.attrs["heading"], node.attrs["incidence"])
        np.testing.assert_allclose(slides[f"sensitivity_{name}"], expected, atol=1e-9)
        assert (truth[f"snr_{name}"] >= 0).all()
        still = truth["class"].isin(["snow", "water", "soil_moisture"])
        assert (truth.loc[still, f"los_velocity_{name}"] == 0).all()


def test_snr_is_the_motion_over_the_noise_of_weather_and_of_the_pixels():
    """Oracle: the same sums written out, with the spread of decorrelation from the layers' own table."""
    built = worlds.build(wanted(25))
    world, truth = built.tracks[0], worlds.truth(built)
    track = world.track
    part = ground.part_of(worlds.everything((256, 256)))
    sigma = ground.pixel_spread(world, part, built.lying)[4:-4, 4:-4].astype(float)
    a = track.years - track.years.mean()
    a /= np.sum(a**2)
    for f, row in zip(built.placed, truth.itertuples(), strict=True):
        lag = np.array(f.body.length / 25.0)
        weather = np.sum((a * track.rms) ** 2) * looks.turbulence(25.0).structure_function(lag)
        lapse = (a @ track.lapse) ** 2 + np.sum((a @ (track.lapse[:, None] * track.mixing)) ** 2)
        weather += lapse * world.land.octaves.structure_function(lag)
        pixels = sigma[f.body.window][f.inside]
        noise = weather / 2 + np.mean(pixels**2)
        assert row.snr_ascending == pytest.approx(abs(row.los_velocity_ascending) / np.sqrt(noise), rel=1e-4)


def test_smoothed_velocities_keep_less_of_the_noise():
    noise = ground.corner_noise(ground.part_of(worlds.everything((600, 600))), 7).astype(float)
    assert noise.std() == pytest.approx(1, abs=0.02)
    smooth = maps._binomial(noise)[4:-4, 4:-4]
    assert smooth.std() == pytest.approx(ground.SMOOTHED, abs=0.015)


def test_weather_of_a_velocity_spreads_as_the_snr_says():
    """The slow part of many tracks over one distance against its stated structure function."""
    ratio = []
    for seed in range(30):
        built = worlds.build(wanted(seed, (128, 128), density=0, distractors=False))
        world = built.tracks[0]
        part = ground.part_of(worlds.everything((128, 128)))
        met = ground.meet(world, part, built.lying)
        quiet = world.track.by_date(world.track.ramp)
        slow = maps._slow(world, part, met)[0].astype(float)
        slow -= quiet.velocity[0] * 25 * part.rows[:, None] + quiet.velocity[1] * 25 * part.columns
        track = world.track
        fading = track.by_pair(track.fading_of_pairs()).velocity
        view = 850e3 * np.sin(np.deg2rad(track.incidence))
        slow -= ground.fading_share(world, part, met.lying.kind) * fading
        slow -= met.error * (track.by_date(track.baselines).velocity / view)
        lag = 20
        found = (
            np.mean((slow[lag:] - slow[:-lag]) ** 2) / 2 + np.mean((slow[:, lag:] - slow[:, :-lag]) ** 2) / 2
        )
        ratio.append(found / worlds.noise_structure(world, np.array(lag * 25.0)))
    assert np.exp(np.mean(np.log(ratio))) == pytest.approx(1.0, abs=0.3)


def test_reference_inventory_leaves_false_alarms_out(wide):
    kept = reference_inventory(wide.truth)
    assert set(kept["class"]) <= {"landslide", "glacier", "mine"}
    assert len(kept) == wide.truth["class"].isin(["landslide", "glacier", "mine"]).sum()
    assert list(kept.columns) == list(wide.truth.columns)


def test_empty_scenes_have_an_empty_truth():
    made = products(3, **SMALL, density=0, distractors=False)
    assert len(made.truth) == 0
    assert {"class", "ignore", "snr_ascending", "geometry"} <= set(made.truth.columns)
    assert made.truth.crs.to_epsg() == 32647
    assert np.isfinite(made.cube["ascending"]["velocity"]).any()


# ---- a given terrain, large scenes, errors ----------------------------------------------------------------------


def slope_map(shape=(80, 90), spacing=30.0):
    y, x = 4e6 - spacing * np.arange(shape[0]), 5e5 + spacing * np.arange(shape[1])
    values = 1500 + 0.35 * (x - x[0])[None, :] + 40 * np.sin((y - y[0]) / 400)[:, None]
    da = xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}, name="elevation")
    return da.rio.write_crs("EPSG:32633")


def test_a_given_terrain_is_kept():
    import rioxarray  # noqa: F401

    terrain = slope_map()
    made = products(4, elevation=terrain, tier="hard", density=1.5, distractors=False)
    ds = made.cube["ascending"].to_dataset()
    np.testing.assert_allclose(ds.elevation, terrain, atol=1e-3)
    np.testing.assert_array_equal(ds.x, terrain.x)
    assert ds.rio.crs.to_epsg() == 32633
    assert len(made.truth) >= 2
    assert (np.abs((made.truth.aspect - 270 + 180) % 360 - 180) < 40).all()
    lazy = products(4, elevation=terrain, tier="hard", density=1.5, distractors=False, chunks=(33, 20))
    xr.testing.assert_identical(lazy.cube["ascending"].to_dataset().compute(), ds)


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (TypeError, lambda t: t.values),
        (ValueError, lambda t: t.expand_dims(pair=1)),
        (ValueError, lambda t: t.where(t > 1600)),
        (ValueError, lambda t: t[:8]),
        (ValueError, lambda t: t[::2]),
        (ValueError, lambda t: t[::-1]),
        (ValueError, lambda t: t.drop_vars("spatial_ref")),
        (ValueError, lambda t: t.drop_vars("spatial_ref").rio.write_crs("EPSG:4326")),
    ],
)
def test_a_terrain_that_does_not_do_is_named(error, change):
    with pytest.raises(error, match=r"^elevation: expected .* got .*; "):
        products(4, elevation=change(slope_map()))


def test_large_scenes_are_made_by_parts():
    """No array of the size of the scene is made but one mask, and a chunk equals the layers of its window."""
    shape = (2048, 1100)
    made = products(8, shape=shape, tier="hard", tracks="ascending", density="survey", chunks=256)
    built = worlds.build(wanted(8, shape, density="survey"))
    assert built.lying is None
    assert len(made.truth) == len(built.placed) >= 15
    part = made.cube["ascending"]["velocity"][600:700, 250:300].compute()
    window = (slice(600, 700), slice(250, 300))
    np.testing.assert_array_equal(part, maps.layers(built.tracks[0], window)[0])


def test_a_scene_held_whole_and_one_made_by_parts_agree(monkeypatch):
    """Features are put the same way whether the ground is held or asked for."""
    held = products(6, **SMALL)
    monkeypatch.setattr(worlds, "HELD", 0)
    parts = products(6, **SMALL)
    assert parts.truth.equals(held.truth)
    xr.testing.assert_identical(parts.cube["ascending"].to_dataset(), held.cube["ascending"].to_dataset())


@pytest.mark.parametrize(
    ("error", "argument", "options"),
    [
        (TypeError, "seed", {"seed": "1"}),
        (ValueError, "shape", {"shape": (8, 64)}),
        (ValueError, "tier", {"tier": "harder"}),
        (ValueError, "tracks", {"tracks": ["east"]}),
        (ValueError, "density", {"density": -1.0}),
        (ValueError, "density", {"density": "dense"}),
        (ValueError, "density", {"density": float("nan")}),
        (ValueError, "draws", {"draws": "validation"}),
        (ValueError, "wavelength", {"wavelength": 5.6}),
        (ValueError, "chunks", {"chunks": 0}),
        (ValueError, "chunks", {"chunks": "auto"}),
        (ValueError, "chunks", {"chunks": (5, 5, 5)}),
    ],
)
def test_wrong_arguments_are_named(error, argument, options):
    with pytest.raises(error, match=rf"^{argument}: expected .* got .*; "):
        products(**({"seed": 1} | SMALL | options))


def test_taken_pixels_are_those_of_a_mask():
    """Oracle: one mask of the whole scene."""
    from xinsar.simulate.taken import Taken

    rng = np.random.default_rng(2)
    mask = rng.random((700, 600)) < 0.0005
    taken, whole = Taken(mask.shape, mask), mask.copy()
    for _ in range(150):
        top, left = int(rng.integers(0, 640)), int(rng.integers(0, 540))
        pixels = rng.random((int(rng.integers(1, 60)), int(rng.integers(1, 60)))) < 0.05
        window = (slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1]))
        assert taken.meets(window, pixels) == bool((whole[window] & pixels).any())
        rows, columns = rng.integers(0, 600, 3), rng.integers(0, 600, 3)
        assert taken.holds(rows, columns) == bool(whole[rows, columns].any())
        if rng.random() < 0.3:
            taken.add(window, pixels)
            whole[window] |= pixels


def test_a_survey_is_written_by_chunks_and_read_back(tmp_path):
    lazy = products(6, **SMALL, density="survey", chunks=24).cube
    again = xinsar.save_cube(lazy, tmp_path / "survey.zarr", progress=False)
    for name, node in lazy.children.items():
        for layer in ("velocity", "gradient_z_x", "elevation"):
            np.testing.assert_array_equal(again[name][layer].values, node[layer].values)
