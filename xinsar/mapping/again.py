"""Lazy data that is needed twice, made twice: chunks that wait for their second use would fill the memory."""

from __future__ import annotations

from typing import Any

SUMS = "field-sums-"
"""Names of the sums of whole fields begin so: they are small, and are shared rather than made anew."""


def again(data: Any) -> Any:
    """Return the same Dask array under tasks of its own, so that it shares none with ``data``.

    What :func:`dask.graph_manipulation.clone` is for; its copies of rechunked arrays cannot be fused (dask 2026.8).
    """
    import dask.array as da
    from dask._task_spec import convert_legacy_graph
    from dask.base import tokenize
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph

    whole = data.__dask_graph__().cull(data.__dask_keys__())
    graph = convert_legacy_graph(dict(whole))
    tag = tokenize(data.name, "again")
    renamed = {key: _rename(key, tag) for key in _down_to_sums(graph, flatten(data.__dask_keys__()))}
    copied = {new: graph[key].substitute(renamed, key=new) for key, new in renamed.items()}
    name = _rename(data.name, tag)
    layers = HighLevelGraph.from_collections(name, copied, dependencies=[data])
    return da.Array(layers, name, data.chunks, meta=data._meta)


def _down_to_sums(graph: Any, keys: Any) -> set[Any]:
    """Return the keys that ``keys`` need, without the sums of whole fields and what those need."""
    found: set[Any] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key in found or str(key[0] if isinstance(key, tuple) else key).startswith(SUMS):
            continue
        found.add(key)
        waiting.extend(graph[key].dependencies)
    return found


def _rename(key: Any, tag: str) -> Any:
    return (f"{key[0]}-{tag}", *key[1:]) if isinstance(key, tuple) else f"{key}-{tag}"
