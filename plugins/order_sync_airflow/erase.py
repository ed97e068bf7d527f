"""Erases one person: `python -m order_sync_airflow.erase < person.txt`, with one value a line.

A value is an order id, a customer id, an e-mail address or a phone number. They come by standard input, because the
arguments of a process can be read by others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from include.order_sync import stops
from include.order_sync.configuration.loading import load
from include.order_sync.counted import counted
from include.order_sync.errors import OrderSyncError, StopError
from include.order_sync.ledger import erasure as quarantined
from include.order_sync.ledger.order_history import spellings_of
from include.order_sync.staging import erasure as staged
from order_sync_airflow.hooks.base import read_connections_of_airflow
from order_sync_airflow.ledger_connection import deployment_cipher, ledger_transaction
from order_sync_airflow.operators.base import storage_path

STAYS = """\
What stays:
- the source, and the files of a CSV drop: delete the person there first, else the next run reads them again
- the ledger's attempts: order ids, times and codes. Without them the orders would be sent again
- Airflow's logs and the params of runs: order ids"""


def erase(lines: Iterable[str], *, delete: bool) -> str:
    """Erase a person, or only count; return what was found, and what stays.

    :param lines: one value each.
    :param delete: whether to erase.
    :raises StopError: no value was given.
    """
    person = staged.Person.of(lines)
    if not person.values:
        raise StopError(
            stops.COMMAND, "Give at least one order id, customer id, e-mail address or phone number, one a line."
        )
    cipher = deployment_cipher()
    root = storage_path(load().staging)
    parts = staged.find(root, person, erase=delete) if root.exists() else staged.Found()
    with ledger_transaction() as ledger:
        entries = quarantined.find(ledger, person, cipher)
        if delete:
            quarantined.erase(ledger, entries)
        spellings = {spelling for text in person.given for spelling in spellings_of(text)}
        taken = quarantined.taken(ledger, entries.order_ids | parts.order_ids | spellings)
    verb = "Erased" if delete else "Would erase (--delete does it)"
    said = [
        f"{verb}: {counted(len(entries.numbers), 'entry')} of the quarantine, "
        f"{counted(parts.rejected, 'staged rejected row')}, "
        f"the staged rows of {counted(len(parts.reads), 'run')} without success"
    ]
    said += [f"- {read.parent.parent.name}, {read.parent.name}: clear it from extract on" for read in parts.reads]
    if entries.closed:
        said.append(f"{counted(entries.closed, 'entry')} with another key: only the order id was compared")
    said += [STAYS, *(f"- at {name}, delete there: orders {', '.join(ids)}" for name, ids in taken.items())]
    return "\n".join(said)


def main() -> None:
    """Run the command, with plugins/ and the project's root on PYTHONPATH."""
    parser = argparse.ArgumentParser(
        prog="python -m order_sync_airflow.erase",
        description="Erases a person from quarantine and staged files, and says what stays elsewhere. "
        "Standard input: one order id, customer id, e-mail address or phone number a line.",
    )
    parser.add_argument("--delete", action="store_true", help="erase; without it the command only counts")
    given = parser.parse_args()
    read_connections_of_airflow()
    try:
        print(erase(sys.stdin, delete=given.delete))  # noqa: T201
    except OrderSyncError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
