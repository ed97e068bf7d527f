"""A CSV drop: reads files by a glob. A file belongs to a window as a whole; its rows are never filtered by time.

An unreadable row becomes a row with a `problem`: it is rejected and listed, and the rest goes on. A file of which no
row could be used is listed too, and makes the run red.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import pyarrow as pa
from upath import UPath

from include.order_sync.configuration.source_models import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import FileVersion, Window
from include.order_sync.prefetch import prefetch
from include.order_sync.sources.column_names import Required
from include.order_sync.sources.csv_header import Layout, read_layout, row_test
from include.order_sync.sources.csv_lines import LineMerger
from include.order_sync.sources.csv_records import MiscountError, Records, UnreadableError
from include.order_sync.sources.csv_rows import RowParser
from include.order_sync.sources.csv_status import with_file_time, with_statuses
from include.order_sync.sources.csv_text import SAMPLE_BYTES, Text, likely_encoding, open_text
from include.order_sync.sources.drop_files import (
    DropFile,
    HashedContent,
    Register,
    content_hash,
    files_not_taken,
    files_of,
    nothing_matches,
    unusable,
)
from include.order_sync.sources.raw import problem_rows, raw_table
from include.order_sync.sources.raw_forms import RawForms
from include.order_sync.sources.run_window import Healing
from include.order_sync.staging.partitions import gathered
from include.order_sync.transform.row_problems import BAD_BYTES, MISSING_COLUMN, UNREADABLE_FILE

log = logging.getLogger(__name__)


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
        unusable: of each file that could not be used at all, the message for its user. Filled while reading.
        notice: that no file matches the glob; empty if one does. Set while reading.
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
    unusable: list[str] = field(default_factory=list, init=False)
    notice: str = field(default="", init=False)

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
        lacks_columns = False
        for file in files:
            log.info("Source %r: reading %s", self.source.name, file.path)
            try:
                for table in self._read(file, position):
                    yield table
                    position += table.num_rows
            except FileNotFoundError:
                log.warning(
                    "Source %r: %s has gone since the drop was listed. It is read if it comes again.",
                    self.source.name,
                    file.path,
                )
            except (StopError, UnreadableError, PermissionError, pa.ArrowInvalid) as error:
                self._refuse(file, self._message(file, error))
                lacks_columns |= isinstance(error, StopError)
                problem = MISSING_COLUMN if isinstance(error, StopError) else UNREADABLE_FILE
                yield self._problem_rows(file, position, {1: problem})
                position += 1
        if not files:
            self.notice = nothing_matches(self.folder, self.source)
        if lacks_columns and len(self.unusable) == len(files):
            raise StopError(" ".join(self.unusable))

    def _refuse(self, file: DropFile, message: str) -> None:
        """Note a file that could not be used, so that it is listed once, until it or the configuration changes."""
        log.error("%s", message)
        self.unusable.append(message)
        with suppress(FileNotFoundError):
            self.taken.append(unusable(file, content_hash(file.path), self.source))

    def _read(self, file: DropFile, position: int) -> Iterator[pa.Table]:
        """Yield the rows of one file, bad ones with their problem."""
        where = f"Source {self.source.name!r}, {file.path}"
        with file.path.open("rb") as opened:
            content = HashedContent(opened)
            text = open_text(content, self.source.encoding, [*self.source.column_names, *self.source.statuses])
            if text.found:
                log.info("%s is read as %s: %s", where, text.encoding, text.found)
            layout = read_layout(text, self.source, self.required, where)
            if layout is None:
                log.warning("%s is empty", where)
                self.taken.append(file.version(content.hash))
                return
            statuses = frozenset(word.encode() for word in self.source.statuses)
            records = Records(text.read, layout.delimiter, row_test(layout, statuses), skip=layout.lines)
            parser = RowParser(
                layout, [*layout.found.values(), *layout.items.values(), *layout.rules], self.source.footers
            )
            fields = {column: str(at) for column, at in layout.found.items()}
            fields |= {column: column for column in self.source.given_columns}
            merger = None
            if self.source.lines:
                merger = LineMerger(self.source.lines, fields, layout.items)
            good = bad = bad_bytes = 0
            skipped = layout.skipped
            for block in records:
                rows = parser.parse(block)
                skipped += rows.skipped
                good += rows.table.num_rows
                table, lines = self._with_statuses(rows.table, file, layout), rows.lines
                if merger:
                    merger.add(table, lines)
                    table, lines = merger.rows(ended=False)
                if table.num_rows:
                    yield self._raw(table, lines, file, position, fields)
                    position += table.num_rows
                if block.problems:
                    bad += len(block.problems)
                    bad_bytes += list(block.problems.values()).count(BAD_BYTES)
                    yield self._problem_rows(file, position, block.problems)
                    position += len(block.problems)
            if merger:
                table, lines = merger.rows(ended=True)
                yield self._raw(table, lines, file, position, fields)
                log.info("%s: %d lines were joined with the first line of their order", where, merger.joined)
                skipped += merger.joined
            self.skipped += skipped
            hashed = content.hash
        if bad_bytes and records.first_bad:
            log.warning("%s", _bad_bytes(where, text, file, records.first_bad, bad_bytes))
        if bad and not good:
            why = _bad_bytes("It", text, file, records.first_bad, bad_bytes) if records.first_bad else ""
            self._refuse(
                file,
                f"{where}: none of its {bad} rows could be used; the table of reasons names their faults. {why} "
                "The file is read again when it or the configuration has changed.",
            )
            return
        self.taken.append(file.version(hashed))

    def _with_statuses(self, table: pa.Table, file: DropFile, layout: Layout) -> pa.Table:
        """Return the rows with the columns that rules and the file's time give."""
        if self.source.status_from:
            time = layout.found.get("status_changed_at")
            table = with_statuses(table, self.source.status_from, layout.rules, None if time is None else str(time))
        if self.source.status_time:
            table = with_file_time(table, file.belongs_at)
        return table

    def _raw(
        self, table: pa.Table, lines: pa.Array, file: DropFile, position: int, fields: Mapping[str, str]
    ) -> pa.Table:
        """Return some rows of a file as raw rows.

        Args:
            table: its columns are named by their index in the file, or by the canonical column.
            lines: the file's line of each row.
            file: of the rows.
            position: of the first row in the window.
            fields: canonical column -> the name of the table's column, where it is not the canonical one.
        """
        names = table.schema.names
        found = {column: column if column in names else name for column, name in {"items": "", **fields}.items()}
        return raw_table(
            table,
            {column: names.index(name) for column, name in found.items() if name in names},
            origin=str(file.path),
            lines=lines,
            position=position,
            forms=RawForms.of(self.source),
            file_modified_at=file.modified_at,
        )

    def _problem_rows(self, file: DropFile, position: int, problems: Mapping[int, str]) -> pa.Table:
        return problem_rows(problems, str(file.path), position, file.modified_at)

    def _message(self, file: DropFile, error: Exception) -> str:
        """Return what is said of a file that could not be read; nothing in it is quoted."""
        if isinstance(error, StopError):
            return str(error)
        where = f"Source {self.source.name!r}, {file.path}"
        if isinstance(error, PermissionError):
            return (
                f"{where}: the worker may not read it. Give its user the right to read the file; a later run then "
                "reads it."
            )
        if isinstance(error, MiscountError):
            return f"{where} {error}. The others are not sent: this is a fault of Order Sync, so please report it."
        fault = str(error) if isinstance(error, UnreadableError) else "could not be parsed as CSV"
        with file.path.open("rb") as opened:
            encoding = likely_encoding(opened.read(SAMPLE_BYTES))
        cure = f"if it is {encoding}, say so in the source's `encoding`; else " if encoding else ""
        return (
            f"{where} {fault}. To cure it, {cure}write it anew as CSV in UTF-8. It is read again when it or the "
            "configuration has changed."
        )


def _bad_bytes(where: str, text: Text, file: DropFile, first: tuple[int, int], rows: int) -> str:
    """Return what is said of rows with bytes that are no text."""
    line, byte = first
    read_as = f"{text.encoding}, by `encoding`" if text.encoding != "utf-8" else "UTF-8"
    said = (
        f"{where} is read as {read_as}, and {rows} rows hold bytes that are none; the first is 0x{byte:02X} in line "
        f"{line}."
    )
    with file.path.open("rb") as opened:
        likely = likely_encoding(opened.read(SAMPLE_BYTES)) if text.encoding == "utf-8" else ""
    cure = f"If the file is {likely}, say" if likely else "Say"
    return f"{said} {cure} so in the source's `encoding`: windows-1251 for example. Or write the file in UTF-8."
