"""The real Mexico City stack: stacked wrapped gradients against the gradient of the unwrapped stack."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import rasterio

import xinsar
from tests import oracles

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data("mexico-city-s1-gamma-stack")


@pytest.fixture(scope="module")
def cube(folder):
    """Return the cube as open_stack gives it, wrapped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names the file of another pixel size
        ds = xinsar.open_stack(folder).load()
    wrapped = ds.unwrapped_phase.copy(data=oracles.wrap(ds.unwrapped_phase.values).astype(np.float32))
    return ds.assign(phase=wrapped).drop_vars("unwrapped_phase")


@pytest.fixture(scope="module")
def truth(folder):
    """Return gradients (y, x) of the dt-weighted rate, rad per pixel and year, NaN where not to be trusted.

    Read from the files with rasterio alone, so that the reader is held against them too.
    """
    phase, coherence, years = [], [], []
    for path in sorted((folder / "unw").glob("*.tif")):
        dates = re.findall(r"\d{8}", path.name)
        first, last = (np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in dates)
        years.append((last - first) / np.timedelta64(1, "D") / oracles.YEAR)
        phase.append(_read(path))
        (beside,) = (folder / "cc").glob(f"*{dates[0]}*{dates[1]}*.tif")
        coherence.append(_read(beside))
    assert len(years) == 30
    years, phase = np.array(years)[:, None, None], np.array(phase)
    rate = (years * phase).sum(0) / (years**2).sum()
    known = np.isfinite(coherence).sum(0)
    mean = np.nansum(coherence, 0) / np.maximum(known, 1)
    good = np.isfinite(phase).all(0) & (mean > 0.5)
    rate[~good] = np.nan
    return np.diff(rate, axis=0), np.diff(rate, axis=1)


def _read(path):
    with rasterio.open(path) as file:
        values = file.read(1).astype(float)
        return np.where(values == file.nodata, np.nan, values)


def correlations(stack, truth):
    """Return the correlation with the truth along y, along x, and of both together, over all trusted edges."""
    found = stack.gradient_y.values[:-1].astype(float), stack.gradient_x.values[:, :-1].astype(float)
    spacing = _metres(stack) if stack.gradient_x.attrs["estimator"] == "rate" else (1.0, 1.0)
    known = [np.isfinite(t) for t in truth]
    pairs = [(f[k] * s, t[k]) for f, t, k, s in zip(found, truth, known, spacing, strict=True)]
    pairs.append(tuple(np.concatenate(p) for p in zip(*pairs, strict=True)))
    assert all(np.isfinite(f).all() for f, _ in pairs)
    assert [f.size for f, _ in pairs[:2]] == [4461, 4531]
    return [float(np.corrcoef(f, t)[0, 1]) for f, t in pairs]


def _metres(stack):
    from pyproj import Geod

    x, y = stack.x.values, stack.y.values
    geod = Geod(ellps="WGS84")
    down = geod.inv(x[0], y[30], x[0], y[31])[2]
    return down, geod.inv(x[0], y[30], x[1], y[30])[2]


def test_rate_follows_the_true_gradient(cube, truth, record_property):
    stack = xinsar.phase_gradient_stack(cube, window=1)
    found = correlations(stack, truth)
    record_property("correlation", found)
    assert min(found) > 0.997


def test_rate_has_the_true_size_too(cube, truth):
    stack = xinsar.phase_gradient_stack(cube, window=1)
    for found, right, metres in zip(
        (stack.gradient_y.values[:-1], stack.gradient_x.values[:, :-1]), truth, _metres(stack), strict=True
    ):
        known = np.isfinite(right)
        slope = np.polyfit(right[known], found[known].astype(float) * metres, 1)[0]
        assert slope == pytest.approx(1, abs=0.02)


def test_sum_follows_less_closely_and_the_wrapped_sum_not_at_all(cube, truth):
    total = xinsar.phase_gradient_stack(cube, window=1, estimator="sum")
    assert min(correlations(total, truth)) > 0.95
    assert 30 < np.nanmax(np.abs([total.gradient_x, total.gradient_y])) < 45
    wrapped = xinsar.phase_gradient_stack(cube, window=1, estimator="wrapped_sum")
    assert max(np.abs(correlations(wrapped, truth))) < 0.1


def test_unwrapped_phase_gives_what_wrapped_phase_gives(cube, truth, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        loose = xinsar.open_stack(folder)
    lazy = xinsar.phase_gradient_stack(loose, window=1).compute()
    eager = xinsar.phase_gradient_stack(cube, window=1)
    np.testing.assert_allclose(lazy.gradient_x, eager.gradient_x, atol=1e-5)
    np.testing.assert_allclose(lazy.gradient_y, eager.gradient_y, atol=1e-5)


def test_the_east_of_the_city_sinks(cube):
    """Phase grows toward the sinking east, (-99.054, 19.440): the gradient along x is positive on the way there."""
    stack = xinsar.phase_gradient_stack(cube)
    way = stack.gradient_x.sel(y=slice(19.45, 19.43), x=slice(-99.11, -99.07))
    assert float(way.median()) > 0.005
    assert float(stack.gradient_z_x.sel(y=slice(19.45, 19.43), x=slice(-99.11, -99.07)).median()) > 3
