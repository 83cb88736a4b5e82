"""From the pixels of the foreground to objects: connected components, each split in its own box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from xinsar.detection.bodies import Body, cut, majority, mean
from xinsar.detection.inference import Table, taken
from xinsar.models.card import CLASS_FIELD, ModelCard

Array = np.ndarray[Any, Any]


def instances(table: Table, card: ModelCard) -> list[Body]:
    """Return the objects that the pixels of a dense model form.

    Pixels are connected by sides or corners. Where the model has a field ``centre``, a component is split at its peaks
    by a seeded watershed over ``distance`` (else over ``centre``). What is smaller than ``min_pixels`` is left out. The
    order of the table's rows cannot change anything: pixels go by row, then column.
    """
    from xinsar.kernels.components import components

    table = dict(table)
    if not _sorted(table):
        table = taken(table, np.lexsort([table["column"], table["row"]]))
    parts = _parts(table, components(table["row"], table["column"]), card.min_pixels)
    del table  # large: the parts are all that is needed
    found: list[Body] = []
    for component in parts:
        pieces = [component]
        if "centre" in component:
            pieces = list(_parts(component, _split(component, card), card.min_pixels))
        found += [_body(pixels, card) for pixels in pieces]
    return found


def _parts(table: Table, labels: Array, least: int) -> Iterator[Table]:
    """Yield the pixels of each label from 0 that has at least ``least``, in the order they have."""
    from xinsar.kernels.components import by_component

    sizes = np.bincount(labels)
    large = sizes >= least
    kept = large[labels]
    table = dict(table)
    table, labels = taken(table, kept), labels[kept]
    table = taken(table, by_component(labels, np.where(large, sizes, 0)))
    start = 0
    for end in np.cumsum(sizes[large]):
        yield {name: values[start:end] for name, values in table.items()}
        start = end


def _sorted(table: Table) -> bool:
    """Tell whether pixels come by row, then column."""
    rows, columns = table["row"], table["column"]
    ahead = (rows[1:] > rows[:-1]) | ((rows[1:] == rows[:-1]) & (columns[1:] > columns[:-1]))
    return bool(ahead.all())


def _split(pixels: Table, card: ModelCard) -> Array:
    """Return the number of the part, from 0, that each pixel of a component belongs to."""
    from xinsar.kernels.watershed import seeds, watershed

    rows, columns = (pixels[d] - pixels[d].min() for d in ("row", "column"))
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    centre, depth = np.zeros((2, *shape), np.float32)
    centre[rows, columns] = pixels["centre"]
    depth[rows, columns] = pixels.get("distance", pixels["centre"])
    markers = seeds(centre, mask, least=card.min_centre, prominence=card.prominence)
    return watershed(depth, markers, mask)[rows, columns] - 1  # type: ignore[no-any-return]


def _body(pixels: Table, card: ModelCard) -> Body:
    """Return one object and what its pixels say of it."""
    rows, columns = pixels["row"], pixels["column"]
    top, left = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), bool)
    mask[rows - top, columns - left] = True
    top, left, mask = cut(mask, top, left)
    front = pixels["foreground"]
    return Body(
        top=top,
        left=left,
        mask=mask,
        score=card.calibrated(min(_summed_up(front, card.score), 1.0)),
        label=_class(pixels, card),
        seen=majority(pixels["seen"]),
        velocity=tuple(mean(v) for name, v in pixels.items() if name.startswith("velocity")),
    )


def _summed_up(front: Array, how: str) -> float:
    """Return one number for the foreground of all pixels of an object."""
    if how == "max":
        return float(front.max())
    return float(mean(np.sort(front)[front.size // 2 :] if how == "upper" else front))


def _class(pixels: Table, card: ModelCard) -> int:
    """Return the class whose field sums up highest over the pixels."""
    names = [f"{CLASS_FIELD}{name}" for name in card.classes]
    if names[0] not in pixels:
        return 0
    return int(np.argmax([mean(pixels[name]) for name in names]))
