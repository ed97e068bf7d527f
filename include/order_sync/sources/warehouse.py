"""A warehouse: reads a query for orders and one for their items as text, in chunks.

- PostgreSQL is read by COPY, straight into Arrow; every other database through SQLAlchemy's cursor.
- Both queries run in one transaction, which in PostgreSQL sees one snapshot of the database.
- The window is passed as bound parameters.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

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
from sqlalchemy.exc import DBAPIError

from include.order_sync import tuning
from include.order_sync.configuration.source_models import SqlSource
from include.order_sync.errors import OrderSyncError, StopError, TryAgainError
from include.order_sync.model import ITEM_COLUMNS, FileVersion, Window
from include.order_sync.redact import database_message
from include.order_sync.sources.raw import TOO_LONG, Required, find_columns, problem_rows, raw_table

log = logging.getLogger(__name__)

# SQLSTATE classes of errors about values, and of errors whose text others wrote: functions, foreign tables.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ABOUT_DATA = ("21", "22", "23", "38", "39", "44", "HV", "P0", "XX")

# In the first column, instead of a row that is too long. Random, so that no database holds it.
_TOO_LONG_MARK = f"too long-{uuid.uuid4()}"


@dataclass(frozen=True)
class WarehouseReader:
    """Reads one window of one warehouse, or orders by their ids.

    Args:
        engine: of the source's connection.
        source: from the configuration.
        window: the time to read; None for the orders of `order_ids`, by the source's queries for ids.
        required: canonical columns that the destination's provider needs.
        order_ids: of those orders.
    """

    engine: sa.Engine
    source: SqlSource
    window: Window | None
    required: Required
    order_ids: Collection[str] = ()
    skipped: ClassVar[int] = 0  # a query has no blank rows and no header
    taken: ClassVar[Sequence[FileVersion]] = ()

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[pa.Table], Iterator[pa.Table]]]:
        """Yield the raw orders and the raw items of the window; read the orders first.

        Raises:
            StopError: a query fails, or a column is missing.
            TryAgainError: the database can't be reached.
        """
        options: dict[str, Any] = {}
        if self._by_copy:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        try:
            connection = self.engine.connect()
        except DBAPIError as error:
            raise self._unreachable(error.orig) from None
        try:
            with (
                connection.execution_options(**options),
                # A caller that stops half way leaves no query open.
                closing(self._orders(connection)) as orders,
                closing(self._items(connection)) as items,
            ):
                yield orders, items
        except (DBAPIError, psycopg.Error) as error:
            # The error may quote rows, so neither it nor its cause may reach the log.
            raise self._failed(error) from None

    @property
    def _by_copy(self) -> bool:
        return self.engine.dialect.name == "postgresql" and self.engine.dialect.driver == "psycopg"

    @property
    def _query(self) -> Path:
        # A run without a window exists only for a source with a query by ids.
        return self.source.query if self.window else self.source.by_ids_query or self.source.query

    @property
    def _items_query(self) -> Path | None:
        return self.source.items_query if self.window else self.source.items_by_ids_query

    def _orders(self, connection: sa.Connection) -> Generator[pa.Table]:
        position = 0
        found: dict[str, int] | None = None
        where = f"Source {self.source.name!r}, {self._query.name}"
        for names, chunk in self._read(connection, self._query):
            if found is None:
                found = find_columns(names, self.source.columns, self.required, where)
            lines = pa.arange(position + 1, position + chunk.num_rows + 1)
            table = raw_table(chunk, found, origin=self._query.name, lines=lines, position=position)
            is_long = _too_long(chunk)
            if pc.any(is_long).as_py():
                log.error(
                    "%s: %d rows of more than %d bytes are rejected, the first is row %d. "
                    "Leave the column that is so large out of the query.",
                    where,
                    pc.sum(is_long).as_py(),
                    tuning.WAREHOUSE_ROW_MAX_BYTES,
                    lines.filter(is_long)[0].as_py(),
                )
                for line in lines.filter(is_long).to_pylist():
                    yield problem_rows({line: TOO_LONG}, self._query.name, line - 1)
                table = table.filter(pc.invert(is_long))
            yield table
            position += chunk.num_rows

    def _items(self, connection: sa.Connection) -> Generator[pa.Table]:
        if self._items_query is None:
            return
        for names, chunk in self._read(connection, self._items_query):
            wanted = {c: self.source.item_columns.get(c, c) for c in ITEM_COLUMNS} | {"order_id": "order_id"}
            missing = [name for name in ("order_id", *self.source.item_columns.values()) if name not in names]
            if missing:
                raise StopError(
                    f"Source {self.source.name!r}, {self._items_query.name}: no column {', '.join(missing)}; "
                    f"it has {', '.join(names)}. Change the query, or the source's `item_columns`."
                )
            if pc.any(_too_long(chunk)).as_py():
                # Its order would be sent without it.
                raise StopError(
                    f"Source {self.source.name!r}: {self._items_query.name} gives a row of more than "
                    f"{tuning.WAREHOUSE_ROW_MAX_BYTES} bytes. Leave the column that is so large out of it."
                )
            yield pa.table(
                {column: chunk.column(names.index(name)) for column, name in wanted.items() if name in names}
            )

    def _read(self, connection: sa.Connection, file: Path) -> Iterator[tuple[list[str], pa.Table]]:
        """Yield the query's column names and its rows, all text, chunk by chunk; at least one chunk."""
        statement = sa.text(file.read_text("utf-8").strip().removesuffix(";"))
        bound: dict[str, Any] = {"order_ids": sorted(self.order_ids)}
        if self.window:
            bound = {"window_start": self.window.start, "window_end": self.window.end}
        used = statement.compile().params.keys()
        if used - bound.keys():
            raise StopError(
                f"Source {self.source.name!r}: {file.name} takes :{', :'.join(sorted(used - bound.keys()))}, but is "
                f"given :{' and :'.join(bound)} alone. A colon that is none of these is written \\:."
            )
        if "order_ids" in used:
            # Without a type, the database compares them as it would a quoted literal, also with a column of numbers.
            ids = sa.bindparam("order_ids", bound["order_ids"], sa.types.NULLTYPE, expanding=True)
            statement = statement.bindparams(ids)
        try:
            if self._by_copy:
                yield from _copy(connection, statement, bound, self.source.timezone)
            else:
                yield from _fetch(connection, statement, bound)
        except pa.ArrowInvalid:
            raise StopError(
                f"Source {self.source.name!r}: {file.name} gives a row that is no text. "
                "Leave its binary columns out of it."
            ) from None

    def _unreachable(self, error: BaseException | None) -> OrderSyncError:
        said = database_message(error)
        at = (
            f"Source {self.source.name!r}, connection {self.source.connection!r}: the database can't be reached: {said}"
        )
        if "authentication failed" in said or "does not exist" in said:
            return StopError(f"{at}. Correct the connection's login, password or database.")
        return TryAgainError(f"{at}. If this goes on, look at the connection's host and port.")

    def _failed(self, error: Exception) -> OrderSyncError:
        original = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(original, "sqlstate", None) or ""
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        # No state: psycopg lost the connection.
        lost |= isinstance(original, psycopg.OperationalError) and state[:2] in ("", "08", "40", "53")
        if lost or state in ("57P01", "57P02", "57P03"):
            return self._unreachable(original)
        queries = [query for query in (self._query, self._items_query) if query]
        # A message about a value quotes it, so only the name of the error is shown.
        about_data = state[:2] in _ABOUT_DATA or isinstance(error, sa.exc.DataError | sa.exc.IntegrityError)
        text = "".join(query.read_text("utf-8") for query in queries)
        said = f"{type(original).__name__} {state}" if about_data else database_message(original, text)
        names = " or ".join(query.name for query in queries)
        return StopError(f"Source {self.source.name!r}: a query failed: {said}. Correct {names}.")


def _copy(
    connection: sa.Connection, query: sa.TextClause, bound: dict[str, Any], timezone: str
) -> Iterator[tuple[list[str], pa.Table]]:
    # Each value of a list becomes a parameter of its own; the compiled query holds them.
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    statement, values = str(compiled), {name: bound.get(name, value) for name, value in compiled.params.items()}
    # Times without an offset are in the shop's time zone, also where the query compares them with the window.
    connection.execute(sa.text("select set_config('timezone', :zone, true)"), {"zone": timezone})
    connection.exec_driver_sql("set local datestyle = 'ISO, YMD'")
    # A time limit of the shop's own stays.
    limit = sa.text(
        "select set_config('statement_timeout', :limit, true) from pg_settings "
        "where name = 'statement_timeout' and setting = '0'"
    )
    connection.execute(limit, {"limit": f"{tuning.WAREHOUSE_STATEMENT_S}s"})
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101  (tells mypy what _by_copy has made sure of)
    with raw.cursor() as cursor:
        cursor.execute(f"select * from ({statement}\n) as orders limit 0", values)  # noqa: S608
        names = [column.name for column in cursor.description or ()]
        # Numbers instead of names: a query may give a name twice, and the caller reports that.
        numbers = [str(number) for number in range(len(names))]
        yield names, pa.table({number: pa.array([], pa.string()) for number in numbers})
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
        with cursor.copy(f"copy ({statement}\n) to stdout (format csv)", values):
            read = 0
            for block, sent in _blocks(raw, len(names)):
                if block:
                    table = pa_csv.read_csv(pa.BufferReader(block), **options)
                    read += len(table)
                    yield names, table
                if sent not in (None, read):
                    raise StopError(f"PostgreSQL sent {sent} rows and {read} were read: a fault of Order Sync.")


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
    mark = _TOO_LONG_MARK.encode() + b"," * (columns - 1) + b"\n"
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


def _fetch(
    connection: sa.Connection, query: sa.TextClause, bound: dict[str, Any]
) -> Iterator[tuple[list[str], pa.Table]]:
    values = {name: bound[name] for name in query.compile().params}
    at_a_time = tuning.FETCH_ROWS_AT_A_TIME
    result = connection.execution_options(stream_results=True, max_row_buffer=at_a_time).execute(query, values)
    names = list(result.keys())
    numbers = [str(number) for number in range(len(names))]
    yield names, pa.table({number: pa.array([], pa.string()) for number in numbers})
    table: list[list[str | None]] = []
    size = 0
    for few in result.partitions(at_a_time):
        for values_of_row in few:
            row = [_text(value) for value in values_of_row]
            length = sum(len(text) for text in row if text)
            if length > tuning.WAREHOUSE_ROW_MAX_BYTES:
                row, length = [_TOO_LONG_MARK, *[None] * (len(row) - 1)], 0
            table.append(row)
            size += length
        if size > tuning.FETCH_BYTES or len(table) >= tuning.FETCH_ROWS:
            yield names, _table_of(table, numbers)
            table, size = [], 0
    if table:
        yield names, _table_of(table, numbers)


def _table_of(rows: list[list[str | None]], names: list[str]) -> pa.Table:
    return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names=names)


def _too_long(chunk: pa.Table) -> pa.ChunkedArray:
    """Return a mask of the rows that stand for one that is too long."""
    return pc.fill_null(pc.equal(chunk.column(0), _TOO_LONG_MARK), False)


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
