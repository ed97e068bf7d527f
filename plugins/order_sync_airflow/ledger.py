"""The ledger as tasks use it: its connection, the run's key, the deployment's cipher; and the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.order_sync.errors import StopError
from order_sync_airflow.hooks.base import connection, sql_engine

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from include.order_sync.ledger.sealing import Cipher
    from include.order_sync.ledger.session import LedgerSession

LEDGER_CONNECTION = "order_sync_ledger"

# The XCom by which a redrive's extract tells its load which entries of the quarantine it has staged.
REDRIVEN_KEY = "redriven"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it has not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.")
    return sql_engine(LEDGER_CONNECTION)


@contextmanager
def open_ledger(context: Context, destination: str, *, read_only: bool = False) -> Iterator[LedgerSession]:
    """Give the session that holds the destination's lock, for the running task; read-only without the lock.

    Attempts are counted by run; one that a person clears starts anew, and so counts anew.
    """
    from include.order_sync.ledger.session import open_session

    dag_run = context["dag_run"]
    run = f"{dag_run.dag_id} {dag_run.run_id} {dag_run.start_date.isoformat()}"
    with open_session(
        ledger_engine(),
        LEDGER_CONNECTION,
        destination=destination,
        run=run,
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


def main() -> None:
    """Run `python -m order_sync_airflow.ledger upgrade`, with plugins/ and the project's root on PYTHONPATH."""
    from include.order_sync.ledger import schema

    parser = argparse.ArgumentParser(
        prog="python -m order_sync_airflow.ledger",
        description=f"Bring the tables behind the Airflow connection {LEDGER_CONNECTION} up to date.",
    )
    parser.add_argument("command", choices=["upgrade"])
    parser.parse_args()
    version = schema.upgrade(ledger_engine())
    print(f"The ledger's schema is {version}.")  # noqa: T201


if __name__ == "__main__":
    main()
