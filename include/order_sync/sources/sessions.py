"""Prepares a database session for reading: one snapshot, text in UTF-8, known time zone, time limit."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError

log = logging.getLogger(__name__)

_REPEATABLE: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
_OPTIONS = {
    "postgresql": _REPEATABLE | {"postgresql_readonly": True},
    "mysql": _REPEATABLE,
    "mariadb": _REPEATABLE,
}


def prepare(connection: sa.Connection, timezone: str, where: str) -> None:
    """Prepare a new connection, so that all its queries see one snapshot where the database can.

    Args:
        connection: without a transaction.
        timezone: the shop's.
        where: source and connection, for messages.

    Raises:
        StopError: texts would arrive damaged.
    """
    name = connection.dialect.name
    connection.execution_options(**_OPTIONS.get(name, {}))
    if name == "postgresql":
        _prepare_postgresql(connection, timezone)
    elif name in ("mysql", "mariadb"):
        _prepare_mysql(connection, where)
    elif name == "sqlite":
        # Python's driver begins no transaction for a query.
        connection.exec_driver_sql("begin")
    else:
        log.info("%s: no snapshot is known for %s: a change between two queries is seen by the second.", where, name)


def _prepare_postgresql(connection: sa.Connection, timezone: str) -> None:
    # Times without an offset are in the shop's time zone, also where the query compares them with the window.
    connection.execute(sa.text("select set_config('timezone', :zone, true)"), {"zone": timezone})
    connection.exec_driver_sql("set local datestyle = 'ISO, YMD'")
    # A time limit of the shop's own stays.
    limit = sa.text(
        "select set_config('statement_timeout', :limit, true) from pg_settings "
        "where name = 'statement_timeout' and setting = '0'"
    )
    connection.execute(limit, {"limit": f"{tuning.WAREHOUSE_STATEMENT_S}s"})


def _prepare_mysql(connection: sa.Connection, where: str) -> None:
    encoding = connection.exec_driver_sql("select @@character_set_results").scalar_one()
    if encoding != "utf8mb4":
        raise StopError(
            stops.CHARACTER_SET,
            f"{where}: the connection's character set is {encoding}, which replaces letters that it does not have: "
            'set "charset": "utf8mb4" in the connection\'s extra.',
        )
    # A TIMESTAMP is converted to the session's zone. Named zones need tables that many servers have not loaded.
    connection.exec_driver_sql("set session time_zone = '+00:00'")
    limit, unit = mysql_limit(connection)
    connection.exec_driver_sql(f"set session {limit} = {tuning.WAREHOUSE_STATEMENT_S * unit}")
    connection.exec_driver_sql("start transaction with consistent snapshot, read only")


def mysql_limit(connection: sa.Connection) -> tuple[str, int]:
    """Return the variable that limits a query's time, and its units in a second.

    https://mariadb.com/kb/en/aborting-statements/, https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html
    """
    is_mariadb: bool = getattr(connection.dialect, "is_mariadb", False)
    return ("max_statement_time", 1) if is_mariadb else ("max_execution_time", 1000)
