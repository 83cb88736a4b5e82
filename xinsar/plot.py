"""Pictures of cubes and of what is found in them.

Every function draws on the axes it is given, or on its own, and returns them. Only what is drawn is
computed: large rasters are thinned to the picture's size first. Maps keep the coordinates of their
reference system (so further layers can be drawn on top of them) with north up and kilometres or degrees on
the ticks; all colours can be told apart by colour-blind readers. matplotlib is loaded on the first call.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from . import schema

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes

__all__ = ["baseline_network", "coherence", "detections", "gradients", "wrapped_phase"]

_LARGEST = 2000
"""Pixels per side above which a raster is thinned before it is drawn."""

_BLUE, _RED = "#0072B2", "#D55E00"
"""Two colours of the Okabe-Ito palette, distinct for every kind of colour vision and on grey."""


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
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile: expected a number above 0 and up to 100, got {percentile}")
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
    return plt.subplots(1, columns, figsize=size, layout="constrained", sharex=True, sharey=True)[1]


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
    edges = []
    for dim in ("x", "y"):
        values = _axis(image, dim)
        step = (values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 1.0
        moved = float(image.attrs.get("offset", 0.0)) if str(image.name).endswith(f"_{dim}") else 0.0
        edges += [values[0] + (moved - 0.5) * step, values[-1] + (moved + 0.5) * step]
    return edges[0], edges[1], edges[3], edges[2]


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
