"""What a dense centre-distance network learns: fields made from numbered bodies.

``foreground`` is 1 inside a body. ``centre`` is a Gaussian at each body's centre whose width grows with the root
of its area. ``distance`` is the distance to the outline over the largest one of that body: 0 outside, 1 at its
innermost pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FIELDS = ("foreground", "centre", "distance")
"""The fields, in the order of :func:`fields_of`."""

WIDTH = 0.15
"""Standard deviation of a centre over the root of its body's area."""


class Targets(NamedTuple):
    """What is to be learnt at each pixel, and where it counts."""

    fields: Any
    """(field, y, x), float32, 0..1."""
    weight: Any
    """(y, x), float32; 0 where nothing is learnt."""


def targets_of(labels: Any, ignore: Any = None, *, min_pixels: int = 8) -> Targets:
    """Return the fields of numbered bodies.

    Parameters
    ----------
    labels
        Number of the body on each pixel (y, x), integers from 1; 0 for the ground.
    ignore
        Pixels (y, x), bool, at which nothing is learnt.
    min_pixels
        Smaller bodies are not learnt: their pixels do not count.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((9, 9), int)
    >>> labels[2:7, 2:7] = 1
    >>> found = targets_of(labels)
    >>> float(found.fields[0].sum()), float(found.fields[2, 4, 4]), float(found.fields[1, 4, 4])
    (25.0, 1.0, 1.0)
    """
    from scipy.ndimage import find_objects

    labels = np.asarray(labels)
    fields = np.zeros((len(FIELDS), *labels.shape), np.float32)
    weight = np.ones(labels.shape, np.float32)
    for number, box in enumerate(find_objects(labels.astype(np.int32)), start=1):
        if box is None:
            continue
        inside = labels[box] == number
        if inside.sum() < min_pixels:
            weight[box][inside] = 0
            continue
        fields[0][box][inside] = 1
        depth = _depth(inside)
        fields[2][box][inside] = depth[inside] / depth.max()
        _add_centre(fields[1], inside, depth, (box[0].start, box[1].start))
    if ignore is not None:
        weight[np.asarray(ignore, bool)] = 0
    return Targets(fields, weight)


def _depth(inside: Any) -> Any:
    """Return how far each pixel of a body lies from its outline, pixels; the edge of the box is outside."""
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]


def _add_centre(centre: Any, inside: Any, depth: Any, corner: tuple[int, int]) -> None:
    """Raise ``centre`` to the Gaussian of one body."""
    y, x = (float(v.mean()) for v in np.nonzero(inside))
    if not inside[round(y), round(x)]:
        y, x = (float(v) for v in np.unravel_index(int(depth.argmax()), depth.shape))
    else:
        y, x = float(round(y)), float(round(x))
    sigma = max(WIDTH * float(np.sqrt(inside.sum())), 1.0)
    reach = int(np.ceil(3 * sigma))
    row, column = corner[0] + int(y), corner[1] + int(x)
    rows = slice(max(row - reach, 0), min(row + reach + 1, centre.shape[0]))
    columns = slice(max(column - reach, 0), min(column + reach + 1, centre.shape[1]))
    dy, dx = np.arange(rows.start, rows.stop) - row, np.arange(columns.start, columns.stop) - column
    bump = np.exp(-(dy[:, None] ** 2 + dx**2) / (2 * sigma**2)).astype(np.float32)
    centre[rows, columns] = np.maximum(centre[rows, columns], bump)
