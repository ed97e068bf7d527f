"""The ledger as tasks use it: its connection, the run's key, the deployment's cipher; and the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.order_sync.errors import StopError
from order_sync_airflow.hooks.base import connection, sql_engine

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa
    from airflow.sdk import Context

    from include.order_sync.ledger.quarantine import Cipher, Entry
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.staging import Staging

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


@dataclass(frozen=True)
class Sealer:
    """Turns staged rows into entries of the quarantine.

    Args:
        staging: of the run.
        timezone: of the source's times without an offset.
    """

    staging: Staging
    timezone: str

    def seal(self, orders: pd.DataFrame, reasons: Sequence[str], words: Sequence[str]) -> list[Entry]:
        """Return an entry for each of these ready orders, with its reason and the service's words."""
        from include.order_sync.ledger.quarantine import seal

        if orders.empty:
            return []
        rows, items = self.staging.raw_rows(orders["position"].tolist())
        said = rows.assign(reasons=[[reason] for reason in reasons], words=list(words))
        return seal(said, items, self.timezone, deployment_cipher())

    def seal_rows(self, rejected: pd.DataFrame) -> list[Entry]:
        """Return an entry for each of these raw rows, which carry their reasons."""
        from include.order_sync.ledger.quarantine import seal

        _, items = self.staging.raw_rows(rejected["position"].tolist())
        return seal(rejected, items, self.timezone, deployment_cipher())


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
