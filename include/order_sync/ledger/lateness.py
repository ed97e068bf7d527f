"""How late rows come: a row is late if its time had been read before the row was there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from include.order_sync.ledger.attempts import Sender
from include.order_sync.model import NO_TIME

# For so long a measured lateness widens `lookback`.
_REMEMBERED_DAYS = 7
# A row is later than was measured, but nobody knows by how much.
_FACTOR = 2

_OWN_BATCHES = """
    select min(id), max(id) from batches where destination_id = :destination_id and run = :run
"""
# Without orders that an earlier run had found: rejected, held, or in a refused batch.
_LATE = """
    with read as materialized (
        select window_start, window_end from windows where destination = :destination and window_end > :start
    ), late as (
        select a.*, (
            select max(window_end) from read where window_start <= changed_at and window_end > changed_at
        ) - changed_at as late_by
        from (
            select *, greatest(status_changed_at, updated_at) as changed_at from attempts
            where batch_id between :first and :last
        ) a
        join batches b on b.id = a.batch_id
        where b.destination_id = :destination_id and b.run = :run and b.outcome <> 'not_taken'
          and changed_at >= :start and changed_at < (select max(window_end) from read)
    )
    select status_changed_at, updated_at, late_by, count(distinct order_id)
    from late l
    where late_by is not null
      and not exists (
          select from quarantine q
          where q.destination = :destination and q.order_id = l.order_id and q.run <> :run
            and q.last_seen_at >= l.changed_at)
    group by 1, 2, 3
"""


@dataclass(frozen=True)
class Lateness:
    """The lateness of the rows of a run.

    Args:
        longest: of one row, at least; None if no row was late.
        missed: how many orders were later than the lookback, so that only a reconcile has found them.
    """

    longest: timedelta | None = None
    missed: int = 0


def measure(connection: sa.Connection, sender: Sender, start: datetime, timezone: str, lookback: timedelta) -> Lateness:
    """Return how late the rows of a run were, at least: from their time up to the last reading that missed them.

    The time of a row is the later of its `status_changed_at` and `updated_at`. Not measured are rows without
    `updated_at` whose `status_changed_at` is a date, and rows from before the run's window: its query
    compares another time.

    Args:
        connection: to the ledger, in a transaction.
        sender: of the run, whose batches all have their outcome, and whose window is not finished yet.
        start: of the run's window.
        timezone: of the source.
        lookback: that the run has read, without a reconcile.
    """
    values = {
        "destination": sender.destination,
        "destination_id": sender.destination_id,
        "run": sender.run,
        "start": start,
    }
    # The numbers first: attempts are indexed by ranges of batches.
    first, last = connection.execute(sa.text(_OWN_BATCHES), values).one()
    if first is None:
        return Lateness()
    rows = connection.execute(sa.text(_LATE), {**values, "first": first, "last": last}).all()
    zone = ZoneInfo(timezone)
    timed = [
        (late_by, orders)
        for status_changed_at, updated_at, late_by, orders in rows
        if updated_at != NO_TIME or status_changed_at.astimezone(zone).time() != time()
    ]
    return Lateness(
        max((late_by for late_by, _ in timed), default=None),
        sum(orders for late_by, orders in timed if late_by > lookback),
    )


def widened(connection: sa.Connection, destination: str, lookback: timedelta, at_most: timedelta) -> timedelta:
    """Return how long before its data interval a scheduled run reads.

    Args:
        connection: to the ledger, in a transaction.
        destination: its name.
        lookback: of its configuration: enough, unless rows were later in the last days.
        at_most: what the lateness of rows may widen it to.
    """
    query = """
        select max(late_by) from windows
        where destination = :destination and finished_at > now() - make_interval(days => :days)
    """
    values = {"destination": destination, "days": _REMEMBERED_DAYS}
    longest: timedelta | None = connection.execute(sa.text(query), values).scalar()
    if longest is None or longest <= lookback:
        return lookback
    return max(lookback, min(_FACTOR * longest, at_most))
