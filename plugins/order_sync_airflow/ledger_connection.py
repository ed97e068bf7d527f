"""The ledger's Airflow connection: its engine, sessions and transactions, and the cipher of the deployment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from include.order_sync.errors import StopError
from order_sync_airflow.hooks.base import connection, sql_engine
from order_sync_airflow.run_context import run_key

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from include.order_sync.ledger.encrypted_rows import Cipher
    from include.order_sync.ledger.session import LedgerSession

LEDGER_CONNECTION = "order_sync_ledger"

# The XCom in which a redrive's extract lists the entries of the quarantine that it has staged, for its load.
REDRIVEN_KEY = "redriven"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it is not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.")
    # Named, as psycopg gives bytes instead of text for a database in SQL_ASCII, which is refused with its cure.
    return sql_engine(LEDGER_CONNECTION, client_encoding="UTF8")


@contextmanager
def open_ledger(context: Context, destination: str, *, read_only: bool = False) -> Iterator[LedgerSession]:
    """Yield the ledger session of the running task: with the destination's lock, or read-only without it."""
    from include.order_sync.ledger.session import open_session

    with open_session(
        ledger_engine(),
        LEDGER_CONNECTION,
        destination=destination,
        run=run_key(context),
        try_number=context["ti"].try_number,
        read_only=read_only,
    ) as session:
        yield session


def deployment_cipher() -> Cipher:
    """Return Airflow's Fernet: its first key encrypts, any of its keys decrypts."""
    from airflow.sdk.crypto import get_fernet

    cipher = get_fernet()
    if not cipher.is_encrypted:
        raise StopError("Set Airflow's [core] fernet_key: rows in the quarantine are personal data, and encrypted.")
    return cipher


def ledger_transaction() -> AbstractContextManager[sa.Connection]:
    """Return a context manager: a connection to the ledger in one transaction."""
    from include.order_sync.ledger import schema

    return schema.transaction(ledger_engine(), LEDGER_CONNECTION)
