"""Stands in for CuPy where there is no GPU: arrays that refuse what CuPy's refuse.

An array holds NumPy's memory, but does not turn into a NumPy array unless it is asked to with ``get``, and does not mix
with one: what NumPy's own functions make of CuPy arrays, xarray's and ours, breaks here as it would there. Kernels are
run by the emulator. It cannot show which functions CuPy lacks.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

_TAKES_NUMPY = ("asarray", "array", "ascontiguousarray")
_REDUCTIONS = ("max", "min", "sum")


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801 (CuPy's name)
    """An array that counts as one on a GPU."""

    __array_priority__ = 100

    def __init__(self, host: Any) -> None:
        self.host = np.asarray(host)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self) -> Any:
        """Return a copy as a NumPy array."""
        return self.host.copy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _apply(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _apply(func, args, kwargs, mixed=func.__name__ in _TAKES_NUMPY)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.host, name)
        if not callable(value):
            return _wrap(value)

        def method(*args: Any, **kwargs: Any) -> Any:
            if name in _REDUCTIONS and set(kwargs) - {"axis", "dtype", "out", "keepdims"}:
                raise TypeError(f"{name}() got an unexpected keyword argument")
            return value(*args) if name in ("item", "tolist") else _apply(value, args, kwargs)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "host":
            object.__setattr__(self, name, value)
        else:
            _refuse([value])
            setattr(self.host, name, _host(value))

    def __getitem__(self, key: Any) -> Any:
        return _wrap(self.host[_host(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse([value])
        self.host[_host(key)] = _host(value)

    def __iter__(self) -> Any:
        return (_wrap(row) for row in self.host)

    def __len__(self) -> int:
        return len(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __float__(self) -> float:
        return float(self.host)


def module() -> ModuleType:
    """Return a module to be entered as ``cupy``."""
    made = ModuleType("cupy")
    made.ndarray = ndarray  # type: ignore[attr-defined]
    made.__getattr__ = _function  # type: ignore[method-assign]
    return made


def _function(name: str) -> Any:
    value = getattr(np, name)
    if not callable(value) or isinstance(value, type):
        return value
    return lambda *args, **kwargs: _apply(value, args, kwargs, mixed=name in _TAKES_NUMPY)


def _apply(function: Any, args: Any, kwargs: Any, *, mixed: bool = False) -> Any:
    """Call a function of NumPy on the memory of arrays; ``mixed``: those of NumPy are taken as well."""
    if not mixed:
        _refuse([*args, *kwargs.values()])
    found = function(*_host(tuple(args)), **{name: _host(value) for name, value in kwargs.items()})
    return tuple(map(_wrap, found)) if isinstance(found, tuple) else _wrap(found)


def _refuse(values: Any) -> None:
    """Raise TypeError where an array of NumPy with dims is among ``values``."""
    for value in values:
        if isinstance(value, list | tuple):
            _refuse(value)
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError(f"Unsupported type {type(value)}")


def _host(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(map(_host, value))
    return value.host if isinstance(value, ndarray) else value


def _wrap(value: Any) -> Any:
    return ndarray(value) if isinstance(value, np.ndarray | np.generic) else value
