"""Draw the pictures of corrections into docs/images: ``make pictures``.

The reference is drawn from real data, only where their folder is (beside the checkout, or in $XINSAR_TEST_DATA); the
others from simulated fields with a fixed seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.patches import Rectangle
from pictures import SEED, _map, _real, _save

import xinsar
from xinsar import simulate
from xinsar.operations.deramp import deramp as without_ramp
from xinsar.operations.reference import reference_to as referred
from xinsar.operations.troposphere import subtract_gacos as without_delay

QUIET = ((14.06, 40.86), (14.10, 40.89))
_TO_MM = -1000 * 0.0555 / (4 * np.pi)


def _panels(count: int) -> tuple[Any, Any]:
    return plt.subplots(1, count, figsize=(4.9 * count, 3.7), layout="constrained")


def _box(ax: Any, corners: Any, **style: Any) -> None:
    (left, bottom), (right, top) = corners
    ax.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, lw=1.5, **style))


def reference_to(folder: Path) -> None:
    """Draw the velocities of Campi Flegrei as they come and referred to a quiet plain."""
    ds = xinsar.open_stack(folder, product="licsbas").load()
    figure, axes = _panels(2)
    style = {"cmap": "RdBu_r", "vmin": -60, "vmax": 60}
    for ax, found, title in zip(
        axes,
        (ds, referred(ds, QUIET)),
        ("as it comes: half of it sinks by 23 or more", "referred to the box: Pozzuoli rises by 78"),
        strict=True,
    ):
        _map(ax, 1000 * found.velocity, title, "mm/year toward the satellite", **style)
        _box(ax, QUIET, ec="k")
    _save(figure, "reference_to")


def _ground(shape: tuple[int, int] = (200, 260)) -> xr.Dataset:
    """Return a simulated mountain without anything seen on it."""
    rng = np.random.default_rng(SEED)
    track = simulate.scene(SEED, shape=shape, tier="easy").cube["ascending"].to_dataset()
    noise = 0.25 * rng.standard_normal(shape)
    phase = track.phase.isel(pair=[0]).drop_attrs().rename("unwrapped_phase").compute()
    pair = phase.copy(data=noise[None]).assign_attrs(units="rad")
    return pair.to_dataset().assign(elevation=track.elevation.compute()).assign_attrs(track.attrs)


def _bowl(ds: xr.Dataset, place: tuple[float, float], width: float) -> xr.DataArray:
    """Return motion away from the satellite, rad: 26 mm at a place, given with the width in shares of the image."""
    across = float(ds.x[-1] - ds.x[0])
    y, x = ((ds[d] - ds[d][0]) / across for d in ("y", "x"))
    return 6 * np.exp(-((y + place[1]) ** 2 + (x - place[0]) ** 2) / width**2)


def _with(ds: xr.Dataset, more: xr.DataArray) -> xr.Dataset:
    """Return the pair with more phase in it."""
    phase = ds.unwrapped_phase
    return ds.assign(unwrapped_phase=phase.copy(data=phase.values + more.values))


def deramp() -> None:
    """Draw a pair with a tilt, a term of elevation and a bowl, and what two fits leave of it."""
    ds = _ground()
    bowl = _bowl(ds, (0.2, 0.4), 0.25)
    rows, columns = np.indices(ds.elevation.shape)
    height = (ds.elevation - ds.elevation.mean()) / ds.elevation.std()
    seen = _with(ds, bowl + 0.03 * columns - 0.02 * rows + 1.2 * height)
    still = bowl < 0.5
    options = {"terms": ("plane", "elevation")}
    figure, axes = _panels(3)
    style = {"cmap": "RdBu_r", "vmin": -25, "vmax": 25}
    for ax, found, title in zip(
        axes,
        (seen, without_ramp(seen, **options), without_ramp(seen, mask=still, **options)),
        ("as seen", "fitted everywhere: the bowl is made shallower", "fitted outside the line: it stays"),
        strict=True,
    ):
        values = _TO_MM * found.unwrapped_phase[0]
        _map(ax, values - float(values.where(still).mean()), title, "mm toward the satellite", **style)
        lowest = float(values.where(~still).min() - values.where(still).mean())
        ax.text(
            0.98,
            0.02,
            f"lowest: {lowest:.0f} mm",
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize=9,
        )
    axes[2].contour(ds.x, ds.y, still, levels=[0.5], colors="k", linewidths=1)
    _save(figure, "deramp")


def subtract_gacos() -> None:
    """Draw a pair through moist air, the delays of a model on a coarse grid, and what is left without them."""
    ds = _ground()
    bowl = _bowl(ds, (0.4, 0.35), 0.16)
    coarse = ds.elevation.coarsen(y=4, x=4, boundary="trim").mean()
    dates = [ds.reference_time.values[0], ds.secondary_time.values[0]]

    def delays(height: xr.DataArray) -> xr.DataArray:
        """2.3 m over sea level; the second date holds more moisture, most of it low."""
        dry = 2.3 * np.exp(-height / 8000)
        moist = 0.06 * np.exp(-height / 1500) * (1 + (height.x - height.x[0]) / 20_000)
        both = xr.concat([dry, dry + moist], "time").assign_coords(time=dates)
        return both.transpose("time", "y", "x").rename("zenith_delay").assign_attrs(units="m")

    up = np.cos(np.radians(ds.attrs["incidence"]))
    change = (delays(ds.elevation)[1] - delays(ds.elevation)[0]) / up * 4 * np.pi / ds.attrs["wavelength"]
    seen = _with(ds, bowl + change)
    found = without_delay(seen, delays(coarse))
    zenith = 1000 * (delays(coarse)[1] - delays(coarse)[0])
    figure, axes = _panels(3)
    style = {"cmap": "RdBu_r", "vmin": -30, "vmax": 30}
    for ax, one, title in (
        (axes[0], seen, "a pair through moist air"),
        (axes[2], found, "without the delay"),
    ):
        values = _TO_MM * one.unwrapped_phase[0]
        _map(ax, values - float(values.median()), title, "mm toward the satellite", **style)
    _map(axes[1], zenith, "zenith delay, second date less first", "mm", cmap="YlGnBu")
    _save(figure, "subtract_gacos")


def main() -> None:
    """Draw all of them."""
    deramp()
    subtract_gacos()
    if folder := _real("campi-flegrei-licsbas"):
        reference_to(folder)


if __name__ == "__main__":
    main()
