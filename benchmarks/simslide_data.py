"""Scenes of SimSlide: which seeds belong to which split, what of a cube a model is given, and the truth that counts."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import simulate
from xinsar.simulate import fields
from xinsar.simulate.frame import SPACING
from xinsar.simulate.looks import WAVELENGTH

VERSION = fields.VERSION
"""Of the simulator, and so of the benchmark: scene k of a version is the same everywhere."""

TIERS = ("easy", "medium", "hard")
SETS = 3
"""Test sets of each tier, which share no seed."""

TILE = 256
SURVEY = 4096
PIXEL = SPACING
"""Metres."""

SEEDS = {"val": 9_000_000, "test": 10_000_000, "survey": 20_000_000, "half-real": 30_000_000}
"""First seed of each split; training stays below the least of them."""
_PER_TIER, _PER_SET = 300_000, 100_000

DRAWS = {"val": "train", "test": "test", "survey": "test", "half-real": "test"}
"""Ranges that parameters are drawn from: thresholds are chosen without a look at those of the test."""

MISSING = 0.05
"""Share of the landslides that a careless reference lacks."""
CARELESS = 2.0
"""Pixels by which its outlines are too wide or too narrow at most."""


def seed_of(split: str, tier: str, number: int, part: int = 0) -> int:
    """Return the seed of a scene: ``number`` within set ``part`` of a tier of a split."""
    if not (0 <= number < _PER_SET and 0 <= part < SETS):
        raise ValueError(
            f"number, part: expected fewer than {_PER_SET} scenes and {SETS} sets, got {number}, {part}"
        )
    return SEEDS[split] + TIERS.index(tier) * _PER_TIER + part * _PER_SET + number


@dataclass(frozen=True)
class Place:
    """One scene of the benchmark, before it is made."""

    split: str
    tier: str
    number: int
    part: int = 0
    wavelength: float = WAVELENGTH
    side: int = TILE

    @property
    def seed(self) -> int:
        """The seed that the scene is made from."""
        return seed_of(self.split, self.tier, self.number, self.part)

    def make(self, chunks: int | None = None) -> Any:
        """Simulate the scene: a DataTree of two tracks, and the whole truth."""
        return simulate.products(
            self.seed,
            shape=(self.side, self.side),
            tier=self.tier,
            density="survey" if self.split == "survey" else "training",
            draws=DRAWS[self.split],
            wavelength=self.wavelength,
            chunks=chunks,
        )

    def cached(self, folder: str | None) -> tuple[xr.DataTree, Any]:
        """Return cube and truth, from a folder where they are there already, and kept there."""
        name = "-".join(str(value) for value in asdict(self).values())
        return kept(folder, name, lambda: tuple(self.make()))


def kept(
    folder: str | None, name: str, make: Callable[[], tuple[xr.DataTree, Any]]
) -> tuple[xr.DataTree, Any]:
    """Return cube and truth of a scene, from a folder where they are there already, and keep them there."""
    if folder is None:
        return make()
    path = Path(folder) / VERSION / f"{name}.pickle"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        cube, truth = make()
        nodes = {node: ds.to_dataset() for node, ds in cube.children.items()}
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(pickle.dumps((nodes, truth), protocol=5))
        unfinished.replace(path)
    nodes, truth = pickle.loads(path.read_bytes())
    return xr.DataTree.from_dict(nodes), truth


def places(
    split: str, tier: str, number: int, *, part: int = 0, wavelength: float = WAVELENGTH, side: int = TILE
) -> list[Place]:
    """Return the first ``number`` tiles of a split."""
    return [Place(split, tier, k, part, wavelength, side) for k in range(number)]


def fingerprint() -> str:
    """Return a digest of one small scene, by which results of two simulators can be told apart."""
    cube, truth = Place("test", TIERS[1], 0, side=64).cached(None)
    content = sha256(truth.geometry.to_wkt().str.cat().encode())
    for name in sorted(name for name in truth if name.startswith("snr_")):
        content.update(np.round(truth[name].to_numpy(), 3).astype("<f4").tobytes())
    for node in cube.children.values():
        for name in ("velocity", "gradient_y", "elevation"):
            content.update(np.nan_to_num(node[name].values, nan=9.0).astype("<f4").tobytes())
    return content.hexdigest()[:12]


# ---- what a model is given

_GRADIENT = tuple(f"gradient_{kind}{axis}" for kind in ("", "coherence_", "z_") for axis in "yx")
_MOTION = ("velocity", "velocity_sigma", "temporal_coherence")
_GROUND = ("elevation", "los")


def _without(names: Sequence[str]) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda ds: ds.drop_vars([name for name in names if name in ds])


class Given(NamedTuple):
    """Part of a scene."""

    tracks: tuple[str, ...] = ("ascending", "descending")
    left_out: tuple[str, ...] = ()

    def of(self, cube: xr.DataTree) -> xr.DataTree:
        """Return the part of the cube."""
        nodes = {name: _without(self.left_out)(cube[name].to_dataset()) for name in self.tracks}
        for ds in nodes.values():
            if set(self.left_out) >= set(_GROUND):  # nor can they be made from the orbit
                ds.attrs = {k: v for k, v in ds.attrs.items() if k not in ("heading", "incidence")}
        return xr.DataTree.from_dict(nodes)

    def truth(self, truth: Any) -> Any:
        """Return the truth as these tracks can see it."""
        columns = [
            f"{kind}_{name}"
            for kind in ("sensitivity", "los_velocity", "snr")
            for name in _others(self.tracks)
        ]
        return truth.drop(columns=[name for name in columns if name in truth])


def _others(tracks: Sequence[str]) -> list[str]:
    return [name for name in ("ascending", "descending") if name not in tracks]


INPUTS = {
    "test": Given(),
    "velocity": Given(left_out=_GRADIENT),
    "gradients": Given(left_out=_MOTION),
    "ascending": Given(("ascending",)),
    "velocity of one track": Given(("ascending",), _GRADIENT),
    "velocity without terrain": Given(left_out=(*_GRADIENT, *_GROUND)),
}
"""What a cube may hold; "test" is all of it."""

SHIFTS = {
    "descending": (Given(("descending",)), WAVELENGTH),
    "L band": (Given(), 0.2384),
    "X band": (Given(), 0.031),
}
"""Shift test: the one track that "ascending" was not given, and other wavelengths (m)."""


def counted(truth: Any) -> Any:
    """Return what is to be found (landslides) and what is neither right nor wrong; other distractors are traps."""
    return simulate.reference_inventory(truth).reset_index(drop=True)


def careless(truth: Any, seed: int) -> Any:
    """Return a reference as people draw it: outlines up to two pixels off, some landslides missing."""
    rng = np.random.default_rng([seed, 2])
    own = (~truth["ignore"]).to_numpy(bool)
    off = np.where(own, rng.uniform(-CARELESS, CARELESS, len(truth)) * PIXEL, 0.0)
    kept = ~(own & (rng.random(len(truth)) < MISSING))
    truth = truth.set_geometry(truth.geometry.buffer(off))
    return truth[kept & ~truth.geometry.is_empty.to_numpy()].reset_index(drop=True)


# ---- many scenes on one sheet


COLUMNS, WIDE = 20, 120_000.0
"""Scenes in a row of a sheet; those wider than so many metres together are fewer, lest the map's metres grow untrue."""


def shifted(table: Any, index: int, *, side: int) -> Any:
    """Return a table at the place that scene ``index`` has on a sheet on which no two scenes touch."""
    pitch = side * PIXEL * 1.25
    columns = max(min(COLUMNS, int(3 * WIDE / pitch)), 1)
    along, down = index % columns, index // columns
    return table.set_geometry(table.geometry.translate(along * pitch, -down * pitch))


def outline_of(cube: xr.DataTree) -> Any:
    """Return the ground that a scene covers."""
    import geopandas as gpd
    from shapely.geometry import box

    from xinsar import grid

    ds = next(iter(cube.children.values())).to_dataset()
    x, y = (np.asarray(ds[d].values, float) for d in "xy")
    half = abs(grid.step(ds, "x")) / 2
    shape = box(x.min() - half, y.min() - half, x.max() + half, y.max() + half)
    return gpd.GeoDataFrame(geometry=[shape], crs=grid.crs_of(ds))
