"""The ledger's command line: `python -m order_sync_airflow.ledger upgrade` or `status`."""

from __future__ import annotations

import argparse
from datetime import datetime

from tabulate import tabulate

from include.order_sync.configuration.loading import load
from include.order_sync.errors import OrderSyncError
from include.order_sync.ledger import schema
from include.order_sync.ledger.status import status
from order_sync_airflow.ledger_connection import LEDGER_CONNECTION, ledger_engine, ledger_transaction


def status_table() -> str:
    """Return the status of each destination of the configuration, as a table."""
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
