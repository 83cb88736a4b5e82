"""Lazy data that is needed twice, made twice: chunks that wait for their second use would fill the memory."""

from __future__ import annotations

from typing import Any


def again(data: Any) -> Any:
    """Return the same Dask array under tasks of its own, so that it shares none with ``data``.

    What :func:`dask.graph_manipulation.clone` is for; its copies of rechunked arrays cannot be fused (dask 2026.8).
    """
    import dask.array as da
    from dask._task_spec import convert_legacy_graph
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    whole = data.__dask_graph__().cull(data.__dask_keys__())
    graph = convert_legacy_graph(dict(whole))
    tag = tokenize(data.name, "again")
    renamed = {key: _rename(key, tag) for key in graph}
    copied = {renamed[key]: node.substitute(renamed, key=renamed[key]) for key, node in graph.items()}
    name = _rename(data.name, tag)
    return da.Array(HighLevelGraph.from_collections(name, copied), name, data.chunks, meta=data._meta)


def _rename(key: Any, tag: str) -> Any:
    return (f"{key[0]}-{tag}", *key[1:]) if isinstance(key, tuple) else f"{key}-{tag}"
