"""What happened to one order at each destination, and the search for its id."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from include.order_sync.staging.partition_hash import hashes_of_longer_ids, partition_hash


def history(connection: sa.Connection, order_id: str) -> Sequence[sa.RowMapping]:
    """Return what happened to an order, by destination and then in time: the columns of `order_history_v1`.

    Also the `encrypted_row` of what was put into the quarantine last, which has the service's message.

    Args:
        connection: of schema.transaction().
        order_id: as the shop writes it, without surrounding blanks.
    """
    query = """
        select h.*, q.encrypted_row
        from order_history_v1 h left join quarantine q on q.id = h.entry and h.run = split_part(q.run, ' ', 2)
        where h.order_id = :order_id and h.partition_hash = :partition_hash
        order by h.destination, h.happened_at, h.batch_id
    """
    values = {"order_id": order_id, "partition_hash": partition_hash(order_id)}
    return connection.execute(sa.text(query), values).mappings().all()


def ids_beginning_with(connection: sa.Connection, text: str, destinations: Sequence[str], at_most: int) -> list[str]:
    """Return ids of orders that were sent or rejected, begin with a text and have up to three bytes more, in order.

    Longer ones are not found: the table is kept by hashes, of which only the last three characters of an id keep the
    order.

    Args:
        connection: of schema.transaction().
        text: the beginning of the ids, without surrounding blanks.
        destinations: their names.
        at_most: the number of ids.
    """
    query = """
        select distinct found.order_id
        from unnest(cast(:first as integer[]), cast(:last as integer[])) hashes (first, last)
        cross join unnest(cast(:names as text[])) name
        cross join lateral (
            select order_id from order_state_v1
            where destination = name and partition_hash between hashes.first and hashes.last
                and starts_with(order_id, :text)
            union all
            select order_id from rejections_v1
            where destination = name and partition_hash between hashes.first and hashes.last
                and starts_with(order_id, :text)
        ) found
        order by found.order_id limit :at_most
    """
    ranges = hashes_of_longer_ids(text)
    values = {
        "first": [first for first, _ in ranges],
        "last": [last for _, last in ranges],
        "names": list(destinations),
        "text": text,
        "at_most": at_most,
    }
    return list(connection.execute(sa.text(query), values).scalars())
