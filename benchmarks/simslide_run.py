"""How SimSlide is run: scenes made and detected in processes side by side, tables brought together and scored."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dask
import xarray as xr

import xinsar
from benchmarks import simslide_data as data
from benchmarks import simslide_noise as noise
from benchmarks import simslide_scores as scores
from benchmarks.simslide_models import Model, Rule
from benchmarks.simslide_scores import Choice, Sheet

Contender = Model | Rule
Place = data.Place | noise.HalfReal
Say = Callable[[str], object]
ALL = data.INPUTS["test"]
RULED = 2
"""Survey scenes that the plain rules see: they find tens of thousands of objects in each."""


@dataclass
class Tables:
    """What was found in a list of scenes, and what is there."""

    found: dict[tuple[str, str, float], list[Any]] = field(default_factory=dict)
    """By contender, inputs and threshold: a table for each scene, in order."""
    truth: list[Any] = field(default_factory=list)
    extent: list[Any] = field(default_factory=list)

    def add(self, index: int, side: int, made: tuple[dict[Any, Any], Any, Any]) -> None:
        """Add one scene at its place on the sheet."""
        found, truth, extent = made
        for key, table in found.items():
            self.found.setdefault(key, []).append(data.shifted(table, index, side=side))
        self.truth.append(data.shifted(truth, index, side=side))
        self.extent.append(data.shifted(extent, index, side=side))

    def first(self, number: int) -> Tables:
        """Return the tables of the first scenes."""
        found = {key: tables[:number] for key, tables in self.found.items()}
        return Tables(found, self.truth[:number], self.extent[:number])

    def sheet(self, name: str, inputs: str, threshold: float, given: data.Given = ALL) -> Sheet | None:
        """Return all scenes side by side for one contender; None where it could not take part."""
        tables = self.found.get((name, inputs, threshold))
        if tables is None:
            return None
        truth = given.truth(_joined(self.truth))
        return Sheet(_joined(tables)[["score", "geometry"]], truth, _joined(self.extent))


def _joined(tables: Sequence[Any]) -> Any:
    """Return tables one below the other; empty ones keep the columns."""
    import pandas as pd

    crs = tables[0].crs
    kept = [t for t in tables if len(t)] or [tables[0]]
    return pd.concat(kept, ignore_index=True).set_crs(crs, allow_override=True)


# ---- tiles


@dataclass(frozen=True)
class Job:
    """What is done with each tile."""

    contenders: tuple[Contender, ...]
    inputs: tuple[tuple[str, data.Given], ...]
    thresholds: tuple[tuple[float, ...], ...]
    """For each contender."""
    cache: str | None = None

    def __call__(self, place: Place) -> tuple[dict[Any, Any], Any, Any]:
        """Return what is found in a tile, what is there, and the ground that it covers."""
        cube, truth = place.cached(self.cache)
        found = {}
        with dask.config.set(scheduler="synchronous"):
            for name, given in self.inputs:
                part = given.of(cube)
                for contender, thresholds in zip(self.contenders, self.thresholds, strict=True):
                    if contender.baseline and given.left_out:
                        continue  # a rule looks at one layer, so it would only say the same again
                    tables = contender.find(part, thresholds)
                    for threshold, table in (tables or {}).items():
                        found[contender.name, name, threshold] = table[["score", "geometry"]]
        return found, data.counted(truth), data.outline_of(cube)


class Crew:
    """Processes that work on tiles side by side (0: this one alone); they stay for a whole run."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> Crew:
        if self.workers:
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
                os.environ.setdefault(name, "1")
            self.pool = get_context("spawn").Pool(self.workers)
        return self

    def __exit__(self, *_: object) -> None:
        if self.workers:
            self.pool.terminate()

    def tables(self, places: Sequence[Place], job: Job) -> Tables:
        """Return what is found in all tiles."""
        tables = Tables()
        made = self.pool.imap(job, places, chunksize=1) if self.workers else map(job, places)
        for index, each in enumerate(made):
            tables.add(index, places[index].side, each)
        return tables


@dataclass(frozen=True)
class Plan:
    """How large the benchmark is run."""

    tiers: tuple[str, ...] = ("medium",)
    tiles: int = 400
    val: int = 400
    sets: int = 1
    inputs: tuple[str, ...] = ("test",)
    shifts: tuple[str, ...] = ()
    cache: str | None = None
    side: int = data.TILE


def choose(contenders: Sequence[Contender], tier: str, plan: Plan, crew: Crew, say: Say) -> dict[str, Choice]:
    """Choose how each contender is used, on the validation tiles."""
    begin = time.perf_counter()
    job = Job(tuple(contenders), (("test", ALL),), tuple(c.tried for c in contenders), plan.cache)
    tables = crew.tables(data.places("val", tier, plan.val, side=plan.side), job)
    out = {}
    for contender in contenders:
        sheets = {t: tables.sheet(contender.name, "test", t) for t in contender.tried}
        out[contender.name] = scores.chosen({t: s for t, s in sheets.items() if s is not None})
    took = time.perf_counter() - begin
    say(f"{tier}: chosen on {plan.val} validation tiles in {took:.0f} s: " + _said(out))
    return out


def _said(choices: dict[str, Choice]) -> str:
    return ", ".join(f"{name} {c.threshold:g} (score {c.cut:.2f})" for name, c in choices.items())


def run_tiles(
    contenders: Sequence[Contender], tier: str, choices: dict[str, Choice], plan: Plan, crew: Crew, say: Say
) -> Iterator[dict[str, Any]]:
    """Yield a record for each contender, split and set of a tier."""
    thresholds = tuple(tuple(sorted({choices[c.name].threshold, c.default})) for c in contenders)
    for part in range(plan.sets):
        inputs = tuple((name, data.INPUTS[name]) for name in plan.inputs)
        job = Job(tuple(contenders), inputs, thresholds, plan.cache)
        places = data.places("test", tier, plan.tiles, part=part, side=plan.side)
        yield from _scored(places, job, choices, crew, say)
    for name in plan.shifts:
        given, wavelength = data.SHIFTS[name]
        job = Job(tuple(contenders), ((name, given),), thresholds, plan.cache)
        places = data.places("test", tier, plan.tiles, wavelength=wavelength, side=plan.side)
        yield from _scored(places, job, choices, crew, say)


def _scored(
    places: Sequence[Place], job: Job, choices: dict[str, Choice], crew: Crew, say: Say
) -> Iterator[dict[str, Any]]:
    begin = time.perf_counter()
    tables = crew.tables(places, job)
    first = places[0]
    what = f"{len(places)} scenes of {first.split}, set {first.part}"
    say(f"{first.tier}: {what}, in {time.perf_counter() - begin:.0f} s")
    for contender in job.contenders:
        choice = choices[contender.name]
        for name, given in job.inputs:
            sheet = tables.sheet(contender.name, name, choice.threshold, given)
            if sheet is None:
                continue
            found = scores.report(sheet, choice.cut, seed=first.seed)
            plain = tables.sheet(contender.name, name, contender.default, given)
            if plain is not None:
                found["as_it_comes"] = scores.objects_only(plain, contender.least)
            say(f"  {contender.name}, {name}: {scores.headline(found)}")
            yield _record(contender, first, name, len(places), choice, found)


def _record(
    contender: Contender, first: Place, name: str, number: int, choice: Choice, found: dict[str, Any]
) -> dict[str, Any]:
    return {
        "model": contender.name,
        "baseline": contender.baseline,
        "tier": first.tier,
        "split": name,
        "set": first.part,
        "scenes": number,
        "pixels": [first.side, first.side],
        "seeds": [first.seed, first.seed + number - 1],
        "threshold": choice.threshold,
        "default_threshold": contender.default,
        "least_score": round(choice.cut, 4),
        "scores": found,
    }


# ---- half-real scenes


def run_half_real(
    contenders: Sequence[Contender],
    tier: str,
    choices: dict[str, Choice],
    *,
    folder: str,
    number: int,
    cache: str | None,
    crew: Crew,
    say: Say,
) -> Iterator[dict[str, Any]]:
    """Yield a record for each contender and set of measured data, with the thresholds of a tier."""
    made, absent = noise.scenes(folder, tier, number)
    if absent:
        say(f"no real data of {', '.join(absent)} in {folder}: left out")
    thresholds = tuple(tuple(sorted({choices[c.name].threshold, c.default})) for c in contenders)
    for places in made.values():
        given = data.Given(tuple(places[0].tracks))
        job = Job(tuple(contenders), ((places[0].split, given),), thresholds, cache)
        yield from _scored(places, job, choices, crew, say)


# ---- survey scenes


def run_survey(
    contenders: Sequence[Contender],
    tier: str,
    choices: dict[str, Choice],
    *,
    number: int,
    side: int,
    folder: str | None,
    workers: int,
    say: Say,
) -> Iterator[dict[str, Any]]:
    """Yield a record for each contender: survey scenes on file, detected whole; what it takes, and false alarms."""
    tables, speeds = Tables(), {c.name: Speed() for c in contenders}
    for k in range(number):
        place = data.Place("survey", tier, k, side=side)
        with (
            dask.config.set(scheduler="threads", num_workers=max(workers, 1)),
            Stored(place, folder, say) as stored,
        ):
            found = {}
            for contender in contenders:
                if contender.baseline and k >= RULED:
                    continue
                threshold = choices[contender.name].threshold
                table = speeds[contender.name].of(contender, stored.cube, threshold, side, max(workers, 1))
                found[contender.name, "survey", threshold] = table[["score", "geometry"]]
            tables.add(k, side, (found, data.counted(stored.truth), data.outline_of(stored.cube)))
    for contender in contenders:
        choice = choices[contender.name]
        seen = min(number, RULED) if contender.baseline else number
        sheet = tables.first(seen).sheet(contender.name, "survey", choice.threshold)
        assert sheet is not None
        result = scores.report(sheet, choice.cut, seed=data.seed_of("survey", tier, 0), boundary=False)
        result["speed"] = speeds[contender.name].figures()
        say(
            f"  {contender.name}, survey: {scores.headline(result)}; {_alarms(result)}; {speeds[contender.name]}"
        )
        yield _record(contender, data.Place("survey", tier, 0, side=side), "survey", seen, choice, result)


def _alarms(result: dict[str, Any]) -> str:
    found = result["false_alarms"]
    return (
        f"false alarms per 1000 km2: {found['per_1000_km2_at_recall']:.1f} at recall {scores.RECALL:g}, "
        f"{found['per_1000_km2']:.1f} as used (recall {found['recall']:.2f})"
    )


@dataclass
class Speed:
    """Seconds and ground of several runs."""

    km2: float = 0.0
    seconds: float = 0.0
    model_seconds: float = 0.0

    def of(self, contender: Contender, cube: Any, threshold: float, side: int, workers: int) -> Any:
        """Detect in a cube on file, and count what it takes."""
        watched = contender.watched() if isinstance(contender, Model) else None
        if not self.km2:  # compiles
            corner = {
                name: node.to_dataset().isel(y=slice(256), x=slice(256))
                for name, node in cube.children.items()
            }
            contender.find(xr.DataTree.from_dict(corner), (threshold,))
        if watched is not None:
            watched.remember, watched.seconds = False, 0.0
        begin = time.perf_counter()
        tables = contender.find(cube, (threshold,))
        self.seconds += time.perf_counter() - begin
        self.km2 += (side * data.PIXEL / 1000) ** 2
        if watched is not None:
            self.model_seconds += watched.seconds / workers
            watched.remember = True
        assert tables is not None
        return tables[threshold]

    def figures(self) -> dict[str, float]:
        """Return km2 per second from end to end, and of the model alone."""
        out = {"km2_per_second": self.km2 / self.seconds}
        if self.model_seconds:
            out["km2_per_second_model_only"] = self.km2 / self.model_seconds
        return out

    def __str__(self) -> str:
        return ", ".join(f"{value:.0f} {name.replace('_', ' ')}" for name, value in self.figures().items())


class Stored:
    """A survey scene as Zarr: kept where a folder for it is named, else only for the time of its use."""

    def __init__(self, place: data.Place, folder: str | None, say: Say) -> None:
        self.place, self.kept, self.say = place, folder is not None, say
        self.folder = Path(folder) / data.VERSION if folder else Path(tempfile.mkdtemp(prefix="simslide-"))

    def __enter__(self) -> Stored:
        begin = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.place.make(chunks=min(512, self.place.side))
        store = (
            self.folder / f"{self.place.split}-{self.place.tier}-{self.place.number}-{self.place.side}.zarr"
        )
        xinsar.save_cube(made.cube, store, progress=False)
        self.cube, self.truth = xinsar.open_tracks(store), made.truth
        self.say(
            f"{self.place.tier}: survey scene {self.place.number} made in {time.perf_counter() - begin:.0f} s"
        )
        return self

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)
