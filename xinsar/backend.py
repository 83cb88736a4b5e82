"""Array type to implementation: NumPy runs the numba kernel, CuPy its CUDA twin.

The array itself decides, inside the task that holds it. Dask is not a backend: it carries chunks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np


def is_cupy(array: Any) -> bool:
    """Tell whether ``array`` lives on a GPU, without importing CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def array_namespace(array: Any) -> ModuleType:
    """Return the array module (``numpy`` or ``cupy``) that ``array`` belongs to."""
    return sys.modules["cupy"] if is_cupy(array) else np


def beside(array: Any, like: Any) -> Any:
    """Return ``array`` where ``like`` lies: a NumPy array is sent to the GPU of a CuPy one; a repeated value once."""
    xp = array_namespace(like)
    if xp is np or is_cupy(array):
        return array
    once = array[tuple(slice(1 if step == 0 else None) for step in array.strides)]
    return xp.broadcast_to(xp.asarray(once), array.shape)


@dataclass(frozen=True)
class Kernel:
    """One operation on arrays with its two implementations.

    Parameters
    ----------
    name
        Shown in errors.
    numpy
        Implementation for NumPy arrays.
    cupy
        Its twin for CuPy arrays, or None where there is none yet: calling it then raises.
    """

    name: str
    numpy: Callable[..., Any]
    cupy: Callable[..., Any] | None = None

    def __call__(self, array: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the implementation that the type of ``array`` asks for."""
        if not is_cupy(array):
            return self.numpy(array, *args, **kwargs)
        if self.cupy is None:
            raise NotImplementedError(
                f"{self.name}: there is no GPU version of this operation; bring the data to the CPU with "
                "ds.map_blocks or .as_numpy() first"
            )
        return self.cupy(array, *args, **kwargs)
