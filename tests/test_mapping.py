"""mapping: halos, folds and chunks, with plain NumPy functions that know nothing of gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.helpers import built_lazily, in_chunks, random_cube
from xinsar.mapping import fold_pairs, is_lazy, pointwise, same_grid, stencil


def neighbourhood(values, other=None, *, reach, weight=1.0):
    """Return the sum of the cross of neighbours, and the number of them inside the block's edges."""
    padded = np.pad(np.nan_to_num(values), [(0, 0)] * (values.ndim - 2) + [(reach, reach)] * 2)
    there = np.pad(np.ones_like(values), [(0, 0)] * (values.ndim - 2) + [(reach, reach)] * 2)
    height, width = values.shape[-2:]
    out = np.zeros((2, *values.shape), np.float32)
    for shift in range(-reach, reach + 1):
        for dy, dx in {(shift, 0), (0, shift)}:
            cut = np.s_[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width]
            out[0] += np.float32(weight) * padded[cut]
            out[1] += there[cut]
    return out if other is None else out + np.nan_to_num(other)


@given(data=st.data(), reach=st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_stencil_gives_the_same_bits_in_any_chunks(data, reach):
    ds = data.draw(strategies.cubes())
    wanted = stencil(neighbourhood, ds.phase, depth=reach, outputs=2, reach=reach)
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    lazy = built_lazily(
        lambda d: xr.Dataset(
            dict(zip("ab", stencil(neighbourhood, d.phase, depth=reach, outputs=2, reach=reach), strict=True))
        ),
        chunked,
    )
    for found, right in zip(lazy.values(), wanted, strict=True):
        assert found.chunks == chunked.phase.chunks
        np.testing.assert_array_equal(found.compute(scheduler="synchronous"), right)


def test_stencil_of_numpy_runs_at_once_and_keeps_the_coordinates():
    ds = random_cube()
    first, second = stencil(neighbourhood, ds.phase, None, depth=1, outputs=2, reach=1, weight=2.0)
    assert not is_lazy(first)
    xr.testing.assert_equal(first.coords.to_dataset(), ds.phase.coords.to_dataset())
    np.testing.assert_array_equal(second, neighbourhood(ds.phase.values, reach=1)[1])


def test_stencil_joins_a_lazy_and_an_eager_array():
    ds = random_cube()
    wanted = stencil(neighbourhood, ds.phase, ds.coherence, depth=2, outputs=2, reach=2)
    for lazy in (("phase",), ("coherence",), ("phase", "coherence")):
        arrays = [ds[n].chunk({"y": 3, "x": 5}) if n in lazy else ds[n] for n in ("phase", "coherence")]
        found = stencil(neighbourhood, *arrays, depth=2, outputs=2, reach=2)
        for a, b in zip(found, wanted, strict=True):
            assert is_lazy(a)
            np.testing.assert_array_equal(a, b)


def test_stencil_of_a_plane_without_pairs():
    plane = random_cube().phase[0]
    wanted = stencil(neighbourhood, plane, depth=1, outputs=2, reach=1)
    found = stencil(neighbourhood, plane.chunk({"y": 2, "x": 3}), depth=1, outputs=2, reach=1)
    np.testing.assert_array_equal(found[0], wanted[0])


def test_stencil_needs_a_first_array():
    with pytest.raises(TypeError, match="first array"):
        stencil(neighbourhood, None, depth=1, reach=1)


def test_stencil_does_not_hand_out_views_of_the_input():
    ds = random_cube().chunk({"y": 4})
    before = ds.phase.values.copy()
    stencil(neighbourhood, ds.phase, depth=1, outputs=2, reach=1)[0].compute()
    np.testing.assert_array_equal(ds.phase.values, before)


def test_different_grids_are_refused_by_name():
    ds = random_cube()
    moved = ds.coherence.assign_coords(x=ds.x + 1)
    short = ds.coherence.isel(x=slice(1, None))
    later = ds.coherence.isel(pair=slice(1, None)).drop_vars(["reference_time", "secondary_time"])
    for other in (moved, short, later):
        with pytest.raises(ValueError, match=r"'phase' and 'coherence'.*different grids.*interp_like"):
            same_grid(ds.phase, other)
        with pytest.raises(ValueError, match="different grids"):
            stencil(neighbourhood, ds.phase, other, depth=1, outputs=2, reach=1)
    same_grid(ds.phase, None, ds.coherence)


def test_pointwise_maps_pixels_lazily():
    ds = random_cube()
    wanted = pointwise(lambda a, b, power: a * b**power, ds.phase, ds.coherence, dtype=np.float32, power=2)
    np.testing.assert_array_equal(wanted, ds.phase.values * ds.coherence.values**2)
    lazy = built_lazily(
        lambda d: pointwise(
            lambda a, b, power: a * b**power, d.phase, d.coherence, dtype=np.float32, power=2
        ),
        in_chunks(ds, {"y": 3, "pair": 2}),
    )
    assert lazy.chunks == ds.phase.chunk({"y": 3, "pair": 2}).chunks
    np.testing.assert_array_equal(lazy, wanted)
    with pytest.raises(ValueError, match="different grids"):
        pointwise(np.add, ds.phase, ds.coherence.isel(y=slice(2, None)), dtype=np.float32)


@dataclass(frozen=True)
class Blend:
    """A fold whose result depends on the order of the pairs: s <- s/2 + a pair's differences with its neighbours.

    ``before`` rows and columns before a pixel and one more after it are looked at.
    """

    factors: tuple[float, ...]
    before: int

    state_bytes: ClassVar[int] = 16
    outputs: ClassVar = ("state", "seen")
    dtypes: ClassVar = ("float64", "int32")

    def keep(self, kept):
        return replace(self, factors=tuple(f if k else 0.0 for f, k in zip(self.factors, kept, strict=True)))

    def begin(self, like, height, width, **options):
        return np.zeros((2, height, width))

    def add(self, state, phase, coherence, first, *args):
        state = state.copy()
        for k, layer in enumerate(phase):
            factor = self.factors[first + k]
            if factor == 0:
                continue
            layer = np.nan_to_num(layer).astype(float)
            layer = layer if coherence is None else layer * np.nan_to_num(coherence[k])
            spread = np.zeros_like(layer)
            for shift in range(-self.before, self.before + 2):
                spread += _shifted(layer, shift, 0) * (shift + 7) + _shifted(layer, 0, shift) * (shift + 9)
            state[0] = state[0] / 2 + factor * spread
            state[1] += 1
        return state

    def finish(self, state):
        return state[0].copy(), state[1].astype(np.int32)

    def run(self, phase, coherence):
        return self.finish(self.add(self.begin(phase, *phase.shape[1:]), phase, coherence, 0))


def _shifted(layer, dy, dx):
    out = np.zeros_like(layer)
    height, width = layer.shape
    target = np.s_[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
    source = np.s_[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    if 0 < out[target].size == layer[source].size:
        out[target] = layer[source]
    return out


def folded(ds, before, kept=None):
    fold = Blend(tuple(1.0 + k for k in range(ds.sizes["pair"])), before)
    return xr.Dataset(fold_pairs(fold, ds.phase, ds.get("coherence"), depth=before, kept=kept))


@given(data=st.data(), before=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_fold_gives_the_same_bits_in_any_chunks(data, before):
    ds = data.draw(strategies.cubes())
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    lazy = built_lazily(lambda d: folded(d, before), chunked)
    wanted = folded(ds, before)
    for name in wanted:
        assert lazy[name].chunks == chunked.phase.chunks[1:]
        np.testing.assert_array_equal(lazy[name].compute(scheduler="synchronous"), wanted[name])


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_fold_without_neighbours(data):
    from xinsar.kernels.weighted import WeightedRate

    ds = data.draw(strategies.cubes())
    fold = WeightedRate(tuple(1.0 + k for k in range(ds.sizes["pair"])))
    chunked = in_chunks(ds, data.draw(strategies.chunkings(ds)))
    wanted = fold_pairs(fold, ds.phase, None, depth=-1)["rate"]
    found = fold_pairs(fold, chunked.phase, None, depth=-1)["rate"]
    np.testing.assert_array_equal(found.compute(scheduler="synchronous"), wanted)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_fold_under_other_schedulers(scheduler):
    ds = random_cube((9, 23, 29))
    found = folded(in_chunks(ds, {"pair": 2, "y": 5, "x": 7}), 2).compute(scheduler=scheduler)
    xr.testing.assert_identical(found, folded(ds, 2))


def test_fold_reads_every_chunk_once():
    reads = []

    def read(block, block_info=None):
        reads.append(tuple(block_info[0]["chunk-location"]))
        return block

    ds = random_cube((6, 20, 20))
    chunks = {"pair": 2, "y": 5, "x": 5}
    lazy = in_chunks(ds, chunks)
    counted = {
        n: a.copy(data=a.data.map_blocks(read, dtype=a.dtype, meta=a.data._meta)) for n, a in lazy.items()
    }
    folded(lazy.assign(counted), 2).compute(scheduler="synchronous")
    assert sorted(reads) == sorted(2 * [(k, i, j) for k in range(3) for i in range(4) for j in range(4)])


def test_fold_keeps_some_pairs_by_values_known_when_computed():
    ds = random_cube((5, 9, 9))
    kept = xr.DataArray(np.array([True, False, True, True, False]), dims="pair")
    wanted = folded(ds, 1, kept)
    assert (wanted.seen == 3).all()
    lazy = built_lazily(
        lambda d: folded(d, 1, kept.copy(data=da.from_array(kept.values, chunks=2))),
        in_chunks(ds, {"pair": 2, "y": 4}),
    )
    xr.testing.assert_identical(lazy.compute(), wanted)


def test_fold_of_a_lazy_and_an_eager_array():
    ds = random_cube((5, 9, 9))
    for name in ("phase", "coherence"):
        mixed = ds.assign({name: ds[name].chunk({"pair": 2, "y": 4, "x": 5}).drop_vars(ds.coords)})
        mixed = mixed.assign_coords(ds.coords)
        xr.testing.assert_identical(folded(mixed, 1).compute(), folded(ds, 1))


def test_fold_keeps_map_coordinates_and_drops_those_of_pairs():
    found = folded(random_cube(), 1)
    assert set(found.coords) == {"x", "y", "spatial_ref"}


def test_two_folds_of_one_cube_do_not_mix():
    ds = in_chunks(random_cube(), {"pair": 2, "y": 4, "x": 5})
    one, two = folded(ds, 1), folded(ds, 2)
    together = xr.merge([one.rename(state="one"), two.rename(state="two")], compat="override").compute()
    np.testing.assert_array_equal(together.one, one.state.compute())
    np.testing.assert_array_equal(together.two, two.state.compute())


def test_part_of_a_fold_is_the_part_of_the_whole():
    ds = random_cube((6, 20, 20))
    lazy = folded(in_chunks(ds, {"pair": 2, "y": 5, "x": 5}), 2)
    part = lazy.isel(y=slice(3, 7), x=slice(12, 18)).compute()
    np.testing.assert_array_equal(part.state, folded(ds, 2).state[3:7, 12:18])
