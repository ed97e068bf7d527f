"""The source: one PostgreSQL table with the order changes of some days."""

from __future__ import annotations

import random
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

Change = tuple[str, bool, str, datetime]


def fill(address: str, orders: int, singles: int, hours: int, dice: random.Random) -> int:
    """Create and fill the table; return the number of its changes.

    Args:
        address: of the database.
        orders: their number.
        singles: how many of them also go to the services that take one order a request.
        hours: the number of hours that the changes cover, from FIRST_HOUR on.
        dice: choose paths and times.
    """
    with psycopg.connect(address) as connection:
        connection.execute(
            "create table order_changes (id bigint generated always as identity primary key, order_id text not null, "
            "single boolean not null, status text not null, changed_at timestamptz not null)"
        )
        with connection.cursor() as cursor:
            with cursor.copy("copy order_changes (order_id, single, status, changed_at) from stdin") as copy:
                for number in range(orders):
                    for change in _changes(str(FIRST_ORDER + number), number < singles, hours, dice):
                        copy.write_row(change)
            cursor.execute("create index on order_changes (changed_at, id)")
            count = cursor.execute("select count(*) from order_changes").fetchone()
    return count[0] if count else 0


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
