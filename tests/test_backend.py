"""backend: the array's own type picks the implementation; a missing twin raises."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from tests.helpers import has_gpu
from xinsar.backend import Kernel, array_namespace, is_cupy


class FakeArray:
    """Stands in for an array on a GPU."""


@pytest.fixture
def fake_cupy(monkeypatch):
    module = types.ModuleType("cupy")
    module.ndarray = FakeArray
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def double(array, *, by=2):
    return array * by


def test_numpy_runs_the_numpy_implementation():
    np.testing.assert_array_equal(Kernel("double", numpy=double)(np.arange(3), by=3), [0, 3, 6])
    assert array_namespace(np.zeros(1)) is np
    assert not is_cupy(np.zeros(1))


def test_telling_does_not_import_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    is_cupy(np.zeros(1))
    assert "cupy" not in sys.modules


def test_gpu_arrays_run_the_twin(fake_cupy):
    kernel = Kernel("double", numpy=double, cupy=lambda array, *, by=2: ("on the GPU", by))
    assert kernel(FakeArray(), by=5) == ("on the GPU", 5)
    assert array_namespace(FakeArray()) is fake_cupy
    np.testing.assert_array_equal(kernel(np.ones(2)), [2, 2])


def test_missing_twin_raises_and_says_so(fake_cupy):
    with pytest.raises(NotImplementedError, match=r"^double: there is no GPU version.*as_numpy"):
        Kernel("double", numpy=double)(FakeArray())


def test_kernels_travel_to_workers():
    import pickle

    kernel = pickle.loads(pickle.dumps(Kernel("double", numpy=double)))
    np.testing.assert_array_equal(kernel(np.ones(2)), [2, 2])


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="no CUDA device")
def test_cupy_arrays_are_recognised():
    import cupy

    assert is_cupy(cupy.zeros(1))
    assert array_namespace(cupy.zeros(1)) is cupy
