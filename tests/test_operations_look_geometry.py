"""How a track sees slopes: printed test values, the closed form beside, rays against plain loops, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import assert_same_everywhere, with_crs
from tests.test_operations_terrain import dem, hills, open_dem, plane
from xinsar import SchemaError, simulate
from xinsar.operations.terrain import look_geometry, terrain
from xinsar.simulate import geometry

CHUNKINGS = ({"y": -1, "x": -1}, {"y": 9, "x": 7}, {"y": 1, "x": 11}, {"y": 6, "x": 1})
ASCENDING, DESCENDING, INCIDENCE = 348.0, 192.0, 39.0


def slopes(slope, aspect, **attrs):
    """Return a track of slopes in a row."""
    slope, aspect = np.broadcast_arrays(np.atleast_1d(slope), np.atleast_1d(aspect))
    values = {
        "slope": (("y", "x"), slope[None].astype(float)),
        "aspect": (("y", "x"), aspect[None].astype(float)),
    }
    return xr.Dataset(values, attrs={"heading": ASCENDING, "incidence": INCIDENCE, **attrs})


def track(elevation, **attrs):
    return elevation.to_dataset(name="elevation").assign_attrs(
        {"heading": ASCENDING, "incidence": INCIDENCE, **attrs}
    )


def with_los(ds, heading=ASCENDING, incidence=INCIDENCE):
    """Return ``ds`` with a line of sight for each pixel, from angles (y, x)."""
    shape = ds.elevation.shape
    vectors = geometry.los_vector(np.broadcast_to(heading, shape), np.broadcast_to(incidence, shape))
    los = xr.DataArray(vectors, dims=("component", "y", "x"), coords={"component": ["east", "north", "up"]})
    return ds.assign(los=los)


def mountains(shape=(24, 30), seed=1, gaps=0.0, relief=700.0):
    """Return rough ground, steep enough for everything."""
    z = hills(shape, seed)
    z = 1000 + relief * (z - z.mean()) / (z.max() - z.min())
    z[np.random.default_rng(seed).random(shape) < gaps] = np.nan
    return z


def ray_loop(z, dy, dx, azimuth, incidence, reach):
    """Layover and shadow by walking every ray in float64; ``dy`` is the way northward to the row before."""
    out = np.zeros((2, *z.shape), bool)
    tan = np.tan(np.deg2rad(incidence))
    down, right = -np.cos(np.deg2rad(azimuth)) / dy, np.sin(np.deg2rad(azimuth)) / dx
    pixels = max(abs(down), abs(right))
    for y, x in np.ndindex(z.shape):
        for k in range(1, int(reach * pixels) + 1):
            away = k / pixels
            toward = between(z, y + k * down / pixels, x + k * right / pixels) - z[y, x]
            behind = between(z, y - k * down / pixels, x - k * right / pixels) - z[y, x]
            out[1, y, x] |= toward > away / tan
            out[0, y, x] |= (toward < -away * tan) or (behind > away * tan)
    return out


def between(z, y, x):
    """Elevation on a line between two pixels, one of y and x being whole; NaN beyond the image."""
    y, x = (round(v) if abs(v - round(v)) < 1e-9 else v for v in (y, x))
    (i, j), (k, m) = (int(np.floor(y)), int(np.floor(x))), (int(np.ceil(y)), int(np.ceil(x)))
    if min(i, j) < 0 or k >= z.shape[0] or m >= z.shape[1]:
        return np.nan
    share = (y - i) + (x - j)
    return float(z[i, j]) if share == 0 else (1 - share) * float(z[i, j]) + share * float(z[k, m])


@pytest.mark.parametrize(
    ("heading", "aspect", "wanted"),
    [(ASCENDING, 90, -0.886), (ASCENDING, 270, 0.229), (ASCENDING, 0, -0.447), (ASCENDING, 180, -0.210),
     (DESCENDING, 270, -0.886), (DESCENDING, 90, 0.229), (DESCENDING, 0, -0.447), (DESCENDING, 180, -0.210)],
)  # fmt: skip
def test_known_sensitivities(heading, aspect, wanted):
    found = look_geometry(slopes(25.0, aspect, heading=heading)).sensitivity
    assert found.item() == pytest.approx(wanted, abs=5e-4)


def test_the_blind_line():
    """Where tan B = tan i sin(a - A) nothing is seen: 38 degrees on a west slope of an ascending track."""
    aspect = np.linspace(180, 330, 40)
    blind = np.degrees(np.arctan(np.tan(np.deg2rad(INCIDENCE)) * np.sin(np.deg2rad(ASCENDING - aspect))))
    seen = blind > 0
    found = look_geometry(slopes(blind[seen], aspect[seen])).sensitivity
    np.testing.assert_allclose(found, 0, atol=1e-6)
    assert np.interp(270, aspect, blind) == pytest.approx(38, abs=0.5)


@pytest.mark.parametrize("incidence", [23.0, 39.0, 45.0])
@pytest.mark.parametrize("heading", [ASCENDING, DESCENDING, 75.0])
def test_the_closed_form_of_the_simulator(heading, incidence):
    rng = np.random.default_rng(0)
    slope, aspect = rng.uniform(0, 85, 500), rng.uniform(0, 360, 500)
    found = look_geometry(slopes(slope, aspect, heading=heading, incidence=incidence))
    wanted = geometry.distortion(slope, aspect, heading, incidence)
    np.testing.assert_array_equal(found.layover.values[0], wanted.layover)
    np.testing.assert_array_equal(found.shadow.values[0], wanted.shadow)
    np.testing.assert_allclose(found.foreshortening.values[0], wanted.stretch, atol=2e-6)
    sensitivity = geometry.sensitivity(slope, aspect, heading, incidence)
    np.testing.assert_allclose(found.sensitivity.values[0], sensitivity, atol=1e-6)
    assert 0 < wanted.layover.mean() < 1
    assert 0 < wanted.shadow.mean() < 1


def test_flat_and_missing_ground():
    found = look_geometry(slopes([0.0, np.nan, 20.0], [np.nan, np.nan, np.nan]))
    assert np.isnan(found.sensitivity).all()
    np.testing.assert_array_equal(found.foreshortening.values[0], [1.0, np.nan, np.nan])
    assert not found.layover.any()
    assert not found.shadow.any()


@pytest.mark.parametrize("heading", [ASCENDING, DESCENDING, 90.0, 45.0, 348.0 - 90])
@pytest.mark.parametrize("step", [(-20.0, 10.0), (15.0, 15.0)])
def test_rays_by_plain_loops(heading, step):
    z = mountains(gaps=0.03)
    ground = track(dem(z, step=step), heading=heading)
    found, local = look_geometry(ground, reach=200), look_geometry(ground, reach=0)
    layover, shadow = ray_loop(z, -step[0], step[1], heading - 90, INCIDENCE, 200)
    np.testing.assert_array_equal(found.layover, layover | local.layover)
    np.testing.assert_array_equal(found.shadow, shadow | local.shadow)
    assert 0.02 < layover.mean() < 0.98
    assert 0.005 < shadow.mean() < 0.98
    assert not found.layover.values[np.isnan(z)].any()


def test_rays_with_a_look_of_their_own():
    """Headings and incidences that change over the image, as los."""
    z = mountains()
    heading = 340 + np.linspace(0, 30, z.size).reshape(z.shape)
    incidence = 30 + np.linspace(0, 15, z.shape[1])[None]
    found = look_geometry(with_los(track(dem(z)), heading, incidence), reach=150)
    local = look_geometry(with_los(track(dem(z)), heading, incidence), reach=0)
    for y, x in [(3, 4), (12, 15), (20, 25), (8, 28), (17, 2), (23, 0)]:
        rays = ray_loop(z, 20.0, 10.0, heading[y, x] - 90, incidence[0, x], 150)
        assert found.layover[y, x] == rays[0, y, x] | local.layover[y, x]
        assert found.shadow[y, x] == rays[1, y, x] | local.shadow[y, x]


def test_los_and_angles_agree():
    ground = track(dem(mountains()))
    by_angles, by_los = look_geometry(ground), look_geometry(with_los(ground))
    for name in by_angles:
        same = by_angles[name] == by_los[name] if by_angles[name].dtype == bool else None
        if same is None:
            np.testing.assert_allclose(by_los[name], by_angles[name], atol=1e-5)
        else:
            assert same.mean() > 0.99


def wall(height, incidence):
    """Return a level plain with a ridge of one pixel across it, 5 m pixels, seen from the west by heading 0."""
    z = np.zeros((5, 201))
    z[:, 100] = height
    return look_geometry(track(dem(z, step=(-5.0, 5.0)), heading=360.0, incidence=incidence))


@pytest.mark.parametrize("incidence", [25.0, 39.0, 50.0])
def test_a_wall_casts_what_geometry_says(incidence):
    """Heading north, looking east: shadow H tan i long to the east, layover H / tan i long to the west."""
    height, tan = 100.0, np.tan(np.deg2rad(incidence))
    found = wall(height, incidence)
    shadow, layover = (np.flatnonzero(found[n].values[2]) for n in ("shadow", "layover"))
    assert shadow.max() - 100 == pytest.approx(height * tan / 5, abs=1)
    assert shadow.min() > 100
    assert 100 - layover.min() == pytest.approx(height / tan / 5, abs=1)
    np.testing.assert_array_equal(layover, np.arange(layover.min(), layover.max() + 1))


def test_reach_bounds_the_rays():
    z = np.zeros((3, 301))
    z[:, 0] = 500.0
    ground = track(dem(z, step=(-5.0, 5.0)), heading=360.0)
    whole, short, none = (look_geometry(ground, reach=r) for r in (5000, 100, 0))
    assert whole.shadow[1].sum() == pytest.approx(500 * np.tan(np.deg2rad(39)) / 5, abs=1)
    assert short.shadow[1, 1:].sum() == 20
    assert none.shadow[1].sum() < 3
    assert short.shadow.attrs["reach"] == 100
    assert look_geometry(slopes(20.0, 90.0)).shadow.attrs["reach"] == 0


def test_a_plane_is_seen_everywhere_or_nowhere():
    for slope, aspect, layover, shadow in [(35, 258, 0, 0), (43, 258, 1, 0), (48, 78, 0, 0), (55, 78, 0, 1)]:
        found = look_geometry(track(plane(slope, aspect, (20, 20))))
        inner = np.s_[5:-5, 5:-5]
        assert (found.layover.values[inner] == layover).all(), (slope, aspect)
        assert (found.shadow.values[inner] == shadow).all(), (slope, aspect)


@pytest.mark.parametrize("reach", [0, 90, 5000])
@pytest.mark.parametrize("how", ["angles", "los", "degrees"])
def test_any_chunks_give_the_same_bits_and_nothing_is_computed_early(how, reach):
    z = mountains((20, 22), gaps=0.05)
    cube = track(dem(z))
    if how == "los":
        cube = with_los(cube, 345 + np.arange(22.0))
        cube.los[:, 3, 4] = np.nan
    if how == "degrees":
        cube = track(dem(z, step=(-0.0002, 0.0001), units="degrees_east", origin=(10.0, 60.0)))
    found = assert_same_everywhere(lambda ds: look_geometry(ds, reach=reach), cube, CHUNKINGS)
    assert list(found) == ["sensitivity", "layover", "shadow", "foreshortening"]
    assert [v.dtype for v in found.values()] == [np.float32, bool, bool, np.float32]
    assert 0 < found.layover.mean() < 1


@given(
    chunks=st.tuples(st.integers(4, 24), st.integers(3, 30)),
    reach=st.integers(10, 400),
    seed=st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
def test_random_chunks(chunks, reach, seed):
    cube = track(dem(mountains(seed=seed, gaps=0.02)))
    wanted = look_geometry(cube, reach=reach)
    found = look_geometry(cube.chunk(dict(zip("yx", chunks, strict=True))), reach=reach)
    xr.testing.assert_identical(found.compute(scheduler="synchronous"), wanted)


def test_lazy_los_over_ground_in_memory_and_the_other_way():
    cube = with_los(track(dem(mountains())))
    wanted = look_geometry(cube, reach=90)
    for lazy in (cube.assign(los=cube.los.chunk(y=5)), cube.assign(elevation=cube.elevation.chunk(x=7))):
        found = look_geometry(lazy, reach=90)
        assert all(v.chunks is not None for v in found.values())
        xr.testing.assert_equal(found.compute(scheduler="synchronous"), wanted)


def test_ground_of_its_own_dataset():
    z = dem(mountains())
    whole = look_geometry(track(z))
    for ground in (z.to_dataset(), terrain(z).assign(elevation=z)):
        found = look_geometry(track(z).drop_vars("elevation"), terrain=ground)
        xr.testing.assert_equal(found, whole)
    local = look_geometry(with_los(track(z)).drop_vars("elevation"), terrain=terrain(z))
    assert local.layover.attrs["reach"] == 0
    angles = xr.Dataset(attrs={"heading": ASCENDING, "incidence": INCIDENCE})
    xr.testing.assert_equal(look_geometry(angles, terrain=z.to_dataset()), whole)


def test_a_simulated_scene():
    scene = simulate.scene(0, shape=(64, 64))
    ds = scene.cube["descending"].to_dataset()
    found = look_geometry(ds)
    assert found.attrs["heading"] == ds.attrs["heading"]
    ground = terrain(ds)
    wanted = geometry.sensitivity(ground.slope, ground.aspect, ds.attrs["heading"], ds.attrs["incidence"])
    np.testing.assert_allclose(found.sensitivity, wanted, atol=0.02)


def test_errors_of_grids():
    z = dem(mountains())
    ds = with_los(track(z))
    moved = z.assign_coords(x=z.x + 5).to_dataset()
    with pytest.raises(ValueError, match=r"terrain: expected the grid of data .*reproject_match"):
        look_geometry(ds, terrain=moved)
    with pytest.raises(ValueError, match=r"terrain: expected the grid of data \(24 y"):
        look_geometry(ds, terrain=z[1:].to_dataset())
    zones = with_crs(ds, "EPSG:32633"), with_crs(z.to_dataset(), "EPSG:32632")
    with pytest.raises(ValueError, match=r"terrain: expected the CRS of data \(WGS 84 / UTM zone 33N\), got"):
        look_geometry(zones[0], terrain=zones[1])


def test_errors_of_the_look():
    ds = track(dem(mountains()))
    with pytest.raises(SchemaError, match=r"heading: expected 'los' .* set data.attrs"):
        look_geometry(xr.Dataset(ds.data_vars))
    with pytest.raises(ValueError, match="incidence: expected degrees from the vertical"):
        look_geometry(ds.assign_attrs(incidence=90.0))
    with pytest.raises(ValueError, match="heading: expected degrees, got nan"):
        look_geometry(ds.assign_attrs(heading=np.nan))
    full = with_los(ds)
    with pytest.raises(ValueError, match=r"los: expected unit vectors .* lengths from 2"):
        look_geometry(full.assign(los=2 * full.los))
    with pytest.raises(ValueError, match=r"los: expected unit vectors .* lengths from 2"):
        look_geometry(full.assign(los=2 * full.los).chunk(y=6)).compute()
    with pytest.raises(ValueError, match=r"los: .* points into the ground; turn the sign"):
        look_geometry(full.assign(los=-full.los))
    named = full.los.assign_coords(component=["up", "north", "range"])
    with pytest.raises(SchemaError, match="los: expected the components"):
        look_geometry(
            full.assign(los=(("component", "y", "x"), named.data)).assign_coords(component=named.component)
        )


def test_components_are_found_by_name():
    ds = with_los(track(dem(mountains())))
    turned = ds.isel(component=[2, 0, 1])
    xr.testing.assert_equal(look_geometry(turned), look_geometry(ds))


def test_errors_of_the_ground():
    ds = track(dem(mountains()))
    with pytest.raises(TypeError, match=r"data: expected an xarray.Dataset, got DataArray"):
        look_geometry(ds.elevation)
    with pytest.raises(TypeError, match=r"terrain: expected an xarray.Dataset, got DataArray"):
        look_geometry(ds, terrain=ds.elevation)
    with pytest.raises(SchemaError, match="elevation: expected 'elevation', or 'slope' and 'aspect'"):
        look_geometry(ds.drop_vars("elevation"))
    with pytest.raises(SchemaError, match="aspect: the dataset has no variable"):
        look_geometry(terrain(ds).drop_vars("aspect").assign_attrs(ds.attrs))
    with pytest.raises(ValueError, match="reach: expected a number above 0"):
        look_geometry(ds, reach=-1)
    with pytest.raises(TypeError, match="reach"):
        look_geometry(ds, reach="far")


@pytest.mark.real
def test_the_slope_along_a_real_look(real_data):
    """A mountain in Bhutan that came with its slope along the look of ALOS, made by others."""
    folder = real_data("bhutan-alos-slope-cube")
    incidence = np.deg2rad(34.5)
    found = look_geometry(track(open_dem(folder / "DEM_UTM.tif"), heading=-14.0, incidence=34.5))
    facing = incidence - np.arcsin(found.foreshortening.values * np.sin(incidence))
    theirs = open_dem(folder / "DEM_slope_UTM.tif").values
    both = np.isfinite(facing) & np.isfinite(theirs)
    assert np.corrcoef(facing[both], theirs[both])[0, 1] > 0.99
    assert 0 < found.layover.mean() < 0.02
