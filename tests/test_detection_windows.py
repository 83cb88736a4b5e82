"""Where windows lie, and how tasks read them: whole numbers, whatever the chunks."""

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import _raise
from xinsar.detection.windows import LEAST, Lattice, group, origin_of
from xinsar.mapping import coarsened, fields_over_windows, over_boxes, over_windows
from xinsar.mapping.windows import Box, boxes

sizes = st.integers(1, 60)
lattices = st.builds(
    lambda shape, core, half, origin: Lattice(
        shape, (core[0] + 2 * half, core[1] + 2 * half), 2 * half, origin
    ),
    st.tuples(sizes, sizes),
    st.tuples(st.integers(6, 90), st.integers(6, 90)),
    st.integers(0, 20),
    st.tuples(st.integers(0, 500), st.integers(0, 500)),
)


@settings(deadline=None, max_examples=40)
@given(lattices)
def test_cores_tile_the_image_once(lattice):
    owner = np.zeros(lattice.shape, int)
    for window in lattice.plan():
        owner[window.core.inside(lattice.image)] += 1
        assert window.read.shape == lattice.window
        assert window.core.within(window.read.widened(-lattice.halo)) == window.core
    assert (owner == 1).all()
    assert len(lattice.plan()) == lattice.count()
    assert len({w.number for w in lattice.plan()}) == lattice.count()


@settings(deadline=None, max_examples=40)
@given(lattices, st.data())
def test_a_crop_has_the_windows_of_the_larger_image(lattice, data):
    top, left = (data.draw(st.integers(0, n - 1)) for n in lattice.shape)
    shape = lattice.shape[0] - top, lattice.shape[1] - left
    origin = lattice.origin[0] + top, lattice.origin[1] + left
    crop = Lattice(shape, lattice.window, lattice.overlap, origin)
    moved = {
        tuple(n - m for n, m in zip(w.read, (top, top, left, left), strict=True)) for w in lattice.plan()
    }
    assert {tuple(w.read) for w in crop.plan()} <= moved


@settings(deadline=None, max_examples=40)
@given(lattices, st.integers(1, 4), st.integers(1, 4))
def test_groups_of_cores_hold_every_window_once(lattice, down, across):
    cells = [box for _, box in boxes(lattice.edges(0, down), lattice.edges(1, across))]
    planned = [window for cell in cells for window in lattice.plan(cell)]
    assert sorted(planned) == sorted(lattice.plan())
    for cell in cells:
        assert all(window.core.within(cell) == window.core for window in lattice.plan(cell))


def test_a_window_larger_than_the_image_is_one_that_reaches_beyond():
    lattice = Lattice((100, 60), (512, 512), 64)
    (window,) = lattice.plan()
    assert window.core == Box(0, 100, 0, 60)
    assert window.read == Box(-32, 480, -32, 480)


def test_planning_nothing():
    assert Lattice((100, 60), (64, 64), 32).plan(Box(5, 5, 0, 60)) == []


@given(st.integers(1, 600), st.integers(1, 64))
def test_groups_hold_whole_batches_and_are_worth_a_task(core, batch):
    down, across = group((core, core), batch)
    assert down * across % batch == 0
    assert down * core >= LEAST
    assert across * core >= LEAST


def test_groups_do_not_grow_beyond_need():
    assert group((448, 448), 4) == (2, 2)
    assert group((448, 448), 8) == (2, 4)
    assert group((1000, 1000), 1) == (1, 1)


@pytest.mark.parametrize("value", [(-1, 0), (1,), "ab", (0.5, 1), None, 3, (1, 2, 3)])
def test_lattice_origin_must_be_two_whole_numbers(value):
    with pytest.raises(ValueError, match="lattice_origin: expected row and column"):
        origin_of({"lattice_origin": value})


def test_lattice_origin_is_the_corner_by_default():
    assert origin_of({}) == (0, 0)
    assert origin_of({"lattice_origin": np.array([3, 4])}) == (3, 4)


# mapping


def field(shape=(70, 50), seed=0):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return xr.DataArray(values, dims=("y", "x"), name="velocity")


CHUNKS = [(-1, -1), (7, 9), (1, -1), (-1, 1), ((30, 1, 39), (49, 1)), (16, 16)]


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("halo", [0, 3, 40])
def test_every_cell_reads_its_box_and_the_halo_as_far_as_the_map_goes(chunks, halo):
    a, b = field(), field(seed=1)
    rows, columns = [0, 20, 40, 60, 70], [0, 33, 50]
    chunked = a.chunk(y=chunks[0], x=chunks[1])
    other = b.chunk(y=-1, x=11) if chunks[0] == 7 else b
    with dask.config.set(scheduler=_raise):
        lazy = over_windows(
            _remember,
            [chunked, other],
            rows=rows,
            columns=columns,
            halo=halo,
            constants=[xr.DataArray(np.array([1.0, 2.0]), dims="n")],
        )
    (found,) = lazy.compute(scheduler="synchronous")
    assert [len(row) for row in found] == [2, 2, 2, 2]
    for (i, j), box in boxes(rows, columns):
        cell = found[i][j]
        assert cell["box"] == box
        assert cell["read"] == box.widened(halo).within(Box(0, 70, 0, 50))
        where = cell["read"].inside(Box(0, 70, 0, 50))
        for block, whole in zip(cell["blocks"], (a, b), strict=True):
            np.testing.assert_array_equal(block, whole.values[where])
        assert cell["constants"] == [[1.0, 2.0]]


def _remember(blocks, box, read, constants):
    return {"blocks": blocks, "box": box, "read": read, "constants": [c.tolist() for c in constants]}


def test_rows_of_cells_are_joined_as_asked():
    """The edges of a row go to one call; rows come from the top."""
    cells = over_windows(
        _left, [field().chunk(y=11, x=13)], rows=[0, 35, 70], columns=[0, 20, 50], halo=2, join=sum
    )
    assert cells.compute(scheduler="synchronous")[0] == [20, 90]


def _left(blocks, box, read, constants):
    return box.left + box.top


def _sum_around(blocks, box, read, constants):
    """Return the sum of 3 x 3 pixels, as a map of the cell (twice)."""
    from scipy.ndimage import convolve

    whole = convolve(blocks[0], np.ones((3, 3), np.float32), mode="constant")
    cell = whole[box.inside(read)]
    return np.stack([cell, -cell])


@pytest.mark.parametrize("chunks", CHUNKS)
def test_maps_of_cells_are_the_map_of_the_whole(chunks):
    a = field()
    lazy = fields_over_windows(
        _sum_around,
        [a.chunk(y=chunks[0], x=chunks[1])],
        rows=[0, 13, 70],
        columns=[0, 20, 40, 50],
        halo=1,
        outputs=2,
    )
    assert lazy.shape == (2, 70, 50)
    assert lazy.dtype == np.float32
    wanted = _sum_around([a.values], Box(0, 70, 0, 50), Box(0, 70, 0, 50), ())
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), wanted)


def test_tasks_grow_with_chunks_and_cells_only():
    """Four times the map in chunks and cells of one size: four times the tasks, and few for each."""
    numbers = []
    for n in (256, 512):
        lazy = field((n, n)).chunk(y=64, x=64)
        edges = range(0, n + 1, 64)
        cells = over_windows(_remember, [lazy], rows=edges, columns=edges, halo=8)
        numbers.append(len(dict(cells.__dask_graph__())))
    assert numbers[1] < 5 * numbers[0]
    assert numbers[1] < 12 * (512 // 64) ** 2


def test_rows_go_from_the_top_so_that_little_waits():
    """Of 16 rows of chunks, the parts of no more than three wait at any time."""
    from dask.callbacks import Callback

    most = 0

    class Watch(Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            nonlocal most
            waiting = sum(
                v.size for k, v in state["cache"].items() if isinstance(k, tuple) and "-cut" in str(k[0])
            )
            most = max(most, waiting)

    lazy = field((512, 512)).chunk(y=32, x=32)
    edges = [*range(0, 512, 28), 512]
    with Watch():
        over_windows(_left, [lazy], rows=edges, columns=edges, halo=2).compute(scheduler="synchronous")
    assert most < 3 * 32 * 512


def test_a_chunk_is_copied_only_in_part():
    """What a cell holds is its own memory: no view that would keep a whole chunk."""
    cells = over_windows(_remember, [field().chunk(y=-1, x=-1)], rows=[0, 35, 70], columns=[0, 50], halo=2)
    block = cells.compute(scheduler="synchronous")[0][0][0]["blocks"][0]
    assert block.base is None


def _shift(block, box, read, *, by):
    out = np.full(box.shape, np.nan, np.float32)
    inside = Box(box.top + by, box.bottom + by, box.left, box.right).within(read)
    out[inside.top - box.top - by : inside.bottom - box.top - by] = block[inside.inside(read)]
    return out


@pytest.mark.parametrize("chunks", CHUNKS)
def test_boxes_of_another_grid(chunks):
    a = field()
    rows, columns = [0, 30, 65], [0, 25, 50]
    reads = {
        place: Box(box.top + 5, box.bottom + 5, box.left, box.right) for place, box in boxes(rows, columns)
    }
    made = over_boxes(
        _shift, a.chunk(y=chunks[0], x=chunks[1]), rows=rows, columns=columns, reads=reads, dtype="f4", by=5
    )
    np.testing.assert_array_equal(made.compute(scheduler="synchronous"), a.values[5:])


@pytest.mark.parametrize("chunks", CHUNKS)
def test_coarsening_does_not_depend_on_chunks(chunks):
    from xinsar.kernels.coarsen import block_mean

    a = field().assign_coords(y=-10.0 * np.arange(70), x=10.0 * np.arange(50))
    wanted = coarsened(a, 4, block_mean)
    assert wanted.shape == (17, 12)
    assert wanted.y[0] == -15
    lazy = coarsened(a.chunk(y=chunks[0], x=chunks[1]), 4, block_mean)
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), wanted)


def test_boxes_know_their_parts():
    box = Box(2, 5, 3, 9)
    assert box.shape == (3, 6)
    assert box.within(Box(0, 3, 0, 4)) == Box(2, 3, 3, 4)
    assert 0 in box.within(Box(7, 9, 0, 4)).shape
    assert box.inside(Box(1, 9, 1, 9)) == (slice(1, 4), slice(2, 8))
