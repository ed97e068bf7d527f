"""Removes from the ledger what is old. States, open entries and whatever they rest on stay."""

from __future__ import annotations

import sqlalchemy as sa


def remove_old(engine: sa.Engine, *, attempts_days: int, quarantine_days: int) -> dict[str, int]:
    """Remove concluded batches with their attempts, and resolved entries; return how many of each.

    A batch whose orders are held, or in doubt, stays: a decision may still be about it.

    Args:
        engine: of the ledger.
        attempts_days: age in days from which batches go.
        quarantine_days: days since an entry was resolved.
    """
    old = "select id from batches where concluded_at < now() - make_interval(days => :days)"
    undecided = "select batch_id from order_states where verdict in ('held', 'in_doubt')"
    with engine.begin() as connection:
        connection.execute(
            sa.text(f"create temporary table old on commit drop as {old} and id not in ({undecided})"),
            {"days": attempts_days},
        )
        connection.execute(sa.text("delete from rejections where batch_id in (select id from old)"))
        attempts = connection.execute(sa.text("delete from attempts where batch_id in (select id from old)"))
        connection.execute(sa.text("delete from batches where id in (select id from old)"))
        entries = connection.execute(
            sa.text("delete from quarantine where resolved_at < now() - make_interval(days => :days)"),
            {"days": quarantine_days},
        )
        return {"attempts": attempts.rowcount, "quarantine": entries.rowcount}
