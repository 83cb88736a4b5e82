"""Pictures: the data at its place, north up, on the right scale; only what is drawn is read."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import xarray as xr

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from xinsar import plot
from xinsar.schema import SchemaError

DAYS = np.datetime64("2021-01-03", "ns") + np.arange(6) * np.timedelta64(12, "D")
ENDS = np.array([(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5), (3, 5)])
BASELINES = np.array([0.0, 40.0, -25.0, 60.0, 10.0, -80.0])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def georeferenced(ds, crs=32632):
    import rioxarray  # noqa: F401

    return ds.rio.write_crs(crs)


def make_cube(shape=(12, 18), step=25.0, crs=32632, south_up=False):
    rng = np.random.default_rng(1)
    y = 5_200_000.0 - step * np.arange(shape[0])
    x = 480_000.0 + step * np.arange(shape[1])
    if crs == 4326:
        y, x = 46.0 - step * np.arange(shape[0]), 8.0 + step * np.arange(shape[1])
    phase = rng.uniform(-3.1, 3.1, (len(ENDS), *shape)).astype("f4")
    coherence = rng.uniform(0, 1, phase.shape).astype("f4")
    ds = xr.Dataset(
        {"phase": (("pair", "y", "x"), phase), "coherence": (("pair", "y", "x"), coherence)},
        {
            "y": y,
            "x": x,
            "reference_time": ("pair", DAYS[ENDS[:, 0]]),
            "secondary_time": ("pair", DAYS[ENDS[:, 1]]),
            "perpendicular_baseline": ("pair", BASELINES[ENDS[:, 1]] - BASELINES[ENDS[:, 0]]),
        },
        {"wavelength": 0.0555},
    )
    ds = ds.isel(y=slice(None, None, -1)) if south_up else ds
    return georeferenced(ds, crs) if crs else ds


def make_stack(crs=32632):
    ds = make_cube(crs=crs).drop_vars(["phase", "coherence", "perpendicular_baseline"]).drop_dims("pair")
    rng = np.random.default_rng(2)
    attrs = {"units": "rad m-1 year-1", "offset": 0.5}
    for name in ("gradient_y", "gradient_x"):
        ds[name] = (("y", "x"), rng.normal(0, 0.01, (12, 18)).astype("f4"), attrs)
    return ds


def table(*shapes, crs=32632):
    import geopandas as gpd

    return gpd.GeoDataFrame(geometry=gpd.GeoSeries(list(shapes), crs=crs), crs=crs)


def drawn(ax):
    """Return the picture of ``ax`` as a reader sees it, its first row at the top, and its box."""
    (image,) = ax.images
    left, right, last, first = image.get_extent()
    values = np.ma.filled(image.get_array().astype(float), np.nan)
    low, high = ax.get_ylim()
    return (values if (first > last) == (high > low) else values[::-1]), (left, right, *sorted((last, first)))


# --- baseline network


def network_positions(ax):
    (points,) = ax.collections
    return np.asarray(points.get_offsets())[:, 1]


def test_network_recovers_the_baseline_of_each_date():
    ax = plot.baseline_network(make_cube())
    np.testing.assert_allclose(network_positions(ax), BASELINES - BASELINES[0], atol=1e-9)
    assert len(ax.lines) == len(ENDS)
    assert ax.get_title() == "7 pairs of 6 dates"
    assert "(m)" in ax.get_ylabel()


def test_network_is_drawn_without_reading_a_pixel():
    cube = make_cube().chunk()
    cube["phase"] = (cube.phase.dims, poisoned(cube.phase.shape))
    plot.baseline_network(cube)


def test_separate_networks_each_start_at_zero_and_are_counted():
    ax = plot.baseline_network(make_cube().isel(pair=[0, 1, 2, 4, 5, 6]).isel(pair=[0, 1, 2, 4]))
    np.testing.assert_allclose(network_positions(ax), [0, 40, -25, 0, -90], atol=1e-9)
    assert "2 separate networks" in ax.get_title()


def test_an_unknown_baseline_places_no_date():
    cube = make_cube().isel(pair=[0, 3])
    cube["perpendicular_baseline"] = ("pair", [40.0, np.nan])
    position = network_positions(plot.baseline_network(cube))
    np.testing.assert_allclose(position, [0, 40, np.nan, np.nan])


def test_network_without_baselines_draws_a_bar_per_pair():
    ax = plot.baseline_network(make_cube().drop_vars("perpendicular_baseline"))
    assert [line.get_ydata()[0] for line in ax.lines] == list(range(len(ENDS)))
    spans = np.array([line.get_xdata() for line in ax.lines])
    np.testing.assert_array_equal(spans, np.stack([DAYS[ENDS[:, 0]], DAYS[ENDS[:, 1]]], axis=1))


def test_network_without_dates_is_an_error():
    with pytest.raises(SchemaError, match="reference_time"):
        plot.baseline_network(make_cube().drop_vars("reference_time"))


# --- phase and coherence


def test_phase_is_drawn_as_it_is_north_up_at_pixel_edges():
    cube = make_cube()
    values, box = drawn(plot.wrapped_phase(cube, pair=2))
    np.testing.assert_allclose(values, cube.phase[2], atol=1e-6)
    half = 12.5
    x, y = cube.x.values, cube.y.values
    assert box == (x[0] - half, x[-1] + half, y[-1] - half, y[0] + half)


def test_south_up_cube_gives_the_same_picture():
    one = drawn(plot.wrapped_phase(make_cube()))
    other = drawn(plot.wrapped_phase(make_cube(south_up=True)))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1] == other[1]


def test_phase_colours_are_cyclic_and_span_one_cycle():
    ax = plot.wrapped_phase(make_cube())
    (image,) = ax.images
    ends = np.array([image.cmap(0.0), image.cmap(1.0)])
    np.testing.assert_allclose(ends[0], ends[1], atol=0.02)
    assert image.get_clim() == (-np.pi, np.pi)


def test_unwrapped_phase_is_wrapped_for_the_picture():
    cube = make_cube()
    turns = 2 * np.pi * np.random.default_rng(0).integers(-9, 9, cube.phase.shape)
    unwrapped = cube.drop_vars("phase").assign(unwrapped_phase=cube.phase.astype("f8") + turns)
    np.testing.assert_allclose(drawn(plot.wrapped_phase(unwrapped))[0], cube.phase[0], atol=1e-5)


def test_title_says_dates_interval_and_baseline_and_bar_says_the_cycle():
    ax = plot.wrapped_phase(make_cube(), pair=-1)
    assert ax.get_title() == "2021-02-08 to 2021-03-04, 24 days, −140 m baseline"
    bar = ax.child_axes[0]
    assert "27.8 mm" in bar.get_ylabel()
    assert "away" in bar.get_ylabel()


@pytest.mark.parametrize("pair", [7, -8])
def test_missing_pair_is_named(pair):
    with pytest.raises(ValueError, match=rf"pair: expected an integer from -7 to 6, got {pair}"):
        plot.wrapped_phase(make_cube(), pair=pair)


def test_mean_coherence_skips_missing_values():
    cube = make_cube()
    cube.coherence[1:, 3, 4] = np.nan
    values, _ = drawn(plot.coherence(cube))
    assert values[3, 4] == pytest.approx(float(cube.coherence[0, 3, 4]))
    np.testing.assert_allclose(values, np.nanmean(cube.coherence, axis=0), rtol=1e-6)


def test_coherence_scale_is_fixed():
    (image,) = plot.coherence(make_cube() * 0.1, pair=1).images
    assert image.get_clim() == (0, 1)


def poisoned(shape):
    """Return a lazy array that raises when a value of it is computed."""
    import dask.array as da

    def fail(block):
        raise AssertionError("a pixel was read that is not drawn")

    return da.zeros(shape, chunks=(1, -1, -1), dtype="f4").map_blocks(fail, meta=np.zeros((0, 0, 0), "f4"))


def test_only_the_drawn_pair_is_computed():
    import dask.array as da

    cube = make_cube()
    lazy = da.concatenate([da.from_array(cube.phase.values[:1]), poisoned(cube.phase[1:].shape)])
    cube["phase"] = (cube.phase.dims, lazy)
    plot.wrapped_phase(cube, pair=0)
    with pytest.raises(AssertionError, match="not drawn"):
        plot.wrapped_phase(cube, pair=1)


def test_large_rasters_are_thinned(monkeypatch):
    monkeypatch.setattr(plot.fields, "_LARGEST", 6)
    cube = make_cube()
    values, _ = drawn(plot.wrapped_phase(cube))
    np.testing.assert_array_equal(values, cube.phase[0, ::3, ::3].astype("f8"))


def test_axes_are_kilometres_of_the_map():
    ax = plot.wrapped_phase(make_cube())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("easting (km)", "northing (km)")
    assert ax.xaxis.get_major_formatter()(480_250.0, 0) == "480.25"
    assert ax.get_aspect() == 1


def test_degrees_keep_distances_equal():
    ax = plot.wrapped_phase(make_cube(step=0.01, crs=4326))
    assert ax.get_xlabel() == "longitude (°)"
    assert ax.get_aspect() == pytest.approx(1 / np.cos(np.radians(46.0 - 0.055)))


def test_radar_geometry_has_the_first_row_at_the_top():
    cube = make_cube(crs=None).drop_vars(["x", "y"])
    ax = plot.wrapped_phase(cube)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column", "row")
    np.testing.assert_allclose(drawn(ax)[0], cube.phase[0], atol=1e-6)
    assert ax.yaxis_inverted()


def test_given_axes_are_used():
    ax = plt.subplots()[1]
    assert plot.wrapped_phase(make_cube(), ax=ax) is ax
    assert plot.coherence(make_cube(), ax=ax) is ax
    assert plot.baseline_network(make_cube(), ax=ax) is ax


@pytest.mark.parametrize("draw", [plot.wrapped_phase, plot.coherence])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (6, 7)])
def test_empty_and_tiny_images_are_drawn(draw, shape):
    cube = make_cube(shape)
    cube["phase"][:] = np.nan
    cube["coherence"][:] = np.nan
    with np.errstate(all="raise"):
        draw(cube, pair=0).figure.canvas.draw()


# --- gradients


def test_gradients_share_one_symmetric_scale_that_wild_pixels_do_not_set():
    stack = make_stack()
    stack.gradient_y[3, 3] = 50.0
    x_axes, y_axes = plot.gradients(stack)
    limits = {ax.images[0].get_clim() for ax in (x_axes, y_axes)}
    ((low, high),) = limits
    assert low == -high
    both = np.abs(np.stack([stack.gradient_x, stack.gradient_y]))
    assert high == pytest.approx(np.percentile(both, 99), rel=1e-5)


def test_gradients_lie_on_pixel_edges():
    stack = make_stack()
    x_axes, y_axes = plot.gradients(stack)
    left, _, _, top = drawn(x_axes)[1]
    assert (left, top) == (float(stack.x[0]), float(stack.y[0]) + 12.5)
    left, _, _, top = drawn(y_axes)[1]
    assert (left, top) == (float(stack.x[0]) - 12.5, float(stack.y[0]))
    np.testing.assert_allclose(drawn(x_axes)[0], stack.gradient_x)
    np.testing.assert_allclose(drawn(y_axes)[0], stack.gradient_y)


def test_gradient_titles_say_the_direction_only_on_maps():
    assert [ax.get_title() for ax in plot.gradients(make_stack())] == [
        "gradient toward the east",
        "gradient toward the south",
    ]
    assert [ax.get_title() for ax in plot.gradients(make_stack(crs=None))] == [
        "gradient toward larger x",
        "gradient toward larger y",
    ]


def test_gradient_bar_says_the_unit():
    x_axes, y_axes = plot.gradients(make_stack())
    assert y_axes.child_axes[0].get_ylabel() == "phase gradient (rad m⁻¹ year⁻¹)"
    assert not x_axes.child_axes


def test_gradients_of_pairs_are_an_error():
    with pytest.raises(SchemaError, match=r"expected dims \('y', 'x'\).*isel"):
        plot.gradients(make_stack().expand_dims(pair=2))


@pytest.mark.parametrize("percentile", [0, 100.1, np.nan])
def test_percentile_is_checked(percentile):
    with pytest.raises(ValueError, match="percentile"):
        plot.gradients(make_stack(), percentile=percentile)


def test_gradients_of_nothing_are_drawn():
    for ax in plot.gradients(make_stack() * np.nan):
        ax.figure.canvas.draw()
        assert ax.images[0].get_clim() == (-1, 1)


# --- detections


def pyramid(step=25.0, south_up=False):
    cube = make_cube((21, 21), south_up=south_up)
    away = np.maximum(abs(cube.x - cube.x.mean()), abs(cube.y - cube.y.mean()))
    return (300 - away).transpose("y", "x").rename("elevation").assign_attrs(units="m")


def test_terrain_is_lit_from_the_north_west():
    values, _ = drawn(plot.detections(table(), pyramid()))
    north, west, south, east = values[3, 10], values[10, 3], values[17, 10], values[10, 17]
    assert min(north, west) > max(south, east) + 0.2
    assert values[10, 10] > max(south, east)


def test_shading_does_not_depend_on_the_order_of_rows():
    one = drawn(plot.detections(table(), pyramid()))[0]
    other = drawn(plot.detections(table(), pyramid(south_up=True)))[0]
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_outlines_lie_where_the_polygons_are():
    from shapely.geometry import box

    ax = plot.detections(table(box(480_100, 5_199_700, 480_200, 5_199_800)), pyramid())
    outline = ax.lines[-1]
    assert (outline.get_xdata().min(), outline.get_xdata().max()) == (480_100, 480_200)
    assert (outline.get_ydata().min(), outline.get_ydata().max()) == (5_199_700, 5_199_800)
    assert ax.get_title(loc="left") == "1 detection"


def test_tables_in_another_system_are_brought_to_the_terrain():
    from shapely.geometry import box

    shape = table(box(480_100, 5_199_700, 480_200, 5_199_800))
    ax = plot.detections(shape.to_crs(4326), pyramid(), truth=shape.to_crs(32633))
    for line in ax.lines:
        assert line.get_xdata().min() == pytest.approx(480_100, abs=0.5)
        assert line.get_ydata().max() == pytest.approx(5_199_800, abs=0.5)


def test_holes_and_parts_are_all_outlined():
    from shapely.geometry import MultiPolygon, Point

    ring = Point(480_200, 5_199_800).buffer(90).difference(Point(480_200, 5_199_800).buffer(40))
    far = Point(480_400, 5_199_600).buffer(30)
    ax = plot.detections(table(MultiPolygon([ring, far])), pyramid())
    assert len(ax.lines) == 3 * 2  # a light halo under each line


def test_legend_counts_found_and_truth():
    from shapely.geometry import Point

    shapes = [Point(480_200, 5_199_800).buffer(50), Point(480_300, 5_199_700).buffer(50)]
    ax = plot.detections(table(shapes[0]), pyramid(), truth=table(*shapes))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["found (1)", "truth (2)"]
    ax = plot.detections(table(), pyramid())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["found (0)"]


def test_flat_and_missing_terrain_is_drawn():
    flat = pyramid() * 0 + 10
    flat.attrs["units"] = "m"
    with np.errstate(all="raise"):
        plot.detections(table(), flat).figure.canvas.draw()
        plot.detections(table(), (flat * np.nan).assign_attrs(units="m")).figure.canvas.draw()


def test_elevation_in_feet_is_an_error():
    with pytest.raises(SchemaError, match="expected units 'm', got 'ft'"):
        plot.detections(table(), pyramid().assign_attrs(units="ft"))


def test_scores_stand_beside_outlines():
    from shapely.geometry import box

    shapes = [box(480_100, 5_199_700, 480_200, 5_199_800), box(480_300, 5_199_500, 480_400, 5_199_600)]
    found = table(*shapes).assign(score=[0.915, 0.5])

    def written(**options):
        ax = plot.detections(found, pyramid(), **options)
        return {text.get_text(): text.xy for text in ax.texts}

    assert written() == {"0.92": (480_100, 5_199_800), "0.50": (480_300, 5_199_600)}
    assert written(scores=False) == {}
    assert not plot.detections(found.drop(columns="score"), pyramid()).texts
    many = found.iloc[[0, 1] * 30].reset_index(drop=True)
    assert not plot.detections(many, pyramid()).texts
    assert len(plot.detections(many, pyramid(), scores=True).texts) == 60


# --- hot spots


def make_hot(crs=32632, shape=(12, 18), **variables):
    """A raster of z scores: a hot block of 5 and a cold one of -4 in a field of 0.2."""
    ds = make_cube(shape, crs=crs, step=25.0 if crs != 4326 else 0.001)
    z = np.full(shape, 0.2, "f4")
    z[2:5, 3:7] = 5.0
    z[7:10, 11:15] = -4.0
    ds = ds.drop_dims("pair").assign(hot_spot=(("y", "x"), z, {"units": "1"}))
    return ds.assign({name: (("y", "x"), value) for name, value in variables.items()})


def make_points(n=40, crs=32632, name="hot_spot", seed=0):
    rng = np.random.default_rng(seed)
    x, y = 480_000 + rng.uniform(0, 400, n), 5_200_000 - rng.uniform(0, 300, n)
    if crs == 4326:
        x, y = 8 + (x - 480_000) * 1e-5, 46 + (y - 5_200_000) * 1e-5
    values = rng.normal(0, 2, n).astype("f4")
    ds = xr.Dataset({name: ("point", values)}, {"x": ("point", x), "y": ("point", y)})
    return georeferenced(ds, crs) if crs else ds


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines_of(ax):
    """Return the vertices of all contours drawn on ``ax``."""
    paths = [path.vertices for c in ax.collections for path in c.get_paths() if len(path.vertices)]
    return np.concatenate(paths) if paths else np.empty((0, 2))


def test_hot_spots_are_red_cold_ones_blue_on_a_symmetric_scale():
    ax = plot.hot_spots(make_hot())
    (image,) = ax.images
    low, high = image.get_clim()
    assert low == -high
    hot, cold = (image.cmap(image.norm(v))[:3] for v in (5.0, -4.0))
    assert hot[0] > hot[2] + 0.2
    assert cold[2] > cold[0] + 0.2
    np.testing.assert_allclose(drawn(ax)[0], make_hot().hot_spot)


def test_noise_does_not_reach_the_ends_of_the_scale():
    (image,) = plot.hot_spots(make_hot() * 0.01).images
    assert image.get_clim()[1] == pytest.approx(2.5758, abs=1e-3)


def test_outlines_lie_at_the_levels_of_confidence():
    ds = make_hot()
    ax = plot.hot_spots(ds, confidence=(95,))
    x, y = lines_of(ax).T
    # between the centres of the block's outer pixels and those beyond
    hot = (x < 480_000 + 25 * 9) & (x > 480_000)
    share = (1.959964 - 0.2) / 4.8
    assert x[hot].min() == pytest.approx(480_000 + 25 * (2 + share), abs=0.1)
    assert y[hot].max() == pytest.approx(5_200_000 - 25 * (1 + share), abs=0.1)
    assert legend(ax) == ["95 %"]
    assert legend(plot.hot_spots(ds)) == ["90 %", "95 %", "99 %"]


def test_title_counts_hot_and_cold_at_the_strictest_level():
    title = plot.hot_spots(make_hot()).get_title(loc="left")
    assert title == f"{100 * 12 / 216:.3g} % hot, {100 * 12 / 216:.3g} % cold (99 %)"


def test_false_discovery_rate_outlines_what_is_significant():
    significant = np.zeros((12, 18), bool)
    significant[7:10, 11:15] = True
    ax = plot.hot_spots(make_hot(significant=significant))
    assert legend(ax) == ["significant"]
    assert lines_of(ax)[:, 0].min() > 480_000 + 25 * 10
    assert ax.get_title(loc="left").startswith("0 % hot, 5.56 % cold")


def test_single_gaps_do_not_cut_outlines():
    ds = make_hot()
    whole = lines_of(plot.hot_spots(ds, confidence=(95,)))
    ds.hot_spot[3, 5] = np.nan  # inside the block
    np.testing.assert_allclose(lines_of(plot.hot_spots(ds, confidence=(95,))), whole)


def test_terrain_shows_where_nothing_is_hot():
    ds = make_hot()
    ds.hot_spot[0, 0] = np.nan
    elevation = pyramid().isel(y=slice(12), x=slice(18))
    ax = plot.hot_spots(ds, elevation=elevation)
    shaded, image = ax.images
    alpha = np.asarray(image.get_alpha())
    assert alpha[0, 0] == 0
    assert alpha[3, 4] > alpha[6, 8] + 0.3
    assert shaded.cmap.name == "gray"


def test_terrain_in_another_system_is_an_error_for_rasters():
    elevation = pyramid().drop_vars("spatial_ref").rio.write_crs(32633)
    with pytest.raises(ValueError, match=r"elevation: expected the CRS of 'hot_spot'.*reproject_match"):
        plot.hot_spots(make_hot(), elevation=elevation)


def test_points_lie_at_their_places_strongest_last():
    ds = make_points()
    ax = plot.hot_spots(ds)
    *rings, disks = ax.collections
    places = np.asarray(disks.get_offsets())
    order = np.argsort(np.abs(ds.hot_spot.values), kind="stable")
    np.testing.assert_allclose(places, np.stack([ds.x, ds.y], axis=1)[order])
    np.testing.assert_allclose(disks.get_array(), ds.hot_spot.values[order])
    counts = [len(ring.get_offsets()) for ring in rings]
    assert counts == [int((np.abs(ds.hot_spot) > z).sum()) for z in (1.644854, 1.959964, 2.575829)]
    assert all(ring.get_sizes()[0] > disks.get_sizes()[0] for ring in rings)
    assert ax.get_xlabel() == "easting (km)"


def test_many_points_are_smaller():
    sizes = [plot.hot_spots(make_points(n)).collections[-1].get_sizes()[0] for n in (10, 20_000)]
    assert sizes[0] > 4 * sizes[1] > 0


def test_points_without_value_or_place_are_left_out():
    ds = make_points()
    ds.hot_spot[3] = np.nan
    ds.x[5] = np.nan
    disks = plot.hot_spots(ds).collections[-1]
    assert len(disks.get_offsets()) == 38


def test_points_in_degrees_are_brought_to_the_terrain_and_else_keep_distances_equal():
    ds = make_points()
    from pyproj import Transformer

    x, y = Transformer.from_crs(32632, 4326, always_xy=True).transform(ds.x.values, ds.y.values)
    degrees = ds.drop_vars("spatial_ref").assign_coords(x=("point", x), y=("point", y))
    degrees = georeferenced(degrees, 4326)
    ax = plot.hot_spots(degrees)
    assert (ax.get_xlabel(), ax.get_aspect()) == (
        "longitude (°)",
        pytest.approx(1 / np.cos(np.radians(y.mean()))),
    )
    ax = plot.hot_spots(degrees, elevation=pyramid())
    order = np.argsort(np.abs(ds.hot_spot.values), kind="stable")
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), np.stack([ds.x, ds.y], 1)[order], atol=0.01)


def test_only_what_is_drawn_of_hot_spots_is_computed():
    ds = make_hot().expand_dims(pair=2).chunk(pair=1)
    ds["p_value"] = (ds.hot_spot.dims, poisoned(ds.hot_spot.shape))
    plot.hot_spots(ds.isel(pair=0))
    with pytest.raises(SchemaError, match=r"expected dims \('y', 'x'\) or \('point',\)"):
        plot.hot_spots(ds)


@pytest.mark.parametrize("confidence", [(), (0,), (95, 100), (float("nan"),)])
def test_confidence_is_checked(confidence):
    with pytest.raises(ValueError, match="confidence: expected percentages"):
        plot.hot_spots(make_hot(), confidence=confidence)


def test_hot_spots_without_hot_spots_name_what_is_there():
    with pytest.raises(SchemaError, match=r"hot_spot.*it holds: velocity"):
        plot.hot_spots(make_points(name="velocity"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (6, 7)])
def test_empty_and_tiny_hot_spots_are_drawn(shape):
    ds = make_hot().isel(y=slice(shape[0]), x=slice(shape[1]))
    for field in (ds, ds * np.nan):
        with np.errstate(all="raise"):
            plot.hot_spots(field).figure.canvas.draw()


@pytest.mark.parametrize("n", [0, 1])
def test_no_points_and_one_point_are_drawn(n):
    with np.errstate(all="raise"):
        plot.hot_spots(make_points(n)).figure.canvas.draw()
        plot.points(make_points(n, name="velocity")).figure.canvas.draw()


@pytest.mark.parametrize("draw", [plot.hot_spots, plot.density, plot.emerging])
def test_given_axes_are_used_for_hot_spots(draw):
    ax = plt.subplots()[1]
    ds = make_hot().assign(density=make_hot().hot_spot)
    ds["category"] = ds.hot_spot.astype("i1").assign_attrs(CATEGORIES)
    assert draw(ds, ax=ax) is ax


# --- points


def test_points_are_written_in_millimetres_on_a_symmetric_scale():
    ds = make_points(name="velocity")
    ds.velocity.attrs["units"] = "m year-1"
    ax = plot.points(ds)
    disks = ax.collections[-1]
    assert ax.child_axes[0].get_ylabel() == "velocity (mm year⁻¹)"
    np.testing.assert_allclose(np.sort(disks.get_array()), np.sort(ds.velocity * 1e3), rtol=1e-6)
    assert disks.get_clim()[0] == -disks.get_clim()[1]
    assert ax.get_title(loc="left") == "40 points"


def test_values_of_one_sign_get_a_sequential_scale():
    ds = abs(make_points(name="temporal_coherence"))
    disks = plot.points(ds, variable="temporal_coherence", percentile=100).collections[-1]
    assert disks.cmap.name == "viridis"
    values = ds.temporal_coherence
    assert disks.get_clim() == (float(values.min()), float(values.max()))


def test_points_of_a_raster_or_a_series_are_an_error():
    with pytest.raises(SchemaError, match="it is a raster"):
        plot.points(make_hot(), variable="hot_spot")
    with pytest.raises(SchemaError, match="isel"):
        plot.points(make_points().expand_dims(time=2), variable="hot_spot")


# --- density


def test_density_is_per_square_kilometre():
    ds = make_hot().rename(hot_spot="density")
    ds.density.attrs["units"] = "m-2"
    ax = plot.density(ds)
    assert ax.child_axes[0].get_ylabel() == "density (km⁻²)"
    np.testing.assert_allclose(drawn(ax)[0], ds.density * 1e6)
    assert ax.images[0].get_clim() == (-5e6, pytest.approx(5e6))


def test_density_of_one_sign_starts_at_zero():
    ds = abs(make_hot().rename(hot_spot="density"))
    (image,) = plot.density(ds.assign(density=ds.density.assign_attrs(units="m-2 kg"))).images
    assert image.get_clim()[0] == 0
    assert image.cmap.name == "magma_r"


# --- emerging hot spots

CODES = list(range(-3, 4))
NAMES = "persistent_cold new_cold first_cold none first_hot new_hot persistent_hot"
CATEGORIES = {"flag_values": np.array(CODES, "i1"), "flag_meanings": NAMES}


def make_categories():
    codes = np.zeros((12, 18), "i1")
    codes[2:5, 3:6], codes[6:8, 1:4] = 3, -2
    return make_hot(category=codes).pipe(lambda ds: ds.assign(category=ds.category.assign_attrs(CATEGORIES)))


def colours(ax):
    (image,) = ax.images
    return image.cmap(image.norm(image.get_array()))


def test_legend_lists_the_categories_that_occur_hot_first():
    ax = plot.emerging(make_categories())
    assert legend(ax) == ["persistent hot (4.2 %)", "none (93 %)", "new cold (2.8 %)"]


def test_every_category_has_the_colour_of_its_legend():
    ax = plot.emerging(make_categories())
    for patch, place in zip(ax.get_legend().get_patches(), [(3, 4), (0, 0), (6, 2)], strict=True):
        np.testing.assert_allclose(colours(ax)[place], patch.get_facecolor())
    hot, cold = colours(ax)[3, 4], colours(ax)[6, 2]
    assert hot[0] > hot[2]
    assert cold[2] > cold[0]


def test_seventeen_categories_have_seventeen_colours():
    names = {code: str(code) for code in range(-8, 9)}
    assert len({plot.categories._CATEGORY_COLOURS[code] for code in names}) == 17


def test_categories_of_points_and_over_terrain_are_drawn():
    ds = make_categories()
    elevation = pyramid().isel(y=slice(12), x=slice(18))
    assert len(plot.emerging(ds, elevation=elevation).images) == 2
    flat = ds.drop_vars("spatial_ref").stack(point=("y", "x")).reset_index("point")
    ax = plot.emerging(georeferenced(flat))
    assert len(ax.collections[-1].get_offsets()) == 12 * 18
    assert legend(ax)[0] == "persistent hot (4.2 %)"


def test_categories_without_names_are_an_error():
    ds = make_categories()
    ds.category.attrs.clear()
    with pytest.raises(SchemaError, match="flag_values and flag_meanings"):
        plot.emerging(ds)


def test_loading_the_module_loads_no_matplotlib():
    code = "import sys, xinsar.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
