"""The bytes of a CSV file, as Arrow may have them: no line longer than a block, and a mark at the end."""

from __future__ import annotations

import io
import sys
import uuid
from collections import deque
from typing import Protocol

from include.order_sync import tuning

# Random, so that no file holds them.
END_MARK = f"end-{uuid.uuid4()}"
CUT_MARK = f"cut-{uuid.uuid4()}"

# With its line end, the longest row fits into one of Arrow's blocks: it may lie in two of them, but not in three.
LONGEST_LINE = tuning.CSV_BLOCK_BYTES - len("\r\n")


class _Readable(Protocol):
    def read(self, size: int) -> bytes:
        """Read on, as files do."""


class LineStream(io.RawIOBase):
    """Reads the lines of a file.

    - A line of more than LONGEST_LINE bytes becomes a line of CUT_MARK. Of such a line no more than that is ever held.
    - After the last line comes one of END_MARK. If it is missing after parsing, an open quote has swallowed it.

    Args:
        content: of the file, after its header.
        delimiter: of the file.
        columns: the number of its columns.

    Attributes:
        cut: how many lines were cut out so far.
    """

    def __init__(self, content: _Readable, delimiter: str, columns: int) -> None:
        self._content = content
        self._end, self._cut = (mark.encode() + delimiter.encode() * (columns - 1) for mark in (END_MARK, CUT_MARK))
        self._ready: deque[memoryview] = deque()  # whole lines, but for the last one while it is being cut out
        self._begun = b""  # the beginning of a line
        self._is_cutting = self._has_ended = False
        self.cut = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end: short blocks would make a row lie in three."""
        taken: list[memoryview] = []
        missing = sys.maxsize if size < 0 else size
        while missing and (self._ready or not self._has_ended):
            if not self._ready:
                self._read_on()
                continue
            piece = self._ready.popleft()
            taken.append(piece[:missing])
            if len(piece) > missing:
                self._ready.appendleft(piece[missing:])
            missing -= len(taken[-1])
        return b"".join(taken)

    @property
    def held(self) -> int:
        """The number of bytes that were read on and not returned yet."""
        return sum(map(len, self._ready)) + len(self._begun)

    def _read_on(self) -> None:
        data = self._content.read(LONGEST_LINE)
        # Bytes that are added to the file after its end was reached belong to its next version.
        self._has_ended = not data
        first = _first_line_end(data)
        if len(self._begun) + first > LONGEST_LINE:
            self._begun = b""
            self._ready.append(memoryview(self._cut))
            self._is_cutting = True
            self.cut += 1
        if self._is_cutting:
            data = data[first:]
            self._is_cutting = not data
        last = data.rfind(b"\n")
        last = max(last, data.rfind(b"\r", last + 1)) + 1
        if last:
            self._ready += memoryview(self._begun), memoryview(data)[:last]
            self._begun = b""
        self._begun += data[last:]
        if self._has_ended:
            line_end = b"\n" if self._begun or self._is_cutting else b""
            self._ready.append(memoryview(self._begun + line_end + self._end + b"\n"))
            self._begun = b""


def _first_line_end(data: bytes) -> int:
    """Return where the first line ends; the length, if it does not end here."""
    line_feed = data.find(b"\n")
    to = line_feed if line_feed >= 0 else len(data)
    carriage_return = data.find(b"\r", 0, to)
    return carriage_return if carriage_return >= 0 else to
