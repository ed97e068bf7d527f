"""The ledger's connection, and the commands that bring its tables up to date and show how destinations stand."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from include.order_sync.config_file import load
from include.order_sync.errors import OrderSyncError, StopError
from order_sync_airflow.hooks.base import connection

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

LEDGER_CONNECTION = "order_sync_ledger"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it has not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.")
    return conn.get_hook().get_sqlalchemy_engine()


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
