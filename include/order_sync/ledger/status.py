"""The status of a destination: read up to when, open gaps, and orders that wait for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from include.order_sync.ledger import windows
from include.order_sync.model import Window


@dataclass(frozen=True)
class DestinationStatus:
    """The status of one destination.

    Args:
        read_up_to: the end of its gapless finished windows; None if no run has finished.
        gaps: holes after that.
        held_orders: how many sends in doubt wait for a person.
        batches_in_doubt: how many batches have no answer: those of held orders, those to be sent again, and those in
            flight right now.
    """

    read_up_to: datetime | None
    gaps: list[Window]
    held_orders: int
    batches_in_doubt: int


def status(connection: sa.Connection, destination: str) -> DestinationStatus:
    """Return the status of a destination."""
    query = """
        select (select count(*) from orders_in_doubt o where o.destination_id = d.id and o.held),
               (select count(distinct batch_id) from orders_in_doubt o where o.destination_id = d.id)
               + (select count(*) from batches b
                  where b.destination_id = d.id and b.outcome is null and b.begun_at is not null)
        from destinations d where d.name = :destination
    """
    held, in_doubt = connection.execute(sa.text(query), {"destination": destination}).one_or_none() or (0, 0)
    covered = windows.gapless(connection, destination)
    # After an adoption nothing but that is read: it ends where the destination begins.
    read = covered and (covered.start < covered.end or windows.has_first_reading(connection, destination))
    return DestinationStatus(
        read_up_to=covered.end if covered and read else None,
        gaps=windows.gaps(connection, destination),
        held_orders=held,
        batches_in_doubt=in_doubt,
    )
