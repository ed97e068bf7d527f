"""Reads PostgreSQL by COPY, straight into Arrow; docs/decisions/0015 has the reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import sqlalchemy as sa
from psycopg.abc import PQGen
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Wait

from include.order_sync import stops, tuning
from include.order_sync.counted import counted
from include.order_sync.errors import StopError
from include.order_sync.sources.answer import TOO_LONG_MARK, Columns

# https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
_BYTES = (17, 1001)  # bytea and an array of it
_DATE = 1082

# The last zone to take whole minutes was Liberia's, in 1972. https://data.iana.org/time-zones/tzdb/africa
_OFFSETS_WITH_SECONDS_UNTIL = "1973"


def read_by_copy(
    connection: sa.Connection, statement: sa.TextClause, bound: dict[str, Any], where: str
) -> Iterator[tuple[Columns, pa.Table]]:
    """Yield the query's columns and its rows, all text, chunk by chunk; the first chunk has no rows.

    Args:
        connection: by psycopg, prepared.
        statement: of the query.
        bound: the values of its parameters.
        where: the source and the query's file, for messages.

    Raises:
        StopError: rows got lost on the way.
    """
    # Each value of a list becomes a parameter of its own; the compiled query holds them.
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    query, values = str(compiled), {name: bound.get(name, value) for name, value in compiled.params.items()}
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101  (tells mypy what the caller has made sure of)
    with raw.cursor() as cursor:
        cursor.execute(f"select * from ({query}\n) as orders limit 0", values)  # noqa: S608
        described = list(enumerate(cursor.description or ()))
        columns = Columns(
            [column.name for _, column in described],
            binary={number for number, column in described if column.type_code in _BYTES},
            days={number for number, column in described if column.type_code == _DATE},
        )
        yield columns, columns.empty_table()
        # Numbers instead of names: a query may give a name twice, and the caller reports that.
        numbers = [str(number) for number, _ in described]
        options: dict[str, Any] = {
            "read_options": pa_csv.ReadOptions(column_names=numbers, block_size=tuning.WAREHOUSE_ROW_MAX_BYTES),
            "parse_options": pa_csv.ParseOptions(newlines_in_values=True),
            "convert_options": pa_csv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        }
        with cursor.copy(f"copy ({query}\n) to stdout (format csv)", values):
            read = 0
            for block, sent in _blocks(raw, len(numbers)):
                if block:
                    table = _table(block, options, where)
                    read += len(table)
                    yield columns, table
                if sent not in (None, read):
                    raise StopError(
                        stops.OWN_FAULT,
                        f"PostgreSQL sent {counted(sent, 'row')}, and Order Sync read {read}: please report it.",
                    )


def _table(block: bytes, options: dict[str, Any], where: str) -> pa.Table:
    try:
        return pa_csv.read_csv(pa.BufferReader(block), **options)
    except pa.ArrowInvalid:  # its message may quote the row
        raise StopError(
            stops.OWN_FAULT, f"{where}: rows that PostgreSQL sent can't be read: a fault of Order Sync."
        ) from None


def with_plain_offsets(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times with offsets in hours and minutes.

    PostgreSQL writes old times by the sun of the shop's city: 1900-01-01 02:02:04+02:02:04. Some shops write such a
    time for "not yet".

    Args:
        times: as PostgreSQL has sent them.
    """
    oldest = pc.min(times).as_py()
    if oldest is None or oldest >= _OFFSETS_WITH_SECONDS_UNTIL:
        return times
    return pa.chunked_array([[_plain(text) for text in times.to_pylist()]], pa.string())


def _plain(text: str | None) -> str | None:
    if text is None or not re.search(r"[+-]\d\d:\d\d:\d\d$", text):
        return text
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(" ")
    except (ValueError, OverflowError):  # before the year 1
        return text


def _blocks(connection: psycopg.Connection, columns: int) -> Iterator[tuple[bytes, int | None]]:
    """Yield the rows of the running COPY, in blocks of about the size of a table; with the last one, their number."""
    sent = None
    while sent is None:
        block, sent = connection.wait(_received(connection.pgconn, columns))
        yield block, sent


def _received(connection: PGconn, columns: int) -> PQGen[tuple[bytes, int | None]]:
    """Receive rows of the COPY until they make a block; return it, and after the last row the number of all rows.

    A row that is too long is replaced. psycopg's own Copy.read, which returns one row at a time, takes thrice as long.
    """
    mark = TOO_LONG_MARK.encode() + b"," * (columns - 1) + b"\n"
    block = bytearray()
    while len(block) <= tuning.COPY_BLOCK_BYTES:
        size, row = connection.get_copy_data(1)
        if size > 0:
            block += row if size <= tuning.WAREHOUSE_ROW_MAX_BYTES else mark
        elif size == 0:  # no row has arrived yet
            yield Wait.R
            connection.consume_input()
        else:
            (result,) = yield from fetch_many(connection)
            if result.status != ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)
            return bytes(block), result.command_tuples
    return bytes(block), None
