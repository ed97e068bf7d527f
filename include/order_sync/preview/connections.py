"""Opens a warehouse by the environment variable that Airflow reads too, without Airflow."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import sqlalchemy as sa

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError

# Drivers of MySQL, the best first: module -> SQLAlchemy's name.
_MYSQL_DRIVERS = {"MySQLdb": "mysqldb", "pymysql": "pymysql", "mysql.connector": "mysqlconnector"}


def engine_of(connection: str) -> sa.Engine:
    """Return an engine of a connection; it is not connected yet.

    Args:
        connection: its id. Its variable holds a URI or JSON.
            https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html

    Raises:
        StopError: the variable is missing, or its type is none of PostgreSQL, MySQL and SQLite.
    """
    variable = f"AIRFLOW_CONN_{connection.upper()}"
    written = os.environ.get(variable)
    if not written:
        raise StopError(
            stops.NO_CONNECTION,
            f"The preview knows no connection {connection!r}: set the environment variable {variable}, for example to "
            "postgres://reader:PASSWORD@host/database. Airflow shows one that it has stored by "
            f"`airflow connections export --format env -`.",
        )
    try:
        fields = json.loads(written) if written.lstrip().startswith("{") else _of_uri(written)
        options: dict[str, Any] = {"hide_parameters": True}
        url = _url(fields, options)
    except (ValueError, KeyError, TypeError):
        raise StopError(
            stops.NO_CONNECTION, f"{variable} is no connection: write it as a URI or as JSON, as Airflow reads it."
        ) from None
    return sa.create_engine(url, **options)


def _of_uri(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    return {
        "conn_type": parts.scheme,
        "host": unquote(parts.hostname or ""),
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "port": parts.port,
        "schema": unquote(parts.path[1:]),
        "extra": dict(parse_qsl(parts.query)),
    }


def _url(fields: dict[str, Any], options: dict[str, Any]) -> sa.URL:
    kind = fields["conn_type"].replace("postgresql", "postgres")
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    if kind == "sqlite":
        return sa.URL.create("sqlite", database=fields.get("host") or fields.get("schema"))
    if kind == "postgres":
        driver = "postgresql+psycopg"
        known = {name: value for name, value in extra.items() if name.startswith(tuning.POSTGRES_EXTRAS)}
        options["connect_args"] = tuning.POSTGRES_CONNECTION | known | {"client_encoding": "UTF8"}
    elif kind in ("mysql", "mariadb"):
        driver = f"mysql+{_mysql_driver()}"
        options["connect_args"] = {"charset": extra.get("charset", "utf8mb4")}
    else:
        raise StopError(
            stops.NO_CONNECTION,
            f"The preview reads PostgreSQL, MySQL and SQLite, and this connection's type is {kind}: look at the plan "
            "of a run instead (docs/going-live.md).",
        )
    port = fields.get("port")
    return sa.URL.create(
        driver,
        fields.get("login") or None,
        fields.get("password") or None,
        fields.get("host") or None,
        int(port) if port else None,
        fields.get("schema") or None,
    )


def _mysql_driver() -> str:
    for module, name in _MYSQL_DRIVERS.items():
        try:
            if find_spec(module):
                return name
        except ModuleNotFoundError:  # of the package around it
            continue
    raise StopError(
        stops.NO_CONNECTION,
        "No driver of MySQL is installed: `pip install apache-airflow-providers-mysql`, or pymysql.",
    )
