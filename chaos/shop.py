"""The source: one PostgreSQL table with the order changes of some days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

FIRST_HOUR = datetime(2026, 1, 5, tzinfo=UTC)
FIRST_ORDER = 100_000

# No path returns to a code that a service already has. So a code taken twice is a change taken twice.
PATHS = (
    ("new", "paid", "packing", "shipped", "delivered"),
    ("new", "paid", "shipped", "returned"),
    ("new", "paid", "packing", "shipped", "delivered", "returned"),
    ("new", "paid", "cancelled"),
    ("new", "cancelled"),
)

# Of the changes, so many are committed long after their time.
LATE_SHARE = 0.02
MOVE = """
    with moved as (
        delete from late_changes where {condition} returning *
    )
    insert into order_changes (order_id, single, status, changed_at, late)
    select order_id, single, status, changed_at, late from moved order by id
"""

Change = tuple[str, bool, str, datetime]


def fill(address: str, orders: int, singles: int, hours: int, dice: random.Random) -> int:
    """Create and fill the tables; return the number of changes, without those that are committed late.

    Args:
        address: of the database.
        orders: their number.
        singles: how many of them also go to the services that take one order a request.
        hours: the number of hours that the changes cover, from FIRST_HOUR on.
        dice: choose paths and times.
    """
    with psycopg.connect(address) as connection:
        columns = (
            "(id bigint generated always as identity primary key, order_id text not null, single boolean not null, "
            "status text not null, changed_at timestamptz not null, late boolean not null)"
        )
        connection.execute(f"create table order_changes {columns}")
        connection.execute(f"create table late_changes {columns}")
        with connection.cursor() as cursor:
            with cursor.copy("copy late_changes (order_id, single, status, changed_at, late) from stdin") as copy:
                for number in range(orders):
                    changes = list(_changes(str(FIRST_ORDER + number), number < singles, hours, dice))
                    times = Counter(at for *_, at in changes)
                    for *change, at in changes:
                        # Changes of one time keep their places: the order would return to a code otherwise.
                        copy.write_row((*change, at, times[at] == 1 and dice.random() < LATE_SHARE))
            cursor.execute(MOVE.format(condition="not late"))
            cursor.execute("create index on order_changes (changed_at, id)")
            (count,) = cursor.execute("select count(*) from order_changes").fetchone() or (0,)
    return int(count)


def commit_late(address: str) -> None:
    """Commit a part of the changes that are still to come."""
    with psycopg.connect(address) as connection:
        connection.execute(MOVE.format(condition="id % 3 = (select min(id) from late_changes) % 3"))


def _changes(order_id: str, single: bool, hours: int, dice: random.Random) -> Iterator[Change]:
    """Yield an order's changes within the hours; some statuses come twice in a row."""
    at = FIRST_HOUR + timedelta(hours=dice.uniform(0, hours))
    for status in dice.choice(PATHS):
        for _ in range(1 + (dice.random() < 0.1)):
            if at >= FIRST_HOUR + timedelta(hours=hours):
                return
            yield order_id, single, status, at
            at += _pause(dice, hours)


def _pause(dice: random.Random, hours: int) -> timedelta:
    """Return the time between two changes: none, less than an hour, or a good part of all hours."""
    kind = dice.random()
    if kind < 0.03:
        return timedelta(0)
    return timedelta(hours=dice.random() if kind < 0.3 else dice.expovariate(6 / hours))
