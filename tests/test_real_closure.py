"""Closure of real pairs: Etna (214 unwrapped pairs, 265 triplets), Mexico City (30 pairs, each with its constant)."""

from __future__ import annotations

import warnings
from itertools import combinations

import h5py
import numpy as np
import pytest

import xinsar
from tests.helpers import built_lazily, same_bits
from xinsar.operations.closure import phase_closure

pytestmark = pytest.mark.real


def opened(folder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return xinsar.open_stack(folder, **options)


@pytest.fixture(scope="module")
def etna(real_data):
    return real_data("etna-envisat-nsbas-h5") / "Etna_sample.h5"


def test_etna_closes_as_its_incidence_matrix_says(etna):
    """Triplets and closures from the file alone; a row holds 1 at the earlier date, so its pair is turned round."""
    found = phase_closure(opened(etna).load())
    with h5py.File(etna) as file:
        phase, matrix = file["igram"][:].astype(float), file["Jmat"][:]
    row = {(int(np.argmax(one)), int(np.argmin(one))): k for k, one in enumerate(matrix)}
    three = [t for t in combinations(range(61), 3) if {(t[0], t[1]), (t[1], t[2]), (t[0], t[2])} <= set(row)]
    assert found.sizes["triplet"] == len(three) == 265
    for t, (i, j, k) in enumerate(three):
        wanted = phase[row[i, k]] - phase[row[i, j]] - phase[row[j, k]]
        np.testing.assert_allclose(found.closure[t], wanted, atol=1e-5)


def test_etna_closes_but_for_a_tenth(etna):
    """Medians of triplets as published with the data: .32 rad at the median, .98 at 90 %, 2.4 at most."""
    found = phase_closure(opened(etna).load(), threshold=0.1)
    medians = abs(found.closure.median(("y", "x")))
    np.testing.assert_allclose(np.percentile(medians, [50, 90, 100]), [0.32, 0.98, 2.45], atol=0.006)
    assert float(found.closure_errors.sum() / found.triplet_count.sum()) == pytest.approx(0.1058, abs=0.0005)
    assert float(found.closure_rms.median()) == pytest.approx(1.99, abs=0.01)
    assert 0.5 < float(found.consistent.mean()) < 0.55
    share = found.closure_error_share
    assert int(share.isnull().sum()) == 3
    assert float(share.max()) == pytest.approx(0.386, abs=0.001)


def test_pairs_that_close_badly_fit_badly(etna):
    """Without the pairs whose triplets are open most often, the inversion leaves less."""
    ds = opened(etna).load().assign_attrs(wavelength=0.0562356)
    share = phase_closure(ds).closure_error_share
    kept = ds.isel(pair=~(share > 0.2).values)
    assert 0 < ds.sizes["pair"] - kept.sizes["pair"] < 35
    before, after = (xinsar.invert_network(one, reference=None).residual_rms.median() for one in (ds, kept))
    assert float(after) < 0.9 * float(before)


def test_chunks_of_real_pairs_change_nothing(etna):
    ds = opened(etna).load()
    chunked = ds.assign(unwrapped_phase=ds.unwrapped_phase.chunk({"pair": 16, "y": 7, "x": 20}))
    lazy = built_lazily(phase_closure, chunked)
    same_bits(lazy.compute(scheduler="synchronous"), phase_closure(ds))


def test_mexico_city_closes_after_it_is_referred(real_data):
    """Constants of pairs leave nine in ten closures open; less those of an area they close, but for noise."""
    ds = opened(real_data("mexico-city-s1-gamma-stack")).load()
    loose = phase_closure(ds)
    assert loose.sizes["triplet"] == 24
    spread = loose.closure.astype(float).std(("y", "x"))
    assert 0.09 < float(spread.min()) < 0.11
    assert 1.15 < float(spread.max()) < 1.25
    turns = loose.closure.median(("y", "x")) / (2 * np.pi)
    assert float(abs(turns - turns.round()).max()) > 0.4
    assert float(loose.closure_errors.sum() / loose.triplet_count.sum()) == pytest.approx(0.875, abs=0.005)
    west = ds.isel(y=slice(20, 40), x=slice(5, 15))
    area = tuple((float(west.x[i]), float(west.y[i])) for i in (0, -1))
    for reference, most in ((area, 0.006), ("auto", 0.002)):
        found = phase_closure(ds, reference=reference)
        assert float(found.closure_errors.sum() / found.triplet_count.sum()) < most
