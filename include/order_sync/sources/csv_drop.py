"""A CSV drop: reads files by a glob. A file belongs to a window as a whole; its rows are never filtered by time.

An unreadable row becomes a row with a `problem`: it is rejected and listed, and the rest goes on. A file of which no
row could be used is listed too, and makes the run red.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

import pyarrow as pa
from upath import UPath

from include.order_sync import stops
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import FileNotRead, FileVersion, Window
from include.order_sync.prefetch import prefetch
from include.order_sync.sources.column_names import Required
from include.order_sync.sources.containers import texts_of
from include.order_sync.sources.csv_file import CsvText
from include.order_sync.sources.csv_header import DELIMITERS
from include.order_sync.sources.csv_records import MiscountError, UnreadableError
from include.order_sync.sources.drop_files import (
    DropFile,
    Register,
    files_not_taken,
    files_of,
    nothing_matches,
    unusable,
)
from include.order_sync.sources.hashed_content import HashedContent, content_hash
from include.order_sync.sources.run_window import Healing
from include.order_sync.staging.partitions import gathered
from include.order_sync.transform.row_problems import MISSING_COLUMN, UNREADABLE_FILE

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
        not_read: files that no scheduled run reads as they are. Filled while reading, with `healing`.
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
    not_read: list[FileNotRead] = field(default_factory=list, init=False)
    unusable: list[str] = field(default_factory=list, init=False)
    notice: str = field(default="", init=False)
    _lacks_columns: bool = field(default=False, init=False)

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
        files, touched, self.not_read = files_not_taken(self.folder, self.source, since_first, self.register)
        self.taken += touched
        reach = self.healing.reach
        self.left_out = [file for file in files if file.belongs_at < reach]
        older = f"Its time lies before {reach:%Y-%m-%d %H:%M} UTC, as far as `heal_at_most` reaches. Backfill its date."
        self.not_read += [file.not_read(older) for file in self.left_out]
        return [file for file in files if file.belongs_at >= reach]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the raw rows of all the files.

        Raises:
            StopError: no file could be read, and at least one lacks a column: then the configuration is wrong, not the
                files. The message has the reason of each file.
        """
        position = 0
        files = self.files()
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
                whole = CsvText(self.source, self.required, file)
                self._refuse(file, self._message(whole.where, error))
                self._lacks_columns |= isinstance(error, StopError)
                yield whole.problem_rows(position, {1: _problem_of(error)})
                position += 1
        if not files:
            self.notice = nothing_matches(self.folder, self.source)
        if self._lacks_columns and len(self.unusable) == len(files):
            raise StopError(stops.FILES_UNUSABLE, " ".join(self.unusable))

    def _refuse(self, file: DropFile, message: str) -> None:
        """Note a file that could not be used, so that it is listed once, until it or the configuration changes."""
        log.error("%s", message)
        self.unusable.append(message)
        with suppress(FileNotFoundError):
            self.taken.append(unusable(file, content_hash(file.path), self.source))

    def _read(self, file: DropFile, position: int) -> Iterator[pa.Table]:
        """Yield the rows of one file, bad ones with their problem.

        A file in a zip that can't be used costs itself, if another one can.
        """
        texts: list[CsvText] = []
        faults: list[tuple[CsvText, Exception]] = []
        with file.path.open("rb") as opened:
            hashed = HashedContent(opened, file.path)
            delimiter = DELIMITERS[self.source.delimiter or ","]
            for name, content in texts_of(cast("BinaryIO", hashed), file.size, delimiter, str(file.path), self.source):
                text = CsvText(self.source, self.required, file, name)
                texts.append(text)
                try:
                    for table in text.tables(content, position):
                        yield table
                        position += table.num_rows
                except (StopError, UnreadableError, pa.ArrowInvalid) as error:
                    if not text.is_member:
                        raise
                    faults.append((text, error))
                    yield text.problem_rows(position, {1: _problem_of(error)})
                    position += 1
                self.skipped += text.skipped
            # A container is read in leaps.
            read = content_hash(file.path) if texts[0].name else hashed.hash
        if faults:
            self._refuse(file, " ".join(self._message(text.where, error) for text, error in faults))
            if len(faults) == len(texts):
                self._lacks_columns |= any(isinstance(error, StopError) for _, error in faults)
            return
        bad = sum(text.bad for text in texts)
        if bad and not any(text.good for text in texts):
            self._refuse(
                file,
                f"{texts[0].where}: none of its rows could be used ({bad}); the table of reasons names the faults. "
                f"{''.join(f'{text.bad_bytes} ' for text in texts[:1] if text.bad_bytes)}"
                "The file is read again when it or the configuration has changed.",
            )
            return
        skipped = sum(text.skipped for text in texts)
        rows = bad + skipped + sum(text.rows for text in texts)
        self.taken.append(replace(file.version(read), rows=rows, skipped=skipped))

    def _message(self, where: str, error: Exception) -> str:
        """Return what is said of a text that could not be read; nothing in it is quoted."""
        if isinstance(error, StopError):
            return str(error)
        if isinstance(error, PermissionError):
            return (
                f"{where}: the worker may not read it. Give its user the right to read the file; a later run then "
                "reads it."
            )
        if isinstance(error, MiscountError):
            return f"{where} {error}. The others are not sent: this is a fault of Order Sync, so please report it."
        fault = str(error) if isinstance(error, UnreadableError) else "could not be parsed as CSV: write it anew"
        return f"{where} {fault}. It is read again when it or the configuration has changed."


def _problem_of(error: Exception) -> str:
    return MISSING_COLUMN if isinstance(error, StopError) else UNREADABLE_FILE
