"""Points brought together by place: every order and every chunking, in memory and through a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.mapping import by_place, is_lazy, onto_grid, points, whole_points


def made(number, *, seed=0, lead=()):
    rng = np.random.default_rng(seed)
    coords = {"x": ("point", rng.uniform(0, 90, number)), "y": ("point", rng.uniform(0, 60, number))}
    dims = (*("time", "component")[: len(lead)], "point")
    return xr.DataArray(rng.integers(0, 1000, (*lead, number)).astype(float), dims=dims, coords=coords)


def cut(array, chunks):
    """Chunks of values and of places."""
    lazy = array.chunk(point=chunks)
    return lazy.assign_coords(
        {k: ("point", lazy[k].variable.chunk({"point": chunks}).data) for k in ("x", "y")}
    )


def count_near(x, y, values, moments, own, *, reach):
    """Sum whole numbers of the points within ``reach``: exact in any order; scaled by the field's moment."""
    out = np.empty((*values.shape[:-1], own))
    for i in range(own):
        near = np.hypot(x - x[i], y - y[i]) <= reach
        out[..., i] = values[..., near].sum(axis=-1) * moments[..., 0]
    return out


def fill(x, y, values, first, last, *, reach, rows, cols):
    """Sum the points within ``reach`` of every pixel, one after the other: the order of points shows in the bits."""
    out = np.zeros((*values.shape[:-1], last - first, cols.size))
    for px, py, value in zip(x, y, np.moveaxis(values, -1, 0), strict=True):
        near = np.hypot(rows[first:last, None] - py, cols - px) <= reach
        out[..., near] += np.asarray(value)[..., None] / 3
    return out


def moments(*lead):
    return xr.DataArray(
        np.arange(1.0, 1 + int(np.prod(lead))).reshape(*lead, 1), dims=(*("time",)[: len(lead)], "moment")
    )


def answer(array, *, lead=()):
    return by_place(
        count_near, array.x, array.y, array, halo=7.0, north=np.asarray, moments=moments(*lead), reach=7.0
    )


@pytest.fixture(params=["memory", "folder"])
def store(request, monkeypatch, tmp_path):
    if request.param == "folder":
        monkeypatch.setattr(points, "IN_MEMORY_BYTES", 0)
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        yield request.param, tmp_path


@pytest.mark.parametrize("chunks", [200, 77, (1, 100, 99), 20])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_by_place_gives_the_same_in_any_chunks(store, chunks, lead):
    array = made(200, lead=lead)
    wanted = answer(array, lead=lead)
    assert not is_lazy(wanted)
    lazy = answer(cut(array, chunks), lead=lead)
    assert lazy.chunksizes["point"] == cut(array, chunks).chunksizes["point"]
    xr.testing.assert_identical(lazy.compute().drop_vars(["x", "y"]), wanted.drop_vars(["x", "y"]))


def test_the_folder_is_used_and_goes_when_the_work_is_done(store):
    kind, folder = store
    seen = []

    def look(x, y, values, moments, own):
        seen.extend(Path(folder).glob("xinsar-*/sent-*"))
        return values[..., :own]

    array = cut(made(60), 20)
    by_place(look, array.x, array.y, array, halo=1.0, north=np.asarray, moments=moments()).compute(
        scheduler="sync"
    )
    assert bool(seen) == (kind == "folder")
    assert not list(Path(folder).glob("xinsar-*"))
    assert tempfile.gettempdir()


def test_points_without_a_place_have_no_answer():
    array = made(40)
    array.x[3] = np.nan
    array.y[5] = np.nan
    found = answer(cut(array, 13)).compute()
    assert np.isnan(found[5])
    assert found[np.arange(40) != 5].notnull().all()


def test_all_points_at_one_place_and_empty_strips():
    array = made(30)
    array["y"] = array.y * 0 + 4
    wanted = answer(array)
    np.testing.assert_array_equal(answer(cut(array, 4)), wanted)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_by_place_random(data):
    number = data.draw(st.integers(1, 60))
    array = made(number, seed=data.draw(st.integers(0, 99)))
    array["y"] = array.y.round(data.draw(st.sampled_from([-1, 0, 3])))
    chunks = data.draw(st.integers(1, number))
    np.testing.assert_array_equal(answer(cut(array, chunks)), answer(array))


def target(rows=23, cols=31):
    coords = {"y": 61 - 2.7 * np.arange(rows), "x": -1 + 3.0 * np.arange(cols)}
    return xr.DataArray(np.zeros((rows, cols)), dims=("y", "x"), coords=coords)


def filled(array, grid):
    options = {"reach": 5.0, "rows": target().y.values, "cols": target().x.values}
    return onto_grid(
        fill, array.x, array.y, array, target=grid, halo=5.0, north=np.asarray, dtype=np.float64, **options
    )


@pytest.mark.parametrize("chunks", [200, 77, (1, 100, 99)])
@pytest.mark.parametrize("rows", [23, 5, 1])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_onto_grid_gives_the_same_bits_in_any_chunks(store, chunks, rows, lead):
    array = made(200, lead=lead)
    wanted = filled(array, target())
    assert not is_lazy(wanted)
    found = filled(cut(array, chunks), target().chunk(y=rows))
    assert set(found.chunksizes["y"][:-1]) <= {rows}
    xr.testing.assert_identical(found.compute(), wanted)


def test_strips_of_a_grid_without_chunks(monkeypatch):
    monkeypatch.setattr(points, "STRIP_PIXELS", 70)
    found = filled(cut(made(50), 10), target())
    assert found.chunksizes["y"] == (2,) * 11 + (1,)
    np.testing.assert_array_equal(found, filled(made(50), target()))


def test_a_graph_grows_with_chunks_and_computes_nothing():
    def never(*_, **__):
        raise AssertionError("computed while building")

    array = cut(made(200), 20)
    with dask.config.set(scheduler=never):
        lazy = answer(array)
        grid = filled(array, target().chunk(y=5))
    assert len(dict(lazy.data.dask)) < 200
    assert len(dict(grid.data.dask)) < 150


def test_whole_points_sees_all_points_in_their_order():
    def ranks(x, y, values, moments, *, by):
        assert x.shape == y.shape == values.shape[-1:]
        return values + by * np.argsort(np.argsort(x)) + moments[..., 0:1]

    array = made(50, lead=(2,))
    wanted = whole_points(ranks, array.x, array.y, array, moments=moments(2), by=3.0)
    lazy = whole_points(ranks, cut(array, 9).x, cut(array, 9).y, cut(array, 9), moments=moments(2), by=3.0)
    assert lazy.chunksizes["point"] == cut(array, 9).chunksizes["point"]
    np.testing.assert_array_equal(lazy, wanted)
