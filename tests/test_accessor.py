""".insar: every method is the same call as its function, with the same arguments and defaults."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.helpers import built_lazily, in_chunks, random_cube, same_bits
from xinsar.accessor import DataArrayAccessor, DatasetAccessor, DataTreeAccessor

ON_FIELDS = (
    "getis_ord",
    "hot_spot_map",
    "kernel_density",
    "emerging_hot_spots",
    "rasterize_points",
    "reference_to",
    "deramp",
)
ON_DATASET = (
    *ON_FIELDS,
    "velocity",
    "monthly_velocity",
    "invert_network",
    "subtract_gacos",
    "phase_closure",
    "atmosphere_filter",
    "stability_threshold",
    "terrain",
    "look_geometry",
    "coherence_filter",
    "phase_gradient",
    "phase_gradient_stack",
    "stacking_curve",
    "stack_unwrapped",
)


def parameters(function):
    given = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: (p.default, p.kind) for p in given}


@pytest.mark.parametrize("name", ON_DATASET)
def test_methods_have_the_arguments_and_defaults_of_their_functions(name):
    assert parameters(getattr(DatasetAccessor, name)) == parameters(getattr(xinsar, name))


@pytest.mark.parametrize("name", ON_FIELDS)
def test_maps_and_points_have_the_same_methods_as_arrays(name):
    assert parameters(getattr(DataArrayAccessor, name)) == parameters(getattr(xinsar, name))


def test_signatures_of_the_hot_spot_contract():
    anywhere, named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    found = parameters(xinsar.getis_ord)
    assert found["distance"] == (None, anywhere)
    wanted = {"weights": "binary", "k": None, "fdr": False, "over": None}
    assert {name: found[name] for name in wanted} == {name: (value, named) for name, value in wanted.items()}
    found = parameters(xinsar.kernel_density)
    assert found["radius"] == (inspect.Parameter.empty, anywhere)
    wanted = {"weights": None, "target": None, "kernel": "quartic", "method": "auto"}
    assert {name: found[name] for name in wanted} == {name: (value, named) for name, value in wanted.items()}
    found = parameters(xinsar.hot_spot_map)
    assert (found["distance"][1], found["radius"], found["target"]) == (
        anywhere,
        (None, named),
        (None, named),
    )
    found = parameters(xinsar.emerging_hot_spots)
    assert (found["distance"][1], found["alpha"]) == (anywhere, (0.05, named))
    found = parameters(xinsar.rasterize_points)
    assert (found["target"][1], found["statistic"]) == (anywhere, ("median", named))
    assert parameters(xinsar.open_points) == {"product": ("auto", named), "chunks": (None, named)}


def test_signature_of_the_contract():
    found = parameters(xinsar.phase_gradient_stack)
    wanted = {
        "window": 5,
        "estimator": "rate",
        "max_temporal_baseline": None,
        "max_perpendicular_baseline": None,
        "months": None,
        "min_coherence": None,
        "pairs": None,
        "count": None,
        "dem_error": False,
        "directions": "map",
    }
    for name, default in wanted.items():
        assert found[name] == (default, inspect.Parameter.KEYWORD_ONLY), name
    assert parameters(xinsar.coherence_filter) == {
        "window": (5, inspect.Parameter.KEYWORD_ONLY),
        "fill": (False, inspect.Parameter.KEYWORD_ONLY),
    }
    assert parameters(xinsar.phase_gradient) == {"window": (5, inspect.Parameter.KEYWORD_ONLY)}
    curve = parameters(xinsar.stacking_curve)
    assert (curve["repeats"][0], curve["seed"][0]) == (1, 0)


@pytest.mark.parametrize("accessor", [DatasetAccessor, DataArrayAccessor, DataTreeAccessor])
def test_every_public_method_is_documented(accessor):
    for name, method in inspect.getmembers(accessor, inspect.isfunction):
        if not name.startswith("_"):
            assert method.__doc__, name
            assert len(method.__doc__.splitlines()) > 1, name


def test_methods_give_what_functions_give():
    ds = random_cube()
    same_bits(
        ds.insar.coherence_filter(window=3, fill=True), xinsar.coherence_filter(ds, window=3, fill=True)
    )
    same_bits(ds.insar.phase_gradient(window=3), xinsar.phase_gradient(ds, window=3))
    options = {"estimator": "sum", "max_temporal_baseline": 24, "window": 1, "count": 3, "normalise": True}
    same_bits(ds.insar.phase_gradient_stack(**options), xinsar.phase_gradient_stack(ds, **options))
    same_bits(ds.insar.stacking_curve([3], seed=2), xinsar.stacking_curve(ds, [3], seed=2))
    loose = ds.rename(phase="unwrapped_phase")
    same_bits(loose.insar.stack_unwrapped(count=2), xinsar.stack_unwrapped(loose, count=2))


@pytest.mark.parametrize("name", ["phase", "wrapped", None, "unwrapped_phase"])
def test_arrays_of_any_name_are_taken_as_phase(name):
    ds = random_cube(coherence=False)
    array = ds.phase.rename(name)
    found = array.insar.phase_gradient(window=3)
    np.testing.assert_allclose(found.gradient_x, xinsar.phase_gradient(ds, window=3).gradient_x, atol=1e-5)
    stack = array.insar.phase_gradient_stack(window=3, estimator="sum")
    wanted = xinsar.phase_gradient_stack(ds, window=3, estimator="sum")
    np.testing.assert_allclose(stack.gradient_x, wanted.gradient_x, atol=1e-5)


def test_array_of_unwrapped_phase_may_be_larger_than_pi():
    array = (random_cube(coherence=False).phase * 7).rename("unwrapped_phase")
    array.insar.phase_gradient(window=3)
    with pytest.raises(ValueError, match="unwrapped_phase"):
        array.rename("phase").insar.phase_gradient(window=3)


def test_making_an_accessor_does_nothing():
    def touch(ds):
        for obj in (ds, ds.phase, xr.DataTree.from_dict({"track26": ds})):
            assert obj.insar is obj.insar
        return ds

    built_lazily(touch, in_chunks(random_cube(), {"pair": 1}))


def test_every_kind_of_object_has_one():
    ds = random_cube()
    assert isinstance(ds.insar, DatasetAccessor)
    assert isinstance(ds.phase.insar, DataArrayAccessor)
    assert isinstance(xr.DataTree(ds).insar, DataTreeAccessor)


def test_history_grows_along_a_chain():
    ds = random_cube(coherence=False)
    found = ds.insar.coherence_filter(window=3).insar.phase_gradient_stack(window=3, estimator="sum")
    lines = found.attrs["history"].splitlines()
    assert [line.split("(")[0] for line in lines] == [
        "xinsar.coherence_filter",
        "xinsar.phase_gradient_stack",
    ]
