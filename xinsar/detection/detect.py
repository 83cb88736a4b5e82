"""From a cube to a table of outlines, with any model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xinsar import progress as bars
from xinsar import schema
from xinsar.detection import inference
from xinsar.detection.bodies import Body, cut, in_order
from xinsar.detection.inference import Work
from xinsar.detection.inputs import Inputs, inputs_of, told
from xinsar.detection.instances import instances
from xinsar.detection.outlines import table_of
from xinsar.detection.regrid import Frame
from xinsar.detection.stitch import JOINED, Candidate, merged
from xinsar.detection.windows import group
from xinsar.kernels.coarsen import block_mean
from xinsar.mapping import coarsened, fields_over_windows, is_lazy, over_windows
from xinsar.mapping.windows import Box
from xinsar.models.card import ModelCard
from xinsar.models.runtime import runtime_of
from xinsar.operations import checks
from xinsar.operations.alignment import Axis

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def detect(
    data: xr.Dataset | xr.DataTree,
    *,
    model: Any = "default",
    threshold: float | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> GeoDataFrame:
    """Find what moves: windows over the cube, a model on each, and one table of outlines.

    The model's card says what it is fed with; the cube gives what it has. Velocity is taken as it is, wrapped pairs are
    stacked to gradients, sensitivity and slope are made from elevation and the line of sight; all of it lazily. What
    the cube lacks is masked. Windows lie on a lattice of the cube, not of its chunks: chunks, workers and batches
    change nothing, to the last bit.

    Parameters
    ----------
    data
        Cube of one track, or a DataTree with a node for each track; the card of the model says what it can use.
    model
        ``"default"``; the path of weights (``.onnx``, ``.safetensors``, with their card beside them); a torch module
        with a card; or any callable, best with a card by :func:`xinsar.models.wrap`.
    threshold
        Least foreground of a pixel, or score of an object, above 0 to 1; the card's by default, with its
        ``min_score``.
    batch_size
        Windows shown to the model at once, where it can use them (GPUs); 4 by default.
    progress
        True: a bar, and a line about the inputs, on stderr; False: neither; None: the bar where stderr is a terminal,
        the line always, unless ``XINSAR_QUIET`` is set.

    Returns
    -------
    GeoDataFrame
        A row for each object, none where nothing is found, in the CRS of the cube: ``id`` (from 1, by first row, then
        first column), ``score`` (of a dense model the mean of its foreground, see the card), ``class``, ``area``
        (square metres), ``seen_by`` (tracks with data on half of it or more, joined by "+"), ``velocity`` (mean, m
        year-1, where the model uses velocities; of several tracks ``velocity_<track>``), ``geometry`` (along pixel
        edges). ``attrs`` tell the model, threshold and inputs.

    Raises
    ------
    TypeError
        If ``data`` or ``model`` is of the wrong kind.
    xinsar.SchemaError
        If the cube lacks what the model cannot do without; the message names the operation that makes it.
    ValueError
        If there are no such weights, they are damaged, or the model returns what its card does not say; if there is no
        pixel size, or the pixels are too coarse.

    Warns
    -----
    UserWarning
        Where tracks are left out, or the cube or a track is resampled.

    Notes
    -----
    NaN: missing pixels are filled as the card says, with channels that tell so. A window in which no track saw anything
    is not shown to the model. The table has no known length, so this computes at once, a group of windows to a task;
    memory goes with what is found, not with the size of the cube.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> v = np.zeros((40, 50), "f4")
    >>> v[10:20, 15:30] = -0.05
    >>> cube = xr.Dataset({"velocity": (("y", "x"), v, {"units": "m year-1"})},
    ...     {"y": ("y", -20.0 * np.arange(40), {"units": "m"}), "x": ("x", 20.0 * np.arange(50), {"units": "m"})})
    >>> found = detect(cube, model=lambda batch: np.abs(batch) > 0.02, progress=False)
    >>> found[["id", "score", "area"]].values.tolist()
    [[1.0, 1.0, 60000.0]]
    """
    runtime, limit, size = _options(model, threshold, batch_size)
    inputs = inputs_of(data, runtime.card)
    work = Work.of(inputs, runtime, limit, size)
    bars.note(told(inputs, runtime.card, work.lattice.count()), progress)
    least = runtime.card.min_score if threshold is None else 0.0
    find = dense_bodies if runtime.card.output == "dense" else object_bodies
    with bars.bar(progress):
        bodies = in_order(body for body in find(inputs, work) if body.score >= least)
    found = table_of(bodies, inputs, runtime.card)
    found.attrs = _attrs(inputs, work)
    return found


def predict_scores(
    data: xr.Dataset | xr.DataTree,
    *,
    model: Any = "default",
    batch_size: int | None = None,
) -> xr.Dataset:
    """Return the scores of a dense model as a map, before any threshold.

    Parameters
    ----------
    data, model, batch_size
        As in :func:`xinsar.detect`.

    Returns
    -------
    xarray.Dataset
        ``score`` (class, y, x), 0..1, float32, on the grid the model works on: that of the cube, unless it is
        resampled. Lazy if ``data`` is. NaN in windows in which no track saw anything.

    Raises
    ------
    ValueError
        If the model is one of objects; else as :func:`xinsar.detect`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> cube = xr.Dataset({"velocity": (("y", "x"), np.full((4, 5), 0.03, "f4"), {"units": "m year-1"})},
    ...     {"y": ("y", -20.0 * np.arange(4), {"units": "m"}), "x": ("x", 20.0 * np.arange(5), {"units": "m"})})
    >>> predict_scores(cube, model=lambda batch: np.abs(batch) > 0.02).score.mean().item()
    1.0
    """
    runtime, limit, size = _options(model, None, batch_size)
    card: ModelCard = runtime.card
    if card.output != "dense":
        raise ValueError(
            f"model: expected a dense model, got {card.name!r}, which returns objects; use detect"
        )
    inputs = inputs_of(data, card)
    work = Work.of(inputs, runtime, limit, size)
    scores = fields_over_windows(
        inference.dense_scores, inputs.arrays, outputs=len(card.classes), **_cells(inputs, work), work=work
    )
    like = next((a.chunks for a in inputs.arrays if is_lazy(a)), None) if inputs.lazy else None
    scores = scores.rechunk({1: like[0], 2: like[1]}) if like else scores.compute()
    named = inputs.frame.template().assign_coords({"class": list(card.classes)}).coords
    field = xr.DataArray(scores, dims=("class", "y", "x"), coords=named)
    history = checks.said("predict_scores", model=f"{card.name} {card.version}")
    return schema.assemble([schema.label(schema.SCORE, field)], inputs.cube, history=history)


def _options(model: Any, threshold: Any, batch_size: Any) -> tuple[Any, float, int | None]:
    """Return the runtime, the threshold and the size of batches after checking them."""
    if batch_size is not None:
        batch_size = checks.whole("batch_size", batch_size)
    if threshold is not None and checks.share("threshold", threshold) == 0:
        raise ValueError("threshold: expected a number above 0 and up to 1, got 0: everything would be found")
    runtime = runtime_of(model)
    return runtime, float(runtime.card.threshold if threshold is None else threshold), batch_size


def _cells(inputs: Inputs, work: Work) -> dict[str, Any]:
    """Return the edges of the groups of windows, what is read around them, and what is computed first."""
    down, across = group(work.lattice.core, work.batch)
    return {
        "rows": work.lattice.edges(0, down),
        "columns": work.lattice.edges(1, across),
        "halo": work.lattice.halo,
        "constants": inputs.extremes,
    }


def dense_bodies(inputs: Inputs, work: Work) -> list[Body]:
    """Return the objects of a dense model: the foreground of all groups of windows, made instances at once."""
    cells = _cells(inputs, work)
    strips = over_windows(
        inference.dense_table, inputs.arrays, **cells, join=inference.strip, work=work
    ).compute()
    return instances(inference.joined([inference.no_pixels(work), *strips[0]]), work.card)


def object_bodies(inputs: Inputs, work: Work) -> list[Candidate]:
    """Return the objects of all windows, merged; with those of a coarser pass that no window can hold."""
    found = _candidates(inputs, work)
    if work.card.coarse > 1:
        found += _coarse(inputs, work)
    return merged(found, share=work.card.merge)


def _candidates(inputs: Inputs, work: Work, *, coarse: bool = False) -> list[Candidate]:
    rows = over_windows(
        inference.object_list, inputs.arrays, **_cells(inputs, work), work=work, coarse=coarse
    ).compute()
    return [candidate for row in rows[0] for cell in row for candidate in cell]


def _coarse(inputs: Inputs, work: Work) -> list[Candidate]:
    """Return what is longer than the overlap of windows, as seen on means of blocks of pixels.

    Blocks lie on the lattice too: the image is padded to whole ones.
    """
    factor = work.card.coarse
    before = [first % factor for first in inputs.origin]
    after = [-(b + n) % factor for b, n in zip(before, inputs.frame.shape, strict=True)]
    pad = {d: (b, a) for d, b, a in zip("yx", before, after, strict=True)}
    y, x = (
        Axis(axis.first, axis.step * factor, (axis.size + sum(pad[d])) // factor)
        for d, axis in (("y", inputs.frame.y), ("x", inputs.frame.x))
    )
    small = dataclasses.replace(
        inputs,
        arrays=tuple(coarsened(a.pad(pad), factor, block_mean) for a in inputs.arrays),
        frame=Frame(y, x, inputs.frame.crs),
        origin=(inputs.origin[0] // factor, inputs.origin[1] // factor),
    )
    found = _candidates(small, Work.of(small, work.runtime, work.threshold, work.batch), coarse=True)
    large = [c for c in found if max(c.mask.shape) * factor > work.card.overlap]
    return [_enlarged(c, factor, before, work.lattice.image) for c in large]


def _enlarged(candidate: Candidate, factor: int, before: Sequence[int], image: Box) -> Candidate:
    """Return an object of the coarser pass in pixels of the image."""

    def fine(box: Box) -> Box:
        top, bottom, left, right = (n * factor for n in box)
        return Box(top - before[0], bottom - before[0], left - before[1], right - before[1])

    whole = fine(candidate.box)
    inside = whole.within(image)
    mask = candidate.mask.repeat(factor, axis=0).repeat(factor, axis=1)[inside.inside(whole)]
    top, left, mask = cut(mask, inside.top, inside.left)
    view = fine(candidate.view).within(image)
    number = JOINED - 1 - candidate.window
    return dataclasses.replace(candidate, top=top, left=left, mask=mask, window=number, view=view)


def _attrs(inputs: Inputs, work: Work) -> dict[str, Any]:
    """Return what made a table: plain numbers, texts and lists."""
    card = work.card
    attrs = schema.track_attrs(inputs.cube.attrs)
    plain = {name: value for name, value in attrs.items() if isinstance(value, (str, int, float))}
    plain |= {n: v.item() for n, v in attrs.items() if isinstance(v, np.generic)}
    return {
        "method": "detect",
        "model": card.name,
        "version": card.version,
        "threshold": work.threshold,
        "inputs": inputs.used,
        "windows": work.lattice.count(),
        "pixel_size": [abs(inputs.frame.y.step), abs(inputs.frame.x.step)],
        **(plain if len(inputs.tracks) == 1 else {}),
    }
