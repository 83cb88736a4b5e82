"""Samples: layers of inputs and numbered bodies, collected in a folder of arrays that training reads in place.

A sample holds the card's inputs as a cube holds them, NaN where missing (the pipeline's own channels are made later),
the fields that are to be learnt, and where they count. Samples come from simulated scenes, or from cubes and outlines
drawn by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xinsar.models.card import GROUND, ModelCard
from xinsar.training.augment import Input
from xinsar.training.targets import FIELDS, targets_of

INDEX = "samples.json"
LANDSLIDE = "landslide"
"""Class of what is to be found in simulated scenes; what else moves there is ground like any other."""
MIN_SNR = 0.5
"""Bodies weaker than this, against the noise at their own scale, cannot be seen."""
_LAYERS, _FIELDS, _WEIGHT = "layers.npy", "fields.npy", "weight.npy"


class Sample(NamedTuple):
    """One place: what is seen there, and what is to be learnt."""

    layers: Any
    """(layer, y, x), float32, NaN where missing."""
    fields: Any
    """(field, y, x), float32, 0..1."""
    weight: Any
    """(y, x), float32, 0 where nothing is learnt."""


def inputs_of(card: ModelCard) -> tuple[Input, ...]:
    """Return the inputs of a card that a cube holds, in order."""
    return tuple(Input(c.name, c.track) for c in card.inputs if not c.made)


def layers_of(tracks: Sequence[Any], card: ModelCard) -> Any:
    """Return the layers (layer, y, x) of the tracks of one place, NaN where a track or a variable is missing.

    Parameters
    ----------
    tracks
        Datasets on one grid, in memory, in the order of the card's slots.
    card
        Names the inputs.
    """
    from xinsar.detection.channels import Track

    named = [Track(str(ds.attrs.get("track", k)), ds) for k, ds in enumerate(tracks)]
    shape = tracks[0].sizes["y"], tracks[0].sizes["x"]
    layers = np.full((len(inputs_of(card)), *shape), np.nan, np.float32)
    for layer, each in zip(layers, inputs_of(card), strict=True):
        slot = 0 if each.track is None else each.track
        found = named[slot].channel(each.name) if slot < len(named) else None
        if found is not None:
            layer[:] = np.asarray(found.values, np.float32)
    return layers


def numbered(truth: Any, like: Any) -> tuple[Any, Any]:
    """Return bodies as numbers (y, x), and the pixels at which nothing is learnt.

    Parameters
    ----------
    truth
        GeoDataFrame of outlines; where bodies overlap, a pixel goes to the smaller. Rows with ``ignore``, and those
        whose largest ``snr_<track>`` lies below :data:`MIN_SNR`, are not learnt. Another reference system is brought
        to that of ``like``.
    like
        Dataset or DataArray with the grid.
    """
    truth = _in_system_of(truth, like)
    kept = _unclear(truth)
    return _burn(truth[~kept], like), _burn(truth[kept], like) > 0


def _in_system_of(truth: Any, like: Any) -> Any:
    """Return outlines in the reference system of a grid, as they are where either has none."""
    from xinsar import grid

    crs = grid.crs_of(like)
    return truth if truth.crs is None or crs is None or truth.crs == crs else truth.to_crs(crs)


def _unclear(truth: Any) -> Any:
    """Return which outlines are neither to be found nor to be left out."""
    unclear = truth["ignore"].to_numpy(bool) if "ignore" in truth else np.zeros(len(truth), bool)
    strength = [name for name in truth.columns if str(name).startswith("snr_")]
    if strength and len(truth):
        unclear = unclear | (truth[strength].max(axis=1).fillna(0).to_numpy() < MIN_SNR)
    return unclear


def _burn(outlines: Any, like: Any) -> Any:
    """Return the number of the outline on each pixel whose centre lies in one, 0 elsewhere."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    from xinsar import grid

    shape = like.sizes["y"], like.sizes["x"]
    if not len(outlines):
        return np.zeros(shape, np.int32)
    first = {d: float(grid.axis(like, d)[0]) for d in ("y", "x")}
    step = {d: grid.step(like, d) for d in ("y", "x")}
    corner = Affine(step["x"], 0, first["x"] - step["x"] / 2, 0, step["y"], first["y"] - step["y"] / 2)
    order = np.argsort(-outlines.geometry.area.to_numpy(), kind="stable")
    shapes = [(outlines.geometry.iloc[i], n) for n, i in enumerate(order, start=1)]
    return rasterize(shapes, out_shape=shape, transform=corner, dtype="int32")


def sample_of(tracks: Sequence[Any], truth: Any, card: ModelCard) -> Sample:
    """Return the sample of one place from its tracks and outlines."""
    return Sample(layers_of(tracks, card), *_learnt(truth, tracks[0], card))


def _learnt(truth: Any, like: Any, card: ModelCard) -> tuple[Any, Any]:
    """Return the card's fields of the outlines on a grid, and where they count."""
    labels, ignore = numbered(truth, like)
    targets = targets_of(labels, ignore, min_pixels=card.min_pixels)
    return targets.fields[[FIELDS.index(field) for field in card.fields]], targets.weight


def simulated(seed: int, card: ModelCard, *, options: dict[str, Any]) -> Sample:
    """Return the sample of a simulated scene; ``options`` are those of :func:`xinsar.simulate.products`."""
    from xinsar.simulate import products

    scene = products(seed, **options)
    tracks = [node.to_dataset() for node in scene.cube.children.values()]
    landslides = scene.truth["class"] == LANDSLIDE
    return sample_of(tracks, scene.truth[landslides | scene.truth["ignore"]], card)


def from_cubes(
    cubes: Sequence[str], outlines: Sequence[str], card: ModelCard, *, shape: tuple[int, int]
) -> list[Callable[[], Sample]]:
    """Return what makes the samples of cubes with outlines: windows side by side.

    Layers are those that detection makes of a cube, its grid included: a cube in degrees, or with other pixels than
    the card's, is resampled.

    Parameters
    ----------
    cubes
        Addresses of cubes, of one track or several.
    outlines
        A vector file for each cube; other reference systems are brought to the cube's. Where outlines overlap, a
        pixel goes to the smaller one. Nothing is learnt on those with ``ignore``, nor where no track saw anything.
    card
        Names the inputs.
    shape
        Rows and columns of a sample; what is left of a cube at its far edges is padded with missing values.

    Raises
    ------
    FileNotFoundError
        If there is no such cube or file.
    ValueError
        If a file holds no polygons, or none on its cube.
    xinsar.SchemaError
        If a cube lacks what the card needs.
    """
    return [
        maker
        for cube, file in zip(cubes, outlines, strict=True)
        for maker in _windows(cube, file, card, shape)
    ]


def _windows(cube: str, file: str, card: ModelCard, shape: tuple[int, int]) -> list[Callable[[], Sample]]:
    import xarray as xr

    from xinsar.cube import open_tracks
    from xinsar.detection.inputs import inputs_of as found_in

    found = found_in(open_tracks(cube), card)
    own = [plane for plane in found.planes if not plane.channel.made]
    maps = xr.Dataset({str(k): found.arrays[p.arrays[0]] for k, p in enumerate(own) if p.arrays})
    truth = _outlines(file, found.frame.template(), cube)
    rows, columns = found.frame.shape
    corners = [(y, x) for y in range(0, rows, shape[0]) for x in range(0, columns, shape[1])]
    return [partial(_window, maps, found.frame.template(), truth, card, at, shape) for at in corners]


def _outlines(file: str, place: Any, cube: str) -> Any:
    """Return the outlines of a file in the reference system of a cube, some of which lie on it."""
    from shapely.geometry import box

    from xinsar import grid
    from xinsar.inventory.files import open_inventory
    from xinsar.inventory.tables import checked

    truth = _in_system_of(checked(open_inventory(file), f"outlines {file}"), place)
    edges = [(grid.axis(place, d)[[0, -1]], grid.step(place, d)) for d in ("x", "y")]
    (left, right), (top, bottom) = ((a - h / 2, b + h / 2) for (a, b), h in edges)
    if len(truth) and not truth.intersects(box(left, bottom, right, top)).any():
        raise ValueError(
            f"outlines: expected some of the {len(truth)} outlines of {file} on {cube}, got none there; check that "
            "both show the same place, and the reference system of the file"
        )
    return truth


def _window(
    maps: Any, place: Any, truth: Any, card: ModelCard, corner: tuple[int, int], shape: tuple[int, int]
) -> Sample:
    """Return the sample of one window, padded to its full size."""
    box = {d: slice(c, c + n) for d, c, n in zip(("y", "x"), corner, shape, strict=True)}
    like, seen = place.isel(box), maps.isel(box).compute()
    inputs = inputs_of(card)
    layers = np.full((len(inputs), like.sizes["y"], like.sizes["x"]), np.nan, np.float32)
    for name, layer in seen.items():
        layers[int(name)] = layer.values
    motion = [k for k, each in enumerate(inputs) if each.name not in GROUND] or list(range(len(inputs)))
    fields, weight = _learnt(truth, like, card)
    weight[~np.isfinite(layers[motion]).any(axis=0)] = 0
    pad = [(0, n - have) for n, have in zip(shape, weight.shape, strict=True)]
    return Sample(
        np.pad(layers, [(0, 0), *pad], constant_values=np.nan),
        np.pad(fields, [(0, 0), *pad]),
        np.pad(weight, pad),
    )


def record_of(cubes: Sequence[str], outlines: Sequence[str]) -> dict[str, Any]:
    """Return what tells samples of cubes and outlines from others: paths, what the cubes hold, digests of the files."""
    from xinsar.cube import open_tracks

    held = {}
    for cube in cubes:
        for name, node in open_tracks(cube).children.items():
            variables = {str(v): [*map(str, a.dims), *a.shape] for v, a in node.data_vars.items()}
            held[f"{cube}: {name}"] = {**variables, "history": str(node.attrs.get("history", ""))}
    return {
        "cubes": list(cubes),
        "outlines": {str(file): _digest(Path(file)) for file in outlines},
        "held": held,
    }


def _digest(file: Path) -> str:
    """Return the SHA-256 of a file, and of what belongs to it where it is a shapefile."""
    parts = [file.with_suffix(ending) for ending in (".dbf", ".prj", ".shx")] if file.suffix == ".shp" else []
    content = [part.read_bytes() for part in (file, *parts) if part == file or part.is_file()]
    return hashlib.sha256(b"".join(content)).hexdigest()


class Samples:
    """A folder of samples, read in place.

    Parameters
    ----------
    folder
        Made by :func:`collect`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        index = self.folder / INDEX
        if not index.is_file():
            raise FileNotFoundError(
                f"folder: expected samples in {self.folder}, got no {INDEX}; collect them first, or wait until they are"
            )
        self.record = json.loads(index.read_text(encoding="utf-8"))
        self.inputs = tuple(Input(*entry) for entry in self.record["inputs"])
        self._layers, self._fields, self._weight = (
            np.load(self.folder / name, mmap_mode="r") for name in (_LAYERS, _FIELDS, _WEIGHT)
        )

    def __len__(self) -> int:
        return len(self._layers)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every sample."""
        return self._layers.shape[-2], self._layers.shape[-1]

    def __getitem__(self, number: int) -> Sample:
        return self.crop(number, (0, 0), self.shape)

    def crop(self, number: int, corner: tuple[int, int], shape: tuple[int, int]) -> Sample:
        """Return a part of a sample, in memory; beyond the sample all is missing, and nothing is learnt."""
        ends = [(c, c + n, size) for c, n, size in zip(corner, shape, self.shape, strict=True)]
        box = tuple(slice(max(a, 0), max(min(b, size), 0)) for a, b, size in ends)
        beyond = [(max(-a, 0), max(b - size, 0)) for a, b, size in ends]
        arrays = self._layers, self._fields, self._weight
        layers, fields, weight = (np.asarray(a[(number, ..., *box)], np.float32) for a in arrays)
        return Sample(
            np.pad(layers, [(0, 0), *beyond], constant_values=np.nan),
            np.pad(fields, [(0, 0), *beyond]),
            np.pad(weight, beyond),
        )

    def inside(self, corner: tuple[int, int], shape: tuple[int, int]) -> Any:
        """Return which pixels of a part lie on the sample, float32 (y, x)."""
        on = [
            (c + np.arange(n) >= 0) & (c + np.arange(n) < size)
            for c, n, size in zip(corner, shape, self.shape, strict=True)
        ]
        return np.outer(*on).astype(np.float32)


def collect(
    makers: Sequence[Callable[[], Sample]] | Iterable[Sample],
    folder: str | Path,
    card: ModelCard,
    *,
    number: int,
    record: dict[str, Any],
    progress: Callable[[int], object] | None = None,
) -> Samples:
    """Write samples into a folder, one after another, and open it.

    The index is written last: a folder without it is not whole, and is made anew.

    Parameters
    ----------
    makers
        Samples, or functions that make them, all of one size.
    folder
        New, or holding equal samples, which are then opened as they are.
    card
        Names the inputs and fields.
    number
        How many there are.
    record
        What tells these samples from others: how they were made.
    progress
        Called with the number of samples that are done.
    """
    folder = Path(folder)
    wanted = {"inputs": [list(each) for each in inputs_of(card)], "fields": list(card.fields), **record}
    wanted = json.loads(json.dumps({**wanted, "number": number}))
    if (folder / INDEX).is_file() and Samples(folder).record == wanted:
        return Samples(folder)
    (folder / INDEX).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: list[Any] = []
    for k, maker in enumerate(makers):
        sample: Any = maker() if callable(maker) else maker
        arrays = arrays or _create(folder, sample, number)
        for array, values in zip(arrays, sample, strict=True):
            array[k] = values
        if progress is not None:
            progress(k + 1)
    for array in arrays:
        array.flush()
    (folder / INDEX).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return Samples(folder)


def _create(folder: Path, sample: Sample, number: int) -> list[Any]:
    """Return arrays on disk for so many samples."""
    kinds = {_LAYERS: np.float32, _FIELDS: np.float16, _WEIGHT: np.float16}
    return [
        np.lib.format.open_memmap(folder / name, "w+", kind, (number, *values.shape))
        for (name, kind), values in zip(kinds.items(), sample, strict=True)
    ]
