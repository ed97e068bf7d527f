"""The source: one PostgreSQL table with the order changes of some days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

# The shop writes half of its times as a clock in Kyiv shows them, without an offset. That clock shows the sixth hour of
# these twice.
TIMEZONE = "Europe/Kyiv"
FIRST_HOUR = datetime(2025, 10, 25, 19, tzinfo=UTC)
REPEATED_HOURS = tuple(FIRST_HOUR + timedelta(hours=hour) for hour in (5, 6))
FIRST_ORDER = 100_000

# No path returns to a code that a service already has. So a code taken twice is a change taken twice.
PATHS = (
    ("new", "paid", "packing", "shipped", "delivered"),
    ("new", "paid", "shipped", "returned"),
    ("new", "paid", "packing", "shipped", "delivered", "returned"),
    ("new", "paid", "cancelled"),
    ("new", "cancelled"),
)

# Of the changes, so many are committed long after their time, and so many replace the row of the change before them.
LATE_SHARE = 0.02
IN_PLACE_SHARE = 0.02
MOVE = """
    with moved as (
        delete from late_changes where {condition} returning *
    )
    insert into order_changes (order_id, single, status, changed_at, late)
    select order_id, single, status, changed_at, late from moved order by id
"""

# A third of the rows that are to be replaced. The judge reads the old ones from `replaced_rows`.
REPLACE = """
    with chosen as (
        delete from replacements where id % 3 = (select min(id) from replacements) % 3 returning *
    ), old as (
        select c.* from order_changes c join chosen r on (c.order_id, c.changed_at) = (r.order_id, r.replaced_at)
    ), kept as (
        insert into replaced_rows select * from old
    )
    update order_changes c set status = r.status, changed_at = r.changed_at, late = true
    from chosen r where (c.order_id, c.changed_at) = (r.order_id, r.replaced_at)
"""

Change = tuple[str, bool, str, datetime]


def fill(address: str, orders: int, singles: int, hours: int, dice: random.Random) -> int:
    """Create and fill the tables; return the number of changes that are there from the start.

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
        connection.execute("create table replaced_rows (like order_changes)")
        connection.execute(
            "create table replacements (id bigint generated always as identity, order_id text not null, "
            "status text not null, changed_at timestamptz not null, replaced_at timestamptz not null)"
        )
        replacements: list[tuple[str, str, datetime, datetime]] = []
        with connection.cursor() as cursor:
            with cursor.copy("copy late_changes (order_id, single, status, changed_at, late) from stdin") as copy:
                for number in range(orders):
                    changes = list(_changes(str(FIRST_ORDER + number), number < singles, hours, dice))
                    times = Counter(at for *_, at in changes)
                    before = None  # the time of the row that a change may replace
                    for order_id, single, status, at in changes:
                        # Changes of one time keep their places: the order would return to a code otherwise.
                        alone = times[at] == 1
                        if alone and before and dice.random() < IN_PLACE_SHARE:
                            replacements.append((order_id, status, at, before))
                            before = None
                            continue
                        is_late = alone and dice.random() < LATE_SHARE
                        copy.write_row((order_id, single, status, at, is_late))
                        before = at if alone and not is_late else None
            columns_of = "(order_id, status, changed_at, replaced_at)"
            with cursor.copy(f"copy replacements {columns_of} from stdin") as copy:
                for replacement in replacements:
                    copy.write_row(replacement)
            cursor.execute(MOVE.format(condition="not late"))
            cursor.execute("create index on order_changes (changed_at, id)")
            (count,) = cursor.execute("select count(*) from order_changes").fetchone() or (0,)
    return int(count)


def commit_late(address: str) -> None:
    """Commit a part of the changes that are still to come."""
    with psycopg.connect(address) as connection:
        connection.execute(MOVE.format(condition="id % 3 = (select min(id) from late_changes) % 3"))


def change_in_place(connection: psycopg.Connection) -> None:
    """Replace a part of the rows that are to be replaced, in a transaction that the caller commits."""
    connection.execute(REPLACE)


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
