"""Removes old rows from the ledger. States and open entries stay, and what was read stays known."""

from __future__ import annotations

import sqlalchemy as sa

# An order's state is its newest settled attempt and the one that was accepted last: these two stay. Attempts that are
# held or in doubt stay too, as no later attempt was accepted. A rejected one tells nothing once there is a later one:
# of an order that a service rejects redrive after redrive, all would stay.
_ATTEMPTS = """
    delete from attempts a using batches b
    where b.id = a.batch_id and b.concluded_at < now() - make_interval(days => :days)
      and (b.outcome = 'not_taken' or exists (
          select from settled_attempts later
          where later.destination_id = a.destination_id and later.partition_hash = a.partition_hash
            and later.order_id = a.order_id
            and (later.status_changed_at, later.updated_at, later.rank, later.batch_id)
                > (a.status_changed_at, a.updated_at, a.rank, a.batch_id)
            and (later.verdict = 'accepted' or exists (
                select from rejections r where r.batch_id = a.batch_id and r.order_id = a.order_id))))
"""
_BATCHES_WITHOUT_ATTEMPTS = """
    with gone as (
        delete from batches b
        where b.concluded_at < now() - make_interval(days => :days)
          and not exists (select from attempts a where a.batch_id = b.id)
        returning id
    )
    delete from rejections where batch_id in (select id from gone)
"""
_RESOLVED_ENTRIES = "delete from quarantine where resolved_at < now() - make_interval(days => :days)"
_MERGE_WINDOWS = """
    with old as (
        delete from windows where finished_at < now() - make_interval(days => :days)
        returning destination, window_start, window_end
    ), merged as (
        select destination, unnest(range_agg(tstzrange(window_start, window_end))) as stretch
        from old group by destination
    )
    insert into windows (destination, window_start, window_end, run)
    select destination, lower(stretch), upper(stretch), 'merged by retention' from merged
"""


def remove_old(engine: sa.Engine, *, attempts_days: int, quarantine_days: int) -> dict[str, int]:
    """Remove old attempts with their batches, and resolved entries; merge old windows.

    Args:
        engine: of the ledger.
        attempts_days: age in days from which attempts and batches go, and windows are merged.
        quarantine_days: days since an entry was resolved.

    Returns:
        How many `attempts` and entries of the `quarantine` were removed.
    """
    with engine.begin() as connection:
        attempts = connection.execute(sa.text(_ATTEMPTS), {"days": attempts_days})
        connection.execute(sa.text(_BATCHES_WITHOUT_ATTEMPTS), {"days": attempts_days})
        entries = connection.execute(sa.text(_RESOLVED_ENTRIES), {"days": quarantine_days})
        connection.execute(sa.text(_MERGE_WINDOWS), {"days": attempts_days})
        return {"attempts": attempts.rowcount, "quarantine": entries.rowcount}
