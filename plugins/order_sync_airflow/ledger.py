"""The ledger's command line: `python -m order_sync_airflow.ledger upgrade`, `status` or `quarantine`."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import datetime

import sqlalchemy as sa
from tabulate import tabulate

from include.order_sync import codes
from include.order_sync.configuration.loading import load
from include.order_sync.errors import OrderSyncError
from include.order_sync.ledger import files, quarantine, reader_role, reason_codes, schema
from include.order_sync.ledger.encrypted_rows import service_messages
from include.order_sync.ledger.order_history import history
from include.order_sync.ledger.status import status
from order_sync_airflow import log_tables
from order_sync_airflow.hooks.base import read_connections_of_airflow
from order_sync_airflow.ledger_connection import (
    LEDGER_CONNECTION,
    deployment_cipher,
    ledger_engine,
    ledger_transaction,
)

NEVER_SEEN = (
    "Nothing was sent or rejected. Either no row with this id was read, or its status is not for this provider."
)


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


def order_tables(order_id: str) -> str:
    """Return what happened to an order at each destination, as a table each, with the service's whole messages.

    A message may quote the order, so it is shown only to those who have Airflow's Fernet key.
    """
    names = list(load().destinations)
    with ledger_transaction() as ledger:
        found = history(ledger, order_id)
        read = {name: status(ledger, name).read_up_to for name in names}
    by_destination: dict[str, list[sa.RowMapping]] = {name: [] for name in names}
    for event in found:
        by_destination.setdefault(event["destination"], []).append(event)
    cipher = deployment_cipher()
    parts = []
    for name, events in by_destination.items():
        up_to = read.get(name)
        parts.append(f"{name}, read up to {_minute(up_to)} UTC" if up_to else f"{name}, never read")
        rows = [row for row in (event["encrypted_row"] for event in events) if row is not None]
        messages = iter(service_messages(rows, cipher))
        said = [next(messages) if event["encrypted_row"] is not None else "" for event in events]
        parts.append(log_tables.history_table(events, said) if events else NEVER_SEEN)
    return "\n\n".join(parts)


def quarantine_table(destination: str, wanted: quarantine.Filter) -> str:
    """Return the open entries of a destination, as a table, with the service's whole messages.

    A message may quote the order, so it is shown only to those who have Airflow's Fernet key.
    """
    name = load().destination(destination).name
    with ledger_transaction() as ledger:
        found = quarantine.find(ledger.connection.cursor(), name, wanted)
    messages = service_messages([entry["encrypted_row"] for entry in found], deployment_cipher())
    return log_tables.entries_table(found, messages)


def file_tables(path: str) -> str:
    """Return what came of a file at each destination that has taken it, and why rows of it were rejected, as tables."""
    with ledger_transaction() as ledger:
        found, rejected = files.outcomes(ledger, path), files.rejections(ledger, path)
    if not found:
        return (
            f"No destination has taken {path}. Write the path as the source's `path` begins: a whole path or address. "
            "A run takes a file when it has ended well."
        )
    open_rows: Counter[str] = Counter()
    for rejection in rejected:
        open_rows[rejection.destination] += rejection.open
    rows = []
    for each in found:
        known = each.rows is not None and each.skipped is not None
        counts = (each.rows, each.skipped) if known else ("not known", "")
        said = ["could not be used", ""] if each.is_unusable else [*counts]
        rows.append([each.destination, _minute(each.taken_at), *said, open_rows[each.destination], each.run])
    headers = ["destination", "taken (UTC)", "rows", "skipped", "open rejections", "run"]
    tables = [tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)]
    if rejected:
        headers = ["destination", "reason", "rejections", "first line", "still open"]
        shown = [each._replace(reason=codes.coded(each.reason)) for each in rejected]
        tables.append(tabulate(shown, headers=headers, tablefmt="simple", disable_numparse=True))
    return "\n\n".join(tables)


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
    order = commands.add_parser("order", help="show what happened to an order at each destination")
    order.add_argument("order_id", help="as the shop writes it")
    file = commands.add_parser("file", help="show what came of a file of a CSV drop at each destination")
    file.add_argument("path", help="the whole path or address")
    listing = commands.add_parser("quarantine", help="list open entries, with what the service said of each")
    listing.add_argument("destination", help="its name in the configuration")
    listing.add_argument("order_ids", nargs="*", metavar="order_id", help="only entries of these orders")
    listing.add_argument(
        "--reason", default="", help="only entries with this reason: a code, as OS-111, or a part of its text"
    )
    listing.add_argument("--at-most", type=int, default=1000, help="the oldest first (default: %(default)s)")
    given = parser.parse_args()
    read_connections_of_airflow()
    try:
        if given.command == "upgrade":
            engine = ledger_engine()
            schema.connect(engine, LEDGER_CONNECTION).close()
            version = schema.upgrade(engine)
            reason_codes.write(engine, codes.by_pattern())
            table = f"{reader_role.grant_reading(engine)}\nThe ledger's schema is {version}."
        elif given.command == "status":
            table = status_table()
        elif given.command == "file":
            table = file_tables(given.path)
        elif given.command == "order":
            table = order_tables(given.order_id.strip())
        else:
            wanted = quarantine.Filter(
                reason=codes.pattern(given.reason), order_ids=tuple(given.order_ids), held=None, at_most=given.at_most
            )
            table = quarantine_table(given.destination, wanted)
        print(table)  # noqa: T201
    except OrderSyncError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
