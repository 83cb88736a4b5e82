"""What a save is about, in a few short strings: enough to tell the same job from another one after a crash.

A digest covers names, dims, shapes, dtypes, packing, attributes and every value that is in memory. Values
that are still to be computed cannot be covered; a resume compares one finished shard of each of those with
a fresh computation. ``history`` is left out: readers may write the time of day into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xinsar.cube.prepare import FLAGS, LABELS, Track

_UNKNOWN = "-"


def fingerprint(tracks: Mapping[str, Track]) -> dict[str, str]:
    """Return ``{"track/variable": "structure:content"}``; content ``-`` where values are not in memory."""
    out = {}
    for path, track in tracks.items():
        out[f"{path}/"] = _digest({k: v for k, v in track.ds.attrs.items() if k != "history"})
        for name, variable in track.ds.variables.items():
            plan = track.plans.get(str(name))
            packed = None if plan is None or plan.packing is None else plan.packing.dtype
            out[f"{path}/{name}"] = f"{_structure(variable, packed)}:{_content(variable)}"
    return dict(sorted(out.items()))


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Names whose fingerprints contradict each other, readable."""
    names = sorted(one.keys() | other.keys())
    return [_readable(name) for name in names if not _agree(one.get(name, ""), other.get(name, ""))]


def _agree(one: str, other: str) -> bool:
    (structure, _, content), (structure2, _, content2) = one.partition(":"), other.partition(":")
    return structure == structure2 and (content == content2 or _UNKNOWN in (content, content2))


def _readable(name: str) -> str:
    track, _, variable = name.partition("/")
    return f"{track}: {variable or 'attributes'}".removeprefix(": ")


def _structure(variable: xr.Variable, packed: str | None) -> str:
    attrs = {k: v for k, v in variable.attrs.items() if k not in FLAGS}
    return _digest([variable.dims, variable.shape, str(variable.dtype), packed, attrs])


def _content(variable: xr.Variable) -> str:
    if not in_memory(variable):
        return _UNKNOWN
    values = np.asarray(variable.values)
    if LABELS in variable.attrs:
        return _digest(np.asarray(variable.attrs[LABELS])[values].tolist())
    return hashlib.blake2b(np.ascontiguousarray(values).view(np.uint8).data, digest_size=8).hexdigest()


def in_memory(variable: xr.Variable) -> bool:
    """Whether the values are here already, so that looking at them computes and reads nothing."""
    return variable.chunks is None and bool(getattr(variable, "_in_memory", True))


def _digest(thing: Any) -> str:
    text = json.dumps(thing, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
