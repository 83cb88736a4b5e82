"""Whole scenes: the cubes of two orbits over one mountain area, and the truth about what moves there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import schema
from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import atmosphere, deformation, fields, geometry, network, noise, terrain

if TYPE_CHECKING:
    import geopandas

Array = NDArray[Any]

WAVELENGTH = 0.0554658
"""Sentinel-1, m."""

SLANT_RANGE = 850e3
"""Distance from the satellite to the ground, m."""

HEADINGS = {"ascending": 348.0, "descending": 192.0}
"""Flight direction of each orbit, degrees; a scene's own lies within a degree."""

INCIDENCES = (33.0, 44.0)
"""Range of a track's incidence, degrees."""

SPACING = 25.0
"""Pixel spacing, m."""

CRS = "EPSG:32647"
"""Coordinate reference system of every simulated scene (UTM)."""

CORNER = (600_000.0, 3_000_000.0)
"""West and north edge of every simulated scene, m."""

START = np.datetime64("2021-01-01", "ns")
"""No track begins before this day, every track within one repeat cycle of it."""

BLOCK = 8
"""Pairs made by one task."""


class Scene(NamedTuple):
    """A simulated area."""

    cube: xr.DataTree
    """One canonical dataset per track, in nodes named as the orbit direction."""
    truth: geopandas.GeoDataFrame
    """The moving bodies, one row each."""


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

    def stream(self, *name: str | int) -> np.random.Generator:
        """Return a stream of random numbers of this track."""
        return fields.stream(self.seed, self.name, *name)

    def day(self, date: int) -> str:
        """Return a date as text; the streams of a date are named after it."""
        return str(np.datetime_as_string(self.dates[date], unit="D"))


def scene(
    seed: int,
    *,
    shape: tuple[int, int] = (512, 512),
    tier: str = "medium",
    tracks: Sequence[str] = ("ascending", "descending"),
    chunks: int | Mapping[str, int] | None = None,
) -> Scene:
    """Simulate wrapped interferograms of a mountain area with sliding bodies, seen from one or two orbits.

    Mountains by spectral synthesis; bodies on slopes of 8-38 degrees that move down the slope in the ways
    landslides do; turbulence and stratified delay of every date; decorrelation drawn per date; an error of
    the elevation model; layover, shadow and foreshortening. The phase of a pair is -4 pi/wavelength times the
    displacement toward the satellite from the reference to the secondary date, plus noise, wrapped.

    Parameters
    ----------
    seed
        Scene. The same seed gives the same bits for every ``chunks``, in every process.
    shape
        Rows and columns, 25 m each, at least 16.
    tier
        ``"easy"`` (120 dates in 4 years), ``"medium"`` (40 in 1.5) or ``"hard"`` (15 in 0.6); each date is
        paired with the next three.
    tracks
        ``"ascending"``, ``"descending"`` or both. A track does not depend on the other being asked for.
    chunks
        None: NumPy arrays. An integer for every dim, or a mapping of dim to size: Dask arrays whose phase and
        coherence are made when computed, a few pairs at a time (the terrain and the truth are made at once).
        Dims not named are not split; ``pair`` not named has chunks of 8.

    Returns
    -------
    Scene
        ``cube``: DataTree with a node per track: ``phase`` (pair, y, x; rad, in (-pi, pi]), ``coherence``
        (pair, y, x; 0..1, with the bias of a 12-look estimate), ``los`` (component, y, x), ``elevation`` (y,
        x; m). No value is missing: in layover and shadow the phase is noise, as in a real product. ``truth``:
        id, geometry, area (m2), behaviour, slope and aspect (degree), velocity (mean over body and time,
        downslope, m year-1), peak_velocity, length (m), and for each track sensitivity (1), los_velocity
        (mean, m year-1, positive toward) and snr. The latter is ``|los_velocity| / sqrt(D/2)``, D the
        structure function at the body's length of the velocity noise that the atmosphere leaves (12 D_date/(N
        T**2)).

    Raises
    ------
    TypeError
        ``seed`` is not an integer.
    ValueError
        ``shape``, ``tier``, ``tracks`` or ``chunks`` is not one of the above.

    Examples
    --------
    >>> found = scene(7, shape=(64, 64), tier="hard", tracks=["ascending"])
    >>> dict(found.cube["ascending"].sizes)
    {'pair': 39, 'y': 64, 'x': 64, 'component': 3}
    >>> found.truth.crs.to_epsg()
    32647
    """
    names = _check(seed, shape, tier, tracks)
    ground = terrain.ground(seed, shape, spacing=SPACING)
    bodies = deformation.place(seed, ground)
    seen = [_track(seed, name, ground, bodies, network.TIERS[tier]) for name in names]
    cubes = {track.name: _cube(track, ground, _chunk_sizes(chunks)) for track in seen}
    return Scene(xr.DataTree.from_dict(cubes), _truth(bodies, seen))


def _check(seed: int, shape: tuple[int, int], tier: str, tracks: Sequence[str]) -> tuple[str, ...]:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: expected an integer, got {type(seed).__name__}; pass a number such as 1")
    if len(shape) != 2 or any(n != int(n) or n < 16 for n in shape):
        raise ValueError(f"shape: expected (rows, columns) of at least 16 each, got {shape}; enlarge it")
    if tier not in network.TIERS:
        raise ValueError(
            f"tier: expected one of {', '.join(network.TIERS)}, got {tier!r}; choose one of these"
        )
    names = (tracks,) if isinstance(tracks, str) else tuple(tracks)
    if not names or len(set(names)) < len(names) or not set(names) <= set(HEADINGS):
        raise ValueError(
            f"tracks: expected {' and/or '.join(HEADINGS)}, each once, got {tracks!r}; choose among these"
        )
    return names


def _track(
    seed: int, name: str, ground: terrain.Ground, bodies: list[deformation.Body], tier: network.Tier
) -> Track:
    rng = fields.stream(seed, name, "orbit")
    heading, incidence = HEADINGS[name] + rng.uniform(-1, 1), rng.uniform(*INCIDENCES)
    start = START + np.timedelta64(int(rng.integers(network.REPEAT)), "D")
    dates = network.acquisitions(rng, tier, start=start)
    shape, span = ground.elevation.shape, tier.years * YEAR_IN_DAYS
    motion, label, factor = _paint(bodies, shape, heading, incidence)
    days = (dates - START) / np.timedelta64(1, "D")
    return Track(
        seed=int(seed),
        name=name,
        heading=float(heading),
        incidence=float(incidence),
        dates=dates,
        baselines=network.baselines(rng, dates.size),
        pairs=network.small_baseline_pairs(dates.size),
        weather=atmosphere.atmosphere(seed, name, dates.size, ground.elevation, spacing=ground.spacing),
        law=_law(seed, ground, factor, heading, incidence),
        motion=motion,
        body=label,
        progress=np.array(
            [0 * days, *(deformation.progress(b.course, days, span=span) for b in bodies)], dtype=np.float32
        ),
        dem_error=terrain.dem_error(seed, shape, spacing=ground.spacing),
    )


def _paint(
    bodies: list[deformation.Body], shape: tuple[int, int], heading: float, incidence: float
) -> tuple[Array, Array, Array]:
    """Draw the bodies on the grid: velocity toward the satellite, number, and coherence factor."""
    motion, label = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.int32)
    factor = np.ones(shape, dtype=np.float32)
    for number, body in enumerate(bodies, start=1):
        los = deformation.los_velocity(body, heading=heading, incidence=incidence)
        motion[body.window] += los
        label[body.window] += number * body.moving
        factor[body.window] *= deformation.strain_factor(los, wavelength=WAVELENGTH, interval=network.REPEAT)
    return motion, label, factor


def _law(
    seed: int, ground: terrain.Ground, factor: Array, heading: float, incidence: float
) -> noise.Decorrelation:
    """Return how the speckle forgets, with distortion and strain, at the pixel corners."""
    floor, memory = noise.cover(seed, ground.elevation, spacing=ground.spacing)
    seen = geometry.distortion(ground.slope, ground.aspect, heading, incidence)
    quality = THERMAL * factor * np.clip(seen.stretch / FORESHORTENED, 0, 1)
    quality[seen.layover | seen.shadow] = 0
    return noise.Decorrelation(*map(noise.at_corners, (floor, memory, quality)))


THERMAL = 0.95
"""Coherence left by the receiver's noise."""

FORESHORTENED = 0.3
"""Where the ground's range resolution falls below this share of flat ground's, coherence falls with it."""


def displacement(track: Track, date: int) -> Array:
    """Return what one date measures, m toward the satellite, float32 (y, x): motion, weather, DEM error."""
    out = track.motion * track.progress[track.body, date]
    out += atmosphere.delay(track.weather, track.stream("turbulence", track.day(date)), date)
    view = SLANT_RANGE * np.sin(np.deg2rad(track.incidence))
    out += np.float32(track.baselines[date] / view) * track.dem_error
    return np.asarray(out)


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
    return noise.speckle(lasting, state, fresh, track.law)


def _lasting(track: Track) -> Array:
    return noise.innovation(track.stream("lasting"), track.law.floor.shape)


def _interferograms(track: Track, pairs: Array, epochs: Mapping[int, Epoch]) -> Array:
    """Return phase and coherence of ``pairs``, float32 (2, pair, y, x)."""
    out = np.empty((2, len(pairs), *track.body.shape), dtype=np.float32)
    per_metre = np.float32(-4 * np.pi / WAVELENGTH)
    for k, (i, j) in enumerate(pairs.tolist()):
        error, out[1, k] = noise.interfere(epochs[i].speckle, epochs[j].speckle)
        out[0, k] = wrap(error + per_metre * (epochs[j].displacement - epochs[i].displacement))
    return out


Call = Callable[[Callable[..., Any]], Callable[..., Any]]


def _at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _blocks(track: Track, size: int, call: Call, shared: Any) -> Iterator[tuple[slice, Any]]:
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
        block = call(_interferograms)(shared, pairs, needed)
        gates = [gates[1], call(_done)(block)]
        yield slice(start, start + len(pairs)), block


def _stack(track: Track) -> tuple[Array, Array]:
    """Return phase and coherence of all pairs, NumPy."""
    shape = (len(track.pairs), *track.body.shape)
    phase, coherence = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    for where, block in _blocks(track, BLOCK, _at_once, track):
        phase[where], coherence[where] = block
    return phase, coherence


def _lazy_stack(track: Track, size: int) -> tuple[Any, Any]:
    """Return phase and coherence of all pairs as Dask arrays of ``size`` pairs.

    The same scene always has the same task names, so a store can tell that it is being resumed.
    """
    import dask
    import dask.array as da
    from dask.base import tokenize

    token = tokenize(fields.VERSION, track.seed, track.name, track.body.shape, track.dates)
    shared = dask.delayed(track, name=f"track-{token}", traverse=False)
    pure = partial(dask.delayed, pure=True)
    blocks = [
        da.from_delayed(block, (2, where.stop - where.start, *track.body.shape), dtype=np.float32)
        for where, block in _blocks(track, size, pure, shared)
    ]
    both = da.concatenate(blocks, axis=1)
    return both[0], both[1]


def _chunk_sizes(chunks: int | Mapping[str, int] | None) -> dict[str, int] | None:
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


def _cube(track: Track, ground: terrain.Ground, chunks: dict[str, int] | None) -> xr.Dataset:
    size = BLOCK if chunks is None else chunks["pair"] % (len(track.pairs) + 1)
    phase, coherence = _stack(track) if chunks is None else _lazy_stack(track, min(size, BLOCK))
    los = geometry.los_vector(track.heading, track.incidence).astype(np.float32)
    ds = canonical(
        phase,
        coherence,
        dates=(track.dates[track.pairs[:, 0]], track.dates[track.pairs[:, 1]]),
        baselines=track.baselines[track.pairs[:, 1]] - track.baselines[track.pairs[:, 0]],
        los=los,
        elevation=ground.elevation,
        spacing=ground.spacing,
    )
    ds.attrs |= {
        "orbit_direction": track.name,
        "heading": track.heading,
        "incidence": track.incidence,
        "track": track.name,
        "history": f"xinsar.simulate.scene: {fields.VERSION}, seed {track.seed}, {track.name}",
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
    everywhere = np.broadcast_to(los[:, None, None], (3, *elevation.shape)).astype(np.float32)
    dims = {"phase": ("pair", "y", "x"), "los": ("component", "y", "x"), "elevation": ("y", "x")}
    rows = (
        (schema.PHASE, xr.DataArray(phase, dims=dims["phase"])),
        (schema.COHERENCE, xr.DataArray(coherence, dims=dims["phase"])),
        (schema.LOS, xr.DataArray(everywhere, dims=dims["los"])),
        (schema.ELEVATION, xr.DataArray(elevation.astype(np.float32), dims=dims["elevation"])),
    )
    ds = xr.Dataset({row.name: schema.label(row, array) for row, array in rows})
    ds = ds.assign_coords(
        reference_time=("pair", dates[0]),
        secondary_time=("pair", dates[1]),
        perpendicular_baseline=schema.label(
            schema.PERPENDICULAR_BASELINE, xr.DataArray(np.asarray(baselines, dtype=float), dims="pair")
        ),
        component=list(schema.COMPONENTS),
        **_axes(elevation.shape, spacing),
    )
    ds.attrs = {
        "wavelength": WAVELENGTH,
        "slant_range": SLANT_RANGE,
        "sensor": "simulated",
        "product": "simulated",
    }
    return _on_map(ds)


def _axes(shape: tuple[int, ...], spacing: float) -> dict[str, Any]:
    """Return the pixel centres: x rises, y falls."""
    x = CORNER[0] + spacing * (np.arange(shape[1]) + 0.5)
    y = CORNER[1] - spacing * (np.arange(shape[0]) + 0.5)
    attrs = {
        d: {"standard_name": f"projection_{d}_coordinate", "units": "m", "axis": d.upper()} for d in "xy"
    }
    return {"x": ("x", x, attrs["x"]), "y": ("y", y, attrs["y"])}


def _on_map(ds: xr.Dataset) -> xr.Dataset:
    """Add the CF grid mapping (made on an empty frame: rioxarray copies every pixel it is shown)."""
    import rioxarray  # noqa: F401  (registers .rio)

    frame = xr.Dataset(coords={"x": ds.x, "y": ds.y}).rio.write_crs(CRS)
    frame = frame.rio.write_transform(_affine(ds.x.values, ds.y.values))
    out = ds.assign_coords(spatial_ref=frame.spatial_ref)
    for variable in out.data_vars.values():
        variable.encoding["grid_mapping"] = "spatial_ref"
    return out


def _affine(x: Array, y: Array) -> Any:
    """Return the affine from pixel corners to the map for pixel centres ``x`` and ``y``."""
    from affine import Affine

    dx, dy = x[1] - x[0], y[1] - y[0]
    return Affine(dx, 0.0, x[0] - dx / 2, 0.0, dy, y[0] - dy / 2)


def _truth(bodies: list[deformation.Body], tracks: list[Track]) -> geopandas.GeoDataFrame:
    import geopandas

    columns: dict[str, Any] = {
        "id": np.arange(1, len(bodies) + 1),
        "area": np.array([body.moving.sum() * SPACING**2 for body in bodies], dtype=float),
        "behaviour": np.array([body.course.name for body in bodies], dtype=object),
        "slope": np.array([body.slope for body in bodies]),
        "aspect": np.array([body.aspect for body in bodies]),
        "length": np.array([body.length for body in bodies]),
        "velocity": np.array([b.velocity[b.moving].mean() for b in bodies]) * _mean_rate(tracks),
        "peak_velocity": np.array([b.velocity.max() for b in bodies]) * _mean_rate(tracks),
    }
    for track in tracks:
        columns |= _seen(bodies, track)
    return geopandas.GeoDataFrame(columns, geometry=[_outline(b) for b in bodies], crs=CRS)


def _rate(track: Track) -> Array:
    """Return the mean rate of each body over a track's dates against its long-term velocity."""
    years = (track.dates[-1] - track.dates[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
    return np.asarray((track.progress[1:, -1] - track.progress[1:, 0]) / years, dtype=float)


def _mean_rate(tracks: list[Track]) -> Array:
    return np.asarray(np.mean([_rate(track) for track in tracks], axis=0))


def _seen(bodies: list[deformation.Body], track: Track) -> dict[str, Array]:
    """Return what one track sees of each body: sensitivity, mean velocity toward it, signal over noise."""
    geometry_of = {"heading": track.heading, "incidence": track.incidence}
    los = np.array([deformation.los_velocity(b, **geometry_of)[b.moving].mean() for b in bodies]) * _rate(
        track
    )
    years = (track.dates[-1] - track.dates[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
    length = np.array([body.length for body in bodies])
    spread = atmosphere.structure_function(track.weather, length) * 12 / (track.dates.size * years**2)
    return {
        f"sensitivity_{track.name}": np.array(
            [geometry.sensitivity(b.slope, b.aspect, **geometry_of) for b in bodies], dtype=float
        ),
        f"los_velocity_{track.name}": los,
        f"snr_{track.name}": np.abs(los) / np.sqrt(spread / 2),
    }


def _outline(body: deformation.Body) -> Any:
    """Return the outer edge of the body's pixels as a polygon in map coordinates."""
    from affine import Affine
    from rasterio.features import shapes
    from shapely.geometry import shape as to_polygon

    west = CORNER[0] + SPACING * body.window[1].start
    north = CORNER[1] - SPACING * body.window[0].start
    place = Affine(SPACING, 0.0, west, 0.0, -SPACING, north)
    pixels = body.moving.astype(np.uint8)
    outlines = shapes(pixels, mask=body.moving, transform=place)
    return max((to_polygon(outline) for outline, _ in outlines), key=lambda polygon: polygon.area)
