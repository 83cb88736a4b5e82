"""Seeds, watershed and components against scikit-image, plain floods, and their own rules for ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xinsar.kernels.coarsen import block_mean
from xinsar.kernels.components import by_component, components
from xinsar.kernels.watershed import seeds, watershed

segmentation = pytest.importorskip("skimage.segmentation")
measure = pytest.importorskip("skimage.measure")
SQUARE = np.ones((3, 3))


def patch(seed, *, ties=False):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 40, 2))
    values = gaussian_filter(rng.normal(size=shape), 1.5).astype(np.float32)
    mask = gaussian_filter(rng.normal(size=shape), 2) > -0.03
    return (np.round(8 * values) / 8 if ties else values), mask, rng


@pytest.mark.parametrize("seed", range(40))
def test_watershed_is_that_of_scikit_image_where_there_are_no_ties(seed):
    values, mask, rng = patch(seed)
    assert np.unique(values).size == values.size
    markers = np.zeros(values.shape, np.int32)
    for number in range(1, 6):
        markers[tuple(rng.integers(0, values.shape))] = number
    wanted = segmentation.watershed(-values, markers * mask, mask=mask, connectivity=SQUARE)
    if (markers * mask).any():
        np.testing.assert_array_equal(watershed(values, markers, mask), wanted)
    else:
        assert not watershed(values, markers, mask).any()


def slow_flood(values, markers, mask):
    """The rule, pixel by pixel: of all pixels on the brink the highest goes first, then by row and column."""
    labels = np.where(mask, markers, 0)
    brink = {(-values[p], p) for p in zip(*np.nonzero(labels), strict=True)}
    while brink:
        first = min(brink)
        brink.remove(first)
        row, column = first[1]
        for i in range(max(row - 1, 0), min(row + 2, values.shape[0])):
            for j in range(max(column - 1, 0), min(column + 2, values.shape[1])):
                if mask[i, j] and not labels[i, j]:
                    labels[i, j] = labels[row, column]
                    brink.add((-values[i, j], (i, j)))
    return labels


@pytest.mark.parametrize("seed", range(10))
def test_ties_go_by_row_then_column(seed):
    values, mask, rng = patch(seed, ties=True)
    markers = np.zeros(values.shape, np.int32)
    for number in range(1, 5):
        markers[tuple(rng.integers(0, values.shape))] = number
    np.testing.assert_array_equal(watershed(values, markers, mask), slow_flood(values, markers, mask))


def test_a_plateau_between_two_markers_is_divided_the_same_way_wherever_it_lies():
    mask = np.ones((3, 7), bool)
    markers = np.zeros((3, 7), np.int32)
    markers[1, 0], markers[1, 6] = 1, 2
    whole = watershed(np.zeros((3, 7), np.float32), markers, mask)
    padded = watershed(
        np.zeros((6, 11), np.float32), np.pad(markers, ((2, 1), (1, 3))), np.pad(mask, ((2, 1), (1, 3)))
    )
    np.testing.assert_array_equal(padded[2:5, 1:8], whole)
    assert {1, 2} == set(whole.ravel())


def test_what_no_marker_leads_to_stays_0():
    mask = np.array([[1, 1, 0, 1]], bool)
    found = watershed(np.ones((1, 4), np.float32), np.array([[1, 0, 0, 0]], np.int32), mask)
    assert found.tolist() == [[1, 1, 0, 0]]
    assert found.dtype == np.int32


def test_a_marker_outside_the_mask_counts_for_nothing():
    mask = np.array([[0, 1, 1]], bool)
    assert not watershed(np.ones((1, 3), np.float32), np.array([[7, 0, 0]], np.int32), mask).any()


def slow_seeds(values, mask, least, prominence):
    """Persistence by its definition: fill from each peak down; how low must one go to reach something higher?"""
    order = sorted(zip(*np.nonzero(mask), strict=True), key=lambda p: (-values[p], p))
    rank = {p: k for k, p in enumerate(order)}

    def near(p):
        return [
            (i, j)
            for i in range(p[0] - 1, p[0] + 2)
            for j in range(p[1] - 1, p[1] + 2)
            if (i, j) in rank and (i, j) != p
        ]

    kept = []
    for p in order:
        if any(rank[q] < rank[p] for q in near(p)):
            continue  # no peak
        reached, waiting, saddle = {p}, [p], None
        for q in order:  # lower the water until a higher peak is reached
            waiting = [*reached]
            level = rank[q]
            while waiting:
                for n in near(waiting.pop()):
                    if n not in reached and rank[n] <= level:
                        reached.add(n)
                        waiting.append(n)
            if any(rank[n] < rank[p] for n in reached):
                saddle = values[q]
                break
        if saddle is None or (values[p] >= least and values[p] - saddle >= prominence):
            kept.append(p)
    found = np.zeros(values.shape, int)
    for number, p in enumerate(sorted(kept), 1):
        found[p] = number
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_seeds_are_the_peaks_of_enough_persistence(seed, ties):
    values, mask, _ = patch(seed, ties=ties)
    values, mask = values[:12, :12], mask[:12, :12]
    mask = measure.label(mask, connectivity=2) == 1
    found = seeds(values, mask, least=0.0, prominence=0.1)
    np.testing.assert_array_equal(found, slow_seeds(values, mask, np.float32(0.0), np.float32(0.1)))


def test_the_highest_pixel_is_a_seed_however_low_it_is():
    values = np.array([[0.1, 0.2, 0.1]], np.float32)
    assert seeds(values, np.ones((1, 3), bool), least=0.9, prominence=0.9).tolist() == [[0, 1, 0]]
    assert not seeds(values, np.zeros((1, 3), bool), least=0, prominence=0).any()


def test_two_peaks_become_one_seed_when_the_saddle_is_high():
    values = np.array([[0.9, 0.75, 0.85]], np.float32)
    mask = np.ones((1, 3), bool)
    assert seeds(values, mask, least=0.3, prominence=0.09).tolist() == [[1, 0, 2]]
    assert seeds(values, mask, least=0.3, prominence=0.11).tolist() == [[1, 0, 0]]
    assert seeds(values, mask, least=0.86, prominence=0.01).tolist() == [[1, 0, 0]]


@settings(deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14)))
def test_components_are_those_of_scikit_image(mask):
    rows, columns = np.nonzero(mask)
    wanted = measure.label(mask, connectivity=2)[mask]
    found = components(rows, columns)
    np.testing.assert_array_equal(found + 1, wanted)
    sizes = np.bincount(found, minlength=1)
    np.testing.assert_array_equal(by_component(found, sizes), np.argsort(found, kind="stable"))


def test_components_need_no_map():
    """Two far pixels of a map too large to hold."""
    found = components(np.array([0, 2_000_000_000]), np.array([5, 2_000_000_000]))
    assert found.tolist() == [0, 1]


def test_corners_connect():
    assert components(np.array([0, 1, 2]), np.array([1, 2, 1])).tolist() == [0, 0, 0]
    assert components(np.array([0, 1]), np.array([1, 3])).tolist() == [0, 1]


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 9), st.integers(0, 9), st.integers(0, 99))
def test_block_mean_is_the_mean_of_what_is_there(factor, more_rows, more_columns, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(factor + more_rows, factor + more_columns)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    found = block_mean(values, factor)
    height, width = (n // factor for n in values.shape)
    assert found.shape == (height, width)
    assert found.dtype == np.float32
    for i in range(height):
        for j in range(width):
            block = values[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
            there = block[np.isfinite(block)].astype(np.float64)
            wanted = there.mean() if there.size >= block.size / 2 else np.nan
            np.testing.assert_allclose(found[i, j], wanted, rtol=1e-6)


@pytest.mark.parametrize("width", [4, 8, 12, 200])
def test_block_mean_does_not_depend_on_the_width_of_the_array(width):
    values = np.random.default_rng(0).normal(size=(8, 200)).astype(np.float32)
    found = [block_mean(values[:, i : i + width], 4) for i in range(0, 200 // width * width, width)]
    np.testing.assert_array_equal(
        np.concatenate(found, axis=1), block_mean(values, 4)[:, : found[0].shape[1] * len(found)]
    )
