"""Half-real scenes: simulated landslides on measured noise."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xinsar import grid, schema
from xinsar.schema import YEAR_IN_DAYS
from xinsar.simulate import deformation, features, fields, geometry, worlds
from xinsar.simulate import draws as ranges
from xinsar.simulate.features import Feature
from xinsar.simulate.frame import Frame
from xinsar.simulate.land import GivenLand, Land, land
from xinsar.simulate.pairs import wrap
from xinsar.simulate.seen import behind, cycles_lost
from xinsar.simulate.taken import Taken
from xinsar.simulate.terrain import descent
from xinsar.simulate.worlds import Scene

if TYPE_CHECKING:
    import geopandas

Array = NDArray[Any]

INCIDENCE = 39.0
"""Of tracks that do not say theirs, degrees."""

HEADING = 348.0
"""Of tracks that do not say theirs, degrees."""

LEAST = 8
"""Pixels of an area that moves really before it is marked."""

TERRAINS = ("auto", "given", "simulated")

HELD = ("velocity", "displacement", "unwrapped_phase", "phase")
"""Variables that motion is added to."""


def half_real(
    noise: xr.Dataset | xr.DataArray | xr.DataTree,
    seed: int,
    *,
    density: str | float = "training",
    terrain: str = "auto",
    limit: float = 5.0,
    draws: str = "train",
) -> Scene:
    """Put simulated landslides on measured data: what clean simulated noise flatters, real noise does not.

    Bodies are drawn as for :func:`products` (no distractors: the real ones are there), put on slopes of 8-38 degrees
    where the data have values and nothing moves already, and their motion along the line of sight is added to
    everything that shows it: ``velocity``, ``displacement`` (by the course of each body at each date),
    ``unwrapped_phase`` (short of whole cycles where a body is too fast for a pair) and ``phase`` (wrapped).

    Parameters
    ----------
    noise
        Measured ``velocity`` (y, x; also as a DataArray), ``displacement`` (time, y, x) or pairs, one track or a
        DataTree of tracks on one grid. ``elevation`` and ``los`` (or the attributes ``heading`` and ``incidence``) are
        used where they are known. Dask arrays are computed. Other variables pass through as they are.
    seed
        Bodies. Those of one seed are other ones on another grid.
    density
        As for :func:`products`.
    terrain
        ``"given"``: slopes of the data's ``elevation`` (gaps filled from the nearest pixel). ``"simulated"``:
        mountains are simulated instead and replace ``elevation`` in the result, for data from flat ground or without a
        terrain model. ``"auto"``: given where an elevation has such slopes on a hundredth of its pixels or more.
    limit
        Pixels whose velocity lies more than ``limit`` robust standard deviations (1.4826 times the median absolute
        deviation) from the median, in 3 x 3 means, in areas of 8 pixels or more, count as moving really: no body is
        put there, and they are in the truth, to be ignored.
    draws
        ``"train"`` or ``"test"``: bodies of one have nothing in common with those of the other.

    Returns
    -------
    Scene
        ``cube``: DataTree of the tracks with the motion added (missing values stay missing); history says so.
        ``truth``: as for :func:`products`, columns named after the nodes; areas that move really have the class
        ``"real_motion"``, ``ignore`` True, and NaN for what is not known of them. ``snr_<track>`` is
        ``|los_velocity| / sqrt(D/2)``, D the mean squared difference of the measured velocity over the body's length,
        where nothing moves.

    Raises
    ------
    TypeError
        ``noise`` is none of the above, or ``seed`` not an integer.
    ValueError
        Nothing to add motion to, grids that differ, or an option that is not legal.

    Warns
    -----
    UserWarning
        If no body found a slope to lie on, or the view is not known and assumed.

    Examples
    --------
    >>> import xinsar
    >>> measured = xinsar.simulate.products(5, shape=(96, 96), density=0, distractors=False, tracks="ascending")
    >>> made = half_real(measured.cube, seed=1, density=2.0)
    >>> bool((made.truth["class"] == "landslide").any())
    True
    """
    worlds.check_seed(seed)
    worlds.check_draws(draws)
    worlds.check_density(density)
    if terrain not in TERRAINS:
        raise ValueError(
            f"terrain: expected one of {', '.join(TERRAINS)}, got {terrain!r}; choose one of these"
        )
    if not limit > 0:
        raise ValueError(
            f"limit: expected a positive number of standard deviations, got {limit}; pass for example 5"
        )
    tracks = {name: measured(name, ds) for name, ds in _nodes(noise).items()}
    first = next(iter(tracks.values()))
    if terrain == "auto":
        terrain = "given" if _has_slopes(first) else "simulated"
    rising, elevation = _terrain(first, (int(seed), draws), terrain)
    moving = np.any([track.moving(limit) for track in tracks.values()], axis=0)
    placed, tried = _place((int(seed), draws), tracks, rising, elevation, moving, density)
    if tried and not placed:
        warnings.warn(
            "half_real: no body found a slope of 8-38 degrees with data; pass terrain='simulated' for flat ground, "
            "another seed or a larger area",
            UserWarning,
            stacklevel=2,
        )
    said = f"xinsar.simulate.half_real: {fields.VERSION}, {draws} seed {seed}, {len(placed)} simulated landslides added"
    replaced = elevation if terrain == "simulated" else None
    cubes = {name: track.with_motion(placed, replaced, said) for name, track in tracks.items()}
    return Scene(xr.DataTree.from_dict(cubes), _truth(placed, tracks, moving))


def _nodes(noise: Any) -> dict[str, xr.Dataset]:
    """Return the measured tracks by name."""
    if isinstance(noise, xr.DataArray):
        noise = noise.to_dataset(name=noise.name or "velocity")
    if isinstance(noise, xr.Dataset):
        return {str(noise.attrs.get("orbit_direction", "track")): noise}
    if not isinstance(noise, xr.DataTree):
        raise TypeError(
            f"noise: expected a Dataset, DataArray or DataTree of measured data, got {type(noise).__name__}; "
            "open the product with xinsar.open_stack"
        )
    found = {name: node.to_dataset() for name, node in noise.children.items()} or {
        "track": noise.to_dataset()
    }
    _check_grids(found)
    return found


def _check_grids(tracks: dict[str, xr.Dataset]) -> None:
    """Check that all tracks lie on one grid."""
    (first, one), *others = tracks.items()
    for name, ds in others:
        if not all(d in ds and d in one and ds[d].equals(one[d]) for d in ("y", "x")):
            raise ValueError(
                f"noise: expected all tracks on one grid, got another for {name} than for {first}; resample one onto "
                "the other, or make a scene of each"
            )


class Measured(NamedTuple):
    """One measured track in memory."""

    name: str
    data: xr.Dataset
    place: Frame
    heading: float
    incidence: float
    los: Array | None
    """East, north, up, for each pixel; None where only heading and incidence are known."""
    velocity: Array
    """m year-1 toward, NaN where missing."""

    def dates(self) -> Array:
        """Return the dates of the data, ascending; none for a velocity."""
        if "reference_time" in self.data.coords:
            return np.unique(np.concatenate(schema.check_pairs(self.data)))
        if "time" in self.data.coords:
            return np.asarray(self.data["time"].values, dtype="datetime64[ns]")
        return np.zeros(0, dtype="datetime64[ns]")

    def progress(self, feature: Feature) -> Array:
        """Return how far a feature has come at each date, years of its long-term velocity."""
        days = (self.dates() - self.dates()[0]) / np.timedelta64(1, "D")
        return deformation.progress(feature.body.course, days, span=max(float(days[-1]), 1.0))

    def toward(self, feature: Feature) -> Array:
        """Return the long-term velocity of a feature toward the satellite in its window, m year-1."""
        body = feature.body
        if self.los is None:
            return deformation.los_velocity(body, heading=self.heading, incidence=self.incidence)
        down = geometry.downslope_vector(body.plunge, body.aspect)
        return np.asarray(body.velocity * (down * self.los[(slice(None), *body.window)]).sum(axis=0))

    def lag(self, length: float) -> tuple[int, int]:
        """Return a length in pixels along y and x, at least one, at most half of the image."""
        y, x = (
            max(1, min(round(length / step), n // 2))
            for step, n in zip(self.place.spacing, self.velocity.shape, strict=True)
        )
        return y, x

    def moving(self, limit: float) -> Array:
        """Return the areas that move really."""
        from scipy.ndimage import binary_dilation, label

        value = _mean3(self.velocity)
        middle = np.nanmedian(value)
        spread = 1.4826 * np.nanmedian(np.abs(value - middle))
        beyond = np.nan_to_num(np.abs(value - middle)) > limit * max(float(spread), 1e-12)
        number, _ = label(beyond, np.ones((3, 3)))
        large = np.bincount(number.ravel()) >= LEAST
        large[0] = False
        return np.asarray(binary_dilation(large[number], iterations=2))

    def with_motion(self, placed: list[Feature], elevation: Array | None, said: str) -> xr.Dataset:
        """Return the data with the motion of the bodies added."""
        out = self.data.copy()
        for name in HELD:
            if name in out:
                values = out[name].values.copy()
                for feature in placed:
                    self._add(name, values, feature)
                out[name] = out[name].copy(data=wrap(values) if name == "phase" else values)
        if elevation is not None:
            out["elevation"] = schema.label(
                schema.ELEVATION, xr.DataArray(elevation.astype(np.float32), dims=("y", "x"))
            )
        before = out.attrs.get("history")
        return out.assign_attrs(history=f"{before}\n{said}" if before else said)

    def _add(self, name: str, values: Array, feature: Feature) -> None:
        """Add the motion of one body to a variable in place."""
        window, los = feature.body.window, self.toward(feature)
        if name == "velocity":
            values[(..., *window)] += (los * self.rate(feature)).astype(values.dtype)
            return
        progress = self.progress(feature)
        if name == "displacement":
            values[(..., *window)] += ((progress - progress[0])[:, None, None] * los).astype(values.dtype)
            return
        wavelength = float(self.data.attrs["wavelength"])
        first, second = (np.searchsorted(self.dates(), v) for v in schema.check_pairs(self.data))
        passed = progress[second] - progress[first]
        moved = passed[:, None, None] * los
        if name == "unwrapped_phase":
            moved -= wavelength / 2 * cycles_lost(los, passed, wavelength)[:, None, None] * behind(los)
        values[(..., *window)] += (-4 * np.pi / wavelength * moved).astype(values.dtype)

    def rate(self, feature: Feature) -> float:
        """Return the mean rate of a feature over the dates against its long-term velocity; 1 without dates."""
        if self.dates().size < 2:
            return 1.0
        progress = self.progress(feature)
        years = (self.dates()[-1] - self.dates()[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
        return float((progress[-1] - progress[0]) / years)


def measured(name: str, ds: xr.Dataset) -> Measured:
    """Return a track in memory with its view and its velocity."""
    held = [v for v in HELD if v in ds]
    if not held:
        raise ValueError(
            f"noise: expected one of {', '.join(HELD)}, got {', '.join(map(str, ds.data_vars)) or 'no variable'}; "
            "rename yours"
        )
    phases = [v for v in held if v.endswith("phase")]
    if phases and "wavelength" not in ds.attrs:
        raise schema.SchemaError(
            "wavelength: the dataset needs the attribute; set ds.attrs['wavelength'] in m"
        )
    loaded = ds.load()
    spacing = [float(np.mean(s)) for s in grid.pixel_spacing(loaded)]
    crs = grid.crs_of(loaded)
    place = Frame(grid.axis(loaded, "x"), grid.axis(loaded, "y"), crs, (spacing[0], spacing[1]))
    los = np.asarray(loaded["los"].values, dtype=float) if "los" in loaded else None
    view = _view(name, loaded, known=los is not None)
    return Measured(name, loaded, place, *view, los, _velocity(loaded))


def _view(name: str, ds: xr.Dataset, *, known: bool) -> tuple[float, float]:
    """Return heading and incidence, said aloud where they are assumed."""
    assumed = {"heading": HEADING, "incidence": INCIDENCE}
    missing = [] if known else [v for v in assumed if v not in ds.attrs]
    if missing:
        taken = " and ".join(f"{v} {assumed[v]:g}" for v in missing)
        warnings.warn(
            f"half_real: {name} says nothing of its {' and '.join(missing)}; {taken} degrees taken. Set them in attrs",
            UserWarning,
            stacklevel=4,
        )
    return float(ds.attrs.get("heading", HEADING)), float(ds.attrs.get("incidence", INCIDENCE))


def _velocity(ds: xr.Dataset) -> Array:
    """Return the velocity of a track: its own, the line through its series, or the stack of its pairs."""
    if "velocity" in ds:
        return np.asarray(ds["velocity"].values, dtype=float)
    if "displacement" in ds:
        years = (ds["time"].values - ds["time"].values[0]) / np.timedelta64(1, "D") / YEAR_IN_DAYS
        return _slope(ds["displacement"].values.astype(float), years)
    reference, secondary = schema.check_pairs(ds)
    years = (secondary - reference) / np.timedelta64(1, "D") / YEAR_IN_DAYS
    name = "unwrapped_phase" if "unwrapped_phase" in ds else "phase"
    moved = ds[name].values.astype(float) * (-float(ds.attrs["wavelength"]) / (4 * np.pi))
    moved -= np.nanmedian(moved, axis=(1, 2))[:, None, None]
    known = np.isfinite(moved)
    total = (np.where(known, moved, 0) * years[:, None, None]).sum(axis=0)
    weight = (known * years[:, None, None] ** 2).sum(axis=0)
    return np.asarray(np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan))


def _slope(values: Array, years: Array) -> Array:
    """Return the slope of the line through the dates of each pixel that are there; NaN below two."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    t = np.where(known, years[:, None, None], 0.0)
    mean = t.sum(axis=0) / np.maximum(count, 1)
    centred = np.where(known, years[:, None, None] - mean, 0.0)
    square = (centred**2).sum(axis=0)
    slope = (centred * np.where(known, values, 0.0)).sum(axis=0) / np.where(square > 0, square, 1)
    return np.asarray(np.where(square > 0, slope, np.nan))


def _mean3(values: Array) -> Array:
    """Return means over the 3 x 3 pixels that are there; NaN where the centre is missing."""
    from scipy.ndimage import uniform_filter

    known = np.isfinite(values)
    total = uniform_filter(np.where(known, values, 0.0), 3, mode="constant")
    share = uniform_filter(known.astype(float), 3, mode="constant")
    return np.where(known, total / np.maximum(share, 1e-9), np.nan)


def _terrain(track: Measured, key: tuple[int, str], terrain: str) -> tuple[Land | GivenLand, Array]:
    """Return the ground that bodies are put on, and its elevation on the grid."""
    if terrain == "given" and "elevation" not in track.data:
        raise ValueError(
            "terrain: expected an elevation in the data, got none; pass terrain='simulated' or add one"
        )
    spacing = float(np.mean(track.place.spacing))
    if terrain == "given":
        given = GivenLand.of(_filled(track.data["elevation"].values.astype(float)), spacing)
        return given, given.values
    made = land(*key, ranges.DRAWS[key[1]], spacing)
    return made, made.elevation(*(np.arange(n) for n in track.place.shape))


def _has_slopes(track: Measured) -> bool:
    """Return whether the data's own terrain has room for bodies."""
    if "elevation" not in track.data:
        return False
    east, north = descent(track.data["elevation"].values.astype(float), track.place.spacing)
    slope = np.rad2deg(np.arctan(np.hypot(east, north)))
    low, high = deformation.SLOPES
    return bool(((slope > low) & (slope < high)).mean() > 0.01)


def _filled(values: Array) -> Array:
    """Return the values with gaps filled from the nearest pixel."""
    from scipy.ndimage import distance_transform_edt

    missing = ~np.isfinite(values)
    if missing.all():
        raise ValueError("elevation: expected values in the data, got none; pass terrain='simulated'")
    if not missing.any():
        return values
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def _place(
    key: tuple[int, str],
    tracks: dict[str, Measured],
    rising: Land | GivenLand,
    elevation: Array,
    moving: Array,
    density: str | float,
) -> tuple[list[Feature], int]:
    """Draw the bodies of a half-real scene; return them, and how many were tried."""
    place = next(iter(tracks.values())).place
    valid = np.any([np.isfinite(track.velocity) for track in tracks.values()], axis=0)
    site = features.Site(rising, place.spacing, Taken(place.shape, moving), elevation, valid)
    name = (key[0], f"{key[1]}/half real/{place.shape}")
    if min(place.shape) <= 2 * features.ARM:
        return [], 1
    counts = worlds.counts(name, place, density, distractors=False)
    return features.put(name, site, counts), counts["landslide"]


def structure_function(values: Array, lag: tuple[int, int]) -> float:
    """Return the mean squared difference of ``values`` over ``lag`` pixels along y and x, where both are there."""
    down = (values[lag[0] :] - values[: -lag[0]]).ravel()
    right = (values[:, lag[1] :] - values[:, : -lag[1]]).ravel()
    both = [np.mean(d[np.isfinite(d)] ** 2) for d in (down, right) if np.isfinite(d).any()]
    return float(np.mean(both)) if both else float("nan")


def _truth(placed: list[Feature], tracks: dict[str, Measured], moving: Array) -> geopandas.GeoDataFrame:
    """Return the bodies, and the areas that move really, as a table."""
    import geopandas
    import pandas as pd

    place = next(iter(tracks.values())).place
    rates = np.mean([[track.rate(f) for f in placed] for track in tracks.values()], axis=0)
    columns = worlds.ground_truth(placed, place, rates)
    for track in tracks.values():
        columns |= _seen(placed, track, moving)
    outlines = [place.outline(f.body.window, f.inside) for f in placed]
    own = geopandas.GeoDataFrame(columns, geometry=outlines, crs=place.crs)
    real = _real_motion(place, moving)
    if real.empty:
        return own
    real["id"] = np.arange(len(own) + 1, len(own) + len(real) + 1)
    if own.empty:
        return real.reindex(columns=own.columns)
    return geopandas.GeoDataFrame(
        pd.concat([own, real.reindex(columns=own.columns)], ignore_index=True), crs=place.crs
    )


def _seen(placed: list[Feature], track: Measured, moving: Array) -> dict[str, Array]:
    """Return what one track sees of each body."""
    still = np.where(moving, np.nan, track.velocity)
    los = np.array([track.toward(f)[f.inside].mean() * track.rate(f) for f in placed], dtype=float)
    speed = np.array([f.body.velocity[f.inside].mean() * track.rate(f) for f in placed], dtype=float)
    noise = np.array([structure_function(still, track.lag(f.body.length)) for f in placed], dtype=float)
    return {
        f"sensitivity_{track.name}": np.divide(los, speed, out=np.zeros_like(los), where=speed != 0),
        f"los_velocity_{track.name}": los,
        f"snr_{track.name}": np.abs(los) / np.sqrt(noise / 2),
    }


def _real_motion(place: Frame, moving: Array) -> geopandas.GeoDataFrame:
    """Return the areas that move really."""
    import geopandas
    from rasterio.features import shapes
    from shapely.geometry import shape as to_polygon

    found = shapes(moving.astype(np.uint8), mask=moving, transform=place.affine(), connectivity=8)
    outlines = [to_polygon(outline).buffer(0) for outline, _ in found]
    count = len(outlines)
    pixel = abs(place.affine().determinant)
    columns = {
        "class": np.array(["real_motion"] * count, dtype=object),
        "ignore": np.ones(count, dtype=bool),
        "area": np.array([outline.area / pixel for outline in outlines], dtype=float) * place.pixel_area,
        "behaviour": np.array(["unknown"] * count, dtype=object),
    }
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=place.crs)
