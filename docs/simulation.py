"""Draw the picture of the simulator into docs/images: ``make pictures``.

One scene that is made by parts: what a model is given, and what is true.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pictures import _SHARE, _couple, _map, _save

from xinsar import simulate
from xinsar.plot.terrain import hillshade

SEED = 25
"""A scene with landslides and four classes of distractors."""

_COLOURS = {
    "landslide": "#d62728",
    "subsidence": "#1f77b4",
    "mine": "#8c564b",
    "glacier": "#17becf",
    "snow": "#e6e6e6",
    "water": "#0b3d91",
    "soil_moisture": "#2ca02c",
}


def _truth(ax: Any, made: Any, elevation: Any) -> None:
    """Draw the outlines of all classes over the shaded terrain; what is ignored dashed."""
    _map(ax, hillshade(elevation), "truth", "", cmap="gray", vmin=-0.25, vmax=1.1)
    truth = made.truth
    for kind, colour in _COLOURS.items():
        for ignored in (False, True):
            own = truth[(truth["class"] == kind) & (truth["ignore"] == ignored)]
            if len(own):
                style = "--" if ignored else "-"
                own.plot(
                    ax=ax, facecolor=(*plt.matplotlib.colors.to_rgb(colour), 0.3), edgecolor=colour, ls=style
                )
    found = [kind for kind in _COLOURS if (truth["class"] == kind).any()]
    keys: list[Any] = [Patch(fc=_COLOURS[kind], label=kind.replace("_", " ")) for kind in found]
    keys.append(Line2D([], [], color="0.3", ls="--", label="neither hit nor false alarm"))
    bar = ax.figure.axes[-1]
    for child in bar.get_children():
        child.set_visible(False)
    bar.legend(handles=keys, loc="upper left", bbox_to_anchor=(-0.6, 1.0), fontsize=9, frameon=False)
    ax.set(
        xlabel="",
        ylabel="",
        xlim=(float(elevation.x[0]), float(elevation.x[-1])),
        ylim=(float(elevation.y[-1]), float(elevation.y[0])),
    )


def main() -> None:
    """Draw all of them."""
    made = simulate.products(SEED)
    ds = made.cube["descending"].to_dataset()
    figure, axes = plt.subplots(2, 3, figsize=(15.4, 8.4), layout="constrained")
    velocity = 1000 * ds.velocity
    limit = float(np.nanpercentile(np.abs(velocity), 99))
    _map(
        axes[0, 0], velocity, "velocity", "mm year$^{-1}$, red toward", cmap="RdBu_r", vmin=-limit, vmax=limit
    )
    steep = float(np.nanpercentile(np.abs(ds.gradient_x), 98.5))
    unit = "rad m$^{-1}$ year$^{-1}$"
    _map(axes[0, 1], ds.gradient_x, "gradient toward the east, stacked", unit, **_couple(steep))
    _map(axes[0, 2], ds.gradient_y, "gradient toward the south, stacked", unit, **_couple(steep))
    _map(axes[1, 0], ds.temporal_coherence, "temporal coherence", "1", **_SHARE)
    agreement = (ds.gradient_coherence_x + ds.gradient_coherence_y) / 2
    _map(axes[1, 1], agreement, "agreement of the pairs", "1", cmap="viridis", vmin=0.9, vmax=1)
    _truth(axes[1, 2], made, ds.elevation)
    _save(figure, "simulate")


if __name__ == "__main__":
    main()
