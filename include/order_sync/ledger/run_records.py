"""Records what each run has done, once a try, so that people and reports need not count attempts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from include.order_sync.ledger.status import status
from include.order_sync.model import Window

COUNTS = (
    "rows",
    "superseded",
    "skipped",
    "orders",
    "accepted",
    "adopted",
    "rejected",
    "unchanged",
    "stale",
    "held",
    "not_sent",
    "not_for_provider",
    "requests",
)

# Accepted orders are counted by the time since their change, up to these minutes; the last count has the others. The
# view freshness_v1 has the same numbers.
DELAY_LIMITS_MIN = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 360, 720, 1440, 2880)

# Of a larger try the last orders are measured: a million would add a tenth to the time of its load. A load sends in the
# order of hashes, so that they are like all others.
MEASURED_ORDERS = 100_000

_OWN_BATCHES = """
    select coalesce(min(id) filter (where orders_from_here <= :at_most), max(id)), max(id) from (
        select b.id, sum(b.orders) over (order by b.id desc) as orders_from_here
        from batches b join destinations d on d.id = b.destination_id
        where d.name = :destination and b.run = :run and b.try = :try and b.outcome = 'answered'
    ) own
"""
# The attempts first, by their range: PostgreSQL would look for each batch by itself.
_SENT = """
    with own as materialized (
        select batch_id, order_id, status_changed_at from attempts where batch_id between :first and :last
    )
    select width_bucket(b.concluded_at - a.status_changed_at, cast(:limits as interval[])),
        count(*), max(a.status_changed_at), max(b.concluded_at)
    from own a join batches b on b.id = a.batch_id
    where b.run = :run and b.try = :try and b.outcome = 'answered'
      and not exists (select from rejections r where r.batch_id = a.batch_id and r.order_id = a.order_id)
    group by 1
"""
_EARLIER = f"""
    select {", ".join(f"coalesce(sum({name}), 0)" for name in COUNTS)} from run_records
    where destination = :destination and split_part(run, ' ', 2) = split_part(:run, ' ', 2) and run = :run
"""  # noqa: S608  (our own names)
_INSERT = f"""
    insert into run_records (destination, run, try, kind, begun_by, window_start, window_end, is_complete, is_plan,
                             delays, changes,  {", ".join(COUNTS)})
    values (:destination, :run, :try, :kind, :begun_by, :start, :end, :is_complete, :is_plan, :delays,
            cast(:changes as jsonb),
            {", ".join(f":{name}" for name in COUNTS)})
"""  # noqa: S608
_FRESHEN = """
    insert into freshness as f (destination, read_at, read_up_to, open_gaps, gap_start, gap_end, newest_read,
                                newest_accepted, accepted_at)
    values (:destination, case when :has_read then now() end, :read_up_to, :open_gaps, :gap_start, :gap_end,
            :newest_read, :newest_accepted, :accepted_at)
    on conflict (destination) do update set
        read_at = coalesce(excluded.read_at, f.read_at), read_up_to = excluded.read_up_to,
        open_gaps = excluded.open_gaps, gap_start = excluded.gap_start, gap_end = excluded.gap_end,
        newest_read = greatest(f.newest_read, excluded.newest_read),
        newest_accepted = greatest(f.newest_accepted, excluded.newest_accepted),
        accepted_at = greatest(f.accepted_at, excluded.accepted_at)
"""


@dataclass(frozen=True)
class RunRecord:
    """One try of a run that has ended.

    Args:
        destination: its name.
        run: the key of the run.
        try_number: of the task that records it.
        kind: what the run was to do, as PLAN ONLY; empty for one that delivers.
        begun_by: what started the run.
        counts: COUNTS of the run so far, with its earlier tries.
        is_complete: whether each order has its outcome.
        is_plan: whether the run was to send and remember nothing.
        window: that it has read; None if it was narrowed.
        newest_read: the newest change among its rows; None if that is not known.
        changes: (code before, None without one; new code) -> how many orders this try delivered with that change.
    """

    destination: str
    run: str
    try_number: int
    kind: str
    begun_by: Literal["schedule", "person", "backfill"]
    counts: Mapping[str, int]
    is_complete: bool
    is_plan: bool
    window: Window | None = None
    newest_read: datetime | None = None
    changes: Mapping[tuple[str | None, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What a try has added, and how its destination stands now.

    Args:
        counts: COUNTS of this try alone.
        held: how many orders of the destination are held; None of a plan.
        newest_accepted: the newest change that the service accepted in this try; None without any.
    """

    counts: Mapping[str, int]
    held: int | None
    newest_accepted: datetime | None


def record(connection: sa.Connection, done: RunRecord) -> Recorded:
    """Record a try of a run, and how far its destination is now. Call it once a try, at its end.

    Args:
        connection: to the ledger, in a transaction.
        done: the try.
    """
    key = {"destination": done.destination, "run": done.run, "try": done.try_number}
    delays, newest_accepted, accepted_at = _sent(connection, key)
    earlier = dict(zip(COUNTS, connection.execute(sa.text(_EARLIER), key).one(), strict=True))
    added = {name: done.counts.get(name, 0) - int(earlier[name]) for name in COUNTS}
    values = {
        **key,
        "kind": done.kind,
        "begun_by": done.begun_by,
        "start": done.window and done.window.start,
        "end": done.window and done.window.end,
        "is_complete": done.is_complete,
        "is_plan": done.is_plan,
        "delays": delays,
        "changes": json.dumps([[*codes, orders] for codes, orders in done.changes.items()]),
        **added,
    }
    connection.execute(sa.text(_INSERT), values)
    if done.is_plan:
        return Recorded(added, None, None)
    now = status(connection, done.destination)
    gap = now.gaps[0] if now.gaps else None
    values = {
        "destination": done.destination,
        "has_read": done.is_complete and done.window is not None,
        "read_up_to": now.read_up_to,
        "open_gaps": len(now.gaps),
        "gap_start": gap and gap.start,
        "gap_end": gap and gap.end,
        "newest_read": done.newest_read,
        "newest_accepted": newest_accepted,
        "accepted_at": accepted_at,
    }
    connection.execute(sa.text(_FRESHEN), values)
    return Recorded(added, now.held_orders, newest_accepted)


def _sent(connection: sa.Connection, key: Mapping[str, object]) -> tuple[list[int], datetime | None, datetime | None]:
    """Return the accepted orders of a try: how many by their delay, their newest change, and the last answer."""
    delays = [0] * (len(DELAY_LIMITS_MIN) + 1)
    first, last = connection.execute(sa.text(_OWN_BATCHES), {**key, "at_most": MEASURED_ORDERS}).one()
    if first is None:
        return delays, None, None
    values = {**key, "first": first, "last": last, "limits": [timedelta(minutes=limit) for limit in DELAY_LIMITS_MIN]}
    rows = connection.execute(sa.text(_SENT), values).all()
    for bucket, orders, *_ in rows:
        delays[bucket] = orders
    newest = max((row[2] for row in rows), default=None)
    return delays, newest, max((row[3] for row in rows), default=None)
