"""Removes from the ledger what is old. States and open entries stay."""

from __future__ import annotations

import sqlalchemy as sa


def remove_old(engine: sa.Engine, *, attempts_days: int, quarantine_days: int) -> dict[str, int]:
    """Remove old attempts and resolved entries; return how many of each.

    An order's state is its newest attempt that counts, and the one that was accepted last: these stay, and their
    batches. So does what is held or in doubt: no later attempt was accepted.

    Args:
        engine: of the ledger.
        attempts_days: age in days from which attempts go.
        quarantine_days: days since an entry was resolved.
    """
    with engine.begin() as connection:
        attempts = connection.execute(
            sa.text(
                """
                delete from attempts a using batches b
                where b.id = a.batch_id and b.concluded_at < now() - make_interval(days => :days)
                  and (b.outcome = 'not_taken' or exists (
                      select from settled_attempts later
                      where later.destination_id = a.destination_id and later.partition_hash = a.partition_hash
                        and later.order_id = a.order_id
                        and (later.status_changed_at, later.updated_at, later.rank, later.batch_id)
                            > (a.status_changed_at, a.updated_at, a.rank, a.batch_id)
                        and later.verdict = 'accepted'))
                """
            ),
            {"days": attempts_days},
        )
        connection.execute(
            sa.text(
                """
                with gone as (
                    delete from batches b
                    where b.concluded_at < now() - make_interval(days => :days)
                      and not exists (select from attempts a where a.batch_id = b.id)
                    returning id
                )
                delete from rejections where batch_id in (select id from gone)
                """
            ),
            {"days": attempts_days},
        )
        entries = connection.execute(
            sa.text("delete from quarantine where resolved_at < now() - make_interval(days => :days)"),
            {"days": quarantine_days},
        )
        return {"attempts": attempts.rowcount, "quarantine": entries.rowcount}
