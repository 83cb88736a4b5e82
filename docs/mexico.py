"""Measure the estimators on the real Mexico City stack and write docs/_mexico.md: ``make pictures``.

The truth to compare with is the gradient of the classic stack of the unwrapped pairs, weighted by their time
spans, computed here in plain NumPy. Needs the folder of real data (beside the checkout, or in
$XINSAR_TEST_DATA).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xinsar

PAGE = Path(__file__).parent / "_mexico.md"
NAME = "mexico-city-s1-gamma-stack"
TEXT = """\
The Mexico City stack (Sentinel-1, GAMMA, {pairs} unwrapped pairs of {dates} dates in 2018, pixels of 150 m,
the city sinks by up to 0.3 m a year) is wrapped and stacked with `window=1` and all pairs. Compared with the
gradient of the time-weighted stack of the *unwrapped* pairs, where both pixels have a mean coherence above
0.5 and are valid in all pairs ({count_x} edges along x, {count_y} along y), the correlations are:

| estimator | along x | along y | largest absolute value |
|---|---|---|---|
{rows}

The sum of the gradients reaches many cycles there, so the raw wrapped sum is noise to the eye; summed without
the outer wrap, or as a rate, the same pairs give the true gradient.
"""


def _folder() -> Path:
    named = os.environ.get("XINSAR_TEST_DATA")
    base = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (base / NAME).is_dir():
        sys.exit(f"no folder {NAME} in {base}; set XINSAR_TEST_DATA")
    return base / NAME


def _years(ds: xr.Dataset) -> Any:
    return ((ds.secondary_time - ds.reference_time) / np.timedelta64(1, "D")).values / 365.25


def _truth(ds: xr.Dataset, axis: int) -> tuple[Any, Any]:
    """Return the gradient of the dt-weighted rate (rad per pixel and year) and where it is to be trusted."""
    years, phase = _years(ds)[:, None, None], ds.unwrapped_phase.values.astype(float)
    rate = (years * phase).sum(0) / (years**2).sum()
    good = np.isfinite(phase).all(0) & (ds.coherence.mean("pair").values > 0.5)
    both = np.logical_and(*(np.take(good, range(n, good.shape[axis] - 1 + n), axis) for n in (0, 1)))
    return np.diff(rate, axis=axis), both


def _compare(ds: xr.Dataset, estimator: str) -> str:
    stack = ds.insar.phase_gradient_stack(window=1, estimator=estimator).compute()
    found = {0: stack.gradient_y.values[:-1], 1: stack.gradient_x.values[:, :-1]}
    cells, largest = [], 0.0
    for axis in (1, 0):
        truth, good = _truth(ds, axis)
        good &= np.isfinite(found[axis])
        cells.append(f"{np.corrcoef(truth[good], found[axis][good])[0, 1]:.4f}")
        largest = max(largest, float(np.abs(found[axis][good]).max()))
    units = str(stack.gradient_x.attrs["units"])
    return f'| `"{estimator}"` | {cells[0]} | {cells[1]} | {largest:.3g} {units} |'


def main() -> None:
    """Write the page."""
    ds = xinsar.open_stack(_folder()).compute()
    rows = [_compare(ds, estimator) for estimator in ("rate", "sum", "wrapped_sum")]
    dates = np.unique(np.concatenate([ds.reference_time, ds.secondary_time])).size
    counts = {f"count_{d}": int(_truth(ds, axis)[1].sum()) for d, axis in (("x", 1), ("y", 0))}
    PAGE.write_text(TEXT.format(pairs=ds.sizes["pair"], dates=dates, rows="\n".join(rows), **counts))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
