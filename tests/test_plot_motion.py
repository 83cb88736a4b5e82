"""Pictures of motion: components on one scale, arrows that point down the slope, series with the model of velocity."""

import dask.array as da
import matplotlib
import numpy as np
import pytest
import xarray as xr

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.dates import date2num, num2date

import xinsar
from xinsar import plot
from xinsar.schema import SchemaError

UTM = 32632


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def axes_of(shape, crs=UTM, south_up=False):
    import rioxarray  # noqa: F401

    step = 0.001 if crs == 4326 else 25.0
    y, x = (46.0, 8.0) if crs == 4326 else (5_200_000.0, 480_000.0)
    y = y - step * np.arange(shape[0])
    ds = xr.Dataset(coords={"y": y[::-1] if south_up else y, "x": x + step * np.arange(shape[1])})
    return ds.rio.write_crs(crs) if crs else ds


def on_map(values, units, name, crs=UTM, south_up=False):
    values = np.asarray(values, "f4")
    ds = axes_of(values.shape[-2:], crs, south_up)
    dims = ("component", "y", "x")[-values.ndim :]
    ds[name] = (dims, values[..., ::-1, :] if south_up else values, {"units": units})
    return ds


def make_motion(names=("east", "up"), shape=(12, 18), units="m year-1", **options):
    """Motion of up to 20 mm a year, with one missing pixel."""
    values = np.random.default_rng(1).normal(0, 0.005, (len(names), *shape))
    values[:, 3, 4] = np.nan
    values[0, 2, 2] = 0.02
    return on_map(values, units, "motion", **options).assign_coords(component=list(names))


def make_elevation(shape=(12, 18), crs=UTM):
    row, column = np.indices(shape)
    return on_map(300 - 5 * np.hypot(row - 6, column - 9), "m", "elevation", crs=crs).elevation


def shown(ax):
    """Return the last picture of ``ax`` as a reader sees it, its first row at the top."""
    image = ax.images[-1]
    _, _, last, first = image.get_extent()
    values = np.ma.filled(image.get_array().astype(float), np.nan)
    low, high = ax.get_ylim()
    return values if (first > last) == (high > low) else values[::-1]


# --- velocity


def test_velocity_is_drawn_in_millimetres_red_toward_the_satellite():
    ds = on_map([[0.01, -0.02], [0.0, np.nan]], "m year-1", "velocity")
    ax = plot.velocity(ds, percentile=100)
    (image,) = ax.images
    np.testing.assert_allclose(shown(ax), [[10, -20], [0, np.nan]], rtol=1e-6)
    assert image.get_clim() == (pytest.approx(-20), pytest.approx(20))
    toward, away = (image.cmap(image.norm(v))[:3] for v in (20.0, -20.0))
    assert toward[0] > toward[2] + 0.2
    assert away[2] > away[0] + 0.2
    assert ax.child_axes[0].get_ylabel() == "velocity toward the satellite (mm year⁻¹)"


def test_a_limit_is_the_end_of_the_scale():
    ds = on_map(np.ones((4, 4)), "m year-1", "velocity")
    (image,) = plot.velocity(ds, limit=3).images
    assert image.get_clim() == (-3, 3)


@pytest.mark.parametrize("option", [{"limit": 0}, {"limit": np.inf}, {"limit": -1}, {"percentile": 0}])
@pytest.mark.parametrize("draw", [plot.velocity, plot.motion])
def test_scales_are_checked(draw, option):
    ds = make_motion().assign(velocity=make_motion().motion[0].drop_vars("component"))
    (name,) = option
    with pytest.raises(ValueError, match=f"{name}: expected"):
        draw(ds, **option)


def test_a_velocity_in_millimetres_is_an_error():
    with pytest.raises(SchemaError, match="expected units 'm year-1', got 'mm/yr'"):
        plot.velocity(on_map(np.ones((4, 4)), "mm/yr", "velocity"))


def test_velocities_of_points_and_of_months_are_refused_with_a_remedy():
    place = {"x": ("point", [0.0, 1.0]), "y": ("point", [0.0, 1.0])}
    with pytest.raises(SchemaError, match=r"plot\.points"):
        plot.velocity(xr.Dataset({"velocity": ("point", [1.0, 2.0])}, place))
    with pytest.raises(SchemaError, match=r"expected dims.*isel"):
        plot.velocity(on_map(np.ones((4, 4)), "m year-1", "velocity").expand_dims(time=3))
    with pytest.raises(SchemaError, match=r"velocity.*it holds: motion"):
        plot.velocity(make_motion())


# --- motion


def test_components_share_one_symmetric_scale_in_millimetres():
    ds = make_motion(("east", "north", "up"))
    axes = plot.motion(ds)
    assert [ax.get_title() for ax in axes] == ["east", "north", "up"]
    for ax, values in zip(axes, ds.motion.values, strict=True):
        np.testing.assert_allclose(shown(ax), 1e3 * values, rtol=1e-6)
    ((low, high),) = {ax.images[0].get_clim() for ax in axes}
    sizes = np.abs(1e3 * ds.motion.values)
    assert low == -high
    assert high == pytest.approx(np.nanpercentile(sizes, 99), rel=1e-5)
    assert [len(ax.child_axes) for ax in axes] == [0, 0, 1]
    assert axes[2].child_axes[0].get_ylabel() == "motion toward east, north and up (mm year⁻¹)"


def test_missing_motion_is_transparent_and_shows_the_terrain():
    for ax in plot.motion(make_motion(), elevation=make_elevation()):
        shaded, image = ax.images
        alpha = np.asarray(image.get_alpha())
        assert shaded.cmap.name == "gray"
        assert alpha[3, 4] == 0
        assert 0 < alpha.max() < 1
        assert (alpha > 0).sum() == alpha.size - 1
    for ax in plot.motion(make_motion()):
        (image,) = ax.images
        assert np.ma.getmaskarray(image.get_array())[3, 4]


@pytest.mark.parametrize(("unit", "said"), [("m", "(mm)"), ("m/yr", "(mm year⁻¹)"), ("metres", "(mm)")])
def test_displacements_are_no_rates(unit, said):
    assert plot.motion(make_motion(units=unit))[-1].child_axes[0].get_ylabel().endswith(said)


def test_south_up_motion_gives_the_same_picture():
    one, other = (plot.motion(make_motion(south_up=flag)) for flag in (False, True))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(shown(a), shown(b))


def test_motion_uses_the_axes_it_is_given():
    axes = plt.subplots(1, 2)[1]
    assert plot.motion(make_motion(), ax=axes) == tuple(axes)
    ax = plt.subplots()[1]
    assert plot.motion(make_motion(("up",)), ax=ax) == (ax,)
    assert ax.child_axes[0].get_ylabel() == "motion toward up (mm year⁻¹)"
    with pytest.raises(ValueError, match="ax: expected 3 axes, one for each component, got 2"):
        plot.motion(make_motion(("east", "north", "up")), ax=axes)


def test_motion_of_dates_or_without_names_is_an_error():
    with pytest.raises(
        SchemaError, match=r"motion: expected dims \('component', 'y', 'x'\), got \('time'.*isel"
    ):
        plot.motion(make_motion().expand_dims(time=2))
    with pytest.raises(SchemaError, match="the names of its components"):
        plot.motion(make_motion().drop_vars("component"))
    with pytest.raises(SchemaError, match="no variable of this name"):
        plot.motion(make_motion().rename(motion="moved"))


def test_terrain_in_another_system_is_an_error():
    with pytest.raises(ValueError, match="elevation: expected the CRS of"):
        plot.motion(make_motion(), elevation=make_elevation(crs=32633))


def test_large_motion_is_thinned_and_only_motion_is_computed(monkeypatch):
    monkeypatch.setattr(plot.fields, "_LARGEST", 6)

    def fail(block):
        raise AssertionError("what is not drawn was read")

    ds = make_motion().chunk(x=9)
    ds["residual"] = (
        ("y", "x"),
        da.zeros((12, 18), chunks=6).map_blocks(fail, dtype="f8", meta=np.zeros((0, 0))),
    )
    east, _ = plot.motion(ds)
    np.testing.assert_allclose(shown(east), 1e3 * make_motion().motion[0, ::3, ::3], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_empty_and_tiny_motion_is_drawn(shape):
    whole = make_motion().isel(y=slice(shape[0]), x=slice(shape[1]))
    for ds in (whole, whole * np.nan):
        ds.motion.attrs["units"] = "m year-1"
        with np.errstate(all="raise"):
            for ax in plot.motion(ds):
                ax.figure.canvas.draw()


# --- arrows


def make_slope(shape=(20, 30), speed=0.03, aspect=90.0, **options):
    ds = on_map(np.broadcast_to(speed, shape), "m year-1", "slope_motion", **options)
    return ds.assign(aspect=(("y", "x"), np.broadcast_to(aspect, shape).astype("f4"), {"units": "degree"}))


def arrows(ax):
    """Return places, components and colours of the arrows of ``ax``, the key left out."""
    from matplotlib.quiver import Quiver

    (quiver,) = [c for c in ax.collections if isinstance(c, Quiver)]
    return quiver, np.stack([quiver.X, quiver.Y], 1), np.stack([quiver.U, quiver.V], 1)


@pytest.mark.parametrize("aspect", [0, 45, 90, 200, 315])
@pytest.mark.parametrize("south_up", [False, True])
@pytest.mark.parametrize("crs", [UTM, 4326])
def test_arrows_point_down_the_aspect(aspect, south_up, crs):
    ax = plot.slope_arrows(make_slope(aspect=float(aspect), south_up=south_up, crs=crs))
    quiver, _, parts = arrows(ax)
    found = np.degrees(np.arctan2(*parts.T)) % 360
    np.testing.assert_allclose(np.cos(np.radians(found - aspect)), 1, atol=1e-9)
    assert quiver.angles == "uv"  # angles on the screen, where north is up
    assert not ax.yaxis_inverted()
    assert not ax.xaxis_inverted()


def test_negative_motion_points_uphill_in_the_same_colour():
    down, up = (arrows(plot.slope_arrows(make_slope(speed=v))) for v in (0.03, -0.03))
    np.testing.assert_allclose(down[2], -up[2], atol=1e-9)
    np.testing.assert_allclose(up[0].get_array(), 30, rtol=1e-6)


def test_arrows_stand_in_the_middle_of_cells_of_the_spacing():
    ds = make_slope(shape=(20, 30))
    _, places, _ = arrows(plot.slope_arrows(ds, spacing=250))
    x, y = (np.unique(places[:, k]) for k in (0, 1))
    np.testing.assert_allclose(x, 480_000 + 25 * (4.5 + 10 * np.arange(3)))
    np.testing.assert_allclose(y, 5_200_000 - 25 * (14.5 - 10 * np.arange(2)))
    assert len(arrows(plot.slope_arrows(ds, spacing=1))[1]) == 600  # no finer than the pixels


def test_speed_is_the_median_of_the_cell():
    speed = np.full((20, 30), 0.03)
    speed[0, 0] = 5.0
    quiver, _, _ = arrows(plot.slope_arrows(make_slope(speed=speed), spacing=250))
    np.testing.assert_allclose(quiver.get_array(), 30, rtol=1e-6)


def test_directions_around_north_do_not_cancel():
    aspect = np.where(np.indices((20, 30)).sum(0) % 2, 350.0, 12.0)
    _, _, parts = arrows(plot.slope_arrows(make_slope(aspect=aspect), spacing=250))
    assert np.abs(np.degrees(np.arctan2(*parts.T))).max() < 12


def test_cells_of_all_directions_or_hardly_any_value_have_no_arrow():
    ds = make_slope(shape=(10, 30))
    ds.aspect[:, :10] = np.random.default_rng(0).uniform(0, 360, (10, 10))
    ds.slope_motion[3:, 10:20] = np.nan
    ds.slope_motion[2:, 20:] = np.nan  # a fifth is left, then a little more than a quarter
    _, places, _ = arrows(plot.slope_arrows(ds, spacing=250))
    np.testing.assert_allclose(places[:, 0], [480_000 + 25 * 14.5])


def test_length_and_colour_tell_the_speed_and_a_limit_ends_both():
    speed = np.repeat([0.01, 0.02, 0.04], 10) * np.ones((10, 1))
    ax = plot.slope_arrows(make_slope(shape=(10, 30), speed=speed), spacing=250)
    quiver, _, parts = arrows(ax)
    np.testing.assert_allclose(np.hypot(*parts.T), [10, 20, 40], rtol=1e-6)  # the fastest is drawn last
    np.testing.assert_allclose(quiver.get_array(), [10, 20, 40], rtol=1e-6)
    assert quiver.get_clim() == (0, pytest.approx(40))
    assert 40 / quiver.scale == pytest.approx(1.5 * 250)
    assert ax.child_axes[0].get_ylabel() == "speed along the slope (mm year⁻¹)"
    quiver, _, parts = arrows(
        plot.slope_arrows(make_slope(shape=(10, 30), speed=speed), spacing=250, limit=20)
    )
    np.testing.assert_allclose(np.hypot(*parts.T), [10, 20, 20], rtol=1e-6)
    assert quiver.get_clim() == (0, 20)


def test_the_key_is_a_round_number_of_the_unit():
    from matplotlib.quiver import QuiverKey

    for unit, said in (("m year-1", "20 mm year⁻¹"), ("m", "20 mm")):
        ds = make_slope(speed=0.033)
        ds.slope_motion.attrs["units"] = unit
        ax = plot.slope_arrows(ds)
        (key,) = [a for a in ax.artists if isinstance(a, QuiverKey)]
        assert key.text.get_text() == said
        assert key.U == 20


def test_arrows_lie_over_the_terrain():
    ax = plot.slope_arrows(make_slope((12, 18)), elevation=make_elevation())
    assert ax.images[0].cmap.name == "gray"
    with pytest.raises(ValueError, match="elevation: expected the CRS"):
        plot.slope_arrows(make_slope((12, 18)), elevation=make_elevation(crs=32633))


def test_large_slopes_are_thinned_first(monkeypatch):
    monkeypatch.setattr(plot.fields, "_LARGEST", 15)
    ds = make_slope(speed=np.where(np.indices((20, 30)).sum(0) % 2, 9.0, 0.03)).chunk(y=7)
    quiver, _, _ = arrows(plot.slope_arrows(ds, spacing=250))
    np.testing.assert_allclose(quiver.get_array(), 30, rtol=1e-6)


def test_arrows_need_motion_aspect_and_a_map():
    ds = make_slope()
    with pytest.raises(SchemaError, match="aspect"):
        plot.slope_arrows(ds.drop_vars("aspect"))
    with pytest.raises(SchemaError, match="slope_motion"):
        plot.slope_arrows(ds.drop_vars("slope_motion"))
    with pytest.raises(SchemaError, match=r"expected dims \('y', 'x'\)"):
        plot.slope_arrows(ds.assign(slope_motion=ds.slope_motion.expand_dims(time=2)))
    with pytest.raises(ValueError, match="pixel size in metres"):
        plot.slope_arrows(ds.drop_vars("spatial_ref"))
    for option in ({"spacing": 0}, {"limit": -3}):
        with pytest.raises(ValueError, match=f"{next(iter(option))}: expected"):
            plot.slope_arrows(ds, **option)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (6, 7)])
def test_empty_and_tiny_slopes_are_drawn(shape):
    for speed in (0.03, np.nan, 0.0):
        with np.errstate(all="raise"):
            plot.slope_arrows(make_slope(shape, speed=speed)).figure.canvas.draw()


# --- series

STEP = "2020-12-01"


def make_series(shape=(3, 4), noise=0.001, points=False, gap=False, crs=UTM):
    """Series of 61 dates that sink by 20 mm a year, with a season and a jump."""
    days = np.arange(0, 732, 12)
    time = np.datetime64("2020-01-01", "ns") + days * np.timedelta64(1, "D").astype("m8[ns]")
    t = days / 365.25
    course = -0.02 * t + 0.008 * np.sin(2 * np.pi * t) + np.where(time >= np.datetime64(STEP), 0.03, 0)
    values = course[:, None, None] + np.random.default_rng(3).normal(0, noise, (days.size, *shape))
    if gap:
        values[20:28] = np.nan
    ds = axes_of(shape, crs)
    ds["displacement"] = (("time", "y", "x"), values, {"units": "m"})
    ds = ds.assign_coords(time=time)
    if not points:
        return ds
    flat = ds.drop_vars("spatial_ref").stack(point=("y", "x")).reset_index("point")
    return flat.transpose("time", "point").rio.write_crs(crs)


def dots(ax):
    line = ax.lines[0]
    return np.asarray(line.get_xdata(), "M8[ns]"), np.asarray(line.get_ydata())


def model(ax):
    """Return the line of the model as (dates, mm)."""
    (line,) = [line for line in ax.lines[1:] if len(line.get_xdata()) > 2]
    return np.asarray(line.get_xdata(), "M8[ns]"), np.asarray(line.get_ydata())


def label(ax):
    return ax.get_legend().get_texts()[0].get_text()


def test_dots_are_the_series_of_the_nearest_pixel_in_millimetres():
    ds = make_series()
    ax = plot.series(ds, 480_000 + 25 * 2 + 11, 5_200_000 - 25 - 11)
    dates, values = dots(ax)
    np.testing.assert_array_equal(dates, ds.time)
    np.testing.assert_allclose(values, 1e3 * ds.displacement[:, 1, 2])
    assert ax.get_title(loc="left") == "x 480050, y 5199975"
    assert ax.get_ylabel() == "displacement toward the satellite (mm)"
    assert ax.lines[0].get_linestyle() == "None"


@pytest.mark.parametrize(("seasonal", "steps"), [((), ()), ("annual", STEP), (("annual", "semiannual"), ())])
def test_the_line_is_the_model_of_velocity(seasonal, steps):
    """Residuals of the drawn line at the dates give the standard error that velocity says."""
    ds = make_series(gap=True).isel(y=[1], x=[2])
    found = xinsar.velocity(ds, seasonal=seasonal, steps=steps)
    ax = plot.series(ds, float(ds.x[0]), float(ds.y[0]), seasonal=seasonal, steps=steps)
    rate, sigma = (1e3 * found[n].item() for n in ("velocity", "velocity_sigma"))
    assert label(ax).startswith(f"{rate:.1f} ± {sigma:.1f} mm year⁻¹".replace("-", "−", 1))
    days, line = model(ax)
    dates, values = dots(ax)
    t = (ds.time.values - ds.time.values[0]) / np.timedelta64(1, "D") / 365.25
    terms = [np.ones_like(t), t]
    for f in [{"annual": 1, "semiannual": 2}[s] for s in np.atleast_1d(seasonal)]:
        terms += [np.sin(2 * np.pi * f * t), np.cos(2 * np.pi * f * t)]
    terms += [(ds.time.values >= np.datetime64(s)).astype(float) for s in np.atleast_1d(steps) if s]
    terms = np.array(terms).T
    there = np.isin(ds.time.values, dates)
    wanted = terms[there] @ np.linalg.lstsq(terms[there], values, rcond=None)[0]
    drawn = line[np.searchsorted(days, dates)]
    kept = np.isfinite(drawn)
    assert kept.sum() >= dates.size - 1
    np.testing.assert_allclose(drawn[kept], wanted[kept], atol=1e-6)


def test_the_line_breaks_at_a_step_and_spans_the_dates():
    ds = make_series(noise=0)
    ax = plot.series(ds, 480_000, 5_200_000, seasonal="annual", steps=STEP)
    days, line = model(ax)
    assert np.isnan(line[days == np.datetime64(STEP)]).all()
    before, after = (line[days == np.datetime64(STEP) + np.timedelta64(k, "D")] for k in (-1, 1))
    assert (after - before).item() == pytest.approx(30, abs=0.5)
    assert np.isnan(line).sum() == 1
    assert (days[0], days[-1]) == (ds.time.values[0], ds.time.values[-1])
    assert label(ax) == f"−20.0 ± 0.0 mm year⁻¹ (annual, step {STEP})"


def test_a_velocity_dataset_brings_its_terms_and_numbers():
    ds = make_series()
    fit = xinsar.velocity(ds, seasonal="annual", steps=STEP)
    at = (480_050.0, 5_199_975.0)
    given, own = plot.series(ds, *at, fit=fit), plot.series(ds, *at, seasonal="annual", steps=STEP)
    assert label(given) == label(own)
    np.testing.assert_allclose(model(given)[1], model(own)[1], atol=1e-9)


def test_a_velocity_of_other_data_is_drawn_with_its_own_slope():
    ds = make_series()
    fit = xinsar.velocity(ds)
    own = plot.series(ds, 480_050.0, 5_199_975.0)
    other = plot.series(ds, 480_050.0, 5_199_975.0, fit=fit.assign(velocity=fit.velocity + 0.05))
    days = (model(own)[0] - model(own)[0][0]) / np.timedelta64(1, "D") / 365.25
    rise = model(other)[1] - model(own)[1]
    np.testing.assert_allclose(np.diff(rise), 50 * np.diff(days), atol=1e-9)
    assert rise.min() < 0 < rise.max()


def test_gaps_have_no_dots_and_dates_reach_to_the_ends():
    ds = make_series(gap=True)
    ds.displacement[:6] = np.nan
    ax = plot.series(ds, 480_000, 5_200_000)
    assert len(dots(ax)[0]) == 61 - 8 - 6
    low, high = ax.get_xlim()
    assert low < date2num(ds.time.values[0])
    assert high > date2num(ds.time.values[-1])
    ax.figure.canvas.draw()
    assert ax.xaxis.get_major_formatter()(date2num(np.datetime64("2021-01-01"))) == "2021"


def test_dots_alone():
    ax = plot.series(make_series(), 480_000, 5_200_000, fit=False)
    assert len(ax.lines) == 1
    assert ax.get_legend() is None


@pytest.mark.parametrize("valid", [0, 1, 2])
def test_too_few_dates_have_no_line_or_no_error(valid):
    ds = make_series()
    ds.displacement[valid:, 0, 0] = np.nan
    ax = plot.series(ds, 480_000, 5_200_000)
    if valid == 2:
        assert "±" not in label(ax)
        assert "mm year⁻¹" in label(ax)
    else:
        assert ax.get_legend() is None
    texts = [text.get_text() for text in ax.texts]
    assert texts == ([] if valid else ["no value here"])
    ax.figure.canvas.draw()


def test_points_by_number_and_by_place():
    ds = make_series(points=True)
    by_number = plot.series(ds, point=-1)
    by_place = plot.series(ds, float(ds.x[11]) - 3, float(ds.y[11]) + 2)
    np.testing.assert_allclose(dots(by_number)[1], 1e3 * ds.displacement[:, 11])
    np.testing.assert_array_equal(dots(by_number)[1], dots(by_place)[1])
    assert by_number.get_title(loc="left") == "point 11"
    named = ds.assign_coords(id=("point", [f"P{k:02}" for k in range(12)]))
    assert plot.series(named, point=3).get_title(loc="left") == "point P03"
    fit = xinsar.velocity(ds)
    assert label(plot.series(ds, point=3, fit=fit)) == label(plot.series(ds, point=3))


def test_the_nearest_point_goes_by_metres_in_degrees():
    """At 60 degrees north a degree of longitude is half as long as one of latitude."""
    time = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(30, "D")
    ds = xr.Dataset(
        {"displacement": (("time", "point"), np.outer(np.arange(4), [1.0, 2.0]), {"units": "m"})},
        {
            "time": time,
            "x": ("point", [8.0, 8.0015], {"units": "degrees_east"}),
            "y": ("point", [60.001, 60.0]),
        },
    )
    assert plot.series(ds, 8.0, 60.0).get_title(loc="left") == "point 1"


def test_dates_in_any_order_and_given_axes():
    ds = make_series()
    ax = plt.subplots()[1]
    assert plot.series(ds.isel(time=slice(None, None, -1)), 480_000, 5_200_000, ax=ax) is ax
    np.testing.assert_array_equal(dots(ax)[0], ds.time)
    plot.series(ds, 480_050, 5_200_000, ax=ax, color="black")
    assert len(ax.get_legend().get_texts()) == 2
    assert num2date(ax.get_xlim()[0]).year == 2019


def test_only_the_place_is_read():
    ds = make_series()
    plain = ds.displacement.values

    def lazily(block, block_info=None):
        (_, (y, _), (x, _)) = block_info[0]["array-location"]
        if (y, x) != (1, 2):
            raise AssertionError("a pixel was read that is not drawn")
        return plain[:, y : y + 1, x : x + 1]

    ds["displacement"] = (
        ds.displacement.dims,
        da.zeros(plain.shape, chunks=(-1, 1, 1)).map_blocks(lazily, dtype="f8", meta=np.zeros((0, 0, 0))),
        {"units": "m"},
    )
    plot.series(ds, 480_050, 5_199_975)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"x": 480_000.0}, "x, y: expected x and y, got"),
        ({}, "x, y: expected x and y, got"),
        ({"point": 3}, "point: expected x and y of a pixel"),
        ({"x": 470_000.0, "y": 5_200_000.0}, r"x: expected a place within 479987\.5\.\.480087\.5"),
        ({"x": 480_000.0, "y": 46.0}, "y: expected a place within"),
        ({"x": np.nan, "y": 5_200_000.0}, "x: expected a place within"),
        ({"x": 480_000.0, "y": 5_200_000.0, "seasonal": "weekly"}, "seasonal: expected one of"),
        ({"x": 480_000.0, "y": 5_200_000.0, "steps": "2031-01-01"}, "steps: expected a date after"),
    ],
)
def test_a_wrong_place_or_model_is_an_error(options, said):
    with pytest.raises(ValueError, match=said):
        plot.series(make_series(), **options)


def test_wrong_points_are_errors():
    ds = make_series(points=True)
    with pytest.raises(ValueError, match="point: expected an integer from -12 to 11, got 12"):
        plot.series(ds, point=12)
    with pytest.raises(ValueError, match="either x and y or point"):
        plot.series(ds, 480_000, 5_200_000, point=1)
    with pytest.raises(ValueError, match="x: expected a place within"):
        plot.series(ds, 8.0, 46.0)


def test_wrong_series_are_errors():
    ds = make_series()
    at = (480_000, 5_200_000)
    with pytest.raises(SchemaError, match=r"it holds: velocity.*invert_network"):
        plot.series(xinsar.velocity(ds)[["velocity"]], *at)
    with pytest.raises(SchemaError, match="expected units 'm', got 'mm'"):
        plot.series(ds.assign(displacement=ds.displacement.assign_attrs(units="mm")), *at)
    with pytest.raises(SchemaError, match="time: expected a date"):
        plot.series(ds.assign_coords(time=np.arange(61)), *at)
    with pytest.raises(SchemaError, match="isel"):
        plot.series(ds.expand_dims(run=2), *at)
    with pytest.raises(SchemaError, match="expected trailing dims"):
        plot.series(ds.isel(time=0), *at)
    with pytest.raises(TypeError, match="fit: expected a Dataset"):
        plot.series(ds, *at, fit="annual")
    with pytest.raises(ValueError, match="fit: expected the grid or the points of the series"):
        plot.series(ds, 480_050, 5_199_975, fit=xinsar.velocity(ds.isel(x=[0])))
