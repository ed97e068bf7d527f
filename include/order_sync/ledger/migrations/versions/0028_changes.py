"""Each run tells which changes it has delivered, so that a day can be summed without reading attempts."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Create the column and its view.

    run_records.changes: [code before, null without one; new code; accepted orders] of each change of the try.
    """
    op.execute(
        """
        alter table run_records add changes jsonb not null default '[]';

        create view changes_v1 as
        select destination, split_part(run, ' ', 1) as dag, split_part(run, ' ', 2) as run, try, recorded_at,
            change ->> 0 as code_before, change ->> 1 as code, (change ->> 2)::bigint as orders
        from run_records, jsonb_array_elements(changes) change;
        """
    )


def downgrade() -> None:
    """Drop them: an earlier release counts no changes."""
    op.execute("drop view changes_v1; alter table run_records drop changes")
