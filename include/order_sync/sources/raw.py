"""Shared by all sources: lays out raw rows."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS
from include.order_sync.sources.raw_forms import RawForms

RAW_SCHEMA = pa.schema(
    [
        *[pa.field(column, pa.string()) for column in ORDER_COLUMNS],
        pa.field("origin", pa.dictionary(pa.int32(), pa.string())),
        pa.field("line", pa.int64()),
        pa.field("position", pa.int64()),
        pa.field("file_modified_at", pa.timestamp("us", "UTC")),
        pa.field("problem", pa.string()),
        pa.field("rank", pa.int64()),
        pa.field("source_hash", pa.string()),
    ]
)
RAW_ITEMS_SCHEMA = pa.schema([pa.field(column, pa.string()) for column in ("order_id", *ITEM_COLUMNS)])


def raw_table(
    given: pa.Table | pa.RecordBatch,
    found: Mapping[str, int],
    *,
    origin: str,
    lines: pa.Array,
    position: int,
    forms: RawForms,
    file_modified_at: object = None,
) -> pa.Table:
    """Return a chunk of the source, all text, as raw rows.

    Args:
        given: a chunk of the source.
        found: canonical column -> its index in `given`.
        origin: the query's or file's name.
        lines: each row's number there.
        position: of the first row in the window.
        forms: of the source's ids and times.
        file_modified_at: when the file was last modified (a time with a zone); None for a query.
    """
    rows = given.num_rows
    columns = {column: forms.apply(column, given.column(found[column])) for column in ORDER_COLUMNS if column in found}
    columns["origin"] = constant(origin, rows)
    columns["line"] = lines
    columns["position"] = pa.arange(position, position + rows)
    if file_modified_at is not None:
        columns["file_modified_at"] = pa.repeat(pa.scalar(file_modified_at, pa.timestamp("us", "UTC")), rows)
    return pa.table(columns)


def problem_rows(problems: Mapping[int, str], origin: str, position: int, file_modified_at: object = None) -> pa.Table:
    """Return a raw row without content for each row of the source that could not be read.

    Args:
        problems: the row's number in the source -> what made it unreadable.
        origin: the query's or file's name.
        position: of the first of these rows in the window.
        file_modified_at: when the file was last modified (a time with a zone); None for a query.
    """
    rows = len(problems)
    columns = {
        "order_id": pa.nulls(rows, pa.string()),
        "origin": constant(origin, rows),
        "line": pa.array(problems.keys(), pa.int64()),
        "position": pa.arange(position, position + rows),
        "problem": pa.array(problems.values(), pa.string()),
    }
    if file_modified_at is not None:
        columns["file_modified_at"] = pa.repeat(pa.scalar(file_modified_at, pa.timestamp("us", "UTC")), rows)
    return pa.table(columns)


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return a column with one text in all rows, without a copy for each."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([text]))
