"""Values of points as fields: their moments, their fixed point, their differences from the mean."""

from __future__ import annotations

from math import nan, prod
from typing import Any, NamedTuple

import numpy as np

from xinsar.kernels._jit import jit
from xinsar.kernels.exact import fixed_point
from xinsar.kernels.strips import sort_keys


class Field(NamedTuple):
    """What z needs to know of a field beside its values: ``unit`` is what the number 1 stands for in fixed point."""

    unit: float
    number: float
    std: float


def flat_fields(values: Any, moments: Any) -> tuple[Any, Any]:
    """Return fields (f, n) and their moments (f, 4)."""
    leading = values.shape[:-1]
    fields = np.ascontiguousarray(values).reshape(prod(leading), values.shape[-1])
    return fields, np.broadcast_to(moments, (*leading, 4)).reshape(len(fields), 4)


def in_fixed_point(moments: Any) -> tuple[float, Field]:
    """Return the factor to fixed point, which depends on the whole field alone, and the field's numbers.

    Sums of as many values as the field holds fit an int64.
    """
    count, _, std, peak = (float(v) for v in moments)
    factor = fixed_point(peak, min(40, 62 - int(count).bit_length()))
    return factor, Field(1 / factor if factor > 0 else nan, count, std)


@jit
def differences_of(values: Any, points: Any, mean: float) -> Any:
    """Return the values less their mean; points at one place are brought into ascending order of them."""
    index, north, east = points.index, points.north, points.east
    differences = np.empty(index.size)
    for i in range(index.size):
        differences[i] = values[index[i]] - mean
    first = 0
    while first < index.size:
        last = first + 1
        while last < index.size and east[last] == east[first] and north[last] == north[first]:
            last += 1
        if last - first > 1:
            sort_keys(differences, index, first, last)
        first = last
    return differences
