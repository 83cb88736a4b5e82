"""From a cube and a card to the arrays that tasks read, and what they make of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.detection import regrid
from xinsar.detection.channels import GRADIENTS, REMEDY, Track, is_motion
from xinsar.detection.regrid import Frame
from xinsar.detection.windows import origin_of
from xinsar.kernels.extremes import as_numbers, extremes
from xinsar.mapping import reduce_fields
from xinsar.models.card import Channel, ModelCard

_PARTS = {"gradient": GRADIENTS}
"""Variables that a validity channel speaks of under one name."""


@dataclass(frozen=True)
class Plane:
    """How a task makes one channel from its arrays."""

    channel: Channel
    arrays: tuple[int, ...]
    """Values: the one array, or none where the cube has it not. Validity: those that must be finite."""
    extremes: int | None = None
    """Where the least and largest value of the cube stand, for ``minmax``."""


@dataclass(frozen=True)
class Inputs:
    """What a model is fed with: lazily read arrays on one grid, and what they mean."""

    arrays: tuple[xr.DataArray, ...]
    """Maps (y, x), float32, NaN where missing; each once, however many channels use it."""
    planes: tuple[Plane, ...]
    """One for each channel of the card."""
    extremes: tuple[xr.DataArray, ...]
    """Least and largest value of the arrays that are normalised by them; lazy."""
    frame: Frame
    """The grid that the model works on."""
    origin: tuple[int, int]
    """Row and column of its first pixel on the lattice of windows."""
    tracks: tuple[str, ...]
    """Names of the tracks used, by slot."""
    motion: tuple[tuple[int, ...], ...]
    """Arrays that show motion, by slot; where all are missing nothing was measured."""
    velocity: tuple[int | None, ...]
    """Array of the velocity, by slot."""
    used: dict[str, list[str]] = field(default_factory=dict)
    """Names of the variables used, by track; those of the ground under ``ground``."""
    cube: xr.Dataset = field(default_factory=xr.Dataset)
    """The first track as it came, for its CRS and attributes."""
    lazy: bool = False
    """Whether any of the tracks is."""


def inputs_of(data: Any, card: ModelCard) -> Inputs:
    """Find what the card asks for in a cube, or in the tracks of a DataTree; nothing is computed.

    Raises
    ------
    TypeError
        If ``data`` is neither a Dataset nor a DataTree.
    xinsar.SchemaError
        If the cube lacks a channel that the model cannot do without, or all that show motion; if one is malformed.
    ValueError
        If there is no pixel size, the pixels are too coarse, or tracks do not overlap.

    Warns
    -----
    UserWarning
        Where tracks are left out, or the cube or a track is resampled.
    """
    tracks = _tracks(data, card)
    frame = regrid.frame_for(tracks[0].ds, card.pixel_size)
    own = Frame.of(tracks[0].ds)
    shelf = _Shelf(tracks, frame)
    for channel in card.inputs:
        shelf.fetch(channel)
    shelf.check(card)
    planes = tuple(shelf.plane(channel) for channel in card.inputs)
    motion = tuple(shelf.motion(slot) for slot in range(len(tracks)))
    return Inputs(
        arrays=tuple(shelf.arrays),
        planes=planes,
        extremes=tuple(shelf.extremes),
        frame=frame,
        origin=origin_of(tracks[0].ds.attrs) if regrid.same(frame, own) else (0, 0),
        tracks=tuple(track.name for track in tracks),
        motion=motion,
        velocity=tuple(shelf.places.get((slot, "velocity")) for slot in range(len(tracks))),
        used=shelf.used(),
        cube=tracks[0].ds,
        lazy=any(v.chunks is not None for track in tracks for v in track.ds.variables.values()),
    )


def _tracks(data: Any, card: ModelCard) -> list[Track]:
    """Return the tracks of the data that the model has slots for."""
    if isinstance(data, xr.DataTree):
        named = [(node.path.strip("/") or node.name or "track", node.to_dataset()) for node in data.leaves]
    elif isinstance(data, xr.Dataset):
        named = [(str(data.attrs.get("track") or data.attrs.get("orbit_direction") or "track"), data)]
    else:
        raise TypeError(
            f"data: expected an xarray.Dataset of one track or a DataTree of tracks, got {type(data).__name__}; open "
            "cubes with xinsar.open_cube or open_tracks"
        )
    if len(named) > card.tracks:
        left = ", ".join(name for name, _ in named[card.tracks :])
        warnings.warn(
            f"detect: the model {card.name!r} takes {card.tracks} track(s), the data hold {len(named)}: {left} not "
            "used; choose others with xarray.DataTree.from_dict",
            UserWarning,
            stacklevel=4,
        )
    return [Track(str(name), ds) for name, ds in named[: card.tracks]]


def _variables(channel: Channel) -> tuple[str, ...]:
    """Return the variables that a channel is made from, or that it speaks of."""
    name = channel.name.removeprefix("valid_")
    return () if name in ("inside", "valid") else _PARTS.get(name, (name,)) if channel.made else (name,)


def _angle_onto(array: xr.DataArray, frame: Frame) -> xr.DataArray:
    """Return a map of azimuths on another grid: 350 and 10 degrees have north between them."""
    angle = np.deg2rad(array.data)
    sine, cosine = (regrid.onto(array.copy(data=f(angle)), frame) for f in (np.sin, np.cos))
    turned = np.rad2deg(np.arctan2(sine.data, cosine.data)) % 360
    return sine.copy(data=turned.astype(np.float32))


class _Shelf:
    """The arrays that are needed, each once, in the order they are asked for."""

    def __init__(self, tracks: Sequence[Track], frame: Frame) -> None:
        self.tracks, self.frame = tracks, frame
        self.arrays: list[xr.DataArray] = []
        self.extremes: list[xr.DataArray] = []
        self.places: dict[tuple[int, str], int | None] = {}
        self.told: set[int] = set()

    def fetch(self, channel: Channel) -> None:
        """Get the arrays of a channel ready; raise SchemaError where the model needs it and it is not there."""
        for name in _variables(channel):
            if self.place(channel.track, name) is None and not channel.optional and not channel.made:
                self._refuse(channel)

    def plane(self, channel: Channel) -> Plane:
        """Return how a channel is made."""
        if channel.made:
            return Plane(channel, self._spoken_of(channel))
        place = self.place(channel.track, channel.name)
        if place is None:
            return Plane(channel, ())
        number = self._extremes(place) if channel.transform == "minmax" else None
        return Plane(channel, (place,), number)

    def place(self, track: int | None, name: str) -> int | None:
        """Return where the array of a variable stands; track None: of the first track that has it."""
        slots = range(len(self.tracks)) if track is None else (track,) if track < len(self.tracks) else ()
        return next((p for p in (self._of_track(slot, name) for slot in slots) if p is not None), None)

    def _of_track(self, slot: int, name: str) -> int | None:
        if (slot, name) not in self.places:
            found = self.tracks[slot].channel(name)
            self.places[slot, name] = None if found is None else len(self.arrays)
            if found is not None:
                self.arrays.append(self._on_frame(found, slot, name))
        return self.places[slot, name]

    def _on_frame(self, array: xr.DataArray, slot: int, name: str) -> xr.DataArray:
        """Return a map of a track on the grid of the model, as float32."""
        own = self.tracks[slot].ds
        array = array.astype(np.float32).rename(name)
        array = array.drop_vars([c for c in array.coords if c not in ("y", "x", "spatial_ref")])
        array = array.assign_coords(
            {c: own[c].variable for c in ("y", "x", "spatial_ref") if c in own.coords}
        )
        if regrid.same(Frame.of(own), self.frame):
            return array.drop_vars(list(array.coords))
        brought = _angle_onto(array, self.frame) if name == "aspect" else regrid.onto(array, self.frame)
        if slot and slot not in self.told:
            self.told.add(slot)
            warnings.warn(
                f"detect: the track {self.tracks[slot].name!r} lies on another grid and is resampled to that of "
                f"{self.tracks[0].name!r}",
                UserWarning,
                stacklevel=2,
            )
        return brought

    def _extremes(self, place: int) -> int:
        """Return where the extremes of an array stand."""
        array = self.arrays[place]
        self.extremes.append(
            reduce_fields(extremes, as_numbers, array, dims=("y", "x"), name="extremes", size=2)
        )
        return len(self.extremes) - 1

    def _spoken_of(self, channel: Channel) -> tuple[int, ...]:
        """Return the arrays that a validity channel speaks of; none where one of them is missing."""
        name = channel.name.removeprefix("valid_")
        if name == "inside":
            return ()
        if name == "valid":
            slots = range(len(self.tracks)) if channel.track is None else (channel.track,)
            return tuple(p for slot in slots for p in self.motion(slot))
        found = [self.place(channel.track, part) for part in _variables(channel)]
        return tuple(p for p in found if p is not None) if None not in found else ()

    def _refuse(self, channel: Channel) -> None:
        """Raise SchemaError for a channel that is not there."""
        slot = channel.track or 0
        if slot >= len(self.tracks):
            raise schema.SchemaError(
                f"{channel.name}: the model needs it of {slot + 1} tracks, the data hold {len(self.tracks)}; give a "
                "DataTree with a node for each track"
            )
        held = ", ".join(sorted(map(str, self.tracks[slot].ds.data_vars))) or "no variable"
        remedy = REMEDY.get(channel.name, f"assign it as a map ('y', 'x') named {channel.name!r}")
        raise schema.SchemaError(
            f"{channel.name}: the model needs it, and the track {self.tracks[slot].name!r} has it not (it holds: "
            f"{held}); {remedy}"
        )

    def check(self, card: ModelCard) -> None:
        """Raise SchemaError where the model asks for motion and the cube has none."""
        names = list(dict.fromkeys(name for channel in card.inputs for name in _variables(channel)))
        wanted = [name for name in names if is_motion(name)] or names
        if any(place is not None for (_, name), place in self.places.items() if name in wanted):
            return
        held = "; ".join(
            f"{t.name}: {', '.join(sorted(map(str, t.ds.data_vars))) or 'nothing'}" for t in self.tracks
        )
        by_remedy: dict[str, list[str]] = {}
        for name in wanted:
            by_remedy.setdefault(REMEDY.get(name, "assign it as a map"), []).append(name)
        remedies = "; ".join(f"{', '.join(some)}: {remedy}" for remedy, some in by_remedy.items())
        raise schema.SchemaError(
            f"data: the model {card.name!r} needs one or more of {', '.join(wanted) or 'nothing'}, the cube holds "
            f"{held}; {remedies}"
        )

    def motion(self, slot: int) -> tuple[int, ...]:
        """Return the arrays of a track that show motion; all of them where none does."""
        own = {name: p for (s, name), p in self.places.items() if s == slot and p is not None}
        moving = [p for name, p in own.items() if is_motion(name)]
        if not moving and not any(is_motion(n) and p is not None for (_, n), p in self.places.items()):
            moving = list(own.values())
        return tuple(sorted(moving))

    def used(self) -> dict[str, list[str]]:
        """Return the names of the variables used, by track."""
        found: dict[str, list[str]] = {}
        for (slot, name), place in self.places.items():
            if place is not None:
                found.setdefault(self.tracks[slot].name, []).append(name)
        return found


def told(inputs: Inputs, card: ModelCard, windows: int) -> str:
    """Return one line that says what a model is fed with."""
    parts = "; ".join(f"{track}: {', '.join(names)}" for track, names in inputs.used.items())
    size = " x ".join(map(str, inputs.frame.shape))
    return f"xinsar.detect: {card.name} {card.version} on {parts}; {size} pixels, {windows} windows"
