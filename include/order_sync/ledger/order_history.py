"""What happened to one order at each destination, and the search for its id."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import sqlalchemy as sa

from include.order_sync.staging.partition_hash import hashes_of_longer_ids, partition_hash

# Of a text with eight letters. Each is looked up: so many take less than a tenth of a second.
SPELLINGS = 256


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

    Small and capital letters are alike, in the spellings that spellings_of() gives.

    Longer ids are not found: the table is kept by hashes, which keep the order of an id's last three characters alone.

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
                and left(order_id, :length) = any(:spellings)
            union all
            select order_id from rejections_v1
            where destination = name and partition_hash between hashes.first and hashes.last
                and left(order_id, :length) = any(:spellings)
        ) found
        order by found.order_id limit :at_most
    """
    spellings = spellings_of(text)
    ranges = sorted({hashes for spelling in spellings for hashes in hashes_of_longer_ids(spelling)})
    values = {
        "first": [first for first, _ in ranges],
        "last": [last for _, last in ranges],
        "names": list(destinations),
        "spellings": spellings,
        "length": len(text),
        "at_most": at_most,
    }
    return list(connection.execute(sa.text(query), values).scalars())


def spellings_of(text: str) -> list[str]:
    """Return all spellings of a text in small and capital letters; of too many as it is, all small, and all capital.

    An id is found by its hash, so each spelling is looked up.
    """
    letters = [{letter, *(each for each in (letter.lower(), letter.upper()) if len(each) == 1)} for letter in text]
    if prod(map(len, letters)) <= SPELLINGS:
        return ["".join(each) for each in product(*map(sorted, letters))]
    return sorted(each for each in {text, text.lower(), text.upper()} if len(each) == len(text))
