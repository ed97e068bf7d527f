"""The quarantine: adds, resolves, dismisses and finds entries, and records decisions on held orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.reasons import FAILING_REASON, HELD_REASON, NOT_JUDGED_REASON, STALE_REASONS
from include.order_sync.staging.partition_hash import partition_hash

# The state `s` of the order of an entry `q`. Without `offset 0` PostgreSQL may read the states of all orders of the
# ledger, to join them with an empty quarantine.
_STATE = """
    left join destinations known on known.name = q.destination
    left join lateral (
        select * from order_states
        where destination_id = known.id and partition_hash = q.partition_hash and order_id = q.order_id
        offset 0
    ) s on true
"""


@dataclass(frozen=True)
class Filter:
    """Chooses open entries for a redrive; an empty field chooses all.

    Args:
        reason: a pattern of SQL's LIKE for one of an entry's reasons (codes.py makes it).
        seen_from, seen_to: the time at which the row was last seen.
        order_ids: of these orders.
        entries: with these numbers.
        batches: in doubt since one of these batches.
        held: only held orders, or only all others; None for both.
        decided: with `held`, also orders that a person has decided to resend and that were not sent since.
        at_most: number of entries, the oldest first.
    """

    reason: str = ""
    seen_from: datetime | None = None
    seen_to: datetime | None = None
    order_ids: tuple[str, ...] = ()
    entries: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    held: bool | None = False
    decided: bool = False
    at_most: int = 1000


def add(cursor: Any, destination: str, run: str, entries: Sequence[QuarantineEntry]) -> None:
    """Add entries, all by one statement.

    - A row that is seen again stays one entry, with its first and last run, its last time and the number of runs.
    - A row that was dismissed for the same reasons stays dismissed. A row without content is known by its place in a
      file: it stays dismissed until the file changes.
    """
    # One statement may not meet a row twice.
    rows = list({entry.row_hash: entry for entry in entries}.values())
    if not rows:
        return
    cursor.execute(
        """
        insert into quarantine (destination, order_id, partition_hash, row_hash, reasons, encrypted_row, origin, line,
                                status_changed_at, updated_at, rank, run)
        select %(destination)s, n.order_id, n.partition_hash, n.row_hash, string_to_array(n.reasons, chr(10)),
               n.encrypted_row, n.origin, n.line, n.status_changed_at, n.updated_at,
               n.rank, %(run)s
        from unnest(%(order_ids)s::text[], %(hashes)s::int[], %(row_hashes)s::bytea[], %(reasons)s::text[],
                    %(encrypted_rows)s::bytea[], %(origins)s::text[], %(lines)s::bigint[], %(changed)s::timestamptz[],
                    %(updated)s::timestamptz[], %(ranks)s::int[], %(files)s::timestamptz[])
             n (order_id, partition_hash, row_hash, reasons, encrypted_row, origin, line, status_changed_at, updated_at,
                rank, file_time)
        where n.reasons = any(%(always)s) or not exists (
            select from quarantine d
            where d.destination = %(destination)s and d.row_hash = n.row_hash and d.note is not null
              and d.reasons = string_to_array(n.reasons, chr(10))
              and (n.file_time is null or n.file_time <= d.resolved_at))
        on conflict (destination, row_hash) where resolved_at is null do update set
            reasons = excluded.reasons, encrypted_row = excluded.encrypted_row, origin = excluded.origin,
            line = excluded.line, last_seen_at = now(), run = excluded.run,
            first_run = coalesce(quarantine.first_run, nullif(quarantine.run, excluded.run)),
            updated_at = excluded.updated_at, rank = excluded.rank,
            times_seen = quarantine.times_seen + case when quarantine.run = excluded.run then 0 else 1 end
        """,
        {
            "destination": destination,
            "run": run,
            "order_ids": [entry.order_id for entry in rows],
            "hashes": [partition_hash(entry.order_id) if entry.order_id else None for entry in rows],
            "row_hashes": [entry.row_hash for entry in rows],
            "reasons": ["\n".join(entry.reasons) for entry in rows],
            "encrypted_rows": [entry.encrypted_row for entry in rows],
            "origins": [entry.origin for entry in rows],
            "lines": [entry.line for entry in rows],
            "changed": [entry.status_changed_at for entry in rows],
            "updated": [entry.updated_at for entry in rows],
            "ranks": [entry.rank for entry in rows],
            "files": [entry.file_time for entry in rows],
            "always": [HELD_REASON, NOT_JUDGED_REASON, FAILING_REASON],
        },
    )


def resolve_delivered(cursor: Any, destination: str) -> None:
    """Close the entries of orders whose version, or a newer one, the service has accepted since.

    Where a part of the row's version is not known, the delivered row may be older: then only another run than the one
    that saw the row closes its entry.
    """
    cursor.execute(
        f"""
        update quarantine e set resolved_at = now(), resolution = case when found.outcome = 'adopted'
            then 'a good row of the order was adopted' else 'a good row of the order was delivered' end
        from (
            select q.id, b.outcome from quarantine q {_STATE} join batches b on b.id = s.batch_id
            where q.destination = %s and q.resolved_at is null and s.verdict = 'accepted'
              and s.concluded_at >= q.last_seen_at
              and (q.status_changed_at is null or q.status_changed_at <= s.status_changed_at)
              and case when q.status_changed_at is null or q.updated_at is null then b.run <> q.run
                  else (q.status_changed_at, q.updated_at, q.rank) <= (s.status_changed_at, s.updated_at, s.rank) end
        ) found where e.id = found.id
        """,  # noqa: S608
        (destination,),
    )


def resolve_redriven(cursor: Any, run: str, ids: Sequence[int]) -> None:
    """Close the entries of a redrive that did not fail again. A redrive sends no stale order, so those stay."""
    cursor.execute(
        f"""
        update quarantine set resolved_at = now(), resolution = 'redriven'
        where id in (
            select q.id from quarantine q {_STATE}
            where q.id = any(%s) and q.run <> %s and q.resolved_at is null and not q.reasons && %s
              and coalesce(s.verdict, '') not in ('in_doubt', 'held'))
        """,  # noqa: S608
        (list(ids), run, list(STALE_REASONS)),
    )


def dismiss(cursor: Any, ids: Sequence[int], dismissed_by: str, note: str) -> int:
    """Close entries that a person need not see again; return how many. Held orders need a decision, and stay.

    Args:
        cursor: in a transaction.
        ids: of the entries.
        dismissed_by: the person's user name.
        note: why.
    """
    closed: int = cursor.execute(
        """
        update quarantine set resolved_at = now(), resolution = 'dismissed by ' || %s, note = %s
        where id = any(%s) and resolved_at is null and not %s = any(reasons)
        """,
        (dismissed_by, note, list(ids), HELD_REASON),
    ).rowcount
    return closed


def find(cursor: Any, destination: str, wanted: Filter) -> list[dict[str, Any]]:
    """Return open entries, the oldest first.

    Each has id, order_id, reasons, encrypted_row, origin, line, last_seen_at and times_seen; and `batch`, the request
    since which its order is held or decided.
    """
    rows = cursor.execute(
        f"""
        select q.id, q.order_id, q.reasons, q.encrypted_row, q.origin, q.line, q.last_seen_at, q.times_seen,
            case when s.verdict in ('held', 'in_doubt') and %(held_reason)s = any(q.reasons) then s.batch_id end
        from quarantine q {_STATE}
        where q.destination = %(destination)s and q.resolved_at is null
          and (%(held)s::boolean is null or %(held)s = coalesce(
              (s.verdict = 'held' or (%(decided)s and s.verdict = 'in_doubt')) and %(held_reason)s = any(q.reasons),
              false))
          and (%(reason)s = '' or exists (select from unnest(q.reasons) r where r like %(reason)s))
          and (%(seen_from)s::timestamptz is null or q.last_seen_at >= %(seen_from)s)
          and (%(seen_to)s::timestamptz is null or q.last_seen_at < %(seen_to)s)
          and (%(all_orders)s or q.order_id = any(%(order_ids)s))
          and (%(all_entries)s or q.id = any(%(entries)s))
          and (%(all_batches)s or s.batch_id = any(%(batches)s))
        order by q.id limit %(at_most)s
        """,  # noqa: S608
        {
            "destination": destination,
            "held": wanted.held,
            "decided": wanted.decided,
            "held_reason": HELD_REASON,
            "reason": wanted.reason,
            "seen_from": wanted.seen_from,
            "seen_to": wanted.seen_to,
            "all_orders": not wanted.order_ids,
            "order_ids": list(wanted.order_ids),
            "all_entries": not wanted.entries,
            "entries": list(wanted.entries),
            "all_batches": not wanted.batches,
            "batches": list(wanted.batches),
            "at_most": wanted.at_most,
        },
    ).fetchall()
    names = ("id", "order_id", "reasons", "encrypted_row", "origin", "line", "last_seen_at", "times_seen", "batch")
    return [dict(zip(names, row, strict=True)) for row in rows]


def decide(
    cursor: Any,
    destination: str,
    decision: Literal["accept", "resend"],
    decided_by: str,
    *,
    order_ids: Sequence[str] = (),
    batches: Sequence[int] = (),
) -> list[str]:
    """Record a person's decision on held orders; return the ids of the orders that were held.

    - accept: the service has taken them. Of orders that are named, it also takes back a decision to resend, until they
      are sent.
    - resend: it has not, so that their next plan sends them again.
    - An order that a newer version has resolved meanwhile is not changed.

    Args:
        cursor: in a transaction of the session that holds the destination's lock.
        destination: of the orders.
        decision: of the person.
        decided_by: the person's user name.
        order_ids: of these orders; empty for all.
        batches: in doubt since one of these; empty for all.
    """
    rows = cursor.execute(
        """
        with decided as (
            insert into decisions (destination, order_id, batch_id, decision, decided_by)
            select %(destination)s, order_id, batch_id, %(decision)s, %(who)s
            from orders_in_doubt o
            where destination_id = (select id from destinations where name = %(destination)s)
              and (held or (%(decision)s = 'accept' and not %(all_orders)s and exists (
                  select from decisions d where d.batch_id = o.batch_id and d.order_id = o.order_id
              )))
              and (%(all_orders)s or order_id = any(%(order_ids)s))
              and (%(all_batches)s or batch_id = any(%(batches)s))
            on conflict (batch_id, order_id) do update
                set decision = excluded.decision, decided_by = excluded.decided_by, decided_at = now()
            returning order_id
        ), closed as (
            update quarantine q set resolved_at = now(), resolution = 'accepted by ' || %(who)s
            from decided d
            where %(decision)s = 'accept' and q.destination = %(destination)s and q.order_id = d.order_id
              and q.resolved_at is null and %(held_reason)s = any(q.reasons)
        )
        select order_id from decided
        """,
        {
            "decision": decision,
            "destination": destination,
            "all_orders": not order_ids,
            "order_ids": list(order_ids),
            "all_batches": not batches,
            "batches": list(batches),
            "who": decided_by,
            "held_reason": HELD_REASON,
        },
    ).fetchall()
    return [order_id for (order_id,) in rows]
