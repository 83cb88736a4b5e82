"""One pass over the bytes of a text file: how many lines hold points, and where every so many of them begin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from xinsar.readers.points.tables import Block

BUFFER = 2**20
"""Bytes looked at together."""

NEWLINE = ord("\n")
COMMENTS = b"#%"
"""First bytes of comments."""

IGNORED = b"\n\r" + COMMENTS
"""First bytes of lines that hold no points."""


@dataclass
class Scan:
    """Where the lines with points are, found buffer by buffer; memory does not grow with the file."""

    each: int
    line: int
    rows: int = 0
    starts: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    tail: bytes = b""
    tail_line: int = 0
    comments: bool = False

    def take(self, buffer: bytes, position: int, *, opens_line: bool) -> None:
        """Look at the bytes from ``position`` on; ``opens_line``: the first one begins a line."""
        values = np.frombuffer(buffer, np.uint8)
        begins = np.flatnonzero(values == NEWLINE) + 1
        ends = begins.size
        begins = begins[:-1] if ends and begins[-1] == values.size else begins
        if opens_line:
            begins = np.concatenate([[0], begins])
        numbers = self.line + np.arange(begins.size) + (0 if opens_line else 1)
        self.line += ends
        held = ~np.isin(values[begins], np.frombuffer(IGNORED, np.uint8))
        self.comments |= bool(np.isin(values[begins[~held]], np.frombuffer(COMMENTS, np.uint8)).any())
        self._keep(begins[held], numbers[held], buffer, position)

    def _keep(self, begins: Any, numbers: Any, buffer: bytes, position: int) -> None:
        """Note the lines that begin in a buffer at ``begins``."""
        counts = self.rows + np.arange(begins.size)
        chosen = counts % self.each == 0
        self.starts += (begins[chosen] + position).tolist()
        self.lines += numbers[chosen].tolist()
        self.rows += begins.size
        if begins.size:
            self.tail, self.tail_line = buffer[begins[-1] :], int(numbers[-1])
        else:
            self.tail += buffer


def scan(stream: BinaryIO, *, start: int, line: int, each: int) -> tuple[tuple[Block, ...], Scan]:
    """Return blocks of ``each`` rows, and what else was found, from byte ``start`` (where ``line`` begins) on."""
    found = Scan(each, line)
    position, opens = start, True
    while buffer := stream.read(BUFFER):
        found.take(buffer, position, opens_line=opens)
        position += len(buffer)
        opens = buffer[-1] == NEWLINE
    ends = [*found.starts[1:], position]
    blocks = tuple(
        Block(k * each, min(each, found.rows - k * each), first, last, number, found.comments)
        for k, (first, last, number) in enumerate(zip(found.starts, ends, found.lines, strict=False))
    )
    return blocks, found
