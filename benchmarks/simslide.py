"""SimSlide: score detectors on simulated scenes that no training has seen. One command for any model.

Run from the top of the checkout, for example::

    python -m benchmarks.simslide --model default                       # medium tier: 400 tiles and the baselines
    python -m benchmarks.simslide --model my.onnx --tier easy medium hard --sets 3 --inputs --shift --survey 8
    python -m benchmarks.simslide --quick                               # a few tiles, baselines only, seconds
    python -m benchmarks.simslide --table                               # the results on file, as Markdown

Every result is a line of JSON in ``benchmarks/results/simslide.jsonl`` (``--out``). What the splits and figures mean is
told in ``docs/simslide.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import simslide_data as data
from benchmarks import simslide_results as results
from benchmarks import simslide_run as running
from benchmarks.simslide_models import BASELINES, contender
from benchmarks.simslide_scores import Choice

QUICK = {"tiles": 3, "val": 2, "side": 128, "survey_side": 512, "half_real": 1}
"""Sizes that only show that everything runs."""
HALF_REAL = 40
"""Scenes of each set of measured data."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    out = argparse.ArgumentParser(prog="python -m benchmarks.simslide", description=__doc__.splitlines()[0])
    add = out.add_argument
    add(
        "--model",
        nargs="*",
        default=[],
        help="default, a path of weights, a name; velocity_threshold, gi_star, ...",
    )
    add("--tier", nargs="+", default=["medium"], choices=data.TIERS, help="tiers of the simulator (medium)")
    add("--tiles", type=int, default=400, help="test tiles of each tier and set (400)")
    add("--val", type=int, default=400, help="validation tiles that the thresholds are chosen on (400)")
    add(
        "--sets",
        type=int,
        default=1,
        choices=range(1, data.SETS + 1),
        help="test sets; 3 for a published result",
    )
    add("--threshold", type=float, help="use this threshold; no validation tiles")
    add(
        "--inputs",
        action="store_true",
        help="also cubes that hold less: one track, no gradients, no terrain, ...",
    )
    add("--shift", action="store_true", help="also the other track alone, and other wavelengths")
    add("--side", type=int, default=data.TILE, help=argparse.SUPPRESS)
    add("--survey", type=int, default=0, metavar="N", help="also N survey scenes of 4096 x 4096 pixels (8)")
    add("--survey-side", type=int, default=data.SURVEY, help="pixels of their side")
    add(
        "--half-real",
        metavar="DIR",
        help="also simulated slides on real noise, from the data sets in this folder",
    )
    add("--no-baselines", action="store_true", help="leave the plain rules out")
    add(
        "--workers",
        type=int,
        default=2,
        help="processes (tiles) and threads (survey scenes); 0: none beside this",
    )
    add("--cache", metavar="DIR", help="keep the scenes here for the next run (none are kept)")
    add("--out", type=Path, help=f"file that results are added to ({results.FILE.name}; with --quick: none)")
    add("--quick", action="store_true", help="a few tiles: shows that it runs, measures nothing")
    add(
        "--table",
        nargs="?",
        const="-",
        metavar="PAGE",
        help="print the results on file, or put them into a page",
    )
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    given = parser().parse_args(arguments)
    if given.table:
        text = results.table(results.read(given.out or results.FILE))
        print(text) if given.table == "-" else results.write_table(text, Path(given.table))
        return 0
    if given.quick:
        given.tiles, given.val = min(given.tiles, QUICK["tiles"]), min(given.val, QUICK["val"])
        given.side, given.survey_side = (
            min(given.side, QUICK["side"]),
            min(given.survey_side, QUICK["survey_side"]),
        )
    path = given.out or (None if given.quick else results.FILE)
    for record in run(given):
        if path is not None:
            results.append(path, record)
    if path is not None:
        print(f"added to {path}")
    return 0


def run(given: Any) -> Iterator[dict[str, Any]]:
    """Yield the records of a run, as they are ready."""
    contenders = [contender(name) for name in given.model]
    named = {c.name for c in contenders}
    if not given.no_baselines or not contenders:
        contenders += [rule for rule in BASELINES if rule.name not in named]
    origins = {c.name: results.origin(c) for c in contenders}
    plan = running.Plan(
        tiles=given.tiles,
        val=given.val,
        sets=given.sets,
        inputs=tuple(data.INPUTS) if given.inputs else ("test",),
        shifts=tuple(data.SHIFTS) if given.shift else (),
        cache=given.cache,
        side=given.side,
    )
    with running.Crew(given.workers) as crew:
        for tier in given.tier:
            for record in _tier(contenders, tier, plan, crew, given):
                yield {**origins[record["model"]], **record}


def _tier(
    contenders: Any, tier: str, plan: running.Plan, crew: running.Crew, given: Any
) -> Iterator[dict[str, Any]]:
    if given.threshold is None:
        choices = running.choose(contenders, tier, plan, crew, say)
    else:
        choices = {c.name: Choice(c.default if c.baseline else given.threshold, 0.0) for c in contenders}
    if plan.tiles:
        yield from running.run_tiles(contenders, tier, choices, plan, crew, say)
    if given.half_real:
        yield from running.run_half_real(
            contenders,
            tier,
            choices,
            folder=given.half_real,
            number=QUICK["half_real"] if given.quick else HALF_REAL,
            cache=given.cache,
            crew=crew,
            say=say,
        )
    if given.survey:
        yield from running.run_survey(
            contenders,
            tier,
            choices,
            number=given.survey,
            side=given.survey_side,
            folder=given.cache,
            workers=given.workers,
            say=say,
        )


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
