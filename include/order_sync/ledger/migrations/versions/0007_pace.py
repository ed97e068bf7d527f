"""The pace of an account: when its last request was allowed to leave."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create `request_slots`, with one row for each account that has a pace."""
    op.execute(
        """
        create table request_slots (
            connection text primary key,  -- the account: the id of its Airflow connection
            last_at timestamptz not null  -- the latest slot given out; it may lie in the future
        )
        """
    )


def downgrade() -> None:
    """Drop the table: an earlier release sends at any pace."""
    op.execute("drop table request_slots")
