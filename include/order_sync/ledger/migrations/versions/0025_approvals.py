"""A person may let a run send more notifications than usual."""

from alembic import op

revision = "0025"
down_revision = "0021"


def upgrade() -> None:
    """Create the table, and an index for what was sent lately.

    approvals: `run` has asked; `runs` are the keys of those that have sent under it. Without a window it covers `run`
    alone.
    """
    op.execute(
        """
        create table approvals (
            id bigint generated always as identity primary key,
            destination_id smallint not null references destinations,
            run text not null,
            window_start timestamptz,
            window_end timestamptz,
            notifications bigint not null,
            approved_by text not null,
            approved_at timestamptz not null,
            runs text[] not null default '{}',
            unique (destination_id, run, approved_at)
        );
        create index batches_begun on batches (destination_id, begun_at);
        """
    )


def downgrade() -> None:
    """Drop them: an earlier release has no brake."""
    op.execute("drop table approvals; drop index batches_begun")
