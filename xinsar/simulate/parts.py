"""Products of scenes of any size: velocity maps and gradient stacks of two orbits, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import schema
from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import fields, geometry, looks, maps, network, spread, worlds
from xinsar.simulate.frame import Frame
from xinsar.simulate.ground import World
from xinsar.simulate.looks import WAVELENGTH
from xinsar.simulate.worlds import Built, Scene, Wanted

Array = NDArray[Any]

Chunks = int | tuple[int, int]


def products(
    seed: int,
    *,
    shape: tuple[int, int] = (256, 256),
    tier: str = "medium",
    tracks: Sequence[str] = ("ascending", "descending"),
    distractors: bool = True,
    density: str | float = "training",
    draws: str = "train",
    elevation: xr.DataArray | None = None,
    wavelength: float = WAVELENGTH,
    chunks: Chunks | None = None,
) -> Scene:
    """Simulate velocity maps and gradient stacks of a mountain area, without making a single pair.

    What a network inversion and a phase-gradient stack would give for the pairs of
    ``scene(seed, draws=draws, distractors=True, ...)``, drawn from their statistics. A velocity is a fixed linear
    combination of the displacements of the dates, and the rate of a stack of those of the pairs: everything that
    differs from date to date by a factor comes to one coefficient, the turbulence of all dates to two fields, the
    decorrelation of all pairs to noise whose spread follows the ground (:mod:`xinsar.simulate.spread`). Ground,
    motion, delays by terrain, errors and truth are those of that scene; turbulence and decorrelation are other draws
    of the same laws.

    Parameters
    ----------
    seed
        Scene. The same seed gives the same bits for every ``chunks``, in every process.
    shape
        Rows and columns, 25 m each, at least 16. Not looked at where ``elevation`` is given.
    tier
        ``"easy"``, ``"medium"`` or ``"hard"``, as for :func:`scene`.
    tracks
        ``"ascending"``, ``"descending"`` or both. A track does not depend on the other being asked for, but for the
        columns ``velocity`` and ``peak_velocity`` of the truth, which are means over the tracks' dates.
    distractors
        Put subsidence, mines, glaciers, snow, water and soil moisture beside the landslides.
    density
        ``"training"``: 4-6 landslides on 256 x 256 pixels of 25 m, and none in 15 % of the scenes; ``"survey"``: .02
        per km2; or a number per km2. Distractors are fewer in the latter two.
    draws
        ``"train"`` or ``"test"``: two sets of ranges, shifted against each other, whose scenes have nothing in
        common.
    elevation
        Terrain model (y, x) in metres with square pixels and no gaps, to be used instead of simulated mountains.
    wavelength
        Of the radar, m.
    chunks
        None: NumPy arrays. A size or (rows, columns): Dask arrays whose chunks are made when computed, each by
        itself. What lies in the scene, and so the truth, is made at once.

    Returns
    -------
    Scene
        ``cube``: DataTree with a node per track: ``velocity`` and ``velocity_sigma`` (m year-1, positive toward the
        satellite), ``temporal_coherence``, ``gradient_y`` and ``gradient_x`` (rad m-1 year-1, on the edges half a
        pixel further along the index), ``gradient_coherence_y/x``, ``gradient_z_y/x``, ``stack_years``, ``elevation``
        (m), all (y, x) float32, ``pair_count``, and ``los`` (component, y, x). The velocity is missing below the
        product's threshold of temporal coherence (in three tracks of five) and in layover and shadow (in seven of
        ten); ``gradient_y`` in the last row, ``gradient_x`` in the last column; ``gradient_z`` near the alias limit.
        ``truth``: as for :func:`scene`, with a row for each distractor; :func:`reference_inventory` takes out what an
        inventory is scored against. ``snr_<track>`` is ``|los_velocity| / sqrt(D/2)``, D the structure function of the
        velocity's noise at the feature's length: that of the weather, and twice the mean variance that decorrelation
        leaves in its pixels.

    Raises
    ------
    TypeError
        ``seed`` is not an integer, or ``elevation`` no DataArray.
    ValueError
        An option is not one of the above.

    See Also
    --------
    scene : the pairs themselves.

    Examples
    --------
    >>> made = products(6, shape=(64, 64), tier="hard", tracks="ascending")
    >>> made.cube["ascending"].velocity.attrs["units"]
    'm year-1'
    >>> sorted(set(made.truth.columns) & {"class", "ignore", "snr_ascending"})
    ['class', 'ignore', 'snr_ascending']
    """
    names = worlds.check_plain(seed, shape, tier, tracks)
    wanted = Wanted(seed, shape, tier, names, draws, density, distractors, wavelength, elevation)
    worlds.check(wanted)
    _check_chunks(chunks)
    built = worlds.build(wanted)
    cubes = {world.track.name: _cube(built, world, chunks) for world in built.tracks}
    return Scene(xr.DataTree.from_dict(cubes), worlds.truth(built))


def _check_chunks(chunks: Any) -> None:
    sizes = chunks if isinstance(chunks, tuple) else (chunks,) * 2
    whole = len(sizes) == 2 and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sizes
    )
    if chunks is not None and not (whole and min(sizes) >= 1):
        raise ValueError(
            f"chunks: expected None, a positive integer or (rows, columns), got {chunks!r}; pass for example 512"
        )


def _cube(built: Built, world: World, chunks: Chunks | None) -> xr.Dataset:
    """Return the products of one track as a dataset."""
    whole = worlds.everything(world.shape)
    made = maps.layers(world, whole, built.lying) if chunks is None else _lazy(world, built.place, chunks)
    own = {name: _gradient_attrs() for name in ("gradient_y", "gradient_x")}
    rows = {
        name: schema.label(schema.VARIABLES[name], xr.DataArray(layer, dims=("y", "x")), **own.get(name, {}))
        for name, layer in zip(maps.NAMES, made, strict=True)
    }
    track = world.track
    los = geometry.los_vector(track.heading, track.incidence).astype(np.float32)
    rows["los"] = schema.label(schema.LOS, _everywhere(los, world.shape, chunks))
    first, second = track.pairs.T
    total = np.float32(np.sum(track.years[second] - track.years[first]))
    for row, value in ((schema.STACK_YEARS, total), (schema.PAIR_COUNT, np.int32(len(track.pairs)))):
        rows[row.name] = schema.label(row, _everywhere(value, world.shape, chunks))
    ds = xr.Dataset(rows).assign_coords(component=list(schema.COMPONENTS), **built.place.axes())
    ds.attrs = {
        "wavelength": track.wavelength,
        "slant_range": looks.SLANT_RANGE,
        "sensor": "simulated",
        "product": "simulated",
        "orbit_direction": track.name,
        "heading": track.heading,
        "incidence": track.incidence,
        "track": track.name,
        "history": f"xinsar.simulate.products: {fields.VERSION}, {track.draws} seed {track.seed}, {track.name}",
    }
    return built.place.on_map(ds)


def _gradient_attrs() -> dict[str, Any]:
    """Return the attributes that a stack gives its gradients."""
    return {
        "units": "rad m-1 year-1",
        "estimator": "rate",
        "window": spread.WINDOW,
        "directions": "map",
        "alias_limit": float(np.pi / (network.REPEAT / YEAR_IN_DAYS)),
        "alias_limit_units": "rad year-1 per pixel",
    }


def _everywhere(value: Any, shape: tuple[int, int], chunks: Chunks | None) -> xr.DataArray:
    """Return a number, or a vector of components, as a map that is the same everywhere."""
    one = np.asarray(value)[..., None, None]
    whole = (*one.shape[:-2], *shape)
    values: Any = np.broadcast_to(one, whole).copy() if chunks is None else None
    if chunks is not None:
        import dask.array as da

        values = da.broadcast_to(one, whole, chunks=(*one.shape[:-2], *_sizes(shape, chunks)))
    return xr.DataArray(values, dims=("component", "y", "x")[-len(whole) :])


def _sizes(shape: tuple[int, int], chunks: Chunks) -> tuple[tuple[int, ...], ...]:
    from dask.array.core import normalize_chunks

    sizes: tuple[tuple[int, ...], ...] = normalize_chunks(chunks, shape)
    return sizes


def _lazy(world: World, place: Frame, chunks: Chunks) -> list[Any]:
    """Return the layers as Dask arrays: one task makes all layers of a chunk, one more takes each out.

    The same scene always has the same task names, so a store can tell that it is being resumed.
    """
    import dask
    import dask.array as da
    from dask.base import tokenize

    track = world.track
    drawn = (track.seed, track.draws, track.name, track.wavelength, len(world.features), world.land)
    token = tokenize(fields.VERSION, *drawn, world.shape, place.spacing, chunks)
    shared = dask.delayed(world, name=f"world-{token}", traverse=False)
    make = partial(dask.delayed(maps.layers, pure=True), shared)
    edges = [np.concatenate([[0], np.cumsum(s)]).tolist() for s in _sizes(world.shape, chunks)]
    rows = []
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        row = []
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            block = make((slice(top, bottom), slice(left, right)))
            row.append(
                da.from_delayed(block, (len(maps.NAMES), bottom - top, right - left), dtype=np.float32)
            )
        rows.append(row)
    whole = da.block(rows)
    return [whole[k] for k in range(len(maps.NAMES))]
