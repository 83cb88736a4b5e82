"""Draw how looks, slopes and shadows are counted into docs/images: ``make pictures``."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.patches import Arc, Polygon
from pictures import _save

from xinsar.operations.terrain import look_geometry
from xinsar.simulate.geometry import downslope_vector, los_vector, sensitivity

_BLUE, _RED, _GREEN, _GRAY = "#0072B2", "#D55E00", "#009E73", "0.45"
_TRACKS = (("ascending", 348.0, _BLUE), ("descending", 192.0, _RED))
_INCIDENCE = 39.0


def _vector(ax: Any, start: Any, end: Any, color: str, **style: Any) -> None:
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14}
    ax.annotate("", tuple(end), tuple(start), arrowprops=arrow | style)


def _plain(ax: Any, title: str, **limits: Any) -> None:
    ax.set(aspect="equal", xticks=[], yticks=[], **limits)
    ax.text(0.5, 0.98, title, transform=ax.transAxes, ha="center", va="top", fontsize=11)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _azimuth(degrees: float) -> Any:
    """Return the direction of an azimuth in a plan with north up."""
    return np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])


def _east_and_up(ax: Any) -> None:
    """Draw both lines of sight in the plane of east and up."""
    ax.plot([-1.25, 1.25], [0, 0], color="0.3", lw=1.2)
    ax.fill_between([-1.25, 1.25], 0, -0.12, color="0.9", lw=0)
    ax.plot([0, 0], [0, 1.3], color=_GRAY, lw=0.9, ls=":")
    for name, heading, color in _TRACKS:
        east, _, up = los_vector(heading, _INCIDENCE)
        plane = np.array([east, up])
        ax.plot(*np.stack([0 * plane, 1.62 * plane]).T, color=color, lw=0.9, ls="--")
        _vector(ax, (0, 0), plane, color)
        ax.plot(*(1.62 * plane), marker="s", ms=9, color=color)
        side = np.sign(east)
        ax.text(*(1.62 * plane + (0, 0.1)), f"{name} satellite", color=color, ha="center", fontsize=9.5)
        ax.text(*(0.72 * plane + (0.11 * side, -0.02)), "$l$", color=color, ha="center", fontsize=15)
        span = (90, 90 + _INCIDENCE) if side < 0 else (90 - _INCIDENCE, 90)
        ax.add_patch(Arc((0, 0), 0.9, 0.9, theta1=span[0], theta2=span[1], color=_GRAY, lw=1))
        ax.text(side * 0.17, 0.53, "$i$", color="0.2", ha="center", fontsize=13)
    ax.text(0.03, 1.28, "up", fontsize=9.5, va="top")
    ax.text(1.25, 0.03, "east", fontsize=9.5, ha="right")
    ax.text(0, -0.06, "ground", fontsize=9, ha="center", va="center", color="0.35")
    _plain(
        ax,
        "seen toward north: $l$ points from the ground to the satellite",
        xlim=(-1.5, 1.5),
        ylim=(-0.2, 1.68),
    )


def _headings(ax: Any) -> None:
    """Draw both orbits from above: heading, clockwise from north, and the look to its right."""
    ax.plot(0, 0, "o", color="0.2", ms=6)
    ax.text(0, -0.12, "ground", ha="center", va="top", fontsize=9)
    for name, heading, color in _TRACKS:
        place, along = 1.15 * _azimuth(heading - 90), _azimuth(heading)
        ax.plot(*np.stack([place - 0.75 * along, place + 0.45 * along]).T, color=color, lw=0.8, ls="--")
        _vector(ax, place, place + 0.95 * along, color)
        _vector(ax, place, 0.08 * place, color, ls=":", lw=1.4)
        ax.plot(*place, marker="s", ms=9, color=color)
        ax.plot(*np.stack([place, place + np.array([0, 0.62])]).T, color=_GRAY, lw=0.9, ls=":")
        turn = np.radians(np.linspace(3, heading - 6, 90))
        arc = place[:, None] + 0.36 * np.stack([np.sin(turn), np.cos(turn)])
        ax.plot(*arc, color=_GRAY, lw=1)
        _vector(ax, arc[:, -2], arc[:, -1], _GRAY, lw=1, mutation_scale=9)
        outward = np.sign(place[0])
        ax.text(place[0] + outward * 0.43, place[1] - 0.06, f"$a$ = {heading:.0f}°", fontsize=9.5, color="0.2",
                ha="left" if outward > 0 else "right")  # fmt: skip
        end = place + 1.0 * along
        ax.text(*np.add(end, (0, 0.03 * np.sign(along[1]))), name, color=color, ha="center", fontsize=9.5,
                va="bottom" if along[1] > 0 else "top")  # fmt: skip
        ax.text(*np.add(0.5 * place, (0, 0.07)), "look", color=color, ha="center", fontsize=9)
    _vector(ax, (0, 0.75), (0, 1.15), "0.2", lw=1.4)
    ax.text(0, 1.18, "N", ha="center", va="bottom", fontsize=10)
    _plain(
        ax,
        "from above: heading $a$ clockwise from north, looking right",
        xlim=(-2.1, 2.1),
        ylim=(-1.35, 1.65),
    )


def looks() -> None:
    """Draw the two looks, from the south and from above."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.3), layout="constrained", width_ratios=(1.08, 1))
    _east_and_up(axes[0])
    _headings(axes[1])
    _save(figure, "looks")


def _oblique(east: Any, north: Any, up: Any) -> Any:
    """Return where a point in space is drawn: seen from the south-southwest, from above."""
    turn, tilt = np.radians(14), np.radians(30)
    x = east * np.cos(turn) - north * np.sin(turn)
    depth = east * np.sin(turn) + north * np.cos(turn)
    return np.stack([x, depth * np.sin(tilt) + up * np.cos(tilt)], axis=-1)


def _arc_between(one: Any, other: Any, radius: float) -> Any:
    """Return the arc from one direction in space to another."""
    share = np.linspace(0, 1, 40)[:, None]
    path = one * (1 - share) + other * share
    return _oblique(*(radius * path / np.linalg.norm(path, axis=1, keepdims=True)).T)


def _slope_in_space(ax: Any) -> None:
    """Draw a slope with its aspect, its angle and the vector that points down it."""
    slope, aspect = 30.0, 125.0
    down = downslope_vector(slope, aspect)
    level = np.array([*_azimuth(aspect), 0.0])
    along = np.array([*_azimuth(aspect + 90), 0.0])
    horizontal = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], float)
    lower, upper = (
        np.array([0.95 * a * down + 0.75 * b * along for a, b in ((0, -1), (0, 1), (end, 1), (end, -1))])
        for end in (1, -1)
    )
    earth = {"fc": "#c9b79c", "ec": "#7a6a50", "lw": 1}
    ax.add_patch(Polygon(_oblique(*lower.T), **earth))
    ax.add_patch(Polygon(_oblique(*horizontal.T * 1.2), fc="0.97", ec="0.6", lw=0.8, alpha=0.6))
    ax.add_patch(Polygon(_oblique(*upper.T), **earth))
    origin = _oblique(0.0, 0.0, 0.0)
    _vector(ax, origin, _oblique(*(1.25 * down)), _RED)
    ax.text(*np.add(_oblique(*(1.32 * down)), (0.04, -0.03)), "$u$", color=_RED, fontsize=15)
    _vector(ax, origin, _oblique(*(1.2 * level)), "0.25", lw=1.2, ls="--")
    for name, east, north in (("N", 0.0, 1.0), ("E", 1.0, 0.0)):
        _vector(ax, origin, _oblique(1.1 * east, 1.1 * north, 0.0), "0.25", lw=1.2)
        ax.text(*_oblique(1.17 * east, 1.17 * north, 0.0), name, fontsize=11, ha="center", va="center")
    arc = _oblique(*(0.62 * np.stack([*_azimuth(np.linspace(0, aspect, 60)), np.zeros(60)])))
    ax.plot(*arc.T, color="0.2", lw=1.2)
    _vector(ax, arc[-3], arc[-1], "0.2", lw=1.2, mutation_scale=9)
    ax.text(
        *(_oblique(*(0.78 * np.array([*_azimuth(58), 0.0]))) - (0, 0.03)), "$A$", fontsize=14, ha="center"
    )
    ax.plot(*_arc_between(level, down, 0.95).T, color="0.2", lw=1.2)
    ax.text(*np.add(_oblique(*(0.51 * (level + down))), (0.03, -0.03)), "$B$", fontsize=14)
    _plain(ax, "aspect $A$ from north, slope $B$, and $u$ down the slope", xlim=(-1.8, 1.8), ylim=(-1.2, 1.3))


def _sensitivities(ax: Any) -> None:
    """Draw, in the plane of east and up, how much of a motion down slopes of several angles is seen."""
    east, _, up = los_vector(_TRACKS[0][1], _INCIDENCE)
    look = np.array([east, up])
    ax.plot([-1.3, 1.3], [0, 0], color="0.6", lw=1)
    _vector(ax, (0, 0), 1.05 * look, _BLUE)
    ax.text(*(1.1 * look), "$l$ (ascending)", color=_BLUE, ha="center", va="bottom", fontsize=10)
    across = np.array([up, -east]) / np.hypot(east, up)
    ax.plot(*np.stack([-1.25 * across, 1.25 * across]).T, color="0.2", lw=1, ls="--")
    style = {"rotation": np.degrees(np.arctan2(*across[::-1])), "rotation_mode": "anchor"}
    ax.text(*np.add(1.05 * across, (0.02, -0.04)), "blind line", fontsize=9.5, ha="center", va="top", **style)
    for slope, aspect in (
        (15.0, 90.0),
        (40.0, 90.0),
        (65.0, 90.0),
        (15.0, 270.0),
        (38.4, 270.0),
        (65.0, 270.0),
    ):
        down = downslope_vector(slope, aspect)[[0, 2]]
        share = float(sensitivity(slope, aspect, _TRACKS[0][1], _INCIDENCE))
        color = _GRAY if abs(share) < 0.02 else _RED if share < 0 else _GREEN
        _vector(ax, (0, 0), 0.85 * down, color, lw=1 + 2 * abs(share))
        said = "0" if abs(share) < 0.02 else f"{share:.2f}".replace("-", "−").replace("0.", ".")
        beside = (0.06, -0.11) if said == "0" else (0, 0)
        ax.text(*(0.97 * down + beside), said, color=color, ha="center", va="center", fontsize=10)
    ax.text(-0.95, 0.05, "slopes toward west", fontsize=9, ha="center", color="0.35")
    ax.text(0.9, 0.05, "slopes toward east", fontsize=9, ha="center", color="0.35")
    _plain(ax, "share $S = u \\cdot l$ of a motion down the slope", xlim=(-1.45, 1.45), ylim=(-1.05, 1.25))


def slope_frame() -> None:
    """Draw what slope, aspect and sensitivity mean."""
    figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.3), layout="constrained")
    _slope_in_space(axes[0])
    _sensitivities(axes[1])
    _save(figure, "slope_frame")


_GROUND = (
    (0, 0),
    (900, 0),
    (2200, 420),
    (3300, 0),
    (4300, 0),
    (5050, 1150),
    (5450, 250),
    (5700, 0),
    (7400, 0),
)
"""Corners of a profile along the look, metres: a hill, and a mountain that is steep on both sides."""
_STATES = {"": "0.55", "foreshortened": _GREEN, "layover": _RED, "shadow": _BLUE}


def _profile() -> tuple[Any, Any, Any]:
    """Return distance and height along a profile, and how a satellite on the left sees each piece of it."""
    x = np.arange(0, 7400.0, 5)
    z = np.interp(x, *np.array(_GROUND, float).T)
    wide = xr.DataArray(np.tile(z, (3, 1)), dims=("y", "x"), coords={"y": [10.0, 5.0, 0.0], "x": x})
    wide.x.attrs["units"] = "m"
    found = look_geometry(
        wide.to_dataset(name="elevation").assign_attrs(heading=0.0, incidence=_INCIDENCE)
    ).isel(y=1)
    state = np.where(found.foreshortening < 0.97, "foreshortened", "").astype("U16")
    state[found.layover.values] = "layover"
    state[found.shadow.values] = "shadow"
    return x, z, state


def _lanes(place: Any, state: Any) -> Any:
    """Return the lane of every piece in the image: a new one where its order turns round."""
    lane, turns, farthest = np.zeros(place.size, int), 0, -np.inf
    forward = np.gradient(place) >= 0
    for k in range(place.size):
        if k and forward[k] != forward[k - 1]:
            turns += 1
        if turns and place[k] > farthest and forward[k]:
            turns = 0
        farthest = max(farthest, place[k])
        lane[k] = turns
    return np.where(state == "shadow", -1, lane)


def _strips(ax: Any, x: Any, y: Any, state: Any, width: float, *, whole: Any = True) -> None:
    """Draw a line in the colours of its pieces, those left out that are not ``whole``."""
    for name, color in _STATES.items():
        drawn = np.flatnonzero((state[:-1] == name) & whole)
        pieces = [np.stack([x[k : k + 2], y[k : k + 2]], 1) for k in drawn]
        ax.add_collection(LineCollection(pieces, colors=color, lw=width, capstyle="butt"))


def _wavefront(ax: Any, at: tuple[float, float], color: str) -> None:
    """Draw the line of all places as far from the satellite as one, down to flat ground, and on to the image."""
    foot = at[0] - at[1] / np.tan(np.radians(_INCIDENCE))
    ax.plot([at[0], foot, foot], [at[1], 0, -330], color=color, lw=0.8, ls="--")


def range_profile() -> None:
    """Draw a profile of ground, how it is seen, and where each piece of it comes to lie in the image."""
    x, z, state = _profile()
    along = np.array([-np.sin(np.radians(_INCIDENCE)), np.cos(np.radians(_INCIDENCE))])
    figure, ax = plt.subplots(figsize=(11, 3.9), layout="constrained")
    ax.fill_between(x, z, -120, color="0.93", lw=0)
    _strips(ax, x, z, state, 4)
    place = x - z / np.tan(np.radians(_INCIDENCE))
    lane = _lanes(place, state)
    one = (np.diff(lane) == 0) & (lane[:-1] >= 0)
    _strips(ax, place, -420.0 - 110 * lane, state, 7, whole=one)
    for corner in _GROUND[2], _GROUND[5]:
        _wavefront(ax, corner, "0.4")
    hidden = np.flatnonzero(state == "shadow")
    end = np.array([x[hidden[-1]], z[hidden[-1]]])
    ax.plot(*np.stack([end, end + 2050 * along]).T, color=_BLUE, lw=1, ls="--")
    ax.text(*(end + 2050 * along + (40, 20)), "last ray that passes the top", color=_BLUE, fontsize=9)
    steep = np.flatnonzero(np.gradient(z, x) < -1 / np.tan(np.radians(_INCIDENCE)))
    ax.text(x[steep[-1]] + 220, 560, "turned away (active)", color=_BLUE, fontsize=9, va="center")
    ax.text(end[0] + 60, 60, "hidden behind (passive)", color=_BLUE, fontsize=9)
    start = np.array([520.0, 900.0])
    _vector(ax, start + 700 * along, start, "0.2", lw=1.4)
    ax.plot([start[0]] * 2, [start[1], start[1] + 620], color=_GRAY, lw=0.9, ls=":")
    ax.text(start[0] - 120, start[1] + 330, "$i$", fontsize=12)
    ax.text(*(start + 730 * along), "from the satellite", fontsize=9, ha="center", va="bottom")
    foot, top = (
        np.array([_GROUND[5][0] - _GROUND[5][1] / np.tan(np.radians(_INCIDENCE)), 0]),
        np.array(_GROUND[5]),
    )
    ax.text(*(0.5 * (foot + top) + (-30, 40)), "equally far from the satellite", fontsize=9, color="0.3", ha="center",
            rotation=_INCIDENCE, rotation_mode="anchor")  # fmt: skip
    ax.text(-60, -420, "in the image", fontsize=9.5, ha="right", va="center")
    ax.text(-60, 0, "ground", fontsize=9.5, ha="right", va="center")
    ax.plot(place[hidden[[0, -1]]], [-420, -420], color=_BLUE, lw=1, ls=":")
    for name, color in list(_STATES.items())[1:]:
        ax.plot([], [], color=color, lw=4, label=name)
    ax.legend(frameon=False, ncols=3, loc="upper right", fontsize=9.5)
    _plain(ax, "", xlim=(-850, 7450), ylim=(-640, 2150))
    _save(figure, "range_profile")


def main() -> None:
    """Draw all of them."""
    looks()
    slope_frame()
    range_profile()


if __name__ == "__main__":
    main()
