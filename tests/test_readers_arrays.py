"""stack_from_arrays: the canonical cube from plain arrays."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xinsar import schema
from xinsar.readers import stack_from_arrays

SHAPE = (2, 3, 4)
REFERENCE, SECONDARY = ["2020-01-01", "2020-01-13"], ["2020-01-13", "2020-01-25"]
X, Y = 500000 + 30 * np.arange(4), 4000000 - 30 * np.arange(3)


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-np.pi, np.pi, SHAPE), rng.uniform(0, 1, SHAPE)


def test_canonical_cube():
    phase, coherence = arrays()
    ds = stack_from_arrays(
        phase,
        coherence,
        REFERENCE,
        SECONDARY,
        X,
        Y,
        "EPSG:32633",
        unwrapped_phase=phase * 3,
        perpendicular_baseline=[10, -20],
        los=np.ones((3, 3, 4)) / np.sqrt(3),
        elevation=np.ones((3, 4)),
        wavelength=0.0555,
        heading=-12.0,
        orbit_direction="ascending",
        track=26,
    )
    schema.check_cube(ds)
    assert set(ds.data_vars) == {"phase", "unwrapped_phase", "coherence", "los", "elevation"}
    assert all(v.dtype == np.float32 for v in ds.data_vars.values())
    np.testing.assert_array_equal(ds.phase, phase.astype("f4"))
    np.testing.assert_array_equal(ds.y, Y)
    assert ds.rio.crs.to_epsg() == 32633
    assert ds.spatial_ref.attrs["GeoTransform"] == "499985.0 30.0 0.0 4000015.0 0.0 -30.0"
    assert ds.attrs["wavelength"] == 0.0555
    assert ds.attrs["track"] == 26
    assert "incidence" not in ds.attrs
    assert isinstance(ds.phase.data, np.ndarray)


def test_dask_stays_lazy():
    phase, coherence = (da.from_array(a, chunks=(1, 3, 2)) for a in arrays())

    def forbid(*_, **__):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=forbid):
        ds = stack_from_arrays(phase, coherence, SECONDARY, REFERENCE, X, Y[::-1], "EPSG:32633")
    assert ds.phase.chunks == ((1, 1), (3,), (2, 2))
    np.testing.assert_array_equal(ds.phase, -arrays()[0].astype("f4")[:, ::-1])


def test_reversed_pairs_are_flipped_and_sorted():
    phase, coherence = arrays()
    ds = stack_from_arrays(
        phase,
        coherence,
        ["2020-01-13", "2020-01-13"],
        ["2020-01-25", "2020-01-01"],
        X,
        Y,
        units="m",
        unwrapped_phase=phase,
        perpendicular_baseline=[10.0, -20.0],
    )
    assert [str(t)[:10] for t in ds.reference_time.values] == ["2020-01-01", "2020-01-13"]
    np.testing.assert_array_equal(ds.phase[0], -phase[1].astype("f4"))
    np.testing.assert_array_equal(ds.unwrapped_phase[0], -phase[1].astype("f4"))
    np.testing.assert_array_equal(ds.coherence[0], coherence[1].astype("f4"))
    np.testing.assert_array_equal(ds.phase[1], phase[0].astype("f4"))
    np.testing.assert_array_equal(ds.perpendicular_baseline, [20.0, 10.0])
    assert ds.x.attrs["units"] == ds.y.attrs["units"] == "m"
    assert ds.phase.attrs["units"] == "rad"
    assert ds.perpendicular_baseline.attrs["units"] == "m"


@settings(max_examples=20, deadline=None)
@given(turn_x=st.booleans(), turn_y=st.booleans(), swap=st.booleans())
def test_orientation_of_the_input_does_not_matter(turn_x, turn_y, swap):
    phase, coherence = arrays()
    plain = stack_from_arrays(phase, coherence, REFERENCE, SECONDARY, X, Y, "EPSG:32633")
    step_y, step_x = (-1 if turn else 1 for turn in (turn_y, turn_x))
    turned = stack_from_arrays(
        (-1 if swap else 1) * phase[:, ::step_y, ::step_x],
        coherence[:, ::step_y, ::step_x],
        SECONDARY if swap else REFERENCE,
        REFERENCE if swap else SECONDARY,
        X[::step_x],
        Y[::step_y],
        "EPSG:32633",
    )
    xr.testing.assert_identical(turned, plain)


def test_without_coherence_or_wrapped_phase():
    phase, _ = arrays()
    ds = stack_from_arrays(None, None, REFERENCE, SECONDARY, X, Y, 32633, unwrapped_phase=10 * phase)
    assert set(ds.data_vars) == {"unwrapped_phase"}


def test_degrees_radar_geometry_and_one_pixel():
    phase = np.zeros((1, 1, 1))
    ds = stack_from_arrays(phase, None, ["2020-01-01"], ["2020-01-13"], [10.0], [45.0], units="degrees")
    assert ds.x.attrs["units"] == "degrees_east"
    assert float(ds.x[0]) == 10.0
    assert float(ds.y[0]) == 45.0
    radar = stack_from_arrays(*arrays(), REFERENCE, SECONDARY, np.arange(4), np.arange(3))
    np.testing.assert_array_equal(radar.y, [0, 1, 2])
    np.testing.assert_array_equal(radar.phase, arrays()[0].astype("f4"))
    assert "units" not in radar.x.attrs
    assert "spatial_ref" not in radar.coords


def test_missing_values_and_pi_are_legal():
    phase = np.full(SHAPE, np.nan)
    stack_from_arrays(phase, None, REFERENCE, SECONDARY, X, Y, 32633)
    stack_from_arrays(np.full(SHAPE, np.float32(np.pi)), np.ones(SHAPE), REFERENCE, SECONDARY, X, Y, 32633)


def wrong(**changes):
    phase, coherence = arrays()
    given = {
        "phase": phase,
        "coherence": coherence,
        "reference_time": REFERENCE,
        "secondary_time": SECONDARY,
        "x": X,
        "y": Y,
        "crs": "EPSG:32633",
    }
    return stack_from_arrays(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"phase": None}, TypeError, "phase: expected an array, got None"),
        ({"phase": np.ones(SHAPE, complex)}, TypeError, r"phase: .*numpy\.angle"),
        ({"phase": np.array([["a"]])}, TypeError, "phase: expected real numbers"),
        ({"phase": np.zeros((2, 3, 5))}, ValueError, r"phase: expected shape \(2, 3, 4\).*\(2, 3, 5\)"),
        ({"coherence": np.zeros((3, 4))}, ValueError, r"coherence: expected shape .*\(3, 4\)"),
        ({"phase": np.full(SHAPE, 7.0)}, ValueError, r"phase: .*got 7 to 7; .*unwrapped_phase="),
        ({"coherence": np.full(SHAPE, 200)}, ValueError, r"coherence: .*0\.\.1, got 200"),
        ({"reference_time": ["2020-01-01", "then"]}, ValueError, "reference_time: expected dates"),
        ({"reference_time": ["2020-01-01", "NaT"]}, ValueError, "reference_time: .*without gaps"),
        ({"secondary_time": REFERENCE}, ValueError, "reference_time < secondary_time"),
        (
            {"reference_time": ["2020-01-01"] * 2, "secondary_time": ["2020-01-13"] * 2},
            ValueError,
            "2020-01-01 - 2020-01-13 appears 2 times",
        ),
        (
            {
                "reference_time": ["2020-01-01", "2020-01-13"],
                "secondary_time": ["2020-01-13", "2020-01-01"],
            },
            ValueError,
            "appears 2 times",
        ),
        ({"x": [0, 1, 2, 4]}, ValueError, "x: expected even steps"),
        ({"y": [[0, 1, 2]]}, ValueError, "y: expected the pixel centres"),
        ({"crs": "nonsense"}, ValueError, "crs: expected an EPSG code.*'nonsense'"),
        ({"units": "feet"}, ValueError, "units: expected 'm'"),
        ({"elevation": np.zeros((4, 3))}, ValueError, r"elevation: expected shape \(3, 4\)"),
        ({"los": np.zeros((2, 3, 4))}, ValueError, r"los: expected shape \(3, 3, 4\)"),
        ({"perpendicular_baseline": [1.0]}, ValueError, "perpendicular_baseline: expected 2 values"),
        ({"orbit_direction": "up"}, ValueError, "orbit_direction: expected 'ascending'"),
        ({"wavelength": 55.5}, ValueError, "wavelength: expected metres"),
    ],
)
def test_errors_name_argument_and_remedy(changes, error, message):
    with pytest.raises(error, match=message):
        wrong(**changes)


def test_lengths_of_dates_must_agree():
    with pytest.raises(ValueError, match=r"secondary_time: expected 2 dates.*got 3"):
        wrong(secondary_time=["2020-01-13", "2020-01-25", "2020-02-06"])
