"""Phase-gradient stacks (asv): kernel, Dask, from Zarr, and the peers beside them."""

from __future__ import annotations

import dask

import xinsar  # noqa: F401  (registers .insar)
from benchmarks import common, peers


class Stack:
    """The 5 x 5 filter, gradients and stack of one cube in memory."""

    params = ("wrapped_sum", "sum", "rate")
    param_names = ("estimator",)
    timeout = 900

    def setup(self, estimator: str) -> None:
        self.cube = common.cube(common.SHAPE if not common.FULL else (60, 1500, 1500))
        self.time_stack(estimator)  # compiles

    def time_stack(self, estimator: str) -> None:
        self.cube.insar.phase_gradient_stack(estimator=estimator, max_temporal_baseline=365)

    def peakmem_stack(self, estimator: str) -> None:
        self.cube.insar.phase_gradient_stack(estimator=estimator, max_temporal_baseline=365)


class StackThreads:
    """The same through Dask on one and two threads."""

    params = (1, 2)
    param_names = ("threads",)
    timeout = 900

    def setup(self, threads: int) -> None:
        shape = common.SHAPE if not common.FULL else (60, 1500, 1500)
        self.cube = common.cube(shape).chunk({"pair": 10, "y": shape[1] // 2, "x": -1})
        self.time_stack(threads)

    def time_stack(self, threads: int) -> None:
        with dask.config.set(scheduler="threads", num_workers=threads):
            self.cube.insar.phase_gradient_stack(estimator="wrapped_sum", max_temporal_baseline=365).compute()


class Peers:
    """What others would write, on the same data."""

    params = ("numpy_opencv", "scipy_textbook", "scipy_signal")
    param_names = ("peer",)
    timeout = 900

    def setup(self, peer: str) -> None:
        if peer == "numpy_opencv":
            try:
                import cv2  # noqa: F401
            except ImportError as error:
                raise NotImplementedError from error
        shape = common.SHAPE if not common.FULL else (4, 1500, 1500)
        self.phase, self.coherence, _ = common.stack_arrays(shape)

    def time_stack(self, peer: str) -> None:
        getattr(peers, peer)(self.phase, self.coherence)


class Pairs:
    """Operations that keep the pairs."""

    params = ("coherence_filter", "phase_gradient", "goldstein_filter")
    param_names = ("operation",)

    def setup(self, operation: str) -> None:
        self.cube = common.cube((6, 96, 96) if not common.FULL else (10, 1500, 1500))
        self.time_operation(operation)

    def time_operation(self, operation: str) -> None:
        getattr(self.cube.insar, operation)()
