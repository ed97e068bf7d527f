"""The mark of a destination in an Airflow Variable, and the message if the ledger does not agree with it.

A Variable, because every task may read and write it, it outlives runs, and a person can set it in the UI. Airflow's
task state is of one run, and its asset state can't be set in the UI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError

from order_sync_airflow import api_server

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination
    from include.order_sync.ledger.marks import Difference

DESCRIPTION = "Order Sync: tells whether the ledger was restored or replaced. `accept` accepts the ledger as it is."


class VariableMark:
    """The store of a destination's mark; after a renaming also the old name's, until the first write.

    Args:
        destination: with its name and `renamed_from`.
    """

    def __init__(self, destination: Destination) -> None:
        self.name = _name(destination.name)
        self.old_name = _name(destination.renamed_from) if destination.renamed_from else None
        self._is_old = False

    def read(self) -> str | None:
        """Return the mark, or what a person has put in its place; None if there is none."""
        found = api_server.read_variable(self.name)
        if found is None and self.old_name:
            found = api_server.read_variable(self.old_name)
            self._is_old = found is not None
        # In small letters, as a mark has none: a person may write `Accept`.
        return found.strip().lower() if found else None

    def write(self, mark: str) -> None:
        """Replace the mark."""
        try:
            Variable.set(self.name, mark, DESCRIPTION)
            if self._is_old and self.old_name:
                Variable.delete(self.old_name)
        except AirflowRuntimeError as error:
            raise api_server.unreachable(f"the Variable {self.name!r}", error) from None
        self._is_old = False


def _name(destination: str) -> str:
    return f"order_sync_mark_{destination}"


def explain(difference: Difference, destination: Destination, variable: str, since: str) -> str:
    """Return what has happened to the ledger of a destination, and what a person can do.

    Args:
        difference: between the ledger and the mark.
        destination: of the mark.
        variable: the name of its Variable.
        since: the time from which the ledger may lack what was sent.
    """
    accept = (
        f"set the Airflow Variable `{variable}` to `accept` (Admin > Variables, or `airflow variables set {variable} "
        "accept`)"
    )
    twice = (
        f"Nothing sent twice: trigger {destination.dag_id} with `mode` adopt, `from` {since} and `to` the end of the "
        "data interval of its last run that delivered; the same for other times that were sent since. Then "
    )
    if difference == "older ledger":
        happened = (
            "the ledger is older than Airflow's mark: it was restored from a backup, or created anew, and would send "
            "again what was sent since"
        )
        choices = [twice + accept, f"What was sent since may be sent twice: {accept}"]
    elif difference == "no mark":
        happened = "the ledger knows this destination, and this Airflow does not"
        choices = [
            "Another Airflow sends to it: give this one a ledger of its own, or remove the destination here. Two on "
            "one ledger close each other's gaps",
            f"This Airflow replaces the other one, or has lost its metadata: {accept}",
            f"The ledger was restored from a backup as well. {twice}{accept}",
        ]
    else:
        happened = "the last load of this destination was none of this Airflow"
        choices = [
            "Another Airflow has taken it over, or is a copy of this one: let only one of them have it",
            f"Airflow's metadata was restored from a backup: {accept}",
            f"The ledger was restored from a backup as well. {twice}{accept}",
        ]
    lines = [f"Destination {destination.name!r}: {happened}. Nothing was sent. Choose what is true, or what you want:"]
    return "\n".join([*lines, *(f"{number}. {choice}." for number, choice in enumerate(choices, 1))])
