"""CUDA twins of the kernels, run by CuPy: the same formulas, the same order of operations, the same errors."""

from xinsar.kernels.cuda.launch import (
    coherence_filter,
    fold_edges,
    fold_rate,
    mean_square,
    phase_gradient,
    solve_rate,
)

__all__ = ["coherence_filter", "fold_edges", "fold_rate", "mean_square", "phase_gradient", "solve_rate"]
