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
from xinsar.kernels.cuda.los import geometry, motion
from xinsar.kernels.cuda.network import invert_network
from xinsar.kernels.cuda.series import monthly_velocity, regression

__all__ = [
    "coherence_filter",
    "convolve",
    "exact_sums",
    "fold_edges",
    "fold_rate",
    "geometry",
    "gi_star",
    "invert_network",
    "mean_square",
    "monthly_velocity",
    "motion",
    "phase_gradient",
    "regression",
    "solve_rate",
    "splat",
]
