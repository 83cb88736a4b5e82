"""Random cubes and random chunks for property tests."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr
from hypothesis import strategies as st

from tests.helpers import make_cube


@st.composite
def networks(draw, number: int) -> list[tuple[int, int]]:
    """Draw ``number`` different pairs of days, intervals of 6 to 60 days."""
    pairs = st.tuples(st.integers(0, 12), st.integers(1, 10)).map(lambda p: (6 * p[0], 6 * (p[0] + p[1])))
    return draw(st.lists(pairs, min_size=number, max_size=number, unique=True))


@st.composite
def cubes(draw, max_pairs: int = 6, max_side: int = 14, name: str = "phase") -> xr.Dataset:
    """Draw a cube: odd shapes down to one pixel, gaps, an all-NaN pair or tile, coherence with zeros or none."""
    shape = draw(st.tuples(st.integers(1, max_pairs), st.integers(1, max_side), st.integers(1, max_side)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    phase = rng.uniform(-np.pi, np.pi, shape).astype(np.float32)
    phase[rng.random(shape) < draw(st.sampled_from((0.0, 0.1, 0.6)))] = np.nan
    coherence = None
    if draw(st.booleans()):
        coherence = rng.random(shape).astype(np.float32)
        coherence[rng.random(shape) < draw(st.sampled_from((0.0, 0.2)))] = 0
        coherence[rng.random(shape) < draw(st.sampled_from((0.0, 0.1)))] = np.nan
    if draw(st.booleans()):
        phase[draw(st.integers(0, shape[0] - 1))] = np.nan
    if draw(st.booleans()):
        phase[:, : shape[1] // 2, : shape[2] // 2] = np.nan
    return make_cube(phase, coherence, days=draw(networks(shape[0])), name=name)


@st.composite
def _cuts(draw, length: int) -> tuple[int, ...]:
    """Draw sizes of chunks that add up to ``length``."""
    inner = draw(st.sets(st.integers(1, length - 1))) if length > 1 else set()
    edges = [0, *sorted(inner), length]
    return tuple(b - a for a, b in pairwise(edges))


@st.composite
def chunkings(draw, cube: xr.Dataset) -> dict[str, tuple[int, ...]]:
    """Draw irregular chunks for every dim of ``cube``, one pixel wide among them."""
    return {str(d): draw(_cuts(n)) for d, n in cube.sizes.items()}


def windows(cube: xr.Dataset) -> st.SearchStrategy[int]:
    """Widths of windows to try on ``cube``: few, for each is compiled on its own."""
    return st.sampled_from((1, 5) if "coherence" in cube else (3,))
