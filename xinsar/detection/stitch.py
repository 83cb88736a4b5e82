"""Objects of many windows, made one list: a global merge in which no order of windows, tasks or rows matters.

A model of objects sees an object in every window that holds it. One that a window sees whole replaces what its
neighbours see of it; an object that no window sees whole is joined from its parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xinsar.detection.bodies import Body
from xinsar.mapping.windows import Box

Array = np.ndarray[Any, Any]

JOINED = -1
"""Window of an object that was joined from the parts that several windows see."""
ALIKE = 0.5
"""Least size of the smaller of two objects that are one, as a share of the larger: a small slide on a large stays."""

_NOWHERE = Box(0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Candidate(Body):
    """An object as one window sees it."""

    window: int = JOINED
    """Number of the window on the lattice; below -1 of a coarser pass."""
    view: Box = _NOWHERE
    """The pixels of the image that the window sees."""
    whole: bool = True
    """Whether it keeps clear of the window's border, where that is not the border of the image."""
    owned: bool = True
    """Whether its centre lies in the window's core."""

    @property
    def box(self) -> Box:
        """Rows and columns that it covers."""
        height, width = self.mask.shape
        return Box(self.top, self.top + height, self.left, self.left + width)

    def order(self) -> tuple[Any, ...]:
        """Return the key of a total order: the first of two that are one is kept."""
        return (
            not self.whole,
            self.window < JOINED,
            not self.owned,
            -self.score,
            *self.place[:2],
            -self.pixels,
            self.place,
            self.window,
        )


def merged(candidates: Iterable[Candidate], *, share: float) -> list[Candidate]:
    """Return each object once.

    1. Of two objects that were seen whole in different windows, are of one class, share at least ``share`` of the
       smaller one's pixels and are alike in size (:data:`ALIKE`), the first in order stays: finer pass, owned by its
       window, higher score, then place.
    2. A part, cut off by its window, that one seen whole covers by ``share`` is dropped.
    3. Parts that agree, by ``share`` of the smaller one, where both of their windows see, are joined; a part that no
       other agrees with stays if its window owns it.

    This is repeated until nothing changes. The result does not depend on the order of ``candidates``, and merging it
    again changes nothing.
    """
    found = sorted(candidates, key=Candidate.order)
    while True:
        whole = _best([c for c in found if c.whole], share)
        parts = _uncovered([c for c in found if not c.whole], whole, share)
        after = sorted([*whole, *_joined(parts, share)], key=Candidate.order)
        if len(after) == len(found) and all(a is b for a, b in zip(after, found, strict=True)):
            return after
        found = after


def _best(whole: Sequence[Candidate], share: float) -> list[Candidate]:
    """Return those that no earlier one of another window stands for."""
    kept: set[int] = set()
    near = _neighbours(whole, whole)
    for k, candidate in enumerate(whole):
        rivals = [whole[other] for other in near[k] if other in kept]
        if not any(_one(candidate, rival, share) for rival in rivals):
            kept.add(k)
    return [whole[k] for k in sorted(kept)]


def _one(a: Candidate, b: Candidate, share: float) -> bool:
    """Tell whether two objects seen whole are one and the same."""
    small, large = sorted((a.pixels, b.pixels))
    if a.label != b.label or (a.window == b.window != JOINED) or small < ALIKE * large:
        return False
    return common(a, b, a.box) >= share * small


def _uncovered(parts: Sequence[Candidate], whole: Sequence[Candidate], share: float) -> list[Candidate]:
    """Return the parts that none of the objects seen whole covers."""
    near = _neighbours(parts, whole)
    return [
        part
        for k, part in enumerate(parts)
        if not any(
            whole[w].label == part.label and common(part, whole[w], part.box) >= share * part.pixels
            for w in near[k]
        )
    ]


def _joined(parts: Sequence[Candidate], share: float) -> Iterator[Candidate]:
    """Yield the unions of parts that agree, and the owned ones that are left alone."""
    pairs = [
        (k, other)
        for k, near in enumerate(_neighbours(parts, parts))
        for other in near
        if other > k and _agree(parts[k], parts[other], share)
    ]
    for group in _groups(len(parts), pairs):
        if len(group) > 1:
            yield _union([parts[k] for k in group])
        elif parts[group[0]].owned:
            yield dataclasses.replace(parts[group[0]], whole=True)


def _groups(number: int, pairs: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield what is connected by pairs, each group in order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not number:
        return
    ends = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(number, number))
    labels = connected_components(graph, directed=False)[1]
    order = np.argsort(labels, kind="stable")
    for group in np.split(order, np.cumsum(np.bincount(labels))[:-1]):
        yield group.tolist()


def _agree(a: Candidate, b: Candidate, share: float) -> bool:
    """Tell whether two parts of different windows show one object where both windows see."""
    if a.label != b.label or a.window == b.window:
        return False
    zone = a.view.within(b.view)
    sizes = [int(_on(c, zone.within(c.box)).sum()) for c in (a, b)]
    return min(sizes) > 0 and common(a, b, zone) >= share * min(sizes)


def _on(candidate: Candidate, box: Box) -> Array:
    """Return the mask on a box inside its own."""
    return candidate.mask[box.inside(candidate.box)]


def common(a: Candidate, b: Candidate, zone: Box) -> int:
    """Return the number of pixels that two masks share in a zone."""
    box = a.box.within(b.box).within(zone)
    if 0 in box.shape:
        return 0
    return int(np.count_nonzero(_on(a, box) & _on(b, box)))


def _union(members: Sequence[Candidate]) -> Candidate:
    """Return one object of all pixels of its parts, with their best score and the mean of what they say."""
    boxes = np.array([m.box for m in members])
    whole = Box(*map(int, (boxes[:, 0].min(), boxes[:, 1].max(), boxes[:, 2].min(), boxes[:, 3].max())))
    mask = np.zeros(whole.shape, bool)
    for member in members:
        mask[member.box.inside(whole)] |= member.mask
    seen = 0
    for member in members:
        seen |= member.seen
    speeds = zip(*(m.velocity for m in members), strict=True)
    sizes = [m.pixels for m in members]
    return Candidate(
        top=whole.top,
        left=whole.left,
        mask=mask,
        score=max(m.score for m in members),
        label=members[0].label,
        seen=seen,
        velocity=tuple(_weighted(v, sizes) for v in speeds),
        view=whole,
    )


def _weighted(values: Sequence[float], weights: Sequence[int]) -> float:
    """Return the weighted mean of the finite values, NaN without any."""
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if np.isfinite(v)]
    return sum(v * w for v, w in pairs) / sum(w for _, w in pairs) if pairs else float("nan")


def _neighbours(of: Sequence[Candidate], among: Sequence[Candidate]) -> list[list[int]]:
    """Return, for each candidate, which others have a box that meets its own, in order."""
    near: list[list[int]] = [[] for _ in of]
    if of and among:
        from shapely import STRtree, box

        shapes = [[box(c.left, c.top, c.box.right, c.box.bottom) for c in some] for some in (of, among)]
        for k, other in sorted(zip(*STRtree(shapes[1]).query(shapes[0]).tolist(), strict=True)):
            if of[k] is not among[other]:
                near[k].append(other)
    return near
