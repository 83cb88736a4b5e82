"""Points chosen from whole maps: an even choice that no chunking changes, and what every block is told of it."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import _raise
from xinsar.mapping.controls import along_curve, collect, inform, ranks


def pixels(shape):
    rows, columns = np.indices(shape)
    return rows.ravel(), columns.ravel()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_every_pixel_has_a_number_of_its_own(rows, columns):
    for number in (ranks, along_curve):
        found = number(*pixels((rows, columns)), (rows, columns))
        assert np.unique(found).size == rows * columns
        assert found.min() >= 0


@pytest.mark.parametrize("kept", [100, 333, 1000, 2500])
def test_low_ranks_lie_evenly(kept):
    """Of every 16 x 16 pixels about as many are kept."""
    shape = (160, 96)
    found = ranks(*pixels(shape), shape)
    chosen = np.zeros(found.size)
    chosen[np.argsort(found)[:kept]] = 1
    share = chosen.reshape(10, 16, 6, 16).sum(axis=(1, 3))
    assert abs(share - kept / 60).max() <= 1.5 + 0.1 * kept / 60


def test_first_ranks_are_coarse_lattices():
    shape = (16, 16)
    rows, columns = pixels(shape)
    first = np.argsort(ranks(rows, columns, shape))
    assert set(zip(rows[first[:4]], columns[first[:4]], strict=True)) == {(0, 0), (0, 8), (8, 0), (8, 8)}
    assert ((rows[first[:64]] % 2 == 0) & (columns[first[:64]] % 2 == 0)).all()
    assert ((rows[first[:128]] + columns[first[:128]]) % 2 == 0).all()


def test_a_rank_depends_on_the_map_not_on_the_block():
    shape = (37, 53)
    rows, columns = pixels(shape)
    whole = ranks(rows, columns, shape)
    part = (rows > 20) & (columns < 9)
    np.testing.assert_array_equal(ranks(rows[part], columns[part], shape), whole[part])


def test_the_curve_keeps_neighbours_together():
    shape = (64, 64)
    rows, columns = pixels(shape)
    order = np.argsort(along_curve(rows, columns, shape))
    apart = abs(np.diff(rows[order])) + abs(np.diff(columns[order]))
    assert apart.mean() < 2
    groups = rows[order].reshape(-1, 64), columns[order].reshape(-1, 64)
    assert all((np.ptp(g, axis=1) == 7).all() for g in groups)


# ---- collect and inform -----------------------------------------------------------------------------------------


class Found:
    """The places and values above a limit, in any order."""

    def __init__(self, values):
        self.values = values

    def __add__(self, other):
        return Found(self.values | other.values)


def above(rows, columns, series, plane, *, limit):
    r, c = np.nonzero(series[-1] + plane > limit)
    return Found(
        {(int(rows[i]), int(columns[j]), float(series[-1, i, j])) for i, j in zip(r, c, strict=True)}
    )


def in_order(found):
    return np.array(sorted(found.values))


def distance_to_first(whole, rows, columns, series, plane, *, factor):
    row, column, value = whole[0]
    apart = np.hypot(rows[:, None] - row, columns - column)
    return np.stack([factor * apart + plane, np.full_like(plane, value) * series[0]])


def maps(shape=(5, 11, 9)):
    rng = np.random.default_rng(0)
    coords = {"y": np.arange(shape[1])[::-1] * 3.0, "x": np.arange(shape[2]) * 2.0, "look": 1}
    series = xr.DataArray(rng.normal(size=shape), dims=("time", "y", "x"), coords=coords)
    return series, xr.DataArray(rng.normal(size=shape[1:]), dims=("y", "x"))


def both(series, plane):
    whole = collect(above, in_order, [series, plane], limit=0.5)
    told = inform(distance_to_first, whole, [series, plane], dim="kind", size=2, dtype=np.float64, factor=2.0)
    return whole, told


def test_whole_maps_in_memory():
    series, plane = maps()
    whole, told = both(series, plane)
    wanted = [
        [y, x, float(series[-1, y, x])]
        for y in range(11)
        for x in range(9)
        if series[-1, y, x] + plane[y, x] > 0.5
    ]
    np.testing.assert_array_equal(whole.data[()], wanted)
    assert told.dims == ("kind", "y", "x")
    assert set(told.coords) == {"y", "x", "look"}
    assert told[0, int(wanted[0][0]), int(wanted[0][1])] == plane[int(wanted[0][0]), int(wanted[0][1])]


@pytest.mark.parametrize(
    "chunks",
    [{"time": 2, "y": 4, "x": 5}, {"time": -1, "y": 1, "x": 9}, {"time": 1, "y": 11, "x": 1}],
)
@pytest.mark.parametrize("which", [(0, 1), (0,), (1,)])
def test_chunks_change_nothing_and_nothing_is_computed(chunks, which):
    """Either array may be lazy, or both."""
    series, plane = maps()
    wanted_whole, wanted = both(series, plane)
    given = [
        a.chunk({d: n for d, n in chunks.items() if d in a.dims}) if i in which else a
        for i, a in enumerate((series, plane))
    ]
    with dask.config.set(scheduler=_raise):
        whole, told = both(*given)
    assert told.chunksizes["y"] == given[which[0]].chunksizes["y"]
    np.testing.assert_array_equal(whole.compute().data[()], wanted_whole.data[()])
    xr.testing.assert_identical(told.compute(), wanted)


def test_lazy_maps_are_read_twice_but_never_kept():
    """The collection has read tasks of its own, so that no block waits for it."""
    series, plane = maps()
    reads = []

    def read(block):
        reads.append(1)
        return block

    lazy = series.chunk({"y": 4}).copy(data=series.chunk({"y": 4}).data.map_blocks(read, dtype=float))
    reads.clear()
    both(lazy, plane)[1].compute(scheduler="synchronous")
    assert len(reads) == 2 * 3


def test_tasks_grow_with_chunks():
    series, plane = maps((5, 64, 64))
    counts = []
    for size in (16, 8):
        whole = both(series.chunk({"y": size, "x": size}), plane)[1]
        counts.append(len(whole.__dask_graph__()))
    assert counts[1] < 4.5 * counts[0]
