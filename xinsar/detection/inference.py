"""What one task does: make the channels of a group of windows, run the model in full batches, keep the cores.

Everything a task knows comes in through its arguments, and nothing it does depends on what other tasks do. Of a dense
model only the pixels of the foreground leave a task, so results take memory by what is found, not by the image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xinsar.backend import array_namespace
from xinsar.detection.bodies import cut, majority, mean
from xinsar.detection.inputs import Inputs, Plane
from xinsar.detection.stitch import Candidate
from xinsar.detection.windows import Lattice, Window
from xinsar.mapping.windows import Box
from xinsar.models.card import CLASS_FIELD, ModelCard

Array = np.ndarray[Any, Any]
Table = dict[str, Array]

BATCH = 4
"""Windows in a batch where neither the caller nor the runtime says."""
BORDER = 2
"""Pixels that an object seen whole keeps from the border of its window."""
CLOSE = 1e-5
"""How far rounding may take a field beyond 0..1."""


@dataclass(frozen=True)
class Work:
    """All that the tasks of one run share: it travels with the graph, so it holds no session and no array."""

    runtime: Any
    lattice: Lattice
    planes: tuple[Plane, ...]
    motion: tuple[tuple[int, ...], ...]
    velocity: tuple[int | None, ...]
    threshold: float
    batch: int

    @classmethod
    def of(cls, inputs: Inputs, runtime: Any, threshold: float, batch: int | None) -> Work:
        """Return the work that a model has with these inputs."""
        card: ModelCard = runtime.card
        lattice = Lattice(inputs.frame.shape, card.window, card.overlap, inputs.origin)
        size = batch or getattr(runtime, "batch_size", None) or BATCH
        return cls(runtime, lattice, inputs.planes, inputs.motion, inputs.velocity, threshold, size)

    @property
    def card(self) -> ModelCard:
        """The card of the model."""
        return self.runtime.card  # type: ignore[no-any-return]


def run(
    blocks: Sequence[Any], box: Box, read: Box, constants: Sequence[Any], work: Work
) -> Iterator[tuple[Window, Any]]:
    """Yield the windows that own pixels of ``box`` and what the model gives for each; empty windows are left out.

    ``blocks`` hold the pixels ``read``. A window in which no track saw anything is not shown to the model.
    """
    finite = [array_namespace(b).isfinite(b) for b in blocks]
    planes = [_plane(plane, blocks, finite, constants) for plane in work.planes]
    seen = [finite[k] for slot in work.motion for k in slot]
    windows = [w for w in work.lattice.plan(box) if _anything(seen, w.read.within(read).inside(read))]
    alone = getattr(work.runtime, "alone", False)
    like = blocks[0] if blocks else np.empty(0)
    for first in range(0, len(windows), work.batch):
        group = windows[first : first + work.batch]
        size = len(group) if alone else work.batch
        batch = _batch(group, size, planes, read, work, like)
        yield from zip(group, _predicted(batch, len(group), work), strict=False)


def _anything(seen: Sequence[Any], where: tuple[slice, slice]) -> bool:
    return any(bool(there[where].any()) for there in seen)


def _plane(plane: Plane, blocks: Sequence[Any], finite: Sequence[Any], constants: Sequence[Any]) -> Any:
    """Return one channel of the whole block, normalised and filled; None where it is constant."""
    channel = plane.channel
    if not plane.arrays:
        return None
    if channel.made:
        parts = [finite[k] for k in plane.arrays]
        xp = array_namespace(parts[0])
        join = xp.logical_or if channel.name == "valid" else xp.logical_and
        there = parts[0]
        for part in parts[1:]:
            there = join(there, part)
        return there.astype(np.float32)
    values = blocks[plane.arrays[0]]
    xp = array_namespace(values)
    offset, scale = channel.offset, channel.scale
    if plane.extremes is not None:
        least, most = map(float, constants[plane.extremes])
        offset, scale = (least, most - least) if np.isfinite(least) and most > least else (0.0, np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        normal = (values - np.float32(offset)) * np.float32(1 / scale)
    if channel.transform == "arcsinh":
        normal = xp.arcsinh(normal)
    return xp.where(finite[plane.arrays[0]], normal, np.float32(channel.fill))


def _batch(
    group: Sequence[Window], size: int, planes: Sequence[Any], read: Box, work: Work, like: Any
) -> Any:
    """Return the channels of some windows, float32 (window, channel, y, x), padded to ``size`` windows."""
    xp = array_namespace(like)
    out = xp.zeros((size, len(planes), *work.lattice.window), np.float32)
    for n, window in enumerate(group):
        inside = window.read.within(read)
        here, there = inside.inside(window.read), inside.inside(read)
        for c, (plane, recipe) in enumerate(zip(planes, work.planes, strict=True)):
            if recipe.channel.name == "inside":
                out[(n, c, *here)] = 1
            elif plane is None:
                out[n, c] = 0 if recipe.channel.made else recipe.channel.fill
            else:
                out[n, c] = 0 if recipe.channel.made else recipe.channel.fill
                out[(n, c, *here)] = plane[there]
    return out


def _predicted(batch: Any, number: int, work: Work) -> list[Any]:
    """Run the model; return what it gives for the first ``number`` windows, checked."""
    found = work.runtime(batch)
    if work.card.output == "objects":
        return _checked_objects(found, len(batch), work.card)[:number]
    return list(_checked_fields(found, batch.shape, work.card)[:number])


def _checked_fields(found: Any, shape: Sequence[int], card: ModelCard) -> Any:
    """Return fields as NumPy float32 (window, field, y, x)."""
    found = found.get() if hasattr(found, "get") and not isinstance(found, dict) else found
    fields = np.asarray(found)
    wanted = (shape[0], len(card.fields), *shape[2:])
    if fields.ndim == 3 and len(card.fields) == 1:
        fields = fields[:, None]
    if fields.shape != wanted or fields.dtype.kind not in "fiub":
        raise ValueError(
            f"model: expected {card.name!r} to return numbers (window, field, y, x) of shape {wanted}, got "
            f"{fields.dtype} {fields.shape}; its fields are {card.fields}"
        )
    return fields.astype(np.float32, copy=False)


def _checked_objects(found: Any, number: int, card: ModelCard) -> list[dict[str, Array]]:
    """Return objects as NumPy arrays, a mapping for each window."""
    if not isinstance(found, (list, tuple)) or len(found) != number:
        raise ValueError(
            f"model: expected {card.name!r} to return a list with a mapping for each of {number} windows, got "
            f"{type(found).__name__} of {len(found) if hasattr(found, '__len__') else 'no length'}"
        )
    return [_objects_of(each, card) for each in found]


def _objects_of(each: Any, card: ModelCard) -> dict[str, Array]:
    lacking = {"boxes", "scores", "labels"} - set(each)
    if lacking:
        raise ValueError(
            f"model: expected boxes, scores and labels of each window, got no {', '.join(sorted(lacking))}"
        )
    arrays = {name: np.asarray(values) for name, values in each.items() if values is not None}
    number = len(arrays["scores"])
    boxes = arrays["boxes"].astype(np.float64).reshape(-1, 4)
    labels = arrays["labels"].astype(np.int64)
    if len(boxes) != number or len(labels) != number:
        raise ValueError(
            f"model: expected as many boxes and labels as scores ({number}), got {len(boxes)} and {len(labels)}"
        )
    if number and not (np.isfinite(boxes).all() and labels.min() >= 0 and labels.max() < len(card.classes)):
        raise ValueError(
            f"model: expected finite boxes and labels from 0 to {len(card.classes) - 1}, the index into the classes "
            f"{card.classes}, got labels {labels.min()}..{labels.max()}"
        )
    return {**arrays, "boxes": boxes, "labels": labels, "scores": arrays["scores"].astype(np.float64)}


def _in_core(fields: Array, window: Window, card: ModelCard) -> Array:
    """Return the fields on the core of a window, after checking their range."""
    core = fields[(slice(None), *window.core.inside(window.read))]
    least, most = core.min(), core.max()
    if not (least >= -CLOSE and most <= 1 + CLOSE):
        raise ValueError(
            f"model: expected {card.name!r} to return fields within 0..1, got {least:g} to {most:g}; apply a sigmoid "
            "to logits, and let no NaN out"
        )
    return np.asarray(core)


def foreground(fields: Array, card: ModelCard) -> Array:
    """Return the foreground of fields (field, y, x): its own, else the largest of the class fields."""
    if "foreground" in card.fields:
        return np.asarray(fields[card.fields.index("foreground")])
    own = [fields[k] for k, name in enumerate(card.fields) if name.startswith(CLASS_FIELD)]
    return np.asarray(np.max(own, axis=0))


def dense_table(blocks: Sequence[Any], box: Box, read: Box, constants: Sequence[Any], *, work: Work) -> Table:
    """Return the pixels of the foreground that a group of windows owns: place, fields, tracks that saw it, velocity."""
    parts = [
        _pixels(window, fields, blocks, read, work)
        for window, fields in run(blocks, box, read, constants, work)
    ]
    return joined(parts) if parts else no_pixels(work)


def _pixels(window: Window, fields: Array, blocks: Sequence[Any], read: Box, work: Work) -> Table:
    core = _in_core(fields, window, work.card)
    front = foreground(core, work.card)
    rows, columns = np.nonzero(front >= np.float32(work.threshold))
    at = (rows + window.core.top - read.top, columns + window.core.left - read.left)
    table: Table = {
        "row": (rows + window.core.top).astype(np.int32),
        "column": (columns + window.core.left).astype(np.int32),
        "foreground": front[rows, columns],
        "seen": np.zeros(rows.size, np.uint8),
    }
    for name in kept_fields(work.card):
        table[name] = core[work.card.fields.index(name)][rows, columns]
    for slot, arrays in enumerate(work.motion):
        for k in arrays:
            table["seen"] |= np.isfinite(_numpy(blocks[k][at])).astype(np.uint8) << slot
    for slot, place in enumerate(work.velocity):
        if place is not None:
            table[f"velocity{slot}"] = _numpy(blocks[place][at])
    return table


def _numpy(array: Any) -> Array:
    return array.get() if hasattr(array, "get") else array  # type: ignore[no-any-return]


def kept_fields(card: ModelCard) -> list[str]:
    """Return the fields that instances are made from, beside the foreground."""
    return [n for n in card.fields if n in ("centre", "distance") or n.startswith(CLASS_FIELD)]


def no_pixels(work: Work) -> Table:
    """Return a table of pixels without any."""
    table: Table = {name: np.empty(0, np.int32) for name in ("row", "column")}
    floats = ["foreground", *kept_fields(work.card)]
    floats += [f"velocity{slot}" for slot, place in enumerate(work.velocity) if place is not None]
    return {
        **table,
        "seen": np.empty(0, np.uint8),
        **{name: np.empty(0, np.float32) for name in floats},
    }


def joined(tables: Sequence[Table]) -> Table:
    """Return tables of the same columns one below the other; they give their columns up one by one."""
    return {name: np.concatenate([table.pop(name) for table in tables]) for name in list(tables[0])}


def strip(tables: Sequence[Table]) -> Table:
    """Return the tables of a row of groups as one, by row, then column."""
    whole = joined([dict(table) for table in tables])
    return taken(whole, np.lexsort([whole["column"], whole["row"]]))


def taken(table: Table, order: Array) -> Table:
    """Return the rows of a table in an order, some or all; it gives its columns up one by one."""
    return {name: table.pop(name)[order] for name in list(table)}


def dense_scores(
    blocks: Sequence[Any], box: Box, read: Box, constants: Sequence[Any], *, work: Work
) -> Array:
    """Return the scores (class, y, x) of the cell ``box``: NaN in windows that saw nothing."""
    card = work.card
    names = [f"{CLASS_FIELD}{name}" for name in card.classes]
    out = np.full((len(names), *box.shape), np.nan, np.float32)
    for window, fields in run(blocks, box, read, constants, work):
        core = _in_core(fields, window, card)
        own = [core[card.fields.index(n)] if n in card.fields else foreground(core, card) for n in names]
        out[(slice(None), *window.core.inside(box))] = np.clip(own, 0, 1)
    return out


def object_list(
    blocks: Sequence[Any], box: Box, read: Box, constants: Sequence[Any], *, work: Work, coarse: bool = False
) -> list[Candidate]:
    """Return the objects that the windows of a group see, with what they know of each.

    Of a ``coarse`` pass only those that are seen whole count: it is there for what a finer window cannot hold.
    """
    found = []
    for window, objects in run(blocks, box, read, constants, work):
        view = window.read.within(work.lattice.image)
        for k, score in enumerate(objects["scores"]):
            candidate = _candidate(objects, k, window, view, work) if score >= work.threshold else None
            if candidate is not None and (candidate.whole or not coarse):
                found.append(_measured(candidate, blocks, read, work))
    return found


def _candidate(objects: Table, k: int, window: Window, view: Box, work: Work) -> Candidate | None:
    """Return one object of a window on the image, None where nothing of it lies there or it is too small."""
    mask = _mask(objects, k, work.lattice.window)[view.inside(window.read)]
    if np.count_nonzero(mask) < work.card.min_pixels:
        return None
    top, left, mask = cut(mask, view.top, view.left)
    own = Box(top, top + mask.shape[0], left, left + mask.shape[1])
    image, edge = work.lattice.image, window.read
    clear = [
        own.top >= edge.top + BORDER or edge.top < image.top,
        own.bottom <= edge.bottom - BORDER or edge.bottom > image.bottom,
        own.left >= edge.left + BORDER or edge.left < image.left,
        own.right <= edge.right - BORDER or edge.right > image.right,
    ]
    row, column = (own.top + own.bottom) / 2, (own.left + own.right) / 2
    core = window.core
    return Candidate(
        top=top,
        left=left,
        mask=mask,
        score=float(objects["scores"][k]),
        label=int(objects["labels"][k]),
        seen=0,
        window=window.number,
        view=view,
        whole=all(clear),
        owned=core.top <= row < core.bottom and core.left <= column < core.right,
    )


def _mask(objects: Table, k: int, shape: tuple[int, int]) -> Array:
    """Return the mask of an object on its window: its own, else its box, rounded to whole pixels."""
    if "masks" in objects:
        mask = objects["masks"][k]
        return mask if mask.dtype == bool else mask >= 0.5  # type: ignore[no-any-return]
    left, top, right, bottom = np.rint(objects["boxes"][k]).astype(int).clip(0)
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def _measured(candidate: Candidate, blocks: Sequence[Any], read: Box, work: Work) -> Candidate:
    """Return an object with the tracks that saw it and its mean velocities."""
    where = candidate.box.inside(read)
    seen = np.zeros(candidate.mask.shape, np.uint8)
    for slot, arrays in enumerate(work.motion):
        for k in arrays:
            seen |= np.isfinite(_numpy(blocks[k][where])).astype(np.uint8) << slot
    speeds = [_numpy(blocks[k][where])[candidate.mask] for k in work.velocity if k is not None]
    return dataclasses.replace(
        candidate, seen=majority(seen[candidate.mask]), velocity=tuple(mean(v) for v in speeds)
    )
