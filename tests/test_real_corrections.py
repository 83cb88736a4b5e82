"""Corrections of real data: places that stand still, terms of elevation, what GACOS did to a series."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
import xarray as xr

import xinsar
from xinsar.operations.deramp import deramp
from xinsar.operations.reference import reference_to
from xinsar.operations.troposphere import subtract_gacos

pytestmark = pytest.mark.real


def opened(*paths, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names files of other grids
        return xinsar.open_stack(list(paths), **options).load()


def correlation(one, two):
    known = np.isfinite(one) & np.isfinite(two)
    return float(np.corrcoef(one[known], two[known])[0, 1])


# ---- reference_to -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mexico(real_data):
    return opened(real_data("mexico-city-s1-gamma-stack"))


def test_mexico_city_referred_to_its_west(mexico):
    """The time-weighted stack then says at most 311 mm/year away and 88 in the median, as its provenance does."""
    west = mexico.isel(y=slice(20, 40), x=slice(5, 15))
    area = ((float(west.x[0]), float(west.y[0])), (float(west.x[-1]), float(west.y[-1])))
    referred = reference_to(mexico, area)
    away = -1000 * xinsar.stack_unwrapped(referred).velocity
    assert float(away.max()) == pytest.approx(311, abs=1)
    assert float(away.median()) == pytest.approx(88, abs=1)
    constants = west.unwrapped_phase.mean(("y", "x"))
    assert float(constants.std()) > 1
    np.testing.assert_allclose(referred.unwrapped_phase, mexico.unwrapped_phase - constants, atol=1e-4)
    series = xinsar.invert_network(referred, reference=None)
    direct = xinsar.invert_network(mexico, reference=area)
    np.testing.assert_allclose(series.displacement, direct.displacement, atol=1e-6)
    assert series.attrs["reference"] == direct.attrs["reference"]


def test_campi_flegrei_referred_to_a_quiet_hill(real_data):
    """As it comes, half of the map sinks by 23 mm/year. Against the plain in the north-west, which moves alike,

    47 % of it lie within 5 mm/year of 0, and Pozzuoli rises by 78 rather than 51.
    """
    ds = opened(real_data("campi-flegrei-licsbas"), product="licsbas")
    quiet = ((14.06, 40.86), (14.10, 40.89))
    before, after = (1000 * d.velocity for d in (ds, reference_to(ds, quiet)))
    there = before.sel(x=slice(14.06, 14.10), y=slice(40.89, 40.86))
    assert int(there.notnull().sum()) == 1200
    assert float(there.mean()) == pytest.approx(-27.74, abs=0.05)
    assert float(there.std()) == pytest.approx(2.04, abs=0.05)
    assert float(before.median()) == pytest.approx(-22.9, abs=0.1)
    assert float(after.median()) == pytest.approx(4.85, abs=0.05)
    assert float((abs(after) < 5).sum() / after.notnull().sum()) == pytest.approx(0.47, abs=0.005)
    pozzuoli = after.where(after == after.max(), drop=True)
    assert float(pozzuoli.x[0]) == pytest.approx(14.140, abs=0.001)
    assert float(pozzuoli.y[0]) == pytest.approx(40.817, abs=0.001)
    assert float(before.max()) == pytest.approx(50.7, abs=0.1)
    assert float(after.max()) == pytest.approx(78.4, abs=0.1)
    middle = reference_to(ds, quiet, statistic="median").velocity
    assert float(abs(1000 * middle - after).max()) < 0.5


# ---- deramp -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kirishima(real_data):
    folder = real_data("kirishima-alos2-mintpy")
    ds = opened(folder / "velocity.h5", folder / "temporalCoherence.h5")
    with rasterio.open(folder / "height.tif") as file:
        rows, columns = np.arange(file.height), np.arange(file.width)
        place = {"y": file.xy(rows, 0)[1], "x": file.xy(0, columns)[0]}
        return ds, xr.DataArray(file.read(1), place, ("y", "x"), attrs={"units": "m"})


def test_kirishima_without_its_term_of_elevation(kirishima):
    """The term is small here; it goes, and both craters stay."""
    ds, height = kirishima
    coherent = ds.temporal_coherence > 0.7
    found = deramp(ds, terms=("plane", "elevation"), elevation=height, mask=coherent)
    assert correlation(ds.velocity.values, height.values) == pytest.approx(-0.0575, abs=0.0005)
    assert abs(correlation(found.velocity.values, height.values)) < 0.001
    used = coherent.values & np.isfinite(ds.velocity.values)
    assert abs(correlation(found.velocity.values[used], height.values[used])) < 1e-6
    for velocity, iwo, shinmoe in ((ds.velocity, 47.3, (-55.7, 52.1)), (found.velocity, 47.1, (-55.9, 51.8))):
        values = 1000 * velocity.values
        assert np.nanmax(values[175:188, 173:186]) == pytest.approx(iwo, abs=0.15)
        crater = values[355:386, 331:362]
        assert np.nanmin(crater) == pytest.approx(shinmoe[0], abs=0.15)
        assert np.nanmax(crater) == pytest.approx(shinmoe[1], abs=0.15)


def test_kirishima_equals_numpy(kirishima):
    ds, height = kirishima
    rows, columns = np.indices(height.shape) / 541
    values = ds.velocity.values.astype(float)
    known = np.isfinite(values)
    parts = (rows * 0 + 1, columns, rows, columns**2, columns * rows, rows**2, height.values / 1000)
    matrix = np.array([p[known] for p in parts]).T
    wanted = values[known] - matrix @ np.linalg.lstsq(matrix, values[known], rcond=None)[0]
    found = deramp(ds, terms=("quadratic", "elevation"), elevation=height).velocity
    np.testing.assert_allclose(found.values[known], wanted, atol=1e-8)
    chunked = deramp(
        ds.chunk({"y": 200, "x": 130}), terms=("quadratic", "elevation"), elevation=height
    ).velocity
    np.testing.assert_array_equal(chunked, found)


def test_a_ramp_eats_a_city_that_sinks(mexico):
    """A plane fitted to all of Mexico City takes most of its sinking for a tilt: it needs a mask."""
    away = -1000 * xinsar.stack_unwrapped(deramp(mexico)).velocity
    assert float(away.max()) == pytest.approx(82.8, abs=0.5)
    assert float(away.median()) == pytest.approx(3.8, abs=0.5)


# ---- subtract_gacos ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bhutan(real_data):
    """Return the series as it comes, what its authors made of it with GACOS, and the folder."""
    folder = real_data("bhutan-alos-slope-cube")
    grid = xinsar.open_gacos(folder / "gacos", kind="zenith").drop_vars("zenith_delay")

    def cube(name):
        values = np.fromfile(folder / name, "<f4").reshape(300, 200, 8).transpose(2, 0, 1)
        return ("time", "y", "x"), values / 1000, {"units": "m"}

    ds = grid.assign(displacement=cube("depl_cumule")).assign_attrs(incidence=34.5)
    return ds, ds.assign(displacement=cube("depl_cumule_gacos")), folder / "gacos"


FACTORS = (0.0539, 0.1259, 0.1572, 0.0771, 0.0180, 0.0353, 0.2296)
"""What the authors' correction of each date is times the difference of the delays, m."""


def test_bhutan_was_corrected_with_the_sign_of_motion_toward(bhutan):
    """The authors added a positive multiple of the delay on every date, to 0.02 mm: as for displacement that is

    positive toward the satellite. The multiple is another one on each date, far below the 1 or 1.21 of physics.
    """
    ds, theirs, folder = bhutan
    ours = subtract_gacos(ds, folder, kind="zenith").displacement - ds.displacement
    done = theirs.displacement - ds.displacement
    assert float(abs(done[0]).max()) == 0
    for k, factor in enumerate(FACTORS, start=1):
        known = np.isfinite(done[k].values)
        one, two = ours[k].values[known].astype(float), done[k].values[known].astype(float)
        assert np.corrcoef(one, two)[0, 1] > 0.9999999
        slope, level = np.polyfit(one, two, 1)
        assert slope / np.cos(np.radians(34.5)) == pytest.approx(factor, abs=0.0001)
        assert abs(level) < 2e-5


def test_bhutan_full_delays_help_on_some_dates_only(bhutan):
    """Spread without a plane, mm: the full delay lowers it on 4 of 7 dates and raises it on 3; turned around, it

    raises it on 6.
    """
    ds, _, folder = bhutan
    ours = subtract_gacos(ds, folder, kind="zenith").displacement
    turned = 2 * ds.displacement - ours
    before, after, other = (
        1000 * deramp(d.rename("displacement").assign_attrs(units="m")).displacement.std(("y", "x"))[1:]
        for d in (ds.displacement, ours, turned)
    )
    np.testing.assert_allclose(before, [8.46, 7.49, 4.65, 4.76, 5.18, 7.73, 5.75], atol=0.02)
    np.testing.assert_allclose(after, [10.21, 7.15, 4.51, 4.78, 5.09, 8.91, 5.53], atol=0.02)
    assert (after < before).values.tolist() == [False, True, True, False, True, False, True]
    assert int((other > before).sum()) == 6


def test_bhutan_delays_do_not_follow_its_ground(bhutan):
    """Delay straight up falls by 0.2 m a kilometre. These grids rise with the ground of the elevation model, and hold

    0.8 of what air of a standard pressure delays there: they belong elsewhere, or lost their place.
    """
    _, _, folder = bhutan
    delay = xinsar.open_gacos(folder, kind="zenith").zenith_delay.compute()
    with rasterio.open(folder.parent / "DEM_UTM.tif") as file:
        ground = file.read(1).astype(float)
    ground[~(ground > 0)] = np.nan
    pressure = 1013.25 * (1 - 2.25577e-5 * ground) ** 5.25588
    for date in delay.values:
        assert correlation(date, ground) == pytest.approx(0.352, abs=0.005)
        assert 0.78 < np.nanmean(date / (0.0022768 * pressure)) < 0.84
    assert 1.17 < float(delay.min()) < float(delay.max()) < 1.6
