"""A CSV drop: files by a glob. The file decides which window it belongs to; its rows are never filtered by time.

UTF-8 with or without a byte order mark, comma or semicolon, quoted line breaks. What can't be read, a row or a
whole file, becomes a row with a `problem`, so that it is rejected and listed while the rest goes on.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from upath import UPath

from include.order_sync.config import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.raw import RAW_SCHEMA, Required, find_columns, raw_table

log = logging.getLogger(__name__)

UNFINISHED_SUFFIXES = (".part", ".tmp")

WRONG_WIDTH = "row: not as many fields as the header"
UNREADABLE_FILE = "file: not readable as CSV to its end"

_DIRECTIVES = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})", "%H": r"(?P<H>\d{2})"}


@dataclass(frozen=True)
class DropFile:
    """A file of the drop: where it is, when it was last modified, and when its window says it is from."""

    path: UPath
    modified_at: datetime
    belongs_at: datetime


@dataclass
class CsvDropReader:
    """Reads one window of one drop.

    Args:
        folder: what the glob's fixed beginning leads to.
        source: from the configuration.
        window: files that belong to it are read.
        required: canonical columns that the destination's provider needs.
        skipped: how many rows were no orders: blank, or the header again. Counted while reading.
    """

    folder: UPath
    source: CsvSource
    window: Window
    required: Required
    skipped: int = field(default=0, init=False)

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[pa.Table], Iterator[pa.Table]]]:
        """Give the raw orders of the window; a drop has no second query for items, so there are none of those."""
        yield self.tables(), iter(())

    def files(self) -> list[DropFile]:
        """Return the window's files, by the time they belong to, then by name.

        Raises:
            StopError: the folder is not there.
        """
        if not self.folder.is_dir():
            raise StopError(
                f"Source {self.source.name!r}: there is no folder {self.folder}. "
                "Make it, or correct the source's `path`."
            )
        taken = []
        for path in self.folder.glob(self.source.pattern):
            parts = path.relative_to(self.folder).parts
            if path.name.endswith(UNFINISHED_SUFFIXES) or any(part.startswith(".") for part in parts):
                continue
            if not path.is_file():
                continue
            modified_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            belongs_at = modified_at
            if self.source.path_time:
                named = path_time("/".join(parts), self.source.path_time, self.source.timezone)
                if named is None:
                    log.warning(
                        "Source %r: %s has no date and hour like %r in its path, so no run ever reads it. "
                        "Rename it, or correct the source's `path` or `path_time`.",
                        self.source.name,
                        path,
                        self.source.path_time,
                    )
                    continue
                belongs_at = named
            if self.window.start <= belongs_at < self.window.end:
                taken.append(DropFile(path, modified_at, belongs_at))
        return sorted(taken, key=lambda file: (file.belongs_at, str(file.path)))

    def tables(self) -> Iterator[pa.Table]:
        """Yield the raw rows of all the window's files.

        Raises:
            StopError: none of the files could be read; it says why of each.
        """
        position = 0
        files = self.files()
        failures = []
        for file in files:
            log.info("Source %r: reading %s", self.source.name, file.path)
            try:
                for table in self._read(file, position):
                    yield table
                    position += table.num_rows
            except (StopError, pa.ArrowInvalid, UnicodeDecodeError) as error:
                message = str(error) if isinstance(error, StopError) else self._explain(file, error)
                log.error("%s", message)
                failures.append(message)
                yield self._problem_rows(file, position, [UNREADABLE_FILE], [1])
                position += 1
        if failures and len(failures) == len(files):
            raise StopError(" ".join(failures))

    def _read(self, file: DropFile, position: int) -> Iterator[pa.Table]:
        with file.path.open("rb") as head:
            first = head.readline(1024 * 1024).decode("utf-8-sig")
        if not first.strip():
            log.warning("Source %r: %s is empty", self.source.name, file.path)
            return
        delimiter = ";" if first.count(";") > first.count(",") else ","
        problems = _Problems()
        with file.path.open("rb") as content:
            names = next(csv.reader([first], delimiter=delimiter))
            where = f"Source {self.source.name!r}, {file.path}"
            found = find_columns(names, self.source.columns, self.required, where)
            places = [str(place) for place in range(len(names))]
            reader = pa_csv.open_csv(
                content,
                # Without threads, so that rows come with their numbers.
                read_options=pa_csv.ReadOptions(use_threads=False, column_names=places, block_size=4 * 1024 * 1024),
                parse_options=pa_csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=problems.note,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            rows_before = 0
            for batch in reader:
                lines = problems.lines_of(batch.num_rows, rows_before)
                rows_before += batch.num_rows
                table, lines = self._without_skipped(pa.Table.from_batches([batch]), lines, names, found)
                yield raw_table(
                    table,
                    found,
                    origin=str(file.path),
                    lines=lines,
                    position=position,
                    file_modified_at=file.modified_at,
                )
                position += table.num_rows
        self.skipped += problems.blank
        if problems.wide:
            yield self._problem_rows(file, position, [WRONG_WIDTH] * len(problems.wide), problems.wide)

    def _without_skipped(
        self, table: pa.Table, lines: pa.Array, names: list[str], found: dict[str, int]
    ) -> tuple[pa.Table, pa.Array]:
        """Leave out rows that are blank or repeat the header; the header itself is the first of those."""
        blank = header = np.ones(table.num_rows, dtype=bool)
        for place in range(table.num_columns):
            values = pc.utf8_trim_whitespace(pc.fill_null(table.column(place), ""))
            blank = blank & pc.equal(values, "").to_numpy()
        for place in found.values():
            values = pc.utf8_trim_whitespace(pc.fill_null(table.column(place), ""))
            header = header & pc.equal(values, names[place].strip()).to_numpy()
        skip = blank | header
        first_header = bool(len(lines)) and lines[0].as_py() == 1
        self.skipped += int(skip.sum()) - int(first_header)
        keep = pa.array(~skip)
        return table.filter(keep), lines.filter(keep)

    def _problem_rows(self, file: DropFile, position: int, problems: list[str], lines: list[int]) -> pa.Table:
        rows = len(problems)
        columns = {
            "origin": [str(file.path)] * rows,
            "line": lines,
            "position": list(range(position, position + rows)),
            "file_modified_at": [file.modified_at] * rows,
            "problem": problems,
        }
        arrays = [pa.array(columns.get(name, [None] * rows), RAW_SCHEMA.field(name).type) for name in RAW_SCHEMA.names]
        return pa.Table.from_arrays(arrays, schema=RAW_SCHEMA)

    def _explain(self, file: DropFile, error: Exception) -> str:
        encoding = isinstance(error, UnicodeDecodeError) or "UTF8" in str(error)
        fault = "is not UTF-8" if encoding else "is no CSV that could be read to its end"
        return (
            f"Source {self.source.name!r}: {file.path} {fault}. "
            "Write it anew as CSV in UTF-8, with comma or semicolon; it is read again when its window runs again."
        )


class _Problems:
    """What Arrow could not fit into columns: blank lines, and rows with too few or too many fields."""

    def __init__(self) -> None:
        self.blank = 0
        self.wide: list[int] = []
        self._numbers: list[int] = []

    def note(self, row: pa_csv.InvalidRow) -> str:
        if row.text.strip() == "":
            self.blank += 1
        else:
            self.wide.append(row.number)
        self._numbers.append(row.number)
        return "skip"

    def lines_of(self, rows: int, rows_before: int) -> pa.Array:
        """Return the numbers of the next `rows` good rows in the file; the header is row 1.

        Arrow reads ahead, so some of the bad rows noted so far may come only after these.
        """
        good = np.arange(rows_before, rows_before + rows)
        bad = np.array(self._numbers, dtype="int64")
        good_before_bad = bad - 1 - np.arange(len(bad))
        return pa.array(good + 1 + np.searchsorted(good_before_bad, good, side="right"), pa.int64())


def path_time(path: str, pattern: str, timezone: str) -> datetime | None:
    """Return the time that `path` names in the form of `pattern`, or None.

    Args:
        path: within the drop, with slashes.
        pattern: of %Y, %m, %d, %H and plain text; anywhere in the path.
        timezone: whose clock the path shows.
    """
    expression = re.escape(pattern)
    for directive, group in _DIRECTIVES.items():
        expression = expression.replace(re.escape(directive), group)
    found = re.search(expression, path)
    if not found:
        return None
    numbers = {name: int(digits) for name, digits in found.groupdict().items()}
    try:
        return datetime(
            numbers["Y"], numbers["m"], numbers["d"], numbers.get("H", 0), tzinfo=ZoneInfo(timezone)
        ).astimezone(UTC)
    except ValueError:
        return None
