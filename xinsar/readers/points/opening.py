"""``open_points``: anybody's scatterers as one dataset on ``point``, canonical names, signs and units."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from xinsar.readers import discover
from xinsar.readers.discover import SourceLike
from xinsar.readers.messages import spell_files

if TYPE_CHECKING:
    from xinsar.readers.points.layout import Layout
    from xinsar.readers.points.registry import Recognised


def open_points(
    source: SourceLike, *, product: str = "auto", chunks: str | int | Mapping[str, int] | None = None
) -> xr.Dataset:
    r"""Open files of points: EGMS, StaMPS, DePSI, SqueeSAR, vector files, Parquet, any CSV with coordinates.

    Parameters
    ----------
    source
        A file, a folder (searched recursively), a glob, or a list of them. Files of one product (tiles, bursts) are
        joined along ``point``.
    product
        ``"auto"``; or the name of the product, where several lie together or the file does not tell.
    chunks
        None reads everything into memory (NumPy). ``"auto"``, the number of points of a chunk, or a mapping
        ``{"point": number}`` (-1: all) passes once over the files to find where the chunks begin and reads each when
        it is computed (Dask).

    Returns
    -------
    xarray.Dataset
        Dim ``point``, coordinates ``x(point)``, ``y(point)`` (float64), ``spatial_ref``, ``id(point)``, ``time``.
        ``velocity``, ``velocity_sigma`` (m year-1) and ``displacement(time, point)`` (m, 0 at each point's first valid
        date), positive toward the satellite; ``elevation`` (m), ``temporal_coherence``, ``los(component, point)``, as
        far as the files hold them; other numbers under their own names. float32, NaN where a cell is empty. EGMS Ortho
        files give motion up and east instead: the coordinate ``component`` says so.

    Raises
    ------
    FileNotFoundError
        The path or glob finds nothing.
    OSError
        A file is damaged or truncated.
    xinsar.MissingExtraError
        A Parquet file without pyarrow.
    TypeError
        ``source`` or ``chunks`` is of another kind.
    ValueError
        No points, or two products; two tracks, levels or orbit directions; the same burst or tile twice; a line with
        too many or too few cells, or a cell that is no number (when computed, if ``chunks`` are given); a date twice;
        no points but other shapes; an option out of range.

    Warns
    -----
    UserWarning
        One, naming what was passed over or left as it is: files nobody knows, columns of texts, units and CRS that a
        file does not tell.

    Notes
    -----
    Nothing is guessed in silence: where the unit of a velocity is not known, the column keeps its name and has no
    unit. A point without coordinates has NaN there. Packed files (``.zip``, ``.gz``) are read as they are, but not in
    chunks.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "points.csv")
    ...     _ = file.write_text("lon,lat,vel_mm_yr\n11.2,46.1,-3.5\n11.3,46.1,0.2\n")
    ...     ds = open_points(file)
    >>> print(ds.velocity.values, ds.velocity.units)
    [-0.0035  0.0002] m year-1
    """
    from xinsar.readers.points import assemble, registry

    rows = _rows(chunks)
    source = _listed(source)
    found = registry.recognise(discover.files(source), product, pointed_at=_pointed_at(source))
    ds = assemble.dataset(found.layouts, rows=rows, lazy=chunks is not None)
    said = [*_left_out(found.layouts), *_unknown(found), *(n for x in found.layouts for n in x.notes)]
    if said:
        warnings.warn("open_points: " + "; ".join(said), UserWarning, stacklevel=2)
    return ds


def _listed(source: SourceLike) -> SourceLike:
    """Return a path as it is, anything else as a list, which can be gone through twice."""
    if isinstance(source, (str, os.PathLike)):
        return source
    if not isinstance(source, Iterable):
        raise TypeError(
            f"source: expected a file, folder, glob or a list of them, got {type(source).__name__}"
        )
    return list(source)


def _pointed_at(source: SourceLike) -> frozenset[Path]:
    """Return the files that ``source`` names one by one: these must be points."""
    entries = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    paths = [Path(os.path.abspath(os.path.expanduser(entry))) for entry in entries]
    return frozenset(path for path in paths if path.is_file())


def _rows(chunks: object) -> int | None:
    """Return the number of points of a chunk, None where nobody asks for one."""
    if chunks is None or (isinstance(chunks, str) and chunks == "auto"):
        return None
    if isinstance(chunks, Mapping) and set(chunks) == {"point"}:
        chunks = chunks["point"]
    if isinstance(chunks, bool) or not isinstance(chunks, int):
        raise TypeError(
            f"chunks: expected None, 'auto', a number of points or {{'point': number}}, got {chunks!r}"
        )
    if chunks < 1 and chunks != -1:
        raise ValueError(f"chunks: expected a positive number of points, or -1 for all, got {chunks}")
    return chunks if chunks > 0 else 2**62


def _left_out(layouts: Sequence[Layout]) -> list[str]:
    """Return a sentence about columns of texts that are not read."""
    names = list(dict.fromkeys(name for layout in layouts for name in layout.left_out))
    if not names:
        return []
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"columns that hold no numbers were left out: {', '.join(names[:5])}{more}"]


def _unknown(found: Recognised) -> list[str]:
    if not found.unknown:
        return []
    return [f"{len(found.unknown)} unknown files were left out: {spell_files(found.unknown)}"]
