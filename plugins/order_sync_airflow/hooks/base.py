"""The base of the services' hooks: a Connection in, credentials and a session out."""

from __future__ import annotations

import json
import logging
import os
import re
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.order_sync import stops, tuning
from include.order_sync.errors import OrderSyncError, StopError
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials
from order_sync_airflow import api_server

if TYPE_CHECKING:
    import requests
    from airflow.sdk import Connection
    from sqlalchemy import Engine

log = logging.getLogger(__name__)


def read_connections_of_airflow() -> None:
    """Let this process read connections from Airflow's database: outside of a task Airflow reads the environment alone.

    The variable is Airflow's own, read in airflow/sdk/execution_time/supervisor.py, ensure_secrets_backend_loaded.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def connection(conn_id: str) -> Connection:
    """Return Airflow's connection.

    Raises:
        StopError: there is none, or its extra is no JSON object; it says the cure.
        TryAgainError: a task's api-server can't be reached.
    """
    try:
        conn = _known(conn_id)
    except AirflowNotFoundException:
        raise StopError(
            stops.NO_CONNECTION,
            f"There is no Airflow connection {conn_id!r}: add it under Admin > Connections, "
            f"or set the environment variable AIRFLOW_CONN_{conn_id.upper()}.",
        ) from None
    try:
        is_object = isinstance(json.loads(conn.extra or "{}"), dict)
    except ValueError:
        is_object = False
    if not is_object:
        # Airflow would take it for an empty one, and so connect without what it asks for.
        raise StopError(
            stops.BAD_CONNECTION,
            f'Connection {conn_id!r}: its extra is no JSON object: write it as {{"name": "value"}}, or leave it empty.',
        )
    return conn


def _known(conn_id: str) -> Connection:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        api_server.check(f"the connection {conn_id!r}")
        return BaseHook.get_connection(conn_id)  # the api-server may have been away for a moment


def sql_engine(conn_id: str, **connect_args: str) -> Engine:
    """Return an engine of a connection to a SQL database; it is not connected yet.

    A PostgreSQL connection gets the time limits of tuning.POSTGRES_CONNECTION; the connection's own extras win. Its
    server converts all texts to UTF-8, because psycopg does not know all encodings.

    Args:
        conn_id: the connection.
        connect_args: for the database's driver, on top of the connection's own.

    Raises:
        StopError: there is no such connection, it is of no type that can be queried, or its extra can't be used.
    """
    from sqlalchemy.exc import NoSuchModuleError

    conn = connection(conn_id)
    arguments: dict[str, str | int] = {**connect_args}
    if conn.conn_type == "postgres":
        limits = tuning.POSTGRES_CONNECTION
        # Airflow's hook gives them to psycopg, but not to an engine.
        own = {name: value for name, value in conn.extra_dejson.items() if name.startswith(tuning.POSTGRES_EXTRAS)}
        arguments = {name: conn.extra_dejson.get(name, limit) for name, limit in limits.items()} | own | arguments
        arguments["client_encoding"] = "UTF8"
    try:
        hook = conn.get_hook()  # type: ignore[no-untyped-call]  # Airflow's
        # Its errors would quote the parameters of a statement: rows.
        options = {"hide_parameters": True} | ({"connect_args": arguments} if arguments else {})
        engine: Engine = hook.get_sqlalchemy_engine(engine_kwargs=options)
    except (TypeError, ValueError) as error:
        raise StopError(
            stops.BAD_CONNECTION, f"Connection {conn_id!r}: its extra can't be used: {error}. Correct it."
        ) from None
    except (AttributeError, AirflowException, ImportError, NoSuchModuleError):
        raise StopError(
            stops.NO_CONNECTION,
            f"Connection {conn_id!r} is of no type that this Airflow can query: set the type of its SQL database, "
            "as postgres, and install that database's Airflow provider.",
        ) from None
    return engine


class ServiceHook(BaseHook):
    """One account of a service.

    Args:
        conn_id: the connection; its host is the service's address: https, or http if its extra has `allow_http`.
    """

    conn_name_attr = "conn_id"
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    # The module of order_sync_airflow.forms, which has the service's own words for address, login and password.
    form: ClassVar[ModuleType]

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    def get_conn(self) -> requests.Session:
        """Return a new keep-alive session for this account's requests."""
        # Not at the top: parsing imports this module, but not requests.
        from include.order_sync.delivery.http import open_session

        return open_session(self.credentials.url)

    def test_connection(self) -> tuple[bool, str]:
        """Try the account without sending an order, for `Test` in the connection's form: whether it is well, and why.

        The name and what it returns are Airflow's.
        """
        from include.order_sync.delivery.trial import try_account

        try:
            return True, try_account(PROVIDERS[self.conn_type], self.credentials)
        except OrderSyncError as error:
            return False, str(error)

    @cached_property
    def credentials(self) -> Credentials:
        """The account's address, login and secret; the secret is masked in all logs from here on."""
        conn = connection(self.conn_id)
        given = {"host": conn.host, "login": conn.login, "password": conn.password}
        words = {"host": self.form.ADDRESS, "login": self.form.LOGIN, "password": self.form.SECRET}
        empty = [f"{key} ({words[key]})" for key, value in given.items() if not value]
        if empty:
            raise StopError(
                stops.BAD_CONNECTION,
                f"Connection {self.conn_id!r} ({self.hook_name}) lacks {', '.join(empty)}: fill it in.",
            )
        mask_secret(conn.password)
        return Credentials(self._url(conn, given["host"] or ""), given["login"] or "", given["password"] or "")

    def _url(self, conn: Connection, host: str) -> str:
        host = host if "://" in host else f"{conn.schema or 'https'}://{host}"
        try:
            url = urlsplit(host)
            port = conn.port or url.port
        except ValueError:
            url, port = urlsplit(""), None
        if (
            url.scheme not in ("http", "https")
            or not url.hostname
            or url.username is not None
            or url.query
            or url.fragment
            or re.search(r"\s|\.\.|^\.", url.hostname)
        ):
            raise StopError(
                stops.BAD_CONNECTION,
                f"Connection {self.conn_id!r}: its host must be an address, as {self.form.ADDRESS}.",
            )
        if url.scheme == "http":
            # In an address of a connection each extra is a text.
            if str(conn.extra_dejson.get("allow_http")).lower() != "true":
                raise StopError(
                    stops.BAD_CONNECTION,
                    f"Connection {self.conn_id!r}: its host asks for plain http, so others could read its secret and "
                    "all orders on the way. Let it say https. If all of the way is your own, add "
                    '{"allow_http": true} to its extra.',
                )
            log.warning("Connection %r sends its secret over plain http, as its extra allows.", self.conn_id)
        name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        return f"{url.scheme}://{name}{f':{port}' if port else ''}{url.path.rstrip('/')}"
