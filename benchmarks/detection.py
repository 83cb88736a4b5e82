"""Detection (asv): scenes, the shipped model and the plain rules, from memory and from Zarr; SimSlide scores."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask

import xinsar
from benchmarks import common
from benchmarks import simslide_data as data
from benchmarks import simslide_run as running
from benchmarks.simslide_models import RULES, Model, contender
from benchmarks.simslide_scores import Choice

SIDE = 4096 if common.FULL else 128
TILES = 200 if common.FULL else 2
NAMES = ("default", *RULES) if common.FULL else ("default", "velocity_threshold")
THREADS = (1, 2) if common.FULL else (2,)
CHANNELS = ("velocity", "temporal_coherence", "gradient_y", "gradient_x", "elevation")
"""What a cube of five float32 channels holds."""


def _contender(name: str) -> Any:
    """Return who is measured; a model without weights here is skipped."""
    found = contender(name)
    if isinstance(found, Model):
        try:
            found.watched()
        except ValueError as error:
            raise NotImplementedError from error
    return found


class Scenes:
    """One tile of each tier, as training and the benchmark make them."""

    params = data.TIERS if common.FULL else ("medium",)
    param_names = ("tier",)
    timeout = 900

    def setup(self, tier: str) -> None:
        self.time_products(tier)  # compiles

    def time_products(self, tier: str) -> None:
        xinsar.simulate.products(1, tier=tier, shape=(min(SIDE, data.TILE),) * 2)


class Detect:
    """A scene of two tracks in memory, on one thread."""

    params = NAMES
    param_names = ("model",)
    timeout = 900

    def setup(self, model: str) -> None:
        self.contender = _contender(model)
        self.cube = xinsar.simulate.products(1, shape=(min(SIDE, 1024),) * 2, density="survey").cube
        if isinstance(self.contender, Model):
            self.contender.watched().remember = False
        self.time_detect(model)

    def time_detect(self, model: str) -> None:
        with dask.config.set(scheduler="synchronous"):
            self.contender.find(self.cube, (self.contender.default,))

    def peakmem_detect(self, model: str) -> None:
        self.time_detect(model)


class DetectFromZarr:
    """A cube of one track and five float32 channels on file, from end to end: km2 per second."""

    params = (NAMES, THREADS)
    param_names = ("model", "threads")
    unit = "km2/s"
    timeout = 1800

    def setup(self, model: str, threads: int) -> None:
        self.contender = _contender(model)
        self.folder = tempfile.TemporaryDirectory()
        store = Path(self.folder.name) / "scene.zarr"
        made = xinsar.simulate.products(1, shape=(SIDE, SIDE), density="survey", chunks=min(SIDE, 512)).cube
        track = made["ascending"].to_dataset()
        gradients = [name for name in track if str(name).startswith("gradient")]
        kept = [*CHANNELS, *(gradients if model == "gradient_threshold" else [])]
        self.cube = xinsar.save_cube(track[list(dict.fromkeys(kept))], store, progress=False)
        self.track_km2_per_second(model, threads)

    def teardown(self, model: str, threads: int) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def track_km2_per_second(self, model: str, threads: int) -> float:
        import xarray as xr

        speed, tree = running.Speed(), xr.DataTree.from_dict({"ascending": self.cube})
        with dask.config.set(scheduler="threads", num_workers=threads):
            speed.of(self.contender, tree, self.contender.default, SIDE, threads)
        return float(speed.figures()["km2_per_second"])


class SimSlide:
    """Object F1 (IoU >= .5) of the medium tier, with the threshold that users get."""

    params = NAMES
    param_names = ("model",)
    timeout = 3600
    unit = "F1"

    def setup(self, model: str) -> None:
        self.contender = _contender(model)

    def track_f1(self, model: str) -> float:
        plan = running.Plan(tiles=TILES, side=min(SIDE, data.TILE))
        choices = {self.contender.name: Choice(self.contender.default, 0.0)}
        with running.Crew(0) as crew:
            (record,) = running.run_tiles([self.contender], "medium", choices, plan, crew, lambda _: None)
        return float(record["scores"]["objects"]["iou_0.5"]["f1"])
