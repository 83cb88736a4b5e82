"""What a reader hands over: where rasters lie, how one is read, and what it means. No pixel is read here.

A reader turns file names and headers into :class:`Product` objects made of :class:`Layer` objects; all that
follows (grouping, alignment, missing values, signs, chunks) happens once, in :mod:`xinsar.readers.assemble`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Pair = tuple[np.datetime64, np.datetime64]
"""(first, second) date of an interferogram as its product means it, ``datetime64[ns]``."""

Raster = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie.

    Parameters
    ----------
    x, y
        Outer corner of the first pixel of the file (where a product gives pixel centres, half a step away).
    dx, dy
        Signed steps per column and row; ``dy`` is negative in a file written north up.
    width, height
        Columns and rows.
    crs
        Anything :meth:`pyproj.CRS.from_user_input` takes, or None where the raster lies on no map.
    units
        Unit of x and y where ``crs`` is None: ``"m"``, ``"degree"``, or None for plain pixel indices.
    """

    x: float
    y: float
    dx: float
    dy: float
    width: int
    height: int
    crs: str | None = None
    units: str | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width


class Source(Protocol):
    """One raster of one file; small, picklable, and opening its file only inside :meth:`read`.

    ``read`` returns the window in the file's own row and column order, the file's own values. A file that
    turns out to be unreadable raises an ``OSError`` or ``ValueError`` naming it.
    """

    @property
    def path(self) -> Path:
        """The file, for messages and for the name of the task."""
        ...

    def read(self, rows: slice, cols: slice) -> Raster:
        """Return the window ``rows, cols`` as a two-dimensional array."""
        ...


@dataclass(frozen=True)
class Combined:
    """A source computed from several: ``function(*windows)``, such as a vector component from two angles.

    ``function`` is defined at module level (it travels to workers) and gives NaN where an input is missing.
    """

    parts: tuple[Source, ...]
    function: Callable[..., Raster]

    @property
    def path(self) -> Path:
        """The first part's file."""
        return self.parts[0].path

    def read(self, rows: slice, cols: slice) -> Raster:
        """Read every part and combine."""
        return self.function(*(part.read(rows, cols) for part in self.parts))


@dataclass(frozen=True)
class Layer:
    """One two-dimensional raster of one variable of the cube.

    Parameters
    ----------
    variable
        Name of the row of :data:`xinsar.schema.VARIABLES`.
    source, grid
        How it is read and where it lies.
    pair
        Dates of a (pair, y, x) variable as the product means them; reversed ones are flipped on assembly
        (phase negated, dates swapped).
    date
        Date of a (time, y, x) variable.
    component
        0 east, 1 north, 2 up, for ``los``.
    scale
        Factor applied last: a sign, a unit.
    nodata
        Value that means missing, compared with the file's own values. A declared 0 follows the zero rule.
    zero_is_nodata
        The format writes 0 where nothing was measured. A 0 in the file's own values becomes NaN where the
        pair's coherence is 0 or NaN, and everywhere in a layer that has no coherence beside it.
    convert
        Module-level function applied to the values of the file, such as ``numpy.angle``; missing pixels are
        found before it, ``scale`` follows it.
    blocks
        Rows and columns of the file's own tiles or strips, where it has any; chunks are laid along them.
    """

    variable: str
    source: Source
    grid: Grid
    pair: Pair | None = None
    date: np.datetime64 | None = None
    component: int | None = None
    scale: float = 1.0
    nodata: float | None = None
    zero_is_nodata: bool = False
    convert: Callable[[Raster], Raster] | None = None
    blocks: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """The file the layer comes from."""
        return self.source.path


@dataclass(frozen=True)
class Product:
    """What one reader found of one track or frame.

    Parameters
    ----------
    product
        Name of the reader.
    layers
        Every raster to open.
    attrs
        Attributes of the track in the cube's units: wavelength (m), orbit_direction ("ascending" or
        "descending"), heading (degree), incidence (degree), slant_range (m), track, sensor, reference.
        Unknown ones are left out; two products of one group with different ``track`` are two tracks.
    baselines
        Perpendicular baseline of each pair in metres, keyed as ``Layer.pair``, with the cube's sign: positive
        where the second acquisition raises the look angle's sensitivity, B cos(look - tilt). A reversed
        pair is negated on assembly.
    notes
        Sentences for the one warning of the opening: something incomplete the reader got over.
    """

    product: str
    layers: tuple[Layer, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    baselines: dict[Pair, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """One product: how its files are recognised and described.

    Parameters
    ----------
    name
        Value of ``product=`` in :func:`xinsar.open_stack`.
    title
        The product in words, for messages.
    claim
        Picks this product's files out of those given, its side files and rasters that are not opened among
        them. Cheap: names, and the first bytes where names do not tell.
    parse
        Describes claimed files, reading headers only. An empty list where there is nothing to open.
    looks_for
        The file names it recognises, in words, for the message about a folder that holds no product.
    """

    name: str
    claim: Callable[[Sequence[Path]], list[Path]]
    parse: Callable[[Sequence[Path]], list[Product]]
    title: str = ""
    looks_for: str = ""
