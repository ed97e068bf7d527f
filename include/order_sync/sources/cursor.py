"""Reads any database through its driver's cursor, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.sources.answer import TOO_LONG_MARK, Columns

# Type codes of MySQL's protocol, the same in every driver.
# https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_MYSQL_TIMESTAMP = 7
_MYSQL_DATE = 10


def read_by_cursor(
    connection: sa.Connection, statement: sa.TextClause, bound: dict[str, Any]
) -> Iterator[tuple[Columns, pa.Table]]:
    """Yield the query's columns and its rows, all text, chunk by chunk; the first chunk has no rows.

    Args:
        connection: prepared.
        statement: of the query.
        bound: the values of its parameters.
    """
    values = {name: bound[name] for name in statement.compile().params}
    at_a_time = tuning.FETCH_ROWS_AT_A_TIME
    result = connection.execution_options(stream_results=True, max_row_buffer=at_a_time).execute(statement, values)
    columns = Columns(list(result.keys()))
    utc: set[int] = set()
    if connection.dialect.name in ("mysql", "mariadb"):
        codes = _type_codes(result)
        columns.days = {number for number, code in enumerate(codes) if code == _MYSQL_DATE}
        # It comes in the session's zone, which is UTC (sessions.py); a DATETIME comes as it was written.
        utc = {number for number, code in enumerate(codes) if code == _MYSQL_TIMESTAMP}
    yield columns, columns.empty_table()
    table: list[list[str | None]] = []
    size = 0
    for few in result.partitions(at_a_time):
        for values_of_row in few:
            row = _row(values_of_row, columns, utc)
            length = sum(len(text) for text in row if text)
            if length > tuning.WAREHOUSE_ROW_MAX_BYTES:
                row, length = [TOO_LONG_MARK, *[None] * (len(row) - 1)], 0
            table.append(row)
            size += length
            if size > tuning.FETCH_BYTES or len(table) >= tuning.FETCH_ROWS:
                yield columns, _table_of(table)
                table, size = [], 0
    if table:
        yield columns, _table_of(table)


def _type_codes(result: sa.CursorResult[Any]) -> list[Any]:
    description = result.cursor.description if result.cursor else ()
    return [column[1] for column in description or ()]


def _row(values: Sequence[Any], columns: Columns, utc: set[int]) -> list[str | None]:
    row: list[str | None] = []
    for number, value in enumerate(values):
        if isinstance(value, (bytes, bytearray, memoryview)):
            columns.binary.add(number)
            row.append(None)
        elif number in utc and isinstance(value, datetime):
            row.append(value.replace(tzinfo=UTC).isoformat())
        else:
            row.append(_text(value))
    return row


def _table_of(rows: list[list[str | None]]) -> pa.Table:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.table(columns, names=[str(number) for number in range(len(columns))])


def _text(value: Any) -> str | None:
    """Return a driver's value as text: numbers with their own digits, times as ISO 8601, JSON as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
