"""From described layers to the canonical cube: pairs ordered, rasters aligned, every pixel still unread."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.readers import georeference, lattice
from xinsar.readers.layers import Grid, Layer, Pair, Product
from xinsar.readers.messages import spell, spell_files, spell_pair
from xinsar.readers.window import View, read_tile, view

TILE = 2048
"""Rows and columns of the largest tile one task reads."""

_SIGNED = ("phase", "unwrapped_phase", "displacement")
_MEASURED = ("phase", "unwrapped_phase")
_PER_PAIR = ("phase", "unwrapped_phase", "coherence")
_PLACES = ("latitude", "longitude")
_TERRAIN = ("elevation", "los", "slope", "aspect", "water", "snow", "layover", "shadow")

Mosaic = tuple[Layer, ...]


@dataclass(frozen=True)
class Group:
    """The layers of one CRS and pixel size, and the products they come from."""

    layers: tuple[Layer, ...]
    products: tuple[Product, ...]

    @property
    def pairs(self) -> set[Pair]:
        """The pairs, dates ascending, that have a phase (or, where none has, any layer)."""
        measured = {_ascending(x.pair) for x in self.layers if x.pair and x.variable in _MEASURED}
        return measured or {_ascending(x.pair) for x in self.layers if x.pair}

    @property
    def dates(self) -> set[np.datetime64]:
        """The dates of the layers that have one."""
        return {x.date for x in self.layers if x.date is not None}

    @property
    def files(self) -> list[Path]:
        """The files behind the layers."""
        return sorted({x.path for x in self.layers})


def groups(products: Sequence[Product]) -> list[Group]:
    """Return the layers grouped by CRS and pixel size: most pairs first, then most dates, most layers."""
    heaps: list[list[tuple[Layer, Product]]] = []
    for product in products:
        for layer in product.layers:
            heap = next((h for h in heaps if lattice.same_group(h[0][0].grid, layer.grid)), None)
            if heap is None:
                heaps.append(heap := [])
            heap.append((layer, product))
    found = [Group(tuple(x for x, _ in h), tuple({id(p): p for _, p in h}.values())) for h in heaps]
    return sorted(found, key=lambda g: (-len(g.pairs), -len(g.dates), -len(g.layers)))


def between(products: Iterable[Product], keep: Callable[[np.datetime64], bool]) -> list[Product]:
    """Return the products with only the layers whose dates all satisfy ``keep``."""
    return [
        replace(product, layers=tuple(x for x in product.layers if all(map(keep, dates_of(x)))))
        for product in products
    ]


def cube(group: Group, *, join: str, chunks: Mapping[str, int]) -> xr.Dataset:
    """Return the canonical cube of one group; raises ValueError for two tracks or a pair given twice."""
    _check_one_track(group)
    stacks = _stacks(group)
    spanning = [m[0] for stack in stacks.values() for m in stack.mosaics if m and stack.dim]
    spanning = spanning or [x for stack in stacks.values() for m in stack.mosaics for x in m]
    grid = lattice.extent([x.grid for x in spanning], join=join, names=[x.path for x in spanning])
    tiles = _tiles(grid, spanning[0].blocks, chunks)
    variables = {name: _variable(name, stack, grid, tiles) for name, stack in stacks.items()}
    coords = {**_pair_coords(group), **_date_coords(group), **georeference.axes(grid)}
    if "los" in variables:
        coords["component"] = xr.Variable("component", list(schema.COMPONENTS))
    ds = georeference.georeferenced(xr.Dataset(variables, coords), grid)
    ds.attrs = _attrs(group)
    ds = ds.set_coords([name for name in _PLACES if name in ds])
    along = {dim: size for dim, size in chunks.items() if dim in ("pair", "time") and dim in ds.dims}
    return ds.chunk(along) if along else ds


@dataclass(frozen=True)
class _Stack:
    """The layers of one variable in the order of its first dim; several per place are a mosaic."""

    dim: str | None
    mosaics: tuple[Mosaic, ...]
    guards: tuple[Layer | None, ...] = ()


def _stacks(group: Group) -> dict[str, _Stack]:
    """Return each variable's layers in the order of its dim; empty where a pair or date has none."""
    coherence = {_ascending(x.pair): x for x in group.layers if x.pair and x.variable == "coherence"}
    pairs, dates = sorted(group.pairs), sorted(group.dates)
    stacks = {}
    held = {x.variable for x in group.layers}
    for name in (known for known in schema.VARIABLES if known in held):
        layers = [x for x in group.layers if x.variable == name]
        if any(x.pair for x in layers):
            by_pair = _only_once(name, {}, ((_ascending(x.pair), x) for x in layers if x.pair))
            mosaics = tuple((by_pair[p],) if p in by_pair else () for p in pairs)
            guards = tuple(coherence.get(p) if name != "coherence" else None for p in pairs)
            stacks[name] = _Stack("pair", mosaics, guards)
        elif name in _PER_PAIR:
            stacks[name] = _undated(name, layers, group)
        elif any(x.date is not None for x in layers):
            by_date = _only_once(name, {}, ((x.date, x) for x in layers if x.date is not None))
            stacks[name] = _Stack("time", tuple((by_date[d],) if d in by_date else () for d in dates))
        else:
            stacks[name] = _static(name, layers)
    return stacks


def _undated(name: str, layers: Sequence[Layer], group: Group) -> _Stack:
    """Return the one pair of interferograms whose dates nobody wrote down: a pair dim without dates."""
    _only_once(name, {}, ((None, x) for x in layers))
    coherence = next((x for x in group.layers if x.variable == "coherence" and x.pair is None), None)
    return _Stack("pair", (tuple(layers),), (coherence if name != "coherence" else None,))


def _static(name: str, layers: Sequence[Layer]) -> _Stack:
    """Return the stack of a variable without dates: terrain is a mosaic, a result comes once."""
    if name not in _TERRAIN:
        _only_once(name, {}, ((None, x) for x in layers))
    if name == "los":
        return _Stack(
            "component", tuple(_covering([x for x in layers if x.component == k]) for k in range(3))
        )
    return _Stack(None, (_covering(layers),))


def _only_once(name: str, seen: dict[Any, Layer], keyed: Iterable[tuple[Any, Layer]]) -> dict[Any, Layer]:
    """Return the layers by key; ValueError where two files claim one key."""
    for key, layer in keyed:
        if key in seen:
            raise ValueError(
                f"source: expected one {name}{_of(key)}, got two: {seen[key].path} and {layer.path}; open "
                "the files of one track and processing only (a folder, glob or list of them; product= where "
                "two products lie together)"
            )
        seen[key] = layer
    return seen


def _of(key: Any) -> str:
    if isinstance(key, tuple):
        return f" of the pair {spell_pair(key)}"
    return "" if key is None else f" of {spell(key)}"


def _covering(layers: Sequence[Layer]) -> Mosaic:
    """Return few layers that span the box of all: the largest, then each that reaches beyond the chosen."""
    chosen: list[Layer] = []
    box: tuple[float, float, float, float] | None = None
    for layer in sorted(layers, key=lambda x: -x.grid.width * x.grid.height):
        grid = lattice.north_up(layer.grid)
        own = (grid.x, grid.y, grid.x + grid.dx * grid.width, grid.y + grid.dy * grid.height)
        wider = own if box is None else _union(box, own, grid.dy)
        if box is None or not np.allclose(wider, box, rtol=0, atol=grid.dx * lattice.SNAP):
            chosen.append(layer)
            box = wider
    return tuple(chosen)


def _union(a: Sequence[float], b: Sequence[float], dy: float) -> tuple[float, float, float, float]:
    first, last = (max, min) if dy < 0 else (min, max)
    return min(a[0], b[0]), first(a[1], b[1]), max(a[2], b[2]), last(a[3], b[3])


def _variable(name: str, stack: _Stack, grid: Grid, tiles: tuple[int, int]) -> xr.Variable:
    """Return the labelled, lazy variable of one stack."""
    guards = stack.guards or (None,) * len(stack.mosaics)
    views = [
        tuple(view(x, grid, guard=guard, sign=_sign(x)) for x in mosaic)
        for mosaic, guard in zip(stack.mosaics, guards, strict=True)
    ]
    data = lazy(name, views, grid.shape, tiles)
    known = schema.VARIABLES[name]
    if known.kind == "b":
        data = data > 0.5
    dims = ("y", "x") if stack.dim is None else (stack.dim, "y", "x")
    array = xr.DataArray(data[0] if stack.dim is None else data, dims=dims)
    return schema.label(known, array).variable


def lazy(name: str, views: Sequence[tuple[View, ...]], shape: tuple[int, int], tiles: tuple[int, int]) -> Any:
    """Return the dask array (len(views), y, x), one task a tile; all NaN where a tuple is empty."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    chunks = da.core.normalize_chunks((1, *tiles), shape=(len(views), *shape))
    files = sorted({str(v.path): _stamp(v.path) for mosaic in views for v in mosaic}.items())
    key = f"open-{name}-{tokenize(name, views, shape, tiles, files)}"
    rows, cols = (_slices(chunks[axis]) for axis in (1, 2))
    graph = {
        (key, k, i, j): (read_tile, mosaic, r, c)
        for k, mosaic in enumerate(views)
        for i, r in enumerate(rows)
        for j, c in enumerate(cols)
    }
    layer = HighLevelGraph.from_collections(key, graph, dependencies=[])
    return da.Array(layer, key, chunks, dtype=np.float32)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _tiles(grid: Grid, blocks: tuple[int, int] | None, chunks: Mapping[str, int]) -> tuple[int, int]:
    """Return rows and columns of a tile: asked for, else whole tiles of the file, else full-width rows."""
    tall, wide = blocks or (1, grid.width)
    columns = grid.width if wide >= grid.width else _multiple(wide, TILE)
    rows = _multiple(tall, TILE * TILE // columns if columns == grid.width else TILE)
    asked = (chunks.get("y", rows), chunks.get("x", columns))
    height, width = (n if size == -1 else min(size, n) for size, n in zip(asked, grid.shape, strict=True))
    return height, width


def _multiple(block: int, limit: int) -> int:
    return max(limit // block, 1) * block


def _sign(layer: Layer) -> float:
    """Return -1 for a signed layer whose pair is written later date first."""
    return -1.0 if layer.pair and layer.variable in _SIGNED and layer.pair[0] > layer.pair[1] else 1.0


def _ascending(pair: Pair) -> Pair:
    return (pair[0], pair[1]) if pair[0] < pair[1] else (pair[1], pair[0])


def dates_of(layer: Layer) -> tuple[np.datetime64, ...]:
    """Return the dates a layer belongs to, none for terrain and results."""
    return layer.pair or (() if layer.date is None else (layer.date,))


def _pair_coords(group: Group) -> dict[str, xr.Variable]:
    """Return reference_time, secondary_time and, where any is known, perpendicular_baseline."""
    pairs = sorted(group.pairs)
    if not pairs:
        return {}
    _check_two_days(group)
    times = {
        name: xr.Variable("pair", np.array([p[k] for p in pairs], "datetime64[ns]"), {"long_name": title})
        for k, (name, title) in enumerate(
            (("reference_time", "earlier acquisition"), ("secondary_time", "later acquisition"))
        )
    }
    known: dict[Pair, float] = {}
    for product in group.products:
        for pair, metres in product.baselines.items():
            known.setdefault(_ascending(pair), metres if pair[0] < pair[1] else -metres)
    baselines = np.array([known.get(p, np.nan) for p in pairs])
    if np.isnan(baselines).all():
        return times
    array = xr.DataArray(baselines, dims="pair")
    return {**times, "perpendicular_baseline": schema.label(schema.PERPENDICULAR_BASELINE, array).variable}


def _date_coords(group: Group) -> dict[str, xr.Variable]:
    dates = sorted(group.dates)
    return {"time": xr.Variable("time", np.array(dates, "datetime64[ns]"))} if dates else {}


def _check_two_days(group: Group) -> None:
    same = next((x for x in group.layers if x.pair and x.pair[0] == x.pair[1]), None)
    if same is not None and same.pair:
        raise ValueError(
            f"source: expected two dates, got {spell_pair(same.pair)} in {same.path}; leave it out"
        )


def _check_one_track(group: Group) -> None:
    """Raise where the group holds two tracks or frames of one product."""
    tracks = {p.attrs["track"]: p for p in group.products if "track" in p.attrs and _measures(p)}
    if len(tracks) > 1:
        found = "; ".join(
            f"track {track}: {spell_files(sorted({x.path for x in p.layers}), limit=1)}"
            for track, p in sorted(tracks.items(), key=lambda item: str(item[0]))
        )
        raise ValueError(
            f"source: expected one track, got {len(tracks)} ({found}); open each by itself (a folder, glob "
            "or list of its files; product= where the products differ)"
        )


def has_dates(product: Product) -> bool:
    """Say whether any layer of a product belongs to a date."""
    return any(dates_of(x) for x in product.layers)


def _measures(product: Product) -> bool:
    """Say whether a product holds more than terrain."""
    return any(x.variable not in _TERRAIN for x in product.layers)


def _attrs(group: Group) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    for product in sorted(group.products, key=lambda p: not _measures(p)):
        own: Mapping[Any, Any] = product.attrs
        attrs = {**schema.track_attrs(own), **attrs}
    count = len(group.files)
    attrs["product"] = group.products[0].product
    attrs["history"] = f"opened from {count} {attrs['product']} file{'s' if count > 1 else ''} by open_stack"
    return attrs


def gaps(group: Group) -> list[str]:
    """Return sentences about what the group lacks: layers, baselines, a common lattice."""
    said = []
    for name, stack in _stacks(group).items():
        missing = sum(not mosaic for mosaic in stack.mosaics)
        if stack.dim in ("pair", "time") and missing:
            said.append(f"{missing} of {len(stack.mosaics)} {stack.dim}s have no {name} (NaN)")
    coords = _pair_coords(group)
    if "perpendicular_baseline" in coords:
        missing = int(np.isnan(coords["perpendicular_baseline"].values).sum())
        if missing:
            said.append(f"{missing} of {len(group.pairs)} pairs have no perpendicular baseline (NaN)")
    return said + _shifted(group)


def _shifted(group: Group) -> list[str]:
    base = lattice.common_lattice([x.grid for x in group.layers if dates_of(x)] or [group.layers[0].grid])
    off = [x.path for x in group.layers if not lattice.aligned(lattice.north_up(x.grid), base)]
    if not off:
        return []
    files = sorted(set(off))
    return [
        f"{len(files)} files lie off the common lattice by a part of a pixel and are resampled on reading "
        f"(phase bilinearly through phasors, the rest to the nearest pixel): {spell_files(files)}"
    ]


def warn(sentences: Sequence[str], *, stacklevel: int) -> None:
    """Say everything the opening passed over in one UserWarning."""
    if sentences:
        warnings.warn("open_stack: " + "; ".join(sentences), UserWarning, stacklevel=stacklevel + 1)
