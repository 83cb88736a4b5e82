"""The network of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.plot.axes import date_axis, new_axes
from xinsar.plot.colours import BLUE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = ax if ax is not None else new_axes((7.0, 3.8))
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
        ax.plot(dates[[first, last]], position[[first, last]], color=BLUE, lw=0.9, alpha=0.6, zorder=1)
    ax.scatter(dates, position, s=22, color="black", zorder=2)
    date_axis(ax)
    ax.set_ylabel("perpendicular baseline (m)")


def _draw_bars(ax: Axes, reference: np.ndarray[Any, Any], secondary: np.ndarray[Any, Any]) -> None:
    for height, span in enumerate(zip(reference, secondary, strict=True)):
        ax.plot(span, [height, height], color=BLUE, lw=1.2, marker=".", ms=5, mfc="black", mec="black")
    date_axis(ax)
    ax.set_ylabel("pair (baselines unknown)")
