"""deramp: numpy's least squares field by field, bowls that stay, masks, control points, chunks, errors."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xinsar
from tests.helpers import (
    assert_same_everywhere,
    built_lazily,
    in_chunks,
    make_cube,
    random_cube,
    same_bits,
    with_crs,
)
from xinsar.operations.deramp import REFERENCE, deramp

TERMS = ("plane", "quadratic", "elevation", ("plane", "elevation"), ("quadratic", "elevation"))


def functions(shape, terms, elevation=None):
    """Values of the functions at every pixel, written plainly."""
    y, x = np.indices(shape).astype(float)
    found = [np.ones(shape)]
    if "plane" in terms or "quadratic" in terms:
        found += [x, y]
    if "quadratic" in terms:
        found += [x * x, x * y, y * y]
    return [*found, elevation] if "elevation" in terms else found


def least_squares(field, terms, elevation=None, weight=None):
    """The field less what numpy.linalg.lstsq fits to it."""
    columns = functions(field.shape, (terms,) if isinstance(terms, str) else terms, elevation)
    weight = np.ones(field.shape) if weight is None else np.nan_to_num(weight)
    used = np.isfinite(sum(columns)) & np.isfinite(field) & (weight > 0)
    root = np.sqrt(weight[used])
    matrix = np.array([c[used] for c in columns]).T
    found = np.linalg.lstsq(matrix * root[:, None], field[used] * root, rcond=None)[0]
    return field - sum(c * f for c, f in zip(found, columns, strict=True))


def hills(shape=(11, 13), seed=7):
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    return (1500 + 300 * np.sin(x / 3) * np.cos(y / 4) + 40 * rng.normal(size=shape)).astype("f4")


def cube(gaps=0.1, dtype=np.float64, **options):
    ds = random_cube(gaps=gaps, **options).rename(phase="unwrapped_phase").astype(dtype)
    ds["elevation"] = ("y", "x"), hills(ds.unwrapped_phase.shape[1:]), {"units": "m"}
    return ds


# ---- against numpy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", TERMS)
def test_equals_least_squares(terms):
    ds = cube(gaps=0.2)
    found = deramp(ds, terms=terms).unwrapped_phase
    height = ds.elevation.values.astype(float)
    for k in range(ds.sizes["pair"]):
        wanted = least_squares(ds.unwrapped_phase[k].values, terms, height)
        np.testing.assert_allclose(found[k], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("terms", TERMS)
def test_coherence_is_a_weight(terms):
    ds = cube(gaps=0.2)
    found = deramp(ds, terms=terms, weights="coherence").unwrapped_phase
    coherence = np.minimum(ds.coherence.values.astype(float), 0.98)
    for k in range(ds.sizes["pair"]):
        weight = coherence[k] ** 2 / (1 - coherence[k] ** 2)
        wanted = least_squares(ds.unwrapped_phase[k].values, terms, ds.elevation.values.astype(float), weight)
        np.testing.assert_allclose(found[k], wanted, rtol=0, atol=1e-9)


def test_series_and_velocities_go_by_temporal_coherence():
    rng = np.random.default_rng(2)
    ds = make_cube(rng.normal(size=(3, 11, 13)), rng.random((3, 11, 13)), name="unwrapped_phase")
    ds["temporal_coherence"] = ("y", "x"), rng.uniform(0, 1, (11, 13))
    ds["displacement"] = ("time", "y", "x"), rng.normal(size=(2, 11, 13)), {"units": "m"}
    ds["velocity"] = ("y", "x"), rng.normal(size=(11, 13)), {"units": "m year-1"}
    found = deramp(ds, weights="coherence")
    c = np.minimum(ds.temporal_coherence.values, 0.98)
    weight = c**2 / (1 - c**2)
    np.testing.assert_allclose(
        found.velocity, least_squares(ds.velocity.values, "plane", weight=weight), atol=1e-9
    )
    wanted = least_squares(ds.displacement[1].values, "plane", weight=weight)
    np.testing.assert_allclose(found.displacement[1], wanted, atol=1e-9)


@given(
    level=st.floats(-1e3, 1e3),
    slopes=st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-0.1, 0.1)),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_ramps_do_not_matter(level, slopes, seed):
    ds = cube(gaps=0.3, seed=seed)
    y, x = np.indices((11, 13))
    ramp = level + slopes[0] * x + slopes[1] * y + slopes[2] * ds.elevation.values.astype(float)
    found = deramp(ds.assign(unwrapped_phase=ds.unwrapped_phase + ramp), terms=("plane", "elevation"))
    wanted = deramp(ds, terms=("plane", "elevation"))
    np.testing.assert_allclose(found.unwrapped_phase, wanted.unwrapped_phase, atol=1e-8)


def test_flat_high_ground_is_fitted_well():
    """Metres of relief at 4000 m: a function that is nearly constant keeps its digits."""
    elevation = xr.DataArray(4000 + hills().astype(float) / 1000, dims=("y", "x"))
    field = 0.2 * elevation + 3
    found = deramp(field.rename("velocity"), terms="elevation", elevation=elevation).velocity
    assert float(abs(found).max()) < 1e-6 * float(field.std())


# ---- what stays -------------------------------------------------------------------------------------------------


def bowl(shape=(60, 80)):
    """A tilted field with a bowl of -20 in it, and where the ground stands still."""
    y, x = np.indices(shape)
    moved = -20 * np.exp(-((y - 30) ** 2 + (x - 25) ** 2) / 150)
    return moved, 0.1 * x - 0.05 * y + 4, (y - 30) ** 2 + (x - 25) ** 2 > 30**2


def test_a_bowl_that_is_masked_out_survives():
    moved, ramp, still = bowl()
    ds = make_cube((moved + ramp)[None], name="unwrapped_phase").astype(float)
    mask = xr.DataArray(still, dims=("y", "x"))
    kept = deramp(ds, mask=mask).unwrapped_phase[0]
    np.testing.assert_allclose(kept, moved, atol=0.06)
    eaten = deramp(ds).unwrapped_phase[0]
    assert float(eaten.min()) > -18.5
    assert float(abs(eaten - moved).max()) > 1.5


def test_control_points_look_only_where_they_lie():
    moved, ramp, _ = bowl()
    ds = make_cube((moved + ramp)[None], name="unwrapped_phase").astype(float)
    index = [(2, 50), (55, 70), (59, 60), (5, 75), (2, 50)]
    places = np.array([(float(ds.x[c]) + 2, float(ds.y[r]) - 4) for r, c in index])
    found = deramp(ds, points=places)
    np.testing.assert_allclose(found.unwrapped_phase[0], moved, atol=0.06)
    mask = xr.zeros_like(ds.unwrapped_phase[0], bool).drop_vars(["reference_time", "secondary_time"])
    for r, c in index:
        mask[r, c] = True
    np.testing.assert_array_equal(found.unwrapped_phase, deramp(ds, mask=mask).unwrapped_phase)
    more = deramp(ds, points=[*places.tolist(), (0, 0)])
    np.testing.assert_array_equal(found.unwrapped_phase, more.unwrapped_phase)
    assert found.history.endswith("xinsar.deramp(terms=('plane',), points=5, weights='uniform')")


def test_control_points_of_a_table_in_another_crs():
    geopandas = pytest.importorskip("geopandas")
    ds = cube(gaps=0)
    places = [(float(ds.x[c]), float(ds.y[r])) for r, c in ((0, 0), (10, 2), (3, 12), (8, 8))]
    table = geopandas.GeoSeries.from_xy(*zip(*places, strict=True), crs=32633).to_frame("geometry")
    wanted = deramp(ds, points=places).unwrapped_phase
    for crs in (32633, 4326):
        np.testing.assert_array_equal(deramp(ds, points=table.to_crs(crs)).unwrapped_phase, wanted)


def test_the_mean_over_the_fit_is_zero_now():
    ds = cube()
    mask = ds.elevation > 1500
    found = deramp(ds, mask=mask)
    np.testing.assert_allclose(found.unwrapped_phase.where(mask).mean(("y", "x")), 0, atol=1e-12)
    assert found.attrs["reference"] == REFERENCE


def test_the_first_date_of_a_series_stays_zero():
    ds = (
        cube()
        .rename(unwrapped_phase="displacement", pair="time")
        .drop_vars(["reference_time", "secondary_time"])
    )
    series = (ds.displacement - ds.displacement[0]).assign_attrs(units="m")
    found = deramp(series).displacement
    assert set(np.unique(found[0].values[series[0].notnull().values])) == {0.0}


def test_the_rest_passes_through():
    ds = cube()
    ds["phase"] = xr.zeros_like(ds.unwrapped_phase)
    found = deramp(ds, terms=["elevation", "plane"])
    assert list(found) == list(ds)
    for name in ("coherence", "elevation", "phase"):
        xr.testing.assert_identical(found[name], ds[name])
    assert found.unwrapped_phase.attrs["ramp"] == "plane elevation"
    assert found.attrs == {**ds.attrs, "reference": REFERENCE, "history": found.history}
    assert found.history == "xinsar.deramp(terms=('plane', 'elevation'), weights='uniform')"
    xinsar.schema.check_cube(found)


def test_one_array_of_any_name():
    ds = cube()
    found = deramp(ds.unwrapped_phase.rename("anything").assign_attrs(units="mm"))
    assert found.anything.attrs["units"] == "mm"
    np.testing.assert_array_equal(found.anything, deramp(ds).unwrapped_phase)
    with_height = deramp(ds.unwrapped_phase, terms="elevation", elevation=ds.elevation)
    np.testing.assert_array_equal(with_height.unwrapped_phase, deramp(ds, terms="elevation").unwrapped_phase)
    whole = deramp((ds.unwrapped_phase.fillna(0) * 100).astype(np.int16))
    assert whole.unwrapped_phase.dtype == np.float64


# ---- points -----------------------------------------------------------------------------------------------------


def points(number=80, **attrs):
    rng = np.random.default_rng(4)
    ds = xr.Dataset(
        {
            "velocity": ("point", rng.normal(size=number), {"units": "m year-1"}),
            "elevation": ("point", rng.uniform(0, 900, number), {"units": "m"}),
        },
        {"x": ("point", rng.uniform(10, 11, number)), "y": ("point", rng.uniform(45, 46, number))},
        attrs,
    )
    ds.velocity[3] = np.nan
    return ds


@pytest.mark.parametrize("terms", TERMS)
def test_points_equal_least_squares(terms):
    ds = points()
    names = (terms,) if isinstance(terms, str) else terms
    x, y = ds.x.values - 10.5, ds.y.values - 45.5
    columns = [np.ones(80), *([x, y] if set(names) & {"plane", "quadratic"} else [])]
    columns += [x * x, x * y, y * y] if "quadratic" in names else []
    columns += [ds.elevation.values / 1000] if "elevation" in names else []
    known = ds.velocity.notnull().values
    matrix = np.array(columns).T
    fitted = matrix @ np.linalg.lstsq(matrix[known], ds.velocity.values[known], rcond=None)[0]
    found = deramp(ds, terms=terms)
    np.testing.assert_allclose(found.velocity, ds.velocity - fitted, atol=1e-11)
    for chunks in ({"point": 7}, {"point": 1}):
        lazy = built_lazily(lambda d: deramp(d, terms=terms), in_chunks(ds, chunks))
        same_bits(lazy.compute(scheduler="synchronous"), found)


def test_a_point_without_a_place_is_missing():
    ds = points()
    ds.x[5] = np.nan
    found = deramp(ds).velocity
    assert np.flatnonzero(found.isnull()).tolist() == [3, 5]
    np.testing.assert_allclose(
        found.dropna("point"),
        deramp(ds.isel(point=[i for i in range(80) if i != 5])).velocity.dropna("point"),
    )


# ---- gaps, chunks, laziness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("weights", ["uniform", "coherence"])
def test_every_chunking_gives_the_same(terms, weights):
    ds = cube(dtype=np.float32)
    mask = xr.DataArray(np.random.default_rng(0).random((11, 13)) < 0.8, dims=("y", "x"))
    found = assert_same_everywhere(lambda d: deramp(d, terms=terms, weights=weights, mask=mask), ds)
    assert found.unwrapped_phase.dtype == np.float32


def test_a_large_field_in_chunks():
    """More pixels than one slab or one flush of the sums holds."""
    rng = np.random.default_rng(0)
    field = (rng.normal(size=(1500, 1500)) + np.arange(1500) / 100).astype("f4")
    field[rng.random(field.shape) < 0.2] = np.nan
    ds = xr.Dataset({"velocity": (("y", "x"), field)})
    found = deramp(ds, terms="quadratic").velocity
    y, x = np.indices(field.shape) / 1500
    known = np.isfinite(field)
    matrix = np.array([c[known] for c in (x * 0 + 1, x, y, x * x, x * y, y * y)]).T
    values = field[known].astype(float)
    wanted = values - matrix @ np.linalg.lstsq(matrix, values, rcond=None)[0]
    np.testing.assert_allclose(found.values[known], wanted, atol=2e-6)
    lazy = deramp(ds.chunk({"y": 700, "x": 333}), terms="quadratic").velocity
    np.testing.assert_array_equal(lazy, found)


def test_lazy_mask_and_eager_data():
    ds = cube()
    mask = (ds.elevation > 1450).chunk({"y": 4})
    lazy = built_lazily(lambda d: deramp(d, mask=mask, terms="elevation"), ds)
    wanted = deramp(ds, mask=mask.compute(), terms="elevation")
    assert lazy.unwrapped_phase.chunks is not None
    np.testing.assert_array_equal(lazy.unwrapped_phase, wanted.unwrapped_phase)


def test_a_field_that_cannot_be_fitted_is_missing():
    ds = cube(gaps=0)
    ds.unwrapped_phase[1] = np.nan
    ds.unwrapped_phase[2, 1:] = np.nan
    ds.unwrapped_phase[3, :, 2:] = np.nan
    ds.unwrapped_phase[3, 4:] = np.nan
    found = deramp(ds).unwrapped_phase
    assert found.isnull().all(("y", "x")).values.tolist() == [False, True, True, False, False, False]
    wanted = least_squares(ds.unwrapped_phase[3].values, "plane")
    np.testing.assert_allclose(found[3], wanted, atol=1e-10)


def test_one_pair_of_a_stack_is_made_from_itself_alone():
    reads = set()

    def read(block, block_info=None):
        reads.add(block_info[0]["chunk-location"][0])
        return block

    ds = cube(gaps=0)
    data = da.from_array(ds.unwrapped_phase.values, chunks=(1, 6, 7)).map_blocks(
        read, dtype=float, meta=np.empty((0, 0, 0))
    )
    lazy = ds.assign(unwrapped_phase=(("pair", "y", "x"), data))
    mask = ds.elevation > 1400
    for options in (
        {},
        {"mask": mask},
        {"mask": mask, "terms": "elevation"},
        {"points": [(500_000, 5e6)] * 2 + [(500_100, 5e6), (500_050, 4_999_900)]},
    ):
        reads.clear()
        deramp(lazy, **options).unwrapped_phase[2].compute(scheduler="synchronous")
        assert reads == {2}


def test_a_hole_of_the_elevation_is_a_hole_of_the_result():
    ds = cube(gaps=0)
    ds.elevation[2:4, 5] = np.nan
    found = deramp(ds, terms="elevation").unwrapped_phase
    assert np.argwhere(found.isnull().any("pair").values).tolist() == [[2, 5], [3, 5]]
    np.testing.assert_allclose(
        found[0],
        least_squares(ds.unwrapped_phase[0].values, "elevation", ds.elevation.values.astype(float)),
        atol=1e-10,
    )
    assert deramp(ds).unwrapped_phase.notnull().all()


def test_leading_dims_pass_through():
    ds = cube()[["unwrapped_phase", "elevation"]]
    both = (
        xr.concat([ds.unwrapped_phase, 3 * ds.unwrapped_phase], "look")
        .to_dataset()
        .assign(elevation=ds.elevation)
    )
    found = deramp(both, terms=("plane", "elevation")).unwrapped_phase
    assert found.dims == ("look", "pair", "y", "x")
    wanted = deramp(ds, terms=("plane", "elevation")).unwrapped_phase
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_allclose(found[1], 3 * wanted, atol=1e-12)


def test_every_chunk_is_read_twice():
    reads = []

    def read(block, block_info=None):
        reads.append(tuple(block_info[0]["chunk-location"]))
        return block

    ds = cube(gaps=0)
    data = da.from_array(ds.unwrapped_phase.values, chunks=(3, 6, 7)).map_blocks(
        read, dtype=float, meta=np.empty((0, 0, 0))
    )
    reads.clear()
    lazy = deramp(ds.assign(unwrapped_phase=(("pair", "y", "x"), data)))
    assert not reads
    lazy.unwrapped_phase.compute(scheduler="synchronous")
    assert sorted(reads) == sorted(2 * list(np.ndindex(2, 2, 2)))


def test_a_point_of_a_stack_needs_few_tasks():
    """The graph grows with chunks, not with pixels or terms."""
    ds = in_chunks(cube(), {"pair": 1, "y": 6, "x": 7})
    sizes = [len(deramp(ds, terms=t).unwrapped_phase.__dask_graph__()) for t in ("plane", "quadratic")]
    assert sizes[0] == sizes[1]
    assert sizes[0] < 40 * 6 * 4


# ---- errors -----------------------------------------------------------------------------------------------------


def line(ds):
    mask = xr.zeros_like(ds.elevation, bool)
    mask[3] = True
    return {"mask": mask}


def corner(ds):
    mask = xr.zeros_like(ds.elevation, bool)
    mask[:1, :2] = True
    return {"mask": mask}


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda ds: ds.unwrapped_phase.values, {}, TypeError, "^data: "),
        (
            lambda ds: ds.rename(unwrapped_phase="phase"),
            {},
            xinsar.SchemaError,
            "^data: expected .*got: coherence, elevation, phase; unwrap",
        ),
        (
            lambda ds: ds.unwrapped_phase.rename("phase"),
            {},
            xinsar.SchemaError,
            "^data: expected a field without jumps, got wrapped phase; unwrap",
        ),
        (lambda ds: ds, {"terms": "cubic"}, ValueError, "^terms: .*'plane', 'quadratic', 'elevation'"),
        (lambda ds: ds, {"terms": ()}, ValueError, "^terms: .*got none.*reference_to"),
        (lambda ds: ds, {"terms": 2}, TypeError, "^terms: "),
        (lambda ds: ds, {"weights": "best"}, ValueError, "^weights: .*'uniform', 'coherence'"),
        (
            lambda ds: ds.drop_vars("coherence"),
            {"weights": "coherence"},
            xinsar.SchemaError,
            "^weights: expected coherence .*unwrapped_phase, got elevation",
        ),
        (
            lambda ds: ds.unwrapped_phase,
            {"weights": "coherence"},
            xinsar.SchemaError,
            "^weights: .*no dataset",
        ),
        (lambda ds: ds, {"mask": np.ones((11, 13), bool)}, TypeError, "^mask: expected a boolean DataArray"),
        (lambda ds: ds, lambda ds: {"mask": ds.elevation}, TypeError, "^mask: .*float32"),
        (
            lambda ds: ds,
            lambda ds: {"mask": (ds.elevation > 0).assign_coords(y=ds.y + 20)},
            ValueError,
            "^mask: expected the grid of the data, 11 along y, got other coordinates along y",
        ),
        (lambda ds: ds, lambda ds: {**line(ds), "points": [(0, 0)]}, ValueError, "^points: .*got both"),
        (lambda ds: ds, {"points": [(0, 0)]}, ValueError, "^points: .*within the grid .*got none of 1"),
        (lambda ds: ds, {"points": "here"}, ValueError, "^points: expected a GeoDataFrame"),
        (lambda ds: ds, {"points": np.zeros((0, 2))}, ValueError, "^points: expected a GeoDataFrame"),
        (lambda _: points(), {"points": [(10.5, 45.5)]}, ValueError, "^points: expected a grid"),
        (
            lambda ds: ds.drop_vars("elevation"),
            {"terms": "elevation"},
            xinsar.SchemaError,
            "^elevation: the term 'elevation' needs",
        ),
        (
            lambda ds: ds,
            {"terms": "elevation", "elevation": 3.0},
            TypeError,
            "^elevation: expected an xarray",
        ),
        (
            lambda ds: ds.assign(elevation=ds.elevation.assign_attrs(units="feet")),
            {"terms": "elevation"},
            xinsar.SchemaError,
            "^elevation: expected units 'm', got 'feet'",
        ),
        (
            lambda ds: ds,
            lambda ds: {"terms": "elevation", "elevation": ds.elevation[:, 1:]},
            ValueError,
            "^elevation: expected the grid of the data, 13 along x, got 12",
        ),
        (
            lambda ds: ds,
            lambda ds: {
                "terms": "elevation",
                "elevation": with_crs(ds[["elevation"]], "EPSG:32634").elevation,
            },
            ValueError,
            "^elevation: expected the CRS of the data, .*33N, got .*34N",
        ),
        (
            lambda ds: ds.assign(elevation=ds.elevation * 0 + 1234.5),
            {"terms": "elevation"},
            ValueError,
            "^terms: the 143 pixels that may be used cannot tell the terms apart: .*one elevation",
        ),
        (lambda ds: ds, line, ValueError, "^terms: the 13 pixels .*one line"),
        (lambda ds: ds, corner, ValueError, "^deramp: expected 3 pixels or more .*got 2 that are valid"),
        (lambda ds: ds.isel(y=[3]), {}, ValueError, "^terms: expected 2 rows and columns .*got 1 x 13"),
        (
            lambda ds: ds.isel(x=[3, 4]),
            {"terms": "quadratic"},
            ValueError,
            "^terms: expected 3 rows .*got 11 x 2",
        ),
        (
            lambda ds: ds.unwrapped_phase[0].where(ds.x < ds.x[1]),
            {},
            ValueError,
            "^terms: the 11 pixels .*one line",
        ),
        (lambda ds: ds.unwrapped_phase[0] * np.nan, {}, ValueError, "^deramp: expected 3 pixels .*got 0"),
        (
            lambda ds: ds.assign(unwrapped_phase=ds.unwrapped_phase.where(ds.elevation > 1300, np.inf)),
            {},
            ValueError,
            "^values: expected finite",
        ),
    ],
)
def test_bad_input(change, options, error, words):
    ds = cube(gaps=0)
    options = options(ds) if callable(options) else options
    with pytest.raises(error, match=words):
        deramp(change(ds), **options)


def test_bad_values_are_told_when_computed():
    ds = in_chunks(cube(gaps=0), {"pair": 2, "y": 5})
    lazy = built_lazily(lambda d: deramp(d, **corner(d)), ds)
    with pytest.raises(ValueError, match=r"^deramp: expected 3 pixels or more"):
        lazy.compute(scheduler="synchronous")


def test_control_points_of_another_kind():
    geopandas = pytest.importorskip("geopandas")
    ds = cube(gaps=0)
    table = geopandas.GeoSeries.from_xy([500_000.0], [5_000_000.0], crs=32633)
    with pytest.raises(ValueError, match=r"^points: expected a GeoDataFrame of points, got Polygon"):
        deramp(ds, points=table.buffer(10).to_frame("geometry"))
    with pytest.raises(ValueError, match=r"^points: the points have no CRS"):
        deramp(ds, points=geopandas.GeoSeries.from_xy([1.0], [1.0]).to_frame("geometry"))
