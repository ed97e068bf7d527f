"""The ledger's connection, and the command that brings its tables up to date."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from include.order_sync.errors import StopError
from order_sync_airflow.hooks.base import connection

if TYPE_CHECKING:
    import sqlalchemy as sa

LEDGER_CONNECTION = "order_sync_ledger"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it has not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.")
    return conn.get_hook().get_sqlalchemy_engine()


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
