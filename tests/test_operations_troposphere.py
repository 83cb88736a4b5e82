"""subtract_gacos: known delays added with the sign of nature are taken out again, whatever form they come in."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xinsar
from tests.helpers import assert_same_everywhere, built_lazily, in_chunks, make_cube, same_bits, with_crs
from tests.test_readers_gacos import write_tif, write_ztd
from xinsar.operations.reference import reference_to
from xinsar.operations.troposphere import subtract_gacos

WAVELENGTH = 0.0555
TO_PHASE = 4 * np.pi / WAVELENGTH
DAYS = [(0, 12), (12, 24), (0, 36), (24, 36)]
START, DAY = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "D")
UP = np.cos(np.radians(39.0))


def wrapped(angle):
    return np.angle(np.exp(1j * np.asarray(angle)))


def weather(shape=(11, 13), dates=4, seed=0):
    """Zenith delay, m, of each date: level, stratified part and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    return np.array(
        [
            2.3 + rng.normal(0, 0.02) * (1 + y / 9 - x / 7) + 0.003 * rng.normal(size=shape)
            for _ in range(dates)
        ]
    )


def motion(shape=(11, 13), dates=4):
    """Motion toward the satellite, m, 0 at the first date."""
    y, x = np.indices(shape)
    bowl = -0.02 * np.exp(-((y - 5) ** 2 + (x - 6) ** 2) / 8)
    return np.arange(dates)[:, None, None] * bowl


def seen(up=UP, *, dtype=np.float64):
    """Return pairs and a series through that weather, the delays, and the same without weather."""
    zenith, moved = weather(), motion()
    slant = zenith / up
    index = np.array(DAYS) // 12
    pairs = [(-moved[b] + moved[a]) * TO_PHASE for a, b in index]
    delayed = [p + (slant[b] - slant[a]) * TO_PHASE for p, (a, b) in zip(pairs, index, strict=True)]
    series = moved - (slant - slant[0])
    time = START + 12 * np.arange(4) * DAY

    def cube(phase, displacement):
        ds = make_cube(np.zeros((4, 11, 13)), np.full((4, 11, 13), 0.8), days=DAYS, wavelength=WAVELENGTH)
        ds = ds.drop_vars("phase").assign_coords(time=time)
        ds["phase"] = ("pair", "y", "x"), wrapped(phase).astype(dtype), {"units": "rad"}
        ds["unwrapped_phase"] = ("pair", "y", "x"), np.array(phase, dtype), {"units": "rad"}
        ds["displacement"] = ("time", "y", "x"), displacement.astype(dtype), {"units": "m"}
        return ds

    ds, truth = cube(delayed, series), cube(pairs, moved)
    delay = xr.DataArray(
        zenith, {"time": time, "y": ds.y, "x": ds.x}, ("time", "y", "x"), "zenith_delay", {"units": "m"}
    )
    return ds, delay, truth


def close(found, truth, atol=1e-9):
    for name in ("unwrapped_phase", "displacement"):
        np.testing.assert_allclose(found[name], truth[name], atol=atol)
    assert abs(wrapped(found.phase.values - truth.phase.values)).max() < max(atol, 1e-9)


# ---- signs and units --------------------------------------------------------------------------------------------


def test_known_weather_is_taken_out():
    ds, delay, truth = seen()
    assert float(abs(ds.displacement - truth.displacement).max()) > 0.03
    close(subtract_gacos(ds, delay), truth)


def test_more_air_on_the_second_date_looks_like_motion_away():
    """10 mm more straight up: phase rises by 4 pi / wavelength of 12.9 mm, displacement falls by 12.9 mm."""
    ds, delay, _ = seen()
    delay = xr.zeros_like(delay) + xr.DataArray([2.3, 2.31, 2.3, 2.3], dims="time")
    flat = ds.map(xr.zeros_like, keep_attrs=True)
    found = subtract_gacos(flat, delay.rename("zenith_delay"))
    np.testing.assert_allclose(found.unwrapped_phase[0], -0.01 / UP * TO_PHASE)
    np.testing.assert_allclose(found.unwrapped_phase[1], 0.01 / UP * TO_PHASE)
    np.testing.assert_allclose(found.displacement[1], 0.01 / UP)
    np.testing.assert_allclose(found.displacement[[0, 2, 3]], 0, atol=1e-15)


def test_vectors_tell_the_incidence_of_every_pixel():
    incidence = np.radians(np.broadcast_to(np.linspace(30, 45, 13), (11, 13)))
    ds, delay, truth = seen(up=np.cos(incidence))
    los = np.array([-np.sin(incidence), 0 * incidence, np.cos(incidence)])
    ds["los"] = ("component", "y", "x"), los, {"units": "1"}
    del ds.attrs["incidence"]
    close(subtract_gacos(ds, delay), truth)


@pytest.mark.parametrize("units", ["m", "rad"])
def test_slant_delays(units):
    ds, delay, truth = seen()
    slant = delay / UP * (TO_PHASE if units == "rad" else 1)
    del ds.attrs["incidence"]
    found = subtract_gacos(ds, slant.rename("slant_delay").assign_attrs(units=units))
    close(found, truth)
    assert found.attrs["troposphere"] == "slant delays"
    close(subtract_gacos(ds, slant.rename(None).assign_attrs(units=units), kind="slant"), truth)


def test_metres_need_no_wavelength_for_metres():
    ds, delay, truth = seen()
    bare = ds[["displacement"]].drop_attrs(deep=False).assign_attrs(incidence=39.0)
    np.testing.assert_allclose(subtract_gacos(bare, delay).displacement, truth.displacement, atol=1e-12)


def test_phase_is_wrapped_again():
    ds, delay, _ = seen(dtype=np.float32)
    found = subtract_gacos(ds, delay * 3).phase
    assert found.dtype == np.float32
    assert float(found.max()) <= np.float32(np.pi)
    assert float(found.min()) > -np.float32(np.pi)


# ---- files ------------------------------------------------------------------------------------------------------


def on_degrees(ds):
    """Return the cube on a grid of degrees that lies within one of the delays, and delays on a coarser one."""
    place = {"x": 10.1 + 0.01 * np.arange(13), "y": 44.9 - 0.01 * np.arange(11)}
    return with_crs(ds.assign_coords(place), "EPSG:4326")


def plane(date):
    """A delay that is a plane in degrees, at the centres of 40 x 40 pixels of 0.02 from (10, 45) on."""
    rows, columns = np.indices((40, 40)) + 0.5
    return (2.3 + 0.01 * date * (columns * 0.02) - 0.02 * date * (rows * 0.02)).astype("f4")


def of_plane(ds, date):
    return 2.3 + 0.01 * date * (ds.x - 10) - 0.02 * date * (45 - ds.y)


@pytest.mark.parametrize("form", ["ztd", "tif", "gacos"])
def test_files_on_a_coarser_grid(tmp_path, form):
    """Bilinear interpolation of a plane is exact."""
    ds = on_degrees(seen()[0])
    flat = ds.map(xr.zeros_like, keep_attrs=True)
    for k, day in enumerate(("20200101", "20200113", "20200125", "20200206", "20200218")):
        if form == "ztd":
            write_ztd(tmp_path, day, plane(k), X_STEP=0.02, Y_STEP=-0.02)
        else:
            write_tif(
                tmp_path, f"{day}.ztd.tif" if form == "tif" else f"{day}_gacos.tif", plane(k), step=0.02
            )
    options = {"kind": "zenith"} if form == "gacos" else {}
    found = subtract_gacos(flat, tmp_path, **options)
    for k in range(4):
        wanted = (of_plane(ds, k) - of_plane(ds, 0)) / UP
        np.testing.assert_allclose(found.displacement[k], wanted.transpose("y", "x"), atol=1e-6)
    assert found.displacement.chunks is None
    lazy = built_lazily(
        lambda d: subtract_gacos(d, tmp_path, **options), in_chunks(flat, {"pair": 1, "y": 4, "x": 5})
    )
    same_bits(lazy.compute(scheduler="synchronous"), found)
    assert found.history.endswith(
        f"subtract_gacos(source={str(tmp_path)!r}, kind={options.get('kind', 'auto')!r}, missing='raise')"
    )


def test_files_in_degrees_and_a_cube_in_metres(tmp_path):
    from pyproj import Transformer

    ds = seen()[0]
    flat = ds.map(xr.zeros_like, keep_attrs=True)
    transform = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform
    east, north = transform(*np.meshgrid(ds.x, ds.y))
    for k, day in enumerate(("20200101", "20200113", "20200125", "20200206")):
        rows, columns = np.indices((40, 40)) + 0.5
        values = 2.3 + 0.5 * k * (columns * 1e-4) - 0.3 * k * (rows * 1e-4)
        x, y = east.min() - 5e-4, north.max() + 5e-4
        write_ztd(tmp_path, day, values, X_FIRST=x, Y_FIRST=y, X_STEP=1e-4, Y_STEP=-1e-4)
    found = subtract_gacos(flat, tmp_path)
    wanted = (0.5 * (east - x) - 0.3 * (y - north)) / UP
    np.testing.assert_allclose(found.displacement[1], wanted, atol=2e-6)
    assert found.displacement.dims == ("time", "y", "x")
    lazy = built_lazily(lambda d: subtract_gacos(d, tmp_path), in_chunks(flat, {"pair": 2, "y": 4, "x": 5}))
    same_bits(lazy.compute(scheduler="synchronous"), found)


def test_portal_files_are_slant_radians(tmp_path):
    ds = on_degrees(seen()[0])
    del ds.attrs["incidence"]
    flat = ds.map(xr.zeros_like, keep_attrs=True)
    for k, day in enumerate(("20200101", "20200113", "20200125", "20200206")):
        write_tif(tmp_path / day, f"{day}.sltd.geo.tif", 200 * plane(k), step=0.02)
    found = subtract_gacos(flat, tmp_path)
    wanted = -200 * (of_plane(ds, 3) - of_plane(ds, 0)).transpose("y", "x")
    np.testing.assert_allclose(found.unwrapped_phase[2], wanted, atol=2e-4)
    np.testing.assert_allclose(found.displacement[3], -wanted / TO_PHASE, atol=1e-6)


def test_only_the_dates_of_the_cube_are_read(tmp_path):
    ds = on_degrees(seen()[0])
    for k, day in enumerate(("20200101", "20200113", "20200125", "20200206")):
        write_ztd(tmp_path, day, plane(k), X_STEP=0.02, Y_STEP=-0.02)
    (tmp_path / "20200301.ztd").write_bytes(b"broken")
    subtract_gacos(ds, tmp_path)


# ---- gaps -------------------------------------------------------------------------------------------------------


def test_holes_and_borders_become_missing():
    ds, delay, _ = seen()
    delay = delay[:, :, 2:].copy()
    delay[1, 4, 5] = np.nan
    found = subtract_gacos(ds, delay)
    assert found.unwrapped_phase[:, :, :2].isnull().all()
    assert found.unwrapped_phase.isnull()[:, 4, 7].values.tolist() == [True, True, False, False]
    assert found.displacement.isnull()[:, 4, 7].values.tolist() == [False, True, False, False]
    assert int(found.unwrapped_phase.isnull().sum()) == 4 * 22 + 2


def test_missing_dates():
    ds, delay, truth = seen()
    less = delay.isel(time=[0, 1, 3])
    with pytest.raises(ValueError, match=r"^source: 1 of 4 dates have no delay: 2020-01-25; .*missing='nan'"):
        subtract_gacos(ds, less)
    found = subtract_gacos(ds, less, missing="nan")
    assert found.unwrapped_phase.isnull().all(("y", "x")).values.tolist() == [False, True, False, True]
    assert found.displacement.isnull().all(("y", "x")).values.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.displacement[3], truth.displacement[3], atol=1e-12)
    with pytest.raises(ValueError, match=r"^source: 4 of 4 dates"):
        subtract_gacos(ds, delay.assign_coords(time=delay.time + 5 * DAY), missing="nan")


def test_a_series_begins_with_zero_where_it_begins():
    ds, delay, truth = seen()
    late = ds.displacement - ds.displacement[1]
    late[0] = np.nan
    ds["displacement"] = ds.displacement.copy(
        data=np.where(ds.x.values < ds.x.values[6], late, ds.displacement)
    )
    found = subtract_gacos(ds, delay).displacement
    np.testing.assert_allclose(found[:, :, 6:], truth.displacement[:, :, 6:], atol=1e-12)
    assert found[0, :, :6].isnull().all()
    wanted = (truth.displacement - truth.displacement[1])[1:, :, :6]
    np.testing.assert_allclose(found[1:, :, :6], wanted, atol=1e-12)
    no_first = subtract_gacos(ds, delay.isel(time=[1, 2, 3]), missing="nan").displacement
    np.testing.assert_allclose(no_first[1:], truth.displacement[1:] - truth.displacement[1], atol=1e-12)


def test_order_of_dates_and_time_of_day_do_not_matter():
    ds, delay, truth = seen()
    mixed = ds.isel(time=[2, 0, 3, 1], pair=[3, 1, 0, 2])
    found = subtract_gacos(
        mixed,
        delay.isel(time=[1, 3, 0, 2]).assign_coords(time=delay.time[[1, 3, 0, 2]] + np.timedelta64(6, "h")),
    )
    np.testing.assert_allclose(found.displacement, truth.displacement.isel(time=[2, 0, 3, 1]), atol=1e-12)
    np.testing.assert_allclose(
        found.unwrapped_phase, truth.unwrapped_phase.isel(pair=[3, 1, 0, 2]), atol=1e-9
    )


# ---- chunks and what passes through -----------------------------------------------------------------------------


def test_every_chunking_gives_the_same():
    ds, delay, _ = seen(dtype=np.float32)
    ds["los"] = (
        ("component", "y", "x"),
        np.broadcast_to([[[-0.6]], [[0.0]], [[0.8]]], (3, 11, 13)).astype("f4"),
    )
    ds = ds.assign(phase=ds.phase.where(ds.x != ds.x[3]), displacement=ds.displacement.where(ds.y != ds.y[2]))
    coarse = delay[:, ::2, ::2]
    for source in (delay, coarse, delay.astype("f4").chunk({"time": 1, "y": 3})):
        if source.chunks is None:
            assert_same_everywhere(lambda d, s=source: subtract_gacos(d, s), ds)
        else:
            same_bits(subtract_gacos(ds, source), subtract_gacos(ds, source.compute()))


def test_only_what_is_needed_is_in_the_result():
    ds, delay, _ = seen()
    ds.attrs["reference"] = [1.0, 2.0]
    found = subtract_gacos(ds, delay)
    assert list(found) == list(ds)
    xr.testing.assert_identical(found.coherence, ds.coherence)
    assert "reference" not in found.attrs
    assert found.attrs["troposphere"] == "zenith delays"
    assert found.history == "xinsar.subtract_gacos(source='array', kind='auto', missing='raise')"
    assert ds.attrs["reference"] == [1.0, 2.0]
    xinsar.schema.check_cube(found)


def test_the_correction_is_told_to_what_is_made_of_it():
    ds, delay, _ = seen()
    series = xinsar.invert_network(subtract_gacos(ds, delay))
    assert series.attrs["troposphere"] == "zenith delays"
    with pytest.raises(ValueError, match=r"^ds: was corrected before .*delete the attribute"):
        subtract_gacos(series, delay)


def test_before_or_after_the_reference_is_the_same():
    ds, delay, _ = seen()
    place = (float(ds.x[2]), float(ds.y[3]))
    late = reference_to(subtract_gacos(reference_to(ds, place), delay), place)
    early = reference_to(subtract_gacos(ds, delay), place)
    for name in ("unwrapped_phase", "displacement"):
        np.testing.assert_allclose(late[name], early[name], atol=1e-9)
    assert abs(wrapped(late.phase.values - early.phase.values)).max() < 1e-6


def test_pairs_or_series_first_is_the_same():
    """Inverting corrected pairs is correcting the inverted series."""
    ds, delay, _ = seen()
    place = (float(ds.x[2]), float(ds.y[3]))
    from_pairs = xinsar.invert_network(subtract_gacos(ds, delay), reference=place).displacement
    series = xinsar.invert_network(ds, reference=place)
    from_series = reference_to(subtract_gacos(series, delay), place).displacement
    np.testing.assert_allclose(from_pairs, from_series, atol=1e-12)


def test_a_velocity_is_not_corrected_and_that_is_said():
    ds, delay, _ = seen()
    ds["velocity"] = ("y", "x"), np.ones((11, 13)), {"units": "m year-1"}
    with pytest.warns(UserWarning, match="velocity is left as it was; make it anew"):
        found = subtract_gacos(ds, delay)
    np.testing.assert_array_equal(found.velocity, 1)


def test_leading_dims_pass_through():
    ds, delay, truth = seen()
    both = xr.concat([ds[["unwrapped_phase"]], ds[["unwrapped_phase"]] + 1], "look", combine_attrs="override")
    found = subtract_gacos(both, delay).unwrapped_phase
    assert found.dims == ("look", "pair", "y", "x")
    np.testing.assert_allclose(found[1], truth.unwrapped_phase + 1, atol=1e-9)


def test_a_dataset_of_delays():
    ds, delay, truth = seen()
    close(subtract_gacos(ds, delay.to_dataset()), truth)
    close(ds.insar.subtract_gacos(delay.to_dataset()), truth)


def test_a_delay_is_read_once():
    """Each date is resampled once for each chunk, however many pairs it has."""
    ds, delay, _ = seen()
    reads = []

    def read(block, block_info=None):
        reads.append(block_info[0]["chunk-location"][0])
        return block

    data = da.from_array(delay.values, chunks=(1, 11, 13)).map_blocks(
        read, dtype=float, meta=np.empty((0, 0, 0))
    )
    reads.clear()
    lazy = subtract_gacos(
        ds[["unwrapped_phase"]].chunk({"pair": 1}).assign_coords(ds.coords), delay.copy(data=data)
    )
    assert not reads
    lazy.compute(scheduler="synchronous")
    assert sorted(reads) == [0, 1, 2, 3]


def test_only_delays_around_the_cube_are_read():
    """Of a country of 20 x 20 tiles the one with the cube."""
    ds, _, _ = seen()
    reads = []

    def read(block, block_info=None):
        reads.append(tuple(block_info[0]["chunk-location"]))
        return block

    values = np.broadcast_to(np.arange(4.0)[:, None, None] / 100 + 2.3, (4, 600, 600))
    data = da.from_array(values, chunks=(1, 30, 30)).map_blocks(read, dtype=float, meta=np.empty((0, 0, 0)))
    place = {"time": ds.time, "y": 5_009_210 - 20.0 * np.arange(600), "x": 495_395 + 10.0 * np.arange(600)}
    delay = xr.DataArray(data, place, ("time", "y", "x"), "zenith_delay")
    reads.clear()
    found = subtract_gacos(ds, delay)
    assert set(reads) == {(t, 15, 15) for t in range(4)}
    np.testing.assert_allclose(found.displacement[3] - ds.displacement[3], 0.03 / UP, atol=1e-12)


# ---- errors -----------------------------------------------------------------------------------------------------


def points(ds):
    place = {"x": ("point", [1.0, 2.0]), "y": ("point", [1.0, 2.0]), "time": ds.time.values[:1]}
    return xr.Dataset({"displacement": (("time", "point"), [[0.0, 1.0]])}, place)


@pytest.mark.parametrize(
    ("change", "source", "options", "error", "words"),
    [
        (lambda ds: ds.displacement, None, {}, TypeError, "^ds: expected an xarray.Dataset"),
        (lambda ds: ds[["coherence"]], None, {}, xinsar.SchemaError, "^ds: expected phase, .*got: coherence"),
        (
            lambda ds: ds[["coherence"]].rename(coherence="velocity"),
            None,
            {},
            xinsar.SchemaError,
            "a velocity cannot be corrected, its series can",
        ),
        (points, None, {}, xinsar.SchemaError, "^displacement: expected a grid"),
        (
            lambda ds: ds[["displacement"]].isel(time=1),
            None,
            {},
            xinsar.SchemaError,
            "^displacement: expected a dim 'time'",
        ),
        (lambda ds: ds.drop_vars("reference_time"), None, {}, xinsar.SchemaError, "^reference_time: "),
        (lambda ds: ds.drop_vars("time"), None, {}, xinsar.SchemaError, "^time: .*displacement, got none"),
        (
            lambda ds: ds[["displacement"]].isel(time=[0, 0, 1]),
            None,
            {},
            xinsar.SchemaError,
            "^time: expected every day of displacement once",
        ),
        (
            lambda ds: ds.drop_attrs(deep=False).assign_attrs(incidence=39.0),
            None,
            {},
            xinsar.SchemaError,
            "^wavelength: the dataset needs the attribute",
        ),
        (
            lambda ds: ds.drop_attrs(deep=False).assign_attrs(wavelength=0.05),
            None,
            {},
            xinsar.SchemaError,
            "^los: zenith delays .*incidence",
        ),
        (
            lambda ds: ds.assign_attrs(incidence=90),
            None,
            {},
            xinsar.SchemaError,
            "^incidence: .*between 0 and 90",
        ),
        (lambda ds: ds.assign_attrs(incidence="steep"), None, {}, TypeError, "^incidence: "),
        (lambda ds: ds.assign_attrs(wavelength=0), None, {}, ValueError, "^wavelength: "),
        (
            lambda ds: ds.assign(los=(("component", "y", "x"), np.full((3, 11, 13), -0.5))),
            None,
            {},
            ValueError,
            "^los: expected unit vectors .*up within 0..1",
        ),
        (lambda ds: ds, None, {"kind": "wet"}, ValueError, "^kind: expected one of 'auto'"),
        (lambda ds: ds, None, {"missing": "drop"}, ValueError, "^missing: expected one of 'raise', 'nan'"),
        (lambda ds: ds, lambda _: 3, {}, TypeError, "^source: expected GACOS files .*got int"),
        (lambda ds: ds, lambda _: "/no/where", {}, FileNotFoundError, "^source: "),
        (lambda ds: ds, lambda d: d.rename("delay"), {}, ValueError, "^kind: neither the name"),
        (
            lambda ds: ds,
            lambda d: d,
            {"kind": "slant"},
            ValueError,
            "^kind: expected 'zenith' for delays named",
        ),
        (lambda ds: ds, lambda d: d[0], {}, xinsar.SchemaError, "^source: expected real numbers with dims"),
        (
            lambda ds: ds,
            lambda d: d.assign_attrs(units="mm"),
            {},
            xinsar.SchemaError,
            "^source: expected units 'm' or 'rad', got 'mm'",
        ),
        (
            lambda ds: ds,
            lambda d: xr.Dataset({"delay": d}),
            {},
            xinsar.SchemaError,
            "^source: expected a Dataset with zenith_delay or slant_delay",
        ),
        (
            lambda ds: ds,
            lambda d: d.drop_vars("time"),
            {},
            xinsar.SchemaError,
            "^time: .*the delays, got none",
        ),
        (
            lambda ds: ds,
            lambda d: d.assign_coords(x=d.x + 1e5),
            {},
            ValueError,
            r"^source: expected delays where the cube lies \(x 500000.*got x 600000",
        ),
        (
            lambda ds: ds,
            lambda d: (
                with_crs(
                    d.to_dataset().assign_coords(x=10 + np.arange(13.0), y=60 - np.arange(11.0)), "EPSG:4326"
                ).zenith_delay
            ),
            {},
            ValueError,
            "^source: expected delays where the cube lies .*WGS 84",
        ),
    ],
)
def test_bad_input(change, source, options, error, words):
    ds, delay, _ = seen()
    with pytest.raises(error, match=words):
        subtract_gacos(change(ds), delay if source is None else source(delay), **options)
