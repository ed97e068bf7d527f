"""Parses blocks of a CSV file by Arrow, and tells rows from what is none: blank lines, repeated headers and footers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from include.order_sync.counted import counted
from include.order_sync.sources.csv_header import Layout
from include.order_sync.sources.csv_records import Block, MiscountError
from include.order_sync.transform.row_problems import WRONG_WIDTH


class Rows(NamedTuple):
    """The rows of a block.

    Args:
        table: the columns that are read, named by their index in the file.
        lines: the file's line of each row.
        skipped: how many records were no rows.
    """

    table: pa.Table
    lines: pa.Array
    skipped: int


class RowParser:
    """Parses the blocks of one file.

    Args:
        layout: of the file.
        columns: the indexes of the columns to read.
        footers: a row whose first field with text begins with one of these words is none.
    """

    def __init__(self, layout: Layout, columns: Sequence[int], footers: Sequence[str]) -> None:
        self._layout = layout
        self._width = len(layout.names)
        # A header that ends in delimiters has columns without names, which a row need not have.
        named = [number for number, name in enumerate(layout.names, 1) if name]
        self._least = max([*named, *(column + 1 for column in columns)], default=0)
        self._nameless = range(max(named, default=0), self._width) if layout.has_header else range(0)
        self._columns = sorted({0, *columns, *self._nameless})
        self._footers = tuple(word.casefold() for word in footers)

    def parse(self, block: Block) -> Rows:
        """Return the rows of a block; records with too few or too many fields are added to its problems.

        Raises:
            MiscountError: Arrow has found another number of rows than there are records.
        """
        bad: list[tuple[int, str, int]] = []

        def note(row: pa_csv.InvalidRow) -> str:
            bad.append((row.number - 1, row.text, row.actual_columns))
            return "skip"

        table = self._parsed(block, note)
        if table.num_rows + len(bad) != len(block.lines):
            rows = counted(len(block.lines), "row")
            raise MiscountError(
                f"has {rows} from line {block.lines[0]} on, and Order Sync read {table.num_rows + len(bad)}"
            )
        records = np.delete(np.arange(len(block.lines)), [number for number, *_ in bad])
        skipped, mended, mended_records = 0, [], []
        for number, text, width in bad:
            fields = self._fields(text)
            fields += [""] * (self._width - len(fields))
            if not text.strip() or self._is_footer(fields):
                skipped += 1
            elif width >= self._least and not any(field.strip() for field in fields[self._width :]):
                mended.append([fields[column] for column in self._columns])
                mended_records.append(number)
            else:
                block.refuse(int(block.lines[number]), WRONG_WIDTH, text.encode())
        if mended:
            more = pa.table([pa.array(column, pa.string()) for column in zip(*mended, strict=True)], table.schema.names)
            records = np.append(records, mended_records)
            in_order = np.argsort(records)
            table, records = pa.concat_tables([table, more]).take(in_order), records[in_order]
        keep = self._keep(table, block, records)
        if keep is not None:
            skipped += int((~keep).sum())
            table, records = table.filter(pa.array(keep)), records[keep]
        shifted = self._shifted(table)
        if shifted.any():
            bounds = block.bounds
            for at in records[shifted]:
                block.refuse(int(block.lines[at]), WRONG_WIDTH, block.data[bounds[at] : bounds[at + 1]])
            table, records = table.filter(pa.array(~shifted)), records[~shifted]
        return Rows(table, pa.array(block.lines[records], pa.int64()), skipped)

    def _shifted(self, table: pa.Table) -> np.ndarray:
        """Return a mask of rows with text in a column without a name: a field of theirs holds a delimiter."""
        shifted = np.zeros(table.num_rows, dtype=bool)
        for column in self._nameless:
            shifted |= pc.not_equal(_trimmed(table, str(column)), "").to_numpy(zero_copy_only=False)
        return shifted

    def _parsed(self, block: Block, note: object) -> pa.Table:
        names = [str(column) for column in self._columns]
        if not block.data:
            return pa.table({name: pa.array([], pa.string()) for name in names})
        return pa_csv.read_csv(
            pa.BufferReader(block.data),
            # Without threads: with them Arrow does not tell the numbers of bad rows. The whole block is one of Arrow's.
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                column_names=[str(number) for number in range(self._width)],
                block_size=len(block.data) + 1,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._layout.delimiter,
                newlines_in_values=not block.is_plain,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,  # Records has done so
            ),
        )

    def _keep(self, table: pa.Table, block: Block, records: np.ndarray) -> np.ndarray | None:
        """Return a mask of the rows, without blank ones, repeated headers and footers; None for all."""
        found, names = self._layout.found, self._layout.names
        key = str(found.get("order_id", 0))
        ids = _trimmed(table, key)
        doubtful = _is_one_of(ids, "", *(_header_forms(names[int(key)]) if self._layout.has_header else []))
        footer = np.zeros(len(doubtful), dtype=bool)
        if self._footers:
            first = pc.utf8_lower(_trimmed(table, "0"))
            for word in self._footers:
                footer |= pc.starts_with(first, word).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(doubtful) if self._footers else ():
            start, end = block.bounds[records[row]], block.bounds[records[row] + 1]
            footer[row] = self._is_footer(self._fields(block.data[start:end].decode()))
        if not doubtful.any() and not footer.any():
            return None
        blank = header = doubtful
        for name in table.schema.names:
            blank = blank & pc.equal(_trimmed(table, name), "").to_numpy(zero_copy_only=False)
        for column in found.values():
            header = header & _is_one_of(_trimmed(table, str(column)), *_header_forms(names[column]))
        # A column that is not read may hold something: then it is a row, and a person should look at it.
        nothing = (self._layout.delimiter + ' \t\r\n"\u00a0').encode()
        bounds = block.bounds
        for row in np.flatnonzero(blank):
            at = records[row]
            blank[row] = not block.data[bounds[at] : bounds[at + 1]].strip(nothing)
        keep: np.ndarray = ~(blank | (header if self._layout.has_header else False) | footer)
        return keep

    def _fields(self, text: str) -> list[str]:
        try:
            return next(csv.reader(io.StringIO(text, newline=""), delimiter=self._layout.delimiter), [""])
        except csv.Error:  # a field of more than 131,072 characters
            return [text]

    def _is_footer(self, fields: Sequence[str]) -> bool:
        first = next((text for field in fields if (text := field.strip())), "")
        return bool(self._footers) and first.casefold().startswith(self._footers)


def _trimmed(table: pa.Table, column: str) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(pc.fill_null(table.column(column), ""))


def _header_forms(name: str) -> list[str]:
    """Return a name as a repeated header has it: files that were joined have a byte order mark before it."""
    return [name, f"\ufeff{name}"]


def _is_one_of(texts: pa.ChunkedArray, *wanted: str) -> np.ndarray:
    mask: np.ndarray = pc.is_in(texts, value_set=pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)
    return mask
