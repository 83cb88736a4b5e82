"""Pixels under outlines: plain loops, chunks, what is read, borders, gradients on edges, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon, box

import xinsar
from tests.helpers import built_lazily, in_chunks, make_cube, mesh, with_crs
from xinsar.operations.zonal import STATISTICS, pixels_covered, summed_gradients, zonal_statistics

WEST, NORTH, STEP = 500_000.0, 5_000_000.0, 20.0
ALL = {name: ("velocity", name) for name in STATISTICS}


def maps(rows=30, columns=40, *, gaps=0.1, seed=0, ascending_y=False):
    """A map of velocities, and one of masks, on pixels of 20 m."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.03, (rows, columns))
    values[rng.random(values.shape) < gaps] = np.nan
    y = NORTH - STEP * np.arange(rows)
    ds = xr.Dataset(
        {"velocity": (("y", "x"), values), "snow": (("y", "x"), rng.random(values.shape) < 0.3)},
        {"y": y, "x": WEST + STEP * np.arange(columns)},
    )
    return with_crs(ds.isel(y=slice(None, None, -1)) if ascending_y else ds, "EPSG:32633")


def bodies(number=25, *, seed=1, rows=30, columns=40):
    """Discs of all sizes in and around the map."""
    import geopandas as gpd

    rng = np.random.default_rng(seed)
    x = WEST + STEP * rng.uniform(-4, columns + 4, number)
    y = NORTH - STEP * rng.uniform(-4, rows + 4, number)
    shapes = [
        Point(*p).buffer(r, quad_segs=5) for *p, r in zip(x, y, rng.uniform(3, 150, number), strict=True)
    ]
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633", index=np.arange(number) * 10)


def by_hand(ds, shape, name="velocity"):
    """Valid values of the pixels whose centres lie in a shape, one pixel after another."""
    out = []
    for i, j in np.ndindex(ds.sizes["y"], ds.sizes["x"]):
        if shape.covers(Point(float(ds.x[j]), float(ds.y[i]))):
            out.append(float(ds[name][i, j]))
    return np.array([v for v in out if v == v])


@pytest.mark.parametrize("ascending_y", [False, True])
def test_equals_plain_loops(ascending_y):
    ds, found = maps(rows=14, columns=18, ascending_y=ascending_y), bodies(12, rows=14, columns=18)
    found = found[found.geometry.area > 900]
    frame = zonal_statistics(ds, found, {**ALL, "snow": ("snow", "mean")})
    assert frame.index.equals(found.index)
    assert len(frame) > 5
    for row, shape in zip(frame.to_dict("records"), found.geometry, strict=True):
        values = by_hand(ds, shape)
        assert row["count"] == values.size
        if not values.size:
            assert np.isnan([row[name] for name in STATISTICS if name != "count"]).all()
            continue
        wanted = {
            "mean": values.mean(), "median": np.median(values), "std": values.std(), "min": values.min(),
            "max": values.max(), "peak": max(values, key=abs),
        }  # fmt: skip
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value, rel=1e-12), name
        assert row["snow"] == pytest.approx(by_hand(ds, shape, "snow").mean())


def test_same_numbers_in_every_chunking():
    ds, found = maps(), bodies(60)
    wanted = zonal_statistics(ds, found, ALL)
    for chunks in (
        {"y": -1, "x": -1},
        {"y": 7, "x": 11},
        {"y": 1, "x": -1},
        {"y": -1, "x": 1},
        {"y": 16, "x": 16},
    ):
        found_here = zonal_statistics(in_chunks(ds, chunks), found, ALL)
        assert found_here.equals(wanted), chunks


def test_only_chunks_under_outlines_are_read():
    import dask.array as da

    read = []

    def block(block_info=None):
        place = block_info[None]["chunk-location"]
        read.append(place)
        return np.ones((10, 10))

    data = da.map_blocks(block, chunks=((10,) * 6, (10,) * 6), dtype=float)
    ds = maps(60, 60).assign(velocity=(("y", "x"), data))
    import geopandas as gpd

    x, y = ds.x.values, ds.y.values
    shapes = [
        box(x[2], y[7], x[6], y[3]),  # in the first chunk
        box(x[25], y[28], x[33], y[23]),  # over two
        box(x[52], y[57], x[56], y[53]),  # in the last one
    ]
    frame = zonal_statistics(ds, gpd.GeoSeries(shapes, crs=32633), {"n": ("velocity", "count")})
    assert set(read) == {(0, 0), (2, 2), (2, 3), (5, 5)}
    assert len(read) == 4
    assert (frame["n"] > 0).all()


def test_outlines_that_share_chunks_are_read_together():
    import dask.array as da

    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((30, 40))

    ds = maps().assign(velocity=(("y", "x"), da.map_blocks(block, chunks=((30,), (40,)), dtype=float)))
    zonal_statistics(ds, bodies(40), {"n": ("velocity", "count")})
    assert len(read) == 1


def test_an_outline_without_a_centre_takes_what_it_touches():
    import geopandas as gpd

    ds = maps(gaps=0)
    between = Point(WEST + 3.5 * STEP, NORTH - 2.5 * STEP).buffer(2)  # at the corner of four pixels
    inside = Point(WEST + 3 * STEP + 4, NORTH - 2 * STEP + 4).buffer(2)
    frame = zonal_statistics(ds, gpd.GeoSeries([between, inside], crs=32633), ALL)
    assert frame["count"].tolist() == [4, 1]
    assert frame["mean"][0] == pytest.approx(float(ds.velocity[2:4, 3:5].mean()))
    assert frame["mean"][1] == pytest.approx(float(ds.velocity[2, 3]))


def test_outside_empty_and_missing_outlines_have_no_value():
    import geopandas as gpd

    shapes = [box(0, 0, 10, 10), Polygon(), None, Point(WEST, NORTH).buffer(30)]
    frame = zonal_statistics(maps(gaps=0), gpd.GeoSeries(shapes, crs=32633), ALL)
    assert frame["count"].tolist()[:3] == [0, 0, 0]
    assert frame["mean"].isna().tolist() == [True, True, True, False]


def test_holes_and_parts_count():
    import geopandas as gpd

    ds = maps(gaps=0)
    outer = box(WEST - 10, NORTH - 190, WEST + 190, NORTH + 10)
    ring = outer.difference(box(WEST + 30, NORTH - 150, WEST + 150, NORTH - 30))
    parts = shapely.union_all(
        [
            box(WEST - 10, NORTH - 30, WEST + 30, NORTH + 10),
            box(WEST + 390, NORTH - 30, WEST + 430, NORTH + 10),
        ]
    )
    frame = zonal_statistics(ds, gpd.GeoSeries([ring, parts], crs=32633), ALL)
    assert frame["count"].tolist() == [100 - 36, 8]


def test_box_is_the_bounding_box():
    import geopandas as gpd

    triangle = Polygon([(WEST - 10, NORTH + 10), (WEST + 190, NORTH + 10), (WEST - 10, NORTH - 190)])
    shapes = gpd.GeoSeries([triangle], crs=32633)
    ds = maps(gaps=0)
    assert zonal_statistics(ds, shapes, ALL, within="box")["count"].tolist() == [100]
    assert zonal_statistics(ds, shapes, ALL)["count"][0] < 60


def test_outlines_in_another_system():
    ds, found = maps(), bodies(20)
    found = found[found.geometry.area > 5000]
    near = zonal_statistics(ds, found.to_crs(4326), ALL)
    wanted = zonal_statistics(ds, found, ALL)
    assert (abs(near["count"] - wanted["count"]) <= 2).all()


def test_directions_average_on_the_circle():
    import geopandas as gpd

    aspect = np.full((4, 4), 350.0)
    aspect[:2] = 10.0
    ds = maps(4, 4).assign(aspect=(("y", "x"), aspect))
    whole = gpd.GeoSeries([box(WEST - 10, NORTH - 70, WEST + 70, NORTH + 10)], crs=32633)
    mean = zonal_statistics(ds, whole, {"aspect": ("aspect", "circular_mean")})["aspect"][0]
    assert min(mean, 360 - mean) < 1e-9


def test_gradients_lie_half_a_pixel_on():
    """An outline around the edge between two pixels finds the gradient there, not that of its neighbours."""
    import geopandas as gpd

    values = np.arange(36.0).reshape(6, 6)
    edge = {"units": "rad", "offset": 0.5}
    ds = maps(6, 6).assign(gradient_x=(("y", "x"), values, edge), gradient_y=(("y", "x"), values, edge))
    beside = Point(WEST + 2.5 * STEP, NORTH - 3 * STEP).buffer(6)
    below = Point(WEST + 2 * STEP, NORTH - 3.5 * STEP).buffer(6)
    measures = {d: (f"gradient_{d}", "mean") for d in "xy"} | {"n": ("gradient_x", "count")}
    frame = zonal_statistics(ds, gpd.GeoSeries([beside, below], crs=32633), measures)
    assert frame["x"][0] == values[3, 2]
    assert frame["y"][1] == values[3, 2]
    assert frame["n"][0] == 1


def test_a_single_map_without_reference_system():
    import geopandas as gpd

    one = xr.DataArray(
        np.ones((3, 3), "i4"), dims=("y", "x"), coords={"y": [2, 1, 0], "x": [0, 1, 2]}, name="n"
    )
    frame = zonal_statistics(one, gpd.GeoSeries([box(-0.5, -0.5, 1.5, 0.5)]), {"sum": ("n", "count")})
    assert frame["sum"].tolist() == [2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1, 300), st.integers(1, 9), st.integers(1, 9))
def test_any_disc_in_any_chunks(seed, radius, rows, columns):
    import geopandas as gpd

    rng = np.random.default_rng(seed)
    ds = maps(12, 15, seed=seed)
    place = WEST + STEP * rng.uniform(-3, 18), NORTH - STEP * rng.uniform(-3, 15)
    found = gpd.GeoSeries([Point(*place).buffer(radius)], crs=32633)
    wanted = zonal_statistics(ds, found, ALL)
    assert zonal_statistics(ds.chunk(y=rows, x=columns), found, ALL).equals(wanted)
    values = by_hand(ds, found[0])
    if values.size:
        assert wanted["count"][0] == values.size


@pytest.mark.parametrize(
    ("change", "measures", "options", "error", "words"),
    [
        (lambda ds: ds.velocity.values, ALL, {}, TypeError, "^data: expected an xarray"),
        (lambda ds: ds, {"v": ("speed", "mean")}, {}, xinsar.SchemaError, "^speed: .*holds: snow, velocity"),
        (lambda ds: ds, {"v": ("velocity", "mode")}, {}, ValueError, "^measures.*'mean'"),
        (lambda ds: ds.expand_dims("time"), ALL, {}, xinsar.SchemaError, "^velocity: expected dims .*isel"),
        (lambda ds: ds.astype(complex), ALL, {}, xinsar.SchemaError, "^velocity: expected real numbers"),
        (lambda ds: ds.drop_vars("spatial_ref"), ALL, {}, ValueError, "^outlines: .*got 'none' and 'WGS 84"),
        (lambda ds: ds, ALL, {"within": "hull"}, ValueError, "^within: expected one of 'outline', 'box'"),
        (lambda ds: ds.isel(x=[0, 1, 5]), ALL, {}, ValueError, "^x: expected evenly spaced"),
    ],
)
def test_bad_input(change, measures, options, error, words):
    with pytest.raises(error, match=words):
        zonal_statistics(change(maps()), bodies(), measures, **options)


def test_outlines_must_be_a_table():
    with pytest.raises(TypeError, match="outlines: expected a GeoDataFrame"):
        zonal_statistics(maps(), [box(0, 0, 1, 1)], ALL)


# ---- coverage ---------------------------------------------------------------------------------------------------


def test_coverage_is_told_strip_by_strip(monkeypatch):
    from xinsar.operations import zonal

    ds, found = maps(), bodies(30)
    (whole,) = [mask for (mask,) in pixels_covered(ds, (found,))]
    monkeypatch.setattr(zonal, "_STRIP", 130)
    strips = [mask for (mask,) in pixels_covered(ds, (found,))]
    assert len(strips) == 10
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    wanted = [[found.union_all().covers(Point(float(x), float(y))) for x in ds.x] for y in ds.y]
    np.testing.assert_array_equal(whole, wanted)


# ---- the paper's scale ------------------------------------------------------------------------------------------


def stacks():
    """One cube of a plane, stacked as a rate and as a sum."""
    days = mesh(9)
    slope = np.linspace(0, 2, 30)[None, :] * np.ones((20, 1))
    phase = np.stack([slope * (b - a) / 30 for a, b in days])
    ds = make_cube(np.angle(np.exp(1j * phase)), days=days, spacing=(20.0, 10.0))
    return [xinsar.phase_gradient_stack(ds, window=1, estimator=e) for e in ("rate", "sum", "wrapped_sum")]


def test_rates_and_sums_come_to_one_scale():
    rate, total, _ = (summed_gradients(s) for s in (*stacks()[:2], stacks()[1]))
    for name in ("gradient_y", "gradient_x"):
        np.testing.assert_allclose(rate[name], total[name], atol=2e-3)
        assert rate[name].attrs["units"] == "rad"
        assert rate[name].attrs["offset"] == 0.5
    assert float(abs(total.gradient_x).max()) > 0.3


def test_a_wrapped_sum_counts_when_it_is_unwrapped():
    wrapped = stacks()[2]
    with pytest.raises(xinsar.SchemaError, match="gradient_y: a wrapped sum tells nothing"):
        summed_gradients(wrapped)
    unwrapped = wrapped[["gradient_x"]].rename(gradient_x="unwrapped_gradient_x")
    assert list(summed_gradients(unwrapped)) == ["gradient_x"]


def test_the_scale_is_lazy():
    rate = in_chunks(stacks()[0], {"y": 7, "x": 8})
    lazy = built_lazily(summed_gradients, rate)
    assert lazy.gradient_x.chunks is not None
    np.testing.assert_array_equal(lazy.compute().gradient_x, summed_gradients(stacks()[0]).gradient_x)


def test_stacks_are_checked():
    rate = stacks()[0]
    with pytest.raises(TypeError, match=r"stack: expected an xarray\.Dataset"):
        summed_gradients(rate.gradient_x)
    with pytest.raises(xinsar.SchemaError, match="gradient_y, gradient_x: the stack has neither"):
        summed_gradients(rate[["pair_count"]])
    with pytest.raises(xinsar.SchemaError, match="stack_years: the dataset has no variable"):
        summed_gradients(rate[["gradient_x"]])
    pairs = rate[["gradient_x"]].expand_dims(pair=2)
    with pytest.raises(xinsar.SchemaError, match="gradient_x: expected a stack"):
        summed_gradients(pairs)
