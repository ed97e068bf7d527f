"""Checks that a query compares its window with values of the type that the source names. It fetches no rows.

A database without strict types compares a time with anything, and finds no orders, or those of other hours, for ever.
So the query's own comparison (`x >= :window_start`) is turned into a question about the form of `x`.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from include.order_sync import stops, tuning
from include.order_sync.configuration.sql_source import WindowType
from include.order_sync.errors import StopError
from include.order_sync.sources.sessions import mysql_limit

log = logging.getLogger(__name__)

_LIMIT_S = 10

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_FORMS = {
    WindowType.ZONED: f"^{_DAY} {_TIME}([+-][0-9:]+)?$",
    WindowType.LOCAL: f"^{_DAY} {_TIME}$",
    WindowType.ISO: f"^{_DAY}[T ]{_TIME}$",
    WindowType.ISO_UTC: f"^{_DAY}[T ]{_TIME}(Z|[+]00(:?00)?)$",
    WindowType.UNIX_S: "^[0-9]{9,10}([.][0-9]+)?$",
    WindowType.UNIX_MS: "^[0-9]{12,13}([.][0-9]+)?$",
    WindowType.DATE: f"^{_DAY}$",
}
_ANY = "."
# How each database asks for the form of the value before it.
_MATCHES = {"postgresql": "::text ~", "mysql": " regexp", "mariadb": " regexp", "sqlite": " regexp"}

_TEXTS = (WindowType.ISO, WindowType.ISO_UTC)
_NUMBERS = (WindowType.UNIX_S, WindowType.UNIX_MS)
# Types that a database tells apart by itself, so that no value need be looked at.
_TOLD_BY_TYPE = ([WindowType.ZONED], [WindowType.LOCAL], [WindowType.ZONED, WindowType.LOCAL], [WindowType.DATE])
# What only one type can be asked, in this order: a date is converted to a time where need be.
# https://www.postgresql.org/docs/current/functions-datetime.html
_POSTGRESQL_OPERATIONS = {
    " - date '2000-01-01' = 1": [WindowType.DATE],
    " - now() > interval '0'": [WindowType.ZONED, WindowType.LOCAL],
    " * 1::float8 > 0": list(_NUMBERS),
    " ~ ''": list(_TEXTS),
}
# MySQL shows a TIMESTAMP and a DATETIME alike, and compares both with a text.
_MYSQL_TYPES = {
    "timestamp": [WindowType.ZONED],
    "datetime": [WindowType.LOCAL],
    "date": [WindowType.DATE],
    ".*(char|text)": list(_TEXTS),
    ".*int|decimal|double|float": list(_NUMBERS),
}

_CAST = r"(?!\w)(?:\\:\\:\w+)?"
_START = re.compile(r"\s*>=?\s*:window_start" + _CAST)
_END = re.compile(r"\s*<=?\s*:window_end" + _CAST)


def check_window(
    connection: sa.Connection, query: str, bound: dict[str, Any], window_type: WindowType | None, where: str
) -> dict[str, Any]:
    """Return the values of the query's parameters; those that are texts with the blank or T that the column has.

    Nothing is checked for an empty table, a comparison that is not written `>= :window_start`, a database that is not
    in _MATCHES, and a query that answers no such question within _LIMIT_S.

    Args:
        connection: prepared.
        query: as SQLAlchemy's text.
        bound: the values of its parameters.
        window_type: of the source.
        where: the source and the query's file.

    Raises:
        StopError: the query compares its window with values of another type than the source says.
    """
    if connection.dialect.name not in _MATCHES or not _START.search(query):
        return bound
    said = window_type or WindowType.ZONED

    def is_any(form: str) -> bool:
        return _any_has(connection, query, bound, form)

    with suppress(DBAPIError):  # what is wrong with the query itself, its reading tells
        allowed = _allowed(connection, query, bound)
        if said in allowed and allowed in _TOLD_BY_TYPE:
            return bound
        forms = {other: _form(other, connection.dialect.name) for other in allowed}
        if said not in allowed or not is_any(forms[said]):
            fits = [other for other, form in forms.items() if is_any(form)]
            if said in allowed and not fits and not is_any(_ANY):
                return bound  # there are no rows
            cure = f"set `window_type: {' or '.join(fits or allowed)}`"
            if not fits and is_any(_ANY):
                cure = "convert them in the query, by a function of the database"
            raise StopError(
                stops.WINDOW_TYPE,
                f"{where}: it compares the window as `{said}` with values that are no such thing, so it would give no "
                f"orders, or those of other hours: {cure}.",
            )
        if said is not WindowType.DATE and all(isinstance(value, str) for value in bound.values()):
            return _as_written([mark for mark in "T " if is_any(f"^{_DAY}{mark}")], bound, where)
    return bound


def _as_written(separators: list[str], bound: dict[str, str], where: str) -> dict[str, str]:
    """Return texts with the separator that the column has between date and time."""
    if len(separators) > 1:
        raise StopError(
            stops.WINDOW_TYPE,
            f"{where}: some times are written 2026-11-20T10:00 and others 2026-11-20 10:00, which can't be compared "
            "with one window: write them alike in the query, for example by replace(x, 'T', ' ').",
        )
    day = len("2026-11-20")
    return {name: value[:day] + separators[0] + value[day + 1 :] for name, value in bound.items()}


def _allowed(connection: sa.Connection, query: str, bound: dict[str, Any]) -> list[WindowType]:
    """Return the window types that can be right for the type that the compared column has in the database."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        return [each for each in WindowType if each is not WindowType.ZONED]
    if dialect == "postgresql":
        for operation, types in _POSTGRESQL_OPERATIONS.items():
            if _is_valid(connection, query, bound, operation):
                return types
        return list(WindowType)
    found = re.search(r"`?(\w+)`?" + _START.pattern, query)
    columns = sa.text(
        "select distinct lower(data_type) from information_schema.columns "
        "where table_schema = database() and column_name = :name and locate(table_name, :query)"
    )
    given = {"name": found[1] if found else "", "query": query}
    named = set(connection.execute(columns, given).scalars())
    if len(named) == 1:
        (column_type,) = named
        for kind, types in _MYSQL_TYPES.items():
            if re.fullmatch(kind, column_type):
                return types
    return list(WindowType)


def _form(window_type: WindowType, dialect: str) -> str:
    if (dialect, window_type) == ("postgresql", WindowType.LOCAL):
        window_type = WindowType.ZONED  # PostgreSQL converts between the two by the session's zone
    if (dialect, window_type) == ("sqlite", WindowType.LOCAL):
        window_type = WindowType.ISO  # SQLite has no type for times
    return _FORMS[window_type]


def _is_valid(connection: sa.Connection, query: str, bound: dict[str, Any], operation: str) -> bool:
    """Return whether PostgreSQL has such an operation for the type that the query compares with its window."""
    try:
        _ask(connection, query, bound, operation, rows=0)
    except DBAPIError:
        return False
    return True


def _any_has(connection: sa.Connection, query: str, bound: dict[str, Any], form: str) -> bool:
    """Return whether any value that the query compares with its window has the form."""
    matches = f"{_MATCHES[connection.dialect.name]} :window_form"
    return _ask(connection, query, {"window_form": form, **bound}, matches, rows=1)


def _ask(connection: sa.Connection, query: str, bound: dict[str, Any], operation: str, *, rows: Literal[0, 1]) -> bool:
    """Return whether any row has `x` with `operation`; PostgreSQL reads no rows for an answer of none."""
    asking = _END.sub(" is not null", _START.sub(operation, query))
    statement = sa.text(f"select 1 from ({asking}\n) as checked limit {rows}")  # noqa: S608
    nested = connection.begin_nested()

    def undo() -> None:
        nested.rollback()
        _limit(connection, tuning.WAREHOUSE_STATEMENT_S)

    try:
        _limit(connection, _LIMIT_S)
        values = {name: bound[name] for name in statement.compile().params}
        found = connection.execute(statement, values).first() is not None
    except DBAPIError:  # no other: after Airflow's request to stop the session is in the middle of a statement
        undo()
        raise
    undo()
    return found


def _limit(connection: sa.Connection, seconds: int) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        if seconds == _LIMIT_S:  # it ends with the savepoint
            connection.exec_driver_sql(f"set local statement_timeout = '{seconds}s'")
    elif dialect in ("mysql", "mariadb"):
        name, unit = mysql_limit(connection)
        connection.exec_driver_sql(f"set session {name} = {seconds * unit}")
    elif dialect == "sqlite":
        raw: Any = connection.connection.driver_connection
        raw.create_function("regexp", 2, _sqlite_regexp, deterministic=True)


def _sqlite_regexp(form: str, value: object) -> bool:
    """Return whether a value of SQLite has the form; numbers and texts compare differently there."""
    is_number = isinstance(value, int | float)
    text = f"{value:.0f}" if is_number else value
    wants_number = form in [_FORMS[number] for number in _NUMBERS]
    return isinstance(text, str) and (form == _ANY or is_number == wants_number) and bool(re.search(form, text))
