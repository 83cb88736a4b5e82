"""Pictures of cubes and of what is found in them.

Every function draws on the axes it is given, or on its own, and returns them. Only what is drawn is
computed: large rasters are thinned to the picture's size first. Maps keep the coordinates of their
reference system (so further layers can be drawn on top of them) with north up and kilometres or degrees on
the ticks; all colours can be told apart by colour-blind readers. matplotlib is loaded on the first call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from . import schema

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes

__all__ = [
    "baseline_network",
    "coherence",
    "density",
    "detections",
    "emerging",
    "gradients",
    "hot_spots",
    "points",
    "wrapped_phase",
]

_LARGEST = 2000
"""Pixels per side above which a raster is thinned before it is drawn."""

_BLUE, _RED = "#0072B2", "#D55E00"
"""Two colours of the Okabe-Ito palette, distinct for every kind of colour vision and on grey."""

_WARM = ("#ffe04a", "#fdae33", "#f4701f", "#c4161c", "#f7a6a6", "#e8c39a", "#a0622d", "#5c0a23")
_COOL = ("#b9f0c8", "#63cfa4", "#1f9fb4", "#1c3fa8", "#a9c6ee", "#c9bfe6", "#7a6bb5", "#0b1d51")
"""Colours of the categories of emerging hot and cold spots, in the order of their codes."""


def baseline_network(ds: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the pairs as lines between their dates, dates placed by time and perpendicular baseline.

    The baseline of each date is the least-squares solution of the pairs' differences, relative to the first
    date of its connected network. Without ``perpendicular_baseline(pair)`` each pair is a bar at its own
    height.

    Parameters
    ----------
    ds
        A cube with ``reference_time(pair)``, ``secondary_time(pair)`` and, where known,
        ``perpendicular_baseline(pair)`` in metres. No pixel is read. A pair whose baseline is NaN is drawn
        where other pairs place both its dates.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        A date coordinate is missing or no date, or a pair is reversed or repeated.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> days = np.array(["2024-01-01", "2024-01-13", "2024-01-25"], "datetime64[ns]")
    >>> ds = xr.Dataset(coords={
    ...     "reference_time": ("pair", days[[0, 0, 1]]), "secondary_time": ("pair", days[[1, 2, 2]]),
    ...     "perpendicular_baseline": ("pair", [40.0, -10.0, -50.0])})
    >>> baseline_network(ds).get_title()
    '3 pairs of 3 dates'
    """
    reference, secondary = schema.check_pairs(ds)
    dates, index = np.unique(np.concatenate([reference, secondary]), return_inverse=True)
    ends = index.reshape(2, -1)
    network = _networks(ends, dates.size)
    ax = ax if ax is not None else _new_axes((7.0, 3.8))
    if "perpendicular_baseline" in ds.coords:
        baseline = np.asarray(ds["perpendicular_baseline"].values, float)
        _draw_network(ax, dates, ends, _date_baselines(ends, baseline, network))
    else:
        _draw_bars(ax, reference, secondary)
    parts = np.unique(network).size
    title = f"{reference.size} pair{'s' * (reference.size != 1)} of {dates.size} dates"
    ax.set_title(title + (f" in {parts} separate networks" if parts > 1 else ""))
    return ax


def _networks(ends: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Return the number of the connected network of each date."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1])


def _date_baselines(
    ends: np.ndarray[Any, Any], baseline: np.ndarray[Any, Any], network: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return each date's baseline (m), 0 at the first date of its network, NaN where no pair places it."""
    known = np.isfinite(baseline)
    design = np.zeros((int(known.sum()), network.size))
    rows = np.arange(design.shape[0])
    design[rows, ends[0, known]] = -1.0
    design[rows, ends[1, known]] = 1.0
    position = (
        np.linalg.lstsq(design, baseline[known], rcond=None)[0] if rows.size else np.zeros(network.size)
    )
    position[~np.isin(np.arange(network.size), ends[:, known])] = np.nan
    for part in np.unique(network):
        members = np.flatnonzero((network == part) & np.isfinite(position))
        position[members] -= position[members[:1]]
    return np.asarray(position)


def _draw_network(
    ax: Axes, dates: np.ndarray[Any, Any], ends: np.ndarray[Any, Any], position: np.ndarray[Any, Any]
) -> None:
    for first, last in ends.T:
        ax.plot(dates[[first, last]], position[[first, last]], color=_BLUE, lw=0.9, alpha=0.6, zorder=1)
    ax.scatter(dates, position, s=22, color="black", zorder=2)
    _date_axis(ax)
    ax.set_ylabel("perpendicular baseline (m)")


def _draw_bars(ax: Axes, reference: np.ndarray[Any, Any], secondary: np.ndarray[Any, Any]) -> None:
    for height, span in enumerate(zip(reference, secondary, strict=True)):
        ax.plot(span, [height, height], color=_BLUE, lw=1.2, marker=".", ms=5, mfc="black", mec="black")
    _date_axis(ax)
    ax.set_ylabel("pair (baselines unknown)")


def _date_axis(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlabel("acquisition date")
    ax.grid(visible=True, color="0.9", lw=0.6)
    ax.set_axisbelow(True)


def wrapped_phase(ds: xr.Dataset, *, pair: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the wrapped phase of one pair in a cyclic colour map, missing pixels grey.

    Parameters
    ----------
    ds
        A cube with ``phase`` (pair, y, x) in radians, positive away from the satellite; an
        ``unwrapped_phase`` is wrapped for the picture.
    pair
        Number of the pair, from the end when negative.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        The cube has neither variable, or its form is wrong.
    ValueError
        There is no such pair.
    """
    phase = _one_pair(schema.find_first(ds, schema.PHASE, schema.UNWRAPPED_PHASE), pair)
    image = _thin(phase).compute()
    image.data = np.angle(np.exp(1j * image.values.astype("f8")))
    ax, drawn = _draw_map(image, ax, cmap="twilight", vmin=-np.pi, vmax=np.pi)
    ax.set_facecolor("0.5")
    bar = _colour_bar(ax, drawn, _phase_label(ds))
    bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    ax.set_title(_pair_title(phase))
    return ax


def coherence(ds: xr.Dataset, *, pair: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw the coherence of one pair, or its mean over all pairs, from 0 to 1, missing pixels grey.

    Parameters
    ----------
    ds
        A cube with ``coherence`` (pair, y, x), 0..1. The mean runs over the valid pairs of each pixel.
    pair
        Number of the pair, from the end when negative; by default the mean.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        The cube has no ``coherence``, or its form is wrong.
    ValueError
        There is no such pair.
    """
    array = schema.find(ds, schema.COHERENCE)
    one = array.mean("pair") if pair is None else _one_pair(array, pair)
    ax, drawn = _draw_map(_thin(one).compute(), ax, cmap="viridis", vmin=0, vmax=1)
    _colour_bar(ax, drawn, "mean coherence" if pair is None else "coherence")
    ax.set_title(f"mean of {array.sizes['pair']} pairs" if pair is None else _pair_title(one))
    return ax


def _one_pair(array: xr.DataArray, pair: int) -> xr.DataArray:
    count = array.sizes["pair"]
    if not -count <= pair < count:
        raise ValueError(f"pair: expected an integer from {-count} to {count - 1}, got {pair}")
    return array.isel(pair=pair)


def _pair_title(array: xr.DataArray) -> str:
    """Return the dates, the interval and the baseline of one pair as far as they are known."""
    if not {"reference_time", "secondary_time"} <= set(array.coords):
        return "phase"
    first, last = (array[f"{end}_time"].values.astype("M8[D]") for end in ("reference", "secondary"))
    title = f"{first} to {last}, {(last - first).astype(int)} days"
    baseline = float(array.coords.get("perpendicular_baseline", np.nan))
    text = f"{baseline:.0f}".replace("-", "−")
    return title + (f", {text} m baseline" if np.isfinite(baseline) else "")


def _phase_label(ds: xr.Dataset) -> str:
    wavelength = ds.attrs.get("wavelength")
    cycle = f"\none cycle = {float(wavelength) * 500:.1f} mm of range" if wavelength else ""
    return f"wrapped phase (rad), positive away{cycle}"


def gradients(
    stack: xr.Dataset, *, percentile: float = 99.0, ax: tuple[Axes, Axes] | None = None
) -> tuple[Axes, Axes]:
    """Draw the two gradients of a phase-gradient stack side by side, on one symmetric scale.

    The scale ends at a percentile of the absolute values of both, so that single wild pixels do not wash
    the picture out. A moving body shows as a couple of opposite colours along each direction. Values lie on
    the edges between pixels and are drawn there (half a pixel on, attribute ``offset``).

    Parameters
    ----------
    stack
        Dataset with ``gradient_y`` and ``gradient_x`` (y, x), along increasing index, in any unit; NaN is
        drawn grey.
    percentile
        Share of the pixels within the colour scale, above 0 to 100.
    ax
        Two axes, for x and y; by default a new figure.

    Returns
    -------
    tuple of Axes
        That of ``gradient_x``, that of ``gradient_y``.

    Raises
    ------
    SchemaError
        A gradient is missing, or still has the dimension ``pair``.
    ValueError
        ``percentile`` is out of range.
    """
    _check_percentile(percentile)
    couple = [_thin(_flat(schema.find(stack, v))) for v in (schema.GRADIENT_X, schema.GRADIENT_Y)]
    images = xr.Dataset({str(image.name): image for image in couple}).compute()
    limit = _robust_limit([images[name].values for name in images.data_vars], percentile)
    ax = ax if ax is not None else _new_map_axes(couple[0], columns=2)
    for axes, (name, direction) in zip(ax, _DIRECTIONS.items(), strict=True):
        image = images[name]
        drawn = _draw_map(image, axes, cmap="RdBu_r", vmin=-limit, vmax=limit)[1]
        axes.set_title(f"gradient toward {direction[_points_south(image)]}")
    ax[1].set_ylabel("")
    _colour_bar(ax[1], drawn, f"phase gradient ({_unit_text(images['gradient_x'].attrs.get('units'))})")
    return ax[0], ax[1]


_DIRECTIONS = {"gradient_x": ("larger x", "the east"), "gradient_y": ("larger y", "the south")}


def _points_south(image: xr.DataArray) -> bool:
    """Tell whether the axes of ``image`` run east and south, as on every map opened with north up."""
    y = image["y"].values if "y" in image.coords else np.arange(image.sizes["y"])
    along_map = image.attrs.get("directions", "map") == "map"
    return along_map and _crs(image) is not None and (y.size < 2 or bool(y[0] > y[-1]))


def _flat(array: xr.DataArray) -> xr.DataArray:
    if set(array.dims) != {"y", "x"}:
        raise schema.SchemaError(
            f"{array.name}: expected dims ('y', 'x'), got {tuple(map(str, array.dims))}; stack the pairs "
            "with phase_gradient_stack, or choose one with isel"
        )
    return array


def _robust_limit(values: list[np.ndarray[Any, Any]], percentile: float) -> float:
    """Return the percentile of the absolute valid values, 1 where there is none or it is 0."""
    sizes = np.concatenate([np.abs(v[np.isfinite(v)]).ravel() for v in values])
    limit = float(np.percentile(sizes, percentile)) if sizes.size else 0.0
    return limit if limit > 0 else 1.0


def detections(
    found: GeoDataFrame,
    elevation: xr.DataArray,
    *,
    truth: GeoDataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the outlines of what was found, and of the truth where it is known, over the shaded terrain.

    Parameters
    ----------
    found
        Polygons with a coordinate reference system; brought to that of ``elevation`` where it differs.
    elevation
        Terrain height (y, x) in metres; NaN is drawn grey.
    truth
        Polygons known to move, drawn dashed.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        ``elevation`` is not a (y, x) raster in metres.
    """
    schema.check(elevation, schema.ELEVATION)
    shaded = _hillshade(_thin(_flat(elevation)).compute())
    ax = ax if ax is not None else _new_map_axes(shaded, beside=0.9)
    _draw_map(shaded, ax, cmap="gray", vmin=-0.25, vmax=1.1)
    handles = [
        _outlines(ax, table, shaded, label=label, color=color, ls=style)
        for table, label, color, style in (
            (truth, "truth", _BLUE, (0, (4, 2))),
            (found, "found", _RED, "-"),
        )
        if table is not None
    ]
    ax.legend(handles=handles[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    ax.set_title(f"{len(found)} detection{'s' * (len(found) != 1)}", loc="left")
    return ax


def _outlines(ax: Axes, table: GeoDataFrame, image: xr.DataArray, *, label: str, **style: Any) -> Any:
    """Draw the borders of the polygons of ``table`` and return what stands for them in a legend."""
    from matplotlib.lines import Line2D

    crs = _crs(image)
    if crs is not None and table.crs is not None and len(table):
        table = table.to_crs(crs)
    for line in table.geometry.boundary.explode(index_parts=False):
        xs, ys = line.xy
        ax.plot(xs, ys, color="white", lw=2.8, alpha=0.6, zorder=2)
        ax.plot(xs, ys, lw=1.5, zorder=3, **style)
    return Line2D([], [], lw=1.5, label=f"{label} ({len(table)})", **style)


def hot_spots(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    confidence: Sequence[float] = (90, 95, 99),
    percentile: float = 99.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw hot and cold spots in red and blue on a symmetric scale, with outlines of what is significant.

    The scale ends at a percentile of the absolute z scores, but not below 2.58, so that noise stays pale.
    Rasters get contours; points are drawn strongest last, sized for their number, and the significant ones
    stand on darker disks, which outline single points and clusters alike.

    Parameters
    ----------
    ds
        Dataset with ``hot_spot`` on (y, x) or (point,), as :func:`xinsar.getis_ord` gives it. Where it holds
        ``significant`` (false discovery rate), that is outlined, else the levels of ``confidence``.
    elevation
        Terrain height (y, x) in metres: drawn shaded below, and the more the weaker the hot spot.
    confidence
        Levels to outline, percent, two-sided: 95 outlines where z exceeds 1.96 or falls below -1.96.
    percentile
        Share of the values within the colour scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``hot_spot``, or it has dims beyond (y, x) or (point,).
    ValueError
        ``confidence`` or ``percentile`` is out of range, or ``elevation`` has another CRS than the raster.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> ds = xr.Dataset({"hot_spot": ("point", [-0.5, 0.3, 3.1, 2.8])},
    ...                 {"x": ("point", [0.0, 50, 90, 95]), "y": ("point", [0.0, 10, 80, 85])})
    >>> hot_spots(ds).get_title(loc="left")
    '50 % hot, 0 % cold (99 %)'
    """
    _check_percentile(percentile)
    z_levels = _z_levels(confidence)
    fields = [_field(ds, name) for name in ("hot_spot", "significant") if name == "hot_spot" or name in ds]
    shown = xr.Dataset({str(f.name): f for f in map(_fewer, fields)}).compute()
    hot = shown["hot_spot"]
    limit = max(_robust_limit([hot.values], percentile), _z_levels([99])[0])
    strength, levels = _significance(shown, z_levels)
    style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    draw = _draw_points if _on_points(hot) else _draw_raster
    ax, drawn, handles = draw(hot, ax, elevation, strength, levels, **style)
    bar = _colour_bar(ax, drawn, "Gi* z score (standard deviations)")
    for level in levels if "significant" not in shown else []:
        for sign in (-1, 1):
            bar.ax.axhline(sign * level.value, color=level.color, lw=level.width)
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, **_TIGHT)
    ax.set_title(_shares(hot.values, strength.values, levels[-1]), loc="left")
    return ax


_TIGHT = {"columnspacing": 1.0, "handlelength": 1.4, "handletextpad": 0.5, "borderaxespad": 0.2}
_SHADES = ("0.55", "0.3", "black")


@dataclass(frozen=True)
class _Level:
    """A line around what exceeds ``value`` or falls below ``-value``."""

    value: float
    label: str
    color: str
    width: float


def _check_percentile(percentile: float) -> None:
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile: expected a number above 0 and up to 100, got {percentile}")


def _z_levels(confidence: Sequence[float]) -> list[float]:
    """Return the z scores that two-sided levels of confidence, in percent, ask for, ascending."""
    wrong = [level for level in confidence if not 0 < level < 100]
    if wrong or not len(confidence):
        raise ValueError(f"confidence: expected percentages between 0 and 100, got {wrong or 'none'}")
    return [NormalDist().inv_cdf(0.5 + level / 200) for level in sorted(confidence)]


def _significance(shown: xr.Dataset, z_levels: Sequence[float]) -> tuple[xr.DataArray, list[_Level]]:
    """Return the field to be outlined and at which levels: z scores, or the sign where ``significant`` is given."""
    hot = shown["hot_spot"]
    if "significant" in shown:
        return hot.copy(data=np.sign(hot.values) * shown["significant"].values), [
            _Level(0.5, "significant", "black", 1.2)
        ]
    shares = [NormalDist().cdf(z) * 200 - 100 for z in z_levels]
    shades = _SHADES[-len(shares) :] if len(shares) <= len(_SHADES) else _SHADES[-1:] * len(shares)
    widths = np.linspace(0.5, 1.0, len(shares)) if len(shares) > 1 else [1.0]
    rows = zip(z_levels, shares, shades, widths, strict=True)
    return hot, [_Level(z, f"{share:.4g} %", shade, float(width)) for z, share, shade, width in rows]


def _shares(hot: np.ndarray[Any, Any], strength: np.ndarray[Any, Any], level: _Level) -> str:
    """Return how much of what is drawn is hot, and cold, at a level."""
    valid = max(int(np.isfinite(hot).sum()), 1)
    above, below = (100 * int((sign * strength > level.value).sum()) / valid for sign in (1, -1))
    return f"{above:.3g} % hot, {below:.3g} % cold ({level.label})"


def _field(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return the variable ``name``, on (y, x) or on (point,)."""
    if name not in ds:
        held = ", ".join(sorted(map(str, ds.data_vars))) or "no variable"
        raise schema.SchemaError(f"{name}: the dataset has no variable of this name (it holds: {held})")
    array = ds[name]
    if set(array.dims) not in ({"y", "x"}, {"point"}):
        raise schema.SchemaError(
            f"{name}: expected dims ('y', 'x') or ('point',), got {tuple(map(str, array.dims))}; choose one "
            "index of the others with isel"
        )
    return array


def _on_points(array: xr.DataArray) -> bool:
    return "point" in array.dims


def _fewer(array: xr.DataArray) -> xr.DataArray:
    """Return what is drawn of a raster or of points."""
    if not _on_points(array):
        return _thin(array)
    step = max(-(-array.sizes["point"] // _MOST_POINTS), 1)
    return array.isel(point=slice(None, None, step))


def _draw_raster(
    image: xr.DataArray,
    ax: Axes | None,
    elevation: xr.DataArray | None,
    strength: xr.DataArray,
    levels: Sequence[_Level],
    **style: Any,
) -> tuple[Axes, Any, list[Any]]:
    """Draw a raster over the shaded terrain, with contours of ``strength``."""
    ax = ax if ax is not None else _new_map_axes(image)
    if elevation is not None:
        _draw_terrain(elevation, image, ax)
        style["alpha"] = _opacity(image.transpose("y", "x").values, style["vmax"])
    drawn = _draw_map(image, ax, **style)[1]
    handles = [_contour(ax, strength.transpose("y", "x"), level) for level in levels]
    return ax, _opaque(drawn), handles


def _opaque(drawn: Any) -> Any:
    """Return what a colour bar can show: the colours without the transparency of single pixels."""
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(drawn.norm, drawn.cmap)


def _opacity(values: np.ndarray[Any, Any], limit: float) -> np.ndarray[Any, Any]:
    """Return how much of the terrain a value hides: little where it is near 0, nothing where it is missing."""
    strength = np.minimum(np.abs(values) / (0.5 * limit), 1.0)
    return np.where(np.isfinite(values), 0.15 + 0.65 * strength, 0.0)


def _draw_terrain(elevation: xr.DataArray, over: xr.DataArray, ax: Axes) -> None:
    """Draw the shaded terrain below ``over``, which must lie in the same reference system."""
    schema.check(elevation, schema.ELEVATION)
    own, other = _crs(elevation), _crs(over)
    if own is not None and other is not None and own != other:
        raise ValueError(
            f"elevation: expected the CRS of {over.name!r}, {other.name}, got {own.name}; bring it there with "
            "elevation.rio.reproject_match"
        )
    _draw_map(_hillshade(_thin(_flat(elevation)).compute()), ax, cmap="gray", vmin=-0.25, vmax=1.1)


def _contour(ax: Axes, strength: xr.DataArray, level: _Level) -> Any:
    """Draw lines where ``strength`` passes a level on either side of 0; return what stands for it in a legend."""
    from matplotlib.lines import Line2D

    values = np.ma.masked_invalid(_without_specks(strength.values.astype("f8")))
    both = [v for v in (-level.value, level.value) if values.count() and values.min() < v < values.max()]
    style = {"linestyles": "solid", "linewidths": level.width, "colors": level.color}
    if both and min(values.shape) > 1:
        ax.contour(_axis(strength, "x"), _axis(strength, "y"), values, levels=both, **style)
    return Line2D([], [], color=level.color, lw=level.width, label=level.label)


def _without_specks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Fill gaps up to four pixels wide with the nearest values, so that they cut no line."""
    from scipy.ndimage import binary_closing, distance_transform_edt

    valid = np.isfinite(values)
    if valid.all() or not valid.any():
        return values
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    kept = valid | binary_closing(valid, np.ones((3, 3)), iterations=2)
    return np.where(kept, values[tuple(nearest)], np.nan)


def points(
    ds: xr.Dataset,
    *,
    variable: str = "velocity",
    elevation: xr.DataArray | None = None,
    percentile: float = 99.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a variable of a point data set: every point a disk, sized for their number, strongest last.

    Values of both signs get a diverging, symmetric scale (positive red, toward the satellite for velocities),
    others a sequential one; both end at a percentile. Metres are written as millimetres.

    Parameters
    ----------
    ds
        Dataset with ``variable`` (point,) and coordinates ``x``, ``y`` (point,).
    variable
        Name of what is drawn; points where it is NaN are left out.
    elevation
        Terrain height (y, x) in metres, drawn shaded below; the points are brought to its CRS.
    percentile
        Share of the values within the colour scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no such variable, or it is not on (point,).
    ValueError
        ``percentile`` is out of range.
    """
    _check_percentile(percentile)
    array = _field(ds, variable)
    if not _on_points(array):
        raise schema.SchemaError(f"{variable}: expected dims ('point',), got {array.dims}; it is a raster")
    image, unit = _in_millimetres(_fewer(array).compute())
    style = _scale_of(image.values, percentile)
    ax, drawn, _ = _draw_points(image, ax, elevation, image, [], **style)
    _colour_bar(ax, drawn, f"{_words(image)} ({unit})")
    number = int(np.isfinite(image.values).sum())
    ax.set_title(f"{number:,} point{'s' * (number != 1)}".replace(",", " "), loc="left")
    return ax


def _words(array: xr.DataArray) -> str:
    return str(array.name).replace("_", " ")


def _in_millimetres(array: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Return lengths and rates given in metres in millimetres, and the unit."""
    units = str(array.attrs.get("units", ""))
    small = array.name in ("velocity", "velocity_sigma", "displacement") and units.split(" ")[0] == "m"
    return (array * 1e3 if small else array).assign_attrs(array.attrs), _unit_text("m" * small + units)


def _scale_of(values: np.ndarray[Any, Any], percentile: float) -> dict[str, Any]:
    """Return the colours for values: symmetric where both signs occur, else from one percentile to the other."""
    valid = values[np.isfinite(values)]
    if valid.size and valid.min() < 0 < valid.max():
        limit = _robust_limit([valid], percentile)
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    low, high = np.percentile(valid, [100 - percentile, percentile]) if valid.size else (0.0, 1.0)
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1}


def _draw_points(
    values: xr.DataArray,
    ax: Axes | None,
    elevation: xr.DataArray | None,
    strength: xr.DataArray,
    levels: Sequence[_Level],
    **style: Any,
) -> tuple[Axes, Any, list[Any]]:
    """Draw points over the shaded terrain, those above a level of ``strength`` on larger, darker disks."""
    values = _moved(values, elevation)
    valid = np.isfinite(values.values) & np.isfinite(values["x"].values) & np.isfinite(values["y"].values)
    order = np.argsort(np.where(valid, np.abs(values.values), -1), kind="stable")[int((~valid).sum()) :]
    image, strength = values.isel(point=order), abs(strength.isel(point=order))
    ax = ax if ax is not None else _new_map_axes(image)
    if elevation is not None:
        _draw_terrain(elevation, image, ax)
    side = np.sqrt(_disk_area(order.size))
    xs, ys = image["x"].values, image["y"].values
    plain = {"linewidths": 0, "rasterized": order.size > 10_000}
    for level in levels:
        on = strength.values > level.value
        wider = side + min(1.2 + level.width, 0.35 * side)
        ax.scatter(xs[on], ys[on], s=wider**2, color=level.color, **plain)
    drawn = ax.scatter(xs, ys, c=image.values, s=side**2, **plain, **style)
    _frame(ax, image)
    return ax, drawn, [_ring(level) for level in levels]


def _ring(level: _Level) -> Any:
    """Return what stands for outlined points in a legend."""
    from matplotlib.lines import Line2D

    style = {"marker": "o", "ls": "none", "ms": 7, "mfc": "white", "mec": level.color, "mew": 1.4}
    return Line2D([], [], label=level.label, **style)


_MOST_POINTS = 500_000
"""Number above which only every n-th point is drawn."""


def _disk_area(number: int) -> float:
    """Return the area of one of ``number`` points that leaves a map readable, in square typographic points."""
    return float(np.clip(100_000 / max(number, 1), 0.5, 34))


def _moved(points: xr.DataArray, elevation: xr.DataArray | None) -> xr.DataArray:
    """Return points with coordinates in the CRS of the terrain below them."""
    crs, own = (None if elevation is None else _crs(elevation)), _crs(points)
    if elevation is None or crs is None or own is None or crs == own:
        return points
    from pyproj import Transformer

    x, y = Transformer.from_crs(own, crs, always_xy=True).transform(points["x"].values, points["y"].values)
    mapping = ((), 0, {"crs_wkt": crs.to_wkt()})
    return points.assign_coords(x=("point", np.asarray(x)), y=("point", np.asarray(y)), spatial_ref=mapping)


def _frame(ax: Axes, points: xr.DataArray) -> None:
    """Give the axes the extent, the proportions and the names of a map of points."""
    left, right, bottom, top = _extent(points)
    ax.set_facecolor("0.8")
    ax.set_aspect(_aspect(points))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    _name_axes(ax, points)


def density(
    ds: xr.Dataset,
    *,
    elevation: xr.DataArray | None = None,
    percentile: float = 99.9,
    ax: Axes | None = None,
) -> Axes:
    """Draw a kernel density, per square kilometre; weighted by signs on a diverging, symmetric scale.

    Parameters
    ----------
    ds
        Dataset with ``density`` (y, x), as :func:`xinsar.kernel_density` or :func:`xinsar.hot_spot_map` give it.
    elevation
        Terrain height (y, x) in metres in the same CRS: drawn shaded below, hidden where the density is high.
    percentile
        Share of the values other than 0 within the colour scale, above 0 to 100.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``density``, or it is not on (y, x).
    ValueError
        ``percentile`` is out of range, or ``elevation`` has another CRS.
    """
    _check_percentile(percentile)
    image = _thin(_flat(_field(ds, "density"))).compute()
    units = str(image.attrs.get("units", "m-2"))
    per_area = units.split(" ")[0] == "m-2"
    image = image.copy(data=image.values * (1e6 if per_area else 1.0))
    values = image.values[np.isfinite(image.values) & (image.values != 0)]
    limit = _robust_limit([values], percentile)
    both = values.size > 0 and bool(values.min() < 0)
    style = {"cmap": "RdBu_r" if both else "magma_r", "vmin": -limit if both else 0, "vmax": limit}
    ax, drawn, _ = _draw_raster(image, ax, elevation, image, [], **style)
    _colour_bar(ax, drawn, f"density ({_unit_text('k' + units if per_area else units)})")
    return ax


def emerging(ds: xr.Dataset, *, elevation: xr.DataArray | None = None, ax: Axes | None = None) -> Axes:
    """Draw the categories of emerging hot and cold spots, with a legend of those that occur.

    Hot categories are yellow to dark red, cold ones green to dark blue; what is neither is pale, missing grey.

    Parameters
    ----------
    ds
        Dataset with ``category`` on (y, x) or (point,), as :func:`xinsar.emerging_hot_spots` gives it: codes
        above 0 are hot, below 0 cold, and ``flag_values`` and ``flag_meanings`` name them.
    elevation
        Terrain height (y, x) in metres, drawn shaded below.
    ax
        Axes to draw on; by default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        There is no ``category``, or it has other dims.
    ValueError
        ``elevation`` has another CRS than the raster.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap

    category = _fewer(_field(ds, "category")).compute()
    names = _flag_names(category)
    codes = sorted(names)
    image = category.astype("f8").where(category.isin(codes))
    palette = [_CATEGORY_COLOURS.get(code, "0.95") for code in codes]
    edges = [codes[0] - 0.5, *(np.add(codes[1:], codes[:-1]) / 2), codes[-1] + 0.5]
    style = {"cmap": ListedColormap(palette), "norm": BoundaryNorm(edges, len(codes))}
    if _on_points(image):
        ax = _draw_points(image, ax, elevation, image, [], **style)[0]
    else:
        ax = _draw_categories(image, ax, elevation, **style)
    _category_legend(ax, image.values, names)
    return ax


_CATEGORY_COLOURS = {
    0: "0.93",
    **dict(enumerate(_WARM, start=1)),
    **{-code: colour for code, colour in enumerate(_COOL, start=1)},
}


def _flag_names(category: xr.DataArray) -> dict[int, str]:
    """Return the name of every code from the CF flags."""
    values = np.atleast_1d(np.asarray(category.attrs.get("flag_values", []), int)).tolist()
    meanings = str(category.attrs.get("flag_meanings", "")).split()
    if not values or len(values) != len(meanings):
        raise schema.SchemaError(
            "category: expected the attributes flag_values and flag_meanings of equal length, got "
            f"{len(values)} and {len(meanings)}; take the result of emerging_hot_spots as it is"
        )
    return {code: name.replace("_", " ") for code, name in zip(values, meanings, strict=True)}


def _draw_categories(
    image: xr.DataArray, ax: Axes | None, elevation: xr.DataArray | None, **style: Any
) -> Axes:
    ax = ax if ax is not None else _new_map_axes(image, beside=3.0)
    if elevation is not None:
        _draw_terrain(elevation, image, ax)
        values = image.transpose("y", "x").values
        style["alpha"] = np.where(np.isfinite(values), np.where(values == 0, 0.15, 0.8), 0.0)
    return _draw_map(image, ax, **style)[0]


def _category_legend(ax: Axes, values: np.ndarray[Any, Any], names: dict[int, str]) -> None:
    """List the categories that occur, hot ones first, with the share of each."""
    from matplotlib.patches import Patch

    valid = values[np.isfinite(values)]
    found = [code for code in sorted(names, reverse=True) if (valid == code).any()]
    shares = [100 * float((valid == code).mean()) for code in found]
    handles = [
        Patch(
            fc=_CATEGORY_COLOURS.get(code, "0.95"), ec="0.5", lw=0.5, label=f"{names[code]} ({share:.2g} %)"
        )
        for code, share in zip(found, shares, strict=True)
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0)


def _hillshade(elevation: xr.DataArray) -> xr.DataArray:
    """Return the brightness (0..1) of terrain lit from the north-west, steepened to be readable."""
    rise_y, rise_x = (_rise(elevation, dim) for dim in ("y", "x"))
    steepness = np.sqrt(np.nanmean(rise_x**2 + rise_y**2)) if np.isfinite(rise_x + rise_y).any() else 0.0
    factor = 0.6 / max(float(steepness), 0.05)
    rise_x, rise_y = rise_x * factor, rise_y * factor
    light = (rise_x - rise_y + np.sqrt(2)) / 2 / np.sqrt(1 + rise_x**2 + rise_y**2)
    return elevation.copy(data=np.clip(light, 0, 1)).rename("hillshade")


def _rise(elevation: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    """Return metres upward per metre eastward (``x``) or northward (``y``)."""
    values = elevation.values.astype("f8")
    if elevation.sizes[dim] < 2:
        return np.zeros_like(values)
    step = np.gradient(_metres(elevation, dim))
    slope = np.gradient(values, axis=elevation.get_axis_num(dim))
    return np.asarray(slope / (step[:, None] if dim == "y" else step))


def _metres(image: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    """Return the coordinate in metres, near enough for shading (degrees: at the middle latitude)."""
    values, geographic = _axis(image, dim), _is_geographic(image)
    if not geographic:
        return values
    return values * 111_320.0 * (np.cos(np.radians(_axis(image, "y").mean())) if dim == "x" else 1.0)


def _thin(array: xr.DataArray) -> xr.DataArray:
    """Return every n-th pixel so that neither side exceeds the picture's size."""
    step = max(-(-max(array.sizes["y"], array.sizes["x"]) // _LARGEST), 1)
    return array.isel(y=slice(None, None, step), x=slice(None, None, step))


def _new_axes(size: tuple[float, float]) -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _new_map_axes(image: xr.DataArray, *, columns: int = 1, beside: float = 2.2) -> Any:
    """Return axes of a new figure shaped like the map, with room for its labels and ``beside`` inches."""
    import matplotlib.pyplot as plt

    left, right, bottom, top = _extent(image)
    shape = abs((top - bottom) / (right - left)) * _aspect(image)
    width = min(5.4, 6.5 / max(shape, 0.2))
    size = (width * columns + beside, min(max(width * shape, 2.8), 6.5) + 0.9)
    return plt.subplots(1, columns, figsize=size, layout="compressed", sharex=True, sharey=True)[1]


def _draw_map(image: xr.DataArray, ax: Axes | None, **style: Any) -> tuple[Axes, Any]:
    """Draw ``image`` at its coordinates with north up, and name the axes."""
    ax = ax if ax is not None else _new_map_axes(image)
    image = image.transpose("y", "x")
    extent = _extent(image)
    drawn = ax.imshow(image.values, extent=extent, origin="upper", interpolation="nearest", **style)
    ax.set_facecolor("0.75")
    ax.set_aspect(_aspect(image))
    left, right = sorted(extent[:2])
    bottom, top = sorted(extent[2:])
    ax.set_xlim(left, right)
    ax.set_ylim(*((bottom, top) if _is_map(image) else (top, bottom)))
    _name_axes(ax, image)
    return ax, drawn


def _axis(image: xr.DataArray, dim: str) -> np.ndarray[Any, Any]:
    return np.asarray(image[dim].values if dim in image.coords else np.arange(image.sizes[dim]), float)


def _extent(image: xr.DataArray) -> tuple[float, float, float, float]:
    """Return the outer edges (left, right, last row, first row), edge values moved by their ``offset``."""
    if _on_points(image):
        return _extent_of_points(image)
    edges = []
    for dim in ("x", "y"):
        values = _axis(image, dim)
        step = (values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 1.0
        moved = float(image.attrs.get("offset", 0.0)) if str(image.name).endswith(f"_{dim}") else 0.0
        edges += [values[0] + (moved - 0.5) * step, values[-1] + (moved + 0.5) * step]
    return edges[0], edges[1], edges[3], edges[2]


def _extent_of_points(points: xr.DataArray) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of the box around points, with a margin."""
    ends = []
    for dim in ("x", "y"):
        values = _axis(points, dim)
        values = values[np.isfinite(values)]
        ends.append((values.min(), values.max()) if values.size else (0.0, 1.0))
    widest = max(high - low for low, high in ends)
    margin = 0.04 * widest if widest > 0 else 1.0
    (left, right), (bottom, top) = ends
    return left - margin, right + margin, bottom - margin, top + margin


def _crs(image: xr.DataArray) -> Any:
    from .grid import crs_of

    return crs_of(image)


def _is_geographic(image: xr.DataArray) -> bool:
    crs = _crs(image)
    return bool(crs.is_geographic) if crs is not None else _axis_units(image, "x").startswith("degree")


def _is_map(image: xr.DataArray) -> bool:
    return _crs(image) is not None or bool(_axis_units(image, "y"))


def _axis_units(image: xr.DataArray, dim: str) -> str:
    return str(image[dim].attrs.get("units", "")) if dim in image.coords else ""


def _aspect(image: xr.DataArray) -> float:
    """Return the length of a unit of y over that of x, so that distances look equal."""
    return float(1 / np.cos(np.radians(_axis(image, "y").mean()))) if _is_geographic(image) else 1.0


def _name_axes(ax: Axes, image: xr.DataArray) -> None:
    if _is_geographic(image):
        names, scale = ("longitude (°)", "latitude (°)"), 1.0
    elif _is_map(image):
        projected = _crs(image) is not None
        names, scale = ("easting (km)", "northing (km)") if projected else ("x (km)", "y (km)"), 1e-3
    else:
        names, scale = ("column", "row"), 1.0
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    for axis, count in ((ax.xaxis, 5), (ax.yaxis, 6)):
        axis.set_major_locator(_locator(count))
        axis.set_major_formatter(_formatter(scale))


def _locator(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])


def _formatter(scale: float) -> Any:
    """Return what writes ticks times ``scale``, in full and with equal digits."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    if scale == 1:
        return ScalarFormatter(useOffset=False)
    return FuncFormatter(lambda value, _: f"{value * scale:.8g}")


def _colour_bar(ax: Axes, drawn: Any, label: str) -> Any:
    """Draw a colour bar as high as the map, to its right."""
    inset = ax.inset_axes([1.04, 0.0, 0.045, 1.0])
    bar = ax.figure.colorbar(drawn, cax=inset)
    bar.set_label(label)
    return bar


def _unit_text(units: Any) -> str:
    """Return a CF unit with its exponents raised: ``m year-1`` becomes m year⁻¹."""
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(
        r"(?<=[A-Za-z])-?\d+", lambda found: found.group().translate(digits), str(units or "no unit")
    )
