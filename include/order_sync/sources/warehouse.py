"""A warehouse: reads a query for orders and one for their items as text, in chunks.

- PostgreSQL is read by COPY, straight into Arrow; every other database through SQLAlchemy's cursor.
- Both queries run in one transaction, which sees one snapshot where the database can (sessions.py).
- The window is passed as bound parameters, of the type that the source says.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from include.order_sync import stops, tuning
from include.order_sync.configuration.query_files import read_query, statement_text
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.counted import counted
from include.order_sync.errors import StopError
from include.order_sync.model import ITEM_COLUMNS, TIME_COLUMNS, FileNotRead, FileVersion, Window
from include.order_sync.sources.answer import Columns, too_long
from include.order_sync.sources.column_names import Required, find_columns, index_of
from include.order_sync.sources.cursor import read_by_cursor
from include.order_sync.sources.database_errors import connect, failure, find_failing_column, unreachable
from include.order_sync.sources.postgresql_copy import read_by_copy, with_plain_offsets
from include.order_sync.sources.raw import problem_rows, raw_table
from include.order_sync.sources.raw_forms import RawForms
from include.order_sync.sources.sessions import prepare
from include.order_sync.sources.window_check import check_window
from include.order_sync.sources.window_values import window_values
from include.order_sync.transform.row_problems import TOO_LONG

if TYPE_CHECKING:
    from include.order_sync.sources.drop_files import DropFile

log = logging.getLogger(__name__)


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
    # A warehouse has no files: these are a drop's.
    taken: ClassVar[Sequence[FileVersion]] = ()
    left_out: ClassVar[Sequence[DropFile]] = ()
    not_read: ClassVar[Sequence[FileNotRead]] = ()
    unusable: ClassVar[Sequence[str]] = ()
    notice: ClassVar[str] = ""

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[pa.Table], Iterator[pa.Table]]]:
        """Yield the raw orders and the raw items of the window; read the orders first.

        Raises:
            StopError: a query fails, a column is missing, or the connection's extra can't be used.
            TryAgainError: the database can't be reached.
        """
        where = f"Source {self.source.name!r}, connection {self.source.connection!r}"
        try:
            with connect(self.engine, where) as connection:
                try:
                    prepare(connection, self.source.timezone, where)
                    # A caller that stops half way leaves no query open.
                    with closing(self._orders(connection)) as orders, closing(self._items(connection)) as items:
                        yield orders, items
                except BaseException:
                    # The session may be lost, or Airflow's request to stop have come in the middle of a query: a
                    # rollback would fail, and hide that.
                    connection.invalidate()
                    raise
        # Queries name their own errors. What follows the loss of a session fails too: another question, or its end.
        except (DBAPIError, PendingRollbackError) as error:
            raise unreachable(getattr(error, "orig", None), where) from None

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
        forms = RawForms.of(self.source)
        found: dict[str, int] | None = None
        where = self._where(self._query)
        for columns, chunk in self._read(connection, self._query):
            if found is None:
                found = find_columns(
                    columns.names, self.source.columns, self.required, where, given=self.source.supplied
                )
                self._warn_of_days(columns, found, where)
            columns.refuse_bytes(found.values(), where)
            lines = pa.arange(position + 1, position + chunk.num_rows + 1)
            table = raw_table(chunk, found, origin=self._query.name, lines=lines, position=position, forms=forms)
            for name in found.keys() & set(TIME_COLUMNS) if self._by_copy else ():
                at = table.column_names.index(name)
                table = table.set_column(at, name, with_plain_offsets(table.column(at)))
            is_long = too_long(chunk)
            if pc.any(is_long).as_py():
                log.error(
                    "%s: %s of more than %d bytes rejected, the first is row %d. "
                    "Leave the column that is so large out of the query.",
                    where,
                    counted(pc.sum(is_long).as_py(), "row"),
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
        where = self._where(self._items_query)
        for columns, chunk in self._read(connection, self._items_query):
            names = columns.names
            wanted = {c: self.source.item_columns.get(c, c) for c in ITEM_COLUMNS} | {"order_id": "order_id"}
            faults: list[str] = []
            places = {column: index_of(names, name, faults) for column, name in wanted.items()}
            needed = ("order_id", *self.source.item_columns)
            missing = [wanted[column] for column in needed if places[column] is None]
            faults = ([f"no column {', '.join(missing)}"] if missing else []) + faults
            if faults:
                raise StopError(
                    stops.COLUMNS,
                    f"{where}: {'; '.join(faults)}; it has {', '.join(names)}. "
                    "Change the query, or the source's `item_columns`.",
                )
            found = {column: at for column, at in places.items() if at is not None}
            columns.refuse_bytes(found.values(), where)
            if pc.any(too_long(chunk)).as_py():
                # Its order would be sent without it.
                raise StopError(
                    stops.ROW_TOO_LARGE,
                    f"Source {self.source.name!r}: {self._items_query.name} gives a row of more than "
                    f"{tuning.WAREHOUSE_ROW_MAX_BYTES} bytes. Leave the column that is so large out of it.",
                )
            forms = RawForms.of(self.source)
            yield pa.table({column: forms.apply(column, chunk.column(number)) for column, number in found.items()})

    def _read(self, connection: sa.Connection, file: Path) -> Iterator[tuple[Columns, pa.Table]]:
        """Yield the query's columns and its rows, all text, chunk by chunk; at least one chunk."""
        query = self._text(file)
        bound = self._bound(file, query)
        names: list[str] = []
        try:
            if self.window:
                bound = check_window(connection, query, bound, self.source.window_type, self._where(file))
            statement = self._statement(query, bound)
            if self._by_copy:
                answer = read_by_copy(connection, statement, bound, self._where(file))
            else:
                answer = read_by_cursor(connection, statement, bound)
            for columns, chunk in answer:
                names = columns.names
                yield columns, chunk
        except (DBAPIError, psycopg.Error) as error:

            def failing_column(state: str) -> str | None:
                return self._failing_column(connection, query, bound, names, state)

            source, by_ids = self.source, self.window is None
            failed = failure(error, source.name, source.connection, file, failing_column, by_ids=by_ids)
            # The error may quote rows, so neither it nor its cause may reach the log.
            raise failed from None

    def _text(self, file: Path) -> str:
        try:
            return statement_text(read_query(file), self.engine.dialect.name)
        except ValueError as error:
            raise StopError(stops.QUERY_FAILED, f"{self._where(file)}: {error}.") from None

    def _bound(self, file: Path, query: str) -> dict[str, Any]:
        """Return the values of the query's parameters; StopError if it takes others, or not those that it must."""
        if self.window:
            bound = window_values(self.window, self.source.window_type, self.source.timezone, self.engine.dialect.name)
        else:
            bound = {"order_ids": sorted(self.order_ids)}
        used = sa.text(query).compile().params.keys()
        if used - bound.keys():
            raise StopError(
                stops.QUERY_WINDOW,
                f"Source {self.source.name!r}: {file.name} takes :{', :'.join(sorted(used - bound.keys()))}, but is "
                f"given :{' and :'.join(bound)} alone. A colon that is none of these is written \\:.",
            )
        if bound.keys() - used:
            raise StopError(
                stops.QUERY_WINDOW,
                f"Source {self.source.name!r}: {file.name} does not use :{' and :'.join(sorted(bound.keys() - used))}, "
                "so it would read other orders than those of its run. A comment does not count.",
            )
        return bound

    def _statement(self, query: str, bound: dict[str, Any]) -> sa.TextClause:
        statement = sa.text(query)
        if "order_ids" in bound:
            # Without a type, the database compares them as it would a quoted literal, also with a column of numbers.
            ids = sa.bindparam("order_ids", bound["order_ids"], sa.types.NULLTYPE, expanding=True)
            return statement.bindparams(ids)
        if self.engine.dialect.name == "postgresql":
            # With its type, PostgreSQL refuses to compare a text with a time.
            texts = [name for name, value in bound.items() if isinstance(value, str)]
            return statement.bindparams(*[sa.bindparam(name, bound[name], sa.Text()) for name in texts])
        return statement

    def _failing_column(
        self, connection: sa.Connection, query: str, bound: dict[str, Any], names: Sequence[str], state: str
    ) -> str | None:
        def run(expression: str) -> None:
            connection.rollback()
            prepare(connection, self.source.timezone, self.source.name)
            asking = f"select {expression} from ({query}\n) as orders"  # noqa: S608
            statement = self._statement(asking, bound)
            connection.execute(statement, {name: bound[name] for name in bound if name != "order_ids"})

        def quote(name: str) -> str:
            quoted: str = self.engine.dialect.identifier_preparer.quote_identifier(name)
            return quoted.replace(":", "\\:")

        return find_failing_column(run, quote, names, state)

    def _warn_of_days(self, columns: Columns, found: dict[str, int], where: str) -> None:
        names = [name for name in ("status_changed_at", "updated_at") if found.get(name) in columns.days]
        if "status_changed_at" in names and ("updated_at" in names or "updated_at" not in found):
            log.warning(
                "%s: %s is a date, so two changes of one day can't be told apart by it: only the run that reads the "
                "present sends the later one. Add a time to it, or an `updated_at` with one.",
                where,
                " and ".join(names),
            )

    def _where(self, file: Path) -> str:
        return f"Source {self.source.name!r}, {file.name}"
