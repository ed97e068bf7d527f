"""The bytes of a CSV file, as Arrow may have them: no line longer than a block, and a mark at the end."""

from __future__ import annotations

import io
import uuid
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
        self._ready = bytearray()  # whole lines, but for the last one while it is being cut out
        self._begun = b""  # the beginning of a line
        self._is_cutting = self._has_ended = False
        self.cut = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end: short blocks would make a row lie in three."""
        while (size < 0 or len(self._ready) < size) and not self._has_ended:
            self._read_on()
        taken = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(taken)]
        return taken

    def _read_on(self) -> None:
        data = self._content.read(LONGEST_LINE)
        # Bytes that are added to the file after its end was reached belong to its next version.
        self._has_ended = not data
        first = min((at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0), default=len(data))
        if len(self._begun) + first > LONGEST_LINE:
            self._begun = b""
            self._ready += self._cut
            self._is_cutting = True
            self.cut += 1
        if self._is_cutting:
            data = data[first:]
            self._is_cutting = not data
        last = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if last:
            self._ready += self._begun + data[:last]
            self._begun = b""
        self._begun += data[last:]
        if self._has_ended:
            self._ready += self._begun + (b"\n" if self._begun or self._is_cutting else b"") + self._end + b"\n"
