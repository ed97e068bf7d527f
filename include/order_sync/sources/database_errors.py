"""Turns a database's errors into messages that name query and column, and show none of its rows."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from include.order_sync import stops
from include.order_sync.configuration.query_files import read_query
from include.order_sync.errors import OrderSyncError, StopError, TryAgainError
from include.order_sync.redact import database_message, redact

# SQLSTATE classes of errors about values, and of errors whose text others wrote: functions, foreign tables.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ABOUT_DATA = ("21", "22", "23", "38", "39", "44", "HV", "P0", "XX")
_VALUE = "22"  # data exceptions: casts, overflows, divisions by zero
_NO_UTF_8 = "22021"


_FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, ssl.SSLError)
_AT_LOGIN = "the connection's login, password and database"
# Words of PostgreSQL, MySQL and their drivers for a connection that was not made, and what to look at. The first line
# that has one of them counts; no SQLSTATE comes with them.
_PLACES = (
    (("response to SSL negotiation",), "the connection's host and port: no PostgreSQL answers there"),
    (
        ("support SSL", "SSL error", "SSL connection error", "certificate", "encryption", "insecure", "pg_hba.conf"),
        "TLS in the connection's extra (`sslmode`, certificates), and at what the server lets in (pg_hba.conf)",
    ),
    (("oo many", "connection slots", "max_user_connections"), "the server's limit of sessions, and who has them open"),
    (("connection option", "sslmode value", "configuration parameter", "set parameter"), "the connection's extra"),
    (
        ("authentication failed", "does not exist", "not permitted to log in", "permission denied for database"),
        _AT_LOGIN,
    ),
    (("Access denied", "Unknown database", "not allowed to connect"), _AT_LOGIN),
)


def place(said: str) -> str:
    """Return what to look at if a connection was not made, by a driver's message."""
    # A server may say it in another language.
    other = "the connection's host and port, and its login, password and database"
    return next((place for words, place in _PLACES if any(word in said for word in words)), other)


def connect(engine: sa.Engine, where: str) -> sa.Connection:
    """Return a new connection.

    Args:
        engine: of a source.
        where: source and connection.

    Raises:
        StopError: the connection's host or extra has what the driver can't use, as a file that is missing.
        DBAPIError: the database can't be reached.
    """
    try:
        return engine.connect()
    # The driver's own, before it tries to reach the database.
    except (*_FILE_ERRORS, AttributeError, TypeError, ValueError) as error:
        given = engine.url.query
        # Python's error names no file of TLS.
        missing = [
            f"{name} is {value}"
            for name, value in given.items()
            if name.startswith("ssl_") and str(value).startswith("/") and not os.access(str(value), os.R_OK)
        ]
        files = f" ({', '.join(missing)}, which this worker can't read)" if missing else ""
        raise StopError(
            stops.BAD_CONNECTION,
            f"{where}: the driver can't use the connection's host or extra: {redact(str(error))}{files}. It gets "
            f"{', '.join(['host', *given])}. Correct it; MySQL's TLS takes `ssl_ca`, `ssl_cert` and `ssl_key`.",
        ) from None


def unreachable(error: BaseException | None, where: str) -> OrderSyncError:
    """Return the error of a database that can't be reached.

    Args:
        error: of the driver.
        where: source and connection.
    """
    said = database_message(error)
    at = f"{where}: the database can't be reached: {said}"
    if place(said) == _AT_LOGIN:
        return StopError(stops.NO_LOGIN, f"{at}. Correct the connection's login, password or database.")
    return TryAgainError(f"{at}. If this goes on, look at {place(said)}.")


def failure(
    error: Exception,
    source: str,
    connection: str,
    file: Path,
    failing_column: Callable[[str], str | None],
    *,
    by_ids: bool = False,
) -> OrderSyncError:
    """Return the error of a query that has failed.

    Args:
        error: of SQLAlchemy or psycopg.
        source: its name.
        connection: its connection.
        file: of the query.
        failing_column: finds the column of the query at which such an error occurs, by its SQLSTATE.
        by_ids: whether it compares a column with ids that a person gave.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    state = sql_state(original)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    # No state: psycopg lost the connection.
    lost |= isinstance(original, psycopg.OperationalError) and state[:2] in ("", "08", "40", "53")
    if lost or state in ("57P01", "57P02", "57P03"):
        return unreachable(original, f"Source {source!r}, connection {connection!r}")
    # A message about a value quotes it, so only the name of the error is shown.
    about_data = state[:2] in _ABOUT_DATA or isinstance(error, sa.exc.DataError | sa.exc.IntegrityError)
    said = f"{type(original).__name__} {state}" if about_data else database_message(original, read_query(file))
    column = failing_column(state) if state[:2] == _VALUE else None
    at = f" in column {column!r}" if column else ""
    if state == _NO_UTF_8:
        # All others convert their texts, and have checked them.
        said = (
            "a text is no UTF-8, and the database's encoding is SQL_ASCII, so PostgreSQL can't convert it. Name its "
            f"encoding in the query, for example convert_from(convert(convert_to({column or 'x'}, 'SQL_ASCII'), "
            "'WIN1251', 'UTF8'), 'UTF8')"
        )
    cure = f"Correct {file.name}."
    if by_ids and state[:2] == _VALUE and not column:
        cure = (
            "An id of the param `order_ids` has not the form of the column with which "
            f"{file.name} compares it: give it as the source has it, or compare that column as text."
        )
    return StopError(stops.QUERY_FAILED, f"Source {source!r}: a query failed{at}: {said}. {cure}")


def sql_state(error: BaseException | None) -> str:
    """Return a driver's SQLSTATE; empty if it tells none."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def find_failing_column(
    run: Callable[[str], None], quote: Callable[[str], str], names: Sequence[str], state: str
) -> str | None:
    """Return the first column that alone makes a query fail; None if the fault lies elsewhere.

    A database computes only the columns that are asked for, but PostgreSQL's errors name none.

    Args:
        run: asks for one expression of the query's answer.
        quote: a name, as the database wants it.
        names: of the answer's columns.
        state: SQLSTATE of the failure.
    """

    def fails(expression: str) -> bool:
        try:
            run(expression)
        except (DBAPIError, psycopg.Error) as error:
            return sql_state(error.orig if isinstance(error, DBAPIError) else error) == state
        return False

    if fails("count(*)"):
        return None
    # What PostgreSQL does to a text only when it sends it.
    sent = "convert_from(convert_to({}::text, 'SQL_ASCII'), 'UTF8')" if state == _NO_UTF_8 else "{}"
    return next((name for name in names if fails(f"count({sent.format(quote(name))})")), None)
