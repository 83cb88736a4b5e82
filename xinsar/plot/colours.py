"""Colours that colour-blind readers can tell apart, scales that wild values do not set, and the bar beside a map."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED = "#0072B2", "#D55E00"
"""Two colours of the Okabe-Ito palette, distinct for every kind of colour vision and on grey."""


def check_percentile(percentile: float) -> None:
    """Refuse what is no percentile of a colour scale."""
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile: expected a number above 0 and up to 100, got {percentile}")


def robust_limit(values: list[np.ndarray[Any, Any]], percentile: float) -> float:
    """Return the percentile of the absolute valid values, 1 where there is none or it is 0."""
    sizes = np.concatenate([np.abs(v[np.isfinite(v)]).ravel() for v in values])
    limit = float(np.percentile(sizes, percentile)) if sizes.size else 0.0
    return limit if limit > 0 else 1.0


def colour_bar(ax: Axes, drawn: Any, label: str) -> Any:
    """Draw a colour bar as high as the map, to its right."""
    inset = ax.inset_axes([1.04, 0.0, 0.045, 1.0])
    bar = ax.figure.colorbar(drawn, cax=inset)
    bar.set_label(label)
    return bar


def unit_text(units: Any) -> str:
    """Return a CF unit with its exponents raised: ``m year-1`` becomes m year⁻¹."""
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(
        r"(?<=[A-Za-z])-?\d+", lambda found: found.group().translate(digits), str(units or "no unit")
    )
