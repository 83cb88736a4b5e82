"""Weighted mean of a stack, pair after pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from xinsar.backend import array_namespace


@dataclass(frozen=True)
class WeightedRate:
    """``sum(w_k x_k) / sum(w_k^2)`` over the valid pairs: the slope of a line through the origin.

    ``weights`` holds one weight a pair; a weight of 0 leaves the pair out.
    """

    weights: tuple[float, ...]

    outputs: ClassVar[tuple[str, ...]] = ("rate",)
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)

    @property
    def state_bytes(self) -> int:
        """Size of the state per pixel."""
        return 16

    def keep(self, kept: Any) -> WeightedRate:
        """Return the fold without the pairs that ``kept`` refuses."""
        return replace(self, weights=tuple(w if k else 0.0 for w, k in zip(self.weights, kept, strict=True)))

    def begin(self, like: Any, height: int, width: int) -> Any:
        """Return the empty state."""
        return array_namespace(like).zeros((2, height, width), np.float64)

    def add(self, state: Any, stack: Any, _: Any, first: int) -> Any:
        """Return the state after more pairs."""
        xp = array_namespace(stack)
        state = state.copy()
        for layer, weight in zip(stack, self.weights[first:], strict=False):
            valid = xp.isfinite(layer)
            state[0] += xp.where(valid, layer, 0) * weight
            state[1] += valid * weight**2
        return state

    def finish(self, state: Any) -> tuple[Any, ...]:
        """Return the rate, NaN where no pair is valid."""
        xp = array_namespace(state)
        known = state[1] > 0
        return (xp.where(known, state[0] / xp.where(known, state[1], 1), np.nan).astype(np.float32),)

    def run(self, stack: Any, coherence: Any) -> tuple[Any, ...]:
        """Return the outputs of a stack in memory."""
        return self.finish(self.add(self.begin(stack, *stack.shape[1:]), stack, coherence, 0))
