"""schema: names, dims, units and dates, and what each error says."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.helpers import make_cube, random_cube
from xinsar import schema


def test_every_row_is_consistent():
    for name, row in schema.VARIABLES.items():
        assert row.name == name
        assert row.dims in ((), ("pair",)) or row.dims[-1] == "x", name
        assert row.kind in "fib"
        assert row.units
        assert row.long_name[0].islower() or not row.long_name[0].isalpha()
        assert set(row.optional) <= set(row.dims)
        if row.limits:
            assert row.limits[0] < row.limits[1]


@pytest.mark.parametrize(
    ("name", "dims", "units"),
    [
        ("phase", ("pair", "y", "x"), "rad"),
        ("unwrapped_phase", ("pair", "y", "x"), "rad"),
        ("coherence", ("pair", "y", "x"), "1"),
        ("phase_consistency", ("pair", "y", "x"), "1"),
        ("displacement", ("time", "y", "x"), "m"),
        ("velocity", ("y", "x"), "m year-1"),
        ("los", ("component", "y", "x"), "1"),
        ("pair_count", ("y", "x"), "1"),
        ("stack_years", ("y", "x"), "year"),
        ("gradient_z_y", ("y", "x"), "1"),
        ("gradient_coherence_x", ("y", "x"), "1"),
        ("elevation", ("y", "x"), "m"),
    ],
)
def test_table_of_the_design(name, dims, units):
    row = schema.VARIABLES[name]
    assert (row.dims, row.units) == (dims, units)


def test_year_and_components():
    assert schema.YEAR_IN_DAYS == 365.25
    assert schema.COMPONENTS == ("east", "north", "up")


def test_schema_error_is_a_value_error():
    assert issubclass(xinsar.SchemaError, ValueError)


def test_find_returns_what_is_there():
    ds = random_cube()
    assert schema.find(ds, schema.PHASE).identical(ds.phase)
    both = ds.assign(unwrapped_phase=ds.phase)
    assert schema.find_first(both, schema.PHASE, schema.UNWRAPPED_PHASE).name == "phase"
    only = both.drop_vars("phase")
    assert schema.find_first(only, schema.PHASE, schema.UNWRAPPED_PHASE).name == "unwrapped_phase"
    with pytest.raises(xinsar.SchemaError, match=r"^phase: .*coherence"):
        schema.find_first(ds.drop_vars("phase"), schema.PHASE, schema.UNWRAPPED_PHASE)


def test_find_tells_what_the_dataset_holds():
    with pytest.raises(xinsar.SchemaError, match=r"^velocity: .*holds: coherence, phase.*rename.*open_stack"):
        schema.find(random_cube(), schema.VELOCITY)
    with pytest.raises(xinsar.SchemaError, match="holds: no variable"):
        schema.find(xr.Dataset(), schema.VELOCITY)
    with pytest.raises(TypeError, match=r"xarray.Dataset holding 'phase', got DataArray"):
        schema.find(random_cube().phase, schema.PHASE)


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        (
            ("y", "x"),
            r"^coherence: expected trailing dims \('pair', 'y', 'x'\), got \('y', 'x'\); .*expand_dims\('pair'\)",
        ),
        (("y", "x", "pair"), r"got \('y', 'x', 'pair'\); reorder with transpose\(..., 'pair', 'y', 'x'\)"),
        (("pair", "lat", "lon"), r"got \('pair', 'lat', 'lon'\); .*'y'"),
    ],
)
def test_wrong_dims(dims, words):
    with pytest.raises(xinsar.SchemaError, match=words):
        schema.check(xr.DataArray(np.zeros([2] * len(dims)), dims=dims), schema.COHERENCE)


def test_leading_dims_and_optional_dims_are_legal():
    schema.check(xr.DataArray(np.zeros((2, 3, 4, 5)), dims=("track", "pair", "y", "x")), schema.PHASE)
    schema.check(xr.DataArray(np.zeros((4, 5)), dims=("y", "x")), schema.DISPLACEMENT)
    schema.check(xr.DataArray(np.zeros((3, 4, 5)), dims=("time", "y", "x")), schema.DISPLACEMENT)
    schema.check(xr.DataArray(np.zeros((4, 5)), dims=("y", "x")), schema.GRADIENT_X)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (
            complex,
            r"^phase: expected a floating-point type, got dtype complex128; take its angle with numpy.angle",
        ),
        (bool, r"^phase: .*got dtype bool; convert"),
        ("U3", r"^phase: .*convert"),
    ],
)
def test_wrong_dtypes(dtype, words):
    with pytest.raises(xinsar.SchemaError, match=words):
        schema.check(xr.DataArray(np.zeros((1, 2, 2), dtype), dims=("pair", "y", "x")), schema.PHASE)


def test_integers_may_stand_for_floats_and_not_for_booleans():
    schema.check(xr.DataArray(np.zeros((1, 2, 2), np.uint8), dims=("pair", "y", "x")), schema.COHERENCE)
    with pytest.raises(xinsar.SchemaError, match=r"^snow: expected bool"):
        schema.check(xr.DataArray(np.zeros((2, 2), np.uint8), dims=("y", "x")), schema.SNOW)


@pytest.mark.parametrize("units", ["rad", "radian", "radians", "Radians", None])
def test_spellings_of_units(units):
    ds = random_cube()
    ds.phase.attrs = {} if units is None else {"units": units}
    schema.find(ds, schema.PHASE)


@pytest.mark.parametrize("units", ["degree", "m", "cycles", "mm"])
def test_wrong_units(units):
    ds = random_cube()
    ds.phase.attrs["units"] = units
    words = rf"^phase: expected units 'rad', got '{units}'; convert the values and set attrs\['units'\]"
    with pytest.raises(xinsar.SchemaError, match=words):
        schema.find(ds, schema.PHASE)


def test_label_and_assemble():
    ds = random_cube().assign_attrs(history="made", colour="red")
    before = ds.phase.attrs.copy()
    out = schema.label(schema.GRADIENT_X, ds.phase, estimator="rate", units="rad m-1 year-1")
    assert out.name == "gradient_x"
    assert out.attrs["units"] == "rad m-1 year-1"
    assert out.attrs["offset"] == 0.5
    assert ds.phase.attrs == before
    joined = schema.assemble([out], ds, history="xinsar.test()")
    assert joined.attrs["history"] == "made\nxinsar.test()"
    assert joined.attrs["wavelength"] == 0.0555
    assert "colour" not in joined.attrs
    fresh = schema.assemble([out], ds.drop_attrs(deep=False), history="xinsar.test()")
    assert fresh.attrs == {"history": "xinsar.test()"}


# ---- pairs ----------------------------------------------------------------------------------------------------


def test_check_pairs_returns_nanosecond_dates():
    ds = random_cube()
    first, second = schema.check_pairs(ds)
    assert first.dtype == second.dtype == np.dtype("datetime64[ns]")
    assert (first < second).all()
    seconds = ds.assign_coords(
        {n: ("pair", ds[n].values.astype("datetime64[s]")) for n in ("reference_time", "secondary_time")}
    )
    np.testing.assert_array_equal(schema.check_pairs(seconds), [first, second])


def test_reversed_dates_are_an_error_here_and_flipped_by_stack_from_arrays():
    ds = random_cube((2, 3, 4), gaps=0)
    turned = ds.assign_coords(reference_time=ds.secondary_time, secondary_time=ds.reference_time)
    with pytest.raises(
        xinsar.SchemaError, match=r"^reference_time: .*2020-01-13.*pair 0; flip.*stack_from_arrays"
    ):
        schema.check_pairs(turned)
    flipped = xinsar.stack_from_arrays(
        ds.phase.values,
        ds.coherence.values,
        turned.reference_time.values,
        turned.secondary_time.values,
        ds.x.values,
        ds.y.values,
        "EPSG:32633",
    )
    schema.check_pairs(flipped)
    np.testing.assert_array_equal(flipped.phase, -ds.phase)
    np.testing.assert_array_equal(flipped.reference_time, ds.reference_time)
    a = xinsar.phase_gradient_stack(flipped, estimator="sum")
    b = xinsar.phase_gradient_stack(ds, estimator="sum")
    np.testing.assert_allclose(a.gradient_x, -b.gradient_x, atol=1e-6)


def test_equal_dates_are_an_error():
    ds = random_cube()
    with pytest.raises(xinsar.SchemaError, match="reference_time < secondary_time"):
        schema.check_pairs(ds.assign_coords(secondary_time=ds.reference_time))


def test_missing_dates_are_an_error():
    ds = random_cube()
    dates = ds.reference_time.values.copy()
    dates[2] = np.datetime64("NaT", "ns")
    with pytest.raises(xinsar.SchemaError, match=r"reference_time.*pair 2"):
        schema.check_pairs(ds.assign_coords(reference_time=("pair", dates)))


def test_a_pair_given_twice_is_named():
    ds = random_cube().isel(pair=[0, 1, 2, 1, 1])
    with pytest.raises(
        xinsar.SchemaError, match=r"^pair: the pair 2020-01-01 - 2020-01-25 appears 3 times; keep one"
    ):
        schema.check_pairs(ds)


def test_pairs_that_share_one_date_are_no_duplicates():
    schema.check_pairs(make_cube(np.zeros((3, 2, 2)), days=[(0, 12), (0, 24), (12, 24)]))


@pytest.mark.parametrize("name", ["reference_time", "secondary_time"])
def test_dates_are_asked_for_by_name(name):
    ds = random_cube()
    with pytest.raises(xinsar.SchemaError, match=rf"^{name}: .*assign_coords\({name}=\('pair', dates\)\)"):
        schema.check_pairs(ds.drop_vars(name))
    with pytest.raises(xinsar.SchemaError, match=rf"^{name}: expected datetime64 on dim 'pair', got int64"):
        schema.check_pairs(ds.assign_coords({name: ("pair", np.arange(6))}))
    scalar = ds.drop_vars(name).assign_coords({name: np.datetime64("2020-01-01", "ns")})
    with pytest.raises(xinsar.SchemaError, match=rf"^{name}: expected datetime64 on dim 'pair'"):
        schema.check_pairs(scalar)


def test_check_cube_checks_all_it_knows_and_nothing_else():
    ds = random_cube()
    schema.check_cube(ds.assign(weather=("y", np.full(11, "dry"))))
    with pytest.raises(xinsar.SchemaError, match=r"^coherence: "):
        schema.check_cube(ds.assign(coherence=ds.coherence.assign_attrs(units="m")))
    with pytest.raises(xinsar.SchemaError, match=r"^reference_time: "):
        schema.check_cube(ds.drop_vars("reference_time"))


def test_checks_compute_nothing():
    from tests.helpers import built_lazily, in_chunks

    built_lazily(lambda d: schema.check_cube(d) or d, in_chunks(random_cube(), {"pair": 2}))
