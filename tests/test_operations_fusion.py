"""fuse_tracks: pixel by pixel against SciPy and mgwr, motion that must survive, gaps, grids, chunks, errors."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import Akima1DInterpolator
from scipy.ndimage import binary_dilation, gaussian_filter

import xinsar
from tests.helpers import Chunks, built_lazily, in_chunks, same_bits, with_crs
from xinsar.accessor import DatasetAccessor, DataTreeAccessor
from xinsar.operations import controls, fusion
from xinsar.operations.controls import Ground
from xinsar.operations.fusion import fuse_tracks
from xinsar.simulate import los_vector

START, DAY = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "D")
LOOKS = {"ascending": (348.0, 39.0), "descending": (192.0, 37.0)}
CHUNKINGS: tuple[Chunks, ...] = (
    {"time": -1, "y": -1, "x": -1},
    {"time": 4, "y": 7, "x": 5},
    {"time": 1, "y": -1, "x": 4},
    {"time": -1, "y": 1, "x": -1},
)


def terrain(shape, *, seed=0, spacing=30.0):
    """Return slope and aspect of smooth hills, as a dataset (y, x)."""
    rng = np.random.default_rng(seed)
    heights = 6 * spacing * gaussian_filter(rng.normal(size=shape), 6, mode="wrap") * 6
    coords = {
        "y": 3_000_000 - spacing * np.arange(shape[0]),
        "x": ("x", 600_000 + spacing * np.arange(shape[1]), {"units": "m"}),
    }
    return xinsar.terrain(xr.DataArray(heights, coords, ("y", "x"), attrs={"units": "m"}))


def track(
    name, ground, motion=(0.0, 0.0, 0.0), *, days=range(0, 720, 12), noise=0.002, tilt=0.0, seed=0, **attrs
):
    """Return what a track sees of ``motion`` (east, north, up; m year-1), with weather, noise and a tilted zero."""
    shape, days = ground.aspect.shape, np.array(list(days))
    rng = np.random.default_rng([seed, *map(ord, name)])
    look = los_vector(*LOOKS[name])
    rate = sum(n * np.broadcast_to(m, shape) for n, m in zip(look, motion, strict=True))
    rate = rate + tilt * (np.linspace(-1, 1, shape[1]) + np.linspace(0, 1, shape[0])[:, None])
    values = (days - days[0])[:, None, None] / 365.25 * rate
    if noise:
        weather = [15 * gaussian_filter(rng.normal(size=shape), 15) for _ in days]
        values = values + noise * (np.array(weather) + rng.normal(size=values.shape))
    ds = xr.Dataset(
        {"displacement": (("time", "y", "x"), values - values[0], {"units": "m"}), "aspect": ground.aspect},
        {"time": START + days * DAY, "y": ground.y, "x": ground.x},
        {
            "heading": LOOKS[name][0],
            "incidence": LOOKS[name][1],
            "track": name,
            "wavelength": 0.0555,
            **attrs,
        },
    )
    return with_crs(ds, "EPSG:32647")


def pair(shape=(14, 17), *, gaps=0.0, dtype=np.float64, seed=0, **options):
    """Return a primary and an auxiliary track over one ground, with missing values."""
    ground = terrain(shape, seed=seed)
    primary = track("ascending", ground, days=range(0, 240, 12), seed=seed, **options)
    auxiliary = track("descending", ground, days=range(-20, 260, 14), seed=seed, **options)
    rng = np.random.default_rng(seed)
    for ds in (primary, auxiliary):
        values = ds.displacement.values
        values[rng.random(values.shape) < gaps] = np.nan
        ds["displacement"] = ds.displacement.astype(dtype).assign_attrs(units="m")
    return primary, auxiliary


def slide(shape=(60, 60)):
    """Return a body, and its motion east and up, m year-1."""
    row, column = np.indices(shape)
    body = np.hypot((row - 30) / 12, (column - 32) / 10) < 1
    return body, (0.0163 * body, 0.0, -0.006 * body)


def velocity_of(motion, component):
    """Return the velocity of a decomposed series, m year-1."""
    one = motion.sel(component=component)
    return xinsar.velocity(one).velocity.values


# ---- one pixel after another --------------------------------------------------------------------------------------


def interpolated(ds, days, column, to):
    known = np.isfinite(column)
    return Akima1DInterpolator(days[known], column[known])(to)


def by_hand(primary, auxiliary, k):
    """Fuse by SciPy's curve and weighted least squares, all pixels being control points."""
    days = [(ds.time.values - START) / DAY for ds in (primary, auxiliary)]
    ups = [np.cos(np.radians(ds.incidence)) for ds in (primary, auxiliary)]
    height, width = primary.sizes["y"], primary.sizes["x"]
    moved = np.array(
        [
            interpolated(auxiliary, days[1], auxiliary.displacement.values[:, y, x], days[0])
            for y, x in np.ndindex(height, width)
        ]
    )
    moved -= moved[:, :1]
    seen = primary.displacement.values.reshape(len(days[0]), -1).T
    difference = seen / ups[0] - moved / ups[1]
    aspect = np.radians(primary.aspect.values.ravel().astype(float))
    x, y = (a.ravel() for a in np.meshgrid(primary.x.values, primary.y.values))
    place = np.c_[x, y]
    regressors = np.c_[np.ones(x.size), x - x.mean(), y - y.mean(), np.sin(aspect), np.cos(aspect)]
    out = np.empty_like(moved)
    for i in range(x.size):
        distance = np.hypot(*(place - place[i]).T)
        bandwidth = np.sort(distance)[k - 1] * 1.0000001
        weight = np.where(distance < bandwidth, (1 - (distance / bandwidth) ** 2) ** 2, 0)
        root = np.sqrt(weight)[:, None]
        found = np.linalg.lstsq(root * regressors, root * difference, rcond=None)[0]
        out[i] = moved[i] + ups[1] * (regressors[i] @ found)
    return out.T.reshape(len(days[0]), height, width)


def test_equals_one_pixel_after_another():
    primary, auxiliary = pair((9, 8), tilt=0.01)
    found = fuse_tracks(primary, auxiliary, bandwidth=40, threshold=1.0)
    assert int(found.control_points) == 72
    assert int(found.bandwidth) == 40
    np.testing.assert_allclose(found.displacement, by_hand(primary, auxiliary, 40), rtol=1e-8, atol=1e-12)


def test_equals_mgwr_with_its_own_bandwidth():
    """One date, all pixels control points: the regression and its bandwidth are those of mgwr."""
    mgwr = pytest.importorskip("mgwr.gwr")
    from mgwr.sel_bw import Sel_BW

    primary, auxiliary = pair((12, 12), tilt=0.02)
    primary = primary.isel(time=[0, 9])
    found = fuse_tracks(primary, auxiliary, threshold=1.0)
    days = (auxiliary.time.values - START) / DAY
    to = (primary.time.values - START) / DAY
    moved = np.array(
        [interpolated(auxiliary, days, s, to) for s in auxiliary.displacement.values.reshape(len(days), -1).T]
    )
    moved = moved[:, 1] - moved[:, 0]
    ups = [np.cos(np.radians(ds.incidence)) for ds in (primary, auxiliary)]
    difference = (primary.displacement.values[1].ravel() / ups[0] - moved / ups[1])[:, None]
    aspect = np.radians(primary.aspect.values.ravel().astype(float))
    x, y = (a.ravel() for a in np.meshgrid(primary.x.values, primary.y.values))
    place, scale = np.c_[x, y], lambda a: (a - a.mean()) / a.std()
    terms = np.c_[scale(x), scale(y), np.sin(aspect), np.cos(aspect)]
    k = Sel_BW(place, difference, terms, n_jobs=1).search(criterion="AICc")
    assert int(found.bandwidth) == k
    wanted = mgwr.GWR(place, difference, terms, k, n_jobs=1).fit().predy.ravel()
    np.testing.assert_allclose(
        found.displacement[1].values.ravel(), moved + ups[1] * wanted, rtol=1e-6, atol=1e-12
    )


# ---- motion that must survive -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moving():
    """Two tracks over a slope that moves east and down, with tilted zeros, weather and noise; other dates."""
    body, motion = slide()
    ground = terrain(body.shape)
    ascending = track("ascending", ground, motion, tilt=0.004)
    descending = track("descending", ground, motion, days=range(-100, 730, 14), tilt=-0.006)
    return ascending, descending, body


def motion_after(tracks, **options):
    ascending, descending, body = tracks
    fused = fuse_tracks(ascending, descending, **options)
    motion = xinsar.decompose_los(ascending, fused).motion
    around = binary_dilation(body, iterations=6) & ~body
    up = velocity_of(motion, "up")
    return fused, velocity_of(motion, "east")[body].mean(), up[body].mean() - up[around].mean()


@pytest.mark.parametrize("options", [{}, {"threshold": 0.004}, {"bandwidth": 60}])
def test_motion_eastward_survives(moving, options):
    fused, east, up = motion_after(moving, **options)
    assert east == pytest.approx(0.0163, rel=0.1)
    assert up == pytest.approx(-0.006, rel=0.1)
    assert not fused.displacement.isnull().any()


def test_motion_survives_with_a_mask(moving):
    ascending, _, body = moving
    mask = xr.DataArray(~body, dims=("y", "x"), coords={d: ascending[d] for d in ("y", "x")})
    fused, east, _ = motion_after(moving, control=mask)
    assert east == pytest.approx(0.0163, rel=0.1)
    assert int(fused.control_points) == (~body).sum()
    assert fused.displacement.attrs["control"] == "given"


def test_all_points_erase_motion_eastward(moving):
    """The published way: of 16.3 mm/year hardly a tenth is left."""
    with pytest.warns(
        UserWarning, match=r"^fuse_tracks: control='all' takes motion toward east.*use control='stable'"
    ):
        fused, east, _ = motion_after(moving, control="all")
    assert abs(east) < 0.003
    assert int(fused.control_points) == 3600


def test_without_fusion_the_tilts_are_taken_for_motion(moving):
    ascending, descending, body = moving
    fused = fuse_tracks(ascending, descending)
    bare = descending.interp(time=ascending.time)
    bare["displacement"] = bare.displacement - bare.displacement[0]
    still = ~body
    error = [
        np.sqrt((velocity_of(xinsar.decompose_los(ascending, other).motion, "east")[still] ** 2).mean())
        for other in (bare, fused)
    ]
    assert error[1] < error[0] / 4


def test_the_difference_of_the_tracks_is_the_motion_eastward():
    """p / cos i - a / cos i = -2 tan i cos a times east, for tracks that mirror each other."""
    east = 0.01 * np.random.default_rng(0).normal(size=(2, 5))
    heading, incidence = 348.0, 39.0
    looks = [los_vector(heading, incidence), los_vector(540 - heading, incidence)]
    days = np.array([0.0, 12.0])
    dates = controls.Dates(days, days, np.array([True, True]))
    seen = [look[0] * east for look in looks]
    found = controls._difference(seen, [look[2] for look in looks], dates)
    i, a = np.radians([incidence, heading])
    start = looks[1][0] * east[0] / looks[1][2]
    np.testing.assert_allclose(found - start, -2 * east * np.tan(i) * np.cos(a), rtol=1e-12)


def test_a_track_that_begins_earlier_counts_from_the_primary():
    """What the ground did before the primary began is not in the result, on moving ground either."""
    body, motion = slide((20, 20))
    body[5:9, 5:9] = True
    motion = (0.05 * body, 0.0, -0.03 * body)
    ground = terrain(body.shape)
    primary = track("ascending", ground, motion, noise=0)
    long, same = (
        track("descending", ground, motion, days=range(first, 730, 12), noise=0) for first in (-360, 0)
    )
    found, wanted = (fuse_tracks(primary, one, bandwidth=30) for one in (long, same))
    np.testing.assert_allclose(found.displacement, wanted.displacement, atol=1e-12)
    np.testing.assert_allclose(found.displacement, same.displacement.sel(time=primary.time), atol=1e-12)


# ---- dates and gaps -----------------------------------------------------------------------------------------------


def test_no_extrapolation_in_time():
    primary, auxiliary = pair()
    short = auxiliary.isel(time=slice(0, 10))
    found = fuse_tracks(primary, short, bandwidth=30).displacement
    inside = found.time <= short.time[-1]
    assert 0 < int(inside.sum()) < found.sizes["time"]
    assert found.isel(time=inside.values).notnull().all()
    assert found.isel(time=~inside.values).isnull().all()


def test_an_auxiliary_that_begins_later_is_told():
    primary, auxiliary = pair()
    late = auxiliary.isel(time=slice(5, None))
    with pytest.warns(
        UserWarning, match=r"begins after the primary.*counts from 2020-03-01.*displacement.isel\(time=5\)"
    ):
        found = fuse_tracks(primary, late, threshold=1.0, bandwidth=30).displacement
    before = (found.time < late.time[0]).values
    assert found.isel(time=before).isnull().all()
    after = found.isel(time=~before)
    assert (after[0] == 0).all()
    cut = primary.isel(time=~before)
    cut["displacement"] = cut.displacement - cut.displacement[0]
    again = fuse_tracks(cut, late, threshold=1.0, bandwidth=30)
    np.testing.assert_allclose(again.displacement, after, atol=1e-12)


def test_missing_dates_of_the_auxiliary_are_bridged():
    primary, auxiliary = pair()
    gap = auxiliary.copy(deep=True)
    gap.displacement[8, 3, 4] = np.nan
    gap.displacement[:, 6, 6] = np.nan
    gap.displacement[1:, 7, 7] = np.nan
    gap.displacement[:3, 8, 8] = np.nan
    gap.displacement[-4:, 9, 9] = np.nan
    found = fuse_tracks(primary, gap, threshold=1.0, bandwidth=30)
    assert int(found.control_points) == 14 * 17 - 4
    moved = found.displacement
    assert moved[:, 3, 4].notnull().all()
    assert moved[:, 6, 6].isnull().all()
    assert moved[:, 7, 7].isnull().all()
    assert moved[:, 8, 8].isnull().sum() == 2
    assert moved[-3:, 9, 9].isnull().all()
    assert int(moved.isnull().any("time").sum()) == 4


def test_missing_dates_of_the_primary_change_only_the_fit():
    primary, auxiliary = pair()
    gap = primary.copy(deep=True)
    gap.displacement[5, 2:9, 3:9] = np.nan
    gap.displacement[:, 10, 10] = np.nan
    found = fuse_tracks(gap, auxiliary, threshold=1.0, bandwidth=30)
    assert int(found.control_points) == 14 * 17 - 1
    assert found.displacement.notnull().all()


def test_a_late_pixel_counts_from_its_own_first_date():
    """The zero of the auxiliary drifts; a pixel that stands still does so whenever it begins."""
    primary, auxiliary = pair(noise=0)
    drift = 0.01 * (auxiliary.time - auxiliary.time[0]) / DAY / 365.25
    auxiliary["displacement"] = auxiliary.displacement + drift
    auxiliary.displacement[:6, 4, 4] = np.nan
    found = fuse_tracks(primary, auxiliary, threshold=1.0, bandwidth=30).displacement
    assert found[:, 4, 4].isnull().values.tolist() == 6 * [True] + 14 * [False]
    assert int(found.isnull().sum()) == 6
    np.testing.assert_allclose(found.fillna(0), 0, atol=1e-12)


def test_order_of_dates_does_not_matter():
    primary, auxiliary = pair()
    wanted = fuse_tracks(primary, auxiliary, bandwidth=30)
    order = np.random.default_rng(1).permutation(20)
    found = fuse_tracks(primary.isel(time=order), auxiliary.isel(time=order[::-1]), bandwidth=30)
    xr.testing.assert_equal(found.displacement.time, primary.time.isel(time=order))
    np.testing.assert_array_equal(found.displacement, wanted.displacement.isel(time=order))


def test_zero_at_the_first_date():
    primary, auxiliary = pair()
    assert (fuse_tracks(primary, auxiliary).displacement[0] == 0).all()


# ---- the ground ---------------------------------------------------------------------------------------------------


def test_flat_ground_has_no_direction():
    primary, auxiliary = pair()
    primary["aspect"] = primary.aspect.where(primary.aspect.y < primary.y[3])
    found = fuse_tracks(primary, auxiliary, threshold=1.0, bandwidth=30)
    assert found.displacement.notnull().all()
    assert int(found.control_points) == 14 * 17
    bare = primary.assign(aspect=xr.full_like(primary.aspect, np.nan))
    assert fuse_tracks(bare, auxiliary, threshold=1.0, bandwidth=30).displacement.notnull().all()


def test_aspect_of_either_track():
    primary, auxiliary = pair()
    wanted = fuse_tracks(primary, auxiliary.drop_vars("aspect"), bandwidth=30)
    same_bits(fuse_tracks(primary.drop_vars("aspect"), auxiliary, bandwidth=30), wanted)
    other = auxiliary.assign(aspect=auxiliary.aspect[::-1].assign_coords(y=auxiliary.y))
    same_bits(fuse_tracks(primary, other, bandwidth=30), wanted)


def test_places_on_the_ellipsoid():
    """Straight lines through the ellipsoid are as long as geodesics to a millionth, over 10 km."""
    from pyproj import Geod

    plane = xr.DataArray(
        np.zeros((9, 11)),
        {"y": 46 - 0.01 * np.arange(9), "x": ("x", 179.95 + 0.01 * np.arange(11), {"units": "degrees_east"})},
        ("y", "x"),
    )
    rows, columns = (a.ravel() for a in np.indices((9, 11)))
    points = Ground.of(plane).points(rows, columns, np.zeros(99))
    wanted = [
        Geod(ellps="WGS84").inv(179.95, 46, plane.x[c], plane.y[r])[2]
        for r, c in zip(rows, columns, strict=True)
    ]
    np.testing.assert_allclose(np.linalg.norm(points.place - points.place[0], axis=1), wanted, rtol=1e-6)
    np.testing.assert_array_equal(points.terms[:, 0], plane.x.values[columns])


def test_degrees_and_metres_agree():
    primary, auxiliary = pair(tilt=0.01)
    wanted = fuse_tracks(primary, auxiliary, threshold=1.0, bandwidth=40).displacement
    x, y = primary.x - 600_000, primary.y - 3_000_000
    places = {"x": ("x", (x / 111_320).values, {"units": "degrees_east"}), "y": (y / 110_574).values}
    degrees = [ds.drop_vars("spatial_ref").assign_coords(places) for ds in (primary, auxiliary)]
    found = fuse_tracks(*degrees, threshold=1.0, bandwidth=40).displacement
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_los_of_every_pixel():
    """Where incidence changes across the image, each pixel's own cosine counts."""
    primary, auxiliary = pair()
    looks = []
    for ds, heading in ((primary, 348.0), (auxiliary, 192.0)):
        incidence = np.broadcast_to(np.linspace(31, 45, 17), (14, 17))
        look = los_vector(heading, incidence).astype(np.float32)
        looks.append(
            ds.drop_attrs().assign(displacement=ds.displacement, los=(("component", "y", "x"), look))
        )
    found = fuse_tracks(*looks, threshold=1.0, bandwidth=30)
    assert found.los.coords["component"].values.tolist() == ["east", "north", "up"]
    np.testing.assert_array_equal(found.los, looks[1].los)
    assert found.los.attrs["units"] == "1"
    motion = xinsar.decompose_los(looks[0], found)
    assert motion.motion.notnull().all()
    hole = looks[1].copy(deep=True)
    hole.los[:, 3, 3] = np.nan
    missing = fuse_tracks(looks[0], hole, threshold=1.0, bandwidth=30)
    assert int(missing.control_points) == 14 * 17 - 1
    assert int(missing.displacement[-1].isnull().sum()) == 1


# ---- control points -----------------------------------------------------------------------------------------------


def test_stable_is_stable_in_both_tracks():
    ground = terrain((30, 30))
    rates = [np.zeros((30, 30)), np.zeros((30, 30))]
    rates[0][3:9, 3:9] = 0.02
    rates[1][15:20, 15:25] = -0.02
    tracks = [
        track(name, ground, (0, 0, rate), noise=0.0005, days=range(0, 360, 12))
        for name, rate in zip(LOOKS, rates, strict=True)
    ]
    found = fuse_tracks(*tracks, threshold=0.01)
    assert int(found.control_points) == 900 - 36 - 50
    usual = fuse_tracks(*tracks)
    assert 0.8 * (900 - 86) < int(usual.control_points) <= 900 - 86


def test_stable_by_the_median_of_each_track():
    """A zero that drifts by 30 mm/year takes no point away without a threshold, and all with one."""
    primary, auxiliary = pair(noise=0.001)
    drift = 0.03 * (auxiliary.time - auxiliary.time[0]) / DAY / 365.25
    auxiliary["displacement"] = auxiliary.displacement + drift
    assert int(fuse_tracks(primary, auxiliary).control_points) > 0.8 * 14 * 17
    with pytest.raises(
        ValueError, match=r"^control: expected 10 control points or more.*got 0; raise threshold"
    ):
        fuse_tracks(primary, auxiliary, threshold=0.01)


def test_most_points_are_an_even_choice():
    primary, auxiliary = pair((20, 24))
    found = fuse_tracks(primary, auxiliary, threshold=1.0, max_points=100, bandwidth=30)
    assert int(found.control_points) == 100
    assert found.displacement.notnull().all()


def test_a_search_among_few_is_scaled(monkeypatch):
    """The bandwidth is searched among a few points and is the same share of all."""
    primary, auxiliary = pair((20, 24))
    few = fuse_tracks(primary, auxiliary, threshold=1.0, max_points=120)
    monkeypatch.setattr(controls, "SEARCHED", 120)
    found = fuse_tracks(primary, auxiliary, threshold=1.0)
    assert int(found.control_points) == 480
    assert int(found.bandwidth) == 4 * int(few.bandwidth)


def test_a_wide_bandwidth_needs_fewer_points(monkeypatch):
    """Points are left out rather than more than ``WIDE`` counted, but none of those that were searched."""
    primary, auxiliary = pair((20, 24))
    few = fuse_tracks(primary, auxiliary, threshold=1.0, max_points=120)
    monkeypatch.setattr(controls, "SEARCHED", 120)
    monkeypatch.setattr(controls, "WIDE", 2 * int(few.bandwidth))
    found = fuse_tracks(primary, auxiliary, threshold=1.0)
    assert int(found.control_points) == 240
    assert int(found.bandwidth) == 2 * int(few.bandwidth)
    monkeypatch.setattr(controls, "WIDE", 10)
    same_values = fuse_tracks(primary, auxiliary, threshold=1.0)
    assert int(same_values.control_points) == 120
    np.testing.assert_array_equal(same_values.displacement, few.displacement)
    given = fuse_tracks(primary, auxiliary, threshold=1.0, bandwidth=300)
    assert int(given.control_points) == 480


# ---- in and out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"bandwidth": 20}, {"threshold": 0.05, "max_points": 60, "bandwidth": 12}, {"max_points": 90}],
)
def test_every_chunking_gives_the_same_bits(options):
    primary, auxiliary = pair(gaps=0.05, dtype=np.float32)
    wanted = fuse_tracks(primary, auxiliary, **options)
    assert wanted.displacement.dtype == np.float32
    for chunks in CHUNKINGS:
        lazy_primary, lazy_auxiliary = (in_chunks(ds, chunks) for ds in (primary, auxiliary))
        lazy = built_lazily(lambda ds, p=lazy_primary: fuse_tracks(p, ds, **options), lazy_auxiliary)
        assert lazy.displacement.chunks is not None
        assert lazy.bandwidth.chunks is not None
        for dim in ("y", "x"):
            assert lazy.displacement.chunksizes[dim] == lazy_auxiliary.displacement.chunksizes[dim]
        same_bits(lazy.compute(scheduler="threads"), wanted)


@pytest.mark.parametrize("lazy", [0, 1])
def test_one_lazy_track_is_enough(lazy):
    tracks = list(pair())
    wanted = fuse_tracks(*tracks, bandwidth=20)
    tracks[lazy] = in_chunks(tracks[lazy], {"y": 5, "x": 6})
    found = built_lazily(lambda ds: fuse_tracks(*tracks, bandwidth=20), tracks[0])
    assert found.displacement.chunks is not None
    same_bits(found.compute(), wanted)


def test_pixels_worked_out_in_many_goes(monkeypatch):
    primary, auxiliary = pair((40, 75))
    wanted = fuse_tracks(primary, auxiliary, bandwidth=20, max_points=200)
    monkeypatch.setattr(fusion, "_SLAB", 1)
    monkeypatch.setattr(fusion, "_BLOCK", 16)
    same_bits(fuse_tracks(primary, auxiliary, bandwidth=20, max_points=200), wanted)


def test_whole_numbers_and_leading_dims():
    primary, auxiliary = pair((10, 10))
    both = [
        xr.concat([ds.displacement, 2 * ds.displacement], xr.Variable("run", [3, 4])).assign_attrs(units="m")
        for ds in (primary, auxiliary)
    ]
    found = fuse_tracks(
        *(ds.assign(displacement=b) for ds, b in zip((primary, auxiliary), both, strict=True)), bandwidth=20
    )
    assert found.displacement.dims == ("run", "time", "y", "x")
    assert found.bandwidth.dims == ("run",)
    assert found.run.values.tolist() == [3, 4]
    one = fuse_tracks(primary, auxiliary, bandwidth=20)
    np.testing.assert_array_equal(found.displacement[0], one.displacement)
    np.testing.assert_allclose(found.displacement[1], 2 * one.displacement, rtol=1e-9, atol=1e-15)
    metres = [
        ds.assign(displacement=(1000 * ds.displacement).round().astype(np.int16).assign_attrs(units="m"))
        for ds in (primary, auxiliary)
    ]
    assert fuse_tracks(*metres, threshold=1e4, bandwidth=20).displacement.dtype == np.float64


def test_output_is_described():
    primary, auxiliary = pair(history="made", reference="a rock")
    found = fuse_tracks(primary.assign_attrs(reference=[1, 2]), auxiliary, threshold=0.5, bandwidth=20)
    assert found.attrs["reference"] == [1, 2]
    assert (
        "reference"
        not in fuse_tracks(
            primary.drop_attrs(deep=False).assign_attrs(heading=348.0, incidence=39.0),
            auxiliary,
            bandwidth=20,
        ).attrs
    )
    assert list(found) == ["displacement", "bandwidth", "control_points"]
    assert found.displacement.dims == ("time", "y", "x")
    xr.testing.assert_equal(found.time, primary.time)
    assert {k: found.attrs[k] for k in ("heading", "incidence", "track", "wavelength")} == {
        "heading": 192.0,
        "incidence": 37.0,
        "track": "descending",
        "wavelength": 0.0555,
    }
    assert found.attrs["history"] == (
        "made\nxinsar.fuse_tracks(control='stable', bandwidth=20, threshold=0.5, max_points=20000)"
    )
    assert found.displacement.attrs["units"] == "m"
    assert "spatial_ref" in found.coords
    xinsar.schema.check_cube(found)


def test_trees_and_the_accessor():
    primary, auxiliary = pair()
    wanted = fuse_tracks(primary, auxiliary, bandwidth=20)
    same_bits(primary.insar.fuse_tracks(auxiliary, bandwidth=20), wanted)
    tree = xr.DataTree.from_dict({"ascending": primary, "descending": auxiliary})
    same_bits(fuse_tracks(tree, bandwidth=20), wanted)
    same_bits(tree.insar.fuse_tracks(bandwidth=20, primary_track="ascending"), wanted)
    turned = fuse_tracks(auxiliary.sel(time=slice("2020-01-01", None)), primary, bandwidth=20)
    tree["descending"] = xr.DataTree(auxiliary.sel(time=slice("2020-01-01", None)))
    same_bits(fuse_tracks(tree, bandwidth=20, primary_track="descending"), turned)
    assert turned.attrs["heading"] == 348.0


@pytest.mark.parametrize("accessor", [DatasetAccessor, DataTreeAccessor])
def test_methods_have_the_arguments_and_defaults_of_the_function(accessor):
    own, wanted = (
        list(inspect.signature(f).parameters.values())[1:] for f in (accessor.fuse_tracks, fuse_tracks)
    )
    assert [(p.name, p.default, p.kind) for p in own] == [(p.name, p.default, p.kind) for p in wanted]


def test_the_result_can_be_saved(tmp_path):
    found = fuse_tracks(*pair(), bandwidth=20)
    xinsar.save_cube(found, tmp_path / "fused.zarr", progress=False)
    again = xinsar.open_cube(tmp_path / "fused.zarr").load()
    np.testing.assert_array_equal(again.displacement, found.displacement)
    assert int(again.bandwidth) == 20


# ---- grids --------------------------------------------------------------------------------------------------------


def shifted(ds, columns=0.5):
    x = ds.x + columns * float(ds.x[1] - ds.x[0])
    return with_crs(ds.assign_coords(x=x.assign_attrs(units="m")), "EPSG:32647")


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_grids_that_differ(resampling):
    primary, auxiliary = pair()
    other = shifted(auxiliary)
    found = fuse_tracks(primary, other, target=primary, resampling=resampling, bandwidth=30, threshold=1.0)
    xr.testing.assert_equal(found.x, primary.x)
    assert "resampling" in found.attrs["history"]
    lazy = built_lazily(
        lambda ds: fuse_tracks(
            primary, ds, target=primary, resampling=resampling, bandwidth=30, threshold=1.0
        ),
        in_chunks(other, {"y": 5, "x": 6}),
    )
    same_bits(lazy.compute(), found)
    middle = auxiliary.displacement[:, :, 5]
    if resampling == "bilinear":
        middle = (auxiliary.displacement[:, :, 4] + middle) / 2
    same = fuse_tracks(primary, auxiliary, bandwidth=30, threshold=1.0).displacement[:, :, 5]
    assert (
        abs(found.displacement[:, :, 5] - same).max()
        < 4 * abs(middle - auxiliary.displacement[:, :, 5]).max() + 0.01
    )


def test_grids_that_differ_are_an_error():
    primary, auxiliary = pair()
    with pytest.raises(
        ValueError, match=r"expected all tracks on one grid.*target=.*resampling='nearest' or 'bilinear'"
    ):
        fuse_tracks(primary, shifted(auxiliary))


# ---- errors -------------------------------------------------------------------------------------------------------


def no_change(ds):
    return ds


@pytest.mark.parametrize(
    ("first", "second", "error", "words"),
    [
        (
            lambda ds: ds.displacement,
            no_change,
            TypeError,
            "^primary: expected an xarray.Dataset.*got DataArray",
        ),
        (no_change, lambda ds: None, TypeError, "^auxiliary: .*got NoneType.*DataTree"),
        (
            lambda ds: ds.rename(displacement="shift"),
            no_change,
            xinsar.SchemaError,
            "^primary: .*aspect, shift; make it with invert_network",
        ),
        (
            no_change,
            lambda ds: ds.isel(time=0),
            xinsar.SchemaError,
            "^auxiliary: .*dim 'time'",
        ),
        (no_change, lambda ds: ds.drop_vars("time"), xinsar.SchemaError, "^auxiliary: .*got none"),
        (no_change, lambda ds: ds.isel(time=[]), xinsar.SchemaError, "^auxiliary: .*got none"),
        (lambda ds: ds.assign_coords(time=np.arange(20)), no_change, xinsar.SchemaError, "^primary: .*int64"),
        (
            lambda ds: ds.assign_coords(time=ds.time.where(ds.time > START)),
            no_change,
            xinsar.SchemaError,
            "^primary: .*NaT",
        ),
        (
            lambda ds: ds.isel(time=[0, 1, 1]),
            no_change,
            xinsar.SchemaError,
            "^primary: expected every date once",
        ),
        (
            lambda ds: ds.assign_coords(time=ds.time + 1000 * DAY),
            no_change,
            ValueError,
            r"^auxiliary: .*2022-09-27 to 2023-05-13.*2019-12-12 to 2020-09-03.*got 0",
        ),
        (
            lambda ds: ds.isel(time=[0]),
            no_change,
            ValueError,
            "^auxiliary: expected two dates or more.*got 1",
        ),
        (
            lambda ds: ds.drop_vars("aspect"),
            lambda ds: ds.drop_vars("aspect"),
            xinsar.SchemaError,
            "^aspect: .*xinsar.terrain",
        ),
        (
            lambda ds: ds.assign(displacement=ds.displacement.assign_attrs(units="mm")),
            no_change,
            xinsar.SchemaError,
            "^displacement: expected units 'm', got 'mm'",
        ),
        (no_change, lambda ds: ds.drop_attrs(), xinsar.SchemaError, "^los: .*heading and incidence"),
        (lambda ds: ds.expand_dims("run"), no_change, ValueError, "^displacement: expected the same dims"),
        (
            lambda ds: ds.expand_dims(run=[1]),
            lambda ds: ds.expand_dims(run=[2]),
            ValueError,
            "^run: expected the same values",
        ),
        (
            lambda ds: ds.drop_vars("spatial_ref").assign_coords(x=ds.x.values),
            lambda ds: ds.drop_vars("spatial_ref").assign_coords(x=ds.x.values),
            ValueError,
            "^x: the pixel size in metres",
        ),
        (
            lambda ds: ds.assign_coords(x=ds.x.where(ds.x > ds.x[0]).assign_attrs(units="m")).drop_vars(
                "spatial_ref"
            ),
            lambda ds: ds.assign_coords(x=ds.x.where(ds.x > ds.x[0]).assign_attrs(units="m")).drop_vars(
                "spatial_ref"
            ),
            ValueError,
            "x",
        ),
        (
            no_change,
            lambda ds: ds.where(ds.displacement != ds.displacement[3, 4, 4], np.inf),
            ValueError,
            "^displacement: .*infinite",
        ),
        (
            lambda ds: ds.assign(
                los=(("component", "y", "x"), np.tile([[[0.0]], [[0]], [[-1]]], (1, 14, 17)))
            ),
            no_change,
            ValueError,
            "^los: .*up component of -1",
        ),
    ],
)
def test_bad_tracks(first, second, error, words):
    primary, auxiliary = pair()
    with pytest.raises(error, match=words):
        fuse_tracks(first(primary), second(auxiliary), bandwidth=20)


def mask(ds, value=True):
    return xr.full_like(ds.aspect, value, dtype=bool)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"control": "some"}, ValueError, "^control: expected one of 'stable', 'all'"),
        ({"control": 5}, TypeError, "^control: .*DataArray.*got int"),
        ({"control": lambda ds: ds.aspect}, xinsar.SchemaError, "^control: expected a boolean mask.*float32"),
        ({"control": lambda ds: mask(ds)[0]}, xinsar.SchemaError, r"^control: .*dims \('x',\)"),
        (
            {"control": lambda ds: mask(ds)[1:]},
            ValueError,
            "^control: expected a mask on the grid.*13 and 14",
        ),
        (
            {"control": lambda ds: mask(ds, value=False)},
            ValueError,
            "^control: .*10 control.*got 0; enlarge the mask",
        ),
        ({"bandwidth": "cv"}, ValueError, "^bandwidth: expected one of 'aicc'"),
        ({"bandwidth": 9}, ValueError, "^bandwidth: .*10 or more"),
        ({"bandwidth": 50.5}, TypeError, "^bandwidth: expected a whole number"),
        (
            {"bandwidth": 500, "threshold": 1.0},
            ValueError,
            "^control: expected 500 control points.*got 238; .*or lower bandwidth",
        ),
        ({"threshold": -1}, ValueError, "^threshold: "),
        ({"threshold": "low"}, TypeError, "^threshold: "),
        ({"threshold": 0.1, "control": lambda ds: mask(ds)}, ValueError, "^threshold: .*leave it out"),
        ({"max_points": 3}, ValueError, "^max_points: "),
        ({"primary_track": "ascending"}, ValueError, "^primary_track: .*DataTree"),
        ({"resampling": "nearest"}, ValueError, "^target: "),
        ({"resampling": "cubic"}, ValueError, "^resampling: "),
        ({"target": 30.0}, TypeError, "^target: "),
    ],
)
def test_bad_options(options, error, words):
    primary, auxiliary = pair()
    given = {n: v(primary) if callable(v) else v for n, v in options.items()}
    with pytest.raises(error, match=words):
        fuse_tracks(primary, auxiliary, **given)


@pytest.mark.parametrize(
    ("names", "options", "error", "words"),
    [
        (("a",), {}, ValueError, "^primary: expected a DataTree of two tracks, got 1: a"),
        (("a", "b", "c"), {}, ValueError, "^primary: expected a DataTree of two tracks, got 3: a, b, c"),
        (("a", "b"), {"primary_track": "c"}, ValueError, "^primary_track: expected 'a' or 'b', got 'c'"),
        (("a", "b"), {"auxiliary": xr.Dataset()}, TypeError, "^auxiliary: expected none beside a DataTree"),
    ],
)
def test_bad_trees(names, options, error, words):
    primary, _ = pair()
    tree = xr.DataTree.from_dict(dict.fromkeys(names, primary))
    with pytest.raises(error, match=words):
        fuse_tracks(tree, **options)


def test_errors_of_lazy_data_come_when_it_is_computed():
    primary, auxiliary = (in_chunks(ds, {"y": 5}) for ds in pair())
    none = built_lazily(lambda ds: fuse_tracks(ds, auxiliary, threshold=1e-9), primary)
    with pytest.raises(ValueError, match=r"^control: expected 10 control points"):
        none.compute()


def test_no_warning_without_cause():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuse_tracks(*pair(gaps=0.3), threshold=1.0, bandwidth=10, max_points=30)
