"""Hot spots of real data at known places: two volcanoes, a slope before it failed, a quiet city.

z scores stand out where they lie farther from their median than five times the spread that is usual on their map;
p values assume independent noise, which no map of velocities has (the last tests hold that against the numbers).
"""

from __future__ import annotations

import numpy as np
import pytest

import xinsar

pytestmark = pytest.mark.real

IWO_YAMA, SHINMOE_DAKE = (181, 179), (370, 346)
"""Row and column of the two spots of Kirishima."""
POZZUOLI = (14.1225, 40.8236)
FAST_CLUSTER = (103.662, 32.0806)
"""Longitude and latitude."""


@pytest.fixture(scope="module")
def kirishima(real_data):
    return xinsar.open_stack(real_data("kirishima-alos2-mintpy") / "velocity.h5").load()


@pytest.fixture(scope="module")
def campi_flegrei(real_data):
    return xinsar.open_stack(real_data("campi-flegrei-licsbas")).load()


@pytest.fixture(scope="module")
def amsterdam(real_data):
    return xinsar.open_points(real_data("amsterdam-depsi-ps"))


@pytest.fixture(scope="module")
def xinmo(real_data):
    folder = real_data("maoxian-landslide-ps-stamps")
    return {kind: xinsar.open_points(folder / f"Maoxian_{kind}.csv") for kind in ("PS", "SBAS")}


@pytest.fixture(scope="module")
def outline(real_data):
    """Return the outline of the landslide of 2017, longitude and latitude."""
    import geopandas

    return geopandas.read_file(real_data("maoxian-landslide-ps-stamps") / "Maoxian_polygon.geojson")


def usual(z):
    """Return z, from its median, in units of the spread that is usual."""
    z = np.asarray(z, float)
    apart = z - np.nanmedian(z)
    return apart / (1.4826 * np.nanmedian(np.abs(apart)))


def metres(places, place):
    """Return how far places (x, y) lie from a place (x, y), degrees, on the ellipsoid."""
    from pyproj import Geod

    x, y = np.broadcast_arrays(*places)
    return Geod(ellps="WGS84").inv(x, y, np.full(x.shape, place[0]), np.full(x.shape, place[1]))[2]


def map_metres(ds, pixel):
    """Return the distance of every pixel of a map from one of them."""
    places = ds.x.values[None, :], ds.y.values[:, None]
    return metres(places, (ds.x.values[pixel[1]], ds.y.values[pixel[0]]))


def test_kirishima_the_two_known_spots_and_nothing_else(kirishima):
    z = xinsar.getis_ord(kirishima, 100).hot_spot.values
    iwo, shinmoe = map_metres(kirishima, IWO_YAMA), map_metres(kirishima, SHINMOE_DAKE)
    assert iwo.flat[np.nanargmax(z)] < 200
    assert np.nanmax(z) > 80
    assert shinmoe.flat[np.nanargmin(z)] < 200
    assert np.nanmin(z) < -50
    beyond = np.abs(usual(z)) > 5
    assert 500 < beyond.sum() < 0.01 * np.isfinite(z).sum()
    assert np.minimum(iwo, shinmoe)[beyond].max() < 1000
    assert (beyond & (iwo < 300)).sum() > 100
    assert (beyond & (shinmoe < 1000) & (z > 0)).sum() > 100
    assert (beyond & (shinmoe < 300) & (z < 0)).sum() > 30


@pytest.mark.parametrize("distance", [60, 150, 200])
def test_kirishima_whatever_the_distance(kirishima, distance):
    z = xinsar.getis_ord(kirishima, distance).hot_spot.values
    assert map_metres(kirishima, IWO_YAMA).flat[np.nanargmax(z)] < 200
    assert map_metres(kirishima, SHINMOE_DAKE).flat[np.nanargmin(z)] < 200


def test_kirishima_as_a_map_of_density(kirishima):
    dense = xinsar.hot_spot_map(kirishima, 100)
    assert map_metres(kirishima, IWO_YAMA).flat[np.nanargmax(dense.density.values)] < 200
    quiet = map_metres(kirishima, IWO_YAMA) > 1500
    assert np.nanmax(dense.density.values[quiet]) < 0.6 * float(dense.density.max())


def test_kirishima_in_chunks_to_the_last_bit(kirishima):
    wanted = xinsar.hot_spot_map(kirishima, 100)
    found = xinsar.hot_spot_map(kirishima.chunk(y=100, x=137), 100)
    for name in wanted:
        assert found[name].chunks is not None
        np.testing.assert_array_equal(found[name].values, wanted[name].values, err_msg=name)


def test_campi_flegrei_the_bowl_at_pozzuoli(campi_flegrei):
    from scipy.ndimage import label

    ds = campi_flegrei
    z = xinsar.getis_ord(ds, 300).hot_spot.values
    best = np.unravel_index(np.nanargmax(z), z.shape)
    assert metres((ds.x.values[best[1]], ds.y.values[best[0]]), POZZUOLI) < 2000
    assert float(ds.velocity[best]) > 0.03
    beyond = usual(z) > 5
    bodies, number = label(beyond, np.ones((3, 3)))
    assert number == 1
    town = ds.velocity.sel(x=POZZUOLI[0], y=POZZUOLI[1], method="nearest")
    near = metres((ds.x.values[None, :], ds.y.values[:, None]), (float(town.x), float(town.y)))
    assert near[bodies == 1].min() < 300
    assert near[bodies == 1].max() < 4000
    assert 0.01 < beyond.sum() / np.isfinite(z).sum() < 0.05
    assert np.nanmin(usual(z)) > -5


def test_campi_flegrei_the_offset_does_not_matter(campi_flegrei):
    """The velocities are not referenced (median -23 mm a year): a shift leaves every z where it is."""
    assert -0.03 < float(campi_flegrei.velocity.median()) < -0.015
    velocity = campi_flegrei.velocity.astype("f8")
    wanted = xinsar.getis_ord(velocity, 300).hot_spot
    for shift in (-1.0, 0.0229, 5.0):
        np.testing.assert_allclose(xinsar.getis_ord(velocity + shift, 300).hot_spot, wanted, atol=1e-6)


def test_campi_flegrei_where_the_sea_is_there_is_no_answer(campi_flegrei):
    hot = xinsar.getis_ord(campi_flegrei, 300)
    np.testing.assert_array_equal(np.isnan(hot.hot_spot), np.isnan(campi_flegrei.velocity))
    assert 0.3 < float(hot.hot_spot.isnull().mean()) < 0.35


def inside_of(ds, outline):
    import shapely

    return shapely.contains_xy(outline.geometry.union_all(), ds.x.values, ds.y.values)


def test_xinmo_the_head_of_the_outline_lights_up(xinmo, outline):
    """97 points from before the failure, 74 of them in the outline mapped after it."""
    ds = xinmo["PS"]
    inside = inside_of(ds, outline)
    assert (ds.sizes["point"], inside.sum()) == (97, 74)
    hot = xinsar.getis_ord(ds, 100, fdr=True)
    z, cold = hot.hot_spot.values, hot.significant.values & (hot.hot_spot.values < 0)
    assert inside[z.argmin()]
    assert metres((ds.x.values[z.argmin()], ds.y.values[z.argmin()]), FAST_CLUSTER) < 100
    assert cold.sum() == 11
    assert cold[inside].mean() == pytest.approx(11 / 74)
    assert not cold[~inside].any()
    assert float(ds.velocity.values[cold].mean()) < -0.015
    assert not (hot.significant.values & (z > 0)).any()
    beyond = usual(z) < -5
    assert 5 <= beyond.sum() <= 10
    assert metres((ds.x.values[beyond], ds.y.values[beyond]), FAST_CLUSTER).max() < 100


@pytest.mark.parametrize("distance", [50, 75, 150])
def test_xinmo_whatever_the_distance(xinmo, outline, distance):
    inside = inside_of(xinmo["PS"], outline)
    hot = xinsar.getis_ord(xinmo["PS"], distance, fdr=True)
    cold = hot.significant.values & (hot.hot_spot.values < 0)
    assert 0.1 < cold[inside].mean() < 0.2
    assert not cold[~inside].any()


def test_xinmo_the_small_baseline_points_agree_on_the_place(xinmo, outline):
    """597 of the 608 are inside, so they say where it is cold, not whether the outline stands out."""
    ds = xinmo["SBAS"]
    assert inside_of(ds, outline).sum() == 597
    z = xinsar.getis_ord(ds, 100).hot_spot.values
    assert metres((ds.x.values[z.argmin()], ds.y.values[z.argmin()]), FAST_CLUSTER) < 100
    assert z.min() < -12


def test_xinmo_what_stands_still_is_hot_beside_what_sinks(xinmo):
    """The trap of a skewed field: two thirds of the small-baseline points are hot, and they do not move."""
    ds = xinmo["SBAS"]
    hot = xinsar.getis_ord(ds, 100, fdr=True)
    warm = hot.significant.values & (hot.hot_spot.values > 0)
    assert 0.6 < warm.mean() < 0.7
    assert abs(float(ds.velocity.values[warm].mean())) < 0.001


def test_xinmo_density_peaks_at_the_fast_cluster(xinmo):
    dense = xinsar.hot_spot_map(xinmo["PS"], 100).density
    coldest = dense.isel(dense.argmin(...))
    assert metres((float(coldest.x), float(coldest.y)), FAST_CLUSTER) < 100
    assert abs(float(dense.min())) > 2 * float(dense.max())


def test_amsterdam_nothing_stands_out(amsterdam):
    for distance in (10, 20, 50):
        z = xinsar.getis_ord(amsterdam, distance).hot_spot.values
        assert np.isfinite(z).all()
        assert np.abs(usual(z)).max() < 5


def test_amsterdam_p_values_take_shared_noise_for_motion(amsterdam):
    """A third is significant, of the same values at random places next to nothing: neighbours are not independent."""
    share = float(xinsar.getis_ord(amsterdam, 10, fdr=True).significant.mean())
    assert 0.25 < share < 0.45
    velocity = amsterdam.velocity
    for seed in range(3):
        dealt = velocity.copy(data=np.random.default_rng(seed).permutation(velocity.values))
        assert float(xinsar.getis_ord(dealt, 10, fdr=True).significant.mean()) < 0.02


def test_kirishima_p_values_take_shared_noise_for_motion(kirishima):
    hot = xinsar.getis_ord(kirishima, 100, fdr=True)
    valid = int(hot.hot_spot.notnull().sum())
    assert 0.6 < int(hot.significant.sum()) / valid < 0.9
    far = np.minimum(map_metres(kirishima, IWO_YAMA), map_metres(kirishima, SHINMOE_DAKE)) > 2000
    assert hot.significant.values[far].mean() > 0.5
