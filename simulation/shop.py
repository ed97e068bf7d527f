"""The simulated shop: the changes of its orders, each with the time at which the source commits it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from chaos.shop import PATHS

FIRST_ORDER = 100_000
# Goes to the services that take one order a request, too.
SINGLES = 0.25
# The shop's word for a status that nobody has mapped: its row is rejected.
UNKNOWN_WORD = "lost"
UNKNOWN_SHARE = 0.002
LATE_SHARE = 0.01
# Found by the reconcile of the next day at the latest.
LONGEST_LATENESS = timedelta(hours=40)

TABLE = """
    create table order_changes (
        id bigint generated always as identity primary key, order_id text not null, single boolean not null,
        status text not null, changed_at timestamptz not null, late boolean not null);
    create index on order_changes (changed_at, id);
    create table replaced_rows (like order_changes);  -- of chaos; rows are only added here
"""
# What a run reads. Shops that write local times without an offset have an hour that comes twice.
QUERY = """
    select order_id, status, {changed_at} as status_changed_at,
           timestamptz '2025-01-01 10:00:00+02' as created_at,
           'C-' || order_id as customer_id, 'buyer@shop.example' as email, '380942583691' as phone,
           'Anna' as first_name, 'Petrenko' as last_name, '19.90' as total_cost, 'UAH' as currency,
           order_id as bill_id, 'RR' || order_id as tracking_number
    from order_changes
    where changed_at >= :window_start and changed_at < :window_end{singles}
    order by changed_at, id
"""


class Change(NamedTuple):
    """A change of an order, and when the source commits it."""

    committed_at: datetime
    order_id: str
    single: bool
    status: str
    changed_at: datetime
    late: bool


@dataclass
class Shop:
    """Commits changes as time goes on.

    Args:
        connection: to the source.
        to_come: the changes, the last one first.
    """

    connection: psycopg.Connection
    to_come: list[Change]
    committed: int = 0

    @classmethod
    def open(cls, address: str, changes: list[Change]) -> Shop:
        """Return a shop with an empty source."""
        connection = psycopg.connect(address, autocommit=True)
        connection.execute(TABLE)
        return cls(connection, sorted(changes, reverse=True))

    def commit(self, now: datetime) -> None:
        """Commit all changes up to now."""
        due = []
        while self.to_come and self.to_come[-1].committed_at <= now:
            due.append(self.to_come.pop()[1:])
        self.committed += len(due)
        with self.connection.cursor() as cursor:
            insert = (
                "insert into order_changes (order_id, single, status, changed_at, late) values (%s, %s, %s, %s, %s)"
            )
            cursor.executemany(insert, due)


def changes(dice: random.Random, start: datetime, end: datetime, orders_an_hour: float, *, late: bool) -> list[Change]:
    """Return the changes of a shop; all are committed before `end`.

    Args:
        dice: choose paths and times.
        start: of the first order.
        end: after the last change.
        orders_an_hour: how many new orders come, on average.
        late: whether some changes are committed long after their time.
    """
    made: list[Change] = []
    at, number = start, FIRST_ORDER
    while at < end:
        number += 1
        made += _changes(dice, str(number), at, end, late=late)
        at += timedelta(hours=dice.expovariate(orders_an_hour))
    return made


def _changes(dice: random.Random, order_id: str, at: datetime, end: datetime, *, late: bool) -> Iterator[Change]:
    single = dice.random() < SINGLES
    for status in dice.choice(PATHS):
        if at >= end:
            return
        is_late = late and dice.random() < LATE_SHARE
        committed_at = at + dice.random() * LONGEST_LATENESS if is_late else at
        word = UNKNOWN_WORD if dice.random() < UNKNOWN_SHARE else status
        yield Change(min(committed_at, end), order_id, single, word, at, is_late)
        # Some pauses are shorter than an hour, most last days.
        at += timedelta(hours=dice.uniform(0.01, 1) if dice.random() < 0.3 else dice.expovariate(1 / 30))
