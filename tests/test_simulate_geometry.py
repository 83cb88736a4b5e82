"""Viewing geometry against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xinsar.simulate import distortion, los_vector, sensitivity
from xinsar.simulate.geometry import downslope_vector

TABLE = {90.0: -0.886, 270.0: 0.229, 0.0: -0.447, 180.0: -0.210}


@pytest.mark.parametrize(("aspect", "expected"), TABLE.items())
def test_sensitivity_of_the_ascending_orbit(aspect, expected):
    assert sensitivity(25.0, aspect, 348.0, 39.0) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("aspect", "expected"), TABLE.items())
def test_descending_orbit_swaps_east_and_west(aspect, expected):
    assert sensitivity(25.0, (360.0 - aspect) % 360, 192.0, 39.0) == pytest.approx(expected, abs=5e-4)


def test_sensitivity_is_the_product_of_the_two_vectors():
    rng = np.random.default_rng(0)
    slope, aspect = rng.uniform(0, 60, 50), rng.uniform(0, 360, 50)
    heading, incidence = rng.uniform(0, 360, 50), rng.uniform(20, 50, 50)
    product = (downslope_vector(slope, aspect) * los_vector(heading, incidence)).sum(axis=0)
    np.testing.assert_allclose(sensitivity(slope, aspect, heading, incidence), product, atol=1e-12)


def test_blind_line_of_a_west_slope():
    slope = np.rad2deg(np.arctan(np.tan(np.deg2rad(39.0)) * np.sin(np.deg2rad(348.0 - 270.0))))
    assert slope == pytest.approx(38.0, abs=0.5)
    assert sensitivity(slope, 270.0, 348.0, 39.0) == pytest.approx(0.0, abs=1e-12)


def test_satellite_stands_in_the_west_when_it_flies_north():
    east, north, up = los_vector(0.0, 30.0)
    assert (east, north, up) == pytest.approx((-0.5, 0.0, np.sqrt(0.75)))
    assert np.linalg.norm(los_vector([10.0, 200.0], 40.0), axis=0) == pytest.approx([1.0, 1.0])


def test_distortion_masks_and_stretch():
    toward, away = 258.0, 78.0
    found = distortion([40.0, 38.0, 52.0, 50.0, 0.0], [toward, toward, away, away, np.nan], 348.0, 39.0)
    assert found.layover.tolist() == [True, False, False, False, False]
    assert found.shadow.tolist() == [False, False, True, False, False]
    assert found.stretch[4] == pytest.approx(1.0)
    assert found.stretch[1] == pytest.approx(np.sin(np.deg2rad(1.0)) / np.sin(np.deg2rad(39.0)))
    assert found.stretch[3] > 1


def test_missing_slope_stays_missing():
    assert np.isnan(sensitivity(np.nan, 0.0, 348.0, 39.0))
    found = distortion([np.nan], [np.nan], 348.0, 39.0)
    assert not found.layover[0]
    assert not found.shadow[0]
    assert np.isnan(found.stretch[0])
