"""The slowest, plainest float64 version of every operation on phases: loops over pixels, formulas as printed.

Nothing here is taken from the package, and nothing here is clever: these are what the fast versions are held against.
Arrays are (pair, y, x); a gradient belongs to the edge between its pixel and the next one along increasing index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize

YEAR = 365.25
MIN_WEIGHT = 0.5
TOP_COHERENCE = 0.98


def wrap(angle):
    """W(a): the angle within (-pi, pi]."""
    return -((-np.asarray(angle, float) + np.pi) % (2 * np.pi) - np.pi)


@dataclass(frozen=True)
class Window:
    """What one pixel's window holds."""

    z: complex
    weight: float
    valid: int
    possible: int
    centre: bool

    @property
    def mean_coherence(self) -> float:
        return self.weight / self.valid if self.valid else np.nan


def window_at(phase, coherence, y: int, x: int, size: int) -> Window:
    """Sum ``coherence exp(i phase)`` over the valid pixels of a window, those inside the image only."""
    half = size // 2
    z, weight, valid, possible = 0j, 0.0, 0, 0
    for row in range(max(y - half, 0), min(y + half + 1, phase.shape[0])):
        for col in range(max(x - half, 0), min(x + half + 1, phase.shape[1])):
            possible += 1
            c = 1.0 if coherence is None else float(coherence[row, col])
            if np.isfinite(phase[row, col]) and np.isfinite(c):
                z += c * np.exp(1j * float(phase[row, col]))
                weight += c
                valid += 1
    c = 1.0 if coherence is None else coherence[y, x]
    return Window(z, weight, valid, possible, bool(np.isfinite(phase[y, x]) and np.isfinite(c)))


def coherence_filter(phase, coherence, *, window: int, fill: bool = False):
    """Filtered phase and consistency of every pair (design: 4.1)."""
    filtered, consistency = np.full(phase.shape, np.nan), np.full(phase.shape, np.nan)
    for k, y, x in np.ndindex(phase.shape):
        here = window_at(phase[k], None if coherence is None else coherence[k], y, x, window)
        if here.weight > 0 and (here.centre or fill):
            filtered[k, y, x] = np.angle(here.z)
            consistency[k, y, x] = abs(here.z) / here.weight
    return filtered, consistency


def edge(a: Window, b: Window) -> complex | None:
    """d = z(p+1) conj(z(p)), or None where the pair has no gradient here."""
    enough = a.valid + b.valid >= MIN_WEIGHT * (a.possible + b.possible)
    if a.centre and b.centre and enough and a.weight > 0 and b.weight > 0:
        return b.z * np.conj(a.z)
    return None


def edge_weight(a: Window, b: Window) -> float:
    """w = 1/(1/q(p) + 1/q(p+1)), q = c^2/(1-c^2), c the window mean of coherence, at most .98."""
    c = [min(w.mean_coherence, TOP_COHERENCE) for w in (a, b)]
    q = [v**2 / (1 - v**2) for v in c]
    return 1 / (1 / q[0] + 1 / q[1])


def edges(phase, coherence, window: int) -> Iterator[tuple[int, int, int, int, complex, float]]:
    """Yield (pair, direction, y, x, d, w) of every edge that is there; direction 0 is y, 1 is x."""
    for k in range(phase.shape[0]):
        weights = None if coherence is None else coherence[k]
        windows = {p: window_at(phase[k], weights, *p, window) for p in np.ndindex(phase.shape[1:])}
        for (y, x), here in windows.items():
            for direction, after in enumerate(((y + 1, x), (y, x + 1))):
                d = edge(here, windows[after]) if after in windows else None
                if d is not None:
                    yield k, direction, y, x, d, edge_weight(here, windows[after])


def phase_gradient(phase, coherence, *, window: int):
    """arg d of every pair: (2, pair, y, x), direction 0 is y."""
    out = np.full((2, *phase.shape), np.nan)
    for k, direction, y, x, d, _ in edges(phase, coherence, window):
        out[direction, k, y, x] = np.angle(d)
    return out


@dataclass(frozen=True)
class Observations:
    """All pairs at one edge."""

    pairs: list[int]
    d: list[complex]
    w: list[float]

    @property
    def u(self):
        return np.array(self.d) / np.abs(self.d)

    @property
    def weights(self):
        return np.array(self.w)


def observations(phase, coherence, window: int) -> dict[tuple[int, int, int], Observations]:
    """Edges of all pairs, gathered by (direction, y, x)."""
    found: dict[tuple[int, int, int], Observations] = {}
    for k, direction, y, x, d, w in edges(phase, coherence, window):
        here = found.setdefault((direction, y, x), Observations([], [], []))
        here.pairs.append(k)
        here.d.append(d)
        here.w.append(w)
    return found


def summed(phase, coherence, days, *, window: int, wrapped: bool, normalise: bool = False):
    """Sum of arg d over the pairs, (2, y, x); ``wrapped``: wrapped once more."""
    out = np.full((2, *phase.shape[1:]), np.nan)
    for place, seen in observations(phase, coherence, window).items():
        total = float(np.sum(np.angle(seen.d)))
        if normalise:
            total *= np.sum(days) / np.sum(np.asarray(days)[seen.pairs])
        out[place] = wrap(total) if wrapped else total
    return out


def counted(phase, coherence, days, *, window: int):
    """Number of pairs and sum of their years at each pixel, the larger of both directions."""
    count, years = np.zeros((2, *phase.shape[1:]), int), np.zeros((2, *phase.shape[1:]))
    for place, seen in observations(phase, coherence, window).items():
        count[place], years[place] = len(seen.pairs), np.sum(np.asarray(days)[seen.pairs]) / YEAR
    return count.max(0), years.max(0)


def agreement(rate, seen: Observations, years, phases=0.0):
    """J(r) = Re sum_k w_k u_k exp(-i (dt_k r + phases_k))."""
    return float(np.real(np.sum(seen.weights * seen.u * np.exp(-1j * (years[seen.pairs] * rate + phases)))))


def best_rate(seen: Observations, years) -> float:
    """The r with the largest J, |r| <= pi / (shortest interval seen): a fine grid, then Brent's method on its tops."""
    limit, step = np.pi / years[seen.pairs].min(), 0.1 / years.max()
    grid = np.arange(-np.ceil(limit / step), np.ceil(limit / step) + 1) * step
    turns = np.exp(-1j * np.outer(grid, years[seen.pairs]))
    heights = np.real(turns @ (seen.weights * seen.u))
    tops = []
    for start in grid[np.argsort(heights)[-3:]]:
        found = optimize.minimize_scalar(
            lambda r: -agreement(r, seen, years),
            bounds=(start - 2 * step, start + 2 * step),
            method="bounded",
            options={"xatol": 1e-10},
        )
        tops.append((-found.fun, found.x))
    return max(tops)[1]


def standard_error(rate, seen: Observations, years, dates) -> float:
    """Standard error of a rate from the literal weighted squared wrapped residuals; NaN below three dates.

    s^2 = sum(w e^2)/(K-1), so that the score does not depend on the scale of the weights.
    """
    number = len(seen.pairs)
    distinct = {dates[k][i] for k in seen.pairs for i in (0, 1)}
    if number < 2 or len(distinct) < 3:
        return np.nan
    residual = wrap(np.angle(seen.u) - years[seen.pairs] * rate)
    spread = np.sum(seen.weights * residual**2) / (number - 1)
    return np.sqrt(spread / np.sum(seen.weights * years[seen.pairs] ** 2) * max(1.0, number / len(distinct)))


def rate(phase, coherence, dates, *, window: int):
    """Rate (rad year-1 per pixel), agreement J/sum(w) and z score, each (2, y, x).

    ``dates`` holds (reference, secondary) of each pair in days.
    """
    years = np.array([(b - a) / YEAR for a, b in dates])
    out = np.full((3, 2, *phase.shape[1:]), np.nan)
    for place, seen in observations(phase, coherence, window).items():
        r = best_rate(seen, years)
        sigma = standard_error(r, seen, years, dates)
        height = agreement(r, seen, years) / seen.weights.sum()
        out[(slice(None), *place)] = r, height, r / sigma if sigma > 0 else np.nan
    return out


def rate_with_elevation(seen: Observations, years, levers) -> tuple[float, float]:
    """Rate and elevation error that maximise the exact J(r, h) = Re sum w u exp(-i (dt r + h b))."""
    levers = np.asarray(levers)[seen.pairs]
    start = [best_rate(seen, years), 0.0]
    scale = np.array([1 / years.max(), 1 / max(np.abs(levers).max(), 1e-12)])
    found = optimize.minimize(
        lambda p: -agreement(p[0] * scale[0], seen, years, phases=p[1] * scale[1] * levers),
        np.array(start) / scale,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000},
    )
    return tuple(found.x * scale)


def velocity(unwrapped, days, wavelength: float):
    """-wavelength/(4 pi) sum(phase dt)/sum(dt^2), dt in years, over the valid pairs."""
    years = np.asarray(days, float) / YEAR
    out = np.full(unwrapped.shape[1:], np.nan)
    for y, x in np.ndindex(out.shape):
        valid = np.isfinite(unwrapped[:, y, x])
        if valid.any():
            slope = np.sum(unwrapped[valid, y, x] * years[valid]) / np.sum(years[valid] ** 2)
            out[y, x] = -wavelength / (4 * np.pi) * slope
    return out


def in_season(reference: np.datetime64, secondary: np.datetime64, months: Iterable[int]) -> bool:
    """Both dates and every day between them lie in ``months``: walked day by day."""
    day, last = reference.astype("datetime64[D]"), secondary.astype("datetime64[D]")
    wanted = set(months)
    while day <= last:
        if int(str(day)[5:7]) not in wanted:
            return False
        day += np.timedelta64(1, "D")
    return True
