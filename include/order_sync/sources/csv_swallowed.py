"""Tells whether a line within quotes is a row of the file, which a stray quote has swallowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from include.order_sync.sources.csv_header import Layout
from include.order_sync.transform.values import plain_word

if TYPE_CHECKING:
    from include.order_sync.configuration.csv_source import CsvSource

# A line of longer text may by chance have the delimiters of a row with fewer columns.
_TELLING_WIDTH = 5
_DIGITS_OF_A_TIME = 4


def row_test(layout: Layout, source: CsvSource) -> RowTest:
    """Return a test of the lines of a file.

    Args:
        layout: of the file.
        source: from the configuration.
    """
    rules = list(zip(source.status_from, layout.rules, strict=True))
    words = [
        (at, frozenset(map(plain_word, rule.is_ or source.statuses)))
        for rule, at in rules
        if rule.is_ or rule.word is None
    ]
    words += [(layout.found["status"], frozenset(map(plain_word, source.statuses)))] if "status" in layout.found else []
    times = [at for rule, at in rules if rule.time]
    return RowTest(layout.delimiter.encode(), len(layout.names), dict(layout.found), words, times, source.joins_lines)


@dataclass(frozen=True)
class RowTest:
    """Tells rows from other lines.

    Args:
        delimiter: of the file.
        width: of the file, in columns.
        found: canonical column -> its index.
        words: indexes of columns of statuses, and the words that a row has there.
        times: indexes of columns that may have the time of a status.
        joins_lines: whether an order has further lines, which may have neither its status nor its time.
    """

    delimiter: bytes
    width: int
    found: dict[str, int]
    words: Sequence[tuple[int, frozenset[str]]]
    times: Sequence[int]
    joins_lines: bool

    def __call__(self, line: bytes) -> bool:
        """Return whether a line looks like a row."""
        fields = [field.strip() for field in line.split(self.delimiter)]
        if len(fields) != self.width or self.width < 2:
            return False
        order_id, time = (fields[self.found[name]] if name in self.found else b"" for name in _DECIDING)
        # A quote closes a field of the true row there, or opens the next one: no row that was swallowed whole.
        if b'"' in order_id + time:
            return False
        if time:
            return _is_time(time)
        if any(_is_time(fields[at]) for at in self.times):
            return True
        if any(_plain(fields[at]) in words for at, words in self.words):
            return bool(order_id)
        if not (self.words or self.times or "status_changed_at" in self.found):
            return self.width > 2 and any(sign in b"0123456789" for sign in order_id) and b" " not in order_id
        return self.joins_lines and not any(fields[at] for at, _ in self.words) and self.width >= _TELLING_WIDTH


_DECIDING = ("order_id", "status_changed_at")


def _is_time(field: bytes) -> bool:
    return sum(ord("0") <= byte <= ord("9") for byte in field) >= _DIGITS_OF_A_TIME


@lru_cache(maxsize=64)  # a field may have megabytes
def _plain(field: bytes) -> str:
    return plain_word(field.decode("utf-8", "replace"))
