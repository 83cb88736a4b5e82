"""Gi* of points against plain loops, PySAL and pyproj; whatever must not change a bit does not."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar.kernels import exact, fields, neighbours
from xinsar.kernels.nearest import gi_star_nearest
from xinsar.kernels.neighbours import gi_star_points
from xinsar.kernels.sparse import gi_star_sparse

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def moments_of(values):
    """Moments of every field (..., 4)."""
    numbers = [exact.moments_of(exact.sums_of(values[at])) for at in np.ndindex(values.shape[:-1])]
    return np.array(numbers).reshape(*values.shape[:-1], 4)


def place(number, seed=0, side=1000.0, kind="random"):
    """Northing and easting of points as a map would give them."""
    rng = np.random.default_rng(seed)
    north, east = rng.random((2, number)) * side
    if kind == "clustered":
        middle = rng.integers(0, 5, number)
        north, east = rng.random((2, 5))[:, middle] * side + rng.normal(0, side / 40, (2, number))
    return north + 4.5e6, east - 3e5


def field(number, seed=1, gaps=0.0, dtype=float, mean=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(mean, 2, number).astype(dtype)
    values[rng.random(number) < gaps] = np.nan
    return values


def squared_distance(north, east, scale, i, j):
    dx = east[i] - east[j]
    if scale is not None:
        dx *= (scale[i] + scale[j]) / 2
    return dx**2 + (north[i] - north[j]) ** 2


def z_of(total, w, w2, values):
    """Z from the weighted sum of x - mean, as printed."""
    valid = values[~np.isnan(values)].astype(float)
    n, spread = valid.size, valid.std()
    room = n * w2 - w * w
    return total / (spread * math.sqrt(room / (n - 1))) if n > 1 and spread > 0 and room > 0 else math.nan


def loops(north, east, scale, values, distance, weights="binary"):
    """Two nested loops."""
    mean = np.nanmean(values.astype(float)) if np.isfinite(values).any() else 0.0
    here = np.isfinite(north) & np.isfinite(east) & ~np.isnan(values)
    answer = np.full(values.size, np.nan)
    for i in np.flatnonzero(here):
        total = w = w2 = 0.0
        for j in np.flatnonzero(here):
            square = squared_distance(north, east, scale, i, j)
            if square <= distance**2:
                weight = 1.0 if weights == "binary" else 1 / max(math.sqrt(square), 1.0)
                total += weight * (float(values[j]) - mean)
                w, w2 = w + weight, w2 + weight**2
        answer[i] = z_of(total, w, w2, values)
    return answer


def ask(north, east, values, distance, scale=None, own=None, numbers=None, **options):
    own = north.size if own is None else own
    numbers = moments_of(values) if numbers is None else numbers
    return gi_star_points(north, east, scale, values, numbers, own=own, distance=distance, **options)


# Against plain loops


@pytest.mark.parametrize("kind", ["random", "clustered"])
@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize("weights", ["binary", "inverse_distance"])
def test_within_a_distance_as_two_loops(kind, gaps, weights):
    north, east = place(150, kind=kind)
    values = field(150, gaps=gaps)
    expected = loops(north, east, None, values, 130.0, weights)
    assert np.isfinite(expected).sum() > 70
    np.testing.assert_allclose(ask(north, east, values, 130.0, weights=weights), expected, **TIGHT)


@pytest.mark.parametrize("weights", ["binary", "inverse_distance"])
def test_degrees_as_two_loops(weights):
    rng = np.random.default_rng(5)
    latitude, longitude = math.radians(61) + rng.random(120) * 3e-4, 0.2 + rng.random(120) * 6e-4
    north, scale = 6.37e6 * latitude, 6.38e6 * np.cos(latitude)
    values = field(120)
    expected = loops(north, longitude, scale, values, 300.0, weights)
    np.testing.assert_allclose(
        ask(north, longitude, values, 300.0, scale, weights=weights), expected, **TIGHT
    )


def test_single_precision_stays_single():
    north, east = place(100)
    values = field(100, dtype=np.float32)
    z = ask(north, east, values, 150.0)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z, loops(north, east, None, values, 150.0), rtol=1e-6)


def test_leading_fields_have_their_own_gaps_and_numbers():
    north, east = place(90)
    north[3], east[4] = np.nan, np.inf
    values = np.stack([field(90, seed, gaps) for seed, gaps in [(1, 0), (2, 0.3), (3, 0), (4, 1)]])
    values = values.reshape(2, 2, 90)
    numbers = moments_of(values)
    z = ask(north, east, values, 200.0, numbers=numbers)
    assert z.shape == values.shape
    for at in np.ndindex(2, 2):
        alone = ask(north, east, values[at], 200.0, numbers=numbers[at])
        np.testing.assert_array_equal(z[at], alone)
    assert np.isnan(z[..., [3, 4]]).all()
    assert np.isnan(z[1, 1]).all()
    assert np.isfinite(z[0, 0]).sum() == 88


def test_moments_of_all_fields_serve_each_of_them():
    north, east = place(60)
    values = np.stack([field(60, 1), field(60, 2)])
    z = ask(north, east, values, 200.0, numbers=moments_of(values.reshape(-1)))
    together = moments_of(values.reshape(-1))
    np.testing.assert_array_equal(z[1], ask(north, east, values[1], 200.0, numbers=together))


def test_only_own_points_are_answered():
    north, east = place(80)
    values = field(80)
    z = ask(north, east, values, 150.0)
    np.testing.assert_array_equal(ask(north, east, values, 150.0, own=30), z[:30])
    assert ask(north, east, values, 150.0, own=0).shape == (0,)


# Against PySAL


def pysal(north, east, values, distance):
    esda = pytest.importorskip("esda")
    band = pytest.importorskip("libpysal.weights").DistanceBand
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # islands and disconnected parts
        w = band(np.stack([east, north], -1), distance, binary=True, silence_warnings=True)
        return esda.G_Local(values, w, transform="B", star=True, permutations=0).Zs


@pytest.mark.parametrize("kind", ["random", "clustered"])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_equal_to_pysal(kind, gaps):
    north, east = place(800, kind=kind, side=2000.0)
    values = field(800, gaps=gaps, mean=20.0)
    kept = ~np.isnan(values)
    expected = pysal(north[kept], east[kept], values[kept], 150.0)
    np.testing.assert_allclose(ask(north, east, values, 150.0)[kept], expected, rtol=0, atol=1e-6)


def test_shift_invariant_where_pysal_flips_the_sign():
    north, east = place(300)
    values = np.round(field(300) * 64) / 64  # so that shifting is exact
    z = ask(north, east, values, 100.0)
    np.testing.assert_allclose(ask(north, east, values - 32, 100.0), z, **TIGHT)
    np.testing.assert_allclose(pysal(north, east, values + 32, 100.0), z, atol=1e-6)
    np.testing.assert_allclose(pysal(north, east, values - 32, 100.0), -z, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 30])
def test_nearest_equal_to_pysal(k):
    esda = pytest.importorskip("esda")
    knn = pytest.importorskip("libpysal.weights").KNN
    north, east = place(400, kind="clustered")
    values = field(400, mean=20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # disconnected parts
        w = knn(np.stack([east, north], -1), k=k)
        expected = esda.G_Local(values, w, transform="B", star=True, permutations=0).Zs
    z = gi_star_nearest(north, east, None, values, moments_of(values), k=k)
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-6)


def test_matrix_of_pysal():
    from scipy import sparse

    band = pytest.importorskip("libpysal.weights").DistanceBand
    north, east = place(300)
    values = field(300, mean=20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = band(np.stack([east, north], -1), 150.0, binary=True, silence_warnings=True)
    z = gi_star_sparse(w.sparse + sparse.eye_array(300), values, moments_of(values))
    np.testing.assert_allclose(z, pysal(north, east, values, 150.0), rtol=0, atol=1e-6)


# Metres on the ellipsoid


def test_degrees_against_geodesics():
    from pyproj import Geod

    geod, rng = Geod(ellps="WGS84"), np.random.default_rng(2)
    latitude, longitude = 67.0 + rng.random(200) * 0.02, 179.0 + rng.random(200) * 0.05
    origin = np.zeros(200)
    north = geod.inv(longitude, origin, longitude, latitude)[2]
    squared = geod.es
    scale = geod.a / np.sqrt(1 - squared * np.sin(np.radians(latitude)) ** 2) * np.cos(np.radians(latitude))
    values = field(200)
    pairs = [
        np.repeat(longitude, 200),
        np.repeat(latitude, 200),
        np.tile(longitude, 200),
        np.tile(latitude, 200),
    ]
    apart = geod.inv(*pairs)[2].reshape(200, 200)
    assert abs(apart - 400.0).min() > 1e-3  # no pair that rounding could decide
    near = (apart <= 400.0).astype(float)
    expected = [z_of(w @ (values - values.mean()), w.sum(), w.sum(), values) for w in near]
    z = ask(north, np.radians(longitude), values, 400.0, scale)
    np.testing.assert_allclose(z, expected, **TIGHT)


def test_nearest_in_degrees_as_brute_force():
    rng = np.random.default_rng(3)
    latitude, longitude = rng.uniform(-1.2, 1.3, 150), rng.uniform(-3, 3, 150)
    north, scale = 6.3671e6 * latitude, 6.38e6 * np.cos(latitude)
    values = field(150)
    expected = brute_nearest(north, longitude, scale, values, 6)
    z = gi_star_nearest(north, longitude, scale, values, moments_of(values), k=6)
    np.testing.assert_allclose(z, expected, **TIGHT)


# What must not change a bit


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(1, 120),
    seed=st.integers(0, 2**32 - 1),
    distance=st.sampled_from([0.5, 40.0, 150.0, 700.0, 3000.0]),
    grid=st.sampled_from([None, 50.0, 0.1]),
    gaps=st.sampled_from([0.0, 0.3, 1.0]),
    weights=st.sampled_from(["binary", "inverse_distance"]),
)
def test_order_of_points_changes_no_bit(number, seed, distance, grid, gaps, weights):
    rng = np.random.default_rng(seed)
    north, east = rng.uniform(-500, 500, (2, number))
    if grid:
        north, east = np.round(north / grid / 4) * grid, np.round(east / grid / 4) * grid
    values, mixed = field(number, seed, gaps), rng.permutation(number)
    z = ask(north, east, values, distance, weights=weights)
    again = ask(north[mixed], east[mixed], values[mixed], distance, weights=weights)
    np.testing.assert_array_equal(again, z[mixed])
    np.testing.assert_allclose(z, loops(north, east, None, values, distance, weights), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_strips_change_no_bit(scaled):
    north, east = place(1500, kind="clustered", side=3000.0)
    values = field(1500, gaps=0.1)
    scale = None
    if scaled:
        east, scale = east / 4e6, 4e6 - (north - 4.5e6) * 0.7
    z = [ask(north, east, values, 150.0, scale, strips=m) for m in (1, 2, 3, 4, 7, 20, 64)]
    for other in z[1:]:
        np.testing.assert_array_equal(other, z[0])
    np.testing.assert_array_equal(ask(north, east, values, 150.0, scale), z[0])


@pytest.mark.parametrize("weights", ["binary", "inverse_distance"])
@pytest.mark.parametrize("distance", [60.0, 150.0, 333.3])
def test_parts_with_halo_give_the_whole(weights, distance):
    north, east = place(2000, kind="clustered", side=2000.0)
    north[::7], east[::7] = north[1::7][: north[::7].size], east[1::7][: east[::7].size]  # duplicates
    values = field(2000, gaps=0.1)
    numbers = moments_of(values)
    z = ask(north, east, values, distance, weights=weights)
    edges = np.quantile(north, [0, 0.21, 0.5, 0.53, 1]) + np.array([-1, 0, 0, 0, 1])
    for low, high in pairwise(edges):
        mine = np.flatnonzero((north >= low) & (north < high))
        halo = np.flatnonzero(
            (north >= low - distance) & (north < high + distance) & ~((north >= low) & (north < high))
        )
        both = np.concatenate([mine, halo[::-1]])
        part = ask(
            north[both], east[both], values[both], distance, own=mine.size, numbers=numbers, weights=weights
        )
        np.testing.assert_array_equal(part, z[mine])


def brute_nearest(north, east, scale, values, k):
    """Self and the k nearest by distance, then north, east, value."""
    here = np.flatnonzero(np.isfinite(north) & np.isfinite(east) & ~np.isnan(values))
    mean, answer = np.nanmean(values), np.full(values.size, np.nan)
    for i in here:
        keys = [
            (squared_distance(north, east, scale, i, j), north[j], east[j], values[j]) for j in here if j != i
        ]
        total = values[i] + sum(key[3] for key in sorted(keys)[:k]) - (k + 1) * mean
        answer[i] = z_of(total, k + 1, k + 1, values)
    return answer


@settings(max_examples=30, deadline=None)
@given(
    number=st.integers(3, 60),
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 40),
    grid=st.sampled_from([None, 40.0, 400.0]),
)
def test_nearest_breaks_ties_alike_in_any_order(number, seed, k, grid):
    rng = np.random.default_rng(seed)
    north, east = rng.uniform(-500, 500, (2, number))
    if grid:
        north, east = np.round(north / grid) * grid, np.round(east / grid) * grid
    values, mixed = field(number, seed, 0.1), rng.permutation(number)
    numbers, valid = moments_of(values), np.count_nonzero(~np.isnan(values))
    if 0 < valid <= k:
        with pytest.raises(ValueError, match=f"k={k} and {valid} valid points"):
            gi_star_nearest(north, east, None, values, numbers, k=k)
        return
    z = gi_star_nearest(north, east, None, values, numbers, k=k)
    again = gi_star_nearest(north[mixed], east[mixed], None, values[mixed], numbers, k=k)
    np.testing.assert_array_equal(again, z[mixed])
    if valid:
        np.testing.assert_allclose(z, brute_nearest(north, east, None, values, k), rtol=1e-6, atol=1e-9)


# Corners


def test_duplicates_at_one_place_all_count():
    north, east = np.array([0.0] * 70 + [500.0] * 3), np.zeros(73)
    values = field(73)
    z = ask(north, east, values, 10.0)
    np.testing.assert_allclose(z, loops(north, east, None, values, 10.0), **TIGHT)
    assert np.unique(z[:70]).size == 1
    inverse = ask(north, east, values, 10.0, weights="inverse_distance")
    np.testing.assert_allclose(inverse, z, **TIGHT)  # 1/max(0, 1) = 1 is the weight of all


@pytest.mark.parametrize("k", [3, 49, 50, 148, 149, 150, 160])
def test_nearest_of_many_duplicates(k):
    north, east = np.zeros(200), np.zeros(200)
    north[150:] = 10 + np.arange(50)
    values = np.round(field(200))
    z = gi_star_nearest(north, east, None, values, moments_of(values), k=k)
    np.testing.assert_allclose(z, brute_nearest(north, east, None, values, k), **TIGHT)


def test_nearest_of_a_crowd_costs_no_more():
    """A hundred thousand points without a place of their own, as a file with empty coordinates gives them."""
    north, east = place(2000)
    north, east = np.concatenate([north, np.zeros(100_000)]), np.concatenate([east, np.zeros(100_000)])
    values = field(north.size)
    z = gi_star_nearest(north, east, None, values, moments_of(values), k=5)
    lowest = np.argsort(values[2000:])[:6] + 2000
    expected = z_of((values[lowest] - values.mean()).sum(), 6, 6, values)
    np.testing.assert_allclose(z[lowest], expected, **TIGHT)


@pytest.mark.parametrize("strips", [None, 1, 3, 5, 30])
@pytest.mark.parametrize("origin", [0.0, 4_512_345.0])
def test_points_at_just_the_distance_count(strips, origin):
    rows, columns = np.mgrid[0:9, 0:9] * 30.0
    north, east = rows.ravel() + origin, columns.ravel() - origin
    values = field(81)
    middle, apart = 40, (rows - 120) ** 2 + (columns - 120) ** 2
    for distance, neighbours_of_middle in ((60.0, 13), (np.nextafter(60.0, 0), 9), (120.0, 49)):
        inside = apart.ravel() <= distance**2
        assert inside.sum() == neighbours_of_middle
        total = (values[inside] - values.mean()).sum()
        z = ask(north, east, values, distance, strips=strips)
        assert z[middle] == pytest.approx(z_of(total, inside.sum(), inside.sum(), values), rel=1e-9)
        np.testing.assert_allclose(z, loops(north, east, None, values, distance), **TIGHT)


@pytest.mark.parametrize("weights", ["binary", "inverse_distance"])
def test_one_point_constant_and_nothing_are_nan(weights):
    north, east = place(40)
    for values in (np.full(40, 3.0), np.full(40, np.nan), np.full(40, np.nan, np.float32)):
        z = ask(north, east, values, 100.0, weights=weights)
        assert np.isnan(z).all()
        assert z.dtype == values.dtype
    assert np.isnan(ask(north[:1], east[:1], np.ones(1), 100.0, weights=weights)).all()
    assert ask(north[:0], east[:0], np.ones(0), 100.0, weights=weights).shape == (0,)
    assert ask(north, east, np.ones((2, 0, 40)), 100.0, weights=weights).shape == (2, 0, 40)
    assert np.isnan(ask(north * np.nan, east, field(40), 100.0, weights=weights)).all()


def test_everything_within_the_distance_is_nan():
    north, east = place(40)
    for distance in (1e4, 1e200, math.inf):
        assert np.isnan(ask(north, east, field(40), distance)).all()


def test_no_neighbour_is_the_value_itself():
    north, east = place(40)
    values = field(40)
    standardised = (values - values.mean()) / values.std()
    for distance in (1e-3, 1e-9):
        np.testing.assert_allclose(ask(north, east, values, distance), standardised, **TIGHT)


@pytest.mark.parametrize("weights", ["binary", "inverse_distance"])
def test_far_apart_and_unevenly_spread(weights):
    """Far more strips than points, an outlier in easting that makes one bucket of nearly all, a pole of scale 0."""
    north, east = place(100, side=40.0)
    north[::2] += 9e6
    east[7] += 1e12
    values = field(100)
    expected = loops(north, east, None, values, 15.0, weights)
    np.testing.assert_allclose(ask(north, east, values, 15.0, weights=weights), expected, **TIGHT)
    angle, scale = np.linspace(-3, 3, 100), np.linspace(40, 0, 100)
    expected = loops(-scale, angle, scale, values, 15.0, weights)
    np.testing.assert_allclose(ask(-scale, angle, values, 15.0, scale, weights=weights), expected, **TIGHT)


def test_sparse_strip_beside_a_dense_one():
    rng = np.random.default_rng(0)
    north = np.concatenate([rng.uniform(0, 10, 600), rng.uniform(10, 20, 9)])
    east = np.concatenate([rng.uniform(0, 100, 600), rng.uniform(0, 100, 9)])
    values = field(609)
    for strips in (1, 2, 4):
        z = ask(north, east, values, 10.0, strips=strips)
        np.testing.assert_allclose(z[580:], loops(north, east, None, values, 10.0)[580:], **TIGHT)


def test_extremes_of_the_fixed_point():
    north, east = place(200)
    for factor in (1e-150, 1e-30, 1e30, 1e150):
        values = field(200) * factor
        z = ask(north, east, values, 100.0)
        np.testing.assert_allclose(z, ask(north, east, field(200), 100.0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("count", [1, 7, 10**6, 2**22, 10**8, 2**40])
def test_sums_of_all_values_fit(count):
    factor, _ = fields.in_fixed_point((count, 0.0, 1.0, 3.7))
    assert count * math.ceil(3.7 * factor) < 2**63
    assert factor >= 2.0 ** (60 - math.ceil(math.log2(count + 1)) - 2) / 2 or factor >= 2.0**38


def test_dense_points_are_cut_finer():
    north, east = place(4000, side=1000.0)
    present = np.ones(4000, bool)
    for distance in (20.0, 100.0):
        square = (north[:, None] - north) ** 2 + (east[:, None] - east) ** 2
        mean = (square <= distance**2).sum() / 4000 - 1
        guess = neighbours._mean_neighbours(north, east, None, present, distance)
        assert mean / 2 < guess < 2 * mean
    assert neighbours._fineness(20.0) == 1
    assert 3 < neighbours._fineness(3000.0) < 9
    assert neighbours._fineness(1e9) == neighbours.FINEST


# A matrix of weights


def test_matrix_as_plain_loops():
    from scipy import sparse

    rng = np.random.default_rng(0)
    values = np.stack([field(50, 1, 0.3), field(50, 2, dtype=float)])
    dense = rng.random((50, 50)) * (rng.random((50, 50)) < 0.2) + np.eye(50)
    dense[7] = 0
    z = gi_star_sparse(sparse.csr_array(dense), values, moments_of(values))
    for at, one in enumerate(values):
        valid = ~np.isnan(one)
        mean = one[valid].mean()
        for i in range(50):
            w = dense[i][valid]
            expected = z_of(w @ (one[valid] - mean), w.sum(), (w**2).sum(), one) if valid[i] else math.nan
            np.testing.assert_allclose(z[at, i], expected, **TIGHT)
    assert np.isnan(z[1, 7])


def test_matrix_entries_given_twice_add_up():
    from scipy import sparse

    values = field(5)
    once = sparse.csr_matrix(([1.0, 3.0, 1.0], ([0, 0, 1], [0, 2, 1])), (5, 5))
    twice = sparse.csr_matrix(
        (np.array([1.0, 2.0, 1.0, 1.0]), np.array([0, 2, 2, 1]), np.array([0, 3, 4, 4, 4, 4]))
    )
    before = twice.data.copy()
    np.testing.assert_array_equal(
        gi_star_sparse(twice, values, moments_of(values)), gi_star_sparse(once, values, moments_of(values))
    )
    np.testing.assert_array_equal(twice.data, before)


def test_band_nearest_and_matrix_agree():
    from scipy import sparse

    north, east = place(80)
    values = field(80, gaps=0.2)
    square = (north[:, None] - north) ** 2 + (east[:, None] - east) ** 2
    numbers = moments_of(values)
    band = sparse.csr_array((square <= 200.0**2).astype(float))
    np.testing.assert_allclose(
        gi_star_sparse(band, values, numbers), ask(north, east, values, 200.0), **TIGHT
    )
    apart = np.where(np.isnan(values), np.inf, square)
    order = np.argsort(apart, axis=1)[:, :6]
    chosen = np.zeros((80, 80))
    np.put_along_axis(chosen, order, 1.0, 1)
    chosen[np.isnan(values)] = 0
    z = gi_star_nearest(north, east, None, values, numbers, k=5)
    np.testing.assert_allclose(gi_star_sparse(sparse.csr_array(chosen), values, numbers), z, **TIGHT)
