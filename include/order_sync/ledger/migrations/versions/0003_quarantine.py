"""Quarantine, and people's decisions on held orders."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables.

    quarantine: rows that could not be delivered, each version of a row once while it is open. The row itself is
    encrypted with a key of the deployment; `row_hash` tells the same row again.

    decisions: what people said of held orders, who and when.
    """
    op.execute(
        """
        create table quarantine (
            id bigint generated always as identity primary key,
            destination text not null,
            order_id text,
            row_hash bytea not null,
            reasons text[] not null,
            sealed_row bytea not null,
            origin text not null,
            line bigint,
            status_changed_at timestamptz,
            run text not null,
            first_seen_at timestamptz not null default now(),
            last_seen_at timestamptz not null default now(),
            times_seen integer not null default 1,
            resolved_at timestamptz,
            resolution text
        );
        create unique index quarantine_open on quarantine (destination, row_hash) where resolved_at is null;
        create index quarantine_order on quarantine (destination, order_id) where resolved_at is null;

        create table decisions (
            id bigint generated always as identity primary key,
            destination text not null,
            order_id text not null,
            batch_id bigint not null,
            decision text not null check (decision in ('accept', 'resend')),
            decided_by text not null,
            decided_at timestamptz not null default now()
        );
        """
    )


def downgrade() -> None:
    """Drop the tables, and with them all that they remember."""
    op.execute("drop table quarantine, decisions")
