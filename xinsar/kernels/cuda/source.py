"""CUDA sources, completed with the shape of tiles and with the numbers they share with the CPU kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xinsar.kernels import phasor

THREADS, GROUPS, LOADED = 256, 4, 64
"""Threads of a block; the groups they form, each over its rows of the tile; pixels of a row that a warp reads."""
OPTIONS = ("-std=c++17", "-fmad=false")
NUMBERS = (
    "INV_PI PI_HIGH PI_LOW ROUND S1 S2 S3 S4 C1 C2 C3 C4 A1 A2 A3 A4 A5 A6 A7 HALF_PI "
    "TINY COHERENCE_LIMIT HALF_COHERENCE"
)


@dataclass(frozen=True)
class Program:
    """One kernel, made for a window, a number of rows per thread, and data with or without coherence.

    ``height`` adds the terms of an elevation error to the rate.
    """

    file: str
    name: str
    window: int = 1
    rows: int = 1
    coherent: bool = False
    height: bool = False

    @property
    def left(self) -> int:
        """Pixels read left of a tile, an even number."""
        return _even(self.window // 2)

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return LOADED - self.left - _even(self.window // 2 + 1)

    @property
    def blocks(self) -> int:
        """Blocks that a multiprocessor is to hold; their registers are cut for that."""
        return 2 if self.file == "rate" else 3

    @property
    def tall(self) -> int:
        """Rows of a tile at most."""
        return GROUPS * self.rows

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block: four planes of row sums, and a bit for each pixel that is there."""
        return (self.tall + self.window) * (LOADED * 16 + 32)

    def source(self) -> str:
        """Return the complete CUDA source."""
        files = ["stack", "rate"] if self.file == "rate" else [self.file]
        parts = [_text(name) for name in ("angles", "phasor", *files)]
        return "\n".join([*self._integers(), *_numbers(), *parts])

    def _integers(self) -> list[str]:
        values = {
            "COHERENT": int(self.coherent),
            "HEIGHT": int(self.height),
            "WINDOW": self.window,
            "ROWS": self.rows,
            "THREADS": THREADS,
            "BLOCKS": self.blocks,
            "GROUPS": GROUPS,
            "LOADED": LOADED,
            "LEFT": self.left,
            "COLUMNS": self.columns,
            "SHARED_BYTES": self.shared_bytes,
            "BAD_PHASE": phasor.BAD_PHASE,
            "BAD_COHERENCE": phasor.BAD_COHERENCE,
        }
        return [f"#define {name} {value}" for name, value in values.items()]


@dataclass(frozen=True)
class Source:
    """One kernel of a file that needs nothing but names set to ``values``, and perhaps files that come ``before``."""

    file: str
    name: str
    values: tuple[tuple[str, int | str], ...]
    before: tuple[str, ...] = ()

    def source(self) -> str:
        """Return the complete CUDA source."""
        defined = [f"#define {name} {value}" for name, value in self.values]
        return "\n".join([*defined, *map(_text, (*self.before, self.file))])


@dataclass(frozen=True)
class Disc:
    """The kernel of disc.cu for one disc: half-widths of its rows, from the centre; ``shift`` bits count its pixels.

    ``even``: rows of the image hold an even number of pixels.
    """

    half_widths: tuple[int, ...]
    shift: int
    value: str
    even: bool

    THREADS = 128
    ROWS = 4
    MOST = 16, 24
    """Rows and columns beside the centre that registers have room for."""

    file = "disc"
    name = "gi_star"

    @property
    def reach(self) -> int:
        """Rows below the centre."""
        return len(self.half_widths) - 1

    @property
    def pixels(self) -> int:
        """Pixels of the disc."""
        return 2 * sum(2 * w + 1 for w in self.half_widths) - (2 * self.half_widths[0] + 1)

    @property
    def blocks(self) -> int:
        """Blocks that a multiprocessor is to hold; their registers are cut for that."""
        return 3 if self.reach <= 8 and self.half_widths[0] <= 10 else 2

    @property
    def columns(self) -> int:
        """Columns of a strip."""
        return 2 * self.THREADS

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block: rows that are added while the next ones are made, and what z divides by."""
        loaded = self.columns + 2 * _even(self.half_widths[0])
        return 2 * self.ROWS * loaded * 8 + (self.pixels + 1) * 16

    def source(self) -> str:
        """Return the complete CUDA source."""
        values: dict[str, int | str] = {
            "VALUE": self.value,
            "THREADS": self.THREADS,
            "BLOCKS": self.blocks,
            "ROWS": self.ROWS,
            "REACH": self.reach,
            "WIDE": self.half_widths[0],
            "HALF_WIDTHS": ", ".join(map(str, self.half_widths)),
            "PIXELS": self.pixels,
            "SHIFT": self.shift,
            "EVEN": int(self.even),
            "SHARED_BYTES": self.shared_bytes,
        }
        return Source(self.file, self.name, tuple(values.items())).source()


def _even(number: int) -> int:
    """Return ``number`` rounded up to an even one."""
    return number + number % 2


def _text(file: str) -> str:
    """Return a CUDA source as it is written."""
    return (Path(__file__).parent / f"{file}.cu").read_text(encoding="utf-8")


def phasor_numbers() -> dict[str, int | str]:
    """Return the numbers of phasor.py as C writes them."""
    return {name: single(getattr(phasor, name)) for name in NUMBERS.split()}


def single(value: Any) -> str:
    """Return a float32 as C writes it."""
    return f"({float(value).hex()}f)"


def double(value: float) -> str:
    """Return a float64 as C writes it."""
    return f"({float(value).hex()})"


def _numbers() -> list[str]:
    from xinsar.kernels import rate

    values = phasor_numbers() | {
        "TOP_COHERENCE": single(rate.TOP_COHERENCE),
        "NEWTON_STEPS": rate.NEWTON_STEPS,
    }
    return [f"#define {name} {value}" for name, value in values.items()]
