"""Interferograms of one track, made pair by pair from dates that are drawn in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import schema
from xinsar.simulate import atmosphere, fields, geometry, noise
from xinsar.simulate.frame import Frame, frame
from xinsar.simulate.looks import SLANT_RANGE, WAVELENGTH
from xinsar.simulate.seen import behind, cycles_lost

Array = NDArray[Any]

BLOCK = 8
"""Pairs made by one task."""


class More(NamedTuple):
    """What tracks of drawn scenes hold beside motion, weather and speckle."""

    overlap: Array
    """Factor of the quality of each date for its baseline."""
    winter: Array
    """Which dates have snow."""
    snow: Array
    """Factor of the quality of such a date, at the pixel corners."""
    ramp: Array
    """Tilt of each date toward the south and toward the east, m per pixel."""
    moisture: Array
    """Water in the soil at each date, standard deviations."""
    wet: Array
    """Apparent displacement for one standard deviation of it, m (y, x)."""
    fading: Array
    """Bias of each pair on the ground that has most of it, m."""
    share: Array
    """Share of it (y, x)."""
    errors: Array
    """For each pair the pattern of its unwrapping error and its sign, (pair, 2)."""
    patterns: tuple[Array, ...]
    """Where the patterns lie (y, x)."""
    moving: tuple[tuple[tuple[slice, slice], Array], ...]
    """Window and velocity toward the satellite (m year-1) of each feature, in the order of their numbers."""


@dataclass(frozen=True)
class Track:
    """All that decides the pixels of one track."""

    seed: int
    name: str
    heading: float
    incidence: float
    dates: Array
    """datetime64[ns]."""
    baselines: Array
    """Perpendicular baseline of each date, m."""
    pairs: Array
    """Reference and secondary date of each pair, indices."""
    weather: atmosphere.Atmosphere
    law: noise.Decorrelation
    """At the pixel corners."""
    motion: Array
    """Long-term velocity toward the satellite, m year-1 (y, x)."""
    body: Array
    """Number of the body on each pixel, from 1; 0 for stable ground."""
    progress: Array
    """How far each body has come at each date, years; row 0 is stable ground."""
    dem_error: Array
    """True elevation minus that of the cube, m."""

    wavelength: float = WAVELENGTH
    draws: str | None = None
    """Ranges that the scene was drawn from; None for a plain scene."""
    more: More | None = None

    def stream(self, *name: str | int) -> np.random.Generator:
        """Return a stream of random numbers of this track."""
        scene = (self.seed,) if self.draws is None else (self.seed, self.draws)
        return fields.stream(*scene, self.name, *name)

    def day(self, date: int) -> str:
        """Return a date as text; the streams of a date are named after it."""
        return str(np.datetime_as_string(self.dates[date], unit="D"))


def displacement(track: Track, date: int) -> Array:
    """Return what one date measures, m toward the satellite, float32 (y, x): motion, weather, DEM error."""
    out = track.motion * track.progress[track.body, date]
    out += atmosphere.delay(track.weather, track.stream("turbulence", track.day(date)), date)
    view = SLANT_RANGE * np.sin(np.deg2rad(track.incidence))
    out += np.float32(track.baselines[date] / view) * track.dem_error
    if track.more is not None:
        out += _tilt(track.more.ramp[date], out.shape)
        out += np.float32(track.more.moisture[date]) * track.more.wet
    return np.asarray(out)


def _tilt(ramp: Array, shape: tuple[int, ...]) -> Array:
    """Return a plane that rises by ``ramp`` per pixel toward the south and toward the east."""
    rows, columns = (np.arange(n, dtype=np.float32) for n in shape)
    return np.asarray(np.float32(ramp[0]) * rows[:, None] + np.float32(ramp[1]) * columns)


def wrap(phase: Array) -> Array:
    """Return float32 ``phase`` (rad) in (-pi, pi], strictly inside as float64 sees it.

    Examples
    --------
    >>> wrap(np.float32([0.5, 0.5 + 2 * np.pi, -np.pi])).round(2).tolist()
    [0.5, 0.5, 3.140000104904175]
    """
    turn = np.float32(2 * np.pi)
    wrapped = phase - turn * np.ceil(phase / turn - np.float32(0.5))
    largest = np.nextafter(np.float32(np.pi), np.float32(0))
    return np.asarray(np.clip(wrapped, -largest, largest))


class Epoch(NamedTuple):
    """One date of a track: what it measures and how its speckle looks."""

    displacement: Any
    speckle: Any


def _next_state(track: Track, previous: Array | None, date: int, gate: Any) -> Array:
    """Return the forgetful part of the speckle of ``date`` from that of the date before.

    ``gate`` is not looked at: waiting for it keeps a scheduler from making all dates before the first pair.
    """
    del gate
    shape = track.law.floor.shape
    fresh = noise.innovation(track.stream("memory", track.day(date)), shape)
    if previous is None:
        return fresh
    days = (track.dates[date] - track.dates[date - 1]) / np.timedelta64(1, "D")
    return noise.remember(previous, fresh, track.law, days=float(days))


def _done(_block: Array) -> bool:
    """Return True once a block is there."""
    return True


def _speckle(track: Track, state: Array, lasting: Array, date: int) -> noise.Speckle:
    fresh = noise.innovation(track.stream("receiver", track.day(date)), track.law.floor.shape)
    law = track.law
    if track.more is not None:
        snow = track.more.snow if track.more.winter[date] else np.float32(1)
        law = law._replace(quality=law.quality * np.float32(track.more.overlap[date]) * snow)
    return noise.speckle(lasting, state, fresh, law)


def _lasting(track: Track) -> Array:
    return noise.innovation(track.stream("lasting"), track.law.floor.shape)


def _interferograms(track: Track, pairs: Array, epochs: Mapping[int, Epoch], *, unwrapped: bool) -> Array:
    """Return phase and coherence of ``pairs``, float32 (2, pair, y, x)."""
    out = np.empty((2, len(pairs), *track.body.shape), dtype=np.float32)
    per_metre = np.float32(-4 * np.pi / track.wavelength)
    for k, (i, j) in enumerate(pairs.tolist()):
        error, out[1, k] = noise.interfere(epochs[i].speckle, epochs[j].speckle)
        moved = epochs[j].displacement - epochs[i].displacement
        if track.more is not None:
            moved += _of_pair(track, (i, j), unwrapped=unwrapped)
        phase = error + per_metre * moved
        out[0, k] = phase if unwrapped else wrap(phase)
    return out


def _of_pair(track: Track, pair: tuple[int, int], *, unwrapped: bool) -> Array:
    """Return what belongs to a pair and not to its dates, m: fading, and unwrapping errors where asked for."""
    more = track.more
    assert more is not None
    number = int(np.flatnonzero((track.pairs == pair).all(axis=1))[0])
    out = np.float32(more.fading[number]) * more.share
    if not unwrapped:
        return np.asarray(out)
    half = track.wavelength / 2
    pattern, sign = more.errors[number]
    out += np.float32(half * sign) * more.patterns[pattern]
    for k, (window, los) in enumerate(more.moving, start=1):
        passed = track.progress[k, pair[1]] - track.progress[k, pair[0]]
        out[window] -= np.float32(half * cycles_lost(los, passed, track.wavelength)) * behind(los)
    return np.asarray(out)


Call = Callable[[Callable[..., Any]], Callable[..., Any]]


def _at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _blocks(
    track: Track, size: int, call: Call, shared: Any, *, unwrapped: bool
) -> Iterator[tuple[slice, Any]]:
    """Make the pairs block by block; ``call`` runs a function at once or puts it off (``dask.delayed``).

    Dates are made in order, each from the one before, and dropped when no later pair needs them.
    """
    lasting, state, gates = call(_lasting)(shared), None, [None, None]
    epochs: dict[int, Epoch] = {}
    for start in range(0, len(track.pairs), size):
        pairs = track.pairs[start : start + size]
        for date in range(max(epochs, default=-1) + 1, int(pairs.max()) + 1):
            state = call(_next_state)(shared, state, date, gates[0])
            speckle = call(_speckle)(shared, state, lasting, date)
            epochs[date] = Epoch(call(displacement)(shared, date), speckle)
        epochs = {date: epoch for date, epoch in epochs.items() if date >= pairs.min()}
        needed = {int(date): epochs[date] for date in np.unique(pairs)}
        block = call(_interferograms)(shared, pairs, needed, unwrapped=unwrapped)
        gates = [gates[1], call(_done)(block)]
        yield slice(start, start + len(pairs)), block


def _stack(track: Track, *, unwrapped: bool) -> tuple[Array, Array]:
    """Return phase and coherence of all pairs, NumPy."""
    shape = (len(track.pairs), *track.body.shape)
    phase, coherence = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    for where, block in _blocks(track, BLOCK, _at_once, track, unwrapped=unwrapped):
        phase[where], coherence[where] = block
    return phase, coherence


def _lazy_stack(track: Track, size: int, *, unwrapped: bool) -> tuple[Any, Any]:
    """Return phase and coherence of all pairs as Dask arrays of ``size`` pairs.

    The same scene always has the same task names, so a store can tell that it is being resumed.
    """
    import dask
    import dask.array as da
    from dask.base import tokenize

    drawn = () if track.more is None else (track.draws, track.wavelength, track.law.quality)
    token = tokenize(fields.VERSION, track.seed, track.name, track.body.shape, track.dates, *drawn)
    shared = dask.delayed(track, name=f"track-{token}", traverse=False)
    pure = partial(dask.delayed, pure=True)
    blocks = [
        da.from_delayed(block, (2, where.stop - where.start, *track.body.shape), dtype=np.float32)
        for where, block in _blocks(track, size, pure, shared, unwrapped=unwrapped)
    ]
    both = da.concatenate(blocks, axis=1)
    return both[0], both[1]


def chunk_sizes(chunks: int | Mapping[str, int] | None) -> dict[str, int] | None:
    """Return the chunks of each dim that is split or named; None for arrays in memory."""
    if chunks is None:
        return None
    named: Any = chunks if isinstance(chunks, Mapping) else dict.fromkeys(("pair", "y", "x"), chunks)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in named.values())
    if not whole or not set(named) <= {"pair", "y", "x"} or any(n == 0 or n < -1 for n in named.values()):
        raise ValueError(
            "chunks: expected None, a positive integer, or a mapping of pair, y, x to one (-1: not split), "
            f"got {chunks!r}; pass for example {{'pair': 8}}"
        )
    return {"pair": BLOCK, "y": -1, "x": -1, **named}


def cube(
    track: Track, elevation: Array, place: Frame, chunks: dict[str, int] | None, *, unwrapped: bool = False
) -> xr.Dataset:
    """Return the pairs of a track as a canonical cube."""
    size = BLOCK if chunks is None else chunks["pair"] % (len(track.pairs) + 1)
    if chunks is None:
        phase, coherence = _stack(track, unwrapped=unwrapped)
    else:
        phase, coherence = _lazy_stack(track, min(size, BLOCK), unwrapped=unwrapped)
    ds = _canonical(
        phase,
        coherence,
        dates=(track.dates[track.pairs[:, 0]], track.dates[track.pairs[:, 1]]),
        baselines=track.baselines[track.pairs[:, 1]] - track.baselines[track.pairs[:, 0]],
        los=geometry.los_vector(track.heading, track.incidence).astype(np.float32),
        elevation=elevation,
        place=place,
        row=schema.UNWRAPPED_PHASE if unwrapped else schema.PHASE,
    )
    drawn = "" if track.draws is None else f"{track.draws} "
    ds.attrs |= {
        "wavelength": track.wavelength,
        "orbit_direction": track.name,
        "heading": track.heading,
        "incidence": track.incidence,
        "track": track.name,
        "history": f"xinsar.simulate.scene: {fields.VERSION}, {drawn}seed {track.seed}, {track.name}",
    }
    return ds if chunks is None else ds.chunk({dim: n for dim, n in chunks.items() if dim in ds.dims})


def canonical(
    phase: Any,
    coherence: Any,
    *,
    dates: tuple[Array, Array],
    baselines: Array,
    los: Array,
    elevation: Array,
    spacing: float,
) -> xr.Dataset:
    """Return a canonical cube on the grid of the simulated scenes.

    Parameters
    ----------
    phase, coherence
        (pair, y, x), float32.
    dates
        Reference and secondary date of each pair.
    baselines
        Perpendicular baseline of each pair, m.
    los
        Unit vector from the ground to the satellite (east, north, up), the same everywhere.
    elevation
        (y, x), m.
    spacing
        Pixel spacing, m.
    """
    return _canonical(
        phase,
        coherence,
        dates=dates,
        baselines=baselines,
        los=los,
        elevation=elevation,
        place=frame((elevation.shape[0], elevation.shape[1]), spacing),
        row=schema.PHASE,
    )


def _canonical(
    phase: Any,
    coherence: Any,
    *,
    dates: tuple[Array, Array],
    baselines: Array,
    los: Array,
    elevation: Array,
    place: Frame,
    row: schema.Variable,
) -> xr.Dataset:
    everywhere = np.broadcast_to(los[:, None, None], (3, *elevation.shape)).astype(np.float32)
    dims = {"phase": ("pair", "y", "x"), "los": ("component", "y", "x"), "elevation": ("y", "x")}
    rows = (
        (row, xr.DataArray(phase, dims=dims["phase"])),
        (schema.COHERENCE, xr.DataArray(coherence, dims=dims["phase"])),
        (schema.LOS, xr.DataArray(everywhere, dims=dims["los"])),
        (schema.ELEVATION, xr.DataArray(elevation.astype(np.float32), dims=dims["elevation"])),
    )
    ds = xr.Dataset({v.name: schema.label(v, array) for v, array in rows})
    ds = ds.assign_coords(
        reference_time=("pair", dates[0]),
        secondary_time=("pair", dates[1]),
        perpendicular_baseline=schema.label(
            schema.PERPENDICULAR_BASELINE, xr.DataArray(np.asarray(baselines, dtype=float), dims="pair")
        ),
        component=list(schema.COMPONENTS),
        **place.axes(),
    )
    ds.attrs = {
        "wavelength": WAVELENGTH,
        "slant_range": SLANT_RANGE,
        "sensor": "simulated",
        "product": "simulated",
    }
    return place.on_map(ds)
