"""``xinsar demo``: the whole story on simulated data, from two tracks in Zarr to a scored inventory.

Nothing but the installed package is needed. Terrain, motion, weather and noise are simulated with known
truth, so the scores say how a detection does on this simulation; they are no promise for real data.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import xarray as xr

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame

SEED = 217
"""Scene of the demo: the one of median F1 among twenty that the detection's settings were not chosen on."""

SHAPE = (384, 384)
TIER = "medium"
METHODS = ("model", "threshold")
METHOD = "model"
"""How the demo detects unless it is told: by the model that comes with xinsar, or by plain thresholds."""
MIN_SNR = 0.5
_LIBRARIES = ("numpy", "xarray", "dask", "numba", "zarr", "geopandas", "shapely", "onnxruntime")

Say = Callable[[str], object]


def run(
    out: str | Path = "xinsar-demo",
    *,
    seed: int = SEED,
    shape: tuple[int, int] = SHAPE,
    tier: str = TIER,
    method: str = METHOD,
    model: Any = "default",
    progress: bool | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """Simulate two tracks of wrapped pairs, detect what moves, and score it against the truth.

    Parameters
    ----------
    out
        Folder, made where it is missing. Files of an earlier run are replaced: ``tracks.zarr`` (the cube
        of both tracks), ``landslides.gpkg`` (layers ``found`` and ``truth``), ``landslides.png``,
        ``scores.json``.
    seed, shape, tier
        Scene, as for :func:`xinsar.simulate.scene`.
    method
        ``"model"``: :func:`xinsar.detect` looks at both tracks together and stacks their phase gradients on the way;
        ``"threshold"``: the gradients of each track are stacked, :func:`xinsar.detect_threshold` outlines what stands
        out of each stack, and both tables are merged.
    model
        Which model, as for :func:`xinsar.detect`.
    progress
        Show progress bars; None: when stderr is a terminal and ``XINSAR_QUIET`` is not set.
    say
        Takes one line of text per step.

    Returns
    -------
    dict
        What ``scores.json`` holds.

    Raises
    ------
    ValueError
        If ``method`` is another word, or there is no such model: before anything is simulated.
    """
    find = _finder(method, model, progress)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(say)
    with clock.step("simulate", f"simulating two tracks ({tier}, seed {seed}) into {folder / 'tracks.zarr'}"):
        tracks, truth = _simulate(folder / "tracks.zarr", seed, shape, tier, progress=progress)
    found, stacks, settings = find(tracks, clock)
    with clock.step("write", f"writing {folder / 'landslides.gpkg'} and {folder / 'landslides.png'}"):
        scores = _score(found, truth)
        _write_tables(folder / "landslides.gpkg", found, truth)
        _draw(folder / "landslides.png", found, truth, tracks, stacks, scores, seed)
    scene = {"seed": seed, "shape": list(shape), "tier": tier}
    report = _report(found, truth, scores, clock, scene, settings)
    (folder / "scores.json").write_text(json.dumps(report, indent=2) + "\n")
    say(_summary(report))
    return report


class Clock:
    """Says what begins and remembers how long it took."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Time the work inside as ``name``."""
        self.say(text)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


def _simulate(
    store: Path, seed: int, shape: tuple[int, int], tier: str, *, progress: bool | None
) -> tuple[xr.DataTree, GeoDataFrame]:
    """Return the cube of both tracks, written to ``store`` and opened from it, and the truth."""
    from .cube import save_cube
    from .simulate import scene

    made = scene(seed, shape=shape, tier=tier, chunks={"pair": 8})
    tree = save_cube(made.cube, store, mode="w", resume=False, pack=True, progress=progress)
    return tree, made.truth


class Detection(NamedTuple):
    """What one way of detecting found."""

    found: GeoDataFrame
    stacks: Mapping[str, xr.Dataset]
    """The phase-gradient stack of each track (rate, rad m-1 year-1)."""
    settings: dict[str, Any]


def _finder(method: str, model: Any, progress: bool | None) -> Callable[[xr.DataTree, Clock], Detection]:  # noqa: FBT001
    """Return what detects; raise ValueError where it cannot."""
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if method == "threshold":
        return partial(_by_thresholds, progress=progress)
    from .models.runtime import runtime_of

    return partial(_by_model, model=runtime_of(model), progress=progress)


def _by_thresholds(tracks: xr.DataTree, clock: Clock, *, progress: bool | None) -> Detection:
    """Detect in the stack of each track, in memory, and merge."""
    from . import phase_gradient_stack
    from .detection import detect_threshold
    from .inventory import merge_inventories
    from .progress import bar

    stacks = {}
    with clock.step("stack", "filtering and stacking phase gradients"):
        for name, node in tracks.children.items():
            with bar(progress):
                stacks[str(name)] = phase_gradient_stack(node.to_dataset()).compute()
    with clock.step("detect", "detecting and merging"):
        found = merge_inventories({name: detect_threshold(stack) for name, stack in stacks.items()})
    settings = {"method": "threshold", "detection": dict(detect_threshold.__kwdefaults__ or {})}
    return Detection(found, stacks, settings)


def _by_model(tracks: xr.DataTree, clock: Clock, *, model: Any, progress: bool | None) -> Detection:
    """Show both tracks to a model; stacks are made where they are looked at."""
    from . import detect, phase_gradient_stack

    named = f"{model.card.name} {model.card.version}"
    with clock.step("detect", f"stacking phase gradients and detecting (model {named})"):
        found = detect(tracks, model=model, progress=progress)
    told = {name: found.attrs[name] for name in ("model", "version", "threshold", "inputs")}
    stacks = {str(name): phase_gradient_stack(node.to_dataset()) for name, node in tracks.children.items()}
    return Detection(found, stacks, {"method": "model", "detection": told})


def _score(found: GeoDataFrame, truth: GeoDataFrame) -> DataFrame:
    from .inventory import evaluate_inventory

    return evaluate_inventory(found, truth, min_snr=MIN_SNR)


def _write_tables(path: Path, found: GeoDataFrame, truth: GeoDataFrame) -> None:
    path.unlink(missing_ok=True)
    found.to_file(path, layer="found")
    truth.to_file(path, layer="truth")


def _draw(
    path: Path,
    found: GeoDataFrame,
    truth: GeoDataFrame,
    tracks: xr.DataTree,
    stacks: Mapping[str, xr.Dataset],
    scores: DataFrame,
    seed: int,
) -> None:
    """Draw what was found over the terrain, beside the gradients of the first track."""
    from matplotlib.figure import Figure

    from . import plot

    figure = Figure(figsize=(15.5, 5.6), layout="constrained")
    where, east, south = figure.subplots(1, 3)
    name, stack = next(iter(stacks.items()))
    plot.detections(found, tracks[name].to_dataset()["elevation"], truth=truth, ax=where)
    plot.gradients(stack, ax=(east, south))
    for ax in (east, south):
        ax.set_title(f"{name} track: {ax.get_title()}")
        ax.set_ylabel("")
    figure.suptitle(_headline(scores, seed))
    figure.savefig(path, dpi=130)


def _headline(scores: DataFrame, seed: int) -> str:
    hit, matched = scores.loc["hit"], scores.loc["iou_0.3"]
    place, outline = _three(hit), _three(matched)
    return f"Simulated landslides, seed {seed}.  By place: {place}.  By outline (IoU 0.3): {outline}."


def _three(row: Any) -> str:
    return f"precision {_two(row['precision'])}, recall {_two(row['recall'])}, F1 {_two(row['f1'])}"


def _two(share: float | None) -> str:
    """Return a share with two digits, a dash where it is of nothing."""
    return "–" if share is None or share != share else f"{share:.2f}"


def _report(
    found: GeoDataFrame,
    truth: GeoDataFrame,
    scores: DataFrame,
    clock: Clock,
    scene: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    from . import __version__

    return {
        "simulated": True,
        "note": "Scores on one simulated scene with known truth; real data are harder.",
        "scene": scene,
        "settings": {**settings, "min_snr": MIN_SNR},
        "found": len(found),
        "truth": len(truth),
        "scores": {name: _row(row) for name, row in scores.iterrows()},
        "versions": {"xinsar": __version__, **{name: version(name) for name in _LIBRARIES}},
        "seconds": {**clock.seconds, "total": round(sum(clock.seconds.values()), 2)},
    }


def _row(row: Any) -> dict[str, float | None]:
    """Return scores as JSON knows them: NaN becomes null."""
    return {name: None if value != value else round(float(value), 4) for name, value in row.items()}


def _summary(report: Mapping[str, Any]) -> str:
    hit, matched = report["scores"]["hit"], report["scores"]["iou_0.3"]
    place, outline = _two(hit["f1"]), _two(matched["f1"])
    return (
        f"simulated truth: {hit['recalled']:.0f} of {hit['truth']:.0f} landslides found, {hit['right']:.0f} "
        f"of {hit['found']:.0f} detections right; F1 {place} by place, {outline} by outline (IoU 0.3); "
        f"{report['seconds']['total']:.0f} s"
    )
