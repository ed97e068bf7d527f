"""A destination has a mark beside the ledger, and may take over the history of another name."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the marks of destinations, and the names that were given up.

    mark, next_mark: the mark that Airflow had when the last one was made, and that one (marks.py).
    """
    op.execute(
        """
        alter table destinations add mark text, add next_mark text;

        create table renamed_destinations (
            old_name text primary key,
            new_name text not null,
            renamed_at timestamptz not null default now()
        );
        """
    )


def downgrade() -> None:
    """There is no way back: an earlier release would not notice a ledger that was restored."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to the schema before 0014.")
