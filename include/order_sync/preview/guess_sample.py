"""Reads the beginning of a file that nobody has described: its encoding, delimiter, header and rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.order_sync import stops
from include.order_sync.counted import counted
from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS
from include.order_sync.preview.guess_names import COLUMN_NAMES, is_order_number, plain, squeezed
from include.order_sync.preview.guess_words import FOOTERS, STATUS_WORDS
from include.order_sync.sources.column_names import names_to_show
from include.order_sync.sources.containers import texts_of
from include.order_sync.sources.csv_header import DELIMITERS
from include.order_sync.sources.csv_records import UnreadableError
from include.order_sync.sources.csv_text import SAMPLE_BYTES, Readable, likely_encoding, open_text

_HEADER_WITHIN = 20  # lines
_ROWS = 2000


@dataclass(frozen=True)
class Sample:
    """The beginning of a file.

    Args:
        encoding: of the file.
        is_sure: whether its bytes tell the encoding.
        delimiter: one character.
        skip: the number of lines before the header.
        names: of the columns; None if the file has no header.
        rows: without headers and footer, none of them blank.
        footer: the first text of the last row, if that has sums.
    """

    encoding: str
    is_sure: bool
    delimiter: str
    skip: int
    names: list[str] | None
    rows: list[list[str]]
    footer: str | None

    def values(self, at: int) -> list[str]:
        """Return the texts of a column that are not empty."""
        return [row[at] for row in self.rows if at < len(row) and row[at]]


def read_sample(file: Path) -> Sample:
    """Return the beginning of a file, of the first one in a container.

    Raises:
        StopError: it is no CSV, or no text.
    """
    words = [word for given in (*COLUMN_NAMES.values(), *STATUS_WORDS.values()) for word in given]
    with file.open("rb") as opened:
        try:
            _, content = next(texts_of(opened, file.stat().st_size, ",", str(file)))
            start = _read(content)
        except UnreadableError as error:
            raise StopError(stops.SMALL_FILE, f"{file} {error}.") from None
    text = open_text(io.BytesIO(start), None, words)
    is_sure, encoding, decoded = True, text.encoding, text.sample.decode("utf-8", "replace")
    if "\ufffd" in decoded[:-1]:
        encoding, is_sure = likely_encoding(start), False
        if not encoding:
            raise StopError(
                stops.SMALL_FILE, f"{file} is no text in any encoding that Order Sync knows: save it as CSV in UTF-8."
            )
        decoded = start.decode(encoding, "replace")
    lines = decoded.splitlines(keepends=True)
    lines = lines[:-1] if len(start) == SAMPLE_BYTES else lines
    if not any(line.strip() for line in lines):
        raise StopError(stops.SMALL_FILE, f"{file} is empty.")
    readings = [(delimiter, list(csv.reader(lines[:_ROWS], delimiter=delimiter))) for delimiter in DELIMITERS.values()]
    delimiter, rows, at = max(
        ((delimiter, rows, at) for delimiter, rows in readings for at in range(min(len(rows), _HEADER_WITHIN))),
        key=lambda reading: (known_names(reading[1][reading[2]]), len(reading[1][reading[2]]), -reading[2]),
    )
    names = _trimmed(rows[at])
    further = [row for row in map(_trimmed, rows[at + 1 :]) if any(row) and row != names]
    last = next(filter(None, further[-1])) if further else ""
    footer = last if plain(last) in FOOTERS else None
    further = further[:-1] if footer else further
    if len(names) < len(IDENTITY_COLUMNS) - 1:
        raise StopError(stops.SMALL_FILE, f"{file} has {counted(len(names), 'column')} by any of , ; tab |: is it CSV?")
    if known_names(names) < 2 and names_to_show(names, {}, further) is None:
        before = [row for row in map(_trimmed, rows[: at + 1]) if any(row)]
        return Sample(encoding, is_sure, delimiter, 0, None, before + further, footer)
    return Sample(encoding, is_sure, delimiter, at, names, further, footer)


def _trimmed(row: Sequence[str]) -> list[str]:
    return [field.strip() for field in row]


def _read(content: Readable) -> bytes:
    start = b""
    while len(start) < SAMPLE_BYTES and (more := content.read(SAMPLE_BYTES - len(start))):
        start += more
    return start


def known_names(names: Sequence[str]) -> int:
    """Return how many names are those of columns that shops have."""
    known = {squeezed(name) for given in COLUMN_NAMES.values() for name in given}
    return sum(squeezed(name) in known or is_order_number(name) for name in names)
