"""Every product that can be opened: one module each, loaded when files are to be recognised."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xinsar.readers.discover import is_side_file
from xinsar.readers.layers import Product, Reader
from xinsar.readers.messages import spell_files

MODULES = (
    "hyp3",
    "licsar",
    "gamma_geotiff",
    "gamma_binary",
    "roipac",
    "mintpy",
    "licsbas",
    "nsbas",
    "envi",
)
"""Modules of this folder that export ``READER`` or ``READERS``; their order is that of messages only."""


@dataclass(frozen=True)
class Recognised:
    """What was found among files: the products, and files nobody knows."""

    products: tuple[Product, ...]
    unknown: tuple[Path, ...]


@cache
def readers() -> dict[str, Reader]:
    """Return every reader by name."""
    found: dict[str, Reader] = {}
    for module in MODULES:
        loaded = importlib.import_module(f"xinsar.readers.{module}")
        for reader in getattr(loaded, "READERS", None) or (loaded.READER,):
            if reader.name in found:
                raise ValueError(f"two readers are named {reader.name!r}")
            found[reader.name] = reader
    return found


def chosen(product: str) -> list[Reader]:
    """Return the readers to ask: all for ``"auto"``, else the one named; ValueError for an unknown name."""
    known = readers()
    if product == "auto":
        return list(known.values())
    if product not in known:
        raise ValueError(f"product: expected 'auto' or one of {', '.join(sorted(known))}; got {product!r}")
    return [known[product]]


def recognise(files: Sequence[Path], product: str) -> Recognised:
    """Return the one product among ``files``; ValueError where there is none, or two."""
    found: dict[str, tuple[list[Product], set[Path]]] = {}
    for reader in chosen(product):
        claimed = reader.claim(files)
        products = [p for p in (reader.parse(claimed) if claimed else []) if p.layers]
        if products:
            found[reader.name] = (products, set(claimed))
    if not found:
        raise ValueError(_nothing(files, product))
    if len(found) > 1:
        raise ValueError(_several(found))
    products, known = next(iter(found.values()))
    unknown = [path for path in files if path not in known and not is_side_file(path)]
    return Recognised(tuple(products), tuple(unknown))


def _nothing(files: Sequence[Path], product: str) -> str:
    looked = "; ".join(f"{r.title or r.name}: {r.looks_for}" for r in chosen(product))
    packed = any(path.suffix == ".zip" for path in files)
    remedy = (
        "unpack the .zip files first" if packed else "xinsar.stack_from_arrays takes anything else as arrays"
    )
    return (
        f"source: no {'known product' if product == 'auto' else product} among {len(files)} files "
        f"({spell_files(files)}); looked for {looked}; {remedy}"
    )


def _several(found: dict[str, tuple[list[Product], set[Path]]]) -> str:
    each = "; ".join(
        f"product={name!r}: {spell_files(sorted({x.path for p in products for x in p.layers}), limit=2)}"
        for name, (products, _) in found.items()
    )
    return f"source: expected one product, got {len(found)} ({each}); choose one with product="
