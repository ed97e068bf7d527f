"""Erases one person from the quarantine, and says which services have the person's orders."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from include.order_sync.ledger.encrypted_rows import Cipher, decrypt_row
from include.order_sync.staging.erasure import Person
from include.order_sync.staging.partition_hash import partition_hash

_AT_ONCE = 1000


class Entries(NamedTuple):
    """Entries of the quarantine.

    Args:
        numbers: of the entries of a person.
        order_ids: of these entries, where they have one.
        closed: how many entries no key of the deployment opens; of these only the order id was compared.
    """

    numbers: list[int]
    order_ids: set[str]
    closed: int


def find(ledger: sa.Connection, person: Person, cipher: Cipher) -> Entries:
    """Return the entries of a person, open and resolved ones; it decrypts all of the quarantine.

    Args:
        ledger: in a transaction.
        person: to find.
        cipher: of the deployment.
    """
    found = Entries([], set(), 0)
    query = sa.text("select id, order_id, encrypted_row from quarantine order by id")
    result = ledger.execute(query, execution_options={"yield_per": _AT_ONCE})
    for number, order_id, token in result:
        row = decrypt_row(token, cipher)
        if row is None:
            found = found._replace(closed=found.closed + 1)
        if person.owns({"order_id": order_id}) or (row and person.owns(row)):
            found.numbers.append(number)
            found.order_ids.update([order_id] if order_id else [])
    return found


def erase(ledger: sa.Connection, entries: Entries) -> None:
    """Delete these entries."""
    ledger.execute(sa.text("delete from quarantine where id = any(:numbers)"), {"numbers": entries.numbers})


def taken(ledger: sa.Connection, order_ids: Collection[str]) -> dict[str, list[str]]:
    """Return, for each destination, those of these orders that were sent there or count as being there."""
    query = sa.text(
        """
        select distinct d.name, a.order_id from attempts a
        join destinations d on d.id = a.destination_id
        join batches b on b.id = a.batch_id
        where (b.begun_at is not null or b.outcome is not null) and b.outcome is distinct from 'not_taken'
          and a.partition_hash = any(:hashes) and a.order_id = any(:ids) order by 1, 2
        """
    )
    values = {"ids": list(order_ids), "hashes": [partition_hash(order_id) for order_id in order_ids]}
    sent: dict[str, list[str]] = {}
    for destination, order_id in ledger.execute(query, values):
        sent.setdefault(destination, []).append(order_id)
    return sent
