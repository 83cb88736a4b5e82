"""phase_gradient of every pair: plain loops, known answers, symmetries, chunks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests import oracles, strategies
from tests.helpers import assert_same_everywhere, built_lazily, in_chunks, make_cube, random_cube, same_bits

wrap = oracles.wrap


def gradients(ds, **options):
    found = xinsar.phase_gradient(ds, **options)
    return np.stack([found.gradient_y.values, found.gradient_x.values])


def plane(gradient, shape=(2, 14, 15), coherence=0.8, **options):
    rows, cols = np.indices(shape[1:])
    phase = np.broadcast_to(wrap(gradient[0] * rows + gradient[1] * cols), shape)
    return make_cube(phase, np.full(shape, coherence), **options)


@pytest.mark.parametrize(("window", "coherence"), [(1, True), (5, True), (3, False)])
def test_equals_plain_loops(window, coherence):
    ds = random_cube((2, 8, 9), seed=window, gaps=0.3, coherence=coherence)
    wanted = oracles.phase_gradient(
        ds.phase.values, ds.coherence.values if coherence else None, window=window
    )
    found = gradients(ds, window=window)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.nanmax(np.abs(wrap(found - wanted))) < 2e-5


def test_last_row_and_column_are_nan():
    found = gradients(random_cube(gaps=0))
    assert np.isnan(found[0, :, -1]).all()
    assert np.isnan(found[1, :, :, -1]).all()
    assert np.isfinite(found[0, :, :-1]).all()
    assert np.isfinite(found[1, :, :, :-1]).all()


@pytest.mark.parametrize("window", [1, 5])
@pytest.mark.parametrize("share", [-0.95, -0.3, 0.5, 0.95])
def test_plane_has_constant_gradient(window, share):
    g = share * np.pi / window
    found = gradients(plane((g, -0.5 * g)), window=window)
    half = window // 2
    inner = np.s_[:, half : found.shape[2] - half - 1, half : found.shape[3] - half - 1]
    np.testing.assert_allclose(found[0][inner], g, atol=2e-5)
    np.testing.assert_allclose(found[1][inner], -0.5 * g, atol=2e-5)


def test_plane_with_window_one_is_exact_everywhere():
    found = gradients(plane((3.0, -2.9)), window=1)
    np.testing.assert_allclose(found[0, :, :-1], 3.0, atol=1e-5)
    np.testing.assert_allclose(found[1, :, :, :-1], -2.9, atol=1e-5)


def test_bias_at_a_border_is_at_most_half():
    found = gradients(plane((0.0, 0.3)), window=5)[1, 0]
    assert 0.14 < found[7, 0] < 0.3
    assert found[7, 7] == pytest.approx(0.3, abs=1e-5)


def test_sinking_bowl_is_positive_then_negative():
    rows, cols = np.indices((21, 21)) - 10
    bowl = np.exp(-(rows**2 + cols**2) / 32)
    for sign in (1, -1):
        found = sign * gradients(make_cube(sign * bowl[None]), window=3)
        assert (found[0, 0, 2:9, 10] > 0).all()
        assert (found[0, 0, 11:18, 10] < 0).all()
        assert (found[1, 0, 10, 2:9] > 0).all()
        assert (found[1, 0, 10, 11:18] < 0).all()


@pytest.mark.parametrize("window", [1, 5])
def test_rotating_the_scene_swaps_gradients(window):
    ds = random_cube((2, 9, 12), gaps=0.1)
    turned = make_cube(*(np.rot90(ds[n].values, axes=(1, 2)) for n in ("phase", "coherence")))
    before, after = gradients(ds, window=window), gradients(turned, window=window)
    rows = np.rot90(before[0], axes=(1, 2))
    cols = np.rot90(before[1], axes=(1, 2))
    np.testing.assert_array_equal(np.isnan(after[1]), np.isnan(rows))
    assert np.nanmax(np.abs(wrap(after[1] - rows))) < 2e-5
    assert np.nanmax(np.abs(wrap(after[0][:, :-1] + cols[:, 1:]))) < 2e-5
    np.testing.assert_array_equal(np.isnan(after[0][:, :-1]), np.isnan(cols[:, 1:]))


def test_transposing_the_scene_swaps_gradients():
    ds = random_cube((2, 9, 12), gaps=0.1)
    turned = make_cube(*(ds[n].values.swapaxes(1, 2) for n in ("phase", "coherence")))
    before, after = gradients(ds), gradients(turned)
    assert np.nanmax(np.abs(wrap(after - before[::-1].swapaxes(2, 3)))) < 2e-5


def test_direction_of_coordinates_changes_nothing():
    ds = random_cube()
    turned = ds.assign_coords(x=ds.x[::-1].values, y=ds.y[::-1].values)
    np.testing.assert_array_equal(gradients(ds), gradients(turned))


def test_wrapping_again_changes_no_bit():
    ds = random_cube()
    turns = np.array([1, -2, 3, 0, -1, 5])[:, None, None] * 2 * np.pi
    again = ds.assign(phase=ds.phase.copy(data=wrap(ds.phase.values + turns).astype(np.float32)))
    np.testing.assert_array_equal(gradients(ds), gradients(again))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_turns_of_unwrapped_phase_change_nothing(dtype):
    ds = random_cube().rename(phase="unwrapped_phase").astype(dtype)
    turns = np.array([1, -2, 3, 0, -1, 5])[:, None, None] * 2 * np.pi
    shifted = ds.assign(unwrapped_phase=(ds.unwrapped_phase + turns).astype(dtype))
    assert np.nanmax(np.abs(wrap(gradients(ds) - gradients(shifted)))) < 5e-5
    assert np.nanmax(np.abs(wrap(gradients(ds) - gradients(random_cube())))) < 1e-5


def test_a_constant_per_pair_changes_nothing():
    ds = random_cube()
    shift = np.linspace(-3, 3, 6)[:, None, None]
    moved = ds.assign(phase=ds.phase.copy(data=wrap(ds.phase.values + shift).astype(np.float32)))
    assert np.nanmax(np.abs(wrap(gradients(ds) - gradients(moved)))) < 2e-5


def test_unwrapped_phase_of_many_fringes():
    phase = 40.0 * np.arange(15)[None, None, :] + np.zeros((1, 9, 1))
    ds = make_cube(phase, name="unwrapped_phase")
    np.testing.assert_allclose(gradients(ds, window=1)[1, :, :, :-1], wrap(40.0), atol=1e-4)


def test_phase_wins_over_unwrapped_phase():
    ds = random_cube()
    both = ds.assign(unwrapped_phase=2 * ds.phase)
    np.testing.assert_array_equal(gradients(ds), gradients(both))


def test_half_of_the_windows_must_be_there():
    """A 3 x 3 pair of windows has 18 places: with 9 valid pixels there is a gradient, with 8 there is none."""
    for missing, known in ((9, True), (10, False)):
        window = np.zeros((7, 8), np.float32)
        places = [(y, x) for y in range(2, 5) for x in range(2, 6) if (y, x) not in ((3, 3), (3, 4))]
        held = {p: sum(abs(p[1] - c) <= 1 for c in (3, 4)) for p in places}
        ones, twos = ([p for p in places if held[p] == n] for n in (1, 2))
        gone = twos[: missing // 2] + ones[: missing % 2]
        while sum(held[p] for p in gone) < missing:
            gone.append(next(p for p in ones if p not in gone))
        for p in gone:
            window[p] = np.nan
        found = xinsar.phase_gradient(make_cube(window[None]), window=3).gradient_x.values[0, 3, 3]
        assert np.isfinite(found) == known


def test_missing_neighbours():
    ds = make_cube(np.zeros((1, 5, 5)))
    ds.phase[0, 2, 2] = np.nan
    found = np.isnan(gradients(ds, window=3)[:, 0])
    wanted = np.zeros((2, 5, 5), bool)
    wanted[0, 1:3, 2] = wanted[1, 2, 1:3] = True
    wanted[0, -1] = wanted[1, :, -1] = True
    np.testing.assert_array_equal(found, wanted)


def test_nan_pair_is_nan_and_leaves_the_others():
    ds = random_cube()
    holed = ds.assign(phase=ds.phase.where(ds.pair != 2) if "pair" in ds.coords else ds.phase.copy())
    holed.phase[2] = np.nan
    a, b = gradients(ds), gradients(holed)
    assert np.isnan(b[:, 2]).all()
    np.testing.assert_array_equal(np.delete(a, 2, 1), np.delete(b, 2, 1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (2, 9, 1)])
def test_one_pixel_and_one_row(shape):
    ds = random_cube(shape, gaps=0)
    found = gradients(ds)
    assert np.isfinite(found[0]).any() == (shape[1] > 1)
    assert np.isfinite(found[1]).any() == (shape[2] > 1)


def test_same_everywhere():
    for window in (1, 5):
        assert_same_everywhere(lambda ds, w=window: xinsar.phase_gradient(ds, window=w), random_cube())
    assert_same_everywhere(lambda ds: xinsar.phase_gradient(ds, window=3), random_cube(coherence=False))


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_chunks_never_change_a_bit(data):
    ds = data.draw(strategies.cubes())
    window = data.draw(strategies.windows(ds))
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    lazy = built_lazily(lambda d: xinsar.phase_gradient(d, window=window), chunked)
    same_bits(lazy.compute(scheduler="synchronous"), xinsar.phase_gradient(ds, window=window))


def test_output_is_described():
    found = xinsar.phase_gradient(random_cube())
    assert list(found) == ["gradient_y", "gradient_x"]
    for name in found:
        assert found[name].dims == ("pair", "y", "x")
        assert found[name].dtype == np.float32
        assert found[name].attrs["units"] == "rad"
        assert found[name].attrs["offset"] == 0.5
    assert "phase_gradient(window=5)" in found.attrs["history"]
    assert "reference_time" in found.coords


def test_no_phase_at_all():
    with pytest.raises(xinsar.SchemaError, match=r"^phase: .*rename yours to 'phase'"):
        xinsar.phase_gradient(xr.Dataset({"coherence": random_cube().coherence}))
