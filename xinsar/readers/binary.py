"""Windows of flat binary rasters: number type, byte order, header bytes, bands, interleave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.readers.layers import Raster

_ORDER_OF_AXES = {
    "bsq": ("band", "line", "sample"),
    "bil": ("line", "band", "sample"),
    "bip": ("line", "sample", "band"),
}
_SNIFFED_BYTES = 1 << 16


@dataclass(frozen=True)
class BinarySource:
    """One band of a flat binary file; a :class:`~xinsar.readers.layers.Source`.

    Parameters
    ----------
    path
        The file.
    dtype
        NumPy type with its byte order, such as ``">f4"`` or ``"<c8"``.
    shape
        Lines and samples.
    bands, band
        Number of bands, and the one to read.
    interleave
        ``"bsq"`` band after band, ``"bil"`` band after band within each line, ``"bip"`` within each pixel.
    offset
        Bytes before the first value.
    """

    path: Path
    dtype: str
    shape: tuple[int, int]
    bands: int = 1
    band: int = 0
    interleave: str = "bsq"
    offset: int = 0

    @property
    def expected_bytes(self) -> int:
        """Size a complete file has."""
        return self.offset + math.prod(self.shape) * self.bands * np.dtype(self.dtype).itemsize

    def read(self, rows: slice, cols: slice) -> Raster:
        """Return the window ``rows, cols`` in native byte order."""
        check_size(self)
        lengths = {"band": self.bands, "line": self.shape[0], "sample": self.shape[1]}
        chosen: dict[str, Any] = {"band": self.band, "line": rows, "sample": cols}
        axes = _ORDER_OF_AXES[self.interleave]
        values = np.memmap(
            self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=tuple(lengths[a] for a in axes)
        )
        window = values[tuple(chosen[a] for a in axes)]
        return np.array(window, dtype=window.dtype.newbyteorder("="), subok=False)


def open_binary(path: Path, dtype: str, shape: tuple[int, int], **layout: Any) -> BinarySource:
    """Return the :class:`BinarySource` of a file whose size has been checked against its header.

    Parameters
    ----------
    path, dtype, shape
        As in :class:`BinarySource`; ``layout`` takes its other fields.
    layout
        ``bands``, ``band``, ``interleave``, ``offset``.

    Raises
    ------
    OSError
        Where the file is shorter or longer than its header says.
    ValueError
        Where the layout makes no sense.
    """
    source = BinarySource(Path(path), dtype, shape, **layout)
    if source.interleave not in _ORDER_OF_AXES:
        raise ValueError(
            f"{path}: expected interleave bsq, bil or bip, got {source.interleave!r}; correct its header"
        )
    if not 0 <= source.band < source.bands:
        raise ValueError(
            f"{path}: expected a band below {source.bands}, got {source.band}; correct its header"
        )
    check_size(source)
    return source


def check_size(source: BinarySource) -> None:
    """Raise ``OSError`` naming the file where its size is not the one its header announces."""
    found, expected = source.path.stat().st_size, source.expected_bytes
    if found == expected:
        return
    lines, samples = source.shape
    verdict = "is truncated" if found < expected else "is longer than its header says"
    raise OSError(
        f"{source.path}: the file {verdict}: expected {expected} bytes ({lines} lines x {samples} samples x "
        f"{source.bands} band(s) of {np.dtype(source.dtype).name} after {source.offset} bytes), got {found}; "
        "fetch the file again or correct its header"
    )


def byte_order(path: Path, dtype: str = "f4", *, offset: int = 0) -> str | None:
    """Guess the byte order of a floating-point file from values in its middle.

    Numbers of the wrong byte order have random exponents: most are outside 1e-6..1e6 or not finite.

    Parameters
    ----------
    path
        The file; at most 64 KiB of it are read.
    dtype
        ``"f4"``, ``"f8"`` or their complex kinds.
    offset
        Bytes before the first value.

    Returns
    -------
    str or None
        ``"<"`` or ``">"``; None where the bytes read do not tell (all zero or NaN).
    """
    kind = np.dtype(dtype)
    itemsize = kind.itemsize // 2 if kind.kind == "c" else kind.itemsize
    count = min(_SNIFFED_BYTES, path.stat().st_size - offset) // itemsize
    start = max(0, (path.stat().st_size - offset) // itemsize - count) // 2
    raw = np.fromfile(path, dtype=f"u{itemsize}", count=count, offset=offset + start * itemsize)
    little, big = (_plausible_share(raw, f"{order}f{itemsize}") for order in "<>")
    if abs(little - big) < 0.25:
        return None
    return "<" if little > big else ">"


def angle(values: Raster) -> Raster:
    """Phase of complex values in (-pi, pi]; -pi, which rounding can give, becomes pi."""
    phase = np.angle(values)
    top = phase.dtype.type(np.pi)
    return np.where(phase <= -top, top, phase)


def _plausible_share(raw: np.ndarray[Any, Any], dtype: str) -> float:
    """Share of the non-zero numbers that a geophysical raster could hold."""
    with np.errstate(invalid="ignore"):
        size = np.abs(raw[raw != 0].view(dtype).astype("f8"))
        return float(np.mean((size > 1e-6) & (size < 1e6))) if size.size else 0.0
