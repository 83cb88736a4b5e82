"""Unwrapping: the truth up to whole cycles, gaps, islands, weights, and what is refused."""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import xinsar

Array = NDArray[Any]
DIMS = ("pair", "y", "x")
TURN = 2 * np.pi
needs_snaphu = pytest.mark.skipif(find_spec("snaphu") is None, reason="needs the optional package snaphu")


def wrap(angle: Array) -> Array:
    return np.angle(np.exp(1j * angle)).astype(np.float32)


def bump(shape: tuple[int, int] = (40, 50)) -> Array:
    """Return a ramp with a Gaussian on it, several cycles high."""
    y, x = np.indices(shape)
    return 0.35 * x + 0.2 * y + 14 * np.exp(-((x - 25) ** 2 + (y - 20) ** 2) / 150)


def cube(*images: Array, coherence: Array | None = None) -> xr.Dataset:
    ds = xr.Dataset({"phase": (DIMS, np.stack(images).astype(np.float32))}, attrs={"track": "26"})
    return ds if coherence is None else ds.assign(coherence=(DIMS, np.asarray(coherence, np.float32)))


def cycles(unwrapped: Array, true: Array) -> Array:
    """Return the distinct numbers of cycles by which two images differ; they must be whole."""
    turns = (unwrapped - true)[np.isfinite(unwrapped)] / TURN
    assert np.abs(turns - np.round(turns)).max() < 1e-5
    return np.unique(np.round(turns))


@needs_snaphu
@pytest.mark.parametrize("cost", ["smooth", "defo"])
def test_truth_comes_back_up_to_whole_cycles(cost: str) -> None:
    true = bump()
    found = cube(wrap(true), wrap(-true)).insar.unwrap(cost=cost)
    assert list(found.data_vars) == ["unwrapped_phase"]
    assert found.unwrapped_phase.dims == DIMS
    assert found.unwrapped_phase.dtype == np.float32
    assert found.attrs["track"] == "26"
    assert "unwrap" in found.attrs["history"]
    for image, sign in zip(found.unwrapped_phase.values, (1, -1), strict=True):
        assert cycles(image, sign * true).size == 1


@needs_snaphu
def test_free_cycles_bring_the_median_nearest_the_wrapped_one() -> None:
    wrapped = wrap(bump() + 40)
    found = cube(wrapped).insar.unwrap().unwrapped_phase.values[0]
    assert abs(np.median(found) - np.median(wrapped)) <= np.pi


@needs_snaphu
def test_gaps_stay_and_islands_are_settled_each() -> None:
    true = bump()
    wrapped = wrap(true)
    wrapped[5:12, 8:20] = np.nan
    wrapped[:, 40] = np.nan
    found = cube(wrapped).insar.unwrap().unwrapped_phase.values[0]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wrapped))
    for part in (np.s_[:, :40], np.s_[:, 41:]):
        assert cycles(found[part], true[part]).size == 1
        middle = [np.nanmedian(image[part]) for image in (found, wrapped)]
        assert abs(middle[0] - middle[1]) <= np.pi


@needs_snaphu
def test_zero_is_a_value() -> None:
    found = cube(np.zeros((9, 9)), np.full((9, 9), np.nan)).insar.unwrap().unwrapped_phase.values
    np.testing.assert_array_equal(found[0], 0)
    assert np.isnan(found[1]).all()


@needs_snaphu
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (3, 9), (7, 7)])
def test_images_smaller_than_snaphu_takes(shape: tuple[int, int]) -> None:
    y, x = np.indices(shape)
    true = 0.9 * y + 0.8 * x
    found = cube(wrap(true)).insar.unwrap().unwrapped_phase.values[0]
    assert cycles(found, true).size == 1


@needs_snaphu
@pytest.mark.parametrize("side", ["top", "bottom"])
def test_coherence_leads_the_cut(side: str) -> None:
    """Round a vortex no surface is consistent: the cut runs where the coherence is low."""
    y, x = np.indices((31, 31)) - 15.5
    coherence = np.full((31, 31), 0.95)
    ray = (np.abs(x) < 1.5) & (y < 1 if side == "top" else y > -1)
    coherence[ray] = 0.05
    found = cube(np.arctan2(y, x), coherence=coherence[None]).insar.unwrap().unwrapped_phase.values[0]
    steps = np.abs(np.diff(found, axis=1)) > np.pi
    assert steps.any()
    rows, columns = np.nonzero(steps)
    assert np.abs(columns - 15).max() <= 2
    assert (rows < 17).all() if side == "top" else (rows > 13).all()
    assert not (np.abs(np.diff(found, axis=0)) > np.pi)[:, np.abs(x[0]) > 3].any()


@needs_snaphu
def test_pixels_without_coherence_are_missing() -> None:
    coherence = np.full((1, 20, 20), 0.7)
    coherence[0, 3:5, 3:9] = np.nan
    found = cube(wrap(bump((20, 20))), coherence=coherence).insar.unwrap().unwrapped_phase
    np.testing.assert_array_equal(np.isnan(found), np.isnan(coherence))


@needs_snaphu
def test_stacked_gradient_with_the_coherence_of_its_cube() -> None:
    """Sixty pairs of a bowl: the sum of gradients is many cycles; it comes back from the wrapped sum."""
    ds = xinsar.simulate.bowl((60, 64), sinking=0.02, radius=12, pairs=60)
    stack = ds.insar.phase_gradient_stack(estimator="wrapped_sum", window=1)
    truth = ds.insar.phase_gradient_stack(estimator="sum", window=1)
    for name in ("gradient_y", "gradient_x"):
        assert float(abs(truth[name]).max()) > TURN
        found = stack.insar.unwrap(variable=name, coherence=ds.coherence)
        assert list(found.data_vars) == [f"unwrapped_{name}"]
        unwrapped = found[f"unwrapped_{name}"]
        assert unwrapped.attrs["estimator"] == "wrapped_sum"
        assert unwrapped.attrs["offset"] == 0.5
        np.testing.assert_array_equal(np.isnan(unwrapped), np.isnan(stack[name]))
        np.testing.assert_allclose(unwrapped, truth[name], atol=2e-3)


@needs_snaphu
def test_coherence_is_averaged_over_pairs_in_any_chunks() -> None:
    ds = xinsar.simulate.bowl((24, 24), sinking=0.01, radius=6, pairs=7)
    noise = np.random.default_rng(0).uniform(0.1, 0.9, ds.coherence.shape).astype(np.float32)
    ds["coherence"] = ds.coherence.copy(data=noise)
    stack = ds.insar.phase_gradient_stack(estimator="wrapped_sum", window=1)
    name = "unwrapped_gradient_x"
    averaged = ds.coherence.mean("pair").assign_attrs(units="1")
    expected = stack.insar.unwrap(variable="gradient_x", coherence=averaged)[name]
    for given in (ds.coherence, ds.coherence.chunk(pair=2, y=5)):
        found = stack.insar.unwrap(variable="gradient_x", coherence=given)[name]
        np.testing.assert_array_equal(found, expected)
    held = stack.assign(mean_coherence=averaged).insar.unwrap(variable="gradient_x")[name]
    np.testing.assert_array_equal(held, expected)


@needs_snaphu
def test_gradient_of_pairs() -> None:
    ds = xinsar.simulate.bowl((20, 20), pairs=2)
    gradient = ds.insar.phase_gradient(window=1)
    found = gradient.insar.unwrap(variable="gradient_y").unwrapped_gradient_y
    assert found.dims == DIMS
    np.testing.assert_allclose(found, gradient.gradient_y, atol=1e-5)  # it never reached half a cycle


@needs_snaphu
def test_lazy_and_the_same_in_any_chunks() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("computed while building")

    wrapped = wrap(bump((24, 30)))
    wrapped[4:7, 4:9] = np.nan
    ds = cube(wrapped, -wrapped, wrapped)
    lazy = ds.chunk(pair=2, y=7, x=11)
    with dask.config.set(scheduler=refuse):
        found = lazy.insar.unwrap()
    assert found.unwrapped_phase.chunksizes == lazy.phase.chunksizes
    np.testing.assert_array_equal(found.unwrapped_phase, ds.insar.unwrap().unwrapped_phase)


@needs_snaphu
def test_coordinates_travel() -> None:
    ds = xinsar.simulate.plane((10, 12), pairs=2)
    for given in (ds, ds.chunk(y=5)):
        found = given.insar.unwrap()
        assert set(found.coords) == set(ds.phase.coords)
        assert found.spatial_ref.attrs == ds.spatial_ref.attrs


@needs_snaphu
def test_tiles_give_the_same_surface() -> None:
    y, x = np.indices((120, 120))
    true = 0.3 * x + 0.15 * y
    found = cube(wrap(true)).insar.unwrap(tiles=(2, 2), overlap=30).unwrapped_phase.values[0]
    assert cycles(found, true).size == 1


@needs_snaphu
def test_nothing_printed_and_nothing_left(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cube(wrap(bump((20, 20)))).insar.unwrap()
    with pytest.raises(RuntimeError, match=r"SNAPHU failed on an image of 20 x 20 pixels: .+"):
        cube(wrap(bump((20, 20)))).insar.unwrap(tiles=(9, 9))
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snaphu", None)
    with pytest.raises(xinsar.MissingExtraError, match=r"pip install 'xinsar\[unwrap\]'"):
        cube(np.zeros((9, 9))).insar.unwrap()


@needs_snaphu
@pytest.mark.parametrize("estimator", ["rate", "sum"])
def test_gradients_that_are_not_wrapped(estimator: str) -> None:
    stack = xinsar.simulate.plane((8, 8), pairs=4).insar.phase_gradient_stack(estimator=estimator, window=1)
    with pytest.raises(ValueError, match=f"'{estimator}' and is not wrapped.*estimator='wrapped_sum'"):
        stack.insar.unwrap(variable="gradient_x")


@needs_snaphu
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"variable": "coherence"}, KeyError, "variable: expected one of 'phase'.*got 'coherence'"),
        ({"variable": "gradient_x"}, xinsar.SchemaError, "gradient_x: the dataset has no variable"),
        ({"coherence": 0.5}, TypeError, "coherence: expected an xarray.DataArray, got float"),
        ({"cost": "topo"}, ValueError, "cost: expected one of 'smooth', 'defo', got 'topo'"),
        ({"looks": 0.5}, ValueError, "looks: expected 1 or more, got 0.5"),
        ({"tiles": (0, 2)}, ValueError, "tiles: expected two whole numbers"),
        ({"tiles": 2}, ValueError, "tiles: expected two whole numbers"),
        ({"overlap": -1}, ValueError, "overlap: expected a whole number"),
    ],
)
def test_options_that_are_not_legal(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cube(np.zeros((9, 9))).insar.unwrap(**options)


@needs_snaphu
def test_coherence_of_another_grid() -> None:
    ds = cube(np.zeros((9, 9)))
    with pytest.raises(ValueError, match="different grids"):
        ds.insar.unwrap(coherence=xr.DataArray(np.ones((8, 9)), dims=("y", "x")))


@needs_snaphu
def test_values_out_of_range_are_told_when_computed() -> None:
    with pytest.raises(ValueError, match="phase: expected wrapped phase"):
        cube(np.full((9, 9), 7.0)).insar.unwrap()
    lazy = cube(np.zeros((9, 9)), coherence=np.full((1, 9, 9), 55.0)).chunk().insar.unwrap()
    with pytest.raises(ValueError, match="coherence: expected values within"):
        lazy.compute()


@needs_snaphu
@pytest.mark.real
def test_wrapped_again_a_real_stack_comes_back(real_data: Any) -> None:
    """Mexico City: pairs unwrapped by others, wrapped and unwrapped here, differ by one number of cycles."""
    with pytest.warns(UserWarning, match="grid with most pairs"):
        ds = xinsar.open_stack(real_data("mexico-city-s1-gamma-stack"))
    ds = ds.isel(pair=slice(0, 30, 6)).load()
    given = ds.unwrapped_phase
    again = cube(*wrap(given.values), coherence=ds.coherence.values).insar.unwrap().unwrapped_phase.values
    np.testing.assert_array_equal(np.isnan(again), np.isnan(given) | np.isnan(ds.coherence))
    for found, expected in zip(again, given.values, strict=True):
        turns = np.round((found - expected)[np.isfinite(found)] / TURN)
        _, counts = np.unique(turns, return_counts=True)
        assert counts.max() / counts.sum() > 0.99
