"""ASF HyP3 products. No real one is at hand: the files are stand-ins, as the guides describe them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio

from xinsar.readers import open_stack, orbit

SHAPE = (6, 5)
WAVELENGTH = 0.0554657647
GAMMA = "S1AA_{}T165026_{}T165027_VVP012_INT80_G_ueF_{}"
BURST = "S1_136231_IW2_{}_{}_VV_INT80_{}"
MULTI = "S1_064_000000s1n00-136231s2n02-000000s3n00_IW_{}_{}_VV_INT80_{}"
OLD_MULTI = "S1A_064_E053_1_N27_3_E054_1_N27_8_{}_{}_VV_INT80_{}"
NAMES = {"gamma": GAMMA, "burst": BURST, "multi-burst": MULTI, "old multi-burst": OLD_MULTI}


def write_tif(path, values, *, west=300000.0, north=4000000.0, crs="EPSG:32633", nodata=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype}
    profile |= {"crs": crs, "nodata": nodata, "transform": rasterio.Affine(80, 0, west, 0, -80, north)}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(values, 1)


def parameters(baseline, heading=193.2939317, orbit_number=30741):
    return (
        "Reference Granule: S1A_IW_SLC__1SDV_20200116T032559_20200116T032627_030820_038928_F5DC\n"
        f"Reference Pass Direction: {'DESCENDING' if heading > 90 else 'ASCENDING'}\n"
        f"Reference Orbit Number: {orbit_number}\n"
        f"Baseline: {baseline}\nUTC time: 60626.5\nHeading: {heading}\n"
        "Spacecraft height: 700618.6318999995\nEarth radius at nadir: 6370250.0667\n"
        "Slant range near: 799517.4338\nSlant range center: 879794.1404\nSlant range far: 960070.8469\n"
        "Unwrapping type: mcf\n"
    )


def look_vector(heading, incidence):
    """Angles of the vector to a right-looking satellite: elevation, and from east counter-clockwise."""
    a, i = math.radians(heading), math.radians(incidence)
    east, north = -math.sin(i) * math.cos(a), math.sin(i) * math.sin(a)
    return math.pi / 2 - i, math.atan2(north, east)


def write_product(
    root,
    name,
    d1="20200101",
    d2="20200113",
    *,
    away=0.01,
    baseline=58.4,
    heading=193.2939317,
    kinds=("unw_phase", "wrapped_phase", "corr", "lv_theta", "lv_phi", "dem", "water_mask", "amp"),
    code="74C2",
    turn=0.0,
    grid=None,
    **text,
):
    """Write a product whose first row is nodata and whose ground moved ``away`` metres."""
    job = NAMES[name].format(d1, d2, code)
    phase = np.full(SHAPE, 4 * np.pi / WAVELENGTH * away)
    theta, phi = look_vector(heading, 39.0)
    values = {
        "unw_phase": phase,
        "wrapped_phase": np.angle(np.exp(1j * phase)),
        "corr": np.full(SHAPE, 0.7),
        "lv_theta": np.full(SHAPE, theta),
        "lv_phi": np.full(SHAPE, phi + turn),
        "dem": np.full(SHAPE, 250.0),
        "amp": np.ones(SHAPE),
        "los_disp": np.full(SHAPE, -away),
        "conncomp": np.ones(SHAPE),
        "inc_map": np.ones(SHAPE),
        "wrapped_phase_rdr": np.ones((9, 9)),
    }
    folder = root / job
    for kind in kinds:
        if kind == "water_mask":
            mask = np.ones(SHAPE, "u1")
            mask[1, 1] = 0
            write_tif(folder / f"{job}_{kind}.tif", mask, nodata=None, **(grid or {}))
            continue
        plane = values[kind].astype("f4")
        plane[0] = 0.0
        write_tif(folder / f"{job}_{kind}.tif", plane, **(grid or {}))
    (folder / f"{job}.txt").write_text(parameters(baseline, heading, **text))
    (folder / f"{job}_unw_phase.png").write_bytes(b"png")
    (folder / f"{job}.README.md.txt").write_text("read me")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_name_opens(tmp_path, name):
    write_product(tmp_path, name)
    write_product(tmp_path, name, "20200113", "20200125", code="0A1B")
    ds = open_stack(f"{tmp_path}/S1*/")
    assert set(ds.data_vars) == {
        "phase",
        "unwrapped_phase",
        "coherence",
        "los",
        "elevation",
        "water",
    }
    assert dict(ds.sizes) == {"pair": 2, "y": 6, "x": 5, "component": 3}
    assert ds.attrs["product"] == ("hyp3_gamma" if name == "gamma" else "hyp3_isce2")
    assert ds.attrs["wavelength"] == pytest.approx(0.0554658, abs=1e-7)
    assert ds.attrs["heading"] == pytest.approx(-166.706, abs=1e-3)
    assert ds.attrs["orbit_direction"] == "descending"
    assert ds.attrs["slant_range"] == 879794.1404
    assert ds.attrs["incidence"] == pytest.approx(39.5, abs=0.5)
    assert ds.attrs["track"] == (44 if name == "gamma" else 64)
    assert ds.rio.crs.to_epsg() == 32633
    assert [str(t)[:10] for t in ds.reference_time.values] == ["2020-01-01", "2020-01-13"]
    assert (ds.reference_time.values.astype("datetime64[D]") == ds.reference_time.values).all()


def test_zero_is_missing(tmp_path):
    write_product(tmp_path, "burst")
    ds = open_stack(tmp_path)
    for name in ("phase", "unwrapped_phase", "coherence", "los", "elevation"):
        assert ds[name].isel(y=0).isnull().all(), name
        assert ds[name].isel(y=slice(1, None)).notnull().all(), name
    assert ds.water.dtype == bool
    assert ds.water.values.sum() == 1
    assert ds.water[1, 1]


def test_zero_phase_with_coherence_stays(tmp_path):
    """The reference point of a HyP3 product is exactly 0."""
    write_product(tmp_path, "gamma", away=0.0)
    ds = open_stack(tmp_path)
    assert (ds.unwrapped_phase[:, 1:] == 0).all()
    assert (ds.phase[:, 1:] == 0).all()


def test_sinking_ground_is_positive_phase(tmp_path):
    write_product(tmp_path, "gamma", away=0.02)
    ds = open_stack(tmp_path)
    np.testing.assert_allclose(ds.unwrapped_phase[:, 1:] * WAVELENGTH / (4 * np.pi), 0.02, rtol=1e-6)
    np.testing.assert_allclose(
        np.exp(1j * ds.phase[:, 1:].values), np.exp(1j * ds.unwrapped_phase[:, 1:].values), atol=1e-5
    )


def test_displacement_toward_stands_in_for_a_missing_phase(tmp_path):
    """los_disp is positive toward the satellite: the opposite of the phase."""
    write_product(tmp_path, "gamma", away=0.02, kinds=("los_disp", "corr"))
    ds = open_stack(tmp_path)
    np.testing.assert_allclose(ds.unwrapped_phase[:, 1:], 4 * np.pi / WAVELENGTH * 0.02, rtol=1e-6)
    write_product(tmp_path / "both", "gamma", away=0.02, kinds=("los_disp", "unw_phase", "corr"))
    both = open_stack(tmp_path / "both")
    np.testing.assert_array_equal(both.unwrapped_phase, ds.unwrapped_phase)


@pytest.mark.parametrize("heading", [193.2939317, 347.7, -12.3, -166.7])
@pytest.mark.parametrize("turn", [0.0, 2 * math.pi])
def test_look_vector_by_trigonometry(tmp_path, heading, turn):
    """Phi may exceed pi; the vector equals that of a right-looking satellite."""
    write_product(tmp_path, "burst", heading=heading, turn=turn)
    ds = open_stack(tmp_path)
    a, i = math.radians(heading), math.radians(39.0)
    wanted = (-math.sin(i) * math.cos(a), math.sin(i) * math.sin(a), math.cos(i))
    np.testing.assert_allclose(ds.los[:, 3, 3], wanted, atol=1e-6)
    assert -180 < ds.attrs["heading"] <= 180
    assert math.cos(math.radians(ds.attrs["heading"] - heading)) == pytest.approx(1.0)
    assert ds.attrs["orbit_direction"] == ("ascending" if math.cos(a) > 0 else "descending")


def test_isce2_signs_the_baseline_the_other_way():
    """ISCE2's formula against B cos(look - tilt), for a satellite flying north and looking east."""
    rng = np.random.default_rng(1)
    for look, (right, up) in zip(rng.uniform(0.4, 0.8, 50), rng.normal(0, 100, (50, 2)), strict=True):
        sight = np.array([math.sin(look), 0.0, -math.cos(look)])
        offset = np.array([right, 0.0, up])
        length = np.linalg.norm(offset)
        direction = np.sign(np.cross(sight, offset) @ [0.0, 1.0, 0.0])
        isce2 = direction * length * math.sqrt(1 - (sight @ offset / length) ** 2)
        ours = length * math.cos(look - math.atan2(up, right))
        assert isce2 == pytest.approx(-ours)


@pytest.mark.parametrize(("name", "wanted"), [("gamma", 58.4), ("burst", -58.4), ("multi-burst", -58.4)])
def test_baseline_has_the_sign_of_the_cube(tmp_path, name, wanted):
    write_product(tmp_path, name, baseline=58.4)
    assert open_stack(tmp_path).perpendicular_baseline.values == [wanted]


def test_extents_a_few_pixels_apart_are_aligned(tmp_path):
    write_product(tmp_path, "gamma")
    moved = {"west": 300000.0 + 2 * 80, "north": 4000000.0 + 80}
    write_product(tmp_path, "gamma", "20200113", "20200125", grid=moved, away=0.03)
    ds = open_stack(tmp_path)
    assert dict(ds.sizes) == {"pair": 2, "y": 7, "x": 7, "component": 3}
    assert ds.x[0] == 300040
    assert ds.y[0] == 4000080 - 40
    assert ds.unwrapped_phase.notnull().sum() == 2 * 5 * 5
    np.testing.assert_array_equal(ds.unwrapped_phase[1].notnull().values[:, :2], False)
    united = ds.unwrapped_phase.notnull().any("pair")
    np.testing.assert_array_equal(ds.elevation.notnull(), united)
    np.testing.assert_array_equal(ds.los[2].notnull(), united)
    inner = open_stack(tmp_path, join="inner")
    assert dict(inner.sizes) == {"pair": 2, "y": 5, "x": 3, "component": 3}


def test_another_utm_zone_is_another_group(tmp_path):
    write_product(tmp_path, "burst")
    write_product(tmp_path, "burst", "20200113", "20200125")
    write_product(tmp_path, "burst", "20200125", "20200206", grid={"crs": "EPSG:32634"})
    with pytest.warns(UserWarning, match=r"EPSG:32633.*2 pairs.*not EPSG:32634.*1 pair.*20200125_20200206"):
        ds = open_stack(tmp_path)
    assert ds.sizes["pair"] == 2
    assert ds.rio.crs.to_epsg() == 32633


def test_two_tracks_are_refused(tmp_path):
    write_product(tmp_path, "gamma", orbit_number=30741)
    folder = write_product(tmp_path / "other", "gamma", "20200102", "20200114", orbit_number=30755)
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("T1650", "T0446")))
    with pytest.raises(ValueError, match=r"one track, got 2 \(track 44: .*track 58: "):
        open_stack(tmp_path)


def test_two_tracks_without_parameters_are_told_by_the_hour(tmp_path):
    write_product(tmp_path, "gamma")
    folder = write_product(tmp_path / "other", "gamma", "20200102", "20200114")
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("T1650", "T0446")))
    for path in tmp_path.rglob("*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match=r"track at 04:46 UTC.*track at 16:50 UTC"):
        open_stack(tmp_path)


def test_the_same_pair_processed_twice_is_refused(tmp_path):
    write_product(tmp_path, "burst", code="74C2")
    write_product(tmp_path, "burst", code="74C3")
    with pytest.raises(ValueError, match=r"20200101_20200113.*74C2.*74C3"):
        open_stack(tmp_path)


def test_gamma_and_burst_together_need_a_choice(tmp_path):
    write_product(tmp_path, "gamma")
    write_product(tmp_path, "burst")
    with pytest.raises(ValueError, match=r"product='hyp3_gamma'.*product='hyp3_isce2'"):
        open_stack(tmp_path)
    with pytest.warns(UserWarning, match="unknown files"):
        assert open_stack(tmp_path, product="hyp3_isce2").attrs["product"] == "hyp3_isce2"


def test_range_doppler_and_unused_rasters_are_passed_over_in_silence(tmp_path):
    kinds = ("unw_phase", "corr", "amp", "conncomp", "inc_map", "wrapped_phase_rdr")
    write_product(tmp_path, "burst", kinds=kinds)
    ds = open_stack(tmp_path)
    assert set(ds.data_vars) == {"unwrapped_phase", "coherence"}
    assert dict(ds.sizes) == {"pair": 1, "y": 6, "x": 5}


def test_clipped_files_and_a_glob_of_rasters_find_their_parameters(tmp_path):
    folder = write_product(tmp_path, "gamma", kinds=("unw_phase", "corr"))
    for path in list(folder.glob("*.tif")):
        path.rename(path.with_name(path.stem + "_clip.tif"))
    ds = open_stack(f"{tmp_path}/*/*_clip.tif")
    assert set(ds.data_vars) == {"unwrapped_phase", "coherence"}
    assert ds.perpendicular_baseline.values == [58.4]


def test_look_vectors_of_two_grids_are_refused(tmp_path):
    folder = write_product(tmp_path, "burst")
    path = next(folder.glob("*lv_phi.tif"))
    path.unlink()
    write_tif(path, np.ones((3, 3), "f4"))
    with pytest.raises(ValueError, match=r"lv_phi\.tif: expected the grid of"):
        open_stack(tmp_path)


@pytest.mark.parametrize(
    ("platform", "absolute", "track"), [("A", 30820, 123), ("B", 30995, 169), ("A", 73, 1), ("D", 100, None)]
)
def test_tracks_of_absolute_orbits(platform, absolute, track):
    assert orbit.relative_orbit(platform, absolute) == track
