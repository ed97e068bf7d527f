"""Finds where rows end in a text with quotes that Arrow would misread: stray ones, and cells that are too long.

Each place is looked at a bounded number of times, though many lines may begin rows that go on alike.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from functools import cached_property

import numpy as np

BAD, UNFINISHED = -1, 0
_NEW_LINE, _RETURN = b"\n\r"
_LINE_END = re.compile(rb"\r\n?|\n")


class Patterns:
    """How records, fields and cells look with a delimiter.

    Args:
        delimiter: of the file.
        width: of its rows, in columns.
        is_row: whether a line looks like a row, though it lies within quotes.
    """

    def __init__(self, delimiter: str, width: int, is_row: Callable[[bytes], bool]) -> None:
        self.delimiter, self.width, self.is_row = ord(delimiter), width, is_row
        mark = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+"(?=[\r\n' + mark + rb"])"
        plain = rb'[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+"
        field = rb"(?:" + quoted + rb"|" + plain + rb")?+"
        self.record = re.compile(rb"(?:" + field + mark + rb")*+" + field + rb"(?:\r\n|\r|\n)")
        self.field = re.compile(field + rb"(?:" + mark + rb"|(\r\n|\r|\n))")
        self.unfinished_field = re.compile(rb'(?:"(?:[^"]++|"")*+"?|' + plain + rb")?+\Z")
        self.rest_of_cell = re.compile(rb'(?:[^"]++|"")*+')
        self.closing = re.compile(rb'"(?=[\r\n' + mark + rb"])")


class Quoted:
    """A text with quotes, from the beginning of a line on."""

    def __init__(self, data: bytes, patterns: Patterns) -> None:
        self._data, self._patterns = data, patterns
        self._looked_to, self._row = 0, -1
        # Where a field begins, the number of the first record that has it. All of them have the same end.
        self._records = array("i", [0]) * (len(data) + 1)
        self._ends = [BAD]

    def end_of(self, at: int) -> int:
        """Return where the record ends that begins, or goes on with a field, at a place; else UNFINISHED or BAD."""
        number, end = len(self._ends), BAD
        while not self._records[at]:
            self._records[at] = number
            found = self._patterns.field.match(self._data, at)
            if found is None:
                end = UNFINISHED if self._patterns.unfinished_field.match(self._data, at) else BAD
                break
            at = found.end()
            if found[1]:
                end = at
                break
        else:
            end = self._ends[self._records[at]]
        self._ends.append(end)
        return end

    def swallows_rows(self, start: int, end: int) -> bool:
        """Return whether a line looks like a row between two line ends. Ask with rising starts."""
        if self._row >= start:
            return self._row < end
        at = max(start, self._looked_to)
        while at < end:
            line, at = at, first_line_end(self._data, at)
            if self._patterns.is_row(self._data[line:at]):
                self._row, self._looked_to = line, at
                return True
        self._looked_to = at
        return False

    def wide_line(self, start: int) -> int:
        """Return where the first whole line begins, from `start` on, that is as wide as a row; else `lines_end`."""
        starts = self._wide_lines
        return int(starts[np.searchsorted(starts, start)])

    @property
    def lines_end(self) -> int:
        """Where the last whole line ends."""
        return int(self._wide_lines[-1])

    @cached_property
    def _wide_lines(self) -> np.ndarray:
        """Where the whole lines begin that have as many delimiters as a row, and where the last whole line ends."""
        octets = np.frombuffer(self._data, np.uint8)
        bounds = np.append(0, line_ends_of(self._data, octets) + 1)
        delimiters = np.flatnonzero(octets == self._patterns.delimiter)
        counts = np.diff(np.searchsorted(delimiters, bounds))
        return np.append(bounds[:-1][counts == self._patterns.width - 1], bounds[-1])


def rest_of_long_row(data: bytes, patterns: Patterns) -> tuple[int, bool]:
    """Return where a row ends that is too long, and whether it goes on behind the data.

    It ends at the latest before a line that is as wide as a row, or that has a misplaced quote.

    Args:
        data: whole lines, from within a quoted cell of the row on.
        patterns: of the file.
    """
    quoted = Quoted(data, patterns)
    stop = quoted.wide_line(0)
    searched = first_line_end(data, stop) or stop
    quote = patterns.rest_of_cell.match(data, 0, searched).end()  # type: ignore[union-attr]  # it matches everywhere
    if quote < searched:
        if not patterns.closing.match(data, quote):
            return max(data.rfind(b"\n", 0, quote), data.rfind(b"\r", 0, quote)) + 1, False
        # The line that closes the cell may have as many delimiters as a row.
        stop = quoted.wide_line(quote + 1)
        end = Quoted(data[:stop], patterns).end_of(quote + 1)
        if end != UNFINISHED:
            return first_line_end(data, quote) if end == BAD else end, False
    return stop, stop == len(data)


def first_line_end(data: bytes, start: int = 0) -> int:
    """Return where the first line from `start` on ends, with its line end; 0 if it does not."""
    found = _LINE_END.search(data, start)
    return found.end() if found else 0


def line_ends_of(data: bytes, octets: np.ndarray) -> np.ndarray:
    """Return where the lines end: the last byte of each line end.

    Args:
        data: a text.
        octets: the same.
    """
    line_ends = np.flatnonzero(octets == _NEW_LINE)
    if b"\r" in data:
        alone = np.flatnonzero(octets == _RETURN)
        alone = alone[np.append(octets, _RETURN)[alone + 1] != _NEW_LINE]
        line_ends = np.sort(np.append(line_ends, alone))
    return line_ends
