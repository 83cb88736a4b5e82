"""Gi* of points: PySAL beside ours, its weights fed in, degrees, partitions, and what must go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.helpers import built_lazily

pytestmark = pytest.mark.filterwarnings("ignore:The weights matrix is not fully connected:UserWarning")


def points(number=400, *, seed=0, units="m", dtype=np.float64, lead=(), clustered=False):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 2000, number), rng.uniform(0, 1500, number)
    if clustered:
        x[: number // 2] = 900 + 60 * rng.normal(size=number // 2)
        y[: number // 2] = 700 + 60 * rng.normal(size=number // 2)
    if units == "degrees_east":
        x, y = 13 + x / 75_000, 47 + y / 111_000
    values = rng.normal(size=(*lead, number)).astype(dtype)
    dims = (*("time",)[: len(lead)], "point")
    array = xr.DataArray(values, dims=dims, coords={"x": ("point", x), "y": ("point", y)}, name="velocity")
    array["x"].attrs["units"] = array["y"].attrs["units"] = units
    return array


def in_chunks(array, chunks):
    lazy = array.chunk(point=chunks)
    places = {k: ("point", lazy[k].variable.chunk({"point": chunks}).data, lazy[k].attrs) for k in ("x", "y")}
    return lazy.assign_coords(places)


def band(array, distance, **options):
    weights = pytest.importorskip("libpysal.weights")
    places = np.column_stack([array.x, array.y])
    return weights.DistanceBand(places, distance, silence_warnings=True, **{"binary": True, **options})


def esda_z(values, w, **options):
    esda = pytest.importorskip("esda")
    return esda.G_Local(values, w, star=True, permutations=0, **{"transform": "B", **options}).Zs


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("distance", [60.0, 150.0, 700.0])
def test_pysal(clustered, distance):
    array = points(clustered=clustered) + 10
    found = xinsar.getis_ord(array, distance).hot_spot.values
    np.testing.assert_allclose(found, esda_z(array.values, band(array, distance)), rtol=1e-6, atol=1e-6)


def test_k_nearest_is_pysals():
    weights = pytest.importorskip("libpysal.weights")
    array = points() + 10
    w = weights.KNN(np.column_stack([array.x, array.y]), k=7)
    np.testing.assert_allclose(
        xinsar.getis_ord(array, k=7).hot_spot.values, esda_z(array.values, w), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["W", "Graph", "sparse"])
def test_weights_of_pysal_go_straight_in(kind):
    array = points() + 10
    w = band(array, 150)
    if kind == "Graph":
        w = pytest.importorskip("libpysal.graph").Graph.from_W(w)
    elif kind == "sparse":
        w = w.sparse
    found = xinsar.getis_ord(array, weights=w).hot_spot.values
    np.testing.assert_allclose(found, xinsar.getis_ord(array, 150).hot_spot.values, rtol=1e-9, atol=1e-9)
    lazy = xinsar.getis_ord(in_chunks(array, 90), weights=w).hot_spot
    assert lazy.chunksizes["point"] == (90, 90, 90, 90, 40)
    np.testing.assert_array_equal(lazy.values, found)


def test_general_weights_follow_the_formula():
    array = points(60)
    rng = np.random.default_rng(4)
    matrix = np.where(rng.random((60, 60)) < 0.2, rng.random((60, 60)), 0.0)
    np.fill_diagonal(matrix, 0)
    sparse = pytest.importorskip("scipy.sparse").csr_array(matrix)
    array[5] = np.nan
    found = xinsar.getis_ord(array, weights=sparse).hot_spot.values
    np.fill_diagonal(matrix, np.where(matrix.max(axis=1) > 0, matrix.max(axis=1), 1))
    there = ~np.isnan(array.values)
    x, w = array.values[there], matrix[np.ix_(there, there)]
    n, big_w, big_w2 = x.size, w.sum(axis=1), (w**2).sum(axis=1)
    wanted = (w @ x - x.mean() * big_w) / (x.std() * np.sqrt((n * big_w2 - big_w**2) / (n - 1)))
    np.testing.assert_allclose(found[there], wanted, rtol=1e-9)
    assert np.isnan(found[5])


def test_row_standardised_weights_are_not_too_small():
    """The statistic does not depend on the scale of a row of weights; esda's row-standardised one does, by sqrt(k)."""
    array = points() + 10
    w = band(array, 250)
    binary = xinsar.getis_ord(array, weights=w).hot_spot.values
    w.transform = "r"
    standardised = xinsar.getis_ord(array, weights=w).hot_spot.values
    np.testing.assert_allclose(standardised, binary, rtol=1e-9, atol=1e-9)


def test_weights_are_brought_to_the_order_of_the_points():
    weights = pytest.importorskip("libpysal.weights")
    array = points(50) + 10
    names = [f"ps{i}" for i in range(50)]
    w = band(array, 300)
    shuffled = list(np.random.default_rng(0).permutation(50))
    named = weights.W(
        {names[i]: [names[j] for j in w.neighbors[i]] for i in shuffled},
        id_order=[names[i] for i in shuffled],
    )
    wanted = xinsar.getis_ord(array, 300).hot_spot.values
    for coord in ("point", "id"):
        told = array.assign_coords({coord: ("point", names)})
        np.testing.assert_allclose(xinsar.getis_ord(told, weights=named).hot_spot.values, wanted, atol=1e-9)
    with pytest.raises(
        ValueError, match=r"ids do not match the points: 50 of 50.*assign_coords\(point=ids\)"
    ):
        xinsar.getis_ord(array, weights=named)
    with pytest.raises(ValueError, match="ids do not match the points: 1 of 50"):
        xinsar.getis_ord(array.assign_coords(point=[*names[:-1], "other"]), weights=named)


def test_ids_that_repeat_are_refused_with_ready_made_weights():
    array = points(50).assign_coords(id=("point", ["a", "a", *(f"p{i}" for i in range(2, 50))]))
    w = pytest.importorskip("libpysal.weights").W(
        {name: [] for name in ("a", "b", *(f"p{i}" for i in range(2, 50)))}, silence_warnings=True
    )
    with pytest.raises(
        ValueError, match="every point to have an id of its own, got 1 points that repeat one"
    ):
        xinsar.getis_ord(array, weights=w)


def test_weights_of_other_points_are_refused():
    w = band(points(30), 300)
    with pytest.raises(ValueError, match="weights among 40 points, got 30 x 30"):
        xinsar.getis_ord(points(40), weights=w)
    with pytest.raises(ValueError, match="distance: expected None together with weights"):
        xinsar.getis_ord(points(30), 100, weights=w)
    with pytest.raises(ValueError, match="weights: expected points"):
        xinsar.getis_ord(
            xr.DataArray(np.zeros((5, 6)), dims=("y", "x"), coords={"y": range(5), "x": range(6)}), weights=w
        )


def test_degrees_go_by_the_ellipsoid():
    pyproj = pytest.importorskip("pyproj")
    array = points(300, units="degrees_east")
    geod = pyproj.Geod(ellps="WGS84")
    lon, lat, values = array.x.values, array.y.values, array.values
    i, j = np.meshgrid(range(300), range(300), indexing="ij")
    apart = geod.inv(lon[i], lat[i], lon[j], lat[j])[2]
    near = apart <= 200
    assert not ((apart > 199.9995) & (apart < 200.0005)).any()
    w = near.sum(axis=1)
    wanted = (near @ values - values.mean() * w) / (values.std() * np.sqrt((300 * w - w**2) / 299))
    np.testing.assert_allclose(xinsar.getis_ord(array, 200).hot_spot.values, wanted, atol=1e-9)
    for weights, options in (("inverse_distance", {"distance": 200}), ("binary", {"k": 5})):
        assert np.isfinite(xinsar.getis_ord(array, weights=weights, **options).hot_spot).all()


def test_inverse_distance_is_the_formula():
    array = points(200)
    x, y, values = array.x.values, array.y.values, array.values
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    w = np.where(apart <= 300, 1 / np.maximum(apart, 1), 0)
    total, squares = w.sum(axis=1), (w**2).sum(axis=1)
    wanted = (w @ values - values.mean() * total) / (values.std() * np.sqrt((200 * squares - total**2) / 199))
    found = xinsar.getis_ord(array, 300, weights="inverse_distance").hot_spot.values
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("units", ["m", "degrees_east"])
@pytest.mark.parametrize(
    "options", [{"distance": 150}, {"distance": 150, "weights": "inverse_distance"}, {"k": 6}]
)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_partitions_give_the_same_bits_and_compute_nothing_early(units, options, lead):
    array = points(units=units, dtype=np.float32, lead=lead, clustered=True)
    array[..., 7] = np.nan
    whole = xinsar.getis_ord(array, fdr=True, **options)
    for chunks in (400, 111, (1, 5, 394)):
        lazy = built_lazily(lambda a: xinsar.getis_ord(a, fdr=True, **options), in_chunks(array, chunks))
        for name in whole:
            assert lazy[name].chunks is not None
            np.testing.assert_array_equal(lazy[name].values, whole[name].values, err_msg=str(name))


def test_the_order_of_points_does_not_matter():
    array = points(clustered=True)
    order = np.random.default_rng(9).permutation(400)
    for options in ({"distance": 90}, {"distance": 90, "weights": "inverse_distance"}, {"k": 4}):
        found = xinsar.getis_ord(array, **options).hot_spot.values
        moved = xinsar.getis_ord(array[order], **options).hot_spot.values
        np.testing.assert_array_equal(moved, found[order])


def test_what_has_no_answer_is_nan():
    one = points(1)
    assert np.isnan(xinsar.getis_ord(one, 100).hot_spot).all()
    constant = points(20) * 0 + 3
    assert np.isnan(xinsar.getis_ord(constant, 100).hot_spot).all()
    assert np.isnan(xinsar.getis_ord(points(20) * np.nan, 100).hot_spot).all()
    assert np.isnan(xinsar.getis_ord(points(20), 1e7).hot_spot).all()
    lost = points(50)
    lost.x[3] = np.nan
    found = xinsar.getis_ord(lost, 300).hot_spot
    assert np.isnan(found[3])
    assert found.notnull().sum() == 49


def test_points_at_one_place_count_one_by_one():
    """(libpysal's DistanceBand leaves points at distance 0 out.)"""
    array = points(60)
    array.x[:20] = array.x[0]
    array.y[:20] = array.y[0]
    found = xinsar.getis_ord(array, 1.0).hot_spot.values
    values = array.values
    alone = (values - values.mean()) / values.std()
    np.testing.assert_allclose(found[20:], alone[20:], atol=1e-9)
    together = (values[:20].sum() - 20 * values.mean()) / (values.std() * np.sqrt((60 * 20 - 400) / 59))
    np.testing.assert_allclose(found[:20], together, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "distance: expected the radius"),
        ({"distance": -1}, ValueError, "distance"),
        ({"k": 0}, ValueError, "k: expected a whole number, 1 or more"),
        ({"k": 2.5}, TypeError, "k"),
        ({"k": True}, TypeError, "k"),
        ({"k": 30}, ValueError, "k"),
        ({"k": 3, "distance": 100}, ValueError, "distance: expected None together with k"),
        ({"distance": 100, "weights": "queen"}, ValueError, "weights: expected one of"),
        ({"distance": 100, "weights": np.eye(30)}, TypeError, "weights: expected .* got ndarray"),
        (
            {"distance": 100, "fdr": 0.01},
            TypeError,
            "fdr: expected True or False, got 0.01; give the rate itself as alpha",
        ),
    ],
)
def test_wrong_arguments(options, error, words):
    with pytest.raises(error, match=words):
        xinsar.getis_ord(points(30), **options)


def test_points_without_places_or_units():
    array = points(30)
    with pytest.raises(xinsar.SchemaError, match=r"x: expected a coordinate x\(point\)"):
        xinsar.getis_ord(array.drop_vars("x"), 100)
    with pytest.raises(xinsar.SchemaError, match="x: expected real numbers, got dtype"):
        xinsar.getis_ord(array.assign_coords(x=("point", array.x.values.astype(str))), 100)
    with pytest.raises(ValueError, match="expected values, got none"):
        xinsar.getis_ord(array[:0], 100)
    with pytest.raises(xinsar.SchemaError, match=r"reorder with transpose\(..., 'point'\)"):
        xinsar.getis_ord(points(30, lead=(2,)).transpose("point", "time"), 100)
    array.x.attrs.clear()
    with pytest.raises(ValueError, match="no CRS and x"):
        xinsar.getis_ord(array, 100)


@pytest.mark.parametrize("chunks", [None, 10])
def test_metres_called_degrees_are_an_error(chunks):
    array = points(30)
    array.x.attrs["units"] = "degrees_east"
    with pytest.raises(ValueError, match=r"expected latitudes within -90\.\.90 degrees.*are no degrees"):
        xinsar.getis_ord(array if chunks is None else in_chunks(array, chunks), 100).compute()


@pytest.mark.parametrize("chunks", [None, 10])
def test_an_infinite_value_is_an_error_when_computed(chunks):
    array = points(30)
    array[4] = -np.inf
    with pytest.raises(ValueError, match="infinite one"):
        xinsar.getis_ord(array if chunks is None else in_chunks(array, chunks), 100).compute()


@pytest.mark.real
@pytest.mark.parametrize("kind", ["PS", "SBAS"])
def test_xinmo_beside_pysal(real_data, kind):
    """The slope that failed on 2017-06-24: our z next to PySAL's, on its 97 and 608 points.

    Of the 608 some share a place; DistanceBand would leave those out of each other's neighbours.
    """
    ds = xinsar.open_points(real_data("maoxian-landslide-ps-stamps") / f"Maoxian_{kind}.csv")
    from xinsar.grid import metric_of

    north, east, scale = metric_of(ds).place(ds.x.values, ds.y.values)
    places = np.column_stack([north, (east - east.mean()) * scale.mean()])
    near = pytest.importorskip("scipy.spatial").cKDTree(places).query_ball_point(places, 150)
    w = pytest.importorskip("libpysal.weights").W(
        {i: [j for j in found if j != i] for i, found in enumerate(near)}, silence_warnings=True
    )
    shifted = ds.velocity.values.astype(float) + 1
    oracle = esda_z(shifted, w)
    ours = xinsar.getis_ord(ds, 150).hot_spot
    np.testing.assert_allclose(ours, oracle, atol=2e-5)
    np.testing.assert_allclose(xinsar.getis_ord(ds, weights=w).hot_spot, oracle, atol=2e-5)
    coldest = ds.isel(point=int(np.argmin(ours.values)))
    assert abs(float(coldest.x) - 103.662) < 0.0015
    assert abs(float(coldest.y) - 32.0806) < 0.0015
    assert ours.min() < -5
