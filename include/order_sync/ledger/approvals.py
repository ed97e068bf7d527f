"""Approvals: how many notifications a person has let pass the brake, for which time and until when; and the count."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from include.order_sync import tuning
from include.order_sync.model import Code, Window

# A change that is older counts as a notification whatever its code is: a customer does not expect it any more.
OLD = timedelta(days=7)
# The brake counts a run's notifications together with those of so long before.
RECENT = timedelta(hours=24)

# Attempts that may have notified a customer, of batches in `chosen`, which have followed one another closely. Of a send
# in doubt that was repeated only the last attempt counts, unless its code is one that can mail twice.
_COUNT = """
    select count(*) from attempts a join chosen b on b.id = a.batch_id
    where a.batch_id >= (select min(id) from chosen) and a.batch_id <= (select max(id) from chosen)
      and (a.code = any(%(codes)s) or a.status_changed_at < b.begun_at - %(old)s)
      and not exists (select from rejections r where r.batch_id = a.batch_id and r.order_id = a.order_id)
      and not (b.outcome = 'in_doubt' and a.code <> all(%(held)s) and exists (
          select from attempts later join batches other on other.id = later.batch_id and other.begun_at is not null
          where later.destination_id = a.destination_id and later.partition_hash = a.partition_hash
            and later.order_id = a.order_id and later.code = a.code
            and (later.status_changed_at, later.updated_at, later.rank) = (a.status_changed_at, a.updated_at, a.rank)
            and later.batch_id > a.batch_id and other.outcome is distinct from 'not_taken'
          offset 0  -- looked up for each: as a join PostgreSQL could read all attempts
      ))
"""
_CHOSEN = """
    select id, begun_at, orders, outcome from batches
    where destination_id = %(destination)s and begun_at is not null
      and (outcome is null or outcome in ('answered', 'in_doubt'))
"""


# What a person has approved does not count against the limit of the next hours.
_RECENTLY = """
    and begun_at > now() - %(recent)s
    and not exists (select from approvals where destination_id = %(destination)s and batches.run = any(runs))
"""


@dataclass(frozen=True)
class Approval:
    """A person's word that notifications may be sent.

    Args:
        run: the one that has asked: the ids of its DAG and of itself.
        window: the time whose runs it covers beside that run; None for that run alone.
        notifications: how many in all these runs.
        approved_by: the person's user name.
        approved_at: when.
    """

    run: str
    window: Window | None
    notifications: int
    approved_by: str
    approved_at: datetime


class Codes(NamedTuple):
    """Codes of a provider.

    Args:
        notifies: those that notify a customer.
        held: those whose repetition can notify a second time.
    """

    notifies: Collection[Code]
    held: Collection[Code]


class Covering(NamedTuple):
    """An approval that covers a run.

    Args:
        number: in the ledger.
        left: how many notifications are left of it.
        is_used: whether the run has sent under it before: then it sends no more than that.
    """

    number: int
    left: int
    is_used: bool


def destination_id(cursor: Any, name: str) -> int:
    """Return the number of a destination; 0 if nothing was ever sent to it."""
    row = cursor.execute("select id from destinations where name = %s", (name,)).fetchone()
    return row[0] if row else 0


def recent(cursor: Any, destination_id: int, codes: Codes) -> int:
    """Return how many notifications were sent in the time RECENT without an approval, with those in doubt.

    Args:
        cursor: in a transaction.
        destination_id: the destination's number.
        codes: of its provider.
    """
    query = f"with chosen as ({_CHOSEN} {_RECENTLY}) {_COUNT}"
    return int(cursor.execute(query, _values(destination_id, codes, recent=RECENT)).fetchone()[0])


def recent_at_most(cursor: Any, destination_id: int) -> int:
    """Return an upper limit of `recent`: all orders of that time. It looks at batches alone, and so takes no time.

    Args:
        cursor: in a transaction.
        destination_id: the destination's number.
    """
    query = f"with chosen as ({_CHOSEN} {_RECENTLY}) select coalesce(sum(orders), 0) from chosen"  # noqa: S608
    return int(cursor.execute(query, {"destination": destination_id, "recent": RECENT}).fetchone()[0])


def record(cursor: Any, destination_id: int, approval: Approval) -> None:
    """Record an approval; the same one again changes nothing."""
    window = approval.window
    cursor.execute(
        """
        insert into approvals
            (destination_id, run, window_start, window_end, notifications, approved_by, approved_at)
        values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
        """,
        (
            destination_id,
            approval.run,
            window and window.start,
            window and window.end,
            approval.notifications,
            approval.approved_by,
            approval.approved_at,
        ),
    )


def covering(
    cursor: Any, destination_id: int, codes: Codes, run: str, window: Window | None, run_key: str = ""
) -> Covering | None:
    """Return the approval with the most left among those that cover a run; None without one.

    Args:
        cursor: in a transaction.
        destination_id: the destination's number.
        codes: of its provider.
        run: the ids of its DAG and of itself.
        window: that it has read; None if it has not read all orders of a window.
        run_key: of a load.
    """
    query = """
        select id, notifications, runs from approvals
        where destination_id = %s and approved_at > now() - %s
          and (run = %s or (window_start <= %s and window_end >= %s))
    """
    valid = timedelta(seconds=tuning.APPROVAL_S)
    times = (window and window.start, window and window.end)
    rows = cursor.execute(query, (destination_id, valid, run, *times)).fetchall()
    sent = f"with chosen as ({_CHOSEN} and run = any(%(runs)s)) {_COUNT}"
    found = [
        Covering(
            number,
            total - cursor.execute(sent, _values(destination_id, codes, runs=runs)).fetchone()[0],
            run_key in runs,
        )
        for number, total, runs in rows
    ]
    return max(found, key=lambda each: each.left, default=None)


def use(cursor: Any, number: int, run_key: str) -> None:
    """Note that a run sends under an approval: from here on its notifications are taken off it."""
    cursor.execute(
        "update approvals set runs = array_append(runs, %s) where id = %s and not %s = any(runs)",
        (run_key, number, run_key),
    )


def _values(destination_id: int, codes: Codes, **more: Any) -> dict[str, Any]:
    notifies, held = ([str(code) for code in each] for each in codes)
    return {"destination": destination_id, "codes": notifies, "held": held, "old": OLD, **more}
