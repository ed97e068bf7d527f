"""Reads one text of a drop's file: its encoding, layout, records and rows, up to raw rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.counted import counted
from include.order_sync.prefetch import prefetch
from include.order_sync.sources.column_names import Required
from include.order_sync.sources.csv_header import Layout, read_layout
from include.order_sync.sources.csv_lines import LineMerger
from include.order_sync.sources.csv_records import Records
from include.order_sync.sources.csv_rows import RowParser
from include.order_sync.sources.csv_status import with_file_time, with_statuses
from include.order_sync.sources.csv_swallowed import row_test
from include.order_sync.sources.csv_text import Readable, Text, bad_byte, encoding_cure, open_text
from include.order_sync.sources.drop_files import DropFile
from include.order_sync.sources.raw import problem_rows, raw_table
from include.order_sync.sources.raw_forms import RawForms
from include.order_sync.transform.row_problems import BAD_BYTES

log = logging.getLogger(__name__)


@dataclass
class CsvText:
    """One text: a file, or a member of a container.

    Args:
        source: from the configuration.
        required: canonical columns that the destination's provider needs.
        file: that holds it.
        name: of the member; empty for the file itself.
        good, bad, skipped: how many rows were read, were no rows that could be read, and were none. Counted while
            reading.
        rows: how many of the good ones were handed on: fewer, where lines were joined.
        bad_bytes: what is said of bytes that are no text; empty without any. Set at the end.
    """

    source: CsvSource
    required: Required
    file: DropFile
    name: str = ""
    good: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    bad: int = field(default=0, init=False)
    skipped: int = field(default=0, init=False)
    bad_bytes: str = field(default="", init=False)

    @property
    def where(self) -> str:
        """The source and the text, for messages."""
        return f"Source {self.source.name!r}, {self._origin}"

    @property
    def is_member(self) -> bool:
        """Whether it is one of the files in a zip."""
        return self.name not in ("", "gzip", "spreadsheet")

    @property
    def _origin(self) -> str:
        inner = f" ({self.name})" if self.name else ""
        return f"{self.file.path}{inner}"

    def tables(self, content: Readable, position: int) -> Iterator[pa.Table]:
        """Yield the raw rows, bad ones with their problem.

        Args:
            content: at its first byte.
            position: of the first row in the window.

        Raises:
            UnreadableError: it is no CSV.
            StopError: columns are missing.
        """
        source = self.source
        encoding = "utf-8" if self.name == "spreadsheet" else source.encoding
        text = open_text(content, encoding, source.words)
        if text.found:
            log.info("%s is read as %s: %s", self.where, text.encoding, text.found)
        layout = read_layout(text, source, self.required, self.where)
        if layout is None:
            log.warning("%s is empty", self.where)
            return
        is_row = row_test(layout, source)
        records = Records(text.read, layout.delimiter, len(layout.names), is_row, skip=layout.lines)
        parser = RowParser(layout, [*layout.found.values(), *layout.items.values(), *layout.rules], source.footers)
        fields = {column: str(at) for column, at in layout.found.items()}
        fields |= {column: column for column in source.given_columns}
        merger = self._merger(fields, layout)
        bad_bytes = 0
        self.skipped += layout.skipped
        for block in prefetch(records):
            rows = parser.parse(block)
            self.skipped += rows.skipped
            self.good += rows.table.num_rows
            table, lines = self._with_statuses(rows.table, layout), rows.lines
            if merger:
                merger.add(table, lines, block.bad)
                table, lines = merger.rows(ended=False)
            if table.num_rows:
                yield self._raw(table, lines, position, fields)
                position += table.num_rows
                self.rows += table.num_rows
            if block.problems:
                self.bad += len(block.problems)
                bad_bytes += list(block.problems.values()).count(BAD_BYTES)
                yield self.problem_rows(position, block.problems)
                position += len(block.problems)
        if merger:
            table, lines = merger.rows(ended=True)
            yield self._raw(table, lines, position, fields)
            self.rows += table.num_rows
            log.info("%s: %s joined with the first of the same order", self.where, counted(merger.joined, "line"))
            self.skipped += merger.joined
        if records.first_bad:
            self.bad_bytes = self._bad_bytes(text, records.first_bad, bad_bytes)
            log.warning("%s: %s", self.where, self.bad_bytes)

    def _merger(self, fields: Mapping[str, str], layout: Layout) -> LineMerger | None:
        how, forms = self.source.lines, RawForms.of(self.source)
        if how is None:
            return None
        item_id = self.source.item_columns.get("item_id", "item_id")
        return LineMerger(how, fields, layout.items, item_id, layout.delimiter, forms, self.source.missing_words)

    def _bad_bytes(self, text: Text, first: tuple[int, bytes], rows: int) -> str:
        """Return what is said of rows with bytes that are no text.

        Args:
            text: of the file.
            first: line and bytes from the first bad one on.
            rows: how many rows hold such bytes.
        """
        line, data = first
        why = text.found or ("`encoding` says so" if self.source.encoding else "")
        read_as = f"It is read as {text.encoding}{f' ({why})' if why else ''}"
        byte = f"0x{bad_byte(data, text.encoding):02X}"
        said = f"{read_as}; rows with other bytes: {rows}, the first is {byte} in line {line}."
        if rows <= self.good:
            return f"{said} Correct them in the source, or name the file's encoding in the source's `encoding`."
        cure = encoding_cure(text, self.source.words)
        return f"{said} {cure[0].upper()}{cure[1:]}."

    def problem_rows(self, position: int, problems: Mapping[int, str]) -> pa.Table:
        """Return a raw row for each line with a problem."""
        return problem_rows(problems, self._origin, position, self.file.modified_at)

    def _with_statuses(self, table: pa.Table, layout: Layout) -> pa.Table:
        """Return the rows with the columns that rules and the file's time give."""
        time = layout.found.get("status_changed_at")
        name = None if time is None else str(time)
        if self.source.status_time:
            table, name = with_file_time(table, self.file.belongs_at), "status_changed_at"
        if self.source.status_from:
            table = with_statuses(table, self.source.status_from, layout.rules, name, self.source.missing_words)
        return table

    def _raw(self, table: pa.Table, lines: pa.Array, position: int, fields: Mapping[str, str]) -> pa.Table:
        """Return some rows as raw rows.

        Args:
            table: its columns are named by their index in the file, or by the canonical column.
            lines: the line of each row.
            position: of the first row in the window.
            fields: canonical column -> the name of the table's column, where it is not the canonical one.
        """
        names = table.schema.names
        found = {column: column if column in names else name for column, name in {"items": "", **fields}.items()}
        raw = raw_table(
            table,
            {column: names.index(name) for column, name in found.items() if name in names},
            origin=self._origin,
            lines=lines,
            position=position,
            forms=RawForms.of(self.source),
            file_modified_at=self.file.modified_at,
        )
        return raw.append_column("problem", table.column("problem")) if "problem" in names else raw
