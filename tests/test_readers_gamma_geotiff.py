"""GAMMA and PyRate GeoTIFFs: the real Mexico City folder, and stand-ins for what it does not hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio

from xinsar.readers import describe, open_stack

YEAR = 365.25


def write_tif(path, values, *, tags=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": values.dtype, "crs": "EPSG:4326"}
    profile |= {"nodata": 0.0, "transform": rasterio.Affine(0.001, 0.0, 10.0, 0.0, -0.001, 45.0)}
    with rasterio.open(path, "w", driver="GTiff", **(profile | options)) as file:
        file.write(values, 1)
        file.update_tags(**(tags or {}))
    return path


@pytest.fixture
def mexico(real_data):
    folder = real_data("mexico-city-s1-gamma-stack")
    with pytest.warns(UserWarning, match=r"20180106-20180130_ifg\.tif") as said:
        ds = open_stack(folder)
    assert len(said) == 1
    return folder, ds


def days(ds):
    return ((ds.secondary_time - ds.reference_time) / np.timedelta64(1, "D")).values


@pytest.mark.real
def test_mexico_city_is_what_its_provenance_says(mexico):
    _, ds = mexico
    assert dict(ds.sizes) == {"pair": 30, "y": 60, "x": 100}
    assert set(ds.data_vars) == {"unwrapped_phase", "coherence", "elevation"}
    assert ds.rio.crs.to_epsg() == 4326
    assert ds.attrs["wavelength"] == pytest.approx(0.055504158, abs=1e-9)
    assert ds.attrs["heading"] == pytest.approx(-12.27, abs=0.005)
    assert ds.attrs["incidence"] == pytest.approx(39.70, abs=0.005)
    assert ds.attrs["orbit_direction"] == "ascending"
    assert ds.attrs["sensor"] == "S1A"
    assert ds.x[0] == pytest.approx(-99.19107 + 0.0013888889 / 2, abs=1e-5)
    assert ds.y[0] == pytest.approx(19.45129 - 0.0013888889 / 2, abs=1e-5)
    dates = np.unique([ds.reference_time.values, ds.secondary_time.values])
    assert dates.size == 13
    assert (days(ds) % 12 == 0).all()
    assert 2217 <= ds.elevation.min() <= ds.elevation.max() <= 2287
    assert float(ds.unwrapped_phase.notnull().mean()) == pytest.approx(0.98, abs=0.01)
    assert 0 <= ds.coherence.min() <= ds.coherence.max() <= 1


@pytest.mark.real
def test_the_sinking_city_moves_away(mexico):
    """Positive phase is motion away: the east of the city sinks by up to 311 mm a year."""
    _, ds = mexico
    phase = ds.unwrapped_phase.values.astype(float)
    phase -= np.nanmean(phase[:, 20:40, 5:15], axis=(1, 2))[:, None, None]
    weight = (days(ds) / YEAR)[:, None, None] * np.isfinite(phase)
    seen = np.isfinite(phase).any(axis=0)
    rate = np.full(seen.shape, np.nan)
    rate[seen] = np.nansum(phase * weight, axis=0)[seen] / np.sum(weight**2, axis=0)[seen]
    away = 1000 * rate * ds.attrs["wavelength"] / (4 * np.pi)
    assert np.nanmax(away) == pytest.approx(311, abs=1)
    assert np.nanmedian(away) == pytest.approx(88, abs=1)
    row, col = np.unravel_index(np.nanargmax(away), away.shape)
    assert float(ds.x[col]) == pytest.approx(-99.054, abs=0.0015)
    assert float(ds.y[row]) == pytest.approx(19.440, abs=0.0015)


@pytest.mark.real
def test_pixels_equal_the_files(mexico):
    folder, ds = mexico
    for k in (0, 17, 29):
        times = (ds.reference_time.values[k], ds.secondary_time.values[k])
        pair = "-".join(str(t)[:10].replace("-", "") for t in times)
        with rasterio.open(next(folder.glob(f"unw/*{pair}*.tif"))) as file:
            values = file.read(1)
        with rasterio.open(next(folder.glob(f"cc/*{pair}*.tif"))) as file:
            coherence = file.read(1)
        got = ds.unwrapped_phase.values[k]
        missing = (values == 0) & (coherence == 0)
        np.testing.assert_array_equal(got[~missing], values[~missing])
        assert np.isnan(got[missing]).all()


class Orbit:
    """Position and velocity of a GAMMA image by the second of the day, from its state vectors."""

    def __init__(self, path):
        lines = path.read_text().splitlines()
        entries = {key: words.split() for key, _, words in (line.partition(":") for line in lines)}
        count = int(entries["number_of_state_vectors"][0])
        first, step = (
            float(entries[f"{k}"][0]) for k in ("time_of_first_state_vector", "state_vector_interval")
        )
        points = np.array([entries[f"state_vector_position_{k + 1}"][:3] for k in range(count)], float)
        times = first + step * np.arange(count)
        self.fits = [np.polynomial.Polynomial.fit(times, axis, 5) for axis in points.T]
        self.middle, self.reach, self.earth = (
            float(entries[k][0]) for k in ("center_time", "center_range_slc", "earth_radius_below_sensor")
        )

    def at(self, seconds):
        return np.array([fit(seconds) for fit in self.fits])

    def velocity(self, seconds):
        return np.array([fit.deriv()(seconds) for fit in self.fits])


def _abeam(orbit, point, velocity):
    """Where ``orbit`` crosses the plane through ``point`` across ``velocity``."""
    seconds = orbit.middle
    for _ in range(10):
        seconds -= (orbit.at(seconds) - point) @ velocity / (orbit.velocity(seconds) @ velocity)
    return orbit.at(seconds)


@pytest.mark.real
def test_baselines_equal_the_orbits(mexico):
    """The second orbit's offset along the direction that raises the look angle, from state vectors alone."""
    folder, ds = mexico
    orbits = {p.name[1:9]: Orbit(p) for p in folder.glob("par/r*_mli.par")}
    for k in range(ds.sizes["pair"]):
        times = (ds.reference_time.values[k], ds.secondary_time.values[k])
        first, second = (orbits[str(t)[:10].replace("-", "")] for t in times)
        here, velocity = first.at(first.middle), first.velocity(first.middle)
        up, right = here / np.linalg.norm(here), np.cross(velocity, here)
        right /= np.linalg.norm(right)
        far = np.linalg.norm(here)
        look = math.acos((first.reach**2 + far**2 - first.earth**2) / (2 * first.reach * far))
        raising = math.cos(look) * right + math.sin(look) * up
        wanted = (_abeam(second, here, velocity) - here) @ raising
        assert float(ds.perpendicular_baseline[k]) == pytest.approx(wanted, abs=1.0)


@pytest.mark.real
def test_baselines_close_around_triangles(mexico):
    _, ds = mexico
    pairs = list(zip(ds.reference_time.values, ds.secondary_time.values, strict=True))
    known = dict(zip(pairs, ds.perpendicular_baseline.values, strict=True))
    loops = [
        (known[a, b], known[b, c], known[a, c])
        for a, b in pairs
        for d, c in pairs
        if d == b and (a, c) in known
    ]
    assert len(loops) > 5
    assert max(abs(ab + bc - ac) for ab, bc, ac in loops) < 2.0


@pytest.mark.real
def test_description_says_which_way_is_positive(mexico):
    _, ds = mexico
    text = describe(ds)
    assert "positive = away from the satellite" in text
    assert "30, 12 to 132 days apart" in text
    assert "EPSG:4326" in text


def test_pyrate_tags_decide(tmp_path):
    """Stand-in: PyRate's tags give dates, kind and geometry whatever the name says."""
    tags = {"FIRST_DATE": "2019-12-30", "SECOND_DATE": "2020-01-11", "DATA_TYPE": "MULTILOOKED_IFG"}
    tags |= {"WAVELENGTH_METRES": "0.2362", "INCIDENCE_DEGREES": "35.0", "HEADING_DEGREES": "190.0"}
    tags |= {"BASELINE_PERP_METRES": "-12.5", "DATA_UNITS": "RADIANS"}
    write_tif(tmp_path / "20000101-20000113_x.tif", np.ones((2, 3), "f4"), tags=tags)
    coherence = {"FIRST_DATE": "2019-12-30", "SECOND_DATE": "2020-01-11", "DATA_TYPE": "ORIGINAL_COH"}
    write_tif(tmp_path / "20000101-20000113_y.tif", np.full((2, 3), 0.5, "f4"), tags=coherence)
    ds = open_stack(tmp_path)
    assert str(ds.reference_time.values[0])[:10] == "2019-12-30"
    assert ds.attrs["wavelength"] == 0.2362
    assert ds.attrs["heading"] == -170.0
    assert ds.attrs["orbit_direction"] == "descending"
    assert float(ds.perpendicular_baseline[0]) == -12.5
    assert set(ds.data_vars) == {"unwrapped_phase", "coherence"}


def test_pyrate_millimetres_away_become_radians(tmp_path):
    """Stand-in: 28 mm away is one turn of C band, positive."""
    tags = {"DATA_TYPE": "MULTILOOKED_IFG", "DATA_UNITS": "MILLIMETRES", "WAVELENGTH_METRES": "0.056"}
    write_tif(tmp_path / "20200101-20200113_ifg.tif", np.full((2, 3), 28.0, "f4"), tags=tags)
    np.testing.assert_allclose(open_stack(tmp_path).unwrapped_phase, 2 * np.pi, rtol=1e-6)


def test_six_digit_dates_complex_phase_and_unnamed_rasters(tmp_path):
    """Stand-in: a complex interferogram gives its angle; a raster of unknown kind is left out and said."""
    write_tif(tmp_path / "200101-200113_int.tif", np.array([[1j, 0, -1]], "c8"))
    write_tif(tmp_path / "200101-200113_amplitude.tif", np.ones((1, 3), "f4"))
    with pytest.warns(UserWarning, match=r"1 rasters tell neither.*amplitude"):
        ds = open_stack(tmp_path)
    np.testing.assert_allclose(ds.phase.values[0], [[np.pi / 2, np.nan, np.pi]], rtol=1e-6)


def test_baseline_file_without_an_image_header(tmp_path):
    """Stand-in: the look angle, about 35 degrees, follows from the incidence; 100 m right and 50 m up."""
    tags = {"INCIDENCE_DEGREES": "39.7"}
    write_tif(tmp_path / "20200101-20200113_unw.tif", np.ones((2, 3), "f4"), tags=tags)
    (tmp_path / "20200101-20200113_base.par").write_text(
        "initial_baseline(TCN):  0.0  90.0 0.0 m m m\nprecision_baseline(TCN): 0.0 100.0 -50.0 m m m\n"
    )
    look = math.radians(35.1)
    wanted = 100 * math.cos(look) + 50 * math.sin(look)
    assert float(open_stack(tmp_path).perpendicular_baseline[0]) == pytest.approx(wanted, abs=0.5)


def test_a_dem_alone_is_no_product(tmp_path):
    write_tif(tmp_path / "area_dem.tif", np.ones((2, 3), "f4"))
    with pytest.raises(ValueError, match="no known product"):
        open_stack(tmp_path)
