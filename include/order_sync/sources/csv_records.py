"""Splits the text of a CSV file into records: its rows, each with the line on which it begins.

Arrow gives up on a whole file at its first bad byte, and eats the rows behind a stray quote. So it gets whole records
that are good as text, and no others: each bad one is listed by its line. docs/decisions/0033 has the reasons.

- A quote opens only at the start of a field, and closes only before a delimiter or a line end.
- A line whose quote does not close so, or swallows lines that look like rows, is bad; the lines after it are read anew.
- A row that is too long is listed once, and passed over to its end, or to a line as wide as a row.
- Every line end of the file is counted as it is read, apart from the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from include.order_sync import tuning
from include.order_sync.counted import counted
from include.order_sync.sources.csv_quotes import (
    BAD,
    UNFINISHED,
    Patterns,
    Quoted,
    first_line_end,
    line_ends_of,
    rest_of_long_row,
)
from include.order_sync.transform.row_problems import BAD_BYTES, BAD_QUOTE, TOO_LONG

LONGEST_ROW = tuning.CSV_BLOCK_BYTES
_NEW_LINE, _RETURN, _QUOTE = b'\n\r"'


class UnreadableError(Exception):
    """A file that is no CSV. The message goes on after the file's name, and quotes nothing of it."""


class MiscountError(UnreadableError):
    """Another number of lines or rows was read than the file has: a fault of Order Sync."""


class Block(NamedTuple):
    """Some records of a file.

    Args:
        data: their UTF-8 bytes, each with its line end.
        starts: where each begins.
        lines: the file's line on which each begins.
        is_plain: whether each takes one line.
        problems: line -> problem, of the bad records among them; these are not in `data`.
        bad: line -> the bytes of these records.
    """

    data: bytes
    starts: np.ndarray
    lines: np.ndarray
    is_plain: bool
    problems: dict[int, str]
    bad: dict[int, bytes]

    def refuse(self, line: int, problem: str, record: bytes) -> None:
        """Note a bad record."""
        self.problems[line], self.bad[line] = problem, record

    def records(self) -> Iterator[bytes]:
        """Yield the bytes of each record."""
        for start, end in pairwise(self.bounds.tolist()):
            yield self.data[start:end]

    @property
    def bounds(self) -> np.ndarray:
        """Where each record begins, and the last one ends."""
        return np.append(self.starts, len(self.data))


class Records:
    """Reads the records of a file. Iterate it once.

    Args:
        read: size -> the next bytes of the text in UTF-8; none at its end.
        delimiter: of the file.
        width: of its rows, in columns.
        is_row: whether a line looks like a row, though it lies within quotes.
        skip: the number of lines at its beginning that hold no records.

    Attributes:
        first_bad: line and bytes from the first one on that is no text, if there is one.
    """

    def __init__(
        self, read: Callable[[int], bytes], delimiter: str, width: int, is_row: Callable[[bytes], bool], skip: int = 0
    ) -> None:
        self._read, self._skip = read, skip
        self._patterns = Patterns(delimiter, width, is_row)
        self._is_in_cell = False  # of a row that is too long
        self._line = 1
        self._line_ends = 0
        self.first_bad: tuple[int, bytes] | None = None

    def __iter__(self) -> Iterator[Block]:
        """Yield the records, in the order of the file.

        Raises:
            MiscountError: the lines of the records are not those that were counted.
        """
        rest, carry, is_cutting, ended = b"", b"", False, False
        while not ended:
            read = self._read(tuning.CSV_BLOCK_BYTES)
            ended = not read
            data, carry = carry + read, b""
            if ended:
                last = data or rest
                if (last or is_cutting) and not last.endswith((b"\n", b"\r")):
                    data += b"\n"
            elif data.endswith(b"\r"):
                data, carry = data[:-1], b"\r"  # maybe a line feed follows, which belongs to it
            self._line_ends += _count_line_ends(data)
            if is_cutting:
                first = first_line_end(data)
                is_cutting, data = not first, data[first:] if first else b""
                self._line += not is_cutting
            rest += data
            at = 0
            while self._skip and (first := first_line_end(rest, at)):
                at = first
                self._skip -= 1
                self._line += 1
            if self._is_in_cell:
                at = self._pass_over_cell(rest)
            rest = rest[at:]
            if self._is_in_cell and len(rest) > LONGEST_ROW:
                # Only a line with a quote may have closed the cell: then the row ends with the line.
                is_cutting = b'"' in rest
                self._is_in_cell, rest = not is_cutting, b""
            if self._skip or self._is_in_cell or not rest:
                continue
            block, used = self._split(rest, ended=ended)
            rest = rest[used:]
            if len(rest) > LONGEST_ROW and not self._is_in_cell and not first_line_end(rest):
                block.refuse(self._line, TOO_LONG, rest)
                is_cutting, rest = True, b""
            if len(block.lines) or block.problems:
                yield block
        if self._line - 1 != self._line_ends:
            raise MiscountError(f"has {counted(self._line_ends, 'line')}, and Order Sync read {self._line - 1}")

    def _split(self, data: bytes, *, ended: bool) -> tuple[Block, int]:
        """Return the whole records at the beginning of `data`, and how many bytes they take."""
        array = np.frombuffer(data, np.uint8)
        line_ends = line_ends_of(data, array)
        ends, is_plain = line_ends + 1, True
        if b'"' in data:
            found = self._well_quoted(data, array, line_ends)
            if found is None or ((ended or len(data) > LONGEST_ROW) and (found[-1] if len(found) else 0) < len(data)):
                return self._split_with_care(data, ended=ended)
            is_plain, ends = len(found) == len(line_ends), found
        used = int(ends[-1]) if len(ends) else 0
        starts = np.append(0, ends[:-1]) if len(ends) else ends
        lines = self._line + np.searchsorted(line_ends, starts)
        self._line += int(np.searchsorted(line_ends, used))
        return self._without_bad_bytes(Block(data[:used], starts, lines, is_plain, {}, {})), used

    def _well_quoted(self, data: bytes, array: np.ndarray, line_ends: np.ndarray) -> np.ndarray | None:
        """Return where the records end, if all quotes before the last end are well placed; else None."""
        quotes = np.flatnonzero(array == _QUOTE)
        ends: np.ndarray = line_ends[np.searchsorted(quotes, line_ends) % 2 == 0] + 1
        if not len(ends):
            return ends
        quotes = quotes[quotes < ends[-1]]
        opening, closing = quotes[::2], quotes[1::2]
        neighbours = (_NEW_LINE, _RETURN, _QUOTE, self._patterns.delimiter)
        before = array[opening - 1][opening > 0]
        if not np.isin(before, neighbours).all() or not np.isin(array[closing + 1], neighbours).all():
            return None
        if len(ends) < np.searchsorted(line_ends, ends[-1]):
            # Some records take several lines.
            bounds = np.append(0, ends)
            several = np.flatnonzero(np.diff(np.searchsorted(line_ends, bounds)) > 1)
            if any(self._swallows_rows(data[bounds[at] : bounds[at + 1]]) for at in several):
                return None
        return ends

    def _split_with_care(self, data: bytes, *, ended: bool) -> tuple[Block, int]:
        """Return what _split does, record by record, without the lines whose quotes are bad."""
        at, pieces, lines = 0, [], []
        problems: dict[int, str] = {}
        bad: dict[int, bytes] = {}
        quoted = Quoted(data, self._patterns)
        while at < len(data) and not self._is_in_cell:
            first = first_line_end(data, at)
            end, problem, count = first, None, 1
            if first and self._patterns.record.match(data, at, first):
                problem = TOO_LONG if end - at > LONGEST_ROW else None
            else:
                found = quoted.end_of(at)
                is_long = found != BAD and (found or len(data)) - at > LONGEST_ROW
                if not first or (found == UNFINISHED and not ended and not is_long):
                    break
                wide = quoted.wide_line(first) if is_long else 0
                is_bad = found == BAD or (found == UNFINISHED and not is_long)
                is_bad |= is_long and wide < min(at + LONGEST_ROW, quoted.lines_end)
                if is_bad or (found and quoted.swallows_rows(first, found)):
                    problem = BAD_QUOTE
                elif is_long:
                    self._is_in_cell = found == UNFINISHED and wide == quoted.lines_end
                    end, problem = found or wide, TOO_LONG
                    count = _count_line_ends(data[at:end])
                else:
                    end = found
                    count = _count_line_ends(data[at:end])
            record = data[at:end]
            if problem:
                problems[self._line], bad[self._line] = problem, record
            else:
                pieces.append(record)
                lines.append(self._line)
            self._line += count
            at = end
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        block = Block(b"".join(pieces), np.cumsum(lengths) - lengths, np.array(lines, np.int64), False, problems, bad)
        return self._without_bad_bytes(block), at

    def _pass_over_cell(self, data: bytes) -> int:
        """Return how many bytes at the beginning of `data` belong to a row that is too long."""
        whole = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        at, self._is_in_cell = rest_of_long_row(data[:whole], self._patterns)
        self._line += _count_line_ends(data[:at])
        return at

    def _swallows_rows(self, record: bytes) -> bool:
        return any(self._patterns.is_row(line) for line in record.splitlines()[1:])

    def _without_bad_bytes(self, block: Block) -> Block:
        """Return the block without records that hold bytes that are no text, and with these as problems."""
        too_long = np.diff(block.bounds) > LONGEST_ROW
        if not too_long.any() and (block.data.isascii() or is_utf8(block.data)):
            return block
        good, kept = [], []
        for record, line, is_long in zip(block.records(), block.lines.tolist(), too_long.tolist(), strict=True):
            if is_long:
                block.refuse(line, TOO_LONG, record)
            elif is_utf8(record):
                good.append(record)
                kept.append(line)
            else:
                block.refuse(line, BAD_BYTES, record)
                if self.first_bad is None:
                    self.first_bad = _first_bad(record, line)
        lengths = np.array([len(record) for record in good], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        return block._replace(data=b"".join(good), starts=starts, lines=np.array(kept, np.int64))


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8. Arrow's check makes no text of them."""
    bounds = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.StringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _first_bad(record: bytes, line: int) -> tuple[int, bytes]:
    try:
        record.decode()
    except UnicodeDecodeError as error:
        return line + _count_line_ends(record[: error.start]), record[error.start :]
    raise AssertionError  # Arrow and Python agree on UTF-8


def _count_line_ends(data: bytes) -> int:
    # bytes.count would take seven times as long.
    line_feeds = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEW_LINE))
    return line_feeds + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else line_feeds
