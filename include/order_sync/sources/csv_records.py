"""Splits the text of a CSV file into records: its rows, each with the line on which it begins.

Arrow gives up on a whole file at its first bad byte, and eats the rows behind a stray quote. So it gets whole records
that are good as text, and no others: each bad one is listed by its line. docs/decisions/0033 has the reasons.

- A quote opens only at the start of a field, and closes only before a delimiter or a line end.
- A line whose quote does not close so, or swallows lines that look like rows, is bad; the lines after it are read anew.
- Every line end of the file is counted as it is read, apart from the records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from include.order_sync import tuning
from include.order_sync.counted import counted
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
        is_row: whether a line looks like a row, though it lies within quotes.
        skip: the number of lines at its beginning that hold no records.

    Attributes:
        first_bad: line and bytes from the first one on that is no text, if there is one.
    """

    def __init__(
        self, read: Callable[[int], bytes], delimiter: str, is_row: Callable[[bytes], bool], skip: int = 0
    ) -> None:
        self._read, self._is_row, self._skip = read, is_row, skip
        self._delimiter = ord(delimiter)
        mark = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+"(?=[\r\n' + mark + rb"])"
        plain = rb'[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+"
        field = rb"(?:" + quoted + rb"|" + plain + rb")?+"
        self._record = re.compile(rb"(?:" + field + mark + rb")*+" + field + rb"(?:\r\n|\r|\n)")
        self._unfinished = re.compile(rb"(?:" + field + mark + rb')*+(?:"(?:[^"]++|"")*+"?|' + plain + rb")?+\Z")
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
                first = _first_line_end(data)
                is_cutting, data = not first, data[first:] if first else b""
                self._line += not is_cutting
            rest += data
            while self._skip and (first := _first_line_end(rest)):
                rest = rest[first:]
                self._skip -= 1
                self._line += 1
            if self._skip or not rest:
                continue
            block, used = self._split(rest, ended=ended)
            rest = rest[used:]
            if len(rest) > LONGEST_ROW and not _first_line_end(rest):
                block.refuse(self._line, TOO_LONG, rest)
                is_cutting, rest = True, b""
            if len(block.lines) or block.problems:
                yield block
        if self._line - 1 != self._line_ends:
            raise MiscountError(f"has {counted(self._line_ends, 'line')}, and Order Sync read {self._line - 1}")

    def _split(self, data: bytes, *, ended: bool) -> tuple[Block, int]:
        """Return the whole records at the beginning of `data`, and how many bytes they take."""
        array = np.frombuffer(data, np.uint8)
        line_ends = np.flatnonzero(array == _NEW_LINE)
        if b"\r" in data:
            alone = np.flatnonzero(array == _RETURN)
            alone = alone[np.append(array, _RETURN)[alone + 1] != _NEW_LINE]
            line_ends = np.sort(np.append(line_ends, alone))
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
        neighbours = (_NEW_LINE, _RETURN, _QUOTE, self._delimiter)
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
        while at < len(data):
            found = self._record.match(data, at)
            record = found[0] if found else b""
            line_ends = _count_line_ends(record)
            if len(record) > LONGEST_ROW and line_ends == 1:
                problems[self._line], bad[self._line] = TOO_LONG, record
            elif found and len(record) <= LONGEST_ROW and (line_ends == 1 or not self._swallows_rows(record)):
                pieces.append(record)
                lines.append(self._line)
            elif not found and not ended and len(data) - at <= LONGEST_ROW and self._unfinished.match(data, at):
                break
            else:
                first = _first_line_end(data, at)
                if not first:
                    break  # it goes on, and is longer than a row may be
                line_ends, record = 1, data[at:first]
                problems[self._line], bad[self._line] = BAD_QUOTE, record
            self._line += line_ends
            at += len(record)
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        block = Block(b"".join(pieces), np.cumsum(lengths) - lengths, np.array(lines, np.int64), False, problems, bad)
        return self._without_bad_bytes(block), at

    def _swallows_rows(self, record: bytes) -> bool:
        return any(self._is_row(line) for line in record.splitlines()[1:])

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


def _first_line_end(data: bytes, start: int = 0) -> int:
    """Return where the first line from `start` on ends, with its line end; 0 if it does not."""
    line_feed = data.find(b"\n", start)
    carriage_return = data.find(b"\r", start, line_feed if line_feed >= 0 else len(data))
    if carriage_return < 0:
        return line_feed + 1
    return carriage_return + (2 if data[carriage_return + 1 : carriage_return + 2] == b"\n" else 1)
