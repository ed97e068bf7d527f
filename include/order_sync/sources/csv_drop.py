"""A CSV drop: reads files by a glob. A file belongs to a window as a whole; its rows are never filtered by time.

- UTF-8 with or without a byte order mark, comma or semicolon, quoted line breaks.
- An unreadable row or file becomes a row with a `problem`: it is rejected and listed, and the rest goes on.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from upath import UPath

from include.order_sync import tuning
from include.order_sync.configuration.source_models import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import FileVersion, Window
from include.order_sync.prefetch import prefetch
from include.order_sync.sources.csv_stream import CUT_MARK, END_MARK, LineStream
from include.order_sync.sources.drop_files import (
    DropFile,
    HashedContent,
    Register,
    content_hash,
    files_not_taken,
    files_of,
)
from include.order_sync.sources.raw import TOO_LONG, Required, find_columns, looks_like_data, problem_rows, raw_table
from include.order_sync.sources.run_window import Healing
from include.order_sync.staging.partitions import gathered

log = logging.getLogger(__name__)

WRONG_WIDTH = "row: not as many fields as the header"
MISSING_COLUMN = "file: a column that is needed is missing"
UNREADABLE_FILE = "file: not readable as CSV to its end"

_LONG_HEADER = "the first line is too long"


@dataclass
class CsvDropReader:
    """Reads one window of one drop.

    Args:
        folder: the folder of the glob's fixed beginning.
        source: from the configuration.
        window: files that belong to it are read.
        required: canonical columns that the destination's provider needs.
        register: returns the versions that were taken before. It goes with `healing`.
        healing: with it, the files that were not taken before are read, from its reach to the window's end; without
            it, all files of the window.
        skipped: how many rows were blank or repeated the header. Counted while reading.
        taken: the versions of the files that were read, also of unreadable ones. Filled while reading.
        left_out: files since the destination's first window that were not taken, and are too old for this run. Filled
            while reading.
    """

    folder: UPath
    source: CsvSource
    window: Window
    required: Required
    register: Register | None = None
    healing: Healing | None = None
    skipped: int = field(default=0, init=False)
    taken: list[FileVersion] = field(default_factory=list, init=False)
    left_out: list[DropFile] = field(default_factory=list, init=False)

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[pa.Table], Iterator[pa.Table]]]:
        """Yield the raw orders of the window, and no items: a drop has no second query for them."""
        # Parsing and hashing release the GIL, so a thread reads on while earlier rows are staged.
        with closing(prefetch(gathered(self.tables()))) as tables:
            yield tables, iter(())

    def files(self) -> list[DropFile]:
        """Return the files to read, oldest first.

        Raises:
            StopError: the folder does not exist.
        """
        if self.register is None or self.healing is None:
            return files_of(self.folder, self.source, self.window)
        since_first = Window(self.healing.began, self.window.end)
        files, touched = files_not_taken(self.folder, self.source, since_first, self.register)
        self.taken += touched
        reach = self.healing.reach
        self.left_out = [file for file in files if file.belongs_at < reach]
        return [file for file in files if file.belongs_at >= reach]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the raw rows of all the files.

        Raises:
            StopError: no file could be read, and at least one lacks a column: then the configuration is wrong, not the
                files. The message has the reason of each file.
        """
        position = 0
        files = self.files()
        failures = []
        lacks_columns = False
        for file in files:
            log.info("Source %r: reading %s", self.source.name, file.path)
            try:
                for table in self._read(file, position):
                    yield table
                    position += table.num_rows
            except (
                StopError,
                pa.ArrowInvalid,
                UnicodeDecodeError,
                FileNotFoundError,
                PermissionError,
                csv.Error,
            ) as error:
                message = self._message(file, error)
                log.error("%s", message)
                failures.append(message)
                lacks_columns |= isinstance(error, StopError)
                problem = MISSING_COLUMN if isinstance(error, StopError) else UNREADABLE_FILE
                yield self._problem_rows(file, position, {1: problem})
                position += 1
                self._take_unreadable(file)
        if lacks_columns and len(failures) == len(files):
            raise StopError(" ".join(failures))

    def _take_unreadable(self, file: DropFile) -> None:
        """Remember an unreadable file too, so that it is listed once. A file that has gone is not remembered."""
        with suppress(FileNotFoundError):
            self.taken.append(file.version(content_hash(file.path)))

    def _read(self, file: DropFile, position: int) -> Iterator[pa.Table]:
        with file.path.open("rb") as opened:
            content = HashedContent(opened)
            header, lines_before = self._read_header(content)
            if not header:
                log.warning("Source %r: %s is empty", self.source.name, file.path)
                self.taken.append(file.version(content.hash))
                return
            # Choose the delimiter that makes more columns; inside quotes it makes none.
            read = {delimiter: next(csv.reader([header], delimiter=delimiter)) for delimiter in ",;"}
            delimiter = max(read, key=lambda delimiter: len(read[delimiter]))
            names = [name.strip() for name in read[delimiter]]
            where = f"Source {self.source.name!r}, {file.path}"
            if looks_like_data(names, self.source.columns):
                raise StopError(
                    f"{where}: the first line looks like data, not like a header ({len(names)} fields). "
                    "Write the columns' names into the first line."
                )
            found = find_columns(names, self.source.columns, self.required, where)
            numbers = [str(number) for number in range(len(names))]
            problems = _Problems(lines_before)
            stream = LineStream(content, delimiter, len(names))
            reader = _open_csv(
                pa.PythonFile(stream, mode="r"),
                # Without threads: with them Arrow does not tell the numbers of bad rows.
                read_options=pa_csv.ReadOptions(
                    use_threads=False, column_names=numbers, block_size=tuning.CSV_BLOCK_BYTES
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=problems.note,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(numbers, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            rows_before = 0
            for batch in reader:
                lines = problems.lines_of(batch.num_rows, rows_before)
                rows_before += batch.num_rows
                given = problems.without_end_mark(pa.Table.from_batches([batch]), lines)
                lines = lines[: given.num_rows]
                if stream.cut:
                    given, lines = problems.without_cut_lines(given, lines)
                given, lines = self._without_skipped(given, lines, names, found)
                yield raw_table(
                    given,
                    found,
                    origin=str(file.path),
                    lines=lines,
                    position=position,
                    file_modified_at=file.modified_at,
                )
                position += given.num_rows
            self.taken.append(file.version(content.hash))
        self.skipped += problems.blank
        if problems.found:
            if UNREADABLE_FILE in problems.found.values():
                log.error("%s", self._explain(file, "has a quote that is never closed"))
            yield self._problem_rows(file, position, problems.found)

    def _read_header(self, content: HashedContent) -> tuple[str, int]:
        """Read up to the first line that is not blank; return it, and the number of lines read."""
        lines = 0
        while line := content.readline(tuning.CSV_HEADER_MAX_BYTES):
            lines += 1
            if len(line) == tuning.CSV_HEADER_MAX_BYTES:
                raise csv.Error(_LONG_HEADER)
            text = line.decode("utf-8-sig").strip()
            if text:
                self.skipped += lines - 1
                return text, lines
        return "", lines

    def _without_skipped(
        self, table: pa.Table, lines: pa.Array, names: list[str], found: dict[str, int]
    ) -> tuple[pa.Table, pa.Array]:
        """Leave out rows that are blank or repeat the header."""
        ids, id_name = _trimmed(table, found["order_id"]), names[found["order_id"]]
        if not pc.any(pc.is_in(ids, value_set=pa.array(["", id_name]))).as_py():
            return table, lines
        blank = header = np.ones(table.num_rows, dtype=bool)
        for column in range(table.num_columns):
            blank = blank & pc.equal(_trimmed(table, column), "").to_numpy()
        for column in found.values():
            header = header & pc.equal(_trimmed(table, column), names[column]).to_numpy()
        skip = blank | header
        self.skipped += int(skip.sum())
        keep = pa.array(~skip)
        return table.filter(keep), lines.filter(keep)

    def _problem_rows(self, file: DropFile, position: int, problems: Mapping[int, str]) -> pa.Table:
        return problem_rows(problems, str(file.path), position, file.modified_at)

    def _message(self, file: DropFile, error: Exception) -> str:
        if isinstance(error, StopError):
            return str(error)
        if isinstance(error, PermissionError):
            return (
                f"Source {self.source.name!r}: the worker may not read {file.path}. "
                "Give its user the right to read the file; a later run then reads it."
            )
        return self._explain(file, _fault(error))

    def _explain(self, file: DropFile, fault: str) -> str:
        return (
            f"Source {self.source.name!r}: {file.path} {fault}. "
            "Write it anew as CSV in UTF-8, with comma or semicolon; it is read again when it has changed."
        )


class _Problems:
    """Collects the lines of a file that are no rows: blank lines, wrong numbers of fields, quotes never closed."""

    def __init__(self, lines_before: int) -> None:
        self._lines_before = lines_before
        self._numbers: list[int] = []
        self.blank = 0
        self.found: dict[int, str] = {}

    def note(self, row: pa_csv.InvalidRow) -> str:
        if row.text.strip() == "":
            self.blank += 1
        else:
            problem = UNREADABLE_FILE if END_MARK in row.text else TOO_LONG if CUT_MARK in row.text else WRONG_WIDTH
            self.found[self._lines_before + row.number] = problem
        self._numbers.append(row.number)
        return "skip"

    def without_end_mark(self, rows: pa.Table, lines: pa.Array) -> pa.Table:
        """Return the rows without the end mark, or without the row that has swallowed it."""
        last = [column[-1].as_py() or "" for column in rows.columns] if rows.num_rows else []
        if not any(END_MARK in value for value in last):
            return rows
        if last[0] != END_MARK:
            self.found[lines[-1].as_py()] = UNREADABLE_FILE
        return rows.slice(0, rows.num_rows - 1)

    def without_cut_lines(self, rows: pa.Table, lines: pa.Array) -> tuple[pa.Table, pa.Array]:
        """Return the rows, and their lines, without those of which a line was cut out."""
        good = np.ones(rows.num_rows, dtype=bool)
        for column in rows.columns:
            good &= ~pc.fill_null(pc.match_substring(column, CUT_MARK), False).to_numpy()
        keep = pa.array(good)
        self.found |= dict.fromkeys(lines.filter(pc.invert(keep)).to_pylist(), TOO_LONG)
        return rows.filter(keep), lines.filter(keep)

    def lines_of(self, rows: int, rows_before: int) -> pa.Array:
        """Return the line numbers of the next `rows` good rows; a header in the file's first line is line 1.

        Arrow reads ahead, so some of the bad rows noted so far may lie behind these.
        """
        good = np.arange(rows_before, rows_before + rows)
        bad = np.array(self._numbers, dtype="int64")
        good_before_bad = bad - 1 - np.arange(len(bad))
        numbers = good + 1 + np.searchsorted(good_before_bad, good, side="right")
        return pa.array(self._lines_before + numbers, pa.int64())


def _trimmed(table: pa.Table, column: int) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(pc.fill_null(table.column(column), ""))


def _open_csv(content: BinaryIO, **options: Any) -> Iterable[pa.RecordBatch]:
    try:
        reader: Iterable[pa.RecordBatch] = pa_csv.open_csv(content, **options)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):  # a header and no rows
            return ()
        raise
    return reader


def _fault(error: Exception) -> str:
    """Return why a file could not be read, without quoting it."""
    if isinstance(error, FileNotFoundError):
        return "has gone while it was being read"
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return "is not UTF-8"
    if str(error) == _LONG_HEADER:
        return f"has a first line of {tuning.CSV_HEADER_MAX_BYTES} bytes or more, which is no header"
    if "straddl" in str(error):
        return (
            f"has a row with line breaks of more than {tuning.CSV_BLOCK_BYTES} bytes, or a quote that is never closed"
        )
    return "is no CSV that could be read to its end"
