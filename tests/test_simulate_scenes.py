"""Whole scenes: form, signs, truth, and the same bits however they are made."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import dask
import numpy as np
import pytest
import xarray as xr

from xinsar import schema
from xinsar.simulate import bowl, deformation, plane, scene, scenes, sensitivity, terrain
from xinsar.simulate.fields import stream

SMALL = {"shape": (64, 48), "tier": "hard"}


@pytest.fixture(scope="module")
def small():
    return scene(7, **SMALL)


@pytest.fixture(scope="module")
def wide():
    return scene(11, shape=(224, 224), tier="hard")


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_nodes_are_canonical(small):
    assert list(small.cube.children) == ["ascending", "descending"]
    for name, node in small.cube.children.items():
        ds = node.to_dataset()
        schema.check_cube(ds)
        assert ds.attrs["orbit_direction"] == name
        assert {"wavelength", "heading", "incidence", "slant_range", "sensor", "product"} <= set(ds.attrs)
        assert ds.phase.dtype == ds.coherence.dtype == ds.los.dtype == ds.elevation.dtype == np.float32
        assert (ds.x.diff("x") == 25).all()
        assert (ds.y.diff("y") == -25).all()
        assert ds.rio.crs.to_epsg() == 32647
        assert ds.rio.transform().c == ds.x[0] - 12.5
        assert (np.abs(ds.phase.values.astype(float)) < np.pi).all()
        assert ((ds.coherence >= 0) & (ds.coherence <= 1)).all()
        np.testing.assert_allclose((ds.los**2).sum("component"), 1.0, rtol=1e-6)
        assert float(ds.los.sel(component="east").mean()) * (1 if name == "ascending" else -1) < 0


def test_baselines_of_pairs_are_differences_of_dates(small):
    ds = small.cube["descending"].to_dataset()
    b = {
        (i, j): v
        for i, j, v in zip(
            *map(np.asarray, (ds.reference_time, ds.secondary_time, ds.perpendicular_baseline)), strict=True
        )
    }
    dates = np.unique(ds.reference_time)
    i, j, k = dates[:3]
    assert b[i, j] + b[j, k] == pytest.approx(b[i, k])


@pytest.mark.parametrize("chunks", [20, {"pair": 1}, {"pair": 7, "y": 10}, {"pair": -1, "x": 13}, {}])
def test_chunks_change_nothing_but_the_chunks(small, chunks):
    lazy = scene(7, **SMALL, chunks=chunks)
    for name in small.cube.children:
        ours, theirs = lazy.cube[name].to_dataset(), small.cube[name].to_dataset()
        assert dask.is_dask_collection(ours.phase)
        sizes = {"pair": 8, "y": -1, "x": -1} | (
            chunks if isinstance(chunks, dict) else dict.fromkeys(("pair", "y", "x"), chunks)
        )
        for dim, size in sizes.items():
            assert ours.phase.chunksizes[dim][0] == min(size % 1000, ours.sizes[dim])
        xr.testing.assert_identical(ours.compute(scheduler="synchronous"), theirs)
    assert lazy.truth.equals(small.truth)


def test_a_part_computed_alone_has_the_same_bits(small):
    lazy = scene(7, **SMALL, chunks={"pair": 3})
    part = lazy.cube["ascending"]["phase"][20:22, 5:9].compute()
    np.testing.assert_array_equal(part, small.cube["ascending"]["phase"][20:22, 5:9])


def test_building_lazily_computes_no_pair():
    def refuse(*args, **kwargs):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=refuse):
        cube = scene(1, **SMALL, chunks={"pair": 4}).cube
        with pytest.raises(AssertionError, match="while building"):
            cube["ascending"]["phase"].compute()


def test_the_same_scene_has_the_same_task_names():
    first, again, other = (
        scene(seed, **SMALL, chunks={"pair": 4}).cube["ascending"]["phase"].data.name for seed in (7, 7, 8)
    )
    assert first == again != other


PROGRAM = """
import dataclasses
import hashlib
from xinsar.simulate import scene
made = scene(7, shape=(64, 48), tier="hard")
digest = hashlib.sha256()
for node in made.cube.children.values():
    for name in ("phase", "coherence", "elevation"):
        digest.update(node[name].values.tobytes())
print(digest.hexdigest())
"""


def test_another_process_makes_the_same_bits(small):
    digest = hashlib.sha256()
    for node in small.cube.children.values():
        for name in ("phase", "coherence", "elevation"):
            digest.update(node[name].values.tobytes())
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest.hexdigest()


def test_a_track_does_not_depend_on_the_others(small):
    alone = scene(7, **SMALL, tracks="descending")
    assert list(alone.cube.children) == ["descending"]
    xr.testing.assert_identical(alone.cube["descending"].to_dataset(), small.cube["descending"].to_dataset())
    assert "snr_ascending" not in alone.truth


def test_seeds_differ(small):
    other = scene(8, **SMALL)
    for name in ("phase", "coherence", "elevation"):
        same = other.cube["ascending"][name].values == small.cube["ascending"][name].values
        assert same.mean() < 0.01


def test_truth_covers_the_moving_pixels_and_no_others(wide):
    from affine import Affine
    from rasterio.features import rasterize

    bodies = deformation.place(11, terrain.ground(11, (224, 224)))
    assert len(wide.truth) == len(bodies) >= 2
    ds = wide.cube["ascending"]
    transform = Affine(25.0, 0.0, float(ds.x[0]) - 12.5, 0.0, -25.0, float(ds.y[0]) + 12.5)
    for geometry, area, body in zip(wide.truth.geometry, wide.truth.area, bodies, strict=True):
        moving = np.zeros((224, 224), dtype=bool)
        moving[body.window] = body.moving
        drawn = rasterize([geometry], out_shape=moving.shape, transform=transform).astype(bool)
        np.testing.assert_array_equal(drawn, moving)
        assert geometry.area == pytest.approx(area)


def test_truth_columns_agree_with_the_geometry(wide):
    truth = wide.truth
    assert truth.id.tolist() == list(range(1, len(truth) + 1))
    assert truth.crs.to_epsg() == 32647
    for name, node in wide.cube.children.items():
        expected = sensitivity(truth.slope, truth.aspect, node.attrs["heading"], node.attrs["incidence"])
        np.testing.assert_allclose(truth[f"sensitivity_{name}"], expected, atol=1e-9)
        assert (truth[f"snr_{name}"] >= 0).all()
    assert (truth.velocity <= truth.peak_velocity).all()


def stable_and_moving_phase(ds, geometry):
    """Phase of each pair inside a body against the ring around it, rad."""
    from shapely import contains_xy

    west, south, east, north = geometry.buffer(200).bounds
    ds = ds.sel(x=slice(west, east), y=slice(north, south))
    x, y = np.meshgrid(ds.x, ds.y)
    inside = contains_xy(geometry, x, y)
    ring = contains_xy(geometry.buffer(200), x, y) & ~contains_xy(geometry.buffer(50), x, y)
    z = ds.coherence.values * np.exp(1j * ds.phase.values)
    return np.angle(z[:, inside].sum(axis=1) * z[:, ring].sum(axis=1).conj())


def test_phase_falls_where_the_ground_comes_toward_the_satellite():
    """End to end: the phase of every clearly visible body has the sign that slope and orbit give it."""
    seen = {1.0: 0, -1.0: 0}
    for seed in (12, 13, 14):
        made = scene(seed, shape=(256, 256), tier="hard")
        for name, node in made.cube.children.items():
            clear = made.truth[
                (made.truth[f"snr_{name}"] > 2)
                & (made.truth[f"los_velocity_{name}"].abs() < 0.15)
                & (made.truth.area > 3e4)
            ]
            for _, body in clear.iterrows():
                phase = stable_and_moving_phase(node.to_dataset(), body.geometry).sum()
                toward = float(np.sign(body[f"los_velocity_{name}"]))
                assert np.sign(body[f"sensitivity_{name}"]) == toward
                seen[toward] += np.sign(phase) == -toward
                seen[-toward] -= np.sign(phase) != -toward
    assert seen[1.0] >= 1
    assert seen[-1.0] >= 4


def noiseless_track(seed, **changes):
    """Track whose dates hold nothing but what ``changes`` bring in."""
    ground = terrain.ground(seed, (96, 96))
    bodies = deformation.place(seed, ground)
    track = scenes._track(seed, "ascending", ground, bodies, scenes.network.TIERS["hard"])
    calm = track.weather._replace(rms=0 * track.weather.rms, lapse=0 * track.weather.lapse)
    quiet = {"weather": calm, "dem_error": 0 * track.dem_error, "motion": 0 * track.motion}
    return dataclasses.replace(track, **(quiet | changes)), track


def test_displacement_is_motion_along_the_line_of_sight():
    quiet, track = noiseless_track(2)
    moving = dataclasses.replace(quiet, motion=track.motion)
    travelled = scenes.displacement(moving, 14) - scenes.displacement(moving, 0)
    body = deformation.place(2, terrain.ground(2, (96, 96)))[0]
    los = deformation.los_velocity(body, heading=track.heading, incidence=track.incidence)
    years = track.progress[1, 14] - track.progress[1, 0]
    np.testing.assert_allclose(
        travelled[body.window][body.moving], years * los[body.moving], rtol=1e-4, atol=1e-8
    )
    assert (travelled[track.body == 0] == 0).all()


def test_dem_error_is_seen_through_the_baseline():
    height = np.full((96, 96), 10.0, dtype=np.float32)
    track, _ = noiseless_track(2, dem_error=height)
    pair = scenes.displacement(track, 1) - scenes.displacement(track, 0)
    baseline = track.baselines[1] - track.baselines[0]
    expected = baseline * 10.0 / (850e3 * np.sin(np.deg2rad(track.incidence)))
    np.testing.assert_allclose(pair, expected, rtol=1e-4)


def test_layover_and_shadow_are_noise():
    ground = terrain.ground(2, (160, 160))
    law = scenes._law(2, ground, np.ones((160, 160)), 348.0, 33.0)
    found = scenes.geometry.distortion(ground.slope, ground.aspect, 348.0, 33.0)
    lost = found.layover | found.shadow
    assert lost.any()
    whole = lost[:-1, :-1] & lost[1:, :-1] & lost[:-1, 1:] & lost[1:, 1:]
    assert (law.quality[1:-1, 1:-1][whole] == 0).all()
    assert law.quality.max() == pytest.approx(scenes.THERMAL)


@pytest.mark.parametrize(
    ("error", "argument", "options"),
    [
        (TypeError, "seed", {"seed": 1.5}),
        (TypeError, "seed", {"seed": True}),
        (ValueError, "shape", {"shape": (8, 64)}),
        (ValueError, "tier", {"tier": "medium-hard"}),
        (ValueError, "tracks", {"tracks": ["north"]}),
        (ValueError, "tracks", {"tracks": []}),
        (ValueError, "tracks", {"tracks": ["ascending", "ascending"]}),
        (ValueError, "chunks", {"chunks": {"time": 3}}),
        (ValueError, "chunks", {"chunks": 0}),
        (ValueError, "chunks", {"chunks": "auto"}),
    ],
)
def test_wrong_arguments_are_named(error, argument, options):
    with pytest.raises(error, match=f"^{argument}: expected .* got .*; "):
        scene(**({"seed": 1, "shape": (32, 32), "tier": "hard"} | options))


def test_wrap_keeps_the_half_open_interval():
    angles = stream(0, "angles").uniform(-40, 40, 10_000).astype(np.float32)
    wrapped = scenes.wrap(angles).astype(float)
    assert (np.abs(wrapped) < np.pi).all()
    assert np.abs(np.exp(1j * wrapped) - np.exp(1j * angles)).max() < 1e-5
    assert (scenes.wrap(np.float32([np.pi, -np.pi])) > 3.14).all()


def test_plane_and_bowl_are_canonical_and_known():
    tilted = plane((20, 30), gradient=(-0.3, 0.4), pairs=4)
    schema.check_cube(tilted)
    z = np.exp(1j * tilted.phase.values.astype(float))
    np.testing.assert_allclose(np.angle(z[:, 1:] * z[:, :-1].conj()), -0.3, atol=1e-5)
    np.testing.assert_allclose(np.angle(z[..., 1:] * z[..., :-1].conj()), 0.4, atol=1e-5)
    sinking, rising = bowl((31, 31)), bowl((31, 31), sinking=-0.01)
    schema.check_cube(sinking)
    assert float(sinking.phase[0, 15, 15]) == pytest.approx(
        4 * np.pi / 0.0554658 * 0.01 * np.cos(np.deg2rad(39)), rel=1e-5
    )
    assert (np.diff(sinking.phase[0, 15, :16]) > 0).all()
    assert (np.diff(sinking.phase[0, 15:, 15]) < 0).all()
    np.testing.assert_array_equal(rising.phase, -sinking.phase)


def test_dates_are_made_when_needed_and_dropped():
    """Memory does not grow with the number of dates: only those of two blocks are alive at once."""
    from dask.callbacks import Callback

    alive = []

    class Watch(Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            alive.append(sum("_speckle" in str(held) for held in state["cache"]))

    cube = scene(7, shape=(32, 32), tier="medium", tracks=["ascending"], chunks={"pair": 4}).cube
    with Watch():
        dask.compute(cube["ascending"]["phase"].data, scheduler="synchronous")
    assert 4 <= max(alive) <= 10
