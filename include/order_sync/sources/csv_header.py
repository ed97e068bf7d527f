"""Finds out how a CSV file is laid out: its delimiter, its header, and the columns that are read."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError
from include.order_sync.model import ITEM_COLUMNS
from include.order_sync.sources.column_names import (
    Required,
    find_columns,
    index_of,
    listed,
    missing,
    names_to_show,
    plain_name,
)
from include.order_sync.sources.csv_records import UnreadableError, is_utf8
from include.order_sync.sources.csv_text import encoding_cure

if TYPE_CHECKING:
    from include.order_sync.configuration.csv_source import CsvSource
    from include.order_sync.sources.csv_text import Text

log = logging.getLogger(__name__)

DELIMITERS = {",": ",", ";": ";", "tab": "\t", "|": "|"}
# Excel writes the delimiter into a line of its own before the header.
_DELIMITER_LINE = re.compile(r'\s*"?sep=([,;\t|])"?\s*', re.IGNORECASE)
# So many lines after a preamble are looked at for the header, to name it in a message.
_PREAMBLE_LINES = 20
# So many rows after the header tell whether it is one.
_FURTHER_ROWS = 100


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Args:
        delimiter: one character.
        names: of all columns; their numbers from 1 if the file has no header.
        found: canonical column -> its index.
        lines: the number of lines before the first row.
        skipped: how many of them are no header: a preamble, or blank.
        has_header: whether the file has one.
        items: key of an item -> the index of its column, where the file has a line for each item.
        rules: the index of the column of each rule of `status_from`.
    """

    delimiter: str
    names: list[str]
    found: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    skipped: int = 0
    has_header: bool = True
    items: dict[str, int] = field(default_factory=dict)
    rules: tuple[int, ...] = ()


def read_layout(text: Text, source: CsvSource, required: Required, where: str) -> Layout | None:
    """Return how a file is laid out; None if it is empty.

    Args:
        text: of the file.
        source: from the configuration.
        required: canonical columns that the destination's provider needs.
        where: the source and the file, for messages.

    Raises:
        UnreadableError: it has no header that could be read.
        StopError: its first line is no header, or columns are missing.
    """
    lines = list(io.StringIO(text.sample.decode("utf-8", "replace"), newline=""))
    if not text.is_whole and lines and not lines[-1].endswith(("\n", "\r")) and len(lines) > 1:
        lines.pop()
    first = _after_blank_lines(lines, source.skip_lines)
    choices = [DELIMITERS[source.delimiter]] if source.delimiter else list(DELIMITERS.values())
    if first < len(lines) and (said := _DELIMITER_LINE.fullmatch(lines[first])):
        choices = choices if source.delimiter else [said[1]]
        first = _after_blank_lines(lines, first + 1)
    known = {plain_name(name) for name in source.column_names}

    def known_names(names: Sequence[str]) -> int:
        return sum(plain_name(name) in known for name in names)

    def refuse_other_header() -> None:
        for number, line in enumerate(lines[: first + _PREAMBLE_LINES] if source.header is None else []):
            if number != first and any(known_names(_read([line], each)[1][0]) >= 2 for each in choices):
                said = "is no header" if first < len(lines) else "is beyond the file's end"
                raise StopError(
                    stops.NO_HEADER,
                    f"{where}: line {first + 1} {said}, and line {number + 1} looks like one: set "
                    f"`skip_lines: {number}` in the source.",
                )

    if first >= len(lines):
        if text.is_whole:
            refuse_other_header()
            return None
        raise UnreadableError("has no header in its first lines: remove what stands before it, or set `skip_lines`")
    if len(lines[first]) >= tuning.CSV_HEADER_MAX_BYTES:
        raise UnreadableError(
            f"has a first line of {tuning.CSV_HEADER_MAX_BYTES} bytes or more, which is no header: "
            "write it as CSV, with an end to each line"
        )
    readings = [_read(lines[first:], delimiter) for delimiter in choices]
    # Inside quotes a delimiter makes no columns.
    delimiter, rows, header_lines = max(readings, key=lambda reading: (known_names(reading[1][0]), len(reading[1][0])))
    if source.header == "none":
        widths = Counter(len(row) for row in rows if any(row)) or Counter(map(len, rows))
        width = max(widths, key=lambda width: (widths[width], width))  # one row with a field too many is no measure
        names = [str(number) for number in range(1, width + 1)]
        return _with_columns(Layout(delimiter, names, {}, first, first, has_header=False), source, required, where, [])
    names = [name.strip() for name in rows[0]]
    if _swallows_rows(lines[first : first + header_lines], delimiter):
        raise UnreadableError("has a quote in its header that swallows rows: close it before the delimiter")
    if known_names(names) < 2:
        refuse_other_header()
        for word, sign in DELIMITERS.items():
            if sign not in choices and known_names(_read(lines[first:], sign)[1][0]) >= 2:
                raise StopError(
                    stops.NO_HEADER,
                    f"{where}: its delimiter is {word!r}, and the source's `delimiter` is {source.delimiter!r}: "
                    "correct it, or leave it out.",
                )
    names = _as_wide_as_rows(names, rows[1:])
    shown = names_to_show(names, source.columns, rows[1:])
    try:
        if shown is None:
            raise StopError(
                stops.NO_HEADER,
                f"{where}: the first line looks like data, not like a header ({len(names)} fields). Write the columns' "
                "names into the first line, or say `header: none` and give `columns` their numbers.",
            )
        return _with_columns(Layout(delimiter, names, {}, first + header_lines, first), source, required, where, shown)
    except StopError:
        if is_utf8(text.sample) or not any("\ufffd" in name for name in names):
            raise
    raise UnreadableError(f"has a header that is no text in {text.encoding}: {encoding_cure(text, source.words)}")


def _with_columns(layout: Layout, source: CsvSource, required: Required, where: str, shown: Sequence[str]) -> Layout:
    """Return the layout with the columns that are read."""
    names = layout.names
    found = find_columns(names, source.columns, required, where, shown=shown, given=source.supplied)
    faults: list[str] = []
    rules = [(rule.column, index_of(names, rule.column, faults)) for rule in source.status_from]
    faults += [missing("`status_from` takes a column", name, shown) for name, at in rules if at is None]
    if faults:
        said = f"{where}: {'; '.join(dict.fromkeys(faults))}. {listed(names, shown)}"
        raise StopError(stops.COLUMNS, f"{said}. Correct the source's `status_from`.")
    items = _item_columns(names, source, found, where, shown)
    return replace(layout, found=found, items=items, rules=tuple(at for _, at in rules if at is not None))


def _item_columns(
    names: Sequence[str], source: CsvSource, found: dict[str, int], where: str, shown: Sequence[str]
) -> dict[str, int]:
    """Return the columns of items; none where the items are in a JSON column."""
    faults: list[str] = []
    places = {name: index_of(names, name, faults) for name in source.item_columns.values()}
    canonical = _canonical_items(names, source, {*found.values(), *places.values()}, faults)
    if source.lines is None:
        if "items" in found:
            return {}
        how = (
            "the source does not say how: add `lines: items` if each line repeats the order's columns, or "
            "`lines: continuation` if only the first has them."
        )
        if any(at is not None for at in places.values()):
            raise StopError(
                stops.COLUMNS,
                f"{where}: `item_columns` names columns of the file, so it has a line for each item, and {how}",
            )
        if canonical:
            # Only a warning: the destination's service may take no items.
            log.warning("%s: its column item_id is not read. If it has a line for each item, %s", where, how)
            canonical = {}
    for name, at in places.items():
        if at is None:
            faults.append(missing("`item_columns` takes a column", name, shown))
    if faults:
        said = f"{where}: {'; '.join(faults)}. {listed(names, shown)}"
        raise StopError(stops.COLUMNS, f"{said}. Correct the source's `item_columns`.")
    return canonical | {name: at for name, at in places.items() if at is not None}


def _canonical_items(
    names: Sequence[str], source: CsvSource, taken: Collection[int | None], faults: list[str]
) -> dict[str, int]:
    """Return the columns of items with canonical names that `item_columns` does not give; none without `item_id`.

    The others alone tell nothing: an order may have a `name` or a `url` too.
    """
    if "item_id" in source.item_columns or index_of(names, "item_id", []) in {None, *taken}:
        return {}
    places = {name: index_of(names, name, faults) for name in ITEM_COLUMNS if name not in source.item_columns}
    return {name: at for name, at in places.items() if at is not None and at not in taken}


def _read(lines: Sequence[str], delimiter: str) -> tuple[str, list[list[str]], int]:
    """Return the delimiter, the header and some rows read by it, and the number of lines that the header takes."""
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(reader)
        header_lines = reader.line_num
        return delimiter, [header, *islice(reader, _FURTHER_ROWS)], header_lines
    except csv.Error:  # a field of more than 131,072 characters
        return delimiter, [lines[0].split(delimiter)], 1


def _as_wide_as_rows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the names with as many columns as most rows have, where header or rows end in more delimiters.

    A column without a name that most rows have a text in gets one: the others hold nothing.
    """
    if not rows:
        return list(names)

    def is_used(at: int) -> bool:
        return sum(bool(row[at].strip()) for row in rows if at < len(row)) > len(rows) // 2

    named = [name or (f"column {at + 1}" if is_used(at) else "") for at, name in enumerate(names)]
    width, _ = Counter(map(len, rows)).most_common(1)[0]
    if width < 2 or any(named[width:]) or any(map(is_used, range(len(named), width))):
        return named
    return [*named[:width], *[""] * (width - len(named))]


def _after_blank_lines(lines: Sequence[str], first: int) -> int:
    while first < len(lines) and not lines[first].strip():
        first += 1
    return first


def _swallows_rows(header: Sequence[str], delimiter: str) -> bool:
    """Return whether the lines of a header are one by a stray quote: names may have line breaks, but are no rows."""
    if any(delimiter in line and sum(map(str.isdigit, line)) >= 4 for line in header[1:]):
        return True
    try:
        list(csv.reader(header, delimiter=delimiter, strict=len(header) > 1))
    except csv.Error:
        return True
    return False
