"""The ledger as tasks use it: its connection, the run's key, the deployment's cipher; and the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.order_sync.config_file import load
from include.order_sync.errors import OrderSyncError, StopError
from order_sync_airflow.hooks.base import connection, sql_engine

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from include.order_sync.ledger.sealing import Cipher
    from include.order_sync.ledger.session import LedgerSession

LEDGER_CONNECTION = "order_sync_ledger"

# The XCom by which a redrive's extract tells its load which entries of the quarantine it has staged.
REDRIVEN_KEY = "redriven"

# The XCom by which an extract says when it read.
READ_AT_KEY = "read_at"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it has not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.")
    return sql_engine(LEDGER_CONNECTION)


def push_read_at(context: Context) -> None:
    """Say that extract reads now."""
    context["ti"].xcom_push(READ_AT_KEY, datetime.now(UTC).isoformat())


def run_key(context: Context) -> str:
    """Return what the ledger counts a run by: one that a person clears counts anew.

    Clearing an ended run starts it anew. Clearing extract in a run that has not ended does not, but reads anew.
    """
    dag_run, read_at = context["dag_run"], context["ti"].xcom_pull(task_ids="extract", key=READ_AT_KEY)
    return f"{dag_run.dag_id} {dag_run.run_id} {dag_run.start_date.isoformat()} {read_at}"


@contextmanager
def open_ledger(context: Context, destination: str, *, read_only: bool = False) -> Iterator[LedgerSession]:
    """Give the session that holds the destination's lock, for the running task; read-only without the lock."""
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
    """Return a connection to the ledger in one transaction, to be entered; it has not connected yet."""
    from include.order_sync.ledger import schema

    return schema.transaction(ledger_engine(), LEDGER_CONNECTION)


def status_table() -> str:
    """Return how each destination of the configuration stands, as a table."""
    from tabulate import tabulate

    from include.order_sync.ledger.status import status

    rows = []
    with ledger_transaction() as ledger:
        for name in load().destinations:
            found = status(ledger, name)
            gaps = "\n".join(f"{_minute(gap.start)} to {_minute(gap.end)}" for gap in found.gaps)
            read_up_to = _minute(found.read_up_to) if found.read_up_to else "never"
            rows.append([name, read_up_to, gaps or "none", found.held_orders, found.batches_in_doubt])
    headers = ["destination", "read up to (UTC)", "open gaps (UTC)", "held orders", "batches in doubt"]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def main() -> None:
    """Run `python -m order_sync_airflow.ledger`, with plugins/ and the project's root on PYTHONPATH."""
    from include.order_sync.ledger import schema

    parser = argparse.ArgumentParser(
        prog="python -m order_sync_airflow.ledger",
        description=f"Works with the ledger behind the Airflow connection {LEDGER_CONNECTION}.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upgrade", help="bring its tables up to date")
    commands.add_parser("status", help="show how each destination stands")
    if parser.parse_args().command == "upgrade":
        print(f"The ledger's schema is {schema.upgrade(ledger_engine())}.")  # noqa: T201
        return
    try:
        print(status_table())  # noqa: T201
    except OrderSyncError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
