"""What happened to one order at each destination."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from include.order_sync.staging.partition_hash import partition_hash


def history(connection: sa.Connection, order_id: str) -> Sequence[sa.RowMapping]:
    """Return what happened to an order, by destination and then in time: the columns of `order_history_v1`.

    Also the `encrypted_row` of what was put into the quarantine, which has the service's message.

    Args:
        connection: of schema.transaction().
        order_id: as the shop writes it, without surrounding blanks.
    """
    query = """
        select h.*, q.encrypted_row
        from order_history_v1 h left join quarantine q on q.id = h.entry and h.event = 'quarantined'
        where h.order_id = :order_id and h.partition_hash = :partition_hash
        order by h.destination, h.happened_at, h.batch_id
    """
    values = {"order_id": order_id, "partition_hash": partition_hash(order_id)}
    return connection.execute(sa.text(query), values).mappings().all()
