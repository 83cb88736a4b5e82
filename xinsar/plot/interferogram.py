"""Phase and coherence of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.plot.colours import colour_bar
from xinsar.plot.fields import thin
from xinsar.plot.image import draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    image = thin(phase).compute()
    image.data = np.angle(np.exp(1j * image.values.astype("f8")))
    ax, drawn = draw_map(image, ax, cmap="twilight", vmin=-np.pi, vmax=np.pi)
    ax.set_facecolor("0.5")
    bar = colour_bar(ax, drawn, _phase_label(ds))
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
    ax, drawn = draw_map(thin(one).compute(), ax, cmap="viridis", vmin=0, vmax=1)
    colour_bar(ax, drawn, "mean coherence" if pair is None else "coherence")
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
