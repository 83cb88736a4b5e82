"""Points to pixels: the right points in the right pixel, the right statistic, in any order and any chunks."""

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import built_lazily, same_bits, with_crs
from xinsar.grid import crs_of
from xinsar.kernels import rasterize as kernels
from xinsar.operations.rasterize import STATISTICS, rasterize_points
from xinsar.schema import SchemaError


def make_points(n=300, *, seed=0, code="EPSG:32633", times=0, dtype="f4"):
    rng = np.random.default_rng(seed)
    x, y = 500_000 + rng.uniform(0, 240, n), 5_000_000 - rng.uniform(0, 180, n)
    value = rng.normal(size=n).astype(dtype)
    value[rng.random(n) < 0.2] = np.nan
    ds = xr.Dataset(
        {"velocity": ("point", value, {"units": "m year-1"})}, {"x": ("point", x), "y": ("point", y)}
    )
    if times:
        series = rng.normal(size=(times, n))
        series[rng.random(series.shape) < 0.2] = np.nan
        ds["displacement"] = ("time", "point"), series.astype(dtype), {"units": "m"}
    return crs_on(ds, code)


def crs_on(ds, code):
    from pyproj import CRS

    return ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_user_input(code).to_wkt()}))


def make_grid(height=6, width=8, size=30.0, *, north_up=True, code="EPSG:32633"):
    y = 5_000_000 - size / 2 - size * np.arange(height)
    coords = {"x": 500_000 + size / 2 + size * np.arange(width), "y": y if north_up else y[::-1]}
    grid = xr.DataArray(np.zeros((height, width)), dims=("y", "x"), coords=coords)
    return with_crs(grid, code)


def plain_pixels(x, y, grid):
    """Return (row, column) of each point by comparing it with the borders of every pixel, None outside."""
    halves = abs(float(grid.y[1] - grid.y[0])) / 2, abs(float(grid.x[1] - grid.x[0])) / 2
    found = []
    for px, py in zip(x, y, strict=True):
        rows = [i for i, c in enumerate(grid.y.values) if c - halves[0] <= py < c + halves[0]]
        columns = [j for j, c in enumerate(grid.x.values) if c - halves[1] <= px < c + halves[1]]
        assert len(rows) <= 1
        assert len(columns) <= 1
        found.append((rows[0], columns[0]) if rows and columns else None)
    return found


def plain_rasterize(x, y, values, grid, statistic):
    """The same by a loop and a dictionary of lists, statistics by pandas."""
    held = {}
    for place, value in zip(plain_pixels(x, y, grid), values, strict=True):
        held.setdefault(place, []).append(value)
    out = np.full(grid.shape, np.nan)
    count = np.zeros(grid.shape, int)
    for place, its in held.items():
        if place is not None:
            series = pd.Series(its, dtype=float)
            out[place] = series.std(ddof=0) if statistic == "std" else getattr(series, statistic)()
            count[place] = len(its)
    return out, count


@pytest.mark.parametrize("north_up", [True, False])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_pixel_holds_the_statistic_of_its_points(statistic, north_up):
    ds, grid = make_points(times=2), make_grid(north_up=north_up)
    out = rasterize_points(ds, grid, statistic=statistic)
    wanted, count = plain_rasterize(ds.x.values, ds.y.values, ds.velocity.values, grid, statistic)
    np.testing.assert_allclose(out.velocity, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(out.point_count, count)
    assert np.isnan(wanted).sum() < 5 < count.max()
    for t in range(2):
        wanted, _ = plain_rasterize(ds.x.values, ds.y.values, ds.displacement[t].values, grid, statistic)
        np.testing.assert_allclose(out.displacement[t], wanted, rtol=1e-6, atol=1e-7)


def test_outputs_are_labelled():
    ds = make_points(times=2).assign_attrs(track=26, history="made")
    out = rasterize_points(ds, make_grid(), statistic="mean")
    assert out.velocity.dims == ("y", "x")
    assert out.displacement.dims == ("time", "y", "x")
    assert out.velocity.attrs == {"units": "m year-1", "cell_methods": "area: mean"}
    assert out.point_count.dtype == np.int32
    assert out.point_count.attrs["units"] == "1"
    assert out.attrs == {"track": 26, "history": "made\nxinsar.rasterize_points(statistic='mean')"}
    assert out.velocity.chunks is None
    assert crs_of(out).to_epsg() == 32633


@pytest.mark.parametrize("north_up", [True, False])
def test_a_point_on_a_border_belongs_to_the_pixel_east_and_north(north_up):
    grid = make_grid(2, 2, 10.0, north_up=north_up)
    x = [500_000.0, 500_010.0, 500_010.0, 500_020.0, 500_005.0, 500_005.0, 500_005.0]
    y = [
        4_999_985.0,
        4_999_985.0,
        4_999_990.0,
        4_999_985.0,
        5_000_000.0,
        4_999_980.0,
        np.nextafter(4_999_980, 0),
    ]
    ds = crs_on(xr.Dataset(coords={"x": ("point", x), "y": ("point", y)}), "EPSG:32633")
    count = rasterize_points(ds, grid).point_count
    # south-west: the first and the sixth; south-east: the second; north-east: the third; the others lie outside
    assert count.sel(y=4_999_985).values.tolist() == [2, 1]
    assert count.sel(y=4_999_995).values.tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_borders_are_those_of_the_centres_for_any_step(data):
    number = data.draw(st.integers(1, 50))
    centre = data.draw(st.floats(-1e7, 1e7))
    size = data.draw(st.floats(1e-3, 1e3)) * data.draw(st.sampled_from([-1, 1]))
    edges = [centre + (i - 0.5) * size for i in range(number + 1)]
    near = [v for e in edges for v in (e, np.nextafter(e, np.inf), np.nextafter(e, -np.inf))]
    x = np.array([*near, *data.draw(st.lists(st.floats(-2e7, 2e7), max_size=5)), np.nan, np.inf])
    lattice = kernels.Lattice(number, centre, size, 1, 0.0, 1.0)
    found = kernels._cells_of(x, np.zeros(x.size), 0, 1, lattice)
    for value, cell in zip(x, found, strict=True):
        inside = [i for i in range(number) if min(edges[i : i + 2]) <= value < max(edges[i : i + 2])]
        assert [int(cell)] == (inside or [-1])


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), big=st.booleans())
def test_the_order_of_points_changes_no_bit(statistic, seed, big):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    values = rng.choice([-0.0, 0.0, 1e-3, 1e16, -1e16, np.nan, 3.0], n) if big else rng.normal(size=n)
    x, y = rng.uniform(0, 40, n), rng.uniform(-20, 0, n)
    lattice = kernels.Lattice(4, 5.0, 10.0, 2, -5.0, -10.0)
    order = rng.permutation(n)
    one, other = (
        kernels.rasterize(x[o], y[o], values[o], 0, 2, lattice=lattice, statistic=statistic)
        for o in (np.arange(n), order)
    )
    assert one.tobytes() == other.tobytes()


def test_many_values_in_a_pixel_are_sorted_too():
    rng = np.random.default_rng(3)
    values = rng.normal(size=5001)
    lattice = kernels.Lattice(1, 0.0, 2.0, 1, 0.0, 2.0)
    x = rng.uniform(-1, 1, values.size)
    for statistic in STATISTICS:
        got = kernels.rasterize(x, x, values, 0, 1, lattice=lattice, statistic=statistic)
        assert got[0, 0] == pytest.approx(getattr(np, statistic)(values), rel=1e-12, abs=1e-15)


def chunkings(ds):
    n = ds.sizes["point"]
    yield {"point": -1}
    yield {"point": 37}
    yield {"point": (1, n - 1)}
    if "time" in ds.dims:
        yield {"point": 100, "time": 1}


@pytest.mark.parametrize("coords", ["coordinates in memory", "lazy coordinates"])
@pytest.mark.parametrize("statistic", ["median", "mean", "std"])
def test_chunks_change_no_bit_and_nothing_is_computed(statistic, coords, monkeypatch):
    from xinsar.mapping import points as strips

    monkeypatch.setattr(strips, "STRIP_PIXELS", 17)  # two rows a strip
    ds, grid = make_points(times=3), make_grid()
    wanted = rasterize_points(ds, grid, statistic=statistic)
    for chunks in chunkings(ds):
        lazy = ds.chunk(chunks)
        if coords == "coordinates in memory":
            lazy = lazy.assign_coords(ds.coords)
        else:
            lazy = lazy.assign_coords(x=ds.x.chunk(point=chunks["point"]), y=ds.y.chunk(point=50))
        out = built_lazily(lambda d: rasterize_points(d, grid, statistic=statistic), lazy)
        assert all(v.chunks is not None for v in out.data_vars.values())
        assert len(out.velocity.chunks[0]) > 1
        same_bits(out.compute(scheduler="synchronous"), wanted)


def test_points_in_another_system_are_brought_to_the_target():
    from pyproj import Transformer

    ds, grid = make_points(), make_grid()
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(ds.x.values, ds.y.values)
    degrees = crs_on(ds.assign_coords(x=("point", lon), y=("point", lat)), "EPSG:4326")
    wanted = rasterize_points(ds, grid)
    for given_points in (degrees, degrees.chunk(point=60)):
        got = rasterize_points(given_points, grid)
        np.testing.assert_array_equal(got.point_count, wanted.point_count)
        np.testing.assert_array_equal(got.velocity, wanted.velocity)
    assert crs_of(got).to_epsg() == 32633


def test_dtypes_stay_or_widen_and_what_is_no_number_is_left_out():
    n = 30
    ds = make_points(n)
    point = ("point",)
    ds["double"] = point, np.arange(n, dtype="f8")
    ds["small"] = point, np.arange(n, dtype="i2")
    ds["large"] = point, np.arange(n, dtype="i8")
    ds["flag"] = point, np.zeros(n, "i1"), {"flag_values": [0, 1]}
    ds["sure"] = point, np.zeros(n, bool)
    ds["name"] = point, np.array(["a"] * n)
    ds["day"] = point, np.full(n, np.datetime64("2020-01-01", "ns"))
    ds["scalar"] = 3.0
    ds["turned"] = ("point", "time"), np.ones((n, 2), "f4")
    out = rasterize_points(ds, make_grid())
    dtypes = {name: str(v.dtype) for name, v in out.data_vars.items()}
    assert dtypes == {
        "velocity": "float32",
        "double": "float64",
        "small": "float32",
        "large": "float64",
        "turned": "float32",
        "point_count": "int32",
    }
    assert out.turned.dims == ("time", "y", "x")
    for name in ("double", "small", "large"):
        alone = rasterize_points(ds[[name]], make_grid())
        np.testing.assert_array_equal(out[name], alone[name])


def test_a_data_array_keeps_its_name():
    ds = make_points()
    out = rasterize_points(ds.velocity, make_grid())
    np.testing.assert_array_equal(out.velocity, rasterize_points(ds, make_grid()).velocity)
    assert list(rasterize_points(ds.velocity.rename(None), make_grid())) == ["value", "point_count"]


def test_empty_pixels_and_places_that_are_missing():
    ds = make_points(4)
    ds["velocity"] = "point", np.array([1, 2, np.nan, 5], "f4")
    x = np.array([500_010.0, 500_020.0, 500_100.0, np.nan])
    ds = ds.assign_coords(x=("point", x), y=("point", np.full(4, 4_999_990.0)))
    out = rasterize_points(ds, make_grid(1, 5))
    np.testing.assert_array_equal(out.velocity[0], np.array([1.5, np.nan, np.nan, np.nan, np.nan], "f4"))
    assert out.point_count.values[0].tolist() == [2, 0, 0, 1, 0]


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_an_infinite_value_is_an_error_when_computed(statistic, infinite):
    ds = make_points(40, times=2)
    ds["displacement"][1, 7] = infinite
    said = r"points: expected finite values or NaN, found an infinite one; mark it missing"
    with pytest.raises(ValueError, match=said):
        rasterize_points(ds, make_grid(), statistic=statistic)
    lazy = ds.chunk(point=9).assign_coords(ds.coords)
    out = built_lazily(lambda d: rasterize_points(d, make_grid(), statistic=statistic), lazy)
    with pytest.raises(ValueError, match=said):
        out.displacement.compute(scheduler="synchronous")
    ds["displacement"] = ds.displacement.where(np.isfinite(ds.displacement))
    cured = rasterize_points(ds, make_grid(), statistic=statistic)
    assert not np.isinf(cured.displacement).any()


def test_an_infinite_value_outside_of_the_target_does_not_disturb():
    ds = make_points(40)
    wanted = rasterize_points(ds.isel(point=slice(1, None)), make_grid())
    ds["velocity"][0], ds["x"][0] = np.inf, 1e6
    for some in (ds, ds.chunk(point=9)):
        same_bits(rasterize_points(some, make_grid()).compute(), wanted)


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", ">i2", "longdouble"])
def test_types_that_the_kernels_do_not_know_become_those_they_do(dtype):
    values = np.arange(30).astype(dtype)
    ds = make_points(30).drop_vars("velocity").assign(v=("point", values, {"units": "m"}))
    got = rasterize_points(ds, make_grid())
    wanted = rasterize_points(ds.assign(v=ds.v.astype("f8")), make_grid())
    assert got.v.dtype == ("float64" if values.dtype.itemsize > 4 else "float32")
    np.testing.assert_array_equal(got.v, wanted.v)
    assert got.v.attrs["units"] == "m"
    same_bits(rasterize_points(ds.chunk(point=7), make_grid()).compute(), got)


# --- targets


@pytest.mark.parametrize("size", [30, 7.3, 1000])
def test_a_resolution_makes_a_grid_that_holds_every_point(size):
    ds = make_points()
    out = rasterize_points(ds, size)
    assert int(out.point_count.sum()) == 300
    assert float(out.x[1] - out.x[0]) == pytest.approx(size) if out.sizes["x"] > 1 else True
    assert crs_of(out).to_epsg() == 32633


@settings(max_examples=40, deadline=None)
@given(
    first=st.integers(-1000, 1000),
    size=st.sampled_from([0.1, 0.3, 1 / 3, 7.0, 25.0]),
    far=st.sampled_from([0, 4e5]),
)
def test_points_on_the_borders_of_their_own_lattice_are_all_held(first, size, far):
    x = far + (first + np.arange(5)) * size
    ds = xr.Dataset(coords={"x": ("point", x, {"units": "m"}), "y": ("point", x, {"units": "m"})})
    assert int(rasterize_points(ds, size).point_count.sum()) == 5


def test_a_resolution_in_degrees_is_one_in_metres():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(11, 11.01, 400), rng.uniform(46, 46.01, 400)
    ds = crs_on(xr.Dataset(coords={"x": ("point", lon), "y": ("point", lat)}), "EPSG:4326")
    out = rasterize_points(ds, 100)
    assert int(out.point_count.sum()) == 400
    assert float(out.y[0] - out.y[1]) * 111_150 == pytest.approx(100, rel=0.01)
    assert float(out.x[1] - out.x[0]) * 111_320 * np.cos(np.radians(46)) == pytest.approx(100, rel=0.01)


def test_an_extent_crops():
    ds = make_points()
    out = rasterize_points(ds, (500_030, 4_999_880, 500_150, 4_999_940, 30))
    assert out.sizes == {"y": 2, "x": 4}
    whole = rasterize_points(ds, make_grid())
    np.testing.assert_array_equal(out.velocity, whole.velocity[2:4, 1:5])


def test_one_pixel_holds_all():
    ds = make_points()
    out = rasterize_points(ds, (499_000, 4_999_000, 501_000, 5_001_000, 2000))
    assert out.velocity.shape == (1, 1)
    assert out.velocity.item() == np.nanmedian(ds.velocity)
    assert out.point_count.item() == 300


def test_one_pixel_of_a_given_size_needs_no_crs():
    ds = make_points().drop_vars("spatial_ref")
    ds = ds.assign_coords({n: ds[n].assign_attrs(units="m") for n in ("x", "y")})
    for some, target in ((ds, (499_000, 4_999_000, 501_000, 5_001_000, 2000)), (ds.isel(point=[3]), 50.0)):
        out = rasterize_points(some, target)
        assert out.velocity.shape == (1, 1)
        assert out.point_count.item() == some.sizes["point"]
        xr.testing.assert_identical(rasterize_points(some, out).drop_attrs(), out.drop_attrs())


def test_a_single_row_in_degrees_has_the_height_of_its_own():
    lon, lat = np.linspace(11.001, 11.099, 50), np.linspace(60.0001, 60.0089, 50)
    lon, lat = np.append(lon, 11.05), np.append(lat, 59.9985)  # half a kilometre south of the row
    ds = crs_on(xr.Dataset(coords={"x": ("point", lon), "y": ("point", lat)}), "EPSG:4326")
    out = rasterize_points(ds, (11, 60, 11.1, 60.009, 1100))
    assert out.sizes == {"y": 1, "x": 6}
    assert int(out.point_count.sum()) == 50


def test_lazy_points_with_a_resolution_stay_lazy_in_their_values():
    ds = make_points()
    lazy = ds.chunk(point=50).assign_coords(ds.coords)
    got = built_lazily(lambda d: rasterize_points(d, 30), lazy)
    same_bits(got.compute(), rasterize_points(ds, 30))


# --- errors


def test_points_that_all_lie_outside_are_an_error():
    ds = make_points()
    far = ds.assign_coords(x=ds.x + 1e6)
    said = r"target: .* got x 500000 to 500240, y 4999820 to 5000000 \(EPSG:32633\)"
    with pytest.raises(ValueError, match=said + r"; they lie in x 1500\d+"):
        rasterize_points(far, make_grid())
    lazy = far.chunk(point=50).assign_coords(x=far.x.chunk(point=50), y=far.y.chunk(point=50))
    out = built_lazily(lambda d: rasterize_points(d, make_grid()), lazy)
    for name in out.data_vars:
        with pytest.raises(ValueError, match=said):
            out[name].compute(scheduler="synchronous")
    with pytest.raises(ValueError, match="at least one point"):
        rasterize_points(ds.isel(point=[]), make_grid())


@pytest.mark.parametrize(
    ("change", "target", "options", "error", "said"),
    [
        (lambda ds: ds, 30, {"statistic": "mode"}, ValueError, "statistic: expected one of 'median', 'mean'"),
        (lambda ds: ds.rename(point="ps"), 30, {}, SchemaError, "expected the dim 'point'"),
        (lambda ds: ds.drop_vars("y"), 30, {}, SchemaError, r"y: expected a coordinate y\(point\)"),
        (lambda ds: ds.velocity.values, 30, {}, TypeError, "points: expected an xarray"),
        (lambda ds: ds, None, {}, ValueError, "target: expected a resolution"),
        (lambda ds: ds, -5, {}, ValueError, "target"),
        (lambda ds: ds, "wide", {}, TypeError, "target"),
        (lambda ds: ds.drop_vars("spatial_ref"), 30, {}, ValueError, "CRS"),
        (lambda ds: ds.drop_vars("spatial_ref"), "grid", {}, ValueError, "CRS"),
    ],
)
def test_errors_name_the_argument(change, target, options, error, said):
    with pytest.raises(error, match=said):
        rasterize_points(change(make_points()), make_grid() if target == "grid" else target, **options)


def test_a_grid_on_no_ground_is_an_error():
    ds = make_points().drop_vars("spatial_ref")
    ds = ds.assign_coords(x=ds.x.assign_attrs(units="m"), y=ds.y.assign_attrs(units="m"))
    grid = make_grid(1, 1).drop_vars("spatial_ref")
    grid = grid.assign_coords(x=grid.x.assign_attrs(units="m"))
    with pytest.raises(ValueError, match="size of its only pixel"):
        rasterize_points(ds, grid)


# --- real points


@pytest.mark.real
def test_scatterers_of_xinmo_become_a_map(real_data):
    from xinsar.readers.points import open_points

    ds = open_points(real_data("maoxian-landslide-ps-stamps") / "Maoxian_SBAS.csv")
    out = rasterize_points(ds, 40)
    assert int(out.point_count.sum()) == 608
    assert out.displacement.dims == ("time", "y", "x")
    fastest = out.velocity.where(out.point_count >= 3).to_series().idxmin()
    assert (fastest[1], fastest[0]) == pytest.approx((103.662, 32.0806), abs=6e-4)
    lazy = open_points(real_data("maoxian-landslide-ps-stamps") / "Maoxian_SBAS.csv", chunks=100)
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(rasterize_points(lazy, 40).displacement, out.displacement)
