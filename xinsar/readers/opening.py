"""``open_stack``: anybody's interferograms as one lazy cube with canonical names, signs and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xinsar.readers import assemble, discover, registry
from xinsar.readers.discover import SourceLike
from xinsar.readers.layers import Product
from xinsar.readers.messages import spell, spell_files

_JOINS = ("outer", "inner", "exact")


def open_stack(
    source: SourceLike,
    *,
    product: str = "auto",
    join: str = "outer",
    chunks: str | int | Mapping[str, int] = "auto",
    dates: Sequence[Any] | None = None,
) -> xr.Dataset:
    """Open the files of an InSAR product as a canonical cube; no pixel is read.

    Parameters
    ----------
    source
        A file, a folder (searched recursively), a glob such as ``"S1_*/"``, or a list of them.
    product
        ``"auto"``, or the name of the product where files of several lie together.
    join
        Extent of the cube where rasters differ by whole pixels: ``"outer"`` (their union, NaN outside each),
        ``"inner"`` (what all cover) or ``"exact"`` (ValueError where they differ).
    chunks
        ``"auto"`` (one task reads one tile of one file, at most about 2048 x 2048 pixels), the rows and
        columns of a tile, or a mapping of ``pair``, ``time``, ``y``, ``x`` to sizes (-1: all).
    dates
        A tuple ``(first, last)`` keeps the pairs and dates from the one to the other (either may be None);
        a list of dates keeps the pairs whose both dates, and the dates which, are in it.

    Returns
    -------
    xarray.Dataset
        ``phase``, ``unwrapped_phase`` (rad, positive away from the satellite), ``coherence`` (0..1) on
        (pair, y, x); ``displacement`` (m), ``velocity`` (m year-1), both positive toward the satellite;
        ``los``, ``elevation``; as far as the product holds them. float32, NaN where missing, x ascending, y
        descending on a map. Coordinates ``reference_time`` < ``secondary_time`` (reversed pairs are
        flipped), ``perpendicular_baseline`` (m), ``spatial_ref``.

    Raises
    ------
    FileNotFoundError
        The path or glob finds nothing.
    OSError
        A file is truncated or unreadable: on opening where header or size tell, else when it is computed.
    ValueError
        No product or two; the same pair twice; two tracks; an option out of range; on computing, a wrapped
        phase beyond pi or a coherence outside 0..1 (overshoots below 0.1 from geocoding are clipped).

    Warns
    -----
    UserWarning
        One, naming what was passed over: rasters on another grid (the grid with most pairs opens), files
        nobody knows, pairs that lack a layer, rasters that are resampled.

    Notes
    -----
    Missing pixels are NaN and the declared nodata value; where that is 0, an exact 0 is missing only if the
    pair's coherence is 0 or NaN there, or there is no coherence.
    """
    if join not in _JOINS:
        raise ValueError(f"join: expected one of {', '.join(_JOINS)}; got {join!r}")
    sizes = _sizes(chunks)
    found = registry.recognise(discover.files(source), product)
    products = _selected(found.products, dates)
    group, *others = assemble.groups(products)
    cube = assemble.cube(group, join=join, chunks=sizes)
    notes = [note for p in group.products for note in p.notes]
    assemble.warn(
        [*_passed_over(group, others), *_unknown(found), *assemble.gaps(group), *notes], stacklevel=2
    )
    return cube


def _sizes(chunks: object) -> dict[str, int]:
    """Return the sizes asked for by dim, nothing for ``"auto"``."""
    if isinstance(chunks, str) and chunks == "auto":
        return {}
    if isinstance(chunks, int) and not isinstance(chunks, bool):
        chunks = {"y": chunks, "x": chunks}
    if not isinstance(chunks, Mapping):
        raise TypeError(f"chunks: expected 'auto', an int or a mapping of dims to sizes, got {chunks!r}")
    wrong = {k: v for k, v in chunks.items() if k not in ("pair", "time", "y", "x") or not _is_size(v)}
    if wrong:
        raise ValueError(f"chunks: expected sizes (-1: all) for pair, time, y or x; got {wrong}")
    return dict(chunks)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and (value > 0 or value == -1)


def _selected(products: Sequence[Product], dates: Sequence[Any] | None) -> list[Product]:
    """Return the products with the dates asked for; ValueError where nothing is left."""
    if dates is None:
        return list(products)
    kept = assemble.between(products, _keeper(dates))
    if not any(assemble.has_dates(p) for p in kept):
        all_dates = sorted({d for p in products for x in p.layers for d in assemble.dates_of(x)})
        held = f"{spell(all_dates[0])} to {spell(all_dates[-1])}" if all_dates else "no dates"
        raise ValueError(f"dates: no pair or date is left by {dates!r}; the files hold {held}")
    return kept


def _keeper(dates: Sequence[Any]) -> Callable[[np.datetime64], bool]:
    """Return the test a date must pass: inside a (first, last) tuple, or in a list."""
    if isinstance(dates, str) or not isinstance(dates, (Sequence, np.ndarray)):
        raise TypeError(f"dates: expected a (first, last) tuple or a list of dates, got {dates!r}")
    if isinstance(dates, tuple):
        if len(dates) != 2:
            raise ValueError(f"dates: expected a tuple (first, last) or a list, got a tuple of {len(dates)}")
        low, high = (None if d is None else _day(d) for d in dates)
        return lambda day: bool((low is None or day >= low) and (high is None or day <= high))
    listed = {_day(d) for d in dates}
    return lambda day: day in listed


def _day(date: object) -> np.datetime64:
    text = date if not isinstance(date, str) or not date.isdigit() else f"{date[:4]}-{date[4:6]}-{date[6:]}"
    try:
        return np.datetime64(text, "D").astype("datetime64[ns]")  # type: ignore[call-overload,no-any-return]
    except (ValueError, TypeError) as error:
        raise ValueError(f"dates: expected dates such as '2018-01-06' or 20180106, got {date!r}") from error


def _passed_over(group: assemble.Group, others: Sequence[assemble.Group]) -> list[str]:
    """Return a sentence about each group that is not opened."""
    return [
        f"opened the grid with most pairs ({_spell_group(group)}), not {_spell_group(other)}: "
        f"{spell_files(other.files)}"
        for other in others
    ]


def _spell_group(group: assemble.Group) -> str:
    grid = group.layers[0].grid
    where = grid.crs if grid.crs and len(grid.crs) < 40 else ("a map" if grid.crs else "no CRS")
    count = f"{len(group.pairs)} pair" + ("s" if len(group.pairs) != 1 else "")
    return f"{where}, pixel {abs(grid.dx):.6g} x {abs(grid.dy):.6g}, {count}"


def _unknown(found: registry.Recognised) -> list[str]:
    if not found.unknown:
        return []
    return [f"{len(found.unknown)} unknown files were left out: {spell_files(found.unknown)}"]
