"""Two-sided p of z scores: accuracy down to the smallest normal number, special values, and bits that never move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc, erfcx

from tests.cuda_tools import compile_cuda, find_nvrtc
from tests.helpers import has_gpu
from xinsar.kernels.normal import CUDA, two_sided_p

# erfc(|z| / sqrt 2) with 40 digits (mpmath), rounded to 20.
KNOWN = [
    (0.0, 1.0),
    (1e-8, 0.99999999202115439197),
    (0.5, 0.61707507745197379272),
    (1.0, 0.31731050786291410283),
    (1.5, 0.13361440253771613201),
    (1.959963984540054, 0.050000000000000021752),
    (-2.5758293035489004, 0.010000000000000010897),
    (3.0, 0.0026997960632601890533),
    (5.0, 5.7330314375838782335e-7),
    (10.0, 1.5239706048321052132e-23),
    (20.0, 5.5072482372124673902e-89),
    (30.0, 9.8134278542963741191e-198),
    (37.5, 9.2107060191639096877e-308),
]
EDGE = {np.float32: 13.0, np.float64: 37.53}
"""z up to which p is a normal number."""


@pytest.mark.parametrize(("z", "p"), KNOWN)
def test_known_values(z, p):
    np.testing.assert_allclose(two_sided_p(np.array([z])), p, rtol=2e-14, atol=0)


def test_zero_is_certain():
    for dtype in (np.float32, np.float64):
        assert two_sided_p(np.zeros(3, dtype)).tolist() == [1, 1, 1]


def test_float64_against_scipy():
    """scipy's erfcx is good to a few 1e-16; the exponential in extended precision, where there is one."""
    z = np.linspace(0, EDGE[np.float64], 300_001)
    square = z.astype(np.longdouble) ** 2 / 2
    wanted = (np.exp(-square) * erfcx(z / np.sqrt(2))).astype(float)
    extended = np.finfo(np.longdouble).eps < 1e-18
    np.testing.assert_allclose(two_sided_p(z), wanted, rtol=1e-14 if extended else 5e-13, atol=0)
    np.testing.assert_allclose(two_sided_p(z), erfc(z / np.sqrt(2)), rtol=5e-13, atol=0)


def test_float32_against_float64():
    z = np.concatenate([np.linspace(0, EDGE[np.float32], 1_000_001), np.logspace(-38, 0, 100_001)])
    z = z.astype(np.float32)
    found = two_sided_p(z)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, two_sided_p(z.astype(np.float64)), rtol=8e-8, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tail_falls_to_zero(dtype):
    z = np.linspace(EDGE[dtype], EDGE[dtype] + 3, 10_001).astype(dtype)
    p = two_sided_p(z)
    tiny = np.finfo(dtype).tiny
    assert p[0] >= tiny
    assert ((p > 0) & (p < tiny)).any()
    assert p[-1] == 0
    assert (np.diff(p) <= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    z = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max, -np.finfo(dtype).max, -0.0], dtype)
    p = two_sided_p(z)
    assert p.dtype == dtype
    np.testing.assert_array_equal(p, [np.nan, 0, 0, 0, 0, 1])
    assert not np.signbit(p).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_even_falling_and_within_bounds(dtype):
    z = np.linspace(0, 40, 400_001).astype(dtype)
    p = two_sided_p(z)
    np.testing.assert_array_equal(two_sided_p(-z), p)
    assert (np.diff(p) <= 0).all()
    assert p.min() >= 0
    assert p.max() <= 1


@given(st.integers(0, 200), st.integers(0, 40), st.integers(1, 3), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=100, deadline=None)
def test_bits_depend_on_z_alone(length, start, step, dtype):
    z = (20 * np.random.default_rng(3).standard_normal(1000)).astype(dtype)
    whole = two_sided_p(z)
    part = slice(start, start + length * step, step)
    np.testing.assert_array_equal(two_sided_p(z[part]), whole[part])


def test_any_shape_and_layout():
    z = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    wanted = two_sided_p(z)
    assert wanted.shape == z.shape
    for same in (np.asfortranarray(z), z.astype(">f4"), np.flip(np.flip(z, 0), 0)):
        np.testing.assert_array_equal(two_sided_p(same), wanted)
    assert two_sided_p(np.array(2.0)).shape == ()
    assert two_sided_p(np.empty((0, 3))).shape == (0, 3)


def test_whole_numbers_become_float64():
    found = two_sided_p(np.array([0, 1]))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [1, 0.31731050786291410], rtol=1e-14)


def test_argument_is_not_changed():
    z = np.array([1.0, np.nan])
    before = z.copy()
    two_sided_p(z)
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_cuda_twin_compiles(kind):
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    body = f"const {kind} z = in[blockIdx.x]; {kind} p; {CUDA}; out[blockIdx.x] = p;"
    source = f'extern "C" __global__ void f(const {kind}* in, {kind}* out) {{ {body} }}'
    made = compile_cuda(library, source, ("-arch=sm_80",))
    assert made.code == 0, made.log


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="needs CuPy and a CUDA device")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cuda_twin(dtype):
    import cupy

    z = np.concatenate([np.linspace(-EDGE[dtype], EDGE[dtype], 10_001), [np.nan, np.inf]]).astype(dtype)
    found = two_sided_p(cupy.asarray(z))
    assert found.dtype == dtype
    np.testing.assert_allclose(cupy.asnumpy(found), two_sided_p(z), rtol=1e-5)
