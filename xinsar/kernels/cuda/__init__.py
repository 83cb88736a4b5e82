"""CUDA twins of the kernels, run by CuPy: the same formulas, the same order of operations, the same errors."""

from xinsar.kernels.cuda.density import convolve, splat
from xinsar.kernels.cuda.launch import (
    coherence_filter,
    exact_sums,
    fold_edges,
    fold_rate,
    gi_star,
    mean_square,
    phase_gradient,
    solve_rate,
)

__all__ = [
    "coherence_filter",
    "convolve",
    "exact_sums",
    "fold_edges",
    "fold_rate",
    "gi_star",
    "mean_square",
    "phase_gradient",
    "solve_rate",
    "splat",
]
